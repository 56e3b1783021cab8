#ifndef RV_RESULTS_H
#define RV_RESULTS_H

/* results.h -- what came of a call, when it is over. */

#include "proxy/core/work.h"

#include <reeve/pool.h>

/* Take what came out of an errand that is over; its yield is empty then. NULL without memory. One
 * reference, the caller's. */
reeve_results *rv_results_new(struct rv_errand *e);

/* The bytes of the value of item i, borrowed; false: it has none. */
bool rv_results_bytes(const reeve_results *r, size_t i, struct rv_slice *bytes);

/* What the value of item i refers to; one more holder is the caller's. NULL: nothing. */
struct rv_lien *rv_results_lien(const reeve_results *r, size_t i);

/* The error that its job ended with, before all was done; OK when all is done. */
reeve_err rv_results_error(const reeve_results *r, const char **why);

/* What a record says, for the application. record NULL: it went well, and no more is known. */
void rv_record_show(const struct rv_record *record, reeve_record *out);

/* "TEXT (on HOST, process PID, run N)": how an item failed, for a person. */
void rv_record_words(const reeve_record *record, char *out, size_t len);

/* The first item that failed; false when none did. */
bool rv_results_first_failed(const reeve_results *r, size_t *i);

#endif
