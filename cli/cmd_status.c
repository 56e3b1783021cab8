/* cmd_status.c -- reeve status, ls, rm and shutdown. */

#include "cli/cli.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CALL_MS = 5000 };

/* ---- fields of what the manager says ---- */

static bool truth_of(const reeve_value *map, const char *key)
{
    bool x = false;

    reeve_get_bool(reeve_value_find(map, key), &x);
    return x;
}

/* For printf("%.*s"). A name may hold anything: what could move the cursor is not printed. */
struct shown {
    char text[64];
};

static struct shown text_of(const reeve_value *map, const char *key)
{
    struct shown out = {""};
    const char *text = NULL;
    size_t len = 0;

    if (!reeve_get_str(reeve_value_find(map, key), &text, &len))
        return out;
    if (len >= sizeof out.text)
        len = sizeof out.text - 1;
    memcpy(out.text, text, len);
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)out.text[i] < ' ' || out.text[i] == 0x7f)
            out.text[i] = '?';
    return out;
}

/* ---- status ---- */

static void show_manager(const reeve_context *ctx, const reeve_value *manager)
{
    struct shown durable = text_of(manager, "durable");
    char up[CLI_TEXT];
    char queued[CLI_TEXT];

    printf("manager  %s  up %s  term %" PRIu64 "  durable: %s   sessions %" PRIu64
           "   objects %" PRIu64 "   queued %" PRIu64 " (%s)\n",
           reeve_endpoint(ctx), cli_span(up, cli_number(manager, "uptime_ms")),
           cli_number(manager, "term"), durable.text, cli_number(manager, "sessions"),
           cli_number(manager, "objects"), cli_number(manager, "queued"),
           cli_bytes(queued, cli_number(manager, "queued_bytes")));
    printf("items    put %" PRIu64 "   got %" PRIu64 "   came back %" PRIu64
           "   dead letters %" PRIu64 "   calls refused %" PRIu64 "\n",
           cli_number(manager, "puts"), cli_number(manager, "gets"),
           cli_number(manager, "redelivered"), cli_number(manager, "dead"),
           cli_number(manager, "refused"));
}

static void show_log(const reeve_value *manager)
{
    uint64_t groups = cli_number(manager, "log_groups");
    uint64_t records = cli_number(manager, "log_records");
    char bytes[CLI_TEXT];
    char snapshot[CLI_TEXT];

    if (groups == 0)
        return;
    printf("log      commands %" PRIu64 "   in a group %.1f   groups %" PRIu64 "   flushes %" PRIu64
           "   latency %.2f ms   since the last snapshot %s   snapshot %" PRIu64 " (%s)%s\n",
           records, (double)records / (double)groups, groups, cli_number(manager, "log_flushes"),
           (double)cli_number(manager, "log_latency_ns") / 1e6,
           cli_bytes(bytes, cli_number(manager, "log_bytes")),
           cli_number(manager, "snapshot_index"),
           cli_bytes(snapshot, cli_number(manager, "snapshot_bytes")),
           cli_number(manager, "full") != 0 ? "   THE DISK IS FULL: puts are refused" : "");
}

static void show_sessions(const reeve_value *sessions)
{
    for (size_t i = 0; i < reeve_value_len(sessions); i++) {
        const reeve_value *s = reeve_value_at(sessions, i);

        printf("session  %-16s  %s on %s, pid %" PRIu64 "%s   waiting %" PRIu64 "   held %" PRIu64
               "   calls %" PRIu64 "\n",
               text_of(s, "key").text, text_of(s, "program").text, text_of(s, "host").text,
               cli_number(s, "pid"), truth_of(s, "attached") ? "" : ", lost its connection",
               cli_number(s, "waiting"), cli_number(s, "held"), cli_number(s, "calls"));
    }
}

static void show_agents(const reeve_value *agents)
{
    for (size_t i = 0; i < reeve_value_len(agents); i++) {
        const reeve_value *a = reeve_value_at(agents, i);

        printf("agent    %-16s  on %s, pid %" PRIu64 "%s%s   slots %" PRIu64 "   busy %" PRIu64
               "   items done %" PRIu64 "   runners crashed %" PRIu64 "%s%s\n",
               text_of(a, "name").text, text_of(a, "host").text, cli_number(a, "pid"),
               truth_of(a, "attached") ? "" : ", lost its connection",
               truth_of(a, "draining") ? ", draining" : "", cli_number(a, "slots"),
               cli_number(a, "busy"), cli_number(a, "done"), cli_number(a, "crashed"),
               text_of(a, "labels").text[0] == '\0' ? "" : "   labels ", text_of(a, "labels").text);
    }
}

