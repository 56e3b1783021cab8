/* sim_box.c -- clients of containers, and the book of what they must be answered. */

#define HASH_NONFATAL_OOM 1 /* headers of both roles meet here */
#include "server/core/box.h"
#include "server/core/session.h"
#include "proxy/core/parcel.h"
#include "tests/lib/sim_box.h"

#include <stdio.h>
#include <stdlib.h>

/* Serials of sessions come again in another store, and behind a loss of power; their ids do not. */
struct deed_key {
    struct rv_id session;
    uint64_t number;
    uint64_t read;
};

struct sim_deed {
    struct deed_key key; /* once it is under way */
    struct sim_client *client;
    struct model_act *acts;
    size_t len;
    bool batch, opens;
    enum rv_durable level; /* of an open */
    uint64_t object;       /* of the first call */
    uint32_t timeout_ms;
    reeve_err refused; /* the manager will, for its own reasons */
    size_t refused_after;
    struct rv_buf wants; /* answers that the model gave, each a line */
    struct rv_buf got;
    bool answered;
    uint8_t durable; /* enum rv_durable: what the answer said */
    struct sim_deed *older;
    struct sim_deed *prev, *next; /* waits */
    UT_hash_handle hh;
};

enum event_kind { EVENT_APPLY, EVENT_PARK, EVENT_END, EVENT_REMOVE };

struct event {
    uint64_t index; /* the record of the log */
    enum event_kind kind;
    struct sim_deed *deed;
    size_t box;
};

struct sim_box_book {
    struct model_box boxes[MODEL_BOXES];
    uint64_t gone[MODEL_BOXES]; /* the last object that had the name and lost it */
    uint8_t level[MODEL_BOXES]; /* enum rv_durable: it was opened with that */
    size_t len;
    struct sim_deed *deeds; /* all, to free them */
    struct sim_deed *under_way;
    struct sim_deed *parked;
    struct event *events;
    size_t events_len, events_cap;
    uint64_t index;
    bool silent; /* events are gone through again */
    uint64_t answered, told;
};

static struct sim_box_book *book(struct sim *s)
{
    if (s->box_book == NULL)
        s->box_book = rv_alloc(sizeof *s->box_book);
    return s->box_book;
}

int sim_box(struct sim *s, const struct model_box *box)
{
    struct sim_box_book *b = book(s);

    rv_assert(b->len < MODEL_BOXES);
    b->boxes[b->len] = *box;
    model_clear(&b->boxes[b->len]);
    return (int)b->len++;
}

const struct model_box *sim_box_model(const struct sim *s, int box)
{
    return &s->box_book->boxes[box];
}

const struct object *sim_box_object(const struct sim *s, int box)
{
    const struct object *o = NULL;

    for (o = s->server.mgr->objects; o != NULL; o = o->by_id.next)
        if (o->name != NULL && strcmp(o->name, s->box_book->boxes[box].name) == 0)
            return o;
    return NULL;
}

size_t sim_box_kept(const struct sim *s)
{
    size_t kept = 0;

    for (size_t i = 0; s->box_book != NULL && i < s->box_book->len; i++)
        kept += sim_box_object(s, (int)i) != NULL;
    return kept;
}

void sim_box_counts(const struct sim *s, uint64_t *answered, uint64_t *told)
{
    *answered = s->box_book == NULL ? 0 : s->box_book->answered;
    *told = s->box_book == NULL ? 0 : s->box_book->told;
}

void sim_box_free(struct sim *s)
{
    struct sim_box_book *b = s->box_book;

    if (b == NULL)
        return;
    HASH_CLEAR(hh, b->under_way);
    while (b->deeds != NULL) {
        struct sim_deed *d = b->deeds;

        b->deeds = d->older;
        free(d->acts);
        rv_buf_free(&d->wants);
        rv_buf_free(&d->got);
        free(d);
    }
    for (size_t i = 0; i < b->len; i++)
        model_free(&b->boxes[i]);
    free(b->events);
    free(b);
    s->box_book = NULL;
}

/* ---- what the manager does ---- */

static void want(struct sim *s, struct sim_deed *d, const struct model_answer *answers, size_t done)
{
    bool failed = done < d->len;

    if (s->box_book->silent)
        return;
    if (d->batch) {
        char text[32];

        snprintf(text, sizeof text, " done=%zu", done);
        rv_buf_add(&d->wants, text, strlen(text));
    }
    if (failed) {
        const char *error = sim_error_name(answers[done].error);

        rv_buf_add(&d->wants, " error=", 7);
        rv_buf_add(&d->wants, error, strlen(error));
    }
    for (size_t i = 0; i < done && !failed; i++) {
        if (d->batch)
            rv_buf_add(&d->wants, ";", 1);
        model_answer_text(&d->wants, &answers[i]);
    }
    rv_buf_add(&d->wants, "\n", 1);
    rv_assert(!d->wants.bad);
}

static void want_error(struct sim *s, struct sim_deed *d, reeve_err error, size_t done)
{
    struct model_answer *answers = rv_alloc((done + 1) * sizeof *answers);

    answers[done].error = error;
    want(s, d, answers, done);
    free(answers);
}

