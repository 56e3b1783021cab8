/* Lock, RLock, Semaphore and BoundedSemaphore: who has them, who is next, who died. */

#include "tests/lib/check.h"
#include "tests/lib/sim_sync.h"

static void start(struct sim *s, int clients, enum rv_kind kind, uint32_t number)
{
    sim_start(s, clients);
    for (int c = 1; c <= clients; c++)
        CHECK(sim_sync_open(s, c, "a", kind, number) == REEVE_OK);
}

/* row: S02 T04 R01 */
TEST(uncontended_acquire_is_one_round_trip)
{
    struct sim s;

    start(&s, 1, RV_KIND_LOCK, 0);
    sim_acquire(&s, 1, 1, "a", UINT32_MAX);
    sim_expect(&s, "[    2] acquire.ok client=1 name=a fence=1\n");
    sim_release(&s, 1, 1, "a"); /* nobody waits for its answer */
    sim_acquire(&s, 1, 1, "a", UINT32_MAX);
    sim_expect(&s, "[    4] acquire.ok client=1 name=a fence=2\n");
    sim_stop(&s);
}

/* row: S02 S03 */
TEST(lock_goes_to_who_waited_longest_with_one_message)
{
    struct sim s;

    start(&s, 3, RV_KIND_LOCK, 0);
    sim_acquire(&s, 1, 1, "a", UINT32_MAX);
    sim_expect(&s, "[    2] acquire.ok client=1 name=a fence=1\n");
    sim_acquire(&s, 2, 1, "a", UINT32_MAX);
    sim_run(&s, 5);
    sim_acquire(&s, 3, 1, "a", UINT32_MAX);
    sim_expect_silence(&s, 993);
    sim_release(&s, 1, 1, "a");
    sim_expect(&s, "[ 1002] acquire.ok client=2 name=a fence=2\n");
    sim_release(&s, 2, 1, "a");
    sim_expect(&s, "[ 1004] acquire.ok client=3 name=a fence=3\n");
    sim_stop(&s);
}

/* row: S02 */
TEST(acquire_without_waiting_or_in_time_is_ETIME)
{
    struct sim s;

    start(&s, 2, RV_KIND_LOCK, 0);
    sim_acquire(&s, 1, 1, "a", 0);
    sim_expect(&s, "[    2] acquire.ok client=1 name=a fence=1\n");
    sim_acquire(&s, 2, 1, "a", 0);
    /* The holder is asked first: its release might be under way. Once. */
    sim_expect(&s, "[    6] acquire.fail client=2 name=a error=ETIME\n");
    sim_acquire(&s, 2, 1, "a", 0);
    sim_expect(&s, "[    8] acquire.fail client=2 name=a error=ETIME\n");
    sim_acquire(&s, 2, 1, "a", 300);
    sim_expect(&s, "[  310] acquire.fail client=2 name=a error=ETIME\n");
    sim_release(&s, 1, 1, "a");
    sim_acquire(&s, 2, 1, "a", 300);
    sim_expect(&s, "[  312] acquire.ok client=2 name=a fence=2\n");
    sim_stop(&s);
}

/* row: S03 T04 */
TEST(anybody_may_release_a_lock_and_nobody_a_free_one)
{
    struct sim s;

    start(&s, 2, RV_KIND_LOCK, 0);
    sim_release(&s, 2, 1, "a");
    sim_expect(&s, "[    2] release.fail client=2 name=a error=ERELEASED\n");
    sim_acquire(&s, 1, 1, "a", 0);
    sim_expect(&s, "[    4] acquire.ok client=1 name=a fence=1\n");
    sim_release(&s, 2, 1, "a");
    sim_expect(&s, "[    8] release.ok client=2 name=a\n");
    sim_release(&s, 1, 1, "a"); /* its client has heard that it is released */
    sim_expect(&s, "[   10] release.fail client=1 name=a error=ERELEASED\n");
    sim_stop(&s);
}

