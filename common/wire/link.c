#include "common/wire/link.h"

#include <stdio.h>

enum { SEND_BYTES = 16384 }; /* unsent bytes that leave without waiting for an acknowledgement */

/* ---- states ---- */

static void reset_connection(struct rv_link *link)
{
    struct rv_request *call = NULL;

    link->cursor = link->out.first;
    link->pace = 0;
    link->hello_due = link->beat_due = false;
    link->ack_at = RV_NEVER;
    link->unacked_bytes = 0;
    DL_FOREACH (link->read_list, call) {
        call->sent = false;
    }
}

/* Drop the connection and try again after a pause that grows and is never the same twice. */
static void again(struct rv_link *link, rv_ns now)
{
    uint64_t pause = link->backoff_ms / 2 + rv_rng_below(&link->rng, link->backoff_ms / 2 + 1);

    rv_assert(link->state != RV_LINK_DEAD && link->state != RV_LINK_IDLE);
    if (link->state == RV_LINK_READY)
        link->lost_at = now;
    link->close_wanted = true;
    link->state = RV_LINK_IDLE;
    link->retry_at = now + (rv_ns)pause * RV_MS;
    link->backoff_ms = link->backoff_ms * 2 < RV_LIMIT_BACKOFF_MAX_MS ? link->backoff_ms * 2
                                                                      : RV_LIMIT_BACKOFF_MAX_MS;
    link->endpoint = (link->endpoint + 1) % link->conf.endpoints_len;
    reset_connection(link);
}

void rv_link_init(struct rv_link *link, const struct rv_link_conf *conf, rv_ns now)
{
    rv_assert(conf->endpoints_len > 0);
    *link = (struct rv_link){
        .conf = *conf,
        .rng = {conf->seed},
        .retry_at = now,
        .lost_at = now,
        .heard_at = now,
        .sent_at = now,
        .ack_at = RV_NEVER,
        .late_at = RV_NEVER,
        .backoff_ms = RV_LIMIT_BACKOFF_MIN_MS,
        .resume_ms = conf->resume_ms == 0 ? RV_LIMIT_RESUME_MS : conf->resume_ms,
        .cursor = 1,
    };
    rv_stream_init(&link->out);
}

/* ---- calls ---- */

void rv_request_free(struct rv_link *link, struct rv_request *call)
{
    if (call == NULL)
        return;
    if (!call->done && call->read) {
        HASH_DEL(link->reads, call);
        DL_DELETE(link->read_list, call);
    } else if (!call->done) {
        HASH_DEL(link->calls, call);
    }
    rv_buf_free(&call->request);
    rv_buf_free(&call->text);
    rv_buf_free(&call->result);
    free(call);
}

static void finish(struct rv_link *link, struct rv_request *call, rv_ns now,
                   const struct rv_outcome *outcome)
{
    if (call->read) {
        HASH_DEL(link->reads, call);
        DL_DELETE(link->read_list, call);
    } else {
        HASH_DEL(link->calls, call);
    }
    call->done = true;
    call->error = outcome->error;
    call->durable = outcome->durable;
    rv_buf_add(&call->text, outcome->text.data, outcome->text.len);
    if (call->hook != NULL)
        call->hook(link, call, now, outcome);
    else
        rv_buf_add(&call->result, outcome->result.data, outcome->result.len);
    if (call->result.bad && call->error == REEVE_OK)
        call->error = REEVE_ENOMEM;
    if (call->abandoned)
        rv_request_free(link, call);
}

void rv_link_die(struct rv_link *link, rv_ns now, reeve_err error, const char *why)
{
    struct rv_port *port = NULL;
    struct rv_outcome outcome = {.error = error};

    if (link->state == RV_LINK_DEAD)
        return;
    if (link->state != RV_LINK_IDLE)
        link->close_wanted = true;
    link->state = RV_LINK_DEAD;
    link->error = error;
    snprintf(link->why, sizeof link->why, "%s", why);
    outcome.text = rv_slice_str(link->why);
    while (link->calls != NULL)
        finish(link, link->calls, now, &outcome);
    while (link->reads != NULL)
        finish(link, link->reads, now, &outcome);
    for (port = link->ports; port != NULL; port = port->hh.next)
        port->ops->dead(port);
}

