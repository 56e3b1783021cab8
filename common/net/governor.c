#include "common/net/governor.h"

#include "common/wire/limits.def"

#include <errno.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define uthash_malloc(size)      rv_alloc(size)
#define uthash_free(bytes, size) free(bytes)
#include <uthash.h>
#include <utlist.h>

enum {
    FRAME_BYTES = 35, /* around a short frame: its head, and what CURVE puts there */
    LONG_BYTES = 7,   /* that the head of a long one is longer */
    OLD_MS = 1000,    /* an honest connection has said something by then */
    FLOOD_MS = 2000,  /* silence is judged at last, though messages come without a pause */
    SPARE_FDS = 16,   /* one of so many descriptors is not for connections */
};

/* Why a connection is cut, for the log. */
#define REASONS(X)                                                                                 \
    X(SILENT, "it said nothing")                                                                   \
    X(CROWD, "too many new ones of one address")                                                   \
    X(CROWDS, "too many new ones")                                                                 \
    X(FULL, "too many connections")                                                                \
    X(STRANGER, "too many bytes before its first message")                                         \
    X(ENDLESS, "too many bytes of messages that are not whole")                                    \
    X(ALL, "too many bytes of messages that are not whole, of all connections")

#define REASON_ENUM(name, text) REASON_##name,
enum reason { REASONS(REASON_ENUM) REASONS_LEN };
#undef REASON_ENUM

/* The new connections of one address; of IPv6 the first half of it. */
struct origin {
    uint8_t address[16];
    size_t len;
    UT_hash_handle hh;
};

struct visitor {
    int fd;
    uint64_t cookie; /* the kernel's name of the connection: fd alone may be another's by now */
    struct origin *origin; /* NULL: heard, or cut */
    rv_ns since;
    uint64_t received; /* the kernel's count when it was last looked at */
    uint64_t surfaced; /* of that, in messages that we have seen */
    bool cut;
    bool active;                   /* brings bytes */
    struct visitor *prev, *next;   /* of those that are new, the oldest first */
    struct visitor *aprev, *anext; /* of the active ones */
};

struct rv_governor {
    int events_fd;
    uint32_t quiet_ms;
    struct rv_sink sink;
    size_t most; /* connections */
    size_t len;
    struct visitor **visitors; /* by descriptor */
    size_t visitors_len;
    struct origin *origins;
    struct visitor *fresh;
    size_t fresh_len;
    struct visitor *active;
    rv_ns sweep_at;
    uint64_t cuts;
    uint64_t untold[REASONS_LEN]; /* cuts that are not in the log yet */
    char last[64];                /* the address of the last one */
    rv_ns tell_at;
};

/* ---- who ---- */

static uint64_t cookie_of(int fd)
{
    uint64_t cookie = 0;
    socklen_t len = sizeof cookie;

    return getsockopt(fd, SOL_SOCKET, SO_COOKIE, &cookie, &len) == 0 ? cookie : 0;
}

/* A host with IPv6 has all of a /64 to itself. */
static void read_address(uint8_t address[16], char text[64], int fd)
{
    struct sockaddr_storage from = {0};
    socklen_t len = sizeof from;
    struct in6_addr six;

    memset(address, 0, 16);
    snprintf(text, 64, "local");
    if (getpeername(fd, (struct sockaddr *)&from, &len) != 0)
        return;
    if (from.ss_family == AF_INET) {
        memcpy(address, &((const struct sockaddr_in *)&from)->sin_addr, 4);
        inet_ntop(AF_INET, address, text, 64);
    } else if (from.ss_family == AF_INET6) {
        six = ((const struct sockaddr_in6 *)&from)->sin6_addr;
        if (IN6_IS_ADDR_V4MAPPED(&six)) {
            memcpy(address, six.s6_addr + 12, 4);
            inet_ntop(AF_INET, address, text, 64);
        } else {
            memcpy(address, six.s6_addr, 8);
            inet_ntop(AF_INET6, &six, text, 64);
        }
    }
}

static struct origin *origin_of(struct rv_governor *g, const uint8_t address[16])
{
    struct origin *origin = NULL;

    HASH_FIND(hh, g->origins, address, 16, origin);
    if (origin != NULL)
        return origin;
    origin = rv_alloc(sizeof *origin);
    memcpy(origin->address, address, sizeof origin->address);
    HASH_ADD(hh, g->origins, address, sizeof origin->address, origin);
    return origin;
}

static struct visitor *find(const struct rv_governor *g, int fd)
{
    return fd >= 0 && (size_t)fd < g->visitors_len ? g->visitors[fd] : NULL;
}

/* ---- the life of a visitor ---- */

