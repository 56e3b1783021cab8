/* P5: acquire and release of a lock, everything on one processor.
 *   --what 0   nobody else wants it: both calls together
 *   --what 1   two clients want it all the time: from the release of one to the other's acquire
 *   --what 2   as 0, with a lease */

#include "bench/harness.h"

#include <stdatomic.h>
#include <stdlib.h>

static size_t calls;

static reeve_lock *open_lock(reeve_context *ctx, bool lease)
{
    reeve_lock *lock = NULL;

    harness_check(reeve_lock_open(&lock, ctx, "lock", &(reeve_lock_options){.lease = lease}),
                  "open a lock");
    return lock;
}

static void alone(void *arg)
{
    const bool lease = *(const long *)arg == 2;
    int64_t *samples = calloc(calls, sizeof *samples);
    reeve_context *ctx = NULL;
    reeve_lock *lock = NULL;

    bench_pin(0); /* the manager comes from this process */
    harness_start();
    ctx = harness_open();
    lock = open_lock(ctx, lease);
    for (size_t i = 0; i < calls / 10 + calls; i++) {
        const int64_t begin = bench_now();

        harness_check(reeve_lock_acquire(lock, HARNESS_WAIT_MS), "acquire");
        harness_check(reeve_lock_release(lock), "release");
        if (i >= calls / 10)
            samples[i - calls / 10] = bench_now() - begin;
    }
    bench_latency("", samples, calls);
    reeve_lock_close(&lock);
    harness_check(reeve_close(&ctx), "close");
    harness_stop();
}

/* What both clients see. The lock itself guards all but the count of those who are ready. */
struct table {
    atomic_int ready;
    int owner; /* who had it last */
    int64_t released;
    size_t len;
    int64_t samples[];
};

static void take_turns(struct table *t, int self)
{
    reeve_context *ctx = harness_open();
    reeve_lock *lock = open_lock(ctx, false);

    atomic_fetch_add(&t->ready, 1);
    while (atomic_load(&t->ready) < 2)
        harness_check(reeve_ping(ctx, HARNESS_WAIT_MS), "ping");
    for (bool more = true; more;) {
        harness_check(reeve_lock_acquire(lock, HARNESS_WAIT_MS), "acquire");
        if (t->owner != self && t->owner != 0 && t->len < calls)
            t->samples[t->len++] = bench_now() - t->released;
        more = t->len < calls;
        t->owner = self;
        t->released = bench_now();
        harness_check(reeve_lock_release(lock), "release");
    }
    reeve_lock_close(&lock);
    harness_check(reeve_close(&ctx), "close");
}

static void other(void *arg)
{
    take_turns(arg, 2);
}

static void contended(void *arg)
{
    struct table *t = bench_shared(sizeof *t + calls * sizeof *t->samples);
    pid_t child = 0;

    (void)arg;
    bench_pin(0);
    harness_start();
    child = bench_fork(other, t);
    take_turns(t, 1);
    bench_join(child);
    bench_latency("", t->samples, calls);
    harness_stop();
}

int main(int argc, char **argv)
{
    long what = bench_option(argc, argv, "what", 0);

    calls = (size_t)bench_option(argc, argv, "calls", 20000);
    bench_join(bench_fork(what == 1 ? contended : alone, &what));
    return 0;
}
