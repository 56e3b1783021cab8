/* order.c -- images: bytes that compare as values do. */

#include "common/value/order.h"

#include <stdlib.h>

/* What an image begins with, in this order. MINUS and PLUS are followed by a magnitude, STR and BIN
 * by their bytes and an end, ARRAY and MAP by images and an end, REF by its 13 bytes. */
enum tag {
    TAG_END, /* of an array or a map: before whatever could follow instead */
    TAG_NIL,
    TAG_FALSE,
    TAG_TRUE,
    TAG_NAN,
    TAG_MINUS_INFINITY,
    TAG_MINUS,
    TAG_ZERO,
    TAG_PLUS,
    TAG_PLUS_INFINITY,
    TAG_STR,
    TAG_BIN,
    TAG_ARRAY,
    TAG_MAP,
    TAG_REF,
};

/* A pair of a map, by where its images lie. */
struct pair {
    const uint8_t *key;
    size_t key_len;
    size_t len; /* with its value */
};

static void write_image(struct rv_buf *out, const msgpack_object *o);

static void write_tag(struct rv_buf *out, enum tag tag)
{
    uint8_t byte = (uint8_t)tag;

    rv_buf_add(out, &byte, 1);
}

/* ---- numbers ---- */

enum { EXPONENT_BYTES = 2, MANTISSA_BYTES = 8, BIAS = 2048 };

/* The number 2^exponent * mantissa / 2^63, negative or not. The mantissa's top bit is set: of two
 * magnitudes the one with the greater exponent is greater, and then the one with the greater
 * mantissa. All exponents, -1074 to 1023, are above -BIAS. The greater magnitude is the smaller
 * negative number, so its bytes are turned over. */
static void write_magnitude(struct rv_buf *out, bool negative, int exponent, uint64_t mantissa)
{
    uint8_t bytes[EXPONENT_BYTES + MANTISSA_BYTES];
    unsigned biased = (unsigned)(exponent + BIAS);
    unsigned turn = negative ? 0xff : 0;

    for (int i = 0; i < EXPONENT_BYTES; i++)
        bytes[i] = (uint8_t)((biased >> (8 - 8 * i)) ^ turn);
    for (int i = 0; i < MANTISSA_BYTES; i++)
        bytes[EXPONENT_BYTES + i] = (uint8_t)((mantissa >> (56 - 8 * i)) ^ turn);
    write_tag(out, negative ? TAG_MINUS : TAG_PLUS);
    rv_buf_add(out, bytes, sizeof bytes);
}

/* magnitude * 2^scale */
static void write_scaled(struct rv_buf *out, bool negative, uint64_t magnitude, int scale)
{
    int shift = 0;

    if (magnitude == 0) {
        write_tag(out, TAG_ZERO);
        return;
    }
    shift = __builtin_clzll(magnitude);
    write_magnitude(out, negative, scale + 63 - shift, magnitude << shift);
}

/* A double: a sign, 11 bits of exponent and 52 of a fraction, which 1 goes before unless the
 * exponent is zero. */
static void write_float(struct rv_buf *out, double f)
{
    uint64_t bits = 0;
    uint64_t fraction = 0;
    int exponent = 0;
    bool negative = false;

    memcpy(&bits, &f, sizeof bits);
    negative = bits >> 63 != 0;
    exponent = (int)(bits >> 52 & 0x7ff);
    fraction = bits & ((UINT64_C(1) << 52) - 1);
    if (exponent == 0x7ff && fraction != 0)
        write_tag(out, TAG_NAN);
    else if (exponent == 0x7ff)
        write_tag(out, negative ? TAG_MINUS_INFINITY : TAG_PLUS_INFINITY);
    else if (exponent == 0)
        write_scaled(out, negative, fraction, -1074);
    else
        write_scaled(out, negative, fraction | UINT64_C(1) << 52, exponent - 1075);
}

/* ---- text ---- */

/* It ends with 00 00, and a zero in it is 00 ff: the end comes before all that could follow. */
static void write_text(struct rv_buf *out, enum tag tag, struct rv_slice text)
{
    static const uint8_t zero[] = {0x00, 0xff};
    static const uint8_t end[] = {0x00, 0x00};

    write_tag(out, tag);
    while (text.len > 0) {
        const uint8_t *found = memchr(text.data, 0, text.len);
        size_t len = found == NULL ? text.len : (size_t)(found - text.data);

        rv_buf_add(out, text.data, len);
        if (found != NULL)
            rv_buf_add(out, zero, sizeof zero);
        len += found != NULL;
        text = rv_slice(text.data + len, text.len - len);
    }
    rv_buf_add(out, end, sizeof end);
}

