/* The agent's processes, with this program as the one that is shipped, and a core that only
 * writes down what it hears. */

#include "common/net/net.h"
#include "common/value/value.h"
#include "tests/shell/lab.h"
#include "worker/runners.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <reeve/task.h>

/* ---- what runs ---- */

enum order {
    ECHO,
    CRASH,
    LEAVE,
    PRINT,
    PRINT_AND_CRASH,
    SAY,   /* print at once: nothing is left to be found in a buffer */
    BREED, /* start a process that stays, and tell its pid */
    HIDE,  /* the same in a session of its own */
    STAY,
    ABOUT, /* tell of the surroundings */
    SPEAK, /* nonsense into the socket */
};

static volatile int *volatile nowhere = (volatile int *)16;

static void stay(void)
{
    for (;;)
        pause();
}

static int64_t breed(bool hidden)
{
    pid_t pid = fork();

    if (pid == 0) {
        if (hidden)
            setsid();
        stay();
    }
    return pid;
}

static void spin(uint64_t ns)
{
    rv_ns until = rv_clock_now() + (rv_ns)ns;

    while (rv_clock_now() < until)
        continue;
}

static reeve_err about(reeve_task *task, reeve_builder *out)
{
    char folder[256] = "";
    mode_t mask = umask(0);
    int fds = 0;

    for (int fd = 0; fd < 1000; fd++)
        fds += fcntl(fd, F_GETFD) >= 0;
    if (getcwd(folder, sizeof folder) == NULL)
        return REEVE_ESYS;
    return reeve_pack(out, "{sisssssssssssisiss}", "umask", (int64_t)mask, "folder", folder, "key",
                      getenv("REEVE_KEY") == NULL ? "" : "known", "url", getenv("REEVE_URL"),
                      "colour", getenv("COLOUR") == NULL ? "" : getenv("COLOUR"), "agent",
                      reeve_task_agent(task), "fds", (int64_t)fds, "group",
                      (int64_t)(getpgrp() == getpid()), "privs",
                      prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1 ? "no" : "yes");
}

static reeve_err work(reeve_task *task, const reeve_value *in, reeve_builder *out)
{
    int64_t order = 0;

    if (!reeve_get_int(in, &order))
        return reeve_task_fail(task, "no order");
    switch ((enum order)order) {
    case CRASH:
        *nowhere = 1;
        break;
    case LEAVE:
        exit(3);
    case PRINT:
        printf("item %d\n", (int)reeve_task_index(task));
        break;
    case SAY:
        dprintf(STDOUT_FILENO, "item %d\n", (int)reeve_task_index(task));
        spin(reeve_task_index(task) % 200 * 500);
        break;
    case PRINT_AND_CRASH:
        printf("last words");
        abort();
    case BREED:
        return reeve_put_int(out, breed(false));
    case HIDE:
        return reeve_put_int(out, breed(true));
    case STAY:
        stay();
        break;
    case ABOUT:
        return about(task, out);
    case SPEAK:
        for (int fd = 3; fd < 10; fd++)
            (void)!write(fd, "\0\0\0\1\x63.nonsense", 14);
        stay();
        break;
    case ECHO:
        break;
    }
    return reeve_put_value(out, in);
}
REEVE_FUNCTION(work);

/* A program that opens a session before its first line is reached. */
__attribute__((constructor)) static void open_early(void)
{
    reeve_context *ctx = NULL;

    if (getenv("EARLY") != NULL && reeve_open(&ctx, NULL) == REEVE_OK)
        abort();
}

static reeve_err prepare(const reeve_value *arg)
{
    (void)arg;
    return reeve_task_fail(NULL, "this host has no moon");
}
REEVE_INITIALIZER(prepare);

static reeve_err fall(const reeve_value *arg)
{
    (void)arg;
    *nowhere = 1;
    return REEVE_OK;
}
REEVE_INITIALIZER(fall);

static reeve_err leave(const reeve_value *arg)
{
    (void)arg;
    exit(3);
}
REEVE_INITIALIZER(leave);

