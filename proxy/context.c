/* context.c -- the pump: who waits drives the connection for all. */

#include "proxy/context.h"

#include "common/net/conf.h"
#include "common/net/target.h"
#include "proxy/private.h"
#include "proxy/runner.h"
#include "proxy/ship.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum {
    BUSY_MS = 2,   /* a caller that was here so lately will be back */
    RETRY_MS = 10, /* what was due and could not be done is tried again then */
    OPEN_MS = 5000,
    LINGER_MS = 5000,
    GOODBYE_MS = 1000,
};

/* ---- all contexts, for exit() ---- */

static pthread_mutex_t open_mutex = PTHREAD_MUTEX_INITIALIZER;
static reeve_context *open_contexts;

static void lock_open(void)
{
    pthread_mutex_lock(&open_mutex);
}

static void unlock_open(void)
{
    pthread_mutex_unlock(&open_mutex);
}

/* What the parent has open is not ours to flush. */
static void forget_open(void)
{
    open_contexts = NULL;
    pthread_mutex_unlock(&open_mutex);
}

/* ---- fork is noticed: the child finds this page wiped ---- */

static pthread_once_t fork_once = PTHREAD_ONCE_INIT; /* glibc begins it again after a fork in it */
static atomic_uint *fork_page;      /* the generation, or zero in a child that has opened nothing */
static atomic_uint fork_generation; /* of this process; contexts of an older one are the parent's */

static void map_fork_page(void)
{
    size_t size = (size_t)sysconf(_SC_PAGESIZE);
    void *page = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    (void)pthread_atfork(lock_open, unlock_open, forget_open);
    if (page != MAP_FAILED && madvise(page, size, MADV_WIPEONFORK) == 0)
        fork_page = page;
    else if (page != MAP_FAILED)
        munmap(page, size);
}

uint32_t rv_generation(void)
{
    unsigned none = 0;

    pthread_once(&fork_once, map_fork_page);
    if (fork_page == NULL)
        return 0;
    if (atomic_load(fork_page) == 0)
        atomic_compare_exchange_strong(fork_page, &none, atomic_fetch_add(&fork_generation, 1) + 1);
    return atomic_load(fork_page);
}

static bool forked(const reeve_context *ctx)
{
    return fork_page != NULL ? atomic_load(fork_page) != ctx->generation : ctx->pid != getpid();
}

/* ---- connections ---- */

static void trouble(reeve_context *ctx, const char *why)
{
    snprintf(ctx->last_trouble, sizeof ctx->last_trouble, "%.*s", (int)sizeof ctx->last_trouble - 1,
             why);
}

static const char *beside_socket(const char *endpoint, char server_key[RV_KEY_TEXT], char *why)
{
    struct rv_keyfile file;
    char path[512];
    const char *slash = strrchr(endpoint, '/');

    snprintf(path, sizeof path, "%.*s/server.pub", (int)(slash - endpoint - 6), endpoint + 6);
    if (rv_keys_read(&file, path, false, why) != REEVE_OK)
        return NULL;
    memcpy(server_key, file.public_key, RV_KEY_TEXT);
    return server_key;
}

/* What an event of a sleeper's epoll is of. */
enum { OWN, CONNECTION }; /* CONNECTION + i: the i-th of rv_conn_fds */

static bool set_event(int epoll_fd, int what, int fd, uint32_t number, bool on)
{
    struct epoll_event event = {.events = on ? EPOLLIN : 0, .data.u32 = number};

    return epoll_ctl(epoll_fd, what, fd, &event) == 0;
}

static bool add_event(int epoll_fd, int fd, uint32_t number)
{
    return set_event(epoll_fd, EPOLL_CTL_ADD, fd, number, true);
}

/* Both sleepers hear of the connection, also those who sleep already. */
static bool watch(reeve_context *ctx)
{
    int fds[2];
    size_t len = rv_conn_fds(ctx->conn, fds);
    bool done = true;

    for (size_t i = 0; i < len && done; i++)
        done = add_event(ctx->pump_epoll, fds[i], CONNECTION + (uint32_t)i) &&
               set_event(ctx->background_epoll, EPOLL_CTL_ADD, fds[i], CONNECTION + (uint32_t)i,
                         ctx->listens);
    return done;
}

/* Does the background wake up for the connection? While a caller has it, it must not: it would be
 * woken again and again by what only the caller takes in. */
static void listen_to(reeve_context *ctx, bool listens)
{
    int fds[2];
    size_t len = ctx->conn == NULL || ctx->listens == listens ? 0 : rv_conn_fds(ctx->conn, fds);

    ctx->listens = listens;
    for (size_t i = 0; i < len; i++)
        (void)set_event(ctx->background_epoll, EPOLL_CTL_MOD, fds[i], CONNECTION + (uint32_t)i,
                        listens);
}

