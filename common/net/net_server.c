#include "common/net/net_util.h"

#include "common/net/governor.h"
#include "common/net/keys.h"
#include "common/net/net_ipc.h"
#include "common/net/net_selftest.h"
#include "common/net/zap.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define uthash_malloc(size)      rv_alloc(size)
#define uthash_free(bytes, size) free(bytes)
#include <uthash.h>

#ifndef ZMQ_ZAP_ENFORCE_DOMAIN
#define ZMQ_ZAP_ENFORCE_DOMAIN 93 /* hidden in the header as a draft, accepted all the same */
#endif

enum {
    ID_LEN = 5,             /* of a connection id made by libzmq: a zero and 32 bits */
    BACKLOG = 4096,         /* the usual 100 makes clients of a crowd wait for a second */
    LOST_PATIENCE_MS = 100, /* how long an end waits for the messages before it */
    CLOSE_PATIENCE_MS = 1000,
    WATCHED_MAX = 8, /* their numbers in the epoll are those of their bits; then: */
    ROUTER = WATCHED_MAX,
    MONITOR,
    GOVERNOR,
    SIDES = 2,
};

/* HANDSHAKE_FAILED_PROTOCOL is left out on purpose: with it in the mask, a connection that meets
 * a broken message after its handshake stays open for ever and moves no data. */
#define EVENTS                                                                                     \
    (ZMQ_EVENT_ACCEPTED | ZMQ_EVENT_DISCONNECTED | ZMQ_EVENT_HANDSHAKE_SUCCEEDED |                 \
     ZMQ_EVENT_HANDSHAKE_FAILED_AUTH | ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL | ZMQ_EVENT_CLOSED)

/* A connection that has sent a message. */
struct peer {
    uint64_t name; /* see name_of(), never used twice */
    uint32_t principal;
    uint32_t uid;
    uint32_t pid;
    bool local;
    int fd;                 /* libzmq's; -1 when not known */
    uint64_t cookie;        /* the kernel's name of the connection behind fd; 0 when not known */
    char user[RV_ZAP_USER]; /* as the key check said it; another one is another connection */
    char address[64];
    UT_hash_handle hh;
};

struct side;

/* What the monitor says of a descriptor. A connection's events come in order and before its
 * descriptor is used again, and all of them come before the messages that follow them. */
struct slot {
    const struct side *side; /* which accepted it; two of them tell their events without order */
    uint64_t name;           /* the connection, once it has sent a message; else 0 */
    bool ended;              /* gone, and not accepted anew */
};

/* A socket, with a key of the manager; a second one while a new key takes an old one's place.
 *
 * `dry` is true while the router is known to have nothing: it said so, and nobody has touched it
 * since. Only then does its descriptor tell of the next message; touching the router may have
 * swallowed the signal, so that it must be asked before anybody sleeps.
 */
struct side {
    void *router;
    void *monitor;
    int monitor_fd;
    bool dry;
    uint32_t first_id; /* the router counts its connections from here */
    uint32_t accepted; /* so many may have an id by now */
};

/* A bound endpoint. */
struct door {
    struct side *side;
    char *name;  /* libzmq's; NULL when not bound */
    char *shown; /* for people and clients */
    int lock;    /* of a local socket; -1 for others */
};

struct lost {
    uint64_t peer;
    rv_ns at;
};

struct rv_net {
    struct side sides[SIDES];
    size_t sides_len;
    size_t turn;   /* the side that is asked first */
    int events_fd; /* an epoll of the routers, the monitors and whatever rv_net_watch was given */
    unsigned watched;
    struct rv_zap *zap;
    struct rv_governor *governor;

    struct door *doors;
    size_t doors_len;
    size_t closed; /* how many of them libzmq has closed again */
    bool ipc_same_uid;
    char public_key[RV_KEY_TEXT];

    struct rv_frames frames;
    struct peer *peers; /* by name */
    struct slot *slots; /* by descriptor */
    size_t slots_len;

    struct lost *losts; /* from head to len; those before ready follow all their messages */
    size_t losts_head, losts_ready, losts_len, losts_cap;

    struct rv_net_stats stats;
};

/* ---- what has ended ---- */

/* Of a connection: libzmq's id of it, which its router never uses twice, under the number of the side. */
static uint64_t name_of(const struct rv_net *net, const struct side *side, uint32_t id)
{
    return (uint64_t)(side - net->sides + 1) << 32 | id; /* never 0, which is nobody */
}

