/* sim_log.c -- the log of a simulated server: groups that commit later, in the real files of a log
 * (server/core/journal.h) on a disk in memory. A crash takes the power away, in the middle of a
 * write. */

#include "server/core/save.h"
#include "tests/lib/sim_box.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    SEGMENT = 32768,       /* small, so that a history has many */
    FLOOR = 1 << 20,       /* free space below which the disk is full */
    FULL_MS = 500,         /* a full disk is tried again so often */
    SNAPSHOT_GROUPS = 400, /* one in so many is followed by a snapshot, in histories */
};

/* ---- groups ---- */

static struct rv_slice keep(uint8_t **at, struct rv_slice bytes)
{
    struct rv_slice kept = rv_slice(*at, bytes.len);

    if (bytes.len > 0)
        memcpy(*at, bytes.data, bytes.len);
    *at += bytes.len;
    return kept;
}

static struct sim_command *copy(const struct command *cmd)
{
    size_t bytes = cmd->bytes.len;
    struct sim_command *c = NULL;
    uint8_t *at = NULL;

    for (size_t i = 0; i < cmd->bodies_len; i++)
        bytes += cmd->bodies[i].len;
    c = malloc(sizeof *c + bytes);
    rv_assert(c != NULL);
    at = c->data;
    c->next = NULL;
    c->cmd = *cmd;
    c->cmd.bytes = keep(&at, cmd->bytes);
    for (size_t i = 0; i < cmd->bodies_len; i++)
        c->bodies[i] = keep(&at, cmd->bodies[i]);
    c->cmd.bodies = c->bodies;
    return c;
}

static void group_add(struct sim_group *g, struct sim_command *c)
{
    if (g->tail != NULL)
        g->tail->next = c;
    else
        g->head = c;
    g->tail = c;
}

static void group_free(struct sim_group *g)
{
    while (g->head != NULL) {
        struct sim_command *c = g->head;

        g->head = c->next;
        free(c);
    }
    g->tail = NULL;
}

/* ---- the journal ---- */

/* Write what of the group changes something; -ENOSPC: again, when there may be room. Another -errno
 * when the process died in it. */
static int write_group(struct sim_server *sv, const struct sim_group *g)
{
    const struct sim_command *c = NULL;
    bool again = sv->records.len > 0;
    bool sync = false;
    int err = 0;

    for (c = g->head; c != NULL; c = c->next)
        if (c->cmd.logged) {
            if (!again)
                record_add(&sv->records, ++sv->index, sv->term, &c->cmd);
            sync =
                sync || c->cmd.durable == RV_DURABLE_DEFAULT || c->cmd.durable == RV_DURABLE_SYNC;
        }
    if (sv->records.len > 0)
        err = journal_append(sv->journal, &sv->records, &sv->written, sync);
    if (err == -ENOSPC)
        return err;
    if (err == 0 && sync) {
        sv->flushed = sv->index;
        sv->flushes++;
    }
    rv_buf_free(&sv->records);
    sv->written = 0;
    return err;
}

static int flush(struct sim_server *sv)
{
    struct rv_buf nothing = {0};
    size_t done = 0;

    sv->flushed = sv->index;
    return journal_append(sv->journal, &nothing, &done, true);
}

static void snapshot(struct sim_server *sv)
{
    struct journal_stat stat;
    struct snapshot s = {.store = sv->store, .at = mgr_now(sv->mgr)};

    rv_assert(flush(sv) == 0);
    journal_stat(sv->journal, &stat);
    s.index = stat.index;
    s.epoch = stat.epoch;
    s.flush = stat.flush;
    rv_assert(journal_snapshot(&sv->disk.disk, sv->mgr, &s) == 0);
    rv_assert(journal_adopt(&sv->disk.disk, &s) == 0);
    rv_assert(journal_snapshotted(sv->journal, &s, stat.bytes) == 0);
}

