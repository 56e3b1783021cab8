/* iter_api.c -- results one after the other, of an input that may have no end. */

#include "proxy/pool.h"

#include "common/value/value.h"

#include <reeve/value.h>

#include <stdio.h>

enum { BURST = 64 }; /* items of the source between looks at what came */

struct reeve_iter {
    reeve_context *ctx;
    struct rv_errand *errand;
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
};

static void free_iter(reeve_iter *iter)
{
    rv_builder_free(&iter->builder);
    free(iter->record);
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
        rv_errand_leave(iter->errand);
        rv_drive(iter->ctx); /* who joins the pool may have waited for this */
        rv_leave(iter->ctx);
    }
    free_iter(iter);
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
    bool more = false;
    reeve_err err = REEVE_OK;

    rv_leave(iter->ctx);
    rv_builder_reset(iter->builder);
    more = iter->next(iter->arg, iter->builder);
    if (more)
        err = rv_builder_bytes(iter->builder, &bytes);
    else if (!rv_builder_empty(iter->builder))
        err = rv_builder_check(iter->builder);
    pthread_mutex_lock(&iter->ctx->mutex);
    if (iter->errand->work == NULL)
        return;
    if (more && err == REEVE_OK)
        err = rv_errand_add(iter->errand, bytes);
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
    iter->record = NULL;
    iter->any = true;
    iter->index = result->index;
    if (result->has_value)
        err = rv_value_parse(out, result->value);
    if (result->record != NULL && err == REEVE_OK) {
        iter->record =
            rv_record_new(result->record, rv_slice_str(result->record->agent),
                          rv_slice_str(result->record->host), rv_slice_str(result->record->text),
                          rv_slice(result->record->output, result->record->output_len));
        if (iter->record == NULL)
            err = REEVE_ENOMEM;
    }
    if (err == REEVE_ENOMEM) {
        rv_value_free(out);
        return rv_fail(err, "cannot %s: out of memory",
                       iter->label); /* it may be asked for again */
    }
    rv_errand_took(iter->errand, result->index);
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
