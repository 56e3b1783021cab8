/* loop.c -- wait, hear, do. Decisions are in core/, sockets to the manager in common/net, and
 * processes in runners.h; this file only carries. */

#include "worker/loop.h"
#include "common/proc/notify.h"
#include "worker/agent_options.h"
#include "worker/capacity.h"
#include "worker/elf_check.h"
#include "worker/fetch.h"
#include "worker/relays.h"
#include "worker/runners.h"

#include <errno.h>
#include <fcntl.h>
#include <gnu/libc-version.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    EVENTS = 64,
    RETRY_MS = 10,       /* what was due and could not be sent is tried again then */
    RESUME_MS = 120000,  /* the manager keeps a session that lost its connection so long */
    GOODBYE_MS = 1000,   /* the last words may take so long */
    OVERDUE_MS = 5000,   /* work that was stopped is not waited for any longer */
    PATIENT_CHUNKS = 16, /* a slot that has so many waiting can wait itself */
    PATIENT_MS = 2,      /* ... for so long */
};

/* Descriptors that are not the runners' have these as data. */
enum { FD_SIGNAL, FD_LIFELINE, FD_DEALER, FD_MONITOR };

/* An env whose program is fetched. The core keeps it until it hears what became of that. */
struct load {
    const struct agent_env *env;
    struct load *prev, *next;
};

struct loop {
    const struct loop_conf *conf;
    struct rv_link link;
    struct rv_conn *conn;
    struct agent *agent;
    struct runners *runners;
    struct fetches *fetches;
    struct relays *relays;
    struct load *loads;
    struct cache cache;
    int epoll_fd, signal_fd;
    int conn_fds[2];
    size_t conn_fds_len;
    char host_name[256];
    char machine[128];
    struct rv_id host;
    uint64_t incarnation;
    struct rv_watchdog watchdog;
    rv_ns now;
    rv_ns lost_at;   /* since when there is no session that works */
    rv_ns idle_at;   /* since when nothing runs */
    rv_ns drain_at;  /* RV_NEVER; running items are stopped then */
    rv_ns end_at;    /* RV_NEVER; whatever is still there, we end */
    rv_ns send_at;   /* RV_NEVER; what is to be said waits for company until then */
    bool opened;     /* the manager has taken us, in this session */
    bool told_ready; /* once */
    bool draining, leave, stop;
    int exit_code;
    char trouble[300];          /* why the last attempt to connect failed */
    char told[RV_TARGETS][300]; /* ... and what of that was logged, by endpoint */
};

/* ---- words ---- */

static int least_level = RV_INFO;

void loop_log_level(int level)
{
    least_level = level;
}

void loop_line(void *arg, int level, const char *text)
{
    static const char *const levels[] = {"error", "warn", "info", "debug"};
    struct timespec ts;
    struct tm tm;
    char stamp[32];

    (void)arg;
    if (level > least_level)
        return;
    clock_gettime(CLOCK_REALTIME, &ts);
    gmtime_r(&ts.tv_sec, &tm);
    strftime(stamp, sizeof stamp, "%Y-%m-%dT%H:%M:%S", &tm);
    fprintf(stderr, "%s.%03ldZ %-5s worker %s\n", stamp, ts.tv_nsec / 1000000, levels[level], text);
}

static void line(int level, const char *event, const char *why)
{
    char text[700];

    snprintf(text, sizeof text, "%s%s%.600s%s", event, why == NULL ? "" : " why=\"",
             why == NULL ? "" : why, why == NULL ? "" : "\"");
    loop_line(NULL, level, text);
}

static void tell_ready(struct loop *l)
{
    if (l->told_ready)
        return;
    l->told_ready = true;
    rv_notify("READY=1");
    if (l->conf->ready_fd < 0)
        return;
    (void)dprintf(l->conf->ready_fd, "ready\n");
    close(l->conf->ready_fd);
}

static void end(struct loop *l, int code, const char *why)
{
    if (l->stop)
        return;
    l->stop = true;
    l->exit_code = code;
    line(code == 0 ? RV_INFO : RV_ERROR, "worker.end", why);
}

/* ---- effects of the core ---- */

static const struct agent_env *take_load(struct loop *l, uint64_t id)
{
    struct load *load = NULL;
    const struct agent_env *env = NULL;

    DL_FOREACH (l->loads, load) {
        if (load->env->id == id)
            break;
    }
    if (load == NULL)
        return NULL;
    env = load->env;
    DL_DELETE(l->loads, load);
    free(load);
    return env;
}