static void add_lost(struct rv_net *net, uint64_t name)
{
    if (net->losts_len == net->losts_cap) {
        net->losts_cap = net->losts_cap == 0 ? 64 : net->losts_cap * 2;
        net->losts = rv_realloc(net->losts, net->losts_cap * sizeof *net->losts);
    }
    net->losts[net->losts_len++] = (struct lost){.peer = name, .at = rv_clock_now()};
}

static struct slot *slot_of(struct rv_net *net, uint32_t fd)
{
    size_t len = net->slots_len == 0 ? 64 : net->slots_len;

    if (fd > INT32_MAX)
        return NULL;
    while (len <= fd)
        len *= 2;
    if (len > net->slots_len) {
        net->slots = rv_realloc(net->slots, len * sizeof *net->slots);
        memset(net->slots + net->slots_len, 0, (len - net->slots_len) * sizeof *net->slots);
        net->slots_len = len;
    }
    return &net->slots[fd];
}

static void end_slot(struct rv_net *net, struct side *side, uint32_t fd, bool ended)
{
    struct slot *slot = slot_of(net, fd);

    if (slot == NULL || (ended && slot->side != side))
        return;
    if (ended) {
        rv_governor_ended(net->governor, (int)fd);
    } else {
        side->accepted++;
        rv_governor_accepted(net->governor, (int)fd);
    }
    if (slot->name != 0)
        add_lost(net, slot->name);
    *slot = (struct slot){.side = side, .ended = ended};
}

/* Events carry a descriptor and no connection id; each message carries its descriptor. The two
 * together make the hint. */
static void read_side(struct rv_net *net, struct side *side)
{
    unsigned event = 0;
    uint32_t value = 0;

    while (rv_monitor_next(side->monitor, &event, &value)) {
        if (event == ZMQ_EVENT_ACCEPTED)
            end_slot(net, side, value, false);
        else if (event == ZMQ_EVENT_DISCONNECTED)
            end_slot(net, side, value, true);
        else if (event == ZMQ_EVENT_HANDSHAKE_SUCCEEDED)
            net->stats.handshakes++;
        else if (event == ZMQ_EVENT_HANDSHAKE_FAILED_AUTH)
            net->stats.auth_failures++;
        else if (event == ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL)
            net->stats.handshake_failures++;
        else if (event == ZMQ_EVENT_CLOSED)
            net->closed++;
    }
}

static void read_monitor(struct rv_net *net)
{
    for (size_t i = 0; i < net->sides_len; i++)
        read_side(net, &net->sides[i]);
}

static void forget(struct rv_net *net, uint64_t name)
{
    struct peer *peer = NULL;

    HASH_FIND(hh, net->peers, &name, sizeof name, peer);
    if (peer == NULL)
        return;
    HASH_DEL(net->peers, peer);
    free(peer);
}

bool rv_net_lost(struct rv_net *net, uint64_t *peer)
{
    const struct lost *lost = NULL;

    if (net->losts_head == net->losts_len)
        return false;
    lost = &net->losts[net->losts_head];
    /* A goodbye should be seen before the end that it announces: wait until the router has had
     * nothing more to say, but not for ever on a busy one. */
    if (net->losts_head >= net->losts_ready && rv_clock_now() - lost->at < LOST_PATIENCE_MS * RV_MS)
        return false;
    *peer = lost->peer;
    forget(net, lost->peer);
    if (++net->losts_head == net->losts_len)
        net->losts_head = net->losts_ready = net->losts_len = 0;
    return true;
}

/* ---- who speaks ---- */

static uint64_t cookie_of(int fd)
{
    uint64_t cookie = 0;
    socklen_t len = sizeof cookie;

    return getsockopt(fd, SOL_SOCKET, SO_COOKIE, &cookie, &len) == 0 ? cookie : 0;
}

static void cut(const struct rv_net *net, const struct peer *peer)
{
    const struct slot *slot = NULL;

    if (peer->fd < 0 || (size_t)peer->fd >= net->slots_len)
        return;
    slot = &net->slots[peer->fd];
    /* libzmq has no call for this. Shutting its descriptor down is safe where closing it is not,
     * if it still is the same connection: the monitor and the kernel must both say so. */
    if (slot->name == peer->name && peer->cookie != 0 && cookie_of(peer->fd) == peer->cookie)
        shutdown(peer->fd, SHUT_RDWR);
}

