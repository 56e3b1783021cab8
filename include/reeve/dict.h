#ifndef REEVE_DICT_H
#define REEVE_DICT_H

/*
 * dict.h -- a shared dict: rows T13 and M21.
 *
 *     reeve_dict_open(&d, ctx, "jobs/done", NULL);
 *     reeve_pack(key, "(is)", 7, "x");  reeve_pack(value, "i", 42);
 *     reeve_dict_set(d, key, value);
 *     reeve_dict_get(d, key, &v);                          // EKEY: there is no such key
 *     reeve_dict_add_int(d, key, 1, &sum);                 // one call, so nobody's add is lost
 *
 * A key is any value without references, of at most 1024 bytes. Keys are equal when they are the same value
 * (1 and 1.0 are); each is given back as the first spelling of its kind, so 1.0 comes back as 1. A NaN is no key. A value
 * may be 16 MiB, and hold references (ref.h); it is a copy: what is done to it afterwards shows nowhere until
 * it is set again, or use the calls that change a place inside (row R15). Pairs keep the order in
 * which their keys came, and a new value of a key leaves it at its place.
 *
 * Each call takes effect as a whole, once or not at all; several together: batch.h. Keys, values and paths are
 * builders, which stay the caller's. In the rights of keys, changing is `put` and reading is `get`; a call
 * that does both needs both. Errors of all calls, beside their own: EPERM, EGONE, EINVAL (not one whole
 * value), ETOOBIG, and as reeve_ping; of those that add something also EQUOTA and ENOSPC.
 * Threads: many may use one handle.
 */

#include <reeve/error.h>
#include <reeve/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Open one by name; a new one is empty. NULL or "" makes one without a name. The caller owns *out and
 * closes it; *out is NULL after an error. Blocks for at most options->timeout_ms. Errors: as
 * reeve_lock_open. */
REEVE_API REEVE_NODISCARD reeve_err reeve_dict_open(reeve_dict **out, reeve_context *ctx,
                                                    const char *name,
                                                    const reeve_container_options *options);

/* Frees *dict and sets it to NULL. Does not block. */
REEVE_API void reeve_dict_close(reeve_dict **dict);

/* Its name; "" without one. Borrowed from it. */
REEVE_API const char *reeve_dict_name(const reeve_dict *dict);

/* ---- pairs ---- */

/* d[key] = value. */
REEVE_API REEVE_NODISCARD reeve_err reeve_dict_set(reeve_dict *dict, const reeve_builder *key,
                                                   const reeve_builder *value);

/* d.update(map), d |= map: all pairs of a map value. As many as one message holds (4096 values, 192 KiB of small
 * ones) are set together; a larger map goes in several calls. Errors: ETYPE (it is no map). */
REEVE_API REEVE_NODISCARD reeve_err reeve_dict_update(reeve_dict *dict, const reeve_builder *map);

/* d.update(dict.fromkeys(keys, value)): every value of an array as a key. Else as reeve_dict_update. */
REEVE_API REEVE_NODISCARD reeve_err reeve_dict_fromkeys(reeve_dict *dict, const reeve_builder *keys,
                                                        const reeve_builder *value);

/* d.setdefault(key, value): what it has for the key now. The caller owns *out and frees it with
 * reeve_value_free; NULL after an error. created may be NULL. */
REEVE_API REEVE_NODISCARD reeve_err reeve_dict_setdefault(reeve_dict *dict,
                                                          const reeve_builder *key,
                                                          const reeve_builder *value,
                                                          reeve_value **out, bool *created);

/* d[key]. The caller owns *out and frees it with reeve_value_free; NULL after an error. Errors: EKEY (no
 * such key). */
REEVE_API REEVE_NODISCARD reeve_err reeve_dict_get(reeve_dict *dict, const reeve_builder *key,
                                                   reeve_value **out);

/* key in d. */
REEVE_API REEVE_NODISCARD reeve_err reeve_dict_contains(reeve_dict *dict, const reeve_builder *key,
                                                        bool *there);

/* del d[key]. Errors: EKEY. */
REEVE_API REEVE_NODISCARD reeve_err reeve_dict_del(reeve_dict *dict, const reeve_builder *key);

/* d.pop(key). *out as of reeve_dict_get. Errors: EKEY. */
REEVE_API REEVE_NODISCARD reeve_err reeve_dict_pop(reeve_dict *dict, const reeve_builder *key,
                                                   reeve_value **out);

/* d.popitem(): the pair whose key came last. The caller owns both and frees them; NULL after an error.
 * Errors: EKEY (it is empty). */
REEVE_API REEVE_NODISCARD reeve_err reeve_dict_popitem(reeve_dict *dict, reeve_value **key,
                                                       reeve_value **value);

