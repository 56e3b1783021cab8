#ifndef MGR_H
#define MGR_H

/*
 * mgr.h -- the manager: everything that must survive, and one step function.
 *
 *     command --> log --> committed --> mgr_step --> effects
 *
 * Start here: command.h is everything that can happen to a manager and everything that it
 * can do. mgr_step returns nothing, because nothing in it can fail: a peer's mistake is an
 * effect, our own is an assertion, and limits are checked before memory is taken.
 */

#include "server/core/log.h"
#include "common/wire/stream.h"

struct mgr;
struct session;

struct mgr_conf {
    struct rv_id store;
    uint64_t term;
    const char *server;  /* name and version, for people; borrowed for ever */
    const char *durable; /* what its log survives, for people; borrowed for ever */
    rv_ns started_at;
    uint64_t fence;      /* of the store: wall-clock seconds << 32 when it was made */
    struct rv_sink sink; /* the story, a line an event */
};

struct mgr *mgr_new(const struct mgr_conf *conf);
void mgr_free(struct mgr **mgr);

/* Before anybody is welcomed. */
void mgr_set_store(struct mgr *mgr, const struct rv_id *store);
const struct rv_id *mgr_store(const struct mgr *mgr);

/* Where its story goes from now on; a replay tells none. */
void mgr_set_sink(struct mgr *mgr, const struct rv_sink *sink);

/* Step on a committed command; add what follows to out. */
void mgr_step(struct mgr *mgr, const struct command *cmd, struct outbox *out);

/* The next deadline: wake me then with COMMAND_EXPIRE. RV_NEVER when there is none. */
rv_ns mgr_deadline(const struct mgr *mgr);

/* Assert what is true of the whole state between two steps. */
void mgr_check(const struct mgr *mgr);

/* The time of the last command. */
rv_ns mgr_now(const struct mgr *mgr);

/* ---- what the gate needs ---- */

/* The first principal from that id on with this name; 0 when there is none. */
uint32_t mgr_principal_named(const struct mgr *mgr, const char *name, uint32_t from);
/* Is there this principal, and just so? */
bool mgr_principal_is(const struct mgr *mgr, uint32_t id, const struct rv_principal_row *row);
/* Ids from here on were never used. */
uint32_t mgr_principals_end(const struct mgr *mgr);

/* What a call survives when it is answered: enum rv_durable. op 0: the end of one on the object. */
uint8_t mgr_durable(const struct mgr *mgr, uint16_t op, uint64_t object, struct rv_slice args);

/* Does it make the manager hold more, or is it a piece of a call that does? */
bool mgr_grows(const struct rv_msg *msg);

/* How the log does, for those who ask. */
void mgr_set_log(struct mgr *mgr, const struct rv_log_stat *log);

/* Is there such a principal at the moment? */
bool mgr_knows(const struct mgr *mgr, uint32_t principal);

/* NULL when there is none. The pointer is good until the next step. */
struct session *mgr_session(const struct mgr *mgr, uint64_t serial);
uint64_t session_applied(const struct session *s);
uint32_t session_attempt(const struct session *s);
struct rv_stream *session_out(struct session *s);
bool session_is_agent(const struct session *s);

/* ---- for tests ---- */
size_t mgr_objects(const struct mgr *mgr);
size_t mgr_sessions(const struct mgr *mgr);

#endif
