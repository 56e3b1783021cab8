#ifndef RV_POOL_H
#define RV_POOL_H

/*
 * pool.h -- a pool in the library: its job, its state, and who is told what has ended.
 *
 *     RUNS --- end ---> ENDED --- terminate ---> TERMINATED
 *       '------------- terminate --------------------^
 *
 * Everything is guarded by the context's mutex.
 */

#include "proxy/context.h"
#include "proxy/core/work.h"
#include "proxy/items.h"
#include "proxy/results.h"

enum rv_pool_state { RV_POOL_RUNS, RV_POOL_ENDED, RV_POOL_TERMINATED };

struct reeve_pool {
    reeve_context *ctx;
    enum rv_pool_state state;

    /* how a job is opened; the slices are of what follows */
    struct rv_job_open_args open;
    uint8_t digest[RV_LIMIT_DIGEST_BYTES];
    char *initializer, *folder, *labels, *module;
    char *name; /* of its job, which is the manager's then; "": none */
    struct rv_buf initarg, arguments, environment;
    uint32_t patience_ms;

    struct rv_work *work; /* its job, which all calls share, so that runners last; NULL: none yet */
    bool opening;         /* a thread waits for the manager's answer */
    reeve_err ended;      /* how a job of it ended before its time; else OK */
    char why[256];
    reeve_progress past; /* of jobs that are no more */

    /* callbacks */
    struct reeve_async *due; /* have ended, and their callbacks were not called */
    bool calling;            /* one is running */
    bool stop;
    bool doomed; /* closed by a callback: its thread frees it */
    bool thread_runs;
    pthread_t thread;
};

/* A call that has been begun. */
struct reeve_async {
    reeve_context *ctx;
    reeve_pool *pool;         /* until its callback was called; NULL without one */
    struct rv_errand *errand; /* NULL: its results are taken */
    reeve_results *results;
    reeve_callback *callback;
    void *arg;
    char label[64]; /* "map square" */
    bool left;      /* by the application; the callback's thread frees it */
    struct reeve_async *prev, *next;
};

/* Enter the context for a call of a function, and find the job for it. Not entered on error. label:
 * "map square". */
reeve_err rv_pool_enter(reeve_pool *pool, const char *label, struct rv_work **out);

/* The size of chunks that a call asks for. Errors: EINVAL. */
reeve_err rv_pool_chunk(int64_t chunksize, const char *label, uint32_t *out);

/* The function's name for an errand; an error when there is none. */
reeve_err rv_pool_function(const reeve_pool *pool, const reeve_fn *fn, const char *verb,
                           const char **name, char label[static 64]);

/* Start the thread that calls callbacks. */
reeve_err rv_pool_callbacks(reeve_pool *pool);

/* How a call has ended, in words for this thread; results may be NULL. */
reeve_err rv_pool_verdict(const reeve_results *results, const char *label);

/* What the manager said last of the job's agents; it is asked anew from time to time. */
void rv_pool_look(reeve_context *ctx, struct rv_work *work, reeve_progress *out);

/* Forget the pool and all in it; its thread is gone. */
void rv_pool_free(reeve_pool *pool);

/* Everything that was given is answered, and told. */
bool rv_pool_idle(const reeve_pool *pool);
bool rv_pool_in_callback(const reeve_pool *pool); /* this thread is that of its callbacks */

/* ---- the handles of calls ---- */

/* An errand of this pool is over: its callback is due. */
void rv_async_over(struct rv_errand *errand);

/* The callback's thread: call one that is due. The context is entered. */
void rv_async_call_back(reeve_pool *pool);

#endif
