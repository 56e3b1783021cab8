/* Pools at a manager and an agent that others use, too. */

#include "tests/shell/lab.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { LONG_MS = 20000 };

struct stage {
    struct lab lab;
    struct manager manager;
    struct worker worker;
    reeve_context *ctx;
    reeve_pool *pool;
};

static void stage_begin(struct stage *s, const char *slots, const reeve_pool_options *options)
{
    *s = (struct stage){0};
    lab_begin(&s->lab);
    manager_start_ipc(&s->manager, &s->lab);
    worker_start(&s->worker, &s->lab, s->manager.url, slots, NULL);
    s->ctx = lab_open(&s->lab, s->manager.url);
    OK(reeve_pool_open(&s->pool, s->ctx, options));
}

static void stage_end(struct stage *s)
{
    reeve_pool_close(&s->pool);
    OK(reeve_close(&s->ctx));
    CHECK(worker_end(&s->worker) == 0);
    manager_kill(&s->manager);
    lab_end(&s->lab);
}

/* How many of it run at a time on this host. */
static reeve_err alone(reeve_task *task, const reeve_value *in, reeve_builder *out)
{
    char path[200];

    (void)in;
    snprintf(path, sizeof path, "%s/alone", getenv("HOME"));
    if (symlink("x", path) != 0)
        return reeve_task_fail(task, "another one runs");
    (void)usleep(20000);
    (void)unlink(path);
    return reeve_put_nil(out);
}
REEVE_FUNCTION(alone);

static reeve_items *nils(int count)
{
    reeve_items *items = reeve_items_new();

    for (int i = 0; i < count; i++)
        CHECK(reeve_items_add_int(items, i) == REEVE_OK);
    return items;
}

/* row: L06 L20 */
TEST(processes_of_a_pool_are_counted_over_calls_with_other_chunks)
{
    struct stage s;
    reeve_items *items = nils(5);
    reeve_async *calls[3] = {NULL};

    stage_begin(&s, "4", &(reeve_pool_options){.processes = 1});
    for (int64_t i = 0; i < 3; i++)
        OK(reeve_pool_map_async(&calls[i], s.pool, REEVE_FN(alone), items,
                                &(reeve_map_options){.chunksize = i}));
    for (int i = 0; i < 3; i++) {
        reeve_results *results = NULL;

        OK(reeve_async_get(&results, calls[i], LONG_MS));
        CHECK(reeve_results_failed(results) == 0);
        reeve_results_free(&results);
        reeve_async_free(&calls[i]);
    }
    reeve_items_free(&items);
    stage_end(&s);
}
