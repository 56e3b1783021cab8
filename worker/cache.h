#ifndef CACHE_H
#define CACHE_H

/*
 * cache.h -- the folder of programs that this host has: files named by their digests.
 *
 * Only its owner can enter it. A file appears whole or not at all. When all together are too
 * large, those that were not used for longest go; a program that runs keeps its file's bytes.
 * Several agents of one user may share a folder.
 */

#include "common/base/base.h"

struct cache {
    char dir[512];
    uint64_t max_bytes;
};

/* Make the folder if need be, with mode 0700. False and a sentence in why when it is not ours, open
 * to others, or cannot be made. */
bool cache_open(struct cache *c, const char *dir, uint64_t max_bytes, char *why, size_t why_len);

/* The path of a file that is there, whole, with this digest and size; it counts as used now. Reads
 * it whole: blocks. */
bool cache_find(const struct cache *c, struct rv_slice digest, uint64_t size, char *path,
                size_t path_len);

/* A new file that nobody finds yet: a descriptor to write it to; -1 with errno. */
int cache_begin(const struct cache *c, char *temporary, size_t len);

/* Its bytes are all there: check them, and let it be found. Closes fd. False and a sentence when they
 * are others; then it is removed. */
bool cache_commit(const struct cache *c, int fd, const char *temporary, struct rv_slice digest,
                  char *path, size_t path_len, char *why, size_t why_len);

void cache_abandon(int fd, const char *temporary);

#endif
