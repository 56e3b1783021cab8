/* tool.c -- reeve COMMAND: read the line, run the command. */

#include "cli/cli.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#ifndef REEVE_VERSION
#define REEVE_VERSION "0"
#endif

static int (*const commands[])(const struct cli_args *args) = {
#define ROW(name, words, fewest, most, line, more) [CLI_##name] = run_##name,
    CLI_COMMANDS(ROW)
#undef ROW
};

static int run(const struct cli_args *args)
{
    if (args->version) {
        printf("reeve %s\n", REEVE_VERSION);
        return EXIT_DONE;
    }
    if (args->help) {
        cli_help(args->command);
        return EXIT_DONE;
    }
    if (args->command == CLI_COMMANDS_LEN)
        return cli_fail_usage(args, "cannot run: no command was given");
    return commands[args->command](args);
}

/* A closed standard output would be the number of the next socket. What is opened here can't be
 * written, so that it is noticed. */
static void fill_standard_files(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDONLY) != fd)
            _exit(EXIT_AGAIN);
}

int main(int argc, char **argv)
{
    struct cli_args args;
    int code = EXIT_DONE;

    fill_standard_files();
    code = cli_parse(&args, argc, argv);
    if (code == EXIT_DONE)
        code = run(&args);
    if (fflush(stdout) != 0 && errno != EPIPE && code == EXIT_DONE)
        code = cli_fail(EXIT_AGAIN, "cannot write to standard output: %s", strerror(errno));
    return code;
}
