#include "common/net/zap.h"

#include "common/net/net_util.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define ZAP_ENDPOINT "inproc://zeromq.zap.01"

enum { VERSION, REQUEST, DOMAIN, ADDRESS, IDENTITY, MECHANISM, CREDENTIALS, QUESTION_FRAMES };

struct rv_zap {
    void *socket; /* the thread's while it runs */
    int stop_fd;
    bool running;
    pthread_t thread;
    uint64_t serial; /* of admissions; the thread's */

    bool ipc_same_uid;
    uint32_t ipc_principal;

    pthread_mutex_t lock;
    struct rv_net_key *keys; /* sorted by key; under the lock, as is the length */
    size_t keys_len;
};

/* ---- the table ---- */

static int compare_keys(const void *a, const void *b)
{
    const struct rv_net_key *x = a;
    const struct rv_net_key *y = b;

    return memcmp(x->key, y->key, sizeof x->key);
}

void rv_zap_admit(struct rv_zap *zap, const struct rv_net_key *keys, size_t len)
{
    struct rv_net_key *table = rv_alloc(len * sizeof *table);
    struct rv_net_key *old = NULL;

    for (size_t i = 0; i < len; i++) {
        rv_assert(keys[i].principal != 0);
        table[i] = keys[i];
    }
    qsort(table, len, sizeof *table, compare_keys);

    pthread_mutex_lock(&zap->lock);
    old = zap->keys;
    zap->keys = table;
    zap->keys_len = len;
    pthread_mutex_unlock(&zap->lock);
    free(old);
}

static bool same_uid(const struct rv_zap *zap, uint32_t uid)
{
    return zap->ipc_same_uid && uid == geteuid();
}

static uint32_t principal_of_key(struct rv_zap *zap, struct rv_slice key)
{
    struct rv_net_key wanted = {.principal = 0};
    const struct rv_net_key *found = NULL;
    uint32_t principal = 0;

    if (key.len != sizeof wanted.key)
        return 0;
    memcpy(wanted.key, key.data, key.len);
    pthread_mutex_lock(&zap->lock);
    if (zap->keys_len > 0)
        found = bsearch(&wanted, zap->keys, zap->keys_len, sizeof *found, compare_keys);
    if (found != NULL)
        principal = found->principal;
    pthread_mutex_unlock(&zap->lock);
    return principal;
}

bool rv_zap_knows(struct rv_zap *zap, uint32_t principal, const char *key, bool local, uint32_t uid)
{
    uint8_t bytes[32];

    if (local && principal == zap->ipc_principal && same_uid(zap, uid))
        return true;
    return principal != 0 && zmq_z85_decode(bytes, key) != NULL &&
           principal_of_key(zap, rv_slice(bytes, sizeof bytes)) == principal;
}

bool rv_zap_local(const char *address, uint32_t *uid, uint32_t *pid)
{
    /* libzmq names a peer on ipc by what the kernel says of it. A tcp peer's address is in
     * numbers, so it can't look like this. */
    return sscanf(address, "localhost:%" SCNu32 ":%*u:%" SCNu32, uid, pid) == 2;
}

/* ---- the answers ---- */

static uint32_t admit(struct rv_zap *zap, struct rv_frames *question)
{
    struct rv_slice address = rv_frames_slice(question, ADDRESS);
    uint32_t principal = 0;
    uint32_t uid = 0;
    uint32_t pid = 0;
    char text[64];

    if (question->over || question->len != QUESTION_FRAMES ||
        !rv_slice_equal(rv_frames_slice(question, DOMAIN), rv_slice_str(RV_ZAP_DOMAIN)) ||
        !rv_slice_equal(rv_frames_slice(question, MECHANISM), rv_slice_str("CURVE")))
        return 0;
    principal = principal_of_key(zap, rv_frames_slice(question, CREDENTIALS));
    if (principal != 0)
        return principal;
    snprintf(text, sizeof text, "%.*s", (int)address.len, (const char *)address.data);
    if (rv_zap_local(text, &uid, &pid) && same_uid(zap, uid))
        return zap->ipc_principal;
    return 0;
}

