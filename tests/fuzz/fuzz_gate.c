/* Some clients of a manager do anything at all, and the manager asserts nothing.
 *
 * The input is a script. Its first byte chooses a log that commits at once or one that commits
 * when the script says so, whether two queues are open to everybody from the start, and whether a
 * random history follows the script; every further step begins with a byte that says who does what:
 * connect, say hello, send a frame of well-formed messages, send garbage, receive, disappear, let
 * time pass. At the end everybody receives and acknowledges everything, and then nothing
 * may be left that the manager has to say; and when all have gone, no session.
 *
 * With -DFUZZ_TRACE the script is told on stderr. */

#include <stdio.h>
#include <stdlib.h>

#include "server/core/gate.h"
#include "server/core/log.h"
#include "tests/fuzz/fuzz.h"

enum { CLIENTS = 4, MESSAGES = 12, ITEMS = 24, STEPS_MAX = 200 };

#ifdef FUZZ_TRACE
#define told(...) fprintf(stderr, __VA_ARGS__)
#else
#define told(...) (void)0
#endif

/* Somebody with a key who connects again and again. */
struct client {
    uint64_t peer; /* of the connection, 0 is none */
    uint32_t principal;
    uint32_t attempt;
    uint8_t session; /* in every byte of the session's id */
    bool established;
    bool greeted;      /* said hello on this connection */
    bool welcomed;     /* and was let in */
    uint64_t next;     /* number of the next message to send */
    uint64_t received; /* numbered messages that have arrived */
    uint64_t seen;     /* last delivery number of any queue */
    uint64_t recall;
    uint64_t body; /* fragmented body begun last */
    uint32_t body_len, body_at;
};

/* A command that waits to be committed, with its bytes. */
struct pending {
    struct pending *next;
    struct command cmd;
    struct rv_slice bodies[RV_LIMIT_BODIES];
    uint8_t bytes[];
};

struct world {
    struct input in;
    rv_ns now;
    uint64_t last_peer;
    struct mgr *mgr;
    struct gate *gate;
    struct rv_log *log;
    bool late;    /* commands are committed when the script says so */
    bool full;    /* the log's disk */
    bool thieves; /* clients may say hello with the session of another */
    struct pending *first, **last;
    struct client clients[CLIENTS];
    struct rv_buf frame;
    struct rv_buf args;
    struct rv_buf items;
};

static const struct rv_id store = {{'s', 't', 'o', 'r', 'e'}};

/* The bytes of all large items. */
static const uint8_t payload[RV_LIMIT_BODY_BYTES + 1];

static const uint32_t sizes[] = {0,     1,     3,     10,     100,    1000,   4096,   4097,
                                 16000, 65535, 65536, 65537,  70000,  100000, 262143, 262144,
                                 5,     8,     12,    262145, 300000, 2,      4,      6};

/* A line of the story is one line, whatever a client calls itself. */
static void on_line(void *arg, int level, const char *text)
{
    (void)arg;
    (void)level;
    for (; *text != '\0'; text++)
        rv_assert((unsigned char)*text >= 0x20 && *text != 0x7f);
}

static const struct rv_sink sink = {.line = on_line};

/* ---- the log ---- */

static void step(struct world *w, const struct command *cmd)
{
    struct outbox out = {0};

    mgr_step(w->mgr, cmd, &out);
    gate_stepped(w->gate, w->now, cmd, &out);
    outbox_free(&out);
    mgr_check(w->mgr);
}

static void on_commit(void *arg, const struct command *cmd)
{
    step(arg, cmd);
}

static void keep(struct world *w, const struct command *cmd)
{
    size_t len = cmd->bytes.len;
    struct pending *p = NULL;
    uint8_t *at = NULL;

    for (size_t i = 0; i < cmd->bodies_len; i++)
        len += cmd->bodies[i].len;
    p = rv_alloc(sizeof *p + len);
    p->cmd = *cmd;
    p->cmd.bytes.data = p->bytes;
    p->cmd.bodies = p->bodies;
    if (cmd->bytes.len > 0)
        memcpy(p->bytes, cmd->bytes.data, cmd->bytes.len);
    at = p->bytes + cmd->bytes.len;
    for (size_t i = 0; i < cmd->bodies_len; i++) {
        p->bodies[i] = rv_slice(at, cmd->bodies[i].len);
        if (cmd->bodies[i].len > 0)
            memcpy(at, cmd->bodies[i].data, cmd->bodies[i].len);
        at += cmd->bodies[i].len;
    }
    *w->last = p;
    w->last = &p->next;
}

