/* cmd_value.c -- reeve value. */

#include "cli/container.h"

#include <string.h>

static int do_get(struct container *c)
{
    reeve_value *value = NULL;
    reeve_err err = reeve_shared_get(c->as.shared, &value, &c->version);

    c->exact = true;
    return err == REEVE_OK ? container_print(c, &value) : container_end(c, err, NULL);
}

static int do_put(struct container *c)
{
    if (!container_value(c, c->value, c->words[0]))
        return EXIT_CHANGE;
    return container_end(c, reeve_shared_set(c->as.shared, c->value), NULL);
}

static int do_add(struct container *c)
{
    reeve_value *sum = NULL;
    reeve_err err = REEVE_OK;

    if (!container_number(c, c->value, c->words[0]))
        return EXIT_USAGE;
    err = reeve_shared_add(c->as.shared, c->value, &sum);
    return err == REEVE_OK ? container_print(c, &sum) : container_end(c, err, NULL);
}

static int do_cas(struct container *c)
{
    reeve_value *now = NULL;
    bool done = false;
    reeve_err err = REEVE_OK;

    if (!container_value(c, c->other, c->words[0]) || !container_value(c, c->value, c->words[1]))
        return EXIT_CHANGE;
    err = reeve_shared_cas(c->as.shared, c->other, c->value, &done, &now);
    return container_cas(c, err, done, &now, NULL);
}

/* Nothing can be added to nothing: the one that an add makes holds numbers. */
static char number_code(const struct container *c)
{
    return c->words[0][strspn(c->words[0], "-0123456789")] == '\0' ? 'q' : 'd';
}

static reeve_err open_value(struct container *c, const reeve_container_options *options)
{
    const char *typecode = c->args->typecode;
    const char *name = c->args->words[0];
    bool adds = c->verb->run == do_add && options->create == REEVE_CREATE_OR_GET;
    reeve_err err = REEVE_OK;

    if (typecode != NULL || !adds)
        return reeve_shared_open(&c->as.shared, c->ctx, name, typecode == NULL ? '\0' : *typecode,
                                 options);
    err = reeve_shared_open(&c->as.shared, c->ctx, name, number_code(c), options);
    return err == REEVE_EEXIST ? reeve_shared_open(&c->as.shared, c->ctx, name, '\0', options)
                               : err;
}

static void close_value(struct container *c)
{
    reeve_shared_close(&c->as.shared);
}

static reeve_err wait_value(struct container *c, uint32_t timeout_ms)
{
    return reeve_shared_wait(c->as.shared, &c->version, timeout_ms);
}

int run_value(const struct cli_args *args)
{
    static const struct verb verbs[] = {
        {NULL, "", 0, 0, READS, do_get},         {"get", "", 0, 0, READS, do_get},
        {"set", "VALUE", 1, 1, WRITES, do_put},  {"add", "N", 1, 1, WRITES, do_add},
        {"cas", "OLD NEW", 2, 2, TAKES, do_cas}, {.run = NULL},
    };
    static const struct container_type type = {"value",     verbs,      open_value,
                                               close_value, wait_value, false};

    return container_run(args, &type);
}
