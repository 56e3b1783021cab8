/* P3: tasks through a ROUTER with CURVE to two workers and back. A frame has --chunk tasks, and a
 * worker is given --credit frames ahead. Its no-op answers with what came.
 *
 *     client                      broker                      worker
 *        | 'P' u64...  -----------> |                            |
 *        |                          |  <---------------- 'C' ... |  ready, or a frame of results
 *        |                          |  u64... ------------------>|
 *        | <--------------- u64 ... |                            |
 */

#include "bench/limits/raw.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { WORKERS = 2, CHUNK_MAX = 4096, PUT_ITEMS = 1024 };

struct conf {
    struct raw_shared *shared;
    size_t items, chunk, credit;
    bool sync; /* nothing is dealt or answered before what it needs is on the disk */
};

struct broker {
    void *router;
    uint64_t *tasks;
    size_t put, dealt;
    uint8_t client[RAW_ID], worker[WORKERS][RAW_ID];
    size_t credit[WORKERS], workers;
};

static void deal(struct broker *b, const struct conf *conf)
{
    for (size_t w = 0; w < b->workers; w++)
        while (b->credit[w] > 0 && b->dealt < b->put) {
            size_t n = b->put - b->dealt < conf->chunk ? b->put - b->dealt : conf->chunk;

            raw_send(b->router, b->worker[w], RAW_ID, ZMQ_SNDMORE);
            raw_send(b->router, b->tasks + b->dealt, n * sizeof *b->tasks, 0);
            b->dealt += n;
            b->credit[w]--;
        }
}

static void on_worker(struct broker *b, const struct conf *conf, const uint8_t *id,
                      const uint8_t *bytes, size_t len)
{
    size_t w = 0;

    while (w < b->workers && memcmp(b->worker[w], id, RAW_ID) != 0)
        w++;
    if (w == b->workers) {
        memcpy(b->worker[b->workers++], id, RAW_ID);
        b->credit[w] = conf->credit;
        return;
    }
    b->credit[w]++;
    raw_send(b->router, b->client, RAW_ID, ZMQ_SNDMORE);
    raw_send(b->router, bytes, len, 0);
}

static void hear(struct broker *b, const struct conf *conf, const uint8_t *id, const uint8_t *bytes,
                 size_t len)
{
    if (bytes[0] != 'P') {
        on_worker(b, conf, id, bytes + 1, len - 1);
        return;
    }
    memcpy(b->client, id, RAW_ID);
    memcpy(b->tasks + b->put, bytes + 1, len - 1);
    b->put += (len - 1) / sizeof *b->tasks;
}

static void serve_logged(struct broker *b, const struct conf *conf)
{
    struct raw_log log;
    const uint8_t *id = NULL;
    const uint8_t *bytes = NULL;
    size_t len = 0;

    raw_log_open(&log);
    for (;;) {
        raw_log_gather(&log, b->router);
        while (raw_log_next(&log, &id, &bytes, &len))
            hear(b, conf, id, bytes, len);
        deal(b, conf);
    }
}

static void serve(void *arg)
{
    const struct conf *conf = arg;
    struct broker b = {.router = raw_router(conf->shared)};
    uint8_t id[RAW_ID];
    zmq_msg_t frame;

    b.tasks = malloc(conf->items * sizeof *b.tasks);
    if (b.tasks == NULL)
        bench_die("no memory");
    if (conf->sync)
        serve_logged(&b, conf);
    zmq_msg_init(&frame);
    for (;;) {
        raw_receive(b.router, id, sizeof id);
        if (zmq_msg_recv(&frame, b.router, 0) < 1)
            bench_die("unable to receive: %s", zmq_strerror(errno));
        hear(&b, conf, id, zmq_msg_data(&frame), zmq_msg_size(&frame));
        deal(&b, conf);
    }
}

static void work(void *arg)
{
    const struct conf *conf = arg;
    static uint8_t frame[1 + CHUNK_MAX * sizeof(uint64_t)] = {'C'};
    void *dealer = NULL;

    raw_wait_bound(conf->shared);
    dealer = raw_dealer(raw_context(1), conf->shared);
    raw_send(dealer, "C", 1, 0);
    sem_post(&conf->shared->ready);
    for (;;) {
        size_t len = raw_receive(dealer, frame + 1, sizeof frame - 1);

        raw_send(dealer, frame, 1 + len, 0);
    }
}

static void give(void *dealer, size_t items)
{
    static uint8_t frame[1 + PUT_ITEMS * sizeof(uint64_t)] = {'P'};

    for (uint64_t i = 0; i < items;) {
        size_t n = 0;

        for (; n < PUT_ITEMS && i < items; n++, i++)
            memcpy(frame + 1 + n * sizeof i, &i, sizeof i);
        raw_send(dealer, frame, 1 + n * sizeof i, 0);
    }
}

static void collect(void *dealer, size_t items)
{
    static uint64_t results[CHUNK_MAX];
    uint8_t *done = calloc(1, items);

    if (done == NULL)
        bench_die("no memory");
    for (size_t got = 0; got < items;) {
        size_t n = raw_receive(dealer, results, sizeof results) / sizeof results[0];

        for (size_t i = 0; i < n; i++)
            if (results[i] >= items || done[results[i]]++ != 0)
                bench_die("a result is wrong");
        got += n;
    }
    free(done);
}

int main(int argc, char **argv)
{
    struct conf conf = {
        .items = (size_t)bench_option(argc, argv, "items", 200000),
        .chunk = (size_t)bench_option(argc, argv, "chunk", 1),
        .credit = (size_t)bench_option(argc, argv, "credit", 16),
        .sync = bench_option(argc, argv, "sync", 0) != 0,
        .shared = raw_shared_new((int)bench_option(argc, argv, "io", 1)),
    };
    void *dealer = NULL;
    int64_t begin = 0;
    pid_t pids[1 + WORKERS];

    if (conf.chunk < 1 || conf.chunk > CHUNK_MAX)
        bench_die("--chunk is 1 to %d", CHUNK_MAX);
    pids[0] = bench_fork(serve, &conf);
    for (int w = 1; w <= WORKERS; w++)
        pids[w] = bench_fork(work, &conf);
    for (int w = 1; w <= WORKERS; w++)
        raw_wait(&conf.shared->ready);
    dealer = raw_dealer(raw_context(1), conf.shared);
    begin = bench_now();
    give(dealer, conf.items);
    collect(dealer, conf.items);
    bench_figure("items_per_s", (double)conf.items * 1e9 / (double)(bench_now() - begin));
    for (int i = 0; i <= WORKERS; i++)
        bench_kill(pids[i]);
    return 0;
}