static void commit(struct world *w, size_t most)
{
    for (; w->first != NULL && most > 0; most--) {
        struct pending *p = w->first;

        w->first = p->next;
        if (w->first == NULL)
            w->last = &w->first;
        step(w, &p->cmd);
        free(p);
    }
}

static void add(struct world *w, const struct command *cmd)
{
    if (w->late && cmd->logged)
        keep(w, cmd);
    else
        rv_log_add(w->log, cmd);
}

/* ---- what a client says ---- */

static struct client *client_of(struct world *w, uint64_t peer)
{
    for (size_t i = 0; i < CLIENTS; i++)
        if (peer != 0 && w->clients[i].peer == peer)
            return &w->clients[i];
    return NULL;
}

static void hang_up(struct world *w, struct client *c, bool gone)
{
    struct command cmd;

    if (c->peer == 0)
        return;
    told("  client %u: hangs up%s\n", (unsigned)(c - w->clients),
         gone ? ", its process is gone" : "");
    if (gate_lost(w->gate, w->now, c->peer, gone, &cmd))
        add(w, &cmd);
    c->peer = 0;
}

static void connect_again(struct world *w, struct client *c)
{
    c->peer = ++w->last_peer;
    c->greeted = c->welcomed = false;
}

static void send_frame(struct world *w, struct client *c, struct rv_slice control,
                       const struct rv_slice *bodies, size_t bodies_len)
{
    struct gate_message message = {
        .peer = c->peer,
        .principal = c->principal,
        .local = (c->principal & 1) != 0,
        .control = control,
        .bodies = bodies,
        .bodies_len = bodies_len,
    };
    struct command cmd;

    if (gate_receive(w->gate, w->now, &message, &cmd))
        add(w, &cmd);
}

static void add_header(struct world *w, uint8_t bodies, uint64_t first, uint64_t ack)
{
    uint8_t *room = rv_buf_room(&w->frame, RV_FRAME_HEADER);

    rv_frame_encode(room, &(struct rv_frame){.bodies = bodies, .first = first, .ack = ack});
    w->frame.len += RV_FRAME_HEADER;
}

/* A new session. */
static void begin_again(struct client *c)
{
    c->session = (uint8_t)(c->session + CLIENTS);
    c->established = false;
    c->received = c->seen = 0;
}

static void say_hello(struct world *w, struct client *c)
{
    uint8_t how = (uint8_t)take_number(&w->in, 1);
    struct rv_msg msg = {.type = RV_MSG_hello,
                         .hello = {.major = RV_WIRE_MAJOR,
                                   .attempt = ++c->attempt,
                                   .established = c->established,
                                   .store = store,
                                   .received = c->received,
                                   .resume_ms = (how & 8) != 0 ? 20 : 0,
                                   .host_name = rv_slice_str("host"),
                                   .program = rv_slice_str("fuzz")}};

    /* Now and then a new session, somebody else's, an old attempt, or wrong numbers. */
    if ((how & 0x30) == 0x30) {
        begin_again(c);
        msg.hello.established = 0;
        msg.hello.received = (how & 0x80) != 0 ? 3 : 0;
    } else if ((how & 0x70) == 0x10) {
        msg.hello.received = c->received += how >> 7;
        msg.hello.attempt -= how & 3;
        msg.hello.store.bytes[0] = (uint8_t)(msg.hello.store.bytes[0] + (how & 4));
    }
    if ((how & 0x70) == 0x20 && w->thieves)
        c->session = how & 7;
    memset(msg.hello.session.bytes, c->session, 16);
    rv_buf_clear(&w->frame);
    add_header(w, 0, 0, 0);
    rv_msg_encode(&w->frame, &msg);
    told("  client %u: hello session=%02x attempt=%u established=%u received=%llu\n",
         (unsigned)(c - w->clients), msg.hello.session.bytes[0], msg.hello.attempt,
         msg.hello.established, (unsigned long long)msg.hello.received);
    c->greeted = true;
    send_frame(w, c, rv_buf_slice(&w->frame), NULL, 0);
}

/* ---- frames of well-formed messages ---- */

struct draft {
    struct rv_slice bodies[RV_LIMIT_BODIES];
    size_t bodies_len;
    uint64_t numbered;
};

