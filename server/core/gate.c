#include "server/core/gate.h"

#include "common/base/heap.h"
#include "common/base/mutant.h"

#include <stdio.h>
#include <stdlib.h>

#define uthash_malloc(size)    rv_alloc(size)
#define uthash_free(ptr, size) free(ptr)
#define uthash_fatal(text)     rv_assert_failed(__FILE__, __LINE__, text)
#include <uthash.h>
#include <utlist.h>

enum peer_state { PEER_NEW, PEER_OPENING, PEER_READY, PEER_LEAVING };

struct peer {
    uint64_t id;
    enum peer_state state;
    uint32_t principal;
    uint32_t attempt;
    bool local;
    bool queued;      /* in the list of those with something to send */
    bool blocked;     /* does not read at the moment */
    uint64_t session; /* serial; 0 unless READY */
    uint64_t logged;  /* calls up to this number went to the log */
    uint64_t cursor;  /* next message of the session's stream to send */
    uint64_t acked;   /* what our last frame acknowledged */
    uint64_t prompt;  /* an acknowledgement of these does not wait for company */
    rv_ns ack_at;     /* when an acknowledgement leaves alone; 0: none waits */
    struct peer *ack_prev, *ack_next;
    rv_ns heard_at;
    struct rv_timer timer;
    struct rv_buf answers; /* unnumbered messages to send */
    struct peer *prev, *next;
    UT_hash_handle hh;
    UT_hash_handle by_session;
};

/* A session whose connection we gave up: the mgr has yet to hear of it. */
struct orphan {
    uint64_t session;
    uint32_t attempt;
};

struct gate {
    struct mgr *mgr;
    struct rv_sink sink;
    struct peer *peers;
    struct peer *ready; /* by session */
    struct peer *queue; /* have something to send */
    struct peer *blocked;
    rv_ns retry_at;     /* when the blocked are tried again */
    struct peer *owing; /* an acknowledgement that waits for company, by ack_at */
    struct rv_heap heap;
    struct peer *sending; /* of the frame that gate_transmit gave last */
    uint64_t sending_cursor;
    uint64_t sending_ack;
    size_t sending_answers;
    struct rv_buf frame;
    uint64_t *cuts;
    size_t cuts_len, cuts_cap;
    struct orphan *orphans;
    size_t orphans_len, orphans_cap;
    rv_ns orphaned_at;
    rv_ns pause; /* forgiven, and not yet told to the mgr */
    uint64_t refused;
    bool full;              /* the log's disk */
    struct rv_buf stripped; /* messages of a frame, without what a full disk refuses */
    struct rv_buf numbers;  /* of the bodies of a call in it */
    struct rv_slice kept[RV_LIMIT_BODIES];
};

static void say(const struct gate *g, const char *event, uint64_t peer, const char *why)
{
    char line[256];

    if (g->sink.line == NULL)
        return;
    snprintf(line, sizeof line, "%s peer=%llx%s%s%s", event, (unsigned long long)peer,
             why == NULL ? "" : " why=\"", why == NULL ? "" : why, why == NULL ? "" : "\"");
    g->sink.line(g->sink.arg, RV_WARN, line);
}

/* ---- peers ---- */

static struct peer *find_peer(const struct gate *g, uint64_t id)
{
    struct peer *p = NULL;

    HASH_FIND(hh, g->peers, &id, sizeof id, p);
    return p;
}

static struct peer *peer_of_session(const struct gate *g, uint64_t session)
{
    struct peer *p = NULL;

    HASH_FIND(by_session, g->ready, &session, sizeof session, p);
    return p;
}

static void enqueue(struct gate *g, struct peer *p)
{
    if (p->queued || p->blocked)
        return;
    p->queued = true;
    DL_APPEND(g->queue, p);
}

/* An acknowledgement alone costs as much as an answer; soon an answer may carry it. */
static void owe_ack(struct gate *g, rv_ns now, struct peer *p)
{
    if (p->ack_at != 0)
        return;
    p->ack_at = rv_after_ms(now, RV_LIMIT_TAKE_MS);
    DL_APPEND2(g->owing, p, ack_prev, ack_next);
}

