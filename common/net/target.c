#include "common/net/target.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { WHY_MAX = 512 };

static reeve_err add(struct rv_targets *out, const char *endpoint, size_t len, const char *key,
                     char *why)
{
    struct rv_target *t = &out->list[out->len];

    if (out->len == RV_TARGETS) {
        snprintf(why, WHY_MAX, "more than %d endpoints and server keys", RV_TARGETS);
        return REEVE_EINVAL;
    }
    *t = (struct rv_target){.endpoint = strndup(endpoint, len)};
    if (t->endpoint == NULL) {
        snprintf(why, WHY_MAX, "out of memory");
        return REEVE_ENOMEM;
    }
    if (key != NULL)
        memcpy(t->server_key, key, RV_KEY_TEXT);
    out->len++;
    return REEVE_OK;
}

const char *rv_tcp_wrong(const char *at, size_t len)
{
    size_t port = len;
    unsigned long number = 0;

    while (port > 0 && at[port - 1] >= '0' && at[port - 1] <= '9')
        port--;
    if (len <= 6 || strncmp(at, "tcp://", 6) != 0 || port == len || port <= 7 ||
        at[port - 1] != ':')
        return "is neither tcp://HOST:PORT nor ipc:///PATH";
    number = strtoul(at + port, NULL, 10);
    return number == 0 || number > UINT16_MAX ? "has no port from 1 to 65535" : NULL;
}

static reeve_err add_tcp(struct rv_targets *out, const char *at, size_t len,
                         const struct rv_keyfile *keys, char *why)
{
    reeve_err err = REEVE_OK;

    if (keys == NULL || keys->servers_len == 0) {
        snprintf(why, WHY_MAX, "%.*s: no server key is trusted%s", (int)(len < 200 ? len : 200), at,
                 keys == NULL ? "; name a key file, made by: reeve keygen --trust manager.pub NAME"
                              : "; add one to the key file: reeve keygen --trust manager.pub NAME");
        return REEVE_EINVAL;
    }
    for (size_t i = 0; err == REEVE_OK && i < keys->servers_len; i++)
        err = add(out, at, len, keys->servers[i], why);
    return err;
}

reeve_err rv_targets_parse(struct rv_targets *out, const char *url, const struct rv_keyfile *keys,
                           char *why)
{
    reeve_err err = REEVE_OK;

    *out = (struct rv_targets){0};
    for (const char *at = url; err == REEVE_OK && *at != '\0';) {
        size_t len = strcspn(at, ", ");

        if (strncmp(at, "ipc:///", 7) == 0) {
            err = add(out, at, len, NULL, why);
        } else if (rv_tcp_wrong(at, len) == NULL) {
            err = add_tcp(out, at, len, keys, why);
        } else {
            snprintf(why, WHY_MAX, "%.*s %s", (int)(len < 200 ? len : 200), at,
                     rv_tcp_wrong(at, len));
            err = REEVE_EINVAL;
        }
        at += len;
        at += strspn(at, ", ");
    }
    if (err == REEVE_OK && out->len == 0) {
        snprintf(why, WHY_MAX, "the url is empty");
        err = REEVE_EINVAL;
    }
    return err;
}

void rv_targets_free(struct rv_targets *t)
{
    for (size_t i = 0; i < t->len; i++)
        free(t->list[i].endpoint);
    t->len = 0;
}

static const char *beside_socket(const char *endpoint, char server_key[RV_KEY_TEXT], char *why)
{
    struct rv_keyfile file;
    char path[512];
    const char *slash = strrchr(endpoint, '/');

    snprintf(path, sizeof path, "%.*s/server.pub", (int)(slash - endpoint - 6), endpoint + 6);
    if (access(path, F_OK) != 0 && errno == ENOENT) {
        snprintf(why, WHY_MAX, "none serves this socket");
        return NULL;
    }
    if (rv_keys_read(&file, path, false, why) != REEVE_OK)
        return NULL;
    memcpy(server_key, file.public_key, RV_KEY_TEXT);
    return server_key;
}

reeve_err rv_target_connect(struct rv_conn **out, const struct rv_target *t, const char *public_key,
                            const char *secret_key, uint32_t handshake_ms, bool met, char *why)
{
    char server_key[RV_KEY_TEXT];
    struct rv_conn_conf conf = {
        .endpoint = t->endpoint,
        .server_key = t->server_key,
        .public_key = public_key,
        .secret_key = secret_key,
        .handshake_ms = handshake_ms,
        .met = met,
    };

    *out = NULL;
    if (t->server_key[0] == '\0')
        conf.server_key = beside_socket(t->endpoint, server_key, why);
    return conf.server_key == NULL ? REEVE_ESYS : rv_conn_open(out, &conf, why);
}

/* The first line of a file, with a zero; its length. */
static size_t read_line(char *out, size_t size, const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t len = fd < 0 ? 0 : read(fd, out, size - 1);

    if (fd >= 0)
        close(fd);
    out[len > 0 ? len : 0] = '\0';
    out[strcspn(out, "\n")] = '\0';
    return strlen(out);
}

/* A container has no machine-id, and a name of its own, which it keeps when it is started again. */
static bool id_by_name(struct rv_id *host)
{
    char boot[64];
    char name[256] = "";
    char text[sizeof boot + sizeof name];
    int len = 0;

    if (read_line(boot, sizeof boot, "/proc/sys/kernel/random/boot_id") == 0 ||
        gethostname(name, sizeof name - 1) != 0 || name[0] == '\0')
        return false;
    len = snprintf(text, sizeof text, "%s %s", boot, name);
    return crypto_generichash(host->bytes, sizeof host->bytes, (const uint8_t *)text,
                              (unsigned long long)len, NULL, 0) == 0;
}

void rv_host_id(struct rv_id *host)
{
    char text[64];
    size_t len = read_line(text, sizeof text, "/etc/machine-id");

    for (size_t i = 0; len == 32 && i < sizeof host->bytes; i++) {
        unsigned byte = 0;

        (void)sscanf(text + 2 * i, "%2x", &byte);
        host->bytes[i] = (uint8_t)byte;
    }
    if (len != 32 && !id_by_name(host))
        rv_random_bytes(host, sizeof *host);
}
