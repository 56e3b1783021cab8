#ifndef LOG_DUMP_H
#define LOG_DUMP_H

/*
 * log_dump.h -- a record of the log as a line for people.
 *
 *     12  2026-01-05T10:11:17.346Z  life 1  flush 5.   160 bytes  messages  session 1  from message 3: queue_put 5
 *
 * What a client chose, as a name, is shown in quotes, without its control characters. Items, values and
 * the secrets of sessions are not shown.
 */

#include "server/core/record.h"

/* Print it to standard output. */
void log_dump(const struct record *rec, const struct command *cmd);
/* The same of a record without a command: the log was ended in order there. */
void log_dump_seal(uint64_t index);

#endif
