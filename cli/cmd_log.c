/* cmd_log.c -- reeve log, backup and restore: reeve-server looks at the folder of a log. */

#include "cli/cli.h"

static int look(const char *data, const char *what, const char *to)
{
    const char *words[] = {"--data", data, "--log", what, "--to", to};

    return cli_become("reeve-server", words, to == NULL ? 4 : 6);
}

int run_log(const struct cli_args *args)
{
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
