/* Who gets what, and in which order. */

#include "tests/lib/check.h"
#include "tests/lib/sim.h"

static void start(struct sim *s, int clients, const struct sim_options *options)
{
    sim_start(s, clients);
    for (int c = 1; c <= clients; c++)
        CHECK(sim_open(s, c, "jobs", options) == REEVE_OK);
}

static void put_letters(struct sim *s, int client, const char *letters)
{
    for (; *letters != '\0'; letters++)
        sim_put(s, client, (char[]){*letters, '\0'});
    sim_run(s, 10);
    sim_mark(s);
}

/* row: Q01 Q03 */
TEST(items_of_one_producer_leave_in_order)
{
    struct sim s;

    start(&s, 2, NULL);
    put_letters(&s, 1, "abc");
    for (int i = 0; i < 3; i++) {
        sim_get(&s, 2, 1000);
        sim_run(&s, 10);
    }
    sim_expect(&s, "[    2] get.ok client=2 item=a\n"
                   "[   12] get.ok client=2 item=b\n"
                   "[   22] get.ok client=2 item=c\n");
    sim_stop(&s);
}

TEST(lifo_order)
{
    struct sim s;

    start(&s, 2, &(struct sim_options){.order = RV_ORDER_LIFO, .no_prefetch = true});
    put_letters(&s, 1, "abc");
    for (int i = 0; i < 3; i++) {
        sim_get(&s, 2, 1000);
        sim_run(&s, 10);
    }
    sim_expect(&s, "[    2] get.ok client=2 item=c\n"
                   "[   12] get.ok client=2 item=b\n"
                   "[   22] get.ok client=2 item=a\n");
    sim_stop(&s);
}

TEST(priority_and_arrival_order)
{
    struct sim s;

    start(&s, 2, &(struct sim_options){.order = RV_ORDER_PRIORITY, .no_prefetch = true});
    sim_put_priority(&s, 1, "late", 7);
    sim_put_priority(&s, 1, "first", -3);
    sim_put_priority(&s, 1, "early", 0);
    sim_put_priority(&s, 1, "early2", 0);
    sim_run(&s, 10);
    sim_mark(&s);
    for (int i = 0; i < 4; i++) {
        sim_get(&s, 2, 1000);
        sim_run(&s, 10);
    }
    sim_expect(&s, "[    2] get.ok client=2 item=first\n"
                   "[   12] get.ok client=2 item=early\n"
                   "[   22] get.ok client=2 item=early2\n"
                   "[   32] get.ok client=2 item=late\n");
    sim_stop(&s);
}

/* Client 2 has had a in its hands for a moment when its host is lost; b waits behind. */
TEST(item_of_a_dead_consumer_returns_to_the_head)
{
    struct sim s;

    start(&s, 3, &(struct sim_options){.no_prefetch = true});
    put_letters(&s, 1, "abc");
    sim_get(&s, 2, 1000);
    sim_expect(&s, "[    2] get.ok client=2 item=a\n");
    sim_client_kill(&s, 2, SIM_DEATH_LOST);
    sim_expect(&s, "[    2] client.crash client=2\n"
                   "[    3] session.detach session=2 resume_ms=5000\n"
                   "[ 5003] session.end session=2 reason=\"expired\"\n");
    for (int i = 0; i < 3; i++) {
        sim_get(&s, 3, 1000);
        sim_run(&s, 10);
    }
    sim_expect(&s, "[ 5005] get.ok client=3 item=a deliveries=1\n"
                   "[ 5015] get.ok client=3 item=b\n"
                   "[ 5025] get.ok client=3 item=c\n");
    sim_stop(&s);
}

/* The one who had the later item dies first. */
TEST(items_of_two_dead_consumers_return_in_their_order)
{
    struct sim s;

    start(&s, 4, &(struct sim_options){.no_prefetch = true});
    put_letters(&s, 1, "abc");
    sim_get(&s, 2, 1000);
    sim_expect(&s, "[    2] get.ok client=2 item=a\n");
    sim_get(&s, 3, 1000);
    sim_expect(&s, "[    4] get.ok client=3 item=b\n");
    sim_client_kill(&s, 3, SIM_DEATH_GONE);
    sim_run(&s, 1);
    sim_client_kill(&s, 2, SIM_DEATH_GONE);
    sim_run(&s, 1);
    sim_mark(&s);
    for (int i = 0; i < 3; i++) {
        sim_get(&s, 4, 1000);
        sim_run(&s, 10);
    }
    sim_expect(&s, "[    2] get.ok client=4 item=a deliveries=1\n"
                   "[   12] get.ok client=4 item=b deliveries=1\n"
                   "[   22] get.ok client=4 item=c\n");
    sim_stop(&s);
}

