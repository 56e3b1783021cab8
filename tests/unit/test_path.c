/* One place inside an encoded value: it is found, and changed, and nothing else is. */

#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include <reeve/value.h>

#include "common/value/path.h"
#include "common/value/value.h"

int test_path(void);

#define ONE   INT64_C(1)
#define TWO   INT64_C(2)
#define THREE INT64_C(3)

/* ---- helpers ---- */

/* What reeve_pack() makes of this. */
static struct rv_buf pack(const char *format, ...)
{
    struct rv_buf out = {0};
    reeve_builder *b = reeve_builder_new();
    struct rv_slice bytes;
    va_list args;

    va_start(args, format);
    assert_int_equal(reeve_vpack(b, format, args), REEVE_OK);
    va_end(args);
    assert_int_equal(rv_builder_bytes(b, &bytes), REEVE_OK);
    rv_buf_add(&out, bytes.data, bytes.len);
    reeve_builder_free(&b);
    return out;
}

static struct rv_buf raw(const void *bytes, size_t len)
{
    struct rv_buf out = {0};

    rv_buf_add(&out, bytes, len);
    return out;
}

#define RAW(text) raw(text, sizeof(text) - 1)

static struct rv_buf none(void)
{
    return (struct rv_buf){0};
}

static void expect_bytes(struct rv_slice got, struct rv_slice want)
{
    assert_int_equal(got.len, want.len);
    assert_memory_equal(got.data, want.data, want.len);
}

/* Takes the buffers, as do those below. */
static void expect_found(struct rv_buf value, struct rv_buf path, struct rv_buf want)
{
    struct rv_slice found;
    const char *text = "";

    assert_int_equal(rv_path_get(&found, rv_buf_slice(&value), rv_buf_slice(&path), &text),
                     REEVE_OK);
    assert_null(text);
    assert_true(found.data >= value.data && found.data + found.len <= value.data + value.len);
    expect_bytes(found, rv_buf_slice(&want));
    rv_buf_free(&value);
    rv_buf_free(&path);
    rv_buf_free(&want);
}

static void refuse_get(struct rv_buf value, struct rv_buf path, reeve_err err, const char *why)
{
    struct rv_slice found = rv_slice("", 1);
    const char *text = NULL;

    assert_int_equal(rv_path_get(&found, rv_buf_slice(&value), rv_buf_slice(&path), &text), err);
    assert_string_equal(text, why);
    assert_int_equal(found.len, 0);
    rv_buf_free(&value);
    rv_buf_free(&path);
}

static void expect_edit(struct rv_buf value, struct rv_buf path, enum rv_edit verb,
                        struct rv_buf operand, struct rv_buf want)
{
    struct rv_buf out = {0};
    const char *text = "";

    rv_buf_add(&out, "before", 6);
    assert_int_equal(rv_path_edit(&out, rv_buf_slice(&value), rv_buf_slice(&path), verb,
                                  rv_buf_slice(&operand), &text),
                     REEVE_OK);
    assert_null(text);
    assert_memory_equal(out.data, "before", 6);
    expect_bytes(rv_slice(out.data + 6, out.len - 6), rv_buf_slice(&want));
    rv_buf_free(&out);
    rv_buf_free(&value);
    rv_buf_free(&path);
    rv_buf_free(&operand);
    rv_buf_free(&want);
}

static void refuse_edit(struct rv_buf value, struct rv_buf path, enum rv_edit verb,
                        struct rv_buf operand, reeve_err err, const char *why)
{
    struct rv_buf out = {0};
    const char *text = NULL;

    rv_buf_add(&out, "before", 6);
    assert_int_equal(rv_path_edit(&out, rv_buf_slice(&value), rv_buf_slice(&path), verb,
                                  rv_buf_slice(&operand), &text),
                     err);
    assert_string_equal(text, why);
    expect_bytes(rv_buf_slice(&out), rv_slice("before", 6));
    rv_buf_free(&out);
    rv_buf_free(&value);
    rv_buf_free(&path);
    rv_buf_free(&operand);
}

