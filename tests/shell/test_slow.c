/* What takes as long as the protocol says, because a manager is waited for. All at once. */

#include "tests/shell/scene.h"

#include <stdio.h>
#include <unistd.h>

/* limits.def: how long a manager is waited for once its connection has gone, and how long a
 * connection may be silent before it counts as gone. The sessions here are resumed for 1 ms. */
enum { GONE_MS = 14000, SUSPECT_MS = 9000 };

struct patient {
    reeve_context *ctx;
    reeve_queue *q;
    int64_t took_ms;
};

static void *wait_in_get(void *arg)
{
    struct patient *p = arg;
    int64_t at = lab_ms();
    int64_t x = 0;

    FAILS(REEVE_ELOST, lab_get_int(&x, p->q, REEVE_FOREVER));
    p->took_ms = lab_ms() - at;
    SAYS("cannot get from queue jobs: manager tcp://fake-");
    SAYS("has not answered for");
    return NULL;
}

static void *wait_in_put(void *arg)
{
    struct patient *p = arg;

    FAILS(REEVE_ELOST, lab_put_int(p->q, 2, REEVE_FOREVER));
    SAYS("has not answered for");
    return NULL;
}

static void *wait_in_join(void *arg)
{
    struct patient *p = arg;

    FAILS(REEVE_ELOST, reeve_queue_join(p->q, REEVE_FOREVER));
    SAYS("has not answered for");
    return NULL;
}

static void *wait_in_ping(void *arg)
{
    struct patient *p = arg;

    FAILS(REEVE_ELOST, reeve_ping(p->ctx, REEVE_FOREVER));
    SAYS("has not answered for");
    return NULL;
}

static void *wait_in_flush(void *arg)
{
    struct patient *p = arg;

    OK(lab_put_int(p->q, 1, 0));
    FAILS(REEVE_ELOST, reeve_flush(p->ctx, REEVE_FOREVER));
    SAYS("has not answered for");
    return NULL;
}

static reeve_context *open_short(const struct scene *s, const char *url)
{
    reeve_context *ctx = NULL;

    OK(reeve_open(&ctx, &(reeve_options){.url = url, .key = s->lab.key_path, .resume_ms = 1}));
    return ctx;
}

TEST(no_call_hangs_when_the_manager_is_gone)
{
    static const reeve_queue_options full = {.maxsize = 1, .joinable = true};
    struct scene s;
    struct fake *deaf = NULL;
    reeve_context *ctx = NULL;
    reeve_context *other = NULL;
    struct patient getter = {0};
    struct patient waiter = {0};
    struct patient flusher = {0};
    struct patient listener = {0};
    pthread_t threads[6];
    int64_t at = 0;

    alarm(60);
    scene_begin(&s);
    deaf = fake_start("tcp://fake-2:7300", s.lab.manager.public_key, s.lab.client.public_key);
    ctx = open_short(&s, SCENE_URL);
    other = open_short(&s, "tcp://fake-2:7300");
    getter = (struct patient){.ctx = ctx, .q = lab_queue(ctx, "jobs", NULL)};
    waiter = (struct patient){.ctx = ctx, .q = lab_queue(ctx, "full", &full)};
    flusher = (struct patient){.ctx = ctx, .q = lab_queue(ctx, "puts", NULL)};
    listener = (struct patient){.ctx = other, .q = lab_queue(other, "jobs", NULL)};
    OK(lab_put_int(waiter.q, 1, 1000));
    threads[0] = lab_thread(wait_in_get, &getter);
    threads[1] = lab_thread(wait_in_put, &waiter);
    threads[2] = lab_thread(wait_in_join, &waiter);
    threads[3] = lab_thread(wait_in_get, &listener);
    EVENTUALLY(5000, lab_listed(ctx, "jobs", "getters") == 1);
    EVENTUALLY(5000, lab_listed(ctx, "full", "putters") == 1);
    EVENTUALLY(5000, lab_listed(other, "jobs", "getters") == 1);

    at = lab_ms();
    fake_mood(deaf, FAKE_DEAF);
    fake_mood(s.fake, FAKE_ABSENT);
    fake_cut(s.fake);
    threads[4] = lab_thread(wait_in_ping, &getter);
    threads[5] = lab_thread(wait_in_flush, &flusher);
    for (size_t i = 0; i < rv_countof(threads); i++)
        if (i != 3)
            lab_join(threads[i]);
    CHECK(lab_ms() - at >= GONE_MS);
    CHECK(lab_ms() - at <= GONE_MS + SLACK_MS);
    FAILS(REEVE_ELOST, lab_put_int(getter.q, 1, 0));
    FAILS(REEVE_ELOST, reeve_ping(ctx, 0));
    reeve_queue_close(&getter.q);
    reeve_queue_close(&waiter.q);
    reeve_queue_close(&flusher.q);
    FAILS(REEVE_ELOST, reeve_close(&ctx));
    SAYS("has not answered for");

    /* A manager that is stopped is missed first when it has been silent for long enough. */
    lab_join(threads[3]);
    CHECK(lab_ms() - at >= SUSPECT_MS);
    CHECK(lab_ms() - at <= SUSPECT_MS + GONE_MS + SLACK_MS);
    reeve_queue_close(&listener.q);
    FAILS(REEVE_ELOST, reeve_close(&other));
    fake_mood(deaf, FAKE_SERVES);
    fake_stop(&deaf);
    scene_end(&s);
}
