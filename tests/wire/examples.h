#ifndef EXAMPLES_H
#define EXAMPLES_H

/*
 * examples.h -- the dialogue of docs/PROTOCOL.md: each control frame, how our encoder makes it, and
 * the bytes that it must make.
 *
 * Included by test_wire.c, which compares the two, and by tests/lint/protocol.sh, which shows the
 * bytes in PROTOCOL.md. If bytes here must change, so must the version of the protocol.
 */

#include "common/wire/stream.h"
#include <reeve/error.h>

struct example {
    const char *title;
    const char *comment;
    uint16_t op; /* whose result the reply or answer in it has; 0 without one */
    void (*build)(struct rv_buf *out);
    const char *hex;
};

#define TEXT(text)                                                                                 \
    {                                                                                              \
        (const uint8_t *)(text), sizeof(text) - 1                                                  \
    }

static const struct rv_id example_session = {
    {0x5e, 0x55, 0x10, 0x01, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x2a}};
static const struct rv_id example_store = {
    {0x57, 0x0e, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x07}};
static const struct rv_id example_host = {
    {0x40, 0x57, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x09}};

static void begin(struct rv_buf *out, uint64_t first, uint64_t ack, uint8_t bodies)
{
    uint8_t *room = rv_buf_room(out, RV_FRAME_HEADER);

    rv_frame_encode(room, &(struct rv_frame){.bodies = bodies, .first = first, .ack = ack});
    out->len += RV_FRAME_HEADER;
}

static void add_hello(struct rv_buf *out, bool again)
{
    struct rv_msg msg = {
        .type = RV_MSG_hello,
        .hello = {.major = 1,
                  .session = example_session,
                  .attempt = again ? 2 : 1,
                  .established = again,
                  .received = again ? 2 : 0,
                  .resume_ms = 5000,
                  .host = example_host,
                  .pid = 4242,
                  .host_name = TEXT("node7"),
                  .program = TEXT("resize")},
    };

    if (again)
        msg.hello.store = example_store;
    begin(out, 0, again ? 2 : 0, 0);
    rv_msg_encode(out, &msg);
}

static void build_hello(struct rv_buf *out)
{
    add_hello(out, false);
}

static void build_hello_again(struct rv_buf *out)
{
    add_hello(out, true);
}

static void add_welcome(struct rv_buf *out, uint64_t received)
{
    begin(out, 0, received, 0);
    rv_msg_encode(out, &(struct rv_msg){.type = RV_MSG_welcome,
                                        .welcome = {.major = 1,
                                                    .store = example_store,
                                                    .term = 1,
                                                    .received = received,
                                                    .resume_ms = 5000,
                                                    .session = 1,
                                                    .server = TEXT("reeve 0.1.0")}});
}

static void build_welcome(struct rv_buf *out)
{
    add_welcome(out, 0);
}

/* The reply that was lost follows the welcome at once. */
static void build_welcome_again(struct rv_buf *out)
{
    struct rv_buf welcome = {0};
    struct rv_buf result = {0};
    struct rv_buf list = {0};

    rv_item_write(&list, &(struct rv_item){.len = 3, .bytes = TEXT("\xa2hi")});
    rv_queue_get_result_encode(
        &result, &(struct rv_queue_get_result){
                     .first = 1, .items = {.count = 1, .bytes = {list.data, list.len}}});
    add_welcome(&welcome, 3);
    begin(out, 3, 3, 0);
    rv_buf_add(out, welcome.data + RV_FRAME_HEADER, welcome.len - RV_FRAME_HEADER);
    rv_msg_encode(out, &(struct rv_msg){.type = RV_MSG_reply,
                                        .reply = {.call = 3,
                                                  .durable = RV_DURABLE_SYNC,
                                                  .result = rv_buf_slice(&result)}});
    rv_buf_free(&welcome);
    rv_buf_free(&result);
    rv_buf_free(&list);
}