/* Before it is closed: the descriptors may live on for a moment. */
static void close_conn(reeve_context *ctx)
{
    int fds[2];
    size_t len = ctx->conn == NULL ? 0 : rv_conn_fds(ctx->conn, fds);

    for (size_t i = 0; i < len; i++) {
        epoll_ctl(ctx->pump_epoll, EPOLL_CTL_DEL, fds[i], NULL);
        epoll_ctl(ctx->background_epoll, EPOLL_CTL_DEL, fds[i], NULL);
    }
    rv_conn_close(&ctx->conn);
}

static bool open_conn(reeve_context *ctx, const struct rv_conn_conf *conf, char *why)
{
    if (rv_conn_open(&ctx->conn, conf, why) != REEVE_OK)
        return false;
    if (watch(ctx))
        return true;
    strcpy(why, "unable to watch the connection: too many are watched");
    close_conn(ctx);
    return false;
}

static void connect_now(reeve_context *ctx, rv_ns now)
{
    const struct rv_candidate *c = &ctx->candidates[ctx->link.endpoint];
    char server_key[RV_KEY_TEXT];
    char why[1024] = "";
    struct rv_conn_conf conf = {
        .endpoint = c->endpoint,
        .server_key = c->server_key,
        .public_key = ctx->public_key,
        .secret_key = ctx->secret_key,
        .handshake_ms = RV_LIMIT_HANDSHAKE_MS,
        .met = ctx->link.established,
        .session = ctx->link.conf.session,
    };

    rv_link_connecting(&ctx->link, now);
    if (c->server_key[0] == '\0' && strncmp(c->endpoint, "ipc://", 6) == 0)
        conf.server_key = beside_socket(c->endpoint, server_key, why);
    if (conf.server_key == NULL || !open_conn(ctx, &conf, why)) {
        trouble(ctx, why);
        rv_link_ended(&ctx->link, now, RV_END_LOST);
        rv_link_closed(&ctx->link);
    }
}

static void close_now(reeve_context *ctx)
{
    close_conn(ctx);
    rv_link_closed(&ctx->link);
}

/* ---- driving ---- */

/* Take in all that came. self: stop as soon as it is satisfied; what is left is taken in
 * before anybody sleeps on the connection. */
static bool take_in(reeve_context *ctx, const struct rv_waiter *self, rv_ns now)
{
    struct rv_net_message msg;
    bool any = false;

    ctx->unread = false;
    while (ctx->conn != NULL && !ctx->link.close_wanted) {
        switch (rv_conn_receive(ctx->conn, &msg)) {
        case RV_CONN_NONE:
            return any;
        case RV_CONN_READY:
            rv_link_connected(&ctx->link, now);
            break;
        case RV_CONN_MESSAGE:
            rv_link_receive(&ctx->link, now, msg.control, msg.bodies, msg.bodies_len);
            ctx->unread = self != NULL && self->ready(self->arg);
            if (ctx->unread)
                return true;
            break;
        case RV_CONN_LOST:
            if (ctx->link.state == RV_LINK_CONNECTING)
                trouble(ctx, "nobody answers there");
            rv_link_ended(&ctx->link, now, RV_END_LOST);
            break;
        case RV_CONN_HUNG_UP:
            trouble(ctx, "what listens there is no manager, for it hangs up in the handshake");
            rv_link_ended(&ctx->link, now, RV_END_LOST);
            break;
        case RV_CONN_REFUSED:
            rv_link_ended(&ctx->link, now, RV_END_REFUSED);
            break;
        case RV_CONN_MISMATCH:
            trouble(ctx, "the manager there has another key than the one trusted here");
            rv_link_ended(&ctx->link, now, RV_END_MISMATCH);
            break;
        }
        any = true;
    }
    return any;
}

static bool send_out(reeve_context *ctx, rv_ns now)
{
    struct rv_link_frame frame;
    bool any = false;

    while (ctx->conn != NULL && rv_link_transmit(&ctx->link, now, &frame)) {
        bool sent =
            rv_conn_send(ctx->conn, frame.control, frame.bodies, frame.bodies_len) == RV_NET_SENT;

        rv_link_sent(&ctx->link, now, sent);
        if (!sent) /* The descriptor tells when there is room; what else it told, the send took. */
            return take_in(ctx, NULL, now) || any;
        any = true;
    }
    return any;
}

static void wake(reeve_context *ctx, struct rv_waiter *w)
{
    if (w->polling)
        eventfd_write(ctx->wake_fd, 1);
    else
        pthread_cond_signal(&w->cond);
}

static void wake_ready(reeve_context *ctx)
{
    struct rv_waiter *w = NULL;

    DL_FOREACH (ctx->waiters, w)
        if (w->ready(w->arg))
            wake(ctx, w);
}

/* Whoever sleeps on the connection is woken when it has to look before it meant to. */
void rv_wake_before(reeve_context *ctx, rv_ns deadline)
{
    rv_ns *until = ctx->pumping ? &ctx->pump_until : &ctx->background_until;

    if (deadline >= *until)
        return;
    *until = deadline;
    eventfd_write(ctx->pumping ? ctx->wake_fd : ctx->background_fd, 1);
}

