/* cmd_show.c -- reeve show: what an object is, who is at it, and what is in it. */

#include "cli/cli.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CALL_MS = 5000, FIRST = 100, SHOWN = 100 };

struct look {
    const struct cli_args *args;
    reeve_context *ctx;
    const char *name;
    const reeve_value *row; /* of the listing */
    char type[CLI_NAME];
    uint64_t len; /* values that have been printed */
    bool failed;  /* no memory */
};

/* ---- contents: a line each, or members of one JSON value ---- */

static bool enough(const struct look *s)
{
    return !s->args->all && s->len >= FIRST;
}

/* A long one is cut, not inside a character. */
static void print_cut(const struct look *s, const char *json)
{
    size_t len = strlen(json);

    if (s->args->all || len <= SHOWN) {
        fputs(json, stdout);
        return;
    }
    len = SHOWN;
    while (((unsigned char)json[len] & 0xc0) == 0x80)
        len--;
    printf("%.*s...", (int)len, json);
}

static void print_json_one(struct look *s, const reeve_value *key, const reeve_value *value)
{
    char *json = reeve_value_json(value);

    fputs(s->len++ > 0 ? ", " : "", stdout);
    if (json == NULL || (key != NULL && !cli_print_key(stdout, key)))
        s->failed = true;
    else
        fputs(json, stdout);
    free(json);
}

static void print_line(struct look *s, const reeve_value *key, const reeve_value *value)
{
    char *json = reeve_value_json(value);
    char *name = key == NULL ? NULL : reeve_value_json(key);

    s->len++;
    s->failed = s->failed || json == NULL || (key != NULL && name == NULL);
    if (!s->failed) {
        printf("  %s%s", name == NULL ? "" : name, name == NULL ? "" : ": ");
        print_cut(s, json);
        putchar('\n');
    }
    free(json);
    free(name);
}

/* key NULL: a value without one. */
static void print_one(struct look *s, const reeve_value *key, const reeve_value *value)
{
    if (s->args->json)
        print_json_one(s, key, value);
    else
        print_line(s, key, value);
}

static reeve_err print_pairs(struct look *s, reeve_dict_iter *it)
{
    const reeve_value *key = NULL;
    const reeve_value *value = NULL;
    reeve_err err = REEVE_OK;

    while (!enough(s)) {
        err = reeve_dict_next(it, &key, &value);
        if (err != REEVE_OK || key == NULL)
            break;
        print_one(s, key, value);
    }
    return err;
}

static const reeve_container_options AS_IT_IS = {.create = REEVE_GET_ONLY};

static reeve_err print_dict(struct look *s)
{
    reeve_dict *dict = NULL;
    reeve_dict_iter *it = NULL;
    reeve_err err = reeve_dict_open(&dict, s->ctx, s->name, &AS_IT_IS);

    if (err == REEVE_OK)
        err = reeve_dict_items(&it, dict);
    if (err == REEVE_OK)
        err = print_pairs(s, it);
    reeve_dict_iter_close(&it);
    reeve_dict_close(&dict);
    return err;
}

static reeve_err print_namespace(struct look *s)
{
    reeve_namespace *ns = NULL;
    reeve_dict_iter *it = NULL;
    reeve_err err = reeve_namespace_open(&ns, s->ctx, s->name, &AS_IT_IS);

    if (err == REEVE_OK)
        err = reeve_namespace_items(&it, ns);
    if (err == REEVE_OK)
        err = print_pairs(s, it);
    reeve_dict_iter_close(&it);
    reeve_namespace_close(&ns);
    return err;
}

static reeve_err print_list(struct look *s)
{
    reeve_list *list = NULL;
    reeve_list_iter *it = NULL;
    const reeve_value *value = NULL;
    reeve_err err = reeve_list_open(&list, s->ctx, s->name, &AS_IT_IS);

    if (err == REEVE_OK)
        err = reeve_list_iter_open(&it, list, false);
    while (err == REEVE_OK && !enough(s)) {
        err = reeve_list_next(it, &value);
        if (value == NULL)
            break;
        print_one(s, NULL, value);
    }
    reeve_list_iter_close(&it);
    reeve_list_close(&list);
    return err;
}

