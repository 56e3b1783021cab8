/* Every function of value.h that needs no manager. What values look like on the wire, and what
 * is refused there, is for tests/unit/test_value.c. */

#include "tests/shell/lab.h"

#include <stdarg.h>
#include <stdlib.h>

/* Out of a queue comes what was put into it, so a queue makes a value of a builder. */
static reeve_value *through(reeve_queue *q, reeve_builder *b)
{
    reeve_value *v = NULL;

    OK(reeve_builder_check(b));
    OK(reeve_queue_put(q, b, 1000));
    OK(reeve_queue_get(&v, q, 5000));
    reeve_builder_reset(b);
    return v;
}

static reeve_err pack(reeve_builder *b, const char *format, ...)
{
    va_list args;
    reeve_err err = REEVE_OK;

    va_start(args, format);
    err = reeve_vpack(b, format, args);
    va_end(args);
    return err;
}

static void check_json(const reeve_value *v, const char *wanted)
{
    char *text = reeve_value_json(v);

    CHECK(text != NULL);
    CHECK(strcmp(text, wanted) == 0);
    free(text);
}

static void check_scalars(reeve_queue *q, reeve_builder *b)
{
    reeve_value *v = NULL;
    bool truth = false;
    int64_t i = 0;
    uint64_t u = 0;
    double f = 0;

    OK(reeve_put_nil(b));
    v = through(q, b);
    CHECK(reeve_value_type(v) == REEVE_NIL);
    check_json(v, "null");
    reeve_value_free(&v);
    CHECK(v == NULL);

    OK(reeve_put_bool(b, true));
    v = through(q, b);
    CHECK(reeve_value_type(v) == REEVE_BOOL && reeve_get_bool(v, &truth) && truth);
    CHECK(!reeve_get_int(v, &i));
    reeve_value_free(&v);

    OK(reeve_put_int(b, INT64_MIN));
    v = through(q, b);
    CHECK(reeve_value_type(v) == REEVE_INT && reeve_get_int(v, &i) && i == INT64_MIN);
    CHECK(!reeve_get_uint(v, &u) && reeve_get_float(v, &f) && f == -0x1p63);
    reeve_value_free(&v);

    OK(reeve_put_uint(b, UINT64_MAX));
    v = through(q, b);
    i = 5;
    CHECK(reeve_get_uint(v, &u) && u == UINT64_MAX);
    CHECK(!reeve_get_int(v, &i) && i == 5); /* it does not fit, and i is as it was */
    CHECK(!reeve_get_float(v, &f));
    reeve_value_free(&v);

    OK(reeve_put_float(b, 0.5));
    v = through(q, b);
    CHECK(reeve_value_type(v) == REEVE_FLOAT && reeve_get_float(v, &f) && f == 0.5);
    CHECK(!reeve_get_int(v, &i));
    check_json(v, "0.5");
    reeve_value_free(&v);
}

static void check_bytes(reeve_queue *q, reeve_builder *b)
{
    reeve_value *v = NULL;
    const char *text = NULL;
    const void *data = NULL;
    size_t len = 0;

    OK(reeve_put_str(b, "häuser"));
    v = through(q, b);
    CHECK(reeve_value_type(v) == REEVE_STR && reeve_get_str(v, &text, &len));
    CHECK(len == 7 && memcmp(text, "häuser", len) == 0);
    CHECK(!reeve_get_bytes(v, &data, &len));
    reeve_value_free(&v);

    OK(reeve_put_strn(b, "abcdef", 3));
    v = through(q, b);
    CHECK(reeve_get_str(v, &text, &len) && len == 3 && memcmp(text, "abc", 3) == 0);
    reeve_value_free(&v);

    OK(reeve_put_bytes(b, "\xff\0\x01", 3));
    v = through(q, b);
    CHECK(reeve_value_type(v) == REEVE_BYTES && reeve_get_bytes(v, &data, &len));
    CHECK(len == 3 && memcmp(data, "\xff\0\x01", 3) == 0);
    CHECK(!reeve_get_str(v, &text, &len));
    check_json(v, "{\"bytes\": \"/wAB\"}");
    reeve_value_free(&v);
}

static void check_containers(reeve_queue *q, reeve_builder *b)
{
    reeve_value *v = NULL;
    const reeve_value *key = NULL;
    const reeve_value *item = NULL;
    int64_t i = 0;

    OK(reeve_put_map(b, 2));
    OK(reeve_put_str(b, "path"));
    OK(reeve_put_array(b, 2));
    OK(reeve_put_int(b, 1));
    OK(reeve_put_int(b, 2));
    OK(reeve_put_str(b, "size"));
    OK(reeve_put_int(b, 4096));
    v = through(q, b);
    CHECK(reeve_value_type(v) == REEVE_MAP && reeve_value_len(v) == 2);
    CHECK(reeve_get_int(reeve_value_find(v, "size"), &i) && i == 4096);
    CHECK(reeve_value_find(v, "colour") == NULL);
    CHECK(reeve_value_pair(v, 0, &key, &item) && reeve_value_type(item) == REEVE_ARRAY);
    CHECK(!reeve_value_pair(v, 2, &key, &item));
    CHECK(reeve_value_len(item) == 2 && reeve_get_int(reeve_value_at(item, 1), &i) && i == 2);
    CHECK(reeve_value_at(item, 2) == NULL && reeve_value_at(v, 0) == NULL);
    check_json(v, "{\"path\": [1, 2], \"size\": 4096}");

    OK(reeve_put_value(b, v)); /* on its way to somebody else */
    reeve_value_free(&v);
    v = through(q, b);
    CHECK(reeve_get_int(reeve_value_find(v, "size"), &i) && i == 4096);
    reeve_value_free(&v);
}

