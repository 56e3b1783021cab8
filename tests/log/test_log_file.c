/* The log with its thread: order and levels, a disk that fails or fills up, snapshots of a real
 * folder. */

#include "server/core/save.h"
#include "server/disk_dir.h"
#include "server/log_file.h"
#include "tests/lib/check.h"
#include "tests/lib/disk_mem.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

struct world {
    struct disk *disk;
    const char *folder;
    uint64_t snapshot_bytes;
    struct rv_log *log;
    struct mgr *mgr;
    struct outbox out;
    uint64_t committed; /* `first` of the command that was committed last */
    uint64_t wrong;     /* commands that were not the next one */
    bool full, was_full;
    char failed[256];
    uint64_t snapshots, bad; /* lines that said so */
};

static void on_commit(void *arg, const struct command *cmd)
{
    struct world *w = arg;

    mgr_step(w->mgr, cmd, &w->out);
    outbox_clear(&w->out);
    if (cmd->type != COMMAND_PAUSE)
        return;
    w->wrong += cmd->first != w->committed + 1;
    w->committed = cmd->first;
}

static void on_space(void *arg, bool full)
{
    struct world *w = arg;

    w->full = full;
    w->was_full = w->was_full || full;
}

static void on_failed(void *arg, const char *why)
{
    struct world *w = arg;

    snprintf(w->failed, sizeof w->failed, "%s", why);
}

static void on_line(void *arg, int level, const char *text)
{
    struct world *w = arg;

    (void)level;
    w->snapshots += strncmp(text, "snapshot.ok", 11) == 0;
    w->bad += strncmp(text, "snapshot.fail", 13) == 0;
}

static bool try_start(struct world *w, bool repair, char *why)
{
    return rv_log_file_open(
        &w->log, &w->mgr,
        &(struct rv_log_file_conf){.folder = w->folder,
                                   .disk = w->disk,
                                   .segment_bytes = 65536,
                                   .floor_bytes = 65536,
                                   .snapshot_bytes = w->snapshot_bytes,
                                   .repair = repair,
                                   .now = RV_SEC,
                                   .sink = {on_line, w}},
        &(struct mgr_conf){.server = "test", .durable = "sync"},
        &(struct rv_log_callbacks){
            .committed = on_commit, .arg = w, .space = on_space, .failed = on_failed},
        why);
}

static void start(struct world *w)
{
    char why[JOURNAL_WHY];

    CHECK(try_start(w, false, why));
}

static void stop(struct world *w)
{
    rv_log_close(&w->log);
    mgr_free(&w->mgr);
    outbox_free(&w->out);
}

/* Number `first` of those that are counted; it changes little. */
static void add(struct world *w, uint64_t first, uint8_t durable)
{
    rv_log_add(w->log, &(struct command){.type = COMMAND_PAUSE,
                                         .logged = true,
                                         .durable = durable,
                                         .at = RV_SEC * 2,
                                         .first = first});
}

static void add_read(struct world *w, uint64_t first)
{
    rv_log_add(w->log, &(struct command){.type = COMMAND_PAUSE, .at = RV_SEC * 2, .first = first});
}

static void turn(struct world *w)
{
    struct pollfd p = {.fd = rv_log_pollfd(w->log), .events = POLLIN};

    rv_log_flush(w->log);
    poll(&p, 1, 1000);
    rv_log_process(w->log);
}

static uint32_t hash_of(const struct world *w)
{
    struct saver saver = {0};

    mgr_save(w->mgr, &saver);
    return saver.hash;
}

TEST(commands_are_committed_in_their_order_whatever_they_ask_for)
{
    struct disk_mem disk;
    struct world w = {.disk = &disk.disk, .folder = "nowhere"};

    disk_mem_init(&disk);
    start(&w);
    add(&w, 1, RV_DURABLE_NONE);
    CHECK(w.committed == 1); /* nothing waits before it */
    add(&w, 2, RV_DURABLE_SYNC);
    add(&w, 3, RV_DURABLE_NONE);
    add_read(&w, 4);
    CHECK(w.committed == 1); /* they wait for the second one */
    while (w.committed < 4)
        turn(&w);
    for (uint64_t i = 5; i <= 2000; i++) {
        add(&w, i, (uint8_t)(RV_DURABLE_NONE + i % 3));
        if (i % 7 == 0)
            turn(&w);
    }
    while (w.committed < 2000)
        turn(&w);
    CHECK(w.wrong == 0);
    stop(&w);
    disk_mem_free(&disk);
}

