/* Values: what is built can be read back, and no bytes of a stranger do harm. */

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <msgpack.h>

#include <reeve/ref.h>
#include <reeve/value.h>

#include "common/value/value.h"
#include "common/wire/wire.h"

int test_value(void);

static struct rv_slice encoding(const reeve_builder *b)
{
    struct rv_slice bytes;

    assert_int_equal(rv_builder_bytes(b, &bytes), REEVE_OK);
    return bytes;
}

static reeve_value *parse(const void *data, size_t len)
{
    reeve_value *v = NULL;

    assert_int_equal(rv_value_parse(&v, rv_slice(data, len)), REEVE_OK);
    return v;
}

/* What a builder holds, as a value. The builder is spent. */
static reeve_value *finish(reeve_builder *b)
{
    struct rv_slice bytes = encoding(b);
    reeve_value *v = parse(bytes.data, bytes.len);

    reeve_builder_free(&b);
    return v;
}

static void expect_json(const reeve_value *v, const char *want)
{
    char *json = reeve_value_json(v);

    assert_string_equal(json, want);
    free(json);
}

/* Alone and in a container, and as what an item is put with. */
static void references_survive_the_round_trip(void **state)
{
    const reeve_ref ref = {.object = UINT64_C(0x123456789abcdef0), .store = 0x8badf00d, .kind = 7};

    (void)state;
    for (int alone = 0; alone < 2; alone++) {
        reeve_builder *b = reeve_builder_new();
        reeve_value *v = NULL;
        struct rv_slice bytes;
        struct rv_slice refs;
        uint32_t store = 0;
        reeve_ref got = {0};

        if (!alone)
            assert_int_equal(reeve_put_array(b, 1), REEVE_OK);
        assert_int_equal(reeve_put_ref(b, ref), REEVE_OK);
        assert_int_equal(rv_builder_bytes(b, &bytes), REEVE_EINVAL); /* for who carries none */
        assert_int_equal(rv_builder_item(b, &bytes, &refs, &store), REEVE_OK);
        assert_int_equal(refs.len, 8);
        assert_int_equal(refs.data[0], 0x12);
        assert_int_equal(store, ref.store);
        v = parse(bytes.data, bytes.len);
        reeve_builder_free(&b);
        expect_json(v, alone ? "{\"object\": 1311768467463790320}"
                             : "[{\"object\": 1311768467463790320}]");
        assert_true(reeve_get_ref(alone ? v : reeve_value_at(v, 0), &got));
        assert_int_equal(got.object, ref.object);
        assert_int_equal(got.store, ref.store);
        assert_int_equal(got.kind, ref.kind);
        reeve_value_free(&v);
    }
}

static void other_extensions_are_refused(void **state)
{
    static const struct {
        uint8_t bytes[18];
        size_t len;
        bool good;
    } cases[] = {{{0xc7, 13, 1, 1, 0, 0, 0, 0, 0, 0, 0, 9}, 16, true},
                 {{0xc7, 13, 2, 1, 0, 0, 0, 0, 0, 0, 0, 9}, 16, false},
                 {{0xc7, 13, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0}, 16, false},
                 {{0xc7, 13, 1, 1, 0, 0, 0, 0, 0, 0, 0, 9}, 15, false},
                 {{0xc7, 12, 1, 1, 0, 0, 0, 0, 0, 0, 0, 9}, 15, false},
                 {{0xd4, 1, 1}, 3, false},
                 {{0xc8, 0, 13, 1, 1, 0, 0, 0, 0, 0, 0, 0, 9}, 17, false}};

    (void)state;
    for (size_t i = 0; i < rv_countof(cases); i++)
        assert_int_equal(rv_value_valid(rv_slice(cases[i].bytes, cases[i].len)), cases[i].good);
}

