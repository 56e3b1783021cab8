#include "common/net/knock.h"

#include <errno.h>
#include <stdlib.h>

/* The greeting of ZMTP: a signature, the version, the name of the mechanism, zeros. */
enum { GREETING = 64, VERSION_AT = 10, MECHANISM_AT = 12, MECHANISM = 20 };

static const uint8_t mechanism[MECHANISM] = "CURVE";

struct rv_knock {
    void *stream;
    void *monitor;
    uint8_t heard[GREETING];
    size_t len;
    bool said;
    bool ended;
    struct rv_frames frames;
};

struct rv_knock *rv_knock_open(const char *endpoint)
{
    struct rv_knock *k = calloc(1, sizeof *k);
    void *context = rv_net_context(0);
    int number = errno;

    if (k == NULL)
        return NULL;
    if (context != NULL)
        k->stream = zmq_socket(context, ZMQ_STREAM);
    if (k->stream != NULL && rv_zmq_set(k->stream, ZMQ_LINGER, 0) &&
        rv_zmq_set(k->stream, ZMQ_IPV6, 1) && rv_zmq_set(k->stream, ZMQ_RECONNECT_IVL, -1) &&
        rv_zmq_set(k->stream, ZMQ_RCVHWM, GREETING))
        k->monitor = rv_monitor_open(k->stream, ZMQ_EVENT_DISCONNECTED | ZMQ_EVENT_CLOSED |
                                                    ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL);
    if (k->monitor != NULL && zmq_connect(k->stream, endpoint) == 0)
        return k;
    number = errno;
    rv_knock_close(&k);
    errno = number;
    return NULL;
}

void rv_knock_close(struct rv_knock **knock)
{
    struct rv_knock *k = *knock;

    if (k == NULL)
        return;
    rv_frames_free(&k->frames);
    rv_monitor_close(&k->monitor, k->stream);
    rv_zmq_close(&k->stream);
    free(k);
    *knock = NULL;
}

void rv_knock_abandon(struct rv_knock **knock)
{
    free(*knock);
    *knock = NULL;
}

void rv_knock_fds(const struct rv_knock *knock, int fds[2])
{
    fds[0] = rv_zmq_fd(knock->stream);
    fds[1] = rv_zmq_fd(knock->monitor);
}

static void greet(struct rv_knock *k, struct rv_slice peer)
{
    uint8_t greeting[GREETING] = {0xff, [9] = 0x7f, [VERSION_AT] = 3};

    memcpy(greeting + MECHANISM_AT, mechanism, sizeof mechanism);
    k->said = true;
    if (rv_frames_send(k->stream, peer, rv_slice(greeting, sizeof greeting), NULL, 0) !=
        RV_NET_SENT)
        k->ended = true;
}

/* libzmq's signature has a 0 or a 1 before its last byte, as it pleases. */
static bool is_curve(const uint8_t heard[GREETING])
{
    return heard[0] == 0xff && heard[9] == 0x7f && heard[VERSION_AT] >= 3 &&
           memcmp(heard + MECHANISM_AT, mechanism, sizeof mechanism) == 0;
}

static void hear(struct rv_knock *k, struct rv_slice bytes)
{
    size_t room = sizeof k->heard - k->len;
    size_t len = bytes.len < room ? bytes.len : room;

    if (len > 0)
        memcpy(k->heard + k->len, bytes.data, len);
    k->len += len;
}

/* A STREAM gives frames in pairs: which connection, and bytes; none when it begins and ends. */
enum rv_knock_answer rv_knock_answer(struct rv_knock *k)
{
    unsigned event = 0;
    uint32_t value = 0;

    while (rv_monitor_next(k->monitor, &event, &value))
        k->ended = true;
    while (k->len < GREETING && rv_frames_receive(&k->frames, k->stream, 2)) {
        if (k->frames.len < 2)
            continue;
        if (!k->said)
            greet(k, rv_frames_slice(&k->frames, 0));
        hear(k, rv_frames_slice(&k->frames, 1));
    }
    if (k->ended || (k->len == GREETING && !is_curve(k->heard)))
        return RV_KNOCK_OTHER;
    return k->len == GREETING ? RV_KNOCK_CURVE : RV_KNOCK_NONE;
}
