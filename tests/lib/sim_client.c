/* sim_client.c -- a process with a link: what the library's shell does, without threads. */

#include "tests/lib/sim.h"
#include "tests/lib/sim_box.h"
#include "tests/lib/sim_sync.h"

#include <stdio.h>
#include <stdlib.h>

enum { SLOW_MS = 20 }; /* between two frames that a slow reader takes */

static void wake(struct sim *s, void *arg)
{
    sim_client_pump(s, arg);
}

void sim_client_nudge(struct sim *s, struct sim_client *c)
{
    if (c->alive && !c->stopped)
        sim_at(s, &c->wake, s->now);
}

/* ---- calls ---- */

static const char *const words[] = {"open", "put",    "get",     "join", "shutdown",
                                    "size", "remove", "requeue", "sync", "box"};

static void tell(struct sim *s, struct sim_op *op)
{
    char items[16 * SIM_BATCH] = "";
    int len = 0;

    if (op->ended != NULL) {
        op->ended(s, op);
        return;
    }
    if (op->kind == SIM_OP_SYNC) {
        sim_sync_tell(s, op);
        return;
    }
    if (op->kind == SIM_OP_BOX) {
        sim_box_tell(s, op);
        return;
    }
    for (size_t i = 0; i < op->items_done && op->kind == SIM_OP_GET; i++) {
        len = snprintf(items, sizeof items, " item=%s", s->book.items[op->items[i]].label);
        if (op->deliveries[i] > 0)
            snprintf(items + len, sizeof items - (size_t)len, " deliveries=%llu",
                     (unsigned long long)op->deliveries[i]);
        sim_say(s, "get.ok client=%d%s", op->client->number, items);
    }
    if (op->kind == SIM_OP_GET && op->error == REEVE_OK)
        return;
    if (op->kind == SIM_OP_PUT && op->error == REEVE_OK && !op->call)
        return;
    for (size_t i = 0; i < op->items_len && op->kind == SIM_OP_PUT && len < 300; i++)
        len += snprintf(items + len, sizeof items - (size_t)len, "%s%s", i == 0 ? " item=" : ",",
                        s->book.items[op->items[i]].label);
    if (op->kind == SIM_OP_SIZE && op->error == REEVE_OK)
        snprintf(items, sizeof items, " size=%llu unfinished=%llu",
                 (unsigned long long)op->size.size, (unsigned long long)op->size.unfinished);
    if (op->kind == SIM_OP_REQUEUE && op->error == REEVE_OK)
        snprintf(items, sizeof items, " moved=%u left=%u", op->requeued.moved, op->requeued.left);
    if (op->error == REEVE_OK)
        sim_say(s, "%s.ok client=%d%s", words[op->kind], op->client->number, items);
    else if (op->kind == SIM_OP_PUT && op->accepted > 0)
        sim_say(s, "%s.fail client=%d%s accepted=%u error=%s", words[op->kind], op->client->number,
                items, op->accepted, sim_error_name(op->error));
    else
        sim_say(s, "%s.fail client=%d%s error=%s", words[op->kind], op->client->number, items,
                sim_error_name(op->error));
}

static void finish(struct sim *s, struct sim_op *op, reeve_err error)
{
    struct sim_client *c = op->client;

    op->error = error;
    op->done = true;
    op->ended_at = s->now;
    if (op->request != NULL)
        c->reached = op->request->durable;
    if (op->request != NULL)
        rv_request_free(&c->link, op->request);
    op->request = NULL;
    DL_DELETE(c->ops, op);
    if (op->kind == SIM_OP_PUT)
        for (size_t i = op->items_done; i < op->items_len; i++)
            sim_book_put(s, op->items[i],
                         error == REEVE_ETIME || error == REEVE_ECANCELED ||
                                 c->link.state == RV_LINK_DEAD
                             ? SIM_PUT_UNKNOWN
                             : SIM_PUT_REFUSED);
    if (op->kind == SIM_OP_JOIN && error == REEVE_OK)
        sim_book_joined(s, c->queues[op->queue].book, op->begun_at);
    tell(s, op);
    free(op);
}

