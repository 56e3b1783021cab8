/* Pools for real: a private manager and agent, this program as the one that is shipped. */

#include "tests/shell/lab.h"

#include <dirent.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { LONG_MS = 20000 };

/* ---- what runs on a host ---- */

static reeve_err square(reeve_task *task, const reeve_value *in, reeve_builder *out)
{
    int64_t x = 0;

    if (!reeve_get_int(in, &x))
        return reeve_task_fail(task, "square wants an integer");
    return reeve_put_int(out, x * x);
}
REEVE_FUNCTION(square);

/* Items below zero end in this way or that. */
static reeve_err fragile(reeve_task *task, const reeve_value *in, reeve_builder *out)
{
    int64_t x = 0;

    (void)reeve_get_int(in, &x);
    if (x == -1)
        return reeve_task_fail(task, "%d is below zero", -1);
    if (x == -2)
        raise(SIGKILL);
    if (x == -3)
        exit(3);
    return reeve_put_int(out, x);
}
REEVE_FUNCTION(fragile);

static reeve_err add(reeve_task *task, const reeve_value *in, reeve_builder *out)
{
    int64_t a = 0;
    int64_t b = 0;

    if (reeve_unpack(in, "(ii)", &a, &b) != REEVE_OK)
        return reeve_task_fail(task, "add wants two integers");
    return reeve_put_int(out, a + b);
}
REEVE_FUNCTION(add);

static reeve_err nap(reeve_task *task, const reeve_value *in, reeve_builder *out)
{
    int64_t ms = 0;

    (void)task;
    (void)reeve_get_int(in, &ms);
    (void)usleep((useconds_t)(ms * 1000));
    return reeve_put_int(out, ms);
}
REEVE_FUNCTION(nap);

/* Answers in the queue that its argument refers to. */
static reeve_err answer(reeve_task *task, const reeve_value *in, reeve_builder *out)
{
    reeve_context *ctx = NULL;
    reeve_queue *q = NULL;
    reeve_ref ref = {0};
    reeve_err err = reeve_open(&ctx, NULL);

    if (!reeve_get_ref(reeve_value_at(in, 0), &ref))
        err = reeve_task_fail(task, "no reference came");
    if (err == REEVE_OK)
        err = reeve_queue_from(&q, ctx, ref);
    if (err == REEVE_OK)
        err = reeve_queue_put_str(q, "from a task", LONG_MS);
    if (err != REEVE_OK)
        (void)reeve_task_fail(task, "%s", reeve_errmsg());
    reeve_queue_close(&q);
    (void)reeve_close(&ctx);
    (void)reeve_put_nil(out);
    return err;
}
REEVE_FUNCTION(answer);

/* Tells who it is, and stays. */
static reeve_err stay(reeve_task *task, const reeve_value *in, reeve_builder *out)
{
    char path[200];
    FILE *f = NULL;

    (void)task;
    (void)in;
    snprintf(path, sizeof path, "%s/stays", getenv("HOME"));
    f = fopen(path, "w");
    if (f == NULL)
        return REEVE_ESYS;
    fprintf(f, "%d\n", (int)getpid());
    fclose(f);
    (void)sleep(60);
    return reeve_put_nil(out);
}
REEVE_FUNCTION(stay);

/* So many bytes. */
static reeve_err bytes(reeve_task *task, const reeve_value *in, reeve_builder *out)
{
    int64_t len = 0;
    char *data = NULL;
    reeve_err err = REEVE_OK;

    (void)task;
    (void)reeve_get_int(in, &len);
    data = calloc(1, (size_t)len + 1);
    if (data == NULL)
        return REEVE_ENOMEM;
    err = reeve_put_bytes(out, data, (size_t)len);
    free(data);
    return err;
}
REEVE_FUNCTION(bytes);

/* Puts a map of two keys, and leaves before it has put one; or is good, or exits. */
static reeve_err unfinished(reeve_task *task, const reeve_value *in, reeve_builder *out)
{
    int64_t x = 0;

    (void)task;
    (void)reeve_get_int(in, &x);
    if (x % 3 == 1)
        return reeve_put_map(out, 2);
    if (x % 3 == 2)
        exit(0);
    return reeve_put_int(out, x);
}
REEVE_FUNCTION(unfinished);

static int64_t given_at_start;
static int64_t starts;

static reeve_err begin_with(const reeve_value *arg)
{
    starts++;
    if (reeve_get_int(arg, &given_at_start))
        return REEVE_OK;
    return reeve_task_fail(NULL, "no number to begin with");
}
REEVE_INITIALIZER(begin_with);

/* [what the initializer was given, how often it ran here, our pid, an argument] */
static reeve_err about(reeve_task *task, const reeve_value *in, reeve_builder *out)
{
    const char *word = getenv("POOL_WORD");

    (void)task;
    (void)in;
    return reeve_pack(out, "(iiis)", given_at_start, starts, (int64_t)getpid(),
                      word == NULL ? "" : word);
}
REEVE_FUNCTION(about);

/* ---- a stage ---- */

struct stage {
    struct lab lab;
    reeve_context *ctx;
    reeve_pool *pool;
    reeve_items *items;
};

static void stage_begin(struct stage *s, const reeve_pool_options *options)
{
    lab_begin(&s->lab);
    OK(reeve_open(&s->ctx, &(reeve_options){.url = "private:"}));
    OK(reeve_pool_open(&s->pool, s->ctx, options));
    s->items = reeve_items_new();
}

static void stage_end(struct stage *s)
{
    reeve_items_free(&s->items);
    reeve_pool_close(&s->pool);
    OK(reeve_close(&s->ctx));
    lab_end(&s->lab);
}

static void add_ints(struct stage *s, int64_t from, int64_t to)
{
    for (int64_t i = from; i < to; i++)
        CHECK(reeve_items_add_int(s->items, i) == REEVE_OK);
}

static int64_t int_at(reeve_results *results, size_t i)
{
    int64_t x = -99;

    CHECK(reeve_get_int(reeve_results_value(results, i), &x));
    return x;
}

/* ---- maps ---- */

/* row: L01 L05 L02 */
TEST(map_gives_all_results_in_their_order)
{
    struct stage s;
    reeve_results *results = NULL;
    enum { ITEMS = 10000 };

    stage_begin(&s, NULL);
    add_ints(&s, 0, ITEMS);
    OK(reeve_pool_map(&results, s.pool, REEVE_FN(square), s.items, NULL));
    CHECK(reeve_results_len(results) == ITEMS && reeve_results_failed(results) == 0);
    for (int64_t i = 0; i < ITEMS; i++)
        CHECK(int_at(results, (size_t)i) == i * i);
    CHECK(reeve_results_value(results, ITEMS) == NULL);
    reeve_results_free(&results);
    stage_end(&s);
}

