/* Condition, Event and Barrier: how threads meet. */

#include "tests/lib/check.h"
#include "tests/lib/sim_sync.h"

static void start(struct sim *s, int clients, enum rv_kind kind, uint32_t number)
{
    sim_start(s, clients);
    for (int c = 1; c <= clients; c++)
        CHECK(sim_sync_open(s, c, "a", kind, number) == REEVE_OK);
}

static void acquire(struct sim *s, int client)
{
    sim_acquire(s, client, 1, "a", UINT32_MAX);
    sim_run(s, 4);
    sim_mark(s);
}

/* Clients from 1 on fall asleep in this order. */
static void all_asleep(struct sim *s, int clients, uint32_t timeout_ms)
{
    for (int c = 1; c <= clients; c++) {
        acquire(s, c);
        sim_sleep(s, c, 1, "a", NULL, timeout_ms);
        sim_run(s, 4);
    }
    sim_mark(s);
}

/* ---- conditions ---- */

/* row: S10 S11 S12 T07 */
TEST(notify_wakes_who_slept_longest_once_the_lock_is_free)
{
    struct sim s;

    start(&s, 4, RV_KIND_CONDITION, 0);
    all_asleep(&s, 3, UINT32_MAX);
    acquire(&s, 4);
    sim_notify(&s, 4, 1, "a", NULL, 1);
    sim_expect(&s, "[    2] notify.ok client=4 name=a woken=1\n"); /* it does not wait for them */
    sim_expect_silence(&s, 100);
    sim_release(&s, 4, 1, "a");
    sim_expect(&s, "[  104] sleep.ok client=1 name=a notified=1\n");
    sim_expect_silence(&s, 100);
    sim_notify(&s, 1, 1, "a", NULL, 9);
    sim_release(&s, 1, 1, "a");
    sim_expect(&s, "[  206] notify.ok client=1 name=a woken=2\n"
                   "[  206] sleep.ok client=2 name=a notified=1\n");
    sim_release(&s, 2, 1, "a");
    sim_expect(&s, "[  208] sleep.ok client=3 name=a notified=1\n");
    sim_stop(&s);
}

/* row: S11 T07 */
TEST(wait_that_times_out_has_the_lock_again)
{
    struct sim s;

    start(&s, 2, RV_KIND_CONDITION, 0);
    acquire(&s, 1);
    sim_sleep(&s, 1, 1, "a", NULL, 300);
    sim_run(&s, 4);
    acquire(&s, 2);
    sim_expect_silence(&s, 1000); /* its time is over, and client 2 has the lock */
    sim_release(&s, 2, 1, "a");
    sim_expect(&s, "[ 1002] sleep.ok client=1 name=a notified=0\n");
    sim_release(&s, 1, 1, "a");
    sim_acquire(&s, 2, 1, "a", 0);
    sim_expect(&s, "[ 1004] acquire.ok client=2 name=a fence=4\n");
    sim_stop(&s);
}

/* row: S11 S12 T07 */
TEST(wait_and_notify_are_for_the_owner_alone)
{
    struct sim s;

    start(&s, 2, RV_KIND_CONDITION, 0);
    sim_sleep(&s, 1, 1, "a", NULL, UINT32_MAX);
    sim_expect(&s, "[    0] sleep.fail client=1 name=a error=ENOTOWNER\n");
    sim_notify(&s, 1, 1, "a", NULL, 1);
    sim_expect(&s, "[    2] notify.fail client=1 name=a error=ENOTOWNER\n");
    acquire(&s, 2);
    sim_notify(&s, 2, 9, "a", NULL, 1); /* another thread of the owner's process */
    sim_expect(&s, "[    2] notify.fail client=2 name=a error=ENOTOWNER\n");
    sim_stop(&s);
}