static void want_version(struct sim *s, struct sim_deed *d, uint64_t version)
{
    want(s, d, &(struct model_answer){.has_version = true, .version = version}, 1);
}

static void note(struct sim_box_book *b, enum event_kind kind, struct sim_deed *d, size_t box)
{
    if (b->silent)
        return;
    if (b->events_len == b->events_cap) {
        b->events_cap = b->events_cap == 0 ? 256 : b->events_cap * 2;
        b->events = rv_realloc(b->events, b->events_cap * sizeof *b->events);
    }
    b->events[b->events_len++] = (struct event){b->index, kind, d, box};
}

static bool is_wait(uint16_t op)
{
    return op == RV_OP_dict_wait || op == RV_OP_list_wait || op == RV_OP_set_wait;
}

static void end_park(struct sim *s, struct sim_deed *d, reeve_err error)
{
    struct sim_box_book *b = s->box_book;

    note(b, EVENT_END, d, 0);
    DL_DELETE(b->parked, d);
    if (error != REEVE_OK)
        want_error(s, d, error, 0);
}

/* Who waits for another version of what was changed hears of it. */
static void wake(struct sim *s, const struct sim_deed *by)
{
    struct sim_box_book *b = s->box_book;
    struct sim_deed *d = NULL;
    struct sim_deed *next = NULL;

    DL_FOREACH_SAFE (b->parked, d, next) {
        uint64_t version = model_version(&b->boxes[d->acts[0].box], d->acts);

        for (size_t i = 0; i < by->len; i++)
            if (by->acts[i].box == d->acts[0].box && version != d->acts[0].seen) {
                DL_DELETE(b->parked, d);
                want_version(s, d, version);
                b->told += !b->silent;
                break;
            }
    }
}

static void park(struct sim *s, struct sim_deed *d)
{
    note(s->box_book, EVENT_PARK, d, 0);
    DL_APPEND(s->box_book->parked, d);
}

static void wait_for(struct sim *s, struct sim_deed *d)
{
    const struct model_box *box = &s->box_book->boxes[d->acts[0].box];
    uint64_t version = model_version(box, d->acts);

    if (d->acts[0].keyed && box->kind != RV_KIND_DICT)
        want_error(s, d, REEVE_EINVAL, 0);
    else if (version != d->acts[0].seen)
        want_version(s, d, version);
    else if (d->timeout_ms == 0)
        want_error(s, d, REEVE_ETIME, 0);
    else
        park(s, d);
}

static void apply(struct sim *s, struct sim_deed *d)
{
    struct model_answer *answers = rv_alloc((d->len + 1) * sizeof *answers);
    size_t done = model_apply(s->box_book->boxes, d->acts, d->len, answers);

    if (done == d->len && !d->key.read) {
        note(s->box_book, EVENT_APPLY, d, 0);
        wake(s, d);
    }
    want(s, d, answers, done);
    for (size_t i = 0; i < d->len; i++)
        model_answer_free(&answers[i]);
    free(answers);
}

static struct sim_deed *deed_of(const struct sim *s, struct rv_id session, uint64_t number,
                                bool read)
{
    struct deed_key key = {session, number, read};
    struct sim_deed *d = NULL;

    HASH_FIND(hh, s->box_book->under_way, &key, sizeof key, d);
    return d;
}

static bool grows(const struct sim_deed *d)
{
    return d->batch ? rv_op_info(RV_OP_batch)->flags & RV_OP_GROWS
                    : rv_op_info(d->acts[0].op)->flags & RV_OP_GROWS;
}

static void step(struct sim *s, struct sim_deed *d, bool stripped)
{
    if (d == NULL)
        return;
    if (grows(d) && (s->server.mgr->full || stripped))
        want_error(s, d, REEVE_ENOSPC, 0);
    else if (d->refused != REEVE_OK)
        want_error(s, d, d->refused, d->refused_after);
    else if (d->object <= s->box_book->gone[d->acts[0].box])
        want_error(s, d, REEVE_EGONE, 0);
    else if (is_wait(d->acts[0].op))
        wait_for(s, d);
    else
        apply(s, d);
}

static void forget_content(struct sim *s, size_t box)
{
    struct sim_box_book *b = s->box_book;
    struct sim_deed *d = NULL;
    struct sim_deed *next = NULL;

    note(b, EVENT_REMOVE, NULL, box);
    DL_FOREACH_SAFE (b->parked, d, next) {
        if (d->acts[0].box == box)
            end_park(s, d, REEVE_EGONE);
    }
    model_clear(&b->boxes[box]);
}

static void remove_name(struct sim *s, const struct rv_call *call)
{
    struct sim_box_book *b = s->box_book;
    struct rv_object_remove_args args;

    if (!rv_object_remove_args_decode(&args, call->args))
        return;
    for (size_t i = 0; i < b->len; i++) {
        const struct object *o = sim_box_object(s, (int)i);

        if (o != NULL && rv_slice_equal(args.name, rv_slice_str(b->boxes[i].name))) {
            b->gone[i] = o->id;
            forget_content(s, i);
        }
    }
}

