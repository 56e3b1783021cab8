#ifndef QUEUE_H
#define QUEUE_H

/*
 * queue.h -- a queue: the life of an item, and who waits for what.
 *
 *            put            get               take              task_done
 *   (putters) ---> READY ---------> DIRECT ----------> TAKEN ------------> gone
 *                   ^  |                                ^  (not joinable: gone at take)
 *                   |  '--- grant ---> AHEAD ---take----'
 *                   |                    |
 *                   '---- recall --------'
 *                   '---- the session died or cancelled: back to the head, in order
 *
 * READY and AHEAD count in the size: they are not yet anybody's. DIRECT has answered a
 * waiting get and is as good as handed over; TAKEN has been. An item is in exactly one place.
 */

#include "server/core/state.h"

enum item_state { ITEM_READY, ITEM_DIRECT, ITEM_AHEAD, ITEM_TAKEN };

/* An item outside the arena: granted, returned, or of a queue that is not first-in first-out. */
struct item {
    struct item *prev, *next;
    uint64_t arrival; /* order of becoming the queue's; smaller is older */
    int64_t priority;
    uint64_t delivery;   /* number in its consumer; 0 unless granted */
    uint64_t call;       /* the get that it answered; 0 when granted ahead */
    uint32_t deliveries; /* times that an application had it */
    uint32_t len;
    enum item_state state;
    struct block *block;  /* where the bytes are, if in the arena */
    struct rv_body *body; /* or else here */
    const uint8_t *data;
};

/* A piece of the arena: records of u32 length and bytes, or RECORD_BODY and a pointer. */
struct block {
    struct block *next;
    uint32_t live;  /* records in it that are ready or granted */
    uint32_t read;  /* where the first ready record begins */
    uint32_t write; /* where the next record goes */
    uint8_t data[];
};

/* What one session got of one queue. */
struct consumer {
    struct session *session;
    struct queue *queue;
    struct item *granted;    /* DIRECT and AHEAD, by delivery number */
    struct item *unfinished; /* TAKEN, of a joinable queue, by delivery number */
    uint32_t unfinished_len;
    uint64_t last; /* delivery number given last */
    uint64_t taken;
    uint32_t ahead;
    size_t ahead_bytes;
    uint64_t recall; /* unanswered recall; 0 is none */
    struct consumer *prev, *next;
};

struct queue {
    struct object object; /* first: a queue is an object */
    uint8_t order;
    bool joinable;
    bool shutdown;
    bool drop_returns; /* after shutdown(immediate) */
    uint32_t maxsize;  /* 0: unbounded */

    struct block *head, *tail; /* FIFO: the arena */
    uint64_t arena_len;
    struct item *returned; /* FIFO: older than the arena; LIFO: everything, newest first */
    struct item **heap;    /* PRIORITY */
    size_t heap_len, heap_cap;

    uint64_t ready; /* items that are nobody's */
    uint64_t ahead; /* items granted ahead, of all consumers */
    uint64_t bytes; /* of ready items */
    uint64_t arrivals;
    uint64_t unfinished;     /* joinable: accepted and not done */
    uint64_t accepted, gone; /* all time; the difference is in here somewhere */
    uint64_t recalls;

    struct call *getters, *putters, *joiners, *stoppers;
    struct consumer *consumers;
    uint32_t consumers_len;
};

struct queue *queue_new(struct mgr *mgr, const struct rv_object_open_args *args);
void queue_free(struct mgr *mgr, struct queue *q);

/* Free items that a parked put had not yet given to its queue. */
void queue_drop_items(struct mgr *mgr, struct item **list);

/* End all that wait with EGONE; drop all items. */
void queue_remove(struct mgr *mgr, struct queue *q);

/* The operations; number is the call's. Arguments are well-formed. */
void queue_on_put(struct mgr *mgr, struct session *s, uint64_t number, const struct rv_call *msg,
                  struct queue *q, const struct rv_slice *bodies, size_t bodies_len,
                  size_t *frames);
void queue_on_get(struct mgr *mgr, struct session *s, uint64_t number, const struct rv_call *msg,
                  struct queue *q, struct ref *ref);
void queue_on_take(struct mgr *mgr, struct queue *q, struct ref *ref, struct rv_slice args);
void queue_on_return(struct mgr *mgr, struct queue *q, struct ref *ref, struct rv_slice args);
void queue_on_task_done(struct mgr *mgr, struct queue *q, struct ref *ref, struct rv_slice args);
void queue_on_join(struct mgr *mgr, struct session *s, uint64_t number, const struct rv_call *msg,
                   struct queue *q);
void queue_on_shutdown(struct mgr *mgr, struct session *s, uint64_t number,
                       const struct rv_call *msg, struct queue *q);
void queue_size(const struct queue *q, struct rv_queue_size_result *out);

/* A put that is refused: what it brought is taken off the frame and the assembly, and dropped. */
void queue_skip_put(struct session *s, const struct rv_call *msg, const struct rv_slice *bodies,
                    size_t bodies_len, size_t *frames);

/* Answer a parked call with an error; a put tells how many items were accepted before. */
void queue_end_call(struct mgr *mgr, struct call *call, reeve_err error);

/* The deadline of a parked call has come: answer it. */
void queue_on_timeout(struct mgr *mgr, struct call *call);

/* The client gave up on call number, which may be parked or answered by now. */
void queue_on_cancel(struct mgr *mgr, struct queue *q, struct ref *ref, uint64_t number);

/* The session waits elsewhere: what it was granted ahead and others could use comes back. */
void queue_recall_idle(struct mgr *mgr, struct ref *ref);

/* The session lets go. died: what it was given counts as delivered once more. */
void queue_drop_consumer(struct mgr *mgr, struct ref *ref, bool died);

/* Serve all that can be served now. */
void queue_serve(struct mgr *mgr, struct queue *q);

void queue_check(const struct queue *q);

#endif
