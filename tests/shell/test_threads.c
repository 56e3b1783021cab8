/* Many threads on one context: who pumps, who is woken, and that nothing is lost or done twice. */

#include "tests/shell/scene.h"

#include <stdatomic.h>
#include <stdlib.h>

enum { THREADS = 4, ITEMS = 400 };

/* ---- what threads do ---- */

struct crowd {
    reeve_context *ctx;
    reeve_queue *q;
    atomic_int next; /* number of the next putter */
    atomic_bool over;
    atomic_int seen[THREADS * ITEMS]; /* how often each item came */
    atomic_int got;
};

static void *put_items(void *arg)
{
    struct crowd *c = arg;
    int first = atomic_fetch_add(&c->next, 1) * ITEMS;

    for (int i = 0; i < ITEMS; i++)
        OK(lab_put_int(c->q, first + i, REEVE_FOREVER));
    return NULL;
}

static void *get_items(void *arg)
{
    struct crowd *c = arg;
    int64_t x = 0;
    reeve_err err = REEVE_OK;

    while ((err = lab_get_int(&x, c->q, REEVE_FOREVER)) == REEVE_OK) {
        CHECK(x >= 0 && x < THREADS * ITEMS);
        atomic_fetch_add(&c->seen[x], 1);
        atomic_fetch_add(&c->got, 1);
    }
    FAILS(REEVE_ESHUTDOWN, err);
    return NULL;
}

static void *ask_around(void *arg)
{
    struct crowd *c = arg;
    size_t size = 0;

    while (!atomic_load(&c->over)) {
        OK(reeve_ping(c->ctx, REEVE_FOREVER));
        OK(reeve_queue_size(c->q, &size));
        CHECK(size <= THREADS * ITEMS);
        CHECK(reeve_endpoint(c->ctx)[0] == 't');
    }
    return NULL;
}

static void check_each_once(struct crowd *c)
{
    CHECK(atomic_load(&c->got) == THREADS * ITEMS);
    for (int i = 0; i < THREADS * ITEMS; i++)
        CHECK(atomic_load(&c->seen[i]) == 1);
}

/* Putters, getters and askers at once; `trouble` happens meanwhile. */
static void run_crowd(reeve_context *ctx, const reeve_queue_options *options,
                      void (*trouble)(struct scene *s, struct crowd *c), struct scene *s)
{
    static struct crowd c;
    pthread_t putters[THREADS];
    pthread_t getters[THREADS];
    pthread_t asker;

    c.ctx = ctx;
    c.q = lab_queue(ctx, "jobs", options);
    asker = lab_thread(ask_around, &c);
    for (int i = 0; i < THREADS; i++)
        getters[i] = lab_thread(get_items, &c);
    for (int i = 0; i < THREADS; i++)
        putters[i] = lab_thread(put_items, &c);
    if (trouble != NULL)
        trouble(s, &c);
    for (int i = 0; i < THREADS; i++)
        lab_join(putters[i]);
    OK(reeve_queue_flush(c.q, REEVE_FOREVER));
    OK(reeve_queue_shutdown(c.q, false, REEVE_FOREVER));
    for (int i = 0; i < THREADS; i++)
        lab_join(getters[i]);
    atomic_store(&c.over, true);
    lab_join(asker);
    check_each_once(&c);
    reeve_queue_close(&c.q);
}

static void *get_until_told(void *arg)
{
    struct crowd *c = arg;
    int64_t x = 0;

    while (!atomic_load(&c->over)) {
        reeve_err err = lab_get_int(&x, c->q, REEVE_FOREVER);

        CHECK(err == REEVE_OK || err == REEVE_ECANCELED);
        if (err == REEVE_OK)
            atomic_fetch_add(&c->got, 1);
    }
    atomic_fetch_add(&c->next, 1);
    return NULL;
}

