#ifndef RV_LEDGER_H
#define RV_LEDGER_H

/*
 * ledger.h -- values that keep objects: what the manager is told when they are freed.
 *
 * A value may be freed in any thread, before or after its context is closed, and in a child of
 * fork. So a free only puts a note here, without a lock; whoever uses the context next passes it on.
 */

#include "common/value/value.h"
#include "common/wire/link.h"

struct rv_ledger;

/* Objects that the session was handed with one value, for all who have that value. */
struct rv_lien;

/* One holder, the caller. NULL without memory. */
struct rv_ledger *rv_ledger_new(void);
void rv_ledger_leave(struct rv_ledger **ledger);

/* u64 each, as on the wire; the caller has it. NULL without memory. */
struct rv_lien *rv_lien_new(struct rv_ledger *ledger, struct rv_slice refs);
struct rv_lien *rv_lien_keep(struct rv_lien *lien);
/* With the last one the objects are let go. NULL is fine. */
void rv_lien_drop(struct rv_lien *lien);
/* From now on the value has it, instead of the caller. */
void rv_lien_bind(struct rv_lien *lien, reeve_value *value);

/* The value keeps the objects that it was handed: u64 each, as on the wire. False without memory. */
bool rv_ledger_note(struct rv_ledger *ledger, reeve_value *value, struct rv_slice refs);

/* It does not, after all, and nobody is told. It may never have been noted. */
void rv_ledger_unnote(reeve_value *value);

/* Tell what was freed. With the context's mutex. */
void rv_ledger_settle(struct rv_ledger *ledger, struct rv_link *link);

/* One item's objects that nobody keeps. */
void rv_ledger_release(struct rv_link *link, struct rv_slice refs);

#endif