/* What the writer of a real one does between two groups. */
static void look(struct sim_server *sv, bool no_room)
{
    struct journal_stat stat;
    bool full = false;

    while (journal_prepare(sv->journal))
        ;
    journal_stat(sv->journal, &stat);
    full = stat.full || no_room;
    if (full != sv->full)
        sv->callbacks.space(sv->callbacks.arg, full);
    sv->full = full;
}

static void after_group(struct sim_server *sv)
{
    struct sim *s = sv->sim;

    look(sv, false);
    if (s->random && sim_below(s, SNAPSHOT_GROUPS) == 0 && mgr_can_save(sv->mgr))
        snapshot(sv);
}

/* ---- what the shell calls ---- */

static void log_add(struct rv_log *log, const struct command *cmd)
{
    struct sim_server *sv = (struct sim_server *)log;

    if (sv->memory || RV_MUTANT(EARLY_REPLY))
        sv->callbacks.committed(sv->callbacks.arg, cmd);
    if (!sv->memory)
        group_add(&sv->open, copy(cmd));
}

static void log_flush(struct rv_log *log)
{
    struct sim_server *sv = (struct sim_server *)log;
    struct sim *s = sv->sim;

    if (sv->committing.head != NULL || sv->open.head == NULL)
        return;
    sv->committing = sv->open;
    sv->open = (struct sim_group){0};
    sv->commit_at = s->now + s->commit_max;
    if (s->random && s->commit_max > 0)
        sv->commit_at = s->now + (rv_ns)sim_below(s, (uint64_t)s->commit_max);
}

static void log_process(struct rv_log *log)
{
    struct sim_server *sv = (struct sim_server *)log;

    while (sv->committing.head != NULL && sv->commit_at <= sv->sim->now) {
        const struct sim_command *c = NULL;

        if (write_group(sv, &sv->committing) != 0) {
            look(sv, true);
            sv->commit_at = sv->sim->now + FULL_MS * RV_MS;
            return;
        }
        for (c = sv->committing.head; c != NULL; c = c->next)
            if (!RV_MUTANT(EARLY_REPLY))
                sv->callbacks.committed(sv->callbacks.arg, &c->cmd);
        sv->stepped = sv->index;
        group_free(&sv->committing);
        after_group(sv);
        log_flush(log);
    }
}

static int log_pollfd(const struct rv_log *log)
{
    (void)log;
    return -1;
}

static void log_close(struct rv_log **log)
{
    struct sim_server *sv = (struct sim_server *)*log;

    group_free(&sv->open);
    group_free(&sv->committing);
    rv_buf_free(&sv->records);
    sv->written = 0;
    journal_close(&sv->journal);
}

const struct rv_log_ops sim_log_ops = {
    .add = log_add,
    .flush = log_flush,
    .process = log_process,
    .pollfd = log_pollfd,
    .close = log_close,
};

/* ---- crashes ---- */

static void add_block(void *arg, struct rv_slice bytes)
{
    rv_buf_add(arg, bytes.data, bytes.len);
}

static void state_of(const struct mgr *mgr, struct rv_buf *out)
{
    struct saver saver = {.block = add_block, .arg = out};

    rv_buf_clear(out);
    if (mgr_can_save(mgr))
        mgr_save(mgr, &saver);
}

void sim_log_crash(struct sim *s)
{
    struct sim_server *sv = &s->server;
    bool power = sv->power || (s->random && !s->mild);

    free(sv->portrait);
    sv->portrait = sim_portrait(sv->mgr);
    state_of(sv->mgr, &sv->state);
    sv->promised = power ? sv->flushed : sv->stepped;
    if (!s->random && !power) {
        disk_mem_reopen(&sv->disk);
        return;
    }
    /* Some of the group that was being written may be on the disk, unheard of. */
    if (sv->committing.head != NULL && !RV_MUTANT(EARLY_REPLY)) {
        sv->disk.kill_at = sv->disk.ops + 1 + sim_below(s, 4);
        sv->disk.kill = (enum disk_mem_kill)sim_below(s, 3);
        (void)write_group(sv, &sv->committing);
    }
    if (power)
        disk_mem_power(&sv->disk, &s->rng);
    else
        disk_mem_reopen(&sv->disk);
}

