/* dict_api.c -- the public faces of dict and Namespace. */

#include "proxy/dict_api.h"

#include "common/value/path.h"

#include <reeve/dict.h>
#include <reeve/namespace.h>
#include <reeve/ref.h>

enum { COPY_TRIES = 8, NAME_BYTES = 1000, PATH_BYTES = 65536 };

struct reeve_dict {
    struct rv_sync sync; /* first: as every handle of a container */
};

struct reeve_namespace {
    struct rv_sync sync;
};

static const struct rv_box_conf dict_conf = {.kind = RV_KIND_DICT, .word = "dict"};
static const struct rv_box_conf namespace_conf = {.kind = RV_KIND_NAMESPACE, .word = "namespace"};

/* ---- opening ---- */

reeve_err reeve_dict_open(reeve_dict **out, reeve_context *ctx, const char *name,
                          const reeve_container_options *options)
{
    return rv_box_open(out, sizeof **out, ctx, name, &dict_conf, options);
}

reeve_err reeve_dict_from(reeve_dict **out, reeve_context *ctx, reeve_ref ref)
{
    return rv_box_from(out, sizeof **out, ctx, ref, &dict_conf);
}

reeve_ref reeve_dict_ref(const reeve_dict *dict)
{
    return rv_handle_ref(dict);
}

void reeve_dict_close(reeve_dict **dict)
{
    rv_handle_close(dict);
}

const char *reeve_dict_name(const reeve_dict *dict)
{
    return dict->sync.name;
}

/* ---- pairs, by the bytes of their keys ---- */

static reeve_err key_of(const struct rv_sync *s, const char *verb, const reeve_builder *key,
                        struct rv_slice *out)
{
    reeve_err err = rv_box_bytes(s, verb, "key", key, RV_LIMIT_KEY_BYTES, out);

    if (err == REEVE_OK && out->len == 0)
        return rv_fail(REEVE_EINVAL, "cannot %s %s: no key", verb, s->label);
    return err;
}

static reeve_err path_of(const struct rv_sync *s, const char *verb, const reeve_builder *path,
                         struct rv_slice *out)
{
    return rv_box_bytes(s, verb, "path", path, PATH_BYTES, out);
}

reeve_err rv_pairs_set(const struct rv_sync *s, struct rv_slice key, const reeve_builder *value)
{
    static const char verb[] = "set a key of";
    struct rv_load loads[2] = {{.bytes = key}};
    struct rv_buf args = {0};
    reeve_err err = rv_box_load(s, verb, "value", value, &loads[1]);

    if (err != REEVE_OK)
        return err;
    rv_dict_set_args_encode(&args, &(struct rv_dict_set_args){0});
    return rv_box_call(s, RV_OP_dict_set, &args, loads, 2, verb, NULL);
}

reeve_err rv_pairs_get(const struct rv_sync *s, struct rv_slice key, struct rv_slice path,
                       reeve_value **out, uint64_t *version)
{
    struct rv_buf args = {0};

    rv_dict_get_args_encode(&args, &(struct rv_dict_get_args){.key = key, .path = path});
    return rv_box_get(s, RV_OP_dict_get, RV_OP_dict_fetch, &args, "get a key of", out, version);
}

reeve_err rv_pairs_del(const struct rv_sync *s, struct rv_slice key)
{
    struct rv_buf args = {0};

    rv_dict_del_args_encode(&args, &(struct rv_dict_del_args){.key = key});
    return rv_sync_call(s, RV_OP_dict_del, &args, "delete a key of", NULL);
}

reeve_err rv_pairs_edit(const struct rv_sync *s, uint8_t verb, struct rv_slice key,
                        struct rv_slice path, const struct rv_load *operand, reeve_value **sum)
{
    static const char word[] = "change a key of";
    struct rv_buf args = {0};
    struct rv_got got;
    reeve_err err = REEVE_OK;

    rv_dict_edit_args_encode(&args,
                             &(struct rv_dict_edit_args){.verb = verb, .key = key, .path = path});
    err = rv_box_call(s, RV_OP_dict_edit, &args, operand, operand != NULL, word, &got);
    if (err != REEVE_OK)
        return err;
    if (sum != NULL)
        err = rv_got_next(s, word, &got, sum, NULL);
    rv_got_free(&got);
    return err;
}

