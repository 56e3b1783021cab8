#ifndef RV_PARCEL_H
#define RV_PARCEL_H

/* parcel.h -- an item on its way into a message: in the message itself, as a body behind it, or as fragments that
 * leave before it, by its size. */

#include "common/wire/link.h"

struct rv_parcel {
    struct rv_item item;
    struct rv_slice head, rest; /* its bytes, in two pieces */
    struct rv_body *body;       /* of a large one; the caller's */
};

/* Decide where the bytes go. Fragments are in the link's stream when it returns. Errors: ETOOBIG, ENOMEM. */
reeve_err rv_parcel_make(struct rv_parcel *out, struct rv_link *link, struct rv_slice head,
                         struct rv_slice rest, struct rv_slice refs, int64_t priority);

/* The item's head, and its bytes if they ride in the message. */
void rv_parcel_write(struct rv_buf *b, const struct rv_parcel *p);

#endif
