/* barrier.c -- so many parties wait for each other, round after round.
 *
 *            the last one arrives               its action has run
 *   FILLING ----------------------> RELEASING --------------------> FILLING, the next round
 *      |       (without an action: at once)   |
 *      '-- timeout, abort, a party is gone ---+--> BROKEN --- reset ---> FILLING
 *
 * All of a round go on, or none. Who comes while the action runs belongs to the next round.
 */

#include "server/core/session.h"
#include "server/core/sync.h"

#include <stdio.h>

enum barrier_phase { BARRIER_FILLING, BARRIER_RELEASING, BARRIER_BROKEN };

struct barrier {
    struct object object; /* first: a barrier is an object */
    uint32_t parties;
    enum barrier_phase phase;
    uint64_t round;
    struct call *arrived;
    uint32_t arrived_len;
    struct call *early;         /* RELEASING: of the next round */
    bool breaks;                /* RELEASING: one of those gave up; the next round begins broken */
    bool ours;                  /* a call leaves its list by our doing, not by its session's end */
    const struct ref *releaser; /* RELEASING: who runs the action */
    uint64_t releaser_session, releaser_call;
    char who[WHO_TEXT];
    char why[WHO_TEXT + 60]; /* who broke it, and how */
};

/* ---- rounds ---- */

static void answer(struct mgr *mgr, struct session *s, uint64_t number, uint64_t round,
                   uint32_t index, bool run)
{
    rv_buf_clear(&mgr->scratch);
    rv_barrier_wait_result_encode(&mgr->scratch, &(struct rv_barrier_wait_result){
                                                     .index = index, .round = round, .run = run});
    mgr_reply(mgr, s, number, REEVE_OK, NULL, rv_buf_slice(&mgr->scratch), NULL, 0);
}

static void unpark(struct mgr *mgr, struct barrier *b, struct call *call)
{
    b->ours = true;
    mgr_unpark(mgr, call);
    b->ours = false;
}

static void send_away(struct mgr *mgr, struct barrier *b, struct call *call, reeve_err error)
{
    struct session *s = call->session;
    uint64_t number = call->number;

    unpark(mgr, b, call);
    mgr_reply_text(mgr, s, number, error, error == REEVE_EBROKEN ? b->why : NULL);
}

static void send_all_away(struct mgr *mgr, struct barrier *b, reeve_err error)
{
    b->arrived_len = 0;
    while (b->arrived != NULL)
        send_away(mgr, b, b->arrived, error);
    while (b->early != NULL)
        send_away(mgr, b, b->early, error);
}

/* Each has its own index, from 0 in the order of arrival; the last one has parties - 1. */
static void open_gate(struct mgr *mgr, struct barrier *b)
{
    uint32_t index = 0;

    while (b->arrived != NULL) {
        struct session *s = b->arrived->session;
        uint64_t number = b->arrived->number;

        unpark(mgr, b, b->arrived);
        answer(mgr, s, number, b->round, index++, false);
    }
    b->arrived_len = 0;
    b->round++;
    b->phase = BARRIER_FILLING;
    b->releaser = NULL;
}

/* b->why says who did it. */
static void break_up(struct mgr *mgr, struct barrier *b)
{
    mgr_say(mgr, RV_INFO, "barrier.break object=%llu round=%llu why=\"%s\"",
            (unsigned long long)b->object.id, (unsigned long long)b->round, b->why);
    b->phase = BARRIER_BROKEN;
    b->breaks = false;
    b->releaser = NULL;
    send_all_away(mgr, b, REEVE_EBROKEN);
}

static void blame(struct barrier *b, const struct session *s, const char *did)
{
    char who[WHO_TEXT];

    snprintf(b->why, sizeof b->why, "%s %s", why_who(who, s, 0), did);
}

/* The call stands in the list by now. The last one lets all go on, or runs its action first. */
static void arrive(struct mgr *mgr, struct barrier *b, struct call *call)
{
    struct session *s = call->session;
    uint64_t number = call->number;

    b->arrived_len++;
    if (b->arrived_len + (RV_MUTANT(BARRIER_EARLY) ? 1u : 0u) < b->parties)
        return;
    if (call->flags == 0) {
        open_gate(mgr, b);
        return;
    }
    unpark(mgr, b, call);
    b->arrived_len--;
    b->phase = BARRIER_RELEASING;
    b->releaser = session_ref(s, b->object.id);
    b->releaser_session = s->serial;
    b->releaser_call = number;
    why_who(b->who, s, 0);
    answer(mgr, s, number, b->round, b->parties - 1, true);
}

/* Those who came early are the first of the next round. */
static void admit_early(struct mgr *mgr, struct barrier *b)
{
    if (b->breaks) {
        break_up(mgr, b);
        return;
    }
    while (b->early != NULL && b->phase == BARRIER_FILLING) {
        struct call *call = b->early;

        DL_DELETE(b->early, call);
        call->list = &b->arrived;
        DL_APPEND(b->arrived, call);
        arrive(mgr, b, call);
    }
}

