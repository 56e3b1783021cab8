#include "server/core/dead.h"
#include "server/core/object.h"
#include "server/core/quota.h"
#include "server/core/session.h"

/* ---- the past of an item ---- */

static void row_free(struct past_row *row)
{
    free(row->principal);
    free(row->host_name);
    free(row->program);
}

void past_free(struct past **past)
{
    if (*past == NULL)
        return;
    for (uint32_t i = 0; i < (*past)->len; i++)
        row_free(&(*past)->rows[i]);
    free((*past)->queue);
    free(*past);
    *past = NULL;
}

static char *copy_of(const char *text)
{
    return mgr_text(rv_slice_str(text));
}

void past_add(struct mgr *mgr, struct item *item, const struct session *s)
{
    struct past *past = item->past;

    if (past == NULL)
        past = item->past = rv_alloc(sizeof *past);
    if (past->len == RV_LIMIT_PAST_ROWS) {
        row_free(&past->rows[0]);
        memmove(past->rows, past->rows + 1, (RV_LIMIT_PAST_ROWS - 1) * sizeof past->rows[0]);
        past->len--;
    }
    past->total++;
    past->rows[past->len++] =
        (struct past_row){.at = mgr->now,
                          .principal = copy_of(mgr_principal_name(mgr, s->principal)),
                          .host_name = copy_of(s->host_name),
                          .program = copy_of(s->program),
                          .pid = s->pid,
                          .how = s->left};
}

void past_save(struct saver *out, const struct past *past)
{
    save_number(out, past != NULL, 1);
    if (past == NULL)
        return;
    save_number(out, past->number, 8);
    save_number(out, (uint64_t)past->died_at, 8);
    save_number(out, (uint64_t)past->due, 8);
    save_text(out, past->queue);
    save_number(out, past->total, 4);
    save_number(out, past->len, 4);
    for (uint32_t i = 0; i < past->len; i++) {
        const struct past_row *row = &past->rows[i];

        save_number(out, (uint64_t)row->at, 8);
        save_text(out, row->principal);
        save_text(out, row->host_name);
        save_text(out, row->program);
        save_number(out, row->pid, 4);
        save_number(out, row->how, 1);
    }
}

struct past *past_load(struct rv_reader *in)
{
    struct past *past = NULL;
    uint32_t len = 0;

    if (rv_read_number(in, 1) == 0)
        return NULL;
    past = rv_alloc(sizeof *past);
    past->number = rv_read_number(in, 8);
    past->died_at = (rv_ns)rv_read_number(in, 8);
    past->due = (rv_ns)rv_read_number(in, 8);
    past->queue = load_text(in);
    past->total = (uint32_t)rv_read_number(in, 4);
    len = (uint32_t)rv_read_number(in, 4);
    if (len > RV_LIMIT_PAST_ROWS)
        in->bad = true;
    for (; past->len < len && !in->bad; past->len++) {
        struct past_row *row = &past->rows[past->len];

        row->at = (rv_ns)rv_read_number(in, 8);
        row->principal = load_text(in);
        row->host_name = load_text(in);
        row->program = load_text(in);
        row->pid = (uint32_t)rv_read_number(in, 4);
        row->how = (uint8_t)rv_read_number(in, 1);
    }
    return past;
}

/* ---- where they go ---- */

static struct queue *queue_named(const struct mgr *mgr, struct rv_slice name)
{
    struct object *o = object_named(mgr, name);

    return o == NULL || o->kind != RV_KIND_QUEUE ? NULL : (struct queue *)o;
}

/* Nothing is refused by a queue that others count on. */
static bool takes_all(const struct queue *q)
{
    return q->maxsize == 0 && !q->shutdown;
}

const char *dead_refuse(const struct mgr *mgr, const struct session *s,
                        const struct rv_object_open_args *args)
{
    char *name = NULL;
    struct rv_slice dead;
    const struct object *o = NULL;
    uint32_t rights = 0;
    const char *why = NULL;

    if (args->kind != RV_KIND_QUEUE || args->deliveries == 0)
        return args->dead.len > 0 ? "a dead-letter queue needs a number of deliveries" : NULL;
    if (args->joinable == 0)
        return "only a joinable queue has dead letters: others do not hear what is done";
    if (args->name.len == 0 && args->dead.len == 0)
        return "the dead letters of a queue without a name need one";
    name = queue_dead_name(args);
    dead = rv_slice_str(name);
    o = object_named(mgr, dead);
    rights = rights_on(mgr_principal(mgr, s->principal), dead);
    if (dead.len > RV_LIMIT_NAME_BYTES)
        why = "the name of the dead-letter queue has more than 255 bytes";
    else if (rv_slice_equal(dead, args->name))
        why = "a queue cannot be its own dead-letter queue";
    else if (o != NULL && (o->kind != RV_KIND_QUEUE || !takes_all((const struct queue *)o)))
        why = "the dead-letter queue must be a queue without a bound";
    else if (!(rights & RIGHT_BIT(o == NULL ? RV_RIGHT_OPEN : RV_RIGHT_PUT)))
        why = "the key may not put into the dead-letter queue";
    free(name);
    return why;
}

