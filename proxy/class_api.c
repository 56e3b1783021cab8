/*
 * class_api.c -- objects of a program's own types: both sides.
 *
 *     caller                                            its process: an item of a pool
 *       |---- calls: [number, method, args, answers] ---->|   a joinable queue, one handle here
 *       |<--- answers: [number, error, value or words] ---|   a queue of the caller's
 *
 * The queues have no names; references carry them. A call is done when it is answered, so one that was in a
 * process that ended comes back to the next process, which answers for it and does not run it. When
 * there is none, the pool's callback does.
 *
 * A process holds the lock `host` of its instance while it serves: an agent that was out of reach for a moment may run it
 * still when the pool has dealt it a second time, and then the second process waits for the end of the first.
 *
 * For other sessions it has a record, a namespace without a name: its queue of calls, and an RLock that a thread
 * here holds while the instance lives. All that they do is fenced by it, so that a wait for an answer ends
 * when that thread releases it, having written how it ended into the record, or dies with its session.
 */

#include "common/value/value.h"
#include "proxy/pool.h"
#include "proxy/task_state.h"

#include <reeve/class.h>
#include <reeve/context.h>
#include <reeve/lock.h>
#include <reeve/namespace.h>
#include <reeve/queue.h>
#include <reeve/ref.h>
#include <reeve/shared.h>
#include <reeve/value.h>

#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    NEW_MS = 30000,
    END_MS = 10000,
    RESUME_MS = 500, /* after which a call of a process that ended comes back, at the latest */
    NAME_MS = 1000,  /* that a name outlives a session which could not remove it */
    CONSTRUCTED = 0, /* number of the answer that is not one to a call */
    WORDS_MAX = 1020,
};

/* ---- values inside values ---- */

static void put_args(reeve_builder *b, const reeve_builder *args)
{
    reeve_value *value = NULL;
    struct rv_slice bytes;
    struct rv_slice refs;
    uint32_t store = 0;
    reeve_err err = REEVE_OK;

    if (args == NULL) {
        (void)reeve_put_nil(b);
        return;
    }
    err = rv_builder_item(args, &bytes, &refs, &store);
    if (err == REEVE_OK)
        err = rv_value_parse(&value, bytes);
    if (err == REEVE_OK)
        (void)reeve_put_value(b, value);
    else
        (void)reeve_builder_fail(b, err);
    reeve_value_free(&value);
}

/* Element i as a value of its own, which keeps what the whole kept. */
static reeve_err take_out(reeve_value **out, reeve_value *whole, size_t i)
{
    reeve_builder *b = reeve_builder_new();
    struct rv_value_origin *from = rv_value_origin(whole);
    struct rv_slice bytes;
    struct rv_slice refs;
    uint32_t store = 0;
    reeve_err err = reeve_put_value(b, reeve_value_at(whole, i));

    if (err == REEVE_OK)
        err = rv_builder_item(b, &bytes, &refs, &store);
    if (err == REEVE_OK)
        err = rv_value_parse(out, bytes);
    reeve_builder_free(&b);
    if (err != REEVE_OK)
        return rv_fail(err, "cannot take the answer: %s", reeve_strerror(err));
    rv_value_origin(*out)->freed = from->freed;
    rv_value_origin(*out)->lien = from->lien;
    from->freed = NULL;
    return REEVE_OK;
}

/* ---- the process ---- */

struct served {
    const reeve_class *type;
    reeve_task *task;
    reeve_queue *calls;
    const reeve_value *exposed; /* an array, or nil: all */
    reeve_shared *state;        /* [what was saved last], or nil; NULL: it is not kept */
    void *self;
    reeve_builder *out;   /* of a method */
    reeve_builder *reply; /* around it */
};

static bool same(const reeve_value *v, const char *text)
{
    const char *name = NULL;
    size_t len = 0;

    return reeve_get_str(v, &name, &len) && strlen(text) == len && memcmp(name, text, len) == 0;
}

static bool is_exposed(const struct served *s, const char *name)
{
    if (name[0] == '_')
        return false;
    if (reeve_value_type(s->exposed) != REEVE_ARRAY)
        return true;
    for (size_t i = 0; i < reeve_value_len(s->exposed); i++)
        if (same(reeve_value_at(s->exposed, i), name))
            return true;
    return false;
}

static const reeve_method *find_method(const struct served *s, const reeve_value *name)
{
    for (const reeve_method *m = s->type->methods; m != NULL && m->name != NULL; m++)
        if (same(name, m->name) && is_exposed(s, m->name))
            return m;
    return NULL;
}

