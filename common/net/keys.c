#include "common/net/keys.h"

#include "common/net/net_util.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { SECRET_MODE = 0600, PUBLIC_MODE = 0644 };

/* Which pair of an authkey; the numbers are part of what hosts agree on. */
enum side { SIDE_MANAGER = 1, SIDE_CLIENT = 2 };

/* ---- keys ---- */

bool rv_keys_decode(uint8_t key[32], const char *text)
{
    return text != NULL && strlen(text) == RV_KEY_TEXT - 1 && zmq_z85_decode(key, text) != NULL;
}

void rv_keys_encode(char text[RV_KEY_TEXT], const uint8_t key[32])
{
    rv_assert(zmq_z85_encode(text, key, 32) != NULL);
}

void rv_keys_generate(struct rv_keyfile *k)
{
    uint8_t public[32];
    uint8_t secret[32];

    rv_assert(sodium_init() >= 0);
    crypto_box_keypair(public, secret);
    rv_keys_encode(k->public_key, public);
    rv_keys_encode(k->secret_key, secret);
    sodium_memzero(secret, sizeof secret);
}

/* The key pair of one side; each is a key of its own, from which the authkey cannot be had. */
static void derive_pair(char public_key[RV_KEY_TEXT], char secret_key[RV_KEY_TEXT],
                        const char *authkey, enum side side)
{
    uint8_t master[crypto_kdf_KEYBYTES];
    uint8_t seed[crypto_box_SEEDBYTES];
    uint8_t public[32];
    uint8_t secret[32];

    rv_assert(sodium_init() >= 0);
    rv_assert(rv_keys_decode(master, authkey));
    rv_assert(crypto_kdf_derive_from_key(seed, sizeof seed, side, "reevekey", master) == 0);
    rv_assert(crypto_box_seed_keypair(public, secret, seed) == 0);
    rv_keys_encode(public_key, public);
    if (secret_key != NULL)
        rv_keys_encode(secret_key, secret);
    sodium_memzero(master, sizeof master);
    sodium_memzero(seed, sizeof seed);
    sodium_memzero(secret, sizeof secret);
}

void rv_keys_derive(struct rv_keyfile *k)
{
    derive_pair(k->public_key, k->secret_key, k->authkey, SIDE_CLIENT);
    derive_pair(k->servers[0], NULL, k->authkey, SIDE_MANAGER);
    k->servers_len = 1;
}

void rv_keys_as_manager(struct rv_keyfile *k)
{
    derive_pair(k->public_key, k->secret_key, k->authkey, SIDE_MANAGER);
    k->servers_len = 0;
}

static void take_authkey(struct rv_keyfile *k, uint8_t key[32])
{
    rv_keys_encode(k->authkey, key);
    sodium_memzero(key, 32);
    rv_keys_derive(k);
}

void rv_keys_new_authkey(struct rv_keyfile *k)
{
    uint8_t key[32];

    rv_random_bytes(key, sizeof key);
    take_authkey(k, key);
}

bool rv_keys_from_passphrase(struct rv_keyfile *k, struct rv_slice passphrase)
{
    /* Nothing but the passphrase is carried to the other hosts, so the salt is the same for all. */
    static const uint8_t salt[crypto_pwhash_SALTBYTES + 1] = "reeve authkey v1";
    uint8_t key[32];

    rv_assert(sodium_init() >= 0);
    if (crypto_pwhash(key, sizeof key, (const char *)passphrase.data, passphrase.len, salt,
                      crypto_pwhash_OPSLIMIT_MODERATE, crypto_pwhash_MEMLIMIT_MODERATE,
                      crypto_pwhash_ALG_ARGON2ID13) != 0)
        return false;
    take_authkey(k, key);
    return true;
}

void *rv_secret_new(size_t size)
{
    void *secret = sodium_init() < 0 ? NULL : sodium_malloc(size);

    if (secret != NULL)
        memset(secret, 0, size);
    return secret;
}

void rv_secret_free(void *secret)
{
    sodium_free(secret);
}

void rv_keys_fingerprint(char out[20], const char *public_key)
{
    uint8_t key[32];
    uint8_t hash[16];

    out[0] = '\0';
    if (!rv_keys_decode(key, public_key))
        return;
    crypto_generichash(hash, sizeof hash, key, sizeof key, NULL, 0);
    snprintf(out, 20, "%02x%02x-%02x%02x-%02x%02x-%02x%02x", hash[0], hash[1], hash[2], hash[3],
             hash[4], hash[5], hash[6], hash[7]);
}