/* Every type, every width of head, and some nesting. */
static reeve_builder *build_complex(void)
{
    static const int64_t ints[] = {
        0,    127,  128,    255,    256,       65535,     65536,      INT64_MAX,       -1, -32, -33,
        -128, -129, -32768, -32769, INT32_MIN, INT64_MIN, UINT32_MAX, INT64_C(1) << 32};
    char text[300];
    reeve_builder *b = reeve_builder_new();

    memset(text, 'x', sizeof text);
    reeve_put_map(b, 7);
    reeve_put_str(b, "ints");
    reeve_put_array(b, rv_countof(ints) + 1);
    for (size_t i = 0; i < rv_countof(ints); i++)
        reeve_put_int(b, ints[i]);
    reeve_put_uint(b, UINT64_MAX);
    reeve_pack(b, "s(bbn)", "plain", 1, 0);
    reeve_pack(b, "sf", "float", 1.5);
    reeve_pack(b, "s(sy)", "empty", "", NULL, (size_t)0);
    reeve_put_str(b, "long");
    reeve_put_array(b, 4);
    reeve_put_strn(b, text, 40);
    reeve_put_strn(b, text, sizeof text);
    reeve_put_bytes(b, text, 40);
    reeve_put_bytes(b, text, sizeof text);
    reeve_pack(b, "s(((())){}{i{sn}})", "deep", INT64_C(7), "k");
    reeve_pack(b, "is", INT64_C(-5),
               "gr\xc3\xbc\xc3\x9f"
               "e \xe2\x82\xac \xf0\x9f\x90\xa6");
    assert_int_equal(reeve_builder_check(b), REEVE_OK);
    return b;
}

static void scalars_survive_the_round_trip(void **state)
{
    reeve_value *v = NULL;
    reeve_builder *b = reeve_builder_new();
    const char *text = NULL;
    const void *data = NULL;
    size_t len = 0;
    bool truth = false;
    double f = 0;

    (void)state;
    reeve_pack(b, "(nbfsy)", 7, 0.1, "hi", "\0\xff", (size_t)2);
    v = finish(b);
    assert_int_equal(reeve_value_type(v), REEVE_ARRAY);
    assert_int_equal(reeve_value_len(v), 5);
    assert_int_equal(reeve_value_type(reeve_value_at(v, 0)), REEVE_NIL);
    assert_true(reeve_get_bool(reeve_value_at(v, 1), &truth) && truth);
    assert_true(reeve_get_float(reeve_value_at(v, 2), &f) && f == 0.1);
    assert_true(reeve_get_str(reeve_value_at(v, 3), &text, &len));
    assert_true(rv_slice_equal(rv_slice(text, len), rv_slice_str("hi")));
    assert_true(reeve_get_bytes(reeve_value_at(v, 4), &data, &len));
    assert_true(rv_slice_equal(rv_slice(data, len), rv_slice("\0\xff", 2)));
    assert_null(reeve_value_at(v, 5));
    assert_false(reeve_get_str(reeve_value_at(v, 4), &text, &len));
    assert_false(reeve_get_bytes(reeve_value_at(v, 3), &data, &len));
    reeve_value_free(&v);
    assert_null(v);
    reeve_value_free(&v);
}

static void integers_have_one_spelling_and_it_is_the_shortest(void **state)
{
    static const struct {
        int64_t x;
        size_t len;
    } rows[] = {
        {0, 1},
        {127, 1},
        {128, 2},
        {255, 2},
        {256, 3},
        {65535, 3},
        {65536, 5},
        {UINT32_MAX, 5},
        {INT64_C(1) << 32, 9},
        {INT64_MAX, 9},
        {-1, 1},
        {-32, 1},
        {-33, 2},
        {-128, 2},
        {-129, 3},
        {-32768, 3},
        {-32769, 5},
        {INT32_MIN, 5},
        {INT64_C(-1) - INT32_MAX - 1, 9},
        {INT64_MIN, 9},
    };

    (void)state;
    for (size_t i = 0; i < rv_countof(rows); i++) {
        reeve_builder *b = reeve_builder_new();
        reeve_value *v = NULL;
        int64_t x = 0;

        reeve_put_int(b, rows[i].x);
        assert_int_equal(encoding(b).len, rows[i].len);
        v = finish(b);
        assert_int_equal(reeve_value_type(v), REEVE_INT);
        assert_true(reeve_get_int(v, &x) && x == rows[i].x);
        reeve_value_free(&v);
    }
}

