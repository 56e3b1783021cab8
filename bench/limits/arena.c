#include "bench/limits/arena.h"
#include "bench/measure.h"

#include <stdlib.h>
#include <string.h>

enum { BLOCK = 65536 };

struct arena_block {
    struct arena_block *next;
    size_t len;
    uint8_t bytes[BLOCK - sizeof(void *) - sizeof(size_t)];
};

static void grow(struct arena *a)
{
    struct arena_block *b = a->spare;

    a->spare = NULL;
    if (b == NULL)
        b = malloc(sizeof *b);
    if (b == NULL)
        bench_die("out of memory");
    b->next = NULL;
    b->len = 0;
    if (a->tail == NULL)
        a->head = b;
    else
        a->tail->next = b;
    a->tail = b;
}

static void drop_head(struct arena *a)
{
    struct arena_block *b = a->head;

    a->head = b->next;
    a->read = 0;
    if (a->spare == NULL)
        a->spare = b;
    else
        free(b);
}

void arena_push(struct arena *a, const void *item, uint32_t len)
{
    struct arena_block *b = a->tail;

    if (len > ARENA_ITEM - sizeof len)
        bench_die("an item of %u bytes", len);
    if (b == NULL || b->len + sizeof len + len > sizeof b->bytes) {
        grow(a);
        b = a->tail;
    }
    memcpy(b->bytes + b->len, &len, sizeof len);
    memcpy(b->bytes + b->len + sizeof len, item, len);
    b->len += sizeof len + len;
    a->items++;
}

size_t arena_pop(struct arena *a, uint8_t *out)
{
    uint32_t len = 0;

    if (a->items == 0)
        return 0;
    if (a->read == a->head->len)
        drop_head(a);
    memcpy(&len, a->head->bytes + a->read, sizeof len);
    memcpy(out, a->head->bytes + a->read, sizeof len + len);
    a->read += sizeof len + len;
    a->items--;
    return sizeof len + len;
}
