/* Every function of context.h and queue.h against a real manager, with the errors that it
 * promises. */

#include "tests/shell/lab.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct stage {
    struct lab lab;
    struct manager m;
    reeve_context *ctx;
};

static void stage_begin(struct stage *s)
{
    lab_begin(&s->lab);
    manager_start_ipc(&s->m, &s->lab);
    s->ctx = lab_open(&s->lab, s->m.url);
}

static void stage_begin_tcp(struct stage *s)
{
    lab_begin(&s->lab);
    manager_start(&s->m, &s->lab, "tcp://127.0.0.1:0");
    s->ctx = lab_open(&s->lab, s->m.url);
}

static void stage_end(struct stage *s)
{
    OK(reeve_close(&s->ctx));
    manager_kill(&s->m);
    lab_end(&s->lab);
}

static void check_text(const reeve_value *v, const char *wanted)
{
    const char *text = NULL;
    size_t len = 0;

    CHECK(reeve_get_str(v, &text, &len));
    if (len != strlen(wanted))
        fprintf(stderr, "wanted \"%s\", got \"%.*s\"\n", wanted, (int)len, text);
    CHECK(len == strlen(wanted) && memcmp(text, wanted, len) == 0);
}

static void check_next(reeve_queue *q, const char *wanted)
{
    reeve_value *v = NULL;

    OK(reeve_queue_get(&v, q, 5000));
    check_text(v, wanted);
    reeve_value_free(&v);
}

/* ---- sessions ---- */

/* row: M04 */
/* row: M08 */
/* row: M24 */
TEST(session_over_tcp_knows_its_endpoint)
{
    struct stage s;

    stage_begin_tcp(&s);
    CHECK(strncmp(s.m.url, "tcp://127.0.0.1:", 16) == 0);
    CHECK(strcmp(s.m.url, "tcp://127.0.0.1:0") != 0);
    CHECK(strcmp(reeve_endpoint(s.ctx), s.m.url) == 0);
    OK(reeve_ping(s.ctx, 5000));
    OK(reeve_flush(s.ctx, 5000));
    stage_end(&s);
}

/* Without a word of configuration: the socket of this user. */
TEST(default_is_the_users_own_socket)
{
    struct lab lab;
    struct manager m;
    reeve_context *ctx = NULL;
    char bind[160];

    lab_begin(&lab);
    snprintf(bind, sizeof bind, "ipc://%s/reeve/reeve.sock", lab.dir);
    FAILS(REEVE_EINVAL, reeve_open(&ctx, &(reeve_options){.no_private = true}));
    SAYS(bind);
    manager_start(&m, &lab, bind);
    OK(reeve_open(&ctx, NULL));
    CHECK(strcmp(reeve_endpoint(ctx), bind) == 0);
    OK(reeve_close(&ctx));
    manager_kill(&m);
    lab_end(&lab);
}

