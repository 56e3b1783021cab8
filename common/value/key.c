/* key.c -- the one spelling that equal values share. */

#include "common/value/key.h"

#include <stdlib.h>

#include <msgpack/pack.h>

/* A pair of a map that is being written, by where it lies in the bytes. */
struct pair {
    const uint8_t *key;
    size_t key_len;
    size_t len; /* with its value */
};

static reeve_err write_value(struct rv_buf *out, const msgpack_object *o);

static int append(void *buf, const char *bytes, size_t len)
{
    rv_buf_add(buf, bytes, len);
    return 0;
}

/* What equals an integer that MessagePack has is written as that; -0.0 is 0. Both bounds are powers
 * of two, so the comparisons and the conversions behind them are exact. */
static reeve_err write_float(msgpack_packer *to, double f)
{
    if (f != f)
        return REEVE_EINVAL;
    if (f >= 0 && f < 0x1p64 && f == (double)(uint64_t)f)
        msgpack_pack_uint64(to, (uint64_t)f);
    else if (f < 0 && f >= -0x1p63 && f == (double)(int64_t)f)
        msgpack_pack_int64(to, (int64_t)f);
    else
        msgpack_pack_double(to, f);
    return REEVE_OK;
}

static int by_key(const void *left, const void *right)
{
    const struct pair *a = left;
    const struct pair *b = right;
    int order = memcmp(a->key, b->key, a->key_len < b->key_len ? a->key_len : b->key_len);

    if (order != 0)
        return order;
    return (a->key_len > b->key_len) - (a->key_len < b->key_len);
}

/* The pairs one behind the other, as the map has them. The keys are not set yet: the bytes may
 * still move. */
static reeve_err write_pairs(struct rv_buf *out, struct pair *pairs, const msgpack_object_map *map)
{
    reeve_err err = REEVE_OK;

    for (uint32_t i = 0; err == REEVE_OK && i < map->size; i++) {
        size_t start = out->len;

        err = write_value(out, &map->ptr[i].key);
        pairs[i].key_len = out->len - start;
        if (err == REEVE_OK)
            err = write_value(out, &map->ptr[i].val);
        pairs[i].len = out->len - start;
    }
    return err;
}

/* In the order of their keys, each of which is there once. */
static reeve_err sort_pairs(struct rv_buf *out, struct pair *pairs, size_t count,
                            struct rv_slice written)
{
    const uint8_t *at = written.data;

    for (size_t i = 0; i < count; i++) {
        pairs[i].key = at;
        at += pairs[i].len;
    }
    qsort(pairs, count, sizeof *pairs, by_key);
    for (size_t i = 0; i < count; i++) {
        if (i > 0 && by_key(&pairs[i - 1], &pairs[i]) == 0)
            return REEVE_EINVAL;
        rv_buf_add(out, pairs[i].key, pairs[i].len);
    }
    return REEVE_OK;
}

static reeve_err write_map(struct rv_buf *out, const msgpack_object_map *map)
{
    struct rv_buf written = {0};
    struct pair *pairs = NULL;
    reeve_err err = REEVE_OK;

    if (map->size == 0)
        return REEVE_OK;
    pairs = calloc(map->size, sizeof *pairs);
    if (pairs == NULL)
        return REEVE_ENOMEM;
    err = write_pairs(&written, pairs, map);
    if (err == REEVE_OK && written.bad)
        err = REEVE_ENOMEM;
    if (err == REEVE_OK)
        err = sort_pairs(out, pairs, map->size, rv_buf_slice(&written));
    rv_buf_free(&written);
    free(pairs);
    return err;
}

/* Recursion ends where the parser and the builder say "too deep". */
static reeve_err write_value(struct rv_buf *out, const msgpack_object *o)
{
    msgpack_packer to;
    reeve_err err = REEVE_OK;

    msgpack_packer_init(&to, out, append);
    switch (o->type) {
    case MSGPACK_OBJECT_NIL:
        msgpack_pack_nil(&to);
        return REEVE_OK;
    case MSGPACK_OBJECT_BOOLEAN:
        o->via.boolean ? msgpack_pack_true(&to) : msgpack_pack_false(&to);
        return REEVE_OK;
    case MSGPACK_OBJECT_POSITIVE_INTEGER:
        msgpack_pack_uint64(&to, o->via.u64);
        return REEVE_OK;
    case MSGPACK_OBJECT_NEGATIVE_INTEGER:
        msgpack_pack_int64(&to, o->via.i64);
        return REEVE_OK;
    case MSGPACK_OBJECT_FLOAT64:
        return write_float(&to, o->via.f64);
    case MSGPACK_OBJECT_STR:
        msgpack_pack_str_with_body(&to, o->via.str.ptr, o->via.str.size);
        return REEVE_OK;
    case MSGPACK_OBJECT_BIN:
        msgpack_pack_bin_with_body(&to, o->via.bin.ptr, o->via.bin.size);
        return REEVE_OK;
    case MSGPACK_OBJECT_ARRAY:
        msgpack_pack_array(&to, o->via.array.size);
        for (uint32_t i = 0; err == REEVE_OK && i < o->via.array.size; i++)
            err = write_value(out, &o->via.array.ptr[i]);
        return err;
    case MSGPACK_OBJECT_MAP:
        msgpack_pack_map(&to, o->via.map.size);
        return write_map(out, &o->via.map);
    case MSGPACK_OBJECT_EXT:
        msgpack_pack_ext_with_body(&to, o->via.ext.ptr, o->via.ext.size, o->via.ext.type);
        return REEVE_OK;
    default:
        rv_assert(false); /* the parser makes no other, and the proxy neither */
        return REEVE_EINVAL;
    }
}

