#include "common/wire/item.h"
#include "common/wire/limits.def"

#include <stdatomic.h>
#include <stdlib.h>

#define EXTRA_BIT   (UINT32_C(1) << 31)
#define REFS_BIT    (UINT32_C(1) << 30)
#define PLACE_SHIFT 28
#define LEN_MASK    ((UINT32_C(1) << PLACE_SHIFT) - 1)

/* Large bodies come and go one after the other, and the C library would give each back to the
 * system and fault the next one in: that took a quarter of the time of 1 MiB items. So a few
 * spare ones are kept, for whatever thread is next. */
enum { SPARES = 4, SPARE_MIN = 128 * 1024, SPARE_MAX = 2 * 1024 * 1024 };

static _Atomic(struct rv_body *) spares[SPARES];

static struct rv_body *take_spare(size_t len)
{
    for (size_t i = 0; i < SPARES; i++) {
        struct rv_body *body = atomic_exchange(&spares[i], NULL);

        if (body == NULL)
            continue;
        /* Not one that is far too large: its memory would be held by little. */
        if (body->cap >= len && body->cap / 2 <= len)
            return body;
        free(body);
    }
    return NULL;
}

static bool keep_spare(struct rv_body *body)
{
    if (body->cap < SPARE_MIN || body->cap > SPARE_MAX)
        return false;
    for (size_t i = 0; i < SPARES; i++) {
        struct rv_body *none = NULL;

        if (atomic_compare_exchange_strong(&spares[i], &none, body))
            return true;
    }
    return false;
}

struct rv_body *rv_body_new(size_t len)
{
    struct rv_body *body = len >= SPARE_MIN ? take_spare(len) : NULL;

    if (body == NULL) {
        body = malloc(sizeof *body + len);
        if (body == NULL)
            return NULL;
        body->cap = len;
    }
    body->len = len;
    body->refs = 1;
    return body;
}

struct rv_body *rv_body_keep(struct rv_body *body)
{
    if (body != NULL)
        body->refs++;
    return body;
}

void rv_body_drop(struct rv_body *body)
{
    if (body != NULL && --body->refs == 0 && !keep_spare(body))
        free(body);
}

/* Each size has one place, so that a list has one spelling. */
static bool fits(enum rv_place place, uint32_t len)
{
    switch (place) {
    case RV_INLINE:
        return len <= RV_LIMIT_ITEM_INLINE_BYTES;
    case RV_BODY:
        return len > RV_LIMIT_ITEM_INLINE_BYTES && len <= RV_LIMIT_BODY_BYTES;
    case RV_FRAGMENTS:
        return len > RV_LIMIT_BODY_BYTES && len <= RV_LIMIT_ITEM_BYTES;
    }
    return false;
}

static void read_refs(struct rv_reader *r, struct rv_item *out)
{
    size_t count = (size_t)rv_read_number(r, 1);

    out->refs = rv_slice(rv_read(r, count * 8), count * 8);
    if (r->bad || count == 0 || count * 8 > out->len) {
        r->bad = true;
        return;
    }
    for (size_t i = 0; i < count; i++)
        if (rv_item_ref(out->refs, i) == 0)
            r->bad = true;
}

static void read_any(struct rv_reader *r, struct rv_item *out)
{
    uint32_t head = (uint32_t)rv_read_number(r, 4);

    *out =
        (struct rv_item){.place = (enum rv_place)(head >> PLACE_SHIFT & 3), .len = head & LEN_MASK};
    if (head & EXTRA_BIT) {
        out->priority = (int64_t)rv_read_number(r, 8);
        out->deliveries = (uint32_t)rv_read_number(r, 4);
        if (out->priority == 0 && out->deliveries == 0)
            r->bad = true;
    }
    if (!fits(out->place, out->len))
        r->bad = true;
    if (head & REFS_BIT)
        read_refs(r, out);
    if (out->place == RV_FRAGMENTS)
        out->body = rv_read_number(r, 8);
    if (out->place == RV_INLINE)
        out->bytes = rv_slice(rv_read(r, out->len), out->len);
    if (r->bad)
        *out = (struct rv_item){0};
}

/* The common case: an inline item without extras, whose head is its length. */
static bool read_plain(struct rv_reader *r, struct rv_slice *out)
{
    uint32_t len = 0;

    if (r->bad || r->left < 4)
        return false;
    len = rv_get_4(r->data);
    if (len > RV_LIMIT_ITEM_INLINE_BYTES || len > r->left - 4)
        return false;
    *out = rv_slice(r->data + 4, len);
    r->data += 4 + len;
    r->left -= 4 + len;
    return true;
}

void rv_item_read(struct rv_reader *r, struct rv_item *out)
{
    struct rv_slice plain;

    if (read_plain(r, &plain)) {
        *out = (struct rv_item){.place = RV_INLINE, .len = (uint32_t)plain.len, .bytes = plain};
        return;
    }
    read_any(r, out);
}

static void write_head(struct rv_buf *b, const struct rv_item *item)
{
    bool extra = item->priority != 0 || item->deliveries != 0;

    rv_assert(fits(item->place, item->len));
    rv_write_number(b,
                    item->len | (uint32_t)item->place << PLACE_SHIFT | (extra ? EXTRA_BIT : 0) |
                        (item->refs.len > 0 ? REFS_BIT : 0),
                    4);
    if (extra) {
        rv_write_number(b, (uint64_t)item->priority, 8);
        rv_write_number(b, item->deliveries, 4);
    }
    if (item->refs.len > 0) {
        rv_assert(item->refs.len <= RV_LIMIT_ITEM_REFS * 8);
        rv_write_number(b, item->refs.len / 8, 1);
        rv_buf_add(b, item->refs.data, item->refs.len);
    }
}

void rv_item_write(struct rv_buf *b, const struct rv_item *item)
{
    write_head(b, item);
    if (item->place == RV_FRAGMENTS)
        rv_write_number(b, item->body, 8);
    if (item->place == RV_INLINE)
        rv_buf_add(b, item->bytes.data, item->len);
}

uint8_t *rv_item_room(struct rv_buf *b, const struct rv_item *item)
{
    uint8_t *room = NULL;

    rv_assert(item->place == RV_INLINE);
    write_head(b, item);
    room = rv_buf_room(b, item->len);
    if (room != NULL)
        b->len += item->len;
    return room;
}

bool rv_items_check(const struct rv_items *items, size_t *bodies)
{
    struct rv_reader r = rv_reader(items->bytes);

    *bodies = 0;
    if (items->count == 0 || items->count > RV_LIMIT_PUT_ITEMS)
        return items->count == 0 && items->bytes.len == 0;
    for (uint32_t i = 0; i < items->count && !r.bad; i++) {
        struct rv_slice plain;
        struct rv_item item;

        if (read_plain(&r, &plain))
            continue;
        rv_item_read(&r, &item);
        *bodies += item.place == RV_BODY;
    }
    return !r.bad && r.left == 0;
}