void rv_link_fini(struct rv_link *link)
{
    rv_link_die(link, 0, REEVE_ECLOSED, "the context was closed");
    rv_stream_fini(&link->out);
    rv_assembly_fini(&link->assembly);
    rv_buf_free(&link->frame);
    rv_buf_free(&link->extra);
}

bool rv_link_room(const struct rv_link *link, size_t bytes)
{
    return rv_stream_bytes(&link->out) + bytes <= RV_LIMIT_WINDOW_BYTES &&
           link->out.next - link->out.first < RV_LIMIT_WINDOW_MESSAGES;
}

struct rv_request *rv_link_call(struct rv_link *link, uint16_t op, uint64_t object,
                                uint32_t timeout_ms, struct rv_slice args,
                                struct rv_body *const *bodies, size_t bodies_len)
{
    struct rv_msg msg = {
        .type = RV_MSG_call,
        .call = {.op = op, .object = object, .timeout_ms = timeout_ms, .args = args}};
    struct rv_request *call = NULL;
    uint64_t number = 0;

    if (link->state == RV_LINK_DEAD)
        return NULL;
    call = calloc(1, sizeof *call);
    if (call == NULL)
        return NULL;
    call->op = op;
    call->object = object;
    call->number = link->out.next;
    HASH_ADD(hh, link->calls, number, sizeof call->number, call);
    if (call->hh.tbl == NULL) {
        free(call);
        return NULL;
    }
    number = rv_stream_add(&link->out, &msg, bodies, bodies_len);
    if (number == 0) {
        HASH_DEL(link->calls, call);
        free(call);
        return NULL;
    }
    link->urgent = number;
    return call;
}

bool rv_link_say(struct rv_link *link, uint16_t op, uint64_t object, struct rv_slice args)
{
    return rv_link_say_bodies(link, op, object, args, NULL, 0);
}

bool rv_link_say_late(struct rv_link *link, rv_ns now, uint16_t op, uint64_t object,
                      struct rv_slice args)
{
    uint64_t urgent = link->urgent;
    bool said = rv_link_say(link, op, object, args);

    link->urgent = urgent;
    if (said && link->late_at == RV_NEVER)
        link->late_at = rv_after_ms(now, RV_LIMIT_TAKE_MS);
    return said;
}

bool rv_link_say_bodies(struct rv_link *link, uint16_t op, uint64_t object, struct rv_slice args,
                        struct rv_body *const *bodies, size_t bodies_len)
{
    struct rv_msg msg = {.type = RV_MSG_call, .call = {.op = op, .object = object, .args = args}};
    uint64_t number = 0;

    if (link->state == RV_LINK_DEAD)
        return false;
    number = rv_stream_add(&link->out, &msg, bodies, bodies_len);
    if (number != 0)
        link->urgent = number;
    return number != 0;
}

struct rv_request *rv_link_read(struct rv_link *link, uint16_t op, uint64_t object,
                                struct rv_slice args)
{
    struct rv_msg msg = {.type = RV_MSG_read, .read = {.op = op, .object = object, .args = args}};
    struct rv_request *call = NULL;

    if (link->state == RV_LINK_DEAD)
        return NULL;
    call = calloc(1, sizeof *call);
    if (call == NULL)
        return NULL;
    call->op = op;
    call->object = object;
    call->read = true;
    call->number = msg.read.id = ++link->last_read;
    /* It must see what this session said before. */
    call->after = link->out.next - 1;
    link->urgent = call->after;
    rv_msg_encode(&call->request, &msg);
    if (!call->request.bad)
        HASH_ADD(hh, link->reads, number, sizeof call->number, call);
    if (call->hh.tbl == NULL) {
        rv_buf_free(&call->request);
        free(call);
        return NULL;
    }
    DL_APPEND(link->read_list, call);
    return call;
}