static void list_methods(const struct served *s)
{
    size_t len = 0;

    for (const reeve_method *m = s->type->methods; m != NULL && m->name != NULL; m++)
        len += is_exposed(s, m->name);
    (void)reeve_put_array(s->out, len);
    for (const reeve_method *m = s->type->methods; m != NULL && m->name != NULL; m++)
        if (is_exposed(s, m->name))
            (void)reeve_put_str(s->out, m->name);
}

/* What a function of the user's left behind, as an error with words. */
static reeve_err outcome(struct served *s, reeve_err err, const char *what)
{
    if (err == REEVE_OK && rv_builder_empty(s->out))
        err = reeve_put_nil(s->out);
    if (err == REEVE_OK)
        err = reeve_builder_check(s->out);
    if (err == REEVE_OK)
        return err;
    if (s->task->text_len == 0)
        (void)reeve_task_fail(s->task, "%s failed: %s", what, reeve_strerror(err));
    return REEVE_ECALL;
}

static reeve_err answer(struct served *s, reeve_queue *answers, uint64_t number, reeve_err err)
{
    reeve_builder_reset(s->reply);
    (void)reeve_put_array(s->reply, 3);
    (void)reeve_put_uint(s->reply, number);
    (void)reeve_put_uint(s->reply, err);
    if (err == REEVE_OK)
        put_args(s->reply, s->out);
    else
        (void)reeve_put_strn(s->reply, s->task->text, s->task->text_len);
    err = reeve_builder_check(s->reply);
    if (err == REEVE_OK)
        err = reeve_queue_put(answers, s->reply, REEVE_FOREVER);
    return err == REEVE_OK ? reeve_queue_flush(answers, REEVE_FOREVER) : err;
}

/* ---- its state ---- */

/* Before the answer leaves: who has that can rely on it. Uses the reply's builder. */
static reeve_err keep(struct served *s)
{
    reeve_builder *b = reeve_builder_new();
    reeve_err err = s->type->save(s->self, s->task, b);

    if (err == REEVE_OK)
        err = reeve_builder_check(b);
    if (err == REEVE_OK) {
        reeve_builder_reset(s->reply);
        (void)reeve_put_array(s->reply, 1);
        put_args(s->reply, b);
        err = reeve_shared_set(s->state, s->reply);
        if (err != REEVE_OK)
            (void)reeve_task_fail(s->task, "its state could not be kept: %s", reeve_errmsg());
    }
    reeve_builder_free(&b);
    if (err == REEVE_OK)
        return err;
    if (s->task->text_len == 0)
        (void)reeve_task_fail(s->task, "its state could not be saved: %s", reeve_strerror(err));
    return REEVE_ECALL;
}

static reeve_err recall(struct served *s, const reeve_value *in)
{
    reeve_ref ref = {0};
    reeve_value *kept = NULL;
    reeve_err err = REEVE_OK;

    if (!reeve_get_ref(reeve_value_at(in, 4), &ref))
        return REEVE_OK;
    if (s->type->save == NULL || s->type->load == NULL)
        return reeve_task_fail(s->task, "its class has no save and load, so nothing can be kept");
    err = reeve_shared_from(&s->state, s->task->ctx, ref);
    if (err == REEVE_OK)
        err = reeve_shared_get(s->state, &kept, NULL);
    if (err != REEVE_OK)
        return reeve_task_fail(s->task, "%s", reeve_errmsg());
    if (reeve_value_type(kept) == REEVE_ARRAY) {
        reeve_builder_reset(s->out);
        err = outcome(s, s->type->load(s->self, s->task, reeve_value_at(kept, 0)), "load");
    }
    reeve_value_free(&kept);
    return err;
}

/* Run it, or say why not. */
static reeve_err run(struct served *s, const reeve_value *call)
{
    const reeve_value *name = reeve_value_at(call, 1);
    const reeve_method *m = find_method(s, name);

    reeve_builder_reset(s->out);
    s->task->text_len = 0;
    if (reeve_value_deliveries(call) > 0) {
        (void)reeve_task_fail(
            s->task, "its process ended in this call, and it was constructed anew (run %u)",
            s->task->run);
        return REEVE_ECRASHED;
    }
    if (same(name, "#methods")) {
        list_methods(s);
        return REEVE_OK;
    }
    if (m != NULL) {
        reeve_err err =
            outcome(s, m->call(s->self, s->task, reeve_value_at(call, 2), s->out), m->name);

        return err == REEVE_OK && s->state != NULL ? keep(s) : err;
    }
    (void)reeve_task_fail(s->task, "it has no such method, or does not expose it");
    return REEVE_ENOENT;
}

