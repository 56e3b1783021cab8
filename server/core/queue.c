#include "server/core/queue.h"
#include "server/core/carry.h"
#include "server/core/dead.h"
#include "server/core/quota.h"

enum {
    BLOCK_BYTES = 16384 - 64, /* of records; a malloc of 16 KiB with its overhead */
    RECORD_MAX = 4096,        /* longer items are bodies, so that blocks waste little */
    RECALL_MS = 100,          /* how long a get that does not wait waits for a recall */
};

static const uint32_t RECORD_BODY = UINT32_C(1) << 31;
static const uint32_t RECORD_ITEM = UINT32_C(1) << 30;

/* ---- items ---- */

static struct item *item_new(struct mgr *mgr)
{
    struct item *item = mgr->spare;

    if (item == NULL)
        return rv_alloc(sizeof *item);
    mgr->spare = item->next;
    *item = (struct item){0};
    return item;
}

/* An item of the arena keeps its block alive; the last one frees it, but for the tail, which
 * is begun again. */
static void release_block(struct queue *q, struct block *block)
{
    rv_assert(block->live > 0);
    if (--block->live > 0)
        return;
    if (block == q->tail)
        block->read = block->write = 0;
    else
        free(block);
}

static void item_free(struct mgr *mgr, struct queue *q, struct item *item)
{
    if (item->block != NULL)
        release_block(q, item->block);
    rv_body_drop(item->body);
    past_free(&item->past);
    carry_drop(mgr, &item->refs);
    item->next = mgr->spare;
    mgr->spare = item;
}

static void count_in(struct mgr *mgr, struct queue *q, uint64_t bytes)
{
    q->accepted++;
    q->held_bytes += bytes;
    quota_add(mgr, q->object.owner, RV_QUOTA_BYTES, bytes);
}

static void count_out(struct mgr *mgr, struct queue *q, uint64_t bytes)
{
    q->gone++;
    q->held_bytes -= bytes;
    quota_drop(mgr, q->object.owner, RV_QUOTA_BYTES, bytes);
}

/* The item has left the queue for good. */
static void item_gone(struct mgr *mgr, struct queue *q, struct item *item)
{
    count_out(mgr, q, item->len);
    item_free(mgr, q, item);
}

/* Free items that a parked put had not yet given to its queue. */
static void drop_items(struct mgr *mgr, struct item **list)
{
    while (*list != NULL) {
        struct item *item = *list;

        DL_DELETE(*list, item);
        rv_assert(item->block == NULL);
        item_free(mgr, NULL, item);
    }
}

/* ---- the arena: ready items of a first-in first-out queue, 4 bytes each beyond their own ---- */

static uint8_t *arena_room(struct queue *q, size_t len)
{
    struct block *old = q->tail;

    if (old == NULL || BLOCK_BYTES - old->write < len) {
        struct block *block = rv_realloc(NULL, sizeof *block + BLOCK_BYTES); /* not zeroed */

        *block = (struct block){0};
        q->tail = block;
        if (old != NULL)
            old->next = block;
        else
            q->head = block;
        /* Only the tail may be without ready records. */
        if (old != NULL && old->read == old->write) {
            q->head = old->next;
            if (old->live == 0)
                free(old);
        }
    }
    q->tail->live++;
    q->tail->write += (uint32_t)len;
    q->arena_len++;
    return q->tail->data + q->tail->write - len;
}

static void arena_add(struct queue *q, struct rv_slice bytes)
{
    uint8_t *room = arena_room(q, 4 + bytes.len);
    uint32_t len = (uint32_t)bytes.len;

    memcpy(room, &len, 4);
    if (len > 0)
        memcpy(room + 4, bytes.data, len);
}

static void arena_add_body(struct queue *q, struct rv_body *body)
{
    uint8_t *room = arena_room(q, 4 + sizeof body);

    memcpy(room, &RECORD_BODY, 4);
    memcpy(room + 4, &body, sizeof body);
}

static void arena_add_item(struct queue *q, struct item *item)
{
    uint8_t *room = arena_room(q, 4 + sizeof item);

    memcpy(room, &RECORD_ITEM, 4);
    memcpy(room + 4, &item, sizeof item);
}

static struct item *arena_pop(struct mgr *mgr, struct queue *q)
{
    struct block *block = q->head;
    struct item *item = NULL;
    uint32_t len = 0;

    memcpy(&len, block->data + block->read, 4);
    if (len & RECORD_ITEM)
        memcpy(&item, block->data + block->read + 4, sizeof item);
    else
        item = item_new(mgr);
    item->block = block;
    if (len & RECORD_ITEM) {
        block->read += 4 + (uint32_t)sizeof item;
    } else if (len & RECORD_BODY) {
        memcpy(&item->body, block->data + block->read + 4, sizeof item->body);
        item->data = item->body->data;
        item->len = (uint32_t)item->body->len;
        block->read += 4 + (uint32_t)sizeof item->body;
    } else {
        item->data = block->data + block->read + 4;
        item->len = len;
        block->read += 4 + len;
    }
    if (block->read == block->write && block != q->tail)
        q->head = block->next;
    item->arrival = q->arrivals++;
    q->arena_len--;
    return item;
}

/* ---- the heap of a PriorityQueue ---- */

static bool before(const struct item *a, const struct item *b)
{
    return a->priority != b->priority ? a->priority < b->priority : a->arrival < b->arrival;
}

static void heap_push(struct queue *q, struct item *item)
{
    size_t at = q->heap_len++;

    if (at == q->heap_cap) {
        q->heap_cap = q->heap_cap == 0 ? 64 : q->heap_cap * 2;
        q->heap = rv_realloc(q->heap, q->heap_cap * sizeof(struct item *));
    }
    for (; at > 0 && before(item, q->heap[(at - 1) / 2]); at = (at - 1) / 2)
        q->heap[at] = q->heap[(at - 1) / 2];
    q->heap[at] = item;
}

/* The last one takes the place of what leaves, and sinks from there, or rises. */
static struct item *heap_take(struct queue *q, size_t at)
{
    struct item *top = q->heap[at];
    struct item *last = q->heap[--q->heap_len];

    if (at == q->heap_len)
        return top;
    for (; at > 0 && before(last, q->heap[(at - 1) / 2]); at = (at - 1) / 2)
        q->heap[at] = q->heap[(at - 1) / 2];
    for (size_t child = at * 2 + 1; child < q->heap_len; child = at * 2 + 1) {
        if (child + 1 < q->heap_len && before(q->heap[child + 1], q->heap[child]))
            child++;
        if (!before(q->heap[child], last))
            break;
        q->heap[at] = q->heap[child];
        at = child;
    }
    q->heap[at] = last;
    return top;
}

