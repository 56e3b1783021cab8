#include "server/core/session.h"
#include "server/core/crew.h"
#include "server/core/object.h"
#include "server/core/queue.h"
#include "server/core/quota.h"

struct ref *session_ref(const struct session *s, uint64_t object)
{
    struct ref *ref = NULL;

    HASH_FIND(hh, s->refs, &object, sizeof object, ref);
    return ref;
}

struct session *mgr_session(const struct mgr *mgr, uint64_t serial)
{
    struct session *s = NULL;

    HASH_FIND(by_serial, mgr->sessions, &serial, sizeof serial, s);
    return s;
}

uint64_t session_applied(const struct session *s)
{
    return s->applied;
}

uint32_t session_attempt(const struct session *s)
{
    return s->attempt;
}

struct rv_stream *session_out(struct session *s)
{
    return &s->out;
}

bool session_is_agent(const struct session *s)
{
    return s->member != NULL;
}

/* What the session had goes to the others: its waits end, what it held goes back in order. */
void session_end(struct mgr *mgr, struct session *s, reeve_err reason)
{
    bool died = reason != REEVE_OK;

    mgr_say(mgr, RV_INFO, "session.end session=%llu reason=\"%s\"", (unsigned long long)s->serial,
            reason == REEVE_OK      ? "goodbye"
            : reason == REEVE_ELOST ? "lost"
            : reason == REEVE_EAUTH ? "revoked"
                                    : "expired");
    s->left = reason == REEVE_OK      ? RV_LEFT_GOODBYE
              : reason == REEVE_ELOST ? RV_LEFT_LOST
              : reason == REEVE_EAUTH ? RV_LEFT_REVOKED
                                      : RV_LEFT_EXPIRED;
    while (s->calls != NULL)
        mgr_unpark(mgr, s->calls);
    while (s->refs != NULL)
        object_unref(mgr, s, s->refs, died);
    outbox_add(mgr->out, (struct effect){.type = EFFECT_ENDED,
                                         .session = s->serial,
                                         .error = reason == REEVE_OK || reason == REEVE_EAUTH
                                                      ? reason
                                                      : REEVE_EEXPIRED});
    rv_heap_cancel(&mgr->heap, &s->timer);
    HASH_DELETE(by_serial, mgr->sessions, s);
    HASH_DELETE(by_id, mgr->sessions_by_id, s);
    quota_drop(mgr, s->principal, RV_QUOTA_SESSIONS, 1);
    quota_drop(mgr, s->principal, RV_QUOTA_FLIGHT, s->assembly.bytes);
    rv_stream_fini(&s->out);
    rv_assembly_fini(&s->assembly);
    free(s->host_name);
    free(s->program);
    free(s);
}

static struct session *new_session(struct mgr *mgr, const struct rv_hello *hello,
                                   const struct command *cmd)
{
    struct session *s = rv_alloc(sizeof *s);

    s->serial = ++mgr->last_session;
    s->id = hello->session;
    s->principal = s->carrier = cmd->principal;
    (void)crew_use_ticket(mgr, &hello->session, cmd->principal, &s->principal, &s->job);
    quota_add(mgr, s->principal, RV_QUOTA_SESSIONS, 1);
    s->local = cmd->local;
    s->host_name = mgr_text(hello->host_name);
    s->program = mgr_text(hello->program);
    s->pid = hello->pid;
    s->timer.kind = TIMER_SESSION;
    s->resume_ms = hello->resume_ms == 0 ? (uint32_t)RV_LIMIT_RESUME_MS : hello->resume_ms;
    if (s->resume_ms > RV_LIMIT_RESUME_MAX_MS)
        s->resume_ms = RV_LIMIT_RESUME_MAX_MS;
    rv_stream_init(&s->out);
    HASH_ADD(by_serial, mgr->sessions, serial, sizeof s->serial, s);
    HASH_ADD(by_id, mgr->sessions_by_id, id, sizeof s->id, s);
    return s;
}

/* Is there a reason not to let this hello have the session? */
static bool refused(struct mgr *mgr, const struct rv_hello *hello, const struct session *s,
                    const struct command *cmd)
{
    if (s == NULL && hello->established) {
        mgr_refuse(mgr, cmd->peer, REEVE_EEXPIRED, "the session was away for too long");
        return true;
    }
    if (s == NULL && HASH_CNT(by_serial, mgr->sessions) >= RV_LIMIT_SESSIONS) {
        mgr_refuse(mgr, cmd->peer, REEVE_ELIMIT, "the manager has its maximum of sessions");
        return true;
    }
    if (s == NULL && !quota_allows(mgr, cmd->principal, RV_QUOTA_SESSIONS, 1)) {
        mgr_refuse(mgr, cmd->peer, REEVE_EQUOTA,
                   quota_text(mgr, cmd->principal, RV_QUOTA_SESSIONS));
        return true;
    }
    if (hello->host_name.len > RV_LIMIT_NAME_BYTES || hello->program.len > RV_LIMIT_NAME_BYTES) {
        mgr_refuse(mgr, cmd->peer, REEVE_EPROTO, "a name in the hello is too long");
        return true;
    }
    if (rv_id_zero(&hello->session)) {
        mgr_refuse(mgr, cmd->peer, REEVE_EPROTO, "a hello without a session id");
        return true;
    }
    if (s != NULL && hello->established && hello->received >= s->out.next) {
        mgr_refuse(mgr, cmd->peer, REEVE_EEXPIRED,
                   "power failed, and what the session did last was not asked to survive that");
        return true;
    }
    if (hello->received >= (s == NULL ? 1 : s->out.next) ||
        (s != NULL && hello->received + 1 < s->out.first)) {
        mgr_refuse(mgr, cmd->peer, REEVE_EPROTO,
                   "the hello acknowledges what was never sent, or takes back");
        return true;
    }
    if (s == NULL)
        return false;
    if (s->carrier != cmd->principal) {
        mgr_refuse(mgr, cmd->peer, REEVE_EPERM, "the session belongs to another key");
        return true;
    }
    if (hello->attempt <= s->attempt && !RV_MUTANT(OLD_ATTEMPT)) {
        mgr_refuse(mgr, cmd->peer, REEVE_EPROTO, "a newer connection has this session");
        return true;
    }
    return false;
}

