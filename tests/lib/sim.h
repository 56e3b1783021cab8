#ifndef SIM_H
#define SIM_H

/*
 * sim.h -- a server, its clients and the network between them, in one process and one thread.
 *
 *     struct sim s;
 *
 *     sim_start(&s, 2);                          two clients, connected
 *     sim_open(&s, 1, "jobs", NULL);             runs until it is done
 *     sim_open(&s, 2, "jobs", NULL);
 *     sim_put(&s, 1, "a");                       begins, and returns at once
 *     sim_get(&s, 2, 1000);
 *     sim_expect(&s, "[    4] get.ok client=2 item=a\n");
 *     sim_stop(&s);
 *
 * The cores are the real ones, the log with its files is (on a disk in memory that forgets, when
 * the server crashes, what was not flushed); the shells around them are imitated here: connections made of two
 * ordered pipes, and faults. Time is virtual; every chance comes from one seed. After every
 * step the manager is checked, and the sim keeps its own book of every item (sim_book.c).
 *
 *   client ops --> link --> pipe --> gate --> log --> mgr
 *                                                      |
 *              <-- link <-- pipe <-- gate <------------'
 */

#include "proxy/core/channel.h"
#include "server/core/gate.h"
#include "server/core/journal.h"
#include "server/core/log.h"
#include "tests/lib/disk_mem.h"
#include "worker/core/agent.h"
#include "common/base/heap.h"
#include "common/base/mutant.h"

#ifndef RV_SIM_CLIENTS /* a speed program wants more */
#define RV_SIM_CLIENTS 12
#endif

enum {
    SIM_CLIENTS = RV_SIM_CLIENTS,
    SIM_QUEUES = 5,     /* handles of one client */
    SIM_REFS = 2,       /* references in one item */
    SIM_OBJECTS = 8192, /* more than a history makes */
    SIM_BATCH = 24,     /* items of one put_many */
    SIM_THREADS = 4,    /* scripts of one client */
    SIM_SLOTS = 4,      /* of an agent */
};

struct sim;
struct sim_client;
struct sim_conn;
struct sim_op;
struct sim_sync;
struct sim_sync_book;
struct sim_box_book;
struct sim_deed;

/* Something that happens at a virtual instant. */
struct sim_event {
    struct rv_timer timer; /* first */
    void (*fire)(struct sim *s, void *arg);
    void *arg;
};

void sim_at(struct sim *s, struct sim_event *e, rv_ns at);
void sim_never(struct sim *s, struct sim_event *e);

/* ---- faults ---- */

#define SIM_FAULTS(X)                                                                              \
    X(DROP, "frames dropped on a living connection")                                               \
    X(REPEAT, "frames that came twice")                                                            \
    X(REORDER, "frames overtaken")                                                                 \
    X(RESET, "connections reset")                                                                  \
    X(ONE_WAY, "directions cut")                                                                   \
    X(PARTITION, "clients partitioned")                                                            \
    X(CRASH_GONE, "clients crashed on the server's host")                                          \
    X(CRASH_LOST, "clients crashed elsewhere")                                                     \
    X(CRASH_SILENT, "clients' hosts lost")                                                         \
    X(CLIENT_STOP, "clients stopped")                                                              \
    X(SERVER_STOP, "servers stopped")                                                              \
    X(SERVER_CRASH, "servers crashed")                                                             \
    X(FULL, "disks full")                                                                          \
    X(SLOW, "clients slow to read")                                                                \
    X(RUNNER, "runners killed")                                                                    \
    X(BUSY, "frames that a full connection refused")

#define SIM_FAULT_ENUM(name, text) SIM_##name,
enum sim_fault { SIM_FAULTS(SIM_FAULT_ENUM) SIM_FAULTS_LEN };
#undef SIM_FAULT_ENUM

const char *sim_fault_name(enum sim_fault fault);

/* ---- network (sim_net.c) ---- */

struct sim_frame {
    struct sim_frame *next;
    struct sim_conn *conn; /* in the inbox of the server */
    rv_ns at;
    bool end;  /* not a frame: the connection ends here */
    bool gone; /* and the process behind it is no more */
    size_t bytes;
    struct rv_slice control;
    struct rv_slice bodies[RV_LIMIT_BODIES];
    size_t bodies_len;
    uint8_t data[];
};

struct sim_frames {
    struct sim_frame *head, *tail;
    size_t len, bytes;
};

