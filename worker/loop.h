#ifndef LOOP_H
#define LOOP_H

/*
 * loop.h -- the agent's one thread: waits, hears the manager, its runners and its signals, and does
 * what the core says.
 *
 * A session that ends for good, because the manager was replaced or we were away for too long,
 * takes all its work with it; another one is begun. Without a manager for lost_exit_ms the
 * agent ends.
 */

#include "common/net/target.h"

struct loop_conf {
    const struct rv_targets *targets;
    const struct rv_keyfile *key; /* borrowed, as all */
    const char *url;              /* for what tasks start */
    const char *name;
    const char *labels;
    const char *cache_dir;
    uint64_t cache_bytes;
    uint32_t slots;
    uint32_t drain_ms;
    uint32_t idle_exit_ms; /* 0: never, as the next */
    uint32_t lost_exit_ms;
    int lifeline_fd; /* -1: none, as the next */
    int ready_fd;
};

/* Serve until it is told to end: the exit code. SIGTERM, SIGINT and SIGCHLD must be blocked. */
int loop_run(const struct loop_conf *conf);

/* A line `TIME level worker TEXT` on stderr, unless its level is above the one set (RV_INFO). arg
 * is not used: the function serves as a sink. */
void loop_line(void *arg, int level, const char *text);
void loop_log_level(int level);

#endif