/* row: L05 L06 */
TEST(map_of_nothing_is_empty)
{
    struct stage s;
    reeve_results *results = NULL;

    stage_begin(&s, NULL);
    OK(reeve_pool_map(&results, s.pool, REEVE_FN(square), s.items, NULL));
    CHECK(results != NULL && reeve_results_len(results) == 0);
    reeve_results_free(&results);
    stage_end(&s);
}

/* row: L06 */
TEST(size_of_chunks_is_checked_and_changes_nothing_else)
{
    static const int64_t sizes[] = {1, 2, 7, 4096};
    static const int64_t wrong[] = {-1, 4097, INT64_MIN};
    struct stage s;
    reeve_results *results = NULL;

    stage_begin(&s, NULL);
    add_ints(&s, 0, 20);
    for (size_t i = 0; i < 4; i++) {
        OK(reeve_pool_map(&results, s.pool, REEVE_FN(square), s.items,
                          &(reeve_map_options){.chunksize = sizes[i]}));
        CHECK(reeve_results_len(results) == 20 && int_at(results, 19) == 361);
        reeve_results_free(&results);
    }
    for (size_t i = 0; i < 3; i++) {
        FAILS(REEVE_EINVAL, reeve_pool_map(&results, s.pool, REEVE_FN(square), s.items,
                                           &(reeve_map_options){.chunksize = wrong[i]}));
        CHECK(results == NULL);
        SAYS("chunksize");
    }
    stage_end(&s);
}

/* row: L11 L13 L17 L22 L23 */
TEST(pain_01_items_that_fail_leave_the_others_alone)
{
    struct stage s;
    reeve_results *results = NULL;
    reeve_record record;

    stage_begin(&s, NULL);
    add_ints(&s, -3, 100);
    FAILS(REEVE_EITEM, reeve_pool_map(&results, s.pool, REEVE_FN(fragile), s.items, NULL));
    SAYS("cannot map fragile: 3 of 103 items failed; item 0: ");
    CHECK(reeve_results_len(results) == 103 && reeve_results_failed(results) == 3);
    for (int64_t i = 0; i < 100; i++)
        CHECK(int_at(results, (size_t)i + 3) == i);
    CHECK(reeve_results_record(results, 0, &record) == REEVE_OK);
    CHECK(record.err == REEVE_EITEM && record.status == REEVE_RAN_EXITED && record.exit_code == 3);
    CHECK(reeve_results_record(results, 1, &record) == REEVE_OK);
    CHECK(record.status == REEVE_RAN_CRASHED && record.signal == SIGKILL && record.runs == 3);
    CHECK(record.pid > 0 && record.host[0] != '\0' && record.agent[0] != '\0');
    CHECK(reeve_results_record(results, 2, &record) == REEVE_OK);
    CHECK(record.status == REEVE_RAN_FAILED);
    CHECK(strcmp(record.message, "-1 is below zero") == 0);
    CHECK(reeve_results_value(results, 2) == NULL);
    CHECK(reeve_results_record(results, 103, &record) == REEVE_EINVAL);
    reeve_results_free(&results);
    stage_end(&s);
}

static pid_t pid_of_a_process(struct stage *s)
{
    reeve_value *v = NULL;
    int64_t pid = 0;

    OK(reeve_pool_apply(&v, s->pool, REEVE_FN(about), NULL, LONG_MS));
    CHECK(reeve_get_int(reeve_value_at(v, 2), &pid) && pid > 1);
    reeve_value_free(&v);
    return (pid_t)pid;
}

/* It held nothing that others wait for: there is no lock and no pipe that processes share.
 * row: L02 L22 L23 */
TEST(pain_02_idle_process_that_is_killed_is_replaced)
{
    struct stage s;
    reeve_results *results = NULL;

    stage_begin(&s, NULL);
    add_ints(&s, 0, 100);
    for (int i = 0; i < 5; i++) {
        CHECK(kill(pid_of_a_process(&s), SIGKILL) == 0);
        OK(reeve_pool_map(&results, s.pool, REEVE_FN(square), s.items, NULL));
        CHECK(int_at(results, 99) == 9801);
        reeve_results_free(&results);
    }
    stage_end(&s);
}

/* Neither a result that is none nor a task that exits makes anybody wait. row: L16 L17 */
TEST(pain_04_results_that_are_none_fail_alone)
{
    struct stage s;
    reeve_results *results = NULL;
    reeve_record record;

    stage_begin(&s, NULL);
    add_ints(&s, 0, 9);
    FAILS(REEVE_EITEM, reeve_pool_map(&results, s.pool, REEVE_FN(unfinished), s.items, NULL));
    CHECK(reeve_results_len(results) == 9 && reeve_results_failed(results) == 6);
    CHECK(int_at(results, 6) == 6);
    CHECK(reeve_results_record(results, 7, &record) == REEVE_OK);
    CHECK(record.status == REEVE_RAN_FAILED);
    CHECK(strcmp(record.message, "the function put no single whole value") == 0);
    CHECK(reeve_results_record(results, 8, &record) == REEVE_OK);
    CHECK(record.status == REEVE_RAN_EXITED && record.exit_code == 0 && record.runs == 3);
    reeve_results_free(&results);
    stage_end(&s);
}

/* row: L14 */
TEST(result_that_is_too_large_fails_alone)
{
    struct stage s;
    reeve_results *results = NULL;
    reeve_record record;
    const void *data = NULL;
    size_t len = 0;

    stage_begin(&s, NULL);
    CHECK(reeve_items_add_int(s.items, 3 << 20) == REEVE_OK);
    CHECK(reeve_items_add_int(s.items, 17 << 20) == REEVE_OK);
    CHECK(reeve_items_add_int(s.items, 100000) == REEVE_OK);
    FAILS(REEVE_EITEM, reeve_pool_map(&results, s.pool, REEVE_FN(bytes), s.items, NULL));
    CHECK(reeve_results_record(results, 1, &record) == REEVE_OK);
    CHECK(record.err == REEVE_ETOOBIG && record.status == REEVE_RAN_TOOBIG);
    CHECK(reeve_get_bytes(reeve_results_value(results, 0), &data, &len) && len == 3 << 20);
    CHECK(reeve_get_bytes(reeve_results_value(results, 2), &data, &len) && len == 100000);
    reeve_results_free(&results);
    stage_end(&s);
}

