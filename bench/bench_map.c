/* P3: a map of a function that does nothing, items dealt one by one (--chunk 1) or as the manager
 * likes. P10: items that compute --spin nanoseconds while the agent is killed each --kill
 * milliseconds and restarts at once. P12: --commands 1, items that are the command `true`. */

#include "bench/harness.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>

static reeve_err nothing(reeve_task *task, const reeve_value *in, reeve_builder *out)
{
    (void)task;
    return reeve_put_value(out, in);
}
REEVE_FUNCTION(nothing);

static reeve_err spin(reeve_task *task, const reeve_value *in, reeve_builder *out)
{
    int64_t end = bench_now();
    int64_t x = 0;

    if (!reeve_get_int(in, &x))
        return reeve_task_fail(task, "a number is wanted");
    end += x >> 32;
    while (bench_now() < end)
        continue;
    return reeve_put_int(out, x);
}
REEVE_FUNCTION(spin);

/* ---- agents that are killed ---- */

struct killer {
    long ms;
    atomic_bool over;
    long kills;
};

static void *kill_agents(void *arg)
{
    struct killer *k = arg;
    int64_t next = bench_now();

    for (;;) {
        next += k->ms * 1000000;
        while (bench_now() < next && !atomic_load(&k->over))
            nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);
        if (atomic_load(&k->over))
            return NULL;
        harness_agent_restart((size_t)(k->kills++ % 2));
    }
}

/* ---- the map ---- */

static void add_items(reeve_items *items, int64_t n, int64_t spin_ns, bool commands)
{
    reeve_builder *command = reeve_builder_new();

    reeve_pack(command, "(s)", "true");
    for (int64_t i = 0; i < n; i++)
        if (commands)
            reeve_items_add(items, command);
        else
            reeve_items_add_int(items, spin_ns << 32 | i);
    reeve_builder_free(&command);
}

static void check(reeve_results *results, int64_t n, int64_t spin_ns, bool commands)
{
    if ((int64_t)reeve_results_len(results) != n || reeve_results_failed(results) != 0)
        bench_die("results are missing");
    for (int64_t i = 0; i < n && !commands; i++) {
        int64_t x = 0;

        if (!reeve_get_int(reeve_results_value(results, (size_t)i), &x) || x != (spin_ns << 32 | i))
            bench_die("result %lld is wrong", (long long)i);
    }
}

static const reeve_fn *function(int64_t spin_ns, bool commands)
{
    static const reeve_fn command = {"reeve.command", NULL};

    if (commands)
        return &command;
    return spin_ns > 0 ? REEVE_FN(spin) : REEVE_FN(nothing);
}

/* The runners are there before the clock starts, as they are of the limit program. */
static void warm_up(reeve_pool *pool, bool commands)
{
    reeve_items *items = reeve_items_new();
    reeve_results *results = NULL;

    add_items(items, 64, 0, commands);
    harness_check(reeve_pool_map(&results, pool, function(0, commands), items,
                                 &(reeve_map_options){.chunksize = 1}),
                  "map");
    reeve_results_free(&results);
    reeve_items_free(&items);
}

int main(int argc, char **argv)
{
    reeve_main(&argc, &argv);

    const int64_t n = bench_option(argc, argv, "items", 200000);
    const int64_t spin_ns = bench_option(argc, argv, "spin", 0);
    const bool commands = bench_option(argc, argv, "commands", 0) != 0;
    const long agents = bench_option(argc, argv, "agents", 1);
    const reeve_map_options options = {.chunksize = bench_option(argc, argv, "chunk", 0)};
    const uint32_t slots = (uint32_t)bench_option(argc, argv, "slots", 2);
    struct killer killer = {.ms = bench_option(argc, argv, "kill", 0)};
    reeve_items *items = reeve_items_new();
    reeve_results *results = NULL;
    reeve_pool *pool = NULL;
    reeve_context *ctx = NULL;
    pthread_t thread;
    int64_t begin = 0;

    if (bench_option(argc, argv, "durable", 0) != 0)
        harness_durable();
    harness_start();
    for (long a = 0; a < agents; a++)
        harness_agent(slots);
    ctx = harness_open();
    harness_check(reeve_pool_open(&pool, ctx, &(reeve_pool_options){.commands = commands}),
                  "open a pool");
    add_items(items, n, spin_ns, commands);
    warm_up(pool, commands);
    if (killer.ms > 0 && pthread_create(&thread, NULL, kill_agents, &killer) != 0)
        bench_die("unable to start a thread");
    begin = bench_now();
    harness_check(reeve_pool_map(&results, pool, function(spin_ns, commands), items, &options),
                  "map");
    bench_figure("items_per_s", (double)n * 1e9 / (double)(bench_now() - begin));
    if (killer.ms > 0) {
        atomic_store(&killer.over, true);
        pthread_join(thread, NULL);
        bench_figure("kills", (double)killer.kills);
    }
    check(results, n, spin_ns, commands);
    reeve_results_free(&results);
    reeve_pool_close(&pool);
    reeve_items_free(&items);
    harness_check(reeve_close(&ctx), "close");
    harness_stop();
    return 0;
}