/* Does the secret key make this public key? */
static bool belong_together(const char *public_key, const char *secret_key)
{
    uint8_t public[32];
    uint8_t secret[32];
    uint8_t made[32];
    bool same = rv_keys_decode(public, public_key) && rv_keys_decode(secret, secret_key) &&
                crypto_scalarmult_base(made, secret) == 0 && memcmp(made, public, sizeof made) == 0;

    sodium_memzero(secret, sizeof secret);
    return same;
}

void rv_keys_wipe(struct rv_keyfile *k)
{
    sodium_memzero(k, sizeof *k);
}

/* ---- reading ---- */

/* "cannot read key file PATH: reason", of what errno says. */
static reeve_err refuse_errno(char *why, const char *verb, const char *path)
{
    int number = errno;

    return rv_why(why, RV_KEYS_WHY, number == ENOENT ? REEVE_ENOENT : REEVE_ESYS,
                  "cannot %s key file %.300s: %s", verb, path, zmq_strerror(number));
}

static reeve_err refuse(char *why, reeve_err err, const char *path, const char *reason)
{
    return rv_why(why, RV_KEYS_WHY, err, "cannot read key file %.200s: %.250s", path, reason);
}

/* Whoever can write the file chooses the key; whoever can read a secret has it. */
static reeve_err check_safe(const struct stat *st, bool secret, const char *path, char *why)
{
    const unsigned mode = st->st_mode & 07777;

    if (!S_ISREG(st->st_mode))
        return refuse(why, REEVE_EAUTH, path, "it is not a regular file");
    if (st->st_uid != geteuid() && st->st_uid != 0)
        return rv_why(why, RV_KEYS_WHY, REEVE_EAUTH,
                      "cannot read key file %.180s: it belongs to uid %u, not to us; run: chown %u "
                      "%.180s",
                      path, (unsigned)st->st_uid, (unsigned)geteuid(), path);
    if (secret && (mode & 077) != 0)
        return rv_why(why, RV_KEYS_WHY, REEVE_EAUTH,
                      "cannot read key file %.180s: mode %04o lets others read it; run: chmod 600 "
                      "%.180s",
                      path, mode, path);
    if ((mode & 022) != 0)
        return rv_why(
            why, RV_KEYS_WHY, REEVE_EAUTH,
            "cannot read key file %.180s: mode %04o lets others change it; run: chmod 644 "
            "%.180s",
            path, mode, path);
    return REEVE_OK;
}

static ssize_t read_all(int fd, uint8_t *bytes, size_t size)
{
    size_t len = 0;

    while (len < size) {
        ssize_t got = read(fd, bytes + len, size - len);

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -1;
        if (got == 0)
            break;
        len += (size_t)got;
    }
    return (ssize_t)len;
}

/* The file's text, of at most RV_KEYS_MAX bytes, into bytes. The checks look at the open file, so
 * that nobody can swap it after them. */
static reeve_err load(int fd, struct stat *st, uint8_t *bytes, size_t *len, bool secret,
                      const char *path, char *why)
{
    reeve_err err = REEVE_OK;
    ssize_t got = 0;

    if (fstat(fd, st) != 0)
        return refuse_errno(why, "read", path);
    err = check_safe(st, secret, path, why);
    if (err != REEVE_OK)
        return err;
    got = read_all(fd, bytes, RV_KEYS_MAX + 1);
    if (got < 0)
        return refuse_errno(why, "read", path);
    if (got > RV_KEYS_MAX)
        return refuse(why, REEVE_EINVAL, path, "it is longer than 64 kB");
    *len = (size_t)got;
    return REEVE_OK;
}

static reeve_err parse(struct rv_keyfile *out, struct rv_slice text, const struct stat *st,
                       bool secret, const char *path, char *why)
{
    char reason[RV_KEYS_WHY];
    reeve_err err = REEVE_OK;

    if (!rv_keys_parse(out, text, reason))
        return refuse(why, REEVE_EINVAL, path, reason);
    if (out->secret_key[0] != '\0')
        err = check_safe(st, true, path, why);
    else if (secret)
        err = refuse(why, REEVE_EINVAL, path, "it has no line secret = KEY");
    if (err == REEVE_OK && out->secret_key[0] != '\0' &&
        !belong_together(out->public_key, out->secret_key))
        err = refuse(why, REEVE_EINVAL, path, "its public and secret keys do not belong together");
    if (err != REEVE_OK)
        rv_keys_wipe(out);
    return err;
}

