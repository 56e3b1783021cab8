#ifndef SESSION_H
#define SESSION_H

/*
 * session.h -- a client's session: it outlives its connections, and ends for all that it held.
 *
 *            hello                detach
 *   (none) --------> ATTACHED -------------> DETACHED --- resume_ms ---> ended
 *                     ^   |  '- goodbye, silent, process gone ---------> ended
 *                     '---' hello with a higher attempt --'
 */

#include "server/core/state.h"

void session_on_hello(struct mgr *mgr, const struct command *cmd);
void session_on_detach(struct mgr *mgr, const struct command *cmd);

/* The manager begins a new life, or slept. */
void session_on_restart(struct mgr *mgr, const struct command *cmd);
void session_on_pause(struct mgr *mgr, rv_ns pause);

/* What the session had goes to the others: its waits end, what it held goes back in order. */
void session_end(struct mgr *mgr, struct session *s, reeve_err reason);

/* Its hold on an object; NULL when it has none. */
struct ref *session_ref(const struct session *s, uint64_t object);

#endif
