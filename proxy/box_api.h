#ifndef RV_BOX_API_H
#define RV_BOX_API_H

/* box_api.h -- what the handles of containers have in common: values that go and come, one after the other. */

#include "common/value/value.h"
#include "proxy/sync_api.h"

#include <reeve/types.h>
#include <reeve/value.h>

/* A value on its way out. Borrowed from its builder. */
struct rv_load {
    struct rv_slice bytes;
    struct rv_slice refs;
};

/* What an answer brought. */
struct rv_got {
    reeve_context *ctx;
    struct rv_buf result;
    struct rv_reader left; /* its values that were not taken out */
    uint32_t count;        /* so many */
    struct rv_body **bodies;
    size_t bodies_len, bodies_next;
    bool failed; /* no memory for one of them, or its bytes were missing */
};

/* The options that all containers have; word is for messages. */
struct rv_box_conf {
    uint8_t kind;
    const char *word;
    uint32_t number;
    uint8_t typecode;
};

/* A handle of `size` bytes that begins with its rv_sync, into *out. */
reeve_err rv_box_open(void *out, size_t size, reeve_context *ctx, const char *name,
                      const struct rv_box_conf *conf, const reeve_container_options *options);
/* The same by a reference, or by the number of an object that the session holds already. */
reeve_err rv_box_from(void *out, size_t size, reeve_context *ctx, reeve_ref ref,
                      const struct rv_box_conf *conf);
reeve_err rv_box_adopt(void *out, size_t size, reeve_context *ctx, uint64_t object,
                       const struct rv_box_conf *conf);

/* ---- values ---- */

/* One whole value; what: of which the message speaks. */
reeve_err rv_box_load(const struct rv_sync *s, const char *verb, const char *what,
                      const reeve_builder *b, struct rv_load *out);
/* One that cannot hold references, and is at most so large: a key, a path. NULL is no bytes. */
reeve_err rv_box_bytes(const struct rv_sync *s, const char *verb, const char *what,
                       const reeve_builder *b, size_t max, struct rv_slice *out);

/* The parts of an array, or the keys and values of a map, in turn. They stand in *room; the caller frees
 * it, *out and *v. */
reeve_err rv_box_parts(const struct rv_sync *s, const char *verb, const reeve_builder *b,
                       reeve_type type, struct rv_load **out, size_t *len, struct rv_buf *room);

/* ---- calls ---- */

/* A numbered call. The arguments were encoded without their values, which come last in them. On REEVE_OK
 * the caller frees *got, unless got is NULL. Frees args. */
reeve_err rv_box_call(const struct rv_sync *s, uint16_t op, struct rv_buf *args,
                      const struct rv_load *loads, size_t len, const char *verb,
                      struct rv_got *got);

/* The same for values that need several calls; how many are used at once is told. */
reeve_err rv_box_call_some(const struct rv_sync *s, uint16_t op, struct rv_buf *args,
                           const struct rv_load *loads, size_t len, size_t *used, size_t step,
                           const char *verb, struct rv_got *got);

/* A question; else the same, and without values. */
reeve_err rv_box_read(const struct rv_sync *s, uint16_t op, struct rv_buf *args, const char *verb,
                      struct rv_got *got);

/* A question for one value; when that is large or holds references, a call brings it. args serve both.
 * version may be NULL. */
reeve_err rv_box_get(const struct rv_sync *s, uint16_t read, uint16_t fetch, struct rv_buf *args,
                     const char *verb, reeve_value **out, uint64_t *version);

/* The next value of an answer, for the caller to own. *empty: it has to be fetched; NULL: that is
 * malformed. */
reeve_err rv_got_next(const struct rv_sync *s, const char *verb, struct rv_got *got,
                      reeve_value **out, bool *empty);
void rv_got_free(struct rv_got *got);

/* A value of an answer: the caller's. Errors: ENOMEM, EPROTO. */
reeve_err rv_box_parse(const struct rv_sync *s, const char *verb, struct rv_slice bytes,
                       reeve_value **out);
reeve_err rv_box_malformed(const struct rv_sync *s, const char *verb);

/* Wait until the version is another than *version. */
reeve_err rv_box_wait(const struct rv_sync *s, uint16_t op, struct rv_slice key, uint64_t *version,
                      uint32_t timeout_ms);

/* The length and the bytes, by the `len` operation of any of them. Either may be NULL. */
reeve_err rv_box_len(const struct rv_sync *s, uint16_t op, uint64_t *len, uint64_t *bytes,
                     uint64_t *version);

/* An integer as a value, for the calls that take one. */
struct rv_load rv_box_int(int64_t x, uint8_t room[static RV_VALUE_NUMBER_MAX]);
/* The integer or float that an answer brought, as an integer: ETYPE. Takes the value. */
reeve_err rv_box_as_int(const struct rv_sync *s, const char *verb, reeve_value **v, int64_t *out);

#endif