static void add_call(struct rv_buf *out, uint16_t op, uint64_t object, uint32_t timeout_ms,
                     struct rv_buf *args)
{
    rv_msg_encode(out, &(struct rv_msg){.type = RV_MSG_call,
                                        .call = {.op = op,
                                                 .object = object,
                                                 .timeout_ms = timeout_ms,
                                                 .args = rv_buf_slice(args)}});
    rv_buf_free(args);
}

static void add_reply(struct rv_buf *out, uint64_t call, struct rv_buf *result)
{
    rv_msg_encode(out, &(struct rv_msg){.type = RV_MSG_reply,
                                        .reply = {.call = call,
                                                  .durable = RV_DURABLE_NONE,
                                                  .result = rv_buf_slice(result)}});
    rv_buf_free(result);
}

static void add_push(struct rv_buf *out, uint16_t op, uint64_t object, struct rv_buf *args)
{
    rv_msg_encode(
        out, &(struct rv_msg){.type = RV_MSG_push,
                              .push = {.op = op, .object = object, .args = rv_buf_slice(args)}});
    rv_buf_free(args);
}

static void build_open(struct rv_buf *out)
{
    struct rv_buf args = {0};

    begin(out, 1, 0, 0);
    rv_object_open_args_encode(
        &args, &(struct rv_object_open_args){
                   .name = TEXT("jobs"), .create = 1, .kind = RV_KIND_QUEUE, .joinable = 1});
    add_call(out, RV_OP_object_open, 0, 5000, &args);
}

static void build_opened(struct rv_buf *out)
{
    struct rv_buf result = {0};

    begin(out, 1, 1, 0);
    rv_object_open_result_encode(&result,
                                 &(struct rv_object_open_result){.object = 1,
                                                                 .created = 1,
                                                                 .kind = RV_KIND_QUEUE,
                                                                 .joinable = 1,
                                                                 .durable = RV_DURABLE_NONE});
    add_reply(out, 1, &result);
}

static void build_put(struct rv_buf *out)
{
    struct rv_buf args = {0};
    struct rv_buf list = {0};

    begin(out, 2, 1, 0);
    rv_item_write(&list, &(struct rv_item){.len = 3, .bytes = TEXT("\xa2hi")});
    rv_queue_put_args_encode(
        &args, &(struct rv_queue_put_args){.items = {.count = 1, .bytes = rv_buf_slice(&list)}});
    add_call(out, RV_OP_queue_put, 1, UINT32_MAX, &args);
    rv_buf_free(&list);
}

static void build_put_ref(struct rv_buf *out)
{
    struct rv_buf args = {0};
    struct rv_buf list = {0};

    begin(out, 20, 9, 0);
    rv_item_write(&list, &(struct rv_item){.len = 16,
                                           .refs = {(const uint8_t *)"\0\0\0\0\0\0\0\x09", 8},
                                           .bytes = {(const uint8_t *)"\xc7\x0d\x01\x01"
                                                                      "\0\0\0\0\0\0\0\x09"
                                                                      "\x57\x0e\0\0",
                                                     16}});
    rv_queue_put_args_encode(
        &args, &(struct rv_queue_put_args){.items = {.count = 1, .bytes = rv_buf_slice(&list)}});
    add_call(out, RV_OP_queue_put, 1, UINT32_MAX, &args);
    rv_buf_free(&list);
}

static void build_ref(struct rv_buf *out)
{
    struct rv_buf args = {0};

    begin(out, 21, 10, 0);
    rv_object_ref_args_encode(&args, &(struct rv_object_ref_args){.object = 9});
    add_call(out, RV_OP_object_ref, 0, 5000, &args);
    add_call(out, RV_OP_object_release, 9, 0, &args);
}

static void build_accepted(struct rv_buf *out)
{
    struct rv_buf result = {0};

    begin(out, 2, 2, 0);
    rv_queue_put_result_encode(&result, &(struct rv_queue_put_result){.accepted = 1});
    add_reply(out, 2, &result);
}

static void build_get(struct rv_buf *out)
{
    struct rv_buf args = {0};

    begin(out, 3, 2, 0);
    rv_queue_get_args_encode(&args, &(struct rv_queue_get_args){.max = 1});
    add_call(out, RV_OP_queue_get, 1, 1000, &args);
}

