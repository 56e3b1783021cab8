/* Results as they come: each index has one, and what is no result is none. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "proxy/core/pack.h"
#include "proxy/core/yield.h"

int test_yield(void);

enum { CAP = 16 };

struct rig {
    struct rv_yield y;
    struct rv_buf items;
    struct rv_assembly assembly;
    size_t frames;
};

static void begin(struct rig *r)
{
    *r = (struct rig){0};
    assert_true(rv_yield_init(&r->y, CAP));
    r->y.end = CAP;
}

static void end(struct rig *r)
{
    rv_yield_free(&r->y);
    rv_buf_free(&r->items);
    rv_assembly_fini(&r->assembly);
}

static struct rv_freight freight(struct rig *r, const struct rv_slice *bodies, size_t len)
{
    r->frames = 0;
    return (struct rv_freight){&r->assembly, bodies, len, &r->frames};
}

static bool add(struct rig *r, uint64_t first, uint32_t count)
{
    struct rv_freight f = freight(r, NULL, 0);

    return rv_yield_add(&r->y, first, &(struct rv_items){count, rv_buf_slice(&r->items)}, &f, NULL,
                        NULL);
}

static struct rv_record *record(reeve_err error)
{
    struct rv_slice none = rv_slice(NULL, 0);
    struct rv_record *made =
        rv_record_new(&(struct rv_record){.error = error}, none, none, none, none, none);

    assert_non_null(made);
    return made;
}

static bool tell(struct rig *r, uint64_t index, reeve_err error, uint32_t count)
{
    struct rv_freight f = freight(r, NULL, 0);

    return rv_yield_tell(&r->y, index, record(error),
                         &(struct rv_items){count, rv_buf_slice(&r->items)}, &f, NULL, NULL);
}

static void write(struct rig *r, struct rv_item item)
{
    rv_buf_clear(&r->items);
    rv_item_write(&r->items, &item);
}

static const struct rv_item plain = {.len = 1, .bytes = {(const uint8_t *)"x", 1}};

/* Beyond what was asked for, and beyond what there is room for. */
static void result_that_nobody_asked_for_is_dropped(void **state)
{
    struct rig r;
    struct rv_result result;

    (void)state;
    begin(&r);
    r.y.end = 4;
    write(&r, plain);
    assert_true(add(&r, 4, 1));
    r.y.end = UINT64_MAX;
    assert_true(add(&r, CAP, 1));
    assert_true(add(&r, UINT64_MAX, 1));
    assert_true(tell(&r, CAP, REEVE_EITEM, 1));
    assert_int_equal(r.y.done, 0);
    assert_int_equal(r.y.doubles, 4);
    assert_false(rv_yield_at(&r.y, CAP, &result));
    assert_true(add(&r, 0, 1));
    rv_yield_take(&r.y, 0);
    assert_false(rv_yield_at(&r.y, 0, &result)); /* it was used */
    assert_true(add(&r, 0, 1));
    assert_int_equal(r.y.done, 1);
    assert_int_equal(r.y.doubles, 5);
    assert_int_equal(r.y.bytes, 0);
    end(&r);
}

static void bytes_that_are_no_values_are_refused(void **state)
{
    static const struct rv_slice bad[] = {
        {(const uint8_t *)"", 0},
        {(const uint8_t *)"\0\0", 2},
        {(const uint8_t *)"\0\0\0\x02x", 5},    /* two bytes are said, and one is there */
        {(const uint8_t *)"\x30\0\0\x01x", 5},  /* at no place */
        {(const uint8_t *)"\x00\x02\0\0xx", 6}, /* inline above its limit */
    };
    static const uint8_t ref[8] = {[7] = 5};
    struct rv_item odd[] = {{.len = 8, .bytes = {ref, 8}, .priority = 1},
                            {.len = 8, .bytes = {ref, 8}, .deliveries = 1},
                            {.len = 8, .bytes = {ref, 8}, .refs = {ref, 8}},
                            {.place = RV_BODY, .len = 70000},
                            {.place = RV_FRAGMENTS, .len = 300000, .body = 1}};
    struct rig r;

    (void)state;
    begin(&r);
    for (size_t i = 0; i < rv_countof(bad); i++) {
        rv_buf_clear(&r.items);
        rv_buf_add(&r.items, bad[i].data, bad[i].len);
        assert_false(add(&r, 0, 1));
        assert_false(tell(&r, 0, REEVE_OK, 1));
    }
    for (size_t i = 0; i < rv_countof(odd); i++) {
        write(&r, odd[i]);
        assert_false(add(&r, 0, 1));
        if (odd[i].refs.len == 0)
            assert_false(tell(&r, 0, REEVE_OK, 1));
    }
    write(&r, plain);
    rv_item_write(&r.items, &plain);
    assert_false(tell(&r, 0, REEVE_OK, 2)); /* a record has one value */
    assert_int_equal(r.y.done, 0);
    assert_int_equal(r.y.here, 0);
    assert_int_equal(r.y.bytes, 0);
    end(&r);
}

