#include "proxy/core/channel.h"
#include "proxy/core/parcel.h"

#include <stdio.h>

enum {
    AHEAD_NS = 5000000, /* items ahead are worth so much of the consumer's time */
    OPEN_BYTES = 65536, /* a put message takes no more items behind so many bytes */
    ITEM_HEAD_MAX = 32,
};

static const struct rv_port_ops channel_ops;

/* ---- life ---- */

reeve_err rv_channel_init(struct rv_channel *ch, struct rv_link *link, uint64_t object,
                          uint32_t maxsize, bool joinable, bool prefetch)
{
    *ch = (struct rv_channel){
        .port = {.object = object, .ops = &channel_ops, .tick_at = RV_NEVER},
        .link = link,
        .maxsize = maxsize,
        .joinable = joinable,
        .prefetch = prefetch,
    };
    return rv_link_add_port(link, &ch->port) ? REEVE_OK : REEVE_ENOMEM;
}

static void free_batch(struct rv_batch *batch)
{
    for (size_t i = batch->bodies_next; i < batch->bodies_len; i++)
        rv_body_drop(batch->bodies[i]);
    free(batch->bodies);
    rv_buf_free(&batch->bytes);
    free(batch);
}

static void drop_batches(struct rv_channel *ch)
{
    while (ch->head != NULL) {
        struct rv_batch *batch = ch->head;

        ch->head = batch->next;
        free_batch(batch);
    }
    ch->tail = NULL;
    ch->buffered = 0;
}

/* A put was refused whose handle is closed: the flush of the context tells. */
static void note_failure(struct rv_link *link, reeve_err error, const char *text, size_t len)
{
    if (link->failed != REEVE_OK || error == REEVE_OK || error == REEVE_ECLOSED)
        return;
    link->failed = error;
    snprintf(link->failed_why, sizeof link->failed_why, "%.*s", (int)(len < 150 ? len : 150),
             len == 0 ? "" : text);
}

/* The manager holds on to it until the session ends, and what was taken last may come again. */
#define LOST_WORDS "out of memory when a queue was closed"

static void tell(struct rv_channel *ch, uint32_t credit);

void rv_channel_fini(struct rv_channel *ch)
{
    struct rv_request *call = NULL;
    struct rv_request *next = NULL;
    bool said = false;

    if (ch->link == NULL)
        return;
    /* Puts on their way go on without us; nobody is left to hear of their failure. */
    HASH_ITER (hh, ch->link->calls, call, next) {
        if (call->arg == ch)
            call->arg = NULL;
    }
    note_failure(ch->link, ch->failed, ch->failed_why, strlen(ch->failed_why));
    if (ch->taken > ch->told)
        tell(ch, 0);
    said = rv_link_say(ch->link, RV_OP_object_close, ch->port.object, rv_slice(NULL, 0));
    if (ch->link->state != RV_LINK_DEAD && (!said || ch->taken > ch->told))
        note_failure(ch->link, REEVE_ENOMEM, LOST_WORDS, sizeof LOST_WORDS - 1);
    rv_link_drop_port(ch->link, &ch->port);
    drop_batches(ch);
    ch->link = NULL;
}

/* ---- puts ---- */

reeve_err rv_channel_failure(struct rv_channel *ch, char *why, size_t why_len)
{
    reeve_err err = ch->failed;

    if (err != REEVE_OK)
        snprintf(why, why_len, "%s", ch->failed_why);
    ch->failed = REEVE_OK;
    return err;
}

static void note_reached(struct rv_channel *ch, uint8_t durable)
{
    if (durable != RV_DURABLE_DEFAULT &&
        (ch->flushed || ch->reached == RV_DURABLE_DEFAULT || durable < ch->reached)) {
        ch->reached = durable;
        ch->flushed = false;
    }
}

uint8_t rv_channel_reached(struct rv_channel *ch)
{
    ch->flushed = true;
    return ch->reached;
}

