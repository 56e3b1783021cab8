/* Rows S02 to S08 and T04 to T06: normal use, misuse, contention, deaths, timeouts. */

#include "tests/conform/conform.h"

#include <pthread.h>
#include <string.h>

enum { LONG = 20000, SHORT = 100 };

static reeve_lock *open_lock(reeve_context *ctx, const char *name, bool recursive)
{
    reeve_lock *lock = NULL;

    OK(reeve_lock_open(&lock, ctx, name, &(reeve_lock_options){.recursive = recursive}));
    return lock;
}

static void hold_lock(reeve_context *ctx, struct stage *s, int fd)
{
    reeve_lock *lock = open_lock(ctx, s->names[0], false);

    OK(reeve_lock_acquire(lock, LONG));
    lab_tell(fd);
    for (;;)
        lab_nap();
}

static void take_and_give(reeve_context *ctx, struct stage *s, int fd)
{
    reeve_lock *lock = open_lock(ctx, s->names[0], false);

    lab_tell(fd);
    OK(reeve_lock_acquire(lock, LONG));
    OK(reeve_lock_release(lock));
    lab_tell(fd);
    reeve_lock_close(&lock);
}

/* row: S02 S03 S04 T04 R01 */
TEST(lock_is_one_owners_until_its_release)
{
    struct stage s;
    struct party other;
    reeve_lock *lock = NULL;
    bool locked = true;

    stage_begin(&s);
    lock = open_lock(s.ctx, stage_name(&s, 0), false);
    OK(reeve_lock_locked(lock, &locked));
    CHECK(!locked);
    OK(reeve_lock_acquire(lock, 0));
    OK(reeve_lock_locked(lock, &locked));
    CHECK(locked);
    FAILS(REEVE_ETIME, reeve_lock_acquire(lock, 0)); /* not even by its own thread */
    FAILS(REEVE_ETIME, reeve_lock_acquire(lock, SHORT));
    SAYS("held by session");
    party_begin(&other, &s, take_and_give);
    CHECK(party_hears(&other));
    EVENTUALLY(LONG, lab_listed(s.ctx, s.names[0], "getters") == 1);
    OK(reeve_lock_release(lock));
    CHECK(party_hears(&other));
    party_end(&other);
    reeve_lock_close(&lock);
    stage_end(&s);
}

static void release_once(reeve_context *ctx, struct stage *s, int fd)
{
    reeve_lock *lock = open_lock(ctx, s->names[0], false);

    OK(reeve_lock_release(lock));
    lab_tell(fd);
    reeve_lock_close(&lock);
}

/* row: S03 T04 */
TEST(lock_may_be_released_by_anybody_but_not_twice)
{
    struct stage s;
    struct party other;
    reeve_lock *lock = NULL;

    stage_begin(&s);
    lock = open_lock(s.ctx, stage_name(&s, 0), false);
    FAILS(REEVE_ERELEASED, reeve_lock_release(lock));
    OK(reeve_lock_acquire(lock, 0));
    party_begin(&other, &s, release_once);
    CHECK(party_hears(&other));
    party_end(&other);
    EVENTUALLY(LONG, reeve_lock_release(lock) == REEVE_ERELEASED);
    OK(reeve_lock_acquire(lock, 0));
    OK(reeve_lock_release(lock));
    reeve_lock_close(&lock);
    stage_end(&s);
}

/* row: S05 */
TEST(lock_of_a_killed_owner_passes_on_with_the_news)
{
    struct stage s;
    struct party other;
    reeve_lock *lock = NULL;
    uint64_t before = 0;
    uint64_t after = 0;

    stage_begin(&s);
    lock = open_lock(s.ctx, stage_name(&s, 0), false);
    OK(reeve_lock_acquire(lock, 0));
    OK(reeve_lock_fence(lock, &before));
    OK(reeve_lock_release(lock));
    party_begin(&other, &s, hold_lock);
    CHECK(party_hears(&other));
    party_kill(&other);
    FAILS(REEVE_OWNER_DIED, reeve_lock_acquire(lock, LONG));
    SAYS("died holding it");
    OK(reeve_lock_fence(lock, &after));
    CHECK(after > before + 1);
    OK(reeve_lock_release(lock));
    OK(reeve_lock_acquire(lock, 0)); /* told once */
    reeve_lock_close(&lock);
    stage_end(&s);
}

