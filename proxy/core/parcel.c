#include "proxy/core/parcel.h"

reeve_err rv_parcel_make(struct rv_parcel *out, struct rv_link *link, struct rv_slice head,
                         struct rv_slice rest, struct rv_slice refs, int64_t priority)
{
    size_t len = head.len + rest.len;
    struct rv_item *item = &out->item;

    *out = (struct rv_parcel){
        .item = {.len = (uint32_t)len, .priority = priority, .refs = refs}, head, rest, NULL};
    if (len > RV_LIMIT_ITEM_BYTES)
        return REEVE_ETOOBIG;
    if (len <= RV_LIMIT_ITEM_INLINE_BYTES)
        return REEVE_OK;
    out->body = rv_body_new(len);
    if (out->body == NULL)
        return REEVE_ENOMEM;
    if (head.len > 0)
        memcpy(out->body->data, head.data, head.len);
    memcpy(out->body->data + head.len, rest.data, rest.len);
    item->place = RV_BODY;
    if (len <= RV_LIMIT_BODY_BYTES)
        return REEVE_OK;
    item->place = RV_FRAGMENTS;
    item->body = ++link->last_body;
    if (!rv_stream_add_fragments(&link->out, item->body, out->body)) {
        rv_body_drop(out->body);
        out->body = NULL;
        return REEVE_ENOMEM;
    }
    return REEVE_OK;
}

void rv_parcel_write(struct rv_buf *b, const struct rv_parcel *p)
{
    uint8_t *room = NULL;

    if (p->item.place != RV_INLINE) {
        rv_item_write(b, &p->item);
        return;
    }
    room = rv_item_room(b, &p->item);
    if (room == NULL)
        return;
    if (p->head.len > 0)
        memcpy(room, p->head.data, p->head.len);
    if (p->rest.len > 0)
        memcpy(room + p->head.len, p->rest.data, p->rest.len);
}
