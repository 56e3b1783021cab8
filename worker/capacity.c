#include "worker/capacity.h"

#include <gnu/libc-version.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/utsname.h>
#include <unistd.h>

/* The first line of a file without its end; false when there is none. */
static bool first_line(const char *path, char *out, size_t len)
{
    FILE *f = fopen(path, "re");
    bool got = f != NULL && fgets(out, (int)len, f) != NULL;

    if (f != NULL)
        fclose(f);
    if (got)
        out[strcspn(out, "\n")] = '\0';
    return got;
}

/* QUOTA of PERIOD microseconds is so many processors; rounded up, for half a one is not none. */
static uint32_t processors(long long quota, long long period)
{
    return quota > 0 && period > 0 ? (uint32_t)((quota + period - 1) / period) : 0;
}

static uint32_t less(uint32_t a, uint32_t b)
{
    return a == 0 || (b != 0 && b < a) ? b : a;
}

static uint32_t quota_v2(const char *folder)
{
    char path[1024];
    char line[128];
    long long quota = 0;
    long long period = 0;

    snprintf(path, sizeof path, "%s/cpu.max", folder);
    if (!first_line(path, line, sizeof line) || sscanf(line, "%lld %lld", &quota, &period) != 2)
        return 0; /* "max 100000" */
    return processors(quota, period);
}

static uint32_t quota_v1(const char *folder)
{
    char path[1024];
    char quota[64];
    char period[64];

    snprintf(path, sizeof path, "%s/cpu.cfs_quota_us", folder);
    if (!first_line(path, quota, sizeof quota))
        return 0;
    snprintf(path, sizeof path, "%s/cpu.cfs_period_us", folder);
    if (!first_line(path, period, sizeof period))
        return 0;
    return processors(atoll(quota), atoll(period));
}

/* A limit holds for all below it: the least from the group up to the top. In a container the
 * group's path may not exist; the top is the container's own then. */
static uint32_t least_up(const char *mount, const char *group, uint32_t (*quota)(const char *))
{
    char folder[900];
    uint32_t least = quota(mount);
    char *end = NULL;

    snprintf(folder, sizeof folder, "%s%s", mount, group);
    while (strlen(folder) > strlen(mount)) {
        least = less(least, quota(folder));
        end = strrchr(folder, '/');
        if (end == NULL)
            break;
        *end = '\0';
    }
    return least;
}

/* Does a list of names with commas have this one? */
static bool listed(const char *list, const char *end, const char *name)
{
    size_t len = strlen(name);

    for (const char *at = list; at < end; at++) {
        const char *comma = memchr(at, ',', (size_t)(end - at));
        const char *stop = comma == NULL ? end : comma;

        if ((size_t)(stop - at) == len && memcmp(at, name, len) == 0)
            return true;
        at = stop;
    }
    return false;
}

/* Lines of /proc/self/cgroup: "0::/a/b" is v2, "4:cpu,cpuacct:/a" is v1. */
uint32_t capacity_cgroup(const char *root)
{
    char path[600];
    char mount[600];
    char line[1024];
    uint32_t least = 0;
    FILE *f = NULL;

    snprintf(path, sizeof path, "%s/proc/self/cgroup", root);
    f = fopen(path, "re");
    while (f != NULL && fgets(line, sizeof line, f) != NULL) {
        char *names = strchr(line, ':');
        char *group = names == NULL ? NULL : strchr(names + 1, ':');

        if (group == NULL)
            continue;
        group[strcspn(group, "\n")] = '\0';
        if (group == names + 1) {
            snprintf(mount, sizeof mount, "%s/sys/fs/cgroup", root);
            least = less(least, least_up(mount, group + 1, quota_v2));
        } else if (listed(names + 1, group, "cpu")) {
            snprintf(mount, sizeof mount, "%s/sys/fs/cgroup/cpu", root);
            least = less(least, least_up(mount, group + 1, quota_v1));
        }
    }
    if (f != NULL)
        fclose(f);
    return least;
}

uint32_t capacity_slurm(const char *text)
{
    char *end = NULL;
    unsigned long x = text == NULL ? 0 : strtoul(text, &end, 10);

    return text != NULL && end != text && *end == '\0' && x < 65536 ? (uint32_t)x : 0;
}

static uint32_t affinity(void)
{
    cpu_set_t *set = NULL;
    uint32_t count = 0;

    /* A mask that is too small is refused: hosts may have more processors than one expects. */
    for (int cpus = 1024; cpus <= 65536 && count == 0; cpus *= 4) {
        size_t size = CPU_ALLOC_SIZE((size_t)cpus);

        set = CPU_ALLOC((size_t)cpus);
        if (set != NULL && sched_getaffinity(0, size, set) == 0)
            count = (uint32_t)CPU_COUNT_S(size, set);
        CPU_FREE(set);
    }
    return count;
}

uint32_t capacity_slots(void)
{
    uint32_t slots = affinity();

    slots = less(slots, capacity_cgroup(""));
    slots = less(slots, capacity_slurm(getenv("SLURM_CPUS_ON_NODE")));
    return slots == 0 ? 1 : slots;
}

void capacity_machine(char *out, size_t len)
{
    struct utsname u;

    if (uname(&u) != 0)
        snprintf(u.machine, sizeof u.machine, "unknown");
    snprintf(out, len, "%s glibc %s", u.machine, gnu_get_libc_version());
}
