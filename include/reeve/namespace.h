#ifndef REEVE_NAMESPACE_H
#define REEVE_NAMESPACE_H

/*
 * namespace.h -- a shared Namespace: attributes by their names. Row T17.
 *
 *     reeve_namespace_open(&ns, ctx, "settings", NULL);
 *     reeve_namespace_set(ns, "limit", value);             // ns.limit = value
 *     reeve_namespace_get(ns, "limit", &v);                // EATTR: there is no such attribute
 *
 * Any text of at most 1000 bytes is a name. Names that begin with _ are as all others: the proxy has none of its
 * own. Else all is as in a dict (dict.h), errors, rights and threads, too.
 */

#include <reeve/error.h>
#include <reeve/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/* As reeve_dict_open, _close and _name. */
REEVE_API REEVE_NODISCARD reeve_err reeve_namespace_open(reeve_namespace **out, reeve_context *ctx,
                                                         const char *name,
                                                         const reeve_container_options *options);
REEVE_API void reeve_namespace_close(reeve_namespace **ns);
REEVE_API const char *reeve_namespace_name(const reeve_namespace *ns);

/* ns.name = value. */
REEVE_API REEVE_NODISCARD reeve_err reeve_namespace_set(reeve_namespace *ns, const char *name,
                                                        const reeve_builder *value);

/* ns.name. The caller owns *out and frees it; NULL after an error. Errors: EATTR. */
REEVE_API REEVE_NODISCARD reeve_err reeve_namespace_get(reeve_namespace *ns, const char *name,
                                                        reeve_value **out);

/* del ns.name. Errors: EATTR. */
REEVE_API REEVE_NODISCARD reeve_err reeve_namespace_del(reeve_namespace *ns, const char *name);

/* ns.name += amount, as reeve_dict_add_int. sum may be NULL. */
REEVE_API REEVE_NODISCARD reeve_err reeve_namespace_add_int(reeve_namespace *ns, const char *name,
                                                            int64_t amount, int64_t *sum);

/* vars(ns).update(map): all attributes of a map value, whose keys are names. In as many calls as it takes, as
 * reeve_dict_update. Errors: ETYPE (it is no map of names). */
REEVE_API REEVE_NODISCARD reeve_err reeve_namespace_update(reeve_namespace *ns,
                                                           const reeve_builder *map);

/* All attributes of one moment as a map, as reeve_dict_copy. */
REEVE_API REEVE_NODISCARD reeve_err reeve_namespace_copy(reeve_namespace *ns, reeve_value **out);

/* vars(ns).items(): names and values one after the other, by reeve_dict_next and reeve_dict_iter_close (dict.h).
 * Needs the namespace as long as it lives. Else as reeve_dict_items. */
REEVE_API REEVE_NODISCARD reeve_err reeve_namespace_items(reeve_dict_iter **out,
                                                          reeve_namespace *ns);

/* Wait until it changes, or its attribute of that name, as reeve_dict_wait. */
REEVE_API REEVE_NODISCARD reeve_err reeve_namespace_wait(reeve_namespace *ns, const char *name,
                                                         uint64_t *version, uint32_t timeout_ms);

#ifdef __cplusplus
}
#endif

#endif