/* row: L15 */
TEST(item_that_cannot_be_made_fails_the_map_before_it_begins)
{
    struct stage s;
    reeve_results *results = NULL;
    reeve_progress progress;

    stage_begin(&s, NULL);
    CHECK(reeve_items_add_str(s.items, "\xff") == REEVE_EINVAL);
    CHECK(reeve_items_add_int(s.items, 1) == REEVE_EINVAL);
    FAILS(REEVE_EINVAL, reeve_pool_map(&results, s.pool, REEVE_FN(square), s.items, NULL));
    FAILS(REEVE_ENOMEM, reeve_pool_map(&results, s.pool, REEVE_FN(square), NULL, NULL));
    FAILS(REEVE_EINVAL, reeve_pool_map(&results, s.pool, NULL, s.items, NULL));
    OK(reeve_pool_progress(s.pool, &progress));
    CHECK(progress.given == 0);
    stage_end(&s);
}

/* row: L07 */
TEST(starmap_gives_each_call_its_arguments)
{
    struct stage s;
    reeve_results *results = NULL;
    reeve_builder *b = reeve_builder_new();

    stage_begin(&s, NULL);
    for (int64_t i = 0; i < 10; i++) {
        reeve_builder_reset(b);
        CHECK(reeve_pack(b, "(ii)", i, 2 * i) == REEVE_OK);
        CHECK(reeve_items_add(s.items, b) == REEVE_OK);
    }
    OK(reeve_pool_starmap(&results, s.pool, REEVE_FN(add), s.items, NULL));
    CHECK(int_at(results, 9) == 27);
    reeve_results_free(&results);
    CHECK(reeve_items_add_int(s.items, 1) == REEVE_OK);
    FAILS(REEVE_EINVAL, reeve_pool_starmap(&results, s.pool, REEVE_FN(add), s.items, NULL));
    reeve_builder_free(&b);
    stage_end(&s);
}

/* ---- applies ---- */

/* row: L03 */
TEST(apply_gives_one_value)
{
    struct stage s;
    reeve_builder *b = reeve_builder_new();
    reeve_value *v = NULL;
    int64_t x = 0;

    stage_begin(&s, NULL);
    CHECK(reeve_put_int(b, 12) == REEVE_OK);
    OK(reeve_pool_apply(&v, s.pool, REEVE_FN(square), b, LONG_MS));
    CHECK(reeve_get_int(v, &x) && x == 144);
    reeve_value_free(&v);
    FAILS(REEVE_EITEM, reeve_pool_apply(&v, s.pool, REEVE_FN(square), NULL, LONG_MS));
    CHECK(v == NULL);
    SAYS("cannot apply square: square wants an integer (on ");
    FAILS(REEVE_EITEM,
          reeve_pool_apply(&v, s.pool, &(const reeve_fn){"not_there", NULL}, b, LONG_MS));
    SAYS("not_there");
    reeve_builder_free(&b);
    stage_end(&s);
}

struct told {
    atomic_int calls;
    atomic_int failed;
    _Atomic int64_t sum;
    reeve_pool *pool;
    pthread_t thread;
};

static void tell(void *arg, reeve_err err, reeve_results *results)
{
    struct told *told = arg;
    int64_t x = 0;

    told->thread = pthread_self();
    if (err != REEVE_OK)
        atomic_fetch_add(&told->failed, 1);
    for (size_t i = 0; i < reeve_results_len(results); i++)
        if (reeve_get_int(reeve_results_value(results, i), &x))
            atomic_fetch_add(&told->sum, x);
    atomic_fetch_add(&told->calls, 1);
}

/* row: R10 R11 */
TEST(argument_of_a_task_may_refer_to_an_object)
{
    struct stage s;
    reeve_queue *q = NULL;
    reeve_builder *b = reeve_builder_new();
    reeve_builder *large = reeve_builder_new();
    reeve_async *async = NULL;
    reeve_value *v = NULL;
    static uint8_t bytes[100000];

    stage_begin(&s, NULL);
    OK(reeve_queue_open(&q, s.ctx, NULL, NULL));
    OK(reeve_put_array(b, 1));
    OK(reeve_put_ref(b, reeve_queue_ref(q)));
    OK(reeve_put_array(large, 2));
    OK(reeve_put_ref(large, reeve_queue_ref(q)));
    OK(reeve_put_bytes(large, bytes, sizeof bytes));
    OK(reeve_pool_apply(&v, s.pool, REEVE_FN(answer), b, LONG_MS));
    reeve_value_free(&v);
    OK(reeve_pool_apply(&v, s.pool, REEVE_FN(answer), large, LONG_MS));
    reeve_value_free(&v);
    for (int i = 0; i < 2; i++) {
        OK(reeve_queue_get(&v, q, LONG_MS));
        reeve_value_free(&v);
    }

    /* The item keeps it, as soon as it has left. */
    OK(reeve_pool_apply_async(&async, s.pool, REEVE_FN(nap), b, NULL));
    reeve_queue_close(&q);
    OK(reeve_async_wait(async, LONG_MS));
    reeve_async_free(&async);
    EVENTUALLY(LONG_MS, lab_status(s.ctx, "objects") == 2); /* the pool's job, and the agent */

    /* What its sender does not hold is not there for the task. */
    FAILS(REEVE_EITEM, reeve_pool_apply(&v, s.pool, REEVE_FN(answer), b, LONG_MS));
    reeve_builder_free(&b);
    reeve_builder_free(&large);
    stage_end(&s);
}

struct slow {
    sem_t begun, go;
    reeve_async *async;
    atomic_bool done, ready;
};

static void be_slow(void *arg, reeve_err err, reeve_results *results)
{
    struct slow *slow = arg;

    (void)err;
    (void)results;
    sem_post(&slow->begun);
    sem_wait(&slow->go);
    atomic_store(&slow->ready, reeve_async_ready(slow->async));
    atomic_store(&slow->done, true);
}

/* What a callback wrote is there for who has waited for the call, as in Python. row: L18 L19 */
TEST(call_is_done_when_its_callback_has_returned)
{
    struct stage s;
    struct slow slow = {0};
    reeve_map_options o = {.callback = be_slow, .arg = &slow};
    reeve_results *results = NULL;

    sem_init(&slow.begun, 0, 0);
    sem_init(&slow.go, 0, 0);
    stage_begin(&s, NULL);
    add_ints(&s, 1, 3);
    OK(reeve_pool_map_async(&slow.async, s.pool, REEVE_FN(square), s.items, &o));
    sem_wait(&slow.begun);
    CHECK(!reeve_async_ready(slow.async));
    FAILS(REEVE_ETIME, reeve_async_wait(slow.async, 1));
    SAYS("cannot map square: its callback has not returned after 1 ms");
    sem_post(&slow.go);
    OK(reeve_async_get(&results, slow.async, LONG_MS));
    CHECK(atomic_load(&slow.done));
    CHECK(atomic_load(&slow.ready)); /* to the callback itself it is done */
    reeve_results_free(&results);
    reeve_async_free(&slow.async);
    stage_end(&s);
    sem_destroy(&slow.begun);
    sem_destroy(&slow.go);
}

