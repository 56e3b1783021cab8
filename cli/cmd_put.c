/* cmd_put.c -- reeve put: words or lines become items. */

#include "cli/cli.h"
#include "common/net/net.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    SLICE_MS = 500, /* a wait is looked after so often for Ctrl-C */
    TELL_MS = 3000, /* who waits so long for room is told, once */
};

struct put {
    const struct cli_args *args;
    reeve_queue *queue;
    reeve_builder *builder;
    uint64_t items, bytes;
    char what[32]; /* the item, for messages: "line 3" */
    bool told;     /* that it waits */
};

/* A wait for room is cut into slices. */
static reeve_err put_once(struct put *p, const char *text, size_t len, bool built, uint32_t ms)
{
    if (built)
        return reeve_queue_put(p->queue, p->builder, ms);
    if (p->args->bytes)
        return reeve_queue_put_bytes(p->queue, text, len, ms);
    return reeve_queue_put_str(p->queue, text, ms);
}

static reeve_err put_patiently(struct put *p, const char *text, size_t len, bool built)
{
    rv_ns since = rv_clock_now();
    rv_ns until = rv_after_ms(since, cli_timeout(p->args, REEVE_FOREVER));

    for (;;) {
        rv_ns left = until == RV_NEVER ? RV_NEVER : until - rv_clock_now();
        uint32_t ms = left > SLICE_MS * RV_MS ? SLICE_MS : left > 0 ? (uint32_t)(left / RV_MS) : 0;
        reeve_err err = put_once(p, text, len, built, ms);

        if (err != REEVE_EFULL || left <= SLICE_MS * RV_MS || cli_stopped() != 0)
            return err;
        if (p->told || rv_clock_now() - since < TELL_MS * RV_MS)
            continue;
        p->told = true;
        (void)cli_fail(EXIT_AGAIN, "queue %s is full; %s waits for room, Ctrl-C ends it",
                       p->args->words[0], p->what);
    }
}

/* The text ends with a NUL and may have others in it. */
static int put_item(struct put *p, const char *text, size_t len)
{
    bool built = p->args->json || (!p->args->bytes && strlen(text) != len);
    char why[CLI_WHY];
    reeve_err err = REEVE_OK;

    if (built)
        reeve_builder_reset(p->builder);
    if (p->args->json && !cli_put_json(p->builder, text, len, why))
        return cli_fail(EXIT_CHANGE, "cannot put %s: %s; without --json it is a text", p->what,
                        why);
    if (built && !p->args->json)
        reeve_put_strn(p->builder, text, len);
    err = put_patiently(p, text, len, built);
    if (err == REEVE_EINVAL && !p->args->bytes)
        return cli_fail(EXIT_CHANGE, "cannot put %s: it is not UTF-8; put it with --bytes",
                        p->what);
    if (err == REEVE_EFULL && cli_stopped() != 0)
        return cli_fail(EXIT_SIGNAL + cli_stopped(), "queue %s is full; %s was not put",
                        p->args->words[0], p->what);
    if (err != REEVE_OK)
        return cli_fail_call(err);
    p->items++;
    p->bytes += len;
    return EXIT_DONE;
}

static bool only_blanks(const char *text)
{
    return text[strspn(text, " \t\r")] == '\0';
}

static int put_lines(struct put *p)
{
    char *line = NULL;
    size_t size = 0;
    ssize_t len = 0;
    int code = EXIT_DONE;

    for (uint64_t number = 1; code == EXIT_DONE && cli_stopped() == 0; number++) {
        len = getline(&line, &size, stdin);
        if (len < 0)
            break;
        if (len > 0 && line[len - 1] == '\n')
            line[--len] = '\0';
        if (p->args->json && only_blanks(line))
            continue;
        snprintf(p->what, sizeof p->what, "line %" PRIu64, number);
        code = put_item(p, line, (size_t)len);
        if (code != EXIT_DONE && number > 1)
            cli_fail(code, "the lines before line %" PRIu64 " were put", number);
    }
    if (code == EXIT_DONE && ferror(stdin) && cli_stopped() == 0)
        code = cli_fail(EXIT_AGAIN, "cannot read standard input: %s", strerror(errno));
    free(line);
    return code;
}

static int put_words(struct put *p)
{
    int code = EXIT_DONE;

    for (int i = 1; code == EXIT_DONE && i < p->args->words_len; i++) {
        snprintf(p->what, sizeof p->what, "item %d", i);
        code = put_item(p, p->args->words[i], strlen(p->args->words[i]));
        if (code != EXIT_DONE && i > 1)
            cli_fail(code, "the items before item %d were put", i);
    }
    return code;
}

/* Wait until the manager has it all; after Ctrl-C for five seconds more. */
static reeve_err flush(struct put *p)
{
    enum { LAST_MS = 5000 };
    reeve_err err = REEVE_ETIME;

    while (err == REEVE_ETIME && cli_stopped() == 0)
        err = reeve_queue_flush(p->queue, SLICE_MS);
    return err == REEVE_ETIME ? reeve_queue_flush(p->queue, LAST_MS) : err;
}

static void report(const struct put *p, rv_ns since)
{
    char bytes[CLI_TEXT];
    char span[CLI_TEXT];

    if (p->args->verbose)
        fprintf(stderr, "reeve: put %" PRIu64 " items, %s, in %s; durable: %s\n", p->items,
                cli_bytes(bytes, p->bytes),
                cli_span(span, (uint64_t)((rv_clock_now() - since) / RV_MS)), cli_reached());
}

static int put_all(const struct cli_args *args, reeve_context *ctx)
{
    struct put p = {.args = args, .builder = reeve_builder_new()};
    rv_ns since = rv_clock_now();
    reeve_err err = cli_open_queue(&p.queue, ctx, args, true);
    int code = err == REEVE_OK ? EXIT_DONE : cli_fail_call(err);

    if (code == EXIT_DONE) {
        code = args->words_len > 1 ? put_words(&p) : put_lines(&p);
        err = flush(&p);
        if (err != REEVE_OK && (code == EXIT_DONE || code >= EXIT_SIGNAL))
            code = cli_fail_call(err);
        else
            report(&p, since);
    }
    if (code == EXIT_DONE && cli_stopped() != 0)
        code = EXIT_SIGNAL + cli_stopped();
    reeve_queue_close(&p.queue);
    reeve_builder_free(&p.builder);
    return code;
}

int run_put(const struct cli_args *args)
{
    reeve_context *ctx = NULL;
    int code = EXIT_DONE;

    if (args->json && args->bytes)
        return cli_fail_usage(args, "cannot take --json with --bytes: an item is one of them");
    code = cli_open(&ctx, args);
    cli_catch_signals();
    if (code == EXIT_DONE)
        code = put_all(args, ctx);
    return cli_close(&ctx, code);
}
