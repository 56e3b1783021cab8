#ifndef REEVE_TASK_H
#define REEVE_TASK_H

/*
 * task.h -- functions that run on a host: one item in, one value out.
 *
 *     static reeve_err square(reeve_task *task, const reeve_value *in, reeve_builder *out)
 *     {
 *         int64_t x = 0;
 *
 *         if (!reeve_get_int(in, &x))
 *             return reeve_task_fail(task, "square wants an integer");
 *         return reeve_put_int(out, x * x);
 *     }
 *     REEVE_FUNCTION(square);
 *
 *     int main(int argc, char **argv)
 *     {
 *         reeve_main(&argc, &argv);            // first line: a runner never returns from here
 *         ... reeve_pool_map(&results, pool, REEVE_FN(square), items, NULL) ...
 *     }
 *
 * The program itself is shipped to the hosts and started there once: the zygote, which stays in
 * reeve_main(). For each slot the zygote forks a runner, which calls the function for one
 * item after the other. Functions are found by their names.
 *
 * In a runner: signals, umask (022) and the working folder are as the job says, stdin is
 * /dev/null, stdout and stderr are kept with the item that printed (their last 64 KiB). It has
 * a process group of its own, and whatever it started ends with it.
 */

#include <reeve/error.h>
#include <reeve/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * The function of an item. in is borrowed during the call. out is empty; after REEVE_OK it must
 * hold exactly one value, or nothing, which is nil. Any other result fails this item alone, with
 * the text of reeve_task_fail() if that was called, and keeps the value if there is one. A crash, exit() or a timeout end the runner:
 * the item is run again, up to three times in all, then it fails with the evidence.
 */
typedef reeve_err reeve_function(reeve_task *task, const reeve_value *in, reeve_builder *out);

/*
 * Runs once in each runner before its first item. arg is borrowed during the call; nil without
 * one. When it fails, with the text of reeve_task_fail(NULL, ...), the host cannot run the job;
 * it is not tried again and again. Answers row L21.
 */
typedef reeve_err reeve_initializer(const reeve_value *arg);

/* A registered function or initializer. Constants, made by the macros below. */
typedef struct reeve_fn {
    const char *name;
    reeve_function *function;
} reeve_fn;

typedef struct reeve_init {
    const char *name;
    reeve_initializer *function;
} reeve_init;

/* Part of the macros. */
typedef struct reeve_registered {
    const reeve_fn *fn;
    const reeve_init *init;
    struct reeve_registered *next;
} reeve_registered;
REEVE_API void reeve_register(reeve_registered *entry);

#define REEVE_REGISTER_(name, fn, init)                                                            \
    __attribute__((constructor)) static void reeve_register_##name##_(void)                        \
    {                                                                                              \
        static reeve_registered entry = {fn, init, 0};                                             \
        reeve_register(&entry);                                                                    \
    }                                                                                              \
    struct reeve_semicolon_

/* At the end of a file, after the function: register it under its own name. A program may have
 * one function of a name; it starts on no host otherwise. */
#define REEVE_FUNCTION(name)                                                                       \
    static const reeve_fn reeve_fn_##name = {#name, name};                                         \
    REEVE_REGISTER_(name, &reeve_fn_##name, 0)
#define REEVE_INITIALIZER(name)                                                                    \
    static const reeve_init reeve_init_##name = {#name, name};                                     \
    REEVE_REGISTER_(name, 0, &reeve_init_##name)

/* A registered function as an argument. Does not compile for what is not registered here. */
#define REEVE_FN(name)   (&reeve_fn_##name)
#define REEVE_INIT(name) (&reeve_init_##name)

/*
 * The first line of main(). In a program that an agent has started to run tasks it never
 * returns. In any other it registers one function with atexit(): what was put and has not been
 * taken by the manager is waited for then, at most linger_ms of each context; a loss is told on
 * stderr. It changes neither argc nor argv; NULL is fine. Never blocks. Answers rows P27, P31
 * and P32.
 */
REEVE_API void reeve_main(int *argc, char ***argv);

/*
 * The words of a failure, as printf has them; returns REEVE_EITEM, to be returned at once. At
 * most 1020 bytes are kept. task: NULL in an initializer.
 */
REEVE_API reeve_err reeve_task_fail(reeve_task *task, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* The same with a number for who looks at results: an exit code, or minus a signal. What `out`
 * holds is kept with the failure when it is a value. */
REEVE_API reeve_err reeve_task_fail_code(reeve_task *task, int64_t code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/*
 * The result that out holds, one whole value, refers to objects: from now on the job keeps them for who reads the
 * result, and the function may close their handles and ctx. Who does not say so has it said when the function
 * returns, as long as a context that is open then still holds them; what came with the item needs no
 * context. A result whose objects nobody holds any more fails its item. Blocks for a round trip. Errors: EINVAL (no
 * whole value, an object of another manager, outside a task), ENOENT (ctx does not hold one of them), ELIMIT (255
 * objects, 16 pledges of an item), EPERM (ctx is no session of this task's job), EGONE (the item has a result
 * by now), ECANCELED, ETIME, ENOMEM, and as reeve_ping. Answers rows R10 and R11.
 */
REEVE_API REEVE_NODISCARD reeve_err reeve_task_pledge(reeve_task *task, reeve_context *ctx,
                                                      const reeve_builder *out);

/* Which item of its job this is, from 0. */
REEVE_API uint64_t reeve_task_index(const reeve_task *task);

/* Which run of this item, from 1: more than 1 when an earlier runner or host was lost. */
REEVE_API uint32_t reeve_task_run(const reeve_task *task);

/* The name of the agent that runs it, and of its host. Borrowed for the life of the process. */
REEVE_API const char *reeve_task_agent(const reeve_task *task);
REEVE_API const char *reeve_task_host(const reeve_task *task);

#ifdef __cplusplus
}
#endif

#endif