/* row: Q14 Q15 */
TEST(unfinished_items_come_back_with_their_delivery_count)
{
    struct sim s;

    start(&s, 3, &(struct sim_options){.joinable = true, .no_prefetch = true});
    put_letters(&s, 1, "ab");
    sim_get(&s, 2, 1000);
    sim_expect(&s, "[    2] get.ok client=2 item=a\n");
    sim_run(&s, 100); /* the manager knows that it was handed out */
    sim_client_kill(&s, 2, SIM_DEATH_GONE);
    sim_expect(&s, "[  102] client.crash client=2\n"
                   "[  103] session.end session=2 reason=\"lost\"\n");
    sim_get(&s, 3, 1000);
    sim_expect(&s, "[  105] get.ok client=3 item=a deliveries=1\n");
    sim_run(&s, 100);
    sim_client_kill(&s, 3, SIM_DEATH_GONE);
    sim_expect(&s, "[  205] client.crash client=3\n"
                   "[  206] session.end session=3 reason=\"lost\"\n");
    sim_get(&s, 1, 1000);
    sim_expect(&s, "[  208] get.ok client=1 item=a deliveries=2\n");
    sim_stop(&s);
}

/* What is done is not given again. */
TEST(item_that_is_done_does_not_come_back)
{
    struct sim s;

    start(&s, 3, &(struct sim_options){.joinable = true, .no_prefetch = true});
    put_letters(&s, 1, "ab");
    sim_get(&s, 2, 1000);
    sim_expect(&s, "[    2] get.ok client=2 item=a\n");
    sim_done(&s, 2, "a");
    sim_run(&s, 2);
    sim_client_kill(&s, 2, SIM_DEATH_GONE);
    sim_get(&s, 3, 1000);
    sim_expect(&s, "[    4] client.crash client=2\n"
                   "[    5] session.end session=2 reason=\"lost\"\n"
                   "[    6] get.ok client=3 item=b\n");
    sim_stop(&s);
}

/* The item has come for a get, and the handle closes before anybody took it out. */
TEST(item_that_was_never_handed_out_does_not_count_as_delivered)
{
    struct sim s;
    struct rv_request *get = NULL;

    start(&s, 3, NULL);
    put_letters(&s, 1, "a");
    get = rv_channel_get_call(&s.clients[2].queues[0].channel, s.now, 1, 1000);
    sim_client_pump(&s, &s.clients[2]);
    sim_run(&s, 5);
    CHECK(get->done && s.clients[2].queues[0].channel.buffered == 1);
    rv_request_free(&s.clients[2].link, get);
    sim_queue_close(&s, 2, 0);
    sim_get(&s, 3, 1000);
    sim_expect(&s, "[    7] get.ok client=3 item=a\n");
    sim_stop(&s);
}

TEST(large_item_travels_in_fragments)
{
    struct sim s;

    start(&s, 2, NULL);
    sim_put_large(&s, 1, "body", 200000);  /* in a body frame */
    sim_put_large(&s, 1, "parts", 700000); /* in three fragments */
    sim_put_large(&s, 1, "inline", 65536); /* in the batch */
    sim_put(&s, 1, "small");
    sim_run(&s, 20);
    sim_mark(&s);
    for (int i = 0; i < 4; i++) {
        sim_get(&s, 2, 1000);
        sim_run(&s, 10);
    }
    sim_expect(&s, "[    2] get.ok client=2 item=body\n"
                   "[   12] get.ok client=2 item=parts\n"
                   "[   22] get.ok client=2 item=inline\n"
                   "[   32] get.ok client=2 item=small\n");
    sim_stop(&s);
}

/* 16 MiB are twice the window: the rest waits for the client's acknowledgements. */
TEST(acknowledgement_opens_the_window_again)
{
    struct sim s;

    start(&s, 2, NULL);
    sim_put_large(&s, 1, "huge", RV_LIMIT_ITEM_BYTES);
    sim_run(&s, 200);
    sim_mark(&s);
    sim_get(&s, 2, 1000);
    sim_expect(&s, "[    4] get.ok client=2 item=huge\n");
    sim_stop(&s);
}

/* Handed out one after the other without a pause: the manager sends more than was asked for.
 * One that thinks for 50 ms between two gets only ever has what it asked for. */