/* row: L04 L07 L18 L19 */
TEST(what_was_begun_is_asked_for_later_and_calls_back)
{
    struct stage s;
    struct told told = {0};
    reeve_map_options o = {.callback = tell, .arg = &told};
    reeve_builder *b = reeve_builder_new();
    reeve_async *map = NULL;
    reeve_async *apply = NULL;
    reeve_results *results = NULL;
    reeve_results *again = NULL;
    reeve_progress progress;
    reeve_value *v = NULL;
    int64_t x = 0;
    bool well = false;

    stage_begin(&s, NULL);
    add_ints(&s, 1, 11);
    OK(reeve_pool_map_async(&map, s.pool, REEVE_FN(square), s.items, &o));
    reeve_items_free(&s.items); /* the map has them */
    CHECK(reeve_put_int(b, 7) == REEVE_OK);
    OK(reeve_pool_apply_async(&apply, s.pool, REEVE_FN(square), b, &o));
    OK(reeve_async_wait(map, LONG_MS));
    CHECK(reeve_async_ready(map));
    OK(reeve_async_successful(map, &well));
    CHECK(well);
    OK(reeve_async_get(&results, map, LONG_MS));
    OK(reeve_async_get(&again, map, 0));
    CHECK(int_at(results, 9) == 100 && int_at(again, 0) == 1);
    OK(reeve_async_progress(map, &progress));
    CHECK(progress.given == 10 && progress.done == 10 && progress.failed == 0);
    OK(reeve_async_get_value(&v, apply, LONG_MS));
    CHECK(reeve_get_int(v, &x) && x == 49);
    OK(reeve_pool_end(s.pool));
    OK(reeve_pool_join(s.pool, LONG_MS)); /* callbacks have returned, too */
    CHECK(atomic_load(&told.calls) == 2 && atomic_load(&told.failed) == 0);
    CHECK(atomic_load(&told.sum) == 385 + 49);
    CHECK(!pthread_equal(told.thread, pthread_self()));
    reeve_value_free(&v);
    reeve_results_free(&results);
    reeve_results_free(&again);
    reeve_async_free(&map);
    reeve_async_free(&apply);
    reeve_builder_free(&b);
    stage_end(&s);
}

/* row: L04 L19 */
TEST(call_whose_handle_is_freed_still_calls_back)
{
    struct stage s;
    struct told told = {0};
    reeve_map_options o = {.callback = tell, .arg = &told};
    reeve_async *async = NULL;

    stage_begin(&s, NULL);
    add_ints(&s, 0, 5);
    for (int i = 0; i < 20; i++) {
        OK(reeve_pool_map_async(&async, s.pool, REEVE_FN(square), s.items, &o));
        reeve_async_free(&async);
    }
    OK(reeve_pool_end(s.pool));
    OK(reeve_pool_join(s.pool, LONG_MS));
    CHECK(atomic_load(&told.calls) == 20 && atomic_load(&told.sum) == 20 * 30);
    stage_end(&s);
}

static void call_again(void *arg, reeve_err err, reeve_results *results)
{
    struct told *told = arg;
    reeve_value *v = NULL;
    reeve_builder *b = reeve_builder_new();
    int64_t x = 0;

    (void)results;
    CHECK(err == REEVE_OK && reeve_put_int(b, 9) == REEVE_OK);
    OK(reeve_pool_apply(&v, told->pool, REEVE_FN(square), b, LONG_MS));
    CHECK(reeve_get_int(v, &x) && x == 81);
    FAILS(REEVE_EINVAL, reeve_pool_join(told->pool, LONG_MS));
    reeve_value_free(&v);
    reeve_builder_free(&b);
    reeve_pool_close(&told->pool);
    atomic_fetch_add(&told->calls, 1);
}

/* row: L16 L19 */
TEST(callback_may_call_the_library_and_close_its_pool)
{
    struct stage s;
    struct told told = {0};
    reeve_map_options o = {.callback = call_again, .arg = &told};
    reeve_async *async = NULL;

    stage_begin(&s, NULL);
    told.pool = s.pool;
    s.pool = NULL;
    OK(reeve_pool_apply_async(&async, told.pool, REEVE_FN(about), NULL, &o));
    EVENTUALLY(LONG_MS, atomic_load(&told.calls) == 1);
    reeve_async_free(&async);
    EVENTUALLY(LONG_MS, lab_threads() <= 4); /* the callback's own has gone */
    stage_end(&s);
}

/* row: L18 */
TEST(get_ends_with_its_timeout)
{
    struct stage s;
    reeve_async *async = NULL;
    reeve_results *results = NULL;
    int64_t at = 0;
    bool well = false;

    stage_begin(&s, NULL);
    CHECK(reeve_items_add_int(s.items, 60000) == REEVE_OK);
    OK(reeve_pool_map_async(&async, s.pool, REEVE_FN(nap), s.items, NULL));
    at = lab_ms();
    FAILS(REEVE_ETIME, reeve_async_get(&results, async, 100));
    CHECK(lab_ms() - at < 5000);
    SAYS("cannot map nap: 0 of 1 items are done after 100 ms");
    FAILS(REEVE_ETIME, reeve_async_wait(async, 0));
    CHECK(!reeve_async_ready(async));
    FAILS(REEVE_EINVAL, reeve_async_successful(async, &well));
    reeve_async_free(&async);
    FAILS(REEVE_ETIME, reeve_pool_map(&results, s.pool, REEVE_FN(nap), s.items,
                                      &(reeve_map_options){.timeout_ms = 50}));
    stage_end(&s);
}

TEST(item_that_takes_too_long_is_killed)
{
    struct stage s;
    reeve_results *results = NULL;
    reeve_record record;

    stage_begin(&s, &(reeve_pool_options){.timeout_ms = 200});
    CHECK(reeve_items_add_int(s.items, 60000) == REEVE_OK);
    CHECK(reeve_items_add_int(s.items, 1) == REEVE_OK);
    FAILS(REEVE_EITEM, reeve_pool_map(&results, s.pool, REEVE_FN(nap), s.items, NULL));
    CHECK(reeve_results_record(results, 0, &record) == REEVE_OK);
    CHECK(record.err == REEVE_ETIME && record.status == REEVE_RAN_TIMEOUT);
    CHECK(int_at(results, 1) == 1);
    reeve_results_free(&results);
    stage_end(&s);
}

/* ---- iterations ---- */

struct numbers {
    int64_t next, end;
    reeve_err fails; /* at the end */
};

