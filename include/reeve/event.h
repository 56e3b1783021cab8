#ifndef REEVE_EVENT_H
#define REEVE_EVENT_H

/*
 * event.h -- Event, shared over the network.
 *
 *     reeve_event *start = NULL;
 *     reeve_err err = reeve_event_open(&start, ctx, "start", NULL);
 *     if (err == REEVE_OK)
 *         err = reeve_event_wait(start, REEVE_FOREVER);
 *     reeve_event_close(&start);
 *
 * Threads: many may use one handle.
 */

#include <reeve/error.h>
#include <reeve/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Zero means "the default" in every field. */
typedef struct reeve_event_options {
    reeve_create create;
    uint32_t ttl_ms;       /* a named one that nobody has open goes after so long; 0: never */
    uint32_t timeout_ms;   /* of the open; 0: 5000 */
    reeve_durable durable; /* what a call survives once it has returned: reeve_reached */
    uint64_t reserved[4];
} reeve_event_options;

/* Open one by name; a new one is not set. Blocks for at most options->timeout_ms. Errors: as
 * reeve_lock_open. Answers rows S14, T03. */
REEVE_API REEVE_NODISCARD reeve_err reeve_event_open(reeve_event **out, reeve_context *ctx,
                                                     const char *name,
                                                     const reeve_event_options *options);

/* Frees *event and sets it to NULL. Does not block. */
REEVE_API void reeve_event_close(reeve_event **event);

/* Wait until it is set, at most timeout_ms. Errors: ETIME, EPERM, EGONE, and as reeve_ping. */
REEVE_API REEVE_NODISCARD reeve_err reeve_event_wait(reeve_event *event, uint32_t timeout_ms);

/* Set it: all who wait go on. Clear it: who comes then waits. One round trip each. Errors: EPERM,
 * EGONE, and as reeve_ping. */
REEVE_API REEVE_NODISCARD reeve_err reeve_event_set(reeve_event *event);
REEVE_API REEVE_NODISCARD reeve_err reeve_event_clear(reeve_event *event);

/* One round trip, and the past when it returns. Errors: as reeve_ping, EGONE. */
REEVE_API REEVE_NODISCARD reeve_err reeve_event_is_set(reeve_event *event, bool *set);

/* Its name; "" without one. Borrowed from it. */
REEVE_API const char *reeve_event_name(const reeve_event *event);

#ifdef __cplusplus
}
#endif

#endif
