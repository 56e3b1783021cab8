#include "worker/core/agent.h"

#include <stdio.h>

enum {
    ENV_IDLE_MS = 10000,  /* an env that no job needs keeps its runners so long */
    START_TRIES = 3,      /* programs and runners that die before they are ready, in a row */
    START_AGAIN_MS = 500, /* until the second try; twice as long with each that follows */
    WHY_MAX = 300,
    TEXT_MAX = 900, /* bytes of what is told of an item */
};

enum env_state {
    ENV_NEW,
    ENV_LOADING,
    ENV_AGAIN, /* its program was killed before it was up: it is loaded again at again_at */
    ENV_LOADED,
    ENV_FAILED
};

struct env {
    struct agent_env is; /* first: what the shell sees */
    enum env_state state;
    struct rv_buf bytes; /* what the slices of `is` point to */
    uint32_t jobs;
    uint32_t failures; /* tries in a row that ended before a runner was ready */
    uint32_t attempt;  /* runners that are started in one share its failure */
    rv_ns again_at;    /* nothing is started before; RV_NEVER: it may be */
    rv_ns idle_at;     /* since when no job needs it */
    char why[WHY_MAX]; /* FAILED */
    struct env *prev, *next;
};

struct job_here {
    uint64_t id;
    struct env *env;
    uint32_t timeout_ms;
    uint32_t maxtasks;
    bool detail;
    bool cannot; /* it was said */
    UT_hash_handle hh;
};

/* An item that ended its runner before others in front of it were answered, and what is to be said
 * of that in its turn. */
struct poison {
    uint64_t index;
    uint32_t pid; /* of the runner */
    struct agent_told told;
    struct rv_buf bytes; /* its text and output */
    struct poison *next;
};

/* No runner is given what is known to have ended one, so another such item lies before all others,
 * and none of them is given back: its run counts. */
struct chunk_here {
    uint64_t id;
    struct job_here *job;
    uint64_t first, next, end; /* items next .. end - 1 are to be run or running */
    uint32_t run;
    int slot; /* -1: it waits */
    struct rv_buf function;
    struct rv_buf items; /* records of first .. */
    struct rv_body **bodies;
    size_t bodies_len;
    struct poison *poisons; /* by their index */
    uint32_t stumbles;      /* runners that ended in it without having begun an item */
    struct chunk_here *prev, *next_here;
    UT_hash_handle hh;
};

enum slot_state { SLOT_EMPTY, SLOT_STARTING, SLOT_IDLE, SLOT_BUSY };

struct slot {
    enum slot_state state;
    struct env *env;
    struct chunk_here *chunk; /* BUSY; NULL when it was taken away */
    uint32_t pid;
    uint32_t attempt;  /* of its env, in which it was started */
    uint32_t tasks;    /* items that its process was given */
    uint64_t gift_end; /* behind the last one of its chunk that was given */
    bool stopping;
    bool late;     /* stopped because its item took too long */
    rv_ns look_at; /* when its item may have taken too long; RV_NEVER: no limit */

    /* values that wait for company */
    uint64_t first;
    uint32_t count;
    uint64_t ns;
    struct rv_buf values;
    rv_ns flush_at; /* RV_NEVER: none */
};

struct agent {
    struct rv_port port; /* first */
    struct agent_conf conf;
    struct rv_link *link;
    void (*effect)(void *arg, const struct agent_effect *effect);
    void *arg;
    bool asked, opened;
    bool draining, told_draining, left;
    uint64_t last_env;
    struct env *envs;
    struct job_here *jobs;
    struct chunk_here *chunks; /* oldest first */
    struct chunk_here *by_id;
    struct slot *slots;
    bool dirty; /* something may be given or started */
    struct rv_buf scratch, items;
};

static const struct rv_port_ops port_ops;

/* ---- saying ---- */

static void note(struct agent *a, int level, const char *event, uint64_t x, const char *why)
{
    char line[512];

    if (a->conf.sink.line == NULL)
        return;
    snprintf(line, sizeof line, "%s%llu%s%.300s%s", event, (unsigned long long)x,
             why == NULL ? "" : " why=\"", why == NULL ? "" : why, why == NULL ? "" : "\"");
    a->conf.sink.line(a->conf.sink.arg, level, line);
}

static void emit(struct agent *a, struct agent_effect effect)
{
    a->effect(a->arg, &effect);
}

static void say(struct agent *a, uint16_t op)
{
    (void)rv_link_say(a->link, op, a->port.object, rv_buf_slice(&a->scratch));
    rv_buf_clear(&a->scratch);
}

static struct rv_slice keep(struct rv_buf *b, struct rv_slice bytes)
{
    rv_buf_add(b, bytes.data, bytes.len);
    rv_assert(!b->bad);
    return bytes;
}

/* ---- results on their way to the manager ---- */

static void flush(struct agent *a, struct slot *s)
{
    s->flush_at = RV_NEVER;
    if (s->count == 0)
        return;
    if (s->chunk != NULL) {
        rv_agent_done_args_encode(&a->scratch, &(struct rv_agent_done_args){
                                                   .chunk = s->chunk->id,
                                                   .first = s->first,
                                                   .ns = s->ns,
                                                   .items = {s->count, rv_buf_slice(&s->values)}});
        say(a, RV_OP_agent_done);
    }
    rv_buf_clear(&s->values);
    s->count = 0;
    s->ns = 0;
}

