/* Keys that are taken away, or may do less, while their sessions are open. */

#include "tests/lib/check.h"
#include "tests/lib/sim.h"

TEST(sessions_of_a_key_that_is_taken_away_end_at_once)
{
    struct sim s;

    sim_start(&s, 2);
    for (int c = 1; c <= 2; c++)
        CHECK(sim_open(&s, c, "jobs", &(struct sim_options){.joinable = true, .deliveries = 1}) ==
              REEVE_OK);
    sim_put(&s, 1, "a");
    sim_get(&s, 2, UINT32_MAX);
    sim_run(&s, 50);
    sim_mark(&s);
    sim_get(&s, 1, UINT32_MAX);
    sim_run(&s, 5);
    sim_principal(&s, "", "");
    /* What they had goes on, with the reason; who waits hears why. */
    sim_expect(&s, "[    5] principal.remove principal=1 key=sim\n"
                   "[    5] session.end session=1 reason=\"revoked\"\n"
                   "[    5] session.end session=2 reason=\"revoked\"\n"
                   "[    5] object.create object=2 name=\"jobs.dead\" maxsize=0 by=0\n"
                   "[    5] item.dead number=1 object=1 deliveries=1 to=2\n"
                   "[    6] get.fail client=1 error=EAUTH\n"
                   "[    6] link.dead client=1 error=EAUTH\n"
                   "[    6] link.dead client=2 error=EAUTH\n");
    sim_stop(&s);
}

TEST(right_that_is_taken_away_counts_for_what_is_open)
{
    struct sim s;

    sim_start(&s, 2);
    for (int c = 1; c <= 2; c++)
        CHECK(sim_open(&s, c, "jobs", &(struct sim_options){.maxsize = 5}) == REEVE_OK);
    sim_principal(&s, "client", "put:jobs");
    sim_put_wait(&s, 2, "a", UINT32_MAX);
    sim_expect(&s, "[    2] put.ok client=2 item=a\n");
    sim_get(&s, 2, 0);
    sim_expect(&s, "[    4] get.fail client=2 error=EPERM\n");
    /* Who made it may use it, whatever its rights are. */
    sim_get(&s, 1, 0);
    sim_expect(&s, "[    6] get.ok client=1 item=a\n");
    sim_principal(&s, "client", "put,get:jobs");
    sim_get(&s, 2, 0);
    sim_expect(&s, "[    8] get.fail client=2 error=EEMPTY\n");
    sim_stop(&s);
}

TEST(quota_of_objects_counts_those_that_are_there)
{
    struct sim s;

    sim_start(&s, 1);
    sim_quota(&s, "objects:2");
    CHECK(sim_open(&s, 1, "a", NULL) == REEVE_OK);
    CHECK(sim_open(&s, 1, "b", NULL) == REEVE_OK);
    CHECK(sim_open(&s, 1, "c", NULL) == REEVE_EQUOTA);
    CHECK(sim_open(&s, 1, "a", NULL) == REEVE_OK);
    sim_remove(&s, 1, "b");
    sim_run(&s, 10);
    sim_queue_close(&s, 1, 1);
    sim_run(&s, 10);
    CHECK(sim_open(&s, 1, "c", NULL) == REEVE_OK);
    sim_stop(&s);
}

TEST(quota_of_bytes_is_that_of_who_made_the_queue)
{
    struct sim s;

    sim_start(&s, 2);
    sim_quota(&s, "bytes:40");
    for (int c = 1; c <= 2; c++)
        CHECK(sim_open(&s, c, "jobs", &(struct sim_options){.joinable = true}) == REEVE_OK);
    sim_put_wait(&s, 1, "a", 0);
    sim_put_wait(&s, 1, "b", 0);
    sim_expect(&s, "[    2] put.ok client=1 item=a\n"
                   "[    2] put.ok client=1 item=b\n");
    sim_put_wait(&s, 2, "c", 0);
    sim_expect(&s, "[    4] put.fail client=2 item=c error=EQUOTA\n");
    /* An item counts until it is done. */
    sim_get(&s, 2, 0);
    sim_expect(&s, "[    6] get.ok client=2 item=a\n");
    sim_put_wait(&s, 2, "c", 0);
    sim_expect(&s, "[    8] put.fail client=2 item=c error=EQUOTA\n");
    sim_done(&s, 2, "a");
    sim_put_wait(&s, 2, "c", 0);
    sim_expect(&s, "[   10] put.ok client=2 item=c\n");
    sim_stop(&s);
}

TEST(quotas_of_waiters_sessions_and_bytes_in_flight)
{
    struct sim s;

    sim_start(&s, 2);
    sim_quota(&s, "waiters:2 sessions:2 in-flight:20");
    for (int c = 1; c <= 2; c++)
        CHECK(sim_open(&s, c, "jobs", &(struct sim_options){.maxsize = 1}) == REEVE_OK);
    sim_client_start(&s, 3);
    sim_expect(&s, "[    4] link.dead client=3 error=EQUOTA\n");
    sim_put_wait(&s, 1, "a", UINT32_MAX);
    sim_put_wait(&s, 1, "b", UINT32_MAX);
    sim_put_wait(&s, 2, "c", UINT32_MAX);
    sim_expect(&s, "[    6] put.ok client=1 item=a\n"
                   "[    6] put.fail client=2 item=c error=EQUOTA\n");
    sim_get(&s, 2, 0);
    sim_expect(&s, "[    8] get.ok client=2 item=a\n"
                   "[    8] put.ok client=1 item=b\n");
    sim_get(&s, 2, 0);
    sim_expect(&s, "[   10] get.ok client=2 item=b\n");
    for (int i = 0; i < 3; i++)
        sim_get(&s, 1 + i % 2, 1000);
    sim_expect(&s, "[   12] get.fail client=1 error=EQUOTA\n"
                   "[ 1012] get.fail client=2 error=EEMPTY\n"
                   "[ 1012] get.fail client=1 error=EEMPTY\n");
    sim_stop(&s);
}

TEST(quota_of_calls_lets_through_so_many_a_second)
{
    struct sim s;

    sim_start(&s, 1);
    CHECK(sim_open(&s, 1, "jobs", NULL) == REEVE_OK);
    sim_quota(&s, "calls:2");
    sim_run(&s, 10);
    sim_mark(&s);
    for (int i = 0; i < 3; i++)
        sim_put_wait(&s, 1, (char[]){(char)('a' + i), 0}, 0);
    sim_expect(&s, "[    2] put.ok client=1 item=a\n"
                   "[    2] put.ok client=1 item=b\n"
                   "[    2] put.fail client=1 item=c error=EQUOTA\n");
    sim_run(&s, 499);
    sim_put_wait(&s, 1, "d", 0);
    sim_put_wait(&s, 1, "e", 0);
    sim_expect(&s, "[  503] put.ok client=1 item=d\n"
                   "[  503] put.fail client=1 item=e error=EQUOTA\n");
    sim_stop(&s);
}
