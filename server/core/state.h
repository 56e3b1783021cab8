#ifndef STATE_H
#define STATE_H

/*
 * state.h -- the structs of the manager, for the files of this folder.
 *
 *   mgr --- sessions --- refs ----> objects (queues)
 *              |           '- consumer: what was granted to this session by this queue
 *              '- calls: parked, each also in a list of its object
 */

#include "server/core/mgr.h"
#include "server/core/rights.h"
#include "server/core/save.h"
#include "common/base/heap.h"
#include "common/base/mutant.h"

#define uthash_malloc(size)    rv_alloc(size)
#define uthash_free(ptr, size) free(ptr)
#define uthash_fatal(text)     rv_assert_failed(__FILE__, __LINE__, text)
#include <stdlib.h>
#include <uthash.h>
#include <utlist.h>

enum timer_kind { TIMER_CALL, TIMER_SESSION, TIMER_OBJECT, TIMER_MEMBER, TIMER_RETRY };

#define owner_of(type, member, ptr) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

struct object;
struct call;
struct ref;
struct hold;
struct undo;
struct box_ops;
struct box_value;

/* A call on an object, as it came. */
struct incoming {
    struct session *session;
    uint64_t number;
    const struct rv_call *msg; /* its arguments are well-formed, unless it is stripped */
    const struct rv_slice *bodies;
    size_t bodies_len;
    size_t *frames; /* body frames used so far: whoever takes items counts them */
    bool stripped;  /* it grows, and stands here only to be refused: see struct command */
};

/* What a type of object does. The tables stand at the ends of the files of the types. */
struct object_ops {
    uint16_t family;           /* of its operations, rv_op_family() */
    const struct box_ops *box; /* of a container, box.h; else NULL */

    /* The options of an open fit this object / are possible at all, else a sentence. */
    bool (*fits)(const struct object *o, const struct rv_object_open_args *args);
    /* Why no object can be made with these options; NULL when one can. May be NULL. */
    const char *(*refuse)(const struct rv_object_open_args *args);
    struct object *(*create)(struct mgr *mgr, const struct rv_object_open_args *args);

    void (*call)(struct mgr *mgr, struct object *o, struct ref *ref, const struct incoming *in);
    /* A parked call ends with an error; answer it, and serve whom that lets go on. */
    void (*end_call)(struct mgr *mgr, struct call *call, reeve_err error);
    void (*timeout)(struct mgr *mgr, struct call *call);
    /* Free what a parked call has of this type; it is in no list any more. */
    void (*unparked)(struct mgr *mgr, struct call *call);
    /* The client gave up on a call that is not parked: undo what it was given. */
    void (*cancel)(struct mgr *mgr, struct object *o, struct ref *ref, uint64_t number);
    /* The session waits on another object: what it holds idle may come back. */
    void (*idle)(struct mgr *mgr, struct ref *ref);
    /* The session lets go; its parked calls have ended. died: not by its own will. */
    void (*drop_ref)(struct mgr *mgr, struct ref *ref, bool died);
    /* The name was removed: end all that wait with EGONE, drop what is inside. */
    void (*removed)(struct mgr *mgr, struct object *o);
    void (*free)(struct mgr *mgr, struct object *o);
    /* For listings: what is not of every object. */
    void (*row)(const struct object *o, struct rv_object_row *row);
    void (*check)(const struct object *o);

    /* What must survive and is not of every object, into a snapshot and back (save.h). The
     * sessions with their holds and parked calls are loaded before. create_empty makes one of
     * zeros, whose struct object the caller fills. */
    struct object *(*create_empty)(void);
    void (*save)(const struct object *o, struct saver *out);
    void (*load)(struct mgr *mgr, struct object *o, struct rv_reader *in);
    /* The same for what a parked call has of this type. */
    void (*save_call)(const struct call *call, struct saver *out);
    void (*load_call)(struct mgr *mgr, struct call *call, struct rv_reader *in);
};

struct object {
    const struct object_ops *ops;
    uint64_t id; /* never zero, never reused */
    uint8_t kind;
    bool removed;            /* no name any more; calls on it end with EGONE */
    uint8_t durable;         /* enum rv_durable: what its calls survive when they are answered */
    uint32_t owner;          /* principal that it counts for; 0: nobody */
    char *name;              /* NULL: anonymous, lives by its references */
    uint32_t refs;           /* rows of sessions that hold it */
    uint64_t nested;         /* references to it in what objects hold */
    uint64_t counted;        /* the same, counted anew by carry_check() */
    struct carried *carries; /* references in what it holds itself */
    uint32_t ttl_ms; /* named: how long it outlives its last reference; UINT32_MAX for ever */
    struct rv_timer timer;
    UT_hash_handle by_id;
    UT_hash_handle by_name;
};

