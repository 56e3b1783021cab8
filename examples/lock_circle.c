/* lock_circle.c -- three programs that wait for each other, and one command that says so.
 *
 *     lock_circle 0 & lock_circle 1 & lock_circle 2 &
 *     reeve why circle-0
 *
 * Each takes its own lock, meets the others at a barrier, and then wants the lock of the next one.
 * Without `asks` they wait for ten seconds; with it, whoever closes the circle hears of it at once.
 */

#include <reeve.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PARTIES = 3, WAIT_MS = 10000 };

static reeve_err open_lock(reeve_lock **out, reeve_context *ctx, int number, bool asks)
{
    char name[32];

    snprintf(name, sizeof name, "circle-%d", number % PARTIES);
    return reeve_lock_open(out, ctx, name, &(reeve_lock_options){.no_cycle = asks});
}

int main(int argc, char **argv)
{
    int number = argc > 1 ? atoi(argv[1]) : 0;
    bool asks = argc > 2 && strcmp(argv[2], "asks") == 0;
    reeve_context *ctx = NULL;
    reeve_lock *own = NULL;
    reeve_lock *next = NULL;
    reeve_barrier *met = NULL;
    reeve_err err = reeve_open(&ctx, NULL);

    if (err == REEVE_OK)
        err = open_lock(&own, ctx, number, asks);
    if (err == REEVE_OK)
        err = open_lock(&next, ctx, number + 1, asks);
    if (err == REEVE_OK)
        err = reeve_barrier_open(&met, ctx, "circle", PARTIES, NULL);
    if (err == REEVE_OK)
        err = reeve_lock_acquire(own, WAIT_MS);
    if (err == REEVE_OK)
        err = reeve_barrier_wait(met, WAIT_MS, NULL);
    if (err == REEVE_OK)
        err = reeve_lock_acquire(next, WAIT_MS);
    if (err == REEVE_OK)
        err = reeve_lock_release(next);
    if (err != REEVE_OK)
        fprintf(stderr, "lock_circle: %s\n", reeve_errmsg());
    reeve_barrier_close(&met);
    reeve_lock_close(&next);
    reeve_lock_close(&own);
    reeve_close(&ctx);
    return err != REEVE_OK;
}
