/* box_api.c -- calls of containers, with values that go and come. */

#include "proxy/box_api.h"

#include "common/value/value.h"
#include "proxy/core/parcel.h"

#include <reeve/ref.h>
#include <reeve/value.h>

enum { CALL_MS = 30000 };

/* ---- opening ---- */

static reeve_err no_memory(const struct rv_sync *s, const char *verb)
{
    return rv_fail(REEVE_ENOMEM, "cannot %s %s: out of memory", verb, s->label);
}

reeve_err rv_box_open(void *out, size_t size, reeve_context *ctx, const char *name,
                      const struct rv_box_conf *conf, const reeve_container_options *options)
{
    static const reeve_container_options defaults;
    const reeve_container_options *o = options == NULL ? &defaults : options;

    return rv_handle_open(out, size, ctx, name,
                          &(struct rv_sync_conf){.kind = conf->kind,
                                                 .word = conf->word,
                                                 .number = conf->number,
                                                 .typecode = conf->typecode,
                                                 .bytes = o->max_bytes,
                                                 .create = o->create,
                                                 .ttl_ms = o->ttl_ms,
                                                 .timeout_ms = o->timeout_ms,
                                                 .durable = o->durable,
                                                 .reserved = o->reserved});
}

reeve_err rv_box_from(void *out, size_t size, reeve_context *ctx, reeve_ref ref,
                      const struct rv_box_conf *conf)
{
    return rv_handle_from(out, size, ctx, ref, 1u << conf->kind, conf->word);
}

reeve_err rv_box_adopt(void *out, size_t size, reeve_context *ctx, uint64_t object,
                       const struct rv_box_conf *conf)
{
    return rv_handle_adopt(out, size, ctx, object, conf->kind, conf->word);
}

/* ---- values that go ---- */

reeve_err rv_box_malformed(const struct rv_sync *s, const char *verb)
{
    return rv_fail(REEVE_EPROTO, "cannot %s %s: malformed answer", verb, s->label);
}

reeve_err rv_box_parse(const struct rv_sync *s, const char *verb, struct rv_slice bytes,
                       reeve_value **out)
{
    reeve_err err = rv_value_parse(out, bytes);

    return err == REEVE_OK       ? err
           : err == REEVE_ENOMEM ? no_memory(s, verb)
                                 : rv_box_malformed(s, verb);
}

reeve_err rv_box_load(const struct rv_sync *s, const char *verb, const char *what,
                      const reeve_builder *b, struct rv_load *out)
{
    uint32_t store = 0;
    reeve_err err = rv_builder_item(b, &out->bytes, &out->refs, &store);

    if (err != REEVE_OK)
        return rv_fail(err, "cannot %s %s: the %s is not one whole value (%s)", verb, s->label,
                       what, reeve_strerror(err));
    if (out->refs.len > 0 && store != rv_ref(s->ctx, 0, 0).store)
        return rv_fail(REEVE_EINVAL, "cannot %s %s: the %s refers to an object of another manager",
                       verb, s->label, what);
    if (out->bytes.len > RV_LIMIT_ITEM_BYTES || out->refs.len > RV_LIMIT_ITEM_REFS * 8)
        return rv_fail(REEVE_ETOOBIG, "cannot %s %s: a %s has at most %d bytes, and %d references",
                       verb, s->label, what, RV_LIMIT_ITEM_BYTES, RV_LIMIT_ITEM_REFS);
    return REEVE_OK;
}

reeve_err rv_box_bytes(const struct rv_sync *s, const char *verb, const char *what,
                       const reeve_builder *b, size_t max, struct rv_slice *out)
{
    reeve_err err = REEVE_OK;

    *out = rv_slice(NULL, 0);
    if (b == NULL)
        return REEVE_OK;
    err = rv_builder_bytes(b, out);
    if (err != REEVE_OK)
        return rv_fail(err, "cannot %s %s: the %s is not one whole value without references (%s)",
                       verb, s->label, what, reeve_strerror(err));
    if (out->len > max)
        return rv_fail(REEVE_ETOOBIG, "cannot %s %s: a %s has at most %zu bytes", verb, s->label,
                       what, max);
    return REEVE_OK;
}

