/* queue_api.c -- the public face of a queue. */

#include "common/value/value.h"
#include "proxy/sync_api.h"

#include <reeve/lock.h>
#include <reeve/queue.h>
#include <reeve/ref.h>

#include <stdio.h>

/* An item of a joinable queue that was handed out and is not done. */
struct unfinished {
    uint64_t delivery;
    uint64_t thread;
    struct unfinished *prev, *next;
    UT_hash_handle hh; /* by delivery */
};

/* What all handles of a queue in one context share, since the manager counts what it delivers
 * by session and queue. */
struct shared {
    struct rv_channel channel; /* first: found by its object */
    unsigned handles;
    struct unfinished *unfinished; /* by delivery */
    struct unfinished *oldest;     /* in the order of hand-out */
};

struct reeve_queue {
    reeve_context *ctx;
    struct shared *shared;
    char *name;
    char *label;             /* "queue jobs", for messages */
    uint8_t durable;         /* level that its calls reach */
    const reeve_lock *guard; /* its calls count only while this lock has that fence; or NULL */
    uint64_t fence;
};

/* ---- opening ---- */

static reeve_err no_memory(const char *verb, const char *label)
{
    return rv_fail(REEVE_ENOMEM, "cannot %s %s: out of memory", verb, label);
}

static void free_queue(reeve_queue *q)
{
    free(q->name);
    free(q->label);
    free(q);
}

static reeve_err join_shared(reeve_queue *q, const struct rv_object_open_result *opened,
                             bool prefetch)
{
    struct rv_channel *ch = rv_channel_of(&q->ctx->link, opened->object);
    reeve_err err = REEVE_OK;

    q->shared = ch != NULL ? (struct shared *)ch : calloc(1, sizeof *q->shared);
    if (q->shared == NULL)
        return no_memory("open", q->label);
    if (ch == NULL)
        err = rv_channel_init(&q->shared->channel, &q->ctx->link, opened->object, opened->maxsize,
                              opened->joinable != 0, prefetch);
    if (err != REEVE_OK) {
        free(q->shared);
        return no_memory("open", q->label);
    }
    q->shared->channel.prefetch = q->shared->channel.prefetch && prefetch;
    q->shared->handles++;
    return REEVE_OK;
}

static void leave_shared(reeve_queue *q)
{
    struct shared *shared = q->shared;
    struct unfinished *u = NULL;
    struct unfinished *next = NULL;

    if (--shared->handles > 0) {
        (void)rv_link_say(&q->ctx->link, RV_OP_object_close, shared->channel.port.object,
                          rv_slice(NULL, 0));
        return;
    }
    rv_channel_fini(&shared->channel);
    HASH_CLEAR(hh, shared->unfinished);
    DL_FOREACH_SAFE (shared->oldest, u, next) {
        free(u);
    }
    free(shared);
}

static struct rv_request *open_request(reeve_context *ctx, const char *name,
                                       const reeve_queue_options *o, uint64_t ref,
                                       uint32_t timeout_ms)
{
    static const uint8_t creates[] = {
        [REEVE_CREATE_OR_GET] = 1, [REEVE_CREATE] = 2, [REEVE_GET_ONLY] = 0};
    struct rv_buf args = {0};
    struct rv_request *call = NULL;

    if (ref != 0)
        rv_object_ref_args_encode(&args, &(struct rv_object_ref_args){.object = ref});
    else
        rv_object_open_args_encode(&args, &(struct rv_object_open_args){
                                              .name = rv_slice_str(name),
                                              .create = creates[o->create],
                                              .kind = RV_KIND_QUEUE,
                                              .order = (uint8_t)o->order,
                                              .joinable = o->joinable,
                                              .maxsize = o->maxsize,
                                              .ttl_ms = o->ttl_ms,
                                              .durable = (uint8_t)o->durable,
                                              .deliveries = o->deliveries,
                                              .dead = rv_slice_str(o->dead),
                                              .retry_ms = o->retry_ms,
                                              .retry_max_ms = o->retry_max_ms,
                                          });
    if (!args.bad)
        call = rv_link_call(&ctx->link, ref != 0 ? RV_OP_object_ref : RV_OP_object_open, 0,
                            timeout_ms, rv_buf_slice(&args), NULL, 0);
    if (call != NULL)
        call->hook = rv_open_done;
    rv_buf_free(&args);
    return call;
}