/* row: S04 T04 */
TEST(locked_tells_whether_somebody_has_it)
{
    struct sim s;

    start(&s, 2, RV_KIND_LOCK, 0);
    sim_acquire(&s, 1, 1, "a", 0);
    sim_run(&s, 5);
    sim_acquire(&s, 2, 1, "a", UINT32_MAX);
    sim_run(&s, 5);
    sim_mark(&s);
    sim_state(&s, 2, "a");
    sim_expect(&s,
               "[    2] state.ok client=2 name=a locked=1 value=0 holders=1 waiting=1 broken=0\n");
    sim_stop(&s);
}

/* row: S05 */
TEST(dead_owner_hands_over_with_OWNER_DIED_and_a_larger_fence)
{
    struct sim s;

    start(&s, 3, RV_KIND_LOCK, 0);
    sim_acquire(&s, 1, 1, "a", UINT32_MAX);
    sim_run(&s, 10);
    sim_acquire(&s, 2, 1, "a", UINT32_MAX);
    sim_run(&s, 10);
    sim_mark(&s);
    sim_client_kill(&s, 1, SIM_DEATH_GONE);
    sim_expect(&s, "[    0] client.crash client=1\n"
                   "[    1] session.end session=1 reason=\"lost\"\n"
                   "[    1] lock.abandoned object=1 name=\"a\" session=1 fence=1\n"
                   "[    2] acquire.ok client=2 name=a fence=2 OWNER_DIED\n");
    sim_release(&s, 2, 1, "a");
    sim_acquire(&s, 3, 1, "a", UINT32_MAX);
    sim_expect(&s, "[    4] acquire.ok client=3 name=a fence=3\n");
    sim_stop(&s);
}

/* Nobody waits when the owner dies: whoever comes hours later hears of it. */
TEST(death_of_the_owner_is_told_to_whoever_comes_next)
{
    struct sim s;

    start(&s, 2, RV_KIND_LOCK, 0);
    sim_acquire(&s, 1, 1, "a", UINT32_MAX);
    sim_run(&s, 10);
    sim_client_kill(&s, 1, SIM_DEATH_GONE);
    sim_run(&s, 3600 * 1000);
    sim_mark(&s);
    sim_acquire(&s, 2, 1, "a", 0);
    sim_expect(&s, "[    2] acquire.ok client=2 name=a fence=2 OWNER_DIED\n");
    sim_stop(&s);
}

TEST(dead_waiter_leaves_the_row)
{
    struct sim s;

    start(&s, 3, RV_KIND_LOCK, 0);
    sim_acquire(&s, 1, 1, "a", UINT32_MAX);
    sim_run(&s, 10);
    sim_acquire(&s, 2, 1, "a", UINT32_MAX);
    sim_run(&s, 10);
    sim_acquire(&s, 3, 1, "a", UINT32_MAX);
    sim_run(&s, 10);
    sim_client_kill(&s, 2, SIM_DEATH_GONE);
    sim_run(&s, 10);
    sim_mark(&s);
    sim_release(&s, 1, 1, "a");
    sim_expect(&s, "[    2] acquire.ok client=3 name=a fence=2\n");
    sim_stop(&s);
}

/* The owner lets go of its handle without a release: nobody could release it any more. */
TEST(closing_the_handle_of_a_held_lock_abandons_it)
{
    struct sim s;

    start(&s, 2, RV_KIND_LOCK, 0);
    sim_acquire(&s, 1, 1, "a", UINT32_MAX);
    sim_run(&s, 10);
    sim_acquire(&s, 2, 1, "a", UINT32_MAX);
    sim_run(&s, 10);
    sim_mark(&s);
    sim_sync_close(&s, 1, "a");
    sim_expect(&s, "[    1] lock.abandoned object=1 name=\"a\" session=1 fence=1\n"
                   "[    2] acquire.ok client=2 name=a fence=2 OWNER_DIED\n");
    sim_stop(&s);
}

