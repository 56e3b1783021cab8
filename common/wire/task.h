#ifndef RV_TASK_H
#define RV_TASK_H

/*
 * task.h -- between an agent, its zygotes and their runners: all on one host.
 *
 *     agent ==== SEQPACKET: rv_zygote_msg ==== zygote        one for each program
 *       ||                                       | fork
 *       ||====== STREAM: frames of task.def ==== runner      one for each slot
 *       |'------ shared memory: rv_task_page ----'|
 *       '------- pipe: stdout and stderr ---------'
 *
 * The zygote is the shipped program, stopped in reeve_main(). It holds no key and opens nothing.
 *
 * The shared page is written by somebody's program: its reader believes nothing in it.
 */

#include "common/wire/msg.h"

#include <stdatomic.h>

/* ---- the zygote's socket ---- */

#define RV_ENV_ZYGOTE "REEVE_ZYGOTE_FD" /* marks a zygote; the number of its end of the socket */
#define RV_ENV_AGENT  "REEVE_AGENT"     /* the agent's name, for reeve_task_agent() */
#define RV_ENV_RELAY  "REEVE_RELAY"     /* where a task's reeve_open() goes: relay:///PATH */
#define RV_ENV_MODULE "REEVE_MODULE"    /* in the agent's own program: load this before anything */

enum { RV_TASK_VERSION = 2, RV_ZYGOTE_TEXT = 400 };

enum rv_zygote_type {
    RV_ZYGOTE_HELLO = 1, /* to the agent: reeve_main() was reached */
    RV_ZYGOTE_REFUSE,    /* to the agent: it can run nothing; text says why */
    RV_ZYGOTE_FORK,      /* to the zygote, with three descriptors: socket, page, output */
    RV_ZYGOTE_FORKED,    /* to the agent, with the runner's pidfd; pid 0: text says why not */
    RV_ZYGOTE_ENDED,     /* to the agent: status as waitpid() has it */
};

/* In host order and layout: both ends are on one host. version and type stay where they are. */
struct rv_zygote_msg {
    uint32_t version;
    uint32_t type;
    uint64_t serial; /* the agent's number of the runner */
    uint64_t memory; /* FORK: bytes of address space; 0: no limit */
    int32_t pid;
    int32_t status;
    char text[RV_ZYGOTE_TEXT];
};

enum { RV_ZYGOTE_FDS = 3 };

/* ---- the page ---- */

enum {
    RV_TASK_PAGE_BYTES = 4096,
    /* A batch that is not full, one more inline item, and what stands around them. */
    RV_TASK_AREA_BYTES = 2 * RV_LIMIT_RESULT_BATCH_BYTES + 8192,
    RV_TASK_MAP_BYTES = RV_TASK_PAGE_BYTES + RV_TASK_AREA_BYTES,
    RV_TASK_PATH_BYTES = 512,
};

#define RV_TASK_NONE UINT64_MAX

/*
 * started is stored before limit is read, and limit before started is read, both in one total
 * order: either the runner sees that it shall not begin the item, or the agent that it has.
 *
 * After it, in the area, come the frames that the runner has not sent yet. When it dies, its
 * agent finds them there, so that a crash costs the one item that the runner was in.
 */
struct rv_task_page {
    _Atomic uint64_t started;   /* index of the item that it is in; RV_TASK_NONE */
    _Atomic int64_t started_at; /* CLOCK_MONOTONIC, some milliseconds early at most */
    _Atomic uint64_t limit;     /* the agent's: items from here on are not begun */
    _Atomic uint64_t drained;   /* the agent's: bytes of output that it has read or is about to */
    _Atomic uint32_t went;      /* the agent's, a futex: counts the items that waited for it */

    /* Frames in the area: `closed` bytes of whole ones; behind them, if open_count is not zero, a
     * done frame of so many items that still grows. Its head is not written yet. */
    _Atomic uint32_t closed;
    _Atomic uint32_t open_count;
    uint64_t open_first;

    /* Written by the handler of a deadly signal. */
    uint32_t signal; /* 0: none */
    uint64_t address;
    uint64_t pc;
    uint64_t offset;               /* of pc in the file that is mapped there */
    char path[RV_TASK_PATH_BYTES]; /* of that file; empty: not known */
};
_Static_assert(sizeof(struct rv_task_page) <= RV_TASK_PAGE_BYTES, "it is one page");

static inline uint8_t *rv_task_area(struct rv_task_page *page)
{
    return (uint8_t *)page + RV_TASK_PAGE_BYTES;
}

/* ---- frames ---- */

#define RV_TASK_NUMBER(name, number, FIELDS) RV_TASK_##name = number,
enum rv_task_type { RV_TASK_FRAMES(RV_TASK_NUMBER) };
#undef RV_TASK_NUMBER

enum {
    RV_TASK_HEAD = 5,                                 /* length and number */
    RV_TASK_DONE_HEAD = RV_TASK_HEAD + 8 + 8 + 4 + 4, /* of a done frame, before its items */
    RV_TASK_FRAME_MAX = 1024 * 1024,                  /* of a frame without what follows it */
};

/* Write the head of a frame of so many bytes. */
static inline void rv_task_close(uint8_t *frame, size_t len, enum rv_task_type type)
{
    rv_set_number(frame, len - RV_TASK_HEAD, 4);
    frame[4] = (uint8_t)type;
}

/* The bare bytes that follow a frame with these items. False when they are malformed. */
bool rv_task_bodies(const struct rv_items *items, size_t *bytes);

/* The place of an item of this length. */
static inline enum rv_place rv_task_place(size_t len)
{
    return len <= RV_LIMIT_ITEM_INLINE_BYTES ? RV_INLINE
           : len <= RV_LIMIT_BODY_BYTES      ? RV_BODY
                                             : RV_FRAGMENTS;
}

/* Cut text where it may stand in a message: at its limit, without breaking a character, and
 * with spaces for control characters. Changes the text. Returns its length. */
size_t rv_task_text(char *text, size_t len);

#endif
