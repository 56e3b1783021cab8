#ifndef TEMPLATE_H
#define TEMPLATE_H

/*
 * template.h -- a command with places for an input line.
 *
 *     {} the line    {.} without its extension    {/} its last part    {//} its folder
 *     {#} the number of the item, from 1
 *
 * A command of several words is run as it is, without a shell: a place is replaced inside its word,
 * and a line has no power over what is run. A command of one word with a blank in it is given to
 * sh -c, and lines are quoted for that. Without any place the line becomes the last word.
 */

#include <reeve.h>

struct template
{
    char **words; /* borrowed */
    int words_len;
    bool shell; /* its one word is for sh -c */
    bool bare;  /* no place in it */
};

void template_init(struct template *t, char **words, int words_len);

/* The command for a line, as an item of a pool. The error sticks in the builder. */
void template_put(const struct template *t, const char *line, uint64_t number, reeve_builder *item);

/* The same as one line for people and logs; the caller frees it. NULL without memory. */
char *template_text(const struct template *t, const char *line, uint64_t number);

#endif