/* One node of a value again as bytes, at the end of room. */
static reeve_err write_part(struct rv_buf *room, const msgpack_object *o, struct rv_load *out)
{
    reeve_builder *b = rv_builder_new();
    struct rv_slice bytes;
    reeve_err err = rv_builder_copy(b, o);

    if (err == REEVE_OK) {
        uint32_t store = 0;

        err = rv_builder_item(b, &bytes, &out->refs, &store);
        out->bytes = rv_slice(NULL, bytes.len);
        rv_buf_add(room, bytes.data, bytes.len);
        out->refs.len = 0;
    }
    if (err == REEVE_OK) { /* the references lie behind the bytes */
        size_t start = room->len;

        rv_value_refs(o, room);
        out->refs.len = room->len - start;
    }
    rv_builder_free(&b);
    return err == REEVE_OK && room->bad ? REEVE_ENOMEM : err;
}

reeve_err rv_box_parts(const struct rv_sync *s, const char *verb, const reeve_builder *b,
                       reeve_type type, struct rv_load **out, size_t *len, struct rv_buf *room)
{
    bool map = type == REEVE_MAP;
    struct rv_load whole;
    reeve_value *v = NULL;
    const msgpack_object *o = NULL;
    const uint8_t *at = NULL;
    reeve_err err = rv_box_load(s, verb, map ? "map" : "array", b, &whole);

    *out = NULL;
    *len = 0;
    if (err != REEVE_OK)
        return err;
    err = rv_value_parse(&v, whole.bytes);
    if (err != REEVE_OK)
        return no_memory(s, verb);
    o = rv_value_object(v);
    if (reeve_value_type(v) != type) {
        rv_value_free(&v);
        return rv_fail(REEVE_ETYPE, "cannot %s %s: the values are not in %s", verb, s->label,
                       map ? "a map" : "an array");
    }
    *len = map ? o->via.map.size * (size_t)2 : o->via.array.size;
    *out = calloc(*len + 1, sizeof **out);
    err = *out == NULL ? REEVE_ENOMEM : REEVE_OK;
    for (size_t i = 0; err == REEVE_OK && i < *len; i++)
        err = write_part(room,
                         !map         ? &o->via.array.ptr[i]
                         : i % 2 == 0 ? &o->via.map.ptr[i / 2].key
                                      : &o->via.map.ptr[i / 2].val,
                         &(*out)[i]);
    rv_value_free(&v);
    if (err != REEVE_OK) {
        free(*out);
        *out = NULL;
        return no_memory(s, verb);
    }
    at = room->data; /* it does not move any more */
    for (size_t i = 0; i < *len; i++) {
        (*out)[i].bytes.data = at;
        (*out)[i].refs.data = at + (*out)[i].bytes.len;
        at += (*out)[i].bytes.len + (*out)[i].refs.len;
    }
    return REEVE_OK;
}

/* ---- values that come ---- */

static void keep_body(struct rv_got *got, struct rv_body *body)
{
    struct rv_body **more = realloc(got->bodies, (got->bodies_len + 1) * sizeof(struct rv_body *));

    if (more == NULL) {
        rv_body_drop(body);
        got->failed = true;
        return;
    }
    got->bodies = more;
    got->bodies[got->bodies_len++] = body;
}

/* Large values come beside the answer. What nobody waits for any more is given back. */
static void keep(struct rv_link *link, struct rv_request *call, rv_ns now,
                 const struct rv_outcome *outcome)
{
    struct rv_got *got = call->abandoned ? NULL : call->arg;
    struct rv_items items = {0};
    struct rv_reader r;

    (void)now;
    rv_buf_add(&call->result, outcome->result.data, outcome->result.len);
    if (outcome->error != REEVE_OK || !rv_op_result_items(call->op, outcome->result, &items))
        return;
    r = rv_reader(items.bytes);
    for (uint32_t i = 0; i < items.count; i++) {
        struct rv_item item;
        struct rv_body *body = NULL;
        bool whole = true;

        rv_item_read(&r, &item);
        if (!call->read)
            whole = rv_item_receive(&item, &link->assembly, outcome->bodies, outcome->bodies_len,
                                    outcome->frames, &body);
        if (got == NULL) {
            rv_body_drop(body);
            rv_ledger_release(link, item.refs);
        } else if (!whole) {
            got->failed = true;
        } else if (body != NULL) {
            keep_body(got, body);
        }
    }
}

