/* call_api.c -- map and apply, at once and later. */

#include "proxy/pool.h"

#include "common/value/value.h"

#include <stdio.h>

static reeve_err no_memory(const char *label)
{
    return rv_fail(REEVE_ENOMEM, "cannot %s: out of memory", label);
}

/* ---- how it ended ---- */

reeve_err rv_pool_verdict(const reeve_results *r, const char *label)
{
    const char *why = NULL;
    reeve_err err = REEVE_OK;
    reeve_record record;
    char words[300];
    size_t i = 0;

    if (r == NULL)
        return no_memory(label);
    err = rv_results_error(r, &why);
    if (err != REEVE_OK)
        return rv_fail(err, "cannot %s: %s", label, why);
    if (!rv_results_first_failed(r, &i))
        return REEVE_OK;
    (void)reeve_results_record(r, i, &record);
    rv_record_words(&record, words, sizeof words);
    if (reeve_results_len(r) == 1)
        return rv_fail(REEVE_EITEM, "cannot %s: %s", label, words);
    return rv_fail(REEVE_EITEM, "cannot %s: %zu of %zu items failed; item %zu: %s", label,
                   reeve_results_failed(r), reeve_results_len(r), i, words);
}

/* ---- handles; the context is entered ---- */

static bool is_over(void *arg)
{
    const reeve_async *async = arg;

    if (async->pool != NULL && !rv_pool_in_callback(async->pool))
        return false; /* its callback has not returned */
    return async->errand == NULL || async->errand->work == NULL;
}

/* When it is over, its results belong to the handle. NULL without memory. */
static reeve_results *take_results(reeve_async *async)
{
    if (async->results != NULL)
        return async->results;
    async->results = rv_results_new(async->errand);
    if (async->results == NULL)
        return NULL;
    rv_errand_leave(async->errand);
    async->errand = NULL;
    return async->results;
}

static void free_async(reeve_async *async)
{
    reeve_results_free(&async->results);
    rv_errand_leave(async->errand);
    free(async);
}

void rv_async_over(struct rv_errand *errand)
{
    reeve_async *async = errand->arg;

    if (async->pool != NULL)
        DL_APPEND(async->pool->due, async);
}

void rv_async_call_back(reeve_pool *pool)
{
    reeve_async *async = pool->due;
    reeve_results *results = take_results(async);

    DL_DELETE(pool->due, async);
    pool->calling = true;
    rv_leave(pool->ctx);
    async->callback(async->arg, rv_pool_verdict(results, async->label), results);
    pthread_mutex_lock(&pool->ctx->mutex);
    pool->calling = false;
    async->pool = NULL;
    if (async->left)
        free_async(async);
    rv_drive(pool->ctx); /* who joins the pool may wait for this */
}

/* ---- beginning ---- */

static reeve_err check_map_options(const reeve_map_options *o, const char *label)
{
    for (size_t i = 0; i < rv_countof(o->reserved); i++)
        if (o->reserved[i] != 0)
            return rv_fail(REEVE_EINVAL, "cannot %s: a reserved option is not zero", label);
    return REEVE_OK;
}

static const reeve_map_options *or_defaults(const reeve_map_options *o)
{
    static const reeve_map_options defaults;

    return o == NULL ? &defaults : o;
}

static reeve_async *new_async(reeve_pool *pool, const char *function, const char *label,
                              const struct rv_packs *packs, const reeve_map_options *o)
{
    reeve_async *async = calloc(1, sizeof *async);

    if (async == NULL)
        return NULL;
    async->errand = rv_errand_map(function, packs);
    if (async->errand == NULL) {
        free(async);
        return NULL;
    }
    async->ctx = pool->ctx;
    async->callback = o->callback;
    async->arg = o->arg;
    async->pool = o->callback == NULL ? NULL : pool;
    async->errand->over = rv_async_over;
    async->errand->arg = async;
    snprintf(async->label, sizeof async->label, "%s", label);
    return async;
}

static reeve_err begin(reeve_async **out, reeve_pool *pool, const reeve_fn *fn,
                       const struct rv_packs *packs, const reeve_map_options *o, const char *verb)
{
    struct rv_work *work = NULL;
    uint32_t chunk = 0;
    reeve_async *async = NULL;
    const char *name = NULL;
    char label[64];
    reeve_err err = rv_pool_function(pool, fn, verb, &name, label);

    if (err == REEVE_OK)
        err = check_map_options(o, label);
    if (err == REEVE_OK)
        err = rv_pool_chunk(o->chunksize, label, &chunk);
    if (err == REEVE_OK && (async = new_async(pool, name, label, packs, o)) == NULL)
        err = no_memory(label);
    if (err == REEVE_OK)
        err = rv_pool_enter(pool, label, &work);
    if (err != REEVE_OK) {
        if (async != NULL)
            free_async(async);
        return err;
    }
    if (o->callback != NULL)
        err = rv_pool_callbacks(pool);
    if (err == REEVE_OK) {
        async->errand->chunk = chunk;
        rv_errand_begin(work, async->errand, rv_clock_now());
        rv_drive(pool->ctx);
        *out = async;
    } else {
        free_async(async);
    }
    rv_leave(pool->ctx);
    return err;
}

