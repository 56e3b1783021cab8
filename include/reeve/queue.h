#ifndef REEVE_QUEUE_H
#define REEVE_QUEUE_H

/*
 * queue.h -- Queue, JoinableQueue, LifoQueue and PriorityQueue, shared over the network.
 *
 *     reeve_queue *jobs = NULL;
 *     reeve_err err = reeve_queue_open(&jobs, ctx, "jobs", NULL);
 *     if (err == REEVE_OK)
 *         err = reeve_queue_put_str(jobs, "one", REEVE_FOREVER);
 *
 *     reeve_value *item = NULL;
 *     err = reeve_queue_get(&item, jobs, 1000);
 *     reeve_value_free(&item);
 *     reeve_queue_close(&jobs);
 *
 * An item is in exactly one place. It is the consumer's when get returns; if the consumer's
 * session dies before the manager knows that, the item goes back to the head. In a joinable
 * queue it stays the session's until reeve_queue_task_done(). The order of one producer is
 * kept, but for items that came back. Threads: many may use one queue.
 */

#include <reeve/error.h>
#include <reeve/types.h>
#include <reeve/value.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum { REEVE_FIFO, REEVE_LIFO, REEVE_PRIORITY } reeve_order;

/* Zero means "the default" in every field. */
typedef struct reeve_queue_options {
    uint32_t maxsize; /* items; 0: unbounded */
    reeve_order order;
    bool joinable; /* task_done and join */
    reeve_create create;
    uint32_t ttl_ms;       /* a named queue that nobody holds goes after so long; 0: never */
    uint32_t timeout_ms;   /* of the open; 0: 5000 */
    bool no_prefetch;      /* take each item only when it is asked for */
    reeve_durable durable; /* what a call survives once it has returned */
    uint32_t
        deliveries;   /* joinable: an item that so many did not finish is a dead letter; 0: never */
    const char *dead; /* the queue where dead letters go; NULL: the queue's name and ".dead" */
    uint32_t retry_ms;     /* pause before an item that came back is delivered again; 0: none */
    uint32_t retry_max_ms; /* it doubles each time, up to here; 0: a minute */
    uint64_t reserved[4];
} reeve_queue_options;

/*
 * Open a queue by name; a NULL or empty name makes one without name, which lives while a
 * session holds it. On REEVE_OK the caller owns *out. Blocks for at most options->timeout_ms.
 * Errors: EEXIST, ETYPE (the name is another type's), ENOENT, EPERM, ELIMIT (name too long),
 * EINVAL (dead letters of a queue that is not joinable, or with no place to go), and as reeve_ping.
 * Answers rows Q01, Q12, T01, and Q17 with maxsize.
 */
REEVE_API REEVE_NODISCARD reeve_err reeve_queue_open(reeve_queue **out, reeve_context *ctx,
                                                     const char *name,
                                                     const reeve_queue_options *options);

/*
 * No more put or get here. Items that were fetched ahead go back; puts are still sent, which
 * reeve_flush() or reeve_close() wait for. Frees *queue and sets it to NULL. Does not block.
 * Answers rows Q08 to Q10.
 */
REEVE_API void reeve_queue_close(reeve_queue **queue);

/*
 * Put one item: what the builder holds, or text, or bytes. The builder stays the caller's and
 * may be reset. An unbounded queue takes it at once, and the background sends it: a refusal
 * that comes later fails the next call on this queue and reeve_flush(). A bounded queue is
 * waited for. Blocks for at most timeout_ms; 0 never waits for room.
 * Errors: EFULL, ESHUTDOWN, ETOOBIG (above 16 MiB), EINVAL (the builder's), EPERM, EGONE,
 * ENOSPC (the manager's disk is full), ETIME (the manager gives no answer), and as reeve_ping. Answers rows Q02, Q03, Q05, Q14.
 */
REEVE_API REEVE_NODISCARD reeve_err reeve_queue_put(reeve_queue *queue, const reeve_builder *item,
                                                    uint32_t timeout_ms);
REEVE_API REEVE_NODISCARD reeve_err reeve_queue_put_str(reeve_queue *queue, const char *text,
                                                        uint32_t timeout_ms);
REEVE_API REEVE_NODISCARD reeve_err reeve_queue_put_bytes(reeve_queue *queue, const void *data,
                                                          size_t len, uint32_t timeout_ms);

/* The same with a priority for a PriorityQueue: the smallest leaves first, equal ones in the
 * order of their arrival. Other queues ignore it. */
REEVE_API REEVE_NODISCARD reeve_err reeve_queue_put_priority(reeve_queue *queue,
                                                             const reeve_builder *item,
                                                             int64_t priority, uint32_t timeout_ms);

/* Put one item and return as soon as it is in the send window, also for a bounded queue: there
 * the manager waits for room, at most timeout_ms. A refusal that comes later (EFULL, ESHUTDOWN,
 * ...) fails the next call on this queue and reeve_flush(). Blocks only while the window is
 * full, for at most timeout_ms. Errors else as reeve_queue_put. */
REEVE_API REEVE_NODISCARD reeve_err reeve_queue_put_async(reeve_queue *queue,
                                                          const reeve_builder *item,
                                                          uint32_t timeout_ms);

/* Put len items in as few messages as possible. *accepted (may be NULL) tells how many the
 * queue took, in order, also on error. Blocks and fails as reeve_queue_put. */
