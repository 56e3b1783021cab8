/* random.c -- random histories: clients with scripts, faults for 90 seconds, then peace.
 *
 *      0 s                                90 s       105 s         117 s      119 s      150 s
 *      |------- scripts and faults --------|- scripts -|- only gets -|- shutdown -|- nothing -|
 *
 * Whatever can finish must have finished by then, nothing that was accepted may be missing, and
 * the manager must have forgotten all sessions. */

#include "tests/sim/random.h"
#include "tests/lib/check.h"
#include "tests/lib/sim_box.h"
#include "tests/lib/sim_sync.h"
#include "tests/sim/random_box.h"
#include "tests/sim/random_sync.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
    QUEUES = 4,         /* the last one is shut down and removed again and again */
    BRIEF = QUEUES - 1, /* that one */
    PRIVATE =
        QUEUES, /* a handle of each client: a queue without a name, which others get from items */
    CROWDED = 400,     /* producers rest while a queue holds so many */
    SEED_SECONDS = 60, /* of real time */
};

#define AT(seconds) (RV_SEC + (seconds)*RV_SEC)

enum role { PRODUCER, CONSUMER, CANCELLER, WATCHER, CLOSER };

struct thread {
    enum role role;
    int queue;
    bool slow;
    rv_ns next_at;
    struct sim_op *op;
    struct client *client;
};

struct client {
    struct sim_event restart;
    struct sim_event resume;
    struct thread threads[SIM_THREADS];
    int threads_len;
    bool opening[QUEUES + 1];
    bool reopen[QUEUES + 1];
};

struct history {
    struct sim *s;
    struct client clients[SIM_CLIENTS + 1];
    int clients_len; /* of queues; behind them come agents, then who maps */
    char left[32];   /* the job that was left to the manager; empty: none */
    uint32_t left_count;
    uint64_t left_items, left_removed;
    int agents_len, all_len;
    struct sim_options options[QUEUES + 1];
    char names[QUEUES + 1][32];
    int generation;
    uint64_t outstanding[QUEUES]; /* put and not yet had, roughly */
    struct sim_event fault, brief, server, room;
    bool memory;
    bool sync; /* with locks and their kin */
    bool box;  /* with containers */
    bool leaving;
};

static struct history *history_of(struct sim *s)
{
    return s->script;
}

static uint32_t pick(struct sim *s, const uint32_t *from, size_t len)
{
    return from[sim_below(s, len)];
}

static rv_ns ms(struct sim *s, uint64_t min, uint64_t max)
{
    return (rv_ns)(min * 1000 + sim_below(s, (max - min) * 1000 + 1)) * 1000;
}

static bool one_in(struct sim *s, uint64_t n)
{
    return sim_below(s, n) == 0;
}

/* ---- threads of a client ---- */

/* A call ends by its deadline and the grace, whatever happens; a stopped process is excused. */
static void check_patience(struct sim *s, const struct sim_op *op)
{
    rv_ns latest =
        op->deadline_at == RV_NEVER ? RV_NEVER : op->deadline_at + RV_LIMIT_GRACE_MS * RV_MS;

    if (op->ended_at > latest && op->client->continued_at != op->ended_at)
        sim_broken(s, "client %d: a call ended %lld ms after its deadline", op->client->number,
                   (long long)((op->ended_at - op->deadline_at) / RV_MS));
    /* Without faults it is the manager who says how a call ends. */
    if (op->begun_at > AT(106) && op->error == REEVE_ETIME &&
        (op->kind == SIM_OP_GET || op->kind == SIM_OP_PUT))
        sim_broken(s, "client %d: no verdict on a call, though nothing is wrong",
                   op->client->number);
}

static void ended(struct sim *s, struct sim_op *op)
{
    struct thread *t = op->arg;
    struct history *h = history_of(s);

    t->op = NULL;
    t->next_at = s->now + (s->now >= AT(105) ? ms(s, 0, 4)
                           : t->slow         ? ms(s, 5, 150)
                                             : ms(s, 0, 30));
    if (op->kind == SIM_OP_GET)
        h->outstanding[t->queue] -=
            op->items_done < h->outstanding[t->queue] ? op->items_done : h->outstanding[t->queue];
    /* Its queue was shut down, removed or replaced: take a new handle. */
    if (op->error == REEVE_ESHUTDOWN || op->error == REEVE_EGONE || op->error == REEVE_ENOENT ||
        op->error == REEVE_ECLOSED)
        t->client->reopen[t->queue] = true;
    if (op->error == REEVE_EPROTO || op->error == REEVE_EINVAL || op->error == REEVE_ENOMEM)
        sim_broken(s, "client %d: a call ended with %s", op->client->number,
                   sim_error_name(op->error));
    if (op->client->idle_until > t->next_at)
        op->client->idle_until = t->next_at;
    check_patience(s, op);
}

