/* P14: what a durable put can be over the network. A ROUTER with CURVE appends what it gets to a file
 * full of zeros, with one write and one fdatasync, and answers then. One client calls and waits, each time with
 * --flight records of 64 bytes. */

#include "bench/limits/raw.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ZEROS = 1 << 20 };

struct run {
    struct raw_shared *shared;
    size_t flight, batches;
};

/* As long as all that will be written, so that a flush has nothing to say of the file but its bytes. */
static int open_file(size_t bytes)
{
    static const uint8_t zeros[ZEROS];
    const char *folder = getenv("TMPDIR");
    char path[PATH_MAX];
    int fd = -1;

    snprintf(path, sizeof path, "%s/limit_durable", folder == NULL ? "/tmp" : folder);
    fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
    if (fd < 0)
        bench_die("unable to make %s: %s", path, strerror(errno));
    unlink(path);
    for (size_t at = 0; at < bytes; at += ZEROS)
        if (pwrite(fd, zeros, ZEROS, (off_t)at) != ZEROS)
            bench_die("unable to write %s: %s", path, strerror(errno));
    if (fsync(fd) != 0)
        bench_die("unable to write %s: %s", path, strerror(errno));
    return fd;
}

static void serve(void *arg)
{
    const struct run *run = arg;
    const size_t len = run->flight * BENCH_ITEM;
    int fd = open_file((run->batches + 1) * len);
    void *router = raw_router(run->shared);
    zmq_msg_t id, body;
    off_t at = 0;

    zmq_msg_init(&id);
    zmq_msg_init(&body);
    for (;;) {
        if (zmq_msg_recv(&id, router, 0) < 0 || zmq_msg_recv(&body, router, 0) < 0)
            bench_die("unable to receive: %s", zmq_strerror(errno));
        if (zmq_msg_size(&body) == len) {
            if (pwrite(fd, zmq_msg_data(&body), len, at) != (ssize_t)len || fdatasync(fd) != 0)
                bench_die("unable to write: %s", strerror(errno));
            at += (off_t)len;
        }
        if (zmq_msg_send(&id, router, ZMQ_SNDMORE) < 0 || zmq_send(router, "", 1, 0) < 0)
            bench_die("unable to answer: %s", zmq_strerror(errno));
    }
}

int main(int argc, char **argv)
{
    struct run run = {.flight = (size_t)bench_option(argc, argv, "flight", 1)};
    uint8_t *batch = NULL;
    void *dealer = NULL;
    pid_t server = 0;
    char answer = 0;
    int64_t begin = 0;

    run.batches = (size_t)bench_option(argc, argv, "puts", 2000) / run.flight;
    run.shared = raw_shared_new(1);
    batch = calloc(run.flight, BENCH_ITEM);
    server = bench_fork(serve, &run);
    raw_wait_bound(run.shared);
    dealer = raw_dealer(raw_context(1), run.shared);
    raw_hello(dealer, 'H');
    begin = bench_now();
    for (size_t i = 0; i < run.batches; i++) {
        for (size_t j = 0; j < run.flight; j++)
            bench_number(batch + j * BENCH_ITEM, i * run.flight + j);
        raw_send(dealer, batch, run.flight * BENCH_ITEM, 0);
        raw_receive(dealer, &answer, sizeof answer);
    }
    bench_figure("puts_per_s",
                 (double)(run.batches * run.flight) * 1e9 / (double)(bench_now() - begin));
    bench_kill(server);
    free(batch);
    return 0;
}
