#ifndef RV_KEYS_H
#define RV_KEYS_H

/*
 * keys.h -- make, read and check key files.
 *
 * A key file is lines of `word = value`, `#` starts a comment. Three kinds:
 *
 *   own key (mode 0600, secret)          public line (may be shown)     server's own key
 *     name   = worker1                     name   = worker1               name   = manager
 *     public = <Z85>                       public = <Z85>                 public = <Z85>
 *     secret = <Z85>                       role   = client                secret = <Z85>
 *     server = <Z85>   (0 or more)         rights = put,get:mail-*  (0 or more)
 *                                          quota  = objects:100     (0 or more)
 *                                          expires = 2027-01-31     (UTC; or ...T12:00:00Z)
 *
 *   authkey: whoever has it is any side
 *     name    = authkey
 *     authkey = <Z85>            both key pairs, the manager's and the clients', are made from it
 *
 * A public file may have two public keys, so that a key can be replaced while both are good.
 *
 * Secrets are read only from files that are ours, not readable or writable by group or
 * others, not symbolic links; the message names the file, its mode and the chmod that mends it.
 */

#include "common/net/net.h"

enum {
    RV_NAME_MAX = 64,
    RV_KEYS_SERVERS = 8,
    RV_KEYS_RIGHTS = 16,
    RV_KEYS_QUOTAS = 8,
    RV_KEYS_MAX = 64 * 1024, /* bytes of a key file */
    RV_KEYS_WHY = 512,       /* bytes of why */
};

struct rv_keyfile {
    char name[RV_NAME_MAX + 1];
    char public_key[RV_KEY_TEXT];
    char other_key[RV_KEY_TEXT];  /* in a public file: the second one; else empty */
    char secret_key[RV_KEY_TEXT]; /* empty in a public file */
    char authkey
        [RV_KEY_TEXT]; /* else empty; then the keys are the clients', and trust the manager's */
    char servers[RV_KEYS_SERVERS][RV_KEY_TEXT];
    size_t servers_len;
    char role[16]; /* client, worker, admin; empty when not given */
    char rights[RV_KEYS_RIGHTS][128];
    size_t rights_len;
    char quotas[RV_KEYS_QUOTAS][32];
    size_t quotas_len;
    int64_t expires; /* seconds since 1970, from when on it is void; 0: never */
};

/* A fresh CURVE key pair in k->public_key and k->secret_key. */
void rv_keys_generate(struct rv_keyfile *k);

/* An authkey by chance, or from a passphrase by Argon2id: the same one from the same words, wherever it is
 * made. That takes 256 MiB for about a second; false when they are not there. */
void rv_keys_new_authkey(struct rv_keyfile *k);
bool rv_keys_from_passphrase(struct rv_keyfile *k, struct rv_slice passphrase);

/* k has an authkey: its keys are those of a client that trusts the manager; or of the manager. */
void rv_keys_derive(struct rv_keyfile *k);
void rv_keys_as_manager(struct rv_keyfile *k);

/* Memory for secrets: not swapped, not in a core dump, with guards around it. Zeros; NULL when there is
 * none. The second wipes it; NULL is fine. */
void *rv_secret_new(size_t size);
void rv_secret_free(void *secret);

/* Z85 text of 40 characters to 32 bytes and back. False when it is not Z85. */
bool rv_keys_decode(uint8_t key[32], const char *text);
void rv_keys_encode(char text[RV_KEY_TEXT], const uint8_t key[32]);

/* The first 8 bytes of the key's BLAKE2b-128 as "1f2e-3d4c-5b6a-7988", for people to compare;
 * empty when it is no key. */
void rv_keys_fingerprint(char out[20], const char *public_key);

/*
 * The text of a key file. A comment takes a whole line or follows a value after a blank (keys
 * may contain '#'). On error *out is wiped and why says "line 3: unknown word 'pubic'".
 */
bool rv_keys_parse(struct rv_keyfile *out, struct rv_slice text, char *why);

/* Read a key file. secret: it must hold a secret key and have a safe mode.
 * Errors: ENOENT, EAUTH (unsafe: owner, mode, link), EINVAL (malformed), ESYS.
 * why (at least RV_KEYS_WHY bytes) is a whole sentence on error, as in
 * "cannot read key file /etc/reeve/manager.key: mode 0644 lets others read it; run: chmod 600 ..." */
reeve_err rv_keys_read(struct rv_keyfile *out, const char *path, bool secret, char *why);

/* Write a new file with mode 0600 (secret) or 0644, through a temporary and rename; EEXIST when
 * it is there. */
reeve_err rv_keys_write(const struct rv_keyfile *k, const char *path, bool secret, char *why);

/* Write or replace a file that has only a name and a public key: what a manager shows. */
reeve_err rv_keys_publish(const char *path, const char *name, const char *public_key, char *why);

/* Add `server = KEY` to an existing own key file, unless it is there. */
reeve_err rv_keys_trust(const char *path, const char *server_key, char *why);

/* Wipe what is secret. */
void rv_keys_wipe(struct rv_keyfile *k);

#endif