static void open_ended(struct sim *s, struct sim_op *op)
{
    struct client *hc = &history_of(s)->clients[op->client->number];

    hc->opening[op->queue] = false;
    if (op->error != REEVE_OK && op->client->link.state != RV_LINK_DEAD)
        sim_broken(s, "an open ended with %s", sim_error_name(op->error));
}

static void begin(struct sim *s, struct thread *t, struct sim_op *op)
{
    op->ended = ended;
    op->arg = t;
    t->op = op;
    sim_op_begin(s, op);
}

static size_t length(struct sim *s)
{
    if (one_in(s, 300))
        return 65000 + (size_t)sim_below(s, 540000);
    return one_in(s, 10) ? 8 + (size_t)sim_below(s, 6000) : 8 + (size_t)sim_below(s, 120);
}

static const uint32_t timeouts[] = {0, 20, 200, 1500, UINT32_MAX};

static bool ensure_open(struct sim *s, struct sim_client *c, struct client *hc, int queue);

/* Some items name queues that this client has open. */
static void refer(struct sim *s, struct sim_client *c, struct thread *t, uint64_t item)
{
    if (s->book.items[item].len < 8 * SIM_REFS || !one_in(s, 6))
        return;
    if (one_in(s, 3))
        sim_refer(s, item, c, t->queue);
    if (ensure_open(s, c, t->client, PRIVATE))
        sim_refer(s, item, c, PRIVATE);
}

/* Its own one is often closed as soon as all items that name it are under way. */
static void close_private(struct sim *s, struct sim_client *c)
{
    const struct sim_op *op = NULL;

    if (!c->queues[PRIVATE].opened || !one_in(s, 3))
        return;
    DL_FOREACH (c->ops, op) {
        if (op->kind == SIM_OP_PUT && op->items_done < op->items_len &&
            (op->request == NULL || op->items_done + op->request->count < op->items_len))
            return;
    }
    sim_queue_close(s, c->number, PRIVATE);
}

static void produce(struct sim *s, struct sim_client *c, struct thread *t, int thread)
{
    struct history *h = history_of(s);
    struct sim_op *op = NULL;
    bool bounded = h->options[t->queue].maxsize != 0;

    if (h->outstanding[t->queue] > CROWDED)
        return;
    op = sim_op_new(s, c->number, SIM_OP_PUT, t->queue,
                    bounded ? pick(s, timeouts, rv_countof(timeouts)) : UINT32_MAX);
    op->items_len = one_in(s, 3) ? 1 + (size_t)sim_below(s, SIM_BATCH) : 1;
    op->call = bounded || one_in(s, 4);
    op->priority =
        h->options[t->queue].order == RV_ORDER_PRIORITY ? (int64_t)sim_below(s, 5) - 2 : 0;
    for (size_t i = 0; i < op->items_len; i++)
        op->items[i] = sim_book_item(s, NULL, c->queues[t->queue].book,
                                     c->life * SIM_THREADS + (uint32_t)thread, length(s));
    for (size_t i = 0; i < op->items_len; i++)
        refer(s, c, t, op->items[i]);
    h->outstanding[t->queue] += op->items_len;
    begin(s, t, op);
}

static void consume(struct sim *s, struct sim_client *c, struct thread *t, bool hasty)
{
    struct sim_op *op = NULL;

    close_private(s, c);
    while (c->liens_len > 0 && one_in(s, 2))
        sim_unlien(s, c->number, (size_t)sim_below(s, c->liens_len));
    /* Unfinished items first, or now and then another one before. */
    for (size_t i = 0; i < c->held_len; i++)
        if (c->held[i].queue == t->queue && (hasty || !one_in(s, 4))) {
            (void)sim_task_done(s, c->number, i);
            t->next_at = s->now + (hasty ? ms(s, 0, 2) : t->slow ? ms(s, 5, 100) : ms(s, 0, 5));
            return;
        }
    op = sim_op_new(s, c->number, SIM_OP_GET, t->queue,
                    pick(s, timeouts, rv_countof(timeouts) - (hasty ? 1 : 0)));
    op->max = one_in(s, 4) ? 1 + (uint32_t)sim_below(s, 8) : 1;
    if (t->role == CANCELLER && !hasty)
        op->cancel_at = s->now + ms(s, 0, 30);
    else if (op->timeout_ms == UINT32_MAX && !hasty)
        op->cancel_at = AT(104); /* what it holds of a joinable queue must be done */
    begin(s, t, op);
}

static void watch(struct sim *s, struct sim_client *c, struct thread *t)
{
    bool join = history_of(s)->options[t->queue].joinable && one_in(s, 2);
    struct sim_op *op = sim_op_new(s, c->number, join ? SIM_OP_JOIN : SIM_OP_SIZE, t->queue,
                                   1 + (uint32_t)sim_below(s, 3000));

    begin(s, t, op);
    t->next_at = s->now + ms(s, 50, 500);
}

static void nothing(struct sim *s, struct sim_op *op)
{
    (void)s;
    (void)op;
}

