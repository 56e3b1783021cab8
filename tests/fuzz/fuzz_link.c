/* A manager says anything at all, and the library asserts nothing.
 *
 * The input is a script: connect, welcome, frames of half well-formed messages, garbage, loss,
 * time; and between them what an application does: put, get, ask, give up, close. */

#include <stdlib.h>

#include "proxy/core/channel.h"
#include "tests/fuzz/fuzz.h"

enum { STEPS_MAX = 300, CALLS_MAX = 32, FRAME_BYTES_MAX = 200000 };

struct world {
    struct input in;
    rv_ns now;
    struct rv_link link;
    struct rv_channel channel;
    bool open;
    struct rv_request *calls[CALLS_MAX];
    size_t calls_len;
    uint64_t said; /* number of our last numbered message */
};

static const uint8_t body[RV_LIMIT_BODY_BYTES];

/* ---- what a manager may say ---- */

static struct rv_slice some_items(struct world *w, struct rv_buf *buf, uint32_t *count)
{
    uint32_t len = pick(&w->in, 4);

    for (*count = 0; *count < len; ++*count) {
        static const uint32_t sizes[] = {0, 3, 100, 70000, 300000};
        uint32_t size = sizes[pick(&w->in, 5)];
        struct rv_item item = {.len = size,
                               .place = size > RV_LIMIT_BODY_BYTES          ? RV_FRAGMENTS
                                        : size > RV_LIMIT_ITEM_INLINE_BYTES ? RV_BODY
                                                                            : RV_INLINE,
                               .deliveries = pick(&w->in, 2),
                               .body = pick(&w->in, 3),
                               .bytes = rv_slice(body, size)};

        rv_item_write(buf, &item);
    }
    return rv_buf_slice(buf);
}

static uint64_t some_number(struct world *w)
{
    uint64_t x = pick(&w->in, 16);

    return x == 15 ? take_number(&w->in, 8) : x;
}

static void some_message(struct world *w, struct rv_buf *out, bool *numbered)
{
    static const enum rv_msg_type types[] = {RV_MSG_welcome,  RV_MSG_refuse, RV_MSG_beat,
                                             RV_MSG_answer,   RV_MSG_reply,  RV_MSG_push,
                                             RV_MSG_fragment, RV_MSG_hello};
    struct rv_msg msg = {.type = types[pick(&w->in, 8)]};
    struct rv_buf items = {0};
    struct rv_buf args = {0};
    uint32_t count = 0;

    *numbered = rv_msg_numbered(msg.type);
    switch (msg.type) {
    case RV_MSG_welcome:
        msg.welcome = (struct rv_welcome){.major = 1,
                                          .store = {{(uint8_t)(1 + pick(&w->in, 2))}},
                                          .term = pick(&w->in, 3),
                                          .received = some_number(w),
                                          .resume_ms = 5000};
        break;
    case RV_MSG_refuse:
        msg.refuse.error = (uint32_t)some_number(w);
        break;
    case RV_MSG_beat:
        msg.beat.sent = some_number(w);
        break;
    case RV_MSG_fragment:
        msg.fragment =
            (struct rv_fragment){pick(&w->in, 3), pick(&w->in, 2) * RV_LIMIT_BODY_BYTES, 300000, 0};
        break;
    case RV_MSG_push: {
        struct rv_slice list = some_items(w, &items, &count);

        if (pick(&w->in, 2)) {
            msg.push.op = RV_OP_queue_grant;
            rv_queue_grant_args_encode(
                &args, &(struct rv_queue_grant_args){some_number(w), {count, list}, 0});
        } else {
            msg.push.op = RV_OP_queue_recall;
            rv_queue_recall_args_encode(&args, &(struct rv_queue_recall_args){some_number(w), 0});
        }
        msg.push.object = 7;
        msg.push.args = rv_buf_slice(&args);
        break;
    }
    case RV_MSG_reply:
    case RV_MSG_answer: {
        struct rv_slice list = some_items(w, &items, &count);

        rv_queue_get_result_encode(&args,
                                   &(struct rv_queue_get_result){some_number(w), {count, list}, 0});
        msg.reply =
            (struct rv_reply){some_number(w),    pick(&w->in, 26),    (uint8_t)pick(&w->in, 5),
                              rv_slice(NULL, 0), rv_buf_slice(&args), 0};
        if (msg.type == RV_MSG_answer)
            msg.answer =
                (struct rv_answer){some_number(w), 0, rv_slice(NULL, 0), rv_buf_slice(&args), 0};
        break;
    }
    default:
        break;
    }
    rv_msg_encode(out, &msg);
    rv_buf_free(&items);
    rv_buf_free(&args);
}