static void put_done(struct rv_link *link, struct rv_request *call, rv_ns now,
                     const struct rv_outcome *outcome)
{
    struct rv_channel *ch = call->arg;

    (void)now;
    link->puts_in_flight -= call->count;
    if (ch == NULL && outcome->error != REEVE_OK)
        note_failure(link, outcome->error, (const char *)outcome->text.data, outcome->text.len);
    if (ch == NULL)
        return;
    ch->puts_in_flight -= call->count;
    note_reached(ch, outcome->durable);
    if (ch->open_call == call) {
        ch->open_call = NULL;
        ch->open = 0;
    }
    if (outcome->error != REEVE_OK && ch->failed == REEVE_OK) {
        ch->failed = outcome->error;
        snprintf(ch->failed_why, sizeof ch->failed_why, "%.*s",
                 (int)(outcome->text.len < 150 ? outcome->text.len : 150),
                 outcome->text.len == 0 ? "" : (const char *)outcome->text.data);
    }
}

/* Add to the message that is still here: patch three lengths and a count, copy the item. */
static bool add_to_open(struct rv_channel *ch, const struct rv_parcel *p)
{
    struct rv_link *link = ch->link;
    struct rv_buf fixed = {0};
    uint8_t *msg = NULL;
    size_t len = 0;
    size_t refs_len = p->item.refs.len > 0 ? 1 + p->item.refs.len : 0;
    size_t item_len = (p->item.priority != 0 ? 16u : 4u) + refs_len + p->item.len;

    if (ch->open == 0 || ch->open != link->out.next - 1 || ch->open <= link->sent_high ||
        p->item.place != RV_INLINE || ch->open_count >= RV_LIMIT_PUT_ITEMS)
        return false;
    msg = rv_stream_last(&link->out, &len);
    if (len + item_len > OPEN_BYTES)
        return false;
    fixed.data = rv_stream_grow_last(&link->out, item_len);
    if (fixed.data == NULL)
        return false;
    fixed.cap = item_len;
    rv_parcel_write(&fixed, p);
    rv_assert(fixed.len == item_len && !fixed.bad);
    msg = rv_stream_last(&link->out, &len);
    ch->open_count++;
    rv_set_number(msg, len - 4, 4);
    rv_set_number(msg + ch->open_at - 4, len - ch->open_at, 4); /* length of args */
    rv_set_number(msg + ch->open_at, ch->open_count, 4);
    rv_set_number(msg + ch->open_at + 4, len - ch->open_at - 8, 4); /* length of the items */
    return true;
}

static struct rv_request *send_put(struct rv_channel *ch, uint32_t count, struct rv_slice items,
                                   struct rv_body *const *bodies, size_t bodies_len,
                                   uint32_t timeout_ms)
{
    struct rv_buf args = {0};
    struct rv_request *call = NULL;

    rv_queue_put_args_encode(&args, &(struct rv_queue_put_args){.items = {count, items}});
    if (!args.bad)
        call = rv_link_call(ch->link, RV_OP_queue_put, ch->port.object, timeout_ms,
                            rv_buf_slice(&args), bodies, bodies_len);
    rv_buf_free(&args);
    return call;
}

/* One item in a message of its own, whose answer nobody waits for. */
static reeve_err put_alone(struct rv_channel *ch, const struct rv_parcel *p, uint32_t timeout_ms)
{
    struct rv_link *link = ch->link;
    struct rv_buf one = {0};
    struct rv_request *call = NULL;
    uint64_t urgent = link->urgent;
    struct rv_body *body = p->body;

    rv_parcel_write(&one, p);
    if (!one.bad)
        call = send_put(ch, 1, rv_buf_slice(&one), &body, p->item.place == RV_BODY, timeout_ms);
    rv_buf_free(&one);
    if (call == NULL)
        return REEVE_ENOMEM;
    link->urgent = urgent; /* it may wait for company */
    call->hook = put_done;
    call->arg = ch;
    call->count = 1;
    call->abandoned = true; /* freed with its answer */
    ch->puts_in_flight++;
    link->puts_in_flight++;
    ch->open_call = call;
    ch->open = call->number;
    ch->open_count = 1;
    /* u32 length, u8 type, u16 op, u64 object, u32 timeout, u32 length of args */
    ch->open_at = 4 + 1 + 2 + 8 + 4 + 4;
    return REEVE_OK;
}

/* What stands against a put that nobody waits for. */
static reeve_err may_put(const struct rv_channel *ch, size_t bytes)
{
    const struct rv_link *link = ch->link;

    if (ch->failed != REEVE_OK)
        return ch->failed;
    if (link->state == RV_LINK_DEAD)
        return link->error;
    if (!rv_link_room(link, bytes + ITEM_HEAD_MAX) && link->out.first != link->out.next)
        return REEVE_ELIMIT;
    return REEVE_OK;
}

