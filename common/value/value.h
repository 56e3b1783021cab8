#ifndef RV_VALUE_H
#define RV_VALUE_H

/*
 * value.h -- typed values: MessagePack bytes to a tree, and values to bytes.
 *
 * A node of the tree is a msgpack_object; a `const reeve_value *` is a pointer to one, be it
 * the root or a node below it. The tree is ours and not msgpack_unpack_next()'s: that one
 * refuses nesting above 32 and allocates whatever a count asks for.
 */

#include <msgpack/object.h>

#include <reeve/error.h>
#include <reeve/types.h>

#include "common/base/buf.h"

#define RV_VALUE_DEPTH_MAX 64 /* arrays and maps inside each other */

/* ---- text ---- */

/* The length of the UTF-8 sequence that text begins with; 0 when it begins with none. */
size_t rv_utf8_len(struct rv_slice text);

bool rv_utf8_valid(struct rv_slice text);

/* ---- bytes to values ---- */

/* Exactly one value and nothing after it, at most RV_VALUE_DEPTH_MAX deep; of extension types,
 * references only.
 * Text may be any bytes. Allocates nothing and reads no byte twice. */
bool rv_value_valid(struct rv_slice bytes);

/* Exactly one value that is neither an array nor a map: it needs no tree and no allocation. Text
 * in it is borrowed from bytes. */
bool rv_value_scalar(msgpack_object *out, struct rv_slice bytes);

/* Take one value off *rest; of an array or a map only the head, and rv_object_kids() values follow.
 * Text in it is borrowed from the bytes. False when there is no value. */
bool rv_value_take(struct rv_slice *rest, msgpack_object *out);

/* A copy of bytes as a value, in one allocation of at most 25 times their size and 100 bytes. The
 * caller owns *out, and frees it with rv_value_free. Errors, with *out NULL: EPROTO (not valid),
 * ENOMEM. */
REEVE_NODISCARD reeve_err rv_value_parse(reeve_value **out, struct rv_slice bytes);

/* Memory that values are parsed into one after the other. Zero-initialised is empty and valid. */
struct rv_value_room {
    reeve_value *value;
    size_t kids;
};
void rv_value_room_free(struct rv_value_room *room);

/* The same without a copy and, after some values, without an allocation: *out stands in room until
 * the next one does, and its text in bytes, which are borrowed as long. It is not freed alone. */
REEVE_NODISCARD reeve_err rv_value_parse_in(const reeve_value **out, struct rv_value_room *room,
                                            struct rv_slice bytes);

/* Only roots can be freed; NULL is fine. */
void rv_value_free(reeve_value **root);

/* The encoding that a root was parsed from. Borrowed from the root. */
struct rv_slice rv_value_bytes(const reeve_value *root);

/* Where a root came from, kept beside it for whoever received it. All zero after parsing. */
struct rv_value_origin {
    uint64_t delivery; /* what to acknowledge; zero when nothing */
    uint32_t deliveries;
    bool redelivered;
    void *queue;
    void (*freed)(void *lien); /* called when the root is freed; or NULL */
    void *lien;
};

/* A reference is the extension type 1 of 13 bytes: u8 kind, u64 object, u32 of its manager's store. */
enum { RV_VALUE_REF_TYPE = 1, RV_VALUE_REF_BYTES = 13 };
void rv_value_ref_write(uint8_t out[static RV_VALUE_REF_BYTES], reeve_ref ref);
/* False when the object is no reference. */
bool rv_value_ref_read(reeve_ref *out, const msgpack_object *o);

/* Append the objects of all references in it, u64 each in big endian, as often as they are there. */
void rv_value_refs(const msgpack_object *o, struct rv_buf *out);

struct rv_value_origin *rv_value_origin(reeve_value *root);

/* The node behind a value; a nil for NULL. */
const msgpack_object *rv_value_object(const reeve_value *value);

/* An array or a map. */
static inline bool rv_object_nests(const msgpack_object *o)
{
    return o->type == MSGPACK_OBJECT_ARRAY || o->type == MSGPACK_OBJECT_MAP;
}

/* How many values follow the head o. */
static inline uint64_t rv_object_kids(const msgpack_object *o)
{
    if (o->type == MSGPACK_OBJECT_ARRAY)
        return o->via.array.size;
    return o->type == MSGPACK_OBJECT_MAP ? UINT64_C(2) * o->via.map.size : 0;
}

/* ---- values to bytes ---- */

/* NULL without memory. */
reeve_builder *rv_builder_new(void);
void rv_builder_free(reeve_builder **b);

/* Empty again and without an error. */
void rv_builder_reset(reeve_builder *b);

/* Nothing was put, and nothing failed. */
bool rv_builder_empty(const reeve_builder *b);

/* Make err stick unless another one does already; returns the one that sticks. ENOMEM for NULL,
 * as from every call below. */
reeve_err rv_builder_fail(reeve_builder *b, reeve_err err);

/* Append one value, integers in the shortest form; of an array or a map only the head, the values
 * in it follow. Text is not checked. Errors: ENOMEM, EINVAL (too deep, no value is due),
 * ETOOBIG (the whole above 4 GiB). */
reeve_err rv_builder_put(reeve_builder *b, const msgpack_object *o);

/* The bytes that go before len bytes of text, or of plain bytes, to make them a value: at most
 * RV_VALUE_HEAD_MAX. Returns how many. For who has no builder and needs none. */
enum { RV_VALUE_HEAD_MAX = 5 };
size_t rv_value_head(uint8_t out[static RV_VALUE_HEAD_MAX], bool text, size_t len);

/* The bytes of a nil, bool or number, or the head of an array or a map: at most
 * RV_VALUE_NUMBER_MAX. Returns how many. */
enum { RV_VALUE_NUMBER_MAX = 9 };
size_t rv_value_number(uint8_t out[static RV_VALUE_NUMBER_MAX], const msgpack_object *o);

/* Append one value with everything in it. */
reeve_err rv_builder_copy(reeve_builder *b, const msgpack_object *o);

/* The error that sticks, EINVAL while values are missing, or OK. */
reeve_err rv_builder_check(const reeve_builder *b);

/* The finished encoding, borrowed until the next put, reset or free; else what
 * rv_builder_check says. */
REEVE_NODISCARD reeve_err rv_builder_bytes(const reeve_builder *b, struct rv_slice *out);

/* The same for who can carry references, which is nobody else: EINVAL there. *refs are the objects, u64
 * each, in big endian; *store is that of all of them. */
REEVE_NODISCARD reeve_err rv_builder_item(const reeve_builder *b, struct rv_slice *out,
                                          struct rv_slice *refs, uint32_t *store);

#endif
