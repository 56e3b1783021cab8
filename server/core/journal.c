#include "server/core/journal.h"
#include "server/core/save.h"
#include "common/base/mutant.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    SPARE_PIECE = 1 << 20,   /* zeros that are written at once */
    SPACE_CHECK = 1 << 24,   /* bytes of records after which free space is looked at */
    SEGMENT_MAX = 1 << 30,   /* of a file that is read as a segment */
    AHEAD_MAX = SEGMENT_MAX, /* records behind a bad one in its segment: fewer than bytes */
    SNAPSHOTS_KEPT = 2,
};

static const char store_name[] = "store";
static const char spare_name[] = "spare";
static const char temporary_name[] = "snap.tmp";

/* The numbers in the names log.NUMBER or snap.NUMBER, in order. */
struct numbers {
    uint64_t *at;
    size_t len, cap;
};

struct journal {
    struct journal_conf conf;
    struct store store;
    struct numbers segments;
    struct numbers snapshots;
    struct journal_stat stat;
    uint8_t last_flags; /* of the last record */
    bool begun;         /* the first group of this opening was appended */

    int file; /* the last segment; -1: none yet, or it is full */
    uint64_t file_size;
    uint64_t at; /* where the next record goes */
    bool named;  /* the segment before it, or the store, says that it is there */
    uint64_t since_check;

    int spare; /* -1: none is being made */
    uint64_t spare_at;
    bool spare_ready;
};

/* ---- names ---- */

static void file_name(char out[static SNAPSHOT_NAME], const char *kind, uint64_t number)
{
    snprintf(out, SNAPSHOT_NAME, "%s.%016llx", kind, (unsigned long long)number);
}

static void add_number(struct numbers *list, uint64_t number)
{
    if (list->len == list->cap) {
        list->cap = list->cap == 0 ? 16 : list->cap * 2;
        list->at = rv_realloc(list->at, list->cap * sizeof *list->at);
    }
    list->at[list->len++] = number;
}

static int by_number(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a;
    uint64_t y = *(const uint64_t *)b;

    return x < y ? -1 : x > y;
}

static bool number_in(const char *name, const char *kind, uint64_t *out)
{
    size_t len = strlen(kind);

    if (strncmp(name, kind, len) != 0 || name[len] != '.' || strlen(name) != len + 17)
        return false;
    *out = 0;
    for (const char *at = name + len + 1; *at != '\0'; at++) {
        const char *digits = "0123456789abcdef";
        const char *digit = strchr(digits, *at);

        if (digit == NULL)
            return false;
        *out = *out << 4 | (uint64_t)(digit - digits);
    }
    return true;
}

static void on_name(void *arg, const char *name)
{
    struct journal *j = arg;
    uint64_t number = 0;

    if (number_in(name, "log", &number))
        add_number(&j->segments, number);
    else if (number_in(name, "snap", &number))
        add_number(&j->snapshots, number);
}

static int list_files(struct journal *j)
{
    int err = 0;

    j->segments.len = j->snapshots.len = 0;
    err = j->conf.disk->list(j->conf.disk, on_name, j);
    if (j->segments.len > 0)
        qsort(j->segments.at, j->segments.len, sizeof *j->segments.at, by_number);
    if (j->snapshots.len > 0)
        qsort(j->snapshots.at, j->snapshots.len, sizeof *j->snapshots.at, by_number);
    return err;
}

/* ---- words ---- */

static bool refuse(char *why, const char *file, const char *text)
{
    snprintf(why, JOURNAL_WHY, "the file %s %s", file, text);
    return false;
}

static bool refuse_error(char *why, const char *file, int err)
{
    snprintf(why, JOURNAL_WHY, "cannot read or write %s: %s", file, strerror(-err));
    return false;
}

static void say(const struct journal *j, int level, const char *text)
{
    if (j->conf.sink.line != NULL)
        j->conf.sink.line(j->conf.sink.arg, level, text);
}

/* ---- opening ---- */

static int put_store(struct journal *j)
{
    uint8_t bytes[STORE_BYTES];

    store_write(bytes, &j->store);
    return disk_put(j->conf.disk, store_name, "store.tmp", rv_slice(bytes, sizeof bytes));
}

static int make_store(struct journal *j)
{
    j->store = (struct store){.id = j->conf.new_store, .log = j->conf.new_store};
    return put_store(j);
}