/* The caller's patience ends later than the manager's, so a verdict is heard if there is one. */
static rv_ns patience(const struct sim_op *op)
{
    return op->deadline_at == RV_NEVER ? RV_NEVER : op->deadline_at + RV_LIMIT_GRACE_MS * RV_MS;
}

static uint32_t left_ms(const struct sim *s, const struct sim_op *op)
{
    if (op->deadline_at == RV_NEVER)
        return UINT32_MAX;
    return op->deadline_at <= s->now ? 0 : (uint32_t)((op->deadline_at - s->now) / RV_MS);
}

void sim_op_abandon(struct sim *s, struct sim_op *op)
{
    if (op->request != NULL)
        rv_link_abandon(&op->client->link, op->request);
    op->request = NULL;
    finish(s, op, REEVE_ETIME);
}

static uint8_t *bytes_of(struct sim *s, uint64_t item, struct rv_slice *out)
{
    size_t len = s->book.items[item].len;
    uint8_t *bytes = malloc(len);

    rv_assert(bytes != NULL);
    sim_book_bytes(s, item, bytes);
    *out = rv_slice(bytes, len);
    return bytes;
}

static struct rv_slice refs_of(const struct sim *s, uint64_t item)
{
    const struct sim_item *i = &s->book.items[item];

    return rv_slice(i->refs, i->refs_len * 8);
}

/* The feeder: it is enough that the window takes it. */
static void feed(struct sim *s, struct sim_op *op)
{
    struct sim_client *c = op->client;
    struct sim_queue *q = &c->queues[op->queue];

    while (op->items_done < op->items_len) {
        struct rv_slice bytes;
        uint8_t *copy = bytes_of(s, op->items[op->items_done], &bytes);
        char why[160];
        reeve_err err = rv_channel_failure(&q->channel, why, sizeof why);

        if (err == REEVE_OK)
            err = rv_channel_put_parts(&q->channel, rv_slice(NULL, 0), bytes,
                                       refs_of(s, op->items[op->items_done]), op->priority);
        free(copy);
        if (err == REEVE_ELIMIT)
            return;
        if (err != REEVE_OK) {
            finish(s, op, err);
            return;
        }
        if (q->fed_len == q->fed_cap) {
            q->fed_cap = q->fed_cap == 0 ? 64 : q->fed_cap * 2;
            q->fed = rv_realloc(q->fed, q->fed_cap * sizeof *q->fed);
        }
        q->fed[q->fed_len++] = op->items[op->items_done++];
    }
    finish(s, op, REEVE_OK);
}

static void begin_put_call(struct sim *s, struct sim_op *op)
{
    struct sim_client *c = op->client;
    struct rv_slice bytes[SIM_BATCH];
    uint8_t *copies[SIM_BATCH];
    struct rv_slice refs[SIM_BATCH];
    size_t len = op->items_len - op->items_done;
    size_t total = 0;
    size_t used = 0;

    for (size_t i = 0; i < len; i++) {
        copies[i] = bytes_of(s, op->items[op->items_done + i], &bytes[i]);
        refs[i] = refs_of(s, op->items[op->items_done + i]);
        total += bytes[i].len + refs[i].len;
    }
    if (rv_link_room(&c->link, total) || c->link.out.first == c->link.out.next)
        op->request = rv_channel_put_call(&c->queues[op->queue].channel, bytes, refs, len,
                                          op->priority, left_ms(s, op), &used);
    for (size_t i = 0; i < len; i++)
        free(copies[i]);
}

