#ifndef RV_NET_IPC_H
#define RV_NET_IPC_H

/*
 * net_ipc.h -- the files around a local socket: its directory, its lock, the public key.
 */

#include "common/net/net.h"

/*
 * Make the socket's directory when it is missing (mode 0700), insist that it is ours and
 * closed to others, and take the lock file beside the socket, "PATH.lock". *lock_fd holds the
 * lock until it is closed. On error *lock_fd is -1.
 */
reeve_err rv_ipc_prepare(int *lock_fd, const char *path, char *why);

/* Leave the manager's public key in the directory, as `server.pub`. */
reeve_err rv_ipc_publish(const char *path, const char *public_key, char *why);

/* The path of an ipc endpoint, NULL for any other. */
static inline const char *rv_ipc_path(const char *endpoint)
{
    return strncmp(endpoint, "ipc://", 6) == 0 ? endpoint + 6 : NULL;
}

#endif
