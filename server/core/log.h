#ifndef LOG_H
#define LOG_H

/*
 * log.h -- the command log: what was added becomes committed, in order, and only then is heard of.
 *
 *     add add add  flush        process
 *     open group -------> commit -------> committed(cmd) for each, in order
 *
 * `mem` commits at once and copies nothing: add calls committed before it returns.
 */

#include "server/core/command.h"

struct rv_log;

struct rv_log_callbacks {
    void (*committed)(void *arg, const struct command *cmd);
    void *arg;
    /* `mem` calls none of these. */
    void (*space)(void *arg, bool full);        /* the disk became full, or has room again */
    void (*failed)(void *arg, const char *why); /* nothing more will be committed: end */
};

/* For people. */
struct rv_log_stat {
    const char *level; /* what it survives at most: none or sync */
    uint64_t groups;   /* written */
    uint64_t flushes;
    uint64_t records;   /* written, of this life */
    rv_ns latency;      /* of a group with a flush, lately */
    uint64_t bytes;     /* of records behind the last snapshot */
    uint64_t snapshots; /* of this life */
    uint64_t snapshot_index;
    uint64_t snapshot_bytes;
    bool full;
};

struct rv_log_ops {
    void (*add)(struct rv_log *log, const struct command *cmd);
    void (*flush)(struct rv_log *log);       /* close the group, start its commit */
    void (*process)(struct rv_log *log);     /* report what has been committed */
    int (*pollfd)(const struct rv_log *log); /* readable when process has work; -1 is never */
    void (*close)(struct rv_log **log);      /* what was added before is written first */
    void (*stat)(const struct rv_log *log, struct rv_log_stat *out);
};

struct rv_log {
    const struct rv_log_ops *ops;
};

static inline void rv_log_add(struct rv_log *log, const struct command *cmd)
{
    log->ops->add(log, cmd);
}

static inline void rv_log_flush(struct rv_log *log)
{
    log->ops->flush(log);
}

static inline void rv_log_process(struct rv_log *log)
{
    log->ops->process(log);
}

static inline int rv_log_pollfd(const struct rv_log *log)
{
    return log->ops->pollfd(log);
}

static inline void rv_log_stat(const struct rv_log *log, struct rv_log_stat *out)
{
    *out = (struct rv_log_stat){.level = "none"};
    if (log->ops->stat != NULL)
        log->ops->stat(log, out);
}

static inline void rv_log_close(struct rv_log **log)
{
    if (*log != NULL)
        (*log)->ops->close(log);
}

/* Memory only: what it holds ends with the process. */
struct rv_log *rv_log_mem_open(const struct rv_log_callbacks *callbacks);

#endif
