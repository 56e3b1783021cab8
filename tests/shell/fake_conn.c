#include "tests/shell/fake_conn.h"

#include "server/core/gate.h"
#include "server/core/log.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include <utlist.h>

enum { FAKES_MAX = 8, PRINCIPAL = 7, PAUSE_MS = 2000 };

/* A frame or an end, on its way in one of the two directions. */
struct parcel {
    uint64_t peer;
    enum rv_conn_event what;
    rv_ns at; /* not before */
    struct rv_buf control;
    struct rv_buf bodies[RV_BODIES_MAX];
    size_t bodies_len;
    struct parcel *prev, *next;
};

struct rv_conn {
    struct fake *fake; /* NULL: nobody has this endpoint */
    uint64_t peer;
    int fd;
    bool signalled;
    bool greeted;
    bool ended;
    enum rv_conn_event end;
    struct parcel *mailbox; /* came, and the descriptor tells of it */
    struct parcel *inbox;   /* came, and a call on the connection has seen it */
    struct parcel *lent;
    struct rv_conn *prev, *next;
};

struct fake {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    pthread_t thread;
    char endpoint[128];
    char public_key[RV_KEY_TEXT];
    char client_key[RV_KEY_TEXT];
    enum fake_mood mood;
    bool stop;
    bool replace;
    bool jammed;
    bool held;
    uint32_t delay_ms;
    unsigned opened;
    uint64_t last_peer;
    struct rv_conn *conns;
    struct parcel *arrivals; /* from clients */
    struct parcel *leaving;  /* to clients, in the order of their time */

    /* of the thread alone */
    rv_ns now;
    struct mgr *mgr;
    struct gate *gate;
    struct rv_log *log;
    struct outbox out;
};

static pthread_mutex_t table_lock = PTHREAD_MUTEX_INITIALIZER;
static struct fake *table[FAKES_MAX];

/* Locked, so that it does not go meanwhile. */
static struct fake *lock_fake(const char *endpoint)
{
    struct fake *found = NULL;

    pthread_mutex_lock(&table_lock);
    for (size_t i = 0; i < FAKES_MAX; i++)
        if (table[i] != NULL && strcmp(table[i]->endpoint, endpoint) == 0)
            found = table[i];
    if (found != NULL)
        pthread_mutex_lock(&found->lock);
    pthread_mutex_unlock(&table_lock);
    return found;
}

static void put_in_table(struct fake *old, struct fake *new)
{
    size_t i = 0;

    pthread_mutex_lock(&table_lock);
    while (i < FAKES_MAX && table[i] != old)
        i++;
    rv_assert(i < FAKES_MAX);
    table[i] = new;
    pthread_mutex_unlock(&table_lock);
}

/* ---- parcels ---- */

static struct parcel *parcel_new(uint64_t peer, enum rv_conn_event what)
{
    struct parcel *p = rv_alloc(sizeof *p);

    p->peer = peer;
    p->what = what;
    return p;
}

static struct parcel *parcel_of(uint64_t peer, struct rv_slice control,
                                const struct rv_slice *bodies, size_t bodies_len)
{
    struct parcel *p = parcel_new(peer, RV_CONN_MESSAGE);

    rv_assert(bodies_len <= RV_BODIES_MAX);
    rv_buf_add(&p->control, control.data, control.len);
    for (size_t i = 0; i < bodies_len; i++)
        rv_buf_add(&p->bodies[i], bodies[i].data, bodies[i].len);
    p->bodies_len = bodies_len;
    return p;
}

static void parcel_free(struct parcel *p)
{
    if (p == NULL)
        return;
    rv_buf_free(&p->control);
    for (size_t i = 0; i < p->bodies_len; i++)
        rv_buf_free(&p->bodies[i]);
    free(p);
}

/* Drop those of a peer; 0 is all. */
static void drop_parcels(struct parcel **list, uint64_t peer)
{
    struct parcel *p = NULL;
    struct parcel *next = NULL;

    DL_FOREACH_SAFE (*list, p, next) {
        if (peer != 0 && p->peer != peer)
            continue;
        DL_DELETE(*list, p);
        parcel_free(p);
    }
}

