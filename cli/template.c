#include "cli/template.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const places[] = {"{}", "{.}", "{/}", "{//}", "{#}"};
enum { PLACES = sizeof places / sizeof places[0] };

/* Which place begins here; PLACES: none. */
static size_t place_at(const char *text)
{
    size_t i = 0;

    while (i < PLACES && strncmp(text, places[i], strlen(places[i])) != 0)
        i++;
    return i;
}

static bool has_place(const char *text)
{
    for (; *text != '\0'; text++)
        if (place_at(text) < PLACES)
            return true;
    return false;
}

void template_init(struct template *t, char **words, int words_len)
{
    *t = (struct template){.words = words, .words_len = words_len, .bare = true};
    t->shell = words_len == 0 || (words_len == 1 && strpbrk(words[0], " \t|&;<>$`") != NULL);
    for (int i = 0; i < words_len; i++)
        t->bare = t->bare && !has_place(words[i]);
}

static const char *base_of(const char *line)
{
    const char *slash = strrchr(line, '/');

    return slash == NULL ? line : slash + 1;
}

static void put_folder(FILE *out, const char *line)
{
    const char *base = base_of(line);

    if (base == line)
        fputs(".", out);
    else
        fwrite(line, 1, base - line == 1 ? 1 : (size_t)(base - line) - 1, out);
}

static void put_stem(FILE *out, const char *line)
{
    const char *dot = strrchr(base_of(line), '.');

    fwrite(line, 1, dot == NULL || dot == base_of(line) ? strlen(line) : (size_t)(dot - line), out);
}

static void put_place(FILE *out, size_t place, const char *line, uint64_t number)
{
    switch (place) {
    case 0:
        fputs(line, out);
        break;
    case 1:
        put_stem(out, line);
        break;
    case 2:
        fputs(base_of(line), out);
        break;
    case 3:
        put_folder(out, line);
        break;
    default:
        fprintf(out, "%" PRIu64, number);
    }
}

/* 'it'\''s' is what a shell reads as it's. */
static void put_quoted(FILE *out, const char *text)
{
    fputc('\'', out);
    for (; *text != '\0'; text++)
        if (*text == '\'')
            fputs("'\\''", out);
        else
            fputc(*text, out);
    fputc('\'', out);
}

static void put_place_quoted(FILE *out, size_t place, const char *line, uint64_t number)
{
    char *text = NULL;
    size_t len = 0;
    FILE *in = open_memstream(&text, &len);

    if (in == NULL)
        return;
    put_place(in, place, line, number);
    fclose(in);
    put_quoted(out, text);
    free(text);
}

static void put_word(FILE *out, const char *word, bool quote, const char *line, uint64_t number)
{
    while (*word != '\0') {
        size_t place = place_at(word);

        if (place == PLACES) {
            fputc(*word++, out);
            continue;
        }
        if (quote)
            put_place_quoted(out, place, line, number);
        else
            put_place(out, place, line, number);
        word += strlen(places[place]);
    }
}

static void put_expanded(reeve_builder *item, const char *word, bool quote, bool append,
                         const char *line, uint64_t number)
{
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);

    if (out == NULL)
        return;
    put_word(out, word, quote, line, number);
    if (append) {
        fputc(' ', out);
        put_quoted(out, line);
    }
    if (fclose(out) == 0)
        (void)reeve_put_bytes(item, text, len); /* a file's name need not be UTF-8 */
    free(text);
}

void template_put(const struct template *t, const char *line, uint64_t number, reeve_builder *item)
{
    if (t->shell) {
        (void)reeve_put_array(item, 3);
        (void)reeve_put_str(item, "sh");
        (void)reeve_put_str(item, "-c");
        if (t->words_len == 0)
            (void)reeve_put_bytes(item, line, strlen(line));
        else
            put_expanded(item, t->words[0], true, t->bare, line, number);
        return;
    }
    (void)reeve_put_array(item, (size_t)t->words_len + t->bare);
    for (int i = 0; i < t->words_len; i++)
        put_expanded(item, t->words[i], false, false, line, number);
    if (t->bare)
        (void)reeve_put_bytes(item, line, strlen(line));
}

char *template_text(const struct template *t, const char *line, uint64_t number)
{
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);

    if (out == NULL)
        return NULL;
    for (int i = 0; i < t->words_len; i++) {
        fputs(i > 0 ? " " : "", out);
        put_word(out, t->words[i], t->shell, line, number);
    }
    if (t->words_len == 0 || t->bare) {
        fputs(t->words_len > 0 ? " " : "", out);
        if (t->shell && t->words_len > 0)
            put_quoted(out, line);
        else
            fputs(line, out);
    }
    if (fclose(out) != 0)
        return NULL;
    for (char *c = text; *c != '\0'; c++)
        if (*c == '\n' || *c == '\t')
            *c = ' ';
    return text;
}
