#ifndef RV_RUNNER_H
#define RV_RUNNER_H

/*
 * runner.h -- this program as a zygote and as a runner of tasks.
 *
 *   reeve_main() --> rv_zygote_run() --fork--> rv_runner_run()
 *
 * A runner reads frames (common/wire/task.h), calls functions and writes frames, until its
 * socket ends. It has no thread and no lock of ours.
 */

#include "common/value/value.h"
#include "common/wire/task.h"

#include <reeve/task.h>

#include <sys/types.h>

/* A registered function by name; NULL. */
const reeve_fn *rv_task_function(struct rv_slice name);
const reeve_init *rv_task_initializer(struct rv_slice name);

/* The name of two functions, which is one too many; NULL: all names are unique. */
const char *rv_task_twice(void);

/* The number of the zygote's socket; -1 when this process is none. */
int rv_zygote_fd(void);

/* The process is a runner: reeve_open() goes through its agent. */
bool rv_is_runner(void);

/* Serve fork requests on fd until its other end is closed. */
_Noreturn void rv_zygote_run(int fd);

/* Tell the agent why this program can run nothing, and end. */
_Noreturn void rv_zygote_refuse(int fd, const char *why);

struct rv_runner_conf {
    int fd;                    /* the socket; becomes the runner's */
    struct rv_task_page *page; /* mapped, RV_TASK_MAP_BYTES */
    int output;                /* the pipe that stdout and stderr are; -1: not looked at */
};

/* Run what comes until the socket ends. False when the initializer failed, or the agent spoke
 * nonsense. */
bool rv_runner_run(const struct rv_runner_conf *conf);

/* From now on, deadly signals leave their evidence in page. */
void rv_crash_watch(struct rv_task_page *page);

/* Text for what failed last in a task or an initializer. */
struct rv_slice rv_task_words(void);

#endif
