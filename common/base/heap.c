#include "common/base/heap.h"

#include <stdlib.h>

void rv_heap_free(struct rv_heap *h)
{
    free(h->slots);
    *h = (struct rv_heap){0};
}

static bool sooner(const struct rv_timer *a, const struct rv_timer *b)
{
    return a->at != b->at ? a->at < b->at : a->order < b->order;
}

static void place(struct rv_heap *h, size_t pos, struct rv_timer *t)
{
    h->slots[pos - 1] = t;
    t->pos = pos;
}

static void sift_up(struct rv_heap *h, size_t pos, struct rv_timer *t)
{
    while (pos > 1 && sooner(t, h->slots[pos / 2 - 1])) {
        place(h, pos, h->slots[pos / 2 - 1]);
        pos /= 2;
    }
    place(h, pos, t);
}

static void sift_down(struct rv_heap *h, size_t pos, struct rv_timer *t)
{
    while (pos * 2 <= h->len) {
        size_t child = pos * 2;

        if (child < h->len && sooner(h->slots[child], h->slots[child - 1]))
            child++;
        if (!sooner(h->slots[child - 1], t))
            break;
        place(h, pos, h->slots[child - 1]);
        pos = child;
    }
    place(h, pos, t);
}

void rv_heap_cancel(struct rv_heap *h, struct rv_timer *t)
{
    size_t pos = t->pos;
    struct rv_timer *last = NULL;

    if (pos == 0)
        return;
    rv_assert(h->slots[pos - 1] == t);
    last = h->slots[--h->len];
    t->pos = 0;
    if (last == t)
        return;
    if (pos > 1 && sooner(last, h->slots[pos / 2 - 1]))
        sift_up(h, pos, last);
    else
        sift_down(h, pos, last);
}

void rv_heap_set(struct rv_heap *h, struct rv_timer *t, rv_ns at)
{
    rv_heap_cancel(h, t);
    if (at == RV_NEVER)
        return;
    if (h->len == h->cap) {
        h->cap = h->cap == 0 ? 64 : h->cap * 2;
        h->slots = rv_realloc(h->slots, h->cap * sizeof(struct rv_timer *));
    }
    t->at = at;
    t->order = h->order++;
    sift_up(h, ++h->len, t);
}

rv_ns rv_heap_next(const struct rv_heap *h)
{
    return h->len == 0 ? RV_NEVER : h->slots[0]->at;
}

struct rv_timer *rv_heap_pop(struct rv_heap *h, rv_ns now)
{
    struct rv_timer *top = h->len == 0 ? NULL : h->slots[0];

    if (top == NULL || top->at > now)
        return NULL;
    rv_heap_cancel(h, top);
    return top;
}
