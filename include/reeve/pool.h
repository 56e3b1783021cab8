#ifndef REEVE_POOL_H
#define REEVE_POOL_H

/*
 * pool.h -- a function over many items, on all processors of one host or of many.
 *
 *     reeve_items *items = reeve_items_new();
 *     for (int64_t i = 0; i < 1000; i++)
 *         reeve_items_add_int(items, i);             // an error sticks until the map
 *
 *     reeve_pool *pool = NULL;
 *     reeve_results *results = NULL;
 *     reeve_err err = reeve_pool_open(&pool, ctx, NULL);
 *     if (err == REEVE_OK)
 *         err = reeve_pool_map(&results, pool, REEVE_FN(square), items, NULL);
 *     for (size_t i = 0; i < reeve_results_len(results); i++)
 *         ... reeve_get_int(reeve_results_value(results, i), &x) ...
 *     reeve_results_free(&results);
 *     reeve_pool_close(&pool);
 *     reeve_items_free(&items);
 *
 * The program itself is sent to the hosts, once, by the digest of its bytes. An item that ends
 * its process runs again, up to three times in all; then it alone has failed, and the rest goes
 * on. What a lost host had runs again on others. Each index has exactly one result. No call hangs: each ends by a
 * value, by its timeout, or by an error that says who was lost.
 *
 * Threads: many may use one pool. An iterator, items and results belong to one thread at a time.
 * Fork: a child's calls on its parent's pool give EFORK.
 */

#include <reeve/error.h>
#include <reeve/task.h>
#include <reeve/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- items ---- */

/* An empty list of items, or NULL without memory (every add on NULL is ENOMEM). */
REEVE_API reeve_items *reeve_items_new(void);

/* Frees *items and sets it to NULL. A map that was begun with them goes on. */
REEVE_API void reeve_items_free(reeve_items **items);

/* How many. 0 for NULL. */
REEVE_API size_t reeve_items_len(const reeve_items *items);

/* Append one item: a scalar, what a builder holds, or a copy of a received value. Never blocks. The
 * result may be ignored: the first error sticks, and the call that is given the items returns it.
 * Errors: ENOMEM, EINVAL (not UTF-8, not one whole value), ETOOBIG (above 16 MiB). Row L15. */
REEVE_API reeve_err reeve_items_add(reeve_items *items, const reeve_builder *item);
REEVE_API reeve_err reeve_items_add_int(reeve_items *items, int64_t x);
REEVE_API reeve_err reeve_items_add_float(reeve_items *items, double x);
REEVE_API reeve_err reeve_items_add_str(reeve_items *items, const char *text);
REEVE_API reeve_err reeve_items_add_bytes(reeve_items *items, const void *data, size_t len);
REEVE_API reeve_err reeve_items_add_value(reeve_items *items, const reeve_value *item);

/* ---- the pool ---- */

/* A function of a module, or of a program that is not this one, by its name. */
#define REEVE_NAMED(text) (&(const reeve_fn){(text), 0})

/* Zero means "the default" in every field. Everything is copied by the open. */
typedef struct reeve_pool_options {
    uint32_t processes;            /* at most so many items run at a time; 0: as many as the agents
                                    * have slots; of a private agent: processors of this host */
    const reeve_init *initializer; /* runs once in each process before its first item */
    const reeve_builder *initarg;  /* its argument; NULL: nil */
    uint32_t maxtasksperchild; /* items of a process before another takes its place; 0: no end */
    uint32_t chunksize;    /* items that travel together, more if they are tiny; 0: as measured */
    uint32_t timeout_ms;   /* an item that takes longer is killed and has failed; 0: never */
    uint64_t memory_bytes; /* address space of a process; 0: no limit */
    uint32_t retries;      /* times that an item which failed is tried again */
    uint32_t runs_max;     /* of an item that ends its process; 0: 3 */
    const char *labels;    /* words that an agent must have, with spaces between */
    const char *module;    /* a FILE.so that has the functions; NULL: this program */
    bool commands; /* items are commands, the function may be NULL: an array of texts, or a map of
                    * argv (such an array), stdin, env and note; a value is a map of out, err
                    * (bytes) and code, and of the note as it was given */
    const char *const *arguments;   /* of main in the processes, from argv[1]; ends with NULL */
    const char *const *environment; /* NAME=VALUE, besides what the agent has; ends with NULL */
    const char *folder;             /* where processes run; NULL: where the agent does */
    uint32_t start_timeout_ms; /* work that waits so long without any agent has ENOAGENT; 0: 10000
                                * with a private agent, else 30000; REEVE_FOREVER: wait */
    bool detail;               /* records of items that went well say where and how long, too */
    const char *name;      /* the work is the manager's under this name, once it is detached: see
                                * reeve_pool_detach; NULL: it ends with the pool */
    reeve_durable durable; /* what items and results survive once they are there: the manager's
                            * end, the loss of power; less is faster */
    uint64_t reserved[4];  /* must be zero */
} reeve_pool_options;

