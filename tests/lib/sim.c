/* sim.c -- the clock, the story, and the words of story tests. */

#include "tests/lib/sim.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    STORY_MAX = 65536,   /* of a random history, in bytes */
    PATIENCE_MS = 60000, /* how long an expected line may take */
};

#ifdef RV_MUTANTS
enum rv_mutant rv_mutant;
#endif

const char *sim_fault_name(enum sim_fault fault)
{
    static const char *const names[] = {
#define NAME(name, text) text,
        SIM_FAULTS(NAME)
#undef NAME
    };

    return names[fault];
}

const char *sim_error_name(reeve_err err)
{
    switch (err) {
#define NAME(name, number, text)                                                                   \
    case REEVE_##name:                                                                             \
        return #name;
        REEVE_ERRORS(NAME)
#undef NAME
    }
    return "?";
}

/* ---- time and chance ---- */

uint64_t sim_below(struct sim *s, uint64_t limit)
{
    return rv_rng_below(&s->rng, limit);
}

rv_ns sim_delay(struct sim *s)
{
    rv_ns spread = s->delay_max - s->delay_min;

    return s->delay_min + (spread == 0 ? 0 : (rv_ns)sim_below(s, (uint64_t)spread));
}

void sim_at(struct sim *s, struct sim_event *e, rv_ns at)
{
    rv_heap_set(&s->heap, &e->timer, at < s->now ? s->now : at);
}

void sim_never(struct sim *s, struct sim_event *e)
{
    rv_heap_cancel(&s->heap, &e->timer);
}

bool sim_step(struct sim *s)
{
    rv_ns next = rv_heap_next(&s->heap);
    struct sim_event *e = NULL;

    if (next == RV_NEVER)
        return false;
    if (next > s->now)
        s->now = next;
    e = (struct sim_event *)(void *)rv_heap_pop(&s->heap, s->now);
    e->fire(s, e->arg);
    return true;
}

void sim_run_until(struct sim *s, rv_ns at)
{
    while (rv_heap_next(&s->heap) <= at)
        sim_step(s);
    s->now = at;
}

void sim_run(struct sim *s, uint32_t ms)
{
    sim_run_until(s, s->now + (rv_ns)ms * RV_MS);
}

/* ---- the story ---- */

static void add_line(struct sim *s, const char *text)
{
    char stamp[32];
    int len = snprintf(stamp, sizeof stamp, "[%5lld] ", (long long)((s->now - s->origin) / RV_MS));

    rv_buf_add(&s->story, stamp, (size_t)len);
    rv_buf_add(&s->story, text, strlen(text));
    rv_buf_add(&s->story, "\n", 1);
    if (s->random && s->story.len > STORY_MAX)
        rv_buf_drop(&s->story, s->story.len / 2);
}

void sim_say(struct sim *s, const char *format, ...)
{
    char text[512];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    add_line(s, text);
}

void sim_mark(struct sim *s)
{
    s->origin = s->now;
    s->heard = s->story.len;
}

static void show(const char *title, const uint8_t *text, size_t len)
{
    fprintf(stderr, "---- %s\n%.*s", title, (int)len, len == 0 ? "" : (const char *)text);
}

void sim_broken(struct sim *s, const char *format, ...)
{
    va_list args;

    if (s->story.len > 0 && !s->quiet)
        show("the story", s->story.data, s->story.len);
    fprintf(stderr, "---- at %lld ms: ", (long long)((s->now - s->origin) / RV_MS));
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fprintf(stderr, "\n");
    fflush(NULL);
    abort();
}

static size_t lines_in(const uint8_t *text, size_t len)
{
    size_t lines = 0;

    for (size_t i = 0; i < len; i++)
        lines += text[i] == '\n';
    return lines;
}

static size_t bytes_of_lines(const uint8_t *text, size_t len, size_t lines)
{
    size_t i = 0;

    for (; i < len && lines > 0; i++)
        lines -= text[i] == '\n';
    return i;
}