void session_on_hello(struct mgr *mgr, const struct command *cmd)
{
    struct rv_msg msg;
    struct rv_msg welcome = {.type = RV_MSG_welcome};
    struct session *s = NULL;
    size_t at = mgr->out->bytes.len;
    bool acked = false;

    rv_assert(rv_msg_decode(&msg, cmd->bytes) && msg.type == RV_MSG_hello);
    HASH_FIND(by_id, mgr->sessions_by_id, &msg.hello.session, sizeof(struct rv_id), s);
    if (refused(mgr, &msg.hello, s, cmd))
        return;
    if (s == NULL) {
        s = new_session(mgr, &msg.hello, cmd);
        mgr_say(mgr, RV_INFO, "session.open session=%llu key=%s host=%s pid=%u",
                (unsigned long long)s->serial, mgr_principal_name(mgr, s->principal), s->host_name,
                s->pid);
    } else {
        crew_void_ticket(mgr, &s->id); /* its agent did not remember that it has been announced */
        mgr_say(mgr, RV_INFO, "session.resume session=%llu attempt=%u",
                (unsigned long long)s->serial, msg.hello.attempt);
    }
    s->attempt = msg.hello.attempt;
    s->attached = true;
    rv_heap_cancel(&mgr->heap, &s->timer);
    if (s->member != NULL)
        crew_on_resume(mgr, s->member);
    acked = rv_stream_ack(&s->out, msg.hello.received);
    rv_assert(acked || RV_MUTANT(OLD_ATTEMPT));
    welcome.welcome = (struct rv_welcome){
        .major = RV_WIRE_MAJOR,
        .minor = RV_WIRE_MINOR,
        .store = mgr->conf.store,
        .term = mgr->conf.term,
        .received = s->applied,
        .resume_ms = s->resume_ms,
        .session = s->serial,
        .server = rv_slice_str(mgr->conf.server),
    };
    rv_msg_encode(&mgr->out->bytes, &welcome);
    outbox_add(mgr->out, (struct effect){.type = EFFECT_WELCOME,
                                         .session = s->serial,
                                         .peer = cmd->peer,
                                         .at = at,
                                         .len = mgr->out->bytes.len - at});
}

void session_on_detach(struct mgr *mgr, const struct command *cmd)
{
    struct session *s = mgr_session(mgr, cmd->session);

    if (s == NULL || !s->attached || s->attempt != cmd->attempt)
        return;
    s->attached = false;
    if (s->member != NULL)
        crew_on_detach(mgr, s->member);
    mgr_say(mgr, RV_INFO, "session.detach session=%llu resume_ms=%u", (unsigned long long)s->serial,
            s->resume_ms);
    rv_heap_set(&mgr->heap, &s->timer, rv_after_ms(mgr->now, s->resume_ms));
}

/* A new life of the same store: every client has to come back, and has its full time for it. */
void session_on_restart(struct mgr *mgr, const struct command *cmd)
{
    struct session *s = NULL;
    uint64_t floor = (uint64_t)(cmd->at / RV_SEC) << 32;

    mgr->conf.term = cmd->first;
    mgr->conf.started_at = cmd->at;
    mgr->full = false; /* if the disk still is, the log says so again */
    /* Above all fences of the past, also those that were not to survive or that a repair or a backup does not
     * know; the time of a durable store is the wall's. */
    if (mgr->last_fence < floor)
        mgr->last_fence = floor;
    for (s = mgr->sessions; s != NULL; s = s->by_serial.next) {
        if (s->member != NULL && s->attached)
            crew_on_detach(mgr, s->member);
        s->attached = false;
        rv_heap_set(&mgr->heap, &s->timer, rv_after_ms(mgr->now, s->resume_ms));
    }
}

/* Nobody could come back while we slept. */
void session_on_pause(struct mgr *mgr, rv_ns pause)
{
    struct session *s = NULL;

    for (s = mgr->sessions; s != NULL; s = s->by_serial.next)
        if (!s->attached)
            rv_heap_set(&mgr->heap, &s->timer, s->timer.at + pause);
}