static void add_items(struct world *w, struct client *c, struct draft *d, struct rv_items *out)
{
    uint32_t how = pick(&w->in, 64);
    uint32_t count = how < ITEMS ? how : 1;

    rv_buf_clear(&w->items);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t len = sizes[pick(&w->in, rv_countof(sizes))];
        struct rv_item item = {.len = len, .priority = how & 1 ? pick(&w->in, 4) : 0};
        uint8_t refs[8];

        if ((how & 2) != 0 && len >= 8) {
            rv_set_number(refs, 1 + pick(&w->in, 4), 8);
            item.refs = rv_slice(refs, 8);
        }

        if (len > RV_LIMIT_BODY_BYTES) {
            item.place = RV_FRAGMENTS;
            item.body = c->body;
            item.len = c->body_len > RV_LIMIT_BODY_BYTES ? c->body_len : len;
        } else if (len > RV_LIMIT_ITEM_INLINE_BYTES) {
            if (d->bodies_len == RV_LIMIT_BODIES)
                break;
            item.place = RV_BODY;
            d->bodies[d->bodies_len++] = rv_slice(payload, len + (how == 63));
        } else {
            item.bytes = rv_slice(payload, len);
        }
        rv_item_write(&w->items, &item);
        out->count++;
    }
    out->bytes = rv_buf_slice(&w->items);
}

static const uint32_t waits[] = {0, UINT32_MAX, 5, 1000, UINT32_MAX, 20};

static void add_call(struct world *w, uint16_t op, uint64_t object)
{
    struct rv_msg msg = {.type = RV_MSG_call,
                         .call = {.op = op,
                                  .object = object,
                                  .timeout_ms = waits[pick(&w->in, rv_countof(waits))],
                                  .args = rv_buf_slice(&w->args)}};

    told("    %s object=%llu timeout_ms=%u\n", rv_op_info(op)->name, (unsigned long long)object,
         msg.call.timeout_ms);
    rv_msg_encode(&w->frame, &msg);
    rv_buf_clear(&w->args);
}

static struct rv_slice some_name(struct world *w)
{
    static const char *const names[] = {"", "a", "b", "jobs", "a", "jobs", "b", "mail"};

    return rv_slice_str(names[pick(&w->in, rv_countof(names))]);
}

static void add_open(struct world *w, uint32_t how, struct rv_slice name)
{
    struct rv_object_open_args args = {
        .name = name,
        .create = (how & 7) < 4 ? 1 : (uint8_t)(how & 3),
        .kind = (how & 0xf0) == 0xf0 ? 200
                : (how & 0x80)       ? (uint8_t)(1 + (how >> 4) % 8)
                                     : RV_KIND_QUEUE,
        .order = (uint8_t)((how >> 8) % 4),
        .joinable = (how >> 10) & 1,
        .maxsize = (how >> 11) & 3,
        .ttl_ms = (how >> 13) & 1 ? 30 : 0,
        .deliveries = (how >> 14) & 3,
        .dead = (how >> 16) & 1 ? rv_slice_str("b") : rv_slice(NULL, 0),
        .retry_ms = (how >> 17) & 1 ? 20 : 0,
    };

    rv_object_open_args_encode(&w->args, &args);
    add_call(w, RV_OP_object_open, 0);
}

/* A delivery number: the newest, or any. */
static uint64_t some_delivery(struct world *w, const struct client *c)
{
    uint32_t how = pick(&w->in, 8);

    return how < 4 ? c->seen - (how <= c->seen ? how : 0) : how;
}

static void add_fragment(struct world *w, struct client *c, struct draft *d)
{
    uint32_t how = pick(&w->in, 8);
    struct rv_msg msg = {.type = RV_MSG_fragment};
    uint32_t len = 0;

    if (d->bodies_len == RV_LIMIT_BODIES)
        return;
    if (how == 0 || c->body_at == c->body_len) {
        c->body++;
        c->body_at = 0;
        c->body_len = RV_LIMIT_BODY_BYTES + 1 + pick(&w->in, 3) * 200000;
    }
    len = c->body_len - c->body_at < RV_LIMIT_BODY_BYTES ? c->body_len - c->body_at
                                                         : RV_LIMIT_BODY_BYTES;
    msg.fragment = (struct rv_fragment){
        .body = c->body, .offset = c->body_at + (how == 1), .total = c->body_len};
    c->body_at += len;
    told("    fragment body=%llu offset=%u total=%u\n", (unsigned long long)msg.fragment.body,
         msg.fragment.offset, msg.fragment.total);
    d->bodies[d->bodies_len++] = rv_slice(payload, len);
    d->numbered++;
    rv_msg_encode(&w->frame, &msg);
}

