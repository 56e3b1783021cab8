#include "common/net/net_util.h"

#include <errno.h>
#include <sched.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sodium.h>
#include <time.h>
#include <unistd.h>

/* ---- the clock, chance ---- */

static rv_ns read_clock(clockid_t clock)
{
    struct timespec t;

    rv_assert(clock_gettime(clock, &t) == 0);
    return (rv_ns)t.tv_sec * RV_SEC + t.tv_nsec;
}

rv_ns rv_clock_now(void)
{
    return read_clock(CLOCK_MONOTONIC);
}

rv_ns rv_clock_wall(void)
{
    return read_clock(CLOCK_REALTIME);
}

void rv_random_bytes(void *out, size_t len)
{
    /* Safe from any thread and more than once. */
    rv_assert(sodium_init() >= 0);
    randombytes_buf(out, len);
}

/* ---- words ---- */

reeve_err rv_why(char *why, size_t size, reeve_err err, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(why, size, format, args);
    va_end(args);
    return err;
}

static reeve_err error_from_errno(int number)
{
    switch (number) {
    case ENOMEM:
        return REEVE_ENOMEM;
    case EINVAL:
    case EPROTONOSUPPORT:
    case ENOCOMPATPROTO:
    case ENAMETOOLONG:
        return REEVE_EINVAL;
    case EMFILE:
    case ENFILE:
        return REEVE_ELIMIT;
    default:
        return REEVE_ESYS;
    }
}

reeve_err rv_zmq_why(char *why, const char *verb, const char *object)
{
    int number = errno;

    return rv_why(why, RV_NET_WHY, error_from_errno(number), "unable to %s %.150s: %s", verb,
                  object, zmq_strerror(number));
}

/* ---- the context ---- */

static _Atomic pid_t context_lock; /* the process inside, or 0 */
static pid_t context_owner;        /* which process made it; both under the lock */
static void *context;

/* Not a mutex, because a fork may happen while another thread holds it: then the child sees
 * its parent's pid, knows that the holder does not exist here, and takes over. */
static void lock_context(pid_t self)
{
    for (;;) {
        pid_t holder = 0;

        if (atomic_compare_exchange_strong(&context_lock, &holder, self))
            return;
        if (holder != self && atomic_compare_exchange_strong(&context_lock, &holder, self))
            return;
        sched_yield();
    }
}

void *rv_net_context(unsigned io_threads)
{
    pid_t self = getpid();
    void *mine = NULL;
    int number = 0;

    lock_context(self);
    /* After a fork the parent's sockets and threads are not ours: the child starts afresh. */
    if (context == NULL || context_owner != self) {
        context = zmq_ctx_new();
        number = errno;
        context_owner = self;
        if (context != NULL) {
            zmq_ctx_set(context, ZMQ_IO_THREADS, io_threads == 0 ? 1 : (int)io_threads);
            zmq_ctx_set(context, ZMQ_MAX_SOCKETS, 16384);
        }
    }
    mine = context;
    atomic_store(&context_lock, 0);
    errno = number;
    return mine;
}

/* ---- sockets ---- */

bool rv_zmq_set(void *socket, int option, int value)
{
    return zmq_setsockopt(socket, option, &value, sizeof value) == 0;
}

void rv_zmq_close(void **socket)
{
    if (*socket != NULL)
        zmq_close(*socket);
    *socket = NULL;
}

int rv_zmq_fd(void *socket)
{
    int fd = -1;
    size_t len = sizeof fd;

    return zmq_getsockopt(socket, ZMQ_FD, &fd, &len) == 0 ? fd : -1;
}

bool rv_zmq_readable(void *socket)
{
    int events = 0;
    size_t len = sizeof events;
    int rc = 0;

    do
        rc = zmq_getsockopt(socket, ZMQ_EVENTS, &events, &len);
    while (rc != 0 && errno == EINTR);
    return rc == 0 && (events & ZMQ_POLLIN) != 0;
}

/* ---- frames ---- */

void rv_frames_free(struct rv_frames *f)
{
    for (size_t i = 0; i < f->len; i++)
        zmq_msg_close(&f->frames[i]);
    f->len = 0;
    f->over = false;
}

static bool receive_frame(zmq_msg_t *frame, void *socket)
{
    int rc = 0;

    zmq_msg_init(frame);
    /* A signal ends the call early even where the program asked for restarts. */
    do
        rc = zmq_msg_recv(frame, socket, ZMQ_DONTWAIT);
    while (rc < 0 && errno == EINTR);
    if (rc < 0)
        zmq_msg_close(frame);
    return rc >= 0;
}

