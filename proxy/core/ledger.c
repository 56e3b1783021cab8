#include "proxy/ledger.h"

#include "common/wire/item.h"

#include <stdatomic.h>
#include <stdlib.h>

struct lien {
    struct lien *next;
    struct rv_ledger *ledger;
    size_t len;
    uint8_t refs[];
};

struct rv_ledger {
    atomic_uint holders; /* its context, and values */
    struct lien *_Atomic freed;
};

struct rv_ledger *rv_ledger_new(void)
{
    struct rv_ledger *ledger = calloc(1, sizeof *ledger);

    if (ledger != NULL)
        atomic_init(&ledger->holders, 1);
    return ledger;
}

static void free_liens(struct lien *lien)
{
    while (lien != NULL) {
        struct lien *next = lien->next;

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

static void on_freed(void *arg)
{
    struct lien *lien = arg;
    struct rv_ledger *ledger = lien->ledger;

    lien->next = atomic_load(&ledger->freed);
    while (!atomic_compare_exchange_weak(&ledger->freed, &lien->next, lien)) {
    }
    rv_ledger_leave(&ledger);
}

bool rv_ledger_note(struct rv_ledger *ledger, reeve_value *value, struct rv_slice refs)
{
    struct rv_value_origin *origin = rv_value_origin(value);
    struct lien *lien = malloc(sizeof *lien + refs.len);

    if (lien == NULL)
        return false;
    *lien = (struct lien){.ledger = ledger, .len = refs.len};
    memcpy(lien->refs, refs.data, refs.len);
    atomic_fetch_add(&ledger->holders, 1);
    origin->freed = on_freed;
    origin->lien = lien;
    return true;
}

void rv_ledger_unnote(reeve_value *value)
{
    struct rv_value_origin *origin = rv_value_origin(value);
    struct lien *lien = origin->lien;

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
    struct lien *lien = NULL;

    if (atomic_load_explicit(&ledger->freed, memory_order_relaxed) == NULL)
        return;
    lien = atomic_exchange(&ledger->freed, NULL);
    for (const struct lien *l = lien; l != NULL; l = l->next)
        rv_ledger_release(link, rv_slice(l->refs, l->len));
    free_liens(lien);
}
