/* P5: acquire and release of a lock, everything on one processor.
 *   --what 0   nobody else wants it: both calls together
 *   --what 1   two clients want it all the time: from the release of one to the other's acquire
 *   --what 2   as 0, with a lease
 *   --what 3   two clients take it in turn, with leases: each acquire has the other's recalled
 * And, wherever the scheduler puts them, --clients processes that do nothing else: how often a second.
 *   --what 4   all of them want one lock
 *   --what 5   each has a lock of its own */

#include "bench/harness.h"

#include <errno.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static size_t calls, clients;

static reeve_lock *open_lock(reeve_context *ctx, const char *name, bool lease)
{
    reeve_lock *lock = NULL;

    harness_check(reeve_lock_open(&lock, ctx, name, &(reeve_lock_options){.lease = lease}),
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
    lock = open_lock(ctx, "lock", lease);
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
    reeve_lock *lock = open_lock(ctx, "lock", false);

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

/* ---- leases that are recalled ---- */

struct turns {
    sem_t turn[2];
    int64_t samples[];
};

static void wait_turn(sem_t *sem)
{
    while (sem_wait(sem) != 0)
        if (errno != EINTR)
            bench_die("unable to wait: %s", strerror(errno));
}

static void alternate(struct turns *t, int self)
{
    reeve_context *ctx = harness_open();
    reeve_lock *lock = open_lock(ctx, "lock", true);

    for (size_t i = (size_t)self; i < calls; i += 2) {
        int64_t begin = 0;

        wait_turn(&t->turn[self]);
        begin = bench_now();
        harness_check(reeve_lock_acquire(lock, HARNESS_WAIT_MS), "acquire");
        harness_check(reeve_lock_release(lock), "release");
        t->samples[i] = bench_now() - begin;
        sem_post(&t->turn[!self]);
    }
    reeve_lock_close(&lock);
    harness_check(reeve_close(&ctx), "close");
}

static void alternate_second(void *arg)
{
    alternate(arg, 1);
}

static void recalled(void *arg)
{
    struct turns *t = bench_shared(sizeof *t + calls * sizeof *t->samples);
    pid_t child = 0;

    (void)arg;
    sem_init(&t->turn[0], 1, 1);
    sem_init(&t->turn[1], 1, 0);
    bench_pin(0);
    harness_start();
    child = bench_fork(alternate_second, t);
    alternate(t, 0);
    bench_join(child);
    bench_latency("", t->samples, calls);
    harness_stop();
}

/* ---- a crowd ---- */

struct crowd {
    bool shared; /* one lock for all */
    size_t number;
    sem_t ready, start;
};

static void one_of_many(void *arg)
{
    struct crowd *c = arg;
    reeve_context *ctx = harness_open();
    reeve_lock *lock = NULL;
    char name[32] = "lock";

    if (!c->shared)
        snprintf(name, sizeof name, "lock-%zu", c->number);
    lock = open_lock(ctx, name, false);
    harness_check(reeve_ping(ctx, HARNESS_WAIT_MS), "ping");
    sem_post(&c->ready);
    wait_turn(&c->start);
    for (size_t i = 0; i < calls / clients; i++) {
        harness_check(reeve_lock_acquire(lock, HARNESS_WAIT_MS), "acquire");
        harness_check(reeve_lock_release(lock), "release");
    }
    harness_check(reeve_flush(ctx, HARNESS_WAIT_MS), "flush");
    sem_post(&c->ready);
    reeve_lock_close(&lock);
    harness_check(reeve_close(&ctx), "close");
}

static void crowd(void *arg)
{
    struct crowd *c = bench_shared(sizeof *c);
    pid_t *children = calloc(clients, sizeof *children);
    int64_t begin = 0;

    sem_init(&c->ready, 1, 0);
    sem_init(&c->start, 1, 0);
    c->shared = *(const long *)arg == 4;
    harness_start();
    for (c->number = 0; c->number < clients; c->number++) {
        children[c->number] = bench_fork(one_of_many, c);
        wait_turn(&c->ready);
    }
    begin = bench_now();
    for (size_t i = 0; i < clients; i++)
        sem_post(&c->start);
    for (size_t i = 0; i < clients; i++)
        wait_turn(&c->ready);
    bench_figure("calls_per_s",
                 (double)(calls / clients * clients) * 1e9 / (double)(bench_now() - begin));
    for (size_t i = 0; i < clients; i++)
        bench_join(children[i]);
    free(children);
    harness_stop();
}

int main(int argc, char **argv)
{
    static void (*const parts[])(void *arg) = {alone, contended, alone, recalled, crowd, crowd};
    long what = bench_option(argc, argv, "what", 0);

    calls = (size_t)bench_option(argc, argv, "calls", 20000);
    clients = (size_t)bench_option(argc, argv, "clients", 64);
    if (what < 0 || (size_t)what >= sizeof parts / sizeof parts[0] || clients == 0)
        bench_die("--what 0 to 5, --clients 1 or more");
    bench_join(bench_fork(parts[what], &what));
    return 0;
}
