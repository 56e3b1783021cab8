#ifndef RV_SHIP_H
#define RV_SHIP_H

/* ship.h -- a program, or a module, goes to the manager: once, known by the digest of its bytes. */

#include "proxy/context.h"

/* A file that was sent, as it was then. */
struct rv_shipped {
    uint64_t device, inode, size;
    rv_ns changed;
    uint8_t digest[RV_LIMIT_DIGEST_BYTES];
    struct rv_shipped *next;
};

/* Send the file, unless it was sent by this context before; path NULL is the running program. again:
 * the manager has lost it. The context is not entered. Blocks while it makes progress. Errors, told
 * by rv_fail: ESYS, ETOOBIG, ETIME, ENOMEM, EPERM, and the ends of a session. */
reeve_err rv_ship(reeve_context *ctx, const char *path, bool again,
                  uint8_t digest[static RV_LIMIT_DIGEST_BYTES]);

void rv_shipped_free(struct rv_shipped *shipped);

#endif
