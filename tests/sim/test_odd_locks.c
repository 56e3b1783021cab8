/* Locks and their kin that are told what no client of ours says: each such message is answered or counted, and
 * whoever holds or waits hears nothing of it. */

#include "tests/lib/sim_raw.h"
#include "tests/lib/sim_sync.h"

#include <stdio.h>

enum { SHORT = 50 };

static const uint32_t LONG = UINT32_MAX;

static void start(struct sim *s, int clients)
{
    sim_start(s, clients);
    sim_principal(s, "admin", "");
}

static uint64_t opened(struct sim *s, int client, const char *name, uint8_t kind, uint32_t number)
{
    return raw_open(
        s, client,
        &(struct rv_object_open_args){.name = rv_slice_str(name), .kind = kind, .maxsize = number});
}

static struct rv_sync_state_result state_of(struct sim *s, uint64_t object)
{
    struct rv_buf none = {0};
    struct rv_buf result = {0};
    struct rv_sync_state_result state = {0};

    CHECK(sim_ask(s, 1, RV_OP_sync_state, object, &none, &result) == REEVE_OK);
    CHECK(rv_sync_state_result_decode(&state, rv_buf_slice(&result)));
    rv_buf_free(&result);
    return state;
}

static uint64_t acquired(struct sim *s, int client, uint64_t lock, uint64_t thread, uint8_t flags)
{
    struct rv_lock_acquire_result got = {0};

    RAW_FOR(s, client, &got, lock_acquire, lock, .thread = thread, .flags = flags);
    return got.fence;
}

static struct rv_request *waiting(struct sim *s, int client, uint64_t lock, uint64_t thread)
{
    struct rv_request *call = NULL;

    RAW_BEGIN(call, s, client, LONG, lock_acquire, lock, .thread = thread);
    sim_run(s, 10);
    CHECK(!call->done);
    return call;
}

static uint32_t why_rows(struct sim *s, const char *name, uint64_t session, struct rv_why_row *rows,
                         uint32_t most)
{
    struct rv_buf args = {0};
    struct rv_buf result = {0};
    struct rv_object_list_result list = {0};
    struct rv_reader r;
    struct rv_slice row;
    uint32_t count = 0;

    rv_why_args_encode(&args,
                       &(struct rv_why_args){.name = rv_slice_str(name), .session = session});
    CHECK(sim_ask(s, 1, RV_OP_why, 0, &args, &result) == REEVE_OK);
    CHECK(rv_object_list_result_decode(&list, rv_buf_slice(&result)));
    for (r = rv_reader(list.rows); rv_row_next(&r, &row); count++)
        if (count < most)
            CHECK(rv_why_row_decode(&rows[count], row));
    CHECK(count == list.count);
    for (uint32_t i = 0; i < count && i < most; i++) /* these lie in the result */
        rows[i].name = rows[i].principal = rows[i].host_name = rows[i].program =
            (struct rv_slice){0};
    rv_buf_free(&result);
    return count;
}

/* ---- locks ---- */

TEST(sync_objects_that_cannot_be_are_not_opened)
{
    static const struct {
        uint8_t kind;
        uint32_t number;
    } odd[] = {{RV_KIND_LOCK, 1},
               {RV_KIND_RLOCK, 1},
               {RV_KIND_CONDITION, 1},
               {RV_KIND_EVENT, 1},
               {RV_KIND_BARRIER, 0},
               {RV_KIND_BARRIER, RV_LIMIT_PERMITS + 1u},
               {RV_KIND_SEMAPHORE, RV_LIMIT_PERMITS + 1u}};
    struct sim s;

    start(&s, 1);
    for (size_t i = 0; i < rv_countof(odd); i++)
        RAW(&s, 1, REEVE_EINVAL, object_open, 0, .create = 1, .kind = odd[i].kind,
            .maxsize = odd[i].number);
    CHECK(mgr_objects(s.server.mgr) == 0);
    sim_stop(&s);
}

