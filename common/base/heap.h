#ifndef RV_HEAP_H
#define RV_HEAP_H

/*
 * heap.h -- all timers of one core: a binary heap that tells each entry its position, so
 * that moving and cancelling are O(log n) and the shell sleeps until the top.
 *
 * Entries with the same instant leave in the order in which they were set, so runs repeat.
 */

#include "common/base/base.h"

/* Part of the thing that waits. Zero-initialised is "not set". */
struct rv_timer {
    rv_ns at;       /* when; valid while set */
    uint64_t order; /* breaks ties */
    size_t pos;     /* 1-based position in the heap; 0 when not set */
    uint32_t kind;  /* the owner's, to find its way back */
};

struct rv_heap {
    struct rv_timer **slots;
    size_t len;
    size_t cap;
    uint64_t order;
};

void rv_heap_free(struct rv_heap *h);

/* Set or move the timer. RV_NEVER cancels it. */
void rv_heap_set(struct rv_heap *h, struct rv_timer *t, rv_ns at);
void rv_heap_cancel(struct rv_heap *h, struct rv_timer *t);

/* The next instant, or RV_NEVER. */
rv_ns rv_heap_next(const struct rv_heap *h);

/* Take the first timer that is due at now, or NULL. */
struct rv_timer *rv_heap_pop(struct rv_heap *h, rv_ns now);

#endif