/*
 * Open a pool: send the program (or module) to the manager if it is not there yet, and start a
 * private agent if the context has a private manager. On REEVE_OK the caller owns *out. Blocks
 * while the program is sent, for at most 30 s without any progress, and for the private
 * agent's start.
 * Errors: EINVAL (options, a name with a private manager), EEXIST (a job has the name), EPERM (the key has no right to run), ESYS (a file can't be read, an
 * agent can't be started), ETOOBIG (a program above 256 MiB), ETIME, ENOMEM, and as reeve_ping.
 * Answers rows L01, L02, L20, L21.
 */
REEVE_API REEVE_NODISCARD reeve_err reeve_pool_open(reeve_pool **out, reeve_context *ctx,
                                                    const reeve_pool_options *options);

/* No more work: what was given goes on, new calls are ENOTRUNNING. Does not block. Python's
 * close(); row L24. */
REEVE_API reeve_err reeve_pool_end(reeve_pool *pool);

/* No more work, and what is not done is cancelled, also what runs: all that waits for it ends with
 * ECANCELED. Does not block. Row L25. */
REEVE_API reeve_err reeve_pool_terminate(reeve_pool *pool);

/* Wait until all work of a pool that was ended or terminated is done and its callbacks have
 * returned. Blocks for at most timeout_ms. Errors: EINVAL (the pool still runs, or a callback
 * asks), ETIME, and how its work ended, as ENOAGENT or ELOST. Row L26. */
REEVE_API REEVE_NODISCARD reeve_err reeve_pool_join(reeve_pool *pool, uint32_t timeout_ms);

/* Terminate the pool, wait for a callback that is running, free *pool and set it to NULL. Handles
 * of its calls stay valid, and are freed by their own functions before the context is closed.
 * Rows L27, L28. */
REEVE_API void reeve_pool_close(reeve_pool **pool);

/* What a pool, a call or an iteration has got through. The last three are the manager's word, which is
 * asked for by and by and may be some seconds old; 0 before it came, and always of a call. */
typedef struct reeve_progress {
    uint64_t given;   /* items */
    uint64_t done;    /* of them: have a result */
    uint64_t failed;  /* of them: without success */
    uint64_t retried; /* times that an item was tried again */
    uint32_t agents;  /* that could run them */
    uint32_t slots;   /* of these agents */
} reeve_progress;

/* Does not block. */
REEVE_API REEVE_NODISCARD reeve_err reeve_pool_progress(reeve_pool *pool, reeve_progress *out);

/* ---- work that outlives its program ---- */

/*
 * Leave the work of a pool with a name to the manager: no more items come, and who began it may end.
 * Returns when the manager has all items; blocks for at most timeout_ms. Calls of the pool that have
 * not ended end with ECANCELED here, while their items run on there. The manager keeps the results
 * for 7 days after the last who looked at them. A pool with a name that is closed, or lost, without
 * this takes its work with it.
 * Errors: EINVAL (no name, an iteration whose source has not ended), ETIME (try again),
 * ENOTRUNNING, how its job ended, and as reeve_ping.
 */
REEVE_API REEVE_NODISCARD reeve_err reeve_pool_detach(reeve_pool *pool, uint32_t timeout_ms);

/*
 * Read the results of work with a name, from its beginning, as often as one likes, also while others
 * do and before it is done: in the order of the items, or as they came. On REEVE_OK the caller owns
 * *out, an iteration as reeve_pool_imap gives it; to free it leaves the work alone. With `ordered`,
 * what came before its turn waits in memory. Blocks for at most 30 s.
 * Errors: ENOENT (no work has the name), EPERM (it is another key's), EEXIST (this context reads it
 * already), ETYPE (it is something else), ENOMEM, and as reeve_ping.
 */
REEVE_API REEVE_NODISCARD reeve_err reeve_iter_attach(reeve_iter **out, reeve_context *ctx,
                                                      const char *name, bool ordered);

/* ---- results ---- */

/* How the last run of an item ended. */
typedef enum {
    REEVE_RAN_OK,      /* a value */
    REEVE_RAN_FAILED,  /* the function, or the command, said so */
    REEVE_RAN_CRASHED, /* its process ended by a signal */
    REEVE_RAN_EXITED,  /* its process left by exit() */
    REEVE_RAN_TIMEOUT, /* it took longer than timeout_ms, and was killed */
    REEVE_RAN_TOOBIG,  /* its value is larger than an item may be */
    REEVE_RAN_NEVER /* it was not begun: no such function, the initializer failed, the job ended */
} reeve_ran;