TEST(message_to_another_kind_of_sync_object_is_refused)
{
    struct sim s;
    uint64_t event = 0;
    uint64_t lock = 0;
    uint64_t barrier = 0;

    start(&s, 1);
    event = opened(&s, 1, "event", RV_KIND_EVENT, 0);
    lock = opened(&s, 1, "lock", RV_KIND_LOCK, 0);
    barrier = opened(&s, 1, "barrier", RV_KIND_BARRIER, 2);
    RAW(&s, 1, REEVE_ETYPE, lock_acquire, event, .thread = 1);
    RAW(&s, 1, REEVE_ETYPE, event_set, lock, .end_ = 0);
    RAW(&s, 1, REEVE_ETYPE, condition_notify, lock, .thread = 1);
    RAW(&s, 1, REEVE_ETYPE, event_wait, barrier, .thread = 1);
    RAW_SAID(&s, 1, 1, lock_let_go, event, .thread = 1);
    RAW_SAID(&s, 1, 1, lock_abandon, barrier, .thread = 1);
    CHECK(state_of(&s, event).value == 0 && state_of(&s, lock).locked == 0);
    sim_stop(&s);
}

/* What is said about a lock counts from the one that has it, with its fence. */
TEST(lock_believes_its_owner_alone)
{
    struct sim s;
    struct rv_request *call = NULL;
    uint64_t lock = 0;
    uint64_t fence = 0;

    start(&s, 2);
    lock = opened(&s, 1, "lock", RV_KIND_LOCK, 0);
    CHECK(opened(&s, 2, "lock", RV_KIND_LOCK, 0) == lock);
    RAW_SAID(&s, 1, 1, lock_let_go, lock, .thread = 1, .fence = 1); /* nobody has it */
    RAW_SAID(&s, 1, 1, lock_kept, lock, .thread = 1, .fence = 1);
    fence = acquired(&s, 1, lock, 1, RV_LOCK_LEASE);
    RAW_SAID(&s, 2, 1, lock_let_go, lock, .thread = 1, .fence = fence);
    RAW_SAID(&s, 2, 1, lock_abandon, lock, .thread = 1);
    RAW_SAID(&s, 2, 1, lock_kept, lock, .thread = 1, .fence = fence);
    RAW_SAID(&s, 1, 1, lock_let_go, lock, .thread = 1, .fence = fence + 1);
    RAW_SAID(&s, 1, 1, lock_abandon, lock, .thread = 9);
    RAW_SAID(&s, 1, 1, lock_kept, lock, .thread = 1, .fence = fence + 1);
    CHECK(state_of(&s, lock).fence == fence);
    call =
        waiting(&s, 2, lock, 1); /* a lease that is not given back holds up only those who wait */
    RAW_SAID(&s, 1, 0, lock_kept, lock, .thread = 3, .fence = fence);
    RAW_SAID(&s, 1, 1, lock_kept, lock, .thread = 3, .fence = fence); /* it is no lease now */
    CHECK(state_of(&s, lock).waiting == 1);
    RAW_SAID(&s, 1, 0, lock_let_go, lock, .thread = 3, .fence = fence);
    CHECK(raw_end(&s, 2, call) == REEVE_OK);
    CHECK(state_of(&s, lock).fence > fence);
    sim_stop(&s);
}

/* Of its own lease a client may ask the release, and another thread of it may do what the holder's does. */
TEST(session_may_release_what_another_of_its_threads_has)
{
    struct sim s;
    uint64_t lock = 0;

    start(&s, 1);
    lock = opened(&s, 1, "lock", RV_KIND_LOCK, 0);
    (void)acquired(&s, 1, lock, 1, RV_LOCK_LEASE);
    RAW(&s, 1, REEVE_OK, lock_release, lock, .thread = 2);
    (void)acquired(&s, 1, lock, 1, 0);
    RAW(&s, 1, REEVE_OK, lock_release, lock, .thread = 2);
    RAW(&s, 1, REEVE_ERELEASED, lock_release, lock, .thread = 1);
    CHECK(state_of(&s, lock).locked == 0);
    sim_stop(&s);
}

/* Its client counts the levels; but who asks for each of them has each. */
TEST(rlock_that_is_asked_for_each_level_has_them)
{
    struct sim s;
    struct rv_request *call = NULL;
    uint64_t lock = 0;
    uint64_t fence = 0;

    start(&s, 2);
    lock = opened(&s, 1, "lock", RV_KIND_RLOCK, 0);
    CHECK(opened(&s, 2, "lock", RV_KIND_RLOCK, 0) == lock);
    fence = acquired(&s, 1, lock, 1, RV_LOCK_LATE);
    CHECK(acquired(&s, 1, lock, 1, RV_LOCK_LATE) == fence);
    call = waiting(&s, 2, lock, 1);
    RAW(&s, 2, REEVE_ENOTOWNER, lock_release, lock, .thread = 1);
    RAW_SAID(&s, 1, 0, lock_let_go, lock, .thread = 1, .fence = fence);
    CHECK(state_of(&s, lock).fence == fence && !call->done);
    RAW_SAID(&s, 1, 0, lock_let_go, lock, .thread = 1, .fence = fence);
    CHECK(raw_end(&s, 2, call) == REEVE_OK);
    sim_stop(&s);
}