static void end_waits_of(struct sim *s, struct rv_id session)
{
    struct sim_deed *d = NULL;
    struct sim_deed *next = NULL;

    DL_FOREACH_SAFE (s->box_book->parked, d, next) {
        if (rv_id_equal(&d->key.session, &session))
            end_park(s, d, REEVE_OK);
    }
}

static void on_messages(struct sim *s, const struct command *cmd)
{
    const struct session *session = mgr_session(s->server.mgr, cmd->session);
    struct rv_reader r = rv_reader(cmd->bytes);
    uint64_t number = cmd->first;
    struct rv_msg msg;

    if (session == NULL)
        return;
    while (rv_frame_next(&r, &msg)) {
        bool stripped = cmd->stripped && mgr_grows(&msg);
        struct sim_deed *d = NULL;

        if (msg.type == RV_MSG_read)
            step(s, deed_of(s, session->id, msg.read.id, true), false);
        if (!rv_msg_numbered(msg.type) || number++ <= session->applied)
            continue;
        if (msg.type == RV_MSG_call && msg.call.op == RV_OP_object_remove)
            remove_name(s, &msg.call);
        else if (msg.type == RV_MSG_call)
            step(s, deed_of(s, session->id, number - 1, false), stripped);
        if (msg.type == RV_MSG_cancel)
            DL_FOREACH (s->box_book->parked, d) {
                if (rv_id_equal(&d->key.session, &session->id) &&
                    d->key.number == msg.cancel.call) {
                    end_park(s, d, REEVE_ECANCELED);
                    break;
                }
            }
        if (msg.type == RV_MSG_goodbye) {
            end_waits_of(s, session->id);
            return;
        }
    }
}

static const struct session *session_of(const struct sim *s, const struct sim_deed *d)
{
    const struct session *session = NULL;

    HASH_FIND(by_id, s->server.mgr->sessions_by_id, &d->key.session, sizeof d->key.session,
              session);
    return session;
}

static const struct call *parked_at(const struct sim *s, const struct sim_deed *d)
{
    const struct session *session = session_of(s, d);
    const struct call *call = NULL;

    if (session != NULL)
        HASH_FIND(hh, session->calls, &d->key.number, sizeof d->key.number, call);
    return call;
}

void sim_box_before(struct sim *s, const struct command *cmd)
{
    struct sim_deed *d = NULL;
    struct sim_deed *next = NULL;

    if (s->box_book == NULL)
        return;
    s->box_book->index += cmd->logged;
    if (cmd->type == COMMAND_MESSAGES)
        on_messages(s, cmd);
    if (cmd->type == COMMAND_EXPIRE)
        DL_FOREACH_SAFE (s->box_book->parked, d, next) {
            const struct call *call = parked_at(s, d);

            if (call != NULL && call->timer.pos != 0 && call->timer.at <= cmd->at)
                end_park(s, d, REEVE_ETIME);
        }
}

void sim_box_after(struct sim *s, const struct command *cmd)
{
    struct sim_deed *d = NULL;
    struct sim_deed *next = NULL;
    const struct session *session = NULL;

    if (s->box_book == NULL)
        return;
    DL_FOREACH_SAFE (s->box_book->parked, d, next) {
        if (parked_at(s, d) != NULL)
            continue;
        if (session_of(s, d) != NULL)
            sim_broken(s, "the manager forgot that client %d waits for a change of %s",
                       d->client->number, s->box_book->boxes[d->acts[0].box].name);
        end_park(s, d, REEVE_OK);
    }
    if (cmd->type != COMMAND_MESSAGES || s->now < s->box_looked + RV_SEC)
        return;
    s->box_looked = s->now; /* now and then: nobody waits whom the model has told */
    for (session = s->server.mgr->sessions; session != NULL; session = session->by_serial.next)
        for (const struct call *call = session->calls; call != NULL; call = call->hh.next) {
            if (!is_wait(call->op))
                continue;
            DL_FOREACH (s->box_book->parked, d) {
                if (rv_id_equal(&d->key.session, &session->id) && d->key.number == call->number)
                    break;
            }
            if (d == NULL)
                sim_broken(s, "session %llu waits for a change that has come",
                           (unsigned long long)session->serial);
        }
}

static void clear(struct sim_box_book *b)
{
    b->parked = NULL;
    for (size_t i = 0; i < b->len; i++)
        model_clear(&b->boxes[i]);
}

/* What the manager does not know any more the model takes back. */
static void rewind_to(struct sim *s, uint64_t index)
{
    struct sim_box_book *b = s->box_book;
    size_t kept = 0;

    clear(b);
    b->silent = true;
    for (; kept < b->events_len && b->events[kept].index <= index; kept++) {
        struct event *e = &b->events[kept];
        struct sim_deed *d = NULL;

        switch (e->kind) {
        case EVENT_APPLY:
            apply(s, e->deed);
            break;
        case EVENT_PARK:
            park(s, e->deed);
            break;
        case EVENT_END:
            DL_FOREACH (b->parked, d) {
                if (d == e->deed)
                    break;
            }
            if (d != NULL)
                end_park(s, d, REEVE_OK);
            break;
        case EVENT_REMOVE:
            forget_content(s, e->box);
            break;
        }
    }
    b->silent = false;
    for (size_t i = kept; i < b->events_len; i++) {
        const struct sim_deed *d = b->events[i].deed;

        if (b->events[i].kind == EVENT_APPLY && d->answered && d->durable == RV_DURABLE_SYNC)
            sim_broken(s, "%s of client %d was answered as safe, and is lost",
                       rv_op_info(d->acts[0].op)->name, d->client->number);
    }
    b->events_len = kept;
}

