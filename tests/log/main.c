/* The runner of the tests of the log.
 *
 *     run-log              all
 *     run-log NAME         those whose name contains NAME
 *     LOG_TORTURE=N ...    N times as many states after a loss of power
 */

#include "tests/lib/check.h"

int main(int argc, char **argv)
{
    return check_run(argc > 1 ? argv[1] : 0) != 0;
}