TEST(semaphore_has_so_many_permits)
{
    struct sim s;
    uint64_t full = 0;
    uint64_t bounded = 0;

    start(&s, 1);
    full = opened(&s, 1, "full", RV_KIND_SEMAPHORE, RV_LIMIT_PERMITS);
    bounded = opened(&s, 1, "bounded", RV_KIND_BOUNDED_SEMAPHORE, 1);
    RAW(&s, 1, REEVE_ERELEASED, lock_release, full, .thread = 1);
    RAW(&s, 1, REEVE_ERELEASED, lock_release, bounded, .thread = 1);
    RAW_SAID(&s, 1, 1, lock_let_go, full, .thread = 1);
    CHECK(state_of(&s, full).value == RV_LIMIT_PERMITS && state_of(&s, bounded).value == 1);
    sim_stop(&s);
}

/* ---- what is removed under those who use it ---- */

TEST(who_waits_for_a_lock_that_is_removed_hears_so)
{
    struct sim s;
    struct rv_request *calls[4] = {0};
    uint64_t lock = 0;
    uint64_t event = 0;
    uint64_t fence = 0;

    start(&s, 3);
    for (int c = 1; c <= 3; c++)
        lock = opened(&s, c, "lock", RV_KIND_LOCK, 0);
    event = opened(&s, 1, "event", RV_KIND_EVENT, 0);
    CHECK(opened(&s, 2, "event", RV_KIND_EVENT, 0) == event);
    fence = acquired(&s, 1, lock, 1, RV_LOCK_LEASE);
    RAW_SAID(&s, 1, 0, lock_guard, lock, .fence = fence);
    RAW_BEGIN(calls[0], &s, 1, LONG, event_wait, event, .thread = 2);
    RAW_BEGIN(calls[1], &s, 2, LONG, lock_release, lock, .thread = 1); /* a lease: it waits */
    calls[2] = waiting(&s, 3, lock, 1);
    RAW_BEGIN(calls[3], &s, 2, LONG, event_wait, event, .thread = 3);
    sim_remove(&s, 3, "lock");
    CHECK(raw_end(&s, 1, calls[0]) == REEVE_EFENCED);
    CHECK(raw_end(&s, 2, calls[1]) == REEVE_EGONE);
    CHECK(raw_end(&s, 3, calls[2]) == REEVE_EGONE);
    CHECK(!calls[3]->done);
    sim_remove(&s, 3, "event");
    CHECK(raw_end(&s, 2, calls[3]) == REEVE_EGONE);
    RAW_SAID(&s, 1, 0, object_close, lock, .end_ = 0); /* while it has it */
    for (int c = 2; c <= 3; c++)
        RAW_SAID(&s, c, 0, object_close, lock, .end_ = 0);
    for (int c = 1; c <= 2; c++)
        RAW_SAID(&s, c, 0, object_close, event, .end_ = 0);
    CHECK(mgr_objects(s.server.mgr) == 0);
    sim_stop(&s);
}

TEST(who_sleeps_on_a_condition_that_is_removed_hears_so)
{
    struct sim s;
    struct rv_request *sleep = NULL;
    struct rv_request *wait = NULL;
    uint64_t condition = 0;

    start(&s, 3);
    for (int c = 1; c <= 3; c++)
        condition = opened(&s, c, "condition", RV_KIND_CONDITION, 0);
    (void)acquired(&s, 1, condition, 1, 0);
    RAW_BEGIN(sleep, &s, 1, LONG, condition_wait, condition, .thread = 1);
    (void)acquired(&s, 2, condition, 1, 0);
    wait = waiting(&s, 3, condition, 1);
    sim_remove(&s, 2, "condition");
    CHECK(raw_end(&s, 1, sleep) == REEVE_EGONE);
    CHECK(raw_end(&s, 3, wait) == REEVE_EGONE);
    sim_stop(&s);
}

/* ---- conditions ---- */

