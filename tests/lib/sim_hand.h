#ifndef SIM_HAND_H
#define SIM_HAND_H

/* sim_hand.h -- clients and agents that a story plays by hand: they say what it likes. */

#include "tests/lib/sim.h"

enum { HAND_HEARD = 64 };

/* sim_ask() where nobody wants the result. */
reeve_err hand_ask(struct sim *s, int client, uint16_t op, uint64_t object, struct rv_buf *args);

/* Without an answer. The ping behind it is answered when it has been heard. */
void hand_say(struct sim *s, int client, uint16_t op, uint64_t object, struct rv_buf *args);

/* An agent: which chunks it has. */
struct sim_hand {
    struct rv_port port; /* first */
    struct rv_link *link;
    int client;
    size_t len;
    struct {
        uint64_t chunk, job, first;
        uint32_t count;
    } heard[HAND_HEARD];
};

reeve_err hand_open(struct sim *s, int client, const char *name, uint32_t slots, uint64_t *agent);
/* The client is an agent from now on, until hand_take_back. */
void hand_lend(struct sim *s, struct sim_hand *h, int client, uint32_t slots);
void hand_take_back(struct sim_hand *h);

void hand_done(struct sim *s, const struct sim_hand *h, uint64_t chunk, uint64_t first,
               uint32_t count);
void hand_item(struct sim *s, const struct sim_hand *h, const struct rv_agent_item_args *it);
void hand_back(struct sim *s, const struct sim_hand *h, uint64_t chunk, uint64_t from);

#endif
