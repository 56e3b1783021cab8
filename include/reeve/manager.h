#ifndef REEVE_MANAGER_H
#define REEVE_MANAGER_H

/*
 * manager.h -- a manager as an object of the program: started, connected to, shut down.
 *
 *     reeve_manager *m = NULL;
 *     reeve_context *ctx = NULL;
 *     reeve_manager_new(&m, NULL);
 *     if (reeve_manager_start(m, NULL, NULL, 5000) != REEVE_OK)   // reeve-server, on a socket of its own
 *         fprintf(stderr, "hello: %s\n", reeve_errmsg());
 *     reeve_manager_context(&ctx, m);                             // borrowed: open queues with it
 *     reeve_manager_free(&m);                                     // and it has ended
 *
 *     INITIAL ---- start, connect ----> STARTED ---- shutdown, join ----> SHUTDOWN
 *
 * What does not fit the state is EINVAL, in words. One thread at a time may use a reeve_manager;
 * its context is for many. reeve_open() is enough for whoever wants a session and no more.
 */

#include <reeve/context.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct reeve_manager reeve_manager;

typedef enum {
    REEVE_MANAGER_INITIAL,  /* nothing has been started */
    REEVE_MANAGER_STARTED,  /* by start or connect */
    REEVE_MANAGER_SHUTDOWN, /* by shutdown, or it has been seen to end */
} reeve_manager_state;

/* Zero means "the default" in every field. Texts are copied by reeve_manager_new(). */
typedef struct reeve_manager_options {
    const char
        *address;     /* where it listens: "tcp://127.0.0.1:0" (any port), "ipc:///path"; default: a
                          * socket in a folder of its own, which goes with it */
    const char *keys; /* folder with manager.key and authorized.d/, as `reeve keygen` makes it;
                          * needed for tcp */
    const char *key;  /* our own key file, as reeve_options.key */
    const char *data; /* folder of what must survive; default: it lives in memory */
    uint32_t shutdown_timeout_ms; /* of each rung of the ladder; default 1000 */
    uint64_t reserved[4];         /* must be zero */
} reeve_manager_options;

/* Make one; nothing is started. The caller owns *out and ends it with reeve_manager_free(). Does
 * not block. Errors: EINVAL (reserved), ENOMEM. Answers row M01. */
REEVE_API REEVE_NODISCARD reeve_err reeve_manager_new(reeve_manager **out,
                                                      const reeve_manager_options *options);

/*
 * Start reeve-server as a child process (found as by reeve_open) in a session of its own, so that
 * no ^C reaches it, wait until it listens, and open a session. It ends with this process, too,
 * however that ends. initializer(arg), if any, runs in the child before it becomes the manager:
 * for limits, folders, environment. The child is a fork of this process, so if that has threads
 * the initializer may only do what is safe in a signal handler. Other than 0 ends the start.
 * Blocks for at most timeout_ms.
 * Errors: EINVAL (has been started, has shut down), ESYS (not found, or it ended: how, and its last
 * words), ETIME, and those of reeve_open. After an error it is as before. Answers row M03.
 */
REEVE_API REEVE_NODISCARD reeve_err reeve_manager_start(reeve_manager *m,
                                                        int (*initializer)(void *arg), void *arg,
                                                        uint32_t timeout_ms);

/* Open a session with the manager at the address, which somebody else has started. Blocks for at
 * most timeout_ms. Errors: EINVAL (state; no address), and those of reeve_open. Answers row M04. */
REEVE_API REEVE_NODISCARD reeve_err reeve_manager_connect(reeve_manager *m, uint32_t timeout_ms);

/* This process becomes the manager: same pid, same stderr, and its end is the end of the process,
 * with 0 when it was asked to. Nothing that exit() would do is done. Returns only when it could not
 * be. Errors: EINVAL (state; no address), ESYS. Answers row M05. */
REEVE_API reeve_err reeve_manager_serve_forever(reeve_manager *m);

/* End the manager that was started here: ask it to, after shutdown_timeout_ms SIGTERM, after as
 * long again SIGKILL. When this returns OK its process is gone. A second time is OK and does
 * nothing. Handles of its context fail from then on. Errors: EINVAL (not started, or connected to:
 * then it is not ours to end; see reeve_shutdown). Answers row M06. */
REEVE_API reeve_err reeve_manager_shutdown(reeve_manager *m);

/* Wait until the process that was started here ends by itself. Blocks for at most timeout_ms.
 * Errors: ETIME, EINVAL (it was not started here). Answers row M07. */
REEVE_API REEVE_NODISCARD reeve_err reeve_manager_join(reeve_manager *m, uint32_t timeout_ms);

/* How its process ended: "exit code 0", "SIGKILL"; NULL while that is not known. Borrowed. */
REEVE_API const char *reeve_manager_end(const reeve_manager *m);

/* Does not block. Answers row M02. */
REEVE_API reeve_manager_state reeve_manager_state_of(const reeve_manager *m);

/* Where it listens, with the real port; NULL before that is known. Borrowed. Answers row M08. */
REEVE_API const char *reeve_manager_address(const reeve_manager *m);

/* The session with it, for everything that takes a context. Borrowed until reeve_manager_free(): what
 * is opened with it is closed before. Errors: EINVAL (it is not started, or has shut down). */
REEVE_API REEVE_NODISCARD reeve_err reeve_manager_context(reeve_context **out,
                                                          const reeve_manager *m);

/* How many objects it holds, with a name or without. Blocks for at most timeout_ms. Errors: EINVAL
 * (state), and as reeve_ping. Answers row M16. */
REEVE_API REEVE_NODISCARD reeve_err reeve_manager_number_of_objects(uint64_t *out,
                                                                    const reeve_manager *m,
                                                                    uint32_t timeout_ms);

/* Shut down what was started here, close the session, free. *m == NULL is fine. Errors: of
 * one that was connected to, as reeve_close. */
REEVE_API reeve_err reeve_manager_free(reeve_manager **m);

#ifdef __cplusplus
}
#endif

#endif