void rv_net_cut(struct rv_net *net, uint64_t peer)
{
    struct peer *found = NULL;

    read_monitor(net);
    HASH_FIND(hh, net->peers, &peer, sizeof peer, found);
    if (found != NULL)
        cut(net, found);
}

/* "PRINCIPAL/SERIAL" as the key check writes it; 0 when it is anything else. */
static uint32_t principal_of(const char *user)
{
    char *end = NULL;
    unsigned long principal = 0;

    if (user[0] < '1' || user[0] > '9')
        return 0;
    principal = strtoul(user, &end, 10);
    return *end == '/' && principal <= UINT32_MAX ? (uint32_t)principal : 0;
}

/* Behind the second slash. */
static const char *key_of(const char *user)
{
    const char *slash = strchr(user, '/');

    slash = slash == NULL ? NULL : strchr(slash + 1, '/');
    return slash == NULL ? "" : slash + 1;
}

static bool admitted(const struct rv_net *net, const struct peer *peer)
{
    return rv_zap_knows(net->zap, peer->principal, key_of(peer->user), peer->local, peer->uid);
}

/* Dual-stack sockets show an IPv4 peer as ::ffff:10.0.0.7. */
static const char *plain_address(const char *address)
{
    return strncmp(address, "::ffff:", 7) == 0 && strchr(address, '.') != NULL ? address + 7
                                                                               : address;
}

static void read_facts(struct peer *peer, zmq_msg_t *last, const char *user)
{
    const char *address = zmq_msg_gets(last, "Peer-Address");
    const char *fd = zmq_msg_gets(last, "__fd");

    snprintf(peer->user, sizeof peer->user, "%s", user);
    peer->principal = principal_of(user);
    peer->fd = fd == NULL ? -1 : atoi(fd);
    peer->cookie = peer->fd < 0 ? 0 : cookie_of(peer->fd);
    /* Over ipc the address is what the kernel knows of the process that connected. */
    peer->local = address != NULL && rv_zap_local(address, &peer->uid, &peer->pid);
    if (peer->local)
        snprintf(peer->address, sizeof peer->address, "uid %u pid %u", (unsigned)peer->uid,
                 (unsigned)peer->pid);
    else
        snprintf(peer->address, sizeof peer->address, "%s",
                 address == NULL ? "unknown" : plain_address(address));
}

/* The first message of a connection: note who it is, once. */
static struct peer *meet(struct rv_net *net, uint64_t name, zmq_msg_t *last, const char *user)
{
    struct peer *peer = rv_alloc(sizeof *peer);
    struct slot *slot = NULL;

    /* What happened to this descriptor before must be known before it gets a new owner. */
    read_monitor(net);
    forget(net, name);
    peer->name = name;
    read_facts(peer, last, user);
    if (!admitted(net, peer))
        peer->principal = 0; /* lost its key between the handshake and the first message */
    HASH_ADD(hh, net->peers, name, sizeof peer->name, peer);
    slot = peer->fd < 0 ? NULL : slot_of(net, (uint32_t)peer->fd);
    if (slot == NULL)
        return peer;
    if (slot->name != 0 && slot->name != name)
        add_lost(net, slot->name);
    slot->name = slot->ended ? 0 : name;
    if (slot->ended)
        add_lost(net, name); /* it has ended already; this message was still on its way */
    return peer;
}

/* Ids are drawn by the router, which counts them up. A peer that brought one of its own could take
 * another's place, or that of one to come, and nothing of ours does that. */
static bool drawn(struct rv_net *net, struct side *side, const uint8_t *bytes, size_t len)
{
    uint32_t number = 0;

    if (len != ID_LEN || bytes[0] != 0)
        return false;
    for (size_t i = 1; i < ID_LEN; i++)
        number = number << 8 | bytes[i];
    if (number - side->first_id < side->accepted)
        return true;
    read_side(net, side); /* the news that somebody came is there before his message */
    return number - side->first_id < side->accepted;
}

/* Who sent the message that is in net->frames; NULL when it must not be heard. What is not heard does not
 * count for its connection, which the governor cuts for that before long. */
