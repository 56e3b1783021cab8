/* sim_agent.c -- the shell of an agent and its runners, imitated: items take time and have fates. */

#include "tests/lib/sim.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    LOAD_MS = 5,  /* until a program is here */
    START_MS = 2, /* until a runner is ready */
    STOP_MS = 1,  /* until a stopped one is gone */
};

struct runner {
    struct sim_event event; /* first */
    struct sim_client *client;
    uint32_t slot;
    bool alive, ready, stopping;
    bool busy;
    uint64_t chunk, index, end, unsaid;
    uint32_t run;
    rv_ns began_at;
};

struct load {
    struct sim_event event; /* first */
    struct sim_client *client;
    uint64_t env;
    bool killed;
};

struct sim_agent {
    struct agent *core;
    struct runner runners[SIM_SLOTS];
    struct load loads[8];
    char name[16];
    bool draining;
};

static rv_ns takes(struct sim *s, const struct sim_client *c, uint64_t index)
{
    return s->play.takes == NULL ? 10 * RV_MS : s->play.takes(s, c, index);
}

static enum sim_fate fate(struct sim *s, const struct runner *r)
{
    return s->play.fate == NULL ? SIM_RUNS : s->play.fate(s, r->index, r->run);
}

static void poke(struct sim *s, struct sim_client *c)
{
    if (c->alive && !c->stopped)
        sim_at(s, &c->wake, s->now);
}

static void begin_item(struct sim *s, struct runner *r)
{
    r->began_at = s->now;
    if (s->play.tell)
        sim_say(s, "item.begin agent=%d item=%llu run=%u", r->client->number,
                (unsigned long long)r->index, r->run);
    if (fate(s, r) == SIM_HANGS)
        sim_never(s, &r->event);
    else
        sim_at(s, &r->event, s->now + takes(s, r->client, r->index));
}

/* Of all items before `end` that nothing was said of. */
static void say_values(struct sim *s, struct runner *r, uint64_t end)
{
    struct rv_buf b = {0};
    uint64_t first = r->unsaid;

    for (; r->unsaid < end; r->unsaid++) {
        uint8_t value[8];

        rv_set_number(value, r->unsaid, 8);
        rv_item_write(&b, &(struct rv_item){.len = 8, .bytes = rv_slice(value, 8)});
    }
    if (end > first)
        agent_on_done(r->client->agent->core, s->now, r->slot, first,
                      (uint64_t)(s->now - r->began_at),
                      &(struct rv_items){(uint32_t)(end - first), rv_buf_slice(&b)}, NULL, 0);
    rv_buf_free(&b);
}

static void gone(struct sim *s, struct runner *r, uint8_t status, const char *text)
{
    struct agent_told told = {.status = status, .code = -11, .text = rv_slice_str(text)};
    uint64_t started = r->busy ? r->index : UINT64_MAX;
    bool init = !r->ready && s->play.bad_initializer;

    r->alive = r->ready = r->busy = r->stopping = false;
    sim_never(s, &r->event);
    s->crashes += status == RV_RAN_CRASHED;
    agent_on_ended(r->client->agent->core, s->now, r->slot, started, init, &told);
}

static void item_over(struct sim *s, struct runner *r)
{
    struct agent *core = r->client->agent->core;
    uint32_t slot = r->slot;

    switch (fate(s, r)) {
    case SIM_CRASHES:
        gone(s, r, RV_RAN_CRASHED, "SIGSEGV");
        return;
    case SIM_KILLS:
        sim_client_kill(s, r->client->number, SIM_DEATH_GONE);
        return;
    case SIM_FAILS:
        say_values(s, r, r->index);
        r->unsaid++;
        agent_on_item(core, s->now, slot,
                      &(struct agent_told){.index = r->index,
                                           .status = RV_RAN_FAILED,
                                           .ns = (uint64_t)(s->now - r->began_at),
                                           .text = rv_slice_str("no")});
        break;
    default:
        if (!s->play.keeps)
            say_values(s, r, r->index + 1);
    }
    r->index++;
    if (r->index < r->end) {
        begin_item(s, r);
        return;
    }
    say_values(s, r, r->end);
    r->busy = false;
    agent_on_end(core, s->now, slot, r->end);
}

static void fire(struct sim *s, void *arg)
{
    struct runner *r = arg;
    struct sim_client *c = r->client;

    if (c->agent == NULL || !r->alive)
        return;
    if (c->stopped) {
        sim_at(s, &r->event, s->now + 10 * RV_MS);
        return;
    }
    if (r->stopping) {
        gone(s, r, RV_RAN_CRASHED, "SIGKILL");
    } else if (!r->ready && s->play.bad_initializer) {
        gone(s, r, RV_RAN_NEVER, "the initializer failed: no");
    } else if (!r->ready && s->play.unready > 0) {
        s->play.unready--;
        gone(s, r, RV_RAN_CRASHED, "SIGSEGV in prepare");
    } else if (!r->ready) {
        r->ready = true;
        agent_on_ready(c->agent->core, s->now, r->slot, 100 + r->slot);
    } else if (r->busy) {
        item_over(s, r);
    }
    poke(s, c);
}

static void loaded(struct sim *s, void *arg)
{
    struct load *l = arg;
    struct sim_client *c = l->client;
    uint64_t env = l->env;
    bool early = l->killed || s->play.early > 0;

    if (c->agent == NULL)
        return;
    l->env = 0;
    s->play.early -= s->play.early > 0;
    agent_on_loaded(c->agent->core, s->now, env, early ? "SIGSEGV ended it" : s->play.cannot,
                    early);
    poke(s, c);
}