/* {"a": [1, 2, 3], "b": {"c": nil}} */
static struct rv_buf sample(void)
{
    return pack("{s(iii)s{sn}}", "a", ONE, TWO, THREE, "b", "c");
}

static const char no_key[] = "there is no such key";
static const char no_index[] = "there is no such index";
static const char no_way[] = "a step goes into what is neither an array nor a map";
static const char no_spelling[] = "no NaN, and no map that has a key twice, is a key";

/* ---- finding ---- */

static void a_path_leads_inwards(void **state)
{
    (void)state;
    expect_found(sample(), pack("()"), sample());
    expect_found(pack("i", ONE), pack("()"), pack("i", ONE));
    expect_found(sample(), pack("(s)", "a"), pack("(iii)", ONE, TWO, THREE));
    expect_found(sample(), pack("(si)", "a", INT64_C(0)), pack("i", ONE));
    expect_found(sample(), pack("(si)", "a", TWO), pack("i", THREE));
    expect_found(sample(), pack("(ss)", "b", "c"), pack("n"));
}

static void a_negative_index_counts_from_the_end(void **state)
{
    (void)state;
    expect_found(sample(), pack("(si)", "a", -ONE), pack("i", THREE));
    expect_found(sample(), pack("(si)", "a", -THREE), pack("i", ONE));
    refuse_get(sample(), pack("(si)", "a", INT64_C(-4)), REEVE_ENOENT, no_index);
    refuse_get(sample(), pack("(si)", "a", INT64_MIN), REEVE_ENOENT, no_index);
    refuse_get(sample(), pack("(si)", "a", THREE), REEVE_ENOENT, no_index);
    refuse_get(sample(), pack("(su)", "a", UINT64_MAX), REEVE_ENOENT, no_index);
    refuse_get(pack("()"), pack("(i)", -ONE), REEVE_ENOENT, no_index);
}

static void steps_are_compared_as_values(void **state)
{
    (void)state;
    expect_found(pack("{is}", ONE, "x"), pack("(f)", 1.0), pack("s", "x"));
    expect_found(pack("{fs}", 1.0, "x"), pack("(i)", ONE), pack("s", "x"));
    expect_found(RAW("\x81\xd1\x00\x01\xc0"), pack("(i)", ONE), pack("n")); /* 1 in three bytes */
    expect_found(RAW("\x81\xd9\x01k\xc3"), pack("(s)", "k"), pack("b", 1));
    expect_found(pack("{(if)s}", ONE, 2.0, "x"), pack("((fi))", 1.0, TWO), pack("s", "x"));
    expect_found(pack("{{sisi}s}", "p", ONE, "q", TWO, "x"), pack("({sisi})", "q", TWO, "p", ONE),
                 pack("s", "x"));
    expect_found(pack("(sss)", "x", "y", "z"), pack("(f)", -2.0), pack("s", "y"));
    refuse_get(pack("{bs}", 1, "x"), pack("(i)", ONE), REEVE_ENOENT, no_key);
    refuse_get(pack("{ss}", "k", "x"), pack("(y)", "k", (size_t)1), REEVE_ENOENT, no_key);
}

static void keys_that_equal_nothing_are_passed_by(void **state)
{
    (void)state;
    expect_found(
        pack("{fs{inin}s(f)sis}", (double)NAN, "w", ONE, ONE, "x", (double)NAN, "y", ONE, "z"),
        pack("(i)", ONE), pack("s", "z"));
}

static void of_a_key_that_is_there_twice_the_first_is_meant(void **state)
{
    (void)state;
    expect_found(pack("{isfs}", ONE, "x", 1.0, "y"), pack("(f)", 1.0), pack("s", "x"));
    expect_edit(pack("{isfs}", ONE, "x", 1.0, "y"), pack("(i)", ONE), RV_EDIT_SET, pack("n"),
                pack("{infs}", ONE, 1.0, "y"));
    expect_edit(pack("{isfs}", ONE, "x", 1.0, "y"), pack("(i)", ONE), RV_EDIT_DELETE, none(),
                pack("{fs}", 1.0, "y"));
}

