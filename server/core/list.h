#ifndef LIST_H
#define LIST_H

/*
 * list.h -- a list; an array, whose length and type are fixed; and a value, an array of one.
 *
 * The values lie in a row with room at both ends, so that the ends cost the same however long the list
 * is; what goes in between moves the shorter side.
 */

#include "server/core/state.h"

extern const struct object_ops list_ops;

#endif