/* Read and check; the text, of *len bytes, stays in bytes, which holds RV_KEYS_MAX + 1. */
static reeve_err read_file(struct rv_keyfile *out, uint8_t *bytes, size_t *len, const char *path,
                           bool secret, char *why)
{
    /* Not through a symbolic link, and without waiting for the writer of a fifo. */
    int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    struct stat st;
    reeve_err err = REEVE_OK;

    if (fd < 0 && errno == ELOOP)
        return refuse(why, REEVE_EAUTH, path, "it is a symbolic link; name the file itself");
    if (fd < 0)
        return refuse_errno(why, "read", path);
    err = load(fd, &st, bytes, len, secret, path, why);
    close(fd);
    if (err == REEVE_OK)
        err = parse(out, rv_slice(bytes, *len), &st, secret, path, why);
    return err;
}

reeve_err rv_keys_read(struct rv_keyfile *out, const char *path, bool secret, char *why)
{
    uint8_t *bytes = rv_secret_new(RV_KEYS_MAX + 1);
    size_t len = 0;
    reeve_err err = REEVE_OK;

    memset(out, 0, sizeof *out);
    if (bytes == NULL)
        return refuse(why, REEVE_ENOMEM, path, "out of memory");
    err = read_file(out, bytes, &len, path, secret, why);
    rv_secret_free(bytes);
    return err;
}

/* ---- writing ---- */

static bool write_all(int fd, struct rv_slice text)
{
    while (text.len > 0) {
        ssize_t put = write(fd, text.data, text.len);

        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            return false;
        text = rv_slice(text.data + put, text.len - (size_t)put);
    }
    return true;
}

static void sync_directory(const char *path)
{
    char directory[PATH_MAX];
    const char *slash = strrchr(path, '/');
    int fd = -1;

    snprintf(directory, sizeof directory, "%.*s", slash == NULL ? 1 : (int)(slash - path + 1),
             slash == NULL ? "." : path);
    fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return;
    fsync(fd);
    close(fd);
}

static bool fill_file(const char *path, struct rv_slice text, mode_t mode)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, SECRET_MODE);
    bool done = fd >= 0 && fchmod(fd, mode) == 0 && write_all(fd, text) && fsync(fd) == 0;
    int number = errno;

    if (fd >= 0)
        close(fd);
    errno = number;
    return done;
}

/* The file appears whole or not at all. A new name is given by link(), which, unlike rename(),
 * fails when it is there. */
static reeve_err put_file(const char *path, struct rv_slice text, mode_t mode, bool replace,
                          char *why)
{
    char temporary[PATH_MAX];
    uint64_t chance = 0;
    reeve_err err = REEVE_OK;

    rv_random_bytes(&chance, sizeof chance);
    if (snprintf(temporary, sizeof temporary, "%s.%016" PRIx64, path, chance) >=
        (int)sizeof temporary) {
        errno = ENAMETOOLONG;
        return refuse_errno(why, "write", path);
    }
    if (!fill_file(temporary, text, mode) ||
        (replace ? rename(temporary, path) : link(temporary, path)) != 0)
        err = errno == EEXIST && !replace
                  ? rv_why(why, RV_KEYS_WHY, REEVE_EEXIST,
                           "cannot write key file %.300s: it exists, and a key is not replaced; "
                           "move it away first",
                           path)
                  : refuse_errno(why, "write", path);
    if (err != REEVE_OK || !replace)
        unlink(temporary);
    if (err == REEVE_OK)
        sync_directory(path);
    return err;
}

static size_t render(char *out, size_t size, const struct rv_keyfile *k, bool secret)
{
    int len = k->name[0] == '\0' ? 0 : snprintf(out, size, "name = %s\n", k->name);

    if (k->authkey[0] != '\0') {
        len += snprintf(out + len, size - (size_t)len, "authkey = %s\n", k->authkey);
        return (size_t)len;
    }
    len += snprintf(out + len, size - (size_t)len, "public = %s\n", k->public_key);
    if (k->other_key[0] != '\0')
        len += snprintf(out + len, size - (size_t)len, "public = %s\n", k->other_key);
    if (secret)
        len += snprintf(out + len, size - (size_t)len, "secret = %s\n", k->secret_key);
    for (size_t i = 0; secret && i < k->servers_len; i++)
        len += snprintf(out + len, size - (size_t)len, "server = %s\n", k->servers[i]);
    if (k->role[0] != '\0')
        len += snprintf(out + len, size - (size_t)len, "role = %s\n", k->role);
    for (size_t i = 0; i < k->rights_len; i++)
        len += snprintf(out + len, size - (size_t)len, "rights = %s\n", k->rights[i]);
    for (size_t i = 0; i < k->quotas_len; i++)
        len += snprintf(out + len, size - (size_t)len, "quota = %s\n", k->quotas[i]);
    if (k->expires != 0) {
        time_t at = (time_t)k->expires;
        struct tm tm;

        gmtime_r(&at, &tm);
        len += (int)strftime(out + len, size - (size_t)len, "expires = %Y-%m-%dT%H:%M:%SZ\n", &tm);
    }
    rv_assert((size_t)len < size);
    return (size_t)len;
}