static void progress_put(struct sim *s, struct sim_op *op)
{
    struct rv_queue_put_result result = {0};
    reeve_err err = REEVE_OK;
    uint32_t asked = 0;

    if (!op->call) {
        feed(s, op);
        return;
    }
    if (op->request == NULL)
        begin_put_call(s, op);
    if (op->request == NULL || !op->request->done)
        return;
    err = op->request->error;
    asked = op->request->count;
    if (err == REEVE_OK || op->request->result.len > 0)
        rv_assert(rv_queue_put_result_decode(&result, rv_buf_slice(&op->request->result)));
    op->client->reached = op->request->durable;
    rv_request_free(&op->client->link, op->request);
    op->request = NULL;
    if (err == REEVE_OK && result.accepted != asked)
        sim_broken(s, "a put of %u items was accepted for %u", asked, result.accepted);
    for (uint32_t i = 0; i < result.accepted; i++)
        sim_book_put(s, op->items[op->items_done++], SIM_PUT_ACCEPTED);
    op->accepted += result.accepted;
    if (err != REEVE_OK || op->items_done == op->items_len)
        finish(s, op, err);
    else
        progress_put(s, op);
}

static uint64_t hand_out(struct sim *s, struct sim_client *c, int queue,
                         const struct rv_handed *handed)
{
    uint64_t item = sim_book_got(s, c, queue, handed);

    for (size_t i = 0; i < handed->refs.len / 8; i++) {
        if (c->liens_len == c->liens_cap) {
            c->liens_cap = c->liens_cap == 0 ? 64 : c->liens_cap * 2;
            c->liens = rv_realloc(c->liens, c->liens_cap * sizeof *c->liens);
        }
        c->liens[c->liens_len++] = rv_item_ref(handed->refs, i);
    }
    if (!c->queues[queue].channel.joinable)
        return item;
    if (c->held_len == c->held_cap) {
        c->held_cap = c->held_cap == 0 ? 64 : c->held_cap * 2;
        c->held = rv_realloc(c->held, c->held_cap * sizeof *c->held);
    }
    c->held[c->held_len++] = (struct sim_held){item, handed->delivery, queue};
    return item;
}

static void progress_get(struct sim *s, struct sim_op *op)
{
    struct sim_client *c = op->client;
    struct sim_queue *q = &c->queues[op->queue];
    struct rv_handed handed;

    for (;;) {
        while (op->items_done < op->max && rv_channel_pop(&q->channel, s->now, &handed)) {
            op->deliveries[op->items_done] = handed.deliveries;
            op->items[op->items_done++] = hand_out(s, c, op->queue, &handed);
            rv_handed_free(&handed);
        }
        if (op->items_done > 0) {
            if (op->request != NULL && op->request->done)
                c->reached = op->request->durable;
            if (op->request != NULL)
                rv_link_abandon(&c->link, op->request);
            op->request = NULL;
            finish(s, op, REEVE_OK);
            return;
        }
        if (op->request == NULL)
            op->request = rv_channel_get_call(&q->channel, s->now, op->max, left_ms(s, op));
        if (op->request == NULL) {
            finish(s, op, c->link.state == RV_LINK_DEAD ? c->link.error : REEVE_ENOMEM);
            return;
        }
        if (!op->request->done)
            return;
        if (op->request->error != REEVE_OK) {
            finish(s, op, op->request->error);
            return;
        }
        c->reached = op->request->durable;
        rv_request_free(&c->link, op->request);
        op->request = NULL;
        if (q->channel.buffered == 0 && s->now >= patience(op)) {
            finish(s, op, REEVE_ETIME);
            return;
        }
    }
}

