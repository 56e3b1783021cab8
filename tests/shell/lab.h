#ifndef LAB_H
#define LAB_H

/*
 * lab.h -- what a test of the library needs: a private folder with keys, a manager, threads,
 * processes, and clocks.
 */

#include "common/net/keys.h"
#include "tests/lib/check.h"

#include <reeve.h>

#include <pthread.h>
#include <sys/types.h>

/* OK, or the end of the test with the library's words. */
#define OK(call)           lab_expect(__FILE__, __LINE__, #call, (call), REEVE_OK)
#define FAILS(error, call) lab_expect(__FILE__, __LINE__, #call, (call), (error))
void lab_expect(const char *file, int line, const char *text, reeve_err got, reeve_err wanted);

/* The library's last words in this thread contain these. */
#define SAYS(words) lab_says(__FILE__, __LINE__, (words))
void lab_says(const char *file, int line, const char *words);

struct lab {
    char dir[64];
    char key_path[128]; /* of a client with the role admin that trusts the manager */
    struct rv_keyfile manager;
    struct rv_keyfile client;
};

/* A folder of its own with manager.key, client.key and authorized.d; HOME is there, no REEVE_*
 * is in the environment. */
void lab_begin(struct lab *lab);

/* Remove it. With the address sanitizer, what is not freed by now fails the test. */
void lab_end(struct lab *lab);

/* Write a client's key file that trusts the given managers, and admit it with this role and
 * rights (NULL: do not admit). */
void lab_client(const struct lab *lab, const char *name, const char *const *servers,
                size_t servers_len, const char *role, const char *rights, char *path,
                size_t path_len);

/* A file in the folder. */
void lab_file(const struct lab *lab, const char *name, const char *text, char *path, size_t len);

/* ---- a real manager ---- */

struct manager {
    pid_t pid;
    int lifeline;
    char url[256];
};

/* bind: ipc://..., or tcp://127.0.0.1:0; url is the real endpoint when it returns. */
void manager_start(struct manager *m, const struct lab *lab, const char *bind);
void manager_start_ipc(struct manager *m, const struct lab *lab);
/* The same with a log, in which it finds what the last one had. */
void manager_start_log(struct manager *m, const struct lab *lab);
void manager_kill(struct manager *m); /* SIGKILL, and it is gone when this returns */
int manager_wait(struct manager *m);  /* until it ends by itself: its exit code */

/* ---- a real agent ---- */

struct worker {
    pid_t pid;
    int lifeline;
    char log[128]; /* the file of what it says */
};

/* With so many slots, serving the manager's socket; it has been taken by the manager when this
 * returns. flags: more of them, ending with NULL; or NULL. */
void worker_start(struct worker *w, const struct lab *lab, const char *url, const char *slots,
                  const char *const *flags);
int worker_end(struct worker *w); /* SIGTERM, and its exit code */
bool worker_says(const struct worker *w, const char *words);

/* ---- processes and threads ---- */

/* fn(arg, fd) in a process; what it writes to fd comes out of *from. */
pid_t lab_process(void (*fn)(void *arg, int fd), void *arg, int *from);
void lab_kill(pid_t pid);
int lab_exit_code(pid_t pid);

/* A byte as an event between processes; false: the other end is closed. */
void lab_tell(int fd);
bool lab_hear(int fd);

pthread_t lab_thread(void *(*fn)(void *arg), void *arg);
void lab_join(pthread_t thread);

/* ---- contexts ---- */

/* With url and the lab's key; the test ends when it can't. */
reeve_context *lab_open(const struct lab *lab, const char *url);
reeve_queue *lab_queue(reeve_context *ctx, const char *name, const reeve_queue_options *options);

/* An integer as an item, and out of one. */
reeve_err lab_put_int(reeve_queue *q, int64_t x, uint32_t timeout_ms);
reeve_err lab_get_int(int64_t *x, reeve_queue *q, uint32_t timeout_ms);

/* A number of reeve_status(), or of the row of this session's pid in reeve_sessions(). */
uint64_t lab_status(reeve_context *ctx, const char *word);
uint64_t lab_sessions(reeve_context *ctx, const char *program, const char *word);
uint64_t lab_listed(reeve_context *ctx, const char *name, const char *word);

/* ---- clocks and counters ---- */

int64_t lab_ms(void);     /* since some start */
int64_t lab_cpu_ms(void); /* of this process */
int64_t lab_wakes(void);  /* times that its threads gave up the processor by themselves */
unsigned lab_fds(void);   /* descriptors that are open */
unsigned lab_threads(void);
uint64_t lab_resident(pid_t pid); /* KiB that a process has in memory */

/* How often to do something: what the environment says, for long runs, or so often. */
uint64_t lab_rounds(const char *word, uint64_t otherwise);

/* Ask until it is true, and not once more: what comes and goes may be gone again. Fails after so many
 * milliseconds. For states that have no event. */
#define EVENTUALLY(ms, truth)                                                                      \
    do {                                                                                           \
        int64_t lab_until_ = lab_ms() + (ms);                                                      \
        while (!(truth)) {                                                                         \
            if (lab_ms() >= lab_until_)                                                            \
                check_failed(__FILE__, __LINE__, #truth);                                          \
            lab_nap();                                                                             \
        }                                                                                          \
    } while (0)
void lab_nap(void);

#endif
