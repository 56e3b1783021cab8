#ifndef REEVE_LOCK_H
#define REEVE_LOCK_H

/*
 * lock.h -- Lock and RLock, shared over the network.
 *
 *     reeve_lock *nightly = NULL;
 *     reeve_err err = reeve_lock_open(&nightly, ctx, "nightly", NULL);
 *     if (err == REEVE_OK)
 *         err = reeve_lock_acquire(nightly, 10000);
 *     if (err == REEVE_OWNER_DIED)
 *         err = mend_what_it_left();                      // the lock is held all the same
 *     ...
 *     err = reeve_lock_release(nightly);
 *     reeve_lock_close(&nightly);
 *
 * The owner is a thread of a session. When either ends while it holds the lock, the lock passes on,
 * and the next owner hears of it: acquire returns REEVE_OWNER_DIED once, which is a success with
 * news. Who waited longest is next. Each owner has a larger fence, a number by which what it does can
 * be told from what a former owner still does. Threads: many may use one handle.
 */

#include <reeve/error.h>
#include <reeve/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Zero means "the default" in every field. */
typedef struct reeve_lock_options {
    bool recursive; /* an RLock: its owner may acquire it again, and nobody else release it */
    bool lease;     /* keep the lock in this process after a release, so that the next acquire here
                     * costs no message, until somebody else asks for it. If the process dies
                     * with an idle lease, the next owner hears OWNER_DIED: nobody can tell. */
    bool no_cycle;  /* an acquire that closes a cycle of owners, or waits in it, is EDEADLOCK */
    reeve_create create;
    uint32_t ttl_ms;       /* a named lock that nobody has open goes after so long; 0: never */
    uint32_t timeout_ms;   /* of the open; 0: 5000 */
    reeve_durable durable; /* what a call survives once it has returned: reeve_reached */
    uint64_t reserved[4];
} reeve_lock_options;

/*
 * Open a lock by name; a NULL or empty name makes one without name, which lives while a session
 * holds it. On REEVE_OK the caller owns *out. Blocks for at most options->timeout_ms. Errors: EEXIST,
 * ETYPE (the name is another type's), ENOENT, EPERM, ELIMIT, EINVAL, and as reeve_ping. Answers rows
 * S01, S06, T04, T05.
 */
REEVE_API REEVE_NODISCARD reeve_err reeve_lock_open(reeve_lock **out, reeve_context *ctx,
                                                    const char *name,
                                                    const reeve_lock_options *options);

/* Frees *lock and sets it to NULL. If it was the last handle of this lock in the context, what is
 * still held passes on as if its owner had died. Does not block. */
REEVE_API void reeve_lock_close(reeve_lock **lock);

/*
 * Wait until this thread has it, at most timeout_ms; 0 does not wait (but for a lease of another
 * process, at most 0.1 s). REEVE_OK: it has. REEVE_OWNER_DIED: it has, and the last owner died while
 * it had it; reeve_errmsg() says who that was. Any other code: it has not. Errors: ETIME (reeve_errmsg()
 * says who holds it), EDEADLOCK (with no_cycle), ELIMIT (an RLock, 65535 times; permits, 4096 threads), EPERM,
 * EGONE, and as reeve_ping. Answers rows S02, S05, T04, T05, R01.
 */
REEVE_API REEVE_NODISCARD reeve_err reeve_lock_acquire(reeve_lock *lock, uint32_t timeout_ms);

/*
 * Give it back: a Lock that is held by this thread, else by another one of this process, else by
 * anybody; an RLock only by its owner, and it is free when it was released as often as it was
 * acquired. What this process holds is released without waiting for an answer, else this blocks for
 * a round trip. Errors: ERELEASED (a Lock that nobody holds), ENOTOWNER (an RLock of somebody else or
 * of nobody), EPERM, EGONE, and as reeve_ping. Answers rows S03, S06, T04, T05.
 */
REEVE_API REEVE_NODISCARD reeve_err reeve_lock_release(reeve_lock *lock);

/* Does anybody hold it? A lease counts until it is recalled. One round trip, and the past when it
 * returns. Errors: as reeve_ping, EGONE. Answers row S04. */
REEVE_API REEVE_NODISCARD reeve_err reeve_lock_locked(reeve_lock *lock, bool *locked);

/* The fence by which this thread holds it: larger than that of each owner before. All that have a
 * lease in turn have the same. Errors: ENOTOWNER. Does not block. */
REEVE_API REEVE_NODISCARD reeve_err reeve_lock_fence(reeve_lock *lock, uint64_t *fence);

/* The lock's name; "" without one. Borrowed from it. */
REEVE_API const char *reeve_lock_name(const reeve_lock *lock);

/*
 * From now on what this handle does to its queue counts only while the lock is held with this fence, by
 * whomever: each put, get, task_done, join and shutdown ends with EFENCED once the lock is lost, one that
 * waits at once. So an owner that was taken for dead, and whoever works for it, changes nothing any more.
 * A put then waits for the manager's word (put_async does not), nothing is fetched ahead, and task_done
 * is a round trip. NULL: without a fence again. The lock is opened with the same context (else EINVAL)
 * and stays the caller's, who closes it later than the handle. Does not block.
 */
REEVE_API REEVE_NODISCARD reeve_err reeve_queue_fence(reeve_queue *queue, const reeve_lock *lock,
                                                      uint64_t fence);

#ifdef __cplusplus
}
#endif

#endif
