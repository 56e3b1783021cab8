#include "server/core/box.h"
#include "server/core/carry.h"
#include "server/core/crew.h"
#include "server/core/dead.h"
#include "server/core/object.h"
#include "server/core/queue.h"
#include "server/core/quota.h"
#include "server/core/session.h"
#include "server/core/sync.h"

#include <stdarg.h>
#include <stdio.h>

/* ---- saying what happened ---- */

void mgr_say(struct mgr *mgr, int level, const char *format, ...)
{
    char line[1024];
    va_list args;

    if (mgr->conf.sink.line == NULL)
        return;
    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    mgr->conf.sink.line(mgr->conf.sink.arg, level, line);
}

char *mgr_text(struct rv_slice text)
{
    char *copy = rv_alloc(text.len + 1);

    if (text.len > 0)
        memcpy(copy, text.data, text.len);
    return copy;
}

void mgr_refused(struct mgr *mgr, const struct session *s, const struct rv_call *msg,
                 reeve_err error)
{
    mgr_say(mgr, RV_AUDIT, "call.refuse session=%llu key=%s op=%s object=%llu error=%s",
            (unsigned long long)s->serial, mgr_principal_name(mgr, s->principal),
            rv_op_info(msg->op)->name, (unsigned long long)msg->object,
            error == REEVE_EPERM    ? "EPERM"
            : error == REEVE_EQUOTA ? "EQUOTA"
                                    : "ELIMIT");
}

/* ---- effects ---- */

static void note_output(struct mgr *mgr, struct session *s)
{
    if (s->output)
        return;
    s->output = true;
    outbox_add(mgr->out, (struct effect){.type = EFFECT_OUTPUT, .session = s->serial});
}

void mgr_reply(struct mgr *mgr, struct session *s, uint64_t number, reeve_err error,
               const char *text, struct rv_slice result, struct rv_body *const *bodies,
               size_t bodies_len)
{
    struct rv_msg msg = {.type = RV_MSG_reply,
                         .reply = {.call = number,
                                   .error = (uint32_t)error,
                                   .durable = mgr->reached,
                                   .text = rv_slice_str(text),
                                   .result = result}};

    rv_assert(rv_stream_add(&s->out, &msg, bodies, bodies_len) != 0);
    note_output(mgr, s);
}

void mgr_reply_text(struct mgr *mgr, struct session *s, uint64_t number, reeve_err error,
                    const char *text)
{
    mgr_reply(mgr, s, number, error, text, rv_slice(NULL, 0), NULL, 0);
}

void mgr_push(struct mgr *mgr, struct session *s, uint16_t op, uint64_t object,
              struct rv_slice args, struct rv_body *const *bodies, size_t bodies_len)
{
    struct rv_msg msg = {.type = RV_MSG_push, .push = {.op = op, .object = object, .args = args}};

    rv_assert(rv_stream_add(&s->out, &msg, bodies, bodies_len) != 0);
    note_output(mgr, s);
}

void mgr_answer(struct mgr *mgr, struct session *s, uint64_t id, reeve_err error, const char *text,
                struct rv_slice result)
{
    struct rv_msg msg = {
        .type = RV_MSG_answer,
        .answer = {
            .id = id, .error = (uint32_t)error, .text = rv_slice_str(text), .result = result}};
    size_t at = mgr->out->bytes.len;

    rv_msg_encode(&mgr->out->bytes, &msg);
    outbox_add(mgr->out, (struct effect){.type = EFFECT_ANSWER,
                                         .session = s->serial,
                                         .at = at,
                                         .len = mgr->out->bytes.len - at});
}

void mgr_refuse(struct mgr *mgr, uint64_t peer, reeve_err error, const char *text)
{
    size_t at = mgr->out->bytes.len;

    mgr->refused++;
    rv_buf_add(&mgr->out->bytes, text, strlen(text));
    outbox_add(mgr->out, (struct effect){.type = EFFECT_REFUSE,
                                         .peer = peer,
                                         .error = error,
                                         .at = at,
                                         .len = mgr->out->bytes.len - at});
}