/* Something that was answered is lost: to those who know it, this must be another store. Without segments
 * it is one in which none was made, or the next start would miss them again. */
static int renew_store(struct journal *j, bool segments)
{
    rv_assert(!rv_id_zero(&j->conf.new_store));
    j->store.id = j->conf.new_store;
    j->store.written = j->store.written && segments;
    return put_store(j);
}

/* From now on a folder without a segment has lost them: who deleted them, or another file system that is
 * not mounted, cannot pass for a beginning. */
static int note_written(struct journal *j)
{
    int err = 0;

    if (j->store.written)
        return 0;
    j->store.written = true;
    err = put_store(j);
    j->store.written = err == 0;
    return err;
}

/* Segments were made, and there are none; unless the first one was made since we looked, by a manager at which
 * we only look. */
static bool lost_log(struct journal *j, char *why)
{
    int err = list_files(j);

    if (err != 0)
        return refuse_error(why, "the folder", err);
    if (j->segments.len > 0)
        return true;
    if (!j->conf.repair) {
        snprintf(why, JOURNAL_WHY,
                 "a log was written here, and all its files log.* are gone; a backup has "
                 "them, or --repair truncate begins %s and loses what they held",
                 j->snapshots.len > 0 ? "from the last snapshot" : "with nothing");
        return false;
    }
    say(j, RV_WARN, "log.lost why=\"the files log.* are gone\"");
    err = renew_store(j, false);
    return err == 0 || refuse_error(why, store_name, err);
}

static bool open_store(struct journal *j, char *why)
{
    struct disk *d = j->conf.disk;
    uint8_t bytes[STORE_BYTES + 1];
    const char *what = NULL;
    int file = d->open(d, store_name, DISK_READ);
    int64_t len = file;

    if (file == -ENOENT) {
        if (j->segments.len > 0 || j->snapshots.len > 0)
            return refuse(why, store_name,
                          "is missing, and there is a log in the folder; a backup has it");
        if (j->conf.read_only || rv_id_zero(&j->conf.new_store))
            return refuse(why, store_name, "is missing: this folder holds no log");
        len = make_store(j);
        return len == 0 || refuse_error(why, store_name, (int)len);
    }
    if (file >= 0) {
        len = disk_read_all(d, file, bytes, sizeof bytes, 0);
        d->close(d, file);
    }
    if (len < 0)
        return refuse_error(why, store_name, (int)len);
    what = store_read(&j->store, rv_slice(bytes, (size_t)len));
    if (what != NULL)
        return refuse(why, store_name, what);
    return !j->store.written || j->segments.len > 0 || lost_log(j, why);
}

bool journal_open(struct journal **out, const struct journal_conf *conf, char *why)
{
    struct journal *j = rv_alloc(sizeof *j);
    int err = 0;

    rv_assert(conf->read_only || conf->segment_bytes >= SEGMENT_HEADER + RECORD_HEADER);
    j->conf = *conf;
    j->file = j->spare = -1;
    err = list_files(j);
    if (err != 0 ? !refuse_error(why, "the folder", err) : !open_store(j, why)) {
        journal_close(&j);
        return false;
    }
    *out = j;
    return true;
}

const struct rv_id *journal_store(const struct journal *j)
{
    return &j->store.id;
}

const struct rv_id *journal_log(const struct journal *j)
{
    return &j->store.log;
}

/* ---- reading ---- */

/* How far the reading of the log has come. */
struct scan {
    struct journal *j;
    const struct journal_replay *to;
    char *why;
    uint64_t from; /* records up to this index are in the snapshot */
    uint64_t index, epoch, flush;
    uint8_t flags;
    bool started;        /* the four above are known */
    bool enough;         /* the caller says so */
    bool over;           /* the log ends here */
    struct rv_buf bytes; /* of the segment */
    struct segment header;
    char name[SNAPSHOT_NAME];
    size_t at;       /* in the segment: behind the last good record */
    size_t unproven; /* in the segment: no later record proves that it is on the disk from here */
};

static bool damage(struct scan *s, const char *what)
{
    snprintf(s->why, JOURNAL_WHY,
             "the file %s is damaged at offset %zu: %s; a backup has it whole, or "
             "--repair truncate cuts the log there and loses what is behind",
             s->name, s->at, what);
    return false;
}

