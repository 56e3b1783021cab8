#ifndef QUOTA_H
#define QUOTA_H

/*
 * quota.h -- how much one principal may have at once: what a key that went astray can cost.
 *
 * A quota reads `objects:100`; K, M and G are 1024 of each other. Objects, and the bytes of the items
 * in them, count for whoever made the object; everything else for whoever the session is of.
 */

#include "server/core/state.h"

/* Are these well-formed: at least one, separated by spaces? */
bool quotas_valid(const char *text, size_t len);
/* As numbers by enum rv_quota; 0: no quota. */
void quotas_read(uint64_t out[RV_QUOTAS_LEN], const char *text);

/* May the principal have so much more? */
bool quota_allows(const struct mgr *mgr, uint32_t principal, enum rv_quota which, uint64_t more);
void quota_add(struct mgr *mgr, uint32_t principal, enum rv_quota which, uint64_t more);
void quota_drop(struct mgr *mgr, uint32_t principal, enum rv_quota which, uint64_t less);

/* One call of this second. False: that is one too many. */
bool quota_call(struct mgr *mgr, uint32_t principal);

/* "key alice has its quota of objects"; good until the next one. */
const char *quota_text(struct mgr *mgr, uint32_t principal, enum rv_quota which);

/* Count what the principal has; after a snapshot was loaded, or a change of its key. */
void quota_recount(struct mgr *mgr, uint32_t principal);
/* Is it what was counted on the way? */
void quota_check(const struct mgr *mgr);

#endif