TEST(condition_takes_a_lock_that_the_thread_holds)
{
    struct sim s;
    struct rv_request *sleep = NULL;
    uint64_t condition = 0;
    uint64_t lock = 0;
    uint64_t rlock = 0;
    uint64_t event = 0;
    uint64_t gone = 0;
    uint64_t leased = 0;

    start(&s, 1);
    condition = opened(&s, 1, "condition", RV_KIND_CONDITION, 0);
    lock = opened(&s, 1, "lock", RV_KIND_LOCK, 0);
    rlock = opened(&s, 1, "rlock", RV_KIND_RLOCK, 0);
    event = opened(&s, 1, "event", RV_KIND_EVENT, 0);
    gone = opened(&s, 1, "gone", RV_KIND_LOCK, 0);
    leased = opened(&s, 1, "leased", RV_KIND_LOCK, 0);
    sim_remove(&s, 1, "gone");
    sim_run(&s, 10);
    (void)acquired(&s, 1, lock, 1, 0);
    (void)acquired(&s, 1, rlock, 2, 0);
    (void)acquired(&s, 1, leased, 1, RV_LOCK_LEASE);
    for (int i = 0; i < 2; i++) {
        const struct {
            uint64_t lock, thread;
            reeve_err error;
        } odd[] = {{0, 1, REEVE_ENOTOWNER},      {lock, 2, REEVE_ENOTOWNER},
                   {9999, 1, REEVE_ENOENT},      {gone, 1, REEVE_EGONE},
                   {event, 1, REEVE_ETYPE},      {condition, 1, REEVE_ETYPE},
                   {leased, 1, REEVE_ENOTOWNER}, {rlock, 1, REEVE_ENOTOWNER}};

        for (size_t k = 0; k < rv_countof(odd); k++)
            if (i == 0)
                RAW(&s, 1, odd[k].error, condition_wait, condition, .thread = odd[k].thread,
                    .lock = odd[k].lock);
            else
                RAW(&s, 1, odd[k].error, condition_notify, condition, .thread = odd[k].thread,
                    .lock = odd[k].lock, .count = 1);
    }
    RAW_BEGIN(sleep, &s, 1, LONG, condition_wait, condition, .thread = 1, .lock = lock);
    sim_run(&s, 10);
    RAW(&s, 1, REEVE_EINVAL, condition_wait, condition, .thread = 2, .lock = rlock);
    RAW(&s, 1, REEVE_EINVAL, condition_notify, condition, .thread = 2, .lock = rlock, .count = 1);
    CHECK(!sleep->done && state_of(&s, rlock).locked && !state_of(&s, lock).locked);
    (void)acquired(&s, 1, lock, 3, 0);
    RAW(&s, 1, REEVE_OK, condition_notify, condition, .thread = 3, .lock = lock, .count = 1);
    RAW(&s, 1, REEVE_OK, lock_release, lock, .thread = 3);
    CHECK(raw_end(&s, 1, sleep) == REEVE_OK);
    sim_stop(&s);
}

/* Whoever wakes cannot have the lock any more, with which it fell asleep. */
TEST(sleeper_whose_lock_is_gone_wakes_with_an_error)
{
    for (int how = 0; how < 2; how++) {
        struct sim s;
        struct rv_request *sleep = NULL;
        uint64_t condition = 0;
        uint64_t lock = 0;

        start(&s, 2);
        condition = opened(&s, 1, "condition", RV_KIND_CONDITION, 0);
        lock = opened(&s, 1, "lock", RV_KIND_LOCK, 0);
        CHECK(opened(&s, 2, "lock", RV_KIND_LOCK, 0) == lock);
        (void)acquired(&s, 1, lock, 1, 0);
        RAW_BEGIN(sleep, &s, 1, SHORT, condition_wait, condition, .thread = 1, .lock = lock);
        sim_run(&s, 10);
        if (how == 0)
            sim_remove(&s, 2, "lock");
        else
            RAW_SAID(&s, 1, 0, object_close, lock, .end_ = 0);
        CHECK(raw_end(&s, 1, sleep) == REEVE_EGONE);
        sim_stop(&s);
    }
}

/* ---- guards ---- */

