/* Images: bytes that compare as the values do. */

#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include <reeve/ref.h>
#include <reeve/value.h>

#include "common/base/rng.h"
#include "common/value/key.h"
#include "common/value/order.h"
#include "common/value/value.h"

int test_image(void);

/* It holds every 64-bit integer and every double. */
_Static_assert(LDBL_MANT_DIG >= 64, "exact for integers");

/* ---- helpers ---- */

static void add_image(struct rv_buf *out, struct rv_slice bytes)
{
    reeve_value *v = NULL;

    assert_int_equal(rv_value_parse(&v, bytes), REEVE_OK);
    assert_int_equal(rv_value_image(out, rv_value_object(v)), REEVE_OK);
    assert_true(out->len <= 11 * bytes.len);
    rv_value_free(&v);
}

/* The image of what reeve_pack() makes of this. */
static struct rv_buf image(const char *format, ...)
{
    struct rv_buf out = {0};
    reeve_builder *b = reeve_builder_new();
    struct rv_slice bytes;
    va_list args;

    va_start(args, format);
    assert_int_equal(reeve_vpack(b, format, args), REEVE_OK);
    va_end(args);
    assert_int_equal(rv_builder_bytes(b, &bytes), REEVE_OK);
    add_image(&out, bytes);
    reeve_builder_free(&b);
    return out;
}

static struct rv_buf ref_image(uint8_t kind, uint64_t object, uint32_t store)
{
    struct rv_buf out = {0};
    uint8_t bytes[3 + RV_VALUE_REF_BYTES] = {0xc7, RV_VALUE_REF_BYTES, RV_VALUE_REF_TYPE};

    rv_value_ref_write(bytes + 3, (reeve_ref){.kind = kind, .object = object, .store = store});
    add_image(&out, rv_slice(bytes, sizeof bytes));
    return out;
}

static int sign(int order)
{
    return (order > 0) - (order < 0);
}

static bool begins_with(const struct rv_buf *b, const struct rv_buf *beginning)
{
    return b->len > beginning->len && memcmp(b->data, beginning->data, beginning->len) == 0;
}

/* Takes all. Each is before all behind it. */
static void expect_ascending(struct rv_buf *images, size_t count)
{
    for (size_t i = 0; i < count; i++)
        for (size_t j = 0; j < count; j++) {
            int order = rv_image_compare(rv_buf_slice(&images[i]), rv_buf_slice(&images[j]));

            if (sign(order) != (i > j) - (i < j))
                fail_msg("values %zu and %zu compare as %d", i, j, order);
            if (begins_with(&images[i], &images[j]))
                fail_msg("the image of value %zu is the beginning of that of value %zu", j, i);
        }
    for (size_t i = 0; i < count; i++)
        rv_buf_free(&images[i]);
}

#define EXPECT_ASCENDING(...)                                                                      \
    do {                                                                                           \
        struct rv_buf images[] = {__VA_ARGS__};                                                    \
        expect_ascending(images, rv_countof(images));                                              \
    } while (0)

/* Takes both. */
static void expect_same(struct rv_buf a, struct rv_buf b)
{
    assert_true(rv_slice_equal(rv_buf_slice(&a), rv_buf_slice(&b)));
    assert_int_equal(rv_image_compare(rv_buf_slice(&a), rv_buf_slice(&b)), 0);
    rv_buf_free(&a);
    rv_buf_free(&b);
}

static double nan_with(uint64_t bits)
{
    double f = 0;

    memcpy(&f, &bits, sizeof f);
    return f;
}

/* ---- the order ---- */

#define INT(x)   image("i", INT64_C(x))
#define UINT(x)  image("u", UINT64_C(x))
#define FLOAT(x) image("f", (double)(x))

