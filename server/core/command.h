#ifndef COMMAND_H
#define COMMAND_H

/*
 * command.h -- what can happen to the manager, and what it does about it.
 *
 * A command is made by the gate or the shell, added to the log, and stepped on when it is
 * committed. Time and chance are in it, so that a replay gives the same state. Its bytes
 * belong to the caller and need only live until the step returns.
 */

#include "common/base/buf.h"
#include "common/wire/msg.h"
#include <reeve/error.h>

enum command_type {
    COMMAND_OPEN,      /* a hello: begin or resume a session */
    COMMAND_DETACH,    /* the connection of a session ended */
    COMMAND_END,       /* the session is over: silent too long, its process gone */
    COMMAND_MESSAGES,  /* a frame of a session */
    COMMAND_EXPIRE,    /* some deadline has come */
    COMMAND_PRINCIPAL, /* a principal is added, changed or (no role) removed */
    COMMAND_RESTART,   /* the log was opened again; first is the new term */
    COMMAND_PAUSE,     /* the manager slept for `first` nanoseconds: who is away has that more */
    COMMAND_SPACE,     /* the log's disk is full (first is 1), or has room again (0) */
};

struct command {
    enum command_type type;
    bool logged;        /* false: changes nothing that must survive */
    uint8_t durable;    /* enum rv_durable, asked for by its objects; DEFAULT is the most */
    rv_ns at;           /* when it happened */
    uint64_t session;   /* serial; not in OPEN and PRINCIPAL */
    uint64_t peer;      /* OPEN: whom the gate must answer */
    uint32_t principal; /* OPEN: who says it */
    uint32_t attempt;   /* DETACH: of this connection; END: the same, or 0 for all */
    reeve_err reason;   /* END */
    bool local;         /* OPEN: a process of this host */
    bool stripped;      /* MESSAGES: what makes the manager hold more is refused, and its bytes are
                           not here. A call that grows has, instead of its arguments, the numbers
                           of the bodies that it used, u64 each; a fragment has no body frame */
    uint64_t first;     /* MESSAGES: the frame's header */
    uint64_t ack;
    struct rv_slice bytes; /* OPEN: the hello message; MESSAGES: the messages; PRINCIPAL: a row */
    const struct rv_slice *bodies;
    size_t bodies_len;
};

enum effect_type {
    EFFECT_WELCOME, /* peer has session */
    EFFECT_REFUSE,  /* peer has not; error and text say why */
    EFFECT_ANSWER,  /* an unnumbered message for the session's connection */
    EFFECT_OUTPUT,  /* the session's stream has something new */
    EFFECT_ENDED,   /* the session is no more; error says why */
    EFFECT_STOP,    /* an administrator asks the manager to end */
};

struct effect {
    enum effect_type type;
    uint64_t session;
    uint64_t peer;
    reeve_err error;
    size_t at, len; /* where in the outbox's bytes: WELCOME, ANSWER a message; REFUSE text */
};

/* What a step did. Belongs to the caller, is read before the next step and then cleared. */
struct outbox {
    struct effect *effects;
    size_t len, cap;
    struct rv_buf bytes;
};

void outbox_add(struct outbox *out, struct effect effect);
void outbox_clear(struct outbox *out);
void outbox_free(struct outbox *out);

#endif
