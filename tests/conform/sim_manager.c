/*
 * The cores in a simulated network, for programs that think it is a manager.
 *
 *     build/conform-manager [--seed N] build/run-conform [NAME]
 *
 * Runs the command with a REEVE_URL behind which is no reeve-server: gate, mgr and log in this process,
 * each step followed by all that must be true. There is no libzmq between them and the library, but a
 * network that a seed makes bad: frames are late, connections break with what is on its way, and now and
 * then the manager goes on as what its own snapshot says. A session whose process has ended is over at once,
 * connected or not; one that was cut off has the usual time to return.
 *
 * Time is the clock's, and the parties are processes, so a seed brings back the same weather, not the
 * same run. What must be reproduced exactly is a story of tests/sim.
 */

#include "common/base/rng.h"
#include "common/net/relay.h"
#include "common/proc/proc.h"
#include "server/core/gate.h"
#include "server/core/save.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#include <utlist.h>

enum {
    PRINCIPAL = 7,
    CONNS_MAX = 64,
    LATE_US = 1500, /* a frame, at most */
    BREAK_ONE_IN = 100,
    MOVE_ONE_IN = 200,
    LOOK_MS = 20, /* whether the command has ended */
};

/* A frame in the air. */
struct parcel {
    rv_ns at;
    enum rv_relay_kind kind;
    struct rv_buf bytes; /* as the relay writes it */
    struct parcel *prev, *next;
};

struct conn {
    uint64_t peer; /* 0: no such connection */
    int fd;
    int process; /* the other side's pidfd */
    bool named;  /* its session's id was read */
    bool ended;  /* the other side has closed it */
    struct rv_buf in, out;
    struct parcel *coming, *going; /* in order */
};

/* A session without a connection. */
struct away {
    uint64_t session;
    int process;
    struct away *prev, *next;
};

struct world {
    rv_ns now;
    struct rv_rng rng;
    struct mgr_conf conf; /* its term grows */
    struct mgr *mgr;
    struct gate *gate;
    struct rv_log *log;
    struct outbox outbox;
    struct conn conns[CONNS_MAX];
    struct away *away;
    uint64_t last_peer;
    uint64_t frames, breaks, moves;
};

static bool one_in(struct world *w, uint64_t n)
{
    return rv_rng_below(&w->rng, n) == 0;
}

/* ---- parcels ---- */

static void post(struct world *w, struct parcel **list, enum rv_relay_kind kind,
                 struct rv_slice bytes)
{
    struct parcel *p = rv_alloc(sizeof *p);
    rv_ns at = w->now + (rv_ns)rv_rng_below(&w->rng, LATE_US) * 1000;

    p->at = *list != NULL && (*list)->prev->at > at ? (*list)->prev->at : at;
    p->kind = kind;
    rv_buf_add(&p->bytes, bytes.data, bytes.len);
    DL_APPEND(*list, p);
    w->frames += kind == RV_RELAY_MESSAGE;
}

static struct parcel *take(struct world *w, struct parcel **list)
{
    struct parcel *p = *list;

    if (p == NULL || p->at > w->now)
        return NULL;
    DL_DELETE(*list, p);
    return p;
}

static void drop(struct parcel *p)
{
    rv_buf_free(&p->bytes);
    free(p);
}

static void drop_all(struct parcel **list)
{
    while (*list != NULL) {
        struct parcel *p = *list;

        DL_DELETE(*list, p);
        drop(p);
    }
}

/* ---- the manager ---- */

static void on_commit(void *arg, const struct command *cmd)
{
    struct world *w = arg;

    mgr_step(w->mgr, cmd, &w->outbox);
    mgr_check(w->mgr);
    gate_stepped(w->gate, w->now, cmd, &w->outbox);
    outbox_clear(&w->outbox);
}