static void a_way_that_is_not_there_is_told(void **state)
{
    (void)state;
    refuse_get(sample(), pack("(s)", "x"), REEVE_ENOENT, no_key);
    refuse_get(sample(), pack("(ss)", "x", "y"), REEVE_ENOENT, no_key);
    refuse_get(sample(), pack("(ss)", "b", "x"), REEVE_ENOENT, no_key);
    refuse_get(pack("{}"), pack("(n)"), REEVE_ENOENT, no_key);
    refuse_get(sample(), pack("(sss)", "b", "c", "d"), REEVE_ETYPE, no_way);
    refuse_get(pack("s", "text"), pack("(i)", INT64_C(0)), REEVE_ETYPE, no_way);
    refuse_get(sample(), pack("(ss)", "a", "0"), REEVE_ETYPE, "an index of an array is an integer");
    refuse_get(sample(), pack("(sf)", "a", 0.5), REEVE_ETYPE, "an index of an array is an integer");
    refuse_get(sample(), pack("(s())", "a"), REEVE_ETYPE, "an index of an array is an integer");
}

static void what_is_malformed_is_refused(void **state)
{
    static const char no_array[] = "the path is not an array";

    (void)state;
    refuse_get(none(), pack("()"), REEVE_EINVAL, "the value is malformed");
    refuse_get(RAW("\x92\xc0"), pack("()"), REEVE_EINVAL, "the value is malformed");
    refuse_get(RAW("\xc0\xc0"), pack("()"), REEVE_EINVAL, "the value is malformed");
    refuse_get(sample(), none(), REEVE_EINVAL, "the path is malformed");
    refuse_get(sample(), RAW("\x91"), REEVE_EINVAL, "the path is malformed");
    refuse_get(sample(), pack("s", "a"), REEVE_EINVAL, no_array);
    refuse_get(sample(), pack("{ss}", "a", "b"), REEVE_EINVAL, no_array);
    refuse_get(sample(), pack("(f)", (double)NAN), REEVE_EINVAL, no_spelling);
    refuse_get(sample(), pack("(sf)", "a", (double)NAN), REEVE_EINVAL, no_spelling);
    refuse_get(sample(), pack("({inin})", ONE, ONE), REEVE_EINVAL, no_spelling);
    refuse_edit(sample(), pack("()"), RV_EDIT_SET, none(), REEVE_EINVAL,
                "the operand is malformed");
    refuse_edit(sample(), pack("(s)", "a"), RV_EDIT_APPEND, RAW("\x91"), REEVE_EINVAL,
                "the operand is malformed");
    refuse_edit(sample(), pack("()"), (enum rv_edit)(RV_EDIT_ADD + 1), pack("n"), REEVE_EINVAL,
                "there is no such verb");
}

/* ---- set ---- */

static void set_replaces_what_is_there(void **state)
{
    (void)state;
    expect_edit(sample(), pack("()"), RV_EDIT_SET, pack("s", "all"), pack("s", "all"));
    expect_edit(sample(), pack("(s)", "a"), RV_EDIT_SET, pack("n"),
                pack("{sns{sn}}", "a", "b", "c"));
    expect_edit(sample(), pack("(si)", "a", ONE), RV_EDIT_SET, pack("(s)", "long enough"),
                pack("{s(i(s)i)s{sn}}", "a", ONE, "long enough", THREE, "b", "c"));
    expect_edit(sample(), pack("(ss)", "b", "c"), RV_EDIT_SET, pack("b", 1),
                pack("{s(iii)s{sb}}", "a", ONE, TWO, THREE, "b", "c", 1));
    refuse_edit(sample(), pack("(si)", "a", THREE), RV_EDIT_SET, pack("n"), REEVE_ENOENT, no_index);
}