/* One call. Errors of the user's go to the caller; what it returns is the end of the instance. */
static reeve_err serve_call(struct served *s, const reeve_value *call)
{
    reeve_ref ref = {0};
    reeve_queue *answers = NULL;
    uint64_t number = 0;
    reeve_err err = REEVE_OK;

    if (!reeve_get_uint(reeve_value_at(call, 0), &number) ||
        !reeve_get_ref(reeve_value_at(call, 3), &ref))
        return REEVE_OK;
    err = reeve_queue_from(&answers, s->task->ctx, ref);
    if (err != REEVE_OK)
        return err == REEVE_ENOENT || err == REEVE_EGONE ? REEVE_OK : err;
    err = answer(s, answers, number, run(s, call));
    if (err == REEVE_ENOENT || err == REEVE_ETOOBIG || err == REEVE_EINVAL || err == REEVE_ELIMIT) {
        (void)reeve_task_fail(s->task, "its value cannot be sent: %s", reeve_errmsg());
        err = answer(s, answers, number, REEVE_ECALL);
    }
    reeve_queue_close(&answers);
    return err;
}

static reeve_err serve_calls(struct served *s)
{
    reeve_err err = REEVE_OK;
    bool over = false;

    while (err == REEVE_OK && !over) {
        reeve_value *call = NULL;

        err = reeve_queue_get(&call, s->calls, REEVE_FOREVER);
        if (err != REEVE_OK)
            break;
        over = reeve_value_type(call) == REEVE_NIL;
        if (!over)
            err = serve_call(s, call);
        if (err == REEVE_OK)
            err = reeve_queue_task_done(s->calls, call);
        reeve_value_free(&call);
    }
    s->task->text_len = 0;
    return err == REEVE_OK ? err
                           : reeve_task_fail(s->task, "an instance has ended: %s", reeve_errmsg());
}

/* in: [calls, answers, args, exposed, state, host] */
reeve_err reeve_class_serve(const reeve_class *type, reeve_task *task, const reeve_value *in,
                            reeve_builder *out)
{
    struct served s = {.type = type,
                       .task = task,
                       .exposed = reeve_value_at(in, 3),
                       .out = reeve_builder_new(),
                       .reply = reeve_builder_new()};
    reeve_queue *answers = NULL;
    reeve_ref calls_ref = {0};
    reeve_ref answers_ref = {0};
    reeve_ref host_ref = {0};
    reeve_lock *host = NULL;
    bool made = false;
    reeve_err err = REEVE_OK;

    (void)out;
    if (!reeve_get_ref(reeve_value_at(in, 0), &calls_ref) ||
        !reeve_get_ref(reeve_value_at(in, 1), &answers_ref) ||
        !reeve_get_ref(reeve_value_at(in, 5), &host_ref))
        err = reeve_task_fail(task, "a class is not called, but made an instance of");
    if (err == REEVE_OK)
        err = reeve_open(&task->ctx, &(reeve_options){.resume_ms = RESUME_MS});
    if (err == REEVE_OK)
        err = reeve_queue_from(&s.calls, task->ctx, calls_ref);
    if (err == REEVE_OK)
        err = reeve_queue_from(&answers, task->ctx, answers_ref);
    if (err == REEVE_OK)
        err = reeve_lock_from(&host, task->ctx, host_ref);
    if (err == REEVE_OK)
        err = reeve_lock_acquire(host, REEVE_FOREVER);
    if (err == REEVE_OWNER_DIED)
        err = REEVE_OK;
    if (err != REEVE_OK && task->text_len == 0)
        (void)reeve_task_fail(task, "%s", reeve_errmsg());
    if (err == REEVE_OK && type->construct != NULL)
        err = outcome(&s, type->construct(&s.self, task, reeve_value_at(in, 2)), "the constructor");
    made = err == REEVE_OK;
    if (made)
        err = recall(&s, in);
    if (err == REEVE_OK) {
        reeve_builder_reset(s.out);
        (void)reeve_put_nil(s.out);
        err = answer(&s, answers, CONSTRUCTED, REEVE_OK);
        reeve_queue_close(&answers);
        if (err == REEVE_OK)
            err = serve_calls(&s);
    }
    if (made && type->destroy != NULL)
        type->destroy(s.self);
    reeve_shared_close(&s.state);
    reeve_queue_close(&answers);
    reeve_queue_close(&s.calls);
    reeve_lock_close(&host);
    (void)reeve_close(&task->ctx);
    reeve_builder_free(&s.out);
    reeve_builder_free(&s.reply);
    return err;
}