TEST(end_of_a_thread_is_the_death_of_what_it_held)
{
    struct sim s;

    start(&s, 2, RV_KIND_LOCK, 0);
    sim_acquire(&s, 1, 7, "a", UINT32_MAX);
    sim_run(&s, 10);
    sim_acquire(&s, 1, 8, "a", UINT32_MAX); /* another thread of the same process */
    sim_run(&s, 10);
    sim_mark(&s);
    sim_thread_end(&s, 1, 7);
    sim_expect(&s, "[    1] lock.abandoned object=1 name=\"a\" session=1 fence=1\n"
                   "[    2] acquire.ok client=1 name=a fence=2 OWNER_DIED\n");
    sim_stop(&s);
}

/* A client of a history ends threads in its turn; nothing may take another turn inside of that one. */
static int turns, turns_in_turns;

static void ends_its_thread(struct sim *s, struct sim_client *c)
{
    static bool inside;

    turns_in_turns += inside;
    if (++turns == 1) {
        inside = true;
        sim_thread_end(s, c->number, 7);
        inside = false;
    }
    c->idle_until = RV_NEVER;
}

TEST(end_of_a_thread_in_its_clients_turn_is_no_turn_inside_it)
{
    struct sim s;

    turns = turns_in_turns = 0;
    start(&s, 1, RV_KIND_LOCK, 0);
    sim_acquire(&s, 1, 7, "a", UINT32_MAX);
    sim_run(&s, 10);
    sim_mark(&s);
    s.clients[1].idle = ends_its_thread;
    sim_client_pump(&s, &s.clients[1]);
    sim_expect(&s, "[    1] lock.abandoned object=1 name=\"a\" session=1 fence=1\n");
    CHECK(turns == 1 && turns_in_turns == 0);
    sim_stop(&s);
}

/* The manager has answered when the caller gives up: the lock goes on, with another fence. */
TEST(cancelled_acquire_gives_the_lock_back)
{
    struct sim s;
    struct sim_op *op = NULL;

    start(&s, 3, RV_KIND_LOCK, 0);
    sim_acquire(&s, 1, 1, "a", UINT32_MAX);
    sim_run(&s, 10);
    op = sim_acquire(&s, 2, 1, "a", UINT32_MAX);
    sim_run(&s, 10);
    sim_release(&s, 1, 1, "a");
    sim_run(&s, 1);
    sim_mark(&s);
    sim_op_abandon(&s, op);
    sim_run(&s, 5);
    sim_acquire(&s, 3, 1, "a", UINT32_MAX);
    sim_expect(&s, "[    0] acquire.fail client=2 name=a error=ETIME\n"
                   "[    7] acquire.ok client=3 name=a fence=3\n");
    sim_stop(&s);
}

/* Who died is not forgotten with it. */
TEST(cancelled_acquire_passes_the_news_of_a_death_on)
{
    struct sim s;
    struct sim_op *op = NULL;

    start(&s, 3, RV_KIND_LOCK, 0);
    sim_acquire(&s, 1, 1, "a", UINT32_MAX);
    sim_run(&s, 10);
    op = sim_acquire(&s, 2, 1, "a", UINT32_MAX);
    sim_run(&s, 10);
    sim_client_kill(&s, 1, SIM_DEATH_GONE);
    sim_run(&s, 1);
    sim_op_abandon(&s, op);
    sim_run(&s, 5);
    sim_mark(&s);
    sim_acquire(&s, 3, 1, "a", UINT32_MAX);
    sim_expect(&s, "[    2] acquire.ok client=3 name=a fence=3 OWNER_DIED\n");
    sim_stop(&s);
}

/* The connection is cut at every point of an acquire and a release: each counts once. */
TEST(cut_connection_neither_loses_nor_doubles_an_acquire)
{
    for (uint32_t at = 0; at < 8; at++) {
        struct sim s;

        start(&s, 2, RV_KIND_LOCK, 0);
        sim_acquire(&s, 1, 1, "a", UINT32_MAX);
        sim_run(&s, at);
        sim_reset(&s, 1);
        sim_run(&s, 1000);
        CHECK(rv_claims_of(&sim_sync_at(&s, 1, 0)->claims, 1)->fence == 1);
        sim_release(&s, 1, 1, "a");
        sim_run(&s, at);
        sim_reset(&s, 1);
        sim_run(&s, 1000);
        sim_mark(&s);
        sim_acquire(&s, 2, 1, "a", 0);
        sim_expect(&s, "[    2] acquire.ok client=2 name=a fence=2\n");
        sim_stop(&s);
    }
}

