/* Frames of strangers: what is not well-formed, out of step or out of place is refused and counted, and gets no
 * further. The gate and the mgr behind it are the real ones; a command is committed at once, or when the test says. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "server/core/gate.h"
#include "server/core/log.h"
#include "server/core/record.h"

int test_gate(void);

enum { KEY = 1, OTHER_KEY = 2, HELD_MAX = 32 };

static const struct rv_id store = {{'s'}};

struct held {
    struct command cmd;
    struct rv_buf bytes;
};

struct rig {
    rv_ns now;
    struct mgr *mgr;
    struct gate *gate;
    uint64_t peers; /* that have come so far */
    bool holds;     /* hellos wait for commit() */
    struct held held[HELD_MAX];
    size_t held_len;
    /* What the last hear() brought to the peer that it was for. */
    bool welcomed;
    struct rv_welcome welcome;
    reeve_err refused;
    char why[128];
    uint64_t replies, answers, limits; /* limits: ELIMIT among the answers */
    reeve_err error;                   /* of the last reply or answer */
    struct rv_buf result;              /* and what it brought */
};

/* ---- the manager ---- */

static void step(struct rig *r, const struct command *cmd)
{
    struct outbox out = {0};

    mgr_step(r->mgr, cmd, &out);
    gate_stepped(r->gate, r->now, cmd, &out);
    outbox_free(&out);
}

static void commit(struct rig *r)
{
    for (size_t i = 0; i < r->held_len; i++) {
        r->held[i].cmd.bytes = rv_buf_slice(&r->held[i].bytes);
        step(r, &r->held[i].cmd);
        rv_buf_free(&r->held[i].bytes);
    }
    r->held_len = 0;
}

static void add(struct rig *r, const struct command *cmd)
{
    struct held *h = NULL;

    if (!r->holds) {
        step(r, cmd);
        return;
    }
    assert_true(r->held_len < HELD_MAX && cmd->bodies_len == 0);
    h = &r->held[r->held_len++];
    h->cmd = *cmd;
    rv_buf_add(&h->bytes, cmd->bytes.data, cmd->bytes.len);
}

static void admit_as(struct rig *r, uint32_t id, const char *role, const char *rights)
{
    struct rv_buf row = {0};

    rv_principal_row_encode(&row, &(struct rv_principal_row){.id = id,
                                                             .name = rv_slice_str("k"),
                                                             .role = rv_slice_str(role),
                                                             .rights = rv_slice_str(rights)});
    step(r,
         &(struct command){
             .type = COMMAND_PRINCIPAL, .logged = true, .at = r->now, .bytes = rv_buf_slice(&row)});
    rv_buf_free(&row);
}

static void admit(struct rig *r, uint32_t id, const char *rights)
{
    admit_as(r, id, "client", rights);
}

static void begin(struct rig *r)
{
    struct mgr_conf conf = {
        .store = store, .term = 1, .server = "test", .durable = "none", .started_at = RV_SEC};

    memset(r, 0, sizeof *r);
    r->now = RV_SEC;
    r->mgr = mgr_new(&conf);
    r->gate = gate_new(r->mgr, NULL);
    admit(r, KEY, "");
    admit(r, OTHER_KEY, "");
}

static void end(struct rig *r)
{
    mgr_check(r->mgr);
    commit(r);
    gate_free(&r->gate);
    gate_free(&r->gate); /* twice is fine */
    mgr_free(&r->mgr);
    rv_buf_free(&r->result);
}

/* ---- a client ---- */

static void receive_as(struct rig *r, uint64_t peer, uint32_t key, struct rv_slice control,
                       const struct rv_slice *bodies, size_t bodies_len)
{
    struct command cmd;

    if (gate_receive(r->gate, r->now,
                     &(struct gate_message){.peer = peer,
                                            .principal = key,
                                            .control = control,
                                            .bodies = bodies,
                                            .bodies_len = bodies_len},
                     &cmd))
        add(r, &cmd);
}

static void receive(struct rig *r, uint64_t peer, struct rv_slice control)
{
    receive_as(r, peer, KEY, control, NULL, 0);
}

/* A frame; the caller frees it. */
static struct rv_buf frame_of(uint8_t bodies, uint64_t first, uint64_t ack,
                              const struct rv_msg *msgs, size_t len)
{
    struct rv_buf frame = {0};
    uint8_t head[RV_FRAME_HEADER];

    rv_frame_encode(head, &(struct rv_frame){.bodies = bodies, .first = first, .ack = ack});
    rv_buf_add(&frame, head, sizeof head);
    for (size_t i = 0; i < len; i++)
        rv_msg_encode(&frame, &msgs[i]);
    return frame;
}

static void send(struct rig *r, uint64_t peer, uint64_t first, uint64_t ack,
                 const struct rv_msg *msgs, size_t len)
{
    struct rv_buf frame = frame_of(0, first, ack, msgs, len);

    receive(r, peer, rv_buf_slice(&frame));
    rv_buf_free(&frame);
}