reeve_context *reeve_task_context(const reeve_task *task)
{
    return task == NULL ? NULL : task->ctx;
}

/* ---- the caller ---- */

struct reeve_instance {
    pthread_mutex_t mutex; /* of a call: they wait for each other */
    pthread_mutex_t telling;
    pthread_cond_t told_all;
    bool told; /* the callback has been */
    reeve_context *ctx;
    reeve_async *async;
    reeve_queue *calls;
    reeve_queue *answers;
    uint64_t last;           /* number of a call */
    bool made;               /* its constructor has run */
    bool borrowed;           /* another session's, or another handle on one of ours */
    reeve_lock *host;        /* of the process that serves */
    reeve_shared *state;     /* which its processes keep */
    reeve_namespace *record; /* for others */
    reeve_namespace *named;  /* with a name, in which the record is */
    reeve_lock *life;        /* held while it lives, by the keeper */
    uint64_t fence;          /* of that */
    pthread_t keeper;
    bool keeping, released; /* the keeper has it; and shall release it. Under telling */
    reeve_err kept;         /* what came of the keeper's acquire */
    atomic_bool ended;
    atomic_uint holders; /* its owner, and the callback to come */
    reeve_err end;       /* how: written before ended is set */
    char words[WORDS_MAX];
    char label[80];
};

static void leave(reeve_instance *o)
{
    if (atomic_fetch_sub(&o->holders, 1) != 1)
        return;
    reeve_queue_close(&o->calls);
    reeve_queue_close(&o->answers);
    reeve_lock_close(&o->host);
    reeve_shared_close(&o->state);
    reeve_namespace_close(&o->named);
    reeve_namespace_close(&o->record);
    reeve_lock_close(&o->life); /* behind those that it fences */
    pthread_mutex_destroy(&o->mutex);
    pthread_mutex_destroy(&o->telling);
    pthread_cond_destroy(&o->told_all);
    free(o);
}

/* Without the mutex, which a call has that waits. */
static void tell_end(reeve_instance *o)
{
    reeve_builder *b = reeve_builder_new();

    (void)reeve_put_nil(b);
    (void)!reeve_queue_put(o->answers, b, END_MS);
    (void)!reeve_queue_flush(o->answers, END_MS);
    reeve_builder_free(&b);
}

static void note_end(reeve_instance *o, reeve_err err, const reeve_results *results)
{
    reeve_record r = {0};
    int len = 0;

    o->end = err;
    snprintf(o->words, sizeof o->words, "%s", err == REEVE_OK ? "it was ended" : reeve_errmsg());
    if (results == NULL || reeve_results_record(results, 0, &r) != REEVE_OK)
        return;
    if (r.status == REEVE_RAN_CRASHED || r.status == REEVE_RAN_EXITED)
        o->end = REEVE_ECRASHED;
    else if (r.status == REEVE_RAN_FAILED)
        o->end = REEVE_ECALL;
    if (r.status == REEVE_RAN_OK)
        return;
    len = snprintf(o->words, sizeof o->words, "%.500s", r.message);
    if (r.output_len > 0 && r.status != REEVE_RAN_FAILED)
        snprintf(o->words + len, sizeof o->words - (size_t)len, "; it printed last: %.400s",
                 r.output + (r.output_len > 400 ? r.output_len - 400 : 0));
}

/* ---- for others ---- */

/* Holds the lock while the instance lives: a thread of the caller's might end before. */
static void *keep_alive(void *arg)
{
    reeve_instance *o = arg;
    reeve_err err = reeve_lock_acquire(o->life, END_MS);

    if (err == REEVE_OK)
        err = reeve_lock_fence(o->life, &o->fence);
    pthread_mutex_lock(&o->telling);
    o->kept = err;
    o->keeping = true;
    pthread_cond_broadcast(&o->told_all);
    while (err == REEVE_OK && !o->released)
        pthread_cond_wait(&o->told_all, &o->telling);
    pthread_mutex_unlock(&o->telling);
    if (err == REEVE_OK)
        (void)!reeve_lock_release(o->life);
    return NULL;
}

static reeve_err start_keeper(reeve_instance *o)
{
    sigset_t all;
    sigset_t old;
    int failed = 0;

    sigfillset(&all); /* the host's signals go to the host's threads */
    pthread_sigmask(SIG_SETMASK, &all, &old);
    failed = pthread_create(&o->keeper, NULL, keep_alive, o);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (failed != 0)
        return rv_fail(REEVE_ENOMEM, "cannot share %s: no thread", o->label);
    pthread_mutex_lock(&o->telling);
    while (!o->keeping)
        pthread_cond_wait(&o->told_all, &o->telling);
    pthread_mutex_unlock(&o->telling);
    return o->kept == REEVE_OK
               ? REEVE_OK
               : rv_fail(o->kept, "cannot share %s: %s", o->label, reeve_strerror(o->kept));
}