/* ---- ready items ---- */

/* It leaves the ready ones outside the arena and the heap. */
static void leave_returned(struct queue *q, struct item *item)
{
    if (q->placed == item)
        q->placed = NULL;
    DL_DELETE(q->returned, item);
}

/* Does a stand before b among the returned ones? */
static bool returned_before(const struct queue *q, const struct item *a, const struct item *b)
{
    return q->order == RV_ORDER_FIFO ? a->arrival < b->arrival : a->arrival > b->arrival;
}

/* The first of the returned ones that the item stands before; NULL: it is the last. Items mostly come
 * back one after the other in their order, so its place is near that of the one before it. */
static struct item *place_of(const struct queue *q, const struct item *item)
{
    struct item *at = q->placed == NULL ? q->returned : q->placed;

    if (q->returned == NULL || returned_before(q, q->returned->prev, item))
        return NULL;
    if (returned_before(q, item, q->returned))
        return q->returned;
    while (returned_before(q, at, item))
        at = at->next;
    while (returned_before(q, item, at->prev)) /* not the first, or it would be before that */
        at = at->prev;
    return at;
}

/* Put an item among the ready ones where its arrival says: a returned item goes before all
 * that came after it. */
static void place(struct queue *q, struct item *item)
{
    struct item *at = NULL;

    q->ready++;
    q->bytes += item->len;
    item->state = ITEM_READY;
    item->delivery = item->call = 0;
    if (q->order == RV_ORDER_PRIORITY) {
        heap_push(q, item);
        return;
    }
    if (RV_MUTANT(RETURN_TO_TAIL) && q->order == RV_ORDER_FIFO) {
        DL_APPEND(q->returned, item);
        return;
    }
    at = place_of(q, item);
    q->placed = item;
    if (at != NULL)
        DL_PREPEND_ELEM(q->returned, at, item);
    else
        DL_APPEND(q->returned, item);
}

static struct item *take_ready(struct mgr *mgr, struct queue *q)
{
    struct item *item = NULL;

    rv_assert(q->ready > 0);
    if (q->order == RV_ORDER_PRIORITY) {
        item = heap_take(q, 0);
    } else if (q->returned != NULL) {
        item = q->returned;
        leave_returned(q, item);
    } else {
        item = arena_pop(mgr, q);
    }
    item->prev = item->next = NULL;
    q->ready--;
    q->bytes -= item->len;
    return item;
}

/* Accept an item: it is the queue's from now on. Takes over body and refs. */
static void accept_item(struct mgr *mgr, struct queue *q, const struct rv_item *in,
                        struct rv_body *body, struct carried *refs)
{
    struct item *item = NULL;

    count_in(mgr, q, in->len);
    q->unfinished += q->joinable;
    mgr->puts++;
    if (q->order == RV_ORDER_FIFO && refs == NULL &&
        (body != NULL || in->bytes.len <= RECORD_MAX)) {
        q->ready++;
        q->bytes += in->len;
        if (body != NULL)
            arena_add_body(q, body);
        else
            arena_add(q, in->bytes);
        return;
    }
    if (body == NULL) {
        body = rv_body_new(in->bytes.len);
        rv_assert(body != NULL);
        if (in->bytes.len > 0)
            memcpy(body->data, in->bytes.data, in->bytes.len);
    }
    if (q->order == RV_ORDER_FIFO && refs == NULL) {
        q->ready++;
        q->bytes += in->len;
        arena_add_body(q, body);
        return;
    }
    item = item_new(mgr);
    item->priority = in->priority;
    item->body = body;
    item->data = body->data;
    item->len = (uint32_t)body->len;
    item->refs = refs;
    if (q->order == RV_ORDER_FIFO) {
        q->ready++;
        q->bytes += in->len;
        arena_add_item(q, item);
        return;
    }
    item->arrival = q->arrivals++;
    place(q, item);
}

static uint64_t size_of(const struct queue *q)
{
    return q->ready + q->ahead;
}

static uint64_t room_of(const struct queue *q)
{
    uint64_t bound = q->maxsize + (RV_MUTANT(BOUND_OFF) ? 1u : 0u);

    if (q->maxsize == 0)
        return UINT64_MAX;
    return size_of(q) >= bound ? 0 : bound - size_of(q);
}

/* ---- granting ---- */

struct grant {
    uint64_t first;
    uint32_t count;
    struct rv_body *bodies[RV_LIMIT_BODIES];
    size_t bodies_len;
    size_t bytes; /* of large items */
};

/* Move up to want ready items to the consumer, and their encoding to mgr->items. Stops early
 * when the message is full. Returns how many. */
static uint32_t grant_items(struct mgr *mgr, struct queue *q, struct consumer *c, struct grant *g,
                            uint64_t want, enum item_state state, uint64_t call)
{
    uint32_t granted = 0;

    while (granted < want && q->ready > 0 && g->count < RV_LIMIT_PUT_ITEMS &&
           mgr->items.len + g->bytes <=
               RV_LIMIT_BATCH_BYTES - RV_LIMIT_ITEM_INLINE_BYTES - CARRY_BYTES) {
        struct item *item = NULL;
        struct rv_item out;
        uint8_t refs[CARRY_BYTES];

        if (state == ITEM_AHEAD && c->ahead_bytes > RV_LIMIT_CREDIT_BYTES)
            break;
        item = take_ready(mgr, q);
        out = (struct rv_item){
            .len = item->len,
            .priority = item->priority,
            .deliveries = item->deliveries,
            .bytes = rv_slice(item->data, item->len),
            .refs = carry_wire(item->refs, refs),
        };
        if (item->len > RV_LIMIT_BODY_BYTES) {
            out.place = RV_FRAGMENTS;
            out.body = ++c->session->bodies;
            rv_assert(rv_stream_add_fragments(&c->session->out, out.body, item->body));
            g->bytes += item->len;
        } else if (item->len > RV_LIMIT_ITEM_INLINE_BYTES) {
            out.place = RV_BODY;
            rv_assert(g->bodies_len < RV_LIMIT_BODIES); /* there is no room for more bytes before */
            g->bodies[g->bodies_len++] = item->body;
            g->bytes += item->len;
        }
        rv_item_write(&mgr->items, &out);
        item->state = state;
        item->call = call;
        item->delivery = ++c->last;
        DL_APPEND(c->granted, item);
        if (state == ITEM_AHEAD) {
            c->ahead++;
            c->ahead_bytes += item->len;
            c->session->ahead++;
            q->ahead++;
        }
        mgr->redelivered += item->deliveries > 0;
        granted++;
        g->count++;
    }
    mgr->gets += granted;
    return granted;
}

