#ifndef RV_LINK_H
#define RV_LINK_H

/*
 * link.h -- the client's half of a session: connected or not, and what to say again after a loss.
 *
 *             connect        handshake        welcome
 *     IDLE -----------> CONNECTING ----> GREETING ----> READY
 *      ^                     |               |            |
 *      '------ lost, silent, gap, back-off --'------------'
 *                            '--- refused for good --> DEAD
 *
 * The shell does what rv_link_want() says, hands in what it hears, and sends what
 * rv_link_transmit() gives. Nothing here blocks, allocates without a check or looks at a clock.
 */

#include "common/base/mutant.h"
#include "common/base/rng.h"
#include "common/wire/stream.h"
#include <reeve/error.h>

#include <stdlib.h>
/* Out of memory in a table of the library: the add is undone and told by the caller. */
#define HASH_NONFATAL_OOM 1
#include <uthash.h>
#include <utlist.h>

struct rv_link;
struct rv_request;
struct rv_port;

/* What a proxy hears of its object without having asked. */
struct rv_port_ops {
    void (*push)(struct rv_port *port, rv_ns now, const struct rv_push *push,
                 const struct rv_slice *bodies, size_t bodies_len, size_t *frames);
    void (*tick)(struct rv_port *port, rv_ns now); /* tick_at has come */
    void (*dead)(struct rv_port *port);            /* the link is DEAD */
};

/* Part of a proxy, first: the link's way to it. */
struct rv_port {
    uint64_t object;
    const struct rv_port_ops *ops;
    rv_ns tick_at; /* RV_NEVER: nothing to do */
    UT_hash_handle hh;
};

/* What an answer brought. Borrowed during the call. */
struct rv_outcome {
    reeve_err error;
    uint8_t durable; /* enum rv_durable: what it survives; of a read, DEFAULT */
    struct rv_slice text;
    struct rv_slice result;
    const struct rv_slice *bodies;
    size_t bodies_len;
    size_t *frames; /* body frames used so far; whoever reads items counts them */
};

typedef void rv_request_hook(struct rv_link *link, struct rv_request *call, rv_ns now,
                             const struct rv_outcome *outcome);

/* A call in flight. Belongs to the link until done, then to who made it, unless abandoned. */
struct rv_request {
    uint64_t number; /* in the stream; of a read, its id */
    bool read;
    bool sent; /* a read: on this connection */
    bool done;
    bool abandoned; /* its caller has gone; the link frees it with its answer */
    uint16_t op;
    uint64_t object;
    uint64_t after;        /* a read: leaves when this number has left */
    struct rv_buf request; /* a read: its message, to be sent again */
    rv_request_hook *hook; /* reads the outcome in place; NULL: it is copied to what follows */
    void *arg;
    uint32_t count;  /* the hook's: items of a put; what a get asked for */
    uint64_t thread; /* the hook's: who asks for a lock */
    reeve_err error;
    uint8_t durable; /* enum rv_durable, once it is done; of a read, DEFAULT */
    struct rv_buf text;
    struct rv_buf result;
    struct rv_request *prev, *next; /* reads, in order */
    UT_hash_handle hh;
};

enum rv_link_state {
    RV_LINK_IDLE,
    RV_LINK_CONNECTING,
    RV_LINK_GREETING,
    RV_LINK_READY,
    RV_LINK_DEAD
};

enum rv_link_want { RV_WANT_NOTHING, RV_WANT_CONNECT, RV_WANT_CLOSE };

/* REFUSED: a manager does not admit our key. MISMATCH: a manager has another key than the one that
 * is trusted. Both are what a CURVE server did; whatever else may have happened is LOST. */
enum rv_link_end { RV_END_LOST, RV_END_REFUSED, RV_END_MISMATCH };

struct rv_link_conf {
    struct rv_id session; /* random */
    struct rv_id host;
    uint32_t pid;
    uint32_t resume_ms;    /* 0: the manager's default */
    const char *host_name; /* borrowed for the link's life */
    const char *program;
    const char *endpoints[8];
    size_t endpoints_len;
    uint64_t seed; /* of the pauses between attempts */
};

struct rv_link {
    struct rv_link_conf conf;
    enum rv_link_state state;
    bool close_wanted;
    size_t endpoint; /* index of the one tried now */
    uint32_t attempt;
    bool established; /* a welcome came once */
    bool leaving;     /* goodbye was said */
    bool left;        /* and heard */
    struct rv_id store;
    uint64_t term;
    uint64_t session; /* the manager's serial of it, for people */
    uint32_t resume_ms;
    struct rv_rng rng;

    rv_ns retry_at;    /* IDLE: the next attempt */
    rv_ns deadline_at; /* CONNECTING, GREETING: give up this attempt */
    rv_ns lost_at;     /* since when there is no READY connection */
    rv_ns heard_at;
    rv_ns sent_at;
    rv_ns ack_at; /* when an acknowledgement leaves alone; RV_NEVER: none is owed */
    uint32_t backoff_ms;
    unsigned mismatches; /* attempts in a row that ended so; 0 when a refusal was the end */
    unsigned refusals;   /* of our messages, without progress between them */
    bool hello_due;
    bool beat_due;

