/* pool_api.c -- a pool from its opening to its end. */

#include "proxy/pool.h"

#include "common/value/value.h"
#include "proxy/private.h"
#include "proxy/ship.h"

#include <reeve/value.h>

#include <limits.h>
#include <signal.h>
#include <stdio.h>

enum {
    OPEN_MS = 30000,
    PATIENCE_MS = 30000,     /* with a manager that others may come to, */
    OWN_PATIENCE_MS = 10000, /* and with one of our own */
    PROCESSES_MAX = 1 << 20,
};

/* ---- options ---- */

static reeve_err no_memory(void)
{
    return rv_fail(REEVE_ENOMEM, "cannot open a pool: out of memory");
}

static reeve_err check_options(const reeve_pool_options *o)
{
    for (size_t i = 0; i < rv_countof(o->reserved); i++)
        if (o->reserved[i] != 0)
            return rv_fail(REEVE_EINVAL, "cannot open a pool: a reserved option is not zero");
    if (o->processes > PROCESSES_MAX)
        return rv_fail(REEVE_EINVAL, "cannot open a pool: processes is more than %d",
                       PROCESSES_MAX);
    if (o->maxtasksperchild > INT_MAX || o->retries > INT_MAX || o->runs_max > INT_MAX)
        return rv_fail(REEVE_EINVAL, "cannot open a pool: maxtasksperchild, retries or runs_max is "
                                     "not a number of items");
    if (o->chunksize > RV_LIMIT_CHUNK_ITEMS)
        return rv_fail(REEVE_EINVAL, "cannot open a pool: chunksize is more than %d",
                       RV_LIMIT_CHUNK_ITEMS);
    if (o->module != NULL && o->commands)
        return rv_fail(REEVE_EINVAL, "cannot open a pool: it is either a module or commands");
    if ((unsigned)o->durable > REEVE_DURABLE_SYNC)
        return rv_fail(REEVE_EINVAL, "cannot open a pool: no such durable option");
    if (o->name != NULL && strlen(o->name) > RV_LIMIT_NAME_BYTES)
        return rv_fail(REEVE_ELIMIT, "cannot open a pool: a name has at most %d bytes",
                       RV_LIMIT_NAME_BYTES);
    return REEVE_OK;
}

static bool copy_text(char **to, const char *from)
{
    *to = strdup(from == NULL ? "" : from);
    return *to != NULL;
}

/* What a builder has so far becomes bytes of the pool's. */
static reeve_err keep_value(struct rv_buf *to, reeve_builder **b, const char *what)
{
    struct rv_slice bytes;
    reeve_err err = rv_builder_bytes(*b, &bytes);

    if (err == REEVE_OK)
        rv_buf_add(to, bytes.data, bytes.len);
    rv_builder_free(b);
    if (err == REEVE_OK && to->bad)
        err = REEVE_ENOMEM;
    return err == REEVE_OK ? err
                           : rv_fail(err, "cannot open a pool: %s: %s", what, reeve_strerror(err));
}

static size_t texts_len(const char *const *texts)
{
    size_t len = 0;

    while (texts[len] != NULL)
        len++;
    return len;
}

static reeve_err keep_arguments(struct rv_buf *to, const char *const *texts)
{
    reeve_builder *b = NULL;

    if (texts == NULL)
        return REEVE_OK;
    b = rv_builder_new();
    (void)reeve_put_array(b, texts_len(texts));
    for (; *texts != NULL; texts++)
        (void)reeve_put_str(b, *texts);
    return keep_value(to, &b, "its arguments");
}

/* NAME=VALUE texts as a map. */
static reeve_err keep_environment(struct rv_buf *to, const char *const *texts)
{
    reeve_builder *b = NULL;

    if (texts == NULL)
        return REEVE_OK;
    b = rv_builder_new();
    (void)reeve_put_map(b, texts_len(texts));
    for (; *texts != NULL; texts++) {
        const char *equals = strchr(*texts, '=');

        if (equals == NULL || equals == *texts) {
            rv_builder_free(&b);
            return rv_fail(REEVE_EINVAL,
                           "cannot open a pool: %s in its environment is not "
                           "NAME=VALUE",
                           *texts);
        }
        (void)reeve_put_strn(b, *texts, (size_t)(equals - *texts));
        (void)reeve_put_str(b, equals + 1);
    }
    return keep_value(to, &b, "its environment");
}