/* How many a consumer may be granted ahead: its share of what nobody waits for. */
static uint64_t share_of(const struct queue *q, const struct consumer *c, uint32_t credit)
{
    uint64_t share = q->ready / q->consumers_len; /* it is one of them */

    if (q->getters != NULL || c->recall != 0 || q->shutdown)
        return 0;
    return share < credit ? share : credit;
}

static struct grant begfromgrant(struct mgr *mgr, const struct consumer *c)
{
    rv_buf_clear(&mgr->items);
    rv_buf_clear(&mgr->scratch);
    return (struct grant){.first = c->last + 1};
}

/* Answer a get with items: direct ones for the caller, more ahead if the queue is long. */
static void answer_get(struct mgr *mgr, struct queue *q, struct consumer *c, uint64_t number,
                       uint32_t max, uint32_t credit)
{
    struct grant g = begfromgrant(mgr, c);

    grant_items(mgr, q, c, &g, max, ITEM_DIRECT, number);
    grant_items(mgr, q, c, &g, share_of(q, c, credit), ITEM_AHEAD, number);
    rv_queue_get_result_encode(
        &mgr->scratch, &(struct rv_queue_get_result){
                           .first = g.first, .items = {g.count, rv_buf_slice(&mgr->items)}});
    mgr_reply(mgr, c->session, number, REEVE_OK, NULL, rv_buf_slice(&mgr->scratch), g.bodies,
              g.bodies_len);
}

/* Send more ahead to a consumer that is running through a long queue. */
static void push_ahead(struct mgr *mgr, struct queue *q, struct consumer *c, uint32_t credit)
{
    uint64_t left = share_of(q, c, credit);

    while (left > 0) { /* no more than are ready */
        struct grant g = begfromgrant(mgr, c);
        uint32_t granted = grant_items(mgr, q, c, &g, left, ITEM_AHEAD, 0);

        if (granted == 0)
            return;
        left -= granted;
        rv_queue_grant_args_encode(
            &mgr->scratch, &(struct rv_queue_grant_args){
                               .first = g.first, .items = {g.count, rv_buf_slice(&mgr->items)}});
        mgr_push(mgr, c->session, RV_OP_queue_grant, q->object.id, rv_buf_slice(&mgr->scratch),
                 g.bodies, g.bodies_len);
    }
}

static void recall_from(struct mgr *mgr, struct consumer *c)
{
    if (c->recall != 0 || c->ahead == 0)
        return;
    c->recall = ++c->queue->recalls;
    rv_buf_clear(&mgr->scratch);
    rv_queue_recall_args_encode(&mgr->scratch, &(struct rv_queue_recall_args){.recall = c->recall});
    mgr_push(mgr, c->session, RV_OP_queue_recall, c->queue->object.id, rv_buf_slice(&mgr->scratch),
             NULL, 0);
}

static void recall_all(struct mgr *mgr, struct queue *q)
{
    struct consumer *c = NULL;

    if (q->ahead == 0)
        return;
    DL_FOREACH (q->consumers, c) {
        recall_from(mgr, c);
    }
}

/* An item comes back from a consumer; it is in none of its lists any more. */
static void take_back(struct mgr *mgr, struct queue *q, struct item *item)
{
    if (q->drop_returns) {
        q->unfinished -= q->joinable;
        item_gone(mgr, q, item);
    } else {
        place(q, item);
    }
}

/* ---- items that come back from a consumer that had them ---- */

static void serve(struct mgr *mgr, struct queue *q);

/* It takes its bytes along when it leaves the queue. */
static void leave_arena(struct queue *q, struct item *item)
{
    struct rv_body *body = NULL;

    if (item->block == NULL)
        return;
    if (item->body == NULL) {
        body = rv_body_new(item->len);
        rv_assert(body != NULL);
        if (item->len > 0)
            memcpy(body->data, item->data, item->len);
        item->body = body;
        item->data = body->data;
    }
    release_block(q, item->block);
    item->block = NULL;
}

static void move_to(struct mgr *mgr, struct queue *from, struct queue *to, struct item *item)
{
    leave_arena(from, item);
    carry_move(item->refs, &to->object);
    count_out(mgr, from, item->len);
    from->unfinished -= from->joinable;
    count_in(mgr, to, item->len);
    to->unfinished += to->joinable;
    item->arrival = to->arrivals++;
    place(to, item);
}

/* It has been delivered too often: to the dead letters. False: they take none, it must stay. */
static bool bury(struct mgr *mgr, struct queue *q, struct item *item)
{
    struct queue *d = dead_queue(mgr, q);

    if (d == NULL) {
        mgr_say(mgr, RV_WARN, "item.stays object=%llu deliveries=%u why=\"%s takes nothing\"",
                (unsigned long long)q->object.id, item->deliveries, q->dead);
        return false;
    }
    item->past->number = ++mgr->last_dead;
    item->past->died_at = mgr->now;
    free(item->past->queue);
    item->past->queue = mgr_text(rv_slice_str(q->object.name));
    mgr->dead++;
    mgr_say(mgr, RV_WARN, "item.dead number=%llu object=%llu deliveries=%u to=%llu",
            (unsigned long long)item->past->number, (unsigned long long)q->object.id,
            item->deliveries, (unsigned long long)d->object.id);
    move_to(mgr, q, d, item);
    serve(mgr, d);
    return true;
}

/* The n-th pause is twice the one before, up to the longest. */
static uint32_t pause_of(const struct queue *q, uint32_t deliveries)
{
    uint64_t ms = q->retry_ms;

    for (; deliveries > 1 && ms < q->retry_max_ms; deliveries--)
        ms *= 2;
    return (uint32_t)(ms < q->retry_max_ms ? ms : q->retry_max_ms);
}

static void put_off(struct mgr *mgr, struct queue *q, struct item *item)
{
    struct item *at = q->later == NULL ? NULL : q->later->prev; /* the last; mostly the place */

    item->past->due = rv_after_ms(mgr->now, pause_of(q, item->deliveries));
    item->state = ITEM_LATER;
    item->delivery = item->call = 0;
    q->later_len++;
    while (at != NULL && at->past->due > item->past->due)
        at = at == q->later ? NULL : at->prev;
    if (at != NULL)
        DL_APPEND_ELEM(q->later, at, item);
    else
        DL_PREPEND(q->later, item);
    rv_heap_set(&mgr->heap, &q->retry, q->later->past->due);
}

