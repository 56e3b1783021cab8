/* Messages, operations, rows and items: their bytes are as documented, each has exactly one
 * spelling, and anything else is refused. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/base/rng.h"
#include "common/wire/msg.h"
#include "tests/wire/examples.h"

int test_wire(void);

static void assert_bytes(struct rv_slice got, struct rv_slice want)
{
    assert_int_equal(got.len, want.len);
    assert_memory_equal(got.data, want.data, want.len);
}

/* ---- the examples of docs/PROTOCOL.md ---- */

static struct rv_buf from_hex(const char *hex)
{
    struct rv_buf out = {0};
    size_t len = strlen(hex) / 2;
    uint8_t *room = rv_buf_room(&out, len);

    for (size_t i = 0; i < len; i++) {
        char digits[3] = {hex[2 * i], hex[2 * i + 1], '\0'};

        room[i] = (uint8_t)strtoul(digits, NULL, 16);
    }
    out.len = len;
    return out;
}

static void examples_have_the_documented_bytes(void **state)
{
    (void)state;
    for (size_t i = 0; i < rv_countof(examples); i++) {
        struct rv_buf want = from_hex(examples[i].hex);
        struct rv_buf got = {0};

        examples[i].build(&got);
        assert_bytes(rv_buf_slice(&got), rv_buf_slice(&want));
        rv_buf_free(&got);
        rv_buf_free(&want);
    }
}

/* No frame of less bytes is the same frame: the header is refused, or a message, or one is
 * missing. */
static size_t messages_in(struct rv_slice control, bool *bad)
{
    struct rv_frame frame;
    struct rv_msg msg;
    struct rv_reader r;
    size_t count = 0;
    bool version = false;

    *bad = true;
    if (!rv_frame_decode(&frame, control, &version))
        return 0;
    r = rv_reader(frame.messages);
    while (rv_frame_next(&r, &msg))
        count++;
    *bad = r.bad;
    return count;
}

static void truncated_examples_are_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < rv_countof(examples); i++) {
        struct rv_buf whole = from_hex(examples[i].hex);
        bool bad = false;
        size_t count = messages_in(rv_buf_slice(&whole), &bad);

        assert_false(bad);
        assert_true(count > 0);
        for (size_t len = 0; len < whole.len; len++)
            assert_true(messages_in(rv_slice(whole.data, len), &bad) < count);
        rv_buf_free(&whole);
    }
}

static void examples_have_one_spelling(void **state)
{
    (void)state;
    for (size_t i = 0; i < rv_countof(examples); i++) {
        struct rv_buf whole = from_hex(examples[i].hex);
        struct rv_buf again = {0};
        struct rv_frame frame;
        struct rv_msg msg;
        struct rv_reader r;
        bool version = false;

        assert_true(rv_frame_decode(&frame, rv_buf_slice(&whole), &version));
        rv_frame_encode(rv_buf_room(&again, RV_FRAME_HEADER), &frame);
        again.len = RV_FRAME_HEADER;
        r = rv_reader(frame.messages);
        while (rv_frame_next(&r, &msg))
            rv_msg_encode(&again, &msg);
        assert_bytes(rv_buf_slice(&again), rv_buf_slice(&whole));
        rv_buf_free(&again);
        rv_buf_free(&whole);
    }
}

/* ---- a value for every field: none is zero, no two are the same ---- */

static uint64_t counter;

static uint64_t fill_number(void)
{
    counter += UINT64_C(0x0101010101010101);
    return counter;
}

#define fill_u8(x)   (*(x) = (uint8_t)fill_number())
#define fill_u16(x)  (*(x) = (uint16_t)fill_number())
#define fill_u32(x)  (*(x) = (uint32_t)fill_number())
#define fill_u64(x)  (*(x) = fill_number())
#define fill_i64(x)  (*(x) = -(int64_t)(fill_number() >> 1))
#define fill_blob(x) (*(x) = rv_slice("\x00\xff blob", 7))

