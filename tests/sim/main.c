/* The simulator's runner.
 *
 *     run-sim                              all stories, then 30 random histories
 *     run-sim NAME                         the stories whose name contains NAME
 *     run-sim --seeds A B                  random histories of these seeds
 *     run-sim --seed N                     one, with its story when it fails
 *     run-sim --mutant NAME --seeds A B    with this defect (a build with -DRV_MUTANTS): fails
 *     run-sim --mutant NAME                the same; histories are tried only if no story sees it
 *     run-sim --mutants                    the names of all defects
 */

#include "tests/lib/check.h"
#include "tests/lib/sim.h"
#include "tests/sim/random.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

static int usage(void)
{
    fprintf(stderr, "usage: run-sim [NAME] [--seed N] [--seeds A B] [--mutant NAME] [--mutants]\n");
    return 2;
}

/* No history has 0, and the largest has none behind it. */
static bool seed_of(const char *text, uint64_t *out)
{
    char *end = NULL;

    errno = 0;
    *out = strtoull(text, &end, 10);
    return text[0] >= '0' && text[0] <= '9' && *end == '\0' && errno == 0 && *out != 0 &&
           *out != UINT64_MAX;
}

static int not_seeds(const char *from, const char *to)
{
    fprintf(stderr,
            "run-sim: no seeds from %s to %s: two numbers from 1, the first not the larger\n", from,
            to);
    return 2;
}

#ifdef RV_MUTANTS
static const struct {
    const char *name, *text;
} mutants[] = {
#define ROW(name, text) {#name, text},
    RV_MUTANT_LIST(ROW)
#undef ROW
};

static int list_mutants(void)
{
    for (size_t i = 1; i < rv_countof(mutants); i++)
        printf("%s\n", mutants[i].name);
    return 0;
}

/* 1, and by what, when the defect shows; 0 when nobody sees it. From 0: histories 1 to 30, if no story does. */
static int run_mutant(const char *name, uint64_t from, uint64_t to)
{
    const char *story = NULL;
    bool asked = from != 0;
    uint64_t seed = 0;
    size_t i = 0;

    while (i < rv_countof(mutants) && strcmp(mutants[i].name, name) != 0)
        i++;
    if (i == rv_countof(mutants))
        return usage();
    rv_mutant = (enum rv_mutant)i;
    story = check_first_failure();
    if (!asked) {
        from = 1;
        to = 30;
    }
    if (asked || story == NULL)
        seed = random_first_failure(from, to);
    printf("%-16s %s: ", name, mutants[i].text);
    if (story == NULL && seed == 0) {
        printf("SURVIVES the stories and seeds %llu to %llu\n", (unsigned long long)from,
               (unsigned long long)to);
        return 0;
    }
    printf("caught by %s%s", story == NULL ? "no story" : "story ", story == NULL ? "" : story);
    if (seed != 0)
        printf(", by a history after %llu seeds\n", (unsigned long long)(seed - from + 1));
    else
        printf(asked ? ", by no history\n" : "\n");
    return 1;
}
#else
static int list_mutants(void)
{
    return 0;
}

static int run_mutant(const char *name, uint64_t from, uint64_t to)
{
    (void)from;
    (void)to;
    fprintf(stderr, "run-sim: mutant %s needs a build with -DRV_MUTANTS\n", name);
    return 2;
}
#endif

int main(int argc, char **argv)
{
    uint64_t from = 0;
    uint64_t to = 0;
    const char *part = NULL;
    const char *mutant = NULL;
    int failed = 0;

    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--mutants") == 0)
            return list_mutants();
        if (strcmp(argv[i], "--mutant") == 0 && i + 1 < argc) {
            mutant = argv[++i];
        } else if (strcmp(argv[i], "--seed") == 0 && i + 1 < argc) {
            return seed_of(argv[++i], &from) ? random_one(from) : not_seeds(argv[i], argv[i]);
        } else if (strcmp(argv[i], "--seeds") == 0 && i + 2 < argc) {
            i += 2;
            if (!seed_of(argv[i - 1], &from) || !seed_of(argv[i], &to) || to < from)
                return not_seeds(argv[i - 1], argv[i]);
        } else if (argv[i][0] != '-' && part == NULL) {
            part = argv[i];
        } else {
            return usage();
        }
    }
    if (mutant != NULL)
        return run_mutant(mutant, from, to);
    if (from == 0)
        failed = check_run(part);
    if (part != NULL)
        return failed != 0;
    failed += random_many(from == 0 ? 1 : from, from == 0 ? 30 : to);
    return failed != 0;
}
