#ifndef DISK_H
#define DISK_H

/*
 * disk.h -- what the log asks of the folder that it lives in, as functions.
 *
 * The shell gives it a real folder (server/disk_dir.c); tests give it one in memory that is
 * killed between two calls, loses power, refuses, or rots. Names are names in that one folder.
 * Everything that may fail answers -errno.
 */

#include "common/base/buf.h"

#include <errno.h>

enum disk_open {
    DISK_READ,   /* must exist */
    DISK_WRITE,  /* must exist; to be read, too */
    DISK_CREATE, /* made when missing, kept when not */
};

struct disk {
    /* Call each(arg, name) for every file. */
    int (*list)(struct disk *d, void (*each)(void *arg, const char *name), void *arg);
    int (*open)(struct disk *d, const char *name, enum disk_open how); /* a handle from 0 */
    void (*close)(struct disk *d, int file);
    int64_t (*size)(struct disk *d, int file);
    /* How many bytes were read or written: fewer than asked for are no error. */
    int64_t (*read)(struct disk *d, int file, void *to, size_t len, uint64_t at);
    int64_t (*write)(struct disk *d, int file, const void *from, size_t len, uint64_t at);
    /* What was written to the file, and its length, survives the loss of power. */
    int (*sync)(struct disk *d, int file);
    int (*truncate)(struct disk *d, int file, uint64_t len);
    int (*rename)(struct disk *d, const char *from, const char *to); /* replaces */
    int (*unlink)(struct disk *d, const char *name);
    /* The names survive the loss of power. */
    int (*sync_dir)(struct disk *d);
    int64_t (*space)(struct disk *d); /* free bytes */

    /* Both NULL, or: read the whole file beside what the caller does; NULL: what was read is not wanted any
     * more. */
    void (*ahead)(struct disk *d, const char *name);
    /* The file that was read last, into *out, whose memory is used for another one. False: it was not this
     * one, or it could not be read; the calls above say why. */
    bool (*take)(struct disk *d, const char *name, struct rv_buf *out);
};

/* All of it, whatever the single calls say: 0 or -errno. */
int disk_write_all(struct disk *d, int file, const void *from, size_t len, uint64_t at);

/* As much as there is: the number of bytes, or -errno. */
int64_t disk_read_all(struct disk *d, int file, void *to, size_t len, uint64_t at);

/* A file with these bytes and this name, or none: written beside it, synced, renamed. */
int disk_put(struct disk *d, const char *name, const char *beside, struct rv_slice bytes);

#endif