/* When to drive again by itself. What is overdue even now met a full connection or had no
 * memory: trying at once, and again, would only burn the processor. */
static rv_ns next_drive(const reeve_context *ctx)
{
    rv_ns deadline = rv_link_deadline(&ctx->link);

    return deadline > ctx->driven_at ? deadline : ctx->driven_at + RETRY_MS * RV_MS;
}

/* What is due leaves first: then what it brings back is looked for only once. */
static void drive(reeve_context *ctx, const struct rv_waiter *self)
{
    rv_ns now = rv_clock_now();
    bool more = true;

    ctx->driven_at = now;
    rv_ledger_settle(ctx->ledger, &ctx->link);
    (void)send_out(ctx, now);
    while (more) {
        more = false;
        (void)take_in(ctx, self, now);
        rv_link_tick(&ctx->link, now);
        switch (rv_link_want(&ctx->link, now)) {
        case RV_WANT_CONNECT:
            connect_now(ctx, now);
            more = true;
            break;
        case RV_WANT_CLOSE:
            close_now(ctx);
            more = true;
            break;
        case RV_WANT_NOTHING:
            more = send_out(ctx, now);
            break;
        }
    }
    wake_ready(ctx);
}

void rv_drive(reeve_context *ctx)
{
    drive(ctx, NULL);
    rv_wake_before(ctx, next_drive(ctx));
}

static int poll_ms(rv_ns deadline)
{
    rv_ns left = deadline == RV_NEVER ? RV_NEVER : deadline - rv_clock_now();

    if (left == RV_NEVER)
        return -1;
    if (left <= 0)
        return 0;
    return left > 3600 * RV_SEC ? 3600 * 1000 : (int)((left + RV_MS - 1) / RV_MS);
}

/* Sleep until one of the epoll's or the deadline; without the mutex. One epoll has them all, because
 * a call that is alone on a processor pays for each descriptor that poll() goes to sleep on. Returns
 * whether the connection has something. */
static bool sleep_on(reeve_context *ctx, int epoll_fd, int own_fd, rv_ns deadline)
{
    struct epoll_event events[3];
    eventfd_t value = 0;
    bool any = false;
    int len = 0;

    pthread_mutex_unlock(&ctx->mutex);
    /* A signal ends it early; everybody looks again. */
    len = epoll_wait(epoll_fd, events, (int)rv_countof(events), poll_ms(deadline));
    pthread_mutex_lock(&ctx->mutex);
    for (int i = 0; i < len; i++) {
        if (events[i].data.u32 == OWN)
            (void)eventfd_read(own_fd, &value);
        else
            any = true;
        if (events[i].data.u32 == CONNECTION + 1 && ctx->conn != NULL)
            rv_conn_look(ctx->conn);
    }
    return any;
}

static rv_ns sooner(rv_ns a, rv_ns b)
{
    return a < b ? a : b;
}

static void pump(reeve_context *ctx, struct rv_waiter *self, rv_ns deadline)
{
    if (ctx->unread) {
        drive(ctx, self);
        return;
    }
    ctx->pumping = true;
    ctx->pumping_since = rv_clock_now();
    self->polling = true;
    ctx->pump_until = sooner(deadline, next_drive(ctx));
    if (ctx->background_until == 0)
        listen_to(ctx, false);
    (void)sleep_on(ctx, ctx->pump_epoll, ctx->wake_fd, ctx->pump_until);
    self->polling = false;
    ctx->pumping = false;
    drive(ctx, self);
}

/* The one who pumped goes: somebody else must. */
static void hand_over(reeve_context *ctx)
{
    struct rv_waiter *next = ctx->waiters;

    ctx->pumped_at = rv_clock_now();
    if (ctx->pumping)
        return;
    if (next != NULL) {
        pthread_cond_signal(&next->cond);
        return;
    }
    /* What others wait for is not kept for as long as the background is at rest: it listens. The
     * descriptor tells only of what comes after all was read. */
    if (ctx->link.asked_back > 0) {
        listen_to(ctx, true);
        if (ctx->unread)
            drive(ctx, NULL);
    }
    rv_wake_before(ctx, ctx->unread ? ctx->driven_at : next_drive(ctx));
}

bool rv_wait(reeve_context *ctx, bool (*ready)(void *arg), void *arg, rv_ns deadline)
{
    struct rv_waiter self = {.ready = ready, .arg = arg};
    uint32_t interrupts = ctx->interrupts;
    pthread_condattr_t attr;
    bool ok = false;

    rv_drive(ctx);
    if (ready(arg))
        return true;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&self.cond, &attr);
    pthread_condattr_destroy(&attr);
    DL_APPEND(ctx->waiters, &self);
    while (!(ok = ready(arg)) && interrupts == ctx->interrupts && rv_clock_now() < deadline) {
        if (!ctx->pumping) {
            pump(ctx, &self, deadline);
        } else if (deadline == RV_NEVER) {
            pthread_cond_wait(&self.cond, &ctx->mutex);
        } else {
            struct timespec at = {.tv_sec = deadline / RV_SEC, .tv_nsec = deadline % RV_SEC};

            pthread_cond_timedwait(&self.cond, &ctx->mutex, &at);
        }
    }
    DL_DELETE(ctx->waiters, &self);
    hand_over(ctx);
    pthread_cond_destroy(&self.cond);
    return ok;
}

