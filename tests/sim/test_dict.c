/* dict: what was set is there, also behind a manager that came back. */

#include "tests/lib/check.h"
#include "tests/lib/sim_sync.h"

static void start(struct sim *s, int clients)
{
    sim_start(s, clients);
    for (int c = 1; c <= clients; c++)
        CHECK(sim_sync_open_durable(s, c, "a", RV_KIND_DICT, 0, RV_DURABLE_SYNC) == REEVE_OK);
}

TEST(dict_is_one_for_all)
{
    struct sim s;

    start(&s, 2);
    sim_dict(&s, 1, "a", RV_OP_dict_set, 1, 10);
    sim_expect(&s, "[    2] dict_set.ok client=1 name=a key=1 value=10\n");
    sim_dict(&s, 2, "a", RV_OP_dict_get, 1, 0);
    sim_expect(&s, "[    4] dict_get.ok client=2 name=a key=1 value=10\n");
    sim_dict(&s, 2, "a", RV_OP_dict_setdefault, 1, 11);
    sim_expect(&s, "[    6] dict_setdefault.ok client=2 name=a key=1 value=10\n");
    sim_dict(&s, 2, "a", RV_OP_dict_pop, 1, 0);
    sim_expect(&s, "[    8] dict_pop.ok client=2 name=a key=1 value=10\n");
    sim_dict(&s, 1, "a", RV_OP_dict_get, 1, 0);
    sim_expect(&s, "[   10] dict_get.fail client=1 name=a error=EKEY\n");
    sim_stop(&s);
}

/* Pairs and their order: a manager that comes back has gone through its log and through a snapshot. */
TEST(dict_comes_back_with_its_manager)
{
    struct sim s;

    start(&s, 2);
    for (uint8_t key = 3; key > 0; key--)
        sim_dict(&s, 1, "a", RV_OP_dict_set, key, (uint8_t)(key + 10));
    sim_run(&s, 10);
    sim_server_power(&s);
    sim_server_restart(&s);
    sim_run(&s, 20000);
    sim_mark(&s);
    sim_dict(&s, 2, "a", RV_OP_dict_len, 0, 0);
    sim_expect(&s, "[    2] dict_len.ok client=2 name=a len=3\n");
    sim_dict(&s, 2, "a", RV_OP_dict_popitem, 0, 0);
    sim_expect(&s, "[    4] dict_popitem.ok client=2 name=a key=1 value=11\n");
    sim_stop(&s);
}