TEST(next_start_has_what_was_committed)
{
    struct disk_mem disk;
    struct world w = {.disk = &disk.disk, .folder = "nowhere"};
    struct rv_log_stat stat;

    disk_mem_init(&disk);
    start(&w);
    for (uint64_t i = 1; i <= 500; i++)
        add(&w, i, RV_DURABLE_OS);
    while (w.committed < 500)
        turn(&w);
    rv_log_stat(w.log, &stat);
    CHECK(stat.groups > 0 && stat.groups < 500 && stat.records == 501);
    stop(&w);
    start(&w);
    CHECK(mgr_now(w.mgr) == RV_SEC * 2); /* time goes on, whatever the clock says */
    stop(&w);
    disk_mem_free(&disk);
}

/* The third flush of the group fails: its command is not committed, and nothing after it. */
TEST(failed_flush_is_the_end)
{
    struct disk_mem disk;
    struct world w = {.disk = &disk.disk, .folder = "nowhere"};
    uint64_t committed = 0;

    disk_mem_init(&disk);
    start(&w);
    for (uint64_t i = 1; i <= 20; i++) {
        add(&w, i, RV_DURABLE_SYNC);
        while (w.committed < i)
            turn(&w);
    }
    committed = w.committed;
    disk.kill_at = disk.ops + 1; /* every call fails from now on */
    add(&w, 21, RV_DURABLE_SYNC);
    while (w.failed[0] == '\0')
        turn(&w);
    CHECK(w.committed == committed);
    CHECK(strstr(w.failed, "cannot write the log") != NULL);
    disk_mem_free(&disk);
    _exit(0); /* as the manager does */
}

/* The writer waits for room; what was not answered is answered when there is some. */
TEST(full_disk_is_told_and_waited_for)
{
    struct disk_mem disk;
    struct world w = {.disk = &disk.disk, .folder = "nowhere"};
    uint64_t sent = 0;

    disk_mem_init(&disk);
    start(&w);
    while (w.committed < 100) {
        add(&w, ++sent, RV_DURABLE_SYNC);
        turn(&w);
    }
    disk.room = 3 * 65536; /* the spare one and a bit */
    while (!w.was_full) {
        add(&w, ++sent, RV_DURABLE_SYNC);
        turn(&w);
    }
    disk.room = UINT64_MAX;
    while (w.full || w.committed < sent)
        turn(&w);
    CHECK(w.wrong == 0);
    stop(&w);
    disk_mem_free(&disk);
}

static bool has_spare(struct disk *d)
{
    int file = d->open(d, "spare", DISK_READ);
    int64_t size = file < 0 ? file : d->size(d, file);

    if (file >= 0)
        d->close(d, file);
    return size == 65536;
}

/* Also when the next segment is there from before, so that nothing is needed at once. */
TEST(full_disk_is_told_at_the_start)
{
    struct disk_mem disk;
    struct world w = {.disk = &disk.disk, .folder = "nowhere"};

    disk_mem_init(&disk);
    do { /* the writer makes it when it finds the time */
        start(&w);
        add(&w, w.committed + 1, RV_DURABLE_SYNC);
        turn(&w);
        stop(&w);
    } while (!has_spare(&disk.disk));
    disk.room = 65536 - 1;
    start(&w);
    for (int i = 0; i < 10 && !w.was_full; i++)
        turn(&w);
    CHECK(w.was_full);
    disk.room = UINT64_MAX;
    while (w.full)
        turn(&w);
    stop(&w);
    disk_mem_free(&disk);
}

static void remove_one(void *arg, const char *name)
{
    struct disk *d = arg;

    d->unlink(d, name);
}

static void remove_files(struct disk *d)
{
    d->list(d, remove_one, d);
}

/* A copy of the process writes the state down and proves it by a replay; old segments go. */
TEST(snapshots_are_taken_and_proven_while_the_log_goes_on)
{
    char folder[] = "/tmp/reeve-log-XXXXXX";
    struct world w = {.folder = folder, .snapshot_bytes = 100000};
    struct rv_log_stat stat;
    uint64_t sent = 0;
    uint32_t hash = 0;

    CHECK(mkdtemp(folder) != NULL);
    CHECK(disk_dir_open(&w.disk, folder, false, true) == 0);
    start(&w);
    while (w.snapshots < 4 && w.bad == 0) {
        for (int i = 0; i < 200; i++)
            add(&w, ++sent, RV_DURABLE_OS);
        turn(&w);
    }
    CHECK(w.bad == 0);
    while (w.committed < sent)
        turn(&w);
    rv_log_stat(w.log, &stat);
    CHECK(stat.snapshots == 4 && stat.snapshot_bytes > 0);
    hash = hash_of(&w);
    stop(&w);
    start(&w);
    CHECK(hash != hash_of(&w)); /* it has been restarted, which is part of the state */
    stop(&w);
    remove_files(w.disk);
    disk_dir_close(&w.disk);
    CHECK(rmdir(folder) == 0);
}