/* row: M16 */
TEST(status_and_listings_tell_what_is_there)
{
    struct stage s;
    reeve_queue *jobs = NULL;
    reeve_queue *mail = NULL;
    reeve_dict *dict = NULL;
    reeve_array *array = NULL;
    reeve_value *v = NULL;
    const reeve_value *row = NULL;

    stage_begin(&s);
    jobs = lab_queue(s.ctx, "jobs", &(reeve_queue_options){.maxsize = 5, .joinable = true});
    mail = lab_queue(
        s.ctx, "mail",
        &(reeve_queue_options){.order = REEVE_LIFO, .ttl_ms = 60000, .durable = REEVE_DURABLE_OS});
    OK(reeve_dict_open(&dict, s.ctx, "dict", &(reeve_container_options){.max_bytes = 1000}));
    OK(reeve_array_open(&array, s.ctx, "array", 'd', 3, NULL));
    OK(reeve_queue_put_str(jobs, "one", 1000));
    CHECK(reeve_reached() == REEVE_DURABLE_NONE); /* there is no log */

    OK(reeve_status(&v, s.ctx, 5000));
    CHECK(reeve_value_len(v) == 25);
    check_text(reeve_value_find(v, "durable"), "none");
    CHECK(reeve_value_type(reeve_value_find(v, "store")) == REEVE_STR);
    CHECK(reeve_value_type(reeve_value_find(v, "server")) == REEVE_STR);
    reeve_value_free(&v);
    CHECK(lab_status(s.ctx, "sessions") == 1 && lab_status(s.ctx, "attached") == 1);
    CHECK(lab_status(s.ctx, "objects") == 4 && lab_status(s.ctx, "queued") == 1);
    CHECK(lab_status(s.ctx, "puts") == 1 && lab_status(s.ctx, "gets") == 0);

    OK(reeve_objects(&v, s.ctx, NULL, 5000));
    CHECK(reeve_value_len(v) == 4); /* by their names */
    check_text(reeve_value_find(reeve_value_at(v, 0), "typecode"), "d");
    row = reeve_value_at(v, 2);
    CHECK(reeve_value_len(row) == 20);
    check_text(reeve_value_find(row, "name"), "jobs");
    check_text(reeve_value_find(row, "type"), "JoinableQueue");
    check_text(reeve_value_find(row, "durable"), "sync");
    check_text(reeve_value_find(reeve_value_at(v, 3), "type"), "LifoQueue");
    check_text(reeve_value_find(reeve_value_at(v, 3), "durable"), "os");
    reeve_value_free(&v);
    OK(reeve_objects(&v, s.ctx, "ma", 5000));
    CHECK(reeve_value_len(v) == 1);
    reeve_value_free(&v);
    CHECK(lab_listed(s.ctx, "jobs", "maxsize") == 5 && lab_listed(s.ctx, "jobs", "size") == 1);
    CHECK(lab_listed(s.ctx, "jobs", "unfinished") == 1);
    CHECK(lab_listed(s.ctx, "jobs", "ttl_ms") == 0 && lab_listed(s.ctx, "mail", "ttl_ms") == 60000);
    CHECK(lab_listed(s.ctx, "dict", "max_bytes") == 1000);
    CHECK(lab_listed(s.ctx, "array", "size") == 3 && lab_listed(s.ctx, "array", "maxsize") == 3);

    OK(reeve_sessions(&v, s.ctx, 5000));
    CHECK(reeve_value_len(v) == 1);
    row = reeve_value_at(v, 0);
    CHECK(reeve_value_len(row) == 9);
    check_text(reeve_value_find(row, "key"), "client"); /* by its key, on ipc too */
    reeve_value_free(&v);
    CHECK(lab_sessions(s.ctx, program_invocation_short_name, "pid") == (uint64_t)getpid());
    reeve_queue_close(&jobs);
    reeve_queue_close(&mail);
    reeve_dict_close(&dict);
    reeve_array_close(&array);
    stage_end(&s);
}

/* More rows than one answer holds. */
TEST(long_listings_are_whole)
{
    enum { MANY = 1203 };
    struct stage s;
    reeve_value *v = NULL;

    stage_begin(&s);
    for (int i = 0; i < MANY; i++) {
        char name[16];
        reeve_queue *q = NULL;

        snprintf(name, sizeof name, "q%05d", i);
        q = lab_queue(s.ctx, name, NULL);
        reeve_queue_close(&q);
    }
    OK(reeve_objects(&v, s.ctx, "q", 5000));
    CHECK(reeve_value_len(v) == MANY);
    check_text(reeve_value_find(reeve_value_at(v, MANY - 1), "name"), "q01202");
    reeve_value_free(&v);
    stage_end(&s);
}

/* row: M06 */
/* row: M25 */
TEST(an_administrator_ends_the_manager)
{
    struct stage s;
    int64_t at = 0;

    stage_begin(&s);
    OK(reeve_shutdown(s.ctx, 5000));
    CHECK(manager_wait(&s.m) == 0);
    at = lab_ms();
    (void)reeve_close(&s.ctx); /* there is nobody to say goodbye to */
    CHECK(s.ctx == NULL);
    CHECK(lab_ms() - at < 3000);
    lab_end(&s.lab);
}

/* ---- rights ---- */

TEST(a_key_may_do_what_its_rights_say)
{
    struct stage s;
    struct lab lab;
    char path[160];
    const char *server = NULL;
    reeve_context *clerk = NULL;
    reeve_queue *mail = NULL;
    reeve_queue *own = NULL;
    reeve_queue *q = NULL;
    reeve_value *v = NULL;

    lab_begin(&s.lab);
    lab = s.lab;
    server = lab.manager.public_key;
    lab_client(&lab, "clerk", &server, 1, "client", "get:mail-*", path, sizeof path);
    manager_start(&s.m, &s.lab, "tcp://127.0.0.1:0");
    s.ctx = lab_open(&s.lab, s.m.url);
    own = lab_queue(s.ctx, "mail-1", NULL);
    OK(reeve_queue_put_str(own, "letter", 0));
    OK(reeve_open(&clerk, &(reeve_options){.url = s.m.url, .key = path}));
    OK(reeve_queue_open(&mail, clerk, "mail-1", NULL));
    check_next(mail, "letter");
    /* The put itself returns before the manager judges it; the flush tells. */
    OK(reeve_queue_put_str(mail, "forged", 0));
    FAILS(REEVE_EPERM, reeve_queue_flush(mail, 5000));
    SAYS("an earlier put was refused");
    FAILS(REEVE_EPERM, reeve_queue_open(&q, clerk, "mail-2", NULL));
    SAYS("clerk");
    FAILS(REEVE_EPERM, reeve_remove(clerk, "mail-1", 5000));
    FAILS(REEVE_EPERM, reeve_queue_shutdown(mail, true, 5000));
    FAILS(REEVE_EPERM, reeve_shutdown(clerk, 5000));
    FAILS(REEVE_EPERM, reeve_sessions(&v, clerk, 5000));
    OK(reeve_objects(&v, clerk, NULL, 5000));
    CHECK(reeve_value_len(v) == 0); /* nothing that it may list */
    reeve_value_free(&v);
    reeve_queue_close(&mail);
    OK(reeve_close(&clerk));
    CHECK(lab_listed(s.ctx, "mail-1", "size") == 0);
    reeve_queue_close(&own);
    stage_end(&s);
}