struct sim_pipe {
    struct sim_event event; /* first */
    struct sim_conn *conn;
    bool to_server;
    struct sim_frames frames; /* by arrival */
    rv_ns last_at;
    rv_ns mute_until; /* one-way cut */
};

struct sim_conn {
    uint64_t peer;
    struct sim_client *client; /* NULL: its process is no more */
    int number;                /* of the client */
    bool client_open, server_open;
    bool host_lost; /* nobody answers at the client's address */
    struct sim_pipe up, down;
    struct sim_event setup;
    bool answered;
    struct sim_conn *prev, *next;
};

/* What happens to the frames of one client. */
struct sim_weather {
    rv_ns noise_until;
    uint32_t drop, repeat, reorder; /* of 1000 frames */
    rv_ns partition_until;
};

void sim_connect(struct sim *s, struct sim_client *c);
void sim_disconnect(struct sim *s, struct sim_client *c);
/* False: the connection is full. */
bool sim_send(struct sim *s, struct sim_conn *conn, bool to_server, struct rv_slice control,
              const struct rv_slice *bodies, size_t bodies_len);
void sim_send_end(struct sim *s, struct sim_conn *conn, bool to_server, bool gone);
struct sim_conn *sim_conn_of(struct sim *s, uint64_t peer);
struct sim_frame *sim_frames_take(struct sim_frames *f);
void sim_frames_add(struct sim_frames *f, struct sim_frame *frame);
void sim_frames_free(struct sim_frames *f);
/* Both ends learn in their own time that the connection is no more; what was under way is lost. */
void sim_reset(struct sim *s, int client);
void sim_mute(struct sim *s, int client, bool to_server, uint32_t ms);
void sim_partition(struct sim *s, int client, uint32_t ms);
void sim_noise(struct sim *s, int client, uint32_t ms, uint32_t drop, uint32_t repeat,
               uint32_t reorder);
void sim_net_free(struct sim *s);

/* ---- server (sim_server.c) ---- */

struct sim_command {
    struct sim_command *next;
    struct command cmd;
    struct rv_slice bodies[RV_LIMIT_BODIES];
    uint8_t data[];
};

struct sim_group {
    struct sim_command *head, *tail;
};

struct sim_server {
    struct rv_log log; /* first: its ops find the server */
    struct rv_log_callbacks callbacks;
    struct sim *sim;
    bool up, stopped;
    bool memory;    /* no disk */
    bool replaying; /* what was said already */
    rv_ns stopped_at;
    struct rv_id store;
    uint64_t term;
    struct mgr *mgr;
    struct gate *gate;
    struct outbox out;
    struct sim_group open, committing;
    rv_ns commit_at;
    bool expiring; /* an EXPIRE is on its way through the log */
    struct disk_mem disk;
    struct journal *journal;
    uint64_t index;        /* of the record that was added last */
    uint64_t stepped;      /* and of the one that was stepped on last */
    uint64_t flushed;      /* and of the last that was flushed */
    uint64_t flushes;      /* groups that were */
    uint64_t promised;     /* record that a crash must leave */
    bool full;             /* as the shell was told */
    struct rv_buf records; /* of the group that is being written, */
    size_t written;        /* as far as there was room */
    struct sim_frames inbox, ends;
    struct sim_event wake;
    bool power; /* fails with the next crash; in a history always */
    uint64_t steps;
    uint64_t stores;
    char *portrait;      /* of the manager, when it crashed */
    struct rv_buf state; /* and all of it, if it could be saved */
};

/* sim_log.c */
extern const struct rv_log_ops sim_log_ops;
void sim_log_make(struct sim *s);
void sim_log_crash(struct sim *s);  /* before the manager is freed */
void sim_log_replay(struct sim *s); /* into a new one */
/* A reply leaves as message `number` of a session, and says what it survives: whatever that names may
 * happen at once. */
void sim_log_promise(struct sim *s, uint64_t serial, uint64_t number, uint8_t durable);
void sim_log_look(struct sim *s); /* how much room there is, at a start */
void sim_log_free(struct sim *s);

/* A new manager as the server makes it; what happens when a command was committed. */
struct mgr *sim_server_mgr(struct sim *s);
void sim_server_step(struct sim_server *sv, const struct command *cmd);

void sim_server_start(struct sim *s);
void sim_server_free(struct sim *s);
void sim_server_wake(struct sim *s);
/* The process ends without a word and loses what was not committed; quiet: its host went with
 * it, so clients learn by silence. */
