/* P1: 64-byte items from one process to another through the manager, one put and one get a call.
 * P1b, with --many 128: the same by put_many and get_many. */

#include "bench/harness.h"

#include <semaphore.h>
#include <string.h>

enum { MANY = 1024 };

struct run {
    size_t items, many;
    sem_t ready;
    int64_t begin, end;
};

static void check_item(reeve_value *value, size_t i)
{
    const void *bytes = NULL;
    size_t len = 0;

    if (!reeve_get_bytes(value, &bytes, &len) || len != BENCH_ITEM)
        bench_die("item %zu is not %d bytes", i, BENCH_ITEM);
    bench_check_number(bytes, i);
}

static void get_each(reeve_queue *queue, size_t items)
{
    for (size_t i = 0; i < items; i++) {
        reeve_value *item = NULL;
        harness_check(reeve_queue_get(&item, queue, HARNESS_WAIT_MS), "get");
        check_item(item, i);
        reeve_value_free(&item);
    }
}

static void get_many(reeve_queue *queue, size_t items, size_t many)
{
    reeve_value *got[MANY];

    for (size_t i = 0; i < items;) {
        size_t len = 0;
        harness_check(reeve_queue_get_many(got, many, &len, queue, HARNESS_WAIT_MS), "get many");
        for (size_t j = 0; j < len; j++) {
            check_item(got[j], i++);
            reeve_value_free(&got[j]);
        }
    }
}

static void consume(void *arg)
{
    struct run *run = arg;
    reeve_context *ctx = harness_open();
    reeve_queue *queue = harness_queue(ctx);

    sem_post(&run->ready);
    if (run->many == 0)
        get_each(queue, run->items);
    else
        get_many(queue, run->items, run->many);
    run->end = bench_now();
    reeve_queue_close(&queue);
    harness_check(reeve_close(&ctx), "close");
}

static void put_each(reeve_queue *queue, size_t items)
{
    uint8_t item[BENCH_ITEM] = {0};

    for (size_t i = 0; i < items; i++) {
        bench_number(item, i);
        harness_check(reeve_queue_put_bytes(queue, item, sizeof item, HARNESS_WAIT_MS), "put");
    }
}

static void put_many(reeve_queue *queue, size_t items, size_t many)
{
    reeve_builder *made[MANY];
    uint8_t item[BENCH_ITEM] = {0};

    for (size_t j = 0; j < many; j++)
        made[j] = reeve_builder_new();
    for (size_t i = 0; i < items;) {
        size_t n = 0;
        for (; n < many && i < items; n++) {
            bench_number(item, i++);
            reeve_builder_reset(made[n]);
            reeve_put_bytes(made[n], item, sizeof item);
        }
        harness_check(reeve_queue_put_many(queue, (const reeve_builder *const *)made, n,
                                           HARNESS_WAIT_MS, NULL),
                      "put many");
    }
    for (size_t j = 0; j < many; j++)
        reeve_builder_free(&made[j]);
}

static void produce(void *arg)
{
    struct run *run = arg;
    reeve_context *ctx = harness_open();
    reeve_queue *queue = harness_queue(ctx);

    harness_check(reeve_ping(ctx, HARNESS_WAIT_MS), "ping");
    while (sem_wait(&run->ready) != 0)
        continue;
    run->begin = bench_now();
    if (run->many == 0)
        put_each(queue, run->items);
    else
        put_many(queue, run->items, run->many);
    harness_check(reeve_queue_flush(queue, HARNESS_WAIT_MS), "flush");
    reeve_queue_close(&queue);
    harness_check(reeve_close(&ctx), "close");
}

int main(int argc, char **argv)
{
    struct run *run = bench_shared(sizeof *run);

    run->items = (size_t)bench_option(argc, argv, "items", 2000000);
    run->many = (size_t)bench_option(argc, argv, "many", 0);
    if (run->many > MANY)
        bench_die("--many is at most %d", MANY);
    sem_init(&run->ready, 1, 0);
    if (bench_option(argc, argv, "durable", 0) != 0)
        harness_durable();
    harness_start();

    const pid_t consumer = bench_fork(consume, run);
    const pid_t producer = bench_fork(produce, run);

    bench_join(producer);
    bench_join(consumer);
    bench_figure("items_per_s", (double)run->items * 1e9 / (double)(run->end - run->begin));
    harness_stop();
    return 0;
}