/* The bytes of the file s->name: how many, or -errno. */
static int64_t read_bytes(struct scan *s)
{
    struct disk *d = s->j->conf.disk;
    int64_t size = 0;
    int file = -1;

    if (d->take != NULL && d->take(d, s->name, &s->bytes))
        return (int64_t)s->bytes.len;
    rv_buf_clear(&s->bytes);
    file = d->open(d, s->name, DISK_READ);
    size = file < 0 ? file : d->size(d, file);
    if (size > SEGMENT_MAX)
        size = -EFBIG;
    if (size > 0) {
        uint8_t *room = rv_buf_room(&s->bytes, (size_t)size);

        rv_assert(room != NULL);
        size = disk_read_all(d, file, room, (size_t)size, 0);
    }
    if (file >= 0)
        d->close(d, file);
    if (size >= 0)
        s->bytes.len = (size_t)size;
    return size;
}

/* next: the segment behind it, or zero. */
static bool read_segment(struct scan *s, uint64_t first, uint64_t next)
{
    struct disk *d = s->j->conf.disk;
    char behind[SNAPSHOT_NAME];
    const char *what = NULL;
    int64_t size = 0;

    file_name(s->name, "log", first);
    file_name(behind, "log", next);
    s->at = s->unproven = SEGMENT_HEADER;
    size = read_bytes(s);
    if (d->ahead != NULL)
        d->ahead(d, next == 0 ? NULL : behind);
    if (size < 0)
        return refuse_error(s->why, s->name, (int)size);
    what = segment_read(&s->header, rv_buf_slice(&s->bytes));
    if (what == NULL && !rv_id_equal(&s->header.store, &s->j->store.log))
        what = "belongs to another store";
    if (what == NULL && s->header.first != first)
        what = "has another name than its header says";
    if (what == NULL && s->header.size > s->bytes.len)
        what = "is shorter than it was made; a backup has it whole";
    if (what == NULL && s->header.flush == 0)
        what = "has an impossible header";
    return what == NULL || refuse(s->why, s->name, what);
}

static bool all_zero(const uint8_t *at, size_t len)
{
    return len == 0 || (at[0] == 0 && memcmp(at, at + 1, len - 1) == 0);
}

/* Is there a record behind the bad place that was written after the flush which the bad one must
 * have survived? */
static bool proven_later(const struct scan *s)
{
    uint64_t missing = s->flush + (s->flags & RECORD_LAST ? 1 : 0);
    struct record rec;

    for (size_t at = s->at; at + RECORD_HEADER <= s->bytes.len; at += 8) {
        uint64_t index = record_index(s->bytes.data + at);

        if (index > s->index && index - s->index < AHEAD_MAX &&
            record_read(&rec, rv_slice(s->bytes.data + at, s->bytes.len - at)) &&
            rec.flush > missing)
            return true;
    }
    return false;
}

/* The record at s->at; false when the good ones end here. */
static bool next_record(struct scan *s, struct record *rec)
{
    if (!record_read(rec, rv_slice(s->bytes.data + s->at, s->bytes.len - s->at)))
        return false;
    return rec->index == s->index + 1 && rec->epoch >= s->epoch && rec->flush >= s->flush;
}

static bool take_record(struct scan *s, const struct record *rec)
{
    struct rv_slice bodies[RV_LIMIT_BODIES];
    struct command cmd;

    if (rec->flush > s->flush)
        s->unproven = s->at;
    s->index = rec->index;
    s->epoch = rec->epoch;
    s->flush = rec->flush;
    s->flags = rec->flags;
    s->j->stat.sealed = rec->payload.len == 0;
    if (rec->payload.len > 0 && rec->index > s->from) {
        if (!command_decode(&cmd, bodies, rec->payload))
            return damage(s, "a record that this reeve-server does not understand");
        s->j->stat.records++;
        s->j->stat.at = cmd.at;
        if (s->to->command != NULL)
            s->enough = !s->to->command(s->to->arg, rec, &cmd);
    }
    if (rec->index > s->from)
        s->j->stat.bytes += rec->size;
    s->at += rec->size;
    return true;
}

