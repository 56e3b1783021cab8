/* condition.c -- a condition: sleepers, who go over to the row of a lock when they are woken.
 *
 *            wait                      notify, timeout
 *   holds --------> sleeps, lock free ----------------> waits for the lock ---> holds
 *                      '-- its session died: gone, and notify does not count it
 */

#include "server/core/session.h"
#include "server/core/sync.h"

#include <stdio.h>

/* The lock that a call names, if the thread holds it. */
static struct lock *owned(struct condition *c, const struct session *s, uint64_t id,
                          uint64_t thread, struct hold **hold, reeve_err *err)
{
    const struct ref *ref = session_ref(s, id == 0 ? c->lock.object.id : id);
    struct lock *l = ref == NULL ? NULL : (struct lock *)ref->object;

    *err = REEVE_OK;
    if (ref == NULL)
        *err = REEVE_ENOENT;
    else if (ref->object->removed)
        *err = REEVE_EGONE;
    else if (id != 0 && ref->object->kind != RV_KIND_LOCK && ref->object->kind != RV_KIND_RLOCK)
        *err = REEVE_ETYPE;
    if (*err != REEVE_OK)
        return NULL;
    *hold = lock_hold(ref, thread);
    if (*hold != NULL && (*hold)->leased)
        *hold = NULL; /* whose thread has it is not known */
    if (*hold == NULL)
        *err = REEVE_ENOTOWNER;
    else if (c->sleepers != NULL && c->lock_id != id)
        *err = REEVE_EINVAL;
    return *err == REEVE_OK ? l : NULL;
}

static void refuse(struct mgr *mgr, const struct incoming *in, reeve_err err)
{
    mgr_reply_text(mgr, in->session, in->number, err,
                   err == REEVE_EINVAL ? "others sleep here with another lock" : NULL);
}

static void on_wait(struct mgr *mgr, struct condition *c, const struct incoming *in)
{
    struct rv_condition_wait_args args;
    struct hold *h = NULL;
    struct lock *l = NULL;
    struct call *call = NULL;
    reeve_err err = REEVE_OK;

    rv_assert(rv_condition_wait_args_decode(&args, in->msg->args));
    l = owned(c, in->session, args.lock, args.thread, &h, &err);
    if (l == NULL) {
        refuse(mgr, in, err);
        return;
    }
    call = mgr_park_or_refuse(mgr, in, &c->lock.object, &c->sleepers);
    if (call == NULL)
        return;
    c->lock_id = args.lock;
    call->thread = args.thread;
    call->lock = args.lock;
    call->levels = h->count;
    lock_let_all_go(mgr, l, h);
}

/* The sleep is over; the call goes on as one that waits for the lock. */
static void wake(struct mgr *mgr, struct condition *c, struct call *call, bool notified)
{
    const struct ref *ref =
        session_ref(call->session, call->lock == 0 ? c->lock.object.id : call->lock);

    call->notified = notified;
    if (ref == NULL || ref->object->removed) {
        lock_end_call(mgr, call, REEVE_EGONE);
        return;
    }
    if (RV_MUTANT(SLEEP_HOLDS)) {
        lock_end_call(mgr, call, REEVE_OK);
        return;
    }
    lock_retake(mgr, (struct lock *)ref->object, call);
}

static void on_notify(struct mgr *mgr, struct condition *c, const struct incoming *in)
{
    struct rv_condition_notify_args args;
    struct hold *h = NULL;
    uint32_t woken = 0;
    reeve_err err = REEVE_OK;

    rv_assert(rv_condition_notify_args_decode(&args, in->msg->args));
    if (owned(c, in->session, args.lock, args.thread, &h, &err) == NULL) {
        refuse(mgr, in, err);
        return;
    }
    for (; c->sleepers != NULL && (woken < args.count || RV_MUTANT(NOTIFY_ALL)); woken++)
        wake(mgr, c, c->sleepers, true);
    rv_buf_clear(&mgr->scratch);
    rv_condition_notify_result_encode(&mgr->scratch,
                                      &(struct rv_condition_notify_result){woken, 0});
    mgr_reply(mgr, in->session, in->number, REEVE_OK, NULL, rv_buf_slice(&mgr->scratch), NULL, 0);
}

static void on_call(struct mgr *mgr, struct object *o, struct ref *ref, const struct incoming *in)
{
    struct condition *c = (struct condition *)o;

    if (in->msg->op == RV_OP_condition_wait)
        on_wait(mgr, c, in);
    else if (in->msg->op == RV_OP_condition_notify)
        on_notify(mgr, c, in);
    else if (!lock_call(mgr, &c->lock, ref, in))
        sync_refuse(mgr, in);
}

static void timeout(struct mgr *mgr, struct call *call)
{
    struct condition *c = (struct condition *)call->object;

    if (call->list == &c->sleepers)
        wake(mgr, c, call, false);
    else
        lock_timeout(mgr, call);
}

/* A sleeper that is in the list when its session ends, died in it. */
static void unparked(struct mgr *mgr, struct call *call)
{
    struct condition *c = (struct condition *)call->object;
    char who[WHO_TEXT];

    if (call->list != &c->sleepers)
        return;
    free(c->dead);
    c->dead = mgr_text(rv_slice_str(why_who(who, call->session, call->thread)));
    c->died_at = mgr->now;
    mgr_say(mgr, RV_INFO, "condition.lost object=%llu session=%llu",
            (unsigned long long)c->lock.object.id, (unsigned long long)call->session->serial);
}

static void removed(struct mgr *mgr, struct object *o)
{
    struct condition *c = (struct condition *)o;

    while (c->sleepers != NULL)
        lock_end_call(mgr, c->sleepers, REEVE_EGONE);
    lock_end_waits(mgr, &c->lock);
}

/* ---- life ---- */

static const char *refuse_open(const struct rv_object_open_args *args)
{
    return args->maxsize == 0 ? NULL : "a condition has no number";
}

static struct object *create(struct mgr *mgr, const struct rv_object_open_args *args)
{
    struct condition *c = rv_alloc(sizeof *c);

    (void)mgr;
    lock_init(&c->lock, args->kind, args->maxsize);
    return &c->lock.object;
}

static bool fits(const struct object *o, const struct rv_object_open_args *args)
{
    (void)o;
    return args->maxsize == 0;
}

static void free_condition(struct mgr *mgr, struct object *o)
{
    struct condition *c = (struct condition *)o;

    (void)mgr;
    rv_assert(c->sleepers == NULL);
    lock_fini(&c->lock);
    free(c->dead);
    free(c);
}

static void row(const struct object *o, struct rv_object_row *out)
{
    const struct condition *c = (const struct condition *)o;
    const struct call *call = NULL;

    out->size = c->lock.value;
    DL_COUNT(c->sleepers, call, out->getters);
}

const struct object_ops condition_ops = {
    .family = 2,
    .fits = fits,
    .refuse = refuse_open,
    .create = create,
    .call = on_call,
    .end_call = lock_end_call,
    .timeout = timeout,
    .unparked = unparked,
    .cancel = lock_cancel,
    .drop_ref = lock_drop_ref,
    .removed = removed,
    .free = free_condition,
    .row = row,
    .check = lock_check,
    .create_empty = condition_create_empty,
    .save = condition_save,
    .load = condition_load,
    .save_call = sync_save_call,
    .load_call = sync_load_call,
};