static void check_packing(reeve_queue *q, reeve_builder *b)
{
    reeve_value *v = NULL;
    reeve_value *inner = NULL;
    const reeve_value *any = NULL;
    const char *text = NULL;
    const void *data = NULL;
    size_t len = 0;
    size_t data_len = 0;
    int64_t i = 0;
    uint64_t u = 0;
    double f = 0;
    bool truth = false;

    OK(reeve_put_int(b, 9));
    inner = through(q, b);
    OK(reeve_pack(b, "(nbiufsy{sv})", 1, INT64_C(-7), UINT64_C(7), 1.5, "x", "yz", (size_t)2, "k",
                  (const reeve_value *)inner));
    v = through(q, b);
    OK(reeve_unpack(v, "(nbiufsy{sv})", &truth, &i, &u, &f, &text, &len, &data, &data_len, &text,
                    &len, &any));
    CHECK(truth && i == -7 && u == 7 && f == 1.5 && data_len == 2 && len == 1 && *text == 'k');
    CHECK(reeve_get_int(any, &i) && i == 9);
    OK(reeve_unpack(v, "(**i*****)", &i));
    CHECK(i == -7);
    CHECK(reeve_unpack(v, "(nb)", &truth) == REEVE_ETYPE);
    CHECK(reeve_unpack(v, "(") == REEVE_EINVAL);
    CHECK(reeve_unpack(NULL, "i", &i) == REEVE_ETYPE);
    reeve_value_free(&v);
    reeve_value_free(&inner);
    OK(pack(b, "(is)", INT64_C(7), "x"));
    v = through(q, b);
    check_json(v, "[7, \"x\"]");
    reeve_value_free(&v);
    CHECK(reeve_pack(b, "q") == REEVE_EINVAL);
    CHECK(reeve_builder_check(b) == REEVE_EINVAL);
    reeve_builder_reset(b);
}

TEST(values_come_out_as_they_went_in)
{
    struct lab lab;
    struct manager m;
    reeve_context *ctx = NULL;
    reeve_queue *q = NULL;
    reeve_builder *b = reeve_builder_new();

    lab_begin(&lab);
    manager_start_ipc(&m, &lab);
    ctx = lab_open(&lab, m.url);
    q = lab_queue(ctx, NULL, NULL);
    check_scalars(q, b);
    check_bytes(q, b);
    check_containers(q, b);
    check_packing(q, b);
    reeve_builder_free(&b);
    CHECK(b == NULL);
    reeve_queue_close(&q);
    OK(reeve_close(&ctx));
    manager_kill(&m);
    lab_end(&lab);
}

TEST(absent_values_may_be_asked)
{
    bool truth = true;
    int64_t i = 3;
    uint64_t u = 3;
    double f = 3;
    const char *text = NULL;
    const void *data = NULL;
    const reeve_value *v = NULL;
    size_t len = 3;

    CHECK(reeve_value_type(NULL) == REEVE_NIL);
    CHECK(!reeve_get_bool(NULL, &truth) && !reeve_get_int(NULL, &i) && !reeve_get_uint(NULL, &u));
    CHECK(!reeve_get_float(NULL, &f) && !reeve_get_str(NULL, &text, &len));
    CHECK(!reeve_get_bytes(NULL, &data, &len));
    CHECK(truth && i == 3 && u == 3 && f == 3 && len == 3);
    CHECK(reeve_value_len(NULL) == 0 && reeve_value_at(NULL, 0) == NULL);
    CHECK(!reeve_value_pair(NULL, 0, &v, &v) && reeve_value_find(NULL, "x") == NULL);
    CHECK(reeve_value_deliveries(NULL) == 0);
    reeve_value_free(NULL);
    reeve_builder_free(NULL);
}

TEST(an_error_in_building_sticks)
{
    reeve_builder *b = reeve_builder_new();

    CHECK(reeve_builder_check(b) == REEVE_EINVAL); /* nothing yet */
    CHECK(reeve_put_str(b, "\xff") == REEVE_EINVAL);
    CHECK(reeve_put_int(b, 1) == REEVE_EINVAL);
    CHECK(reeve_builder_check(b) == REEVE_EINVAL);
    reeve_builder_reset(b);
    OK(reeve_put_int(b, 1));
    OK(reeve_builder_check(b));
    (void)reeve_put_int(b, 2);
    CHECK(reeve_builder_check(b) == REEVE_EINVAL); /* more than one value */
    reeve_builder_reset(b);
    for (int i = 0; i < 65; i++)
        (void)reeve_put_array(b, 1);
    CHECK(reeve_builder_check(b) == REEVE_EINVAL); /* too deep */
    reeve_builder_free(&b);
    CHECK(reeve_put_int(NULL, 1) == REEVE_ENOMEM);
    CHECK(reeve_put_map(NULL, 1) == REEVE_ENOMEM);
}

TEST(every_error_has_its_words)
{
#define CHECK_WORDS(name, number, text)                                                            \
    CHECK(REEVE_##name == (number));                                                               \
    CHECK(strcmp(reeve_strerror(REEVE_##name), text) == 0);
    REEVE_ERRORS(CHECK_WORDS)
#undef CHECK_WORDS
    CHECK(strcmp(reeve_strerror((reeve_err)63), "unknown error") == 0);
    CHECK(strcmp(reeve_errmsg(), "no error") == 0);
}