static void begin_call(struct sim *s, struct sim_op *op)
{
    struct sim_client *c = op->client;
    struct rv_buf args = {0};
    uint64_t object = c->queues[op->queue].channel.port.object;
    uint32_t ms = left_ms(s, op);

    switch (op->kind) {
    case SIM_OP_OPEN: {
        static const uint8_t create[] = {
            [SIM_CREATE_OR_GET] = 1, [SIM_MUST_EXIST] = 0, [SIM_MUST_NOT_EXIST] = 2};
        const struct sim_book_queue *q = &s->book.queues[c->queues[op->queue].book];

        rv_object_open_args_encode(
            &args, &(struct rv_object_open_args){.name = rv_slice_str(q->name),
                                                 .create = create[op->options.create],
                                                 .kind = RV_KIND_QUEUE,
                                                 .order = (uint8_t)op->options.order,
                                                 .joinable = op->options.joinable,
                                                 .maxsize = op->options.maxsize,
                                                 .ttl_ms = op->options.ttl_ms,
                                                 .durable = (uint8_t)op->options.durable,
                                                 .deliveries = op->options.deliveries,
                                                 .dead = rv_slice_str(op->options.dead),
                                                 .retry_ms = op->options.retry_ms,
                                                 .retry_max_ms = op->options.retry_max_ms});
        op->request =
            rv_link_call(&c->link, RV_OP_object_open, 0, ms, rv_buf_slice(&args), NULL, 0);
        break;
    }
    case SIM_OP_JOIN:
        op->request =
            rv_link_call(&c->link, RV_OP_queue_join, object, ms, rv_slice(NULL, 0), NULL, 0);
        break;
    case SIM_OP_SHUTDOWN:
        rv_queue_shutdown_args_encode(
            &args, &(struct rv_queue_shutdown_args){.immediate = (uint8_t)op->max});
        op->request =
            rv_link_call(&c->link, RV_OP_queue_shutdown, object, ms, rv_buf_slice(&args), NULL, 0);
        break;
    case SIM_OP_SIZE:
        op->request = rv_link_read(&c->link, RV_OP_queue_size, object, rv_slice(NULL, 0));
        break;
    case SIM_OP_REQUEUE:
        rv_dead_requeue_args_encode(&args,
                                    &(struct rv_dead_requeue_args){.name = rv_slice_str(op->name)});
        op->request =
            rv_link_call(&c->link, RV_OP_dead_requeue, 0, ms, rv_buf_slice(&args), NULL, 0);
        break;
    default:
        rv_assert(op->kind == SIM_OP_REMOVE);
        rv_object_remove_args_encode(
            &args, &(struct rv_object_remove_args){.name = rv_slice_str(op->name)});
        op->request =
            rv_link_call(&c->link, RV_OP_object_remove, 0, ms, rv_buf_slice(&args), NULL, 0);
        break;
    }
    rv_buf_free(&args);
}

static void opened(struct sim *s, struct sim_op *op)
{
    struct sim_client *c = op->client;
    struct sim_queue *q = &c->queues[op->queue];
    struct rv_object_open_result result;

    if (op->request->error != REEVE_OK) {
        q->used = false;
        return;
    }
    rv_assert(rv_object_open_result_decode(&result, rv_buf_slice(&op->request->result)));
    rv_assert(rv_channel_init(&q->channel, &c->link, result.object, result.maxsize,
                              result.joinable != 0, !op->options.no_prefetch) == REEVE_OK);
    q->opened = true;
    if (s->book.queues[q->book].gone) /* another store has answered than it was asked for */
        q->book = sim_book_queue(s, s->book.queues[q->book].name, &op->options);
}

static void progress_call(struct sim *s, struct sim_op *op)
{
    if (op->request == NULL && op->kind == SIM_OP_SYNC)
        op->request = sim_sync_begin(s, op);
    else if (op->request == NULL && op->kind == SIM_OP_BOX)
        op->request = sim_box_begin(s, op);
    else if (op->request == NULL)
        begin_call(s, op);
    if (op->request == NULL) {
        finish(s, op, op->sync.here ? op->sync.here_is : op->client->link.error);
        return;
    }
    if (!op->request->done)
        return;
    if (op->kind == SIM_OP_OPEN)
        opened(s, op);
    if (op->kind == SIM_OP_SYNC)
        sim_sync_answered(s, op);
    if (op->kind == SIM_OP_BOX)
        sim_box_answered(s, op);
    if (op->kind == SIM_OP_SIZE && op->request->error == REEVE_OK)
        rv_assert(rv_queue_size_result_decode(&op->size, rv_buf_slice(&op->request->result)));
    if (op->kind == SIM_OP_REQUEUE && op->request->error == REEVE_OK)
        rv_assert(rv_dead_requeue_result_decode(&op->requeued, rv_buf_slice(&op->request->result)));
    finish(s, op, op->request->error);
}

