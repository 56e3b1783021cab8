#include "proxy/core/ledger.h"

#include "common/wire/item.h"

#include <stdatomic.h>
#include <stdlib.h>

struct rv_lien {
    struct rv_lien *next;
    atomic_uint holders;
    struct rv_ledger *ledger;
    size_t len;
    uint8_t refs[];
};

struct rv_ledger {
    atomic_uint holders; /* its context, and values */
    struct rv_lien *_Atomic freed;
};

struct rv_ledger *rv_ledger_new(void)
{
    struct rv_ledger *ledger = calloc(1, sizeof *ledger);

    if (ledger != NULL)
        atomic_init(&ledger->holders, 1);
    return ledger;
}

static void free_liens(struct rv_lien *lien)
{
    while (lien != NULL) {
        struct rv_lien *next = lien->next;

        free(lien);
        lien = next;
    }
}

void rv_ledger_leave(struct rv_ledger **out)
{
    struct rv_ledger *ledger = *out;

    *out = NULL;
    if (ledger == NULL || atomic_fetch_sub(&ledger->holders, 1) != 1)
        return;
    free_liens(atomic_load(&ledger->freed));
    free(ledger);
}

struct rv_lien *rv_lien_new(struct rv_ledger *ledger, struct rv_slice refs)
{
    struct rv_lien *lien = malloc(sizeof *lien + refs.len);

    if (lien == NULL)
        return NULL;
    lien->next = NULL;
    lien->ledger = ledger;
    lien->len = refs.len;
    atomic_init(&lien->holders, 1);
    memcpy(lien->refs, refs.data, refs.len);
    atomic_fetch_add(&ledger->holders, 1);
    return lien;
}

struct rv_lien *rv_lien_keep(struct rv_lien *lien)
{
    atomic_fetch_add(&lien->holders, 1);
    return lien;
}

void rv_lien_drop(struct rv_lien *lien)
{
    struct rv_ledger *ledger = NULL;

    if (lien == NULL || atomic_fetch_sub(&lien->holders, 1) != 1)
        return;
    ledger = lien->ledger;
    lien->next = atomic_load(&ledger->freed);
    while (!atomic_compare_exchange_weak(&ledger->freed, &lien->next, lien)) {
    }
    rv_ledger_leave(&ledger);
}

static void on_freed(void *arg)
{
    rv_lien_drop(arg);
}

void rv_lien_bind(struct rv_lien *lien, reeve_value *value)
{
    struct rv_value_origin *origin = rv_value_origin(value);

    origin->freed = on_freed;
    origin->lien = lien;
}

bool rv_ledger_note(struct rv_ledger *ledger, reeve_value *value, struct rv_slice refs)
{
    struct rv_lien *lien = rv_lien_new(ledger, refs);

    if (lien != NULL)
        rv_lien_bind(lien, value);
    return lien != NULL;
}

void rv_ledger_unnote(reeve_value *value)
{
    struct rv_value_origin *origin = rv_value_origin(value);
    struct rv_lien *lien = origin->lien;

    if (origin->freed != on_freed)
        return;
    origin->freed = NULL;
    rv_ledger_leave(&lien->ledger);
    free(lien);
}

void rv_ledger_release(struct rv_link *link, struct rv_slice refs)
{
    for (size_t i = 0; i < refs.len / 8; i++)
        (void)rv_link_say(link, RV_OP_object_release, rv_item_ref(refs, i), rv_slice(NULL, 0));
}

void rv_ledger_settle(struct rv_ledger *ledger, struct rv_link *link)
{
    struct rv_lien *lien = NULL;

    if (atomic_load_explicit(&ledger->freed, memory_order_relaxed) == NULL)
        return;
    lien = atomic_exchange(&ledger->freed, NULL);
    for (const struct rv_lien *l = lien; l != NULL; l = l->next)
        rv_ledger_release(link, rv_slice(l->refs, l->len));
    free_liens(lien);
}