/* ---- parked calls ---- */

struct call *mgr_park(struct mgr *mgr, struct session *s, const struct rv_call *msg,
                      uint64_t number, struct object *object, struct call **list)
{
    struct call *call = NULL;

    if (HASH_COUNT(s->calls) >= RV_LIMIT_PARKED ||
        !quota_allows(mgr, s->principal, RV_QUOTA_WAITERS, 1))
        return NULL;
    quota_add(mgr, s->principal, RV_QUOTA_WAITERS, 1);
    call = rv_alloc(sizeof *call);
    call->session = s;
    call->number = number;
    call->since = mgr->now;
    call->op = msg->op;
    call->object = object;
    call->list = list;
    call->timer.kind = TIMER_CALL;
    if (!RV_MUTANT(TIMEOUT_IGNORED))
        rv_heap_set(&mgr->heap, &call->timer, rv_after_ms(mgr->now, msg->timeout_ms));
    DL_APPEND(*list, call);
    HASH_ADD(hh, s->calls, number, sizeof call->number, call);
    lock_guard_parked(mgr, call);
    /* Whoever waits here is not using what it was granted elsewhere. */
    if (s->ahead > 0) {
        struct ref *ref = NULL;
        struct ref *next = NULL;

        HASH_ITER (hh, s->refs, ref, next) {
            if (ref->object != object && ref->object->ops->idle != NULL)
                ref->object->ops->idle(mgr, ref);
        }
    }
    return call;
}

reeve_err mgr_why_not_parked(struct mgr *mgr, const struct session *s, uint64_t bytes,
                             const char **text)
{
    enum rv_quota which =
        quota_allows(mgr, s->principal, RV_QUOTA_WAITERS, 1) ? RV_QUOTA_FLIGHT : RV_QUOTA_WAITERS;

    if (which == RV_QUOTA_WAITERS || !quota_allows(mgr, s->principal, which, bytes)) {
        *text = quota_text(mgr, s->principal, which);
        return REEVE_EQUOTA;
    }
    *text = "too much waits in this session";
    return REEVE_ELIMIT;
}

struct call *mgr_park_or_refuse(struct mgr *mgr, const struct incoming *in, struct object *object,
                                struct call **list)
{
    struct call *call = mgr_park(mgr, in->session, in->msg, in->number, object, list);

    if (call == NULL) {
        const char *text = NULL;
        reeve_err err = mgr_why_not_parked(mgr, in->session, 0, &text);

        mgr_refused(mgr, in->session, in->msg, err);
        mgr_reply_text(mgr, in->session, in->number, err, text);
    }
    return call;
}

void mgr_unpark(struct mgr *mgr, struct call *call)
{
    rv_heap_cancel(&mgr->heap, &call->timer);
    DL_DELETE(*call->list, call);
    HASH_DELETE(hh, call->session->calls, call);
    quota_drop(mgr, call->session->principal, RV_QUOTA_WAITERS, 1);
    lock_guard_unparked(call);
    if (call->object->ops->unparked != NULL)
        call->object->ops->unparked(mgr, call);
    free(call);
}

/* ---- principals ---- */

const struct principal *mgr_principal(const struct mgr *mgr, uint32_t id)
{
    return id < mgr->principals_len ? mgr->principals[id] : NULL;
}

bool mgr_knows(const struct mgr *mgr, uint32_t principal)
{
    return mgr_principal(mgr, principal) != NULL;
}

uint8_t mgr_reaches(const struct mgr *mgr, uint8_t durable)
{
    bool logged = strcmp(mgr->conf.durable, "none") != 0;

    return !logged ? RV_DURABLE_NONE : durable == RV_DURABLE_DEFAULT ? RV_DURABLE_SYNC : durable;
}

/* Everything but calls on an object of its own is durable, whatever it is about. What an agent says
 * of a chunk is as durable as the chunk's job. */
