/* random_sync.c -- each client has threads that take, hold and give back, sleep, notify and meet. */

#include "tests/sim/random_sync.h"
#include "tests/sim/random.h"
#include "tests/lib/sim_sync.h"

enum { THREADS = 3, OBJECTS = 8, LATE_S = 106 };

static const struct {
    const char *name;
    enum rv_kind kind;
    uint32_t number;
    bool leases;
} objects[OBJECTS] = {
    {"lock", RV_KIND_LOCK, 0, false},
    {"lease", RV_KIND_LOCK, 0, true},
    {"rlock", RV_KIND_RLOCK, 0, true},
    {"semaphore", RV_KIND_SEMAPHORE, 2, false},
    {"bounded", RV_KIND_BOUNDED_SEMAPHORE, 2, false},
    {"condition", RV_KIND_CONDITION, 0, false},
    {"event", RV_KIND_EVENT, 0, false},
    {"barrier", RV_KIND_BARRIER, 3, false},
};

struct thread {
    struct sim_op *op;
    rv_ns next_at;
    int object;
    uint32_t levels; /* it holds the object so often */
    uint64_t serial;
    uint64_t round;
    bool run; /* it has an action to run */
};

static struct thread threads[SIM_CLIENTS + 1][THREADS];
static bool opening[SIM_CLIENTS + 1][OBJECTS];
static enum rv_durable durable[OBJECTS];
static uint64_t last_serial;

static bool one_in(struct sim *s, uint64_t n)
{
    return sim_below(s, n) == 0;
}

static rv_ns some_ms(struct sim *s, uint64_t max)
{
    return (rv_ns)sim_below(s, max * 1000 + 1) * 1000;
}

static bool late(const struct sim *s)
{
    return s->now >= RV_SEC + LATE_S * RV_SEC - RV_SEC;
}

void random_sync_begin(struct sim *s)
{
    for (int i = 0; i < OBJECTS; i++)
        durable[i] = random_level(s);
    last_serial = 0;
    for (int c = 0; c <= SIM_CLIENTS; c++)
        random_sync_forget(c);
}

void random_sync_forget(int client)
{
    memset(threads[client], 0, sizeof threads[client]);
    memset(opening[client], 0, sizeof opening[client]);
}

static void opened(struct sim *s, struct sim_op *op)
{
    opening[op->client->number][op->sync.handle] = false;
    if (op->error != REEVE_OK && op->client->link.state != RV_LINK_DEAD)
        sim_broken(s, "an open of a lock ended with %s", sim_error_name(op->error));
}

/* Handles are numbered by object. */
static bool ensure_open(struct sim *s, struct sim_client *c, int object)
{
    struct sim_op *op = NULL;
    bool fresh = c->sync == NULL;

    for (int i = 0; fresh && i < OBJECTS; i++)
        rv_assert(sim_sync_handle(s, c->number, objects[i].name, objects[i].kind, objects[i].number,
                                  objects[i].leases) == i);
    if (c->sync->handles[object].opened)
        return true;
    if (opening[c->number][object])
        return false;
    opening[c->number][object] = true;
    (void)sim_sync_handle(s, c->number, objects[object].name, objects[object].kind,
                          objects[object].number, objects[object].leases);
    op = sim_sync_op(s, c->number, 0, object, RV_OP_object_open, UINT32_MAX);
    op->options.ttl_ms = 1000;
    op->options.durable = durable[object];
    op->ended = opened;
    sim_op_begin(s, op);
    return false;
}

static void ended(struct sim *s, struct sim_op *op)
{
    struct thread *t = op->arg;
    bool ok = op->error == REEVE_OK || op->error == REEVE_OWNER_DIED;

    t->op = NULL;
    t->next_at = s->now + some_ms(s, late(s) ? 4 : 60);
    if (op->client->link.state == RV_LINK_DEAD)
        return;
    switch ((enum rv_op)op->sync.op) {
    case RV_OP_lock_acquire:
        t->levels += ok;
        break;
    case RV_OP_lock_release:
        if (!ok)
            sim_broken(s, "client %d: a release ended with %s", op->client->number,
                       sim_error_name(op->error));
        t->levels--;
        break;
    case RV_OP_condition_wait:
        if (!ok)
            sim_broken(s, "client %d: a sleep ended with %s", op->client->number,
                       sim_error_name(op->error));
        break;
    case RV_OP_condition_notify:
        if (!ok)
            sim_broken(s, "client %d: a notify ended with %s", op->client->number,
                       sim_error_name(op->error));
        break;
    case RV_OP_event_wait:
    case RV_OP_event_set:
    case RV_OP_event_clear:
        if (op->error == REEVE_EFENCED && op->sync.guard == 0)
            sim_broken(s, "client %d: fenced without a fence", op->client->number);
        break;
    case RV_OP_barrier_wait:
        t->run = ok && op->sync.run;
        t->round = op->sync.round;
        break;
    default:
        break;
    }
    if (op->client->idle_until > t->next_at)
        op->client->idle_until = t->next_at;
}

