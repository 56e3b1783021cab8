/* P12: the command `true`, two at a time, by vfork and exec. */

#include "bench/measure.h"

#include <errno.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void start(void)
{
    pid_t pid = vfork();

    if (pid == 0) {
        execlp("true", "true", (char *)NULL);
        _exit(127);
    }
    if (pid < 0)
        bench_die("unable to start a process: %s", strerror(errno));
}

static void finish(void)
{
    int status = 0;

    if (wait(&status) < 0 || status != 0)
        bench_die("a command failed");
}

int main(int argc, char **argv)
{
    const long items = bench_option(argc, argv, "items", 2000);
    const long at_once = bench_option(argc, argv, "slots", 2);
    const int64_t begin = bench_now();

    for (long i = 0; i < items; i++) {
        if (i >= at_once)
            finish();
        start();
    }
    for (long i = 0; i < at_once && i < items; i++)
        finish();
    bench_figure("items_per_s", (double)items * 1e9 / (double)(bench_now() - begin));
    return 0;
}