/* The owner dies at every point of its acquire: the next has the lock, whatever was under way. */
TEST(owner_may_die_at_every_point)
{
    for (uint32_t at = 0; at < 6; at++)
        for (int how = SIM_DEATH_GONE; how <= SIM_DEATH_SILENT; how++) {
            struct sim s;

            start(&s, 2, RV_KIND_LOCK, 0);
            sim_acquire(&s, 1, 1, "a", UINT32_MAX);
            sim_run(&s, at);
            sim_client_kill(&s, 1, (enum sim_death)how);
            sim_acquire(&s, 2, 1, "a", 30000);
            sim_run(&s, 30000);
            CHECK(rv_claims_of(&sim_sync_at(&s, 2, 0)->claims, 1) != NULL);
            sim_stop(&s);
        }
}

/* ---- RLock ---- */

/* row: S06 T05 */
TEST(rlock_counts_for_its_owner_and_is_free_at_zero)
{
    struct sim s;

    start(&s, 2, RV_KIND_RLOCK, 0);
    sim_acquire(&s, 1, 1, "a", UINT32_MAX);
    sim_expect(&s, "[    2] acquire.ok client=1 name=a fence=1\n");
    sim_acquire(&s, 1, 1, "a", UINT32_MAX);
    sim_expect(&s, "[    2] acquire.ok client=1 name=a fence=1 here\n");
    sim_acquire(&s, 2, 1, "a", UINT32_MAX);
    sim_release(&s, 1, 1, "a");
    sim_expect_silence(&s, 100);
    sim_release(&s, 1, 1, "a");
    sim_expect(&s, "[  104] acquire.ok client=2 name=a fence=2\n");
    sim_stop(&s);
}

/* row: S06 T05 */
TEST(rlock_is_released_by_its_owner_alone)
{
    struct sim s;

    start(&s, 2, RV_KIND_RLOCK, 0);
    sim_release(&s, 1, 1, "a");
    sim_expect(&s, "[    2] release.fail client=1 name=a error=ENOTOWNER\n");
    sim_acquire(&s, 1, 1, "a", UINT32_MAX);
    sim_expect(&s, "[    4] acquire.ok client=1 name=a fence=1\n");
    sim_release(&s, 1, 2, "a"); /* another thread of the same process */
    sim_expect(&s, "[    6] release.fail client=1 name=a error=ENOTOWNER\n");
    sim_release(&s, 2, 1, "a");
    sim_expect(&s, "[    8] release.fail client=2 name=a error=ENOTOWNER\n");
    sim_acquire(&s, 1, 2, "a", 100);
    sim_expect(&s, "[  110] acquire.fail client=1 name=a error=ETIME\n");
    sim_stop(&s);
}

/* ---- semaphores ---- */

/* row: S07 T06 */
TEST(semaphore_lets_so_many_in_and_may_grow)
{
    struct sim s;

    start(&s, 2, RV_KIND_SEMAPHORE, 2);
    sim_acquire(&s, 1, 1, "a", 0);
    sim_expect(&s, "[    2] acquire.ok client=1 name=a fence=1\n");
    sim_acquire(&s, 1, 1, "a", 0);
    sim_expect(&s, "[    4] acquire.ok client=1 name=a fence=2\n");
    sim_acquire(&s, 2, 1, "a", 0);
    sim_expect(&s, "[    6] acquire.fail client=2 name=a error=ETIME\n");
    sim_release(&s, 1, 1, "a");
    sim_release(&s, 1, 1, "a");
    sim_release(&s, 1, 1, "a"); /* one more than was acquired */
    sim_expect(&s, "[    8] release.ok client=1 name=a\n");
    sim_state(&s, 1, "a");
    sim_expect(&s,
               "[   10] state.ok client=1 name=a locked=0 value=3 holders=0 waiting=0 broken=0\n");
    sim_stop(&s);
}

