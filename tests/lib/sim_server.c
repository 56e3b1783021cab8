/* sim_server.c -- the shell of a server, imitated, and a log that commits later. */

#include "server/core/save.h"
#include "tests/lib/sim.h"

#include <stdio.h>
#include <stdlib.h>

static struct sim *sim_of(struct sim_server *sv)
{
    return sv->sim;
}

static void say(void *arg, int level, const char *text)
{
    const struct sim *s = arg;

    if (level <= RV_INFO && !s->server.replaying)
        sim_say(arg, "%s", text);
}

/* ---- the log ---- */

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

/* What does not change anything is not kept. */
static void write_down(struct sim_server *sv, struct sim_command *c)
{
    if (!c->cmd.logged) {
        free(c);
        return;
    }
    if (sv->disk_len == sv->disk_cap) {
        sv->disk_cap = sv->disk_cap == 0 ? 1024 : sv->disk_cap * 2;
        sv->disk = rv_realloc(sv->disk, sv->disk_cap * sizeof(struct sim_command *));
    }
    sv->disk[sv->disk_len++] = c;
}

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
    struct sim *s = sim_of(sv);

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

    while (sv->committing.head != NULL && sv->commit_at <= sim_of(sv)->now) {
        struct sim_command *c = sv->committing.head;

        while (c != NULL) {
            struct sim_command *next = c->next;

            if (!RV_MUTANT(EARLY_REPLY))
                sv->callbacks.committed(sv->callbacks.arg, &c->cmd);
            write_down(sv, c);
            c = next;
        }
        sv->stepped_len = sv->disk_len;
        sv->committing = (struct sim_group){0};
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
}

static const struct rv_log_ops log_ops = {
    .add = log_add,
    .flush = log_flush,
    .process = log_process,
    .pollfd = log_pollfd,
    .close = log_close,
};

/* ---- steps ---- */

static void step(struct sim_server *sv, const struct command *cmd)
{
    struct sim *s = sim_of(sv);

    if (cmd->type == COMMAND_EXPIRE)
        sv->expiring = false;
    sim_book_before(s, cmd);
    mgr_step(sv->mgr, cmd, &sv->out);
    sv->steps++;
    for (size_t i = 0; i < sv->out.len; i++)
        if (sv->out.effects[i].type == EFFECT_ENDED)
            sim_book_ended(s, sv->out.effects[i].session);
    if (sv->gate != NULL)
        gate_stepped(sv->gate, s->now, cmd, &sv->out);
    outbox_clear(&sv->out);
    if (!s->unchecked)
        mgr_check(sv->mgr);
    sim_book_after(s, cmd);
}

static void on_commit(void *arg, const struct command *cmd)
{
    step(arg, cmd);
}

static void hear(struct sim *s, struct sim_frame *frame)
{
    struct sim_server *sv = &s->server;
    struct gate_message in = {
        .peer = frame->conn->peer,
        .principal = 1,
        .local = true,
        .control = frame->control,
        .bodies = frame->bodies,
        .bodies_len = frame->bodies_len,
    };
    struct command cmd;

    if (gate_receive(sv->gate, s->now, &in, &cmd))
        rv_log_add(&sv->log, &cmd);
}

static void transmit(struct sim *s)
{
    struct sim_server *sv = &s->server;
    struct gate_frame frame;
    uint64_t peer = 0;

    while (gate_transmit(sv->gate, s->now, &frame)) {
        struct sim_conn *conn = sim_conn_of(s, frame.peer);
        enum gate_result result = GATE_GONE;

        if (conn != NULL && conn->server_open)
            result = sim_send(s, conn, false, frame.control, frame.bodies, frame.bodies_len)
                         ? GATE_SENT
                         : GATE_BUSY;
        gate_sent(sv->gate, s->now, result);
    }
    while (gate_cut(sv->gate, &peer)) {
        struct sim_conn *conn = sim_conn_of(s, peer);

        if (conn == NULL || !conn->server_open)
            continue;
        sim_send_end(s, conn, false, false);
        conn->server_open = false;
    }
}

static void schedule(struct sim *s)
{
    struct sim_server *sv = &s->server;
    rv_ns at = gate_deadline(sv->gate);

    if (!sv->expiring && mgr_deadline(sv->mgr) < at)
        at = mgr_deadline(sv->mgr);
    if (sv->committing.head != NULL && sv->commit_at < at)
        at = sv->commit_at;
    if (at == RV_NEVER)
        sim_never(s, &sv->wake);
    else
        sim_at(s, &sv->wake, at);
}

