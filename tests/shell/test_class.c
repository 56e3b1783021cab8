/* Objects of a program's own types: a private manager and agent, this program as the one that is
 * shipped. */

#include "tests/shell/lab.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LONG_MS = 20000 };

/* ---- a class ---- */

struct counter {
    int64_t n;
    reeve_queue *notes; /* one that it has given away */
};

static reeve_err make_counter(void **self, reeve_task *task, const reeve_value *args)
{
    struct counter *c = calloc(1, sizeof *c);

    *self = c;
    if (reeve_value_type(args) == REEVE_NIL)
        return REEVE_OK;
    if (!reeve_get_int(args, &c->n))
        return reeve_task_fail(task, "a counter begins with an integer");
    return REEVE_OK;
}

static reeve_err counter_add(void *self, reeve_task *task, const reeve_value *args,
                             reeve_builder *out)
{
    struct counter *c = self;
    int64_t n = 0;

    if (!reeve_get_int(args, &n))
        return reeve_task_fail(task, "add wants an integer");
    c->n += n;
    return reeve_put_int(out, c->n);
}

static reeve_err counter_get(void *self, reeve_task *task, const reeve_value *args,
                             reeve_builder *out)
{
    (void)task;
    (void)args;
    return reeve_put_int(out, ((struct counter *)self)->n);
}

static reeve_err counter_crash(void *self, reeve_task *task, const reeve_value *args,
                               reeve_builder *out)
{
    (void)self;
    (void)task;
    (void)args;
    (void)out;
    printf("these are my last words\n");
    fflush(stdout);
    abort();
}

static reeve_err counter_nothing(void *self, reeve_task *task, const reeve_value *args,
                                 reeve_builder *out)
{
    (void)self;
    (void)task;
    (void)args;
    (void)out;
    return REEVE_OK;
}

static reeve_err counter_sleep(void *self, reeve_task *task, const reeve_value *args,
                               reeve_builder *out)
{
    (void)self;
    (void)task;
    (void)args;
    usleep(300000);
    return reeve_put_str(out, "late");
}

static reeve_err counter_agent(void *self, reeve_task *task, const reeve_value *args,
                               reeve_builder *out)
{
    (void)self;
    (void)args;
    return reeve_put_str(out, reeve_task_agent(task));
}

/* A queue that the caller has never seen. */
static reeve_err counter_notes(void *self, reeve_task *task, const reeve_value *args,
                               reeve_builder *out)
{
    struct counter *c = self;

    (void)args;
    if (c->notes == NULL &&
        (reeve_queue_open(&c->notes, reeve_task_context(task), NULL, NULL) != REEVE_OK ||
         reeve_queue_put_str(c->notes, "a note", LONG_MS) != REEVE_OK))
        return reeve_task_fail(task, "%s", reeve_errmsg());
    return reeve_put_ref(out, reeve_queue_ref(c->notes));
}

static void end_counter(void *self)
{
    struct counter *c = self;

    reeve_queue_close(&c->notes);
    free(c);
}

/* Says that it is in the call, and is until it is told to go on. args: where, and where from. */
static reeve_err counter_hold(void *self, reeve_task *task, const reeve_value *args,
                              reeve_builder *out)
{
    struct counter *c = self;
    reeve_context *ctx = reeve_task_context(task);
    reeve_queue *q[2] = {NULL, NULL};
    reeve_value *v = NULL;
    reeve_err err = REEVE_OK;

    for (size_t i = 0; i < 2 && err == REEVE_OK; i++) {
        reeve_ref ref = {0};

        CHECK(reeve_get_ref(reeve_value_at(args, i), &ref));
        err = reeve_queue_from(&q[i], ctx, ref);
    }
    c->n++;
    if (err == REEVE_OK)
        err = reeve_queue_put_str(q[0], "held", LONG_MS);
    if (err == REEVE_OK)
        err = reeve_queue_flush(q[0], LONG_MS);
    if (err == REEVE_OK)
        err = reeve_queue_get(&v, q[1], REEVE_FOREVER);
    if (err != REEVE_OK)
        err = reeve_task_fail(task, "%s", reeve_errmsg());
    reeve_value_free(&v);
    for (size_t i = 0; i < 2; i++)
        reeve_queue_close(&q[i]);
    return err == REEVE_OK ? reeve_put_int(out, c->n) : err;
}

