/* cmd_set.c -- reeve set. */

#include "cli/container.h"

/* ---- all of it ---- */

static int print_all(struct container *c)
{
    reeve_value *array = NULL;
    reeve_err err = reeve_set_copy(c->as.set, &array);

    return err == REEVE_OK ? container_print_json(c, &array) : container_end(c, err, NULL);
}

static int do_members(struct container *c)
{
    reeve_value *array = NULL;
    reeve_err err = reeve_set_copy(c->as.set, &array);

    return err == REEVE_OK ? container_print_each(c, &array) : container_end(c, err, NULL);
}

static int do_len(struct container *c)
{
    uint64_t len = 0;
    reeve_err err = reeve_set_len(c->as.set, &len, NULL);

    return err == REEVE_OK ? container_print_number(c, len) : container_end(c, err, NULL);
}

static int do_clear(struct container *c)
{
    return container_end(c, reeve_set_clear(c->as.set), NULL);
}

static int load_some(struct container *c)
{
    return container_end_many(c, reeve_set_update_values(c->as.set, REEVE_UNION, c->value),
                              "standard input", "array");
}

static int do_load(struct container *c)
{
    return container_load(c, c->value, '[', load_some);
}

/* ---- members ---- */

/* Who was the first is printed: of all that add it, on all hosts, one. */
static int add_one(struct container *c, const char *word)
{
    bool added = false;
    reeve_err err = REEVE_OK;

    if (!container_value(c, c->value, word))
        return EXIT_CHANGE;
    err = reeve_set_add(c->as.set, c->value, &added);
    if (err == REEVE_OK && added)
        fprintf(c->out, "%s\n", word);
    return container_end(c, err, word);
}

static int do_add(struct container *c)
{
    return container_each(c, add_one);
}

static int remove_one(struct container *c, const char *word)
{
    reeve_err err = REEVE_OK;

    if (!container_value(c, c->value, word))
        return EXIT_CHANGE;
    err = reeve_set_remove(c->as.set, c->value);
    if (err == REEVE_EKEY)
        return cli_fail(EXIT_NOTHING, "cannot remove %s of set %s: no such member", word,
                        c->args->words[0]);
    return container_end(c, err, word);
}

static int do_remove(struct container *c)
{
    return container_each(c, remove_one);
}

static int discard_one(struct container *c, const char *word)
{
    if (!container_value(c, c->value, word))
        return EXIT_CHANGE;
    return container_end(c, reeve_set_discard(c->as.set, c->value, NULL), word);
}

static int do_discard(struct container *c)
{
    return container_each(c, discard_one);
}

static int do_has(struct container *c)
{
    bool there = false;
    reeve_err err = REEVE_OK;

    if (!container_value(c, c->value, c->words[0]))
        return EXIT_CHANGE;
    err = reeve_set_contains(c->as.set, c->value, &there);
    return err == REEVE_OK ? container_print_truth(c, there) : container_end(c, err, NULL);
}

static int do_pop(struct container *c)
{
    reeve_value *value = NULL;
    reeve_err err = reeve_set_pop(c->as.set, &value);

    return err == REEVE_OK ? container_print(c, &value) : container_end_pop(c, err);
}

/* ---- the command ---- */

static reeve_err open_set(struct container *c, const reeve_container_options *options)
{
    return reeve_set_open(&c->as.set, c->ctx, c->args->words[0], options);
}

static void close_set(struct container *c)
{
    reeve_set_close(&c->as.set);
}

static reeve_err wait_set(struct container *c, uint32_t timeout_ms)
{
    return reeve_set_wait(c->as.set, &c->version, timeout_ms);
}

int run_set(const struct cli_args *args)
{
    static const struct verb verbs[] = {
        {NULL, "", 0, 0, READS, print_all},
        {"add", "[VALUE]...", 0, CLI_MANY, WRITES, do_add},
        {"remove", "VALUE...", 1, CLI_MANY, TAKES, do_remove},
        {"discard", "VALUE...", 1, CLI_MANY, TAKES, do_discard},
        {"has", "VALUE", 1, 1, READS, do_has},
        {"pop", "", 0, 0, TAKES, do_pop},
        {"members", "", 0, 0, READS, do_members},
        {"len", "", 0, 0, READS, do_len},
        {"clear", "", 0, 0, TAKES, do_clear},
        {"dump", "", 0, 0, READS, print_all},
        {"load", "", 0, 0, WRITES, do_load},
        {.run = NULL},
    };
    static const struct container_type type = {"set", verbs, open_set, close_set, wait_set, false};

    return container_run(args, &type);
}
