#ifndef CONTAINER_H
#define CONTAINER_H

/*
 * container.h -- what the commands of containers have in common: reeve dict|list|set|value|array|namespace.
 *
 * A command is a table of verbs and a few functions. What a verb prints goes into c->out, and from
 * there to standard output when it has ended well, so that nothing is printed by halves; with
 * --follow it runs again after each change.
 */

#include "cli/cli.h"

#include <stdio.h>

struct container;

struct verb {
    const char *word;  /* NULL: what is done without a verb */
    const char *wants; /* words behind it, for people */
    int fewest, most;
    enum { READS, WRITES, TAKES } how; /* WRITES makes what is missing; READS can be followed */
    int (*run)(struct container *c);   /* an exit code, after a message */
};

struct container_type {
    const char *word;
    const struct verb *verbs; /* the first one has no word; the last one no function */
    reeve_err (*open)(struct container *c, const reeve_container_options *options);
    void (*close)(struct container *c);
    /* Wait for another version than c->version, which becomes that. */
    reeve_err (*wait)(struct container *c, uint32_t timeout_ms);
    bool sized; /* made by --typecode and --length only */
};

struct container {
    const struct container_type *type;
    const struct verb *verb;
    const struct cli_args *args;
    reeve_context *ctx;
    union {
        reeve_dict *dict;
        reeve_list *list;
        reeve_set *set;
        reeve_shared *shared;
        reeve_array *array;
        reeve_namespace *names;
    } as;
    char **words; /* behind the verb; ends with NULL */
    int words_len;
    reeve_builder *key, *value, *other; /* for the verb */
    reeve_builder *place;               /* --at, checked; NULL: none */
    char where[128];                    /* for messages: what container_where was told */
    FILE *out;
    uint64_t version; /* that was seen, with --follow */
    bool exact;       /* the verb has set version to that of what it printed */
    reeve_err err;    /* of the call that failed last */
};

/* Run the command of args on the container that it names. An exit code. */
int container_run(const struct cli_args *args, const struct container_type *type);

/* ---- for verbs ---- */

/* What a call returned becomes an exit code. what: the key or index, for the message; NULL: none. */
int container_end(struct container *c, reeve_err err, const char *what);
/* The same of a verb that takes something out of what may be empty. */
int container_end_pop(struct container *c, reeve_err err);
/* --at; without it the value itself. */
const reeve_builder *container_place(struct container *c);
/* The key or index, and the place in its value, for `what`. */
const char *container_where(struct container *c, const char *word);
/* And of one that wants many values in one. kind: "object", "array" */
int container_end_many(struct container *c, reeve_err err, const char *word, const char *kind);

/* The word, as the options say: --json is for values alone. False after a message. */
bool container_key(struct container *c, reeve_builder *out, const char *word);
bool container_value(struct container *c, reeve_builder *out, const char *word);
bool container_number(struct container *c, reeve_builder *out, const char *word);
bool container_index(struct container *c, int64_t *out, const char *word);
bool container_slice(struct container *c, reeve_slice *out, const char *word);

/* A value in a line of its own: texts as they are, unless --json; or as JSON in any case. They free
 * the value. */
int container_print(struct container *c, reeve_value **value);
int container_print_json(struct container *c, reeve_value **value);
bool container_write(struct container *c, const reeve_value *value, const char *end);
bool container_write_json(FILE *to, const reeve_value *value, const char *end);
/* Each value of an array. */
int container_print_each(struct container *c, reeve_value **array);
int container_print_number(struct container *c, uint64_t number);
/* true; or false, and the code for that. */
int container_print_truth(struct container *c, bool so);

/* The answer of a cas: what is there instead, if there is anything. */
int container_cas(struct container *c, reeve_err err, bool done, reeve_value **now,
                  const char *what);

/* The words, or without any the lines of standard input, one after the other. */
int container_each(struct container *c, int (*take)(struct container *c, const char *word));

/* Standard input, which is one JSON array or object (open is its bracket), in parts of it that are
 * such: each in out. It is read, and checked, before the first is taken. */
int container_load(struct container *c, reeve_builder *out, char open,
                   int (*take)(struct container *c));
/* Each element of a JSON array there, in out. */
int container_load_each(struct container *c, reeve_builder *out, int (*take)(struct container *c));

/* ---- parse_json.c ---- */

/* As cli_put_json, but an outermost map is one, also if it has the one key "bytes" or "pairs". */
bool cli_put_json_map(reeve_builder *builder, const char *text, size_t len, char why[CLI_WHY]);

/* Is it {"pairs": [[key, item], ...]}? Then *text becomes the outer array. */
bool cli_json_pairs(const char **text, const char *end);

/* Cut an array or a map of JSON: *text, which begins with its bracket, goes behind the next element or
 * member, which is *element. False: no more. */
bool cli_next_element(const char **text, const char *end, const char **element, size_t *len);

#endif
