#ifndef LIMIT_ARENA_H
#define LIMIT_ARENA_H

/*
 * arena.h -- a queue of small items, one behind the other in large blocks.
 *
 * An item is its length (u32) and its bytes, as in a frame. A block that was read to its end is
 * used again.
 */

#include <stddef.h>
#include <stdint.h>

struct arena_block;

/* Starts as {0}. */
struct arena {
    struct arena_block *head, *tail, *spare;
    size_t read; /* how far head was read */
    size_t items;
};

void arena_push(struct arena *a, const void *item, uint32_t len);

/* Copy the first item to out as u32 and bytes, drop it here, and return the bytes written; 0
 * when there is none. out has room for ARENA_ITEM. */
size_t arena_pop(struct arena *a, uint8_t *out);

enum { ARENA_ITEM = 4 + 256 };

#endif
