#ifndef LIMIT_RAW_H
#define LIMIT_RAW_H

/*
 * raw.h -- bare libzmq with CURVE, for programs that show how fast it can be.
 *
 * One process has a ROUTER, the others have DEALERs. The keys are real and of this run; there
 * is no ZAP, so that any client key is admitted and nothing is spent on asking, unless `asks` is
 * set: then each key is asked for, and admitted, as any server must that knows its clients.
 */

#include "bench/measure.h"

#include <semaphore.h>
#include <stdbool.h>
#include <zmq.h>

enum { RAW_ID = 5 }; /* bytes of the name that a ROUTER gives to a connection */

/* Shared by the processes of a program. */
struct raw_shared {
    char server_public[41], server_secret[41];
    char client_public[41], client_secret[41];
    char endpoint[64]; /* known when bound was posted */
    int io_threads;    /* of the server */
    int asks;          /* the server has its keys checked */
    sem_t bound, start, ready;
    int64_t begin, end;
};

/* Make the keys; the rest is zero. */
struct raw_shared *raw_shared_new(int io_threads);

/* A bound ROUTER and all its libzmq in this process. Posts shared->bound. */
void *raw_router(struct raw_shared *shared);

/* A libzmq context for n DEALERs, which may be opened once the server is bound. */
void *raw_context(size_t n);
void *raw_dealer(void *context, const struct raw_shared *shared);

/* Wait until the server is bound, however many do so; or take one post of a semaphore. */
void raw_wait_bound(struct raw_shared *shared);
void raw_wait(sem_t *sem);

/* Send or receive one frame, whole, or die. */
void raw_send(void *socket, const void *data, size_t len, int flags);
size_t raw_receive(void *socket, void *data, size_t len);

/* A file in which stands what a ROUTER received, before it is answered. */
struct raw_log {
    int fd;
    int64_t at; /* where the next group goes */
    uint8_t *bytes;
    size_t len, cap; /* of the group */
    size_t next;     /* its next message */
};

void raw_log_open(struct raw_log *log);

/* Receive a message, and all others that are there: a group, with one write and one fdatasync. */
void raw_log_gather(struct raw_log *log, void *router);

/* The next message of the group. Borrowed until the next group. */
bool raw_log_next(struct raw_log *log, const uint8_t **id, const uint8_t **bytes, size_t *len);

/* Say one byte and wait for the answer: afterwards the handshake is done. */
void raw_hello(void *dealer, char kind);

#endif