static reeve_err begin_items(reeve_async **out, reeve_pool *pool, const reeve_fn *fn,
                             const reeve_items *items, const reeve_map_options *options,
                             const char *verb)
{
    *out = NULL;
    if (items == NULL || items->err != REEVE_OK)
        return rv_fail(items == NULL ? REEVE_ENOMEM : items->err,
                       "cannot %s: an item could not be added: %s", verb,
                       reeve_strerror(items == NULL ? REEVE_ENOMEM : items->err));
    return begin(out, pool, fn, &items->packs, or_defaults(options), verb);
}

static reeve_err begin_arrays(reeve_async **out, reeve_pool *pool, const reeve_fn *fn,
                              const reeve_items *items, const reeve_map_options *options)
{
    *out = NULL;
    if (items != NULL && items->err == REEVE_OK && !rv_items_all_arrays(items))
        return rv_fail(REEVE_EINVAL, "cannot starmap: an item is not an array of arguments");
    return begin_items(out, pool, fn, items, options, "starmap");
}

static reeve_err begin_one(reeve_async **out, reeve_pool *pool, const reeve_fn *fn,
                           const reeve_builder *item, const reeve_map_options *o)
{
    static const uint8_t nil = 0xc0;
    struct rv_packs packs = {0};
    struct rv_slice bytes = rv_slice(&nil, 1);
    struct rv_slice refs = rv_slice(NULL, 0);
    uint32_t store = 0;
    reeve_err err = item == NULL ? REEVE_OK : rv_builder_item(item, &bytes, &refs, &store);

    *out = NULL;
    if (err != REEVE_OK)
        return rv_fail(err, "cannot apply: the item is not one whole value (%s)",
                       reeve_strerror(err));
    err = rv_packs_add(&packs, bytes, rv_slice(NULL, 0), refs);
    if (err != REEVE_OK)
        err = rv_fail(err, "cannot apply: %s", reeve_strerror(err));
    else
        err = begin(out, pool, fn, &packs, o, "apply");
    rv_packs_free(&packs);
    return err;
}

reeve_err reeve_pool_map_async(reeve_async **out, reeve_pool *pool, const reeve_fn *fn,
                               const reeve_items *items, const reeve_map_options *options)
{
    return begin_items(out, pool, fn, items, options, "map");
}

reeve_err reeve_pool_starmap_async(reeve_async **out, reeve_pool *pool, const reeve_fn *fn,
                                   const reeve_items *items, const reeve_map_options *options)
{
    return begin_arrays(out, pool, fn, items, options);
}

reeve_err reeve_pool_apply_async(reeve_async **out, reeve_pool *pool, const reeve_fn *fn,
                                 const reeve_builder *item, const reeve_map_options *options)
{
    return begin_one(out, pool, fn, item, or_defaults(options));
}

/* ---- waiting ---- */

static reeve_err not_done(const reeve_async *async, uint32_t timeout_ms)
{
    const struct rv_yield *y = NULL;

    if (async->errand == NULL || async->errand->work == NULL)
        return rv_fail(REEVE_ETIME, "cannot %s: its callback has not returned after %u ms",
                       async->label, timeout_ms);
    y = &async->errand->out;
    return rv_fail(REEVE_ETIME, "cannot %s: %llu of %llu items are done after %u ms", async->label,
                   (unsigned long long)y->done, (unsigned long long)async->errand->total,
                   timeout_ms);
}

/* Entered on REEVE_OK. */
static reeve_err wait_over(reeve_async *async, uint32_t timeout_ms)
{
    reeve_err err = rv_enter(async->ctx, "wait for", async->label);

    if (err != REEVE_OK)
        return err;
    if (is_over(async) ||
        rv_wait(async->ctx, is_over, async, rv_after_ms(rv_clock_now(), timeout_ms)))
        return REEVE_OK;
    err = not_done(async, timeout_ms);
    rv_leave(async->ctx);
    return err;
}

reeve_err reeve_async_wait(reeve_async *async, uint32_t timeout_ms)
{
    reeve_err err = wait_over(async, timeout_ms);

    if (err == REEVE_OK)
        rv_leave(async->ctx);
    return err;
}

bool reeve_async_ready(reeve_async *async)
{
    bool ready = false;

    if (rv_enter(async->ctx, "ask", async->label) != REEVE_OK)
        return false;
    ready = is_over(async);
    rv_leave(async->ctx);
    return ready;
}