uint8_t mgr_durable(const struct mgr *mgr, uint16_t op, uint64_t object, struct rv_slice args)
{
    const struct object *o = NULL;

    if (op != 0 && rv_op_family(op) == 0)
        return RV_DURABLE_SYNC;
    HASH_FIND(by_id, mgr->objects, &object, sizeof object, o);
    if (o != NULL && (op == RV_OP_agent_done || op == RV_OP_agent_item || op == RV_OP_agent_back))
        o = crew_job_of(o, args);
    if (o != NULL && o->ops->box != NULL && (RV_MUTANT(BOX_LESS_ASKED) || RV_MUTANT(BOX_SAID_SAFE)))
        return RV_DURABLE_NONE;
    return o == NULL || o->durable == RV_DURABLE_DEFAULT ? RV_DURABLE_SYNC : o->durable;
}

void mgr_set_log(struct mgr *mgr, const struct rv_log_stat *log)
{
    mgr->log = *log;
}

uint32_t mgr_principal_named(const struct mgr *mgr, const char *name, uint32_t from)
{
    for (uint32_t id = from; id < mgr->principals_len; id++)
        if (mgr->principals[id] != NULL && strcmp(mgr->principals[id]->name, name) == 0)
            return id;
    return 0;
}

static bool same_text(const char *text, struct rv_slice other)
{
    return rv_slice_equal(rv_slice_str(text), other);
}

bool mgr_principal_is(const struct mgr *mgr, uint32_t id, const struct rv_principal_row *row)
{
    const struct principal *p = mgr_principal(mgr, id);

    return p != NULL && same_text(p->name, row->name) && same_text(p->role, row->role) &&
           same_text(p->rights, row->rights) && same_text(p->quotas, row->quotas);
}

uint32_t mgr_principals_end(const struct mgr *mgr)
{
    return (uint32_t)mgr->principals_len;
}

void principal_free(struct principal **p)
{
    if (*p == NULL)
        return;
    free((*p)->name);
    free((*p)->role);
    free((*p)->rights);
    free((*p)->quotas);
    free(*p);
    *p = NULL;
}

/* What it had goes to the others, and its connections are sent away. */
static void end_sessions_of(struct mgr *mgr, uint32_t principal)
{
    struct session *s = NULL;
    struct session *next = NULL;

    if (RV_MUTANT(REVOKED_STAYS))
        return;
    HASH_ITER (by_serial, mgr->sessions, s, next) {
        if (s->principal == principal || s->carrier == principal)
            session_end(mgr, s, REEVE_EAUTH);
    }
}

/* What it may do with the objects that it holds is judged anew. */
static void judge_again(struct mgr *mgr, const struct principal *p)
{
    struct session *s = NULL;
    struct ref *ref = NULL;

    for (s = mgr->sessions; s != NULL; s = s->by_serial.next) {
        if (s->principal != p->id)
            continue;
        for (ref = s->refs; ref != NULL; ref = ref->hh.next)
            if (!RV_MUTANT(RIGHTS_STAY))
                object_judge(ref, p);
    }
}

static void on_principal(struct mgr *mgr, const struct command *cmd)
{
    struct rv_principal_row row;
    struct principal *p = NULL;

    rv_assert(rv_principal_row_decode(&row, cmd->bytes));
    if (row.id >= mgr->principals_len) {
        size_t len = (size_t)row.id + 1;

        mgr->principals = rv_realloc(mgr->principals, len * sizeof(struct principal *));
        while (mgr->principals_len < len)
            mgr->principals[mgr->principals_len++] = NULL;
    }
    if (row.role.len == 0) {
        if (mgr->principals[row.id] != NULL)
            mgr_say(mgr, RV_INFO, "principal.remove principal=%u key=%s", row.id,
                    mgr->principals[row.id]->name);
        end_sessions_of(mgr, row.id);
    }
    principal_free(&mgr->principals[row.id]);
    if (row.role.len == 0)
        return;
    p = rv_alloc(sizeof *p);
    *p = (struct principal){.id = row.id,
                            .name = mgr_text(row.name),
                            .role = mgr_text(row.role),
                            .rights = mgr_text(row.rights),
                            .quotas = mgr_text(row.quotas)};
    quotas_read(p->quota, p->quotas);
    mgr->principals[row.id] = p;
    quota_recount(mgr, row.id);
    judge_again(mgr, p);
}