/* A value that is too large for the message. */
static struct rv_items large_item(struct agent *a, struct rv_body *body, struct rv_slice refs,
                                  struct rv_body **frame)
{
    struct rv_item item = {.place = RV_BODY, .len = (uint32_t)body->len, .refs = refs};

    *frame = NULL;
    if (body->len > RV_LIMIT_BODY_BYTES) {
        item.place = RV_FRAGMENTS;
        item.body = ++a->link->last_body;
        rv_assert(rv_stream_add_fragments(&a->link->out, item.body, body));
    } else {
        *frame = body;
    }
    rv_buf_clear(&a->items);
    rv_item_write(&a->items, &item);
    return (struct rv_items){1, rv_buf_slice(&a->items)};
}

static void say_large(struct agent *a, const struct chunk_here *c, uint64_t index, uint64_t ns,
                      struct rv_body *body)
{
    struct rv_body *frame = NULL;
    struct rv_items items = large_item(a, body, rv_slice(NULL, 0), &frame);

    rv_agent_done_args_encode(
        &a->scratch,
        &(struct rv_agent_done_args){.chunk = c->id, .first = index, .ns = ns, .items = items});
    (void)rv_link_say_bodies(a->link, RV_OP_agent_done, a->port.object, rv_buf_slice(&a->scratch),
                             &frame, frame != NULL);
    rv_buf_clear(&a->scratch);
}

/* Text of a stranger becomes text of the protocol: no control characters, not too long. */
static struct rv_slice clean(struct rv_buf *out, struct rv_slice text)
{
    if (text.len >= TEXT_MAX)
        text.len = TEXT_MAX - 1;
    rv_buf_clear(out);
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.data[i];

        if (c < 0x20 || c >= 0x7f)
            c = c == '\n' || c == '\t' ? ' ' : '?';
        rv_buf_add(out, &c, 1);
    }
    return rv_buf_slice(out);
}

/* What its head says that the one value refers to. */
static struct rv_slice refs_of(const struct rv_items *items)
{
    struct rv_reader r = rv_reader(items->bytes);
    struct rv_item item = {0};

    if (items->count == 1)
        rv_item_read(&r, &item);
    return item.refs;
}

static void say_item(struct agent *a, const struct chunk_here *c, uint32_t pid,
                     const struct agent_told *told)
{
    struct rv_body *frame = NULL;
    struct rv_items items = told->items;
    struct rv_buf text = {0};
    struct rv_slice output = told->output;

    if (told->body != NULL)
        items = large_item(a, told->body, refs_of(&told->items), &frame);
    if (output.len > RV_LIMIT_OUTPUT_BYTES) {
        output.data += output.len - RV_LIMIT_OUTPUT_BYTES;
        output.len = RV_LIMIT_OUTPUT_BYTES;
    }
    rv_agent_item_args_encode(&a->scratch,
                              &(struct rv_agent_item_args){.chunk = c->id,
                                                           .index = told->index,
                                                           .status = told->status,
                                                           .pid = pid,
                                                           .ns = told->ns,
                                                           .code = told->code,
                                                           .text = clean(&text, told->text),
                                                           .output = output,
                                                           .items = items});
    (void)rv_link_say_bodies(a->link, RV_OP_agent_item, a->port.object, rv_buf_slice(&a->scratch),
                             &frame, frame != NULL);
    rv_buf_clear(&a->scratch);
    rv_buf_free(&text);
}

static void say_back(struct agent *a, const struct chunk_here *c, uint64_t from)
{
    rv_agent_back_args_encode(&a->scratch, &(struct rv_agent_back_args){c->id, from, 0});
    say(a, RV_OP_agent_back);
}

/* ---- chunks ---- */

static void drop_poison(struct chunk_here *c)
{
    struct poison *p = c->poisons;

    LL_DELETE(c->poisons, p);
    rv_buf_free(&p->bytes);
    free(p);
}

static void free_chunk(struct agent *a, struct chunk_here *c)
{
    HASH_DELETE(hh, a->by_id, c);
    DL_DELETE2(a->chunks, c, prev, next_here);
    for (size_t i = 0; i < c->bodies_len; i++)
        rv_body_drop(c->bodies[i]);
    free(c->bodies);
    rv_buf_free(&c->function);
    rv_buf_free(&c->items);
    while (c->poisons != NULL)
        drop_poison(c);
    free(c);
}

/* Forget the records of items before `next`. */
static void forget_until(struct chunk_here *c, uint64_t next)
{
    size_t at = 0;
    size_t bodies = 0;

    for (uint64_t i = c->first; i < next; i++) {
        bool inside = (c->items.data[at] >> 4 & 3) == RV_INLINE;

        bodies += !inside;
        at += rv_item_size(c->items.data + at);
    }
    rv_buf_drop(&c->items, at);
    for (size_t i = 0; i < bodies; i++)
        rv_body_drop(c->bodies[i]);
    c->bodies_len -= bodies;
    if (bodies > 0)
        memmove(c->bodies, c->bodies + bodies, c->bodies_len * sizeof(struct rv_body *));
    c->first = next;
}