/* The dead letters of a queue begin anew. */
static void requeue(struct sim *s, int client, const char *name)
{
    struct sim_op *op = sim_op_new(s, client, SIM_OP_REQUEUE, 0, UINT32_MAX);

    snprintf(op->name, sizeof op->name, "%s", name);
    op->ended = nothing;
    sim_op_begin(s, op);
}

static bool quiet_handle(const struct client *hc, int queue)
{
    for (int i = 0; i < hc->threads_len; i++)
        if (hc->threads[i].queue == queue && hc->threads[i].op != NULL)
            return false;
    return true;
}

/* True when the handle is ready to be used. */
static bool ensure_open(struct sim *s, struct sim_client *c, struct client *hc, int queue)
{
    struct history *h = history_of(s);
    struct sim_op *op = NULL;

    if (hc->reopen[queue] && c->queues[queue].opened && quiet_handle(hc, queue)) {
        sim_queue_close(s, c->number, queue);
        hc->reopen[queue] = false;
    }
    /* In the end a put may wait for ever on the handle for what only a get on the same handle can do. */
    if (c->queues[queue].opened)
        return !hc->reopen[queue] || s->now >= AT(105);
    if (hc->opening[queue])
        return false;
    /* Handles are numbered by queue. */
    c->queues[queue] = (struct sim_queue){
        .used = true, .book = sim_book_queue(s, h->names[queue], &h->options[queue])};
    op = sim_op_new(s, c->number, SIM_OP_OPEN, queue, UINT32_MAX);
    op->options = h->options[queue];
    op->ended = open_ended;
    hc->opening[queue] = true;
    sim_op_begin(s, op);
    return false;
}

static void turn(struct sim *s, struct sim_client *c, struct client *hc, int thread)
{
    const struct history *h = history_of(s);
    struct thread *t = &hc->threads[thread];
    bool late = s->now >= AT(105);

    t->next_at = s->now + (late ? ms(s, 0, 4) : t->slow ? ms(s, 20, 300) : ms(s, 2, 60));
    if (!ensure_open(s, c, hc, t->queue))
        return;
    switch (t->role) {
    case PRODUCER:
        if (!late)
            produce(s, c, t, thread);
        break;
    case CONSUMER:
    case CANCELLER:
        consume(s, c, t, late);
        break;
    case WATCHER:
        if (s->now < AT(112))
            watch(s, c, t);
        break;
    case CLOSER:
        t->next_at = s->now + ms(s, 500, 8000);
        if (s->now < AT(95) && h->options[t->queue].deliveries > 0)
            requeue(s, c->number, h->names[t->queue]);
        if (s->now < AT(95))
            hc->reopen[t->queue] = true;
        break;
    }
}

static void idle(struct sim *s, struct sim_client *c)
{
    struct history *h = history_of(s);
    struct client *hc = &h->clients[c->number];
    rv_ns next = s->now + RV_SEC;

    if (h->leaving) {
        c->idle_until = RV_NEVER;
        return;
    }
    for (int i = 0; i < hc->threads_len; i++) {
        struct thread *t = &hc->threads[i];

        if (t->op == NULL && t->next_at <= s->now && s->now < AT(117))
            turn(s, c, hc, i);
        if (t->op == NULL && t->next_at < next)
            next = t->next_at;
    }
    if (s->now < AT(117)) {
        rv_ns sync = h->sync ? random_sync_turn(s, c) : RV_NEVER;

        next = sync < next ? sync : next;
        sync = h->box ? random_box_turn(s, c) : RV_NEVER;
        next = sync < next ? sync : next;
    }
    c->idle_until = next <= s->now ? s->now + RV_MS : next;
}

/* ---- maps ---- */

static uint64_t dice(const struct sim *s, uint64_t index, uint32_t run)
{
    struct rv_rng rng = {s->maps * 1000003 + index * 31 + run};

    (void)rv_rng_next(&rng);
    return rv_rng_next(&rng);
}

static rv_ns takes(struct sim *s, const struct sim_client *agent, uint64_t index)
{
    uint64_t x = dice(s, index, 77);

    return (rv_ns)(x % 40 == 0 ? 300 + x % 700 : x % 30) * RV_MS *
           (agent->number % 2 == 0 ? 1 : 3) / 2;
}

static enum sim_fate fate(struct sim *s, uint64_t index, uint32_t run)
{
    uint64_t x = dice(s, index, 0);

    if (x % 100 == 0 || (x % 50 == 1 && run == 1))
        return SIM_CRASHES;
    if (x % 50 == 2)
        return SIM_FAILS;
    return x % 200 == 3 ? SIM_HANGS : SIM_RUNS;
}

/* A map that is left to the manager. Who began it may die before it knows how far it came. */
static void leave_one(struct sim *s, struct sim_client *c, uint64_t items)
{
    struct history *h = history_of(s);

    snprintf(h->left, sizeof h->left, "left %u", (unsigned)++h->left_count);
    h->left_items = items;
    h->left_removed = s->removed;
    sim_job_begin(s, c,
                  &(struct sim_map){.items = items,
                                    .name = h->left,
                                    .leave = true,
                                    .stream = one_in(s, 2),
                                    .timeout_ms = 2000});
}

