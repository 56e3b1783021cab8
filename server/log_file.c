#include "server/log_file.h"

#include "common/net/net.h"
#include "common/proc/image.h"
#include "server/core/save.h"
#include "server/disk_dir.h"
#include "server/pages.h"

#include <poll.h>
#include <signal.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum {
    SNAPSHOT_BYTES = 64 << 20, /* log behind a snapshot before the next one, at least */
    VERIFY_BYTES = 256 << 20,  /* a larger state is verified now and then only */
    VERIFY_EVERY = 8,
    FULL_PART = 4,  /* of the bytes of log before a snapshot, on a full disk */
    SPACE_MS = 500, /* a full disk is looked at so often */
    PICTURE_NICE = 10,
    LOOK_EACH = 16, /* records of a replay, between two looks at the heap */
};

/* A command that waits for its commit. */
struct entry {
    size_t at; /* in records, or in aside */
    bool logged;
};

struct group {
    struct rv_buf records; /* added, not sealed: on their way to the journal */
    struct rv_buf aside;   /* what is not logged but keeps its place in the order */
    struct entry *entries; /* in order */
    size_t len, cap;
    uint8_t durable; /* the most that one of them asks for */
    bool image;      /* a snapshot is taken when it is back */
};

struct log_file {
    struct rv_log log; /* first */
    struct rv_log_callbacks callbacks;
    struct rv_log_file_conf conf;
    struct outbox unheard;    /* of a replay */
    bool partly;              /* the manager was loaded in part, and cannot be freed */
    struct mgr *mgr;          /* borrowed; saved by snapshots */
    struct mgr_conf mgr_conf; /* of managers that verify */
    struct rv_id files;       /* the id in them */
    uint64_t index;           /* of the record that was added last */
    uint64_t began;           /* its value at the start */
    uint64_t epoch;
    struct group open, flying;
    bool busy; /* flying is with the writer */
    int epoll;

    /* The picture that is being taken. */
    pid_t image;
    int image_fd;
    bool image_wanted;
    uint64_t image_retry; /* not before the log has so many bytes */
    uint64_t image_bytes; /* of the log that it covers */
    bool image_settling;  /* it is there, and the writer has yet to take notice */
    uint64_t images;
    bool was_full;           /* as told */
    struct rv_log_stat seen; /* as the writer told it last */

    /* Between the two threads, under the mutex. */
    pthread_t writer;
    pthread_mutex_t mutex;
    pthread_cond_t cond;
    int event; /* counts what the writer has to tell */
    struct group *job;
    bool done, stop;
    int error;
    bool cleaning;
    struct snapshot cleaned;
    struct rv_log_stat stat;
    struct journal_stat journal_stat;

    struct journal *journal; /* the writer's own, once it runs */
};

/* ---- the writer's thread ---- */

static void tell(struct log_file *lf)
{
    uint64_t one = 1;

    /* It cannot fail: the count is read long before it is full. */
    if (write(lf->event, &one, sizeof one) != (ssize_t)sizeof one)
        abort();
}

static void note_stat(struct log_file *lf)
{
    bool was = lf->stat.full;

    journal_stat(lf->journal, &lf->journal_stat);
    lf->stat.bytes = lf->journal_stat.bytes;
    lf->stat.snapshot_index = lf->journal_stat.snapshot_index;
    lf->stat.snapshot_bytes = lf->journal_stat.snapshot_bytes;
    lf->stat.full = lf->journal_stat.full;
    if (lf->stat.full != was)
        tell(lf);
}

static void nap(struct log_file *lf)
{
    struct timespec until;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += SPACE_MS * 1000000L;
    until.tv_sec += until.tv_nsec / 1000000000L;
    until.tv_nsec %= 1000000000L;
    pthread_cond_timedwait(&lf->cond, &lf->mutex, &until);
}

