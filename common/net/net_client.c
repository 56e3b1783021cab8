#include "common/net/net_util.h"

#include "common/net/keys.h"
#include "common/net/knock.h"
#include "common/net/relay.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

/* Long enough for a last goodbye to leave. It passes in the background; nobody waits for it. */
enum { LINGER_MS = 300 };

/* How much later than ours libzmq's own deadlines come, which can't be told from a mismatch. */
enum {
    SPARE_MS = 1000,
    STILL_MS = 100, /* more than a manager takes to turn a newcomer away */
};

/* HANDSHAKE_FAILED_PROTOCOL is left out on purpose: with it in the mask, a connection that meets
 * a broken message after its handshake stays open for ever and moves no data. */
#define EVENTS                                                                                     \
    (ZMQ_EVENT_DISCONNECTED | ZMQ_EVENT_CLOSED | ZMQ_EVENT_HANDSHAKE_SUCCEEDED |                   \
     ZMQ_EVENT_HANDSHAKE_FAILED_AUTH | ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL)

/*
 *   CONNECTING --- handshake succeeded ---> READY --- disconnected ---> ENDED
 *       |------ refused, nobody there, too late --------------------------^
 *       '------ failed ---> KNOCKING --- who is it? ----------------------'
 */
enum state { CONNECTING, KNOCKING, READY, ENDED };

struct rv_conn {
    struct rv_relay *relay; /* NULL, or what stands for all that follows */
    enum state state;
    enum rv_conn_event end; /* how it ended */
    bool look;              /* the monitor may have something */
    rv_ns deadline;         /* of the handshake */
    rv_ns still_until; /* KNOCKING, and its greeting was heard: whether it hangs up on anybody */
    bool met;          /* nobody asks who hangs up */
    void *dealer;
    void *monitor;
    int dealer_fd;
    int timer_fd;           /* fires at the deadline, so that a sleeper wakes up; -1 once READY */
    int events_fd;          /* an epoll of the monitor, the timer and the knock */
    struct rv_knock *knock; /* KNOCKING */
    char *endpoint;         /* where */
    struct rv_frames frames;
};

/* ---- opening ---- */

static bool set_options(struct rv_conn *conn, int handshake_ms)
{
    const struct {
        int option;
        int value;
    } options[] = {
        {ZMQ_LINGER, 0},
        {ZMQ_IPV6, 1},
        /* One socket is one attempt. libzmq's own reconnecting repeats and reorders messages,
         * and after some errors it stops without a word. */
        {ZMQ_RECONNECT_IVL, -1},
        {ZMQ_CONNECT_TIMEOUT, handshake_ms + SPARE_MS},
        {ZMQ_HANDSHAKE_IVL, handshake_ms + SPARE_MS},
        {ZMQ_HEARTBEAT_IVL, 0}, /* sessions have their own, that mean more */
        {ZMQ_SNDHWM, RV_SEND_MAX},
        {ZMQ_RCVHWM, RV_RECEIVE_MAX}, /* never the flow control, which is the sessions' windows */
    };
    const int64_t largest = RV_WIRE_MAX;

    for (size_t i = 0; i < rv_countof(options); i++)
        if (!rv_zmq_set(conn->dealer, options[i].option, options[i].value))
            return false;
    return zmq_setsockopt(conn->dealer, ZMQ_MAXMSGSIZE, &largest, sizeof largest) == 0;
}

static bool set_keys(struct rv_conn *conn, const struct rv_conn_conf *conf)
{
    uint8_t server[32];
    uint8_t public[32];
    uint8_t secret[32];
    bool done = rv_keys_decode(server, conf->server_key) &&
                rv_keys_decode(public, conf->public_key) &&
                rv_keys_decode(secret, conf->secret_key) &&
                zmq_setsockopt(conn->dealer, ZMQ_CURVE_SERVERKEY, server, sizeof server) == 0 &&
                zmq_setsockopt(conn->dealer, ZMQ_CURVE_PUBLICKEY, public, sizeof public) == 0 &&
                zmq_setsockopt(conn->dealer, ZMQ_CURVE_SECRETKEY, secret, sizeof secret) == 0;

    sodium_memzero(secret, sizeof secret);
    return done;
}

