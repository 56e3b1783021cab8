#ifndef JOB_H
#define JOB_H

/*
 * job.h -- a function over items: each index is answered exactly once, whoever dies.
 *
 *            put              deal                 done
 *   client ------> PENDING ---------> in a chunk ---------> result --> client
 *                     ^  ^                |  |
 *                     |  '-- its agent is away: dealt a second time, the first result counts
 *                     '----- crashed, its agent died, given back: pending again
 *
 * Whoever dies with an agent may be what killed it. Runs lost with their agents raise a suspicion;
 * a suspect runs alone on its agent, so that no neighbour is lost with it, and a loss then is its own.
 *
 * The unit of truth is the item, the unit of transport the chunk: items lie packed, as they came,
 * in shared bytes; spans and chunks are slices of them. `done` has one bit an item.
 */

#include "server/core/bits.h"
#include "server/core/blob.h"

/* Items first .. first + count - 1 with the same function, packed as on the wire; or one alone. */
struct slice {
    uint64_t first;
    uint32_t count;
    uint32_t run;   /* which run of them this is, from 1 */
    uint32_t chunk; /* so many are dealt together; 0: as the job says */
    const char *function;
    struct rv_body *body;
    size_t at, len; /* of the records in body */
    bool large;     /* body is the one value itself */
    bool searched;  /* one of them may end agents: not one more is dealt than `chunk` says */
    bool alone;     /* an item that is suspected: its agent gets nothing besides */
};

/* Waits to be dealt. */
struct span {
    struct slice slice;
    struct rv_id avoid; /* host on which it failed; zero: none */
    struct span *prev, *next;
};

/* Is with an agent. */
struct chunk {
    uint64_t id;
    struct job *job;
    struct member *member;
    struct slice slice; /* what it was dealt; its count shrinks when items come back */
    uint64_t next;      /* items before it are answered */
    uint64_t cost;      /* ns, as expected when it was dealt */
    rv_ns dealt_at;
    bool doubled; /* what is left of it is pending again */
    bool asked;   /* to give some back */
    struct chunk *prev, *next_of_member;
    UT_hash_handle hh;           /* of its member, by id */
    struct chunk *older, *newer; /* of its job */
};

/* An item that failed and is tried again. */
struct blame {
    uint64_t index;
    uint32_t runs, crashes;
    uint32_t lost;       /* so often its agent died while it had begun, */
    uint32_t lost_alone; /* and had begun nothing besides */
    char *hosts;         /* on which it crashed, with commas */
    char *lost_hosts;    /* those that died */
    UT_hash_handle hh;
};

/* How a run ended, with its circumstances. */
struct told {
    uint8_t status; /* enum rv_ran */
    uint32_t runs;
    char *agent, *host;
    uint32_t pid;
    uint64_t ns;
    int64_t code;
    char *text;
    struct rv_body *output; /* NULL: none */
    struct rv_body *item;   /* NULL, but of a detached job when it failed without a value */
};

/* Values of items first .., or one result with its circumstances. */
struct result {
    uint64_t first;
    uint32_t count;
    struct rv_body *values; /* records; or, if large, the one value; NULL: no value */
    bool large;
    struct told *told;       /* NULL: values alone */
    struct carried *carried; /* what the one value refers to */
    struct result *prev, *next;
};

/* To whom results go. */
struct reader {
    struct session *session;
    struct job *job;
    struct result *next_result; /* NULL: all that is here was sent */
    uint64_t sent, taken;       /* bytes */
    bool ended;                 /* it was told that the job has ended, */
    bool counted;               /* or that all its items have come, or it said that itself */
    struct reader *prev, *next;
};

/* What an item printed, or how it failed; the last ones are kept. */
struct job_log {
    uint64_t number;
    uint64_t index;
    struct told *told;
    struct job_log *prev, *next;
};

/* What a task has said that the value of an item will refer to: the value takes it over when it comes. */
struct pledge {
    uint32_t run;
    struct carried *carried;
    struct pledge *prev, *next;
};

/* What an item refers to, and what its values may. */
struct job_refs {
    uint64_t index;
    struct carried *carried;
    struct pledge *pledges; /* oldest first */
    uint32_t pledges_len;
    UT_hash_handle hh;
};

struct job {
    struct object object; /* first: a job is an object */
    uint32_t principal;
    char *owner; /* its name, for people */
    bool detached;
    rv_ns opened_at;

