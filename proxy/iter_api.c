/* iter_api.c -- results one after the other: of an input that may have no end, of a job of others. */

#include "proxy/pool.h"

#include "common/value/value.h"

#include <reeve/value.h>

#include <stdio.h>

enum {
    BURST = 64, /* items of the source between looks at what came */
    OPEN_MS = 30000,
    PATIENCE_MS = 30000, /* with a job that no agent can run */
};

struct reeve_iter {
    reeve_context *ctx;
    struct rv_errand *errand;
    struct rv_work *own; /* the job that it is attached to; NULL: its pool's */
    bool twice;          /* this context is attached to that job already */
    reeve_source *next;
    void *arg;
    reeve_builder *builder;
    bool dry;             /* the source has ended */
    reeve_err source_err; /* how, if it failed and nobody was told yet */
    char label[64];

    /* the result that came last */
    bool any;
    uint64_t index;
    struct rv_record *record;
    reeve_value *item;
};

static void free_iter(reeve_iter *iter)
{
    rv_builder_free(&iter->builder);
    rv_value_free(&iter->item);
    free(iter->record);
    free(iter->own);
    free(iter);
}

/* ---- opening ---- */

static reeve_err new_iter(reeve_iter **out, reeve_pool *pool, const char *function,
                          const char *label, bool ordered, const reeve_map_options *o)
{
    reeve_iter *iter = calloc(1, sizeof *iter);

    if (iter == NULL)
        return rv_fail(REEVE_ENOMEM, "cannot %s: out of memory", label);
    iter->ctx = pool->ctx;
    snprintf(iter->label, sizeof iter->label, "%s", label);
    iter->builder = rv_builder_new();
    iter->errand = rv_errand_iterate(function, ordered, o->ahead);
    *out = iter;
    return iter->builder != NULL && iter->errand != NULL
               ? REEVE_OK
               : rv_fail(REEVE_ENOMEM, "cannot %s: out of memory", label);
}

static reeve_err check(const reeve_map_options *o, reeve_source *next, const char *label)
{
    if (next == NULL)
        return rv_fail(REEVE_EINVAL, "cannot %s: no source was given", label);
    for (size_t i = 0; i < rv_countof(o->reserved); i++)
        if (o->reserved[i] != 0)
            return rv_fail(REEVE_EINVAL, "cannot %s: a reserved option is not zero", label);
    return REEVE_OK;
}

static reeve_err iterate(reeve_iter **out, reeve_pool *pool, const reeve_fn *fn, reeve_source *next,
                         void *arg, const reeve_map_options *options, bool ordered)
{
    static const reeve_map_options defaults;
    const reeve_map_options *o = options == NULL ? &defaults : options;
    struct rv_work *work = NULL;
    uint32_t chunk = 0;
    reeve_iter *iter = NULL;
    const char *name = NULL;
    char label[64];
    reeve_err err = rv_pool_function(pool, fn, "iterate", &name, label);

    *out = NULL;
    if (err == REEVE_OK)
        err = check(o, next, label);
    if (err == REEVE_OK)
        err = rv_pool_chunk(o->chunksize, label, &chunk);
    if (err == REEVE_OK)
        err = new_iter(&iter, pool, name, label, ordered, o);
    if (err == REEVE_OK)
        err = rv_pool_enter(pool, label, &work);
    if (err != REEVE_OK) {
        if (iter != NULL) {
            rv_errand_leave(iter->errand);
            free_iter(iter);
        }
        return err;
    }
    iter->next = next;
    iter->arg = arg;
    iter->errand->chunk = chunk;
    rv_errand_begin(work, iter->errand, rv_clock_now());
    rv_leave(pool->ctx);
    *out = iter;
    return REEVE_OK;
}

reeve_err reeve_pool_imap(reeve_iter **out, reeve_pool *pool, const reeve_fn *fn,
                          reeve_source *next, void *arg, const reeve_map_options *options)
{
    return iterate(out, pool, fn, next, arg, options, true);
}