/* row: S08 T06 */
TEST(bounded_semaphore_never_grows)
{
    struct sim s;

    start(&s, 2, RV_KIND_BOUNDED_SEMAPHORE, 2);
    sim_release(&s, 1, 1, "a");
    sim_expect(&s, "[    2] release.fail client=1 name=a error=ERELEASED\n");
    sim_acquire(&s, 1, 1, "a", 0);
    sim_expect(&s, "[    4] acquire.ok client=1 name=a fence=1\n");
    sim_release(&s, 2, 1, "a"); /* anybody may */
    sim_expect(&s, "[    6] release.ok client=2 name=a\n");
    sim_release(&s, 1, 1, "a");
    sim_expect(&s, "[    8] release.fail client=1 name=a error=ERELEASED\n");
    sim_stop(&s);
}

TEST(permits_of_the_dead_come_back)
{
    struct sim s;

    start(&s, 3, RV_KIND_BOUNDED_SEMAPHORE, 2);
    sim_acquire(&s, 1, 1, "a", 0);
    sim_run(&s, 5);
    sim_acquire(&s, 1, 2, "a", 0);
    sim_run(&s, 5);
    sim_acquire(&s, 2, 1, "a", UINT32_MAX);
    sim_run(&s, 5);
    sim_acquire(&s, 3, 1, "a", UINT32_MAX);
    sim_run(&s, 5);
    sim_mark(&s);
    sim_client_kill(&s, 1, SIM_DEATH_GONE);
    sim_expect(&s, "[    0] client.crash client=1\n"
                   "[    1] session.end session=1 reason=\"lost\"\n"
                   "[    1] lock.abandoned object=1 name=\"a\" session=1 fence=1\n"
                   "[    1] lock.abandoned object=1 name=\"a\" session=1 fence=2\n"
                   "[    2] acquire.ok client=2 name=a fence=3\n"
                   "[    2] acquire.ok client=3 name=a fence=4\n");
    sim_stop(&s);
}

TEST(semaphore_of_none_is_a_signal)
{
    struct sim s;

    start(&s, 2, RV_KIND_SEMAPHORE, 0);
    sim_acquire(&s, 2, 1, "a", UINT32_MAX);
    sim_run(&s, 10);
    sim_mark(&s);
    sim_release(&s, 1, 1, "a");
    sim_expect(&s, "[    2] release.ok client=1 name=a\n"
                   "[    2] acquire.ok client=2 name=a fence=1\n");
    sim_stop(&s);
}

TEST(impossible_numbers_are_refused)
{
    struct sim s;

    sim_start(&s, 1);
    CHECK(sim_sync_open(&s, 1, "a", RV_KIND_LOCK, 1) == REEVE_EINVAL);
    CHECK(sim_sync_open(&s, 1, "a", RV_KIND_SEMAPHORE, 2147483648u) == REEVE_EINVAL);
    CHECK(sim_sync_open(&s, 1, "a", RV_KIND_BARRIER, 0) == REEVE_EINVAL);
    CHECK(sim_sync_open(&s, 1, "a", RV_KIND_SEMAPHORE, 2147483647u) == REEVE_OK);
    sim_stop(&s);
}

/* ---- leases ---- */

static void start_leased(struct sim *s, int clients)
{
    sim_start(s, clients);
    for (int c = 1; c <= clients; c++)
        CHECK(sim_sync_open_leased(s, c, "a", RV_KIND_LOCK) == REEVE_OK);
}

TEST(lease_costs_no_message_until_another_asks)
{
    struct sim s;

    start_leased(&s, 2);
    sim_acquire(&s, 1, 1, "a", UINT32_MAX);
    sim_expect(&s, "[    2] acquire.ok client=1 name=a fence=1\n");
    sim_release(&s, 1, 1, "a");
    sim_acquire(&s, 1, 2, "a", UINT32_MAX); /* another thread has it as cheaply */
    sim_expect(&s, "[    2] acquire.ok client=1 name=a fence=1 here\n");
    sim_release(&s, 1, 2, "a");
    sim_acquire(&s, 2, 1, "a", UINT32_MAX);
    sim_expect(&s, "[    6] acquire.ok client=2 name=a fence=2\n"); /* one recall later */
    sim_acquire(&s, 1, 1, "a", 0);
    sim_expect(&s, "[   10] acquire.fail client=1 name=a error=ETIME\n");
    sim_stop(&s);
}

