/* Some clients of a manager do anything at all, and the manager asserts nothing.
 *
 * The input is a script. Its first byte chooses a log that commits at once or one that commits
 * when the script says so, whether two queues are open to everybody from the start, and containers
 * of all types, and whether a random history follows the script; every further step begins with a
 * byte that says who does what: connect, say hello, send a frame of well-formed messages, of
 * containers also such that are nearly so, send garbage, receive, disappear, let time pass. At the end everybody receives and acknowledges everything, and then nothing
 * may be left that the manager has to say; and when all have gone, no session.
 *
 * With -DFUZZ_TRACE the script is told on stderr. */

#include <stdio.h>
#include <stdlib.h>

#include "server/core/gate.h"
#include "server/core/log.h"
#include "server/core/save.h"
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
    bool boxes;   /* containers are open to everybody, too */
    struct pending *first, **last;
    struct client clients[CLIENTS];
    struct rv_buf frame;
    struct rv_buf args;
    struct rv_buf items;
    struct rv_buf calls; /* of a batch */
    struct rv_buf call;
};

static const struct rv_id store = {{'s', 't', 'o', 'r', 'e'}};

/* The bytes of all large items. */
static const uint8_t payload[RV_LIMIT_BODY_BYTES + 1];

/* The same as one whole value each, so long as sizes and fragments are: bin 32. */
static uint8_t wholes[4][RV_LIMIT_BODY_BYTES];
static const uint32_t totals[] = {RV_LIMIT_BODY_BYTES + 1, RV_LIMIT_BODY_BYTES + 200001,
                                  RV_LIMIT_BODY_BYTES + 400001, 70000};

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
    d->bodies[d->bodies_len++] = rv_slice(
        c->body_at == len && how > 2 ? wholes[(c->body_len - totals[0]) / 200000] : payload, len);
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

/* ---- containers ---- */

enum { BOX_FIRST = 3, BOX_KINDS = 6 }; /* the first container, when all are open from the start */

/* Small values: numbers, texts, nests, what equals another one, what is no key, what is no value. */
static const struct {
    const char *bytes;
    size_t len;
} small[] = {
#define BYTES(text)                                                                                \
    {                                                                                              \
        text, sizeof text - 1                                                                      \
    }
    BYTES("\x00"),
    BYTES("\x01"),
    BYTES("\x02"),
    BYTES("\x7f"),
    BYTES("\xff"),
    BYTES("\xc0"),
    BYTES("\xc3"),
    BYTES("\xa1"
          "a"),
    BYTES("\xa1"
          "b"),
    BYTES("\xa4"
          "name"),
    BYTES("\xcb\x3f\xf0\x00\x00\x00\x00\x00\x00"), /* 1.0 */
    BYTES("\xcb\x7f\xf8\x00\x00\x00\x00\x00\x00"), /* no number */
    BYTES("\xcf\xff\xff\xff\xff\xff\xff\xff\xff"),
    BYTES("\xd3\x80\x00\x00\x00\x00\x00\x00\x00"),
    BYTES("\xcc\xc8"),
    BYTES("\x90"),
    BYTES("\x91\x00"),
    BYTES("\x92\x01\xa1"
          "a"),
    BYTES("\x81\xa1"
          "a\x01"),
    BYTES("\x82\x01\x02\xcb\x3f\xf0\x00\x00\x00\x00\x00\x00\x03"), /* a key twice */
    BYTES(
        "\x92\x91\x91\x91\x91\x00\xc7\x0d\x01\x03\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00"),
    BYTES("\xc4\x01x"),
    BYTES("\xa1\xff"),
    BYTES("\xc1"),
    BYTES("\x92\x01"),
    BYTES(""),
#undef BYTES
};

static void make_values(void)
{
    for (size_t i = 0; i < rv_countof(totals); i++) {
        wholes[i][0] = 0xc6;
        rv_set_number(wholes[i] + 1, totals[i] - 5, 4);
    }
}

/* The first ones are good numbers, and come most often. */
static struct rv_slice some_small(struct world *w)
{
    uint32_t how = pick(&w->in, 64);
    size_t i = how < 26 ? how : how % 5;

    return rv_slice(small[i].bytes, small[i].len);
}