static void numbers_are_given_out_only_where_they_fit(void **state)
{
    reeve_builder *b = reeve_builder_new();
    reeve_value *v = NULL;
    int64_t i = 42;
    uint64_t u = 42;
    double f = 42;

    (void)state;
    reeve_pack(b, "(uuiif)", UINT64_MAX, UINT64_C(1) << 63, INT64_MIN, (INT64_C(1) << 53) + 1, 1.0);
    v = finish(b);
    assert_false(reeve_get_int(reeve_value_at(v, 0), &i));
    assert_false(reeve_get_float(reeve_value_at(v, 0), &f));
    assert_false(reeve_get_int(reeve_value_at(v, 1), &i));
    assert_false(reeve_get_uint(reeve_value_at(v, 2), &u));
    assert_false(reeve_get_float(reeve_value_at(v, 3), &f));
    assert_false(reeve_get_int(reeve_value_at(v, 4), &i));
    assert_false(reeve_get_int(NULL, &i));
    assert_true(i == 42 && u == 42 && f == 42); /* untouched */
    assert_true(reeve_get_uint(reeve_value_at(v, 0), &u) && u == UINT64_MAX);
    assert_true(reeve_get_float(reeve_value_at(v, 1), &f) && f == 0x1p63);
    assert_true(reeve_get_float(reeve_value_at(v, 2), &f) && f == -0x1p63);
    reeve_value_free(&v);
}

static void a_short_float_is_read_as_a_double(void **state)
{
    reeve_value *v = parse("\xca\x3f\xc0\x00\x00", 5);
    double f = 0;

    (void)state;
    assert_true(reeve_get_float(v, &f) && f == 1.5);
    reeve_value_free(&v);
}

static void maps_are_searched_by_text_and_walked_by_index(void **state)
{
    reeve_builder *b = reeve_builder_new();
    const reeve_value *key = NULL;
    const reeve_value *item = NULL;
    reeve_value *v = NULL;
    int64_t x = 0;

    (void)state;
    reeve_pack(b, "{isybsisi}", INT64_C(1), "int key", "a", (size_t)1, 1, "a", INT64_C(2), "ab",
               INT64_C(3));
    v = finish(b);
    assert_int_equal(reeve_value_len(v), 4);
    assert_true(reeve_get_int(reeve_value_find(v, "a"), &x) && x == 2);
    assert_true(reeve_get_int(reeve_value_find(v, "ab"), &x) && x == 3);
    assert_null(reeve_value_find(v, "abc"));
    assert_null(reeve_value_find(v, ""));
    assert_null(reeve_value_find(v, NULL));
    assert_null(reeve_value_find(reeve_value_find(v, "abc"), "x"));
    assert_true(reeve_value_pair(v, 0, &key, &item));
    assert_true(reeve_get_int(key, &x) && x == 1);
    assert_int_equal(reeve_value_type(item), REEVE_STR);
    assert_false(reeve_value_pair(v, 4, &key, &item));
    assert_null(reeve_value_at(v, 0));
    reeve_value_free(&v);
}

static void a_copy_is_the_same_value(void **state)
{
    reeve_builder *b = build_complex();
    reeve_builder *copy = reeve_builder_new();
    reeve_value *v = finish(b);

    (void)state;
    assert_int_equal(reeve_put_value(copy, v), REEVE_OK);
    assert_true(rv_slice_equal(encoding(copy), rv_value_bytes(v)));
    reeve_builder_reset(copy);
    reeve_pack(copy, "(v)", reeve_value_find(v, "plain"));
    assert_true(rv_slice_equal(encoding(copy), rv_slice("\x91\x93\xc3\xc2\xc0", 5)));
    reeve_value_free(&v);
    reeve_builder_free(&copy);
}