static void set_adds_a_last_key_that_is_missing(void **state)
{
    (void)state;
    expect_edit(pack("{}"), pack("(s)", "k"), RV_EDIT_SET, pack("i", ONE), pack("{si}", "k", ONE));
    expect_edit(sample(), pack("(ss)", "b", "d"), RV_EDIT_SET, pack("()"),
                pack("{s(iii)s{sns()}}", "a", ONE, TWO, THREE, "b", "c", "d"));
    expect_edit(pack("({}n)"), pack("(if)", INT64_C(0), 1.0), RV_EDIT_SET, pack("s", "x"),
                pack("({fs}n)", 1.0, "x"));
    refuse_edit(sample(), pack("(ss)", "x", "y"), RV_EDIT_SET, pack("n"), REEVE_ENOENT, no_key);
    refuse_edit(sample(), pack("(sis)", "a", ONE, "y"), RV_EDIT_SET, pack("n"), REEVE_ETYPE,
                no_way);
    refuse_edit(sample(), pack("(f)", (double)NAN), RV_EDIT_SET, pack("n"), REEVE_EINVAL,
                no_spelling);
}

static void the_rest_keeps_its_bytes(void **state)
{
    (void)state;
    /* [1 in three bytes, {"k" in three: nil}, [] in three], and the item between them set. */
    expect_edit(RAW("\xdc\x00\x03\xd1\x00\x01\x81\xd9\x01k\xc0\xdc\x00\x00"),
                pack("(is)", ONE, "k"), RV_EDIT_SET, RAW("\xcc\x05"),
                RAW("\xdc\x00\x03\xd1\x00\x01\x81\xd9\x01k\xcc\x05\xdc\x00\x00"));
}

/* ---- append and delete ---- */

static void append_puts_at_the_end(void **state)
{
    (void)state;
    expect_edit(pack("()"), pack("()"), RV_EDIT_APPEND, pack("n"), pack("(n)"));
    expect_edit(sample(), pack("(s)", "a"), RV_EDIT_APPEND, pack("(s)", "x"),
                pack("{s(iii(s))s{sn}}", "a", ONE, TWO, THREE, "x", "b", "c"));
    expect_edit(pack("((n)(n)(n))"), pack("(i)", -TWO), RV_EDIT_APPEND, pack("n"),
                pack("((n)(nn)(n))"));
    refuse_edit(sample(), pack("(s)", "b"), RV_EDIT_APPEND, pack("n"), REEVE_ETYPE,
                "only an array can be appended to");
    refuse_edit(sample(), pack("(ss)", "b", "c"), RV_EDIT_APPEND, pack("n"), REEVE_ETYPE,
                "only an array can be appended to");
    refuse_edit(sample(), pack("(s)", "x"), RV_EDIT_APPEND, pack("n"), REEVE_ENOENT, no_key);
}

static void delete_removes_the_item_or_the_pair(void **state)
{
    (void)state;
    expect_edit(sample(), pack("(s)", "a"), RV_EDIT_DELETE, none(), pack("{s{sn}}", "b", "c"));
    expect_edit(sample(), pack("(si)", "a", INT64_C(0)), RV_EDIT_DELETE, none(),
                pack("{s(ii)s{sn}}", "a", TWO, THREE, "b", "c"));
    expect_edit(sample(), pack("(si)", "a", -ONE), RV_EDIT_DELETE, RAW("\x91"),
                pack("{s(ii)s{sn}}", "a", ONE, TWO, "b", "c"));
    expect_edit(sample(), pack("(ss)", "b", "c"), RV_EDIT_DELETE, none(),
                pack("{s(iii)s{}}", "a", ONE, TWO, THREE, "b"));
    expect_edit(pack("(n)"), pack("(i)", -ONE), RV_EDIT_DELETE, none(), pack("()"));
    refuse_edit(sample(), pack("()"), RV_EDIT_DELETE, none(), REEVE_EINVAL,
                "the whole value cannot be deleted");
    refuse_edit(sample(), pack("(s)", "x"), RV_EDIT_DELETE, none(), REEVE_ENOENT, no_key);
    refuse_edit(sample(), pack("(si)", "a", THREE), RV_EDIT_DELETE, none(), REEVE_ENOENT, no_index);
    refuse_edit(sample(), pack("(ss)", "x", "y"), RV_EDIT_DELETE, none(), REEVE_ENOENT, no_key);
}

/* [first, nil, nil, ..., last], or {first: nil, i: nil, ..., last: nil}, of count. */
static struct rv_buf many(bool map, size_t count)
{
    struct rv_buf out = {0};
    reeve_builder *b = reeve_builder_new();
    struct rv_slice bytes;

