/* Bytes that changed, files that are shorter: found out, or without effect. */

#include "tests/lib/check.h"
#include "tests/log/script.h"

#include <stdio.h>
#include <stdlib.h>

/* A run that was ended in order, or not. */
static void make_log(struct disk_mem *disk, bool sealed, bool snapshots)
{
    struct script_run run = {.disk = disk, .level = SCRIPT_MIXED, .snapshots = snapshots};

    script_make();
    disk_mem_init(disk);
    script_play(&run);
    CHECK(run.error == 0);
    if (!sealed) {
        uint64_t calls = disk->ops;

        disk_mem_free(disk);
        disk_mem_init(disk);
        disk->kill_at = calls - 1; /* its seal is not written */
        run = (struct script_run){.disk = disk, .level = SCRIPT_MIXED, .snapshots = snapshots};
        script_play(&run);
    }
    disk_mem_reopen(disk);
}

/* Refused, or everything is there; of a log that was not sealed, the end may be cut, and that is
 * said. */
static bool harmless(struct disk_mem *disk, bool sealed)
{
    struct script_found found;

    script_recover(disk, true, &found);
    if (!found.ok)
        return found.why[0] != '\0';
    if (!script_knows(&found))
        return false;
    return found.index == script_end() || (!sealed && found.cut > 0);
}

static void flip_all(bool sealed, bool snapshots)
{
    struct disk_mem disk;
    uint64_t flips = 0;

    make_log(&disk, sealed, snapshots);
    for (size_t n = 0; n < disk.names.len; n++) {
        struct disk_mem_file *f = &disk.files[disk.names.at[n].file];

        for (size_t i = 0; i < f->now.len; i++, flips++) {
            uint8_t was = f->now.data[i];

            f->now.data[i] ^= (uint8_t)(1u << i % 8);
            if (!harmless(&disk, sealed)) {
                fprintf(stderr, "%s: byte %zu\n", disk.names.at[n].text, i);
                CHECK(!"a changed byte was taken for the truth");
            }
            f->now.data[i] = was;
        }
    }
    printf("     %llu bytes\n", (unsigned long long)flips);
    disk_mem_free(&disk);
}

TEST(changed_byte_of_a_log_is_found)
{
    flip_all(true, false);
}

TEST(changed_byte_of_a_log_with_snapshots_is_found)
{
    flip_all(true, true);
}

TEST(changed_byte_of_a_log_that_was_not_ended_is_found_or_cut_off)
{
    flip_all(false, false);
}

static void cut_all(bool snapshots)
{
    struct disk_mem disk;

    make_log(&disk, true, snapshots);
    for (size_t n = 0; n < disk.names.len; n++) {
        struct disk_mem_file *f = &disk.files[disk.names.at[n].file];
        size_t len = f->now.len;

        for (f->now.len = 0; f->now.len < len; f->now.len++)
            if (!harmless(&disk, true)) {
                fprintf(stderr, "%s: cut at %zu\n", disk.names.at[n].text, f->now.len);
                CHECK(!"a file that was cut was taken for the truth");
            }
    }
    disk_mem_free(&disk);
}

TEST(shorter_file_is_found)
{
    cut_all(false);
    cut_all(true);
}

TEST(missing_file_is_found)
{
    struct disk_mem disk;

    make_log(&disk, true, true);
    for (size_t n = 0; n < disk.names.len; n++) {
        struct disk_mem copy;

        disk_mem_copy(&copy, &disk);
        CHECK(copy.disk.unlink(&copy.disk, disk.names.at[n].text) == 0);
        /* The last snapshot, and segments that only the older one needs, can be done without. */
        if (!harmless(&copy, true)) {
            fprintf(stderr, "without %s\n", disk.names.at[n].text);
            CHECK(!"what a missing file had is not missed");
        }
        disk_mem_free(&copy);
    }
    disk_mem_free(&disk);
}

/* The operator's word: what is before the damage is kept, and the log goes on from there. */
TEST(repair_cuts_a_damaged_log_and_keeps_what_was_cut)
{
    struct disk_mem disk;
    struct script_found found;
    struct disk_mem_file *f = NULL;
    struct journal *j = NULL;
    struct rv_id other = {{9}};
    char why[JOURNAL_WHY];

    make_log(&disk, true, false);
    f = disk_mem_find(&disk, "log.0000000000000001");
    CHECK(f != NULL);
    f->now.data[2000] ^= 1;
    script_recover(&disk, true, &found);
    CHECK(!found.ok && strstr(found.why, "log.0000000000000001") != NULL);
    CHECK(strstr(found.why, "offset") != NULL && strstr(found.why, "--repair truncate") != NULL);
    CHECK(journal_open(&j,
                       &(struct journal_conf){.disk = &disk.disk,
                                              .segment_bytes = SCRIPT_SEGMENT,
                                              .repair = true,
                                              .new_store = other},
                       why));
    CHECK(journal_replay(j, &(struct journal_replay){0}, why));
    CHECK(rv_id_equal(journal_store(j), &other)); /* to those who know what was cut */
    journal_close(&j);
    disk_mem_reopen(&disk);
    script_recover(&disk, false, &found);
    CHECK(found.ok && found.cut == 0 && found.index > 1 && found.index < script_end());
    CHECK(script_knows(&found));
    disk_mem_free(&disk);
}

