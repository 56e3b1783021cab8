#ifndef RV_PRIVATE_H
#define RV_PRIVATE_H

/*
 * private.h -- a manager of this program's own, and an agent for its pools, on this host.
 *
 *     program ---- lifeline: a socket pair ---- reeve-server, reeve-worker
 *
 * They are nobody's children, and end when the program does, however that is: the lifeline ends
 * with it. They listen on a socket in a folder that only this user can enter, which the manager
 * removes.
 */

#include "common/base/base.h"
#include <reeve/error.h>

struct rv_private;

/* The path of one of our programs, PATH_MAX bytes at out. ESYS, told by rv_fail, when there is none. */
reeve_err rv_private_find(char *out, const char *program);

/* As a URL: a private manager, whoever serves this user. */
#define RV_PRIVATE_URL "private:"

/* Start a manager and wait until it listens, at most timeout_ms. Errors, told by rv_fail: ESYS
 * (reeve-server was not found, or did not start), ETIME, ENOMEM. */
reeve_err rv_private_start(struct rv_private **out, uint32_t timeout_ms);

/* Where it listens. Borrowed. */
const char *rv_private_url(const struct rv_private *p);

/* Have agents with at least so many slots in all; 0: one for each processor that we may use.
 * *slots says how many that is. Errors as above. */
reeve_err rv_private_agent(struct rv_private *p, uint32_t *slots);

/* End all of it, and wait a little until it is gone. */
void rv_private_end(struct rv_private **p);

/* In a child after fork: it is the parent's. */
void rv_private_forget(struct rv_private **p);

#endif