/* One item's end. Texts are borrowed from where the record came from; they are "" when unknown. Of
 * an item that went well, only the pool's option `detail` says more than that. Row L13. */
typedef struct reeve_record {
    reeve_err err; /* OK; EITEM, ETIME, ETOOBIG by status; or why it was never run */
    reeve_ran status;
    const char *message; /* what the function said, or how its process ended */
    const char *host;
    const char *agent;
    uint32_t pid;
    int exit_code;      /* of its process, if that left by exit() */
    int signal;         /* that ended its process; 0: none */
    uint32_t runs;      /* times that it was begun */
    uint64_t ns;        /* that the last run took */
    const char *output; /* the last of what it printed, output_len bytes and a NUL */
    size_t output_len;
} reeve_record;

/* As many as there were items. 0 for NULL. */
REEVE_API size_t reeve_results_len(const reeve_results *results);

/* Of them, those without success. */
REEVE_API size_t reeve_results_failed(const reeve_results *results);

/* The value of item i, borrowed from results; NULL when it has none. A failed command has one too.
 * Parsed when it is asked for. What it refers to lives at least as long as results. */
REEVE_API const reeve_value *reeve_results_value(reeve_results *results, size_t i);

/* How item i ended. Errors: EINVAL (no such item). */
REEVE_API reeve_err reeve_results_record(const reeve_results *results, size_t i, reeve_record *out);

/* One more owner, as for who keeps what a callback was lent: to be freed once more. Never fails. */
REEVE_API reeve_results *reeve_results_keep(reeve_results *results);

REEVE_API void reeve_results_free(reeve_results **results);

/* ---- calls ---- */

/* A call has ended; err and results as reeve_pool_map gives them, results borrowed during the call
 * and perhaps NULL, and reeve_errmsg() has the words. Runs in a thread of the pool, one at a
 * time, and may call the library. To other threads the call is done when this has returned, so what it
 * wrote is there after reeve_async_get(). Row L19. */
typedef void reeve_callback(void *arg, reeve_err err, reeve_results *results);

/* Zero means "the default" in every field. */
typedef struct reeve_map_options {
    int64_t chunksize;        /* as the pool's, up to 4096; 0: the pool's own. Row L06 */
    uint32_t timeout_ms;      /* of reeve_pool_map; 0: no limit */
    reeve_callback *callback; /* of the asynchronous ones */
    void *arg;                /* its */
    uint32_t ahead;           /* of iterations: items given to the pool before their results were
                               * taken; 0: up to 65536, as many as are worth it and fit in memory */
    uint64_t reserved[4];     /* must be zero */
} reeve_map_options;

/*
 * The function over each item, all results in their order. Blocks until all are done, or for
 * options->timeout_ms. Whatever it returns, *out is NULL or the caller's to free.
 * REEVE_EITEM: everything is done, and some items failed; *out holds the values and records of all.
 * Errors: EINVAL (options, no function), what sticks in items, ENOTRUNNING (the pool was ended),
 * ETIME (not done in time; the items run on), ECANCELED (terminated), ENOAGENT (for start_timeout_ms
 * there was no agent, or none can run it), ENOMEM, and as reeve_ping; after one that came while it
 * ran, *out holds what was done. Rows L05, L06, L11, L14 to L17, L22, L23.
 */
REEVE_API REEVE_NODISCARD reeve_err reeve_pool_map(reeve_results **out, reeve_pool *pool,
                                                   const reeve_fn *fn, const reeve_items *items,
                                                   const reeve_map_options *options);

/* The same for items that are arrays: the arguments of each call. EINVAL when one is none. Row L07. */
REEVE_API REEVE_NODISCARD reeve_err reeve_pool_starmap(reeve_results **out, reeve_pool *pool,
                                                       const reeve_fn *fn, const reeve_items *items,
                                                       const reeve_map_options *options);

/* The function once. On REEVE_OK the caller owns *out. NULL for item is nil. Blocks for at most
 * timeout_ms. Errors: EITEM (it failed; reeve_errmsg() says how), and as reeve_pool_map. Row L03. */
REEVE_API REEVE_NODISCARD reeve_err reeve_pool_apply(reeve_value **out, reeve_pool *pool,
                                                     const reeve_fn *fn, const reeve_builder *item,
                                                     uint32_t timeout_ms);

/* Begin, and return a handle that the caller owns. They block only while the session is not
 * connected, for at most 30 s. Rows L04, L07. */