/* All good records of segment number i of the list. */
static bool scan_segment(struct scan *s, size_t i)
{
    const struct numbers *all = &s->j->segments;
    uint64_t first = all->at[i];
    struct record rec;

    if (!read_segment(s, first, i + 1 < all->len ? all->at[i + 1] : 0))
        return false;
    if (s->started && first != s->index + 1) {
        snprintf(s->why, JOURNAL_WHY, "the log is damaged: %s should begin with record %llu",
                 s->name, (unsigned long long)(s->index + 1));
        return false;
    }
    if (!s->started) {
        s->started = true;
        s->index = first - 1;
        s->epoch = s->header.epoch;
    }
    /* What is before a segment was flushed before it was made. */
    s->flush = s->header.flush - 1;
    s->flags = RECORD_LAST;
    while (!s->enough && next_record(s, &rec))
        if (!take_record(s, &rec))
            return false;
    return true;
}

static bool tail_is_zero(const struct scan *s)
{
    return all_zero(s->bytes.data + s->at, s->bytes.len - s->at);
}

static void tell_cut(const struct scan *s, size_t len)
{
    char line[256];

    snprintf(line, sizeof line,
             "log.cut file=%s offset=%zu bytes=%zu why=\"the last write was torn; it had not been "
             "answered\"",
             s->name, s->at, len);
    say(s->j, RV_WARN, line);
}

/* In the header of segment number i of the list: which one is behind it. */
static int set_next(struct journal *j, size_t i, uint64_t next)
{
    struct disk *d = j->conf.disk;
    char name[SNAPSHOT_NAME];
    uint8_t bytes[8];
    int file = -1;
    int err = 0;

    file_name(name, "log", j->segments.at[i]);
    file = d->open(d, name, DISK_WRITE);
    if (file < 0)
        return file;
    rv_set_number(bytes, next, 8);
    err = disk_write_all(d, file, bytes, sizeof bytes, SEGMENT_NEXT);
    if (err == 0)
        err = d->sync(d, file);
    d->close(d, file);
    return err;
}

/* The operator's word: what is behind the damage goes, into files that nobody reads again: the
 * segments from number next of the list on, and the bytes of the one before from s->at on. What is left
 * does not speak of them any more; who starts before the next record is there needs no word again. */
static int put_aside(struct scan *s, size_t next)
{
    struct journal *j = s->j;
    struct disk *d = j->conf.disk;
    struct rv_slice bytes = rv_slice(s->bytes.data + s->at, s->bytes.len - s->at);
    char name[SNAPSHOT_NAME];
    char line[256];
    int err = 0;

    file_name(name, "cut", s->index + 1);
    err = renew_store(j, next > 0);
    if (err == 0 && !all_zero(bytes.data, bytes.len))
        err = disk_put(d, name, "cut.tmp", bytes);
    if (err == 0 && next > 0)
        err = set_next(j, next - 1, 0);
    for (size_t i = j->segments.len; i-- > next && err == 0;) {
        char from[SNAPSHOT_NAME];
        char to[SNAPSHOT_NAME];

        file_name(from, "log", j->segments.at[i]);
        file_name(to, "cut-log", j->segments.at[i]);
        err = d->rename(d, from, to);
    }
    if (err == 0)
        err = d->sync_dir(d);
    j->segments.len = next;
    snprintf(line, sizeof line,
             "log.repair file=%s offset=%zu last=%llu why=\"the operator asked for it\"", s->name,
             s->at, (unsigned long long)s->index);
    say(j, RV_WARN, line);
    return err;
}

/* Make the last segment ready to be written to: no bytes of a torn write behind the end, and
 * everything of which a failed flush may have left nothing on the disk is written once more. */
static int ready_tail(struct scan *s)
{
    struct journal *j = s->j;
    struct disk *d = j->conf.disk;
    size_t end = s->bytes.len;
    int err = 0;

    j->file = d->open(d, s->name, DISK_WRITE);
    if (j->file < 0)
        return j->file;
    j->file_size = s->bytes.len;
    j->at = s->at;
    if (tail_is_zero(s))
        end = s->at;
    else
        memset(s->bytes.data + s->at, 0, s->bytes.len - s->at);
    err = disk_write_all(d, j->file, s->bytes.data + s->unproven, end - s->unproven, s->unproven);
    return err == 0 ? d->sync(d, j->file) : err;
}