    uint8_t kind;
    struct blob *blob;
    char *function, *initializer, *folder, *labels;
    struct rv_body *initarg, *arguments, *environment;
    uint32_t chunk, retries, runs_max, timeout_ms, maxtasks, processes;
    uint64_t memory;
    bool detail;

    char **functions; /* names that its items use */
    uint32_t functions_len;
    uint64_t total; /* UINT64_MAX: not known */
    uint64_t put;   /* items that have come */
    struct span *pending, *again;
    struct span *alone; /* suspects, each to be run by an agent that has nothing else */
    uint64_t waiting;   /* items in them */
    size_t bytes_in;    /* of spans and chunks */
    size_t bytes_out;   /* of results that nobody has taken */
    struct bits done;
    uint64_t done_len, failed, retried, redone;
    struct blame *blames;
    struct job_refs *refs; /* of items that are not done, by index */
    struct chunk *chunks;
    uint32_t chunks_len;
    uint64_t running; /* items in them that are not answered */
    struct result *results;
    struct reader *readers;
    struct call *putters;
    struct job_log *logs;
    uint32_t logs_len;
    uint64_t logs_last;
    size_t logs_bytes;
    uint64_t item_ns; /* what an item takes, as measured; 0: not known */
    rv_ns trimmed_at;
    bool ready;     /* in the manager's list */
    bool lonely;    /* ready, and has suspects: counted by the manager */
    bool completed; /* all is answered, or it has ended */
    bool ended;     /* before its time */
    reeve_err error;
    char *why;
    struct job *prev, *next;             /* all */
    struct job *prev_ready, *next_ready; /* ready ones */
};

extern const struct object_ops job_ops;

void job_on_open(struct mgr *mgr, const struct incoming *in);
void job_on_cancel(struct mgr *mgr, const struct incoming *in);
void job_on_pledge(struct mgr *mgr, const struct incoming *in);

/* So many items took that long: chunks are made by it. */
void job_measure(struct job *job, uint64_t ns, uint32_t count);

/* Answers of an agent; items and bodies as in the message. */
void job_results(struct mgr *mgr, struct chunk *c, uint64_t first, const struct rv_items *items,
                 const struct incoming *in);
/* told is taken over. */
void job_result(struct mgr *mgr, struct chunk *c, struct told *told, const struct rv_items *items,
                const struct incoming *in);
void told_free(struct told *told);

/* What is left of a chunk goes back among the pending items; at: from this item on. begun: that item
 * was perhaps being run, so its next run is one more. */
void job_requeue(struct mgr *mgr, const struct chunk *c, uint64_t at, bool begun);

/* So often may an item be lost with its agent. */
uint32_t job_losses_max(const struct job *job);

/* The agent died that had begun item c->next; alone: and no other one. An item that was lost so often
 * is a suspect; one that was lost so often while it was alone fails now, and c goes on behind
 * it, or is no more. */
void job_lost(struct mgr *mgr, struct chunk *c, bool alone);

/* Up to so many pending items of the job's head, not done yet, which leave it; as many as they say
 * themselves, if they do; but up to `least` in any case. False when none. */
bool job_take_slice(struct job *job, const struct rv_id *host, bool others, uint32_t want,
                    uint32_t least, struct slice *out);
/* The next suspect. False when there is none. */
bool job_take_alone(struct job *job, struct slice *out);
bool job_has_items(const struct job *job);
/* What they count against the windows of a job. */
size_t job_result_bytes(const struct result *r);
size_t job_told_bytes(const struct told *told);

/* work_save.c: in a snapshot. */
struct object *job_create_empty(void);
void job_save(const struct object *o, struct saver *out);
void job_load(struct mgr *mgr, struct object *o, struct rv_reader *in);

void slice_drop(struct slice *s);
size_t slice_skip(const struct slice *s, uint32_t items); /* where item `items` begins in body */

/* In or out of the list of those that have items for agents. */
void job_refresh(struct mgr *mgr, struct job *job);

/* It ends before its time. */
void job_end(struct mgr *mgr, struct job *job, reeve_err error, const char *why);

struct job *job_find(const struct mgr *mgr, uint64_t id, struct rv_slice name);
bool job_complete(const struct job *job);

void job_read_stat(struct mgr *mgr, struct session *s, const struct rv_read *msg);
void job_read_list(struct mgr *mgr, struct session *s, const struct rv_read *msg);
void job_read_log(struct mgr *mgr, struct session *s, const struct rv_read *msg);

#endif