/* ---- calls ---- */

static void on_wait(struct mgr *mgr, struct barrier *b, const struct incoming *in)
{
    struct rv_barrier_wait_args args;
    bool filling = b->phase == BARRIER_FILLING;
    struct call *call = NULL;

    rv_assert(rv_barrier_wait_args_decode(&args, in->msg->args));
    if (b->phase == BARRIER_BROKEN) {
        mgr_reply_text(mgr, in->session, in->number, REEVE_EBROKEN, b->why);
        return;
    }
    call = mgr_park_or_refuse(mgr, in, &b->object, filling ? &b->arrived : &b->early);
    if (call == NULL)
        return;
    call->thread = args.thread;
    call->flags = args.action;
    if (filling)
        arrive(mgr, b, call);
}

static void on_release(struct mgr *mgr, struct barrier *b, const struct ref *ref,
                       const struct incoming *in)
{
    struct rv_barrier_release_args args;

    rv_assert(rv_barrier_release_args_decode(&args, in->msg->args));
    if (b->phase != BARRIER_RELEASING || args.round != b->round || b->releaser != ref) {
        mgr_reply_text(mgr, in->session, in->number, REEVE_EBROKEN, b->why);
        return;
    }
    mgr_reply_text(mgr, in->session, in->number, REEVE_OK, NULL);
    if (args.failed) {
        blame(b, in->session, "failed in the action");
        break_up(mgr, b);
        return;
    }
    open_gate(mgr, b);
    admit_early(mgr, b);
}

/* Who stands there is sent away; then it is as new. */
static void on_reset(struct mgr *mgr, struct barrier *b, const struct session *s)
{
    if (b->arrived != NULL || b->phase == BARRIER_RELEASING) {
        blame(b, s, "has reset the barrier");
        break_up(mgr, b);
    }
    b->phase = BARRIER_FILLING;
    b->round++;
}

static void on_call(struct mgr *mgr, struct object *o, struct ref *ref, const struct incoming *in)
{
    struct barrier *b = (struct barrier *)o;

    switch ((enum rv_op)in->msg->op) {
    case RV_OP_barrier_wait:
        on_wait(mgr, b, in);
        return;
    case RV_OP_barrier_release:
        on_release(mgr, b, ref, in);
        return;
    case RV_OP_barrier_abort:
        if (b->phase != BARRIER_BROKEN) {
            blame(b, in->session, "has aborted the barrier");
            break_up(mgr, b);
        }
        break;
    case RV_OP_barrier_reset:
        on_reset(mgr, b, in->session);
        break;
    default:
        sync_refuse(mgr, in);
        return;
    }
    mgr_reply_text(mgr, in->session, in->number, REEVE_OK, NULL);
}

/* ---- ends ---- */

/* A party goes without the others. One of the next round does no harm to this one. */
static void give_up(struct mgr *mgr, struct barrier *b, struct call *call, reeve_err error,
                    const char *did)
{
    bool early = call->list == &b->early;

    blame(b, call->session, did);
    send_away(mgr, b, call, error);
    if (early)
        b->breaks = true;
    else
        break_up(mgr, b);
}

/* When the last one has come, the others are through: only its action is waited for. */
static void timeout(struct mgr *mgr, struct call *call)
{
    struct barrier *b = (struct barrier *)call->object;

    if (b->phase == BARRIER_RELEASING && call->list == &b->arrived)
        return;
    give_up(mgr, b, call, REEVE_EBROKEN, "has waited for long enough");
}

static void end_call(struct mgr *mgr, struct call *call, reeve_err error)
{
    give_up(mgr, (struct barrier *)call->object, call, error, "has given up");
}

/* A session ends while it stands here: the others hear of it when it lets go of the barrier. Those of this
 * round do not care about one of the next. */
static void unparked(struct mgr *mgr, struct call *call)
{
    struct barrier *b = (struct barrier *)call->object;

    (void)mgr;
    if (b->ours)
        return;
    if (call->list == &b->early) {
        b->breaks = true;
    } else {
        b->arrived_len--;
        session_ref(call->session, b->object.id)->stood = !RV_MUTANT(BARRIER_DEAF);
    }
    blame(b, call->session, "is gone");
}

/* The client gave up on the call that was to run the action. */
static void cancel(struct mgr *mgr, struct object *o, struct ref *ref, uint64_t number)
{
    struct barrier *b = (struct barrier *)o;

    if (b->releaser != ref || b->releaser_call != number)
        return;
    snprintf(b->why, sizeof b->why, "who had the action has given up");
    break_up(mgr, b);
}

static void drop_ref(struct mgr *mgr, struct ref *ref, bool died)
{
    struct barrier *b = (struct barrier *)ref->object;

    (void)died;
    if (b->releaser == ref)
        snprintf(b->why, sizeof b->why, "%s is gone, who ran the action", b->who);
    if (ref->stood || b->releaser == ref)
        break_up(mgr, b);
}

