#ifndef RV_BUF_H
#define RV_BUF_H

/*
 * buf.h -- growable bytes. Zero-initialised is empty and valid.
 *
 * In the library an allocation may fail: then `bad` is set, stays set, and every later
 * append does nothing, so that one check at the end is enough.
 */

#include "common/base/base.h"

struct rv_buf {
    uint8_t *data;
    size_t len;
    size_t cap;
    bool bad; /* an allocation failed; contents are incomplete */
};

void rv_buf_free(struct rv_buf *b);

/* Make room for len more bytes and return where they go; NULL when bad. Does not change b->len. */
uint8_t *rv_buf_room(struct rv_buf *b, size_t len);

void rv_buf_add(struct rv_buf *b, const void *bytes, size_t len);

/* Drop the first len bytes by moving the rest down. */
void rv_buf_drop(struct rv_buf *b, size_t len);

static inline void rv_buf_clear(struct rv_buf *b)
{
    b->len = 0;
}

static inline struct rv_slice rv_buf_slice(const struct rv_buf *b)
{
    return rv_slice(b->data, b->len);
}

#endif