static reeve_err check_options(const char *name, const reeve_queue_options *o)
{
    for (size_t i = 0; i < rv_countof(o->reserved); i++)
        if (o->reserved[i] != 0)
            return rv_fail(REEVE_EINVAL, "cannot open queue %s: a reserved option is not zero",
                           name);
    if ((unsigned)o->order > REEVE_PRIORITY || (unsigned)o->create > REEVE_GET_ONLY ||
        (unsigned)o->durable > REEVE_DURABLE_SYNC)
        return rv_fail(REEVE_EINVAL,
                       "cannot open queue %s: no such order, create or durable option", name);
    if (o->deliveries > 0 && !o->joinable)
        return rv_fail(REEVE_EINVAL, "cannot open queue %s: only a joinable queue has dead letters",
                       name);
    if (strlen(name) > RV_LIMIT_NAME_BYTES ||
        (o->dead != NULL && strlen(o->dead) > RV_LIMIT_NAME_BYTES))
        return rv_fail(REEVE_ELIMIT, "cannot open queue %.40s...: a name has at most %d bytes",
                       name, RV_LIMIT_NAME_BYTES);
    for (const char *c = name; *c != '\0'; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7f)
            return rv_fail(REEVE_EINVAL, "cannot open queue: control characters in its name");
    return REEVE_OK;
}

/* By its name, or by the number of an object that is referred to. */
static reeve_err open_queue(reeve_queue **out, reeve_context *ctx, const char *name,
                            const reeve_queue_options *o, uint64_t ref)
{
    uint32_t timeout_ms = o->timeout_ms == 0 ? 5000 : o->timeout_ms;
    struct rv_object_open_result opened;
    struct rv_buf result = {0};
    reeve_queue *q = NULL;
    reeve_err err = REEVE_OK;

    q = calloc(1, sizeof *q);
    if (q == NULL)
        return no_memory("open queue", name);
    q->ctx = ctx;
    q->name = strdup(name);
    if (q->name == NULL ||
        asprintf(&q->label, "queue %s", *name == '\0' ? "(no name)" : name) < 0) {
        q->label = NULL;
        free_queue(q);
        return no_memory("open queue", name);
    }
    err = rv_enter(ctx, "open", q->label);
    if (err != REEVE_OK) {
        free_queue(q);
        return err;
    }
    err = rv_finish(ctx, open_request(ctx, name, o, ref, timeout_ms), timeout_ms, "open", q->label,
                    &result);
    if (err == REEVE_OK && !rv_object_open_result_decode(&opened, rv_buf_slice(&result)))
        err = rv_fail(REEVE_EPROTO, "cannot open %s: malformed answer", q->label);
    if (err == REEVE_OK)
        q->durable = opened.durable;
    if (err == REEVE_OK)
        err = join_shared(q, &opened, !o->no_prefetch);
    rv_leave(ctx);
    rv_buf_free(&result);
    if (err != REEVE_OK) {
        free_queue(q);
        return err;
    }
    *out = q;
    return REEVE_OK;
}

reeve_err reeve_queue_open(reeve_queue **out, reeve_context *ctx, const char *name,
                           const reeve_queue_options *options)
{
    static const reeve_queue_options defaults;
    const reeve_queue_options *o = options == NULL ? &defaults : options;
    reeve_err err = check_options(name == NULL ? "" : name, o);

    *out = NULL;
    if (err != REEVE_OK)
        return err;
    return open_queue(out, ctx, name == NULL ? "" : name, o, 0);
}

reeve_err reeve_queue_from(reeve_queue **out, reeve_context *ctx, reeve_ref ref)
{
    static const reeve_queue_options defaults;
    reeve_err err = rv_check_ref(ctx, ref, 1u << RV_KIND_QUEUE, "queue");

    *out = NULL;
    return err != REEVE_OK ? err : open_queue(out, ctx, "", &defaults, ref.object);
}

reeve_ref reeve_queue_ref(const reeve_queue *q)
{
    return q == NULL ? (reeve_ref){0}
                     : rv_ref(q->ctx, q->shared->channel.port.object, RV_KIND_QUEUE);
}