void rv_link_abandon(struct rv_link *link, struct rv_request *call)
{
    struct rv_msg msg = {.type = RV_MSG_cancel,
                         .cancel = {.call = call->number, .object = call->object}};
    uint64_t number = 0;

    if (call->done || call->read) {
        rv_request_free(link, call);
        return;
    }
    call->abandoned = true;
    number = rv_stream_add(&link->out, &msg, NULL, 0);
    if (number != 0)
        link->urgent = number;
}

void rv_link_goodbye(struct rv_link *link)
{
    struct rv_msg msg = {.type = RV_MSG_goodbye};
    uint64_t number = 0;

    if (link->leaving || link->state == RV_LINK_DEAD)
        return;
    number = rv_stream_add(&link->out, &msg, NULL, 0);
    link->leaving = number != 0;
    link->urgent = number;
}

bool rv_link_flushed(const struct rv_link *link)
{
    return link->out.first == link->out.next && link->puts_in_flight == 0;
}

/* ---- ports ---- */

bool rv_link_add_port(struct rv_link *link, struct rv_port *port)
{
    HASH_ADD(hh, link->ports, object, sizeof port->object, port);
    return port->hh.tbl != NULL;
}

void rv_link_drop_port(struct rv_link *link, struct rv_port *port)
{
    if (port->hh.tbl != NULL)
        HASH_DEL(link->ports, port);
    port->hh.tbl = NULL;
}

struct rv_port *rv_link_port(const struct rv_link *link, uint64_t object)
{
    struct rv_port *port = NULL;

    HASH_FIND(hh, link->ports, &object, sizeof object, port);
    return port;
}

/* ---- connections ---- */

enum rv_link_want rv_link_want(const struct rv_link *link, rv_ns now)
{
    if (link->close_wanted)
        return RV_WANT_CLOSE;
    if (link->state == RV_LINK_IDLE && link->retry_at <= now)
        return RV_WANT_CONNECT;
    return RV_WANT_NOTHING;
}

void rv_link_connecting(struct rv_link *link, rv_ns now)
{
    link->state = RV_LINK_CONNECTING;
    link->deadline_at = rv_after_ms(now, RV_LIMIT_HANDSHAKE_MS);
    link->attempt++;
    reset_connection(link);
}

void rv_link_connected(struct rv_link *link, rv_ns now)
{
    if (link->state != RV_LINK_CONNECTING)
        return;
    link->state = RV_LINK_GREETING;
    link->deadline_at = rv_after_ms(now, RV_LIMIT_HANDSHAKE_MS);
    link->hello_due = true;
    link->mismatches = 0;
}

void rv_link_closed(struct rv_link *link)
{
    link->close_wanted = false;
}

void rv_link_ended(struct rv_link *link, rv_ns now, enum rv_link_end how)
{
    if (link->state == RV_LINK_DEAD || link->state == RV_LINK_IDLE)
        return;
    link->mismatches = how == RV_END_MISMATCH ? link->mismatches + 1 : 0;
    if (how == RV_END_REFUSED) {
        rv_link_die(link, now, REEVE_EAUTH, "the manager does not admit this key");
        return;
    }
    /* An established session has met the right key: whoever hangs up now is a bystander, such as a
     * proxy whose manager is being restarted. */
    if (!link->established && link->mismatches >= 3 * link->conf.endpoints_len) {
        rv_link_die(link, now, REEVE_EAUTH,
                    "the handshake fails: the manager has another key than the one trusted here");
        return;
    }
    again(link, now);
}

/* ---- frames from the manager ---- */

reeve_err rv_error_said(uint64_t number)
{
    switch (number) {
#define ERROR_CASE(name, code, text) case code:
        REEVE_ERRORS(ERROR_CASE)
#undef ERROR_CASE
        return (reeve_err)number;
    default:
        return REEVE_EPROTO;
    }
}

