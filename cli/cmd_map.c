/* cmd_map.c -- reeve map: one command a line, on all agents; reeve run: one command on one of them.
 *
 * The main thread reads lines and gives them to a pool; a thread of the pool brings results. What
 * is given and has no result yet is bounded, so that any number of lines takes constant memory.
 */

#include "cli/cli.h"
#include "cli/note.h"
#include "cli/show.h"
#include "cli/template.h"
#include "common/net/net.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>
#include <utlist.h>

enum {
    AHEAD = 4096,  /* lines given whose results are not printed */
    LOOK_MS = 100, /* so often it is looked whether somebody pressed Ctrl-C */
    END_MS = 2000, /* that commands may take to end then */
    BATCH = 256,   /* lines that are given together, when nobody waits for them */
    GIVE_MS = 60000,
    LONE_MS = 3000, /* who waits so long for an agent is told, once */
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
    struct show show; /* guarded by the mutex while the pool runs */
    reeve_context *ctx;
    reeve_pool *pool;
    reeve_builder *item;
    reeve_items *batch;    /* --detach: lines to be given; else NULL */
    char name[64];         /* --detach: of the job */
    pthread_mutex_t mutex; /* of what follows */
    pthread_cond_t changed;
    struct line *lines;
    uint64_t given;
    uint64_t left;   /* given, and not printed yet: with -k more than those that are not done */
    uint64_t ended;  /* items when it was looked last, */
    rv_ns ended_at;  /* and since when it is so many */
    bool lone;       /* it was told that there is no agent */
    reeve_err error; /* that ends it all */
    char why[400];
};

/* Nothing has ended for long, and no agent is there. */
static void look_for_agents(struct map *m, const reeve_progress *now)
{
    const char *labels = m->args->host != NULL ? m->args->host : m->args->label;

    if (m->ended_at == 0 || now->done != m->ended || now->agents > 0) {
        m->ended = now->done;
        m->ended_at = rv_clock_now();
        m->lone = false;
    }
    if (m->lone || rv_clock_now() - m->ended_at < LONE_MS * RV_MS)
        return;
    m->lone = true;
    show_clear(&m->show);
    if (labels != NULL)
        (void)cli_fail(EXIT_AGAIN,
                       "there is no agent %s now, and it is waited for; reeve status shows "
                       "the agents",
                       labels);
    else
        (void)cli_fail(EXIT_AGAIN, "there is no agent now, and one is waited for; start one: reeve "
                                   "worker");
}

static void draw(struct map *m)
{
    reeve_progress now;

    if (reeve_pool_progress(m->pool, &now) != REEVE_OK)
        return;
    look_for_agents(m, &now);
    show_bar(&m->show, &now);
}

/* A reason that the library gave for the function that stands for all commands. */
static int fail_command(const struct map *m, reeve_err err, const char *why)
{
    static const char prefix[] = "cannot apply reeve.command: ";
    const char *labels = m->args->host != NULL ? m->args->host : m->args->label;
    const char *at = strncmp(why, prefix, sizeof prefix - 1) == 0 ? why + sizeof prefix - 1 : NULL;
    bool run = m->args->command == CLI_run;

    if (at == NULL)
        return cli_fail(cli_exit_of(err), "%s", why);
    if (err == REEVE_ENOAGENT && labels != NULL)
        return cli_fail(cli_exit_of(err),
                        "cannot %s: no agent %s has come; reeve status shows the "
                        "agents",
                        run ? "run" : "map", labels);
    return cli_fail(cli_exit_of(err), "cannot %s%s%s: %s", run ? "run" : "map", run ? " " : "",
                    run ? m->args->words[0] : "", at);
}

/* ---- results ---- */