static bool next_number(void *arg, reeve_builder *item)
{
    struct numbers *n = arg;

    if (n->next == n->end) {
        if (n->fails != REEVE_OK)
            (void)reeve_builder_fail(item, n->fails);
        return false;
    }
    return reeve_put_int(item, n->next++) == REEVE_OK;
}

/* row: L08 */
TEST(pain_06_imap_gives_results_in_order_and_reads_ahead_little)
{
    struct stage s;
    struct numbers n = {.end = INT64_MAX};
    reeve_iter *iter = NULL;
    reeve_value *v = NULL;
    int64_t x = 0;

    stage_begin(&s, NULL);
    OK(reeve_pool_imap(&iter, s.pool, REEVE_FN(square), next_number, &n,
                       &(reeve_map_options){.ahead = 50}));
    for (int64_t i = 0; i < 3000; i++) {
        OK(reeve_iter_next(&v, iter, LONG_MS));
        CHECK(reeve_get_int(v, &x) && x == i * i);
        CHECK(n.next <= i + 51);
        reeve_value_free(&v);
    }
    reeve_iter_free(&iter);
    stage_end(&s);
}

/* row: L08 L09 */
TEST(iteration_over_much_gives_each_once)
{
    enum { ITEMS = 30000 };
    static bool seen[ITEMS];
    struct stage s;
    struct numbers n = {.end = ITEMS};
    reeve_iter *iter = NULL;
    reeve_value *v = NULL;
    reeve_record record;
    uint64_t index = 0;
    int64_t x = 0;

    stage_begin(&s, NULL);
    OK(reeve_pool_imap_unordered(&iter, s.pool, REEVE_FN(square), next_number, &n, NULL));
    FAILS(REEVE_EINVAL, reeve_iter_record(iter, &index, &record));
    for (int i = 0; i < ITEMS; i++) {
        OK(reeve_iter_next(&v, iter, LONG_MS));
        OK(reeve_iter_record(iter, &index, &record));
        CHECK(record.err == REEVE_OK && reeve_get_int(v, &x) && x == (int64_t)(index * index));
        CHECK(index < ITEMS && !seen[index]);
        seen[index] = true;
        reeve_value_free(&v);
    }
    for (int i = 0; i < 2; i++) {
        OK(reeve_iter_next(&v, iter, LONG_MS));
        CHECK(v == NULL);
    }
    reeve_iter_free(&iter);
    stage_end(&s);
}

/* A second, and then nothing. */
static bool slow_and_fast(void *arg, reeve_builder *item)
{
    int *left = arg;

    if (*left == 0)
        return false;
    return reeve_put_int(item, --*left == 1 ? 1000 : 0) == REEVE_OK;
}

/* row: L09 */
TEST(imap_unordered_does_not_wait_for_the_slow)
{
    struct stage s;
    int left = 2;
    reeve_iter *iter = NULL;
    reeve_value *v = NULL;
    reeve_record record;
    uint64_t index = 0;

    stage_begin(&s, &(reeve_pool_options){.processes = 2});
    OK(reeve_pool_imap_unordered(&iter, s.pool, REEVE_FN(nap), slow_and_fast, &left,
                                 &(reeve_map_options){.chunksize = 1}));
    OK(reeve_iter_next(&v, iter, LONG_MS));
    OK(reeve_iter_record(iter, &index, &record));
    CHECK(index == 1);
    reeve_value_free(&v);
    FAILS(REEVE_ETIME, reeve_iter_next(&v, iter, 10));
    SAYS("cannot iterate nap: no result within 10 ms");
    OK(reeve_iter_next(&v, iter, LONG_MS));
    OK(reeve_iter_record(iter, &index, &record));
    CHECK(index == 0);
    reeve_value_free(&v);
    reeve_iter_free(&iter);
    stage_end(&s);
}

/* row: L10 */
TEST(iteration_goes_on_after_an_item_that_failed)
{
    struct stage s;
    struct numbers n = {.next = -1, .end = 3};
    reeve_iter *iter = NULL;
    reeve_value *v = NULL;
    reeve_record record;
    uint64_t index = 9;
    int64_t x = 0;

    stage_begin(&s, NULL);
    OK(reeve_pool_imap(&iter, s.pool, REEVE_FN(fragile), next_number, &n, NULL));
    FAILS(REEVE_EITEM, reeve_iter_next(&v, iter, LONG_MS));
    SAYS("cannot iterate fragile: item 0: -1 is below zero (on ");
    OK(reeve_iter_record(iter, &index, &record));
    CHECK(index == 0 && strcmp(record.message, "-1 is below zero") == 0);
    for (int64_t i = 0; i < 3; i++) {
        OK(reeve_iter_next(&v, iter, LONG_MS));
        CHECK(reeve_get_int(v, &x) && x == i);
        reeve_value_free(&v);
    }
    OK(reeve_iter_next(&v, iter, LONG_MS));
    CHECK(v == NULL);
    reeve_iter_free(&iter);
    stage_end(&s);
}

/* row: L12 */
TEST(input_that_fails_ends_the_iteration_after_what_it_gave)
{
    struct stage s;
    struct numbers n = {.end = 3, .fails = REEVE_ESYS};
    reeve_iter *iter = NULL;
    reeve_value *v = NULL;

    stage_begin(&s, NULL);
    OK(reeve_pool_imap(&iter, s.pool, REEVE_FN(square), next_number, &n, NULL));
    for (int i = 0; i < 3; i++) {
        OK(reeve_iter_next(&v, iter, LONG_MS));
        reeve_value_free(&v);
    }
    FAILS(REEVE_ESYS, reeve_iter_next(&v, iter, LONG_MS));
    SAYS("its source failed after 3 items");
    OK(reeve_iter_next(&v, iter, LONG_MS));
    CHECK(v == NULL);
    reeve_iter_free(&iter);
    stage_end(&s);
}

/* ---- processes ---- */

static void ask_about(struct stage *s, int64_t out[3], char *word, size_t word_len)
{
    reeve_value *v = NULL;
    const char *text = NULL;
    size_t len = 0;

    OK(reeve_pool_apply(&v, s->pool, REEVE_FN(about), NULL, LONG_MS));
    OK(reeve_unpack(v, "(iiis)", &out[0], &out[1], &out[2], &text, &len));
    snprintf(word, word_len, "%.*s", (int)len, text);
    reeve_value_free(&v);
}