/* ---- the core that writes down ---- */

struct agent {
    uint64_t loaded; /* env; 0: none */
    char why[600];   /* of one that cannot be had */
    unsigned ready, ended, ends;
    uint32_t pid;
    uint64_t done; /* items */
    uint64_t said; /* of them, those that were told with what SAY prints */
    int64_t value; /* the last small one */
    struct rv_buf bytes;
    struct agent_told told;
    char text[600], output[600];
    uint64_t started, end, trimmed, begun;
    bool init, again;
};

static void keep_value(struct agent *a, const struct rv_items *items)
{
    struct rv_reader r = rv_reader(items->bytes);
    struct rv_item item = {0};
    reeve_value *v = NULL;

    for (uint32_t i = 0; i < items->count; i++)
        rv_item_read(&r, &item);
    if (items->count == 0)
        return;
    rv_buf_clear(&a->bytes);
    rv_buf_add(&a->bytes, item.bytes.data, item.bytes.len);
    OK(rv_value_parse(&v, item.bytes));
    (void)reeve_get_int(v, &a->value);
    reeve_value_free(&v);
}

static void keep_told(struct agent *a, const struct agent_told *told)
{
    char wanted[40];

    a->told = *told;
    snprintf(a->text, sizeof a->text, "%.*s", (int)told->text.len, (const char *)told->text.data);
    snprintf(a->output, sizeof a->output, "%.*s", (int)told->output.len,
             told->output.len == 0 ? "" : (const char *)told->output.data);
    snprintf(wanted, sizeof wanted, "item %llu\n", (unsigned long long)told->index);
    a->said += strcmp(a->output, wanted) == 0;
}

void agent_on_loaded(struct agent *a, rv_ns now, uint64_t env, const char *why, bool again)
{
    (void)now;
    a->loaded = env;
    a->again = again;
    snprintf(a->why, sizeof a->why, "%s", why == NULL ? "" : why);
}

void agent_on_ready(struct agent *a, rv_ns now, uint32_t slot, uint32_t pid)
{
    (void)now;
    (void)slot;
    a->ready++;
    a->pid = pid;
}

void agent_on_done(struct agent *a, rv_ns now, uint32_t slot, uint64_t first, uint64_t ns,
                   const struct rv_items *items, struct rv_body *const *bodies, size_t bodies_len)
{
    (void)now;
    (void)slot;
    (void)first;
    (void)ns;
    (void)bodies;
    (void)bodies_len;
    a->done += items->count;
    keep_value(a, items);
}

void agent_on_item(struct agent *a, rv_ns now, uint32_t slot, const struct agent_told *told)
{
    (void)now;
    (void)slot;
    a->done++;
    keep_told(a, told);
    keep_value(a, &told->items);
}

void agent_on_trimmed(struct agent *a, rv_ns now, uint32_t slot, uint64_t end)
{
    (void)now;
    (void)slot;
    a->trimmed = end;
}

void agent_on_end(struct agent *a, rv_ns now, uint32_t slot, uint64_t end)
{
    (void)now;
    (void)slot;
    a->ends++;
    a->end = end;
}

void agent_on_ended(struct agent *a, rv_ns now, uint32_t slot, uint64_t started, bool init,
                    const struct agent_told *told)
{
    (void)now;
    (void)slot;
    a->ended++;
    a->started = started;
    a->init = init;
    keep_told(a, told);
}

void agent_on_begun(struct agent *a, rv_ns now, uint32_t slot, uint64_t index, rv_ns at)
{
    (void)slot;
    CHECK(at <= now);
    a->begun = index;
}

uint64_t agent_job_of(const struct agent *a, uint64_t env)
{
    (void)a;
    (void)env;
    return 8;
}

/* ---- the stage ---- */

struct stage {
    struct runners *r;
    struct agent core;
    struct agent_env env;
    int epoll_fd, signal_fd;
};