bool rv_frames_receive(struct rv_frames *f, void *socket, size_t max)
{
    bool more = true;

    rv_frames_free(f);
    while (more) {
        zmq_msg_t extra;
        zmq_msg_t *frame = f->len < max ? &f->frames[f->len] : &extra;

        if (!receive_frame(frame, socket)) {
            f->over = f->len > 0;
            break;
        }
        more = zmq_msg_more(frame);
        if (frame == &extra || zmq_msg_size(frame) > RV_FRAME_MAX)
            f->over = true;
        if (frame == &extra)
            zmq_msg_close(frame);
        else
            f->len++;
    }
    return f->len > 0;
}

static bool copy_frame(zmq_msg_t *frame, struct rv_slice bytes)
{
    if (zmq_msg_init_size(frame, bytes.len) != 0)
        return false;
    if (bytes.len > 0)
        memcpy(zmq_msg_data(frame), bytes.data, bytes.len);
    return true;
}

static size_t copy_frames(zmq_msg_t *frames, struct rv_slice id, struct rv_slice control,
                          const struct rv_slice *bodies, size_t bodies_len)
{
    size_t len = 0;

    if (id.len > 0 && copy_frame(&frames[len], id))
        len++;
    if (copy_frame(&frames[len], control))
        len++;
    for (size_t i = 0; i < bodies_len; i++)
        if (copy_frame(&frames[len], bodies[i]))
            len++;
    return len;
}

static bool send_frame(zmq_msg_t *frame, void *socket, bool more)
{
    int rc = 0;

    do
        rc = zmq_msg_send(frame, socket, ZMQ_DONTWAIT | (more ? ZMQ_SNDMORE : 0));
    while (rc < 0 && errno == EINTR);
    return rc >= 0;
}

enum rv_net_result rv_frames_send(void *socket, struct rv_slice id, struct rv_slice control,
                                  const struct rv_slice *bodies, size_t bodies_len)
{
    zmq_msg_t frames[RV_FRAMES_MAX];
    enum rv_net_result result = RV_NET_SENT;
    size_t whole = (id.len > 0 ? 2u : 1u) + bodies_len;
    size_t len = 0;

    rv_assert(bodies_len <= RV_BODIES_MAX);
    len = copy_frames(frames, id, control, bodies, bodies_len);

    /* Everything is copied before the first frame leaves: a lack of memory can't leave half a
     * message behind. Only the first frame can meet a full queue; if a later one is refused the
     * connection has died, and the others are offered all the same, to end the message. */
    if (len < whole)
        result = RV_NET_BUSY;
    else if (!send_frame(&frames[0], socket, whole > 1))
        result = errno == EAGAIN || errno == ENOMEM ? RV_NET_BUSY : RV_NET_GONE;
    else
        for (size_t i = 1; i < whole; i++)
            if (!send_frame(&frames[i], socket, i + 1 < whole))
                result = RV_NET_GONE;

    for (size_t i = 0; i < len; i++)
        zmq_msg_close(&frames[i]);
    return result;
}

/* ---- monitors ---- */

void *rv_monitor_open(void *socket, int events)
{
    static atomic_ulong serial;
    char address[64];
    void *monitor = zmq_socket(rv_net_context(0), ZMQ_PAIR);
    int number = 0;

    if (monitor == NULL)
        return NULL;
    snprintf(address, sizeof address, "inproc://reeve-monitor-%lu", atomic_fetch_add(&serial, 1));
    /* Unlimited: a monitor that is full makes the I/O thread wait, and with it all traffic. */
    if (rv_zmq_set(monitor, ZMQ_RCVHWM, 0) && rv_zmq_set(monitor, ZMQ_LINGER, 0) &&
        zmq_socket_monitor(socket, address, events) == 0 && zmq_connect(monitor, address) == 0) {
        /* A queue signals its descriptor only for a reader that has found it empty once. */
        rv_zmq_readable(monitor);
        return monitor;
    }
    number = errno;
    rv_monitor_close(&monitor, socket);
    errno = number;
    return NULL;
}

bool rv_monitor_next(void *monitor, unsigned *event, uint32_t *value)
{
    struct rv_frames f = {.len = 0};
    uint8_t bytes[6];
    uint16_t kind = 0;

    while (rv_frames_receive(&f, monitor, 2)) {
        if (zmq_msg_size(&f.frames[0]) == sizeof bytes) {
            memcpy(bytes, zmq_msg_data(&f.frames[0]), sizeof bytes);
            memcpy(&kind, bytes, sizeof kind);
            memcpy(value, bytes + 2, sizeof *value);
            *event = kind;
            rv_frames_free(&f);
            return true;
        }
    }
    return false;
}

void rv_monitor_close(void **monitor, void *socket)
{
    /* The events are stopped first, so that nobody writes into a reader that is going away. */
    if (*monitor != NULL && socket != NULL)
        zmq_socket_monitor(socket, NULL, 0);
    rv_zmq_close(monitor);
}
