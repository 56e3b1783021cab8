/* cli_options.c -- the command line, read and explained by the lists of cli.h. */

#include "cli/cli.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum kind { KIND_FLAG, KIND_TEXT, KIND_TEXTS, KIND_COUNT, KIND_TIME, KIND_MAYBE };

struct option_row {
    enum kind kind;
    size_t at; /* of its field in struct cli_args */
    const char *name;
    char letter; /* 0: none */
    const char *value;
    uint64_t commands;
    const char *help;
};

static const struct option_row options[] = {
#define ROW(kind, field, name, letter, value, commands, help)                                      \
    {KIND_##kind, offsetof(struct cli_args, field), name, letter, value, commands, help},
    CLI_OPTIONS(ROW)
#undef ROW
};

static const struct {
    const char *name, *words;
    int fewest, most;
    const char *line, *more;
} commands[] = {
#define ROW(name, words, fewest, most, line, more) {#name, words, fewest, most, line, more},
    CLI_COMMANDS(ROW)
#undef ROW
};

enum { OPTIONS_LEN = sizeof options / sizeof options[0] };

const char *cli_command_name(enum cli_command command)
{
    return command < CLI_COMMANDS_LEN ? commands[command].name : "";
}

/* ---- help ---- */

static void option_spelling(char *out, size_t size, const struct option_row *o)
{
    int len = o->letter == '\0' ? snprintf(out, size, "    --%s", o->name)
                                : snprintf(out, size, "-%c, --%s", o->letter, o->name);

    if (o->value != NULL)
        snprintf(out + len, size - (size_t)len, "%s%s", o->kind == KIND_MAYBE ? "" : " ", o->value);
}

static void help_options(uint64_t mask)
{
    char spelling[64];

    for (size_t i = 0; i < OPTIONS_LEN; i++) {
        if ((options[i].commands & mask) == 0)
            continue;
        option_spelling(spelling, sizeof spelling, &options[i]);
        printf("  %-20s  %s\n", spelling, options[i].help);
    }
}

static void help_exits(void)
{
    printf("\nexit codes:\n");
#define ROW(name, code, meaning) printf("  %-3d  %s\n", code, meaning);
    CLI_EXITS(ROW)
#undef ROW
}

void cli_help(enum cli_command command)
{
    if (command < CLI_COMMANDS_LEN) {
        printf("usage: reeve %s [OPTION]...%s%s\n\n", commands[command].name,
               commands[command].words[0] == '\0' ? "" : " ", commands[command].words);
        printf("%c%s.\n%s\n", toupper((unsigned char)commands[command].line[0]),
               commands[command].line + 1, commands[command].more);
        help_options(UINT64_C(1) << command);
    } else {
        printf(
            "usage: reeve COMMAND [OPTION]... [WORD]...\n\n"
            "Queues, locks, containers and maps that programs on many hosts share.\n\ncommands:\n");
        for (int i = 0; i < CLI_COMMANDS_LEN; i++)
            printf("  %-9s %s\n", commands[i].name, commands[i].line);
        printf("\nreeve COMMAND --help explains one.\n");
    }
    help_exits();
}

/* ---- values ---- */

bool cli_parse_time(uint32_t *ms, const char *text)
{
    static const struct {
        const char *unit;
        double ms;
    } units[] = {{"", 1e3}, {"ms", 1}, {"s", 1e3}, {"m", 60e3}, {"h", 3600e3}, {"d", 86400e3}};
    char *end = NULL;
    double x = 0;

    if (!isdigit((unsigned char)text[0]) && text[0] != '.')
        return false;
    x = strtod(text, &end);
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        if (strcmp(end, units[i].unit) != 0)
            continue;
        x *= units[i].ms;
        *ms = x < (double)REEVE_FOREVER ? (uint32_t)x : REEVE_FOREVER;
        return true;
    }
    return false;
}

bool cli_parse_count(uint32_t *out, const char *text)
{
    char *end = NULL;
    unsigned long x = 0;

    errno = 0;
    x = strtoul(text, &end, 10);
    if (!isdigit((unsigned char)text[0]) || *end != '\0' || errno != 0 || x == 0 || x > UINT32_MAX)
        return false;
    *out = (uint32_t)x;
    return true;
}

static int set_option(struct cli_args *args, const struct option_row *o, const char *value)
{
    void *field = (char *)args + o->at;
    struct cli_number *number = field;
    struct cli_texts *texts = field;

    switch (o->kind) {
    case KIND_FLAG:
        *(bool *)field = true;
        return EXIT_DONE;
    case KIND_TEXT:
        *(const char **)field = value;
        return EXIT_DONE;
    case KIND_TEXTS:
        if (texts->len == CLI_TEXTS_MAX)
            return cli_fail_usage(args, "cannot take --%s %s: it can be given %d times", o->name,
                                  value, CLI_TEXTS_MAX);
        texts->at[texts->len++] = value;
        return EXIT_DONE;
    case KIND_MAYBE:
        *(struct cli_maybe *)field = (struct cli_maybe){true, value};
        return EXIT_DONE;
    case KIND_COUNT:
        number->given = true;
        return cli_parse_count(&number->value, value)
                   ? EXIT_DONE
                   : cli_fail_usage(args, "cannot take --%s %s: it is not a number above 0",
                                    o->name, value);
    case KIND_TIME:
        number->given = true;
        return cli_parse_time(&number->value, value)
                   ? EXIT_DONE
                   : cli_fail_usage(args,
                                    "cannot take --%s %s: it is not a time as 2, 500ms or 10m",
                                    o->name, value);
    }
    return EXIT_DONE;
}