static void note(struct rig *r, const struct rv_msg *msg)
{
    switch (msg->type) {
    case RV_MSG_welcome:
        r->welcomed = true;
        r->welcome = msg->welcome;
        break;
    case RV_MSG_refuse:
        r->refused = (reeve_err)msg->refuse.error;
        snprintf(r->why, sizeof r->why, "%.*s", (int)msg->refuse.text.len,
                 (const char *)msg->refuse.text.data);
        break;
    case RV_MSG_reply:
        r->replies++;
        r->error = (reeve_err)msg->reply.error;
        rv_buf_clear(&r->result);
        rv_buf_add(&r->result, msg->reply.result.data, msg->reply.result.len);
        break;
    case RV_MSG_answer:
        r->answers++;
        r->limits += msg->answer.error == REEVE_ELIMIT;
        r->error = (reeve_err)msg->answer.error;
        rv_buf_clear(&r->result);
        rv_buf_add(&r->result, msg->answer.result.data, msg->answer.result.len);
        break;
    default:
        break;
    }
}

/* All that the manager has for this peer; what it has for others goes by. */
static void hear(struct rig *r, uint64_t peer)
{
    struct gate_frame out;
    struct rv_frame frame;
    struct rv_msg msg;
    bool version = false;

    r->welcomed = false;
    r->refused = REEVE_OK;
    r->why[0] = '\0';
    r->replies = r->answers = r->limits = 0;
    while (gate_transmit(r->gate, r->now, &out)) {
        assert_true(rv_frame_decode(&frame, out.control, &version));
        for (struct rv_reader in = rv_reader(frame.messages);
             out.peer == peer && rv_frame_next(&in, &msg);)
            note(r, &msg);
        gate_sent(r->gate, r->now, GATE_SENT);
    }
}

static struct rv_hello hello_of(uint8_t session)
{
    return (struct rv_hello){.major = RV_WIRE_MAJOR,
                             .session = {{session}},
                             .attempt = 1,
                             .store = store,
                             .host_name = rv_slice_str("h"),
                             .program = rv_slice_str("p")};
}

static uint64_t greet_as(struct rig *r, uint32_t key, const struct rv_hello *hello)
{
    struct rv_msg msg = {.type = RV_MSG_hello, .hello = *hello};
    struct rv_buf frame = frame_of(0, 0, 0, &msg, 1);
    uint64_t peer = ++r->peers;

    receive_as(r, peer, key, rv_buf_slice(&frame), NULL, 0);
    rv_buf_free(&frame);
    return peer;
}

/* A new connection with a new session. */
static uint64_t enter(struct rig *r)
{
    struct rv_hello hello = hello_of((uint8_t)(r->peers + 1));
    uint64_t peer = greet_as(r, KEY, &hello);

    hear(r, peer);
    assert_true(r->welcomed);
    return peer;
}

static void is_refused(struct rig *r, uint64_t peer, reeve_err error)
{
    size_t objects = mgr_objects(r->mgr);

    hear(r, peer);
    assert_int_equal(r->refused, error);
    assert_false(r->welcomed);
    assert_int_equal(r->replies + r->answers, 0);
    assert_int_equal(gate_session(r->gate, peer), 0);
    assert_int_equal(mgr_objects(r->mgr), objects);
}

static const struct rv_msg ping = {.type = RV_MSG_read, .read = {.id = 1, .op = RV_OP_ping}};

/* A call that is answered and changes nothing. */
static struct rv_msg call_of(uint16_t op, struct rv_slice args)
{
    return (struct rv_msg){.type = RV_MSG_call, .call = {.op = op, .object = 99, .args = args}};
}

/* ---- frames ---- */

static void malformed_frame_ends_its_connection(void **state)
{
    static const uint8_t head[RV_FRAME_HEADER] = {RV_FRAME_MAGIC, RV_WIRE_MAJOR};
    struct rig r;

    (void)state;
    begin(&r);
    for (int how = 0; how < 8; how++) {
        uint64_t peer = enter(&r);
        uint64_t before = gate_refused(r.gate);
        uint8_t bytes[RV_FRAME_HEADER + 8] = {0};
        size_t len = sizeof head;
        reeve_err error = REEVE_EPROTO;

        memcpy(bytes, head, sizeof head);
        switch (how) {
        case 0:
            len = 0;
            break;
        case 1:
            len = sizeof head - 1;
            break;
        case 2:
            bytes[0]++;
            break;
        case 3:
            bytes[1]++;
            error = REEVE_EVERSION;
            break;
        case 4:
            bytes[2] = RV_LIMIT_BODIES + 1;
            break;
        case 5:
            bytes[3] = 1;
            break;
        case 6:
            len += 3; /* a message without its length */
            break;
        default:
            bytes[sizeof head + 3] = 9; /* a message that is longer than the frame */
            len += 8;
        }
        receive(&r, peer, rv_slice(bytes, len));
        assert_int_equal(gate_refused(r.gate), before + 1);
        is_refused(&r, peer, error);
        send(&r, peer, 0, 0, &ping, 1); /* nobody listens any more */
        hear(&r, peer);
        assert_int_equal(r.answers, 0);
    }
    end(&r);
}