reeve_err reeve_pool_imap_unordered(reeve_iter **out, reeve_pool *pool, const reeve_fn *fn,
                                    reeve_source *next, void *arg, const reeve_map_options *options)
{
    return iterate(out, pool, fn, next, arg, options, false);
}

void reeve_iter_free(reeve_iter **out)
{
    reeve_iter *iter = out == NULL ? NULL : *out;

    if (iter == NULL)
        return;
    *out = NULL;
    if (rv_enter(iter->ctx, "free", iter->label) == REEVE_OK) {
        if (iter->own != NULL)
            rv_work_fini(iter->own, REEVE_ECANCELED, "it was left");
        rv_errand_leave(iter->errand);
        rv_drive(iter->ctx); /* who joins the pool may have waited for this */
        rv_leave(iter->ctx);
    }
    free_iter(iter);
}

/* ---- attaching ---- */

/* The job is open: its results come right behind this. */
static void attached(struct rv_link *link, struct rv_request *call, rv_ns now,
                     const struct rv_outcome *outcome)
{
    reeve_iter *iter = call->arg;
    struct rv_job_open_result job;

    rv_buf_add(&call->result, outcome->result.data, outcome->result.len);
    if (outcome->error != REEVE_OK || !rv_job_open_result_decode(&job, outcome->result))
        return;
    if (!call->abandoned && rv_link_port(link, job.job) == NULL &&
        rv_work_init(iter->own, link, iter->ctx->ledger, job.job, PATIENCE_MS) == REEVE_OK) {
        rv_errand_follow(iter->own, iter->errand, job.put, job.total, now);
        return;
    }
    if (!call->abandoned)
        iter->twice = rv_link_port(link, job.job) != NULL;
    (void)rv_link_say(link, RV_OP_object_close, job.job, rv_slice(NULL, 0));
}

static reeve_err open_job(reeve_iter *iter, const char *name)
{
    struct rv_buf args = {0};
    struct rv_buf result = {0};
    struct rv_request *call = NULL;
    reeve_err err = REEVE_OK;

    rv_job_open_args_encode(&args, &(struct rv_job_open_args){.name = rv_slice_str(name)});
    if (!args.bad)
        call = rv_link_call(&iter->ctx->link, RV_OP_job_open, 0, OPEN_MS, rv_buf_slice(&args), NULL,
                            0);
    if (call != NULL) {
        call->hook = attached;
        call->arg = iter;
    }
    err = rv_finish(iter->ctx, call, OPEN_MS, "attach to", name, &result);
    if (err == REEVE_OK && iter->twice)
        err =
            rv_fail(REEVE_EEXIST, "cannot %s: this context is attached to it already", iter->label);
    else if (err == REEVE_OK && iter->own->link == NULL)
        err = rv_fail(REEVE_ENOMEM, "cannot %s: out of memory", iter->label);
    if (err != REEVE_OK) /* its answer may have come, and not been told */
        rv_work_fini(iter->own, REEVE_ECANCELED, "it was left");
    rv_buf_free(&args);
    rv_buf_free(&result);
    return err;
}

reeve_err reeve_iter_attach(reeve_iter **out, reeve_context *ctx, const char *name, bool ordered)
{
    reeve_iter *iter = NULL;
    reeve_err err = REEVE_OK;

    *out = NULL;
    if (name == NULL || name[0] == '\0')
        return rv_fail(REEVE_EINVAL, "cannot attach: no name was given");
    iter = calloc(1, sizeof *iter);
    if (iter != NULL)
        iter->own = calloc(1, sizeof *iter->own);
    if (iter != NULL && iter->own != NULL)
        iter->errand = rv_errand_watch(ordered);
    if (iter == NULL || iter->errand == NULL) {
        err = rv_fail(REEVE_ENOMEM, "cannot attach to %s: out of memory", name);
    } else {
        iter->ctx = ctx;
        iter->dry = true;
        snprintf(iter->label, sizeof iter->label, "attach to %.50s", name);
        err = rv_enter(ctx, "attach to", name);
    }
    if (err == REEVE_OK) {
        err = open_job(iter, name);
        rv_leave(ctx);
    }
    if (err != REEVE_OK && iter != NULL) {
        rv_errand_leave(iter->errand);
        free_iter(iter);
        return err;
    }
    *out = iter;
    return err;
}