static void fill_id(struct rv_id *out)
{
    memset(out->bytes, (int)(fill_number() & 0xff), sizeof out->bytes);
}

static void fill_str(struct rv_slice *out)
{
    static const char *const texts[] = {"one", "m\xc3\xbcnz", "", "a b"};

    *out = rv_slice_str(texts[fill_number() % rv_countof(texts)]);
}

/* An inline item, one with a priority, one in a body frame. */
static void fill_items(struct rv_items *out)
{
    static uint8_t bytes[64];
    struct rv_buf list = {0};

    rv_item_write(&list, &(struct rv_item){.len = 2, .bytes = rv_slice("ab", 2)});
    rv_item_write(&list, &(struct rv_item){.len = 1, .priority = -5, .bytes = rv_slice("c", 1)});
    rv_item_write(&list, &(struct rv_item){.place = RV_BODY, .len = 70000, .deliveries = 3});
    assert_true(list.len <= sizeof bytes);
    memcpy(bytes, list.data, list.len);
    *out = (struct rv_items){.count = 3, .bytes = rv_slice(bytes, list.len)};
    rv_buf_free(&list);
}

#define same_number(a, b) assert_true(*(a) == *(b))
#define same_u8           same_number
#define same_u16          same_number
#define same_u32          same_number
#define same_u64          same_number
#define same_i64          same_number
#define same_id(a, b)     assert_true(rv_id_equal((a), (b)))
#define same_blob(a, b)   assert_bytes(*(a), *(b))
#define same_str          same_blob

static void same_items(const struct rv_items *a, const struct rv_items *b)
{
    assert_int_equal(a->count, b->count);
    assert_bytes(a->bytes, b->bytes);
}

#define FILL(kind, name) fill_##kind(&in.name);
#define SAME(kind, name) same_##kind(&out.name, &in.name);

/* ---- every message ---- */

static struct rv_msg some_message(enum rv_msg_type type)
{
    struct rv_msg msg;

    memset(&msg, 0, sizeof msg);
    msg.type = type;
    switch (type) {
#define FILL_MESSAGE(name, number, numbered, FIELDS)                                               \
    case RV_MSG_##name: {                                                                          \
        struct rv_##name in = {0};                                                                 \
                                                                                                   \
        FIELDS(FILL)                                                                               \
        msg.name = in;                                                                             \
        break;                                                                                     \
    }
        RV_MESSAGES(FILL_MESSAGE)
#undef FILL_MESSAGE
    }
    return msg;
}

static void assert_same_message(const struct rv_msg *a, const struct rv_msg *b)
{
    assert_int_equal(a->type, b->type);
    switch (a->type) {
#define SAME_MESSAGE(name, number, numbered, FIELDS)                                               \
    case RV_MSG_##name: {                                                                          \
        const struct rv_##name out = a->name;                                                      \
        const struct rv_##name in = b->name;                                                       \
                                                                                                   \
        (void)out;                                                                                 \
        (void)in;                                                                                  \
        FIELDS(SAME)                                                                               \
        break;                                                                                     \
    }
        RV_MESSAGES(SAME_MESSAGE)
#undef SAME_MESSAGE
    }
}

static const enum rv_msg_type types[] = {
#define TYPE(name, number, numbered, FIELDS) RV_MSG_##name,
    RV_MESSAGES(TYPE)
#undef TYPE
};

static void every_message_comes_back(void **state)
{
    (void)state;
    for (size_t i = 0; i < rv_countof(types); i++) {
        struct rv_msg in = some_message(types[i]);
        struct rv_msg out;
        struct rv_buf b = {0};

        rv_msg_encode(&b, &in);
        assert_int_equal(rv_get_number(b.data, 4), b.len - 4);
        assert_int_equal(b.data[4], types[i]);
        assert_true(rv_msg_decode(&out, rv_slice(b.data + 4, b.len - 4)));
        assert_same_message(&out, &in);
        for (size_t len = 0; len < b.len - 4; len++)
            assert_false(rv_msg_decode(&out, rv_slice(b.data + 4, len)));
        rv_buf_add(&b, "", 1); /* nor is there anything behind it */
        assert_false(rv_msg_decode(&out, rv_slice(b.data + 4, b.len - 4)));
        rv_buf_free(&b);
    }
}

