#ifndef SYNC_H
#define SYNC_H

/*
 * sync.h -- locks and their kin: who holds, who waits.
 *
 *              acquire                      release
 *   (waiters) ---------> held by a thread ---------> the next of the waiters, or nobody
 *                         |                            ^
 *                         '- its session or thread -----'  with OWNER_DIED, if a lock
 *                            is gone: abandoned
 *
 * A lock is one permit with an owner, a semaphore some permits with holders. What a holder had
 * passes on at its death: nobody waits for the dead, and a fence is larger with each new owner.
 * A Condition has a lock of its own, of which its waiters are part; an Event and a Barrier have
 * waiters only. A lease is a lock whose owner's client may hand it on among its own threads until
 * it is recalled, so the thread of the hold is not to be relied on before it is `kept`.
 */

#include "server/core/state.h"

/* What one thread of a session holds of a lock or semaphore. */
struct hold {
    struct session *session;
    struct ref *ref;
    uint64_t thread;
    uint64_t fence;
    uint32_t count;  /* levels of an RLock, permits of a semaphore */
    uint64_t call;   /* that got the newest of them: its cancel gives them back */
    uint32_t levels; /* so many */
    bool died;       /* it was told that its predecessor died */
    bool leased;
    bool late; /* its release may be on its way for a while */
    bool recalled;
    rv_ns since;
    struct hold *prev, *next;         /* of the lock, the oldest first */
    struct hold *ref_prev, *ref_next; /* of the session */
};

struct lock {
    struct object object; /* first: a lock is an object */
    bool recursive;       /* RLock: its owner may acquire it again, and nobody else release it */
    bool counted;         /* a semaphore: permits without an owner */
    uint32_t initial;     /* as it was opened with */
    uint32_t value;       /* permits that are nobody's */
    uint64_t total;       /* value and all that is held: only a release of what nobody holds adds */
    struct hold *holds;
    struct call *waiters;
    struct call *guarded;   /* calls elsewhere that wait and count only while a fence stands */
    struct call *releasers; /* releases of another's lease, until it says who has it */
    bool abandoned;         /* the last owner died, and nobody was told yet */
    char *dead;             /* who that was; NULL: nobody yet */
};

struct condition {
    struct lock lock; /* its own; idle while it is used with another */
    struct call *sleepers;
    uint64_t lock_id; /* what the sleepers take again */
    char *dead;       /* the last who died asleep */
    rv_ns died_at;
};

extern const struct object_ops lock_ops, condition_ops, event_ops, barrier_ops;

/* ---- lock.c ---- */

/* Operations of the family on a lock; false when there is no such for it. */
bool lock_call(struct mgr *mgr, struct lock *l, struct ref *ref, const struct incoming *in);
void lock_init(struct lock *l, uint8_t kind, uint32_t initial);

/* What the thread holds; NULL: nothing. */
struct hold *lock_hold(const struct ref *ref, uint64_t thread);
/* All levels go, to whoever waits. */
void lock_let_all_go(struct mgr *mgr, struct lock *l, struct hold *h);
/* A condition's call takes its lock again: at once, or in the lock's row of waiters. */
void lock_retake(struct mgr *mgr, struct lock *l, struct call *call);

void lock_end_call(struct mgr *mgr, struct call *call, reeve_err error);
void lock_timeout(struct mgr *mgr, struct call *call);
void lock_cancel(struct mgr *mgr, struct object *o, struct ref *ref, uint64_t number);
void lock_drop_ref(struct mgr *mgr, struct ref *ref, bool died);
void lock_end_waits(struct mgr *mgr, struct lock *l);
void lock_check(const struct object *o);
void lock_fini(struct lock *l);

/* Permits and levels that a session has of it. */
uint32_t lock_held(const struct ref *ref);

/* May the next call be made, as far as its fence is concerned? The guard is then that call's. */
bool lock_guarded(struct mgr *mgr, struct session *s, const struct rv_op_info *op);

/* The call that is being applied waits; if it has a guard, it waits no longer than the fence
 * stands. */
void lock_guard_parked(const struct mgr *mgr, struct call *call);
void lock_guard_unparked(struct call *call);

/* ---- why.c: who waits for whom ---- */

void sync_on_state(struct mgr *mgr, struct session *s, const struct rv_read *msg);
void why_on_read(struct mgr *mgr, struct session *s, const struct rv_read *msg);

/* A call has begun to wait for a lock: if that closes a cycle, say so, and end those calls of it
 * that asked for that. */
void why_look(struct mgr *mgr, struct call *call);

/* "session 3 (resize on node7, pid 42)"; thread 0 is not told. */
enum { WHO_TEXT = 400 };
const char *why_who(char out[WHO_TEXT], const struct session *s, uint64_t thread);

/* Of an operation that this type does not have. */
void sync_refuse(struct mgr *mgr, const struct incoming *in);

/* ---- sync_save.c ---- */

void sync_save_call(const struct call *call, struct saver *out);
void sync_load_call(struct mgr *mgr, struct call *call, struct rv_reader *in);
struct object *lock_create_empty(void);
void lock_save(const struct object *o, struct saver *out);
void lock_load(struct mgr *mgr, struct object *o, struct rv_reader *in);
struct object *condition_create_empty(void);
void condition_save(const struct object *o, struct saver *out);
void condition_load(struct mgr *mgr, struct object *o, struct rv_reader *in);

/* ---- event.c, barrier.c ---- */

void event_state(const struct object *o, struct rv_sync_state_result *out);
void barrier_state(const struct object *o, struct rv_sync_state_result *out);

#endif
