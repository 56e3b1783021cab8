/* The manager as an object of a program, over real processes. */

#include "tests/shell/lab.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum { LONG = 30000 };

static reeve_manager *manager_new(const reeve_manager_options *options)
{
    reeve_manager *m = NULL;

    OK(reeve_manager_new(&m, options));
    return m;
}

static reeve_context *context_of(const reeve_manager *m)
{
    reeve_context *ctx = NULL;

    OK(reeve_manager_context(&ctx, m));
    return ctx;
}

/* The manager's pid, by what listens there: the socket's other end. */
static pid_t manager_pid(pid_t parent)
{
    char path[64];
    int pid = 0;
    FILE *file = NULL;

    snprintf(path, sizeof path, "/proc/self/task/%d/children", (int)parent);
    file = fopen(path, "re");
    CHECK(file != NULL);
    CHECK(fscanf(file, "%d", &pid) == 1);
    CHECK(fclose(file) == 0);
    return pid;
}

/* row: M01 M02 M08 */
TEST(manager_that_was_made_has_no_process_and_no_address)
{
    struct lab lab;
    reeve_manager *m = NULL;
    reeve_context *ctx = NULL;
    uint64_t n = 7;

    lab_begin(&lab);
    FAILS(REEVE_EINVAL, reeve_manager_new(&m, &(reeve_manager_options){.reserved = {1}}));
    CHECK(m == NULL);
    m = manager_new(NULL);
    CHECK(reeve_manager_state_of(m) == REEVE_MANAGER_INITIAL);
    CHECK(reeve_manager_address(m) == NULL && reeve_manager_end(m) == NULL);
    FAILS(REEVE_EINVAL, reeve_manager_context(&ctx, m));
    SAYS("it has not been started");
    FAILS(REEVE_EINVAL, reeve_manager_number_of_objects(&n, m, 100));
    FAILS(REEVE_EINVAL, reeve_manager_shutdown(m));
    FAILS(REEVE_EINVAL, reeve_manager_join(m, 0));
    FAILS(REEVE_EINVAL, reeve_manager_connect(m, 100));
    SAYS("no address");
    FAILS(REEVE_EINVAL, reeve_manager_serve_forever(m));
    OK(reeve_manager_free(&m));
    OK(reeve_manager_free(&m));
    lab_end(&lab);
}

/* row: M02 M03 M06 M07 M08 M16 M25 */
TEST(manager_is_started_used_and_shut_down)
{
    struct lab lab;
    reeve_manager *m = NULL;
    reeve_context *ctx = NULL;
    reeve_queue *q = NULL;
    uint64_t n = 0;
    int64_t x = 0;
    char path[256];

    lab_begin(&lab);
    m = manager_new(NULL);
    OK(reeve_manager_start(m, NULL, NULL, LONG));
    CHECK(reeve_manager_state_of(m) == REEVE_MANAGER_STARTED);
    CHECK(strncmp(reeve_manager_address(m), "ipc://", 6) == 0);
    snprintf(path, sizeof path, "%s", reeve_manager_address(m) + 6);
    CHECK(access(path, F_OK) == 0);
    FAILS(REEVE_EINVAL, reeve_manager_start(m, NULL, NULL, LONG));
    SAYS("it has been started");
    FAILS(REEVE_EINVAL, reeve_manager_connect(m, LONG));
    FAILS(REEVE_ETIME, reeve_manager_join(m, 0));
    ctx = context_of(m);
    OK(reeve_manager_number_of_objects(&n, m, LONG));
    CHECK(n == 0);
    q = lab_queue(ctx, "jobs", NULL);
    OK(lab_put_int(q, 7, LONG));
    OK(lab_get_int(&x, q, LONG));
    CHECK(x == 7);
    OK(reeve_manager_number_of_objects(&n, m, LONG));
    CHECK(n == 1);
    reeve_queue_close(&q);
    OK(reeve_manager_shutdown(m));
    CHECK(reeve_manager_state_of(m) == REEVE_MANAGER_SHUTDOWN);
    CHECK(strcmp(reeve_manager_end(m), "exit code 0") == 0);
    CHECK(access(path, F_OK) != 0);
    OK(reeve_manager_shutdown(m));
    OK(reeve_manager_join(m, 0));
    FAILS(REEVE_EINVAL, reeve_manager_start(m, NULL, NULL, LONG));
    SAYS("it has shut down");
    FAILS(REEVE_EINVAL, reeve_manager_context(&ctx, m));
    OK(reeve_manager_free(&m));
    CHECK(waitpid(-1, NULL, WNOHANG) == -1 && errno == ECHILD);
    lab_end(&lab);
}

