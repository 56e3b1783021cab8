/* Two values out of any bytes: equal by their spelling exactly when they are equal by the rules,
 * which are written down here a second time. What is spelled is a value, equal to its origin, and
 * spelled the same again. And their images compare as the values do by the rules of order.h, which
 * are written down a second time, too; no image is the beginning of another. */

#include <float.h>

#include "common/value/key.h"
#include "common/value/order.h"
#include "common/value/value.h"
#include "tests/fuzz/fuzz.h"

/* It holds every 64-bit integer and every double. */
_Static_assert(LDBL_MANT_DIG >= 64, "exact for integers");

static bool number(const msgpack_object *o, long double *x)
{
    switch (o->type) {
    case MSGPACK_OBJECT_POSITIVE_INTEGER:
        *x = (long double)o->via.u64;
        return true;
    case MSGPACK_OBJECT_NEGATIVE_INTEGER:
        *x = (long double)o->via.i64;
        return true;
    case MSGPACK_OBJECT_FLOAT64:
        *x = (long double)o->via.f64;
        return true;
    default:
        return false;
    }
}

static bool same(const msgpack_object *a, const msgpack_object *b);

/* Is each pair of a exactly once in b? */
static bool same_maps(const msgpack_object_map *a, const msgpack_object_map *b)
{
    if (a->size != b->size)
        return false;
    for (uint32_t i = 0; i < a->size; i++) {
        unsigned found = 0;
        unsigned others = 0; /* no key is compared with itself: it may nest deep */

        for (uint32_t j = 0; j < b->size; j++)
            found += same(&a->ptr[i].key, &b->ptr[j].key) && same(&a->ptr[i].val, &b->ptr[j].val);
        for (uint32_t j = 0; j < a->size; j++)
            others += i != j && same(&a->ptr[i].key, &a->ptr[j].key);
        if (found != 1 || others != 0)
            return false;
    }
    return true;
}

static bool same(const msgpack_object *a, const msgpack_object *b)
{
    long double x = 0;
    long double y = 0;

    if (number(a, &x) && number(b, &y))
        return x == y;
    if (a->type != b->type)
        return false;
    switch (a->type) {
    case MSGPACK_OBJECT_NIL:
        return true;
    case MSGPACK_OBJECT_BOOLEAN:
        return a->via.boolean == b->via.boolean;
    case MSGPACK_OBJECT_STR:
    case MSGPACK_OBJECT_BIN:
        return rv_slice_equal(rv_slice(a->via.bin.ptr, a->via.bin.size),
                              rv_slice(b->via.bin.ptr, b->via.bin.size));
    case MSGPACK_OBJECT_EXT:
        return a->via.ext.type == b->via.ext.type &&
               rv_slice_equal(rv_slice(a->via.ext.ptr, a->via.ext.size),
                              rv_slice(b->via.ext.ptr, b->via.ext.size));
    case MSGPACK_OBJECT_ARRAY:
        if (a->via.array.size != b->via.array.size)
            return false;
        for (uint32_t i = 0; i < a->via.array.size; i++)
            if (!same(&a->via.array.ptr[i], &b->via.array.ptr[i]))
                return false;
        return true;
    case MSGPACK_OBJECT_MAP:
        return same_maps(&a->via.map, &b->via.map);
    default:
        return false;
    }
}

static void check_spelling(const msgpack_object *o)
{
    struct rv_buf once = {0};
    struct rv_buf twice = {0};
    reeve_value *v = NULL;
    reeve_err err = rv_value_key(&once, o);

    rv_assert(err == REEVE_OK || (err == REEVE_EINVAL && once.len == 0));
    rv_assert((err == REEVE_OK) == same(o, o));
    if (err == REEVE_OK) {
        rv_assert(rv_value_parse(&v, rv_buf_slice(&once)) == REEVE_OK);
        rv_assert(same(o, rv_value_object(v)));
        rv_assert(rv_value_key(&twice, rv_value_object(v)) == REEVE_OK);
        rv_assert(rv_slice_equal(rv_buf_slice(&once), rv_buf_slice(&twice)));
    }
    rv_value_free(&v);
    rv_buf_free(&once);
    rv_buf_free(&twice);
}

/* ---- the order ---- */

static int compare(const msgpack_object *a, const msgpack_object *b);

static int rank(const msgpack_object *o)
{
    long double x = 0;

    if (number(o, &x))
        return 2;
    switch (o->type) {
    case MSGPACK_OBJECT_NIL:
        return 0;
    case MSGPACK_OBJECT_BOOLEAN:
        return 1;
    case MSGPACK_OBJECT_STR:
        return 3;
    case MSGPACK_OBJECT_BIN:
        return 4;
    case MSGPACK_OBJECT_ARRAY:
        return 5;
    case MSGPACK_OBJECT_MAP:
        return 6;
    default:
        return 7;
    }
}

