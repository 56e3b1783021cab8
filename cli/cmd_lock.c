/* cmd_lock.c -- reeve lock and reeve sem: run a command while something is held.
 *
 * The session that holds it is this process's. If it is lost, or the lock is removed, somebody else may
 * hold the lock by now: the command is told to end. If this process is killed, the lock passes on as
 * abandoned.
 */

#include "cli/cli.h"
#include "common/net/net.h"
#include "common/proc/proc.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    LOOK_MS = 1000,  /* so often it is looked whether the session is still there */
    PATIENCE_S = 10, /* that a command may take to end when it has lost its lock */
};

/* ---- the command ---- */

static volatile sig_atomic_t passed_on; /* a signal for the command */

static void on_signal(int number)
{
    passed_on = number;
}

/* Ctrl-C is for the command, which gets it from the terminal as we do; the rest we pass on. */
static void catch_for_command(void)
{
    struct sigaction action = {.sa_handler = on_signal};

    sigemptyset(&action.sa_mask);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGHUP, &action, NULL);
    signal(SIGINT, SIG_IGN);
    signal(SIGQUIT, SIG_IGN);
}

static bool is_lost(reeve_err err)
{
    return err == REEVE_ELOST || err == REEVE_ESTALE || err == REEVE_EEXPIRED ||
           err == REEVE_ECLOSED || err == REEVE_EGONE;
}

/* What is held: the one or the other. */
struct held {
    reeve_context *ctx;
    reeve_lock *lock;
    reeve_semaphore *semaphore;
};

/* Is it lost? That is told. A manager that does not answer may come back with it. */
static bool lose(const struct held *held)
{
    bool locked = false;
    reeve_err err = reeve_ping(held->ctx, LOOK_MS);

    if (err == REEVE_OK && held->lock != NULL)
        err = reeve_lock_locked(held->lock, &locked);
    else if (err == REEVE_OK)
        err = reeve_semaphore_locked(held->semaphore, &locked);
    if (!is_lost(err))
        return false;
    (void)cli_fail(EXIT_AGAIN, "%s; what it held is lost, so the command is ended", reeve_errmsg());
    return true;
}

/* Wait for the command. True when what is held was lost meanwhile. */
static bool wait_for(int pidfd, const struct held *held)
{
    struct pollfd fd = {.fd = pidfd, .events = POLLIN};
    bool lost = false;
    int64_t kill_at = 0;

    for (;;) {
        int ready = poll(&fd, 1, LOOK_MS);

        if (passed_on != 0)
            (void)rv_pidfd_kill(pidfd, passed_on);
        passed_on = 0;
        if (ready > 0)
            return lost || lose(held);
        if (!lost && lose(held)) {
            lost = true;
            kill_at = rv_clock_now() + PATIENCE_S * RV_SEC;
            (void)rv_pidfd_kill(pidfd, SIGTERM);
        } else if (lost && rv_clock_now() > kill_at) {
            (void)rv_pidfd_kill(pidfd, SIGKILL);
        }
    }
}

static int code_of(int status)
{
    return WIFSIGNALED(status) ? EXIT_SIGNAL + WTERMSIG(status) : WEXITSTATUS(status);
}

/* Its exit code, or ours when it could not run or was ended for a lost lock. */
static int run_command(char **argv, const struct held *held)
{
    static const struct rv_proc_fd fds[] = {{0, 0}, {1, 1}, {2, 2}};
    bool lost = false;
    int status = 0;
    int pidfd = -1;
    pid_t pid = 0;

    catch_for_command();
    pid = rv_proc_start(&(struct rv_proc_conf){.path = argv[0],
                                               .argv = argv,
                                               .fds = fds,
                                               .fds_len = 3,
                                               .search = true,
                                               .dies_with_us = true});
    if (pid == 0)
        return cli_fail(EXIT_CHANGE, "cannot run %s: %s", argv[0], strerror(errno));
    pidfd = rv_pidfd_open(pid);
    if (pidfd < 0) {
        if (waitpid(pid, &status, 0) != pid)
            return cli_fail(EXIT_AGAIN, "cannot wait for %s: %s", argv[0], strerror(errno));
        return code_of(status);
    }
    lost = wait_for(pidfd, held);
    status = rv_pidfd_reap(pidfd);
    close(pidfd);
    return lost ? EXIT_AGAIN : code_of(status);
}