void sim_server_crash(struct sim *s, bool quiet);
/* The same, and the power fails: also what was written and not flushed is lost. */
void sim_server_power(struct sim *s);
void sim_server_restart(struct sim *s);
/* The log's disk is full, or has room again. */
void sim_server_space(struct sim *s, bool full);
/* It has room for so many bytes from now on: below 1 MiB it is full. */
void sim_server_room(struct sim *s, uint64_t bytes);
void sim_server_stop(struct sim *s);
void sim_server_continue(struct sim *s);
/* Change, add or (no role) remove principal 1. */
void sim_principal(struct sim *s, const char *role, const char *rights);
void sim_quota(struct sim *s, const char *quotas); /* as an admin */

/* ---- clients (sim_client.c) ---- */

struct sim_options {
    uint32_t maxsize;
    enum rv_order order;
    bool joinable;
    uint32_t ttl_ms;
    enum { SIM_CREATE_OR_GET, SIM_MUST_EXIST, SIM_MUST_NOT_EXIST } create;
    bool no_prefetch;
    enum rv_durable durable;
    uint32_t deliveries, retry_ms, retry_max_ms;
    const char *dead; /* NULL: NAME.dead */
};

/* An item that an application of a joinable queue has to report done. */
struct sim_held {
    uint64_t item, delivery;
    int queue;
};

/* A handle. */
struct sim_queue {
    bool used;
    bool opened; /* and ready */
    int book;    /* the queue in the book */
    struct rv_channel channel;
    uint64_t *fed; /* items in puts that are not answered */
    size_t fed_len, fed_cap;
};

enum sim_op_kind {
    SIM_OP_OPEN,
    SIM_OP_PUT,
    SIM_OP_GET,
    SIM_OP_JOIN,
    SIM_OP_SHUTDOWN,
    SIM_OP_SIZE,
    SIM_OP_REMOVE,
    SIM_OP_REQUEUE,
    SIM_OP_SYNC, /* of sim_sync.h */
    SIM_OP_BOX,  /* of sim_box.h */
};

/* What a call of a lock or its kin is about. */
struct sim_sync_op {
    uint16_t op; /* RV_OP_object_open: the open of the handle */
    int handle, other;
    uint64_t thread;
    uint32_t timeout_ms; /* of the manager; the caller's own patience may have no end */
    uint32_t number;     /* notify: how many; release of a barrier: 1 failed */
    bool action, no_cycle;
    bool here;         /* it needed no message */
    reeve_err here_is; /* and ended so */
    uint64_t fence, round;
    uint64_t guard;   /* the fence that it shows; 0: none */
    int guard_handle; /* of this lock */
    uint32_t index;
    bool notified, run, told_death;
};

/* A blocking call of a thread of a client. */
struct sim_op {
    enum sim_op_kind kind;
    struct sim_client *client;
    int queue; /* its handle */
    uint32_t timeout_ms;
    rv_ns begun_at;
    rv_ns deadline_at;
    rv_ns cancel_at; /* its thread gives up then, without a word from the library */
    struct rv_request *request;
    rv_ns ended_at;
    reeve_err error;
    bool call; /* PUT: as one call that waits for room */
    bool done;
    uint64_t items[SIM_BATCH]; /* PUT: ids; GET: what came */
    uint32_t deliveries[SIM_BATCH];
    size_t items_len, items_done;
    struct sim_options options; /* OPEN */
    char name[32];              /* REMOVE, REQUEUE */
    uint32_t max;               /* GET */
    struct rv_dead_requeue_result requeued;
    uint32_t accepted;
    int64_t priority;
    struct rv_queue_size_result size;
    struct sim_sync_op sync;
    struct sim_deed *deed;                           /* BOX: the book's */
    void (*ended)(struct sim *s, struct sim_op *op); /* NULL: it is told in the story */
    void *arg;
    struct sim_op *prev, *next;
};