/* Called and left with the mutex. A full disk is waited for: nothing was answered yet. */
static void write_job(struct log_file *lf)
{
    struct group *group = lf->job;
    bool sync = group->durable == RV_DURABLE_SYNC;
    rv_ns begun = rv_clock_now();
    size_t done = 0;
    int err = 0;

    do {
        pthread_mutex_unlock(&lf->mutex);
        err = journal_append(lf->journal, &group->records, &done, sync);
        pthread_mutex_lock(&lf->mutex);
        if (err == -ENOSPC && !lf->stat.full) {
            lf->stat.full = true;
            tell(lf);
        }
        if (err == -ENOSPC)
            nap(lf);
    } while (err == -ENOSPC && !lf->stop);
    lf->job = NULL;
    lf->done = true;
    lf->error = err;
    lf->stat.groups++;
    lf->stat.flushes += sync;
    if (sync)
        lf->stat.latency += (rv_clock_now() - begun - lf->stat.latency) / 8;
    note_stat(lf);
    tell(lf);
}

static void clean(struct log_file *lf)
{
    struct snapshot s = lf->cleaned;
    uint64_t bytes = lf->image_bytes;

    pthread_mutex_unlock(&lf->mutex);
    /* What cannot be deleted now is deleted after the next snapshot. */
    (void)journal_snapshotted(lf->journal, &s, bytes);
    pthread_mutex_lock(&lf->mutex);
    lf->cleaning = false;
    note_stat(lf);
}

static void *run_writer(void *arg)
{
    struct log_file *lf = arg;
    bool more = true; /* the spare segment is not ready */

    pthread_mutex_lock(&lf->mutex);
    while (!lf->stop || lf->job != NULL) {
        if (lf->job != NULL) {
            write_job(lf);
            more = true;
        } else if (lf->cleaning) {
            clean(lf);
        } else if (more) {
            pthread_mutex_unlock(&lf->mutex);
            more = journal_prepare(lf->journal);
            pthread_mutex_lock(&lf->mutex);
            note_stat(lf);
        } else if (lf->stat.full) {
            nap(lf);
            more = true;
        } else {
            pthread_cond_wait(&lf->cond, &lf->mutex);
        }
    }
    pthread_mutex_unlock(&lf->mutex);
    return NULL;
}

/* ---- groups ---- */

static void add_entry(struct group *g, size_t at, bool logged)
{
    if (g->len == g->cap) {
        g->cap = g->cap == 0 ? 64 : g->cap * 2;
        g->entries = rv_realloc(g->entries, g->cap * sizeof *g->entries);
    }
    g->entries[g->len++] = (struct entry){at, logged};
}

static void clear_group(struct group *g)
{
    rv_buf_clear(&g->records);
    rv_buf_clear(&g->aside);
    if (g->records.cap > RECORD_MAX_BYTES)
        rv_buf_free(&g->records);
    g->len = 0;
    g->durable = RV_DURABLE_NONE;
    g->image = false;
}

static void free_group(struct group *g)
{
    rv_buf_free(&g->records);
    rv_buf_free(&g->aside);
    free(g->entries);
}

static void commit_entries(struct log_file *lf, struct group *g)
{
    for (size_t i = 0; i < g->len; i++) {
        const struct entry *e = &g->entries[i];
        const struct rv_buf *from = e->logged ? &g->records : &g->aside;
        struct rv_slice bodies[RV_LIMIT_BODIES];
        struct command cmd;
        size_t len = (size_t)rv_get_number(from->data + e->at + 4, 4);

        rv_assert(command_decode(&cmd, bodies, rv_slice(from->data + e->at + RECORD_HEADER, len)));
        cmd.logged = e->logged;
        lf->callbacks.committed(lf->callbacks.arg, &cmd);
    }
}

/* Has everything that was added been committed? While a picture is under way, nothing may get
 * ahead of it. */
static bool nothing_waits(const struct log_file *lf)
{
    return lf->open.len == 0 && (!lf->busy || (lf->flying.len == 0 && !lf->flying.image));
}

static void file_add(struct rv_log *log, const struct command *cmd)
{
    struct log_file *lf = (struct log_file *)log;
    struct group *g = &lf->open;
    uint8_t durable = cmd->durable == RV_DURABLE_DEFAULT ? RV_DURABLE_SYNC : cmd->durable;
    bool now = nothing_waits(lf) && (!cmd->logged || durable == RV_DURABLE_NONE);

    if (cmd->logged) {
        if (!now)
            add_entry(g, g->records.len, true);
        record_add(&g->records, ++lf->index, lf->epoch, cmd);
        if (durable > g->durable)
            g->durable = durable;
    } else if (!now) {
        add_entry(g, g->aside.len, false);
        record_add(&g->aside, 0, 0, cmd);
    }
    if (now)
        lf->callbacks.committed(lf->callbacks.arg, cmd);
}