/* ---- the source; the context is entered ---- */

static bool here(const reeve_iter *iter)
{
    struct rv_result result;

    return rv_errand_next(iter->errand, &result);
}

static bool hungry(const reeve_iter *iter)
{
    return !iter->dry && rv_errand_hungry(iter->errand);
}

static void run_dry(reeve_iter *iter, reeve_err err)
{
    iter->dry = true;
    iter->source_err = err;
    rv_errand_end(iter->errand);
}

/* One item from the source, which is asked without the mutex, since it may call the library. */
static void draw(reeve_iter *iter)
{
    struct rv_slice bytes;
    struct rv_slice refs;
    uint32_t store = 0;
    bool more = false;
    reeve_err err = REEVE_OK;

    rv_leave(iter->ctx);
    rv_builder_reset(iter->builder);
    more = iter->next(iter->arg, iter->builder);
    if (more)
        err = rv_builder_item(iter->builder, &bytes, &refs, &store);
    else if (!rv_builder_empty(iter->builder))
        err = rv_builder_check(iter->builder);
    pthread_mutex_lock(&iter->ctx->mutex);
    if (iter->errand->work == NULL)
        return;
    if (more && err == REEVE_OK)
        err = rv_errand_add(iter->errand, bytes, refs);
    if (!more || err != REEVE_OK)
        run_dry(iter, err);
}

static void send_on(reeve_iter *iter)
{
    struct rv_work *work = iter->errand->work;

    if (work == NULL)
        return;
    rv_work_feed(work, rv_clock_now());
    if (rv_link_ready(&iter->ctx->link))
        rv_drive(iter->ctx);
}

/* Enough is on its way for as long as it takes to hand out what is here. */
static bool can_wait(const reeve_iter *iter)
{
    const struct rv_errand *e = iter->errand;

    return here(iter) && e->put + e->in.count - e->out.done >= e->ahead / 2;
}

/* Ask the source for as much as may be ahead. What was asked for leaves at once while nothing is
 * on its way, and then in company. */
static void fill(reeve_iter *iter)
{
    unsigned drawn = 0;

    if (can_wait(iter))
        return;
    while (hungry(iter)) {
        draw(iter);
        drawn++;
        if (iter->errand->work != NULL && (iter->errand->work->puts == 0 || drawn % BURST == 0))
            send_on(iter);
    }
    if (drawn > 0)
        send_on(iter);
}

/* ---- results ---- */

static bool can_go_on(void *arg)
{
    const reeve_iter *iter = arg;

    return iter->errand->work == NULL || here(iter) || hungry(iter);
}

/* Hand one out. */
static reeve_err hand_out(reeve_iter *iter, const struct rv_result *result, reeve_value **out)
{
    reeve_err err = REEVE_OK;

    free(iter->record);
    rv_value_free(&iter->item);
    iter->record = NULL;
    iter->any = true;
    iter->index = result->index;
    if (result->has_value)
        err = rv_value_parse(out, result->value);
    if (err == REEVE_OK && result->record != NULL && result->record->lien != NULL)
        rv_lien_bind(rv_lien_keep(result->record->lien), *out);
    if (result->record != NULL && err == REEVE_OK) {
        iter->record =
            rv_record_new(result->record, rv_slice_str(result->record->agent),
                          rv_slice_str(result->record->host), rv_slice_str(result->record->text),
                          rv_slice(result->record->output, result->record->output_len),
                          rv_slice(result->record->item, result->record->item_len));
        if (iter->record == NULL)
            err = REEVE_ENOMEM;
    }
    if (err == REEVE_ENOMEM) {
        rv_value_free(out);
        return rv_fail(err, "cannot %s: out of memory",
                       iter->label); /* it may be asked for again */
    }
    rv_errand_took(iter->errand, result->index);
    if (iter->own != NULL)
        rv_errand_claim(iter->errand, rv_clock_now());
    if (err != REEVE_OK)
        return rv_fail(err, "cannot %s: the result of item %llu is not a value of reeve",
                       iter->label, (unsigned long long)iter->index);
    return REEVE_OK;
}

