#ifndef RV_CLAIM_H
#define RV_CLAIM_H

/*
 * claim.h -- the client's half of a lock or semaphore: what the threads here hold of it.
 *
 *      acquire                     release
 *   ----------> held by a thread ----------> given back; the message needs no answer
 *                 |          ^
 *                 v          |   with a lease: no message at all, until it is recalled:
 *             idle lease ----'   an idle one goes back, one in use becomes that thread's own
 *
 * Another acquire of an RLock by its owner is counted here and not told. A release that nobody is
 * known to wait for rides with the next message, or leaves alone after some milliseconds; a recall
 * hurries it.
 */

#include "common/wire/link.h"

struct rv_claim {
    uint64_t thread;
    uint64_t fence;
    uint32_t count;
    bool late;   /* its release may be */
    bool asleep; /* its thread waits on a condition: it will have the lock again */
    struct rv_claim *prev, *next;
};

struct rv_claims {
    struct rv_port port; /* first: recalls come here; ticks when a late release leaves alone */
    struct rv_link *link;
    uint8_t kind; /* enum rv_kind */
    bool leases;  /* ask for leases */
    bool asked; /* there was one, and nobody has asked for it yet; link->asked_back counts these */
    bool lease; /* there is one, of this fence */
    uint64_t lease_fence;
    struct rv_claim *held;
};

reeve_err rv_claims_init(struct rv_claims *c, struct rv_link *link, uint64_t object, uint8_t kind,
                         bool leases);

/* Lets the object go. What is still held passes on as a dead owner's. */
void rv_claims_fini(struct rv_claims *c);

/* What the thread holds and may use; NULL: nothing. */
struct rv_claim *rv_claims_of(const struct rv_claims *c, uint64_t thread);

/* Acquire it without asking: once more, or from an idle lease. ELIMIT: too many levels; ETIME:
 * the manager must be asked; ENOMEM. */
reeve_err rv_claims_acquire_here(struct rv_claims *c, uint64_t thread);

/* Ask for it. When the call is done with OK or OWNER_DIED, the thread has it. NULL: no memory, or
 * the link is dead. */
struct rv_request *rv_claims_acquire(struct rv_claims *c, uint64_t thread, uint32_t timeout_ms,
                                     bool no_cycle);

/* Give it back without waiting. It leaves by itself at port.tick_at, if that is set. ENOENT: nothing
 * of it is held here, so the manager must be asked by rv_claims_ask_release(); else ENOMEM, or why
 * the link is dead. */
reeve_err rv_claims_release(struct rv_claims *c, rv_ns now, uint64_t thread);
struct rv_request *rv_claims_ask_release(struct rv_claims *c, uint64_t thread);

/* The thread has ended. */
void rv_claims_abandon(struct rv_claims *c, uint64_t thread);

/* Sleep on a condition (an object of its own, or the one whose lock this is). ENOTOWNER is NULL with
 * *owner false. When the call is done with OK or OWNER_DIED, the thread has the lock again, as often
 * as before. */
struct rv_request *rv_claims_sleep(struct rv_claims *c, uint64_t condition, uint64_t thread,
                                   uint32_t timeout_ms, bool *owner);

/* The manager must know which thread has the lock: a lease in use ends. */
void rv_claims_settle(struct rv_claims *c);

/* The session's next call that has a reply counts only while the lock has this fence. */
bool rv_claims_guard(struct rv_claims *c, uint64_t fence);

/* The lock's half on a link, or NULL. */
struct rv_claims *rv_claims_find(const struct rv_link *link, uint64_t object);

#endif