const char *mgr_principal_name(const struct mgr *mgr, uint32_t principal)
{
    const struct principal *p = mgr_principal(mgr, principal);

    return p == NULL ? "?" : p->name;
}

/* ---- calls ---- */

static void on_shutdown(struct mgr *mgr, struct session *s, uint64_t number)
{
    if (!(rights_on(mgr_principal(mgr, s->principal), rv_slice(NULL, 0)) &
          RIGHT_BIT(RV_RIGHT_ADMIN))) {
        mgr_reply_text(mgr, s, number, REEVE_EPERM,
                       "only a key with the role admin may end the manager");
        return;
    }
    mgr_say(mgr, RV_INFO, "manager.stop by=%llu", (unsigned long long)s->serial);
    mgr_reply_text(mgr, s, number, REEVE_OK, NULL);
    outbox_add(mgr->out, (struct effect){.type = EFFECT_STOP});
}

reeve_err mgr_may(const struct ref *ref, const struct rv_op_info *op)
{
    if (ref == NULL)
        return REEVE_ENOENT;
    if (ref->object->removed)
        return REEVE_EGONE;
    if (ref->object->ops->family != rv_op_family(op->number))
        return REEVE_ETYPE;
    return ref->rights & RIGHT_BIT(op->right) ? REEVE_OK : REEVE_EPERM;
}

/* The body frames of a refused call are skipped, so that those behind it find theirs. */
static size_t bodies_of(const struct rv_msg *msg)
{
    size_t bodies = msg->type == RV_MSG_fragment;

    if (msg->type == RV_MSG_call)
        rv_assert(rv_op_args_check(msg->call.op, msg->call.args, &bodies));
    return bodies;
}

void mgr_skip_items(struct session *s, const struct incoming *in)
{
    struct rv_items items;
    struct rv_reader r;

    if (in->stripped) {
        for (size_t i = 0; i < in->msg->args.len / 8; i++)
            rv_assembly_drop(&s->assembly, rv_get_number(in->msg->args.data + i * 8, 8));
        return;
    }
    if (!rv_op_items(in->msg->op, in->msg->args, &items))
        return;
    r = rv_reader(items.bytes);
    for (uint32_t i = 0; i < items.count; i++) {
        struct rv_item item;

        rv_item_read(&r, &item);
        *in->frames += item.place == RV_BODY;
        if (item.place == RV_FRAGMENTS)
            rv_assembly_drop(&s->assembly, item.body);
    }
}

/* Who comes for the results of a job takes out. */
static bool only_attaches(const struct rv_call *msg)
{
    struct rv_job_open_args args;

    return msg->op == RV_OP_job_open && rv_job_open_args_decode(&args, msg->args) &&
           args.create == 0;
}

static bool call_grows(const struct rv_call *msg)
{
    return (rv_op_info(msg->op)->flags & RV_OP_GROWS) != 0 && !only_attaches(msg);
}

bool mgr_grows(const struct rv_msg *msg)
{
    return msg->type == RV_MSG_fragment || (msg->type == RV_MSG_call && call_grows(&msg->call));
}

/* Did some of its bytes come while the disk was full? Whoever sends them again may be luckier. */
static bool bytes_were_dropped(const struct session *s, const struct incoming *in)
{
    struct rv_items items;
    struct rv_reader r;

    if (!rv_op_items(in->msg->op, in->msg->args, &items))
        return false;
    r = rv_reader(items.bytes);
    for (uint32_t i = 0; i < items.count; i++) {
        struct rv_item item;

        rv_item_read(&r, &item);
        if (item.place == RV_FRAGMENTS && !rv_assembly_has(&s->assembly, item.body, item.len))
            return true;
    }
    return false;
}

