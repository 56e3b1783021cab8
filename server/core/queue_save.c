/* queue_save.c -- a queue in a snapshot. Items lose their place in the arena, not in the order. */

#include "server/core/carry.h"
#include "server/core/dead.h"
#include "server/core/queue.h"
#include "server/core/session.h"

static void save_item(struct saver *out, const struct item *item)
{
    save_number(out, item->arrival, 8);
    save_number(out, (uint64_t)item->priority, 8);
    save_number(out, item->delivery, 8);
    save_number(out, item->call, 8);
    save_number(out, item->deliveries, 4);
    save_number(out, item->state, 1);
    save_bytes(out, rv_slice(item->body != NULL ? item->body->data : item->data, item->len));
    past_save(out, item->past);
    carry_save(out, item->refs);
}

static struct item *load_item(struct mgr *mgr, struct object *q, struct rv_reader *in)
{
    struct item head = {.arrival = rv_read_number(in, 8)};
    struct item *item = NULL;

    head.priority = (int64_t)rv_read_number(in, 8);
    head.delivery = rv_read_number(in, 8);
    head.call = rv_read_number(in, 8);
    head.deliveries = (uint32_t)rv_read_number(in, 4);
    head.state = (enum item_state)rv_read_number(in, 1);
    item = queue_item(mgr, load_bytes(in));
    item->arrival = head.arrival;
    item->priority = head.priority;
    item->delivery = head.delivery;
    item->call = head.call;
    item->deliveries = head.deliveries;
    item->state = head.state;
    item->past = past_load(in);
    item->refs = carry_load(q, in);
    return item;
}

static void save_items(struct saver *out, const struct item *list)
{
    const struct item *item = NULL;
    uint64_t count = 0;

    DL_COUNT(list, item, count);
    save_number(out, count, 8);
    DL_FOREACH (list, item) {
        save_item(out, item);
    }
}

static uint64_t load_items(struct mgr *mgr, struct object *q, struct rv_reader *in,
                           struct item **list)
{
    uint64_t count = rv_read_number(in, 8);
    uint64_t loaded = 0;

    for (; loaded < count && !in->bad; loaded++) {
        struct item *item = load_item(mgr, q, in);

        DL_APPEND(*list, item);
    }
    return loaded;
}

/* Records lie one behind the other; a body is a pointer to its bytes. */
static void save_arena(struct saver *out, const struct queue *q)
{
    const struct block *block = NULL;
    uint64_t saved = 0;

    save_number(out, q->arena_len, 8);
    for (block = q->head; block != NULL; block = block->next)
        for (uint32_t at = block->read; at < block->write; saved++) {
            const struct carried *refs = NULL;
            struct rv_slice bytes = queue_record(block, &at, &refs);

            save_bytes(out, bytes);
            carry_save(out, refs);
        }
    rv_assert(saved == q->arena_len);
}

static void save_consumer(struct saver *out, const struct consumer *c)
{
    save_number(out, c->session->serial, 8);
    save_number(out, c->last, 8);
    save_number(out, c->taken, 8);
    save_number(out, c->recall, 8);
    save_items(out, c->granted);
    save_items(out, c->unfinished);
}

static void load_consumer(struct mgr *mgr, struct queue *q, struct rv_reader *in)
{
    struct session *s = load_session(mgr, in);
    struct ref *ref = s == NULL ? NULL : session_ref(s, q->object.id);
    struct consumer *c = NULL;
    const struct item *item = NULL;

    if (ref == NULL || ref->consumer != NULL) {
        in->bad = true;
        return;
    }
    c = queue_consumer(s, q, ref);
    c->last = rv_read_number(in, 8);
    c->taken = rv_read_number(in, 8);
    c->recall = rv_read_number(in, 8);
    load_items(mgr, &q->object, in, &c->granted);
    c->unfinished_len = (uint32_t)load_items(mgr, &q->object, in, &c->unfinished);
    DL_FOREACH (c->granted, item) {
        if (item->state != ITEM_AHEAD)
            continue;
        c->ahead++;
        c->ahead_bytes += item->len;
    }
    q->ahead += c->ahead;
}

struct object *queue_create_empty(void)
{
    struct queue *q = rv_alloc(sizeof *q);

    q->retry.kind = TIMER_RETRY;
    return &q->object;
}

