/* cmd_list.c -- reeve list and reeve array. */

#include "cli/container.h"

#include <stdlib.h>
#include <string.h>

enum { BATCH_CALLS = 1000, BATCH_BYTES = 128 * 1024 };

static const reeve_slice ALL = {REEVE_UNSET, REEVE_UNSET, REEVE_UNSET};

/* ---- many values go as few calls ---- */

static struct {
    reeve_batch *batch;
    size_t calls, bytes;
    size_t sent; /* values in earlier ones */
    int64_t at;  /* of an array: where the next value goes */
} many;

/* Which value it was, counted from 1. */
static int send_many(struct container *c)
{
    size_t failed = 0;
    reeve_err err = many.batch == NULL ? REEVE_OK : reeve_batch_run(many.batch, &failed);
    const char *reason = err == REEVE_OK ? NULL : strstr(reeve_errmsg(), ": ");

    reeve_batch_free(&many.batch);
    many.sent += many.calls;
    if (err != REEVE_OK && reason != NULL && failed < many.calls)
        return cli_fail(cli_exit_of(err), "cannot %s value %zu of %s %s: %s", c->verb->word,
                        many.sent - many.calls + failed + 1, c->type->word, c->args->words[0],
                        reason + 2);
    many.calls = many.bytes = 0;
    return container_end(c, err, NULL);
}

static bool begin_many(struct container *c)
{
    if (many.batch == NULL)
        many.batch = reeve_batch_new(c->ctx);
    return many.batch != NULL;
}

/* c->value goes to the end; a large one alone. */
static int append_value(struct container *c, size_t bytes)
{
    int code = EXIT_DONE;

    if (bytes > BATCH_BYTES || many.calls == BATCH_CALLS || many.bytes + bytes > BATCH_BYTES)
        code = send_many(c);
    if (code != EXIT_DONE)
        return code;
    if (bytes > BATCH_BYTES || !begin_many(c))
        return container_end(c, reeve_list_append(c->as.list, c->value), NULL);
    many.calls++;
    many.bytes += bytes;
    return container_end(c, reeve_batch_list_append(many.batch, c->as.list, c->value), NULL);
}

static int append_word(struct container *c, const char *word)
{
    return container_value(c, c->value, word) ? append_value(c, strlen(word)) : EXIT_CHANGE;
}

/* What was read before something wrong is appended, too: so it is told. */
static int do_append(struct container *c)
{
    int code = container_each(c, append_word);
    int sent = send_many(c);

    return code == EXIT_DONE ? sent : code;
}

static int load_some(struct container *c)
{
    return container_end_many(c, reeve_list_extend(c->as.list, c->value), "standard input",
                              "array");
}

static int do_load(struct container *c)
{
    return container_load(c, c->value, '[', load_some);
}

/* ---- list ---- */

/* One after the other; also with references in them, of which there is no copy. */
static int each_value(struct container *c)
{
    reeve_list_iter *it = NULL;
    const reeve_value *value = NULL;
    reeve_err err = reeve_list_iter_open(&it, c->as.list, false);
    bool first = true;

    fputs("[", c->out);
    while (err == REEVE_OK) {
        err = reeve_list_next(it, &value);
        if (value == NULL)
            break;
        fputs(first ? "" : ", ", c->out);
        first = false;
        if (!container_write_json(c->out, value, ""))
            err = REEVE_ENOMEM;
    }
    fputs("]\n", c->out);
    reeve_list_iter_close(&it);
    return container_end(c, err, NULL);
}

static int do_dump(struct container *c)
{
    reeve_value *array = NULL;
    reeve_err err = reeve_list_slice(c->as.list, ALL, &array);

    return err == REEVE_OK ? container_print_json(c, &array) : container_end(c, err, NULL);
}

static int do_all(struct container *c)
{
    reeve_value *array = NULL;
    reeve_err err = reeve_list_slice(c->as.list, ALL, &array);

    if (err == REEVE_ETYPE)
        return each_value(c);
    return err == REEVE_OK ? container_print_json(c, &array) : container_end(c, err, NULL);
}

