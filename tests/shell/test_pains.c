/* What people complain about in Python's multiprocessing, in real processes. The numbers are
 * those of the list of complaints. */

#include "tests/shell/lab.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

/* A manager, and how the processes of a test find it. */
struct town {
    struct lab lab;
    struct manager m;
};

static void town_begin(struct town *t)
{
    lab_begin(&t->lab);
    manager_start_ipc(&t->m, &t->lab);
}

static void town_end(struct town *t)
{
    manager_kill(&t->m);
    lab_end(&t->lab);
}

static reeve_context *town_open(const struct town *t, const char *program)
{
    reeve_context *ctx = NULL;

    OK(reeve_open(&ctx, &(reeve_options){.url = t->m.url, .program = program}));
    return ctx;
}

/* ---- 7: the user of a queue dies ---- */

static void hold_an_item(void *arg, int fd)
{
    const struct town *t = arg;
    reeve_context *ctx = town_open(t, "holder");
    reeve_queue *q = lab_queue(ctx, "jobs", &(reeve_queue_options){.joinable = true});
    reeve_value *v = NULL;

    OK(reeve_queue_get(&v, q, REEVE_FOREVER));
    lab_tell(fd);
    for (;;)
        pause();
}

static void wait_for_ever(void *arg, int fd)
{
    const struct town *t = arg;
    reeve_context *ctx = town_open(t, "waiter");
    reeve_queue *q = lab_queue(ctx, "empty", NULL);
    reeve_value *v = NULL;

    lab_tell(fd);
    OK(reeve_queue_get(&v, q, REEVE_FOREVER));
}

/* A consumer is killed with an item that it has not finished, another one while it waits. The
 * item goes to the next, at once, with the fact that somebody had it; nobody is blocked. */
TEST(pain_07_death_of_a_consumer_neither_blocks_nor_loses)
{
    static const reeve_queue_options joinable = {.joinable = true};
    struct town t;
    reeve_context *ctx = NULL;
    reeve_queue *q = NULL;
    reeve_queue *empty = NULL;
    reeve_value *v = NULL;
    pid_t pids[2];
    int fds[2];
    int64_t at = 0;
    int64_t x = 0;

    town_begin(&t);
    pids[0] = lab_process(hold_an_item, &t, &fds[0]);
    pids[1] = lab_process(wait_for_ever, &t, &fds[1]);
    ctx = town_open(&t, "survivor");
    q = lab_queue(ctx, "jobs", &joinable);
    OK(lab_put_int(q, 42, 0));
    CHECK(lab_hear(fds[0]) && lab_hear(fds[1]));
    EVENTUALLY(5000, lab_sessions(ctx, "waiter", "waiting") == 1);
    EVENTUALLY(5000, lab_sessions(ctx, "holder", "held") == 1);
    FAILS(REEVE_EEMPTY, reeve_queue_get(&v, q, 0));
    FAILS(REEVE_ETIME, reeve_queue_join(q, 0));

    lab_kill(pids[0]);
    at = lab_ms();
    OK(reeve_queue_get(&v, q, REEVE_FOREVER));
    CHECK(lab_ms() - at < 1000);
    CHECK(reeve_get_int(v, &x) && x == 42);
    CHECK(reeve_value_deliveries(v) == 1);
    OK(reeve_queue_task_done(q, v));
    OK(reeve_queue_join(q, 5000));
    reeve_value_free(&v);

    lab_kill(pids[1]);
    EVENTUALLY(1000, lab_status(ctx, "sessions") == 1);
    empty = lab_queue(ctx, "empty", NULL);
    OK(lab_put_int(empty, 1, 0));
    OK(lab_get_int(&x, empty, 5000));
    reeve_queue_close(&q);
    reeve_queue_close(&empty);
    OK(reeve_close(&ctx));
    close(fds[0]);
    close(fds[1]);
    town_end(&t);
}

/* A producer is killed in the middle of its puts: what is there is whole and in order. */
static void put_until_killed(void *arg, int fd)
{
    const struct town *t = arg;
    reeve_context *ctx = town_open(t, "producer");
    reeve_queue *q = lab_queue(ctx, "jobs", NULL);

    for (int64_t i = 0;; i++) {
        OK(lab_put_int(q, i, REEVE_FOREVER));
        if (i == 1000)
            lab_tell(fd);
    }
}

