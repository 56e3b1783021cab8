/* cmd_map.c -- reeve map: one command a line, on all agents; reeve run: one command on one of them.
 *
 * The main thread reads lines and gives them to a pool; a thread of the pool brings results. What
 * is given and has no result yet is bounded, so that any number of lines takes constant memory.
 */

#include "cli/cli.h"
#include "cli/joblog.h"
#include "cli/template.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <utlist.h>

enum {
    AHEAD = 4096,  /* lines given whose results are not printed */
    LOOK_MS = 100, /* so often it is looked whether somebody pressed Ctrl-C */
    END_MS = 2000, /* that commands may take to end then */
    BAR_MS = 200,  /* between two drawings of the bar */
    BAR_WIDTH = 30,
};

/* A line that was given. */
struct line {
    struct map *map;
    char *text;
    uint64_t number; /* from 1, as it was read */
    bool done;
    bool ok;
    bool itself;              /* it is its own end that is told, and not that of the map */
    reeve_results *results;   /* with -k, until it is its turn */
    struct line *prev, *next; /* in the order of the lines */
};

struct map {
    const struct cli_args *args;
    struct template template;
    struct joblog log;
    reeve_context *ctx;
    reeve_pool *pool;
    reeve_builder *item;
    pthread_mutex_t mutex; /* of what follows */
    pthread_cond_t changed;
    struct line *lines;
    uint64_t given, done, failed, again;
    uint64_t left;   /* given, and not printed yet: with -k more than those that are not done */
    uint64_t total;  /* 0: not known */
    reeve_err error; /* that ends it all */
    bool broken;     /* it is standard output that ended it, */
    int write_error; /* by this */
    char why[400];
    bool bar;
    struct timespec began;
    double drawn_at;
};

static double seconds_since(const struct timespec *then)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)(now.tv_sec - then->tv_sec) + (double)(now.tv_nsec - then->tv_nsec) / 1e9;
}

/* ---- the bar: on a terminal only ---- */

/* It makes room for what is printed, and is drawn anew behind that. */
static void clear_bar(struct map *m)
{
    if (m->bar)
        fputs("\r\033[K", stderr);
    m->drawn_at = -1;
}

static void draw_bar(struct map *m)
{
    double t = seconds_since(&m->began);
    double rate = t > 0 ? (double)m->done / t : 0;
    char eta[CLI_TEXT] = "";
    int full = 0;

    if (!m->bar || t - m->drawn_at < BAR_MS / 1000.0)
        return;
    clear_bar(m);
    m->drawn_at = t;
    if (m->total == 0) {
        fprintf(stderr, "%" PRIu64 " done, %" PRIu64 " running   %.0f/s", m->done,
                m->given - m->done, rate);
    } else {
        full = (int)((double)BAR_WIDTH * (double)m->done / (double)m->total);
        for (int i = 0; i < BAR_WIDTH; i++)
            fputc(i < full ? '#' : '-', stderr);
        if (rate > 0)
            cli_span(eta, (uint64_t)((double)(m->total - m->done) / rate * 1000));
        fprintf(stderr, "  %" PRIu64 "/%" PRIu64 "   %.0f/s   eta %s", m->done, m->total, rate,
                eta);
    }
    if (m->failed > 0)
        fprintf(stderr, "   %" PRIu64 " failed", m->failed);
    if (m->again > 0)
        fprintf(stderr, "   %" PRIu64 " tried again", m->again);
    fflush(stderr);
}

/* ---- results ---- */

static void tag_lines(FILE *to, const char *tag, const char *bytes, size_t len)
{
    while (len > 0) {
        const char *end = memchr(bytes, '\n', len);
        size_t n = end == NULL ? len : (size_t)(end - bytes) + 1;

        fprintf(to, "%s\t", tag);
        fwrite(bytes, 1, n, to);
        bytes += n;
        len -= n;
    }
}

