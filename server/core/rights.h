#ifndef RIGHTS_H
#define RIGHTS_H

/*
 * rights.h -- who may do what: one function, asked when an object is opened.
 *
 * A right reads `put,get:jobs/...`: verbs, and the name they hold for; a final `*` stands for
 * any rest, no name for all. A client without any such line may use all objects; a worker
 * none; an admin everything.
 */

#include "common/wire/msg.h"

struct principal {
    uint32_t id;
    char *name;
    char *role;
    char *rights;                  /* as in key files, separated by spaces */
    char *quotas;                  /* the same */
    uint64_t quota[RV_QUOTAS_LEN]; /* 0: none */
    uint64_t used[RV_QUOTAS_LEN];  /* of these; but for CALLS */
    rv_ns calls_at;
};

#define RIGHT_BIT(right) (1u << (right))

/* All bits that p has on an object of that name. p may be NULL: nothing. */
uint32_t rights_on(const struct principal *p, struct rv_slice name);

/* Is text a well-formed right? */
bool rights_valid(const char *text, size_t len);

#endif