static void owe_nothing(struct gate *g, struct peer *p)
{
    if (p->ack_at != 0)
        DL_DELETE2(g->owing, p, ack_prev, ack_next);
    p->ack_at = 0;
}

static void dequeue(struct gate *g, struct peer *p)
{
    if (p->queued)
        DL_DELETE(g->queue, p);
    if (p->blocked)
        DL_DELETE(g->blocked, p);
    p->queued = p->blocked = false;
}

static void cut(struct gate *g, uint64_t peer)
{
    if (g->cuts_len == g->cuts_cap) {
        g->cuts_cap = g->cuts_cap == 0 ? 16 : g->cuts_cap * 2;
        g->cuts = rv_realloc(g->cuts, g->cuts_cap * sizeof *g->cuts);
    }
    g->cuts[g->cuts_len++] = peer;
}

/* The session has no connection any more, though nobody closed one. */
static void let_go(struct gate *g, rv_ns now, uint64_t session, uint32_t attempt)
{
    if (g->orphans_len == g->orphans_cap) {
        g->orphans_cap = g->orphans_cap == 0 ? 16 : g->orphans_cap * 2;
        g->orphans = rv_realloc(g->orphans, g->orphans_cap * sizeof *g->orphans);
    }
    if (g->orphans_len == 0)
        g->orphaned_at = now;
    g->orphans[g->orphans_len++] = (struct orphan){session, attempt};
}

static void leave_session(struct gate *g, struct peer *p)
{
    if (p->session != 0)
        HASH_DELETE(by_session, g->ready, p);
    p->session = 0;
}

static void forget(struct gate *g, struct peer *p)
{
    leave_session(g, p);
    dequeue(g, p);
    owe_nothing(g, p);
    rv_heap_cancel(&g->heap, &p->timer);
    HASH_DELETE(hh, g->peers, p);
    rv_buf_free(&p->answers);
    if (g->sending == p)
        g->sending = NULL;
    free(p);
}

/* Tell the peer why, and cut it when that has left. */
static void send_away(struct gate *g, rv_ns now, struct peer *p, reeve_err error,
                      struct rv_slice text)
{
    struct rv_msg msg = {.type = RV_MSG_refuse, .refuse = {.error = (uint32_t)error, .text = text}};
    const struct session *s = p->session == 0 ? NULL : mgr_session(g->mgr, p->session);

    if (s != NULL && session_attempt(s) == p->attempt)
        let_go(g, now, p->session, p->attempt);
    leave_session(g, p);
    p->state = PEER_LEAVING;
    rv_msg_encode(&p->answers, &msg);
    rv_heap_set(&g->heap, &p->timer, now + RV_SEC);
    enqueue(g, p);
}

static void refuse_peer(struct gate *g, rv_ns now, struct peer *p, reeve_err error,
                        const char *text)
{
    g->refused++;
    say(g, "peer.refuse", p->id, text);
    send_away(g, now, p, error, rv_slice_str(text));
}

static struct peer *meet(struct gate *g, rv_ns now, const struct gate_message *in)
{
    struct peer *p = rv_alloc(sizeof *p);

    p->id = in->peer;
    p->principal = in->principal;
    p->local = in->local;
    rv_heap_set(&g->heap, &p->timer, rv_after_ms(now, RV_LIMIT_HANDSHAKE_MS));
    HASH_ADD(hh, g->peers, id, sizeof p->id, p);
    return p;
}

/* ---- frames from peers ---- */

/* What a frame holds. */
struct contents {
    uint64_t numbered; /* messages of the stream */
    size_t reads;
    size_t bodies; /* body frames that the messages use */
    size_t messages;
    bool beat;
    uint64_t beat_sent;
    bool feeds; /* its sender waits for the acknowledgement before it sends more */
    bool greets;
    struct rv_msg hello;
    uint8_t durable; /* enum rv_durable */
};

static bool well_formed_op(uint16_t number, uint8_t flag, struct rv_slice args, size_t *bodies)
{
    const struct rv_op_info *op = rv_op_info(number);

    return op != NULL && (op->flags & flag) && rv_op_args_check(number, args, bodies);
}

/* The frame is as durable as the most that one of its messages asks for. */
static void ask_durable(struct contents *c, uint8_t durable)
{
    if (durable > c->durable)
        c->durable = durable;
}

