#ifndef RV_RNG_H
#define RV_RNG_H

/* rng.h -- a seeded generator: the only chance a core may take. */

#include "common/base/base.h"

struct rv_rng {
    uint64_t state;
};

uint64_t rv_rng_next(struct rv_rng *rng);

/* Uniform in 0 .. limit - 1; limit is not zero. */
uint64_t rv_rng_below(struct rv_rng *rng, uint64_t limit);

#endif