static reeve_err keep_initarg(struct rv_buf *to, const reeve_builder *b)
{
    struct rv_slice bytes;
    reeve_err err = REEVE_OK;

    if (b == NULL)
        return REEVE_OK;
    err = rv_builder_bytes(b, &bytes);
    if (err != REEVE_OK)
        return rv_fail(err,
                       "cannot open a pool: the initializer's argument is not one whole value");
    rv_buf_add(to, bytes.data, bytes.len);
    return to->bad ? no_memory() : REEVE_OK;
}

static reeve_err copy_options(reeve_pool *pool, const reeve_pool_options *o)
{
    reeve_err err = REEVE_OK;

    if (!copy_text(&pool->initializer, o->initializer == NULL ? NULL : o->initializer->name) ||
        !copy_text(&pool->folder, o->folder) || !copy_text(&pool->labels, o->labels) ||
        !copy_text(&pool->name, o->name) ||
        (o->module != NULL && !copy_text(&pool->module, o->module)))
        return no_memory();
    err = keep_initarg(&pool->initarg, o->initarg);
    if (err == REEVE_OK)
        err = keep_arguments(&pool->arguments, o->arguments);
    if (err == REEVE_OK)
        err = keep_environment(&pool->environment, o->environment);
    pool->patience_ms = o->start_timeout_ms != 0 ? o->start_timeout_ms
                        : pool->ctx->own != NULL ? OWN_PATIENCE_MS
                                                 : PATIENCE_MS;
    pool->open = (struct rv_job_open_args){
        .name = rv_slice_str(pool->name),
        .create = 2,
        .kind = o->commands         ? RV_CODE_COMMAND
                : o->module != NULL ? RV_CODE_MODULE
                                    : RV_CODE_PROGRAM,
        .digest = rv_slice(pool->digest, o->commands ? 0 : sizeof pool->digest),
        .initializer = rv_slice_str(pool->initializer),
        .initarg = rv_buf_slice(&pool->initarg),
        .arguments = rv_buf_slice(&pool->arguments),
        .environment = rv_buf_slice(&pool->environment),
        .folder = rv_slice_str(pool->folder),
        .labels = rv_slice_str(pool->labels),
        .total = UINT64_MAX,
        .chunk = o->chunksize,
        .retries = o->retries,
        .runs_max = o->runs_max,
        .timeout_ms = o->timeout_ms,
        .memory = o->memory_bytes,
        .maxtasks = o->maxtasksperchild,
        .processes = o->processes,
        .detail = o->detail,
        .durable = (uint8_t)o->durable,
    };
    return err;
}

/* ---- jobs; the context is entered ---- */

/* An open that nobody waits for any more is undone, or the job would stay as long as the session. */
static void open_done(struct rv_link *link, struct rv_request *call, rv_ns now,
                      const struct rv_outcome *outcome)
{
    struct rv_job_open_result opened;

    (void)now;
    rv_buf_add(&call->result, outcome->result.data, outcome->result.len);
    if (call->abandoned && outcome->error == REEVE_OK &&
        rv_job_open_result_decode(&opened, outcome->result))
        (void)rv_link_say(link, RV_OP_object_close, opened.job, rv_slice(NULL, 0));
}

