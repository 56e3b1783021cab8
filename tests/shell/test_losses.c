/* What the library does when the manager is away, silent, new, or will not have us. */

#include "tests/shell/scene.h"

#include <stdio.h>
#include <stdlib.h>

/* ---- deadlines ---- */

static void check_took(int64_t since_ms, int64_t least_ms, int64_t most_ms)
{
    int64_t took = lab_ms() - since_ms;

    if (took < least_ms || took > most_ms + SLACK_MS)
        fprintf(stderr, "took %lld ms\n", (long long)took);
    CHECK(took >= least_ms);
    CHECK(took <= most_ms + SLACK_MS);
}

TEST(calls_to_a_silent_manager_end_in_time)
{
    struct scene s;
    reeve_context *ctx = NULL;
    reeve_queue *q = NULL;
    reeve_queue *bounded = NULL;
    reeve_value *v = NULL;
    int64_t x = 0;
    int64_t at = 0;

    scene_begin(&s);
    ctx = scene_open(&s);
    q = lab_queue(ctx, "jobs", NULL);
    bounded = lab_queue(ctx, "few", &(reeve_queue_options){.maxsize = 1, .joinable = true});
    fake_mood(s.fake, FAKE_DEAF);

    at = lab_ms();
    FAILS(REEVE_ETIME, lab_get_int(&x, q, 300));
    SAYS("cannot get from queue jobs: manager " SCENE_URL);
    check_took(at, 300, 550);
    at = lab_ms();
    FAILS(REEVE_ETIME, lab_get_int(&x, q, 0));
    check_took(at, 0, 250);
    at = lab_ms();
    FAILS(REEVE_ETIME, lab_put_int(bounded, 1, 200));
    SAYS("cannot put to queue few: manager " SCENE_URL);
    check_took(at, 200, 450);
    at = lab_ms();
    FAILS(REEVE_ETIME, reeve_ping(ctx, 100));
    check_took(at, 100, 100);
    FAILS(REEVE_ETIME, reeve_status(&v, ctx, 10));
    CHECK(v == NULL);
    FAILS(REEVE_ETIME, reeve_objects(&v, ctx, NULL, 10));
    FAILS(REEVE_ETIME, reeve_sessions(&v, ctx, 10));
    FAILS(REEVE_ETIME, reeve_remove(ctx, "nobody", 10));
    FAILS(REEVE_ETIME, reeve_shutdown(ctx, 10));
    FAILS(REEVE_ETIME, reeve_queue_join(bounded, 10));
    FAILS(REEVE_ETIME, reeve_flush(ctx, 10));
    FAILS(REEVE_ETIME, reeve_queue_shutdown(q, false, 10));

    /* What was cancelled has no effect, and the session goes on. */
    fake_mood(s.fake, FAKE_SERVES);
    OK(reeve_ping(ctx, 5000));
    CHECK(lab_listed(ctx, "few", "putters") == 0);
    CHECK(lab_listed(ctx, "jobs", "getters") == 0);
    reeve_queue_close(&q);
    reeve_queue_close(&bounded);
    OK(reeve_close(&ctx));
    scene_end(&s);
}

/* A get that gave up and the item that was granted to it: the item is there for the next. */
TEST(item_of_a_get_that_gave_up_is_not_lost)
{
    struct scene s;
    reeve_context *ctx = NULL;
    reeve_context *other = NULL;
    reeve_queue *out = NULL;
    reeve_queue *in = NULL;
    int64_t x = 0;

    scene_begin(&s);
    ctx = scene_open(&s);
    other = scene_open(&s);
    out = lab_queue(ctx, "jobs", NULL);
    in = lab_queue(other, "jobs", NULL);
    for (int round = 0; round < 3; round++) {
        OK(lab_put_int(in, round, 0));
        OK(reeve_queue_flush(in, 5000));
        fake_delay(s.fake, 600);
        FAILS(REEVE_ETIME, lab_get_int(&x, out, 50));
        fake_delay(s.fake, 0);
        OK(lab_get_int(&x, out, 5000));
        CHECK(x == round);
    }
    FAILS(REEVE_EEMPTY, lab_get_int(&x, out, 0));
    reeve_queue_close(&out);
    reeve_queue_close(&in);
    OK(reeve_close(&ctx));
    OK(reeve_close(&other));
    scene_end(&s);
}