/* Two threads have a permit each; what waits in the name of one ends with that one alone. */
TEST(guard_is_of_one_fence)
{
    struct sim s;
    struct rv_request *calls[2] = {0};
    uint64_t semaphore = 0;
    uint64_t event = 0;
    uint64_t fences[2] = {0};

    start(&s, 1);
    semaphore = opened(&s, 1, "semaphore", RV_KIND_SEMAPHORE, 2);
    event = opened(&s, 1, "event", RV_KIND_EVENT, 0);
    for (int i = 0; i < 2; i++)
        fences[i] = acquired(&s, 1, semaphore, 1 + (uint64_t)i, 0);
    for (int i = 0; i < 2; i++) {
        RAW_SAID(&s, 1, 0, lock_guard, semaphore, .fence = fences[i]);
        RAW_BEGIN(calls[i], &s, 1, LONG, event_wait, event, .thread = 3 + (uint64_t)i);
    }
    sim_run(&s, 10);
    RAW(&s, 1, REEVE_OK, lock_release, semaphore, .thread = 2);
    CHECK(raw_end(&s, 1, calls[1]) == REEVE_EFENCED);
    CHECK(!calls[0]->done);
    RAW(&s, 1, REEVE_OK, event_set, event, .end_ = 0);
    CHECK(raw_end(&s, 1, calls[0]) == REEVE_OK);
    sim_stop(&s);
}

TEST(guard_of_a_lock_that_is_gone_refuses_the_call)
{
    for (int how = 0; how < 2; how++) {
        struct sim s;
        uint64_t lock = 0;
        uint64_t event = 0;
        uint64_t fence = 0;

        start(&s, 1);
        lock = opened(&s, 1, "lock", RV_KIND_LOCK, 0);
        event = opened(&s, 1, "event", RV_KIND_EVENT, 0);
        fence = acquired(&s, 1, lock, 1, 0);
        RAW_SAID(&s, 1, 0, lock_guard, lock, .fence = fence);
        if (how == 0) {
            sim_remove(&s, 1, "lock");
            sim_run(&s, 10);
        } else {
            RAW_SAID(&s, 1, 0, object_close, lock, .end_ = 0);
        }
        RAW(&s, 1, REEVE_EFENCED, event_set, event, .end_ = 0);
        CHECK(state_of(&s, event).value == 0);
        RAW(&s, 1, REEVE_OK, event_set, event, .end_ = 0); /* it was for one call */
        sim_stop(&s);
    }
}

/* ---- waits that the quota refuses ---- */

TEST(who_may_not_wait_is_told_so)
{
    struct sim s;
    uint64_t lock = 0;
    uint64_t other = 0;
    uint64_t event = 0;
    uint64_t barrier = 0;
    uint64_t condition = 0;
    uint64_t list = 0;
    struct rv_request *call = NULL;

    start(&s, 2);
    lock = opened(&s, 2, "lock", RV_KIND_LOCK, 0);
    other = opened(&s, 2, "other", RV_KIND_LOCK, 0);
    CHECK(opened(&s, 1, "lock", RV_KIND_LOCK, 0) == lock);
    CHECK(opened(&s, 1, "other", RV_KIND_LOCK, 0) == other);
    event = opened(&s, 1, "event", RV_KIND_EVENT, 0);
    barrier = opened(&s, 1, "barrier", RV_KIND_BARRIER, 2);
    condition = opened(&s, 1, "condition", RV_KIND_CONDITION, 0);
    list = opened(&s, 1, "list", RV_KIND_LIST, 0);
    (void)acquired(&s, 2, lock, 1, RV_LOCK_LEASE);
    (void)acquired(&s, 2, other, 1, 0);
    (void)acquired(&s, 1, condition, 1, 0);
    sim_quota(&s, "waiters:1");
    sim_run(&s, 10);
    RAW_BEGIN(call, &s, 1, LONG, event_wait, event, .thread = 5);
    sim_run(&s, 10);
    RAW(&s, 1, REEVE_EQUOTA, event_wait, event, .thread = 1);
    RAW(&s, 1, REEVE_EQUOTA, lock_acquire, other, .thread = 1);
    RAW(&s, 1, REEVE_EQUOTA, lock_release, lock, .thread = 1);
    RAW(&s, 1, REEVE_EQUOTA, barrier_wait, barrier, .thread = 1);
    RAW(&s, 1, REEVE_EQUOTA, condition_wait, condition, .thread = 1);
    RAW(&s, 1, REEVE_EQUOTA, list_wait, list, .seen = 0);
    CHECK(state_of(&s, other).waiting == 0 && state_of(&s, barrier).waiting == 0);
    CHECK(state_of(&s, condition).locked); /* it never slept */
    RAW(&s, 1, REEVE_OK, event_set, event, .end_ = 0);
    CHECK(raw_end(&s, 1, call) == REEVE_OK);
    sim_stop(&s);
}