/* ---- the background ---- */

static void *background(void *arg)
{
    reeve_context *ctx = arg;

    pthread_mutex_lock(&ctx->mutex);
    while (!ctx->stop) {
        rv_ns now = rv_clock_now();
        bool long_pump = ctx->pumping && now - ctx->pumping_since > BUSY_MS * RV_MS;
        bool busy = ctx->pumping || now - ctx->pumped_at < BUSY_MS * RV_MS;

        if (long_pump) {
            /* A caller waits for long and does everything; it wakes us when it leaves. */
            listen_to(ctx, false);
            ctx->background_until = RV_NEVER;
            (void)sleep_on(ctx, ctx->background_epoll, ctx->background_fd, RV_NEVER);
        } else if (busy) {
            listen_to(ctx, !ctx->pumping && ctx->link.asked_back > 0);
            ctx->background_until = 0;
            if (sleep_on(ctx, ctx->background_epoll, ctx->background_fd, now + BUSY_MS * RV_MS) &&
                !ctx->pumping)
                drive(ctx, NULL);
        } else {
            drive(ctx, NULL);
            listen_to(ctx, true);
            ctx->background_until = next_drive(ctx);
            (void)sleep_on(ctx, ctx->background_epoll, ctx->background_fd, ctx->background_until);
            if (!ctx->pumping)
                drive(ctx, NULL);
        }
    }
    pthread_mutex_unlock(&ctx->mutex);
    return NULL;
}

static reeve_err start_background(reeve_context *ctx)
{
    sigset_t all;
    sigset_t old;
    int failed = 0;

    /* The host's signals go to the host's threads. */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    failed = pthread_create(&ctx->thread, NULL, background, ctx);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    ctx->thread_runs = failed == 0;
    return failed == 0
               ? REEVE_OK
               : rv_fail(REEVE_ESYS, "cannot start the background thread: %s", strerror(failed));
}

/* ---- calls ---- */

reeve_err rv_enter(reeve_context *ctx, const char *verb, const char *object)
{
    if (forked(ctx))
        return rv_fail(REEVE_EFORK, "cannot %s %s: the handle belongs to the parent process", verb,
                       object);
    pthread_mutex_lock(&ctx->mutex);
    rv_reached_nothing();
    rv_ledger_settle(ctx->ledger, &ctx->link);
    return REEVE_OK;
}

void rv_leave(reeve_context *ctx)
{
    pthread_mutex_unlock(&ctx->mutex);
}

const char *rv_endpoint(const reeve_context *ctx)
{
    return ctx->link.conf.endpoints[ctx->link.endpoint];
}

static bool request_done(void *arg)
{
    const struct rv_request *call = arg;

    return call->done;
}

reeve_err rv_finish(reeve_context *ctx, struct rv_request *call, uint32_t timeout_ms,
                    const char *verb, const char *object, struct rv_buf *result)
{
    rv_ns deadline = rv_after_ms(rv_clock_now(), timeout_ms);
    uint32_t interrupts = ctx->interrupts;
    reeve_err err = REEVE_OK;

    if (call == NULL) {
        if (ctx->link.state == RV_LINK_DEAD)
            return rv_fail(ctx->link.error, "cannot %s %s: %s", verb, object, ctx->link.why);
        return rv_fail(REEVE_ENOMEM, "cannot %s %s: out of memory", verb, object);
    }
    if (!call->read && deadline != RV_NEVER)
        deadline += RV_LIMIT_GRACE_MS * RV_MS;
    if (!rv_wait(ctx, request_done, call, deadline)) {
        err = interrupts != ctx->interrupts
                  ? rv_fail(REEVE_ECANCELED, "cannot %s %s: the call was interrupted", verb, object)
                  : rv_fail(REEVE_ETIME, "cannot %s %s: manager %s gave no answer in time", verb,
                            object, rv_endpoint(ctx));
        rv_link_abandon(&ctx->link, call);
        rv_drive(ctx);
        return err;
    }
    err = call->error;
    rv_reached(call->durable);
    if (result != NULL) {
        *result = call->result;
        call->result = (struct rv_buf){0};
    }
    if (err != REEVE_OK)
        err = rv_fail_request(call, verb, object);
    rv_request_free(&ctx->link, call);
    return err;
}

void reeve_interrupt(reeve_context *ctx)
{
    struct rv_waiter *w = NULL;

    if (forked(ctx))
        return;
    pthread_mutex_lock(&ctx->mutex);
    ctx->interrupts++;
    DL_FOREACH (ctx->waiters, w)
        wake(ctx, w);
    pthread_mutex_unlock(&ctx->mutex);
}

/* ---- opening ---- */