/* What one of them had been given when it was interrupted goes to the next one. */
TEST(interrupted_getters_lose_no_item)
{
    static struct crowd c;
    pthread_t getters[THREADS];
    reeve_context *ctx = NULL;
    struct scene s;

    scene_begin(&s);
    c.ctx = ctx = scene_open(&s);
    c.q = lab_queue(ctx, "jobs", NULL);
    for (int i = 0; i < THREADS; i++)
        getters[i] = lab_thread(get_until_told, &c);
    for (int i = 0; i < ITEMS; i++) {
        OK(lab_put_int(c.q, i, REEVE_FOREVER));
        if (i % 3 == 0)
            reeve_interrupt(ctx);
    }
    EVENTUALLY(20000, atomic_load(&c.got) == ITEMS);
    atomic_store(&c.over, true);
    while (atomic_load(&c.next) < THREADS) {
        reeve_interrupt(ctx);
        lab_nap();
    }
    for (int i = 0; i < THREADS; i++)
        lab_join(getters[i]);
    reeve_queue_close(&c.q);
    OK(reeve_close(&ctx));
    scene_end(&s);
}

/* row: Q02 */
/* row: Q04 */
TEST(many_threads_share_a_context)
{
    struct scene s;
    reeve_context *ctx = NULL;

    scene_begin(&s);
    ctx = scene_open(&s);
    run_crowd(ctx, NULL, NULL, &s);
    OK(reeve_close(&ctx));
    scene_end(&s);
}

/* row: Q01 */
TEST(many_threads_share_a_bounded_queue)
{
    struct scene s;
    reeve_context *ctx = NULL;

    scene_begin(&s);
    ctx = scene_open(&s);
    run_crowd(ctx, &(reeve_queue_options){.maxsize = 3}, NULL, &s);
    OK(reeve_close(&ctx));
    scene_end(&s);
}

static void cut_often(struct scene *s, struct crowd *c)
{
    for (int i = 0; i < 8 && atomic_load(&c->got) < THREADS * ITEMS; i++) {
        unsigned before = fake_opened(s->fake);

        fake_cut(s->fake);
        EVENTUALLY(5000, fake_opened(s->fake) > before);
        lab_nap();
    }
}

TEST(cut_connections_neither_lose_nor_repeat_items)
{
    struct scene s;
    reeve_context *ctx = NULL;

    scene_begin(&s);
    ctx = scene_open(&s);
    run_crowd(ctx, NULL, cut_often, &s);
    CHECK(fake_opened(s.fake) > 1);
    OK(reeve_close(&ctx));
    scene_end(&s);
}

/* ---- handing the pump over ---- */

struct getter {
    reeve_queue *q;
    int64_t x;
    int64_t returned_ms;
};

static void *get_one(void *arg)
{
    struct getter *g = arg;

    OK(lab_get_int(&g->x, g->q, REEVE_FOREVER));
    g->returned_ms = lab_ms();
    return NULL;
}

/* Three threads wait on one connection: one pumps, and when it goes the next one must. In any
 * order, each is woken by its own item and by nothing else. */
TEST(who_pumped_hands_over_when_it_leaves)
{
    static const int orders[][3] = {{0, 1, 2}, {2, 1, 0}, {1, 0, 2}, {1, 2, 0}};
    static const char *const names[] = {"a", "b", "c"};
    struct scene s;
    reeve_context *ctx = NULL;
    reeve_context *other = NULL;
    struct getter getters[3] = {{0}};
    reeve_queue *queues[3];

    scene_begin(&s);
    ctx = scene_open(&s);
    other = scene_open(&s);
    for (int i = 0; i < 3; i++) {
        getters[i].q = lab_queue(ctx, names[i], NULL);
        queues[i] = lab_queue(other, names[i], NULL);
    }
    for (size_t round = 0; round < rv_countof(orders); round++) {
        pthread_t threads[3];

        for (int i = 0; i < 3; i++) {
            threads[i] = lab_thread(get_one, &getters[i]);
            EVENTUALLY(5000, lab_listed(other, names[i], "getters") == 1);
        }
        for (int i = 0; i < 3; i++) {
            int who = orders[round][i];
            int64_t before = lab_ms();

            OK(lab_put_int(queues[who], who, 0));
            lab_join(threads[who]);
            CHECK(getters[who].x == who);
            CHECK(getters[who].returned_ms - before < SLACK_MS);
        }
    }
    for (int i = 0; i < 3; i++) {
        reeve_queue_close(&getters[i].q);
        reeve_queue_close(&queues[i]);
    }
    OK(reeve_close(&ctx));
    OK(reeve_close(&other));
    scene_end(&s);
}