/* Another implementation reads our bytes and sees the tree that we see. */
static void the_encoding_is_messagepack(void **state)
{
    reeve_value *v = finish(build_complex());
    struct rv_slice bytes = rv_value_bytes(v);
    msgpack_unpacked theirs;
    size_t end = 0;

    (void)state;
    msgpack_unpacked_init(&theirs);
    assert_int_equal(msgpack_unpack_next(&theirs, (const char *)bytes.data, bytes.len, &end),
                     MSGPACK_UNPACK_SUCCESS);
    assert_int_equal(end, bytes.len);
    assert_true(msgpack_object_equal(theirs.data, *rv_value_object(v)));
    msgpack_unpacked_destroy(&theirs);
    reeve_value_free(&v);
}

static reeve_err nest(reeve_builder *b, unsigned depth)
{
    while (depth-- > 0)
        reeve_put_array(b, depth > 0);
    return reeve_builder_check(b);
}

static void values_nest_64_deep_and_no_deeper(void **state)
{
    uint8_t bytes[RV_VALUE_DEPTH_MAX + 1];
    reeve_builder *b = reeve_builder_new();
    reeve_value *v = NULL;

    (void)state;
    memset(bytes, 0x91 /* an array of one */, sizeof bytes);
    bytes[sizeof bytes - 1] = 0x90; /* an empty one */
    assert_false(rv_value_valid(rv_slice(bytes, sizeof bytes)));
    assert_int_equal(rv_value_parse(&v, rv_slice(bytes, sizeof bytes)), REEVE_EPROTO);
    assert_null(v);
    bytes[sizeof bytes - 1] = 0xc0;
    v = parse(bytes, sizeof bytes);

    assert_int_equal(nest(b, RV_VALUE_DEPTH_MAX), REEVE_OK);
    reeve_builder_reset(b);
    assert_int_equal(nest(b, RV_VALUE_DEPTH_MAX + 1), REEVE_EINVAL);
    reeve_builder_reset(b);
    assert_int_equal(reeve_put_value(b, v), REEVE_OK);
    assert_int_equal(reeve_builder_check(b), REEVE_OK);
    reeve_builder_reset(b);
    reeve_put_array(b, 1);
    assert_int_equal(reeve_put_value(b, v), REEVE_EINVAL);
    reeve_builder_free(&b);
    reeve_value_free(&v);
}

static void a_builder_knows_when_its_value_is_whole(void **state)
{
    reeve_builder *b = reeve_builder_new();
    struct rv_slice bytes;

    (void)state;
    assert_int_equal(reeve_builder_check(b), REEVE_EINVAL);
    reeve_put_map(b, 1);
    reeve_put_str(b, "key");
    assert_int_equal(reeve_builder_check(b), REEVE_EINVAL);
    assert_int_equal(rv_builder_bytes(b, &bytes), REEVE_EINVAL);
    reeve_put_array(b, 0);
    assert_int_equal(reeve_builder_check(b), REEVE_OK);
    assert_int_equal(reeve_put_nil(b), REEVE_EINVAL);
    assert_int_equal(reeve_builder_check(b), REEVE_EINVAL);
    reeve_builder_reset(b);
    reeve_put_nil(b);
    assert_int_equal(reeve_builder_check(b), REEVE_OK);
    reeve_builder_free(&b);
    assert_null(b);
    reeve_builder_free(&b);
}

static void the_first_error_sticks_until_reset(void **state)
{
    reeve_builder *b = reeve_builder_new();

    (void)state;
    reeve_put_array(b, 2);
    assert_int_equal(reeve_put_str(b, "\xff"), REEVE_EINVAL);
    assert_int_equal(reeve_put_int(b, 1), REEVE_EINVAL);
    assert_int_equal(reeve_put_array(b, SIZE_MAX), REEVE_EINVAL);
    assert_int_equal(reeve_pack(b, "(i)", INT64_C(1)), REEVE_EINVAL);
    assert_int_equal(reeve_builder_check(b), REEVE_EINVAL);
    reeve_builder_reset(b);
    assert_int_equal(reeve_put_bytes(b, "", SIZE_MAX), REEVE_ETOOBIG);
    assert_int_equal(reeve_put_str(b, "\xff"), REEVE_ETOOBIG);
    reeve_builder_free(&b);

    assert_int_equal(reeve_put_int(NULL, 1), REEVE_ENOMEM);
    assert_int_equal(reeve_put_str(NULL, NULL), REEVE_ENOMEM);
    assert_int_equal(reeve_pack(NULL, "i", INT64_C(1)), REEVE_ENOMEM);
    assert_int_equal(reeve_pack(NULL, "?"), REEVE_ENOMEM);
    assert_int_equal(reeve_put_value(NULL, NULL), REEVE_ENOMEM);
    assert_int_equal(reeve_builder_check(NULL), REEVE_ENOMEM);
    reeve_builder_reset(NULL);
}

