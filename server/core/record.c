#include "server/core/record.h"
#include "server/core/crc.h"
#include "common/base/mutant.h"
#include "server/core/save.h"

enum { STRIPPED = 0x80 }; /* beside the level of a frame of messages */

static const char segment_magic[8] = {'R', 'E', 'E', 'V', 'E', 'L', 'O', 'G'};
static const char store_magic[8] = {'R', 'E', 'E', 'V', 'E', 'S', 'T', 'O'};

/* ---- commands ---- */

static void write_bytes(struct rv_buf *b, struct rv_slice bytes)
{
    rv_write_number(b, bytes.len, 4);
    rv_buf_add(b, bytes.data, bytes.len);
}

static struct rv_slice read_bytes(struct rv_reader *r)
{
    size_t len = (size_t)rv_read_number(r, 4);
    const uint8_t *data = rv_read(r, len);

    return rv_slice(data, data == NULL ? 0 : len);
}

static void write_command(struct rv_buf *b, const struct command *cmd)
{
    rv_write_number(b, cmd->type, 1);
    rv_write_number(b, (uint64_t)cmd->at, 8);
    switch (cmd->type) {
    case COMMAND_OPEN:
        rv_write_number(b, cmd->peer, 8);
        rv_write_number(b, cmd->principal, 4);
        rv_write_number(b, cmd->local, 1);
        write_bytes(b, cmd->bytes);
        break;
    case COMMAND_DETACH:
    case COMMAND_END:
        rv_write_number(b, cmd->session, 8);
        rv_write_number(b, cmd->attempt, 4);
        rv_write_number(b, cmd->reason, 4);
        break;
    case COMMAND_MESSAGES:
        /* Its replies say the level, also after a replay. */
        rv_write_number(b, cmd->durable | (cmd->stripped ? STRIPPED : 0), 1);
        rv_write_number(b, cmd->session, 8);
        rv_write_number(b, cmd->first, 8);
        rv_write_number(b, cmd->ack, 8);
        write_bytes(b, cmd->bytes);
        rv_write_number(b, cmd->bodies_len, 1);
        for (size_t i = 0; i < cmd->bodies_len; i++)
            write_bytes(b, cmd->bodies[i]);
        break;
    case COMMAND_EXPIRE:
        break;
    case COMMAND_PRINCIPAL:
        write_bytes(b, cmd->bytes);
        break;
    case COMMAND_RESTART:
    case COMMAND_PAUSE:
    case COMMAND_SPACE:
        rv_write_number(b, cmd->first, 8);
        break;
    }
}

static bool read_command(struct command *out, struct rv_slice *bodies, struct rv_reader *r)
{
    switch (out->type) {
    case COMMAND_OPEN:
        out->peer = rv_read_number(r, 8);
        out->principal = (uint32_t)rv_read_number(r, 4);
        out->local = rv_read_number(r, 1) != 0;
        out->bytes = read_bytes(r);
        break;
    case COMMAND_DETACH:
    case COMMAND_END:
        out->session = rv_read_number(r, 8);
        out->attempt = (uint32_t)rv_read_number(r, 4);
        out->reason = (reeve_err)rv_read_number(r, 4);
        break;
    case COMMAND_MESSAGES:
        out->durable = (uint8_t)rv_read_number(r, 1);
        out->stripped = (out->durable & STRIPPED) != 0;
        out->durable &= (uint8_t)~STRIPPED;
        out->session = rv_read_number(r, 8);
        out->first = rv_read_number(r, 8);
        out->ack = rv_read_number(r, 8);
        out->bytes = read_bytes(r);
        out->bodies = bodies;
        out->bodies_len = (size_t)rv_read_number(r, 1);
        if (out->bodies_len > RV_LIMIT_BODIES)
            return false;
        for (size_t i = 0; i < out->bodies_len; i++)
            bodies[i] = read_bytes(r);
        break;
    case COMMAND_EXPIRE:
        break;
    case COMMAND_PRINCIPAL:
        out->bytes = read_bytes(r);
        break;
    case COMMAND_RESTART:
    case COMMAND_PAUSE:
    case COMMAND_SPACE:
        out->first = rv_read_number(r, 8);
        break;
    default:
        return false;
    }
    return !r->bad && r->left == 0;
}

bool command_decode(struct command *out, struct rv_slice bodies[static RV_LIMIT_BODIES],
                    struct rv_slice payload)
{
    struct rv_reader r = rv_reader(payload);

    *out = (struct command){.type = (enum command_type)rv_read_number(&r, 1), .logged = true};
    out->at = (rv_ns)rv_read_number(&r, 8);
    return read_command(out, bodies, &r);
}

const char *command_name(enum command_type type)
{
    switch (type) {
    case COMMAND_OPEN:
        return "open";
    case COMMAND_DETACH:
        return "detach";
    case COMMAND_END:
        return "end";
    case COMMAND_MESSAGES:
        return "messages";
    case COMMAND_EXPIRE:
        return "expire";
    case COMMAND_PRINCIPAL:
        return "principal";
    case COMMAND_RESTART:
        return "restart";
    case COMMAND_PAUSE:
        return "pause";
    case COMMAND_SPACE:
        return "space";
    }
    return "?";
}

/* ---- records ---- */

static size_t padded(size_t len)
{
    return (len + 7) & ~(size_t)7;
}

static void begin(struct rv_buf *out, uint64_t index, uint64_t epoch)
{
    rv_write_number(out, 0, 8);
    rv_write_number(out, index, 8);
    rv_write_number(out, epoch, 8);
    rv_write_number(out, 0, 8);
}

