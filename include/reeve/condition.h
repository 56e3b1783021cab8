#ifndef REEVE_CONDITION_H
#define REEVE_CONDITION_H

/*
 * condition.h -- Condition, shared over the network.
 *
 *     reeve_err err = reeve_condition_acquire(ready, REEVE_FOREVER);
 *     while (err == REEVE_OK && !something_is_there())
 *         err = reeve_condition_wait(ready, REEVE_FOREVER, NULL);
 *     ...
 *     err = reeve_condition_release(ready);
 *
 * The manager moves who is woken to the lock's row of waiters: a notify waits for nobody, and who
 * died asleep holds nobody up. A condition has an RLock of its own, or works with a lock that is
 * given to each of its handles.
 */

#include <reeve/error.h>
#include <reeve/lock.h>
#include <reeve/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Zero means "the default" in every field. */
typedef struct reeve_condition_options {
    reeve_lock *lock; /* of the same context, and open for longer; NULL: an RLock of its own */
    reeve_create create;
    uint32_t ttl_ms;       /* a named one that nobody has open goes after so long; 0: never */
    uint32_t timeout_ms;   /* of the open; 0: 5000 */
    reeve_durable durable; /* what a call survives once it has returned: reeve_reached */
    uint64_t reserved[4];
} reeve_condition_options;

/* Open one by name. Blocks for at most options->timeout_ms. Errors: as reeve_lock_open. Answers
 * rows S10, T07. */
REEVE_API REEVE_NODISCARD reeve_err reeve_condition_open(reeve_condition **out, reeve_context *ctx,
                                                         const char *name,
                                                         const reeve_condition_options *options);

/* Frees *condition and sets it to NULL. Does not block. */
REEVE_API void reeve_condition_close(reeve_condition **condition);

/* The same of its lock: see lock.h. */
REEVE_API REEVE_NODISCARD reeve_err reeve_condition_acquire(reeve_condition *condition,
                                                            uint32_t timeout_ms);
REEVE_API REEVE_NODISCARD reeve_err reeve_condition_release(reeve_condition *condition);
REEVE_API REEVE_NODISCARD reeve_err reeve_condition_locked(reeve_condition *condition,
                                                           bool *locked);

/*
 * Give the lock back, however often this thread has it, sleep until a notify or for at most
 * timeout_ms, and take it again as often. That can take longer than timeout_ms. REEVE_OK: notified.
 * REEVE_ETIME: not notified. REEVE_OWNER_DIED: the last owner of the lock died while it held it. With
 * all three the thread has the lock; *notified (may be NULL) tells which it was. Errors: ENOTOWNER,
 * EINVAL (others sleep here with another lock): nothing happened; EGONE, ELOST and the other ends of a
 * session: the lock is lost. Answers rows S11, T07.
 */
REEVE_API REEVE_NODISCARD reeve_err reeve_condition_wait(reeve_condition *condition,
                                                         uint32_t timeout_ms, bool *notified);

/* Wait until predicate(arg), which is asked with the lock held before each sleep and after it, is
 * true: REEVE_OK; or for at most timeout_ms: REEVE_ETIME. REEVE_OWNER_DIED, told once the wait is
 * over, can be both: *result (may be NULL) has the predicate's last value. Else as
 * reeve_condition_wait. Answers row S13. */
REEVE_API REEVE_NODISCARD reeve_err reeve_condition_wait_for(reeve_condition *condition,
                                                             bool (*predicate)(void *arg),
                                                             void *arg, uint32_t timeout_ms,
                                                             bool *result);

/* Wake up to count who sleep, the first ones first; *woken (may be NULL) tells how many there
 * were. They have the lock after this thread released it. One round trip. Errors: ENOTOWNER, EGONE,
 * and as reeve_ping. Answers rows S12, T07. */
REEVE_API REEVE_NODISCARD reeve_err reeve_condition_notify(reeve_condition *condition,
                                                           uint32_t count, uint32_t *woken);
REEVE_API REEVE_NODISCARD reeve_err reeve_condition_notify_all(reeve_condition *condition,
                                                               uint32_t *woken);

/* Its name; "" without one. Borrowed from it. */
REEVE_API const char *reeve_condition_name(const reeve_condition *condition);

#ifdef __cplusplus
}
#endif

#endif
