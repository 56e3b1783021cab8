#include "server/core/bits.h"

#include <stdlib.h>

void bits_free(struct bits *b)
{
    free(b->words);
    *b = (struct bits){0};
}

static uint64_t *word_of(const struct bits *b, uint64_t index)
{
    return &b->words[(index / 64) & (b->cap - 1)];
}

bool bits_test(const struct bits *b, uint64_t index)
{
    if (index < b->base)
        return true;
    return index < b->end && (*word_of(b, index) >> (index % 64) & 1) != 0;
}

static void grow(struct bits *b, uint64_t index)
{
    size_t words = (size_t)((index - b->base) / 64) + 1;
    struct bits old = *b;

    if (words <= b->cap)
        return;
    for (b->cap = b->cap == 0 ? 16 : b->cap; b->cap < words;)
        b->cap *= 2;
    b->words = rv_alloc(b->cap * sizeof *b->words);
    for (uint64_t at = old.base; at < old.end; at += 64)
        *word_of(b, at) = *word_of(&old, at);
    free(old.words);
}

bool bits_set(struct bits *b, uint64_t index)
{
    if (bits_test(b, index))
        return false;
    grow(b, index);
    if (index >= b->end)
        b->end = index + 1;
    *word_of(b, index) |= UINT64_C(1) << (index % 64);
    while (b->base < b->end && *word_of(b, b->base) == UINT64_MAX) {
        *word_of(b, b->base) = 0;
        b->base += 64;
    }
    if (b->end < b->base)
        b->end = b->base;
    return true;
}

uint32_t bits_clear_run(const struct bits *b, uint64_t first, uint32_t count)
{
    uint32_t run = 0;

    while (run < count && !bits_test(b, first + run)) {
        uint64_t at = first + run;

        if (at >= b->end)
            return count;
        if (at % 64 == 0 && count - run >= 64 && *word_of(b, at) == 0)
            run += 64;
        else
            run++;
    }
    return run;
}

uint64_t bits_word(const struct bits *b, uint64_t index)
{
    return *word_of(b, index);
}

uint64_t bits_first_clear(const struct bits *b)
{
    uint64_t at = b->base;

    while (bits_test(b, at))
        at++;
    return at;
}