/* So many bytes of log are worth a snapshot. On a full disk, what it lets go of is needed soon. */
static uint64_t worth_snapshot(const struct log_file *lf)
{
    uint64_t last = lf->seen.snapshot_bytes;
    uint64_t least = lf->conf.snapshot_bytes;

    if (lf->seen.full)
        return least / FULL_PART;
    return last > least ? last : least;
}

/* This one failed. */
static uint64_t retry_snapshot(const struct log_file *lf)
{
    return lf->seen.bytes + lf->conf.snapshot_bytes / (lf->seen.full ? FULL_PART : 1);
}

static bool snapshot_due(const struct log_file *lf)
{
    return lf->image == 0 && !lf->image_settling && lf->seen.bytes > worth_snapshot(lf) &&
           lf->seen.bytes > lf->image_retry;
}

static void file_flush(struct rv_log *log)
{
    struct log_file *lf = (struct log_file *)log;
    struct group swap = lf->open;

    if (lf->busy || (lf->open.records.len == 0 && lf->open.len == 0))
        return;
    if (swap.records.len == 0) { /* reads that waited for a group: it is back */
        lf->open = lf->flying;
        commit_entries(lf, &swap);
        clear_group(&swap);
        lf->flying = swap;
        return;
    }
    lf->open = lf->flying;
    lf->flying = swap;
    if (lf->image_wanted) {
        lf->flying.image = true;
        lf->flying.durable = RV_DURABLE_SYNC;
    }
    lf->busy = true;
    pthread_mutex_lock(&lf->mutex);
    lf->job = &lf->flying;
    lf->stat.records = lf->index - lf->began;
    pthread_mutex_unlock(&lf->mutex);
    /* Signalled with the mutex the writer would wake up only to wait for that. */
    pthread_cond_signal(&lf->cond);
}

/* ---- pictures ---- */

struct check {
    struct mgr *mgr;
    struct outbox out;
    uint64_t index;
    bool ok;
};

static bool check_load(void *arg, const struct snapshot *s, struct rv_slice state)
{
    struct check *c = arg;

    (void)s;
    return mgr_load(c->mgr, state);
}

static bool check_command(void *arg, const struct record *rec, const struct command *cmd)
{
    struct check *c = arg;

    mgr_step(c->mgr, cmd, &c->out);
    outbox_clear(&c->out);
    c->ok = rec->index == c->index;
    return !c->ok;
}

static bool same_state(const struct mgr *mgr, const struct snapshot *s)
{
    struct saver saver = {0};

    mgr_save(mgr, &saver);
    return saver.len == s->len && saver.hash == s->hash;
}

/* Does a replay of the log make the state that was saved? */
static bool replays(const struct log_file *lf, struct disk *d, const struct snapshot *s)
{
    struct check c = {.mgr = mgr_new(&lf->mgr_conf), .index = s->index};
    char why[JOURNAL_WHY];
    bool ok = journal_reread(
        &(struct journal_conf){.disk = d, .read_only = true}, s->index,
        &(struct journal_replay){.arg = &c, .load = check_load, .command = check_command}, why);

    ok = ok && c.ok && same_state(c.mgr, s);
    mgr_free(&c.mgr);
    outbox_free(&c.out);
    return ok;
}

/* Is the file whole, and can it be loaded? */
static bool loads(const struct log_file *lf, struct disk *d, const struct snapshot *s, bool whole)
{
    struct snapshot read;
    struct rv_buf state = {0};
    struct mgr *mgr = NULL;
    bool ok = journal_read_snapshot(d, &read, &state) && read.hash == s->hash;

    if (ok && whole) {
        mgr = mgr_new(&lf->mgr_conf);
        ok = mgr_load(mgr, rv_buf_slice(&state)) && same_state(mgr, s);
    }
    rv_buf_free(&state);
    if (ok)
        mgr_free(&mgr);
    return ok;
}

