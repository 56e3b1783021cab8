#include "common/wire/digest.h"

#include <sodium/crypto_generichash.h>

_Static_assert(sizeof(crypto_generichash_state) <= sizeof(struct rv_digest), "room for the state");

void rv_digest_init(struct rv_digest *d)
{
    (void)crypto_generichash_init((crypto_generichash_state *)(void *)d->state, NULL, 0, 32);
}

void rv_digest_add(struct rv_digest *d, struct rv_slice bytes)
{
    (void)crypto_generichash_update((crypto_generichash_state *)(void *)d->state, bytes.data,
                                    bytes.len);
}

void rv_digest_end(struct rv_digest *d, uint8_t out[static 32])
{
    (void)crypto_generichash_final((crypto_generichash_state *)(void *)d->state, out, 32);
}
