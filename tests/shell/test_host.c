/* The library in somebody's process: fork, signals, descriptors, threads, processor time, and
 * where it finds its options. */

#include "tests/shell/scene.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- fork ---- */

struct family {
    reeve_context *ctx;
    reeve_queue *q;
    atomic_bool over;
};

static void *keep_busy(void *arg)
{
    struct family *f = arg;
    int64_t x = 0;

    while (!atomic_load(&f->over)) {
        OK(lab_put_int(f->q, 1, REEVE_FOREVER));
        OK(lab_get_int(&x, f->q, REEVE_FOREVER));
    }
    return NULL;
}

static reeve_err put_async(reeve_queue *q)
{
    reeve_builder *b = reeve_builder_new();
    reeve_err err = REEVE_OK;

    OK(reeve_put_int(b, 1));
    err = reeve_queue_put_async(q, b, 100);
    reeve_builder_free(&b);
    return err;
}

static void be_a_child(struct family *f)
{
    reeve_value *v = NULL;
    reeve_queue *q = NULL;
    size_t size = 0;
    bool yes = false;
    int64_t x = 0;

    FAILS(REEVE_EFORK, reeve_ping(f->ctx, 100));
    SAYS("belongs to the parent process");
    FAILS(REEVE_EFORK, lab_put_int(f->q, 1, 100));
    FAILS(REEVE_EFORK, reeve_queue_put_str(f->q, "x", 100));
    FAILS(REEVE_EFORK, put_async(f->q));
    FAILS(REEVE_EFORK, lab_get_int(&x, f->q, 100));
    FAILS(REEVE_EFORK, reeve_queue_task_done(f->q, NULL));
    FAILS(REEVE_EFORK, reeve_queue_join(f->q, 100));
    FAILS(REEVE_EFORK, reeve_queue_size(f->q, &size));
    FAILS(REEVE_EFORK, reeve_queue_empty(f->q, &yes));
    FAILS(REEVE_EFORK, reeve_queue_full(f->q, &yes));
    FAILS(REEVE_EFORK, reeve_queue_flush(f->q, 100));
    FAILS(REEVE_EFORK, reeve_queue_shutdown(f->q, true, 100));
    FAILS(REEVE_EFORK, reeve_queue_open(&q, f->ctx, "jobs", NULL));
    FAILS(REEVE_EFORK, reeve_flush(f->ctx, 100));
    FAILS(REEVE_EFORK, reeve_status(&v, f->ctx, 100));
    FAILS(REEVE_EFORK, reeve_objects(&v, f->ctx, NULL, 100));
    FAILS(REEVE_EFORK, reeve_sessions(&v, f->ctx, 100));
    FAILS(REEVE_EFORK, reeve_remove(f->ctx, "jobs", 100));
    FAILS(REEVE_EFORK, reeve_shutdown(f->ctx, 100));
    CHECK(strcmp(reeve_endpoint(f->ctx), SCENE_URL) == 0);
    CHECK(strcmp(reeve_queue_name(f->q), "jobs") == 0);
    reeve_queue_close(&f->q);
    OK(reeve_close(&f->ctx));
    CHECK(f->q == NULL && f->ctx == NULL);
}

/* row: Q12 */
TEST(a_child_can_do_no_harm_to_its_parents_handles)
{
    struct scene s;
    struct family f = {0};
    pthread_t threads[2];

    scene_begin(&s);
    f.ctx = scene_open(&s);
    f.q = lab_queue(f.ctx, "jobs", NULL);
    for (size_t i = 0; i < rv_countof(threads); i++)
        threads[i] = lab_thread(keep_busy, &f);
    for (int i = 0; i < 10; i++) {
        pid_t pid = fork();

        CHECK(pid >= 0);
        if (pid == 0) {
            alarm(10);
            be_a_child(&f);
            _exit(0);
        }
        CHECK(lab_exit_code(pid) == 0);
        OK(reeve_ping(f.ctx, 5000));
    }
    atomic_store(&f.over, true);
    for (size_t i = 0; i < rv_countof(threads); i++)
        lab_join(threads[i]);
    CHECK(fake_opened(s.fake) == 1);
    reeve_queue_close(&f.q);
    OK(reeve_close(&f.ctx));
    scene_end(&s);
}

/* ---- signals ---- */

