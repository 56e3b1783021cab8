#ifndef REEVE_DICT_H
#define REEVE_DICT_H

/*
 * dict.h -- dict, shared over the network.
 *
 *     reeve_dict *seen = NULL;
 *     reeve_err err = reeve_dict_open(&seen, ctx, "seen", NULL);
 *     reeve_put_str(key, "a.png");  reeve_put_int(size, 4096);
 *     if (err == REEVE_OK)
 *         err = reeve_dict_set(seen, key, size);
 *     reeve_dict_close(&seen);
 *
 * Pairs stay in the order in which their keys came. Keys are equal when they are the same value: 1 and
 * 1.0 are one key, true is another; text is no bytes; maps are equal in any order. A key is given
 * back as the shortest of those that equal it: 1 for 1.0. A NaN and a map that has a key twice are
 * no keys. A key has at most 1024 bytes as MessagePack, a value at most 64 KiB, and neither holds
 * a reference.
 *
 * Each call is one round trip and applied at once or not at all. Keys and values are builders, which
 * stay the caller's. In the rights of keys, changing is `put` and reading is `get`; a call that does
 * both needs both.
 * Threads: many may use one handle.
 */

#include <reeve/error.h>
#include <reeve/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Zero means "the default" in every field. */
typedef struct reeve_dict_options {
    reeve_create create;
    uint32_t ttl_ms;       /* a named one that nobody has open goes after so long; 0: never */
    uint32_t timeout_ms;   /* of the open; 0: 5000 */
    reeve_durable durable; /* what a call survives once it has returned: reeve_reached */
    uint64_t reserved[4];
} reeve_dict_options;

/* Open one by name; a new one is empty. NULL or "" makes one without a name. The caller owns *out and
 * closes it; *out is NULL after an error. Blocks for at most options->timeout_ms. Errors: as
 * reeve_lock_open. */
REEVE_API REEVE_NODISCARD reeve_err reeve_dict_open(reeve_dict **out, reeve_context *ctx,
                                                    const char *name,
                                                    const reeve_dict_options *options);

/* Frees *dict and sets it to NULL. Does not block. */
REEVE_API void reeve_dict_close(reeve_dict **dict);

/* Its name; "" without one. Borrowed from it. */
REEVE_API const char *reeve_dict_name(const reeve_dict *dict);

/* d[key] = value. Errors: EINVAL (not one whole value, or no key), ETOOBIG, EQUOTA, ENOSPC, EPERM,
 * EGONE, and as reeve_ping. */
REEVE_API REEVE_NODISCARD reeve_err reeve_dict_set(reeve_dict *dict, const reeve_builder *key,
                                                   const reeve_builder *value);

/* d.setdefault(key, value): what it has for the key now. The caller owns *out and frees it with
 * reeve_value_free; NULL after an error. created may be NULL. Errors: as reeve_dict_set. */
REEVE_API REEVE_NODISCARD reeve_err reeve_dict_setdefault(reeve_dict *dict,
                                                          const reeve_builder *key,
                                                          const reeve_builder *value,
                                                          reeve_value **out, bool *created);

/* d[key]. The caller owns *out and frees it with reeve_value_free; NULL after an error. Errors: ENOENT
 * (no such key), EINVAL, ETOOBIG, EPERM, EGONE, and as reeve_ping. */
REEVE_API REEVE_NODISCARD reeve_err reeve_dict_get(reeve_dict *dict, const reeve_builder *key,
                                                   reeve_value **out);

/* key in d. Errors: as reeve_dict_get, without ENOENT. */
REEVE_API REEVE_NODISCARD reeve_err reeve_dict_contains(reeve_dict *dict, const reeve_builder *key,
                                                        bool *there);

/* del d[key]. Errors: as reeve_dict_get. */
REEVE_API REEVE_NODISCARD reeve_err reeve_dict_del(reeve_dict *dict, const reeve_builder *key);

/* d.pop(key). *out and errors as of reeve_dict_get. */
REEVE_API REEVE_NODISCARD reeve_err reeve_dict_pop(reeve_dict *dict, const reeve_builder *key,
                                                   reeve_value **out);

/* d.popitem(): the pair whose key came last. The caller owns both and frees them; NULL after an error.
 * Errors: ENOENT (it is empty), EPERM, EGONE, and as reeve_ping. */
REEVE_API REEVE_NODISCARD reeve_err reeve_dict_popitem(reeve_dict *dict, reeve_value **key,
                                                       reeve_value **value);

/* d.clear(). Errors: EPERM, EGONE, and as reeve_ping. */
REEVE_API REEVE_NODISCARD reeve_err reeve_dict_clear(reeve_dict *dict);

/* len(d), and the bytes of its keys and values, if bytes is not NULL: the past when it returns. Errors:
 * EPERM, EGONE, and as reeve_ping. */
REEVE_API REEVE_NODISCARD reeve_err reeve_dict_len(reeve_dict *dict, uint64_t *len,
                                                   uint64_t *bytes);

/* iter(d.items()): pairs in their order, many of which come in one round trip. Needs the dict as long
 * as it lives, and belongs to one thread at a time. The caller owns *out and closes it. Does not
 * block. Errors: ENOMEM. */
REEVE_API REEVE_NODISCARD reeve_err reeve_dict_items(reeve_dict_iter **out, reeve_dict *dict);

/* The next pair, borrowed until the next call on the iterator; both NULL behind the last one. Pairs of
 * one round trip are of one moment. Blocks for a round trip now and then. Errors: ECHANGED (keys
 * came or went since the first page), EPERM, EGONE, and as reeve_ping. */
REEVE_API REEVE_NODISCARD reeve_err reeve_dict_next(reeve_dict_iter *iter, const reeve_value **key,
                                                    const reeve_value **value);

/* Frees *iter and sets it to NULL. NULL is fine. */
REEVE_API void reeve_dict_iter_close(reeve_dict_iter **iter);

#ifdef __cplusplus
}
#endif

#endif