static reeve_err save_counter(void *self, reeve_task *task, reeve_builder *out)
{
    (void)task;
    return reeve_put_int(out, ((struct counter *)self)->n);
}

static reeve_err load_counter(void *self, reeve_task *task, const reeve_value *state)
{
    if (!reeve_get_int(state, &((struct counter *)self)->n))
        return reeve_task_fail(task, "a counter is kept as an integer");
    return REEVE_OK;
}

static const reeve_method counter_methods[] = {
    {"add", counter_add},         {"get", counter_get},
    {"crash", counter_crash},     {"sleep", counter_sleep},
    {"nothing", counter_nothing}, {"notes", counter_notes},
    {"_hidden", counter_get},     {"agent", counter_agent},
    {"hold", counter_hold},       {NULL, NULL}};
static const reeve_class counter = {
    .construct = make_counter, .destroy = end_counter, .methods = counter_methods};
REEVE_CLASS(counter);
static const reeve_class kept = {.construct = make_counter,
                                 .destroy = end_counter,
                                 .methods = counter_methods,
                                 .save = save_counter,
                                 .load = load_counter};
REEVE_CLASS(kept);

/* ---- who uses it ---- */

struct stage {
    struct lab lab;
    reeve_context *ctx;
    reeve_pool *pool;
};

static void stage_begin(struct stage *s, uint32_t runs_max)
{
    lab_begin(&s->lab);
    OK(reeve_open(&s->ctx, &(reeve_options){.url = "private:"}));
    OK(reeve_pool_open(&s->pool, s->ctx,
                       &(reeve_pool_options){.processes = 2, .runs_max = runs_max}));
}

static void stage_end(struct stage *s)
{
    reeve_pool_close(&s->pool);
    OK(reeve_close(&s->ctx));
    lab_end(&s->lab);
}

static reeve_err call_int(int64_t *out, reeve_instance *c, const char *method, int64_t x)
{
    reeve_builder *b = reeve_builder_new();
    reeve_value *v = NULL;
    reeve_err err = REEVE_OK;

    OK(reeve_put_int(b, x));
    err = reeve_instance_call(&v, c, method, b, LONG_MS);
    if (err == REEVE_OK)
        CHECK(reeve_get_int(v, out));
    reeve_value_free(&v);
    reeve_builder_free(&b);
    return err;
}

static reeve_instance *counter_new(const struct stage *s, int64_t from)
{
    reeve_builder *b = reeve_builder_new();
    reeve_instance *c = NULL;

    OK(reeve_put_int(b, from));
    OK(reeve_instance_new(&c, s->pool, REEVE_FN(counter), b, NULL));
    reeve_builder_free(&b);
    return c;
}

/* row: M10 M11 M21 M26 R01 R16 */
TEST(instances_have_a_state_each)
{
    struct stage s;
    reeve_instance *a = NULL;
    reeve_instance *b = NULL;
    reeve_value *v = NULL;
    int64_t x = 0;

    stage_begin(&s, 1);
    a = counter_new(&s, 10);
    OK(reeve_instance_new(&b, s.pool, REEVE_FN(counter), NULL, NULL));
    OK(call_int(&x, a, "add", 5));
    CHECK(x == 15);
    OK(call_int(&x, b, "add", 1));
    CHECK(x == 1);
    OK(call_int(&x, a, "get", 0));
    CHECK(x == 15);
    OK(reeve_instance_call(&v, a, "nothing", NULL, LONG_MS));
    CHECK(reeve_value_type(v) == REEVE_NIL);
    reeve_value_free(&v);
    OK(reeve_instance_call(NULL, a, "add", NULL, LONG_MS) == REEVE_ECALL ? REEVE_OK : REEVE_EINVAL);
    SAYS("add wants an integer");
    OK(reeve_instance_free(&a));
    CHECK(a == NULL);
    OK(call_int(&x, b, "add", 1));
    CHECK(x == 2);
    OK(reeve_instance_free(&b));
    OK(reeve_instance_free(&b));
    stage_end(&s);
}

