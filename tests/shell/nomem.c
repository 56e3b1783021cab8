#include "tests/shell/nomem.h"

#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *old, size_t size);
void __real_free(void *bytes);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *old, size_t size);
void __wrap_free(void *bytes);
char *__wrap_strdup(const char *text);
char *__wrap_strndup(const char *text, size_t len);

enum { LARGE = 128 * 1024 };
enum { MOST = 1 << 18 }; /* allocations that live at a time; a power of two */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct {
    void *bytes; /* NULL: free; the table is open, and looked through from the hash on */
    size_t size;
    void *from;
} table[MOST];
static long
    live; /* of less than LARGE bytes: the library keeps some larger ones for the next item */
static unsigned long left; /* until the one that fails; 0: none does */
static bool failed;
static void *failed_at;
extern const char __executable_start;

static size_t hash(const void *bytes)
{
    return ((uintptr_t)bytes >> 4) * UINT64_C(0x9E3779B97F4A7C15) >> 32 & (MOST - 1);
}

static bool fails(void *from)
{
    bool now = false;

    pthread_mutex_lock(&lock);
    now = left > 0 && --left == 0;
    failed = failed || now;
    failed_at = now ? from : failed_at;
    pthread_mutex_unlock(&lock);
    if (now)
        errno = ENOMEM;
    return now;
}

static void *keep(void *bytes, size_t size, void *from)
{
    size_t at = hash(bytes);

    if (bytes == NULL)
        return NULL;
    pthread_mutex_lock(&lock);
    while (table[at].bytes != NULL)
        at = (at + 1) & (MOST - 1);
    table[at].bytes = bytes;
    table[at].size = size;
    table[at].from = from;
    live += size < LARGE;
    pthread_mutex_unlock(&lock);
    return bytes;
}

/* What the C library has allocated is not in the table. */
static void forget(const void *bytes)
{
    size_t at = hash(bytes);
    size_t hole = 0;

    if (bytes == NULL)
        return;
    pthread_mutex_lock(&lock);
    while (table[at].bytes != NULL && table[at].bytes != bytes)
        at = (at + 1) & (MOST - 1);
    if (table[at].bytes != NULL) {
        live -= table[at].size < LARGE;
        /* Those behind it move up, or they would not be found. */
        for (hole = at;;) {
            table[hole].bytes = NULL;
            do {
                at = (at + 1) & (MOST - 1);
            } while (table[at].bytes != NULL &&
                     ((at - hash(table[at].bytes)) & (MOST - 1)) < ((at - hole) & (MOST - 1)));
            if (table[at].bytes == NULL)
                break;
            table[hole] = table[at];
            hole = at;
        }
    }
    pthread_mutex_unlock(&lock);
}

void *__wrap_malloc(size_t size)
{
    return fails(__builtin_return_address(0))
               ? NULL
               : keep(__real_malloc(size), size, __builtin_return_address(0));
}

void *__wrap_calloc(size_t n, size_t size)
{
    return fails(__builtin_return_address(0))
               ? NULL
               : keep(__real_calloc(n, size), n * size, __builtin_return_address(0));
}

void *__wrap_realloc(void *old, size_t size)
{
    if (fails(__builtin_return_address(0)))
        return NULL;
    forget(old);
    return keep(__real_realloc(old, size), size, __builtin_return_address(0));
}

char *__wrap_strndup(const char *text, size_t len)
{
    size_t size = strnlen(text, len);
    char *copy = fails(__builtin_return_address(0))
                     ? NULL
                     : keep(__real_malloc(size + 1), size + 1, __builtin_return_address(0));

    if (copy == NULL)
        return NULL;
    memcpy(copy, text, size);
    copy[size] = '\0';
    return copy;
}

char *__wrap_strdup(const char *text)
{
    size_t size = strlen(text);
    char *copy = fails(__builtin_return_address(0))
                     ? NULL
                     : keep(__real_malloc(size + 1), size + 1, __builtin_return_address(0));

    return copy == NULL ? NULL : memcpy(copy, text, size + 1);
}

void __wrap_free(void *bytes)
{
    forget(bytes);
    __real_free(bytes);
}

void nomem_arm(unsigned long n)
{
    pthread_mutex_lock(&lock);
    left = n;
    failed = false;
    pthread_mutex_unlock(&lock);
}

bool nomem_disarm(void)
{
    bool did = false;

    pthread_mutex_lock(&lock);
    left = 0;
    did = failed;
    pthread_mutex_unlock(&lock);
    return did;
}

unsigned long nomem_left(void)
{
    unsigned long now = 0;

    pthread_mutex_lock(&lock);
    now = left;
    pthread_mutex_unlock(&lock);
    return now;
}

long nomem_live(void)
{
    long now = 0;

    pthread_mutex_lock(&lock);
    now = live;
    pthread_mutex_unlock(&lock);
    return now;
}

/* For addr2line -f -e build/run-memory. */
static unsigned long place(const void *from)
{
    return (unsigned long)((const char *)from - &__executable_start);
}

void nomem_tell(void)
{
    pthread_mutex_lock(&lock);
    fprintf(stderr, "  failed at 0x%lx\n", place(failed_at));
    for (size_t i = 0; i < MOST; i++)
        if (table[i].bytes != NULL)
            fprintf(stderr, "  %zu bytes, made at 0x%lx\n", table[i].size, place(table[i].from));
    pthread_mutex_unlock(&lock);
}