static int compare_numbers(long double x, long double y)
{
    if (x != x || y != y)
        return (x == x) - (y == y);
    return (x > y) - (x < y);
}

static int compare_arrays(const msgpack_object_array *a, const msgpack_object_array *b)
{
    int order = 0;

    for (uint32_t i = 0; order == 0 && i < a->size && i < b->size; i++)
        order = compare(&a->ptr[i], &b->ptr[i]);
    return order != 0 ? order : (a->size > b->size) - (a->size < b->size);
}

/* The pair that has place i among the sorted ones: as many are before it. */
static const msgpack_object_kv *sorted(const msgpack_object_map *map, uint32_t i)
{
    for (uint32_t j = 0; j < map->size; j++) {
        uint32_t before = 0;

        for (uint32_t k = 0; k < map->size; k++) {
            int order = k == j ? 0 : compare(&map->ptr[k].key, &map->ptr[j].key);

            before += order < 0 || (order == 0 && k < j);
        }
        if (before == i)
            return &map->ptr[j];
    }
    rv_assert(!"each place is taken");
    return NULL;
}

static int compare_maps(const msgpack_object_map *a, const msgpack_object_map *b)
{
    int order = 0;

    for (uint32_t i = 0; order == 0 && i < a->size && i < b->size; i++) {
        const msgpack_object_kv *left = sorted(a, i);
        const msgpack_object_kv *right = sorted(b, i);

        order = compare(&left->key, &right->key);
        if (order == 0)
            order = compare(&left->val, &right->val);
    }
    return order != 0 ? order : (a->size > b->size) - (a->size < b->size);
}

static int compare_bytes(const char *a, size_t a_len, const char *b, size_t b_len)
{
    size_t i = 0;

    while (i < a_len && i < b_len && a[i] == b[i])
        i++;
    if (i < a_len && i < b_len)
        return (uint8_t)a[i] < (uint8_t)b[i] ? -1 : 1;
    return (a_len > b_len) - (a_len < b_len);
}

static int compare(const msgpack_object *a, const msgpack_object *b)
{
    long double x = 0;
    long double y = 0;

    if (rank(a) != rank(b))
        return rank(a) < rank(b) ? -1 : 1;
    if (number(a, &x) && number(b, &y))
        return compare_numbers(x, y);
    switch (a->type) {
    case MSGPACK_OBJECT_BOOLEAN:
        return a->via.boolean - b->via.boolean;
    case MSGPACK_OBJECT_STR:
    case MSGPACK_OBJECT_BIN:
        return compare_bytes(a->via.bin.ptr, a->via.bin.size, b->via.bin.ptr, b->via.bin.size);
    case MSGPACK_OBJECT_ARRAY:
        return compare_arrays(&a->via.array, &b->via.array);
    case MSGPACK_OBJECT_MAP:
        return compare_maps(&a->via.map, &b->via.map);
    case MSGPACK_OBJECT_EXT:
        return compare_bytes(a->via.ext.ptr, a->via.ext.size, b->via.ext.ptr, b->via.ext.size);
    default:
        return 0;
    }
}

static void check_order(const msgpack_object *a, const msgpack_object *b)
{
    struct rv_buf left = {0};
    struct rv_buf right = {0};
    size_t shorter = 0;
    int want = compare(a, b);
    int order = 0;

    rv_assert(rv_value_image(&left, a) == REEVE_OK);
    rv_assert(rv_value_image(&right, b) == REEVE_OK);
    order = rv_image_compare(rv_buf_slice(&left), rv_buf_slice(&right));
    rv_assert((order > 0) - (order < 0) == want);
    shorter = left.len < right.len ? left.len : right.len;
    rv_assert(order == 0 || memcmp(left.data, right.data, shorter) != 0);
    if (same(a, a))
        rv_assert((order == 0) == same(a, b));
    rv_buf_free(&left);
    rv_buf_free(&right);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct input in = {.data = data, .left = len > 200 ? 200 : len};
    struct rv_slice first = take_bytes(&in, pick(&in, 100));
    reeve_value *a = NULL;
    reeve_value *b = NULL;
    bool equal = false;

    if (rv_value_parse(&a, first) == REEVE_OK)
        check_spelling(rv_value_object(a));
    if (a != NULL && rv_value_parse(&b, take_bytes(&in, in.left)) == REEVE_OK) {
        rv_assert(rv_value_equal(rv_value_object(a), rv_value_object(b), &equal) == REEVE_OK);
        rv_assert(equal == same(rv_value_object(a), rv_value_object(b)));
        check_order(rv_value_object(a), rv_value_object(b));
    }
    rv_value_free(&a);
    rv_value_free(&b);
    return 0;
}