/* What a command printed, whole. */
static void print_stream(struct map *m, const struct line *line, const reeve_value *value,
                         const char *key, FILE *to)
{
    const void *bytes = NULL;
    size_t len = 0;

    if (!reeve_get_bytes(reeve_value_find(value, key), &bytes, &len) || len == 0)
        return;
    clear_bar(m);
    if (m->args->tag)
        tag_lines(to, line->text, bytes, len);
    else
        fwrite(bytes, 1, len, to);
    if ((fflush(to) != 0 || ferror(to)) && to == stdout && m->write_error == 0)
        m->write_error = errno;
}

/* Nobody reads any more, or there is no room: what still runs would run for nothing. */
static void watch_stdout(struct map *m)
{
    if (!ferror(stdout) || m->error != REEVE_OK)
        return;
    m->error = REEVE_ESYS;
    m->broken = true;
    snprintf(m->why, sizeof m->why, "cannot write to standard output: %s",
             strerror(m->write_error));
}

static void print_line(struct map *m, struct line *line)
{
    reeve_record record;
    const reeve_value *value = NULL;

    if (line->results != NULL) {
        value = reeve_results_value(line->results, 0);
        print_stream(m, line, value, "out", stdout);
        print_stream(m, line, value, "err", stderr);
        if (reeve_results_record(line->results, 0, &record) == REEVE_OK) {
            joblog_add(&m->log, &m->template, line->text, line->number, &record, value);
            m->again += record.runs > 1 ? record.runs - 1 : 0;
            if (line->itself && value == NULL) {
                clear_bar(m);
                (void)cli_fail(EXIT_FAILED, "item %" PRIu64 " (%s): %s", line->number, line->text,
                               record.message);
            }
        }
    }
    DL_DELETE(m->lines, line);
    m->left--;
    reeve_results_free(&line->results);
    free(line->text);
    free(line);
    watch_stdout(m);
}

/* Those at the head whose results are there; without -k, this one. */
static void print_ready(struct map *m, struct line *line)
{
    if (!m->args->keep_order) {
        print_line(m, line);
        return;
    }
    while (m->lines != NULL && m->lines->done)
        print_line(m, m->lines);
}

/* A copy of what a callback is lent: it keeps only what printing needs. */
static void on_result(void *arg, reeve_err err, reeve_results *results)
{
    struct line *line = arg;
    struct map *m = line->map;

    pthread_mutex_lock(&m->mutex);
    line->done = true;
    line->ok = err == REEVE_OK;
    line->itself = err == REEVE_EITEM;
    m->done++;
    m->failed += !line->ok;
    if (err != REEVE_OK && err != REEVE_EITEM && m->error == REEVE_OK) {
        m->error = err;
        snprintf(m->why, sizeof m->why, "%s", reeve_errmsg());
    }
    line->results = results != NULL ? reeve_results_keep(results) : NULL;
    print_ready(m, line);
    draw_bar(m);
    pthread_cond_broadcast(&m->changed);
    pthread_mutex_unlock(&m->mutex);
}

/* ---- lines ---- */

static bool stopped(const struct map *m)
{
    return cli_stopped() != 0 || m->error != REEVE_OK;
}

/* Wait until so few are not printed, or it is to end. */
static void wait_until(struct map *m, uint64_t most)
{
    pthread_mutex_lock(&m->mutex);
    while (m->left > most && !stopped(m)) {
        struct timespec until;

        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_nsec += LOOK_MS * 1000000L;
        until.tv_sec += until.tv_nsec / 1000000000L;
        until.tv_nsec %= 1000000000L;
        (void)pthread_cond_timedwait(&m->changed, &m->mutex, &until);
        draw_bar(m);
    }
    pthread_mutex_unlock(&m->mutex);
}

static reeve_err give(struct map *m, char *text, uint64_t number)
{
    struct line *line = calloc(1, sizeof *line);
    reeve_map_options options = {.callback = on_result, .arg = line};
    reeve_async *async = NULL;
    reeve_err err = REEVE_OK;

    if (line == NULL || text == NULL) {
        free(line);
        free(text);
        return REEVE_ENOMEM;
    }
    *line = (struct line){.map = m, .text = text, .number = number};
    reeve_builder_reset(m->item);
    template_put(&m->template, text, number, m->item);
    pthread_mutex_lock(&m->mutex);
    DL_APPEND(m->lines, line);
    m->given++;
    m->left++;
    pthread_mutex_unlock(&m->mutex);
    err = reeve_pool_apply_async(&async, m->pool, REEVE_NAMED("reeve.command"), m->item, &options);
    reeve_async_free(&async);
    if (err == REEVE_OK)
        return err;
    pthread_mutex_lock(&m->mutex);
    DL_DELETE(m->lines, line);
    m->given--;
    m->left--;
    pthread_mutex_unlock(&m->mutex);
    free(line->text);
    free(line);
    return err;
}