static void add_read(struct world *w, uint16_t op, uint64_t object)
{
    struct rv_msg msg = {
        .type = RV_MSG_read,
        .read = {.id = 7, .op = op, .object = object, .args = rv_buf_slice(&w->args)}};

    rv_msg_encode(&w->frame, &msg);
    rv_buf_clear(&w->args);
}

/* A call on a lock or one of its kin, whatever the object is. */
static void add_sync(struct world *w, uint64_t object)
{
    static const uint16_t plain[] = {RV_OP_event_set, RV_OP_event_clear, RV_OP_barrier_abort,
                                     RV_OP_barrier_reset};
    uint64_t thread = pick(&w->in, 3);
    uint64_t fence = pick(&w->in, 12);
    uint32_t what = pick(&w->in, 14);
    uint16_t op = 0;

    switch (what) {
    case 0:
    case 1:
    case 2:
        op = RV_OP_lock_acquire;
        rv_lock_acquire_args_encode(
            &w->args, &(struct rv_lock_acquire_args){thread, (uint8_t)(fence & 3), 0});
        break;
    case 3:
        op = RV_OP_lock_release;
        rv_lock_release_args_encode(&w->args, &(struct rv_lock_release_args){thread, 0});
        break;
    case 4:
        op = RV_OP_lock_let_go;
        rv_lock_let_go_args_encode(&w->args, &(struct rv_lock_let_go_args){thread, fence, 0});
        break;
    case 5:
        op = RV_OP_lock_abandon;
        rv_lock_abandon_args_encode(&w->args, &(struct rv_lock_abandon_args){thread, 0});
        break;
    case 6:
        op = RV_OP_lock_kept;
        rv_lock_kept_args_encode(&w->args, &(struct rv_lock_kept_args){thread, fence, 0});
        break;
    case 7:
        op = RV_OP_lock_guard;
        rv_lock_guard_args_encode(&w->args, &(struct rv_lock_guard_args){fence, 0});
        break;
    case 8:
        op = RV_OP_condition_wait;
        rv_condition_wait_args_encode(
            &w->args, &(struct rv_condition_wait_args){thread, fence < 8 ? 0 : fence - 7, 0});
        break;
    case 9:
        op = RV_OP_condition_notify;
        rv_condition_notify_args_encode(
            &w->args, &(struct rv_condition_notify_args){thread, fence < 8 ? 0 : fence - 7, 2, 0});
        break;
    case 10:
        op = RV_OP_event_wait;
        rv_event_wait_args_encode(&w->args, &(struct rv_event_wait_args){thread, 0});
        break;
    case 11:
        op = RV_OP_barrier_wait;
        rv_barrier_wait_args_encode(
            &w->args, &(struct rv_barrier_wait_args){thread, (uint8_t)(fence & 1), 0});
        break;
    case 12:
        op = RV_OP_barrier_release;
        rv_barrier_release_args_encode(
            &w->args, &(struct rv_barrier_release_args){fence, (uint8_t)(thread & 1), 0});
        break;
    default:
        op = plain[fence % rv_countof(plain)];
    }
    add_call(w, op, object);
}

