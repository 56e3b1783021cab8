/* cmd_serve.c -- reeve serve and reeve worker: become reeve-server, or reeve-worker. */

#include "cli/cli.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Returns only when there is no such program. */
static void try_folder(const char *folder, char **argv)
{
    char path[PATH_MAX];

    if (snprintf(path, sizeof path, "%s/%s", folder, argv[0]) < (int)sizeof path)
        execv(path, argv);
}

static void try_beside(char **argv)
{
    char path[PATH_MAX];
    ssize_t len = readlink("/proc/self/exe", path, sizeof path - 1);

    if (len <= 0)
        return;
    path[len] = '\0';
    *strrchr(path, '/') = '\0';
    try_folder(path, argv);
}

int cli_become(const char *program, const char *const *words, int words_len)
{
    const char *folder = getenv("REEVE_BINDIR");
    char **argv = calloc((size_t)words_len + 2, sizeof *argv);

    if (argv == NULL)
        return cli_fail(EXIT_AGAIN, "cannot start %s: out of memory", program);
    /* exec does not write to them, whatever its signature says. */
    memcpy(&argv[0], &program, sizeof program);
    for (int i = 0; i < words_len; i++)
        memcpy(&argv[i + 1], &words[i], sizeof words[i]);
    if (folder != NULL && folder[0] != '\0')
        try_folder(folder, argv);
    try_beside(argv);
    execvp(program, argv);
    free(argv);
    return cli_fail(EXIT_CHANGE,
                    "cannot start %s: %s; it is looked for in $REEVE_BINDIR, beside reeve, and in "
                    "$PATH",
                    program, strerror(errno));
}

int run_serve(const struct cli_args *args)
{
    return cli_become("reeve-server", (const char *const *)args->words, args->words_len);
}

int run_worker(const struct cli_args *args)
{
    return cli_become("reeve-worker", (const char *const *)args->words, args->words_len);
}