static void numbers_compare_as_the_numbers_that_they_are(void **state)
{
    (void)state;
    EXPECT_ASCENDING(
        FLOAT(NAN), FLOAT(-INFINITY), FLOAT(-DBL_MAX), FLOAT(-0x1p64), FLOAT(-0x1.0000000000001p63),
        image("i", INT64_MIN), image("i", INT64_MIN + 1), FLOAT(-0x1.fffffffffffffp62),
        INT(-9007199254740993), FLOAT(-0x1p53), INT(-9007199254740991), INT(-256), FLOAT(-255.5),
        INT(-255), INT(-129), INT(-128), INT(-33), INT(-2), FLOAT(-1.5),
        FLOAT(-0x1.0000000000001p0), INT(-1), FLOAT(-0x1.fffffffffffffp-1), FLOAT(-0.5),
        FLOAT(-DBL_MIN), FLOAT(-0x0.fffffffffffffp-1022), FLOAT(-0x1p-1074), INT(0),
        FLOAT(0x1p-1074), FLOAT(0x1p-1073), FLOAT(0x1.8p-1073), FLOAT(0x0.fffffffffffffp-1022),
        FLOAT(DBL_MIN), FLOAT(0.1), FLOAT(0.5), FLOAT(0x1.fffffffffffffp-1), INT(1),
        FLOAT(0x1.0000000000001p0), FLOAT(1.5), INT(2), INT(3), INT(127), INT(128), INT(255),
        FLOAT(255.5), INT(256), INT(65535), INT(65536), INT(9007199254740991), FLOAT(0x1p53),
        INT(9007199254740993), FLOAT(0x1.0000000000001p53), FLOAT(0x1.fffffffffffffp62),
        image("i", INT64_MAX), FLOAT(0x1p63), UINT(9223372036854775809),
        FLOAT(0x1.fffffffffffffp63), image("u", UINT64_MAX), FLOAT(0x1p64), FLOAT(DBL_MAX),
        FLOAT(INFINITY));
}

static void types_come_one_after_the_other(void **state)
{
    (void)state;
    EXPECT_ASCENDING(image("n"), image("b", 0), image("b", 1), FLOAT(NAN), FLOAT(-INFINITY),
                     INT(-1), INT(0), INT(1), FLOAT(INFINITY), image("s", ""),
                     image("s", "\xf4\x8f\xbf\xbf"), image("y", "", (size_t)0),
                     image("y", "\xff", (size_t)1), image("()"), image("({})"), image("{}"),
                     image("{{}{}}"), ref_image(0, 1, 0), ref_image(255, UINT64_MAX, UINT32_MAX));
}

static void text_goes_by_its_bytes(void **state)
{
    (void)state;
#define BYTES(text) image("y", text, sizeof(text) - 1)
    EXPECT_ASCENDING(BYTES(""), BYTES("\0"), BYTES("\0\0"), BYTES("\0\0\1"), BYTES("\0\1"),
                     BYTES("\0\xff"), BYTES("\1"), BYTES("a"), BYTES("a\0"), BYTES("a\0\0"),
                     BYTES("a\0b"), BYTES("a\0\xff"), BYTES("a\1"), BYTES("aa"), BYTES("b"),
                     BYTES("\xff"), BYTES("\xff\0"), BYTES("\xff\xff"));
    EXPECT_ASCENDING(image("s", ""), image("s", "Z"), image("s", "a"), image("s", "ab"),
                     image("s", "b"), image("s", "\xc3\xa9"));
}

static void a_beginning_comes_before_the_whole(void **state)
{
    const int64_t one = 1;
    const int64_t two = 2;

    (void)state;
    EXPECT_ASCENDING(image("()"), image("(n)"), image("(nn)"), image("(i)", one),
                     image("(in)", one), image("(ii)", one, one), image("(iii)", one, one, two),
                     image("(ii)", one, two), image("(i)", two), image("(s)", ""),
                     image("(ss)", "", "a"), image("(s)", "a"), image("(sn)", "a"),
                     image("(ss)", "a", "b"), image("(s)", "ab"), image("(())"), image("(()n)"),
                     image("(()())"), image("((n))"), image("({})"));
}

static void maps_compare_by_their_sorted_pairs(void **state)
{
    const int64_t one = 1;
    const int64_t two = 2;
    const int64_t nine = 9;

    (void)state;
    EXPECT_ASCENDING(image("{}"), image("{nn}"), image("{ii}", one, one),
                     image("{iiii}", nine, one, one, one), /* 1: 1, 9: 1 */
                     image("{isis}", one, "a", one, "b"), image("{isis}", one, "b", one, "a"),
                     image("{ii}", two, one), image("{iiii}", nine, two, two, one),
                     image("{iiii}", two, one, nine, nine), image("{ii}", two, two),
                     image("{sn}", "a"), image("{snsn}", "b", "a"), image("{snsi}", "a", "b", one));
}

static void references_go_by_kind_and_object(void **state)
{
    (void)state;
    EXPECT_ASCENDING(ref_image(1, 2, 9), ref_image(1, 256, 1), ref_image(1, 256, 2),
                     ref_image(1, UINT64_C(1) << 63, 0), ref_image(2, 1, 0), ref_image(128, 1, 0));
}

