#ifndef REEVE_REF_H
#define REEVE_REF_H

/*
 * ref.h -- references: objects of the manager inside items of queues and pools, in results, and in containers.
 *
 *     reeve_put_ref(b, reeve_queue_ref(answers));          // a private queue, without a name
 *     reeve_queue_put(requests, b, REEVE_FOREVER);         // whoever gets it may answer there
 *     reeve_queue_close(&answers);                         // it lives on in the item
 *
 *     reeve_get_ref(reeve_value_at(v, 0), &ref);
 *     reeve_queue_from(&answers, ctx, ref);
 *     reeve_value_free(&v);                                // the handle keeps it now
 *
 * An object lives while it has a name, a handle, a reference in an item or a value of a container, or in a
 * value that came out of one. What a process was handed falls with its session. Whoever is handed a reference to
 * an object without a name may use it; one with a name needs the rights on that. A value that
 * holds references goes into items of the same manager only, else its put is EINVAL; one
 * to something that the sender does not hold (any more) is ENOENT, from the put or the next one.
 *
 * An item of a pool may hold references, too: its task opens them in a context of its own, and they
 * live until the item has its result. Nothing counts for it before it has left, so the caller
 * keeps its handle until the call has returned, or the asynchronous one is ready.
 *
 * A result of a pool may hold references to what its task made, or was given: reeve_task_pledge(). They live as long as a
 * value of it, or the reeve_results that it is in, and of detached work as long as the manager keeps that.
 *
 * Objects that have only each other live until the manager ends: reeve_debug_info() tells of them.
 */

#include <reeve/error.h>
#include <reeve/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What names the object of a handle; valid as long as something keeps the object. All zero for NULL. Do
 * not block. Answers row R11, and R14. */
REEVE_API reeve_ref reeve_queue_ref(const reeve_queue *queue);
REEVE_API reeve_ref reeve_lock_ref(const reeve_lock *lock);
REEVE_API reeve_ref reeve_semaphore_ref(const reeve_semaphore *semaphore);
REEVE_API reeve_ref reeve_condition_ref(const reeve_condition *condition);
REEVE_API reeve_ref reeve_event_ref(const reeve_event *event);
REEVE_API reeve_ref reeve_barrier_ref(const reeve_barrier *barrier);
REEVE_API reeve_ref reeve_dict_ref(const reeve_dict *dict);
REEVE_API reeve_ref reeve_list_ref(const reeve_list *list);
REEVE_API reeve_ref reeve_set_ref(const reeve_set *set);
REEVE_API reeve_ref reeve_shared_ref(const reeve_shared *shared);
REEVE_API reeve_ref reeve_array_ref(const reeve_array *array);
REEVE_API reeve_ref reeve_namespace_ref(const reeve_namespace *ns);

/* Append a reference to a value being made. Errors: as every put; EINVAL (none, or of another
 * manager than one before). */
REEVE_API reeve_err reeve_put_ref(reeve_builder *builder, reeve_ref ref);

/* Take a reference out of a value; false when it is none. Its object lives at least as long as the
 * value that came out of the queue. */
REEVE_API bool reeve_get_ref(const reeve_value *value, reeve_ref *ref);

/* The same object. Answers row R06. */
REEVE_API bool reeve_ref_equal(reeve_ref a, reeve_ref b);

/* "Queue" (of all kinds of queues), "Lock", "RLock", "Event" ...; "?" for none. Constant. Answers row
 * R05. */
REEVE_API const char *reeve_ref_type(reeve_ref ref);

/* A handle on an object that is referred to. The caller owns *out and closes it as any other; *out is
 * NULL after an error. The handle has no name. A condition has its own lock. Blocks for a round
 * trip. Errors: ETYPE (it refers to something else), ESTALE (an object of another manager), ENOENT
 * (nothing that this session has keeps it), EGONE (its name was removed), and as reeve_queue_open.
 * Answers row R13. */
REEVE_API REEVE_NODISCARD reeve_err reeve_queue_from(reeve_queue **out, reeve_context *ctx,
                                                     reeve_ref ref);
REEVE_API REEVE_NODISCARD reeve_err reeve_lock_from(reeve_lock **out, reeve_context *ctx,
                                                    reeve_ref ref);
REEVE_API REEVE_NODISCARD reeve_err reeve_semaphore_from(reeve_semaphore **out, reeve_context *ctx,
                                                         reeve_ref ref);
REEVE_API REEVE_NODISCARD reeve_err reeve_condition_from(reeve_condition **out, reeve_context *ctx,
                                                         reeve_ref ref);
REEVE_API REEVE_NODISCARD reeve_err reeve_event_from(reeve_event **out, reeve_context *ctx,
                                                     reeve_ref ref);
REEVE_API REEVE_NODISCARD reeve_err reeve_barrier_from(reeve_barrier **out, reeve_context *ctx,
                                                       reeve_ref ref);

REEVE_API REEVE_NODISCARD reeve_err reeve_dict_from(reeve_dict **out, reeve_context *ctx,
                                                    reeve_ref ref);
REEVE_API REEVE_NODISCARD reeve_err reeve_list_from(reeve_list **out, reeve_context *ctx,
                                                    reeve_ref ref);
REEVE_API REEVE_NODISCARD reeve_err reeve_set_from(reeve_set **out, reeve_context *ctx,
                                                   reeve_ref ref);
REEVE_API REEVE_NODISCARD reeve_err reeve_shared_from(reeve_shared **out, reeve_context *ctx,
                                                      reeve_ref ref);
REEVE_API REEVE_NODISCARD reeve_err reeve_array_from(reeve_array **out, reeve_context *ctx,
                                                     reeve_ref ref);
REEVE_API REEVE_NODISCARD reeve_err reeve_namespace_from(reeve_namespace **out, reeve_context *ctx,
                                                         reeve_ref ref);

#ifdef __cplusplus
}
#endif

#endif
