/* sim_sync.c -- clients of locks, conditions, events and barriers, and the book of what they hold. */

#define HASH_NONFATAL_OOM 1 /* headers of both roles meet here */
#include "server/core/sync.h"
#include "tests/lib/sim_sync.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { NAMES = 32 };

/* What the clients know of one name. Only locks have an owner. */
struct sim_sync_name {
    char name[32];
    uint32_t holder; /* a life; 0: nobody, or it was given back */
    uint64_t thread;
    uint64_t fence; /* the largest that anybody has seen */
    uint32_t seen_by;
};

struct sim_sync_book {
    struct sim_sync_name names[NAMES];
    size_t len;
    uint64_t acquired, deaths;
};

static struct sim_sync_name *book_of(struct sim *s, const char *name)
{
    struct sim_sync_book *b = s->sync_book;
    size_t i = 0;

    if (b == NULL)
        b = s->sync_book = rv_alloc(sizeof *b);
    while (i < b->len && strcmp(b->names[i].name, name) != 0)
        i++;
    if (i == b->len) {
        rv_assert(b->len < NAMES);
        snprintf(b->names[b->len++].name, sizeof b->names[i].name, "%s", name);
    }
    return &b->names[i];
}

uint64_t sim_sync_fence(struct sim *s, const char *name)
{
    return book_of(s, name)->fence;
}

void sim_sync_free(struct sim *s)
{
    free(s->sync_book);
    s->sync_book = NULL;
}

void sim_sync_new_store(struct sim *s)
{
    for (size_t i = 0; s->sync_book != NULL && i < s->sync_book->len; i++)
        s->sync_book->names[i].holder = 0;
}

void sim_sync_counts(const struct sim *s, uint64_t *acquired, uint64_t *deaths)
{
    *acquired = s->sync_book == NULL ? 0 : s->sync_book->acquired;
    *deaths = s->sync_book == NULL ? 0 : s->sync_book->deaths;
}

static bool lives(const struct sim *s, uint32_t life)
{
    return life != 0 && !s->book.lives[life].ended;
}

static bool owned(const struct sim_handle *h)
{
    return h->kind == RV_KIND_LOCK || h->kind == RV_KIND_RLOCK || h->kind == RV_KIND_CONDITION;
}

/* A client has it, and knows. */
static void book_acquired(struct sim *s, const struct sim_op *op, const struct sim_handle *h,
                          uint64_t fence)
{
    struct sim_sync_name *n = book_of(s, h->name);
    uint32_t life = op->client->life;
    bool again = n->holder == life && n->thread == op->sync.thread;

    s->sync_book->acquired++;
    s->sync_book->deaths += op->error == REEVE_OWNER_DIED || op->sync.told_death;
    if (!owned(h) || !lives(s, life))
        return;
    if (n->holder != 0 && !again && lives(s, n->holder))
        sim_broken(s, "client %d has %s, and so has client %d", op->client->number, h->name,
                   s->book.lives[n->holder].client);
    if (fence < n->fence || (fence == n->fence && n->seen_by != life))
        sim_broken(s, "client %d has %s with fence %llu after %llu", op->client->number, h->name,
                   (unsigned long long)fence, (unsigned long long)n->fence);
    if (n->holder != 0 && !again && !op->sync.told_death)
        sim_broken(s, "client %d does not hear that the owner of %s died", op->client->number,
                   h->name);
    n->holder = life;
    n->thread = op->sync.thread;
    n->fence = fence;
    n->seen_by = life;
}

static void book_released(struct sim *s, const struct sim_client *c, const char *name)
{
    struct sim_sync_name *n = book_of(s, name);

    if (n->holder == c->life)
        n->holder = 0;
}

/* ---- handles ---- */

struct sim_handle *sim_sync_at(const struct sim *s, int client, int handle)
{
    return &s->clients[client].sync->handles[handle];
}