/* Values of a call, or of all calls of a batch, at the end of w->items. */
static uint32_t add_values(struct world *w, struct client *c, struct draft *d, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        uint32_t how = pick(&w->in, 32);
        struct rv_item item = {.bytes = some_small(w)};
        uint8_t refs[8];

        if (how == 0 && d->bodies_len < RV_LIMIT_BODIES) {
            item.place = RV_BODY;
            item.bytes = rv_slice(wholes[3], totals[3]);
            d->bodies[d->bodies_len++] = item.bytes;
        } else if (how == 1 && c->body_len > RV_LIMIT_BODY_BYTES) {
            item.place = RV_FRAGMENTS;
            item.body = c->body;
            item.bytes.len = c->body_len;
        } else if (how == 2) {
            item.bytes = rv_slice(wholes[3], 300); /* a part of one */
        }
        item.len = (uint32_t)item.bytes.len;
        if (item.len >= 8 && (how & 8) != 0) {
            rv_set_number(refs, 1 + pick(&w->in, 6), 8);
            item.refs = rv_slice(refs, 8);
        }
        rv_item_write(&w->items, &item);
    }
    return count;
}

static const uint16_t box_ops[] = {
    RV_OP_dict_set,      RV_OP_dict_setdefault, RV_OP_dict_del,    RV_OP_dict_pop,
    RV_OP_dict_popitem,  RV_OP_dict_clear,      RV_OP_dict_fetch,  RV_OP_dict_edit,
    RV_OP_dict_cas,      RV_OP_dict_wait,       RV_OP_list_insert, RV_OP_list_set,
    RV_OP_list_del,      RV_OP_list_pop,        RV_OP_list_splice, RV_OP_list_remove,
    RV_OP_list_reverse,  RV_OP_list_sort,       RV_OP_list_repeat, RV_OP_list_clear,
    RV_OP_list_fetch,    RV_OP_list_edit,       RV_OP_list_cas,    RV_OP_list_wait,
    RV_OP_set_add,       RV_OP_set_discard,     RV_OP_set_pop,     RV_OP_set_clear,
    RV_OP_set_update,    RV_OP_set_combine,     RV_OP_set_wait,    RV_OP_dict_get,
    RV_OP_dict_contains, RV_OP_dict_len,        RV_OP_dict_page,   RV_OP_list_get,
    RV_OP_list_page,     RV_OP_list_find,       RV_OP_list_len,    RV_OP_set_contains,
    RV_OP_set_len,       RV_OP_set_page,        RV_OP_set_compare,
};

/* One that the operation is made for, or any. */
static uint64_t some_box(struct world *w, uint16_t op)
{
    uint32_t how = pick(&w->in, 16);

    if (how == 15)
        return pick(&w->in, 12);
    if (rv_op_family(op) == rv_op_family(RV_OP_dict_set))
        return BOX_FIRST + how % 2; /* a dict, a namespace */
    if (rv_op_family(op) == rv_op_family(RV_OP_list_set))
        return BOX_FIRST + 3 + how % 3; /* a list, an array, a value */
    return BOX_FIRST + 2;
}

static int64_t some_place(struct world *w)
{
    static const int64_t far[] = {INT64_MAX, INT64_MIN, INT64_MIN + 1, 1000000};
    uint32_t how = pick(&w->in, 16);

    return how < 4 ? far[how] : (int64_t)how - 10;
}

