/* What a log gives back when its process, its disk or the power fails. */

#include "tests/lib/check.h"
#include "tests/log/script.h"

#include <stdio.h>
#include <stdlib.h>

static uint64_t scale(uint64_t usual)
{
    const char *text = getenv("LOG_TORTURE");

    return text == NULL ? usual : usual * strtoull(text, NULL, 10);
}

static uint64_t calls_of(enum script_level level)
{
    struct disk_mem disk;
    struct script_run run = {.disk = &disk, .level = level, .snapshots = true};
    uint64_t calls = 0;

    disk_mem_init(&disk);
    script_play(&run);
    CHECK(run.error == 0);
    calls = disk.ops;
    disk_mem_free(&disk);
    return calls;
}

/* Nothing was done to it: everything is there, and it was ended in order. */
TEST(log_gives_back_what_was_written)
{
    script_make();
    for (int level = SCRIPT_NONE; level < SCRIPT_LEVELS; level++)
        for (int snapshots = 0; snapshots < 2; snapshots++) {
            struct disk_mem disk;
            struct script_run run = {
                .disk = &disk, .level = (enum script_level)level, .snapshots = snapshots != 0};
            struct script_found found;

            disk_mem_init(&disk);
            script_play(&run);
            CHECK(run.error == 0 && run.taken == (snapshots ? 4 : 0));
            disk_mem_reopen(&disk);
            script_recover(&disk, false, &found);
            CHECK(found.ok && found.cut == 0 && found.index == script_end());
            CHECK(script_knows(&found));
            disk_mem_free(&disk);
        }
}

/* The process is killed at each call, before, within and after it. */
TEST(kill_at_every_call_loses_nothing_that_was_acknowledged)
{
    uint64_t points = 0;

    script_make();
    for (int level = SCRIPT_NONE; level < SCRIPT_LEVELS; level++) {
        uint64_t calls = calls_of((enum script_level)level);

        for (uint64_t at = 1; at <= calls; at++)
            for (int how = DISK_MEM_BEFORE; how <= DISK_MEM_AFTER; how++, points++) {
                struct disk_mem disk;
                struct script_run run = {
                    .disk = &disk, .level = (enum script_level)level, .snapshots = true};
                struct script_found found;

                disk_mem_init(&disk);
                disk.kill_at = at;
                disk.kill = (enum disk_mem_kill)how;
                script_play(&run);
                disk_mem_reopen(&disk);
                script_recover(&disk, false, &found);
                CHECK(found.ok);
                CHECK(found.index >= run.written);
                CHECK(script_knows(&found));
                disk_mem_free(&disk);
            }
    }
    printf("     %llu points\n", (unsigned long long)points);
    CHECK(points >= 2000);
}

/* Killed while it reads the log and mends its end: the next start finds the same. */
TEST(kill_during_a_recovery_changes_nothing)
{
    script_make();
    for (uint64_t at = 100; at < calls_of(SCRIPT_SYNC); at += 37)
        for (uint64_t inner = 1; inner < 40; inner++) {
            struct disk_mem disk;
            struct script_run run = {.disk = &disk, .level = SCRIPT_MIXED, .snapshots = true};
            struct script_found found;
            struct journal *j = NULL;
            char why[JOURNAL_WHY];

            disk_mem_init(&disk);
            disk.kill_at = at;
            disk.kill = DISK_MEM_WITHIN;
            script_play(&run);
            disk_mem_reopen(&disk);
            disk.kill_at = inner;
            disk.kill = DISK_MEM_WITHIN;
            if (journal_open(&j,
                             &(struct journal_conf){.disk = &disk.disk,
                                                    .segment_bytes = SCRIPT_SEGMENT,
                                                    .new_store = {{1}}},
                             why))
                (void)journal_replay(j, &(struct journal_replay){0}, why);
            journal_close(&j);
            disk_mem_reopen(&disk);
            script_recover(&disk, false, &found);
            CHECK(found.ok && found.index >= run.written && script_knows(&found));
            disk_mem_free(&disk);
        }
}

/* ---- loss of power ---- */

struct power {
    struct script_run *run;
    struct rv_rng rng;
    uint64_t each; /* states at each call */
    uint64_t states;
};

static void lose_power(void *arg)
{
    struct power *p = arg;

    for (uint64_t i = 0; i < p->each; i++, p->states++) {
        struct disk_mem disk;
        struct script_found found;

        disk_mem_copy(&disk, p->run->disk);
        disk_mem_power(&disk, &p->rng);
        script_recover(&disk, p->states % 8 != 0, &found);
        if (!found.ok) {
            /* Before the folder is a store there is nothing to be found. */
            if (p->run->flushed > 0)
                fprintf(stderr, "after record %llu: %s\n", (unsigned long long)p->run->flushed,
                        found.why);
            CHECK(p->run->flushed == 0);
        } else {
            CHECK(found.index >= p->run->flushed);
            CHECK(script_knows(&found));
        }
        disk_mem_free(&disk);
    }
}

