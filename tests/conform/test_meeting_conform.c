/* Rows S10 to S17, T03, T07 and T08: normal use, misuse, contention, deaths, timeouts. */

#include "tests/conform/conform.h"

#include <string.h>

enum { LONG = 20000, SHORT = 100 };

/* ---- conditions ---- */

static void sleeper(reeve_context *ctx, struct stage *s, int fd)
{
    reeve_condition *cond = NULL;
    bool notified = false;

    OK(reeve_condition_open(&cond, ctx, s->names[0], NULL));
    OK(reeve_condition_acquire(cond, LONG));
    lab_tell(fd);
    OK(reeve_condition_wait(cond, LONG, &notified));
    CHECK(notified);
    OK(reeve_condition_release(cond));
    lab_tell(fd);
    reeve_condition_close(&cond);
}

static uint32_t asleep(struct stage *s)
{
    return (uint32_t)lab_listed(s->ctx, s->names[0], "getters");
}

/* row: S10 S11 S12 T07 */
TEST(notify_wakes_so_many_and_waits_for_nobody)
{
    struct stage s;
    struct party others[3];
    reeve_condition *cond = NULL;
    uint32_t woken = 0;

    stage_begin(&s);
    OK(reeve_condition_open(&cond, s.ctx, stage_name(&s, 0), NULL));
    for (int i = 0; i < 3; i++) {
        party_begin(&others[i], &s, sleeper);
        CHECK(party_hears(&others[i]));
        EVENTUALLY(LONG, asleep(&s) == (uint32_t)i + 1);
    }
    OK(reeve_condition_acquire(cond, LONG));
    OK(reeve_condition_notify(cond, 1, &woken));
    CHECK(woken == 1);
    OK(reeve_condition_release(cond));
    CHECK(party_hears(&others[0])); /* who slept longest */
    OK(reeve_condition_acquire(cond, LONG));
    OK(reeve_condition_notify_all(cond, &woken));
    CHECK(woken == 2);
    OK(reeve_condition_release(cond));
    for (int i = 1; i < 3; i++)
        CHECK(party_hears(&others[i]));
    for (int i = 0; i < 3; i++)
        party_end(&others[i]);
    reeve_condition_close(&cond);
    stage_end(&s);
}

/* row: S11 S12 S13 T07 */
TEST(condition_is_for_its_owner_and_its_waits_end_in_time)
{
    struct stage s;
    reeve_condition *cond = NULL;
    reeve_lock *lock = NULL;
    bool notified = true;

    stage_begin(&s);
    OK(reeve_lock_open(&lock, s.ctx, stage_name(&s, 1), NULL));
    OK(reeve_condition_open(&cond, s.ctx, stage_name(&s, 0),
                            &(reeve_condition_options){.lock = lock}));
    FAILS(REEVE_ENOTOWNER, reeve_condition_wait(cond, SHORT, NULL));
    FAILS(REEVE_ENOTOWNER, reeve_condition_notify(cond, 1, NULL));
    OK(reeve_lock_acquire(lock, LONG)); /* the same lock */
    FAILS(REEVE_ETIME, reeve_condition_wait(cond, SHORT, &notified));
    CHECK(!notified);
    OK(reeve_condition_notify(cond, 1, NULL)); /* it is held again */
    OK(reeve_condition_release(cond));
    FAILS(REEVE_ERELEASED, reeve_lock_release(lock));
    reeve_condition_close(&cond);
    reeve_lock_close(&lock);
    stage_end(&s);
}

/* row: S12 */
TEST(sleeper_that_was_killed_holds_no_notify_up)
{
    struct stage s;
    struct party dead;
    struct party living;
    reeve_condition *cond = NULL;
    uint32_t woken = 0;

    stage_begin(&s);
    OK(reeve_condition_open(&cond, s.ctx, stage_name(&s, 0), NULL));
    party_begin(&dead, &s, sleeper);
    CHECK(party_hears(&dead));
    EVENTUALLY(LONG, asleep(&s) == 1);
    party_begin(&living, &s, sleeper);
    CHECK(party_hears(&living));
    EVENTUALLY(LONG, asleep(&s) == 2);
    party_kill(&dead);
    EVENTUALLY(LONG, asleep(&s) == 1);
    OK(reeve_condition_acquire(cond, LONG));
    OK(reeve_condition_notify(cond, 1, &woken));
    CHECK(woken == 1);
    OK(reeve_condition_release(cond));
    CHECK(party_hears(&living));
    party_end(&living);
    reeve_condition_close(&cond);
    stage_end(&s);
}

