/* The pains of Python's multiprocessing that these cores must not have, by their number. */

#include "tests/lib/check.h"
#include "tests/lib/sim_sync.h"

/* A consumer dies in the middle of a get, and another with an item in its hands: everybody else
 * goes on, and nothing is lost. */
TEST(pain_07_dead_queue_user_blocks_nobody)
{
    struct sim s;

    sim_start(&s, 4);
    for (int c = 1; c <= 4; c++)
        CHECK(sim_open(&s, c, "jobs", &(struct sim_options){.no_prefetch = true}) == REEVE_OK);
    sim_get(&s, 2, UINT32_MAX);
    sim_run(&s, 10);
    sim_client_kill(&s, 2, SIM_DEATH_GONE);
    sim_run(&s, 10);
    sim_put(&s, 1, "a");
    sim_get(&s, 3, UINT32_MAX);
    sim_run(&s, 2);
    sim_client_kill(&s, 3, SIM_DEATH_GONE);
    sim_mark(&s);
    sim_get(&s, 4, UINT32_MAX);
    sim_expect(&s, "[    1] session.end session=3 reason=\"lost\"\n"
                   "[    2] get.ok client=4 item=a deliveries=1\n");
    sim_stop(&s);
}

/* The producer says goodbye while everything it put is still there: it leaves at once. */
TEST(pain_08_joining_a_producer_before_draining_ends)
{
    struct sim s;

    sim_start(&s, 2);
    CHECK(sim_open(&s, 1, "jobs", NULL) == REEVE_OK);
    CHECK(sim_open(&s, 2, "jobs", NULL) == REEVE_OK);
    for (int i = 0; i < 50; i++)
        sim_put_large(&s, 1, "x", 30000);
    sim_run(&s, 1);
    sim_mark(&s);
    sim_client_goodbye(&s, 1);
    sim_expect(&s, "[    1] session.end session=1 reason=\"goodbye\"\n"
                   "[    2] link.left client=1 heard=1\n");
    sim_size(&s, 2);
    sim_expect(&s, "[    4] size.ok client=2 size=50 unfinished=0\n");
    sim_stop(&s);
}

TEST(pain_10_shutdown_wakes_everyone)
{
    struct sim s;

    sim_start(&s, 4);
    for (int c = 1; c <= 4; c++)
        CHECK(sim_open(&s, c, "jobs",
                       &(struct sim_options){
                           .maxsize = 1, .joinable = true, .no_prefetch = true}) == REEVE_OK);
    sim_get(&s, 2, UINT32_MAX);
    sim_get(&s, 3, UINT32_MAX);
    sim_run(&s, 10);
    sim_put_wait(&s, 1, "a", UINT32_MAX);
    sim_run(&s, 10);
    sim_join(&s, 4, UINT32_MAX);
    sim_run(&s, 10);
    sim_mark(&s);
    sim_shutdown(&s, 1, false);
    sim_expect(&s, "[    1] queue.shutdown object=1 immediate=0 by=1\n"
                   "[    2] shutdown.ok client=1\n"
                   "[    2] get.fail client=3 error=ESHUTDOWN\n");
    sim_done(&s, 2, "a"); /* what is in somebody's hands is waited for */
    sim_expect(&s, "[    4] join.ok client=4\n");
    sim_stop(&s);
}

/* The holder is killed: the next has the lock, and knows that the work may be half done. */
TEST(pain_11_lock_of_a_dead_process_passes_on)
{
    struct sim s;

    sim_start(&s, 2);
    for (int c = 1; c <= 2; c++)
        CHECK(sim_sync_open(&s, c, "nightly", RV_KIND_LOCK, 0) == REEVE_OK);
    sim_acquire(&s, 1, 1, "nightly", UINT32_MAX);
    sim_run(&s, 10);
    sim_client_kill(&s, 1, SIM_DEATH_GONE);
    sim_run(&s, 10);
    sim_mark(&s);
    sim_acquire(&s, 2, 1, "nightly", 0);
    sim_expect(&s, "[    2] acquire.ok client=2 name=nightly fence=2 OWNER_DIED\n");
    sim_stop(&s);
}