/* row: M01 M04 M06 M08 */
TEST(manager_on_any_port_is_connected_to_by_its_address)
{
    struct lab lab;
    reeve_manager *m = NULL;
    reeve_manager *other = NULL;
    reeve_queue *q = NULL;

    lab_begin(&lab);
    m = manager_new(&(reeve_manager_options){
        .address = "tcp://127.0.0.1:0", .keys = lab.dir, .key = lab.key_path});
    OK(reeve_manager_start(m, NULL, NULL, LONG));
    CHECK(strncmp(reeve_manager_address(m), "tcp://127.0.0.1:", 16) == 0);
    CHECK(strcmp(reeve_manager_address(m), "tcp://127.0.0.1:0") != 0);
    q = lab_queue(context_of(m), "jobs", NULL);

    other = manager_new(
        &(reeve_manager_options){.address = reeve_manager_address(m), .key = lab.key_path});
    OK(reeve_manager_connect(other, LONG));
    CHECK(reeve_manager_state_of(other) == REEVE_MANAGER_STARTED);
    CHECK(lab_listed(context_of(other), "jobs", "refs") == 1);
    FAILS(REEVE_EINVAL, reeve_manager_shutdown(other));
    SAYS("not started here");
    FAILS(REEVE_EINVAL, reeve_manager_join(other, 0));
    OK(reeve_manager_free(&other));

    OK(reeve_ping(context_of(m), LONG)); /* who only connected has ended nothing */
    reeve_queue_close(&q);
    OK(reeve_manager_shutdown(m));
    OK(reeve_manager_free(&m));
    lab_end(&lab);
}

static int limit_files(void *arg)
{
    const rlim_t *most = arg;

    return setrlimit(RLIMIT_NOFILE, &(struct rlimit){*most, *most}) == 0 ? 0 : 99;
}

static int refuse(void *arg)
{
    (void)arg;
    return 37;
}

/* row: M03 */
TEST(initializer_runs_in_the_managers_process)
{
    struct lab lab;
    reeve_manager *m = NULL;
    rlim_t most = 200;
    struct rlimit limit = {0};

    lab_begin(&lab);
    m = manager_new(NULL);
    FAILS(REEVE_ESYS, reeve_manager_start(m, refuse, NULL, LONG));
    SAYS("exit code 37");
    CHECK(reeve_manager_state_of(m) == REEVE_MANAGER_INITIAL);
    CHECK(waitpid(-1, NULL, WNOHANG) == -1 && errno == ECHILD);
    OK(reeve_manager_start(m, limit_files, &most, LONG));
    /* It is not dumpable: only root may look. */
    if (prlimit(manager_pid(getpid()), RLIMIT_NOFILE, NULL, &limit) == 0)
        CHECK(limit.rlim_max == most);
    else
        CHECK(errno == EPERM);
    OK(reeve_manager_free(&m));
    lab_end(&lab);
}

/* row: M03 */
TEST(manager_that_cannot_start_is_an_error_with_its_last_words)
{
    struct lab lab;
    reeve_manager *m = NULL;

    lab_begin(&lab);
    m = manager_new(&(reeve_manager_options){.address = "tcp://127.0.0.1:0", .keys = "/nowhere"});
    FAILS(REEVE_ESYS, reeve_manager_start(m, NULL, NULL, LONG));
    SAYS("exit code 100");
    SAYS("/nowhere/manager.key");
    CHECK(reeve_manager_state_of(m) == REEVE_MANAGER_INITIAL);
    CHECK(reeve_manager_address(m) == NULL);
    OK(reeve_manager_free(&m));
    lab_end(&lab);
}

/* row: M03 */
TEST(interrupt_of_the_terminal_does_not_reach_the_manager)
{
    struct lab lab;
    reeve_manager *m = NULL;

    lab_begin(&lab);
    m = manager_new(NULL);
    OK(reeve_manager_start(m, NULL, NULL, LONG));
    CHECK(getsid(manager_pid(getpid())) == manager_pid(getpid()));
    CHECK(getsid(manager_pid(getpid())) != getsid(0));
    OK(reeve_ping(context_of(m), LONG));
    OK(reeve_manager_free(&m));
    lab_end(&lab);
}

