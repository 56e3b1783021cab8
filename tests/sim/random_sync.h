#ifndef RANDOM_SYNC_H
#define RANDOM_SYNC_H

/* random_sync.h -- the part of the random histories that uses locks and their kin. */

#include "tests/lib/sim.h"

void random_sync_begin(struct sim *s);

/* The threads of a client do what they have to; when the next one has something to do. */
rv_ns random_sync_turn(struct sim *s, struct sim_client *c);

/* The client is no more, or begins again. */
void random_sync_forget(int client);

/* With faults stopped, everything that could finish has. */
void random_sync_finish(struct sim *s, int clients);

#endif