/* One message: well-formed, and allowed from a client? */
static bool look_at(const struct gate *g, struct contents *c, const struct rv_msg *msg)
{
    size_t used = 0;
    bool ok = true;

    c->messages++;
    c->numbered += rv_msg_numbered(msg->type);
    switch (msg->type) {
    case RV_MSG_hello:
        c->hello = *msg;
        c->greets = true;
        break;
    case RV_MSG_beat:
        c->beat = true;
        c->beat_sent = msg->beat.sent;
        break;
    case RV_MSG_read:
        c->reads++;
        ok = well_formed_op(msg->read.op, RV_OP_READ, msg->read.args, &used) && used == 0;
        break;
    case RV_MSG_call:
        ok = well_formed_op(msg->call.op, RV_OP_WRITE, msg->call.args, &used);
        c->bodies += used;
        c->feeds = c->feeds || (ok && (rv_op_info(msg->call.op)->flags & RV_OP_GROWS));
        if (ok)
            ask_durable(c, mgr_durable(g->mgr, msg->call.op, msg->call.object, msg->call.args));
        break;
    case RV_MSG_fragment:
        c->bodies++;
        /* What is acknowledged is forgotten by its sender, and the call that says how durable it must
         * be comes later. */
        ask_durable(c, RV_DURABLE_SYNC);
        c->feeds = true;
        break;
    case RV_MSG_cancel:
        ask_durable(c, mgr_durable(g->mgr, 0, msg->cancel.object, rv_slice(NULL, 0)));
        break;
    case RV_MSG_goodbye:
        ask_durable(c, RV_DURABLE_SYNC);
        break;
    default:
        ok = false;
    }
    return ok;
}

/* Is every message in the frame well-formed, and are the body frames all used? */
static bool well_formed(const struct gate *g, const struct rv_frame *frame,
                        const struct gate_message *in, struct contents *c)
{
    struct rv_reader r = rv_reader(frame->messages);
    struct rv_msg msg;

    while (rv_frame_next(&r, &msg))
        if (!look_at(g, c, &msg))
            return false;
    return !r.bad && c->bodies == in->bodies_len && c->bodies == frame->bodies &&
           c->reads <= RV_LIMIT_READS && (c->numbered > 0) == (frame->first > 0) &&
           (!c->greets || c->messages == 1);
}

static bool on_hello(struct gate *g, rv_ns now, struct peer *p, const struct gate_message *in,
                     const struct rv_frame *frame, const struct rv_msg *msg, struct command *cmd)
{
    /* The same hello twice is once; it was answered, or will be. */
    if (p->state != PEER_NEW && msg->hello.attempt == p->attempt)
        return false;
    if (p->state != PEER_NEW) {
        refuse_peer(g, now, p, REEVE_EPROTO, "a second hello");
        return false;
    }
    if (msg->hello.major != RV_WIRE_MAJOR) {
        refuse_peer(g, now, p, REEVE_EVERSION, "this manager speaks version 1.0");
        return false;
    }
    /* Not a command's to judge: when a log is replayed, its store may have another id than when it was said. */
    if (msg->hello.established && !rv_id_equal(&msg->hello.store, mgr_store(g->mgr))) {
        send_away(g, now, p, REEVE_ESTALE, rv_slice_str("this manager has another store"));
        return false;
    }
    p->state = PEER_OPENING;
    p->attempt = msg->hello.attempt;
    *cmd = (struct command){
        .type = COMMAND_OPEN,
        .logged = true,
        .at = now,
        .peer = p->id,
        .principal = in->principal,
        .local = in->local,
        .bytes = rv_slice(frame->messages.data + 4, frame->messages.len - 4),
    };
    return true;
}

/* Why the frame of a peer in session s cannot be taken; NULL when it can. A gap means that
 * messages were lost on a living connection: a new one mends that. */