static reeve_err give_line(struct map *m, const char *text, uint64_t number)
{
    if (joblog_has(&m->log, number))
        return REEVE_OK;
    wait_until(m, AHEAD - 1);
    return stopped(m) ? REEVE_OK : give(m, strdup(text), number);
}

static reeve_err give_stdin(struct map *m)
{
    char *text = NULL;
    size_t size = 0;
    uint64_t number = 0;
    reeve_err err = REEVE_OK;

    while (err == REEVE_OK && !stopped(m)) {
        ssize_t len = getline(&text, &size, stdin);

        if (len < 0)
            break;
        if (len > 0 && text[len - 1] == '\n')
            text[len - 1] = '\0';
        err = give_line(m, text, ++number);
    }
    free(text);
    return err;
}

static reeve_err give_all(struct map *m, char **inputs, int inputs_len)
{
    reeve_err err = REEVE_OK;

    if (inputs == NULL)
        return give_stdin(m);
    m->total = (uint64_t)inputs_len;
    for (int i = 0; i < inputs_len && err == REEVE_OK && !stopped(m); i++)
        err = give_line(m, inputs[i], (uint64_t)i + 1);
    return err;
}

/* ---- from beginning to end ---- */

static reeve_err open_pool(struct map *m, const char *labels)
{
    char folder[4096];
    const struct cli_args *args = m->args;
    reeve_pool_options options = {
        .commands = true,
        .detail = true,
        .processes = args->jobs.given ? args->jobs.value : 0,
        .retries = args->retries.given ? args->retries.value : 0,
        .timeout_ms = args->timeout.given ? args->timeout.value : 0,
        .labels = labels,
        .folder = args->folder != NULL ? args->folder : getcwd(folder, sizeof folder),
    };

    return reeve_pool_open(&m->pool, m->ctx, &options);
}

/* All that it has ends now, or has ended. Who does not within END_MS is left to its agent. */
static void end_pool(struct map *m, bool at_once)
{
    reeve_err err = at_once ? reeve_pool_terminate(m->pool) : reeve_pool_end(m->pool);

    if (err == REEVE_OK)
        err = reeve_pool_join(m->pool, END_MS);
    reeve_pool_close(&m->pool);
}

/* A reader that left is no news, as for any filter. */
static int fail_output(const struct map *m)
{
    clearerr(stdout);
    if (m->write_error == EPIPE)
        return EXIT_SIGNAL + SIGPIPE;
    return cli_fail(EXIT_AGAIN, "%s", m->why);
}

static int finish(struct map *m, reeve_err err)
{
    int code = EXIT_DONE;

    if (err == REEVE_OK && !stopped(m)) {
        m->total = m->total == 0 ? m->given : m->total;
        wait_until(m, 0);
    }
    if (err != REEVE_OK) {
        code = cli_fail_call(err);
    } else if (cli_stopped() != 0) {
        code = EXIT_SIGNAL + cli_stopped();
    } else if (m->error != REEVE_OK) {
        clear_bar(m);
        code = m->broken ? fail_output(m) : cli_fail(cli_exit_of(m->error), "%s", m->why);
    } else if (m->failed > 0) {
        code = EXIT_FAILED;
    }
    end_pool(m, code != EXIT_DONE && code != EXIT_FAILED);
    clear_bar(m);
    return code;
}