/* Those that are due by then are ready again. */
static void bring_back(struct mgr *mgr, struct queue *q, rv_ns due)
{
    while (q->later != NULL && q->later->past->due <= due) {
        struct item *item = q->later;

        DL_DELETE(q->later, item);
        q->later_len--;
        place(q, item);
    }
    rv_heap_set(&mgr->heap, &q->retry, q->later == NULL ? RV_NEVER : q->later->past->due);
}

void queue_on_timer(struct mgr *mgr, struct queue *q)
{
    bring_back(mgr, q, mgr->now);
    serve(mgr, q);
}

/* The application had it, and its session or handle went without a task_done. */
static void fall_back(struct mgr *mgr, struct queue *q, const struct consumer *c, struct item *item)
{
    item->deliveries++;
    if (q->deliveries > 0 || q->retry_ms > 0)
        past_add(mgr, item, c->session);
    if (q->drop_returns) {
        take_back(mgr, q, item);
        return;
    }
    if (q->deliveries > 0 && !RV_MUTANT(DEATHLESS) &&
        item->deliveries >= q->deliveries + (RV_MUTANT(DEATH_LATE) ? 1u : 0u) && bury(mgr, q, item))
        return;
    if (q->retry_ms > 0 && !q->shutdown && !RV_MUTANT(RETRY_AT_ONCE))
        put_off(mgr, q, item);
    else
        take_back(mgr, q, item);
}

reeve_err queue_requeue(struct mgr *mgr, struct queue *d, struct queue *q, uint64_t number)
{
    struct item *item = NULL;
    size_t at = 0;

    if (q->shutdown)
        return REEVE_ESHUTDOWN;
    if (room_of(q) == 0)
        return REEVE_EFULL;
    if (q->object.owner != d->object.owner && d->ready > 0 &&
        !quota_allows(mgr, q->object.owner, RV_QUOTA_BYTES, 1))
        return REEVE_EQUOTA;
    if (d->order == RV_ORDER_PRIORITY) {
        while (d->heap[at]->past == NULL || d->heap[at]->past->number != number)
            at++;
        item = heap_take(d, at);
    } else {
        item = d->returned;
        while (item->past == NULL || item->past->number != number)
            item = item->next;
        leave_returned(d, item);
    }
    d->ready--;
    d->bytes -= item->len;
    item->deliveries = 0;
    item->past->number = 0;
    mgr_say(mgr, RV_INFO, "item.requeue number=%llu object=%llu", (unsigned long long)number,
            (unsigned long long)q->object.id);
    move_to(mgr, d, q, item);
    serve(mgr, q);
    serve(mgr, d);
    return REEVE_OK;
}

static void not_ahead(struct consumer *c, const struct item *item)
{
    if (item->state != ITEM_AHEAD)
        return;
    c->ahead--;
    c->ahead_bytes -= item->len;
    c->session->ahead--;
    c->queue->ahead--;
}

static struct consumer *consumer_of(struct session *s, struct queue *q, struct ref *ref)
{
    struct consumer *c = ref->consumer;

    if (c == NULL) {
        c = ref->consumer = rv_alloc(sizeof *c);
        c->session = s;
        c->queue = q;
        DL_APPEND(q->consumers, c);
        q->consumers_len++;
    }
    return c;
}

/* ---- serving those who wait ---- */

static void put_result(struct mgr *mgr, struct session *s, uint64_t number, reeve_err error,
                       const char *text, uint32_t accepted)
{
    rv_buf_clear(&mgr->scratch);
    rv_queue_put_result_encode(&mgr->scratch, &(struct rv_queue_put_result){.accepted = accepted});
    mgr_reply(mgr, s, number, error, text, rv_buf_slice(&mgr->scratch), NULL, 0);
}

/* End a parked call with an error; what it brought and was not accepted is dropped. */
static void end_call(struct mgr *mgr, struct call *call, reeve_err error, const char *text)
{
    struct session *s = call->session;
    uint64_t number = call->number;
    uint32_t accepted = call->accepted;
    bool put = call->op == RV_OP_queue_put;

    mgr_unpark(mgr, call);
    if (put)
        put_result(mgr, s, number, error, text, accepted);
    else
        mgr_reply(mgr, s, number, error, text, rv_slice(NULL, 0), NULL, 0);
}

static void end_all(struct mgr *mgr, struct call **list, reeve_err error, const char *text)
{
    while (*list != NULL)
        end_call(mgr, *list, error, text);
}

static bool serve_putter(struct mgr *mgr, struct queue *q)
{
    struct call *call = q->putters;
    bool moved = false;

    if (call == NULL)
        return false;
    while (call->items != NULL && room_of(q) > 0) {
        struct item *item = call->items;
        struct rv_item in = {.len = item->len, .priority = item->priority};

        DL_DELETE(call->items, item);
        accept_item(mgr, q, &in, rv_body_keep(item->body), item->refs);
        item->refs = NULL;
        item_free(mgr, q, item);
        call->accepted++;
        moved = true;
    }
    if (call->items == NULL)
        end_call(mgr, call, REEVE_OK, NULL);
    return moved;
}

static bool serve_getter(struct mgr *mgr, struct queue *q)
{
    struct call *call = q->getters;
    struct session *s = NULL;
    struct ref *ref = NULL;
    uint64_t number = 0;
    uint32_t max = 0;
    uint32_t credit = 0;

    if (call == NULL || q->ready == 0 || RV_MUTANT(LOST_NOTIFY))
        return false;
    s = call->session;
    number = call->number;
    max = call->max;
    credit = call->credit;
    HASH_FIND(hh, s->refs, &q->object.id, sizeof q->object.id, ref);
    rv_assert(ref != NULL);
    mgr_unpark(mgr, call);
    answer_get(mgr, q, consumer_of(s, q, ref), number, max, credit);
    return true;
}

static void end_hopeless_getters(struct mgr *mgr, struct queue *q)
{
    struct call *call = NULL;
    struct call *next = NULL;

    DL_FOREACH_SAFE (q->getters, call, next) {
        if (q->shutdown)
            end_call(mgr, call, REEVE_ESHUTDOWN, NULL);
        else if (call->impatient)
            end_call(mgr, call, REEVE_EEMPTY, NULL);
    }
}

