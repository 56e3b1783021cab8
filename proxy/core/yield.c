#include "proxy/core/yield.h"

#include <stdlib.h>

/*
 * A slot:   0                                  OPEN
 *           1                                  GIVEN
 *           number of a lot, offset, 2         a value in that lot; of a body, offset 0
 *           address of a record + 3            a record
 */
enum { OPEN = 0, GIVEN = 1, VALUE = 2, RECORD = 3, KIND_MASK = 3 };
enum { LOT_SHIFT = 34, LOTS_MAX = 1 << 30, OFFSET_SHIFT = 2, ITEM_HEAD = 4 };

static uint64_t slot_value(uint32_t lot, size_t offset)
{
    return (uint64_t)lot << LOT_SHIFT | (uint64_t)offset << OFFSET_SHIFT | VALUE;
}

static uint32_t slot_lot(uint64_t slot)
{
    return (uint32_t)(slot >> LOT_SHIFT);
}

static size_t slot_offset(uint64_t slot)
{
    return (size_t)(slot >> OFFSET_SHIFT & UINT32_MAX);
}

static struct rv_record *slot_record(uint64_t slot)
{
    return (struct rv_record *)(uintptr_t)(slot & ~(uint64_t)KIND_MASK);
}

static uint64_t *slot_at(const struct rv_yield *y, uint64_t index)
{
    return &y->slots[index & (y->cap - 1)];
}

/* ---- life ---- */

static uint64_t power_above(uint64_t x)
{
    uint64_t power = 16;

    while (power < x && power < UINT64_C(1) << 40)
        power *= 2;
    return power;
}

bool rv_yield_init(struct rv_yield *y, uint64_t cap)
{
    *y = (struct rv_yield){.cap = power_above(cap)};
    y->slots = calloc((size_t)y->cap, sizeof *y->slots);
    return y->slots != NULL;
}

static void empty_lot(const struct rv_lot *lot)
{
    free(lot->bytes);
    rv_body_drop(lot->body);
}

static void free_record(struct rv_record *record)
{
    rv_lien_drop(record->lien);
    free(record);
}

void rv_yield_free(struct rv_yield *y)
{
    for (uint64_t i = 0; y->records > 0; i++) {
        rv_assert(i < y->cap);
        if ((y->slots[i] & KIND_MASK) != RECORD)
            continue;
        free_record(slot_record(y->slots[i]));
        y->records--;
    }
    for (uint32_t i = 0; i < y->lots_len; i++)
        empty_lot(&y->lots[i]);
    free(y->lots);
    free(y->slots);
    *y = (struct rv_yield){0};
}

bool rv_yield_grow(struct rv_yield *y, uint64_t cap)
{
    uint64_t *slots = NULL;
    uint64_t bigger = power_above(cap);

    if (bigger <= y->cap)
        return true;
    slots = calloc((size_t)bigger, sizeof *slots);
    if (slots == NULL)
        return false;
    for (uint64_t i = y->base; i < y->base + y->cap; i++)
        slots[i & (bigger - 1)] = *slot_at(y, i);
    free(y->slots);
    y->slots = slots;
    y->cap = bigger;
    return true;
}

/* ---- lots ---- */

static bool more_lots(struct rv_yield *y)
{
    uint32_t cap = y->lots_cap == 0 ? 16 : y->lots_cap * 2;
    struct rv_lot *lots = cap > LOTS_MAX ? NULL : realloc(y->lots, cap * sizeof *lots);

    if (lots == NULL)
        return false;
    y->lots = lots;
    y->lots_cap = cap;
    return true;
}

/* An empty one, which is nobody's until something is counted in it. */
static bool new_lot(struct rv_yield *y, uint32_t *number)
{
    if (y->lots_free != 0) {
        *number = y->lots_free - 1;
        y->lots_free = y->lots[*number].left;
    } else {
        if (y->lots_len == y->lots_cap && !more_lots(y))
            return false;
        *number = y->lots_len++;
    }
    y->lots[*number] = (struct rv_lot){0};
    return true;
}

static void free_lot(struct rv_yield *y, uint32_t number)
{
    empty_lot(&y->lots[number]);
    y->lots[number] = (struct rv_lot){.left = y->lots_free};
    y->lots_free = number + 1;
}

static bool body_lot(struct rv_yield *y, struct rv_body *body, uint32_t *number)
{
    if (!new_lot(y, number)) {
        rv_body_drop(body);
        return false;
    }
    y->lots[*number].body = body;
    return true;
}

