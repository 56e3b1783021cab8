/* shell.c -- wait, make commands, log, and on commit step and transmit. All decisions are in
 * core/, all sockets in common/net; this file only carries. */

#include "server/shell.h"
#include "common/proc/notify.h"
#include "server/audit.h"
#include "server/core/gate.h"
#include "server/core/log.h"
#include "server/disk_dir.h"
#include "server/log_file.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include <uthash.h>

enum {
    ROUND_MAX = 256,   /* messages before time is looked at again */
    LATE_ROUNDS = 64,  /* full rounds of messages after a pause that go before any judgement */
    PAUSE_MS = 2000,   /* awake so much too late: the process was stopped */
    FAREWELL_MS = 200, /* the last replies may leave before the sockets close */
    EXIT_DISK = 112,   /* the log cannot be written: nothing more may be said */
};

/* A process of this host behind an ipc connection: when it is gone, so is its session. */
struct watch {
    uint64_t peer;
    uint64_t session; /* known when the connection has gone before the process */
    int fd;           /* pidfd */
    UT_hash_handle hh;
};

struct shell {
    struct gate *gate; /* volatile: peers, windows, batches */
    struct mgr *mgr;   /* durable: steps on committed commands only */
    struct rv_log *log;
    struct disk *disk; /* of the log; NULL: in memory only */
    rv_ns ahead;       /* the log's time, which goes on over restarts, before the clock's */
    struct rv_net *net;
    struct outbox out;
    struct watch *watches; /* by peer */
    int watch_fd;          /* epoll of the pidfds */
    int signal_fd;
    int lifeline_fd;
    struct keyring *keyring; /* NULL: keys stay as they are */
    rv_ns now;
    int late;         /* rounds that may pass before time is judged, after a pause */
    bool alone;       /* the last round had one message at most */
    bool expiring;    /* an EXPIRE is in the log and not yet committed */
    size_t admitting; /* so many PRINCIPALs are */
    bool stop;
};

static int least_level = RV_INFO;

void shell_log_level(int level)
{
    least_level = level;
}