enum { IMAGE_OK, IMAGE_DISK, IMAGE_WRONG };

static int take_picture(const struct log_file *lf, struct snapshot *s)
{
    struct disk *d = NULL;
    int err = disk_dir_open(&d, lf->conf.folder, false, false);
    bool all = false;

    /* It replays what the manager did; who waits for the manager comes first. */
    (void)setpriority(PRIO_PROCESS, 0, PICTURE_NICE);
    if (err == 0)
        err = journal_snapshot(d, lf->mgr, s);
    if (err != 0)
        return IMAGE_DISK;
    all = s->len <= VERIFY_BYTES || lf->images % VERIFY_EVERY == 0;
    if (!loads(lf, d, s, all) || (all && !replays(lf, d, s)))
        return IMAGE_WRONG;
    return journal_adopt(d, s) == 0 ? IMAGE_OK : IMAGE_DISK;
}

/* The group is back and committed, and nothing after it: the manager's state is that of its last
 * record. */
static void start_picture(struct log_file *lf)
{
    struct snapshot s = {.store = lf->files, .epoch = lf->epoch, .at = mgr_now(lf->mgr)};

    lf->image_wanted = false;
    pthread_mutex_lock(&lf->mutex);
    s.index = lf->journal_stat.index;
    s.flush = lf->journal_stat.flush;
    lf->image_bytes = lf->journal_stat.bytes;
    pthread_mutex_unlock(&lf->mutex);
    lf->image = rv_image_start(&lf->image_fd);
    if (lf->image == 0) {
        int code = take_picture(lf, &s);

        if (code == IMAGE_OK && write(lf->image_fd, &s, sizeof s) != (ssize_t)sizeof s)
            code = IMAGE_DISK;
        _exit(code);
    }
    lf->images++;
    if (lf->image < 0) {
        lf->image = 0;
        lf->image_retry = retry_snapshot(lf);
        return;
    }
    epoll_ctl(lf->epoll, EPOLL_CTL_ADD, lf->image_fd, &(struct epoll_event){.events = EPOLLIN});
}

static void say(const struct log_file *lf, int level, const char *text)
{
    if (lf->conf.sink.line != NULL)
        lf->conf.sink.line(lf->conf.sink.arg, level, text);
}

static void end_picture(struct log_file *lf)
{
    struct snapshot s;
    char line[256];
    ssize_t got = read(lf->image_fd, &s, sizeof s);
    int code = rv_image_end(lf->image);

    epoll_ctl(lf->epoll, EPOLL_CTL_DEL, lf->image_fd, NULL);
    close(lf->image_fd);
    lf->image = 0;
    lf->image_retry = retry_snapshot(lf);
    if (code != IMAGE_OK || got != (ssize_t)sizeof s) {
        snprintf(line, sizeof line, "snapshot.fail why=\"%s\"",
                 code == IMAGE_DISK    ? "the disk refused"
                 : code == IMAGE_WRONG ? "a replay of the log makes another state; the log is kept"
                                       : "its process was ended");
        say(lf, code == IMAGE_WRONG ? RV_ERROR : RV_WARN, line);
        return;
    }
    lf->image_retry = 0;
    lf->image_settling = true;
    snprintf(line, sizeof line, "snapshot.ok index=%llu bytes=%llu hash=%08x",
             (unsigned long long)s.index, (unsigned long long)s.len, s.hash);
    say(lf, RV_INFO, line);
    pthread_mutex_lock(&lf->mutex);
    lf->cleaning = true;
    lf->cleaned = s;
    lf->stat.snapshots++;
    pthread_mutex_unlock(&lf->mutex);
    pthread_cond_signal(&lf->cond);
}

/* ---- what the writer has to tell ---- */

static void fail(struct log_file *lf, int err)
{
    char why[256];

    snprintf(why, sizeof why, "cannot write the log in %s: %s", lf->conf.folder, strerror(-err));
    lf->callbacks.failed(lf->callbacks.arg, why);
}