static reeve_err add_candidate(reeve_context *ctx, const char *endpoint, size_t len,
                               const char *key)
{
    size_t i = ctx->link.conf.endpoints_len;

    if (i == ENDPOINTS_MAX)
        return rv_fail(REEVE_EINVAL,
                       "cannot open a session: more than %d endpoints and server keys",
                       ENDPOINTS_MAX);
    ctx->candidates[i].endpoint = strndup(endpoint, len);
    if (ctx->candidates[i].endpoint == NULL)
        return rv_fail(REEVE_ENOMEM, "cannot open a session: out of memory");
    if (key != NULL)
        memcpy(ctx->candidates[i].server_key, key, RV_KEY_TEXT);
    ctx->link.conf.endpoints[i] = ctx->candidates[i].endpoint;
    ctx->link.conf.endpoints_len++;
    return REEVE_OK;
}

/* Each endpoint with each server key that we trust. */
static reeve_err add_endpoints(reeve_context *ctx, const char *url, const struct rv_keyfile *keys)
{
    reeve_err err = REEVE_OK;

    for (const char *at = url; err == REEVE_OK && *at != '\0';) {
        size_t len = strcspn(at, ", ");
        /* Who may come through an agent is the agent's business. */
        bool ipc = strncmp(at, "ipc:///", 7) == 0 || strncmp(at, "relay:///", 9) == 0;

        if (!ipc && rv_tcp_wrong(at, len) != NULL)
            return rv_fail(REEVE_EINVAL, "cannot open a session: %.*s %s", (int)len, at,
                           rv_tcp_wrong(at, len));
        if (ipc) {
            err = add_candidate(ctx, at, len, NULL);
        } else if (keys == NULL || keys->servers_len == 0) {
            return rv_fail(
                REEVE_EINVAL, "cannot open a session with %.*s: no server key is trusted%s",
                (int)len, at,
                keys == NULL ? "; set REEVE_KEY to a key file, made by: reeve keygen --trust "
                               "manager.pub NAME"
                             : "; add one to the key file: reeve keygen --trust manager.pub NAME");
        }
        for (size_t i = 0; !ipc && err == REEVE_OK && i < keys->servers_len; i++)
            err = add_candidate(ctx, at, len, keys->servers[i]);
        at += len;
        at += strspn(at, ", ");
    }
    if (err == REEVE_OK && ctx->link.conf.endpoints_len == 0)
        err = rv_fail(REEVE_EINVAL, "cannot open a session: the url is empty");
    return err;
}

static reeve_err load_keys(reeve_context *ctx, const char *path, struct rv_keyfile *file)
{
    char why[1024];
    reeve_err err = REEVE_OK;

    if (path == NULL) {
        rv_keys_generate(file); /* for ipc, where the peer's uid admits */
    } else {
        err = rv_keys_read(file, path, true, why);
        if (err != REEVE_OK)
            return rv_fail(err, "%s", why);
    }
    memcpy(ctx->public_key, file->public_key, RV_KEY_TEXT);
    ctx->secret_key = rv_secret_new(RV_KEY_TEXT);
    if (ctx->secret_key == NULL)
        return rv_fail(REEVE_ENOMEM, "cannot open a session: out of memory");
    memcpy(ctx->secret_key, file->secret_key, RV_KEY_TEXT);
    return REEVE_OK;
}

static bool find_number(const struct rv_conf *conf, const char *word, uint32_t given,
                        uint32_t fallback, uint32_t max, uint32_t *out)
{
    const char *text = given != 0 ? NULL : rv_conf_find(conf, word, NULL, NULL);

    *out = given != 0 ? given : fallback;
    if (text == NULL || rv_conf_number(text, max, out))
        return *out <= max || given == 0;
    return false;
}

static void read_host(struct rv_id *host)
{
    char text[33] = "";
    int fd = open("/etc/machine-id", O_RDONLY | O_CLOEXEC);
    ssize_t len = fd < 0 ? 0 : read(fd, text, 32);

    if (fd >= 0)
        close(fd);
    for (size_t i = 0; len == 32 && i < sizeof host->bytes; i++) {
        unsigned byte = 0;

        (void)sscanf(text + 2 * i, "%2x", &byte);
        host->bytes[i] = (uint8_t)byte;
    }
    if (len != 32)
        rv_random_bytes(host, sizeof *host);
}

/* Does a manager listen on this user's own socket? A file that nobody serves is left by one that
 * was killed. */
static bool is_served(const char *path)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    int fd = -1;
    bool served = false;

    if (strlen(path) >= sizeof at.sun_path)
        return false;
    memcpy(at.sun_path, path, strlen(path) + 1);
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    served = fd >= 0 && (connect(fd, (const struct sockaddr *)&at, sizeof at) == 0 ||
                         errno == EAGAIN || errno == EINPROGRESS);
    if (fd >= 0)
        close(fd);
    return served;
}

/* Nobody said where: this user's own manager, else one of our own. *url is borrowed from the
 * context or from fallback. */