/* Waiters die in a condition, at an event and at a barrier: whoever notifies, sets or waits there
 * is not held up, and the barrier says who is gone. */
TEST(pain_12_dead_waiter_holds_nobody_up)
{
    struct sim s;

    sim_start(&s, 3);
    for (int c = 1; c <= 3; c++) {
        CHECK(sim_sync_open(&s, c, "cond", RV_KIND_CONDITION, 0) == REEVE_OK);
        CHECK(sim_sync_open(&s, c, "event", RV_KIND_EVENT, 0) == REEVE_OK);
        CHECK(sim_sync_open(&s, c, "barrier", RV_KIND_BARRIER, 3) == REEVE_OK);
    }
    for (int c = 1; c <= 2; c++) {
        sim_acquire(&s, c, 1, "cond", UINT32_MAX);
        sim_run(&s, 4);
        sim_sleep(&s, c, 1, "cond", NULL, UINT32_MAX);
        sim_run(&s, 4);
    }
    sim_event(&s, 1, "event", RV_OP_event_wait, UINT32_MAX);
    sim_barrier_wait(&s, 1, 2, "barrier", UINT32_MAX, false);
    sim_barrier_wait(&s, 3, 2, "barrier", UINT32_MAX, false);
    sim_acquire(&s, 3, 1, "cond", UINT32_MAX);
    sim_run(&s, 10);
    sim_mark(&s);
    sim_client_kill(&s, 1, SIM_DEATH_GONE);
    sim_expect(&s,
               "[    0] client.crash client=1\n"
               "[    1] session.end session=1 reason=\"lost\"\n"
               "[    1] condition.lost object=1 session=1\n"
               "[    1] barrier.break object=3 round=0 why=\"session 1 (story on sim, pid 1) is "
               "gone\"\n"
               "[    2] barrier_wait.fail client=3 name=barrier error=EBROKEN\n");
    sim_notify(&s, 3, 1, "cond", NULL, 1);
    sim_event(&s, 3, "event", RV_OP_event_set, UINT32_MAX);
    sim_release(&s, 3, 1, "cond");
    sim_expect(&s, "[    4] notify.ok client=3 name=cond woken=1\n"
                   "[    4] event_set.ok client=3 name=event\n"
                   "[    4] sleep.ok client=2 name=cond notified=1\n");
    sim_stop(&s);
}

/* Whatever stands at the address takes connections and says nothing: each attempt ends after
 * three seconds, and the next begins. */
TEST(pain_20_silent_peer_at_the_handshake_is_cut)
{
    struct sim s;

    sim_start(&s, 0);
    sim_client_start(&s, 1);
    sim_run(&s, 2);
    CHECK(s.clients[1].link.state == RV_LINK_GREETING);
    sim_server_stop(&s);
    sim_run(&s, 2900);
    CHECK(s.clients[1].link.attempt == 1);
    sim_run(&s, 300);
    CHECK(s.clients[1].link.attempt == 2);
    sim_server_continue(&s);
    sim_run(&s, 4000);
    CHECK(s.clients[1].link.state == RV_LINK_READY);
    sim_stop(&s);
}

/* A peer that says something else than hello is told so and cut, and costs nothing after that. */
TEST(pain_20_stranger_at_the_gate_is_cut)
{
    struct sim s;
    static const uint8_t junk[] = "GET / HTTP/1.1";
    struct command cmd;
    uint64_t peer = 0;

    sim_start(&s, 0);
    CHECK(!gate_receive(
        s.server.gate, s.now,
        &(struct gate_message){.peer = 77, .principal = 1, .control = rv_slice(junk, sizeof junk)},
        &cmd));
    CHECK(gate_refused(s.server.gate) == 1);
    CHECK(!gate_expire(s.server.gate, s.now + RV_SEC, &cmd));
    CHECK(gate_cut(s.server.gate, &peer) && peer == 77);
    CHECK(gate_deadline(s.server.gate) == RV_NEVER);
    sim_stop(&s);
}
