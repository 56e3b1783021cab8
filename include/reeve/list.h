#ifndef REEVE_LIST_H
#define REEVE_LIST_H

/*
 * list.h -- a shared list. Rows T12 and M21.
 *
 *     reeve_list_open(&l, ctx, "results", NULL);
 *     reeve_pack(value, "is", 7, "x");
 *     reeve_list_append(l, value);
 *     reeve_list_get(l, -1, &v);                           // the last one; EINDEX: there is none
 *
 * Indexes and slices are Python's: negative ones count from the end, what is out of range is EINDEX of an index
 * and cut off of a slice. Values are equal, and in order, by their values: nil < bool < number < text < bytes <
 * array < map < reference; 1 equals 1.0, a NaN equals nothing. A value may be 16 MiB, and hold
 * references (ref.h); it is a copy (row R15).
 *
 * Each call takes effect as a whole, once or not at all; several together: batch.h. Values and paths are builders,
 * which stay the caller's. Rights, threads and the errors of all calls are as in dict.h.
 * Both ends cost the same in a list of ten and of a million; what goes in between moves the shorter side.
 */

#include <reeve/error.h>
#include <reeve/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/* As reeve_dict_open, _close and _name. */
REEVE_API REEVE_NODISCARD reeve_err reeve_list_open(reeve_list **out, reeve_context *ctx,
                                                    const char *name,
                                                    const reeve_container_options *options);
REEVE_API void reeve_list_close(reeve_list **list);
REEVE_API const char *reeve_list_name(const reeve_list *list);

/* l.append(value). */
REEVE_API REEVE_NODISCARD reeve_err reeve_list_append(reeve_list *list, const reeve_builder *value);

/* l.extend(values), l += values: all of an array value. As many as one message holds (4096, 192 KiB of small
 * ones) come together; more go in several calls. Errors: ETYPE (it is no array). */
REEVE_API REEVE_NODISCARD reeve_err reeve_list_extend(reeve_list *list,
                                                      const reeve_builder *values);

/* l.insert(at, value): before what is at that place; out of range is the nearer end. */
REEVE_API REEVE_NODISCARD reeve_err reeve_list_insert(reeve_list *list, int64_t at,
                                                      const reeve_builder *value);

/* l[at]. The caller owns *out and frees it with reeve_value_free; NULL after an error. Errors: EINDEX. */
REEVE_API REEVE_NODISCARD reeve_err reeve_list_get(reeve_list *list, int64_t at, reeve_value **out);

/* l[at] = value. Errors: EINDEX. */
REEVE_API REEVE_NODISCARD reeve_err reeve_list_set(reeve_list *list, int64_t at,
                                                   const reeve_builder *value);

/* del l[at]. Errors: EINDEX. */
REEVE_API REEVE_NODISCARD reeve_err reeve_list_del(reeve_list *list, int64_t at);

/* l.pop(at); -1: the last one. *out as of reeve_list_get. Errors: EINDEX. */
REEVE_API REEVE_NODISCARD reeve_err reeve_list_pop(reeve_list *list, int64_t at, reeve_value **out);

/* l.remove(value): the first that equals it. Errors: EVALUE (none does). */
REEVE_API REEVE_NODISCARD reeve_err reeve_list_remove(reeve_list *list, const reeve_builder *value);

/* l.index(value, start, stop), where REEVE_UNSET is no bound. Errors: EVALUE (it is not there). */
REEVE_API REEVE_NODISCARD reeve_err reeve_list_index(reeve_list *list, const reeve_builder *value,
                                                     int64_t start, int64_t stop, uint64_t *index);

/* l.count(value), and value in l. */
REEVE_API REEVE_NODISCARD reeve_err reeve_list_count(reeve_list *list, const reeve_builder *value,
                                                     uint64_t *count);

/* l.reverse(). */
REEVE_API REEVE_NODISCARD reeve_err reeve_list_reverse(reeve_list *list);

/* l.sort(reverse=...): equal values keep their order, whichever way. */
REEVE_API REEVE_NODISCARD reeve_err reeve_list_sort(reeve_list *list, bool reverse);

/* l *= times: none or fewer empty it. Errors: ELIMIT (more than 1048576 values would be added). */
REEVE_API REEVE_NODISCARD reeve_err reeve_list_repeat(reeve_list *list, int64_t times);