struct queue *dead_queue(struct mgr *mgr, const struct queue *q)
{
    struct rv_slice name = rv_slice_str(q->dead);
    struct queue *d = queue_named(mgr, name);

    rv_assert(d != q); /* a queue is not opened with its own name */
    if (d != NULL)
        return takes_all(d) ? d : NULL;
    if (object_named(mgr, name) != NULL || HASH_CNT(by_id, mgr->objects) >= RV_LIMIT_OBJECTS)
        return NULL;
    d = (struct queue *)queue_create_empty();
    d->object.durable = q->object.durable;
    d->object.owner = q->object.owner;
    quota_add(mgr, d->object.owner, RV_QUOTA_OBJECTS, 1);
    object_add(mgr, &d->object, &queue_ops, RV_KIND_QUEUE, name, UINT32_MAX);
    mgr_say(mgr, RV_INFO, "object.create object=%llu name=\"%s\" maxsize=0 by=0",
            (unsigned long long)d->object.id, d->object.name);
    return d;
}

/* The queue of that name, or the dead-letter queue that it names. */
static struct queue *letters_of(const struct mgr *mgr, struct rv_slice name)
{
    struct queue *q = queue_named(mgr, name);

    return q == NULL || q->dead == NULL ? q : queue_named(mgr, rv_slice_str(q->dead));
}

/* ---- looking at them ---- */

static uint64_t age_ms(const struct mgr *mgr, rv_ns at)
{
    return mgr->now > at ? (uint64_t)((mgr->now - at) / RV_MS) : 0;
}

/* A row with its length before it. */
static size_t begin_row(struct rv_buf *rows)
{
    rv_write_number(rows, 0, 4);
    return rows->len;
}

static void end_row(struct rv_buf *rows, size_t start)
{
    rv_set_number(rows->data + start - 4, rows->len - start, 4);
}

static void write_past(const struct mgr *mgr, const struct past *past, struct rv_buf *out)
{
    rv_buf_clear(out);
    for (uint32_t i = 0; i < past->len; i++) {
        const struct past_row *row = &past->rows[i];
        size_t start = begin_row(out);

        rv_past_row_encode(out, &(struct rv_past_row){.principal = rv_slice_str(row->principal),
                                                      .host_name = rv_slice_str(row->host_name),
                                                      .program = rv_slice_str(row->program),
                                                      .pid = row->pid,
                                                      .age_ms = age_ms(mgr, row->at),
                                                      .how = row->how});
        end_row(out, start);
    }
}

static bool earlier(const struct item *item, uint64_t after, const struct item *best)
{
    return item->past != NULL && item->past->number > after &&
           (best == NULL || item->past->number < best->past->number);
}

/* The next dead letter of the queue behind that number: they come in the order of their deaths, in
 * which they also stand in a first-in first-out queue. last: the one of that number, if it is
 * still there. */
static const struct item *next_letter(const struct queue *q, const struct item *last,
                                      uint64_t after)
{
    bool sorted = q->order == RV_ORDER_FIFO;
    const struct item *item = sorted && last != NULL ? last->next : q->returned;
    const struct item *best = NULL;

    for (; item != NULL && !(sorted && best != NULL); item = item->next)
        if (earlier(item, after, best))
            best = item;
    for (size_t i = 0; i < q->heap_len; i++)
        if (earlier(q->heap[i], after, best))
            best = q->heap[i];
    return best;
}

static void write_letter(const struct mgr *mgr, const struct queue *q, const struct item *item,
                         uint32_t bytes, struct rv_buf *rows, struct rv_buf *past)
{
    size_t start = begin_row(rows);

    write_past(mgr, item->past, past);
    rv_dead_row_encode(
        rows,
        &(struct rv_dead_row){.number = item->past->number,
                              .queue = rv_slice_str(q->object.name),
                              .origin = rv_slice_str(item->past->queue),
                              .priority = item->priority,
                              .deliveries = item->past->total,
                              .len = item->len,
                              .age_ms = age_ms(mgr, item->past->died_at),
                              .bytes = rv_slice(item->data, item->len < bytes ? item->len : bytes),
                              .past = rv_buf_slice(past)});
    end_row(rows, start);
}

