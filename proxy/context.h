#ifndef RV_CONTEXT_H
#define RV_CONTEXT_H

/*
 * context.h -- the shell of a session in somebody's process: one connection, one mutex.
 *
 * Whoever waits pumps: it polls the connection without the mutex and takes in what comes, for
 * everybody. When nobody waits, the background thread does. A caller that is often back within
 * milliseconds is not competed with: the background thread then only looks in on a slow tick, unless
 * it keeps something, such as a lease, that others may be waiting for.
 */

#include "common/net/keys.h"
#include "proxy/core/channel.h"
#include "proxy/core/ledger.h"

#include <reeve/context.h>

#include <pthread.h>
#include <stdarg.h>
#include <sys/types.h>

enum { ENDPOINTS_MAX = 8 };

/* Somebody who waits for something to become true. */
struct rv_waiter {
    bool (*ready)(void *arg);
    void *arg;
    bool polling; /* it pumps; wake it by the descriptor */
    pthread_cond_t cond;
    struct rv_waiter *prev, *next;
};

/* A place to connect to, and whom to expect there. */
struct rv_candidate {
    char *endpoint;
    char server_key[RV_KEY_TEXT]; /* empty: read server.pub beside the socket */
};

struct reeve_context {
    reeve_context *prev, *next; /* all that this process has open */
    pthread_mutex_t mutex;
    struct rv_link link;
    struct rv_conn *conn;
    struct rv_waiter *waiters;
    rv_ns driven_at; /* everything that was due then has been tried */
    bool unread;     /* more may have come, of which the descriptor has told already */
    bool pumping;    /* somebody polls in a call */
    rv_ns pumping_since;
    rv_ns pumped_at;        /* when the last one left */
    rv_ns pump_until;       /* when it looks again by itself */
    rv_ns background_until; /* 0: so soon that nobody needs to wake it */
    bool listens;           /* the background wakes up for messages */
    uint32_t interrupts;    /* reeve_interrupt so far; who waits goes when it changes */
    bool stop;
    bool thread_runs;
    pthread_t thread;
    int wake_fd;          /* wakes the caller that polls */
    int background_fd;    /* wakes the background */
    int pump_epoll;       /* wake_fd and the connection */
    int background_epoll; /* background_fd and the connection */
    pid_t pid;
    uint32_t generation; /* of the process that opened it; fork begins a new one */
    uint32_t linger_ms;
    char public_key[RV_KEY_TEXT];
    char *secret_key; /* rv_secret_new() */
    char *program;
    char host_name[256];
    struct rv_candidate candidates[ENDPOINTS_MAX];
    char last_trouble[300];     /* why the last attempt to connect failed */
    struct rv_shipped *shipped; /* programs that the manager was sent */
    struct rv_private *own;     /* a manager of our own; or NULL */
    struct rv_ledger *ledger;   /* values that were freed, and kept objects */
};

/* ---- errors ---- */

/* Set this thread's error text, "cannot VERB OBJECT: reason", and return err. */
/* What the thread's call survives, for reeve_reached: it begins; an answer came with that level, of
 * which the least counts. */
void rv_reached_nothing(void);
void rv_reached(uint8_t durable);

reeve_err rv_fail(reeve_err err, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The error of a request that is done: its own text, or the code's words. */
reeve_err rv_fail_request(const struct rv_request *call, const char *verb, const char *object);

/* ---- calls; the context's mutex is held but for enter ---- */

/* A put of a closed handle that was refused: tell once. REEVE_OK when there is none. */
reeve_err rv_late_failure(reeve_context *ctx);

/* Lock the context for a call. EFORK, without the lock, in a child of its process. */
reeve_err rv_enter(reeve_context *ctx, const char *verb, const char *object);
void rv_leave(reeve_context *ctx);

/* Wait until the managers have all that was put, on every context that is open: for exit(). Each
 * has its linger_ms; what is lost is told on stderr. */
void rv_flush_all(void);

/* A reference to an object of this context's manager. */
reeve_ref rv_ref(const reeve_context *ctx, uint64_t object, uint8_t kind);

/* Is it one of this manager, and of a kind in the set (1 << kind)? ESTALE, ETYPE, told. */
reeve_err rv_check_ref(const reeve_context *ctx, reeve_ref ref, uint32_t kinds, const char *word);

/* Ask of each context that this process has open, until one says true. None is closed meanwhile. */
bool rv_any_open(bool (*use)(void *arg, reeve_context *ctx), void *arg);

/* Where it is connected, or tries to be. */
const char *rv_endpoint(const reeve_context *ctx);

/* Take in what came, send what is due, wake who can go on. */
void rv_drive(reeve_context *ctx);

/* A deadline has come up: whoever drives the connection next does so in time. */
void rv_wake_before(reeve_context *ctx, rv_ns deadline);

/* Wait until ready(arg), the deadline or an interrupt. False when it is not ready. */
bool rv_wait(reeve_context *ctx, bool (*ready)(void *arg), void *arg, rv_ns deadline);

/* Wait for a request, at most timeout_ms (and the time that the manager's verdict may take on
 * top, for a numbered one), and take its outcome: on REEVE_OK *result has its bytes and the
 * caller frees them. The request is spent. */
reeve_err rv_finish(reeve_context *ctx, struct rv_request *call, uint32_t timeout_ms,
                    const char *verb, const char *object, struct rv_buf *result);

/* Of this process: a fork begins another one. 0: it can't be told. */
uint32_t rv_generation(void);

/* A number for this thread that no other thread of the process ever has. */
uint64_t rv_thread_serial(void);

#endif
