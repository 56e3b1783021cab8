/* Equality of values and the spelling that equal ones share. */

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include <reeve/value.h>

#include "common/value/key.h"
#include "common/value/value.h"

int test_key(void);

static reeve_value *pack(reeve_builder *b)
{
    struct rv_slice bytes;
    reeve_value *v = NULL;

    assert_int_equal(rv_builder_bytes(b, &bytes), REEVE_OK);
    assert_int_equal(rv_value_parse(&v, bytes), REEVE_OK);
    reeve_builder_free(&b);
    return v;
}

static reeve_builder *built;

static reeve_builder *begin(void)
{
    built = reeve_builder_new();
    assert_non_null(built);
    return built;
}

#define MAKE(...) (reeve_pack(begin(), __VA_ARGS__), pack(built))

static bool sought_equals(const reeve_value *a, const reeve_value *b)
{
    struct rv_sought sought;
    bool same = true;
    bool again = false;

    assert_int_equal(rv_sought_init(&sought, rv_value_bytes(a)), REEVE_OK);
    assert_int_equal(rv_sought_equals(&sought, rv_value_bytes(b), &same), REEVE_OK);
    assert_int_equal(rv_sought_equals(&sought, rv_value_bytes(b), &again), REEVE_OK);
    assert_int_equal(same, again);
    rv_sought_free(&sought);
    return same;
}

/* Takes both. */
static bool equal(reeve_value *a, reeve_value *b)
{
    bool same = false;
    bool other = false;

    assert_int_equal(rv_value_equal(rv_value_object(a), rv_value_object(b), &same), REEVE_OK);
    assert_int_equal(rv_value_equal(rv_value_object(b), rv_value_object(a), &other), REEVE_OK);
    assert_int_equal(same, other);
    assert_int_equal(same, sought_equals(a, b));
    assert_int_equal(same, sought_equals(b, a));
    reeve_value_free(&a);
    reeve_value_free(&b);
    return same;
}

static bool has_key(reeve_value *v)
{
    struct rv_buf out = {0};
    reeve_err err = REEVE_OK;

    rv_buf_add(&out, "before", 6);
    err = rv_value_key(&out, rv_value_object(v));
    if (err != REEVE_OK) {
        assert_int_equal(err, REEVE_EINVAL);
        assert_int_equal(out.len, 6);
    }
    assert_memory_equal(out.data, "before", 6);
    rv_buf_free(&out);
    reeve_value_free(&v);
    return err == REEVE_OK;
}

static reeve_value *uint_value(uint64_t u)
{
    reeve_put_uint(begin(), u);
    return pack(built);
}

static void numbers_are_equal_when_they_are_the_same_number(void **state)
{
    (void)state;
    assert_true(equal(MAKE("i", INT64_C(1)), MAKE("f", 1.0)));
    assert_true(equal(MAKE("i", INT64_C(-1)), MAKE("f", -1.0)));
    assert_true(equal(MAKE("f", -0.0), MAKE("i", INT64_C(0))));
    assert_true(equal(MAKE("f", -0.0), MAKE("f", 0.0)));
    assert_true(equal(MAKE("f", 0.5), MAKE("f", 0.5)));
    assert_false(equal(MAKE("f", 1.5), MAKE("i", INT64_C(1))));
    assert_false(equal(MAKE("f", -1.5), MAKE("i", INT64_C(-1))));
    assert_false(equal(MAKE("i", INT64_C(1)), MAKE("i", INT64_C(-1))));
}

static void a_float_equals_only_the_integer_that_it_is(void **state)
{
    (void)state;
    assert_true(equal(MAKE("f", 0x1p53), MAKE("i", INT64_C(1) << 53)));
    assert_false(equal(MAKE("f", 0x1p53), MAKE("i", (INT64_C(1) << 53) + 1)));
    assert_true(equal(MAKE("f", 0x1p63), uint_value(UINT64_C(1) << 63)));
    assert_false(equal(MAKE("f", 0x1p63), MAKE("i", INT64_MAX)));
    assert_true(equal(MAKE("f", -0x1p63), MAKE("i", INT64_MIN)));
    assert_false(equal(MAKE("f", -0x1.0000000000001p63), MAKE("i", INT64_MIN)));
    assert_false(equal(MAKE("f", 0x1p64), uint_value(UINT64_MAX)));
    assert_false(equal(MAKE("f", (double)INFINITY), uint_value(UINT64_MAX)));
    assert_false(equal(MAKE("f", (double)INFINITY), MAKE("f", -(double)INFINITY)));
    assert_true(equal(MAKE("f", (double)INFINITY), MAKE("f", (double)INFINITY)));
}

static void types_keep_apart(void **state)
{
    (void)state;
    assert_false(equal(MAKE("b", 1), MAKE("i", INT64_C(1))));
    assert_false(equal(MAKE("b", 0), MAKE("n")));
    assert_false(equal(MAKE("s", "a"), MAKE("y", "a", (size_t)1)));
    assert_false(equal(MAKE("s", ""), MAKE("n")));
    assert_false(equal(MAKE("()"), MAKE("{}")));
    assert_true(equal(MAKE("s", "a"), MAKE("s", "a")));
}