static void text_must_be_utf8(void **state)
{
    static const char *const good[] = {
        "",
        "a",
        "\x7f",
        "\xc2\x80",
        "\xdf\xbf",
        "\xe0\xa0\x80",
        "\xed\x9f\xbf",
        "\xee\x80\x80",
        "\xef\xbf\xbf",
        "\xf0\x90\x80\x80",
        "\xf4\x8f\xbf\xbf",
        "twelve bytes, then \xc3\xbc and more",
    };
    static const char *const bad[] = {
        "\x80",
        "\xbf",
        "\xc0\x80" /* two spellings of NUL */,
        "\xc1\xbf",
        "\xc2",
        "\xc2\x41",
        "\xe0\x9f\xbf",
        "\xe2\x82",
        "\xed\xa0\x80" /* half of UTF-16 */,
        "\xf0\x8f\xbf\xbf",
        "\xf4\x90\x80\x80" /* beyond Unicode */,
        "\xf5\x80\x80\x80",
        "\xff",
        "12345678\xff",
    };
    reeve_builder *b = reeve_builder_new();

    (void)state;
    for (size_t i = 0; i < rv_countof(good); i++) {
        reeve_builder_reset(b);
        assert_int_equal(reeve_put_str(b, good[i]), REEVE_OK);
    }
    for (size_t i = 0; i < rv_countof(bad); i++) {
        reeve_builder_reset(b);
        assert_int_equal(reeve_put_str(b, bad[i]), REEVE_EINVAL);
    }
    reeve_builder_free(&b);
}

static void pack_and_unpack_speak_the_same_letters(void **state)
{
    reeve_value *v = NULL;
    reeve_builder *b = reeve_builder_new();
    const reeve_value *rest = NULL;
    const char *text = NULL;
    const void *data = NULL;
    size_t text_len = 0;
    size_t data_len = 0;
    uint64_t u = 0;
    int64_t i = 0;
    double f = 0;
    bool truth = false;

    (void)state;
    reeve_pack(b, "(nbiu{sf}sy(i)())", 1, INT64_C(-7), UINT64_MAX, "half", 0.5, "text", "bytes",
               (size_t)5, INT64_C(9));
    v = finish(b);
    assert_int_equal(reeve_unpack(v, "(nbiu{*f}sy*v)", &truth, &i, &u, &f, &text, &text_len, &data,
                                  &data_len, &rest),
                     REEVE_OK);
    assert_true(truth && i == -7 && u == UINT64_MAX && f == 0.5);
    assert_true(rv_slice_equal(rv_slice(text, text_len), rv_slice_str("text")));
    assert_true(rv_slice_equal(rv_slice(data, data_len), rv_slice_str("bytes")));
    assert_int_equal(reeve_value_type(rest), REEVE_ARRAY);
    assert_int_equal(reeve_unpack(rest, "()"), REEVE_OK);
    assert_int_equal(reeve_unpack(v, "(nbiu{sf}sy(i)())", &truth, &i, &u, &text, &text_len, &f,
                                  &text, &text_len, &data, &data_len, &i),
                     REEVE_OK);
    assert_int_equal(i, 9);
    reeve_value_free(&v);
}