reeve_err rv_pairs_add_int(const struct rv_sync *s, struct rv_slice key, int64_t amount,
                           int64_t *sum)
{
    uint8_t room[RV_VALUE_NUMBER_MAX];
    struct rv_load operand = rv_box_int(amount, room);
    reeve_value *v = NULL;
    int64_t ignored = 0;
    reeve_err err = rv_pairs_edit(s, RV_EDIT_ADD, key, rv_slice(NULL, 0), &operand, &v);

    if (err != REEVE_OK)
        return err;
    return rv_box_as_int(s, "add to a key of", &v, sum == NULL ? &ignored : sum);
}

/* ---- calls of a dict ---- */

reeve_err reeve_dict_set(reeve_dict *dict, const reeve_builder *key, const reeve_builder *value)
{
    struct rv_slice bytes;
    reeve_err err = key_of(&dict->sync, "set a key of", key, &bytes);

    return err != REEVE_OK ? err : rv_pairs_set(&dict->sync, bytes, value);
}

/* In as many calls as it takes. */
static reeve_err set_all(const struct rv_sync *s, const struct rv_load *loads, size_t len)
{
    reeve_err err = REEVE_OK;

    while (err == REEVE_OK && len > 0) {
        struct rv_buf args = {0};
        size_t used = 0;

        rv_dict_set_args_encode(&args, &(struct rv_dict_set_args){0});
        err = rv_box_call_some(s, RV_OP_dict_set, &args, loads, len, &used, 2, "update", NULL);
        loads += used;
        len -= used;
    }
    return err;
}

reeve_err reeve_dict_update(reeve_dict *dict, const reeve_builder *map)
{
    struct rv_buf room = {0};
    struct rv_load *loads = NULL;
    size_t len = 0;
    reeve_err err = rv_box_parts(&dict->sync, "update", map, REEVE_MAP, &loads, &len, &room);

    if (err == REEVE_OK)
        err = set_all(&dict->sync, loads, len);
    free(loads);
    rv_buf_free(&room);
    return err;
}

reeve_err reeve_dict_fromkeys(reeve_dict *dict, const reeve_builder *keys,
                              const reeve_builder *value)
{
    struct rv_sync *s = &dict->sync;
    struct rv_buf room = {0};
    struct rv_load *loads = NULL;
    struct rv_load *pairs = NULL;
    struct rv_load one;
    size_t len = 0;
    reeve_err err = rv_box_load(s, "update", "value", value, &one);

    if (err == REEVE_OK)
        err = rv_box_parts(s, "update", keys, REEVE_ARRAY, &loads, &len, &room);
    if (err == REEVE_OK) {
        pairs = calloc(len * 2 + 1, sizeof *pairs);
        if (pairs == NULL)
            err = rv_fail(REEVE_ENOMEM, "cannot update %s: out of memory", s->label);
    }
    for (size_t i = 0; err == REEVE_OK && i < len; i++) {
        pairs[i * 2] = loads[i];
        pairs[i * 2 + 1] = one;
    }
    if (err == REEVE_OK)
        err = set_all(s, pairs, len * 2);
    free(pairs);
    free(loads);
    rv_buf_free(&room);
    return err;
}

reeve_err reeve_dict_setdefault(reeve_dict *dict, const reeve_builder *key,
                                const reeve_builder *value, reeve_value **out, bool *created)
{
    static const char verb[] = "set a key of";
    const struct rv_sync *s = &dict->sync;
    struct rv_dict_setdefault_args args = {0};
    struct rv_dict_setdefault_result result = {0};
    struct rv_buf buf = {0};
    struct rv_load load;
    struct rv_got got;
    reeve_err err = key_of(s, verb, key, &args.key);

    *out = NULL;
    if (err == REEVE_OK)
        err = rv_box_load(s, verb, "value", value, &load);
    if (err != REEVE_OK)
        return err;
    rv_dict_setdefault_args_encode(&buf, &args);
    err = rv_box_call(s, RV_OP_dict_setdefault, &buf, &load, 1, verb, &got);
    if (err != REEVE_OK)
        return err;
    if (!rv_dict_setdefault_result_decode(&result, rv_buf_slice(&got.result)))
        err = rv_box_malformed(s, verb);
    else
        err = rv_got_next(s, verb, &got, out, NULL);
    rv_got_free(&got);
    if (created != NULL)
        *created = err == REEVE_OK && result.created != 0;
    return err;
}