void reeve_queue_close(reeve_queue **queue)
{
    reeve_queue *q = queue == NULL ? NULL : *queue;

    if (q == NULL)
        return;
    *queue = NULL;
    if (rv_enter(q->ctx, "close", q->label) == REEVE_OK) {
        leave_shared(q);
        rv_drive(q->ctx);
        rv_leave(q->ctx);
    }
    free_queue(q);
}

reeve_durable reeve_queue_durable(const reeve_queue *queue)
{
    return queue == NULL || queue->durable > REEVE_DURABLE_SYNC ? REEVE_DURABLE_NONE
                                                                : (reeve_durable)queue->durable;
}

const char *reeve_queue_name(const reeve_queue *q)
{
    return q->name;
}

/* ---- fences ---- */

reeve_err reeve_queue_fence(reeve_queue *q, const reeve_lock *lock, uint64_t fence)
{
    reeve_err err = REEVE_OK;

    if (lock != NULL && rv_lock_sync(lock)->ctx != q->ctx)
        return rv_fail(REEVE_EINVAL, "cannot fence %s: the lock is of another context", q->label);
    err = rv_enter(q->ctx, "fence", q->label);
    if (err != REEVE_OK)
        return err;
    q->guard = lock;
    q->fence = fence;
    if (lock != NULL)
        rv_channel_no_prefetch(&q->shared->channel);
    rv_leave(q->ctx);
    return REEVE_OK;
}

/* Before each call that may carry a fence, without anything between. */
static bool show_fence(reeve_queue *q)
{
    return q->guard == NULL || rv_claims_guard(rv_sync_claims(rv_lock_sync(q->guard)), q->fence);
}

/* ---- put ---- */

static reeve_err earlier_failure(reeve_queue *q, const char *verb)
{
    char why[200];
    reeve_err err = rv_channel_failure(&q->shared->channel, why, sizeof why);

    if (err == REEVE_OK)
        return err;
    return rv_fail(err, "cannot %s %s: an earlier put was refused: %s", verb, q->label,
                   why[0] != '\0' ? why : reeve_strerror(err));
}

/* A link that has ended gave no request: say why it ended. */
static reeve_err link_error(reeve_queue *q, const char *verb, reeve_err err)
{
    const struct rv_link *link = &q->ctx->link;
    bool dead = link->state == RV_LINK_DEAD;

    return rv_fail(dead ? link->error : err, "cannot %s %s: %s", verb, q->label,
                   dead ? link->why : reeve_strerror(err));
}

static reeve_err put_error(reeve_queue *q, reeve_err err)
{
    if (err == REEVE_ETOOBIG)
        return rv_fail(err, "cannot put to %s: an item has at most %d bytes", q->label,
                       RV_LIMIT_ITEM_BYTES);
    return link_error(q, "put to", err);
}

struct room {
    reeve_queue *queue;
    size_t bytes;
};

static bool has_room(void *arg)
{
    const struct room *room = arg;
    const struct rv_link *link = &room->queue->ctx->link;

    return link->state == RV_LINK_DEAD || rv_link_room(link, room->bytes + 64) ||
           link->out.first == link->out.next;
}

/* An item and how it is put without waiting for the manager's verdict. */
struct put {
    struct rv_slice head, rest; /* its bytes; an asynchronous one has them all in rest */
    struct rv_slice refs;
    int64_t priority;
    bool async;          /* the manager waits for room in a bounded queue */
    uint32_t timeout_ms; /* so long */
};

static reeve_err try_put(reeve_queue *q, const struct put *put)
{
    struct rv_channel *ch = &q->shared->channel;

    if (!put->async)
        return rv_channel_put_parts(ch, put->head, put->rest, put->refs, put->priority);
    if (!rv_link_room(ch->link,
                      put->rest.len + put->refs.len + 128)) /* no fence without its call */
        return REEVE_ELIMIT;
    if (!show_fence(q))
        return REEVE_ENOMEM;
    return rv_channel_put_async(ch, put->rest, put->refs, put->priority, put->timeout_ms);
}

