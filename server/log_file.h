#ifndef LOG_FILE_H
#define LOG_FILE_H

/*
 * log_file.h -- a log in a folder: what was committed is there after any end of the process.
 *
 *     add add add  flush                          process
 *     open group --------> writer: write, flush -------> committed(cmd) for each, in order
 *                          (a thread; the core goes on reading)
 *
 * One group is under way at a time; the next one grows until it is back, so groups follow the
 * load. A group is flushed when one of its commands asks for that (enum rv_durable); without,
 * it is committed when it is written, and a command that asks for nothing is committed at once
 * when none waits before it. The order never changes.
 */

#include "server/core/journal.h"
#include "server/core/log.h"

struct rv_log_file_conf {
    const char *folder;
    struct disk *disk; /* of that folder, locked; borrowed */
    uint32_t segment_bytes;
    uint64_t floor_bytes;
    uint64_t snapshot_bytes; /* of log before a snapshot, at least; 0: 64 MiB */
    bool repair;
    rv_ns now; /* the time of COMMAND_RESTART, unless the log's last command is later */
    struct rv_sink sink;
};

/* Open the folder, and read it into a new manager, made from conf: its store is set, and the
 * commands go to it and not to the callbacks. On the way out its term is that of this opening, and
 * the command that says so (COMMAND_RESTART) is committed. False: why has a sentence of at most
 * JOURNAL_WHY bytes. */
bool rv_log_file_open(struct rv_log **out, struct mgr **mgr, const struct rv_log_file_conf *conf,
                      const struct mgr_conf *mgr_conf, const struct rv_log_callbacks *callbacks,
                      char *why);

#endif
