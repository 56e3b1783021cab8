#ifndef RV_STREAM_H
#define RV_STREAM_H

/*
 * stream.h -- one direction of a session: numbered messages, kept until acknowledged.
 *
 *     add 1 2 3 4 5        frame(from 4)        ack 2
 *     [1][2][3][4][5]      [4][5] on the wire   [3][4][5] kept
 *
 * The encoded messages lie one behind the other, so that a frame is a header and one copy.
 * Used by the client for calls and by the manager for replies and pushes.
 */

#include "common/wire/msg.h"

struct rv_stream_entry {
    uint64_t end;        /* position behind the message, counted from the stream's beginning */
    uint64_t bodies_end; /* the same in bodies */
};

/* A body frame: a body, or a fragment's piece of it. */
struct rv_stream_part {
    struct rv_body *body; /* with a reference */
    size_t at, len;
};

struct rv_stream {
    struct rv_buf bytes; /* messages first .. next - 1, behind `head` spent bytes */
    size_t head;
    uint64_t base; /* position of bytes.data[0] */

    struct rv_stream_entry *entries; /* of messages first .. next - 1, behind spent ones */
    size_t entries_head, entries_len, entries_cap;

    struct rv_stream_part *bodies; /* body frames of the kept messages */
    size_t bodies_head, bodies_len, bodies_cap;
    uint64_t bodies_base;
    size_t bodies_bytes;

    uint64_t first; /* number of the oldest message kept */
    uint64_t next;  /* number of the next message; first == next is empty */
};

void rv_stream_init(struct rv_stream *s);
void rv_stream_fini(struct rv_stream *s);

/* Number and keep a message; takes a reference of each body. 0 without memory, and nothing
 * has changed. */
uint64_t rv_stream_add(struct rv_stream *s, const struct rv_msg *msg, struct rv_body *const *bodies,
                       size_t bodies_len);

/* The bytes of the last message, to be grown or patched by who knows that it was never sent.
 * Room for more bytes; NULL without memory. */
uint8_t *rv_stream_grow_last(struct rv_stream *s, size_t more);
uint8_t *rv_stream_last(struct rv_stream *s, size_t *len);

/* All up to upto have arrived. False when that was never sent. */
bool rv_stream_ack(struct rv_stream *s, uint64_t upto);

/* Give memory back when nothing is kept: the session is idle. */
void rv_stream_trim(struct rv_stream *s);

/* Bytes kept, bodies included. */
size_t rv_stream_bytes(const struct rv_stream *s);

/* Bytes of messages from .. next - 1. */
size_t rv_stream_bytes_from(const struct rv_stream *s, uint64_t from);

/* The encoded message of that number, which is kept, and its bodies. Borrowed until the stream
 * changes. */
struct rv_slice rv_stream_message(const struct rv_stream *s, uint64_t number,
                                  struct rv_slice bodies[static RV_LIMIT_BODIES],
                                  size_t *bodies_len);

/* Append a frame to out that begins with message `from` and holds as many as fit: a batch of
 * at most RV_LIMIT_BATCH_BYTES (or one message), RV_LIMIT_BODIES bodies. Unnumbered messages
 * already encoded in extra go first. bodies is filled with what must follow the control
 * frame. Returns the number behind the last message in it. */
uint64_t rv_stream_frame(const struct rv_stream *s, uint64_t from, uint64_t ack,
                         struct rv_slice extra, struct rv_buf *out, struct rv_slice *bodies,
                         size_t *bodies_len);

/* ---- the other end: fragments become bodies again ---- */

struct rv_assembly_part {
    struct rv_assembly_part *next;
    uint64_t number;
    size_t got;
    struct rv_body *body;
};

struct rv_assembly {
    bool no_memory; /* why the last fragment was not taken */
    struct rv_assembly_part *parts;
    size_t bytes; /* reserved by parts, at most RV_LIMIT_ASSEMBLY_BYTES */
};

/* A body of len bytes of which the first ones are there; belongs to the caller. Our memory. */
struct rv_assembly_part *rv_assembly_part_new(uint64_t number, size_t len, struct rv_slice got);

void rv_assembly_fini(struct rv_assembly *a);

/* Take a fragment in. False when it does not continue its body, or a limit is reached. */
bool rv_assembly_add(struct rv_assembly *a, const struct rv_fragment *fragment,
                     struct rv_slice bytes);

/* What is there of a body, whole or not, goes. There may be none. */
void rv_assembly_drop(struct rv_assembly *a, uint64_t body);

/* Take a complete body of that length out; NULL when there is none. The caller owns it. */
struct rv_body *rv_assembly_take(struct rv_assembly *a, uint64_t body, size_t len);
bool rv_assembly_has(const struct rv_assembly *a, uint64_t body, size_t len);

/* ---- both ends of an item ---- */

/* Cut a body that is too large for one frame into fragment messages, which share its bytes.
 * False without memory. */
bool rv_stream_add_fragments(struct rv_stream *s, uint64_t number, struct rv_body *body);

/* The bytes of an item that has arrived, wherever they were: a new body for large ones (the
 * caller owns it), NULL and item->bytes for inline ones. *frames counts the body frames used.
 * False when the frame lacks them or they have another length. */
bool rv_item_receive(struct rv_item *item, struct rv_assembly *a, const struct rv_slice *bodies,
                     size_t bodies_len, size_t *frames, struct rv_body **out);

#endif
