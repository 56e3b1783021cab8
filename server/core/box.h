#ifndef BOX_H
#define BOX_H

/*
 * box.h -- what containers have in common: values, changes that can be taken back, who waits for one.
 *
 *     call ---> its values off the frame ---> apply: changes, each of which is noted
 *                                               |  error: all of them back, newest first
 *                                               '  success: what they took out is freed
 *
 * A batch is the same with several calls in the place of one, so all or none of them take effect. The
 * tables of the types stand at the ends of dict.c, list.c and set.c.
 */

#include <msgpack/object.h>

#include "server/core/object.h"

/* A value: its bytes, which others may share, and the references in it. NULL: none. */
struct cell {
    struct rv_body *body;
    struct carried *refs;
};

struct box {
    struct object object; /* first: a box is an object */
    uint64_t bytes;       /* of keys and values */
    uint64_t most;        /* that it may have; 0: no bound */
    uint64_t version;     /* grows with each change */
    struct call *waiters;
};

/* A value on its way out. */
struct box_value {
    struct rv_slice bytes; /* borrowed from what it is in */
    struct rv_body *body;  /* the same bytes, borrowed; NULL: they are in no body of their own */
    const struct carried *refs; /* of what it is in, borrowed; NULL: none */
};

/* A call on a container on its way, or several, and what they are answered. */
struct box_call {
    const struct incoming *in; /* NULL: a question */
    struct session *session;
    struct box *box;
    struct ref *ref;
    uint16_t op;
    struct rv_slice args; /* well-formed */
    struct cell *values;  /* that it brought; whoever keeps one takes it out */
    uint32_t values_len;
    const char *text;         /* with an error; or NULL: its own words */
    struct box_value *answer; /* mgr->answer */
    uint32_t answer_len;
    size_t answer_bytes; /* that ride in the message */
    size_t answer_all;   /* and with those that come before or behind it */
    size_t bodies;
};

/* What a type of containers does. The result goes to mgr->scratch, encoded without its values; those go
 * behind it by box_answer. */
struct box_ops {
    reeve_err (*apply)(struct mgr *mgr, struct box_call *c);
    reeve_err (*read)(struct mgr *mgr, struct box_call *c);
    /* The version that who waits compares: of the key, if there is one. */
    uint64_t (*version)(struct mgr *mgr, const struct box *box, struct rv_slice key);
    uint16_t wait; /* the operation that waits */
};

/* A change, as long as it may have to be taken back. */
struct undo {
    struct undo *next; /* made before */
    struct box *box;
    uint64_t version;                              /* before */
    void (*back)(struct mgr *mgr, struct undo *u); /* it did not happen */
    void (*done)(struct mgr *mgr, struct undo *u); /* it stays; or NULL: there is nothing to free */
};

/* object_ops.call of each type. */
void box_on_call(struct mgr *mgr, struct object *o, struct ref *ref, const struct incoming *in);
void box_on_batch(struct mgr *mgr, const struct incoming *in);
void box_on_read(struct mgr *mgr, struct session *s, const struct rv_read *msg);

/* ---- for the types ---- */

/* Note a change that has just been made, and that there is a new version. u is at least one struct
 * undo, which belongs to the call from now on. */
void box_changed(struct mgr *mgr, struct box *box, struct undo *u,
                 void (*back)(struct mgr *mgr, struct undo *u),
                 void (*done)(struct mgr *mgr, struct undo *u));

/* The call has taken so many bytes, of which some come free again only with its batch. */
void box_made(struct mgr *mgr, size_t bytes);

/* May it have so many bytes more? Else EQUOTA and a text. */
reeve_err box_allows(struct mgr *mgr, const struct box *box, uint64_t more, const char **text);
void box_count(struct mgr *mgr, struct box *box, uint64_t more, uint64_t less);

/* A value of the call, for the container to keep. */
struct cell box_take(struct box_call *c, uint32_t i);
struct rv_slice cell_bytes(const struct cell *cell);
/* The same value once more. */
struct cell cell_again(struct mgr *mgr, struct box *holder, const struct cell *cell);
struct cell cell_new(struct rv_slice bytes);
void cell_drop(struct mgr *mgr, struct cell *cell);
void cell_save(struct saver *out, const struct cell *cell);
/* False when it is none. */
bool cell_load(struct box *holder, struct rv_reader *in, struct cell *cell);

/* The answer has this value, too. False: there is no room for it. */
bool box_answer(struct mgr *mgr, struct box_call *c, const struct cell *cell);
/* The same for bytes that are a key, or a part of a cell with these references. */
bool box_answer_bytes(struct mgr *mgr, struct box_call *c, struct rv_slice bytes,
                      const struct carried *refs);
/* Is a page that holds so much full? */
bool box_page_full(const struct box_call *c);

/* What is at a path in a value, into the answer. */
reeve_err box_answer_path(struct mgr *mgr, struct box_call *c, const struct cell *cell,
                          struct rv_slice path);
/* The value that an edit makes of cell, which may be NULL; its sum into the answer. */
reeve_err box_edited(struct mgr *mgr, struct box_call *c, const struct cell *cell, uint8_t verb,
                     struct rv_slice path, struct cell *out);

/* Is cell, or NULL, what the call's values expect? EVALUE if it had to be, and is not; else what is there
 * goes into the answer. What is to be set is the last value. */
reeve_err box_cas(struct mgr *mgr, struct box_call *c, uint8_t flags, const struct cell *cell,
                  uint8_t *done);
/* Is it the path to the whole value? */
bool box_no_path(struct rv_slice path);

/* The spelling of a key into mgr->key, where it stays until the next one. On an error *text says why. */
reeve_err box_spell(struct mgr *mgr, struct rv_slice bytes, const char **text);

reeve_err box_spell_value(struct mgr *mgr, const msgpack_object *o, const char **text);

/* The call fails, which made this object: it is no more, and nothing has happened so far. */
void box_forget(struct mgr *mgr, struct session *s, const struct object *made);

/* Are they equal, as key.h says? */
bool box_equal(struct rv_slice a, struct rv_slice b);

/* ---- the parts of object_ops that all have ---- */

void box_init(struct box *box, const struct rv_object_open_args *args);
void box_end_call(struct mgr *mgr, struct call *call, reeve_err error);
void box_timeout(struct mgr *mgr, struct call *call);
void box_unparked(struct mgr *mgr, struct call *call);
void box_row(const struct box *box, struct rv_object_row *out);
void box_drop_ref(struct mgr *mgr, struct ref *ref, bool died);
/* Who waits is told EGONE. */
void box_removed(struct mgr *mgr, struct box *box);
bool box_fits(const struct object *o, const struct rv_object_open_args *args);
void box_save(const struct box *box, struct saver *out);
void box_load(struct mgr *mgr, struct box *box, struct rv_reader *in);
void box_save_call(const struct call *call, struct saver *out);
void box_load_call(struct mgr *mgr, struct call *call, struct rv_reader *in);
bool box_kind(uint8_t kind);
/* That one has which is made with these options. */
uint64_t box_first_bytes(const struct rv_object_open_args *args);
uint64_t box_bytes(const struct object *o);

/* In the object_ops of each type. */
#define BOX_OPS                                                                                    \
    .call = box_on_call, .end_call = box_end_call, .timeout = box_timeout,                         \
    .unparked = box_unparked, .drop_ref = box_drop_ref, .save_call = box_save_call,                \
    .load_call = box_load_call

#endif