static void begin_manager(struct world *w)
{
    struct rv_log_callbacks callbacks = {.committed = on_commit, .arg = w};
    struct rv_buf row = {0};

    w->now = rv_clock_now();
    w->conf = (struct mgr_conf){
        .term = 1, .server = "simulated", .durable = "none", .started_at = w->now};
    rv_random_bytes(&w->conf.store, sizeof w->conf.store);
    w->mgr = mgr_new(&w->conf);
    w->gate = gate_new(w->mgr, NULL);
    w->log = rv_log_mem_open(&callbacks);
    rv_principal_row_encode(&row, &(struct rv_principal_row){.id = PRINCIPAL,
                                                             .name = rv_slice_str("conform"),
                                                             .role = rv_slice_str("admin")});
    rv_log_add(w->log, &(struct command){.type = COMMAND_PRINCIPAL,
                                         .logged = true,
                                         .at = w->now,
                                         .bytes = rv_buf_slice(&row)});
    rv_buf_free(&row);
}

/* ---- the parties' processes ---- */

static int process_of(int fd)
{
    struct ucred cred = {0};
    socklen_t len = sizeof cred;
    int process = -1;

    rv_assert(getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) == 0);
    process = rv_pidfd_open(cred.pid);
    rv_assert(process >= 0 || errno == ESRCH);
    return process;
}

static bool process_gone(int process)
{
    struct pollfd p = {.fd = process, .events = POLLIN};

    return process < 0 || poll(&p, 1, 0) == 1;
}

static void forget(struct world *w, struct away *a)
{
    DL_DELETE(w->away, a);
    close(a->process);
    free(a);
}

/* Takes the pidfd. Of each session the newest is kept. */
static void remember(struct world *w, uint64_t session, int process)
{
    struct away *a = NULL;
    struct away *next = NULL;

    DL_FOREACH_SAFE (w->away, a, next)
        if (a->session == session)
            forget(w, a);
    a = rv_alloc(sizeof *a);
    a->session = session;
    a->process = process;
    DL_APPEND(w->away, a);
}

static void end_the_dead(struct world *w)
{
    struct away *a = NULL;
    struct away *next = NULL;

    DL_FOREACH_SAFE (w->away, a, next) {
        if (!process_gone(a->process))
            continue;
        rv_log_add(w->log, &(struct command){.type = COMMAND_END,
                                             .logged = true,
                                             .at = w->now,
                                             .session = a->session,
                                             .reason = REEVE_ELOST});
        forget(w, a);
    }
}

/* ---- connections ---- */

static void end_conn(struct world *w, struct conn *c)
{
    uint64_t session = gate_session(w->gate, c->peer);
    bool gone = process_gone(c->process);
    struct command cmd;

    if (gate_lost(w->gate, w->now, c->peer, gone, &cmd))
        rv_log_add(w->log, &cmd);
    if (!gone && session != 0)
        remember(w, session, c->process);
    else if (c->process >= 0)
        close(c->process);
    close(c->fd);
    drop_all(&c->coming);
    drop_all(&c->going);
    rv_buf_free(&c->in);
    rv_buf_free(&c->out);
    *c = (struct conn){0};
}

static void keep_block(void *arg, struct rv_slice block)
{
    rv_buf_add(arg, block.data, block.len);
}

/* As after a restart: nobody is connected, and the state is what the snapshot says. */
static void move(struct world *w)
{
    struct rv_buf state = {0};
    struct saver saver = {.block = keep_block, .arg = &state};

    for (size_t i = 0; i < CONNS_MAX; i++)
        if (w->conns[i].peer != 0)
            end_conn(w, &w->conns[i]);
    mgr_save(w->mgr, &saver);
    gate_free(&w->gate);
    mgr_free(&w->mgr);
    w->mgr = mgr_new(&w->conf);
    rv_assert(mgr_load(w->mgr, rv_buf_slice(&state)));
    mgr_check(w->mgr);
    w->gate = gate_new(w->mgr, NULL);
    rv_buf_free(&state);
    rv_log_add(w->log,
               &(struct command){
                   .type = COMMAND_RESTART, .logged = true, .at = w->now, .first = ++w->conf.term});
    w->moves++;
}

static void hear(struct world *w, struct conn *c, const struct parcel *p)
{
    enum rv_relay_kind kind = RV_RELAY_LOST;
    struct rv_net_message msg;
    struct command cmd;

    rv_assert(rv_relay_read(rv_buf_slice(&p->bytes), &kind, &msg) == p->bytes.len);
    if (gate_receive(w->gate, w->now,
                     &(struct gate_message){.peer = c->peer,
                                            .principal = PRINCIPAL,
                                            .local = true,
                                            .control = msg.control,
                                            .bodies = msg.bodies,
                                            .bodies_len = msg.bodies_len},
                     &cmd))
        rv_log_add(w->log, &cmd);
}

