#ifndef GATE_H
#define GATE_H

/*
 * gate.h -- the volatile half of the manager: who is connected, when heard, what was sent.
 *
 *     frame --> gate_receive --> command --> log --> mgr_step --> gate_stepped
 *     frame <-- gate_transmit <-------- streams of sessions, answers
 *
 *              hello            welcome
 *     NEW ------------> OPENING -------> READY ----> (lost, silent, replaced)
 *      '--- bad, late ---'-- refuse --> LEAVING ---> cut
 *
 * Bytes of a peer never reach the log or the mgr unless every message in the frame is
 * well-formed and allowed from a client; otherwise the peer is refused, counted and cut.
 */

#include "server/core/mgr.h"

struct gate;

/* A frame as it came. Borrowed during the call. */
struct gate_message {
    uint64_t peer;
    uint32_t principal;
    bool local; /* over ipc, from this host */
    struct rv_slice control;
    const struct rv_slice *bodies;
    size_t bodies_len;
};

struct gate_frame {
    uint64_t peer;
    struct rv_slice control; /* until the next gate_transmit */
    struct rv_slice bodies[RV_LIMIT_BODIES];
    size_t bodies_len;
};

enum gate_result { GATE_SENT, GATE_BUSY, GATE_GONE };

struct gate *gate_new(struct mgr *mgr, const struct rv_sink *sink);
void gate_free(struct gate **gate);

/* Take a frame in. True when cmd is to be added to the log. */
bool gate_receive(struct gate *g, rv_ns now, const struct gate_message *in, struct command *cmd);

/* A connection ended. gone: the process behind it does not exist any more. */
bool gate_lost(struct gate *g, rv_ns now, uint64_t peer, bool gone, struct command *cmd);

/* The log's disk is full, or has room again. While it is full, what would make the manager hold more
 * is stripped of its bytes before it gets to the log, where it only stands to be refused: those who
 * try for ever shall not use up what is left for those who take out. */
void gate_set_full(struct gate *g, bool full);

/* A committed command was stepped on, with these effects. */
void gate_stepped(struct gate *g, rv_ns now, const struct command *cmd, const struct outbox *out);

/* The next frame to send; false when there is none. Say with gate_sent what became of it. */
bool gate_transmit(struct gate *g, rv_ns now, struct gate_frame *out);
void gate_sent(struct gate *g, rv_ns now, enum gate_result result);

/* The next command that time makes: a silent peer, a connection that was given up. False when there is none yet. */
bool gate_expire(struct gate *g, rv_ns now, struct command *cmd);
rv_ns gate_deadline(const struct gate *g);

/* The next connection that must be cut; false when there is none. */
bool gate_cut(struct gate *g, uint64_t *peer);

/* The process slept for `pause` (stopped, suspended): nobody is blamed for that time. Say it
 * before gate_expire and the mgr's deadlines are asked for. */
void gate_forgive(struct gate *g, rv_ns pause);

/* Send everybody away: the manager ends. What was said before must have been sent. */
void gate_close(struct gate *g, rv_ns now, reeve_err error, const char *text);

/* The session of a connection, 0 is none. */
uint64_t gate_session(const struct gate *g, uint64_t peer);

uint64_t gate_refused(const struct gate *g);

#endif