/* To what was left, as often as it takes to have all of it once. */
static bool come_back(struct sim *s, struct sim_client *c)
{
    struct history *h = history_of(s);

    if (h->left[0] == '\0')
        return false;
    if (s->removed > h->left_removed) {
        h->left[0] = '\0';
        return false;
    }
    if (one_in(s, 3) && s->now < AT(95))
        return false;
    sim_job_begin(s, c,
                  &(struct sim_map){.items = h->left_items,
                                    .name = h->left,
                                    .attach = true,
                                    .remove = s->now > AT(95) || !one_in(s, 3)});
    return true;
}

static void map(struct sim *s, struct sim_client *c)
{
    static const uint32_t sizes[] = {0, 1, 7, 60, 300};

    c->idle_until = s->now + ms(s, 20, 2000);
    if (history_of(s)->leaving)
        c->idle_until = RV_NEVER;
    if (c->job != NULL || history_of(s)->leaving)
        return;
    if (come_back(s, c) || s->now > AT(95))
        return;
    if (history_of(s)->left[0] == '\0' && one_in(s, 4)) {
        leave_one(s, c, pick(s, sizes, rv_countof(sizes)));
        return;
    }
    sim_job_begin(s, c,
                  &(struct sim_map){.items = pick(s, sizes, rv_countof(sizes)),
                                    .chunk = one_in(s, 3) ? 1 + (uint32_t)sim_below(s, 20) : 0,
                                    .retries = (uint32_t)sim_below(s, 2),
                                    .timeout_ms = 2000,
                                    .durable = random_level(s),
                                    .processes = one_in(s, 4) ? 2 : 0,
                                    .stream = one_in(s, 2)});
}

/* ---- lives ---- */

static void forget_threads(struct client *hc, int client)
{
    random_sync_forget(client);
    random_box_forget(client);
    for (int i = 0; i < hc->threads_len; i++)
        hc->threads[i].op = NULL;
    memset(hc->opening, 0, sizeof hc->opening);
    memset(hc->reopen, 0, sizeof hc->reopen);
}

static void restart(struct sim *s, void *arg)
{
    struct sim_client *c = arg;
    struct history *h = history_of(s);

    if (c->alive || h->leaving)
        return;
    c->resume_ms = one_in(s, 4) ? 1000 + (uint32_t)sim_below(s, 20000) : 0;
    sim_client_start(s, c->number);
}

/* The session is no more: the program gives up, and somebody starts it again. */
static void died(struct sim *s, struct sim_client *c)
{
    struct history *h = history_of(s);
    struct client *hc = &h->clients[c->number];

    sim_say(s, "link.dead client=%d error=%s", c->number, sim_error_name(c->link.error));
    sim_client_end(s, c);
    forget_threads(hc, c->number);
    if (!h->leaving)
        sim_at(s, &hc->restart, s->now + ms(s, 10, 500));
}

static void kill_client(struct sim *s, int client, enum sim_death how)
{
    struct history *h = history_of(s);

    sim_client_kill(s, client, how);
    forget_threads(&h->clients[client], client);
    sim_at(s, &h->clients[client].restart, s->now + ms(s, 100, 3000));
}

/* ---- faults ---- */

static void resume_client(struct sim *s, void *arg)
{
    struct sim_client *c = arg;

    sim_client_continue(s, c->number);
}

static void resume_server(struct sim *s, void *arg)
{
    (void)arg;
    sim_server_continue(s);
    sim_server_restart(s);
}

static void make_room(struct sim *s, void *arg)
{
    (void)arg;
    if (s->server.up)
        sim_server_space(s, false);
}

/* Behind the last slot: the program that all of them come from. */
static void kill_runner(struct sim *s, int client, uint32_t slot)
{
    if (slot == s->clients[client].slots)
        sim_zygote_kill(s, client);
    else
        sim_runner_kill(s, client, slot);
}

