/* P1b: 64-byte items through a ROUTER with CURVE, 128 in a frame that the caller makes, 8 frames
 * in flight. */

#include "bench/limits/broker.h"

static void put_many(struct broker_sender *s, uint8_t items[][BENCH_ITEM], size_t n)
{
    static uint8_t frame[BROKER_FRAME] = {'P'};
    size_t len = 1;

    for (size_t i = 0; i < n; i++)
        len = broker_append(frame, len, items[i], BENCH_ITEM);
    broker_sender_send(s, frame, len);
}

static void produce(void *arg)
{
    const struct broker_conf *conf = arg;
    static uint8_t items[BROKER_FRAME_ITEMS][BENCH_ITEM];
    struct broker_sender s;

    broker_sender_open(&s, conf);
    conf->shared->begin = bench_now();
    for (size_t i = 0; i < conf->items;) {
        size_t n = 0;
        for (; n < conf->frame_items && i < conf->items; n++)
            bench_number(items[n], i++);
        put_many(&s, items, n);
    }
    for (;;) /* until the consumer has all and we are killed */
        raw_hello(s.dealer, 'P');
}

int main(int argc, char **argv)
{
    struct broker_conf conf = {
        .items = (size_t)bench_option(argc, argv, "items", 2000000),
        .frame_items = (size_t)bench_option(argc, argv, "batch", 128),
        .frames = (size_t)bench_option(argc, argv, "frames", 8),
        .sync = bench_option(argc, argv, "sync", 0) != 0,
        .shared = raw_shared_new((int)bench_option(argc, argv, "io", 1)),
    };

    broker_run(&conf, produce);
    return 0;
}