void sim_box_replayed(struct sim *s, uint64_t index)
{
    if (s->box_book == NULL)
        return;
    if (index < s->box_book->index)
        rewind_to(s, index);
    s->box_book->index = index;
}

void sim_box_new_store(struct sim *s)
{
    if (s->box_book == NULL)
        return;
    clear(s->box_book);
    s->box_book->events_len = 0;
    memset(s->box_book->gone, 0, sizeof s->box_book->gone);
}

/* ---- the client's side ---- */

static struct sim_deed *deed_new(struct sim *s, int client)
{
    struct sim_deed *d = rv_alloc(sizeof *d);

    d->client = &s->clients[client];
    d->older = book(s)->deeds;
    s->box_book->deeds = d;
    return d;
}

static struct sim_op *op_new(struct sim *s, int client, struct sim_deed *d, uint32_t timeout_ms)
{
    struct sim_op *op = sim_op_new(s, client, SIM_OP_BOX, -1, timeout_ms);

    op->deed = d;
    d->timeout_ms = timeout_ms;
    return op;
}

struct sim_op *sim_box_op_open(struct sim *s, int client, int box, enum rv_durable durable)
{
    struct sim_deed *d = deed_new(s, client);

    d->opens = true;
    d->level = durable;
    s->box_book->level[box] = (uint8_t)(durable == RV_DURABLE_DEFAULT ? RV_DURABLE_SYNC : durable);
    d->acts = rv_alloc(sizeof *d->acts);
    d->acts[0] = (struct model_act){.op = RV_OP_object_open, .box = (uint8_t)box};
    d->len = 1;
    return op_new(s, client, d, UINT32_MAX);
}

struct sim_op *sim_box_op(struct sim *s, int client, const struct model_act *acts, size_t len,
                          bool batch, uint32_t timeout_ms)
{
    struct sim_deed *d = deed_new(s, client);

    d->batch = batch;
    d->len = len;
    d->acts = rv_alloc((len + 1) * sizeof *d->acts);
    memcpy(d->acts, acts, len * sizeof *acts);
    d->object = s->clients[client].boxes[acts[0].box];
    return op_new(s, client, d, timeout_ms);
}

const struct model_act *sim_box_acts(const struct sim_op *op, size_t *len)
{
    *len = op->deed->len;
    return op->deed->acts;
}

void sim_box_op_refused(struct sim_op *op, reeve_err error, size_t done)
{
    op->deed->refused = error;
    op->deed->refused_after = done;
}

struct sim_op *sim_box_call_for(struct sim *s, int client, struct model_act act,
                                uint32_t timeout_ms)
{
    struct sim_op *op = sim_box_op(s, client, &act, 1, false, timeout_ms);

    sim_op_begin(s, op);
    return op;
}

struct sim_op *sim_box_call(struct sim *s, int client, struct model_act act)
{
    return sim_box_call_for(s, client, act, UINT32_MAX);
}

struct sim_op *sim_box_batch(struct sim *s, int client, const struct model_act *acts, size_t len)
{
    struct sim_op *op = sim_box_op(s, client, acts, len, true, UINT32_MAX);

    sim_op_begin(s, op);
    return op;
}

static void noted(struct sim *s, struct sim_op *op)
{
    (void)s;
    *(reeve_err *)op->arg = op->error;
}

reeve_err sim_box_open(struct sim *s, int client, int box, enum rv_durable durable)
{
    struct sim_op *op = sim_box_op_open(s, client, box, durable);
    reeve_err err = REEVE_ETIME;

    op->ended = noted;
    op->arg = &err;
    sim_op_begin(s, op);
    while (err == REEVE_ETIME)
        rv_assert(sim_step(s));
    sim_run(s, 10);
    sim_mark(s);
    return err;
}

bool sim_box_is_open(const struct sim *s, int client, int box)
{
    return s->clients[client].boxes[box] != 0;
}

void sim_box_close(struct sim *s, int client, int box)
{
    struct sim_client *c = &s->clients[client];

    (void)rv_link_say(&c->link, RV_OP_object_close, c->boxes[box], rv_slice(NULL, 0));
    c->boxes[box] = 0;
    sim_client_nudge(s, c);
}

/* ---- arguments ---- */

static struct rv_slice bytes_of(struct rv_buf *room, struct model_val v)
{
    rv_buf_clear(room);
    model_encode(room, v);
    return rv_buf_slice(room);
}