static void add_message(struct world *w, struct client *c, struct draft *d)
{
    uint32_t what = pick(&w->in, 31);
    uint64_t object = pick(&w->in, 16);

    object = object < 10 ? 1 : object < 14 ? 2 : object - 11;
    rv_buf_clear(&w->args);
    d->numbered += what < 18 || (what >= 24 && what < 30);
    switch (what) {
    case 0:
    case 1:
    case 2: {
        uint32_t how = (uint32_t)take_number(&w->in, 2);

        add_open(w, how, some_name(w));
        break;
    }
    case 3:
    case 4:
    case 5: {
        struct rv_queue_put_args args = {.items = {0}};

        add_items(w, c, d, &args.items);
        rv_queue_put_args_encode(&w->args, &args);
        add_call(w, RV_OP_queue_put, object);
        break;
    }
    case 6:
    case 7:
    case 8:
        rv_queue_get_args_encode(&w->args, &(struct rv_queue_get_args){.max = pick(&w->in, 20),
                                                                       .seen = some_delivery(w, c),
                                                                       .credit = pick(&w->in, 40)});
        add_call(w, RV_OP_queue_get, object);
        break;
    case 9:
    case 10:
        rv_queue_take_args_encode(
            &w->args,
            &(struct rv_queue_take_args){.taken = some_delivery(w, c), .credit = pick(&w->in, 40)});
        add_call(w, RV_OP_queue_take, object);
        break;
    case 11:
        rv_queue_return_args_encode(&w->args,
                                    &(struct rv_queue_return_args){.recall = c->recall,
                                                                   .taken = some_delivery(w, c),
                                                                   .upto = some_delivery(w, c)});
        add_call(w, RV_OP_queue_return, object);
        break;
    case 12:
        rv_queue_task_done_args_encode(
            &w->args, &(struct rv_queue_task_done_args){.delivery = some_delivery(w, c)});
        add_call(w, pick(&w->in, 2) ? RV_OP_queue_task_done : RV_OP_queue_done, object);
        break;
    case 13:
        add_call(w, RV_OP_queue_join, object);
        break;
    case 14:
        rv_queue_shutdown_args_encode(
            &w->args, &(struct rv_queue_shutdown_args){.immediate = (uint8_t)pick(&w->in, 2)});
        add_call(w, RV_OP_queue_shutdown, object);
        break;
    case 15:
        if (pick(&w->in, 3) == 0) {
            rv_object_ref_args_encode(&w->args, &(struct rv_object_ref_args){.object = object});
            add_call(w, RV_OP_object_ref, 0);
        } else {
            add_call(w, pick(&w->in, 2) ? RV_OP_object_close : RV_OP_object_release, object);
        }
        break;
    case 16:
        rv_object_remove_args_encode(&w->args,
                                     &(struct rv_object_remove_args){.name = some_name(w)});
        add_call(w, pick(&w->in, 8) == 0 ? RV_OP_shutdown : RV_OP_object_remove, object);
        break;
    case 17: {
        struct rv_msg msg = {.type = RV_MSG_cancel,
                             .cancel = {.call = c->next - pick(&w->in, 8), .object = object}};

        told("    cancel call=%llu\n", (unsigned long long)msg.cancel.call);
        rv_msg_encode(&w->frame, &msg);
        break;
    }
    case 18:
    case 19:
        add_fragment(w, c, d);
        break;
    case 20: {
        struct rv_msg beat = {.type = RV_MSG_beat, .beat = {.sent = c->next - 1}};

        rv_msg_encode(&w->frame, &beat);
        break;
    }
    case 21:
        rv_object_list_args_encode(
            &w->args, &(struct rv_object_list_args){.prefix = some_name(w), .after = some_name(w)});
        add_read(w, RV_OP_object_list, 0);
        break;
    case 22:
        rv_session_list_args_encode(&w->args, &(struct rv_session_list_args){.after = object});
        add_read(w, RV_OP_session_list, 0);
        break;
    case 23:
        add_read(w, object < 2 ? RV_OP_status : RV_OP_queue_size, object);
        break;
    case 29:
        if (object > 1) {
            rv_dead_requeue_args_encode(
                &w->args,
                &(struct rv_dead_requeue_args){.name = some_name(w), .number = pick(&w->in, 4)});
            add_call(w, RV_OP_dead_requeue, 0);
        } else {
            rv_dead_list_args_encode(&w->args,
                                     &(struct rv_dead_list_args){.name = some_name(w), .bytes = 9});
            add_read(w, RV_OP_dead_list, 0);
        }
        break;
    case 30:
        if (object > 1) {
            add_read(w, RV_OP_sync_state, object);
            break;
        }
        rv_why_args_encode(&w->args,
                           &(struct rv_why_args){.name = some_name(w), .session = object});
        add_read(w, RV_OP_why, 0);
        rv_session_list_args_encode(&w->args, &(struct rv_session_list_args){0});
        add_read(w, RV_OP_object_debug, 0);
        break;
    default:
        add_sync(w, object);
    }
}