/* ---- the client's end; the fake's lock is held ---- */

static void signal_conn(struct rv_conn *conn)
{
    if (!conn->signalled)
        (void)eventfd_write(conn->fd, 1);
    conn->signalled = true;
}

/* Every call on a connection looks into the mailbox, as in libzmq. */
static void open_mailbox(struct rv_conn *conn)
{
    eventfd_t value = 0;

    if (!conn->signalled)
        return;
    (void)eventfd_read(conn->fd, &value);
    conn->signalled = false;
    DL_CONCAT(conn->inbox, conn->mailbox);
    conn->mailbox = NULL;
}

static void deliver(struct rv_conn *conn, struct parcel *p)
{
    DL_APPEND(conn->mailbox, p);
    signal_conn(conn);
}

static struct rv_conn *find_conn(struct fake *f, uint64_t peer)
{
    struct rv_conn *conn = NULL;

    DL_SEARCH_SCALAR(f->conns, conn, peer, peer);
    return conn;
}

/* ---- the manager's end ---- */

static void post(struct fake *f, struct parcel *p)
{
    p->at = rv_after_ms(rv_clock_now(), f->delay_ms);
    DL_APPEND(f->leaving, p);
    pthread_cond_broadcast(&f->changed);
}

static void hand_over_due(struct fake *f)
{
    while (!f->held && f->leaving != NULL && f->leaving->at <= f->now) {
        struct parcel *p = f->leaving;
        struct rv_conn *conn = find_conn(f, p->peer);

        DL_DELETE(f->leaving, p);
        if (conn == NULL)
            parcel_free(p);
        else
            deliver(conn, p);
    }
}

static void on_commit(void *arg, const struct command *cmd)
{
    struct fake *f = arg;

    mgr_step(f->mgr, cmd, &f->out);
    mgr_check(f->mgr);
    gate_stepped(f->gate, f->now, cmd, &f->out);
    outbox_clear(&f->out);
}

static void begin_manager(struct fake *f)
{
    struct mgr_conf conf = {.term = 1, .server = "fake", .durable = "none"};
    struct rv_log_callbacks callbacks = {.committed = on_commit, .arg = f};
    struct rv_buf row = {0};

    f->now = conf.started_at = rv_clock_now();
    rv_random_bytes(&conf.store, sizeof conf.store);
    f->mgr = mgr_new(&conf);
    f->gate = gate_new(f->mgr, NULL);
    f->log = rv_log_mem_open(&callbacks);
    rv_principal_row_encode(&row, &(struct rv_principal_row){.id = PRINCIPAL,
                                                             .name = rv_slice_str("client"),
                                                             .role = rv_slice_str("admin")});
    rv_log_add(f->log, &(struct command){.type = COMMAND_PRINCIPAL,
                                         .logged = true,
                                         .at = f->now,
                                         .bytes = rv_buf_slice(&row)});
    rv_buf_free(&row);
}

static void end_manager(struct fake *f)
{
    rv_log_close(&f->log);
    gate_free(&f->gate);
    mgr_free(&f->mgr);
    outbox_free(&f->out);
    f->out = (struct outbox){0};
}

static void hear(struct fake *f, const struct parcel *p)
{
    struct rv_slice bodies[RV_BODIES_MAX];
    struct gate_message in = {
        .peer = p->peer,
        .principal = PRINCIPAL,
        .control = rv_buf_slice(&p->control),
        .bodies = bodies,
        .bodies_len = p->bodies_len,
    };
    struct command cmd;
    bool some = false;

    for (size_t i = 0; i < p->bodies_len; i++)
        bodies[i] = rv_buf_slice(&p->bodies[i]);
    if (p->what == RV_CONN_MESSAGE)
        some = gate_receive(f->gate, f->now, &in, &cmd);
    else
        some = gate_lost(f->gate, f->now, p->peer, false, &cmd);
    if (some)
        rv_log_add(f->log, &cmd);
}