TEST(session_waits_in_so_many_calls)
{
    struct sim s;
    struct rv_request *calls[RV_LIMIT_PARKED];
    uint64_t event = 0;

    start(&s, 1);
    event = opened(&s, 1, "event", RV_KIND_EVENT, 0);
    s.unchecked = true;
    for (size_t i = 0; i < rv_countof(calls); i++) {
        RAW_BEGIN(calls[i], &s, 1, LONG, event_wait, event, .thread = i + 1);
        if (i % 512 == 511)
            sim_run(&s, 10);
    }
    RAW(&s, 1, REEVE_ELIMIT, event_wait, event, .thread = 9999);
    CHECK(state_of(&s, event).waiting == RV_LIMIT_PARKED);
    RAW(&s, 1, REEVE_OK, event_set, event, .end_ = 0);
    for (size_t i = 0; i < rv_countof(calls); i++)
        CHECK(raw_end(&s, 1, calls[i]) == REEVE_OK);
    sim_stop(&s);
}

/* ---- barriers ---- */

TEST(barrier_hears_of_its_action_from_the_one_who_runs_it)
{
    struct sim s;
    struct rv_barrier_wait_result got = {0};
    uint64_t barrier = 0;

    start(&s, 2);
    barrier = opened(&s, 1, "barrier", RV_KIND_BARRIER, 1);
    CHECK(opened(&s, 2, "barrier", RV_KIND_BARRIER, 1) == barrier);
    RAW(&s, 1, REEVE_EBROKEN, barrier_release, barrier, .round = 0); /* nobody runs one */
    RAW_FOR(&s, 1, &got, barrier_wait, barrier, .thread = 1, .action = 1);
    CHECK(got.run && got.round == 0);
    RAW(&s, 2, REEVE_EBROKEN, barrier_release, barrier, .round = 0);
    RAW(&s, 1, REEVE_EBROKEN, barrier_release, barrier, .round = 1);
    CHECK(!state_of(&s, barrier).broken);
    RAW(&s, 1, REEVE_OK, barrier_release, barrier, .round = 0);
    RAW_FOR(&s, 1, &got, barrier_wait, barrier, .thread = 1, .action = 1);
    CHECK(got.round == 1);
    RAW(&s, 2, REEVE_OK, barrier_reset, barrier, .end_ = 0); /* under the action */
    RAW(&s, 1, REEVE_EBROKEN, barrier_release, barrier, .round = 1);
    CHECK(!state_of(&s, barrier).broken);
    sim_stop(&s);
}

/* Whoever gives up while the answer is under way that tells it to run the action breaks the round; who gives up
 * another call does not. */
TEST(action_that_is_given_up_breaks_its_barrier)
{
    struct sim s;
    struct rv_request *call = NULL;
    struct rv_barrier_wait_result got = {0};
    uint64_t barrier = 0;

    start(&s, 1);
    barrier = opened(&s, 1, "barrier", RV_KIND_BARRIER, 1);
    RAW_FOR(&s, 1, &got, barrier_wait, barrier, .thread = 1, .action = 1);
    RAW_BEGIN(call, &s, 1, LONG, barrier_release, barrier, .round = 9);
    rv_link_abandon(&s.clients[1].link, call);
    sim_client_pump(&s, &s.clients[1]);
    sim_run(&s, 10);
    CHECK(!state_of(&s, barrier).broken);
    RAW(&s, 1, REEVE_OK, barrier_release, barrier, .round = 0);
    RAW_BEGIN(call, &s, 1, LONG, barrier_release, barrier, .round = 9);
    rv_link_abandon(&s.clients[1].link, call);
    RAW_BEGIN(call, &s, 1, LONG, barrier_wait, barrier, .thread = 1, .action = 1);
    rv_link_abandon(&s.clients[1].link, call);
    sim_client_pump(&s, &s.clients[1]);
    sim_run(&s, 10);
    CHECK(state_of(&s, barrier).broken);
    sim_stop(&s);
}

/* ---- who holds, who waits for whom ---- */

