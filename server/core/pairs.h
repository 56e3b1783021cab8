#ifndef PAIRS_H
#define PAIRS_H

/*
 * pairs.h -- keys and their values, in the order in which the keys came: what dicts and sets are made of.
 *
 * A key stands here as all that equal it are spelt (common/value/key.h), so that equal keys are equal
 * bytes. A new value of a key leaves it at its place. The value of a member of a set is empty. Each
 * change here can be taken back until its call is over (box.h).
 */

#include "server/core/box.h"

struct pair {
    UT_hash_handle hh; /* by key */
    struct pair *prev, *next;
    struct cell value;
    uint64_t version; /* of the container, when this was set last */
    uint32_t key_len;
    uint8_t key[];
};

struct pairs {
    struct box box;     /* first: pairs are a box */
    struct pair *table; /* by key */
    struct pair *order; /* as the keys came */
    uint64_t changes;   /* keys that came and went */
};

static inline struct rv_slice pair_key(const struct pair *p)
{
    return rv_slice(p->key, p->key_len);
}

/* NULL: there is none. key: as it is spelt. */
struct pair *pairs_find(const struct pairs *d, struct rv_slice key);
uint64_t pairs_len(const struct pairs *d);

/* ---- changes ---- */

/* A key that is not there yet. Errors, with the value dropped: EQUOTA. */
reeve_err pairs_add(struct mgr *mgr, struct box_call *c, struct pairs *d, struct rv_slice key,
                    struct cell value, struct pair **out);
/* Another value for it; else the same. */
reeve_err pairs_change(struct mgr *mgr, struct box_call *c, struct pair *p, struct cell value);
void pairs_drop(struct mgr *mgr, struct pairs *d, struct pair *p);
void pairs_clear(struct mgr *mgr, struct pairs *d);

/* ---- one page ---- */

/* The first pair behind key `after` into *p. ECHANGED: it is no more there. */
reeve_err pairs_begin(const struct pairs *d, struct rv_slice after, uint64_t changes,
                      const struct pair **p);

/* ---- the parts of object_ops that dicts and sets have ---- */

struct object *pairs_create(struct mgr *mgr, const struct rv_object_open_args *args);
struct object *pairs_create_empty(void);
void pairs_removed(struct mgr *mgr, struct object *o);
void pairs_free(struct mgr *mgr, struct object *o);
void pairs_row(const struct object *o, struct rv_object_row *out);
void pairs_check(const struct object *o);
void pairs_save(const struct object *o, struct saver *out);
void pairs_load(struct mgr *mgr, struct object *o, struct rv_reader *in);
const char *pairs_refuse(const struct rv_object_open_args *args);

/* In the object_ops of both types. */
#define PAIRS_OPS                                                                                  \
    BOX_OPS, .fits = box_fits, .refuse = pairs_refuse, .create = pairs_create,                     \
             .removed = pairs_removed, .free = pairs_free, .row = pairs_row, .check = pairs_check, \
             .create_empty = pairs_create_empty, .save = pairs_save, .load = pairs_load

#endif
