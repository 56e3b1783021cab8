#include "server/core/snapshot.h"
#include "server/core/crc.h"
#include "server/core/record.h"
#include "server/core/save.h"

enum { HEADER = 72, END = 20 };

static const char magic[8] = {'R', 'E', 'E', 'V', 'E', 'S', 'N', 'P'};

struct writer {
    struct disk *disk;
    int file;
    uint64_t at;
    int error; /* the first one sticks */
};

static void add(struct writer *w, const void *bytes, size_t len)
{
    if (w->error == 0)
        w->error = disk_write_all(w->disk, w->file, bytes, len, w->at);
    w->at += len;
}

static void on_block(void *arg, struct rv_slice bytes)
{
    struct writer *w = arg;
    uint8_t number[4];
    uint32_t crc = 0;

    if (bytes.len == 0)
        return;
    rv_set_number(number, bytes.len, 4);
    crc = rv_crc32c(rv_crc32c(0, number, 4), bytes.data, bytes.len);
    add(w, number, 4);
    add(w, bytes.data, bytes.len);
    rv_set_number(number, crc, 4);
    add(w, number, 4);
}

static void write_header(uint8_t out[static HEADER], const struct snapshot *s)
{
    memset(out, 0, HEADER);
    memcpy(out, magic, 8);
    rv_set_number(out + 8, RECORD_FORMAT, 4);
    rv_set_number(out + 12, STATE_VERSION, 4);
    memcpy(out + 16, s->store.bytes, 16);
    rv_set_number(out + 32, s->index, 8);
    rv_set_number(out + 40, s->epoch, 8);
    rv_set_number(out + 48, s->flush, 8);
    rv_set_number(out + 56, (uint64_t)s->at, 8);
    rv_set_number(out + 68, rv_crc32c(0, out, 68), 4);
}

int snapshot_write(struct disk *d, const char *name, const struct mgr *mgr, struct snapshot *s)
{
    struct writer w = {.disk = d, .file = d->open(d, name, DISK_CREATE)};
    struct saver saver = {.block = on_block, .arg = &w};
    uint8_t bytes[HEADER];

    if (w.file < 0)
        return w.file;
    w.error = d->truncate(d, w.file, 0);
    write_header(bytes, s);
    add(&w, bytes, HEADER);
    mgr_save(mgr, &saver);
    s->len = saver.len;
    s->hash = saver.hash;
    rv_set_number(bytes, 0, 4);
    rv_set_number(bytes + 4, s->len, 8);
    rv_set_number(bytes + 12, s->hash, 4);
    rv_set_number(bytes + 16, rv_crc32c(0, bytes, 16), 4);
    add(&w, bytes, END);
    if (w.error == 0)
        w.error = d->sync(d, w.file);
    d->close(d, w.file);
    if (w.error != 0)
        (void)d->unlink(d, name); /* half of one is of no use, and takes room */
    return w.error;
}

/* ---- reading ---- */

static const char *read_header(struct snapshot *out, struct rv_slice bytes)
{
    if (bytes.len < HEADER)
        return "is too short for its header";
    if (memcmp(bytes.data, magic, 8) != 0)
        return "is not a snapshot of a reeve-server";
    if (rv_get_number(bytes.data + 8, 4) != RECORD_FORMAT)
        return "has a format that this reeve-server does not know; a newer one wrote it";
    if (rv_get_number(bytes.data + 68, 4) != rv_crc32c(0, bytes.data, 68))
        return "has a damaged header";
    if (rv_get_number(bytes.data + 12, 4) > STATE_VERSION)
        return "was written by a newer reeve-server";
    *out = (struct snapshot){
        .index = rv_get_number(bytes.data + 32, 8),
        .epoch = rv_get_number(bytes.data + 40, 8),
        .flush = rv_get_number(bytes.data + 48, 8),
        .at = (rv_ns)rv_get_number(bytes.data + 56, 8),
    };
    memcpy(out->store.bytes, bytes.data + 16, 16);
    return NULL;
}

/* Move the blocks together, to the beginning of the buffer. */
static const char *join_blocks(struct snapshot *out, struct rv_buf *file)
{
    struct rv_reader r = rv_reader(rv_slice(file->data + HEADER, file->len - HEADER));
    size_t len = 0;

    for (;;) {
        const uint8_t *start = r.data;
        size_t block = (size_t)rv_read_number(&r, 4);
        const uint8_t *data = NULL;

        if (r.bad || block == 0)
            break;
        data = rv_read(&r, block);
        if (rv_read_number(&r, 4) != rv_crc32c(0, start, data == NULL ? 0 : 4 + block) || r.bad)
            return "is damaged";
        out->hash = rv_crc32c(out->hash, data, block);
        memmove(file->data + len, data, block);
        len += block;
    }
    if (r.bad || r.left != END - 4 ||
        rv_get_number(r.data + 12, 4) != rv_crc32c(0, r.data - 4, END - 4))
        return "is damaged at its end";
    out->len = rv_read_number(&r, 8);
    if (out->len != len || out->hash != rv_read_number(&r, 4))
        return "holds another state than it says";
    file->len = len;
    return NULL;
}

const char *snapshot_read(struct disk *d, const char *name, struct snapshot *out,
                          struct rv_buf *state)
{
    int file = d->open(d, name, DISK_READ);
    int64_t size = file < 0 ? file : d->size(d, file);
    uint8_t *room = NULL;
    const char *why = NULL;

    rv_buf_clear(state);
    if (size > 0)
        room = rv_buf_room(state, (size_t)size);
    rv_assert(!state->bad);
    if (size > 0)
        size = disk_read_all(d, file, room, (size_t)size, 0);
    if (file >= 0)
        d->close(d, file);
    if (size < 0)
        return "cannot be read";
    state->len = (size_t)size;
    why = read_header(out, rv_buf_slice(state));
    if (why == NULL)
        why = join_blocks(out, state);
    return why;
}