static void *acquire_and_end(void *arg)
{
    OK(reeve_lock_acquire(arg, LONG));
    return NULL;
}

TEST(lock_of_a_thread_that_ended_passes_on_with_the_news)
{
    struct stage s;
    reeve_lock *lock = NULL;

    stage_begin(&s);
    lock = open_lock(s.ctx, stage_name(&s, 0), false);
    lab_join(lab_thread(acquire_and_end, lock));
    FAILS(REEVE_OWNER_DIED, reeve_lock_acquire(lock, LONG));
    OK(reeve_lock_release(lock));
    reeve_lock_close(&lock);
    stage_end(&s);
}

static void *release_as_another(void *arg)
{
    FAILS(REEVE_ENOTOWNER, reeve_lock_release(arg));
    FAILS(REEVE_ETIME, reeve_lock_acquire(arg, 0));
    return NULL;
}

/* row: S06 T05 */
TEST(rlock_is_its_threads_as_often_as_it_takes_it)
{
    struct stage s;
    reeve_lock *lock = NULL;
    bool locked = false;

    stage_begin(&s);
    lock = open_lock(s.ctx, stage_name(&s, 0), true);
    FAILS(REEVE_ENOTOWNER, reeve_lock_release(lock));
    for (int i = 0; i < 3; i++)
        OK(reeve_lock_acquire(lock, 0));
    lab_join(lab_thread(release_as_another, lock));
    OK(reeve_lock_release(lock));
    OK(reeve_lock_release(lock));
    OK(reeve_lock_locked(lock, &locked));
    CHECK(locked);
    OK(reeve_lock_release(lock));
    OK(reeve_lock_locked(lock, &locked));
    CHECK(!locked);
    FAILS(REEVE_ENOTOWNER, reeve_lock_release(lock));
    reeve_lock_close(&lock);
    stage_end(&s);
}

static void use_lease(reeve_context *ctx, struct stage *s, int fd)
{
    reeve_lock *lock = NULL;

    OK(reeve_lock_open(&lock, ctx, s->names[0], &(reeve_lock_options){.lease = true}));
    for (int i = 0; i < 200; i++) {
        OK(reeve_lock_acquire(lock, LONG));
        OK(reeve_lock_release(lock));
    }
    lab_tell(fd);
    reeve_lock_close(&lock);
}

TEST(leased_lock_is_everybodys_all_the_same)
{
    struct stage s;
    struct party other;
    reeve_lock *lock = NULL;

    stage_begin(&s);
    stage_name(&s, 0);
    party_begin(&other, &s, use_lease);
    OK(reeve_lock_open(&lock, s.ctx, s.names[0], &(reeve_lock_options){.lease = true}));
    for (int i = 0; i < 200; i++) {
        OK(reeve_lock_acquire(lock, LONG));
        OK(reeve_lock_release(lock));
    }
    CHECK(party_hears(&other));
    party_end(&other);
    reeve_lock_close(&lock);
    stage_end(&s);
}

static void make_cycle(reeve_context *ctx, struct stage *s, int fd)
{
    reeve_lock *a = open_lock(ctx, s->names[0], false);
    reeve_lock *b = open_lock(ctx, s->names[1], false);

    OK(reeve_lock_acquire(b, LONG));
    lab_tell(fd);
    OK(reeve_lock_acquire(a, LONG));
    OK(reeve_lock_release(a));
    OK(reeve_lock_release(b));
    reeve_lock_close(&a);
    reeve_lock_close(&b);
}

TEST(cycle_of_owners_is_an_error_for_who_asked)
{
    struct stage s;
    struct party other;
    reeve_lock *a = NULL;
    reeve_lock *b = NULL;

    stage_begin(&s);
    OK(reeve_lock_open(&a, s.ctx, stage_name(&s, 0), NULL));
    OK(reeve_lock_open(&b, s.ctx, stage_name(&s, 1), &(reeve_lock_options){.no_cycle = true}));
    OK(reeve_lock_acquire(a, 0));
    party_begin(&other, &s, make_cycle);
    CHECK(party_hears(&other));
    EVENTUALLY(LONG, lab_listed(s.ctx, s.names[0], "getters") == 1);
    FAILS(REEVE_EDEADLOCK, reeve_lock_acquire(b, LONG));
    SAYS(s.names[1]);
    OK(reeve_lock_release(a));
    party_end(&other);
    OK(reeve_lock_acquire(b, LONG));
    OK(reeve_lock_release(b));
    reeve_lock_close(&a);
    reeve_lock_close(&b);
    stage_end(&s);
}