void sim_expect_at(struct sim *s, const char *file, int line, const char *want)
{
    size_t want_len = strlen(want);
    size_t want_lines = lines_in((const uint8_t *)want, want_len);
    rv_ns until = s->now + PATIENCE_MS * RV_MS;
    size_t said = 0;

    while (lines_in(s->story.data + s->heard, s->story.len - s->heard) < want_lines &&
           rv_heap_next(&s->heap) <= until)
        sim_step(s);
    said = bytes_of_lines(s->story.data + s->heard, s->story.len - s->heard, want_lines);
    if (said == want_len && memcmp(s->story.data + s->heard, want, said) == 0) {
        s->heard += said;
        return;
    }
    fprintf(stderr, "%s:%d: another story\n", file, line);
    show("before", s->story.data, s->heard);
    show("expected", (const uint8_t *)want, want_len);
    show("said", s->story.data + s->heard, s->story.len - s->heard);
    fflush(NULL);
    abort();
}

void sim_expect_silence_at(struct sim *s, const char *file, int line, uint32_t ms)
{
    sim_run(s, ms);
    if (s->story.len == s->heard)
        return;
    fprintf(stderr, "%s:%d: silence was expected\n", file, line);
    show("before", s->story.data, s->heard);
    show("said", s->story.data + s->heard, s->story.len - s->heard);
    fflush(NULL);
    abort();
}

/* ---- life ---- */

void sim_init(struct sim *s, uint64_t seed)
{
    *s = (struct sim){.rng = {seed * 2 + 1}, .now = RV_SEC, .delay_min = RV_MS, .delay_max = RV_MS};
    sim_mark(s);
}

static void start(struct sim *s, int clients, bool memory)
{
    sim_init(s, 1);
    s->server.memory = memory;
    sim_server_start(s);
    for (int c = 1; c <= clients; c++) {
        sim_client_start(s, c);
        while (s->clients[c].link.state != RV_LINK_READY)
            rv_assert(sim_step(s));
    }
    sim_run(s, 50);
    sim_mark(s);
}

void sim_start(struct sim *s, int clients)
{
    start(s, clients, false);
}

void sim_start_memory(struct sim *s, int clients)
{
    start(s, clients, true);
}

void sim_stop(struct sim *s)
{
    for (int c = 1; c <= SIM_CLIENTS; c++)
        sim_client_free(s, &s->clients[c]);
    sim_server_free(s);
    sim_net_free(s);
    sim_book_free(s);
    rv_heap_free(&s->heap);
    rv_buf_free(&s->story);
}

/* ---- what stories say ---- */

static void freed(struct sim *s, struct sim_op *op)
{
    (void)s;
    *(reeve_err *)op->arg = op->error;
}

reeve_err sim_open(struct sim *s, int client, const char *name, const struct sim_options *options)
{
    struct sim_op *op = NULL;
    reeve_err err = REEVE_ETIME;
    rv_ns until = s->now + PATIENCE_MS * RV_MS;

    sim_begin_open(s, client, name, options, &op);
    op->ended = freed;
    op->arg = &err;
    sim_op_begin(s, op);
    while (err == REEVE_ETIME && rv_heap_next(&s->heap) <= until)
        sim_step(s);
    sim_run(s, 10);
    sim_mark(s);
    return err;
}

static uint64_t new_item(struct sim *s, int client, const char *label, size_t len)
{
    const struct sim_client *c = &s->clients[client];

    return sim_book_item(s, label, c->queues[0].book, c->life * SIM_THREADS, len);
}

static void put(struct sim *s, int client, const char *label, size_t len, int64_t priority,
                bool call, uint32_t timeout_ms)
{
    struct sim_op *op = sim_op_new(s, client, SIM_OP_PUT, 0, timeout_ms);

    op->items[0] = new_item(s, client, label, len);
    op->items_len = 1;
    op->priority = priority;
    op->call = call;
    sim_op_begin(s, op);
}

