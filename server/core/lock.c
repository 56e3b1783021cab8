#include "server/core/session.h"
#include "server/core/sync.h"

#include <stdio.h>

/* ---- holds ---- */

struct hold *lock_hold(const struct ref *ref, uint64_t thread)
{
    struct hold *h = NULL;

    for (h = ref->holds; h != NULL; h = h->ref_next)
        if (h->thread == thread)
            return h;
    return NULL;
}

uint32_t lock_held(const struct ref *ref)
{
    const struct hold *h = NULL;
    uint32_t held = 0;

    for (h = ref->holds; h != NULL; h = h->ref_next)
        held += h->count;
    return held;
}

/* Has it so many threads with permits that there cannot be another one? */
static bool all_holders(const struct ref *ref)
{
    const struct hold *h = NULL;
    uint32_t holders = 0;

    for (h = ref->holds; h != NULL; h = h->ref_next)
        holders++;
    return holders >= RV_LIMIT_HOLDERS;
}

static struct call *guarded_by(const struct lock *l, uint64_t fence)
{
    struct call *call = l->guarded;

    while (call != NULL && call->guard_fence != fence)
        call = call->guard_next;
    return call;
}

/* The fence is void: what waits elsewhere in its name ends. One's end may be another's. */
static void end_guarded(struct mgr *mgr, struct lock *l, uint64_t fence)
{
    struct call *call = NULL;

    while ((call = guarded_by(l, fence)) != NULL && !RV_MUTANT(FENCE_SLEEPS))
        call->object->ops->end_call(mgr, call, REEVE_EFENCED);
}

/* Nobody has it now. Its permits are the caller's to give on. */
static void free_hold(struct mgr *mgr, struct lock *l, struct hold *h)
{
    DL_DELETE(l->holds, h);
    DL_DELETE2(h->ref->holds, h, ref_prev, ref_next);
    end_guarded(mgr, l, h->fence);
    free(h);
}

/* A permit becomes the thread's; levels of an RLock come at once. */
static struct hold *take(struct mgr *mgr, struct lock *l, struct ref *ref, struct session *s,
                         uint64_t thread, uint64_t call, uint32_t levels)
{
    struct hold *h = lock_hold(ref, thread);

    rv_assert(l->value > 0);
    l->value--;
    if (h == NULL) {
        h = rv_alloc(sizeof *h);
        *h = (struct hold){.session = s, .ref = ref, .thread = thread, .since = mgr->now};
        DL_APPEND(l->holds, h);
        DL_APPEND2(ref->holds, h, ref_prev, ref_next);
    }
    h->count += levels;
    h->call = call;
    h->levels = levels;
    h->fence = RV_MUTANT(FENCE_STANDS) ? mgr->last_fence : ++mgr->last_fence;
    h->died = l->abandoned;
    l->abandoned = false;
    return h;
}

/* ---- answers ---- */

static void answer(struct mgr *mgr, struct session *s, uint64_t number, const struct lock *l,
                   const struct hold *h, const struct call *wait)
{
    rv_buf_clear(&mgr->scratch);
    if (wait != NULL && wait->op == RV_OP_condition_wait)
        rv_condition_wait_result_encode(
            &mgr->scratch,
            &(struct rv_condition_wait_result){.fence = h->fence, .notified = wait->notified});
    else
        rv_lock_acquire_result_encode(
            &mgr->scratch, &(struct rv_lock_acquire_result){.fence = h->fence,
                                                            .leased = h->leased ? RV_GRANT_LEASE
                                                                      : h->late ? RV_GRANT_LATE
                                                                                : RV_GRANT_PLAIN});
    mgr_reply(mgr, s, number, h->died ? REEVE_OWNER_DIED : REEVE_OK, h->died ? l->dead : NULL,
              rv_buf_slice(&mgr->scratch), NULL, 0);
}

/* Why it can't be had now: who has it. */
static void refuse(struct mgr *mgr, struct session *s, uint64_t number, const struct lock *l,
                   reeve_err error)
{
    char who[WHO_TEXT];
    char text[WHO_TEXT + 40];

    if (l->holds == NULL) {
        mgr_reply_text(mgr, s, number, error, NULL);
        return;
    }
    snprintf(text, sizeof text, "held by %s%s",
             why_who(who, l->holds->session, l->holds->leased ? 0 : l->holds->thread),
             l->holds->next == NULL ? "" : " and others");
    mgr_reply_text(mgr, s, number, error, text);
}

