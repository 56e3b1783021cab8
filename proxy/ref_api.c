/* ref_api.c -- what names an object: the part that all kinds have in common. */

#include "proxy/context.h"

#include <reeve/ref.h>

/* Enough of a store's random number to tell managers apart; all of it would be in every item. */
static uint32_t store_of(const reeve_context *ctx)
{
    return (uint32_t)rv_get_number(ctx->link.store.bytes, 4);
}

reeve_ref rv_ref(const reeve_context *ctx, uint64_t object, uint8_t kind)
{
    return (reeve_ref){.object = object, .store = store_of(ctx), .kind = kind};
}

reeve_err rv_check_ref(const reeve_context *ctx, reeve_ref ref, uint32_t kinds, const char *word)
{
    if (ref.object == 0 || ref.kind >= 32 || (kinds >> ref.kind & 1) == 0)
        return rv_fail(REEVE_ETYPE, "cannot open a %s: the reference is to a %s", word,
                       reeve_ref_type(ref));
    if (ref.store != store_of(ctx))
        return rv_fail(REEVE_ESTALE,
                       "cannot open a %s: the reference is to an object of another manager", word);
    return REEVE_OK;
}

bool reeve_ref_equal(reeve_ref a, reeve_ref b)
{
    return a.object == b.object && a.store == b.store;
}

const char *reeve_ref_type(reeve_ref ref)
{
    static const char *const kinds[] = {
        [RV_KIND_QUEUE] = "Queue",
        [RV_KIND_LOCK] = "Lock",
        [RV_KIND_RLOCK] = "RLock",
        [RV_KIND_SEMAPHORE] = "Semaphore",
        [RV_KIND_BOUNDED_SEMAPHORE] = "BoundedSemaphore",
        [RV_KIND_CONDITION] = "Condition",
        [RV_KIND_EVENT] = "Event",
        [RV_KIND_BARRIER] = "Barrier",
        [RV_KIND_DICT] = "dict",
        [RV_KIND_SET] = "set",
        [RV_KIND_LIST] = "list",
        [RV_KIND_VALUE] = "Value",
        [RV_KIND_ARRAY] = "Array",
        [RV_KIND_NAMESPACE] = "Namespace",
    };

    return ref.object != 0 && ref.kind < rv_countof(kinds) && kinds[ref.kind] != NULL
               ? kinds[ref.kind]
               : "?";
}
