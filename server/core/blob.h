#ifndef BLOB_H
#define BLOB_H

/*
 * blob.h -- programs by content: sent once, kept while a job needs them and as long as there is room.
 *
 *   open --> put put put --> whole (its digest is right) --> used by jobs --> nobody's --> dropped
 *              '-- digest wrong: begun again
 */

#include "common/wire/digest.h"
#include "server/core/state.h"

struct blob {
    uint8_t digest[RV_LIMIT_DIGEST_BYTES];
    uint64_t size;
    uint64_t have; /* bytes that have come, in order */
    bool whole;
    uint32_t jobs;
    uint64_t used; /* order of use: the smallest goes first */
    uint8_t *data;
    struct rv_digest sum;
    UT_hash_handle hh;
};

void blob_on_open(struct mgr *mgr, const struct incoming *in);
void blob_on_put(struct mgr *mgr, const struct incoming *in);
void blob_on_read(struct mgr *mgr, struct session *s, const struct rv_read *msg);

/* A whole one, kept until blob_drop; NULL when it is not here. */
struct blob *blob_keep(struct mgr *mgr, struct rv_slice digest);
void blob_drop(struct mgr *mgr, struct blob *blob);

/* From a snapshot: what had come of it. False: this is none. */
bool blob_load(struct mgr *mgr, struct rv_slice digest, uint64_t size, uint64_t used,
               struct rv_slice data);
/* Of a job from a snapshot: the whole program, kept once more; NULL. */
struct blob *blob_held(struct mgr *mgr, struct rv_slice digest);

void blobs_free(struct mgr *mgr);

#endif