static reeve_err ask_job(reeve_pool *pool, uint64_t *job)
{
    struct rv_job_open_result opened;
    struct rv_buf bytes = {0};
    struct rv_buf result = {0};
    struct rv_request *call = NULL;
    reeve_err err = REEVE_OK;

    rv_job_open_args_encode(&bytes, &pool->open);
    if (!bytes.bad)
        call = rv_link_call(&pool->ctx->link, RV_OP_job_open, 0, OPEN_MS, rv_buf_slice(&bytes),
                            NULL, 0);
    if (call != NULL)
        call->hook = open_done;
    err = rv_finish(pool->ctx, call, OPEN_MS, "open", "a pool's job", &result);
    if (err == REEVE_OK && !rv_job_open_result_decode(&opened, rv_buf_slice(&result)))
        err = rv_fail(REEVE_EPROTO, "cannot open a pool: malformed answer");
    if (err == REEVE_OK)
        *job = opened.job;
    rv_buf_free(&bytes);
    rv_buf_free(&result);
    return err;
}

static reeve_err open_job(reeve_pool *pool)
{
    struct rv_work *work = calloc(1, sizeof *work);
    uint64_t object = 0;
    reeve_err err = work == NULL ? no_memory() : REEVE_OK;

    pool->opening = true;
    if (err == REEVE_OK)
        err = ask_job(pool, &object);
    pool->opening = false;
    if (err == REEVE_OK && rv_work_init(work, &pool->ctx->link, pool->ctx->ledger, object,
                                        pool->patience_ms) != REEVE_OK) {
        (void)rv_link_say(&pool->ctx->link, RV_OP_object_close, object, rv_slice(NULL, 0));
        err = no_memory();
    }
    if (err != REEVE_OK) {
        free(work);
        return err;
    }
    pool->work = work;
    return REEVE_OK;
}

static void note_end(reeve_pool *pool)
{
    const struct rv_work *work = pool->work;

    if (work->error == REEVE_OK || work->error == REEVE_ECANCELED || pool->ended != REEVE_OK)
        return;
    pool->ended = work->error;
    snprintf(pool->why, sizeof pool->why, "%s", work->why);
}

static void drop_job(reeve_pool *pool, const char *why)
{
    struct rv_work *work = pool->work;

    if (work == NULL)
        return;
    note_end(pool);
    pool->work = NULL;
    rv_work_fini(work, REEVE_ECANCELED, why);
    pool->past.given += work->next;
    pool->past.done += work->done;
    pool->past.failed += work->failed;
    pool->past.retried += work->retried;
    free(work);
}

static bool opened(void *arg)
{
    const reeve_pool *pool = arg;

    return !pool->opening;
}

static reeve_err not_running(const reeve_pool *pool, const char *label)
{
    return rv_fail(REEVE_ENOTRUNNING, "cannot %s: the pool was %s", label,
                   pool->state == RV_POOL_ENDED ? "ended" : "terminated");
}

reeve_err rv_pool_chunk(int64_t chunksize, const char *label, uint32_t *out)
{
    *out = (uint32_t)chunksize;
    if (chunksize >= 0 && chunksize <= RV_LIMIT_CHUNK_ITEMS)
        return REEVE_OK;
    return rv_fail(REEVE_EINVAL, "cannot %s: chunksize %lld is not between 1 and %d", label,
                   (long long)chunksize, RV_LIMIT_CHUNK_ITEMS);
}

reeve_err rv_pool_enter(reeve_pool *pool, const char *label, struct rv_work **out)
{
    reeve_err err = rv_enter(pool->ctx, label, "with a pool");

    if (err != REEVE_OK)
        return err;
    if (!rv_wait(pool->ctx, opened, pool, rv_after_ms(rv_clock_now(), OPEN_MS)))
        err = rv_fail(REEVE_ETIME, "cannot %s: manager %s gives no answer", label,
                      rv_endpoint(pool->ctx));
    else if (pool->state != RV_POOL_RUNS)
        err = not_running(pool, label);
    if (err == REEVE_OK && pool->work != NULL && pool->work->error != REEVE_OK)
        drop_job(pool, "its job has ended"); /* and makes room for another */
    if (err == REEVE_OK && pool->work == NULL)
        err = open_job(pool);
    if (err == REEVE_OK && pool->state != RV_POOL_RUNS)
        err = not_running(pool, label); /* meanwhile */
    if (err != REEVE_OK)
        rv_leave(pool->ctx);
    *out = pool->work;
    return err;
}

