/* cmd_dict.c -- reeve dict and reeve namespace. */

#include "cli/container.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* ---- all of it ---- */

static bool is_text(const reeve_value *value)
{
    return reeve_value_type(value) == REEVE_STR;
}

/* What one word for one key would be read back as something else. */
static bool is_reserved(const reeve_value *map)
{
    return reeve_value_len(map) == 1 &&
           (reeve_value_find(map, "bytes") != NULL || reeve_value_find(map, "pairs") != NULL);
}

static bool keys_are_texts(const reeve_value *map)
{
    const reeve_value *key = NULL;
    const reeve_value *item = NULL;

    for (size_t i = 0; reeve_value_pair(map, i, &key, &item); i++)
        if (!is_text(key))
            return false;
    return true;
}

/* {"pairs": [[key, item], ...]} */
static bool write_pairs(struct container *c, const reeve_value *map)
{
    const reeve_value *key = NULL;
    const reeve_value *item = NULL;
    bool good = true;

    fputs("{\"pairs\": [", c->out);
    for (size_t i = 0; good && reeve_value_pair(map, i, &key, &item); i++) {
        fputs(i == 0 ? "[" : ", [", c->out);
        good = container_write_json(c->out, key, ", ") && container_write_json(c->out, item, "]");
    }
    fputs("]}\n", c->out);
    return good;
}

static reeve_err copy(struct container *c, reeve_value **out)
{
    return strcmp(c->type->word, "dict") == 0 ? reeve_dict_copy(c->as.dict, out)
                                              : reeve_namespace_copy(c->as.names, out);
}

static int do_dump(struct container *c)
{
    reeve_value *map = NULL;
    reeve_err err = copy(c, &map);
    bool good = false;

    if (err != REEVE_OK)
        return container_end(c, err, NULL);
    if (keys_are_texts(map) && !is_reserved(map))
        return container_print_json(c, &map);
    good = write_pairs(c, map);
    reeve_value_free(&map);
    return good ? EXIT_DONE : cli_fail(EXIT_AGAIN, "cannot print a value: out of memory");
}

/* One after the other; what to print of a pair says `write`. */
static int each_pair(struct container *c,
                     bool (*write)(struct container *c, uint64_t i, const reeve_value *key,
                                   const reeve_value *item))
{
    enum { TRIES = 8 }; /* keys that come and go end an iteration */
    reeve_err err = REEVE_ECHANGED;

    for (int i = 0; err == REEVE_ECHANGED && i < TRIES; i++) {
        reeve_dict_iter *it = NULL;
        const reeve_value *key = NULL;
        const reeve_value *item = NULL;
        uint64_t n = 0;

        rewind(c->out);
        err = strcmp(c->type->word, "dict") == 0 ? reeve_dict_items(&it, c->as.dict)
                                                 : reeve_namespace_items(&it, c->as.names);
        for (; err == REEVE_OK; n++) {
            err = reeve_dict_next(it, &key, &item);
            if (key == NULL)
                break;
            if (err == REEVE_OK && !write(c, n, key, item))
                err = REEVE_ENOMEM;
        }
        reeve_dict_iter_close(&it);
    }
    return container_end(c, err, NULL);
}

static bool write_member(struct container *c, uint64_t i, const reeve_value *key,
                         const reeve_value *item)
{
    fputs(i == 0 ? "{" : ", ", c->out);
    return cli_print_key(c->out, key) && container_write_json(c->out, item, "");
}

/* As JSON for people; also with references in it, of which there is no copy. */
static int do_all(struct container *c)
{
    reeve_value *map = NULL;
    reeve_err err = copy(c, &map);
    int code = EXIT_DONE;

    if (err == REEVE_OK)
        return container_print_json(c, &map);
    if (err != REEVE_ETYPE)
        return container_end(c, err, NULL);
    code = each_pair(c, write_member);
    fputs("}\n", c->out);
    return code;
}

