/* cmd_get.c -- reeve get: items become lines.
 *
 * An item that was taken is either written or still the queue's when this ends. Items of a
 * joinable queue are said to be done after their lines were written, so these may be written
 * many at once; what was not goes back with the session. Any other item is written at once, and
 * put back if that fails.
 */

#include "cli/cli.h"
#include "common/net/net.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    SLICE_MS = 500,    /* a wait is looked after so often for Ctrl-C and a reader that left */
    SILENT_SLICES = 6, /* so many without an answer, and it is told */
    ANSWER_MS = 5000,  /* an answer may be late by so much, also if there is no time to wait */
    BATCH_ITEMS = 64,
    BATCH_BYTES = 64 * 1024,
};

struct get {
    const struct cli_args *args;
    reeve_queue *queue;
    bool joinable;
    size_t batch_max;                /* lines that are written at once */
    reeve_value *batch[BATCH_ITEMS]; /* taken, and not yet written */
    size_t batch_len;
    char *lines; /* their lines */
    size_t lines_len, lines_size;
    uint64_t items;  /* written */
    unsigned silent; /* slices in a row that the manager has not answered */
};

/* ---- lines ---- */

static bool add_line(struct get *g, const void *text, size_t len)
{
    if (g->lines_len + len + 1 > g->lines_size) {
        size_t size = 2 * (g->lines_len + len + 1);
        char *grown = realloc(g->lines, size);

        if (grown == NULL)
            return false;
        g->lines = grown;
        g->lines_size = size;
    }
    if (len > 0)
        memcpy(g->lines + g->lines_len, text, len);
    g->lines[g->lines_len + len] = '\n';
    g->lines_len += len + 1;
    return true;
}

static bool add_item(struct get *g, const reeve_value *item)
{
    const char *text = NULL;
    const void *bytes = NULL;
    size_t len = 0;
    char *json = NULL;
    bool added = false;

    if (!g->args->json && reeve_get_str(item, &text, &len))
        return add_line(g, text, len);
    if (g->args->bytes && reeve_get_bytes(item, &bytes, &len))
        return add_line(g, bytes, len);
    json = reeve_value_json(item);
    added = json != NULL && add_line(g, json, strlen(json));
    free(json);
    return added;
}

/* ---- standard output ---- */

static bool write_lines(const struct get *g)
{
    size_t done = 0;

    while (done < g->lines_len) {
        ssize_t put = write(STDOUT_FILENO, g->lines + done, g->lines_len - done);

        if (put < 0 && errno != EINTR) /* after Ctrl-C the line is still finished */
            return false;
        done += put < 0 ? 0 : (size_t)put;
    }
    return true;
}

static bool reader_left(void)
{
    struct pollfd fd = {.fd = STDOUT_FILENO, .events = 0};

    return poll(&fd, 1, 0) > 0 && (fd.revents & (POLLERR | POLLNVAL)) != 0;
}

static int fail_write(int number)
{
    if (number == EPIPE)
        return EXIT_SIGNAL + SIGPIPE; /* as any filter ends; no words about it */
    return cli_fail(EXIT_AGAIN, "cannot write to standard output: %s", strerror(number));
}

/* ---- what becomes of taken items ---- */

static void forget_batch(struct get *g)
{
    for (size_t i = 0; i < g->batch_len; i++)
        reeve_value_free(&g->batch[i]);
    g->batch_len = 0;
    g->lines_len = 0;
}

static int finish_batch(struct get *g)
{
    reeve_err err = REEVE_OK;

    for (size_t i = 0; g->joinable && err == REEVE_OK && i < g->batch_len; i++)
        err = reeve_queue_task_done(g->queue, g->batch[i]);
    g->items += g->batch_len;
    forget_batch(g);
    return err == REEVE_OK ? EXIT_DONE : cli_fail_call(err);
}

/* They could not be written. Unfinished ones of a joinable queue go back by themselves. What cannot
 * go back, as into a queue that is full by now or was shut down, is nowhere else: it is printed. */
static bool put_back(struct get *g)
{
    reeve_builder *builder = reeve_builder_new();
    size_t lost = 0;

    for (size_t i = 0; !g->joinable && i < g->batch_len; i++) {
        reeve_builder_reset(builder);
        reeve_put_value(builder, g->batch[i]);
        lost += reeve_queue_put(g->queue, builder, SLICE_MS) != REEVE_OK ||
                reeve_queue_flush(g->queue, SLICE_MS) != REEVE_OK;
    }
    if (lost > 0) {
        cli_fail(EXIT_AGAIN,
                 "cannot put back an item that was not written: %s; here it is:", reeve_errmsg());
        fwrite(g->lines, 1, g->lines_len, stderr);
    }
    reeve_builder_free(&builder);
    forget_batch(g);
    return lost == 0;
}

static int write_batch(struct get *g)
{
    int code = EXIT_DONE;

    if (g->batch_len == 0)
        return EXIT_DONE;
    if (write_lines(g))
        return finish_batch(g);
    code = fail_write(errno);
    return put_back(g) ? code : EXIT_AGAIN;
}