/* The path to it; none is the whole value. */
static struct rv_slice path_of(uint8_t path[static 2], const struct model_act *act)
{
    path[0] = 0x91;
    path[1] = (uint8_t)(act->part - 1);
    return rv_slice(path, act->part == 0 ? 0 : 2);
}

static void encode_array(struct rv_buf *out, const struct model_act *act)
{
    uint8_t head = (uint8_t)(0x90 | act->len);

    rv_buf_add(out, &head, 1);
    for (uint32_t i = 0; i < act->len; i++)
        model_encode(out, act->values[i]);
}

static bool has(const struct sim_client *c, uint64_t object)
{
    for (int i = 0; i < SIM_QUEUES; i++)
        if (c->queues[i].opened && c->queues[i].channel.port.object == object)
            return true;
    for (int i = 0; i < MODEL_BOXES; i++)
        if (c->boxes[i] == object)
            return true;
    return false;
}

/* What was closed since the call was made is not referred to. */
static void forget_closed(struct sim_deed *d)
{
    for (size_t i = 0; i < d->len; i++)
        for (uint32_t k = 0; k < d->acts[i].len; k++)
            if (!has(d->client, d->acts[i].values[k].refers))
                d->acts[i].values[k].refers = 0;
}

/* Without the values, whose place comes last. */
static void encode(struct rv_buf *out, const struct sim_client *c, const struct model_act *act)
{
    uint64_t other = act->other == 0 ? 0 : c->boxes[act->other - 1];
    struct rv_buf room = {0};
    struct rv_slice key = bytes_of(&room, act->key);
    uint8_t path_bytes[2];
    struct rv_slice path = path_of(path_bytes, act);

    switch ((enum rv_op)act->op) {
    case RV_OP_dict_set:
    case RV_OP_set_add:
        rv_set_add_args_encode(out, &(struct rv_set_add_args){0});
        break;
    case RV_OP_dict_setdefault:
        rv_dict_setdefault_args_encode(out, &(struct rv_dict_setdefault_args){.key = key});
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
        rv_dict_edit_args_encode(
            out, &(struct rv_dict_edit_args){.verb = act->how, .key = key, .path = path});
        break;
    case RV_OP_dict_cas:
        rv_dict_cas_args_encode(out, &(struct rv_dict_cas_args){.flags = act->how, .key = key});
        break;
    case RV_OP_dict_page:
    case RV_OP_set_page:
        rv_dict_page_args_encode(out, &(struct rv_dict_page_args){0});
        break;
    case RV_OP_dict_wait:
    case RV_OP_list_wait:
    case RV_OP_set_wait:
        rv_dict_wait_args_encode(
            out, &(struct rv_dict_wait_args){.seen = act->seen,
                                             .key = act->keyed ? key : rv_slice(NULL, 0)});
        break;
    case RV_OP_list_insert:
    case RV_OP_list_set:
        rv_list_set_args_encode(out, &(struct rv_list_set_args){.at = act->at});
        break;
    case RV_OP_list_del:
    case RV_OP_list_pop:
    case RV_OP_list_repeat:
        rv_list_del_args_encode(out, &(struct rv_list_del_args){.at = act->at});
        break;
    case RV_OP_list_get:
    case RV_OP_list_fetch:
        rv_list_get_args_encode(out, &(struct rv_list_get_args){.at = act->at, .path = path});
        break;
    case RV_OP_list_edit:
        rv_list_edit_args_encode(
            out, &(struct rv_list_edit_args){.verb = act->how, .at = act->at, .path = path});
        break;
    case RV_OP_list_cas:
        rv_list_cas_args_encode(out, &(struct rv_list_cas_args){.flags = act->how, .at = act->at});
        break;
    case RV_OP_list_splice:
        rv_list_splice_args_encode(
            out, &(struct rv_list_splice_args){
                     .bounds = act->how, .start = act->at, .stop = act->stop, .step = act->step});
        break;
    case RV_OP_list_page:
        rv_list_page_args_encode(out, &(struct rv_list_page_args){0});
        break;
    case RV_OP_list_sort:
        rv_list_sort_args_encode(out, &(struct rv_list_sort_args){.reverse = act->how});
        break;
    case RV_OP_list_find:
        rv_list_find_args_encode(out, &(struct rv_list_find_args){
                                          .what = RV_FIND_INDEX, .value = key, .stop = INT64_MAX});
        break;
    case RV_OP_set_discard:
        rv_set_discard_args_encode(out, &(struct rv_set_discard_args){.strict = act->how});
        break;
    case RV_OP_set_update:
        rv_set_update_args_encode(out,
                                  &(struct rv_set_update_args){.how = act->how, .other = other});
        break;
    case RV_OP_set_compare: {
        struct rv_buf array = {0};

        encode_array(&array, act);
        rv_set_compare_args_encode(
            out, &(struct rv_set_compare_args){
                     .what = act->how, .other = other, .values = rv_buf_slice(&array)});
        rv_buf_free(&array);
        break;
    }
    default: /* without arguments */
        break;
    }
    rv_buf_free(&room);
    rv_assert(!out->bad);
}