static reeve_err set_record(reeve_namespace *ns, const char *attribute, reeve_builder *b)
{
    reeve_err err = reeve_namespace_set(ns, attribute, b);

    reeve_builder_free(&b);
    return err;
}

static reeve_err share(reeve_instance *o, const char *name)
{
    reeve_builder *b = NULL;
    reeve_err err =
        reeve_lock_open(&o->life, o->ctx, NULL, &(reeve_lock_options){.recursive = true});

    if (err == REEVE_OK)
        err = start_keeper(o);
    if (err == REEVE_OK)
        err = reeve_namespace_open(&o->record, o->ctx, NULL, NULL);
    if (err == REEVE_OK) {
        b = reeve_builder_new();
        (void)reeve_put_array(b, 4);
        (void)reeve_put_str(b, o->label);
        (void)reeve_put_ref(b, reeve_queue_ref(o->calls));
        (void)reeve_put_ref(b, reeve_lock_ref(o->life));
        (void)reeve_put_uint(b, o->fence);
        err = set_record(o->record, "instance", b);
    }
    if (err != REEVE_OK || name == NULL || name[0] == '\0')
        return err;
    err =
        reeve_namespace_open(&o->named, o->ctx, name,
                             &(reeve_container_options){.create = REEVE_CREATE, .ttl_ms = NAME_MS});
    if (err == REEVE_OK) {
        b = reeve_builder_new();
        (void)reeve_put_ref(b, reeve_namespace_ref(o->record));
        err = set_record(o->named, "record", b);
    }
    return err;
}

/* It has ended: so that others hear how, that is told before the lock goes. Once. */
static void tell_others(reeve_instance *o)
{
    if (o->named != NULL)
        (void)!reeve_remove(o->ctx, reeve_namespace_name(o->named), END_MS);
    if (o->record != NULL) {
        reeve_builder *b = reeve_builder_new();

        (void)reeve_put_array(b, 2);
        (void)reeve_put_uint(b, o->end);
        (void)reeve_put_str(b, o->words);
        (void)!set_record(o->record, "end", b);
    }
    if (!o->keeping)
        return;
    pthread_mutex_lock(&o->telling);
    o->released = true;
    pthread_cond_broadcast(&o->told_all);
    pthread_mutex_unlock(&o->telling);
    pthread_join(o->keeper, NULL);
}

static void on_end(void *arg, reeve_err err, reeve_results *results)
{
    reeve_instance *o = arg;

    note_end(o, err, results);
    atomic_store(&o->ended, true);
    tell_end(o);
    tell_others(o);
    pthread_mutex_lock(&o->telling);
    o->told = true;
    pthread_cond_broadcast(&o->told_all);
    pthread_mutex_unlock(&o->telling);
    leave(o);
}

/* Its callback uses what we are about to let go. */
static void wait_told(reeve_instance *o)
{
    struct timespec until;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += END_MS / 1000;
    pthread_mutex_lock(&o->telling);
    while (!o->told && pthread_cond_timedwait(&o->told_all, &o->telling, &until) == 0) {
    }
    pthread_mutex_unlock(&o->telling);
}

static reeve_err has_ended(const reeve_instance *o, reeve_err err)
{
    return rv_fail(err, "cannot call %s: %s", o->label, o->words);
}

/* The lock of a borrowed one is nobody's any more: how it ended is in the record, or its maker did not live to write
 * that. called: it may have been in a call of ours. */
static reeve_err is_lost(reeve_instance *o, bool called)
{
    reeve_value *v = NULL;
    uint64_t code = REEVE_ECRASHED;
    const char *text = "";
    size_t len = 0;

    snprintf(o->words, sizeof o->words, "the session that made it has ended");
    if (reeve_namespace_get(o->record, "end", &v) == REEVE_OK &&
        reeve_get_uint(reeve_value_at(v, 0), &code) &&
        reeve_get_str(reeve_value_at(v, 1), &text, &len))
        snprintf(o->words, sizeof o->words, "%.*s", (int)len, text);
    reeve_value_free(&v);
    atomic_store(&o->ended, true);
    return has_ended(o, called && code != REEVE_OK ? rv_error_said(code) : REEVE_EGONE);
}