static int show_status_json(const reeve_value *manager, const reeve_value *sessions,
                            const reeve_value *agents)
{
    int code = EXIT_DONE;

    fputs("{\"manager\": ", stdout);
    code = cli_print_json(manager, "");
    fputs(", \"sessions\": ", stdout);
    if (code == EXIT_DONE)
        code = cli_print_json(sessions, "");
    fputs(", \"agents\": ", stdout);
    if (code == EXIT_DONE)
        code = cli_print_json(agents, "");
    fputs("}\n", stdout);
    return code;
}

static int show_status(const struct cli_args *args, reeve_context *ctx)
{
    reeve_value *manager = NULL;
    reeve_value *sessions = NULL; /* stay NULL without the right to list */
    reeve_value *agents = NULL;
    int code = EXIT_DONE;
    reeve_err err = reeve_status(&manager, ctx, cli_timeout(args, CALL_MS));

    if (err == REEVE_OK)
        err = reeve_sessions(&sessions, ctx, cli_timeout(args, CALL_MS));
    if (err == REEVE_OK)
        err = reeve_agents(&agents, ctx, cli_timeout(args, CALL_MS));
    if (err != REEVE_OK && err != REEVE_EPERM) {
        code = cli_fail_call(err);
    } else if (args->json) {
        code = show_status_json(manager, sessions, agents);
    } else {
        show_manager(ctx, manager);
        show_log(manager);
        show_agents(agents);
        show_sessions(sessions);
    }
    reeve_value_free(&agents);
    reeve_value_free(&sessions);
    reeve_value_free(&manager);
    return code;
}

/* For who asks again and again: a status that went through the manager's core and log. */
static int show_health(const struct cli_args *args, reeve_context *ctx)
{
    reeve_value *manager = NULL;
    reeve_err err = reeve_status(&manager, ctx, cli_timeout(args, CALL_MS));
    char up[CLI_TEXT];

    if (err != REEVE_OK)
        return cli_fail_call(err);
    printf("healthy  up %s  term %" PRIu64 "  durable: %s%s\n",
           cli_span(up, cli_number(manager, "uptime_ms")), cli_number(manager, "term"),
           text_of(manager, "durable").text,
           cli_number(manager, "full") != 0 ? "   THE DISK IS FULL: puts are refused" : "");
    reeve_value_free(&manager);
    return EXIT_DONE;
}

int run_status(const struct cli_args *args)
{
    reeve_context *ctx = NULL;
    int code = EXIT_DONE;

    if (args->health && args->json)
        return cli_fail_usage(args, "cannot take --health with --json: it is one line");
    code = cli_open(&ctx, args);
    if (code == EXIT_DONE)
        code = args->health ? show_health(args, ctx) : show_status(args, ctx);
    return cli_close(&ctx, code);
}

/* ---- ls ---- */

/* "fifo,joinable", "q", "-": what it is beside its type. */
static void add_option(char *out, size_t size, const char *option)
{
    size_t len = strlen(out);

    snprintf(out + len, size - len, "%s%s", len == 0 || option[0] == '\0' ? "" : ",", option);
}

static void show_options(char *out, size_t size, const reeve_value *o)
{
    struct shown durable = text_of(o, "durable");
    uint64_t ttl_ms = cli_number(o, "ttl_ms");
    char span[CLI_TEXT];
    char text[CLI_TEXT + 8];

    out[0] = '\0';
    if (strstr(text_of(o, "type").text, "Queue") != NULL)
        add_option(out, size, text_of(o, "order").text);
    add_option(out, size, text_of(o, "typecode").text);
    add_option(out, size, truth_of(o, "joinable") ? "joinable" : "");
    add_option(out, size, cli_number(o, "later") > 0 ? "later" : "");
    add_option(out, size, truth_of(o, "shutdown") ? "shut" : "");
    add_option(out, size, strcmp(durable.text, "sync") == 0 ? "" : durable.text);
    if (ttl_ms > 0) {
        snprintf(text, sizeof text, "ttl %s", cli_span(span, ttl_ms));
        add_option(out, size, text);
    }
    if (out[0] == '\0')
        snprintf(out, size, "-");
}

static void show_bound(char *out, size_t size, const reeve_value *o)
{
    uint64_t max = cli_number(o, "maxsize");

    if (max == 0)
        snprintf(out, size, "-");
    else
        snprintf(out, size, "%" PRIu64, max);
}

