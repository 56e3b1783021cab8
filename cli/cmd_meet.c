/* cmd_meet.c -- reeve barrier and reeve event: scripts that wait for each other. */

#include "cli/cli.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

int run_barrier(const struct cli_args *args)
{
    reeve_context *ctx = NULL;
    reeve_barrier *barrier = NULL;
    uint32_t parties = 0;
    uint32_t index = 0;
    int code = EXIT_DONE;
    reeve_err err = REEVE_OK;

    if (!cli_parse_count(&parties, args->words[1]) || parties == 0)
        return cli_fail_usage(args, "cannot read %s: N is a number of parties", args->words[1]);
    code = cli_open(&ctx, args);
    if (code != EXIT_DONE)
        return code;
    err = reeve_barrier_open(&barrier, ctx, args->words[0], parties, NULL);
    if (err == REEVE_OK && args->reset)
        err = reeve_barrier_reset(barrier);
    else if (err == REEVE_OK)
        err = reeve_barrier_wait(barrier, cli_timeout(args, REEVE_FOREVER), &index);
    if (err != REEVE_OK)
        code = cli_fail_call(err);
    else if (!args->reset)
        printf("%" PRIu32 "\n", index);
    reeve_barrier_close(&barrier);
    return cli_close(&ctx, code);
}

int run_event(const struct cli_args *args)
{
    static const char *const verbs[] = {"wait", "set", "clear"};
    enum { WAIT, SET, CLEAR, VERBS_LEN };
    reeve_context *ctx = NULL;
    reeve_event *event = NULL;
    int verb = 0;
    int code = EXIT_DONE;
    reeve_err err = REEVE_OK;

    while (verb < VERBS_LEN && strcmp(args->words[0], verbs[verb]) != 0)
        verb++;
    if (verb == VERBS_LEN)
        return cli_fail_usage(args, "cannot %s an event: it is wait, set or clear", args->words[0]);
    code = cli_open(&ctx, args);
    if (code != EXIT_DONE)
        return code;
    err = reeve_event_open(&event, ctx, args->words[1], NULL);
    if (err == REEVE_OK)
        err = verb == WAIT  ? reeve_event_wait(event, cli_timeout(args, REEVE_FOREVER))
              : verb == SET ? reeve_event_set(event)
                            : reeve_event_clear(event);
    if (err != REEVE_OK)
        code = cli_fail_call(err);
    reeve_event_close(&event);
    return cli_close(&ctx, code);
}