static void build_bye(struct rv_buf *out)
{
    struct rv_buf args = {0};

    begin(out, 4, 3, 0);
    rv_queue_take_args_encode(&args, &(struct rv_queue_take_args){.taken = 1});
    add_call(out, RV_OP_queue_take, 1, 0, &args);
    rv_queue_task_done_args_encode(&args, &(struct rv_queue_task_done_args){.delivery = 1});
    add_call(out, RV_OP_queue_task_done, 1, 0, &args);
    rv_msg_encode(out, &(struct rv_msg){.type = RV_MSG_goodbye});
}

static void build_ended(struct rv_buf *out)
{
    begin(out, 0, 0, 0);
    rv_msg_encode(out, &(struct rv_msg){.type = RV_MSG_refuse,
                                        .refuse = {.text = TEXT("the session has ended")}});
}

static void build_version(struct rv_buf *out)
{
    begin(out, 0, 0, 0);
    rv_msg_encode(
        out,
        &(struct rv_msg){.type = RV_MSG_refuse,
                         .refuse = {.error = 20, .text = TEXT("this manager speaks version 1.0")}});
}

static void build_size(struct rv_buf *out)
{
    begin(out, 0, 3, 0);
    rv_msg_encode(out, &(struct rv_msg){.type = RV_MSG_read,
                                        .read = {.id = 77, .op = RV_OP_queue_size, .object = 1}});
}

static void build_sized(struct rv_buf *out)
{
    struct rv_buf result = {0};

    begin(out, 0, 3, 0);
    rv_queue_size_result_encode(
        &result, &(struct rv_queue_size_result){.size = 2, .unfinished = 3, .getters = 1});
    rv_msg_encode(out, &(struct rv_msg){.type = RV_MSG_answer,
                                        .answer = {.id = 77, .result = rv_buf_slice(&result)}});
    rv_buf_free(&result);
}

static void build_beat(struct rv_buf *out)
{
    begin(out, 0, 3, 0);
    rv_msg_encode(out, &(struct rv_msg){.type = RV_MSG_beat, .beat = {.sent = 6}});
}

static void build_cancel(struct rv_buf *out)
{
    begin(out, 7, 3, 0);
    rv_msg_encode(out, &(struct rv_msg){.type = RV_MSG_cancel, .cancel = {.call = 6, .object = 1}});
}

/* An item of 300000 bytes: two fragments, each with its body frame, and the call that uses them. */
static void build_fragments(struct rv_buf *out)
{
    struct rv_buf args = {0};
    struct rv_buf list = {0};
    struct rv_msg msg = {.type = RV_MSG_fragment,
                         .fragment = {.body = 1, .offset = 0, .total = 300000}};

    begin(out, 8, 3, 2);
    rv_msg_encode(out, &msg);
    msg.fragment.offset = RV_LIMIT_BODY_BYTES;
    rv_msg_encode(out, &msg);
    rv_item_write(&list, &(struct rv_item){.place = RV_FRAGMENTS, .len = 300000, .body = 1});
    rv_queue_put_args_encode(
        &args, &(struct rv_queue_put_args){.items = {.count = 1, .bytes = rv_buf_slice(&list)}});
    add_call(out, RV_OP_queue_put, 1, UINT32_MAX, &args);
    rv_buf_free(&list);
}

/* One item that had been delivered before, and one of 100000 bytes in a body frame. */
static void build_grant(struct rv_buf *out)
{
    struct rv_buf args = {0};
    struct rv_buf list = {0};

    begin(out, 4, 10, 1);
    rv_item_write(&list, &(struct rv_item){.len = 1, .deliveries = 1, .bytes = TEXT("\x2a")});
    rv_item_write(&list, &(struct rv_item){.place = RV_BODY, .len = 100000});
    rv_queue_grant_args_encode(
        &args, &(struct rv_queue_grant_args){.first = 2,
                                             .items = {.count = 2, .bytes = rv_buf_slice(&list)}});
    add_push(out, RV_OP_queue_grant, 1, &args);
    rv_buf_free(&list);
}

