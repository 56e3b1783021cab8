/* P4: items of 1 MiB from a producer through a ROUTER to a consumer with CURVE, a few of them in
 * flight; as frames of 256 KiB, and as one frame. The better of the two is the limit. */

#include "bench/limits/raw.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { ITEM = 1024 * 1024 };

struct run {
    struct raw_shared *shared;
    size_t items, in_flight, frame;
};

static void receive(void *socket, zmq_msg_t *frame)
{
    if (zmq_msg_recv(frame, socket, 0) < 0)
        bench_die("unable to receive: %s", zmq_strerror(errno));
}

/* Both say who they are by their first byte; then what comes from one goes to the other. */
static void forward(void *arg)
{
    const struct run *run = arg;
    void *router = raw_router(run->shared);
    uint8_t id[RAW_ID], producer[RAW_ID] = {0}, consumer[RAW_ID] = {0};
    zmq_msg_t frame;

    zmq_msg_init(&frame);
    for (size_t hellos = 0; hellos < 2; hellos++) {
        char kind = 0;
        raw_receive(router, id, sizeof id);
        raw_receive(router, &kind, 1);
        memcpy(kind == 'P' ? producer : consumer, id, RAW_ID);
    }
    raw_send(router, producer, RAW_ID, ZMQ_SNDMORE);
    raw_send(router, "", 1, 0);
    for (;;) {
        raw_receive(router, id, sizeof id);
        receive(router, &frame);
        raw_send(router, memcmp(id, producer, RAW_ID) == 0 ? consumer : producer, RAW_ID,
                 ZMQ_SNDMORE);
        if (zmq_msg_send(&frame, router, 0) < 0)
            bench_die("unable to send: %s", zmq_strerror(errno));
    }
}

/* The item is the caller's again when this returns, so it is copied. */
static void put(void *dealer, const uint8_t *item, size_t frame_len)
{
    for (size_t at = 0; at < ITEM; at += frame_len) {
        zmq_msg_t frame;
        if (zmq_msg_init_size(&frame, frame_len) != 0)
            bench_die("out of memory");
        memcpy(zmq_msg_data(&frame), item + at, frame_len);
        if (zmq_msg_send(&frame, dealer, 0) < 0)
            bench_die("unable to send: %s", zmq_strerror(errno));
    }
}

static void produce(void *arg)
{
    const struct run *run = arg;
    uint8_t *item = malloc(ITEM);
    size_t in_flight = 0;
    char done = 0;
    void *dealer = NULL;

    if (item == NULL)
        bench_die("out of memory");
    memset(item, 'x', ITEM);
    raw_wait_bound(run->shared);
    dealer = raw_dealer(raw_context(1), run->shared);
    raw_hello(dealer, 'P');
    run->shared->begin = bench_now();
    for (size_t i = 0; i < run->items; i++) {
        for (; in_flight >= run->in_flight; in_flight--)
            raw_receive(dealer, &done, 1);
        bench_number(item, i);
        put(dealer, item, run->frame);
        in_flight++;
    }
    for (;;) /* until the consumer has all and we are killed */
        raw_receive(dealer, &done, 1);
}

/* The item in one piece: the frame itself when it is whole. Borrowed until the next call. */
static const uint8_t *take(void *dealer, zmq_msg_t *frame, uint8_t *item, size_t frame_len)
{
    for (size_t at = 0; at < ITEM; at += frame_len) {
        receive(dealer, frame);
        if (zmq_msg_size(frame) != frame_len)
            bench_die("a frame of %zu bytes", zmq_msg_size(frame));
        if (frame_len < ITEM)
            memcpy(item + at, zmq_msg_data(frame), frame_len);
    }
    return frame_len < ITEM ? item : zmq_msg_data(frame);
}

static void consume(void *arg)
{
    const struct run *run = arg;
    uint8_t *item = malloc(ITEM);
    zmq_msg_t frame;
    void *dealer = NULL;

    if (item == NULL)
        bench_die("out of memory");
    raw_wait_bound(run->shared);
    dealer = raw_dealer(raw_context(1), run->shared);
    raw_send(dealer, "C", 1, 0);
    zmq_msg_init(&frame);
    for (size_t i = 0; i < run->items; i++) {
        bench_check_number(take(dealer, &frame, item, run->frame), i);
        raw_send(dealer, "D", 1, 0);
    }
    run->shared->end = bench_now();
}

static double megabytes_per_s(struct run run, size_t frame, int io_threads)
{
    run.frame = frame;
    run.shared = raw_shared_new(io_threads);

    const pid_t server = bench_fork(forward, &run);
    const pid_t consumer = bench_fork(consume, &run);
    const pid_t producer = bench_fork(produce, &run);

    bench_join(consumer);
    bench_kill(producer);
    bench_kill(server);
    return (double)run.items * ITEM * 1e3 / (double)(run.shared->end - run.shared->begin);
}

int main(int argc, char **argv)
{
    const struct run run = {
        .items = (size_t)bench_option(argc, argv, "items", 400),
        .in_flight = (size_t)bench_option(argc, argv, "flight", 4),
    };
    const int io_threads = (int)bench_option(argc, argv, "io", 1);
    const double fragments = megabytes_per_s(run, ITEM / 4, io_threads);
    const double whole = megabytes_per_s(run, ITEM, io_threads);

    bench_figure("fragments_mb_per_s", fragments);
    bench_figure("whole_mb_per_s", whole);
    bench_figure("mb_per_s", fragments > whole ? fragments : whole);
    return 0;
}