/* Nothing more is to be run in it: it is over. */
static bool maybe_over(struct agent *a, struct chunk_here *c)
{
    if (c->next < c->end)
        return false;
    free_chunk(a, c);
    return true;
}

static void cut_off(struct agent *a, struct chunk_here *c, uint64_t end)
{
    const struct poison *p = NULL;

    LL_FOREACH (c->poisons, p)
        if (end <= p->index)
            end = p->index + 1;
    if (end >= c->end)
        return;
    if (end < c->next)
        end = c->next;
    say_back(a, c, end);
    c->end = end;
}

/* ---- jobs and envs ---- */

static void add_part(struct env *env, struct rv_slice bytes)
{
    keep(&env->bytes, bytes);
}

static struct env *new_env(struct agent *a, const struct rv_agent_job_args *j)
{
    struct env *env = rv_alloc(sizeof *env);
    const struct rv_slice parts[] = {j->digest,    j->initializer, j->initarg,
                                     j->arguments, j->environment, j->folder};
    struct rv_slice *const slices[] = {&env->is.digest,    &env->is.initializer, &env->is.initarg,
                                       &env->is.arguments, &env->is.environment, &env->is.folder};
    size_t at = 0;

    env->again_at = RV_NEVER;
    env->is.id = ++a->last_env;
    env->is.kind = j->kind;
    env->is.size = j->size;
    env->is.memory = j->memory;
    for (size_t i = 0; i < rv_countof(parts); i++)
        add_part(env, parts[i]);
    for (size_t i = 0; i < rv_countof(parts); i++) {
        *slices[i] = rv_slice(env->bytes.data + at, parts[i].len);
        at += parts[i].len;
    }
    DL_APPEND(a->envs, env);
    return env;
}

static bool same_env(const struct env *env, const struct rv_agent_job_args *j)
{
    const struct agent_env *is = &env->is;

    return is->kind == j->kind && is->memory == j->memory && is->size == j->size &&
           rv_slice_equal(is->digest, j->digest) &&
           rv_slice_equal(is->initializer, j->initializer) &&
           rv_slice_equal(is->initarg, j->initarg) && rv_slice_equal(is->arguments, j->arguments) &&
           rv_slice_equal(is->environment, j->environment) && rv_slice_equal(is->folder, j->folder);
}

static struct env *env_for(struct agent *a, const struct rv_agent_job_args *j)
{
    struct env *env = NULL;

    DL_FOREACH (a->envs, env) {
        if (env->state != ENV_FAILED && same_env(env, j))
            return env;
    }
    return new_env(a, j);
}

static void free_env(struct agent *a, struct env *env)
{
    DL_DELETE(a->envs, env);
    rv_buf_free(&env->bytes);
    free(env);
}

static bool env_in_use(const struct agent *a, const struct env *env)
{
    for (uint32_t i = 0; i < a->conf.slots; i++)
        if (a->slots[i].state != SLOT_EMPTY && a->slots[i].env == env)
            return true;
    return false;
}

static void on_job(struct agent *a, const struct rv_agent_job_args *args)
{
    struct job_here *job = NULL;

    HASH_FIND(hh, a->jobs, &args->job, sizeof args->job, job);
    if (job != NULL)
        return;
    job = rv_alloc(sizeof *job);
    job->id = args->job;
    job->timeout_ms = args->timeout_ms;
    job->maxtasks = args->maxtasks;
    job->detail = args->detail != 0;
    job->env = env_for(a, args);
    job->env->jobs++;
    HASH_ADD(hh, a->jobs, id, sizeof job->id, job);
    if (job->env->state == ENV_NEW) {
        job->env->state = ENV_LOADING;
        emit(a, (struct agent_effect){.type = AGENT_LOAD, .env = &job->env->is});
    }
}

static void stop(struct agent *a, uint32_t i)
{
    struct slot *s = &a->slots[i];

    if (s->state == SLOT_EMPTY || s->stopping)
        return;
    s->stopping = true;
    emit(a, (struct agent_effect){.type = AGENT_STOP, .env = &s->env->is, .slot = i});
}

static void drop_chunks_of(struct agent *a, const struct job_here *job)
{
    struct chunk_here *c = NULL;
    struct chunk_here *next = NULL;

    for (c = a->chunks; c != NULL; c = next) {
        next = c->next_here;
        if (c->job != job)
            continue;
        if (c->slot >= 0) {
            a->slots[c->slot].chunk = NULL;
            flush(a, &a->slots[c->slot]);
            stop(a, (uint32_t)c->slot);
        }
        free_chunk(a, c);
    }
}

static void on_gone(struct agent *a, rv_ns now, uint64_t id)
{
    struct job_here *job = NULL;

    HASH_FIND(hh, a->jobs, &id, sizeof id, job);
    if (job == NULL)
        return;
    drop_chunks_of(a, job);
    if (--job->env->jobs == 0)
        job->env->idle_at = now;
    HASH_DELETE(hh, a->jobs, job);
    free(job);
    a->dirty = true;
}