static struct rv_slice value_at(const struct rv_yield *y, uint64_t slot)
{
    const struct rv_lot *lot = &y->lots[slot_lot(slot)];
    const uint8_t *at = NULL;

    if (lot->body != NULL)
        return rv_slice(lot->body->data, lot->body->len);
    at = lot->bytes + slot_offset(slot);
    /* The heads of values that lie here are bare lengths: see receive() and one_value(). */
    return rv_slice(at + ITEM_HEAD, (size_t)rv_get_number(at, ITEM_HEAD));
}

static void release(struct rv_yield *y, uint64_t slot)
{
    uint32_t number = slot_lot(slot);

    y->bytes -= value_at(y, slot).len;
    if (--y->lots[number].left == 0)
        free_lot(y, number);
}

/* ---- results come ---- */

static bool is_open(const struct rv_yield *y, uint64_t index)
{
    return index >= y->base && index < y->base + y->cap && index < y->end &&
           *slot_at(y, index) == OPEN;
}

static void fill(struct rv_yield *y, uint64_t index, uint64_t slot)
{
    *slot_at(y, index) = slot;
    y->done++;
    y->here++;
}

/* The manager gives results no priority, and says nothing of deliveries. */
static bool plain(const struct rv_item *item)
{
    return item->priority == 0 && item->deliveries == 0;
}

/* The common case of receive(), which need not look at everything: a small item, and nothing else. */
static bool receive_small(struct rv_reader *r, size_t *len)
{
    if (r->bad || r->left < ITEM_HEAD)
        return false;
    *len = (size_t)rv_get_number(r->data, ITEM_HEAD);
    if (*len > RV_LIMIT_ITEM_INLINE_BYTES || *len > r->left - ITEM_HEAD)
        return false;
    (void)rv_read(r, ITEM_HEAD + *len);
    return true;
}

/* Where the next item goes: into the lot, or for a large one into its own. */
static bool receive(struct rv_yield *y, struct rv_reader *r, const uint8_t *start, uint32_t lot,
                    const struct rv_freight *f, uint64_t *slot, size_t *len)
{
    const uint8_t *at = r->data;
    struct rv_item item;
    struct rv_body *body = NULL;
    uint32_t own = 0;

    *slot = slot_value(lot, (size_t)(at - start));
    if (receive_small(r, len))
        return true;
    rv_item_read(r, &item);
    if (r->bad || !plain(&item))
        return false;
    *len = item.len;
    if (item.place == RV_INLINE)
        return item.refs.len == 0;
    if (!rv_item_receive(&item, f->assembly, f->bodies, f->bodies_len, f->frames, &body) ||
        !body_lot(y, body, &own))
        return false;
    *slot = slot_value(own, 0);
    return true;
}

static void keep(struct rv_yield *y, uint64_t index, uint64_t slot, size_t len)
{
    y->lots[slot_lot(slot)].left++;
    y->bytes += len;
    fill(y, index, slot);
}

/* Nobody wants this value. */
static void reject(struct rv_yield *y, uint64_t slot)
{
    y->doubles++;
    if (y->lots[slot_lot(slot)].body != NULL)
        free_lot(y, slot_lot(slot));
}

bool rv_yield_add(struct rv_yield *y, uint64_t first, const struct rv_items *items,
                  const struct rv_freight *freight, void (*fresh)(void *arg, uint64_t index),
                  void *arg)
{
    struct rv_reader r = rv_reader(items->bytes);
    uint32_t lot = 0;
    bool ok = new_lot(y, &lot);

    if (!ok)
        return false;
    y->lots[lot].bytes = malloc(items->bytes.len + 1);
    ok = y->lots[lot].bytes != NULL;
    y->lots[lot].left = 1; /* ours: a value may be taken out as soon as it is told of */
    if (ok && items->bytes.len > 0)
        memcpy(y->lots[lot].bytes, items->bytes.data, items->bytes.len);
    for (uint32_t i = 0; ok && i < items->count; i++) {
        uint64_t slot = 0;
        size_t len = 0;

        ok = receive(y, &r, items->bytes.data, lot, freight, &slot, &len);
        if (!ok)
            break;
        if (!is_open(y, first + i)) {
            reject(y, slot);
            continue;
        }
        keep(y, first + i, slot, len);
        if (fresh != NULL)
            fresh(arg, first + i);
    }
    if (--y->lots[lot].left == 0)
        free_lot(y, lot);
    return ok;
}

/* A small value with references, which stand in its head; its bytes. */
static bool refers_inside(const struct rv_items *items, struct rv_slice *bytes)
{
    struct rv_reader r = rv_reader(items->bytes);
    struct rv_item item;

    rv_item_read(&r, &item);
    *bytes = item.bytes;
    return !r.bad && item.place == RV_INLINE && item.refs.len > 0 && plain(&item);
}