static void serve(struct mgr *mgr, struct queue *q)
{
    while (serve_getter(mgr, q) || serve_putter(mgr, q))
        continue;
    if (q->getters != NULL) {
        rv_assert(q->ready == 0);
        if (q->ahead > 0)
            recall_all(mgr, q);
        else
            end_hopeless_getters(mgr, q);
    }
    if (q->drop_returns && q->ahead == 0)
        end_all(mgr, &q->stoppers, REEVE_OK, NULL);
    if (q->unfinished == 0)
        end_all(mgr, &q->joiners, REEVE_OK, NULL);
}

static void on_end_call(struct mgr *mgr, struct call *call, reeve_err error)
{
    struct queue *q = (struct queue *)call->object;

    end_call(mgr, call, error, NULL);
    serve(mgr, q);
}

/* ---- operations ---- */

static uint64_t bytes_of(struct rv_items items)
{
    struct rv_reader r = rv_reader(items.bytes);
    uint64_t sum = 0;

    for (uint32_t i = 0; i < items.count; i++) {
        struct rv_item item;

        rv_item_read(&r, &item);
        sum += item.len;
    }
    return sum;
}

/* Is the put refused by the quota of whom the queue counts for, before anything is taken in? */
static bool over_quota(struct mgr *mgr, const struct queue *q, const struct incoming *from,
                       struct rv_items items)
{
    uint32_t owner = q->object.owner;

    if (quota_allows(mgr, owner, RV_QUOTA_BYTES, 1u << 31) ||
        quota_allows(mgr, owner, RV_QUOTA_BYTES, bytes_of(items)))
        return false;
    mgr_skip_items(from->session, from);
    mgr_refused(mgr, from->session, from->msg, REEVE_EQUOTA);
    put_result(mgr, from->session, from->number, REEVE_EQUOTA,
               quota_text(mgr, owner, RV_QUOTA_BYTES), 0);
    return true;
}

static void on_put(struct mgr *mgr, struct queue *q, const struct incoming *from)
{
    struct session *s = from->session;
    uint64_t number = from->number;
    struct rv_queue_put_args args;
    struct rv_reader r;
    struct item *rest = NULL;
    uint32_t accepted = 0;
    size_t bytes = 0;
    bool whole = true;
    bool held = true;

    rv_assert(rv_queue_put_args_decode(&args, from->msg->args));
    if (over_quota(mgr, q, from, args.items))
        return;
    r = rv_reader(args.items.bytes);
    for (uint32_t i = 0; i < args.items.count; i++) {
        struct rv_item in;
        struct rv_body *body = NULL;

        rv_item_read(&r, &in);
        if (!rv_item_receive(&in, &s->assembly, from->bodies, from->bodies_len, from->frames,
                             &body)) {
            whole = false; /* its bytes never came; the items before it stand */
            *from->frames += in.place == RV_BODY;
        }
        held = held && carry_allowed(s, in.refs);
        if (q->shutdown || !whole || !held) {
            rv_body_drop(body);
        } else if (q->putters == NULL && rest == NULL && room_of(q) > 0) {
            accept_item(mgr, q, &in, body, carry(mgr, &q->object, in.refs));
            accepted++;
        } else {
            struct item *item = item_new(mgr);

            if (body == NULL) {
                body = rv_body_new(in.len);
                rv_assert(body != NULL);
                if (in.len > 0)
                    memcpy(body->data, in.bytes.data, in.len);
            }
            item->body = body;
            item->len = in.len;
            item->priority = in.priority;
            item->refs = carry(mgr, &q->object, in.refs);
            DL_APPEND(rest, item);
            bytes += in.len;
        }
    }
    if (rest != NULL && whole && held && from->msg->timeout_ms != 0) {
        struct call *call = NULL;

        if (s->parked_bytes + bytes <= RV_LIMIT_PARKED_BYTES &&
            quota_allows(mgr, s->principal, RV_QUOTA_FLIGHT, bytes))
            call = mgr_park(mgr, s, from->msg, number, &q->object, &q->putters);
        if (call != NULL) {
            call->items = rest;
            call->accepted = accepted;
            call->bytes = bytes;
            s->parked_bytes += bytes;
            quota_add(mgr, s->principal, RV_QUOTA_FLIGHT, bytes);
            rest = NULL;
        } else {
            const char *text = NULL;
            reeve_err err = mgr_why_not_parked(mgr, s, bytes, &text);

            put_result(mgr, s, number, err, text, accepted);
        }
    } else if (!whole) {
        mgr->refused++;
        put_result(mgr, s, number, s->overdrawn ? REEVE_EQUOTA : REEVE_EPROTO,
                   s->overdrawn ? quota_text(mgr, s->principal, RV_QUOTA_FLIGHT)
                                : "an item's bytes did not arrive",
                   accepted);
        s->overdrawn = false;
    } else if (!held) {
        put_result(mgr, s, number, REEVE_ENOENT,
                   "an item refers to an object that its sender does not hold", accepted);
    } else if (q->shutdown) {
        put_result(mgr, s, number, REEVE_ESHUTDOWN, NULL, accepted);
    } else {
        put_result(mgr, s, number, rest != NULL ? REEVE_EFULL : REEVE_OK, NULL, accepted);
    }
    drop_items(mgr, &rest);
    serve(mgr, q);
}

static void on_get(struct mgr *mgr, struct queue *q, struct ref *ref, const struct incoming *in)
{
    struct session *s = in->session;
    uint64_t number = in->number;
    struct consumer *c = consumer_of(s, q, ref);
    struct rv_queue_get_args args;
    struct rv_call wait = *in->msg;
    struct incoming waiting = *in;
    struct call *call = NULL;

    rv_assert(rv_queue_get_args_decode(&args, in->msg->args));
    if (args.credit > RV_LIMIT_CREDIT_ITEMS)
        args.credit = RV_LIMIT_CREDIT_ITEMS;
    if (args.max == 0)
        args.max = 1;
    if (c->last > args.seen) {
        rv_buf_clear(&mgr->scratch);
        rv_queue_get_result_encode(&mgr->scratch, &(struct rv_queue_get_result){.first = c->last});
        mgr_reply(mgr, s, number, REEVE_OK, NULL, rv_buf_slice(&mgr->scratch), NULL, 0);
        return;
    }
    if (q->ready > 0) {
        rv_assert(q->getters == NULL);
        answer_get(mgr, q, c, number, args.max, args.credit);
        serve(mgr, q);
        return;
    }
    /* A get that does not wait still asks back what others were granted ahead: those items
     * count in the size, so an empty answer would be wrong. */
    if (wait.timeout_ms == 0 && q->ahead > 0)
        wait.timeout_ms = RECALL_MS;
    if (wait.timeout_ms == 0) {
        mgr_reply(mgr, s, number, q->shutdown ? REEVE_ESHUTDOWN : REEVE_EEMPTY, NULL,
                  rv_slice(NULL, 0), NULL, 0);
        return;
    }
    waiting.msg = &wait;
    call = mgr_park_or_refuse(mgr, &waiting, &q->object, &q->getters);
    if (call != NULL) {
        call->max = args.max;
        call->credit = args.credit;
        call->impatient = in->msg->timeout_ms == 0;
    }
    serve(mgr, q);
}

