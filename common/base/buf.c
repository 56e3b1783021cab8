#include "common/base/buf.h"

#include <stdlib.h>

void rv_buf_free(struct rv_buf *b)
{
    free(b->data);
    *b = (struct rv_buf){0};
}

uint8_t *rv_buf_room(struct rv_buf *b, size_t len)
{
    size_t cap = b->cap == 0 ? 256 : b->cap;
    uint8_t *data = NULL;

    if (b->bad)
        return NULL;
    if (len <= b->cap - b->len && b->data != NULL)
        return b->data + b->len;
    while (cap - b->len < len)
        cap *= 2;
    data = realloc(b->data, cap);
    if (data == NULL) {
        b->bad = true;
        return NULL;
    }
    b->data = data;
    b->cap = cap;
    return b->data + b->len;
}

void rv_buf_add(struct rv_buf *b, const void *bytes, size_t len)
{
    uint8_t *room = NULL;

    if (len == 0)
        return;
    room = rv_buf_room(b, len);
    if (room == NULL)
        return;
    memcpy(room, bytes, len);
    b->len += len;
}

void rv_buf_drop(struct rv_buf *b, size_t len)
{
    rv_assert(len <= b->len);
    if (len == 0)
        return;
    memmove(b->data, b->data + len, b->len - len);
    b->len -= len;
}
