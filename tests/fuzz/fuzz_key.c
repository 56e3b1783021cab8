/* Two values out of any bytes: equal by their spelling exactly when they are equal by the rules,
 * which are written down here a second time. What is spelled is a value, equal to its origin, and
 * spelled the same again. */

#include <float.h>

#include "common/value/key.h"
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
        unsigned own = 0;

        for (uint32_t j = 0; j < b->size; j++)
            found += same(&a->ptr[i].key, &b->ptr[j].key) && same(&a->ptr[i].val, &b->ptr[j].val);
        for (uint32_t j = 0; j < a->size; j++)
            own += same(&a->ptr[i].key, &a->ptr[j].key);
        if (found != 1 || own != 1)
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
    }
    rv_value_free(&a);
    rv_value_free(&b);
    return 0;
}