static bool write_key(struct container *c, uint64_t i, const reeve_value *key,
                      const reeve_value *item)
{
    (void)i;
    (void)item;
    return container_write(c, key, "\n");
}

static bool write_value(struct container *c, uint64_t i, const reeve_value *key,
                        const reeve_value *item)
{
    (void)i;
    (void)key;
    return container_write(c, item, "\n");
}

static bool write_item(struct container *c, uint64_t i, const reeve_value *key,
                       const reeve_value *item)
{
    (void)i;
    return container_write(c, key, "\t") && container_write(c, item, "\n");
}

static int do_keys(struct container *c)
{
    return each_pair(c, write_key);
}

static int do_values(struct container *c)
{
    return each_pair(c, write_value);
}

static int do_items(struct container *c)
{
    return each_pair(c, write_item);
}

/* ---- dict ---- */

static int do_get(struct container *c)
{
    reeve_value *value = NULL;
    reeve_err err = REEVE_OK;

    if (!container_key(c, c->key, c->words[0]))
        return EXIT_CHANGE;
    if (c->place != NULL) {
        err = reeve_dict_get_at(c->as.dict, c->key, c->place, &value);
        return err == REEVE_OK ? container_print(c, &value)
                               : container_end(c, err, container_where(c, c->words[0]));
    }
    err = reeve_dict_get_version(c->as.dict, c->key, &value, &c->version);
    c->exact = true;
    if (err == REEVE_EKEY)
        c->version = 0;
    return err == REEVE_OK ? container_print(c, &value) : container_end(c, err, c->words[0]);
}

static int do_put(struct container *c)
{
    if (!container_key(c, c->key, c->words[0]) || !container_value(c, c->value, c->words[1]))
        return EXIT_CHANGE;
    return container_end(c,
                         c->place == NULL
                             ? reeve_dict_set(c->as.dict, c->key, c->value)
                             : reeve_dict_set_at(c->as.dict, c->key, c->place, c->value),
                         container_where(c, c->words[0]));
}

static int do_append_at(struct container *c)
{
    if (!container_key(c, c->key, c->words[0]) || !container_value(c, c->value, c->words[1]))
        return EXIT_CHANGE;
    return container_end(c, reeve_dict_append_at(c->as.dict, c->key, container_place(c), c->value),
                         container_where(c, c->words[0]));
}

static int do_setdefault(struct container *c)
{
    reeve_value *value = NULL;
    reeve_err err = REEVE_OK;

    if (!container_key(c, c->key, c->words[0]) || !container_value(c, c->value, c->words[1]))
        return EXIT_CHANGE;
    err = reeve_dict_setdefault(c->as.dict, c->key, c->value, &value, NULL);
    return err == REEVE_OK ? container_print(c, &value) : container_end(c, err, c->words[0]);
}

static int do_add(struct container *c)
{
    reeve_value *sum = NULL;
    reeve_err err = REEVE_OK;

    if (!container_key(c, c->key, c->words[0]))
        return EXIT_CHANGE;
    if (!container_number(c, c->value, c->words[1]))
        return EXIT_USAGE;
    err = c->place == NULL ? reeve_dict_add(c->as.dict, c->key, c->value, &sum)
                           : reeve_dict_add_at(c->as.dict, c->key, c->place, c->value, &sum);
    return err == REEVE_OK ? container_print(c, &sum)
                           : container_end(c, err, container_where(c, c->words[0]));
}

static int do_cas(struct container *c)
{
    reeve_value *now = NULL;
    bool done = false;
    reeve_err err = REEVE_OK;

    if (!container_key(c, c->key, c->words[0]) || !container_value(c, c->other, c->words[1]) ||
        !container_value(c, c->value, c->words[2]))
        return EXIT_CHANGE;
    err = reeve_dict_cas(c->as.dict, c->key, c->other, c->value, &done, &now);
    return container_cas(c, err, done, &now, c->words[0]);
}