struct names {
    char text[16][32];
    size_t len;
};

static void keep_segment(void *arg, const char *name)
{
    struct names *names = arg;

    if (strncmp(name, "log.", 4) == 0 && names->len < rv_countof(names->text))
        snprintf(names->text[names->len++], 32, "%s", name);
}

static size_t delete_segments(struct disk *d)
{
    struct names names = {.len = 0};

    CHECK(d->list(d, keep_segment, &names) == 0);
    for (size_t i = 0; i < names.len; i++)
        CHECK(d->unlink(d, names.text[i]) == 0);
    return names.len;
}

/* Somebody tidied up. That must not pass for a folder that was never used. */
TEST(log_whose_segments_are_gone_is_no_beginning)
{
    struct disk_mem disk;
    struct world w = {.disk = &disk.disk, .folder = "nowhere"};
    char why[JOURNAL_WHY] = "";
    struct journal *j = NULL;
    struct rv_id before;

    disk_mem_init(&disk);
    start(&w);
    for (uint64_t i = 1; i <= 10; i++)
        add(&w, i, RV_DURABLE_SYNC);
    while (w.committed < 10)
        turn(&w);
    stop(&w);
    CHECK(journal_open(&j, &(struct journal_conf){.disk = w.disk, .read_only = true}, why));
    before = *journal_store(j);
    journal_close(&j);

    CHECK(delete_segments(w.disk) == 1);
    CHECK(!try_start(&w, false, why));
    CHECK(strstr(why, "all its files log.* are gone") != NULL);
    CHECK(strstr(why, "--repair truncate begins with nothing") != NULL);
    CHECK(!journal_open(&j, &(struct journal_conf){.disk = w.disk, .read_only = true}, why));

    w.committed = 0;
    CHECK(try_start(&w, true, why));
    add(&w, 1, RV_DURABLE_SYNC);
    while (w.committed < 1)
        turn(&w);
    stop(&w);
    CHECK(journal_open(&j, &(struct journal_conf){.disk = w.disk, .read_only = true}, why));
    CHECK(!rv_id_equal(&before, journal_store(j)));
    journal_close(&j);
    start(&w);
    CHECK(w.wrong == 0);
    stop(&w);
    disk_mem_free(&disk);
}

static void store_of(struct world *w, struct rv_id *id)
{
    char why[JOURNAL_WHY];
    struct journal *j = NULL;

    CHECK(journal_open(&j, &(struct journal_conf){.disk = w->disk, .read_only = true}, why));
    *id = *journal_store(j);
    journal_close(&j);
}

/* All but the last so many that the manager committed. */
static void lose_segments(size_t lost, size_t *made)
{
    struct disk_mem disk;
    struct world w = {.disk = &disk.disk, .folder = "nowhere"};
    struct names names = {.len = 0};
    struct rv_id before;
    struct rv_id after;
    char why[JOURNAL_WHY] = "";

    disk_mem_init(&disk);
    start(&w);
    for (uint64_t i = 1; i <= 4000; i++) {
        add(&w, i, RV_DURABLE_SYNC);
        if (i % 100 == 0)
            while (w.committed < i)
                turn(&w);
    }
    stop(&w);
    store_of(&w, &before);
    CHECK(w.disk->list(w.disk, keep_segment, &names) == 0);
    *made = names.len;
    CHECK(lost < names.len);
    for (size_t i = names.len - lost; i < names.len; i++)
        CHECK(w.disk->unlink(w.disk, names.text[i]) == 0);

    CHECK(!try_start(&w, false, why));
    CHECK(strstr(why, names.text[names.len - lost]) != NULL && strstr(why, "is gone") != NULL);
    CHECK(strstr(why, "--repair truncate") != NULL);

    w.committed = 0;
    CHECK(try_start(&w, true, why));
    add(&w, 1, RV_DURABLE_SYNC);
    while (w.committed < 1)
        turn(&w);
    stop(&w);
    store_of(&w, &after);
    CHECK(!rv_id_equal(&before, &after)); /* time went back for who knew the rest */
    start(&w);
    CHECK(w.wrong == 0);
    stop(&w);
    store_of(&w, &before);
    CHECK(rv_id_equal(&before, &after));
    disk_mem_free(&disk);
}