/* This host cannot run any job of the env. */
static void give_up_env(struct agent *a, struct env *env, const char *why)
{
    struct job_here *job = NULL;
    struct job_here *next = NULL;
    struct rv_buf text = {0};

    env->state = ENV_FAILED;
    snprintf(env->why, sizeof env->why, "%s", why);
    note(a, RV_WARN, "env.failed env=", env->is.id, why);
    HASH_ITER (hh, a->jobs, job, next) {
        if (job->env != env || job->cannot)
            continue;
        job->cannot = true;
        drop_chunks_of(a, job);
        rv_agent_cannot_args_encode(
            &a->scratch,
            &(struct rv_agent_cannot_args){job->id, clean(&text, rv_slice_str(env->why)), 0});
        say(a, RV_OP_agent_cannot);
    }
    rv_buf_free(&text);
}

/* ---- what the manager says ---- */

static bool take_bodies(struct agent *a, struct chunk_here *c, const struct rv_items *items,
                        const struct rv_slice *bodies, size_t bodies_len, size_t *frames)
{
    struct rv_reader r = rv_reader(items->bytes);
    bool whole = true;

    for (uint32_t i = 0; i < items->count; i++) {
        struct rv_body *body = NULL;
        struct rv_item item;

        rv_item_read(&r, &item);
        if (item.place == RV_INLINE)
            continue;
        if (!rv_item_receive(&item, &a->link->assembly, bodies, bodies_len, frames, &body))
            whole = false;
        if (body == NULL)
            continue;
        c->bodies = rv_realloc(c->bodies, (c->bodies_len + 1) * sizeof(struct rv_body *));
        c->bodies[c->bodies_len++] = body;
    }
    return whole;
}

static void on_chunk(struct agent *a, const struct rv_agent_chunk_args *args,
                     const struct rv_slice *bodies, size_t bodies_len, size_t *frames)
{
    struct chunk_here *c = rv_alloc(sizeof *c);

    HASH_FIND(hh, a->jobs, &args->job, sizeof args->job, c->job);
    c->id = args->chunk;
    c->first = c->next = args->first;
    c->end = args->first + args->items.count;
    c->run = args->run;
    c->slot = -1;
    keep(&c->function, args->function);
    keep(&c->items, args->items.bytes);
    HASH_ADD(hh, a->by_id, id, sizeof c->id, c);
    DL_APPEND2(a->chunks, c, prev, next_here);
    a->dirty = true;
    if (!take_bodies(a, c, &args->items, bodies, bodies_len, frames) || c->job == NULL ||
        a->draining) {
        say_back(a, c, c->next);
        free_chunk(a, c);
    } else if (c->job->env->state == ENV_FAILED) {
        /* It was said that it cannot; the manager has taken its chunks by then. */
        free_chunk(a, c);
    }
}

static void on_trim(struct agent *a, const struct rv_agent_trim_args *args)
{
    struct chunk_here *c = NULL;

    HASH_FIND(hh, a->by_id, &args->chunk, sizeof args->chunk, c);
    if (c == NULL || args->end >= c->end)
        return;
    if (c->slot < 0) {
        cut_off(a, c, args->end);
        (void)maybe_over(a, c);
    } else if (!a->slots[c->slot].stopping) {
        emit(a, (struct agent_effect){.type = AGENT_TRIM,
                                      .env = &c->job->env->is,
                                      .slot = (uint32_t)c->slot,
                                      .end = args->end});
    }
}

static void on_push(struct rv_port *port, rv_ns now, const struct rv_push *push,
                    const struct rv_slice *bodies, size_t bodies_len, size_t *frames)
{
    struct agent *a = (struct agent *)port;
    struct rv_agent_job_args job;
    struct rv_agent_chunk_args chunk;
    struct rv_agent_trim_args trim;
    struct rv_agent_gone_args gone;

    if (push->op == RV_OP_agent_job && rv_agent_job_args_decode(&job, push->args))
        on_job(a, &job);
    else if (push->op == RV_OP_agent_chunk && rv_agent_chunk_args_decode(&chunk, push->args))
        on_chunk(a, &chunk, bodies, bodies_len, frames);
    else if (push->op == RV_OP_agent_trim && rv_agent_trim_args_decode(&trim, push->args))
        on_trim(a, &trim);
    else if (push->op == RV_OP_agent_gone && rv_agent_gone_args_decode(&gone, push->args))
        on_gone(a, now, gone.job);
}

static void on_tick(struct rv_port *port, rv_ns now)
{
    (void)port;
    (void)now;
}

static void on_dead(struct rv_port *port)
{
    (void)port;
}

static const struct rv_port_ops port_ops = {.push = on_push, .tick = on_tick, .dead = on_dead};

static void opened(struct rv_link *link, struct rv_request *call, rv_ns now,
                   const struct rv_outcome *outcome)
{
    struct agent *a = call->arg;
    struct rv_agent_open_result result;

    (void)now;
    if (outcome->error != REEVE_OK || !rv_agent_open_result_decode(&result, outcome->result)) {
        char why[WHY_MAX];

        snprintf(why, sizeof why, "%.*s", (int)(outcome->text.len < 250 ? outcome->text.len : 250),
                 outcome->text.len == 0 ? "" : (const char *)outcome->text.data);
        rv_link_die(link, now, outcome->error == REEVE_OK ? REEVE_EPROTO : outcome->error, why);
        return;
    }
    a->port.object = result.agent;
    a->opened = rv_link_add_port(link, &a->port);
    rv_assert(a->opened);
    note(a, RV_INFO, "agent.ready agent=", result.agent, NULL);
}

