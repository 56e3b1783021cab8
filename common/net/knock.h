#ifndef RV_KNOCK_H
#define RV_KNOCK_H

/*
 * knock.h -- who is at an endpoint, asked by somebody without a key. For common/net only.
 *
 * A manager for which we have the wrong key hangs up in the handshake without a word, and so does
 * anything else that happens to listen there. libzmq tells the two apart by nothing. But a CURVE
 * server shows its greeting to everybody, and a bystander has none.
 */

#include "common/net/net_util.h"

struct rv_knock;

enum rv_knock_answer {
    RV_KNOCK_NONE,  /* not yet */
    RV_KNOCK_CURVE, /* the greeting of ZMTP 3 with CURVE; it has not hung up so far */
    RV_KNOCK_OTHER, /* something else, or it hung up */
};

/* Connect and say our half of the greeting. It has no deadline of its own. NULL with errno set. */
struct rv_knock *rv_knock_open(const char *endpoint);
void rv_knock_close(struct rv_knock **knock);

/* In a child after fork: forget the parent's sockets without touching them. */
void rv_knock_abandon(struct rv_knock **knock);

/* What to poll for reading. */
void rv_knock_fds(const struct rv_knock *knock, int fds[2]);

/* Never blocks. */
enum rv_knock_answer rv_knock_answer(struct rv_knock *knock);

#endif