TEST(why_is_for_those_who_may_list)
{
    struct sim s;

    start(&s, 1);
    (void)opened(&s, 1, "lock", RV_KIND_LOCK, 0);
    RAW(&s, 1, REEVE_ENOENT, why, 0, .name = rv_slice_str("none"));
    RAW(&s, 1, REEVE_ENOENT, why, 0, .session = 99);
    RAW(&s, 1, REEVE_OK, why, 0, .name = rv_slice_str("lock"));
    sim_principal(&s, "client", "open,lock");
    sim_run(&s, 10);
    RAW(&s, 1, REEVE_EPERM, why, 0, .name = rv_slice_str("lock"));
    RAW(&s, 1, REEVE_EPERM, why, 0, .name = rv_slice_str("none")); /* nor what is not there */
    sim_stop(&s);
}

TEST(why_tells_who_sleeps_and_who_died_asleep)
{
    struct sim s;
    struct rv_why_row rows[4];
    struct rv_request *sleep = NULL;
    struct rv_request *lost = NULL;
    uint64_t condition = 0;

    start(&s, 3);
    for (int c = 1; c <= 3; c++)
        condition = opened(&s, c, "condition", RV_KIND_CONDITION, 0);
    for (int c = 1; c <= 2; c++) {
        (void)acquired(&s, c, condition, 7, 0);
        RAW_BEGIN(*(c == 1 ? &sleep : &lost), &s, c, LONG, condition_wait, condition, .thread = 7);
        sim_run(&s, 10);
    }
    raw_leave(lost);
    sim_client_kill(&s, 2, SIM_DEATH_GONE);
    sim_run(&s, 10);
    (void)acquired(&s, 3, condition, 8, RV_LOCK_LEASE);
    CHECK(why_rows(&s, "condition", 0, rows, 4) == 3);
    CHECK(rows[0].role == RV_ROLE_HOLDS && rows[0].thread == 0); /* of a lease nobody knows which */
    CHECK(rows[1].role == RV_ROLE_SLEEPS && rows[1].session == 1 && rows[1].thread == 7);
    CHECK(rows[2].role == RV_ROLE_DIED && rows[2].session == 0);
    CHECK(!sleep->done);
    raw_leave(sleep);
    sim_stop(&s);
}

/* A semaphore has no owner, a thread without a number none that is known, and who waits elsewhere is in no
 * cycle. */
TEST(why_ends_where_nobody_is_known)
{
    struct sim s;
    struct rv_why_row rows[8];
    struct rv_request *calls[4] = {0};
    uint64_t semaphore = 0;
    uint64_t nameless = 0;
    uint64_t lock = 0;
    uint64_t event = 0;

    start(&s, 2);
    for (int c = 1; c <= 2; c++) {
        semaphore = opened(&s, c, "semaphore", RV_KIND_SEMAPHORE, 1);
        nameless = opened(&s, c, "of nobody", RV_KIND_LOCK, 0);
        lock = opened(&s, c, "lock", RV_KIND_LOCK, 0);
        event = opened(&s, c, "event", RV_KIND_EVENT, 0);
    }
    (void)acquired(&s, 1, semaphore, 1, 0);
    (void)acquired(&s, 1, nameless, 0, 0);
    (void)acquired(&s, 1, lock, 1, 0);
    RAW_BEGIN(calls[0], &s, 1, LONG, event_wait, event, .thread = 1);
    calls[1] = waiting(&s, 2, semaphore, 1);
    calls[2] = waiting(&s, 2, nameless, 2);
    calls[3] = waiting(&s, 2, lock, 3);
    CHECK(why_rows(&s, "semaphore", 0, rows, 8) == 2);
    CHECK(why_rows(&s, "of nobody", 0, rows, 8) == 2);
    CHECK(why_rows(&s, "lock", 0, rows, 8) == 2 && rows[1].cycle == 0);
    CHECK(why_rows(&s, "event", 0, rows, 8) == 1 && rows[0].role == RV_ROLE_WAITS);
    CHECK(!calls[0]->done && !calls[3]->done);
    CHECK(why_rows(&s, "", 2, rows, 8) == 6); /* what each waits for, and who has that */
    for (size_t i = 0; i < rv_countof(calls); i++)
        raw_leave(calls[i]);
    sim_stop(&s);
}

/* Threads 1, 2, ... of a client; each has a lock and waits for the next one's. Returns how many there are. */
static void chain(struct sim *s, struct rv_request **calls, uint64_t *locks, size_t len)
{
    for (size_t i = 0; i < len; i++)
        (void)acquired(s, 1, locks[i], i + 1, 0);
    for (size_t i = 0; i + 1 < len; i++)
        calls[i] = waiting(s, 1, locks[i + 1], i + 1);
}