static void print_line(struct map *m, struct line *line)
{
    reeve_record record;
    struct shown shown = {.line = line->text, .number = line->number, .itself = line->itself};
    char *command = NULL;

    if (line->results != NULL) {
        shown.value = reeve_results_value(line->results, 0);
        if (reeve_results_record(line->results, 0, &record) == REEVE_OK)
            shown.record = &record;
        if (m->show.log.file != NULL)
            command = template_text(&m->template, line->text, line->number);
        shown.command = command == NULL ? "" : command;
        show_command(&m->show, &shown);
        free(command);
    }
    DL_DELETE(m->lines, line);
    m->left--;
    reeve_results_free(&line->results);
    free(line->text);
    free(line);
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
    m->show.done++;
    m->show.failed += !line->ok;
    if (err != REEVE_OK && err != REEVE_EITEM && m->error == REEVE_OK) {
        m->error = err;
        snprintf(m->why, sizeof m->why, "%s", reeve_errmsg());
    }
    line->results = results != NULL ? reeve_results_keep(results) : NULL;
    print_ready(m, line);
    if (m->show.bar)
        draw(m);
    pthread_cond_broadcast(&m->changed);
    pthread_mutex_unlock(&m->mutex);
}

/* ---- lines ---- */

static bool stopped(const struct map *m)
{
    return cli_stopped() != 0 || m->error != REEVE_OK || m->show.broken;
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
        draw(m);
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

/* ---- --detach: nobody waits here ---- */

static reeve_err give_batch(struct map *m)
{
    reeve_async *async = NULL;
    reeve_err err = REEVE_OK;

    if (reeve_items_len(m->batch) == 0)
        return REEVE_OK;
    err = reeve_pool_map_async(&async, m->pool, REEVE_NAMED("reeve.command"), m->batch, NULL);
    reeve_async_free(&async);
    reeve_items_free(&m->batch);
    m->batch = reeve_items_new();
    return err;
}

/* The line and its number go along with the command. */
static reeve_err give_away(struct map *m, const char *text, uint64_t number)
{
    char *command = template_text(&m->template, text, number);

    reeve_builder_reset(m->item);
    (void)reeve_put_map(m->item, 2);
    (void)reeve_put_str(m->item, "argv");
    template_put(&m->template, text, number, m->item);
    (void)reeve_put_str(m->item, "note");
    note_put(m->item, number, text, command == NULL ? "" : command);
    free(command);
    (void)reeve_items_add(m->batch, m->item);
    m->given++;
    return reeve_items_len(m->batch) < BATCH ? REEVE_OK : give_batch(m);
}

static reeve_err give_line(struct map *m, const char *text, uint64_t number)
{
    if (m->batch != NULL)
        return give_away(m, text, number);
    if (joblog_has(&m->show.log, number))
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
    m->show.total = (uint64_t)inputs_len;
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
        .durable = cli_durable(args),
        .name = m->name[0] == '\0' ? NULL : m->name,
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

static int finish(struct map *m, reeve_err err)
{
    int code = EXIT_DONE;

    if (err == REEVE_OK && !stopped(m)) {
        m->show.total = m->given;
        wait_until(m, 0);
    }
    if (err != REEVE_OK) {
        code = cli_fail_call(err);
    } else if (cli_stopped() != 0) {
        code = EXIT_SIGNAL + cli_stopped();
    } else if (m->error != REEVE_OK) {
        show_clear(&m->show);
        code = fail_command(m, m->error, m->why);
    } else if (m->show.broken) {
        show_clear(&m->show);
        code = show_fail(&m->show);
    } else {
        code = show_end(&m->show);
    }
    end_pool(m, code != EXIT_DONE && code != EXIT_FAILED);
    show_clear(&m->show);
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

/* A name that nobody has. */
static void make_name(struct map *m)
{
    uint32_t x = 0;

    if (m->args->detach.value != NULL)
        snprintf(m->name, sizeof m->name, "%s", m->args->detach.value);
    else if (getrandom(&x, sizeof x, 0) == (ssize_t)sizeof x)
        snprintf(m->name, sizeof m->name, "map-%06x", (unsigned)(x & 0xffffff));
}

static int fail_detach(const struct map *m, reeve_err err)
{
    if (err != REEVE_EEXIST)
        return cli_fail_call(err);
    return cli_fail(EXIT_CHANGE,
                    "cannot map: there is a job named %s; reeve attach %s shows it, reeve rm %s "
                    "forgets it",
                    m->name, m->name, m->name);
}

static reeve_err leave_all(struct map *m)
{
    reeve_err err = REEVE_ETIME;

    while (err == REEVE_ETIME && !stopped(m))
        err = reeve_pool_detach(m->pool, LOOK_MS);
    return err;
}

static int map_away(struct map *m, char **inputs, int inputs_len)
{
    reeve_err err = REEVE_OK;
    int code = EXIT_DONE;

    m->item = reeve_builder_new();
    m->batch = reeve_items_new();
    make_name(m);
    err = open_pool(m, m->args->label);
    if (err != REEVE_OK)
        return fail_detach(m, err);
    err = give_all(m, inputs, inputs_len);
    if (err == REEVE_OK && !stopped(m))
        err = give_batch(m);
    if (err == REEVE_OK)
        err = leave_all(m);
    if (cli_stopped() != 0)
        code = EXIT_SIGNAL + cli_stopped();
    else if (err != REEVE_OK)
        code = fail_detach(m, err);
    reeve_pool_close(&m->pool);
    reeve_items_free(&m->batch);
    if (code != EXIT_DONE)
        return code;
    printf("%s\n", m->name);
    fprintf(stderr,
            "reeve: the manager has all %" PRIu64 " lines; reeve attach %s shows their output\n",
            m->given, m->name);
    return code;
}

/* With --detach nothing is shown here. */
static int check_detach(const struct cli_args *args)
{
    size_t len = 0;

    if (!args->detach.given)
        return EXIT_DONE;
    if (args->keep_order || args->tag || args->bar || args->joblog != NULL || args->resume)
        return cli_fail_usage(args, "cannot map with --detach and -k, --tag, --bar, --joblog or "
                                    "--resume: these are for reeve attach");
    if (args->detach.value == NULL)
        return EXIT_DONE;
    len = strlen(args->detach.value);
    if (len >= sizeof((struct map *)0)->name || strspn(args->detach.value, "0123456789") == len)
        return cli_fail_usage(args,
                              "cannot map with --detach=%s: a name has at most %zu characters, and "
                              "is not a number",
                              args->detach.value, sizeof((struct map *)0)->name - 1);
    return EXIT_DONE;
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
    code = check_detach(args);
    if (code != EXIT_DONE)
        return code;
    template_init(&m.template, args->words, words_len);
    code = show_open(&m.show, args);
    if (code == EXIT_DONE)
        code = cli_open(&m.ctx, args);
    if (code != EXIT_DONE) {
        show_close(&m.show);
        return code;
    }
    cli_catch_signals();
    pthread_mutex_init(&m.mutex, NULL);
    pthread_cond_init(&m.changed, NULL);
    code = args->detach.given ? map_away(&m, inputs, inputs_len) : map_all(&m, inputs, inputs_len);
    reeve_builder_free(&m.item);
    code = cli_close(&m.ctx, code);
    pthread_cond_destroy(&m.changed);
    pthread_mutex_destroy(&m.mutex);
    show_close(&m.show);
    return code;
}

/* ---- reeve run ---- */

static int code_of_run(const struct map *m, const reeve_value *value, reeve_err err)
{
    int64_t code = 0;

    if (!reeve_get_int(reeve_value_find(value, "code"), &code))
        return err == REEVE_OK ? EXIT_DONE : fail_command(m, err, reeve_errmsg());
    return code < 0 ? EXIT_SIGNAL - (int)code : (int)code;
}

static int run_one(struct map *m)
{
    reeve_async *async = NULL;
    reeve_results *results = NULL;
    reeve_err err = open_pool(m, m->args->host);
    int code = EXIT_DONE;

    if (err == REEVE_OK)
        err = reeve_pool_apply_async(&async, m->pool, REEVE_NAMED("reeve.command"), m->item, NULL);
    while (err == REEVE_OK && reeve_async_wait(async, LOOK_MS) != REEVE_OK) {
        if (cli_stopped() != 0)
            break;
        draw(m);
    }
    if (err == REEVE_OK && cli_stopped() != 0) {
        code = EXIT_SIGNAL + cli_stopped();
    } else if (err == REEVE_OK) {
        err = reeve_async_get(&results, async, REEVE_FOREVER);
        show_stream(&m->show, "", reeve_results_value(results, 0), "out", stdout);
        show_stream(&m->show, "", reeve_results_value(results, 0), "err", stderr);
        code = code_of_run(m, reeve_results_value(results, 0), err);
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
