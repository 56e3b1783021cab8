#ifndef JOBLOG_H
#define JOBLOG_H

/*
 * joblog.h -- what a map has done, a line an item, in the columns of GNU parallel's --joblog.
 *
 *     Seq  Host  Starttime  JobRuntime  Send  Receive  Exitval  Signal  Command
 */

#include <reeve.h>

#include <stdint.h>
#include <stdio.h>

struct joblog {
    FILE *file;    /* NULL: none */
    uint8_t *well; /* one bit an item that went well before */
    uint64_t well_len;
};

/* path NULL: none. resume: read first what went well, then append. An exit code. */
int joblog_open(struct joblog *log, const char *path, bool resume);
void joblog_close(struct joblog *log);

/* Did this item go well in an earlier run? */
bool joblog_has(const struct joblog *log, uint64_t number);

void joblog_add(struct joblog *log, const char *line, uint64_t number, const char *command,
                const reeve_record *record, const reeve_value *value);

#endif