/* ---- fences ---- */

static int64_t next_int(reeve_queue *queue)
{
    int64_t x = -1;

    OK(lab_get_int(&x, queue, LONG));
    return x;
}

TEST(queue_with_a_fence_is_for_the_owner_of_the_lock)
{
    struct stage s;
    reeve_lock *lock = NULL;
    reeve_queue *queue = NULL;
    reeve_queue *fenced = NULL;
    reeve_value *item = NULL;
    uint64_t fence = 0;

    stage_begin(&s);
    lock = open_lock(s.ctx, stage_name(&s, 0), false);
    queue = lab_queue(s.ctx, stage_name(&s, 1), &(reeve_queue_options){.joinable = true});
    fenced = lab_queue(s.ctx, s.names[1], &(reeve_queue_options){.joinable = true});
    for (int i = 0; i < 20; i++)
        OK(lab_put_int(queue, i, LONG));
    for (int i = 0; i < 5; i++) /* some are fetched ahead by now */
        CHECK(next_int(queue) == i);
    OK(reeve_lock_acquire(lock, 0));
    OK(reeve_lock_fence(lock, &fence));
    OK(reeve_queue_fence(fenced, lock, fence));
    CHECK(next_int(fenced) == 5);
    OK(reeve_queue_task_done(fenced, NULL));
    OK(reeve_queue_get(&item, fenced, LONG));
    OK(lab_put_int(fenced, 20, LONG));
    FAILS(REEVE_ETIME, reeve_queue_join(fenced, SHORT));
    OK(reeve_lock_release(lock));
    FAILS(REEVE_EFENCED, reeve_queue_get(&(reeve_value *){NULL}, fenced, LONG));
    FAILS(REEVE_EFENCED, reeve_queue_task_done(fenced, item));
    FAILS(REEVE_EFENCED, reeve_queue_put_str(fenced, "late", LONG));
    FAILS(REEVE_EFENCED, reeve_queue_join(fenced, LONG));
    FAILS(REEVE_EFENCED, reeve_queue_shutdown(fenced, true, LONG));
    OK(reeve_lock_acquire(lock, 0)); /* it is another fence */
    FAILS(REEVE_EFENCED, lab_put_int(fenced, 21, LONG));
    OK(reeve_lock_release(lock));
    OK(reeve_queue_fence(fenced, NULL, 0));
    for (int i = 7; i <= 20; i++)
        CHECK(next_int(fenced) == i);
    FAILS(REEVE_EEMPTY, reeve_queue_get(&(reeve_value *){NULL}, fenced, 0));
    OK(reeve_queue_task_done(queue, item)); /* it was not done */
    reeve_value_free(&item);
    reeve_queue_close(&fenced);
    reeve_queue_close(&queue);
    reeve_lock_close(&lock);
    stage_end(&s);
}

static void *get_in_its_name(void *arg)
{
    FAILS(REEVE_EFENCED, reeve_queue_get(&(reeve_value *){NULL}, arg, LONG));
    return NULL;
}

TEST(get_that_waits_with_a_fence_ends_when_the_lock_is_lost)
{
    struct stage s;
    struct party other;
    reeve_lock *lock = NULL;
    reeve_queue *queue = NULL;
    pthread_t thread;
    uint64_t fence = 0;

    stage_begin(&s);
    lock = open_lock(s.ctx, stage_name(&s, 0), false);
    queue = lab_queue(s.ctx, stage_name(&s, 1), NULL);
    OK(reeve_lock_acquire(lock, 0));
    OK(reeve_lock_fence(lock, &fence));
    OK(reeve_queue_fence(queue, lock, fence));
    thread = lab_thread(get_in_its_name, queue);
    EVENTUALLY(LONG, lab_listed(s.ctx, s.names[1], "getters") == 1);
    party_begin(&other, &s, release_once); /* somebody takes it away */
    CHECK(party_hears(&other));
    lab_join(thread);
    party_end(&other);
    reeve_queue_close(&queue);
    reeve_lock_close(&lock);
    stage_end(&s);
}

/* ---- semaphores ---- */

