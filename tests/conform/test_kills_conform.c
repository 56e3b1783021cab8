/* Holders and waiters are killed, again and again; what they share must stay true. */

#include "tests/conform/conform.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { WORKERS = 6, PERMITS = 2, LONG = 30000, LIVES = 4096 };

/* Shared by all processes. A life is a process; 0 is nobody. */
struct board {
    atomic_uint owner; /* the life that believes to have the lock */
    atomic_uint last;  /* the one that had it last */
    atomic_uint_fast64_t fence;
    atomic_int permits;         /* held by lives that were not killed */
    atomic_bool killed[LIVES];  /* set before it is */
    atomic_bool has[LIVES];     /* it has a permit */
    atomic_uint acquired, told; /* locks, and deaths that the next owner heard of */
    atomic_int bad;
    char why[200];
};

static struct board *board;
static unsigned life;

static void complain(const char *why)
{
    if (atomic_fetch_add(&board->bad, 1) == 0)
        snprintf(board->why, sizeof board->why, "%s", why);
}

static unsigned live_permits(void)
{
    unsigned held = 0;

    for (unsigned i = 1; i < LIVES; i++)
        held += atomic_load(&board->has[i]) && !atomic_load(&board->killed[i]);
    return held;
}

static void use_lock(reeve_lock *lock)
{
    reeve_err err = reeve_lock_acquire(lock, LONG);
    uint64_t fence = 0;
    unsigned before = 0;

    if (err != REEVE_OK && err != REEVE_OWNER_DIED) {
        complain(reeve_errmsg());
        return;
    }
    before = atomic_exchange(&board->owner, life);
    if (before != 0 && !atomic_load(&board->killed[before]))
        complain("two owners of one lock");
    if (before != 0 && err == REEVE_OK)
        complain("the owner was killed, and the next did not hear of it");
    atomic_fetch_add(&board->told, err == REEVE_OWNER_DIED);
    if (reeve_lock_fence(lock, &fence) != REEVE_OK || fence < atomic_load(&board->fence) ||
        (fence == atomic_load(&board->fence) && atomic_load(&board->last) != life))
        complain("a fence that does not grow");
    atomic_store(&board->fence, fence);
    atomic_store(&board->last, life);
    atomic_fetch_add(&board->acquired, 1);
    sched_yield();
    atomic_store(&board->owner, 0);
    if (reeve_lock_release(lock) != REEVE_OK)
        complain(reeve_errmsg());
}

static void use_permit(reeve_semaphore *sem)
{
    if (reeve_semaphore_acquire(sem, LONG) != REEVE_OK) {
        complain(reeve_errmsg());
        return;
    }
    atomic_store(&board->has[life], true);
    if (live_permits() > PERMITS)
        complain("more holders than permits");
    atomic_store(&board->has[life], false);
    if (reeve_semaphore_release(sem) != REEVE_OK)
        complain(reeve_errmsg());
}

static void work(reeve_context *ctx, struct stage *s, int fd)
{
    reeve_lock *lock = NULL;
    reeve_semaphore *sem = NULL;

    /* Every third has it lent, and keeps its fence while nobody else asks. */
    OK(reeve_lock_open(&lock, ctx, s->names[0], &(reeve_lock_options){.lease = life % 3 == 0}));
    OK(reeve_semaphore_open(&sem, ctx, s->names[1], PERMITS,
                            &(reeve_semaphore_options){.bounded = true}));
    lab_tell(fd);
    for (;;) {
        use_lock(lock);
        use_permit(sem);
    }
}

/* CONFORM_KILLS=1000 for the long run. */
TEST(kills_of_holders_and_waiters_leave_every_promise_standing)
{
    const char *asked = getenv("CONFORM_KILLS");
    unsigned kills = asked == NULL ? 60 : (unsigned)atoi(asked);
    struct stage s;
    struct party workers[WORKERS];
    unsigned lives[WORKERS];
    reeve_lock *lock = NULL;
    reeve_semaphore *sem = NULL;
    reeve_err err = REEVE_OK;
    uint32_t value = 0;

    CHECK(kills + WORKERS < LIVES);
    alarm(kills / 4 + 30);
    board = mmap(NULL, sizeof *board, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(board != MAP_FAILED);
    stage_begin(&s);
    stage_name(&s, 0);
    stage_name(&s, 1);
    for (unsigned n = 0; n < kills + WORKERS; n++) {
        unsigned at = n % WORKERS;
        unsigned before = atomic_load(&board->acquired);

        if (n >= WORKERS) {
            atomic_store(&board->killed[lives[at]], true);
            party_kill(&workers[at]);
        }
        if (n >= kills)
            continue;
        life = lives[at] = n + 1;
        party_begin(&workers[at], &s, work);
        CHECK(party_hears(&workers[at]));
        /* Everybody else goes on. */
        EVENTUALLY(LONG, atomic_load(&board->acquired) > before || atomic_load(&board->bad) > 0);
    }
    if (atomic_load(&board->bad) > 0)
        fprintf(stderr, "%d times, first: %s\n", atomic_load(&board->bad), board->why);
    CHECK(atomic_load(&board->bad) == 0);
    OK(reeve_lock_open(&lock, s.ctx, s.names[0], NULL));
    err = reeve_lock_acquire(lock, LONG);
    CHECK(err == REEVE_OK || err == REEVE_OWNER_DIED);
    OK(reeve_lock_release(lock));
    OK(reeve_semaphore_open(&sem, s.ctx, s.names[1], PERMITS,
                            &(reeve_semaphore_options){.bounded = true}));
    EVENTUALLY(LONG, reeve_semaphore_value(sem, &value) == REEVE_OK && value == PERMITS);
    fprintf(stderr, "%u kills, %u locks taken, %u of them from the dead\n", kills,
            atomic_load(&board->acquired), atomic_load(&board->told));
    reeve_lock_close(&lock);
    reeve_semaphore_close(&sem);
    stage_end(&s);
}
