#ifndef RELAYS_H
#define RELAYS_H

/*
 * relays.h -- sessions of tasks: each goes over a connection of ours to the manager.
 *
 *   NEW --id, job--> ASKING --granted--> CONNECTING --ready--> OPEN
 *
 * The manager is first told (agent_session) that a session of this id belongs to a task of that
 * job: it has the rights of the job's owner, and no others. Which job that is, the peer's process
 * group says, not the peer.
 */

#include "common/net/target.h"
#include "common/wire/link.h"
#include "worker/runners.h"

struct relays;

struct relays_conf {
    int epoll_fd;
    const struct rv_targets *targets;
    const struct rv_keyfile *key;
    struct runners *runners;
    struct rv_sink sink;
};

/* Makes a socket in a folder that only we can enter. NULL and a sentence in why. */
struct relays *relays_new(const struct relays_conf *conf, char *why, size_t why_len);
void relays_free(struct relays **relays);

/* For the environment of tasks: "relay:///PATH". */
const char *relays_url(const struct relays *r);

/* Over which session to ask; agent: its object at the manager. NULL: it is over, and every relay with
 * it. */
void relays_serve(struct relays *r, struct rv_link *link);

/* Bit 62 of a descriptor's data. */
#define RELAYS_EVENT (UINT64_C(1) << 62)
void relays_event(struct relays *r, rv_ns now, uint64_t data);
void relays_tick(struct relays *r, rv_ns now);
rv_ns relays_deadline(const struct relays *r);

#endif