/* row: S04 S07 T06 */
TEST(semaphore_counts_down_and_up_beyond_its_beginning)
{
    struct stage s;
    reeve_semaphore *sem = NULL;
    uint32_t value = 0;
    bool locked = false;

    stage_begin(&s);
    FAILS(REEVE_EINVAL, reeve_semaphore_open(&sem, s.ctx, stage_name(&s, 0), 2147483648u, NULL));
    OK(reeve_semaphore_open(&sem, s.ctx, stage_name(&s, 0), 2, NULL));
    OK(reeve_semaphore_acquire(sem, 0));
    OK(reeve_semaphore_acquire(sem, 0));
    OK(reeve_semaphore_locked(sem, &locked));
    CHECK(locked);
    FAILS(REEVE_ETIME, reeve_semaphore_acquire(sem, 0));
    FAILS(REEVE_ETIME, reeve_semaphore_acquire(sem, SHORT));
    for (int i = 0; i < 3; i++)
        OK(reeve_semaphore_release(sem));
    OK(reeve_semaphore_value(sem, &value));
    CHECK(value == 3);
    reeve_semaphore_close(&sem);
    stage_end(&s);
}

static void hold_permits(reeve_context *ctx, struct stage *s, int fd)
{
    reeve_semaphore *sem = NULL;

    OK(reeve_semaphore_open(&sem, ctx, s->names[0], 2,
                            &(reeve_semaphore_options){.bounded = true}));
    OK(reeve_semaphore_acquire(sem, LONG));
    OK(reeve_semaphore_acquire(sem, LONG));
    lab_tell(fd);
    for (;;)
        lab_nap();
}

/* row: S08 T06 */
TEST(bounded_semaphore_has_its_permits_and_no_more_deaths_included)
{
    struct stage s;
    struct party other;
    reeve_semaphore *sem = NULL;
    uint32_t value = 0;

    stage_begin(&s);
    OK(reeve_semaphore_open(&sem, s.ctx, stage_name(&s, 0), 2,
                            &(reeve_semaphore_options){.bounded = true}));
    FAILS(REEVE_ERELEASED, reeve_semaphore_release(sem));
    party_begin(&other, &s, hold_permits);
    CHECK(party_hears(&other));
    FAILS(REEVE_ETIME, reeve_semaphore_acquire(sem, 0));
    party_kill(&other);
    OK(reeve_semaphore_acquire(sem, LONG));
    OK(reeve_semaphore_acquire(sem, LONG));
    OK(reeve_semaphore_release(sem));
    OK(reeve_semaphore_release(sem));
    FAILS(REEVE_ERELEASED, reeve_semaphore_release(sem));
    OK(reeve_semaphore_value(sem, &value));
    CHECK(value == 2);
    reeve_semaphore_close(&sem);
    stage_end(&s);
}

/* ---- misuse that is the same for all ---- */

TEST(names_belong_to_one_type_with_one_set_of_options)
{
    struct stage s;
    reeve_lock *lock = NULL;
    reeve_lock *other = NULL;
    reeve_event *event = NULL;
    reeve_semaphore *sem = NULL;

    stage_begin(&s);
    lock = open_lock(s.ctx, stage_name(&s, 0), false);
    FAILS(REEVE_ETYPE, reeve_event_open(&event, s.ctx, s.names[0], NULL));
    FAILS(REEVE_ETYPE,
          reeve_lock_open(&other, s.ctx, s.names[0], &(reeve_lock_options){.recursive = true}));
    FAILS(REEVE_ETYPE, reeve_event_open(&event, s.ctx, s.names[0],
                                        &(reeve_event_options){.create = REEVE_GET_ONLY}));
    OK(reeve_semaphore_open(&sem, s.ctx, stage_name(&s, 1), 2, NULL));
    reeve_semaphore_close(&sem);
    FAILS(REEVE_EEXIST, reeve_semaphore_open(&sem, s.ctx, s.names[1], 3, NULL));
    FAILS(REEVE_ENOENT, reeve_lock_open(&other, s.ctx, stage_name(&s, 2),
                                        &(reeve_lock_options){.create = REEVE_GET_ONLY}));
    OK(reeve_remove(s.ctx, s.names[0], LONG));
    FAILS(REEVE_EGONE, reeve_lock_acquire(lock, LONG));
    reeve_lock_close(&lock);
    reeve_lock_close(&lock); /* twice is fine */
    stage_end(&s);
}