static struct sim_op *begin(struct sim *s, struct sim_client *c, struct thread *t, uint16_t what,
                            uint32_t timeout_ms)
{
    struct sim_op *op = sim_sync_op(s, c->number, t->serial, t->object, what, timeout_ms);

    op->ended = ended;
    op->arg = t;
    op->sync.action = what == RV_OP_barrier_wait && one_in(s, 2);
    op->sync.number = what == RV_OP_condition_notify ? 1 + (uint32_t)sim_below(s, 3) : one_in(s, 9);
    op->sync.round = t->round;
    t->op = op;
    /* For the owner of the lock only, whoever that is by now. */
    if (objects[t->object].kind == RV_KIND_EVENT && c->sync->handles[0].opened && one_in(s, 2))
        op->sync.guard = sim_sync_fence(s, objects[0].name);
    if (what == RV_OP_lock_acquire && one_in(s, 6))
        op->cancel_at = s->now + some_ms(s, 20);
    sim_op_begin(s, op);
    return op;
}

/* It holds something. */
static void hold(struct sim *s, struct sim_client *c, struct thread *t)
{
    bool condition = objects[t->object].kind == RV_KIND_CONDITION;

    if (!late(s) && one_in(s, 30)) {
        sim_thread_end(s, c->number, t->serial);
        t->levels = 0;
        t->serial = 0;
    } else if (!late(s) && condition && one_in(s, 2)) {
        if (one_in(s, 2))
            begin(s, c, t, RV_OP_condition_wait, (uint32_t)sim_below(s, 600));
        else
            begin(s, c, t, RV_OP_condition_notify, UINT32_MAX);
    } else if (!late(s) && t->levels < 3 && one_in(s, 5) &&
               (condition || objects[t->object].kind == RV_KIND_RLOCK)) {
        begin(s, c, t, RV_OP_lock_acquire, UINT32_MAX);
    } else {
        begin(s, c, t, RV_OP_lock_release, UINT32_MAX);
    }
}

static void meet(struct sim *s, struct sim_client *c, struct thread *t)
{
    static const uint16_t event[] = {RV_OP_event_wait, RV_OP_event_wait, RV_OP_event_set,
                                     RV_OP_event_clear};
    static const uint16_t barrier[] = {RV_OP_barrier_wait,  RV_OP_barrier_wait, RV_OP_barrier_wait,
                                       RV_OP_barrier_wait,  RV_OP_barrier_wait, RV_OP_barrier_reset,
                                       RV_OP_barrier_reset, RV_OP_barrier_abort};
    bool is_event = objects[t->object].kind == RV_KIND_EVENT;

    begin(s, c, t,
          is_event ? event[sim_below(s, rv_countof(event))]
                   : barrier[sim_below(s, rv_countof(barrier))],
          (uint32_t)sim_below(s, 2000));
}

static void turn(struct sim *s, struct sim_client *c, struct thread *t)
{
    static const uint32_t timeouts[] = {0, 20, 200, 1500, UINT32_MAX};

    t->next_at = s->now + some_ms(s, 100);
    if (t->serial == 0)
        t->serial = ++last_serial;
    if (t->run) {
        t->run = false;
        begin(s, c, t, RV_OP_barrier_release, UINT32_MAX);
        return;
    }
    if (t->levels > 0) {
        hold(s, c, t);
        return;
    }
    if (late(s))
        return;
    t->object = (int)sim_below(s, OBJECTS);
    if (!ensure_open(s, c, t->object))
        return;
    if (objects[t->object].kind >= RV_KIND_EVENT)
        meet(s, c, t);
    else
        begin(s, c, t, RV_OP_lock_acquire, timeouts[sim_below(s, rv_countof(timeouts))]);
}

rv_ns random_sync_turn(struct sim *s, struct sim_client *c)
{
    rv_ns next = s->now + RV_SEC;

    for (int i = 0; i < THREADS; i++) {
        struct thread *t = &threads[c->number][i];

        if (t->op == NULL && t->next_at <= s->now)
            turn(s, c, t);
        if (t->op == NULL && t->next_at < next)
            next = t->next_at;
    }
    return next;
}

void random_sync_finish(struct sim *s, int clients)
{
    for (int c = 1; c <= clients; c++)
        for (int i = 0; i < THREADS; i++) {
            const struct thread *t = &threads[c][i];

            if (t->op != NULL)
                sim_broken(s, "client %d: %s of %s waits since %lld ms", c,
                           rv_op_info(t->op->sync.op)->name, objects[t->object].name,
                           (long long)((t->op->begun_at - s->origin) / RV_MS));
            if (t->levels > 0)
                sim_broken(s, "client %d still has %s", c, objects[t->object].name);
        }
}