static void progress(struct sim *s, struct sim_op *op)
{
    bool dead = op->client->link.state == RV_LINK_DEAD && op->request == NULL;

    if (dead) {
        finish(s, op, op->client->link.error);
        return;
    }
    switch (op->kind) {
    case SIM_OP_PUT:
        progress_put(s, op);
        break;
    case SIM_OP_GET:
        progress_get(s, op);
        break;
    default:
        progress_call(s, op);
    }
}

static void progress_all(struct sim *s, struct sim_client *c)
{
    struct sim_op *op = NULL;
    struct sim_op *next = NULL;

    DL_FOREACH_SAFE (c->ops, op, next) {
        progress(s, op);
    }
    DL_FOREACH_SAFE (c->ops, op, next) {
        if (patience(op) <= s->now || op->cancel_at <= s->now)
            sim_op_abandon(s, op);
    }
}

struct sim_op *sim_op_new(struct sim *s, int client, enum sim_op_kind kind, int queue,
                          uint32_t timeout_ms)
{
    struct sim_op *op = rv_alloc(sizeof *op);

    op->kind = kind;
    op->client = &s->clients[client];
    op->queue = queue;
    op->timeout_ms = timeout_ms;
    op->cancel_at = RV_NEVER;
    return op;
}

void sim_op_begin(struct sim *s, struct sim_op *op)
{
    struct sim_client *c = op->client;

    op->begun_at = s->now;
    op->deadline_at = rv_after_ms(s->now, op->timeout_ms);
    DL_APPEND(c->ops, op);
    sim_client_nudge(s, c);
}

int sim_begin_open(struct sim *s, int client, const char *name, const struct sim_options *options,
                   struct sim_op **out)
{
    static const struct sim_options none;
    struct sim_client *c = &s->clients[client];
    struct sim_op *op = NULL;
    int at = 0;

    if (options == NULL)
        options = &none;
    while (c->queues[at].used)
        at++;
    rv_assert(at < SIM_QUEUES);
    c->queues[at] = (struct sim_queue){.used = true, .book = sim_book_queue(s, name, options)};
    op = sim_op_new(s, client, SIM_OP_OPEN, at, UINT32_MAX);
    op->options = *options;
    *out = op;
    return at;
}

/* Of the items that were fed, those are answered that are not in flight. */
static void settle(struct sim *s, struct sim_queue *q, bool known)
{
    size_t answered = q->fed_len - (size_t)q->channel.puts_in_flight;

    rv_assert(q->channel.puts_in_flight <= q->fed_len);
    for (size_t i = 0; i < answered; i++)
        sim_book_put(s, q->fed[i],
                     known && q->channel.failed == REEVE_OK ? SIM_PUT_ACCEPTED : SIM_PUT_UNKNOWN);
    q->fed_len -= answered;
    if (answered > 0)
        memmove(q->fed, q->fed + answered, q->fed_len * sizeof *q->fed);
}

static void settle_all(struct sim *s, struct sim_client *c)
{
    for (int i = 0; i < SIM_QUEUES; i++)
        if (c->queues[i].opened)
            settle(s, &c->queues[i], c->link.state != RV_LINK_DEAD);
}

static void forget_queue(struct sim *s, struct sim_queue *q)
{
    for (size_t i = 0; i < q->fed_len; i++)
        sim_book_put(s, q->fed[i], SIM_PUT_UNKNOWN);
    free(q->fed);
    *q = (struct sim_queue){0};
}

/* What was put and is not answered for: nobody will hear of it. */
void sim_refer(struct sim *s, uint64_t item, const struct sim_client *c, int queue)
{
    struct sim_item *i = &s->book.items[item];

    rv_assert(i->refs_len < SIM_REFS && c->queues[queue].opened);
    rv_set_number(i->refs + 8 * i->refs_len++, c->queues[queue].channel.port.object, 8);
}