    assert_int_equal(map ? reeve_put_map(b, count) : reeve_put_array(b, count), REEVE_OK);
    for (size_t i = 0; i < count; i++) {
        reeve_put_int(b, (int64_t)i);
        if (map)
            reeve_put_nil(b);
    }
    assert_int_equal(rv_builder_bytes(b, &bytes), REEVE_OK);
    rv_buf_add(&out, bytes.data, bytes.len);
    reeve_builder_free(&b);
    return out;
}

/* In the midst of an array, so that what is before it and behind it must move with it. */
static struct rv_buf between(struct rv_buf inner)
{
    struct rv_buf out = {0};

    rv_buf_add(&out,
               "\x93\xa6"
               "before",
               8);
    rv_buf_add(&out, inner.data, inner.len);
    rv_buf_add(&out,
               "\xa6"
               "behind",
               7);
    rv_buf_free(&inner);
    return out;
}

static void a_head_grows_and_shrinks_with_its_count(void **state)
{
    static const size_t counts[] = {14, 15, 16, 254, 255, 256, 65534, 65535, 65536};

    (void)state;
    for (size_t i = 0; i < rv_countof(counts); i++) {
        size_t count = counts[i];
        int64_t next = (int64_t)count;

        expect_edit(between(many(false, count)), pack("(i)", ONE), RV_EDIT_APPEND, pack("i", next),
                    between(many(false, count + 1)));
        expect_edit(between(many(false, count + 1)), pack("(ii)", ONE, -ONE), RV_EDIT_DELETE,
                    none(), between(many(false, count)));
        expect_edit(between(many(true, count)), pack("(ii)", ONE, next), RV_EDIT_SET, pack("n"),
                    between(many(true, count + 1)));
        expect_edit(between(many(true, count + 1)), pack("(ii)", ONE, next), RV_EDIT_DELETE, none(),
                    between(many(true, count)));
    }
}

/* depth arrays in each other, around what a format says. */
static struct rv_buf nested(unsigned depth, struct rv_buf inner)
{
    struct rv_buf out = {0};

    for (unsigned i = 0; i < depth; i++)
        rv_buf_add(&out, "\x91", 1);
    rv_buf_add(&out, inner.data, inner.len);
    rv_buf_free(&inner);
    return out;
}

/* The path to what is in them. */
static struct rv_buf inwards(unsigned depth)
{
    struct rv_buf out = {0};
    uint8_t head[] = {0xdc, 0, (uint8_t)depth};

    rv_buf_add(&out, head, sizeof head);
    for (unsigned i = 0; i < depth; i++)
        rv_buf_add(&out, "\x00", 1);
    return out;
}

static void nothing_gets_deeper_than_a_value_may_be(void **state)
{
    static const char too_deep[] = "the value would be nested too deep";
    enum { MOST = RV_VALUE_DEPTH_MAX };

    (void)state;
    expect_found(nested(MOST, pack("n")), inwards(MOST), pack("n"));
    expect_edit(nested(MOST, pack("n")), inwards(MOST), RV_EDIT_SET, pack("i", ONE),
                nested(MOST, pack("i", ONE)));
    expect_edit(nested(MOST - 1, pack("n")), inwards(MOST - 1), RV_EDIT_SET, pack("()"),
                nested(MOST - 1, pack("()")));
    refuse_edit(nested(MOST, pack("n")), inwards(MOST), RV_EDIT_SET, pack("()"), REEVE_ETOOBIG,
                too_deep);
    refuse_edit(pack("(n)"), inwards(1), RV_EDIT_SET, nested(MOST, pack("n")), REEVE_ETOOBIG,
                too_deep);
    expect_edit(nested(MOST - 1, pack("()")), inwards(MOST - 1), RV_EDIT_APPEND, pack("n"),
                nested(MOST - 1, pack("(n)")));
    refuse_edit(nested(MOST - 1, pack("()")), inwards(MOST - 1), RV_EDIT_APPEND, pack("{}"),
                REEVE_ETOOBIG, too_deep);
    refuse_edit(nested(MOST - 1, pack("{}")), RAW("\x91\x00"), RV_EDIT_SET, nested(MOST, pack("n")),
                REEVE_ETOOBIG, too_deep);
    expect_edit(nested(MOST, pack("n")), inwards(MOST), RV_EDIT_DELETE, none(),
                nested(MOST - 1, pack("()")));
}

