#include "server/core/command.h"

#include <stdlib.h>

void outbox_add(struct outbox *out, struct effect effect)
{
    if (out->len == out->cap) {
        out->cap = out->cap == 0 ? 16 : out->cap * 2;
        out->effects = rv_realloc(out->effects, out->cap * sizeof *out->effects);
    }
    out->effects[out->len++] = effect;
}

void outbox_clear(struct outbox *out)
{
    out->len = 0;
    rv_buf_clear(&out->bytes);
}

void outbox_free(struct outbox *out)
{
    free(out->effects);
    rv_buf_free(&out->bytes);
    *out = (struct outbox){0};
}
