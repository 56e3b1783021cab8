#include "worker/relays.h"

#include "common/net/relay.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum {
    RELAYS_MAX = 4096,
    GRANTED_MAX = 4 * RELAYS_MAX,
    READ_BYTES = 64 * 1024,
    AHEAD_BYTES = RV_RELAY_MAX + 65536, /* that one side has sent and the other has not taken; a
                                         * whole message at least */
    RETRY_MS = 10,                      /* a connection that was full is tried again then */
    NUMBER_BITS = 32,
};

enum relay_fd { RELAY_LISTEN, RELAY_TASK, RELAY_DEALER, RELAY_MONITOR };

enum relay_state { RELAY_NEW, RELAY_ASKING, RELAY_CONNECTING, RELAY_OPEN, RELAY_ENDING };

struct relay {
    enum relay_state state;
    uint32_t number;
    int fd;
    uint32_t events; /* that fd is watched for */
    struct rv_id id;
    uint64_t job;
    struct rv_conn *conn;
    int conn_fds[2];
    size_t conn_fds_len;
    struct rv_buf in, out; /* of the task, to the task */
    struct ask *ask;       /* ASKING */
    rv_ns retry_at;        /* RV_NEVER */
};

/* agent_session on its way. It outlives a relay that ends meanwhile. */
struct ask {
    struct relays *all; /* NULL: nobody waits */
    struct relay *relay;
};

/* A session that the manager knows of: its later connections need no word. Nobody tells us when it is over;
 * the oldest are forgotten, and cost a word more. */
struct granted {
    struct rv_id id;
    UT_hash_handle hh;
};

struct relays {
    struct relays_conf conf;
    struct rv_link *link;
    int listen_fd;
    char dir[100];
    char url[128];
    struct relay *list[RELAYS_MAX];
    size_t len; /* places that were ever used */
    struct granted *granted;
};

/* ---- descriptors ---- */

static bool watch(struct relays *r, int fd, enum relay_fd kind, uint32_t number, uint32_t events,
                  int op)
{
    struct epoll_event event = {.events = events,
                                .data.u64 = RELAYS_EVENT | (uint64_t)kind << NUMBER_BITS | number};

    return epoll_ctl(r->conf.epoll_fd, op, fd, &event) == 0;
}

static void want(struct relays *r, struct relay *x, uint32_t events)
{
    if (x->events != events)
        (void)watch(r, x->fd, RELAY_TASK, x->number, events, EPOLL_CTL_MOD);
    x->events = events;
}

static void close_conn(struct relays *r, struct relay *x)
{
    for (size_t i = 0; i < x->conn_fds_len; i++)
        (void)epoll_ctl(r->conf.epoll_fd, EPOLL_CTL_DEL, x->conn_fds[i], NULL);
    x->conn_fds_len = 0;
    rv_conn_close(&x->conn);
}

static void drop(struct relays *r, struct relay *x)
{
    close_conn(r, x);
    close(x->fd);
    rv_buf_free(&x->in);
    rv_buf_free(&x->out);
    if (x->ask != NULL)
        x->ask->all = NULL;
    r->list[x->number] = NULL;
    free(x);
}

/* ---- to the task ---- */

static void tell(struct relay *x, enum rv_relay_kind kind)
{
    rv_relay_write(&x->out, kind, rv_slice(NULL, 0), NULL, 0);
    if (kind != RV_RELAY_READY)
        x->state = RELAY_ENDING;
}

/* False when the task has gone. */
static bool flush(struct relays *r, struct relay *x)
{
    while (x->out.len > 0) {
        ssize_t sent = send(x->fd, x->out.data, x->out.len, MSG_NOSIGNAL | MSG_DONTWAIT);

        if (sent < 0 && errno == EINTR)
            continue;
        if (sent < 0 && errno != EAGAIN)
            return false;
        if (sent < 0)
            break;
        rv_buf_drop(&x->out, (size_t)sent);
    }
    want(r, x,
         (x->in.len < AHEAD_BYTES ? EPOLLIN : 0u) | (x->out.len > 0 ? (uint32_t)EPOLLOUT : 0u));
    return x->out.len > 0 || x->state != RELAY_ENDING;
}