/* A replay gives the state that was before the crash. */
static void compare(struct sim *s)
{
    struct sim_server *sv = &s->server;
    char *now = sim_portrait(sv->mgr);
    struct rv_buf state = {0};

    if (sv->portrait != NULL && strcmp(now, sv->portrait) != 0 && !RV_MUTANT(EARLY_REPLY))
        sim_broken(s, "a replay gives another state\nbefore:\n%safter:\n%s", sv->portrait, now);
    free(now);
    state_of(sv->mgr, &state);
    if (state.len > 0 && sv->portrait != NULL && !RV_MUTANT(EARLY_REPLY) &&
        !rv_slice_equal(rv_buf_slice(&state), rv_buf_slice(&sv->state)))
        sim_broken(s, "a replay gives other bytes");
    rv_buf_free(&state);
}

/* A snapshot gives the state that it was taken of; the history goes on with the one that was
 * loaded. */
static void through_a_snapshot(struct sim *s)
{
    struct sim_server *sv = &s->server;
    struct rv_buf state = {0};
    struct rv_buf again = {0};
    struct mgr *loaded = NULL;

    if (!mgr_can_save(sv->mgr))
        return;
    state_of(sv->mgr, &state);
    loaded = sim_server_mgr(s);
    if (!mgr_load(loaded, rv_buf_slice(&state)))
        sim_broken(s, "a snapshot cannot be loaded");
    state_of(loaded, &again);
    if (!rv_slice_equal(rv_buf_slice(&state), rv_buf_slice(&again)))
        sim_broken(s, "a snapshot gives another state");
    mgr_check(loaded);
    mgr_free(&sv->mgr);
    sv->mgr = loaded;
    s->snapshots++;
    rv_buf_free(&state);
    rv_buf_free(&again);
}

static void reached(struct sim *s)
{
    compare(s);
    sim_box_replayed(s, s->server.index);
    through_a_snapshot(s);
    s->server.replaying = false;
}

static bool on_load(void *arg, const struct snapshot *snap, struct rv_slice state)
{
    struct sim *s = arg;
    struct sim_server *sv = &s->server;

    s->snapshots++;
    if (!mgr_load(sv->mgr, state))
        sim_broken(s, "a snapshot of the log cannot be loaded");
    mgr_check(sv->mgr);
    sv->index = snap->index;
    return true;
}

static bool on_command(void *arg, const struct record *rec, const struct command *cmd)
{
    struct sim *s = arg;
    struct sim_server *sv = &s->server;

    if (sv->replaying && sv->index == sv->stepped)
        reached(s);
    if (sv->replaying) {
        mgr_step(sv->mgr, cmd, &sv->out);
        outbox_clear(&sv->out);
    } else {
        sim_server_step(sv, cmd); /* nobody has seen it yet */
    }
    sv->index = rec->index;
    return true;
}

static void open_journal(struct sim *s)
{
    struct sim_server *sv = &s->server;
    char why[JOURNAL_WHY];

    sv->index = 0;
    if (!journal_open(&sv->journal,
                      &(struct journal_conf){.disk = &sv->disk.disk,
                                             .segment_bytes = SEGMENT,
                                             .floor_bytes = FLOOR,
                                             .new_store = sv->store},
                      why) ||
        !journal_replay(sv->journal,
                        &(struct journal_replay){.arg = s, .load = on_load, .command = on_command},
                        why))
        sim_broken(s, "the log cannot be read: %s", why);
}