reeve_err rv_channel_put_parts(struct rv_channel *ch, struct rv_slice head, struct rv_slice rest,
                               struct rv_slice refs, int64_t priority)
{
    struct rv_parcel p;
    reeve_err err = may_put(ch, head.len + rest.len + refs.len);

    if (err == REEVE_OK)
        err = rv_parcel_make(&p, ch->link, head, rest, refs, priority);
    if (err != REEVE_OK)
        return err;
    if (add_to_open(ch, &p)) {
        ch->open_call->count++;
        ch->puts_in_flight++;
        ch->link->puts_in_flight++;
    } else {
        err = put_alone(ch, &p, 0);
    }
    rv_body_drop(p.body);
    return err;
}

reeve_err rv_channel_put(struct rv_channel *ch, rv_ns now, struct rv_slice bytes, int64_t priority)
{
    (void)now;
    return rv_channel_put_parts(ch, rv_slice(NULL, 0), bytes, rv_slice(NULL, 0), priority);
}

reeve_err rv_channel_put_async(struct rv_channel *ch, struct rv_slice bytes, struct rv_slice refs,
                               int64_t priority, uint32_t timeout_ms)
{
    struct rv_parcel p;
    reeve_err err = may_put(ch, bytes.len + refs.len);

    if (err == REEVE_OK)
        err = rv_parcel_make(&p, ch->link, rv_slice(NULL, 0), bytes, refs, priority);
    if (err != REEVE_OK)
        return err;
    err = put_alone(ch, &p, timeout_ms);
    ch->open = 0; /* each waits for room by itself */
    rv_body_drop(p.body);
    return err;
}

struct rv_request *rv_channel_put_call(struct rv_channel *ch, const struct rv_slice *items,
                                       const struct rv_slice *refs, size_t len, int64_t priority,
                                       uint32_t timeout_ms, size_t *used)
{
    struct rv_buf list = {0};
    struct rv_body *bodies[RV_LIMIT_BODIES];
    struct rv_request *call = NULL;
    size_t bodies_len = 0;
    size_t large = 0;
    bool ok = true;

    *used = 0;
    while (*used < len && *used < RV_LIMIT_PUT_ITEMS &&
           list.len + large < RV_LIMIT_BATCH_BYTES - RV_LIMIT_ITEM_INLINE_BYTES - 4096) {
        struct rv_parcel p;

        ok = rv_parcel_make(&p, ch->link, rv_slice(NULL, 0), items[*used],
                            refs == NULL ? rv_slice(NULL, 0) : refs[*used], priority) == REEVE_OK;
        if (!ok)
            break;
        rv_parcel_write(&list, &p);
        rv_assert(bodies_len < RV_LIMIT_BODIES); /* there is no room for more bytes before */
        if (p.item.place == RV_BODY)
            bodies[bodies_len++] = p.body;
        else
            rv_body_drop(p.body);
        if (p.item.place != RV_INLINE)
            large += p.item.len;
        ++*used;
    }
    if (*used > 0 && !list.bad)
        call = send_put(ch, (uint32_t)*used, rv_buf_slice(&list), bodies, bodies_len, timeout_ms);
    for (size_t i = 0; i < bodies_len; i++)
        rv_body_drop(bodies[i]);
    rv_buf_free(&list);
    if (call != NULL)
        call->count = (uint32_t)*used;
    return call;
}

/* ---- gets ---- */

/* The consumer's own time runs from its first item until it waits for the next one; what it
 * waits for us does not count. */
static void count_work(struct rv_channel *ch, rv_ns now, bool goes_on)
{
    if (ch->working_since != 0)
        ch->worked += now - ch->working_since;
    ch->working_since = goes_on ? now : 0;
}

/* Items worth having ahead: as many as the consumer gets through in AHEAD_NS. */
static void adapt_window(struct rv_channel *ch)
{
    uint64_t fits = RV_LIMIT_CREDIT_ITEMS;

    if (!ch->prefetch || ch->counted == 0)
        return;
    if (ch->worked > 0)
        fits = (uint64_t)AHEAD_NS * ch->counted / (uint64_t)ch->worked;
    if (fits > RV_LIMIT_CREDIT_ITEMS)
        fits = RV_LIMIT_CREDIT_ITEMS;
    if (fits > ch->window * UINT64_C(2) + 1)
        fits = ch->window * UINT64_C(2) + 1;
    ch->window = (uint32_t)fits;
    ch->counted = 0;
    ch->worked = 0;
}

