#ifndef RV_NET_SELFTEST_H
#define RV_NET_SELFTEST_H

/*
 * net_selftest.h -- is the door shut? Knock as a stranger and insist on being refused.
 */

#include "common/net/net.h"

/* Blocks for some milliseconds, a few seconds at worst. EAUTH when a stranger got in: without a
 * key, or, where keys count, with one that nobody admitted. ESYS when it can't be told. */
reeve_err rv_selftest(const char *endpoint, const char *public_key, bool keys_count, char *why);

#endif