/* A frame as a good client would send it, but for what is in it. */
static void send_messages(struct world *w, struct client *c)
{
    uint8_t how = (uint8_t)take_number(&w->in, 1);
    uint64_t first = c->next;
    uint32_t count = how % MESSAGES;
    struct draft d = {.bodies_len = 0};

    told("  client %u: sends from %llu, ack %llu\n", (unsigned)(c - w->clients),
         (unsigned long long)first, (unsigned long long)c->received);
    rv_buf_clear(&w->frame);
    add_header(w, 0, 0, 0);
    for (uint32_t i = 0; i < count; i++)
        add_message(w, c, &d);
    if (how >= 250) {
        struct rv_msg bye = {.type = RV_MSG_goodbye};

        told("    goodbye\n");
        rv_msg_encode(&w->frame, &bye);
        d.numbered++;
    }
    /* Some frames are sent again in part, or leave a gap. */
    if (how >= 200 && how < 220)
        first -= first > how - 200u ? how - 200u : 0;
    else if (how == 220)
        first++;
    else if (how == 221)
        c->received++; /* and it never comes */
    rv_frame_encode(w->frame.data, &(struct rv_frame){.bodies = (uint8_t)d.bodies_len,
                                                      .first = d.numbered > 0 ? first : 0,
                                                      .ack = c->received});
    if (d.numbered > 0 && first + d.numbered > c->next)
        c->next = first + d.numbered;
    send_frame(w, c, rv_buf_slice(&w->frame), d.bodies, d.bodies_len);
}

/* So many replies that the window closes. */
static void send_many(struct world *w, struct client *c)
{
    enum { CALLS = 1000 };

    told("  client %u: sends %d calls\n", (unsigned)(c - w->clients), CALLS);
    rv_buf_clear(&w->frame);
    add_header(w, 0, c->next, c->received);
    for (int i = 0; i < CALLS; i++) {
        struct rv_msg msg = {.type = RV_MSG_call, .call = {.op = RV_OP_queue_join}};

        rv_msg_encode(&w->frame, &msg);
    }
    c->next += CALLS;
    send_frame(w, c, rv_buf_slice(&w->frame), NULL, 0);
}

/* Any bytes, behind a header that may be good. */
static void send_garbage(struct world *w, struct client *c)
{
    uint8_t how = (uint8_t)take_number(&w->in, 1);
    struct rv_slice bytes = take_bytes(&w->in, (size_t)take_number(&w->in, 1));
    struct rv_slice bodies[RV_LIMIT_BODIES];
    size_t bodies_len = how % (RV_LIMIT_BODIES + 1);

    told("  client %u: %zu bytes of garbage\n", (unsigned)(c - w->clients), bytes.len);
    for (size_t i = 0; i < bodies_len; i++)
        bodies[i] = rv_slice(payload, how);
    rv_buf_clear(&w->frame);
    if (how < 200)
        add_header(w, (uint8_t)bodies_len, how & 1 ? c->next : 0, c->received);
    rv_buf_add(&w->frame, bytes.data, bytes.len);
    send_frame(w, c, rv_buf_slice(&w->frame), bodies, bodies_len);
}

/* ---- what a client hears ---- */

static void note_items(struct client *c, uint64_t first, uint32_t count)
{
    if (count > 0 && first + count - 1 > c->seen)
        c->seen = first + count - 1;
}

static void hear_push(struct client *c, const struct rv_push *push)
{
    struct rv_queue_grant_args grant;
    struct rv_queue_recall_args recall;

    if (push->op == RV_OP_queue_grant) {
        rv_assert(rv_queue_grant_args_decode(&grant, push->args));
        note_items(c, grant.first, grant.items.count);
    } else if (push->op == RV_OP_lock_recall) {
        struct rv_lock_recall_args back;

        rv_assert(rv_lock_recall_args_decode(&back, push->args));
    } else {
        rv_assert(push->op == RV_OP_queue_recall);
        rv_assert(rv_queue_recall_args_decode(&recall, push->args));
        c->recall = recall.recall;
    }
}

static void hear_welcome(struct client *c, const struct rv_welcome *welcome)
{
    c->established = c->welcomed = true;
    c->next = welcome->received + 1;
}

