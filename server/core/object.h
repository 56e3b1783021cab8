#ifndef OBJECT_H
#define OBJECT_H

/*
 * object.h -- what is held for clients: ids, names, references.
 *
 *   open ---> named, held by sessions ---> held by nobody --- ttl ---> gone
 *     '-----> without a name, held ------> held by nobody -----------> gone
 *
 * An id is never zero and never used again. Whoever is removed by name answers EGONE until its
 * last holder has let go.
 */

#include "server/core/state.h"

void object_on_open(struct mgr *mgr, struct session *s, uint64_t number, const struct rv_call *msg);
void object_on_close(struct mgr *mgr, struct session *s, uint64_t object);
void object_on_release(struct mgr *mgr, struct session *s, uint64_t object);
void object_on_remove(struct mgr *mgr, struct session *s, uint64_t number,
                      const struct rv_call *msg);

/* Give a new object its id and its name, if it has one. */
void object_add(struct mgr *mgr, struct object *o, const struct object_ops *ops, uint8_t kind,
                struct rv_slice name, uint32_t ttl_ms);

/* A new object without a name, which the session holds. *out is NULL after an error, and *text says
 * why. */
reeve_err object_make(struct mgr *mgr, struct session *s, const struct rv_object_open_args *args,
                      struct object **out, const char **text);

/* It counts for this principal, from its birth on. */
void object_own(struct mgr *mgr, struct object *o, uint32_t principal);

/* NULL when nothing has that name. */
struct object *object_named(const struct mgr *mgr, struct rv_slice name);

/* The session holds it, once more. The caller sets what it may. */
struct ref *object_hold(struct mgr *mgr, struct session *s, struct object *o);

/* The session's row of the object, which is made if there is none. */
struct ref *object_row(struct mgr *mgr, struct session *s, struct object *o);

/* What p may do with the object of a hold: its rights on the name, and its creator uses it. Objects
 * of jobs and agents have rules of their own. */
void object_judge(struct ref *ref, const struct principal *p);

/* The session lets go. died: what it was given counts as delivered once more. */
void object_unref(struct mgr *mgr, struct session *s, struct ref *ref, bool died);

/* The type of that number; NULL when there is none. */
const struct object_ops *object_ops_of(uint8_t kind);

/* A handle on an object that the session has a row of already, by its number: a reference. */
void object_on_ref(struct mgr *mgr, struct session *s, uint64_t number, const struct rv_call *msg);

/* Free it if nobody can get at it any more, or let its ttl begin. */
void object_maybe_free(struct mgr *mgr, struct object *o);

/* Nobody holds it. */
void object_free(struct mgr *mgr, struct object *o);

#endif