/* The sleep is refused by a quota: the thread has the lock as before, and can release it. */
TEST(wait_that_is_refused_leaves_the_lock_with_its_owner)
{
    struct sim s;

    start(&s, 2, RV_KIND_CONDITION, 0);
    acquire(&s, 1);
    sim_acquire(&s, 2, 1, "a", UINT32_MAX);
    sim_run(&s, 4);
    sim_quota(&s, "waiters:1");
    sim_run(&s, 4);
    sim_mark(&s);
    sim_sleep(&s, 1, 1, "a", NULL, UINT32_MAX);
    sim_expect(&s, "[    2] sleep.fail client=1 name=a error=EQUOTA\n");
    CHECK(rv_claims_of(&sim_sync_at(&s, 1, 0)->claims, 1) != NULL);
    sim_release(&s, 1, 1, "a");
    sim_expect(&s, "[    4] acquire.ok client=2 name=a fence=2\n");
    sim_stop(&s);
}

/* row: S11 */
TEST(wait_gives_back_all_levels_and_takes_as_many)
{
    struct sim s;

    start(&s, 2, RV_KIND_CONDITION, 0);
    for (int i = 0; i < 3; i++)
        acquire(&s, 1);
    sim_sleep(&s, 1, 1, "a", NULL, 300);
    sim_run(&s, 4);
    sim_acquire(&s, 2, 1, "a", 0);
    sim_expect(&s, "[    6] acquire.ok client=2 name=a fence=2\n");
    sim_release(&s, 2, 1, "a");
    sim_expect(&s, "[  302] sleep.ok client=1 name=a notified=0\n");
    CHECK(rv_claims_of(&sim_sync_at(&s, 1, 0)->claims, 1)->count == 3);
    sim_stop(&s);
}

/* row: S10 T07 */
TEST(condition_works_with_a_lock_of_another_name)
{
    struct sim s;

    sim_start(&s, 2);
    for (int c = 1; c <= 2; c++) {
        CHECK(sim_sync_open(&s, c, "a", RV_KIND_LOCK, 0) == REEVE_OK);
        CHECK(sim_sync_open(&s, c, "cond", RV_KIND_CONDITION, 0) == REEVE_OK);
    }
    acquire(&s, 1);
    sim_sleep(&s, 1, 1, "cond", "a", UINT32_MAX);
    sim_run(&s, 4);
    acquire(&s, 2);
    sim_notify(&s, 2, 1, "cond", "a", 1);
    sim_release(&s, 2, 1, "a");
    sim_expect(&s, "[    2] notify.ok client=2 name=cond woken=1\n"
                   "[    2] sleep.ok client=1 name=cond notified=1\n");
    sim_release(&s, 1, 1, "a");
    sim_acquire(&s, 2, 1, "a", 0);
    sim_expect(&s, "[    4] acquire.ok client=2 name=a fence=4\n");
    sim_stop(&s);
}

/* The owner dies while others sleep: the lock goes to the next who wants it, with the news. */
TEST(waiter_that_wakes_into_a_dead_owners_lock_hears_of_it)
{
    struct sim s;

    start(&s, 2, RV_KIND_CONDITION, 0);
    all_asleep(&s, 1, 300);
    acquire(&s, 2);
    sim_run(&s, 500);
    sim_mark(&s);
    sim_client_kill(&s, 2, SIM_DEATH_GONE);
    sim_expect(&s, "[    0] client.crash client=2\n"
                   "[    1] session.end session=2 reason=\"lost\"\n"
                   "[    1] lock.abandoned object=1 name=\"a\" session=2 fence=2\n"
                   "[    2] sleep.ok client=1 name=a notified=0 OWNER_DIED\n");
    sim_stop(&s);
}

/* ---- events ---- */