static void message_that_no_client_says_ends_its_connection(void **state)
{
    static const struct rv_msg odd[] = {
        {.type = RV_MSG_welcome},
        {.type = RV_MSG_refuse},
        {.type = RV_MSG_answer},
        {.type = RV_MSG_read, .read = {.op = 9999}},
        {.type = RV_MSG_read, .read = {.op = RV_OP_queue_put}},
        {.type = RV_MSG_read, .read = {.op = RV_OP_object_list}}, /* its arguments are missing */
        {.type = RV_MSG_read, .read = {.op = RV_OP_ping, .args = {(const uint8_t *)"x", 1}}},
        {.type = RV_MSG_reply},
        {.type = RV_MSG_push},
        {.type = RV_MSG_call, .call = {.op = 0}},
        {.type = RV_MSG_call, .call = {.op = 9999}},
        {.type = RV_MSG_call, .call = {.op = RV_OP_ping}},
        {.type = RV_MSG_call, .call = {.op = RV_OP_queue_grant}},
        {.type = RV_MSG_call, .call = {.op = RV_OP_object_open}},
        {.type = RV_MSG_fragment}, /* and no body frame */
        {.type = RV_MSG_hello},
    };
    struct rig r;

    (void)state;
    begin(&r);
    for (size_t i = 0; i < rv_countof(odd); i++) {
        uint64_t peer = enter(&r);
        uint64_t before = gate_refused(r.gate);
        struct rv_msg both[] = {odd[i], ping};

        /* With another message, which a hello must not have. */
        send(&r, peer, rv_msg_numbered(odd[i].type) ? 1 : 0, 0, both, 2);
        assert_int_equal(gate_refused(r.gate), before + 1);
        is_refused(&r, peer, REEVE_EPROTO);
    }
    end(&r);
}

static void frame_says_what_is_in_it(void **state)
{
    static const uint8_t bytes[8];
    const struct rv_slice body = rv_slice(bytes, sizeof bytes);
    const struct rv_msg set = call_of(RV_OP_event_set, rv_slice(NULL, 0));
    const struct {
        uint8_t said; /* body frames in the header */
        size_t bodies;
        uint64_t first, ack;
        const struct rv_msg *msg;
        reeve_err error;
    } odd[] = {
        {1, 0, 0, 0, &ping, REEVE_EPROTO}, {0, 1, 0, 0, &ping, REEVE_EPROTO},
        {1, 1, 0, 0, &ping, REEVE_EPROTO}, /* nothing uses it */
        {0, 0, 0, 0, &set, REEVE_EPROTO},  {0, 0, 1, 0, &ping, REEVE_EPROTO},
        {0, 0, 2, 0, &set, REEVE_ELOST}, /* one is missing */
        {0, 0, 1, 9, &set, REEVE_ELOST}, /* it was never sent */
    };
    struct rig r;

    (void)state;
    begin(&r);
    for (size_t i = 0; i < rv_countof(odd); i++) {
        uint64_t peer = enter(&r);
        struct rv_buf frame = frame_of(odd[i].said, odd[i].first, odd[i].ack, odd[i].msg, 1);
        uint64_t before = gate_refused(r.gate);

        receive_as(&r, peer, KEY, rv_buf_slice(&frame), &body, odd[i].bodies);
        rv_buf_free(&frame);
        assert_int_equal(gate_refused(r.gate), before + 1);
        is_refused(&r, peer, odd[i].error);
    }
    end(&r);
}

static void beat_tells_of_what_was_lost(void **state)
{
    struct rv_msg beat = {.type = RV_MSG_beat, .beat = {.sent = 1}};
    struct rig r;
    uint64_t peer = 0;

    (void)state;
    begin(&r);
    peer = enter(&r);
    send(&r, peer, 0, 0, &beat, 1);
    is_refused(&r, peer, REEVE_ELOST);
    end(&r);
}

/* ---- hellos ---- */

static void hello_that_cannot_be_is_refused(void **state)
{
    static char longest[RV_LIMIT_NAME_BYTES + 2];
    struct rig r;
    struct rv_hello hello;
    uint64_t peer = 0;

    (void)state;
    memset(longest, 'x', sizeof longest - 1);
    begin(&r);
    peer = enter(&r); /* session 1, attempt 1 */
#define ODD(error, key, session_, ...)                                                             \
    do {                                                                                           \
        uint64_t odd_ = 0;                                                                         \
        size_t sessions_ = mgr_sessions(r.mgr);                                                    \
                                                                                                   \
        hello = hello_of(session_);                                                                \
        __VA_ARGS__;                                                                               \
        odd_ = greet_as(&r, key, &hello);                                                          \
        is_refused(&r, odd_, error);                                                               \
        assert_int_equal(mgr_sessions(r.mgr), sessions_);                                          \
    } while (0)
    ODD(REEVE_EVERSION, KEY, 50, hello.major++);
    ODD(REEVE_EPROTO, KEY, 0, (void)0);
    ODD(REEVE_EPROTO, KEY, 50, hello.host_name = rv_slice_str(longest));
    ODD(REEVE_EPROTO, KEY, 50, hello.program = rv_slice_str(longest));
    ODD(REEVE_EPROTO, KEY, 50, hello.received = 1);
    ODD(REEVE_EEXPIRED, KEY, 50, hello.established = 1);
    ODD(REEVE_ESTALE, KEY, 1, (hello.established = 1, hello.store.bytes[0]++));
    ODD(REEVE_EEXPIRED, KEY, 1, (hello.established = 1, hello.attempt = 2, hello.received = 7));
    ODD(REEVE_EPROTO, KEY, 1, (hello.attempt = 2, hello.received = 7));
    ODD(REEVE_EPROTO, KEY, 1, (void)0); /* the attempt is no new one */
    ODD(REEVE_EPERM, OTHER_KEY, 1, hello.attempt = 2);
    ODD(REEVE_EAUTH, 77, 50, (void)0);
#undef ODD
    send(&r, peer, 0, 0, &ping, 1); /* and nobody took the session away */
    hear(&r, peer);
    assert_int_equal(r.answers, 1);
    end(&r);
}