/* No values are no mistake. */
static void record_may_have_a_value_or_none(void **state)
{
    static uint8_t large[70000];
    struct rv_slice body = rv_slice(large, sizeof large);
    struct rig r;
    struct rv_result result;
    struct rv_freight f;

    (void)state;
    begin(&r);
    assert_true(add(&r, 0, 0));
    assert_true(tell(&r, 0, REEVE_EITEM, 0));
    write(&r, plain);
    assert_true(tell(&r, 1, REEVE_OK, 1));
    assert_true(tell(&r, 1, REEVE_OK, 1)); /* once is enough */
    assert_int_equal(r.y.doubles, 1);
    write(&r, (struct rv_item){.place = RV_BODY, .len = sizeof large});
    f = freight(&r, &body, 1);
    assert_true(rv_yield_tell(&r.y, 2, record(REEVE_OK),
                              &(struct rv_items){1, rv_buf_slice(&r.items)}, &f, NULL, NULL));
    assert_true(rv_yield_at(&r.y, 0, &result));
    assert_false(result.has_value);
    assert_true(rv_yield_at(&r.y, 1, &result));
    assert_true(result.has_value && result.value.len == 1);
    assert_true(rv_yield_at(&r.y, 2, &result));
    assert_int_equal(result.value.len, sizeof large);
    assert_int_equal(r.y.failed, 1);
    assert_int_equal(r.y.bytes, 1 + sizeof large);
    f = freight(&r, &body, 1);
    assert_true(rv_yield_add(&r.y, 2, &(struct rv_items){1, rv_buf_slice(&r.items)}, &f, NULL,
                             NULL)); /* a large one that is not wanted */
    assert_int_equal(r.y.doubles, 2);
    for (uint64_t i = 0; i < 3; i++)
        rv_yield_take(&r.y, i);
    assert_int_equal(r.y.bytes, 0);
    assert_int_equal(r.y.base, 3);
    end(&r);
}

/* ---- items that go ---- */

static void pack_takes_so_much(void **state)
{
    static uint8_t large[RV_LIMIT_ITEM_INLINE_BYTES + 2];
    static const uint8_t refs[(RV_LIMIT_ITEM_REFS + 1) * 8] = {[7] = 1};
    struct rv_packs packs = {0};
    struct rv_slice none = rv_slice(NULL, 0);
    struct rv_slice half = rv_slice(large, 40000);

    (void)state;
    assert_int_equal(rv_packs_add(&packs, half, none, none), REEVE_OK);
    assert_int_equal(rv_packs_add(&packs, none, half, none), REEVE_OK); /* it begins another one */
    assert_int_equal(packs.len, 2);
    assert_int_equal(rv_packs_add(&packs, none, none, none), REEVE_OK);
    assert_int_equal(packs.len, 2);
    assert_int_equal(rv_packs_add(&packs, rv_slice(large, sizeof large), none, none), REEVE_OK);
    assert_int_equal(rv_packs_add(&packs, none, rv_slice(large, sizeof large), none), REEVE_OK);
    assert_int_equal(rv_packs_add(&packs, none, half, rv_slice(refs, sizeof refs)), REEVE_ELIMIT);
    assert_int_equal(
        rv_packs_add(&packs, none, rv_slice(large, RV_LIMIT_ITEM_BYTES + (size_t)1), none),
        REEVE_ETOOBIG);
    assert_int_equal(packs.len, 4);
    assert_int_equal(packs.count, 5);
    rv_packs_free(&packs);
}

int test_yield(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(result_that_nobody_asked_for_is_dropped),
        cmocka_unit_test(bytes_that_are_no_values_are_refused),
        cmocka_unit_test(record_may_have_a_value_or_none),
        cmocka_unit_test(pack_takes_so_much),
    };

    return cmocka_run_group_tests_name("yield", tests, NULL, NULL);
}