/* Its values stand in `values` already, or come from elsewhere. */
static void add_box_args(struct world *w, struct rv_buf *out, uint16_t op, struct rv_items values)
{
    uint32_t how = pick(&w->in, 16);
    struct rv_slice key = some_small(w);
    struct rv_slice path = how < 3 ? some_small(w) : rv_slice(NULL, 0);
    uint64_t other = how < 8 ? 0 : some_box(w, op);
    uint8_t what = (uint8_t)(how < 15 ? how % 6 : 200);

    switch ((enum rv_op)op) {
    case RV_OP_dict_set:
    case RV_OP_set_add:
        rv_set_add_args_encode(out, &(struct rv_set_add_args){values, 0});
        break;
    case RV_OP_dict_setdefault:
        rv_dict_setdefault_args_encode(out, &(struct rv_dict_setdefault_args){key, values, 0});
        break;
    case RV_OP_dict_del:
    case RV_OP_dict_pop:
    case RV_OP_dict_contains:
    case RV_OP_set_contains:
    case RV_OP_list_remove:
        rv_dict_del_args_encode(out, &(struct rv_dict_del_args){.key = key});
        break;
    case RV_OP_dict_get:
    case RV_OP_dict_fetch:
        rv_dict_get_args_encode(out, &(struct rv_dict_get_args){.key = key, .path = path});
        break;
    case RV_OP_dict_edit:
        rv_dict_edit_args_encode(out, &(struct rv_dict_edit_args){what, key, path, values, 0});
        break;
    case RV_OP_dict_cas:
        rv_dict_cas_args_encode(out, &(struct rv_dict_cas_args){(uint8_t)how, key, values, 0});
        break;
    case RV_OP_dict_page:
    case RV_OP_set_page:
        rv_dict_page_args_encode(
            out, &(struct rv_dict_page_args){.changes = how, .after = how < 8 ? path : key});
        break;
    case RV_OP_dict_wait:
    case RV_OP_list_wait:
    case RV_OP_set_wait:
        rv_dict_wait_args_encode(
            out, &(struct rv_dict_wait_args){.seen = how, .key = how < 8 ? path : key});
        break;
    case RV_OP_list_insert:
    case RV_OP_list_set:
        rv_list_set_args_encode(out, &(struct rv_list_set_args){some_place(w), values, 0});
        break;
    case RV_OP_list_del:
    case RV_OP_list_pop:
    case RV_OP_list_repeat:
        rv_list_del_args_encode(out, &(struct rv_list_del_args){.at = some_place(w)});
        break;
    case RV_OP_list_get:
    case RV_OP_list_fetch:
        rv_list_get_args_encode(out, &(struct rv_list_get_args){.at = some_place(w), .path = path});
        break;
    case RV_OP_list_edit:
        rv_list_edit_args_encode(out,
                                 &(struct rv_list_edit_args){what, some_place(w), path, values, 0});
        break;
    case RV_OP_list_cas:
        rv_list_cas_args_encode(out,
                                &(struct rv_list_cas_args){(uint8_t)how, some_place(w), values, 0});
        break;
    case RV_OP_list_splice:
        rv_list_splice_args_encode(out, &(struct rv_list_splice_args){(uint8_t)how, some_place(w),
                                                                      some_place(w), some_place(w),
                                                                      values, 0});
        break;
    case RV_OP_list_page:
        rv_list_page_args_encode(out, &(struct rv_list_page_args){.bounds = (uint8_t)how,
                                                                  .start = some_place(w),
                                                                  .stop = some_place(w),
                                                                  .step = some_place(w),
                                                                  .skip = how});
        break;
    case RV_OP_list_sort:
        rv_list_sort_args_encode(out, &(struct rv_list_sort_args){.reverse = how & 1});
        break;
    case RV_OP_list_find:
        rv_list_find_args_encode(
            out, &(struct rv_list_find_args){what, key, some_place(w), some_place(w), 0});
        break;
    case RV_OP_set_discard:
        rv_set_discard_args_encode(out, &(struct rv_set_discard_args){how & 1, values, 0});
        break;
    case RV_OP_set_update:
    case RV_OP_set_combine:
        rv_set_update_args_encode(out, &(struct rv_set_update_args){what, other, values, 0});
        break;
    case RV_OP_set_compare:
        rv_set_compare_args_encode(out, &(struct rv_set_compare_args){what, other, key, 0});
        break;
    default: /* without arguments */
        break;
    }
}

/* Now and then the arguments are not quite what they have to be. */
static void spoil(struct world *w, struct rv_buf *b, size_t start, uint32_t one_in)
{
    uint32_t how = pick(&w->in, 128);

    if (how >= 128 / one_in || b->len == start)
        return;
    if ((how & 1) != 0)
        b->len--;
    else
        b->data[start + pick(&w->in, 64) % (b->len - start)] ^= (uint8_t)(1u << how % 8);
}

static bool has_values(uint16_t op)
{
    switch ((enum rv_op)op) {
    case RV_OP_dict_set:
    case RV_OP_dict_setdefault:
    case RV_OP_dict_edit:
    case RV_OP_dict_cas:
    case RV_OP_list_insert:
    case RV_OP_list_set:
    case RV_OP_list_edit:
    case RV_OP_list_cas:
    case RV_OP_list_splice:
    case RV_OP_set_add:
    case RV_OP_set_discard:
    case RV_OP_set_update:
    case RV_OP_set_combine:
        return true;
    default:
        return false;
    }
}

static uint32_t some_count(struct world *w, uint16_t op)
{
    uint32_t how = pick(&w->in, 16);

    if (!has_values(op))
        return how == 15;
    return how < 8 ? (op == RV_OP_dict_set ? 2 : 1) : how < 12 ? 2 : how == 15 ? 9 : how - 12;
}

static void add_batch(struct world *w, struct client *c, struct draft *d)
{
    uint32_t count = pick(&w->in, 8);
    uint32_t of_items = 0;

    rv_buf_clear(&w->items);
    rv_buf_clear(&w->calls);
    for (uint32_t i = 0; i < count; i++) {
        uint16_t op = box_ops[pick(&w->in, rv_countof(box_ops) - 11)];
        uint32_t len = has_values(op) ? some_count(w, op) : 0;
        size_t start = w->calls.len;

        rv_buf_clear(&w->call);
        add_box_args(w, &w->call, op, (struct rv_items){0});
        spoil(w, &w->call, 0, 16);
        rv_write_number(&w->calls, 0, 4);
        rv_batch_call_encode(&w->calls, &(struct rv_batch_call){.op = op,
                                                                .object = some_box(w, op),
                                                                .values = len,
                                                                .args = rv_buf_slice(&w->call)});
        spoil(w, &w->calls, start + 4, 32);
        rv_set_number(w->calls.data + start, w->calls.len - start - 4, 4);
        of_items += add_values(w, c, d, len);
    }
    rv_batch_args_encode(&w->args,
                         &(struct rv_batch_args){.count = count + (pick(&w->in, 32) == 0),
                                                 .calls = rv_buf_slice(&w->calls),
                                                 .values = {of_items, rv_buf_slice(&w->items)}});
    add_call(w, RV_OP_batch, 0);
}