/* An open that gave up leaves nothing behind: the queue can be closed, opened and read again. */
TEST(queue_is_read_again_after_an_open_that_gave_up)
{
    const reeve_queue_options hasty = {.timeout_ms = 50};
    struct scene s;
    reeve_context *ctx = NULL;
    reeve_queue *q = NULL;
    reeve_queue *second = NULL;
    int64_t x = 0;

    scene_begin(&s);
    ctx = scene_open(&s);
    q = lab_queue(ctx, "jobs", NULL);
    OK(lab_put_int(q, 1, 0));
    OK(lab_get_int(&x, q, 5000));
    fake_delay(s.fake, 600);
    FAILS(REEVE_ETIME, reeve_queue_open(&second, ctx, "jobs", &hasty));
    fake_delay(s.fake, 0);
    reeve_queue_close(&q);
    q = lab_queue(ctx, "jobs", NULL);
    OK(lab_put_int(q, 2, 0));
    OK(lab_get_int(&x, q, 5000));
    CHECK(x == 2);
    FAILS(REEVE_EEMPTY, lab_get_int(&x, q, 0));
    reeve_queue_close(&q);
    OK(reeve_close(&ctx));
    scene_end(&s);
}

/* A put that is refused after its handle was closed is told by the context. */
TEST(refusal_of_a_closed_handles_put_is_told)
{
    struct scene s;
    reeve_context *ctx = NULL;
    reeve_context *other = NULL;
    reeve_queue *q = NULL;
    reeve_queue *in = NULL;

    scene_begin(&s);
    ctx = scene_open(&s);
    other = scene_open(&s);
    q = lab_queue(ctx, "jobs", NULL);
    in = lab_queue(other, "jobs", NULL);
    OK(reeve_queue_shutdown(in, false, 5000));
    OK(lab_put_int(q, 1, 0));
    reeve_queue_close(&q);
    FAILS(REEVE_ESHUTDOWN, reeve_flush(ctx, 5000));
    OK(reeve_flush(ctx, 5000)); /* once is enough */
    reeve_queue_close(&in);
    OK(reeve_close(&ctx));
    OK(reeve_close(&other));
    scene_end(&s);
}

TEST(a_long_way_does_not_slow_puts_down)
{
    enum { MANY = 2000, WAY_MS = 20 };
    struct scene s;
    reeve_context *ctx = NULL;
    reeve_queue *q = NULL;
    int64_t at = 0;
    size_t size = 0;

    scene_begin(&s);
    ctx = scene_open(&s);
    q = lab_queue(ctx, "jobs", NULL);
    fake_delay(s.fake, WAY_MS);
    at = lab_ms();
    for (int i = 0; i < MANY; i++)
        OK(lab_put_int(q, i, 0));
    OK(reeve_queue_flush(q, 10000));
    CHECK(lab_ms() - at < MANY * WAY_MS / 4);
    OK(reeve_queue_size(q, &size));
    CHECK(size == MANY);
    reeve_queue_close(&q);
    OK(reeve_close(&ctx));
    scene_end(&s);
}

/* ---- closing ---- */

/* row: Q09 */
TEST(close_flushes)
{
    enum { MANY = 1000 };
    struct scene s;
    reeve_context *ctx = NULL;
    reeve_context *other = NULL;
    reeve_queue *q = NULL;

    scene_begin(&s);
    other = scene_open(&s);
    fake_delay(s.fake, 5);
    ctx = scene_open(&s);
    q = lab_queue(ctx, "jobs", NULL);
    for (int i = 0; i < MANY; i++)
        OK(lab_put_int(q, i, REEVE_FOREVER));
    reeve_queue_close(&q);
    OK(reeve_close(&ctx));
    CHECK(ctx == NULL);
    CHECK(lab_listed(other, "jobs", "size") == MANY);
    CHECK(lab_status(other, "sessions") == 1);
    OK(reeve_close(&ctx));
    OK(reeve_close(NULL));
    reeve_queue_close(NULL);
    reeve_queue_close(&q);
    OK(reeve_close(&other));
    scene_end(&s);
}

/* row: Q10 */
TEST(close_lingers_no_longer_than_it_should_and_tells_what_is_lost)
{
    static const enum fake_mood moods[] = {FAKE_DEAF, FAKE_ABSENT};
    struct scene s;

    scene_begin(&s);
    for (size_t i = 0; i < rv_countof(moods); i++) {
        reeve_context *ctx = NULL;
        reeve_queue *q = NULL;
        int64_t at = 0;

        OK(reeve_open(&ctx,
                      &(reeve_options){.url = SCENE_URL, .key = s.lab.key_path, .linger_ms = 300}));
        q = lab_queue(ctx, "jobs", NULL);
        OK(reeve_flush(ctx, 5000));
        fake_mood(s.fake, moods[i]);
        if (moods[i] == FAKE_ABSENT)
            fake_cut(s.fake);
        for (int k = 0; k < 7; k++)
            OK(lab_put_int(q, k, 0));
        reeve_queue_close(&q);
        at = lab_ms();
        FAILS(REEVE_ETIME, reeve_close(&ctx));
        SAYS("7 items have no answer after 300 ms");
        SAYS(SCENE_URL);
        check_took(at, 300, 300);
        CHECK(ctx == NULL);
        fake_mood(s.fake, FAKE_SERVES);
    }
    scene_end(&s);
}