static void build_recall(struct rv_buf *out)
{
    struct rv_buf args = {0};

    begin(out, 5, 10, 0);
    rv_queue_recall_args_encode(&args, &(struct rv_queue_recall_args){.recall = 1});
    add_push(out, RV_OP_queue_recall, 1, &args);
}

static void build_return(struct rv_buf *out)
{
    struct rv_buf args = {0};

    begin(out, 11, 5, 0);
    rv_queue_return_args_encode(&args,
                                &(struct rv_queue_return_args){.recall = 1, .taken = 2, .upto = 3});
    add_call(out, RV_OP_queue_return, 1, 0, &args);
}

static void build_acquire(struct rv_buf *out)
{
    struct rv_buf args = {0};

    begin(out, 12, 5, 0);
    rv_lock_acquire_args_encode(
        &args, &(struct rv_lock_acquire_args){.thread = 1, .flags = RV_LOCK_LEASE});
    add_call(out, RV_OP_lock_acquire, 2, 1000, &args);
}

static void build_acquired(struct rv_buf *out)
{
    struct rv_buf result = {0};

    begin(out, 6, 12, 0);
    rv_lock_acquire_result_encode(&result, &(struct rv_lock_acquire_result){
                                               .fence = UINT64_C(0x690cd5a800000007), .leased = 1});
    rv_msg_encode(out, &(struct rv_msg){.type = RV_MSG_reply,
                                        .reply = {.call = 12,
                                                  .error = REEVE_OWNER_DIED,
                                                  .durable = RV_DURABLE_OS,
                                                  .text = TEXT("session 3 died holding it"),
                                                  .result = rv_buf_slice(&result)}});
    rv_buf_free(&result);
}

static void build_lock_recall(struct rv_buf *out)
{
    struct rv_buf args = {0};

    begin(out, 7, 12, 0);
    rv_lock_recall_args_encode(
        &args, &(struct rv_lock_recall_args){.fence = UINT64_C(0x690cd5a800000007)});
    add_push(out, RV_OP_lock_recall, 2, &args);
}

static void build_kept(struct rv_buf *out)
{
    struct rv_buf args = {0};

    begin(out, 13, 7, 0);
    rv_lock_kept_args_encode(
        &args, &(struct rv_lock_kept_args){.thread = 4, .fence = UINT64_C(0x690cd5a800000007)});
    add_call(out, RV_OP_lock_kept, 2, 0, &args);
}

static void build_guarded(struct rv_buf *out)
{
    struct rv_buf args = {0};

    begin(out, 14, 7, 0);
    rv_lock_guard_args_encode(&args,
                              &(struct rv_lock_guard_args){.fence = UINT64_C(0x690cd5a800000007)});
    add_call(out, RV_OP_lock_guard, 2, 0, &args);
    rv_queue_shutdown_args_encode(&args, &(struct rv_queue_shutdown_args){.immediate = 1});
    add_call(out, RV_OP_queue_shutdown, 1, 5000, &args);
}

static void build_let_go(struct rv_buf *out)
{
    struct rv_buf args = {0};

    begin(out, 16, 7, 0);
    rv_lock_let_go_args_encode(
        &args, &(struct rv_lock_let_go_args){.thread = 4, .fence = UINT64_C(0x690cd5a800000007)});
    add_call(out, RV_OP_lock_let_go, 2, 0, &args);
}

static void build_sleep(struct rv_buf *out)
{
    struct rv_buf args = {0};

    begin(out, 17, 7, 0);
    rv_condition_wait_args_encode(&args, &(struct rv_condition_wait_args){.thread = 1, .lock = 2});
    add_call(out, RV_OP_condition_wait, 3, 1000, &args);
}

static void build_awoken(struct rv_buf *out)
{
    struct rv_buf result = {0};

    begin(out, 8, 17, 0);
    rv_condition_wait_result_encode(
        &result,
        &(struct rv_condition_wait_result){.fence = UINT64_C(0x690cd5a800000009), .notified = 1});
    add_reply(out, 17, &result);
}