void shell_line(void *arg, int level, const char *text)
{
    static const char *const levels[] = {"error", "warn", "info", "debug"};
    struct timespec ts;
    struct tm tm;
    char stamp[40];
    size_t len = 0;

    (void)arg;
    clock_gettime(CLOCK_REALTIME, &ts);
    gmtime_r(&ts.tv_sec, &tm);
    len = strftime(stamp, sizeof stamp, "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(stamp + len, sizeof stamp - len, ".%03ldZ", ts.tv_nsec / 1000000);
    audit_line(stamp, level, text);
    if (level <= least_level && level != RV_AUDIT)
        fprintf(stderr, "%s %-5s server %s\n", stamp, levels[level], text);
}

/* The log calls this for each command, in order, once it is committed. */
static void on_commit(void *arg, const struct command *cmd)
{
    struct shell *sh = arg;

    if (cmd->type == COMMAND_EXPIRE)
        sh->expiring = false;
    sh->admitting -= cmd->type == COMMAND_PRINCIPAL;
    mgr_step(sh->mgr, cmd, &sh->out);
    gate_stepped(sh->gate, sh->now, cmd, &sh->out);
    for (size_t i = 0; i < sh->out.len; i++)
        sh->stop = sh->stop || sh->out.effects[i].type == EFFECT_STOP;
    outbox_clear(&sh->out);
}

static void on_space(void *arg, bool full)
{
    struct shell *sh = arg;

    shell_line(NULL, full ? RV_WARN : RV_INFO,
               full ? "log.full why=\"the disk has too little room: what needs more is refused\""
                    : "log.room");
    gate_set_full(sh->gate, full);
    rv_log_add(sh->log, &(struct command){
                            .type = COMMAND_SPACE, .logged = true, .at = sh->now, .first = full});
}

/* What was not flushed was not answered; to go on would be to guess what is on the disk. */
static void on_failed(void *arg, const char *why)
{
    (void)arg;
    fprintf(stderr, "reeve-server: fatal: %s\n", why);
    _exit(EXIT_DISK);
}

/* ---- time: nanoseconds since 1970, about, that never go back ---- */

static rv_ns time_now(const struct shell *sh)
{
    return rv_clock_now() + sh->ahead;
}

static unsigned wait_until(struct shell *sh, rv_ns deadline)
{
    return rv_net_wait(sh->net, deadline == RV_NEVER ? RV_NEVER : deadline - sh->ahead);
}

/* ---- processes of this host ---- */

static void watch(struct shell *sh, const struct rv_net_message *msg)
{
    struct watch *w = NULL;
    struct epoll_event event = {.events = EPOLLIN};

    if (!msg->local || msg->pid == 0)
        return;
    HASH_FIND(hh, sh->watches, &msg->peer, sizeof msg->peer, w);
    if (w != NULL)
        return;
    w = rv_alloc(sizeof *w);
    w->peer = msg->peer;
    /* Without a descriptor the session ends by the usual time instead of at once. */
    w->fd = (int)syscall(SYS_pidfd_open, (pid_t)msg->pid, 0);
    event.data.u64 = w->peer;
    if (w->fd >= 0)
        epoll_ctl(sh->watch_fd, EPOLL_CTL_ADD, w->fd, &event);
    HASH_ADD(hh, sh->watches, peer, sizeof w->peer, w);
}

static void unwatch(struct shell *sh, struct watch *w)
{
    HASH_DEL(sh->watches, w);
    if (w->fd >= 0)
        close(w->fd);
    free(w);
}

static bool process_gone(const struct watch *w)
{
    struct pollfd p = {.fd = w->fd, .events = POLLIN};

    return w->fd >= 0 && poll(&p, 1, 0) == 1;
}

/* A process ended whose connection ended before it, or will in a moment. */
static void processes(struct shell *sh)
{
    struct epoll_event events[64];
    int len = epoll_wait(sh->watch_fd, events, 64, 0);

    for (int i = 0; i < len; i++) {
        struct watch *w = NULL;
        struct command cmd = {
            .type = COMMAND_END, .logged = true, .at = sh->now, .reason = REEVE_ELOST};

        HASH_FIND(hh, sh->watches, &events[i].data.u64, sizeof(uint64_t), w);
        if (w == NULL)
            continue;
        cmd.session = w->session != 0 ? w->session : gate_session(sh->gate, w->peer);
        if (w->session == 0) {
            /* The connection's own end comes too; forget the descriptor, keep the watch. */
            epoll_ctl(sh->watch_fd, EPOLL_CTL_DEL, w->fd, NULL);
        } else {
            unwatch(sh, w);
        }
        if (cmd.session != 0)
            rv_log_add(sh->log, &cmd);
    }
}

/* A session that reconnects often leaves one watch behind, not one for each time. */
static void forget_older(struct shell *sh, const struct watch *kept, uint64_t session)
{
    struct watch *w = NULL;
    struct watch *next = NULL;

    HASH_ITER (hh, sh->watches, w, next) {
        if (w != kept && session != 0 && w->session == session)
            unwatch(sh, w);
    }
}

static void lost(struct shell *sh, uint64_t peer)
{
    struct watch *w = NULL;
    struct command cmd;
    uint64_t session = gate_session(sh->gate, peer);
    bool gone = false;

    HASH_FIND(hh, sh->watches, &peer, sizeof peer, w);
    if (w != NULL) {
        gone = process_gone(w);
        forget_older(sh, w, session);
        w->session = session;
        if (gone || session == 0 || w->fd < 0)
            unwatch(sh, w);
    }
    if (gate_lost(sh->gate, sh->now, peer, gone, &cmd))
        rv_log_add(sh->log, &cmd);
}

/* ---- the loop ---- */

static void hear(struct shell *sh, const struct rv_net_message *msg)
{
    struct gate_message in = {
        .peer = msg->peer,
        .principal = msg->principal,
        .local = msg->local,
        .control = msg->control,
        .bodies = msg->bodies,
        .bodies_len = msg->bodies_len,
    };
    struct command cmd;

    watch(sh, msg);
    if (gate_receive(sh->gate, sh->now, &in, &cmd))
        rv_log_add(sh->log, &cmd);
}

static void transmit(struct shell *sh)
{
    static const enum gate_result results[] = {
        [RV_NET_SENT] = GATE_SENT, [RV_NET_BUSY] = GATE_BUSY, [RV_NET_GONE] = GATE_GONE};
    struct gate_frame frame;
    uint64_t peer = 0;

    while (gate_transmit(sh->gate, sh->now, &frame)) {
        enum rv_net_result result =
            rv_net_send(sh->net, frame.peer, frame.control, frame.bodies, frame.bodies_len);

        gate_sent(sh->gate, sh->now, results[result]);
    }
    while (gate_cut(sh->gate, &peer))
        rv_net_cut(sh->net, peer);
}

static rv_ns sooner(rv_ns a, rv_ns b)
{
    return a < b ? a : b;
}

static rv_ns next_deadline(const struct shell *sh)
{
    return sooner(mgr_deadline(sh->mgr), gate_deadline(sh->gate));
}

static void read_keys(struct shell *sh)
{
    struct principals principals;
    char why[512];
    char line[768];

    if (keyring_read(sh->keyring, &principals, why) != REEVE_OK) {
        snprintf(line, sizeof line, "keys.refuse why=\"%s; those from before stay\"", why);
        shell_line(NULL, RV_ERROR, line);
        return;
    }
    shell_recognise(sh, &principals);
    shell_admit(sh, &principals);
    snprintf(line, sizeof line, "keys.read principals=%zu expired=%zu", principals.len,
             principals.expired);
    shell_line(NULL, RV_INFO, line);
    principals_free(&principals);
}

/* SIGHUP of a person means the keys; that of the kernel that our terminal is gone. */
static void signals(struct shell *sh)
{
    struct signalfd_siginfo info;

    while (read(sh->signal_fd, &info, sizeof info) == sizeof info)
        if (info.ssi_signo == SIGHUP && info.ssi_code != SI_KERNEL && sh->keyring != NULL) {
            audit_reopen();
            read_keys(sh);
        } else {
            sh->stop = true;
        }
}

static void lifeline(struct shell *sh)
{
    char byte = 0;

    struct pollfd p = {.fd = sh->lifeline_fd, .events = POLLIN};

    if (sh->lifeline_fd >= 0 && poll(&p, 1, 0) == 1 && read(sh->lifeline_fd, &byte, 1) == 0)
        sh->stop = true;
}

/* Whoever asks for the status gets it with what the log was a round ago. */
static void tell_log(struct shell *sh)
{
    struct rv_log_stat stat;

    if (sh->disk == NULL)
        return;
    rv_log_stat(sh->log, &stat);
    mgr_set_log(sh->mgr, &stat);
}

/* What was heard takes effect, as far as it is committed. */
static void commit(struct shell *sh)
{
    rv_log_flush(sh->log);   /* close the group, start its commit */
    rv_log_process(sh->log); /* on_commit() for what has been committed */
}

/* The first message is answered before the next is looked for, unless many come at once: then who
 * calls and waits costs one question to the kernel less. */
static int take_messages(struct shell *sh)
{
    struct rv_net_message msg;
    int n = 0;

    while (n < ROUND_MAX && rv_net_receive(sh->net, &msg)) {
        hear(sh, &msg);
        if (++n > 1 || !sh->alone)
            continue;
        commit(sh);
        transmit(sh);
    }
    sh->alone = n <= 1;
    return n;
}

static void round_of(struct shell *sh, bool watched)
{
    struct command cmd;
    uint64_t peer = 0;
    /* Messages first: after a stall, a beat that has arrived must count before the silence
     * that it ends is judged. */
    int n = take_messages(sh);

    if (n < ROUND_MAX || sh->late == 0) {
        while (rv_net_lost(sh->net, &peer))
            lost(sh, peer);
        if (watched)
            processes(sh);
        while (gate_expire(sh->gate, sh->now, &cmd))
            rv_log_add(sh->log, &cmd);
        if (mgr_deadline(sh->mgr) <= sh->now && !sh->expiring) {
            sh->expiring = true;
            rv_log_add(sh->log,
                       &(struct command){.type = COMMAND_EXPIRE, .logged = true, .at = sh->now});
        }
    }
    sh->late -= sh->late > 0;
    commit(sh);
    tell_log(sh);
    transmit(sh);
}

/* With a log, everybody resumes when the manager is back: they need no word. In memory only,
 * nobody can resume anything, and nobody shall wait for it. */
static void farewell(struct shell *sh)
{
    rv_ns until = sh->now + FAREWELL_MS * RV_MS;

    if (sh->disk != NULL)
        return;
    gate_close(sh->gate, sh->now, REEVE_ESTALE, "the manager was ended");
    transmit(sh);
    while (gate_deadline(sh->gate) != RV_NEVER && sh->now < until) {
        wait_until(sh, sh->now + 20 * RV_MS);
        sh->now = time_now(sh);
        round_of(sh, true);
    }
}

void shell_run(struct shell *sh)
{
    unsigned signalled = rv_net_watch(sh->net, sh->signal_fd);
    unsigned ended = rv_net_watch(sh->net, sh->watch_fd);
    unsigned keys = sh->keyring == NULL ? 0 : rv_net_watch(sh->net, keyring_fd(sh->keyring));
    struct rv_watchdog watchdog;
    unsigned hung_up = sh->lifeline_fd < 0 ? 0 : rv_net_watch(sh->net, sh->lifeline_fd);

    if (rv_log_pollfd(sh->log) >= 0)
        (void)rv_net_watch(sh->net, rv_log_pollfd(sh->log));
    rv_watchdog_begin(&watchdog, time_now(sh));
    while (!sh->stop) {
        rv_ns deadline = sooner(next_deadline(sh), watchdog.next);
        rv_ns before = time_now(sh);
        rv_ns meant = deadline < before ? before : deadline;
        unsigned readable = wait_until(sh, deadline);

        sh->now = time_now(sh); /* read once: a round happens at one time */
        if (meant != RV_NEVER && sh->now - meant > PAUSE_MS * RV_MS) {
            gate_forgive(sh->gate, sh->now - meant);
            sh->late = LATE_ROUNDS;
        }
        round_of(sh, (readable & ended) != 0);
        rv_watchdog_round(&watchdog, sh->now);
        if (readable & signalled)
            signals(sh);
        if ((readable & keys) != 0 && keyring_due(sh->keyring))
            read_keys(sh);
        if (readable & hung_up)
            lifeline(sh);
    }
    rv_net_unwatch(sh->net, sh->signal_fd);
    if (sh->lifeline_fd >= 0)
        rv_net_unwatch(sh->net, sh->lifeline_fd);
    rv_notify("STOPPING=1");
    farewell(sh);
}

/* ---- life ---- */

static void add_principal(struct shell *sh, uint32_t id, const char *name, const char *role,
                          const char *rights, const char *quotas)
{
    struct rv_buf row = {0};
    const struct rv_principal_row fields = {.id = id,
                                            .name = rv_slice_str(name),
                                            .role = rv_slice_str(role),
                                            .rights = rv_slice_str(rights),
                                            .quotas = rv_slice_str(quotas)};

    if (mgr_principal_is(sh->mgr, id, &fields))
        return;
    rv_principal_row_encode(&row, &fields);
    sh->admitting++;
    rv_log_add(sh->log, &(struct command){.type = COMMAND_PRINCIPAL,
                                          .logged = true,
                                          .at = sh->now,
                                          .bytes = rv_buf_slice(&row)});
    rv_buf_free(&row);
}

static bool is_one_of(const struct principals *principals, size_t len, uint32_t id)
{
    for (size_t i = 0; i < len; i++)
        if (principals->ids[i] == id)
            return true;
    return false;
}

void shell_recognise(const struct shell *sh, struct principals *principals)
{
    uint32_t end = mgr_principals_end(sh->mgr);

    if (end < PRINCIPAL_FIRST)
        end = PRINCIPAL_FIRST;
    for (size_t i = 0; i < principals->len; i++) {
        uint32_t from = PRINCIPAL_FIRST;
        uint32_t id = 0;

        /* Two keys of one name are two principals, in the order of their files. */
        do {
            id = mgr_principal_named(sh->mgr, principals->files[i].name, from);
            from = id + 1;
        } while (id != 0 && is_one_of(principals, i, id));
        principals->ids[i] = id != 0 ? id : end++;
    }
}

static void remove_others(struct shell *sh, const struct principals *principals)
{
    uint32_t end = mgr_principals_end(sh->mgr);

    for (uint32_t id = PRINCIPAL_FIRST; id < end; id++)
        if (mgr_knows(sh->mgr, id) && !is_one_of(principals, principals->len, id))
            add_principal(sh, id, "", "", "", "");
}

void shell_admit(struct shell *sh, const struct principals *principals)
{
    size_t keys_len = 0;
    struct rv_net_key *keys = principals_keys(principals, &keys_len);

    remove_others(sh, principals);
    add_principal(sh, PRINCIPAL_LOCAL, "local", "admin", "", "");
    for (size_t i = 0; i < principals->len; i++) {
        const struct rv_keyfile *file = &principals->files[i];
        char rights[RV_KEYS_RIGHTS * 129] = "";
        char quotas[RV_KEYS_QUOTAS * 33] = "";

        for (size_t r = 0; r < file->rights_len; r++) {
            strcat(rights, r > 0 ? " " : "");
            strcat(rights, file->rights[r]);
        }
        for (size_t q = 0; q < file->quotas_len; q++) {
            strcat(quotas, q > 0 ? " " : "");
            strcat(quotas, file->quotas[q]);
        }
        add_principal(sh, principals->ids[i], file->name, file->role, rights, quotas);
    }
    rv_net_admit(sh->net, keys, keys_len);
    free(keys);
    /* Nobody is heard before it is known who may say what. */
    while (sh->admitting > 0) {
        struct pollfd p = {.fd = rv_log_pollfd(sh->log), .events = POLLIN};

        rv_log_flush(sh->log);
        poll(&p, 1, -1);
        rv_log_process(sh->log);
    }
}

void shell_follow(struct shell *sh, struct keyring *keyring)
{
    sh->keyring = keyring;
}

static uint64_t wall_seconds(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_REALTIME, &ts);
    return (uint64_t)ts.tv_sec;
}