/* Everything up to delivery number taken is in the application's hands. */
static void take_up_to(struct mgr *mgr, struct consumer *c, uint64_t taken)
{
    while (c->granted != NULL && c->granted->delivery <= taken) {
        struct item *item = c->granted;

        DL_DELETE(c->granted, item);
        not_ahead(c, item);
        carry_give(mgr, c->session, item->refs);
        if (c->queue->joinable) {
            item->state = ITEM_TAKEN;
            DL_APPEND(c->unfinished, item);
            c->unfinished_len++;
        } else {
            item_gone(mgr, c->queue, item);
        }
    }
    if (taken > c->taken)
        c->taken = taken;
}

static void on_take(struct mgr *mgr, struct queue *q, struct ref *ref, struct rv_slice bytes)
{
    struct rv_queue_take_args args;

    rv_assert(rv_queue_take_args_decode(&args, bytes));
    if (ref->consumer == NULL || args.taken > ref->consumer->last) {
        mgr->refused++;
        return;
    }
    take_up_to(mgr, ref->consumer, args.taken);
    serve(mgr, q);
    push_ahead(mgr, q, ref->consumer,
               args.credit < RV_LIMIT_CREDIT_ITEMS ? args.credit : RV_LIMIT_CREDIT_ITEMS);
}

static void on_return(struct mgr *mgr, struct queue *q, struct ref *ref, struct rv_slice bytes)
{
    struct rv_queue_return_args args;
    struct consumer *c = ref->consumer;
    struct item *item = NULL;
    struct item *next = NULL;

    rv_assert(rv_queue_return_args_decode(&args, bytes));
    if (c == NULL || args.taken > c->last || args.upto > c->last) {
        mgr->refused++;
        return;
    }
    take_up_to(mgr, c, args.taken);
    DL_FOREACH_SAFE (c->granted, item, next) {
        if (item->delivery > args.upto)
            break;
        /* Without a recall, nobody in the client ever saw them: a handle was closed and opened. */
        if (item->state != ITEM_AHEAD && args.recall != 0)
            continue;
        DL_DELETE(c->granted, item);
        not_ahead(c, item);
        take_back(mgr, q, item);
    }
    if (args.recall == c->recall)
        c->recall = 0;
    serve(mgr, q);
}

/* An item that the application has; NULL. Mostly the oldest or the newest: they stand in the order of
 * their deliveries. */
static struct item *unfinished_at(const struct consumer *c, uint64_t delivery)
{
    struct item *first = c == NULL ? NULL : c->unfinished;
    struct item *last = first == NULL ? NULL : first->prev;

    if (first == NULL || delivery < first->delivery || delivery > last->delivery)
        return NULL;
    if (delivery - first->delivery <= last->delivery - delivery) {
        while (first->delivery < delivery)
            first = first->next;
        return first->delivery == delivery ? first : NULL;
    }
    while (last->delivery > delivery)
        last = last->prev;
    return last->delivery == delivery ? last : NULL;
}

static bool task_done(struct mgr *mgr, struct queue *q, struct ref *ref, uint64_t delivery)
{
    struct item *item = unfinished_at(ref->consumer, delivery);

    if (item == NULL)
        return false;
    DL_DELETE(ref->consumer->unfinished, item);
    ref->consumer->unfinished_len--;
    q->unfinished--;
    item_gone(mgr, q, item);
    serve(mgr, q);
    return true;
}

static void on_task_done(struct mgr *mgr, struct queue *q, struct ref *ref, struct rv_slice bytes)
{
    struct rv_queue_task_done_args args;

    rv_assert(rv_queue_task_done_args_decode(&args, bytes));
    mgr->refused += !task_done(mgr, q, ref, args.delivery);
}

static void on_done(struct mgr *mgr, struct queue *q, struct ref *ref, const struct incoming *in)
{
    struct rv_queue_done_args args;
    bool ok = false;

    rv_assert(rv_queue_done_args_decode(&args, in->msg->args));
    ok = task_done(mgr, q, ref, args.delivery);
    mgr_reply(mgr, in->session, in->number, ok ? REEVE_OK : REEVE_ETOOMANY, NULL, rv_slice(NULL, 0),
              NULL, 0);
}

static void on_join(struct mgr *mgr, struct queue *q, const struct incoming *in)
{
    struct session *s = in->session;
    uint64_t number = in->number;

    if (!q->joinable) {
        mgr_reply(mgr, s, number, REEVE_ETYPE, "the queue is not joinable", rv_slice(NULL, 0), NULL,
                  0);
    } else if (q->unfinished == 0) {
        mgr_reply(mgr, s, number, REEVE_OK, NULL, rv_slice(NULL, 0), NULL, 0);
    } else if (in->msg->timeout_ms == 0) {
        mgr_reply(mgr, s, number, REEVE_ETIME, NULL, rv_slice(NULL, 0), NULL, 0);
    } else {
        mgr_park_or_refuse(mgr, in, &q->object, &q->joiners);
    }
}

static void drop_ready(struct mgr *mgr, struct queue *q)
{
    bring_back(mgr, q, RV_NEVER);
    while (q->ready > 0) {
        q->unfinished -= q->joinable;
        item_gone(mgr, q, take_ready(mgr, q));
    }
}

static void on_shutdown(struct mgr *mgr, struct queue *q, const struct incoming *in)
{
    struct session *s = in->session;
    struct rv_queue_shutdown_args args;

    rv_assert(rv_queue_shutdown_args_decode(&args, in->msg->args));
    mgr_say(mgr, RV_INFO, "queue.shutdown object=%llu immediate=%u by=%llu",
            (unsigned long long)q->object.id, args.immediate, (unsigned long long)s->serial);
    q->shutdown = true;
    end_all(mgr, &q->putters, REEVE_ESHUTDOWN, NULL);
    bring_back(mgr, q, RV_NEVER); /* or who drains it would not see them */
    recall_all(mgr, q);
    if (args.immediate != 0) {
        q->drop_returns = true;
        drop_ready(mgr, q);
    }
    if (args.immediate != 0 && q->ahead > 0)
        mgr_park_or_refuse(mgr, in, &q->object, &q->stoppers);
    else
        mgr_reply(mgr, s, in->number, REEVE_OK, NULL, rv_slice(NULL, 0), NULL, 0);
    serve(mgr, q);
}

