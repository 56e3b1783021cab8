/* Any bytes are refused as a frame, a message, arguments, a result or a row, or they encode to
 * themselves again. */

#include "common/wire/msg.h"
#include "tests/fuzz/fuzz.h"

static void expect_same(struct rv_buf *again, struct rv_slice bytes)
{
    rv_assert(rv_slice_equal(rv_buf_slice(again), bytes));
    rv_buf_clear(again);
}

/* Bytes as arguments and as result of one operation. */
static void as_fields_of(uint16_t op, struct rv_slice bytes, struct rv_buf *again)
{
    const struct rv_op_info *info = rv_op_info(op);
    size_t bodies = 0;
    bool good = rv_op_args_check(op, bytes, &bodies);

    rv_assert(info != NULL || !good);
    if (info == NULL)
        return;
    rv_assert(info->number == op);
    switch ((enum rv_op)op) {
#define AS_FIELDS(name, number, flags, right, ARGS, RESULT)                                        \
    case RV_OP_##name: {                                                                           \
        struct rv_##name##_args args;                                                              \
        struct rv_##name##_result result;                                                          \
                                                                                                   \
        rv_assert(rv_##name##_args_decode(&args, bytes) == good);                                  \
        if (good) {                                                                                \
            rv_##name##_args_encode(again, &args);                                                 \
            expect_same(again, bytes);                                                             \
        }                                                                                          \
        if (rv_##name##_result_decode(&result, bytes)) {                                           \
            rv_##name##_result_encode(again, &result);                                             \
            expect_same(again, bytes);                                                             \
        }                                                                                          \
        break;                                                                                     \
    }
        RV_OPS(AS_FIELDS)
#undef AS_FIELDS
    }
}

static void as_rows(struct rv_slice bytes, struct rv_buf *again)
{
    struct rv_reader r = rv_reader(bytes);
    struct rv_slice row;

    while (rv_row_next(&r, &row)) {
#define AS_ROW(name, FIELDS)                                                                       \
    {                                                                                              \
        struct rv_##name fields;                                                                   \
                                                                                                   \
        if (rv_##name##_decode(&fields, row)) {                                                    \
            rv_##name##_encode(again, &fields);                                                    \
            expect_same(again, row);                                                               \
        }                                                                                          \
    }
        RV_ROWS(AS_ROW)
#undef AS_ROW
    }
}

static void as_message(const struct rv_msg *msg, struct rv_buf *again)
{
    switch (msg->type) {
    case RV_MSG_read:
        as_fields_of(msg->read.op, msg->read.args, again);
        break;
    case RV_MSG_call:
        as_fields_of(msg->call.op, msg->call.args, again);
        break;
    case RV_MSG_push:
        as_fields_of(msg->push.op, msg->push.args, again);
        break;
    case RV_MSG_reply:
        as_fields_of((uint16_t)msg->reply.call, msg->reply.result, again);
        break;
    case RV_MSG_answer:
        as_rows(msg->answer.result, again);
        break;
    default:
        break;
    }
}

/* The messages of a frame, up to the first that is refused. */
static void as_messages(struct rv_slice bytes, struct rv_buf *again)
{
    struct rv_reader r = rv_reader(bytes);
    struct rv_msg msg;

    for (;;) {
        const uint8_t *at = r.data;

        if (!rv_frame_next(&r, &msg))
            break;
        rv_assert(rv_msg_name(msg.type)[0] != '?');
        rv_msg_encode(again, &msg);
        expect_same(again, rv_slice(at, (size_t)(r.data - at)));
        as_message(&msg, again);
    }
    rv_assert(r.bad || r.left == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct rv_buf again = {0};
    struct rv_slice bytes = rv_slice(data, len);
    struct rv_frame frame;
    struct rv_msg msg;
    uint8_t header[RV_FRAME_HEADER];
    bool version = false;

    if (rv_frame_decode(&frame, bytes, &version)) {
        rv_assert(version);
        rv_frame_encode(header, &frame);
        rv_assert(memcmp(header, data, sizeof header) == 0);
        as_messages(frame.messages, &again);
    }
    if (rv_msg_decode(&msg, bytes)) {
        rv_msg_encode(&again, &msg);
        rv_assert(rv_get_number(again.data, 4) == len);
        rv_assert(rv_slice_equal(rv_slice(again.data + 4, again.len - 4), bytes));
        rv_buf_clear(&again);
        as_message(&msg, &again);
    }
    as_messages(bytes, &again);
    as_rows(bytes, &again);
    if (len > 0)
        as_fields_of(data[0], rv_slice(data + 1, len - 1), &again);
    rv_buf_free(&again);
    return 0;
}