void sim_unlien(struct sim *s, int client, size_t i)
{
    struct sim_client *c = &s->clients[client];

    (void)rv_link_say(&c->link, RV_OP_object_release, c->liens[i], rv_slice(NULL, 0));
    c->liens[i] = c->liens[--c->liens_len];
    sim_client_nudge(s, c);
}

void sim_queue_close(struct sim *s, int client, int queue)
{
    struct sim_client *c = &s->clients[client];
    struct sim_queue *q = &c->queues[queue];
    size_t kept = 0;

    if (!q->used)
        return;
    for (struct sim_op *op = c->ops, *next = NULL; op != NULL; op = next) {
        next = op->next;
        if (op->queue == queue)
            sim_op_abandon(s, op);
    }
    if (q->opened) {
        sim_book_closed(s, c, queue);
        rv_channel_fini(&q->channel);
    }
    for (size_t i = 0; i < c->held_len; i++)
        if (c->held[i].queue != queue)
            c->held[kept++] = c->held[i];
    c->held_len = kept;
    forget_queue(s, q);
    sim_client_nudge(s, c);
}

reeve_err sim_task_done(struct sim *s, int client, size_t i)
{
    struct sim_client *c = &s->clients[client];
    struct sim_held held = c->held[i];
    reeve_err err = rv_channel_task_done(&c->queues[held.queue].channel, held.delivery);

    memmove(&c->held[i], &c->held[i + 1], (--c->held_len - i) * sizeof *c->held);
    if (err == REEVE_OK)
        sim_book_done(s, held.item);
    sim_client_nudge(s, c);
    return err;
}

/* ---- the shell ---- */

static void hear(struct sim *s, struct sim_client *c)
{
    struct sim_frame *frame = NULL;
    bool slow = c->slow_until > s->now;

    if (slow && c->slow_next > s->now)
        return;
    while ((frame = sim_frames_take(&c->inbox)) != NULL) {
        if (frame->end) {
            c->conn->client_open = false;
            rv_link_ended(&c->link, s->now, RV_END_LOST);
        } else {
            rv_link_receive(&c->link, s->now, frame->control, frame->bodies, frame->bodies_len);
        }
        free(frame);
        if (slow) {
            c->slow_next = s->now + SLOW_MS * RV_MS;
            return;
        }
    }
}

static bool transmit(struct sim *s, struct sim_client *c)
{
    struct rv_link_frame frame;

    while (c->conn != NULL && c->conn->client_open && rv_link_transmit(&c->link, s->now, &frame)) {
        bool sent = sim_send(s, c->conn, true, frame.control, frame.bodies, frame.bodies_len);

        rv_link_sent(&c->link, s->now, sent);
        if (!sent)
            return false;
    }
    return true;
}

static void obey(struct sim *s, struct sim_client *c)
{
    for (;;) {
        switch (rv_link_want(&c->link, s->now)) {
        case RV_WANT_CLOSE:
            sim_disconnect(s, c);
            rv_link_closed(&c->link);
            break;
        case RV_WANT_CONNECT:
            sim_disconnect(s, c);
            rv_link_connecting(&c->link, s->now);
            sim_connect(s, c);
            break;
        case RV_WANT_NOTHING:
            return;
        }
    }
}

static void tell_state(struct sim *s, struct sim_client *c)
{
    bool ready = c->link.state == RV_LINK_READY;

    if (ready == c->ready)
        return;
    c->ready = ready;
    if (ready) {
        sim_book_welcome(s, c->life, c->link.session);
        sim_say(s, "link.ready client=%d attempt=%u", c->number, c->link.attempt);
    } else if (c->link.state != RV_LINK_DEAD) {
        sim_say(s, "link.lost client=%d", c->number);
    }
}

