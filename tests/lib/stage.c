#include "tests/lib/stage.h"

void stage_say(struct stage *s, const struct rv_msg *msg, const struct rv_slice *bodies,
               size_t bodies_len)
{
    struct rv_buf frame = {0};
    uint8_t head[RV_FRAME_HEADER];
    bool numbered = rv_msg_numbered(msg->type);

    (void)stage_hear(s);
    rv_frame_encode(head, &(struct rv_frame){.bodies = (uint8_t)bodies_len,
                                             .first = numbered ? s->said + 1 : 0,
                                             .ack = s->heard});
    rv_buf_add(&frame, head, sizeof head);
    rv_msg_encode(&frame, msg);
    s->said += numbered;
    rv_link_receive(&s->link, s->now, rv_buf_slice(&frame), bodies, bodies_len);
    rv_buf_free(&frame);
}

void stage_push(struct stage *s, uint16_t op, uint64_t object, struct rv_slice args)
{
    stage_say(
        s,
        &(struct rv_msg){.type = RV_MSG_push, .push = {.op = op, .object = object, .args = args}},
        NULL, 0);
}

void stage_reply(struct stage *s, uint64_t call, reeve_err error, const char *text,
                 struct rv_slice result)
{
    stage_say(s,
              &(struct rv_msg){.type = RV_MSG_reply,
                               .reply = {.call = call,
                                         .error = (uint32_t)error,
                                         .text = rv_slice_str(text),
                                         .result = result}},
              NULL, 0);
}

static void hear_call(struct stage *s, const struct rv_call *call)
{
    if (s->ops_len == rv_countof(s->ops))
        memmove(s->ops, s->ops + 1, --s->ops_len * sizeof s->ops[0]);
    s->ops[s->ops_len++] = call->op;
    rv_buf_clear(&s->args);
    rv_buf_add(&s->args, call->args.data, call->args.len);
}

size_t stage_hear(struct stage *s)
{
    struct rv_link_frame out;
    struct rv_frame frame;
    struct rv_msg msg;
    bool version = false;
    size_t calls = 0;

    while (rv_link_transmit(&s->link, s->now, &out)) {
        struct rv_reader r;

        rv_assert(rv_frame_decode(&frame, out.control, &version));
        for (r = rv_reader(frame.messages); rv_frame_next(&r, &msg);) {
            s->heard += rv_msg_numbered(msg.type);
            if (msg.type != RV_MSG_call)
                continue;
            hear_call(s, &msg.call);
            calls++;
        }
        rv_link_sent(&s->link, s->now, true);
    }
    return calls;
}

void stage_begin(struct stage *s)
{
    struct rv_link_conf conf = {.endpoints = {"tcp://m:7300"},
                                .endpoints_len = 1,
                                .seed = 1,
                                .host_name = "h",
                                .program = "p"};
    struct rv_msg welcome = {.type = RV_MSG_welcome,
                             .welcome = {.major = 1, .store = {{1}}, .term = 1, .resume_ms = 5000}};

    memset(s, 0, sizeof *s);
    s->now = RV_SEC;
    rv_link_init(&s->link, &conf, s->now);
    rv_link_connecting(&s->link, s->now);
    rv_link_connected(&s->link, s->now);
    stage_say(s, &welcome, NULL, 0);
    rv_assert(s->link.state == RV_LINK_READY);
}

void stage_end(struct stage *s)
{
    rv_link_fini(&s->link);
    rv_buf_free(&s->args);
}