static const char *out_of_step(const struct peer *p, struct session *s,
                               const struct rv_frame *frame, const struct contents *c)
{
    if (s == NULL)
        return "the session has ended";
    if (frame->first > p->logged + 1 || c->beat_sent > p->logged + c->numbered ||
        frame->ack >= session_out(s)->next)
        return "messages are missing on this connection";
    if (c->reads > 0 && p->answers.len > RV_LIMIT_ANSWERS_BYTES)
        return "too many answers were not taken";
    if (session_out(s)->next - frame->ack > RV_LIMIT_UNACKED)
        return "too much was left without acknowledgement";
    return NULL;
}

static void answer_beat(struct gate *g, struct peer *p, struct session *s)
{
    struct rv_msg beat = {.type = RV_MSG_beat, .beat = {.sent = p->cursor - 1}};

    rv_msg_encode(&p->answers, &beat);
    rv_stream_trim(session_out(s)); /* who beats is idle */
    enqueue(g, p);
}

/* What the manager needs of a call to refuse it: who it is, and which bodies it would have used. */
static void strip_call(struct gate *g, const struct rv_call *call)
{
    struct rv_msg msg = {.type = RV_MSG_call, .call = {.op = call->op, .object = call->object}};
    struct rv_items items;
    struct rv_reader r;

    rv_buf_clear(&g->numbers);
    if (rv_op_items(call->op, call->args, &items)) {
        r = rv_reader(items.bytes);
        for (uint32_t i = 0; i < items.count; i++) {
            struct rv_item item;

            rv_item_read(&r, &item);
            if (item.place == RV_FRAGMENTS)
                rv_write_number(&g->numbers, item.body, 8);
        }
    }
    msg.call.args = rv_buf_slice(&g->numbers);
    rv_msg_encode(&g->stripped, &msg);
}

/* Take out of the frame in cmd what a full disk has no room for. */
static void strip(struct gate *g, struct command *cmd)
{
    struct rv_reader r = rv_reader(cmd->bytes);
    struct rv_msg msg;
    const uint8_t *start = r.data;
    size_t frames = 0;
    size_t kept = 0;

    rv_buf_clear(&g->stripped);
    for (; rv_frame_next(&r, &msg); start = r.data) {
        bool grows = mgr_grows(&msg);
        size_t bodies = msg.type == RV_MSG_fragment;

        if (msg.type == RV_MSG_call)
            rv_assert(rv_op_args_check(msg.call.op, msg.call.args, &bodies));
        if (grows && msg.type == RV_MSG_call)
            strip_call(g, &msg.call);
        else
            rv_buf_add(&g->stripped, start, (size_t)(r.data - start));
        for (size_t i = 0; i < bodies && !grows; i++)
            g->kept[kept++] = cmd->bodies[frames + i];
        frames += bodies;
    }
    cmd->stripped = true;
    cmd->bytes = rv_buf_slice(&g->stripped);
    cmd->bodies = g->kept;
    cmd->bodies_len = kept;
}

static bool on_messages(struct gate *g, rv_ns now, struct peer *p, const struct gate_message *in,
                        const struct rv_frame *frame, const struct contents *c, struct command *cmd)
{
    struct session *s = mgr_session(g->mgr, p->session);
    const char *why = out_of_step(p, s, frame, c);

    if (why != NULL) {
        refuse_peer(g, now, p, REEVE_ELOST, why);
        return false;
    }
    if (frame->first > 0 && frame->first + c->numbered - 1 > p->logged)
        p->logged = frame->first + c->numbered - 1;
    if (c->beat || c->feeds || p->logged - p->acked >= RV_LIMIT_ACK_MESSAGES)
        p->prompt = p->logged;
    if (c->beat)
        answer_beat(g, p, s);
    if (c->numbered == 0 && c->reads == 0 && frame->ack < session_out(s)->first)
        return false;
    *cmd = (struct command){
        .type = COMMAND_MESSAGES,
        /* An acknowledgement frees what the session keeps: a replay must do so, too. */
        .logged = c->numbered > 0 || frame->ack >= session_out(s)->first,
        .durable = c->durable,
        .at = now,
        .session = p->session,
        .first = frame->first,
        .ack = frame->ack,
        .bytes = frame->messages,
        .bodies = in->bodies,
        .bodies_len = in->bodies_len,
    };
    /* What comes in pieces from an agent are results, and these are wanted. */
    if (g->full && c->feeds && !session_is_agent(s) && !RV_MUTANT(FULL_LOGGED))
        strip(g, cmd);
    return true;
}