/* A lease stays only while nobody else asks. */
static bool may_lease(const struct lock *l, uint8_t flags)
{
    return (flags & RV_LOCK_LEASE) && !l->counted && l->waiters == NULL;
}

/* May the client have given the lock back, or to another of its threads, without our knowing yet? Its
 * own later calls come behind what it says of that. */
static bool unsure(const struct hold *h, const struct session *asking)
{
    return h != NULL && (h->leased || h->late) && (h->leased || h->session != asking);
}

static void push_recall(struct mgr *mgr, const struct lock *l, const struct hold *h, bool revoked)
{
    rv_buf_clear(&mgr->scratch);
    rv_lock_recall_args_encode(&mgr->scratch, &(struct rv_lock_recall_args){h->fence, revoked, 0});
    mgr_push(mgr, h->session, RV_OP_lock_recall, l->object.id, rv_buf_slice(&mgr->scratch), NULL,
             0);
}

static void recall(struct mgr *mgr, const struct lock *l)
{
    struct hold *h = l->holds;

    if (h == NULL || !(h->leased || h->late) || h->recalled || RV_MUTANT(LEASE_STAYS))
        return;
    h->recalled = true;
    push_recall(mgr, l, h, false);
}

/* ---- serving those who wait ---- */

static void end_call(struct mgr *mgr, struct call *call, reeve_err error, const char *text)
{
    struct session *s = call->session;
    uint64_t number = call->number;

    mgr_unpark(mgr, call);
    mgr_reply_text(mgr, s, number, error, text);
}

static void hand_over(struct mgr *mgr, struct lock *l, struct call *call)
{
    struct call ended = *call;
    struct hold *h = NULL;

    mgr_unpark(mgr, call);
    h = take(mgr, l, session_ref(ended.session, l->object.id), ended.session, ended.thread,
             ended.number, ended.levels == 0 ? 1 : ended.levels);
    h->leased = may_lease(l, ended.flags);
    answer(mgr, ended.session, ended.number, l, h, &ended);
}

/* First come, first served. */
static void serve(struct mgr *mgr, struct lock *l)
{
    while (l->value > 0 && l->waiters != NULL && !RV_MUTANT(LOST_HANDOVER))
        hand_over(mgr, l, RV_MUTANT(UNFAIR) ? l->waiters->prev : l->waiters);
}

/* The permits of a hold go back, all of them. */
static void give_back(struct mgr *mgr, struct lock *l, struct hold *h)
{
    l->value += l->counted ? h->count : 1;
    free_hold(mgr, l, h);
}

void lock_let_all_go(struct mgr *mgr, struct lock *l, struct hold *h)
{
    give_back(mgr, l, h);
    serve(mgr, l);
}

/* One level or permit goes back. */
static void give_one(struct mgr *mgr, struct lock *l, struct hold *h)
{
    if (h->count == 1) {
        give_back(mgr, l, h);
        return;
    }
    h->count--;
    h->levels = 0;
    l->value += l->counted;
}

/* Its owner is no more. The next owner hears of it; permits just come back. */
static void abandon(struct mgr *mgr, struct lock *l, struct hold *h)
{
    char who[WHO_TEXT];
    char text[WHO_TEXT + 60];

    why_who(who, h->session, h->leased ? 0 : h->thread);
    mgr_say(mgr, RV_WARN, "lock.abandoned object=%llu name=\"%s\" session=%llu fence=%llu",
            (unsigned long long)l->object.id, l->object.name == NULL ? "" : l->object.name,
            (unsigned long long)h->session->serial, (unsigned long long)h->fence);
    if (!l->counted && !RV_MUTANT(DEATH_UNTOLD)) {
        snprintf(text, sizeof text, "%s died holding it", who);
        free(l->dead);
        l->dead = mgr_text(rv_slice_str(text));
        l->abandoned = true;
    }
    if (RV_MUTANT(PERMITS_LOST) && l->counted) {
        l->total -= h->count;
        free_hold(mgr, l, h);
        return;
    }
    give_back(mgr, l, h);
}

/* ---- calls ---- */

