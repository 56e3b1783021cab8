#ifndef BITS_H
#define BITS_H

/*
 * bits.h -- which indexes are done: one bit each, from a base that follows.
 *
 *     base = 128        done: 128 done, 129 not, 130 done ...; all below 128 are done
 */

#include "common/base/base.h"

/* Zero-initialised: nothing is done. */
struct bits {
    uint64_t *words; /* a ring of cap words */
    size_t cap;      /* a power of two, or 0 */
    uint64_t base;   /* a multiple of 64: all before it are done */
    uint64_t end;    /* no bit at or behind it is set */
};

void bits_free(struct bits *b);

bool bits_test(const struct bits *b, uint64_t index);

/* Mark one; false when it was marked already. */
bool bits_set(struct bits *b, uint64_t index);

/* How many from first on, at most count, are not marked; 0 when first is. */
uint32_t bits_clear_run(const struct bits *b, uint64_t first, uint32_t count);

/* The marks of the 64 indexes from index on, a multiple of 64 from base to end. */
uint64_t bits_word(const struct bits *b, uint64_t index);

/* The first that is not marked. */
uint64_t bits_first_clear(const struct bits *b);

#endif