static uint32_t ms_left(rv_ns deadline)
{
    rv_ns left = deadline == RV_NEVER ? RV_NEVER : deadline - rv_clock_now();

    return left == RV_NEVER ? REEVE_FOREVER
           : left <= 0      ? 0
                            : (uint32_t)((left + RV_MS - 1) / RV_MS);
}

/* The answer of that number; what is older was for a call that has given up. */
static reeve_err await(reeve_value **out, reeve_instance *o, uint64_t number, rv_ns deadline)
{
    bool lost = false; /* and the answer may have come before that */
    reeve_err err = REEVE_OK;

    *out = NULL;
    for (;;) {
        uint64_t got = 0;
        uint64_t code = 0;
        const char *text = "";
        size_t len = 0;

        err = reeve_queue_get(out, o->answers, ms_left(deadline));
        if (err == REEVE_EFENCED && !lost) {
            lost = true;
            deadline = rv_clock_now();
            err = reeve_queue_fence(o->answers, NULL, 0);
            if (err == REEVE_OK)
                continue;
        }
        if (err == REEVE_EEMPTY && lost)
            return is_lost(o, true);
        if (err == REEVE_EEMPTY)
            return rv_fail(REEVE_ETIME, "cannot call %s: it has not answered in time", o->label);
        if (err != REEVE_OK)
            return err;
        if (reeve_value_type(*out) == REEVE_NIL && atomic_load(&o->ended)) {
            reeve_value_free(out);
            return has_ended(o, o->end == REEVE_OK ? REEVE_EGONE : o->end);
        }
        if (!reeve_get_uint(reeve_value_at(*out, 0), &got) || got != number ||
            !reeve_get_uint(reeve_value_at(*out, 1), &code)) {
            reeve_value_free(out);
            continue;
        }
        if (code == REEVE_OK)
            return REEVE_OK;
        (void)reeve_get_str(reeve_value_at(*out, 2), &text, &len);
        err = rv_fail(rv_error_said(code), "cannot call %s: %.*s", o->label, (int)len, text);
        reeve_value_free(out);
        return err;
    }
}

static reeve_err begin(reeve_instance *o, reeve_pool *pool, const reeve_fn *type,
                       const reeve_builder *args, const char *const *exposed)
{
    reeve_builder *b = reeve_builder_new();
    size_t len = 0;
    reeve_err err = REEVE_OK;

    (void)reeve_put_array(b, 6);
    (void)reeve_put_ref(b, reeve_queue_ref(o->calls));
    (void)reeve_put_ref(b, reeve_queue_ref(o->answers));
    put_args(b, args);
    while (exposed != NULL && exposed[len] != NULL)
        len++;
    if (exposed == NULL)
        (void)reeve_put_nil(b);
    else
        (void)reeve_put_array(b, len);
    for (size_t i = 0; i < len; i++)
        (void)reeve_put_str(b, exposed[i]);
    if (o->state == NULL)
        (void)reeve_put_nil(b);
    else
        (void)reeve_put_ref(b, reeve_shared_ref(o->state));
    (void)reeve_put_ref(b, reeve_lock_ref(o->host));
    atomic_fetch_add(&o->holders, 1);
    err = reeve_builder_check(b);
    if (err != REEVE_OK)
        err = rv_fail(err, "cannot make %s: its arguments are not one whole value", o->label);
    else
        err = reeve_pool_apply_async(&o->async, pool, type, b,
                                     &(reeve_map_options){.callback = on_end, .arg = o});
    if (err != REEVE_OK)
        atomic_fetch_sub(&o->holders, 1); /* no callback comes */
    reeve_builder_free(&b);
    return err;
}

static reeve_instance *instance_handle(reeve_context *ctx)
{
    reeve_instance *o = calloc(1, sizeof *o);

    if (o == NULL)
        return NULL;
    pthread_mutex_init(&o->mutex, NULL);
    pthread_mutex_init(&o->telling, NULL);
    pthread_cond_init(&o->told_all, NULL);
    atomic_init(&o->holders, 1);
    o->ctx = ctx;
    return o;
}