/* An open that nobody waits for any more is undone: of a set that was combined. */
static void keep_open(struct rv_link *link, struct rv_request *call, rv_ns now,
                      const struct rv_outcome *outcome)
{
    struct rv_set_combine_result made;

    (void)now;
    rv_buf_add(&call->result, outcome->result.data, outcome->result.len);
    if (call->abandoned && outcome->error == REEVE_OK &&
        rv_set_combine_result_decode(&made, outcome->result))
        (void)rv_link_say(link, RV_OP_object_close, made.object, rv_slice(NULL, 0));
}

static reeve_err begin_got(const struct rv_sync *s, uint16_t op, const char *verb,
                           struct rv_got *got)
{
    struct rv_items items;

    got->left = rv_reader(rv_slice(NULL, 0));
    if (rv_op_result_items(op, rv_buf_slice(&got->result), &items)) {
        got->left = rv_reader(items.bytes);
        got->count = items.count;
    }
    if (!got->failed)
        return REEVE_OK;
    rv_got_free(got);
    return no_memory(s, verb);
}

reeve_err rv_got_next(const struct rv_sync *s, const char *verb, struct rv_got *got,
                      reeve_value **out, bool *empty)
{
    struct rv_item item;
    struct rv_slice bytes;
    struct rv_body *body = NULL;
    reeve_err err = REEVE_OK;

    *out = NULL;
    if (empty != NULL)
        *empty = false;
    if (got->count == 0)
        return rv_box_malformed(s, verb);
    got->count--;
    rv_item_read(&got->left, &item);
    if (empty != NULL && item.place == RV_INLINE && item.len == 0) {
        *empty = true;
        return REEVE_OK;
    }
    if (item.place != RV_INLINE && got->bodies_next < got->bodies_len)
        body = got->bodies[got->bodies_next++];
    bytes = body == NULL ? item.bytes : rv_slice(body->data, body->len);
    err = rv_box_parse(s, verb, bytes, out);
    rv_body_drop(body);
    if (err == REEVE_OK && item.refs.len > 0 &&
        !rv_ledger_note(got->ctx->ledger, *out, item.refs)) {
        rv_value_free(out);
        err = no_memory(s, verb);
    }
    if (err != REEVE_OK && item.refs.len > 0 && rv_enter(got->ctx, verb, s->label) == REEVE_OK) {
        rv_ledger_release(&got->ctx->link, item.refs);
        rv_leave(got->ctx);
    }
    return err;
}

void rv_got_free(struct rv_got *got)
{
    bool entered = false;

    for (; got->count > 0; got->count--) {
        struct rv_item item;

        rv_item_read(&got->left, &item);
        if (item.refs.len == 0)
            continue;
        entered = entered || rv_enter(got->ctx, "free", "an answer") == REEVE_OK;
        if (entered)
            rv_ledger_release(&got->ctx->link, item.refs);
    }
    if (entered)
        rv_leave(got->ctx);
    for (size_t i = got->bodies_next; i < got->bodies_len; i++)
        rv_body_drop(got->bodies[i]);
    free(got->bodies);
    rv_buf_free(&got->result);
    *got = (struct rv_got){0};
}

/* ---- calls ---- */

/* How many fit one message: whole groups of `step`; 0: not even one group does. */
static size_t fit(const struct rv_load *loads, size_t len, size_t step)
{
    size_t inside = 0;
    size_t bodies = 0;
    size_t fragments = 0;
    size_t n = 0;

    for (size_t i = 0; i < len && i < RV_LIMIT_PUT_ITEMS; i++) {
        size_t bytes = loads[i].bytes.len;

        inside += 13 + loads[i].refs.len + (bytes <= RV_LIMIT_ITEM_INLINE_BYTES ? bytes : 0);
        bodies += bytes > RV_LIMIT_ITEM_INLINE_BYTES && bytes <= RV_LIMIT_BODY_BYTES;
        fragments += bytes > RV_LIMIT_BODY_BYTES ? bytes : 0;
        if (inside > RV_LIMIT_BATCH_BYTES / 4 * 3 || bodies > RV_LIMIT_BODIES ||
            fragments > RV_LIMIT_ASSEMBLY_BYTES)
            break;
        if ((i + 1) % step == 0)
            n = i + 1;
    }
    return n;
}