void queue_save(const struct object *o, struct saver *out)
{
    const struct queue *q = (const struct queue *)o;
    const struct consumer *c = NULL;

    save_number(out, q->order, 1);
    save_number(out, q->joinable, 1);
    save_number(out, q->shutdown, 1);
    save_number(out, q->drop_returns, 1);
    save_number(out, q->maxsize, 4);
    save_number(out, q->deliveries, 4);
    save_text(out, q->dead);
    save_number(out, q->retry_ms, 4);
    save_number(out, q->retry_max_ms, 4);
    save_number(out, q->arrivals, 8);
    save_number(out, q->unfinished, 8);
    save_number(out, q->accepted, 8);
    save_number(out, q->gone, 8);
    save_number(out, q->held_bytes, 8);
    save_number(out, q->recalls, 8);
    save_arena(out, q);
    save_items(out, q->returned);
    save_number(out, q->heap_len, 8);
    for (size_t i = 0; i < q->heap_len; i++)
        save_item(out, q->heap[i]);
    save_items(out, q->later);
    save_timer(out, &q->retry);
    save_number(out, q->consumers_len, 8);
    DL_FOREACH (q->consumers, c) {
        save_consumer(out, c);
    }
    save_calls(out, o, q->getters);
    save_calls(out, o, q->putters);
    save_calls(out, o, q->joiners);
    save_calls(out, o, q->stoppers);
}

void queue_load(struct mgr *mgr, struct object *o, struct rv_reader *in)
{
    struct queue *q = (struct queue *)o;
    const struct item *item = NULL;
    uint64_t count = 0;

    q->order = (uint8_t)rv_read_number(in, 1);
    q->joinable = rv_read_number(in, 1) != 0;
    q->shutdown = rv_read_number(in, 1) != 0;
    q->drop_returns = rv_read_number(in, 1) != 0;
    q->maxsize = (uint32_t)rv_read_number(in, 4);
    q->deliveries = (uint32_t)rv_read_number(in, 4);
    q->dead = load_text(in);
    if (q->deliveries == 0) {
        free(q->dead);
        q->dead = NULL;
    }
    q->retry_ms = (uint32_t)rv_read_number(in, 4);
    q->retry_max_ms = (uint32_t)rv_read_number(in, 4);
    q->arrivals = rv_read_number(in, 8);
    q->unfinished = rv_read_number(in, 8);
    q->accepted = rv_read_number(in, 8);
    q->gone = rv_read_number(in, 8);
    q->held_bytes = rv_read_number(in, 8);
    q->recalls = rv_read_number(in, 8);
    for (count = rv_read_number(in, 8); count > 0 && !in->bad; count--) {
        struct rv_slice bytes = load_bytes(in);

        queue_add_ready(mgr, q, bytes, carry_load(o, in));
    }
    q->ready += load_items(mgr, o, in, &q->returned);
    DL_FOREACH (q->returned, item) {
        q->bytes += item->len;
    }
    for (count = rv_read_number(in, 8); count > 0 && !in->bad; count--) {
        struct item *one = load_item(mgr, o, in);

        queue_add_heap(q, one);
        q->ready++;
        q->bytes += one->len;
    }
    q->later_len = load_items(mgr, o, in, &q->later);
    DL_FOREACH (q->later, item) {
        in->bad = in->bad || item->past == NULL;
    }
    load_timer(mgr, in, &q->retry);
    for (count = rv_read_number(in, 8); count > 0 && !in->bad; count--)
        load_consumer(mgr, q, in);
    load_calls(mgr, in, o, &q->getters);
    load_calls(mgr, in, o, &q->putters);
    load_calls(mgr, in, o, &q->joiners);
    load_calls(mgr, in, o, &q->stoppers);
}

void queue_save_call(const struct call *call, struct saver *out)
{
    save_number(out, call->max, 4);
    save_number(out, call->credit, 4);
    save_number(out, call->impatient, 1);
    save_number(out, call->accepted, 4);
    save_number(out, call->bytes, 8);
    save_items(out, call->items);
}

void queue_load_call(struct mgr *mgr, struct call *call, struct rv_reader *in)
{
    call->max = (uint32_t)rv_read_number(in, 4);
    call->credit = (uint32_t)rv_read_number(in, 4);
    call->impatient = rv_read_number(in, 1) != 0;
    call->accepted = (uint32_t)rv_read_number(in, 4);
    call->bytes = (size_t)rv_read_number(in, 8);
    load_items(mgr, call->object, in, &call->items);
}
