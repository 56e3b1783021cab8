#ifndef REEVE_SHARED_H
#define REEVE_SHARED_H

/*
 * shared.h -- a shared Value, and a shared Array. Rows T15 and T16.
 *
 *     reeve_shared_open(&hits, ctx, "hits", 'q', NULL);    // Value('q', 0)
 *     reeve_shared_add_int(hits, 1, &sum);                 // one call, so nobody's += is lost
 *
 *     reeve_array_open(&a, ctx, "grid", 'd', 100, NULL);   // Array('d', 100): zeros
 *     reeve_array_set(a, -1, value);
 *
 * A typecode is a letter of Python's array module, and it is enforced: b B h H i I l L q Q (integers of 1, 1, 2, 2, 4,
 * 4, 8, 8, 8, 8 bytes; capitals have no sign), f d (floats, which take integers), and ? (a bool), c (one byte), u w (a
 * text of one character). A value of another type is ETYPE, one out of range EVALUE. A Value with the
 * typecode 0 takes anything, and is nil at first. Rights, threads and the errors of all calls are as in dict.h.
 */

#include <reeve/error.h>
#include <reeve/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Value ---- */

/* As reeve_dict_open; a new one is 0, or what is that in its type. An existing one must have the same typecode,
 * unless 0 is asked for. Errors: EINVAL (no such typecode). */
REEVE_API REEVE_NODISCARD reeve_err reeve_shared_open(reeve_shared **out, reeve_context *ctx,
                                                      const char *name, char typecode,
                                                      const reeve_container_options *options);
REEVE_API void reeve_shared_close(reeve_shared **shared);
REEVE_API const char *reeve_shared_name(const reeve_shared *shared);

/* v.value. The caller owns *out and frees it with reeve_value_free; NULL after an error. version may be NULL. */
REEVE_API REEVE_NODISCARD reeve_err reeve_shared_get(reeve_shared *shared, reeve_value **out,
                                                     uint64_t *version);

/* v.value = value. Errors: ETYPE, EVALUE. */
REEVE_API REEVE_NODISCARD reeve_err reeve_shared_set(reeve_shared *shared,
                                                     const reeve_builder *value);

/* The same with integers. Errors: ETYPE (it is no integer of 64 bits). */
REEVE_API REEVE_NODISCARD reeve_err reeve_shared_get_int(reeve_shared *shared, int64_t *out);
REEVE_API REEVE_NODISCARD reeve_err reeve_shared_set_int(reeve_shared *shared, int64_t x);

/* v.value += amount. The caller owns *sum, which may be NULL. Errors: ETYPE, EVALUE. */
REEVE_API REEVE_NODISCARD reeve_err reeve_shared_add(reeve_shared *shared,
                                                     const reeve_builder *amount,
                                                     reeve_value **sum);
REEVE_API REEVE_NODISCARD reeve_err reeve_shared_add_int(reeve_shared *shared, int64_t amount,
                                                         int64_t *sum);

/* As reeve_list_cas and reeve_list_wait. */
REEVE_API REEVE_NODISCARD reeve_err reeve_shared_cas(reeve_shared *shared,
                                                     const reeve_builder *expected,
                                                     const reeve_builder *value, bool *done,
                                                     reeve_value **now);
REEVE_API REEVE_NODISCARD reeve_err reeve_shared_wait(reeve_shared *shared, uint64_t *version,
                                                      uint32_t timeout_ms);

/* ---- Array ---- */

/* As reeve_dict_open; a new one has that length for good, and zeros. An existing one must have the same typecode, and
 * the same length, unless 0 is asked for. Errors: EINVAL (no such typecode), EQUOTA. */
REEVE_API REEVE_NODISCARD reeve_err reeve_array_open(reeve_array **out, reeve_context *ctx,
                                                     const char *name, char typecode,
                                                     uint32_t length,
                                                     const reeve_container_options *options);
REEVE_API void reeve_array_close(reeve_array **array);
REEVE_API const char *reeve_array_name(const reeve_array *array);

/* len(a): it never changes. Does not block. */
REEVE_API uint32_t reeve_array_len(const reeve_array *array);

/* a[at], a[at] = value. Errors: EINDEX, ETYPE, EVALUE. */
REEVE_API REEVE_NODISCARD reeve_err reeve_array_get(reeve_array *array, int64_t at,
                                                    reeve_value **out);
REEVE_API REEVE_NODISCARD reeve_err reeve_array_set(reeve_array *array, int64_t at,
                                                    const reeve_builder *value);

/* a[slice], a[slice] = values of the same number. Errors: as reeve_list_slice, and ETYPE, EVALUE. */
REEVE_API REEVE_NODISCARD reeve_err reeve_array_slice(reeve_array *array, reeve_slice slice,
                                                      reeve_value **out);
REEVE_API REEVE_NODISCARD reeve_err reeve_array_set_slice(reeve_array *array, reeve_slice slice,
                                                          const reeve_builder *values);

/* a[at] += amount. sum may be NULL. */
REEVE_API REEVE_NODISCARD reeve_err reeve_array_add(reeve_array *array, int64_t at,
                                                    const reeve_builder *amount, reeve_value **sum);

/* As reeve_list_cas and reeve_list_wait. */
REEVE_API REEVE_NODISCARD reeve_err reeve_array_cas(reeve_array *array, int64_t at,
                                                    const reeve_builder *expected,
                                                    const reeve_builder *value, bool *done,
                                                    reeve_value **now);
REEVE_API REEVE_NODISCARD reeve_err reeve_array_wait(reeve_array *array, uint64_t *version,
                                                     uint32_t timeout_ms);

#ifdef __cplusplus
}
#endif

#endif