static void unpack_refuses_what_does_not_fit(void **state)
{
    reeve_builder *b = reeve_builder_new();
    reeve_value *v = NULL;
    const char *text = NULL;
    size_t len = 0;
    int64_t i = 0;

    (void)state;
    reeve_pack(b, "(i{s()})", INT64_C(1), "k");
    v = finish(b);
    assert_int_equal(reeve_unpack(v, "(i*)", &i), REEVE_OK);
    assert_int_equal(reeve_unpack(v, "(i)", &i), REEVE_ETYPE);
    assert_int_equal(reeve_unpack(v, "(i**)", &i), REEVE_ETYPE);
    assert_int_equal(reeve_unpack(v, "(s*)", &text, &len), REEVE_ETYPE);
    assert_int_equal(reeve_unpack(v, "{i*}", &i), REEVE_ETYPE);
    assert_int_equal(reeve_unpack(v, "(i{})", &i), REEVE_ETYPE);
    assert_int_equal(reeve_unpack(v, "(i{s(*)})", &i, &text, &len), REEVE_ETYPE);
    assert_int_equal(reeve_unpack(v, "(i{s{}})", &i, &text, &len), REEVE_ETYPE);
    assert_int_equal(reeve_unpack(NULL, "n"), REEVE_ETYPE);
    reeve_value_free(&v);
}

static void malformed_letters_are_invalid(void **state)
{
    static const char *const formats[] = {"(",  ")", "(i",   "(i}", "{i}",
                                          "i)", "x", "({)}", "*(",  " "};
    char deep[2 * RV_VALUE_DEPTH_MAX + 3] = {0};
    reeve_builder *b = reeve_builder_new();

    (void)state;
    for (size_t i = 0; i < rv_countof(formats); i++) {
        reeve_builder_reset(b);
        assert_int_equal(reeve_pack(b, formats[i], INT64_C(1)), REEVE_EINVAL);
        assert_int_equal(reeve_unpack(NULL, formats[i]), REEVE_EINVAL);
    }
    assert_int_equal(reeve_unpack(NULL, ""), REEVE_EINVAL);
    assert_int_equal(reeve_unpack(NULL, "nn"), REEVE_EINVAL);
    assert_int_equal(reeve_unpack(NULL, NULL), REEVE_EINVAL);
    memset(deep, '(', RV_VALUE_DEPTH_MAX + 1);
    memset(deep + RV_VALUE_DEPTH_MAX + 1, ')', RV_VALUE_DEPTH_MAX + 1);
    reeve_builder_reset(b);
    assert_int_equal(reeve_pack(b, deep), REEVE_EINVAL);
    reeve_builder_reset(b);
    assert_int_equal(reeve_pack(b, ""), REEVE_OK); /* appends nothing */
    assert_int_equal(reeve_builder_check(b), REEVE_EINVAL);
    reeve_builder_free(&b);
}

static void json_shows_every_type(void **state)
{
    reeve_builder *b = reeve_builder_new();
    reeve_value *v = NULL;

    (void)state;
    reeve_pack(b, "(nbbiufffff)", 1, 0, INT64_MIN, UINT64_MAX, 1.0, 0.1, -2.5e-300, 1e300,
               (double)NAN);
    v = finish(b);
    expect_json(v, "[null, true, false, -9223372036854775808, 18446744073709551615, "
                   "1.0, 0.1, -2.5e-300, 1e+300, null]");
    reeve_value_free(&v);

    b = reeve_builder_new();
    reeve_pack(b, "(yyyy)", "", (size_t)0, "a", (size_t)1, "ab", (size_t)2, "\xff\xfe\xfd",
               (size_t)3);
    v = finish(b);
    expect_json(v, "[{\"bytes\": \"\"}, {\"bytes\": \"YQ==\"}, {\"bytes\": \"YWI=\"}, "
                   "{\"bytes\": \"//79\"}]");
    reeve_value_free(&v);

    b = reeve_builder_new();
    reeve_pack(b, "{s(){}{is}}", "a\"\\\n\x01\xc3\xbc", INT64_C(7), "seven");
    assert_int_equal(reeve_builder_check(b), REEVE_OK);
    v = finish(b);
    expect_json(v,
                "{\"pairs\": [[\"a\\\"\\\\\\n\\u0001\xc3\xbc\", []], [{}, {\"7\": \"seven\"}]]}");
    reeve_value_free(&v);

    v = parse("\xa3"
              "a\xff"
              "b",
              4); /* a stranger's text */
    expect_json(v, "\"a\xef\xbf\xbd"
                   "b\"");
    reeve_value_free(&v);
    expect_json(NULL, "null");
}