/* There is no room, or there was none, for what a call brings. */
static bool lacks_room(const struct mgr *mgr, const struct incoming *in)
{
    if (!in->stripped && !mgr->full && !in->session->stripped) /* the common case */
        return false;
    return call_grows(in->msg) &&
           (in->stripped || mgr->full || bytes_were_dropped(in->session, in));
}

/* Without looking at its object. */
static void refuse_call(struct mgr *mgr, const struct incoming *in, reeve_err error,
                        const char *text)
{
    struct session *s = in->session;
    uint8_t flags = rv_op_info(in->msg->op)->flags;

    mgr_skip_items(s, in);
    if (flags & RV_OP_FENCE)
        s->guard_lock = 0; /* it was for this call */
    if (!(flags & RV_OP_ONEWAY))
        mgr_reply_text(mgr, s, in->number, error, text);
}

/* Programs run on the workers: who may send one may run it. */
static void on_blob(struct mgr *mgr, const struct incoming *in)
{
    bool put = in->msg->op == RV_OP_blob_put;
    uint32_t rights = rights_on(mgr_principal(mgr, in->session->principal), rv_slice(NULL, 0));

    if (!(rights & RIGHT_BIT(RV_RIGHT_RUN)) && put)
        mgr->refused++;
    else if (!(rights & RIGHT_BIT(RV_RIGHT_RUN)))
        mgr_reply_text(mgr, in->session, in->number, REEVE_EPERM,
                       "the key has no right run: it is a login on the workers");
    else if (put)
        blob_on_put(mgr, in);
    else
        blob_on_open(mgr, in);
}

static void on_batch(struct mgr *mgr, const struct incoming *in)
{
    if (lock_guarded(mgr, in->session, rv_op_info(RV_OP_batch))) {
        box_on_batch(mgr, in);
        mgr->guard = NULL;
        return;
    }
    mgr_skip_items(in->session, in);
    mgr_reply_text(mgr, in->session, in->number, REEVE_EFENCED, NULL);
}

/* May a quota of calls refuse it? Not what nobody could repeat, and not what others wait for already. */
static bool may_be_too_much(const struct rv_op_info *op)
{
    return !(op->flags & RV_OP_ONEWAY) && op->number != RV_OP_barrier_release;
}

static void on_call(struct mgr *mgr, const struct incoming *in)
{
    struct session *s = in->session;
    const struct rv_op_info *op = rv_op_info(in->msg->op);
    struct ref *ref = NULL;
    reeve_err err = REEVE_OK;

    s->calls_total++;
    if (!quota_call(mgr, s->principal) && may_be_too_much(op)) {
        mgr_refused(mgr, s, in->msg, REEVE_EQUOTA);
        refuse_call(mgr, in, REEVE_EQUOTA, quota_text(mgr, s->principal, RV_QUOTA_CALLS));
        return;
    }
    if (lacks_room(mgr, in)) {
        refuse_call(mgr, in, REEVE_ENOSPC,
                    "the manager's disk is full: what needs more room is refused");
        return;
    }
    switch ((enum rv_op)in->msg->op) {
    case RV_OP_object_open:
        object_on_open(mgr, s, in->number, in->msg);
        return;
    case RV_OP_object_close:
        object_on_close(mgr, s, in->msg->object);
        return;
    case RV_OP_object_release:
        object_on_release(mgr, s, in->msg->object);
        return;
    case RV_OP_object_ref:
        object_on_ref(mgr, s, in->number, in->msg);
        return;
    case RV_OP_object_remove:
        object_on_remove(mgr, s, in->number, in->msg);
        return;
    case RV_OP_batch:
        on_batch(mgr, in);
        return;
    case RV_OP_shutdown:
        on_shutdown(mgr, s, in->number);
        return;
    case RV_OP_dead_requeue:
        dead_on_requeue(mgr, s, in->number, in->msg);
        return;
    case RV_OP_job_open:
        job_on_open(mgr, in);
        return;
    case RV_OP_job_cancel:
        job_on_cancel(mgr, in);
        return;
    case RV_OP_job_pledge:
        job_on_pledge(mgr, in);
        return;
    case RV_OP_agent_open:
        crew_on_open(mgr, in);
        return;
    case RV_OP_blob_open:
    case RV_OP_blob_put:
        on_blob(mgr, in);
        return;
    default:
        break;
    }
    ref = session_ref(s, in->msg->object);
    err = mgr_may(ref, op);
    if (!lock_guarded(mgr, s, op) && err == REEVE_OK)
        err = REEVE_EFENCED;
    if (err == REEVE_OK) {
        ref->object->ops->call(mgr, ref->object, ref, in);
        mgr->guard = NULL;
        return;
    }
    mgr_skip_items(s, in);
    if (err == REEVE_EPERM)
        mgr_refused(mgr, s, in->msg, err);
    if (op->flags & RV_OP_ONEWAY)
        mgr->refused++;
    else
        mgr_reply_text(mgr, s, in->number, err, NULL);
}

