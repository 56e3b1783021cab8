#ifndef RV_NET_UTIL_H
#define RV_NET_UTIL_H

/*
 * net_util.h -- what the manager's side and the client's side of net share: the one libzmq
 * context, frames, monitors. For the files of common/net only.
 */

#include "common/net/net.h"

#include <zmq.h>

enum {
    RV_NET_WHY = 256,
    RV_HANDSHAKE_MS = 3000,
    RV_FRAMES_MAX = 2 + RV_BODIES_MAX, /* connection id, control, bodies */
    RV_WIRE_MAX = RV_FRAME_MAX + 64,   /* a frame with what CURVE puts around it */
    RV_SEND_MAX = 1000,                /* messages a peer may be behind before it is BUSY */
    RV_RECEIVE_MAX = 4096,             /* messages of one peer that wait for us */
};

/* Say why and return err, so that a failure is one line. */
reeve_err rv_why(char *why, size_t size, reeve_err err, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* A failed libzmq call: "unable to VERB OBJECT: reason", from errno. */
reeve_err rv_zmq_why(char *why, const char *verb, const char *object);

/*
 * The context of this process, made by whoever comes first and never ended: ending it would
 * close libsodium's source of chance under everybody else, and could wait for ever. NULL with
 * errno set when libzmq has none. io_threads counts only for the first socket of the process.
 */
void *rv_net_context(unsigned io_threads);

/* A conf's handshake_ms as libzmq takes it. */
static inline int rv_handshake_ms(uint32_t ms)
{
    const uint32_t most = 3600 * 1000;

    return ms == 0 ? RV_HANDSHAKE_MS : (int)(ms < most ? ms : most);
}

bool rv_zmq_set(void *socket, int option, int value);

/* Close *socket and forget it. Safe on NULL. */
void rv_zmq_close(void **socket);

/* The descriptor that wakes a sleeper when the socket has something to do. */
int rv_zmq_fd(void *socket);

/* Is there a message? After a no, the descriptor tells of the next one. */
bool rv_zmq_readable(void *socket);

/* ---- frames ---- */

/* One message as libzmq lends it. Zero-initialised is empty and valid. */
struct rv_frames {
    zmq_msg_t frames[RV_FRAMES_MAX];
    size_t len;
    bool over; /* it had more frames, or larger ones, than any of ours; the rest is dropped */
};

/* Give back the old message and take the next one whole. False when there is none. */
bool rv_frames_receive(struct rv_frames *f, void *socket, size_t max);
void rv_frames_free(struct rv_frames *f);

static inline struct rv_slice rv_frames_slice(struct rv_frames *f, size_t i)
{
    return rv_slice(zmq_msg_data(&f->frames[i]), zmq_msg_size(&f->frames[i]));
}

/* Copy the slices into frames and send them as one message, never blocking. id is the
 * connection on a ROUTER and empty on a DEALER. */
enum rv_net_result rv_frames_send(void *socket, struct rv_slice id, struct rv_slice control,
                                  const struct rv_slice *bodies, size_t bodies_len);

/* ---- monitors ---- */

/* What a socket tells of its connections. NULL with errno set on failure. */
void *rv_monitor_open(void *socket, int events);
bool rv_monitor_next(void *monitor, unsigned *event, uint32_t *value);
void rv_monitor_close(void **monitor, void *socket);

#endif
