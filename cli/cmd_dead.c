/* cmd_dead.c -- reeve dead: the dead letters of a queue. */

#include "cli/cli.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CALL_MS = 5000, ITEM_BYTES = 65536, SHOWN = 60 };

static const reeve_value *last_of(const reeve_value *array)
{
    size_t len = reeve_value_len(array);

    return len == 0 ? NULL : reeve_value_at(array, len - 1);
}

static void show_past(const reeve_value *row)
{
    char how[CLI_NAME];
    char key[CLI_NAME];
    char host[CLI_NAME];
    char program[CLI_NAME];
    char age[CLI_TEXT];

    printf("    %-8s  %s ago  by %s: %s on %s, pid %" PRIu64 "\n", cli_name(how, row, "how"),
           cli_span(age, cli_number(row, "age_ms")), cli_name(key, row, "key"),
           cli_name(program, row, "program"), cli_name(host, row, "host"), cli_number(row, "pid"));
}

/* A line: how it ended last, and the beginning of the item. */
static void show_line(const reeve_value *letter)
{
    const reeve_value *last = last_of(reeve_value_find(letter, "past"));
    const reeve_value *item = reeve_value_find(letter, "item");
    char *json = item == NULL ? NULL : reeve_value_json(item);
    char how[CLI_NAME];
    char host[CLI_NAME];
    char origin[CLI_NAME];
    char age[CLI_TEXT];
    char bytes[CLI_TEXT];

    printf("%-6" PRIu64 "  of %s  %s ago  %" PRIu64 " deliveries, the last %s on %s  %s  %.*s\n",
           cli_number(letter, "number"), cli_name(origin, letter, "origin"),
           cli_span(age, cli_number(letter, "age_ms")), cli_number(letter, "deliveries"),
           cli_name(how, last, "how"), cli_name(host, last, "host"),
           cli_bytes(bytes, cli_number(letter, "bytes")), SHOWN, json == NULL ? "" : json);
    free(json);
}

static int show_letter(const reeve_value *letter)
{
    const reeve_value *past = reeve_value_find(letter, "past");
    uint64_t deliveries = cli_number(letter, "deliveries");

    show_line(letter);
    if (deliveries > reeve_value_len(past))
        printf("    the first %" PRIu64 " deliveries are not remembered\n",
               deliveries - reeve_value_len(past));
    for (size_t i = 0; i < reeve_value_len(past); i++)
        show_past(reeve_value_at(past, i));
    return cli_print_json(reeve_value_find(letter, "item"), "\n");
}

/* ---- ls, show, requeue ---- */

static bool number_of(const char *word, uint64_t *out)
{
    char *end = NULL;

    *out = strtoull(word, &end, 10);
    return *word >= '0' && *word <= '9' && *end == '\0' && *out > 0;
}

static int list(reeve_context *ctx, const struct cli_args *args)
{
    uint64_t after = 0;
    reeve_value *page = NULL;
    int code = EXIT_DONE;
    size_t len = 0;

    do {
        reeve_err err = reeve_dead_list(&page, ctx, args->words[1], after, ITEM_BYTES,
                                        cli_timeout(args, CALL_MS));

        if (err != REEVE_OK)
            return cli_fail_call(err);
        len = reeve_value_len(page);
        for (size_t i = 0; i < len && code == EXIT_DONE; i++) {
            if (args->json)
                code = cli_print_json(reeve_value_at(page, i), "\n");
            else
                show_line(reeve_value_at(page, i));
            after = cli_number(reeve_value_at(page, i), "number");
        }
        reeve_value_free(&page);
    } while (len > 0 && code == EXIT_DONE);
    return code;
}

static int show(reeve_context *ctx, const struct cli_args *args)
{
    uint64_t number = 0;
    reeve_value *page = NULL;
    const reeve_value *letter = NULL;
    int code = EXIT_NOTHING;
    reeve_err err = REEVE_OK;

    if (args->words_len != 3 || !number_of(args->words[2], &number))
        return cli_fail_usage(args, "cannot show it: give the number of one dead letter");
    err = reeve_dead_list(&page, ctx, args->words[1], number - 1, ITEM_BYTES,
                          cli_timeout(args, CALL_MS));
    if (err != REEVE_OK)
        return cli_fail_call(err);
    letter = reeve_value_len(page) == 0 ? NULL : reeve_value_at(page, 0);
    if (letter == NULL || cli_number(letter, "number") != number)
        code = cli_fail(EXIT_NOTHING, "cannot show %" PRIu64 " of %s: no such dead letter", number,
                        args->words[1]);
    else
        code = args->json ? cli_print_json(letter, "\n") : show_letter(letter);
    reeve_value_free(&page);
    return code;
}

static int requeue(reeve_context *ctx, const struct cli_args *args)
{
    uint64_t sum = 0;
    int code = EXIT_DONE;

    for (int i = 2; i < args->words_len; i++) {
        uint64_t number = 0;

        if (!number_of(args->words[i], &number))
            return cli_fail_usage(args, "cannot requeue %s: it is not the number of a dead letter",
                                  args->words[i]);
    }
    for (int i = args->words_len == 2 ? 1 : 2; i < args->words_len && code == EXIT_DONE; i++) {
        uint64_t number = 0;
        uint64_t moved = 0;
        reeve_err err = REEVE_OK;

        if (args->words_len > 2)
            (void)number_of(args->words[i], &number);
        err = reeve_dead_requeue(ctx, args->words[1], number, &moved, cli_timeout(args, CALL_MS));
        if (err == REEVE_ENOENT && number != 0)
            code =
                cli_fail(EXIT_NOTHING,
                         "cannot requeue %" PRIu64 " of %s: no such dead letter; reeve dead ls %s "
                         "lists them",
                         number, args->words[1], args->words[1]);
        else if (err != REEVE_OK)
            code = cli_fail_call(err);
        sum += moved;
    }
    printf("%" PRIu64 " requeued\n", sum);
    return code;
}

int run_dead(const struct cli_args *args)
{
    static const struct {
        const char *word;
        int (*run)(reeve_context *ctx, const struct cli_args *args);
    } verbs[] = {{"ls", list}, {"show", show}, {"requeue", requeue}};
    reeve_context *ctx = NULL;
    int code = EXIT_DONE;

    for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++) {
        if (strcmp(args->words[0], verbs[i].word) != 0)
            continue;
        code = cli_open(&ctx, args);
        if (code == EXIT_DONE)
            code = verbs[i].run(ctx, args);
        return cli_close(&ctx, code);
    }
    return cli_fail_usage(args, "cannot %s dead letters: it is ls, show or requeue",
                          args->words[0]);
}