static void open_agent(struct agent *a)
{
    struct rv_request *call = NULL;

    rv_agent_open_args_encode(&a->scratch, &(struct rv_agent_open_args){
                                               .name = rv_slice_str(a->conf.name),
                                               .host = a->conf.host,
                                               .incarnation = a->conf.incarnation,
                                               .slots = a->conf.slots,
                                               .labels = rv_slice_str(a->conf.labels),
                                               .machine = rv_slice_str(a->conf.machine),
                                           });
    call =
        rv_link_call(a->link, RV_OP_agent_open, 0, UINT32_MAX, rv_buf_slice(&a->scratch), NULL, 0);
    rv_buf_clear(&a->scratch);
    if (call == NULL)
        return;
    a->asked = true;
    call->hook = opened;
    call->arg = a;
    call->abandoned = true; /* the link frees it */
}

/* ---- giving work to slots ---- */

/* All of the chunk, but nothing that is known to end a process, and no more items than the process
 * may have; what is left waits for another one. */
static uint64_t end_of_gift(const struct slot *s, const struct chunk_here *c)
{
    uint64_t end = c->poisons != NULL ? c->poisons->index : c->end;
    uint32_t most = c->job->maxtasks;

    return most > 0 && end - c->next > most - s->tasks ? c->next + most - s->tasks : end;
}

static void give(struct agent *a, rv_ns now, uint32_t i, struct chunk_here *c)
{
    struct slot *s = &a->slots[i];
    struct agent_work work;

    forget_until(c, c->next);
    s->gift_end = end_of_gift(s, c);
    work = (struct agent_work){
        .chunk = c->id,
        .job = c->job->id,
        .first = c->next,
        .count = (uint32_t)(s->gift_end - c->next),
        .run = c->run,
        .detail = c->job->detail,
        .function = rv_buf_slice(&c->function),
        .items = {(uint32_t)(c->end - c->next), rv_buf_slice(&c->items)},
        .bodies = c->bodies,
        .bodies_len = c->bodies_len,
    };
    c->slot = (int)i;
    s->state = SLOT_BUSY;
    s->chunk = c;
    s->tasks += work.count;
    s->late = false;
    s->look_at = c->job->timeout_ms == 0 ? RV_NEVER : rv_after_ms(now, c->job->timeout_ms);
    emit(a,
         (struct agent_effect){.type = AGENT_GIVE, .env = &s->env->is, .slot = i, .work = &work});
}

static struct chunk_here *waiting_for(const struct agent *a, const struct env *env)
{
    struct chunk_here *c = NULL;

    for (c = a->chunks; c != NULL; c = c->next_here)
        if (c->slot < 0 && c->job->env == env && env->state == ENV_LOADED)
            return c;
    return NULL;
}

static uint32_t waiting_count(const struct agent *a, const struct env *env)
{
    const struct chunk_here *c = NULL;
    uint32_t n = 0;

    for (c = a->chunks; c != NULL && n < a->conf.slots; c = c->next_here)
        n += c->slot < 0 && c->job->env == env;
    return n;
}

static uint32_t starting_count(const struct agent *a, const struct env *env)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < a->conf.slots; i++)
        n += a->slots[i].state == SLOT_STARTING && !a->slots[i].stopping && a->slots[i].env == env;
    return n;
}

static void start(struct agent *a, uint32_t i, struct env *env)
{
    struct slot *s = &a->slots[i];

    s->state = SLOT_STARTING;
    s->env = env;
    s->attempt = env->attempt;
    s->tasks = 0;
    s->stopping = s->late = false;
    s->look_at = RV_NEVER;
    emit(a, (struct agent_effect){.type = AGENT_START, .env = &env->is, .slot = i});
}

/* A slot for the env: an empty one, else an idle one of an env that nobody waits for, which is
 * stopped and becomes empty soon. */
static void find_slot(struct agent *a, struct env *env)
{
    for (uint32_t i = 0; i < a->conf.slots; i++)
        if (a->slots[i].state == SLOT_EMPTY) {
            start(a, i, env);
            return;
        }
    for (uint32_t i = 0; i < a->conf.slots; i++)
        if (a->slots[i].state == SLOT_IDLE && !a->slots[i].stopping && a->slots[i].env != env &&
            waiting_for(a, a->slots[i].env) == NULL) {
            stop(a, i);
            return;
        }
}

static void schedule(struct agent *a, rv_ns now)
{
    struct env *env = NULL;

    for (uint32_t i = 0; i < a->conf.slots; i++) {
        struct slot *s = &a->slots[i];
        struct chunk_here *c = NULL;

        if (s->state != SLOT_IDLE || s->stopping)
            continue;
        c = waiting_for(a, s->env);
        if (c != NULL && c->job->maxtasks > 0 && s->tasks >= c->job->maxtasks)
            stop(a, i);
        else if (c != NULL)
            give(a, now, i, c);
    }
    DL_FOREACH (a->envs, env) {
        bool may = env->state == ENV_LOADED && env->again_at == RV_NEVER;
        uint32_t wanted = may ? waiting_count(a, env) : 0;
        uint32_t coming = starting_count(a, env);

        for (; coming < wanted; coming++)
            find_slot(a, env);
    }
}

