#ifndef SIM_BOX_H
#define SIM_BOX_H

/*
 * sim_box.h -- containers in the simulator, and the book of what each call on them must be answered.
 *
 *     int a = sim_box(&s, &(struct model_box){.name = "a", .kind = RV_KIND_DICT});
 *     sim_box_open(&s, 1, a, RV_DURABLE_SYNC);
 *     sim_box_call(&s, 1, (struct model_act){.op = RV_OP_dict_edit, .box = a, .how = RV_EDIT_ADD, ...});
 *     sim_expect(&s, "[    2] dict_edit.ok client=1 version=1 values=5\n");
 *
 * Whoever calls notes the call here. When the manager comes to it, the model (box_model.h) makes the same
 * step, in the manager's order, and says what the answer must be: the client's has to be that one, and a
 * wait has to end when the model says so. What a power loss took away from the manager, the model
 * takes back too, unless its answer said that it would survive.
 */

#include "tests/lib/box_model.h"
#include "tests/lib/sim.h"

/* A call, or a batch of them, that somebody makes. */
struct sim_deed;

/* A container that clients will open. */
int sim_box(struct sim *s, const struct model_box *box);
/* Run until it is open, and mark. */
reeve_err sim_box_open(struct sim *s, int client, int box, enum rv_durable durable);
bool sim_box_is_open(const struct sim *s, int client, int box);
void sim_box_close(struct sim *s, int client, int box);

struct sim_op *sim_box_op_open(struct sim *s, int client, int box, enum rv_durable durable);
/* A call of one, or a batch of them; sim_op_begin() begins it. */
struct sim_op *sim_box_op(struct sim *s, int client, const struct model_act *acts, size_t len,
                          bool batch, uint32_t timeout_ms);
/* What was called. */
const struct model_act *sim_box_acts(const struct sim_op *op, size_t *len);
/* The manager will refuse it, for a reason of which the model does not know; of a batch, after so many. */
void sim_box_op_refused(struct sim_op *op, reeve_err error, size_t done);

struct sim_op *sim_box_call(struct sim *s, int client, struct model_act act);
struct sim_op *sim_box_call_for(struct sim *s, int client, struct model_act act,
                                uint32_t timeout_ms);
struct sim_op *sim_box_batch(struct sim *s, int client, const struct model_act *acts, size_t len);

const struct model_box *sim_box_model(const struct sim *s, int box);
/* What the manager has of it; NULL: nothing. */
const struct object *sim_box_object(const struct sim *s, int box);
/* How many of them the manager has. */
size_t sim_box_kept(const struct sim *s);
/* Calls that were answered, waits that were told of a change. */
void sim_box_counts(const struct sim *s, uint64_t *answered, uint64_t *told);

/* ---- for the others in this folder ---- */

struct rv_request *sim_box_begin(struct sim *s, struct sim_op *op);
void sim_box_answered(struct sim *s, struct sim_op *op);
void sim_box_tell(struct sim *s, const struct sim_op *op);
/* The manager is about to step on it; it did. */
void sim_box_before(struct sim *s, const struct command *cmd);
void sim_box_after(struct sim *s, const struct command *cmd);
/* A replay ended at this record of the log. */
void sim_box_replayed(struct sim *s, uint64_t index);
void sim_box_new_store(struct sim *s);
void sim_box_free(struct sim *s);

#endif