REEVE_API REEVE_NODISCARD reeve_err reeve_pool_map_async(reeve_async **out, reeve_pool *pool,
                                                         const reeve_fn *fn,
                                                         const reeve_items *items,
                                                         const reeve_map_options *options);
REEVE_API REEVE_NODISCARD reeve_err reeve_pool_starmap_async(reeve_async **out, reeve_pool *pool,
                                                             const reeve_fn *fn,
                                                             const reeve_items *items,
                                                             const reeve_map_options *options);
REEVE_API REEVE_NODISCARD reeve_err reeve_pool_apply_async(reeve_async **out, reeve_pool *pool,
                                                           const reeve_fn *fn,
                                                           const reeve_builder *item,
                                                           const reeve_map_options *options);

/* ---- what will be: row L18 ---- */

/* Wait until it has ended, well or not. Blocks for at most timeout_ms. Errors: ETIME. */
REEVE_API REEVE_NODISCARD reeve_err reeve_async_wait(reeve_async *async, uint32_t timeout_ms);

/* Has it ended? Does not block. */
REEVE_API bool reeve_async_ready(reeve_async *async);

/* Did all its items go well? Does not block. EINVAL while it has not ended. */
REEVE_API REEVE_NODISCARD reeve_err reeve_async_successful(reeve_async *async, bool *out);

/* As reeve_pool_map; may be called again, and each time *out is one more to free. Blocks for at
 * most timeout_ms. */
REEVE_API REEVE_NODISCARD reeve_err reeve_async_get(reeve_results **out, reeve_async *async,
                                                    uint32_t timeout_ms);

/* The value of its first item, as reeve_pool_apply gives it. */
REEVE_API REEVE_NODISCARD reeve_err reeve_async_get_value(reeve_value **out, reeve_async *async,
                                                          uint32_t timeout_ms);

REEVE_API REEVE_NODISCARD reeve_err reeve_async_progress(reeve_async *async, reeve_progress *out);

/* Free *async and set it to NULL. What was begun goes on, and a callback comes. */
REEVE_API void reeve_async_free(reeve_async **async);

/* ---- iterations ---- */

/* The next item, put into the empty builder; false when there is none. To fail, it returns false
 * after reeve_builder_fail(): the iteration yields what was given before, and then that error.
 * It is called inside reeve_iter_next(), in that thread, and only while so many items are ahead; an
 * endless source takes constant memory. It may call the library. Row L12. */
typedef bool reeve_source(void *arg, reeve_builder *item);

/*
 * The function over what the source gives, results one after the other: in the order of the items,
 * or as they come. On REEVE_OK the caller owns *out. Blocks as reeve_pool_map_async. Errors: as
 * reeve_pool_map. Rows L08, L09.
 */
REEVE_API REEVE_NODISCARD reeve_err reeve_pool_imap(reeve_iter **out, reeve_pool *pool,
                                                    const reeve_fn *fn, reeve_source *next,
                                                    void *arg, const reeve_map_options *options);
REEVE_API REEVE_NODISCARD reeve_err reeve_pool_imap_unordered(reeve_iter **out, reeve_pool *pool,
                                                              const reeve_fn *fn,
                                                              reeve_source *next, void *arg,
                                                              const reeve_map_options *options);

/*
 * The next result. REEVE_OK with *out NULL is the end. Whatever it returns, *out is NULL or the
 * caller's to free. Blocks for at most timeout_ms, and as long as the source does.
 * REEVE_EITEM: this item failed, reeve_iter_record() says how; the iteration goes on (row L10).
 * Errors else: ETIME (nothing within timeout_ms; ask again), the source's, and as reeve_pool_map.
 */
REEVE_API REEVE_NODISCARD reeve_err reeve_iter_next(reeve_value **out, reeve_iter *iter,
                                                    uint32_t timeout_ms);

/* Of the result that came last: which item it is of, from 0, and how that ended; the texts are
 * borrowed until the next one. EINVAL before the first. */
REEVE_API reeve_err reeve_iter_record(const reeve_iter *iter, uint64_t *index, reeve_record *out);

/* Of an iteration that is attached: the item whose result came last, if that failed without a value;
 * else NULL. Borrowed until the next one. */
REEVE_API const reeve_value *reeve_iter_item(reeve_iter *iter);

/* Does not block. */
REEVE_API REEVE_NODISCARD reeve_err reeve_iter_progress(reeve_iter *iter, reeve_progress *out);

/* Free *iter and set it to NULL. Items that were given run to their end; the source is not asked
 * again. */
REEVE_API void reeve_iter_free(reeve_iter **iter);

#ifdef __cplusplus
}
#endif

#endif