static void add_box(struct world *w, struct client *c, struct draft *d)
{
    uint16_t op = box_ops[pick(&w->in, rv_countof(box_ops))];
    struct rv_items of_call = {0};

    rv_buf_clear(&w->items);
    if (has_values(op))
        of_call.count = add_values(w, c, d, some_count(w, op));
    of_call.bytes = rv_buf_slice(&w->items);
    add_box_args(w, &w->args, op, of_call);
    if (pick(&w->in, 16) == 0)
        spoil(w, &w->args, 0, 8);
    if (rv_op_info(op)->flags & RV_OP_WRITE) {
        d->numbered++;
        add_call(w, op, some_box(w, op));
    } else {
        add_read(w, op, some_box(w, op));
    }
}

static void open_box(struct world *w, uint32_t i, uint32_t how)
{
    static const struct rv_object_open_args kinds[BOX_KINDS] = {
        {.kind = RV_KIND_DICT},
        {.kind = RV_KIND_NAMESPACE},
        {.kind = RV_KIND_SET},
        {.kind = RV_KIND_LIST},
        {.kind = RV_KIND_ARRAY, .maxsize = 3, .typecode = 'i'},
        {.kind = RV_KIND_VALUE},
    };
    static const char *const names[BOX_KINDS] = {"dict", "ns", "set", "list", "array", "value"};
    struct rv_object_open_args args = kinds[i];

    args.create = 1;
    args.name = rv_slice_str(names[i]);
    args.bytes = how & 1 ? 60 : 0;
    args.ttl_ms = how & 2 ? 30 : 0;
    if ((how & 0x3c) == 0x3c)
        args.typecode = (uint8_t) "bBdfu?cx"[how >> 6 & 7];
    rv_object_open_args_encode(&w->args, &args);
    add_call(w, RV_OP_object_open, 0);
}

static void add_message(struct world *w, struct client *c, struct draft *d)
{
    uint32_t what = pick(&w->in, w->boxes ? 60 : 31);
    uint64_t object = pick(&w->in, 16);

    object = object < 10 ? 1 : object < 14 ? 2 : object - 11;
    rv_buf_clear(&w->args);
    if (what > 30) {
        d->numbered += what > 50;
        if (what > 58)
            open_box(w, pick(&w->in, BOX_KINDS), (uint32_t)take_number(&w->in, 2));
        else if (what > 50)
            add_batch(w, c, d);
        else
            add_box(w, c, d);
        return;
    }
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
        for (uint32_t k = 0; w->boxes && k < BOX_KINDS; k++, c->next++)
            open_box(w, k, 0);
        send_frame(w, c, rv_buf_slice(&w->frame), NULL, 0);
        commit(w, SIZE_MAX);
    }
}

static void add_block(void *arg, struct rv_slice bytes)
{
    rv_buf_add(arg, bytes.data, bytes.len);
}

/* What a snapshot has of it is all there is. */
static void compare_with_snapshot(const struct world *w, const struct mgr_conf *conf)
{
    struct rv_buf state = {0};
    struct rv_buf again = {0};
    struct mgr *loaded = NULL;

    if (!mgr_can_save(w->mgr))
        return;
    mgr_save(w->mgr, &(struct saver){.block = add_block, .arg = &state});
    loaded = mgr_new(conf);
    rv_assert(mgr_load(loaded, rv_buf_slice(&state)));
    mgr_check(loaded);
    mgr_save(loaded, &(struct saver){.block = add_block, .arg = &again});
    rv_assert(rv_slice_equal(rv_buf_slice(&state), rv_buf_slice(&again)));
    mgr_free(&loaded);
    rv_buf_free(&state);
    rv_buf_free(&again);
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
        busy = receive(w, GATE_SENT) || w->first != NULL;
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
    w.boxes = (how & 0x40) != 0;
    make_values();
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
    if (w.boxes)
        compare_with_snapshot(&w, &conf);
    go_home(&w);
    gate_free(&w.gate);
    mgr_free(&w.mgr);
    rv_log_close(&w.log);
    rv_buf_free(&w.frame);
    rv_buf_free(&w.args);
    rv_buf_free(&w.items);
    rv_buf_free(&w.calls);
    rv_buf_free(&w.call);
    return 0;
}