/* row: M10 M26 R07 R17 R19 M24 */
TEST(only_what_is_exposed_can_be_called)
{
    static const char *const exposed[] = {"get", "_hidden", NULL};
    struct stage s;
    reeve_instance *c = NULL;
    reeve_builder *half = reeve_builder_new();
    reeve_value *v = NULL;
    int64_t x = 0;

    stage_begin(&s, 1);
    OK(reeve_instance_new(&c, s.pool, REEVE_FN(counter), NULL,
                          &(reeve_instance_options){.exposed = exposed}));
    OK(call_int(&x, c, "get", 0));
    FAILS(REEVE_ENOENT, call_int(&x, c, "add", 1));
    SAYS("instance of counter");
    FAILS(REEVE_ENOENT, call_int(&x, c, "_hidden", 1));
    FAILS(REEVE_ENOENT, call_int(&x, c, "no such", 1));
    FAILS(REEVE_EINVAL, call_int(&x, c, NULL, 1));
    OK(reeve_instance_methods(&v, c, LONG_MS));
    CHECK(reeve_value_len(v) == 1);
    reeve_value_free(&v);

    /* What cannot be encoded fails here, and the instance goes on. */
    OK(reeve_put_array(half, 2));
    FAILS(REEVE_EINVAL, reeve_instance_call(&v, c, "get", half, LONG_MS));
    reeve_builder_free(&half);
    OK(call_int(&x, c, "get", 0));
    OK(reeve_instance_free(&c));
    stage_end(&s);
}

/* row: M21 */
TEST(constructor_that_fails_is_told_in_its_own_words)
{
    struct stage s;
    reeve_instance *c = NULL;
    reeve_builder *b = reeve_builder_new();

    stage_begin(&s, 1);
    OK(reeve_put_str(b, "ten"));
    FAILS(REEVE_ECALL, reeve_instance_new(&c, s.pool, REEVE_FN(counter), b, NULL));
    SAYS("begins with an integer");
    CHECK(c == NULL);
    FAILS(REEVE_EINVAL, reeve_instance_new(&c, s.pool, NULL, b, NULL));
    reeve_builder_free(&b);
    stage_end(&s);
}

TEST(process_that_crashes_fails_its_call_with_the_evidence)
{
    struct stage s;
    reeve_instance *c = NULL;
    reeve_instance *other = NULL;
    int64_t x = 0;

    stage_begin(&s, 1);
    c = counter_new(&s, 1);
    other = counter_new(&s, 2);
    FAILS(REEVE_ECRASHED, call_int(&x, c, "crash", 0));
    SAYS("SIGABRT");
    SAYS("these are my last words");
    FAILS(REEVE_EGONE, call_int(&x, c, "get", 0));
    SAYS("SIGABRT");
    OK(call_int(&x, other, "get", 0)); /* the others are in other processes */
    CHECK(x == 2);
    OK(reeve_instance_free(&c));
    c = counter_new(&s, 3);
    OK(call_int(&x, c, "get", 0));
    CHECK(x == 3);
    OK(reeve_instance_free(&c));
    OK(reeve_instance_free(&other));
    stage_end(&s);
}

TEST(instance_may_be_constructed_anew_after_a_crash)
{
    struct stage s;
    reeve_instance *c = NULL;
    int64_t x = 0;

    stage_begin(&s, 3);
    c = counter_new(&s, 40);
    OK(call_int(&x, c, "add", 2));
    FAILS(REEVE_ECRASHED, call_int(&x, c, "crash", 0));
    SAYS("constructed anew");
    OK(call_int(&x, c, "get", 0));
    CHECK(x == 40); /* its state was lost */
    OK(reeve_instance_free(&c));
    stage_end(&s);
}

