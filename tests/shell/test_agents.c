/* The whole way: a manager, an agent, this program shipped to it, and its functions run. */

#include "tests/shell/lab.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- what runs ---- */

enum order { SQUARE_UP_TO = 100, CRASH, EXIT, FAIL, PRINT, LARGE, SLEEP, NAP, PARENT, TELL };

enum { LARGE_BYTES = 5 * 1024 * 1024 };

static reeve_err put_large(reeve_queue *q)
{
    static uint8_t large[LARGE_BYTES];
    reeve_builder *b = reeve_builder_new();
    reeve_err err = reeve_put_bytes(b, large, sizeof large);

    if (err == REEVE_OK)
        err = reeve_queue_put(q, b, 5000);
    reeve_builder_free(&b);
    return err;
}

/* A context of a task goes through its agent, without a key. */
static reeve_err tell(reeve_task *task, reeve_builder *out)
{
    reeve_context *ctx = NULL;
    reeve_queue *q = NULL;
    reeve_err err = reeve_open(&ctx, NULL);

    if (err == REEVE_OK)
        err = reeve_queue_open(&q, ctx, "told", NULL);
    if (err == REEVE_OK)
        err = lab_put_int(q, (int64_t)reeve_task_index(task), 5000);
    if (err == REEVE_OK && reeve_task_index(task) == 2)
        err = put_large(q);
    if (err != REEVE_OK)
        (void)reeve_task_fail(task, "%s", reeve_errmsg());
    (void)reeve_put_str(out, ctx == NULL ? "" : reeve_endpoint(ctx));
    reeve_queue_close(&q);
    if (reeve_close(&ctx) != REEVE_OK && err == REEVE_OK)
        err = reeve_task_fail(task, "%s", reeve_errmsg());
    return err;
}

static reeve_err agents_do(reeve_task *task, const reeve_value *in, reeve_builder *out)
{
    static uint8_t large[1024 * 1024];
    int64_t x = 0;

    if (!reeve_get_int(in, &x))
        return reeve_task_fail(task, "no integer");
    switch (x) {
    case CRASH:
        abort();
    case EXIT:
        exit(4);
    case FAIL:
        return reeve_task_fail(task, "item %d does not like it", (int)reeve_task_index(task));
    case PRINT:
        printf("hello from item %d\n", (int)reeve_task_index(task));
        return reeve_put_str(out, reeve_task_agent(task));
    case LARGE:
        return reeve_put_bytes(out, large, sizeof large);
    case SLEEP:
        sleep(100);
        return REEVE_OK;
    case NAP:
        usleep(200000);
        return reeve_put_int(out, getpid());
    case TELL:
        return tell(task, out);
    case PARENT:
        return reeve_put_int(out, getpid());
    default:
        return reeve_put_int(out, x * x);
    }
}
REEVE_FUNCTION(agents_do);

static int64_t prepared;

static reeve_err agents_prepare(const reeve_value *arg)
{
    if (!reeve_get_int(arg, &prepared))
        return reeve_task_fail(NULL, "prepare wants an integer");
    return REEVE_OK;
}
REEVE_INITIALIZER(agents_prepare);

static reeve_err agents_prepared(reeve_task *task, const reeve_value *in, reeve_builder *out)
{
    (void)task;
    (void)in;
    return reeve_put_int(out, prepared);
}
REEVE_FUNCTION(agents_prepared);

/* ---- what is killed as it starts ---- */