/* ---- what the shell says ---- */

static struct env *env_of(const struct agent *a, uint64_t id)
{
    struct env *env = NULL;

    DL_SEARCH_SCALAR(a->envs, env, is.id, id);
    return env;
}

/* What may go well the next time did not. False when it has been tried often enough. */
static bool try_again(struct agent *a, rv_ns now, struct env *env, const char *why)
{
    char words[WHY_MAX];

    if (++env->failures < START_TRIES) {
        env->attempt++;
        env->again_at = rv_after_ms(now, (uint32_t)START_AGAIN_MS << (env->failures - 1));
        note(a, RV_WARN, "env.again env=", env->is.id, why);
        return true;
    }
    snprintf(words, sizeof words, "%.220s (tried %d times)", why, START_TRIES);
    give_up_env(a, env, words);
    return false;
}

void agent_on_loaded(struct agent *a, rv_ns now, uint64_t id, const char *why, bool again)
{
    struct env *env = env_of(a, id);

    if (env == NULL || env->state != ENV_LOADING)
        return;
    if (why != NULL && again) {
        if (try_again(a, now, env, why))
            env->state = ENV_AGAIN;
        return;
    }
    if (why != NULL) {
        give_up_env(a, env, why);
        return;
    }
    env->state = ENV_LOADED;
    a->dirty = true;
}

void agent_on_ready(struct agent *a, rv_ns now, uint32_t slot, uint32_t pid)
{
    struct slot *s = &a->slots[slot];

    (void)now;
    if (s->state != SLOT_STARTING)
        return;
    s->state = SLOT_IDLE;
    s->pid = pid;
    s->env->failures = 0;
    a->dirty = true;
}

void agent_on_done(struct agent *a, rv_ns now, uint32_t slot, uint64_t first, uint64_t ns,
                   const struct rv_items *items, struct rv_body *const *bodies, size_t bodies_len)
{
    struct slot *s = &a->slots[slot];
    struct chunk_here *c = s->chunk;
    struct rv_reader r = rv_reader(items->bytes);
    size_t body = 0;

    if (c == NULL || first != c->next || items->count > c->end - first)
        return; /* its job is over */
    c->stumbles = 0;
    if (bodies_len == 0) {
        if (s->count == 0) {
            s->first = first;
            s->flush_at = rv_after_ms(now, RV_LIMIT_RESULT_MS);
        }
        keep(&s->values, items->bytes);
        s->count += items->count;
        s->ns += ns;
        c->next += items->count;
        if (s->values.len >= RV_LIMIT_RESULT_BATCH_BYTES || s->count >= RV_LIMIT_CHUNK_ITEMS / 2)
            flush(a, s);
        return;
    }
    flush(a, s);
    for (uint32_t i = 0; i < items->count; i++) {
        const uint8_t *before = r.data;
        struct rv_item item;

        rv_item_read(&r, &item);
        if (item.place != RV_INLINE && body < bodies_len) {
            flush(a, s);
            say_large(a, c, c->next, ns / items->count, bodies[body++]);
        } else {
            s->first = s->count == 0 ? c->next : s->first;
            s->count++;
            s->ns += ns / items->count;
            keep(&s->values, rv_slice(before, (size_t)(r.data - before)));
        }
        c->next++;
    }
    flush(a, s);
}

void agent_on_item(struct agent *a, rv_ns now, uint32_t slot, const struct agent_told *told)
{
    struct slot *s = &a->slots[slot];
    struct chunk_here *c = s->chunk;

    (void)now;
    if (c == NULL || told->index != c->next || told->index >= c->end)
        return;
    flush(a, s);
    c->stumbles = 0;
    say_item(a, c, s->pid, told);
    c->next++;
}

/* What is known of items that ended their runners, as far as it is their turn. */
static void say_poisons(struct agent *a, struct chunk_here *c)
{
    while (c->poisons != NULL && c->next == c->poisons->index) {
        c->poisons->told.index = c->next++;
        say_item(a, c, c->poisons->pid, &c->poisons->told);
        drop_poison(c);
    }
}

/* The slot has no chunk any more; what is left of it waits again. */
static void let_go(struct agent *a, struct slot *s)
{
    struct chunk_here *c = s->chunk;

    flush(a, s);
    s->chunk = NULL;
    s->look_at = RV_NEVER;
    a->dirty = true;
    if (c == NULL)
        return;
    c->slot = -1;
    say_poisons(a, c);
    if (maybe_over(a, c))
        return;
    if (a->draining) {
        say_back(a, c, c->next);
        free_chunk(a, c);
    }
}

void agent_on_trimmed(struct agent *a, rv_ns now, uint32_t slot, uint64_t end)
{
    struct slot *s = &a->slots[slot];

    (void)now;
    if (s->chunk == NULL || end <= s->chunk->next)
        return;
    flush(a, s);
    cut_off(a, s->chunk, end);
}