TEST(recalled_lease_that_is_in_use_ends_with_its_release)
{
    struct sim s;

    start_leased(&s, 2);
    sim_acquire(&s, 1, 1, "a", UINT32_MAX);
    sim_run(&s, 10);
    sim_release(&s, 1, 1, "a");
    sim_acquire(&s, 1, 2, "a", UINT32_MAX);
    sim_run(&s, 10);
    sim_mark(&s);
    sim_acquire(&s, 2, 1, "a", UINT32_MAX);
    sim_expect_silence(&s, 500);
    sim_release(&s, 1, 2, "a");
    sim_expect(&s, "[  502] acquire.ok client=2 name=a fence=2\n");
    sim_stop(&s);
}

TEST(lease_of_the_dead_passes_on)
{
    struct sim s;

    start_leased(&s, 2);
    sim_acquire(&s, 1, 1, "a", UINT32_MAX);
    sim_run(&s, 10);
    sim_acquire(&s, 2, 1, "a", UINT32_MAX);
    sim_run(&s, 10);
    sim_mark(&s);
    sim_client_kill(&s, 1, SIM_DEATH_GONE);
    sim_expect(&s, "[    0] client.crash client=1\n"
                   "[    1] session.end session=1 reason=\"lost\"\n"
                   "[    1] lock.abandoned object=1 name=\"a\" session=1 fence=1\n"
                   "[    2] acquire.ok client=2 name=a fence=2 OWNER_DIED\n");
    sim_stop(&s);
}

/* An idle lease is not a held lock: its release by somebody else is one too many. */
TEST(idle_lease_of_another_cannot_be_released)
{
    struct sim s;

    start_leased(&s, 2);
    sim_acquire(&s, 1, 1, "a", UINT32_MAX);
    sim_run(&s, 10);
    sim_release(&s, 1, 1, "a");
    sim_run(&s, 10);
    sim_mark(&s);
    sim_release(&s, 2, 1, "a");
    sim_expect(&s, "[    4] release.fail client=2 name=a error=ERELEASED\n");
    sim_acquire(&s, 1, 1, "a", UINT32_MAX);
    sim_run(&s, 10);
    sim_mark(&s);
    sim_release(&s, 2, 1, "a"); /* but one in use can, as any lock */
    sim_expect(&s, "[    4] release.ok client=2 name=a\n");
    sim_stop(&s);
}

/* ---- fences ---- */

static void start_guarded(struct sim *s)
{
    sim_start(s, 2);
    for (int c = 1; c <= 2; c++) {
        CHECK(sim_open(s, c, "jobs", &(struct sim_options){.maxsize = 9}) == REEVE_OK);
        CHECK(sim_sync_open(s, c, "a", RV_KIND_LOCK, 0) == REEVE_OK);
    }
}

TEST(call_with_the_fence_of_a_lost_lock_is_refused)
{
    struct sim s;

    start_guarded(&s);
    sim_acquire(&s, 1, 1, "a", UINT32_MAX);
    sim_run(&s, 10);
    sim_mark(&s);
    sim_guard(&s, 1, "a", 1);
    sim_put_wait(&s, 1, "x", 100);
    sim_expect(&s, "[    2] put.ok client=1 item=x\n");
    sim_release(&s, 2, 1, "a"); /* somebody takes it from client 1 */
    sim_acquire(&s, 2, 1, "a", UINT32_MAX);
    sim_expect(&s, "[    6] release.ok client=2 name=a\n"
                   "[    6] acquire.ok client=2 name=a fence=2\n");
    sim_guard(&s, 1, "a", 1);
    sim_put_wait(&s, 1, "y", 100);
    sim_expect(&s, "[    8] put.fail client=1 item=y error=EFENCED\n");
    sim_put_wait(&s, 1, "z", 100); /* a guard is for one call */
    sim_expect(&s, "[   10] put.ok client=1 item=z\n");
    sim_stop(&s);
}