/* ---- opening queues ---- */

/* row: T01 */
TEST(a_name_is_one_queue_with_one_set_of_options)
{
    struct stage s;
    reeve_queue *q = NULL;
    reeve_queue *same = NULL;
    char name[300];

    stage_begin(&s);
    FAILS(REEVE_ENOENT,
          reeve_queue_open(&q, s.ctx, "jobs", &(reeve_queue_options){.create = REEVE_GET_ONLY}));
    OK(reeve_queue_open(&q, s.ctx, "jobs",
                        &(reeve_queue_options){.maxsize = 2, .create = REEVE_CREATE}));
    CHECK(strcmp(reeve_queue_name(q), "jobs") == 0);
    FAILS(REEVE_EEXIST,
          reeve_queue_open(&same, s.ctx, "jobs", &(reeve_queue_options){.create = REEVE_CREATE}));
    FAILS(REEVE_EEXIST, reeve_queue_open(&same, s.ctx, "jobs", NULL));
    CHECK(same == NULL);
    OK(reeve_queue_open(&same, s.ctx, "jobs", &(reeve_queue_options){.create = REEVE_GET_ONLY}));
    OK(reeve_queue_put_str(same, "a", 0));
    OK(reeve_queue_put_str(q, "b", 0));
    FAILS(REEVE_EFULL, reeve_queue_put_str(same, "c", 0)); /* it took the bound, too */
    reeve_queue_close(&same);
    reeve_queue_close(&q);
    memset(name, 'n', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    FAILS(REEVE_ELIMIT, reeve_queue_open(&q, s.ctx, name, NULL));
    FAILS(REEVE_EINVAL, reeve_queue_open(&q, s.ctx, "a\nb", NULL));
    FAILS(REEVE_EINVAL,
          reeve_queue_open(&q, s.ctx, "x", &(reeve_queue_options){.order = (reeve_order)9}));
    FAILS(REEVE_EINVAL,
          reeve_queue_open(&q, s.ctx, "x", &(reeve_queue_options){.create = (reeve_create)9}));
    FAILS(REEVE_EINVAL, reeve_queue_open(&q, s.ctx, "x", &(reeve_queue_options){.reserved = {1}}));
    CHECK(q == NULL);
    stage_end(&s);
}

/* What another type has the name of is not opened, and nothing that is open is closed for that. */
TEST(an_open_that_meets_another_type_closes_nothing)
{
    struct stage s;
    reeve_context *other = NULL;
    reeve_lock *held = NULL;
    reeve_lock *same = NULL;
    reeve_lock *none = NULL;
    reeve_queue *q = NULL;

    stage_begin(&s);
    other = lab_open(&s.lab, s.m.url);
    q = lab_queue(s.ctx, "jobs", NULL);
    OK(reeve_lock_open(&held, s.ctx, "lock", NULL));
    OK(reeve_lock_open(&same, other, "lock", NULL));
    OK(reeve_lock_acquire(held, 5000));
    for (int i = 0; i < 3; i++)
        FAILS(REEVE_ETYPE, reeve_lock_open(&none, s.ctx, "jobs", NULL));
    FAILS(REEVE_ETIME, reeve_lock_acquire(same, 0));
    OK(reeve_lock_release(held));
    CHECK(lab_status(s.ctx, "refused") == 0);
    reeve_lock_close(&held);
    reeve_lock_close(&same);
    reeve_queue_close(&q);
    OK(reeve_close(&other));
    stage_end(&s);
}

TEST(queues_go_when_nobody_holds_them)
{
    struct stage s;
    reeve_queue *q = NULL;

    stage_begin(&s);
    q = lab_queue(s.ctx, NULL, NULL);
    CHECK(strcmp(reeve_queue_name(q), "") == 0);
    CHECK(lab_status(s.ctx, "objects") == 1);
    reeve_queue_close(&q);
    CHECK(lab_status(s.ctx, "objects") == 0);
    q = lab_queue(s.ctx, "brief", &(reeve_queue_options){.ttl_ms = 50});
    reeve_queue_close(&q);
    EVENTUALLY(5000, lab_status(s.ctx, "objects") == 0);
    q = lab_queue(s.ctx, "lasting", NULL);
    OK(reeve_queue_put_str(q, "still here", 0));
    reeve_queue_close(&q);
    q = lab_queue(s.ctx, "lasting", NULL);
    check_next(q, "still here");
    reeve_queue_close(&q);
    stage_end(&s);
}

static void *wait_for_removal(void *arg)
{
    reeve_value *v = NULL;

    FAILS(REEVE_EGONE, reeve_queue_get(&v, arg, REEVE_FOREVER));
    SAYS("cannot get from queue jobs");
    return NULL;
}

TEST(removal_ends_the_calls_of_all_who_use_it)
{
    struct stage s;
    reeve_queue *q = NULL;
    reeve_value *v = NULL;
    pthread_t waiting;
    size_t size = 0;

    stage_begin(&s);
    q = lab_queue(s.ctx, "jobs", NULL);
    waiting = lab_thread(wait_for_removal, q);
    EVENTUALLY(5000, lab_listed(s.ctx, "jobs", "getters") == 1);
    OK(reeve_remove(s.ctx, "jobs", 5000));
    lab_join(waiting);
    FAILS(REEVE_ENOENT, reeve_remove(s.ctx, "jobs", 5000));
    FAILS(REEVE_EGONE, reeve_queue_get(&v, q, 0));
    FAILS(REEVE_EGONE, reeve_queue_size(q, &size));
    OK(reeve_queue_put_str(q, "x", 0));
    FAILS(REEVE_EGONE, reeve_queue_flush(q, 5000));
    reeve_queue_close(&q);
    stage_end(&s);
}

/* ---- interrupts ---- */

struct waiting {
    reeve_queue *empty, *full, *open;
    reeve_lock *lock;
    reeve_dict *dict;
    atomic_int back;
};

static void *interrupted_get(void *arg)
{
    struct waiting *w = arg;
    reeve_value *v = NULL;

    FAILS(REEVE_ECANCELED, reeve_queue_get(&v, w->empty, REEVE_FOREVER));
    SAYS("cannot get from queue empty: the call was interrupted");
    CHECK(v == NULL);
    atomic_fetch_add(&w->back, 1);
    return NULL;
}

static void *interrupted_put(void *arg)
{
    struct waiting *w = arg;

    FAILS(REEVE_ECANCELED, lab_put_int(w->full, 2, REEVE_FOREVER));
    atomic_fetch_add(&w->back, 1);
    return NULL;
}

static void *interrupted_join(void *arg)
{
    struct waiting *w = arg;

    FAILS(REEVE_ECANCELED, reeve_queue_join(w->open, REEVE_FOREVER));
    atomic_fetch_add(&w->back, 1);
    return NULL;
}

static void *interrupted_acquire(void *arg)
{
    struct waiting *w = arg;

    FAILS(REEVE_ECANCELED, reeve_lock_acquire(w->lock, REEVE_FOREVER));
    atomic_fetch_add(&w->back, 1);
    return NULL;
}

static void *interrupted_follower(void *arg)
{
    struct waiting *w = arg;
    uint64_t version = 0;

    FAILS(REEVE_ECANCELED, reeve_dict_wait(w->dict, NULL, &version, REEVE_FOREVER));
    atomic_fetch_add(&w->back, 1);
    return NULL;
}

TEST(an_interrupt_ends_what_waits_and_nothing_else)
{
    enum { THREADS = 5 };
    void *(*const calls[THREADS])(void *) = {interrupted_get, interrupted_put, interrupted_join,
                                             interrupted_acquire, interrupted_follower};
    pthread_t threads[THREADS];
    struct waiting w = {0};
    struct stage s;
    int64_t x = 0;

    stage_begin(&s);
    w.empty = lab_queue(s.ctx, "empty", NULL);
    w.full = lab_queue(s.ctx, "full", &(reeve_queue_options){.maxsize = 1});
    w.open = lab_queue(s.ctx, "open", &(reeve_queue_options){.joinable = true});
    OK(reeve_lock_open(&w.lock, s.ctx, "lock", NULL));
    OK(reeve_dict_open(&w.dict, s.ctx, "dict", NULL));
    OK(lab_put_int(w.full, 1, 5000));
    OK(lab_put_int(w.open, 1, 5000));
    OK(reeve_queue_flush(w.open, 5000));
    OK(reeve_lock_acquire(w.lock, 5000));
    for (int i = 0; i < THREADS; i++)
        threads[i] = lab_thread(calls[i], &w);
    EVENTUALLY(5000, lab_sessions(s.ctx, program_invocation_short_name, "waiting") == THREADS);
    reeve_interrupt(s.ctx);
    EVENTUALLY(5000, atomic_load(&w.back) == THREADS);
    for (int i = 0; i < THREADS; i++)
        lab_join(threads[i]);
    EVENTUALLY(5000, lab_sessions(s.ctx, program_invocation_short_name, "waiting") == 0);
    OK(lab_put_int(w.empty, 3, 5000)); /* nobody is owed it any more */
    OK(lab_get_int(&x, w.empty, 5000));
    CHECK(x == 3);
    OK(lab_get_int(&x, w.full, 5000));
    CHECK(x == 1);
    FAILS(REEVE_EEMPTY, lab_get_int(&x, w.full, 50));
    OK(reeve_lock_release(w.lock));
    OK(reeve_lock_acquire(w.lock, 5000));
    OK(reeve_lock_release(w.lock));
    reeve_queue_close(&w.empty);
    reeve_queue_close(&w.full);
    reeve_queue_close(&w.open);
    reeve_lock_close(&w.lock);
    reeve_dict_close(&w.dict);
    stage_end(&s);
}

/* ---- put and get ---- */

/* row: Q02 */
/* row: Q04 */
TEST(items_leave_in_the_order_they_came)
{
    struct stage s;
    reeve_queue *q = NULL;
    reeve_value *v = NULL;
    const void *data = NULL;
    size_t len = 0;

    stage_begin(&s);
    q = lab_queue(s.ctx, "jobs", NULL);
    OK(reeve_queue_put_str(q, "one", REEVE_FOREVER));
    OK(reeve_queue_put_str(q, "", 0));
    OK(reeve_queue_put_bytes(q, "\0\xff", 2, 0));
    check_next(q, "one");
    check_next(q, "");
    OK(reeve_queue_get(&v, q, REEVE_FOREVER));
    CHECK(reeve_get_bytes(v, &data, &len) && len == 2 && memcmp(data, "\0\xff", 2) == 0);
    CHECK(reeve_value_deliveries(v) == 0);
    reeve_value_free(&v);
    reeve_queue_close(&q);
    stage_end(&s);
}

/* row: Q05 */
TEST(a_call_that_does_not_wait_returns_at_once)
{
    struct stage s;
    reeve_queue *q = NULL;
    reeve_value *v = NULL;
    int64_t at = 0;

    stage_begin(&s);
    q = lab_queue(s.ctx, "jobs", &(reeve_queue_options){.maxsize = 1});
    at = lab_ms();
    FAILS(REEVE_EEMPTY, reeve_queue_get(&v, q, 0));
    CHECK(v == NULL);
    SAYS("cannot get from queue jobs: queue is empty");
    OK(reeve_queue_put_str(q, "a", 0));
    FAILS(REEVE_EFULL, reeve_queue_put_str(q, "b", 0));
    SAYS("cannot put to queue jobs: queue is full");
    CHECK(lab_ms() - at < 2000);
    at = lab_ms();
    FAILS(REEVE_EFULL, reeve_queue_put_str(q, "b", 100));
    CHECK(lab_ms() - at >= 100);
    check_next(q, "a");
    at = lab_ms();
    FAILS(REEVE_EEMPTY, reeve_queue_get(&v, q, 100));
    CHECK(lab_ms() - at >= 100);
    reeve_queue_close(&q);
    stage_end(&s);
}

static void *take_later(void *arg)
{
    reeve_queue *q = arg;
    bool full = false;

    while (!full)
        OK(reeve_queue_full(q, &full));
    check_next(q, "a");
    return NULL;
}

/* row: Q01 */
/* row: Q17 */
TEST(a_full_queue_makes_its_producer_wait)
{
    struct stage s;
    reeve_queue *q = NULL;
    pthread_t thread;

    stage_begin(&s);
    q = lab_queue(s.ctx, "jobs", &(reeve_queue_options){.maxsize = 1});
    thread = lab_thread(take_later, q);
    OK(reeve_queue_put_str(q, "a", REEVE_FOREVER));
    OK(reeve_queue_put_str(q, "b", REEVE_FOREVER));
    lab_join(thread);
    check_next(q, "b");
    reeve_queue_close(&q);
    stage_end(&s);
}

/* row: Q06 */
/* row: Q07 */
TEST(sizes_are_counted_by_the_manager)
{
    struct stage s;
    reeve_queue *q = NULL;
    size_t size = 9;
    bool yes = false;

    stage_begin(&s);
    q = lab_queue(s.ctx, "jobs", &(reeve_queue_options){.maxsize = 2});
    OK(reeve_queue_empty(q, &yes));
    CHECK(yes);
    OK(reeve_queue_put_str(q, "a", 0));
    OK(reeve_queue_size(q, &size));
    CHECK(size == 1);
    OK(reeve_queue_empty(q, &yes));
    CHECK(!yes);
    OK(reeve_queue_full(q, &yes));
    CHECK(!yes);
    OK(reeve_queue_put_str(q, "b", 0));
    OK(reeve_queue_full(q, &yes));
    CHECK(yes);
    reeve_queue_close(&q);
    q = lab_queue(s.ctx, "other", NULL);
    for (int i = 0; i < 100; i++)
        OK(reeve_queue_put_str(q, "x", 0));
    OK(reeve_queue_size(q, &size)); /* it sees what was put before, flushed or not */
    CHECK(size == 100);
    OK(reeve_queue_full(q, &yes));
    CHECK(!yes);
    reeve_queue_close(&q);
    stage_end(&s);
}

TEST(lifo_and_priority_have_their_orders)
{
    static const char *const names[] = {"low", "high", "mid", "high too"};
    static const int64_t priorities[] = {9, -1, 0, -1};
    struct stage s;
    reeve_queue *q = NULL;
    reeve_builder *b = reeve_builder_new();

    stage_begin(&s);
    q = lab_queue(s.ctx, "stack", &(reeve_queue_options){.order = REEVE_LIFO});
    OK(reeve_queue_put_str(q, "first", 0));
    OK(reeve_queue_put_str(q, "last", 0));
    check_next(q, "last");
    check_next(q, "first");
    reeve_queue_close(&q);
    q = lab_queue(s.ctx, "heap", &(reeve_queue_options){.order = REEVE_PRIORITY});
    for (size_t i = 0; i < rv_countof(names); i++) {
        OK(reeve_put_str(b, names[i]));
        OK(reeve_queue_put_priority(q, b, priorities[i], 0));
        reeve_builder_reset(b);
    }
    check_next(q, "high");
    check_next(q, "high too");
    check_next(q, "mid");
    check_next(q, "low");
    reeve_queue_close(&q);
    reeve_builder_free(&b);
    stage_end(&s);
}

TEST(many_items_go_in_one_call)
{
    enum { MANY = 300 };
    struct stage s;
    reeve_queue *q = NULL;
    reeve_builder *builders[MANY];
    reeve_value *values[MANY];
    size_t accepted = 9;
    size_t len = 9;
    size_t got = 0;
    int64_t x = 0;

    stage_begin(&s);
    for (int i = 0; i < MANY; i++) {
        builders[i] = reeve_builder_new();
        OK(reeve_put_int(builders[i], i));
    }
    q = lab_queue(s.ctx, "few", &(reeve_queue_options){.maxsize = 3});
    FAILS(REEVE_EFULL,
          reeve_queue_put_many(q, (const reeve_builder *const *)builders, 5, 0, &accepted));
    CHECK(accepted == 3);
    OK(reeve_queue_get_many(values, MANY, &len, q, 1000));
    CHECK(len == 3);
    for (size_t i = 0; i < len; i++) {
        CHECK(reeve_get_int(values[i], &x) && x == (int64_t)i);
        reeve_value_free(&values[i]);
    }
    FAILS(REEVE_EEMPTY, reeve_queue_get_many(values, MANY, &len, q, 0));
    CHECK(len == 0);
    FAILS(REEVE_EINVAL, reeve_queue_get_many(values, 0, &len, q, 0));
    reeve_queue_close(&q);

    q = lab_queue(s.ctx, "lots", NULL);
    OK(reeve_queue_put_many(q, (const reeve_builder *const *)builders, MANY, 0, &accepted));
    CHECK(accepted == MANY);
    OK(reeve_queue_put_many(q, NULL, 0, 0, NULL));
    while (got < MANY) {
        OK(reeve_queue_get_many(values, MANY - got, &len, q, 5000));
        for (size_t i = 0; i < len; i++) {
            CHECK(reeve_get_int(values[i], &x) && x == (int64_t)got++);
            reeve_value_free(&values[i]);
        }
    }
    for (int i = 0; i < MANY; i++)
        reeve_builder_free(&builders[i]);
    reeve_queue_close(&q);
    stage_end(&s);
}

static void *take_three(void *arg)
{
    int64_t x = 0;

    for (int i = 0; i < 3; i++) {
        OK(lab_get_int(&x, arg, 5000));
        CHECK(x == i);
    }
    return NULL;
}

static reeve_err put_async(reeve_queue *q, int64_t x, uint32_t timeout_ms)
{
    reeve_builder *b = reeve_builder_new();
    reeve_err err = REEVE_OK;

    OK(reeve_put_int(b, x));
    err = reeve_queue_put_async(q, b, timeout_ms);
    reeve_builder_free(&b);
    return err;
}

TEST(asynchronous_puts_are_judged_later)
{
    struct stage s;
    reeve_queue *q = NULL;
    reeve_queue *unbounded = NULL;
    reeve_builder *half = reeve_builder_new();
    pthread_t taker;
    int64_t x = 0;

    stage_begin(&s);
    q = lab_queue(s.ctx, "few", &(reeve_queue_options){.maxsize = 2});
    unbounded = lab_queue(s.ctx, "many", NULL);
    for (int i = 0; i < 3; i++)
        OK(put_async(q, i, 0));
    FAILS(REEVE_EFULL, reeve_queue_flush(q, 5000));
    SAYS("an earlier put was refused");
    OK(reeve_queue_flush(q, 5000)); /* told once */
    OK(put_async(q, 2, REEVE_FOREVER));
    FAILS(REEVE_ETIME, reeve_queue_flush(q, 50)); /* it waits for room */
    taker = lab_thread(take_three, q);
    OK(reeve_queue_flush(q, 5000));
    lab_join(taker);

    OK(put_async(unbounded, 7, 0));
    OK(lab_get_int(&x, unbounded, 5000));
    CHECK(x == 7);
    FAILS(REEVE_EINVAL, reeve_queue_put_async(q, half, 0));
    OK(reeve_queue_shutdown(q, false, 5000));
    OK(put_async(q, 1, 0));
    FAILS(REEVE_ESHUTDOWN, reeve_queue_flush(q, 5000));
    reeve_builder_free(&half);
    reeve_queue_close(&q);
    reeve_queue_close(&unbounded);
    stage_end(&s);
}

/* In the batch, in a frame of its own, in fragments, and one too large for any. */
TEST(items_of_every_size_arrive)
{
    static const size_t sizes[] = {0, 1, 65535, 65536, 262144, 262145, 1000000, 16777216 - 5};
    struct stage s;
    reeve_queue *q = NULL;
    reeve_queue *bounded = NULL;
    uint8_t *bytes = malloc(16777217);

    CHECK(bytes != NULL);
    for (size_t i = 0; i < 16777217; i++)
        bytes[i] = (uint8_t)(i * 7 >> 3);
    stage_begin_tcp(&s);
    q = lab_queue(s.ctx, "jobs", NULL);
    bounded = lab_queue(s.ctx, "bounded", &(reeve_queue_options){.maxsize = 100});
    for (size_t i = 0; i < rv_countof(sizes); i++) {
        OK(reeve_queue_put_bytes(q, bytes, sizes[i], REEVE_FOREVER));
        OK(reeve_queue_put_bytes(bounded, bytes, sizes[i], REEVE_FOREVER));
    }
    for (size_t i = 0; i < rv_countof(sizes); i++) {
        reeve_queue *queues[] = {q, bounded};

        for (int k = 0; k < 2; k++) {
            reeve_value *v = NULL;
            const void *data = NULL;
            size_t len = 0;

            OK(reeve_queue_get(&v, queues[k], 10000));
            CHECK(reeve_get_bytes(v, &data, &len) && len == sizes[i]);
            CHECK(len == 0 || memcmp(data, bytes, len) == 0);
            reeve_value_free(&v);
        }
    }
    FAILS(REEVE_ETOOBIG, reeve_queue_put_bytes(q, bytes, 16777217, 0));
    FAILS(REEVE_ETOOBIG, reeve_queue_put_bytes(bounded, bytes, 16777217, 0));
    SAYS("16777216 bytes");
    OK(reeve_ping(s.ctx, 5000));
    reeve_queue_close(&q);
    reeve_queue_close(&bounded);
    free(bytes);
    stage_end(&s);
}

/* row: Q08 */
TEST(closing_gives_back_what_was_fetched_ahead)
{
    enum { MANY = 200 };
    struct stage s;
    reeve_context *other = NULL;
    reeve_queue *q = NULL;
    reeve_queue *rest = NULL;
    int64_t x = 0;

    stage_begin(&s);
    other = lab_open(&s.lab, s.m.url);
    q = lab_queue(s.ctx, "jobs", NULL);
    for (int i = 0; i < MANY; i++)
        OK(lab_put_int(q, i, 0));
    for (int i = 0; i < MANY / 2; i++) {
        OK(lab_get_int(&x, q, 5000));
        CHECK(x == i);
    }
    reeve_queue_close(&q);
    CHECK(q == NULL);
    rest = lab_queue(other, "jobs", NULL);
    for (int i = MANY / 2; i < MANY; i++) {
        OK(lab_get_int(&x, rest, 5000));
        CHECK(x == i);
    }
    reeve_queue_close(&rest);
    OK(reeve_close(&other));
    stage_end(&s);
}

/* ---- joinable queues ---- */

static void *finish_all(void *arg)
{
    reeve_queue *q = arg;

    for (int i = 0; i < 3; i++) {
        reeve_value *v = NULL;

        OK(reeve_queue_get(&v, q, 5000));
        if (i == 1)
            OK(reeve_queue_task_done(q, v));
        else
            OK(reeve_queue_task_done(q, NULL));
        reeve_value_free(&v);
    }
    FAILS(REEVE_ETOOMANY, reeve_queue_task_done(q, NULL));
    SAYS("called too many times");
    return NULL;
}

/* row: Q11 */
/* row: Q14 */
/* row: Q15 */
/* row: Q16 */
TEST(join_waits_until_all_is_done)
{
    struct stage s;
    reeve_queue *q = NULL;
    reeve_queue *plain = NULL;
    reeve_value *v = NULL;
    pthread_t worker;

    stage_begin(&s);
    q = lab_queue(s.ctx, "jobs", &(reeve_queue_options){.joinable = true});
    plain = lab_queue(s.ctx, "plain", NULL);
    OK(reeve_queue_join(q, 0));
    for (int i = 0; i < 3; i++)
        OK(lab_put_int(q, i, 0));
    FAILS(REEVE_ETIME, reeve_queue_join(q, 0));
    FAILS(REEVE_ETIME, reeve_queue_join(q, 50));
    worker = lab_thread(finish_all, q);
    OK(reeve_queue_join(q, REEVE_FOREVER));
    lab_join(worker);

    FAILS(REEVE_ETYPE, reeve_queue_join(plain, 0));
    FAILS(REEVE_ETYPE, reeve_queue_task_done(plain, NULL));
    OK(lab_put_int(q, 1, 0));
    OK(lab_put_int(plain, 1, 0));
    OK(reeve_queue_get(&v, plain, 5000));
    FAILS(REEVE_ETOOMANY, reeve_queue_task_done(q, v)); /* another queue's item */
    reeve_value_free(&v);
    OK(reeve_queue_get(&v, q, 5000));
    OK(reeve_queue_task_done(q, v));
    FAILS(REEVE_ETOOMANY, reeve_queue_task_done(q, v)); /* twice */
    reeve_value_free(&v);
    reeve_queue_close(&q);
    reeve_queue_close(&plain);
    stage_end(&s);
}

/* ---- the end of a queue ---- */

/* row: T02 */
TEST(a_queue_that_is_shut_down_drains)
{
    struct stage s;
    reeve_queue *q = NULL;
    reeve_queue *bounded = NULL;
    reeve_value *v = NULL;

    stage_begin(&s);
    q = lab_queue(s.ctx, "jobs", NULL);
    bounded = lab_queue(s.ctx, "few", &(reeve_queue_options){.maxsize = 9});
    OK(reeve_queue_put_str(q, "a", 0));
    OK(reeve_queue_put_str(q, "b", 0));
    OK(reeve_queue_shutdown(q, false, 5000));
    OK(reeve_queue_shutdown(bounded, false, 5000));
    FAILS(REEVE_ESHUTDOWN, reeve_queue_put_str(bounded, "c", REEVE_FOREVER));
    OK(reeve_queue_put_str(q, "c", 0));
    FAILS(REEVE_ESHUTDOWN, reeve_queue_flush(q, 5000));
    OK(reeve_queue_put_str(q, "d", 0));
    FAILS(REEVE_ESHUTDOWN, reeve_flush(s.ctx, 5000));
    check_next(q, "a");
    check_next(q, "b");
    FAILS(REEVE_ESHUTDOWN, reeve_queue_get(&v, q, REEVE_FOREVER));
    FAILS(REEVE_ESHUTDOWN, reeve_queue_get(&v, q, 0));
    reeve_queue_close(&q);
    reeve_queue_close(&bounded);

    q = lab_queue(s.ctx, "other", &(reeve_queue_options){.joinable = true});
    OK(reeve_queue_put_str(q, "a", 0));
    OK(reeve_queue_shutdown(q, true, 5000));
    FAILS(REEVE_ESHUTDOWN, reeve_queue_get(&v, q, REEVE_FOREVER));
    OK(reeve_queue_join(q, 5000)); /* what was dropped needs no task_done */
    reeve_queue_close(&q);
    stage_end(&s);
}