static void end(struct rv_buf *out, size_t start)
{
    size_t len = out->len - start - RECORD_HEADER;

    rv_write_number(out, 0, padded(len) - len);
    rv_assert(!out->bad);
    rv_set_number(out->data + start + 4, len, 4);
}

void record_add(struct rv_buf *out, uint64_t index, uint64_t epoch, const struct command *cmd)
{
    size_t start = out->len;

    begin(out, index, epoch);
    write_command(out, cmd);
    end(out, start);
}

void record_add_seal(struct rv_buf *out, uint64_t index, uint64_t epoch)
{
    begin(out, index, epoch);
    rv_assert(!out->bad);
}

size_t record_size(const uint8_t *record)
{
    return RECORD_HEADER + padded((size_t)rv_get_number(record + 4, 4));
}

uint64_t record_index(const uint8_t *record)
{
    return rv_get_number(record + 8, 8);
}

void record_seal(uint8_t *record, uint64_t flush, uint8_t flags)
{
    rv_set_number(record + 24, flush << 8 | flags, 8);
    rv_set_number(record, rv_crc32c(0, record + 4, record_size(record) - 4), 4);
}

bool record_read(struct record *out, struct rv_slice bytes)
{
    size_t len = 0;

    if (bytes.len < RECORD_HEADER)
        return false;
    len = (size_t)rv_get_number(bytes.data + 4, 4);
    if (len > RECORD_MAX_BYTES || RECORD_HEADER + padded(len) > bytes.len)
        return false;
    *out = (struct record){
        .index = rv_get_number(bytes.data + 8, 8),
        .epoch = rv_get_number(bytes.data + 16, 8),
        .flush = rv_get_number(bytes.data + 24, 8) >> 8,
        .flags = bytes.data[31],
        .payload = rv_slice(bytes.data + RECORD_HEADER, len),
        .size = RECORD_HEADER + padded(len),
    };
    /* Zeros are no record: an index is never zero. */
    return out->index != 0 &&
           (rv_get_number(bytes.data, 4) == rv_crc32c(0, bytes.data + 4, out->size - 4) ||
            RV_MUTANT(TORN_TAIL_ACCEPTED));
}

/* ---- headers ---- */

static const char *check_header(struct rv_slice bytes, const char *magic, size_t crc_at)
{
    if (bytes.len < crc_at + 4)
        return "is too short for its header; a backup has it whole";
    if (memcmp(bytes.data, magic, 8) != 0)
        return "is not a file of a reeve log";
    if (rv_get_number(bytes.data + 8, 4) != RECORD_FORMAT)
        return "has a format that this reeve-server does not know; a newer one wrote it";
    if (rv_get_number(bytes.data + crc_at, 4) != rv_crc32c(0, bytes.data, crc_at))
        return "has a damaged header; a backup has it whole";
    return NULL;
}

void segment_header(uint8_t out[static SEGMENT_HEADER], const struct segment *segment)
{
    memset(out, 0, SEGMENT_HEADER);
    memcpy(out, segment_magic, 8);
    rv_set_number(out + 8, RECORD_FORMAT, 4);
    rv_set_number(out + 12, segment->state, 4);
    memcpy(out + 16, segment->store.bytes, 16);
    rv_set_number(out + 32, segment->first, 8);
    rv_set_number(out + 40, segment->epoch, 8);
    rv_set_number(out + 48, segment->flush, 8);
    rv_set_number(out + 56, segment->size, 4);
    rv_set_number(out + 60, rv_crc32c(0, out, 60), 4);
}

const char *segment_read(struct segment *out, struct rv_slice bytes)
{
    const char *why = check_header(bytes, segment_magic, 60);

    if (why != NULL)
        return why;
    if (bytes.len < SEGMENT_HEADER)
        return "is too short for its header; a backup has it whole";
    *out = (struct segment){
        .state = (uint32_t)rv_get_number(bytes.data + 12, 4),
        .first = rv_get_number(bytes.data + 32, 8),
        .epoch = rv_get_number(bytes.data + 40, 8),
        .flush = rv_get_number(bytes.data + 48, 8),
        .size = (uint32_t)rv_get_number(bytes.data + 56, 4),
        .next = rv_get_number(bytes.data + SEGMENT_NEXT, 8),
    };
    memcpy(out->store.bytes, bytes.data + 16, 16);
    if (out->state > STATE_VERSION)
        return "was written by a newer reeve-server";
    return NULL;
}

void store_write(uint8_t out[static STORE_BYTES], const struct store *store)
{
    memset(out, 0, STORE_BYTES);
    memcpy(out, store_magic, 8);
    rv_set_number(out + 8, RECORD_FORMAT, 4);
    rv_set_number(out + 12, store->written, 4);
    memcpy(out + 16, store->id.bytes, 16);
    memcpy(out + 32, store->log.bytes, 16);
    rv_set_number(out + 48, rv_crc32c(0, out, 48), 4);
}

const char *store_read(struct store *out, struct rv_slice bytes)
{
    const char *why = check_header(bytes, store_magic, 48);

    if (why == NULL && bytes.len != STORE_BYTES)
        why = "has another length than it should";
    if (why == NULL) {
        out->written = rv_get_number(bytes.data + 12, 4) != 0;
        memcpy(out->id.bytes, bytes.data + 16, 16);
        memcpy(out->log.bytes, bytes.data + 32, 16);
    }
    return why;
}