/* l.clear(). */
REEVE_API REEVE_NODISCARD reeve_err reeve_list_clear(reeve_list *list);

/* len(l), and the bytes of its values, if bytes is not NULL: the past when it returns. */
REEVE_API REEVE_NODISCARD reeve_err reeve_list_len(reeve_list *list, uint64_t *len,
                                                   uint64_t *bytes);

/* l[slice], l.copy() (row R04) for a slice of three REEVE_UNSET: values of one moment as an array. The caller owns
 * *out and frees it; NULL after an error. Errors: EVALUE (step 0), ECHANGED (it changed all the time),
 * ETYPE (a value has references: read it alone). */
REEVE_API REEVE_NODISCARD reeve_err reeve_list_slice(reeve_list *list, reeve_slice slice,
                                                     reeve_value **out);

/* l[slice] = values, an array of any length, or of the same length if there is a step. Errors: EVALUE (another
 * length, or step 0), ETOOBIG (more than one message holds). */
REEVE_API REEVE_NODISCARD reeve_err reeve_list_set_slice(reeve_list *list, reeve_slice slice,
                                                         const reeve_builder *values);

/* del l[slice]. Errors: EVALUE (step 0). */
REEVE_API REEVE_NODISCARD reeve_err reeve_list_del_slice(reeve_list *list, reeve_slice slice);

/* ---- one call where others need a lock ---- */

/* l[at] += amount, whatever number it is. The caller owns *sum, which may be NULL. Errors: EINDEX, ETYPE (no
 * numbers), EVALUE (out of the range of 64 bits). */
REEVE_API REEVE_NODISCARD reeve_err reeve_list_add(reeve_list *list, int64_t at,
                                                   const reeve_builder *amount, reeve_value **sum);

/* Set value if `expected` is there. *done tells; if not, *now is what is there, for the caller to free; now may be
 * NULL. Errors: EINDEX. */
REEVE_API REEVE_NODISCARD reeve_err reeve_list_cas(reeve_list *list, int64_t at,
                                                   const reeve_builder *expected,
                                                   const reeve_builder *value, bool *done,
                                                   reeve_value **now);

/* Wait until the list has another version than *version, which becomes that; 0 is that of a new one. Blocks for at
 * most timeout_ms. Errors: ETIME. */
REEVE_API REEVE_NODISCARD reeve_err reeve_list_wait(reeve_list *list, uint64_t *version,
                                                    uint32_t timeout_ms);

/* ---- places inside a value: paths and errors as in dict.h, and EINDEX ---- */

REEVE_API REEVE_NODISCARD reeve_err reeve_list_get_at(reeve_list *list, int64_t at,
                                                      const reeve_builder *path, reeve_value **out);
REEVE_API REEVE_NODISCARD reeve_err reeve_list_set_at(reeve_list *list, int64_t at,
                                                      const reeve_builder *path,
                                                      const reeve_builder *value);
REEVE_API REEVE_NODISCARD reeve_err reeve_list_append_at(reeve_list *list, int64_t at,
                                                         const reeve_builder *path,
                                                         const reeve_builder *value);
REEVE_API REEVE_NODISCARD reeve_err reeve_list_del_at(reeve_list *list, int64_t at,
                                                      const reeve_builder *path);
REEVE_API REEVE_NODISCARD reeve_err reeve_list_add_at(reeve_list *list, int64_t at,
                                                      const reeve_builder *path,
                                                      const reeve_builder *amount,
                                                      reeve_value **sum);

/* ---- one after the other ---- */

/* iter(l), or reversed(l): by index, so that it sees what changes behind the values that came already, many of
 * which come in one round trip (row R18). As reeve_dict_items else. */
REEVE_API REEVE_NODISCARD reeve_err reeve_list_iter_open(reeve_list_iter **out, reeve_list *list,
                                                         bool reversed);

/* The next value, borrowed until the next call on the iterator; NULL behind the last one. */
REEVE_API REEVE_NODISCARD reeve_err reeve_list_next(reeve_list_iter *iter,
                                                    const reeve_value **value);

/* Frees *iter and sets it to NULL. NULL is fine. */
REEVE_API void reeve_list_iter_close(reeve_list_iter **iter);

#ifdef __cplusplus
}
#endif

#endif