static reeve_err choose_url(reeve_context *ctx, const reeve_options *o, uint32_t connect_ms,
                            char *fallback, size_t fallback_len, const char **url)
{
    bool wanted = *url != NULL && strcmp(*url, RV_PRIVATE_URL) == 0;
    reeve_err err = REEVE_OK;

    if (*url != NULL && !wanted)
        return REEVE_OK;
    rv_conf_user_endpoint(fallback, fallback_len);
    *url = fallback;
    if (!wanted && is_served(fallback + 6))
        return REEVE_OK;
    if (o->no_private || rv_is_runner()) {
        if (!wanted && access(fallback + 6, F_OK) == 0)
            return REEVE_OK; /* it may be about to come */
        return rv_fail(REEVE_EINVAL,
                       "cannot open a session: no manager is named and none serves %s; set "
                       "REEVE_URL, or run: reeve serve",
                       fallback);
    }
    err = rv_private_start(&ctx->own, connect_ms);
    if (err == REEVE_OK)
        *url = rv_private_url(ctx->own);
    return err;
}

static reeve_err configure(reeve_context *ctx, const reeve_options *o, const struct rv_conf *conf,
                           uint32_t *connect_ms)
{
    char fallback[300];
    struct rv_keyfile keys = {0};
    struct rv_link_conf link = {.pid = (uint32_t)getpid()};
    /* A task has no key: it goes through its agent. */
    const char *relay = o->url == NULL && rv_is_runner() ? getenv(RV_ENV_RELAY) : NULL;
    const char *url = relay != NULL ? relay : rv_conf_find(conf, "url", o->url, NULL);
    const char *key = relay != NULL ? NULL : rv_conf_find(conf, "key", o->key, NULL);
    const char *program = rv_conf_find(conf, "program", o->program, program_invocation_short_name);
    reeve_err err = REEVE_OK;

    for (size_t i = 0; i < rv_countof(o->reserved); i++)
        if (o->reserved[i] != 0)
            return rv_fail(REEVE_EINVAL, "cannot open a session: a reserved option is not zero");
    if (!find_number(conf, "connect-timeout-ms", o->connect_timeout_ms, OPEN_MS, UINT32_MAX,
                     connect_ms) ||
        !find_number(conf, "resume-ms", o->resume_ms, RV_LIMIT_RESUME_MS, RV_LIMIT_RESUME_MAX_MS,
                     &link.resume_ms) ||
        !find_number(conf, "linger-ms", o->linger_ms, LINGER_MS, UINT32_MAX, &ctx->linger_ms))
        return rv_fail(REEVE_EINVAL,
                       "cannot open a session: a time is not a number of milliseconds "
                       "(resume_ms at most a day)");
    err = choose_url(ctx, o, *connect_ms, fallback, sizeof fallback, &url);
    if (err != REEVE_OK)
        return err;
    if (ctx->own != NULL)
        key = NULL; /* it is for others */
    ctx->program = strndup(program, RV_LIMIT_NAME_BYTES);
    if (ctx->program == NULL)
        return rv_fail(REEVE_ENOMEM, "cannot open a session: out of memory");
    err = load_keys(ctx, key, &keys);
    if (err == REEVE_OK)
        err = add_endpoints(ctx, url, key == NULL ? NULL : &keys);
    rv_keys_wipe(&keys);
    if (err != REEVE_OK)
        return err;
    if (gethostname(ctx->host_name, sizeof ctx->host_name - 1) != 0)
        snprintf(ctx->host_name, sizeof ctx->host_name, "unknown");
    link.host_name = ctx->host_name;
    link.program = ctx->program;
    memcpy(link.endpoints, ctx->link.conf.endpoints, sizeof link.endpoints);
    link.endpoints_len = ctx->link.conf.endpoints_len;
    read_host(&link.host);
    rv_random_bytes(&link.session, sizeof link.session);
    rv_random_bytes(&link.seed, sizeof link.seed);
    rv_link_init(&ctx->link, &link, rv_clock_now());
    return REEVE_OK;
}

static bool open_or_dead(void *arg)
{
    const reeve_context *ctx = arg;

    return ctx->link.state == RV_LINK_READY || ctx->link.state == RV_LINK_DEAD;
}

static void free_context(reeve_context *ctx)
{
    const int fds[] = {ctx->pump_epoll, ctx->background_epoll, ctx->wake_fd, ctx->background_fd};

    for (size_t i = 0; i < ENDPOINTS_MAX; i++)
        free(ctx->candidates[i].endpoint);
    free(ctx->program);
    rv_shipped_free(ctx->shipped);
    rv_ledger_leave(&ctx->ledger);
    rv_secret_free(ctx->secret_key);
    for (size_t i = 0; i < rv_countof(fds); i++)
        if (fds[i] >= 0)
            close(fds[i]);
    free(ctx);
}

