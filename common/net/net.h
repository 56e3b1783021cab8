#ifndef RV_NET_H
#define RV_NET_H

/*
 * net.h -- the only door to libzmq: whole messages between one manager and many peers.
 *
 * The manager has one ROUTER (struct rv_net); a client has one DEALER for each connection
 * attempt (struct rv_conn), closed and replaced on every loss, because libzmq's own reconnect
 * repeats and reorders. Everything on the wire is CURVE; whoever is not in the table of
 * admitted keys (rv_net_admit) ends at the handshake.
 *
 * Nothing here retries, numbers or remembers: delivery is the business of sessions.
 * Threads: an rv_net belongs to one thread. An rv_conn may move between threads under the
 * caller's mutex; nobody may be inside two of its functions at once.
 */

#include "common/base/base.h"
#include <reeve/error.h>

enum {
    RV_BODIES_MAX = 16,         /* body frames of one message */
    RV_FRAME_MAX = 1024 * 1024, /* one frame; a larger one ends the connection */
    RV_KEY_TEXT = 41,           /* a key in Z85, with its end */
};

/* A message as it came. The bytes are borrowed until the next receive on the same object. */
struct rv_net_message {
    uint64_t peer;      /* the manager's name of the connection; 0 on the client's side */
    uint32_t principal; /* who the key belongs to; 0 is nobody. Manager's side only */
    bool local;         /* came over ipc from this host */
    uint32_t pid;       /* of a local peer, 0 if unknown */
    uint32_t uid;       /* of a local peer */
    char address[64];   /* the peer's address for logs: "10.0.0.7", or "uid 0 pid 123" */
    struct rv_slice control;
    struct rv_slice bodies[RV_BODIES_MAX];
    size_t bodies_len;
};

/* ---- the clock, chance ---- */

rv_ns rv_clock_now(void);                    /* CLOCK_MONOTONIC */
rv_ns rv_clock_wall(void);                   /* since 1970 */
void rv_random_bytes(void *out, size_t len); /* from libsodium */

/* ---- the manager's side ---- */

/* One admitted key. */
struct rv_net_key {
    uint8_t key[32];    /* CURVE public key */
    uint32_t principal; /* not 0 */
};

struct rv_net_conf {
    const char *const *binds; /* endpoints: tcp://ADDRESS:PORT, ipc://PATH */
    size_t binds_len;
    const char *public_key; /* of the manager, Z85 */
    const char *secret_key;
    const char *second_bind; /* tcp, or NULL: for those who trust another key of the manager */
    const char *second_secret_key; /* that one; else NULL */
    unsigned io_threads;           /* 0 is 1 */
    const struct rv_net_key *keys; /* admitted from the first connection on */
    size_t keys_len;
    bool ipc_same_uid;      /* admit local peers of our own uid, whatever their key ... */
    uint32_t ipc_principal; /* ... as this principal */
    uint32_t handshake_ms;  /* 0 is 3000; the first message must follow in as long again */
    struct rv_sink sink;    /* told of connections that are cut; may be empty */
};

struct rv_net;

/* Bind everything or nothing. Seeds rand() first (libzmq draws connection ids from it), starts
 * the key check and waits for it, sets all options, then binds. ipc: the directory is made
 * with mode 0700 when it is missing and must be ours and closed to others; a lock file beside
 * the socket keeps a second manager from stealing it; `server.pub` in it has the public key.
 * One in a process. io_threads counts only when nothing has used libzmq here before.
 * On error *out is NULL and why (at least 256 bytes) says "unable to VERB OBJECT: reason". */
reeve_err rv_net_open(struct rv_net **out, const struct rv_net_conf *conf, char *why);
void rv_net_close(struct rv_net **net);

/* The endpoint really bound, with the real port; i counts as in conf->binds, then the second one. */
const char *rv_net_endpoint(const struct rv_net *net, size_t i);

/* Replace the table of admitted keys, all at once. Copied. Connections whose principal is no
 * longer in it are cut, now or at their first word. */
void rv_net_admit(struct rv_net *net, const struct rv_net_key *keys, size_t len);

/* Connect to our own first tcp (else ipc) endpoint with no key at all, and with a random one
 * where keys count; both must be refused. EAUTH and why when a stranger got in, ESYS when it can't
 * be told. Blocks for some milliseconds, a few seconds at worst. */