static void on_cancel(struct mgr *mgr, struct session *s, const struct rv_cancel *msg)
{
    struct call *call = NULL;
    struct ref *ref = NULL;

    HASH_FIND(hh, s->calls, &msg->call, sizeof msg->call, call);
    if (call != NULL) {
        call->object->ops->end_call(mgr, call, REEVE_ECANCELED);
        return;
    }
    ref = session_ref(s, msg->object);
    if (ref != NULL && ref->object->ops->cancel != NULL)
        ref->object->ops->cancel(mgr, ref->object, ref, msg->call);
}

/* Of a body of which a part was dropped, nothing is kept. */
static void on_stripped_fragment(struct mgr *mgr, struct session *s,
                                 const struct rv_fragment *fragment)
{
    size_t before = s->assembly.bytes;

    s->stripped = true;
    rv_assembly_drop(&s->assembly, fragment->body);
    quota_drop(mgr, s->principal, RV_QUOTA_FLIGHT, before - s->assembly.bytes);
}

/* Bytes that wait for their call count as in flight. */
static void on_fragment(struct mgr *mgr, struct session *s, const struct rv_fragment *fragment,
                        struct rv_slice bytes)
{
    size_t before = s->assembly.bytes;

    /* The first fragment takes the room for all of it. */
    if (fragment->offset == 0 &&
        !quota_allows(mgr, s->principal, RV_QUOTA_FLIGHT, fragment->total)) {
        s->overdrawn = true;
        return;
    }
    if (!rv_assembly_add(&s->assembly, fragment, bytes))
        mgr->refused += !s->stripped; /* it may be the rest of what was dropped */
    quota_add(mgr, s->principal, RV_QUOTA_FLIGHT, s->assembly.bytes - before);
}