reeve_err reeve_dict_get_version(reeve_dict *dict, const reeve_builder *key, reeve_value **out,
                                 uint64_t *version)
{
    struct rv_slice bytes;
    reeve_err err = key_of(&dict->sync, "get a key of", key, &bytes);

    *out = NULL;
    return err != REEVE_OK ? err
                           : rv_pairs_get(&dict->sync, bytes, rv_slice(NULL, 0), out, version);
}

reeve_err reeve_dict_get(reeve_dict *dict, const reeve_builder *key, reeve_value **out)
{
    return reeve_dict_get_version(dict, key, out, NULL);
}

reeve_err reeve_dict_contains(reeve_dict *dict, const reeve_builder *key, bool *there)
{
    static const char verb[] = "look for a key of";
    struct rv_dict_contains_args args = {0};
    struct rv_dict_contains_result got = {0};
    struct rv_buf buf = {0};
    struct rv_buf result = {0};
    reeve_err err = key_of(&dict->sync, verb, key, &args.key);

    *there = false;
    if (err != REEVE_OK)
        return err;
    rv_dict_contains_args_encode(&buf, &args);
    err = rv_sync_read(&dict->sync, RV_OP_dict_contains, &buf, verb, &result);
    if (err == REEVE_OK && !rv_dict_contains_result_decode(&got, rv_buf_slice(&result)))
        err = rv_box_malformed(&dict->sync, verb);
    rv_buf_free(&result);
    *there = err == REEVE_OK && got.there != 0;
    return err;
}

reeve_err reeve_dict_del(reeve_dict *dict, const reeve_builder *key)
{
    struct rv_slice bytes;
    reeve_err err = key_of(&dict->sync, "delete a key of", key, &bytes);

    return err != REEVE_OK ? err : rv_pairs_del(&dict->sync, bytes);
}

reeve_err reeve_dict_pop(reeve_dict *dict, const reeve_builder *key, reeve_value **out)
{
    static const char verb[] = "pop a key of";
    struct rv_dict_pop_args args = {0};
    struct rv_buf buf = {0};
    struct rv_got got;
    reeve_err err = key_of(&dict->sync, verb, key, &args.key);

    *out = NULL;
    if (err != REEVE_OK)
        return err;
    rv_dict_pop_args_encode(&buf, &args);
    err = rv_box_call(&dict->sync, RV_OP_dict_pop, &buf, NULL, 0, verb, &got);
    if (err != REEVE_OK)
        return err;
    err = rv_got_next(&dict->sync, verb, &got, out, NULL);
    rv_got_free(&got);
    return err;
}

reeve_err reeve_dict_popitem(reeve_dict *dict, reeve_value **key, reeve_value **value)
{
    static const char verb[] = "pop a pair of";
    struct rv_dict_popitem_result result = {0};
    struct rv_got got;
    reeve_err err =
        rv_box_call(&dict->sync, RV_OP_dict_popitem, &(struct rv_buf){0}, NULL, 0, verb, &got);

    *key = NULL;
    *value = NULL;
    if (err != REEVE_OK)
        return err;
    if (!rv_dict_popitem_result_decode(&result, rv_buf_slice(&got.result)))
        err = rv_box_malformed(&dict->sync, verb);
    if (err == REEVE_OK)
        err = rv_box_parse(&dict->sync, verb, result.key, key);
    if (err == REEVE_OK)
        err = rv_got_next(&dict->sync, verb, &got, value, NULL);
    if (err != REEVE_OK)
        rv_value_free(key);
    rv_got_free(&got);
    return err;
}

reeve_err reeve_dict_clear(reeve_dict *dict)
{
    return rv_sync_call(&dict->sync, RV_OP_dict_clear, &(struct rv_buf){0}, "clear", NULL);
}

