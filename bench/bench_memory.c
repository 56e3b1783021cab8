/* P13: memory of the manager for each of many idle sessions, and the round trip of one more
 * client before and after they came; then memory of a queued 64-byte item. */

#include "bench/harness.h"

#include <semaphore.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    HELPER = 250, /* sessions of one helper process */
    OPENING = 4,  /* helpers that open theirs at the same time */
};

struct sessions {
    sem_t start, ready;
    size_t sessions;
};

static void wait_for(sem_t *sem)
{
    while (sem_wait(sem) != 0)
        continue;
}

/* Hold the sessions until we are killed. */
static void open_many(void *arg)
{
    struct sessions *s = arg;

    wait_for(&s->start);
    for (size_t i = 0; i < s->sessions; i++)
        harness_open();
    sem_post(&s->ready);
    pause();
}

static void call(reeve_context *ctx, const char *before, size_t calls)
{
    int64_t *samples = calloc(calls, sizeof *samples);

    for (size_t i = 0; i < calls; i++) {
        const int64_t begin = bench_now();
        harness_check(reeve_ping(ctx, HARNESS_WAIT_MS), "ping");
        samples[i] = bench_now() - begin;
    }
    bench_latency(before, samples, calls);
    free(samples);
}

static void measure_sessions(size_t sessions, size_t calls)
{
    const size_t helpers_len = (sessions + HELPER - 1) / HELPER;
    struct sessions *shared = bench_shared(helpers_len * sizeof *shared);
    pid_t *helpers = calloc(helpers_len, sizeof *helpers);
    reeve_context *ctx = NULL;
    double before = 0;

    bench_descriptors(sessions);
    harness_start();
    for (size_t i = 0, left = sessions; i < helpers_len; i++) {
        sem_init(&shared[i].start, 1, 0);
        sem_init(&shared[i].ready, 1, 0);
        shared[i].sessions = left < HELPER ? left : HELPER;
        left -= shared[i].sessions;
        helpers[i] = bench_fork(open_many, &shared[i]);
    }

    ctx = harness_open();
    bench_pin(0);
    bench_pin(harness_server());
    call(ctx, "few_", calls);

    before = bench_resident(harness_server());
    for (size_t i = 0; i < helpers_len && i < OPENING; i++)
        sem_post(&shared[i].start);
    for (size_t i = 0; i < helpers_len; i++) {
        wait_for(&shared[i].ready);
        if (i + OPENING < helpers_len)
            sem_post(&shared[i + OPENING].start);
    }
    bench_figure("connection_bytes",
                 (bench_resident(harness_server()) - before) / (double)sessions);
    call(ctx, "many_", calls);

    harness_check(reeve_close(&ctx), "close");
    for (size_t i = 0; i < helpers_len; i++)
        bench_kill(helpers[i]);
    harness_stop();
    free(helpers);
}

static void measure_items(size_t items)
{
    uint8_t item[BENCH_ITEM] = {0};
    reeve_context *ctx = NULL;
    reeve_queue *queue = NULL;
    double before = 0;
    size_t size = 0;

    harness_start();
    ctx = harness_open();
    queue = harness_queue(ctx);
    harness_check(reeve_ping(ctx, HARNESS_WAIT_MS), "ping");
    before = bench_resident(harness_server());
    for (size_t i = 0; i < items; i++) {
        bench_number(item, i);
        harness_check(reeve_queue_put_bytes(queue, item, sizeof item, HARNESS_WAIT_MS), "put");
    }
    harness_check(reeve_queue_flush(queue, HARNESS_WAIT_MS), "flush");
    harness_check(reeve_queue_size(queue, &size), "ask for the size");
    if (size != items)
        bench_die("%zu items are queued, not %zu", size, items);
    bench_figure("item_bytes", (bench_resident(harness_server()) - before) / (double)items);
    reeve_queue_close(&queue);
    harness_check(reeve_close(&ctx), "close");
    harness_stop();
}

int main(int argc, char **argv)
{
    const size_t sessions = (size_t)bench_option(argc, argv, "connections", 2000);
    const size_t items = (size_t)bench_option(argc, argv, "items", 1000000);

    if (sessions > 0)
        measure_sessions(sessions, (size_t)bench_option(argc, argv, "calls", 10000));
    if (items > 0)
        measure_items(items);
    return 0;
}
