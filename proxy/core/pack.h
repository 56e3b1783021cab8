#ifndef RV_PACK_H
#define RV_PACK_H

/*
 * pack.h -- items of a job as a message carries them, so that sending them is one copy.
 *
 * A pack is shared by the list it was made in and by every call that was given the list; the last
 * one frees it. Who wants to add to a pack that others have begins another.
 */

#include "common/wire/msg.h"
#include <reeve/error.h>

#include <stdatomic.h>

struct rv_pack {
    atomic_uint refs; /* holders may be in different threads */
    bool large;       /* one item above RV_LIMIT_ITEM_INLINE_BYTES: bytes are the item itself */
    uint32_t count;
    struct rv_buf bytes;
    struct rv_buf
        objects; /* references of a large one, as on the wire; the others have theirs in their heads */
};

/* Zero-initialised is empty and valid. */
struct rv_packs {
    struct rv_pack **at; /* those from head to len - 1 */
    size_t head, len, cap;
    uint64_t count; /* items in all of them */
};

/* Append an item whose bytes are head and rest, with references, as on the wire. Errors: ENOMEM,
 * ETOOBIG, ELIMIT (too many references); nothing has changed then. */
reeve_err rv_packs_add(struct rv_packs *packs, struct rv_slice head, struct rv_slice rest,
                       struct rv_slice refs);

/* Append what the other has; both have it then. False without memory, and nothing has changed. */
bool rv_packs_share(struct rv_packs *packs, const struct rv_packs *other);

/* The first pack, or NULL; and drop it. */
const struct rv_pack *rv_packs_first(const struct rv_packs *packs);
void rv_packs_pop(struct rv_packs *packs);
void rv_packs_free(struct rv_packs *packs);

#endif