reeve_err rv_net_selftest(struct rv_net *net, char *why);

/* From now on rv_net_wait ends when fd is readable, too. It stays the caller's, and open until it is
 * unwatched or net is closed. Returns its bit; there is room for 8 in the life of net. */
unsigned rv_net_watch(struct rv_net *net, int fd);
void rv_net_unwatch(struct rv_net *net, int fd);

/* Sleep until a message, a lost peer, a watched descriptor is readable, or deadline. Returns the
 * bits of those that are. */
unsigned rv_net_wait(struct rv_net *net, rv_ns deadline);

/* The next message, without blocking; false when there is none. Malformed peers (no known
 * principal, self-chosen ids, too many frames) are dropped and counted, never returned. */
bool rv_net_receive(struct rv_net *net, struct rv_net_message *out);

/* A connection that has ended, as a hint that may be late or missing; false when there is none.
 * It comes after the connection's last message: receive until there is none, then ask here. */
bool rv_net_lost(struct rv_net *net, uint64_t *peer);

enum rv_net_result { RV_NET_SENT, RV_NET_BUSY, RV_NET_GONE };

/* Never blocks. BUSY: the peer does not read; keep the message and try again later. GONE: no
 * such connection. Bodies become frames of their own after the control frame. Bytes are copied. */
enum rv_net_result rv_net_send(struct rv_net *net, uint64_t peer, struct rv_slice control,
                               const struct rv_slice *bodies, size_t bodies_len);

/* Cut a connection now (shutdown of its descriptor). Harmless when it is gone. */
void rv_net_cut(struct rv_net *net, uint64_t peer);

struct rv_net_stats {
    uint64_t handshakes, auth_failures, handshake_failures, malformed, peers;
    uint64_t cut; /* by the governor: what strangers may cost has an end */
};
void rv_net_stats(const struct rv_net *net, struct rv_net_stats *out);

/* ---- the client's side ---- */

struct rv_conn_conf {
    const char *endpoint;
    const char *server_key; /* Z85: whom we trust */
    const char *public_key; /* our own, Z85 */
    const char *secret_key;
    uint32_t handshake_ms; /* for connecting and the handshake together; 0 is 3000 */
    bool met;              /* it was there, with the right key: whoever hangs up is somebody else */
    struct rv_id session;  /* for relay:///PATH, through an agent: keys are not needed then */
};

struct rv_conn;

/* Start one attempt. Returns at once; READY or an end comes from rv_conn_receive. */
reeve_err rv_conn_open(struct rv_conn **out, const struct rv_conn_conf *conf, char *why);

/* What is queued still leaves, in the background and for 300 ms at most, if the process lives. */
void rv_conn_close(struct rv_conn **conn);

/* What to poll for reading, 1 or 2. Edge-triggered: call rv_conn_receive until it says NONE,
 * after every wait and after every send, before sleeping again. */
size_t rv_conn_fds(const struct rv_conn *conn, int fds[2]);

enum rv_conn_event {
    RV_CONN_NONE,
    RV_CONN_READY, /* handshake done: the manager is alive and has our key admitted */
    RV_CONN_MESSAGE,
    RV_CONN_LOST,     /* ended; close it. Also: nobody listens, the handshake timed out */
    RV_CONN_HUNG_UP,  /* somebody listens there who is not a manager, or is not one yet */
    RV_CONN_REFUSED,  /* the manager does not admit our key; trying again does not help */
    RV_CONN_MISMATCH, /* a CURVE server hung up in the handshake: it has another key */
};

/* Say that the second descriptor was readable. Once READY, only then is anything but messages
 * looked for, because every look costs system calls. */
void rv_conn_look(struct rv_conn *conn);

/* The next event, without blocking. out is filled for MESSAGE only. */
enum rv_conn_event rv_conn_receive(struct rv_conn *conn, struct rv_net_message *out);

/* Never blocks. BUSY or GONE as above. */
enum rv_net_result rv_conn_send(struct rv_conn *conn, struct rv_slice control,
                                const struct rv_slice *bodies, size_t bodies_len);

/* In a child after fork: forget the parent's sockets without touching them. */
void rv_conn_abandon(struct rv_conn **conn);

#endif
