#ifndef SIM_RAW_H
#define SIM_RAW_H

/*
 * sim_raw.h -- a client by hand: it says what no client of ours does, and looks at what that has changed.
 *
 *     uint64_t lock = raw_open(&s, 1, &(struct rv_object_open_args){.kind = RV_KIND_LOCK});
 *     RAW(&s, 1, REEVE_ERELEASED, lock_release, lock, .thread = 1);
 */

#include "tests/lib/check.h"
#include "tests/lib/sim.h"

/* Ask for the operation with these fields, and be answered so. */
#define RAW(s, client, wanted, name, object, ...)                                                  \
    do {                                                                                           \
        struct rv_buf raw_args_ = {0};                                                             \
                                                                                                   \
        rv_##name##_args_encode(&raw_args_, &(struct rv_##name##_args){__VA_ARGS__});              \
        CHECK(sim_ask(s, client, RV_OP_##name, object, &raw_args_, NULL) == (wanted));             \
    } while (0)

/* Say it, where there is no answer, and count how many of such the manager has refused meanwhile. */
#define RAW_SAID(s, client, refusals, name, object, ...)                                           \
    do {                                                                                           \
        struct rv_buf raw_args_ = {0};                                                             \
        uint64_t raw_before_ = raw_refused(s);                                                     \
                                                                                                   \
        rv_##name##_args_encode(&raw_args_, &(struct rv_##name##_args){__VA_ARGS__});              \
        raw_say(s, client, RV_OP_##name, object, &raw_args_);                                      \
        CHECK(raw_refused(s) - raw_before_ == (refusals));                                         \
    } while (0)

/* The answer with its result, which is the caller's. */
#define RAW_FOR(s, client, result, name, object, ...)                                              \
    do {                                                                                           \
        struct rv_buf raw_args_ = {0};                                                             \
        struct rv_buf raw_result_ = {0};                                                           \
                                                                                                   \
        rv_##name##_args_encode(&raw_args_, &(struct rv_##name##_args){__VA_ARGS__});              \
        CHECK(sim_ask(s, client, RV_OP_##name, object, &raw_args_, &raw_result_) == REEVE_OK);     \
        CHECK(rv_##name##_result_decode(result, rv_buf_slice(&raw_result_)));                      \
        rv_buf_free(&raw_result_);                                                                 \
    } while (0)

/* Begin the call, which may wait so long; raw_end() tells how it ended. */
#define RAW_BEGIN(call, s, client, timeout_ms, name, object, ...)                                  \
    do {                                                                                           \
        struct rv_buf raw_args_ = {0};                                                             \
                                                                                                   \
        rv_##name##_args_encode(&raw_args_, &(struct rv_##name##_args){__VA_ARGS__});              \
        (call) = raw_begin(s, client, RV_OP_##name, object, timeout_ms, &raw_args_);               \
    } while (0)

struct rv_request *raw_begin(struct sim *s, int client, uint16_t op, uint64_t object,
                             uint32_t timeout_ms, struct rv_buf *args);
/* Run until it is over. */
reeve_err raw_end(struct sim *s, int client, struct rv_request *call);

/* Nobody looks at it any more: it goes with its answer, or with its client. */
void raw_leave(struct rv_request *call);

/* A new object, or one more handle: its number. It must work. create is 1 if that is 0. */
uint64_t raw_open(struct sim *s, int client, const struct rv_object_open_args *open);
/* Without an answer. The ping behind it is answered when it has been heard. args are freed. */
void raw_say(struct sim *s, int client, uint16_t op, uint64_t object, struct rv_buf *args);
/* Messages that the manager has counted as refused. */
uint64_t raw_refused(struct sim *s);
/* Items of one byte each, good until the fourth list after this one. */
struct rv_items raw_items(const char *bytes, uint32_t count);
/* The same, each any bytes. */
struct rv_items raw_slices(const struct rv_slice *items, uint32_t count);
/* The manager dies with its process and is there again. */
void raw_restart(struct sim *s);

#endif
