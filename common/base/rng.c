#include "common/base/rng.h"

/* splitmix64: passes the usual tests, and any seed is a good one. */
uint64_t rv_rng_next(struct rv_rng *rng)
{
    uint64_t z = rng->state += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

uint64_t rv_rng_below(struct rv_rng *rng, uint64_t limit)
{
    rv_assert(limit != 0);
    return rv_rng_next(rng) % limit;
}