/* row: R13 M13 */
TEST(method_may_return_a_reference)
{
    struct stage s;
    reeve_instance *c = NULL;
    reeve_value *v = NULL;
    reeve_value *note = NULL;
    reeve_queue *q = NULL;
    reeve_ref ref;

    stage_begin(&s, 1);
    c = counter_new(&s, 0);
    OK(reeve_instance_call(&v, c, "notes", NULL, LONG_MS));
    CHECK(reeve_get_ref(v, &ref));
    OK(reeve_instance_free(&c)); /* the value keeps the queue */
    OK(reeve_queue_from(&q, s.ctx, ref));
    reeve_value_free(&v);
    OK(reeve_queue_get(&note, q, LONG_MS));
    reeve_value_free(&note);
    reeve_queue_close(&q);
    stage_end(&s);
}

TEST(call_that_takes_too_long_is_given_up_and_runs_once)
{
    struct stage s;
    reeve_instance *c = NULL;
    reeve_value *v = NULL;
    int64_t x = 0;

    stage_begin(&s, 1);
    c = counter_new(&s, 7);
    FAILS(REEVE_ETIME, reeve_instance_call(&v, c, "sleep", NULL, 1));
    OK(call_int(&x, c, "get", 0)); /* not the late answer */
    CHECK(x == 7);
    OK(reeve_instance_free(&c));
    stage_end(&s);
}

TEST(instance_waits_for_a_free_slot_only_so_long)
{
    struct stage s;
    reeve_instance *a = NULL;
    reeve_instance *b = NULL;
    reeve_instance *c = NULL;
    int64_t x = 0;

    stage_begin(&s, 1);
    a = counter_new(&s, 1);
    b = counter_new(&s, 2);
    FAILS(REEVE_ETIME, reeve_instance_new(&c, s.pool, REEVE_FN(counter), NULL,
                                          &(reeve_instance_options){.timeout_ms = 300}));
    OK(call_int(&x, a, "get", 0));
    OK(reeve_instance_free(&a));
    OK(reeve_instance_free(&b));
    stage_end(&s);
}

static void *add_many(void *arg)
{
    int64_t x = 0;

    for (int i = 0; i < 100; i++)
        OK(call_int(&x, arg, "add", 1));
    return NULL;
}

TEST(calls_of_many_threads_never_overlap)
{
    struct stage s;
    reeve_instance *c = NULL;
    pthread_t threads[3];
    int64_t x = 0;

    stage_begin(&s, 1);
    c = counter_new(&s, 0);
    for (size_t i = 0; i < 3; i++)
        threads[i] = lab_thread(add_many, c);
    for (size_t i = 0; i < 3; i++)
        lab_join(threads[i]);
    OK(call_int(&x, c, "get", 0));
    CHECK(x == 300);
    OK(reeve_instance_free(&c));
    stage_end(&s);
}

/* Its state goes with the host, and what it was made of does not. */
TEST(instance_is_constructed_elsewhere_when_its_agent_is_lost)
{
    struct lab lab;
    struct manager m;
    struct worker workers[2];
    reeve_context *ctx = NULL;
    reeve_pool *pool = NULL;
    struct stage s = {0};
    reeve_instance *c = NULL;
    reeve_value *v = NULL;
    const char *name = NULL;
    size_t len = 0;
    size_t lost = 0;
    int64_t x = 0;
    reeve_err err = REEVE_OK;

    lab_begin(&lab);
    manager_start_ipc(&m, &lab);
    for (size_t i = 0; i < 2; i++)
        worker_start(&workers[i], &lab, m.url, "1", NULL);
    ctx = lab_open(&lab, m.url);
    OK(reeve_pool_open(&pool, ctx, &(reeve_pool_options){.runs_max = 1}));
    s.pool = pool;
    c = counter_new(&s, 40);
    OK(call_int(&x, c, "add", 2));
    CHECK(x == 42);
    OK(reeve_instance_call(&v, c, "agent", NULL, LONG_MS));
    CHECK(reeve_get_str(v, &name, &len) && len == 6);
    lost = name[5] == '1' ? 0 : 1; /* agent1, agent2 */
    reeve_value_free(&v);
    lab_kill(workers[lost].pid);
    close(workers[lost].lifeline);
    /* The manager may not have missed the agent yet, and have given the call to what is gone: that is told. */
    err = call_int(&x, c, "get", 0);
    if (err == REEVE_ECRASHED)
        err = call_int(&x, c, "get", 0);
    OK(err);
    CHECK(x == 40);
    OK(reeve_instance_free(&c));
    reeve_pool_close(&pool);
    OK(reeve_close(&ctx));
    (void)worker_end(&workers[1 - lost]);
    manager_kill(&m);
    lab_end(&lab);
}

