/* The runner of the tests of the log.
 *
 *     run-log              all
 *     run-log NAME         those whose name contains NAME
 *     LOG_MUTANT=NAME ...  with this defect (a build with -DRV_MUTANTS): fails
 *     LOG_TORTURE=N ...    N times as many states after a loss of power
 */

#include "common/base/mutant.h"
#include "tests/lib/check.h"

#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#ifdef RV_MUTANTS
enum rv_mutant rv_mutant;

static void choose_mutant(const char *name)
{
    static const char *const names[] = {
#define NAME(name, text) #name,
        RV_MUTANT_LIST(NAME)
#undef NAME
    };

    for (int i = 0; name != NULL && i < RV_MUTANTS_LEN; i++)
        if (strcmp(names[i], name) == 0)
            rv_mutant = (enum rv_mutant)i;
}
#else
static void choose_mutant(const char *name)
{
    (void)name;
}
#endif

int main(int argc, char **argv)
{
    /* Large pieces come and go all the time: to map each anew takes longer than the tests. */
    mallopt(M_MMAP_THRESHOLD, 64 << 20);
    mallopt(M_TRIM_THRESHOLD, 256 << 20);
    choose_mutant(getenv("LOG_MUTANT"));
    return check_run(argc > 1 ? argv[1] : 0) != 0;
}