/* row: S14 T03 */
TEST(event_lets_everybody_go_on_while_it_is_set)
{
    struct sim s;

    start(&s, 3, RV_KIND_EVENT, 0);
    sim_event(&s, 1, "a", RV_OP_event_wait, UINT32_MAX);
    sim_event(&s, 2, "a", RV_OP_event_wait, UINT32_MAX);
    sim_expect_silence(&s, 100);
    sim_event(&s, 3, "a", RV_OP_event_set, UINT32_MAX);
    sim_expect(&s, "[  102] event_wait.ok client=1 name=a\n"
                   "[  102] event_wait.ok client=2 name=a\n"
                   "[  102] event_set.ok client=3 name=a\n");
    sim_event(&s, 1, "a", RV_OP_event_wait, 0);
    sim_expect(&s, "[  104] event_wait.ok client=1 name=a\n");
    sim_state(&s, 1, "a");
    sim_expect(&s,
               "[  106] state.ok client=1 name=a locked=0 value=1 holders=0 waiting=0 broken=0\n");
    sim_event(&s, 3, "a", RV_OP_event_clear, UINT32_MAX);
    sim_expect(&s, "[  108] event_clear.ok client=3 name=a\n");
    sim_event(&s, 1, "a", RV_OP_event_wait, 200);
    sim_expect(&s, "[  310] event_wait.fail client=1 name=a error=ETIME\n");
    sim_stop(&s);
}

/* ---- barriers ---- */

/* row: S15 T08 */
TEST(barrier_opens_for_the_last_and_each_has_its_own_index)
{
    struct sim s;

    start(&s, 3, RV_KIND_BARRIER, 3);
    for (int round = 0; round < 2; round++) {
        sim_mark(&s);
        sim_barrier_wait(&s, 1, 1, "a", UINT32_MAX, false);
        sim_run(&s, 1);
        sim_barrier_wait(&s, 3, 1, "a", UINT32_MAX, false);
        sim_expect_silence(&s, 100);
        sim_barrier_wait(&s, 2, 1, "a", UINT32_MAX, false);
        sim_expect(&s, "[  103] barrier_wait.ok client=1 name=a index=0\n"
                       "[  103] barrier_wait.ok client=3 name=a index=1\n"
                       "[  103] barrier_wait.ok client=2 name=a index=2\n");
    }
    sim_stop(&s);
}

/* row: S15 T08 */
TEST(last_to_come_runs_the_action_before_the_others_go_on)
{
    struct sim s;

    start(&s, 2, RV_KIND_BARRIER, 2);
    sim_barrier_wait(&s, 1, 1, "a", 100, true);
    sim_run(&s, 10);
    sim_mark(&s);
    sim_barrier_wait(&s, 2, 1, "a", UINT32_MAX, true);
    sim_expect(&s, "[    2] barrier_wait.ok client=2 name=a index=1 run\n");
    sim_expect_silence(&s, 1000); /* client 1 is through, though its time is over */
    sim_barrier_wait(&s, 2, 2, "a", UINT32_MAX, false); /* of the next round */
    sim_run(&s, 10);
    sim_mark(&s);
    sim_barrier_release(&s, 2, "a", 0, false);
    sim_expect(&s, "[    2] barrier_release.ok client=2 name=a\n"
                   "[    2] barrier_wait.ok client=1 name=a index=0\n");
    sim_barrier_wait(&s, 1, 1, "a", UINT32_MAX, false);
    sim_expect(&s, "[    4] barrier_wait.ok client=2 name=a index=0\n"
                   "[    4] barrier_wait.ok client=1 name=a index=1\n");
    sim_stop(&s);
}

/* row: S16 T08 */
TEST(action_that_fails_breaks_the_barrier)
{
    struct sim s;

    start(&s, 2, RV_KIND_BARRIER, 2);
    sim_barrier_wait(&s, 1, 1, "a", UINT32_MAX, true);
    sim_run(&s, 10);
    sim_barrier_wait(&s, 2, 1, "a", UINT32_MAX, true);
    sim_run(&s, 10);
    sim_mark(&s);
    sim_barrier_release(&s, 2, "a", 0, true);
    sim_expect(&s, "[    1] barrier.break object=1 round=0 why=\"session 2 (story on sim, pid 2) "
                   "failed in the action\"\n"
                   "[    2] barrier_release.ok client=2 name=a\n"
                   "[    2] barrier_wait.fail client=1 name=a error=EBROKEN\n");
    sim_stop(&s);
}

