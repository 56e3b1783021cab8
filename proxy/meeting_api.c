/* meeting_api.c -- the public face of Condition, Event and Barrier: where threads meet. */

#include "proxy/sync_api.h"

#include "common/net/net.h"

#include <reeve/barrier.h>
#include <reeve/condition.h>
#include <reeve/event.h>
#include <reeve/ref.h>

struct reeve_condition {
    struct rv_sync sync;
    const struct rv_sync *lock; /* another object's, or its own */
};

struct reeve_event {
    struct rv_sync sync;
};

struct reeve_barrier {
    struct rv_sync sync;
    reeve_err (*action)(void *arg);
    void *arg;
    uint32_t wait_ms;
};

/* ---- conditions ---- */

reeve_err reeve_condition_open(reeve_condition **out, reeve_context *ctx, const char *name,
                               const reeve_condition_options *options)
{
    static const reeve_condition_options defaults;
    const reeve_condition_options *o = options == NULL ? &defaults : options;
    reeve_err err = REEVE_OK;

    if (o->lock != NULL && rv_lock_sync(o->lock)->ctx != ctx) {
        *out = NULL;
        return rv_fail(REEVE_EINVAL, "cannot open condition %s: its lock is of another context",
                       name == NULL ? "" : name);
    }
    err = rv_handle_open(out, sizeof **out, ctx, name,
                         &(struct rv_sync_conf){.kind = RV_KIND_CONDITION,
                                                .word = "condition",
                                                .create = o->create,
                                                .ttl_ms = o->ttl_ms,
                                                .timeout_ms = o->timeout_ms,
                                                .durable = o->durable,
                                                .reserved = o->reserved});
    if (err != REEVE_OK)
        return err;
    (*out)->lock = o->lock == NULL ? &(*out)->sync : rv_lock_sync(o->lock);
    return REEVE_OK;
}

reeve_err reeve_condition_from(reeve_condition **out, reeve_context *ctx, reeve_ref ref)
{
    reeve_err err =
        rv_handle_from(out, sizeof **out, ctx, ref, 1u << RV_KIND_CONDITION, "condition");

    if (err == REEVE_OK)
        (*out)->lock = &(*out)->sync;
    return err;
}

reeve_ref reeve_condition_ref(const reeve_condition *handle)
{
    return rv_handle_ref(handle);
}

void reeve_condition_close(reeve_condition **condition)
{
    rv_handle_close(condition);
}

const char *reeve_condition_name(const reeve_condition *condition)
{
    return condition->sync.name;
}

reeve_err reeve_condition_acquire(reeve_condition *condition, uint32_t timeout_ms)
{
    return rv_sync_acquire(condition->lock, timeout_ms, false);
}

reeve_err reeve_condition_release(reeve_condition *condition)
{
    return rv_sync_release(condition->lock);
}

reeve_err reeve_condition_locked(reeve_condition *condition, bool *locked)
{
    struct rv_sync_state_result state;
    reeve_err err = rv_sync_state(condition->lock, "look at", &state);

    *locked = state.locked != 0;
    return err;
}

static reeve_err not_owner(const reeve_condition *c, const char *verb)
{
    return rv_fail(REEVE_ENOTOWNER, "cannot %s %s: its lock is not held by this thread", verb,
                   c->sync.label);
}

/* The verdict may take longer than the timeout: it comes with the lock. */
static reeve_err sleep_on_it(const reeve_condition *c, uint32_t timeout_ms, struct rv_buf *result)
{
    bool owner = false;
    struct rv_request *call = NULL;
    reeve_err err = rv_enter(c->sync.ctx, "wait for", c->sync.label);

    if (err != REEVE_OK)
        return err;
    call = rv_claims_sleep(rv_sync_claims(c->lock), c->sync.object, rv_thread_serial(), timeout_ms,
                           &owner);
    err = owner ? rv_finish(c->sync.ctx, call, REEVE_FOREVER, "wait for", c->sync.label, result)
                : not_owner(c, "wait for");
    rv_leave(c->sync.ctx);
    return err;
}

reeve_err reeve_condition_wait(reeve_condition *condition, uint32_t timeout_ms, bool *notified)
{
    struct rv_condition_wait_result got = {0};
    struct rv_buf result = {0};
    reeve_err err = sleep_on_it(condition, timeout_ms, &result);

    if ((err == REEVE_OK || err == REEVE_OWNER_DIED) &&
        !rv_condition_wait_result_decode(&got, rv_buf_slice(&result)))
        err = rv_fail(REEVE_EPROTO, "cannot wait for %s: malformed answer", condition->sync.label);
    rv_buf_free(&result);
    if (notified != NULL)
        *notified = got.notified != 0;
    if (err == REEVE_OK && got.notified == 0)
        return rv_fail(REEVE_ETIME, "cannot wait for %s any longer: nobody has notified",
                       condition->sync.label);
    return err;
}

