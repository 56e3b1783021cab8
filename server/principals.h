#ifndef PRINCIPALS_H
#define PRINCIPALS_H

/*
 * principals.h -- the folder of admitted keys: one public file a principal.
 *
 *     KEYS/authorized.d/worker1.pub     name, public, role, rights
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
};

/* Read all files, or none: the first bad one is named in why (at least 512 bytes). A folder
 * that is not there is empty. */
reeve_err principals_read(struct principals *out, const char *keys, char *why);
void principals_free(struct principals *p);

/* Their keys as the net wants them: p->len, the caller frees. */
struct rv_net_key *principals_keys(const struct principals *p);

#endif