int sim_sync_handle(struct sim *s, int client, const char *name, enum rv_kind kind, uint32_t number,
                    bool leases)
{
    struct sim_client *c = &s->clients[client];
    int at = 0;

    if (c->sync == NULL)
        c->sync = rv_alloc(sizeof *c->sync);
    while (at < SIM_SYNCS && c->sync->handles[at].used &&
           strcmp(c->sync->handles[at].name, name) != 0)
        at++;
    rv_assert(at < SIM_SYNCS);
    if (!c->sync->handles[at].used) {
        c->sync->handles[at] = (struct sim_handle){
            .used = true, .kind = (uint8_t)kind, .number = number, .leases = leases};
        snprintf(c->sync->handles[at].name, sizeof c->sync->handles[at].name, "%s", name);
    }
    return at;
}

static int handle_of(struct sim *s, int client, const char *name)
{
    const struct sim_client *c = &s->clients[client];

    for (int i = 0; c->sync != NULL && i < SIM_SYNCS; i++)
        if (c->sync->handles[i].used && strcmp(c->sync->handles[i].name, name) == 0)
            return i;
    sim_broken(s, "client %d has no %s", client, name);
}

static bool has_claims(const struct sim_handle *h)
{
    return h->kind >= RV_KIND_LOCK && h->kind <= RV_KIND_CONDITION;
}

static void close_handle(struct sim *s, struct sim_client *c, struct sim_handle *h)
{
    if (h->opened && has_claims(h))
        rv_claims_fini(&h->claims);
    else if (h->opened)
        (void)rv_link_say_late(&c->link, s == NULL ? 0 : s->now, RV_OP_object_close, h->object,
                               rv_slice(NULL, 0));
    if (s != NULL && owned(h))
        book_released(s, c, h->name);
    *h = (struct sim_handle){0};
}

void sim_sync_close(struct sim *s, int client, const char *name)
{
    struct sim_client *c = &s->clients[client];
    struct sim_handle *h = sim_sync_at(s, client, handle_of(s, client, name));
    bool late = h->opened && !has_claims(h);

    close_handle(s, c, h);
    if (!late)
        sim_client_nudge(s, c);
    else if (c->wake.timer.pos == 0 || c->wake.timer.at > rv_link_deadline(&c->link))
        sim_at(s, &c->wake, rv_link_deadline(&c->link));
}

void sim_sync_close_all(struct sim *s, int client)
{
    struct sim_client *c = &s->clients[client];

    for (int i = 0; c->sync != NULL && i < SIM_SYNCS; i++)
        close_handle(s, c, &c->sync->handles[i]);
}

/* The process is no more; what it held, its book says still. */
void sim_sync_end(struct sim_client *c)
{
    for (int i = 0; c->sync != NULL && i < SIM_SYNCS; i++)
        close_handle(NULL, c, &c->sync->handles[i]);
    free(c->sync);
    c->sync = NULL;
}

/* ---- calls ---- */

static struct rv_request *call(struct sim_op *op, const struct sim_handle *h, struct rv_buf *args)
{
    struct rv_request *request = rv_link_call(&op->client->link, op->sync.op, h->object,
                                              op->sync.timeout_ms, rv_buf_slice(args), NULL, 0);

    rv_buf_free(args);
    return request;
}

static struct rv_request *begin_open(struct sim_op *op, const struct sim_handle *h)
{
    struct rv_buf args = {0};

    rv_object_open_args_encode(
        &args, &(struct rv_object_open_args){.name = rv_slice_str(h->name),
                                             .create = 1,
                                             .kind = h->kind,
                                             .maxsize = h->number,
                                             .ttl_ms = op->options.ttl_ms,
                                             .durable = (uint8_t)op->options.durable});
    return call(op, h, &args);
}

static struct rv_request *here(struct sim_op *op, reeve_err err)
{
    op->sync.here = true;
    op->sync.here_is = err;
    return NULL;
}

static struct rv_request *begin_acquire(struct sim *s, struct sim_op *op, struct sim_handle *h)
{
    reeve_err err = rv_claims_acquire_here(&h->claims, op->sync.thread);

