#ifndef RV_RELAY_H
#define RV_RELAY_H

/*
 * relay.h -- a connection that goes through an agent: whole messages over a socket of this host.
 *
 * A task holds no key. It connects to its agent's socket and says which session it means; the
 * agent opens a connection of its own to the manager for it, says READY when that is, and from
 * then on passes messages both ways.
 *
 *     task --> agent    16 bytes: the id of the session; then messages
 *     agent --> task    READY, then messages; LOST or REFUSED at any time
 *
 *     u32 length   u8 kind   u8 body frames   for each frame: u32 length, bytes    (MESSAGE)
 */

#include "common/base/buf.h"
#include "common/net/net.h"

#define RV_RELAY_SCHEME "relay://"

enum rv_relay_kind { RV_RELAY_MESSAGE, RV_RELAY_READY, RV_RELAY_LOST, RV_RELAY_REFUSED };

enum { RV_RELAY_ID = 16, RV_RELAY_MAX = 8 * 1024 * 1024 };

/* Append a message, or with no frames another kind. */
void rv_relay_write(struct rv_buf *out, enum rv_relay_kind kind, struct rv_slice control,
                    const struct rv_slice *bodies, size_t bodies_len);

/* Read the first one of bytes; out is filled for a MESSAGE and borrows them. Returns how many bytes
 * it took; 0: it is not whole yet; SIZE_MAX: it is malformed. */
size_t rv_relay_read(struct rv_slice bytes, enum rv_relay_kind *kind, struct rv_net_message *out);

/* ---- the task's end, behind the functions of rv_conn ---- */

struct rv_relay;

/* conf->endpoint is relay:///PATH; conf->session says which session it is for. */
reeve_err rv_relay_open(struct rv_relay **out, const struct rv_conn_conf *conf, char *why);
void rv_relay_close(struct rv_relay **relay);
int rv_relay_fd(const struct rv_relay *relay);
enum rv_conn_event rv_relay_receive(struct rv_relay *relay, struct rv_net_message *out);
enum rv_net_result rv_relay_send(struct rv_relay *relay, struct rv_slice control,
                                 const struct rv_slice *bodies, size_t bodies_len);

#endif
