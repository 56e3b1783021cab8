#include "common/base/base.h"

#include <stdio.h>
#include <stdlib.h>

void rv_assert_failed(const char *file, int line, const char *truth)
{
    fprintf(stderr, "%s:%d: assertion failed: %s\n", file, line, truth);
    abort();
}

void *rv_alloc(size_t size)
{
    void *bytes = calloc(1, size == 0 ? 1 : size);

    rv_assert(bytes != NULL);
    return bytes;
}

void *rv_realloc(void *old, size_t size)
{
    void *bytes = realloc(old, size == 0 ? 1 : size);

    rv_assert(bytes != NULL);
    return bytes;
}