static void load(struct loop *l, const struct agent_env *env)
{
    struct load *wanted = NULL;

    if (env->kind == RV_CODE_COMMAND) {
        runners_load(l->runners, l->now, env, NULL, false);
        return;
    }
    wanted = rv_alloc(sizeof *wanted);
    wanted->env = env;
    DL_APPEND(l->loads, wanted);
    fetch_begin(l->fetches, env->id, env->digest, env->size);
}

/* The program is in the cache. */
static void fetched(void *arg, uint64_t id, const char *path, const char *why)
{
    struct loop *l = arg;
    const struct agent_env *env = take_load(l, id);
    const char *own = runners_own_libs(l->runners);
    struct elf_host host = {.root = "",
                            .library_dirs = getenv("LD_LIBRARY_PATH"),
                            .own_dir = own,
                            .libc = gnu_get_libc_version()};
    char words[600];
    bool own_libs = false;
    int fd = -1;

    if (env == NULL)
        return;
    if (why != NULL) {
        runners_cannot(l->runners, id, why, false);
        return;
    }
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        runners_cannot(l->runners, id, "the program has gone from the cache", false);
        return;
    }
    if (elf_check(fd, env->kind == RV_CODE_MODULE ? ELF_MODULE : ELF_PROGRAM, &host, &own_libs,
                  words, sizeof words))
        runners_load(l->runners, l->now, env, path, own_libs);
    else
        runners_cannot(l->runners, id, words, false);
    close(fd);
}

static void effect(void *arg, const struct agent_effect *e)
{
    struct loop *l = arg;

    switch (e->type) {
    case AGENT_LOAD:
        load(l, e->env);
        break;
    case AGENT_UNLOAD:
        fetch_cancel(l->fetches, e->env->id);
        (void)take_load(l, e->env->id);
        runners_unload(l->runners, e->env->id);
        break;
    case AGENT_START:
        runners_start(l->runners, l->now, e->slot, e->env);
        break;
    case AGENT_GIVE:
        runners_give(l->runners, e->slot, e->work);
        break;
    case AGENT_TRIM:
        runners_trim(l->runners, l->now, e->slot, e->end);
        break;
    case AGENT_LOOK:
        runners_look(l->runners, l->now, e->slot);
        break;
    case AGENT_STOP:
        runners_stop(l->runners, l->now, e->slot);
        break;
    case AGENT_LEAVE:
        l->leave = true;
        break;
    }
}

/* ---- the connection ---- */

static void watch_conn(struct loop *l)
{
    static const uint64_t names[] = {FD_DEALER, FD_MONITOR};

    l->conn_fds_len = rv_conn_fds(l->conn, l->conn_fds);
    for (size_t i = 0; i < l->conn_fds_len; i++) {
        struct epoll_event event = {.events = EPOLLIN, .data.u64 = names[i]};

        (void)epoll_ctl(l->epoll_fd, EPOLL_CTL_ADD, l->conn_fds[i], &event);
    }
}

static void close_conn(struct loop *l)
{
    for (size_t i = 0; i < l->conn_fds_len; i++)
        (void)epoll_ctl(l->epoll_fd, EPOLL_CTL_DEL, l->conn_fds[i], NULL);
    l->conn_fds_len = 0;
    rv_conn_close(&l->conn);
    rv_link_closed(&l->link);
}

static const char *endpoint(const struct loop *l)
{
    return l->link.conf.endpoints[l->link.endpoint];
}

/* An attempt has failed. It is logged when it fails otherwise than the one before. */
static void trouble(struct loop *l, const char *why)
{
    char *told = l->told[l->link.endpoint];
    char text[600];

    snprintf(l->trouble, sizeof l->trouble, "%.290s", why);
    if (strcmp(told, l->trouble) == 0)
        return;
    strcpy(told, l->trouble);
    snprintf(text, sizeof text, "manager %.250s: %s", endpoint(l), l->trouble);
    line(RV_WARN, "manager.away", text);
}

static void connect_now(struct loop *l)
{
    char why[1024] = "";

    rv_link_connecting(&l->link, l->now);
    if (rv_target_connect(&l->conn, &l->conf->targets->list[l->link.endpoint],
                          l->conf->key->public_key, l->conf->key->secret_key, RV_LIMIT_HANDSHAKE_MS,
                          l->link.established, why) == REEVE_OK) {
        watch_conn(l);
        return;
    }
    trouble(l, why);
    rv_link_ended(&l->link, l->now, RV_END_LOST);
    rv_link_closed(&l->link);
}