/* One round of the shell: it happens at one time, messages before timers. */
static void round_of(struct sim *s, void *arg)
{
    struct sim_server *sv = &s->server;
    struct sim_frame *frame = NULL;
    struct command cmd;

    (void)arg;
    if (!sv->up || sv->stopped)
        return;
    while ((frame = sim_frames_take(&sv->inbox)) != NULL) {
        hear(s, frame);
        free(frame);
    }
    while ((frame = sim_frames_take(&sv->ends)) != NULL) {
        if (gate_lost(sv->gate, s->now, frame->conn->peer, frame->gone, &cmd))
            rv_log_add(&sv->log, &cmd);
        free(frame);
    }
    while (gate_expire(sv->gate, s->now, &cmd))
        rv_log_add(&sv->log, &cmd);
    if (!sv->expiring && mgr_deadline(sv->mgr) <= s->now) {
        sv->expiring = true;
        rv_log_add(&sv->log,
                   &(struct command){.type = COMMAND_EXPIRE, .logged = true, .at = s->now});
    }
    rv_log_flush(&sv->log);
    rv_log_process(&sv->log);
    transmit(s);
    schedule(s);
}

void sim_server_wake(struct sim *s)
{
    if (s->server.up && !s->server.stopped)
        sim_at(s, &s->server.wake, s->now);
}

/* ---- life ---- */

static void new_store(struct sim *s)
{
    memset(s->server.store.bytes, 0, sizeof s->server.store.bytes);
    s->server.store.bytes[0] = 's';
    s->server.store.bytes[15] = (uint8_t)++s->server.stores;
    s->server.term = 1;
}

static struct mgr *new_mgr(struct sim *s)
{
    struct sim_server *sv = &s->server;

    return mgr_new(&(struct mgr_conf){
        .store = sv->store,
        .term = sv->term,
        .server = "reeve-server sim",
        .durable = sv->memory ? "none" : "sim",
        .started_at = 0,
        .fence = (sv->stores - 1) << 32,
        .sink = {say, s},
    });
}

void sim_principal(struct sim *s, const char *role, const char *rights)
{
    struct rv_buf row = {0};

    rv_principal_row_encode(&row, &(struct rv_principal_row){.id = 1,
                                                             .name = rv_slice_str("sim"),
                                                             .role = rv_slice_str(role),
                                                             .rights = rv_slice_str(rights)});
    rv_log_add(&s->server.log, &(struct command){.type = COMMAND_PRINCIPAL,
                                                 .logged = true,
                                                 .at = s->now,
                                                 .bytes = rv_buf_slice(&row)});
    rv_buf_free(&row);
    sim_server_wake(s);
}

void sim_server_start(struct sim *s)
{
    struct sim_server *sv = &s->server;

    sv->sim = s;
    sv->log.ops = &log_ops;
    sv->callbacks = (struct rv_log_callbacks){.committed = on_commit, .arg = sv};
    sv->wake = (struct sim_event){.fire = round_of};
    new_store(s);
    sv->mgr = new_mgr(s);
    sv->gate = gate_new(sv->mgr, &(struct rv_sink){say, s});
    sv->up = true;
    sim_principal(s, "admin", "");
    sim_server_wake(s);
}

static void end_process(struct sim *s)
{
    struct sim_server *sv = &s->server;
    struct rv_log *log = &sv->log;

    sim_never(s, &sv->wake);
    sim_frames_free(&sv->inbox);
    sim_frames_free(&sv->ends);
    gate_free(&sv->gate);
    mgr_free(&sv->mgr);
    rv_log_close(&log);
    sv->up = sv->stopped = sv->expiring = false;
}

void sim_server_crash(struct sim *s, bool quiet)
{
    struct sim_server *sv = &s->server;
    struct sim_conn *conn = NULL;
    struct sim_conn *next = NULL;

    if (!sv->up)
        return;
    s->counts[SIM_SERVER_CRASH]++;
    sim_say(s, "server.crash");
    /* Some of the group that was being written may have reached the disk unheard of. */
    if (sv->committing.head != NULL && s->random && !RV_MUTANT(EARLY_REPLY))
        for (uint64_t n = sim_below(s, 8); n > 0 && sv->committing.head != NULL; n--) {
            struct sim_command *c = sv->committing.head;

            sv->committing.head = c->next;
            write_down(sv, c);
        }
    free(sv->portrait);
    sv->portrait = sv->memory ? NULL : sim_portrait(sv->mgr);
    end_process(s);
    DL_FOREACH_SAFE (s->conns, conn, next) {
        sim_frames_free(&conn->up.frames);
        sim_frames_free(&conn->down.frames);
        if (conn->server_open && !quiet)
            sim_send_end(s, conn, false, false);
        conn->server_open = false;
    }
}

