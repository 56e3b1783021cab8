/* Who gets what, and in which order. */

#include "tests/lib/check.h"
#include "tests/lib/sim.h"

/* row: Q01 */
TEST(items_of_one_producer_leave_in_order)
{
    struct sim s;

    sim_start(&s, 2);
    CHECK(sim_open(&s, 1, "jobs", NULL) == REEVE_OK);
    CHECK(sim_open(&s, 2, "jobs", NULL) == REEVE_OK);
    sim_put(&s, 1, "a");
    sim_put(&s, 1, "b");
    sim_put(&s, 1, "c");
    sim_run(&s, 10);
    for (int i = 0; i < 3; i++) {
        sim_get(&s, 2, 1000);
        sim_run(&s, 10);
    }
    sim_expect(&s, "[   12] get.ok client=2 item=a\n"
                   "[   22] get.ok client=2 item=b\n"
                   "[   32] get.ok client=2 item=c\n");
    sim_stop(&s);
}
