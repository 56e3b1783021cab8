/* Calls that wait, and how they end. */

#include "tests/lib/check.h"
#include "tests/lib/sim.h"

static void start(struct sim *s, int clients, const struct sim_options *options)
{
    sim_start(s, clients);
    for (int c = 1; c <= clients; c++)
        CHECK(sim_open(s, c, "jobs", options) == REEVE_OK);
}

/* row: Q04 */
TEST(parked_get_ends_at_its_deadline)
{
    struct sim s;

    start(&s, 2, NULL);
    sim_get(&s, 2, 500);
    sim_expect(&s, "[  502] get.fail client=2 error=EEMPTY\n");
    sim_stop(&s);
}

/* row: Q04 */
TEST(parked_get_wakes_with_the_put)
{
    struct sim s;

    start(&s, 2, NULL);
    sim_get(&s, 2, UINT32_MAX);
    sim_run(&s, 3000);
    sim_put(&s, 1, "a");
    sim_expect(&s, "[ 3002] get.ok client=2 item=a\n");
    sim_stop(&s);
}

/* Alone it would cost as much as the answer. */
TEST(acknowledgement_of_a_parked_call_waits_for_company)
{
    struct sim s;
    const struct rv_stream *out = NULL;

    start(&s, 1, NULL);
    sim_run(&s, 100);
    out = &s.clients[1].link.out;
    CHECK(out->first == out->next);
    sim_get(&s, 1, 1000);
    sim_run(&s, 4);
    CHECK(out->first < out->next);
    sim_run(&s, 6);
    CHECK(out->first == out->next);
    /* Who waits for it has it at once. */
    sim_get(&s, 1, 1000);
    sim_run(&s, 0);
    rv_link_hurry(&s.clients[1].link);
    sim_client_pump(&s, &s.clients[1]);
    sim_run(&s, 2);
    CHECK(out->first == out->next);
    sim_stop(&s);
}

/* A call that waits keeps no put from leaving. */
TEST(put_leaves_at_once_behind_a_parked_call)
{
    struct sim s;

    start(&s, 2, NULL);
    CHECK(sim_open(&s, 1, "other", NULL) == REEVE_OK);
    sim_run(&s, 100);
    sim_mark(&s);
    sim_get_on(&s, 1, 1, 1000);
    sim_run(&s, 3);
    sim_get(&s, 2, 1000);
    sim_put(&s, 1, "a");
    sim_expect(&s, "[    5] get.ok client=2 item=a\n");
    sim_stop(&s);
}

/* row: Q05 */
TEST(nowait_get_on_an_empty_queue_is_EEMPTY)
{
    struct sim s;

    start(&s, 1, NULL);
    sim_get(&s, 1, 0);
    sim_expect(&s, "[    2] get.fail client=1 error=EEMPTY\n");
    sim_stop(&s);
}

/* row: Q02 T01 */
TEST(put_waits_for_room_in_a_bounded_queue)
{
    struct sim s;

    start(&s, 2, &(struct sim_options){.maxsize = 2, .no_prefetch = true});
    sim_put_many(&s, 1, "abc", UINT32_MAX);
    sim_expect_silence(&s, 1000);
    sim_get(&s, 2, 1000);
    sim_expect(&s, "[ 1002] get.ok client=2 item=a\n"
                   "[ 1002] put.ok client=1 item=a,b,c\n");
    sim_size(&s, 1);
    sim_expect(&s, "[ 1004] size.ok client=1 size=2 unfinished=0\n");
    sim_stop(&s);
}

/* row: Q02 */
TEST(put_that_finds_no_room_ends_at_its_deadline)
{
    struct sim s;

    start(&s, 1, &(struct sim_options){.maxsize = 2});
    sim_put_many(&s, 1, "abc", 500);
    sim_expect(&s, "[  502] put.fail client=1 item=a,b,c accepted=2 error=EFULL\n");
    sim_stop(&s);
}

/* row: Q05 Q07 */
TEST(nowait_put_on_a_full_queue_is_EFULL)
{
    struct sim s;

    start(&s, 2, &(struct sim_options){.maxsize = 1, .no_prefetch = true});
    sim_put_wait(&s, 1, "a", 0);
    sim_expect(&s, "[    2] put.ok client=1 item=a\n");
    sim_put_wait(&s, 1, "b", 0);
    sim_expect(&s, "[    4] put.fail client=1 item=b error=EFULL\n");
    sim_get(&s, 2, 0);
    sim_expect(&s, "[    6] get.ok client=2 item=a\n");
    sim_put_wait(&s, 1, "c", 0);
    sim_expect(&s, "[    8] put.ok client=1 item=c\n");
    sim_stop(&s);
}

