#ifndef RV_MSG_H
#define RV_MSG_H

/*
 * msg.h -- messages, operations and rows as structs, made from msg.def and ops.def.
 *
 * A struct's strings, blobs and items are borrowed from the bytes that were decoded.
 * What decodes encodes to the same bytes; every truncation is refused.
 */

#include "common/wire/item.h"
#include "common/wire/limits.def"
#include "common/wire/msg.def"
#include "common/wire/ops.def"
#include "common/wire/task.def"

enum { RV_WIRE_MAJOR = 1, RV_WIRE_MINOR = 0 };

enum rv_kind {
    RV_KIND_QUEUE = 1,
    RV_KIND_LOCK = 2,
    RV_KIND_RLOCK = 3,
    RV_KIND_SEMAPHORE = 4,
    RV_KIND_BOUNDED_SEMAPHORE = 5,
    RV_KIND_CONDITION = 6,
    RV_KIND_EVENT = 7,
    RV_KIND_BARRIER = 8,
    RV_KIND_JOB = 9,
    RV_KIND_AGENT = 10,
    RV_KIND_DICT = 11,
    RV_KIND_SET = 12,
    RV_KIND_LIST = 13,
    RV_KIND_VALUE = 14,
    RV_KIND_ARRAY = 15,
    RV_KIND_NAMESPACE = 16,
};
/* How a lock is acquired: with a lease if nobody waits; to fail when that closes a cycle; with a
 * release that may be late, if nobody waits. What of the first and the last was granted: */
enum rv_lock_flags { RV_LOCK_LEASE = 1, RV_LOCK_NO_CYCLE = 2, RV_LOCK_LATE = 4 };
enum rv_lock_grant { RV_GRANT_PLAIN, RV_GRANT_LEASE, RV_GRANT_LATE };
enum rv_role { RV_ROLE_HOLDS, RV_ROLE_WAITS, RV_ROLE_SLEEPS, RV_ROLE_DIED };
#define RV_QUOTA_ENUM(name, word) RV_QUOTA_##name,
enum rv_quota { RV_QUOTAS(RV_QUOTA_ENUM) RV_QUOTAS_LEN };
#undef RV_QUOTA_ENUM
enum rv_order { RV_ORDER_FIFO, RV_ORDER_LIFO, RV_ORDER_PRIORITY };
/* How whoever had an item went without finishing it. */
enum rv_left { RV_LEFT_CLOSED, RV_LEFT_GOODBYE, RV_LEFT_LOST, RV_LEFT_EXPIRED, RV_LEFT_REVOKED };

/* Of a slice: which of its numbers are given. */
enum rv_bound { RV_BOUND_START = 1, RV_BOUND_STOP = 2, RV_BOUND_STEP = 4 };
/* Nothing is expected to be there; it is deleted; what was not expected is an error; nothing is set. */
enum rv_cas { RV_CAS_ABSENT = 1, RV_CAS_DELETE = 2, RV_CAS_MUST = 4, RV_CAS_ONLY = 8 };
enum rv_find { RV_FIND_INDEX, RV_FIND_COUNT };
enum rv_combine { RV_UNION, RV_INTERSECTION, RV_DIFFERENCE, RV_SYMMETRIC };
/* The set is in the other; it has all of that; they have none in common; they have the same. */
enum rv_compare {
    RV_SUBSET,
    RV_SUPERSET,
    RV_DISJOINT,
    RV_SAME,
    RV_PROPER_SUBSET,
    RV_PROPER_SUPERSET,
};

/* What a job runs. */
enum rv_code { RV_CODE_PROGRAM, RV_CODE_MODULE, RV_CODE_COMMAND };

/* How the run of an item ended. */
enum rv_ran {
    RV_RAN_OK,      /* a value */
    RV_RAN_FAILED,  /* the function, or the command, said so */
    RV_RAN_CRASHED, /* its process ended by a signal */
    RV_RAN_EXITED,  /* its process left by exit() */
    RV_RAN_TIMEOUT, /* it took longer than it might, and was killed */
    RV_RAN_TOOBIG,  /* its value is larger than an item may be */
    RV_RAN_NEVER,   /* it could not be begun: no such function, the initializer failed */
};

/* What an answered call survives: nothing, the end of the manager's process, the loss of power. */
enum rv_durable { RV_DURABLE_DEFAULT, RV_DURABLE_NONE, RV_DURABLE_OS, RV_DURABLE_SYNC };

typedef uint8_t rv_f_u8;
typedef uint16_t rv_f_u16;
typedef uint32_t rv_f_u32;
typedef uint64_t rv_f_u64;
typedef int64_t rv_f_i64;
typedef struct rv_id rv_f_id;
typedef struct rv_slice rv_f_str;
typedef struct rv_slice rv_f_blob;
typedef struct rv_items rv_f_items;

#define RV_FIELD(kind, name) rv_f_##kind name;

/* ---- messages ---- */

#define RV_MSG_NUMBER(name, number, numbered, FIELDS) RV_MSG_##name = number,
enum rv_msg_type { RV_MESSAGES(RV_MSG_NUMBER) };
#undef RV_MSG_NUMBER

#define RV_MSG_STRUCT(name, number, numbered, FIELDS)                                              \
    struct rv_##name {                                                                             \
        FIELDS(RV_FIELD)                                                                           \
        char end_; /* a message may have no field */                                               \
    };
RV_MESSAGES(RV_MSG_STRUCT)
#undef RV_MSG_STRUCT

