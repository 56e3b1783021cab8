#ifndef REEVE_CONTEXT_H
#define REEVE_CONTEXT_H

/*
 * context.h -- a session with a manager.
 *
 *     reeve_context *ctx = NULL;
 *     reeve_err err = reeve_open(&ctx, NULL);            // $REEVE_URL, $REEVE_KEY
 *     if (err != REEVE_OK)
 *         fprintf(stderr, "hello: %s\n", reeve_errmsg());
 *     reeve_close(&ctx);                                 // flushes, says goodbye
 *
 * One context is one connection, which is cut and made again as the network will; calls are
 * neither lost nor repeated by that. No call hangs: each ends by a value, by its timeout, or
 * by an error that names who was lost.
 *
 * Threads: many may use one context. The library has one background thread (all signals
 * blocked), installs no signal handler, prints nothing and never aborts on bad input.
 * Signals: no call may be made in a signal handler, which may have interrupted another one; a thread
 * that reads a signalfd makes it. A signal neither ends nor shortens a call; reeve_interrupt does.
 * Fork: a child's calls on its parent's context give EFORK; it opens its own.
 */

#include <reeve/error.h>
#include <reeve/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Zero means "the default" in every field, so `= {0}` is valid. Texts are borrowed during the
 * open. A NULL text is looked up in the environment, then in the file named by $REEVE_CONFIG
 * or ~/.config/reeve/reeve.conf, then in those of /etc/reeve that end with .conf (lines of
 * `word = value`). */
typedef struct reeve_options {
    const char *url;             /* $REEVE_URL: endpoints, separated by commas; default: the socket
                                  * of this user, if a manager serves it, else a private manager.
                                  * "private:" is a private one in any case */
    const char *key;             /* $REEVE_KEY: key file; not needed on the user's own socket */
    const char *program;         /* $REEVE_PROGRAM: name in listings; default: the program's */
    uint32_t connect_timeout_ms; /* $REEVE_CONNECT_TIMEOUT_MS: default 5000 */
    uint32_t resume_ms;          /* $REEVE_RESUME_MS: how long the manager keeps a session that lost
                                  * its connection; default 5000, at most a day */
    uint32_t linger_ms;   /* $REEVE_LINGER_MS: reeve_close waits so long to flush; default 5000 */
    bool no_private;      /* without a url and a manager of this user: EINVAL */
    uint64_t reserved[4]; /* must be zero */
} reeve_options;

/*
 * Connect and open a session. On REEVE_OK the caller owns *out and ends it with
 * reeve_close(). On error *out is NULL. Blocks for at most connect_timeout_ms; a private manager
 * has as long to start. It runs reeve-server, from $REEVE_BINDIR, from beside the library, from
 * where it was installed or from PATH, and listens on a socket in a folder of its own. It ends
 * with reeve_close(), and with this process and those that it forked, however they end.
 * Errors: EINVAL (url, options), ESYS (key file; reeve-server is not there, or does not start),
 * ETIME (nobody answers, or whoever does is no manager), EAUTH (a manager does not admit our key,
 * or has another one than we trust), EVERSION, ELIMIT, ENOMEM.
 * Answers row M04, and M08 by its url.
 */
REEVE_API REEVE_NODISCARD reeve_err reeve_open(reeve_context **out, const reeve_options *options);

/*
 * Flush for at most linger_ms, say goodbye, free *ctx and set it to NULL. Queues opened with it
 * must be closed before. What could not be flushed is told by reeve_errmsg() and the result
 * (ELOST, ETIME, ENOMEM). NULL and *ctx == NULL are fine.
 */
REEVE_API reeve_err reeve_close(reeve_context **ctx);

/*
 * For a program that is told to end while its threads wait: the calls of other threads that wait now
 * end at once, with ECANCELED, or as if their time was over (ETIME, EFULL). What the manager had
 * given such a call goes back. Calls that begin later are as ever, so that all can be closed; as a thread may
 * just begin one, do it again until all have come back. Does not block. In a forked child it does
 * nothing.
 */
REEVE_API void reeve_interrupt(reeve_context *ctx);

/* Wait until the manager has all that was put so far, on any queue of the context. Blocks for
 * at most timeout_ms. Errors: ETIME, and the first refusal of an earlier put. */
REEVE_API REEVE_NODISCARD reeve_err reeve_flush(reeve_context *ctx, uint32_t timeout_ms);

/* Ask the manager to answer. Blocks for at most timeout_ms. Errors: ETIME, ELOST and the
 * other ends of a session: ESTALE, EEXPIRED, EAUTH. Answers row M24 (dummy). */
REEVE_API REEVE_NODISCARD reeve_err reeve_ping(reeve_context *ctx, uint32_t timeout_ms);

/*
 * What the manager's answer to this thread's last call survives, and so all that it tells: the call's
 * own work, and what others did before it on the same object. A call that needed several answers has
 * the least of theirs; a flush that of the puts since the last one. REEVE_DURABLE_NONE: the manager
 * has no log, the object was opened with that level, or the call waited for no answer, as a put to an
 * unbounded queue, a get of what was fetched ahead or the release of a lock. Never DEFAULT. It is at least what the object was opened
 * with, and more when it shared its way to the disk. Does not block.
 */
