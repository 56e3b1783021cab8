/* sim_book.c -- what the applications saw of every item, and whether that was promised. */

#define HASH_NONFATAL_OOM 1 /* headers of both roles meet here */
#include "server/core/crew.h"
#include "server/core/dead.h"
#include "tests/lib/sim.h"
#include "tests/lib/sim_box.h"
#include "tests/lib/sim_sync.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

/* The last item that one producer's consumer had. */
struct sim_book_order {
    struct {
        uint32_t life, producer;
        int queue;
        int zero;
    } key;
    uint64_t item;
    UT_hash_handle hh;
};

#define GROW(array, len, cap)                                                                      \
    do {                                                                                           \
        if ((len) == (cap)) {                                                                      \
            (cap) = (cap) == 0 ? 64 : (cap)*2;                                                     \
            (array) = rv_realloc((array), (cap) * sizeof *(array));                                \
        }                                                                                          \
    } while (0)

static bool ended(const struct sim *s, uint32_t life)
{
    return s->book.lives[life].ended;
}

/* ---- queues and lives ---- */

int sim_book_queue(struct sim *s, const char *name, const struct sim_options *options)
{
    struct sim_book *b = &s->book;
    struct sim_book_queue q = {.options = *options};

    for (size_t i = 0; i < b->queues_len && name[0] != '\0'; i++)
        if (strcmp(b->queues[i].name, name) == 0 && !b->queues[i].gone)
            return (int)i;
    /* Queues without a name, or whose name does not last, may take their items with them. */
    q.void_ = name[0] == '\0' || options->ttl_ms != 0;
    snprintf(q.name, sizeof q.name, "%s", name); /* it may stand in the array that moves now */
    b->queues = rv_realloc(b->queues, (b->queues_len + 1) * sizeof *b->queues);
    b->queues[b->queues_len] = q;
    return (int)b->queues_len++;
}

/* Life 0 is nobody's. */
uint32_t sim_book_life(struct sim *s, int client)
{
    struct sim_book *b = &s->book;

    if (b->lives_len == 0)
        b->lives_len = 1;
    b->lives = rv_realloc(b->lives, (b->lives_len + 1) * sizeof *b->lives);
    b->lives[0] = (struct sim_book_life){.ended = true};
    b->lives[b->lives_len] = (struct sim_book_life){.client = client};
    return (uint32_t)b->lives_len++;
}

void sim_book_welcome(struct sim *s, uint32_t life, uint64_t serial)
{
    struct sim_book_life *l = &s->book.lives[life];

    if (l->serial != 0 && l->serial != serial)
        sim_broken(s, "life %u had session %llu and now %llu", life, (unsigned long long)l->serial,
                   (unsigned long long)serial);
    l->serial = serial;
}

void sim_book_ended(struct sim *s, uint64_t serial)
{
    for (size_t i = 1; i < s->book.lives_len; i++)
        if (s->book.lives[i].serial == serial)
            s->book.lives[i].ended = true;
}

void sim_book_replayed(struct sim *s)
{
    for (size_t i = 1; i < s->book.lives_len; i++) {
        struct sim_book_life *l = &s->book.lives[i];
        const struct session *session = mgr_session(s->server.mgr, l->serial);

        if (session != NULL && rv_id_equal(&session->id, &l->session))
            l->ended = false;
    }
}

void sim_book_new_store(struct sim *s)
{
    /* Who had not connected yet loses nothing, and begins with the new one. */
    for (size_t i = 1; i < s->book.lives_len; i++)
        if (s->book.lives[i].serial != 0) {
            s->book.lives[i].ended = true;
            s->book.lives[i].serial = 0;
        }
    for (size_t i = 0; i < s->book.queues_len; i++)
        s->book.queues[i].void_ = s->book.queues[i].gone = true;
    sim_sync_new_store(s);
}

/* ---- items ---- */

uint64_t sim_book_item(struct sim *s, const char *label, int queue, uint32_t producer, size_t len)
{
    struct sim_book *b = &s->book;
    struct sim_item *item = NULL;

    rv_assert(len >= 8);
    GROW(b->items, b->len, b->cap);
    item = &b->items[b->len];
    *item = (struct sim_item){.queue = queue, .producer = producer, .len = (uint32_t)len};
    if (label != NULL)
        snprintf(item->label, sizeof item->label, "%s", label);
    else
        snprintf(item->label, sizeof item->label, "#%zu", b->len);
    return b->len++;
}