static void not_new(struct rv_governor *g, struct visitor *v)
{
    if (v->origin == NULL)
        return;
    DL_DELETE(g->fresh, v);
    g->fresh_len--;
    if (--v->origin->len == 0) {
        HASH_DEL(g->origins, v->origin);
        free(v->origin);
    }
    v->origin = NULL;
}

static void rest(struct rv_governor *g, struct visitor *v)
{
    if (v->active)
        DL_DELETE2(g->active, v, aprev, anext);
    v->active = false;
    if (g->active == NULL)
        g->sweep_at = RV_NEVER;
}

static void end(struct rv_governor *g, struct visitor *v)
{
    not_new(g, v);
    rest(g, v);
    g->visitors[v->fd] = NULL;
    g->len--;
    free(v);
}

static void cut(struct rv_governor *g, struct visitor *v, enum reason reason)
{
    uint8_t address[16];

    if (v->cut)
        return;
    v->cut = true;
    not_new(g, v);
    rest(g, v);
    if (v->cookie == 0 || cookie_of(v->fd) != v->cookie)
        return; /* it has ended by itself */
    read_address(address, g->last, v->fd);
    g->cuts++;
    g->untold[reason]++;
    shutdown(v->fd, SHUT_RDWR);
}

/* The oldest new one, if it is old enough to be nobody honest; else the one that has just come. */
static struct visitor *least_welcome(const struct rv_governor *g, struct visitor *latest)
{
    if (g->fresh != NULL && latest->since - g->fresh->since >= OLD_MS * RV_MS)
        return g->fresh;
    return latest;
}

/* One event for the next bytes; then it is looked at until it rests. */
static bool listen_to(struct rv_governor *g, const struct visitor *v, int how)
{
    struct epoll_event event = {.events = EPOLLIN | EPOLLONESHOT, .data.fd = v->fd};

    return epoll_ctl(g->events_fd, how, v->fd, &event) == 0;
}

static void make_room(struct rv_governor *g, int fd)
{
    size_t len = g->visitors_len == 0 ? 64 : g->visitors_len;

    while (len <= (size_t)fd)
        len *= 2;
    if (len == g->visitors_len)
        return;
    g->visitors = rv_realloc(g->visitors, len * sizeof *g->visitors);
    memset(g->visitors + g->visitors_len, 0, (len - g->visitors_len) * sizeof *g->visitors);
    g->visitors_len = len;
}

void rv_governor_accepted(struct rv_governor *g, int fd)
{
    struct visitor *v = NULL;
    uint8_t address[16];
    char text[64];

    if (fd < 0)
        return;
    rv_governor_ended(g, fd);
    make_room(g, fd);
    v = rv_alloc(sizeof *v);
    *v = (struct visitor){.fd = fd, .cookie = cookie_of(fd), .since = rv_clock_now()};
    read_address(address, text, fd);
    v->origin = origin_of(g, address);
    v->origin->len++;
    g->visitors[fd] = v;
    g->len++;
    DL_APPEND(g->fresh, v);
    g->fresh_len++;
    (void)listen_to(g, v, EPOLL_CTL_ADD); /* fails for one that has ended; its end will be told */
    if (v->origin->len > RV_LIMIT_NEW_OF_ADDRESS)
        cut(g, v, REASON_CROWD);
    else if (g->fresh_len > RV_LIMIT_NEW_CONNECTIONS)
        cut(g, least_welcome(g, v), REASON_CROWDS);
    else if (g->len > g->most)
        cut(g, least_welcome(g, v), REASON_FULL);
}

void rv_governor_ended(struct rv_governor *g, int fd)
{
    struct visitor *v = find(g, fd);

    if (v != NULL)
        end(g, v);
}

void rv_governor_heard(struct rv_governor *g, int fd, size_t frames, size_t bytes, size_t longs)
{
    struct visitor *v = find(g, fd);

    if (v == NULL)
        return;
    not_new(g, v);
    v->surfaced += bytes + frames * FRAME_BYTES + longs * LONG_BYTES;
}

/* ---- what they bring ---- */

static void wake(struct rv_governor *g, rv_ns now)
{
    struct epoll_event events[64];
    struct visitor *v = NULL;
    int len = 0;

    do {
        len = epoll_wait(g->events_fd, events, 64, 0);
        for (int i = 0; i < len; i++) {
            v = find(g, events[i].data.fd);
            if (v == NULL || v->active || v->cut)
                continue;
            v->active = true;
            DL_APPEND2(g->active, v, aprev, anext);
        }
    } while (len == 64);
    if (g->active != NULL && g->sweep_at == RV_NEVER)
        g->sweep_at = now + RV_LIMIT_SWEEP_MS * RV_MS;
}

/* What libzmq holds for it; the local ones are not counted. */
static uint64_t pending(const struct visitor *v)
{
    return v->received > v->surfaced ? v->received - v->surfaced : 0;
}