/* A process that is stopped hears neither us nor SIGTERM. */
/* row: M06 */
TEST(manager_that_does_not_listen_is_killed)
{
    struct lab lab;
    reeve_manager *m = NULL;

    lab_begin(&lab);
    m = manager_new(&(reeve_manager_options){.shutdown_timeout_ms = 100});
    OK(reeve_manager_start(m, NULL, NULL, LONG));
    CHECK(kill(manager_pid(getpid()), SIGSTOP) == 0);
    OK(reeve_manager_shutdown(m));
    CHECK(strcmp(reeve_manager_end(m), "SIGKILL") == 0);
    CHECK(waitpid(-1, NULL, WNOHANG) == -1 && errno == ECHILD);
    OK(reeve_manager_free(&m));
    lab_end(&lab);
}

/* row: M07 */
TEST(manager_that_was_killed_is_joined_and_says_how_it_ended)
{
    struct lab lab;
    reeve_manager *m = NULL;

    lab_begin(&lab);
    m = manager_new(NULL);
    OK(reeve_manager_start(m, NULL, NULL, LONG));
    CHECK(kill(manager_pid(getpid()), SIGKILL) == 0);
    OK(reeve_manager_join(m, LONG));
    CHECK(strcmp(reeve_manager_end(m), "SIGKILL") == 0);
    CHECK(reeve_manager_state_of(m) == REEVE_MANAGER_SHUTDOWN);
    OK(reeve_manager_shutdown(m));
    OK(reeve_manager_free(&m));
    lab_end(&lab);
}

/* Starts one, says its address, and is killed. */
static void die_with_a_manager(void *arg, int fd)
{
    reeve_manager *m = manager_new(NULL);
    char url[200];

    (void)arg;
    OK(reeve_manager_start(m, NULL, NULL, LONG));
    snprintf(url, sizeof url, "%s", reeve_manager_address(m));
    CHECK(write(fd, url, sizeof url) == (ssize_t)sizeof url);
    for (;;)
        pause();
}

/* row: M06 */
TEST(manager_ends_with_the_program_that_started_it)
{
    struct lab lab;
    char url[200];
    int from = -1;
    pid_t pid = 0;

    lab_begin(&lab);
    pid = lab_process(die_with_a_manager, NULL, &from);
    CHECK(read(from, url, sizeof url) == (ssize_t)sizeof url);
    CHECK(access(url + 6, F_OK) == 0);
    lab_kill(pid);
    *strrchr(url, '/') = '\0';
    EVENTUALLY(LONG,
               access(url + 6, F_OK) != 0); /* its folder, which is the last that it removes */
    close(from);
    lab_end(&lab);
}

struct server {
    const struct lab *lab;
    char address[160];
};

static void serve(void *arg, int fd)
{
    struct server *s = arg;
    reeve_manager *m = manager_new(&(reeve_manager_options){
        .address = s->address, .keys = s->lab->dir, .key = s->lab->key_path});

    close(fd);
    (void)reeve_manager_serve_forever(m);
    fprintf(stderr, "%s\n", reeve_errmsg());
    _exit(1);
}

static bool connects(reeve_manager *m)
{
    return reeve_manager_state_of(m) == REEVE_MANAGER_STARTED ||
           reeve_manager_connect(m, 1000) == REEVE_OK;
}

/* row: M05 */
TEST(serve_forever_makes_the_caller_the_manager)
{
    struct lab lab;
    struct server s;
    reeve_manager *m = NULL;
    int from = -1;
    pid_t pid = 0;

    lab_begin(&lab);
    s.lab = &lab;
    snprintf(s.address, sizeof s.address, "ipc://%s/served.sock", lab.dir);
    pid = lab_process(serve, &s, &from);
    m = manager_new(&(reeve_manager_options){.address = s.address, .key = lab.key_path});
    EVENTUALLY(LONG, connects(m));
    CHECK(lab_sessions(context_of(m), "run-api", "attached") == 1);
    OK(reeve_shutdown(context_of(m), LONG));
    CHECK(lab_exit_code(pid) == 0);
    (void)reeve_manager_free(&m); /* it is not ours: its end is news */
    CHECK(m == NULL);
    close(from);
    lab_end(&lab);
}