TEST(call_that_is_refused_for_another_reason_uses_up_its_guard)
{
    struct sim s;

    start_guarded(&s);
    sim_acquire(&s, 1, 1, "a", UINT32_MAX);
    sim_run(&s, 10);
    sim_server_space(&s, true);
    sim_run(&s, 10);
    sim_mark(&s);
    sim_guard(&s, 1, "a", 1);
    sim_put_wait(&s, 1, "x", 100);
    sim_expect(&s, "[    2] put.fail client=1 item=x error=ENOSPC\n");
    sim_server_space(&s, false);
    sim_release(&s, 1, 1, "a");
    sim_run(&s, 10);
    sim_mark(&s);
    sim_put_wait(&s, 1, "y", 100);
    sim_expect(&s, "[    2] put.ok client=1 item=y\n");
    sim_stop(&s);
}

/* The holder gave its number to somebody who works for it. */
TEST(fence_counts_for_whoever_shows_it)
{
    struct sim s;

    start_guarded(&s);
    sim_acquire(&s, 1, 1, "a", UINT32_MAX);
    sim_run(&s, 10);
    sim_mark(&s);
    sim_guard(&s, 2, "a", 1);
    sim_put_wait(&s, 2, "x", 100);
    sim_expect(&s, "[    2] put.ok client=2 item=x\n");
    sim_client_kill(&s, 1, SIM_DEATH_GONE);
    sim_run(&s, 10);
    sim_mark(&s);
    sim_guard(&s, 2, "a", 1);
    sim_put_wait(&s, 2, "y", 100);
    sim_expect(&s, "[    2] put.fail client=2 item=y error=EFENCED\n");
    sim_stop(&s);
}

/* What waits in the name of a fence ends with it, and takes nothing any more. */
TEST(call_that_waits_with_a_fence_ends_when_the_lock_is_lost)
{
    struct sim s;

    start_guarded(&s);
    sim_acquire(&s, 1, 1, "a", UINT32_MAX);
    sim_run(&s, 10);
    sim_mark(&s);
    sim_guard(&s, 1, "a", 1);
    sim_get(&s, 1, 1000);
    sim_expect_silence(&s, 100);
    sim_release(&s, 1, 1, "a");
    sim_expect(&s, "[  102] get.fail client=1 error=EFENCED\n");
    sim_put_wait(&s, 2, "x", 100);
    sim_get(&s, 2, 100);
    sim_expect(&s, "[  104] put.ok client=2 item=x\n"
                   "[  104] get.ok client=2 item=x\n");
    sim_stop(&s);
}

/* A put that waits for room: the owner dies, and the room is not his. */
TEST(put_of_a_dead_owners_helper_ends_with_the_fence)
{
    struct sim s;

    start_guarded(&s);
    sim_acquire(&s, 1, 1, "a", UINT32_MAX);
    for (int i = 0; i < 9; i++)
        sim_put(&s, 2, "x");
    sim_run(&s, 10);
    sim_mark(&s);
    sim_guard(&s, 2, "a", 1);
    sim_put_wait(&s, 2, "y", 5000);
    sim_expect_silence(&s, 100);
    sim_client_kill(&s, 1, SIM_DEATH_GONE);
    sim_expect(&s, "[  100] client.crash client=1\n"
                   "[  101] session.end session=1 reason=\"lost\"\n"
                   "[  101] lock.abandoned object=2 name=\"a\" session=1 fence=1\n"
                   "[  102] put.fail client=2 item=y error=EFENCED\n");
    sim_stop(&s);
}

/* ---- cycles ---- */