/* The references of one item; they count as long as this lives. carry.h */
struct carried {
    struct carried *prev, *next;
    struct object *holder; /* has the item */
    uint32_t len;
    uint64_t to[]; /* objects */
};

/* A call that waits for its object. */
struct call {
    struct session *session;
    uint64_t number;
    uint16_t op;
    struct object *object;
    struct rv_timer timer; /* its deadline */
    struct call **list;    /* the list of the object in which it stands */
    struct call *prev, *next;
    UT_hash_handle hh; /* in its session, by number */

    uint32_t max;       /* get: at most so many */
    uint32_t credit;    /* get: and so many ahead */
    bool impatient;     /* get: waits for recalled items only */
    struct item *items; /* put: not yet accepted, in order */
    uint32_t accepted;  /* put: so far */
    size_t bytes;       /* put: of its items when it was parked */

    rv_ns since;     /* it waits */
    uint64_t thread; /* who waits, in its session; 0: not known */
    uint64_t lock;   /* condition_wait: what it takes again; 0: the condition's own */
    uint32_t levels; /* condition_wait: so often */
    uint8_t flags;   /* lock_acquire: enum rv_lock_flags */
    bool notified;   /* condition_wait */

    uint64_t seen;       /* waits for a container to have another version */
    struct rv_body *key; /* of this key, as it is spelt; NULL: as a whole */

    struct lock *guard;   /* it ends when nobody holds this with guard_fence; NULL: no guard */
    uint64_t guard_fence; /* shown by its lock_guard */
    struct call *guard_prev, *guard_next;
};

/* A session's hold on an object. */
struct ref {
    uint64_t object_id;
    struct object *object;
    uint32_t count;            /* of handles */
    uint32_t liens;            /* of references that it was handed; it lives by either */
    uint32_t rights;           /* RIGHT_BIT()s, judged when it was opened */
    bool creator;              /* it made the object, and may put and get */
    bool given;                /* it got a reference to it in an item */
    struct consumer *consumer; /* of a queue: NULL until it gets */
    struct reader *reader;     /* of a job: NULL unless results go to it */
    struct hold *holds;        /* of this lock or semaphore, by threads of the session */
    bool stood;                /* it waited at this barrier when its session ended */
    UT_hash_handle hh;
};

struct session {
    uint64_t serial;
    struct rv_id id;
    uint32_t principal;
    uint64_t job;     /* of a task: what this job carries it may use; else 0 */
    uint32_t carrier; /* the principal of its connections: its own, or a worker's for a task */
    uint32_t attempt; /* of the newest connection */
    bool attached;
    bool local;
    uint32_t resume_ms;
    char *host_name;
    char *program;
    uint32_t pid;
    uint64_t applied; /* calls up to this number have taken effect */
    uint64_t calls_total;
    uint64_t bodies; /* numbers given to fragmented bodies that we send */
    uint8_t left;    /* enum rv_left: how it ends, while it does; else CLOSED */
    bool output;     /* an EFFECT_OUTPUT is in the outbox of this step */
    struct rv_stream out;
    struct rv_assembly assembly;
    bool overdrawn;      /* bytes of an item were dropped, because its principal has a quota */
    bool stripped;       /* bytes of items were dropped, because the log's disk was full */
    uint64_t guard_lock; /* its next fenced call counts only while this has that fence; 0: none */
    uint64_t guard_fence;
    struct ref *refs;
    struct call *calls;    /* parked */
    size_t parked_bytes;   /* of items in parked puts */
    uint32_t ahead;        /* items granted ahead to it, all queues */
    struct member *member; /* of an agent; else NULL */
    struct rv_timer timer;
    UT_hash_handle by_serial;
    UT_hash_handle by_id;
};

