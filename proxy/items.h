#ifndef RV_ITEMS_H
#define RV_ITEMS_H

/* items.h -- the list of items that an application makes, as the calls of a pool see it. */

#include "proxy/core/pack.h"

#include <reeve/pool.h>

struct reeve_items {
    struct rv_packs packs;
    reeve_err err; /* the first one */
};

/* Is every item an array? */
bool rv_items_all_arrays(const struct reeve_items *items);

#endif
