#ifndef KEYRING_H
#define KEYRING_H

/*
 * keyring.h -- when to read the folder of admitted keys again: a file changed, a key expires.
 *
 *     file changed ---> 100 ms without another change ---.
 *     a key expires, the wall clock was set -------------+--> keyring_due() ---> keyring_read()
 */

#include "server/principals.h"

struct keyring;

/* keys: the folder that has authorized.d/; borrowed for ever. A folder that cannot be watched is
 * read at the start, and when somebody asks for it. */
struct keyring *keyring_new(const char *keys);
void keyring_free(struct keyring **keyring);

/* The holder of this key is an admin, whatever the folder says. Its public key and name are copied. */
void keyring_admit_always(struct keyring *keyring, const struct rv_keyfile *file);

/* Readable when keyring_due() has something to look at. */
int keyring_fd(const struct keyring *keyring);

/* Is it time to read? Does not block. */
bool keyring_due(struct keyring *keyring);

/* All or nothing, as principals_read(). */
reeve_err keyring_read(struct keyring *keyring, struct principals *out, char *why);

#endif
