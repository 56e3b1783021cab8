#include "common/net/relay.h"

#include "common/net/net_util.h"
#include "common/wire/wire.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { HEAD = 6, READ_BYTES = 64 * 1024 };

/* ---- messages ---- */

void rv_relay_write(struct rv_buf *out, enum rv_relay_kind kind, struct rv_slice control,
                    const struct rv_slice *bodies, size_t bodies_len)
{
    size_t len = HEAD - 4;

    if (kind == RV_RELAY_MESSAGE)
        len += 4 + control.len;
    for (size_t i = 0; i < bodies_len; i++)
        len += 4 + bodies[i].len;
    rv_write_number(out, len, 4);
    rv_write_number(out, (uint64_t)kind, 1);
    rv_write_number(out, bodies_len, 1);
    if (kind == RV_RELAY_MESSAGE) {
        rv_write_number(out, control.len, 4);
        rv_buf_add(out, control.data, control.len);
    }
    for (size_t i = 0; i < bodies_len; i++) {
        rv_write_number(out, bodies[i].len, 4);
        rv_buf_add(out, bodies[i].data, bodies[i].len);
    }
}

static struct rv_slice read_frame(struct rv_reader *r)
{
    size_t len = (size_t)rv_read_number(r, 4);

    return rv_slice(rv_read(r, len), len);
}

size_t rv_relay_read(struct rv_slice bytes, enum rv_relay_kind *kind, struct rv_net_message *out)
{
    struct rv_reader r = rv_reader(bytes);
    size_t len = (size_t)rv_read_number(&r, 4);

    if (r.bad)
        return 0;
    if (len < HEAD - 4 || len > RV_RELAY_MAX)
        return SIZE_MAX;
    if (bytes.len < 4 + len)
        return 0;
    r = rv_reader(rv_slice(bytes.data + 4, len));
    *kind = (enum rv_relay_kind)rv_read_number(&r, 1);
    *out = (struct rv_net_message){.bodies_len = (size_t)rv_read_number(&r, 1)};
    if (*kind > RV_RELAY_REFUSED || out->bodies_len > RV_BODIES_MAX)
        return SIZE_MAX;
    if (*kind == RV_RELAY_MESSAGE) {
        out->control = read_frame(&r);
        for (size_t i = 0; i < out->bodies_len; i++)
            out->bodies[i] = read_frame(&r);
    }
    return r.bad || r.left > 0 ? SIZE_MAX : 4 + len;
}

/* ---- the task's end ---- */

struct rv_relay {
    int fd;
    int epoll_fd; /* what a sleeper polls: readable, or writable when out waits for that */
    bool ready;
    bool ended;
    enum rv_conn_event end;
    struct rv_buf in;
    size_t used; /* bytes of in that the caller was lent */
    struct rv_buf out;
};

void rv_relay_close(struct rv_relay **relay)
{
    struct rv_relay *r = *relay;

    if (r == NULL)
        return;
    if (r->fd >= 0)
        close(r->fd);
    if (r->epoll_fd >= 0)
        close(r->epoll_fd);
    rv_buf_free(&r->in);
    rv_buf_free(&r->out);
    free(r);
    *relay = NULL;
}

static bool want(const struct rv_relay *r, uint32_t events, int op)
{
    struct epoll_event event = {.events = events};

    return epoll_ctl(r->epoll_fd, op, r->fd, &event) == 0;
}