static void on_welcome(struct rv_link *link, rv_ns now, const struct rv_welcome *w)
{
    if (link->state != RV_LINK_GREETING)
        return;
    if (link->established && !rv_id_equal(&link->store, &w->store)) {
        rv_link_die(link, now, REEVE_ESTALE, "the manager was replaced by one with another store");
        return;
    }
    if (link->established && w->term > link->term && w->received + 1 < link->out.first) {
        rv_link_die(link, now, REEVE_EEXPIRED,
                    "power failed at the manager, and what was said last was not asked to survive "
                    "that");
        return;
    }
    if (w->term < link->term || w->received > link->sent_high ||
        w->received + 1 < link->out.first) {
        again(link, now); /* a manager of the past, or one that knows too much */
        return;
    }
    link->store = w->store;
    link->term = w->term;
    link->session = w->session;
    link->resume_ms = w->resume_ms;
    link->established = true;
    link->state = RV_LINK_READY;
    link->backoff_ms = RV_LIMIT_BACKOFF_MIN_MS;
    rv_assert(rv_stream_ack(&link->out, w->received));
    link->cursor = w->received + 1;
    link->acked = link->received;
}

static void on_refuse(struct rv_link *link, rv_ns now, const struct rv_refuse *r)
{
    char why[200];

    if (r->error == REEVE_OK) {
        link->left = true;
        rv_link_die(link, now, REEVE_ECLOSED, "goodbye was said");
        return;
    }
    /* Lost messages and half-known connections are mended by a new connection. */
    if (r->error == REEVE_ELOST || (r->error == REEVE_EPROTO && ++link->refusals < 5)) {
        again(link, now);
        return;
    }
    snprintf(why, sizeof why, "%.*s", (int)r->text.len, (const char *)r->text.data);
    rv_link_die(link, now, rv_error_said(r->error), why);
}

/* A level of a later version survives at least what the highest of this one does. */
static uint8_t reached(uint8_t durable)
{
    return durable > RV_DURABLE_SYNC ? RV_DURABLE_SYNC : durable;
}

static void on_outcome(struct rv_link *link, struct rv_request *call, rv_ns now,
                       struct rv_outcome *outcome, uint32_t error)
{
    outcome->error = rv_error_said(error);
    if (call != NULL)
        finish(link, call, now, outcome);
}

void rv_items_skip(struct rv_link *link, struct rv_reader *r, uint32_t count,
                   const struct rv_slice *bodies, size_t bodies_len, size_t *frames)
{
    for (uint32_t i = 0; i < count; i++) {
        struct rv_item item;
        struct rv_body *body = NULL;

        rv_item_read(r, &item);
        (void)rv_item_receive(&item, &link->assembly, bodies, bodies_len, frames, &body);
        rv_body_drop(body);
    }
}

/* What the values refer to was handed to the session. */
static void release_refs(struct rv_link *link, const struct rv_items *items)
{
    struct rv_reader r = rv_reader(items->bytes);

    for (uint32_t i = 0; i < items->count; i++) {
        struct rv_item item;

        rv_item_read(&r, &item);
        for (size_t k = 0; k < item.refs.len / 8; k++)
            (void)rv_link_say(link, RV_OP_object_release, rv_item_ref(item.refs, k),
                              rv_slice(NULL, 0));
    }
}

/* A push for an object that was closed here: items of a queue are the manager's again by now, and
 * nobody wants the value of a job. */
static void skip_push(struct rv_link *link, const struct rv_push *push,
                      const struct rv_slice *bodies, size_t bodies_len, size_t *frames)
{
    struct rv_items items;
    struct rv_reader r;

    if (!rv_op_items(push->op, push->args, &items))
        return;
    r = rv_reader(items.bytes);
    rv_items_skip(link, &r, items.count, bodies, bodies_len, frames);
    if (push->op == RV_OP_job_result)
        release_refs(link, &items);
}