    struct rv_stream out;
    uint64_t cursor;    /* next message of out to send on this connection */
    uint64_t sent_high; /* the last message that left on any connection: it is as it is */
    uint64_t urgent;    /* messages up to this number do not wait for company */
    uint64_t pace;      /* what does waits until this one is acknowledged; 0: for nothing */
    rv_ns late_at;      /* what was said late leaves then without company; RV_NEVER: nothing was */
    uint64_t received;  /* numbered messages of the manager that have arrived */
    uint64_t acked;     /* the last acknowledgement that we sent */
    size_t unacked_bytes;
    uint64_t last_read;
    uint64_t last_body;
    struct rv_assembly assembly;

    struct rv_request *calls; /* numbered, by number */
    struct rv_request *reads; /* by id */
    struct rv_request *read_list;
    struct rv_port *ports; /* by object: proxies that get pushes */
    uint64_t puts_in_flight;
    size_t asked_back; /* so many proxies may be asked for what they keep */
    reeve_err failed;  /* a put of a closed handle was refused, or its close was not said: ENOMEM */
    char failed_why[160];

    reeve_err error; /* DEAD: why */
    char why[256];

    struct rv_buf frame, extra;
    uint64_t sending_cursor; /* of the frame that rv_link_transmit gave last */
    size_t sending_reads;    /* so many of read_list are in it */
    bool sending_beat, sending_hello;
};

struct rv_link_frame {
    struct rv_slice control; /* until the next rv_link_transmit */
    struct rv_slice bodies[RV_LIMIT_BODIES];
    size_t bodies_len;
};

void rv_link_init(struct rv_link *link, const struct rv_link_conf *conf, rv_ns now);
void rv_link_fini(struct rv_link *link);

/* ---- the shell's side ---- */

/* What the shell must do now: open a connection to conf.endpoints[link->endpoint] and say
 * rv_link_connecting; or close the one it has and say rv_link_closed. */
enum rv_link_want rv_link_want(const struct rv_link *link, rv_ns now);
void rv_link_connecting(struct rv_link *link, rv_ns now);
void rv_link_connected(struct rv_link *link, rv_ns now);
void rv_link_closed(struct rv_link *link);
void rv_link_ended(struct rv_link *link, rv_ns now, enum rv_link_end how);

void rv_link_receive(struct rv_link *link, rv_ns now, struct rv_slice control,
                     const struct rv_slice *bodies, size_t bodies_len);

/* Would rv_link_transmit send numbered messages now? Small puts wait for the acknowledgement of
 * those that are on their way, so that frames grow while the wire is busy. */
bool rv_link_ready(const struct rv_link *link);

/* Somebody waits until all that was said is acknowledged: nothing waits for company now, here or at
 * the manager. */
void rv_link_hurry(struct rv_link *link);

/* The next frame to send; false when there is none now. Then say what became of it. */
bool rv_link_transmit(struct rv_link *link, rv_ns now, struct rv_link_frame *out);
void rv_link_sent(struct rv_link *link, rv_ns now, bool sent);

void rv_link_tick(struct rv_link *link, rv_ns now);
rv_ns rv_link_deadline(const struct rv_link *link);

/* ---- the library's side ---- */

/* Push messages for an object go to its port; at most one port an object. False without memory. */
bool rv_link_add_port(struct rv_link *link, struct rv_port *port);
void rv_link_drop_port(struct rv_link *link, struct rv_port *port);
struct rv_port *rv_link_port(const struct rv_link *link, uint64_t object);

/* Take the bytes of items off the frame and the assembly, and drop them. */
void rv_items_skip(struct rv_link *link, struct rv_reader *r, uint32_t count,
                   const struct rv_slice *bodies, size_t bodies_len, size_t *frames);

/* Is there room in the window for a message of so many bytes? */
bool rv_link_room(const struct rv_link *link, size_t bytes);

/* Number and queue a call; it leaves with the next transmit. NULL when there is no memory,
 * or the link is DEAD. ONEWAY operations give a call that is done at once: use rv_link_say. */
struct rv_request *rv_link_call(struct rv_link *link, uint16_t op, uint64_t object,
                                uint32_t timeout_ms, struct rv_slice args,
                                struct rv_body *const *bodies, size_t bodies_len);
bool rv_link_say(struct rv_link *link, uint16_t op, uint64_t object, struct rv_slice args);
/* The same, in no hurry: it leaves with what is said next, or alone after some milliseconds. */
bool rv_link_say_late(struct rv_link *link, rv_ns now, uint16_t op, uint64_t object,
                      struct rv_slice args);
/* The same as rv_link_say with body frames behind it. */
bool rv_link_say_bodies(struct rv_link *link, uint16_t op, uint64_t object, struct rv_slice args,
                        struct rv_body *const *bodies, size_t bodies_len);
struct rv_request *rv_link_read(struct rv_link *link, uint16_t op, uint64_t object,
                                struct rv_slice args);

/* The caller does not wait any longer. A numbered call is cancelled, and its effect undone
 * where it can be. */
void rv_link_abandon(struct rv_link *link, struct rv_request *call);

void rv_request_free(struct rv_link *link, struct rv_request *call);

/* Say goodbye; link->left tells when the manager has heard it. */
void rv_link_goodbye(struct rv_link *link);

/* End everything with this error. */
void rv_link_die(struct rv_link *link, rv_ns now, reeve_err error, const char *why);

/* The code that a peer said; EPROTO for one that is not in our list. */
reeve_err rv_error_said(uint64_t number);

/* Has everything that was said been received? */
bool rv_link_flushed(const struct rv_link *link);

#endif
