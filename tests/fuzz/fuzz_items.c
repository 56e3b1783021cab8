/* Any bytes are refused as a list of items, or every item in it is within the bounds of its place
 * and the list encodes to itself again; and what an item names is found where it must be, or not
 * at all. */

#include "common/wire/stream.h"
#include "tests/fuzz/fuzz.h"

static const uint8_t payload[RV_LIMIT_BODY_BYTES];

static bool in_bounds(const struct rv_item *item)
{
    switch (item->place) {
    case RV_INLINE:
        return item->len <= RV_LIMIT_ITEM_INLINE_BYTES && item->bytes.len == item->len;
    case RV_BODY:
        return item->len > RV_LIMIT_ITEM_INLINE_BYTES && item->len <= RV_LIMIT_BODY_BYTES;
    case RV_FRAGMENTS:
        return item->len > RV_LIMIT_BODY_BYTES && item->len <= RV_LIMIT_ITEM_BYTES;
    }
    return false;
}

/* Fragments as the input says, good and bad ones. */
static void assemble(struct input *in, struct rv_assembly *a)
{
    for (uint32_t n = pick(in, 8); n > 0; n--) {
        struct rv_fragment fragment = {.body = take_number(in, 1),
                                       .offset = (uint32_t)take_number(in, 4),
                                       .total = (uint32_t)take_number(in, 4)};
        size_t len = (size_t)take_number(in, 3) % (sizeof payload + 1);

        rv_assembly_add(a, &fragment, rv_slice(payload, len));
        rv_assert(a->bytes <= RV_LIMIT_ASSEMBLY_BYTES);
    }
}

/* Receive each item with some body frames, of the length that it wants or of another. */
static void receive(const struct rv_items *items, struct input *in)
{
    struct rv_reader r = rv_reader(items->bytes);
    struct rv_assembly a = {0};
    struct rv_slice bodies[RV_LIMIT_BODIES];
    size_t bodies_len = pick(in, RV_LIMIT_BODIES + 1);
    size_t frames = 0;

    assemble(in, &a);
    for (size_t i = 0; i < bodies_len; i++)
        bodies[i] = rv_slice(payload, (size_t)take_number(in, 3) % (sizeof payload + 1));
    for (uint32_t i = 0; i < items->count; i++) {
        struct rv_item item;
        struct rv_body *body = NULL;
        bool arrived = false;

        rv_item_read(&r, &item);
        if (item.place == RV_BODY && frames < bodies_len && pick(in, 2) == 0)
            bodies[frames].len = item.len;
        arrived = rv_item_receive(&item, &a, bodies, bodies_len, &frames, &body);
        rv_assert(frames <= bodies_len);
        rv_assert((body != NULL) == (arrived && item.place != RV_INLINE));
        rv_assert(body == NULL || body->len == item.len);
        rv_body_drop(body);
    }
    rv_assembly_fini(&a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct input in = {.data = data, .left = len};
    struct rv_items items = {.count = (uint32_t)take_number(&in, 2)};
    size_t list = (size_t)take_number(&in, 2);
    struct rv_buf again = {0};
    struct rv_reader r;
    size_t bodies = 0;
    size_t seen = 0;

    items.bytes = take_bytes(&in, list);
    if (!rv_items_check(&items, &bodies))
        return 0;
    r = rv_reader(items.bytes);
    for (uint32_t i = 0; i < items.count; i++) {
        struct rv_item item;

        rv_item_read(&r, &item);
        rv_assert(!r.bad && in_bounds(&item));
        seen += item.place == RV_BODY;
        rv_item_write(&again, &item);
    }
    rv_assert(r.left == 0 && seen == bodies);
    rv_assert(rv_slice_equal(rv_buf_slice(&again), items.bytes));
    rv_buf_free(&again);
    receive(&items, &in);
    return 0;
}
