#ifndef SCRIPT_H
#define SCRIPT_H

/*
 * script.h -- a run of a manager with a log, whose state is known after every record.
 *
 * Some 200 commands of three sessions on three queues, a dict, a list, a set and an array, always the same; they are stepped on
 * once, and the hash of the state after each is kept. Whatever a disk does to the log of a
 * run, a recovery must find one of these states: that of the last record which it read, and not an
 * earlier one than was acknowledged.
 */

#include "server/core/journal.h"
#include "server/core/save.h"
#include "tests/lib/disk_mem.h"

enum {
    SCRIPT_COMMANDS = 200,
    SCRIPT_OBJECTS = 7,
    SCRIPT_SEGMENT = 4096, /* so that there are many */
};

enum script_level { SCRIPT_NONE, SCRIPT_OS, SCRIPT_SYNC, SCRIPT_MIXED, SCRIPT_LEVELS };

struct script_run {
    struct disk_mem *disk;
    struct journal *journal;
    struct mgr *mgr;
    struct rv_buf group;
    enum script_level level;
    bool snapshots;
    uint64_t written; /* the last record that was acknowledged as written */
    uint64_t flushed; /* and as flushed */
    int error;        /* that ended it; 0: it went through */
    uint64_t taken;   /* snapshots */
    uint64_t full;    /* times that the disk was full and it went on later */
};

/* Make the script; once in a process. */
void script_make(void);

/* The whole run on an empty disk, or until something fails. Frees what is not the disk's. */
void script_play(struct script_run *run);

/* What a start finds on a disk. */
struct script_found {
    bool ok;
    char why[JOURNAL_WHY];
    uint64_t index;
    uint64_t len; /* of the state */
    uint32_t hash;
    uint64_t cut;
    bool bad_snapshot; /* it was said that one could not be used */
};

/* read_only: the disk is not changed. Else the journal goes on by three commands, ends without a
 * seal and is read again; after must then be what the second reading gives. */
void script_recover(struct disk_mem *disk, bool read_only, struct script_found *out);

/* Is this the state after record `index` of the script? */
bool script_knows(const struct script_found *found);

/* The record behind the last command of a run that went through; the seal comes after it. */
uint64_t script_end(void);

#endif
