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