void queue_size(const struct queue *q, struct rv_queue_size_result *out)
{
    const struct call *call = NULL;

    *out = (struct rv_queue_size_result){
        .size = size_of(q),
        .maxsize = q->maxsize,
        .unfinished = q->unfinished,
        .shutdown = q->shutdown,
    };
    DL_COUNT(q->getters, call, out->getters);
    DL_COUNT(q->putters, call, out->putters);
}

static void on_timeout(struct mgr *mgr, struct call *call)
{
    struct queue *q = (struct queue *)call->object;

    if (call->op == RV_OP_queue_put)
        end_call(mgr, call, REEVE_EFULL, NULL);
    else if (call->op == RV_OP_queue_get)
        end_call(mgr, call, q->shutdown ? REEVE_ESHUTDOWN : REEVE_EEMPTY, NULL);
    else
        end_call(mgr, call, REEVE_ETIME, NULL);
    serve(mgr, q);
}

static void on_cancel(struct mgr *mgr, struct object *o, struct ref *ref, uint64_t number)
{
    struct queue *q = (struct queue *)o;
    struct consumer *c = ref->consumer;
    struct item *item = NULL;
    struct item *next = NULL;

    if (c == NULL || RV_MUTANT(CANCEL_KEPT))
        return;
    DL_FOREACH_SAFE (c->granted, item, next) {
        if (item->call != number)
            continue;
        DL_DELETE(c->granted, item);
        not_ahead(c, item);
        take_back(mgr, q, item);
    }
    serve(mgr, q);
}

static void on_idle(struct mgr *mgr, struct ref *ref)
{
    struct consumer *c = ref->consumer;

    if (c != NULL && c->ahead > 0 && c->queue->consumers_len > 1)
        recall_from(mgr, c);
}

static void drop_consumer(struct mgr *mgr, struct ref *ref, bool died)
{
    struct consumer *c = ref->consumer;
    struct queue *q = NULL;
    bool fromhand = died; /* the next one ahead may have been in the application's hands */

    if (c == NULL)
        return;
    q = c->queue;
    ref->consumer = NULL;
    while (c->unfinished != NULL) {
        struct item *item = c->unfinished;

        DL_DELETE(c->unfinished, item);
        fall_back(mgr, q, c, item);
    }
    while (c->granted != NULL) {
        struct item *item = c->granted;
        bool direct = item->state == ITEM_DIRECT;
        bool had = direct ? died : fromhand;

        DL_DELETE(c->granted, item);
        not_ahead(c, item);
        fromhand = fromhand && direct;
        if (RV_MUTANT(EXPIRY_FORGETS))
            item_gone(mgr, q, item);
        else if (had)
            fall_back(mgr, q, c, item);
        else
            take_back(mgr, q, item);
    }
    DL_DELETE(q->consumers, c);
    q->consumers_len--;
    free(c);
}

static void on_drop_ref(struct mgr *mgr, struct ref *ref, bool died)
{
    drop_consumer(mgr, ref, died);
    if (!ref->object->removed)
        serve(mgr, (struct queue *)ref->object);
}

static void on_call(struct mgr *mgr, struct object *o, struct ref *ref, const struct incoming *in)
{
    struct queue *q = (struct queue *)o;

    switch ((enum rv_op)in->msg->op) {
    case RV_OP_queue_put:
        on_put(mgr, q, in);
        break;
    case RV_OP_queue_get:
        on_get(mgr, q, ref, in);
        break;
    case RV_OP_queue_take:
        on_take(mgr, q, ref, in->msg->args);
        break;
    case RV_OP_queue_return:
        on_return(mgr, q, ref, in->msg->args);
        break;
    case RV_OP_queue_task_done:
        on_task_done(mgr, q, ref, in->msg->args);
        break;
    case RV_OP_queue_done:
        on_done(mgr, q, ref, in);
        break;
    case RV_OP_queue_join:
        on_join(mgr, q, in);
        break;
    case RV_OP_queue_shutdown:
        on_shutdown(mgr, q, in);
        break;
    default:
        rv_assert_failed(__FILE__, __LINE__, "an operation of ops.def without a handler");
    }
}

/* ---- what comes back from a snapshot ---- */

static struct rv_body *body_of(struct rv_slice bytes)
{
    struct rv_body *body = rv_body_new(bytes.len);

    rv_assert(body != NULL);
    if (bytes.len > 0)
        memcpy(body->data, bytes.data, bytes.len);
    return body;
}

struct rv_slice queue_record(const struct block *block, uint32_t *at, const struct carried **refs)
{
    const struct rv_body *body = NULL;
    const struct item *item = NULL;
    uint32_t len = 0;

    *refs = NULL;
    memcpy(&len, block->data + *at, 4);
    *at += 4;
    if (len & RECORD_ITEM) {
        memcpy(&item, block->data + *at, sizeof item);
        *at += (uint32_t)sizeof item;
        *refs = item->refs;
        return rv_slice(item->data, item->len);
    }
    if (len & RECORD_BODY) {
        memcpy(&body, block->data + *at, sizeof body);
        *at += (uint32_t)sizeof body;
        return rv_slice(body->data, body->len);
    }
    *at += len;
    return rv_slice(block->data + *at - len, len);
}

void queue_add_ready(struct mgr *mgr, struct queue *q, struct rv_slice bytes, struct carried *refs)
{
    struct item *item = NULL;

    q->ready++;
    q->bytes += bytes.len;
    if (refs != NULL) {
        item = queue_item(mgr, bytes);
        item->refs = refs;
        arena_add_item(q, item);
    } else if (bytes.len <= RECORD_MAX)
        arena_add(q, bytes);
    else
        arena_add_body(q, body_of(bytes));
}

struct item *queue_item(struct mgr *mgr, struct rv_slice bytes)
{
    struct item *item = item_new(mgr);

    item->body = body_of(bytes);
    item->data = item->body->data;
    item->len = (uint32_t)item->body->len;
    return item;
}

struct consumer *queue_consumer(struct session *s, struct queue *q, struct ref *ref)
{
    return consumer_of(s, q, ref);
}

void queue_add_heap(struct queue *q, struct item *item)
{
    heap_push(q, item);
}

/* ---- life ---- */