static const struct peer *sender(struct rv_net *net, struct side *side)
{
    const uint8_t *bytes = zmq_msg_data(&net->frames.frames[0]);
    /* The first frame may come without properties; the last one always has them. */
    zmq_msg_t *last = &net->frames.frames[net->frames.len - 1];
    const char *user = zmq_msg_gets(last, "User-Id");
    struct peer *peer = NULL;
    uint64_t name = 0;
    uint32_t id = 0;

    if (!drawn(net, side, bytes, zmq_msg_size(&net->frames.frames[0])))
        return NULL;
    /* Without a verdict of our key check a message is nobody's. */
    if (user == NULL || net->frames.len < 2)
        return NULL;
    memcpy(&id, bytes + 1, sizeof id);
    name = name_of(net, side, id);
    HASH_FIND(hh, net->peers, &name, sizeof name, peer);
    if (peer == NULL || strcmp(peer->user, user) != 0)
        peer = meet(net, name, last, user);
    if (peer->principal != 0 && !net->frames.over)
        return peer;
    cut(net, peer);
    return NULL;
}

/* ---- messages ---- */

static void fill(struct rv_net *net, const struct peer *peer, struct rv_net_message *out)
{
    out->peer = peer->name;
    out->principal = peer->principal;
    out->local = peer->local;
    out->pid = peer->pid;
    out->uid = peer->uid;
    memcpy(out->address, peer->address, sizeof out->address);
    out->control = rv_frames_slice(&net->frames, 1);
    out->bodies_len = net->frames.len - 2;
    for (size_t i = 0; i < out->bodies_len; i++)
        out->bodies[i] = rv_frames_slice(&net->frames, i + 2);
}

/* The governor is told what came whole. */
static void count(struct rv_net *net, const struct peer *peer)
{
    size_t bytes = 0;
    size_t longs = 0;

    if (peer->fd < 0 || (size_t)peer->fd >= net->slots_len ||
        net->slots[peer->fd].name != peer->name)
        return;
    for (size_t i = 1; i < net->frames.len; i++) {
        size_t len = zmq_msg_size(&net->frames.frames[i]);

        bytes += len;
        longs += rv_governor_long(len);
    }
    rv_governor_heard(net->governor, peer->fd, net->frames.len - 1, bytes, longs);
}

/* The next message into net->frames, of each side in turn; the side that it came from, or NULL. */
static struct side *next_message(struct rv_net *net)
{
    for (size_t i = 0; i < net->sides_len; i++) {
        struct side *side = &net->sides[net->turn];

        net->turn = (net->turn + 1) % net->sides_len;
        side->dry = !rv_frames_receive(&net->frames, side->router, RV_FRAMES_MAX);
        if (!side->dry)
            return side;
    }
    return NULL;
}

bool rv_net_receive(struct rv_net *net, struct rv_net_message *out)
{
    const struct peer *peer = NULL;
    struct side *side = NULL;

    while ((side = next_message(net)) != NULL) {
        peer = sender(net, side);
        if (peer != NULL) {
            count(net, peer);
            fill(net, peer, out);
            return true;
        }
        net->stats.malformed++;
    }
    net->losts_ready = net->losts_len;
    if (rv_governor_deadline(net->governor) <= rv_clock_now())
        rv_governor_run(net->governor, rv_clock_now(), true);
    return false;
}

/* The same thread receives and sends: only receiving makes libzmq notice that a peer with a full
 * queue is gone, until then it looks merely slow. */
enum rv_net_result rv_net_send(struct rv_net *net, uint64_t peer, struct rv_slice control,
                               const struct rv_slice *bodies, size_t bodies_len)
{
    uint8_t id[ID_LEN] = {0};
    uint32_t number = (uint32_t)peer;
    struct side *side = &net->sides[(peer >> 32) - 1];

    rv_assert(peer >> 32 != 0 && peer >> 32 <= net->sides_len);
    memcpy(id + 1, &number, sizeof number);
    side->dry = false;
    return rv_frames_send(side->router, rv_slice(id, sizeof id), control, bodies, bodies_len);
}

static bool has_input(struct rv_net *net)
{
    bool any = false;

    for (size_t i = 0; i < net->sides_len; i++) {
        struct side *side = &net->sides[i];

        side->dry = side->dry || !rv_zmq_readable(side->router);
        any = any || !side->dry;
    }
    return any;
}

