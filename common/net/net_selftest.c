#include "common/net/net_selftest.h"

#include "common/net/keys.h"
#include "common/net/net_ipc.h"
#include "common/net/net_util.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { PATIENCE_MS = 2000, GREETING_LEN = 64 };

/* What a peer without security says first: the greeting of ZMTP 3.0 with the mechanism NULL, and
 * a READY command as a DEALER. */
static const uint8_t stranger[] =
    "\xff\0\0\0\0\0\0\0\x01\x7f\x03\0NULL\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
    "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
    "\x04\x1c\x05READY\x0bSocket-Type\0\0\0\x06"
    "DEALER";

static int connect_path(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    snprintf(address.sun_path, sizeof address.sun_path, "%.107s", path);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof address) != 0) {
        close(fd);
        return -1;
    }
    return fd;
}

/* "tcp://[::]:7300": libzmq gives a bound endpoint in numbers. */
static int connect_tcp(const char *endpoint)
{
    struct addrinfo hints = {.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV,
                             .ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    char host[128];
    char port[16];
    int fd = -1;

    if (sscanf(endpoint, "tcp://[%127[^]]]:%15[0-9]", host, port) != 2 &&
        sscanf(endpoint, "tcp://%127[^:]:%15[0-9]", host, port) != 2)
        return -1;
    if (getaddrinfo(host, port, &hints, &found) != 0)
        return -1;
    fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd >= 0 && connect(fd, found->ai_addr, found->ai_addrlen) != 0 && errno != EINPROGRESS) {
        close(fd);
        fd = -1;
    }
    freeaddrinfo(found);
    return fd;
}

static bool wait_for(struct pollfd *polls, nfds_t len, rv_ns deadline)
{
    for (;;) {
        rv_ns left = deadline - rv_clock_now();
        int rc = poll(polls, len, left <= 0 ? 0 : (int)(left / RV_MS) + 1);

        if (rc > 0)
            return true;
        if (rc == 0 && left <= 0)
            return false;
    }
}

/* Refused means: our greeting was answered with a greeting at most, and then with the end. */
static reeve_err knock_without_key(const char *endpoint, char *why)
{
    rv_ns deadline = rv_clock_now() + PATIENCE_MS * RV_MS;
    const char *path = rv_ipc_path(endpoint);
    int fd = path != NULL ? connect_path(path) : connect_tcp(endpoint);
    struct pollfd poll = {.fd = fd, .events = POLLOUT};
    uint8_t bytes[4 * GREETING_LEN];
    size_t heard = 0;
    ssize_t got = 0;

    if (fd < 0 || !wait_for(&poll, 1, deadline) ||
        send(fd, stranger, sizeof stranger - 1, MSG_NOSIGNAL) != (ssize_t)sizeof stranger - 1)
        goto unknown;
    poll.events = POLLIN;
    while (heard <= GREETING_LEN && wait_for(&poll, 1, deadline)) {
        got = recv(fd, bytes, sizeof bytes, 0);
        if (got == 0 || (got < 0 && errno == ECONNRESET)) {
            close(fd);
            return REEVE_OK;
        }
        if (got < 0 && errno != EINTR && errno != EAGAIN)
            goto unknown;
        heard += got > 0 ? (size_t)got : 0;
    }
    if (heard > GREETING_LEN) {
        close(fd);
        return rv_why(why, RV_NET_WHY, REEVE_EAUTH,
                      "unable to trust %.150s: it let a peer in without a key", endpoint);
    }

unknown:
    if (fd >= 0)
        close(fd);
    return rv_why(why, RV_NET_WHY, REEVE_ESYS,
                  "unable to check that %.150s refuses peers without a key: no answer", endpoint);
}

static enum rv_conn_event outcome(struct rv_conn *conn, rv_ns deadline)
{
    struct rv_net_message message;
    struct pollfd polls[2];
    int fds[2];
    size_t len = rv_conn_fds(conn, fds);
    enum rv_conn_event event = RV_CONN_NONE;

    for (size_t i = 0; i < len; i++)
        polls[i] = (struct pollfd){.fd = fds[i], .events = POLLIN};
    do
        event = rv_conn_receive(conn, &message);
    while (event == RV_CONN_NONE && wait_for(polls, len, deadline));
    return event;
}

static reeve_err knock_with_random_key(const char *endpoint, const char *public_key, char *why)
{
    struct rv_keyfile key;
    struct rv_conn *conn = NULL;
    enum rv_conn_event event = RV_CONN_NONE;
    reeve_err err = REEVE_OK;

    rv_keys_generate(&key);
    err = rv_conn_open(&conn,
                       &(struct rv_conn_conf){.endpoint = endpoint,
                                              .server_key = public_key,
                                              .public_key = key.public_key,
                                              .secret_key = key.secret_key,
                                              .handshake_ms = PATIENCE_MS},
                       why);
    rv_keys_wipe(&key);
    if (err != REEVE_OK)
        return err;
    event = outcome(conn, rv_clock_now() + PATIENCE_MS * RV_MS);
    rv_conn_close(&conn);
    if (event == RV_CONN_REFUSED)
        return REEVE_OK;
    if (event == RV_CONN_READY)
        return rv_why(why, RV_NET_WHY, REEVE_EAUTH,
                      "unable to trust %.150s: it let an unknown key in", endpoint);
    return rv_why(why, RV_NET_WHY, REEVE_ESYS,
                  "unable to check that %.150s refuses unknown keys: no answer", endpoint);
}

/* In a container there may be IPv6, and no address of it, not even this one. */
static bool has_loopback_6(void)
{
    const struct sockaddr_in6 address = {
        .sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT, .sin6_port = htons(1)};
    int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0); /* connecting sends nothing */
    bool has = fd >= 0 && connect(fd, (const struct sockaddr *)&address, sizeof address) == 0;

    if (fd >= 0)
        close(fd);
    return has;
}

/* Where one knocks at a door that is open on all addresses. [::] is open to IPv4, too. */
static const char *reachable(char out[64], const char *endpoint)
{
    unsigned port = 0;

    if (sscanf(endpoint, "tcp://0.0.0.0:%u", &port) == 1)
        snprintf(out, 64, "tcp://127.0.0.1:%u", port);
    else if (sscanf(endpoint, "tcp://[::]:%u", &port) == 1)
        snprintf(out, 64, has_loopback_6() ? "tcp://[::1]:%u" : "tcp://127.0.0.1:%u", port);
    else
        return endpoint;
    return out;
}

reeve_err rv_selftest(const char *endpoint, const char *public_key, bool keys_count, char *why)
{
    char loopback[64];
    reeve_err err = REEVE_OK;

    endpoint = reachable(loopback, endpoint);
    err = knock_without_key(endpoint, why);

    if (err == REEVE_OK && keys_count)
        err = knock_with_random_key(endpoint, public_key, why);
    return err;
}
