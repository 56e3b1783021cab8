/* Logs that were written by each format that there was are read by this reeve-server.
 *
 * tests/log/kept/FORMAT-STATE is a folder that the script of script.c made, named by RECORD_FORMAT
 * and STATE_VERSION; `run-log --keep FOLDER` makes it. What was released stays for ever. */

#include "server/disk_dir.h"
#include "tests/lib/check.h"
#include "tests/log/kept.h"
#include "tests/log/script.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static const char kept[] = "tests/log/kept";

static bool on_load(void *arg, const struct snapshot *s, struct rv_slice state)
{
    (void)s;
    return mgr_load(arg, state);
}

static bool on_command(void *arg, const struct record *rec, const struct command *cmd)
{
    struct outbox out = {0};

    (void)rec;
    mgr_step(arg, cmd, &out);
    outbox_free(&out);
    return true;
}

static void read_kept(const char *folder)
{
    struct disk *d = NULL;
    struct journal *j = NULL;
    struct journal_stat stat;
    struct mgr *mgr = mgr_new(&(struct mgr_conf){.server = "script", .durable = "sync"});
    char why[JOURNAL_WHY] = "";

    CHECK(disk_dir_open(&d, folder, false, false) == 0);
    if (!journal_open(&j, &(struct journal_conf){.disk = d, .read_only = true}, why) ||
        !journal_replay(
            j, &(struct journal_replay){.arg = mgr, .load = on_load, .command = on_command}, why)) {
        fprintf(stderr, "%s: %s\n", folder, why);
        CHECK(!"a kept log can be read");
    }
    mgr_check(mgr);
    journal_stat(j, &stat);
    CHECK(stat.sealed && stat.index == SCRIPT_COMMANDS + 1);
    CHECK(mgr_sessions(mgr) == 3 && mgr_objects(mgr) == SCRIPT_OBJECTS);
    journal_close(&j);
    disk_dir_close(&d);
    mgr_free(&mgr);
}

TEST(kept_logs_of_every_format_are_read)
{
    DIR *dir = opendir(kept);
    const struct dirent *entry = NULL;
    bool ours = false;
    char own[32];

    CHECK(dir != NULL); /* run it from the root of the tree */
    snprintf(own, sizeof own, "%d-%d", (int)RECORD_FORMAT, (int)STATE_VERSION);
    while ((entry = readdir(dir)) != NULL) {
        char path[512];

        if (entry->d_name[0] == '.')
            continue;
        snprintf(path, sizeof path, "%s/%s", kept, entry->d_name);
        read_kept(path);
        ours = ours || strcmp(entry->d_name, own) == 0;
    }
    closedir(dir);
    CHECK(ours); /* what is written now is kept, too */
}

int kept_make(const char *folder)
{
    struct disk_mem disk;
    struct script_run run = {.disk = &disk, .level = SCRIPT_MIXED, .snapshots = true};

    script_make();
    disk_mem_init(&disk);
    script_play(&run);
    if (run.error != 0 || mkdir(folder, 0755) != 0)
        return 1;
    for (size_t i = 0; i < disk.names.len; i++) {
        const struct disk_mem_file *f = &disk.files[disk.names.at[i].file];
        char path[512];
        int fd = -1;
        ssize_t written = -1;

        if (strcmp(disk.names.at[i].text, "spare") == 0)
            continue;
        snprintf(path, sizeof path, "%s/%s", folder, disk.names.at[i].text);
        fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
        if (fd >= 0)
            written = write(fd, f->now.data, f->now.len);
        if (written != (ssize_t)f->now.len || close(fd) != 0)
            return 1;
    }
    disk_mem_free(&disk);
    return 0;
}