reeve_err rv_pool_function(const reeve_pool *pool, const reeve_fn *fn, const char *verb,
                           const char **name, char label[static 64])
{
    bool named = fn != NULL && fn->name != NULL;

    *name = named ? fn->name : "reeve.command"; /* what the agent's own program calls it */
    snprintf(label, 64, "%s %.50s", verb, named ? fn->name : "commands");
    if (!named && pool->open.kind != RV_CODE_COMMAND)
        return rv_fail(REEVE_EINVAL, "cannot %s: no function was given", verb);
    if (named && strlen(fn->name) > RV_LIMIT_NAME_BYTES)
        return rv_fail(REEVE_ELIMIT, "cannot %s: a name has at most %d bytes", label,
                       RV_LIMIT_NAME_BYTES);
    return REEVE_OK;
}

/* ---- opening ---- */

static reeve_err begin_pool(reeve_pool *pool, bool again)
{
    struct rv_work *work = NULL;
    reeve_err err = REEVE_OK;

    if (pool->open.kind != RV_CODE_COMMAND)
        err = rv_ship(pool->ctx, pool->module, again, pool->digest);
    if (err == REEVE_OK)
        err = rv_pool_enter(pool, "open", &work);
    if (err == REEVE_OK)
        rv_leave(pool->ctx);
    return err;
}

reeve_err reeve_pool_open(reeve_pool **out, reeve_context *ctx, const reeve_pool_options *options)
{
    static const reeve_pool_options defaults;
    const reeve_pool_options *o = options == NULL ? &defaults : options;
    reeve_pool *pool = NULL;
    reeve_err err = check_options(o);

    *out = NULL;
    if (err != REEVE_OK)
        return err;
    pool = calloc(1, sizeof *pool);
    if (pool == NULL)
        return no_memory();
    pool->ctx = ctx;
    err = copy_options(pool, o);
    if (err == REEVE_OK)
        err = rv_enter(ctx, "open", "a pool");
    if (err == REEVE_OK)
        rv_leave(ctx);
    if (err == REEVE_OK && ctx->own != NULL && pool->name[0] != '\0')
        err = rv_fail(REEVE_EINVAL,
                      "cannot open a pool: a private manager ends with this program, "
                      "and so would %.100s",
                      pool->name);
    if (err == REEVE_OK && ctx->own != NULL)
        err = rv_private_agent(ctx->own, &pool->open.processes);
    if (err == REEVE_OK)
        err = begin_pool(pool, false);
    if (err == REEVE_ENOENT)
        err = begin_pool(pool, true); /* the manager has forgotten the program since */
    if (err != REEVE_OK) {
        rv_pool_free(pool);
        return err;
    }
    *out = pool;
    return REEVE_OK;
}

void rv_pool_free(reeve_pool *pool)
{
    free(pool->initializer);
    free(pool->folder);
    free(pool->labels);
    free(pool->module);
    free(pool->name);
    rv_buf_free(&pool->initarg);
    rv_buf_free(&pool->arguments);
    rv_buf_free(&pool->environment);
    free(pool);
}

/* ---- callbacks ---- */

static bool has_calls(void *arg)
{
    const reeve_pool *pool = arg;

    return pool->due != NULL || pool->stop;
}

static void *call_back(void *arg)
{
    reeve_pool *pool = arg;
    reeve_context *ctx = pool->ctx;

    pthread_mutex_lock(&ctx->mutex);
    while (pool->due != NULL || !pool->stop) {
        (void)rv_wait(ctx, has_calls, pool, RV_NEVER);
        if (pool->due != NULL)
            rv_async_call_back(pool);
    }
    pthread_mutex_unlock(&ctx->mutex);
    if (pool->doomed) {
        pthread_detach(pthread_self());
        rv_pool_free(pool);
    }
    return NULL;
}

