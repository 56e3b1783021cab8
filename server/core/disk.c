#include "server/core/disk.h"

int disk_write_all(struct disk *d, int file, const void *from, size_t len, uint64_t at)
{
    const uint8_t *bytes = from;

    while (len > 0) {
        int64_t written = d->write(d, file, bytes, len, at);

        if (written == -EINTR)
            continue;
        if (written < 0)
            return (int)written;
        if (written == 0)
            return -EIO; /* a disk that takes nothing and says nothing */
        bytes += written;
        at += (uint64_t)written;
        len -= (size_t)written;
    }
    return 0;
}

int64_t disk_read_all(struct disk *d, int file, void *to, size_t len, uint64_t at)
{
    uint8_t *bytes = to;
    size_t got = 0;

    while (got < len) {
        int64_t n = d->read(d, file, bytes + got, len - got, at + got);

        if (n == -EINTR)
            continue;
        if (n < 0)
            return n;
        if (n == 0)
            break;
        got += (size_t)n;
    }
    return (int64_t)got;
}

int disk_put(struct disk *d, const char *name, const char *beside, struct rv_slice bytes)
{
    int file = d->open(d, beside, DISK_CREATE);
    int err = 0;

    if (file < 0)
        return file;
    err = d->truncate(d, file, 0);
    if (err == 0)
        err = disk_write_all(d, file, bytes.data, bytes.len, 0);
    if (err == 0)
        err = d->sync(d, file);
    d->close(d, file);
    if (err == 0)
        err = d->rename(d, beside, name);
    if (err == 0)
        err = d->sync_dir(d);
    return err;
}
