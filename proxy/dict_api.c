/* dict_api.c -- the public face of dict. */

#include "proxy/sync_api.h"

#include "common/value/value.h"

#include <reeve/dict.h>
#include <reeve/value.h>

struct reeve_dict {
    struct rv_sync sync;
};

struct reeve_dict_iter {
    const struct rv_sync *sync;
    struct rv_buf page; /* the answer that left lies in */
    struct rv_reader left;
    uint32_t count; /* of rows in left */
    uint64_t changes;
    bool more;           /* behind this page */
    struct rv_buf after; /* the last key that was read */
    reeve_value *key, *value;
};

reeve_err reeve_dict_open(reeve_dict **out, reeve_context *ctx, const char *name,
                          const reeve_dict_options *options)
{
    static const reeve_dict_options defaults;
    const reeve_dict_options *o = options == NULL ? &defaults : options;
    reeve_dict *d = calloc(1, sizeof *d);
    reeve_err err = REEVE_OK;

    *out = NULL;
    if (d == NULL)
        return rv_fail(REEVE_ENOMEM, "cannot open a dict: out of memory");
    err = rv_sync_open(&d->sync, ctx, name,
                       &(struct rv_sync_conf){.kind = RV_KIND_DICT,
                                              .word = "dict",
                                              .create = o->create,
                                              .ttl_ms = o->ttl_ms,
                                              .timeout_ms = o->timeout_ms,
                                              .durable = o->durable,
                                              .reserved = o->reserved});
    if (err != REEVE_OK) {
        free(d);
        return err;
    }
    *out = d;
    return REEVE_OK;
}

void reeve_dict_close(reeve_dict **dict)
{
    reeve_dict *d = dict == NULL ? NULL : *dict;

    if (d == NULL)
        return;
    *dict = NULL;
    rv_sync_close(&d->sync);
    free(d);
}

const char *reeve_dict_name(const reeve_dict *dict)
{
    return dict->sync.name;
}

/* ---- what goes and comes ---- */

static reeve_err malformed(const struct rv_sync *s, const char *verb)
{
    return rv_fail(REEVE_EPROTO, "cannot %s %s: malformed answer", verb, s->label);
}

static reeve_err bytes_of(const struct rv_sync *s, const char *verb, const char *what,
                          const reeve_builder *b, size_t max, struct rv_slice *out)
{
    reeve_err err = rv_builder_bytes(b, out);

    if (err != REEVE_OK)
        return rv_fail(err, "cannot %s %s: the %s is not one whole value without references (%s)",
                       verb, s->label, what, reeve_strerror(err));
    if (out->len > max)
        return rv_fail(REEVE_ETOOBIG, "cannot %s %s: a %s has at most %zu bytes", verb, s->label,
                       what, max);
    return REEVE_OK;
}

static reeve_err key_args(const struct rv_sync *s, const char *verb, const reeve_builder *key,
                          struct rv_buf *args)
{
    struct rv_dict_get_args a = {0};
    reeve_err err = bytes_of(s, verb, "key", key, RV_LIMIT_DICT_KEY_BYTES, &a.key);

    if (err == REEVE_OK)
        rv_dict_get_args_encode(args, &a);
    return err;
}

static reeve_err pair_args(const struct rv_sync *s, const char *verb, const reeve_builder *key,
                           const reeve_builder *value, struct rv_buf *args)
{
    struct rv_dict_set_args a = {0};
    reeve_err err = bytes_of(s, verb, "key", key, RV_LIMIT_DICT_KEY_BYTES, &a.key);

    if (err == REEVE_OK)
        err = bytes_of(s, verb, "value", value, RV_LIMIT_DICT_VALUE_BYTES, &a.value);
    if (err == REEVE_OK)
        rv_dict_set_args_encode(args, &a);
    return err;
}

/* What came in an answer, for the caller to own. */
static reeve_err take_value(const struct rv_sync *s, const char *verb, struct rv_slice bytes,
                            reeve_value **out)
{
    reeve_err err = rv_value_parse(out, bytes);

    if (err == REEVE_ENOMEM)
        return rv_fail(err, "cannot %s %s: out of memory", verb, s->label);
    return err == REEVE_OK ? err : malformed(s, verb);
}

/* ---- calls ---- */

