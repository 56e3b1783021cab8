#include "server/core/log.h"

#include <stdlib.h>

struct log_mem {
    struct rv_log log; /* first */
    struct rv_log_callbacks callbacks;
};

static void mem_add(struct rv_log *log, const struct command *cmd)
{
    const struct log_mem *mem = (const struct log_mem *)log;

    mem->callbacks.committed(mem->callbacks.arg, cmd);
}

static void mem_flush(struct rv_log *log)
{
    (void)log;
}

static void mem_process(struct rv_log *log)
{
    (void)log;
}

static int mem_pollfd(const struct rv_log *log)
{
    (void)log;
    return -1;
}

static void mem_close(struct rv_log **log)
{
    free(*log);
    *log = NULL;
}

static const struct rv_log_ops log_mem_ops = {
    .add = mem_add,
    .flush = mem_flush,
    .process = mem_process,
    .pollfd = mem_pollfd,
    .close = mem_close,
};

struct rv_log *rv_log_mem_open(const struct rv_log_callbacks *callbacks)
{
    struct log_mem *mem = rv_alloc(sizeof *mem);

    mem->log.ops = &log_mem_ops;
    mem->callbacks = *callbacks;
    return &mem->log;
}
