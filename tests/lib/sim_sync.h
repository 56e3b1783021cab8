#ifndef SIM_SYNC_H
#define SIM_SYNC_H

/*
 * sim_sync.h -- locks and their kin in the simulator.
 *
 *     sim_sync_open(&s, 1, "a", RV_KIND_LOCK, 0);        handle 0, 1, ... of that client
 *     sim_acquire(&s, 1, 1, "a", 1000);                  thread 1 of client 1
 *     sim_expect(&s, "[    2] acquire.ok client=1 lock=a fence=1\n");
 *
 * A call is told when it ends, but a release that needs no answer. The book knows what each client
 * believes to hold, and complains of two owners, of a fence that does not grow, and of a death that
 * was not told.
 */

#include "proxy/core/claim.h"
#include "tests/lib/sim.h"

struct object;

enum { SIM_SYNCS = 8 };

/* A handle. An event and a barrier have no claims. */
struct sim_handle {
    bool used, opened;
    char name[32];
    uint8_t kind;
    uint32_t number; /* as it was opened */
    bool leases;
    uint64_t object;
    struct rv_claims claims;
};

struct sim_sync {
    struct sim_handle handles[SIM_SYNCS];
};

/* Run until it is open, and mark. */
reeve_err sim_sync_open(struct sim *s, int client, const char *name, enum rv_kind kind,
                        uint32_t number);
reeve_err sim_sync_open_leased(struct sim *s, int client, const char *name, enum rv_kind kind);
reeve_err sim_sync_open_durable(struct sim *s, int client, const char *name, enum rv_kind kind,
                                uint32_t number, enum rv_durable durable);
void sim_sync_close(struct sim *s, int client, const char *name);

/* The last fence of the lock that anybody has seen; 0: nobody had it yet. */
uint64_t sim_sync_fence(struct sim *s, const char *name);

/* A new call of this operation on a handle; sim_op_begin() begins it. */
struct sim_op *sim_sync_op(struct sim *s, int client, uint64_t thread, int handle, uint16_t op,
                           uint32_t timeout_ms);
/* The handle of that name, or a free one for it. */
int sim_sync_handle(struct sim *s, int client, const char *name, enum rv_kind kind, uint32_t number,
                    bool leases);
struct sim_handle *sim_sync_at(const struct sim *s, int client, int handle);

struct sim_op *sim_acquire(struct sim *s, int client, uint64_t thread, const char *name,
                           uint32_t timeout_ms);
/* The same, to fail when that closes a cycle. */
struct sim_op *sim_acquire_no_cycle(struct sim *s, int client, uint64_t thread, const char *name);
void sim_release(struct sim *s, int client, uint64_t thread, const char *name);
void sim_thread_end(struct sim *s, int client, uint64_t thread);
/* lock: the name of the condition's lock; NULL is its own. */
void sim_sleep(struct sim *s, int client, uint64_t thread, const char *name, const char *lock,
               uint32_t timeout_ms);
void sim_notify(struct sim *s, int client, uint64_t thread, const char *name, const char *lock,
                uint32_t count);
void sim_event(struct sim *s, int client, const char *name, uint16_t op, uint32_t timeout_ms);
void sim_barrier_wait(struct sim *s, int client, uint64_t thread, const char *name,
                      uint32_t timeout_ms, bool action);
void sim_barrier_release(struct sim *s, int client, const char *name, uint64_t round, bool failed);
void sim_barrier(struct sim *s, int client, const char *name, uint16_t op);
/* The next call of the client that has a reply is for the holder of this fence only. */
void sim_guard(struct sim *s, int client, const char *name, uint64_t fence);
/* The manager's words on an object: "free", "held by 2", ... */
void sim_state(struct sim *s, int client, const char *name);

/* ---- for sim_client.c and sim_book.c ---- */
struct rv_request *sim_sync_begin(struct sim *s, struct sim_op *op);
void sim_sync_answered(struct sim *s, struct sim_op *op);
void sim_sync_tell(struct sim *s, struct sim_op *op);
void sim_sync_end(struct sim_client *c);
void sim_sync_close_all(struct sim *s, int client);
void sim_sync_portrait(struct rv_buf *b, const struct mgr *mgr, const struct object *o);
void sim_sync_free(struct sim *s);
/* With its store each lock is gone, and nobody died. */
void sim_sync_new_store(struct sim *s);
/* Nobody who lives may have waited in vain; counts of what the histories did. */
void sim_sync_counts(const struct sim *s, uint64_t *acquired, uint64_t *deaths);

#endif