/* ---- several sessions ---- */

struct town {
    struct lab lab;
    struct manager m;
    struct worker w;
};

static void town_begin(struct town *t)
{
    lab_begin(&t->lab);
    manager_start_log(&t->m, &t->lab);
    worker_start(&t->w, &t->lab, t->m.url, "2", NULL);
}

static void town_end(struct town *t)
{
    (void)worker_end(&t->w);
    manager_kill(&t->m);
    lab_end(&t->lab);
}

static reeve_instance *named_new(reeve_pool *pool, const char *name)
{
    reeve_instance *c = NULL;

    OK(reeve_instance_new(&c, pool, REEVE_FN(counter), NULL,
                          &(reeve_instance_options){.name = name}));
    return c;
}

struct caller {
    reeve_context *ctx;
    reeve_instance *instance;
    reeve_queue *held, *go; /* of a call of hold */
    int64_t got;
    char words[800];
    reeve_err err;
};

static void caller_begin(struct caller *c, const struct town *t)
{
    c->ctx = lab_open(&t->lab, t->m.url);
    OK(reeve_instance_open(&c->instance, c->ctx, "clerk"));
    OK(reeve_queue_open(&c->held, c->ctx, NULL, NULL));
    OK(reeve_queue_open(&c->go, c->ctx, NULL, NULL));
}

static void caller_end(struct caller *c)
{
    OK(reeve_instance_free(&c->instance));
    reeve_queue_close(&c->held);
    reeve_queue_close(&c->go);
    OK(reeve_close(&c->ctx));
}

static void *call_hold(void *arg)
{
    struct caller *c = arg;
    reeve_builder *b = reeve_builder_new();
    reeve_value *v = NULL;

    OK(reeve_put_array(b, 2));
    OK(reeve_put_ref(b, reeve_queue_ref(c->held)));
    OK(reeve_put_ref(b, reeve_queue_ref(c->go)));
    c->err = reeve_instance_call(&v, c->instance, "hold", b, REEVE_FOREVER);
    snprintf(c->words, sizeof c->words, "%s", reeve_errmsg());
    if (c->err == REEVE_OK)
        CHECK(reeve_get_int(v, &c->got));
    reeve_value_free(&v);
    reeve_builder_free(&b);
    return NULL;
}

/* It is in the call now. */
static void await_hold(struct caller *c)
{
    reeve_value *v = NULL;

    OK(reeve_queue_get(&v, c->held, LONG_MS));
    reeve_value_free(&v);
}