char *queue_dead_name(const struct rv_object_open_args *args)
{
    static const char ending[] = ".dead";
    struct rv_buf name = {0};

    if (args->dead.len > 0)
        return mgr_text(args->dead);
    rv_buf_add(&name, args->name.data, args->name.len);
    rv_buf_add(&name, ending, sizeof ending);
    rv_assert(!name.bad);
    return (char *)name.data;
}

static struct object *create(struct mgr *mgr, const struct rv_object_open_args *args)
{
    struct queue *q = (struct queue *)queue_create_empty();

    (void)mgr;
    q->deliveries = args->deliveries;
    q->dead = args->deliveries == 0 ? NULL : queue_dead_name(args);
    q->retry_ms = args->retry_ms;
    q->retry_max_ms = args->retry_max_ms;
    if (q->retry_max_ms == 0)
        q->retry_max_ms = RV_LIMIT_RETRY_MS;
    if (q->retry_max_ms < q->retry_ms)
        q->retry_max_ms = q->retry_ms;
    q->order = args->order;
    q->joinable = args->joinable != 0;
    q->maxsize = args->maxsize;
    return &q->object;
}

static bool fits(const struct object *o, const struct rv_object_open_args *args)
{
    const struct queue *q = (const struct queue *)o;

    return args->order == q->order && (args->joinable != 0) == q->joinable &&
           args->maxsize == q->maxsize &&
           (args->deliveries == 0 || args->deliveries == q->deliveries) &&
           (args->dead.len == 0 ||
            (q->dead != NULL && rv_slice_equal(args->dead, rv_slice_str(q->dead)))) &&
           (args->retry_ms == 0 || args->retry_ms == q->retry_ms) &&
           (args->retry_max_ms == 0 || args->retry_max_ms == q->retry_max_ms);
}

static void on_unparked(struct mgr *mgr, struct call *call)
{
    drop_items(mgr, &call->items);
    call->session->parked_bytes -= call->bytes;
    quota_drop(mgr, call->session->principal, RV_QUOTA_FLIGHT, call->bytes);
}

static void on_removed(struct mgr *mgr, struct object *o)
{
    struct queue *q = (struct queue *)o;

    end_all(mgr, &q->getters, REEVE_EGONE, NULL);
    end_all(mgr, &q->putters, REEVE_EGONE, NULL);
    end_all(mgr, &q->joiners, REEVE_EGONE, NULL);
    end_all(mgr, &q->stoppers, REEVE_EGONE, NULL);
    q->shutdown = q->drop_returns = true;
    drop_ready(mgr, q);
}

static void on_free(struct mgr *mgr, struct object *o)
{
    struct queue *q = (struct queue *)o;

    drop_ready(mgr, q);
    rv_assert(q->consumers == NULL && q->getters == NULL && q->putters == NULL);
    if (q->tail != NULL) {
        rv_assert(q->head == q->tail && q->tail->live == 0);
        free(q->tail);
    }
    free(q->heap);
    free(q->dead);
    free(q);
}

/* ---- what must be true ---- */

static void check_consumer(const struct queue *q, const struct consumer *c, uint64_t *held)
{
    const struct item *item = NULL;
    uint64_t last = c->taken;
    uint32_t ahead = 0;
    uint32_t unfinished = 0;

    DL_FOREACH (c->granted, item) {
        rv_assert(item->delivery > last && item->delivery <= c->last);
        rv_assert(item->state == ITEM_DIRECT || item->state == ITEM_AHEAD);
        last = item->delivery;
        ahead += item->state == ITEM_AHEAD;
        ++*held;
    }
    rv_assert(ahead == c->ahead);
    DL_FOREACH (c->unfinished, item) {
        rv_assert(item->state == ITEM_TAKEN && item->delivery <= c->taken);
        unfinished++;
        ++*held;
    }
    rv_assert(unfinished == c->unfinished_len);
    rv_assert(q->joinable || unfinished == 0);
}

static void check(const struct object *o)
{
    const struct queue *q = (const struct queue *)o;
    const struct consumer *c = NULL;
    const struct item *item = NULL;
    uint64_t held = 0;
    uint64_t ahead = 0;
    uint64_t returned = 0;
    uint64_t later = 0;
    rv_ns due = 0;

    DL_FOREACH (q->consumers, c) {
        check_consumer(q, c, &held);
        ahead += c->ahead;
    }
    rv_assert(ahead == q->ahead);
    DL_FOREACH (q->returned, item) {
        returned++;
    }
    DL_FOREACH (q->later, item) {
        rv_assert(item->state == ITEM_LATER && item->past->due >= due);
        due = item->past->due;
        later++;
    }
    rv_assert(later == q->later_len && (later > 0) == (q->retry.pos != 0));
    rv_assert(q->placed == NULL || q->placed->state == ITEM_READY);
    rv_assert(q->ready == returned + q->arena_len + q->heap_len);
    rv_assert(q->held_bytes >= q->bytes);
    /* An accepted item is in exactly one place. */
    rv_assert(q->accepted == q->gone + q->ready + later + held);
    /* A queue never holds more than its bound, but for items that came back to it. */
    rv_assert(q->maxsize == 0 || q->arena_len <= q->maxsize);
    rv_assert(!(q->getters != NULL && q->ready > 0));
    rv_assert(!(q->putters != NULL && room_of(q) > 0));
    rv_assert(q->joinable || q->unfinished == 0);
}

static void row(const struct object *o, struct rv_object_row *out)
{
    const struct queue *q = (const struct queue *)o;
    struct rv_queue_size_result size;

    queue_size(q, &size);
    out->order = q->order;
    out->joinable = q->joinable;
    out->maxsize = q->maxsize;
    out->size = size.size;
    out->bytes = q->bytes;
    out->unfinished = size.unfinished;
    out->getters = size.getters;
    out->putters = size.putters;
    out->shutdown = size.shutdown;
    out->later = q->later_len;
    out->deliveries = q->deliveries;
    out->dead = rv_slice_str(q->dead);
}

const struct object_ops queue_ops = {
    .family = 1,
    .fits = fits,
    .create = create,
    .call = on_call,
    .end_call = on_end_call,
    .timeout = on_timeout,
    .unparked = on_unparked,
    .cancel = on_cancel,
    .idle = on_idle,
    .drop_ref = on_drop_ref,
    .removed = on_removed,
    .free = on_free,
    .row = row,
    .check = check,
    .create_empty = queue_create_empty,
    .save = queue_save,
    .load = queue_load,
    .save_call = queue_save_call,
    .load_call = queue_load_call,
};