reeve_err reeve_dict_set(reeve_dict *dict, const reeve_builder *key, const reeve_builder *value)
{
    struct rv_buf args = {0};
    reeve_err err = pair_args(&dict->sync, "set a key of", key, value, &args);

    if (err != REEVE_OK)
        return err;
    return rv_sync_call(&dict->sync, RV_OP_dict_set, &args, "set a key of", NULL);
}

reeve_err reeve_dict_setdefault(reeve_dict *dict, const reeve_builder *key,
                                const reeve_builder *value, reeve_value **out, bool *created)
{
    static const char verb[] = "set a key of";
    struct rv_dict_setdefault_result got = {0};
    struct rv_buf args = {0};
    struct rv_buf result = {0};
    reeve_err err = pair_args(&dict->sync, verb, key, value, &args);

    *out = NULL;
    if (err == REEVE_OK)
        err = rv_sync_call(&dict->sync, RV_OP_dict_setdefault, &args, verb, &result);
    if (err == REEVE_OK)
        err = rv_dict_setdefault_result_decode(&got, rv_buf_slice(&result))
                  ? take_value(&dict->sync, verb, got.value, out)
                  : malformed(&dict->sync, verb);
    rv_buf_free(&result);
    if (created != NULL)
        *created = err == REEVE_OK && got.created != 0;
    return err;
}

/* dict_get and dict_pop: a key goes, its value comes. */
static reeve_err ask(reeve_dict *dict, uint16_t op, const char *verb, const reeve_builder *key,
                     reeve_value **out)
{
    struct rv_dict_get_result got = {0};
    struct rv_buf args = {0};
    struct rv_buf result = {0};
    reeve_err err = key_args(&dict->sync, verb, key, &args);

    *out = NULL;
    if (err == REEVE_OK && op == RV_OP_dict_get)
        err = rv_sync_read(&dict->sync, op, &args, verb, &result);
    else if (err == REEVE_OK)
        err = rv_sync_call(&dict->sync, op, &args, verb, &result);
    if (err == REEVE_OK)
        err = rv_dict_get_result_decode(&got, rv_buf_slice(&result))
                  ? take_value(&dict->sync, verb, got.value, out)
                  : malformed(&dict->sync, verb);
    rv_buf_free(&result);
    return err;
}

reeve_err reeve_dict_get(reeve_dict *dict, const reeve_builder *key, reeve_value **out)
{
    return ask(dict, RV_OP_dict_get, "get a key of", key, out);
}

reeve_err reeve_dict_pop(reeve_dict *dict, const reeve_builder *key, reeve_value **out)
{
    return ask(dict, RV_OP_dict_pop, "pop a key of", key, out);
}

reeve_err reeve_dict_contains(reeve_dict *dict, const reeve_builder *key, bool *there)
{
    static const char verb[] = "look for a key of";
    struct rv_dict_contains_result got = {0};
    struct rv_buf args = {0};
    struct rv_buf result = {0};
    reeve_err err = key_args(&dict->sync, verb, key, &args);

    if (err == REEVE_OK)
        err = rv_sync_read(&dict->sync, RV_OP_dict_contains, &args, verb, &result);
    if (err == REEVE_OK && !rv_dict_contains_result_decode(&got, rv_buf_slice(&result)))
        err = malformed(&dict->sync, verb);
    rv_buf_free(&result);
    *there = err == REEVE_OK && got.there != 0;
    return err;
}

reeve_err reeve_dict_del(reeve_dict *dict, const reeve_builder *key)
{
    struct rv_buf args = {0};
    reeve_err err = key_args(&dict->sync, "delete a key of", key, &args);

    if (err != REEVE_OK)
        return err;
    return rv_sync_call(&dict->sync, RV_OP_dict_del, &args, "delete a key of", NULL);
}

reeve_err reeve_dict_popitem(reeve_dict *dict, reeve_value **key, reeve_value **value)
{
    static const char verb[] = "pop a pair of";
    struct rv_dict_popitem_result got = {0};
    struct rv_buf result = {0};
    reeve_err err =
        rv_sync_call(&dict->sync, RV_OP_dict_popitem, &(struct rv_buf){0}, verb, &result);

    *key = NULL;
    *value = NULL;
    if (err == REEVE_OK && !rv_dict_popitem_result_decode(&got, rv_buf_slice(&result)))
        err = malformed(&dict->sync, verb);
    if (err == REEVE_OK)
        err = take_value(&dict->sync, verb, got.key, key);
    if (err == REEVE_OK)
        err = take_value(&dict->sync, verb, got.value, value);
    if (err != REEVE_OK)
        rv_value_free(key);
    rv_buf_free(&result);
    return err;
}

