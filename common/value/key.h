#ifndef RV_KEY_H
#define RV_KEY_H

/*
 * key.h -- when two values are equal: the one spelling that equal values share.
 *
 * Numbers are equal when they are the same number: 1 and 1.0 are, -0.0 is 0, and 2^53 + 1 equals no
 * float. A bool is no number, text no plain bytes. Arrays are equal item by item, maps when they
 * have equal values behind equal keys, in any order. A NaN equals nothing, not itself either, and
 * so does a map that has a key twice, and whatever has one of these in it: they have no spelling
 * and cannot be keys.
 */

#include <msgpack/object.h>

#include <reeve/error.h>

#include "common/base/buf.h"
#include "common/value/value.h"

/* Append that spelling, which is MessagePack: the shortest integer, also for a float that equals
 * one, and maps in the order of their keys' bytes. Errors, with nothing appended: EINVAL (it has
 * none), ENOMEM. */
REEVE_NODISCARD reeve_err rv_value_key(struct rv_buf *out, const msgpack_object *o);

/* Errors, with *equal false: ENOMEM. */
REEVE_NODISCARD reeve_err rv_value_equal(const msgpack_object *a, const msgpack_object *b,
                                         bool *equal);

/* One value that many are compared with. All zero is a valid one that equals nothing. */
struct rv_sought {
    struct rv_buf spelt;
    struct rv_buf other;       /* how the last one is spelt that it was compared with */
    struct rv_value_room room; /* and where that was parsed */
    msgpack_object scalar;     /* its text lies in spelt */
    bool any;                  /* it has a spelling */
    bool nests;                /* else it is scalar */
};

/* EPROTO: bytes are not one value. ENOMEM. Whatever comes of it, rv_sought_free. */
REEVE_NODISCARD reeve_err rv_sought_init(struct rv_sought *s, struct rv_slice bytes);
void rv_sought_free(struct rv_sought *s);

/* Does it equal the value of these bytes, which is valid? ENOMEM, with *equal false. */
REEVE_NODISCARD reeve_err rv_sought_equals(struct rv_sought *s, struct rv_slice bytes, bool *equal);

#endif
