/* errmsg.c -- errors in words, one text for each thread. */

#include "proxy/context.h"

#include <stdatomic.h>
#include <stdio.h>

static _Thread_local char message[512] = "no error";

const char *reeve_errmsg(void)
{
    return message;
}

const char *reeve_strerror(reeve_err err)
{
    switch (err) {
#define ERROR_CASE(name, number, text)                                                             \
    case REEVE_##name:                                                                             \
        return text;
        REEVE_ERRORS(ERROR_CASE)
#undef ERROR_CASE
    }
    return "unknown error";
}

reeve_err rv_fail(reeve_err err, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    return err;
}

reeve_err rv_fail_request(const struct rv_request *call, const char *verb, const char *object)
{
    const char *words = reeve_strerror(call->error);

    if (call->error == REEVE_OWNER_DIED)
        return rv_fail(call->error, "%s is held now, but %.*s", object, (int)call->text.len,
                       call->text.len == 0 ? "" : (const char *)call->text.data);
    if (call->text.len == 0)
        return rv_fail(call->error, "cannot %s %s: %s", verb, object, words);
    return rv_fail(call->error, "cannot %s %s: %.*s", verb, object, (int)call->text.len,
                   (const char *)call->text.data);
}

/* ---- what the last call of the thread survives ---- */

static _Thread_local uint8_t level; /* enum rv_durable; DEFAULT: nothing was answered yet */

void rv_reached_nothing(void)
{
    level = RV_DURABLE_DEFAULT;
}

void rv_reached(uint8_t durable)
{
    if (durable != RV_DURABLE_DEFAULT && (level == RV_DURABLE_DEFAULT || durable < level))
        level = durable;
}

reeve_durable reeve_reached(void)
{
    return level == RV_DURABLE_DEFAULT ? REEVE_DURABLE_NONE : (reeve_durable)level;
}

uint64_t rv_thread_serial(void)
{
    static atomic_uint_fast64_t last;
    static _Thread_local uint64_t serial;

    if (serial == 0)
        serial = atomic_fetch_add(&last, 1) + 1;
    return serial;
}