void sim_book_bytes(const struct sim *s, uint64_t item, uint8_t *out)
{
    uint32_t len = s->book.items[item].len;

    rv_set_number(out, item, 8);
    for (uint32_t i = 8; i < len; i++)
        out[i] = (uint8_t)(item * 31 + i);
}

void sim_book_put(struct sim *s, uint64_t id, enum sim_put put)
{
    struct sim_item *item = &s->book.items[id];

    item->put = put;
    if (put != SIM_PUT_ACCEPTED)
        return;
    item->accepted_at = s->now;
    s->book.accepted++;
}

/* Of the dead-letter queue of a queue of the book; "" when it has none. */
static const char *dead_name(const struct sim *s, int queue)
{
    static char name[48];
    const struct sim_book_queue *q = &s->book.queues[queue];

    snprintf(name, sizeof name, "%s.dead", q->name);
    return q->options.deliveries == 0 ? "" : q->options.dead != NULL ? q->options.dead : name;
}

static uint64_t id_of(struct rv_slice bytes)
{
    return bytes.len < 8 ? UINT64_MAX : rv_get_number(bytes.data, 8);
}

static void check_bytes(struct sim *s, uint64_t id, struct rv_slice bytes)
{
    if (id >= s->book.len || bytes.len != s->book.items[id].len)
        sim_broken(s, "an item of %zu bytes came that nobody put", bytes.len);
    for (size_t i = 8; i < bytes.len; i++)
        if (bytes.data[i] != (uint8_t)(id * 31 + i))
            sim_broken(s, "item %s has another byte at %zu", s->book.items[id].label, i);
}

static void check_order(struct sim *s, uint32_t life, uint64_t id)
{
    const struct sim_item *item = &s->book.items[id];
    struct sim_book_order *o = NULL;
    struct sim_book_order key;

    if (s->book.queues[item->queue].options.order != RV_ORDER_FIFO || item->came_back)
        return;
    memset(&key, 0, sizeof key);
    key.key.life = life;
    key.key.producer = item->producer;
    key.key.queue = item->queue;
    HASH_FIND(hh, s->book.orders, &key.key, sizeof key.key, o);
    if (o == NULL) {
        o = rv_alloc(sizeof *o);
        o->key = key.key;
        HASH_ADD(hh, s->book.orders, key, sizeof o->key, o);
    } else if (id < o->item) {
        sim_broken(s, "item %s of queue %s left after %s, which was put later", item->label,
                   s->book.queues[item->queue].name, s->book.items[o->item].label);
    }
    o->item = id;
}

/* Who takes an item can use what it refers to: whoever had that may have let it go long ago. */
static void check_refs(struct sim *s, const struct sim_item *item, struct rv_slice refs)
{
    if (refs.len != item->refs_len * 8 ||
        (refs.len > 0 && memcmp(refs.data, item->refs, refs.len) != 0))
        sim_broken(s, "item %s came with other references than it was put with", item->label);
    for (size_t i = 0; i < item->refs_len && s->server.up; i++) {
        uint64_t id = rv_item_ref(refs, i);
        const struct object *o = NULL;

        HASH_FIND(by_id, s->server.mgr->objects, &id, sizeof id, o);
        if (o == NULL)
            sim_broken(s, "item %s refers to object %llu, which is gone", item->label,
                       (unsigned long long)id);
        s->book.referred++;
    }
}

uint64_t sim_book_got(struct sim *s, const struct sim_client *c, int queue,
                      const struct rv_handed *handed)
{
    uint64_t id = id_of(handed->bytes);
    struct sim_item *item = NULL;

    check_bytes(s, id, handed->bytes);
    item = &s->book.items[id];
    if (item->queue != c->queues[queue].book &&
        strcmp(s->book.queues[c->queues[queue].book].name, dead_name(s, item->queue)) != 0)
        sim_broken(s, "item %s came out of another queue", item->label);
    if (item->put == SIM_PUT_REFUSED)
        sim_broken(s, "item %s was refused and came", item->label);
    /* Whoever's session has ended may not know it yet, and finish what it had. */
    if (!ended(s, c->life)) {
        if (item->holder != 0 && !ended(s, item->holder))
            sim_broken(s, "item %s came to client %d, and client %d has had it and lives",
                       item->label, c->number, s->book.lives[item->holder].client);
        if (item->must_count && handed->deliveries == 0 && !item->died)
            sim_broken(s, "item %s was given before and does not say so", item->label);
        item->holder = c->life;
        check_refs(s, item, handed->refs);
        check_order(s, c->life, id);
    }
    s->book.redelivered += item->times > 0;
    s->book.delivered++;
    item->times++;
    return id;
}

