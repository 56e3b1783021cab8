/* honest.c -- who has done nothing wrong, while others attack the manager.
 *
 *     honest              REEVE_URL and REEVE_KEY say whose; each line that it reads is answered by one:
 *                         calls p50 p99 most, in microseconds, since the line before
 *     honest flood        calls as fast as they go, until it is ended
 *
 * A call is a put into a bounded queue, and the get of that item: two round trips. None may fail.
 */

#include <reeve.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { MOST = 1 << 20, PAUSE_US = 2000, WAIT_MS = 20000 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static long took[MOST]; /* microseconds; under the lock, as is the length */
static size_t took_len;

static long now_us(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000L + t.tv_nsec / 1000;
}

static void need(reeve_err err, const char *what)
{
    if (err == REEVE_OK)
        return;
    printf("failed: %s: %s\n", what, reeve_errmsg());
    exit(1);
}

static void call(reeve_queue *q)
{
    reeve_value *item = NULL;

    need(reeve_queue_put_str(q, "sixty-four bytes are a usual size of an item in most of our tests",
                             WAIT_MS),
         "put");
    need(reeve_queue_get(&item, q, WAIT_MS), "get");
    reeve_value_free(&item);
}

static void *work(void *arg)
{
    for (;;) {
        struct timespec pause = {.tv_nsec = PAUSE_US * 1000L};
        long began = now_us();
        long took_us = 0;

        call(arg);
        took_us = now_us() - began;
        pthread_mutex_lock(&lock);
        if (took_len < MOST)
            took[took_len++] = took_us;
        pthread_mutex_unlock(&lock);
        nanosleep(&pause, NULL);
    }
    return NULL;
}

static int compare(const void *a, const void *b)
{
    long x = *(const long *)a;
    long y = *(const long *)b;

    return (x > y) - (x < y);
}

static void answer(void)
{
    size_t n = 0;

    pthread_mutex_lock(&lock);
    n = took_len;
    qsort(took, n, sizeof *took, compare);
    if (n == 0)
        puts("0 0 0 0");
    else
        printf("%zu %ld %ld %ld\n", n, took[n / 2], took[n * 99 / 100], took[n - 1]);
    took_len = 0;
    pthread_mutex_unlock(&lock);
    fflush(stdout);
}

int main(int argc, char **argv)
{
    reeve_context *ctx = NULL;
    reeve_queue *q = NULL;
    pthread_t thread;
    char line[64];

    need(reeve_open(&ctx, NULL), "open");
    need(reeve_queue_open(&q, ctx, NULL,
                          &(reeve_queue_options){.maxsize = 1000, .no_prefetch = true}),
         "open a queue");
    while (argc > 1 && strcmp(argv[1], "flood") == 0)
        call(q);
    if (pthread_create(&thread, NULL, work, q) != 0)
        return 1;
    while (fgets(line, sizeof line, stdin) != NULL)
        answer();
    _Exit(0);
}
