/* Many threads on one pool, over the fake transport: nothing is lost, done twice, or left waiting. */

#include "tests/shell/fake_agent.h"
#include "tests/shell/scene.h"

#include <stdatomic.h>
#include <stdlib.h>

enum { THREADS = 4, ROUNDS = 4, ITEMS = 1000, LONG_MS = 30000 };

static const reeve_fn echo = {"echo", NULL};
static const reeve_fn fails = {"fail", NULL};
static const reeve_fn hold = {"hold", NULL};

struct stage {
    struct scene scene;
    reeve_context *agents; /* the context that the agent serves */
    struct fake_agent *agent;
    reeve_context *ctx;
    reeve_pool *pool;
    atomic_int called;
    atomic_int next;
};

static void stage_begin(struct stage *s)
{
    scene_begin(&s->scene);
    s->agents = scene_open(&s->scene);
    s->agent = fake_agent_start(s->agents, 2);
    s->ctx = scene_open(&s->scene);
    OK(reeve_pool_open(&s->pool, s->ctx, NULL));
    atomic_init(&s->called, 0);
    atomic_init(&s->next, 0);
}

static void stage_end(struct stage *s)
{
    reeve_pool_close(&s->pool);
    OK(reeve_close(&s->ctx));
    fake_agent_stop(&s->agent);
    OK(reeve_close(&s->agents));
    scene_end(&s->scene);
}

static reeve_items *numbers(int64_t count)
{
    reeve_items *items = reeve_items_new();

    for (int64_t i = 0; i < count; i++)
        CHECK(reeve_items_add_int(items, i) == REEVE_OK);
    return items;
}

static void check_numbers(reeve_results *results, int64_t count)
{
    int64_t x = 0;

    CHECK(reeve_results_len(results) == (size_t)count && reeve_results_failed(results) == 0);
    for (int64_t i = 0; i < count; i++)
        CHECK(reeve_get_int(reeve_results_value(results, (size_t)i), &x) && x == i);
}

/* ---- what threads do ---- */

static void count_call(void *arg, reeve_err err, reeve_results *results)
{
    struct stage *s = arg;

    CHECK(err == REEVE_OK);
    check_numbers(results, ITEMS);
    atomic_fetch_add(&s->called, 1);
}

static void map_twice(struct stage *s)
{
    reeve_items *items = numbers(ITEMS);
    reeve_async *async = NULL;
    reeve_results *results = NULL;

    OK(reeve_pool_map_async(&async, s->pool, &echo, items,
                            &(reeve_map_options){.callback = count_call, .arg = s}));
    OK(reeve_pool_map(&results, s->pool, &echo, items, NULL));
    reeve_items_free(&items);
    check_numbers(results, ITEMS);
    reeve_results_free(&results);
    OK(reeve_async_get(&results, async, LONG_MS));
    check_numbers(results, ITEMS);
    reeve_results_free(&results);
    reeve_async_free(&async);
}

static void apply_some(struct stage *s)
{
    reeve_builder *b = reeve_builder_new();
    reeve_value *v = NULL;
    int64_t x = 0;

    for (int64_t i = 0; i < 20; i++) {
        reeve_builder_reset(b);
        CHECK(reeve_put_int(b, i) == REEVE_OK);
        OK(reeve_pool_apply(&v, s->pool, &echo, b, LONG_MS));
        CHECK(reeve_get_int(v, &x) && x == i);
        reeve_value_free(&v);
    }
    FAILS(REEVE_EITEM, reeve_pool_apply(&v, s->pool, &fails, b, LONG_MS));
    SAYS("it fails");
    reeve_builder_free(&b);
}

struct source {
    int64_t next, end;
};

static bool next_number(void *arg, reeve_builder *item)
{
    struct source *source = arg;

    return source->next < source->end && reeve_put_int(item, source->next++) == REEVE_OK;
}

static void iterate(struct stage *s, bool ordered)
{
    struct source source = {0, ITEMS};
    reeve_iter *iter = NULL;
    reeve_value *v = NULL;
    int64_t sum = 0;
    int64_t x = 0;

    OK((ordered ? reeve_pool_imap : reeve_pool_imap_unordered)(&iter, s->pool, &echo, next_number,
                                                               &source, NULL));
    for (int64_t i = 0; i < ITEMS; i++) {
        OK(reeve_iter_next(&v, iter, LONG_MS));
        CHECK(reeve_get_int(v, &x) && (!ordered || x == i));
        sum += x;
        reeve_value_free(&v);
    }
    CHECK(sum == (int64_t)ITEMS * (ITEMS - 1) / 2);
    OK(reeve_iter_next(&v, iter, LONG_MS));
    CHECK(v == NULL);
    reeve_iter_free(&iter);
}