static int do_get(struct container *c)
{
    reeve_value *value = NULL;
    int64_t at = 0;
    reeve_err err = REEVE_OK;

    if (!container_index(c, &at, c->words[0]))
        return EXIT_USAGE;
    err = c->place == NULL ? reeve_list_get(c->as.list, at, &value)
                           : reeve_list_get_at(c->as.list, at, c->place, &value);
    return err == REEVE_OK ? container_print(c, &value)
                           : container_end(c, err, container_where(c, c->words[0]));
}

static int do_put(struct container *c)
{
    int64_t at = 0;

    if (!container_index(c, &at, c->words[0]))
        return EXIT_USAGE;
    if (!container_value(c, c->value, c->words[1]))
        return EXIT_CHANGE;
    return container_end(c,
                         c->place == NULL ? reeve_list_set(c->as.list, at, c->value)
                                          : reeve_list_set_at(c->as.list, at, c->place, c->value),
                         container_where(c, c->words[0]));
}

static int do_append_at(struct container *c)
{
    int64_t at = 0;

    if (!container_index(c, &at, c->words[0]))
        return EXIT_USAGE;
    if (!container_value(c, c->value, c->words[1]))
        return EXIT_CHANGE;
    return container_end(c, reeve_list_append_at(c->as.list, at, container_place(c), c->value),
                         container_where(c, c->words[0]));
}

static int do_insert(struct container *c)
{
    int64_t at = 0;

    if (!container_index(c, &at, c->words[0]))
        return EXIT_USAGE;
    if (!container_value(c, c->value, c->words[1]))
        return EXIT_CHANGE;
    return container_end(c, reeve_list_insert(c->as.list, at, c->value), c->words[0]);
}

static int do_pop(struct container *c)
{
    const char *word = c->words_len > 0 ? c->words[0] : NULL;
    reeve_value *value = NULL;
    int64_t at = -1;
    reeve_err err = REEVE_OK;

    if (word != NULL && !container_index(c, &at, word))
        return EXIT_USAGE;
    err = reeve_list_pop(c->as.list, at, &value);
    if (err == REEVE_OK)
        return container_print(c, &value);
    return word == NULL ? container_end_pop(c, err) : container_end(c, err, word);
}

static int do_del(struct container *c)
{
    reeve_slice slice = ALL;
    int64_t at = 0;

    if (strchr(c->words[0], ':') != NULL && c->place == NULL)
        return container_slice(c, &slice, c->words[0])
                   ? container_end(c, reeve_list_del_slice(c->as.list, slice), c->words[0])
                   : EXIT_USAGE;
    if (!container_index(c, &at, c->words[0]))
        return EXIT_USAGE;
    return container_end(c,
                         c->place == NULL ? reeve_list_del(c->as.list, at)
                                          : reeve_list_del_at(c->as.list, at, c->place),
                         container_where(c, c->words[0]));
}

static int do_add(struct container *c)
{
    reeve_value *sum = NULL;
    int64_t at = 0;
    reeve_err err = REEVE_OK;

    if (!container_index(c, &at, c->words[0]) || !container_number(c, c->value, c->words[1]))
        return EXIT_USAGE;
    err = c->place == NULL ? reeve_list_add(c->as.list, at, c->value, &sum)
                           : reeve_list_add_at(c->as.list, at, c->place, c->value, &sum);
    return err == REEVE_OK ? container_print(c, &sum)
                           : container_end(c, err, container_where(c, c->words[0]));
}

static int do_cas(struct container *c)
{
    reeve_value *now = NULL;
    bool done = false;
    int64_t at = 0;
    reeve_err err = REEVE_OK;

    if (!container_index(c, &at, c->words[0]))
        return EXIT_USAGE;
    if (!container_value(c, c->other, c->words[1]) || !container_value(c, c->value, c->words[2]))
        return EXIT_CHANGE;
    err = reeve_list_cas(c->as.list, at, c->other, c->value, &done, &now);
    return container_cas(c, err, done, &now, c->words[0]);
}

static int do_slice(struct container *c)
{
    reeve_value *array = NULL;
    reeve_slice slice = ALL;
    reeve_err err = REEVE_OK;

    if (!container_slice(c, &slice, c->words[0]))
        return EXIT_USAGE;
    err = reeve_list_slice(c->as.list, slice, &array);
    return err == REEVE_OK ? container_print_each(c, &array) : container_end(c, err, c->words[0]);
}

