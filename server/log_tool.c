#include "server/log_tool.h"

#include "common/net/net.h"
#include "server/core/journal.h"
#include "server/core/save.h"
#include "server/disk_dir.h"
#include "server/log_dump.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    EXIT_OPERATOR = 100,
    TRIES = 3, /* a manager that serves deletes files that a snapshot has made useless */
    SNAPSHOTS_MAX = 16,
};

/* what: "verify the log in". */
static int fail(const char *what, const char *folder, const char *why)
{
    fprintf(stderr, "reeve-server: fatal: cannot %s the folder %s: %s\n", what, folder, why);
    return EXIT_OPERATOR;
}

/* ---- reading ---- */

struct reader {
    struct mgr *mgr; /* what was read so far */
    struct rv_id store;
    struct outbox out;
    struct rv_buf lines; /* what the last try has to tell */
    struct journal_stat stat;
    bool dump;
    uint64_t upto;   /* enough with this record; 0: all */
    uint64_t last;   /* record that was read */
    uint64_t dumped; /* and told of */
    uint64_t snapshots[SNAPSHOTS_MAX];
    size_t snapshots_len;
};

static struct mgr *new_mgr(const struct rv_id *store)
{
    return mgr_new(
        &(struct mgr_conf){.store = *store, .server = "reeve-server", .durable = "sync"});
}

static bool on_load(void *arg, const struct snapshot *s, struct rv_slice state)
{
    struct reader *r = arg;

    r->last = s->index;
    return mgr_load(r->mgr, state);
}

/* A folder that could not be read is read again from its beginning. What was told is not told twice. */
static void dump(struct reader *r, const struct record *rec, const struct command *cmd)
{
    if (rec->index <= r->dumped)
        return;
    if (r->last != 0 && rec->index > r->last + 1)
        log_dump_seal(rec->index - 1);
    log_dump(rec, cmd);
    r->dumped = rec->index;
}

static bool on_command(void *arg, const struct record *rec, const struct command *cmd)
{
    struct reader *r = arg;

    if (r->dump)
        dump(r, rec, cmd);
    mgr_step(r->mgr, cmd, &r->out);
    outbox_clear(&r->out);
    r->last = rec->index;
    return r->upto == 0 || rec->index < r->upto;
}

static void on_line(void *arg, int level, const char *text)
{
    struct reader *r = arg;

    (void)level;
    rv_buf_add(&r->lines, text, strlen(text));
    rv_buf_add(&r->lines, "\n", 1);
}

static void on_name(void *arg, const char *name)
{
    struct reader *r = arg;
    unsigned long long index = 0;
    char end = 0;

    if (strlen(name) == 21 && sscanf(name, "snap.%16llx%c", &index, &end) == 1 &&
        r->snapshots_len < SNAPSHOTS_MAX)
        r->snapshots[r->snapshots_len++] = index;
}

/* Everything in the folder, into r->mgr. */
static bool read_once(struct disk *d, struct reader *r, char *why)
{
    struct journal *j = NULL;
    bool ok = journal_open(
        &j, &(struct journal_conf){.disk = d, .read_only = true, .sink = {on_line, r}}, why);

    if (!ok)
        return false;
    r->store = *journal_store(j);
    r->mgr = new_mgr(&r->store);
    ok = journal_replay(
        j, &(struct journal_replay){.arg = r, .load = on_load, .command = on_command}, why);
    journal_stat(j, &r->stat);
    r->stat.epoch--; /* of the last life, not of this look at it */
    journal_close(&j);
    return ok;
}

static bool read_folder(struct disk *d, struct reader *r, char *why)
{
    bool ok = false;

    for (int i = 0; i < TRIES && !ok; i++) {
        rv_buf_clear(&r->lines);
        r->mgr = NULL; /* loaded in part: it cannot be freed */
        r->last = 0;
        ok = read_once(d, r, why);
    }
    if (!ok)
        r->mgr = NULL;
    if (r->lines.len > 0)
        fwrite(r->lines.data, 1, r->lines.len, stderr);
    rv_buf_free(&r->lines);
    return ok;
}

/* ---- verify ---- */

static uint32_t hash_of(const struct mgr *mgr, uint64_t *len)
{
    struct saver saver = {0};

    mgr_save(mgr, &saver);
    *len = saver.len;
    return saver.hash;
}

