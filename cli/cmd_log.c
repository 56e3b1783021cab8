/* cmd_log.c -- reeve log, backup and restore: reeve-server looks at the folder of a log. */

#include "cli/cli.h"

#include <string.h>

static int look(const char *data, const char *what, const char *to)
{
    const char *words[] = {"--data", data, "--log", what, "--to", to};

    return cli_become("reeve-server", words, to == NULL ? 4 : 6);
}

int run_log(const struct cli_args *args)
{
    static const char *const whats[] = {"verify", "stat", "dump"};
    bool known = false;

    for (size_t i = 0; i < sizeof whats / sizeof whats[0]; i++)
        known = known || strcmp(args->words[0], whats[i]) == 0;
    if (!known)
        return cli_fail_usage(args, "cannot log: it wants verify, stat or dump, not %.100s",
                              args->words[0]);
    return look(args->words[1], args->words[0], NULL);
}

int run_backup(const struct cli_args *args)
{
    return look(args->words[0], "backup", args->words[1]);
}

int run_restore(const struct cli_args *args)
{
    return look(args->words[0], "restore", args->words[1]);
}
