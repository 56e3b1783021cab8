/*
 * The runner of the library's tests.
 *
 *     build/run-threads            all of them
 *     build/run-threads fork       those with this in their names
 */

#include "tests/lib/check.h"

#include <reeve/task.h>

#include <signal.h>
#include <stddef.h>

/* The thread sanitizer ends the test at its first report; a child of a test with threads may
 * have threads of its own. */
const char *__tsan_default_options(void);
const char *__tsan_default_options(void)
{
    return "halt_on_error=1:die_after_fork=0";
}

int main(int argc, char **argv)
{
    reeve_main(&argc, &argv); /* some tests have this program run their tasks */
    /* Whoever started us may have ignored it; a test counts on the default. */
    signal(SIGPIPE, SIG_DFL);
    return check_run(argc > 1 ? argv[1] : NULL) != 0;
}
