/* What arrays and values with a typecode take, and how they keep it. */

#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <reeve/value.h>

#include "common/value/value.h"
#include "server/core/typecode.h"

int test_typecode(void);

static const char codes[] = "bBhHiIlLqQfd?cuw";

/* Fit it, and compare with what it should be kept as (by reeve_pack's letters); NULL: with itself. */
static reeve_err fits(char code, reeve_builder *given, reeve_builder *kept)
{
    struct rv_slice bytes;
    struct rv_slice other;
    struct rv_buf out = {0};
    const char *text = NULL;
    reeve_err err = REEVE_OK;

    assert_int_equal(rv_builder_bytes(given, &bytes), REEVE_OK);
    err = typecode_fit((uint8_t)code, bytes, &out, &text);
    if (err == REEVE_OK) {
        assert_int_equal(rv_builder_bytes(kept == NULL ? given : kept, &other), REEVE_OK);
        assert_true(rv_slice_equal(rv_buf_slice(&out), other));
    } else {
        assert_int_equal(out.len, 0);
        assert_non_null(text);
    }
    rv_buf_free(&out);
    reeve_builder_free(&given);
    reeve_builder_free(&kept);
    return err;
}

static reeve_builder *integer(int64_t i)
{
    reeve_builder *b = reeve_builder_new();

    reeve_put_int(b, i);
    return b;
}

static reeve_builder *natural(uint64_t u)
{
    reeve_builder *b = reeve_builder_new();

    reeve_put_uint(b, u);
    return b;
}

static reeve_builder *number(double x)
{
    reeve_builder *b = reeve_builder_new();

    reeve_put_float(b, x);
    return b;
}

static reeve_builder *text_of(const char *s)
{
    reeve_builder *b = reeve_builder_new();

    reeve_put_str(b, s);
    return b;
}

static reeve_builder *bytes_of(const char *s, size_t len)
{
    reeve_builder *b = reeve_builder_new();

    reeve_put_bytes(b, s, len);
    return b;
}

static reeve_builder *truth(bool yes)
{
    reeve_builder *b = reeve_builder_new();

    reeve_put_bool(b, yes);
    return b;
}

static reeve_builder *list_of_one(void)
{
    reeve_builder *b = reeve_builder_new();

    reeve_pack(b, "(i)", INT64_C(1));
    return b;
}

static void codes_are_those_of_the_array_module(void **state)
{
    size_t known = 0;

    (void)state;
    for (int c = 0; c <= UINT8_MAX; c++) {
        bool is = c != 0 && strchr(codes, c) != NULL;

        assert_int_equal(typecode_known((uint8_t)c), is);
        known += is;
    }
    assert_int_equal(known, sizeof codes - 1);
}

/* Each begins with something that it may hold. */
static void what_is_there_at_the_beginning_fits(void **state)
{
    const char *text = NULL;

    (void)state;
    for (const char *c = codes; *c != '\0'; c++) {
        struct rv_slice zero = typecode_zero((uint8_t)*c);
        struct rv_buf out = {0};

        assert_true(rv_value_valid(zero));
        assert_int_equal(typecode_fit((uint8_t)*c, zero, &out, &text), REEVE_OK);
        rv_buf_free(&out);
    }
    assert_int_equal(typecode_zero(0).len, 1);
    assert_int_equal(typecode_zero(0).data[0], 0xc0);
}