static void one_fault(struct sim *s, struct history *h, enum sim_fault fault, int client)
{
    struct sim_client *c = &s->clients[client];
    uint32_t span =
        one_in(s, 4) ? 100 + (uint32_t)sim_below(s, 20000) : 20 + (uint32_t)sim_below(s, 1500);

    switch (fault) {
    case SIM_DROP:
    case SIM_REPEAT:
    case SIM_REORDER:
        sim_noise(s, client, span, fault == SIM_DROP ? (uint32_t)sim_below(s, 150) : 0,
                  fault == SIM_REPEAT ? (uint32_t)sim_below(s, 200) : 0,
                  fault == SIM_REORDER ? (uint32_t)sim_below(s, 200) : 0);
        break;
    case SIM_RESET:
        sim_reset(s, client);
        break;
    case SIM_ONE_WAY:
        sim_mute(s, client, one_in(s, 2), span);
        break;
    case SIM_PARTITION:
        sim_partition(s, client, span);
        break;
    case SIM_CRASH_GONE:
    case SIM_CRASH_LOST:
    case SIM_CRASH_SILENT:
        if (!c->alive || !one_in(s, 2))
            break;
        s->counts[fault]++;
        kill_client(s, client,
                    fault == SIM_CRASH_GONE   ? SIM_DEATH_GONE
                    : fault == SIM_CRASH_LOST ? SIM_DEATH_LOST
                                              : SIM_DEATH_SILENT);
        break;
    case SIM_CLIENT_STOP:
        sim_client_stop(s, client);
        sim_at(s, &h->clients[client].resume, s->now + (rv_ns)span * RV_MS);
        break;
    case SIM_SERVER_STOP:
        if (h->server.timer.pos != 0)
            break;
        sim_server_stop(s);
        sim_at(s, &h->server, s->now + (rv_ns)(span / 4) * RV_MS);
        break;
    case SIM_SERVER_CRASH:
        if (h->server.timer.pos != 0 || !one_in(s, 2))
            break;
        sim_server_crash(s, one_in(s, 3));
        sim_at(s, &h->server, s->now + (rv_ns)(span / 4) * RV_MS);
        break;
    case SIM_FULL:
        if (h->memory || !s->server.up || h->room.timer.pos != 0)
            break;
        s->counts[SIM_FULL]++;
        sim_server_space(s, true);
        sim_at(s, &h->room, s->now + (rv_ns)(span / 8) * RV_MS);
        break;
    case SIM_RUNNER:
        client = h->clients_len + 1 + (int)sim_below(s, (uint64_t)h->agents_len);
        if (s->clients[client].alive) {
            s->counts[SIM_RUNNER]++;
            kill_runner(s, client, (uint32_t)sim_below(s, s->clients[client].slots + 1));
        }
        break;
    case SIM_SLOW:
        c->slow_until = s->now + (rv_ns)(span % 4000) * RV_MS;
        s->counts[SIM_SLOW]++;
        break;
    default:
        break;
    }
}

static void fault(struct sim *s, void *arg)
{
    struct history *h = arg;

    if (s->now >= AT(90)) {
        for (int i = 1; i <= h->all_len; i++) {
            s->clients[i].weather = (struct sim_weather){0};
            s->clients[i].slow_until = 0;
        }
        for (struct sim_conn *conn = s->conns; conn != NULL; conn = conn->next)
            conn->up.mute_until = conn->down.mute_until = 0;
        return;
    }
    one_fault(s, h, (enum sim_fault)sim_below(s, SIM_BUSY),
              1 + (int)sim_below(s, (uint64_t)h->all_len));
    sim_at(s, &h->fault, s->now + ms(s, 10, 1200));
}

/* ---- the queue that is shut down and removed ---- */

static int some_client(struct sim *s, const struct history *h)
{
    int client = 1 + (int)sim_below(s, (uint64_t)h->clients_len);
    const struct sim_client *c = &s->clients[client];

    return c->alive && !c->stopped && c->link.state == RV_LINK_READY && c->queues[BRIEF].opened
               ? client
               : 0;
}

static void brief(struct sim *s, void *arg)
{
    struct history *h = arg;
    int client = some_client(s, h);
    struct sim_op *op = NULL;

    if (s->now >= AT(95))
        return;
    sim_at(s, &h->brief, s->now + ms(s, 50, 6000));
    if (client == 0 ||
        strcmp(s->book.queues[s->clients[client].queues[BRIEF].book].name, h->names[BRIEF]) != 0)
        return;
    s->book.queues[s->clients[client].queues[BRIEF].book].void_ = true;
    op = sim_op_new(s, client, SIM_OP_SHUTDOWN, BRIEF, UINT32_MAX);
    op->max = one_in(s, 2);
    op->ended = nothing;
    sim_op_begin(s, op);
    if (one_in(s, 2)) {
        op = sim_op_new(s, client, SIM_OP_REMOVE, BRIEF, UINT32_MAX);
        snprintf(op->name, sizeof op->name, "%s", h->names[BRIEF]);
        op->ended = nothing;
        sim_op_begin(s, op);
    }
    snprintf(h->names[BRIEF], sizeof h->names[BRIEF], "brief%d", ++h->generation);
    h->outstanding[BRIEF] = 0;
}

/* ---- a history ---- */

enum rv_durable random_level(struct sim *s)
{
    return s->mild ? (enum rv_durable)sim_below(s, RV_DURABLE_SYNC + 1) : RV_DURABLE_DEFAULT;
}

