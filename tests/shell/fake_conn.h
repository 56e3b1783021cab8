#ifndef FAKE_CONN_H
#define FAKE_CONN_H

/*
 * fake_conn.h -- the transport of the library without a network: rv_conn_* on top of a manager
 * in this process, a thread with a real gate, mgr and log. So the shell of the library runs
 * under the thread sanitizer, and a test can do to a connection what it likes.
 *
 * The descriptor behaves as libzmq's: it tells once of what is new, and any call on the
 * connection takes that sign away.
 */

#include "common/net/keys.h"

struct fake;

/* What meets a client that connects, or talks. */
enum fake_mood {
    FAKE_SERVES,
    FAKE_ABSENT,    /* nobody listens there */
    FAKE_DEAF,      /* accepts and reads nothing, like a stopped process; serves on later */
    FAKE_REFUSES,   /* does not admit the key */
    FAKE_STRANGER,  /* has another key */
    FAKE_BYSTANDER, /* hangs up, and is no manager */
};

/* A manager at an endpoint, with that public key, that admits that client. */
struct fake *fake_start(const char *endpoint, const char *public_key, const char *client_key);
void fake_stop(struct fake **fake);

void fake_mood(struct fake *fake, enum fake_mood mood);

/* End all connections now; what is on its way in either direction is lost. */
void fake_cut(struct fake *fake);

/* The manager dies with all it held, and another begins at the same place. */
void fake_replace(struct fake *fake);

/* Whatever the manager says arrives so much later. */
void fake_delay(struct fake *fake, uint32_t ms);

/* Keep back what the manager says; let go, all of it arrives at once. */
void fake_hold(struct fake *fake, bool held);
unsigned fake_held(struct fake *fake);

/* The connections take no more frames until told otherwise. */
void fake_jam(struct fake *fake, bool jammed);

/* Connections that are open now, and that ever were. */
unsigned fake_open_now(struct fake *fake);
unsigned fake_opened(struct fake *fake);

#endif
