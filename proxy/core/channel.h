#ifndef RV_CHANNEL_H
#define RV_CHANNEL_H

/*
 * channel.h -- the client's half of a queue: puts on their way, items that were granted.
 *
 * put: items for the same queue share one message as long as it has not left, so one call
 * an item costs a copy. get: the manager grants ahead as many as the consumer gets through in
 * some milliseconds; a consumer that takes its time is granted none but what it asks for.
 */

#include "common/wire/link.h"

/* Items as they came, not yet handed out. */
struct rv_batch {
    struct rv_batch *next;
    struct rv_buf bytes;
    struct rv_reader at; /* where the next item begins */
    uint32_t left;
    uint32_t direct;         /* the first of them that answered a get: they are not recalled */
    uint64_t delivery;       /* of the next item */
    struct rv_body **bodies; /* of large items, in order */
    size_t bodies_len, bodies_next;
};

struct rv_channel {
    struct rv_port port; /* first; ticks when the taken ones are told without company */
    struct rv_link *link;
    uint32_t maxsize;
    bool joinable;
    bool prefetch;
    bool closed;

    /* puts */
    uint64_t open;       /* number of the message that takes more items; 0 is none */
    uint32_t open_count; /* items in it */
    size_t open_at;      /* where in the message the count stands */
    struct rv_request *open_call;
    uint64_t puts_in_flight;
    uint8_t reached;  /* enum rv_durable: the least of the answers since the last flush */
    bool flushed;     /* that is of answers before it */
    reeve_err failed; /* a put that had returned was refused later */
    char failed_why[160];

    /* gets */
    struct rv_batch *head, *tail;
    uint64_t buffered;   /* items in the batches */
    uint64_t seen;       /* the last delivery number that arrived */
    uint64_t taken;      /* the last one that was handed out */
    uint64_t told;       /* the last one that the manager knows to be handed out */
    uint32_t window;     /* items worth having ahead */
    uint64_t counted;    /* handed out since the window was judged */
    rv_ns worked;        /* time that the application took for them */
    rv_ns working_since; /* it has an item in hand; 0 while it waits for one */
};

/* One item, handed out. Free with rv_handed_free. */
struct rv_handed {
    struct rv_slice bytes;
    struct rv_body *body; /* or NULL: bytes are borrowed until the next call on the channel */
    uint64_t delivery;
    uint32_t deliveries;
    struct rv_slice
        refs; /* held by the session now, once more each; borrowed as inline bytes are */
};

reeve_err rv_channel_init(struct rv_channel *ch, struct rv_link *link, uint64_t object,
                          uint32_t maxsize, bool joinable, bool prefetch);

/* Gives back what was granted ahead and lets the object go. */
void rv_channel_fini(struct rv_channel *ch);

/* Queue one item without waiting for its verdict. ELIMIT: the window is full, nothing happened;
 * ENOMEM; ETOOBIG; or the refusal of an earlier one. */
reeve_err rv_channel_put(struct rv_channel *ch, rv_ns now, struct rv_slice bytes, int64_t priority);

/* The same for an item whose bytes are head and rest, so that large ones are copied once. refs: u64
 * each, as on the wire. */
reeve_err rv_channel_put_parts(struct rv_channel *ch, struct rv_slice head, struct rv_slice rest,
                               struct rv_slice refs, int64_t priority);

/* One call for one item that nobody waits for, with the manager waiting for room in a bounded
 * queue. As rv_channel_put else. */
reeve_err rv_channel_put_async(struct rv_channel *ch, struct rv_slice bytes, struct rv_slice refs,
                               int64_t priority, uint32_t timeout_ms);

/* One call for several items (as many as fit one message; *used tells), waiting in the manager
 * for room. refs: of each, or NULL. call->result has a queue_put_result. NULL: ENOMEM or dead. */
struct rv_request *rv_channel_put_call(struct rv_channel *ch, const struct rv_slice *items,
                                       const struct rv_slice *refs, size_t len, int64_t priority,
                                       uint32_t timeout_ms, size_t *used);

/* Enum rv_durable: the least that a put has reached since this was asked, or the last before. */
uint8_t rv_channel_reached(struct rv_channel *ch);

/* The refusal of a put that had returned; forgets it. */
reeve_err rv_channel_failure(struct rv_channel *ch, char *why, size_t why_len);

/* Does the next pop need the time? Reading the clock costs as much as the rest of it. */
bool rv_channel_wants_clock(const struct rv_channel *ch);

/* The item that rv_channel_pop() would give, which stays here. Its body is borrowed, too. */
bool rv_channel_peek(struct rv_channel *ch, struct rv_handed *out);
/* Hand out an item that is here. now counts only when the clock is wanted. False when there is none,
 * and without memory for one with references, which the manager must know of: it stays here. */
bool rv_channel_pop(struct rv_channel *ch, rv_ns now, struct rv_handed *out);
void rv_handed_free(struct rv_handed *item);

/* What was granted ahead goes back, and nothing more is. */
void rv_channel_no_prefetch(struct rv_channel *ch);

/* Ask for items; they come into the channel before the call is done. */
struct rv_request *rv_channel_get_call(struct rv_channel *ch, rv_ns now, uint32_t max,
                                       uint32_t timeout_ms);

reeve_err rv_channel_task_done(struct rv_channel *ch, uint64_t delivery);

/* The same with an answer. NULL: ENOMEM or dead. */
struct rv_request *rv_channel_done_call(struct rv_channel *ch, uint64_t delivery);

/* The queue's channel of a link, or NULL; the next one of a link after ch, NULL first and last. */
struct rv_channel *rv_channel_of(const struct rv_link *link, uint64_t object);
struct rv_channel *rv_channel_next(const struct rv_link *link, const struct rv_channel *ch);

#endif