struct handlers {
    struct sigaction of[NSIG];
    sigset_t mask;
};

static void read_handlers(struct handlers *h)
{
    memset(h, 0, sizeof *h);
    for (int i = 1; i < NSIG; i++)
        (void)sigaction(i, NULL, &h->of[i]);
    CHECK(pthread_sigmask(SIG_SETMASK, NULL, &h->mask) == 0);
}

static bool same_handlers(const struct handlers *a, const struct handlers *b)
{
    bool same = true;

    for (int i = 1; i < NSIG; i++)
        same = same && a->of[i].sa_handler == b->of[i].sa_handler &&
               a->of[i].sa_flags == b->of[i].sa_flags &&
               sigismember(&a->mask, i) == sigismember(&b->mask, i);
    return same;
}

static atomic_int rung;
static pthread_t rung_in;

static void ring(int number)
{
    (void)number;
    rung_in = pthread_self();
    atomic_fetch_add(&rung, 1);
}

TEST(signals_are_the_hosts)
{
    struct scene s;
    struct handlers before;
    struct handlers after;
    reeve_context *ctx = NULL;
    reeve_queue *q = NULL;
    sigset_t usr1;
    int64_t x = 0;

    lab_begin(&s.lab);
    /* The thread of the manager must not be the one that a signal of the process meets. */
    sigemptyset(&usr1);
    sigaddset(&usr1, SIGUSR1);
    CHECK(pthread_sigmask(SIG_BLOCK, &usr1, NULL) == 0);
    s.fake = fake_start(SCENE_URL, s.lab.manager.public_key, s.lab.client.public_key);
    CHECK(pthread_sigmask(SIG_UNBLOCK, &usr1, NULL) == 0);
    CHECK(sigaction(SIGUSR1, &(struct sigaction){.sa_handler = ring}, NULL) == 0);
    read_handlers(&before);
    ctx = scene_open(&s);
    q = lab_queue(ctx, "jobs", NULL);
    read_handlers(&after);
    CHECK(same_handlers(&before, &after));

    /* The background blocks all: with ours blocked too, nobody takes a signal of the process. */
    CHECK(pthread_sigmask(SIG_BLOCK, &usr1, NULL) == 0);
    CHECK(kill(getpid(), SIGUSR1) == 0);
    OK(reeve_ping(ctx, 5000));
    CHECK(atomic_load(&rung) == 0);
    CHECK(pthread_sigmask(SIG_UNBLOCK, &usr1, NULL) == 0);
    CHECK(atomic_load(&rung) == 1);
    CHECK(pthread_equal(rung_in, pthread_self()));
    FAILS(REEVE_EEMPTY, lab_get_int(&x, q, 50));
    reeve_queue_close(&q);
    OK(reeve_close(&ctx));
    read_handlers(&after);
    CHECK(same_handlers(&before, &after));
    scene_end(&s);
}

struct disturbed {
    pthread_t waiting;
    atomic_bool over;
};

static void *disturb(void *arg)
{
    struct disturbed *d = arg;

    while (!atomic_load(&d->over)) {
        CHECK(pthread_kill(d->waiting, SIGUSR1) == 0);
        lab_nap();
    }
    return NULL;
}

TEST(a_signal_neither_ends_nor_shortens_a_wait)
{
    struct scene s;
    struct disturbed d = {.waiting = pthread_self()};
    reeve_context *ctx = NULL;
    reeve_queue *q = NULL;
    pthread_t thread;
    int64_t x = 0;
    int64_t at = 0;

    scene_begin(&s);
    CHECK(sigaction(SIGUSR1, &(struct sigaction){.sa_handler = ring}, NULL) == 0);
    ctx = scene_open(&s);
    q = lab_queue(ctx, "jobs", NULL);
    thread = lab_thread(disturb, &d);
    at = lab_ms();
    FAILS(REEVE_EEMPTY, lab_get_int(&x, q, 300));
    CHECK(lab_ms() - at >= 300);
    atomic_store(&d.over, true);
    lab_join(thread);
    CHECK(atomic_load(&rung) > 0);
    reeve_queue_close(&q);
    OK(reeve_close(&ctx));
    scene_end(&s);
}

/* ---- descriptors, threads, processor ---- */

