#ifndef SNAPSHOT_H
#define SNAPSHOT_H

/*
 * snapshot.h -- a state of the manager in a file, and whether it is whole.
 *
 *     header   "REEVESNP"  u32 format  u32 state  store id (16)  u64 index  u64 epoch  u64 flush
 *              i64 time of the last command  u32 zero  u32 crc                       (72 bytes)
 *     block    u32 length  bytes  u32 crc of both
 *     end      u32 0  u64 length of all blocks  u32 their hash  u32 crc of the three
 *
 * It holds what all records up to `index` have made; the record behind it has that epoch and
 * that flush, or higher ones.
 */

#include "server/core/disk.h"
#include "server/core/mgr.h"

struct snapshot {
    struct rv_id store;
    uint64_t index;
    uint64_t epoch;
    uint64_t flush;
    rv_ns at;
    uint64_t len;  /* of the state */
    uint32_t hash; /* of the state */
};

enum { SNAPSHOT_NAME = 32 };

/* Write the state of mgr to a file of that name, and sync it. Fills in len and hash. No file is left
 * when it cannot be written. */
int snapshot_write(struct disk *d, const char *name, const struct mgr *mgr, struct snapshot *s);

/* Read a file; state is the caller's. NULL, or why not, as the end of a sentence. */
const char *snapshot_read(struct disk *d, const char *name, struct snapshot *out,
                          struct rv_buf *state);

#endif