/* It says that the log goes on, and there is no more of it. */
static bool lost_rest(struct scan *s, size_t i)
{
    struct journal *j = s->j;
    char name[SNAPSHOT_NAME];

    file_name(name, "log", s->index + 1);
    if (!j->conf.repair) {
        snprintf(
            s->why, JOURNAL_WHY,
            "the log goes on behind %s, and %s is gone; a backup has it, or --repair truncate goes "
            "on without what was in it",
            s->name, name);
        return false;
    }
    return put_aside(s, i + 1) == 0 || refuse_error(s->why, s->name, -EIO);
}

/* The end of the log, in the last segment that was scanned (number i of the list). */
static bool end_of_log(struct scan *s, size_t i)
{
    struct journal *j = s->j;
    bool last = i + 1 == j->segments.len;
    bool torn = last && !tail_is_zero(s);
    int err = 0;

    if (last && s->header.next != 0 && !RV_MUTANT(REST_FORGOTTEN) && !lost_rest(s, i))
        return false;
    if (torn && !proven_later(s)) {
        size_t len = s->bytes.len;

        while (len > s->at && s->bytes.data[len - 1] == 0)
            len--;
        j->stat.cut = len - s->at;
        tell_cut(s, len - s->at);
    } else if (torn || !last) {
        if (!j->conf.repair)
            return damage(s, "a record that was flushed is not whole");
        err = put_aside(s, i + 1);
    }
    if (err == 0 && !j->conf.read_only)
        err = ready_tail(s);
    return err == 0 || refuse_error(s->why, s->name, err);
}

/* The newest snapshot that can be read. An older one and the log since then give the same. */
static bool load_snapshot(struct scan *s, uint64_t before)
{
    struct journal *j = s->j;
    struct snapshot snap = {0};
    const char *what = NULL;
    bool ok = true;
    size_t i = j->snapshots.len;

    for (; i > 0; i--) {
        char line[256];

        if (before != 0 && j->snapshots.at[i - 1] >= before)
            continue;
        file_name(s->name, "snap", j->snapshots.at[i - 1]);
        what = snapshot_read(j->conf.disk, s->name, &snap, &s->bytes);
        if (what == NULL &&
            (!rv_id_equal(&snap.store, &j->store.log) || snap.index != j->snapshots.at[i - 1]))
            what = "belongs to another store or another place";
        if (what == NULL)
            break;
        snprintf(line, sizeof line, "snapshot.bad file=%s why=\"it %s\"", s->name, what);
        say(j, RV_WARN, line);
    }
    if (i > 0) {
        s->from = snap.index;
        j->stat.epoch = snap.epoch;
        j->stat.flush = snap.flush;
        j->stat.at = snap.at;
        j->stat.snapshot_index = snap.index;
        j->stat.snapshot_bytes = snap.len;
        if (s->to->load != NULL && !s->to->load(s->to->arg, &snap, rv_buf_slice(&s->bytes)))
            ok = refuse(s->why, s->name, "holds a state that this reeve-server cannot load");
    } else if (what != NULL && (j->segments.len == 0 || j->segments.at[0] != 1)) {
        ok = refuse(s->why, s->name, what); /* the log alone does not reach back far enough */
    }
    if (s->bytes.cap / 2 > SEGMENT_MAX)
        rv_buf_free(&s->bytes);
    return ok;
}

/* The segment with the record behind the snapshot; the length of the list when there is none. */
static size_t first_needed(const struct journal *j, uint64_t from)
{
    size_t i = j->segments.len;

    while (i > 0 && j->segments.at[i - 1] > from + 1)
        i--;
    return i == 0 ? 0 : i - 1;
}

/* What is left of the log ends before the snapshot, which has all of it and more: it goes aside, and the log
 * begins behind the snapshot. */
static bool go_on_from_snapshot(struct scan *s)
{
    struct journal *j = s->j;

    if (j->file >= 0)
        j->conf.disk->close(j->conf.disk, j->file);
    j->file = -1;
    j->stat.sealed = false;
    s->started = false; /* index, epoch and flush are those of the snapshot */
    s->index = s->from;
    s->bytes.len = s->at = 0;
    return put_aside(s, 0) == 0 || refuse_error(s->why, s->name, -EIO);
}