reeve_err reeve_dict_len(reeve_dict *dict, uint64_t *len, uint64_t *bytes)
{
    return rv_box_len(&dict->sync, RV_OP_dict_len, len, bytes, NULL);
}

/* ---- one call where others need a lock ---- */

reeve_err reeve_dict_add(reeve_dict *dict, const reeve_builder *key, const reeve_builder *amount,
                         reeve_value **sum)
{
    return reeve_dict_add_at(dict, key, NULL, amount, sum);
}

reeve_err reeve_dict_add_int(reeve_dict *dict, const reeve_builder *key, int64_t amount,
                             int64_t *sum)
{
    struct rv_slice bytes;
    reeve_err err = key_of(&dict->sync, "add to a key of", key, &bytes);

    return err != REEVE_OK ? err : rv_pairs_add_int(&dict->sync, bytes, amount, sum);
}

reeve_err reeve_dict_cas(reeve_dict *dict, const reeve_builder *key, const reeve_builder *expected,
                         const reeve_builder *value, bool *done, reeve_value **now)
{
    static const char verb[] = "compare and set a key of";
    const struct rv_sync *s = &dict->sync;
    struct rv_dict_cas_args args = {0};
    struct rv_dict_cas_result result = {0};
    struct rv_load loads[2];
    struct rv_buf buf = {0};
    struct rv_got got;
    size_t len = 0;
    reeve_err err = key_of(s, verb, key, &args.key);

    *done = false;
    if (now != NULL)
        *now = NULL;
    if (err == REEVE_OK && expected != NULL)
        err = rv_box_load(s, verb, "expected value", expected, &loads[len++]);
    if (err == REEVE_OK && value != NULL)
        err = rv_box_load(s, verb, "value", value, &loads[len++]);
    if (err != REEVE_OK)
        return err;
    args.flags =
        (uint8_t)((expected == NULL ? RV_CAS_ABSENT : 0) | (value == NULL ? RV_CAS_DELETE : 0));
    rv_dict_cas_args_encode(&buf, &args);
    err = rv_box_call(s, RV_OP_dict_cas, &buf, loads, len, verb, &got);
    if (err != REEVE_OK)
        return err;
    if (!rv_dict_cas_result_decode(&result, rv_buf_slice(&got.result)))
        err = rv_box_malformed(s, verb);
    *done = err == REEVE_OK && result.done != 0;
    if (err == REEVE_OK && now != NULL && got.count > 0)
        err = rv_got_next(s, verb, &got, now, NULL);
    rv_got_free(&got);
    return err;
}

reeve_err reeve_dict_wait(reeve_dict *dict, const reeve_builder *key, uint64_t *version,
                          uint32_t timeout_ms)
{
    struct rv_slice bytes;
    reeve_err err =
        rv_box_bytes(&dict->sync, "wait for a change of", "key", key, RV_LIMIT_KEY_BYTES, &bytes);

    return err != REEVE_OK ? err
                           : rv_box_wait(&dict->sync, RV_OP_dict_wait, bytes, version, timeout_ms);
}

/* ---- places inside a value ---- */

/* value may be NULL: then there is none. */
static reeve_err edit(reeve_dict *dict, uint8_t edit_verb, const reeve_builder *key,
                      const reeve_builder *path, const reeve_builder *value, reeve_value **sum)
{
    static const char verb[] = "change a key of";
    struct rv_slice key_bytes;
    struct rv_slice path_bytes;
    struct rv_load load;
    reeve_err err = key_of(&dict->sync, verb, key, &key_bytes);

    if (sum != NULL)
        *sum = NULL;
    if (err == REEVE_OK)
        err = path_of(&dict->sync, verb, path, &path_bytes);
    if (err == REEVE_OK && edit_verb != RV_EDIT_DELETE)
        err = rv_box_load(&dict->sync, verb, "value", value, &load);
    if (err != REEVE_OK)
        return err;
    return rv_pairs_edit(&dict->sync, edit_verb, key_bytes, path_bytes,
                         edit_verb == RV_EDIT_DELETE ? NULL : &load, sum);
}