/* A file of another reeve, of a later one, of none. */
TEST(unknown_format_is_refused_by_name)
{
    struct disk_mem disk;
    struct script_found found;
    struct disk_mem_file *f = NULL;

    make_log(&disk, true, false);
    f = disk_mem_find(&disk, "log.0000000000000001");
    f->now.data[11] = 2;
    script_recover(&disk, true, &found);
    CHECK(!found.ok && strstr(found.why, "format") != NULL);
    f->now.data[11] = 1;
    f = disk_mem_find(&disk, "store");
    f->now.data[0] = 'X';
    script_recover(&disk, true, &found);
    CHECK(!found.ok && strstr(found.why, "not a file of a reeve log") != NULL);
    disk_mem_free(&disk);
}

/* ---- files that do not belong there ---- */

static void copy_file(struct disk_mem *disk, const char *from, const char *to)
{
    struct disk_mem_file *f = disk_mem_find(disk, from);
    int file = disk->disk.open(&disk->disk, to, DISK_CREATE);

    CHECK(f != NULL && file >= 0);
    f = disk_mem_find(disk, from);
    CHECK(disk_write_all(&disk->disk, file, f->now.data, f->now.len, 0) == 0);
    disk->disk.close(&disk->disk, file);
}

/* The newest file of that kind; the length of its name, which is copied. */
static void newest(const struct disk_mem *disk, const char *kind, char out[40])
{
    out[0] = '\0';
    for (size_t n = 0; n < disk->names.len; n++)
        if (strncmp(disk->names.at[n].text, kind, strlen(kind)) == 0 &&
            strcmp(disk->names.at[n].text, out) > 0)
            snprintf(out, 40, "%s", disk->names.at[n].text);
    CHECK(out[0] != '\0');
}

TEST(files_of_others_in_the_folder_are_left_alone)
{
    static const char *const others[] = {
        "log.1",      "log.000000000000000g",  "log.00000000000000001", "log-0000000000000001",
        "logger.txt", "snap.000000000000zzzz", "cut.0000000000000001",  "README"};
    struct disk_mem disk;
    struct script_found found;

    make_log(&disk, true, true);
    for (size_t i = 0; i < rv_countof(others); i++)
        copy_file(&disk, "store", others[i]);
    script_recover(&disk, true, &found);
    CHECK(found.ok && found.index == script_end() && script_knows(&found));
    for (size_t i = 0; i < rv_countof(others); i++)
        CHECK(disk_mem_find(&disk, others[i]) != NULL);
    disk_mem_free(&disk);
}

/* A file is what its header says, and a name that says something else is no mistake to be passed over. */
TEST(file_under_another_name_is_not_taken_for_what_it_is_called)
{
    struct disk_mem disk;
    struct script_found found;
    char name[40];
    char other[40];

    make_log(&disk, true, false);
    newest(&disk, "log.", name);
    snprintf(other, sizeof other, "%.19sf", name);
    CHECK(strcmp(name, other) < 0);
    CHECK(disk.disk.rename(&disk.disk, name, other) == 0);
    script_recover(&disk, true, &found);
    CHECK(!found.ok);
    disk_mem_free(&disk);

    make_log(&disk, true, true);
    newest(&disk, "snap.", name);
    snprintf(other, sizeof other, "%.20sf", name);
    CHECK(strcmp(name, other) < 0);
    copy_file(&disk, name, other);
    script_recover(&disk, true, &found); /* an older one does, and that is said */
    CHECK(found.ok && found.bad_snapshot && found.index == script_end() && script_knows(&found));
    disk_mem_free(&disk);
}

/* Segments of another folder, under the very names that are missed. */
TEST(files_of_another_log_are_refused)
{
    struct disk_mem disk;
    struct disk_mem other;
    struct script_found found;
    struct rv_id id = {{77}};
    struct journal *j = NULL;
    char why[JOURNAL_WHY];
    struct disk_mem_file *f = NULL;

    make_log(&disk, true, false);
    disk_mem_init(&other);
    CHECK(journal_open(&j,
                       &(struct journal_conf){
                           .disk = &other.disk, .segment_bytes = SCRIPT_SEGMENT, .new_store = id},
                       why));
    CHECK(journal_replay(j, &(struct journal_replay){0}, why));
    journal_close(&j);
    f = disk_mem_find(&other, "store");
    CHECK(f != NULL);
    CHECK(disk_mem_find(&disk, "store")->now.len == f->now.len);
    memcpy(disk_mem_find(&disk, "store")->now.data, f->now.data, f->now.len);
    script_recover(&disk, true, &found);
    CHECK(!found.ok && strstr(found.why, "belongs to another store") != NULL);
    disk_mem_free(&disk);
    disk_mem_free(&other);
}