/* The answers for two threads arrive together, in two messages. The descriptor tells of both
 * at once, and who wakes first must not leave the other's lying there. */
TEST(answers_that_arrive_together_wake_all_whom_they_answer)
{
    struct scene s;
    reeve_context *ctx = NULL;
    reeve_context *others[2];
    struct getter getters[2] = {{0}};
    static const char *const names[] = {"a", "b"};

    scene_begin(&s);
    ctx = scene_open(&s);
    for (int i = 0; i < 2; i++) {
        others[i] = scene_open(&s);
        getters[i].q = lab_queue(ctx, names[i], NULL);
    }
    for (int round = 0; round < 10; round++) {
        reeve_queue *in[2];
        pthread_t threads[2];
        int64_t at = 0;

        for (int i = 0; i < 2; i++) {
            in[i] = lab_queue(others[i], names[i], NULL);
            threads[i] = lab_thread(get_one, &getters[i]);
            EVENTUALLY(5000, lab_listed(others[i], names[i], "getters") == 1);
        }
        fake_hold(s.fake, true);
        for (unsigned i = 0; i < 2; i++) {
            unsigned before = fake_held(s.fake);

            OK(lab_put_int(in[i], (int64_t)i, 0));
            EVENTUALLY(5000, fake_held(s.fake) >= before + 2); /* the item, and that it came */
        }
        at = lab_ms();
        fake_hold(s.fake, false);
        for (int i = 0; i < 2; i++) {
            lab_join(threads[i]);
            CHECK(getters[i].x == i);
            CHECK(getters[i].returned_ms - at < SLACK_MS);
            reeve_queue_close(&in[i]);
        }
    }
    for (int i = 0; i < 2; i++) {
        reeve_queue_close(&getters[i].q);
        OK(reeve_close(&others[i]));
    }
    OK(reeve_close(&ctx));
    scene_end(&s);
}

static void *measure(void *arg)
{
    struct getter *g = arg;
    size_t size = 0;

    OK(reeve_queue_size(g->q, &size));
    return NULL;
}

/* The same when the first answer is one that is not acknowledged, so that no clock helps. */
TEST(answer_behind_a_measure_is_not_left_lying)
{
    struct scene s;
    reeve_context *ctx = NULL;
    reeve_context *other = NULL;
    struct getter measurer = {0};
    struct getter getter = {0};
    reeve_queue *in = NULL;

    scene_begin(&s);
    ctx = scene_open(&s);
    other = scene_open(&s);
    getter.q = lab_queue(ctx, "jobs", NULL);
    measurer.q = getter.q;
    in = lab_queue(other, "jobs", NULL);
    for (int round = 0; round < 3; round++) {
        pthread_t threads[2];
        unsigned before = 0;
        int64_t at = 0;

        OK(reeve_flush(ctx, 5000));
        OK(reeve_flush(other, 5000));
        fake_hold(s.fake, true);
        before = fake_held(s.fake);
        threads[0] = lab_thread(measure, &measurer); /* it pumps ... */
        EVENTUALLY(5000, fake_held(s.fake) > before);
        threads[1] = lab_thread(get_one, &getter); /* ... and this one waits */
        EVENTUALLY(5000, fake_held(s.fake) > before + 1);
        before = fake_held(s.fake);
        OK(lab_put_int(in, round, 0));
        EVENTUALLY(5000, fake_held(s.fake) >= before + 2);
        at = lab_ms();
        fake_hold(s.fake, false);
        lab_join(threads[0]);
        lab_join(threads[1]);
        CHECK(getter.x == round);
        CHECK(getter.returned_ms - at < 1000);
    }
    reeve_queue_close(&getter.q);
    reeve_queue_close(&in);
    OK(reeve_close(&ctx));
    OK(reeve_close(&other));
    scene_end(&s);
}

