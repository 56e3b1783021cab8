/* Any bytes are refused, or are a value that can be read, shown and encoded again; and the second
 * encoding is the same value, in the spelling that never changes any more. */

#include <stdlib.h>

#include <reeve/value.h>

#include "common/value/value.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* Touch every byte that a getter lends. */
static unsigned touch(const void *lent, size_t len)
{
    const uint8_t *p = lent;
    unsigned sum = 0;

    for (size_t i = 0; i < len; i++)
        sum += p[i];
    return sum;
}

static unsigned read_all(const reeve_value *v)
{
    const reeve_value *key = NULL;
    const reeve_value *item = NULL;
    const char *text = NULL;
    const void *bytes = NULL;
    size_t len = 0;
    unsigned sum = (unsigned)reeve_value_type(v);
    uint64_t u = 0;
    int64_t i = 0;
    double f = 0;
    bool truth = false;

    sum += reeve_get_bool(v, &truth) && truth;
    sum += reeve_get_int(v, &i) && i == 1;
    sum += reeve_get_uint(v, &u) && u == 1;
    sum += reeve_get_float(v, &f) && f == 1;
    if (reeve_get_str(v, &text, &len))
        sum += touch(text, len);
    if (reeve_get_bytes(v, &bytes, &len))
        sum += touch(bytes, len);
    for (size_t at = 0; (item = reeve_value_at(v, at)) != NULL; at++)
        sum += read_all(item);
    for (size_t at = 0; reeve_value_pair(v, at, &key, &item); at++)
        sum += read_all(key) + read_all(item);
    sum += reeve_value_find(v, "a") != NULL;
    return sum;
}

struct refs {
    size_t count;
    uint32_t store; /* of the first */
    bool mixed;     /* to objects of two stores */
};

static void count_refs(const reeve_value *v, struct refs *refs)
{
    const reeve_value *key = NULL;
    const reeve_value *item = NULL;
    reeve_ref ref;

    if (rv_value_ref_read(&ref, rv_value_object(v))) {
        if (refs->count++ == 0)
            refs->store = ref.store;
        refs->mixed = refs->mixed || ref.store != refs->store;
    }
    for (size_t at = 0; (item = reeve_value_at(v, at)) != NULL; at++)
        count_refs(item, refs);
    for (size_t at = 0; reeve_value_pair(v, at, &key, &item); at++) {
        count_refs(key, refs);
        count_refs(item, refs);
    }
}

/* Encode *v again and put what is parsed from that in its place. The builder notes each reference, and
 * refuses a value that refers to two stores, which no single manager can carry: false. */
static bool renew(reeve_value **v)
{
    reeve_builder *b = reeve_builder_new();
    struct refs held = {0};
    reeve_err err = reeve_put_value(b, *v);
    struct rv_slice bytes;
    struct rv_slice refs;
    struct rv_slice alone;
    uint32_t store = 0;

    count_refs(*v, &held);
    rv_assert(err == (held.mixed ? REEVE_EINVAL : REEVE_OK));
    rv_assert(rv_builder_item(b, &bytes, &refs, &store) == err);
    if (err == REEVE_OK) {
        rv_assert(refs.len == 8 * held.count && store == held.store);
        rv_assert((rv_builder_bytes(b, &alone) == REEVE_OK) == (held.count == 0));
        reeve_value_free(v);
        rv_assert(rv_value_parse(v, bytes) == REEVE_OK);
        rv_assert(rv_slice_equal(rv_value_bytes(*v), bytes));
    }
    reeve_builder_free(&b);
    return err == REEVE_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    reeve_value *v = NULL;
    reeve_value *again = NULL;
    static struct rv_value_room room;
    const reeve_value *in = NULL;
    reeve_err err = REEVE_OK;
    char *json = NULL;
    char *json_again = NULL;
    unsigned sum = 0;

    /* Into memory that had another value in it: the same answer, and the same value. */
    err = rv_value_parse_in(&in, &room, rv_slice(data, len));
    rv_assert(err == rv_value_parse(&v, rv_slice(data, len)));
    if (err != REEVE_OK)
        return 0;
    sum = read_all(v);
    rv_assert(read_all(in) == sum);
    json = reeve_value_json(v);
    if (renew(&v)) {
        rv_assert(read_all(v) == sum);
        json_again = reeve_value_json(v);
        rv_assert(strcmp(json, json_again) == 0);

        rv_assert(rv_value_parse(&again, rv_value_bytes(v)) == REEVE_OK);
        rv_assert(renew(&again));
        rv_assert(rv_slice_equal(rv_value_bytes(again), rv_value_bytes(v)));
    }
    reeve_value_free(&again);
    reeve_value_free(&v);
    free(json);
    free(json_again);
    return 0;
}