/* Segment number i of the list, and whether the log goes on behind it. */
static bool scan_number(struct scan *s, size_t i)
{
    struct journal *j = s->j;
    uint64_t before = s->index;

    if (!scan_segment(s, i)) {
        if (!j->conf.repair || (!s->started && s->from == 0))
            return false;
        s->over = true;
        if (!s->started)
            return go_on_from_snapshot(s);
        if (s->index > before) /* a record in it */
            return end_of_log(s, i);
        s->bytes.len = s->at = 0; /* its header, or nothing in it: the log ends before it */
        return put_aside(s, i) == 0 || refuse_error(s->why, s->name, -EIO);
    }
    if (s->enough ||
        (i + 1 < j->segments.len && tail_is_zero(s) && j->segments.at[i + 1] == s->index + 1))
        return true;
    s->over = true;
    return end_of_log(s, i);
}

static bool scan_log(struct scan *s)
{
    struct journal *j = s->j;
    size_t i = first_needed(j, s->from);

    if (j->segments.len > 0 && j->segments.at[i] > s->from + 1) {
        snprintf(s->why, JOURNAL_WHY, "the log is damaged: records %llu to %llu are missing",
                 (unsigned long long)(s->from + 1), (unsigned long long)(j->segments.at[i] - 1));
        return false;
    }
    for (; i < j->segments.len && !s->enough && !s->over; i++)
        if (!scan_number(s, i))
            return false;
    if (s->started && s->index < s->from) {
        if (j->conf.repair)
            return go_on_from_snapshot(s);
        snprintf(
            s->why, JOURNAL_WHY,
            "the log is damaged: it ends before snapshot %llu; a backup has the rest, or --repair "
            "truncate goes on from the snapshot",
            (unsigned long long)s->from);
        return false;
    }
    return true;
}

static bool read_all(struct journal *j, uint64_t before, const struct journal_replay *to, char *why)
{
    struct scan s = {.j = j, .to = to, .why = why};
    bool ok = load_snapshot(&s, before) && scan_log(&s);

    if (j->conf.disk->ahead != NULL)
        j->conf.disk->ahead(j->conf.disk, NULL);
    if (s.started) {
        j->stat.index = s.index;
        j->stat.flush = s.flush + 1;
        j->last_flags = s.flags;
        if (s.epoch > j->stat.epoch)
            j->stat.epoch = s.epoch;
    } else {
        j->stat.index = s.from;
        j->stat.flush += j->stat.flush == 0; /* numbers from 1, so that 0 is before the first */
    }
    rv_buf_free(&s.bytes);
    return ok;
}

/* A spare segment of an earlier life, or the beginning of one. Nothing but zeros was ever written
 * to it, and at most a header, which the next one replaces. */
static void adopt_spare(struct journal *j)
{
    struct disk *d = j->conf.disk;
    int64_t size = 0;

    j->spare = d->open(d, spare_name, DISK_WRITE);
    if (j->spare < 0) {
        j->spare = -1;
        return;
    }
    size = d->size(d, j->spare);
    j->spare_at = size < 0 ? 0 : (uint64_t)size;
    j->spare_ready = j->spare_at >= j->conf.segment_bytes;
}

bool journal_replay(struct journal *j, const struct journal_replay *to, char *why)
{
    struct disk *d = j->conf.disk;

    if (!read_all(j, 0, to, why))
        return false;
    j->stat.epoch++;
    if (!j->conf.read_only) {
        (void)d->unlink(d, temporary_name);
        adopt_spare(j);
        j->since_check = SPACE_CHECK; /* nobody knows how full the disk is now */
    }
    return true;
}

bool journal_reread(const struct journal_conf *conf, uint64_t before,
                    const struct journal_replay *to, char *why)
{
    struct journal_conf own = *conf;
    struct journal *j = NULL;
    bool ok = false;

    own.read_only = true;
    own.repair = false;
    if (!journal_open(&j, &own, why))
        return false;
    ok = read_all(j, before, to, why);
    journal_close(&j);
    return ok;
}

void journal_stat(const struct journal *j, struct journal_stat *out)
{
    *out = j->stat;
}

/* ---- the spare segment ---- */

static int zero_piece(struct journal *j, uint64_t size)
{
    static const uint8_t zeros[SPARE_PIECE];
    struct disk *d = j->conf.disk;
    uint64_t left = size - j->spare_at;
    size_t len = left < SPARE_PIECE ? (size_t)left : SPARE_PIECE;
    int err = 0;

    if (j->spare < 0) {
        j->spare = d->open(d, spare_name, DISK_CREATE);
        if (j->spare < 0)
            return j->spare;
        err = d->truncate(d, j->spare, 0);
    }
    if (err == 0)
        err = disk_write_all(d, j->spare, zeros, len, j->spare_at);
    if (err == 0)
        err = d->sync(d, j->spare);
    if (err == 0)
        j->spare_at += len;
    return err;
}