reeve_err reeve_dict_get_at(reeve_dict *dict, const reeve_builder *key, const reeve_builder *path,
                            reeve_value **out)
{
    static const char verb[] = "get a key of";
    struct rv_slice key_bytes;
    struct rv_slice path_bytes;
    reeve_err err = key_of(&dict->sync, verb, key, &key_bytes);

    *out = NULL;
    if (err == REEVE_OK)
        err = path_of(&dict->sync, verb, path, &path_bytes);
    return err != REEVE_OK ? err : rv_pairs_get(&dict->sync, key_bytes, path_bytes, out, NULL);
}

reeve_err reeve_dict_set_at(reeve_dict *dict, const reeve_builder *key, const reeve_builder *path,
                            const reeve_builder *value)
{
    return edit(dict, RV_EDIT_SET, key, path, value, NULL);
}

reeve_err reeve_dict_append_at(reeve_dict *dict, const reeve_builder *key,
                               const reeve_builder *path, const reeve_builder *value)
{
    return edit(dict, RV_EDIT_APPEND, key, path, value, NULL);
}

reeve_err reeve_dict_del_at(reeve_dict *dict, const reeve_builder *key, const reeve_builder *path)
{
    return edit(dict, RV_EDIT_DELETE, key, path, NULL, NULL);
}

reeve_err reeve_dict_add_at(reeve_dict *dict, const reeve_builder *key, const reeve_builder *path,
                            const reeve_builder *amount, reeve_value **sum)
{
    return edit(dict, RV_EDIT_ADD, key, path, amount, sum);
}

/* ---- one after the other ---- */

struct reeve_dict_iter {
    const struct rv_sync *sync;
    struct rv_got page;
    uint64_t changes;
    bool more;           /* behind this page */
    struct rv_buf after; /* the last key that was read */
    reeve_value *key, *value;
};

static reeve_err fetch_page(reeve_dict_iter *it)
{
    struct rv_dict_page_result page = {0};
    struct rv_buf args = {0};
    reeve_err err = REEVE_OK;

    rv_dict_page_args_encode(&args, &(struct rv_dict_page_args){.changes = it->changes,
                                                                .after = rv_buf_slice(&it->after)});
    rv_got_free(&it->page);
    err = rv_box_read(it->sync, RV_OP_dict_page, &args, "read", &it->page);
    if (err == REEVE_OK && (!rv_dict_page_result_decode(&page, rv_buf_slice(&it->page.result)) ||
                            page.pairs.count % 2 != 0 || (page.more && page.pairs.count == 0)))
        err = rv_box_malformed(it->sync, "read");
    it->changes = page.changes;
    it->more = page.more != 0;
    return err;
}

/* One that did not fit the page. It may have gone by now, and so has the dict that is being read. */
static reeve_err fetch_value(reeve_dict_iter *it)
{
    struct rv_buf args = {0};
    reeve_err err = REEVE_OK;

    rv_dict_get_args_encode(&args, &(struct rv_dict_get_args){.key = rv_value_bytes(it->key)});
    err = rv_box_get(it->sync, RV_OP_dict_get, RV_OP_dict_fetch, &args, "read", &it->value, NULL);
    if (err == REEVE_EKEY || err == REEVE_EATTR)
        err = rv_fail(REEVE_ECHANGED, "cannot read %s: it changed", it->sync->label);
    return err;
}

static reeve_err read_pair(reeve_dict_iter *it)
{
    struct rv_slice key;
    bool empty = false;
    reeve_err err = rv_got_next(it->sync, "read", &it->page, &it->key, NULL);

    if (err == REEVE_OK)
        err = rv_got_next(it->sync, "read", &it->page, &it->value, &empty);
    if (err != REEVE_OK)
        return err;
    key = rv_value_bytes(it->key);
    rv_buf_clear(&it->after);
    rv_buf_add(&it->after, key.data, key.len);
    if (it->after.bad)
        return rv_fail(REEVE_ENOMEM, "cannot read %s: out of memory", it->sync->label);
    return empty ? fetch_value(it) : REEVE_OK;
}

static reeve_err begin_items(reeve_dict_iter **out, const struct rv_sync *s)
{
    reeve_dict_iter *it = calloc(1, sizeof *it);

    *out = it;
    if (it == NULL)
        return rv_fail(REEVE_ENOMEM, "cannot read %s: out of memory", s->label);
    it->sync = s;
    it->more = true;
    return REEVE_OK;
}