    if (err == REEVE_ETIME)
        return rv_claims_acquire(&h->claims, op->sync.thread, op->sync.timeout_ms,
                                 op->sync.no_cycle);
    op->sync.fence = rv_claims_of(&h->claims, op->sync.thread)->fence;
    book_acquired(s, op, h, op->sync.fence);
    return here(op, err);
}

static struct rv_request *begin_release(struct sim *s, struct sim_op *op, struct sim_handle *h)
{
    reeve_err err = rv_claims_release(&h->claims, s->now, op->sync.thread);

    if (err == REEVE_ENOENT)
        return rv_claims_ask_release(&h->claims, op->sync.thread);
    if (err == REEVE_OK && rv_claims_of(&h->claims, op->sync.thread) == NULL)
        book_released(s, op->client, h->name);
    return here(op, err);
}

static struct rv_request *begin_sleep(struct sim *s, struct sim_op *op, struct sim_handle *h)
{
    struct sim_handle *lock = &op->client->sync->handles[op->sync.other];
    bool owner = false;
    struct rv_request *request =
        rv_claims_sleep(&lock->claims, h->object, op->sync.thread, op->sync.timeout_ms, &owner);

    if (request != NULL)
        book_released(s, op->client, lock->name);
    return owner ? request : here(op, REEVE_ENOTOWNER);
}

struct rv_request *sim_sync_begin(struct sim *s, struct sim_op *op)
{
    struct sim_handle *h = &op->client->sync->handles[op->sync.handle];
    const struct sim_handle *lock = &op->client->sync->handles[op->sync.other];
    struct rv_buf args = {0};

    if (op->sync.guard != 0)
        (void)rv_claims_guard(&op->client->sync->handles[op->sync.guard_handle].claims,
                              op->sync.guard);
    switch ((enum rv_op)op->sync.op) {
    case RV_OP_object_open:
        return begin_open(op, h);
    case RV_OP_lock_acquire:
        return begin_acquire(s, op, h);
    case RV_OP_lock_release:
        return begin_release(s, op, h);
    case RV_OP_condition_wait:
        return begin_sleep(s, op, h);
    case RV_OP_condition_notify:
        rv_claims_settle(&op->client->sync->handles[op->sync.other].claims);
        rv_condition_notify_args_encode(
            &args, &(struct rv_condition_notify_args){op->sync.thread, lock == h ? 0 : lock->object,
                                                      op->sync.number, 0});
        return call(op, h, &args);
    case RV_OP_event_wait:
        rv_event_wait_args_encode(&args, &(struct rv_event_wait_args){op->sync.thread, 0});
        return call(op, h, &args);
    case RV_OP_barrier_wait:
        rv_barrier_wait_args_encode(
            &args, &(struct rv_barrier_wait_args){op->sync.thread, op->sync.action, 0});
        return call(op, h, &args);
    case RV_OP_barrier_release:
        rv_barrier_release_args_encode(
            &args, &(struct rv_barrier_release_args){op->sync.round, (uint8_t)op->sync.number, 0});
        return call(op, h, &args);
    case RV_OP_sync_state:
        return rv_link_read(&op->client->link, op->sync.op, h->object, rv_slice(NULL, 0));
    default:
        return call(op, h, &args);
    }
}

static void opened(struct sim_op *op, struct sim_handle *h)
{
    struct rv_object_open_result result;

    if (op->request->error != REEVE_OK) {
        *h = (struct sim_handle){0};
        return;
    }
    rv_assert(rv_object_open_result_decode(&result, rv_buf_slice(&op->request->result)));
    h->object = result.object;
    h->opened = true;
    if (has_claims(h))
        rv_assert(rv_claims_init(&h->claims, &op->client->link, h->object, h->kind, h->leases) ==
                  REEVE_OK);
}

