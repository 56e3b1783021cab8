/* P2: a small message to a ROUTER and back with CURVE. One at a time, both processes on one
 * processor: p50 and p99. Then as many in flight as --flight says, wherever the scheduler puts
 * the processes: calls a second. */

#include "bench/limits/echo.h"

#include <stdlib.h>

static double calls_in_flight(void *dealer, size_t calls, size_t flight)
{
    const int64_t begin = bench_now();
    char message[ECHO_MESSAGE] = {0};

    for (size_t sent = 0, done = 0; done < calls;) {
        for (; sent < calls && sent - done < flight; sent++) {
            bench_number(message, sent);
            raw_send(dealer, message, sizeof message, 0);
        }
        raw_receive(dealer, message, sizeof message);
        bench_check_number(message, done++);
    }
    return (double)calls * 1e9 / (double)(bench_now() - begin);
}

struct run {
    size_t calls, flight;
    int io_threads;
};

/* A server of this process's affinity, and a connection to it. */
static void *open_pair(const struct run *run, pid_t *server)
{
    struct raw_shared *shared = raw_shared_new(run->io_threads);
    void *dealer = NULL;

    *server = bench_fork(echo_serve, shared);
    raw_wait_bound(shared);
    dealer = raw_dealer(raw_context(1), shared);
    raw_hello(dealer, 'H');
    return dealer;
}

static void latency(void *arg)
{
    const struct run *run = arg;
    int64_t *samples = calloc(run->calls, sizeof *samples);
    void *dealer = NULL;
    pid_t server = 0;

    bench_pin(0);
    dealer = open_pair(run, &server);
    echo_call(dealer, run->calls / 10, samples);
    echo_call(dealer, run->calls, samples);
    bench_latency("", samples, run->calls);
    bench_kill(server);
}

static void throughput(void *arg)
{
    const struct run *run = arg;
    pid_t server = 0;
    void *dealer = open_pair(run, &server);
    double rate = 0;

    rate = calls_in_flight(dealer, run->calls * 4, run->flight);
    bench_figure("calls_per_s", rate);
    bench_figure("thread_calls_per_s", rate); /* no threads could have more */
    bench_kill(server);
}

int main(int argc, char **argv)
{
    struct run run = {
        .calls = (size_t)bench_option(argc, argv, "calls", 20000),
        .flight = (size_t)bench_option(argc, argv, "flight", 64),
        .io_threads = (int)bench_option(argc, argv, "io", 1),
    };

    if (run.calls > 0)
        bench_join(bench_fork(latency, &run));
    if (run.flight > 0)
        bench_join(bench_fork(throughput, &run));
    return 0;
}
