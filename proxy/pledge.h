#ifndef RV_PLEDGE_H
#define RV_PLEDGE_H

/*
 * pledge.h -- results that refer to objects: the manager is asked to keep these before the result leaves.
 *
 *     function --- objects ---> manager: its job has them now
 *        '------- result -----> agent ------> manager: the result has them ----> who reads it
 */

#include "proxy/task_state.h"

#include <reeve/error.h>

/* The result of the task, which has returned, refers to these objects of the manager with this store. Each is
 * held by a context that the process has open, or came with the item. At once when the function has said so
 * itself; else blocks for a round trip. why: in words, after an error. Errors: ENOENT, ELIMIT, EINVAL, ETIME, how
 * the item or its job has ended, and as reeve_ping. */
reeve_err rv_pledge(struct reeve_task *task, struct rv_slice objects, uint32_t store, char *why,
                    size_t why_len);

#endif
