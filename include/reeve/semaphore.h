#ifndef REEVE_SEMAPHORE_H
#define REEVE_SEMAPHORE_H

/*
 * semaphore.h -- Semaphore and BoundedSemaphore, shared over the network.
 *
 *     reeve_semaphore *gpus = NULL;
 *     reeve_err err = reeve_semaphore_open(&gpus, ctx, "gpus", 4,
 *                                          &(reeve_semaphore_options){.bounded = true});
 *     if (err == REEVE_OK)
 *         err = reeve_semaphore_acquire(gpus, REEVE_FOREVER);
 *     ...
 *     err = reeve_semaphore_release(gpus);
 *     reeve_semaphore_close(&gpus);
 *
 * The manager knows who holds a permit: when its thread or session ends, the permit comes back. A
 * release counts for a permit of this thread, else of this session, else for the oldest that others
 * hold; if nobody holds any, a Semaphore has one more and a BoundedSemaphore is ERELEASED. Who
 * waited longest is next. Threads: many may use one handle.
 */

#include <reeve/error.h>
#include <reeve/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Zero means "the default" in every field. */
typedef struct reeve_semaphore_options {
    bool bounded; /* never more permits than at the beginning */
    reeve_create create;
    uint32_t ttl_ms;       /* a named one that nobody has open goes after so long; 0: never */
    uint32_t timeout_ms;   /* of the open; 0: 5000 */
    reeve_durable durable; /* what a call survives once it has returned: reeve_reached */
    uint64_t reserved[4];
} reeve_semaphore_options;

/*
 * Open one by name, with so many permits at the beginning (at most 2147483647); without a name it
 * lives while a session holds it. On REEVE_OK the caller owns *out. Blocks for at most
 * options->timeout_ms. Errors: EINVAL (too many), EEXIST (with another number), and as
 * reeve_lock_open. Answers rows S07, S08, T06.
 */
REEVE_API REEVE_NODISCARD reeve_err reeve_semaphore_open(reeve_semaphore **out, reeve_context *ctx,
                                                         const char *name, uint32_t value,
                                                         const reeve_semaphore_options *options);

/* Frees *semaphore and sets it to NULL; with the last handle in the context, the permits that are
 * still held come back. Does not block. */
REEVE_API void reeve_semaphore_close(reeve_semaphore **semaphore);

/* Take a permit; waits for at most timeout_ms, 0 does not wait. Errors: ETIME, EPERM, EGONE, and as
 * reeve_ping. Answers row S07. */
REEVE_API REEVE_NODISCARD reeve_err reeve_semaphore_acquire(reeve_semaphore *semaphore,
                                                            uint32_t timeout_ms);

/* Give one back. Does not wait when this process holds one, else blocks for a round trip. Errors:
 * ERELEASED (bounded and complete, or 2147483647 permits), EPERM, EGONE, and as reeve_ping. Answers
 * rows S07, S08. */
REEVE_API REEVE_NODISCARD reeve_err reeve_semaphore_release(reeve_semaphore *semaphore);

/* Permits that are free, and whether there is none; one round trip, and the past when it returns.
 * Errors: as reeve_ping, EGONE. Answers rows S04, S07. */
REEVE_API REEVE_NODISCARD reeve_err reeve_semaphore_value(reeve_semaphore *semaphore,
                                                          uint32_t *value);
REEVE_API REEVE_NODISCARD reeve_err reeve_semaphore_locked(reeve_semaphore *semaphore,
                                                           bool *locked);

/* Its name; "" without one. Borrowed from it. */
REEVE_API const char *reeve_semaphore_name(const reeve_semaphore *semaphore);

#ifdef __cplusplus
}
#endif

#endif
