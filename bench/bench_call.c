/* P2: a small call and its reply, both processes on one processor: p50 and p99. Then from
 * --flight threads at once, wherever the scheduler puts them: calls a second. Then from one
 * thread that keeps --flight calls on their way, each with an answer of its own. */

#include "bench/harness.h"

#include <pthread.h>
#include <stdlib.h>

static size_t calls, flight;

static void latency(void *arg)
{
    int64_t *samples = calloc(calls, sizeof *samples);
    reeve_context *ctx = NULL;

    (void)arg;
    bench_pin(0); /* the manager comes from this process */
    harness_start();
    ctx = harness_open();
    for (size_t i = 0; i < calls / 10; i++)
        harness_check(reeve_ping(ctx, HARNESS_WAIT_MS), "ping");
    for (size_t i = 0; i < calls; i++) {
        const int64_t begin = bench_now();
        harness_check(reeve_ping(ctx, HARNESS_WAIT_MS), "ping");
        samples[i] = bench_now() - begin;
    }
    bench_latency("", samples, calls);
    harness_check(reeve_close(&ctx), "close");
    harness_stop();
}

static void *call(void *arg)
{
    for (size_t i = 0; i < calls * 4 / flight; i++)
        harness_check(reeve_ping(arg, HARNESS_WAIT_MS), "ping");
    return NULL;
}

static void throughput(void *arg)
{
    pthread_t *threads = calloc(flight, sizeof *threads);
    reeve_context *ctx = NULL;
    int64_t begin = 0;

    (void)arg;
    harness_start();
    ctx = harness_open();
    harness_check(reeve_ping(ctx, HARNESS_WAIT_MS), "ping");
    begin = bench_now();
    for (size_t i = 0; i < flight; i++)
        if (pthread_create(&threads[i], NULL, call, ctx) != 0)
            bench_die("unable to start a thread");
    for (size_t i = 0; i < flight; i++)
        pthread_join(threads[i], NULL);
    bench_figure("thread_calls_per_s",
                 (double)(calls * 4 / flight * flight) * 1e9 / (double)(bench_now() - begin));
    harness_check(reeve_close(&ctx), "close");
    harness_stop();
}

static void pipelined(void *arg)
{
    const reeve_queue_options bounded = {.maxsize = 100 * 1000 * 1000};
    reeve_builder *item = reeve_builder_new();
    reeve_context *ctx = NULL;
    reeve_queue *queue = NULL;
    const size_t rounds = calls * 4 / flight;
    int64_t begin = 0;

    (void)arg;
    harness_start();
    ctx = harness_open();
    harness_check(reeve_queue_open(&queue, ctx, "pipelined", &bounded), "open a queue");
    harness_check(reeve_put_int(item, 7), "build");
    begin = bench_now();
    for (size_t i = 0; i < rounds; i++) {
        for (size_t j = 0; j < flight; j++)
            harness_check(reeve_queue_put_async(queue, item, HARNESS_WAIT_MS), "put");
        harness_check(reeve_queue_flush(queue, HARNESS_WAIT_MS), "flush");
    }
    bench_figure("calls_per_s", (double)(rounds * flight) * 1e9 / (double)(bench_now() - begin));
    reeve_builder_free(&item);
    reeve_queue_close(&queue);
    harness_check(reeve_close(&ctx), "close");
    harness_stop();
}

int main(int argc, char **argv)
{
    calls = (size_t)bench_option(argc, argv, "calls", 20000);
    flight = (size_t)bench_option(argc, argv, "flight", 64);
    if (calls > 0)
        bench_join(bench_fork(latency, NULL));
    if (calls > 0 && flight > 0)
        bench_join(bench_fork(throughput, NULL));
    if (calls > 0 && flight > 0)
        bench_join(bench_fork(pipelined, NULL));
    return 0;
}
