/*
 * The runner of the conformance tests.
 *
 *     build/run-conform            all of them, with a manager of their own
 *     build/run-conform barrier    those with this in their names
 *     REEVE_URL=... REEVE_KEY=... build/run-conform
 */

#include "tests/conform/conform.h"

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static const char *given_url, *given_key;
static bool far;    /* on another host */
static long run_id; /* names of this run */

static reeve_context *open_context(const struct stage *s)
{
    reeve_context *ctx = NULL;

    if (s->own)
        return lab_open(&s->lab, s->m.url);
    /* Far away nobody sees a process end: what the dead hold is free after this time. */
    OK(reeve_open(
        &ctx, &(reeve_options){.url = given_url, .key = given_key, .resume_ms = far ? 500 : 0}));
    return ctx;
}

void stage_begin(struct stage *s)
{
    *s = (struct stage){.own = given_url == NULL};
    if (s->own) {
        lab_begin(&s->lab);
        manager_start_ipc(&s->m, &s->lab);
    }
    s->ctx = open_context(s);
}

void stage_end(struct stage *s)
{
    OK(reeve_close(&s->ctx));
    if (!s->own)
        return;
    manager_kill(&s->m);
    lab_end(&s->lab);
}

const char *stage_name(struct stage *s, int i)
{
    snprintf(s->names[i], sizeof s->names[i], "conform/%ld/%d/%d", run_id, (int)getpid(), i);
    return s->names[i];
}

/* ---- parties ---- */

struct script {
    struct stage *stage;
    party_fn *fn;
};

static void act(void *arg, int fd)
{
    const struct script *script = arg;
    reeve_context *ctx = open_context(script->stage);

    script->fn(ctx, script->stage, fd);
    OK(reeve_close(&ctx));
}

void party_begin(struct party *p, struct stage *s, party_fn *fn)
{
    struct script script = {s, fn};

    p->pid = lab_process(act, &script, &p->from);
}

bool party_hears(struct party *p)
{
    return lab_hear(p->from);
}

void party_kill(struct party *p)
{
    lab_kill(p->pid);
    close(p->from);
}

void party_end(struct party *p)
{
    CHECK(lab_exit_code(p->pid) == 0);
    close(p->from);
}

reeve_builder *make(const char *letters, ...)
{
    static reeve_builder *made[8];
    static unsigned next;
    reeve_builder **b = &made[next++ % 8];
    va_list args;

    if (*b == NULL)
        *b = reeve_builder_new();
    reeve_builder_reset(*b);
    va_start(args, letters);
    OK(reeve_vpack(*b, letters, args));
    va_end(args);
    return *b;
}

reeve_builder *integer(int64_t i)
{
    return make("i", i);
}

int main(int argc, char **argv)
{
    signal(SIGPIPE, SIG_DFL);
    given_url = getenv("REEVE_URL");
    far = given_url != NULL && strncmp(given_url, "tcp:", 4) == 0;
    given_key = getenv("REEVE_KEY");
    run_id = (long)time(NULL);
    return check_run(argc > 1 ? argv[1] : NULL) != 0;
}