static void on_acquire(struct mgr *mgr, struct lock *l, struct ref *ref, const struct incoming *in)
{
    struct rv_lock_acquire_args args;
    struct rv_call wait = *in->msg;
    struct incoming waiting = *in;
    struct hold *h = NULL;
    struct call *call = NULL;

    rv_assert(rv_lock_acquire_args_decode(&args, in->msg->args));
    h = l->recursive ? lock_hold(ref, args.thread) : NULL;
    if (h != NULL && h->leased)
        h = NULL; /* another thread of its session may use the lease by now */
    if (h != NULL && h->count == RV_LIMIT_LEVELS) {
        mgr_reply_text(mgr, in->session, in->number, REEVE_ELIMIT, "held too many times");
        return;
    }
    if (h != NULL) {
        h->count++;
        h->call = in->number;
        h->levels = 1;
        h->died = false;
        answer(mgr, in->session, in->number, l, h, NULL);
        return;
    }
    if (l->counted && lock_hold(ref, args.thread) == NULL && all_holders(ref)) {
        mgr_reply_text(mgr, in->session, in->number, REEVE_ELIMIT,
                       "too many threads of this session hold permits");
        return;
    }
    if (l->value > 0) {
        rv_assert(l->waiters == NULL); /* nobody waits for what is free */
        h = take(mgr, l, ref, in->session, args.thread, in->number, 1);
        h->leased = may_lease(l, args.flags);
        h->late = !h->leased && !l->counted && (args.flags & RV_LOCK_LATE);
        answer(mgr, in->session, in->number, l, h, NULL);
        return;
    }
    /* Whoever does not wait still waits for a lease that may be idle, and for a late release. */
    if (wait.timeout_ms == 0 && unsure(l->holds, in->session))
        wait.timeout_ms = RV_LIMIT_LEASE_MS;
    if (wait.timeout_ms == 0) {
        refuse(mgr, in->session, in->number, l, REEVE_ETIME);
        return;
    }
    waiting.msg = &wait;
    call = mgr_park_or_refuse(mgr, &waiting, &l->object, &l->waiters);
    if (call == NULL)
        return;
    call->thread = args.thread;
    call->flags = args.flags;
    call->impatient = in->msg->timeout_ms == 0;
    recall(mgr, l);
    why_look(mgr, call);
}

/* Anybody may release a lock or a permit: of the thread, else of its session, else the oldest of
 * the others, whose client must not go on believing. What nobody holds is one more permit of a
 * semaphore. Whoever waits is not served yet. */
static reeve_err release_one(struct mgr *mgr, struct lock *l, struct ref *ref, uint64_t thread)
{
    struct hold *h = lock_hold(ref, thread);

    if (h == NULL && l->recursive && !RV_MUTANT(RLOCK_ANYBODYS))
        return REEVE_ENOTOWNER;
    if (h == NULL)
        h = ref->holds != NULL ? ref->holds : l->holds;
    if (h == NULL && !(RV_MUTANT(BOUNDED_GROWS) && l->counted) &&
        (l->object.kind != RV_KIND_SEMAPHORE || l->value == RV_LIMIT_PERMITS))
        return REEVE_ERELEASED;
    if (h == NULL) {
        l->value++;
        l->total++;
        return REEVE_OK;
    }
    if (h->ref != ref)
        push_recall(mgr, l, h, true);
    give_one(mgr, l, h);
    return REEVE_OK;
}

static void release(struct mgr *mgr, struct lock *l, struct ref *ref, struct session *s,
                    uint64_t number, uint64_t thread)
{
    reeve_err err = release_one(mgr, l, ref, thread);

    if (err == REEVE_ENOTOWNER)
        refuse(mgr, s, number, l, err);
    else
        mgr_reply_text(mgr, s, number, err,
                       err == REEVE_OK ? NULL
                       : l->counted    ? "all permits are back already"
                                       : "nobody holds it");
    serve(mgr, l);
}