/* The manager has answered with a when its get is given up: a goes back to the head. */
TEST(cancelled_get_gives_its_item_back)
{
    struct sim s;
    struct sim_op *op = NULL;

    start(&s, 3, &(struct sim_options){.no_prefetch = true});
    op = sim_get(&s, 2, 1000);
    sim_run(&s, 10);
    sim_put(&s, 1, "a");
    sim_put(&s, 1, "b");
    sim_run(&s, 1);
    sim_mark(&s);
    sim_op_abandon(&s, op);
    sim_run(&s, 5);
    sim_get(&s, 3, 1000);
    sim_expect(&s, "[    0] get.fail client=2 error=ETIME\n"
                   "[    7] get.ok client=3 item=a\n");
    sim_get(&s, 2, 1000);
    sim_expect(&s, "[    9] get.ok client=2 item=b\n");
    sim_stop(&s);
}

TEST(cancelled_get_does_not_take_a_later_item)
{
    struct sim s;
    struct sim_op *op = NULL;

    start(&s, 3, NULL);
    op = sim_get(&s, 2, UINT32_MAX);
    sim_run(&s, 10);
    sim_op_abandon(&s, op);
    sim_run(&s, 10);
    sim_mark(&s);
    sim_put(&s, 1, "a");
    sim_get(&s, 3, 1000);
    sim_expect(&s, "[    4] get.ok client=3 item=a\n");
    sim_stop(&s);
}

/* row: Q16 Q15 T01 */
TEST(join_waits_for_the_last_task_done)
{
    struct sim s;

    start(&s, 2, &(struct sim_options){.joinable = true, .no_prefetch = true});
    sim_put(&s, 1, "a");
    sim_put(&s, 1, "b");
    sim_join(&s, 1, UINT32_MAX);
    sim_get(&s, 2, 1000);
    sim_expect(&s, "[    2] get.ok client=2 item=a\n");
    sim_get(&s, 2, 1000);
    sim_expect(&s, "[    4] get.ok client=2 item=b\n");
    sim_done(&s, 2, "b");
    sim_expect_silence(&s, 1000);
    sim_done(&s, 2, "a");
    sim_expect(&s, "[ 1006] join.ok client=1\n");
    sim_stop(&s);
}

/* row: Q16 */
TEST(join_with_a_deadline_ends_there)
{
    struct sim s;

    start(&s, 1, &(struct sim_options){.joinable = true});
    sim_put(&s, 1, "a");
    sim_join(&s, 1, 300);
    sim_expect(&s, "[  302] join.fail client=1 error=ETIME\n");
    sim_stop(&s);
}

/* The worker dies with the last item: the join goes on waiting for whoever gets it next. */
TEST(join_outlives_a_dead_worker)
{
    struct sim s;

    start(&s, 3, &(struct sim_options){.joinable = true, .no_prefetch = true});
    sim_put(&s, 1, "a");
    sim_join(&s, 1, UINT32_MAX);
    sim_get(&s, 2, 1000);
    sim_expect(&s, "[    2] get.ok client=2 item=a\n");
    sim_client_kill(&s, 2, SIM_DEATH_GONE);
    sim_get(&s, 3, UINT32_MAX);
    sim_expect(&s, "[    2] client.crash client=2\n"
                   "[    3] session.end session=2 reason=\"lost\"\n"
                   "[    4] get.ok client=3 item=a deliveries=1\n");
    sim_done(&s, 3, "a");
    sim_expect(&s, "[    6] join.ok client=1\n");
    sim_stop(&s);
}

/* The manager is unreachable for ever: the caller hears that no answer came, in time. */
TEST(blocking_call_always_ends)
{
    struct sim s;

    start(&s, 2, NULL);
    sim_partition(&s, 2, UINT32_MAX);
    sim_get(&s, 2, 500);
    sim_expect(&s, "[  750] get.fail client=2 error=ETIME\n");
    sim_get(&s, 2, UINT32_MAX);
    sim_expect(&s, "[ 8990] link.lost client=2\n"
                   "[13996] peer.silent peer=2\n"
                   "[13996] session.end session=2 reason=\"lost\"\n"
                   "[27990] get.fail client=2 error=ELOST\n"
                   "[27990] link.dead client=2 error=ELOST\n");
    sim_stop(&s);
}