struct sim_client {
    struct sim *sim;
    int number;
    bool alive, stopped;
    bool pumping; /* it is in the middle of its turn */
    rv_ns continued_at;
    bool ready; /* as told in the story */
    bool leaving;
    rv_ns slow_until; /* it reads slowly until then */
    rv_ns slow_next;
    uint32_t life; /* in the book */
    struct rv_id session;
    struct rv_link link;
    struct sim_queue queues[SIM_QUEUES];
    struct sim_held *held;
    size_t held_len, held_cap;
    uint64_t *liens; /* objects that came as references, and are kept */
    size_t liens_len, liens_cap;
    struct sim_op *ops;
    uint8_t reached;       /* enum rv_durable: what the last answer said */
    struct sim_sync *sync; /* its handles of locks and their kin */
    uint64_t boxes[8];     /* and of containers: objects, or 0 */
    struct sim_conn *conn;
    struct sim_frames inbox;
    struct sim_event wake;
    struct sim_weather weather;
    uint32_t resume_ms;
    rv_ns idle_until;
    uint32_t slots;                                    /* of an agent; 0: it is none */
    uint32_t machine;                                  /* number of its host; 0: its own */
    const char *labels;                                /* of an agent */
    uint32_t lives;                                    /* of this client, so far */
    struct sim_agent *agent;                           /* NULL: it is none */
    struct sim_job *job;                               /* the map that it runs; NULL: none */
    void (*idle)(struct sim *s, struct sim_client *c); /* a script's turn */
    void (*died)(struct sim *s, struct sim_client *c); /* NULL: it is told in the story */
};

void sim_client_start(struct sim *s, int client);
enum sim_death { SIM_DEATH_GONE, SIM_DEATH_LOST, SIM_DEATH_SILENT };
void sim_client_kill(struct sim *s, int client, enum sim_death how);
void sim_client_stop(struct sim *s, int client);
void sim_client_continue(struct sim *s, int client);
void sim_client_goodbye(struct sim *s, int client);
/* Its turn: now, but never from inside it (an idle hook, a call that ends); or as soon as that is over. */
void sim_client_pump(struct sim *s, struct sim_client *c);
void sim_client_nudge(struct sim *s, struct sim_client *c);
void sim_client_free(struct sim *s, struct sim_client *c);
/* Give the process up and free all it had; its connection is the caller's matter. */
void sim_client_end(struct sim *s, struct sim_client *c);

struct sim_op *sim_op_new(struct sim *s, int client, enum sim_op_kind kind, int queue,
                          uint32_t timeout_ms);
void sim_op_begin(struct sim *s, struct sim_op *op);
void sim_op_abandon(struct sim *s, struct sim_op *op);
int sim_begin_open(struct sim *s, int client, const char *name, const struct sim_options *options,
                   struct sim_op **op);
/* Say anything to the manager and run until it has answered. args are freed; the result is the caller's, if
 * it is wanted. */
reeve_err sim_ask(struct sim *s, int client, uint16_t op, uint64_t object, struct rv_buf *args,
                  struct rv_buf *result);
void sim_queue_close(struct sim *s, int client, int queue);
/* The item that is put next refers to the object of a handle. */
void sim_refer(struct sim *s, uint64_t item, const struct sim_client *c, int queue);
/* The i-th reference that the client keeps is let go. */
void sim_unlien(struct sim *s, int client, size_t i);
/* Report the i-th item that the client holds done. */
reeve_err sim_task_done(struct sim *s, int client, size_t i);

/* ---- agents and their runners (sim_agent.c) ---- */

enum sim_fate { SIM_RUNS, SIM_FAILS, SIM_CRASHES, SIM_HANGS, SIM_KILLS /* its agent */ };

/* What happens to the items of a story or history. NULL: each takes 10 ms and succeeds. */
struct sim_play {
    rv_ns (*takes)(struct sim *s, const struct sim_client *agent, uint64_t index);
    enum sim_fate (*fate)(struct sim *s, uint64_t index, uint32_t run);
    const char *cannot;   /* a program that no host can run, and why */
    bool bad_initializer; /* runners never become ready */
    bool keeps;           /* runners keep their values until the end, and lose them as they end */
    uint32_t early;       /* so many more programs are ended by a signal before they are up ... */
    uint32_t unready;     /* ... and so many runners before they are ready */
    bool tell;            /* a line for each item that begins */
};

/* The next sim_client_start makes this client an agent with so many slots. */
void sim_agent_start(struct sim *s, int client, uint32_t slots);
void sim_agent_begin(struct sim *s, struct sim_client *c);
void sim_agent_step(struct sim *s, struct sim_client *c);
rv_ns sim_agent_deadline(const struct sim_client *c);
void sim_agent_end(struct sim *s, struct sim_client *c);
void sim_agent_drain(struct sim *s, int client);
uint32_t sim_busy(const struct sim *s, int client); /* slots in which something runs */
uint32_t sim_starting(const struct sim *s, int client);
/* The runner in a slot is killed by a stranger. */
void sim_runner_kill(struct sim *s, int client, uint32_t slot);
/* The same of a program that runners come from: they end with it. */
void sim_zygote_kill(struct sim *s, int client);

/* ---- maps (sim_job.c) ---- */