/* Another's lease may be idle, its release late: it says whether anybody has the lock at all. */
static void on_release(struct mgr *mgr, struct lock *l, struct ref *ref, const struct incoming *in)
{
    struct rv_lock_release_args args;
    struct rv_call wait = *in->msg;
    struct incoming waiting = *in;
    struct call *call = NULL;

    rv_assert(rv_lock_release_args_decode(&args, in->msg->args));
    if (l->recursive || !unsure(l->holds, in->session) || l->holds->session == in->session) {
        release(mgr, l, ref, in->session, in->number, args.thread);
        return;
    }
    wait.timeout_ms = UINT32_MAX;
    waiting.msg = &wait;
    call = mgr_park_or_refuse(mgr, &waiting, &l->object, &l->releasers);
    if (call == NULL)
        return;
    call->thread = args.thread;
    recall(mgr, l);
}

/* It is known again who has the lock. */
static void settle(struct mgr *mgr, struct lock *l)
{
    struct call *call = NULL;
    struct call *next = NULL;

    while (l->releasers != NULL) {
        struct call ended = *l->releasers;

        mgr_unpark(mgr, l->releasers);
        release(mgr, l, session_ref(ended.session, l->object.id), ended.session, ended.number,
                ended.thread);
    }
    if (l->holds == NULL || l->holds->late)
        return;
    rv_assert(!l->holds->leased); /* a lease is had once: it went, or was kept */
    DL_FOREACH_SAFE (l->waiters, call, next) {
        struct session *s = call->session;
        uint64_t number = call->number;

        if (!call->impatient)
            continue;
        mgr_unpark(mgr, call);
        refuse(mgr, s, number, l, REEVE_ETIME);
    }
}

static void on_let_go(struct mgr *mgr, struct lock *l, struct ref *ref, struct rv_slice bytes)
{
    struct rv_lock_let_go_args args;
    struct hold *h = NULL;

    rv_assert(rv_lock_let_go_args_decode(&args, bytes));
    if (l->counted) {
        mgr->refused += release_one(mgr, l, ref, args.thread) != REEVE_OK;
        serve(mgr, l);
        return;
    }
    h = ref->holds;
    if (h == NULL || h->fence != args.fence) {
        mgr->refused++;
        return;
    }
    give_one(mgr, l, h);
    settle(mgr, l); /* a lease that nobody used: releases by others were one too many */
    serve(mgr, l);
}

static void on_abandon(struct mgr *mgr, struct lock *l, struct ref *ref, struct rv_slice bytes)
{
    struct rv_lock_abandon_args args;
    struct hold *h = NULL;

    rv_assert(rv_lock_abandon_args_decode(&args, bytes));
    h = lock_hold(ref, args.thread);
    if (h == NULL) {
        mgr->refused++;
        return;
    }
    abandon(mgr, l, h);
    settle(mgr, l);
    serve(mgr, l);
}

static void on_kept(struct mgr *mgr, struct lock *l, struct ref *ref, struct rv_slice bytes)
{
    struct rv_lock_kept_args args;
    struct hold *h = ref->holds;
    struct call *call = NULL;
    struct call *next = NULL;
    bool unknown = false; /* which thread has it */

    rv_assert(rv_lock_kept_args_decode(&args, bytes));
    if (h == NULL || !(h->leased || h->late) || h->fence != args.fence) {
        mgr->refused++;
        return;
    }
    unknown = h->leased;
    h->leased = h->late = h->recalled = false;
    h->thread = args.thread;
    settle(mgr, l);
    DL_FOREACH_SAFE (l->waiters, call, next) {
        if (!unknown || l->holds != h)
            break; /* a cycle was seen when it closed */
        why_look(mgr, call);
    }
}

bool lock_call(struct mgr *mgr, struct lock *l, struct ref *ref, const struct incoming *in)
{
    switch ((enum rv_op)in->msg->op) {
    case RV_OP_lock_acquire:
        on_acquire(mgr, l, ref, in);
        return true;
    case RV_OP_lock_release:
        on_release(mgr, l, ref, in);
        return true;
    case RV_OP_lock_let_go:
        on_let_go(mgr, l, ref, in->msg->args);
        return true;
    case RV_OP_lock_abandon:
        on_abandon(mgr, l, ref, in->msg->args);
        return true;
    case RV_OP_lock_kept:
        on_kept(mgr, l, ref, in->msg->args);
        return true;
    case RV_OP_lock_guard: {
        struct rv_lock_guard_args args;

        rv_assert(rv_lock_guard_args_decode(&args, in->msg->args));
        in->session->guard_lock = l->object.id;
        in->session->guard_fence = args.fence;
        return true;
    }
    default:
        return false;
    }
}