static void on_message(struct rv_link *link, rv_ns now, const struct rv_msg *msg,
                       const struct rv_slice *bodies, size_t bodies_len, size_t *frames)
{
    struct rv_outcome outcome = {.bodies = bodies, .bodies_len = bodies_len, .frames = frames};
    struct rv_request *call = NULL;
    struct rv_port *port = NULL;

    switch (msg->type) {
    case RV_MSG_welcome:
        on_welcome(link, now, &msg->welcome);
        break;
    case RV_MSG_refuse:
        on_refuse(link, now, &msg->refuse);
        break;
    case RV_MSG_beat:
        /* A gap means that messages were lost on a living connection. */
        if (link->state == RV_LINK_READY && msg->beat.sent > link->received)
            again(link, now);
        break;
    case RV_MSG_answer:
        HASH_FIND(hh, link->reads, &msg->answer.id, sizeof msg->answer.id, call);
        outcome.text = msg->answer.text;
        outcome.result = msg->answer.result;
        on_outcome(link, call, now, &outcome, msg->answer.error);
        break;
    case RV_MSG_reply:
        HASH_FIND(hh, link->calls, &msg->reply.call, sizeof msg->reply.call, call);
        outcome.text = msg->reply.text;
        outcome.result = msg->reply.result;
        outcome.durable = reached(msg->reply.durable);
        on_outcome(link, call, now, &outcome, msg->reply.error);
        break;
    case RV_MSG_push:
        port = rv_link_port(link, msg->push.object);
        if (port != NULL)
            port->ops->push(port, now, &msg->push, bodies, bodies_len, frames);
        else
            skip_push(link, &msg->push, bodies, bodies_len, frames);
        break;
    case RV_MSG_fragment:
        if (*frames < bodies_len &&
            rv_assembly_add(&link->assembly, &msg->fragment, bodies[*frames]))
            ++*frames;
        else if (link->assembly.no_memory)
            rv_link_die(link, now, REEVE_ENOMEM, "no memory for an item that came");
        else
            again(link, now);
        break;
    default:
        again(link, now);
    }
}

void rv_link_receive(struct rv_link *link, rv_ns now, struct rv_slice control,
                     const struct rv_slice *bodies, size_t bodies_len)
{
    struct rv_frame frame;
    struct rv_reader r;
    struct rv_msg msg;
    bool version = true;
    size_t frames = 0;
    uint64_t number = 0;

    if (link->state != RV_LINK_GREETING && link->state != RV_LINK_READY)
        return;
    if (!rv_frame_decode(&frame, control, &version) || frame.bodies != bodies_len) {
        if (!version)
            rv_link_die(link, now, REEVE_EVERSION, "the manager speaks another major version");
        else
            again(link, now);
        return;
    }
    link->heard_at = now;
    if (frame.ack >= link->out.first)
        link->refusals = 0;
    if (frame.ack > link->sent_high) {
        again(link, now);
        return;
    }
    rv_assert(rv_stream_ack(&link->out, frame.ack));
    if (link->cursor < link->out.first)
        link->cursor = link->out.first;
    number = frame.first;
    if (number > link->received + 1) {
        again(link, now); /* something was lost: resume says what */
        return;
    }
    if (number != 0 && number <= link->received)
        return; /* a frame that came twice */
    r = rv_reader(frame.messages);
    while (rv_frame_next(&r, &msg)) {
        bool counts = rv_msg_numbered(msg.type);

        if (counts && link->state != RV_LINK_READY)
            break;
        if (counts)
            link->received = number++;
        on_message(link, now, &msg, bodies, bodies_len, &frames);
        if (link->state != RV_LINK_READY && link->state != RV_LINK_GREETING)
            return;
    }
    if (r.bad) {
        again(link, now);
        return;
    }
    if (link->received > link->acked) {
        link->unacked_bytes += control.len;
        for (size_t i = 0; i < bodies_len; i++)
            link->unacked_bytes += bodies[i].len;
        if (link->ack_at == RV_NEVER)
            link->ack_at = rv_after_ms(now, RV_LIMIT_TAKE_MS);
        if (link->unacked_bytes > RV_LIMIT_WINDOW_BYTES / 16)
            link->ack_at = now;
    }
}

/* ---- frames to the manager ---- */

