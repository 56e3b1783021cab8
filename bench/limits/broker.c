#include "bench/limits/broker.h"
#include "bench/limits/arena.h"

#include <errno.h>
#include <string.h>

/* ---- the broker ---- */

struct broker {
    void *router;
    struct arena queue;
    uint8_t consumer[RAW_ID];
    uint32_t credit; /* zero until a consumer has said some */
    size_t frame_items;
};

static void on_put(struct broker *b, const uint8_t *id, const uint8_t *items, size_t len)
{
    uint32_t item_len = 0;

    for (size_t at = 0; at < len; at += sizeof item_len + item_len) {
        memcpy(&item_len, items + at, sizeof item_len);
        arena_push(&b->queue, items + at + sizeof item_len, item_len);
    }
    raw_send(b->router, id, RAW_ID, ZMQ_SNDMORE);
    raw_send(b->router, "A", 1, 0);
}

static void on_credit(struct broker *b, const uint8_t *id, const uint8_t *body)
{
    uint32_t credit = 0;

    memcpy(&credit, body, sizeof credit);
    memcpy(b->consumer, id, RAW_ID);
    b->credit += credit;
}

static void grant(struct broker *b)
{
    static uint8_t frame[BROKER_FRAME];

    while (b->credit > 0 && b->queue.items > 0) {
        size_t len = 0;
        for (size_t n = 0; n < b->frame_items && b->credit > 0 && b->queue.items > 0; n++) {
            len += arena_pop(&b->queue, frame + len);
            b->credit--;
        }
        raw_send(b->router, b->consumer, RAW_ID, ZMQ_SNDMORE);
        raw_send(b->router, frame, len, 0);
    }
}

static void hear(struct broker *b, const uint8_t *id, const uint8_t *bytes, size_t len)
{
    if (bytes[0] == 'P')
        on_put(b, id, bytes + 1, len - 1);
    else
        on_credit(b, id, bytes + 1);
}

/* What was heard counts when it is on the disk. */
static void serve_logged(struct broker *b)
{
    struct raw_log log;
    const uint8_t *id = NULL;
    const uint8_t *bytes = NULL;
    size_t len = 0;

    raw_log_open(&log);
    for (;;) {
        raw_log_gather(&log, b->router);
        while (raw_log_next(&log, &id, &bytes, &len))
            hear(b, id, bytes, len);
        grant(b);
    }
}

void broker_serve(void *arg)
{
    const struct broker_conf *conf = arg;
    struct broker b = {.router = raw_router(conf->shared), .frame_items = conf->frame_items};
    uint8_t id[RAW_ID];
    zmq_msg_t frame;

    if (conf->sync)
        serve_logged(&b);
    zmq_msg_init(&frame);
    for (;;) {
        raw_receive(b.router, id, sizeof id);
        if (zmq_msg_recv(&frame, b.router, 0) < 1)
            bench_die("unable to receive: %s", zmq_strerror(errno));
        hear(&b, id, zmq_msg_data(&frame), zmq_msg_size(&frame));
        grant(&b);
    }
}

/* ---- the consumer ---- */

struct consumer {
    void *dealer;
    zmq_msg_t frame;
    size_t at;    /* how far frame was handed out */
    size_t taken; /* since credit was said */
    size_t ahead; /* the most that is granted */
};

static void allow(struct consumer *c, size_t items)
{
    const uint32_t credit = (uint32_t)items;
    uint8_t body[1 + sizeof credit] = {'C'};

    memcpy(body + 1, &credit, sizeof credit);
    raw_send(c->dealer, body, sizeof body, 0);
}

/* The next item. Borrowed until the next call. */
static const uint8_t *take(struct consumer *c, uint32_t *len)
{
    const uint8_t *item = NULL;

    if (c->at == zmq_msg_size(&c->frame)) {
        if (c->taken >= c->ahead / 2) {
            allow(c, c->taken);
            c->taken = 0;
        }
        if (zmq_msg_recv(&c->frame, c->dealer, 0) < 1)
            bench_die("unable to receive: %s", zmq_strerror(errno));
        c->at = 0;
    }
    item = (const uint8_t *)zmq_msg_data(&c->frame) + c->at;
    memcpy(len, item, sizeof *len);
    c->at += sizeof *len + *len;
    c->taken++;
    return item + sizeof *len;
}

void broker_consume(void *arg)
{
    const struct broker_conf *conf = arg;
    struct consumer c = {.ahead = conf->frame_items * conf->frames};

    raw_wait_bound(conf->shared);
    c.dealer = raw_dealer(raw_context(1), conf->shared);
    zmq_msg_init(&c.frame);
    allow(&c, c.ahead);
    sem_post(&conf->shared->ready);
    for (size_t i = 0; i < conf->items; i++) {
        uint8_t item[BENCH_ITEM];
        uint32_t len = 0;
        const uint8_t *bytes = take(&c, &len);
        if (len != sizeof item)
            bench_die("item %zu has %u bytes", i, len);
        memcpy(item, bytes, sizeof item);
        bench_check_number(item, i);
    }
    conf->shared->end = bench_now();
}

/* ---- the producer's side ---- */

void broker_sender_open(struct broker_sender *s, const struct broker_conf *conf)
{
    *s = (struct broker_sender){.frames = conf->frames};
    raw_wait_bound(conf->shared);
    s->dealer = raw_dealer(raw_context(1), conf->shared);
    raw_wait(&conf->shared->ready);
    raw_hello(s->dealer, 'P'); /* a frame without items */
}

void broker_sender_wait(struct broker_sender *s)
{
    char answer = 0;

    for (; s->in_flight >= s->frames; s->in_flight--)
        raw_receive(s->dealer, &answer, 1);
}

void broker_sender_send(struct broker_sender *s, const uint8_t *frame, size_t len)
{
    broker_sender_wait(s);
    raw_send(s->dealer, frame, len, 0);
    s->in_flight++;
}

size_t broker_append(uint8_t *frame, size_t len, const void *item, uint32_t item_len)
{
    memcpy(frame + len, &item_len, sizeof item_len);
    memcpy(frame + len + sizeof item_len, item, item_len);
    return len + sizeof item_len + item_len;
}

void broker_run(struct broker_conf *conf, void (*produce)(void *))
{
    if (conf->frame_items < 1 || conf->frame_items > BROKER_FRAME_ITEMS || conf->frames < 2)
        bench_die("frames have 1 to %d items, and at least 2 are in flight", BROKER_FRAME_ITEMS);

    const pid_t server = bench_fork(broker_serve, conf);
    const pid_t consumer = bench_fork(broker_consume, conf);
    const pid_t producer = bench_fork(produce, conf);

    bench_join(consumer);
    bench_kill(producer); /* it may wait for acknowledgements that nobody needs */
    bench_kill(server);
    bench_figure("items_per_s",
                 (double)conf->items * 1e9 / (double)(conf->shared->end - conf->shared->begin));
}