TEST(linger_of_nothing_does_not_wait)
{
    struct scene s;
    reeve_context *ctx = NULL;
    int64_t at = 0;

    scene_begin(&s);
    CHECK(setenv("REEVE_LINGER_MS", "0", 1) == 0);
    ctx = scene_open(&s);
    OK(reeve_flush(ctx, 5000));
    fake_mood(s.fake, FAKE_DEAF);
    at = lab_ms();
    OK(reeve_close(&ctx));
    check_took(at, 0, 0);
    fake_mood(s.fake, FAKE_SERVES);
    scene_end(&s);
}

/* ---- another manager ---- */

static void *wait_for_item(void *arg)
{
    reeve_value *v = NULL;

    FAILS(REEVE_ESTALE, reeve_queue_get(&v, arg, REEVE_FOREVER));
    SAYS("cannot get from queue jobs");
    SAYS("another store");
    return NULL;
}

TEST(a_new_store_makes_old_handles_stale_at_once)
{
    struct scene s;
    reeve_context *ctx = NULL;
    reeve_context *other = NULL;
    reeve_queue *q = NULL;
    reeve_queue *again = NULL;
    pthread_t waiting;
    int64_t x = 0;
    int64_t at = 0;
    size_t size = 0;

    scene_begin(&s);
    ctx = scene_open(&s);
    other = scene_open(&s);
    q = lab_queue(ctx, "jobs", NULL);
    waiting = lab_thread(wait_for_item, q);
    EVENTUALLY(5000, lab_listed(other, "jobs", "getters") == 1);
    at = lab_ms();
    fake_replace(s.fake);
    lab_join(waiting);
    check_took(at, 0, 1000);
    FAILS(REEVE_ESTALE, lab_put_int(q, 1, 0));
    FAILS(REEVE_ESTALE, lab_get_int(&x, q, 0));
    FAILS(REEVE_ESTALE, reeve_queue_size(q, &size));
    OK(reeve_queue_flush(q, 0)); /* nothing was on its way */
    FAILS(REEVE_ESTALE, reeve_ping(ctx, 0));
    FAILS(REEVE_ESTALE, reeve_flush(ctx, 0));
    FAILS(REEVE_ESTALE, reeve_queue_open(&again, ctx, "jobs", NULL));
    reeve_queue_close(&q);
    FAILS(REEVE_ESTALE, reeve_close(&ctx));
    CHECK(ctx == NULL);
    (void)reeve_close(&other); /* with or without having heard */

    ctx = scene_open(&s);
    q = lab_queue(ctx, "jobs", NULL);
    OK(lab_put_int(q, 3, 0));
    OK(lab_get_int(&x, q, 5000));
    CHECK(x == 3);
    reeve_queue_close(&q);
    OK(reeve_close(&ctx));
    scene_end(&s);
}

/* ---- not let in ---- */

TEST(open_says_why_it_could_not)
{
    struct scene s;
    reeve_context *ctx = NULL;
    reeve_options o = {.url = SCENE_URL, .connect_timeout_ms = 300};
    int64_t at = 0;

    scene_begin(&s);
    o.key = s.lab.key_path;
    fake_mood(s.fake, FAKE_DEAF);
    at = lab_ms();
    FAILS(REEVE_ETIME, reeve_open(&ctx, &o));
    CHECK(ctx == NULL);
    SAYS("cannot open a session with " SCENE_URL);
    check_took(at, 300, 300);

    fake_mood(s.fake, FAKE_ABSENT);
    at = lab_ms();
    FAILS(REEVE_ETIME, reeve_open(&ctx, &o));
    SAYS("nobody answers there within 300 ms");
    check_took(at, 300, 300);

    o.connect_timeout_ms = 0;
    fake_mood(s.fake, FAKE_REFUSES);
    at = lab_ms();
    FAILS(REEVE_EAUTH, reeve_open(&ctx, &o));
    SAYS("does not admit this key");
    SAYS(s.lab.client.public_key); /* what the administrator needs */
    check_took(at, 0, 1000);

    fake_mood(s.fake, FAKE_STRANGER);
    at = lab_ms();
    FAILS(REEVE_EAUTH, reeve_open(&ctx, &o));
    SAYS("another key");
    check_took(at, 0, 1000);
    CHECK(fake_open_now(s.fake) == 0);
    fake_mood(s.fake, FAKE_SERVES);
    scene_end(&s);
}