static void quiet(void *arg, int level, const char *text)
{
    (void)arg;
    if (getenv("TASK_TRACE") != NULL)
        fprintf(stderr, "%d %s\n", level, text);
}

static void stage_begin(struct stage *s)
{
    struct runners_conf conf = {
        .slots = 1, .agent = "tester", .url = "ipc:///nowhere", .sink = {quiet, NULL}};
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = 0};
    sigset_t set;

    *s = (struct stage){.env = {.id = 5, .kind = RV_CODE_PROGRAM}};
    setenv("REEVE_KEY", "/secret", 1);
    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    sigprocmask(SIG_BLOCK, &set, NULL);
    prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
    s->signal_fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    s->epoll_fd = conf.epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    CHECK(epoll_ctl(s->epoll_fd, EPOLL_CTL_ADD, s->signal_fd, &event) == 0);
    s->r = runners_new(&conf);
    runners_serve(s->r, &s->core);
}

static void stage_end(struct stage *s)
{
    runners_free(&s->r);
    close(s->epoll_fd);
    close(s->signal_fd);
    rv_buf_free(&s->core.bytes);
}

static void step(struct stage *s)
{
    struct epoll_event events[8];
    int len = epoll_wait(s->epoll_fd, events, 8, 50);
    rv_ns now = rv_clock_now();

    for (int i = 0; i < len; i++) {
        struct signalfd_siginfo info;

        if (events[i].data.u64 != 0) {
            runners_event(s->r, now, events[i].data.u64);
            continue;
        }
        (void)!read(s->signal_fd, &info, sizeof info);
        runners_children(s->r, now);
    }
    runners_tick(s->r, now);
}

/* Go on until it is true; each test has some seconds to live. */
#define UNTIL(s, truth)                                                                            \
    do {                                                                                           \
        while (!(truth))                                                                           \
            step(s);                                                                               \
    } while (0)

static void load(struct stage *s, const char *path)
{
    s->core.loaded = 0;
    runners_load(s->r, rv_clock_now(), &s->env, path, false);
    UNTIL(s, s->core.loaded == s->env.id);
}

static void start(struct stage *s)
{
    unsigned ready = s->core.ready;

    runners_start(s->r, rv_clock_now(), 0, &s->env);
    UNTIL(s, s->core.ready > ready);
}

static void play(struct stage *s)
{
    stage_begin(s);
    load(s, "/proc/self/exe");
    CHECK(strcmp(s->core.why, "") == 0);
    start(s);
}

/* Items 100, 101, ... with these orders. */
static void give(struct stage *s, const uint8_t *orders, uint32_t count)
{
    struct rv_buf items = {0};

    for (uint32_t i = 0; i < count; i++)
        rv_item_write(&items, &(struct rv_item){.len = 1, .bytes = rv_slice(&orders[i], 1)});
    runners_give(s->r, 0,
                 &(struct agent_work){.chunk = 1,
                                      .job = 9,
                                      .first = 100,
                                      .count = count,
                                      .run = 1,
                                      .function = rv_slice_str("work"),
                                      .items = {count, rv_buf_slice(&items)}});
    rv_buf_free(&items);
}

static void give_one(struct stage *s, enum order order)
{
    give(s, (const uint8_t[]){(uint8_t)order}, 1);
}

static bool gone(pid_t pid)
{
    return kill(pid, 0) != 0 && errno == ESRCH;
}

/* ---- stories ---- */

/* row: P28 */
/* row: P29 */
TEST(program_starts_once_and_its_runner_takes_items)
{
    struct stage s;

    play(&s);
    give(&s, (const uint8_t[]){ECHO, ECHO, ECHO}, 3);
    UNTIL(&s, s.core.ends == 1);
    CHECK(s.core.done == 3 && s.core.end == 103);
    CHECK(runners_job_of(s.r, s.core.pid) == 9);
    CHECK(runners_job_of(s.r, (uint32_t)getpid()) == 0);
    give_one(&s, ECHO);
    UNTIL(&s, s.core.ends == 2);
    stage_end(&s);
}