TEST(pain_07_death_of_a_producer_leaves_whole_items)
{
    struct town t;
    reeve_context *ctx = NULL;
    reeve_queue *q = NULL;
    pid_t pid = 0;
    int fd = -1;
    int64_t x = 0;
    int64_t next = 0;

    town_begin(&t);
    pid = lab_process(put_until_killed, &t, &fd);
    CHECK(lab_hear(fd));
    lab_kill(pid);
    close(fd);
    ctx = town_open(&t, "consumer");
    EVENTUALLY(1000, lab_status(ctx, "sessions") == 1);
    q = lab_queue(ctx, "jobs", NULL);
    while (lab_get_int(&x, q, 0) == REEVE_OK)
        CHECK(x == next++);
    reeve_queue_close(&q);
    OK(reeve_close(&ctx));
    town_end(&t);
}

/* ---- 8: joining a producer before its queue is drained ---- */

enum { PRODUCED = 20000 };

static void produce(void *arg, int fd)
{
    const struct town *t = arg;
    reeve_context *ctx = town_open(t, "producer");
    reeve_queue *q = lab_queue(ctx, "jobs", NULL);

    (void)fd;
    for (int64_t i = 0; i < PRODUCED; i++)
        OK(lab_put_int(q, i, REEVE_FOREVER));
    reeve_queue_close(&q);
    OK(reeve_close(&ctx));
}

/* row: Q09 */
TEST(pain_08_joining_a_producer_before_draining_ends)
{
    struct town t;
    reeve_context *ctx = NULL;
    reeve_queue *q = NULL;
    int fd = -1;
    int64_t x = 0;

    town_begin(&t);
    CHECK(lab_exit_code(lab_process(produce, &t, &fd)) == 0);
    close(fd);
    ctx = town_open(&t, "consumer");
    q = lab_queue(ctx, "jobs", NULL);
    for (int64_t i = 0; i < PRODUCED; i++) {
        OK(lab_get_int(&x, q, 5000));
        CHECK(x == i);
    }
    FAILS(REEVE_EEMPTY, lab_get_int(&x, q, 0));
    reeve_queue_close(&q);
    OK(reeve_close(&ctx));
    town_end(&t);
}

/* ---- 9: an item that can't be sent ---- */

/* row: Q03 */
TEST(pain_09_put_of_an_unfinished_value_fails_in_the_caller)
{
    struct town t;
    reeve_context *ctx = NULL;
    reeve_queue *q = NULL;
    reeve_builder *b = reeve_builder_new();
    reeve_builder *good = reeve_builder_new();
    const reeve_builder *both[2];
    size_t size = 0;
    size_t accepted = 0;

    town_begin(&t);
    ctx = town_open(&t, "caller");
    q = lab_queue(ctx, "jobs", NULL);
    FAILS(REEVE_EINVAL, reeve_queue_put(q, b, 0)); /* nothing in it */
    OK(reeve_put_map(b, 2));
    OK(reeve_put_str(b, "half"));
    FAILS(REEVE_EINVAL, reeve_queue_put(q, b, 0));
    SAYS("cannot put to queue jobs: the item is not one whole value");
    OK(reeve_put_int(good, 1));
    both[0] = good;
    both[1] = b;
    FAILS(REEVE_EINVAL, reeve_queue_put_many(q, both, 2, 0, &accepted));
    CHECK(accepted == 0);
    FAILS(REEVE_ENOMEM, reeve_queue_put(q, NULL, 0));
    FAILS(REEVE_EINVAL, reeve_queue_put_str(q, "\xc3\x28", 0));
    SAYS("not UTF-8");
    OK(reeve_queue_size(q, &size));
    CHECK(size == 0);
    OK(reeve_queue_put(q, good, 0));
    OK(reeve_queue_flush(q, 5000));
    reeve_builder_free(&b);
    reeve_builder_free(&good);
    reeve_queue_close(&q);
    OK(reeve_close(&ctx));
    town_end(&t);
}

/* ---- 10: shutting a queue down wakes everyone ---- */

static void get_until_shutdown(void *arg, int fd)
{
    const struct town *t = arg;
    reeve_context *ctx = town_open(t, "getter");
    reeve_queue *q = lab_queue(ctx, "jobs", &(reeve_queue_options){.create = REEVE_GET_ONLY});
    reeve_value *v = NULL;

    (void)fd;
    FAILS(REEVE_ESHUTDOWN, reeve_queue_get(&v, q, REEVE_FOREVER));
    SAYS("queue was shut down");
    reeve_queue_close(&q);
    OK(reeve_close(&ctx));
}

static void put_until_shutdown(void *arg, int fd)
{
    const struct town *t = arg;
    reeve_context *ctx = town_open(t, "putter");
    reeve_queue *q = lab_queue(ctx, "full", &(reeve_queue_options){.create = REEVE_GET_ONLY});

    (void)fd;
    FAILS(REEVE_ESHUTDOWN, lab_put_int(q, 2, REEVE_FOREVER));
    reeve_queue_close(&q);
    OK(reeve_close(&ctx));
}