/* Everything that the manager sends is well-formed, within its limits, and leaves no gap. */
static void hear(struct world *w, struct client *c, const struct gate_frame *in)
{
    struct rv_frame frame;
    struct rv_reader r;
    struct rv_msg msg;
    bool version = false;
    uint64_t number = 0;

    rv_assert(rv_frame_decode(&frame, in->control, &version));
    rv_assert(frame.bodies == in->bodies_len);
    told("  client %u: receives from %llu, ack %llu, %zu bytes, %zu bodies\n",
         (unsigned)(c - w->clients), (unsigned long long)frame.first, (unsigned long long)frame.ack,
         in->control.len, in->bodies_len);
    rv_assert(!c->welcomed || w->thieves || frame.first <= c->received + 1);
    r = rv_reader(frame.messages);
    number = frame.first;
    while (rv_frame_next(&r, &msg)) {
        if (rv_msg_numbered(msg.type)) {
            rv_assert(frame.first > 0);
            if (number > c->received)
                c->received = number;
            number++;
        }
        switch (msg.type) {
        case RV_MSG_welcome:
            hear_welcome(c, &msg.welcome);
            break;
        case RV_MSG_reply: {
            struct rv_queue_get_result got;

            if (rv_queue_get_result_decode(&got, msg.reply.result))
                note_items(c, got.first, got.items.count);
            break;
        }
        case RV_MSG_push:
            hear_push(c, &msg.push);
            break;
        case RV_MSG_refuse:
            told("  client %u: refused, error %u\n", (unsigned)(c - w->clients), msg.refuse.error);
            if (!c->welcomed || msg.refuse.error == REEVE_OK || msg.refuse.error == REEVE_EEXPIRED)
                begin_again(c);
            break;
        case RV_MSG_fragment:
        case RV_MSG_beat:
        case RV_MSG_answer:
            break;
        default:
            rv_assert(msg.type == RV_MSG_welcome); /* a client's message from the manager */
        }
    }
    rv_assert(!r.bad);
}

/* Let the gate send all that it has, or one frame that fails. */
static bool receive(struct world *w, enum gate_result result)
{
    struct gate_frame frame;
    bool any = false;

    while (gate_transmit(w->gate, w->now, &frame)) {
        struct client *c = client_of(w, frame.peer);

        if (c == NULL)
            result = GATE_GONE;
        else if (result == GATE_SENT)
            hear(w, c, &frame);
        gate_sent(w->gate, w->now, result);
        any = true;
        if (c != NULL && result == GATE_GONE) {
            hang_up(w, c, false);
            break;
        }
        if (result == GATE_BUSY)
            break;
        result = GATE_SENT;
    }
    return any;
}

static void acknowledge(struct world *w, struct client *c)
{
    rv_buf_clear(&w->frame);
    add_header(w, 0, 0, c->received);
    send_frame(w, c, rv_buf_slice(&w->frame), NULL, 0);
}

/* ---- time ---- */

static void cut_off(struct world *w)
{
    uint64_t peer = 0;

    while (gate_cut(w->gate, &peer)) {
        struct client *c = client_of(w, peer);

        if (c != NULL)
            hang_up(w, c, false);
    }
}

static void pass_time(struct world *w, rv_ns pause)
{
    struct command cmd;

    told("  time passes: %lld ms\n", (long long)(pause / RV_MS));
    w->now += pause;
    while (gate_expire(w->gate, w->now, &cmd))
        add(w, &cmd);
    if (mgr_deadline(w->mgr) <= w->now) {
        cmd = (struct command){.type = COMMAND_EXPIRE, .logged = true, .at = w->now};
        add(w, &cmd);
    }
    cut_off(w);
    rv_assert(gate_deadline(w->gate) > w->now);
}

/* ---- the script ---- */

static void admit(struct world *w, uint32_t id, const char *role)
{
    struct rv_buf row = {0};
    struct command cmd = {.type = COMMAND_PRINCIPAL, .logged = true, .at = w->now};

    rv_principal_row_encode(&row, &(struct rv_principal_row){.id = id,
                                                             .name = rv_slice_str("alice"),
                                                             .role = rv_slice_str(role)});
    cmd.bytes = rv_buf_slice(&row);
    add(w, &cmd);
    rv_buf_free(&row);
}

static void play(struct world *w)
{
    static const rv_ns pauses[] = {0, RV_MS, 10 * RV_MS, 200 * RV_MS, 3 * RV_SEC, 15 * RV_SEC};
    static const char *const roles[] = {"", "client", "admin", "client"};
    uint8_t byte = (uint8_t)take_number(&w->in, 1);
    struct client *c = &w->clients[byte % CLIENTS];
    uint32_t what = byte / CLIENTS % 16;

    if (c->peer == 0 && what < 10) {
        connect_again(w, c);
        if (what != 9)
            say_hello(w, c);
        if (what < 8)
            receive(w, GATE_SENT);
        return;
    }
    switch (what) {
    case 0:
    case 1:
    case 2:
    case 3:
    case 4:
    case 5:
        send_messages(w, c);
        break;
    case 6:
        receive(w, GATE_SENT);
        break;
    case 7:
        acknowledge(w, c);
        break;
    case 8:
        say_hello(w, c);
        break;
    case 9:
        send_garbage(w, c);
        break;
    case 10:
        pass_time(w, pauses[pick(&w->in, rv_countof(pauses))]);
        break;
    case 11:
        hang_up(w, c, byte >= 128);
        break;
    case 12:
        receive(w, byte >= 128 ? GATE_BUSY : GATE_GONE);
        break;
    case 13:
        commit(w, byte);
        break;
    case 14:
        admit(w, c->principal, roles[pick(&w->in, rv_countof(roles))]);
        break;
    default:
        if (c->peer != 0 && byte >= 128)
            send_many(w, c);
        else if (byte >= 64)
            gate_set_full(w->gate, w->full = !w->full);
        else
            gate_forgive(w->gate, 1);
    }
}