static void say(struct world *w)
{
    struct rv_slice bodies[RV_LIMIT_BODIES];
    static const size_t sizes[] = {0, 70000, RV_LIMIT_BODY_BYTES, 300000 - RV_LIMIT_BODY_BYTES};
    struct rv_buf frame = {0};
    struct rv_buf messages = {0};
    size_t bodies_len = pick(&w->in, 4);
    uint32_t count = 1 + pick(&w->in, 4);
    uint64_t numbered = 0;
    bool truth = pick(&w->in, 8) != 0;

    for (size_t i = 0; i < bodies_len; i++)
        bodies[i] = rv_slice(body, sizes[pick(&w->in, 4)]);
    for (uint32_t i = 0; i < count && messages.len < FRAME_BYTES_MAX; i++) {
        bool counts = false;

        some_message(w, &messages, &counts);
        numbered += counts;
    }
    (void)rv_buf_room(&frame, RV_FRAME_HEADER);
    rv_frame_encode(frame.data,
                    &(struct rv_frame){.bodies = (uint8_t)(truth ? bodies_len : pick(&w->in, 20)),
                                       .first = numbered == 0 ? 0
                                                : truth       ? w->link.received + 1
                                                              : some_number(w),
                                       .ack = truth ? w->link.out.first - 1 : some_number(w)});
    frame.len = RV_FRAME_HEADER;
    rv_buf_add(&frame, messages.data, messages.len);
    rv_link_receive(&w->link, w->now, rv_buf_slice(&frame), bodies, bodies_len);
    rv_buf_free(&frame);
    rv_buf_free(&messages);
}

static void garble(struct world *w)
{
    struct rv_slice bytes = take_bytes(&w->in, pick(&w->in, 100));

    rv_link_receive(&w->link, w->now, bytes, NULL, 0);
}

/* ---- what the shell and the application do ---- */

static void shell(struct world *w)
{
    struct rv_link_frame frame;

    for (int i = 0; i < 4; i++) {
        switch (rv_link_want(&w->link, w->now)) {
        case RV_WANT_CONNECT:
            rv_link_connecting(&w->link, w->now);
            break;
        case RV_WANT_CLOSE:
            rv_link_closed(&w->link);
            break;
        case RV_WANT_NOTHING:
            break;
        }
    }
    rv_link_tick(&w->link, w->now);
    for (int i = 0; i < 64 && rv_link_transmit(&w->link, w->now, &frame); i++)
        rv_link_sent(&w->link, w->now, pick(&w->in, 8) != 0);
}

static void keep_call(struct world *w, struct rv_request *call)
{
    if (call != NULL && w->calls_len < CALLS_MAX)
        w->calls[w->calls_len++] = call;
    else if (call != NULL)
        rv_link_abandon(&w->link, call);
}

static void act(struct world *w)
{
    static const size_t sizes[] = {0, 10, 5000, 66000, 300000};
    struct rv_slice bytes = rv_slice(body, sizes[pick(&w->in, 4)]);
    struct rv_handed item;
    size_t used = 0;
    size_t i = 0;

    switch (pick(&w->in, 8)) {
    case 0:
        (void)rv_channel_put(&w->channel, w->now, bytes, pick(&w->in, 2));
        break;
    case 1:
        keep_call(w, rv_channel_put_call(&w->channel, &bytes, NULL, 1, 0, 100, &used));
        break;
    case 2:
        keep_call(w, rv_channel_get_call(&w->channel, w->now, 1 + pick(&w->in, 3), 100));
        break;
    case 3:
        if (rv_channel_pop(&w->channel, w->now, &item)) {
            (void)rv_channel_task_done(&w->channel, item.delivery);
            rv_handed_free(&item);
        }
        break;
    case 4:
        keep_call(w, rv_link_read(&w->link, RV_OP_queue_size, 7, rv_slice(NULL, 0)));
        break;
    case 5:
        if (w->calls_len == 0)
            break;
        i = pick(&w->in, (uint32_t)w->calls_len);
        rv_link_abandon(&w->link, w->calls[i]);
        w->calls[i] = w->calls[--w->calls_len];
        break;
    case 6:
        w->now += (rv_ns)take_number(&w->in, 2) * RV_MS;
        break;
    case 7:
        if (pick(&w->in, 16) == 0)
            rv_link_goodbye(&w->link);
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct world w = {.in = {.data = data, .left = len}, .now = RV_SEC};
    struct rv_link_conf conf = {.session = {{1}},
                                .host_name = "h",
                                .program = "p",
                                .endpoints = {"tcp://127.0.0.1:1"},
                                .endpoints_len = 1,
                                .seed = 1};

    rv_link_init(&w.link, &conf, w.now);
    if (rv_channel_init(&w.channel, &w.link, 7, 0, true, true) != REEVE_OK)
        return 0;
    for (int i = 0; i < STEPS_MAX && w.in.left > 0; i++) {
        switch (pick(&w.in, 8)) {
        case 0:
            rv_link_connected(&w.link, w.now);
            break;
        case 1:
            rv_link_ended(&w.link, w.now, (enum rv_link_end)pick(&w.in, 3));
            break;
        case 2:
            garble(&w);
            break;
        case 3:
        case 4:
            say(&w);
            break;
        default:
            act(&w);
        }
        shell(&w);
    }
    for (size_t i = 0; i < w.calls_len; i++)
        rv_request_free(&w.link, w.calls[i]);
    rv_channel_fini(&w.channel);
    rv_link_fini(&w.link);
    return 0;
}