static void connection_has_one_hello(void **state)
{
    struct rv_hello hello = hello_of(1);
    struct rv_msg msg = {.type = RV_MSG_hello, .hello = hello};
    struct rig r;
    uint64_t peer = 0;

    (void)state;
    begin(&r);
    peer = enter(&r);
    send(&r, peer, 0, 0, &msg, 1); /* the same once more */
    hear(&r, peer);
    assert_false(r.welcomed);
    assert_int_equal(r.refused, REEVE_OK);
    msg.hello.attempt = 2;
    send(&r, peer, 0, 0, &msg, 1);
    is_refused(&r, peer, REEVE_EPROTO);
    send(&r, ++r.peers, 0, 0, &ping, 1); /* and it is the first thing said */
    is_refused(&r, r.peers, REEVE_EPROTO);
    end(&r);
}

static void session_is_kept_for_a_day_at_most(void **state)
{
    struct rv_hello hello = hello_of(1);
    struct rig r;
    uint64_t peer = 0;

    (void)state;
    begin(&r);
    hello.resume_ms = UINT32_MAX;
    peer = greet_as(&r, KEY, &hello);
    hear(&r, peer);
    assert_int_equal(r.welcome.resume_ms, RV_LIMIT_RESUME_MAX_MS);
    end(&r);
}

/* They went while their hellos were being committed: the sessions have no connection then. */
static void session_of_a_connection_that_went_is_let_go(void **state)
{
    enum { MANY = 20 };
    struct rig r;
    struct command cmd;
    size_t detached = 0;

    (void)state;
    begin(&r);
    r.holds = true;
    for (uint8_t i = 1; i <= MANY; i++) {
        struct rv_hello hello = hello_of(i);
        uint64_t peer = greet_as(&r, KEY, &hello);

        assert_false(gate_lost(r.gate, r.now, peer, false, &cmd));
    }
    commit(&r);
    r.holds = false;
    assert_int_equal(mgr_sessions(r.mgr), MANY);
    while (gate_expire(r.gate, r.now, &cmd)) {
        assert_int_equal(cmd.type, COMMAND_DETACH);
        step(&r, &cmd);
        detached++;
    }
    assert_int_equal(detached, MANY);
    r.now = rv_after_ms(r.now, RV_LIMIT_RESUME_MS);
    step(&r, &(struct command){.type = COMMAND_EXPIRE, .logged = true, .at = r.now});
    assert_int_equal(mgr_sessions(r.mgr), 0);
    end(&r);
}

static void strangers_are_cut_together(void **state)
{
    enum { MANY = 20 };
    struct rig r;
    struct command cmd;
    uint64_t peer = 0;
    size_t cuts = 0;

    (void)state;
    begin(&r);
    for (int i = 0; i < MANY; i++)
        receive(&r, ++r.peers, rv_slice("?", 1));
    hear(&r, 0);
    r.now += 2 * RV_SEC;
    assert_false(gate_expire(r.gate, r.now, &cmd));
    while (gate_cut(r.gate, &peer))
        cuts++;
    assert_int_equal(cuts, MANY);
    end(&r);
}

/* Its silence ends the session that it had, but not when a newer connection has that by now. */
static void old_connection_does_not_end_its_session(void **state)
{
    struct rig r;
    struct rv_hello hello = hello_of(1);
    struct command old = {.type = COMMAND_END, .logged = true, .reason = REEVE_ELOST, .attempt = 1};
    uint64_t peer = 0;

    (void)state;
    begin(&r);
    peer = enter(&r);
    old.session = gate_session(r.gate, peer);
    hello.attempt = 2;
    hello.established = 1;
    peer = greet_as(&r, KEY, &hello);
    hear(&r, peer);
    assert_true(r.welcomed);
    step(&r, &old);
    assert_int_equal(mgr_sessions(r.mgr), 1);
    old.attempt = 2;
    step(&r, &old);
    assert_int_equal(mgr_sessions(r.mgr), 0);
    end(&r);
}

/* ---- as much as one may leave lying ---- */

/* Objects with the longest names, so that a listing is large. */
static void make_objects(struct rig *r, uint64_t peer, uint64_t *number, int count)
{
    for (int i = 0; i < count; i++) {
        char name[RV_LIMIT_NAME_BYTES + 1];
        struct rv_buf args = {0};
        struct rv_msg msg;

        snprintf(name, sizeof name, "%0*d", RV_LIMIT_NAME_BYTES, i);
        rv_object_open_args_encode(&args, &(struct rv_object_open_args){.name = rv_slice_str(name),
                                                                        .create = 1,
                                                                        .kind = RV_KIND_EVENT});
        msg = call_of(RV_OP_object_open, rv_buf_slice(&args));
        send(r, peer, *number + 1, *number, &msg, 1);
        ++*number;
        rv_buf_free(&args);
        hear(r, peer);
        assert_int_equal(r->replies, 1);
    }
}

static void frame_has_so_many_questions(void **state)
{
    static struct rv_msg many[RV_LIMIT_READS + 1];
    struct rig r;
    uint64_t peer = 0;

    (void)state;
    begin(&r);
    for (size_t i = 0; i < rv_countof(many); i++)
        many[i] = ping;
    peer = enter(&r);
    send(&r, peer, 0, 0, many, RV_LIMIT_READS);
    hear(&r, peer);
    assert_int_equal(r.answers, RV_LIMIT_READS);
    send(&r, peer, 0, 0, many, RV_LIMIT_READS + 1);
    is_refused(&r, peer, REEVE_EPROTO);
    end(&r);
}

