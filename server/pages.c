#include "server/pages.h"
#include "common/base/base.h"

#include <malloc.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

enum {
    LARGE_PAGE = 2 << 20,
    STEP = 128 << 20,      /* of the heap */
    EXPECT_MAX = 1 << 30,  /* at once */
    PROBE = 2 << 20,       /* comes from the heap, and not from where larger ones are mapped */
    USUAL_STEP = 128 << 10 /* of glibc */
};

static uintptr_t told; /* up to here the heap is told */

void pages_look(void)
{
    uintptr_t top = (uintptr_t)sbrk(0);
    uintptr_t from = (told + LARGE_PAGE - 1) & ~(uintptr_t)(LARGE_PAGE - 1);

    if (top == told)
        return;
    if (top > from)
        (void)madvise((void *)from, top - from, MADV_HUGEPAGE);
    told = top;
}

void pages_expect(size_t len)
{
    void *volatile probe = NULL; /* or the compiler leaves out what is not used */

    if (told == 0)
        told = (uintptr_t)sbrk(0);
    (void)mallopt(M_TOP_PAD, (int)(len > EXPECT_MAX - STEP ? EXPECT_MAX : len + STEP));
    probe = malloc(PROBE);
    free(probe);
    pages_look();
    (void)mallopt(M_TOP_PAD, STEP);
}

void pages_settle(void)
{
    pages_look();
    (void)mallopt(M_TOP_PAD, USUAL_STEP);
}