void sim_book_done(struct sim *s, uint64_t id)
{
    s->book.items[id].done++;
    s->book.done++;
}

/* Unfinished items of a handle that closes go back. */
void sim_book_closed(struct sim *s, const struct sim_client *c, int queue)
{
    for (size_t i = 0; i < c->held_len; i++)
        if (c->held[i].queue == queue)
            s->book.items[c->held[i].item].holder = 0;
}

void sim_book_joined(struct sim *s, int queue, rv_ns begun_at)
{
    struct sim_book_queue *q = &s->book.queues[queue];
    bool all = true;

    s->book.joins++;
    if (q->void_)
        return;
    for (size_t i = q->undone; i < s->book.len; i++) {
        const struct sim_item *item = &s->book.items[i];

        if (item->queue != queue || item->done > 0) {
            q->undone = all ? i + 1 : q->undone;
            continue;
        }
        all = false;
        if (item->died)
            continue;
        if (item->put == SIM_PUT_ACCEPTED && item->accepted_at <= begun_at)
            sim_broken(s, "a join of queue %s returned, and %s is not done", q->name, item->label);
    }
}

/* ---- what the manager may take back ---- */

static void mark(struct sim *s, const struct item *item, bool died)
{
    uint64_t id = id_of(rv_slice(item->data, item->len));

    rv_assert(id < s->book.len);
    s->book.items[id].came_back = true;
    if (died && item->state != ITEM_AHEAD)
        s->book.items[id].must_count = true;
}

static void mark_session(struct sim *s, const struct session *session, bool died)
{
    const struct ref *ref = NULL;
    const struct item *item = NULL;

    for (ref = session->refs; ref != NULL; ref = ref->hh.next) {
        if (ref->consumer == NULL)
            continue;
        DL_FOREACH (ref->consumer->granted, item) {
            mark(s, item, died);
        }
        DL_FOREACH (ref->consumer->unfinished, item) {
            mark(s, item, died);
        }
    }
}

/* Does the frame hold a message by which items go back, and one by which they are given out? */
static bool gives_back(struct rv_slice bytes, bool *gives_out)
{
    struct rv_reader r = rv_reader(bytes);
    bool back = false;

    *gives_out = false;
    while (r.left >= 5) {
        size_t len = (size_t)rv_read_number(&r, 4);
        const uint8_t *msg = rv_read(&r, len);
        uint64_t op = msg != NULL && len >= 3 ? rv_get_number(msg + 1, 2) : 0;

        if (msg == NULL)
            break;
        back = back || msg[0] == RV_MSG_cancel || msg[0] == RV_MSG_goodbye ||
               (msg[0] == RV_MSG_call && (op == RV_OP_queue_return || op == RV_OP_object_close));
        *gives_out = *gives_out ||
                     (msg[0] == RV_MSG_call &&
                      (op == RV_OP_queue_put || op == RV_OP_queue_get || op == RV_OP_queue_take));
    }
    return back;
}

void sim_book_before(struct sim *s, const struct command *cmd)
{
    const struct mgr *mgr = s->server.mgr;
    const struct session *session = mgr_session(mgr, cmd->session);
    bool gives_out = false;

    switch (cmd->type) {
    case COMMAND_MESSAGES:
        if (session != NULL && cmd->logged && gives_back(cmd->bytes, &gives_out))
            mark_session(s, session, false);
        break;
    case COMMAND_END:
        if (session != NULL)
            mark_session(s, session, true);
        break;
    case COMMAND_EXPIRE:
        for (session = mgr->sessions; session != NULL; session = session->by_serial.next)
            if (session->timer.pos != 0 && session->timer.at <= cmd->at)
                mark_session(s, session, true);
        break;
    default:
        break;
    }
}

/* A queue that took something in is not above its bound, unless something came back too. */
static void check_bound(struct sim *s, const struct queue *q, bool back)
{
    uint64_t *before = &s->book.accepted_by[q->object.id % SIM_OBJECTS];

    if (q->maxsize == 0)
        return;
    if (q->accepted > *before && q->ready + q->ahead > q->maxsize && !back)
        sim_broken(s, "queue %s of %u items holds %llu",
                   q->object.name == NULL ? "" : q->object.name, q->maxsize,
                   (unsigned long long)(q->ready + q->ahead));
    *before = q->accepted;
}

/* Whatever was given out and taken back within one step is somewhere here. */
static void mark_queue(struct sim *s, const struct queue *q)
{
    const struct consumer *c = NULL;
    const struct item *item = NULL;

    DL_FOREACH (q->returned, item) {
        mark(s, item, false);
    }
    DL_FOREACH (q->consumers, c) {
        DL_FOREACH (c->granted, item) {
            mark(s, item, false);
        }
    }
}