static void load(struct sim *s, struct sim_client *c, uint64_t env)
{
    struct load *l = c->agent->loads;

    while (l->env != 0)
        l++;
    *l = (struct load){.event = {.fire = loaded, .arg = l}, .client = c, .env = env};
    sim_at(s, &l->event, s->now + LOAD_MS * RV_MS);
}

static void give(struct sim *s, struct runner *r, const struct agent_work *work)
{
    rv_assert(r->ready && !r->busy && work->count > 0);
    r->busy = true;
    r->chunk = work->chunk;
    r->index = r->unsaid = work->first;
    r->end = work->first + work->count;
    r->run = work->run;
    begin_item(s, r);
}

static void obey(void *arg, const struct agent_effect *e)
{
    struct sim_client *c = arg;
    struct sim *s = c->sim;
    struct runner *r = &c->agent->runners[e->slot];

    switch (e->type) {
    case AGENT_LOAD:
        load(s, c, e->env->id);
        break;
    case AGENT_UNLOAD:
        break;
    case AGENT_START:
        rv_assert(!r->alive);
        *r = (struct runner){
            .event = {.fire = fire, .arg = r}, .client = c, .slot = e->slot, .alive = true};
        sim_at(s, &r->event, s->now + START_MS * RV_MS);
        break;
    case AGENT_GIVE:
        give(s, r, e->work);
        break;
    case AGENT_TRIM:
        if (r->busy && e->end < r->end) {
            r->end = e->end > r->index + 1 ? e->end : r->index + 1;
            agent_on_trimmed(c->agent->core, s->now, e->slot, r->end);
        }
        break;
    case AGENT_LOOK:
        agent_on_begun(c->agent->core, s->now, e->slot, r->busy ? r->index : UINT64_MAX,
                       r->began_at);
        break;
    case AGENT_STOP:
        r->stopping = true;
        sim_at(s, &r->event, s->now + STOP_MS * RV_MS);
        break;
    case AGENT_LEAVE:
        sim_say(s, "agent.leave agent=%d", c->number);
        break;
    }
}

void sim_agent_begin(struct sim *s, struct sim_client *c)
{
    struct sim_agent *a = rv_alloc(sizeof *a);
    struct agent_conf conf = {.name = a->name,
                              .labels = c->labels == NULL ? "" : c->labels,
                              .machine = "sim",
                              .incarnation = c->lives,
                              .slots = c->slots};

    rv_assert(c->slots <= SIM_SLOTS);
    snprintf(a->name, sizeof a->name, "a%d", c->number);
    rv_set_number(conf.host.bytes, c->machine == 0 ? (uint64_t)c->number : c->machine, 8);
    c->agent = a;
    a->core = agent_new(&conf, &c->link, obey, c);
    (void)s;
}

void sim_agent_step(struct sim *s, struct sim_client *c)
{
    agent_step(c->agent->core, s->now);
}

rv_ns sim_agent_deadline(const struct sim_client *c)
{
    return agent_deadline(c->agent->core);
}

void sim_agent_end(struct sim *s, struct sim_client *c)
{
    struct sim_agent *a = c->agent;

    if (a == NULL)
        return;
    for (size_t i = 0; i < SIM_SLOTS; i++)
        sim_never(s, &a->runners[i].event);
    for (size_t i = 0; i < rv_countof(a->loads); i++)
        sim_never(s, &a->loads[i].event);
    agent_free(&a->core);
    free(a);
    c->agent = NULL;
}

void sim_agent_start(struct sim *s, int client, uint32_t slots)
{
    struct sim_client *c = &s->clients[client];

    c->slots = slots;
    sim_client_start(s, client);
    while (c->link.state != RV_LINK_READY || c->link.ports == NULL)
        rv_assert(sim_step(s));
    sim_run(s, 20);
    sim_mark(s);
}

void sim_agent_drain(struct sim *s, int client)
{
    agent_drain(s->clients[client].agent->core, s->now, false);
    poke(s, &s->clients[client]);
}

void sim_runner_kill(struct sim *s, int client, uint32_t slot)
{
    struct sim_client *c = &s->clients[client];

    if (c->agent == NULL || !c->agent->runners[slot].alive || c->stopped)
        return;
    gone(s, &c->agent->runners[slot], RV_RAN_CRASHED, "SIGKILL");
    poke(s, c);
}

void sim_zygote_kill(struct sim *s, int client)
{
    struct sim_client *c = &s->clients[client];
    bool alive[SIM_SLOTS];

    if (c->agent == NULL || c->stopped)
        return;
    for (size_t i = 0; i < rv_countof(c->agent->loads); i++)
        c->agent->loads[i].killed = true; /* those that are not in use are overwritten */
    for (size_t i = 0; i < SIM_SLOTS; i++)
        alive[i] = c->agent->runners[i].alive;
    for (uint32_t i = 0; i < SIM_SLOTS; i++)
        if (alive[i])
            gone(s, &c->agent->runners[i], RV_RAN_CRASHED, "SIGKILL");
    poke(s, c);
}

uint32_t sim_busy(const struct sim *s, int client)
{
    return agent_busy(s->clients[client].agent->core);
}

uint32_t sim_starting(const struct sim *s, int client)
{
    const struct sim_agent *a = s->clients[client].agent;
    uint32_t n = 0;

    for (size_t i = 0; a != NULL && i < SIM_SLOTS; i++)
        n += a->runners[i].alive && !a->runners[i].ready;
    return n;
}