/* row: L01 L20 L21 */
TEST(initializer_runs_once_in_each_process)
{
    struct stage s;
    reeve_builder *seven = reeve_builder_new();
    const char *const environment[] = {"POOL_WORD=hello", NULL};
    int64_t first[3];
    int64_t second[3];
    int64_t third[3];
    char word[16];

    CHECK(reeve_put_int(seven, 7) == REEVE_OK);
    stage_begin(&s, &(reeve_pool_options){.processes = 1,
                                          .initializer = REEVE_INIT(begin_with),
                                          .initarg = seven,
                                          .maxtasksperchild = 2,
                                          .environment = environment});
    reeve_builder_free(&seven);
    ask_about(&s, first, word, sizeof word);
    ask_about(&s, second, word, sizeof word);
    ask_about(&s, third, word, sizeof word);
    CHECK(first[0] == 7 && first[1] == 1 && strcmp(word, "hello") == 0);
    CHECK(second[1] == 1 && second[2] == first[2]);
    CHECK(third[1] == 1 && third[2] != first[2]); /* two items were its life */
    stage_end(&s);
}

TEST(command_is_an_item_and_its_output_the_value)
{
    struct stage s;
    reeve_builder *b = reeve_builder_new();
    reeve_results *results = NULL;
    reeve_record record;
    const void *text = NULL;
    size_t len = 0;
    int64_t code = 0;

    stage_begin(&s, &(reeve_pool_options){.commands = true});
    CHECK(reeve_pack(b, "(ss)", "echo", "two words") == REEVE_OK);
    CHECK(reeve_items_add(s.items, b) == REEVE_OK);
    reeve_builder_reset(b);
    CHECK(reeve_pack(b, "{s(sss)}", "argv", "sh", "-c", "echo no >&2; exit 3") == REEVE_OK);
    CHECK(reeve_items_add(s.items, b) == REEVE_OK);
    FAILS(REEVE_EITEM, reeve_pool_map(&results, s.pool, NULL, s.items, NULL));
    SAYS("cannot map commands: 1 of 2 items failed; item 1: ");
    CHECK(reeve_get_bytes(reeve_value_find(reeve_results_value(results, 0), "out"), &text, &len));
    CHECK(len == 10 && memcmp(text, "two words\n", 10) == 0);
    CHECK(reeve_get_bytes(reeve_value_find(reeve_results_value(results, 1), "err"), &text, &len));
    CHECK(len == 3 && memcmp(text, "no\n", 3) == 0);
    CHECK(reeve_get_int(reeve_value_find(reeve_results_value(results, 1), "code"), &code));
    CHECK(code == 3 && reeve_results_record(results, 1, &record) == REEVE_OK);
    CHECK(record.status == REEVE_RAN_FAILED && record.exit_code == 3);
    reeve_results_free(&results);
    reeve_builder_free(&b);
    stage_end(&s);
}

/* row: L21 */
TEST(pain_05_initializer_that_fails_ends_the_work_in_its_words)
{
    struct stage s;
    reeve_value *v = NULL;

    stage_begin(&s, &(reeve_pool_options){.initializer = REEVE_INIT(begin_with)});
    FAILS(REEVE_ENOAGENT, reeve_pool_apply(&v, s.pool, REEVE_FN(about), NULL, LONG_MS));
    SAYS("no number to begin with");
    stage_end(&s);
}

/* row: L01 */
TEST(options_that_make_no_sense_are_refused)
{
    static const char *const wrong[] = {"NOTHING", NULL};
    const reeve_pool_options options[] = {
        {.reserved = {1}},
        {.processes = UINT32_MAX},
        {.maxtasksperchild = UINT32_MAX},
        {.chunksize = 5000},
        {.module = "x.so", .commands = true},
        {.environment = wrong},
    };
    struct lab lab;
    reeve_context *ctx = NULL;
    reeve_pool *pool = NULL;

    lab_begin(&lab);
    OK(reeve_open(&ctx, &(reeve_options){.url = "private:"}));
    for (size_t i = 0; i < sizeof options / sizeof options[0]; i++) {
        FAILS(REEVE_EINVAL, reeve_pool_open(&pool, ctx, &options[i]));
        CHECK(pool == NULL);
    }
    FAILS(REEVE_ESYS,
          reeve_pool_open(&pool, ctx, &(reeve_pool_options){.module = "/nowhere/x.so"}));
    SAYS("cannot read /nowhere/x.so: No such file or directory");
    OK(reeve_close(&ctx));
    lab_end(&lab);
}

/* ---- the end of a pool ---- */

/* row: L24 L26 */
TEST(ended_pool_takes_no_work_and_finishes_what_it_has)
{
    struct stage s;
    reeve_async *async = NULL;
    reeve_results *results = NULL;
    reeve_value *v = NULL;

    stage_begin(&s, NULL);
    add_ints(&s, 0, 100);
    OK(reeve_pool_map_async(&async, s.pool, REEVE_FN(nap), s.items, NULL));
    FAILS(REEVE_EINVAL, reeve_pool_join(s.pool, LONG_MS));
    SAYS("still running");
    OK(reeve_pool_end(s.pool));
    FAILS(REEVE_ENOTRUNNING, reeve_pool_apply(&v, s.pool, REEVE_FN(square), NULL, LONG_MS));
    SAYS("cannot apply square: the pool was ended");
    OK(reeve_pool_join(s.pool, LONG_MS));
    CHECK(reeve_async_ready(async));
    OK(reeve_async_get(&results, async, 0));
    CHECK(int_at(results, 99) == 99);
    reeve_results_free(&results);
    reeve_async_free(&async);
    stage_end(&s);
}

/* row: L25 */
TEST(pain_03_terminated_pool_ends_all_who_wait)
{
    struct stage s;
    struct told told = {0};
    reeve_async *async = NULL;
    reeve_results *results = NULL;
    reeve_record record;
    int64_t at = lab_ms();

    stage_begin(&s, NULL);
    CHECK(reeve_items_add_int(s.items, 60000) == REEVE_OK);
    OK(reeve_pool_map_async(&async, s.pool, REEVE_FN(nap), s.items,
                            &(reeve_map_options){.callback = tell, .arg = &told}));
    OK(reeve_pool_terminate(s.pool));
    FAILS(REEVE_ECANCELED, reeve_async_get(&results, async, LONG_MS));
    SAYS("cannot map nap: the pool was terminated");
    CHECK(reeve_results_len(results) == 1 && reeve_results_failed(results) == 1);
    CHECK(reeve_results_record(results, 0, &record) == REEVE_OK);
    CHECK(record.err == REEVE_ECANCELED && record.status == REEVE_RAN_NEVER);
    OK(reeve_pool_join(s.pool, LONG_MS));
    CHECK(atomic_load(&told.calls) == 1 && atomic_load(&told.failed) == 1);
    CHECK(lab_ms() - at < 15000);
    reeve_results_free(&results);
    reeve_async_free(&async);
    stage_end(&s);
}

