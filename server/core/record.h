#ifndef RECORD_H
#define RECORD_H

/*
 * record.h -- the bytes of the log on disk. All numbers are big endian.
 *
 *   store      "REEVESTO"  u32 format  u32 written  store id (16)  id in the files (16)  u32 crc
 *
 *   segment    header, then records, then zeros. A file log.INDEX (16 hex digits) of the first.
 *     header   "REEVELOG"  u32 format  u32 state  id (16)  u64 first index  u64 epoch
 *              u64 flush  u32 size of the file  u32 crc  u64 next                      (72 bytes)
 *     record   u32 crc  u32 length  u64 index  u64 epoch  u56 flush  u8 flags          (32 bytes)
 *              payload, zeros up to a multiple of 8
 *
 *   The crc is over everything of the record behind it. Indexes go up by one. `flush` counts the
 *   flushes of the log that had come back when the record was written, so: records of one number
 *   are on the disk for certain when there is one of a higher number. LAST marks the record
 *   behind which a flush was asked for. By these two a torn write, which is harmless, is told
 *   from damage: see journal.c.
 *
 *   A record without payload is a seal: the log was ended in order.
 *
 *   `next` is outside the crc: zero, and when there is a segment behind this one, its first index. So the
 *   last one knows that it is. It is written before anything in the next one is answered.
 */

#include "server/core/command.h"

enum {
    RECORD_FORMAT = 1, /* of all files here */
    STORE_BYTES = 52,
    SEGMENT_HEADER = 72,
    SEGMENT_NEXT = 64, /* where it is in the header */
    RECORD_HEADER = 32,
    RECORD_MAX_BYTES = 16 << 20, /* longer than any frame with its bodies */
};

enum record_flag { RECORD_LAST = 1 };

struct record {
    uint64_t index;
    uint64_t epoch;
    uint64_t flush;
    uint8_t flags;
    struct rv_slice payload; /* borrowed */
    size_t size;             /* of the whole record */
};

struct segment {
    struct rv_id store;
    uint64_t first;
    uint64_t epoch;
    uint64_t flush;
    uint32_t state; /* version of the state machine that wrote it */
    uint32_t size;  /* of the file: a shorter one was cut by somebody */
    uint64_t next;  /* read only: not 0 when there is one behind it */
};

struct store {
    struct rv_id id;  /* as clients know it */
    struct rv_id log; /* in the files; another one after a repair that lost something */
    bool written;     /* a segment was made */
};

/* Add a record that is not sealed yet; flush, flags and crc are set by record_seal. */
void record_add(struct rv_buf *out, uint64_t index, uint64_t epoch, const struct command *cmd);
void record_add_seal(struct rv_buf *out, uint64_t index, uint64_t epoch);
void record_seal(uint8_t *record, uint64_t flush, uint8_t flags);

/* The size of a record that was added. */
size_t record_size(const uint8_t *record);
uint64_t record_index(const uint8_t *record);

/* The record at the beginning of bytes; false when there is none, or it is not whole. */
bool record_read(struct record *out, struct rv_slice bytes);

/* The command in a payload. bodies must live as long as out, and the payload as well. */
bool command_decode(struct command *out, struct rv_slice bodies[static RV_LIMIT_BODIES],
                    struct rv_slice payload);
const char *command_name(enum command_type type);

/* Headers. Reading: NULL, or why not, as the end of a sentence. */
void segment_header(uint8_t out[static SEGMENT_HEADER], const struct segment *segment);
const char *segment_read(struct segment *out, struct rv_slice bytes);
void store_write(uint8_t out[static STORE_BYTES], const struct store *store);
const char *store_read(struct store *out, struct rv_slice bytes);

#endif