/* The last 8 bytes of args are the place of the values. */
static reeve_err write_values(const struct rv_sync *s, struct rv_buf *args,
                              const struct rv_load *loads, size_t len, struct rv_body **bodies,
                              size_t *bodies_len)
{
    size_t start = args->len;
    reeve_err err = REEVE_OK;

    for (size_t i = 0; err == REEVE_OK && i < len; i++) {
        struct rv_parcel p;

        err =
            rv_parcel_make(&p, &s->ctx->link, rv_slice(NULL, 0), loads[i].bytes, loads[i].refs, 0);
        if (err != REEVE_OK)
            break;
        rv_parcel_write(args, &p);
        if (p.item.place == RV_BODY)
            bodies[(*bodies_len)++] = p.body;
        else
            rv_body_drop(p.body);
    }
    if (args->bad)
        return REEVE_ENOMEM;
    rv_set_number(args->data + start - 8, len, 4);
    rv_set_number(args->data + start - 4, args->len - start, 4);
    return err;
}

reeve_err rv_box_call_some(const struct rv_sync *s, uint16_t op, struct rv_buf *args,
                           const struct rv_load *loads, size_t len, size_t *used, size_t step,
                           const char *verb, struct rv_got *got)
{
    struct rv_body *bodies[RV_LIMIT_BODIES];
    size_t bodies_len = 0;
    struct rv_got none = {0};
    struct rv_got *to = got == NULL ? &none : got;
    struct rv_request *call = NULL;
    reeve_err err = rv_enter(s->ctx, verb, s->label);

    *to = (struct rv_got){.ctx = s->ctx};
    *used = 0;
    if (err != REEVE_OK) {
        rv_buf_free(args);
        return err;
    }
    if (args->bad)
        err = REEVE_ENOMEM;
    *used = fit(loads, len, step);
    if (err == REEVE_OK && len > 0)
        err = *used == 0 ? REEVE_ETOOBIG : write_values(s, args, loads, *used, bodies, &bodies_len);
    if (err == REEVE_OK)
        call = rv_link_call(&s->ctx->link, op, s->object, CALL_MS, rv_buf_slice(args), bodies,
                            bodies_len);
    if (call != NULL) {
        call->hook = op == RV_OP_set_combine ? keep_open : keep;
        call->arg = to;
    }
    if (err == REEVE_ETOOBIG)
        err = rv_fail(err, "cannot %s %s: the values are too large for one call", verb, s->label);
    else if (err == REEVE_ENOMEM)
        err = no_memory(s, verb);
    else
        err = rv_finish(s->ctx, call, CALL_MS, verb, s->label, &to->result);
    rv_leave(s->ctx);
    for (size_t i = 0; i < bodies_len; i++)
        rv_body_drop(bodies[i]);
    rv_buf_free(args);
    if (err != REEVE_OK) { /* a batch says how far it came */
        to->count = 0;
        if (got == NULL || op != RV_OP_batch)
            rv_got_free(to);
        return err;
    }
    err = begin_got(s, op, verb, to);
    if (err == REEVE_OK && got == NULL)
        rv_got_free(to);
    return err;
}

reeve_err rv_box_call(const struct rv_sync *s, uint16_t op, struct rv_buf *args,
                      const struct rv_load *loads, size_t len, const char *verb, struct rv_got *got)
{
    size_t used = 0;

    return rv_box_call_some(s, op, args, loads, len, &used, len == 0 ? 1 : len, verb, got);
}

reeve_err rv_box_read(const struct rv_sync *s, uint16_t op, struct rv_buf *args, const char *verb,
                      struct rv_got *got)
{
    reeve_err err = REEVE_OK;