/* The dead letters of a queue, which stand behind each other. */
static void mark_dead(struct sim *s, const struct queue *q)
{
    const struct item *item = q->returned == NULL ? NULL : q->returned->prev;

    for (; item != NULL && item->past != NULL && item->past->number != 0; item = item->prev) {
        struct sim_item *one = &s->book.items[id_of(rv_slice(item->data, item->len))];
        const struct sim_book_queue *from = &s->book.queues[one->queue];

        if (item->deliveries < from->options.deliveries)
            sim_broken(s, "item %s is a dead letter after %u deliveries", one->label,
                       item->deliveries);
        s->book.dead += !one->died;
        one->died = one->came_back = true;
        if (item == q->returned)
            break;
    }
}

void sim_book_after(struct sim *s, const struct command *cmd)
{
    const struct object *o = NULL;
    bool gives_out = false;
    bool back = cmd->type != COMMAND_MESSAGES || gives_back(cmd->bytes, &gives_out);

    for (o = s->server.mgr->objects; o != NULL; o = o->by_id.next) {
        if (o->kind != RV_KIND_QUEUE)
            continue;
        check_bound(s, (const struct queue *)o, back);
        if (back && gives_out)
            mark_queue(s, (const struct queue *)o);
        if (back)
            mark_dead(s, (const struct queue *)o);
    }
}

bool sim_book_is_dead(const struct sim *s, uint64_t id, const char *queue)
{
    const struct object *o = NULL;
    const struct item *item = NULL;

    for (o = s->server.mgr->objects; o != NULL; o = o->by_id.next) {
        if (o->kind != RV_KIND_QUEUE || o->name == NULL || strcmp(o->name, queue) != 0)
            continue;
        DL_FOREACH (((const struct queue *)o)->returned, item) {
            if (id_of(rv_slice(item->data, item->len)) == id)
                return true;
        }
    }
    return false;
}

uint64_t sim_chunks(const struct sim *s)
{
    return s->server.mgr->last_chunk;
}

/* ---- the end ---- */

void sim_book_finish(struct sim *s)
{
    for (size_t i = 0; i < s->book.len; i++) {
        const struct sim_item *item = &s->book.items[i];
        const struct sim_book_queue *q = &s->book.queues[item->queue];

        if (item->put != SIM_PUT_ACCEPTED || q->void_)
            continue;
        if (q->options.deliveries > 0 && item->died && item->done == 0) {
            if (!sim_book_is_dead(s, i, dead_name(s, item->queue)))
                sim_broken(s, "item %s of queue %s is neither done nor a dead letter", item->label,
                           q->name);
            continue;
        }
        if (item->times == 0)
            sim_broken(s, "item %s of queue %s was accepted at %lld ms and lost", item->label,
                       q->name, (long long)((item->accepted_at - s->origin) / RV_MS));
        if (q->options.joinable && item->done == 0)
            sim_broken(s, "item %s of queue %s was never done", item->label, q->name);
    }
}

size_t sim_book_kept(const struct sim *s)
{
    const struct object *o = NULL;
    size_t kept = 0;

    for (o = s->server.mgr->objects; o != NULL; o = o->by_id.next)
        kept += o->nested > 0 && (o->name == NULL || o->ttl_ms != UINT32_MAX);
    return kept;
}

void sim_book_free(struct sim *s)
{
    struct sim_book_order *o = NULL;
    struct sim_book_order *next = NULL;

    HASH_ITER (hh, s->book.orders, o, next) {
        HASH_DEL(s->book.orders, o);
        free(o);
    }
    free(s->book.items);
    free(s->book.queues);
    free(s->book.lives);
    sim_sync_free(s);
    sim_box_free(s);
}

/* ---- portraits ---- */

