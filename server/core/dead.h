#ifndef DEAD_H
#define DEAD_H

/*
 * dead.h -- dead letters: items of a joinable queue that came back too often.
 *
 *     a consumer goes without task_done
 *              |
 *              v      fewer than N                       N
 *        its past grows ----------> LATER or READY    ------> the dead-letter queue
 *                                        ^                          |
 *                                        '------ requeue -----------'
 *
 * The past of an item says who had it, when and how that ended. Only items of queues with such an
 * option, and only those that came back, have one.
 */

#include "server/core/queue.h"

/* How a delivery ended. */
struct past_row {
    rv_ns at;
    char *principal, *host_name, *program;
    uint32_t pid;
    uint8_t how; /* enum rv_left */
};

struct past {
    uint64_t number; /* as a dead letter; 0: it is none */
    rv_ns died_at;   /* it became one */
    rv_ns due;       /* LATER: when it becomes ready */
    char *queue;     /* a dead letter: whose it was */
    uint32_t total;  /* deliveries that failed, ever */
    uint32_t len;    /* the last of them are here */
    struct past_row rows[RV_LIMIT_PAST_ROWS];
};

void past_free(struct past **past);
void past_save(struct saver *out, const struct past *past);
struct past *past_load(struct rv_reader *in);

/* The session had the item and goes without saying that it is done. */
void past_add(struct mgr *mgr, struct item *item, const struct session *s);

/* Why a queue with these options cannot be made; NULL when it can. */
const char *dead_refuse(const struct mgr *mgr, const struct session *s,
                        const struct rv_object_open_args *args);

/* The queue's dead-letter queue; it is made when it is not there. NULL when there can be none: the
 * name is another object's, or the queue there takes nothing in. */
struct queue *dead_queue(struct mgr *mgr, const struct queue *q);

void dead_on_list(struct mgr *mgr, struct session *s, const struct rv_read *msg);
void dead_on_requeue(struct mgr *mgr, struct session *s, uint64_t number,
                     const struct rv_call *msg);

#endif