/* There is no such value: as of an index. */
static int end_search(struct container *c, reeve_err err, const char *word)
{
    if (err != REEVE_EVALUE)
        return container_end(c, err, word);
    c->err = err;
    if (c->args->follow)
        return EXIT_NOTHING;
    return cli_fail(EXIT_NOTHING, "cannot %s %s of list %s: no such value", c->verb->word, word,
                    c->args->words[0]);
}

static int do_index(struct container *c)
{
    uint64_t index = 0;
    reeve_err err = REEVE_OK;

    if (!container_value(c, c->value, c->words[0]))
        return EXIT_CHANGE;
    err = reeve_list_index(c->as.list, c->value, REEVE_UNSET, REEVE_UNSET, &index);
    return err == REEVE_OK ? container_print_number(c, index) : end_search(c, err, c->words[0]);
}

static int do_count(struct container *c)
{
    uint64_t count = 0;
    reeve_err err = REEVE_OK;

    if (!container_value(c, c->value, c->words[0]))
        return EXIT_CHANGE;
    err = reeve_list_count(c->as.list, c->value, &count);
    return err == REEVE_OK ? container_print_number(c, count) : container_end(c, err, NULL);
}

static int do_remove(struct container *c)
{
    if (!container_value(c, c->value, c->words[0]))
        return EXIT_CHANGE;
    return end_search(c, reeve_list_remove(c->as.list, c->value), c->words[0]);
}

static int do_sort(struct container *c)
{
    return container_end(c, reeve_list_sort(c->as.list, c->args->reverse), NULL);
}

static int do_reverse(struct container *c)
{
    return container_end(c, reeve_list_reverse(c->as.list), NULL);
}

static int do_len(struct container *c)
{
    uint64_t len = 0;
    reeve_err err = reeve_list_len(c->as.list, &len, NULL);

    return err == REEVE_OK ? container_print_number(c, len) : container_end(c, err, NULL);
}

static int do_clear(struct container *c)
{
    return container_end(c, reeve_list_clear(c->as.list), NULL);
}

static reeve_err open_list(struct container *c, const reeve_container_options *options)
{
    return reeve_list_open(&c->as.list, c->ctx, c->args->words[0], options);
}

static void close_list(struct container *c)
{
    reeve_list_close(&c->as.list);
}

static reeve_err wait_list(struct container *c, uint32_t timeout_ms)
{
    return reeve_list_wait(c->as.list, &c->version, timeout_ms);
}

int run_list(const struct cli_args *args)
{
    static const struct verb verbs[] = {
        {NULL, "", 0, 0, READS, do_all},
        {"get", "I", 1, 1, READS, do_get},
        {"set", "I VALUE", 2, 2, TAKES, do_put},
        {"append", "[VALUE]...", 0, CLI_MANY, WRITES, do_append},
        {"append-at", "I VALUE", 2, 2, TAKES, do_append_at},
        {"insert", "I VALUE", 2, 2, WRITES, do_insert},
        {"pop", "[I]", 0, 1, TAKES, do_pop},
        {"del", "I or A:B[:C]", 1, 1, TAKES, do_del},
        {"add", "I N", 2, 2, TAKES, do_add},
        {"cas", "I OLD NEW", 3, 3, TAKES, do_cas},
        {"slice", "A:B[:C]", 1, 1, READS, do_slice},
        {"index", "VALUE", 1, 1, READS, do_index},
        {"count", "VALUE", 1, 1, READS, do_count},
        {"remove", "VALUE", 1, 1, TAKES, do_remove},
        {"sort", "", 0, 0, TAKES, do_sort},
        {"reverse", "", 0, 0, TAKES, do_reverse},
        {"len", "", 0, 0, READS, do_len},
        {"clear", "", 0, 0, TAKES, do_clear},
        {"dump", "", 0, 0, READS, do_dump},
        {"load", "", 0, 0, WRITES, do_load},
        {.run = NULL},
    };
    static const struct container_type type = {"list",     verbs,     open_list,
                                               close_list, wait_list, false};

    return container_run(args, &type);
}

/* ---- array ---- */

static int slice_array(struct container *c, reeve_slice slice, const char *word, bool whole)
{
    reeve_value *array = NULL;
    reeve_err err = reeve_array_slice(c->as.array, slice, &array);

    if (err != REEVE_OK)
        return container_end(c, err, word);
    return whole ? container_print_json(c, &array) : container_print_each(c, &array);
}