static void equal_values_have_one_image(void **state)
{
    (void)state;
    expect_same(INT(1), FLOAT(1));
    expect_same(INT(-1), FLOAT(-1));
    expect_same(INT(0), FLOAT(-0.0));
    expect_same(FLOAT(0x1p53), INT(9007199254740992));
    expect_same(FLOAT(0x1p63), UINT(9223372036854775808));
    expect_same(FLOAT(-0x1p63), image("i", INT64_MIN));
    expect_same(FLOAT(NAN), FLOAT(nan_with(UINT64_C(0xfff0000000000001))));
    expect_same(FLOAT(NAN), FLOAT(nan_with(UINT64_C(0x7ff8000000000123))));
    expect_same(image("(fi)", 2.0, INT64_C(3)), image("(if)", INT64_C(2), 3.0));
    expect_same(image("{sisf}", "a", INT64_C(1), "b", 2.0),
                image("{sisi}", "b", INT64_C(2), "a", INT64_C(1)));
}

static void a_key_that_is_there_twice_keeps_its_order(void **state)
{
    const int64_t one = 1;
    const int64_t two = 2;

    (void)state;
    expect_same(image("{isisfs}", two, "x", one, "a", 1.0, "b"),
                image("{fsisis}", 1.0, "a", two, "x", one, "b"));
    EXPECT_ASCENDING(image("{isisis}", one, "a", two, "x", one, "b"),
                     image("{isisis}", one, "b", two, "x", one, "a"));
}

static void images_stand_one_behind_the_other(void **state)
{
    static const char *const pairs[][2] = {
        {"", "z"}, {"a", ""}, {"a", "b"}, {"aa", "a"}, {"b", ""}};
    struct rv_buf joined[rv_countof(pairs)] = {0};

    (void)state;
    for (size_t i = 0; i < rv_countof(pairs); i++)
        for (size_t j = 0; j < 2; j++) {
            struct rv_buf one = image("s", pairs[i][j]);

            rv_buf_add(&joined[i], one.data, one.len);
            rv_buf_free(&one);
        }
    expect_ascending(joined, rv_countof(joined));
}

static void without_memory_nothing_is_appended(void **state)
{
    struct rv_buf out = {0};
    const msgpack_object nil = {.type = MSGPACK_OBJECT_NIL};

    (void)state;
    rv_buf_add(&out, "before", 6);
    out.bad = true;
    assert_int_equal(rv_value_image(&out, &nil), REEVE_ENOMEM);
    assert_int_equal(out.len, 6);
    rv_buf_free(&out);
}

/* ---- any values ---- */

/* Any number, most often next to a power of two. */
static msgpack_object any_number(struct rv_rng *rng)
{
    static const uint8_t powers[] = {0, 1, 7, 8, 31, 52, 53, 54, 62, 63};
    uint64_t power = UINT64_C(1) << powers[rv_rng_below(rng, rv_countof(powers))];
    uint64_t near = power + rv_rng_below(rng, 5) - 2;
    msgpack_object o = {.type = MSGPACK_OBJECT_FLOAT64};
    uint64_t bits = rv_rng_next(rng);

    switch (rv_rng_below(rng, 4)) {
    case 0:
        return (msgpack_object){.type = MSGPACK_OBJECT_POSITIVE_INTEGER, .via.u64 = near};
    case 1:
        if ((near & UINT64_C(1) << 63) == 0)
            near = 0 - near;
        o.type = near == 0 ? MSGPACK_OBJECT_POSITIVE_INTEGER : MSGPACK_OBJECT_NEGATIVE_INTEGER;
        o.via.u64 = near;
        return o;
    case 2:
        o.via.f64 = (double)near + (double)rv_rng_below(rng, 3) / 2;
        if (rv_rng_below(rng, 2) == 0)
            o.via.f64 = -o.via.f64;
        return o;
    default:
        if ((bits >> 52 & 0x7ff) == 0x7ff)
            bits ^= UINT64_C(1) << 52; /* a number, and finite */
        memcpy(&o.via.f64, &bits, sizeof bits);
        return o;
    }
}

static long double exact(const msgpack_object *o)
{
    if (o->type == MSGPACK_OBJECT_FLOAT64)
        return (long double)o->via.f64;
    return o->type == MSGPACK_OBJECT_NEGATIVE_INTEGER ? (long double)o->via.i64
                                                      : (long double)o->via.u64;
}