static rv_ns next_of(const struct sim *s, const struct sim_client *c, bool flowing)
{
    rv_ns at = rv_link_deadline(&c->link);
    const struct sim_op *op = NULL;

    if (!flowing && at <= s->now)
        at = s->now + RV_MS;
    DL_FOREACH (c->ops, op) {
        if (patience(op) < at)
            at = patience(op);
        if (op->cancel_at < at)
            at = op->cancel_at;
    }
    if (c->idle != NULL && c->idle_until < at)
        at = c->idle_until;
    if (c->agent != NULL && sim_agent_deadline(c) < at)
        at = sim_agent_deadline(c);
    if (c->inbox.head != NULL && c->slow_next < at)
        at = c->slow_next;
    return at;
}

static void die(struct sim *s, struct sim_client *c)
{
    sim_disconnect(s, c);
    if (c->died != NULL) {
        c->died(s, c);
        return;
    }
    if (c->leaving)
        sim_say(s, "link.left client=%d heard=%d", c->number, c->link.left);
    else
        sim_say(s, "link.dead client=%d error=%s", c->number, sim_error_name(c->link.error));
}

static void pump(struct sim *s, struct sim_client *c)
{
    bool flowing = true;
    rv_ns at = RV_NEVER;

    sim_never(s, &c->wake);
    hear(s, c);
    settle_all(s, c);
    tell_state(s, c);
    obey(s, c);
    rv_link_tick(&c->link, s->now);
    if (c->agent != NULL)
        sim_agent_step(s, c);
    if (c->job != NULL)
        sim_job_progress(s, c);
    progress_all(s, c);
    if (c->idle != NULL && c->idle_until <= s->now && c->link.state != RV_LINK_DEAD)
        c->idle(s, c);
    if (!c->alive)
        return;
    progress_all(s, c);
    flowing = transmit(s, c);
    tell_state(s, c);
    obey(s, c);
    if (c->link.state == RV_LINK_DEAD) {
        die(s, c);
        return;
    }
    at = next_of(s, c, flowing);
    if (at != RV_NEVER)
        sim_at(s, &c->wake, at);
}

void sim_client_pump(struct sim *s, struct sim_client *c)
{
    if (!c->alive || c->stopped)
        return;
    rv_assert(!c->pumping); /* who is in the middle of something is nudged */
    c->pumping = true;
    pump(s, c);
    c->pumping = false;
}

/* ---- life ---- */

void sim_client_start(struct sim *s, int client)
{
    struct sim_client *c = &s->clients[client];
    struct rv_link_conf conf = {
        .pid = (uint32_t)client,
        .host_name = "sim",
        .program = "story",
        .endpoints = {"sim"},
        .endpoints_len = 1,
        .seed = s->random ? rv_rng_next(&s->rng) : 1,
    };
    struct sim_weather weather = c->weather;

    rv_assert(!c->alive);
    conf.resume_ms = c->resume_ms;
    *c = (struct sim_client){.sim = s,
                             .number = client,
                             .alive = true,
                             .weather = weather,
                             .resume_ms = c->resume_ms,
                             .slots = c->slots,
                             .machine = c->machine,
                             .labels = c->labels,
                             .lives = c->lives + 1,
                             .idle = c->idle,
                             .died = c->died};
    rv_set_number(conf.session.bytes, ++s->last_id, 8);
    rv_set_number(conf.host.bytes, (uint64_t)client, 8);
    c->life = sim_book_life(s, client);
    s->book.lives[c->life].session = conf.session;
    c->wake = (struct sim_event){.fire = wake, .arg = c};
    rv_link_init(&c->link, &conf, s->now);
    if (c->slots > 0)
        sim_agent_begin(s, c);
    sim_client_nudge(s, c);
}