static void power_at(enum script_level level)
{
    struct disk_mem disk;
    struct script_run run = {.disk = &disk, .level = level, .snapshots = true};
    struct power p = {.run = &run, .rng = {(uint64_t)level}, .each = scale(160)};

    script_make();
    disk_mem_init(&disk);
    disk.before = lose_power;
    disk.arg = &p;
    script_play(&run);
    CHECK(run.error == 0);
    disk_mem_free(&disk);
    printf("     %llu states\n", (unsigned long long)p.states);
}

/* Any sectors of what was not flushed, any beginning of the names. */
TEST(loss_of_power_loses_nothing_that_was_flushed)
{
    power_at(SCRIPT_SYNC);
}

TEST(loss_of_power_between_groups_with_and_without_flush)
{
    power_at(SCRIPT_MIXED);
}

TEST(loss_of_power_of_what_was_never_flushed_leaves_a_beginning)
{
    power_at(SCRIPT_OS);
}

/* ---- calls that fail ---- */

static void fail_once(uint64_t at, int error)
{
    struct disk_mem disk;
    struct script_run run = {.disk = &disk, .level = SCRIPT_MIXED, .snapshots = true};
    struct script_found found;

    disk_mem_init(&disk);
    disk.fail_at = at;
    disk.fail_with = error;
    script_play(&run);
    /* A failed call may have done its work, or none: look at what power leaves as well. */
    disk_mem_reopen(&disk);
    script_recover(&disk, false, &found);
    if (found.ok)
        CHECK(found.index >= run.written && script_knows(&found));
    else
        CHECK(run.written == 0);
    disk_mem_free(&disk);
}

TEST(every_call_fails_with_every_error_and_nothing_acknowledged_is_lost)
{
    static const int errors[] = {EIO, ENOSPC, EINTR, EDQUOT, EROFS, DISK_MEM_SHORT};
    uint64_t calls = 0;

    script_make();
    calls = calls_of(SCRIPT_MIXED);
    for (uint64_t at = 1; at <= calls; at++)
        for (size_t e = 0; e < rv_countof(errors); e++)
            fail_once(at, errors[e]);
}

/* What a flush that failed has left on the disk nobody knows. So the run ends with it, and a start
 * writes once more what no later flush has proven. */
TEST(nothing_is_acknowledged_after_a_failed_flush)
{
    uint64_t calls = 0;

    script_make();
    calls = calls_of(SCRIPT_SYNC);
    for (uint64_t at = 1; at <= calls; at++) {
        struct disk_mem disk;
        struct disk_mem copy;
        struct script_run run = {.disk = &disk, .level = SCRIPT_SYNC, .snapshots = false};
        struct rv_rng rng = {at};
        struct script_found found;

        disk_mem_init(&disk);
        disk.fail_at = at;
        disk.fail_with = EIO;
        script_play(&run);
        disk_mem_copy(&copy, &disk);
        disk_mem_power(&copy, &rng);
        script_recover(&copy, true, &found);
        CHECK(found.ok ? found.index >= run.flushed && script_knows(&found) : run.flushed == 0);
        disk_mem_free(&copy);
        disk_mem_free(&disk);
    }
}

/* Short writes and interrupted calls are ordinary. */
TEST(short_writes_and_interruptions_are_no_errors)
{
    script_make();
    for (uint64_t at = 1; at <= calls_of(SCRIPT_SYNC); at++) {
        struct disk_mem disk;
        struct script_run run = {.disk = &disk, .level = SCRIPT_SYNC};

        disk_mem_init(&disk);
        disk.fail_at = at;
        disk.fail_with = DISK_MEM_SHORT;
        script_play(&run);
        CHECK(run.error == 0);
        disk_mem_free(&disk);
    }
}

/* A disk that fills up: what does not fit waits, nothing is lost, and it goes on. */
TEST(full_disk_is_waited_for)
{
    struct disk_mem disk;
    struct script_run run = {.disk = &disk, .level = SCRIPT_SYNC};
    struct script_found found;

    script_make();
    disk_mem_init(&disk);
    disk.room = 5 * SCRIPT_SEGMENT;
    script_play(&run);
    CHECK(run.error == -ENOSPC && run.full > 0);
    disk_mem_reopen(&disk);
    script_recover(&disk, true, &found);
    CHECK(found.ok && found.index >= run.written && script_knows(&found));
    disk_mem_free(&disk);
}
