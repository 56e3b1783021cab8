/* sim_server.c -- the shell of a server, imitated. Its log is in sim_log.c. */

#include "tests/lib/sim_box.h"

#include <stdio.h>
#include <stdlib.h>

enum { PROMISE_MS = 2000 }; /* between two replies that are taken at their word */

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

/* ---- steps ---- */

void sim_server_step(struct sim_server *sv, const struct command *cmd)
{
    struct sim *s = sim_of(sv);

    if (cmd->type == COMMAND_EXPIRE)
        sv->expiring = false;
    sim_book_before(s, cmd);
    sim_box_before(s, cmd);
    mgr_step(sv->mgr, cmd, &sv->out);
    sv->steps++;
    for (size_t i = 0; i < sv->out.len; i++)
        if (sv->out.effects[i].type == EFFECT_ENDED)
            sim_book_ended(s, sv->out.effects[i].session);
    if (sv->gate != NULL)
        gate_stepped(sv->gate, s->now, cmd, &sv->out);
    outbox_clear(&sv->out);
    sim_box_after(s, cmd);
    if (s->unchecked)
        return;
    mgr_check(sv->mgr);
    sim_book_after(s, cmd);
}

static void on_commit(void *arg, const struct command *cmd)
{
    sim_server_step(arg, cmd);
}

static void on_space(void *arg, bool full)
{
    struct sim_server *sv = arg;
    const struct sim *s = sv->sim;

    gate_set_full(sv->gate, full);
    rv_log_add(&sv->log, &(struct command){
                             .type = COMMAND_SPACE, .logged = true, .at = s->now, .first = full});
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

/* Now and then a reply that leaves is taken at its word, while there is something that was not
 * flushed. */
static void keep_word(struct sim *s, uint64_t peer, struct rv_slice control)
{
    const struct sim_server *sv = &s->server;
    uint64_t serial = gate_session(sv->gate, peer);
    struct rv_frame frame;
    struct rv_reader r;
    struct rv_msg msg;
    bool version = false;

    if (!s->mild || s->now < s->promise_at || sv->flushed == sv->stepped || serial == 0 ||
        !rv_frame_decode(&frame, control, &version))
        return;
    r = rv_reader(frame.messages);
    for (uint64_t number = frame.first; rv_frame_next(&r, &msg);
         number += rv_msg_numbered(msg.type)) {
        if (msg.type != RV_MSG_reply || msg.reply.durable == RV_DURABLE_NONE)
            continue;
        sim_log_promise(s, serial, number, msg.reply.durable);
        s->promise_at = s->now + PROMISE_MS * RV_MS;
        return;
    }
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
        if (result == GATE_SENT)
            keep_word(s, frame.peer, frame.control);
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

/* As a real one: the id of its store is known when the log has been read. */
struct mgr *sim_server_mgr(struct sim *s)
{
    struct sim_server *sv = &s->server;

    return mgr_new(&(struct mgr_conf){
        .term = sv->term,
        .server = "reeve-server sim",
        .durable = sv->memory ? "none" : "sim",
        .started_at = 0,
        .fence = (sv->stores - 1) << 32,
        .sink = {say, s},
    });
}

static void principal(struct sim *s, const char *role, const char *rights, const char *quotas)
{
    struct rv_buf row = {0};

    rv_principal_row_encode(&row, &(struct rv_principal_row){.id = 1,
                                                             .name = rv_slice_str("sim"),
                                                             .role = rv_slice_str(role),
                                                             .rights = rv_slice_str(rights),
                                                             .quotas = rv_slice_str(quotas)});
    rv_log_add(&s->server.log, &(struct command){.type = COMMAND_PRINCIPAL,
                                                 .logged = true,
                                                 .at = s->now,
                                                 .bytes = rv_buf_slice(&row)});
    rv_buf_free(&row);
    sim_server_wake(s);
}

void sim_principal(struct sim *s, const char *role, const char *rights)
{
    principal(s, role, rights, "");
}

void sim_quota(struct sim *s, const char *quotas)
{
    principal(s, "admin", "", quotas);
}

void sim_server_start(struct sim *s)
{
    struct sim_server *sv = &s->server;

    sv->sim = s;
    sv->log.ops = &sim_log_ops;
    sv->callbacks = (struct rv_log_callbacks){.committed = on_commit, .arg = sv, .space = on_space};
    sv->wake = (struct sim_event){.fire = round_of};
    new_store(s);
    sv->mgr = sim_server_mgr(s);
    if (!sv->memory)
        sim_log_make(s);
    mgr_set_store(sv->mgr, sv->memory ? &sv->store : journal_store(sv->journal));
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
    if (!sv->memory)
        sim_log_crash(s);
    end_process(s);
    DL_FOREACH_SAFE (s->conns, conn, next) {
        sim_frames_free(&conn->up.frames);
        sim_frames_free(&conn->down.frames);
        if (conn->server_open && !quiet)
            sim_send_end(s, conn, false, false);
        conn->server_open = false;
    }
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
        sim_box_new_store(s);
    }
    sv->mgr = sim_server_mgr(s);
    if (!sv->memory) {
        sim_log_replay(s);
        sim_book_replayed(s);
    }
    mgr_set_store(sv->mgr, sv->memory ? &sv->store : journal_store(sv->journal));
    sim_say(s, "server.start term=%llu", (unsigned long long)sv->term);
    sv->gate = gate_new(sv->mgr, &sink);
    sv->up = true;
    if (!sv->memory)
        sim_log_look(s);
    sim_principal(s, "admin", "");
}

void sim_server_power(struct sim *s)
{
    s->server.power = true;
    sim_server_crash(s, true);
    s->server.power = false;
}

void sim_server_space(struct sim *s, bool full)
{
    on_space(&s->server, full);
    sim_server_wake(s);
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
    sim_log_free(s);
    outbox_free(&sv->out);
}