/* No memory for a frame: nothing is lost, it is tried again soon. */
static bool out_of_memory(struct rv_link *link, rv_ns now)
{
    if (!link->frame.bad && !link->extra.bad)
        return false;
    link->frame.bad = link->extra.bad = false;
    if (link->state == RV_LINK_GREETING)
        again(link, now);
    else if (link->ack_at > rv_after_ms(now, RV_LIMIT_TAKE_MS))
        link->ack_at = rv_after_ms(now, RV_LIMIT_TAKE_MS);
    return true;
}

static bool say_hello(struct rv_link *link, rv_ns now, struct rv_link_frame *out)
{
    static const struct rv_stream none = {.first = 1, .next = 1};
    struct rv_msg msg = {.type = RV_MSG_hello,
                         .hello = {
                             .major = RV_WIRE_MAJOR,
                             .minor = RV_WIRE_MINOR,
                             .session = link->conf.session,
                             .attempt = link->attempt,
                             .established = link->established,
                             .store = link->store,
                             .received = link->received,
                             .resume_ms = link->conf.resume_ms,
                             .host = link->conf.host,
                             .pid = link->conf.pid,
                             .host_name = rv_slice_str(link->conf.host_name),
                             .program = rv_slice_str(link->conf.program),
                         }};

    rv_buf_clear(&link->extra);
    rv_msg_encode(&link->extra, &msg);
    (void)rv_stream_frame(&none, 1, 0, rv_buf_slice(&link->extra), &link->frame, out->bodies,
                          &out->bodies_len);
    out->control = rv_buf_slice(&link->frame);
    link->sending_hello = true;
    return !out_of_memory(link, now);
}

/* Reads leave in a frame after the numbered messages that they must see. */
static size_t add_reads(struct rv_link *link)
{
    struct rv_request *call = NULL;
    size_t any = 0;

    DL_FOREACH (link->read_list, call) {
        if (call->sent)
            continue;
        if (call->after >= link->cursor || link->extra.len > RV_LIMIT_BATCH_BYTES / 2 ||
            any == RV_LIMIT_READS)
            break;
        rv_buf_add(&link->extra, call->request.data, call->request.len);
        any++;
    }
    return any;
}

static void mark_reads(struct rv_link *link)
{
    struct rv_request *call = NULL;
    size_t left = link->sending_reads;

    DL_FOREACH (link->read_list, call) {
        if (left == 0)
            break;
        if (call->sent)
            continue;
        call->sent = true;
        left--;
    }
}

bool rv_link_ready(const struct rv_link *link)
{
    size_t in_flight = 0;

    if (link->state != RV_LINK_READY || link->cursor >= link->out.next)
        return false;
    in_flight = (size_t)(link->cursor - link->out.first);
    if (in_flight >= RV_LIMIT_WINDOW_MESSAGES)
        return false;
    return link->urgent >= link->cursor || link->out.first > link->pace ||
           rv_stream_bytes_from(&link->out, link->cursor) >= SEND_BYTES;
}

void rv_link_hurry(struct rv_link *link)
{
    link->urgent = link->out.next - 1;
    link->beat_due = link->state == RV_LINK_READY && link->out.first < link->out.next;
}

bool rv_link_transmit(struct rv_link *link, rv_ns now, struct rv_link_frame *out)
{
    static const struct rv_stream none = {.first = 1, .next = 1};
    bool ready = false;

    rv_buf_clear(&link->frame);
    rv_buf_clear(&link->extra);
    link->sending_hello = link->sending_beat = false;
    link->sending_reads = 0;
    if (link->state == RV_LINK_GREETING && link->hello_due)
        return say_hello(link, now, out);
    if (link->state != RV_LINK_READY)
        return false;
    if (link->beat_due) {
        struct rv_msg beat = {.type = RV_MSG_beat, .beat = {.sent = link->cursor - 1}};

        rv_msg_encode(&link->extra, &beat);
        link->sending_beat = true;
    }
    link->sending_reads = add_reads(link);
    ready = rv_link_ready(link);
    if (!ready && link->extra.len == 0 && (link->ack_at > now))
        return false;
    link->sending_cursor =
        rv_stream_frame(ready ? &link->out : &none, ready ? link->cursor : 1,
                        link->received + (RV_MUTANT(ACK_EARLY) ? 1 : 0), rv_buf_slice(&link->extra),
                        &link->frame, out->bodies, &out->bodies_len);
    if (!ready)
        link->sending_cursor = link->cursor;
    out->control = rv_buf_slice(&link->frame);
    return !out_of_memory(link, now);
}

