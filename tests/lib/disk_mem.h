#ifndef DISK_MEM_H
#define DISK_MEM_H

/*
 * disk_mem.h -- a disk in memory, which can be killed between and within two calls, refuse one,
 * and lose power.
 *
 * It knows what a disk promises: what was written to a file is there for certain when the file
 * was synced after it, and names when the folder was. disk_mem_power makes one of the states
 * that may be found after a loss of power: of what was not synced, any sectors of the writes, some
 * of them torn, and any beginning of the changes of names.
 */

#include "server/core/disk.h"
#include "common/base/rng.h"

enum disk_mem_kill { DISK_MEM_BEFORE, DISK_MEM_WITHIN, DISK_MEM_AFTER };

enum { DISK_MEM_SHORT = 1 << 20 }; /* instead of an error: less than was asked for */

struct disk_mem_write {
    uint64_t at;
    size_t len; /* SIZE_MAX: not a write, but a cut at `at` */
    uint8_t *data;
};

struct disk_mem_bytes {
    uint8_t *data;
    size_t len, cap;
};

struct disk_mem_file {
    struct disk_mem_bytes now;     /* what is read */
    struct disk_mem_bytes safe;    /* what is there for certain */
    struct disk_mem_write *writes; /* since the last sync */
    size_t writes_len, writes_cap;
    int opened;
};

struct disk_mem_name {
    char text[40];
    int file;
};

struct disk_mem_names {
    struct disk_mem_name *at;
    size_t len, cap;
};

struct disk_mem_change {
    char from[40]; /* empty: made */
    char to[40];   /* empty: unlinked */
    int file;
};

struct disk_mem {
    struct disk disk; /* first */
    struct disk_mem_file *files;
    size_t files_len, files_cap;
    struct disk_mem_names names;
    struct disk_mem_names safe_names;
    struct disk_mem_change *changes; /* of names, since the last sync of the folder */
    size_t changes_len, changes_cap;

    uint64_t ops;     /* calls that change something, or could */
    uint64_t kill_at; /* the process dies at this call; 0: never */
    enum disk_mem_kill kill;
    bool dead; /* nothing happens any more, and everything fails */
    uint64_t fail_at;
    int fail_with; /* errno, or DISK_MEM_SHORT */
    uint64_t room; /* free bytes; UINT64_MAX: endless */
    /* Before each call that changes something; NULL: nobody cares. */
    void (*before)(void *arg);
    void *arg;
};

void disk_mem_init(struct disk_mem *d);
void disk_mem_free(struct disk_mem *d);
/* A copy with everything but faults and the hook. */
void disk_mem_copy(struct disk_mem *to, const struct disk_mem *from);
/* Power is lost now. All files are closed. rng NULL: of what was not synced, nothing is found. */
void disk_mem_power(struct disk_mem *d, struct rv_rng *rng);
/* The process ended, the system did not: all files are closed, no fault is left. */
void disk_mem_reopen(struct disk_mem *d);

/* For who looks at bytes. NULL when there is no such file. */
struct disk_mem_file *disk_mem_find(struct disk_mem *d, const char *name);

#endif