/* ---- add ---- */

/* In the midst of a map, where it takes another number of bytes afterwards. */
static void expect_sum(struct rv_buf a, struct rv_buf b, struct rv_buf want)
{
    struct rv_buf value = {0};
    struct rv_buf after = {0};

    rv_buf_add(&value, "\x82\xa1n", 3);
    rv_buf_add(&after, "\x82\xa1n", 3);
    rv_buf_add(&value, a.data, a.len);
    rv_buf_add(&after, want.data, want.len);
    rv_buf_add(&value, "\xa1o\xc0", 3);
    rv_buf_add(&after, "\xa1o\xc0", 3);
    rv_buf_free(&a);
    rv_buf_free(&want);
    expect_edit(value, pack("(s)", "n"), RV_EDIT_ADD, b, after);
}

static void integers_make_an_integer(void **state)
{
    (void)state;
    expect_sum(pack("i", ONE), pack("i", TWO), pack("i", THREE));
    expect_sum(pack("i", INT64_C(127)), pack("i", ONE), pack("i", INT64_C(128)));
    expect_sum(pack("i", INT64_C(65536)), pack("i", -ONE), pack("i", INT64_C(65535)));
    expect_sum(pack("i", ONE), pack("i", -ONE), pack("i", INT64_C(0)));
    expect_sum(pack("i", -ONE), pack("i", ONE), pack("i", INT64_C(0)));
    expect_sum(pack("i", ONE), pack("i", -TWO), pack("i", -ONE));
    expect_sum(pack("i", -ONE), pack("i", -TWO), pack("i", -THREE));
    expect_sum(pack("i", INT64_MAX), pack("i", ONE), pack("u", UINT64_C(1) << 63));
    expect_sum(pack("u", UINT64_C(1) << 63), pack("i", INT64_MIN), pack("i", INT64_C(0)));
    expect_sum(pack("u", UINT64_MAX), pack("i", INT64_MIN), pack("i", INT64_MAX));
    expect_sum(pack("i", INT64_MIN), pack("u", UINT64_MAX), pack("i", INT64_MAX));
    expect_sum(pack("i", INT64_MAX), pack("i", INT64_MIN), pack("i", -ONE));
    expect_sum(pack("u", UINT64_MAX), pack("i", INT64_C(0)), pack("u", UINT64_MAX));
    expect_sum(pack("u", UINT64_MAX - 1), pack("i", ONE), pack("u", UINT64_MAX));
    expect_sum(pack("i", INT64_MIN + 1), pack("i", -ONE), pack("i", INT64_MIN));
}

static void a_sum_beyond_64_bits_is_refused(void **state)
{
    static const char beyond[] = "the sum is out of range";

    (void)state;
    refuse_edit(pack("u", UINT64_MAX), pack("()"), RV_EDIT_ADD, pack("i", ONE), REEVE_EVALUE,
                beyond);
    refuse_edit(pack("u", UINT64_MAX), pack("()"), RV_EDIT_ADD, pack("u", UINT64_MAX), REEVE_EVALUE,
                beyond);
    refuse_edit(pack("i", INT64_MIN), pack("()"), RV_EDIT_ADD, pack("i", -ONE), REEVE_EVALUE,
                beyond);
    refuse_edit(pack("i", INT64_MIN), pack("()"), RV_EDIT_ADD, pack("i", INT64_MIN), REEVE_EVALUE,
                beyond);
}

static void a_float_makes_a_float(void **state)
{
    (void)state;
    expect_sum(pack("i", ONE), pack("f", 0.5), pack("f", 1.5));
    expect_sum(pack("f", 1.5), pack("i", -ONE), pack("f", 0.5));
    expect_sum(pack("f", 0.5), pack("f", 0.5), pack("f", 1.0));
    expect_sum(pack("u", UINT64_MAX), pack("f", 1.0), pack("f", 0x1p64));
    expect_sum(RAW("\xca\x3f\x00\x00\x00"), pack("i", ONE), pack("f", 1.5)); /* 0.5 in 32 bits */
    expect_sum(pack("f", DBL_MAX), pack("f", DBL_MAX), pack("f", (double)INFINITY));
}