REEVE_API reeve_durable reeve_reached(void);

/* The manager's state as a map: server, store, term, uptime_ms, durable, sessions, attached,
 * objects, queued, queued_bytes, commands, puts, gets, redelivered, refused; and of its log: full
 * (1: the disk is), log_records, log_groups, log_flushes (written by this process),
 * log_latency_ns (of a group with a flush, lately), log_bytes (since the last snapshot), snapshots
 * (of this process), snapshot_index (the last record in the last one), snapshot_bytes; dead (letters,
 * of all time). The caller
 * frees *out with reeve_value_free(). Blocks for at most timeout_ms. Errors: as reeve_ping.
 * Answers row M16. */
REEVE_API REEVE_NODISCARD reeve_err reeve_status(reeve_value **out, reeve_context *ctx,
                                                 uint32_t timeout_ms);

/* The named objects whose names begin with prefix (NULL: all) as an array of maps: object,
 * name, type, order, joinable, maxsize, size, bytes, unfinished, getters, putters, refs,
 * shutdown, later (items that wait to be delivered again), deliveries, dead, typecode, ttl_ms (0: it stays),
 * durable, max_bytes (0: no bound); getters of a container wait for a change of it. Else as reeve_status. */
REEVE_API REEVE_NODISCARD reeve_err reeve_objects(reeve_value **out, reeve_context *ctx,
                                                  const char *prefix, uint32_t timeout_ms);

/* What keeps each object, with a name or without, as an array of maps: object, name, type, refs
 * (sessions that have it open or were handed a reference), nested (references in items), lost (only
 * others that are lost refer to it: it stays until the manager ends). Else as reeve_status. Answers
 * row M16 (debug_info). */
REEVE_API REEVE_NODISCARD reeve_err reeve_debug_info(reeve_value **out, reeve_context *ctx,
                                                     uint32_t timeout_ms);

/* The sessions as an array of maps: session, key, host, program, pid, attached, waiting, held,
 * calls. Else as reeve_status. */
REEVE_API REEVE_NODISCARD reeve_err reeve_sessions(reeve_value **out, reeve_context *ctx,
                                                   uint32_t timeout_ms);

/* Who holds the object of that name and who waits for it, or what the session of that number (NULL
 * or "": no name) holds and waits for, as an array of maps: object, name, type, role ("holds",
 * "waits", "sleeps", "died"), session, thread, key, host, program, pid, since_ms, count, fence,
 * cycle. The holders come first, then who waits, in its order. Rows with a cycle of 1, 2, ... are a
 * cycle of owners: each waits for what the next one holds, and the last for the first. Errors:
 * ENOENT, EPERM, and else as reeve_status. */
REEVE_API REEVE_NODISCARD reeve_err reeve_why(reeve_value **out, reeve_context *ctx,
                                              const char *name, uint64_t session,
                                              uint32_t timeout_ms);

/* The jobs of maps that this key may see, as an array of maps: job, name, function, key, ended,
 * total (nil: not known), given, done, failed, running, retried, again (results that came twice),
 * agents and slots that can run it, age_ms, bytes, text. Else as reeve_status. */
REEVE_API REEVE_NODISCARD reeve_err reeve_jobs(reeve_value **out, reeve_context *ctx,
                                               uint32_t timeout_ms);

/* The agents as an array of maps: agent, name, host, labels, pid, slots, busy, chunks, done, crashed,
 * attached, draining. Else as reeve_status. */
REEVE_API REEVE_NODISCARD reeve_err reeve_agents(reeve_value **out, reeve_context *ctx,
                                                 uint32_t timeout_ms);

/* What items of a job printed, or how they failed, as far as it is kept: an array of maps: item,
 * status, runs, agent, pid, code, text, output. The job by its name, or with NULL by its number.
 * Errors: ENOENT, and as reeve_status. */
REEVE_API REEVE_NODISCARD reeve_err reeve_job_logs(reeve_value **out, reeve_context *ctx,
                                                   uint64_t job, const char *name,
                                                   uint32_t timeout_ms);

/* End a job on all hosts: its items that are not done fail with ECANCELED and why (may be NULL).
 * Only for its own key, and for the role admin. Blocks for at most timeout_ms. Errors: ENOENT,
 * EPERM, and as reeve_ping. */
REEVE_API REEVE_NODISCARD reeve_err reeve_job_cancel(reeve_context *ctx, uint64_t job,
                                                     const char *name, const char *why,
                                                     uint32_t timeout_ms);

/* Remove a named object, whoever uses it: their calls end with EGONE. Blocks for at most
 * timeout_ms. Errors: ENOENT, EPERM, and as reeve_ping. */
REEVE_API REEVE_NODISCARD reeve_err reeve_remove(reeve_context *ctx, const char *name,
                                                 uint32_t timeout_ms);

/* End the manager. Only for keys with the role admin (EPERM). Blocks for at most timeout_ms.
 * Answers rows M06 and M25. */
REEVE_API REEVE_NODISCARD reeve_err reeve_shutdown(reeve_context *ctx, uint32_t timeout_ms);

/* Where the context is connected, as "tcp://10.0.0.7:7300"; borrowed from it. */
REEVE_API const char *reeve_endpoint(const reeve_context *ctx);

#ifdef __cplusplus
}
#endif

#endif