static void answers_take_so_much_room(void **state)
{
    static struct rv_msg many[RV_LIMIT_READS];
    struct rig r;
    struct rv_buf args = {0};
    uint64_t peer = 0;
    uint64_t number = 0;
    uint64_t before = 0;

    (void)state;
    begin(&r);
    peer = enter(&r);
    make_objects(&r, peer, &number, 500);
    rv_object_list_args_encode(&args, &(struct rv_object_list_args){0});
    for (size_t i = 0; i < rv_countof(many); i++)
        many[i] = (struct rv_msg){
            .type = RV_MSG_read,
            .read = {.id = i + 1, .op = RV_OP_object_list, .args = rv_buf_slice(&args)}};
    send(&r, peer, 0, number, many, rv_countof(many));
    before = gate_refused(r.gate);
    send(&r, peer, 0, number, &ping, 1); /* nothing of that was taken */
    assert_int_equal(gate_refused(r.gate), before + 1);
    hear(&r, peer);
    assert_int_equal(r.answers, rv_countof(many));
    assert_true(r.limits >
                rv_countof(many) / 2); /* what is above the limit is answered in a word */
    assert_int_equal(r.refused, REEVE_ELOST);
    rv_buf_free(&args);
    end(&r);
}

/* Calls are answered, and the answers are not acknowledged: they stop leaving, and then it is too much. */
static void answers_wait_for_their_acknowledgement_so_long(void **state)
{
    enum { FRAME = 4096 };
    static struct rv_msg calls[FRAME];
    struct rig r;
    uint64_t peer = 0;
    uint64_t heard = 0;
    uint64_t sent = 0;

    (void)state;
    begin(&r);
    for (size_t i = 0; i < FRAME; i++)
        calls[i] = call_of(RV_OP_event_set, rv_slice(NULL, 0));
    peer = enter(&r);
    for (; sent < RV_LIMIT_UNACKED; sent += FRAME) {
        send(&r, peer, sent + 1, 0, calls, FRAME);
        hear(&r, peer);
        assert_int_equal(r.refused, REEVE_OK);
        heard += r.replies;
    }
    assert_int_equal(heard, RV_LIMIT_WINDOW_MESSAGES);
    send(&r, peer, sent + 1, 0, calls, FRAME);
    is_refused(&r, peer, REEVE_ELOST);
    end(&r);
}

/* What was heard on the connection before is not sent again, when that is said a little late. */
static void late_acknowledgement_spares_what_it_names(void **state)
{
    struct rig r;
    struct rv_hello hello = hello_of(1);
    struct rv_msg calls[3];
    uint64_t peer = 0;

    (void)state;
    begin(&r);
    for (size_t i = 0; i < rv_countof(calls); i++)
        calls[i] = call_of(RV_OP_event_set, rv_slice(NULL, 0));
    peer = enter(&r);
    send(&r, peer, 1, 0, calls, 3);
    hear(&r, peer);
    assert_int_equal(r.replies, 3);
    hello.attempt = 2;
    hello.established = 1;
    peer = greet_as(&r, KEY, &hello);
    send(&r, peer, 0, 2, &ping, 1);
    hear(&r, peer);
    assert_true(r.welcomed);
    assert_int_equal(r.replies, 1);
    end(&r);
}

static void frame_of_a_connection_that_goes_is_forgotten(void **state)
{
    struct rig r;
    struct command cmd;
    struct gate_frame out;
    uint64_t peer = 0;

    (void)state;
    begin(&r);
    peer = enter(&r);
    send(&r, peer, 0, 0, &ping, 1);
    assert_true(gate_transmit(r.gate, r.now, &out));
    assert_true(gate_lost(r.gate, r.now, peer, true, &cmd));
    step(&r, &cmd);
    gate_sent(r.gate, r.now, GATE_SENT); /* it did not know yet */
    assert_int_equal(mgr_sessions(r.mgr), 0);
    assert_false(gate_lost(r.gate, r.now, peer, true, &cmd));
    end(&r);
}

/* With the disk full, a frame is stripped of what a call would add, and of no more: bodies that another call
 * brings stay with that. */
static void full_disk_strips_what_grows_alone(void **state)
{
    static const uint8_t bytes[70000];
    const struct rv_slice bodies[2] = {{bytes, sizeof bytes}, {bytes, sizeof bytes}};
    struct rv_buf items = {0};
    struct rv_buf done = {0};
    struct rv_buf put = {0};
    struct rv_msg msgs[2];
    struct rv_buf frame = {0};
    struct rig r;
    uint64_t peer = 0;

    (void)state;
    begin(&r);
    peer = enter(&r);
    rv_item_write(&items, &(struct rv_item){.place = RV_BODY, .len = sizeof bytes});
    rv_agent_done_args_encode(&done,
                              &(struct rv_agent_done_args){.items = {1, rv_buf_slice(&items)}});
    rv_queue_put_args_encode(&put, &(struct rv_queue_put_args){.items = {1, rv_buf_slice(&items)}});
    msgs[0] = call_of(RV_OP_agent_done, rv_buf_slice(&done));
    msgs[1] = call_of(RV_OP_queue_put, rv_buf_slice(&put));
    frame = frame_of(2, 1, 0, msgs, 2);
    gate_set_full(r.gate, true);
    step(&r, &(struct command){.type = COMMAND_SPACE, .logged = true, .at = r.now, .first = 1});
    receive_as(&r, peer, KEY, rv_buf_slice(&frame), bodies, 2);
    hear(&r, peer);
    assert_int_equal(r.replies, 1);
    assert_int_equal(r.refused, REEVE_OK);
    rv_buf_free(&items);
    rv_buf_free(&done);
    rv_buf_free(&put);
    rv_buf_free(&frame);
    end(&r);
}