/* ---- reeve lock ---- */

static void show_fence(reeve_lock *lock)
{
    uint64_t fence = 0;
    char text[24];

    if (reeve_lock_fence(lock, &fence) != REEVE_OK)
        return;
    snprintf(text, sizeof text, "%" PRIu64, fence);
    setenv("REEVE_FENCE", text, 1);
}

static int with_lock(const struct cli_args *args, reeve_context *ctx, reeve_lock *lock)
{
    bool fail = args->on_abandoned != NULL && strcmp(args->on_abandoned, "fail") == 0;
    const struct held held = {.ctx = ctx, .lock = lock};
    uint32_t timeout = cli_timeout(args, REEVE_FOREVER);
    bool seen = isatty(STDERR_FILENO); /* by somebody who wonders why nothing happens */
    reeve_err err = reeve_lock_acquire(lock, seen ? 0 : timeout);
    int code = EXIT_DONE;

    if (err == REEVE_ETIME && seen && timeout > 0) {
        fprintf(stderr, "reeve: %s; waiting, Ctrl-C ends it\n", reeve_errmsg());
        err = reeve_lock_acquire(lock, timeout);
    }

    if (err == REEVE_OWNER_DIED && fail) /* not released: the next one is told too */
        return cli_fail(EXIT_CHANGE,
                        "cannot run under the lock: %s; look at what that left, then "
                        "run this with --on-abandoned run",
                        reeve_errmsg());
    if (err == REEVE_OWNER_DIED)
        fprintf(stderr, "reeve: %s\n", reeve_errmsg());
    else if (err != REEVE_OK)
        return cli_fail_call(err);
    show_fence(lock);
    setenv("REEVE_ABANDONED", err == REEVE_OWNER_DIED ? "1" : "0", 1);
    code = run_command(args->words + 1, &held);
    err = reeve_lock_release(lock);
    return err == REEVE_OK || code != EXIT_DONE ? code : cli_fail_call(err);
}

int run_lock(const struct cli_args *args)
{
    reeve_context *ctx = NULL;
    reeve_lock *lock = NULL;
    int code = EXIT_DONE;

    if (args->on_abandoned != NULL && strcmp(args->on_abandoned, "run") != 0 &&
        strcmp(args->on_abandoned, "fail") != 0)
        return cli_fail_usage(args, "cannot read --on-abandoned %s: it is run or fail",
                              args->on_abandoned);
    code = cli_open(&ctx, args);
    if (code == EXIT_DONE) {
        reeve_err err = reeve_lock_open(&lock, ctx, args->words[0], NULL);

        code = err == REEVE_OK ? with_lock(args, ctx, lock) : cli_fail_call(err);
    }
    reeve_lock_close(&lock);
    return cli_close(&ctx, code);
}

/* ---- reeve sem ---- */

static int with_permit(const struct cli_args *args, reeve_context *ctx, reeve_semaphore *semaphore)
{
    const struct held held = {.ctx = ctx, .semaphore = semaphore};
    reeve_err err = reeve_semaphore_acquire(semaphore, cli_timeout(args, REEVE_FOREVER));
    int code = EXIT_DONE;

    if (err != REEVE_OK)
        return cli_fail_call(err);
    code = run_command(args->words + 2, &held);
    err = reeve_semaphore_release(semaphore);
    return err == REEVE_OK || code != EXIT_DONE ? code : cli_fail_call(err);
}

int run_sem(const struct cli_args *args)
{
    reeve_context *ctx = NULL;
    reeve_semaphore *semaphore = NULL;
    uint32_t permits = 0;
    int code = EXIT_DONE;

    if (!cli_parse_count(&permits, args->words[1]) || permits == 0)
        return cli_fail_usage(args, "cannot read %s: N is a number of permits", args->words[1]);
    code = cli_open(&ctx, args);
    if (code == EXIT_DONE) {
        reeve_err err = reeve_semaphore_open(&semaphore, ctx, args->words[0], permits,
                                             &(reeve_semaphore_options){.bounded = true});

        code = err == REEVE_OK ? with_permit(args, ctx, semaphore) : cli_fail_call(err);
    }
    reeve_semaphore_close(&semaphore);
    return cli_close(&ctx, code);
}
