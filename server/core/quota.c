#include "server/core/quota.h"
#include "server/core/box.h"
#include "server/core/queue.h"

#include <stdio.h>

static const char *const words[] = {
#define WORD(name, word) word,
    RV_QUOTAS(WORD)
#undef WORD
};

/* ---- reading ---- */

static bool read_number(const char *text, size_t len, uint64_t *out)
{
    static const char units[] = "KMG";
    const char *unit = len > 1 ? strchr(units, text[len - 1]) : NULL;
    uint64_t x = 0;

    if (unit != NULL)
        len--;
    if (len == 0 || len > 12)
        return false;
    for (size_t i = 0; i < len; i++) {
        if (text[i] < '0' || text[i] > '9')
            return false;
        x = x * 10 + (uint64_t)(text[i] - '0');
    }
    for (; unit != NULL && unit >= units; unit--)
        x *= 1024;
    *out = x;
    return x > 0;
}

static bool read_one(const char *text, size_t len, uint64_t out[RV_QUOTAS_LEN])
{
    const char *colon = memchr(text, ':', len);
    size_t word = colon == NULL ? 0 : (size_t)(colon - text);

    for (size_t i = 0; colon != NULL && i < RV_QUOTAS_LEN; i++)
        if (strlen(words[i]) == word && memcmp(words[i], text, word) == 0)
            return read_number(colon + 1, len - word - 1, &out[i]);
    return false;
}

static bool read_all(uint64_t out[RV_QUOTAS_LEN], const char *text, size_t len)
{
    const char *end = text + len;

    while (text < end) {
        const char *space = memchr(text, ' ', (size_t)(end - text));
        const char *stop = space == NULL ? end : space;

        if (!read_one(text, (size_t)(stop - text), out))
            return false;
        text = stop + (space != NULL);
    }
    return len > 0;
}

bool quotas_valid(const char *text, size_t len)
{
    uint64_t out[RV_QUOTAS_LEN];

    return read_all(out, text, len);
}

void quotas_read(uint64_t out[RV_QUOTAS_LEN], const char *text)
{
    memset(out, 0, RV_QUOTAS_LEN * sizeof out[0]);
    (void)read_all(out, text, strlen(text));
}

/* ---- counting ---- */

static struct principal *principal_of(const struct mgr *mgr, uint32_t id)
{
    return id < mgr->principals_len ? mgr->principals[id] : NULL;
}

bool quota_allows(const struct mgr *mgr, uint32_t principal, enum rv_quota which, uint64_t more)
{
    const struct principal *p = principal_of(mgr, principal);

    return p == NULL || p->quota[which] == 0 || RV_MUTANT(QUOTA_OFF) ||
           (p->used[which] <= p->quota[which] && more <= p->quota[which] - p->used[which]);
}

void quota_add(struct mgr *mgr, uint32_t principal, enum rv_quota which, uint64_t more)
{
    struct principal *p = principal_of(mgr, principal);

    if (p != NULL)
        p->used[which] += more;
}

void quota_drop(struct mgr *mgr, uint32_t principal, enum rv_quota which, uint64_t less)
{
    struct principal *p = principal_of(mgr, principal);

    if (p == NULL || RV_MUTANT(QUOTA_LEAKS))
        return;
    rv_assert(p->used[which] >= less);
    p->used[which] -= less;
}

/* calls_at is when a bucket that loses one call each n-th of a second is empty. */
bool quota_call(struct mgr *mgr, uint32_t principal)
{
    struct principal *p = principal_of(mgr, principal);
    rv_ns each = 0;

    if (p == NULL || p->quota[RV_QUOTA_CALLS] == 0 || RV_MUTANT(QUOTA_OFF))
        return true;
    each = RV_SEC / (rv_ns)p->quota[RV_QUOTA_CALLS];
    if (p->calls_at < mgr->now)
        p->calls_at = mgr->now;
    if (p->calls_at + each > mgr->now + RV_SEC)
        return false;
    p->calls_at += each;
    return true;
}

const char *quota_text(struct mgr *mgr, uint32_t principal, enum rv_quota which)
{
    snprintf(mgr->why, sizeof mgr->why, "key %.64s has its quota of %s",
             mgr_principal_name(mgr, principal), words[which]);
    return mgr->why;
}

/* ---- all of it ---- */

static void count(const struct mgr *mgr, uint32_t principal, uint64_t used[RV_QUOTAS_LEN])
{
    const struct object *o = NULL;
    const struct session *s = NULL;

    for (o = mgr->objects; o != NULL; o = o->by_id.next) {
        if (o->owner != principal)
            continue;
        used[RV_QUOTA_OBJECTS]++;
        if (o->kind == RV_KIND_QUEUE)
            used[RV_QUOTA_BYTES] += ((const struct queue *)o)->held_bytes;
        else if (box_kind(o->kind))
            used[RV_QUOTA_BYTES] += box_bytes(o);
    }
    for (s = mgr->sessions; s != NULL; s = s->by_serial.next) {
        if (s->principal != principal)
            continue;
        used[RV_QUOTA_SESSIONS]++;
        used[RV_QUOTA_WAITERS] += HASH_COUNT(s->calls);
        used[RV_QUOTA_FLIGHT] += s->parked_bytes + s->assembly.bytes;
    }
}

void quota_recount(struct mgr *mgr, uint32_t principal)
{
    struct principal *p = principal_of(mgr, principal);

    if (p == NULL)
        return;
    memset(p->used, 0, sizeof p->used);
    count(mgr, principal, p->used);
}

void quota_check(const struct mgr *mgr)
{
    for (uint32_t id = 0; id < mgr->principals_len; id++) {
        const struct principal *p = mgr->principals[id];
        uint64_t used[RV_QUOTAS_LEN] = {0};

        if (p == NULL)
            continue;
        count(mgr, id, used);
        rv_assert(memcmp(used, p->used, sizeof used) == 0);
    }
}