static void round_of(struct fake *f)
{
    struct gate_frame frame;
    struct command cmd;
    uint64_t peer = 0;

    while (f->arrivals != NULL) {
        struct parcel *p = f->arrivals;

        DL_DELETE(f->arrivals, p);
        hear(f, p);
        parcel_free(p);
    }
    while (gate_expire(f->gate, f->now, &cmd))
        rv_log_add(f->log, &cmd);
    if (mgr_deadline(f->mgr) <= f->now)
        rv_log_add(f->log, &(struct command){.type = COMMAND_EXPIRE, .logged = true, .at = f->now});
    while (gate_transmit(f->gate, f->now, &frame)) {
        bool there = find_conn(f, frame.peer) != NULL;

        if (there)
            post(f, parcel_of(frame.peer, frame.control, frame.bodies, frame.bodies_len));
        gate_sent(f->gate, f->now, there ? GATE_SENT : GATE_GONE);
    }
    while (gate_cut(f->gate, &peer))
        post(f, parcel_new(peer, RV_CONN_LOST));
}

static void sleep_until(struct fake *f, rv_ns deadline)
{
    struct timespec at = {.tv_sec = deadline / RV_SEC, .tv_nsec = deadline % RV_SEC};

    if (deadline == RV_NEVER)
        pthread_cond_wait(&f->changed, &f->lock);
    else
        pthread_cond_timedwait(&f->changed, &f->lock, &at);
}

static rv_ns sooner(rv_ns a, rv_ns b)
{
    return a < b ? a : b;
}

static rv_ns next_deadline(const struct fake *f)
{
    return sooner(mgr_deadline(f->mgr), gate_deadline(f->gate));
}

static void *serve(void *arg)
{
    struct fake *f = arg;

    begin_manager(f);
    pthread_mutex_lock(&f->lock);
    while (!f->stop) {
        rv_ns until = RV_NEVER;

        f->now = rv_clock_now();
        if (f->replace) {
            end_manager(f);
            begin_manager(f);
            f->replace = false;
            pthread_cond_broadcast(&f->changed);
        }
        if (f->mood != FAKE_DEAF) {
            rv_ns late = f->now - sooner(next_deadline(f), f->now);

            if (late > PAUSE_MS * RV_MS)
                gate_forgive(f->gate, late);
            round_of(f);
            until = next_deadline(f);
        }
        hand_over_due(f);
        if (f->leaving != NULL && !f->held)
            until = sooner(until, f->leaving->at);
        if (f->mood == FAKE_DEAF || f->arrivals == NULL)
            sleep_until(f, until);
    }
    pthread_mutex_unlock(&f->lock);
    end_manager(f);
    return NULL;
}

/* ---- what a test does to it ---- */

struct fake *fake_start(const char *endpoint, const char *public_key, const char *client_key)
{
    struct fake *f = rv_alloc(sizeof *f);
    pthread_condattr_t attr;

    snprintf(f->endpoint, sizeof f->endpoint, "%s", endpoint);
    snprintf(f->public_key, sizeof f->public_key, "%s", public_key);
    snprintf(f->client_key, sizeof f->client_key, "%s", client_key);
    pthread_mutex_init(&f->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&f->changed, &attr);
    pthread_condattr_destroy(&attr);
    rv_assert(pthread_create(&f->thread, NULL, serve, f) == 0);
    put_in_table(NULL, f);
    return f;
}

static void cut_all(struct fake *f)
{
    struct rv_conn *conn = NULL;

    drop_parcels(&f->arrivals, 0);
    drop_parcels(&f->leaving, 0);
    DL_FOREACH (f->conns, conn) {
        struct parcel *lost = parcel_new(conn->peer, RV_CONN_LOST);

        deliver(conn, parcel_new(conn->peer, RV_CONN_LOST));
        DL_APPEND(f->arrivals, lost);
    }
    pthread_cond_broadcast(&f->changed);
}