/* ---- to the manager ---- */

static void connect_now(struct relays *r, struct relay *x)
{
    static const enum relay_fd kinds[] = {RELAY_DEALER, RELAY_MONITOR};
    char why[1024] = "";

    x->state = RELAY_CONNECTING;
    if (r->link == NULL || rv_target_connect(&x->conn, &r->conf.targets->list[r->link->endpoint],
                                             r->conf.key->public_key, r->conf.key->secret_key,
                                             RV_LIMIT_HANDSHAKE_MS, true, why) != REEVE_OK) {
        tell(x, RV_RELAY_LOST);
        return;
    }
    x->conn_fds_len = rv_conn_fds(x->conn, x->conn_fds);
    for (size_t i = 0; i < x->conn_fds_len; i++)
        (void)watch(r, x->conn_fds[i], kinds[i], x->number, EPOLLIN, EPOLL_CTL_ADD);
}

static void forget(struct relays *r, struct granted *g)
{
    HASH_DEL(r->granted, g);
    free(g);
}

static void remember(struct relays *r, const struct rv_id *id)
{
    struct granted *g = rv_alloc(sizeof *g);

    if (HASH_COUNT(r->granted) == GRANTED_MAX)
        forget(r, r->granted);
    g->id = *id;
    HASH_ADD(hh, r->granted, id, sizeof g->id, g);
}

static void on_answer(struct rv_link *link, struct rv_request *call, rv_ns now,
                      const struct rv_outcome *outcome)
{
    struct ask *ask = call->arg;
    struct relays *r = ask->all;
    struct relay *x = ask->relay;
    char line[200];

    (void)link;
    if (r != NULL) {
        x->ask = NULL;
        if (outcome->error == REEVE_OK) {
            remember(r, &x->id);
            connect_now(r, x);
        } else {
            snprintf(line, sizeof line, "relay.refused job=%llu why=\"%.100s\"",
                     (unsigned long long)x->job, reeve_strerror(outcome->error));
            if (r->conf.sink.line != NULL)
                r->conf.sink.line(r->conf.sink.arg, RV_INFO, line);
            tell(x, outcome->error == REEVE_EPERM ? RV_RELAY_REFUSED : RV_RELAY_LOST);
        }
        x->retry_at = now; /* it goes on with the next tick */
    }
    free(ask);
}

/* The task has said which session it means. */
static void begin(struct relays *r, struct relay *x)
{
    struct granted *g = NULL;
    struct rv_buf args = {0};
    struct rv_request *call = NULL;

    memcpy(&x->id, x->in.data, sizeof x->id);
    rv_buf_drop(&x->in, sizeof x->id);
    HASH_FIND(hh, r->granted, &x->id, sizeof x->id, g);
    if (g != NULL) {
        connect_now(r, x);
        return;
    }
    rv_agent_session_args_encode(&args,
                                 &(struct rv_agent_session_args){.job = x->job, .session = x->id});
    if (r->link != NULL && r->link->ports != NULL)
        call = rv_link_call(r->link, RV_OP_agent_session, r->link->ports->object, RV_LIMIT_GONE_MS,
                            rv_buf_slice(&args), NULL, 0);
    rv_buf_free(&args);
    if (call == NULL) {
        tell(x, RV_RELAY_LOST);
        return;
    }
    x->state = RELAY_ASKING;
    x->ask = rv_alloc(sizeof *x->ask);
    *x->ask = (struct ask){r, x};
    call->hook = on_answer;
    call->arg = x->ask;
    call->abandoned = true; /* the link frees it */
}

/* ---- both ways ---- */

