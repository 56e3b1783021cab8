#ifndef RANDOM_BOX_H
#define RANDOM_BOX_H

/* random_box.h -- the part of the random histories that shares dicts, lists, sets and arrays. */

#include "tests/lib/sim.h"

void random_box_begin(struct sim *s);

/* The threads of a client do what they have to; when the next one has something to do. */
rv_ns random_box_turn(struct sim *s, struct sim_client *c);

/* The client is no more, or begins again. */
void random_box_forget(int client);

/* With faults stopped, everything that could finish has: everything that was waited for came. */
void random_box_finish(struct sim *s, int clients);

#endif