void fake_stop(struct fake **fake)
{
    struct fake *f = *fake;
    struct rv_conn *conn = NULL;

    if (f == NULL)
        return;
    put_in_table(f, NULL);
    pthread_mutex_lock(&f->lock);
    DL_FOREACH (f->conns, conn) {
        deliver(conn, parcel_new(conn->peer, RV_CONN_LOST));
    }
    f->stop = true;
    pthread_cond_broadcast(&f->changed);
    while (f->conns != NULL)
        sleep_until(f, RV_NEVER); /* its clients let go of it before it can be freed */
    pthread_mutex_unlock(&f->lock);
    pthread_join(f->thread, NULL);
    drop_parcels(&f->arrivals, 0);
    drop_parcels(&f->leaving, 0);
    pthread_cond_destroy(&f->changed);
    pthread_mutex_destroy(&f->lock);
    free(f);
    *fake = NULL;
}

void fake_mood(struct fake *f, enum fake_mood mood)
{
    pthread_mutex_lock(&f->lock);
    f->mood = mood;
    pthread_cond_broadcast(&f->changed);
    pthread_mutex_unlock(&f->lock);
}

void fake_cut(struct fake *f)
{
    pthread_mutex_lock(&f->lock);
    cut_all(f);
    pthread_mutex_unlock(&f->lock);
}

void fake_replace(struct fake *f)
{
    pthread_mutex_lock(&f->lock);
    cut_all(f);
    f->replace = true;
    pthread_cond_broadcast(&f->changed);
    while (f->replace)
        sleep_until(f, RV_NEVER);
    pthread_mutex_unlock(&f->lock);
}

void fake_delay(struct fake *f, uint32_t ms)
{
    pthread_mutex_lock(&f->lock);
    f->delay_ms = ms;
    pthread_mutex_unlock(&f->lock);
}

void fake_jam(struct fake *f, bool jammed)
{
    struct rv_conn *conn = NULL;

    pthread_mutex_lock(&f->lock);
    f->jammed = jammed;
    DL_FOREACH (f->conns, conn) {
        signal_conn(conn);
    }
    pthread_mutex_unlock(&f->lock);
}

void fake_hold(struct fake *f, bool held)
{
    pthread_mutex_lock(&f->lock);
    f->held = held;
    pthread_cond_broadcast(&f->changed);
    pthread_mutex_unlock(&f->lock);
}

unsigned fake_held(struct fake *f)
{
    const struct parcel *p = NULL;
    unsigned count = 0;

    pthread_mutex_lock(&f->lock);
    DL_COUNT(f->leaving, p, count);
    pthread_mutex_unlock(&f->lock);
    return count;
}

unsigned fake_open_now(struct fake *f)
{
    const struct rv_conn *conn = NULL;
    unsigned count = 0;

    pthread_mutex_lock(&f->lock);
    DL_COUNT(f->conns, conn, count);
    pthread_mutex_unlock(&f->lock);
    return count;
}

unsigned fake_opened(struct fake *f)
{
    unsigned opened = 0;

    pthread_mutex_lock(&f->lock);
    opened = f->opened;
    pthread_mutex_unlock(&f->lock);
    return opened;
}

/* ---- rv_conn ---- */

/* How the handshake ends; NONE: it does not. */
static enum rv_conn_event handshake(const struct fake *f, const struct rv_conn_conf *conf)
{
    switch (f->mood) {
    case FAKE_SERVES:
        break;
    case FAKE_ABSENT:
        return RV_CONN_LOST;
    case FAKE_DEAF:
        return RV_CONN_NONE;
    case FAKE_REFUSES:
        return RV_CONN_REFUSED;
    case FAKE_STRANGER:
        return RV_CONN_MISMATCH;
    case FAKE_BYSTANDER:
        return RV_CONN_HUNG_UP;
    }
    if (strcmp(conf->server_key, f->public_key) != 0)
        return RV_CONN_MISMATCH;
    return strcmp(conf->public_key, f->client_key) == 0 ? RV_CONN_READY : RV_CONN_REFUSED;
}