static struct conn *find(struct world *w, uint64_t peer)
{
    for (size_t i = 0; i < CONNS_MAX; i++)
        if (w->conns[i].peer == peer)
            return &w->conns[i];
    return NULL;
}

static void transmit(struct world *w)
{
    struct gate_frame frame;
    uint64_t peer = 0;

    while (gate_transmit(w->gate, w->now, &frame)) {
        struct conn *c = find(w, frame.peer);
        struct rv_buf bytes = {0};

        rv_relay_write(&bytes, RV_RELAY_MESSAGE, frame.control, frame.bodies, frame.bodies_len);
        if (c != NULL)
            post(w, &c->going, RV_RELAY_MESSAGE, rv_buf_slice(&bytes));
        rv_buf_free(&bytes);
        gate_sent(w->gate, w->now, c != NULL ? GATE_SENT : GATE_GONE);
    }
    while (gate_cut(w->gate, &peer)) {
        struct conn *c = find(w, peer);

        if (c != NULL)
            end_conn(w, c);
    }
}

static void expire(struct world *w)
{
    struct command cmd;

    while (gate_expire(w->gate, w->now, &cmd))
        rv_log_add(w->log, &cmd);
    if (mgr_deadline(w->mgr) <= w->now)
        rv_log_add(w->log, &(struct command){.type = COMMAND_EXPIRE, .logged = true, .at = w->now});
}

/* ---- sockets ---- */

static void meet(struct world *w, int door)
{
    int fd = accept4(door, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    struct conn *c = find(w, 0);

    if (fd < 0)
        return;
    rv_assert(c != NULL);
    *c = (struct conn){.peer = ++w->last_peer, .fd = fd, .process = process_of(fd)};
}

static void read_from(struct world *w, struct conn *c)
{
    uint8_t *room = rv_buf_room(&c->in, 65536);
    ssize_t got = recv(c->fd, room, 65536, 0);
    enum rv_relay_kind kind = RV_RELAY_LOST;
    struct rv_net_message msg;
    size_t used = 0;

    if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR))
        c->ended = true;
    c->in.len += got > 0 ? (size_t)got : 0;
    if (!c->named && c->in.len >= RV_RELAY_ID) {
        struct rv_buf ready = {0};

        c->named = true;
        rv_buf_drop(&c->in, RV_RELAY_ID);
        rv_relay_write(&ready, RV_RELAY_READY, rv_slice(NULL, 0), NULL, 0);
        post(w, &c->going, RV_RELAY_READY, rv_buf_slice(&ready));
        rv_buf_free(&ready);
    }
    while (c->named && (used = rv_relay_read(rv_buf_slice(&c->in), &kind, &msg)) > 0) {
        rv_assert(used != SIZE_MAX && kind == RV_RELAY_MESSAGE);
        post(w, &c->coming, kind, rv_slice(c->in.data, used));
        rv_buf_drop(&c->in, used);
    }
}

static void write_to(struct conn *c)
{
    ssize_t sent = c->out.len == 0 ? 0 : send(c->fd, c->out.data, c->out.len, MSG_NOSIGNAL);

    if (sent > 0)
        rv_buf_drop(&c->out, (size_t)sent);
}

/* What has been in the air long enough arrives; some of it breaks the connection instead. */
static void deliver(struct world *w, struct conn *c)
{
    struct parcel *p = NULL;
    bool breaks = false;

    while (!breaks && (p = take(w, &c->coming)) != NULL) {
        breaks = one_in(w, BREAK_ONE_IN);
        if (!breaks)
            hear(w, c, p);
        drop(p);
    }
    while (!breaks && (p = take(w, &c->going)) != NULL) {
        breaks = p->kind == RV_RELAY_MESSAGE && one_in(w, BREAK_ONE_IN);
        if (!breaks)
            rv_buf_add(&c->out, p->bytes.data, p->bytes.len);
        drop(p);
    }
    write_to(c);
    w->breaks += breaks;
    if (breaks || (c->ended && c->coming == NULL))
        end_conn(w, c);
}