struct rv_msg {
    enum rv_msg_type type;
    union {
#define RV_MSG_MEMBER(name, number, numbered, FIELDS) struct rv_##name name;
        RV_MESSAGES(RV_MSG_MEMBER)
#undef RV_MSG_MEMBER
    };
};

/* Append u32 length, u8 type and the fields. */
void rv_msg_encode(struct rv_buf *out, const struct rv_msg *msg);

/* Decode one whole message (type and fields, without the length). */
bool rv_msg_decode(struct rv_msg *out, struct rv_slice bytes);

bool rv_msg_numbered(enum rv_msg_type type);
const char *rv_msg_name(enum rv_msg_type type); /* "?" when unknown */

/* ---- operations ---- */

enum {
    RV_OP_READ = 1,
    RV_OP_WRITE = 2,
    RV_OP_BLOCK = 4,
    RV_OP_ONEWAY = 8,
    RV_OP_PUSH = 16,
    RV_OP_GROWS = 32,
    RV_OP_FENCE = 64,
};

#define RV_RIGHT_ENUM(name, word) RV_RIGHT_##name,
enum rv_right { RV_RIGHTS(RV_RIGHT_ENUM) RV_RIGHTS_LEN };
#undef RV_RIGHT_ENUM

#define RV_OP_NUMBER(name, number, flags, right, ARGS, RESULT) RV_OP_##name = number,
enum rv_op { RV_OPS(RV_OP_NUMBER) };
#undef RV_OP_NUMBER

#define RV_OP_STRUCT(name, number, flags, right, ARGS, RESULT)                                     \
    struct rv_##name##_args {                                                                      \
        ARGS(RV_FIELD)                                                                             \
        char end_;                                                                                 \
    };                                                                                             \
    struct rv_##name##_result {                                                                    \
        RESULT(RV_FIELD)                                                                           \
        char end_;                                                                                 \
    };                                                                                             \
    void rv_##name##_args_encode(struct rv_buf *out, const struct rv_##name##_args *args);         \
    bool rv_##name##_args_decode(struct rv_##name##_args *out, struct rv_slice bytes);             \
    void rv_##name##_result_encode(struct rv_buf *out, const struct rv_##name##_result *result);   \
    bool rv_##name##_result_decode(struct rv_##name##_result *out, struct rv_slice bytes);
RV_OPS(RV_OP_STRUCT)
#undef RV_OP_STRUCT

struct rv_op_info {
    uint16_t number;
    uint8_t flags;
    uint8_t right; /* enum rv_right */
    const char *name;
};

/* NULL when there is no such operation. */
const struct rv_op_info *rv_op_info(uint16_t op);

/* Are these well-formed arguments of op? *bodies gets the number of body frames they use. */
bool rv_op_args_check(uint16_t op, struct rv_slice args, size_t *bodies);

/* The items among well-formed arguments; false when op has none. */
bool rv_op_items(uint16_t op, struct rv_slice args, struct rv_items *out);

/* The items among a well-formed result of op; false when it has none. */
bool rv_op_result_items(uint16_t op, struct rv_slice result, struct rv_items *out);

/* Operations of one family of types have numbers of one block of 32: a call on an object of
 * another family is a mistake of the caller. */
static inline uint16_t rv_op_family(uint16_t op)
{
    return op / 32;
}

/* The i-th operation, for listings; NULL at the end. */
const struct rv_op_info *rv_op_at(size_t i);

/* ---- rows ---- */

#define RV_ROW_STRUCT(name, FIELDS)                                                                \
    struct rv_##name {                                                                             \
        FIELDS(RV_FIELD)                                                                           \
        char end_;                                                                                 \
    };                                                                                             \
    void rv_##name##_encode(struct rv_buf *out, const struct rv_##name *row);                      \
    bool rv_##name##_decode(struct rv_##name *out, struct rv_slice bytes);
RV_ROWS(RV_ROW_STRUCT)
#undef RV_ROW_STRUCT

/* Take the next row's bytes from a listing; false at its end or when it is malformed. */
bool rv_row_next(struct rv_reader *r, struct rv_slice *row);

/* ---- between an agent and its runners: task.h ---- */

#define RV_TASK_STRUCT(name, number, FIELDS)                                                       \
    struct rv_task_##name {                                                                        \
        FIELDS(RV_FIELD)                                                                           \
        char end_;                                                                                 \
    };                                                                                             \
    void rv_task_##name##_encode(struct rv_buf *out, const struct rv_task_##name *frame);          \
    bool rv_task_##name##_decode(struct rv_task_##name *out, struct rv_slice bytes);
RV_TASK_FRAMES(RV_TASK_STRUCT)
#undef RV_TASK_STRUCT

/* ---- frames ---- */

/*
 * A control frame: a header, then messages. The numbered ones among them count first,
 * first + 1, ...
 *
 *     u8 'R'   u8 major   u8 body frames that follow   u8 zero   u64 first   u64 ack
 */
enum { RV_FRAME_MAGIC = 'R', RV_FRAME_HEADER = 20 };

struct rv_frame {
    uint8_t bodies;
    uint64_t first; /* 0 when no message in it is numbered */
    uint64_t ack;   /* all numbered messages up to this one have arrived */
    struct rv_slice messages;
};

void rv_frame_encode(uint8_t out[static RV_FRAME_HEADER], const struct rv_frame *frame);

/* The header only; EVERSION is told from garbage by *version. */
bool rv_frame_decode(struct rv_frame *out, struct rv_slice bytes, bool *version);

/* The next message of a frame. False at the end; r->bad when it was malformed. */
bool rv_frame_next(struct rv_reader *r, struct rv_msg *out);

#endif
