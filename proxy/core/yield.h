#ifndef RV_YIELD_H
#define RV_YIELD_H

/*
 * yield.h -- results as they come: packed as the message brought them, found by their index.
 *
 *              result             taken
 *     OPEN ------------> HERE ------------> GIVEN        a second result for an index is a double
 *
 * One slot of 8 bytes for each index says where its value lies. A map has a slot for every item and
 * takes nothing out; an iterator has a ring of them, whose base moves past those that are GIVEN, and
 * frees a batch with the last value that is taken out of it.
 */

#include "common/wire/stream.h"
#include "proxy/core/ledger.h"
#include <reeve/error.h>

/* How the run of one item ended, when there is more to say than a value. */
struct rv_record {
    uint8_t status; /* enum rv_ran */
    reeve_err error;
    uint32_t runs;
    uint32_t pid;
    uint64_t ns;
    int64_t code; /* exit code, or minus the signal */
    const char *agent, *host, *text;
    const uint8_t *output;
    size_t output_len;
    const uint8_t *item; /* itself, of a job that others gave its items; or of length 0 */
    size_t item_len;
    uint64_t value;       /* where its value lies; 0: it has none */
    struct rv_lien *lien; /* what that refers to; NULL: nothing */
    char bytes[];
};

/* Bytes that a message brought: items, or one large item by itself. */
struct rv_lot {
    uint8_t *bytes; /* NULL: body */
    struct rv_body *body;
    uint32_t left; /* results in it that were not taken out; of a free one, the next and 1 */
};

struct rv_yield {
    uint64_t *slots;
    uint64_t cap;  /* a power of two */
    uint64_t base; /* all below are GIVEN */
    uint64_t end;  /* no index from here on has a result: so many items were asked for */

    struct rv_lot *lots;
    uint32_t lots_len, lots_cap, lots_free; /* the first free one and 1; 0: none */
    uint64_t records;                       /* slots that hold one */

    uint64_t done;    /* results that have come */
    uint64_t failed;  /* of them without success */
    uint64_t doubles; /* dropped */
    uint64_t here;    /* come and not taken out */
    size_t bytes;     /* of values that are here */
};

/* One result, borrowed until it is taken out or the yield is freed. */
struct rv_result {
    uint64_t index;
    bool has_value;
    struct rv_slice value;
    const struct rv_record *record; /* NULL: it went well, and there is no more to say */
};

/* Room for indexes below base + cap. */
bool rv_yield_init(struct rv_yield *y, uint64_t cap);
void rv_yield_free(struct rv_yield *y);

/* The same with more room; what is here stays. False without memory, and nothing has changed. */
bool rv_yield_grow(struct rv_yield *y, uint64_t cap);

/* Where the bytes of items are that came in one message. */
struct rv_freight {
    struct rv_assembly *assembly;
    const struct rv_slice *bodies;
    size_t bodies_len;
    size_t *frames; /* used so far */
};

/* Take in the values of indexes first, first + 1, ...; fresh(arg, index), if there is one, is
 * called for each that is no double. False without memory, or when the bytes of an item are
 * missing: what was not taken in by then is lost. */
bool rv_yield_add(struct rv_yield *y, uint64_t first, const struct rv_items *items,
                  const struct rv_freight *freight, void (*fresh)(void *arg, uint64_t index),
                  void *arg);

/* Take in one result with a record, which becomes the yield's, and a value or none. */
bool rv_yield_tell(struct rv_yield *y, uint64_t index, struct rv_record *record,
                   const struct rv_items *items, const struct rv_freight *freight,
                   void (*fresh)(void *arg, uint64_t index), void *arg);

/* A record with copies of its texts, and no lien. NULL without memory. */
struct rv_record *rv_record_new(const struct rv_record *from, struct rv_slice agent,
                                struct rv_slice host, struct rv_slice text, struct rv_slice output,
                                struct rv_slice item);

/* The result of an index. False while it has none, or when it was taken out. */
bool rv_yield_at(const struct rv_yield *y, uint64_t index, struct rv_result *out);

/* It was used: forget it. */
void rv_yield_take(struct rv_yield *y, uint64_t index);

#endif