reeve_err rv_relay_open(struct rv_relay **out, const struct rv_conn_conf *conf, char *why)
{
    const char *path = conf->endpoint + strlen(RV_RELAY_SCHEME);
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    struct rv_relay *r = NULL;

    *out = NULL;
    if (strlen(path) >= sizeof to.sun_path)
        return rv_why(why, RV_NET_WHY, REEVE_EINVAL, "unable to connect to %.150s: too long",
                      conf->endpoint);
    memcpy(to.sun_path, path, strlen(path) + 1);
    r = malloc(sizeof *r);
    if (r == NULL)
        return rv_why(why, RV_NET_WHY, REEVE_ENOMEM, "unable to connect: out of memory");
    *r = (struct rv_relay){.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0),
                           .epoll_fd = epoll_create1(EPOLL_CLOEXEC)};
    if (r->fd < 0 || r->epoll_fd < 0 ||
        connect(r->fd, (const struct sockaddr *)&to, sizeof to) != 0 ||
        send(r->fd, &conf->session, RV_RELAY_ID, MSG_NOSIGNAL) != RV_RELAY_ID ||
        !want(r, EPOLLIN, EPOLL_CTL_ADD)) {
        (void)rv_why(why, RV_NET_WHY, REEVE_ESYS, "unable to connect to %.150s: %s", conf->endpoint,
                     strerror(errno));
        rv_relay_close(&r);
        return REEVE_ESYS;
    }
    *out = r;
    return REEVE_OK;
}

int rv_relay_fd(const struct rv_relay *r)
{
    return r->epoll_fd;
}

static void end(struct rv_relay *r, enum rv_conn_event event)
{
    if (!r->ended)
        r->end = event;
    r->ended = true;
}

static void flush(struct rv_relay *r)
{
    size_t before = r->out.len;

    while (r->out.len > 0 && !r->ended) {
        ssize_t sent = send(r->fd, r->out.data, r->out.len, MSG_NOSIGNAL);

        if (sent < 0 && errno == EINTR)
            continue;
        if (sent < 0 && errno != EAGAIN)
            end(r, RV_CONN_LOST);
        if (sent < 0)
            break;
        rv_buf_drop(&r->out, (size_t)sent);
    }
    if (before > 0 && r->out.len == 0)
        (void)want(r, EPOLLIN, EPOLL_CTL_MOD);
}

/* Take what lies in the socket; false when there was nothing. */
static bool take_in(struct rv_relay *r)
{
    uint8_t *room = rv_buf_room(&r->in, READ_BYTES);
    ssize_t len = -1;

    if (room == NULL) {
        end(r, RV_CONN_LOST);
        return false;
    }
    while ((len = recv(r->fd, room, READ_BYTES, 0)) < 0 && errno == EINTR) {
    }
    if (len == 0 || (len < 0 && errno != EAGAIN))
        end(r, RV_CONN_LOST);
    r->in.len += len > 0 ? (size_t)len : 0;
    return len > 0;
}

/* What came before the end is heard before the end. */
enum rv_conn_event rv_relay_receive(struct rv_relay *r, struct rv_net_message *out)
{
    flush(r);
    rv_buf_drop(&r->in, r->used);
    r->used = 0;
    for (;;) {
        enum rv_relay_kind kind = RV_RELAY_LOST;
        size_t used = rv_relay_read(rv_buf_slice(&r->in), &kind, out);

        if (used == 0) {
            if (!r->ended && take_in(r))
                continue;
            return r->ended ? r->end : RV_CONN_NONE;
        }
        if (used == SIZE_MAX) {
            end(r, RV_CONN_LOST);
            return r->end;
        }
        r->used = used;
        if (kind == RV_RELAY_MESSAGE)
            return RV_CONN_MESSAGE;
        rv_buf_drop(&r->in, r->used);
        r->used = 0;
        if (kind == RV_RELAY_READY && !r->ready) {
            r->ready = true;
            return RV_CONN_READY;
        }
        end(r, kind == RV_RELAY_REFUSED ? RV_CONN_REFUSED : RV_CONN_LOST);
    }
}

enum rv_net_result rv_relay_send(struct rv_relay *r, struct rv_slice control,
                                 const struct rv_slice *bodies, size_t bodies_len)
{
    flush(r);
    if (r->ended)
        return RV_NET_GONE;
    if (!r->ready || r->out.len > 0)
        return RV_NET_BUSY;
    rv_relay_write(&r->out, RV_RELAY_MESSAGE, control, bodies, bodies_len);
    if (r->out.bad) {
        end(r, RV_CONN_LOST);
        return RV_NET_GONE;
    }
    flush(r);
    if (r->out.len > 0)
        (void)want(r, EPOLLIN | EPOLLOUT, EPOLL_CTL_MOD);
    return RV_NET_SENT;
}
