#ifndef REEVE_CLASS_H
#define REEVE_CLASS_H

/*
 * class.h -- objects of a program's own types, in processes of their own.
 *
 *     static reeve_err make(void **self, reeve_task *task, const reeve_value *args) { ... }
 *     static reeve_err add(void *self, reeve_task *task, const reeve_value *args, reeve_builder *out) { ... }
 *     static void end(void *self) { ... }
 *
 *     static const reeve_method counter_methods[] = {{"add", add}, {"get", get}, {0}};
 *     static const reeve_class counter = {.construct = make, .destroy = end, .methods = counter_methods};
 *     REEVE_CLASS(counter);
 *
 *     reeve_instance_new(&c, pool, REEVE_FN(counter), NULL, NULL);       // somewhere, on an agent
 *     reeve_instance_call(&v, c, "add", args, REEVE_FOREVER);
 *     reeve_instance_free(&c);
 *
 *     reeve_instance_open(&c, ctx, "counter");             // another session, of one that was made
 *     reeve_instance_call(&v, c, "add", args, 1000);       // with .name = "counter"
 *
 * The class is in the program that opens the pool, or in the pool's module (then
 * REEVE_NAMED("counter")). An instance is an item of the pool, and has one of its slots until it is
 * freed: its process is started, watched and ended by an agent, never by the manager. Its methods run one
 * at a time, in the order of the calls, whoever makes them.
 *
 * When the process ends by itself, the call that was in it fails with ECRASHED, and is never made
 * twice. In a pool with runs_max = 1 that is the end of the instance, and the words say how it ended (the
 * signal and where, or the exit code) and what it printed last. Else it is constructed anew from
 * the same arguments, up to runs_max times (3), and goes on with the calls behind that one, all
 * state but theirs being lost, or kept: reeve_instance_options.keep; the words say only that, and the manager's log
 * says the rest. So it does in any pool when its agent or host is lost and there is another. It ends with its
 * pool, and with the session that made it.
 *
 * Other sessions call one that has a name or is shared. Handles and references of theirs do not keep it: when it
 * has ended, their calls fail, too, with the same evidence. Whoever has a reference to it, or the right `get`
 * on its name, may call it.
 */

#include <reeve/pool.h>
#include <reeve/types.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct reeve_instance reeve_instance;

/* One method: args is borrowed during the call, out is empty and takes one value, or nothing, which is
 * nil; it may hold references (ref.h) to what the instance still holds. Anything but OK fails this
 * call alone, with the text of reeve_task_fail(task, ...). */
typedef struct reeve_method {
    const char *name; /* those that begin with _ cannot be called from outside */
    reeve_err (*call)(void *self, reeve_task *task, const reeve_value *args, reeve_builder *out);
} reeve_method;

/* A type. Constant. Answers rows M10 and R16. */
typedef struct reeve_class {
    /* Make *self of the arguments (nil without any). Anything but OK is the end of the instance, with
     * the text of reeve_task_fail(). NULL: *self is NULL. */
    reeve_err (*construct)(void **self, reeve_task *task, const reeve_value *args);
    /* At the end, unless the process ends before. NULL: nothing is to be done. */
    void (*destroy)(void *self);
    const reeve_method *methods; /* ends with one without a name */
    /* Of instances that are made with keep. save: put the state into out, which is empty and takes one value;
     * it may hold references. Called after each call that did not fail, before its answer leaves. load: called
     * after the constructor, in a process that follows another one, with what was saved last, if anything was.
     * Anything but OK fails that call of a method, or the instance, with the text of reeve_task_fail(). */
    reeve_err (*save)(void *self, reeve_task *task, reeve_builder *out);
    reeve_err (*load)(void *self, reeve_task *task, const reeve_value *state);
} reeve_class;

/* The session of a method, to open references and other objects of the manager; borrowed from the
 * instance for its life. NULL in what is no method. */
REEVE_API reeve_context *reeve_task_context(const reeve_task *task);

/* Part of the macro. */
REEVE_API reeve_err reeve_class_serve(const reeve_class *type, reeve_task *task,
                                      const reeve_value *in, reeve_builder *out);