/* What is read back must be what was meant: a name or a right with a newline in it would be more
 * than a name or a right. */
static bool reads_back(const struct rv_keyfile *k, struct rv_slice text, bool secret, char *reason)
{
    struct rv_keyfile again;
    bool same = false;

    if (!rv_keys_parse(&again, text, reason))
        return false;
    same = strcmp(again.name, k->name) == 0 && strcmp(again.role, k->role) == 0 &&
           again.rights_len == k->rights_len && again.quotas_len == k->quotas_len &&
           again.expires == k->expires && strcmp(again.other_key, k->other_key) == 0 &&
           again.servers_len == (secret ? k->servers_len : 0);
    for (size_t i = 0; same && i < again.rights_len; i++)
        same = strcmp(again.rights[i], k->rights[i]) == 0;
    rv_keys_wipe(&again);
    if (!same)
        snprintf(reason, RV_KEYS_WHY, "a value has a line break in it");
    return same;
}

static reeve_err write_keyfile(const struct rv_keyfile *k, const char *path, bool secret,
                               bool replace, char *why)
{
    char text[8192];
    char reason[RV_KEYS_WHY];
    size_t len = render(text, sizeof text, k, secret);
    reeve_err err = REEVE_OK;

    if (reads_back(k, rv_slice(text, len), secret, reason))
        err = put_file(path, rv_slice(text, len), secret ? SECRET_MODE : PUBLIC_MODE, replace, why);
    else
        err = rv_why(why, RV_KEYS_WHY, REEVE_EINVAL, "cannot write key file %.200s: %.250s", path,
                     reason);
    sodium_memzero(text, sizeof text);
    return err;
}

reeve_err rv_keys_write(const struct rv_keyfile *k, const char *path, bool secret, char *why)
{
    return write_keyfile(k, path, secret, false, why);
}

reeve_err rv_keys_publish(const char *path, const char *name, const char *public_key, char *why)
{
    struct rv_keyfile k = {.servers_len = 0};

    snprintf(k.name, sizeof k.name, "%s", name);
    snprintf(k.public_key, sizeof k.public_key, "%s", public_key);
    return write_keyfile(&k, path, false, true, why);
}

/* ---- trusting ---- */

static bool trusts(const struct rv_keyfile *k, const char *server_key)
{
    for (size_t i = 0; i < k->servers_len; i++)
        if (strcmp(k->servers[i], server_key) == 0)
            return true;
    return false;
}

/* The file is text that somebody may have written by hand, so it is added to, not rewritten. */
static reeve_err add_server(const struct rv_keyfile *k, uint8_t *bytes, size_t len,
                            const char *path, const char *server_key, char *why)
{
    const char *newline = len > 0 && bytes[len - 1] != '\n' ? "\n" : "";

    if (trusts(k, server_key))
        return REEVE_OK;
    if (k->servers_len == RV_KEYS_SERVERS)
        return rv_why(why, RV_KEYS_WHY, REEVE_ELIMIT,
                      "cannot write key file %.300s: it trusts 8 managers already; remove a line "
                      "server = KEY first",
                      path);
    len += (size_t)snprintf((char *)bytes + len, 64, "%sserver = %s\n", newline, server_key);
    return put_file(path, rv_slice(bytes, len), SECRET_MODE, true, why);
}

reeve_err rv_keys_trust(const char *path, const char *server_key, char *why)
{
    const size_t size = RV_KEYS_MAX + 1 + 64;
    struct rv_keyfile k = {.servers_len = 0};
    uint8_t key[32];
    uint8_t *bytes = NULL;
    size_t len = 0;
    reeve_err err = REEVE_OK;

    if (!rv_keys_decode(key, server_key))
        return rv_why(why, RV_KEYS_WHY, REEVE_EINVAL,
                      "cannot trust this manager: its key is not 40 characters of Z85");
    bytes = rv_secret_new(size);
    if (bytes == NULL)
        return refuse(why, REEVE_ENOMEM, path, "out of memory");
    err = read_file(&k, bytes, &len, path, true, why);
    if (err == REEVE_OK && k.authkey[0] != '\0')
        err =
            refuse(why, REEVE_EINVAL, path, "an authkey trusts the manager that has it, no other");
    if (err == REEVE_OK)
        err = add_server(&k, bytes, len, path, server_key, why);
    rv_keys_wipe(&k);
    rv_secret_free(bytes);
    return err;
}