/* The first of them is whole, and so could be all that there ever was. */
TEST(log_whose_last_segments_are_gone_is_refused)
{
    size_t made = 2;

    for (size_t lost = 1; lost < made; lost++)
        lose_segments(lost, &made);
    CHECK(made > 3);
}

struct seen {
    uint64_t commands, last;
};

static bool see(void *arg, const struct record *rec, const struct command *cmd)
{
    struct seen *seen = arg;

    (void)rec;
    seen->commands++;
    seen->last = cmd->first;
    return true;
}

/* What there is to be read, in a few words. */
static void read_folder(const char *folder, bool ahead, char out[static JOURNAL_WHY + 64])
{
    struct seen seen = {0};
    struct disk *d = NULL;
    char why[JOURNAL_WHY] = "";
    bool ok = false;

    CHECK(disk_dir_open(&d, folder, false, false) == 0);
    if (ahead)
        disk_dir_read_ahead(d);
    ok = journal_reread(&(struct journal_conf){.disk = d}, 0,
                        &(struct journal_replay){.arg = &seen, .command = see}, why);
    snprintf(out, JOURNAL_WHY + 64, "%llu %llu %s", (unsigned long long)seen.commands,
             (unsigned long long)seen.last, ok ? "whole" : why);
    disk_dir_close(&d);
}

/* It finds this, with a thread or without. */
static bool finds(const char *folder, const char *wanted)
{
    char plain[JOURNAL_WHY + 64];
    char ahead[JOURNAL_WHY + 64];

    read_folder(folder, false, plain);
    read_folder(folder, true, ahead);
    CHECK(strcmp(plain, ahead) == 0);
    return strstr(ahead, wanted) != NULL;
}

static const char *path_in(const char *folder, const char *name)
{
    static char path[64];

    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static void flip(struct disk *d, const char *name, uint64_t at)
{
    int file = d->open(d, name, DISK_WRITE);
    uint8_t byte = 0;

    CHECK(d->read(d, file, &byte, 1, at) == 1);
    byte ^= 1;
    CHECK(d->write(d, file, &byte, 1, at) == 1);
    d->close(d, file);
}

/* A thread reads the next segment beside the replay; what is found is what is found without it. */
TEST(segments_that_are_read_ahead_are_judged_as_others)
{
    char folder[] = "/tmp/reeve-log-XXXXXX";
    struct world w = {.folder = folder, .snapshot_bytes = 1 << 30};
    struct names names = {.len = 0};

    CHECK(mkdtemp(folder) != NULL);
    CHECK(disk_dir_open(&w.disk, folder, false, true) == 0);
    start(&w);
    for (uint64_t i = 1; i <= 4000; i++) {
        add(&w, i, RV_DURABLE_OS);
        if (i % 100 == 0)
            while (w.committed < i)
                turn(&w);
    }
    stop(&w);
    CHECK(w.disk->list(w.disk, keep_segment, &names) == 0);
    CHECK(names.len > 3);
    CHECK(finds(folder, "4001 4000 whole"));
    for (size_t i = 0; i < names.len; i++) {
        flip(w.disk, names.text[i], 5000);
        CHECK(finds(folder, "is damaged at offset"));
        flip(w.disk, names.text[i], 5000);
        flip(w.disk, names.text[i], 3); /* in the header */
        CHECK(finds(folder, names.text[i]));
        flip(w.disk, names.text[i], 3);
        CHECK(w.disk->rename(w.disk, names.text[i], "away") == 0);
        CHECK(finds(folder, "is "));
        CHECK(mkdir(path_in(folder, names.text[i]), 0700) == 0);
        CHECK(finds(folder, names.text[i]));
        CHECK(rmdir(path_in(folder, names.text[i])) == 0);
        CHECK(w.disk->rename(w.disk, "away", names.text[i]) == 0);
    }
    CHECK(finds(folder, "4001 4000 whole"));
    remove_files(w.disk);
    disk_dir_close(&w.disk);
    CHECK(rmdir(folder) == 0);
}

TEST(folder_belongs_to_one)
{
    char folder[] = "/tmp/reeve-log-XXXXXX";
    struct disk *one = NULL;
    struct disk *two = NULL;

    CHECK(mkdtemp(folder) != NULL);
    CHECK(disk_dir_open(&one, folder, false, true) == 0);
    CHECK(disk_dir_open(&two, folder, false, true) == -EWOULDBLOCK);
    disk_dir_close(&one);
    CHECK(disk_dir_open(&two, folder, false, true) == 0);
    disk_dir_close(&two);
    CHECK(rmdir(folder) == 0);
}