void agent_on_end(struct agent *a, rv_ns now, uint32_t slot, uint64_t end)
{
    struct slot *s = &a->slots[slot];
    struct chunk_here *c = s->chunk;

    (void)now;
    if (s->state != SLOT_BUSY)
        return;
    s->state = SLOT_IDLE;
    flush(a, s);
    /* It stopped early because it was asked to; what it did not begin goes back. */
    if (c != NULL && c->poisons == NULL && end == c->next && end < c->end && end < s->gift_end)
        cut_off(a, c, end);
    if (end < s->gift_end)
        s->tasks -= (uint32_t)(s->gift_end - end);
    let_go(a, s);
    agent_step(a, now);
}

static void remember(struct chunk_here *c, uint32_t pid, uint64_t index,
                     const struct agent_told *told)
{
    struct poison *p = rv_alloc(sizeof *p);

    rv_assert(c->poisons == NULL || index < c->poisons->index);
    *p = (struct poison){.index = index, .pid = pid, .told = *told};
    p->told.items = (struct rv_items){0};
    p->told.body = NULL;
    keep(&p->bytes, told->text);
    keep(&p->bytes, told->output);
    p->told.text = rv_slice(p->bytes.data, told->text.len);
    p->told.output = rv_slice(p->bytes.data + told->text.len, told->output.len);
    LL_PREPEND(c->poisons, p);
}

/* Its runner ended in the middle of a chunk. */
static void blame(struct agent *a, struct slot *s, uint64_t started, struct agent_told told)
{
    struct chunk_here *c = s->chunk;

    flush(a, s);
    if (s->late) {
        told.status = RV_RAN_TIMEOUT;
        told.text = rv_slice_str("it took longer than it might, and was killed");
    }
    if (started == UINT64_MAX && ++c->stumbles < START_TRIES)
        return;
    if (started == UINT64_MAX || started < c->next)
        started = c->next;
    if (started < c->end && started < s->gift_end)
        remember(c, s->pid, started, &told);
}

/* It never became ready. */
static void failed_start(struct agent *a, rv_ns now, const struct slot *s, bool init,
                         const struct agent_told *told)
{
    struct rv_slice text = told->text;
    char why[WHY_MAX];

    if (s->env->state != ENV_LOADED || (!init && s->attempt != s->env->attempt))
        return;
    if (text.len == 0)
        text = rv_slice_str("its runners end before they begin");
    snprintf(why, sizeof why, "%.*s", (int)(text.len < 250 ? text.len : 250),
             (const char *)text.data);
    if (init)
        give_up_env(a, s->env, why);
    else
        (void)try_again(a, now, s->env, why);
}

void agent_on_ended(struct agent *a, rv_ns now, uint32_t slot, uint64_t started, bool init,
                    const struct agent_told *told)
{
    struct slot *s = &a->slots[slot];
    bool wanted = s->stopping && !s->late;

    if (s->state == SLOT_EMPTY)
        return;
    if (s->state == SLOT_STARTING && !s->stopping)
        failed_start(a, now, s, init, told);
    if (s->chunk != NULL && !wanted)
        blame(a, s, started, *told);
    s->state = SLOT_EMPTY;
    s->stopping = s->late = false;
    s->pid = 0;
    let_go(a, s);
    if (s->env->jobs == 0)
        s->env->idle_at = now;
    agent_step(a, now);
}

void agent_on_begun(struct agent *a, rv_ns now, uint32_t slot, uint64_t index, rv_ns at)
{
    struct slot *s = &a->slots[slot];
    uint32_t ms = s->chunk == NULL ? 0 : s->chunk->job->timeout_ms;

    if (ms == 0)
        return;
    s->look_at = rv_after_ms(index == UINT64_MAX ? now : at, ms);
    if (s->look_at > now)
        return;
    s->look_at = RV_NEVER;
    s->late = true;
    stop(a, slot);
}

/* ---- time ---- */

static void look(struct agent *a, rv_ns now)
{
    for (uint32_t i = 0; i < a->conf.slots; i++) {
        struct slot *s = &a->slots[i];

        if (s->flush_at <= now)
            flush(a, s);
        if (s->state == SLOT_BUSY && !s->stopping && s->look_at <= now) {
            s->look_at = RV_NEVER;
            emit(a, (struct agent_effect){.type = AGENT_LOOK, .env = &s->env->is, .slot = i});
        }
    }
}

/* What waited for another try has it now. */
static void begin_again(struct agent *a, rv_ns now)
{
    struct env *env = NULL;

    DL_FOREACH (a->envs, env) {
        if (now < env->again_at)
            continue;
        env->again_at = RV_NEVER;
        a->dirty = true;
        if (env->state != ENV_AGAIN)
            continue;
        env->state = ENV_LOADING;
        emit(a, (struct agent_effect){.type = AGENT_UNLOAD, .env = &env->is});
        emit(a, (struct agent_effect){.type = AGENT_LOAD, .env = &env->is});
    }
}

/* Envs that no job has needed for a while end, with their runners. */
static void retire(struct agent *a, rv_ns now)
{
    struct env *env = NULL;
    struct env *next = NULL;

    DL_FOREACH_SAFE (a->envs, env, next) {
        if (env->jobs > 0 || env->state == ENV_LOADING ||
            now < rv_after_ms(env->idle_at, ENV_IDLE_MS))
            continue;
        for (uint32_t i = 0; i < a->conf.slots; i++)
            if (a->slots[i].state != SLOT_EMPTY && a->slots[i].env == env)
                stop(a, i);
        if (env_in_use(a, env))
            continue;
        emit(a, (struct agent_effect){.type = AGENT_UNLOAD, .env = &env->is});
        free_env(a, env);
    }
}