reeve_err rv_pool_callbacks(reeve_pool *pool)
{
    sigset_t all;
    sigset_t old;
    int failed = 0;

    if (pool->thread_runs)
        return REEVE_OK;
    sigfillset(&all); /* the host's signals go to the host's threads */
    pthread_sigmask(SIG_SETMASK, &all, &old);
    failed = pthread_create(&pool->thread, NULL, call_back, pool);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    pool->thread_runs = failed == 0;
    return failed == 0
               ? REEVE_OK
               : rv_fail(REEVE_ESYS, "cannot start the thread of callbacks: %s", strerror(failed));
}

bool rv_pool_in_callback(const reeve_pool *pool)
{
    return pool->thread_runs && pthread_equal(pthread_self(), pool->thread);
}

/* ---- the end ---- */

bool rv_pool_idle(const reeve_pool *pool)
{
    const struct rv_work *work = pool->work;

    return pool->due == NULL && !pool->calling && !pool->opening &&
           (work == NULL || work->error != REEVE_OK || work->errands == NULL);
}

static bool is_idle(void *arg)
{
    return rv_pool_idle(arg);
}

reeve_err reeve_pool_end(reeve_pool *pool)
{
    reeve_err err = rv_enter(pool->ctx, "end", "a pool");

    if (err != REEVE_OK)
        return err;
    if (pool->state == RV_POOL_RUNS)
        pool->state = RV_POOL_ENDED;
    rv_leave(pool->ctx);
    return REEVE_OK;
}

/* All items that were given are with the manager. */
static bool is_put(void *arg)
{
    const reeve_pool *pool = arg;
    const struct rv_work *work = pool->work;

    return work == NULL || work->error != REEVE_OK || (work->due == NULL && work->puts == 0);
}

/* ... and it has heard that these are all. */
static bool is_told(void *arg)
{
    const reeve_pool *pool = arg;

    return rv_link_flushed(&pool->ctx->link) || pool->ctx->link.state == RV_LINK_DEAD;
}

static bool drawing(const reeve_pool *pool)
{
    const struct rv_errand *e = NULL;

    if (pool->work == NULL)
        return false;
    DL_FOREACH (pool->work->errands, e) {
        if (e->total == UINT64_MAX)
            return true;
    }
    return false;
}

static reeve_err say_all(reeve_pool *pool, rv_ns deadline)
{
    struct rv_link *link = &pool->ctx->link;
    struct rv_buf args = {0};
    bool said = false;

    rv_job_end_args_encode(&args, &(struct rv_job_end_args){pool->work->next, 0});
    said =
        !args.bad && rv_link_say(link, RV_OP_job_end, pool->work->port.object, rv_buf_slice(&args));
    rv_buf_free(&args);
    if (!said)
        return rv_fail(REEVE_ENOMEM, "cannot detach a pool: out of memory");
    rv_drive(pool->ctx);
    if (!rv_wait(pool->ctx, is_told, pool, deadline))
        return rv_fail(REEVE_ETIME, "cannot detach a pool: manager %s gives no answer",
                       rv_endpoint(pool->ctx));
    if (link->state == RV_LINK_DEAD)
        return rv_fail(link->error, "cannot detach a pool: %s", link->why);
    return REEVE_OK;
}

/* The context is entered. */
static reeve_err detach(reeve_pool *pool, uint32_t timeout_ms)
{
    rv_ns deadline = rv_after_ms(rv_clock_now(), timeout_ms);
    reeve_err err = REEVE_OK;

    if (pool->name[0] == '\0')
        return rv_fail(REEVE_EINVAL, "cannot detach a pool: it has no name");
    if (pool->state == RV_POOL_TERMINATED)
        return not_running(pool, "detach a pool");
    if (drawing(pool))
        return rv_fail(REEVE_EINVAL, "cannot detach a pool: an iteration has not ended");
    pool->state = RV_POOL_ENDED;
    if (!rv_wait(pool->ctx, is_put, pool, deadline))
        return rv_fail(REEVE_ETIME, "cannot detach a pool: its items are not all given after %u ms",
                       timeout_ms);
    if (pool->work == NULL)
        return not_running(pool, "detach a pool");
    if (pool->work->error != REEVE_OK)
        return rv_fail(pool->work->error, "cannot detach a pool: %s", pool->work->why);
    err = say_all(pool, deadline);
    if (err == REEVE_OK)
        drop_job(pool, "the pool was detached");
    return err;
}