/* Rounded up, so that what was due is due when we wake. */
static int left_ms(rv_ns deadline)
{
    rv_ns now = deadline == RV_NEVER ? 0 : rv_clock_now();
    rv_ns left = deadline > now ? deadline - now : 0;

    if (deadline == RV_NEVER)
        return -1;
    return left > 3600 * RV_SEC ? 3600 * 1000 : (int)((left + RV_MS - 1) / RV_MS);
}

static bool add_event(struct rv_net *net, int fd, uint32_t number)
{
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = number};

    return epoll_ctl(net->events_fd, EPOLL_CTL_ADD, fd, &event) == 0;
}

unsigned rv_net_watch(struct rv_net *net, int fd)
{
    rv_assert(net->watched < WATCHED_MAX);
    rv_assert(add_event(net, fd, net->watched));
    return 1u << net->watched++;
}

void rv_net_unwatch(struct rv_net *net, int fd)
{
    epoll_ctl(net->events_fd, EPOLL_CTL_DEL, fd, NULL);
}

/* The router is always drained sooner or later: a socket that nobody reads looks like a dead
 * manager to its clients. One epoll has everything, because a call that is alone on a processor
 * pays for each descriptor that poll() goes to sleep on. */
unsigned rv_net_wait(struct rv_net *net, rv_ns deadline)
{
    struct epoll_event events[WATCHED_MAX + 2 * SIDES + 1];
    bool ready = net->losts_head < net->losts_len || has_input(net);
    rv_ns govern_at = rv_governor_deadline(net->governor);
    unsigned readable = 0;
    int len = 0;

    if (govern_at < deadline)
        deadline = govern_at;
    do
        len = epoll_wait(net->events_fd, events, (int)rv_countof(events),
                         ready ? 0 : left_ms(deadline));
    while (len < 0 && errno == EINTR);
    rv_assert(len >= 0);
    for (int i = 0; i < len; i++)
        if (events[i].data.u32 == MONITOR)
            read_monitor(net);
        else if (events[i].data.u32 == GOVERNOR)
            govern_at = 0;
        else if (events[i].data.u32 != ROUTER)
            readable |= 1u << events[i].data.u32;
    if (govern_at == 0 || govern_at <= rv_clock_now())
        rv_governor_run(net->governor, rv_clock_now(), false);
    return readable;
}

/* ---- keys, figures ---- */

void rv_net_admit(struct rv_net *net, const struct rv_net_key *keys, size_t len)
{
    struct peer *peer = NULL;
    struct peer *next = NULL;

    rv_zap_admit(net->zap, keys, len);
    /* libzmq asks for the key once in a connection's life, so those who lost theirs are cut. */
    read_monitor(net);
    HASH_ITER (hh, net->peers, peer, next) {
        if (!admitted(net, peer)) {
            peer->principal = 0; /* what is still on its way from it is not heard */
            cut(net, peer);
        }
    }
}

void rv_net_stats(const struct rv_net *net, struct rv_net_stats *out)
{
    *out = net->stats;
    out->peers = HASH_COUNT(net->peers);
    out->cut = rv_governor_cuts(net->governor);
}

reeve_err rv_net_selftest(struct rv_net *net, char *why)
{
    struct rv_net_stats before = net->stats;
    reeve_err err = REEVE_OK;
    size_t door = 0;

    for (size_t i = net->doors_len; i-- > 0;)
        if (rv_ipc_path(net->doors[i].shown) == NULL && net->doors[i].side == net->sides)
            door = i;
    /* Local peers of our own uid come in with any key, and that is what we are. */
    err = rv_selftest(net->doors[door].shown, net->public_key,
                      rv_ipc_path(net->doors[door].shown) == NULL || !net->ipc_same_uid, why);
    read_monitor(net);
    net->stats = before; /* our own knocking is not worth an alarm */
    return err;
}

const char *rv_net_endpoint(const struct rv_net *net, size_t i)
{
    rv_assert(i < net->doors_len);
    return net->doors[i].shown;
}

/* ---- its life ---- */

