#ifndef SAVE_H
#define SAVE_H

/*
 * save.h -- the state of a manager as bytes, and back.
 *
 *     mgr ---- mgr_save ----> blocks of bytes ---- mgr_load ----> a mgr that goes on the same way
 *
 * Two managers that stepped on the same logged commands give the same bytes, whether one of them
 * was saved and loaded in between or not. So the bytes hold what later steps depend on and what
 * clients may ask for, in the order of lists; no addresses, no capacities, and nothing that a
 * read or the passing of time changes.
 *
 * A type of objects has `save` and `load` for what is its own, and the same for its parked calls
 * (struct object_ops). Whoever changes what they write raises STATE_VERSION.
 */

#include "server/core/mgr.h"
#include "common/base/heap.h"

enum {
    STATE_VERSION = 1,
    SAVE_BLOCK = 1 << 20, /* about so many bytes are given on at once */
};

struct saver {
    /* Take the next bytes; they are borrowed during the call. */
    void (*block)(void *arg, struct rv_slice bytes);
    void *arg;
    struct rv_buf buf;
    uint64_t len;  /* of all blocks */
    uint32_t hash; /* CRC32C of all blocks: it compares two saves of one program, no stranger's */
};

/* Is everything that it holds of a type that can be saved? If not, the log is kept from its last
 * snapshot on, and replayed. */
bool mgr_can_save(const struct mgr *mgr);

void mgr_save(const struct mgr *mgr, struct saver *out);

/* Into a new manager. False: this is no state that can be loaded, and the manager is good for
 * nothing any more, not even to be freed. */
bool mgr_load(struct mgr *mgr, struct rv_slice state);

/* ---- for the types of objects ---- */

struct call;
struct object;

void save_number(struct saver *out, uint64_t x, size_t width);
void save_bytes(struct saver *out, struct rv_slice bytes);
void save_text(struct saver *out, const char *text); /* NULL as "" */
void save_timer(struct saver *out, const struct rv_timer *t);
/* A list of parked calls, with what the type adds by save_call. */
void save_calls(struct saver *out, const struct object *o, const struct call *list);

/* Errors stick in r, as with all reading. */
struct rv_slice load_bytes(struct rv_reader *r);
char *load_text(struct rv_reader *r);
void load_timer(struct mgr *mgr, struct rv_reader *r, struct rv_timer *t);
void load_calls(struct mgr *mgr, struct rv_reader *r, struct object *o, struct call **list);
struct session *load_session(const struct mgr *mgr, struct rv_reader *r); /* by serial */

#endif