/* A byte for each process that came here; the first ones are ended. */
static void fall(const char *file, const char *times)
{
    int fd = open(file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    off_t was = lseek(fd, 0, SEEK_END);

    CHECK(fd >= 0 && was >= 0 && write(fd, "x", 1) == 1);
    close(fd);
    if (was < atoi(times))
        raise(SIGSEGV);
}

static void fall_if(const char *name)
{
    const char *file = getenv(name);
    const char *times = getenv("AGENTS_FALL");

    if (file != NULL && times != NULL)
        fall(file, times);
}

__attribute__((constructor)) static void fall_early(void)
{
    fall_if("AGENTS_EARLY");
}

static reeve_err agents_fall(const reeve_value *arg)
{
    (void)arg;
    fall_if("AGENTS_UNREADY");
    return REEVE_OK;
}
REEVE_INITIALIZER(agents_fall);

/* ---- the stage ---- */

struct stage {
    struct lab lab;
    struct manager m;
    struct worker w;
    reeve_context *ctx;
};

static void stage_begin(struct stage *s, const char *slots)
{
    lab_begin(&s->lab);
    manager_start_ipc(&s->m, &s->lab);
    worker_start(&s->w, &s->lab, s->m.url, slots, NULL);
    s->ctx = lab_open(&s->lab, s->m.url);
}

static void stage_end(struct stage *s)
{
    OK(reeve_close(&s->ctx));
    CHECK(worker_end(&s->w) == 0);
    manager_kill(&s->m);
    lab_end(&s->lab);
}

static reeve_pool *open_pool(const struct stage *s, const reeve_pool_options *options)
{
    reeve_pool *pool = NULL;

    OK(reeve_pool_open(&pool, s->ctx, options));
    return pool;
}

static reeve_results *map(reeve_pool *pool, const reeve_fn *fn, const int64_t *xs, size_t len,
                          reeve_err wanted)
{
    reeve_items *items = reeve_items_new();
    reeve_results *results = NULL;
    reeve_map_options options = {.timeout_ms = 20000};

    for (size_t i = 0; i < len; i++)
        (void)reeve_items_add_int(items, xs[i]);
    FAILS(wanted, reeve_pool_map(&results, pool, fn, items, &options));
    CHECK(results != NULL || wanted != REEVE_OK);
    reeve_items_free(&items);
    return results;
}

static int64_t value_of(reeve_results *results, size_t i)
{
    int64_t x = -1;

    CHECK(reeve_get_int(reeve_results_value(results, i), &x));
    return x;
}

static reeve_record record_of(const reeve_results *results, size_t i)
{
    reeve_record record;

    OK(reeve_results_record(results, i, &record));
    return record;
}

/* ---- stories ---- */

/* row: L05 */
/* row: P25 */
TEST(program_is_shipped_and_maps_its_items)
{
    enum { ITEMS = 10000 };
    struct stage s;
    static int64_t xs[ITEMS];
    reeve_pool *pool = NULL;
    reeve_results *results = NULL;

    stage_begin(&s, "2");
    for (int i = 0; i < ITEMS; i++)
        xs[i] = i % SQUARE_UP_TO;
    pool = open_pool(&s, NULL);
    results = map(pool, REEVE_FN(agents_do), xs, ITEMS, REEVE_OK);
    for (size_t i = 0; i < ITEMS; i++)
        CHECK(value_of(results, i) == xs[i] * xs[i]);
    reeve_results_free(&results);
    reeve_pool_close(&pool);
    stage_end(&s);
}

/* row: L10 L13 L17 L22 */
TEST(items_that_fail_are_told_with_their_evidence)
{
    const int64_t xs[] = {1, CRASH, EXIT, FAIL, PRINT, LARGE, 2};
    struct stage s;
    reeve_pool *pool = NULL;
    reeve_results *results = NULL;
    const void *bytes = NULL;
    size_t len = 0;

    stage_begin(&s, "2");
    pool = open_pool(&s, NULL);
    results = map(pool, REEVE_FN(agents_do), xs, 7, REEVE_EITEM);
    CHECK(reeve_results_failed(results) == 3);
    CHECK(value_of(results, 0) == 1 && value_of(results, 6) == 4);
    CHECK(record_of(results, 1).status == REEVE_RAN_CRASHED);
    CHECK(record_of(results, 1).signal == SIGABRT && record_of(results, 1).runs == 3);
    CHECK(record_of(results, 2).status == REEVE_RAN_EXITED);
    CHECK(record_of(results, 2).exit_code == 4);
    CHECK(strcmp(record_of(results, 3).message, "item 3 does not like it") == 0);
    CHECK(strcmp(record_of(results, 4).output, "hello from item 4\n") == 0);
    CHECK(reeve_get_bytes(reeve_results_value(results, 5), &bytes, &len) && len == 1024 * 1024);
    reeve_results_free(&results);
    reeve_pool_close(&pool);
    stage_end(&s);
}

TEST(item_that_takes_too_long_is_killed)
{
    const int64_t xs[] = {1, SLEEP, 3};
    struct stage s;
    reeve_pool *pool = NULL;
    reeve_results *results = NULL;

    stage_begin(&s, "1");
    pool = open_pool(&s, &(reeve_pool_options){.timeout_ms = 300});
    results = map(pool, REEVE_FN(agents_do), xs, 3, REEVE_EITEM);
    CHECK(record_of(results, 1).status == REEVE_RAN_TIMEOUT);
    CHECK(value_of(results, 0) == 1 && value_of(results, 2) == 9);
    reeve_results_free(&results);
    reeve_pool_close(&pool);
    stage_end(&s);
}

/* row: L01 */
/* row: L20 */
TEST(process_serves_so_many_items_and_no_more)
{
    const int64_t xs[] = {PARENT, PARENT, PARENT, PARENT};
    struct stage s;
    reeve_pool *pool = NULL;
    reeve_results *results = NULL;

    stage_begin(&s, "1");
    pool = open_pool(&s, &(reeve_pool_options){.maxtasksperchild = 2, .chunksize = 1});
    results = map(pool, REEVE_FN(agents_do), xs, 4, REEVE_OK);
    CHECK(value_of(results, 0) == value_of(results, 1));
    CHECK(value_of(results, 1) != value_of(results, 2));
    CHECK(value_of(results, 2) == value_of(results, 3));
    reeve_results_free(&results);
    reeve_pool_close(&pool);
    stage_end(&s);
}

/* row: L21 */
TEST(initializer_prepares_each_process_or_the_map_says_why_not)
{
    const int64_t xs[] = {1, 2, 3};
    struct stage s;
    reeve_pool *pool = NULL;
    reeve_results *results = NULL;
    reeve_builder *arg = reeve_builder_new();

    stage_begin(&s, "2");
    OK(reeve_put_int(arg, 77));
    pool = open_pool(
        &s, &(reeve_pool_options){.initializer = REEVE_INIT(agents_prepare), .initarg = arg});
    results = map(pool, REEVE_FN(agents_prepared), xs, 3, REEVE_OK);
    CHECK(value_of(results, 0) == 77 && value_of(results, 2) == 77);
    reeve_results_free(&results);
    reeve_pool_close(&pool);
    pool = open_pool(&s, &(reeve_pool_options){.initializer = REEVE_INIT(agents_prepare),
                                               .start_timeout_ms = 1000});
    results = map(pool, REEVE_FN(agents_prepared), xs, 3, REEVE_ENOAGENT);
    SAYS("prepare wants an integer");
    reeve_results_free(&results);
    reeve_pool_close(&pool);
    reeve_builder_free(&arg);
    stage_end(&s);
}

/* One item, of which the first processes are ended at a place; how many came there. */
static long map_falling(const struct stage *s, const char *where, const char *times,
                        reeve_err wanted)
{
    const int64_t xs[] = {7};
    char path[256];
    char at[300];
    char fall_times[64];
    const char *const environment[] = {at, fall_times, NULL};
    const reeve_pool_options options = {.initializer = REEVE_INIT(agents_fall),
                                        .environment = environment};
    struct stat about;
    reeve_pool *pool = NULL;
    reeve_results *results = NULL;

    snprintf(path, sizeof path, "%s/fallen", s->lab.dir);
    snprintf(at, sizeof at, "%s=%s", where, path);
    snprintf(fall_times, sizeof fall_times, "AGENTS_FALL=%s", times);
    pool = open_pool(s, &options);
    results = map(pool, REEVE_FN(agents_do), xs, 1, wanted);
    CHECK(wanted != REEVE_OK || value_of(results, 0) == 49);
    reeve_results_free(&results);
    reeve_pool_close(&pool);
    CHECK(stat(path, &about) == 0 && unlink(path) == 0);
    return about.st_size;
}

TEST(program_that_is_killed_as_it_starts_is_started_again)
{
    struct stage s;

    stage_begin(&s, "1");
    CHECK(map_falling(&s, "AGENTS_EARLY", "2", REEVE_OK) == 3);
    CHECK(map_falling(&s, "AGENTS_UNREADY", "2", REEVE_OK) == 3);
    stage_end(&s);
}

TEST(program_that_always_falls_as_it_starts_is_given_up)
{
    struct stage s;

    stage_begin(&s, "1");
    CHECK(map_falling(&s, "AGENTS_EARLY", "99", REEVE_ENOAGENT) == 3);
    SAYS("SIGSEGV ended the program before it was in reeve_main() (tried 3 times)");
    CHECK(map_falling(&s, "AGENTS_UNREADY", "99", REEVE_ENOAGENT) == 3);
    SAYS("a runner ended before it was ready: SIGSEGV");
    SAYS("(tried 3 times)");
    stage_end(&s);
}

TEST(command_is_run_and_its_output_is_the_value)
{
    static const char *const lines[] = {"echo out; echo err >&2", "exit 3", "kill -9 $$"};
    struct stage s;
    reeve_pool *pool = NULL;
    reeve_items *items = reeve_items_new();
    reeve_results *results = NULL;
    reeve_builder *b = reeve_builder_new();
    const void *bytes = NULL;
    size_t len = 0;

    stage_begin(&s, "2");
    for (size_t i = 0; i < 3; i++) {
        reeve_builder_reset(b);
        OK(reeve_pack(b, "(sss)", "sh", "-c", lines[i]));
        OK(reeve_items_add(items, b));
    }
    reeve_builder_reset(b);
    OK(reeve_pack(b, "{s(s)sss{ss}}", "argv", "cat", "stdin", "text", "env", "A", "b"));
    OK(reeve_items_add(items, b));
    reeve_builder_reset(b);
    OK(reeve_pack(b, "(s)", "no-such-command"));
    OK(reeve_items_add(items, b));
    pool = open_pool(&s, &(reeve_pool_options){.commands = true});
    FAILS(REEVE_EITEM, reeve_pool_map(&results, pool, REEVE_NAMED("reeve.command"), items, NULL));
    CHECK(reeve_get_bytes(reeve_value_find(reeve_results_value(results, 0), "out"), &bytes, &len));
    CHECK(len == 4 && memcmp(bytes, "out\n", 4) == 0);
    CHECK(reeve_get_bytes(reeve_value_find(reeve_results_value(results, 0), "err"), &bytes, &len));
    CHECK(len == 4 && memcmp(bytes, "err\n", 4) == 0);
    CHECK(strcmp(record_of(results, 1).message, "exit code 3") == 0);
    CHECK(reeve_results_value(results, 1) != NULL);
    CHECK(strcmp(record_of(results, 2).message, "SIGKILL") == 0);
    CHECK(reeve_get_bytes(reeve_value_find(reeve_results_value(results, 3), "out"), &bytes, &len));
    CHECK(len == 4 && memcmp(bytes, "text", 4) == 0);
    CHECK(strstr(record_of(results, 4).message, "cannot start no-such-command: No such file") !=
          NULL);
    reeve_results_free(&results);
    reeve_items_free(&items);
    reeve_builder_free(&b);
    reeve_pool_close(&pool);
    stage_end(&s);
}

TEST(agent_that_is_drained_finishes_what_runs)
{
    const int64_t xs[] = {NAP};
    struct stage s;
    reeve_pool *pool = NULL;
    reeve_async *async = NULL;
    reeve_results *results = NULL;
    reeve_items *items = reeve_items_new();

    stage_begin(&s, "1");
    pool = open_pool(&s, NULL);
    OK(reeve_items_add_int(items, xs[0]));
    OK(reeve_pool_map_async(&async, pool, REEVE_FN(agents_do), items, NULL));
    EVENTUALLY(5000, worker_says(&s.w, "zygote.up"));
    usleep(50000); /* the item runs by then; if not, it goes back and the test has less to say */
    CHECK(kill(s.w.pid, SIGTERM) == 0);
    CHECK(lab_exit_code(s.w.pid) == 0);
    close(s.w.lifeline);
    worker_start(&s.w, &s.lab, s.m.url, "1", NULL);
    OK(reeve_async_get(&results, async, 10000));
    CHECK(value_of(results, 0) > 0);
    reeve_results_free(&results);
    reeve_async_free(&async);
    reeve_items_free(&items);
    reeve_pool_close(&pool);
    stage_end(&s);
}

TEST(agent_ends_with_its_lifeline_and_takes_its_tasks_along)
{
    const int64_t xs[] = {PARENT};
    struct stage s;
    reeve_pool *pool = NULL;
    reeve_results *results = NULL;
    pid_t pid = 0;

    stage_begin(&s, "1");
    pool = open_pool(&s, NULL);
    results = map(pool, REEVE_FN(agents_do), xs, 1, REEVE_OK);
    pid = (pid_t)value_of(results, 0);
    CHECK(kill(pid, 0) == 0);
    close(s.w.lifeline);
    CHECK(lab_exit_code(s.w.pid) == 0);
    CHECK(kill(pid, 0) != 0 && errno == ESRCH);
    worker_start(&s.w, &s.lab, s.m.url, "1", NULL);
    reeve_results_free(&results);
    reeve_pool_close(&pool);
    stage_end(&s);
}

TEST(task_uses_a_queue_through_its_agent)
{
    const int64_t xs[] = {TELL, TELL, TELL};
    struct stage s;
    reeve_pool *pool = NULL;
    reeve_results *results = NULL;
    reeve_queue *q = NULL;
    int64_t sum = 0;
    const char *text = NULL;
    const void *bytes = NULL;
    size_t len = 0;

    stage_begin(&s, "2");
    pool = open_pool(&s, &(reeve_pool_options){.chunksize = 1});
    results = map(pool, REEVE_FN(agents_do), xs, 3, REEVE_OK);
    CHECK(reeve_get_str(reeve_results_value(results, 0), &text, &len));
    CHECK(strncmp(text, "relay:///", 9) == 0);
    q = lab_queue(s.ctx, "told", NULL);
    for (int i = 0; i < 4; i++) {
        reeve_value *v = NULL;
        int64_t x = 0;

        OK(reeve_queue_get(&v, q, 5000));
        if (reeve_get_int(v, &x))
            sum += x;
        else
            CHECK(reeve_get_bytes(v, &bytes, &len) && len == LARGE_BYTES);
        reeve_value_free(&v);
    }
    CHECK(sum == 3 && len == LARGE_BYTES);
    reeve_queue_close(&q);
    reeve_results_free(&results);
    reeve_pool_close(&pool);
    stage_end(&s);
}

/* A manager in memory that was ended has lost its jobs: its agent begins anew with the next one. */
TEST(agent_serves_the_next_manager)
{
    const int64_t xs[] = {5};
    struct stage s;
    reeve_pool *pool = NULL;
    reeve_results *results = NULL;

    stage_begin(&s, "1");
    OK(reeve_close(&s.ctx));
    manager_kill(&s.m);
    manager_start_ipc(&s.m, &s.lab);
    s.ctx = lab_open(&s.lab, s.m.url);
    pool = open_pool(&s, NULL);
    results = map(pool, REEVE_FN(agents_do), xs, 1, REEVE_OK);
    CHECK(value_of(results, 0) == 25);
    reeve_results_free(&results);
    reeve_pool_close(&pool);
    stage_end(&s);
}