static void answer(struct rv_zap *zap, struct rv_frames *question)
{
    uint32_t principal = admit(zap, question);
    struct rv_slice key = rv_frames_slice(question, CREDENTIALS);
    char text[41] = ""; /* Z85 of 32 bytes */
    char user[RV_ZAP_USER] = "";
    struct rv_slice rest[5];

    if (question->len <= REQUEST)
        return;
    /* Our answer always carries a User-Id: without one, whatever the peer calls itself would be
     * reported as the User-Id. The serial makes it different for each connection; the key is there
     * to look whether it is still good. */
    if (principal != 0 && key.len == 32 && zmq_z85_encode(text, key.data, key.len) != NULL)
        snprintf(user, sizeof user, "%" PRIu32 "/%" PRIu64 "/%s", principal, ++zap->serial, text);
    rest[0] = rv_frames_slice(question, REQUEST);
    rest[1] = rv_slice_str(user[0] != '\0' ? "200" : "400");
    rest[2] = rv_slice_str(user[0] != '\0' ? "OK" : "unknown key");
    rest[3] = rv_slice_str(user);
    rest[4] = rv_slice_str("");
    rv_frames_send(zap->socket, rv_slice(NULL, 0), rv_slice_str("1.0"), rest, rv_countof(rest));
}

static void *run(void *arg)
{
    struct rv_zap *zap = arg;
    struct rv_frames question = {.len = 0};
    zmq_pollitem_t items[] = {
        {.socket = zap->socket, .events = ZMQ_POLLIN},
        {.fd = zap->stop_fd, .events = ZMQ_POLLIN},
    };

    while (items[1].revents == 0) {
        if (zmq_poll(items, rv_countof(items), -1) < 0)
            continue;
        while (rv_frames_receive(&question, zap->socket, QUESTION_FRAMES))
            answer(zap, &question);
    }
    rv_frames_free(&question);
    return NULL;
}

/* ---- its life ---- */

static bool start(struct rv_zap *zap)
{
    sigset_t all;
    sigset_t old;

    /* Signals are for the program's own threads. */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    zap->running = pthread_create(&zap->thread, NULL, run, zap) == 0;
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    return zap->running;
}

reeve_err rv_zap_open(struct rv_zap **out, bool ipc_same_uid, uint32_t ipc_principal, char *why)
{
    struct rv_zap *zap = rv_alloc(sizeof *zap);
    reeve_err err = REEVE_ESYS;

    *out = NULL;
    *zap = (struct rv_zap){.stop_fd = eventfd(0, EFD_CLOEXEC),
                           .ipc_same_uid = ipc_same_uid,
                           .ipc_principal = ipc_principal,
                           .lock = PTHREAD_MUTEX_INITIALIZER};
    zap->socket = zmq_socket(rv_net_context(0), ZMQ_REP);
    if (zap->stop_fd < 0 || zap->socket == NULL || !rv_zmq_set(zap->socket, ZMQ_LINGER, 0)) {
        err = rv_zmq_why(why, "start", "the key check");
        goto fail;
    }
    if (zmq_bind(zap->socket, ZAP_ENDPOINT) != 0) {
        err = rv_why(why, RV_NET_WHY, REEVE_ESYS,
                     "unable to start the key check: this process has a manager already");
        goto fail;
    }
    if (!start(zap)) {
        err = rv_why(why, RV_NET_WHY, REEVE_ESYS, "unable to start the key check: no thread");
        goto fail;
    }
    *out = zap;
    return REEVE_OK;

fail:
    rv_zap_close(&zap);
    return err;
}

void rv_zap_close(struct rv_zap **zap)
{
    struct rv_zap *z = *zap;
    const uint64_t one = 1;

    if (z == NULL)
        return;
    if (z->running) {
        rv_assert(write(z->stop_fd, &one, sizeof one) == (ssize_t)sizeof one);
        pthread_join(z->thread, NULL);
    }
    if (z->socket != NULL)
        zmq_unbind(z->socket, ZAP_ENDPOINT); /* gives the name back at once */
    rv_zmq_close(&z->socket);
    if (z->stop_fd >= 0)
        close(z->stop_fd);
    pthread_mutex_destroy(&z->lock);
    free(z->keys);
    free(z);
    *zap = NULL;
}
