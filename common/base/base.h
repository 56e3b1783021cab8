#ifndef RV_BASE_H
#define RV_BASE_H

/*
 * base.h -- what every file may use: time, borrowed bytes, assertions.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* An instant or a duration in nanoseconds. Instants count from an arbitrary start. */
typedef int64_t rv_ns;

#define RV_NEVER INT64_MAX
#define RV_MS    INT64_C(1000000)
#define RV_SEC   INT64_C(1000000000)

/* now + ms milliseconds; UINT32_MAX milliseconds is "for ever". */
static inline rv_ns rv_after_ms(rv_ns now, uint32_t ms)
{
    return ms == UINT32_MAX ? RV_NEVER : now + (rv_ns)ms * RV_MS;
}

/* Borrowed bytes. Who lends them says until when. */
struct rv_slice {
    const uint8_t *data;
    size_t len;
};

static inline struct rv_slice rv_slice(const void *data, size_t len)
{
    return (struct rv_slice){data, len};
}

static inline struct rv_slice rv_slice_str(const char *text)
{
    return (struct rv_slice){(const uint8_t *)text, text == NULL ? 0 : strlen(text)};
}

static inline bool rv_slice_equal(struct rv_slice a, struct rv_slice b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

/* A 128-bit id: of a session, a store or a host. All zero is "none". */
struct rv_id {
    uint8_t bytes[16];
};

static inline bool rv_id_equal(const struct rv_id *a, const struct rv_id *b)
{
    return memcmp(a->bytes, b->bytes, sizeof a->bytes) == 0;
}

static inline bool rv_id_zero(const struct rv_id *id)
{
    static const struct rv_id none;

    return rv_id_equal(id, &none);
}

/* Where a core's log lines go: one `noun.verb key=value` line, no newline. */
struct rv_sink {
    void (*line)(void *arg, int level, const char *text);
    void *arg;
};

/* AUDIT is no level of the log: lines for the audit alone. */
enum { RV_ERROR, RV_WARN, RV_INFO, RV_DEBUG, RV_AUDIT };

#define rv_countof(array) (sizeof(array) / sizeof((array)[0]))

/* Our own mistakes end the process, in release builds too. */
#define rv_assert(truth) ((truth) ? (void)0 : rv_assert_failed(__FILE__, __LINE__, #truth))

_Noreturn void rv_assert_failed(const char *file, int line, const char *truth);

/* Memory of the manager and the agent is bounded by limits that are checked first, so an
 * allocation that fails below them is fatal. The library uses plain malloc and returns ENOMEM. */
void *rv_alloc(size_t size);
void *rv_realloc(void *old, size_t size);

#endif
