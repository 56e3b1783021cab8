#ifndef RV_DICT_API_H
#define RV_DICT_API_H

/* dict_api.h -- calls on pairs, for dicts and namespaces. A key stands as its bytes. */

#include "proxy/box_api.h"

reeve_err rv_pairs_set(const struct rv_sync *s, struct rv_slice key, const reeve_builder *value);
reeve_err rv_pairs_get(const struct rv_sync *s, struct rv_slice key, struct rv_slice path,
                       reeve_value **out, uint64_t *version);
reeve_err rv_pairs_del(const struct rv_sync *s, struct rv_slice key);
/* verb: enum rv_edit. sum: of an addition; or NULL. */
reeve_err rv_pairs_edit(const struct rv_sync *s, uint8_t verb, struct rv_slice key,
                        struct rv_slice path, const struct rv_load *operand, reeve_value **sum);
reeve_err rv_pairs_add_int(const struct rv_sync *s, struct rv_slice key, int64_t amount,
                           int64_t *sum);
reeve_err rv_pairs_copy(const struct rv_sync *s, reeve_value **out);

#endif
