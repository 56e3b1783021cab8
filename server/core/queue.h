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
 *                   '---- the session died or cancelled: back to the head, in order; LATER first
 *                         if the queue has a delay; or away, to the dead letters (dead.h)
 *
 * READY and AHEAD count in the size: they are not yet anybody's. DIRECT has answered a
 * waiting get and is as good as handed over; TAKEN has been. An item is in exactly one place.
 */

#include "server/core/state.h"

enum item_state { ITEM_READY, ITEM_DIRECT, ITEM_AHEAD, ITEM_TAKEN, ITEM_LATER };

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
    struct past *past;    /* of an item that came back, if the queue wants to know; else NULL */
    struct carried *refs; /* references in it; NULL: none */
};

/* A piece of the arena: records of u32 length and bytes, or RECORD_BODY and a pointer to a body, or
 * RECORD_ITEM and one to an item, which has references. */
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
    bool drop_returns;               /* after shutdown(immediate) */
    uint32_t maxsize;                /* 0: unbounded */
    uint32_t deliveries;             /* after so many an item is a dead letter; 0: never */
    char *dead;                      /* the name of the queue that it goes to then; NULL: none */
    uint32_t retry_ms, retry_max_ms; /* pause of what came back: the first, the longest; 0: none */

    struct block *head, *tail; /* FIFO: the arena */
    uint64_t arena_len;
    struct item *returned; /* FIFO: older than the arena; LIFO: everything, newest first */
    struct item *placed;   /* one of them: the one that came there last; NULL: it has left */
    struct item **heap;    /* PRIORITY */
    size_t heap_len, heap_cap;

    struct item *later; /* wait for their time, the first of them first */
    uint64_t later_len;
    struct rv_timer retry; /* when that is */

    uint64_t ready;      /* items that are nobody's */
    uint64_t ahead;      /* items granted ahead, of all consumers */
    uint64_t bytes;      /* of ready items */
    uint64_t held_bytes; /* of all items in here, whoever has them */
    uint64_t arrivals;
    uint64_t unfinished;     /* joinable: accepted and not done */
    uint64_t accepted, gone; /* all time; the difference is in here somewhere */
    uint64_t recalls;

    struct call *getters, *putters, *joiners, *stoppers;
    struct consumer *consumers;
    uint32_t consumers_len;
};

extern const struct object_ops queue_ops;

/* ---- queue.c, for queue_save.c ---- */

/* The bytes of the record at *at, which moves behind it. */
struct rv_slice queue_record(const struct block *block, uint32_t *at, const struct carried **refs);
/* An item at the tail of the arena. Takes over refs. */
void queue_add_ready(struct mgr *mgr, struct queue *q, struct rv_slice bytes, struct carried *refs);
/* An item that is in no list yet, with these bytes. */
struct item *queue_item(struct mgr *mgr, struct rv_slice bytes);
/* The hold becomes a consumer, or is one. */
struct consumer *queue_consumer(struct session *s, struct queue *q, struct ref *ref);
/* In heap order. */
void queue_add_heap(struct queue *q, struct item *item);

/* ---- for dead.c ---- */

/* The name of the dead-letter queue of a queue that is opened so; the caller frees it. */
char *queue_dead_name(const struct rv_object_open_args *args);
/* The dead letter of that number goes from d to q, as if it had never been delivered. EFULL,
 * ESHUTDOWN: q does not take it, and it stays. */
reeve_err queue_requeue(struct mgr *mgr, struct queue *d, struct queue *q, uint64_t number);
/* Some items of the queue have waited long enough. */
void queue_on_timer(struct mgr *mgr, struct queue *q);

/* ---- queue_save.c ---- */

struct object *queue_create_empty(void);
void queue_save(const struct object *o, struct saver *out);
void queue_load(struct mgr *mgr, struct object *o, struct rv_reader *in);
void queue_save_call(const struct call *call, struct saver *out);
void queue_load_call(struct mgr *mgr, struct call *call, struct rv_reader *in);

void queue_size(const struct queue *q, struct rv_queue_size_result *out);

#endif