/* ---- a repair that fails ---- */

static bool repair(struct disk_mem *disk, char *why)
{
    struct journal *j = NULL;
    struct rv_id other = {{9}};
    bool ok = journal_open(&j,
                           &(struct journal_conf){.disk = &disk->disk,
                                                  .segment_bytes = SCRIPT_SEGMENT,
                                                  .repair = true,
                                                  .new_store = other},
                           why);

    ok = ok && journal_replay(j, &(struct journal_replay){0}, why);
    journal_close(&j);
    return ok;
}

enum damage {
    INSIDE,
    HEADER,
    LAST_GONE,
    ALL_GONE,
    BEHIND_SNAPSHOT_GONE,
    BEHIND_SNAPSHOT_HEADER,
    DAMAGES
};

/* It is on the disk. */
static void change_byte(struct disk_mem *disk, const char *name, size_t at)
{
    struct disk_mem_file *f = disk_mem_find(disk, name);

    CHECK(f != NULL && f->now.len > at && f->safe.len > at);
    f->now.data[at] ^= 1;
    f->safe.data[at] ^= 1;
}

static void damage(struct disk_mem *disk, enum damage how)
{
    char snapshot[40];
    char name[40];

    make_log(disk, true, how >= ALL_GONE);
    newest(disk, "log.", name);
    switch (how) {
    case INSIDE:
        change_byte(disk, "log.0000000000000001", 2000);
        break;
    case HEADER:
        change_byte(disk, name, 20);
        break;
    case LAST_GONE:
        CHECK(disk->disk.unlink(&disk->disk, name) == 0);
        break;
    case BEHIND_SNAPSHOT_GONE: /* what is left ends before it */
    case BEHIND_SNAPSHOT_HEADER:
        newest(disk, "snap.", snapshot);
        while (strcmp(strchr(name, '.'), strchr(snapshot, '.')) > 0) {
            CHECK(disk->disk.unlink(&disk->disk, name) == 0);
            newest(disk, "log.", name);
        }
        if (how == BEHIND_SNAPSHOT_HEADER)
            change_byte(disk, name, 20);
        else
            CHECK(disk->disk.unlink(&disk->disk, name) == 0);
        newest(disk, "log.", name);
        break;
    default:
        for (size_t n = disk->names.len; n-- > 0;)
            if (strncmp(disk->names.at[n].text, "log.", 4) == 0) {
                snprintf(name, sizeof name, "%s", disk->names.at[n].text);
                CHECK(disk->disk.unlink(&disk->disk, name) == 0);
            }
    }
    CHECK(disk->disk.sync_dir(&disk->disk) == 0);
}

/* Whatever was done of it: the log is whole, or is repaired now. */
static bool can_be_repaired(struct disk_mem *disk)
{
    struct script_found found;
    char why[JOURNAL_WHY];

    disk_mem_reopen(disk);
    script_recover(disk, true, &found);
    if (found.ok)
        return script_knows(&found);
    if (!repair(disk, why))
        return false;
    disk_mem_reopen(disk);
    script_recover(disk, true, &found);
    return found.ok && script_knows(&found);
}

/* The disk fails at one call after the other: each time that is said, and then the repair is done again. */
TEST(repair_may_fail_at_every_call_and_be_done_again)
{
    uint64_t failures = 0;

    for (enum damage how = INSIDE; how < DAMAGES; how++) {
        struct disk_mem damaged;
        bool more = true;

        damage(&damaged, how);
        for (uint64_t call = 1; more; call++) {
            struct disk_mem disk;
            char why[JOURNAL_WHY] = "";

            disk_mem_copy(&disk, &damaged);
            disk.ops = 0;
            disk.fail_at = call;
            disk.fail_with = EIO;
            if (!repair(&disk, why)) {
                CHECK(why[0] != '\0');
                failures++;
            }
            more = disk.ops >= call;
            CHECK(can_be_repaired(&disk));
            disk_mem_free(&disk);
        }
        disk_mem_free(&damaged);
    }
    CHECK(failures > 20);
}

/* A start, up to the record that says so. The index of the last record before that one, or NOTHING. */
enum { NOTHING = 0 };

