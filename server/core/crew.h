#ifndef CREW_H
#define CREW_H

/*
 * crew.h -- the agents, as the manager knows them: their slots, their chunks, whom to give more.
 *
 *   open --> HUNGRY <--> FED --- detached --> AWAY --- 100 ms --> its chunks are dealt again
 *              ^                               |  '-- its session ends: gone, all goes back
 *              '---------- resumed ------------'
 */

#include "server/core/job.h"

/* What an agent was told of a job. */
struct known {
    uint64_t job;
    bool cannot; /* it said that it cannot run it */
    UT_hash_handle hh;
};

struct member {
    struct object object; /* first: an agent is an object */
    struct session *session;
    char *name, *labels, *machine;
    struct rv_id host;
    uint64_t incarnation;
    uint32_t slots;
    bool draining, away, hungry;
    struct chunk *chunks; /* oldest first */
    struct chunk *by_id;
    uint32_t chunks_len;
    uint64_t load; /* ns of its chunks, as expected */
    struct known *known;
    struct rv_timer timer; /* AWAY: deal its chunks again */
    uint64_t done, crashed;
    struct member *prev, *next;
    struct member *prev_hungry, *next_hungry;
};

/* A session that a task may open. */
struct ticket {
    struct rv_id session;
    uint64_t member; /* object id */
    uint32_t principal;
    uint64_t job;
    UT_hash_handle hh;
};

extern const struct object_ops member_ops;

void crew_on_open(struct mgr *mgr, const struct incoming *in);

/* Its session lost its connection, or has it again; the deadline of the first has come. */
void crew_on_detach(struct mgr *mgr, struct member *m);
void crew_on_resume(struct mgr *mgr, struct member *m);
void crew_on_timer(struct mgr *mgr, struct member *m);

/* The job of the chunk that an agent's call begins with; NULL when the agent has no such chunk. */
const struct object *crew_job_of(const struct object *agent, struct rv_slice args);

/* In or out of the list of those that take more. */
void crew_refresh(struct mgr *mgr, struct member *m);

/* Give chunks to whoever takes them, as long as there are any. */
void crew_deal(struct mgr *mgr);

/* The chunk is over; all its items are answered or back. */
void crew_drop_chunk(struct mgr *mgr, struct chunk *c);

/* The job is over: whoever knows of it hears that. */
void crew_forget_job(struct mgr *mgr, const struct job *job);

/* Agents that might run the job, and their slots. */
uint32_t crew_able(const struct mgr *mgr, const struct job *job, uint32_t *slots);

/* The principal of a session that a task was promised, or NULL; it is used up. */
bool crew_use_ticket(struct mgr *mgr, const struct rv_id *session, uint32_t carrier,
                     uint32_t *principal, uint64_t *job);
/* The session is here already. */
void crew_void_ticket(struct mgr *mgr, const struct rv_id *session);

/* A chunk stands in the lists of its job and its agent, and counts there. */
void crew_bind_chunk(struct chunk *c);

/* work_save.c: in a snapshot; programs before the objects, what ties jobs and agents behind. */
struct object *member_create_empty(void);
void member_save(const struct object *o, struct saver *out);
void member_load(struct mgr *mgr, struct object *o, struct rv_reader *in);
void work_save_blobs(const struct mgr *mgr, struct saver *out);
void work_load_blobs(struct mgr *mgr, struct rv_reader *in);
void work_save(const struct mgr *mgr, struct saver *out);
void work_load(struct mgr *mgr, struct rv_reader *in);

void crew_read_list(struct mgr *mgr, struct session *s, const struct rv_read *msg);
void crew_check(const struct mgr *mgr);

#endif