/* The first record of a life, alone and flushed before anybody hears of it. */
static void begin_life(struct sim *s, enum command_type type)
{
    struct sim_server *sv = &s->server;
    struct journal_stat stat;
    struct command cmd = {.type = type, .logged = true, .at = s->now};
    struct rv_buf record = {0};
    size_t done = 0;

    journal_stat(sv->journal, &stat);
    sv->index = stat.index;
    sv->term = stat.epoch;
    cmd.first = type == COMMAND_RESTART ? sv->term : 0;
    record_add(&record, ++sv->index, sv->term, &cmd);
    rv_assert(journal_append(sv->journal, &record, &done, true) == 0);
    rv_buf_free(&record);
    sim_server_step(sv, &cmd);
    sv->stepped = sv->flushed = sv->index;
}

void sim_log_make(struct sim *s)
{
    disk_mem_init(&s->server.disk);
    open_journal(s);
    begin_life(s, COMMAND_SPACE); /* a real one restarts; stories count fences from 1 */
}

void sim_log_replay(struct sim *s)
{
    struct sim_server *sv = &s->server;

    sv->replaying = true;
    open_journal(s);
    if (sv->replaying && sv->index < sv->promised && !RV_MUTANT(EARLY_REPLY))
        sim_broken(s, "the log ends with record %llu, and %llu was acknowledged",
                   (unsigned long long)sv->index, (unsigned long long)sv->promised);
    if (sv->replaying && sv->index == sv->stepped)
        reached(s);
    if (sv->replaying)
        sim_box_replayed(s, sv->index);
    sv->replaying = false;
    begin_life(s, COMMAND_RESTART);
}

/* ---- what is said of it ---- */

static bool copy_load(void *arg, const struct snapshot *snap, struct rv_slice state)
{
    (void)snap;
    return mgr_load(arg, state);
}

static bool copy_command(void *arg, const struct record *rec, const struct command *cmd)
{
    struct outbox out = {0};

    (void)rec;
    mgr_step(arg, cmd, &out);
    outbox_free(&out);
    return true;
}

/* The manager that a start would find after such an end right now; NULL when none. */
static struct mgr *manager_after(struct sim *s, bool power)
{
    struct disk_mem disk;
    struct mgr *mgr = sim_server_mgr(s);
    char why[JOURNAL_WHY];

    disk_mem_copy(&disk, &s->server.disk);
    if (power)
        disk_mem_power(&disk, NULL);
    s->server.replaying = true;
    if (!journal_reread(
            &(struct journal_conf){.disk = &disk.disk}, 0,
            &(struct journal_replay){.arg = mgr, .load = copy_load, .command = copy_command}, why))
        sim_broken(s, "the log could not be read now: %s", why);
    s->server.replaying = false;
    disk_mem_free(&disk);
    return mgr;
}

void sim_log_promise(struct sim *s, uint64_t serial, uint64_t number, uint8_t durable)
{
    bool power = durable == RV_DURABLE_SYNC;
    struct mgr *mgr = NULL;
    struct session *session = NULL;

    if (s->server.memory || durable == RV_DURABLE_NONE)
        return;
    s->promises++;
    mgr = manager_after(s, power);
    session = mgr_session(mgr, serial);
    if (session == NULL || session_out(session)->next <= number)
        sim_broken(s, "message %llu of session %llu says that it survives %s, and it does not",
                   (unsigned long long)number, (unsigned long long)serial,
                   power ? "the loss of power" : "the end of the process");
    mgr_free(&mgr);
}

void sim_log_look(struct sim *s)
{
    s->server.full = false;
    if (s->server.disk.room != UINT64_MAX)
        look(&s->server, false);
}

void sim_server_room(struct sim *s, uint64_t bytes)
{
    s->server.disk.room = bytes;
    look(&s->server, false);
    sim_server_wake(s);
}

void sim_log_free(struct sim *s)
{
    struct sim_server *sv = &s->server;

    if (!sv->memory)
        disk_mem_free(&sv->disk);
    free(sv->portrait);
    rv_buf_free(&sv->state);
}