static int compare_images(const msgpack_object *a, const msgpack_object *b)
{
    struct rv_buf left = {0};
    struct rv_buf right = {0};
    int order = 0;

    assert_int_equal(rv_value_image(&left, a), REEVE_OK);
    assert_int_equal(rv_value_image(&right, b), REEVE_OK);
    order = rv_image_compare(rv_buf_slice(&left), rv_buf_slice(&right));
    rv_buf_free(&left);
    rv_buf_free(&right);
    return sign(order);
}

static void any_two_numbers_compare_exactly(void **state)
{
    struct rv_rng rng = {.state = 1};
    unsigned same = 0;

    (void)state;
    for (int i = 0; i < 50000; i++) {
        msgpack_object a = any_number(&rng);
        msgpack_object b = any_number(&rng);
        long double x = exact(&a);
        long double y = exact(&b);

        same += x == y;
        if (compare_images(&a, &b) != (x > y) - (x < y))
            fail_msg("%d: %.20Lg and %.20Lg", i, x, y);
    }
    assert_in_range(same, 100, 10000);
}

/* A small value of few possible ones, so that two are often equal. */
static void put_any(reeve_builder *b, struct rv_rng *rng, unsigned depth)
{
    size_t len = (size_t)rv_rng_below(rng, 3);

    switch (rv_rng_below(rng, depth == 0 ? 5 : 7)) {
    case 0:
        reeve_put_nil(b);
        break;
    case 1:
        reeve_put_bool(b, len == 0);
        break;
    case 2:
        reeve_put_int(b, (int64_t)len - 1);
        break;
    case 3:
        reeve_put_float(b, (double)len - 1);
        break;
    case 4:
        reeve_put_strn(b, "\0\0", len);
        break;
    case 5:
        reeve_put_array(b, len);
        for (size_t i = 0; i < len; i++)
            put_any(b, rng, depth - 1);
        break;
    default:
        reeve_put_map(b, len);
        for (size_t i = 0; i < 2 * len; i++)
            put_any(b, rng, depth - 1);
    }
}

static reeve_value *any_value(struct rv_rng *rng)
{
    reeve_builder *b = reeve_builder_new();
    reeve_value *v = NULL;
    struct rv_slice bytes;

    put_any(b, rng, 2);
    assert_int_equal(rv_builder_bytes(b, &bytes), REEVE_OK);
    assert_int_equal(rv_value_parse(&v, bytes), REEVE_OK);
    reeve_builder_free(&b);
    return v;
}

static void one_image_is_one_spelling(void **state)
{
    struct rv_rng rng = {.state = 2};
    unsigned same = 0;
    unsigned nested = 0;

    (void)state;
    for (int i = 0; i < 50000; i++) {
        reeve_value *a = any_value(&rng);
        reeve_value *b = any_value(&rng);
        struct rv_buf none = {0};
        bool equal = false;
        bool spelled = rv_value_key(&none, rv_value_object(a)) == REEVE_OK;
        int order = compare_images(rv_value_object(a), rv_value_object(b));

        assert_int_equal(rv_value_equal(rv_value_object(a), rv_value_object(b), &equal), REEVE_OK);
        if (spelled)
            assert_int_equal(equal, order == 0);
        assert_int_equal(order, -compare_images(rv_value_object(b), rv_value_object(a)));
        same += equal;
        nested += equal && rv_object_nests(rv_value_object(a));
        rv_buf_free(&none);
        rv_value_free(&a);
        rv_value_free(&b);
    }
    assert_in_range(same, 1000, 40000);
    assert_in_range(nested, 100, 40000);
}

int test_image(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_compare_as_the_numbers_that_they_are),
        cmocka_unit_test(types_come_one_after_the_other),
        cmocka_unit_test(text_goes_by_its_bytes),
        cmocka_unit_test(a_beginning_comes_before_the_whole),
        cmocka_unit_test(maps_compare_by_their_sorted_pairs),
        cmocka_unit_test(references_go_by_kind_and_object),
        cmocka_unit_test(equal_values_have_one_image),
        cmocka_unit_test(a_key_that_is_there_twice_keeps_its_order),
        cmocka_unit_test(images_stand_one_behind_the_other),
        cmocka_unit_test(without_memory_nothing_is_appended),
        cmocka_unit_test(any_two_numbers_compare_exactly),
        cmocka_unit_test(one_image_is_one_spelling),
    };

    return cmocka_run_group_tests_name("image", tests, NULL, NULL);
}