/* Done as soon as the window takes it. */
static reeve_err put_ahead(reeve_queue *q, const struct put *put, uint32_t timeout_ms)
{
    struct room room = {q, put->head.len + put->rest.len + put->refs.len};
    rv_ns deadline = 0;
    reeve_err err = earlier_failure(q, "put to");

    if (err != REEVE_OK)
        return err;
    while ((err = try_put(q, put)) == REEVE_ELIMIT) {
        if (deadline == 0)
            deadline = rv_after_ms(rv_clock_now(), timeout_ms);
        if (!rv_wait(q->ctx, has_room, &room, deadline))
            return rv_fail(REEVE_EFULL, "cannot put to %s: the send window is full", q->label);
    }
    if (err != REEVE_OK)
        return put_error(q, err);
    if (rv_link_ready(&q->ctx->link))
        rv_drive(q->ctx);
    return REEVE_OK;
}

/* A bounded queue is waited for, in the manager. *accepted counts up. */
static reeve_err put_waiting(reeve_queue *q, const struct rv_slice *items,
                             const struct rv_slice *refs, size_t len, int64_t priority,
                             uint32_t timeout_ms, size_t *accepted)
{
    rv_ns deadline = rv_after_ms(rv_clock_now(), timeout_ms);
    reeve_err err = earlier_failure(q, "put to");

    for (size_t i = 0; err == REEVE_OK && i < len; i++)
        if (items[i].len > RV_LIMIT_ITEM_BYTES)
            return put_error(q, REEVE_ETOOBIG);
    while (err == REEVE_OK && *accepted < len) {
        struct rv_queue_put_result put;
        struct rv_buf result = {0};
        rv_ns left = deadline == RV_NEVER ? RV_NEVER : deadline - rv_clock_now();
        uint32_t ms = left == RV_NEVER ? UINT32_MAX
                      : left <= 0      ? 0
                                       : (uint32_t)((left + RV_MS - 1) / RV_MS);
        size_t used = 0;
        struct rv_request *call = NULL;

        if (show_fence(q))
            call = rv_channel_put_call(&q->shared->channel, items + *accepted, refs + *accepted,
                                       len - *accepted, priority, ms, &used);
        err = rv_finish(q->ctx, call, ms, "put to", q->label, &result);
        if (rv_queue_put_result_decode(&put, rv_buf_slice(&result)))
            *accepted += put.accepted;
        rv_buf_free(&result);
    }
    return err;
}

/* An item and the objects that it refers to, which are of this manager. */
static reeve_err item_of(const reeve_queue *q, const reeve_builder *item, struct rv_slice *bytes,
                         struct rv_slice *refs)
{
    uint32_t store = 0;
    reeve_err err = rv_builder_item(item, bytes, refs, &store);

    if (err != REEVE_OK)
        return rv_fail(err, "cannot put to %s: the item is not one whole value (%s)", q->label,
                       reeve_strerror(err));
    if (refs->len == 0)
        return REEVE_OK;
    if (store != rv_ref(q->ctx, 0, 0).store)
        return rv_fail(REEVE_EINVAL,
                       "cannot put to %s: the item refers to an object of another manager",
                       q->label);
    if (refs->len / 8 > RV_LIMIT_ITEM_REFS)
        return rv_fail(REEVE_ELIMIT, "cannot put to %s: an item has at most %d references",
                       q->label, RV_LIMIT_ITEM_REFS);
    return REEVE_OK;
}

/* Is a put done as soon as the window has it? */
static bool goes_ahead(const reeve_queue *q)
{
    return q->shared->channel.maxsize == 0 && q->guard == NULL;
}

static reeve_err put_one(reeve_queue *q, struct rv_slice bytes, struct rv_slice refs,
                         int64_t priority, uint32_t timeout_ms)
{
    reeve_err err = rv_enter(q->ctx, "put to", q->label);
    size_t accepted = 0;

    if (err != REEVE_OK)
        return err;
    if (goes_ahead(q))
        err = put_ahead(q, &(struct put){.rest = bytes, .refs = refs, .priority = priority},
                        timeout_ms);
    else
        err = put_waiting(q, &bytes, &refs, 1, priority, timeout_ms, &accepted);
    rv_leave(q->ctx);
    return err;
}

