#include "common/wire/task.h"

bool rv_task_bodies(const struct rv_items *items, size_t *bytes)
{
    struct rv_reader r = rv_reader(items->bytes);

    *bytes = 0;
    for (uint32_t i = 0; i < items->count && !r.bad; i++) {
        struct rv_item item;

        rv_item_read(&r, &item);
        if (item.place != RV_INLINE)
            *bytes += item.len;
    }
    return !r.bad && r.left == 0;
}

size_t rv_task_text(char *text, size_t len)
{
    const size_t max = (size_t)4 * RV_LIMIT_NAME_BYTES;

    if (len > max) {
        len = max;
        while (len > 0 && ((unsigned char)text[len] & 0xc0) == 0x80)
            len--;
    }
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f)
            text[i] = ' ';
    while (len > 0 && text[len - 1] == ' ')
        len--;
    return len;
}
