#ifndef REEVE_BATCH_H
#define REEVE_BATCH_H

/*
 * batch.h -- several calls on containers that all take effect, or none.
 *
 *     b = reeve_batch_new(ctx);
 *     reeve_batch_dict_expect(b, accounts, alice, fifty);  // else nothing of the batch happens
 *     reeve_batch_dict_add(b, accounts, alice, minus_ten);
 *     reeve_batch_dict_add(b, accounts, bob, ten);
 *     reeve_batch_list_append(b, journal, entry);
 *     err = reeve_batch_run(b, &failed);                   // EVALUE, failed 0: it was not fifty
 *     reeve_batch_free(&b);
 *
 * The calls run in their order, with nobody else's between them. What one of them refuses undoes those before
 * it; readers never see a part. Values together are as many as one message holds (4096, 192 KiB of
 * small ones), calls at most 1024. Errors in adding calls stick and come back from the run, so they may be ignored.
 * Each call has the errors and needs the rights that it has alone (dict.h, list.h, set.h, shared.h).
 * Threads: a batch belongs to one at a time.
 */

#include <reeve/error.h>
#include <reeve/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/* An empty batch, or NULL without memory (every call on NULL is ENOMEM). Free it before the context is closed. */
REEVE_API reeve_batch *reeve_batch_new(reeve_context *ctx);
REEVE_API void reeve_batch_free(reeve_batch **batch);

/* ---- calls, added at the end. The handles stay open until the run; builders are not needed any more. ---- */

REEVE_API reeve_err reeve_batch_dict_set(reeve_batch *batch, reeve_dict *dict,
                                         const reeve_builder *key, const reeve_builder *value);
REEVE_API reeve_err reeve_batch_dict_del(reeve_batch *batch, reeve_dict *dict,
                                         const reeve_builder *key);
REEVE_API reeve_err reeve_batch_dict_pop(reeve_batch *batch, reeve_dict *dict,
                                         const reeve_builder *key);
REEVE_API reeve_err reeve_batch_dict_add(reeve_batch *batch, reeve_dict *dict,
                                         const reeve_builder *key, const reeve_builder *amount);
/* EVALUE unless the key has that value; NULL: unless it is not there. */
REEVE_API reeve_err reeve_batch_dict_expect(reeve_batch *batch, reeve_dict *dict,
                                            const reeve_builder *key,
                                            const reeve_builder *expected);

REEVE_API reeve_err reeve_batch_list_append(reeve_batch *batch, reeve_list *list,
                                            const reeve_builder *value);
REEVE_API reeve_err reeve_batch_list_set(reeve_batch *batch, reeve_list *list, int64_t at,
                                         const reeve_builder *value);
REEVE_API reeve_err reeve_batch_list_pop(reeve_batch *batch, reeve_list *list, int64_t at);
REEVE_API reeve_err reeve_batch_list_add(reeve_batch *batch, reeve_list *list, int64_t at,
                                         const reeve_builder *amount);
REEVE_API reeve_err reeve_batch_list_expect(reeve_batch *batch, reeve_list *list, int64_t at,
                                            const reeve_builder *expected);

REEVE_API reeve_err reeve_batch_set_add(reeve_batch *batch, reeve_set *set,
                                        const reeve_builder *value);
/* EKEY unless it is there. */
REEVE_API reeve_err reeve_batch_set_remove(reeve_batch *batch, reeve_set *set,
                                           const reeve_builder *value);

REEVE_API reeve_err reeve_batch_shared_set(reeve_batch *batch, reeve_shared *shared,
                                           const reeve_builder *value);
REEVE_API reeve_err reeve_batch_shared_add(reeve_batch *batch, reeve_shared *shared,
                                           const reeve_builder *amount);
REEVE_API reeve_err reeve_batch_shared_expect(reeve_batch *batch, reeve_shared *shared,
                                              const reeve_builder *expected);

REEVE_API reeve_err reeve_batch_array_set(reeve_batch *batch, reeve_array *array, int64_t at,
                                          const reeve_builder *value);
REEVE_API reeve_err reeve_batch_namespace_set(reeve_batch *batch, reeve_namespace *ns,
                                              const char *name, const reeve_builder *value);

/* Run all of them. On an error nothing has happened, and *failed, which may be NULL, is the index of the call that
 * was refused; it tells nothing if the batch was refused as a whole. Blocks for a round trip. A batch
 * runs once: later calls are EINVAL. Errors: those of its calls, EINVAL (handles of another context), ELIMIT and
 * ETOOBIG (too many, too large, or they make more than 256 MiB before the last one), EFENCED, and as
 * reeve_ping. */
REEVE_API REEVE_NODISCARD reeve_err reeve_batch_run(reeve_batch *batch, size_t *failed);

/* The sum of an `add`, or what a `pop` took out, after the run; NULL for all others. Borrowed from the batch. */
REEVE_API const reeve_value *reeve_batch_result(const reeve_batch *batch, size_t index);

#ifdef __cplusplus
}
#endif

#endif