/* row: S16 S17 T08 */
TEST(timeout_breaks_the_barrier_until_it_is_reset)
{
    struct sim s;

    start(&s, 2, RV_KIND_BARRIER, 3);
    sim_barrier_wait(&s, 1, 1, "a", UINT32_MAX, false);
    sim_run(&s, 5);
    sim_state(&s, 2, "a");
    sim_expect(&s,
               "[    7] state.ok client=2 name=a locked=0 value=0 holders=0 waiting=1 broken=0\n");
    sim_barrier_wait(&s, 2, 1, "a", 300, false);
    sim_expect(&s, "[  308] barrier.break object=1 round=0 why=\"session 2 (story on sim, pid 2) "
                   "has waited for long enough\"\n"
                   "[  309] barrier_wait.fail client=2 name=a error=EBROKEN\n"
                   "[  309] barrier_wait.fail client=1 name=a error=EBROKEN\n");
    sim_barrier_wait(&s, 1, 1, "a", UINT32_MAX, false);
    sim_expect(&s, "[  311] barrier_wait.fail client=1 name=a error=EBROKEN\n");
    sim_state(&s, 2, "a");
    sim_expect(&s,
               "[  313] state.ok client=2 name=a locked=0 value=0 holders=0 waiting=0 broken=1\n");
    sim_barrier(&s, 2, "a", RV_OP_barrier_reset);
    sim_expect(&s, "[  315] barrier_reset.ok client=2 name=a\n");
    sim_barrier_wait(&s, 1, 1, "a", UINT32_MAX, false);
    sim_expect_silence(&s, 100);
    sim_stop(&s);
}

/* row: S16 */
TEST(abort_and_reset_send_away_who_waits)
{
    struct sim s;

    start(&s, 2, RV_KIND_BARRIER, 3);
    sim_barrier_wait(&s, 1, 1, "a", UINT32_MAX, false);
    sim_run(&s, 10);
    sim_mark(&s);
    sim_barrier(&s, 2, "a", RV_OP_barrier_reset);
    sim_expect(&s, "[    1] barrier.break object=1 round=0 why=\"session 2 (story on sim, pid 2) "
                   "has reset the barrier\"\n"
                   "[    2] barrier_wait.fail client=1 name=a error=EBROKEN\n"
                   "[    2] barrier_reset.ok client=2 name=a\n");
    sim_barrier_wait(&s, 1, 1, "a", UINT32_MAX, false); /* as new */
    sim_expect_silence(&s, 100);
    sim_barrier(&s, 2, "a", RV_OP_barrier_abort);
    sim_expect(&s, "[  103] barrier.break object=1 round=1 why=\"session 2 (story on sim, pid 2) "
                   "has aborted the barrier\"\n"
                   "[  104] barrier_wait.fail client=1 name=a error=EBROKEN\n"
                   "[  104] barrier_abort.ok client=2 name=a\n");
    sim_stop(&s);
}

/* Who dies with the action in hand leaves nobody waiting. */
TEST(barrier_breaks_when_the_one_with_the_action_dies)
{
    struct sim s;

    start(&s, 2, RV_KIND_BARRIER, 2);
    sim_barrier_wait(&s, 1, 1, "a", UINT32_MAX, true);
    sim_run(&s, 10);
    sim_barrier_wait(&s, 2, 1, "a", UINT32_MAX, true);
    sim_run(&s, 10);
    sim_mark(&s);
    sim_client_kill(&s, 2, SIM_DEATH_GONE);
    sim_expect(&s, "[    0] client.crash client=2\n"
                   "[    1] session.end session=2 reason=\"lost\"\n"
                   "[    1] barrier.break object=1 round=0 why=\"session 2 (story on sim, pid 2) "
                   "is gone, who ran the action\"\n"
                   "[    2] barrier_wait.fail client=1 name=a error=EBROKEN\n");
    sim_stop(&s);
}

/* Two threads of a process stand there when a third one closes their handle: the end of the first wait breaks
 * the barrier, which ends the second. */