reeve_err reeve_instance_new(reeve_instance **out, reeve_pool *pool, const reeve_fn *type,
                             const reeve_builder *args, const reeve_instance_options *options)
{
    static const reeve_instance_options defaults;
    const reeve_instance_options *opt = options == NULL ? &defaults : options;
    uint32_t timeout_ms = opt->timeout_ms == 0 ? NEW_MS : opt->timeout_ms;
    rv_ns deadline = rv_after_ms(rv_clock_now(), timeout_ms);
    reeve_instance *o = NULL;
    reeve_value *made = NULL;
    reeve_err err = REEVE_OK;

    *out = NULL;
    for (size_t i = 0; i < rv_countof(opt->reserved); i++)
        if (opt->reserved[i] != 0)
            return rv_fail(REEVE_EINVAL, "cannot make an instance: reserved options must be zero");
    if (type == NULL || type->name == NULL)
        return rv_fail(REEVE_EINVAL, "cannot make an instance: of which class?");
    o = instance_handle(pool->ctx);
    if (o == NULL)
        return rv_fail(REEVE_ENOMEM, "cannot make an instance: out of memory");
    snprintf(o->label, sizeof o->label, "an instance of %.50s", type->name);
    err = reeve_queue_open(&o->calls, o->ctx, NULL, &(reeve_queue_options){.joinable = true});
    if (err == REEVE_OK)
        err = reeve_queue_open(&o->answers, o->ctx, NULL, NULL);
    if (err == REEVE_OK)
        err = reeve_lock_open(&o->host, o->ctx, NULL, &(reeve_lock_options){.recursive = true});
    if (err == REEVE_OK && opt->keep)
        err = reeve_shared_open(&o->state, o->ctx, NULL, 0, NULL);
    if (err == REEVE_OK && (opt->shared || (opt->name != NULL && opt->name[0] != '\0')))
        err = share(o, opt->name);
    if (err == REEVE_OK)
        err = begin(o, pool, type, args, opt->exposed);
    if (err == REEVE_OK)
        err = await(&made, o, CONSTRUCTED, deadline);
    reeve_value_free(&made);
    o->made = err == REEVE_OK;
    if (err != REEVE_OK) {
        char words[WORDS_MAX];

        snprintf(words, sizeof words, "%s", reeve_errmsg());
        (void)reeve_instance_free(&o);
        return rv_fail(err, "%s", words);
    }
    *out = o;
    return REEVE_OK;
}

reeve_ref reeve_instance_ref(const reeve_instance *o)
{
    return reeve_namespace_ref(o == NULL ? NULL : o->record);
}

/* What the record says: [label, calls, life, fence]. */
static reeve_err borrow(reeve_instance *o)
{
    reeve_value *v = NULL;
    reeve_ref calls = {0};
    reeve_ref life = {0};
    const char *label = NULL;
    size_t len = 0;
    reeve_err err = reeve_namespace_get(o->record, "instance", &v);

    if (err == REEVE_EATTR ||
        (err == REEVE_OK && (!reeve_get_str(reeve_value_at(v, 0), &label, &len) ||
                             !reeve_get_ref(reeve_value_at(v, 1), &calls) ||
                             !reeve_get_ref(reeve_value_at(v, 2), &life) ||
                             !reeve_get_uint(reeve_value_at(v, 3), &o->fence)))) {
        reeve_value_free(&v);
        return rv_fail(REEVE_ETYPE, "cannot borrow an instance: it is none, but a namespace");
    }
    if (err == REEVE_OK)
        snprintf(o->label, sizeof o->label, "%.*s", len > 70 ? 70 : (int)len, label);
    if (err == REEVE_OK)
        err = reeve_queue_from(&o->calls, o->ctx, calls);
    if (err == REEVE_OK)
        err = reeve_lock_from(&o->life, o->ctx, life);
    if (err == REEVE_OK)
        err = reeve_queue_open(&o->answers, o->ctx, NULL, NULL);
    if (err == REEVE_OK)
        err = reeve_queue_fence(o->calls, o->life, o->fence);
    if (err == REEVE_OK)
        err = reeve_queue_fence(o->answers, o->life, o->fence);
    reeve_value_free(&v);
    return err;
}

/* It may have ended long ago, and only its record be there. */
static reeve_err is_alive(reeve_instance *o)
{
    reeve_value *v = NULL;
    reeve_err err = reeve_namespace_get(o->record, "end", &v);

    reeve_value_free(&v);
    if (err == REEVE_EATTR)
        return REEVE_OK;
    return err == REEVE_OK ? is_lost(o, false) : err;
}

reeve_err reeve_instance_from(reeve_instance **out, reeve_context *ctx, reeve_ref ref)
{
    reeve_instance *o = NULL;
    reeve_err err = REEVE_OK;

    *out = NULL;
    o = instance_handle(ctx);
    if (o == NULL)
        return rv_fail(REEVE_ENOMEM, "cannot borrow an instance: out of memory");
    o->borrowed = true;
    err = reeve_namespace_from(&o->record, ctx, ref);
    if (err == REEVE_OK)
        err = borrow(o);
    if (err == REEVE_OK)
        err = is_alive(o);
    if (err != REEVE_OK) {
        char words[WORDS_MAX];

        snprintf(words, sizeof words, "%s", reeve_errmsg());
        leave(o);
        return rv_fail(err, "%s", words);
    }
    *out = o;
    return REEVE_OK;
}