static void on_messages(struct mgr *mgr, const struct command *cmd)
{
    struct session *s = mgr_session(mgr, cmd->session);
    struct rv_reader r = rv_reader(cmd->bytes);
    struct rv_msg msg;
    uint64_t number = cmd->first;
    size_t frames = 0;

    if (s == NULL)
        return;
    if (!rv_stream_ack(&s->out, cmd->ack))
        mgr->refused++;
    while (rv_frame_next(&r, &msg)) {
        bool again = false;
        bool stripped = cmd->stripped && mgr_grows(&msg);

        if (msg.type == RV_MSG_read) {
            if (mgr->out->bytes.len > RV_LIMIT_ANSWERS_BYTES)
                mgr_answer(mgr, s, msg.read.id, REEVE_ELIMIT, "too many questions at once",
                           rv_slice(NULL, 0));
            else
                mgr_on_read(mgr, s, &msg.read);
            continue;
        }
        if (!rv_msg_numbered(msg.type))
            continue;
        again = number <= s->applied;
        if (again && !RV_MUTANT(NO_DEDUPE)) {
            /* Applied before: its reply is kept, or was acknowledged. */
            frames += stripped ? 0 : bodies_of(&msg);
            number++;
            continue;
        }
        rv_assert(again || number == s->applied + 1); /* the gate lets no gap through */
        if (!again)
            s->applied = number;
        switch (msg.type) {
        case RV_MSG_call: {
            size_t assembled = s->assembly.bytes;

            on_call(mgr, &(struct incoming){s, number, &msg.call, cmd->bodies, cmd->bodies_len,
                                            &frames, stripped});
            quota_drop(mgr, s->principal, RV_QUOTA_FLIGHT, assembled - s->assembly.bytes);
            break;
        }
        case RV_MSG_cancel:
            on_cancel(mgr, s, &msg.cancel);
            break;
        case RV_MSG_fragment:
            if (stripped)
                on_stripped_fragment(mgr, s, &msg.fragment);
            else
                on_fragment(mgr, s, &msg.fragment, cmd->bodies[frames++]);
            break;
        case RV_MSG_goodbye:
            session_end(mgr, s, REEVE_OK);
            return;
        default:
            rv_assert_failed(__FILE__, __LINE__, "a message that the gate must refuse");
        }
        number++;
    }
}

static void on_expire(struct mgr *mgr)
{
    struct rv_timer *t = NULL;

    while ((t = rv_heap_pop(&mgr->heap, mgr->now)) != NULL) {
        switch ((enum timer_kind)t->kind) {
        case TIMER_CALL: {
            struct call *call = owner_of(struct call, timer, t);

            call->object->ops->timeout(mgr, call);
        } break;
        case TIMER_SESSION:
            session_end(mgr, owner_of(struct session, timer, t), REEVE_EEXPIRED);
            break;
        case TIMER_OBJECT:
            object_free(mgr, owner_of(struct object, timer, t));
            break;
        case TIMER_MEMBER:
            crew_on_timer(mgr, owner_of(struct member, timer, t));
            break;
        case TIMER_RETRY:
            queue_on_timer(mgr, owner_of(struct queue, retry, t));
            break;
        }
    }
    crew_deal(mgr);
}

/* ---- the step ---- */

void mgr_step(struct mgr *mgr, const struct command *cmd, struct outbox *out)
{
    size_t first = out->len;

    mgr->out = out;
    mgr->reached = RV_MUTANT(LEVEL_TOO_HIGH) ? RV_DURABLE_SYNC : mgr_reaches(mgr, cmd->durable);
    if (cmd->at > mgr->now)
        mgr->now = cmd->at;
    mgr->commands += cmd->logged;
    switch (cmd->type) {
    case COMMAND_OPEN:
        session_on_hello(mgr, cmd);
        break;
    case COMMAND_DETACH:
        session_on_detach(mgr, cmd);
        break;
    case COMMAND_END: {
        struct session *s = mgr_session(mgr, cmd->session);

        /* Silence of one connection does not end a session that has a newer one. */
        if (s != NULL && (cmd->attempt == 0 || cmd->attempt == s->attempt))
            session_end(mgr, s, cmd->reason);
        break;
    }
    case COMMAND_MESSAGES:
        on_messages(mgr, cmd);
        break;
    case COMMAND_EXPIRE:
        on_expire(mgr);
        break;
    case COMMAND_PRINCIPAL:
        on_principal(mgr, cmd);
        break;
    case COMMAND_RESTART:
        session_on_restart(mgr, cmd);
        break;
    case COMMAND_PAUSE:
        session_on_pause(mgr, (rv_ns)cmd->first);
        break;
    case COMMAND_SPACE:
        mgr->full = cmd->first != 0;
        break;
    }
    carry_settle(mgr);
    if (mgr->slots_freed) {
        mgr->slots_freed = false;
        crew_deal(mgr);
    }
    for (size_t i = first; i < out->len; i++)
        if (out->effects[i].type == EFFECT_OUTPUT) {
            struct session *s = mgr_session(mgr, out->effects[i].session);

            if (s != NULL)
                s->output = false;
        }
    mgr->out = NULL;
}