static void open_memory(struct shell *sh, struct mgr_conf *mgr,
                        const struct rv_log_callbacks *callbacks)
{
    sh->now = time_now(sh);
    mgr->started_at = sh->now;
    rv_random_bytes(&mgr->store, sizeof mgr->store);
    mgr->fence = wall_seconds() << 32; /* above those of any store before */
    sh->mgr = mgr_new(mgr);
    sh->log = rv_log_mem_open(callbacks);
}

static bool open_folder(struct shell *sh, const struct shell_conf *conf, const struct mgr_conf *mgr,
                        const struct rv_log_callbacks *callbacks, char *why)
{
    char what[JOURNAL_WHY];
    int err = disk_dir_open(&sh->disk, conf->data, true, true);

    if (err != 0) {
        snprintf(why, SHELL_WHY, "cannot use the folder %.400s: %s", conf->data,
                 err == -EWOULDBLOCK ? "another reeve-server has it" : strerror(-err));
        return false;
    }
    disk_dir_read_ahead(sh->disk);
    if (rv_log_file_open(&sh->log, &sh->mgr,
                         &(struct rv_log_file_conf){.folder = conf->data,
                                                    .disk = sh->disk,
                                                    .segment_bytes = RV_LIMIT_SEGMENT_BYTES,
                                                    .floor_bytes = RV_LIMIT_FLOOR_BYTES,
                                                    .repair = conf->repair,
                                                    .now = rv_clock_wall(),
                                                    .sink = mgr->sink},
                         mgr, callbacks, what)) {
        sh->now = mgr_now(sh->mgr);
        sh->ahead = sh->now - rv_clock_now();
        return true;
    }
    snprintf(why, SHELL_WHY, "in the folder %.400s: %s", conf->data, what);
    return false;
}

