/* P4: items of 1 MiB from one process to another through the manager. */

#include "bench/harness.h"

#include <semaphore.h>
#include <stdlib.h>
#include <string.h>

enum { ITEM = 1024 * 1024 };

struct run {
    size_t items;
    sem_t ready;
    int64_t begin, end;
};

static void consume(void *arg)
{
    struct run *run = arg;
    reeve_context *ctx = harness_open();
    reeve_queue *queue = harness_queue(ctx);

    sem_post(&run->ready);
    for (size_t i = 0; i < run->items; i++) {
        const void *bytes = NULL;
        size_t len = 0;
        reeve_value *item = NULL;
        harness_check(reeve_queue_get(&item, queue, HARNESS_WAIT_MS), "get");
        if (!reeve_get_bytes(item, &bytes, &len) || len != ITEM)
            bench_die("item %zu is not %d bytes", i, ITEM);
        bench_check_number(bytes, i);
        reeve_value_free(&item);
    }
    run->end = bench_now();
    reeve_queue_close(&queue);
    harness_check(reeve_close(&ctx), "close");
}

static void produce(void *arg)
{
    struct run *run = arg;
    uint8_t *item = malloc(ITEM);
    reeve_context *ctx = harness_open();
    reeve_queue *queue = harness_queue(ctx);

    if (item == NULL)
        bench_die("out of memory");
    memset(item, 'x', ITEM);
    harness_check(reeve_ping(ctx, HARNESS_WAIT_MS), "ping");
    while (sem_wait(&run->ready) != 0)
        continue;
    run->begin = bench_now();
    for (size_t i = 0; i < run->items; i++) {
        bench_number(item, i);
        harness_check(reeve_queue_put_bytes(queue, item, ITEM, HARNESS_WAIT_MS), "put");
    }
    harness_check(reeve_queue_flush(queue, HARNESS_WAIT_MS), "flush");
    reeve_queue_close(&queue);
    harness_check(reeve_close(&ctx), "close");
    free(item);
}

int main(int argc, char **argv)
{
    struct run *run = bench_shared(sizeof *run);

    run->items = (size_t)bench_option(argc, argv, "items", 400);
    sem_init(&run->ready, 1, 0);
    harness_start();

    const pid_t consumer = bench_fork(consume, run);
    const pid_t producer = bench_fork(produce, run);

    bench_join(producer);
    bench_join(consumer);
    bench_figure("mb_per_s", (double)run->items * ITEM * 1e3 / (double)(run->end - run->begin));
    harness_stop();
    return 0;
}