static void build_barrier(struct rv_buf *out)
{
    struct rv_buf args = {0};

    begin(out, 18, 8, 0);
    rv_barrier_wait_args_encode(&args, &(struct rv_barrier_wait_args){.thread = 1, .action = 1});
    add_call(out, RV_OP_barrier_wait, 4, UINT32_MAX, &args);
}

static void build_last(struct rv_buf *out)
{
    struct rv_buf result = {0};

    begin(out, 9, 18, 0);
    rv_barrier_wait_result_encode(
        &result, &(struct rv_barrier_wait_result){.index = 2, .round = 5, .run = 1});
    add_reply(out, 18, &result);
}

static void build_released(struct rv_buf *out)
{
    struct rv_buf args = {0};

    begin(out, 19, 9, 0);
    rv_barrier_release_args_encode(&args, &(struct rv_barrier_release_args){.round = 5});
    add_call(out, RV_OP_barrier_release, 4, 5000, &args);
}

static void build_dict(struct rv_buf *out)
{
    struct rv_buf args = {0};
    struct rv_buf items = {0};

    begin(out, 23, 10, 0);
    rv_item_write(&items, &(struct rv_item){.len = 1, .bytes = TEXT("\x07")});
    rv_dict_setdefault_args_encode(
        &args, &(struct rv_dict_setdefault_args){.key = TEXT("\xa1"
                                                             "a"),
                                                 .values = {1, rv_buf_slice(&items)}});
    rv_buf_free(&items);
    add_call(out, RV_OP_dict_setdefault, 10, 5000, &args);
}

static void build_default(struct rv_buf *out)
{
    struct rv_buf result = {0};
    struct rv_buf items = {0};

    begin(out, 10, 23, 0);
    rv_item_write(&items, &(struct rv_item){.len = 1, .bytes = TEXT("\x05")});
    rv_dict_setdefault_result_encode(
        &result,
        &(struct rv_dict_setdefault_result){.version = 3, .values = {1, rv_buf_slice(&items)}});
    rv_buf_free(&items);
    add_reply(out, 23, &result);
}

static void build_pledge(struct rv_buf *out)
{
    struct rv_buf args = {0};

    begin(out, 24, 11, 0);
    rv_job_pledge_args_encode(
        &args,
        &(struct rv_job_pledge_args){
            .index = 3, .run = 1, .objects = rv_slice("\x00\x00\x00\x00\x00\x00\x00\x09", 8)});
    add_call(out, RV_OP_job_pledge, 11, 30000, &args);
}