static bool watch(struct rv_conn *conn, int fd)
{
    struct epoll_event event = {.events = EPOLLIN};

    return fd >= 0 && epoll_ctl(conn->events_fd, EPOLL_CTL_ADD, fd, &event) == 0;
}

static bool set_timer(struct rv_conn *conn, rv_ns when)
{
    struct itimerspec at = {.it_value = {.tv_sec = when / RV_SEC, .tv_nsec = when % RV_SEC}};

    return timerfd_settime(conn->timer_fd, TFD_TIMER_ABSTIME, &at, NULL) == 0;
}

static reeve_err open_relay(struct rv_conn **out, const struct rv_conn_conf *conf, char *why)
{
    struct rv_conn *conn = calloc(1, sizeof *conn);
    reeve_err err = REEVE_ENOMEM;

    *out = NULL;
    if (conn == NULL)
        return rv_why(why, RV_NET_WHY, err, "unable to connect: out of memory");
    err = rv_relay_open(&conn->relay, conf, why);
    if (err == REEVE_OK)
        *out = conn;
    else
        free(conn);
    return err;
}

static reeve_err open_zmq(struct rv_conn **out, const struct rv_conn_conf *conf, char *why)
{
    int handshake_ms = rv_handshake_ms(conf->handshake_ms);
    struct rv_conn *conn = malloc(sizeof *conn);
    void *context = rv_net_context(0);
    reeve_err err = REEVE_ENOMEM;

    *out = NULL;
    if (conn == NULL)
        return rv_why(why, RV_NET_WHY, err, "unable to connect: out of memory");
    *conn = (struct rv_conn){.deadline = rv_clock_now() + handshake_ms * RV_MS,
                             .met = conf->met,
                             .dealer_fd = -1,
                             .timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC),
                             .events_fd = epoll_create1(EPOLL_CLOEXEC)};
    if (strncmp(conf->endpoint, "tcp://", 6) != 0 && strncmp(conf->endpoint, "ipc://", 6) != 0) {
        err = rv_why(why, RV_NET_WHY, REEVE_EINVAL,
                     "unable to connect to %.150s: an endpoint is tcp://ADDRESS:PORT or ipc://PATH",
                     conf->endpoint);
        goto fail;
    }
    if (context != NULL)
        conn->dealer = zmq_socket(context, ZMQ_DEALER);
    if (conn->dealer == NULL || !set_options(conn, handshake_ms))
        goto fail_zmq;
    if (!set_keys(conn, conf)) {
        err = rv_why(why, RV_NET_WHY, REEVE_EINVAL,
                     "unable to connect to %.150s: a key is not 40 characters of Z85",
                     conf->endpoint);
        goto fail;
    }
    conn->monitor = rv_monitor_open(conn->dealer, EVENTS);
    if (conn->monitor == NULL)
        goto fail_zmq;
    conn->dealer_fd = rv_zmq_fd(conn->dealer);
    if (conn->timer_fd < 0 || conn->events_fd < 0 || !set_timer(conn, conn->deadline) ||
        !watch(conn, conn->timer_fd) || !watch(conn, rv_zmq_fd(conn->monitor)) ||
        zmq_connect(conn->dealer, conf->endpoint) != 0)
        goto fail_zmq;
    conn->endpoint = strdup(conf->endpoint);
    if (conn->endpoint == NULL)
        goto fail_zmq;
    *out = conn;
    return REEVE_OK;

fail_zmq:
    err = rv_zmq_why(why, "connect to", conf->endpoint);
fail:
    rv_conn_close(&conn);
    return err;
}