/* ---- the line ---- */

struct parser {
    struct cli_args *args;
    int argc, at;
    char **argv;
    int seen[OPTIONS_LEN]; /* index in argv; 0: not given */
};

static const struct option_row *find_long(const char *name, size_t len)
{
    for (size_t i = 0; i < OPTIONS_LEN; i++)
        if (strlen(options[i].name) == len && memcmp(options[i].name, name, len) == 0)
            return &options[i];
    return NULL;
}

static const struct option_row *find_letter(char letter)
{
    for (size_t i = 0; i < OPTIONS_LEN; i++)
        if (options[i].letter != '\0' && options[i].letter == letter)
            return &options[i];
    return NULL;
}

static int no_such_option(struct parser *p, const char *text)
{
    return cli_fail_usage(p->args, "cannot read option %s: there is no such option", text);
}

/* value: what stands in the same word; else the next word is taken. */
static int take_option(struct parser *p, const struct option_row *o, const char *value)
{
    p->seen[o - options] = p->at;
    if (o->kind == KIND_FLAG && value != NULL)
        return cli_fail_usage(p->args, "cannot take --%s=%s: this option has no value", o->name,
                              value);
    if (o->kind != KIND_FLAG && o->kind != KIND_MAYBE && value == NULL) {
        if (p->at + 1 >= p->argc)
            return cli_fail_usage(p->args, "cannot read option --%s: it wants %s after it", o->name,
                                  o->value);
        value = p->argv[++p->at];
    }
    return set_option(p->args, o, value);
}

static int read_long(struct parser *p, const char *text)
{
    const char *equals = strchr(text, '=');
    size_t len = equals == NULL ? strlen(text) : (size_t)(equals - text);
    const struct option_row *o = find_long(text + 2, len - 2);

    if (o == NULL)
        return no_such_option(p, text);
    return take_option(p, o, equals == NULL ? NULL : equals + 1);
}

/* Letters together: flags, and at the end one with a value. */
static int read_letters(struct parser *p, const char *text)
{
    for (const char *c = text + 1; *c != '\0'; c++) {
        const struct option_row *o = find_letter(*c);
        bool last = o != NULL && o->kind != KIND_FLAG;
        int code = o == NULL ? no_such_option(p, text)
                             : take_option(p, o, last && c[1] != '\0' ? c + 1 : NULL);

        if (code != EXIT_DONE || last)
            return code;
    }
    return EXIT_DONE;
}

static int read_command(struct parser *p, const char *word)
{
    if (strcmp(word, "help") == 0 && !p->args->help) {
        p->args->help = true; /* of the tool, or of the command that comes */
        return EXIT_DONE;
    }
    for (int i = 0; i < CLI_COMMANDS_LEN; i++)
        if (strcmp(word, commands[i].name) == 0) {
            p->args->command = (enum cli_command)i;
            return EXIT_DONE;
        }
    return cli_fail_usage(p->args, "cannot run %s: there is no such command", word);
}

static int check_words(const struct cli_args *args)
{
    const char *wanted = commands[args->command].words;

    if (args->words_len < commands[args->command].fewest)
        return cli_fail_usage(args, "cannot %s: it wants %s", commands[args->command].name, wanted);
    if (args->words_len > commands[args->command].most)
        return cli_fail_usage(args, "cannot %s %s: there is a word too many",
                              commands[args->command].name, args->words[args->words_len - 1]);
    return EXIT_DONE;
}

static int check_options(struct parser *p)
{
    for (size_t i = 0; i < OPTIONS_LEN; i++)
        if (p->seen[i] != 0 && (options[i].commands & UINT64_C(1) << p->args->command) == 0)
            return cli_fail_usage(p->args, "cannot take --%s: it is not an option of reeve %s",
                                  options[i].name, commands[p->args->command].name);
    return cli_check_durable(p->args);
}

/* -1 and -3: are an index and a slice: no letter of an option is a digit. */
static bool begins_number(char c)
{
    return isdigit((unsigned char)c) != 0;
}

int cli_parse(struct cli_args *out, int argc, char **argv)
{
    struct parser p = {.args = out, .argc = argc, .at = 1, .argv = argv};
    int code = EXIT_DONE;
    bool words_only = false;

    *out = (struct cli_args){.command = CLI_COMMANDS_LEN, .words = argv};
    for (; code == EXIT_DONE && p.at < argc; p.at++) {
        char *text = argv[p.at];

        if (!words_only && strcmp(text, "--") == 0)
            words_only = true;
        else if (!words_only && strncmp(text, "--", 2) == 0)
            code = read_long(&p, text);
        else if (!words_only && text[0] == '-' && text[1] != '\0' && !begins_number(text[1]))
            code = read_letters(&p, text);
        else if (out->command == CLI_COMMANDS_LEN)
            code = read_command(&p, text);
        else
            argv[out->words_len++] = text; /* a place that has been read */
        words_only = words_only || out->command == CLI_serve ||
                     out->command == CLI_worker; /* they read the rest */
    }
    argv[out->words_len] = NULL;
    if (code == EXIT_DONE && out->command < CLI_COMMANDS_LEN && !out->help && !out->version) {
        code = check_options(&p);
        if (code == EXIT_DONE)
            code = check_words(out);
    }
    return code;
}
