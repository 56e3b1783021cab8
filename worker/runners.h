#ifndef RUNNERS_H
#define RUNNERS_H

/*
 * runners.h -- zygotes, runners and their slots: what the core decides happens here.
 *
 *   zygote:   STARTING --hello--> UP --end--> gone       (one for each env that is loaded)
 *
 *   slot:     EMPTY --start--> WAITING --forked--> STARTING --ready--> IDLE <--> BUSY
 *               ^ zygote not up  |                     |                 |         |
 *               '--------------- ended: by itself, by its zygote's end, or stopped-'
 *
 * What a runner says is checked before the core hears it: a runner that speaks nonsense is
 * killed. Everything that a runner had said before it ended is heard before its end.
 */

#include "worker/core/agent.h"

struct runners;

struct runners_conf {
    uint32_t slots;
    int epoll_fd;      /* where descriptors are put, with runners_event's number as data */
    const char *agent; /* name, for tasks; borrowed, as the others */
    const char *url;   /* of the manager, for what tasks start */
    struct rv_sink sink;
};

struct runners *runners_new(const struct runners_conf *conf);

/* Where tasks reach us for sessions; borrowed. Without it they have none. */
void runners_relay(struct runners *r, const char *url);

/* Kills all and waits until they are gone. */
void runners_free(struct runners **runners);

/* Whom to tell; NULL: nobody, and all runners and zygotes are ended. */
void runners_serve(struct runners *r, struct agent *agent);

/* Descriptors of runners have bit 63 of their data set. */
#define RUNNERS_EVENT (UINT64_C(1) << 63)
void runners_event(struct runners *r, rv_ns now, uint64_t data);

/* Some child of ours has ended (SIGCHLD). */
void runners_children(struct runners *r, rv_ns now);

/* Start the zygote of env from the file at path: agent_on_loaded comes. own_libs: the loader
 * needs the folder where our own library is. */
void runners_load(struct runners *r, rv_ns now, const struct agent_env *env, const char *path,
                  bool own_libs);
/* env cannot be had: agent_on_loaded comes with this. */
void runners_cannot(struct runners *r, uint64_t env, const char *why, bool again);
void runners_unload(struct runners *r, uint64_t env);

/* The effects of the core. */
void runners_start(struct runners *r, rv_ns now, uint32_t slot, const struct agent_env *env);
void runners_give(struct runners *r, uint32_t slot, const struct agent_work *work);
void runners_trim(struct runners *r, rv_ns now, uint32_t slot, uint64_t end);
void runners_look(struct runners *r, rv_ns now, uint32_t slot);
void runners_stop(struct runners *r, rv_ns now, uint32_t slot);

/* What could not be told at once, and what takes too long. */
void runners_tick(struct runners *r, rv_ns now);
rv_ns runners_deadline(const struct runners *r);

/* The folder where our own libreeve is; NULL when it is in our program. */
const char *runners_own_libs(const struct runners *r);

/* Something runs, or is being started. */
bool runners_at_work(const struct runners *r);

/* The job of the runner that the process belongs to; before its first item, one that it was
 * started for. 0: it is none of ours. */
uint64_t runners_job_of(const struct runners *r, uint32_t pid);

#endif