REEVE_API REEVE_NODISCARD reeve_err reeve_queue_put_many(reeve_queue *queue,
                                                         const reeve_builder *const *items,
                                                         size_t len, uint32_t timeout_ms,
                                                         size_t *accepted);

/*
 * Take one item. On REEVE_OK the caller owns *out and frees it with reeve_value_free().
 * Blocks for at most timeout_ms; 0 does not wait (but for items granted ahead to others, at
 * most 0.1 s). Errors: EEMPTY, ESHUTDOWN (shut down and drained), EPERM, EGONE, ETIME (the
 * manager gives no answer), and as reeve_ping. Answers rows Q04, Q05.
 */
REEVE_API REEVE_NODISCARD reeve_err reeve_queue_get(reeve_value **out, reeve_queue *queue,
                                                    uint32_t timeout_ms);

/* Take at least one and at most max items. *len tells how many; the caller frees each. */
REEVE_API REEVE_NODISCARD reeve_err reeve_queue_get_many(reeve_value **out, size_t max, size_t *len,
                                                         reeve_queue *queue, uint32_t timeout_ms);

/* How often an application had this item before: 0 the first time. For items of a get. */
REEVE_API uint32_t reeve_value_deliveries(const reeve_value *item);

/* The item is done with. NULL: the oldest unfinished one of this thread. Does not block.
 * Errors: ETOOMANY (nothing unfinished, or done already), ETYPE (not joinable).
 * Answers row Q15. */
REEVE_API REEVE_NODISCARD reeve_err reeve_queue_task_done(reeve_queue *queue,
                                                          const reeve_value *item);

/* Wait until every item put so far is done. Blocks for at most timeout_ms.
 * Errors: ETIME, ETYPE (not joinable), and as reeve_ping. Answers row Q16. */
REEVE_API REEVE_NODISCARD reeve_err reeve_queue_join(reeve_queue *queue, uint32_t timeout_ms);

/* Items that are nobody's yet; one round trip, and the past when it returns. Answers rows
 * Q06, Q07. Errors: as reeve_ping, EGONE. */
REEVE_API REEVE_NODISCARD reeve_err reeve_queue_size(reeve_queue *queue, size_t *size);
REEVE_API REEVE_NODISCARD reeve_err reeve_queue_empty(reeve_queue *queue, bool *empty);
REEVE_API REEVE_NODISCARD reeve_err reeve_queue_full(reeve_queue *queue, bool *full);

/* Refuse puts from now on and let gets drain the rest, then both fail with ESHUTDOWN; wakes
 * all who wait. immediate: drop the rest too, also what was fetched ahead and not yet handed
 * out. Blocks for at most timeout_ms. Answers row T02. */
REEVE_API REEVE_NODISCARD reeve_err reeve_queue_shutdown(reeve_queue *queue, bool immediate,
                                                         uint32_t timeout_ms);

/* Wait until the manager has all that was put on this queue so far. Errors: ETIME, and the
 * first refusal. Blocks for at most timeout_ms. Answers row Q09. */
REEVE_API REEVE_NODISCARD reeve_err reeve_queue_flush(reeve_queue *queue, uint32_t timeout_ms);

/*
 * Dead letters. An item of a joinable queue counts as delivered when an application has had it and
 * its handle or session went without a task_done. After so many of these as the queue's options say
 * it goes to the dead-letter queue, which the manager makes: an ordinary queue, from which they can
 * be taken. Who waits in join does not wait for them. multiprocessing has nothing like it.
 *
 * name: of the dead-letter queue, or of the queue whose dead letters these are.
 */

/* The dead letters behind number `after` (0: from the first) as an array of at most 100 maps: number,
 * queue, origin, deliveries, bytes, age_ms, item (as much as is asked for by item_bytes: nil when it
 * is longer), past: an array of maps: key, host, program, pid, age_ms, how ("closed", "goodbye",
 * "lost", "expired", "revoked"), the last 16 deliveries. They stay where they are. The caller frees
 * *out. Blocks for at most timeout_ms. Errors: ENOENT, EPERM (right get), and as reeve_ping. */
REEVE_API REEVE_NODISCARD reeve_err reeve_dead_list(reeve_value **out, reeve_context *ctx,
                                                    const char *name, uint64_t after,
                                                    uint32_t item_bytes, uint32_t timeout_ms);

/* Dead letters go back to where they came from, as if never delivered: that of the number, or with 0
 * all. *moved (may be NULL) tells how many, also on error. Blocks for at most timeout_ms. Errors:
 * ENOENT (no such letter; its queue is gone), EFULL, ESHUTDOWN (of its queue), EPERM (right get on
 * the letters, put on the queue), and as reeve_ping. */
REEVE_API REEVE_NODISCARD reeve_err reeve_dead_requeue(reeve_context *ctx, const char *name,
                                                       uint64_t number, uint64_t *moved,
                                                       uint32_t timeout_ms);

/* What a call on the queue survives once it has returned: what was asked for when it was made, but
 * REEVE_DURABLE_NONE of a manager without a log. */
REEVE_API reeve_durable reeve_queue_durable(const reeve_queue *queue);

/* The queue's name; "" without one. Borrowed from it. */
REEVE_API const char *reeve_queue_name(const reeve_queue *queue);

#ifdef __cplusplus
}
#endif

#endif
