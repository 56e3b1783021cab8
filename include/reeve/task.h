#ifndef REEVE_TASK_H
#define REEVE_TASK_H

#include <reeve/error.h>
#include <reeve/types.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef reeve_err reeve_function(reeve_task *task, const reeve_value *in, reeve_builder *out);
typedef reeve_err reeve_initializer(const reeve_value *arg);
typedef struct reeve_fn {
    const char *name;
    reeve_function *function;
} reeve_fn;

typedef struct reeve_init {
    const char *name;
    reeve_initializer *function;
} reeve_init;

#ifdef __cplusplus
}
#endif

#endif