static int delete_one(struct container *c, const char *word)
{
    if (!container_key(c, c->key, word))
        return EXIT_CHANGE;
    return container_end(c,
                         c->place == NULL ? reeve_dict_del(c->as.dict, c->key)
                                          : reeve_dict_del_at(c->as.dict, c->key, c->place),
                         container_where(c, word));
}

static int do_del(struct container *c)
{
    return container_each(c, delete_one);
}

static int do_pop(struct container *c)
{
    reeve_value *value = NULL;
    reeve_err err = REEVE_OK;

    if (!container_key(c, c->key, c->words[0]))
        return EXIT_CHANGE;
    err = reeve_dict_pop(c->as.dict, c->key, &value);
    return err == REEVE_OK ? container_print(c, &value) : container_end(c, err, c->words[0]);
}

static int do_popitem(struct container *c)
{
    reeve_value *key = NULL;
    reeve_value *value = NULL;
    reeve_err err = reeve_dict_popitem(c->as.dict, &key, &value);
    bool good = err == REEVE_OK && container_write(c, key, "\t");

    reeve_value_free(&key);
    if (err != REEVE_OK)
        return container_end_pop(c, err);
    if (good)
        return container_print(c, &value);
    reeve_value_free(&value);
    return cli_fail(EXIT_AGAIN, "cannot print a value: out of memory");
}

static int do_has(struct container *c)
{
    bool there = false;
    reeve_err err = REEVE_OK;

    if (!container_key(c, c->key, c->words[0]))
        return EXIT_CHANGE;
    err = reeve_dict_contains(c->as.dict, c->key, &there);
    return err == REEVE_OK ? container_print_truth(c, there) : container_end(c, err, NULL);
}

static int do_len(struct container *c)
{
    uint64_t len = 0;
    reeve_err err = reeve_dict_len(c->as.dict, &len, NULL);

    return err == REEVE_OK ? container_print_number(c, len) : container_end(c, err, NULL);
}

static int update_one(struct container *c, const char *word)
{
    if (!container_value(c, c->value, word))
        return EXIT_CHANGE;
    return container_end_many(c, reeve_dict_update(c->as.dict, c->value), word, "object");
}

static int do_update(struct container *c)
{
    return container_each(c, update_one);
}

static int do_clear(struct container *c)
{
    return container_end(c, reeve_dict_clear(c->as.dict), NULL);
}

static int load_some(struct container *c)
{
    return container_end_many(c, reeve_dict_update(c->as.dict, c->value), "standard input",
                              "object");
}

static int do_load(struct container *c)
{
    return container_load(c, c->value, '{', load_some);
}

static reeve_err open_dict(struct container *c, const reeve_container_options *options)
{
    return reeve_dict_open(&c->as.dict, c->ctx, c->args->words[0], options);
}

static void close_dict(struct container *c)
{
    reeve_dict_close(&c->as.dict);
}

/* A verb that reads one key waits for that. */
static reeve_err wait_dict(struct container *c, uint32_t timeout_ms)
{
    bool one = c->words_len > 0 && container_key(c, c->key, c->words[0]);

    return reeve_dict_wait(c->as.dict, one ? c->key : NULL, &c->version, timeout_ms);
}