/* A question asked back arrives together with the answer that a caller waits for. The caller
 * goes to compute; the background answers. */
TEST(recall_that_arrives_with_an_answer_is_answered)
{
    struct scene s;
    reeve_context *busy = NULL;
    reeve_context *hungry = NULL;
    reeve_context *clerk = NULL;
    reeve_queue *ahead = NULL;
    reeve_queue *rest = NULL;
    struct getter getters[2] = {{0}};
    struct getter *asker = &getters[0];
    struct getter *eater = &getters[1];
    pthread_t threads[2];
    int64_t x = 0;
    int64_t at = 0;

    scene_begin(&s);
    OK(reeve_open(&busy,
                  &(reeve_options){.url = SCENE_URL, .key = s.lab.key_path, .program = "busy"}));
    hungry = scene_open(&s);
    clerk = scene_open(&s);
    ahead = lab_queue(busy, "jobs", NULL);
    rest = lab_queue(hungry, "jobs", NULL);
    asker->q = lab_queue(busy, "orders", NULL);
    eater->q = rest;
    for (int round = 0; round < 5; round++) {
        reeve_queue *orders = lab_queue(clerk, "orders", NULL);
        int left = 300;

        for (int i = 0; i < left; i++)
            OK(lab_put_int(rest, 7, REEVE_FOREVER));
        OK(reeve_queue_flush(rest, 5000));
        threads[0] = lab_thread(get_one, asker); /* parked: from now on it pumps */
        EVENTUALLY(5000, lab_listed(clerk, "orders", "getters") == 1);
        for (; left > 1 && lab_sessions(clerk, "busy", "held") == 0; left--)
            OK(lab_get_int(&x, ahead, 5000));
        while (lab_listed(clerk, "jobs", "size") > lab_sessions(clerk, "busy", "held") &&
               left > 1) {
            OK(lab_get_int(&x, rest, 5000));
            left--;
        }
        fake_hold(s.fake, true);
        at = fake_held(s.fake);
        OK(lab_put_int(orders, 1, 0)); /* the order goes first ... */
        EVENTUALLY(5000, fake_held(s.fake) >= at + 2);
        at = fake_held(s.fake);
        threads[1] = lab_thread(get_one, eater); /* ... then the recall */
        EVENTUALLY(5000, fake_held(s.fake) > at);
        at = lab_ms();
        fake_hold(s.fake, false);
        lab_join(threads[0]);
        lab_join(threads[1]);
        CHECK(eater->returned_ms - at < 1000);
        for (left--; left > 0; left--)
            OK(lab_get_int(&x, rest, 5000));
        reeve_queue_close(&orders);
    }
    reeve_queue_close(&asker->q);
    reeve_queue_close(&ahead);
    reeve_queue_close(&rest);
    OK(reeve_close(&busy));
    OK(reeve_close(&hungry));
    OK(reeve_close(&clerk));
    scene_end(&s);
}

/* ---- the background ---- */

/* row: Q03 */
TEST(puts_leave_without_a_further_call)
{
    struct scene s;
    reeve_context *producer = NULL;
    reeve_context *consumer = NULL;
    reeve_queue *in = NULL;
    reeve_queue *out = NULL;
    int64_t x = 0;

    scene_begin(&s);
    producer = scene_open(&s);
    consumer = scene_open(&s);
    in = lab_queue(producer, "jobs", NULL);
    out = lab_queue(consumer, "jobs", NULL);
    for (int round = 0; round < 20; round++) {
        for (int i = 0; i < 5; i++)
            OK(lab_put_int(in, round * 5 + i, 0));
        for (int i = 0; i < 5; i++) {
            int64_t before = lab_ms();

            OK(lab_get_int(&x, out, 5000));
            CHECK(x == round * 5 + i);
            CHECK(lab_ms() - before < SLACK_MS);
        }
    }
    reeve_queue_close(&in);
    reeve_queue_close(&out);
    OK(reeve_close(&producer));
    OK(reeve_close(&consumer));
    scene_end(&s);
}

