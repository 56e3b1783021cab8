#ifndef PRINCIPALS_H
#define PRINCIPALS_H

/*
 * principals.h -- the folder of admitted keys: one public file a principal.
 *
 *     KEYS/authorized.d/worker1.pub     name, public (one or two), role, rights, expires
 */

#include "common/net/keys.h"

enum {
    PRINCIPAL_LOCAL = 1, /* peers of our own uid over ipc; an admin */
    PRINCIPAL_FIRST = 2,
};

struct principals {
    struct rv_keyfile *files;
    uint32_t *ids; /* of the files, from PRINCIPAL_FIRST on, until the shell knows better */
    size_t len;
    size_t expired;       /* files that were left out for that */
    int64_t next_expires; /* of those that are here, the first; 0: none. Seconds since 1970 */
};

/* Read all files, or none: the first bad one is named in why (at least 512 bytes). A folder
 * that is not there is empty. now: seconds since 1970; what has expired by then is left out. */
reeve_err principals_read(struct principals *out, const char *keys, int64_t now, char *why);
void principals_add(struct principals *p, const struct rv_keyfile *file); /* copied */
void principals_free(struct principals *p);

/* Their keys as the net wants them: *len, the caller frees. */
struct rv_net_key *principals_keys(const struct principals *p, size_t *len);

#endif