static int map_all(struct map *m, char **inputs, int inputs_len)
{
    reeve_err err = REEVE_OK;
    int code = EXIT_DONE;

    m->item = reeve_builder_new();
    err = open_pool(m, m->args->label);
    if (err != REEVE_OK)
        return cli_fail_call(err);
    clock_gettime(CLOCK_MONOTONIC, &m->began);
    m->bar = m->args->bar && isatty(STDERR_FILENO);
    code = finish(m, give_all(m, inputs, inputs_len));
    while (m->lines != NULL) { /* of those that were not done */
        struct line *line = m->lines;

        DL_DELETE(m->lines, line);
        reeve_results_free(&line->results);
        free(line->text);
        free(line);
    }
    return code;
}

/* Words behind ::: are the lines. NULL: there is none, and lines come from standard input. */
static char **inputs_of(const struct cli_args *args, int *words_len, int *inputs_len)
{
    for (int i = 0; i < args->words_len; i++)
        if (strcmp(args->words[i], ":::") == 0) {
            *words_len = i;
            *inputs_len = args->words_len - i - 1;
            return args->words + i + 1;
        }
    *words_len = args->words_len;
    return NULL;
}

int run_map(const struct cli_args *args)
{
    struct map m = {.args = args};
    int words_len = 0;
    int inputs_len = 0;
    char **inputs = inputs_of(args, &words_len, &inputs_len);
    int code = EXIT_DONE;

    if (args->resume && args->joblog == NULL)
        return cli_fail_usage(args, "cannot map: --resume wants --joblog FILE beside it");
    template_init(&m.template, args->words, words_len);
    code = joblog_open(&m.log, args->joblog, args->resume);
    if (code == EXIT_DONE)
        code = cli_open(&m.ctx, args);
    if (code != EXIT_DONE) {
        joblog_close(&m.log);
        return code;
    }
    cli_catch_signals();
    pthread_mutex_init(&m.mutex, NULL);
    pthread_cond_init(&m.changed, NULL);
    code = map_all(&m, inputs, inputs_len);
    reeve_builder_free(&m.item);
    code = cli_close(&m.ctx, code);
    pthread_cond_destroy(&m.changed);
    pthread_mutex_destroy(&m.mutex);
    joblog_close(&m.log);
    return code;
}

/* ---- reeve run ---- */

static int code_of_run(const reeve_value *value, reeve_err err)
{
    int64_t code = 0;

    if (!reeve_get_int(reeve_value_find(value, "code"), &code))
        return err == REEVE_OK ? EXIT_DONE : cli_fail_call(err);
    return code < 0 ? EXIT_SIGNAL - (int)code : (int)code;
}

static int run_one(struct map *m)
{
    reeve_async *async = NULL;
    reeve_results *results = NULL;
    struct line line = {.map = m, .text = m->args->words[0], .number = 1};
    reeve_err err = open_pool(m, m->args->host);
    int code = EXIT_DONE;

    if (err == REEVE_OK)
        err = reeve_pool_apply_async(&async, m->pool, REEVE_NAMED("reeve.command"), m->item, NULL);
    while (err == REEVE_OK && reeve_async_wait(async, LOOK_MS) != REEVE_OK)
        if (cli_stopped() != 0)
            break;
    if (err == REEVE_OK && cli_stopped() != 0) {
        code = EXIT_SIGNAL + cli_stopped();
    } else if (err == REEVE_OK) {
        err = reeve_async_get(&results, async, REEVE_FOREVER);
        print_stream(m, &line, reeve_results_value(results, 0), "out", stdout);
        print_stream(m, &line, reeve_results_value(results, 0), "err", stderr);
        code = code_of_run(reeve_results_value(results, 0), err);
    } else {
        code = cli_fail_call(err);
    }
    reeve_results_free(&results);
    reeve_async_free(&async);
    if (m->pool != NULL)
        end_pool(m, true);
    return code;
}

int run_run(const struct cli_args *args)
{
    struct map m = {.args = args, .item = reeve_builder_new()};
    int code = cli_open(&m.ctx, args);

    (void)reeve_put_array(m.item, (size_t)args->words_len);
    for (int i = 0; i < args->words_len; i++)
        (void)reeve_put_str(m.item, args->words[i]);
    cli_catch_signals();
    if (code == EXIT_DONE)
        code = run_one(&m);
    reeve_builder_free(&m.item);
    return cli_close(&m.ctx, code);
}