static void take_in(struct loop *l)
{
    struct rv_net_message msg;

    while (l->conn != NULL && !l->link.close_wanted) {
        switch (rv_conn_receive(l->conn, &msg)) {
        case RV_CONN_NONE:
            return;
        case RV_CONN_READY:
            rv_link_connected(&l->link, l->now);
            break;
        case RV_CONN_MESSAGE:
            rv_link_receive(&l->link, l->now, msg.control, msg.bodies, msg.bodies_len);
            break;
        case RV_CONN_LOST:
            if (l->link.state == RV_LINK_CONNECTING)
                trouble(l, "nobody answers there");
            rv_link_ended(&l->link, l->now, RV_END_LOST);
            break;
        case RV_CONN_HUNG_UP:
            trouble(l, "what listens there is no manager, for it hangs up in the handshake");
            rv_link_ended(&l->link, l->now, RV_END_LOST);
            break;
        case RV_CONN_REFUSED:
            rv_link_ended(&l->link, l->now, RV_END_REFUSED);
            break;
        case RV_CONN_MISMATCH:
            trouble(l, "the manager there has another key than the one trusted here");
            rv_link_ended(&l->link, l->now, RV_END_MISMATCH);
            break;
        }
    }
}

static bool send_out(struct loop *l)
{
    struct rv_link_frame frame;
    bool any = false;

    while (l->conn != NULL && rv_link_transmit(&l->link, l->now, &frame)) {
        bool sent =
            rv_conn_send(l->conn, frame.control, frame.bodies, frame.bodies_len) == RV_NET_SENT;

        rv_link_sent(&l->link, l->now, sent);
        if (!sent)
            break;
        any = true;
    }
    return any;
}

/* With much work waiting here, nobody waits for the results of a few tiny items: they leave
 * together, which saves both sides most of their wake-ups. */
static bool say_later(struct loop *l)
{
    if (agent_ahead(l->agent) < l->conf->slots * PATIENT_CHUNKS || l->draining ||
        l->link.state != RV_LINK_READY) {
        l->send_at = RV_NEVER;
        return false;
    }
    if (l->send_at == RV_NEVER)
        l->send_at = rv_after_ms(l->now, PATIENT_MS);
    if (l->now < l->send_at)
        return true;
    l->send_at = RV_NEVER;
    return false;
}

/* Everything that can be heard or said now. */
static void drive(struct loop *l)
{
    bool more = true;

    while (more && !l->stop) {
        more = false;
        take_in(l);
        rv_link_tick(&l->link, l->now);
        fetches_step(l->fetches);
        runners_tick(l->runners, l->now);
        relays_tick(l->relays, l->now);
        agent_step(l->agent, l->now);
        switch (rv_link_want(&l->link, l->now)) {
        case RV_WANT_CONNECT:
            connect_now(l);
            more = true;
            break;
        case RV_WANT_CLOSE:
            close_conn(l);
            more = l->link.state != RV_LINK_DEAD;
            break;
        case RV_WANT_NOTHING:
            more = !say_later(l) && send_out(l); /* a send may have taken in what it found */
            break;
        }
    }
}

/* ---- sessions ---- */

static void begin_session(struct loop *l)
{
    struct rv_link_conf conf = {.host = l->host,
                                .pid = (uint32_t)getpid(),
                                .resume_ms = RESUME_MS,
                                .host_name = l->host_name,
                                .program = "reeve-worker"};
    struct agent_conf agent = {.name = l->conf->name,
                               .labels = l->conf->labels,
                               .machine = l->machine,
                               .host = l->host,
                               .incarnation = l->incarnation++,
                               .slots = l->conf->slots,
                               .sink = {loop_line, NULL}};

    rv_random_bytes(&conf.session, sizeof conf.session);
    rv_random_bytes(&conf.seed, sizeof conf.seed);
    for (size_t i = 0; i < l->conf->targets->len; i++)
        conf.endpoints[conf.endpoints_len++] = l->conf->targets->list[i].endpoint;
    rv_link_init(&l->link, &conf, l->now);
    l->agent = agent_new(&agent, &l->link, effect, l);
    l->fetches = fetches_new(&l->link, &l->cache, fetched, l);
    runners_serve(l->runners, l->agent);
    relays_serve(l->relays, &l->link);
    l->opened = false;
}

/* All its work goes with it. */
static void end_session(struct loop *l)
{
    runners_serve(l->runners, NULL);
    relays_serve(l->relays, NULL);
    fetches_free(&l->fetches);
    while (l->loads != NULL)
        (void)take_load(l, l->loads->env->id);
    agent_free(&l->agent);
    if (l->conn != NULL)
        close_conn(l);
    rv_link_fini(&l->link);
}