TEST(cycle_of_locks_without_names_is_told)
{
    struct sim s;
    struct rv_request *calls[2] = {0};
    uint64_t locks[2] = {0};
    struct rv_why_row rows[16];
    uint32_t cycles = 0;

    start(&s, 1);
    for (int i = 0; i < 2; i++)
        locks[i] = opened(&s, 1, "", RV_KIND_LOCK, 0);
    chain(&s, calls, locks, 2);
    calls[1] = waiting(&s, 1, locks[0], 2);
    CHECK(strstr((const char *)s.story.data, "waits for (no name)") != NULL);
    for (uint32_t i = 0, len = why_rows(&s, "", 1, rows, 16); i < len; i++)
        cycles += rows[i].cycle != 0;
    CHECK(cycles == 2);
    RAW(&s, 1, REEVE_OK, lock_release, locks[0], .thread = 1);
    CHECK(raw_end(&s, 1, calls[1]) == REEVE_OK && !calls[0]->done);
    raw_leave(calls[0]);
    sim_stop(&s);
}

/* Twelve in a cycle, with the longest names, are more than a text takes; it is cut off. A chain is followed so
 * far. */
TEST(long_cycles_and_chains_are_told_as_far_as_there_is_room)
{
    enum { FEW = 12, MANY = 70 };
    static char name[RV_LIMIT_NAME_BYTES + 1];
    static struct rv_why_row rows[500];
    struct sim s;
    struct rv_request *calls[MANY] = {0};
    struct rv_request *last = NULL;
    uint64_t locks[MANY] = {0};
    uint32_t cycles = 0;

    start(&s, 1);
    s.unchecked = true;
    memset(name, 'x', sizeof name - 1);
    for (int i = 0; i < MANY; i++) {
        snprintf(name, sizeof name, "%0*d", (int)sizeof name - 1, i);
        locks[i] = opened(&s, 1, name, RV_KIND_LOCK, 0);
    }
    chain(&s, calls, locks, FEW);
    RAW_BEGIN(last, &s, 1, LONG, lock_acquire, locks[0], .thread = FEW, .flags = RV_LOCK_NO_CYCLE);
    CHECK(raw_end(&s, 1, last) == REEVE_EDEADLOCK);
    chain(&s, calls + FEW, locks + FEW, MANY - FEW);
    snprintf(name, sizeof name, "%0*d", (int)sizeof name - 1, FEW);
    CHECK(why_rows(&s, name, 0, rows, 500) == 1);
    last = waiting(&s, 1, locks[FEW], 999);
    CHECK(why_rows(&s, name, 0, rows, 500) == 2); /* it waits, and no cycle is behind it */
    for (uint32_t i = 0, len = why_rows(&s, "", 1, rows, 500); i < len; i++)
        cycles += rows[i].cycle != 0;
    CHECK(cycles == 0);
    raw_leave(last);
    for (int i = 0; i < MANY; i++)
        if (calls[i] != NULL)
            raw_leave(calls[i]);
    sim_stop(&s);
}

/* So many rows, or so many bytes of them: there is one page. */
TEST(why_answers_with_one_page)
{
    enum { THREADS = 600 };
    static char name[RV_LIMIT_NAME_BYTES + 1];

    memset(name, 'x', sizeof name - 1);
    for (int how = 0; how < 2; how++) {
        struct sim s;
        uint64_t lock = 0;
        uint32_t rows = 0;
        struct rv_request *call = NULL;

        start(&s, 1);
        s.unchecked = true;
        lock = opened(&s, 1, how == 0 ? "lock" : name, RV_KIND_LOCK, 0);
        (void)acquired(&s, 1, lock, 1, 0);
        for (int i = 0; i < THREADS; i++) {
            RAW_BEGIN(call, &s, 1, LONG, lock_acquire, lock, .thread = 2 + (uint64_t)i);
            raw_leave(call);
        }
        sim_run(&s, 10);
        rows = why_rows(&s, how == 0 ? "lock" : name, 0, NULL, 0);
        CHECK(how == 0 ? rows == RV_LIMIT_LIST_ROWS : rows > 100 && rows < RV_LIMIT_LIST_ROWS);
        sim_stop(&s);
    }
}
