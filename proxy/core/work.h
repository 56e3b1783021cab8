#ifndef RV_WORK_H
#define RV_WORK_H

/*
 * work.h -- the client's half of a job: items on their way, results that come back.
 *
 *     errand --- packs ---> put put put (a window) ---> manager
 *     errand <-- results of its stretch of indexes <--- job_results, job_result
 *
 * One job serves many errands, each one call of the application: a map, an apply, an iteration.
 * They take turns in putting, and a stretch remembers which indexes of the job are whose. Results
 * are taken over as they come, so that an errand whose owner is slow holds up no other; an iteration
 * is bounded by what it puts ahead. An errand ends when all its results are here, or when the job
 * does, in words.
 *
 * A job that others gave its items has one errand that watches it: its results are all of the job's.
 */

#include "common/wire/link.h"
#include "proxy/core/pack.h"
#include "proxy/core/yield.h"

enum {
    RV_WORK_PUTS = 32,           /* messages of items without an answer, at most */
    RV_WORK_PUT_BYTES = 2097152, /* and bytes of items in them */
    RV_AHEAD_MIN = 16,           /* items that an iteration has ahead, at least */
    RV_AHEAD_FIRST = 1024,       /* in the beginning */
    RV_AHEAD_MAX = 65536,        /* at most */
    RV_AHEAD_BYTES = 33554432,   /* of items and of results not yet handed out */
    RV_WATCH_BYTES = 2097152,    /* of results that who watches has, before more are asked for, */
    RV_WATCH_ITEMS = 4096,       /* and so many of them */
};

/* Indexes first .. first + count - 1 of the job are items from, from + 1, ... of an errand. */
struct rv_stretch {
    uint64_t first, count, from;
    uint64_t left; /* results that have not come */
    struct rv_errand *errand;
};

struct rv_work;

/* A call of the application. The owner's until it is over; after rv_errand_leave the work's. */
struct rv_errand {
    struct rv_work *work; /* NULL: over */
    char *function;
    uint32_t chunk;     /* items of it that travel together; 0: as the job says */
    struct rv_packs in; /* not put yet */
    size_t in_bytes;    /* of an iteration's items in it */
    uint64_t put;       /* items that were put */
    uint64_t total;     /* UINT64_MAX: more may come */
    struct rv_yield out;
    bool left;       /* by its owner: free it when it is over */
    reeve_err error; /* over before its time; else OK */
    char *why;

    bool watches;       /* it puts nothing: it has the results of all items of the job */
    uint64_t unclaimed; /* bytes of results that it was sent and that the manager does not know
                         * to be used up */

    /* an iteration */
    bool ordered;
    uint64_t ahead;     /* items that may be on their way or here and not handed out; 0: a map */
    uint64_t ahead_max; /* the application's wish, or RV_AHEAD_MAX */
    uint64_t given;     /* results handed out */
    uint64_t weighed;   /* of them when `ahead` was judged last, */
    rv_ns weighed_at;   /* and when that was */
    uint64_t bytes;     /* of all values that came */
    uint64_t *arrived;  /* unordered: indexes in the order of their coming, a ring */
    uint64_t arrived_first, arrived_len, arrived_cap; /* a power of two */

    void (*over)(struct rv_errand *errand); /* the owner's; it has ended just now */
    void *arg;
    struct rv_errand *prev, *next;         /* of the work, until it is over */
    struct rv_errand *prev_due, *next_due; /* of those with items to put */
    bool due;
};

struct rv_work {
    struct rv_port port; /* first; ticks to try again, and when nothing has come for so long */
    struct rv_link *link;
    struct rv_ledger *ledger;     /* what its values refer to */
    struct rv_errand *errands;    /* those that are not over */
    struct rv_errand *due;        /* those with items to put; the first has its turn */
    struct rv_stretch *stretches; /* by first, ascending; those from head on */
    size_t stretches_head, stretches_len, stretches_cap;
    size_t spent;         /* stretches whose results are all here */
    uint64_t next;        /* index of the next item */
    uint64_t done;        /* items whose results are here */
    uint64_t failed;      /* of them */
    uint32_t puts;        /* messages without an answer, */
    size_t put_bytes;     /* and bytes of items in them */
    uint64_t used, told;  /* bytes of results that were taken over; that the manager knows of */
    uint32_t patience_ms; /* without any result and any agent; UINT32_MAX: for ever */
    rv_ns stirred_at;     /* a result came last, or was awaited first */
    rv_ns retry_at;       /* something did not fit, or had no memory */
    struct rv_request *asking; /* whether there are agents */
    rv_ns asked_at;
    uint32_t agents, slots; /* that could run it, when it was asked last */
    uint64_t retried;       /* items that were tried again, by then */
    uint64_t doubles;       /* results that nobody waited for */
    reeve_err error;        /* it has ended; else OK */
    char why[256];
};

/* object: of the job, which this session has opened. The link and the ledger are its context's. Errors:
 * ENOMEM. */
reeve_err rv_work_init(struct rv_work *work, struct rv_link *link, struct rv_ledger *ledger,
                       uint64_t object, uint32_t patience_ms);

/* Let the job go: what is not done is cancelled everywhere, and its errands end with this. */
void rv_work_fini(struct rv_work *work, reeve_err error, const char *why);

/* End all errands, and refuse new ones. */
void rv_work_end(struct rv_work *work, reeve_err error, const char *why);

/* Items that were put and have no result. */
uint64_t rv_work_open(const struct rv_work *work);

/* An errand for all the items in packs, which it shares. function: empty is the job's. NULL
 * without memory. */
struct rv_errand *rv_errand_map(const char *function, const struct rv_packs *packs);

/* An errand whose items come one after the other. ahead: 0 is as many as are worth it. */
struct rv_errand *rv_errand_iterate(const char *function, bool ordered, uint64_t ahead);

/* An errand for the results of a job whose items came from others. */
struct rv_errand *rv_errand_watch(bool ordered);

/* Begin it: so many items were put by now, and there will be so many; UINT64_MAX: it is not known. */
void rv_errand_follow(struct rv_work *work, struct rv_errand *e, uint64_t put, uint64_t total,
                      rv_ns now);

/* Begin it; the work must not have ended. An errand without items is over at once. */
void rv_errand_begin(struct rv_work *work, struct rv_errand *e, rv_ns now);

/* The owner has no more use for it: freed now, or when it is over. Of an iteration, what was not
 * put is dropped. */
void rv_errand_leave(struct rv_errand *e);

/* An iteration takes one more item now. */
bool rv_errand_hungry(const struct rv_errand *e);

/* Give it one; errors as rv_packs_add. Then rv_work_feed. */
reeve_err rv_errand_add(struct rv_errand *e, struct rv_slice item, struct rv_slice refs);

/* No more come. */
void rv_errand_end(struct rv_errand *e);

/* The next result of an iteration; false when none is here. It is borrowed until rv_errand_took. */
bool rv_errand_next(struct rv_errand *e, struct rv_result *out);
void rv_errand_took(struct rv_errand *e, uint64_t index);

/* What was handed out to who watches need not be held for it by the manager. */
void rv_errand_claim(struct rv_errand *e, rv_ns now);

/* The owner waits for more than is here: have more ahead, if it gets through them fast and memory
 * allows. */
void rv_errand_starve(struct rv_errand *e, rv_ns now);

/* Ask the manager for agents, slots and retried, unless it was asked a moment ago. */
void rv_work_look(struct rv_work *work, rv_ns now);

/* Put what the windows take. */
void rv_work_feed(struct rv_work *work, rv_ns now);

#endif