void sim_sync_answered(struct sim *s, struct sim_op *op)
{
    struct sim_handle *h = &op->client->sync->handles[op->sync.handle];
    struct rv_slice result = rv_buf_slice(&op->request->result);
    reeve_err err = op->request->error;
    bool ok = err == REEVE_OK || err == REEVE_OWNER_DIED;

    op->sync.told_death = err == REEVE_OWNER_DIED;
    switch ((enum rv_op)op->sync.op) {
    case RV_OP_object_open:
        opened(op, h);
        break;
    case RV_OP_lock_acquire:
        if (!ok)
            break;
        op->sync.fence = rv_claims_of(&h->claims, op->sync.thread)->fence;
        book_acquired(s, op, h, op->sync.fence);
        break;
    case RV_OP_lock_release:
        if (ok)
            book_of(s, h->name)->holder = 0;
        break;
    case RV_OP_condition_wait: {
        struct rv_condition_wait_result got;
        const struct sim_handle *lock = &op->client->sync->handles[op->sync.other];

        if (!ok || !rv_condition_wait_result_decode(&got, result))
            break;
        op->sync.notified = got.notified != 0;
        op->sync.fence = got.fence;
        book_acquired(s, op, lock, got.fence);
        break;
    }
    case RV_OP_condition_notify: {
        struct rv_condition_notify_result got = {0};

        if (ok)
            rv_assert(rv_condition_notify_result_decode(&got, result));
        op->sync.number = got.woken;
        break;
    }
    case RV_OP_barrier_wait: {
        struct rv_barrier_wait_result got = {0};

        if (ok)
            rv_assert(rv_barrier_wait_result_decode(&got, result));
        op->sync.index = got.index;
        op->sync.run = got.run != 0;
        op->sync.round = got.round;
        break;
    }
    case RV_OP_sync_state: {
        struct rv_sync_state_result got = {0};

        if (!ok || !rv_sync_state_result_decode(&got, result))
            break;
        sim_say(s, "state.ok client=%d name=%s locked=%u value=%u holders=%u waiting=%u broken=%u",
                op->client->number, h->name, got.locked, got.value, got.holders, got.waiting,
                got.broken);
        break;
    }
    default:
        break;
    }
}

static const char *word_of(uint16_t op)
{
    switch ((enum rv_op)op) {
    case RV_OP_lock_acquire:
        return "acquire";
    case RV_OP_lock_release:
        return "release";
    case RV_OP_condition_wait:
        return "sleep";
    case RV_OP_condition_notify:
        return "notify";
    default:
        return rv_op_info(op)->name;
    }
}

void sim_sync_tell(struct sim *s, struct sim_op *op)
{
    const struct sim_handle *h = &op->client->sync->handles[op->sync.handle];
    bool ok = op->error == REEVE_OK || op->error == REEVE_OWNER_DIED;
    char more[64] = "";

    if (op->sync.op == RV_OP_sync_state && ok)
        return;
    if (op->sync.op == RV_OP_lock_release && op->sync.here && ok)
        return;
    if (!ok) {
        sim_say(s, "%s.fail client=%d name=%s error=%s", word_of(op->sync.op), op->client->number,
                h->name, sim_error_name(op->error));
        return;
    }
    if (op->sync.op == RV_OP_lock_acquire)
        snprintf(more, sizeof more, " fence=%llu%s", (unsigned long long)op->sync.fence,
                 op->sync.here ? " here" : "");
    if (op->sync.op == RV_OP_condition_wait)
        snprintf(more, sizeof more, " notified=%d", op->sync.notified);
    if (op->sync.op == RV_OP_condition_notify)
        snprintf(more, sizeof more, " woken=%u", op->sync.number);
    if (op->sync.op == RV_OP_barrier_wait)
        snprintf(more, sizeof more, " index=%u%s", op->sync.index, op->sync.run ? " run" : "");
    sim_say(s, "%s.ok client=%d name=%s%s%s", word_of(op->sync.op), op->client->number, h->name,
            more, op->error == REEVE_OWNER_DIED ? " OWNER_DIED" : "");
}

