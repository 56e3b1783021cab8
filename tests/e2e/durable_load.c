/* durable_load.c -- what a manager promises, used by many threads until the standard input ends;
 * then everything is counted.
 *
 *     durable_load        REEVE_URL and REEVE_KEY say whose; each byte that it reads is answered
 *                         by a line when some more items have gone through
 *
 * Producers put numbers into a bounded joinable queue, one call for each; consumers take them and
 * say that they are done; others hold a lock in turn. No call may fail, whatever happens to the
 * manager: sessions are resumed. Exit code 0: each number that was put was had once, in its order.
 */

#include <reeve.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PRODUCERS = 2, CONSUMERS = 2, LOCKERS = 2, MOST = 1 << 20, WAIT_MS = 60000, SOME = 50 };

static reeve_context *ctx;
static reeve_queue *queue;
static reeve_lock *lock;
static atomic_bool over;    /* no more is put */
static atomic_bool drained; /* all is done */
static atomic_uchar seen[PRODUCERS][MOST];
static long put[PRODUCERS];
static atomic_long got, again, locked, broken, errors;
static atomic_int inside;

static bool ok(reeve_err err, const char *what)
{
    if (err == REEVE_OK)
        return true;
    fprintf(stderr, "%s: %s\n", what, reeve_errmsg());
    errors++;
    return false;
}

static void *produce(void *arg)
{
    long who = (long)arg;
    char text[64];

    for (long i = 0; i < MOST && !over; i++) {
        snprintf(text, sizeof text, "%ld %ld", who, i);
        if (!ok(reeve_queue_put_str(queue, text, WAIT_MS), "put"))
            break;
        put[who] = i + 1;
    }
    return NULL;
}

static void take(const reeve_value *item)
{
    const char *text = NULL;
    size_t len = 0;
    long who = 0;
    long i = 0;

    char line[64] = "";

    if (reeve_get_str(item, &text, &len) && len < sizeof line)
        memcpy(line, text, len);
    if (sscanf(line, "%ld %ld", &who, &i) != 2 || who < 0 || who >= PRODUCERS || i < 0 ||
        i >= MOST) {
        fprintf(stderr, "an item that nobody put: %s\n", line);
        errors++;
        return;
    }
    got++;
    again += reeve_value_deliveries(item) > 0;
    seen[who][i]++;
}

static void *consume(void *arg)
{
    (void)arg;
    while (!drained) {
        reeve_value *item = NULL;
        reeve_err err = reeve_queue_get(&item, queue, 200);

        if (err == REEVE_EEMPTY || err == REEVE_ETIME) /* ETIME: it is being started again */
            continue;
        if (!ok(err, "get"))
            break;
        take(item);
        ok(reeve_queue_task_done(queue, item), "task_done");
        reeve_value_free(&item);
    }
    return NULL;
}

static void *hold(void *arg)
{
    (void)arg;
    while (!over) {
        if (!ok(reeve_lock_acquire(lock, WAIT_MS), "acquire"))
            break;
        broken += inside++ != 0;
        locked++;
        inside--;
        if (!ok(reeve_lock_release(lock), "release"))
            break;
        usleep(500);
    }
    return NULL;
}

static long lost(void)
{
    long missing = 0;

    for (int p = 0; p < PRODUCERS; p++)
        for (long i = 0; i < put[p]; i++)
            missing += seen[p][i] == 0;
    return missing;
}

static long doubled(void)
{
    long twice = 0;

    for (int p = 0; p < PRODUCERS; p++)
        for (long i = 0; i < MOST; i++)
            twice += seen[p][i] > 1;
    return twice;
}

/* Until some more items have gone through, or a call has failed. */
static void go_on(void)
{
    long until = got + SOME;

    while (got < until && errors == 0)
        usleep(1000);
}

int main(void)
{
    static const reeve_queue_options options = {.maxsize = 64, .joinable = true};
    pthread_t threads[PRODUCERS + CONSUMERS + LOCKERS];
    size_t begun = 0;
    char buf[256];

    if (!ok(reeve_open(&ctx, NULL), "open") ||
        !ok(reeve_queue_open(&queue, ctx, "work", &options), "queue") ||
        !ok(reeve_lock_open(&lock, ctx, "turn", NULL), "lock"))
        return 2;
    for (long i = 0; i < PRODUCERS; i++)
        pthread_create(&threads[begun++], NULL, produce, (void *)i);
    for (int i = 0; i < LOCKERS; i++)
        pthread_create(&threads[begun++], NULL, hold, NULL);
    for (int i = 0; i < CONSUMERS; i++)
        pthread_create(&threads[begun++], NULL, consume, NULL);
    printf("begun\n");
    fflush(stdout);
    while (read(STDIN_FILENO, buf, 1) > 0) {
        go_on();
        printf("on\n");
        fflush(stdout);
    }
    over = true;
    for (size_t i = 0; i < PRODUCERS + LOCKERS; i++)
        pthread_join(threads[i], NULL);
    ok(reeve_queue_join(queue, WAIT_MS), "join");
    drained = true;
    for (size_t i = PRODUCERS + LOCKERS; i < begun; i++)
        pthread_join(threads[i], NULL);
    printf("put %ld got %ld locked %ld again %ld lost %ld doubled %ld broken %ld errors %ld\n",
           put[0] + put[1], (long)got, (long)locked, (long)again, lost(), doubled(), (long)broken,
           (long)errors);
    reeve_lock_close(&lock);
    reeve_queue_close(&queue);
    reeve_close(&ctx);
    return lost() != 0 || doubled() != 0 || broken != 0 || errors != 0;
}
