#ifndef FUZZ_H
#define FUZZ_H

/*
 * fuzz.h -- an input as a script: numbers and bytes taken from its front. Behind its end there are
 * zeros, or, when a seed is set, any numbers.
 */

#include "common/base/rng.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

struct input {
    const uint8_t *data;
    size_t left;
    struct rv_rng more; /* not used while its state is zero */
};

static inline struct rv_slice take_bytes(struct input *in, size_t len)
{
    struct rv_slice bytes = rv_slice(in->data, len < in->left ? len : in->left);

    in->data += bytes.len;
    in->left -= bytes.len;
    return bytes;
}

static inline uint64_t take_number(struct input *in, size_t width)
{
    struct rv_slice bytes = rv_slice(NULL, 0);
    uint64_t x = 0;

    if (in->left < width && in->more.state != 0)
        return rv_rng_next(&in->more) >> (64 - 8 * width);
    bytes = take_bytes(in, width);
    for (size_t i = 0; i < bytes.len; i++)
        x = x << 8 | bytes.data[i];
    return x;
}

/* 0 .. limit - 1; a byte of the input is enough. */
static inline uint32_t pick(struct input *in, uint32_t limit)
{
    return (uint32_t)take_number(in, 1) % limit;
}

#endif
