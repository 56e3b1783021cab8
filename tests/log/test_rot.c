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