static bool known_type(unsigned type)
{
    for (size_t i = 0; i < rv_countof(types); i++)
        if (types[i] == type)
            return true;
    return false;
}

static void unknown_messages_are_refused(void **state)
{
    (void)state;
    for (unsigned type = 0; type < 256; type++) {
        static const uint8_t room[256];
        struct rv_buf b = {0};
        struct rv_msg msg;
        uint8_t byte = (uint8_t)type;

        if (known_type(type))
            continue;
        rv_buf_add(&b, &byte, 1);
        rv_buf_add(&b, room, sizeof room);
        for (size_t len = 1; len <= b.len; len++)
            assert_false(rv_msg_decode(&msg, rv_slice(b.data, len)));
        assert_string_equal(rv_msg_name((enum rv_msg_type)type), "?");
        assert_false(rv_msg_numbered((enum rv_msg_type)type));
        rv_buf_free(&b);
    }
}

/* Change a byte anywhere: it is refused, or it is another message with its own single spelling. */
static void a_changed_byte_is_refused_or_means_something_else(void **state)
{
    enum { ROUNDS = 2000 };
    struct rv_rng rng = {.state = 20260105};

    (void)state;
    for (size_t i = 0; i < rv_countof(types); i++) {
        struct rv_msg in = some_message(types[i]);
        struct rv_buf b = {0};

        rv_msg_encode(&b, &in);
        for (int round = 0; round < ROUNDS && b.len > 5; round++) {
            size_t at = 4 + (size_t)rv_rng_below(&rng, b.len - 4);
            uint8_t old = b.data[at];
            struct rv_buf again = {0};
            struct rv_msg out;

            b.data[at] = (uint8_t)rv_rng_next(&rng);
            if (rv_msg_decode(&out, rv_slice(b.data + 4, b.len - 4))) {
                rv_msg_encode(&again, &out);
                assert_bytes(rv_slice(again.data + 4, again.len - 4),
                             rv_slice(b.data + 4, b.len - 4));
            }
            b.data[at] = old;
            rv_buf_free(&again);
        }
        rv_buf_free(&b);
    }
}

static void names_and_numbers_are_unique(void **state)
{
    (void)state;
    for (size_t i = 0; i < rv_countof(types); i++) {
        assert_in_range(types[i], 1, 255);
        for (size_t k = 0; k < i; k++) {
            assert_int_not_equal(types[i], types[k]);
            assert_string_not_equal(rv_msg_name(types[i]), rv_msg_name(types[k]));
        }
    }
    for (size_t i = 0; rv_op_at(i) != NULL; i++)
        for (size_t k = 0; k < i; k++) {
            assert_int_not_equal(rv_op_at(i)->number, rv_op_at(k)->number);
            assert_string_not_equal(rv_op_at(i)->name, rv_op_at(k)->name);
        }
}

static void messages_are_numbered_as_documented(void **state)
{
    (void)state;
    assert_false(rv_msg_numbered(RV_MSG_hello));
    assert_false(rv_msg_numbered(RV_MSG_welcome));
    assert_false(rv_msg_numbered(RV_MSG_refuse));
    assert_false(rv_msg_numbered(RV_MSG_beat));
    assert_false(rv_msg_numbered(RV_MSG_read));
    assert_false(rv_msg_numbered(RV_MSG_answer));
    assert_true(rv_msg_numbered(RV_MSG_call));
    assert_true(rv_msg_numbered(RV_MSG_cancel));
    assert_true(rv_msg_numbered(RV_MSG_fragment));
    assert_true(rv_msg_numbered(RV_MSG_goodbye));
    assert_true(rv_msg_numbered(RV_MSG_reply));
    assert_true(rv_msg_numbered(RV_MSG_push));
}