struct sim_map {
    int refers; /* each item refers to the object of this handle; 0: none does */
    uint64_t items;
    uint32_t put_chunk; /* of its puts, instead of the job's */
    uint32_t chunk, retries, runs_max, timeout_ms, processes;
    bool stream;        /* how many will come is said at the end */
    const char *name;   /* detached */
    bool leave;         /* when all its items are there */
    bool attach;        /* to the job of that name; items: as many as it has */
    bool remove;        /* when all has come */
    const char *labels; /* "" */
    enum rv_durable durable;
};

void sim_job_begin(struct sim *s, struct sim_client *c, const struct sim_map *map);
void sim_job_progress(struct sim *s, struct sim_client *c);
void sim_job_end(struct sim *s, struct sim_client *c);
/* The story's: begins a map, whose end is told. */
void sim_map(struct sim *s, int client, const struct sim_map *map);
void sim_cancel(struct sim *s, int client);
void sim_cancel_named(struct sim *s, int client, const char *name);

/* ---- the book (sim_book.c): what the applications saw ---- */

enum sim_put { SIM_PUT_SENT, SIM_PUT_ACCEPTED, SIM_PUT_REFUSED, SIM_PUT_UNKNOWN };

struct sim_item {
    char label[16];
    int queue;
    uint32_t producer; /* life * SIM_THREADS + thread */
    uint32_t len;
    enum sim_put put;
    rv_ns accepted_at;
    uint32_t times;  /* handed to an application */
    uint32_t holder; /* the last life that had it and whose session lives; 0 none */
    uint32_t done;
    bool came_back;  /* the manager may have given it out and taken it back */
    bool must_count; /* it was somebody's when its session died */
    bool died;       /* it was a dead letter, if it is none now */
    uint32_t refs_len;
    uint8_t refs[8 * SIM_REFS]; /* as on the wire */
};

struct sim_book_queue {
    char name[32];
    struct sim_options options;
    bool void_;    /* removed, dropped or gone: its items may be lost */
    bool gone;     /* with its store: another one has the name */
    size_t undone; /* all items before this one are done (joins look no further back) */
};

struct sim_book_life {
    int client;
    struct rv_id session;
    uint64_t serial;
    bool ended;
};

struct sim_book_order;

struct sim_book {
    struct sim_item *items;
    size_t len, cap;
    struct sim_book_queue *queues;
    size_t queues_len;
    struct sim_book_life *lives;
    size_t lives_len;
    struct sim_book_order *orders;
    uint64_t accepted, delivered, redelivered, done, joins, dead, referred;
    uint64_t accepted_by[SIM_OBJECTS]; /* as the manager counted it before this step */
};

int sim_book_queue(struct sim *s, const char *name, const struct sim_options *options);
uint32_t sim_book_life(struct sim *s, int client);
/* A new item of so many bytes (at least 8); the bytes are written by sim_book_bytes. */
uint64_t sim_book_item(struct sim *s, const char *label, int queue, uint32_t producer, size_t len);
void sim_book_bytes(const struct sim *s, uint64_t item, uint8_t *out);
void sim_book_put(struct sim *s, uint64_t item, enum sim_put put);
/* An application has it. Returns its id; complains. */
uint64_t sim_book_got(struct sim *s, const struct sim_client *c, int queue,
                      const struct rv_handed *handed);
void sim_book_done(struct sim *s, uint64_t item);
void sim_book_closed(struct sim *s, const struct sim_client *c, int queue);
void sim_book_joined(struct sim *s, int queue, rv_ns begun_at);
/* Before the manager steps on cmd: who may have to give back what? */
void sim_book_before(struct sim *s, const struct command *cmd);
/* After it: no queue may have taken more than its bound allows. */
void sim_book_after(struct sim *s, const struct command *cmd);
void sim_book_ended(struct sim *s, uint64_t serial);
void sim_book_welcome(struct sim *s, uint32_t life, uint64_t serial);
/* A crash may have taken back the end of a session, which then lives on. */
void sim_book_replayed(struct sim *s);
void sim_book_new_store(struct sim *s);
/* Nothing that was accepted may be missing now. */
void sim_book_finish(struct sim *s);
/* Chunks that the manager has dealt to agents. */
uint64_t sim_chunks(const struct sim *s);

/* Is the item among the dead letters in that queue? */
bool sim_book_is_dead(const struct sim *s, uint64_t id, const char *queue);
/* Objects that are there because items of the manager refer to them. */
size_t sim_book_kept(const struct sim *s);
void sim_book_free(struct sim *s);