static void group_back(struct log_file *lf)
{
    struct group *g = &lf->flying;
    bool image = g->image;

    lf->busy = false;
    commit_entries(lf, g);
    clear_group(g);
    if (!image && !snapshot_due(lf))
        return;
    if (!mgr_can_save(lf->mgr)) {
        lf->image_wanted = false;
        lf->image_retry = lf->seen.bytes + lf->conf.snapshot_bytes / 4;
    } else if (image)
        start_picture(lf);
    else
        lf->image_wanted = true;
}

static void file_process(struct rv_log *log)
{
    struct log_file *lf = (struct log_file *)log;
    struct pollfd image = {.fd = lf->image_fd, .events = POLLIN};
    uint64_t count = 0;
    bool done = false;
    bool full = false;
    int err = 0;

    if (lf->image != 0 && poll(&image, 1, 0) == 1)
        end_picture(lf);
    if (read(lf->event, &count, sizeof count) != (ssize_t)sizeof count)
        return;
    pthread_mutex_lock(&lf->mutex);
    done = lf->done;
    err = lf->error;
    full = lf->stat.full;
    lf->seen = lf->stat;
    lf->image_settling = lf->cleaning;
    lf->done = false;
    pthread_mutex_unlock(&lf->mutex);
    if (done && err != 0) {
        fail(lf, err);
        return;
    }
    if (done)
        group_back(lf);
    if (full != lf->was_full) {
        lf->was_full = full;
        lf->callbacks.space(lf->callbacks.arg, full);
    }
    file_flush(log);
}

static int file_pollfd(const struct rv_log *log)
{
    return ((const struct log_file *)log)->epoll;
}

static void file_stat(const struct rv_log *log, struct rv_log_stat *out)
{
    struct log_file *lf = (struct log_file *)log;

    pthread_mutex_lock(&lf->mutex);
    *out = lf->stat;
    pthread_mutex_unlock(&lf->mutex);
    out->level = "sync";
}

/* ---- life ---- */

static void end_image(struct log_file *lf)
{
    if (lf->image == 0)
        return;
    kill(lf->image, SIGKILL);
    rv_image_end(lf->image);
    close(lf->image_fd);
}

static void file_close(struct rv_log **log)
{
    struct log_file *lf = (struct log_file *)*log;
    size_t done = 0;

    file_flush(*log);
    pthread_mutex_lock(&lf->mutex);
    lf->stop = true;
    pthread_cond_signal(&lf->cond);
    pthread_mutex_unlock(&lf->mutex);
    pthread_join(lf->writer, NULL);
    end_image(lf);
    if (lf->error == 0)
        lf->error = journal_append(lf->journal, &lf->open.records, &done, true);
    if (lf->error == 0)
        lf->error = journal_seal(lf->journal);
    if (lf->error != 0)
        fail(lf, lf->error);
    journal_close(&lf->journal);
    free_group(&lf->open);
    free_group(&lf->flying);
    pthread_mutex_destroy(&lf->mutex);
    pthread_cond_destroy(&lf->cond);
    close(lf->event);
    close(lf->epoll);
    free(lf);
    *log = NULL;
}

static const struct rv_log_ops log_file_ops = {
    .add = file_add,
    .flush = file_flush,
    .process = file_process,
    .pollfd = file_pollfd,
    .close = file_close,
    .stat = file_stat,
};

static bool replay_load(void *arg, const struct snapshot *s, struct rv_slice state)
{
    struct log_file *lf = arg;

    (void)s;
    pages_expect(state.len);
    lf->partly = !mgr_load(lf->mgr, state);
    return !lf->partly;
}

static bool replay_command(void *arg, const struct record *rec, const struct command *cmd)
{
    struct log_file *lf = arg;

    if (rec->index % LOOK_EACH == 0)
        pages_look();
    mgr_step(lf->mgr, cmd, &lf->unheard);
    outbox_clear(&lf->unheard);
    return true;
}

/* The first group of this life: its number, alone and on the disk before anybody hears of it. */
static int begin_epoch(struct log_file *lf)
{
    struct command cmd = {.type = COMMAND_RESTART,
                          .logged = true,
                          .at = lf->journal_stat.at > lf->conf.now ? lf->journal_stat.at
                                                                   : lf->conf.now,
                          .first = lf->epoch};
    struct outbox out = {0};
    struct rv_buf group = {0};
    size_t done = 0;
    int err = 0;

    record_add(&group, ++lf->index, lf->epoch, &cmd);
    err = journal_append(lf->journal, &group, &done, true);
    if (err == 0)
        mgr_step(lf->mgr, &cmd, &out);
    outbox_free(&out);
    rv_buf_free(&group);
    return err;
}