static int make_spare(struct journal *j, uint64_t size)
{
    int err = 0;

    while (err == 0 && j->spare_at < size)
        err = zero_piece(j, size);
    j->spare_ready = err == 0;
    return err;
}

/* Is there less room than should be? A disk that cannot tell has room. */
static bool below_floor(struct journal *j)
{
    int64_t space = j->conf.disk->space(j->conf.disk);

    j->since_check = 0;
    return space >= 0 && (uint64_t)space < j->conf.floor_bytes;
}

bool journal_prepare(struct journal *j)
{
    int err = 0;

    if (j->stat.full || j->since_check >= SPACE_CHECK || !j->spare_ready)
        j->stat.full = below_floor(j);
    if (j->spare_ready)
        return false;
    err = zero_piece(j, j->conf.segment_bytes);
    if (err != 0) {
        j->stat.full = true; /* whatever it is: the next segment cannot be made now */
        return false;
    }
    j->spare_ready = j->spare_at >= j->conf.segment_bytes;
    return !j->spare_ready;
}

/* ---- writing ---- */

/* In the segment before the last one: that there is one behind it. */
static int name_last(struct journal *j)
{
    size_t len = j->segments.len;
    int err = len < 2 ? 0 : set_next(j, len - 2, j->segments.at[len - 1]);

    return err == -ENOENT ? 0 : err; /* a snapshot has what it held */
}

/* Begin a segment that has room for a record of need bytes. */
static int next_segment(struct journal *j, size_t need)
{
    struct disk *d = j->conf.disk;
    uint64_t size = j->conf.segment_bytes;
    uint8_t header[SEGMENT_HEADER];
    char name[SNAPSHOT_NAME];
    int err = 0;

    if (size < SEGMENT_HEADER + need)
        size = (SEGMENT_HEADER + need + 4095) & ~(uint64_t)4095;
    err = make_spare(j, size);
    if (err != 0)
        return err;
    segment_header(header, &(struct segment){.store = j->store.log,
                                             .first = j->stat.index + 1,
                                             .epoch = j->stat.epoch,
                                             .flush = j->stat.flush,
                                             .state = STATE_VERSION,
                                             .size = (uint32_t)size});
    file_name(name, "log", j->stat.index + 1);
    err = disk_write_all(d, j->spare, header, sizeof header, 0);
    if (err == 0)
        err = d->sync(d, j->spare);
    if (err == 0)
        err = d->rename(d, spare_name, name);
    if (err == 0)
        err = d->sync_dir(d);
    if (err != 0)
        return err;
    j->file = j->spare;
    j->file_size = j->spare_at;
    j->at = SEGMENT_HEADER;
    j->spare = -1;
    j->spare_at = 0;
    j->spare_ready = false;
    j->named = false;
    add_number(&j->segments, j->stat.index + 1);
    return 0;
}

/* Nothing in the last segment may be answered while its loss would not be noticed. */
static int name_segment(struct journal *j)
{
    int err = j->named ? 0 : note_written(j);

    if (err == 0 && !j->named)
        err = name_last(j);
    j->named = err == 0;
    return err;
}

static int sync_file(struct journal *j)
{
    return RV_MUTANT(ACK_BEFORE_SYNC) ? 0 : j->conf.disk->sync(j->conf.disk, j->file);
}

static int flush(struct journal *j)
{
    int err = sync_file(j);

    if (err == 0)
        j->stat.flush++;
    return err;
}

/* The file is full: what is in it must be on the disk before there is another. */
static int end_segment(struct journal *j)
{
    int err = flush(j);

    if (err != 0)
        return err;
    j->conf.disk->close(j->conf.disk, j->file);
    j->file = -1;
    return 0;
}