static void a_counter_begins_where_there_is_none(void **state)
{
    (void)state;
    expect_edit(pack("{}"), pack("(s)", "n"), RV_EDIT_ADD, pack("i", ONE), pack("{si}", "n", ONE));
    expect_edit(pack("(i{si})", ONE, "n", ONE), pack("(is)", ONE, "m"), RV_EDIT_ADD, pack("f", 0.5),
                pack("(i{sisf})", ONE, "n", ONE, "m", 0.5));
    refuse_edit(pack("{}"), pack("(ss)", "n", "m"), RV_EDIT_ADD, pack("i", ONE), REEVE_ENOENT,
                no_key);
    refuse_edit(pack("()"), pack("(i)", INT64_C(0)), RV_EDIT_ADD, pack("i", ONE), REEVE_ENOENT,
                no_index);
}

static void only_numbers_are_added(void **state)
{
    static const char to[] = "only to a number can be added";
    static const char what[] = "only a number can be added";

    (void)state;
    refuse_edit(pack("{sb}", "n", 1), pack("(s)", "n"), RV_EDIT_ADD, pack("i", ONE), REEVE_ETYPE,
                to);
    refuse_edit(sample(), pack("(s)", "a"), RV_EDIT_ADD, pack("i", ONE), REEVE_ETYPE, to);
    refuse_edit(pack("s", "1"), pack("()"), RV_EDIT_ADD, pack("i", ONE), REEVE_ETYPE, to);
    refuse_edit(pack("i", ONE), pack("()"), RV_EDIT_ADD, pack("b", 1), REEVE_ETYPE, what);
    refuse_edit(pack("i", ONE), pack("()"), RV_EDIT_ADD, pack("(i)", ONE), REEVE_ETYPE, what);
    refuse_edit(pack("{}"), pack("(s)", "n"), RV_EDIT_ADD, pack("s", "1"), REEVE_ETYPE, what);
}

static void without_memory_nothing_is_written(void **state)
{
    struct rv_buf out = {.bad = true};
    const char *text = "";

    (void)state;
    assert_int_equal(rv_path_edit(&out, rv_slice("\x90", 1), rv_slice("\x90", 1), RV_EDIT_APPEND,
                                  rv_slice("\xc0", 1), &text),
                     REEVE_ENOMEM);
    assert_null(text);
    assert_int_equal(out.len, 0);
}

int test_path(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_path_leads_inwards),
        cmocka_unit_test(a_negative_index_counts_from_the_end),
        cmocka_unit_test(steps_are_compared_as_values),
        cmocka_unit_test(keys_that_equal_nothing_are_passed_by),
        cmocka_unit_test(of_a_key_that_is_there_twice_the_first_is_meant),
        cmocka_unit_test(a_way_that_is_not_there_is_told),
        cmocka_unit_test(what_is_malformed_is_refused),
        cmocka_unit_test(set_replaces_what_is_there),
        cmocka_unit_test(set_adds_a_last_key_that_is_missing),
        cmocka_unit_test(the_rest_keeps_its_bytes),
        cmocka_unit_test(append_puts_at_the_end),
        cmocka_unit_test(delete_removes_the_item_or_the_pair),
        cmocka_unit_test(a_head_grows_and_shrinks_with_its_count),
        cmocka_unit_test(nothing_gets_deeper_than_a_value_may_be),
        cmocka_unit_test(integers_make_an_integer),
        cmocka_unit_test(a_sum_beyond_64_bits_is_refused),
        cmocka_unit_test(a_float_makes_a_float),
        cmocka_unit_test(a_counter_begins_where_there_is_none),
        cmocka_unit_test(only_numbers_are_added),
        cmocka_unit_test(without_memory_nothing_is_written),
    };

    return cmocka_run_group_tests_name("path", tests, NULL, NULL);
}
