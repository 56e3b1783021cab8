/* Results that refer to objects, for real: a manager, an agent, and this program shipped to it. */

#include "tests/shell/lab.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { LONG_MS = 20000, QUIET = 2 /* objects: the pool's job, and the agent */ };

/* ---- what runs on a host ---- */

/* [reference, bytes of that length]; of a queue that has the number in it. */
static reeve_err describe(reeve_builder *out, const reeve_queue *q, const reeve_value *in)
{
    static uint8_t bytes[700000];
    int64_t len = 0;

    (void)reeve_get_int(in, &len);
    (void)reeve_put_array(out, 2);
    (void)reeve_put_ref(out, reeve_queue_ref(q));
    return reeve_put_bytes(out, bytes, len < 0 ? 0 : (size_t)len);
}

static reeve_err make(reeve_queue **q, reeve_context *ctx, const reeve_value *in)
{
    int64_t x = 0;
    reeve_err err = reeve_queue_open(q, ctx, NULL, NULL);

    (void)reeve_get_int(in, &x);
    return err == REEVE_OK ? lab_put_int(*q, x, LONG_MS) : err;
}

/* Says so before it closes everything. */
static reeve_err give(reeve_task *task, const reeve_value *in, reeve_builder *out)
{
    reeve_context *ctx = NULL;
    reeve_queue *q = NULL;
    reeve_err err = reeve_open(&ctx, NULL);

    if (err == REEVE_OK)
        err = make(&q, ctx, in);
    if (err == REEVE_OK)
        err = describe(out, q, in);
    if (err == REEVE_OK)
        err = reeve_task_pledge(task, ctx, out);
    if (err != REEVE_OK)
        (void)reeve_task_fail(task, "%s", reeve_errmsg());
    reeve_queue_close(&q);
    (void)reeve_close(&ctx);
    return err;
}
REEVE_FUNCTION(give);

/* The array of its arguments is not what it is about. */
static reeve_err give_first(reeve_task *task, const reeve_value *in, reeve_builder *out)
{
    return give(task, reeve_value_at(in, 0), out);
}
REEVE_FUNCTION(give_first);

/* Leaves it to the runner, and its session open. */
static reeve_err give_and_keep(reeve_task *task, const reeve_value *in, reeve_builder *out)
{
    static reeve_context *ctx;
    static reeve_queue *q;
    reeve_err err = REEVE_OK;

    (void)task;
    reeve_queue_close(&q);
    if (ctx == NULL)
        err = reeve_open(&ctx, NULL);
    if (err == REEVE_OK)
        err = make(&q, ctx, in);
    return err == REEVE_OK ? describe(out, q, in) : err;
}
REEVE_FUNCTION(give_and_keep);

/* Says nothing and closes everything. */
static reeve_err give_and_forget(reeve_task *task, const reeve_value *in, reeve_builder *out)
{
    reeve_context *ctx = NULL;
    reeve_queue *q = NULL;
    reeve_err err = reeve_open(&ctx, NULL);

    (void)task;
    if (err == REEVE_OK)
        err = make(&q, ctx, in);
    if (err == REEVE_OK)
        err = describe(out, q, in);
    reeve_queue_close(&q);
    (void)reeve_close(&ctx);
    return err;
}
REEVE_FUNCTION(give_and_forget);

static reeve_err give_back(reeve_task *task, const reeve_value *in, reeve_builder *out)
{
    (void)task;
    return reeve_put_value(out, in);
}
REEVE_FUNCTION(give_back);

/* Fails with a value that refers to something. */
static reeve_err give_and_fail(reeve_task *task, const reeve_value *in, reeve_builder *out)
{
    reeve_err err = give(task, in, out);

    return err == REEVE_OK ? reeve_task_fail(task, "all the same") : err;
}
REEVE_FUNCTION(give_and_fail);