void rv_link_sent(struct rv_link *link, rv_ns now, bool sent)
{
    if (!sent)
        return;
    link->sent_at = now;
    if (link->sending_hello) {
        link->hello_due = false;
        return;
    }
    if (link->sending_beat)
        link->beat_due = false;
    mark_reads(link);
    link->cursor = link->sending_cursor;
    if (link->cursor - 1 > link->sent_high)
        link->sent_high = link->cursor - 1;
    if (link->cursor - 1 > link->urgent)
        link->pace = link->cursor - 1;
    if (link->cursor == link->out.next)
        link->late_at = RV_NEVER;
    link->acked = link->received;
    link->ack_at = RV_NEVER;
    link->unacked_bytes = 0;
}

/* ---- time ---- */

static rv_ns give_up_at(const struct rv_link *link)
{
    if (link->state == RV_LINK_READY || !link->established)
        return RV_NEVER;
    return link->lost_at + ((rv_ns)link->resume_ms + RV_LIMIT_GONE_MS) * RV_MS;
}

void rv_link_tick(struct rv_link *link, rv_ns now)
{
    struct rv_port *port = NULL;
    char why[200];

    if (link->state == RV_LINK_DEAD)
        return;
    if (give_up_at(link) <= now) {
        snprintf(why, sizeof why, "manager %s has not answered for %.1f s",
                 link->conf.endpoints[link->endpoint], (double)(now - link->lost_at) / 1e9);
        rv_link_die(link, now, REEVE_ELOST, why);
        return;
    }
    if ((link->state == RV_LINK_CONNECTING || link->state == RV_LINK_GREETING) &&
        link->deadline_at <= now) {
        again(link, now);
        return;
    }
    if (link->state != RV_LINK_READY)
        return;
    if (rv_after_ms(link->heard_at, RV_LIMIT_SUSPECT_MS) <= now) {
        again(link, now);
        return;
    }
    if (rv_after_ms(link->sent_at, RV_LIMIT_BEAT_MS) <= now)
        link->beat_due = true;
    if (link->late_at <= now && !RV_MUTANT(LATE_NEVER)) {
        link->urgent = link->out.next - 1;
        link->late_at = RV_NEVER;
    }
    for (port = link->ports; port != NULL; port = port->hh.next)
        if (port->tick_at <= now)
            port->ops->tick(port, now);
}

static rv_ns sooner(rv_ns a, rv_ns b)
{
    return a < b ? a : b;
}

rv_ns rv_link_deadline(const struct rv_link *link)
{
    rv_ns next = give_up_at(link);
    const struct rv_port *port = NULL;

    switch (link->state) {
    case RV_LINK_IDLE:
        return sooner(next, link->retry_at);
    case RV_LINK_CONNECTING:
    case RV_LINK_GREETING:
        return sooner(next, link->deadline_at);
    case RV_LINK_DEAD:
        return RV_NEVER;
    case RV_LINK_READY:
        break;
    }
    next = sooner(rv_after_ms(link->heard_at, RV_LIMIT_SUSPECT_MS), link->ack_at);
    if (!RV_MUTANT(LATE_NEVER))
        next = sooner(next, link->late_at);
    if (!link->beat_due)
        next = sooner(next, rv_after_ms(link->sent_at, RV_LIMIT_BEAT_MS));
    for (port = link->ports; port != NULL; port = port->hh.next)
        next = sooner(next, port->tick_at);
    return next;
}
