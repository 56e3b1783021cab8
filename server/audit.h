#ifndef AUDIT_H
#define AUDIT_H

/*
 * audit.h -- who came, who was refused what, who made and removed objects: one line an event, in a
 * file of its own, which somebody else may collect.
 *
 *     2026-11-25T20:00:00.000Z session.open session=4 key=alice host=desk pid=812
 */

#include "common/base/base.h"

/* Append to that file, made with mode 0600. False: why (of 512 bytes) says what is wrong. */
bool audit_open(const char *path, char *why);
/* Open the file of that name again: it may have been moved away. The old one stays if that fails. */
void audit_reopen(void);
void audit_close(void);

/* A line of the story, if it belongs here. Of a flood of them some are left out, which is told. */
void audit_line(const char *stamp, int level, const char *text);

#endif