static reeve_err print_set(struct look *s)
{
    reeve_set *set = NULL;
    reeve_set_iter *it = NULL;
    const reeve_value *value = NULL;
    reeve_err err = reeve_set_open(&set, s->ctx, s->name, &AS_IT_IS);

    if (err == REEVE_OK)
        err = reeve_set_iter_open(&it, set);
    while (err == REEVE_OK && !enough(s)) {
        err = reeve_set_next(it, &value);
        if (value == NULL)
            break;
        print_one(s, NULL, value);
    }
    reeve_set_iter_close(&it);
    reeve_set_close(&set);
    return err;
}

static reeve_err print_value(struct look *s)
{
    reeve_shared *shared = NULL;
    reeve_value *value = NULL;
    reeve_err err = reeve_shared_open(&shared, s->ctx, s->name, '\0', &AS_IT_IS);

    if (err == REEVE_OK)
        err = reeve_shared_get(shared, &value, NULL);
    if (err == REEVE_OK)
        print_one(s, NULL, value);
    reeve_value_free(&value);
    reeve_shared_close(&shared);
    return err;
}

static reeve_err print_array(struct look *s)
{
    reeve_slice slice = {REEVE_UNSET, s->args->all ? REEVE_UNSET : FIRST, REEVE_UNSET};
    reeve_array *array = NULL;
    reeve_value *values = NULL;
    reeve_err err = reeve_array_open(&array, s->ctx, s->name, '\0', 0, &AS_IT_IS);

    if (err == REEVE_OK)
        err = reeve_array_slice(array, slice, &values);
    for (size_t i = 0; i < reeve_value_len(values); i++)
        print_one(s, NULL, reeve_value_at(values, i));
    reeve_value_free(&values);
    reeve_array_close(&array);
    return err;
}

static const struct {
    const char *type;
    const char *what; /* what there is in one */
    const char *open, *close;
    reeve_err (*print)(struct look *s);
} kinds[] = {
    {"dict", "pairs", "{", "}", print_dict},
    {"Namespace", "attributes", "{", "}", print_namespace},
    {"list", "values", "[", "]", print_list},
    {"set", "members", "[", "]", print_set},
    {"Value", NULL, "", "", print_value},
    {"Array", "values", "[", "]", print_array},
};

enum { KINDS_LEN = sizeof kinds / sizeof kinds[0] };

/* KINDS_LEN: a type whose contents are not shown. */
static size_t kind_of(const struct look *s)
{
    size_t i = 0;

    while (i < KINDS_LEN && strcmp(kinds[i].type, s->type) != 0)
        i++;
    return i;
}

static int end_contents(const struct look *s, reeve_err err)
{
    if (err != REEVE_OK)
        return cli_fail_call(err);
    return s->failed ? cli_fail(EXIT_AGAIN, "cannot print a value: out of memory") : EXIT_DONE;
}

/* ---- for people ---- */

static void print_head(const struct look *s)
{
    const reeve_value *row = s->row;
    size_t kind = kind_of(s);
    bool queue = strstr(s->type, "Queue") != NULL;
    char text[CLI_NAME];
    char unit[CLI_TEXT];

    printf("%s %s", s->type, cli_name(text, row, "name"));
    if (cli_name(text, row, "typecode")[0] != '\0')
        printf("   typecode %s", text);
    if (queue)
        printf("   %s   items %" PRIu64, cli_name(text, row, "order"), cli_number(row, "size"));
    else if (kind < KINDS_LEN && kinds[kind].what != NULL)
        printf("   %s %" PRIu64, kinds[kind].what, cli_number(row, "size"));
    if (queue || kind < KINDS_LEN)
        printf("   %s", cli_bytes(unit, cli_number(row, "bytes")));
    if (queue && cli_number(row, "maxsize") > 0)
        printf("   at most %" PRIu64, cli_number(row, "maxsize"));
    if (cli_number(row, "unfinished") > 0)
        printf("   unfinished %" PRIu64, cli_number(row, "unfinished"));
    printf("   object %" PRIu64 "   open in %" PRIu64 " session%s", cli_number(row, "object"),
           cli_number(row, "refs"), cli_number(row, "refs") == 1 ? "" : "s");
    if (strcmp(cli_name(text, row, "durable"), "sync") != 0)
        printf("   durable: %s", text);
    putchar('\n');
    if (cli_number(row, "max_bytes") > 0)
        printf("it has at most %s\n", cli_bytes(unit, cli_number(row, "max_bytes")));
    if (cli_number(row, "ttl_ms") > 0)
        printf("it goes when nobody has had it open for %s\n",
               cli_span(unit, cli_number(row, "ttl_ms")));
    if (cli_number(row, "deliveries") > 0)
        printf("an item that %" PRIu64 " deliveries did not finish goes to %s\n",
               cli_number(row, "deliveries"), cli_name(text, row, "dead"));
}