static void choose_queues(struct sim *s, struct history *h)
{
    for (int i = 0; i < QUEUES; i++) {
        struct sim_options *o = &h->options[i];

        o->order = i > 0 && one_in(s, 4) ? (one_in(s, 2) ? RV_ORDER_LIFO : RV_ORDER_PRIORITY)
                                         : RV_ORDER_FIFO;
        o->maxsize = i > 0 && one_in(s, 2) ? 1 + (uint32_t)sim_below(s, 20) : 0;
        o->joinable = one_in(s, 3);
        o->no_prefetch = one_in(s, 5);
        o->ttl_ms = i == BRIEF ? 1000 : 0;
        o->durable = random_level(s);
        if (o->joinable && i != BRIEF && !one_in(s, 3))
            o->deliveries = 1 + (uint32_t)sim_below(s, 3);
        if (one_in(s, 3)) {
            o->retry_ms = 1 + (uint32_t)sim_below(s, 2000);
            o->retry_max_ms = 3000;
        }
        snprintf(h->names[i], sizeof h->names[i], "%s%d", i == BRIEF ? "brief" : "q",
                 i == BRIEF ? 0 : i);
    }
}

static void choose_threads(struct sim *s, struct history *h)
{
    for (int c = 1; c <= h->clients_len; c++) {
        struct client *hc = &h->clients[c];

        hc->threads_len = 1 + (int)sim_below(s, SIM_THREADS);
        for (int i = 0; i < hc->threads_len; i++) {
            static const enum role roles[] = {PRODUCER, PRODUCER,  PRODUCER, CONSUMER, CONSUMER,
                                              CONSUMER, CANCELLER, WATCHER,  CLOSER};

            hc->threads[i] = (struct thread){.role = roles[sim_below(s, rv_countof(roles))],
                                             .queue = (int)sim_below(s, QUEUES),
                                             .slow = one_in(s, 2),
                                             .client = hc};
        }
    }
    /* Every queue has somebody who puts and somebody who gets. */
    for (int i = 0; i < QUEUES; i++) {
        struct client *hc = &h->clients[1 + i % h->clients_len];
        struct client *other = &h->clients[1 + (i + 1) % h->clients_len];

        hc->threads[0] = (struct thread){.role = CONSUMER, .queue = i, .client = hc};
        if (hc->threads_len < 2)
            hc->threads_len = 2;
        if (other->threads_len < 2)
            other->threads_len = 2;
        other->threads[1] =
            (struct thread){.role = PRODUCER, .queue = i, .slow = one_in(s, 2), .client = other};
        if (hc->threads[1].client == NULL)
            hc->threads[1] =
                (struct thread){.role = WATCHER, .queue = i, .slow = true, .client = hc};
    }
}

static void begin_history(struct sim *s, struct history *h, uint64_t seed)
{
    sim_init(s, seed);
    s->random = true;
    s->script = h;
    s->delay_min = 100 * 1000;
    s->delay_max = s->delay_min + ms(s, 0, 3);
    s->commit_max = ms(s, 0, 3);
    *h = (struct history){.s = s, .clients_len = QUEUES + (int)sim_below(s, 4)};
    h->agents_len = 2 + (int)sim_below(s, 2);
    h->all_len = h->clients_len + h->agents_len + 1;
    s->play = (struct sim_play){.takes = takes, .fate = fate};
    h->sync = !one_in(s, 3);
    h->memory = one_in(s, 6);
    s->server.memory = h->memory;
    s->mild = !h->memory && one_in(s, 3);
    random_sync_begin(s);
    h->box = one_in(s, 3);
    if (h->box)
        random_box_begin(s);
    choose_queues(s, h);
    choose_threads(s, h);
    sim_server_start(s);
    for (int c = 1; c <= h->all_len; c++) {
        h->clients[c].restart = (struct sim_event){.fire = restart, .arg = &s->clients[c]};
        h->clients[c].resume = (struct sim_event){.fire = resume_client, .arg = &s->clients[c]};
        s->clients[c].idle = c <= h->clients_len ? idle : c == h->all_len ? map : NULL;
        if (c > h->clients_len && c < h->all_len)
            s->clients[c].slots = 1 + (uint32_t)sim_below(s, 3);
        s->clients[c].died = died;
        s->clients[c].number = c;
        sim_client_start(s, c);
    }
    h->fault = (struct sim_event){.fire = fault, .arg = h};
    h->brief = (struct sim_event){.fire = brief, .arg = h};
    h->server = (struct sim_event){.fire = resume_server};
    h->room = (struct sim_event){.fire = make_room};
    sim_at(s, &h->fault, AT(1));
    sim_at(s, &h->brief, AT(3));
}

static void shut_everything(struct sim *s, struct history *h)
{
    for (int q = 0; q < QUEUES; q++)
        for (int c = 1; c <= h->clients_len; c++)
            if (s->clients[c].queues[q].opened) {
                struct sim_op *op = sim_op_new(s, c, SIM_OP_SHUTDOWN, q, UINT32_MAX);

                op->ended = nothing;
                sim_op_begin(s, op);
            }
}