int run_dict(const struct cli_args *args)
{
    static const struct verb verbs[] = {
        {NULL, "", 0, 0, READS, do_all},
        {"get", "KEY", 1, 1, READS, do_get},
        {"set", "KEY VALUE", 2, 2, WRITES, do_put},
        {"setdefault", "KEY VALUE", 2, 2, WRITES, do_setdefault},
        {"add", "KEY N", 2, 2, WRITES, do_add},
        {"append-at", "KEY VALUE", 2, 2, TAKES, do_append_at},
        {"cas", "KEY OLD NEW", 3, 3, TAKES, do_cas},
        {"del", "KEY...", 1, CLI_MANY, TAKES, do_del},
        {"pop", "KEY", 1, 1, TAKES, do_pop},
        {"popitem", "", 0, 0, TAKES, do_popitem},
        {"has", "KEY", 1, 1, READS, do_has},
        {"keys", "", 0, 0, READS, do_keys},
        {"values", "", 0, 0, READS, do_values},
        {"items", "", 0, 0, READS, do_items},
        {"len", "", 0, 0, READS, do_len},
        {"update", "MAP...", 1, CLI_MANY, WRITES, do_update},
        {"clear", "", 0, 0, TAKES, do_clear},
        {"dump", "", 0, 0, READS, do_dump},
        {"load", "", 0, 0, WRITES, do_load},
        {.run = NULL},
    };
    static const struct container_type type = {"dict",     verbs,     open_dict,
                                               close_dict, wait_dict, false};

    return container_run(args, &type);
}

/* ---- namespace ---- */

static int get_attribute(struct container *c)
{
    reeve_value *value = NULL;
    reeve_err err = reeve_namespace_get(c->as.names, c->words[0], &value);

    return err == REEVE_OK ? container_print(c, &value) : container_end(c, err, c->words[0]);
}

static int set_attribute(struct container *c)
{
    if (!container_value(c, c->value, c->words[1]))
        return EXIT_CHANGE;
    return container_end(c, reeve_namespace_set(c->as.names, c->words[0], c->value), c->words[0]);
}

static int add_to_attribute(struct container *c)
{
    char *end = NULL;
    int64_t amount = strtoll(c->words[1], &end, 10);
    int64_t sum = 0;
    reeve_err err = REEVE_OK;

    if (!container_number(c, c->value, c->words[1]))
        return EXIT_USAGE;
    if (*end != '\0')
        return cli_fail_usage(c->args, "cannot add %s: it is not an integer", c->words[1]);
    err = reeve_namespace_add_int(c->as.names, c->words[0], amount, &sum);
    if (err == REEVE_OK)
        fprintf(c->out, "%" PRId64 "\n", sum);
    return container_end(c, err, c->words[0]);
}

static int delete_attribute(struct container *c, const char *word)
{
    return container_end(c, reeve_namespace_del(c->as.names, word), word);
}

static int delete_attributes(struct container *c)
{
    return container_each(c, delete_attribute);
}

static int load_some_attributes(struct container *c)
{
    return container_end_many(c, reeve_namespace_update(c->as.names, c->value), "standard input",
                              "object with names as keys");
}

static int load_attributes(struct container *c)
{
    return container_load(c, c->value, '{', load_some_attributes);
}

static reeve_err open_namespace(struct container *c, const reeve_container_options *options)
{
    return reeve_namespace_open(&c->as.names, c->ctx, c->args->words[0], options);
}

static void close_namespace(struct container *c)
{
    reeve_namespace_close(&c->as.names);
}

static reeve_err wait_namespace(struct container *c, uint32_t timeout_ms)
{
    return reeve_namespace_wait(c->as.names, c->words_len > 0 ? c->words[0] : NULL, &c->version,
                                timeout_ms);
}

int run_namespace(const struct cli_args *args)
{
    static const struct verb verbs[] = {
        {NULL, "", 0, 0, READS, do_all},
        {"get", "ATTRIBUTE", 1, 1, READS, get_attribute},
        {"set", "ATTRIBUTE VALUE", 2, 2, WRITES, set_attribute},
        {"add", "ATTRIBUTE N", 2, 2, WRITES, add_to_attribute},
        {"del", "ATTRIBUTE...", 1, CLI_MANY, TAKES, delete_attributes},
        {"names", "", 0, 0, READS, do_keys},
        {"items", "", 0, 0, READS, do_items},
        {"dump", "", 0, 0, READS, do_dump},
        {"load", "", 0, 0, WRITES, load_attributes},
        {.run = NULL},
    };
    static const struct container_type type = {"namespace",     verbs,          open_namespace,
                                               close_namespace, wait_namespace, false};

    return container_run(args, &type);
}