TEST(fast_consumer_is_granted_ahead_slow_one_is_not)
{
    struct sim s;
    struct rv_channel *ch = NULL;

    start(&s, 3, NULL);
    for (int i = 0; i < 200; i++)
        sim_put(&s, 1, "x");
    sim_run(&s, 20);
    ch = &s.clients[2].queues[0].channel;
    for (int i = 0; i < 20; i++) {
        sim_get(&s, 2, 1000);
        while (s.clients[2].ops != NULL)
            sim_step(&s);
    }
    CHECK(ch->window > 0);
    CHECK(ch->seen > ch->taken || ch->seen > 20);
    ch = &s.clients[3].queues[0].channel;
    for (int i = 0; i < 20; i++) {
        sim_get(&s, 3, 1000);
        sim_run(&s, 50);
        CHECK(ch->seen == ch->taken);
    }
    CHECK(ch->window == 0);
    sim_stop(&s);
}

/* Client 2 has one item in its hands and more ahead of that; those are still in the queue. */
static void grant_ahead(struct sim *s, int items)
{
    start(s, 3, NULL);
    for (int i = 0; i < items; i++)
        sim_put(s, 1, (char[]){(char)('a' + i), '\0'});
    sim_run(s, 20);
    s->clients[2].queues[0].channel.window = 4; /* it was fast before */
    sim_mark(s);
    sim_get(s, 2, 1000);
    sim_expect(s, "[    2] get.ok client=2 item=a\n");
    CHECK(s->clients[2].queues[0].channel.buffered == (uint64_t)items - 1);
    sim_mark(s);
}

/* row: Q06 */
TEST(grant_ahead_still_counts_in_qsize)
{
    struct sim s;

    grant_ahead(&s, 4);
    sim_size(&s, 1);
    sim_expect(&s, "[    2] size.ok client=1 size=3 unfinished=0\n");
    sim_stop(&s);
}

TEST(recall_brings_items_back_when_another_get_finds_the_queue_empty)
{
    struct sim s;

    grant_ahead(&s, 4);
    sim_get(&s, 3, 1000);
    sim_expect(&s, "[    4] get.ok client=3 item=b\n");
    CHECK(s.clients[2].queues[0].channel.buffered == 0);
    sim_get(&s, 2, 1000);
    sim_expect(&s, "[    6] get.ok client=2 item=c\n");
    sim_stop(&s);
}

/* A get that does not wait must not say "empty" while items are only granted ahead. */
TEST(nowait_get_waits_for_a_recall)
{
    struct sim s;

    grant_ahead(&s, 2);
    sim_get(&s, 3, 0);
    sim_expect(&s, "[    4] get.ok client=3 item=b\n");
    sim_get(&s, 3, 0);
    sim_expect(&s, "[    6] get.fail client=3 error=EEMPTY\n");
    sim_stop(&s);
}

/* Client 2 goes to wait on another queue: others may have what it does not use. */
TEST(who_waits_elsewhere_gives_back_what_it_was_granted_ahead)
{
    struct sim s;

    grant_ahead(&s, 4);
    CHECK(sim_open(&s, 3, "other", NULL) == REEVE_OK);
    CHECK(sim_open(&s, 2, "other", NULL) == REEVE_OK);
    sim_get(&s, 3, 0);
    sim_run(&s, 20);
    CHECK(sim_get_on(&s, 2, 1, 1000) != NULL);
    sim_run(&s, 20);
    CHECK(s.clients[2].queues[0].channel.buffered == 0);
    sim_stop(&s);
}

/* An item has come for a get whose thread has not looked yet, when another one fences the queue: it goes
 * back, and nobody but the next one gets it. */
TEST(item_that_goes_back_because_of_a_fence_is_not_handed_out)
{
    struct sim s;
    struct rv_channel *ch = NULL;
    struct rv_request *call = NULL;
    struct rv_handed item;

    start(&s, 2, NULL);
    ch = &s.clients[1].queues[0].channel;
    sim_put(&s, 2, "a");
    sim_run(&s, 10);
    call = rv_channel_get_call(ch, s.now, 1, 1000);
    CHECK(call != NULL);
    sim_client_pump(&s, &s.clients[1]);
    sim_run(&s, 10);
    CHECK(call->done && call->error == REEVE_OK);
    rv_request_free(&s.clients[1].link, call);
    rv_channel_no_prefetch(ch);
    sim_client_pump(&s, &s.clients[1]);
    sim_run(&s, 10);
    sim_mark(&s);
    sim_get(&s, 2, 0);
    sim_expect(&s, "[    2] get.ok client=2 item=a\n");
    CHECK(!rv_channel_pop(ch, s.now, &item));
    sim_get(&s, 1, 0);
    sim_expect(&s, "[    4] get.fail client=1 error=EEMPTY\n");
    sim_stop(&s);
}
