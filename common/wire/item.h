#ifndef RV_ITEM_H
#define RV_ITEM_H

/*
 * item.h -- queue items on the wire: opaque bytes with a four-byte head.
 *
 *     head (u32)     bit 31      a priority and a delivery count follow
 *                    bit 30      references follow
 *                    bits 28-29  where the bytes are: enum rv_place
 *                    bits 0-27   length of the bytes
 *     extra          i64 priority, u32 deliveries    (only if bit 31; not both zero)
 *     references     u8 count, u64 each              (only if bit 30; 1 to 255, none zero)
 *     body           u64 number of the body          (only if RV_FRAGMENTS)
 *     bytes          length of them                  (only if RV_INLINE)
 *
 * A reference is the number of an object that the bytes name; each takes at least 8 of them. The
 * manager reads no bytes: it counts the references that stand here.
 *
 * RV_BODY: the bytes are the next body frame of this message that no item before has used.
 */

#include "common/wire/wire.h"

enum rv_place { RV_INLINE, RV_BODY, RV_FRAGMENTS };

/* Bytes that several lists may hold: counted, freed with the last. */
struct rv_body {
    size_t len;
    size_t cap;
    uint32_t refs;
    uint8_t data[];
};

/* NULL without memory. One reference, the caller's. */
struct rv_body *rv_body_new(size_t len);
struct rv_body *rv_body_keep(struct rv_body *body);
void rv_body_drop(struct rv_body *body);

struct rv_item {
    enum rv_place place;
    uint32_t len;
    int64_t priority;      /* of a PriorityQueue; else 0 */
    uint32_t deliveries;   /* times that an application had it before, manager to client */
    uint64_t body;         /* with RV_FRAGMENTS */
    struct rv_slice bytes; /* with RV_INLINE; borrowed */
    struct rv_slice refs;  /* u64 each, as on the wire; borrowed */
};

/* A list of items as it stands in a message. */
struct rv_items {
    uint32_t count;
    struct rv_slice bytes;
};

/* Read one; sticks in r when it is malformed or not spelt the only way. */
void rv_item_read(struct rv_reader *r, struct rv_item *out);
void rv_item_write(struct rv_buf *b, const struct rv_item *item);

/* Write the head of an inline item; its len bytes go where the result says. NULL without memory. */
uint8_t *rv_item_room(struct rv_buf *b, const struct rv_item *item);

/* The i-th reference. */
static inline uint64_t rv_item_ref(struct rv_slice refs, size_t i)
{
    return rv_get_number(refs.data + i * 8, 8);
}

/* Bytes that a well-formed item takes in a list, from its head on. */
static inline size_t rv_item_size(const uint8_t *at)
{
    uint64_t head = rv_get_number(at, 4);
    size_t bytes = (size_t)(head & 0x0fffffff);
    uint64_t place = head >> 28 & 3;
    size_t extra = head >> 31 != 0 ? 12u : 0u;
    size_t refs = head >> 30 & 1 ? 1 + 8u * at[4 + extra] : 0u;

    return 4 + extra + refs + (place == RV_INLINE ? bytes : place == RV_FRAGMENTS ? 8u : 0u);
}

/* Check all items; number of body frames that they use goes to *bodies. */
bool rv_items_check(const struct rv_items *items, size_t *bodies);

#endif