static void end_context(reeve_context *ctx)
{
    if (ctx->thread_runs) {
        pthread_mutex_lock(&ctx->mutex);
        ctx->stop = true;
        eventfd_write(ctx->background_fd, 1);
        pthread_mutex_unlock(&ctx->mutex);
        pthread_join(ctx->thread, NULL);
    }
    close_conn(ctx);
    if (ctx->link.conf.endpoints_len > 0)
        rv_link_fini(&ctx->link);
    rv_private_end(&ctx->own);
    pthread_mutex_destroy(&ctx->mutex);
    free_context(ctx);
}

static reeve_err establish(reeve_context *ctx, uint32_t connect_ms)
{
    bool ready = false;
    rv_ns deadline = rv_after_ms(rv_clock_now(), connect_ms);
    reeve_err err = REEVE_OK;

    pthread_mutex_lock(&ctx->mutex);
    ready = rv_wait(ctx, open_or_dead, ctx, deadline);
    if (!ready)
        err = rv_fail(
            REEVE_ETIME, "cannot open a session with %s: %s within %u ms", rv_endpoint(ctx),
            ctx->last_trouble[0] == '\0' ? "nobody answers there" : ctx->last_trouble, connect_ms);
    else if (ctx->link.state == RV_LINK_DEAD && ctx->link.error == REEVE_EAUTH &&
             ctx->link.mismatches == 0)
        err = rv_fail(REEVE_EAUTH,
                      "cannot open a session with %s: %s; on the manager, put this into "
                      "authorized.d: public = %s",
                      rv_endpoint(ctx), ctx->link.why, ctx->public_key);
    else if (ctx->link.state == RV_LINK_DEAD)
        err = rv_fail(ctx->link.error, "cannot open a session with %s: %s", rv_endpoint(ctx),
                      ctx->link.why);
    pthread_mutex_unlock(&ctx->mutex);
    return err;
}

/* ---- open, close, flush ---- */

static void note_open(reeve_context *ctx)
{
    lock_open();
    DL_APPEND(open_contexts, ctx);
    unlock_open();
}

static void note_closed(reeve_context *ctx)
{
    lock_open();
    DL_DELETE(open_contexts, ctx);
    unlock_open();
}

bool rv_any_open(bool (*use)(void *arg, reeve_context *ctx), void *arg)
{
    reeve_context *ctx = NULL;

    lock_open();
    DL_FOREACH (open_contexts, ctx) {
        if (!forked(ctx) && use(arg, ctx))
            break;
    }
    unlock_open();
    return ctx != NULL;
}

/* A thread of the host may close its context meanwhile: it waits at the mutex until we are done. */
void rv_flush_all(void)
{
    reeve_context *ctx = NULL;

    if (pthread_mutex_trylock(&open_mutex) != 0)
        return; /* exit() in the middle of an open or a close */
    DL_FOREACH (open_contexts, ctx) {
        if (!forked(ctx) && reeve_flush(ctx, ctx->linger_ms) != REEVE_OK)
            fprintf(stderr, "%s: %s\n", program_invocation_short_name, reeve_errmsg());
    }
    pthread_mutex_unlock(&open_mutex);
}

reeve_err reeve_open(reeve_context **out, const reeve_options *options)
{
    static const reeve_options defaults;
    struct rv_conf conf = {0};
    reeve_context *ctx = NULL;
    char why[1024];
    uint32_t connect_ms = 0;
    reeve_err err = REEVE_OK;

    *out = NULL;
    /* Each runner would come here again, and again: a program that forgets reeve_main() must not
     * become a fork bomb. */
    if (rv_zygote_fd() >= 0)
        rv_zygote_refuse(rv_zygote_fd(), "the program calls reeve_open() before reeve_main(), "
                                         "which must be the first line of main()");
    err = rv_conf_load(&conf, NULL, why);
    if (err != REEVE_OK)
        return rv_fail(err, "%s", why);
    ctx = calloc(1, sizeof *ctx);
    if (ctx != NULL)
        ctx->ledger = rv_ledger_new();
    if (ctx == NULL || ctx->ledger == NULL) {
        free(ctx);
        rv_conf_free(&conf);
        return rv_fail(REEVE_ENOMEM, "cannot open a session: out of memory");
    }
    pthread_mutex_init(&ctx->mutex, NULL);
    ctx->pid = getpid();
    ctx->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    ctx->background_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    ctx->pump_epoll = epoll_create1(EPOLL_CLOEXEC);
    ctx->background_epoll = epoll_create1(EPOLL_CLOEXEC);
    ctx->background_until = RV_NEVER;
    ctx->generation = rv_generation();
    if (!add_event(ctx->pump_epoll, ctx->wake_fd, OWN) ||
        !add_event(ctx->background_epoll, ctx->background_fd, OWN))
        err = rv_fail(REEVE_ESYS, "cannot open a session: %s", strerror(errno));
    if (err == REEVE_OK)
        err = configure(ctx, options == NULL ? &defaults : options, &conf, &connect_ms);
    rv_conf_free(&conf);
    if (err == REEVE_OK)
        err = start_background(ctx);
    if (err == REEVE_OK)
        err = establish(ctx, connect_ms);
    if (err != REEVE_OK) {
        end_context(ctx);
        return err;
    }
    note_open(ctx);
    *out = ctx;
    return REEVE_OK;
}