struct mgr {
    struct mgr_conf conf;
    rv_ns now;
    struct outbox *out;
    uint8_t reached;
    /* enum rv_durable: what the step survives that is being made */ /* of the current step */
    uint64_t last_session;
    uint64_t last_object;
    uint64_t last_fence;
    struct session *sessions;       /* by serial */
    struct session *sessions_by_id; /* by id */
    struct object *objects;         /* by id */
    struct object *names;           /* by name */
    bool names_sorted;
    struct rv_log_stat log;        /* as the shell told it last; for people */
    bool full;                     /* the log's disk: what makes the state grow is refused */
    struct principal **principals; /* by id */
    size_t principals_len;
    struct rv_heap heap;
    struct lock *guard; /* of the call that is being applied; NULL: none */
    uint64_t guard_fence;
    struct rv_buf scratch;    /* arguments and results on their way out */
    struct rv_buf items;      /* a list of items on its way out */
    struct rv_buf key;        /* as it is spelt */
    struct undo *undos;       /* changes of containers by the call that is being applied */
    size_t made;              /* bytes that it took for them, or so: see box_made() */
    struct box_value *answer; /* values on their way out */
    size_t answer_cap;
    struct item *spare; /* item nodes for reuse */
    uint64_t *loose;    /* objects that lost a reference in this step, to be looked at */
    size_t loose_len, loose_cap;
    struct blob *blobs; /* by digest */
    uint64_t blobs_bytes;
    uint64_t blob_uses;
    struct job *jobs;       /* all, oldest first */
    struct job *ready;      /* have items for agents, in turn */
    struct member *members; /* all agents */
    struct member *hungry;  /* those that take more chunks, in turn */
    /* When an idle slot may get a part of what others have, though nothing happens until then. It follows from
     * the rest; what a deadline does, too, so that a snapshot need not know it. */
    rv_ns look_at;
    bool slots_freed;       /* by a job that ended in this step: dealt when the step is over */
    uint32_t slots;         /* of agents that are there */
    uint32_t lonely;        /* jobs with suspects, which want an agent for themselves */
    struct ticket *tickets; /* sessions of tasks that may come, by id */
    uint64_t last_chunk;
    char why[128];      /* of the last refusal by a quota */
    uint64_t last_dead; /* number of a dead letter */
    uint64_t commands, puts, gets, redelivered, refused, dead;
};

/* ---- mgr.c, for the object kinds ---- */

void mgr_say(struct mgr *mgr, int level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Answer a numbered call. text may be NULL: the error's own words. result may be empty. */
void mgr_reply(struct mgr *mgr, struct session *s, uint64_t number, reeve_err error,
               const char *text, struct rv_slice result, struct rv_body *const *bodies,
               size_t bodies_len);

/* A line for the audit alone: who was refused what. */
void mgr_refused(struct mgr *mgr, const struct session *s, const struct rv_call *msg,
                 reeve_err error);

/* The same without a result. */
void mgr_reply_text(struct mgr *mgr, struct session *s, uint64_t number, reeve_err error,
                    const char *text);

/* Answer a read, on the connection that it came on. */
void mgr_answer(struct mgr *mgr, struct session *s, uint64_t id, reeve_err error, const char *text,
                struct rv_slice result);

/* Send a connection away that has no session yet. */
void mgr_refuse(struct mgr *mgr, uint64_t peer, reeve_err error, const char *text);

/* reads.c: step on a question. */
void mgr_on_read(struct mgr *mgr, struct session *s, const struct rv_read *msg);

/* A copy of text with an end. */
char *mgr_text(struct rv_slice text);

/* Tell a session something it did not ask for. */
void mgr_push(struct mgr *mgr, struct session *s, uint16_t op, uint64_t object,
              struct rv_slice args, struct rv_body *const *bodies, size_t bodies_len);

/* Park a call in a list of its object until the deadline. NULL when the session has too many
 * parked. */
struct call *mgr_park(struct mgr *mgr, struct session *s, const struct rv_call *msg,
                      uint64_t number, struct object *object, struct call **list);

/* Why a call with so many bytes of items could not be parked. */
reeve_err mgr_why_not_parked(struct mgr *mgr, const struct session *s, uint64_t bytes,
                             const char **text);

/* Park it, or answer that too much waits in the session and return NULL. */
struct call *mgr_park_or_refuse(struct mgr *mgr, const struct incoming *in, struct object *object,
                                struct call **list);

/* A refused call's items are taken off the frame and the assembly, and dropped. */
void mgr_skip_items(struct session *s, const struct incoming *in);

/* Why a session may not do this to the object of its hold, NULL: it has none; OK when it may. */
reeve_err mgr_may(const struct ref *ref, const struct rv_op_info *op);

/* Take a call out of all lists and free it. The caller answers it. */
void mgr_unpark(struct mgr *mgr, struct call *call);

/* What is asked to survive `durable` does so: both enum rv_durable. */
uint8_t mgr_reaches(const struct mgr *mgr, uint8_t durable);

void principal_free(struct principal **p);
const struct principal *mgr_principal(const struct mgr *mgr, uint32_t id);
const char *mgr_principal_name(const struct mgr *mgr, uint32_t id); /* "?" when unknown */

#endif