static bool brings(const struct model_act *act)
{
    struct rv_items items;
    struct rv_buf args = {0};
    struct sim_client nobody = {0};
    bool so = false;

    encode(&args, &nobody, act);
    so = rv_op_items(act->op, rv_buf_slice(&args), &items);
    rv_buf_free(&args);
    return so;
}

/* The values of all calls behind the arguments, in the place that comes last there. */
static void add_values(struct rv_buf *args, struct sim_deed *d, struct rv_body **bodies,
                       size_t *bodies_len)
{
    size_t start = args->len;
    size_t count = 0;

    for (size_t i = 0; i < d->len; i++)
        for (uint32_t k = 0; brings(&d->acts[i]) && k < d->acts[i].len; k++, count++) {
            const struct model_val *v = &d->acts[i].values[k];
            struct rv_parcel p;
            struct rv_buf room = {0};
            uint8_t refs[8 * (1 + UINT8_MAX)];

            for (size_t r = 0; r <= v->again; r++)
                rv_set_number(refs + 8 * r, v->refers, 8);
            rv_assert(rv_parcel_make(&p, &d->client->link, rv_slice(NULL, 0), bytes_of(&room, *v),
                                     rv_slice(refs, v->refers == 0 ? 0 : 8u * (1u + v->again)),
                                     0) == REEVE_OK);
            rv_parcel_write(args, &p);
            if (p.item.place == RV_BODY)
                bodies[(*bodies_len)++] = p.body;
            else
                rv_body_drop(p.body);
            rv_buf_free(&room);
        }
    rv_assert(!args->bad && *bodies_len <= RV_LIMIT_BODIES);
    rv_set_number(args->data + start - 8, count, 4);
    rv_set_number(args->data + start - 4, args->len - start, 4);
}

static void encode_batch(struct rv_buf *args, const struct sim_deed *d)
{
    struct rv_buf rows = {0};
    struct rv_buf row = {0};

    for (size_t i = 0; i < d->len; i++) {
        size_t start = rows.len;

        rv_buf_clear(&row);
        encode(&row, d->client, &d->acts[i]);
        rv_write_number(&rows, 0, 4);
        rv_batch_call_encode(
            &rows, &(struct rv_batch_call){.op = d->acts[i].op,
                                           .object = d->client->boxes[d->acts[i].box],
                                           .values = brings(&d->acts[i]) ? d->acts[i].len : 0,
                                           .args = rv_buf_slice(&row)});
        rv_set_number(rows.data + start, rows.len - start - 4, 4);
    }
    rv_batch_args_encode(
        args, &(struct rv_batch_args){.count = (uint32_t)d->len, .calls = rv_buf_slice(&rows)});
    rv_buf_free(&rows);
    rv_buf_free(&row);
}

/* ---- answers ---- */

static void keep_refs(struct sim_client *c, struct rv_slice refs)
{
    for (size_t i = 0; i < refs.len / 8; i++) {
        if (c->liens_len == c->liens_cap) {
            c->liens_cap = c->liens_cap == 0 ? 64 : c->liens_cap * 2;
            c->liens = rv_realloc(c->liens, c->liens_cap * sizeof *c->liens);
        }
        c->liens[c->liens_len++] = rv_item_ref(refs, i);
    }
}

/* All values of an answer, off the frame. */
static void take_values(struct sim_deed *d, struct rv_link *link, const struct rv_request *call,
                        const struct rv_outcome *outcome, struct model_answer *out)
{
    struct rv_items items;
    struct rv_reader r;

    if (outcome->error != REEVE_OK || !rv_op_result_items(call->op, outcome->result, &items))
        return;
    r = rv_reader(items.bytes);
    for (uint32_t i = 0; i < items.count; i++) {
        struct rv_item item;
        struct rv_body *body = NULL;
        struct model_val v;

        rv_item_read(&r, &item);
        if (!call->read)
            rv_assert(rv_item_receive(&item, &link->assembly, outcome->bodies, outcome->bodies_len,
                                      outcome->frames, &body));
        v = model_decode(body == NULL ? item.bytes : rv_slice(body->data, body->len));
        rv_assert(item.refs.len <= 8); /* each object once */
        v.refers = item.refs.len == 0 ? 0 : rv_item_ref(item.refs, 0);
        keep_refs(d->client, item.refs);
        model_answer_add(out, v);
        rv_body_drop(body);
    }
}

