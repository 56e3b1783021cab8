/* connect.c -- what all commands that talk to a manager do first and last. */

#include "cli/cli.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

enum { CONNECT_MS = 5000 };

uint32_t cli_timeout(const struct cli_args *args, uint32_t otherwise)
{
    return args->timeout.given ? args->timeout.value : otherwise;
}

/* What to do when there is no session. The library knows why, not who calls. */
static int fail_open(reeve_err err)
{
    const char *text = reeve_errmsg();

    if (err == REEVE_ENOENT)
        return cli_fail(EXIT_CHANGE,
                        "%s; name a key by --key or REEVE_KEY, or make one: reeve keygen NAME",
                        text);
    if (err == REEVE_ETIME && strstr(text, "ipc://") != NULL)
        return cli_fail(EXIT_AGAIN, "%s; is the manager running? if not: reeve serve", text);
    if (err == REEVE_ETIME)
        return cli_fail(
            EXIT_AGAIN,
            "%s; is the manager running, are host and port right, is the firewall open?", text);
    if (err == REEVE_EAUTH && strstr(text, "authorized.d") != NULL)
        return cli_fail(EXIT_CHANGE, "%s (as NAME.pub)", text);
    return cli_fail_call(err);
}

int cli_open(reeve_context **out, const struct cli_args *args)
{
    /* Here the timeout is how long to wait for room, an item, a lock ... */
    uint64_t command = UINT64_C(1) << args->command;
    bool waits = args->follow ||
                 (command & (CLI_ON(map) | CLI_ON(run) | CLI_ON(put) | CLI_ON(get) | CLI_ON(lock) |
                             CLI_ON(sem) | CLI_ON(barrier) | CLI_ON(event))) != 0;
    uint32_t timeout = waits ? CONNECT_MS : cli_timeout(args, CONNECT_MS);
    const reeve_options options = {
        .url = args->url,
        .key = args->key,
        .program = "reeve",
        .no_private = /* what is put must be there for the next command */
        args->detach.given || (command & (CLI_ON(map) | CLI_ON(run))) == 0,
        .connect_timeout_ms = timeout == 0 ? 1 : timeout,
    };
    reeve_err err = reeve_open(out, &options);

    if (err == REEVE_OK)
        return EXIT_DONE;
    return fail_open(err);
}

int cli_close(reeve_context **ctx, int code)
{
    reeve_err err = reeve_close(ctx);

    /* After an error there is nothing new in it. */
    return err == REEVE_OK || code != EXIT_DONE ? code : cli_fail_call(err);
}

static const char *const levels[] = {
    [REEVE_DURABLE_NONE] = "none", [REEVE_DURABLE_OS] = "os", [REEVE_DURABLE_SYNC] = "sync"};

reeve_durable cli_durable(const struct cli_args *args)
{
    for (int level = REEVE_DURABLE_NONE; args->durable != NULL && level <= REEVE_DURABLE_SYNC;
         level++)
        if (strcmp(args->durable, levels[level]) == 0)
            return (reeve_durable)level;
    return REEVE_DURABLE_DEFAULT;
}

int cli_check_durable(const struct cli_args *args)
{
    if (args->durable == NULL || cli_durable(args) != REEVE_DURABLE_DEFAULT)
        return EXIT_DONE;
    return cli_fail_usage(args, "cannot take --durable %s: it is none, os or sync", args->durable);
}

const char *cli_reached(void)
{
    return levels[reeve_reached()];
}

reeve_err cli_open_queue(reeve_queue **out, reeve_context *ctx, const struct cli_args *args,
                         bool create)
{
    enum { FEW = 16 }; /* so few items are not worth being fetched ahead */
    bool asked = args->maxsize.given || args->joinable || args->deliveries.given ||
                 args->retry.given || args->durable != NULL;
    reeve_queue_options options = {
        .maxsize = args->maxsize.value,
        .joinable = args->joinable,
        .deliveries = args->deliveries.value,
        .retry_ms = args->retry.value,
        .durable = cli_durable(args),
        .create = asked ? REEVE_CREATE_OR_GET : REEVE_GET_ONLY,
        .no_prefetch = args->count.given && args->count.value <= FEW,
    };
    reeve_err err = reeve_queue_open(out, ctx, args->words[0], &options);

    if (err != REEVE_ENOENT || asked || !create)
        return err;
    options.create = REEVE_CREATE_OR_GET;
    return reeve_queue_open(out, ctx, args->words[0], &options);
}

/* ---- signals ---- */

static volatile sig_atomic_t stopped;

static void on_signal(int number)
{
    stopped = number;
}

void cli_catch_signals(void)
{
    /* No SA_RESTART: a read from standard input ends too. */
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND};

    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    signal(SIGPIPE, SIG_IGN);
}

int cli_stopped(void)
{
    return stopped;
}
