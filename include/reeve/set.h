#ifndef REEVE_SET_H
#define REEVE_SET_H

/*
 * set.h -- a shared set. Rows T14 and M21.
 *
 *     reeve_set_open(&seen, ctx, "seen", NULL);
 *     reeve_pack(url, "s", "http://...");
 *     reeve_set_add(seen, url, &added);                    // false: somebody was faster
 *
 * A member is what a key of a dict is (dict.h): any value without references, of at most 1024 bytes, equal by value,
 * no NaN. Members keep the order in which they came. Operators with a result make a set without a name, which is
 * shared as any other: it lives as long as its handle.
 *
 * Each call takes effect as a whole, once or not at all; several together: batch.h. Rights, threads and the errors of
 * all calls are as in dict.h.
 */

#include <reeve/error.h>
#include <reeve/types.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum {
    REEVE_UNION,               /* a | b */
    REEVE_INTERSECTION,        /* a & b */
    REEVE_DIFFERENCE,          /* a - b */
    REEVE_SYMMETRIC_DIFFERENCE /* a ^ b */
} reeve_combine;

typedef enum {
    REEVE_SUBSET,          /* a <= b */
    REEVE_SUPERSET,        /* a >= b */
    REEVE_DISJOINT,        /* a.isdisjoint(b) */
    REEVE_SAME,            /* the same members: a == b of plain sets */
    REEVE_PROPER_SUBSET,   /* a < b */
    REEVE_PROPER_SUPERSET, /* a > b */
} reeve_compare;

/* As reeve_dict_open, _close and _name. */
REEVE_API REEVE_NODISCARD reeve_err reeve_set_open(reeve_set **out, reeve_context *ctx,
                                                   const char *name,
                                                   const reeve_container_options *options);
REEVE_API void reeve_set_close(reeve_set **set);
REEVE_API const char *reeve_set_name(const reeve_set *set);

/* s.add(value). added, which may be NULL: it was not there. */
REEVE_API REEVE_NODISCARD reeve_err reeve_set_add(reeve_set *set, const reeve_builder *value,
                                                  bool *added);

/* s.discard(value). there may be NULL. */
REEVE_API REEVE_NODISCARD reeve_err reeve_set_discard(reeve_set *set, const reeve_builder *value,
                                                      bool *there);

/* s.remove(value). Errors: EKEY (it is not there). */
REEVE_API REEVE_NODISCARD reeve_err reeve_set_remove(reeve_set *set, const reeve_builder *value);

/* s.pop(): the member that came last. The caller owns *out and frees it; NULL after an error. Errors: EKEY (it is
 * empty). */
REEVE_API REEVE_NODISCARD reeve_err reeve_set_pop(reeve_set *set, reeve_value **out);

/* value in s. */
REEVE_API REEVE_NODISCARD reeve_err reeve_set_contains(reeve_set *set, const reeve_builder *value,
                                                       bool *there);

/* s.clear(). */
REEVE_API REEVE_NODISCARD reeve_err reeve_set_clear(reeve_set *set);

/* len(s), and the bytes of its members, if bytes is not NULL: the past when it returns. */
REEVE_API REEVE_NODISCARD reeve_err reeve_set_len(reeve_set *set, uint64_t *len, uint64_t *bytes);

/* ---- against others ---- */

/* s |= other and its kin: update, intersection_update, difference_update, symmetric_difference_update. other may be s.
 * Errors: EINVAL (other is of another context). */
REEVE_API REEVE_NODISCARD reeve_err reeve_set_update(reeve_set *set, reeve_combine how,
                                                     reeve_set *other);
/* The same with the values of an array. A union goes in as many messages as it takes, the others in one: ETOOBIG. */
REEVE_API REEVE_NODISCARD reeve_err reeve_set_update_values(reeve_set *set, reeve_combine how,
                                                            const reeve_builder *values);

/* s | other and its kin: a new set without a name in *out, which the caller closes; NULL after an error. */
REEVE_API REEVE_NODISCARD reeve_err reeve_set_combine(reeve_set **out, reeve_set *set,
                                                      reeve_combine how, reeve_set *other);
REEVE_API REEVE_NODISCARD reeve_err reeve_set_combine_values(reeve_set **out, reeve_set *set,
                                                             reeve_combine how,
                                                             const reeve_builder *values);

/* issubset, issuperset, isdisjoint and the comparisons. */
REEVE_API REEVE_NODISCARD reeve_err reeve_set_compare(reeve_set *set, reeve_compare what,
                                                      reeve_set *other, bool *so);
/* The same with the values of an array. Errors: ETOOBIG (more than one message holds). */
REEVE_API REEVE_NODISCARD reeve_err reeve_set_compare_values(reeve_set *set, reeve_compare what,
                                                             const reeve_builder *values, bool *so);

/* Wait until it has another version than *version, as reeve_list_wait. */
REEVE_API REEVE_NODISCARD reeve_err reeve_set_wait(reeve_set *set, uint64_t *version,
                                                   uint32_t timeout_ms);

/* s.copy() as an array, row R04; as reeve_dict_copy. A shared copy: reeve_set_combine_values with an empty array. */
REEVE_API REEVE_NODISCARD reeve_err reeve_set_copy(reeve_set *set, reeve_value **out);

/* ---- one after the other: as reeve_dict_items and reeve_dict_next ---- */

REEVE_API REEVE_NODISCARD reeve_err reeve_set_iter_open(reeve_set_iter **out, reeve_set *set);
REEVE_API REEVE_NODISCARD reeve_err reeve_set_next(reeve_set_iter *iter, const reeve_value **value);
REEVE_API void reeve_set_iter_close(reeve_set_iter **iter);

#ifdef __cplusplus
}
#endif

#endif