static const struct example examples[] = {
    {"C: hello, the first message of a connection",
     "A new session: nothing is established, nothing was received.", 0, build_hello,
     "52010000000000000000000000000000000000000000005d01000100005e55100100000000000000"
     "000000002a0000000100000000000000000000000000000000000000000000000000000013884057"
     "000000000000000000000000000900001092000000056e6f64653700000006726573697a65"},
    {"M: welcome", "", 0, build_welcome,
     "5201000000000000000000000000000000000000000000400200010000570e000000000000000000"
     "0000000007000000000000000100000000000000000000138800000000000000010000000b726565"
     "766520302e312e30"},
    {"C: open the joinable queue `jobs`, make it if it is not there", "Message 1 of the client.", 0,
     build_open,
     "52010000000000000000000100000000000000000000004110000100000000000000000000138800"
     "00002e000000046a6f62730101000100000000000000000000000000000000000000000000000000"
     "000000000000000000"},
    {"M: reply: the queue is object 1",
     "Message 1 of the manager. The header acknowledges the client's message 1.", RV_OP_object_open,
     build_opened,
     "52010000000000000000000100000000000000010000002820000000000000000100000000010000"
     "000000000012000000000000000101010001000000000100"},
    {"C: put one item, the MessagePack string \"hi\", and wait for room for ever", "", 0, build_put,
     "5201000000000000000000020000000000000001000000221000200000000000000001ffffffff00"
     "00000f000000010000000700000003a26869"},
    {"M: reply: one item accepted", "", RV_OP_queue_put, build_accepted,
     "52010000000000000000000200000000000000020000001a20000000000000000200000000010000"
     "00000000000400000001"},
    {"C: get one item, wait at most 1000 ms, nothing ahead", "", 0, build_get,
     "5201000000000000000000030000000000000002000000231000210000000000000001000003e800"
     "00001000000001000000000000000000000000"},
    {"C: hello on another connection",
     "Here the connection is lost, and with it the answer to the get. The client connects again: "
     "attempt 2 of the same session, which has received the manager's messages up to 2.",
     0, build_hello_again,
     "52010000000000000000000000000000000000020000005d01000100005e55100100000000000000"
     "000000002a0000000201570e00000000000000000000000000070000000000000002000013884057"
     "000000000000000000000000000900001092000000056e6f64653700000006726573697a65"},
    {"M: welcome back, and what was lost",
     "The manager has messages 1 to 3 of the client, so nothing is sent again from there. Its own "
     "message 3 rides in the same frame.",
     RV_OP_queue_get, build_welcome_again,
     "5201000000000000000000030000000000000003000000400200010000570e000000000000000000"
     "0000000007000000000000000100000000000000030000138800000000000000010000000b726565"
     "766520302e312e300000002d20000000000000000300000000030000000000000017000000000000"
     "0001000000010000000700000003a26869"},
    {"C: take it, task_done, goodbye",
     "Three messages in one frame: 4, 5 and 6. None of them has a reply.", 0, build_bye,
     "52010000000000000000000400000000000000030000001f10002200000000000000010000000000"
     "00000c0000000000000001000000000000001b100024000000000000000100000000000000080000"
     "0000000000010000000113"},
    {"M: refuse, error 0: the session has ended", "", 0, build_ended,
     "52010000000000000000000000000000000000000000001e03000000000000001574686520736573"
     "73696f6e2068617320656e646564"},
    {"M: refuse a client of another major version", "", 0, build_version,
     "52010000000000000000000000000000000000000000002803000000140000001f74686973206d61"
     "6e6167657220737065616b732076657273696f6e20312e30"},
    {"C: read the size of object 1", "Not numbered; the header acknowledges on the way.", 0,
     build_size,
     "52010000000000000000000000000000000000030000001705000000000000004d00270000000000"
     "00000100000000"},
    {"M: answer", "", RV_OP_queue_size, build_sized,
     "52010000000000000000000000000000000000030000003206000000000000004d00000000000000"
     "000000001d0000000000000002000000000000000000000003000000010000000000"},
    {"C: beat, the last message sent was 6", "", 0, build_beat,
     "520100000000000000000000000000000000000300000009040000000000000006"},
    {"C: cancel call 6", "The cancel itself is message 7.", 0, build_cancel,
     "52010000000000000000000700000000000000030000001111000000000000000600000000000000"
     "01"},
    {"C: put an item of 300000 bytes",
     "The two fragments are messages 8 and 9, the put that uses them is message 10. Two body "
     "frames follow, of 262144 and of 37856 bytes.",
     0, build_fragments,
     "52010200000000000000000800000000000000030000001112000000000000000100000000000493"
     "e00000001112000000000000000100040000000493e0000000271000200000000000000001ffffff"
     "ff00000014000000010000000c200493e00000000000000001"},
    {"M: grant two items ahead",
     "Delivery numbers 2 and 3. The first item was delivered once before. The second rides in the "
     "body frame that follows, of 100000 bytes.",
     0, build_grant,
     "520101000000000000000004000000000000000a0000003421003000000000000000010000002500"
     "000000000000020000000200000015800000010000000000000000000000012a100186a0"},
    {"M: recall what was granted ahead", "", 0, build_recall,
     "520100000000000000000005000000000000000a0000001721003100000000000000010000000800"
     "00000000000001"},
    {"C: return what was not handed out",
     "Delivery 2 has been handed to the application, delivery 3 goes back.", 0, build_return,
     "52010000000000000000000b00000000000000050000002b10002300000000000000010000000000"
     "000018000000000000000100000000000000020000000000000003"},
    {"C: acquire lock 2 as thread 1, with a lease, wait at most 1000 ms", "", 0, build_acquire,
     "52010000000000000000000c00000000000000050000001c1000400000000000000002000003e800"
     "000009000000000000000101"},
    {"M: reply: it is yours, but its last owner died",
     "The error OWNER_DIED has a result, as OK has.", RV_OP_lock_acquire, build_acquired,
     "520100000000000000000006000000000000000c0000003820000000000000000c00000019020000"
     "001973657373696f6e2033206469656420686f6c64696e6720697400000009690cd5a80000000701"},
    {"M: recall the lease", "Somebody else asks for the lock.", 0, build_lock_recall,
     "520100000000000000000007000000000000000c0000001821005800000000000000020000000969"
     "0cd5a80000000700"},
    {"C: thread 4 has it now",
     "The lease is over; the lock is that thread's until it lets go of it.", 0, build_kept,
     "52010000000000000000000d00000000000000070000002310004400000000000000020000000000"
     "0000100000000000000004690cd5a800000007"},
    {"C: shut queue 1 down, if lock 2 still has this fence",
     "Two messages: the guard is for the call behind it.", 0, build_guarded,
     "52010000000000000000000e00000000000000070000001b10004500000000000000020000000000"
     "000008690cd5a800000007000000141000260000000000000001000013880000000101"},
    {"C: let go of the lock", "There is no reply.", 0, build_let_go,
     "52010000000000000000001000000000000000070000002310004200000000000000020000000000"
     "0000100000000000000004690cd5a800000007"},
    {"C: sleep on condition 3, whose lock is object 2, for at most 1000 ms", "", 0, build_sleep,
     "5201000000000000000000110000000000000007000000231000460000000000000003000003e800"
     "00001000000000000000010000000000000002"},
    {"M: reply: notified, and the lock is held again", "", RV_OP_condition_wait, build_awoken,
     "52010000000000000000000800000000000000110000001f20000000000000001100000000010000"
     "000000000009690cd5a80000000901"},
    {"C: wait at barrier 4, with an action", "", 0, build_barrier,
     "52010000000000000000001200000000000000080000001c10004b0000000000000004ffffffff00"
     "000009000000000000000101"},
    {"M: reply: you came last, run it", "", RV_OP_barrier_wait, build_last,
     "52010000000000000000000900000000000000120000002320000000000000001200000000010000"
     "00000000000d00000002000000000000000501"},
    {"C: the action has run", "The others go on.", 0, build_released,
     "52010000000000000000001300000000000000090000001c10004c00000000000000040000138800"
     "000009000000000000000500"},
    {"C: put an item that refers to object 9", "", 0, build_put_ref,
     "5201000000000000000000140000000000000009000000381000200000000000000001ffffffff00"
     "000025000000010000001d40000010010000000000000009c70d01010000000000000009570e0000"},
    {"C: a handle on object 9, to which an item referred, and let the reference go",
     "Two messages; the second has no reply. The handle keeps the object now.", 0, build_ref,
     "520100000000000000000015000000000000000a0000001b10000b00000000000000000000138800"
     "00000800000000000000090000001310000c00000000000000090000000000000000"},
    {"C: what dict 10 has for the key \"a\", or 7 from now on", "", 0, build_dict,
     "520100000000000000000017000000000000000a000000261000a1000000000000000a0000138800"
     "00001300000002a16100000001000000050000000107"},
    {"M: reply: it has 5", "", RV_OP_dict_setdefault, build_default,
     "52010000000000000000000a00000000000000170000002c20000000000000001700000000010000"
     "00000000001600000000000000000300000001000000050000000105"},
    {"C: of a task: the result of item 3 of its job 11 will refer to object 9",
     "The reply has no result. After it the task may close the object.", 0, build_pledge,
     "520100000000000000000018000000000000000b0000002b10006c000000000000000b0000753000"
     "000018000000000000000300000001000000080000000000000009"},
};

#endif