/* ---- commands ---- */

static void each_command_has_a_name(void **state)
{
    (void)state;
    for (enum command_type a = COMMAND_OPEN; a <= COMMAND_SPACE; a++) {
        assert_string_not_equal(command_name(a), "?");
        for (enum command_type b = COMMAND_OPEN; b < a; b++)
            assert_string_not_equal(command_name(a), command_name(b));
    }
    assert_string_equal(command_name((enum command_type)99), "?");
}

/* ---- keys ---- */

static void key_is_known_by_all_that_is_said_of_it(void **state)
{
    struct rig r;
    const struct rv_principal_row same = {.id = KEY,
                                          .name = rv_slice_str("k"),
                                          .role = rv_slice_str("client"),
                                          .rights = rv_slice_str("put,get")};
    struct rv_principal_row other = same;

    (void)state;
    begin(&r);
    admit(&r, KEY, "put,get");
    assert_true(mgr_principal_is(r.mgr, KEY, &same));
    assert_false(mgr_principal_is(r.mgr, 77, &same));
    other.name = rv_slice_str("l");
    assert_false(mgr_principal_is(r.mgr, KEY, &other));
    other = same;
    other.role = rv_slice_str("admin");
    assert_false(mgr_principal_is(r.mgr, KEY, &other));
    other = same;
    other.rights = rv_slice_str("put");
    assert_false(mgr_principal_is(r.mgr, KEY, &other));
    other = same;
    other.quotas = rv_slice_str("objects:1");
    assert_false(mgr_principal_is(r.mgr, KEY, &other));
    end(&r);
}

/* ---- two keys, and agents ---- */

/* A session that speaks in turn. */
struct talker {
    uint32_t key;
    uint64_t peer, number, heard; /* heard: replies */
};

static struct talker talker(struct rig *r, uint32_t key, uint32_t id)
{
    struct rv_hello hello = hello_of(7);
    struct talker t = {.key = key};

    rv_set_number(hello.session.bytes + 1, id, 4);
    t.peer = greet_as(r, key, &hello);
    hear(r, t.peer);
    assert_true(r->welcomed);
    return t;
}

static void say(struct rig *r, struct talker *t, const struct rv_msg *msg)
{
    bool numbered = rv_msg_numbered(msg->type);
    struct rv_buf frame = frame_of(0, numbered ? ++t->number : 0, t->heard, msg, 1);

    receive_as(r, t->peer, t->key, rv_buf_slice(&frame), NULL, 0);
    rv_buf_free(&frame);
    hear(r, t->peer);
    t->heard += r->replies;
}