/* row: T02 */
TEST(pain_10_shutdown_wakes_everyone_in_every_process)
{
    enum { EACH = 3 };
    struct town t;
    reeve_context *ctx = NULL;
    reeve_queue *jobs = NULL;
    reeve_queue *full = NULL;
    pid_t pids[2 * EACH];
    int fds[2 * EACH];

    town_begin(&t);
    /* The processes come after the queues, and before this one has threads. */
    ctx = town_open(&t, "chief");
    jobs = lab_queue(ctx, "jobs", NULL);
    full = lab_queue(ctx, "full", &(reeve_queue_options){.maxsize = 1});
    OK(lab_put_int(full, 1, 0));
    for (int i = 0; i < EACH; i++) {
        pids[i] = lab_process(get_until_shutdown, &t, &fds[i]);
        pids[EACH + i] = lab_process(put_until_shutdown, &t, &fds[EACH + i]);
    }
    EVENTUALLY(10000, lab_listed(ctx, "jobs", "getters") == EACH);
    EVENTUALLY(10000, lab_listed(ctx, "full", "putters") == EACH);
    OK(reeve_queue_shutdown(jobs, false, 5000));
    OK(reeve_queue_shutdown(full, true, 5000));
    for (int i = 0; i < 2 * EACH; i++) {
        CHECK(lab_exit_code(pids[i]) == 0);
        close(fds[i]);
    }
    reeve_queue_close(&jobs);
    reeve_queue_close(&full);
    OK(reeve_close(&ctx));
    town_end(&t);
}

/* ---- 20: handshakes that hang ---- */

static int connect_raw(const char *url)
{
    struct sockaddr_in to = {.sin_family = AF_INET};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    to.sin_port = htons((uint16_t)atoi(strrchr(url, ':') + 1));
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    CHECK(fd >= 0);
    CHECK(connect(fd, (const struct sockaddr *)&to, sizeof to) == 0);
    return fd;
}

TEST(pain_20_garbage_and_silent_peers_disturb_nobody)
{
    enum { EACH = 20 };
    struct lab lab;
    struct manager m;
    reeve_context *ctx = NULL;
    reeve_queue *q = NULL;
    int silent[EACH];
    int64_t x = 0;
    int64_t at = 0;

    lab_begin(&lab);
    manager_start(&m, &lab, "tcp://127.0.0.1:0");
    for (int i = 0; i < EACH; i++) {
        char garbage[64];
        int fd = connect_raw(m.url);

        memset(garbage, 'G' + i, sizeof garbage);
        CHECK(write(fd, garbage, sizeof garbage) == sizeof garbage);
        close(fd);
        silent[i] = connect_raw(m.url);
    }
    at = lab_ms();
    ctx = lab_open(&lab, m.url);
    q = lab_queue(ctx, NULL, NULL);
    OK(lab_put_int(q, 1, 0));
    OK(lab_get_int(&x, q, 5000));
    CHECK(lab_ms() - at < 2000);
    for (int i = 0; i < EACH; i++)
        close(silent[i]);
    reeve_queue_close(&q);
    OK(reeve_close(&ctx));
    manager_kill(&m);
    lab_end(&lab);
}

TEST(pain_20_wrong_keys_are_told_in_time)
{
    struct lab lab;
    struct manager m;
    struct rv_keyfile stranger = {0};
    reeve_context *ctx = NULL;
    const char *server = NULL;
    char path[160];
    int64_t at = 0;

    lab_begin(&lab);
    manager_start(&m, &lab, "tcp://127.0.0.1:0");
    server = lab.manager.public_key;

    lab_client(&lab, "uninvited", &server, 1, NULL, NULL, path, sizeof path);
    at = lab_ms();
    FAILS(REEVE_EAUTH, reeve_open(&ctx, &(reeve_options){.url = m.url, .key = path}));
    SAYS("does not admit this key");
    CHECK(lab_ms() - at < 5000);

    rv_keys_generate(&stranger);
    server = stranger.public_key;
    lab_client(&lab, "misled", &server, 1, "client", NULL, path, sizeof path);
    at = lab_ms();
    FAILS(REEVE_EAUTH, reeve_open(&ctx, &(reeve_options){.url = m.url, .key = path}));
    SAYS("another key than the one trusted");
    CHECK(lab_ms() - at < 5000);

    FAILS(REEVE_EINVAL, reeve_open(&ctx, &(reeve_options){.url = m.url}));
    CHECK(ctx == NULL);
    manager_kill(&m);
    lab_end(&lab);
}