void sim_put(struct sim *s, int client, const char *label)
{
    put(s, client, label, 16, 0, false, UINT32_MAX);
}

void sim_put_large(struct sim *s, int client, const char *label, size_t len)
{
    put(s, client, label, len, 0, false, UINT32_MAX);
}

void sim_put_large_wait(struct sim *s, int client, const char *label, size_t len,
                        uint32_t timeout_ms)
{
    put(s, client, label, len, 0, true, timeout_ms);
}

void sim_put_priority(struct sim *s, int client, const char *label, int64_t priority)
{
    put(s, client, label, 16, priority, false, UINT32_MAX);
}

void sim_put_ref(struct sim *s, int client, int queue, const char *label, int refers_to)
{
    struct sim_client *c = &s->clients[client];
    struct sim_op *op = sim_op_new(s, client, SIM_OP_PUT, queue, UINT32_MAX);

    op->items[0] = sim_book_item(s, label, c->queues[queue].book, c->life * SIM_THREADS, 16);
    op->items_len = 1;
    sim_refer(s, op->items[0], c, refers_to);
    sim_op_begin(s, op);
    sim_client_pump(s, c); /* before the handle is closed */
}

void sim_put_wait(struct sim *s, int client, const char *label, uint32_t timeout_ms)
{
    put(s, client, label, 16, 0, true, timeout_ms);
}

/* One letter an item. */
void sim_put_many(struct sim *s, int client, const char *labels, uint32_t timeout_ms)
{
    struct sim_op *op = sim_op_new(s, client, SIM_OP_PUT, 0, timeout_ms);

    for (; *labels != '\0'; labels++) {
        char label[2] = {*labels, '\0'};

        op->items[op->items_len++] = new_item(s, client, label, 16);
    }
    op->call = true;
    sim_op_begin(s, op);
}

struct sim_op *sim_get_on(struct sim *s, int client, int queue, uint32_t timeout_ms)
{
    struct sim_op *op = sim_op_new(s, client, SIM_OP_GET, queue, timeout_ms);

    op->max = 1;
    sim_op_begin(s, op);
    return op;
}

struct sim_op *sim_get(struct sim *s, int client, uint32_t timeout_ms)
{
    return sim_get_on(s, client, 0, timeout_ms);
}

void sim_done(struct sim *s, int client, const char *label)
{
    const struct sim_client *c = &s->clients[client];

    for (size_t i = 0; i < c->held_len; i++)
        if (strcmp(s->book.items[c->held[i].item].label, label) == 0) {
            reeve_err err = sim_task_done(s, client, i);

            if (err != REEVE_OK)
                sim_say(s, "done.fail client=%d error=%s", client, sim_error_name(err));
            return;
        }
    sim_broken(s, "client %d does not hold %s", client, label);
}

void sim_join(struct sim *s, int client, uint32_t timeout_ms)
{
    sim_op_begin(s, sim_op_new(s, client, SIM_OP_JOIN, 0, timeout_ms));
}

void sim_shutdown(struct sim *s, int client, bool immediate)
{
    struct sim_op *op = sim_op_new(s, client, SIM_OP_SHUTDOWN, 0, UINT32_MAX);

    op->max = immediate;
    sim_op_begin(s, op);
}

void sim_size(struct sim *s, int client)
{
    sim_op_begin(s, sim_op_new(s, client, SIM_OP_SIZE, 0, UINT32_MAX));
}

void sim_requeue(struct sim *s, int client, const char *name)
{
    struct sim_op *op = sim_op_new(s, client, SIM_OP_REQUEUE, 0, UINT32_MAX);

    snprintf(op->name, sizeof op->name, "%s", name);
    sim_op_begin(s, op);
}

void sim_remove(struct sim *s, int client, const char *name)
{
    struct sim_op *op = sim_op_new(s, client, SIM_OP_REMOVE, 0, UINT32_MAX);

    snprintf(op->name, sizeof op->name, "%s", name);
    sim_op_begin(s, op);
}
