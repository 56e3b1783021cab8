#ifndef RV_TASK_STATE_H
#define RV_TASK_STATE_H

/* task_state.h -- the run of a function on an item. */

#include "common/wire/task.h"

#include <reeve/task.h>

struct reeve_task {
    uint64_t job; /* number of its job */
    uint64_t index;
    uint32_t run;
    int64_t code;
    reeve_context *ctx;    /* of an instance of a class; else NULL */
    struct rv_buf pledged; /* objects that the result was said to refer to; u64 each */
    size_t text_len;
    char text[4 * RV_LIMIT_NAME_BYTES + 4]; /* why it failed; text_len bytes, fit for a message */
};

#endif