static void tell(struct rv_channel *ch, uint32_t credit)
{
    struct rv_buf args = {0};

    rv_queue_take_args_encode(&args, &(struct rv_queue_take_args){ch->taken, credit, 0});
    if (!args.bad &&
        rv_link_say(ch->link, RV_OP_queue_take, ch->port.object, rv_buf_slice(&args))) {
        ch->told = ch->taken;
        ch->port.tick_at = RV_NEVER;
    }
    rv_buf_free(&args);
}

/* Keep items that came. False without memory or when their bytes are missing: then the
 * connection must begin again, and nothing was kept. */
static bool keep(struct rv_channel *ch, uint64_t first, const struct rv_items *items,
                 uint32_t direct, const struct rv_slice *bodies, size_t bodies_len, size_t *frames)
{
    struct rv_batch *batch = calloc(1, sizeof *batch);
    struct rv_reader r = rv_reader(items->bytes);
    bool ok = batch != NULL;

    if (!ok)
        return false;
    rv_buf_add(&batch->bytes, items->bytes.data, items->bytes.len);
    for (uint32_t i = 0; i < items->count && ok; i++) {
        struct rv_item item;
        struct rv_body *body = NULL;

        rv_item_read(&r, &item);
        ok = rv_item_receive(&item, &ch->link->assembly, bodies, bodies_len, frames, &body);
        if (body != NULL) {
            struct rv_body **more =
                realloc(batch->bodies, (batch->bodies_len + 1) * sizeof(struct rv_body *));

            if (more == NULL) {
                rv_body_drop(body);
                ok = false;
                break;
            }
            batch->bodies = more;
            batch->bodies[batch->bodies_len++] = body;
        }
    }
    if (!ok || batch->bytes.bad) {
        free_batch(batch);
        return false;
    }
    batch->at = rv_reader(rv_buf_slice(&batch->bytes));
    batch->left = items->count;
    batch->direct = direct < items->count ? direct : items->count;
    batch->delivery = first;
    if (ch->tail != NULL)
        ch->tail->next = batch;
    else
        ch->head = batch;
    ch->tail = batch;
    ch->buffered += items->count;
    return true;
}

static void disown(struct rv_channel *ch, uint64_t upto)
{
    struct rv_buf args = {0};

    rv_queue_return_args_encode(&args, &(struct rv_queue_return_args){0, ch->taken, upto, 0});
    if (!args.bad &&
        rv_link_say(ch->link, RV_OP_queue_return, ch->port.object, rv_buf_slice(&args)))
        ch->seen = upto;
    rv_buf_free(&args);
}

static void get_done(struct rv_link *link, struct rv_request *call, rv_ns now,
                     const struct rv_outcome *outcome)
{
    struct rv_channel *ch = call->arg;
    struct rv_queue_get_result result;

    if (outcome->error != REEVE_OK)
        return;
    if (!rv_queue_get_result_decode(&result, outcome->result)) {
        call->error = REEVE_EPROTO;
        return;
    }
    if (result.items.count == 0) {
        /* What was granted before has come by now. What has not went to a handle of this queue
         * that was closed: it goes back. */
        if (ch != NULL && result.first > ch->seen)
            disown(ch, result.first);
        return;
    }
    if (ch != NULL && result.first + result.items.count - 1 > ch->seen)
        ch->seen = result.first + result.items.count - 1;
    if (call->abandoned || ch == NULL) {
        /* Cancelled: the manager has taken them back, or will. */
        struct rv_reader r = rv_reader(result.items.bytes);

        rv_items_skip(link, &r, result.items.count, outcome->bodies, outcome->bodies_len,
                      outcome->frames);
        return;
    }
    if (!keep(ch, result.first, &result.items, call->count, outcome->bodies, outcome->bodies_len,
              outcome->frames))
        rv_link_die(link, now, REEVE_ENOMEM, "no memory for items that came");
}