void dead_on_list(struct mgr *mgr, struct session *s, const struct rv_read *msg)
{
    struct rv_dead_list_args args;
    struct rv_object_list_result page = {0};
    struct rv_buf rows = {0};
    struct rv_buf past = {0};
    const struct queue *q = NULL;
    const struct item *item = NULL;

    rv_assert(rv_dead_list_args_decode(&args, msg->args));
    q = letters_of(mgr, args.name);
    if (q == NULL || !(rights_on(mgr_principal(mgr, s->principal), rv_slice_str(q->object.name)) &
                       RIGHT_BIT(RV_RIGHT_GET))) {
        mgr_answer(mgr, s, msg->id, q == NULL ? REEVE_ENOENT : REEVE_EPERM,
                   q == NULL ? "no queue has dead letters of that name"
                             : "the key has no right get on the dead-letter queue",
                   rv_slice(NULL, 0));
        return;
    }
    if (args.bytes > RV_LIMIT_ITEM_INLINE_BYTES)
        args.bytes = RV_LIMIT_ITEM_INLINE_BYTES;
    while (page.count < RV_LIMIT_DEAD_ROWS && rows.len <= RV_LIMIT_BATCH_BYTES / 2 &&
           (item = next_letter(q, item, args.after)) != NULL) {
        write_letter(mgr, q, item, args.bytes, &rows, &past);
        args.after = item->past->number;
        page.count++;
    }
    page.rows = rv_buf_slice(&rows);
    rv_buf_clear(&mgr->scratch);
    rv_object_list_result_encode(&mgr->scratch, &page);
    mgr_answer(mgr, s, msg->id, REEVE_OK, NULL, rv_buf_slice(&mgr->scratch));
    rv_buf_free(&rows);
    rv_buf_free(&past);
}

/* ---- and back ---- */

/* Why the letter stays; OK when it has gone back to the queue that it came from. */
static reeve_err requeue_one(struct mgr *mgr, const struct session *s, struct queue *d,
                             const struct item *item)
{
    struct rv_slice name = rv_slice_str(item->past->queue);
    struct queue *q = queue_named(mgr, name);

    rv_assert(q != d);
    if (q == NULL)
        return REEVE_ENOENT;
    if (!(rights_on(mgr_principal(mgr, s->principal), name) & RIGHT_BIT(RV_RIGHT_PUT)))
        return REEVE_EPERM;
    return queue_requeue(mgr, d, q, item->past->number);
}

static const char *words_of(reeve_err err)
{
    return err == REEVE_ENOENT   ? "its queue is not there any more, or has no name"
           : err == REEVE_EPERM  ? "the key has no right put on its queue"
           : err == REEVE_EQUOTA ? "the key that made its queue has its quota of bytes"
                                 : NULL;
}

void dead_on_requeue(struct mgr *mgr, struct session *s, uint64_t number, const struct rv_call *msg)
{
    struct rv_dead_requeue_args args;
    struct rv_dead_requeue_result result = {0};
    struct queue *d = NULL;
    const struct item *item = NULL;
    uint64_t after = 0;
    reeve_err first = REEVE_OK;

    rv_assert(rv_dead_requeue_args_decode(&args, msg->args));
    d = letters_of(mgr, args.name);
    if (d == NULL || !(rights_on(mgr_principal(mgr, s->principal), rv_slice_str(d->object.name)) &
                       RIGHT_BIT(RV_RIGHT_GET))) {
        mgr_reply_text(mgr, s, number, d == NULL ? REEVE_ENOENT : REEVE_EPERM,
                       d == NULL ? "no queue has dead letters of that name"
                                 : "the key has no right get on the dead-letter queue");
        return;
    }
    after = args.number != 0 ? args.number - 1 : args.after;
    while (result.moved + result.left < RV_LIMIT_DEAD_ROWS &&
           (item = next_letter(d, NULL, after)) != NULL &&
           (args.number == 0 || item->past->number == args.number)) {
        reeve_err err = REEVE_OK;

        after = item->past->number;
        err = requeue_one(mgr, s, d, item);
        result.moved += err == REEVE_OK;
        result.left += err != REEVE_OK;
        first = first == REEVE_OK ? err : first;
    }
    result.last = after;
    if (result.moved + result.left == 0 && args.number != 0)
        first = REEVE_ENOENT;
    rv_buf_clear(&mgr->scratch);
    rv_dead_requeue_result_encode(&mgr->scratch, &result);
    mgr_reply(mgr, s, number, first,
              result.left > 0     ? words_of(first)
              : first == REEVE_OK ? NULL
                                  : "no dead letter has that number",
              rv_buf_slice(&mgr->scratch), NULL, 0);
}
