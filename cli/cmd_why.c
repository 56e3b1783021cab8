/* cmd_why.c -- reeve why: who holds, who waits, since when, and in which circle. */

#include "cli/cli.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CALL_MS = 5000 };

/* ---- lines ---- */

static void print_who(const reeve_value *row)
{
    char host[CLI_NAME];
    char program[CLI_NAME];
    uint64_t thread = cli_number(row, "thread");

    printf("session %" PRIu64 "  %s on %s, pid %" PRIu64, cli_number(row, "session"),
           cli_name(program, row, "program"), cli_name(host, row, "host"), cli_number(row, "pid"));
    if (thread != 0)
        printf(", thread %" PRIu64, thread);
}

static void show_row(const reeve_value *row)
{
    char role[CLI_NAME];
    char program[CLI_NAME];
    char name[CLI_NAME];
    char type[CLI_NAME];
    char since[CLI_TEXT];

    printf("%-6s  %s %s  ", cli_name(role, row, "role"), cli_name(type, row, "type"),
           cli_name(name, row, "name"));
    if (strcmp(role, "died") == 0)
        printf("%s", cli_name(program, row, "program"));
    else
        print_who(row);
    printf("  for %s", cli_span(since, cli_number(row, "since_ms")));
    if (cli_number(row, "count") > 1)
        printf("  %" PRIu64 " times", cli_number(row, "count"));
    if (cli_number(row, "fence") != 0)
        printf("  fence %" PRIu64, cli_number(row, "fence"));
    putchar('\n');
}

/* The rows of a cycle stand at the end, one after the other. */
static void show_cycle(const reeve_value *rows, size_t first)
{
    char name[CLI_NAME];
    char type[CLI_NAME];
    char since[CLI_TEXT];

    puts("cycle: none of these goes on before another gives up");
    for (size_t i = first; i < reeve_value_len(rows); i++) {
        const reeve_value *row = reeve_value_at(rows, i);

        printf("  ");
        print_who(row);
        printf("  has waited %s for %s %s, held by\n", cli_span(since, cli_number(row, "since_ms")),
               cli_name(type, row, "type"), cli_name(name, row, "name"));
    }
    printf("  session %" PRIu64 ", the first of these\n",
           cli_number(reeve_value_at(rows, first), "session"));
}

void cli_print_why(const reeve_value *rows)
{
    size_t i = 0;

    while (i < reeve_value_len(rows) && cli_number(reeve_value_at(rows, i), "cycle") == 0)
        show_row(reeve_value_at(rows, i++));
    if (i < reeve_value_len(rows))
        show_cycle(rows, i);
}

/* A name first; else the number of a session. */
static reeve_err ask(reeve_value **out, reeve_context *ctx, const struct cli_args *args)
{
    uint32_t timeout_ms = cli_timeout(args, CALL_MS);
    uint32_t session = 0;
    reeve_err err = reeve_why(out, ctx, args->words[0], 0, timeout_ms);

    if (err != REEVE_ENOENT || !cli_parse_count(&session, args->words[0]))
        return err;
    return reeve_why(out, ctx, NULL, session, timeout_ms);
}

int run_why(const struct cli_args *args)
{
    reeve_context *ctx = NULL;
    reeve_value *rows = NULL;
    int code = cli_open(&ctx, args);
    reeve_err err = REEVE_OK;

    if (code != EXIT_DONE)
        return code;
    err = ask(&rows, ctx, args);
    if (err != REEVE_OK) {
        code = cli_fail_call(err);
    } else if (args->json) {
        char *text = reeve_value_json(rows);

        puts(text == NULL ? "[]" : text);
        free(text);
    } else {
        cli_print_why(rows);
        if (reeve_value_len(rows) == 0)
            puts("nobody holds it, nobody waits");
    }
    reeve_value_free(&rows);
    return cli_close(&ctx, code);
}
