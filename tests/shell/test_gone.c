/* A manager that is killed and never comes back, in real processes. */

#include "tests/shell/lab.h"

#include <stdio.h>
#include <unistd.h>

/* limits.def: how long a client waits beyond the time its session is kept. */
enum { GONE_MS = 14000, SLACK_MS = 1500 };

TEST(killed_manager_is_named_by_the_calls_that_it_ends)
{
    struct lab lab;
    struct manager m;
    reeve_context *ctx = NULL;
    reeve_queue *q = NULL;
    int64_t x = 0;
    int64_t at = 0;

    alarm(60);
    lab_begin(&lab);
    manager_start_ipc(&m, &lab);
    OK(reeve_open(&ctx, &(reeve_options){.url = m.url, .resume_ms = 1}));
    q = lab_queue(ctx, "jobs", NULL);
    manager_kill(&m);
    at = lab_ms();
    FAILS(REEVE_ELOST, lab_get_int(&x, q, REEVE_FOREVER));
    CHECK(lab_ms() - at <= GONE_MS + SLACK_MS);
    SAYS("cannot get from queue jobs: manager ipc://");
    SAYS("/run/reeve.sock has not answered for 14.0 s");
    reeve_queue_close(&q);
    FAILS(REEVE_ELOST, reeve_close(&ctx));
    lab_end(&lab);
}
