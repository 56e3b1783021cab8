/* P1: 64-byte items through a ROUTER with CURVE, one put() a call: a feeder thread frames what has
 * gathered, at most 256 items, while frames in flight make it wait. */

#include "bench/limits/broker.h"

#include <pthread.h>
#include <unistd.h>

enum { RING = 16 }; /* frames between the caller and the feeder */

struct frame {
    size_t len, items;
    uint8_t bytes[BROKER_FRAME];
};

/* Frames first to last - 1 are the feeder's; the caller fills the one at last. */
struct feeder {
    pthread_mutex_t lock;
    pthread_cond_t work, room;
    bool feeder_sleeps, caller_sleeps;
    size_t first, last;
    struct frame ring[RING];
    struct broker_sender sender;
    size_t frame_items;
};

static struct frame *frame_at(struct feeder *f, size_t i)
{
    return &f->ring[i % RING];
}

static void frame_empty(struct frame *frame)
{
    frame->bytes[0] = 'P';
    frame->len = 1;
    frame->items = 0;
}

static void put(struct feeder *f, const void *item, uint32_t len)
{
    struct frame *frame = NULL;

    pthread_mutex_lock(&f->lock);
    frame = frame_at(f, f->last);
    if (frame->items == f->frame_items) {
        while (f->last - f->first == RING - 1) {
            f->caller_sleeps = true;
            pthread_cond_wait(&f->room, &f->lock);
        }
        /* While we slept the feeder may have taken the full frame. */
        if (frame_at(f, f->last)->items == f->frame_items)
            f->last++;
        frame = frame_at(f, f->last);
    }
    frame->len = broker_append(frame->bytes, frame->len, item, len);
    frame->items++;
    if (f->feeder_sleeps) {
        f->feeder_sleeps = false;
        pthread_cond_signal(&f->work);
    }
    pthread_mutex_unlock(&f->lock);
}

/* The oldest frame, full or not. */
static struct frame *next_frame(struct feeder *f)
{
    pthread_mutex_lock(&f->lock);
    while (f->first == f->last && frame_at(f, f->last)->items == 0) {
        f->feeder_sleeps = true;
        pthread_cond_wait(&f->work, &f->lock);
    }
    if (f->first == f->last)
        f->last++;
    pthread_mutex_unlock(&f->lock);
    return frame_at(f, f->first);
}

static void frame_sent(struct feeder *f)
{
    pthread_mutex_lock(&f->lock);
    frame_empty(frame_at(f, f->first));
    f->first++;
    if (f->caller_sleeps && f->last - f->first <= RING / 2) {
        f->caller_sleeps = false;
        pthread_cond_signal(&f->room);
    }
    pthread_mutex_unlock(&f->lock);
}

static void *feed(void *arg)
{
    struct feeder *f = arg;

    for (;;) {
        broker_sender_wait(&f->sender); /* meanwhile the frame grows */
        const struct frame *frame = next_frame(f);
        broker_sender_send(&f->sender, frame->bytes, frame->len);
        frame_sent(f);
    }
    return NULL;
}

static void produce(void *arg)
{
    const struct broker_conf *conf = arg;
    static struct feeder f = {
        .lock = PTHREAD_MUTEX_INITIALIZER,
        .work = PTHREAD_COND_INITIALIZER,
        .room = PTHREAD_COND_INITIALIZER,
    };
    uint8_t item[BENCH_ITEM] = {0};
    pthread_t thread;

    f.frame_items = conf->frame_items;
    for (size_t i = 0; i < RING; i++)
        frame_empty(frame_at(&f, i));
    broker_sender_open(&f.sender, conf);
    if (pthread_create(&thread, NULL, feed, &f) != 0)
        bench_die("unable to start a thread");
    conf->shared->begin = bench_now();
    for (size_t i = 0; i < conf->items; i++) {
        bench_number(item, i);
        put(&f, item, sizeof item);
    }
    pause(); /* until the consumer has all and we are killed */
}

int main(int argc, char **argv)
{
    struct broker_conf conf = {
        .items = (size_t)bench_option(argc, argv, "items", 2000000),
        .frame_items = (size_t)bench_option(argc, argv, "batch", 256),
        .frames = (size_t)bench_option(argc, argv, "frames", 8),
        .sync = bench_option(argc, argv, "sync", 0) != 0,
        .shared = raw_shared_new((int)bench_option(argc, argv, "io", 1)),
    };

    broker_run(&conf, produce);
    return 0;
}
