#ifndef LIMIT_BROKER_H
#define LIMIT_BROKER_H

/*
 * broker.h -- the queue of limit_feeder and limit_batched: a ROUTER between one producer and one
 * consumer, and the consumer.
 *
 *     producer                    broker                      consumer
 *        | 'P' items  ------------> |                            |
 *        | <-------------------- 'A'|  <------- 'C' u32 credit   |
 *        |                          |  items ---------------->   |
 *
 * items: u32 length and bytes, one after the other. Each frame of the producer is acknowledged;
 * the consumer allows so many items and says so again when it has taken half of them.
 */

#include "bench/limits/raw.h"

struct broker_conf {
    struct raw_shared *shared;
    size_t items;       /* of the whole run */
    size_t frame_items; /* at most, in one frame */
    size_t frames;      /* in flight, each side */
    bool sync;          /* nothing is answered before it is on the disk */
};

enum {
    BROKER_FRAME_ITEMS = 1024, /* the largest frame_items */
    BROKER_FRAME = 1 + BROKER_FRAME_ITEMS * (4 + BENCH_ITEM),
};

/* Bodies of processes; arg is a struct broker_conf. broker_serve runs until it is killed. */
void broker_serve(void *arg);
void broker_consume(void *arg);

/* The producer's side of the wire. */
struct broker_sender {
    void *dealer;
    size_t in_flight, frames;
};

void broker_sender_open(struct broker_sender *s, const struct broker_conf *conf);

/* Wait until a frame may be sent, and send it. It begins with 'P'. */
void broker_sender_wait(struct broker_sender *s);
void broker_sender_send(struct broker_sender *s, const uint8_t *frame, size_t len);

/* Append an item to a frame and return its new length. */
size_t broker_append(uint8_t *frame, size_t len, const void *item, uint32_t item_len);

/* Fork the three processes, produce in one of them, wait, print items_per_s. */
void broker_run(struct broker_conf *conf, void (*produce)(void *));

#endif