/* Ask, and be answered so. */
#define ASK(r, t, wanted, name, object_, ...)                                                      \
    do {                                                                                           \
        struct rv_buf ask_ = {0};                                                                  \
        bool read_ = (rv_op_info(RV_OP_##name)->flags & RV_OP_READ) != 0;                          \
        struct rv_msg msg_ = {.type = read_ ? RV_MSG_read : RV_MSG_call};                          \
                                                                                                   \
        rv_##name##_args_encode(&ask_, &(struct rv_##name##_args){__VA_ARGS__});                   \
        if (read_)                                                                                 \
            msg_.read = (struct rv_read){                                                          \
                .id = 1, .op = RV_OP_##name, .object = object_, .args = rv_buf_slice(&ask_)};      \
        else                                                                                       \
            msg_.call = (struct rv_call){                                                          \
                .op = RV_OP_##name, .object = object_, .args = rv_buf_slice(&ask_)};               \
        say(r, t, &msg_);                                                                          \
        assert_int_equal((r)->replies + (r)->answers,                                              \
                         !(rv_op_info(RV_OP_##name)->flags & RV_OP_ONEWAY));                       \
        if ((r)->replies + (r)->answers > 0)                                                       \
            assert_int_equal((r)->error, wanted);                                                  \
        rv_buf_free(&ask_);                                                                        \
    } while (0)

/* The number that each open has first in its result. */
static uint64_t opened(const struct rig *r)
{
    return rv_get_number(r->result.data, 8);
}

static uint32_t rows(const struct rig *r)
{
    struct rv_object_list_result list;

    assert_true(rv_object_list_result_decode(&list, rv_buf_slice(&r->result)));
    return list.count;
}

static void job_of_a_key_is_its_own(void **state)
{
    struct rig r;
    struct talker mine;
    struct talker other;
    uint64_t job = 0;

    (void)state;
    begin(&r);
    admit(&r, KEY, "run,list");
    admit(&r, OTHER_KEY, "run,open");
    mine = talker(&r, KEY, 1);
    other = talker(&r, OTHER_KEY, 2);
    ASK(&r, &mine, REEVE_OK, job_open, 0, .name = rv_slice_str("job"), .create = 1,
        .kind = RV_CODE_COMMAND, .total = UINT64_MAX);
    job = opened(&r);
    ASK(&r, &mine, REEVE_OK, job_open, 0, .name = rv_slice_str("job"), .create = 1,
        .kind = RV_CODE_COMMAND);
    ASK(&r, &other, REEVE_EPERM, job_open, 0, .name = rv_slice_str("job"), .create = 1,
        .kind = RV_CODE_COMMAND);
    ASK(&r, &other, REEVE_EPERM, job_open, 0, .name = rv_slice_str("job"), .create = 0);
    ASK(&r, &other, REEVE_EPERM, job_cancel, 0, .job = job);
    ASK(&r, &other, REEVE_EPERM, job_stat, 0, .job = job);
    ASK(&r, &other, REEVE_EPERM, job_log, 0, .job = job);
    ASK(&r, &other, REEVE_OK, job_list, 0, .after = 0);
    assert_int_equal(rows(&r), 0);
    ASK(&r, &mine, REEVE_OK, job_list, 0, .after = 0);
    assert_int_equal(rows(&r), 1);
    /* Held as an object it is nobody's to use. */
    ASK(&r, &other, REEVE_OK, object_open, 0, .name = rv_slice_str("job"), .create = 0);
    ASK(&r, &other, REEVE_EPERM, job_put, job, .first = 0);
    ASK(&r, &other, REEVE_OK, object_close, job, .end_ = 0);
    admit(&r, OTHER_KEY, "run,list");
    ASK(&r, &other, REEVE_OK, job_stat, 0, .job = job);
    ASK(&r, &other, REEVE_EPERM, job_cancel, 0, .job = job); /* who may list may look */
    admit_as(&r, OTHER_KEY, "admin", "");
    ASK(&r, &other, REEVE_OK, job_cancel, 0, .job = job);
    end(&r);
}

static uint32_t able(struct rig *r, struct talker *t, uint64_t job)
{
    struct rv_object_list_result list;
    struct rv_reader in;
    struct rv_slice row;
    struct rv_job_row stat;

    ASK(r, t, REEVE_OK, job_stat, 0, .job = job);
    assert_true(rv_object_list_result_decode(&list, rv_buf_slice(&r->result)));
    in = rv_reader(list.rows);
    assert_true(rv_row_next(&in, &row) && rv_job_row_decode(&stat, row));
    return stat.agents;
}

static void job_asks_for_words_that_an_agent_has(void **state)
{
    static const struct {
        const char *labels;
        uint32_t agents;
    } table[] = {{"", 2},    {"gpu", 1},     {"big", 1},      {"gpu big", 1}, {"big  gpu", 1},
                 {"gp", 0},  {"gpx", 0},     {"gpu big3", 0}, {"one", 1},     {"two", 1},
                 {"ten", 0}, {"one gpu", 1}, {"two gpu", 0}};
    struct rig r;
    struct talker mine;
    struct talker agents[2];
    uint64_t jobs[rv_countof(table)];
    uint64_t agent = 0;
    struct command cmd;

    (void)state;
    begin(&r);
    admit(&r, KEY, "run,list");
    admit_as(&r, OTHER_KEY, "worker", "");
    mine = talker(&r, KEY, 1);
    ASK(&r, &mine, REEVE_EPERM, agent_open, 0, .name = rv_slice_str("one"), .slots = 1);
    for (uint32_t i = 0; i < 2; i++) {
        agents[i] = talker(&r, OTHER_KEY, 2 + i);
        ASK(&r, &agents[i], REEVE_OK, agent_open, 0, .name = rv_slice_str(i == 0 ? "one" : "two"),
            .slots = 1, .incarnation = 5, .labels = rv_slice_str(i == 0 ? "gpu big" : ""));
        agent = opened(&r);
    }
    for (size_t i = 0; i < rv_countof(table); i++) {
        ASK(&r, &mine, REEVE_OK, job_open, 0, .create = 1, .kind = RV_CODE_COMMAND,
            .labels = rv_slice_str(table[i].labels));
        jobs[i] = opened(&r);
        assert_int_equal(able(&r, &mine, jobs[i]), table[i].agents);
    }
    ASK(&r, &agents[1], REEVE_OK, agent_state, agent, .slots = 1, .draining = 1);
    assert_int_equal(able(&r, &mine, jobs[0]), 1); /* it takes no more */
    assert_true(gate_lost(r.gate, r.now, agents[0].peer, false, &cmd));
    step(&r, &cmd);
    assert_int_equal(able(&r, &mine, jobs[0]), 0); /* it is away */
    ASK(&r, &mine, REEVE_OK, agent_list, 0, .after = agent - 1);
    assert_int_equal(rows(&r), 1);
    agents[0] = talker(&r, OTHER_KEY, 9);
    ASK(&r, &agents[0], REEVE_EEXPIRED, agent_open, 0, .name = rv_slice_str("two"),
        .incarnation = 4); /* a life before that one */
    end(&r);
}

/* Whose queue it was pays for a letter that goes back, not who has the dead letters. */
static void letter_goes_back_at_the_cost_of_its_queues_owner(void **state)
{
    static const uint8_t bytes[100];
    struct rig r;
    struct talker mine;
    struct talker other;
    struct rv_buf item = {0};
    struct rv_dead_requeue_result got;
    uint64_t queue = 0;

    (void)state;
    begin(&r);
    mine = talker(&r, KEY, 1);
    other = talker(&r, OTHER_KEY, 2);
    rv_item_write(&item, &(struct rv_item){.len = sizeof bytes, .bytes = {bytes, sizeof bytes}});
    ASK(&r, &mine, REEVE_OK, object_open, 0, .name = rv_slice_str("d"), .create = 1,
        .kind = RV_KIND_QUEUE);
    ASK(&r, &other, REEVE_OK, object_open, 0, .name = rv_slice_str("q"), .create = 1,
        .kind = RV_KIND_QUEUE, .joinable = 1, .deliveries = 1, .dead = rv_slice_str("d"));
    queue = opened(&r);
    for (int i = 0; i < 2; i++) {
        ASK(&r, &other, REEVE_OK, queue_put, queue, .items = {1, rv_buf_slice(&item)});
        ASK(&r, &other, REEVE_OK, queue_get, queue, .max = 1, .seen = 0);
        ASK(&r, &other, REEVE_OK, queue_take, queue, .taken = 1);
        ASK(&r, &other, REEVE_OK, object_close, queue, .end_ = 0); /* it dies */
        ASK(&r, &other, REEVE_OK, object_open, 0, .name = rv_slice_str("q"), .create = 0);
    }
    ASK(&r, &other, REEVE_OK, queue_put, queue, .items = {1, rv_buf_slice(&item)});
    for (int full = 1; full >= 0; full--) {
        struct rv_buf row = {0};

        rv_principal_row_encode(
            &row, &(struct rv_principal_row){.id = OTHER_KEY,
                                             .name = rv_slice_str("k"),
                                             .role = rv_slice_str("client"),
                                             .quotas = rv_slice_str(full ? "bytes:50" : "")});
        step(&r, &(struct command){.type = COMMAND_PRINCIPAL,
                                   .logged = true,
                                   .at = r.now,
                                   .bytes = rv_buf_slice(&row)});
        rv_buf_free(&row);
        ASK(&r, &mine, full ? REEVE_EQUOTA : REEVE_OK, dead_requeue, 0, .name = rv_slice_str("d"));
        assert_true(rv_dead_requeue_result_decode(&got, rv_buf_slice(&r.result)));
        assert_int_equal(got.moved, full ? 0 : 2);
        assert_int_equal(got.left, full ? 2 : 0);
    }
    rv_buf_free(&item);
    end(&r);
}

static void manager_has_so_many_agents(void **state)
{
    struct rig r;
    struct talker asks;
    struct rv_buf args = {0};
    struct rv_msg msg;

    (void)state;
    begin(&r);
    admit_as(&r, KEY, "worker", "");
    for (uint32_t i = 0; i <= RV_LIMIT_AGENTS; i++) {
        struct rv_hello hello = hello_of(1);
        char name[16];
        uint64_t peer = 0;

        rv_set_number(hello.session.bytes + 1, i, 4);
        peer = greet_as(&r, KEY, &hello);
        snprintf(name, sizeof name, "%u", i);
        rv_buf_clear(&args);
        rv_agent_open_args_encode(
            &args, &(struct rv_agent_open_args){.name = rv_slice_str(name), .slots = 1});
        msg = call_of(RV_OP_agent_open, rv_buf_slice(&args));
        send(&r, peer, 1, 0, &msg, 1);
        hear(&r, peer);
        assert_int_equal(r.replies, 1);
        assert_int_equal(r.error, i < RV_LIMIT_AGENTS ? REEVE_OK : REEVE_ELIMIT);
    }
    assert_int_equal(mgr_objects(r.mgr), RV_LIMIT_AGENTS);
    admit(&r, OTHER_KEY, "list");
    asks = talker(&r, OTHER_KEY, UINT32_MAX);
    ASK(&r, &asks, REEVE_OK, agent_list, 0, .after = 0);
    assert_int_equal(rows(&r), RV_LIMIT_LIST_ROWS);
    ASK(&r, &asks, REEVE_OK, agent_list, 0, .after = RV_LIMIT_AGENTS - 1);
    assert_int_equal(rows(&r), 1);
    rv_buf_free(&args);
    end(&r);
}

int test_gate(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(malformed_frame_ends_its_connection),
        cmocka_unit_test(message_that_no_client_says_ends_its_connection),
        cmocka_unit_test(frame_says_what_is_in_it),
        cmocka_unit_test(beat_tells_of_what_was_lost),
        cmocka_unit_test(hello_that_cannot_be_is_refused),
        cmocka_unit_test(connection_has_one_hello),
        cmocka_unit_test(session_is_kept_for_a_day_at_most),
        cmocka_unit_test(session_of_a_connection_that_went_is_let_go),
        cmocka_unit_test(strangers_are_cut_together),
        cmocka_unit_test(old_connection_does_not_end_its_session),
        cmocka_unit_test(frame_has_so_many_questions),
        cmocka_unit_test(answers_take_so_much_room),
        cmocka_unit_test(answers_wait_for_their_acknowledgement_so_long),
        cmocka_unit_test(late_acknowledgement_spares_what_it_names),
        cmocka_unit_test(frame_of_a_connection_that_goes_is_forgotten),
        cmocka_unit_test(full_disk_strips_what_grows_alone),
        cmocka_unit_test(each_command_has_a_name),
        cmocka_unit_test(key_is_known_by_all_that_is_said_of_it),
        cmocka_unit_test(job_of_a_key_is_its_own),
        cmocka_unit_test(job_asks_for_words_that_an_agent_has),
        cmocka_unit_test(letter_goes_back_at_the_cost_of_its_queues_owner),
        cmocka_unit_test(manager_has_so_many_agents),
    };

    return cmocka_run_group_tests_name("gate", tests, NULL, NULL);
}