static void a_root_remembers_its_bytes_and_its_origin(void **state)
{
    reeve_value *v = parse("\xa2hi", 3);

    (void)state;
    assert_true(rv_slice_equal(rv_value_bytes(v), rv_slice_str("\xa2hi")));
    assert_int_equal(rv_value_origin(v)->delivery, 0);
    *rv_value_origin(v) =
        (struct rv_value_origin){.delivery = 7, .deliveries = 2, .redelivered = true};
    assert_int_equal(rv_value_origin(v)->delivery, 7);
    assert_true(rv_slice_equal(rv_value_bytes(v), rv_slice_str("\xa2hi")));
    reeve_value_free(&v);
}

static void bytes_that_are_no_value_are_refused(void **state)
{
    static const struct rv_slice rows[] = {
        {(const uint8_t *)"", 0},
        {(const uint8_t *)"\xc1", 1},                     /* unassigned */
        {(const uint8_t *)"\xc0\xc0", 2},                 /* two values */
        {(const uint8_t *)"\xd4\x01\x00", 3},             /* fixext 1 */
        {(const uint8_t *)"\xc7\x00\x01", 3},             /* ext 8 */
        {(const uint8_t *)"\xdb\xff\xff\xff\xff", 5},     /* text of 4 GiB */
        {(const uint8_t *)"\xc6\xff\xff\xff\xff", 5},     /* bytes of 4 GiB */
        {(const uint8_t *)"\xdd\xff\xff\xff\xff\xc0", 6}, /* an array of 4 Gi */
        {(const uint8_t *)"\xdf\xff\xff\xff\xff\xc0", 6}, /* a map of 4 Gi pairs */
        {(const uint8_t *)"\x92\x92\xc0\xc0", 4},         /* one value short */
        {(const uint8_t *)"\x81\xc0", 2},                 /* a key alone */
    };

    (void)state;
    for (size_t i = 0; i < rv_countof(rows); i++) {
        reeve_value *v = NULL;

        assert_false(rv_value_valid(rows[i]));
        assert_int_equal(rv_value_parse(&v, rows[i]), REEVE_EPROTO);
        assert_null(v);
    }
}

/* Parse len bytes, copied to where a sanitizer sees the first read beyond them. */
static reeve_value *parse_fenced(const uint8_t *data, size_t len)
{
    uint8_t *fenced = malloc(len == 0 ? 1 : len);
    reeve_value *v = NULL;
    reeve_err err = REEVE_OK;

    assert_non_null(fenced);
    memcpy(fenced, data, len);
    err = rv_value_parse(&v, rv_slice(fenced, len));
    assert_true(rv_value_valid(rv_slice(fenced, len)) == (err == REEVE_OK));
    free(fenced);
    return v;
}

static void every_truncation_is_refused(void **state)
{
    reeve_builder *b = build_complex();
    struct rv_slice bytes = encoding(b);

    (void)state;
    for (size_t len = 0; len < bytes.len; len++)
        assert_null(parse_fenced(bytes.data, len));
    reeve_builder_free(&b);
}

static void no_changed_byte_does_harm(void **state)
{
    reeve_value *good = finish(build_complex());
    struct rv_slice bytes = rv_value_bytes(good);
    uint8_t *data = malloc(bytes.len);
    reeve_builder *copy = reeve_builder_new();

    (void)state;
    assert_non_null(data);
    for (size_t at = 0; at < bytes.len; at++) {
        for (unsigned flip = 1; flip < 256; flip++) {
            reeve_value *v = NULL;

            memcpy(data, bytes.data, bytes.len);
            data[at] ^= (uint8_t)flip;
            v = parse_fenced(data, bytes.len);
            if (v == NULL)
                continue;
            free(reeve_value_json(v));
            reeve_builder_reset(copy);
            assert_int_equal(reeve_put_value(copy, v), REEVE_OK);
            assert_true(rv_value_valid(encoding(copy)));
            reeve_value_free(&v);
        }
    }
    reeve_builder_free(&copy);
    reeve_value_free(&good);
    free(data);
}