static bool at_three(void *arg)
{
    return ++*(int *)arg >= 3;
}

static bool never(void *arg)
{
    ++*(int *)arg;
    return false;
}

static void notifier(reeve_context *ctx, struct stage *s, int fd)
{
    reeve_condition *cond = NULL;

    OK(reeve_condition_open(&cond, ctx, s->names[0], NULL));
    for (int woken = 0; woken < 2;) {
        uint32_t now = 0;

        OK(reeve_condition_acquire(cond, LONG));
        OK(reeve_condition_notify(cond, 1, &now));
        OK(reeve_condition_release(cond));
        woken += (int)now;
    }
    lab_tell(fd);
    reeve_condition_close(&cond);
}

/* row: S13 */
TEST(wait_for_asks_before_and_after_each_sleep)
{
    struct stage s;
    struct party other;
    reeve_condition *cond = NULL;
    int asked = 0;
    bool result = false;

    stage_begin(&s);
    OK(reeve_condition_open(&cond, s.ctx, stage_name(&s, 0), NULL));
    OK(reeve_condition_acquire(cond, LONG));
    FAILS(REEVE_ETIME, reeve_condition_wait_for(cond, never, &asked, SHORT, &result));
    CHECK(!result && asked >= 2);
    asked = 0;
    party_begin(&other, &s, notifier);
    OK(reeve_condition_wait_for(cond, at_three, &asked, LONG, &result));
    CHECK(result && asked == 3);
    OK(reeve_condition_release(cond));
    CHECK(party_hears(&other));
    party_end(&other);
    reeve_condition_close(&cond);
    stage_end(&s);
}

/* ---- events ---- */

static void wait_event(reeve_context *ctx, struct stage *s, int fd)
{
    reeve_event *event = NULL;

    OK(reeve_event_open(&event, ctx, s->names[0], NULL));
    lab_tell(fd);
    OK(reeve_event_wait(event, LONG));
    lab_tell(fd);
    reeve_event_close(&event);
}

/* row: S14 T03 */
TEST(event_wakes_all_who_live)
{
    struct stage s;
    struct party others[3];
    reeve_event *event = NULL;
    bool set = true;

    stage_begin(&s);
    OK(reeve_event_open(&event, s.ctx, stage_name(&s, 0), NULL));
    OK(reeve_event_is_set(event, &set));
    CHECK(!set);
    FAILS(REEVE_ETIME, reeve_event_wait(event, 0));
    FAILS(REEVE_ETIME, reeve_event_wait(event, SHORT));
    for (int i = 0; i < 3; i++) {
        party_begin(&others[i], &s, wait_event);
        CHECK(party_hears(&others[i]));
    }
    EVENTUALLY(LONG, asleep(&s) == 3);
    party_kill(&others[0]);
    OK(reeve_event_set(event));
    for (int i = 1; i < 3; i++) {
        CHECK(party_hears(&others[i]));
        party_end(&others[i]);
    }
    OK(reeve_event_wait(event, 0));
    OK(reeve_event_is_set(event, &set));
    CHECK(set);
    OK(reeve_event_clear(event));
    FAILS(REEVE_ETIME, reeve_event_wait(event, 0));
    reeve_event_close(&event);
    stage_end(&s);
}

/* ---- barriers ---- */

static reeve_err count(void *arg)
{
    ++*(int *)arg;
    return REEVE_OK;
}

static void pass_twice(reeve_context *ctx, struct stage *s, int fd)
{
    reeve_barrier *barrier = NULL;
    uint32_t index = 9;

    OK(reeve_barrier_open(&barrier, ctx, s->names[0], 2, NULL));
    for (int round = 0; round < 2; round++) {
        OK(reeve_barrier_wait(barrier, LONG, &index));
        CHECK(index < 2);
    }
    lab_tell(fd);
    reeve_barrier_close(&barrier);
}