bool gate_receive(struct gate *g, rv_ns now, const struct gate_message *in, struct command *cmd)
{
    struct peer *p = find_peer(g, in->peer);
    struct contents c = {.durable = RV_DURABLE_NONE};
    struct rv_frame frame;
    bool version = true;

    if (p == NULL)
        p = meet(g, now, in);
    p->heard_at = now;
    if (p->state == PEER_LEAVING)
        return false;
    if (!rv_frame_decode(&frame, in->control, &version))
        refuse_peer(g, now, p, version ? REEVE_EPROTO : REEVE_EVERSION,
                    version ? "malformed frame" : "this manager speaks version 1.0");
    else if (!well_formed(g, &frame, in, &c))
        refuse_peer(g, now, p, REEVE_EPROTO, "malformed message");
    else if (!mgr_knows(g->mgr, in->principal)) /* it may be taken away while connected */
        refuse_peer(g, now, p, REEVE_EAUTH, "the key is not admitted any more");
    else if (c.greets)
        return on_hello(g, now, p, in, &frame, &c.hello, cmd);
    else if (p->state != PEER_READY)
        refuse_peer(g, now, p, REEVE_EPROTO, "a message before the hello was answered");
    else
        return on_messages(g, now, p, in, &frame, &c, cmd);
    return false;
}

bool gate_lost(struct gate *g, rv_ns now, uint64_t peer, bool gone, struct command *cmd)
{
    struct peer *p = find_peer(g, peer);
    uint64_t session = 0;

    if (p == NULL)
        return false;
    session = p->session;
    *cmd = (struct command){
        .type = gone ? COMMAND_END : COMMAND_DETACH,
        .logged = true,
        .at = now,
        .session = session,
        .attempt = gone ? 0 : p->attempt, /* a process is gone with all its connections */
        .reason = REEVE_ELOST,
    };
    forget(g, p);
    return session != 0;
}

/* ---- effects ---- */

static void welcome(struct gate *g, rv_ns now, const struct effect *e, const struct outbox *out)
{
    struct peer *p = find_peer(g, e->peer);
    struct peer *old = peer_of_session(g, e->session);
    struct session *s = mgr_session(g->mgr, e->session);

    if (old != NULL && old != p)
        send_away(g, now, old, REEVE_ELOST, rv_slice_str("a newer connection has this session"));
    if (s == NULL)
        return;
    if (p == NULL || p->state != PEER_OPENING) {
        let_go(g, now, e->session, session_attempt(s)); /* it went while its hello was committed */
        return;
    }
    p->state = PEER_READY;
    p->session = e->session;
    p->logged = p->acked = session_applied(s);
    p->cursor = session_out(s)->first;
    p->heard_at = now;
    rv_heap_set(&g->heap, &p->timer, rv_after_ms(now, RV_LIMIT_GONE_MS));
    HASH_ADD(by_session, g->ready, session, sizeof p->session, p);
    rv_buf_add(&p->answers, out->bytes.data + e->at, e->len);
    enqueue(g, p);
}

void gate_stepped(struct gate *g, rv_ns now, const struct command *cmd, const struct outbox *out)
{
    for (size_t i = 0; i < out->len; i++) {
        const struct effect *e = &out->effects[i];
        struct peer *p = e->session != 0 ? peer_of_session(g, e->session) : find_peer(g, e->peer);

        if (e->type == EFFECT_WELCOME) {
            welcome(g, now, e, out);
            continue;
        }
        if (p == NULL)
            continue;
        switch (e->type) {
        case EFFECT_REFUSE:
            g->refused++;
            send_away(g, now, p, e->error, rv_slice(out->bytes.data + e->at, e->len));
            break;
        case EFFECT_ANSWER:
            rv_buf_add(&p->answers, out->bytes.data + e->at, e->len);
            enqueue(g, p);
            break;
        case EFFECT_OUTPUT:
            enqueue(g, p);
            break;
        case EFFECT_ENDED:
            send_away(g, now, p, e->error,
                      rv_slice_str(e->error == REEVE_EAUTH ? "the key is not admitted any more"
                                                           : "the session has ended"));
            break;
        default:
            break;
        }
    }
    /* Even without a reply the client must hear that its calls have arrived, in a while, and its
     * acknowledgement may have opened the window. */
    if (cmd->type == COMMAND_MESSAGES) {
        struct peer *p = peer_of_session(g, cmd->session);

        if (p != NULL && (cmd->first > 0 || !RV_MUTANT(WINDOW_SHUT)))
            enqueue(g, p);
    }
}