static int keep_item(struct get *g, reeve_value *item)
{
    g->batch[g->batch_len++] = item;
    if (!add_item(g, item)) {
        (void)put_back(g);
        return cli_fail(EXIT_AGAIN, "cannot print an item: out of memory");
    }
    if (g->batch_len < g->batch_max && g->lines_len < BATCH_BYTES)
        return EXIT_DONE;
    return write_batch(g);
}

/* ---- taking ---- */

static bool enough(const struct get *g)
{
    return g->args->count.given && g->items + g->batch_len >= g->args->count.value;
}

/* The time to wait for the next item, as far as it is known before its first slice. */
static uint32_t patience(const struct get *g)
{
    bool first = g->items + g->batch_len == 0;

    if (g->batch_len > 0)
        return 0; /* lines wait to be written */
    if (g->args->follow)
        return cli_timeout(g->args, REEVE_FOREVER);
    return first ? cli_timeout(g->args, 0) : 0;
}

/* Whoever waits for items would not know that none can come. */
static void tell_silence(struct get *g, reeve_err err)
{
    if (err != REEVE_ETIME) {
        if (g->silent >= SILENT_SLICES && (err == REEVE_OK || err == REEVE_EEMPTY))
            fprintf(stderr, "reeve: the manager answers again\n");
        g->silent = 0;
    } else if (++g->silent == SILENT_SLICES) {
        fprintf(stderr, "reeve: the manager does not answer; still waiting, Ctrl-C ends it\n");
    }
}

/* Wait in slices. EEMPTY also when a signal came or the reader left. No answer for one slice is not
 * the end: the manager may be busy, or the connection on its way back, and the session's own end has
 * other errors. */
static reeve_err take_item(struct get *g, reeve_value **item)
{
    rv_ns began = rv_clock_now();
    rv_ns until = rv_after_ms(began, patience(g));
    rv_ns answer_by = rv_after_ms(began, ANSWER_MS);
    reeve_err err = REEVE_OK;
    bool over = false;

    do {
        rv_ns now = rv_clock_now();
        rv_ns left = until == RV_NEVER ? RV_NEVER : until - now;
        bool last = left <= SLICE_MS * RV_MS;
        uint32_t ms = last && left > 0 ? (uint32_t)(left / RV_MS) : 0;

        /* A busy manager is not asked for less than it could give. */
        err = reeve_queue_get(item, g->queue, last && err != REEVE_ETIME ? ms : SLICE_MS);
        if (!last)
            tell_silence(g, err);
        over = last && (err == REEVE_EEMPTY || now >= answer_by);
    } while ((err == REEVE_EEMPTY || err == REEVE_ETIME) && !over && cli_stopped() == 0 &&
             !reader_left());
    return err;
}

/* Nothing is left to take, or nothing may be: what does it mean? */
static int end_of_items(const struct get *g, reeve_err err)
{
    if (reader_left())
        return EXIT_SIGNAL + SIGPIPE;
    if (cli_stopped() != 0)
        return g->args->follow ? EXIT_DONE : EXIT_SIGNAL + cli_stopped();
    if (err == REEVE_ESHUTDOWN && g->args->follow)
        return EXIT_DONE;
    return g->items > 0 ? EXIT_DONE : EXIT_NOTHING;
}

static int get_items(struct get *g)
{
    int code = EXIT_DONE;

    while (code == EXIT_DONE && cli_stopped() == 0 && !enough(g)) {
        reeve_value *item = NULL;
        bool waiting = g->batch_len > 0; /* lines, which are written before the long wait */
        reeve_err err = take_item(g, &item);

        if (err == REEVE_OK) {
            code = keep_item(g, item);
            continue;
        }
        code = write_batch(g);
        if (code != EXIT_DONE || (waiting && err == REEVE_EEMPTY && g->args->follow))
            continue;
        if (err != REEVE_EEMPTY && err != REEVE_ESHUTDOWN)
            return cli_fail_call(err);
        return end_of_items(g, err);
    }
    if (code == EXIT_DONE)
        code = write_batch(g);
    return code == EXIT_DONE && cli_stopped() != 0 ? end_of_items(g, REEVE_EEMPTY) : code;
}

static int get_all(const struct cli_args *args, reeve_context *ctx)
{
    struct get g = {.args = args};
    bool waits = args->follow || args->joinable || cli_timeout(args, 0) > 0;
    reeve_err err = cli_open_queue(&g.queue, ctx, args, waits);
    int code = EXIT_DONE;

    if (err != REEVE_OK)
        return cli_fail_call(err);
    g.joinable =
        reeve_queue_task_done(g.queue, NULL) != REEVE_ETYPE; /* nothing is unfinished yet */
    g.batch_max = g.joinable && !isatty(STDOUT_FILENO) ? BATCH_ITEMS : 1;
    code = get_items(&g);
    if (args->verbose)
        fprintf(stderr, "reeve: got %" PRIu64 " items\n", g.items);
    reeve_queue_close(&g.queue);
    free(g.lines);
    return code;
}

int run_get(const struct cli_args *args)
{
    reeve_context *ctx = NULL;
    int code = cli_open(&ctx, args);

    cli_catch_signals();
    if (code == EXIT_DONE)
        code = get_all(args, ctx);
    code = cli_close(&ctx, code);
    if (code == EXIT_SIGNAL + SIGPIPE) {
        signal(SIGPIPE, SIG_DFL);
        raise(SIGPIPE);
    }
    return code;
}
