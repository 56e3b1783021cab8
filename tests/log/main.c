/* The runner of the tests of the log.
 *
 *     run-log              all
 *     run-log NAME         those whose name contains NAME
 *     LOG_TORTURE=N ...    N times as many states after a loss of power
 */

#include "tests/lib/check.h"

#include <malloc.h>

int main(int argc, char **argv)
{
    /* Large pieces come and go all the time: to map each anew takes longer than the tests. */
    mallopt(M_MMAP_THRESHOLD, 64 << 20);
    mallopt(M_TRIM_THRESHOLD, 256 << 20);
    return check_run(argc > 1 ? argv[1] : 0) != 0;
}