/* row: L27 L28 */
TEST(closed_pool_leaves_its_handles_valid)
{
    struct stage s;
    struct numbers n = {.next = 60000, .end = INT64_MAX};
    reeve_async *async = NULL;
    reeve_results *results = NULL;
    reeve_iter *iter = NULL;
    reeve_value *v = NULL;

    stage_begin(&s, NULL);
    CHECK(reeve_items_add_int(s.items, 60000) == REEVE_OK);
    OK(reeve_pool_map_async(&async, s.pool, REEVE_FN(nap), s.items, NULL));
    OK(reeve_pool_imap(&iter, s.pool, REEVE_FN(nap), next_number, &n, NULL));
    FAILS(REEVE_ETIME, reeve_iter_next(&v, iter, 50));
    reeve_pool_close(&s.pool);
    FAILS(REEVE_ECANCELED, reeve_async_get(&results, async, LONG_MS));
    FAILS(REEVE_ECANCELED, reeve_iter_next(&v, iter, LONG_MS));
    reeve_results_free(&results);
    reeve_async_free(&async);
    reeve_iter_free(&iter);
    stage_end(&s);
}

struct child {
    struct stage *s;
    reeve_async *async;
};

static void use_in_child(void *arg, int fd)
{
    struct child *c = arg;
    reeve_pool *second = NULL;
    reeve_value *v = NULL;

    FAILS(REEVE_EFORK, reeve_pool_apply(&v, c->s->pool, REEVE_FN(square), NULL, LONG_MS));
    FAILS(REEVE_EFORK, reeve_pool_open(&second, c->s->ctx, NULL));
    FAILS(REEVE_EFORK, reeve_async_wait(c->async, LONG_MS));
    FAILS(REEVE_EFORK, reeve_pool_end(c->s->pool));
    reeve_pool_close(&c->s->pool);
    OK(reeve_close(&c->s->ctx));
    lab_tell(fd);
}

/* row: L02 */
TEST(child_cannot_use_its_parents_pool)
{
    struct stage s;
    struct child c = {.s = &s};
    reeve_results *results = NULL;
    pid_t pid = 0;
    int from = 0;

    stage_begin(&s, NULL);
    add_ints(&s, 0, 10);
    OK(reeve_pool_map_async(&c.async, s.pool, REEVE_FN(square), s.items, NULL));
    pid = lab_process(use_in_child, &c, &from);
    CHECK(lab_hear(from));
    CHECK(lab_exit_code(pid) == 0);
    close(from);
    OK(reeve_async_get(&results, c.async, LONG_MS));
    CHECK(int_at(results, 9) == 81);
    reeve_results_free(&results);
    reeve_async_free(&c.async);
    stage_end(&s);
}

/* ---- no agent, no manager ---- */

TEST(without_an_agent_a_map_says_so)
{
    struct lab lab;
    struct manager m;
    reeve_context *ctx = NULL;
    reeve_pool *pool = NULL;
    reeve_value *v = NULL;
    int64_t at = 0;

    lab_begin(&lab);
    manager_start_ipc(&m, &lab);
    ctx = lab_open(&lab, m.url);
    OK(reeve_pool_open(&pool, ctx, &(reeve_pool_options){.start_timeout_ms = 300}));
    at = lab_ms();
    FAILS(REEVE_ENOAGENT, reeve_pool_apply(&v, pool, REEVE_FN(square), NULL, LONG_MS));
    SAYS("cannot apply square: no agent can run it: manager ipc://");
    CHECK(lab_ms() - at >= 290 && lab_ms() - at < 5000);
    reeve_pool_close(&pool);
    OK(reeve_close(&ctx));
    manager_kill(&m);
    lab_end(&lab);
}

/* The process that runs stay(), as soon as it has told; 0: not yet. */
static pid_t who_stays(const struct lab *lab)
{
    char path[200];
    FILE *f = NULL;
    int pid = 0;

    snprintf(path, sizeof path, "%s/stays", lab->dir);
    f = fopen(path, "r");
    if (f == NULL)
        return 0;
    if (fscanf(f, "%d\n", &pid) != 1)
        pid = 0;
    fclose(f);
    return (pid_t)pid;
}

/* Gone, or dead and not reaped by who is its parent now. */
static bool is_gone(pid_t pid)
{
    char path[64];
    char state = 'X';
    FILE *f = NULL;

    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    f = fopen(path, "r");
    if (f == NULL)
        return true;
    if (fscanf(f, "%*d %*s %c", &state) != 1)
        state = 'X';
    fclose(f);
    return state == 'Z' || state == 'X';
}

/* row: L22 */
TEST(map_whose_only_agent_was_killed_says_so)
{
    struct lab lab;
    struct manager m;
    struct worker w;
    reeve_context *ctx = NULL;
    reeve_pool *pool = NULL;
    reeve_items *items = reeve_items_new();
    reeve_async *async = NULL;
    reeve_results *results = NULL;

    lab_begin(&lab);
    manager_start_ipc(&m, &lab);
    worker_start(&w, &lab, m.url, "1", NULL);
    ctx = lab_open(&lab, m.url);
    OK(reeve_pool_open(&pool, ctx, &(reeve_pool_options){.start_timeout_ms = 300}));
    CHECK(reeve_items_add_int(items, 0) == REEVE_OK);
    OK(reeve_pool_map_async(&async, pool, REEVE_FN(stay), items, NULL));
    EVENTUALLY(LONG_MS, who_stays(&lab) != 0);
    FAILS(REEVE_ETIME, reeve_async_wait(async, 800)); /* it takes long, and that is no reason */
    lab_kill(w.pid);
    close(w.lifeline);
    FAILS(REEVE_ENOAGENT, reeve_async_get(&results, async, LONG_MS));
    SAYS("cannot map stay: no agent can run it: manager ipc://");
    reeve_results_free(&results);
    reeve_async_free(&async);
    reeve_items_free(&items);
    reeve_pool_close(&pool);
    OK(reeve_close(&ctx));
    manager_kill(&m);
    lab_end(&lab);
}

struct away {
    const struct lab *lab;
    const char *url;
};

static void map_far_away(void *arg, int fd)
{
    const struct away *away = arg;
    reeve_context *ctx = NULL;
    reeve_pool *pool = NULL;
    reeve_value *v = NULL;

    OK(reeve_open(
        &ctx, &(reeve_options){.url = away->url, .key = away->lab->key_path, .resume_ms = 300}));
    OK(reeve_pool_open(&pool, ctx, NULL));
    lab_tell(fd);
    FAILS(REEVE_OK, reeve_pool_apply(&v, pool, REEVE_FN(stay), NULL, REEVE_FOREVER));
}