/* d.clear(). */
REEVE_API REEVE_NODISCARD reeve_err reeve_dict_clear(reeve_dict *dict);

/* len(d), and the bytes of its keys and values, if bytes is not NULL: the past when it returns. */
REEVE_API REEVE_NODISCARD reeve_err reeve_dict_len(reeve_dict *dict, uint64_t *len,
                                                   uint64_t *bytes);

/* d.copy(), and row R04: all pairs of one moment as a map. The caller owns *out and frees it; NULL after an
 * error. Errors: ECHANGED (keys came and went all the time), ENOMEM. */
REEVE_API REEVE_NODISCARD reeve_err reeve_dict_copy(reeve_dict *dict, reeve_value **out);

/* ---- one call where others need a lock ---- */

/* d[key] += amount, whatever number it is; a key that is not there counts from nothing. The caller owns *sum,
 * which may be NULL. Errors: ETYPE (no numbers), EVALUE (out of the range of 64 bits). */
REEVE_API REEVE_NODISCARD reeve_err reeve_dict_add(reeve_dict *dict, const reeve_builder *key,
                                                   const reeve_builder *amount, reeve_value **sum);
/* The same with integers. sum may be NULL. */
REEVE_API REEVE_NODISCARD reeve_err reeve_dict_add_int(reeve_dict *dict, const reeve_builder *key,
                                                       int64_t amount, int64_t *sum);

/* Set value if the key has the value `expected`. expected NULL: if it is not there. value NULL: delete the key.
 * *done tells; if not, *now is what it has, or NULL without one, for the caller to free; now may be NULL. */
REEVE_API REEVE_NODISCARD reeve_err reeve_dict_cas(reeve_dict *dict, const reeve_builder *key,
                                                   const reeve_builder *expected,
                                                   const reeve_builder *value, bool *done,
                                                   reeve_value **now);

/* As reeve_dict_get; *version is of this value, and no other of the key ever has it. */
REEVE_API REEVE_NODISCARD reeve_err reeve_dict_get_version(reeve_dict *dict,
                                                           const reeve_builder *key,
                                                           reeve_value **out, uint64_t *version);

/* Wait until the key has another version than *version, which becomes that; 0: it is not there. key NULL: until
 * anything changes. Blocks for at most timeout_ms. Errors: ETIME. */
REEVE_API REEVE_NODISCARD reeve_err reeve_dict_wait(reeve_dict *dict, const reeve_builder *key,
                                                    uint64_t *version, uint32_t timeout_ms);

/* ---- places inside a value ---- */

/* A path is an array of keys of maps and indexes of arrays: ("hosts", 0, "name"). A map takes a new key at its
 * end; everything before must be there. Errors: EKEY (no such key, or place), ETYPE (what is there is no map or
 * array, or no number). */
REEVE_API REEVE_NODISCARD reeve_err reeve_dict_get_at(reeve_dict *dict, const reeve_builder *key,
                                                      const reeve_builder *path, reeve_value **out);
REEVE_API REEVE_NODISCARD reeve_err reeve_dict_set_at(reeve_dict *dict, const reeve_builder *key,
                                                      const reeve_builder *path,
                                                      const reeve_builder *value);
REEVE_API REEVE_NODISCARD reeve_err reeve_dict_append_at(reeve_dict *dict, const reeve_builder *key,
                                                         const reeve_builder *path,
                                                         const reeve_builder *value);
REEVE_API REEVE_NODISCARD reeve_err reeve_dict_del_at(reeve_dict *dict, const reeve_builder *key,
                                                      const reeve_builder *path);
REEVE_API REEVE_NODISCARD reeve_err reeve_dict_add_at(reeve_dict *dict, const reeve_builder *key,
                                                      const reeve_builder *path,
                                                      const reeve_builder *amount,
                                                      reeve_value **sum);

/* ---- one after the other ---- */

/* iter(d.items()), row R18: pairs in their order, many of which come in one round trip. Needs the dict as long
 * as it lives, and belongs to one thread at a time. The caller owns *out and closes it. Does not
 * block. Errors: ENOMEM. */
REEVE_API REEVE_NODISCARD reeve_err reeve_dict_items(reeve_dict_iter **out, reeve_dict *dict);

/* The next pair, borrowed until the next call on the iterator; both NULL behind the last one. Pairs of
 * one round trip are of one moment. Blocks for a round trip now and then. Errors: ECHANGED (keys
 * came or went since the first page). */
REEVE_API REEVE_NODISCARD reeve_err reeve_dict_next(reeve_dict_iter *iter, const reeve_value **key,
                                                    const reeve_value **value);

/* Frees *iter and sets it to NULL. NULL is fine. */
REEVE_API void reeve_dict_iter_close(reeve_dict_iter **iter);

#ifdef __cplusplus
}
#endif

#endif