static void *give_way(void *arg)
{
    struct fake *f = arg;
    unsigned before = fake_opened(f);

    EVENTUALLY(5000, fake_opened(f) >= before + 5);
    fake_mood(f, FAKE_SERVES);
    return NULL;
}

/* Something else has the port while the manager is away, for longer than three tries. */
TEST(a_bystander_at_the_port_is_waited_out)
{
    struct scene s;
    reeve_context *ctx = NULL;
    reeve_options o = {.url = SCENE_URL, .connect_timeout_ms = 700};
    pthread_t thread = 0;
    unsigned before = 0;
    int64_t at = 0;

    scene_begin(&s);
    o.key = s.lab.key_path;
    fake_mood(s.fake, FAKE_BYSTANDER);
    before = fake_opened(s.fake);
    at = lab_ms();
    FAILS(REEVE_ETIME, reeve_open(&ctx, &o));
    SAYS("cannot open a session with " SCENE_URL ": what listens there is no manager");
    SAYS("within 700 ms");
    check_took(at, 700, 700);
    CHECK(fake_opened(s.fake) > before + 3);

    o.connect_timeout_ms = 0;
    thread = lab_thread(give_way, s.fake);
    OK(reeve_open(&ctx, &o));
    lab_join(thread);
    OK(reeve_ping(ctx, 1000));
    OK(reeve_close(&ctx));
    scene_end(&s);
}

/* A manager with another key beside one that is away: that one may be the right one. */
TEST(another_key_counts_only_when_all_have_it)
{
    struct scene s;
    struct fake *second = NULL;
    reeve_context *ctx = NULL;
    reeve_options o = {.url = SCENE_URL ",tcp://fake-2:7300", .connect_timeout_ms = 1500};

    scene_begin(&s);
    second = fake_start("tcp://fake-2:7300", s.lab.manager.public_key, s.lab.client.public_key);
    o.key = s.lab.key_path;
    fake_mood(s.fake, FAKE_ABSENT);
    fake_mood(second, FAKE_STRANGER);
    FAILS(REEVE_ETIME, reeve_open(&ctx, &o));
    CHECK(fake_opened(second) >= 3);
    fake_mood(s.fake, FAKE_STRANGER);
    o.connect_timeout_ms = 0;
    FAILS(REEVE_EAUTH, reeve_open(&ctx, &o));
    SAYS("another key");
    fake_stop(&second);
    scene_end(&s);
}

/* ---- more endpoints ---- */

/* The second of two that serves is found; whoever asks for the endpoint meanwhile gets one. */
TEST(another_endpoint_is_tried_when_the_first_is_gone)
{
    struct scene s;
    struct fake *second = NULL;
    reeve_context *ctx = NULL;

    scene_begin(&s);
    second = fake_start("tcp://fake-2:7300", s.lab.manager.public_key, s.lab.client.public_key);
    ctx = lab_open(&s.lab, "tcp://nobody:1,tcp://fake-2:7300");
    CHECK(strcmp(reeve_endpoint(ctx), "tcp://fake-2:7300") == 0);
    for (int i = 0; i < 5; i++) {
        unsigned before = fake_opened(second);

        fake_cut(second);
        EVENTUALLY(5000, fake_opened(second) > before && reeve_endpoint(ctx)[6] == 'f');
        OK(reeve_ping(ctx, 5000));
    }
    OK(reeve_close(&ctx));
    fake_stop(&second);
    scene_end(&s);
}

/* ---- a connection that takes nothing ---- */

TEST(a_jammed_connection_costs_no_processor_and_loses_nothing)
{
    struct scene s;
    reeve_context *ctx = NULL;
    reeve_context *other = NULL;
    reeve_queue *in = NULL;
    reeve_queue *out = NULL;
    int64_t x = 0;
    int64_t used = 0;

    scene_begin(&s);
    ctx = scene_open(&s);
    other = scene_open(&s);
    in = lab_queue(ctx, "jobs", NULL);
    out = lab_queue(other, "jobs", NULL);
    fake_jam(s.fake, true);
    for (int i = 0; i < 100; i++)
        OK(lab_put_int(in, i, 0));
    used = lab_cpu_ms();
    for (int64_t until = lab_ms() + 500; lab_ms() < until;)
        lab_nap();
    CHECK(lab_cpu_ms() - used < 250);
    fake_jam(s.fake, false);
    for (int i = 0; i < 100; i++) {
        OK(lab_get_int(&x, out, 5000));
        CHECK(x == i);
    }
    reeve_queue_close(&in);
    reeve_queue_close(&out);
    OK(reeve_close(&ctx));
    OK(reeve_close(&other));
    scene_end(&s);
}
