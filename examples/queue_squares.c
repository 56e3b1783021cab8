/* queue_squares.c -- typed items, a joinable queue, and a pool of worker processes.
 *
 *     queue_squares 4          four workers square the numbers from 1 to 100
 *
 * The workers are forked before anybody opens a context: a context belongs to the process that
 * opened it.
 */

#include <reeve.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

enum { NUMBERS = 100, WORKERS_MAX = 64 };

static int fail(const char *who)
{
    fprintf(stderr, "queue_squares: %s: %s\n", who, reeve_errmsg());
    return 1;
}

static reeve_err open_queues(reeve_context *ctx, reeve_queue **tasks, reeve_queue **done)
{
    const reeve_queue_options options = {.joinable = true};
    reeve_err err = reeve_queue_open(tasks, ctx, "squares/tasks", &options);

    if (err == REEVE_OK)
        err = reeve_queue_open(done, ctx, "squares/done", NULL);
    return err;
}

/* Take numbers, put their squares, until the queue is shut down. */
static int work(void)
{
    reeve_context *ctx = NULL;
    reeve_queue *tasks = NULL;
    reeve_queue *done = NULL;
    reeve_builder *out = reeve_builder_new();
    reeve_err err = reeve_open(&ctx, NULL);

    if (err == REEVE_OK)
        err = open_queues(ctx, &tasks, &done);
    while (err == REEVE_OK) {
        reeve_value *item = NULL;
        int64_t x = 0;

        err = reeve_queue_get(&item, tasks, REEVE_FOREVER);
        if (err == REEVE_OK)
            err = reeve_unpack(item, "i", &x);
        if (err == REEVE_OK) {
            reeve_builder_reset(out);
            reeve_pack(out, "(ii)", x, x * x);
            err = reeve_queue_put(done, out, REEVE_FOREVER);
        }
        if (err == REEVE_OK)
            err = reeve_queue_task_done(tasks, item);
        reeve_value_free(&item);
    }
    reeve_builder_free(&out);
    reeve_queue_close(&done);
    reeve_queue_close(&tasks);
    if (err != REEVE_ESHUTDOWN)
        fail("worker");
    reeve_close(&ctx);
    return err != REEVE_ESHUTDOWN;
}

/* Put the numbers, wait until all are done, let the workers go. */
static reeve_err give_out(reeve_queue *tasks)
{
    reeve_builder *item = reeve_builder_new();
    reeve_err err = REEVE_OK;

    for (int64_t x = 1; err == REEVE_OK && x <= NUMBERS; x++) {
        reeve_builder_reset(item);
        reeve_put_int(item, x);
        err = reeve_queue_put(tasks, item, REEVE_FOREVER);
    }
    reeve_builder_free(&item);
    if (err == REEVE_OK)
        err = reeve_queue_join(tasks, REEVE_FOREVER);
    if (err == REEVE_OK)
        err = reeve_queue_shutdown(tasks, false, REEVE_FOREVER);
    return err;
}

static reeve_err add_up(reeve_queue *done)
{
    reeve_err err = REEVE_OK;
    int64_t sum = 0;

    for (int i = 0; err == REEVE_OK && i < NUMBERS; i++) {
        reeve_value *item = NULL;
        int64_t x = 0;
        int64_t square = 0;

        err = reeve_queue_get(&item, done, REEVE_FOREVER);
        if (err == REEVE_OK)
            err = reeve_unpack(item, "(ii)", &x, &square);
        sum += square;
        reeve_value_free(&item);
    }
    if (err == REEVE_OK)
        printf("the squares from 1 to %d add up to %" PRId64 "\n", NUMBERS, sum);
    return err;
}

static int lead(void)
{
    reeve_context *ctx = NULL;
    reeve_queue *tasks = NULL;
    reeve_queue *done = NULL;
    reeve_err err = reeve_open(&ctx, NULL);
    int code = 0;

    if (err == REEVE_OK)
        err = open_queues(ctx, &tasks, &done);
    if (err == REEVE_OK)
        err = give_out(tasks);
    if (err == REEVE_OK)
        err = add_up(done);
    if (err != REEVE_OK)
        code = fail("leader");
    reeve_queue_close(&done);
    reeve_queue_close(&tasks);
    while (wait(NULL) > 0)
        ;
    if (ctx != NULL) { /* both queues are named: they would stay, shut down, for the next run */
        (void)!reeve_remove(ctx, "squares/tasks", 1000);
        (void)!reeve_remove(ctx, "squares/done", 1000);
    }
    reeve_close(&ctx);
    return code;
}

int main(int argc, char **argv)
{
    int workers = argc > 1 ? atoi(argv[1]) : 2;

    for (int i = 0; i < workers && i < WORKERS_MAX; i++)
        if (fork() == 0)
            return work();
    return lead();
}
