/* A manager that stops, crashes and comes back. */

#include "tests/lib/check.h"
#include "tests/lib/sim.h"

#include <stdlib.h>

/* It was suspended for longer than it lets others be silent. (After 28 seconds the clients give
 * up by themselves.) */
TEST(stopped_server_blames_nobody)
{
    struct sim s;

    sim_start(&s, 3);
    sim_run(&s, 1000);
    sim_mark(&s);
    sim_server_stop(&s);
    sim_run(&s, 20000);
    sim_server_continue(&s);
    sim_run(&s, 10000);
    CHECK(mgr_sessions(s.server.mgr) == 3);
    for (int c = 1; c <= 3; c++)
        CHECK(s.clients[c].link.state == RV_LINK_READY && s.clients[c].link.session == (uint64_t)c);
    sim_stop(&s);
}

/* A connection breaks just before the manager is suspended, for longer than a session is kept:
 * the client has its time when the manager runs again. */
TEST(stopped_server_does_not_end_who_was_away)
{
    struct sim s;

    sim_start(&s, 1);
    sim_reset(&s, 1);
    sim_expect(&s, "[    1] link.lost client=1\n"
                   "[    1] session.detach session=1 resume_ms=5000\n");
    sim_run(&s, 5);
    sim_server_stop(&s);
    sim_run(&s, 10000);
    sim_server_continue(&s);
    sim_run(&s, 5000);
    CHECK(s.clients[1].link.state == RV_LINK_READY && s.clients[1].link.session == 1);
    sim_stop(&s);
}

/* Power fails between the put and its commit: nobody was told, and it is said again. */
TEST(reply_leaves_only_after_its_commit)
{
    struct sim s;

    sim_start(&s, 2);
    CHECK(sim_open(&s, 1, "jobs", NULL) == REEVE_OK);
    CHECK(sim_open(&s, 2, "jobs", NULL) == REEVE_OK);
    s.commit_max = 100 * RV_MS;
    sim_put_wait(&s, 1, "a", 1000);
    sim_expect_silence(&s, 50);
    sim_server_crash(&s, false);
    sim_server_restart(&s);
    s.commit_max = 0;
    sim_run(&s, 100);
    sim_expect(&s, "[   50] server.crash\n"
                   "[   50] server.start term=2\n"
                   "[   51] link.lost client=1\n"
                   "[   51] link.lost client=2\n"
                   "[   73] session.resume session=1 attempt=2\n"
                   "[   73] session.resume session=2 attempt=2\n"
                   "[   74] link.ready client=1 attempt=2\n"
                   "[   74] link.ready client=2 attempt=2\n"
                   "[   76] put.ok client=1 item=a\n");
    sim_get(&s, 2, 0);
    sim_expect(&s, "[  152] get.ok client=2 item=a\n");
    sim_stop(&s);
}

/* Items in every place they can be in, calls that wait, and a session that is away. */
TEST(replay_gives_the_same_state)
{
    struct sim s;
    char *before = NULL;
    char *after = NULL;

    sim_start(&s, 4);
    CHECK(sim_open(&s, 1, "jobs", &(struct sim_options){.maxsize = 3, .joinable = true}) ==
          REEVE_OK);
    CHECK(sim_open(&s, 2, "jobs", &(struct sim_options){.maxsize = 3, .joinable = true}) ==
          REEVE_OK);
    CHECK(sim_open(&s, 4, "other", NULL) == REEVE_OK);
    sim_put_many(&s, 1, "abcdefgh", 60000);
    sim_join(&s, 1, 60000);
    sim_run(&s, 10);
    sim_get(&s, 2, 0);
    sim_run(&s, 10);
    sim_get(&s, 2, 0);
    sim_run(&s, 100);
    sim_done(&s, 2, "a");
    sim_get(&s, 4, 60000);
    sim_client_kill(&s, 3, SIM_DEATH_LOST);
    sim_run(&s, 100);
    before = sim_portrait(s.server.mgr);
    sim_server_crash(&s, true);
    sim_server_restart(&s); /* compares, before the restart itself is known */
    after = sim_portrait(s.server.mgr);
    CHECK(strstr(before, "accepted=5 gone=1") != NULL);
    CHECK(strstr(after, "accepted=5 gone=1") != NULL);
    free(before);
    free(after);
    sim_stop(&s);
}

/* What was acknowledged is there after the crash; what waited goes on waiting. */
TEST(accepted_item_survives_a_crash)
{
    struct sim s;

    sim_start(&s, 2);
    CHECK(sim_open(&s, 1, "jobs", NULL) == REEVE_OK);
    CHECK(sim_open(&s, 2, "jobs", NULL) == REEVE_OK);
    sim_get(&s, 2, 60000);
    sim_run(&s, 100);
    sim_server_crash(&s, false);
    sim_server_restart(&s);
    sim_run(&s, 100);
    sim_mark(&s);
    sim_put_wait(&s, 1, "a", 1000);
    sim_expect(&s, "[    2] put.ok client=1 item=a\n"
                   "[    2] get.ok client=2 item=a\n");
    sim_stop(&s);
}

/* Every client has its full time to come back, counted from the restart. */
TEST(restart_gives_everybody_time_to_come_back)
{
    struct sim s;

    sim_start(&s, 2);
    sim_client_kill(&s, 2, SIM_DEATH_SILENT);
    sim_server_crash(&s, false);
    sim_run(&s, 4000);
    sim_mark(&s);
    sim_server_restart(&s);
    sim_run(&s, 4900);
    CHECK(mgr_sessions(s.server.mgr) == 2);
    CHECK(s.clients[1].link.state == RV_LINK_READY);
    sim_run(&s, 200);
    CHECK(mgr_sessions(s.server.mgr) == 1);
    sim_stop(&s);
}