static void end_history(struct sim *s, struct history *h)
{
    sim_run_until(s, AT(117));
    sim_book_finish(s);
    random_sync_finish(s, h->clients_len);
    if (h->box)
        random_box_finish(s, h->clients_len);
    shut_everything(s, h);
    sim_run_until(s, AT(119));
    for (int c = 1; c <= h->clients_len; c++) {
        if (!s->clients[c].alive || s->clients[c].link.state != RV_LINK_READY)
            sim_broken(s, "client %d is not connected, 29 s after the last fault", c);
        if (s->clients[c].ops != NULL)
            sim_broken(
                s, "client %d: a call (%d) waits on %s, which was shut down", c,
                (int)s->clients[c].ops->kind,
                s->clients[c].ops->queue < 0
                    ? "something"
                    : s->book.queues[s->clients[c].queues[s->clients[c].ops->queue].book].name);
    }
    for (int c = h->clients_len + 1; c <= h->all_len; c++)
        if (!s->clients[c].alive || s->clients[c].link.state != RV_LINK_READY)
            sim_broken(s, "client %d is not connected, 29 s after the last fault", c);
    if (s->clients[h->all_len].job != NULL)
        sim_broken(s, "a map has not ended, 24 s after it began and 29 s after the last fault");
    h->leaving = true;
    for (int c = 1; c <= h->all_len; c++)
        sim_client_goodbye(s, c);
    sim_run_until(s, AT(150));
    if (mgr_sessions(s->server.mgr) != 0)
        sim_broken(s, "%zu sessions were not forgotten", mgr_sessions(s->server.mgr));
    /* Each of the lasting queues may have a queue of dead letters. */
    if (mgr_objects(s->server.mgr) > BRIEF * 2 + sim_book_kept(s) + sim_box_kept(s))
        sim_broken(s, "%zu objects were not forgotten", mgr_objects(s->server.mgr));
    for (int c = 1; c <= h->all_len; c++)
        if (s->clients[c].alive)
            sim_broken(s, "client %d said goodbye and was not let go", c);
}

/* ---- running them ---- */

struct report {
    uint64_t counts[SIM_FAULTS_LEN];
    uint64_t accepted, delivered, redelivered, done, joins, steps, frames, maps, mapped, crashes,
        snapshots, promises;
    uint64_t acquired, deaths, dead, referred, boxed, told;
};

static struct sim world;
static struct history history;

static void run(uint64_t seed, bool quiet, struct report *out)
{
    begin_history(&world, &history, seed);
    world.quiet = quiet;
    end_history(&world, &history);
    *out = (struct report){.accepted = world.book.accepted,
                           .delivered = world.book.delivered,
                           .redelivered = world.book.redelivered,
                           .done = world.book.done,
                           .joins = world.book.joins,
                           .steps = world.server.steps,
                           .frames = world.frames,
                           .maps = world.maps,
                           .mapped = world.mapped,
                           .crashes = world.crashes,
                           .snapshots = world.snapshots,
                           .promises = world.promises,
                           .dead = world.book.dead,
                           .referred = world.book.referred};
    memcpy(out->counts, world.counts, sizeof out->counts);
    sim_sync_counts(&world, &out->acquired, &out->deaths);
    sim_box_counts(&world, &out->boxed, &out->told);
    sim_stop(&world);
}

/* An assertion of the cores: the story up to it. */
static void tell_story(int signal_number)
{
    (void)signal_number;
    signal(SIGABRT, SIG_DFL);
    if (!world.quiet)
        fprintf(stderr, "%.*s---- at %lld ms\n", (int)world.story.len,
                world.story.len == 0 ? "" : (const char *)world.story.data,
                (long long)((world.now - world.origin) / RV_MS));
    if (!world.quiet && world.server.mgr != NULL)
        fprintf(stderr, "---- the manager\n%s", sim_portrait(world.server.mgr));
    for (int c = 1; c <= history.clients_len && !world.quiet; c++)
        for (int i = 0; i < history.clients[c].threads_len; i++) {
            const struct thread *t = &history.clients[c].threads[i];

            fprintf(stderr, "client %d: thread %d role=%d handle=%d %s next=%lld opened=%d %s%s\n",
                    c, i, (int)t->role, t->queue, t->op == NULL ? "idle" : "calls",
                    (long long)((t->next_at - world.origin) / RV_MS),
                    world.clients[c].queues[t->queue].opened,
                    history.clients[c].opening[t->queue] ? "opening " : "",
                    history.clients[c].reopen[t->queue] ? "reopen" : "");
        }
    for (int c = 1; c <= history.clients_len && !world.quiet; c++)
        for (const struct sim_op *op = world.clients[c].ops; op != NULL; op = op->next)
            fprintf(stderr, "client %d: call %d on handle %d since %lld ms, %s\n", c, (int)op->kind,
                    op->queue, (long long)((op->begun_at - world.origin) / RV_MS),
                    op->request == NULL ? "not sent"
                    : op->request->done ? "answered"
                                        : "in flight");
    fflush(NULL);
    abort();
}

