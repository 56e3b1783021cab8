#ifndef CARRY_H
#define CARRY_H

/*
 * carry.h -- references to objects inside what other objects hold.
 *
 *     put: the sender holds the object ----> carried by the queue, in flight or nested
 *                                               |            |
 *                      take: the taker has a lien on it    dropped, done, freed: gone
 *                                               |
 *                                   released, or its session ends
 *
 * An object lives while a session holds it, something carries a reference to it, or it has a name.
 * Who carries is freed in the step that frees its last holder, but not within the other's free: a
 * chain of a million would be as deep. Cycles keep themselves alive; carry_mark() finds them.
 */

#include "server/core/object.h"

/* May the session put these into an item? It must hold each, and no job or agent is among them. */
bool carry_allowed(const struct session *s, struct rv_slice refs);

/* The holder has an item with these from now on. NULL when there are none. */
struct carried *carry(struct mgr *mgr, struct object *holder, struct rv_slice refs);

/* Without counting: a snapshot is being loaded. */
struct carried *carry_load(struct object *holder, struct rv_reader *in);
void carry_save(struct saver *out, const struct carried *c);

/* Everything is loaded: count. False when something refers to nothing. */
bool carry_bind(struct mgr *mgr);

/* Does the holder carry a reference to it? Looks at all that it carries. */
bool carry_has(const struct object *holder, uint64_t object);

/* Is it among what one item refers to? NULL is fine. */
bool carried_has(const struct carried *c, uint64_t object);

/* The item moved to another holder. NULL is fine. */
void carry_move(struct carried *c, struct object *holder);

/* The item was handed to the session: it has a lien on each of the objects now. NULL is fine. */
void carry_give(struct mgr *mgr, struct session *s, const struct carried *c);

/* The same for these of them, as on the wire. */
void carry_give_refs(struct mgr *mgr, struct session *s, struct rv_slice refs);

/* The item is no more. *c may be NULL. */
void carry_drop(struct mgr *mgr, struct carried **c);

/* As on the wire; out has room for all that an item may have. */
enum { CARRY_BYTES = 8 * RV_LIMIT_ITEM_REFS };
struct rv_slice carry_wire(const struct carried *c, uint8_t out[static CARRY_BYTES]);

/* Look at this object when the step is over: nobody may refer to it any more. */
void carry_loosen(struct mgr *mgr, const struct object *o);
/* The step is over. */
void carry_settle(struct mgr *mgr);

/* Objects that nobody can get at: they have no name, and only each other refer to them. Calls
 * lost(arg, object) for each. */
void carry_lost(const struct mgr *mgr, void (*lost)(void *arg, const struct object *o), void *arg);

void carry_check(const struct mgr *mgr);

#endif
