#ifndef DICT_H
#define DICT_H

/*
 * dict.h -- pairs of a key and a value, in the order in which the keys came.
 *
 * A key stands here as all that equal it are spelt (common/value/key.h), so that equal keys are equal
 * bytes. A new value of a key leaves it at its place. Nobody ever waits here.
 */

#include "server/core/state.h"

extern const struct object_ops dict_ops;

void dict_on_read(struct mgr *mgr, struct session *s, const struct rv_read *msg);

/* Of its keys and values: what counts for its owner. */
uint64_t dict_bytes(const struct object *o);

#endif
