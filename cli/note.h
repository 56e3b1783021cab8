#ifndef NOTE_H
#define NOTE_H

/*
 * note.h -- what a command of a detached map carries along, for who shows it later: the number of its
 * line, the line and the command, with zeros between.
 */

#include <reeve.h>

struct note {
    uint64_t number;
    const char *line, *command; /* borrowed from the value that was read; "" when there is none */
};

/* Append it to the builder. The error sticks there. */
void note_put(reeve_builder *item, uint64_t number, const char *line, const char *command);

/* Of an item, or of a value. Without one the number is made from the index. value: NULL is fine. */
void note_read(struct note *note, const reeve_value *value, uint64_t index);

#endif