/* A peer that accepts and never says a word: a port of something else, a stopped manager. */
TEST(pain_20_a_silent_manager_is_told_in_time)
{
    struct lab lab;
    struct sockaddr_in at = {.sin_family = AF_INET};
    socklen_t len = sizeof at;
    reeve_context *ctx = NULL;
    char url[64];
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int64_t since = 0;

    lab_begin(&lab);
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    CHECK(bind(fd, (const struct sockaddr *)&at, sizeof at) == 0 && listen(fd, 8) == 0);
    CHECK(getsockname(fd, (struct sockaddr *)&at, &len) == 0);
    snprintf(url, sizeof url, "tcp://127.0.0.1:%u", ntohs(at.sin_port));
    since = lab_ms();
    FAILS(REEVE_ETIME,
          reeve_open(&ctx,
                     &(reeve_options){.url = url, .key = lab.key_path, .connect_timeout_ms = 700}));
    CHECK(lab_ms() - since >= 700 && lab_ms() - since < 2500);
    SAYS(url);
    close(fd);
    lab_end(&lab);
}

/* Of several managers that a key file trusts, the one that is there may stand last. */
TEST(pain_20_any_trusted_server_key_will_do)
{
    struct lab lab;
    struct manager m;
    struct rv_keyfile others[4];
    const char *servers[5];
    reeve_context *ctx = NULL;
    char path[160];

    lab_begin(&lab);
    for (size_t i = 0; i < 4; i++) {
        rv_keys_generate(&others[i]);
        servers[i] = others[i].public_key;
    }
    servers[4] = lab.manager.public_key;
    lab_client(&lab, "travelled", servers, 5, "client", NULL, path, sizeof path);
    manager_start(&m, &lab, "tcp://127.0.0.1:0");
    OK(reeve_open(&ctx, &(reeve_options){.url = m.url, .key = path}));
    OK(reeve_ping(ctx, 5000));
    OK(reeve_close(&ctx));
    manager_kill(&m);
    lab_end(&lab);
}

/* ---- fork, and the end of the manager ---- */

static void use_a_new_context(void *arg, int fd)
{
    const struct town *t = arg;
    reeve_context *ctx = town_open(t, "child");
    reeve_queue *q = lab_queue(ctx, "jobs", NULL);
    int64_t x = 0;

    OK(lab_get_int(&x, q, 5000));
    CHECK(x == 5);
    OK(lab_put_int(q, 6, 0));
    reeve_queue_close(&q);
    OK(reeve_close(&ctx));
    lab_tell(fd);
}

/* row: Q12 */
TEST(a_child_opens_a_context_of_its_own)
{
    struct town t;
    reeve_context *ctx = NULL;
    reeve_queue *q = NULL;
    int64_t x = 0;

    town_begin(&t);
    ctx = town_open(&t, "parent");
    q = lab_queue(ctx, "jobs", NULL);
    for (int i = 0; i < 3; i++) {
        int fd = -1;
        pid_t pid = 0;

        OK(lab_put_int(q, 5, 0));
        OK(reeve_queue_flush(q, 5000));
        pid = lab_process(use_a_new_context, &t, &fd);
        CHECK(lab_hear(fd));
        close(fd);
        CHECK(lab_exit_code(pid) == 0);
        OK(lab_get_int(&x, q, 5000));
        CHECK(x == 6);
    }
    reeve_queue_close(&q);
    OK(reeve_close(&ctx));
    town_end(&t);
}

TEST(a_restarted_manager_makes_old_handles_stale)
{
    struct town t;
    reeve_context *ctx = NULL;
    reeve_queue *q = NULL;
    int64_t x = 0;
    int64_t at = 0;

    town_begin(&t);
    ctx = town_open(&t, "old");
    q = lab_queue(ctx, "jobs", NULL);
    OK(lab_put_int(q, 1, 0));
    OK(reeve_flush(ctx, 5000));
    manager_kill(&t.m);
    at = lab_ms();
    manager_start_ipc(&t.m, &t.lab);
    FAILS(REEVE_ESTALE, lab_get_int(&x, q, REEVE_FOREVER));
    CHECK(lab_ms() - at < 5000);
    FAILS(REEVE_ESTALE, lab_put_int(q, 1, 0));
    reeve_queue_close(&q);
    FAILS(REEVE_ESTALE, reeve_close(&ctx));
    ctx = town_open(&t, "new");
    CHECK(lab_status(ctx, "objects") == 0); /* memory only, and it says so */
    OK(reeve_close(&ctx));
    town_end(&t);
}