static uint32_t left_ms(rv_ns deadline)
{
    rv_ns left = deadline == RV_NEVER ? RV_NEVER : deadline - rv_clock_now();

    if (left == RV_NEVER)
        return REEVE_FOREVER;
    return left <= 0 ? 0 : (uint32_t)((left + RV_MS - 1) / RV_MS);
}

reeve_err reeve_condition_wait_for(reeve_condition *condition, bool (*predicate)(void *arg),
                                   void *arg, uint32_t timeout_ms, bool *result)
{
    rv_ns deadline = rv_after_ms(rv_clock_now(), timeout_ms);
    bool value = predicate(arg);
    bool died = false;
    reeve_err err = REEVE_OK;

    while (!value && left_ms(deadline) > 0) {
        err = reeve_condition_wait(condition, left_ms(deadline), NULL);
        died = died || err == REEVE_OWNER_DIED;
        if (err != REEVE_OK && err != REEVE_ETIME && err != REEVE_OWNER_DIED)
            break;
        err = REEVE_OK;
        value = predicate(arg);
    }
    if (result != NULL)
        *result = value;
    if (err != REEVE_OK)
        return err;
    if (died)
        return rv_fail(REEVE_OWNER_DIED, "%s: the lock's last owner died", condition->sync.label);
    return value ? REEVE_OK
                 : rv_fail(REEVE_ETIME, "cannot wait for %s any longer: it is not yet so",
                           condition->sync.label);
}

reeve_err reeve_condition_notify(reeve_condition *condition, uint32_t count, uint32_t *woken)
{
    const struct rv_sync *lock = condition->lock;
    struct rv_condition_notify_result got = {0};
    struct rv_buf args = {0};
    struct rv_buf result = {0};
    reeve_err err = rv_enter(lock->ctx, "notify", condition->sync.label);

    if (woken != NULL)
        *woken = 0;
    if (err != REEVE_OK)
        return err;
    rv_claims_settle(rv_sync_claims(lock));
    rv_leave(lock->ctx);
    rv_condition_notify_args_encode(&args, &(struct rv_condition_notify_args){
                                               .thread = rv_thread_serial(),
                                               .lock = lock == &condition->sync ? 0 : lock->object,
                                               .count = count});
    err = rv_sync_call(&condition->sync, RV_OP_condition_notify, &args, "notify", &result);
    if (err == REEVE_OK && !rv_condition_notify_result_decode(&got, rv_buf_slice(&result)))
        err = rv_fail(REEVE_EPROTO, "cannot notify %s: malformed answer", condition->sync.label);
    rv_buf_free(&result);
    if (woken != NULL)
        *woken = got.woken;
    return err;
}

reeve_err reeve_condition_notify_all(reeve_condition *condition, uint32_t *woken)
{
    return reeve_condition_notify(condition, UINT32_MAX, woken);
}

/* ---- events ---- */

reeve_err reeve_event_open(reeve_event **out, reeve_context *ctx, const char *name,
                           const reeve_event_options *options)
{
    static const reeve_event_options defaults;
    const reeve_event_options *o = options == NULL ? &defaults : options;

    return rv_handle_open(out, sizeof **out, ctx, name,
                          &(struct rv_sync_conf){.kind = RV_KIND_EVENT,
                                                 .word = "event",
                                                 .create = o->create,
                                                 .ttl_ms = o->ttl_ms,
                                                 .timeout_ms = o->timeout_ms,
                                                 .durable = o->durable,
                                                 .reserved = o->reserved});
}

reeve_err reeve_event_from(reeve_event **out, reeve_context *ctx, reeve_ref ref)
{
    return rv_handle_from(out, sizeof **out, ctx, ref, 1u << RV_KIND_EVENT, "event");
}

reeve_ref reeve_event_ref(const reeve_event *handle)
{
    return rv_handle_ref(handle);
}

void reeve_event_close(reeve_event **event)
{
    rv_handle_close(event);
}

const char *reeve_event_name(const reeve_event *event)
{
    return event->sync.name;
}

reeve_err reeve_event_wait(reeve_event *event, uint32_t timeout_ms)
{
    struct rv_buf args = {0};

    rv_event_wait_args_encode(&args, &(struct rv_event_wait_args){.thread = rv_thread_serial()});
    return rv_sync_wait(&event->sync, RV_OP_event_wait, &args, timeout_ms, false, "wait for", NULL);
}

reeve_err reeve_event_set(reeve_event *event)
{
    return rv_sync_call(&event->sync, RV_OP_event_set, &(struct rv_buf){0}, "set", NULL);
}

reeve_err reeve_event_clear(reeve_event *event)
{
    return rv_sync_call(&event->sync, RV_OP_event_clear, &(struct rv_buf){0}, "clear", NULL);
}