struct rv_request *rv_channel_get_call(struct rv_channel *ch, rv_ns now, uint32_t max,
                                       uint32_t timeout_ms)
{
    struct rv_buf args = {0};
    struct rv_request *call = NULL;

    count_work(ch, now, false);
    adapt_window(ch);
    if (ch->taken > ch->told)
        tell(ch, 0);
    rv_queue_get_args_encode(&args, &(struct rv_queue_get_args){max, ch->seen, ch->window, 0});
    if (!args.bad)
        call = rv_link_call(ch->link, RV_OP_queue_get, ch->port.object, timeout_ms,
                            rv_buf_slice(&args), NULL, 0);
    rv_buf_free(&args);
    if (call == NULL)
        return NULL;
    call->hook = get_done;
    call->arg = ch;
    call->count = max;
    return call;
}

/* Is half of what was ahead through, with `more` items from now? */
static bool half_through(const struct rv_channel *ch, uint64_t more)
{
    return ch->window > 1 && ch->buffered <= ch->window / 2 + more &&
           ch->taken + more - ch->told >= ch->window / 2;
}

bool rv_channel_wants_clock(const struct rv_channel *ch)
{
    return ch->working_since == 0 || ch->port.tick_at == RV_NEVER || half_through(ch, 1);
}

/* The batch of the next item; NULL: there is none. */
static struct rv_batch *next_batch(struct rv_channel *ch)
{
    struct rv_batch *batch = ch->head;

    while (batch != NULL && batch->left == 0) {
        ch->head = batch->next;
        if (ch->head == NULL)
            ch->tail = NULL;
        free_batch(batch);
        batch = ch->head;
    }
    return batch;
}

bool rv_channel_peek(struct rv_channel *ch, struct rv_handed *out)
{
    struct rv_batch *batch = next_batch(ch);
    struct rv_reader at;
    struct rv_item item;

    if (batch == NULL)
        return false;
    at = batch->at;
    rv_item_read(&at, &item);
    *out = (struct rv_handed){.bytes = item.bytes,
                              .delivery = batch->delivery,
                              .deliveries = item.deliveries,
                              .refs = item.refs};
    if (item.place != RV_INLINE) {
        out->body = batch->bodies[batch->bodies_next];
        out->bytes = rv_slice(out->body->data, out->body->len);
    }
    return true;
}

/* Tell, and ask for as much again. Who got references may use them with its next call. */
static void tell_taken(struct rv_channel *ch, rv_ns now, bool refers)
{
    if (refers && !half_through(ch, 0)) {
        tell(ch, 0);
    } else if (half_through(ch, 0)) {
        count_work(ch, now, true);
        adapt_window(ch);
        tell(ch, ch->window > ch->buffered ? ch->window - (uint32_t)ch->buffered : 0);
    } else if (ch->port.tick_at == RV_NEVER) {
        ch->port.tick_at = rv_after_ms(now, RV_LIMIT_TAKE_MS);
    }
}

bool rv_channel_pop(struct rv_channel *ch, rv_ns now, struct rv_handed *out)
{
    uint64_t taken = ch->taken;
    struct rv_batch *batch = NULL;
    struct rv_item item;

    if (!rv_channel_peek(ch, out))
        return false;
    ch->buffered--;
    ch->taken = out->delivery;
    ch->counted++;
    if (ch->working_since == 0)
        ch->working_since = now;
    tell_taken(ch, now, out->refs.len > 0);
    rv_assert(ch->link->state != RV_LINK_DEAD); /* nothing is here then: on_dead() */
    if (out->refs.len > 0 && ch->told < out->delivery) {
        ch->buffered++;
        ch->taken = taken;
        ch->counted--;
        return false;
    }
    batch = ch->head;
    rv_item_read(&batch->at, &item);
    batch->bodies_next += item.place != RV_INLINE;
    batch->delivery++;
    batch->left--;
    batch->direct -= batch->direct > 0;
    return true;
}

void rv_handed_free(struct rv_handed *item)
{
    rv_body_drop(item->body);
    item->body = NULL;
}

reeve_err rv_channel_task_done(struct rv_channel *ch, uint64_t delivery)
{
    struct rv_buf args = {0};
    bool ok = false;

    if (ch->link->state == RV_LINK_DEAD)
        return ch->link->error;
    if (ch->taken > ch->told)
        tell(ch, 0);
    rv_queue_task_done_args_encode(&args, &(struct rv_queue_task_done_args){delivery, 0});
    ok = !args.bad && ch->told >= delivery &&
         rv_link_say(ch->link, RV_OP_queue_task_done, ch->port.object, rv_buf_slice(&args));
    rv_buf_free(&args);
    return ok ? REEVE_OK : REEVE_ENOMEM;
}