/* Is the snapshot the state that a replay from the one before it gives? */
static bool verify_snapshot(struct disk *d, const struct reader *all, uint64_t index, char *why)
{
    struct reader r = {.mgr = new_mgr(&all->store), .upto = index};
    struct snapshot s;
    struct rv_buf state = {0};
    char name[SNAPSHOT_NAME];
    const char *what = NULL;
    uint64_t len = 0;
    bool same = false;

    snprintf(name, sizeof name, "snap.%016llx", (unsigned long long)index);
    what = snapshot_read(d, name, &s, &state);
    rv_buf_free(&state);
    if (what != NULL) {
        snprintf(why, JOURNAL_WHY, "the file %s %s", name, what);
        return false;
    }
    if (!journal_reread(&(struct journal_conf){.disk = d, .read_only = true}, index,
                        &(struct journal_replay){.arg = &r, .load = on_load, .command = on_command},
                        why) ||
        r.last != index) {
        printf("%s: whole; what made it is not in the log any more\n", name);
        return true;
    }
    same = hash_of(r.mgr, &len) == s.hash && len == s.len;
    mgr_free(&r.mgr);
    outbox_free(&r.out);
    if (same)
        printf("%s: %llu bytes, hash %08x, as a replay makes it\n", name, (unsigned long long)s.len,
               s.hash);
    else
        snprintf(why, JOURNAL_WHY, "the file %s holds another state than a replay of the log makes",
                 name);
    return same;
}

static void tell(const struct reader *r)
{
    uint64_t len = 0;
    uint32_t hash = hash_of(r->mgr, &len);
    unsigned long long records = (unsigned long long)r->stat.records;
    unsigned long long bytes = (unsigned long long)r->stat.bytes;

    printf("store ");
    for (size_t i = 0; i < sizeof r->store.bytes; i++)
        printf("%02x", r->store.bytes[i]);
    printf("\nlife %llu, %s\n", (unsigned long long)r->stat.epoch,
           r->stat.sealed       ? "ended in order"
           : records > 0        ? "ended suddenly, or not yet"
           : r->stat.index == 0 ? "not begun yet"
                                : "not begun again since the snapshot");
    if (r->stat.snapshot_index == 0)
        printf("no snapshot, %llu records (%llu bytes)\n", records, bytes);
    else
        printf("snapshot %llu (%llu bytes), %llu records behind it (%llu bytes)\n",
               (unsigned long long)r->stat.snapshot_index,
               (unsigned long long)r->stat.snapshot_bytes, records, bytes);
    printf("state %llu bytes, hash %08x: %zu sessions, %zu objects\n", (unsigned long long)len,
           hash, mgr_sessions(r->mgr), mgr_objects(r->mgr));
}

/* ---- copies ---- */

struct names {
    bool log; /* a file of one */
    bool other;
};

static void on_any_name(void *arg, const char *name)
{
    struct names *names = arg;
    bool log = strcmp(name, "store") == 0 || strncmp(name, "log.", 4) == 0 ||
               strncmp(name, "snap.", 5) == 0;

    names->log = names->log || log;
    names->other = names->other || !log;
}

static bool is_empty(struct disk *d, char *why)
{
    struct names names = {0};
    int err = d->list(d, on_any_name, &names);

    if (err == 0 && !names.log && !names.other)
        return true;
    snprintf(why, JOURNAL_WHY, "%s",
             err != 0    ? strerror(-err)
             : names.log ? "there is a log already; say an empty folder, or one that is to be made"
                         : "it is not empty; say another one, which may yet be made");
    return false;
}

/* What was read becomes a folder with one snapshot. The last thing that is written is the name of
 * the store: without it, it is no log. */
static bool write_copy(const struct reader *r, struct disk *to, const struct rv_id *store,
                       char *why)
{
    struct snapshot s = {.store = *store,
                         .index = r->stat.index,
                         .epoch = r->stat.epoch,
                         .flush = r->stat.flush,
                         .at = r->stat.at};
    uint8_t bytes[STORE_BYTES];
    int err = journal_snapshot(to, r->mgr, &s);

    if (err == 0)
        err = journal_adopt(to, &s);
    store_write(bytes, &(struct store){.id = *store, .log = *store});
    if (err == 0)
        err = disk_put(to, "store", "store.tmp", rv_slice(bytes, sizeof bytes));
    if (err != 0)
        snprintf(why, JOURNAL_WHY, "%s", strerror(-err));
    return err == 0;
}

