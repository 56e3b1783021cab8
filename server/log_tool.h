#ifndef LOG_TOOL_H
#define LOG_TOOL_H

/* log_tool.h -- look at the folder of a log, copy it, bring a copy back: reeve-server --log WHAT.
 * Nothing is changed in the folder, and a manager may be serving from it. */

/* what: verify, stat, dump; backup and restore, into the empty folder `to`. Prints, and returns the
 * exit code: 0, or 100 with a sentence on stderr. */
int log_tool(const char *what, const char *data, const char *to);

#endif