TEST(nothing_is_left_open_after_many_sessions)
{
    struct scene s;
    reeve_context *ctx = NULL;
    unsigned fds = 0;
    unsigned threads = 0;

    scene_begin(&s);
    ctx = scene_open(&s);
    OK(reeve_close(&ctx));
    fds = lab_fds();
    threads = lab_threads();
    for (int i = 0; i < 100; i++) {
        ctx = scene_open(&s);
        CHECK(lab_threads() == threads + 1); /* the background, and no other */
        if (i % 10 == 0)
            fake_cut(s.fake);
        OK(reeve_close(&ctx));
        FAILS(REEVE_EINVAL, reeve_open(&ctx, &(reeve_options){.url = "tcp://a:1,udp://b:2",
                                                              .key = s.lab.key_path}));
        EVENTUALLY(5000, lab_threads() == threads);
    }
    CHECK(lab_fds() == fds);
    CHECK(fake_open_now(s.fake) == 0);
    scene_end(&s);
}

static void *wait_two_seconds(void *arg)
{
    int64_t x = 0;

    FAILS(REEVE_EEMPTY, lab_get_int(&x, arg, 2000));
    return NULL;
}

#ifdef __SANITIZE_THREAD__
enum { FOREIGN_WAKES = 40 }; /* of the sanitizer's own thread, in two seconds */
#else
enum { FOREIGN_WAKES = 0 };
#endif

/* What two seconds of waiting cost this process, the manager in it included. */
static void check_calm(pthread_t *waiting)
{
    int64_t used = lab_cpu_ms();
    int64_t wakes = lab_wakes();

    if (waiting != NULL)
        lab_join(*waiting);
    else
        (void)usleep(2000000);
    wakes = lab_wakes() - wakes;
    used = lab_cpu_ms() - used;
    if (used >= 60 || wakes >= 20 + FOREIGN_WAKES)
        fprintf(stderr, "%lld ms of processor, %lld wakes\n", (long long)used, (long long)wakes);
    CHECK(used < 60);
    CHECK(wakes < 20 + FOREIGN_WAKES);
}

TEST(waiting_costs_nothing)
{
    struct scene s;
    reeve_context *ctx = NULL;
    reeve_queue *q = NULL;
    pthread_t waiting;

    scene_begin(&s);
    ctx = scene_open(&s);
    q = lab_queue(ctx, "jobs", NULL);
    waiting = lab_thread(wait_two_seconds, q);
    EVENTUALLY(5000, lab_listed(ctx, "jobs", "getters") == 1);
    check_calm(&waiting);
    reeve_queue_close(&q);
    OK(reeve_close(&ctx));
    scene_end(&s);
}

TEST(an_idle_context_costs_nothing)
{
    struct scene s;
    reeve_context *ctx = NULL;
    reeve_queue *q = NULL;

    scene_begin(&s);
    ctx = scene_open(&s);
    q = lab_queue(ctx, "jobs", NULL);
    OK(lab_put_int(q, 1, 0));
    OK(reeve_queue_flush(q, 5000));
    for (int i = 0; i < 50; i++)
        lab_nap();
    check_calm(NULL);
    reeve_queue_close(&q);
    OK(reeve_close(&ctx));
    scene_end(&s);
}

/* ---- options ---- */

static void check_program(const struct scene *s, const reeve_options *o, const char *program)
{
    reeve_context *ctx = NULL;

    (void)s;
    OK(reeve_open(&ctx, o));
    CHECK(lab_sessions(ctx, program, "attached") == 1);
    OK(reeve_close(&ctx));
}