reeve_err rv_conn_open(struct rv_conn **out, const struct rv_conn_conf *conf, char *why)
{
    bool relay = strncmp(conf->endpoint, RV_RELAY_SCHEME, strlen(RV_RELAY_SCHEME)) == 0;

    return relay ? open_relay(out, conf, why) : open_zmq(out, conf, why);
}

static void close_fds(struct rv_conn *conn)
{
    if (conn->timer_fd >= 0)
        close(conn->timer_fd);
    if (conn->events_fd >= 0)
        close(conn->events_fd);
}

void rv_conn_close(struct rv_conn **conn)
{
    struct rv_conn *c = *conn;

    if (c == NULL)
        return;
    if (c->relay != NULL) {
        rv_relay_close(&c->relay);
        free(c);
        *conn = NULL;
        return;
    }
    rv_frames_free(&c->frames);
    rv_knock_close(&c->knock);
    rv_monitor_close(&c->monitor, c->dealer);
    if (c->state == READY)
        rv_zmq_set(c->dealer, ZMQ_LINGER, LINGER_MS);
    rv_zmq_close(&c->dealer);
    close_fds(c);
    free(c->endpoint);
    free(c);
    *conn = NULL;
}

void rv_conn_abandon(struct rv_conn **conn)
{
    /* The sockets and the frames may be half-way through something another thread of the parent
     * was doing. They are left as they are. */
    if (*conn == NULL)
        return;
    if ((*conn)->relay != NULL)
        rv_relay_close(&(*conn)->relay); /* our copies of the descriptors; the parent has its own */
    else
        close_fds(*conn);
    rv_knock_abandon(&(*conn)->knock);
    free((*conn)->endpoint);
    free(*conn);
    *conn = NULL;
}

/* ---- what happens ---- */

size_t rv_conn_fds(const struct rv_conn *conn, int fds[2])
{
    if (conn->relay != NULL) {
        fds[0] = rv_relay_fd(conn->relay);
        return 1;
    }
    fds[0] = conn->dealer_fd;
    fds[1] = conn->events_fd;
    return 2;
}

void rv_conn_look(struct rv_conn *conn)
{
    conn->look = true;
}

static void end(struct rv_conn *conn, enum rv_conn_event event)
{
    if (conn->state == ENDED)
        return;
    conn->state = ENDED;
    conn->end = event;
}

/* A manager that can't read our first box, because the key we have for it is wrong, just hangs up,
 * and so does whatever else listens there: ask who it is. */
static void failed_handshake(struct rv_conn *conn)
{
    int fds[2];

    if (rv_clock_now() >= conn->deadline) {
        end(conn, RV_CONN_LOST);
        return;
    }
    conn->knock = conn->met ? NULL : rv_knock_open(conn->endpoint);
    if (conn->knock == NULL) {
        end(conn, RV_CONN_HUNG_UP);
        return;
    }
    rv_knock_fds(conn->knock, fds);
    if (watch(conn, fds[0]) && watch(conn, fds[1]))
        conn->state = KNOCKING;
    else
        end(conn, RV_CONN_HUNG_UP);
}

/* A manager that is being stopped, or that has too many newcomers, hangs up on whoever knocks. One that
 * lets a stranger stand there has something against us; and only several in a row mean something. */
static void hear_knock(struct rv_conn *conn)
{
    enum rv_knock_answer answer = rv_knock_answer(conn->knock);
    rv_ns now = rv_clock_now();

    if (answer == RV_KNOCK_OTHER || now >= conn->deadline) {
        end(conn, RV_CONN_HUNG_UP);
    } else if (answer == RV_KNOCK_CURVE && conn->still_until == 0) {
        conn->still_until = now + STILL_MS * RV_MS;
        if (conn->still_until < conn->deadline && !set_timer(conn, conn->still_until))
            end(conn, RV_CONN_HUNG_UP);
    } else if (answer == RV_KNOCK_CURVE && now >= conn->still_until) {
        end(conn, RV_CONN_MISMATCH);
    }
}