TEST(crash_names_its_function_and_costs_one_item)
{
    struct stage s;

    play(&s);
    give(&s, (const uint8_t[]){ECHO, ECHO, CRASH, ECHO}, 4);
    UNTIL(&s, s.core.ended == 1);
    CHECK(s.core.done == 2 && s.core.started == 102);
    CHECK(s.core.told.status == RV_RAN_CRASHED && s.core.told.code == -SIGSEGV && !s.core.init);
    CHECK(strncmp(s.core.text, "SIGSEGV in work", 15) == 0);
    CHECK(strstr(s.core.text, "(address 0x10)") != NULL);
    start(&s);
    give_one(&s, ECHO);
    UNTIL(&s, s.core.ends == 1);
    stage_end(&s);
}

/* row: L17 */
TEST(task_that_leaves_is_told_with_its_exit_code)
{
    struct stage s;

    play(&s);
    give(&s, (const uint8_t[]){ECHO, LEAVE}, 2);
    UNTIL(&s, s.core.ended == 1);
    CHECK(s.core.done == 1 && s.core.started == 101);
    CHECK(s.core.told.status == RV_RAN_EXITED && s.core.told.code == 3);
    CHECK(strcmp(s.core.text, "exit code 3") == 0);
    stage_end(&s);
}

TEST(output_belongs_to_the_item_that_printed_it)
{
    struct stage s;

    play(&s);
    give(&s, (const uint8_t[]){ECHO, PRINT, ECHO}, 3);
    UNTIL(&s, s.core.ends == 1);
    CHECK(s.core.told.index == 101 && s.core.told.status == RV_RAN_OK);
    CHECK(strcmp(s.core.output, "item 101\n") == 0);
    CHECK(s.core.done == 3);
    give_one(&s, PRINT_AND_CRASH);
    UNTIL(&s, s.core.ended == 1);
    CHECK(strcmp(s.core.text, "SIGABRT") == 0);
    CHECK(strcmp(s.core.output, "last words") == 0);
    stage_end(&s);
}

/* Its agent may have read it before the item is over, or be just about to. */
TEST(output_that_its_agent_reads_meanwhile_belongs_to_its_item)
{
    enum { ITEMS = 20000 };
    static uint8_t orders[ITEMS];
    struct stage s;

    memset(orders, SAY, ITEMS);
    play(&s);
    give(&s, orders, ITEMS);
    UNTIL(&s, s.core.ends == 1);
    CHECK(s.core.done == ITEMS);
    CHECK(s.core.said == ITEMS);
    stage_end(&s);
}

static void leaves_nothing_behind(enum order order)
{
    struct stage s;
    pid_t pid = 0;

    play(&s);
    give_one(&s, order);
    UNTIL(&s, s.core.ends == 1);
    pid = (pid_t)s.core.value;
    CHECK(pid > 0 && !gone(pid));
    runners_stop(s.r, rv_clock_now(), 0);
    UNTIL(&s, s.core.ended == 1);
    UNTIL(&s, gone(pid));
    CHECK(s.core.started == UINT64_MAX && s.core.told.status == RV_RAN_EXITED &&
          s.core.told.code == 0);
    stage_end(&s);
}

TEST(what_a_task_started_ends_with_its_runner)
{
    leaves_nothing_behind(BREED);
}

TEST(what_a_task_hid_ends_with_its_runner)
{
    leaves_nothing_behind(HIDE);
}

TEST(runner_that_is_busy_is_killed)
{
    struct stage s;

    play(&s);
    give_one(&s, STAY);
    UNTIL(&s, (runners_look(s.r, rv_clock_now(), 0), s.core.begun == 100));
    CHECK(runners_job_of(s.r, s.core.pid) == 9);
    runners_stop(s.r, rv_clock_now(), 0);
    UNTIL(&s, s.core.ended == 1);
    CHECK(s.core.told.code == -SIGKILL && s.core.started == 100);
    CHECK(gone((pid_t)s.core.pid));
    stage_end(&s);
}