static reeve_err check_keys(const struct rv_net_conf *conf, uint8_t secret[32], uint8_t second[32],
                            char *why)
{
    uint8_t public[32];
    bool good =
        rv_keys_decode(public, conf->public_key) && rv_keys_decode(secret, conf->secret_key);

    if (conf->second_bind != NULL)
        good = good && rv_keys_decode(second, conf->second_secret_key);
    return good ? REEVE_OK
                : rv_why(why, RV_NET_WHY, REEVE_EINVAL,
                         "unable to use the manager's key: not 40 characters of Z85");
}

static reeve_err check_conf(const struct rv_net_conf *conf, char *why)
{

    for (size_t i = 0; i < conf->binds_len; i++)
        /* Inside the process libzmq checks no keys at all, so inproc is not offered. */
        if (strncmp(conf->binds[i], "tcp://", 6) != 0 && rv_ipc_path(conf->binds[i]) == NULL)
            return rv_why(why, RV_NET_WHY, REEVE_EINVAL,
                          "unable to bind %.100s: an endpoint is tcp://ADDRESS:PORT or ipc://PATH",
                          conf->binds[i]);
    if (conf->binds_len == 0)
        return rv_why(why, RV_NET_WHY, REEVE_EINVAL, "unable to bind: no endpoint was given");
    if (conf->ipc_same_uid && conf->ipc_principal == 0)
        return rv_why(why, RV_NET_WHY, REEVE_EINVAL,
                      "unable to admit local peers: their principal is missing");
    if (conf->second_bind != NULL && strncmp(conf->second_bind, "tcp://", 6) != 0)
        return rv_why(why, RV_NET_WHY, REEVE_EINVAL,
                      "unable to bind %.100s: with a second key it is tcp://ADDRESS:PORT",
                      conf->second_bind);
    return REEVE_OK;
}

static bool set_options(const struct side *side, const struct rv_net_conf *conf,
                        const uint8_t secret[32])
{
    const struct {
        int option;
        int value;
    } options[] = {
        {ZMQ_LINGER, 0}, /* what is undelivered at the end is the business of sessions */
        {ZMQ_IPV6, 1},
        {ZMQ_BACKLOG, BACKLOG},
        /* Bounds what a stranger can make us hold before he has shown a key, and how long. */
        {ZMQ_HANDSHAKE_IVL, rv_handshake_ms(conf->handshake_ms)},
        {ZMQ_HEARTBEAT_IVL, 0}, /* sessions have their own, that mean more */
        /* A full queue and an unknown peer are said to us instead of losing the message. */
        {ZMQ_ROUTER_MANDATORY, 1},
        /* Nobody takes over another's connection id, and with it the replies. */
        {ZMQ_ROUTER_HANDOVER, 0},
        {ZMQ_CURVE_SERVER, 1},
        /* Without this, CURVE admits any key whenever the key check is not there to ask. */
        {ZMQ_ZAP_ENFORCE_DOMAIN, 1},
        {ZMQ_SNDHWM, RV_SEND_MAX},
        /* Never the flow control, which is the sessions' windows; just an end to abuse. Both
         * count messages of one peer. */
        {ZMQ_RCVHWM, RV_RECEIVE_MAX},
    };
    const int64_t largest = RV_WIRE_MAX;

    for (size_t i = 0; i < rv_countof(options); i++)
        if (!rv_zmq_set(side->router, options[i].option, options[i].value))
            return false;
    return zmq_setsockopt(side->router, ZMQ_MAXMSGSIZE, &largest, sizeof largest) == 0 &&
           zmq_setsockopt(side->router, ZMQ_CURVE_SECRETKEY, secret, 32) == 0 &&
           zmq_setsockopt(side->router, ZMQ_ZAP_DOMAIN, RV_ZAP_DOMAIN, strlen(RV_ZAP_DOMAIN)) == 0;
}

/* Where does the router begin to count? Its first connection is our own, from inside, where nobody
 * else can be before there is a door. */
static bool ask_first_id(struct side *side)
{
    const char *inside = "inproc://reeve-canary";
    void *canary = zmq_socket(rv_net_context(0), ZMQ_DEALER);
    uint8_t id[ID_LEN] = {1};
    bool ok = canary != NULL && rv_zmq_set(canary, ZMQ_LINGER, 0) &&
              zmq_bind(side->router, inside) == 0 && zmq_connect(canary, inside) == 0 &&
              zmq_send(canary, "", 0, 0) == 0;

    ok = ok && zmq_recv(side->router, id, sizeof id, 0) == ID_LEN && id[0] == 0 &&
         zmq_recv(side->router, NULL, 0, 0) == 0;
    for (size_t i = 1; i < ID_LEN; i++)
        side->first_id = side->first_id << 8 | id[i];
    side->accepted = 1;
    (void)zmq_unbind(side->router, inside);
    rv_zmq_close(&canary);
    return ok;
}