void sync_refuse(struct mgr *mgr, const struct incoming *in)
{
    if (rv_op_info(in->msg->op)->flags & RV_OP_ONEWAY)
        mgr->refused++;
    else
        mgr_reply_text(mgr, in->session, in->number, REEVE_ETYPE, NULL);
}

static void on_call(struct mgr *mgr, struct object *o, struct ref *ref, const struct incoming *in)
{
    if (!lock_call(mgr, (struct lock *)o, ref, in))
        sync_refuse(mgr, in);
}

void lock_retake(struct mgr *mgr, struct lock *l, struct call *call)
{
    rv_heap_cancel(&mgr->heap, &call->timer);
    DL_DELETE(*call->list, call);
    call->list = &l->waiters;
    call->object = &l->object;
    call->since = mgr->now;
    DL_APPEND(l->waiters, call);
    serve(mgr, l);
    if (l->waiters == NULL)
        return; /* it has the lock */
    rv_assert(l->waiters->prev == call);
    recall(mgr, l);
    why_look(mgr, call);
}

/* ---- guards ---- */

bool lock_guarded(struct mgr *mgr, struct session *s, const struct rv_op_info *op)
{
    const struct ref *ref = NULL;
    const struct hold *h = NULL;
    struct lock *l = NULL;
    bool held = false;

    mgr->guard = NULL;
    if (s->guard_lock == 0 || !(op->flags & RV_OP_FENCE))
        return true;
    ref = session_ref(s, s->guard_lock);
    s->guard_lock = 0;
    if (ref != NULL && !ref->object->removed)
        l = (struct lock *)ref->object;
    for (h = l == NULL ? NULL : l->holds; h != NULL && !held; h = h->next)
        held = h->fence == s->guard_fence;
    if (held) {
        mgr->guard = l;
        mgr->guard_fence = s->guard_fence;
    }
    return held || RV_MUTANT(FENCE_UNCHECKED);
}

void lock_guard_parked(const struct mgr *mgr, struct call *call)
{
    if (mgr->guard == NULL)
        return;
    call->guard = mgr->guard;
    call->guard_fence = mgr->guard_fence;
    DL_APPEND2(call->guard->guarded, call, guard_prev, guard_next);
}

void lock_guard_unparked(struct call *call)
{
    if (call->guard != NULL)
        DL_DELETE2(call->guard->guarded, call, guard_prev, guard_next);
    call->guard = NULL;
}

/* ---- ends ---- */

void lock_end_call(struct mgr *mgr, struct call *call, reeve_err error)
{
    end_call(mgr, call, error, NULL);
}

void lock_timeout(struct mgr *mgr, struct call *call)
{
    struct lock *l = (struct lock *)call->object;
    struct session *s = call->session;
    uint64_t number = call->number;

    mgr_unpark(mgr, call);
    refuse(mgr, s, number, l, REEVE_ETIME);
}

/* What the call was given goes back; who died before it is told to the next. */
void lock_cancel(struct mgr *mgr, struct object *o, struct ref *ref, uint64_t number)
{
    struct lock *l = (struct lock *)o;
    struct hold *h = NULL;

    for (h = ref->holds; h != NULL && h->call != number; h = h->ref_next)
        ;
    if (h == NULL || RV_MUTANT(CANCEL_KEPT))
        return;
    rv_assert(!l->abandoned && h->levels <= h->count);
    l->abandoned = h->died;
    for (uint32_t levels = h->levels; levels > 0; levels--) /* the last may be the end of it */
        give_one(mgr, l, h);
    serve(mgr, l);
}

void lock_drop_ref(struct mgr *mgr, struct ref *ref, bool died)
{
    struct lock *l = (struct lock *)ref->object;

    (void)died; /* who lets go of a lock that it holds can't release it any more */
    if (ref->holds == NULL)
        return;
    while (ref->holds != NULL)
        abandon(mgr, l, ref->holds);
    if (l->object.removed)
        return;
    settle(mgr, l);
    serve(mgr, l);
}