reeve_err reeve_dict_items(reeve_dict_iter **out, reeve_dict *dict)
{
    return begin_items(out, &dict->sync);
}

reeve_err reeve_dict_next(reeve_dict_iter *iter, const reeve_value **key, const reeve_value **value)
{
    reeve_err err = REEVE_OK;

    *key = NULL;
    *value = NULL;
    rv_value_free(&iter->key);
    rv_value_free(&iter->value);
    if (iter->page.count == 0 && iter->more)
        err = fetch_page(iter);
    if (err == REEVE_OK && iter->page.count > 0)
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
    rv_got_free(&it->page);
    rv_buf_free(&it->after);
    free(it);
}

/* ---- all of it ---- */

/* At most len pairs; *count: so many, and one more if there were more. */
static reeve_err read_all(const struct rv_sync *s, reeve_builder *pairs, uint64_t len,
                          uint64_t *count)
{
    reeve_dict_iter *it = NULL;
    const reeve_value *key = NULL;
    const reeve_value *value = NULL;
    reeve_err err = begin_items(&it, s);

    for (*count = 0; err == REEVE_OK && *count <= len; ++*count) {
        err = reeve_dict_next(it, &key, &value);
        if (err != REEVE_OK || key == NULL)
            break;
        if (*count < len) {
            (void)reeve_put_value(pairs, key);
            (void)reeve_put_value(pairs, value);
        }
    }
    reeve_dict_iter_close(&it);
    return err;
}

/* *again: keys came or went on the way. */
static reeve_err as_map(const struct rv_sync *s, uint64_t len, reeve_value **out, bool *again)
{
    reeve_builder *b = reeve_builder_new();
    struct rv_slice bytes;
    struct rv_slice refs;
    uint64_t count = 0;
    uint32_t store = 0;
    reeve_err err = REEVE_OK;

    (void)reeve_put_map(b, (size_t)len);
    err = read_all(s, b, len, &count);
    *again = err == REEVE_ECHANGED || (err == REEVE_OK && count != len);
    if (err == REEVE_OK && !*again) {
        err = rv_builder_item(b, &bytes, &refs, &store);
        if (err == REEVE_OK && refs.len > 0)
            err = rv_fail(REEVE_ETYPE,
                          "cannot copy %s: a value has references; read them one by one", s->label);
        else if (err == REEVE_OK)
            err = rv_value_parse(out, bytes);
        if (err == REEVE_ENOMEM)
            err = rv_fail(err, "cannot copy %s: out of memory", s->label);
    }
    rv_builder_free(&b);
    return *again ? REEVE_OK : err;
}

reeve_err rv_pairs_copy(const struct rv_sync *s, reeve_value **out)
{
    bool again = true;
    reeve_err err = REEVE_OK;

    *out = NULL;
    for (int i = 0; err == REEVE_OK && again && i < COPY_TRIES; i++) {
        uint64_t len = 0;

        err = rv_box_len(s, RV_OP_dict_len, &len, NULL, NULL);
        if (err == REEVE_OK)
            err = as_map(s, len, out, &again);
    }
    return err == REEVE_OK && again
               ? rv_fail(REEVE_ECHANGED, "cannot copy %s: keys came and went", s->label)
               : err;
}

reeve_err reeve_dict_copy(reeve_dict *dict, reeve_value **out)
{
    return rv_pairs_copy(&dict->sync, out);
}

/* ---- namespaces ---- */

reeve_err reeve_namespace_open(reeve_namespace **out, reeve_context *ctx, const char *name,
                               const reeve_container_options *options)
{
    return rv_box_open(out, sizeof **out, ctx, name, &namespace_conf, options);
}

reeve_err reeve_namespace_from(reeve_namespace **out, reeve_context *ctx, reeve_ref ref)
{
    return rv_box_from(out, sizeof **out, ctx, ref, &namespace_conf);
}

reeve_ref reeve_namespace_ref(const reeve_namespace *ns)
{
    return rv_handle_ref(ns);
}

void reeve_namespace_close(reeve_namespace **ns)
{
    rv_handle_close(ns);
}

const char *reeve_namespace_name(const reeve_namespace *ns)
{
    return ns->sync.name;
}