/* row: M10 M26 R01 */
TEST(sessions_call_one_instance_by_its_name)
{
    struct town t;
    struct caller callers[3] = {{0}};
    pthread_t threads[3];
    reeve_context *ctx = NULL;
    reeve_pool *pool = NULL;
    reeve_instance *c = NULL;
    reeve_instance *again = NULL;
    reeve_queue *q = NULL;
    int64_t x = 0;

    town_begin(&t);
    ctx = lab_open(&t.lab, t.m.url);
    OK(reeve_pool_open(&pool, ctx, NULL));
    FAILS(REEVE_ENOENT, reeve_instance_open(&again, ctx, "clerk"));
    FAILS(REEVE_EINVAL, reeve_instance_open(&again, ctx, NULL));
    c = named_new(pool, "clerk");
    FAILS(REEVE_EEXIST, reeve_instance_new(&again, pool, REEVE_FN(counter), NULL,
                                           &(reeve_instance_options){.name = "clerk"}));
    q = lab_queue(ctx, "jobs", NULL);
    CHECK(reeve_instance_open(&again, ctx, "jobs") != REEVE_OK && again == NULL);
    reeve_queue_close(&q);
    for (size_t i = 0; i < 3; i++) {
        caller_begin(&callers[i], &t);
        threads[i] = lab_thread(add_many, callers[i].instance);
    }
    OK(call_int(&x, c, "add", 1000)); /* its maker, meanwhile */
    for (size_t i = 0; i < 3; i++)
        lab_join(threads[i]);
    OK(call_int(&x, callers[0].instance, "get", 0));
    CHECK(x == 1300);
    FAILS(REEVE_ENOENT, call_int(&x, callers[0].instance, "_hidden", 0));
    FAILS(REEVE_ETIME, reeve_instance_call(NULL, callers[1].instance, "sleep", NULL, 1));
    OK(call_int(&x, callers[1].instance, "get", 0)); /* not the late answer */
    CHECK(x == 1300);

    /* Handles of others neither end it nor keep it. */
    caller_end(&callers[2]);
    OK(call_int(&x, callers[0].instance, "get", 0));
    OK(reeve_instance_free(&c));
    FAILS(REEVE_EGONE, call_int(&x, callers[0].instance, "get", 0));
    SAYS("it was ended");
    FAILS(REEVE_ENOENT, reeve_instance_open(&again, ctx, "clerk"));
    c = named_new(pool, "clerk"); /* the name is free again */
    OK(call_int(&x, c, "get", 0));
    CHECK(x == 0);
    OK(reeve_instance_free(&c));
    caller_end(&callers[0]);
    caller_end(&callers[1]);
    reeve_pool_close(&pool);
    OK(reeve_close(&ctx));
    town_end(&t);
}

/* row: R13 */
TEST(reference_to_an_instance_goes_through_a_queue)
{
    struct town t;
    reeve_context *ctx = NULL;
    reeve_context *other = NULL;
    reeve_pool *pool = NULL;
    reeve_instance *c = NULL;
    reeve_instance *there = NULL;
    reeve_builder *b = reeve_builder_new();
    reeve_value *v = NULL;
    reeve_queue *q = NULL;
    reeve_queue *r = NULL;
    reeve_ref ref;
    int64_t x = 0;

    town_begin(&t);
    ctx = lab_open(&t.lab, t.m.url);
    other = lab_open(&t.lab, t.m.url);
    OK(reeve_pool_open(&pool, ctx, NULL));
    OK(reeve_instance_new(&c, pool, REEVE_FN(counter), NULL,
                          &(reeve_instance_options){.shared = true}));
    q = lab_queue(ctx, "post", NULL);
    r = lab_queue(other, "post", NULL);
    OK(reeve_put_ref(b, reeve_instance_ref(c)));
    OK(reeve_queue_put(q, b, LONG_MS));
    OK(reeve_queue_get(&v, r, LONG_MS));
    CHECK(reeve_get_ref(v, &ref));
    OK(reeve_instance_from(&there, other, ref));
    reeve_value_free(&v);
    OK(call_int(&x, there, "add", 3));
    OK(call_int(&x, c, "get", 0));
    CHECK(x == 3);
    CHECK(reeve_ref_equal(reeve_instance_ref(there), reeve_instance_ref(c)));
    OK(reeve_instance_free(&there));
    FAILS(REEVE_ETYPE, reeve_instance_from(&there, ctx, reeve_queue_ref(q)));
    OK(call_int(&x, c, "get", 0));
    OK(reeve_instance_free(&c));
    OK(reeve_instance_new(&c, pool, REEVE_FN(counter), NULL, NULL));
    ref = reeve_instance_ref(c); /* of one that is nobody else's */
    CHECK(reeve_ref_equal(ref, (reeve_ref){0}));
    OK(reeve_instance_free(&c));
    reeve_queue_close(&q);
    reeve_queue_close(&r);
    reeve_builder_free(&b);
    reeve_pool_close(&pool);
    OK(reeve_close(&other));
    OK(reeve_close(&ctx));
    town_end(&t);
}