/* Its ops end without a word: there is no process that could hear. */
static void drop_ops(struct sim *s, struct sim_client *c)
{
    while (c->ops != NULL) {
        struct sim_op *op = c->ops;

        if (op->kind == SIM_OP_PUT)
            for (size_t i = op->items_done; i < op->items_len; i++)
                sim_book_put(s, op->items[i], SIM_PUT_UNKNOWN);
        DL_DELETE(c->ops, op);
        if (op->request != NULL)
            rv_request_free(&c->link, op->request);
        free(op);
    }
}

void sim_client_end(struct sim *s, struct sim_client *c)
{
    if (!c->alive)
        return;
    drop_ops(s, c);
    sim_sync_end(c);
    sim_agent_end(s, c);
    sim_job_end(s, c);
    for (int i = 0; i < SIM_QUEUES; i++) {
        if (c->queues[i].opened)
            rv_channel_fini(&c->queues[i].channel);
        forget_queue(s, &c->queues[i]);
    }
    free(c->liens);
    c->liens = NULL;
    c->liens_len = c->liens_cap = 0;
    free(c->held);
    c->held = NULL;
    c->held_len = c->held_cap = 0;
    rv_link_fini(&c->link);
    sim_never(s, &c->wake);
    sim_frames_free(&c->inbox);
    c->alive = c->ready = c->stopped = false;
    if (c->conn != NULL && c->conn->client == c)
        c->conn->client = NULL;
    c->conn = NULL;
}

void sim_client_kill(struct sim *s, int client, enum sim_death how)
{
    struct sim_client *c = &s->clients[client];
    struct sim_conn *conn = c->conn;

    if (!c->alive)
        return;
    sim_say(s, "client.crash client=%d", client);
    if (conn != NULL) {
        if (how == SIM_DEATH_SILENT)
            conn->host_lost = true;
        else if (conn->server_open)
            sim_send_end(s, conn, true, how == SIM_DEATH_GONE);
        conn->client_open = false;
    }
    sim_client_end(s, c);
}

void sim_client_stop(struct sim *s, int client)
{
    struct sim_client *c = &s->clients[client];

    if (!c->alive || c->stopped)
        return;
    sim_say(s, "client.stop client=%d", client);
    s->counts[SIM_CLIENT_STOP]++;
    c->stopped = true;
    sim_never(s, &c->wake);
}

void sim_client_continue(struct sim *s, int client)
{
    struct sim_client *c = &s->clients[client];

    if (!c->alive || !c->stopped)
        return;
    sim_say(s, "client.continue client=%d", client);
    c->stopped = false;
    c->continued_at = s->now;
    sim_client_nudge(s, c);
}

void sim_client_goodbye(struct sim *s, int client)
{
    struct sim_client *c = &s->clients[client];

    for (int i = 0; i < SIM_QUEUES; i++)
        sim_queue_close(s, client, i);
    sim_sync_close_all(s, client);
    c->leaving = true;
    rv_link_goodbye(&c->link);
    sim_client_nudge(s, c);
}

void sim_client_free(struct sim *s, struct sim_client *c)
{
    if (!c->alive)
        return;
    sim_client_end(s, c);
}

/* ---- saying anything ---- */

reeve_err sim_ask(struct sim *s, int client, uint16_t op, uint64_t object, struct rv_buf *args,
                  struct rv_buf *result)
{
    enum { PATIENCE_MS = 10000 };
    struct sim_client *c = &s->clients[client];
    struct rv_slice bytes = rv_buf_slice(args);
    struct rv_request *call = rv_op_info(op)->flags & RV_OP_READ
                                  ? rv_link_read(&c->link, op, object, bytes)
                                  : rv_link_call(&c->link, op, object, PATIENCE_MS, bytes, NULL, 0);
    reeve_err err = REEVE_OK;
    bool goes_on = true;

    rv_buf_free(args);
    rv_assert(call != NULL);
    sim_client_pump(s, c);
    while (!call->done && goes_on)
        goes_on = sim_step(s);
    rv_assert(call->done);
    err = call->error;
    if (result != NULL) {
        *result = call->result;
        call->result = (struct rv_buf){0};
    }
    rv_request_free(&c->link, call);
    return err;
}