/* ---- frames to peers ---- */

static bool window_open(const struct rv_stream *out, uint64_t cursor)
{
    size_t in_flight = rv_stream_bytes(out) - rv_stream_bytes_from(out, cursor);

    return in_flight < RV_LIMIT_WINDOW_BYTES && cursor - out->first < RV_LIMIT_WINDOW_MESSAGES;
}

/* Has it nothing to be sent but an acknowledgement, which can wait? */
static bool only_ack(struct gate *g, rv_ns now, struct peer *p, uint64_t ack)
{
    if (ack == p->acked)
        return true;
    if (p->acked < p->prompt)
        return false;
    owe_ack(g, now, p);
    return true;
}

/* How many bytes of answers go with the next frame: whole ones, about a batch. */
static size_t whole_answers(const struct peer *p)
{
    size_t len = 0;

    while (len < p->answers.len) {
        size_t one = 4 + (size_t)rv_get_number(p->answers.data + len, 4);

        if (len > 0 && len + one > RV_LIMIT_BATCH_BYTES)
            break;
        len += one;
    }
    return len;
}

bool gate_transmit(struct gate *g, rv_ns now, struct gate_frame *out)
{
    while (g->queue != NULL) {
        struct peer *p = g->queue;
        struct session *s = p->session == 0 ? NULL : mgr_session(g->mgr, p->session);
        static const struct rv_stream none = {.first = 1, .next = 1};
        const struct rv_stream *stream = s == NULL ? &none : session_out(s);
        uint64_t cursor = s == NULL ? 1 : p->cursor;
        uint64_t ack = s == NULL ? 0 : session_applied(s);

        dequeue(g, p);
        if (s != NULL && cursor < stream->first)
            cursor = stream->first;
        if (p->answers.len == 0 && (cursor == stream->next || !window_open(stream, cursor)) &&
            only_ack(g, now, p, ack))
            continue;
        rv_buf_clear(&g->frame);
        out->peer = p->id;
        if (cursor < stream->next && !window_open(stream, cursor))
            stream = &none, cursor = 1;
        g->sending_answers = whole_answers(p);
        g->sending_cursor =
            rv_stream_frame(stream, cursor, ack, rv_slice(p->answers.data, g->sending_answers),
                            &g->frame, out->bodies, &out->bodies_len);
        if (stream == &none && s != NULL)
            g->sending_cursor = p->cursor;
        g->sending_ack = ack;
        g->sending = p;
        out->control = rv_buf_slice(&g->frame);
        return true;
    }
    return false;
}

void gate_sent(struct gate *g, rv_ns now, enum gate_result result)
{
    struct peer *p = g->sending;
    struct session *s = NULL;

    g->sending = NULL;
    if (p == NULL)
        return;
    if (result == GATE_BUSY) {
        p->blocked = true;
        DL_APPEND(g->blocked, p);
        if (g->retry_at <= now)
            g->retry_at = now + RV_MS;
        return;
    }
    rv_buf_drop(&p->answers, g->sending_answers);
    if (p->answers.len > 0)
        enqueue(g, p);
    else if (p->answers.cap > 4096)
        rv_buf_free(&p->answers);
    if (p->state == PEER_LEAVING)
        return; /* give it a moment to read why; the timer cuts it */
    p->cursor = g->sending_cursor;
    p->acked = g->sending_ack;
    owe_nothing(g, p);
    s = mgr_session(g->mgr, p->session);
    if (s != NULL && p->cursor < session_out(s)->next)
        enqueue(g, p);
}

/* ---- time ---- */