/* Its first run ends between the pledge and the result. */
static reeve_err give_and_die(reeve_task *task, const reeve_value *in, reeve_builder *out)
{
    reeve_err err = give(task, in, out);

    if (err == REEVE_OK && reeve_task_run(task) == 1)
        raise(SIGKILL);
    return err;
}
REEVE_FUNCTION(give_and_die);

/* ---- the stage ---- */

struct stage {
    struct lab lab;
    struct manager manager;
    struct worker worker;
    reeve_context *ctx;
    reeve_pool *pool;
    reeve_items *items;
};

static void stage_begin(struct stage *s, const reeve_pool_options *options)
{
    *s = (struct stage){0};
    lab_begin(&s->lab);
    manager_start_ipc(&s->manager, &s->lab);
    worker_start(&s->worker, &s->lab, s->manager.url, "2", NULL);
    s->ctx = lab_open(&s->lab, s->manager.url);
    OK(reeve_pool_open(&s->pool, s->ctx, options));
    s->items = reeve_items_new();
}

static void stage_end(struct stage *s)
{
    reeve_items_free(&s->items);
    reeve_pool_close(&s->pool);
    OK(reeve_close(&s->ctx));
    CHECK(worker_end(&s->worker) == 0);
    manager_kill(&s->manager);
    lab_end(&s->lab);
}

static void is_quiet(const struct stage *s)
{
    EVENTUALLY(LONG_MS, lab_status(s->ctx, "objects") == QUIET);
}

/* The number in the queue that it refers to, which is x. */
static void uses(reeve_context *ctx, const reeve_value *v, int64_t x)
{
    reeve_queue *q = NULL;
    reeve_ref ref = {0};
    int64_t got = 0;

    CHECK(reeve_get_ref(reeve_value_at(v, 0), &ref));
    OK(reeve_queue_from(&q, ctx, ref));
    OK(lab_get_int(&got, q, LONG_MS));
    CHECK(got == x);
    reeve_queue_close(&q);
}

static reeve_builder *number(int64_t x)
{
    reeve_builder *b = reeve_builder_new();

    OK(reeve_put_int(b, x));
    return b;
}

/* ---- stories ---- */

/* row: R10 R11 R13 L03 */
TEST(result_may_refer_to_what_its_task_made)
{
    static const int64_t lengths[] = {0, 7, 65536, 200000, 600000}; /* in each place of an item */
    const reeve_fn *const fns[] = {REEVE_FN(give), REEVE_FN(give_and_keep)};
    struct stage s;

    stage_begin(&s, NULL);
    for (size_t f = 0; f < 2; f++)
        for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
            reeve_builder *b = number(lengths[i]);
            reeve_value *v = NULL;

            OK(reeve_pool_apply(&v, s.pool, fns[f], b, LONG_MS));
            uses(s.ctx, v, lengths[i]);
            reeve_value_free(&v);
            reeve_builder_free(&b);
        }
    reeve_pool_close(&s.pool); /* with it the runner goes that has one open */
    EVENTUALLY(LONG_MS, lab_status(s.ctx, "objects") <= QUIET);
    OK(reeve_pool_open(&s.pool, s.ctx, NULL));
    stage_end(&s);
}

/* The handle keeps it when the value is gone, and the value when nobody has a handle. */
/* row: R08 R14 */
TEST(value_of_a_result_keeps_what_it_refers_to)
{
    struct stage s;
    reeve_builder *b = number(5);
    reeve_value *v = NULL;
    reeve_queue *q = NULL;
    reeve_ref ref = {0};
    int64_t x = 0;

    stage_begin(&s, NULL);
    OK(reeve_pool_apply(&v, s.pool, REEVE_FN(give), b, LONG_MS));
    CHECK(lab_status(s.ctx, "objects") == QUIET + 1);
    CHECK(reeve_get_ref(reeve_value_at(v, 0), &ref));
    OK(reeve_queue_from(&q, s.ctx, ref));
    reeve_value_free(&v);
    OK(lab_get_int(&x, q, LONG_MS));
    CHECK(x == 5);
    reeve_queue_close(&q);
    is_quiet(&s);
    FAILS(REEVE_ENOENT, reeve_queue_from(&q, s.ctx, ref));
    reeve_builder_free(&b);
    stage_end(&s);
}

