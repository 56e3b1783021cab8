/*
 * The unit runner.
 *
 *     build/run-unit              all groups
 *     build/run-unit base wire    these
 *
 * A group is `int test_NAME(void)`, which runs cmocka's tests and returns how many failed. Add a
 * file, add its row here.
 */

#include <stdio.h>
#include <string.h>

#define GROUPS(X)                                                                                  \
    X(base)                                                                                        \
    X(rights)                                                                                      \
    X(wire)                                                                                        \
    X(stream)                                                                                      \
    X(value)                                                                                       \
    X(key)                                                                                         \
    X(image)                                                                                       \
    X(path)                                                                                        \
    X(keys)                                                                                        \
    X(conf)                                                                                        \
    X(net)                                                                                         \
    X(gate)                                                                                        \
    X(queue)                                                                                       \
    X(bar)                                                                                         \
    X(worker)                                                                                      \
    X(work)                                                                                        \
    X(link)                                                                                        \
    X(claim)                                                                                       \
    X(channel)                                                                                     \
    X(yield)                                                                                       \
    X(agent)                                                                                       \
    X(task)                                                                                        \
    X(typecode)

/* Weak: a group whose file is not in this build is told and left out. */
#define DECLARE(name) int test_##name(void) __attribute__((weak));
GROUPS(DECLARE)
#undef DECLARE

static const struct {
    const char *name;
    int (*run)(void);
} groups[] = {
#define ROW(name) {#name, test_##name},
    GROUPS(ROW)
#undef ROW
};

enum { GROUPS_LEN = sizeof groups / sizeof groups[0] };

static int run(size_t i)
{
    if (groups[i].run == NULL) {
        fprintf(stderr, "run-unit: group %s is not in this build\n", groups[i].name);
        return 0;
    }
    return groups[i].run() != 0;
}

static int run_named(const char *name)
{
    for (size_t i = 0; i < GROUPS_LEN; i++)
        if (strcmp(groups[i].name, name) == 0)
            return run(i);
    fprintf(stderr, "run-unit: unknown group %s\n", name);
    return 1;
}

int main(int argc, char **argv)
{
    int failed = 0;

    if (argc > 1)
        for (int i = 1; i < argc; i++)
            failed += run_named(argv[i]);
    else
        for (size_t i = 0; i < GROUPS_LEN; i++)
            failed += run(i);
    if (failed > 0)
        fprintf(stderr, "run-unit: %d groups failed\n", failed);
    return failed;
}
