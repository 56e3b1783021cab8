#include "bench/limits/raw.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

static void set(void *socket, int option, int value)
{
    if (zmq_setsockopt(socket, option, &value, sizeof value) != 0)
        bench_die("unable to set option %d: %s", option, zmq_strerror(errno));
}

static void set_key(void *socket, int option, const char *key)
{
    if (zmq_setsockopt(socket, option, key, 41) != 0)
        bench_die("unable to set key option %d: %s", option, zmq_strerror(errno));
}

static void *open_socket(void *context, int type)
{
    void *socket = zmq_socket(context, type);

    if (socket == NULL)
        bench_die("unable to open a socket: %s", zmq_strerror(errno));
    set(socket, ZMQ_LINGER, 0);
    set(socket, ZMQ_SNDHWM, 0);
    set(socket, ZMQ_RCVHWM, 0);
    return socket;
}

struct raw_shared *raw_shared_new(int io_threads)
{
    struct raw_shared *s = bench_shared(sizeof *s);

    if (zmq_curve_keypair(s->server_public, s->server_secret) != 0 ||
        zmq_curve_keypair(s->client_public, s->client_secret) != 0)
        bench_die("unable to make keys: %s", zmq_strerror(errno));
    s->io_threads = io_threads;
    sem_init(&s->bound, 1, 0);
    sem_init(&s->start, 1, 0);
    sem_init(&s->ready, 1, 0);
    return s;
}

/* Admit every key. A request has version, id, domain, address, identity, mechanism, key. */
static void *admit_all(void *zap)
{
    static const char *const answer[] = {"200", "OK", "1", ""};

    for (;;) {
        char version[16] = "";
        char id[256];
        char rest[512];
        size_t version_len = raw_receive(zap, version, sizeof version);
        size_t id_len = raw_receive(zap, id, sizeof id);
        int more = 1;
        size_t len = sizeof more;

        while (zmq_getsockopt(zap, ZMQ_RCVMORE, &more, &len) == 0 && more)
            raw_receive(zap, rest, sizeof rest);
        raw_send(zap, version, version_len, ZMQ_SNDMORE);
        raw_send(zap, id, id_len, ZMQ_SNDMORE);
        for (size_t i = 0; i < sizeof answer / sizeof answer[0]; i++)
            raw_send(zap, answer[i], strlen(answer[i]), i < 3 ? ZMQ_SNDMORE : 0);
    }
    return NULL;
}

static void check_keys(void *context, void *router)
{
    void *zap = open_socket(context, ZMQ_REP);
    pthread_t thread;

    if (zmq_bind(zap, "inproc://zeromq.zap.01") != 0 ||
        pthread_create(&thread, NULL, admit_all, zap) != 0 ||
        zmq_setsockopt(router, ZMQ_ZAP_DOMAIN, "bench", 5) != 0)
        bench_die("unable to check keys: %s", zmq_strerror(errno));
}

void *raw_router(struct raw_shared *shared)
{
    void *context = zmq_ctx_new();
    void *router = NULL;
    size_t len = sizeof shared->endpoint;

    zmq_ctx_set(context, ZMQ_IO_THREADS, shared->io_threads);
    router = open_socket(context, ZMQ_ROUTER);
    set(router, ZMQ_BACKLOG, 4096);
    set(router, ZMQ_CURVE_SERVER, 1);
    set_key(router, ZMQ_CURVE_SECRETKEY, shared->server_secret);
    if (shared->asks)
        check_keys(context, router);
    if (zmq_bind(router, "tcp://127.0.0.1:*") != 0 ||
        zmq_getsockopt(router, ZMQ_LAST_ENDPOINT, shared->endpoint, &len) != 0)
        bench_die("unable to bind: %s", zmq_strerror(errno));
    sem_post(&shared->bound);
    return router;
}

void *raw_context(size_t n)
{
    void *context = zmq_ctx_new();

    if (zmq_ctx_set(context, ZMQ_MAX_SOCKETS, (int)n + 16) != 0)
        bench_die("unable to have %zu sockets: %s", n, zmq_strerror(errno));
    return context;
}

void *raw_dealer(void *context, const struct raw_shared *shared)
{
    void *dealer = open_socket(context, ZMQ_DEALER);

    set_key(dealer, ZMQ_CURVE_SERVERKEY, shared->server_public);
    set_key(dealer, ZMQ_CURVE_PUBLICKEY, shared->client_public);
    set_key(dealer, ZMQ_CURVE_SECRETKEY, shared->client_secret);
    if (zmq_connect(dealer, shared->endpoint) != 0)
        bench_die("unable to connect to %s: %s", shared->endpoint, zmq_strerror(errno));
    return dealer;
}

void raw_wait(sem_t *sem)
{
    while (sem_wait(sem) != 0)
        if (errno != EINTR)
            bench_die("unable to wait: %s", strerror(errno));
}

void raw_wait_bound(struct raw_shared *shared)
{
    raw_wait(&shared->bound);
    sem_post(&shared->bound);
}

void raw_send(void *socket, const void *data, size_t len, int flags)
{
    if (zmq_send(socket, data, len, flags) < 0)
        bench_die("unable to send: %s", zmq_strerror(errno));
}

size_t raw_receive(void *socket, void *data, size_t len)
{
    const int n = zmq_recv(socket, data, len, 0);

    if (n < 0)
        bench_die("unable to receive: %s", zmq_strerror(errno));
    if ((size_t)n > len)
        bench_die("a frame of %d bytes, %zu expected at most", n, len);
    return (size_t)n;
}

void raw_hello(void *dealer, char kind)
{
    char answer = 0;

    raw_send(dealer, &kind, 1, 0);
    raw_receive(dealer, &answer, 1);
}