struct widths {
    int name, type, options;
};

static int wider(int width, const char *text)
{
    int len = (int)strlen(text);

    return len > width ? len : width;
}

static struct widths widths_of(const reeve_value *objects)
{
    struct widths w = {4, 6, 14};

    for (size_t i = 0; i < reeve_value_len(objects); i++) {
        const reeve_value *o = reeve_value_at(objects, i);
        char options[96];

        show_options(options, sizeof options, o);
        w.name = wider(w.name, text_of(o, "name").text);
        w.type = wider(w.type, text_of(o, "type").text);
        w.options = wider(w.options, options);
    }
    return w;
}

static void show_objects(const reeve_value *objects)
{
    struct widths w = widths_of(objects);

    if (reeve_value_len(objects) > 0)
        printf("%-*s  %-*s %-*s %8s %8s %9s %10s %7s %7s\n", w.name, "NAME", w.type, "TYPE",
               w.options, "OPTIONS", "ITEMS", "AT MOST", "BYTES", "UNFINISHED", "GETTERS",
               "PUTTERS");
    for (size_t i = 0; i < reeve_value_len(objects); i++) {
        const reeve_value *o = reeve_value_at(objects, i);
        char options[96];
        char bound[24];
        char bytes[CLI_TEXT];

        show_options(options, sizeof options, o);
        show_bound(bound, sizeof bound, o);
        printf("%-*s  %-*s %-*s %8" PRIu64 " %8s %9s %10" PRIu64 " %7" PRIu64 " %7" PRIu64 "\n",
               w.name, text_of(o, "name").text, w.type, text_of(o, "type").text, w.options, options,
               cli_number(o, "size"), bound, cli_bytes(bytes, cli_number(o, "bytes")),
               cli_number(o, "unfinished"), cli_number(o, "getters"), cli_number(o, "putters"));
    }
}

static int show_list(const struct cli_args *args, reeve_context *ctx)
{
    reeve_value *objects = NULL;
    reeve_err err = reeve_objects(&objects, ctx, args->words[0], cli_timeout(args, CALL_MS));
    int code = EXIT_DONE;

    if (err != REEVE_OK)
        return cli_fail_call(err);
    if (args->json)
        code = cli_print_json(objects, "\n");
    else
        show_objects(objects);
    reeve_value_free(&objects);
    return code;
}

int run_ls(const struct cli_args *args)
{
    reeve_context *ctx = NULL;
    int code = cli_open(&ctx, args);

    if (code == EXIT_DONE)
        code = show_list(args, ctx);
    return cli_close(&ctx, code);
}

/* ---- rm, shutdown ---- */

/* All that can be removed are; the code is the first failure's. */
int run_rm(const struct cli_args *args)
{
    reeve_context *ctx = NULL;
    int code = cli_open(&ctx, args);

    for (int i = 0; ctx != NULL && i < args->words_len; i++) {
        reeve_err err = reeve_remove(ctx, args->words[i], cli_timeout(args, CALL_MS));
        int failed = err == REEVE_OK ? EXIT_DONE : cli_fail_call(err);

        code = code == EXIT_DONE ? failed : code;
    }
    return cli_close(&ctx, code);
}

static reeve_err shut_queue(const struct cli_args *args, reeve_context *ctx)
{
    const reeve_queue_options options = {.create = REEVE_GET_ONLY, .no_prefetch = true};
    reeve_queue *queue = NULL;
    reeve_err err = reeve_queue_open(&queue, ctx, args->queue, &options);

    if (err == REEVE_OK)
        err = reeve_queue_shutdown(queue, args->immediate, cli_timeout(args, CALL_MS));
    reeve_queue_close(&queue);
    return err;
}

int run_shutdown(const struct cli_args *args)
{
    reeve_context *ctx = NULL;
    reeve_err err = REEVE_OK;
    int code = EXIT_DONE;

    if (args->immediate && args->queue == NULL)
        return cli_fail_usage(args, "cannot take --immediate: it goes with --queue");
    code = cli_open(&ctx, args);
    if (code == EXIT_DONE) {
        err = args->queue == NULL ? reeve_shutdown(ctx, cli_timeout(args, CALL_MS))
                                  : shut_queue(args, ctx);
        code = err == REEVE_OK ? EXIT_DONE : cli_fail_call(err);
    }
    if (args->queue == NULL && code == EXIT_DONE) {
        (void)reeve_close(&ctx); /* nobody is there to say goodbye to */
        return code;
    }
    return cli_close(&ctx, code);
}