reeve_err rv_conn_open(struct rv_conn **out, const struct rv_conn_conf *conf, char *why)
{
    struct rv_conn *conn = rv_alloc(sizeof *conn);
    enum rv_conn_event how = RV_CONN_LOST;
    struct fake *f = NULL;

    conn->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (conn->fd < 0) {
        snprintf(why, 256, "unable to connect to %s: %s", conf->endpoint, strerror(errno));
        free(conn);
        *out = NULL;
        return REEVE_ESYS;
    }
    *out = conn;
    f = lock_fake(conf->endpoint);
    if (f == NULL) {
        deliver(conn, parcel_new(0, RV_CONN_LOST));
        return REEVE_OK;
    }
    conn->fake = f;
    conn->peer = ++f->last_peer;
    f->opened++;
    DL_APPEND(f->conns, conn);
    how = handshake(f, conf);
    if (how != RV_CONN_NONE)
        post(f, parcel_new(conn->peer, how));
    pthread_mutex_unlock(&f->lock);
    return REEVE_OK;
}

void rv_conn_close(struct rv_conn **out)
{
    struct rv_conn *conn = *out;
    struct fake *f = NULL;

    if (conn == NULL)
        return;
    *out = NULL;
    f = conn->fake;
    if (f != NULL) {
        pthread_mutex_lock(&f->lock);
        DL_DELETE(f->conns, conn);
        drop_parcels(&f->leaving, conn->peer);
        if (!f->stop) {
            struct parcel *lost = parcel_new(conn->peer, RV_CONN_LOST);

            DL_APPEND(f->arrivals, lost);
        }
        pthread_cond_broadcast(&f->changed);
        pthread_mutex_unlock(&f->lock);
    }
    drop_parcels(&conn->mailbox, 0);
    drop_parcels(&conn->inbox, 0);
    parcel_free(conn->lent);
    close(conn->fd);
    free(conn);
}

void rv_conn_abandon(struct rv_conn **out)
{
    /* In a child: the lists may be half-way through something. */
    if (*out != NULL)
        close((*out)->fd);
    *out = NULL;
}

size_t rv_conn_fds(const struct rv_conn *conn, int fds[2])
{
    fds[0] = conn->fd;
    return 1;
}

/* The mailbox tells of everything. */
void rv_conn_look(struct rv_conn *conn)
{
    (void)conn;
}

static void lock_conn(struct rv_conn *conn)
{
    if (conn->fake != NULL)
        pthread_mutex_lock(&conn->fake->lock);
    open_mailbox(conn);
}

static void unlock_conn(struct rv_conn *conn)
{
    if (conn->fake != NULL)
        pthread_mutex_unlock(&conn->fake->lock);
}

static enum rv_conn_event next_event(struct rv_conn *conn)
{
    struct parcel *p = conn->inbox;

    parcel_free(conn->lent);
    conn->lent = NULL;
    if (p == NULL)
        return conn->ended ? conn->end : RV_CONN_NONE;
    DL_DELETE(conn->inbox, p);
    conn->lent = p;
    if (p->what == RV_CONN_READY)
        conn->greeted = true;
    if (p->what != RV_CONN_READY && p->what != RV_CONN_MESSAGE) {
        conn->ended = true;
        conn->end = p->what;
    }
    return p->what;
}

enum rv_conn_event rv_conn_receive(struct rv_conn *conn, struct rv_net_message *out)
{
    enum rv_conn_event event = RV_CONN_NONE;

    lock_conn(conn);
    event = next_event(conn);
    unlock_conn(conn);
    if (event != RV_CONN_MESSAGE)
        return event;
    *out = (struct rv_net_message){.control = rv_buf_slice(&conn->lent->control),
                                   .bodies_len = conn->lent->bodies_len};
    for (size_t i = 0; i < out->bodies_len; i++)
        out->bodies[i] = rv_buf_slice(&conn->lent->bodies[i]);
    return event;
}

enum rv_net_result rv_conn_send(struct rv_conn *conn, struct rv_slice control,
                                const struct rv_slice *bodies, size_t bodies_len)
{
    struct fake *f = conn->fake;
    enum rv_net_result result = RV_NET_GONE;

    lock_conn(conn);
    if (f != NULL && !conn->ended)
        result = conn->greeted && !f->jammed ? RV_NET_SENT : RV_NET_BUSY;
    if (result == RV_NET_SENT) {
        struct parcel *p = parcel_of(conn->peer, control, bodies, bodies_len);

        DL_APPEND(f->arrivals, p);
        pthread_cond_broadcast(&f->changed);
    }
    unlock_conn(conn);
    return result;
}