static int copy(const struct reader *r, const char *to, bool restore)
{
    struct rv_id store = r->store;
    struct disk *d = NULL;
    char why[JOURNAL_WHY] = "";
    int err = 0;
    bool ok = false;

    err = disk_dir_open(&d, to, true, true);
    if (err != 0)
        return fail("write a copy to", to,
                    err == -EWOULDBLOCK ? "a reeve-server has it" : strerror(-err));
    /* Time went back for those who knew the old one: to them it must be another store. */
    if (restore)
        rv_random_bytes(&store, sizeof store);
    ok = is_empty(d, why) && write_copy(r, d, &store, why);
    disk_dir_close(&d);
    if (!ok)
        return fail("write a copy to", to, why);
    printf("%s: records up to %llu\n", to, (unsigned long long)r->stat.index);
    return 0;
}

/* ---- what was asked for ---- */

static void end_dump(const struct reader *r)
{
    if (r->stat.sealed)
        log_dump_seal(r->stat.index);
    else if (r->stat.records == 0 && r->stat.snapshot_index != 0)
        fprintf(stderr, "reeve-server: no commands behind snapshot %llu, which holds the state\n",
                (unsigned long long)r->stat.snapshot_index);
}

enum what { VERIFY, STAT, DUMP, BACKUP, RESTORE };

static const struct {
    const char *word;
    const char *in_words; /* cannot ... the folder */
} whats[] = {
    [VERIFY] = {"verify", "verify the log in"},    [STAT] = {"stat", "read the log in"},
    [DUMP] = {"dump", "read the log in"},          [BACKUP] = {"backup", "read the log in"},
    [RESTORE] = {"restore", "read the backup in"},
};

static int verify(struct disk *d, struct reader *r, const char *data)
{
    char why[JOURNAL_WHY];

    (void)d->list(d, on_name, r);
    for (size_t i = 0; i < r->snapshots_len; i++)
        if (!verify_snapshot(d, r, r->snapshots[i], why))
            return fail(whats[VERIFY].in_words, data, why);
    tell(r);
    if (r->stat.index == 0)
        printf("empty: nothing was written to it yet, or its files are gone\n");
    else
        printf("whole: all was read and replayed, up to record %llu%s\n",
               (unsigned long long)r->stat.index,
               r->stat.cut > 0 ? "; the write behind it was torn, and had not been answered" : "");
    return 0;
}

static int answer(enum what what, struct disk *d, struct reader *r, const char *data,
                  const char *to)
{
    switch (what) {
    case VERIFY:
        return verify(d, r, data);
    case BACKUP:
    case RESTORE:
        return copy(r, to, what == RESTORE);
    case STAT:
        tell(r);
        break;
    case DUMP:
        end_dump(r);
        break;
    }
    return 0;
}

static int misused(const char *text)
{
    fprintf(stderr, "reeve-server: fatal: %s; see reeve-server --help\n", text);
    return EXIT_OPERATOR;
}

int log_tool(const char *word, const char *data, const char *to)
{
    struct reader r = {0};
    struct disk *d = NULL;
    char why[JOURNAL_WHY];
    size_t what = 0;
    int err = 0;
    int code = 0;

    while (what < rv_countof(whats) && strcmp(whats[what].word, word) != 0)
        what++;
    if (what == rv_countof(whats))
        return misused("--log can be verify, stat, dump, backup or restore");
    if (data == NULL)
        return misused("--log wants --data: the folder to look at");
    if ((what == BACKUP || what == RESTORE) != (to != NULL))
        return misused("--log backup and restore, and nothing else, want --to: where to write");
    err = disk_dir_open(&d, data, false, false);
    if (err != 0)
        return fail(whats[what].in_words, data, strerror(-err));
    r.dump = what == DUMP;
    code = read_folder(d, &r, why) ? answer((enum what)what, d, &r, data, to)
                                   : fail(whats[what].in_words, data, why);
    mgr_free(&r.mgr);
    outbox_free(&r.out);
    disk_dir_close(&d);
    return code;
}