/* ---- arrays and maps ---- */

static void write_array(struct rv_buf *out, const msgpack_object_array *array)
{
    write_tag(out, TAG_ARRAY);
    for (uint32_t i = 0; i < array->size; i++)
        write_image(out, &array->ptr[i]);
    write_tag(out, TAG_END);
}

/* Equal keys stay as they lie. */
static int by_key(const void *left, const void *right)
{
    const struct pair *a = left;
    const struct pair *b = right;
    int order = rv_image_compare(rv_slice(a->key, a->key_len), rv_slice(b->key, b->key_len));

    return order != 0 ? order : (a->key > b->key) - (a->key < b->key);
}

/* One behind the other, as the map has them. The keys are not set yet: the bytes may still move. */
static void write_pairs(struct rv_buf *out, struct pair *pairs, const msgpack_object_map *map)
{
    for (uint32_t i = 0; i < map->size; i++) {
        size_t start = out->len;

        write_image(out, &map->ptr[i].key);
        pairs[i].key_len = out->len - start;
        write_image(out, &map->ptr[i].val);
        pairs[i].len = out->len - start;
    }
}

static void sort_pairs(struct rv_buf *out, struct pair *pairs, size_t count, const uint8_t *written)
{
    for (size_t i = 0; i < count; i++) {
        pairs[i].key = written;
        written += pairs[i].len;
    }
    qsort(pairs, count, sizeof *pairs, by_key);
    for (size_t i = 0; i < count; i++)
        rv_buf_add(out, pairs[i].key, pairs[i].len);
}

static void write_map(struct rv_buf *out, const msgpack_object_map *map)
{
    struct rv_buf written = {0};
    struct pair *pairs = NULL;

    write_tag(out, TAG_MAP);
    if (map->size > 0) {
        pairs = calloc(map->size, sizeof *pairs);
        if (pairs != NULL)
            write_pairs(&written, pairs, map);
        if (pairs == NULL || written.bad)
            out->bad = true;
        else
            sort_pairs(out, pairs, map->size, written.data);
    }
    write_tag(out, TAG_END);
    rv_buf_free(&written);
    free(pairs);
}

/* ---- values ---- */

/* Recursion ends where the parser and the builder say "too deep". */
static void write_image(struct rv_buf *out, const msgpack_object *o)
{
    switch (o->type) {
    case MSGPACK_OBJECT_NIL:
        write_tag(out, TAG_NIL);
        break;
    case MSGPACK_OBJECT_BOOLEAN:
        write_tag(out, o->via.boolean ? TAG_TRUE : TAG_FALSE);
        break;
    case MSGPACK_OBJECT_POSITIVE_INTEGER:
        write_scaled(out, false, o->via.u64, 0);
        break;
    case MSGPACK_OBJECT_NEGATIVE_INTEGER:
        write_scaled(out, true, 0 - (uint64_t)o->via.i64, 0);
        break;
    case MSGPACK_OBJECT_FLOAT64:
        write_float(out, o->via.f64);
        break;
    case MSGPACK_OBJECT_STR:
        write_text(out, TAG_STR, rv_slice(o->via.str.ptr, o->via.str.size));
        break;
    case MSGPACK_OBJECT_BIN:
        write_text(out, TAG_BIN, rv_slice(o->via.bin.ptr, o->via.bin.size));
        break;
    case MSGPACK_OBJECT_ARRAY:
        write_array(out, &o->via.array);
        break;
    case MSGPACK_OBJECT_MAP:
        write_map(out, &o->via.map);
        break;
    case MSGPACK_OBJECT_EXT:
        write_tag(out, TAG_REF);
        rv_buf_add(out, o->via.ext.ptr, o->via.ext.size);
        break;
    default:
        rv_assert(false); /* the parser makes no other, and the proxy neither */
    }
}

reeve_err rv_value_image(struct rv_buf *out, const msgpack_object *o)
{
    size_t start = out->len;

    write_image(out, o);
    if (out->bad)
        out->len = start;
    return out->bad ? REEVE_ENOMEM : REEVE_OK;
}

int rv_image_compare(struct rv_slice a, struct rv_slice b)
{
    size_t len = a.len < b.len ? a.len : b.len;
    int order = len == 0 ? 0 : memcmp(a.data, b.data, len);

    return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}