/* What the task sends; false when it has gone. */
static bool read_task(struct relay *x)
{
    while (x->in.len < AHEAD_BYTES) {
        uint8_t *room = rv_buf_room(&x->in, READ_BYTES);
        ssize_t len = 0;

        rv_assert(room != NULL);
        len = recv(x->fd, room, READ_BYTES, MSG_DONTWAIT);
        if (len < 0 && errno == EINTR)
            continue;
        if (len < 0 && errno == EAGAIN)
            return true;
        if (len <= 0)
            return false;
        x->in.len += (size_t)len;
    }
    return true;
}

/* Messages of the task go on; false when it speaks nonsense. */
static bool pass_up(struct relay *x, rv_ns now, bool *any)
{
    size_t at = 0;
    bool well = true;

    while (x->state == RELAY_OPEN) {
        struct rv_net_message msg;
        enum rv_relay_kind kind = RV_RELAY_MESSAGE;
        size_t used = rv_relay_read(rv_slice(x->in.data + at, x->in.len - at), &kind, &msg);
        enum rv_net_result sent = RV_NET_SENT;

        if (used == 0)
            break;
        if (used == SIZE_MAX || kind != RV_RELAY_MESSAGE) {
            well = false;
            break;
        }
        sent = rv_conn_send(x->conn, msg.control, msg.bodies, msg.bodies_len);
        if (sent == RV_NET_BUSY)
            x->retry_at = rv_after_ms(now, RETRY_MS);
        if (sent != RV_NET_SENT)
            break;
        at += used;
        *any = true;
    }
    rv_buf_drop(&x->in, at);
    return well;
}

static void pass_down(struct relay *x, bool *any)
{
    struct rv_net_message msg;

    while (x->conn != NULL && x->state != RELAY_ENDING && x->out.len < AHEAD_BYTES) {
        switch (rv_conn_receive(x->conn, &msg)) {
        case RV_CONN_NONE:
            return;
        case RV_CONN_READY:
            x->state = RELAY_OPEN;
            tell(x, RV_RELAY_READY);
            break;
        case RV_CONN_MESSAGE:
            rv_relay_write(&x->out, RV_RELAY_MESSAGE, msg.control, msg.bodies, msg.bodies_len);
            break;
        case RV_CONN_REFUSED:
            tell(x, RV_RELAY_REFUSED);
            break;
        case RV_CONN_LOST:
        case RV_CONN_HUNG_UP:
        case RV_CONN_MISMATCH:
            tell(x, RV_RELAY_LOST);
            break;
        }
        *any = true;
    }
    rv_assert(!x->out.bad);
}

/* All that can be done for it now. A send takes in what it finds, so it is asked for again. */
static void drive(struct relays *r, rv_ns now, struct relay *x)
{
    bool here = true;
    bool more = true;

    x->retry_at = RV_NEVER;
    while (here && more) {
        more = false;
        here = x->state == RELAY_ENDING || read_task(x);
        if (x->state == RELAY_NEW && x->in.len >= sizeof x->id)
            begin(r, x);
        here = here && pass_up(x, now, &more);
        pass_down(x, &more);
        here = flush(r, x) && here;
    }
    if (x->out.len >= AHEAD_BYTES)
        x->retry_at = rv_after_ms(now, RETRY_MS);
    if (!here)
        drop(r, x);
}

/* ---- tasks that come ---- */

static void come(struct relays *r, rv_ns now)
{
    struct ucred peer = {0};
    socklen_t len = sizeof peer;
    int fd = accept4(r->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    struct relay *x = NULL;
    size_t at = 0;
    uint64_t job = 0;

    if (fd < 0)
        return;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0 && peer.uid == geteuid())
        job = runners_job_of(r->conf.runners, (uint32_t)peer.pid);
    while (at < r->len && r->list[at] != NULL)
        at++;
    if (job == 0 || at == RELAYS_MAX) {
        close(fd); /* no task of ours */
        return;
    }
    x = rv_alloc(sizeof *x);
    *x = (struct relay){
        .number = (uint32_t)at, .fd = fd, .events = EPOLLIN, .job = job, .retry_at = RV_NEVER};
    r->list[at] = x;
    if (at == r->len)
        r->len++;
    (void)watch(r, fd, RELAY_TASK, x->number, EPOLLIN, EPOLL_CTL_ADD);
    drive(r, now, x);
}

