#ifndef AGENT_H
#define AGENT_H

/*
 * agent.h -- the agent of a host: slots, chunks, what to start and stop. One step a call, no I/O.
 *
 *   manager --- push: job, chunk, trim, gone --> agent --- effects: load, start, give, trim, stop
 *   manager <-- done, item, back, cannot ------- agent <-- loaded, started, results, ended --- shell
 *
 *   a slot:   EMPTY --start--> STARTING --ready--> IDLE --give--> BUSY --end of chunk--> IDLE
 *               ^                  |                |              |
 *               '----- ended ------'---- ended -----'--- ended ----'   (the item it was in is blamed)
 *
 * A runner serves one job after the other as long as they agree in program, arguments,
 * environment, folder and initializer (an `env`); a slot whose runner is of another env is
 * stopped and started anew. A slot runs one item at a time.
 */

#include "common/wire/link.h"

struct agent;

struct agent_conf {
    const char *name;    /* of the agent, for people; borrowed for its life */
    const char *labels;  /* words, separated by spaces; borrowed */
    const char *machine; /* as "x86_64 glibc 2.36"; borrowed */
    struct rv_id host;
    uint64_t incarnation; /* larger in each life of the agent of this host and name */
    uint32_t slots;
    struct rv_sink sink;
};

/* What a runner needs before its first item. Borrowed from the agent while it has the env. */
struct agent_env {
    uint64_t id;  /* never reused; names the env in effects and answers */
    uint8_t kind; /* enum rv_code */
    struct rv_slice digest;
    uint64_t size; /* of the program */
    struct rv_slice initializer, initarg, arguments, environment, folder;
    uint64_t memory; /* bytes of address space of a runner; 0: no limit */
};

/* A chunk for a runner. Borrowed during the effect. */
struct agent_work {
    uint64_t chunk, job;
    uint64_t first;
    uint32_t count;
    uint32_t run;
    bool detail;
    struct rv_slice function;
    struct rv_items items;         /* inline ones stand in it, as on the wire */
    struct rv_body *const *bodies; /* of those that are not inline, in order */
    size_t bodies_len;
};

enum agent_effect_type {
    AGENT_LOAD,   /* get env's program here and check that it can run: agent_on_loaded */
    AGENT_UNLOAD, /* no job needs env any more; its zygote may end */
    AGENT_START,  /* a runner of env in slot: agent_on_ready or agent_on_ended */
    AGENT_GIVE,   /* work to the runner in slot: agent_on_done, _item, _end */
    AGENT_TRIM,   /* the runner in slot shall not begin items from `end` on; agent_on_trimmed */
    AGENT_LOOK,   /* which item is slot's runner in, and since when? agent_on_begun */
    AGENT_STOP,   /* end slot's runner with all its processes: agent_on_ended comes */
    AGENT_LEAVE,  /* drained: nothing runs, nothing is owed; the process may end */
};

struct agent_effect {
    enum agent_effect_type type;
    const struct agent_env *env;
    uint32_t slot;
    uint64_t end;
    const struct agent_work *work;
};

/* The agent speaks over link, which the shell drives; it adds its port when it is READY. */
struct agent *agent_new(const struct agent_conf *conf, struct rv_link *link,
                        void (*effect)(void *arg, const struct agent_effect *effect), void *arg);
void agent_free(struct agent **agent);

/* After everything that the link heard, and when agent_deadline has come. */
void agent_step(struct agent *a, rv_ns now);
rv_ns agent_deadline(const struct agent *a);

/* ---- what the shell says ---- */

/* why: NULL when the program is here and can run on this host, else a sentence. again: it need not
 * be so the next time, as when a signal ended the program; AGENT_UNLOAD and AGENT_LOAD come then, a
 * few times. */
void agent_on_loaded(struct agent *a, rv_ns now, uint64_t env, const char *why, bool again);

/* The runner in slot runs and its initializer is through. */
void agent_on_ready(struct agent *a, rv_ns now, uint32_t slot, uint32_t pid);

/* Values of items first .. of the chunk that the slot has, in ns of running. items: inline ones
 * stand in it, the others follow as bodies (references are taken). */
void agent_on_done(struct agent *a, rv_ns now, uint32_t slot, uint64_t first, uint64_t ns,
                   const struct rv_items *items, struct rv_body *const *bodies, size_t bodies_len);

/* One item of it with something to tell; value as above, at most one. Text, code and output as
 * in agent_item of ops.def. */
struct agent_told {
    uint64_t index;
    uint8_t status; /* enum rv_ran */
    uint64_t ns;
    int64_t code;
    struct rv_slice text, output;
    struct rv_items items;
    struct rv_body *body; /* NULL: inline */
};
void agent_on_item(struct agent *a, rv_ns now, uint32_t slot, const struct agent_told *told);

/* The answer to AGENT_TRIM, at once, if it can be told: items from `end` on will surely not be
 * begun. */
void agent_on_trimmed(struct agent *a, rv_ns now, uint32_t slot, uint64_t end);

/* The runner has ended its chunk: items from `end` on were not begun. */
void agent_on_end(struct agent *a, rv_ns now, uint32_t slot, uint64_t end);

/* The slot's runner is no more. started: the item that it was in, UINT64_MAX when in none;
 * told has status, code, text, output of how it ended (its index is not used). init: it never
 * became ready because of its own initializer or program, which would happen again; without it
 * another is started, a few times. */
void agent_on_ended(struct agent *a, rv_ns now, uint32_t slot, uint64_t started, bool init,
                    const struct agent_told *told);

/* No new chunks; what runs may end. now_too: what runs is stopped and handed back as well. */
void agent_drain(struct agent *a, rv_ns now, bool now_too);

/* The answer to AGENT_LOOK, at once: the item that the slot's runner is in and when it began it;
 * UINT64_MAX: none. Its deadline is judged by that. */
void agent_on_begun(struct agent *a, rv_ns now, uint32_t slot, uint64_t index, rv_ns at);

/* A job that env serves; 0: none. For what runs before the first item. */
uint64_t agent_job_of(const struct agent *a, uint64_t env);

uint32_t agent_busy(const struct agent *a);

/* Chunks that wait for a slot. */
uint32_t agent_ahead(const struct agent *a);

#endif