/* Has it brought anything since the last look? */
static bool look(struct visitor *v)
{
    struct tcp_info info = {0};
    socklen_t len = sizeof info;
    uint64_t before = v->received;

    if (cookie_of(v->fd) != v->cookie || getsockopt(v->fd, IPPROTO_TCP, TCP_INFO, &info, &len) != 0)
        return false;
    v->received = info.tcpi_bytes_received;
    return v->received != before;
}

static void sweep(struct rv_governor *g, rv_ns now)
{
    struct visitor *v = NULL;
    struct visitor *next = NULL;
    struct visitor *worst = NULL;
    uint64_t all = 0;

    g->sweep_at = now + RV_LIMIT_SWEEP_MS * RV_MS;
    DL_FOREACH_SAFE2(g->active, v, next, anext)
    {
        bool brings = look(v);

        if (v->origin != NULL && pending(v) > RV_LIMIT_NEW_BYTES) {
            cut(g, v, REASON_STRANGER);
        } else if (pending(v) > RV_LIMIT_PENDING_BYTES) {
            cut(g, v, REASON_ENDLESS);
        } else if (!brings && pending(v) <= RV_LIMIT_NEW_BYTES) {
            rest(g, v);
            (void)listen_to(g, v, EPOLL_CTL_MOD);
        } else {
            all += pending(v);
            worst = worst == NULL || pending(v) > pending(worst) ? v : worst;
        }
    }
    if (worst != NULL && all > RV_LIMIT_PENDING_ALL_BYTES)
        cut(g, worst, REASON_ALL);
}

/* ---- time ---- */

static rv_ns quiet_until(const struct rv_governor *g)
{
    return g->fresh == NULL ? RV_NEVER : g->fresh->since + g->quiet_ms * RV_MS;
}

static bool untold(const struct rv_governor *g)
{
    for (size_t i = 0; i < REASONS_LEN; i++)
        if (g->untold[i] > 0)
            return true;
    return false;
}

rv_ns rv_governor_deadline(const struct rv_governor *g)
{
    rv_ns at = quiet_until(g);

    if (g->sweep_at < at)
        at = g->sweep_at;
    return untold(g) && g->tell_at < at ? g->tell_at : at;
}

/* A line a second for each reason, however many there are. */
static void tell(struct rv_governor *g, rv_ns now)
{
    static const char *const words[] = {
#define REASON_WORDS(name, text) text,
        REASONS(REASON_WORDS)
#undef REASON_WORDS
    };
    char line[256];

    if (now < g->tell_at || !untold(g))
        return;
    g->tell_at = now + RV_SEC;
    for (size_t i = 0; i < REASONS_LEN; i++) {
        snprintf(line, sizeof line, "net.cut connections=%llu last=%s why=\"%s\"",
                 (unsigned long long)g->untold[i], g->last, words[i]);
        if (g->untold[i] > 0 && g->sink.line != NULL)
            g->sink.line(g->sink.arg, RV_WARN, line);
        g->untold[i] = 0;
    }
}

void rv_governor_run(struct rv_governor *g, rv_ns now, bool drained)
{
    rv_ns late = drained ? 0 : FLOOD_MS * RV_MS;

    wake(g, now);
    if (now >= g->sweep_at)
        sweep(g, now);
    while (quiet_until(g) != RV_NEVER && now >= quiet_until(g) + late)
        cut(g, g->fresh, REASON_SILENT);
    tell(g, now);
}

uint64_t rv_governor_cuts(const struct rv_governor *g)
{
    return g->cuts;
}

int rv_governor_fd(const struct rv_governor *g)
{
    return g->events_fd;
}

/* ---- life ---- */

struct rv_governor *rv_governor_new(uint32_t quiet_ms, struct rv_sink sink)
{
    struct rv_governor *g = NULL;
    struct rlimit limit = {.rlim_cur = 1024};
    int fd = epoll_create1(EPOLL_CLOEXEC);

    if (fd < 0)
        return NULL;
    (void)getrlimit(RLIMIT_NOFILE, &limit);
    g = rv_alloc(sizeof *g);
    *g = (struct rv_governor){.events_fd = fd,
                              .quiet_ms = quiet_ms,
                              .sink = sink,
                              .most = limit.rlim_cur - limit.rlim_cur / SPARE_FDS,
                              .sweep_at = RV_NEVER};
    return g;
}

void rv_governor_free(struct rv_governor **governor)
{
    struct rv_governor *g = *governor;

    if (g == NULL)
        return;
    for (size_t i = 0; i < g->visitors_len; i++)
        if (g->visitors[i] != NULL)
            end(g, g->visitors[i]);
    close(g->events_fd);
    free(g->visitors);
    free(g);
    *governor = NULL;
}