struct sim_op *sim_sync_op(struct sim *s, int client, uint64_t thread, int handle, uint16_t op,
                           uint32_t timeout_ms)
{
    struct sim_op *o = sim_op_new(s, client, SIM_OP_SYNC, -1, timeout_ms);

    o->sync.op = op;
    o->sync.handle = o->sync.other = handle;
    o->sync.thread = thread;
    o->sync.timeout_ms = timeout_ms;
    /* Their verdict may come after the time is over: then who waits has the lock again. */
    if (op == RV_OP_condition_wait || op == RV_OP_barrier_wait)
        o->timeout_ms = UINT32_MAX;
    return o;
}

/* ---- what stories say ---- */

static void noted(struct sim *s, struct sim_op *op)
{
    (void)s;
    *(reeve_err *)op->arg = op->error;
}

static reeve_err open_now(struct sim *s, int client, const char *name, enum rv_kind kind,
                          uint32_t number, bool leases, enum rv_durable durable)
{
    int handle = sim_sync_handle(s, client, name, kind, number, leases);
    struct sim_op *op = sim_sync_op(s, client, 0, handle, RV_OP_object_open, UINT32_MAX);
    reeve_err err = REEVE_ETIME;

    op->options.durable = durable;
    op->ended = noted;
    op->arg = &err;
    sim_op_begin(s, op);
    while (err == REEVE_ETIME)
        rv_assert(sim_step(s));
    sim_run(s, 10);
    sim_mark(s);
    return err;
}

reeve_err sim_sync_open(struct sim *s, int client, const char *name, enum rv_kind kind,
                        uint32_t number)
{
    return open_now(s, client, name, kind, number, false, RV_DURABLE_DEFAULT);
}

reeve_err sim_sync_open_leased(struct sim *s, int client, const char *name, enum rv_kind kind)
{
    return open_now(s, client, name, kind, 0, true, RV_DURABLE_DEFAULT);
}

reeve_err sim_sync_open_durable(struct sim *s, int client, const char *name, enum rv_kind kind,
                                uint32_t number, enum rv_durable durable)
{
    return open_now(s, client, name, kind, number, false, durable);
}

struct sim_op *sim_acquire(struct sim *s, int client, uint64_t thread, const char *name,
                           uint32_t timeout_ms)
{
    struct sim_op *op =
        sim_sync_op(s, client, thread, handle_of(s, client, name), RV_OP_lock_acquire, timeout_ms);

    sim_op_begin(s, op);
    return op;
}

struct sim_op *sim_acquire_no_cycle(struct sim *s, int client, uint64_t thread, const char *name)
{
    struct sim_op *op =
        sim_sync_op(s, client, thread, handle_of(s, client, name), RV_OP_lock_acquire, UINT32_MAX);

    op->sync.no_cycle = true;
    sim_op_begin(s, op);
    return op;
}

void sim_release(struct sim *s, int client, uint64_t thread, const char *name)
{
    sim_op_begin(s, sim_sync_op(s, client, thread, handle_of(s, client, name), RV_OP_lock_release,
                                UINT32_MAX));
}

void sim_thread_end(struct sim *s, int client, uint64_t thread)
{
    struct sim_client *c = &s->clients[client];

    for (int i = 0; c->sync != NULL && i < SIM_SYNCS; i++)
        if (c->sync->handles[i].opened && has_claims(&c->sync->handles[i])) {
            struct sim_sync_name *n = book_of(s, c->sync->handles[i].name);

            rv_claims_abandon(&c->sync->handles[i].claims, thread);
            if (n->holder == c->life && n->thread == thread)
                n->holder = 0;
        }
    sim_client_nudge(s, c);
}

void sim_sleep(struct sim *s, int client, uint64_t thread, const char *name, const char *lock,
               uint32_t timeout_ms)
{
    struct sim_op *op = sim_sync_op(s, client, thread, handle_of(s, client, name),
                                    RV_OP_condition_wait, timeout_ms);

    op->sync.other = lock == NULL ? op->sync.handle : handle_of(s, client, lock);
    sim_op_begin(s, op);
}