/* The session has ended for good. Some ends would only come again. */
static void session_over(struct loop *l)
{
    char why[700];
    bool for_ever = l->link.error == REEVE_EAUTH || l->link.error == REEVE_EPERM ||
                    l->link.error == REEVE_EVERSION || l->link.error == REEVE_EINVAL;
    bool replaced = l->link.error == REEVE_EEXPIRED && !l->opened;

    snprintf(why, sizeof why, "manager %s: %s", endpoint(l),
             l->link.why[0] == '\0' ? reeve_strerror(l->link.error) : l->link.why);
    if (l->link.error == REEVE_EAUTH && l->link.mismatches == 0)
        snprintf(why, sizeof why,
                 "manager %s: %s; on the manager, put this into authorized.d, with role = worker: "
                 "public = %s",
                 endpoint(l), l->link.why, l->conf->key->public_key);
    if (for_ever || replaced) {
        end(l, for_ever ? EXIT_CONFIG : EXIT_LOST, why);
        return;
    }
    if (l->draining) {
        end(l, 0, why);
        return;
    }
    line(RV_WARN, "session.end", why);
    end_session(l);
    begin_session(l);
}

/* ---- times that end us ---- */

static void drain(struct loop *l, bool now_too)
{
    if (!l->draining)
        rv_notify("STOPPING=1");
    l->draining = true;
    l->drain_at = now_too ? RV_NEVER : rv_after_ms(l->now, l->conf->drain_ms);
    if (now_too)
        l->end_at = rv_after_ms(l->now, OVERDUE_MS);
    line(RV_INFO, now_too ? "worker.drain now=1" : "worker.drain", NULL);
    agent_drain(l->agent, l->now, now_too);
}

/* Say goodbye, for a moment. */
static void farewell(struct loop *l)
{
    rv_ns until = rv_after_ms(l->now, GOODBYE_MS);

    rv_link_goodbye(&l->link);
    while (!l->link.left && l->link.state == RV_LINK_READY && l->now < until) {
        struct pollfd fds[2];

        (void)send_out(l);
        for (size_t i = 0; i < l->conn_fds_len; i++)
            fds[i] = (struct pollfd){.fd = l->conn_fds[i], .events = POLLIN};
        (void)poll(fds, l->conn_fds_len, RETRY_MS);
        if (l->conn != NULL)
            rv_conn_look(l->conn);
        l->now = rv_clock_now();
        take_in(l);
    }
}

static bool passed(const struct loop *l, rv_ns since, uint32_t ms)
{
    return ms > 0 && l->now - since >= (rv_ns)ms * RV_MS;
}

static void judge(struct loop *l)
{
    char why[400];

    if (l->link.state == RV_LINK_READY && l->link.ports != NULL) {
        l->lost_at = l->now;
        l->opened = true;
        memset(l->told, 0, sizeof l->told);
        tell_ready(l);
    }
    if (agent_busy(l->agent) > 0 || l->loads != NULL || runners_at_work(l->runners))
        l->idle_at = l->now;
    if (l->link.state == RV_LINK_DEAD)
        session_over(l);
    if (!l->stop && passed(l, l->lost_at, l->conf->lost_exit_ms)) {
        snprintf(why, sizeof why, "manager %s is lost%s%s", endpoint(l),
                 l->trouble[0] == '\0' ? "" : ": ", l->trouble);
        end(l, EXIT_LOST, why);
    }
    if (!l->draining && passed(l, l->idle_at, l->conf->idle_exit_ms))
        drain(l, false);
    if (l->draining && l->now >= l->drain_at)
        drain(l, true);
    if (l->leave || l->now >= l->end_at)
        end(l, 0, l->leave ? "drained" : "drained, but not all of it was heard");
}

static rv_ns sooner(rv_ns a, rv_ns b)
{
    return a < b ? a : b;
}

static rv_ns since_ms(rv_ns since, uint32_t ms)
{
    return ms == 0 ? RV_NEVER : since + (rv_ns)ms * RV_MS;
}

static rv_ns next_deadline(const struct loop *l)
{
    rv_ns link = rv_link_deadline(&l->link);
    rv_ns next = sooner(agent_deadline(l->agent), runners_deadline(l->runners));

    /* What is overdue even now met a full connection: trying at once would only burn time. */
    if (link <= l->now)
        link = l->now + RETRY_MS * RV_MS;
    next = sooner(sooner(next, link), relays_deadline(l->relays));
    next = sooner(next, sooner(l->drain_at, l->end_at));
    next = sooner(next, l->watchdog.next);
    next = sooner(next, since_ms(l->lost_at, l->conf->lost_exit_ms));
    if (!l->draining)
        next = sooner(next, since_ms(l->idle_at, l->conf->idle_exit_ms));
    return next;
}