/* A consumer that was granted items ahead goes away to compute. Its library gives them back
 * without it, and at once. */
TEST(recall_is_answered_while_the_application_computes)
{
    enum { MANY = 600 };
    struct scene s;
    reeve_context *busy = NULL;
    reeve_context *hungry = NULL;
    reeve_queue *ahead = NULL;
    reeve_queue *rest = NULL;
    int64_t x = 0;
    int64_t best = INT64_MAX;
    int got = 0;

    scene_begin(&s);
    OK(reeve_open(&busy,
                  &(reeve_options){.url = SCENE_URL, .key = s.lab.key_path, .program = "busy"}));
    hungry = scene_open(&s);
    ahead = lab_queue(busy, "jobs", NULL);
    rest = lab_queue(hungry, "jobs", NULL);
    for (int round = 0; round < 5; round++) {
        int left = MANY;

        for (int i = 0; i < MANY; i++)
            OK(lab_put_int(rest, i, REEVE_FOREVER));
        OK(reeve_queue_flush(rest, 5000));
        while (left > 1 && lab_sessions(hungry, "busy", "held") == 0)
            for (int i = 0; i < 20 && left > 1; i++, left--)
                OK(lab_get_int(&x, ahead, 5000));
        CHECK(left > 1);
        for (; left > 0; left--) {
            int64_t before = lab_ms();
            bool recalled = lab_sessions(hungry, "busy", "held") > 0;

            OK(lab_get_int(&x, rest, 5000));
            CHECK(lab_ms() - before < SLACK_MS);
            if (recalled && lab_ms() - before < best)
                best = lab_ms() - before;
            got++;
        }
        FAILS(REEVE_EEMPTY, lab_get_int(&x, rest, 0));
    }
    CHECK(got > 0);
    CHECK(best < 10);
    reeve_queue_close(&ahead);
    reeve_queue_close(&rest);
    OK(reeve_close(&busy));
    OK(reeve_close(&hungry));
    scene_end(&s);
}

/* What get has returned is the application's, and the manager soon knows, although the
 * application never calls again. */
TEST(taking_is_told_without_a_further_call)
{
    struct scene s;
    reeve_context *ctx = NULL;
    reeve_context *other = NULL;
    reeve_queue *q = NULL;
    reeve_queue *in = NULL;
    reeve_value *v = NULL;
    static const reeve_queue_options joinable = {.joinable = true, .no_prefetch = true};

    scene_begin(&s);
    OK(reeve_open(&ctx,
                  &(reeve_options){.url = SCENE_URL, .key = s.lab.key_path, .program = "taker"}));
    other = scene_open(&s);
    q = lab_queue(ctx, "jobs", &joinable);
    in = lab_queue(other, "jobs", &joinable);
    for (uint64_t round = 1; round <= 10; round++) {
        int64_t before = 0;

        OK(lab_put_int(in, 1, 1000));
        OK(reeve_queue_flush(in, 5000));
        for (int i = 0; i < 10; i++)
            lab_nap(); /* let the background fall asleep */
        OK(reeve_queue_get(&v, q, 5000));
        reeve_value_free(&v);
        before = lab_ms();
        EVENTUALLY(5000, lab_sessions(other, "taker", "held") == round);
        CHECK(lab_ms() - before < 1000);
    }
    reeve_queue_close(&q);
    reeve_queue_close(&in);
    OK(reeve_close(&ctx));
    OK(reeve_close(&other));
    scene_end(&s);
}