/* The next side, with this key of the manager. */
static reeve_err open_router(struct rv_net *net, const struct rv_net_conf *conf,
                             const uint8_t secret[32], char *why)
{
    struct side *side = &net->sides[net->sides_len++];

    *side = (struct side){.router = zmq_socket(rv_net_context(conf->io_threads), ZMQ_ROUTER),
                          .monitor_fd = -1};
    /* All options stand before the first bind: later they would miss some connections. */
    if (side->router == NULL || !set_options(side, conf, secret))
        return rv_zmq_why(why, "set up", "the socket");
    if (!ask_first_id(side))
        return rv_zmq_why(why, "ask", "the socket for its first id");
    side->monitor = rv_monitor_open(side->router, EVENTS);
    if (side->monitor == NULL)
        return rv_zmq_why(why, "watch", "the socket");
    side->monitor_fd = rv_zmq_fd(side->monitor);
    if (!add_event(net, rv_zmq_fd(side->router), ROUTER) ||
        !add_event(net, side->monitor_fd, MONITOR))
        return rv_zmq_why(why, "watch", "the socket");
    return REEVE_OK;
}

static reeve_err open_routers(struct rv_net *net, const struct rv_net_conf *conf,
                              const uint8_t secret[32], const uint8_t second[32], char *why)
{
    unsigned seed = 0;
    reeve_err err = REEVE_OK;

    /* libzmq counts connection ids up from rand(), which it never seeds. A peer that knows the
     * start can claim the id of a connection to come, and that aborts the process. */
    rv_random_bytes(&seed, sizeof seed);
    srand(seed);

    net->governor = rv_governor_new(2 * (uint32_t)rv_handshake_ms(conf->handshake_ms), conf->sink);
    net->events_fd = epoll_create1(EPOLL_CLOEXEC);
    if (net->events_fd < 0 || net->governor == NULL ||
        !add_event(net, rv_governor_fd(net->governor), GOVERNOR))
        return rv_zmq_why(why, "watch", "the socket");
    err = open_router(net, conf, secret, why);
    if (err == REEVE_OK && conf->second_bind != NULL)
        err = open_router(net, conf, second, why);
    return err;
}

static char *copy_text(const char *text, size_t len)
{
    char *copy = rv_alloc(len + 1);

    memcpy(copy, text, len);
    return copy;
}

/* "tcp://[::ffff:10.0.0.7]:7300" is tcp://10.0.0.7:7300 to everybody but libzmq. */
static char *plain_endpoint(const char *name)
{
    const char mapped[] = "tcp://[::ffff:";
    const char *end = strchr(name, ']');
    char text[512];

    if (strncmp(name, mapped, sizeof mapped - 1) != 0 || end == NULL || strchr(name, '.') == NULL)
        return copy_text(name, strlen(name));
    name += sizeof mapped - 1;
    snprintf(text, sizeof text, "tcp://%.*s%s", (int)(end - name), name, end + 1);
    return copy_text(text, strlen(text));
}

static reeve_err bind_door(struct door *door, const char *endpoint, const char *public_key,
                           char *why)
{
    const char *path = rv_ipc_path(endpoint);
    char name[512];
    size_t len = sizeof name;
    mode_t mask = 0;
    int rc = 0;

    /* A local socket gets its mode from the umask, at its birth. */
    if (path != NULL)
        mask = umask(0177);
    rc = zmq_bind(door->side->router, endpoint);
    if (path != NULL)
        umask(mask);
    if (rc != 0 || zmq_getsockopt(door->side->router, ZMQ_LAST_ENDPOINT, name, &len) != 0)
        return rv_zmq_why(why, "bind", endpoint);
    door->name = copy_text(name, strlen(name));
    door->shown = plain_endpoint(name);
    return path == NULL ? REEVE_OK : rv_ipc_publish(path, public_key, why);
}