static void *work(void *arg)
{
    struct stage *s = arg;
    int me = atomic_fetch_add(&s->next, 1);

    for (int i = 0; i < ROUNDS; i++) {
        switch ((i + me) % 4) {
        case 0:
            map_twice(s);
            break;
        case 1:
            apply_some(s);
            break;
        default:
            iterate(s, (i + me) % 4 == 2);
        }
    }
    return NULL;
}

static void run_crowd(struct stage *s, bool cut)
{
    pthread_t threads[THREADS];

    for (int i = 0; i < THREADS; i++)
        threads[i] = lab_thread(work, s);
    for (int i = 0; cut && i < 6; i++) {
        unsigned before = fake_opened(s->scene.fake);

        fake_cut(s->scene.fake);
        EVENTUALLY(LONG_MS, fake_opened(s->scene.fake) > before);
        lab_nap();
    }
    for (int i = 0; i < THREADS; i++)
        lab_join(threads[i]);
    OK(reeve_pool_end(s->pool));
    OK(reeve_pool_join(s->pool, LONG_MS));
    CHECK(atomic_load(&s->called) == THREADS * ROUNDS / 4);
}

/* row: L02 L05 */
TEST(many_threads_share_a_pool)
{
    static struct stage s;

    stage_begin(&s);
    run_crowd(&s, false);
    stage_end(&s);
}

TEST(cut_connections_neither_lose_nor_repeat_results)
{
    static struct stage s;

    stage_begin(&s);
    run_crowd(&s, true);
    stage_end(&s);
}

/* ---- ends ---- */

static void *wait_for_map(void *arg)
{
    struct stage *s = arg;
    reeve_items *items = numbers(10);
    reeve_results *results = NULL;
    reeve_err err = reeve_pool_map(&results, s->pool, &hold, items, NULL);

    reeve_results_free(&results);
    reeve_items_free(&items);
    return (void *)(intptr_t)err;
}

static reeve_err wait_end(pthread_t thread)
{
    void *result = NULL;

    CHECK(pthread_join(thread, &result) == 0);
    return (reeve_err)(intptr_t)result;
}

static bool all_given(struct stage *s, uint64_t count)
{
    reeve_progress progress;

    OK(reeve_pool_progress(s->pool, &progress));
    return progress.given == count;
}

/* row: L25 */
TEST(terminate_wakes_every_thread_that_waits)
{
    static struct stage s;
    pthread_t threads[THREADS];

    stage_begin(&s);
    for (int i = 0; i < THREADS; i++)
        threads[i] = lab_thread(wait_for_map, &s);
    EVENTUALLY(LONG_MS, all_given(&s, THREADS * 10));
    OK(reeve_pool_terminate(s.pool));
    for (int i = 0; i < THREADS; i++)
        CHECK(wait_end(threads[i]) == REEVE_ECANCELED);
    stage_end(&s);
}

TEST(replaced_manager_ends_maps_with_ESTALE)
{
    static struct stage s;
    pthread_t thread;
    reeve_value *v = NULL;

    stage_begin(&s);
    thread = lab_thread(wait_for_map, &s);
    EVENTUALLY(LONG_MS, all_given(&s, 10));
    fake_replace(s.scene.fake);
    CHECK(wait_end(thread) == REEVE_ESTALE);
    FAILS(REEVE_ESTALE, reeve_pool_apply(&v, s.pool, &echo, NULL, LONG_MS));
    reeve_pool_close(&s.pool);
    FAILS(REEVE_ESTALE, reeve_close(&s.ctx));
    fake_agent_stop(&s.agent);
    (void)reeve_close(&s.agents); /* it may have heard of it, or not */
    scene_end(&s.scene);
}

/* What the pool's own limits do not hold up, a slow iteration does not either. */
TEST(slow_iteration_holds_up_no_other_call)
{
    static struct stage s;
    struct source source = {0, INT64_MAX};
    reeve_iter *iter = NULL;
    reeve_value *v = NULL;

    stage_begin(&s);
    OK(reeve_pool_imap(&iter, s.pool, &echo, next_number, &source, NULL));
    OK(reeve_iter_next(&v, iter, LONG_MS));
    reeve_value_free(&v);
    map_twice(&s);
    apply_some(&s);
    CHECK(source.next <= 70000);
    reeve_iter_free(&iter);
    stage_end(&s);
}