reeve_err reeve_queue_put_priority(reeve_queue *q, const reeve_builder *item, int64_t priority,
                                   uint32_t timeout_ms)
{
    struct rv_slice bytes;
    struct rv_slice refs;
    reeve_err err = item_of(q, item, &bytes, &refs);

    return err != REEVE_OK ? err : put_one(q, bytes, refs, priority, timeout_ms);
}

reeve_err reeve_queue_put(reeve_queue *q, const reeve_builder *item, uint32_t timeout_ms)
{
    return reeve_queue_put_priority(q, item, 0, timeout_ms);
}

reeve_err reeve_queue_put_async(reeve_queue *q, const reeve_builder *item, uint32_t timeout_ms)
{
    struct put put = {.timeout_ms = timeout_ms};
    reeve_err err = item_of(q, item, &put.rest, &put.refs);

    if (err != REEVE_OK)
        return err;
    err = rv_enter(q->ctx, "put to", q->label);
    if (err != REEVE_OK)
        return err;
    put.async = !goes_ahead(q);
    err = put_ahead(q, &put, timeout_ms);
    rv_leave(q->ctx);
    return err;
}

/* An unbounded queue takes text and bytes as they are, without a copy in between. */
static reeve_err put_pieces(reeve_queue *q, struct rv_slice head, struct rv_slice rest,
                            uint32_t timeout_ms)
{
    reeve_err err = rv_enter(q->ctx, "put to", q->label);

    if (err != REEVE_OK)
        return err;
    err = put_ahead(q, &(struct put){.head = head, .rest = rest}, timeout_ms);
    rv_leave(q->ctx);
    return err;
}

/* A scalar needs no builder of the caller's: a small one on the stack of this call, a
 * temporary one for the rest. */
static reeve_err put_raw(reeve_queue *q, bool text, const void *data, size_t len,
                         uint32_t timeout_ms)
{
    uint8_t space[512];
    uint8_t *bytes = space;
    size_t head = 0;
    reeve_err err = REEVE_OK;

    if (data == NULL && (text || len > 0))
        return rv_fail(REEVE_EINVAL, "cannot put to %s: no item was given", q->label);
    if (len > RV_LIMIT_ITEM_BYTES)
        return put_error(q, REEVE_ETOOBIG);
    if (text && !rv_utf8_valid(rv_slice(data, len)))
        return rv_fail(REEVE_EINVAL, "cannot put to %s: the text is not UTF-8", q->label);
    if (goes_ahead(q)) {
        head = rv_value_head(space, text, len);
        return put_pieces(q, rv_slice(space, head), rv_slice(data, len), timeout_ms);
    }
    if (len + 8 > sizeof space) {
        bytes = malloc(len + 8);
        if (bytes == NULL)
            return no_memory("put to", q->label);
    }
    head = rv_value_head(bytes, text, len);
    if (len > 0)
        memcpy(bytes + head, data, len);
    err = put_one(q, rv_slice(bytes, head + len), rv_slice(NULL, 0), 0, timeout_ms);
    if (bytes != space)
        free(bytes);
    return err;
}

reeve_err reeve_queue_put_str(reeve_queue *q, const char *text, uint32_t timeout_ms)
{
    return put_raw(q, true, text, text == NULL ? 0 : strlen(text), timeout_ms);
}

reeve_err reeve_queue_put_bytes(reeve_queue *q, const void *data, size_t len, uint32_t timeout_ms)
{
    return put_raw(q, false, data, len, timeout_ms);
}

reeve_err reeve_queue_put_many(reeve_queue *q, const reeve_builder *const *items, size_t len,
                               uint32_t timeout_ms, size_t *accepted)
{
    struct rv_slice few[256];
    struct rv_slice *slices = few; /* of the bytes, then of the references */
    struct rv_slice *refs = NULL;
    size_t done = 0;
    reeve_err err = REEVE_OK;

    if (accepted != NULL)
        *accepted = 0;
    if (len > rv_countof(few) / 2)
        slices = calloc(len, 2 * sizeof *slices);
    if (slices == NULL)
        return no_memory("put to", q->label);
    refs = slices + len;
    for (size_t i = 0; err == REEVE_OK && i < len; i++)
        err = item_of(q, items[i], &slices[i], &refs[i]);
    if (err == REEVE_OK)
        err = rv_enter(q->ctx, "put to", q->label);
    if (err == REEVE_OK) {
        if (!goes_ahead(q))
            err = put_waiting(q, slices, refs, len, 0, timeout_ms, &done);
        for (; goes_ahead(q) && err == REEVE_OK && done < len; done++)
            err = put_ahead(q, &(struct put){.rest = slices[done], .refs = refs[done]}, timeout_ms);
        if (goes_ahead(q) && err != REEVE_OK && done > 0)
            done--;
        rv_leave(q->ctx);
    }
    if (accepted != NULL)
        *accepted = done;
    if (slices != few)
        free(slices);
    return err;
}