bool gate_expire(struct gate *g, rv_ns now, struct command *cmd)
{
    struct rv_timer *t = NULL;

    if (g->blocked != NULL && g->retry_at <= now)
        while (g->blocked != NULL) {
            struct peer *p = g->blocked;

            dequeue(g, p);
            enqueue(g, p);
        }
    while (g->owing != NULL && g->owing->ack_at <= now && !RV_MUTANT(ACK_FORGOTTEN)) {
        struct peer *p = g->owing;

        owe_nothing(g, p);
        p->prompt = p->logged;
        enqueue(g, p);
    }
    if (g->pause > 0) {
        *cmd = (struct command){
            .type = COMMAND_PAUSE, .logged = true, .at = now, .first = (uint64_t)g->pause};
        g->pause = 0;
        return true;
    }
    if (g->orphans_len > 0 && !RV_MUTANT(ORPHAN_KEPT)) {
        const struct orphan *o = &g->orphans[--g->orphans_len];

        *cmd = (struct command){.type = COMMAND_DETACH,
                                .logged = true,
                                .at = now,
                                .session = o->session,
                                .attempt = o->attempt};
        return true;
    }
    while ((t = rv_heap_pop(&g->heap, now)) != NULL) {
        struct peer *p = (struct peer *)(void *)((char *)t - offsetof(struct peer, timer));
        rv_ns gone_at = rv_after_ms(p->heard_at, RV_LIMIT_GONE_MS);
        uint64_t session = p->session;
        uint32_t attempt = p->attempt;

        if (p->state == PEER_READY && gone_at > now) {
            rv_heap_set(&g->heap, t, gone_at);
            continue;
        }
        if (p->state == PEER_READY)
            say(g, "peer.silent", p->id, NULL);
        cut(g, p->id);
        forget(g, p);
        if (session == 0)
            continue;
        *cmd = (struct command){.type = COMMAND_END,
                                .logged = true,
                                .at = now,
                                .session = session,
                                .attempt = attempt,
                                .reason = REEVE_ELOST};
        return true;
    }
    return false;
}

rv_ns gate_deadline(const struct gate *g)
{
    rv_ns next = rv_heap_next(&g->heap);

    if (g->blocked != NULL && g->retry_at < next)
        next = g->retry_at;
    if (g->owing != NULL && g->owing->ack_at < next && !RV_MUTANT(ACK_FORGOTTEN))
        next = g->owing->ack_at;
    if (g->orphans_len > 0 && g->orphaned_at < next && !RV_MUTANT(ORPHAN_KEPT))
        next = g->orphaned_at;
    return next;
}

bool gate_cut(struct gate *g, uint64_t *peer)
{
    if (g->cuts_len == 0)
        return false;
    *peer = g->cuts[--g->cuts_len];
    return true;
}

void gate_forgive(struct gate *g, rv_ns pause)
{
    struct peer *p = NULL;

    for (p = g->peers; p != NULL; p = p->hh.next)
        p->heard_at += pause;
    g->pause += pause;
}

void gate_close(struct gate *g, rv_ns now, reeve_err error, const char *text)
{
    struct peer *p = NULL;

    for (p = g->peers; p != NULL; p = p->hh.next)
        if (p->state == PEER_READY)
            send_away(g, now, p, error, rv_slice_str(text));
}

void gate_set_full(struct gate *g, bool full)
{
    g->full = full;
}

uint64_t gate_session(const struct gate *g, uint64_t peer)
{
    const struct peer *p = find_peer(g, peer);

    return p == NULL ? 0 : p->session;
}

uint64_t gate_refused(const struct gate *g)
{
    return g->refused;
}

/* ---- life ---- */

struct gate *gate_new(struct mgr *mgr, const struct rv_sink *sink)
{
    struct gate *g = rv_alloc(sizeof *g);

    g->mgr = mgr;
    if (sink != NULL)
        g->sink = *sink;
    return g;
}

void gate_free(struct gate **gate)
{
    struct gate *g = *gate;

    if (g == NULL)
        return;
    while (g->peers != NULL)
        forget(g, g->peers);
    rv_heap_free(&g->heap);
    rv_buf_free(&g->frame);
    rv_buf_free(&g->stripped);
    rv_buf_free(&g->numbers);
    free(g->cuts);
    free(g->orphans);
    free(g);
    *gate = NULL;
}