/* row: R10 R11 */
TEST(result_may_refer_to_what_came_with_its_item)
{
    struct stage s;
    reeve_builder *b = reeve_builder_new();
    reeve_queue *q = NULL;
    reeve_value *v = NULL;

    stage_begin(&s, NULL);
    OK(reeve_queue_open(&q, s.ctx, NULL, NULL));
    OK(lab_put_int(q, 3, LONG_MS));
    OK(reeve_put_array(b, 3)); /* twice the same */
    OK(reeve_put_ref(b, reeve_queue_ref(q)));
    OK(reeve_put_ref(b, reeve_queue_ref(q)));
    OK(reeve_put_int(b, 3));
    OK(reeve_pool_apply(&v, s.pool, REEVE_FN(give_back), b, LONG_MS));
    reeve_queue_close(&q);
    uses(s.ctx, v, 3);
    reeve_value_free(&v);
    is_quiet(&s);
    reeve_builder_free(&b);
    stage_end(&s);
}

/* row: R11 */
TEST(result_that_refers_to_what_is_gone_fails_its_item_alone)
{
    struct stage s;
    reeve_results *results = NULL;
    reeve_record record;

    stage_begin(&s, NULL);
    for (int64_t i = 0; i < 3; i++)
        OK(reeve_items_add_int(s.items, i));
    FAILS(REEVE_EITEM, reeve_pool_map(&results, s.pool, REEVE_FN(give_and_forget), s.items, NULL));
    CHECK(reeve_results_failed(results) == 3);
    OK(reeve_results_record(results, 1, &record));
    CHECK(record.status == REEVE_RAN_FAILED);
    CHECK(strstr(record.message, "does not hold what the result refers to") != NULL);
    reeve_results_free(&results);
    OK(reeve_pool_map(&results, s.pool, REEVE_FN(give), s.items, NULL)); /* the same runners */
    reeve_results_free(&results);
    is_quiet(&s);
    stage_end(&s);
}

/* row: R11 */
TEST(failure_may_have_a_value_that_refers_to_an_object)
{
    struct stage s;
    reeve_results *results = NULL;

    stage_begin(&s, &(reeve_pool_options){.retries = 2});
    OK(reeve_items_add_int(s.items, 9));
    FAILS(REEVE_EITEM, reeve_pool_map(&results, s.pool, REEVE_FN(give_and_fail), s.items, NULL));
    uses(s.ctx, reeve_results_value(results, 0), 9);
    CHECK(lab_status(s.ctx, "objects") == QUIET + 1); /* what the earlier runs made is gone */
    reeve_results_free(&results);
    is_quiet(&s);
    stage_end(&s);
}

/* row: R11 M29 */
TEST(runner_that_dies_behind_its_pledge_leaves_nothing)
{
    struct stage s;
    reeve_builder *b = number(4);
    reeve_value *v = NULL;

    stage_begin(&s, NULL);
    OK(reeve_pool_apply(&v, s.pool, REEVE_FN(give_and_die), b, LONG_MS));
    uses(s.ctx, v, 4);
    reeve_value_free(&v);
    is_quiet(&s);
    reeve_builder_free(&b);
    stage_end(&s);
}

struct told {
    reeve_results *_Atomic results;
};

static void tell(void *arg, reeve_err err, reeve_results *results)
{
    struct told *told = arg;

    CHECK(err == REEVE_OK);
    atomic_store(&told->results, reeve_results_keep(results));
}

static bool ten(void *arg, reeve_builder *item)
{
    int64_t *x = arg;

    return *x < 10 && reeve_put_int(item, (*x)++) == REEVE_OK;
}