static void removed(struct mgr *mgr, struct object *o)
{
    struct barrier *b = (struct barrier *)o;

    send_all_away(mgr, b, REEVE_EGONE);
    b->phase = BARRIER_BROKEN;
    b->releaser = NULL;
}

/* ---- life ---- */

static const char *refuse_open(const struct rv_object_open_args *args)
{
    return args->maxsize > 0 && args->maxsize <= RV_LIMIT_PERMITS
               ? NULL
               : "a barrier has at least one party, and at most 2147483647";
}

static struct object *create(struct mgr *mgr, const struct rv_object_open_args *args)
{
    struct barrier *b = rv_alloc(sizeof *b);

    (void)mgr;
    b->parties = args->maxsize;
    return &b->object;
}

static bool fits(const struct object *o, const struct rv_object_open_args *args)
{
    return args->maxsize == ((const struct barrier *)o)->parties;
}

static void free_barrier(struct mgr *mgr, struct object *o)
{
    struct barrier *b = (struct barrier *)o;

    (void)mgr;
    rv_assert(b->arrived == NULL && b->early == NULL);
    free(b);
}

void barrier_state(const struct object *o, struct rv_sync_state_result *out)
{
    const struct barrier *b = (const struct barrier *)o;

    out->most = b->parties;
    out->waiting = b->phase == BARRIER_FILLING ? b->arrived_len : 0;
    out->broken = b->phase == BARRIER_BROKEN;
}

static void row(const struct object *o, struct rv_object_row *out)
{
    const struct barrier *b = (const struct barrier *)o;

    out->maxsize = b->parties;
    out->size = out->getters = b->arrived_len;
}

static void check(const struct object *o)
{
    const struct barrier *b = (const struct barrier *)o;
    const struct call *call = NULL;
    uint32_t arrived = 0;

    DL_COUNT(b->arrived, call, arrived);
    rv_assert(arrived == b->arrived_len && arrived < b->parties);
    rv_assert(b->phase == BARRIER_RELEASING || b->early == NULL);
    rv_assert(b->phase != BARRIER_BROKEN || arrived == 0);
    rv_assert((b->phase == BARRIER_RELEASING) == (b->releaser != NULL));
    rv_assert(b->phase != BARRIER_RELEASING || arrived == b->parties - 1);
}

/* ---- in a snapshot ---- */

static struct object *create_empty(void)
{
    struct barrier *b = rv_alloc(sizeof *b);

    return &b->object;
}

static void save(const struct object *o, struct saver *out)
{
    const struct barrier *b = (const struct barrier *)o;

    save_number(out, b->parties, 4);
    save_number(out, b->phase, 1);
    save_number(out, b->round, 8);
    save_number(out, b->breaks, 1);
    save_number(out, b->releaser_session, 8);
    save_number(out, b->releaser_call, 8);
    save_bytes(out, rv_slice_str(b->who));
    save_bytes(out, rv_slice_str(b->why));
    save_calls(out, o, b->arrived);
    save_calls(out, o, b->early);
}

static void load_fixed(struct rv_reader *in, char *out, size_t size)
{
    struct rv_slice text = load_bytes(in);
    size_t len = text.len < size ? text.len : size - 1;

    if (len > 0)
        memcpy(out, text.data, len);
}

static void load(struct mgr *mgr, struct object *o, struct rv_reader *in)
{
    struct barrier *b = (struct barrier *)o;
    const struct session *s = NULL;
    const struct call *call = NULL;

    b->parties = (uint32_t)rv_read_number(in, 4);
    b->phase = (enum barrier_phase)rv_read_number(in, 1);
    b->round = rv_read_number(in, 8);
    b->breaks = rv_read_number(in, 1) != 0;
    b->releaser_session = rv_read_number(in, 8);
    b->releaser_call = rv_read_number(in, 8);
    load_fixed(in, b->who, sizeof b->who);
    load_fixed(in, b->why, sizeof b->why);
    load_calls(mgr, in, o, &b->arrived);
    load_calls(mgr, in, o, &b->early);
    DL_COUNT(b->arrived, call, b->arrived_len);
    s = mgr_session(mgr, b->releaser_session);
    b->releaser = b->phase == BARRIER_RELEASING && s != NULL ? session_ref(s, b->object.id) : NULL;
    if (b->phase > BARRIER_BROKEN || (b->phase == BARRIER_RELEASING) != (b->releaser != NULL))
        in->bad = true;
}

const struct object_ops barrier_ops = {
    .family = 2,
    .fits = fits,
    .refuse = refuse_open,
    .create = create,
    .call = on_call,
    .end_call = end_call,
    .timeout = timeout,
    .unparked = unparked,
    .cancel = cancel,
    .drop_ref = drop_ref,
    .removed = removed,
    .free = free_barrier,
    .row = row,
    .check = check,
    .create_empty = create_empty,
    .save = save,
    .load = load,
    .save_call = sync_save_call,
    .load_call = sync_load_call,
};
