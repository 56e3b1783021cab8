#ifndef BOX_MODEL_H
#define BOX_MODEL_H

/*
 * box_model.h -- what containers are, written down a second time and simply: rows of pairs, of which a copy is
 * made before each call and taken again when it fails.
 *
 * The book of the simulator (sim_box.c) asks it what each call must be answered.
 */

#include <reeve/error.h>

#include "common/base/buf.h"
#include "common/value/path.h"
#include "common/wire/msg.h"

enum {
    MODEL_VALUES = 8, /* of one call */
    MODEL_BOXES = 8,
};

/* A number; a float that equals it; or so many bytes made of it. NONE stands where an answer has no value. */
enum model_form { MODEL_INT, MODEL_REAL, MODEL_BYTES, MODEL_NONE };

struct model_val {
    int64_t n;
    uint32_t len;    /* of bytes */
    uint8_t form;    /* enum model_form */
    uint64_t refers; /* to this object; 0: to none */
    uint8_t again;   /* so many times more */
};

/* A call on a container. What its operation does not have is not looked at. */
struct model_act {
    uint16_t op;
    uint8_t box;
    uint8_t other; /* 1 + another set; 0: the values */
    uint8_t how;   /* a verb, flags, bounds, ... */
    int64_t at, stop, step;
    uint64_t seen;
    bool keyed;   /* a wait for the key */
    uint8_t part; /* 1 + an index in the value there; 0: all of it */
    struct model_val key;
    struct model_val values[MODEL_VALUES];
    uint32_t len;
};

struct model_answer {
    reeve_err error;
    bool has_n, has_version, has_key;
    uint64_t n, version;
    struct model_val key;
    struct model_val *values;
    size_t len, cap;
};

struct model_pair {
    struct model_val key, value;
    uint64_t version;
};

struct model_box {
    char name[32];
    uint8_t kind; /* enum rv_kind */
    uint8_t typecode;
    uint32_t first_len; /* of an array */
    uint64_t most;      /* bytes; 0: no bound */
    struct model_pair *at;
    size_t len, cap;
    uint64_t version, changes;
};

/* As it is when it was made. */
void model_clear(struct model_box *box);
void model_free(struct model_box *box);
void model_copy(struct model_box *to, const struct model_box *from);

/* All of the calls or none; how many succeeded. Answers are added to those that are there. */
size_t model_apply(struct model_box *boxes, const struct model_act *acts, size_t len,
                   struct model_answer *answers);
/* The version that a wait compares. */
uint64_t model_version(const struct model_box *box, const struct model_act *act);

void model_answer_add(struct model_answer *a, struct model_val v);
void model_answer_text(struct rv_buf *b, const struct model_answer *a);
void model_answer_free(struct model_answer *a);

/* ---- as bytes ---- */

void model_encode(struct rv_buf *b, struct model_val v);
size_t model_encoded(struct model_val v);
struct model_val model_decode(struct rv_slice bytes);

static inline struct model_val model_int(int64_t n)
{
    return (struct model_val){.n = n};
}

#endif