static void iterate(struct stage *s, bool ordered)
{
    reeve_iter *iter = NULL;
    reeve_value *v = NULL;
    int64_t x = 0;
    uint64_t n = 0;

    if (ordered)
        OK(reeve_pool_imap(&iter, s->pool, REEVE_FN(give), ten, &x, NULL));
    else
        OK(reeve_pool_imap_unordered(&iter, s->pool, REEVE_FN(give), ten, &x, NULL));
    for (; n < 7; n++) { /* the rest has come, or comes, and is left */
        reeve_record record;
        uint64_t index = 0;

        OK(reeve_iter_next(&v, iter, LONG_MS));
        OK(reeve_iter_record(iter, &index, &record));
        uses(s->ctx, v, (int64_t)index);
        reeve_value_free(&v);
    }
    reeve_iter_free(&iter);
}

/* row: R11 L05 L07 L08 L09 L18 L19 */
TEST(all_calls_of_a_pool_bring_what_results_refer_to)
{
    struct stage s;
    struct told told = {0};
    reeve_map_options o = {.callback = tell, .arg = &told};
    reeve_items *arrays = reeve_items_new();
    reeve_builder *b = reeve_builder_new();
    reeve_results *results = NULL;
    reeve_async *async = NULL;
    reeve_value *v = NULL;
    reeve_value *again = NULL;

    stage_begin(&s, NULL);
    for (int64_t i = 0; i < 10; i++) {
        OK(reeve_items_add_int(s.items, i));
        reeve_builder_reset(b);
        OK(reeve_pack(b, "(i)", i));
        OK(reeve_items_add(arrays, b));
    }
    OK(reeve_pool_map(&results, s.pool, REEVE_FN(give), s.items, NULL));
    for (int64_t i = 0; i < 10; i++)
        uses(s.ctx, reeve_results_value(results, (size_t)i), i);
    reeve_results_free(&results);
    is_quiet(&s);
    OK(reeve_pool_starmap(&results, s.pool, REEVE_FN(give_first), arrays, NULL));
    uses(s.ctx, reeve_results_value(results, 6), 6);
    reeve_results_free(&results);
    is_quiet(&s);
    iterate(&s, true);
    is_quiet(&s);
    iterate(&s, false);
    is_quiet(&s);

    /* Two values of one result, which outlive it. */
    reeve_builder_reset(b);
    OK(reeve_put_int(b, 1));
    OK(reeve_pool_apply_async(&async, s.pool, REEVE_FN(give), b, NULL));
    OK(reeve_async_get_value(&v, async, LONG_MS));
    OK(reeve_async_get_value(&again, async, LONG_MS));
    reeve_async_free(&async);
    reeve_value_free(&v);
    uses(s.ctx, again, 1);
    reeve_value_free(&again);
    is_quiet(&s);

    OK(reeve_pool_map_async(&async, s.pool, REEVE_FN(give), s.items, &o));
    reeve_async_free(&async);
    EVENTUALLY(LONG_MS, atomic_load(&told.results) != NULL);
    results = atomic_load(&told.results);
    uses(s.ctx, reeve_results_value(results, 3), 3);
    reeve_results_free(&results);
    is_quiet(&s);

    OK(reeve_pool_map_async(&async, s.pool, REEVE_FN(give), s.items, NULL));
    reeve_async_free(&async); /* nobody asks for them */
    is_quiet(&s);
    OK(reeve_pool_map_async(&async, s.pool, REEVE_FN(give), s.items, NULL));
    OK(reeve_pool_terminate(s.pool)); /* they come all the same, or not at all */
    reeve_async_free(&async);
    EVENTUALLY(LONG_MS, lab_status(s.ctx, "objects") == QUIET - 1);
    reeve_items_free(&arrays);
    reeve_builder_free(&b);
    stage_end(&s);
}