/* Seal as many records as fit into the segment, from *done on; where they end. */
static size_t seal_some(struct journal *j, struct rv_buf *group, size_t done, bool sync)
{
    size_t end = done;
    size_t last = done;

    while (end < group->len) {
        size_t size = record_size(group->data + end);

        if (j->at + (end - done) + size > j->file_size)
            break;
        last = end;
        record_seal(group->data + end, j->stat.flush, 0);
        end += size;
    }
    if (end > done && (sync || end < group->len))
        record_seal(group->data + last, j->stat.flush, RECORD_LAST);
    return end;
}

static int append_some(struct journal *j, struct rv_buf *group, size_t *done, bool sync)
{
    size_t end = 0;
    int err = 0;

    if (j->file < 0)
        err = next_segment(j, record_size(group->data + *done));
    if (err == 0)
        err = name_segment(j);
    if (err != 0)
        return err;
    end = seal_some(j, group, *done, sync);
    err = disk_write_all(j->conf.disk, j->file, group->data + *done, end - *done, j->at);
    if (err != 0)
        return err;
    for (size_t at = *done; at < end; at += record_size(group->data + at))
        j->stat.index = record_index(group->data + at);
    j->at += end - *done;
    j->stat.bytes += end - *done;
    j->since_check += end - *done;
    *done = end;
    return end < group->len ? end_segment(j) : 0;
}

int journal_append(struct journal *j, struct rv_buf *group, size_t *done, bool sync)
{
    int err = 0;

    rv_assert(!j->conf.read_only);
    rv_assert(j->begun || (sync && record_size(group->data) == group->len));
    /* Without a record that says LAST, the flush is not counted. */
    if (sync && group->len == 0)
        return j->file >= 0 ? sync_file(j) : 0;
    while (err == 0 && *done < group->len)
        err = append_some(j, group, done, sync);
    if (err == 0 && sync)
        err = flush(j);
    j->begun = j->begun || err == 0;
    return err;
}

int journal_seal(struct journal *j)
{
    struct rv_buf seal = {0};
    size_t done = 0;
    /* The seal has a flush of its own, so that it proves what is before it. */
    int err = j->file >= 0 ? flush(j) : 0;

    record_add_seal(&seal, j->stat.index + 1, j->stat.epoch);
    if (err == 0)
        err = journal_append(j, &seal, &done, true);
    rv_buf_free(&seal);
    return err;
}

/* ---- snapshots ---- */

int journal_snapshot(struct disk *d, const struct mgr *mgr, struct snapshot *s)
{
    return snapshot_write(d, temporary_name, mgr, s);
}

bool journal_read_snapshot(struct disk *d, struct snapshot *out, struct rv_buf *state)
{
    return snapshot_read(d, temporary_name, out, state) == NULL;
}

int journal_adopt(struct disk *d, const struct snapshot *s)
{
    char name[SNAPSHOT_NAME];
    int err = 0;

    file_name(name, "snap", s->index);
    err = d->rename(d, temporary_name, name);
    return err == 0 ? d->sync_dir(d) : err;
}

static int delete_file(struct journal *j, const char *kind, uint64_t number)
{
    char name[SNAPSHOT_NAME];
    int err = 0;

    file_name(name, kind, number);
    err = j->conf.disk->unlink(j->conf.disk, name);
    return err == -ENOENT ? 0 : err;
}

int journal_snapshotted(struct journal *j, const struct snapshot *s, uint64_t covered)
{
    int err = list_files(j);
    size_t kept = 0;

    j->stat.snapshot_index = s->index;
    j->stat.snapshot_bytes = s->len;
    j->stat.bytes -= covered;
    if (err != 0 || j->snapshots.len < SNAPSHOTS_KEPT)
        return err;
    for (size_t i = 0; i + SNAPSHOTS_KEPT < j->snapshots.len && err == 0; i++)
        err = delete_file(j, "snap", j->snapshots.at[i]);
    kept = first_needed(j, j->snapshots.at[j->snapshots.len - SNAPSHOTS_KEPT]);
    for (size_t i = 0; i < kept && err == 0; i++)
        err = delete_file(j, "log", j->segments.at[i]);
    return err;
}

void journal_close(struct journal **out)
{
    struct journal *j = *out;

    if (j == NULL)
        return;
    if (j->file >= 0)
        j->conf.disk->close(j->conf.disk, j->file);
    if (j->spare >= 0)
        j->conf.disk->close(j->conf.disk, j->spare);
    free(j->segments.at);
    free(j->snapshots.at);
    free(j);
    *out = NULL;
}