/* Everybody is there and has the first two queues open. */
static void begin_well(struct world *w)
{
    uint32_t how = (uint32_t)take_number(&w->in, 2);

    for (size_t i = 0; i < CLIENTS; i++) {
        struct client *c = &w->clients[i];

        connect_again(w, c);
        say_hello(w, c);
        commit(w, SIZE_MAX);
        receive(w, GATE_SENT);
        rv_buf_clear(&w->frame);
        add_header(w, 0, c->next, c->received);
        add_open(w, how & 0xff08, rv_slice_str("a"));
        add_open(w, (how << 3) & 0xff08, rv_slice_str("jobs"));
        c->next += 2;
        send_frame(w, c, rv_buf_slice(&w->frame), NULL, 0);
        commit(w, SIZE_MAX);
    }
}

/* Everybody reads and acknowledges; then the manager has nothing left to say to anybody. */
static void settle(struct world *w)
{
    bool busy = true;

    while (busy) {
        commit(w, SIZE_MAX);
        pass_time(w, RV_MS);
        commit(w, SIZE_MAX);
        for (size_t i = 0; i < CLIENTS; i++)
            if (gate_session(w->gate, w->clients[i].peer) != 0)
                acknowledge(w, &w->clients[i]);
        busy = receive(w, GATE_SENT);
    }
    for (size_t i = 0; i < CLIENTS; i++) {
        struct session *s = mgr_session(w->mgr, gate_session(w->gate, w->clients[i].peer));

        rv_assert(s == NULL || w->thieves || session_out(s)->next == w->clients[i].received + 1);
    }
}

/* Everybody goes and stays away; then no session is left. */
static void go_home(struct world *w)
{
    for (size_t i = 0; i < CLIENTS; i++)
        hang_up(w, &w->clients[i], false);
    for (int i = 0; i < 2; i++) {
        commit(w, SIZE_MAX);
        pass_time(w, rv_after_ms(0, RV_LIMIT_RESUME_MAX_MS));
    }
    commit(w, SIZE_MAX);
    rv_assert(mgr_sessions(w->mgr) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct world w = {.in = {.data = data, .left = len}, .now = RV_SEC};
    struct mgr_conf conf = {.store = store,
                            .term = 1,
                            .server = "fuzz",
                            .durable = "no",
                            .started_at = RV_SEC,
                            .sink = sink};
    uint64_t how = 0;

    w.last = &w.first;
    w.mgr = mgr_new(&conf);
    w.gate = gate_new(w.mgr, &sink);
    w.log = rv_log_mem_open(&(struct rv_log_callbacks){.committed = on_commit, .arg = &w});
    for (uint32_t i = 0; i < CLIENTS; i++) {
        w.clients[i] =
            (struct client){.principal = 1 + i / 2, .session = (uint8_t)(1 + i), .next = 1};
        admit(&w, w.clients[i].principal, "client");
    }
    how = take_number(&w.in, 1);
    w.late = (how & 1) != 0;
    w.thieves = (how & 0x30) == 0x30;
    if ((how & 8) != 0)
        for (size_t i = 0; i < len; i++)
            w.in.more.state = w.in.more.state * 31 + data[i];
    if ((how & 6) != 0)
        begin_well(&w);
    for (int n = 0; (w.in.left > 0 || w.in.more.state != 0) && n < STEPS_MAX; n++) {
        play(&w);
        cut_off(&w);
    }
    settle(&w);
    go_home(&w);
    gate_free(&w.gate);
    mgr_free(&w.mgr);
    rv_log_close(&w.log);
    rv_buf_free(&w.frame);
    rv_buf_free(&w.args);
    rv_buf_free(&w.items);
    return 0;
}