static bool puts_answered(void *arg)
{
    const reeve_queue *q = arg;

    return q->shared->channel.puts_in_flight == 0 || q->ctx->link.state == RV_LINK_DEAD;
}

reeve_err reeve_queue_flush(reeve_queue *q, uint32_t timeout_ms)
{
    reeve_err err = rv_enter(q->ctx, "flush", q->label);

    if (err != REEVE_OK)
        return err;
    if (!rv_wait(q->ctx, puts_answered, q, rv_after_ms(rv_clock_now(), timeout_ms)))
        err = rv_fail(REEVE_ETIME, "cannot flush %s: manager %s gave no answer in time", q->label,
                      rv_endpoint(q->ctx));
    else
        err = earlier_failure(q, "flush");
    if (err == REEVE_OK)
        rv_reached(rv_channel_reached(&q->shared->channel));
    rv_leave(q->ctx);
    return err;
}

/* ---- get ---- */

static reeve_err remember(reeve_queue *q, uint64_t delivery)
{
    struct unfinished *u = calloc(1, sizeof *u);

    if (u == NULL)
        return REEVE_ENOMEM;
    u->delivery = delivery;
    u->thread = rv_thread_serial();
    HASH_ADD(hh, q->shared->unfinished, delivery, sizeof u->delivery, u);
    if (u->hh.tbl == NULL) {
        free(u);
        return REEVE_ENOMEM;
    }
    DL_APPEND(q->shared->oldest, u);
    return REEVE_OK;
}

static void forget(struct shared *shared, struct unfinished *u)
{
    HASH_DEL(shared->unfinished, u);
    DL_DELETE(shared->oldest, u);
    free(u);
}

static struct unfinished *unfinished_of(const struct shared *shared, uint64_t delivery)
{
    struct unfinished *u = NULL;

    HASH_FIND(hh, shared->unfinished, &delivery, sizeof delivery, u);
    return u;
}

/* Nobody has the item, which stays here. */
static void put_back(reeve_queue *q, uint64_t delivery, reeve_value **out)
{
    struct unfinished *u = unfinished_of(q->shared, delivery);

    if (u != NULL)
        forget(q->shared, u);
    if (*out != NULL)
        rv_ledger_unnote(*out);
    rv_value_free(out);
}

/* The item as a value, with all that its owner will need. */
static reeve_err unpack(reeve_queue *q, const struct rv_handed *item, reeve_value **out)
{
    reeve_err err = rv_value_parse(out, item->bytes);

    if (err == REEVE_OK && q->shared->channel.joinable)
        err = remember(q, item->delivery);
    if (err == REEVE_OK && item->refs.len > 0 && !rv_ledger_note(q->ctx->ledger, *out, item->refs))
        err = REEVE_ENOMEM;
    return err;
}

