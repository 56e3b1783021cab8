#ifndef REEVE_ERROR_H
#define REEVE_ERROR_H

/*
 * error.h -- the codes that every call returns, and their words.
 *
 * 0 is success, and OWNER_DIED is one with news: what was asked for is held. reeve_strerror() has a constant sentence for a code; reeve_errmsg() has this
 * thread's last failure with the who and the why, as in
 *
 *     cannot get from queue jobs: manager tcp://m:7300 has not answered for 9.1 s
 */

#ifndef REEVE_API
#define REEVE_API __attribute__((visibility("default")))
#endif
#define REEVE_NODISCARD __attribute__((warn_unused_result))

#ifdef __cplusplus
extern "C" {
#endif

/* The numbers travel on the wire: append, never reorder. */
#define REEVE_ERRORS(X)                                                                            \
    X(OK, 0, "success")                                                                            \
    X(ENOMEM, 1, "out of memory")                                                                  \
    X(EINVAL, 2, "invalid argument")                                                               \
    X(EPROTO, 3, "malformed or unexpected message")                                                \
    X(ELIMIT, 4, "a configured limit was reached")                                                 \
    X(ENOENT, 5, "no such object")                                                                 \
    X(ETIME, 6, "deadline passed")                                                                 \
    X(ELOST, 7, "connection lost; the outcome is unknown")                                         \
    X(ESTALE, 8, "the manager was replaced; old handles are void")                                 \
    X(EEXPIRED, 9, "the session has ended; its handles are void")                                  \
    X(EPERM, 10, "the key has no right to do this")                                                \
    X(EAUTH, 11, "the key was refused")                                                            \
    X(EEXIST, 12, "exists with other options")                                                     \
    X(ETYPE, 13, "object or value of another type")                                                \
    X(EFULL, 14, "queue is full")                                                                  \
    X(EEMPTY, 15, "queue is empty")                                                                \
    X(ESHUTDOWN, 16, "queue was shut down")                                                        \
    X(ECLOSED, 17, "handle is closed")                                                             \
    X(EFORK, 18, "handle belongs to the parent process")                                           \
    X(ETOOBIG, 19, "item is too large")                                                            \
    X(EVERSION, 20, "the other side speaks another version")                                       \
    X(ETOOMANY, 21, "task_done called too many times")                                             \
    X(ESYS, 22, "the operating system refused")                                                    \
    X(ECANCELED, 23, "the call was cancelled")                                                     \
    X(EGONE, 24, "the object was removed")                                                         \
    X(OWNER_DIED, 25, "acquired; the last owner died while it held it")                            \
    X(ENOTOWNER, 26, "not held by this thread")                                                    \
    X(ERELEASED, 27, "released too many times")                                                    \
    X(EBROKEN, 28, "the barrier is broken")                                                        \
    X(EFENCED, 29, "the lock has been lost; its fence is void")                                    \
    X(EDEADLOCK, 30, "a cycle of owners that wait for each other")                                 \
    X(ENOSPC, 31, "the manager's disk is full")                                                    \
    X(EITEM, 35, "some items failed")                                                              \
    X(ENOAGENT, 36, "no agent can run it")                                                         \
    X(ENOTRUNNING, 37, "the pool is not running")                                                  \
    X(EQUOTA, 48, "a quota of the key was reached")                                                \
    X(ECALL, 56, "a method of an object failed")                                                   \
    X(ECRASHED, 57, "the process of an object has ended")                                          \
    X(ECHANGED, 58, "changed size while it was being read")                                        \
    X(EKEY, 59, "no such key")                                                                     \
    X(EINDEX, 60, "index out of range")                                                            \
    X(EVALUE, 61, "no such value, or one that does not fit")                                       \
    X(EATTR, 62, "no such attribute")

#define REEVE_ERROR_ENUM(name, number, text) REEVE_##name = number,
typedef enum { REEVE_ERRORS(REEVE_ERROR_ENUM) } reeve_err;
#undef REEVE_ERROR_ENUM

/* A constant English sentence for err; never NULL, valid for ever. Does not block. */
REEVE_API const char *reeve_strerror(reeve_err err);

/* What went wrong in this thread's last call that failed, for a person. Borrowed until this
 * thread's next failing call; never NULL. Does not block. */
REEVE_API const char *reeve_errmsg(void);

#ifdef __cplusplus
}
#endif

#endif
