#include "cli/note.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void note_put(reeve_builder *item, uint64_t number, const char *line, const char *command)
{
    char *bytes = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&bytes, &len);

    if (out == NULL)
        return;
    fprintf(out, "%" PRIu64 "%c%s%c%s%c", number, 0, line, 0, command, 0);
    if (fclose(out) == 0)
        (void)reeve_put_bytes(item, bytes, len);
    free(bytes);
}

/* The text behind this one; NULL when there is none. */
static const char *next_text(const char *text, const char *end)
{
    text = memchr(text, 0, (size_t)(end - text));
    return text == NULL || text + 1 == end ? NULL : text + 1;
}

void note_read(struct note *note, const reeve_value *value, uint64_t index)
{
    const void *bytes = NULL;
    const char *text = NULL;
    const char *end = NULL;
    const char *line = NULL;
    const char *command = NULL;
    size_t len = 0;

    *note = (struct note){.number = index + 1, .line = "", .command = ""};
    if (!reeve_get_bytes(reeve_value_find(value, "note"), &bytes, &len) || len == 0)
        return;
    text = bytes;
    end = text + len;
    line = next_text(text, end);
    command = line == NULL ? NULL : next_text(line, end);
    if (command == NULL || end[-1] != '\0')
        return;
    *note = (struct note){strtoull(text, NULL, 10), line, command};
}