/* The name as a value. */
struct name {
    uint8_t bytes[RV_VALUE_HEAD_MAX + NAME_BYTES];
    struct rv_slice key;
};

static reeve_err name_of(const reeve_namespace *ns, const char *name, struct name *out)
{
    size_t len = name == NULL ? 0 : strlen(name);
    size_t head = 0;

    if (len == 0 || len > NAME_BYTES || !rv_utf8_valid(rv_slice(name, len)))
        return rv_fail(REEVE_EINVAL,
                       "cannot use %s: the name of an attribute is UTF-8, of 1 to %d bytes",
                       ns->sync.label, NAME_BYTES);
    head = rv_value_head(out->bytes, true, len);
    memcpy(out->bytes + head, name, len);
    out->key = rv_slice(out->bytes, head + len);
    return REEVE_OK;
}

reeve_err reeve_namespace_set(reeve_namespace *ns, const char *name, const reeve_builder *value)
{
    struct name n;
    reeve_err err = name_of(ns, name, &n);

    return err != REEVE_OK ? err : rv_pairs_set(&ns->sync, n.key, value);
}

reeve_err reeve_namespace_get(reeve_namespace *ns, const char *name, reeve_value **out)
{
    struct name n;
    reeve_err err = name_of(ns, name, &n);

    *out = NULL;
    return err != REEVE_OK ? err : rv_pairs_get(&ns->sync, n.key, rv_slice(NULL, 0), out, NULL);
}

reeve_err reeve_namespace_del(reeve_namespace *ns, const char *name)
{
    struct name n;
    reeve_err err = name_of(ns, name, &n);

    return err != REEVE_OK ? err : rv_pairs_del(&ns->sync, n.key);
}

reeve_err reeve_namespace_add_int(reeve_namespace *ns, const char *name, int64_t amount,
                                  int64_t *sum)
{
    struct name n;
    reeve_err err = name_of(ns, name, &n);

    return err != REEVE_OK ? err : rv_pairs_add_int(&ns->sync, n.key, amount, sum);
}

/* Names as keys, and values between them. */
static reeve_err check_names(const reeve_namespace *ns, const struct rv_load *loads, size_t len)
{
    reeve_err err = REEVE_OK;

    for (size_t i = 0; err == REEVE_OK && i < len; i += 2) {
        reeve_value *key = NULL;
        const char *text = NULL;
        size_t bytes = 0;

        err = rv_box_parse(&ns->sync, "update", loads[i].bytes, &key);
        if (err == REEVE_OK &&
            (!reeve_get_str(key, &text, &bytes) || bytes == 0 || bytes > NAME_BYTES))
            err = rv_fail(REEVE_ETYPE,
                          "cannot update %s: a key is no name of an attribute: those are texts of "
                          "1 to %d bytes",
                          ns->sync.label, NAME_BYTES);
        rv_value_free(&key);
    }
    return err;
}

reeve_err reeve_namespace_update(reeve_namespace *ns, const reeve_builder *map)
{
    struct rv_buf room = {0};
    struct rv_load *loads = NULL;
    size_t len = 0;
    reeve_err err = rv_box_parts(&ns->sync, "update", map, REEVE_MAP, &loads, &len, &room);

    if (err == REEVE_OK)
        err = check_names(ns, loads, len);
    if (err == REEVE_OK)
        err = set_all(&ns->sync, loads, len);
    free(loads);
    rv_buf_free(&room);
    return err;
}

reeve_err reeve_namespace_items(reeve_dict_iter **out, reeve_namespace *ns)
{
    return begin_items(out, &ns->sync);
}

reeve_err reeve_namespace_copy(reeve_namespace *ns, reeve_value **out)
{
    return rv_pairs_copy(&ns->sync, out);
}

reeve_err reeve_namespace_wait(reeve_namespace *ns, const char *name, uint64_t *version,
                               uint32_t timeout_ms)
{
    struct name n = {.key = {0}};
    reeve_err err = name == NULL ? REEVE_OK : name_of(ns, name, &n);

    return err != REEVE_OK ? err
                           : rv_box_wait(&ns->sync, RV_OP_dict_wait, n.key, version, timeout_ms);
}
