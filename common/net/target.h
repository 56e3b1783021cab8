#ifndef RV_TARGET_H
#define RV_TARGET_H

/* target.h -- places to connect to, and whom to expect there. */

#include "common/net/keys.h"

enum { RV_TARGETS = 8 };

struct rv_target {
    char *endpoint;
    char
        server_key[RV_KEY_TEXT]; /* empty: read server.pub beside the socket, for each connection */
};

struct rv_targets {
    struct rv_target list[RV_TARGETS];
    size_t len;
};

/* What is wrong with an endpoint that should be tcp://HOST:PORT, as the end of a sentence; NULL: nothing. */
const char *rv_tcp_wrong(const char *at, size_t len);

/* Each endpoint of a list (tcp://HOST:PORT, ipc:///PATH; commas between them) with each server key
 * that keys trusts; keys may be NULL for ipc. EINVAL or ENOMEM, and a sentence in why (at least 512
 * bytes) that goes on after "cannot ...: ". Free also after an error. */
reeve_err rv_targets_parse(struct rv_targets *out, const char *url, const struct rv_keyfile *keys,
                           char *why);
void rv_targets_free(struct rv_targets *t);

/* Start one attempt with our own keys, as rv_conn_open. why: at least 1024 bytes. */
reeve_err rv_target_connect(struct rv_conn **out, const struct rv_target *t, const char *public_key,
                            const char *secret_key, uint32_t handshake_ms, bool met, char *why);

/* The id of this host: from /etc/machine-id; where there is none, from the id of the boot and the
 * name of the host, as in a container; else random. */
void rv_host_id(struct rv_id *host);

#endif