static void tell_open(const struct log_file *lf, rv_ns began)
{
    char line[256];

    snprintf(line, sizeof line,
             "log.open folder=%s term=%llu records=%llu bytes=%llu snapshot=%llu ms=%lld end=%s",
             lf->conf.folder, (unsigned long long)lf->epoch,
             (unsigned long long)lf->journal_stat.records,
             (unsigned long long)lf->journal_stat.bytes,
             (unsigned long long)lf->journal_stat.snapshot_index,
             (long long)((rv_clock_now() - began) / RV_MS),
             lf->began == 0                  ? "new"
             : lf->journal_stat.sealed       ? "ordered"
             : lf->journal_stat.records == 0 ? "snapshot"
                                             : "sudden");
    say(lf, RV_INFO, line);
}

static bool start_writer(struct log_file *lf)
{
    lf->event = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    lf->epoll = epoll_create1(EPOLL_CLOEXEC);
    rv_assert(lf->event >= 0 && lf->epoll >= 0);
    epoll_ctl(lf->epoll, EPOLL_CTL_ADD, lf->event, &(struct epoll_event){.events = EPOLLIN});
    pthread_mutex_init(&lf->mutex, NULL);
    pthread_cond_init(&lf->cond, NULL);
    note_stat(lf);
    lf->seen = lf->stat;
    return pthread_create(&lf->writer, NULL, run_writer, lf) == 0;
}

bool rv_log_file_open(struct rv_log **out, struct mgr **mgr, const struct rv_log_file_conf *conf,
                      const struct mgr_conf *mgr_conf, const struct rv_log_callbacks *callbacks,
                      char *why)
{
    struct log_file *lf = rv_alloc(sizeof *lf);
    struct journal_conf journal = {.disk = conf->disk,
                                   .segment_bytes = conf->segment_bytes,
                                   .floor_bytes = conf->floor_bytes,
                                   .repair = conf->repair,
                                   .sink = conf->sink};
    rv_ns began = rv_clock_now();
    bool replayed = false;
    int err = 0;

    rv_random_bytes(&journal.new_store, sizeof journal.new_store);
    lf->log.ops = &log_file_ops;
    lf->conf = *conf;
    if (lf->conf.snapshot_bytes == 0)
        lf->conf.snapshot_bytes = SNAPSHOT_BYTES;
    lf->callbacks = *callbacks;
    lf->mgr_conf = *mgr_conf;
    lf->mgr_conf.sink = (struct rv_sink){0};
    lf->open.durable = lf->flying.durable = RV_DURABLE_NONE;
    if (!journal_open(&lf->journal, &journal, why))
        goto fail;
    lf->files = *journal_log(lf->journal);
    lf->mgr = mgr_new(&lf->mgr_conf);
    pages_expect(0);
    replayed = journal_replay(
        lf->journal,
        &(struct journal_replay){.arg = lf, .load = replay_load, .command = replay_command}, why);
    pages_settle();
    outbox_free(&lf->unheard);
    if (!replayed)
        goto fail;
    mgr_set_store(lf->mgr, journal_store(lf->journal));
    journal_stat(lf->journal, &lf->journal_stat);
    lf->index = lf->began = lf->journal_stat.index;
    lf->epoch = lf->journal_stat.epoch;
    err = begin_epoch(lf);
    if (err != 0) {
        snprintf(why, JOURNAL_WHY, "cannot write the log in %s: %s", conf->folder, strerror(-err));
        goto fail;
    }
    tell_open(lf, began);
    mgr_set_sink(lf->mgr, &mgr_conf->sink);
    rv_assert(start_writer(lf));
    *mgr = lf->mgr;
    *out = &lf->log;
    return true;
fail:
    journal_close(&lf->journal);
    if (!lf->partly)
        mgr_free(&lf->mgr);
    free(lf);
    return false;
}