static void get_ready(struct rv_conn *conn)
{
    conn->state = READY;
    conn->look = true;
    close(conn->timer_fd);
    conn->timer_fd = -1;
}

static void on_event(struct rv_conn *conn, unsigned event)
{
    switch (event) {
    /* Being connected says nothing: the kernel accepts for a manager that is stopped. Only a
     * finished handshake shows that it lives, and has our key. */
    case ZMQ_EVENT_HANDSHAKE_SUCCEEDED:
        if (conn->state == CONNECTING)
            get_ready(conn);
        break;
    case ZMQ_EVENT_HANDSHAKE_FAILED_AUTH:
        /* The key was refused, and libzmq would never try again nor say so. */
        end(conn, RV_CONN_REFUSED);
        break;
    case ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL:
    case ZMQ_EVENT_DISCONNECTED:
        if (conn->state == CONNECTING)
            failed_handshake(conn);
        else if (conn->state == READY)
            end(conn, RV_CONN_LOST);
        break;
    case ZMQ_EVENT_CLOSED:
        /* Nobody listens. */
        if (conn->state != KNOCKING)
            end(conn, RV_CONN_LOST);
        break;
    default:
        break;
    }
}

/* True when there was something that may have changed the state. */
static bool step(struct rv_conn *conn)
{
    unsigned event = 0;
    uint32_t value = 0;

    if (rv_monitor_next(conn->monitor, &event, &value)) {
        on_event(conn, event);
        return true;
    }
    /* Also for what has no event at all, such as a name that can't be resolved. */
    if (conn->state == CONNECTING && rv_clock_now() >= conn->deadline)
        end(conn, RV_CONN_LOST);
    else if (conn->state == KNOCKING)
        hear_knock(conn);
    return conn->state == ENDED;
}

static bool receive(struct rv_conn *conn, struct rv_net_message *out)
{
    if (!rv_frames_receive(&conn->frames, conn->dealer, RV_FRAMES_MAX - 1))
        return false;
    if (conn->frames.over) {
        end(conn, RV_CONN_LOST);
        return false;
    }
    out->peer = 0;
    out->principal = 0;
    out->local = false;
    out->pid = 0;
    out->uid = 0;
    out->address[0] = '\0';
    out->control = rv_frames_slice(&conn->frames, 0);
    out->bodies_len = conn->frames.len - 1;
    for (size_t i = 0; i < out->bodies_len; i++)
        out->bodies[i] = rv_frames_slice(&conn->frames, i + 1);
    return true;
}

/* What came before the end is heard before the end. */
enum rv_conn_event rv_conn_receive(struct rv_conn *conn, struct rv_net_message *out)
{
    if (conn->relay != NULL)
        return rv_relay_receive(conn->relay, out);
    for (;;) {
        enum state before = conn->state;

        /* Also while connecting: the descriptor stays readable until libzmq was asked. */
        if (before == CONNECTING || before == KNOCKING)
            (void)rv_zmq_readable(conn->dealer);
        else if (receive(conn, out))
            return RV_CONN_MESSAGE;
        if (conn->state == ENDED)
            return conn->end;
        if (conn->state == READY && !conn->look)
            return RV_CONN_NONE;
        if (!step(conn)) {
            conn->look = false;
            return RV_CONN_NONE;
        }
        if (before == CONNECTING && conn->state == READY)
            return RV_CONN_READY;
    }
}

enum rv_net_result rv_conn_send(struct rv_conn *conn, struct rv_slice control,
                                const struct rv_slice *bodies, size_t bodies_len)
{
    if (conn->relay != NULL)
        return rv_relay_send(conn->relay, control, bodies, bodies_len);
    if (conn->state == CONNECTING || conn->state == KNOCKING)
        return RV_NET_BUSY;
    if (conn->state == ENDED)
        return RV_NET_GONE;
    return rv_frames_send(conn->dealer, rv_slice(NULL, 0), control, bodies, bodies_len);
}
