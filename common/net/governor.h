#ifndef RV_GOVERNOR_H
#define RV_GOVERNOR_H

/*
 * governor.h -- what a stranger's connection may cost. For common/net only.
 *
 *   accepted ----> new ----- its first message is whole ----> heard ----> ended
 *                   '-- says nothing, too many, too many bytes --.  |
 *                                                          cut <-'--'-- bytes that are no message
 *
 * libzmq bounds the size of a frame, but not what a message without an end piles up, nor how many
 * connections wait at its door. The kernel knows what came over a connection, we know which messages
 * we have seen: the difference is what libzmq holds for it. Connections that bring nothing cost
 * nothing: one that does says so once, and is looked at until it rests.
 */

#include "common/net/net.h"

struct rv_governor;

/* quiet_ms: a connection has as long until its first message is whole. NULL with errno set. */
struct rv_governor *rv_governor_new(uint32_t quiet_ms, struct rv_sink sink);
void rv_governor_free(struct rv_governor **governor);

/* Readable when a connection that rested brings bytes. */
int rv_governor_fd(const struct rv_governor *g);

/* What libzmq tells of its descriptors. The second: fd is of no connection any more. */
void rv_governor_accepted(struct rv_governor *g, int fd);
void rv_governor_ended(struct rv_governor *g, int fd);

/* Does a frame of so many bytes have the long head? With what CURVE adds to it. */
static inline bool rv_governor_long(size_t len)
{
    return len + 33 > 255;
}

/* A message of an admitted key came over fd, of so many frames, bytes in them and long frames. */
void rv_governor_heard(struct rv_governor *g, int fd, size_t frames, size_t bytes, size_t longs);

/* When rv_governor_run() has something to do. */
rv_ns rv_governor_deadline(const struct rv_governor *g);

/* Look at what is due. drained: all that came has been received, so who is silent is silent. */
void rv_governor_run(struct rv_governor *g, rv_ns now, bool drained);

uint64_t rv_governor_cuts(const struct rv_governor *g);

#endif