TEST(items_behind_a_limit_are_told_at_once)
{
    struct stage s;

    play(&s);
    give(&s, (const uint8_t[]){STAY, ECHO, ECHO}, 3);
    UNTIL(&s, (runners_look(s.r, rv_clock_now(), 0), s.core.begun == 100));
    runners_trim(s.r, rv_clock_now(), 0, 102);
    CHECK(s.core.trimmed == 102);
    runners_trim(s.r, rv_clock_now(), 0, 100); /* it has begun that one */
    CHECK(s.core.trimmed == 102);
    stage_end(&s);
}

TEST(zygote_that_is_killed_takes_its_runners_and_comes_back)
{
    struct stage s;
    char path[64];
    char text[512] = "";
    int zygote = 0;
    FILE *f = NULL;

    play(&s);
    give_one(&s, STAY);
    snprintf(path, sizeof path, "/proc/%u/stat", s.core.pid);
    f = fopen(path, "re");
    CHECK(f != NULL && fgets(text, sizeof text, f) != NULL);
    fclose(f);
    CHECK(sscanf(strrchr(text, ')') + 1, " %*c %d", &zygote) == 1);
    kill(zygote, SIGKILL);
    UNTIL(&s, s.core.ended == 1);
    CHECK(gone((pid_t)s.core.pid) && gone(zygote));
    start(&s);
    give_one(&s, ECHO);
    UNTIL(&s, s.core.ends == 1);
    stage_end(&s);
}

TEST(runner_that_speaks_nonsense_is_killed)
{
    struct stage s;

    play(&s);
    give_one(&s, SPEAK);
    UNTIL(&s, s.core.ended == 1);
    CHECK(strstr(s.core.text, "it wrote into its own socket") != NULL);
    stage_end(&s);
}

/* row: L21 */
TEST(initializer_that_fails_is_heard_once)
{
    struct stage s;

    stage_begin(&s);
    s.env.initializer = rv_slice_str("prepare");
    load(&s, "/proc/self/exe");
    runners_start(s.r, rv_clock_now(), 0, &s.env);
    UNTIL(&s, s.core.ended == 1);
    CHECK(s.core.init && s.core.told.status == RV_RAN_NEVER);
    CHECK(strcmp(s.core.text, "this host has no moon") == 0);
    stage_end(&s);
}

static const reeve_value *find(const reeve_value *v, const char *key, const char *wanted)
{
    const reeve_value *found = reeve_value_find(v, key);
    const char *text = NULL;
    size_t len = 0;

    CHECK(found != NULL);
    if (wanted != NULL) {
        CHECK(reeve_get_str(found, &text, &len));
        CHECK(rv_slice_equal(rv_slice(text, len), rv_slice_str(wanted)));
    }
    return found;
}

/* row: P26 */
TEST(surroundings_of_a_task_are_what_the_job_says)
{
    struct stage s;
    reeve_value *v = NULL;
    int64_t x = 0;

    stage_begin(&s);
    umask(077);
    s.env.folder = rv_slice_str("/tmp");
    s.env.environment = rv_slice("\x81\xa6"
                                 "COLOUR\xa4"
                                 "blue",
                                 13);
    load(&s, "/proc/self/exe");
    CHECK(strcmp(s.core.why, "") == 0);
    start(&s);
    give_one(&s, ABOUT);
    UNTIL(&s, s.core.ends == 1);
    OK(rv_value_parse(&v, rv_buf_slice(&s.core.bytes)));
    CHECK(reeve_get_int(find(v, "umask", NULL), &x) && x == 022);
    CHECK(reeve_get_int(find(v, "fds", NULL), &x) && x == 4); /* the three and the socket */
    CHECK(reeve_get_int(find(v, "group", NULL), &x) && x == 1);
    (void)find(v, "folder", "/tmp");
    (void)find(v, "key", "");
    (void)find(v, "url", "ipc:///nowhere");
    (void)find(v, "colour", "blue");
    (void)find(v, "agent", "tester");
    (void)find(v, "privs", "no");
    reeve_value_free(&v);
    stage_end(&s);
}