static reeve_err tell_failure(const reeve_iter *iter)
{
    reeve_record record;
    char words[300];

    if (iter->record == NULL || iter->record->error == REEVE_OK)
        return REEVE_OK;
    rv_record_show(iter->record, &record);
    rv_record_words(&record, words, sizeof words);
    return rv_fail(REEVE_EITEM, "cannot %s: item %llu: %s", iter->label,
                   (unsigned long long)iter->index, words);
}

/* All that came is handed out, and no more comes. */
static reeve_err tell_end(reeve_iter *iter)
{
    const struct rv_errand *e = iter->errand;
    reeve_err err = iter->source_err;

    if (e->error != REEVE_OK)
        return rv_fail(e->error, "cannot %s: %s", iter->label,
                       e->why != NULL ? e->why : reeve_strerror(e->error));
    iter->source_err = REEVE_OK;
    if (err == REEVE_OK)
        return err;
    return rv_fail(err, "cannot %s: its source failed after %llu items: %s", iter->label,
                   (unsigned long long)e->total, reeve_strerror(err));
}

static reeve_err next(reeve_iter *iter, reeve_value **out, uint32_t timeout_ms)
{
    rv_ns deadline = rv_after_ms(rv_clock_now(), timeout_ms);
    struct rv_result result;
    reeve_err err = REEVE_OK;

    for (;;) {
        fill(iter);
        if (rv_errand_next(iter->errand, &result)) {
            err = hand_out(iter, &result, out);
            return err == REEVE_OK ? tell_failure(iter) : err;
        }
        if (iter->errand->work == NULL)
            return tell_end(iter);
        rv_errand_starve(iter->errand, rv_clock_now());
        if (!can_go_on(iter) && !rv_wait(iter->ctx, can_go_on, iter, deadline))
            return rv_fail(REEVE_ETIME, "cannot %s: no result within %u ms", iter->label,
                           timeout_ms);
    }
}

reeve_err reeve_iter_next(reeve_value **out, reeve_iter *iter, uint32_t timeout_ms)
{
    reeve_err err = REEVE_OK;

    *out = NULL;
    err = rv_enter(iter->ctx, "go on with", iter->label);
    if (err != REEVE_OK)
        return err;
    err = next(iter, out, timeout_ms);
    rv_leave(iter->ctx);
    return err;
}

reeve_err reeve_iter_record(const reeve_iter *iter, uint64_t *index, reeve_record *out)
{
    rv_record_show(iter->record, out);
    if (!iter->any)
        return rv_fail(REEVE_EINVAL, "cannot say how an item ended: none has come yet");
    *index = iter->index;
    return REEVE_OK;
}

const reeve_value *reeve_iter_item(reeve_iter *iter)
{
    const struct rv_record *record = iter->record;

    if (iter->item == NULL && record != NULL && record->item_len > 0 &&
        rv_value_parse(&iter->item, rv_slice(record->item, record->item_len)) != REEVE_OK)
        return NULL; /* no memory, or another client gave no value of reeve */
    return iter->item;
}

reeve_err reeve_iter_progress(reeve_iter *iter, reeve_progress *out)
{
    reeve_err err = rv_enter(iter->ctx, "ask", iter->label);
    const struct rv_errand *e = iter->errand;
    struct rv_work *work = e->work;

    *out = (reeve_progress){0};
    if (err != REEVE_OK)
        return err;
    *out = (reeve_progress){
        .given = e->watches ? e->out.done : e->put + e->in.count,
        .done = e->out.done,
        .failed = e->out.failed,
    };
    if (work != NULL && e->watches)
        out->given = work->next;
    if (work != NULL)
        rv_pool_look(iter->ctx, work, out);
    rv_leave(iter->ctx);
    return REEVE_OK;
}