void shell_serve(struct shell *sh, struct rv_net *net)
{
    sh->net = net;
}

struct shell *shell_new(const struct shell_conf *conf, char *why)
{
    struct shell *sh = rv_alloc(sizeof *sh);
    struct rv_log_callbacks callbacks = {
        .committed = on_commit, .arg = sh, .space = on_space, .failed = on_failed};
    struct mgr_conf mgr = {.term = 1,
                           .server = "reeve-server " REEVE_VERSION,
                           .durable = conf->data == NULL ? "none" : "sync",
                           .sink = {shell_line, sh}};
    sigset_t set;

    sh->lifeline_fd = conf->lifeline_fd;
    if (conf->data == NULL) {
        open_memory(sh, &mgr, &callbacks);
    } else if (!open_folder(sh, conf, &mgr, &callbacks, why)) {
        disk_dir_close(&sh->disk);
        free(sh);
        return NULL;
    }
    sh->gate = gate_new(sh->mgr, &mgr.sink);
    sh->watch_fd = epoll_create1(EPOLL_CLOEXEC);
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    sh->signal_fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    rv_assert(sh->watch_fd >= 0 && sh->signal_fd >= 0);
    return sh;
}

void shell_free(struct shell **shell)
{
    struct shell *sh = *shell;

    if (sh == NULL)
        return;
    while (sh->watches != NULL)
        unwatch(sh, sh->watches);
    rv_log_close(&sh->log);
    gate_free(&sh->gate);
    mgr_free(&sh->mgr);
    outbox_free(&sh->out);
    disk_dir_close(&sh->disk);
    close(sh->watch_fd);
    close(sh->signal_fd);
    free(sh);
    *shell = NULL;
}
