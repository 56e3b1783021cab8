#ifndef BENCH_HARNESS_H
#define BENCH_HARNESS_H

/*
 * harness.h -- a manager of its own for one speed program: keys, a port, a folder, all temporary.
 *
 * The programs are the ones beside the folder that the speed program lies in. How they are
 * called stands in harness.c and nowhere else.
 */

#include "bench/measure.h"

#include <reeve.h>

enum { HARNESS_WAIT_MS = 60000 }; /* no call of a run that goes well takes longer */

/* Make keys and start the manager, with the affinity of this process. Ends with the program. */
void harness_start(void);

/* Before the start: the manager has a log, in the folder. */
void harness_durable(void);

/* Start an agent of the manager, which ends with it; or kill agent number i, and start it again at
 * once. It need not be there yet: work waits for it. */
void harness_agent(uint32_t slots);
void harness_agent_restart(size_t i);

/* End the manager, the agents and remove the folder. Safe twice. */
void harness_stop(void);

pid_t harness_server(void);

/* Open a context as the client that the manager admits, or die. After a fork too. */
reeve_context *harness_open(void);

/* Open the one queue of a run. */
reeve_queue *harness_queue(reeve_context *ctx);

/* Die with the library's words unless err is OK. */
void harness_check(reeve_err err, const char *what);

#endif
