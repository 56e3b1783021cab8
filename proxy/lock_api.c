/* lock_api.c -- the public face of Lock, RLock, Semaphore and BoundedSemaphore. */

#include "proxy/sync_api.h"

#include <reeve/lock.h>
#include <reeve/ref.h>
#include <reeve/semaphore.h>

struct reeve_lock {
    struct rv_sync sync;
    bool no_cycle;
};

struct reeve_semaphore {
    struct rv_sync sync;
};

/* ---- locks ---- */

reeve_err reeve_lock_open(reeve_lock **out, reeve_context *ctx, const char *name,
                          const reeve_lock_options *options)
{
    static const reeve_lock_options defaults;
    const reeve_lock_options *o = options == NULL ? &defaults : options;
    reeve_err err =
        rv_handle_open(out, sizeof **out, ctx, name,
                       &(struct rv_sync_conf){.kind = o->recursive ? RV_KIND_RLOCK : RV_KIND_LOCK,
                                              .word = "lock",
                                              .leases = o->lease,
                                              .create = o->create,
                                              .ttl_ms = o->ttl_ms,
                                              .timeout_ms = o->timeout_ms,
                                              .durable = o->durable,
                                              .reserved = o->reserved});
    if (err != REEVE_OK)
        return err;
    (*out)->no_cycle = o->no_cycle;
    return REEVE_OK;
}

reeve_err reeve_lock_from(reeve_lock **out, reeve_context *ctx, reeve_ref ref)
{
    return rv_handle_from(out, sizeof **out, ctx, ref, 1u << RV_KIND_LOCK | 1u << RV_KIND_RLOCK,
                          "lock");
}

reeve_ref reeve_lock_ref(const reeve_lock *handle)
{
    return rv_handle_ref(handle);
}

void reeve_lock_close(reeve_lock **lock)
{
    rv_handle_close(lock);
}

const char *reeve_lock_name(const reeve_lock *lock)
{
    return lock->sync.name;
}

reeve_err reeve_lock_acquire(reeve_lock *lock, uint32_t timeout_ms)
{
    return rv_sync_acquire(&lock->sync, timeout_ms, lock->no_cycle);
}

reeve_err reeve_lock_release(reeve_lock *lock)
{
    return rv_sync_release(&lock->sync);
}

reeve_err reeve_lock_locked(reeve_lock *lock, bool *locked)
{
    struct rv_sync_state_result state;
    reeve_err err = rv_sync_state(&lock->sync, "look at", &state);

    *locked = state.locked != 0;
    return err;
}

reeve_err reeve_lock_fence(reeve_lock *lock, uint64_t *fence)
{
    const struct rv_claim *claim = NULL;
    reeve_err err = rv_enter(lock->sync.ctx, "look at", lock->sync.label);

    *fence = 0;
    if (err != REEVE_OK)
        return err;
    claim = rv_claims_of(rv_sync_claims(&lock->sync), rv_thread_serial());
    if (claim != NULL)
        *fence = claim->fence;
    else
        err = rv_fail(REEVE_ENOTOWNER, "cannot show the fence of %s: %s", lock->sync.label,
                      reeve_strerror(REEVE_ENOTOWNER));
    rv_leave(lock->sync.ctx);
    return err;
}

const struct rv_sync *rv_lock_sync(const reeve_lock *lock)
{
    return &lock->sync;
}

/* ---- semaphores ---- */

reeve_err reeve_semaphore_open(reeve_semaphore **out, reeve_context *ctx, const char *name,
                               uint32_t value, const reeve_semaphore_options *options)
{
    static const reeve_semaphore_options defaults;
    const reeve_semaphore_options *o = options == NULL ? &defaults : options;

    return rv_handle_open(
        out, sizeof **out, ctx, name,
        &(struct rv_sync_conf){.kind = o->bounded ? RV_KIND_BOUNDED_SEMAPHORE : RV_KIND_SEMAPHORE,
                               .word = "semaphore",
                               .number = value,
                               .create = o->create,
                               .ttl_ms = o->ttl_ms,
                               .timeout_ms = o->timeout_ms,
                               .durable = o->durable,
                               .reserved = o->reserved});
}

reeve_err reeve_semaphore_from(reeve_semaphore **out, reeve_context *ctx, reeve_ref ref)
{
    return rv_handle_from(out, sizeof **out, ctx, ref,
                          1u << RV_KIND_SEMAPHORE | 1u << RV_KIND_BOUNDED_SEMAPHORE, "semaphore");
}

reeve_ref reeve_semaphore_ref(const reeve_semaphore *handle)
{
    return rv_handle_ref(handle);
}

void reeve_semaphore_close(reeve_semaphore **semaphore)
{
    rv_handle_close(semaphore);
}

const char *reeve_semaphore_name(const reeve_semaphore *semaphore)
{
    return semaphore->sync.name;
}

reeve_err reeve_semaphore_acquire(reeve_semaphore *semaphore, uint32_t timeout_ms)
{
    return rv_sync_acquire(&semaphore->sync, timeout_ms, false);
}

reeve_err reeve_semaphore_release(reeve_semaphore *semaphore)
{
    return rv_sync_release(&semaphore->sync);
}

reeve_err reeve_semaphore_value(reeve_semaphore *semaphore, uint32_t *value)
{
    struct rv_sync_state_result state;
    reeve_err err = rv_sync_state(&semaphore->sync, "look at", &state);

    *value = state.value;
    return err;
}

reeve_err reeve_semaphore_locked(reeve_semaphore *semaphore, bool *locked)
{
    struct rv_sync_state_result state;
    reeve_err err = rv_sync_state(&semaphore->sync, "look at", &state);

    *locked = state.locked != 0;
    return err;
}