/* At the end of a file, after the class: register it under its own name. REEVE_FN(name) is it. */
#define REEVE_CLASS(name)                                                                          \
    static reeve_err reeve_serve_##name##_(reeve_task *task, const reeve_value *in,                \
                                           reeve_builder *out)                                     \
    {                                                                                              \
        return reeve_class_serve(&name, task, in, out);                                            \
    }                                                                                              \
    static const reeve_fn reeve_fn_##name = {#name, reeve_serve_##name##_};                        \
    REEVE_REGISTER_(name, &reeve_fn_##name, 0)

/* Zero means "the default" in every field. */
typedef struct reeve_instance_options {
    const char *const *exposed; /* only these methods can be called, ends with NULL; default: all */
    uint32_t timeout_ms;        /* for a slot, and the constructor; default 30000 */
    const char *name; /* by which other sessions find it; it is gone when the instance is */
    bool shared;      /* it has a reference, without a name, too */
    bool keep;        /* its state survives a crash of its process: save and load of its class */
    uint64_t reserved[4]; /* must be zero */
} reeve_instance_options;

/* Make an instance and wait until it is constructed. args: its constructor's, or NULL. On OK the caller
 * owns *out; *out is NULL after an error. Blocks for at most timeout_ms.
 * Errors: ECALL (the constructor failed: its words), ECRASHED, ETIME (also: the pool has no free
 * slot), EINVAL, EEXIST (the name is taken), EPERM (the right open on it), and as reeve_pool_apply. Answers
 * rows M11 and M21. */
REEVE_API REEVE_NODISCARD reeve_err reeve_instance_new(reeve_instance **out, reeve_pool *pool,
                                                       const reeve_fn *type,
                                                       const reeve_builder *args,
                                                       const reeve_instance_options *options);

/* What names it, for other sessions: reeve_put_ref(). All zero for NULL, and when it was made neither shared nor with
 * a name. reeve_ref_type() says "Namespace", which its record is. Does not block. */
REEVE_API reeve_ref reeve_instance_ref(const reeve_instance *instance);

/* A handle on an instance that a session made, by its name, or by a reference. The caller owns *out and lets go of it
 * with reeve_instance_free(), which does not end the instance; *out is NULL after an error. Blocks for some round
 * trips. Errors: ENOENT (no such name), ETYPE (it is no instance), EGONE (it has ended), EPERM (right
 * get), and as reeve_queue_from. */
REEVE_API REEVE_NODISCARD reeve_err reeve_instance_open(reeve_instance **out, reeve_context *ctx,
                                                        const char *name);
REEVE_API REEVE_NODISCARD reeve_err reeve_instance_from(reeve_instance **out, reeve_context *ctx,
                                                        reeve_ref ref);

/* Call a method. args: a value, or NULL. On OK the caller owns *out and frees it with
 * reeve_value_free(); else it is NULL. out may be NULL. Calls of several threads wait for each other.
 * Blocks for at most timeout_ms. Errors: ENOENT (no such method, or not exposed), ECALL (it failed: its
 * words), ECRASHED (its process ended: how), ETIME (it may still run, and once), EGONE (the instance has
 * ended before), EINVAL (args). Answers rows M26, R01 and R07. */
REEVE_API REEVE_NODISCARD reeve_err reeve_instance_call(reeve_value **out, reeve_instance *instance,
                                                        const char *method,
                                                        const reeve_builder *args,
                                                        uint32_t timeout_ms);

/* The names of the methods that can be called, an array of texts. Else as reeve_instance_call. Answers row
 * M24 (get_methods) and R17. */
REEVE_API REEVE_NODISCARD reeve_err reeve_instance_methods(reeve_value **out,
                                                           reeve_instance *instance,
                                                           uint32_t timeout_ms);

/* Of who made it: let it finish the calls that were made, destroy it, free *instance and set it to NULL; before its
 * pool is closed. Of others: only the handle goes. Blocks until it has ended, for at most 10 s. NULL is fine. Errors: ECRASHED (the
 * destructor), ETIME. */
REEVE_API reeve_err reeve_instance_free(reeve_instance **instance);

#ifdef __cplusplus
}
#endif

#endif