static bool all_flushed(void *arg)
{
    const reeve_context *ctx = arg;

    return rv_link_flushed(&ctx->link) || ctx->link.state == RV_LINK_DEAD;
}

reeve_err rv_late_failure(reeve_context *ctx)
{
    struct rv_channel *ch = NULL;
    reeve_err err = ctx->link.failed;
    char why[200];

    snprintf(why, sizeof why, "%s", ctx->link.failed_why);
    ctx->link.failed = REEVE_OK;
    while (err == REEVE_OK && (ch = rv_channel_next(&ctx->link, ch)) != NULL)
        err = rv_channel_failure(ch, why, sizeof why);
    if (err == REEVE_OK)
        return err;
    return rv_fail(err, "cannot flush: %s: %s",
                   err == REEVE_ENOMEM ? "not all was said" : "an earlier put was refused",
                   why[0] != '\0' ? why : reeve_strerror(err));
}

static bool has_left(void *arg)
{
    const reeve_context *ctx = arg;

    return ctx->link.left || ctx->link.state == RV_LINK_DEAD;
}

reeve_err reeve_close(reeve_context **context)
{
    reeve_context *ctx = context == NULL ? NULL : *context;
    rv_ns deadline = 0;
    reeve_err err = REEVE_OK;

    if (ctx == NULL)
        return REEVE_OK;
    *context = NULL;
    if (forked(ctx)) {
        /* The parent's thread, sockets and mutex are not ours to touch, and what was open there
         * is never flushed here. */
        rv_conn_abandon(&ctx->conn);
        rv_private_forget(&ctx->own);
        free_context(ctx);
        return REEVE_OK;
    }
    note_closed(ctx);
    deadline = rv_after_ms(rv_clock_now(), ctx->linger_ms);
    pthread_mutex_lock(&ctx->mutex);
    rv_link_hurry(&ctx->link);
    if (!rv_wait(ctx, all_flushed, ctx, deadline) && ctx->link.puts_in_flight > 0)
        err =
            rv_fail(REEVE_ETIME, "cannot flush to %s: %llu items have no answer after %u ms",
                    rv_endpoint(ctx), (unsigned long long)ctx->link.puts_in_flight, ctx->linger_ms);
    else if (!all_flushed(ctx))
        err =
            rv_fail(REEVE_ETIME, "cannot flush to %s: it has not heard the last calls after %u ms",
                    rv_endpoint(ctx), ctx->linger_ms);
    else if (ctx->link.state == RV_LINK_DEAD)
        err = rv_fail(ctx->link.error, "cannot flush to %s: %s", rv_endpoint(ctx), ctx->link.why);
    if (err == REEVE_OK) {
        err = rv_late_failure(ctx);
        /* All is flushed: who does not hear the goodbye soon will miss us by itself. */
        rv_link_goodbye(&ctx->link);
        if (ctx->link.leaving || ctx->link.state == RV_LINK_DEAD)
            (void)rv_wait(ctx, has_left, ctx,
                          sooner(deadline, rv_after_ms(rv_clock_now(), GOODBYE_MS)));
        else
            err =
                rv_fail(REEVE_ENOMEM, "cannot say goodbye to %s: out of memory", rv_endpoint(ctx));
    }
    pthread_mutex_unlock(&ctx->mutex);
    end_context(ctx);
    return err;
}

const char *reeve_endpoint(const reeve_context *ctx)
{
    reeve_context *own = (reeve_context *)(uintptr_t)ctx; /* to lock it, no more */
    const char *endpoint = NULL;

    if (forked(ctx))
        return rv_endpoint(ctx);
    pthread_mutex_lock(&own->mutex);
    endpoint = rv_endpoint(ctx);
    pthread_mutex_unlock(&own->mutex);
    return endpoint;
}

static void reached_by_puts(reeve_context *ctx)
{
    struct rv_channel *ch = NULL;

    while ((ch = rv_channel_next(&ctx->link, ch)) != NULL)
        rv_reached(rv_channel_reached(ch));
}

reeve_err reeve_flush(reeve_context *ctx, uint32_t timeout_ms)
{
    reeve_err err = rv_enter(ctx, "flush", "the session");

    if (err != REEVE_OK)
        return err;
    rv_link_hurry(&ctx->link);
    if (!rv_wait(ctx, all_flushed, ctx, rv_after_ms(rv_clock_now(), timeout_ms)))
        err = rv_fail(REEVE_ETIME, "cannot flush to %s: no answer in time", rv_endpoint(ctx));
    else if (ctx->link.state == RV_LINK_DEAD)
        err = rv_fail(ctx->link.error, "cannot flush to %s: %s", rv_endpoint(ctx), ctx->link.why);
    else
        err = rv_late_failure(ctx);
    if (err == REEVE_OK)
        reached_by_puts(ctx);
    rv_leave(ctx);
    return err;
}
