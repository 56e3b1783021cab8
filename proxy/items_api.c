/* items_api.c -- items, packed as they will travel. */

#include "proxy/items.h"

#include "common/value/value.h"

#include <reeve/value.h>

#include <stdlib.h>

reeve_items *reeve_items_new(void)
{
    return calloc(1, sizeof(reeve_items));
}

void reeve_items_free(reeve_items **items)
{
    if (items == NULL || *items == NULL)
        return;
    rv_packs_free(&(*items)->packs);
    free(*items);
    *items = NULL;
}

size_t reeve_items_len(const reeve_items *items)
{
    return items == NULL ? 0 : (size_t)items->packs.count;
}

static reeve_err fail(reeve_items *items, reeve_err err)
{
    if (items == NULL)
        return REEVE_ENOMEM;
    if (items->err == REEVE_OK)
        items->err = err;
    return items->err;
}

static reeve_err add(reeve_items *items, struct rv_slice head, struct rv_slice rest)
{
    if (items == NULL || items->err != REEVE_OK)
        return fail(items, REEVE_ENOMEM);
    return fail(items, rv_packs_add(&items->packs, head, rest, rv_slice(NULL, 0)));
}

reeve_err reeve_items_add(reeve_items *items, const reeve_builder *item)
{
    struct rv_slice bytes;
    struct rv_slice refs;
    uint32_t store = 0;
    reeve_err err = rv_builder_item(item, &bytes, &refs, &store);

    if (items == NULL || items->err != REEVE_OK || err != REEVE_OK)
        return fail(items, err != REEVE_OK ? err : REEVE_ENOMEM);
    return fail(items, rv_packs_add(&items->packs, bytes, rv_slice(NULL, 0), refs));
}

static reeve_err add_number(reeve_items *items, const msgpack_object *o)
{
    uint8_t bytes[RV_VALUE_NUMBER_MAX];

    return add(items, rv_slice(bytes, rv_value_number(bytes, o)), rv_slice(NULL, 0));
}

reeve_err reeve_items_add_int(reeve_items *items, int64_t x)
{
    msgpack_object o = {.type = MSGPACK_OBJECT_NEGATIVE_INTEGER, .via.i64 = x};

    if (x >= 0)
        o = (msgpack_object){.type = MSGPACK_OBJECT_POSITIVE_INTEGER, .via.u64 = (uint64_t)x};
    return add_number(items, &o);
}

reeve_err reeve_items_add_float(reeve_items *items, double x)
{
    msgpack_object o = {.type = MSGPACK_OBJECT_FLOAT64, .via.f64 = x};

    return add_number(items, &o);
}

static reeve_err add_raw(reeve_items *items, bool text, const void *data, size_t len)
{
    uint8_t head[RV_VALUE_HEAD_MAX];

    if (data == NULL && (text || len > 0))
        return fail(items, REEVE_EINVAL);
    if (len > RV_LIMIT_ITEM_BYTES)
        return fail(items, REEVE_ETOOBIG);
    if (text && !rv_utf8_valid(rv_slice(data, len)))
        return fail(items, REEVE_EINVAL);
    return add(items, rv_slice(head, rv_value_head(head, text, len)), rv_slice(data, len));
}

reeve_err reeve_items_add_str(reeve_items *items, const char *text)
{
    return add_raw(items, true, text, text == NULL ? 0 : strlen(text));
}

reeve_err reeve_items_add_bytes(reeve_items *items, const void *data, size_t len)
{
    return add_raw(items, false, data, len);
}

reeve_err reeve_items_add_value(reeve_items *items, const reeve_value *item)
{
    reeve_builder *b = rv_builder_new();
    reeve_err err = reeve_put_value(b, item);

    err = err == REEVE_OK ? reeve_items_add(items, b) : fail(items, err);
    rv_builder_free(&b);
    return err;
}

/* ---- starmap ---- */

static bool is_array(struct rv_slice bytes)
{
    return bytes.len > 0 &&
           ((bytes.data[0] & 0xf0) == 0x90 || bytes.data[0] == 0xdc || bytes.data[0] == 0xdd);
}

static bool pack_of_arrays(const struct rv_pack *pack)
{
    struct rv_reader r = rv_reader(rv_buf_slice(&pack->bytes));
    struct rv_item item;

    if (pack->large)
        return is_array(rv_buf_slice(&pack->bytes));
    for (uint32_t i = 0; i < pack->count; i++) {
        rv_item_read(&r, &item);
        if (!is_array(item.bytes))
            return false;
    }
    return true;
}

bool rv_items_all_arrays(const struct reeve_items *items)
{
    for (size_t i = items->packs.head; i < items->packs.len; i++)
        if (!pack_of_arrays(items->packs.at[i]))
            return false;
    return true;
}