static void scalars_are_equal_by_what_they_say(void **state)
{
    (void)state;
    assert_true(equal(MAKE("n"), MAKE("n")));
    assert_true(equal(MAKE("b", 1), MAKE("b", 1)));
    assert_false(equal(MAKE("b", 1), MAKE("b", 0)));
    assert_false(equal(MAKE("s", "a"), MAKE("s", "b")));
    assert_false(equal(MAKE("s", "a"), MAKE("s", "ab")));
    assert_true(equal(MAKE("y", "ab", (size_t)2), MAKE("y", "ab", (size_t)2)));
    assert_false(equal(MAKE("y", "ab", (size_t)2), MAKE("y", "aa", (size_t)2)));
    assert_false(equal(MAKE("y", "ab", (size_t)2), MAKE("y", "a", (size_t)1)));
    assert_false(equal(MAKE("(i)", INT64_C(1)), MAKE("i", INT64_C(1))));
}

/* A reference to an object of a kind. */
static reeve_value *reference(uint8_t kind, uint8_t object)
{
    uint8_t bytes[16] = {0xc7, 13, 1, kind, [11] = object, 's', 't', 'o', 'r'};
    reeve_value *v = NULL;

    assert_int_equal(rv_value_parse(&v, rv_slice(bytes, sizeof bytes)), REEVE_OK);
    return v;
}

static void references_are_equal_when_they_are_to_one_object(void **state)
{
    (void)state;
    assert_true(equal(reference(1, 7), reference(1, 7)));
    assert_false(equal(reference(1, 7), reference(1, 8)));
    assert_false(equal(reference(1, 7), MAKE("i", INT64_C(7))));
}

static void containers_are_equal_by_what_is_in_them(void **state)
{
    (void)state;
    assert_true(equal(MAKE("(if)", INT64_C(1), 2.0), MAKE("(fi)", 1.0, INT64_C(2))));
    assert_false(equal(MAKE("(ii)", INT64_C(1), INT64_C(2)), MAKE("(ii)", INT64_C(2), INT64_C(1))));
    assert_true(equal(MAKE("{sisi}", "a", INT64_C(1), "b", INT64_C(2)),
                      MAKE("{sfsi}", "b", 2.0, "a", INT64_C(1))));
    assert_false(equal(MAKE("{sisi}", "a", INT64_C(1), "b", INT64_C(2)),
                       MAKE("{sisi}", "b", INT64_C(1), "a", INT64_C(2))));
    assert_false(equal(MAKE("{si}", "a", INT64_C(1)), MAKE("{}")));
    assert_true(equal(MAKE("({s{inin}})", "k", INT64_C(300), INT64_C(2)),
                      MAKE("({s{inin}})", "k", INT64_C(2), INT64_C(300))));
}

static void what_equals_nothing_is_no_key(void **state)
{
    (void)state;
    assert_false(has_key(MAKE("f", (double)NAN)));
    assert_false(has_key(MAKE("(if)", INT64_C(1), (double)NAN)));
    assert_false(has_key(MAKE("{sf}", "a", (double)NAN)));
    assert_false(has_key(MAKE("{ifin}", INT64_C(1), 2.0, INT64_C(1))));
    assert_false(has_key(MAKE("{infn}", INT64_C(1), 1.0)));
    assert_true(has_key(MAKE("{infn}", INT64_C(1), 1.5)));
    assert_false(equal(MAKE("f", (double)NAN), MAKE("f", (double)NAN)));
}

static void the_spelling_is_the_shortest(void **state)
{
    struct rv_buf out = {0};
    reeve_value *v = MAKE("{sfsf}", "b", -0.0, "a", 200.0);

    (void)state;
    assert_int_equal(rv_value_key(&out, rv_value_object(v)), REEVE_OK);
    assert_int_equal(out.len, 8);
    assert_memory_equal(out.data,
                        "\x82\xa1"
                        "a\xcc\xc8\xa1"
                        "b\x00",
                        8);
    rv_buf_free(&out);
    reeve_value_free(&v);
}

int test_key(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_are_equal_when_they_are_the_same_number),
        cmocka_unit_test(a_float_equals_only_the_integer_that_it_is),
        cmocka_unit_test(types_keep_apart),
        cmocka_unit_test(scalars_are_equal_by_what_they_say),
        cmocka_unit_test(references_are_equal_when_they_are_to_one_object),
        cmocka_unit_test(containers_are_equal_by_what_is_in_them),
        cmocka_unit_test(what_equals_nothing_is_no_key),
        cmocka_unit_test(the_spelling_is_the_shortest),
    };

    return cmocka_run_group_tests_name("key", tests, NULL, NULL);
}
