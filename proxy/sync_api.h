#ifndef RV_SYNC_API_H
#define RV_SYNC_API_H

/*
 * sync_api.h -- what the handles of locks, conditions, events, barriers and dicts have in common.
 *
 * All handles of a lock in one context share what its threads hold. A thread that ends while it
 * holds something is noticed here, and told to the manager.
 */

#include "proxy/context.h"
#include "proxy/core/claim.h"

#include <reeve/types.h>

struct rv_sync_shared;

struct rv_sync {
    reeve_context *ctx;
    uint64_t object;
    uint8_t kind;
    uint32_t number; /* permits at the beginning, parties */
    char *name;
    char *label;                   /* "lock nightly", for messages */
    struct rv_sync_shared *shared; /* of locks, semaphores and conditions; NULL of the others */
};

struct rv_sync_conf {
    uint8_t kind;
    const char *word; /* "lock" */
    uint32_t number;
    uint8_t typecode; /* of arrays and values; or 0 */
    uint64_t bytes;   /* that a container may have; or 0 */
    bool leases;
    reeve_create create;
    uint32_t ttl_ms, timeout_ms;
    reeve_durable durable;
    uint64_t ref;             /* not by its name: the object that is referred to; 0: none */
    const uint64_t *reserved; /* 4 of them */
};

/* The hook of an open: one that nobody waits for any more is undone, or its reference would stay. */
void rv_open_done(struct rv_link *link, struct rv_request *call, rv_ns now,
                  const struct rv_outcome *outcome);

/*
 * Handles. Each type of them begins with a struct rv_sync, and is size bytes; out is the address of a pointer to
 * one, which is NULL on errors. An object is found by its name, by a reference to one of these kinds
 * (1 << kind), or the session holds it already.
 */
reeve_err rv_handle_open(void *out, size_t size, reeve_context *ctx, const char *name,
                         const struct rv_sync_conf *conf);
reeve_err rv_handle_from(void *out, size_t size, reeve_context *ctx, reeve_ref ref, uint32_t kinds,
                         const char *word);
reeve_err rv_handle_adopt(void *out, size_t size, reeve_context *ctx, uint64_t object, uint8_t kind,
                          const char *word);
reeve_ref rv_handle_ref(const void *handle); /* of NULL: to nothing */
void rv_handle_close(void *out);             /* NULL, or of a NULL: nothing */

struct rv_claims *rv_sync_claims(const struct rv_sync *s);

/* ---- whole calls ---- */

/* A numbered call with a reply, without waiting in the manager. result may be NULL; else the caller
 * frees it on REEVE_OK. Frees args. */
reeve_err rv_sync_call(const struct rv_sync *s, uint16_t op, struct rv_buf *args, const char *verb,
                       struct rv_buf *result);

/* A question, which changes nothing; else the same. */
reeve_err rv_sync_read(const struct rv_sync *s, uint16_t op, struct rv_buf *args, const char *verb,
                       struct rv_buf *result);

/* One that waits in the manager for at most timeout_ms, and for its verdict. forever: whatever time
 * that takes. */
reeve_err rv_sync_wait(const struct rv_sync *s, uint16_t op, struct rv_buf *args,
                       uint32_t timeout_ms, bool forever, const char *verb, struct rv_buf *result);

reeve_err rv_sync_state(const struct rv_sync *s, const char *verb,
                        struct rv_sync_state_result *state);

reeve_err rv_sync_acquire(const struct rv_sync *s, uint32_t timeout_ms, bool no_cycle);
reeve_err rv_sync_release(const struct rv_sync *s);

/* The lock's own part, for a condition that uses it. */
const struct rv_sync *rv_lock_sync(const reeve_lock *lock);

#endif