rv_ns mgr_deadline(const struct mgr *mgr)
{
    rv_ns next = rv_heap_next(&mgr->heap);

    return mgr->look_at < next ? mgr->look_at : next;
}

void mgr_set_store(struct mgr *mgr, const struct rv_id *store)
{
    mgr->conf.store = *store;
}

const struct rv_id *mgr_store(const struct mgr *mgr)
{
    return &mgr->conf.store;
}

void mgr_set_sink(struct mgr *mgr, const struct rv_sink *sink)
{
    mgr->conf.sink = *sink;
}

rv_ns mgr_now(const struct mgr *mgr)
{
    return mgr->now;
}

/* ---- life, and what must be true ---- */

struct mgr *mgr_new(const struct mgr_conf *conf)
{
    struct mgr *mgr = rv_alloc(sizeof *mgr);

    mgr->conf = *conf; /* now is zero: the first command tells, or a replay of old ones does */
    mgr->last_fence = conf->fence;
    mgr->look_at = RV_NEVER;
    return mgr;
}

void mgr_free(struct mgr **m)
{
    struct mgr *mgr = *m;
    struct outbox out = {0};

    if (mgr == NULL)
        return;
    mgr->out = &out;
    mgr->conf.sink = (struct rv_sink){0};
    while (mgr->sessions != NULL)
        session_end(mgr, mgr->sessions, REEVE_OK);
    while (mgr->objects != NULL)
        object_free(mgr, mgr->objects);
    blobs_free(mgr);
    outbox_free(&out);
    free(mgr->loose);
    for (size_t i = 0; i < mgr->principals_len; i++)
        principal_free(&mgr->principals[i]);
    free(mgr->principals);
    rv_assert(mgr->heap.len == 0);
    rv_heap_free(&mgr->heap);
    rv_buf_free(&mgr->scratch);
    rv_buf_free(&mgr->items);
    rv_buf_free(&mgr->key);
    free(mgr->answer);
    while (mgr->spare != NULL) {
        struct item *item = mgr->spare;

        mgr->spare = item->next;
        free(item);
    }
    free(mgr);
    *m = NULL;
}

void mgr_check(const struct mgr *mgr)
{
    const struct object *o = NULL;
    const struct session *s = NULL;
    const struct ref *ref = NULL;

    for (o = mgr->objects; o != NULL; o = o->by_id.next) {
        uint32_t refs = 0;

        o->ops->check(o);
        for (s = mgr->sessions; s != NULL; s = s->by_serial.next) {
            HASH_FIND(hh, s->refs, &o->id, sizeof o->id, ref);
            refs += ref != NULL;
        }
        /* A referenced object lives, an unreferenced one is gone. */
        rv_assert(o->refs == refs);
        rv_assert(o->refs > 0 || o->nested > 0 || o->name != NULL);
    }
    carry_check(mgr);
    crew_check(mgr);
    quota_check(mgr);
    for (s = mgr->sessions; s != NULL; s = s->by_serial.next) {
        uint32_t ahead = 0;

        rv_assert(s->attached == (s->timer.pos == 0));
        for (ref = s->refs; ref != NULL; ref = ref->hh.next) {
            rv_assert(ref->count > 0 || ref->liens > 0);
            ahead += ref->consumer == NULL ? 0 : ref->consumer->ahead;
        }
        rv_assert(ahead == s->ahead);
    }
}

size_t mgr_objects(const struct mgr *mgr)
{
    return HASH_CNT(by_id, mgr->objects);
}

size_t mgr_sessions(const struct mgr *mgr)
{
    return HASH_CNT(by_serial, mgr->sessions);
}