TEST(crash_is_told_to_all_sessions_that_call)
{
    struct town t;
    struct caller a = {0};
    struct caller b = {0};
    pthread_t thread;
    reeve_context *ctx = NULL;
    reeve_pool *pool = NULL;
    reeve_instance *c = NULL;
    int64_t x = 0;

    town_begin(&t);
    ctx = lab_open(&t.lab, t.m.url);
    OK(reeve_pool_open(&pool, ctx, &(reeve_pool_options){.runs_max = 1}));
    c = named_new(pool, "clerk");
    caller_begin(&a, &t);
    caller_begin(&b, &t);
    FAILS(REEVE_ECRASHED, call_int(&x, a.instance, "crash", 0));
    SAYS("SIGABRT");
    SAYS("these are my last words");
    FAILS(REEVE_EGONE, call_int(&x, a.instance, "get", 0));
    FAILS(REEVE_EGONE, call_int(&x, b.instance, "get", 0));
    SAYS("SIGABRT");
    FAILS(REEVE_EGONE, call_int(&x, c, "get", 0));
    OK(reeve_instance_free(&c));

    /* Its pool is ended while it is in a call. */
    caller_end(&a);
    c = named_new(pool, "clerk");
    caller_begin(&a, &t);
    thread = lab_thread(call_hold, &a);
    await_hold(&a);
    reeve_pool_terminate(pool);
    lab_join(thread);
    CHECK(a.err == REEVE_ECANCELED);
    (void)reeve_instance_free(&c);
    caller_end(&a);
    caller_end(&b);
    reeve_pool_close(&pool);
    OK(reeve_close(&ctx));
    town_end(&t);
}

static void make_and_wait(void *arg, int fd)
{
    const struct town *t = arg;
    reeve_context *ctx = lab_open(&t->lab, t->m.url);
    reeve_pool *pool = NULL;

    OK(reeve_pool_open(&pool, ctx, NULL));
    (void)named_new(pool, "clerk");
    lab_tell(fd);
    for (;;)
        pause();
}

TEST(calls_end_when_the_session_that_made_it_is_lost)
{
    struct town t;
    struct caller a = {0};
    pthread_t thread;
    pid_t maker = 0;
    int from = -1;
    int64_t x = 0;

    town_begin(&t);
    maker = lab_process(make_and_wait, &t, &from);
    CHECK(lab_hear(from));
    caller_begin(&a, &t);
    OK(call_int(&x, a.instance, "add", 2));
    thread = lab_thread(call_hold, &a);
    await_hold(&a);
    lab_kill(maker);
    lab_join(thread);
    CHECK(a.err == REEVE_ECRASHED);
    CHECK(strstr(a.words, "the session that made it has ended") != NULL);
    FAILS(REEVE_EGONE, call_int(&x, a.instance, "get", 0));
    close(from);
    caller_end(&a);
    town_end(&t);
}

/* With queues that we have, too, since it does not live to give them back. */
static void call_and_be_lost(void *arg, int fd)
{
    const struct town *t = arg;
    struct caller c = {.ctx = lab_open(&t->lab, t->m.url)};

    (void)fd;
    OK(reeve_instance_open(&c.instance, c.ctx, "clerk"));
    c.held = lab_queue(c.ctx, "held", NULL);
    c.go = lab_queue(c.ctx, "go", NULL);
    call_hold(&c);
}