TEST(cycle_of_three_is_found_at_once_and_ends_for_those_who_asked)
{
    struct sim s;

    sim_start(&s, 3);
    for (int c = 1; c <= 3; c++)
        for (int i = 0; i < 3; i++)
            CHECK(sim_sync_open(&s, c, (const char *[]){"a", "b", "c"}[i], RV_KIND_LOCK, 0) ==
                  REEVE_OK);
    sim_acquire(&s, 1, 1, "a", UINT32_MAX);
    sim_acquire(&s, 2, 2, "b", UINT32_MAX);
    sim_acquire(&s, 3, 3, "c", UINT32_MAX);
    sim_run(&s, 10);
    sim_acquire_no_cycle(&s, 1, 1, "b");
    sim_run(&s, 10);
    sim_acquire(&s, 2, 2, "c", UINT32_MAX);
    sim_run(&s, 10);
    sim_mark(&s);
    sim_acquire_no_cycle(&s, 3, 3, "a");
    sim_expect(
        &s,
        "[    1] lock.cycle calls=3 why=\"session 3 (story on sim, pid 3, thread 3) waits for a, "
        "held by session 1 (story on sim, pid 1, thread 1), which waits for b, held by session 2 "
        "(story on sim, pid 2, thread 2), which waits for c, held by session 3 (story on sim, pid "
        "3, thread 3)\"\n"
        "[    2] acquire.fail client=1 name=b error=EDEADLOCK\n"
        "[    2] acquire.fail client=3 name=a error=EDEADLOCK\n");
    sim_release(&s, 3, 3, "c"); /* client 2 did not ask, and goes on waiting */
    sim_expect(&s, "[    4] acquire.ok client=2 name=c fence=4\n");
    sim_stop(&s);
}

/* Nobody asked to hear of it, and the releases were to be late: that each owner says that it has
 * its lock is no news of the cycle. */
TEST(cycle_that_nobody_ends_is_told_once)
{
    struct sim s;

    sim_start(&s, 2);
    for (int c = 1; c <= 2; c++)
        for (int i = 0; i < 2; i++)
            CHECK(sim_sync_open(&s, c, i == 0 ? "a" : "b", RV_KIND_LOCK, 0) == REEVE_OK);
    sim_acquire(&s, 1, 1, "a", UINT32_MAX);
    sim_acquire(&s, 2, 2, "b", UINT32_MAX);
    sim_run(&s, 10);
    sim_mark(&s);
    sim_acquire(&s, 1, 1, "b", UINT32_MAX);
    sim_acquire(&s, 2, 2, "a", UINT32_MAX);
    sim_expect(&s, "[    1] lock.cycle calls=2 why=\"session 2 (story on sim, pid 2, thread 2) "
                   "waits for a, held by session 1 (story on sim, pid 1, thread 1), which waits "
                   "for b, held by session 2 (story on sim, pid 2, thread 2)\"\n");
    sim_expect_silence(&s, 1000);
    sim_stop(&s);
}

TEST(thread_that_waits_for_itself_is_a_cycle)
{
    struct sim s;

    start(&s, 1, RV_KIND_LOCK, 0);
    sim_acquire(&s, 1, 1, "a", UINT32_MAX);
    sim_run(&s, 10);
    sim_mark(&s);
    sim_acquire_no_cycle(&s, 1, 1, "a");
    sim_expect(&s, "[    1] lock.cycle calls=1 why=\"session 1 (story on sim, pid 1, thread 1) "
                   "waits for a, held by session 1 (story on sim, pid 1, thread 1)\"\n"
                   "[    2] acquire.fail client=1 name=a error=EDEADLOCK\n");
    sim_stop(&s);
}

/* ---- lives of the manager ---- */

TEST(locks_outlive_a_crash_of_the_manager)
{
    struct sim s;

    start(&s, 2, RV_KIND_LOCK, 0);
    sim_acquire(&s, 1, 1, "a", UINT32_MAX);
    sim_run(&s, 10);
    sim_acquire(&s, 2, 1, "a", UINT32_MAX);
    sim_run(&s, 10);
    sim_server_crash(&s, false);
    sim_run(&s, 10);
    sim_server_restart(&s);
    sim_run(&s, 3000);
    sim_mark(&s);
    sim_release(&s, 1, 1, "a");
    sim_expect(&s, "[    2] acquire.ok client=2 name=a fence=4294967297\n");
    sim_stop(&s);
}
