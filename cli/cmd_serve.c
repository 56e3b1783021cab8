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

/* Its arguments are ours. */
static int become(char *program, const struct cli_args *args)
{
    const char *folder = getenv("REEVE_BINDIR");
    char **argv = calloc((size_t)args->words_len + 2, sizeof *argv);

    if (argv == NULL)
        return cli_fail(EXIT_AGAIN, "cannot start %s: out of memory", program);
    argv[0] = program;
    for (int i = 0; i < args->words_len; i++)
        argv[i + 1] = args->words[i];
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
    char program[] = "reeve-server";

    return become(program, args);
}

int run_worker(const struct cli_args *args)
{
    char program[] = "reeve-worker";

    return become(program, args);
}