void lock_end_waits(struct mgr *mgr, struct lock *l)
{
    while (l->waiters != NULL)
        end_call(mgr, l->waiters, REEVE_EGONE, NULL);
    while (l->releasers != NULL)
        end_call(mgr, l->releasers, REEVE_EGONE, NULL);
    while (l->guarded != NULL)
        l->guarded->object->ops->end_call(mgr, l->guarded, REEVE_EFENCED);
}

static void removed(struct mgr *mgr, struct object *o)
{
    lock_end_waits(mgr, (struct lock *)o);
}

/* ---- life ---- */

void lock_init(struct lock *l, uint8_t kind, uint32_t initial)
{
    l->counted = kind == RV_KIND_SEMAPHORE || kind == RV_KIND_BOUNDED_SEMAPHORE;
    l->recursive = kind == RV_KIND_RLOCK || kind == RV_KIND_CONDITION;
    l->initial = initial;
    l->value = l->counted ? initial : 1;
    l->total = l->value;
}

void lock_fini(struct lock *l)
{
    rv_assert(l->holds == NULL && l->waiters == NULL && l->releasers == NULL);
    rv_assert(l->guarded == NULL);
    free(l->dead);
}

static const char *refuse_open(const struct rv_object_open_args *args)
{
    bool counted = args->kind == RV_KIND_SEMAPHORE || args->kind == RV_KIND_BOUNDED_SEMAPHORE;

    if (!counted && args->maxsize != 0)
        return "a lock has no number";
    return args->maxsize > RV_LIMIT_PERMITS ? "a semaphore has at most 2147483647 permits" : NULL;
}

static struct object *create(struct mgr *mgr, const struct rv_object_open_args *args)
{
    struct lock *l = rv_alloc(sizeof *l);

    (void)mgr;
    lock_init(l, args->kind, args->maxsize);
    return &l->object;
}

static bool fits(const struct object *o, const struct rv_object_open_args *args)
{
    return args->maxsize == ((const struct lock *)o)->initial;
}

static void free_lock(struct mgr *mgr, struct object *o)
{
    struct lock *l = (struct lock *)o;

    (void)mgr;
    lock_fini(l);
    free(l);
}

static void row(const struct object *o, struct rv_object_row *out)
{
    const struct lock *l = (const struct lock *)o;
    const struct call *call = NULL;

    out->maxsize = l->initial;
    out->size = l->value;
    DL_COUNT(l->waiters, call, out->getters);
}

/* ---- what must be true ---- */

void lock_check(const struct object *o)
{
    const struct lock *l = (const struct lock *)o;
    const struct hold *h = NULL;
    const struct hold *other = NULL;
    const struct call *call = NULL;
    uint64_t held = 0;

    DL_FOREACH2(l->guarded, call, guard_next)
    {
        DL_SEARCH_SCALAR(l->holds, h, fence, call->guard_fence);
        rv_assert(h != NULL); /* nobody waits in the name of a void fence */
    }
    DL_FOREACH (l->holds, h) {
        rv_assert(h->count > 0 && h->ref == session_ref(h->session, o->id));
        DL_SEARCH_SCALAR(h->ref->holds, other, thread, h->thread);
        rv_assert(l->counted || (h->next == NULL && h == l->holds)); /* at most one owner */
        held += l->counted ? h->count : 1;
        rv_assert(!(h->leased || h->late) || !l->counted);
        rv_assert(!h->leased || !h->late);
    }
    /* Permits are conserved, over deaths too. */
    rv_assert(l->value + held == l->total);
    rv_assert(l->total == l->initial || o->kind == RV_KIND_SEMAPHORE || !l->counted);
    rv_assert(l->counted || l->total == 1);
    /* Nobody waits for what is free. */
    rv_assert(l->waiters == NULL || l->value == 0);
    rv_assert(l->releasers == NULL || (l->holds != NULL && (l->holds->leased || l->holds->late)));
}

const struct object_ops lock_ops = {
    .family = 2,
    .fits = fits,
    .refuse = refuse_open,
    .create = create,
    .call = on_call,
    .end_call = lock_end_call,
    .timeout = lock_timeout,
    .cancel = lock_cancel,
    .drop_ref = lock_drop_ref,
    .removed = removed,
    .free = free_lock,
    .row = row,
    .check = lock_check,
    .create_empty = lock_create_empty,
    .save = lock_save,
    .load = lock_load,
    .save_call = sync_save_call,
    .load_call = sync_load_call,
};