/* ---- references ---- */

static void references_are_found_wherever_they_are(void **state)
{
    /* [ref 5, {"a": ref 6, ref 7: 1}, 2] */
    static const uint8_t bytes[] = "\x93\xc7\x0d\x01\x01\0\0\0\0\0\0\0\x05\0\0\0\x01"
                                   "\x82\xa1"
                                   "a\xc7\x0d\x01\x01\0\0\0\0\0\0\0\x06\0\0\0\x01"
                                   "\xc7\x0d\x01\x01\0\0\0\0\0\0\0\x07\0\0\0\x01\x01\x02";
    struct rv_buf refs = {0};
    reeve_value *v = NULL;

    (void)state;
    assert_int_equal(rv_value_parse(&v, rv_slice(bytes, sizeof bytes - 1)), REEVE_OK);
    rv_value_refs(rv_value_object(v), &refs);
    assert_int_equal(refs.len, 3 * 8);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(rv_get_number(refs.data + 8 * i, 8), 5 + i);
    rv_value_free(&v);
    rv_buf_free(&refs);
}

static void reference_to_nothing_is_no_value(void **state)
{
    uint8_t bytes[] = "\xc7\x0d\x01\x01\0\0\0\0\0\0\0\x05\0\0\0\x01";

    (void)state;
    assert_true(rv_value_valid(rv_slice(bytes, sizeof bytes - 1)));
    bytes[11] = 0; /* the object */
    assert_false(rv_value_valid(rv_slice(bytes, sizeof bytes - 1)));
    bytes[11] = 5;
    bytes[2] = 2; /* another type of extension */
    assert_false(rv_value_valid(rv_slice(bytes, sizeof bytes - 1)));
}

static void text_of_nothing_has_no_character(void **state)
{
    (void)state;
    assert_int_equal(rv_utf8_len(rv_slice(NULL, 0)), 0);
    assert_int_equal(rv_utf8_len(rv_slice("x", 1)), 1);
}

int test_value(void)
{
    static const struct CMUnitTest value_tests[] = {
        cmocka_unit_test(scalars_survive_the_round_trip),
        cmocka_unit_test(references_survive_the_round_trip),
        cmocka_unit_test(other_extensions_are_refused),
        cmocka_unit_test(integers_have_one_spelling_and_it_is_the_shortest),
        cmocka_unit_test(numbers_are_given_out_only_where_they_fit),
        cmocka_unit_test(a_short_float_is_read_as_a_double),
        cmocka_unit_test(maps_are_searched_by_text_and_walked_by_index),
        cmocka_unit_test(a_copy_is_the_same_value),
        cmocka_unit_test(the_encoding_is_messagepack),
        cmocka_unit_test(values_nest_64_deep_and_no_deeper),
        cmocka_unit_test(a_builder_knows_when_its_value_is_whole),
        cmocka_unit_test(the_first_error_sticks_until_reset),
        cmocka_unit_test(text_must_be_utf8),
        cmocka_unit_test(pack_and_unpack_speak_the_same_letters),
        cmocka_unit_test(unpack_refuses_what_does_not_fit),
        cmocka_unit_test(malformed_letters_are_invalid),
        cmocka_unit_test(json_shows_every_type),
        cmocka_unit_test(a_root_remembers_its_bytes_and_its_origin),
        cmocka_unit_test(bytes_that_are_no_value_are_refused),
        cmocka_unit_test(every_truncation_is_refused),
        cmocka_unit_test(no_changed_byte_does_harm),
        cmocka_unit_test(references_are_found_wherever_they_are),
        cmocka_unit_test(reference_to_nothing_is_no_value),
        cmocka_unit_test(text_of_nothing_has_no_character),
    };

    return cmocka_run_group_tests_name("value", value_tests, NULL, NULL);
}