/* Everything of a manager that must survive, as text; the caller frees it. */
char *sim_portrait(const struct mgr *mgr);

/* ---- the world (sim.c) ---- */

struct sim {
    rv_ns now;
    rv_ns origin; /* of the story's times */
    struct rv_heap heap;
    struct rv_rng rng;
    rv_ns delay_min, delay_max, commit_max; /* stories: it takes exactly commit_max */
    uint64_t last_peer;
    uint64_t last_id;
    struct sim_conn *conns;
    struct sim_server server;
    struct sim_client clients[SIM_CLIENTS + 1]; /* from 1 */
    struct sim_book book;
    struct sim_sync_book *sync_book;
    struct sim_box_book *box_book; /* NULL: there are no containers */
    rv_ns box_looked;
    struct rv_buf story;
    size_t heard; /* how much of the story was expected already */
    bool random;  /* keep only the end of the story */
    bool mild;    /* crashes of the server end its process, and power stays */
    bool quiet;   /* do not tell it when a promise is broken */
    uint64_t counts[SIM_FAULTS_LEN];
    uint64_t frames;
    void *script; /* the history's */
    struct sim_play play;
    bool unchecked;                 /* no check after each step: it looks at all there is */
    uint64_t snapshots;             /* that were loaded */
    uint64_t promises;              /* of replies that were put to the test */
    rv_ns promise_at;               /* the next that is */
    uint64_t maps, mapped, crashes; /* done, items of them, runs that ended their runner */
    uint64_t removed;               /* of maps, those whose job was removed then */
};

/* A world without clients, with a server. */
void sim_init(struct sim *s, uint64_t seed);

/* The world of a story: clients 1 .. n are connected, a frame takes 1 ms, a commit none. */
void sim_start(struct sim *s, int clients);
void sim_start_memory(struct sim *s, int clients);
void sim_stop(struct sim *s);

rv_ns sim_delay(struct sim *s);
uint64_t sim_below(struct sim *s, uint64_t limit);

/* One event. False when nothing is left. */
bool sim_step(struct sim *s);
void sim_run(struct sim *s, uint32_t ms);
void sim_run_until(struct sim *s, rv_ns at);

/* From here on the story is told, and its times count from 0. */
void sim_mark(struct sim *s);

/* Add a line to the story. */
void sim_say(struct sim *s, const char *format, ...) __attribute__((format(printf, 2, 3)));
const char *sim_error_name(reeve_err err);

/* Step until as many lines were said; they must be these. */
#define sim_expect(s, want) sim_expect_at(s, __FILE__, __LINE__, want)
void sim_expect_at(struct sim *s, const char *file, int line, const char *want);

/* Nothing is said for so long. */
#define sim_expect_silence(s, ms) sim_expect_silence_at(s, __FILE__, __LINE__, ms)
void sim_expect_silence_at(struct sim *s, const char *file, int line, uint32_t ms);

/* A broken promise: tell the story and end. */
_Noreturn void sim_broken(struct sim *s, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* ---- what stories say ---- */

/* Run until it is open, and mark. Returns its error. The handle is 0, 1, ... of that client. */
reeve_err sim_open(struct sim *s, int client, const char *name, const struct sim_options *options);

/* Handle 0. The label is the item. */
void sim_put(struct sim *s, int client, const char *label);
void sim_put_wait(struct sim *s, int client, const char *label, uint32_t timeout_ms);
void sim_put_many(struct sim *s, int client, const char *labels, uint32_t timeout_ms);
void sim_put_priority(struct sim *s, int client, const char *label, int64_t priority);
void sim_put_large(struct sim *s, int client, const char *label, size_t len);
void sim_put_large_wait(struct sim *s, int client, const char *label, size_t len,
                        uint32_t timeout_ms);
/* On one handle an item that refers to the object of another. */
void sim_put_ref(struct sim *s, int client, int queue, const char *label, int refers_to);
struct sim_op *sim_get(struct sim *s, int client, uint32_t timeout_ms);
struct sim_op *sim_get_on(struct sim *s, int client, int queue, uint32_t timeout_ms);
void sim_done(struct sim *s, int client, const char *label);
void sim_join(struct sim *s, int client, uint32_t timeout_ms);
void sim_shutdown(struct sim *s, int client, bool immediate);
void sim_size(struct sim *s, int client);
void sim_remove(struct sim *s, int client, const char *name);
/* All dead letters of the queue. */
void sim_requeue(struct sim *s, int client, const char *name);

#endif
