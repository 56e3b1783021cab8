/* P14: puts that are answered when the disk has them: one a call, or --flight of them a call. */

#include "bench/harness.h"

#include <stdlib.h>

static reeve_builder **items;

static void put_batch(reeve_queue *queue, size_t first, size_t flight)
{
    uint8_t bytes[BENCH_ITEM] = {0};

    for (size_t i = 0; i < flight; i++) {
        bench_number(bytes, first + i);
        reeve_builder_reset(items[i]);
        harness_check(reeve_put_bytes(items[i], bytes, sizeof bytes), "build");
    }
    harness_check(reeve_queue_put_many(queue, (const reeve_builder *const *)items, flight,
                                       HARNESS_WAIT_MS, NULL),
                  "put");
}

int main(int argc, char **argv)
{
    const size_t flight = (size_t)bench_option(argc, argv, "flight", 1);
    const size_t batches = (size_t)bench_option(argc, argv, "puts", 2000) / flight;
    const reeve_queue_options bounded = {.maxsize = 100 * 1000 * 1000};
    reeve_context *ctx = NULL;
    reeve_queue *queue = NULL;
    int64_t begin = 0;

    items = calloc(flight, sizeof *items);
    for (size_t i = 0; i < flight; i++)
        items[i] = reeve_builder_new();
    harness_durable();
    harness_start();
    ctx = harness_open();
    harness_check(reeve_queue_open(&queue, ctx, "durable", &bounded), "open a queue");
    put_batch(queue, 0, flight);
    begin = bench_now();
    for (size_t i = 0; i < batches; i++)
        put_batch(queue, i * flight, flight);
    bench_figure("puts_per_s", (double)(batches * flight) * 1e9 / (double)(bench_now() - begin));
    reeve_queue_close(&queue);
    harness_check(reeve_close(&ctx), "close");
    harness_stop();
    for (size_t i = 0; i < flight; i++)
        reeve_builder_free(&items[i]);
    free(items);
    return 0;
}