void relays_event(struct relays *r, rv_ns now, uint64_t data)
{
    enum relay_fd kind = (enum relay_fd)((data & ~RELAYS_EVENT) >> NUMBER_BITS);
    uint32_t number = (uint32_t)data;

    if (kind == RELAY_LISTEN) {
        come(r, now);
        return;
    }
    if (number >= r->len || r->list[number] == NULL)
        return;
    if (kind == RELAY_MONITOR && r->list[number]->conn != NULL)
        rv_conn_look(r->list[number]->conn);
    drive(r, now, r->list[number]);
}

void relays_tick(struct relays *r, rv_ns now)
{
    for (size_t i = 0; i < r->len; i++)
        if (r->list[i] != NULL && r->list[i]->retry_at <= now)
            drive(r, now, r->list[i]);
}

rv_ns relays_deadline(const struct relays *r)
{
    rv_ns next = RV_NEVER;

    for (size_t i = 0; i < r->len; i++)
        if (r->list[i] != NULL && r->list[i]->retry_at < next)
            next = r->list[i]->retry_at;
    return next;
}

/* ---- life ---- */

const char *relays_url(const struct relays *r)
{
    return r->url;
}

void relays_serve(struct relays *r, struct rv_link *link)
{
    struct granted *g = NULL;
    struct granted *next = NULL;

    r->link = link;
    if (link != NULL)
        return;
    for (size_t i = 0; i < r->len; i++)
        if (r->list[i] != NULL)
            drop(r, r->list[i]);
    HASH_ITER (hh, r->granted, g, next) {
        forget(r, g);
    }
}

struct relays *relays_new(const struct relays_conf *conf, char *why, size_t why_len)
{
    struct relays *r = rv_alloc(sizeof *r);
    const char *runtime = getenv("XDG_RUNTIME_DIR");
    struct sockaddr_un at = {.sun_family = AF_UNIX};

    r->conf = *conf;
    /* The path of a socket is short: a long folder of the user's does not do. */
    if (runtime == NULL || runtime[0] != '/' || strlen(runtime) > 60)
        runtime = "/tmp";
    snprintf(r->dir, sizeof r->dir, "%s/reeve-agent-XXXXXX", runtime);
    r->listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (mkdtemp(r->dir) == NULL) {
        r->dir[0] = '\0';
    } else {
        snprintf(at.sun_path, sizeof at.sun_path, "%.90s/relay", r->dir);
        snprintf(r->url, sizeof r->url, RV_RELAY_SCHEME "%s", at.sun_path);
    }
    if (r->dir[0] == '\0' || r->listen_fd < 0 ||
        bind(r->listen_fd, (const struct sockaddr *)&at, sizeof at) != 0 ||
        listen(r->listen_fd, 128) != 0 ||
        !watch(r, r->listen_fd, RELAY_LISTEN, 0, EPOLLIN, EPOLL_CTL_ADD)) {
        snprintf(why, why_len, "cannot make a socket for tasks below %.200s: %s", runtime,
                 strerror(errno));
        relays_free(&r);
    }
    return r;
}

void relays_free(struct relays **relays)
{
    struct relays *r = *relays;

    if (r == NULL)
        return;
    relays_serve(r, NULL);
    if (r->listen_fd >= 0)
        close(r->listen_fd);
    if (r->url[0] != '\0')
        (void)unlink(r->url + strlen(RV_RELAY_SCHEME));
    if (r->dir[0] != '\0')
        (void)rmdir(r->dir);
    free(r);
    *relays = NULL;
}