/* row: R11 */
TEST(each_who_reads_detached_work_has_what_results_refer_to)
{
    struct stage s;
    reeve_context *others[2] = {NULL};
    reeve_async *async = NULL;
    reeve_iter *iter = NULL;
    reeve_value *v = NULL;

    stage_begin(&s, &(reeve_pool_options){.name = "work"});
    for (int64_t i = 0; i < 4; i++)
        OK(reeve_items_add_int(s.items, i));
    OK(reeve_pool_map_async(&async, s.pool, REEVE_FN(give), s.items, NULL));
    OK(reeve_pool_detach(s.pool, LONG_MS));
    reeve_async_free(&async);
    for (size_t i = 0; i < 2; i++) {
        others[i] = lab_open(&s.lab, s.manager.url);
        OK(reeve_iter_attach(&iter, others[i], "work", true));
        for (int64_t x = 0; x < 4; x++) {
            OK(reeve_iter_next(&v, iter, LONG_MS));
            if ((int64_t)i == x % 2)
                uses(others[i], v, x); /* takes the number out: once for each */
            reeve_value_free(&v);
        }
        reeve_iter_free(&iter);
    }
    CHECK(lab_status(s.ctx, "objects") == QUIET + 4); /* for whoever comes next */
    OK(reeve_remove(s.ctx, "work", LONG_MS));
    EVENTUALLY(LONG_MS, lab_status(s.ctx, "objects") == QUIET - 1);
    for (size_t i = 0; i < 2; i++)
        OK(reeve_close(&others[i]));
    stage_end(&s);
}

/* A value may be freed behind its context. */
/* row: R08 */
TEST(results_that_refer_to_objects_outlive_their_context)
{
    struct stage s;
    reeve_context *ctx = NULL;
    reeve_pool *pool = NULL;
    reeve_results *results = NULL;
    reeve_builder *b = number(2);
    reeve_value *v = NULL;

    stage_begin(&s, NULL);
    ctx = lab_open(&s.lab, s.manager.url);
    OK(reeve_pool_open(&pool, ctx, NULL));
    OK(reeve_items_add_int(s.items, 1));
    OK(reeve_pool_map(&results, pool, REEVE_FN(give), s.items, NULL));
    OK(reeve_pool_apply(&v, pool, REEVE_FN(give), b, LONG_MS));
    reeve_pool_close(&pool);
    OK(reeve_close(&ctx));
    is_quiet(&s); /* they fell with the session */
    reeve_results_free(&results);
    reeve_value_free(&v);
    reeve_builder_free(&b);
    stage_end(&s);
}

/* row: R08 R11 */
TEST(many_results_that_refer_to_objects_leave_nothing_behind)
{
    enum { ROUNDS = 20, ITEMS = 50 };
    struct stage s;

    stage_begin(&s, NULL);
    for (int64_t i = 0; i < ITEMS; i++)
        OK(reeve_items_add_int(s.items, i));
    for (int round = 0; round < ROUNDS; round++) {
        reeve_results *results = NULL;

        OK(reeve_pool_map(&results, s.pool, REEVE_FN(give), s.items, NULL));
        uses(s.ctx, reeve_results_value(results, (size_t)round), round);
        reeve_results_free(&results);
    }
    is_quiet(&s);
    stage_end(&s);
}

static void pledge_here(struct stage *s, reeve_err wanted, const reeve_builder *b)
{
    FAILS(wanted, reeve_task_pledge(NULL, s->ctx, b));
}

/* row: R11 */
TEST(who_is_no_task_pledges_nothing)
{
    struct stage s;
    reeve_builder *b = reeve_builder_new();
    reeve_queue *q = NULL;

    stage_begin(&s, NULL);
    OK(reeve_queue_open(&q, s.ctx, NULL, NULL));
    pledge_here(&s, REEVE_EINVAL, b);
    SAYS("it is not one whole value");
    OK(reeve_put_ref(b, reeve_queue_ref(q)));
    pledge_here(&s, REEVE_EINVAL, b);
    SAYS("outside a task");
    pledge_here(&s, REEVE_ENOMEM, NULL);
    reeve_queue_close(&q);
    reeve_builder_free(&b);
    stage_end(&s);
}