/* Hand out what is here: up to max items. */
static reeve_err hand_out(reeve_queue *q, reeve_value **out, size_t max, size_t *len)
{
    struct rv_handed item;
    rv_ns now = 0;
    reeve_err err = REEVE_OK;

    while (err == REEVE_OK && *len < max) {
        if (now == 0 && rv_channel_wants_clock(&q->shared->channel))
            now = rv_clock_now();
        if (!rv_channel_peek(&q->shared->channel, &item))
            break;
        err = unpack(q, &item, &out[*len]);
        if (err == REEVE_ENOMEM || !rv_channel_pop(&q->shared->channel, now, &item)) {
            put_back(q, item.delivery, &out[*len]); /* for who asks next */
            err = REEVE_ENOMEM;
            break;
        }
        if (err == REEVE_OK) {
            struct rv_value_origin *origin = rv_value_origin(out[*len]);

            origin->delivery = item.delivery;
            origin->deliveries = item.deliveries;
            origin->redelivered = item.deliveries > 0;
            origin->queue = q->shared;
            ++*len;
        } else {
            rv_ledger_release(&q->ctx->link, item.refs);
        }
        /* What no client of ours can read must not keep join waiting. */
        if (err == REEVE_EPROTO && q->shared->channel.joinable)
            (void)rv_channel_task_done(&q->shared->channel, item.delivery);
        rv_handed_free(&item);
    }
    if (err == REEVE_EPROTO)
        return rv_fail(err, "cannot get from %s: an item is not a value of reeve", q->label);
    if (err != REEVE_OK)
        return no_memory("get from", q->label);
    if (rv_link_ready(&q->ctx->link))
        rv_drive(q->ctx);
    else
        rv_wake_before(q->ctx, q->shared->channel.port.tick_at);
    return REEVE_OK;
}

static reeve_err get_some(reeve_queue *q, reeve_value **out, size_t max, size_t *len,
                          uint32_t timeout_ms)
{
    rv_ns deadline = 0;
    uint32_t left_ms = timeout_ms;
    reeve_err err = REEVE_OK;

    for (;;) {
        rv_ns now = 0;
        struct rv_request *call = NULL;

        /* What came ahead of the asking came without the fence. */
        if (q->guard == NULL || deadline != 0)
            err = hand_out(q, out, max, len);
        if (err != REEVE_OK || *len > 0)
            return err;
        now = rv_clock_now();
        if (deadline == 0)
            deadline = rv_after_ms(now, timeout_ms);
        else if (deadline != RV_NEVER)
            left_ms = deadline <= now ? 0 : (uint32_t)((deadline - now + RV_MS - 1) / RV_MS);
        if (show_fence(q))
            call = rv_channel_get_call(
                &q->shared->channel, now,
                max > RV_LIMIT_PUT_ITEMS ? RV_LIMIT_PUT_ITEMS : (uint32_t)max, left_ms);
        err = rv_finish(q->ctx, call, left_ms, "get from", q->label, NULL);
        if (err != REEVE_OK)
            return err;
    }
}

reeve_err reeve_queue_get_many(reeve_value **out, size_t max, size_t *len, reeve_queue *q,
                               uint32_t timeout_ms)
{
    reeve_err err = REEVE_OK;

    *len = 0;
    if (max == 0)
        return rv_fail(REEVE_EINVAL, "cannot get from %s: asked for no item", q->label);
    err = rv_enter(q->ctx, "get from", q->label);
    if (err != REEVE_OK)
        return err;
    err = get_some(q, out, max, len, timeout_ms);
    rv_leave(q->ctx);
    /* What was handed out before an error is the caller's. */
    return *len > 0 ? REEVE_OK : err;
}

reeve_err reeve_queue_get(reeve_value **out, reeve_queue *q, uint32_t timeout_ms)
{
    size_t len = 0;

    *out = NULL;
    return reeve_queue_get_many(out, 1, &len, q, timeout_ms);
}

uint32_t reeve_value_deliveries(const reeve_value *item)
{
    if (item == NULL)
        return 0;
    return rv_value_origin((reeve_value *)(uintptr_t)item)->deliveries;
}

/* ---- joinable queues ---- */

static struct unfinished *find_unfinished(reeve_queue *q, const reeve_value *item)
{
    struct unfinished *u = NULL;
    uint64_t thread = rv_thread_serial();

    if (item != NULL) {
        const struct rv_value_origin *origin = rv_value_origin((reeve_value *)(uintptr_t)item);

        return origin->queue == q->shared ? unfinished_of(q->shared, origin->delivery) : NULL;
    }
    DL_FOREACH (q->shared->oldest, u) {
        if (u->thread == thread)
            return u;
    }
    return NULL;
}

static reeve_err finish_item(reeve_queue *q, struct unfinished *u)
{
    reeve_err err = rv_channel_task_done(&q->shared->channel, u->delivery);

    if (err != REEVE_OK)
        return link_error(q, "finish an item of", err);
    forget(q->shared, u);
    rv_drive(q->ctx);
    return REEVE_OK;
}