static reeve_err open_all(struct rv_net *net, const struct rv_net_conf *conf, char *why)
{
    uint8_t secret[32];
    uint8_t second[32];
    reeve_err err = check_conf(conf, why);

    if (err == REEVE_OK)
        err = check_keys(conf, secret, second, why);
    for (size_t i = 0; i < conf->binds_len && err == REEVE_OK; i++)
        if (rv_ipc_path(conf->binds[i]) != NULL)
            err = rv_ipc_prepare(&net->doors[i].lock, rv_ipc_path(conf->binds[i]), why);
    if (err == REEVE_OK && rv_net_context(conf->io_threads) == NULL)
        err = rv_zmq_why(why, "start", "libzmq");
    /* The key check answers before the first door opens. */
    if (err == REEVE_OK)
        err = rv_zap_open(&net->zap, conf->ipc_same_uid, conf->ipc_principal, why);
    if (err == REEVE_OK)
        rv_zap_admit(net->zap, conf->keys, conf->keys_len);
    if (err == REEVE_OK)
        err = open_routers(net, conf, secret, second, why);
    sodium_memzero(secret, sizeof secret);
    sodium_memzero(second, sizeof second);
    for (size_t i = 0; i < conf->binds_len && err == REEVE_OK; i++)
        err = bind_door(&net->doors[i], conf->binds[i], conf->public_key, why);
    if (conf->second_bind != NULL && err == REEVE_OK)
        err = bind_door(&net->doors[conf->binds_len], conf->second_bind, NULL, why);
    return err;
}

reeve_err rv_net_open(struct rv_net **out, const struct rv_net_conf *conf, char *why)
{
    struct rv_net *net = rv_alloc(sizeof *net);
    reeve_err err = REEVE_OK;

    *out = NULL;
    net->events_fd = -1;
    net->doors_len = conf->binds_len + (conf->second_bind != NULL);
    net->doors = rv_alloc(net->doors_len * sizeof *net->doors);
    for (size_t i = 0; i < net->doors_len; i++)
        net->doors[i] = (struct door){.side = &net->sides[i >= conf->binds_len], .lock = -1};
    net->ipc_same_uid = conf->ipc_same_uid;
    snprintf(net->public_key, sizeof net->public_key, "%s", conf->public_key);

    err = open_all(net, conf, why);
    if (err == REEVE_OK)
        *out = net;
    else
        rv_net_close(&net);
    return err;
}

/* libzmq closes in the background, but the port, and the name of a local socket, must be free when
 * the next manager finds its lock free. */
static void unbind(struct rv_net *net)
{
    rv_ns deadline = rv_clock_now() + CLOSE_PATIENCE_MS * RV_MS;
    size_t waiting = 0;

    for (size_t i = 0; i < net->doors_len; i++)
        if (net->doors[i].name != NULL)
            waiting += zmq_unbind(net->doors[i].side->router, net->doors[i].name) == 0;
    while (net->closed < waiting && rv_clock_now() < deadline) {
        struct pollfd p[SIDES];

        for (size_t i = 0; i < net->sides_len; i++)
            p[i] = (struct pollfd){.fd = net->sides[i].monitor_fd, .events = POLLIN};
        (void)poll(p, net->sides_len, left_ms(deadline));
        read_monitor(net);
    }
}

static void close_door(struct door *door)
{
    if (door->name != NULL && rv_ipc_path(door->name) != NULL)
        unlink(rv_ipc_path(door->name));
    if (door->lock >= 0)
        close(door->lock);
    free(door->name);
    free(door->shown);
}

void rv_net_close(struct rv_net **net)
{
    struct rv_net *n = *net;
    struct peer *peer = NULL;
    struct peer *next = NULL;

    if (n == NULL)
        return;
    rv_frames_free(&n->frames);
    unbind(n);
    if (n->events_fd >= 0)
        close(n->events_fd);
    for (size_t i = 0; i < n->sides_len; i++) {
        rv_monitor_close(&n->sides[i].monitor, n->sides[i].router);
        rv_zmq_close(&n->sides[i].router);
    }
    rv_governor_free(&n->governor);
    rv_zap_close(&n->zap);
    for (size_t i = 0; i < n->doors_len; i++)
        close_door(&n->doors[i]);
    HASH_ITER (hh, n->peers, peer, next) {
        HASH_DEL(n->peers, peer);
        free(peer);
    }
    free(n->doors);
    free(n->slots);
    free(n->losts);
    free(n);
    *net = NULL;
}