TEST(handle_that_is_closed_ends_all_waits_of_its_process)
{
    struct sim s;

    start(&s, 2, RV_KIND_BARRIER, 4);
    for (uint64_t thread = 1; thread <= 2; thread++)
        sim_barrier_wait(&s, 1, thread, "a", UINT32_MAX, false);
    sim_barrier_wait(&s, 2, 1, "a", UINT32_MAX, false);
    sim_run(&s, 10);
    sim_mark(&s);
    sim_sync_close(&s, 1, "a");
    sim_expect(&s, "[    6] barrier.break object=1 round=0 why=\"session 1 (story on sim, pid 1) "
                   "has given up\"\n"
                   "[    7] barrier_wait.fail client=1 name= error=ECLOSED\n"
                   "[    7] barrier_wait.fail client=1 name= error=EBROKEN\n"
                   "[    7] barrier_wait.fail client=2 name=a error=EBROKEN\n");
    sim_stop(&s);
}

/* Who came early belongs to the next round: its death breaks that one. */
TEST(death_of_who_came_early_leaves_the_round_alone)
{
    struct sim s;

    start(&s, 4, RV_KIND_BARRIER, 2);
    sim_barrier_wait(&s, 1, 1, "a", UINT32_MAX, false);
    sim_run(&s, 10);
    sim_barrier_wait(&s, 2, 1, "a", UINT32_MAX, true);
    sim_run(&s, 10);
    sim_barrier_wait(&s, 3, 1, "a", UINT32_MAX, false);
    sim_run(&s, 10);
    sim_mark(&s);
    sim_client_kill(&s, 3, SIM_DEATH_GONE);
    sim_expect(&s, "[    0] client.crash client=3\n"
                   "[    1] session.end session=3 reason=\"lost\"\n");
    sim_barrier_release(&s, 2, "a", 0, false);
    sim_expect(&s, "[    2] barrier.break object=1 round=1 why=\"session 3 (story on sim, pid 3) "
                   "is gone\"\n"
                   "[    3] barrier_release.ok client=2 name=a\n"
                   "[    3] barrier_wait.ok client=1 name=a index=0\n");
    sim_barrier_wait(&s, 4, 1, "a", UINT32_MAX, false);
    sim_expect(&s, "[    5] barrier_wait.fail client=4 name=a error=EBROKEN\n");
    sim_stop(&s);
}

/* Others wait for it: a quota of calls does not keep who has run the action from saying so. */
TEST(release_of_a_barrier_is_no_matter_of_quotas)
{
    struct sim s;

    start(&s, 2, RV_KIND_BARRIER, 2);
    sim_quota(&s, "calls:1");
    sim_run(&s, 10);
    sim_barrier_wait(&s, 1, 1, "a", UINT32_MAX, false);
    sim_run(&s, 2000);
    sim_barrier_wait(&s, 2, 1, "a", UINT32_MAX, true);
    sim_run(&s, 10);
    sim_mark(&s);
    sim_barrier_release(&s, 2, "a", 0, false);
    sim_expect(&s, "[    2] barrier_release.ok client=2 name=a\n"
                   "[    2] barrier_wait.ok client=1 name=a index=0\n");
    sim_stop(&s);
}

/* A party dies at every point of its wait: the others hear of it or go on, all or none. */
TEST(party_may_die_at_every_point)
{
    for (uint32_t at = 0; at < 6; at++)
        for (int how = SIM_DEATH_GONE; how <= SIM_DEATH_SILENT; how++) {
            struct sim s;

            start(&s, 2, RV_KIND_BARRIER, 2);
            sim_barrier_wait(&s, 1, 1, "a", UINT32_MAX, at % 2 != 0);
            sim_run(&s, at);
            sim_client_kill(&s, 1, (enum sim_death)how);
            sim_run(&s, 30000);
            sim_barrier_wait(&s, 2, 1, "a", 1000, false);
            sim_run(&s, 30000);
            CHECK(s.clients[2].ops == NULL);
            sim_stop(&s);
        }
}