static void integers_have_their_ranges(void **state)
{
    static const struct {
        char code;
        int64_t least;
        uint64_t most;
    } rows[] = {
        {'b', -128, 127},
        {'B', 0, 255},
        {'h', -32768, 32767},
        {'H', 0, 65535},
        {'i', INT32_MIN, INT32_MAX},
        {'I', 0, UINT32_MAX},
        {'l', INT64_MIN, INT64_MAX},
        {'L', 0, UINT64_MAX},
        {'q', INT64_MIN, INT64_MAX},
        {'Q', 0, UINT64_MAX},
    };

    (void)state;
    for (size_t i = 0; i < rv_countof(rows); i++) {
        char c = rows[i].code;

        assert_int_equal(fits(c, integer(rows[i].least), NULL), REEVE_OK);
        assert_int_equal(fits(c, natural(rows[i].most), NULL), REEVE_OK);
        if (rows[i].least > INT64_MIN)
            assert_int_equal(fits(c, integer(rows[i].least - 1), NULL), REEVE_EVALUE);
        if (rows[i].most < UINT64_MAX)
            assert_int_equal(fits(c, natural(rows[i].most + 1), NULL), REEVE_EVALUE);
        assert_int_equal(fits(c, number(1), NULL), REEVE_ETYPE);
        assert_int_equal(fits(c, truth(true), NULL), REEVE_ETYPE);
        assert_int_equal(fits(c, text_of("1"), NULL), REEVE_ETYPE);
        assert_int_equal(fits(c, list_of_one(), NULL), REEVE_ETYPE);
    }
}

static void floats_take_integers_and_are_rounded_to_their_size(void **state)
{
    (void)state;
    assert_int_equal(fits('d', number(0.1), NULL), REEVE_OK);
    assert_int_equal(fits('d', integer(-3), number(-3)), REEVE_OK);
    assert_int_equal(fits('d', natural(3), number(3)), REEVE_OK);
    assert_int_equal(fits('d', number(DBL_MAX), NULL), REEVE_OK);
    assert_int_equal(fits('d', text_of("0.1"), NULL), REEVE_ETYPE);
    assert_int_equal(fits('f', number(0.1), number((double)0.1f)), REEVE_OK);
    assert_int_equal(fits('f', number((double)FLT_MAX), NULL), REEVE_OK);
    assert_int_equal(fits('f', number(-(double)FLT_MAX), NULL), REEVE_OK);
    assert_int_equal(fits('f', number(1e39), NULL), REEVE_EVALUE);
    assert_int_equal(fits('f', number(-1e39), NULL), REEVE_EVALUE);
    assert_int_equal(fits('f', number((double)INFINITY), NULL), REEVE_OK);
    assert_int_equal(fits('f', number(-(double)INFINITY), NULL), REEVE_OK);
    assert_int_equal(fits('f', truth(true), NULL), REEVE_ETYPE);
}

static void others_hold_one_of_what_they_say(void **state)
{
    (void)state;
    assert_int_equal(fits('?', truth(true), NULL), REEVE_OK);
    assert_int_equal(fits('?', integer(1), NULL), REEVE_ETYPE);
    assert_int_equal(fits('c', bytes_of("\xff", 1), NULL), REEVE_OK);
    assert_int_equal(fits('c', bytes_of("", 0), NULL), REEVE_ETYPE);
    assert_int_equal(fits('c', bytes_of("ab", 2), NULL), REEVE_ETYPE);
    assert_int_equal(fits('c', text_of("a"), NULL), REEVE_ETYPE);
    for (const char *c = "uw"; *c != '\0'; c++) {
        assert_int_equal(fits(*c, text_of("a"), NULL), REEVE_OK);
        assert_int_equal(fits(*c, text_of("\xe2\x82\xac"), NULL), REEVE_OK);
        assert_int_equal(fits(*c, text_of(""), NULL), REEVE_ETYPE);
        assert_int_equal(fits(*c, text_of("ab"), NULL), REEVE_ETYPE);
        assert_int_equal(fits(*c, bytes_of("a", 1), NULL), REEVE_ETYPE);
    }
}

int test_typecode(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(codes_are_those_of_the_array_module),
        cmocka_unit_test(what_is_there_at_the_beginning_fits),
        cmocka_unit_test(integers_have_their_ranges),
        cmocka_unit_test(floats_take_integers_and_are_rounded_to_their_size),
        cmocka_unit_test(others_hold_one_of_what_they_say),
    };

    return cmocka_run_group_tests_name("typecode", tests, NULL, NULL);
}