struct rv_request *rv_channel_done_call(struct rv_channel *ch, uint64_t delivery)
{
    struct rv_buf args = {0};
    struct rv_request *call = NULL;

    if (ch->link->state == RV_LINK_DEAD)
        return NULL;
    if (ch->taken > ch->told)
        tell(ch, 0);
    rv_queue_done_args_encode(&args, &(struct rv_queue_done_args){delivery, 0});
    if (!args.bad && ch->told >= delivery)
        call = rv_link_call(ch->link, RV_OP_queue_done, ch->port.object, UINT32_MAX,
                            rv_buf_slice(&args), NULL, 0);
    rv_buf_free(&args);
    return call;
}

/* What was granted ahead goes back; what answered a get only without a recall: then the manager takes all. */
static void give_back(struct rv_channel *ch, uint64_t recall)
{
    struct rv_buf args = {0};
    struct rv_batch **at = &ch->head;

    rv_queue_return_args_encode(&args,
                                &(struct rv_queue_return_args){recall, ch->taken, ch->seen, 0});
    if (args.bad ||
        !rv_link_say(ch->link, RV_OP_queue_return, ch->port.object, rv_buf_slice(&args))) {
        rv_buf_free(&args);
        return;
    }
    rv_buf_free(&args);
    ch->told = ch->taken;
    ch->port.tick_at = RV_NEVER;
    if (RV_MUTANT(RECALL_IGNORED))
        return;
    ch->tail = NULL;
    while (*at != NULL) {
        struct rv_batch *batch = *at;

        if (recall == 0)
            batch->direct = 0;
        ch->buffered -= batch->left - batch->direct;
        batch->left = batch->direct;
        if (batch->left == 0) {
            *at = batch->next;
            free_batch(batch);
        } else {
            ch->tail = batch;
            at = &batch->next;
        }
    }
}

void rv_channel_no_prefetch(struct rv_channel *ch)
{
    ch->prefetch = false;
    ch->window = 0;
    if (ch->buffered > 0)
        give_back(ch, 0);
}

static void on_push(struct rv_port *port, rv_ns now, const struct rv_push *push,
                    const struct rv_slice *bodies, size_t bodies_len, size_t *frames)
{
    struct rv_channel *ch = (struct rv_channel *)port;
    struct rv_queue_grant_args grant;
    struct rv_queue_recall_args recall;

    (void)now;
    if (push->op == RV_OP_queue_grant && rv_queue_grant_args_decode(&grant, push->args) &&
        grant.items.count > 0) {
        ch->seen = grant.first + grant.items.count - 1;
        if (!keep(ch, grant.first, &grant.items, 0, bodies, bodies_len, frames))
            rv_link_die(ch->link, now, REEVE_ENOMEM, "no memory for items that were granted");
    } else if (push->op == RV_OP_queue_recall && rv_queue_recall_args_decode(&recall, push->args)) {
        give_back(ch, recall.recall);
    }
}

static void on_tick(struct rv_port *port, rv_ns now)
{
    (void)now;
    tell((struct rv_channel *)port, 0);
}

static void on_dead(struct rv_port *port)
{
    struct rv_channel *ch = (struct rv_channel *)port;

    drop_batches(ch);
    ch->port.tick_at = RV_NEVER;
    ch->open = 0;
    ch->open_call = NULL;
}

static const struct rv_port_ops channel_ops = {.push = on_push, .tick = on_tick, .dead = on_dead};

struct rv_channel *rv_channel_of(const struct rv_link *link, uint64_t object)
{
    struct rv_port *port = rv_link_port(link, object);

    return port != NULL && port->ops == &channel_ops ? (struct rv_channel *)port : NULL;
}

struct rv_channel *rv_channel_next(const struct rv_link *link, const struct rv_channel *ch)
{
    struct rv_port *port = ch == NULL ? link->ports : ch->port.hh.next;

    while (port != NULL && port->ops != &channel_ops)
        port = port->hh.next;
    return (struct rv_channel *)port;
}