/* A replay gives the state that was before the crash. */
static void compare_portraits(struct sim *s)
{
    char *now = sim_portrait(s->server.mgr);

    if (s->server.portrait != NULL && strcmp(now, s->server.portrait) != 0 &&
        !RV_MUTANT(EARLY_REPLY))
        sim_broken(s, "a replay gives another state\nbefore:\n%safter:\n%s", s->server.portrait,
                   now);
    free(now);
}

static void add_block(void *arg, struct rv_slice bytes)
{
    rv_buf_add(arg, bytes.data, bytes.len);
}

static struct rv_buf state_of(const struct mgr *mgr)
{
    struct rv_buf state = {0};
    struct saver saver = {.block = add_block, .arg = &state};

    mgr_save(mgr, &saver);
    return state;
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
    state = state_of(sv->mgr);
    loaded = new_mgr(s);
    if (!mgr_load(loaded, rv_buf_slice(&state)))
        sim_broken(s, "a snapshot cannot be loaded");
    again = state_of(loaded);
    if (!rv_slice_equal(rv_buf_slice(&state), rv_buf_slice(&again)))
        sim_broken(s, "a snapshot gives another state");
    mgr_check(loaded);
    mgr_free(&sv->mgr);
    sv->mgr = loaded;
    s->snapshots++;
    rv_buf_free(&state);
    rv_buf_free(&again);
}

static void replay(struct sim *s)
{
    struct sim_server *sv = &s->server;

    for (size_t i = 0; i <= sv->disk_len; i++) {
        const struct command *cmd = NULL;

        if (i == sv->stepped_len) {
            compare_portraits(s);
            through_a_snapshot(s);
        }
        if (i == sv->disk_len)
            break;
        cmd = &sv->disk[i]->cmd;
        sv->replaying = i < sv->stepped_len;
        if (sv->replaying)
            mgr_step(sv->mgr, cmd, &sv->out);
        else
            step(sv, cmd); /* nobody has seen it yet */
        outbox_clear(&sv->out);
    }
    sv->stepped_len = sv->disk_len;
    sv->replaying = false;
}

void sim_server_restart(struct sim *s)
{
    struct sim_server *sv = &s->server;
    struct rv_sink sink = {say, s};

    if (sv->up)
        return;
    if (sv->memory) {
        new_store(s);
        sim_book_new_store(s);
    } else {
        sv->term++;
    }
    sv->mgr = new_mgr(s);
    if (!sv->memory)
        replay(s);
    sim_say(s, "server.start term=%llu", (unsigned long long)sv->term);
    sv->gate = gate_new(sv->mgr, &sink);
    sv->up = true;
    rv_log_add(&sv->log,
               &(struct command){
                   .type = COMMAND_RESTART, .logged = true, .at = s->now, .first = sv->term});
    sim_principal(s, "admin", "");
}

void sim_server_stop(struct sim *s)
{
    struct sim_server *sv = &s->server;

    if (!sv->up || sv->stopped)
        return;
    s->counts[SIM_SERVER_STOP]++;
    sim_say(s, "server.stop");
    sv->stopped = true;
    sv->stopped_at = s->now;
    sim_never(s, &sv->wake);
}

void sim_server_continue(struct sim *s)
{
    struct sim_server *sv = &s->server;

    if (!sv->up || !sv->stopped)
        return;
    sim_say(s, "server.continue");
    sv->stopped = false;
    gate_forgive(sv->gate, s->now - sv->stopped_at);
    sim_server_wake(s);
}

void sim_server_free(struct sim *s)
{
    struct sim_server *sv = &s->server;

    if (sv->up)
        end_process(s);
    for (size_t i = 0; i < sv->disk_len; i++)
        free(sv->disk[i]);
    free(sv->disk);
    free(sv->portrait);
    outbox_free(&sv->out);
}