static int print_array(struct container *c)
{
    return slice_array(c, ALL, NULL, true);
}

static int print_slice(struct container *c)
{
    reeve_slice slice = ALL;

    if (!container_slice(c, &slice, c->words[0]))
        return EXIT_USAGE;
    return slice_array(c, slice, c->words[0], false);
}

static int get_cell(struct container *c)
{
    reeve_value *value = NULL;
    int64_t at = 0;
    reeve_err err = REEVE_OK;

    if (!container_index(c, &at, c->words[0]))
        return EXIT_USAGE;
    err = reeve_array_get(c->as.array, at, &value);
    return err == REEVE_OK ? container_print(c, &value) : container_end(c, err, c->words[0]);
}

static int set_cell(struct container *c)
{
    int64_t at = 0;

    if (!container_index(c, &at, c->words[0]))
        return EXIT_USAGE;
    if (!container_value(c, c->value, c->words[1]))
        return EXIT_CHANGE;
    return container_end(c, reeve_array_set(c->as.array, at, c->value), c->words[0]);
}

static int add_to_cell(struct container *c)
{
    reeve_value *sum = NULL;
    int64_t at = 0;
    reeve_err err = REEVE_OK;

    if (!container_index(c, &at, c->words[0]) || !container_number(c, c->value, c->words[1]))
        return EXIT_USAGE;
    err = reeve_array_add(c->as.array, at, c->value, &sum);
    return err == REEVE_OK ? container_print(c, &sum) : container_end(c, err, c->words[0]);
}

static int cas_cell(struct container *c)
{
    reeve_value *now = NULL;
    bool done = false;
    int64_t at = 0;
    reeve_err err = REEVE_OK;

    if (!container_index(c, &at, c->words[0]))
        return EXIT_USAGE;
    if (!container_value(c, c->other, c->words[1]) || !container_value(c, c->value, c->words[2]))
        return EXIT_CHANGE;
    err = reeve_array_cas(c->as.array, at, c->other, c->value, &done, &now);
    return container_cas(c, err, done, &now, c->words[0]);
}

static int print_len(struct container *c)
{
    return container_print_number(c, reeve_array_len(c->as.array));
}

static int set_next(struct container *c)
{
    int code = many.calls == BATCH_CALLS ? send_many(c) : EXIT_DONE;

    if (code != EXIT_DONE)
        return code;
    if (!begin_many(c))
        return cli_fail(EXIT_AGAIN, "cannot load: out of memory");
    many.calls++;
    return container_end(c, reeve_batch_array_set(many.batch, c->as.array, many.at++, c->value),
                         NULL);
}

static int load_array(struct container *c)
{
    int code = container_load_each(c, c->value, set_next);

    if (code == EXIT_DONE)
        return send_many(c);
    reeve_batch_free(&many.batch);
    return code;
}

static reeve_err open_array(struct container *c, const reeve_container_options *options)
{
    const struct cli_args *args = c->args;

    return reeve_array_open(&c->as.array, c->ctx, args->words[0],
                            args->typecode == NULL ? '\0' : args->typecode[0], args->length.value,
                            options);
}

static void close_array(struct container *c)
{
    reeve_array_close(&c->as.array);
}

static reeve_err wait_array(struct container *c, uint32_t timeout_ms)
{
    return reeve_array_wait(c->as.array, &c->version, timeout_ms);
}

int run_array(const struct cli_args *args)
{
    static const struct verb verbs[] = {
        {NULL, "", 0, 0, READS, print_array},        {"get", "I", 1, 1, READS, get_cell},
        {"set", "I VALUE", 2, 2, TAKES, set_cell},   {"add", "I N", 2, 2, TAKES, add_to_cell},
        {"cas", "I OLD NEW", 3, 3, TAKES, cas_cell}, {"slice", "A:B[:C]", 1, 1, READS, print_slice},
        {"len", "", 0, 0, READS, print_len},         {"dump", "", 0, 0, READS, print_array},
        {"load", "", 0, 0, TAKES, load_array},       {.run = NULL},
    };
    static const struct container_type type = {"array",     verbs,      open_array,
                                               close_array, wait_array, true};

    return container_run(args, &type);
}
