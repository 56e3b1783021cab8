#include "proxy/core/pack.h"

#include <stdlib.h>

enum { PACK_BYTES = 65536, ITEM_HEAD = 4 };

static struct rv_pack *pack_new(bool large)
{
    struct rv_pack *pack = calloc(1, sizeof *pack);

    if (pack == NULL)
        return NULL;
    atomic_init(&pack->refs, 1);
    pack->large = large;
    return pack;
}

static void pack_drop(struct rv_pack *pack)
{
    if (atomic_fetch_sub_explicit(&pack->refs, 1, memory_order_acq_rel) != 1)
        return;
    rv_buf_free(&pack->bytes);
    rv_buf_free(&pack->objects);
    free(pack);
}

static bool reserve(struct rv_packs *packs, size_t more)
{
    size_t cap = packs->cap < 8 ? 8 : packs->cap;
    struct rv_pack **at = NULL;

    if (packs->len + more <= packs->cap)
        return true;
    if (packs->head > packs->len / 2) {
        packs->len -= packs->head;
        memmove(packs->at, packs->at + packs->head, packs->len * sizeof(struct rv_pack *));
        packs->head = 0;
        return reserve(packs, more);
    }
    while (cap < packs->len + more)
        cap *= 2;
    at = realloc(packs->at, cap * sizeof(struct rv_pack *));
    if (at == NULL)
        return false;
    packs->at = at;
    packs->cap = cap;
    return true;
}

/* The last pack, if it takes an item of that length and nobody else has it. */
static struct rv_pack *open_pack(const struct rv_packs *packs, size_t len)
{
    struct rv_pack *pack = packs->len == packs->head ? NULL : packs->at[packs->len - 1];

    if (pack == NULL || pack->large || pack->count == RV_LIMIT_PUT_ITEMS ||
        pack->bytes.len + ITEM_HEAD + len > PACK_BYTES ||
        atomic_load_explicit(&pack->refs, memory_order_acquire) != 1)
        return NULL;
    return pack;
}

static struct rv_pack *begin_pack(struct rv_packs *packs, bool large)
{
    struct rv_pack *pack = reserve(packs, 1) ? pack_new(large) : NULL;

    if (pack != NULL)
        packs->at[packs->len++] = pack;
    return pack;
}

reeve_err rv_packs_add(struct rv_packs *packs, struct rv_slice head, struct rv_slice rest,
                       struct rv_slice refs)
{
    size_t len = head.len + rest.len;
    size_t refs_len = refs.len == 0 ? 0 : 1 + refs.len;
    bool large = len > RV_LIMIT_ITEM_INLINE_BYTES;
    struct rv_pack *pack = large ? NULL : open_pack(packs, len + refs_len);
    uint8_t *room = NULL;

    if (len > RV_LIMIT_ITEM_BYTES)
        return REEVE_ETOOBIG;
    if (refs.len / 8 > RV_LIMIT_ITEM_REFS)
        return REEVE_ELIMIT;
    if (pack == NULL)
        pack = begin_pack(packs, large);
    if (pack == NULL)
        return REEVE_ENOMEM;
    room = rv_buf_room(&pack->bytes, len + ITEM_HEAD + refs_len);
    if (large)
        rv_buf_add(&pack->objects, refs.data, refs.len);
    if (room == NULL || pack->objects.bad) {
        pack->bytes.bad = pack->objects.bad = false;
        if (pack->count == 0) {
            packs->len--;
            pack_drop(pack);
        }
        return REEVE_ENOMEM;
    }
    if (!large) {
        room = rv_item_room(&pack->bytes, &(struct rv_item){.len = (uint32_t)len, .refs = refs});
        pack->bytes.len -= len; /* they are counted below */
    }
    if (head.len > 0)
        memcpy(room, head.data, head.len);
    if (rest.len > 0)
        memcpy(room + head.len, rest.data, rest.len);
    pack->bytes.len += len;
    pack->count++;
    packs->count++;
    return REEVE_OK;
}

bool rv_packs_share(struct rv_packs *packs, const struct rv_packs *other)
{
    if (!reserve(packs, other->len - other->head))
        return false;
    for (size_t i = other->head; i < other->len; i++) {
        atomic_fetch_add_explicit(&other->at[i]->refs, 1, memory_order_relaxed);
        packs->at[packs->len++] = other->at[i];
    }
    packs->count += other->count;
    return true;
}

const struct rv_pack *rv_packs_first(const struct rv_packs *packs)
{
    return packs->head == packs->len ? NULL : packs->at[packs->head];
}

void rv_packs_pop(struct rv_packs *packs)
{
    rv_assert(packs->head < packs->len);
    packs->count -= packs->at[packs->head]->count;
    pack_drop(packs->at[packs->head++]);
}

void rv_packs_free(struct rv_packs *packs)
{
    for (size_t i = packs->head; i < packs->len; i++)
        pack_drop(packs->at[i]);
    free(packs->at);
    *packs = (struct rv_packs){0};
}
