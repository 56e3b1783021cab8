#ifndef RUNNERS_STATE_H
#define RUNNERS_STATE_H

/* runners_state.h -- the structs that the files of the spawn layer share. */

#include "common/wire/task.h"
#include "worker/runners.h"

#include <sys/types.h>

enum zygote_state { ZYGOTE_STARTING, ZYGOTE_UP, ZYGOTE_GONE };

/* A program of an env, stopped in reeve_main(). It outlives its process: when that ends while the
 * env is loaded, another is started with the next runner. */
struct zygote {
    const struct agent_env *env; /* borrowed until runners_unload */
    uint32_t number;             /* its place in the array, for descriptors */
    enum zygote_state state;
    bool hung;    /* it has closed its socket */
    bool loaded;  /* the core heard that it can run */
    char *path;   /* of the program; NULL: our own */
    char *module; /* that our own program loads; NULL */
    bool own_libs;
    pid_t pid;
    int fd;         /* socket */
    int output;     /* what it says before it is up: the loader's complaints */
    rv_ns deadline; /* STARTING: it must be up */
    struct rv_buf said;
    char refused[RV_ZYGOTE_TEXT];
};

enum runner_state {
    RUNNER_EMPTY,
    RUNNER_WAITING,  /* its zygote is asked, or will be when it is up */
    RUNNER_STARTING, /* it runs, and is not ready */
    RUNNER_IDLE,
    RUNNER_BUSY,
};

/* A slot, and the runner in it. */
struct runner_slot {
    enum runner_state state;
    uint32_t number;
    struct zygote *zygote;
    uint64_t serial; /* of the runner; never reused */
    bool asked;      /* its zygote has been asked */
    bool stopping;
    bool broken;     /* it spoke nonsense, and is killed for it */
    rv_ns kill_at;   /* RV_NEVER; a runner that was asked to go and has not gone */
    rv_ns report_at; /* RV_NEVER; the start failed, and that is to be told */
    pid_t pid;
    int pidfd, fd, output;
    struct rv_task_page *page;

    uint64_t job;       /* of its last chunk */
    uint64_t next, end; /* BUSY: items that are not answered */
    uint64_t limit;     /* ours: what was trimmed */

    struct rv_buf in;     /* what came and is not a whole frame */
    struct rv_buf out;    /* what the socket has not taken */
    struct rv_buf held;   /* a frame whose body is coming */
    struct rv_body *body; /* NULL: none is coming */
    size_t body_at;

    struct rv_buf printed;    /* since the last item that was told with output */
    char why[RV_ZYGOTE_TEXT]; /* the initializer's, or of a start that failed */
};

struct runners {
    struct runners_conf conf;
    struct agent *agent;
    const char *relay; /* NULL: none */
    struct runner_slot *slots;
    struct zygote **zygotes; /* NULL: a free place */
    size_t zygotes_len;
    uint64_t last_serial;
    char own_path[4096];
    char own_libs[4096];    /* the folder of our own libreeve */
    struct cannot *cannots; /* to be told */
};

struct cannot {
    uint64_t env;
    char *why;
    bool again; /* as agent_on_loaded has it */
    struct cannot *next;
};

void runners_line(struct runners *r, int level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Which descriptor an event is of. */
enum runners_fd { FD_SOCKET, FD_OUTPUT, FD_ZYGOTE, FD_ZYGOTE_OUTPUT };
bool runners_poll(struct runners *r, int fd, enum runners_fd kind, uint32_t number, uint32_t events,
                  int op);

/* ---- zygotes.c ---- */

/* Starts its process when it has none. */
void zygote_want(struct runners *r, rv_ns now, struct zygote *z);

/* Ask it for a runner in slot; the slot's descriptors are made here. False with slot->why. */
bool zygote_ask(struct runners *r, struct zygote *z, struct runner_slot *s);

void zygote_hear(struct runners *r, rv_ns now, struct zygote *z);
void zygote_hear_output(struct zygote *z);
void zygote_late(struct runners *r, rv_ns now, struct zygote *z);

/* End its process and all its runners, and wait for that; slots are told. why: NULL for how its
 * process ended; again: the next one may come further. */
void zygote_end(struct runners *r, rv_ns now, struct zygote *z, const char *why, bool again);

/* ---- runner_io.c ---- */

/* Queue bytes for the runner; they leave when its socket takes them. */
void slot_send(struct runners *r, struct runner_slot *s, const struct rv_slice *parts, size_t len);
void slot_flush(struct runners *r, struct runner_slot *s);

/* Take in what the runner says, at most `budget` bytes, or with SIZE_MAX all that is there; false
 * when nothing more can come. */
bool slot_hear(struct runners *r, rv_ns now, struct runner_slot *s, size_t budget);

/* Read what lies in the pipe now. */
void slot_drain(struct runner_slot *s);

/* What a runner that has ended had not sent. */
void slot_recover(struct runners *r, rv_ns now, struct runner_slot *s);

/* The last bytes that it printed; they are forgotten with the next slot_forget_output. */
struct rv_slice slot_output(const struct runner_slot *s);
void slot_forget_output(struct runner_slot *s);

/* ---- runners.c ---- */

/* The runner in the slot runs; its pidfd is the slot's. */
void slot_forked(struct runners *r, rv_ns now, struct runner_slot *s, pid_t pid, int pidfd);

/* It has ended, with this status of waitpid. */
void slot_ended(struct runners *r, rv_ns now, struct runner_slot *s, int status);

/* It could not be started. */
void slot_failed(struct runners *r, rv_ns now, struct runner_slot *s, const char *why);

struct runner_slot *slot_of_serial(struct runners *r, uint64_t serial);

#endif