reeve_err reeve_event_is_set(reeve_event *event, bool *set)
{
    struct rv_sync_state_result state;
    reeve_err err = rv_sync_state(&event->sync, "look at", &state);

    *set = state.value != 0;
    return err;
}

/* ---- barriers ---- */

reeve_err reeve_barrier_open(reeve_barrier **out, reeve_context *ctx, const char *name,
                             uint32_t parties, const reeve_barrier_options *options)
{
    static const reeve_barrier_options defaults;
    const reeve_barrier_options *o = options == NULL ? &defaults : options;
    reeve_err err = rv_handle_open(out, sizeof **out, ctx, name,
                                   &(struct rv_sync_conf){.kind = RV_KIND_BARRIER,
                                                          .word = "barrier",
                                                          .number = parties,
                                                          .create = o->create,
                                                          .ttl_ms = o->ttl_ms,
                                                          .timeout_ms = o->timeout_ms,
                                                          .durable = o->durable,
                                                          .reserved = o->reserved});
    if (err != REEVE_OK)
        return err;
    (*out)->action = o->action;
    (*out)->arg = o->arg;
    (*out)->wait_ms = o->wait_ms == 0 ? REEVE_FOREVER : o->wait_ms;
    return REEVE_OK;
}

reeve_err reeve_barrier_from(reeve_barrier **out, reeve_context *ctx, reeve_ref ref)
{
    reeve_err err = rv_handle_from(out, sizeof **out, ctx, ref, 1u << RV_KIND_BARRIER, "barrier");

    if (err == REEVE_OK)
        (*out)->wait_ms = REEVE_FOREVER;
    return err;
}

reeve_ref reeve_barrier_ref(const reeve_barrier *handle)
{
    return rv_handle_ref(handle);
}

void reeve_barrier_close(reeve_barrier **barrier)
{
    rv_handle_close(barrier);
}

const char *reeve_barrier_name(const reeve_barrier *barrier)
{
    return barrier->sync.name;
}

uint32_t reeve_barrier_parties(const reeve_barrier *barrier)
{
    return barrier->sync.number;
}

/* We came last: the others go on when the action has run, or hear that it failed. */
static reeve_err run_action(const reeve_barrier *b, uint64_t round)
{
    struct rv_buf args = {0};
    reeve_err failed = b->action(b->arg);
    reeve_err err = REEVE_OK;

    rv_barrier_release_args_encode(
        &args, &(struct rv_barrier_release_args){.round = round, .failed = failed != REEVE_OK});
    err = rv_sync_call(&b->sync, RV_OP_barrier_release, &args, "open", NULL);
    if (failed != REEVE_OK)
        return rv_fail(failed, "cannot open %s: its action failed: %s", b->sync.label,
                       reeve_strerror(failed));
    return err;
}

reeve_err reeve_barrier_wait(reeve_barrier *barrier, uint32_t timeout_ms, uint32_t *index)
{
    struct rv_barrier_wait_result got = {0};
    struct rv_buf args = {0};
    struct rv_buf result = {0};
    reeve_err err = REEVE_OK;

    rv_barrier_wait_args_encode(&args,
                                &(struct rv_barrier_wait_args){.thread = rv_thread_serial(),
                                                               .action = barrier->action != NULL});
    err = rv_sync_wait(&barrier->sync, RV_OP_barrier_wait, &args,
                       timeout_ms == REEVE_DEFAULT ? barrier->wait_ms : timeout_ms, true, "pass",
                       &result);
    if (err == REEVE_OK && !rv_barrier_wait_result_decode(&got, rv_buf_slice(&result)))
        err = rv_fail(REEVE_EPROTO, "cannot pass %s: malformed answer", barrier->sync.label);
    rv_buf_free(&result);
    if (index != NULL)
        *index = got.index;
    return err == REEVE_OK && got.run != 0 ? run_action(barrier, got.round) : err;
}

reeve_err reeve_barrier_abort(reeve_barrier *barrier)
{
    return rv_sync_call(&barrier->sync, RV_OP_barrier_abort, &(struct rv_buf){0}, "abort", NULL);
}

reeve_err reeve_barrier_reset(reeve_barrier *barrier)
{
    return rv_sync_call(&barrier->sync, RV_OP_barrier_reset, &(struct rv_buf){0}, "reset", NULL);
}

reeve_err reeve_barrier_n_waiting(reeve_barrier *barrier, uint32_t *waiting)
{
    struct rv_sync_state_result state;
    reeve_err err = rv_sync_state(&barrier->sync, "look at", &state);

    *waiting = state.waiting;
    return err;
}

reeve_err reeve_barrier_broken(reeve_barrier *barrier, bool *broken)
{
    struct rv_sync_state_result state;
    reeve_err err = rv_sync_state(&barrier->sync, "look at", &state);

    *broken = state.broken != 0;
    return err;
}