reeve_err reeve_dict_clear(reeve_dict *dict)
{
    return rv_sync_call(&dict->sync, RV_OP_dict_clear, &(struct rv_buf){0}, "clear", NULL);
}

reeve_err reeve_dict_len(reeve_dict *dict, uint64_t *len, uint64_t *bytes)
{
    struct rv_dict_len_result got = {0};
    struct rv_buf result = {0};
    reeve_err err =
        rv_sync_read(&dict->sync, RV_OP_dict_len, &(struct rv_buf){0}, "look at", &result);

    if (err == REEVE_OK && !rv_dict_len_result_decode(&got, rv_buf_slice(&result)))
        err = malformed(&dict->sync, "look at");
    rv_buf_free(&result);
    *len = got.len;
    if (bytes != NULL)
        *bytes = got.bytes;
    return err;
}

/* ---- one after the other ---- */

reeve_err reeve_dict_items(reeve_dict_iter **out, reeve_dict *dict)
{
    reeve_dict_iter *it = calloc(1, sizeof *it);

    *out = it;
    if (it == NULL)
        return rv_fail(REEVE_ENOMEM, "cannot read %s: out of memory", dict->sync.label);
    it->sync = &dict->sync;
    it->more = true;
    return REEVE_OK;
}

static reeve_err fetch(reeve_dict_iter *it)
{
    struct rv_dict_page_result page = {0};
    struct rv_buf args = {0};
    reeve_err err = REEVE_OK;

    rv_dict_page_args_encode(&args, &(struct rv_dict_page_args){.changes = it->changes,
                                                                .after = rv_buf_slice(&it->after)});
    rv_buf_free(&it->page);
    err = rv_sync_read(it->sync, RV_OP_dict_page, &args, "read", &it->page);
    if (err == REEVE_OK && (!rv_dict_page_result_decode(&page, rv_buf_slice(&it->page)) ||
                            (page.more && page.count == 0)))
        err = malformed(it->sync, "read");
    if (err != REEVE_OK)
        return err;
    it->changes = page.changes;
    it->more = page.more != 0;
    it->count = page.count;
    it->left = rv_reader(page.rows);
    return REEVE_OK;
}

static reeve_err read_pair(reeve_dict_iter *it)
{
    uint32_t len = (uint32_t)rv_read_number(&it->left, 4);
    const uint8_t *at = rv_read(&it->left, len);
    struct rv_dict_row row;
    reeve_err err = REEVE_OK;

    if (at == NULL || !rv_dict_row_decode(&row, rv_slice(at, len)))
        return malformed(it->sync, "read");
    it->count--;
    rv_buf_clear(&it->after);
    rv_buf_add(&it->after, row.key.data, row.key.len);
    if (it->after.bad)
        return rv_fail(REEVE_ENOMEM, "cannot read %s: out of memory", it->sync->label);
    err = take_value(it->sync, "read", row.key, &it->key);
    return err == REEVE_OK ? take_value(it->sync, "read", row.value, &it->value) : err;
}

reeve_err reeve_dict_next(reeve_dict_iter *iter, const reeve_value **key, const reeve_value **value)
{
    reeve_err err = REEVE_OK;

    *key = NULL;
    *value = NULL;
    rv_value_free(&iter->key);
    rv_value_free(&iter->value);
    if (iter->count == 0 && iter->more)
        err = fetch(iter);
    if (err == REEVE_OK && iter->count > 0)
        err = read_pair(iter);
    if (err != REEVE_OK)
        return err;
    *key = iter->key;
    *value = iter->value;
    return REEVE_OK;
}

void reeve_dict_iter_close(reeve_dict_iter **iter)
{
    reeve_dict_iter *it = iter == NULL ? NULL : *iter;

    if (it == NULL)
        return;
    *iter = NULL;
    rv_value_free(&it->key);
    rv_value_free(&it->value);
    rv_buf_free(&it->page);
    rv_buf_free(&it->after);
    free(it);
}