/* row: S15 S17 T08 */
TEST(barrier_lets_all_go_on_round_after_round)
{
    struct stage s;
    struct party other;
    reeve_barrier *barrier = NULL;
    int actions = 0;
    uint32_t waiting = 9;
    bool broken = true;

    stage_begin(&s);
    FAILS(REEVE_EINVAL, reeve_barrier_open(&barrier, s.ctx, stage_name(&s, 0), 0, NULL));
    OK(reeve_barrier_open(&barrier, s.ctx, stage_name(&s, 0), 2,
                          &(reeve_barrier_options){.action = count, .arg = &actions}));
    CHECK(reeve_barrier_parties(barrier) == 2);
    party_begin(&other, &s, pass_twice);
    for (int round = 0; round < 2; round++) {
        uint32_t index = 9;

        EVENTUALLY(LONG, reeve_barrier_n_waiting(barrier, &waiting) == REEVE_OK && waiting == 1);
        OK(reeve_barrier_wait(barrier, REEVE_DEFAULT, &index));
        CHECK(index == 1 && actions == round + 1); /* who comes last runs its action */
    }
    CHECK(party_hears(&other));
    party_end(&other);
    OK(reeve_barrier_broken(barrier, &broken));
    CHECK(!broken);
    reeve_barrier_close(&barrier);
    stage_end(&s);
}

static reeve_err refuse(void *arg)
{
    (void)arg;
    return REEVE_ENOMEM;
}

static void meet_a_failure(reeve_context *ctx, struct stage *s, int fd)
{
    reeve_barrier *barrier = NULL;

    OK(reeve_barrier_open(&barrier, ctx, s->names[0], 2, NULL));
    lab_tell(fd);
    FAILS(REEVE_EBROKEN, reeve_barrier_wait(barrier, LONG, NULL));
    SAYS("failed in the action");
    lab_tell(fd);
    reeve_barrier_close(&barrier);
}

/* row: S16 T08 */
TEST(action_that_fails_is_its_waits_error_and_breaks_the_others)
{
    struct stage s;
    struct party other;
    reeve_barrier *barrier = NULL;
    uint32_t waiting = 0;

    stage_begin(&s);
    OK(reeve_barrier_open(&barrier, s.ctx, stage_name(&s, 0), 2,
                          &(reeve_barrier_options){.action = refuse}));
    party_begin(&other, &s, meet_a_failure);
    CHECK(party_hears(&other));
    EVENTUALLY(LONG, reeve_barrier_n_waiting(barrier, &waiting) == REEVE_OK && waiting == 1);
    FAILS(REEVE_ENOMEM, reeve_barrier_wait(barrier, LONG, NULL));
    CHECK(party_hears(&other));
    party_end(&other);
    reeve_barrier_close(&barrier);
    stage_end(&s);
}

static void stand_there(reeve_context *ctx, struct stage *s, int fd)
{
    reeve_barrier *barrier = NULL;

    OK(reeve_barrier_open(&barrier, ctx, s->names[0], 3, NULL));
    lab_tell(fd);
    FAILS(REEVE_EBROKEN, reeve_barrier_wait(barrier, LONG, NULL));
    lab_tell(fd);
    reeve_barrier_close(&barrier);
}

/* row: S16 S17 T08 */
TEST(barrier_breaks_by_timeout_abort_reset_and_death)
{
    struct stage s;
    struct party other;
    struct party dead;
    reeve_barrier *barrier = NULL;
    uint32_t waiting = 0;
    bool broken = false;

    stage_begin(&s);
    OK(reeve_barrier_open(&barrier, s.ctx, stage_name(&s, 0), 3,
                          &(reeve_barrier_options){.wait_ms = SHORT}));
    for (int how = 0; how < 4; how++) {
        party_begin(&other, &s, stand_there);
        CHECK(party_hears(&other));
        EVENTUALLY(LONG, reeve_barrier_n_waiting(barrier, &waiting) == REEVE_OK && waiting == 1);
        switch (how) {
        case 0:
            FAILS(REEVE_EBROKEN, reeve_barrier_wait(barrier, REEVE_DEFAULT, NULL));
            break;
        case 1:
            OK(reeve_barrier_abort(barrier));
            break;
        case 2:
            OK(reeve_barrier_reset(barrier));
            break;
        default:
            party_begin(&dead, &s, stand_there);
            CHECK(party_hears(&dead));
            EVENTUALLY(LONG,
                       reeve_barrier_n_waiting(barrier, &waiting) == REEVE_OK && waiting == 2);
            party_kill(&dead);
        }
        CHECK(party_hears(&other));
        party_end(&other);
        OK(reeve_barrier_broken(barrier, &broken));
        CHECK(broken == (how != 2));
        if (broken)
            FAILS(REEVE_EBROKEN, reeve_barrier_wait(barrier, LONG, NULL));
        if (how == 3)
            SAYS("is gone");
        OK(reeve_barrier_reset(barrier));
    }
    reeve_barrier_close(&barrier);
    stage_end(&s);
}
