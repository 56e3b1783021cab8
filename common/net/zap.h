#ifndef RV_ZAP_H
#define RV_ZAP_H

/*
 * zap.h -- the key check: answers libzmq's question "may this key come in?" from a table.
 *
 * It has a thread of its own, because a connection that waits for the answer holds nobody up
 * only as long as the answer needs nothing but a look-up.
 */

#include "common/net/net.h"

struct rv_zap;

#define RV_ZAP_DOMAIN "reeve"

enum { RV_ZAP_USER = 80 }; /* bytes of a User-Id: PRINCIPAL/SERIAL/KEY */

/* Bound and answering on return; admits nobody yet. One in a process. */
reeve_err rv_zap_open(struct rv_zap **out, bool ipc_same_uid, uint32_t ipc_principal, char *why);
void rv_zap_close(struct rv_zap **zap);

/* Replace the table, all at once. Copied. */
void rv_zap_admit(struct rv_zap *zap, const struct rv_net_key *keys, size_t len);

/* Could somebody come in now as this principal with this key (in Z85; "" is none)? uid counts for
 * local peers. */
bool rv_zap_knows(struct rv_zap *zap, uint32_t principal, const char *key, bool local,
                  uint32_t uid);

/* libzmq's name of an ipc peer, "localhost:UID:GID:PID". False for any other address. */
bool rv_zap_local(const char *address, uint32_t *uid, uint32_t *pid);

#endif
