#ifndef REEVE_VALUE_H
#define REEVE_VALUE_H

/*
 * value.h -- typed values: what queue items, arguments and results are made of.
 *
 *     reeve_builder *b = reeve_builder_new();
 *     reeve_put_map(b, 2);
 *     reeve_put_str(b, "path");  reeve_put_str(b, "/tmp/x");
 *     reeve_put_str(b, "size");  reeve_put_int(b, 4096);
 *     ... reeve_queue_put(q, b, REEVE_FOREVER) ...
 *     reeve_builder_free(&b);
 *
 *     int64_t size = 0;
 *     if (!reeve_get_int(reeve_value_find(v, "size"), &size)) ...
 *
 * Values are MessagePack: nil, bool, integer, float, string, bytes, array, map, and references to
 * objects (ref.h); at most 64 deep. An error in building sticks: the call that uses the builder returns it.
 * Threads: a builder belongs to one thread at a time; a value may be read by many.
 */

#include <stdarg.h>

#include <reeve/error.h>
#include <reeve/types.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum {
    REEVE_NIL,
    REEVE_BOOL,
    REEVE_INT, /* int64_t, or uint64_t above INT64_MAX */
    REEVE_FLOAT,
    REEVE_STR,
    REEVE_BYTES,
    REEVE_ARRAY,
    REEVE_MAP,
    REEVE_REF /* to an object of the manager: ref.h */
} reeve_type;

/* ---- building ---- */

/* An empty builder, or NULL without memory (every put on NULL is ENOMEM). Free it with
 * reeve_builder_free. */
REEVE_API reeve_builder *reeve_builder_new(void);
REEVE_API void reeve_builder_free(reeve_builder **builder);

/* Forget the contents and any sticky error, keep the memory. */
REEVE_API void reeve_builder_reset(reeve_builder *builder);

/* The error that sticks, or OK. EINVAL: a container is not filled yet, or nothing was put, or
 * more than one value was. */
REEVE_API reeve_err reeve_builder_check(const reeve_builder *builder);

/* Make an error of the caller's own stick, unless another one does already; returns the one that
 * sticks. Does not block. */
REEVE_API reeve_err reeve_builder_fail(reeve_builder *builder, reeve_err err);

/* Append one value. Never blocks. Errors: ENOMEM, EINVAL (too deep, not UTF-8), ETOOBIG
 * (above 4 GiB). The result may be ignored: errors stick. */
REEVE_API reeve_err reeve_put_nil(reeve_builder *builder);
REEVE_API reeve_err reeve_put_bool(reeve_builder *builder, bool x);
REEVE_API reeve_err reeve_put_int(reeve_builder *builder, int64_t x);
REEVE_API reeve_err reeve_put_uint(reeve_builder *builder, uint64_t x);
REEVE_API reeve_err reeve_put_float(reeve_builder *builder, double x);
REEVE_API reeve_err reeve_put_str(reeve_builder *builder,
                                  const char *text); /* NUL-terminated UTF-8 */
REEVE_API reeve_err reeve_put_strn(reeve_builder *builder, const char *text, size_t len);
REEVE_API reeve_err reeve_put_bytes(reeve_builder *builder, const void *data, size_t len);

/* Begin an array of len values, or a map of len pairs; the values (key, value, key, ...) follow. */
REEVE_API reeve_err reeve_put_array(reeve_builder *builder, size_t len);
REEVE_API reeve_err reeve_put_map(reeve_builder *builder, size_t len);

/* Append a copy of a received value. */
REEVE_API reeve_err reeve_put_value(reeve_builder *builder, const reeve_value *value);

/* Append what the letters say: n nil, b bool (int), i int64_t, u uint64_t, f double, s const
 * char *, y const void * and size_t, v const reeve_value *, ( ) an array, { } a map (keys
 * and values in turn). "(is)" with 7, "x" makes [7, "x"]. Errors: as above, EINVAL (letters). */
REEVE_API reeve_err reeve_pack(reeve_builder *builder, const char *format, ...);
REEVE_API reeve_err reeve_vpack(reeve_builder *builder, const char *format, va_list args);

/* ---- reading ---- */

/* Free a value that the caller owns, and set it to NULL. Values inside it go with it. NULL is fine. */
REEVE_API void reeve_value_free(reeve_value **value);

/* The type; REEVE_NIL for NULL. */
REEVE_API reeve_type reeve_value_type(const reeve_value *value);

/* Take the value out: false, and *x untouched, when it is of another type, does not fit, or
 * is NULL (so that a look-up that failed can be passed on). A float getter takes an integer
 * that is exactly representable. Text and bytes are borrowed from the value; text has
 * no NUL at its end, use len. Never blocks. */
REEVE_API bool reeve_get_bool(const reeve_value *value, bool *x);
REEVE_API bool reeve_get_int(const reeve_value *value, int64_t *x);
REEVE_API bool reeve_get_uint(const reeve_value *value, uint64_t *x);
REEVE_API bool reeve_get_float(const reeve_value *value, double *x);
REEVE_API bool reeve_get_str(const reeve_value *value, const char **text, size_t *len);
REEVE_API bool reeve_get_bytes(const reeve_value *value, const void **data, size_t *len);

/* Elements of an array, pairs of a map; 0 for anything else. */
REEVE_API size_t reeve_value_len(const reeve_value *value);

/* Element i of an array; NULL when there is none. Borrowed from value. */
REEVE_API const reeve_value *reeve_value_at(const reeve_value *value, size_t i);

/* Key and value of pair i of a map; false when there is none. */
REEVE_API bool reeve_value_pair(const reeve_value *value, size_t i, const reeve_value **key,
                                const reeve_value **item);

/* The value under a text key; NULL when there is none. */
REEVE_API const reeve_value *reeve_value_find(const reeve_value *value, const char *key);

/* Take apart by the letters of reeve_pack, each with a pointer: b bool *, i int64_t *, u
 * uint64_t *, f double *, s const char ** and size_t *, y const void ** and size_t *, v const
 * reeve_value **, n nothing, * skips one of any type. Text and bytes are borrowed from value.
 * ETYPE when the value does not fit the letters; nothing is promised of the targets then. */
REEVE_API REEVE_NODISCARD reeve_err reeve_unpack(const reeve_value *value, const char *format, ...);

/* The value as JSON text, for people and scripts; bytes as {"bytes": "<base64>"}, a reference as
 * {"object": 7}. Owned by the
 * caller, free(); NULL without memory. */
REEVE_API char *reeve_value_json(const reeve_value *value);

#ifdef __cplusplus
}
#endif

#endif