void sim_notify(struct sim *s, int client, uint64_t thread, const char *name, const char *lock,
                uint32_t count)
{
    struct sim_op *op = sim_sync_op(s, client, thread, handle_of(s, client, name),
                                    RV_OP_condition_notify, UINT32_MAX);

    op->sync.other = lock == NULL ? op->sync.handle : handle_of(s, client, lock);
    op->sync.number = count;
    sim_op_begin(s, op);
}

void sim_event(struct sim *s, int client, const char *name, uint16_t op, uint32_t timeout_ms)
{
    sim_op_begin(s, sim_sync_op(s, client, 1, handle_of(s, client, name), op, timeout_ms));
}

void sim_barrier_wait(struct sim *s, int client, uint64_t thread, const char *name,
                      uint32_t timeout_ms, bool action)
{
    struct sim_op *op =
        sim_sync_op(s, client, thread, handle_of(s, client, name), RV_OP_barrier_wait, timeout_ms);

    op->sync.action = action;
    sim_op_begin(s, op);
}

void sim_barrier_release(struct sim *s, int client, const char *name, uint64_t round, bool failed)
{
    struct sim_op *op =
        sim_sync_op(s, client, 1, handle_of(s, client, name), RV_OP_barrier_release, UINT32_MAX);

    op->sync.round = round;
    op->sync.number = failed;
    sim_op_begin(s, op);
}

void sim_barrier(struct sim *s, int client, const char *name, uint16_t op)
{
    sim_op_begin(s, sim_sync_op(s, client, 1, handle_of(s, client, name), op, UINT32_MAX));
}

void sim_guard(struct sim *s, int client, const char *name, uint64_t fence)
{
    rv_assert(rv_claims_guard(&sim_sync_at(s, client, handle_of(s, client, name))->claims, fence));
}

void sim_state(struct sim *s, int client, const char *name)
{
    sim_op_begin(
        s, sim_sync_op(s, client, 1, handle_of(s, client, name), RV_OP_sync_state, UINT32_MAX));
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

void sim_sync_portrait(struct rv_buf *b, const struct mgr *mgr, const struct object *o)
{
    const struct session *session = NULL;
    const struct call *waiting = NULL;
    const struct lock *l = (const struct lock *)o;
    const struct hold *h = NULL;
    struct rv_object_row row = {0};

    o->ops->row(o, &row);
    add(b, "object %llu kind=%u name=%s refs=%u size=%llu waiting=%u:", (unsigned long long)o->id,
        o->kind, o->name == NULL ? "" : o->name, o->refs, (unsigned long long)row.size,
        row.getters);
    if (o->kind >= RV_KIND_LOCK && o->kind <= RV_KIND_CONDITION) {
        add(b, " value=%u total=%llu abandoned=%d", l->value, (unsigned long long)l->total,
            l->abandoned);
        DL_FOREACH (l->holds, h) {
            add(b, " hold=%llu/%llu/%llu/%u/%d%d%d", (unsigned long long)h->session->serial,
                (unsigned long long)h->thread, (unsigned long long)h->fence, h->count, h->died,
                h->leased + 2 * h->late, h->recalled);
        }
    }
    if (o->kind >= RV_KIND_LOCK && o->kind <= RV_KIND_CONDITION)
        DL_FOREACH (l->waiters, waiting) {
            add(b, " next=%llu", (unsigned long long)waiting->session->serial);
        }
    for (session = mgr->sessions; session != NULL; session = session->by_serial.next)
        for (waiting = session->calls; waiting != NULL; waiting = waiting->hh.next)
            if (waiting->object == o)
                add(b, " %s=%llu/%llu/%lld", rv_op_info(waiting->op)->name,
                    (unsigned long long)session->serial, (unsigned long long)waiting->number,
                    (long long)(waiting->timer.pos == 0 ? 0 : waiting->timer.at));
    add(b, "\n");
}