static void hand_back(struct agent *a)
{
    struct chunk_here *c = NULL;
    struct chunk_here *next = NULL;

    for (c = a->chunks; c != NULL; c = next) {
        next = c->next_here;
        if (c->slot >= 0)
            continue;
        say_back(a, c, c->next);
        free_chunk(a, c);
    }
}

static void maybe_leave(struct agent *a)
{
    if (!a->draining || a->left || agent_busy(a) > 0 ||
        (a->link->state != RV_LINK_DEAD && !rv_link_flushed(a->link)))
        return;
    a->left = true;
    emit(a, (struct agent_effect){.type = AGENT_LEAVE});
}

void agent_step(struct agent *a, rv_ns now)
{
    if (!a->asked && a->link->state == RV_LINK_READY)
        open_agent(a);
    look(a, now);
    begin_again(a, now);
    if (a->draining && a->opened && !a->told_draining) {
        a->told_draining = true;
        rv_agent_state_args_encode(&a->scratch, &(struct rv_agent_state_args){a->conf.slots, 1, 0});
        say(a, RV_OP_agent_state);
    }
    if (a->draining) {
        hand_back(a);
        maybe_leave(a);
    } else if (a->dirty) {
        a->dirty = false;
        schedule(a, now);
    }
    retire(a, now);
}

rv_ns agent_deadline(const struct agent *a)
{
    const struct env *env = NULL;
    rv_ns next = RV_NEVER;

    for (uint32_t i = 0; i < a->conf.slots; i++) {
        const struct slot *s = &a->slots[i];

        if (s->flush_at < next)
            next = s->flush_at;
        if (s->state == SLOT_BUSY && !s->stopping && s->look_at < next)
            next = s->look_at;
    }
    DL_FOREACH (a->envs, env) {
        if (env->again_at < next)
            next = env->again_at;
        if (env->jobs == 0 && env->state != ENV_LOADING && !env_in_use(a, env) &&
            rv_after_ms(env->idle_at, ENV_IDLE_MS) < next)
            next = rv_after_ms(env->idle_at, ENV_IDLE_MS);
        if (env->jobs == 0 && env->state != ENV_LOADING && env_in_use(a, env)) {
            bool stopping = true;

            for (uint32_t i = 0; i < a->conf.slots; i++)
                if (a->slots[i].state != SLOT_EMPTY && a->slots[i].env == env)
                    stopping = stopping && a->slots[i].stopping;
            if (!stopping && rv_after_ms(env->idle_at, ENV_IDLE_MS) < next)
                next = rv_after_ms(env->idle_at, ENV_IDLE_MS);
        }
    }
    return next;
}

void agent_drain(struct agent *a, rv_ns now, bool now_too)
{
    a->draining = true;
    for (uint32_t i = 0; now_too && i < a->conf.slots; i++)
        stop(a, i);
    agent_step(a, now);
}

uint64_t agent_job_of(const struct agent *a, uint64_t env)
{
    const struct job_here *job = NULL;

    for (job = a->jobs; job != NULL; job = job->hh.next)
        if (job->env->is.id == env)
            return job->id;
    return 0;
}

uint32_t agent_busy(const struct agent *a)
{
    uint32_t busy = 0;

    for (uint32_t i = 0; i < a->conf.slots; i++)
        busy += a->slots[i].state == SLOT_BUSY;
    return busy;
}

uint32_t agent_ahead(const struct agent *a)
{
    uint32_t here = HASH_COUNT(a->by_id);
    uint32_t busy = agent_busy(a);

    return here > busy ? here - busy : 0;
}

/* ---- life ---- */

struct agent *agent_new(const struct agent_conf *conf, struct rv_link *link,
                        void (*effect)(void *arg, const struct agent_effect *effect), void *arg)
{
    struct agent *a = rv_alloc(sizeof *a);

    a->port = (struct rv_port){.ops = &port_ops, .tick_at = RV_NEVER};
    a->conf = *conf;
    a->link = link;
    a->effect = effect;
    a->arg = arg;
    a->slots = rv_alloc((conf->slots == 0 ? 1 : conf->slots) * sizeof *a->slots);
    for (uint32_t i = 0; i < conf->slots; i++)
        a->slots[i].flush_at = a->slots[i].look_at = RV_NEVER;
    return a;
}

void agent_free(struct agent **agent)
{
    struct agent *a = *agent;
    struct job_here *job = NULL;
    struct job_here *next = NULL;

    if (a == NULL)
        return;
    if (a->opened)
        rv_link_drop_port(a->link, &a->port);
    while (a->chunks != NULL)
        free_chunk(a, a->chunks);
    HASH_ITER (hh, a->jobs, job, next) {
        HASH_DELETE(hh, a->jobs, job);
        free(job);
    }
    while (a->envs != NULL)
        free_env(a, a->envs);
    for (uint32_t i = 0; i < a->conf.slots; i++)
        rv_buf_free(&a->slots[i].values);
    free(a->slots);
    rv_buf_free(&a->scratch);
    rv_buf_free(&a->items);
    free(a);
    *agent = NULL;
}
