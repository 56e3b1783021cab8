#include "bench/measure.h"

#include <dirent.h>
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

int64_t bench_now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

void bench_die(const char *format, ...)
{
    va_list args;

    fprintf(stderr, "%s: ", program_invocation_short_name);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    exit(1);
}

long bench_option(int argc, char *const *argv, const char *name, long what)
{
    char *end = NULL;

    for (int i = 1; i + 1 < argc; i++)
        if (strncmp(argv[i], "--", 2) == 0 && strcmp(argv[i] + 2, name) == 0) {
            what = strtol(argv[i + 1], &end, 10);
            if (end == argv[i + 1] || *end != '\0' || what < 0)
                bench_die("--%s wants a number, not '%s'", name, argv[i + 1]);
        }
    return what;
}

void bench_figure(const char *name, double value)
{
    printf("%s=%.10g\n", name, value);
    fflush(stdout);
}

void *bench_shared(size_t len)
{
    void *p = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    if (p == MAP_FAILED)
        bench_die("unable to share %zu bytes: %s", len, strerror(errno));
    return p;
}

pid_t bench_fork(void (*body)(void *), void *arg)
{
    const pid_t parent = getpid();
    const pid_t pid = fork();

    if (pid < 0)
        bench_die("unable to fork: %s", strerror(errno));
    if (pid > 0)
        return pid;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(1);
    body(arg);
    _exit(0);
}

void bench_join(pid_t pid)
{
    int status = 0;

    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            bench_die("unable to wait for process %d: %s", (int)pid, strerror(errno));
    if (status != 0)
        bench_die("process %d failed with status 0x%x", (int)pid, (unsigned)status);
}

void bench_kill(pid_t pid)
{
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
}

void bench_pin(pid_t pid)
{
    char path[64];
    cpu_set_t may, one;
    size_t cpu = 0;
    const struct dirent *entry = NULL;
    DIR *tasks = NULL;

    /* The first processor that we may use, which need not be the first of the machine. */
    if (sched_getaffinity(0, sizeof may, &may) != 0)
        bench_die("unable to read the affinity: %s", strerror(errno));
    while (cpu < CPU_SETSIZE - 1 && !CPU_ISSET(cpu, &may))
        cpu++;
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);

    snprintf(path, sizeof path, "/proc/%d/task", (int)(pid == 0 ? getpid() : pid));
    tasks = opendir(path);
    if (tasks == NULL)
        bench_die("unable to open %s: %s", path, strerror(errno));
    while ((entry = readdir(tasks)) != NULL) {
        const pid_t task = (pid_t)atol(entry->d_name);
        if (task > 0 && sched_setaffinity(task, sizeof one, &one) != 0 && errno != ESRCH)
            bench_die("unable to pin thread %d: %s", (int)task, strerror(errno));
    }
    closedir(tasks);
}

void bench_descriptors(size_t n)
{
    struct rlimit limit;
    const rlim_t want = (rlim_t)(n * 4 + 256);

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        bench_die("unable to read the limit of descriptors: %s", strerror(errno));
    if (limit.rlim_cur >= want)
        return;
    limit.rlim_cur = want;
    if (limit.rlim_max < want)
        limit.rlim_max = want;
    if (setrlimit(RLIMIT_NOFILE, &limit) == 0)
        return;
    /* Only root raises the hard limit; what there is may do. */
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
}

double bench_resident(pid_t pid)
{
    char path[64];
    long total = 0, resident = 0;
    FILE *f = NULL;

    snprintf(path, sizeof path, "/proc/%d/statm", (int)pid);
    f = fopen(path, "r");
    if (f == NULL || fscanf(f, "%ld %ld", &total, &resident) != 2)
        bench_die("unable to read %s: %s", path, strerror(errno));
    fclose(f);
    return (double)resident * (double)sysconf(_SC_PAGESIZE);
}

static int ascending(const void *a, const void *b)
{
    const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

    return (x > y) - (x < y);
}

double bench_percentile(int64_t *samples, size_t len, double part)
{
    const size_t i = (size_t)((double)len * part);

    if (len == 0)
        bench_die("no samples");
    qsort(samples, len, sizeof *samples, ascending);
    return (double)samples[i < len ? i : len - 1];
}

void bench_latency(const char *before, int64_t *samples, size_t len)
{
    char name[64];

    snprintf(name, sizeof name, "%sp50_us", before);
    bench_figure(name, bench_percentile(samples, len, 0.50) / 1e3);
    snprintf(name, sizeof name, "%sp99_us", before);
    bench_figure(name, bench_percentile(samples, len, 0.99) / 1e3);
}

void bench_number(void *item, size_t i)
{
    const uint64_t number = i;

    memcpy(item, &number, sizeof number);
}

void bench_check_number(const void *item, size_t i)
{
    uint64_t number = 0;

    memcpy(&number, item, sizeof number);
    if (number != i)
        bench_die("item %zu came as number %llu", i, (unsigned long long)number);
}