/* The value of a record, which is alone in its lot. False without memory. */
static bool one_value(struct rv_yield *y, const struct rv_items *items,
                      const struct rv_freight *freight, uint64_t *slot)
{
    struct rv_reader r = rv_reader(items->bytes);
    struct rv_slice bare = rv_slice(NULL, 0);
    uint32_t lot = 0;
    size_t len = 0;
    bool ok = new_lot(y, &lot);

    if (!ok)
        return false;
    y->lots[lot].bytes = malloc(items->bytes.len + 1);
    ok = y->lots[lot].bytes != NULL;
    if (ok && refers_inside(items, &bare)) {
        *slot = slot_value(lot, 0);
        len = bare.len;
        rv_set_number(y->lots[lot].bytes, len, ITEM_HEAD);
        memcpy(y->lots[lot].bytes + ITEM_HEAD, bare.data, len);
    } else if (ok) {
        ok = receive(y, &r, items->bytes.data, lot, freight, slot, &len);
        if (ok)
            memcpy(y->lots[lot].bytes, items->bytes.data, items->bytes.len);
    }
    if (!ok) {
        free_lot(y, lot);
        return false;
    }
    if (slot_lot(*slot) != lot)
        free_lot(y, lot);
    y->lots[slot_lot(*slot)].left = 1;
    y->bytes += len;
    return true;
}

bool rv_yield_tell(struct rv_yield *y, uint64_t index, struct rv_record *record,
                   const struct rv_items *items, const struct rv_freight *freight,
                   void (*fresh)(void *arg, uint64_t index), void *arg)
{
    if (items->count > 1 || (items->count == 1 && !one_value(y, items, freight, &record->value))) {
        free_record(record);
        return false;
    }
    if (!is_open(y, index)) {
        if (record->value != 0)
            release(y, record->value);
        free_record(record);
        y->doubles++;
        return true;
    }
    y->failed += record->error != REEVE_OK;
    y->records++;
    fill(y, index, (uint64_t)(uintptr_t)record | RECORD);
    if (fresh != NULL)
        fresh(arg, index);
    return true;
}

static const char *copy(char **room, struct rv_slice text)
{
    char *at = *room;

    if (text.len > 0)
        memcpy(at, text.data, text.len);
    at[text.len] = '\0';
    *room += text.len + 1;
    return at;
}

struct rv_record *rv_record_new(const struct rv_record *from, struct rv_slice agent,
                                struct rv_slice host, struct rv_slice text, struct rv_slice output,
                                struct rv_slice item)
{
    size_t len = agent.len + host.len + text.len + output.len + item.len + 5;
    struct rv_record *record = malloc(sizeof *record + len);
    char *room = NULL;

    if (record == NULL)
        return NULL;
    *record = *from;
    record->lien = NULL;
    room = record->bytes;
    record->agent = copy(&room, agent);
    record->host = copy(&room, host);
    record->text = copy(&room, text);
    record->output = (const uint8_t *)copy(&room, output);
    record->output_len = output.len;
    record->item = (const uint8_t *)copy(&room, item);
    record->item_len = item.len;
    return record;
}

/* ---- results go ---- */

bool rv_yield_at(const struct rv_yield *y, uint64_t index, struct rv_result *out)
{
    uint64_t slot = 0;

    *out = (struct rv_result){.index = index};
    if (index < y->base || index >= y->base + y->cap)
        return false;
    slot = *slot_at(y, index);
    if ((slot & KIND_MASK) < VALUE)
        return false;
    if ((slot & KIND_MASK) == RECORD) {
        out->record = slot_record(slot);
        slot = out->record->value;
    }
    out->has_value = slot != 0;
    if (out->has_value)
        out->value = value_at(y, slot);
    return true;
}

void rv_yield_take(struct rv_yield *y, uint64_t index)
{
    uint64_t *slot = slot_at(y, index);
    struct rv_record *record = NULL;

    rv_assert(index >= y->base && (*slot & KIND_MASK) >= VALUE);
    if ((*slot & KIND_MASK) == RECORD) {
        record = slot_record(*slot);
        if (record->value != 0)
            release(y, record->value);
        free_record(record);
        y->records--;
    } else {
        release(y, *slot);
    }
    *slot = GIVEN;
    y->here--;
    while (*slot_at(y, y->base) == GIVEN) {
        *slot_at(y, y->base) = OPEN;
        y->base++;
    }
}
