#ifndef RV_DIGEST_H
#define RV_DIGEST_H

/* digest.h -- BLAKE2b-256, by which code is known. */

#include "common/wire/wire.h"

struct rv_digest {
    _Alignas(64) uint8_t state[384]; /* libsodium's, which is aligned like this */
};

void rv_digest_init(struct rv_digest *d);
void rv_digest_add(struct rv_digest *d, struct rv_slice bytes);
void rv_digest_end(struct rv_digest *d, uint8_t out[static 32]);

#endif
