#ifndef FETCH_H
#define FETCH_H

/* fetch.h -- gets programs from the manager into the cache: several pieces on their way at a time. */

#include "common/wire/link.h"
#include "worker/cache.h"

struct fetches;

/* done(arg, id, path, NULL), or done(arg, id, NULL, why); never inside fetch_begin. */
typedef void fetch_done(void *arg, uint64_t id, const char *path, const char *why);

struct fetches *fetches_new(struct rv_link *link, const struct cache *cache, fetch_done *done,
                            void *arg);

/* Ends all without a word. Before the link goes. */
void fetches_free(struct fetches **fetches);

/* A program that may be here already. Two of one digest travel once. */
void fetch_begin(struct fetches *f, uint64_t id, struct rv_slice digest, uint64_t size);

/* Nobody wants it any more. */
void fetch_cancel(struct fetches *f, uint64_t id);

/* Say what is done, ask for what is missing. After everything that the link heard. */
void fetches_step(struct fetches *f);

#endif
