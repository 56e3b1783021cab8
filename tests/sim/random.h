#ifndef SIM_RANDOM_H
#define SIM_RANDOM_H

/* random.h -- random histories: two virtual minutes each, with faults in the first 90 seconds. */

#include "tests/lib/sim.h"

#include <stdint.h>

/* What a new object of the history shall survive; only mild ones have such that survive less. */
enum rv_durable random_level(struct sim *s);

/* One, in this process, with its story when it fails. 0 is success. */
int random_one(uint64_t seed);

/* Each in its own process; counts the faults, and fails when there were too few. */
int random_many(uint64_t from, uint64_t to);

/* 0 when none fails. */
uint64_t random_first_failure(uint64_t from, uint64_t to);

#endif
