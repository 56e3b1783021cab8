/* Queues that end. */

#include "tests/lib/check.h"
#include "tests/lib/sim.h"

static void start(struct sim *s, int clients, const struct sim_options *options)
{
    sim_start(s, clients);
    for (int c = 1; c <= clients; c++)
        CHECK(sim_open(s, c, "jobs", options) == REEVE_OK);
}

/* row: T02 */
TEST(shutdown_wakes_everybody)
{
    struct sim s;

    start(&s, 3, &(struct sim_options){.maxsize = 1, .joinable = true, .no_prefetch = true});
    sim_put_wait(&s, 1, "a", UINT32_MAX);
    sim_put_wait(&s, 1, "b", UINT32_MAX);
    sim_expect(&s, "[    2] put.ok client=1 item=a\n");
    sim_shutdown(&s, 2, false);
    sim_expect(&s, "[    3] queue.shutdown object=1 immediate=0 by=2\n"
                   "[    4] put.fail client=1 item=b error=ESHUTDOWN\n"
                   "[    4] shutdown.ok client=2\n");
    /* What is in it is drained, then both ends hear the same. */
    sim_get(&s, 3, UINT32_MAX);
    sim_expect(&s, "[    6] get.ok client=3 item=a\n");
    sim_get(&s, 3, UINT32_MAX);
    sim_put_wait(&s, 1, "c", UINT32_MAX);
    sim_expect(&s, "[    8] get.fail client=3 error=ESHUTDOWN\n"
                   "[    8] put.fail client=1 item=c error=ESHUTDOWN\n");
    sim_stop(&s);
}

/* row: T02 */
TEST(waiting_gets_end_with_the_shutdown)
{
    struct sim s;

    start(&s, 3, NULL);
    sim_get(&s, 2, UINT32_MAX);
    sim_get(&s, 3, UINT32_MAX);
    sim_run(&s, 100);
    sim_shutdown(&s, 1, false);
    sim_expect(&s, "[  101] queue.shutdown object=1 immediate=0 by=1\n"
                   "[  102] shutdown.ok client=1\n"
                   "[  102] get.fail client=2 error=ESHUTDOWN\n"
                   "[  102] get.fail client=3 error=ESHUTDOWN\n");
    sim_stop(&s);
}

/* row: T02 */
TEST(immediate_shutdown_returns_after_recalls)
{
    struct sim s;

    start(&s, 2, NULL);
    for (int i = 0; i < 4; i++)
        sim_put(&s, 1, (char[]){(char)('a' + i), '\0'});
    sim_run(&s, 20);
    s.clients[2].queues[0].channel.window = 4; /* it was fast before */
    sim_mark(&s);
    sim_get(&s, 2, 1000);
    sim_expect(&s, "[    2] get.ok client=2 item=a\n");
    CHECK(s.clients[2].queues[0].channel.buffered == 3);
    sim_shutdown(&s, 1, true);
    sim_expect(&s, "[    3] queue.shutdown object=1 immediate=1 by=1\n"
                   "[    6] shutdown.ok client=1\n");
    CHECK(s.clients[2].queues[0].channel.buffered == 0);
    sim_get(&s, 2, 1000);
    sim_expect(&s, "[    8] get.fail client=2 error=ESHUTDOWN\n");
    sim_stop(&s);
}

/* A put that had returned is refused later: the next one says so. */
TEST(late_refusal_fails_the_next_put)
{
    struct sim s;

    start(&s, 2, NULL);
    sim_shutdown(&s, 2, false);
    sim_expect(&s, "[    1] queue.shutdown object=1 immediate=0 by=2\n"
                   "[    2] shutdown.ok client=2\n");
    sim_put(&s, 1, "a");
    sim_expect_silence(&s, 10);
    sim_put(&s, 1, "b");
    sim_expect(&s, "[   12] put.fail client=1 item=b error=ESHUTDOWN\n");
    sim_stop(&s);
}

/* row: Q08 Q09 */
TEST(closed_handle_still_sends_what_was_put)
{
    struct sim s;

    start(&s, 2, NULL);
    sim_put_large(&s, 1, "parts", 700000);
    sim_put(&s, 1, "a");
    sim_run(&s, 0);
    sim_queue_close(&s, 1, 0);
    sim_run(&s, 50);
    sim_mark(&s);
    CHECK(rv_link_flushed(&s.clients[1].link));
    sim_size(&s, 2);
    sim_expect(&s, "[    2] size.ok client=2 size=2 unfinished=0\n");
    sim_stop(&s);
}

TEST(removed_object_ends_its_waiters)
{
    struct sim s;

    start(&s, 3, NULL);
    sim_get(&s, 2, UINT32_MAX);
    sim_run(&s, 100);
    sim_remove(&s, 1, "jobs");
    sim_expect(&s, "[  101] object.remove object=1 name=\"jobs\" by=1\n"
                   "[  102] get.fail client=2 error=EGONE\n"
                   "[  102] remove.ok client=1\n");
    sim_get(&s, 3, 1000);
    sim_expect(&s, "[  104] get.fail client=3 error=EGONE\n");
    sim_queue_close(&s, 1, 0);
    sim_queue_close(&s, 2, 0);
    sim_queue_close(&s, 3, 0);
    sim_expect(&s, "[  105] object.free object=1\n");
    CHECK(mgr_objects(s.server.mgr) == 0);
    sim_stop(&s);
}
