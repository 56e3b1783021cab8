#ifndef RV_WIRE_H
#define RV_WIRE_H

/*
 * wire.h -- fields to bytes and back, with errors that stick.
 *
 * Once bad, a read gives zero and a write does nothing, so that decoding is a list of fields
 * with one check at the end.
 */

#include "common/base/buf.h"

/* Read from borrowed bytes. */
struct rv_reader {
    const uint8_t *data;
    size_t left;
    bool bad;
};

static inline struct rv_reader rv_reader(struct rv_slice bytes)
{
    return (struct rv_reader){bytes.data, bytes.len, false};
}

/* The next len bytes, or NULL and bad. */
static inline const uint8_t *rv_read(struct rv_reader *r, size_t len)
{
    const uint8_t *at = r->data;

    if (r->bad || len > r->left) {
        r->bad = true;
        return NULL;
    }
    r->data += len;
    r->left -= len;
    return at;
}

/* Big endian, any width up to 8. */
/* Compilers make one load of this; a loop they leave as it is. */
static inline uint32_t rv_get_4(const uint8_t *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static inline uint64_t rv_get_number(const uint8_t *at, size_t width)
{
    uint64_t x = 0;

    if (width == 4)
        return rv_get_4(at);
    if (width == 8)
        return (uint64_t)rv_get_4(at) << 32 | rv_get_4(at + 4);
    for (size_t i = 0; i < width; i++)
        x = x << 8 | at[i];
    return x;
}

static inline void rv_set_number(uint8_t *at, uint64_t x, size_t width)
{
    for (size_t i = width; i-- > 0; x >>= 8)
        at[i] = (uint8_t)x;
}

static inline uint64_t rv_read_number(struct rv_reader *r, size_t width)
{
    const uint8_t *at = rv_read(r, width);

    return at == NULL ? 0 : rv_get_number(at, width);
}

static inline void rv_write_number(struct rv_buf *b, uint64_t x, size_t width)
{
    uint8_t *room = rv_buf_room(b, width);

    if (room == NULL)
        return;
    rv_set_number(room, x, width);
    b->len += width;
}

#endif