/* ---- every operation and every row ---- */

#define FIELDS_TEST(prefix, FIELDS)                                                                \
    static void prefix##_comes_back(void **state)                                                  \
    {                                                                                              \
        struct rv_##prefix in = {0};                                                               \
        struct rv_##prefix out;                                                                    \
        struct rv_buf b = {0};                                                                     \
                                                                                                   \
        (void)state;                                                                               \
        FIELDS(FILL)                                                                               \
        rv_##prefix##_encode(&b, &in);                                                             \
        assert_true(rv_##prefix##_decode(&out, rv_buf_slice(&b)));                                 \
        FIELDS(SAME)                                                                               \
        for (size_t len = 0; len < b.len; len++)                                                   \
            assert_false(rv_##prefix##_decode(&out, rv_slice(b.data, len)));                       \
        rv_buf_add(&b, "", 1);                                                                     \
        assert_false(rv_##prefix##_decode(&out, rv_buf_slice(&b)));                                \
        rv_buf_free(&b);                                                                           \
    }
#define OP_TEST(name, number, flags, right, ARGS, RESULT)                                          \
    FIELDS_TEST(name##_args, ARGS)                                                                 \
    FIELDS_TEST(name##_result, RESULT)
RV_OPS(OP_TEST)
RV_ROWS(FIELDS_TEST)

/* The table of operations is found by number and by position, and its rows make sense. */
static void every_operation_is_in_the_table(void **state)
{
    size_t count = 0;

    (void)state;
    for (; rv_op_at(count) != NULL; count++) {
        const struct rv_op_info *op = rv_op_at(count);
        const struct rv_op_info *found = rv_op_info(op->number);
        unsigned ways = (op->flags & RV_OP_READ ? 1u : 0u) + (op->flags & RV_OP_WRITE ? 1u : 0u) +
                        (op->flags & RV_OP_PUSH ? 1u : 0u);

        assert_non_null(found);
        assert_int_equal(found->number, op->number);
        assert_int_equal(found->flags, op->flags);
        assert_int_equal(found->right, op->right);
        assert_string_equal(found->name, op->name);
        assert_int_equal(ways, 1);
        assert_true(op->right < RV_RIGHTS_LEN);
        /* Only a call waits, or goes without a reply, and none does both. */
        assert_true(!(op->flags & (RV_OP_BLOCK | RV_OP_ONEWAY)) || (op->flags & RV_OP_WRITE));
        assert_false((op->flags & RV_OP_BLOCK) && (op->flags & RV_OP_ONEWAY));
    }
#define ONE(name, number, flags, right, ARGS, RESULT) +1
    assert_int_equal(count, 0 RV_OPS(ONE));
#undef ONE
    for (unsigned number = 0, found = 0; number < 65536; number++) {
        size_t bodies = 0;

        found += rv_op_info((uint16_t)number) != NULL;
        assert_true(found <= count);
        if (rv_op_info((uint16_t)number) == NULL)
            assert_false(rv_op_args_check((uint16_t)number, rv_slice("", 0), &bodies));
    }
}

static void arguments_tell_their_body_frames(void **state)
{
    struct rv_queue_put_args args = {.items = {0}};
    struct rv_buf b = {0};
    size_t bodies = 7;

    (void)state;
    fill_items(&args.items); /* one of them in a body frame */
    rv_queue_put_args_encode(&b, &args);
    assert_true(rv_op_args_check(RV_OP_queue_put, rv_buf_slice(&b), &bodies));
    assert_int_equal(bodies, 1);
    for (size_t len = 0; len < b.len; len++)
        assert_false(rv_op_args_check(RV_OP_queue_put, rv_slice(b.data, len), &bodies));
    assert_true(rv_op_args_check(RV_OP_queue_join, rv_slice("", 0), &bodies));
    assert_int_equal(bodies, 0);
    rv_buf_free(&b);
}

static void rows_follow_each_other(void **state)
{
    struct rv_buf rows = {0};
    struct rv_slice row;
    struct rv_reader r;

    (void)state;
    rv_write_number(&rows, 3, 4);
    rv_buf_add(&rows, "one", 3);
    rv_write_number(&rows, 0, 4);
    rv_write_number(&rows, 9, 4); /* more than there is */
    rv_buf_add(&rows, "two", 3);
    r = rv_reader(rv_buf_slice(&rows));
    assert_true(rv_row_next(&r, &row));
    assert_bytes(row, rv_slice("one", 3));
    assert_true(rv_row_next(&r, &row));
    assert_int_equal(row.len, 0);
    assert_false(rv_row_next(&r, &row));
    assert_true(r.bad);
    assert_false(rv_row_next(&r, &row));
    rv_buf_free(&rows);
}

/* ---- text ---- */

static bool name_decodes(const void *text, size_t len)
{
    struct rv_object_remove_args args = {.name = rv_slice(text, len)};
    struct rv_buf b = {0};
    bool good = false;

    rv_object_remove_args_encode(&b, &args);
    good = rv_object_remove_args_decode(&args, rv_buf_slice(&b));
    rv_buf_free(&b);
    return good;
}

static void control_characters_are_refused(void **state)
{
    (void)state;
    for (int c = 0; c < 256; c++) {
        char text[3] = {'a', (char)c, 'b'};

        assert_int_equal(name_decodes(text, 3), c >= 0x20 && c != 0x7f);
        assert_int_equal(name_decodes(text, 2), c >= 0x20 && c != 0x7f);
        assert_int_equal(name_decodes(text + 1, 1), c >= 0x20 && c != 0x7f);
    }
}

static void text_is_bounded(void **state)
{
    char text[4 * RV_LIMIT_NAME_BYTES + 1];

    (void)state;
    memset(text, 'x', sizeof text);
    assert_true(name_decodes(text, 0));
    assert_true(name_decodes(text, sizeof text - 1));
    assert_false(name_decodes(text, sizeof text));
}

/* ---- items ---- */

static bool item_decodes(struct rv_slice bytes)
{
    struct rv_items items = {.count = 1, .bytes = bytes};
    size_t bodies = 0;

    return rv_items_check(&items, &bodies);
}

/* An item whose head says place and length, with all the bytes that it needs. */
static bool place_takes(unsigned place, size_t len)
{
    struct rv_buf b = {0};
    bool good = false;

    rv_write_number(&b, (uint64_t)place << 28 | len, 4);
    if (place == RV_FRAGMENTS)
        rv_write_number(&b, 1, 8);
    if (place == RV_INLINE) {
        memset(rv_buf_room(&b, len + 1), 0, len + 1);
        b.len += len;
    }
    good = item_decodes(rv_buf_slice(&b));
    rv_buf_free(&b);
    return good;
}

static void each_place_has_its_bounds(void **state)
{
    (void)state;
    assert_true(place_takes(RV_INLINE, 0));
    assert_true(place_takes(RV_INLINE, RV_LIMIT_ITEM_INLINE_BYTES));
    assert_false(place_takes(RV_INLINE, RV_LIMIT_ITEM_INLINE_BYTES + 1));
    assert_false(place_takes(RV_BODY, 0));
    assert_false(place_takes(RV_BODY, RV_LIMIT_ITEM_INLINE_BYTES));
    assert_true(place_takes(RV_BODY, RV_LIMIT_ITEM_INLINE_BYTES + 1));
    assert_true(place_takes(RV_BODY, RV_LIMIT_BODY_BYTES));
    assert_false(place_takes(RV_BODY, RV_LIMIT_BODY_BYTES + 1));
    assert_false(place_takes(RV_FRAGMENTS, RV_LIMIT_BODY_BYTES));
    assert_true(place_takes(RV_FRAGMENTS, RV_LIMIT_BODY_BYTES + 1));
    assert_true(place_takes(RV_FRAGMENTS, RV_LIMIT_ITEM_BYTES));
    assert_false(place_takes(RV_FRAGMENTS, RV_LIMIT_ITEM_BYTES + 1));
    /* Bits 28 and 29 are the place; there is no fourth, and bit 30 is zero. */
    for (unsigned place = 3; place < 8; place++)
        for (size_t len = 0; len < 4; len++)
            assert_false(place_takes(place, len << 16));
}

static void an_extra_of_zeros_is_refused(void **state)
{
    static const struct {
        int64_t priority;
        uint32_t deliveries;
        bool good;
    } cases[] = {
        {0, 0, false}, {1, 0, true}, {-1, 0, true}, {0, 1, true}, {INT64_MIN, UINT32_MAX, true}};

    (void)state;
    for (size_t i = 0; i < rv_countof(cases); i++) {
        struct rv_buf b = {0};
        struct rv_item item;
        struct rv_reader r;

        rv_write_number(&b, UINT32_C(1) << 31 | 2, 4);
        rv_write_number(&b, (uint64_t)cases[i].priority, 8);
        rv_write_number(&b, cases[i].deliveries, 4);
        rv_buf_add(&b, "hi", 2);
        assert_int_equal(item_decodes(rv_buf_slice(&b)), cases[i].good);
        r = rv_reader(rv_buf_slice(&b));
        rv_item_read(&r, &item);
        assert_int_equal(r.bad, !cases[i].good);
        assert_true(r.bad || (item.priority == cases[i].priority &&
                              item.deliveries == cases[i].deliveries && item.len == 2));
        rv_buf_free(&b);
    }
}

static void every_item_comes_back(void **state)
{
    static const uint32_t lens[] = {0,      1,      65535,  65536,   65537,    262143,
                                    262144, 262145, 300000, 1000000, 16777215, 16777216};
    static const uint8_t bytes[RV_LIMIT_ITEM_INLINE_BYTES] = {1, 2, 3};

    (void)state;
    for (size_t i = 0; i < rv_countof(lens); i++) {
        struct rv_item in = {
            .len = lens[i], .priority = i % 2 ? -7 : 0, .deliveries = i % 3 ? 2 : 0};
        struct rv_item out;
        struct rv_buf b = {0};
        struct rv_reader r;

        in.place = lens[i] <= RV_LIMIT_ITEM_INLINE_BYTES ? RV_INLINE
                   : lens[i] <= RV_LIMIT_BODY_BYTES      ? RV_BODY
                                                         : RV_FRAGMENTS;
        if (in.place == RV_FRAGMENTS)
            in.body = UINT64_C(0x1122334455667788);
        if (in.place == RV_INLINE)
            in.bytes = rv_slice(bytes, in.len);
        rv_item_write(&b, &in);
        r = rv_reader(rv_buf_slice(&b));
        rv_item_read(&r, &out);
        assert_false(r.bad);
        assert_int_equal(r.left, 0);
        assert_int_equal(out.place, in.place);
        assert_int_equal(out.len, in.len);
        assert_int_equal(out.priority, in.priority);
        assert_int_equal(out.deliveries, in.deliveries);
        assert_int_equal(out.body, in.body);
        assert_bytes(out.bytes, in.bytes);
        for (size_t len = 0; len < b.len; len += len < 40 ? 1 : 997)
            assert_false(item_decodes(rv_slice(b.data, len)));
        rv_buf_free(&b);
    }
}

static void references_come_back(void **state)
{
    uint8_t refs[8 * RV_LIMIT_ITEM_REFS];
    static const uint8_t bytes[8 * RV_LIMIT_ITEM_REFS] = {1};
    static const size_t counts[] = {1, 2, 255};

    (void)state;
    for (size_t i = 0; i < RV_LIMIT_ITEM_REFS; i++)
        rv_set_number(refs + 8 * i, i + 1, 8);
    for (size_t i = 0; i < 2 * rv_countof(counts); i++) {
        struct rv_item in = {.len = sizeof bytes,
                             .bytes = rv_slice(bytes, sizeof bytes),
                             .priority = i % 2 ? 5 : 0,
                             .refs = rv_slice(refs, 8 * counts[i / 2])};
        struct rv_item out;
        struct rv_buf b = {0};
        struct rv_reader r;

        rv_item_write(&b, &in);
        assert_int_equal(rv_item_size(b.data), b.len);
        r = rv_reader(rv_buf_slice(&b));
        rv_item_read(&r, &out);
        assert_false(r.bad);
        assert_int_equal(r.left, 0);
        assert_bytes(out.refs, in.refs);
        assert_bytes(out.bytes, in.bytes);
        assert_int_equal(out.priority, in.priority);
        for (size_t len = 0; len < b.len; len += len < 40 ? 1 : 97)
            assert_false(item_decodes(rv_slice(b.data, len)));
        rv_buf_free(&b);
    }
}

static void references_to_nothing_are_refused(void **state)
{
    static const struct {
        uint32_t len;
        uint8_t count;
        uint64_t object;
        bool good;
    } cases[] = {{8, 1, 7, true}, {8, 0, 7, false}, {8, 1, 0, false}, {7, 1, 7, false}};

    (void)state;
    for (size_t i = 0; i < rv_countof(cases); i++) {
        struct rv_buf b = {0};

        rv_write_number(&b, UINT32_C(1) << 30 | cases[i].len, 4);
        rv_write_number(&b, cases[i].count, 1);
        if (cases[i].count > 0)
            rv_write_number(&b, cases[i].object, 8);
        rv_buf_add(&b, "12345678", cases[i].len);
        assert_int_equal(item_decodes(rv_buf_slice(&b)), cases[i].good);
        rv_buf_free(&b);
    }
}

static void a_wrong_count_is_refused(void **state)
{
    struct rv_items items = {.count = 0};
    struct rv_buf list = {0};
    size_t bodies = 0;

    (void)state;
    for (int i = 0; i < 3; i++)
        rv_item_write(&list, &(struct rv_item){.len = 2, .bytes = rv_slice("hi", 2)});
    items.bytes = rv_buf_slice(&list);
    for (uint32_t count = 0; count < 6; count++) {
        items.count = count;
        assert_int_equal(rv_items_check(&items, &bodies), count == 3);
    }
    items = (struct rv_items){.count = 0, .bytes = rv_slice("", 0)};
    assert_true(rv_items_check(&items, &bodies));
    rv_buf_free(&list);
}

static void items_are_counted_up_to_their_limit(void **state)
{
    struct rv_items items = {.count = 0};
    struct rv_buf list = {0};
    size_t bodies = 0;

    (void)state;
    for (uint32_t i = 0; i <= RV_LIMIT_PUT_ITEMS; i++) {
        items.bytes = rv_buf_slice(&list);
        items.count = i;
        assert_true(rv_items_check(&items, &bodies));
        rv_item_write(&list, &(struct rv_item){.len = 0, .bytes = rv_slice("", 0)});
    }
    items.bytes = rv_buf_slice(&list);
    items.count = RV_LIMIT_PUT_ITEMS + 1;
    assert_false(rv_items_check(&items, &bodies));
    rv_buf_free(&list);
}

/* ---- frames ---- */

static void the_header_is_checked(void **state)
{
    struct rv_frame in = {.bodies = RV_LIMIT_BODIES, .first = 7, .ack = UINT64_MAX};
    struct rv_frame out;
    uint8_t bytes[RV_FRAME_HEADER + 1] = {0};
    bool version = false;

    (void)state;
    rv_frame_encode(bytes, &in);
    assert_true(rv_frame_decode(&out, rv_slice(bytes, sizeof bytes), &version));
    assert_true(version);
    assert_int_equal(out.bodies, in.bodies);
    assert_true(out.first == in.first && out.ack == in.ack);
    assert_int_equal(out.messages.len, 1);
    for (size_t len = 0; len < RV_FRAME_HEADER; len++)
        assert_false(rv_frame_decode(&out, rv_slice(bytes, len), &version));

    bytes[2] = RV_LIMIT_BODIES + 1;
    assert_false(rv_frame_decode(&out, rv_slice(bytes, sizeof bytes), &version));
    bytes[2] = 0;
    bytes[3] = 1;
    assert_false(rv_frame_decode(&out, rv_slice(bytes, sizeof bytes), &version));
    assert_true(version); /* garbage, not another version */
    bytes[3] = 0;
    bytes[0] = 'r';
    assert_false(rv_frame_decode(&out, rv_slice(bytes, sizeof bytes), &version));
    assert_true(version);
}

static void another_version_is_told_from_garbage(void **state)
{
    struct rv_frame out;
    uint8_t bytes[RV_FRAME_HEADER];

    (void)state;
    for (unsigned major = 0; major < 256; major++) {
        bool version = false;

        rv_frame_encode(bytes, &(struct rv_frame){.first = 1});
        bytes[1] = (uint8_t)major;
        assert_int_equal(rv_frame_decode(&out, rv_slice(bytes, sizeof bytes), &version),
                         major == 1);
        assert_int_equal(version, major == RV_WIRE_MAJOR);
    }
}

static void a_bad_message_ends_the_frame(void **state)
{
    static const uint8_t bytes[] = {
        0, 0, 0, 9, 4,  0, 0, 0, 0, 0, 0, 0, 1, /* beat */
        0, 0, 0, 0,                             /* nothing at all */
        0, 0, 0, 1, 19,                         /* goodbye, not reached */
    };
    struct rv_reader r = rv_reader(rv_slice(bytes, sizeof bytes));
    struct rv_msg msg;

    (void)state;
    assert_true(rv_frame_next(&r, &msg));
    assert_int_equal(msg.type, RV_MSG_beat);
    assert_false(rv_frame_next(&r, &msg));
    assert_true(r.bad);
    assert_false(rv_frame_next(&r, &msg));
}

int test_wire(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(examples_have_the_documented_bytes),
        cmocka_unit_test(truncated_examples_are_refused),
        cmocka_unit_test(examples_have_one_spelling),
        cmocka_unit_test(every_message_comes_back),
        cmocka_unit_test(unknown_messages_are_refused),
        cmocka_unit_test(a_changed_byte_is_refused_or_means_something_else),
        cmocka_unit_test(names_and_numbers_are_unique),
        cmocka_unit_test(messages_are_numbered_as_documented),
#define OP_ROW(name, number, flags, right, ARGS, RESULT)                                           \
    cmocka_unit_test(name##_args_comes_back), cmocka_unit_test(name##_result_comes_back),
        RV_OPS(OP_ROW)
#define ROW_ROW(name, FIELDS) cmocka_unit_test(name##_comes_back),
            RV_ROWS(ROW_ROW) cmocka_unit_test(every_operation_is_in_the_table),
        cmocka_unit_test(arguments_tell_their_body_frames),
        cmocka_unit_test(rows_follow_each_other),
        cmocka_unit_test(control_characters_are_refused),
        cmocka_unit_test(text_is_bounded),
        cmocka_unit_test(each_place_has_its_bounds),
        cmocka_unit_test(an_extra_of_zeros_is_refused),
        cmocka_unit_test(every_item_comes_back),
        cmocka_unit_test(references_come_back),
        cmocka_unit_test(references_to_nothing_are_refused),
        cmocka_unit_test(a_wrong_count_is_refused),
        cmocka_unit_test(items_are_counted_up_to_their_limit),
        cmocka_unit_test(the_header_is_checked),
        cmocka_unit_test(another_version_is_told_from_garbage),
        cmocka_unit_test(a_bad_message_ends_the_frame),
    };

    return cmocka_run_group_tests_name("wire", tests, NULL, NULL);
}