static void add(struct rv_buf *b, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void add(struct rv_buf *b, const char *format, ...)
{
    char text[256];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    rv_buf_add(b, text, strlen(text));
}

static void add_item(struct rv_buf *b, const struct item *item)
{
    add(b, " %llu/%llu/%u/%d", (unsigned long long)id_of(rv_slice(item->data, item->len)),
        (unsigned long long)item->delivery, item->deliveries, (int)item->state);
    for (uint32_t i = 0; item->refs != NULL && i < item->refs->len; i++)
        add(b, "->%llu", (unsigned long long)item->refs->to[i]);
}

static void add_calls(struct rv_buf *b, const char *title, const struct call *list)
{
    const struct call *call = NULL;

    DL_FOREACH (list, call) {
        add(b, " %s=%llu/%llu/%lld", title, (unsigned long long)call->session->serial,
            (unsigned long long)call->number,
            (long long)(call->timer.pos == 0 ? 0 : call->timer.at));
    }
}

static void add_queue(struct rv_buf *b, const struct queue *q)
{
    const struct consumer *c = NULL;
    const struct item *item = NULL;

    add(b,
        "object %llu name=%s refs=%u nested=%llu ready=%llu ahead=%llu accepted=%llu gone=%llu "
        "open=%llu%s:",
        (unsigned long long)q->object.id, q->object.name == NULL ? "" : q->object.name,
        q->object.refs, (unsigned long long)q->object.nested, (unsigned long long)q->ready,
        (unsigned long long)q->ahead, (unsigned long long)q->accepted, (unsigned long long)q->gone,
        (unsigned long long)q->unfinished, q->shutdown ? " shutdown" : "");
    DL_FOREACH (q->returned, item) {
        add_item(b, item);
    }
    for (size_t i = 0; i < q->heap_len; i++)
        add_item(b, q->heap[i]);
    DL_FOREACH (q->later, item) {
        add(b, " later %lld", (long long)item->past->due);
        add_item(b, item);
    }
    DL_FOREACH (q->consumers, c) {
        add(b, " | consumer %llu last=%llu taken=%llu recall=%llu:",
            (unsigned long long)c->session->serial, (unsigned long long)c->last,
            (unsigned long long)c->taken, (unsigned long long)c->recall);
        DL_FOREACH (c->granted, item) {
            add_item(b, item);
        }
        DL_FOREACH (c->unfinished, item) {
            add_item(b, item);
        }
    }
    add_calls(b, "get", q->getters);
    add_calls(b, "put", q->putters);
    add_calls(b, "join", q->joiners);
    add_calls(b, "stop", q->stoppers);
    add(b, "\n");
}

static void add_job(struct rv_buf *b, const struct job *job)
{
    const struct span *span = NULL;
    const struct chunk *c = NULL;

    add(b, "job %llu put=%llu done=%llu base=%llu failed=%llu retried=%llu ns=%llu%s:",
        (unsigned long long)job->object.id, (unsigned long long)job->put,
        (unsigned long long)job->done_len, (unsigned long long)job->done.base,
        (unsigned long long)job->failed, (unsigned long long)job->retried,
        (unsigned long long)job->item_ns, job->completed ? " completed" : "");
    DL_FOREACH (job->pending, span) {
        add(b, " %llu+%u", (unsigned long long)span->slice.first, span->slice.count);
    }
    DL_FOREACH (job->again, span) {
        add(b, " again %llu/%u", (unsigned long long)span->slice.first, span->slice.run);
    }
    for (c = job->chunks; c != NULL; c = c->newer)
        add(b, " chunk %llu@%llu %llu..%llu+%u%s", (unsigned long long)c->id,
            (unsigned long long)c->member->object.id, (unsigned long long)c->next,
            (unsigned long long)c->slice.first, c->slice.count, c->doubled ? " doubled" : "");
    add(b, "\n");
}

static void add_member(struct rv_buf *b, const struct member *m)
{
    add(b, "agent %llu session=%llu slots=%u chunks=%u load=%llu%s%s\n",
        (unsigned long long)m->object.id, (unsigned long long)m->session->serial, m->slots,
        m->chunks_len, (unsigned long long)m->load, m->away ? " away" : "",
        m->hungry ? " hungry" : "");
}

char *sim_portrait(const struct mgr *mgr)
{
    struct rv_buf b = {0};
    const struct session *session = NULL;
    const struct object *o = NULL;

    for (session = mgr->sessions; session != NULL; session = session->by_serial.next)
        add(&b, "session %llu applied=%llu attempt=%u attached=%d next=%llu ahead=%u\n",
            (unsigned long long)session->serial, (unsigned long long)session->applied,
            session->attempt, session->attached, (unsigned long long)session->out.next,
            session->ahead);
    for (o = mgr->objects; o != NULL; o = o->by_id.next)
        if (o->kind == RV_KIND_QUEUE)
            add_queue(&b, (const struct queue *)o);
        else if (o->kind == RV_KIND_JOB)
            add_job(&b, (const struct job *)o);
        else if (o->kind == RV_KIND_AGENT)
            add_member(&b, (const struct member *)o);
        else
            sim_sync_portrait(&b, mgr, o);
    rv_buf_add(&b, "", 1);
    return (char *)b.data;
}
