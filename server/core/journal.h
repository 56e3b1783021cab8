#ifndef JOURNAL_H
#define JOURNAL_H

/*
 * journal.h -- the log in its folder: read at the start, then only added to.
 *
 *     store               whose folder this is, and whether a segment was ever made in it
 *     log.INDEX ...       segments; the last one is written to
 *     spare               the next segment, full of zeros: an append that changes neither the
 *                         length of a file nor its blocks is one flush and not two, and a full
 *                         disk shows before a commit instead of in it
 *     snap.INDEX ...      two snapshots; segments go when the older one has what they hold
 *
 * Groups of records are added by journal_append, which returns when they are written and, if
 * asked for, flushed. One thread at a time. No thread, clock or socket in here: the simulator
 * and the tests of crashes run this code on a disk of their own (disk.h).
 *
 * What a start finds behind the last good record:
 *
 *   zeros                                            the end
 *   a record of a later flush than the missing one   the missing one was on the disk: damage
 *   anything else                                    a write that was torn: cut, and told
 *
 * Damage is never mended by itself; `repair` is the operator's word for it.
 */

#include "server/core/disk.h"
#include "server/core/record.h"
#include "server/core/snapshot.h"

struct journal;

enum { JOURNAL_WHY = 512 };

struct journal_conf {
    struct disk *disk; /* borrowed */
    uint32_t segment_bytes;
    uint64_t floor_bytes; /* less free space than this is a full disk */
    bool read_only;       /* somebody else may be writing: change nothing */
    bool repair;          /* cut the log at damage, or where the rest is gone */
    struct rv_id
        new_store; /* for an empty folder (zero: that is refused), and for one that a repair cut */
    struct rv_sink sink; /* what an operator should know, a line an event */
};

/* Who is told what the folder holds. */
struct journal_replay {
    void *arg;
    /* False: it cannot be loaded. Called at most once, and first. */
    bool (*load)(void *arg, const struct snapshot *s, struct rv_slice state);
    /* False: enough. Borrowed during the call. */
    bool (*command)(void *arg, const struct record *rec, const struct command *cmd);
};

/* False: why says which file and what about it. */
bool journal_open(struct journal **out, const struct journal_conf *conf, char *why);
/* As clients know it: time went back for those who knew what a repair cut off, so that it is another one
 * after journal_replay. What is in the files does not change. */
const struct rv_id *journal_store(const struct journal *j);
const struct rv_id *journal_log(const struct journal *j);

/* Read everything, once; then the journal is ready for the first append. */
bool journal_replay(struct journal *j, const struct journal_replay *to, char *why);

/* Read into another state what this journal wrote up to index, beginning with the snapshot
 * before `before` (0: any), for a process that only looks. */
bool journal_reread(const struct journal_conf *conf, uint64_t before,
                    const struct journal_replay *to, char *why);

struct journal_stat {
    uint64_t epoch;          /* of this opening: higher than all before */
    uint64_t index;          /* of the last record */
    uint64_t flush;          /* that the next record gets */
    uint64_t bytes;          /* of records behind the newest snapshot */
    uint64_t snapshot_index; /* 0: none */
    uint64_t snapshot_bytes; /* of its state */
    uint64_t records;        /* read by the replay */
    rv_ns at;                /* time of the last command that was read */
    uint64_t cut;            /* bytes that were cut off by the replay */
    bool sealed;             /* the log was ended in order */
    bool full;               /* the disk has no room for what comes after the spare segment */
};

void journal_stat(const struct journal *j, struct journal_stat *out);

/* Seal and write records that were added one behind the other by record_add, from *done on, and
 * flush them if sync. 0, or -errno: after -ENOSPC it may be called again for the rest, after
 * anything else nothing is certain and the process must end. The first group of an opening is one
 * record, with sync. */
int journal_append(struct journal *j, struct rv_buf *group, size_t *done, bool sync);

/* Make a piece of the spare segment, or look again whether there is room. True: call again when
 * there is nothing better to do; false: there is nothing left to do now. */
bool journal_prepare(struct journal *j);

/* Write a snapshot of what the records up to s->index made, under a name of its own; the file
 * counts when journal_adopt was called. May run in a copy of the process. */
int journal_snapshot(struct disk *d, const struct mgr *mgr, struct snapshot *s);
/* Is the file whole that journal_snapshot wrote? Its state is the caller's. */
bool journal_read_snapshot(struct disk *d, struct snapshot *out, struct rv_buf *state);
int journal_adopt(struct disk *d, const struct snapshot *s);

/* A snapshot of s->len bytes is there, which covers so many of stat.bytes: delete what is not needed
 * any more. */
int journal_snapshotted(struct journal *j, const struct snapshot *s, uint64_t covered);

/* End in order: a seal, flushed. The caller appended everything before. */
int journal_seal(struct journal *j);
void journal_close(struct journal **j);

#endif