int random_one(uint64_t seed)
{
    struct report report;

    signal(SIGABRT, tell_story);
    run(seed, false, &report);
    printf("seed %llu passed: %llu items accepted, %llu delivered, %llu commands\n",
           (unsigned long long)seed, (unsigned long long)report.accepted,
           (unsigned long long)report.delivered, (unsigned long long)report.steps);
    return 0;
}

/* A child runs seeds until one fails; it says a report for each that passed. Returns the seed
 * behind the last that passed. */
static uint64_t run_some(uint64_t from, uint64_t to, bool silent, struct report *sum)
{
    struct report report;
    int fds[2];
    pid_t pid = 0;

    fflush(NULL);
    if (pipe(fds) != 0)
        return from;
    pid = fork();
    if (pid == 0) {
        close(fds[0]);
        if (silent && freopen("/dev/null", "w", stderr) == NULL)
            _exit(1);
        for (uint64_t seed = from; seed <= to; seed++) {
            alarm(SEED_SECONDS);
            run(seed, true, &report);
            if (write(fds[1], &report, sizeof report) != (ssize_t)sizeof report)
                _exit(1);
        }
        exit(0);
    }
    close(fds[1]);
    for (; read(fds[0], &report, sizeof report) == (ssize_t)sizeof report; from++) {
        for (size_t i = 0; i < SIM_FAULTS_LEN; i++)
            sum->counts[i] += report.counts[i];
        sum->accepted += report.accepted;
        sum->delivered += report.delivered;
        sum->redelivered += report.redelivered;
        sum->done += report.done;
        sum->joins += report.joins;
        sum->steps += report.steps;
        sum->frames += report.frames;
        sum->maps += report.maps;
        sum->mapped += report.mapped;
        sum->crashes += report.crashes;
        sum->snapshots += report.snapshots;
        sum->promises += report.promises;
        sum->acquired += report.acquired;
        sum->deaths += report.deaths;
        sum->dead += report.dead;
        sum->referred += report.referred;
        sum->boxed += report.boxed;
        sum->told += report.told;
    }
    close(fds[0]);
    waitpid(pid, NULL, 0);
    return from;
}

uint64_t random_first_failure(uint64_t from, uint64_t to)
{
    struct report sum = {0};
    uint64_t next = run_some(from, to, true, &sum);

    return next > to ? 0 : next;
}

static double seconds(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static int show(const struct report *sum, uint64_t seeds, double real)
{
    int few = 0;

    for (size_t i = 0; i < SIM_FAULTS_LEN; i++) {
        printf("  %8llu %s\n", (unsigned long long)sum->counts[i],
               sim_fault_name((enum sim_fault)i));
        if (sum->counts[i] < seeds / 2 + 1 && seeds >= 10) {
            printf("  too few %s\n", sim_fault_name((enum sim_fault)i));
            few++;
        }
    }
    printf(
        "  %llu items accepted, %llu delivered (%llu again), %llu done, %llu joins, %llu commands,"
        " %llu frames\n",
        (unsigned long long)sum->accepted, (unsigned long long)sum->delivered,
        (unsigned long long)sum->redelivered, (unsigned long long)sum->done,
        (unsigned long long)sum->joins, (unsigned long long)sum->steps,
        (unsigned long long)sum->frames);
    printf("  %llu maps done, %llu items of them, %llu crashes of runners, %llu snapshots loaded,"
           " %llu replies taken at their word\n",
           (unsigned long long)sum->maps, (unsigned long long)sum->mapped,
           (unsigned long long)sum->crashes, (unsigned long long)sum->snapshots,
           (unsigned long long)sum->promises);
    printf("  %llu locks and permits acquired, %llu of them from the dead\n",
           (unsigned long long)sum->acquired, (unsigned long long)sum->deaths);
    printf("  %llu dead letters, %llu references had\n", (unsigned long long)sum->dead,
           (unsigned long long)sum->referred);
    printf("  %llu calls on containers answered, %llu waits told of a change\n",
           (unsigned long long)sum->boxed, (unsigned long long)sum->told);
    printf("  %llu histories of 150 s in %.1f s: %.0f times faster than the clock\n",
           (unsigned long long)seeds, real, real > 0 ? (double)seeds * 150 / real : 0);
    return few;
}

int random_many(uint64_t from, uint64_t to)
{
    struct report sum = {0};
    double begun = seconds();
    uint64_t next = from;
    int failed = 0;

    while (next <= to) {
        next = run_some(next, to, false, &sum);
        if (next > to)
            break;
        printf("FAIL seed %llu   (again: run-sim --seed %llu)\n", (unsigned long long)next,
               (unsigned long long)next);
        failed++;
        next++;
    }
    failed += show(&sum, to - from + 1, seconds() - begun);
    printf("%s %llu random histories, seeds %llu to %llu, %d failed\n",
           failed == 0 ? "PASS" : "FAIL", (unsigned long long)(to - from + 1),
           (unsigned long long)from, (unsigned long long)to, failed);
    return failed;
}