    *got = (struct rv_got){.ctx = s->ctx};
    err = rv_sync_read(s, op, args, verb, &got->result);
    if (err != REEVE_OK) {
        rv_buf_free(&got->result);
        return err;
    }
    return begin_got(s, op, verb, got);
}

reeve_err rv_box_get(const struct rv_sync *s, uint16_t read, uint16_t fetch, struct rv_buf *args,
                     const char *verb, reeve_value **out, uint64_t *version)
{
    struct rv_dict_get_result result = {0}; /* as that of a list */
    struct rv_buf again = {0};
    struct rv_got got;
    bool empty = false;
    reeve_err err = REEVE_OK;

    *out = NULL;
    rv_buf_add(&again, args->data, args->len);
    err = rv_box_read(s, read, args, verb, &got);
    if (err == REEVE_OK) {
        if (!rv_dict_get_result_decode(&result, rv_buf_slice(&got.result)))
            err = rv_box_malformed(s, verb);
        else
            err = rv_got_next(s, verb, &got, out, &empty);
        rv_got_free(&got);
    }
    if (err == REEVE_OK && empty) {
        err = rv_box_call(s, fetch, &again, NULL, 0, verb, &got);
        if (err == REEVE_OK) {
            if (!rv_dict_get_result_decode(&result, rv_buf_slice(&got.result)))
                err = rv_box_malformed(s, verb);
            else
                err = rv_got_next(s, verb, &got, out, NULL);
            rv_got_free(&got);
        }
    }
    rv_buf_free(&again);
    if (version != NULL)
        *version = result.version;
    return err;
}

reeve_err rv_box_wait(const struct rv_sync *s, uint16_t op, struct rv_slice key, uint64_t *version,
                      uint32_t timeout_ms)
{
    static const char verb[] = "wait for a change of";
    struct rv_dict_wait_result got = {0};
    struct rv_buf args = {0};
    struct rv_buf result = {0};
    reeve_err err = REEVE_OK;

    rv_dict_wait_args_encode(&args, &(struct rv_dict_wait_args){.seen = *version, .key = key});
    err = rv_sync_wait(s, op, &args, timeout_ms, timeout_ms == REEVE_FOREVER, verb, &result);
    if (err == REEVE_OK && !rv_dict_wait_result_decode(&got, rv_buf_slice(&result)))
        err = rv_box_malformed(s, verb);
    if (err == REEVE_OK)
        *version = got.version;
    rv_buf_free(&result);
    return err;
}

reeve_err rv_box_len(const struct rv_sync *s, uint16_t op, uint64_t *len, uint64_t *bytes,
                     uint64_t *version)
{
    struct rv_dict_len_result got = {0};
    struct rv_buf result = {0};
    reeve_err err = rv_sync_read(s, op, &(struct rv_buf){0}, "look at", &result);

    if (err == REEVE_OK && !rv_dict_len_result_decode(&got, rv_buf_slice(&result)))
        err = rv_box_malformed(s, "look at");
    rv_buf_free(&result);
    if (len != NULL)
        *len = got.len;
    if (bytes != NULL)
        *bytes = got.bytes;
    if (version != NULL)
        *version = got.version;
    return err;
}

struct rv_load rv_box_int(int64_t x, uint8_t room[static RV_VALUE_NUMBER_MAX])
{
    msgpack_object o = {.type = MSGPACK_OBJECT_NEGATIVE_INTEGER, .via.i64 = x};

    if (x >= 0)
        o = (msgpack_object){.type = MSGPACK_OBJECT_POSITIVE_INTEGER, .via.u64 = (uint64_t)x};
    return (struct rv_load){.bytes = rv_slice(room, rv_value_number(room, &o))};
}

reeve_err rv_box_as_int(const struct rv_sync *s, const char *verb, reeve_value **v, int64_t *out)
{
    bool fits = reeve_get_int(*v, out);

    rv_value_free(v);
    if (fits)
        return REEVE_OK;
    *out = 0;
    return rv_fail(REEVE_ETYPE, "cannot %s %s: it is no integer of 64 bits", verb, s->label);
}