/* ---- the loop ---- */

static void signals(struct loop *l)
{
    struct signalfd_siginfo info;

    while (read(l->signal_fd, &info, sizeof info) == sizeof info) {
        if (info.ssi_signo == SIGCHLD)
            continue; /* several may be one: all are looked for below */
        drain(l, l->draining);
    }
    runners_children(l->runners, l->now);
}

static void lifeline(struct loop *l)
{
    char byte = 0;

    if (read(l->conf->lifeline_fd, &byte, 1) == 0)
        end(l, 0, "the lifeline was let go");
}

static void on_event(struct loop *l, uint64_t data)
{
    if (data & RUNNERS_EVENT)
        runners_event(l->runners, l->now, data);
    else if (data & RELAYS_EVENT)
        relays_event(l->relays, l->now, data);
    else if (data == FD_SIGNAL)
        signals(l);
    else if (data == FD_LIFELINE)
        lifeline(l);
    else if (data == FD_MONITOR && l->conn != NULL)
        rv_conn_look(l->conn);
}

static int wait_ms(rv_ns deadline)
{
    rv_ns left = deadline == RV_NEVER ? RV_NEVER : deadline - rv_clock_now();

    if (left == RV_NEVER)
        return -1;
    if (left <= 0)
        return 0;
    return left > 3600 * RV_SEC ? 3600 * 1000 : (int)((left + RV_MS - 1) / RV_MS);
}

static void round_of(struct loop *l)
{
    struct epoll_event events[EVENTS];
    int len = epoll_wait(l->epoll_fd, events, EVENTS, wait_ms(next_deadline(l)));

    l->now = rv_clock_now(); /* read once: a round happens at one time */
    for (int i = 0; i < len && !l->stop; i++)
        on_event(l, events[i].data.u64);
    if (l->stop)
        return;
    drive(l);
    judge(l);
}

static bool watch(struct loop *l, int fd, uint64_t name)
{
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = name};

    return fd >= 0 && epoll_ctl(l->epoll_fd, EPOLL_CTL_ADD, fd, &event) == 0;
}

static bool open_loop(struct loop *l, char *why, size_t len)
{
    struct runners_conf runners = {.slots = l->conf->slots,
                                   .agent = l->conf->name,
                                   .url = l->conf->url,
                                   .sink = {loop_line, NULL}};
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGCHLD);
    l->signal_fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    l->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (!watch(l, l->signal_fd, FD_SIGNAL) ||
        (l->conf->lifeline_fd >= 0 && !watch(l, l->conf->lifeline_fd, FD_LIFELINE))) {
        snprintf(why, len, "cannot wait for descriptors: %s", strerror(errno));
        return false;
    }
    if (!cache_open(&l->cache, l->conf->cache_dir, l->conf->cache_bytes, why, len))
        return false;
    if (gethostname(l->host_name, sizeof l->host_name - 1) != 0)
        snprintf(l->host_name, sizeof l->host_name, "unknown");
    capacity_machine(l->machine, sizeof l->machine);
    rv_host_id(&l->host);
    l->incarnation = (uint64_t)rv_clock_wall();
    runners.epoll_fd = l->epoll_fd;
    l->runners = runners_new(&runners);
    l->relays = relays_new(&(struct relays_conf){.epoll_fd = l->epoll_fd,
                                                 .targets = l->conf->targets,
                                                 .key = l->conf->key,
                                                 .runners = l->runners,
                                                 .sink = {loop_line, NULL}},
                           why, len);
    if (l->relays == NULL)
        return false;
    runners_relay(l->runners, relays_url(l->relays));
    return true;
}

int loop_run(const struct loop_conf *conf)
{
    struct loop l = {.conf = conf, .epoll_fd = -1, .signal_fd = -1};
    char why[600];

    l.now = l.lost_at = l.idle_at = rv_clock_now();
    l.drain_at = l.end_at = l.send_at = RV_NEVER;
    if (open_loop(&l, why, sizeof why)) {
        begin_session(&l);
        drive(&l);
        rv_watchdog_begin(&l.watchdog, l.now);
        while (!l.stop) {
            rv_watchdog_round(&l.watchdog, l.now);
            round_of(&l);
        }
        runners_serve(l.runners, NULL); /* nobody runs on without us */
        if (l.exit_code == 0)
            farewell(&l);
        end_session(&l);
    } else {
        l.exit_code = EXIT_CONFIG;
        line(RV_ERROR, "worker.end", why);
    }
    relays_free(&l.relays);
    runners_free(&l.runners);
    close(l.epoll_fd);
    close(l.signal_fd);
    return l.exit_code;
}
