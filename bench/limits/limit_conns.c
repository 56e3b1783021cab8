/* P13: memory of a ROUTER with CURVE for each of many connections that have said something, and
 * the round trip of one more client, before and after they came. */

#include "bench/limits/echo.h"

#include <stdlib.h>
#include <unistd.h>

enum {
    HELPER = 500, /* connections of one helper process */
    DIALS = 32,   /* at once */
    OPENING = 4,  /* helpers that dial at the same time */
};

struct run {
    struct raw_shared *shared;
    size_t connections; /* of one helper */
};

/* Hold the connections until we are killed. */
static void connect_many(void *arg)
{
    const struct run *run = arg;
    void *context = NULL;
    void *dealers[DIALS];

    raw_wait(&run->shared->start);
    context = raw_context(run->connections);
    for (size_t i = 0; i < run->connections;) {
        char message[ECHO_MESSAGE] = {0};
        size_t n = 0;
        for (; n < DIALS && i < run->connections; n++, i++) {
            dealers[n] = raw_dealer(context, run->shared);
            raw_send(dealers[n], message, sizeof message, 0);
        }
        for (size_t j = 0; j < n; j++)
            raw_receive(dealers[j], message, sizeof message);
    }
    sem_post(&run->shared->ready);
    pause();
}

static void call(void *dealer, const char *before, size_t calls)
{
    int64_t *samples = calloc(calls, sizeof *samples);

    echo_call(dealer, calls, samples);
    bench_latency(before, samples, calls);
    free(samples);
}

int main(int argc, char **argv)
{
    const size_t connections = (size_t)bench_option(argc, argv, "connections", 2000);
    const size_t calls = (size_t)bench_option(argc, argv, "calls", 10000);
    const size_t helpers_len = (connections + HELPER - 1) / HELPER;
    pid_t *helpers = calloc(helpers_len + 1, sizeof *helpers);
    struct raw_shared *shared = raw_shared_new(1);
    void *dealer = NULL;
    double before = 0;

    shared->asks = (int)bench_option(argc, argv, "asks", 0);
    if (connections == 0 || helpers == NULL)
        bench_die("no connections");
    bench_descriptors(connections);
    const pid_t server = bench_fork(echo_serve, shared);
    for (size_t i = 0, left = connections; i < helpers_len; i++) {
        struct run *run = bench_shared(sizeof *run);
        *run = (struct run){.shared = shared, .connections = left < HELPER ? left : HELPER};
        left -= run->connections;
        helpers[i] = bench_fork(connect_many, run);
    }

    raw_wait_bound(shared);
    dealer = raw_dealer(raw_context(1), shared);
    raw_hello(dealer, 'H');
    bench_pin(0);
    bench_pin(server);
    call(dealer, "few_", calls);

    before = bench_resident(server);
    for (size_t i = 0; i < helpers_len && i < OPENING; i++)
        sem_post(&shared->start);
    for (size_t i = 0; i < helpers_len; i++) {
        raw_wait(&shared->ready);
        if (i + OPENING < helpers_len)
            sem_post(&shared->start);
    }
    bench_figure("connection_bytes", (bench_resident(server) - before) / (double)connections);
    call(dealer, "many_", calls);

    for (size_t i = 0; i < helpers_len; i++)
        bench_kill(helpers[i]);
    bench_kill(server);
    return 0;
}