static uint64_t start(struct disk_mem *disk, bool repair)
{
    struct journal *j = NULL;
    struct journal_stat stat = {0};
    struct rv_buf group = {0};
    size_t done = 0;
    char why[JOURNAL_WHY];

    if (journal_open(&j,
                     &(struct journal_conf){.disk = &disk->disk,
                                            .segment_bytes = SCRIPT_SEGMENT,
                                            .repair = repair,
                                            .new_store = {{9}}},
                     why) &&
        journal_replay(j, &(struct journal_replay){0}, why)) {
        journal_stat(j, &stat);
        record_add(
            &group, stat.index + 1, stat.epoch,
            &(struct command){
                .type = COMMAND_RESTART, .logged = true, .at = stat.at, .first = stat.epoch});
        (void)journal_append(j, &group, &done, true);
    }
    rv_buf_free(&group);
    journal_close(&j);
    return stat.index;
}

static void end(struct disk_mem *disk, struct rv_rng *power)
{
    if (power != NULL)
        disk_mem_power(disk, power);
    else
        disk_mem_reopen(disk);
}

/* The log can be read, has what it had, and goes on. */
static void check_whole(struct disk_mem *disk, uint64_t index)
{
    struct script_found found;

    script_recover(disk, false, &found);
    if (!found.ok)
        fprintf(stderr, "%s\n", found.why);
    CHECK(found.ok && found.index >= index);
    CHECK(found.index > index || script_knows(&found)); /* more: the record of a start */
}

/* At call number `call` of a start the process is killed, or the power is lost. False: there are fewer. */
static bool crash_at(const struct disk_mem *from, bool repair_first, uint64_t call, int kill,
                     struct rv_rng *power, uint64_t *early)
{
    struct disk_mem disk;
    uint64_t index = NOTHING;
    char why[JOURNAL_WHY];
    bool more = false;

    disk_mem_copy(&disk, from);
    disk.ops = 0;
    disk.kill_at = call;
    disk.kill = (enum disk_mem_kill)kill;
    index = start(&disk, repair_first);
    more = disk.dead;
    end(&disk, power);
    if (index == NOTHING &&
        repair_first) { /* it did not come so far: the operator may say it again */
        struct disk_mem copy;

        disk_mem_copy(&copy, &disk);
        if (start(&copy, false) == NOTHING) {
            ++*early;
            if (!repair(&disk, why)) {
                fprintf(stderr, "%s\n", why);
                CHECK(!"a repair that was cut short cannot be done again");
            }
            disk_mem_reopen(&disk);
        }
        disk_mem_free(&copy);
    }
    check_whole(&disk, index);
    disk_mem_free(&disk);
    return more;
}

static void crash_everywhere(const struct disk_mem *from, bool repair_first, uint64_t *points,
                             uint64_t *early)
{
    struct rv_rng power = {7};
    bool more = true;

    for (uint64_t call = 1; more; call++)
        for (int kill = DISK_MEM_BEFORE; kill <= DISK_MEM_AFTER; kill++) {
            more = crash_at(from, repair_first, call, kill, NULL, early);
            for (int i = 0; i < 8; i++)
                (void)crash_at(from, repair_first, call, kill, &power, early);
            *points += 9;
        }
}

/* The operator's word is needed once. A start that has it, and the next one without it, is killed at every call
 * and loses power there: as soon as the log was read no start refuses it, be there a new record or none. */
TEST(repair_is_asked_for_once)
{
    uint64_t points = 0;
    uint64_t early = 0;

    for (enum damage how = INSIDE; how < DAMAGES; how++) {
        struct disk_mem disk;
        char why[JOURNAL_WHY];

        damage(&disk, how);
        crash_everywhere(&disk, true, &points, &early);
        CHECK(repair(&disk, why));
        disk_mem_power(&disk, NULL);
        crash_everywhere(&disk, false, &points, &early);
        disk_mem_free(&disk);
    }
    printf("     %llu points, %llu of them before the end of the repair\n",
           (unsigned long long)points, (unsigned long long)early);
    CHECK(points > 1000 && early > 0 && early < points / 2);
}

/* A state that its checksum vouches for and that this program cannot load is refused by its name. */
static bool load_nothing(void *arg, const struct snapshot *s, struct rv_slice state)
{
    (void)arg;
    (void)s;
    (void)state;
    return false;
}

TEST(snapshot_that_cannot_be_loaded_is_refused_by_name)
{
    struct disk_mem disk;
    struct journal *j = NULL;
    char why[JOURNAL_WHY];

    make_log(&disk, true, true);
    CHECK(journal_open(&j, &(struct journal_conf){.disk = &disk.disk, .read_only = true}, why));
    CHECK(!journal_replay(j, &(struct journal_replay){.load = load_nothing}, why));
    CHECK(strstr(why, "snap.") != NULL && strstr(why, "cannot load") != NULL);
    journal_close(&j);
    disk_mem_free(&disk);
}