reeve_err reeve_pool_detach(reeve_pool *pool, uint32_t timeout_ms)
{
    reeve_err err = rv_enter(pool->ctx, "detach", "a pool");

    if (err != REEVE_OK)
        return err;
    err = detach(pool, timeout_ms);
    rv_drive(pool->ctx);
    rv_leave(pool->ctx);
    return err;
}

static void terminate(reeve_pool *pool, const char *why)
{
    pool->state = RV_POOL_TERMINATED;
    drop_job(pool, why);
    rv_drive(pool->ctx);
}

reeve_err reeve_pool_terminate(reeve_pool *pool)
{
    reeve_err err = rv_enter(pool->ctx, "terminate", "a pool");

    if (err != REEVE_OK)
        return err;
    terminate(pool, "the pool was terminated");
    rv_leave(pool->ctx);
    return REEVE_OK;
}

reeve_err reeve_pool_join(reeve_pool *pool, uint32_t timeout_ms)
{
    reeve_err err = rv_enter(pool->ctx, "join", "a pool");

    if (err != REEVE_OK)
        return err;
    if (pool->state == RV_POOL_RUNS)
        err = rv_fail(REEVE_EINVAL,
                      "cannot join a pool that is still running; reeve_pool_end() it first");
    else if (rv_pool_in_callback(pool))
        err = rv_fail(REEVE_EINVAL, "cannot join a pool from its own callback");
    else if (!rv_wait(pool->ctx, is_idle, pool, rv_after_ms(rv_clock_now(), timeout_ms)))
        err = rv_fail(REEVE_ETIME, "cannot join a pool: it is not done after %u ms", timeout_ms);
    if (err == REEVE_OK && pool->work != NULL)
        note_end(pool);
    if (err == REEVE_OK && pool->ended != REEVE_OK)
        err = rv_fail(pool->ended, "cannot join a pool: %s", pool->why);
    rv_leave(pool->ctx);
    return err;
}

void reeve_pool_close(reeve_pool **out)
{
    reeve_pool *pool = out == NULL ? NULL : *out;
    bool join = false;

    if (pool == NULL)
        return;
    *out = NULL;
    if (rv_enter(pool->ctx, "close", "a pool") != REEVE_OK)
        return; /* a child's copy: the parent's jobs and thread are not ours to touch */
    terminate(pool, "the pool was closed");
    pool->stop = true;
    join = pool->thread_runs && !rv_pool_in_callback(pool);
    pool->doomed = pool->thread_runs && !join;
    rv_drive(pool->ctx);
    rv_leave(pool->ctx);
    if (join)
        pthread_join(pool->thread, NULL);
    if (!pool->thread_runs || join)
        rv_pool_free(pool);
}

void rv_pool_look(reeve_context *ctx, struct rv_work *work, reeve_progress *out)
{
    out->retried += work->retried;
    out->agents = work->agents;
    out->slots = work->slots;
    rv_work_look(work, rv_clock_now());
    rv_drive(ctx);
}

reeve_err reeve_pool_progress(reeve_pool *pool, reeve_progress *out)
{
    reeve_err err = rv_enter(pool->ctx, "ask", "a pool");
    struct rv_work *work = NULL;
    const struct rv_errand *e = NULL;

    *out = (reeve_progress){0};
    if (err != REEVE_OK)
        return err;
    *out = pool->past;
    work = pool->work;
    if (work != NULL) {
        out->given += work->next;
        out->done += work->done;
        out->failed += work->failed;
        DL_FOREACH (work->errands, e) {
            out->given += e->in.count;
        }
        rv_pool_look(pool->ctx, work, out);
    }
    rv_leave(pool->ctx);
    return REEVE_OK;
}