/* ---- two handles ---- */

TEST(two_handles_of_a_queue_share_its_items)
{
    struct scene s;
    reeve_context *ctx = NULL;
    reeve_queue *one = NULL;
    reeve_queue *two = NULL;
    int64_t x = 0;

    scene_begin(&s);
    ctx = scene_open(&s);
    one = lab_queue(ctx, "jobs", NULL);
    two = lab_queue(ctx, "jobs", NULL);
    for (int i = 0; i < 6; i++)
        OK(lab_put_int(i % 2 == 0 ? one : two, i, 0));
    for (int i = 0; i < 5; i++) {
        OK(lab_get_int(&x, i % 2 == 0 ? one : two, 1000));
        CHECK(x == i);
    }
    reeve_queue_close(&two);
    OK(lab_get_int(&x, one, 1000));
    CHECK(x == 5);
    FAILS(REEVE_EEMPTY, lab_get_int(&x, one, 10));
    reeve_queue_close(&one);
    CHECK(lab_listed(ctx, "jobs", "refs") == 0);
    OK(reeve_close(&ctx));
    scene_end(&s);
}

/* ---- many contexts ---- */

static void *live_briefly(void *arg)
{
    struct scene *s = arg;

    for (int i = 0; i < 5; i++) {
        reeve_context *ctx = scene_open(s);
        reeve_queue *q = lab_queue(ctx, NULL, NULL);
        int64_t x = 0;

        OK(lab_put_int(q, i, 0));
        OK(lab_get_int(&x, q, 5000));
        CHECK(x == i);
        reeve_queue_close(&q);
        OK(reeve_close(&ctx));
    }
    return NULL;
}

TEST(threads_open_and_close_contexts_at_once)
{
    struct scene s;
    pthread_t threads[THREADS];

    scene_begin(&s);
    for (int i = 0; i < THREADS; i++)
        threads[i] = lab_thread(live_briefly, &s);
    for (int i = 0; i < THREADS; i++)
        lab_join(threads[i]);
    CHECK(fake_open_now(s.fake) == 0);
    scene_end(&s);
}

TEST(a_process_has_many_contexts)
{
    enum { MANY = 40 };
    struct scene s;
    reeve_context *contexts[MANY];
    reeve_queue *queues[MANY];
    int64_t x = 0;

    scene_begin(&s);
    for (int i = 0; i < MANY; i++) {
        contexts[i] = scene_open(&s);
        queues[i] = lab_queue(contexts[i], "ring", NULL);
    }
    for (int i = 0; i < MANY; i++) {
        OK(lab_put_int(queues[i], i, 0));
        OK(lab_get_int(&x, queues[(i + 1) % MANY], 5000));
        CHECK(x == i);
    }
    for (int i = 0; i < MANY; i++) {
        reeve_queue_close(&queues[i]);
        OK(reeve_close(&contexts[i]));
    }
    scene_end(&s);
}

/* ---- words ---- */

static void *fail_otherwise(void *arg)
{
    reeve_context *ctx = arg;

    CHECK(strcmp(reeve_errmsg(), "no error") == 0);
    FAILS(REEVE_ENOENT, reeve_remove(ctx, "nobody", 5000));
    SAYS("cannot remove nobody");
    return NULL;
}

TEST(each_thread_has_its_own_error_text)
{
    struct scene s;
    reeve_context *ctx = NULL;
    reeve_queue *q = NULL;

    scene_begin(&s);
    ctx = scene_open(&s);
    FAILS(REEVE_ENOENT,
          reeve_queue_open(&q, ctx, "absent", &(reeve_queue_options){.create = REEVE_GET_ONLY}));
    CHECK(q == NULL);
    SAYS("cannot open queue absent");
    lab_join(lab_thread(fail_otherwise, ctx));
    SAYS("cannot open queue absent");
    OK(reeve_close(&ctx));
    scene_end(&s);
}
