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

/* ---- work that outlives its program ---- */

static reeve_err twice(reeve_task *task, const reeve_value *in, reeve_builder *out)
{
    int64_t x = 0;

    if (!reeve_get_int(in, &x))
        return reeve_task_fail(task, "an integer is wanted");
    if (x == 7)
        return reeve_task_fail(task, "not seven");
    return reeve_put_int(out, 2 * x);
}
REEVE_FUNCTION(twice);

/* All of a job, which has so many items: each once, the seventh failed. */
static void read_all(reeve_iter *iter, bool ordered, uint64_t count)
{
    uint8_t came[64] = {0};
    reeve_value *v = NULL;
    uint64_t n = 0;

    for (;; n++) {
        reeve_record record;
        uint64_t index = 0;
        int64_t x = 0;
        reeve_err err = reeve_iter_next(&v, iter, LONG_MS);

        if (err == REEVE_OK && v == NULL)
            break;
        OK(reeve_iter_record(iter, &index, &record));
        CHECK(index < count && came[index]++ == 0);
        CHECK(!ordered || index == n);
        CHECK(err == (index == 7 ? REEVE_EITEM : REEVE_OK));
        if (index == 7)
            CHECK(v == NULL && reeve_get_int(reeve_iter_item(iter), &x) && x == 7);
        else
            CHECK(reeve_get_int(v, &x) && x == 2 * (int64_t)index && reeve_iter_item(iter) == NULL);
        reeve_value_free(&v);
    }
    CHECK(n == count);
}

static void begin_and_detach(void *arg, int fd)
{
    struct stage *s = arg;
    reeve_items *items = nils(10);
    reeve_async *async = NULL;

    s->ctx = lab_open(&s->lab, s->manager.url);
    OK(reeve_pool_open(&s->pool, s->ctx, &(reeve_pool_options){.name = "work"}));
    OK(reeve_pool_map_async(&async, s->pool, REEVE_FN(twice), items, NULL));
    reeve_async_free(&async);
    OK(reeve_pool_detach(s->pool, LONG_MS));
    lab_tell(fd);
    (void)sleep(60);
}

/* Its program is killed as soon as it has given everything. */
TEST(detached_work_is_read_after_its_program_died)
{
    struct stage s;
    reeve_progress progress;
    reeve_iter *iter = NULL;
    reeve_iter *second = NULL;
    pid_t pid = 0;
    int from = -1;

    stage_begin(&s, "2", NULL);
    pid = lab_process(begin_and_detach, &s, &from);
    CHECK(lab_hear(from));
    lab_kill(pid);
    close(from);
    OK(reeve_iter_attach(&iter, s.ctx, "work", false));
    FAILS(REEVE_EEXIST, reeve_iter_attach(&second, s.ctx, "work", false));
    SAYS("this context is attached to it already");
    read_all(iter, false, 10);
    OK(reeve_iter_progress(iter, &progress));
    CHECK(progress.given == 10 && progress.done == 10 && progress.failed == 1);
    reeve_iter_free(&iter);
    OK(reeve_iter_attach(&iter, s.ctx, "work", true));
    read_all(iter, true, 10);
    reeve_iter_free(&iter);
    FAILS(REEVE_ENOENT, reeve_iter_attach(&iter, s.ctx, "play", true));
    SAYS("cannot attach to play: there is no job of this name");
    FAILS(REEVE_EINVAL, reeve_iter_attach(&iter, s.ctx, "", true));
    stage_end(&s);
}

TEST(pool_with_a_name_is_used_as_any_other_until_it_is_detached)
{
    struct stage s;
    reeve_items *items = nils(7);
    reeve_results *results = NULL;
    reeve_async *async = NULL;
    reeve_pool *other = NULL;

    stage_begin(&s, "2", &(reeve_pool_options){.name = "work"});
    FAILS(REEVE_EEXIST, reeve_pool_open(&other, s.ctx, &(reeve_pool_options){.name = "work"}));
    OK(reeve_pool_map(&results, s.pool, REEVE_FN(twice), items, NULL));
    CHECK(reeve_results_len(results) == 7);
    reeve_results_free(&results);
    OK(reeve_pool_map_async(&async, s.pool, REEVE_FN(alone), items, NULL));
    OK(reeve_pool_detach(s.pool, LONG_MS));
    FAILS(REEVE_ECANCELED, reeve_async_get(&results, async, 0));
    SAYS("the pool was detached");
    reeve_results_free(&results);
    reeve_async_free(&async);
    FAILS(REEVE_ENOTRUNNING, reeve_pool_map(&results, s.pool, REEVE_FN(twice), items, NULL));
    FAILS(REEVE_ENOTRUNNING, reeve_pool_detach(s.pool, 0));
    reeve_items_free(&items);
    stage_end(&s);
}

TEST(pool_with_a_name_that_is_closed_takes_its_work_with_it)
{
    struct stage s;
    reeve_items *items = nils(1);
    reeve_async *async = NULL;
    reeve_value *v = NULL;
    reeve_iter *iter = NULL;

    stage_begin(&s, "2", &(reeve_pool_options){.name = "work"});
    OK(reeve_pool_map_async(&async, s.pool, REEVE_FN(alone), items, NULL));
    reeve_async_free(&async);
    reeve_pool_close(&s.pool);
    OK(reeve_iter_attach(&iter, s.ctx, "work", true));
    FAILS(REEVE_ECANCELED, reeve_iter_next(&v, iter, LONG_MS));
    SAYS("the session that gave it its items ended before all had come");
    reeve_iter_free(&iter);
    OK(reeve_pool_open(&s.pool, s.ctx, NULL));
    FAILS(REEVE_EINVAL, reeve_pool_detach(s.pool, 0));
    SAYS("it has no name");
    reeve_items_free(&items);
    stage_end(&s);
}

/* More than the manager sends ahead, read slowly: neither end keeps it all. */
static reeve_err much(reeve_task *task, const reeve_value *in, reeve_builder *out)
{
    static char bytes[200000];

    (void)task;
    (void)in;
    return reeve_put_bytes(out, bytes, sizeof bytes);
}
REEVE_FUNCTION(much);

TEST(slow_reader_of_detached_work_gets_all_of_it)
{
    struct stage s;
    reeve_items *items = nils(200);
    reeve_async *async = NULL;
    reeve_value *v = NULL;
    reeve_iter *iter = NULL;
    int n = 0;

    stage_begin(&s, "2", &(reeve_pool_options){.name = "work"});
    OK(reeve_pool_map_async(&async, s.pool, REEVE_FN(much), items, NULL));
    reeve_async_free(&async);
    OK(reeve_pool_detach(s.pool, LONG_MS));
    OK(reeve_iter_attach(&iter, s.ctx, "work", false));
    for (;; n++) {
        OK(reeve_iter_next(&v, iter, LONG_MS));
        if (v == NULL)
            break;
        reeve_value_free(&v);
        if (n % 50 == 0)
            (void)usleep(50000);
    }
    CHECK(n == 200);
    reeve_iter_free(&iter);
    reeve_items_free(&items);
    stage_end(&s);
}

TEST(private_manager_takes_no_work_that_is_to_outlive_it)
{
    struct lab lab;
    reeve_context *ctx = NULL;
    reeve_pool *pool = NULL;

    lab_begin(&lab);
    OK(reeve_open(&ctx, &(reeve_options){.url = "private:"}));
    FAILS(REEVE_EINVAL, reeve_pool_open(&pool, ctx, &(reeve_pool_options){.name = "work"}));
    SAYS("a private manager ends with this program, and so would work");
    OK(reeve_close(&ctx));
    lab_end(&lab);
}