TEST(caller_that_is_lost_in_its_call_harms_nobody)
{
    struct town t;
    struct caller a = {0};
    reeve_context *ctx = NULL;
    reeve_pool *pool = NULL;
    reeve_instance *c = NULL;
    pid_t lost = 0;
    int from = -1;
    int64_t x = 0;

    town_begin(&t);
    ctx = lab_open(&t.lab, t.m.url);
    OK(reeve_pool_open(&pool, ctx, NULL));
    c = named_new(pool, "clerk");
    lost = lab_process(call_and_be_lost, &t, &from);
    caller_begin(&a, &t);
    reeve_queue_close(&a.held);
    reeve_queue_close(&a.go);
    a.held = lab_queue(a.ctx, "held", NULL);
    a.go = lab_queue(a.ctx, "go", NULL);
    await_hold(&a);
    lab_kill(lost);
    close(from);
    OK(reeve_queue_put_str(a.go, "go", LONG_MS));
    OK(call_int(&x, a.instance, "add", 10)); /* behind the one that nobody waits for */
    CHECK(x == 11);
    caller_end(&a);
    OK(reeve_instance_free(&c));
    reeve_pool_close(&pool);
    OK(reeve_close(&ctx));
    town_end(&t);
}

TEST(call_goes_on_over_a_restart_of_the_manager)
{
    struct town t;
    struct caller a = {0};
    struct caller b = {0};
    pthread_t threads[2];
    reeve_context *ctx = NULL;
    reeve_pool *pool = NULL;
    reeve_instance *c = NULL;
    int64_t x = 0;

    town_begin(&t);
    ctx = lab_open(&t.lab, t.m.url);
    OK(reeve_pool_open(&pool, ctx, NULL));
    c = named_new(pool, "clerk");
    caller_begin(&a, &t);
    caller_begin(&b, &t);
    threads[0] = lab_thread(call_hold, &a);
    await_hold(&a);
    threads[1] = lab_thread(call_hold, &b); /* waits behind it */
    manager_kill(&t.m);
    manager_start_log(&t.m, &t.lab);
    OK(reeve_queue_put_str(a.go, "go", LONG_MS));
    lab_join(threads[0]);
    OK(a.err);
    CHECK(a.got == 1);
    await_hold(&b);
    OK(reeve_queue_put_str(b.go, "go", LONG_MS));
    lab_join(threads[1]);
    OK(b.err);
    CHECK(b.got == 2); /* each was run once */
    OK(call_int(&x, a.instance, "get", 0));
    if (x != 2)
        fprintf(stderr, "x %lld\n", (long long)x);
    CHECK(x == 2);
    OK(reeve_instance_free(&c));
    FAILS(REEVE_EGONE, call_int(&x, b.instance, "get", 0));
    caller_end(&a);
    caller_end(&b);
    reeve_pool_close(&pool);
    OK(reeve_close(&ctx));
    town_end(&t);
}

/* ---- state ---- */

TEST(state_that_is_kept_survives_a_crash)
{
    struct stage s;
    reeve_instance *c = NULL;
    reeve_builder *b = reeve_builder_new();
    int64_t x = 0;

    stage_begin(&s, 3);
    OK(reeve_put_int(b, 40));
    OK(reeve_instance_new(&c, s.pool, REEVE_FN(kept), b, &(reeve_instance_options){.keep = true}));
    FAILS(REEVE_ECRASHED, call_int(&x, c, "crash", 0));
    OK(call_int(&x, c, "get", 0)); /* nothing was kept yet: as it was constructed */
    CHECK(x == 40);
    OK(call_int(&x, c, "add", 2));
    FAILS(REEVE_ECRASHED, call_int(&x, c, "crash", 0));
    SAYS("constructed anew");
    OK(call_int(&x, c, "get", 0));
    CHECK(x == 42);
    OK(reeve_instance_free(&c));
    FAILS(REEVE_ECALL, reeve_instance_new(&c, s.pool, REEVE_FN(counter), b,
                                          &(reeve_instance_options){.keep = true}));
    SAYS("no save and load");
    reeve_builder_free(&b);
    stage_end(&s);
}