reeve_err rv_value_key(struct rv_buf *out, const msgpack_object *o)
{
    size_t start = out->len;
    reeve_err err = write_value(out, o);

    if (err == REEVE_OK && out->bad)
        err = REEVE_ENOMEM;
    if (err != REEVE_OK)
        out->len = start;
    return err;
}

reeve_err rv_value_equal(const msgpack_object *a, const msgpack_object *b, bool *equal)
{
    struct rv_buf left = {0};
    struct rv_buf right = {0};
    reeve_err err = rv_value_key(&left, a);

    if (err == REEVE_OK)
        err = rv_value_key(&right, b);
    *equal = err == REEVE_OK && rv_slice_equal(rv_buf_slice(&left), rv_buf_slice(&right));
    rv_buf_free(&left);
    rv_buf_free(&right);
    return err == REEVE_EINVAL ? REEVE_OK : err; /* what has no spelling equals nothing */
}

/* ---- one among many ---- */

reeve_err rv_sought_init(struct rv_sought *s, struct rv_slice bytes)
{
    const reeve_value *v = NULL;
    reeve_err err = REEVE_OK;

    *s = (struct rv_sought){0};
    err = rv_value_parse_in(&v, &s->room, bytes);
    if (err == REEVE_OK)
        err = rv_value_key(&s->spelt, rv_value_object(v));
    s->any = err == REEVE_OK;
    s->nests = s->any && !rv_value_scalar(&s->scalar, rv_buf_slice(&s->spelt));
    return err == REEVE_EINVAL ? REEVE_OK : err;
}

void rv_sought_free(struct rv_sought *s)
{
    rv_buf_free(&s->spelt);
    rv_buf_free(&s->other);
    rv_value_room_free(&s->room);
    *s = (struct rv_sought){0};
}

static bool same_bytes(const char *a, uint32_t a_len, const char *b, uint32_t b_len)
{
    return a_len == b_len && memcmp(a, b, a_len) == 0;
}

/* a is as it was spelt: a float that equals an integer is one. */
static bool same_scalar(const msgpack_object *a, const msgpack_object *b)
{
    if (b->type == MSGPACK_OBJECT_FLOAT64 && a->type == MSGPACK_OBJECT_POSITIVE_INTEGER)
        return b->via.f64 >= 0 && b->via.f64 < 0x1p64 && (uint64_t)b->via.f64 == a->via.u64 &&
               (double)a->via.u64 == b->via.f64;
    if (b->type == MSGPACK_OBJECT_FLOAT64 && a->type == MSGPACK_OBJECT_NEGATIVE_INTEGER)
        return b->via.f64 < 0 && b->via.f64 >= -0x1p63 && (int64_t)b->via.f64 == a->via.i64 &&
               (double)a->via.i64 == b->via.f64;
    if (a->type != b->type)
        return false;
    switch (a->type) {
    case MSGPACK_OBJECT_BOOLEAN:
        return a->via.boolean == b->via.boolean;
    case MSGPACK_OBJECT_POSITIVE_INTEGER:
    case MSGPACK_OBJECT_NEGATIVE_INTEGER:
        return a->via.u64 == b->via.u64;
    case MSGPACK_OBJECT_FLOAT64:
        return a->via.f64 == b->via.f64;
    case MSGPACK_OBJECT_STR:
        return same_bytes(a->via.str.ptr, a->via.str.size, b->via.str.ptr, b->via.str.size);
    case MSGPACK_OBJECT_BIN:
        return same_bytes(a->via.bin.ptr, a->via.bin.size, b->via.bin.ptr, b->via.bin.size);
    case MSGPACK_OBJECT_EXT:
        return a->via.ext.type == b->via.ext.type &&
               same_bytes(a->via.ext.ptr, a->via.ext.size, b->via.ext.ptr, b->via.ext.size);
    default:
        return true; /* nil */
    }
}

reeve_err rv_sought_equals(struct rv_sought *s, struct rv_slice bytes, bool *equal)
{
    msgpack_object scalar;
    const reeve_value *v = NULL;
    reeve_err err = REEVE_OK;

    *equal = s->any && rv_slice_equal(bytes, rv_buf_slice(&s->spelt));
    if (*equal || !s->any)
        return err;
    if (!s->nests) {
        *equal = rv_value_scalar(&scalar, bytes) && same_scalar(&s->scalar, &scalar);
        return err;
    }
    rv_buf_clear(&s->other);
    err = rv_value_parse_in(&v, &s->room, bytes);
    if (err == REEVE_OK)
        err = rv_value_key(&s->other, rv_value_object(v));
    *equal = err == REEVE_OK && rv_slice_equal(rv_buf_slice(&s->other), rv_buf_slice(&s->spelt));
    return err == REEVE_EINVAL ? REEVE_OK : err;
}
