/* A manager that is killed and never comes back, in real processes. */

#include "tests/shell/lab.h"

#include <stdio.h>
#include <unistd.h>

/* limits.def: how long a client waits beyond the time its session is kept. */
enum { GONE_MS = 14000, SLACK_MS = 1500 };

TEST(killed_manager_is_named_by_the_calls_that_it_ends)
{
    struct lab lab;
    struct manager m;
    reeve_context *ctx = NULL;
    reeve_queue *q = NULL;
    int64_t x = 0;
    int64_t at = 0;

    alarm(60);
    lab_begin(&lab);
    manager_start_ipc(&m, &lab);
    OK(reeve_open(&ctx, &(reeve_options){.url = m.url, .resume_ms = 1}));
    q = lab_queue(ctx, "jobs", NULL);
    manager_kill(&m);
    at = lab_ms();
    FAILS(REEVE_ELOST, lab_get_int(&x, q, REEVE_FOREVER));
    CHECK(lab_ms() - at <= GONE_MS + SLACK_MS);
    SAYS("cannot get from queue jobs: manager ipc://");
    SAYS("/run/reeve.sock has not answered for 14.0 s");
    reeve_queue_close(&q);
    FAILS(REEVE_ELOST, reeve_close(&ctx));
    lab_end(&lab);
}

static reeve_err nothing(reeve_task *task, const reeve_value *in, reeve_builder *out)
{
    (void)task;
    (void)in;
    return reeve_put_nil(out);
}
REEVE_FUNCTION(nothing);

TEST(killed_manager_is_named_by_the_map_that_it_ends)
{
    struct lab lab;
    struct manager m;
    reeve_context *ctx = NULL;
    reeve_pool *pool = NULL;
    reeve_async *async = NULL;
    reeve_results *results = NULL;
    int64_t at = 0;

    alarm(60);
    lab_begin(&lab);
    manager_start_ipc(&m, &lab);
    OK(reeve_open(&ctx, &(reeve_options){.url = m.url, .resume_ms = 1}));
    OK(reeve_pool_open(&pool, ctx, &(reeve_pool_options){.start_timeout_ms = 100000}));
    OK(reeve_pool_apply_async(&async, pool, REEVE_FN(nothing), NULL, NULL));
    manager_kill(&m);
    at = lab_ms();
    FAILS(REEVE_ELOST, reeve_async_get(&results, async, REEVE_FOREVER));
    CHECK(lab_ms() - at <= GONE_MS + SLACK_MS);
    SAYS("cannot apply nothing: manager ipc://");
    SAYS("/run/reeve.sock has not answered for 14.0 s");
    CHECK(reeve_results_len(results) == 1 && reeve_results_failed(results) == 1);
    reeve_results_free(&results);
    reeve_async_free(&async);
    reeve_pool_close(&pool);
    FAILS(REEVE_ELOST, reeve_close(&ctx));
    lab_end(&lab);
}

static void check_calm(int64_t used_ms, int64_t wakes)
{
    if (used_ms >= 50 || wakes >= 30)
        fprintf(stderr, "%lld ms of processor, %lld wakes\n", (long long)used_ms, (long long)wakes);
    CHECK(used_ms < 50);
    CHECK(wakes < 30);
}

/* Two seconds in a get that finds nothing, and two without any call. */
TEST(waiting_over_the_network_costs_nothing)
{
    struct lab lab;
    struct manager m;
    reeve_context *ctx = NULL;
    reeve_queue *q = NULL;
    int64_t x = 0;
    int64_t used = 0;
    int64_t wakes = 0;

    lab_begin(&lab);
    manager_start(&m, &lab, "tcp://127.0.0.1:0");
    ctx = lab_open(&lab, m.url);
    q = lab_queue(ctx, "jobs", NULL);
    OK(lab_put_int(q, 1, 0));
    OK(lab_get_int(&x, q, 5000));
    for (int i = 0; i < 2; i++) {
        used = lab_cpu_ms();
        wakes = lab_wakes();
        if (i == 0)
            FAILS(REEVE_EEMPTY, lab_get_int(&x, q, 2000));
        else
            (void)usleep(2000000);
        check_calm(lab_cpu_ms() - used, lab_wakes() - wakes);
    }
    reeve_queue_close(&q);
    OK(reeve_close(&ctx));
    manager_kill(&m);
    lab_end(&lab);
}