/* With a fence the manager's word is waited for, and without it the item stays unfinished. */
static reeve_err finish_item_fenced(reeve_queue *q, uint64_t delivery)
{
    struct rv_request *call = NULL;
    struct unfinished *u = NULL;
    reeve_err err = REEVE_OK;

    if (show_fence(q))
        call = rv_channel_done_call(&q->shared->channel, delivery);
    err = rv_finish(q->ctx, call, (uint32_t)RV_LIMIT_GONE_MS, "finish an item of", q->label, NULL);
    u = unfinished_of(q->shared, delivery);
    if (err == REEVE_OK && u != NULL)
        forget(q->shared, u);
    return err;
}

reeve_err reeve_queue_task_done(reeve_queue *q, const reeve_value *item)
{
    reeve_err err = rv_enter(q->ctx, "finish an item of", q->label);
    struct unfinished *u = NULL;

    if (err != REEVE_OK)
        return err;
    if (!q->shared->channel.joinable) {
        err = rv_fail(REEVE_ETYPE, "cannot finish an item of %s: the queue is not joinable",
                      q->label);
    } else if ((u = find_unfinished(q, item)) == NULL) {
        err = rv_fail(REEVE_ETOOMANY,
                      "cannot finish an item of %s: task_done called too many times", q->label);
    } else {
        err = q->guard == NULL ? finish_item(q, u) : finish_item_fenced(q, u->delivery);
    }
    rv_leave(q->ctx);
    return err;
}

/* A call without arguments or result on the queue. */
static reeve_err simple_call(reeve_queue *q, uint16_t op, struct rv_slice args, uint32_t timeout_ms,
                             const char *verb)
{
    struct rv_request *call = NULL;
    reeve_err err = rv_enter(q->ctx, verb, q->label);

    if (err != REEVE_OK)
        return err;
    if (show_fence(q))
        call = rv_link_call(&q->ctx->link, op, q->shared->channel.port.object, timeout_ms, args,
                            NULL, 0);
    err = rv_finish(q->ctx, call, timeout_ms, verb, q->label, NULL);
    rv_leave(q->ctx);
    return err;
}

reeve_err reeve_queue_join(reeve_queue *q, uint32_t timeout_ms)
{
    return simple_call(q, RV_OP_queue_join, rv_slice(NULL, 0), timeout_ms, "join");
}

reeve_err reeve_queue_shutdown(reeve_queue *q, bool immediate, uint32_t timeout_ms)
{
    uint8_t args[1] = {immediate};

    return simple_call(q, RV_OP_queue_shutdown, rv_slice(args, sizeof args), timeout_ms,
                       "shut down");
}

/* ---- sizes ---- */

static reeve_err ask_size(reeve_queue *q, struct rv_queue_size_result *out)
{
    struct rv_buf result = {0};
    reeve_err err = rv_enter(q->ctx, "measure", q->label);

    if (err != REEVE_OK)
        return err;
    err = rv_finish(q->ctx,
                    rv_link_read(&q->ctx->link, RV_OP_queue_size, q->shared->channel.port.object,
                                 rv_slice(NULL, 0)),
                    (uint32_t)RV_LIMIT_GONE_MS, "measure", q->label, &result);
    if (err == REEVE_OK && !rv_queue_size_result_decode(out, rv_buf_slice(&result)))
        err = rv_fail(REEVE_EPROTO, "cannot measure %s: malformed answer", q->label);
    rv_buf_free(&result);
    rv_leave(q->ctx);
    return err;
}

reeve_err reeve_queue_size(reeve_queue *q, size_t *size)
{
    struct rv_queue_size_result result;
    reeve_err err = ask_size(q, &result);

    if (err == REEVE_OK)
        *size = (size_t)result.size;
    return err;
}

reeve_err reeve_queue_empty(reeve_queue *q, bool *empty)
{
    size_t size = 0;
    reeve_err err = reeve_queue_size(q, &size);

    if (err == REEVE_OK)
        *empty = size == 0;
    return err;
}

reeve_err reeve_queue_full(reeve_queue *q, bool *full)
{
    struct rv_queue_size_result result;
    reeve_err err = ask_size(q, &result);

    if (err == REEVE_OK)
        *full = result.maxsize != 0 && result.size >= result.maxsize;
    return err;
}