static void sooner(rv_ns *at, rv_ns other)
{
    *at = other < *at ? other : *at;
}

static rv_ns next_time(const struct world *w)
{
    rv_ns next = w->now + LOOK_MS * RV_MS;

    sooner(&next, mgr_deadline(w->mgr));
    sooner(&next, gate_deadline(w->gate));
    for (size_t i = 0; i < CONNS_MAX; i++) {
        const struct conn *c = &w->conns[i];

        if (c->coming != NULL)
            sooner(&next, c->coming->at);
        if (c->going != NULL)
            sooner(&next, c->going->at);
    }
    return next;
}

static void sleep_on(struct world *w, int door)
{
    struct pollfd fds[CONNS_MAX + 1] = {{.fd = door, .events = POLLIN}};
    struct conn *of[CONNS_MAX + 1] = {NULL};
    nfds_t len = 1;
    rv_ns left = next_time(w) - rv_clock_now();
    struct timespec t = {.tv_nsec = left > 0 ? left % RV_SEC : 0};

    for (size_t i = 0; i < CONNS_MAX; i++) {
        struct conn *c = &w->conns[i];

        if (c->peer == 0 || c->ended)
            continue;
        of[len] = c;
        fds[len++] = (struct pollfd){.fd = c->fd,
                                     .events = (short)(POLLIN | (c->out.len > 0 ? POLLOUT : 0))};
    }
    (void)ppoll(fds, len, &t, NULL);
    w->now = rv_clock_now();
    for (nfds_t i = 1; i < len; i++)
        if (fds[i].revents != 0)
            read_from(w, of[i]);
    if (fds[0].revents != 0)
        meet(w, door);
}

static void round_of(struct world *w, int door)
{
    sleep_on(w, door);
    for (size_t i = 0; i < CONNS_MAX; i++)
        if (w->conns[i].peer != 0)
            deliver(w, &w->conns[i]);
    end_the_dead(w);
    expire(w);
    transmit(w);
    if (one_in(w, MOVE_ONE_IN))
        move(w);
}

/* ---- the command ---- */

static int open_door(char *folder, struct sockaddr_un *at)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    *at = (struct sockaddr_un){.sun_family = AF_UNIX};
    if (mkdtemp(folder) == NULL)
        return -1;
    snprintf(at->sun_path, sizeof at->sun_path, "%s/sock", folder);
    if (fd < 0 || bind(fd, (const struct sockaddr *)at, sizeof *at) != 0 || listen(fd, 64) != 0)
        return -1;
    return fd;
}

static pid_t start(char **argv, const char *path)
{
    char url[128];
    pid_t pid = fork();

    if (pid != 0)
        return pid;
    snprintf(url, sizeof url, "relay://%s", path);
    setenv("REEVE_URL", url, 1);
    unsetenv("REEVE_KEY");
    execvp(argv[0], argv);
    perror(argv[0]);
    _exit(127);
}

int main(int argc, char **argv)
{
    char folder[] = "/tmp/reeve-conform-XXXXXX";
    struct sockaddr_un at;
    struct world w = {.rng = {1}};
    int door = -1;
    int status = 0;
    pid_t pid = 0;

    if (argc > 2 && strcmp(argv[1], "--seed") == 0) {
        w.rng.state = strtoull(argv[2], NULL, 10);
        argv += 2;
        argc -= 2;
    }
    if (argc < 2) {
        fprintf(stderr, "usage: conform-manager [--seed N] COMMAND [ARGUMENT...]\n");
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    door = open_door(folder, &at);
    begin_manager(&w);
    pid = door < 0 ? -1 : start(argv + 1, at.sun_path);
    if (pid < 0) {
        perror("conform-manager");
        return 1;
    }
    while (waitpid(pid, &status, WNOHANG) == 0)
        round_of(&w, door);
    unlink(at.sun_path);
    rmdir(folder);
    printf("%llu frames, %llu connections broken, %llu restarts from the snapshot\n",
           (unsigned long long)w.frames, (unsigned long long)w.breaks, (unsigned long long)w.moves);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}