reeve_err reeve_async_successful(reeve_async *async, bool *out)
{
    reeve_err err = rv_enter(async->ctx, "ask", async->label);

    if (err != REEVE_OK)
        return err;
    if (!is_over(async))
        err = rv_fail(REEVE_EINVAL, "cannot say whether %s was successful: it has not ended",
                      async->label);
    else if (take_results(async) == NULL)
        err = no_memory(async->label);
    else
        *out = reeve_results_failed(async->results) == 0;
    rv_leave(async->ctx);
    return err;
}

reeve_err reeve_async_get(reeve_results **out, reeve_async *async, uint32_t timeout_ms)
{
    reeve_err err = REEVE_OK;

    *out = NULL;
    err = wait_over(async, timeout_ms);
    if (err != REEVE_OK)
        return err;
    if (take_results(async) != NULL)
        *out = reeve_results_keep(async->results);
    rv_leave(async->ctx);
    return rv_pool_verdict(*out, async->label);
}

static reeve_err first_value(reeve_value **out, const reeve_results *results, const char *label)
{
    struct rv_slice bytes;
    struct rv_lien *lien = NULL;
    reeve_err err = REEVE_EPROTO;

    if (!rv_results_bytes(results, 0, &bytes))
        return rv_fail(err, "cannot %s: the result has no value", label);
    err = rv_value_parse(out, bytes);
    if (err == REEVE_OK && (lien = rv_results_lien(results, 0)) != NULL)
        rv_lien_bind(lien, *out);
    return err == REEVE_ENOMEM ? no_memory(label) : err;
}

reeve_err reeve_async_get_value(reeve_value **out, reeve_async *async, uint32_t timeout_ms)
{
    reeve_results *results = NULL;
    reeve_err err = reeve_async_get(&results, async, timeout_ms);

    *out = NULL;
    if (err == REEVE_OK)
        err = first_value(out, results, async->label);
    reeve_results_free(&results);
    return err;
}

reeve_err reeve_async_progress(reeve_async *async, reeve_progress *out)
{
    reeve_err err = rv_enter(async->ctx, "ask", async->label);

    *out = (reeve_progress){0};
    if (err != REEVE_OK)
        return err;
    if (async->errand != NULL)
        *out = (reeve_progress){.given = async->errand->total,
                                .done = async->errand->out.done,
                                .failed = async->errand->out.failed};
    else
        *out = (reeve_progress){.given = reeve_results_len(async->results),
                                .done = reeve_results_len(async->results),
                                .failed = reeve_results_failed(async->results)};
    rv_leave(async->ctx);
    return REEVE_OK;
}

void reeve_async_free(reeve_async **out)
{
    reeve_async *async = out == NULL ? NULL : *out;
    reeve_context *ctx = NULL;

    if (async == NULL)
        return;
    *out = NULL;
    ctx = async->ctx;
    if (rv_enter(ctx, "free", async->label) != REEVE_OK)
        return; /* a child's copy */
    async->left = true;
    if (async->pool == NULL) {
        if (async->errand != NULL)
            async->errand->over = NULL;
        free_async(async);
    }
    rv_leave(ctx);
}

/* ---- at once ---- */

static reeve_err finish(reeve_results **out, reeve_async **async, uint32_t timeout_ms)
{
    reeve_err err = reeve_async_get(out, *async, timeout_ms);

    reeve_async_free(async);
    return err;
}

/* Without what is for asynchronous calls alone. */
static reeve_map_options at_once(const reeve_map_options *options)
{
    reeve_map_options o = *or_defaults(options);

    o.callback = NULL;
    return o;
}

static uint32_t or_forever(uint32_t timeout_ms)
{
    return timeout_ms == 0 ? REEVE_FOREVER : timeout_ms;
}

reeve_err reeve_pool_map(reeve_results **out, reeve_pool *pool, const reeve_fn *fn,
                         const reeve_items *items, const reeve_map_options *options)
{
    reeve_map_options o = at_once(options);
    reeve_async *async = NULL;
    reeve_err err = begin_items(&async, pool, fn, items, &o, "map");

    *out = NULL;
    return err == REEVE_OK ? finish(out, &async, or_forever(o.timeout_ms)) : err;
}

reeve_err reeve_pool_starmap(reeve_results **out, reeve_pool *pool, const reeve_fn *fn,
                             const reeve_items *items, const reeve_map_options *options)
{
    reeve_map_options o = at_once(options);
    reeve_async *async = NULL;
    reeve_err err = begin_arrays(&async, pool, fn, items, &o);

    *out = NULL;
    return err == REEVE_OK ? finish(out, &async, or_forever(o.timeout_ms)) : err;
}

reeve_err reeve_pool_apply(reeve_value **out, reeve_pool *pool, const reeve_fn *fn,
                           const reeve_builder *item, uint32_t timeout_ms)
{
    reeve_async *async = NULL;
    reeve_err err = begin_one(&async, pool, fn, item, or_defaults(NULL));

    *out = NULL;
    if (err != REEVE_OK)
        return err;
    err = reeve_async_get_value(out, async, timeout_ms);
    reeve_async_free(&async);
    return err;
}