reeve_err reeve_instance_open(reeve_instance **out, reeve_context *ctx, const char *name)
{
    reeve_namespace *named = NULL;
    reeve_value *v = NULL;
    reeve_ref ref = {0};
    reeve_err err = REEVE_OK;

    *out = NULL;
    if (name == NULL || name[0] == '\0')
        return rv_fail(REEVE_EINVAL, "cannot open an instance: it needs a name");
    err = reeve_namespace_open(&named, ctx, name,
                               &(reeve_container_options){.create = REEVE_GET_ONLY});
    if (err == REEVE_OK)
        err = reeve_namespace_get(named, "record", &v);
    if (err == REEVE_EATTR || (err == REEVE_OK && !reeve_get_ref(v, &ref)))
        err =
            rv_fail(REEVE_ETYPE, "cannot open instance %.100s: the name is another object's", name);
    if (err == REEVE_OK)
        err = reeve_instance_from(out, ctx, ref);
    reeve_value_free(&v);
    reeve_namespace_close(&named);
    return err;
}

static reeve_err call(reeve_value **out, reeve_instance *o, const char *method,
                      const reeve_builder *args, rv_ns deadline)
{
    reeve_builder *b = reeve_builder_new();
    reeve_value *reply = NULL;
    uint64_t number = ++o->last;
    reeve_err err = REEVE_OK;

    (void)reeve_put_array(b, 4);
    (void)reeve_put_uint(b, number);
    (void)reeve_put_str(b, method);
    put_args(b, args);
    (void)reeve_put_ref(b, reeve_queue_ref(o->answers));
    err = reeve_builder_check(b);
    if (err != REEVE_OK)
        err = rv_fail(err, "cannot call %s: the arguments are not one whole value", o->label);
    else
        err = reeve_queue_put(o->calls, b, o->borrowed ? ms_left(deadline) : REEVE_FOREVER);
    reeve_builder_free(&b);
    if (err == REEVE_EFENCED)
        return is_lost(o, false);
    if (err == REEVE_OK)
        err = await(&reply, o, number, deadline);
    if (err == REEVE_OK && out != NULL)
        err = take_out(out, reply, 2);
    reeve_value_free(&reply);
    return err;
}

reeve_err reeve_instance_call(reeve_value **out, reeve_instance *o, const char *method,
                              const reeve_builder *args, uint32_t timeout_ms)
{
    rv_ns deadline = rv_after_ms(rv_clock_now(), timeout_ms);
    reeve_err err = REEVE_OK;

    if (out != NULL)
        *out = NULL;
    if (method == NULL)
        return rv_fail(REEVE_EINVAL, "cannot call %s: no method was named", o->label);
    pthread_mutex_lock(&o->mutex);
    err = atomic_load(&o->ended) ? has_ended(o, REEVE_EGONE) : call(out, o, method, args, deadline);
    pthread_mutex_unlock(&o->mutex);
    return err;
}

reeve_err reeve_instance_methods(reeve_value **out, reeve_instance *o, uint32_t timeout_ms)
{
    return reeve_instance_call(out, o, "#methods", NULL, timeout_ms);
}

/* Behind all calls that were made. */
static reeve_err ask_to_end(reeve_instance *o)
{
    reeve_builder *b = reeve_builder_new();
    reeve_err err = reeve_put_nil(b);

    if (err == REEVE_OK)
        err = reeve_queue_put(o->calls, b, END_MS);
    reeve_builder_free(&b);
    return err;
}

reeve_err reeve_instance_free(reeve_instance **out)
{
    reeve_instance *o = out == NULL ? NULL : *out;
    reeve_err err = REEVE_OK;

    if (o == NULL)
        return REEVE_OK;
    *out = NULL;
    if (o->async == NULL && !o->borrowed) {
        snprintf(o->words, sizeof o->words, "it was not made");
        tell_others(o);
    }
    if (o->async != NULL && !atomic_load(&o->ended)) {
        err = ask_to_end(o);
        if (err == REEVE_OK && o->made)
            err = reeve_async_wait(o->async, END_MS);
        if (err == REEVE_OK && o->made) {
            wait_told(o);
            err = o->end == REEVE_OK ? REEVE_OK : has_ended(o, o->end);
        }
    } else if (o->async != NULL) {
        wait_told(o);
    }
    reeve_async_free(&o->async);
    leave(o);
    return err;
}