/* What a result says beside its values. */
static void read_result(uint16_t op, struct rv_slice result, struct model_answer *a)
{
    union {
        struct rv_dict_get_result get;
        struct rv_dict_cas_result cas;
        struct rv_dict_setdefault_result setdefault;
        struct rv_dict_popitem_result popitem;
        struct rv_dict_page_result page;
        struct rv_list_page_result list_page;
        struct rv_dict_len_result len;
        struct rv_dict_contains_result there;
        struct rv_dict_set_result count;
        struct rv_set_pop_result pop;
        struct rv_dict_wait_result wait;
    } r;
    bool good = true;

    switch ((enum rv_op)op) {
    case RV_OP_dict_pop:
    case RV_OP_dict_get:
    case RV_OP_dict_fetch:
    case RV_OP_dict_edit:
    case RV_OP_list_pop:
    case RV_OP_list_get:
    case RV_OP_list_fetch:
    case RV_OP_list_edit:
        good = rv_dict_get_result_decode(&r.get, result);
        a->version = r.get.version;
        a->has_version = true;
        break;
    case RV_OP_dict_cas:
    case RV_OP_list_cas:
        good = rv_dict_cas_result_decode(&r.cas, result);
        a->n = r.cas.done;
        a->version = r.cas.version;
        a->has_n = a->has_version = true;
        break;
    case RV_OP_dict_setdefault:
        good = rv_dict_setdefault_result_decode(&r.setdefault, result);
        a->n = r.setdefault.created;
        a->version = r.setdefault.version;
        a->has_n = a->has_version = true;
        break;
    case RV_OP_dict_popitem:
        good = rv_dict_popitem_result_decode(&r.popitem, result);
        a->key = good ? model_decode(r.popitem.key) : a->key;
        a->has_key = true;
        break;
    case RV_OP_set_pop:
        good = rv_set_pop_result_decode(&r.pop, result);
        a->key = good ? model_decode(r.pop.value) : a->key;
        a->has_key = true;
        break;
    case RV_OP_dict_page:
    case RV_OP_set_page:
        good = rv_dict_page_result_decode(&r.page, result) && !r.page.more;
        a->version = r.page.changes;
        a->has_version = true;
        break;
    case RV_OP_list_page:
        good = rv_list_page_result_decode(&r.list_page, result) && r.list_page.left == 0;
        a->version = r.list_page.version;
        a->has_version = true;
        break;
    case RV_OP_dict_len:
    case RV_OP_list_len:
    case RV_OP_set_len:
        good = rv_dict_len_result_decode(&r.len, result);
        a->n = r.len.len;
        a->version = r.len.version;
        a->has_n = a->has_version = true;
        model_answer_add(a, model_int((int64_t)r.len.bytes));
        break;
    case RV_OP_dict_contains:
    case RV_OP_set_contains:
    case RV_OP_set_compare:
        good = rv_dict_contains_result_decode(&r.there, result);
        a->n = r.there.there;
        a->has_n = true;
        break;
    case RV_OP_dict_set:
    case RV_OP_list_insert:
    case RV_OP_list_splice:
    case RV_OP_list_repeat:
    case RV_OP_list_find:
    case RV_OP_set_add:
    case RV_OP_set_discard:
    case RV_OP_set_update:
        good = rv_dict_set_result_decode(&r.count, result);
        a->n = r.count.count;
        a->has_n = true;
        break;
    case RV_OP_dict_wait:
    case RV_OP_list_wait:
    case RV_OP_set_wait:
        good = rv_dict_wait_result_decode(&r.wait, result);
        a->version = r.wait.version;
        a->has_version = true;
        break;
    default:
        rv_assert(result.len == 0);
    }
    rv_assert(good);
}

static void write_answer(struct sim_deed *d, const struct rv_outcome *outcome,
                         const struct model_answer *values)
{
    struct model_answer a = *values;
    struct rv_batch_result result = {0};
    struct rv_reader r;
    char text[64];
    size_t at = 0;

    if (d->batch && (outcome->result.len > 0 || outcome->error == REEVE_OK)) {
        rv_assert(rv_batch_result_decode(&result, outcome->result));
    }
    if (d->batch) {
        snprintf(text, sizeof text, " done=%u", result.done);
        rv_buf_add(&d->got, text, strlen(text));
    }
    if (outcome->error != REEVE_OK) {
        snprintf(text, sizeof text, " error=%s", sim_error_name(outcome->error));
        rv_buf_add(&d->got, text, strlen(text));
        return;
    }
    if (!d->batch) {
        a.cap = a.len; /* not to be written to */
        if (a.len == 0)
            a.values = NULL;
        read_result(d->acts[0].op, outcome->result, &a);
        model_answer_text(&d->got, &a);
        if (values->len == 0)
            free(a.values);
        return;
    }
    r = rv_reader(result.results);
    for (size_t i = 0; i < d->len; i++) {
        struct rv_slice row;
        struct rv_batch_answer answer;
        struct model_answer one = {0};

        rv_assert(rv_row_next(&r, &row) && rv_batch_answer_decode(&answer, row));
        read_result(d->acts[i].op, answer.result, &one);
        for (uint32_t k = 0; k < answer.values && at < values->len; k++)
            model_answer_add(&one, values->values[at++]);
        rv_buf_add(&d->got, ";", 1);
        model_answer_text(&d->got, &one);
        model_answer_free(&one);
    }
    rv_assert(r.left == 0 && at == values->len);
}

static void hear(struct rv_link *link, struct rv_request *call, rv_ns now,
                 const struct rv_outcome *outcome)
{
    struct sim_deed *d = call->arg;
    struct model_answer values = {0};

    (void)now;
    rv_buf_clear(&d->got);
    take_values(d, link, call, outcome, &values);
    write_answer(d, outcome, &values);
    model_answer_free(&values);
}

