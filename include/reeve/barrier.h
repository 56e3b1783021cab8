#ifndef REEVE_BARRIER_H
#define REEVE_BARRIER_H

/*
 * barrier.h -- Barrier, shared over the network.
 *
 *     reeve_barrier *start = NULL;
 *     uint32_t index = 0;
 *     reeve_err err = reeve_barrier_open(&start, ctx, "start", 3, NULL);
 *     if (err == REEVE_OK)
 *         err = reeve_barrier_wait(start, 60000, &index);        // 0, 1 and 2 go on together
 *     if (err == REEVE_EBROKEN)
 *         fprintf(stderr, "%s\n", reeve_errmsg());               // it says who is missing
 *     reeve_barrier_close(&start);
 *
 * All parties of a round go on, or none: when one of them gives up, aborts or dies, all that wait
 * there get EBROKEN, which names it. Threads: many may use one handle, each is a party.
 */

#include <reeve/error.h>
#include <reeve/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/* As the timeout of a wait: that of the handle. */
#define REEVE_DEFAULT (UINT32_MAX - 1)

/* Zero means "the default" in every field. */
typedef struct reeve_barrier_options {
    /* The last to come runs it in its own process before anybody goes on. What it returns, if not
     * REEVE_OK, breaks the barrier and is what its wait returns. Every party should have one: it is
     * not known who will be last. */
    reeve_err (*action)(void *arg);
    void *arg;
    uint32_t wait_ms; /* of a wait with REEVE_DEFAULT; 0: for ever */
    reeve_create create;
    uint32_t ttl_ms;       /* a named one that nobody has open goes after so long; 0: never */
    uint32_t timeout_ms;   /* of the open; 0: 5000 */
    reeve_durable durable; /* what a call survives once it has returned: reeve_reached */
    uint64_t reserved[4];
} reeve_barrier_options;

/* Open one by name, for so many parties (1 to 2147483647; with REEVE_GET_ONLY 0 is whatever it has).
 * Blocks for at most options->timeout_ms. Errors: EINVAL (no party), EEXIST (with another number),
 * and as reeve_lock_open. Answers rows S15, T08. */
REEVE_API REEVE_NODISCARD reeve_err reeve_barrier_open(reeve_barrier **out, reeve_context *ctx,
                                                       const char *name, uint32_t parties,
                                                       const reeve_barrier_options *options);

/* Frees *barrier and sets it to NULL. Does not block. */
REEVE_API void reeve_barrier_close(reeve_barrier **barrier);

/* Wait until all have come. *index (may be NULL) is 0 to parties - 1, in the order of arrival, each
 * once. Who waited for timeout_ms breaks the barrier; once the last has come, only its action is
 * waited for. Errors: EBROKEN, what the action returned, EPERM, EGONE, and as reeve_ping (a manager
 * that is gone ends it by ELOST). Answers rows S15, S16. */
REEVE_API REEVE_NODISCARD reeve_err reeve_barrier_wait(reeve_barrier *barrier, uint32_t timeout_ms,
                                                       uint32_t *index);

/* Break it: who waits and who comes gets EBROKEN. Reset it: who waits gets EBROKEN, then it is as
 * new. One round trip each. Errors: EPERM, EGONE, and as reeve_ping. Answers row S16. */
REEVE_API REEVE_NODISCARD reeve_err reeve_barrier_abort(reeve_barrier *barrier);
REEVE_API REEVE_NODISCARD reeve_err reeve_barrier_reset(reeve_barrier *barrier);

/* What it is made for; known here. Answers row S17. */
REEVE_API uint32_t reeve_barrier_parties(const reeve_barrier *barrier);

/* How many wait for the round to be complete, and whether it is broken; one round trip, and the past
 * when it returns. Errors: as reeve_ping, EGONE. Answers row S17. */
REEVE_API REEVE_NODISCARD reeve_err reeve_barrier_n_waiting(reeve_barrier *barrier,
                                                            uint32_t *waiting);
REEVE_API REEVE_NODISCARD reeve_err reeve_barrier_broken(reeve_barrier *barrier, bool *broken);

/* Its name; "" without one. Borrowed from it. */
REEVE_API const char *reeve_barrier_name(const reeve_barrier *barrier);

#ifdef __cplusplus
}
#endif

#endif