/* Flag, else environment, else file, else default. */
TEST(options_come_from_flag_environment_and_file)
{
    struct scene s;
    char path[160];
    char text[512];
    reeve_context *ctx = NULL;

    scene_begin(&s);
    FAILS(REEVE_EINVAL, reeve_open(&ctx, &(reeve_options){.no_private = true}));
    SAYS("no manager is named");
    SAYS("reeve serve");

    snprintf(text, sizeof text, "url = %s # there\nkey = %s\nprogram = from-file\n", SCENE_URL,
             s.lab.key_path);
    lab_file(&s.lab, "some.conf", text, path, sizeof path);
    CHECK(setenv("REEVE_CONFIG", path, 1) == 0);
    check_program(&s, NULL, "from-file");
    CHECK(setenv("REEVE_PROGRAM", "from-environment", 1) == 0);
    check_program(&s, NULL, "from-environment");
    check_program(&s, &(reeve_options){.program = "from-flag"}, "from-flag");
    CHECK(unsetenv("REEVE_PROGRAM") == 0);
    CHECK(unsetenv("REEVE_CONFIG") == 0);

    CHECK(setenv("REEVE_URL", SCENE_URL, 1) == 0);
    CHECK(setenv("REEVE_KEY", s.lab.key_path, 1) == 0);
    check_program(&s, NULL, program_invocation_short_name);
    check_program(&s, &(reeve_options){0}, program_invocation_short_name);

    CHECK(setenv("REEVE_CONFIG", "/nonexistent/reeve.conf", 1) == 0);
    FAILS(REEVE_ESYS, reeve_open(&ctx, NULL));
    SAYS("/nonexistent/reeve.conf");
    lab_file(&s.lab, "bad.conf", "url\n", path, sizeof path);
    CHECK(setenv("REEVE_CONFIG", path, 1) == 0);
    FAILS(REEVE_EINVAL, reeve_open(&ctx, NULL));
    SAYS("line 1");
    CHECK(unsetenv("REEVE_CONFIG") == 0);
    scene_end(&s);
}

static void fail_with(reeve_err error, const reeve_options *o, const char *words)
{
    reeve_context *ctx = NULL;

    FAILS(error, reeve_open(&ctx, o));
    CHECK(ctx == NULL);
    SAYS(words);
}

TEST(wrong_options_are_refused_with_words)
{
    static const char *const words[] = {"REEVE_CONNECT_TIMEOUT_MS", "REEVE_RESUME_MS",
                                        "REEVE_LINGER_MS"};
    struct scene s;
    char path[160];
    const char *key = NULL;

    scene_begin(&s);
    key = s.lab.key_path;
    fail_with(REEVE_EINVAL, &(reeve_options){.url = "http://m:1", .key = key},
              "http://m:1 is neither tcp://HOST:PORT nor ipc:///PATH");
    fail_with(REEVE_EINVAL, &(reeve_options){.url = ",", .key = key}, "cannot open a session");
    fail_with(REEVE_EINVAL, &(reeve_options){.url = SCENE_URL}, "REEVE_KEY");
    fail_with(REEVE_ENOENT, &(reeve_options){.url = SCENE_URL, .key = "/nonexistent/k"},
              "/nonexistent/k");
    fail_with(REEVE_EINVAL, &(reeve_options){.url = SCENE_URL, .key = key, .reserved = {0, 1}},
              "reserved");
    fail_with(REEVE_EINVAL, &(reeve_options){.url = SCENE_URL, .key = key, .resume_ms = 86400001},
              "day");
    fail_with(REEVE_EINVAL,
              &(reeve_options){.url = "tcp://a:1,tcp://a:2,tcp://a:3,tcp://a:4,tcp://a:5,"
                                      "tcp://a:6,tcp://a:7,tcp://a:8,tcp://a:9",
                               .key = key},
              "more than 8");
    for (size_t i = 0; i < rv_countof(words); i++) {
        CHECK(setenv(words[i], "soon", 1) == 0);
        fail_with(REEVE_EINVAL, &(reeve_options){.url = SCENE_URL, .key = key}, "milliseconds");
        CHECK(unsetenv(words[i]) == 0);
    }
    lab_client(&s.lab, "lonely", NULL, 0, NULL, NULL, path, sizeof path);
    fail_with(REEVE_EINVAL, &(reeve_options){.url = SCENE_URL, .key = path},
              "no server key is trusted");
    snprintf(path, sizeof path, "%s/authorized.d/client.pub", s.lab.dir);
    fail_with(REEVE_EAUTH, &(reeve_options){.url = SCENE_URL, .key = path}, "chmod 600");
    scene_end(&s);
}

TEST(a_long_program_name_is_no_obstacle)
{
    struct scene s;
    char program[600];
    reeve_context *ctx = NULL;

    scene_begin(&s);
    memset(program, 'p', sizeof program - 1);
    program[sizeof program - 1] = '\0';
    OK(reeve_open(&ctx,
                  &(reeve_options){.url = SCENE_URL, .key = s.lab.key_path, .program = program}));
    OK(reeve_ping(ctx, 5000));
    OK(reeve_close(&ctx));
    scene_end(&s);
}