static struct rv_request *begin_open(struct sim *s, const struct sim_op *op)
{
    const struct model_box *box = &s->box_book->boxes[op->deed->acts[0].box];
    struct rv_buf args = {0};
    struct rv_request *request = NULL;

    rv_object_open_args_encode(
        &args,
        &(struct rv_object_open_args){.name = rv_slice_str(box->name),
                                      .create = 1,
                                      .kind = box->kind,
                                      .maxsize = box->kind == RV_KIND_ARRAY ? box->first_len : 0,
                                      .durable = (uint8_t)op->deed->level,
                                      .typecode = box->typecode,
                                      .bytes = box->most});
    request = rv_link_call(&op->client->link, RV_OP_object_open, 0, UINT32_MAX, rv_buf_slice(&args),
                           NULL, 0);
    rv_buf_free(&args);
    return request;
}

struct rv_request *sim_box_begin(struct sim *s, struct sim_op *op)
{
    struct sim_deed *d = op->deed;
    struct rv_link *link = &op->client->link;
    struct rv_body *bodies[RV_LIMIT_BODIES];
    size_t bodies_len = 0;
    struct rv_buf args = {0};
    struct rv_request *request = NULL;

    if (d->opens)
        return begin_open(s, op);
    forget_closed(d);
    if (d->batch)
        encode_batch(&args, d);
    else
        encode(&args, op->client, d->acts);
    if (d->batch || brings(d->acts))
        add_values(&args, d, bodies, &bodies_len);
    if (!d->batch && !(rv_op_info(d->acts[0].op)->flags & RV_OP_WRITE))
        request = rv_link_read(link, d->acts[0].op, d->object, rv_buf_slice(&args));
    else
        request =
            rv_link_call(link, d->batch ? RV_OP_batch : d->acts[0].op, d->batch ? 0 : d->object,
                         d->timeout_ms, rv_buf_slice(&args), bodies, bodies_len);
    for (size_t i = 0; i < bodies_len; i++)
        rv_body_drop(bodies[i]);
    rv_buf_free(&args);
    if (request == NULL)
        return NULL;
    request->hook = hear;
    request->arg = d;
    d->key = (struct deed_key){link->conf.session, request->number, request->read};
    HASH_ADD(hh, s->box_book->under_way, key, sizeof d->key, d);
    return request;
}

/* Is the answer one that the model gave? */
static bool wanted(const struct sim_deed *d)
{
    struct rv_slice left = rv_buf_slice(&d->wants);

    while (left.len > 0) {
        const uint8_t *end = memchr(left.data, '\n', left.len);
        struct rv_slice line = rv_slice(left.data, (size_t)(end - left.data));

        if (rv_slice_equal(line, rv_buf_slice(&d->got)))
            return true;
        left = rv_slice(end + 1, left.len - line.len - 1);
    }
    return false;
}

/* What it says that it survives: at least what its objects were opened with; a question says nothing. */
static void check_level(struct sim *s, const struct sim_deed *d)
{
    uint8_t least = d->batch ? RV_DURABLE_SYNC : s->box_book->level[d->acts[0].box];

    if (!s->server.memory && !d->key.read && d->durable < least)
        sim_broken(s, "client %d: %s of %s was answered as level %u, and is of level %u",
                   d->client->number, d->batch ? "a batch" : rv_op_info(d->acts[0].op)->name,
                   s->box_book->boxes[d->acts[0].box].name, d->durable, least);
}

void sim_box_answered(struct sim *s, struct sim_op *op)
{
    struct sim_deed *d = op->deed;
    struct rv_object_open_result result;

    if (d->opens) {
        if (op->request->error != REEVE_OK)
            return;
        rv_assert(rv_object_open_result_decode(&result, rv_buf_slice(&op->request->result)));
        op->client->boxes[d->acts[0].box] = result.object;
        return;
    }
    if (op->client->link.state == RV_LINK_DEAD ||
        (d->key.read && op->request->error == REEVE_ELIMIT))
        return;
    d->answered = true;
    d->durable = op->request->durable;
    s->box_book->answered++;
    if (op->request->error == REEVE_OK)
        check_level(s, d);
    if (!wanted(d))
        sim_broken(s, "client %d: %s of %s was answered\n%.*s\nand had to be\n%.*s",
                   op->client->number, d->batch ? "a batch" : rv_op_info(d->acts[0].op)->name,
                   s->box_book->boxes[d->acts[0].box].name, (int)d->got.len,
                   (const char *)d->got.data, (int)d->wants.len, (const char *)d->wants.data);
}

void sim_box_tell(struct sim *s, const struct sim_op *op)
{
    const struct sim_deed *d = op->deed;
    const char *word = d->batch ? "batch" : rv_op_info(d->acts[0].op)->name;

    if (d->got.len == 0 && op->error != REEVE_OK)
        sim_say(s, "%s.fail client=%d error=%s", word, op->client->number,
                sim_error_name(op->error));
    else
        sim_say(s, "%s.%s client=%d%.*s", word, op->error == REEVE_OK ? "ok" : "fail",
                op->client->number, (int)d->got.len,
                d->got.len == 0 ? "" : (const char *)d->got.data);
}
