#ifndef REEVE_TYPES_H
#define REEVE_TYPES_H

/* types.h -- the opaque types of the library. One header each says what they can do. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct reeve_context reeve_context;     /* a session with a manager: context.h */
typedef struct reeve_queue reeve_queue;         /* a proxy of a managed queue: queue.h */
typedef struct reeve_lock reeve_lock;           /* a Lock or an RLock: lock.h */
typedef struct reeve_semaphore reeve_semaphore; /* semaphore.h */
typedef struct reeve_condition reeve_condition; /* condition.h */
typedef struct reeve_event reeve_event;         /* event.h */
typedef struct reeve_barrier reeve_barrier;     /* barrier.h */
typedef struct reeve_dict reeve_dict;           /* dict.h */
typedef struct reeve_dict_iter reeve_dict_iter; /* pairs of a dict, one after the other */
typedef struct reeve_list reeve_list;           /* list.h */
typedef struct reeve_list_iter reeve_list_iter; /* values of a list, one after the other */
typedef struct reeve_set reeve_set;             /* set.h */
typedef struct reeve_set_iter reeve_set_iter;   /* members of a set, one after the other */
typedef struct reeve_shared reeve_shared;       /* a Value: shared.h */
typedef struct reeve_array reeve_array;         /* an Array: shared.h */
typedef struct reeve_namespace reeve_namespace; /* namespace.h */
typedef struct reeve_batch reeve_batch;         /* calls that all take effect or none: batch.h */
typedef struct reeve_value reeve_value;         /* a value that was received: value.h */
typedef struct reeve_builder reeve_builder;     /* a value being made: value.h */
typedef struct reeve_task reeve_task;           /* the run of a function on an item: task.h */
typedef struct reeve_pool reeve_pool;           /* runs functions over items: pool.h */
typedef struct reeve_items reeve_items;         /* what they run over: pool.h */
typedef struct reeve_results reeve_results;     /* what came of it: pool.h */
typedef struct reeve_async reeve_async;         /* what will come of it: pool.h */
typedef struct reeve_iter reeve_iter;           /* results one after the other: pool.h */

/* An object of a manager, as values name it: ref.h. All zero is none. */
typedef struct reeve_ref {
    uint64_t object; /* its number, which no other object of the manager ever has */
    uint32_t store;  /* of which manager it is */
    uint32_t kind;   /* its type: reeve_ref_type() has the word */
} reeve_ref;

/* Timeouts are milliseconds. 0 does not wait; REEVE_FOREVER waits without limit. */
#define REEVE_FOREVER UINT32_MAX

/* How an object is opened by its name. */
typedef enum {
    REEVE_CREATE_OR_GET, /* the default: other options than the existing object's are EEXIST */
    REEVE_CREATE,        /* EEXIST when it is there */
    REEVE_GET_ONLY       /* ENOENT when it is not; takes whatever options it has */
} reeve_create;

/* What a call on an object survives once it has returned, if the manager has a log. */
typedef enum {
    REEVE_DURABLE_DEFAULT, /* SYNC */
    REEVE_DURABLE_NONE,    /* nothing: the fastest */
    REEVE_DURABLE_OS,      /* the end of the manager's process */
    REEVE_DURABLE_SYNC     /* the loss of power, too: it is on the disk */
} reeve_durable;

/* How a container is opened. Zero means "the default" in every field. */
typedef struct reeve_container_options {
    reeve_create create;
    uint32_t ttl_ms;       /* a named one that nobody has open goes after so long; 0: never */
    uint32_t timeout_ms;   /* of the open; 0: 5000 */
    reeve_durable durable; /* what a call survives once it has returned: reeve_reached */
    uint64_t max_bytes;    /* of keys and values, above which changes are EQUOTA; 0: no bound */
    uint64_t reserved[4];
} reeve_container_options;

/* Part of a list or an array, as Python's start:stop:step. REEVE_UNSET stands for what is left out. */
#define REEVE_UNSET INT64_MIN
typedef struct reeve_slice {
    int64_t start, stop, step;
} reeve_slice;

#ifdef __cplusplus
}
#endif

#endif