/* row: P27 */
TEST(program_without_the_first_line_is_told_so)
{
    struct stage s;

    stage_begin(&s);
    load(&s, "/bin/true");
    CHECK(strstr(s.core.why, "ended before reeve_main()") != NULL);
    CHECK(strstr(s.core.why, "(exit code 0)") != NULL);
    stage_end(&s);
}

/* row: P27 */
TEST(session_before_the_first_line_is_refused)
{
    struct stage s;

    stage_begin(&s);
    s.env.environment = rv_slice("\x91\xa7"
                                 "EARLY=1",
                                 9);
    load(&s, "/proc/self/exe");
    CHECK(strstr(s.core.why, "calls reeve_open() before reeve_main()") != NULL);
    stage_end(&s);
}

/* This program, but one that a signal ends when it is started for the first time. */
static void write_program(char *path)
{
    char self[4096] = "";
    int fd = mkstemp(path);

    CHECK(fd >= 0 && readlink("/proc/self/exe", self, sizeof self - 1) > 0);
    CHECK(dprintf(fd,
                  "#!/bin/sh\n"
                  "[ -e %s.was ] && exec %s\n"
                  ">%s.was\n"
                  "echo alas\n"
                  "kill -9 $$\n",
                  path, self, path) > 0);
    CHECK(fchmod(fd, 0700) == 0 && close(fd) == 0);
}

TEST(program_that_is_killed_before_it_is_up_may_be_started_again)
{
    char path[] = "/tmp/test-runners.XXXXXX";
    char was[sizeof path + 4];
    struct stage s;

    write_program(path);
    snprintf(was, sizeof was, "%s.was", path);
    stage_begin(&s);
    load(&s, path);
    CHECK(strcmp(s.core.why, "SIGKILL ended the program before it was in reeve_main(): alas") == 0);
    CHECK(s.core.again);
    runners_unload(s.r, s.env.id);
    load(&s, path);
    CHECK(strcmp(s.core.why, "") == 0);
    start(&s);
    give_one(&s, ECHO);
    UNTIL(&s, s.core.ends == 1);
    runners_unload(s.r, s.env.id);
    load(&s, "/bin/false");
    CHECK(strcmp(s.core.why, "") != 0 && !s.core.again);
    stage_end(&s);
    CHECK(unlink(path) == 0 && unlink(was) == 0);
}

TEST(runner_that_is_killed_before_it_is_ready_may_be_started_again)
{
    struct stage s;

    stage_begin(&s);
    s.env.initializer = rv_slice_str("fall");
    load(&s, "/proc/self/exe");
    runners_start(s.r, rv_clock_now(), 0, &s.env);
    UNTIL(&s, s.core.ended == 1);
    CHECK(!s.core.init);
    CHECK(strncmp(s.core.text, "a runner ended before it was ready: SIGSEGV in ", 47) == 0);
    s.env.initializer = rv_slice_str("leave");
    runners_start(s.r, rv_clock_now(), 0, &s.env);
    UNTIL(&s, s.core.ended == 2);
    CHECK(s.core.init);
    CHECK(strcmp(s.core.text, "a runner ended before it was ready: exit code 3") == 0);
    stage_end(&s);
}

TEST(what_the_loader_says_is_passed_on)
{
    struct stage s;

    stage_begin(&s);
    load(&s, "/no/such/program");
    CHECK(strstr(s.core.why, "cannot be started: No such file or directory") != NULL);
    runners_unload(s.r, s.env.id);
    s.env.kind = RV_CODE_PROGRAM;
    s.env.folder = rv_slice_str("/no/such/folder");
    load(&s, "/proc/self/exe");
    CHECK(strstr(s.core.why, "the working folder /no/such/folder") != NULL);
    stage_end(&s);
}
