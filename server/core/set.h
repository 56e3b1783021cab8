#ifndef SET_H
#define SET_H

/* set.h -- values, each of them once, in the order in which they came: keys of pairs without values. */

#include "server/core/state.h"

extern const struct object_ops set_ops;

#endif