static int print_for_people(struct look *s, const reeve_value *who)
{
    uint64_t size = cli_number(s->row, "size");
    size_t kind = kind_of(s);
    int code = EXIT_DONE;

    print_head(s);
    if (reeve_value_len(who) > 0)
        cli_print_why(who);
    if (kind == KINDS_LEN)
        return EXIT_DONE;
    code = end_contents(s, kinds[kind].print(s));
    if (code == EXIT_DONE && enough(s) && size > s->len)
        printf("  and %" PRIu64 " more: --all shows them\n", size - s->len);
    return code;
}

/* ---- for programs: the row, `who` and `contents` in one map ---- */

static int print_for_programs(struct look *s, const reeve_value *who)
{
    const reeve_value *key = NULL;
    const reeve_value *item = NULL;
    size_t kind = kind_of(s);
    int code = EXIT_DONE;

    fputs("{", stdout);
    for (size_t i = 0; code == EXIT_DONE && reeve_value_pair(s->row, i, &key, &item); i++) {
        code = cli_print_json(key, ": ");
        if (code == EXIT_DONE)
            code = cli_print_json(item, ", ");
    }
    fputs("\"who\": ", stdout);
    if (code == EXIT_DONE)
        code = cli_print_json(who, "");
    if (kind < KINDS_LEN && code == EXIT_DONE) {
        printf(", \"contents\": %s", kinds[kind].open);
        code = end_contents(s, kinds[kind].print(s));
        fputs(kinds[kind].close, stdout);
    }
    fputs("}\n", stdout);
    return code;
}

/* ---- the command ---- */

static const reeve_value *row_of(const reeve_value *rows, const char *name)
{
    for (size_t i = 0; i < reeve_value_len(rows); i++) {
        const reeve_value *row = reeve_value_at(rows, i);
        const char *text = NULL;
        size_t len = 0;

        if (reeve_get_str(reeve_value_find(row, "name"), &text, &len) && len == strlen(name) &&
            memcmp(text, name, len) == 0)
            return row;
    }
    return NULL;
}

static int show_it(const struct cli_args *args, reeve_context *ctx)
{
    uint32_t timeout_ms = cli_timeout(args, CALL_MS);
    struct look s = {.args = args, .ctx = ctx, .name = args->words[0]};
    reeve_value *rows = NULL;
    reeve_value *who = NULL;
    int code = EXIT_DONE;
    reeve_err err = reeve_objects(&rows, ctx, s.name, timeout_ms);

    s.row = row_of(rows, s.name);
    if (err == REEVE_OK && s.row != NULL)
        err = reeve_why(&who, ctx, s.name, 0, timeout_ms);
    if (err != REEVE_OK) {
        code = cli_fail_call(err);
    } else if (s.row == NULL) {
        code = cli_fail(EXIT_NOTHING,
                        "cannot show %s: no such object; reeve ls shows what is there", s.name);
    } else {
        (void)cli_name(s.type, s.row, "type");
        code = args->json ? print_for_programs(&s, who) : print_for_people(&s, who);
    }
    reeve_value_free(&who);
    reeve_value_free(&rows);
    return code;
}

int run_show(const struct cli_args *args)
{
    reeve_context *ctx = NULL;
    int code = cli_open(&ctx, args);

    if (code == EXIT_DONE)
        code = show_it(args, ctx);
    return cli_close(&ctx, code);
}