/* Over the network, where nobody sees a process end: its session is not resumed in time. */
TEST(work_of_a_client_that_was_killed_is_ended_everywhere)
{
    struct lab lab;
    struct manager m;
    struct worker w;
    struct away away = {.lab = &lab};
    const char *const flags[] = {"--key", lab.key_path, NULL};
    pid_t client = 0;
    pid_t runner = 0;
    int from = 0;

    lab_begin(&lab);
    manager_start(&m, &lab, "tcp://127.0.0.1:0");
    worker_start(&w, &lab, m.url, "1", flags);
    away.url = m.url;
    client = lab_process(map_far_away, &away, &from);
    CHECK(lab_hear(from));
    EVENTUALLY(LONG_MS, (runner = who_stays(&lab)) != 0);
    CHECK(!is_gone(runner));
    lab_kill(client);
    close(from);
    EVENTUALLY(5000, is_gone(runner));
    CHECK(worker_end(&w) == 0);
    manager_kill(&m);
    lab_end(&lab);
}

TEST(key_that_may_not_run_opens_no_pool)
{
    struct lab lab;
    struct manager m;
    reeve_context *ctx = NULL;
    reeve_pool *pool = NULL;
    const char *server = NULL;
    char path[160];

    lab_begin(&lab);
    server = lab.manager.public_key;
    lab_client(&lab, "modest", &server, 1, "client", "open,put,get", path, sizeof path);
    manager_start(&m, &lab, "tcp://127.0.0.1:0");
    OK(reeve_open(&ctx, &(reeve_options){.url = m.url, .key = path}));
    FAILS(REEVE_EPERM, reeve_pool_open(&pool, ctx, NULL));
    OK(reeve_close(&ctx));
    manager_kill(&m);
    lab_end(&lab);
}

static unsigned private_folders(const struct lab *lab)
{
    DIR *dir = opendir(lab->dir);
    const struct dirent *entry = NULL;
    unsigned count = 0;

    CHECK(dir != NULL);
    while ((entry = readdir(dir)) != NULL)
        count += strncmp(entry->d_name, "reeve-", 6) == 0;
    closedir(dir);
    return count;
}

/* Processes that are neither gone nor dead and began with this word in their environment. */
static unsigned processes_with(const char *word)
{
    DIR *dir = opendir("/proc");
    const struct dirent *entry = NULL;
    unsigned count = 0;

    CHECK(dir != NULL);
    while ((entry = readdir(dir)) != NULL) {
        char path[300];
        char line[4096] = "";
        FILE *f = NULL;
        size_t len = 0;

        snprintf(path, sizeof path, "/proc/%s/environ", entry->d_name);
        if (entry->d_name[0] < '0' || entry->d_name[0] > '9' || (f = fopen(path, "r")) == NULL)
            continue;
        len = fread(line, 1, sizeof line - 1, f);
        fclose(f);
        for (size_t i = 0; i < len; i++)
            line[i] = line[i] == '\0' ? ' ' : line[i];
        count += strstr(line, word) != NULL;
    }
    closedir(dir);
    return count;
}

TEST(private_manager_is_gone_when_the_context_is_closed)
{
    struct stage s;

    stage_begin(&s, NULL);
    CHECK(private_folders(&s.lab) == 2); /* the manager's, and that of the agent's tasks */
    CHECK(processes_with(s.lab.dir) == 2);
    CHECK(strncmp(reeve_endpoint(s.ctx), "ipc://", 6) == 0);
    reeve_items_free(&s.items);
    reeve_pool_close(&s.pool);
    OK(reeve_close(&s.ctx));
    CHECK(private_folders(&s.lab) == 0);
    CHECK(processes_with(s.lab.dir) == 0);
    CHECK(waitpid(-1, NULL, WNOHANG) == -1); /* they never were our children */
    lab_end(&s.lab);
}

static uint64_t done_of(reeve_async *async)
{
    reeve_progress progress;

    OK(reeve_async_progress(async, &progress));
    return progress.done;
}

static void begin_and_wait(void *arg, int fd)
{
    reeve_context *ctx = NULL;
    reeve_pool *pool = NULL;
    reeve_items *items = reeve_items_new();
    reeve_results *results = NULL;
    reeve_async *async = NULL;

    (void)arg;
    for (int i = 0; i < 8; i++)
        CHECK(reeve_items_add_int(items, i == 0 ? 0 : 60000) == REEVE_OK);
    OK(reeve_open(&ctx, &(reeve_options){.url = "private:"}));
    OK(reeve_pool_open(&pool, ctx, NULL));
    OK(reeve_pool_map_async(&async, pool, REEVE_FN(nap), items,
                            &(reeve_map_options){.chunksize = 1}));
    EVENTUALLY(LONG_MS, done_of(async) == 1);
    lab_tell(fd);
    FAILS(REEVE_OK, reeve_async_get(&results, async, REEVE_FOREVER));
}

TEST(program_that_is_killed_leaves_nothing_behind)
{
    struct lab lab;
    pid_t pid = 0;
    int from = 0;

    lab_begin(&lab);
    pid = lab_process(begin_and_wait, NULL, &from);
    CHECK(lab_hear(from));
    CHECK(processes_with(lab.dir) > 2);
    lab_kill(pid);
    close(from);
    EVENTUALLY(10000, processes_with(lab.dir) == 0);
    EVENTUALLY(10000, private_folders(&lab) == 0);
    lab_end(&lab);
}

/* The manager of this user comes before a private one; the tool never has one. */
TEST(without_a_url_the_users_own_manager_is_taken_if_there_is_one)
{
    struct lab lab;
    struct manager m;
    reeve_context *ctx = NULL;
    char bind[160];

    lab_begin(&lab);
    FAILS(REEVE_EINVAL, reeve_open(&ctx, &(reeve_options){.no_private = true}));
    snprintf(bind, sizeof bind, "ipc://%s/reeve/reeve.sock", lab.dir);
    manager_start(&m, &lab, bind);
    OK(reeve_open(&ctx, NULL));
    CHECK(strcmp(reeve_endpoint(ctx), bind) == 0);
    OK(reeve_close(&ctx));
    manager_kill(&m); /* its socket stays */
    OK(reeve_open(&ctx, NULL));
    CHECK(strcmp(reeve_endpoint(ctx), bind) != 0);
    OK(reeve_close(&ctx));
    CHECK(setenv("REEVE_BINDIR", lab.dir, 1) == 0);
    FAILS(REEVE_ESYS, reeve_open(&ctx, NULL));
    SAYS("no reeve-server in REEVE_BINDIR");
    CHECK(unsetenv("REEVE_BINDIR") == 0);
    lab_end(&lab);
}
