#include "server/core/rights.h"

static const char *const words[] = {
#define WORD(name, word) word,
    RV_RIGHTS(WORD)
#undef WORD
};

/* The bit of one verb; 0 when unknown. `all` is everything about objects. */
static uint32_t verb_bits(const char *verb, size_t len)
{
    if (len == 3 && memcmp(verb, "all", 3) == 0)
        return RIGHT_BIT(RV_RIGHT_OPEN) | RIGHT_BIT(RV_RIGHT_PUT) | RIGHT_BIT(RV_RIGHT_GET) |
               RIGHT_BIT(RV_RIGHT_RM) | RIGHT_BIT(RV_RIGHT_LIST) | RIGHT_BIT(RV_RIGHT_LOCK);
    for (size_t i = 1; i < rv_countof(words); i++)
        if (strlen(words[i]) == len && memcmp(words[i], verb, len) == 0)
            return RIGHT_BIT(i);
    return 0;
}

static bool name_fits(const char *pattern, size_t len, struct rv_slice name)
{
    if (len > 0 && pattern[len - 1] == '*')
        return name.len >= len - 1 && (len == 1 || memcmp(pattern, name.data, len - 1) == 0);
    return name.len == len && (len == 0 || memcmp(pattern, name.data, len) == 0);
}

/* Bits that one right grants on name; with name NULL only whether it is well-formed. */
static bool one_right(const char *text, size_t len, const struct rv_slice *name, uint32_t *bits)
{
    const char *colon = memchr(text, ':', len);
    size_t verbs = colon == NULL ? len : (size_t)(colon - text);
    uint32_t granted = 0;

    for (size_t at = 0; at <= verbs;) {
        const char *comma = memchr(text + at, ',', verbs - at);
        size_t end = comma == NULL ? verbs : (size_t)(comma - text);
        uint32_t bit = verb_bits(text + at, end - at);

        if (bit == 0)
            return false;
        granted |= bit;
        at = end + 1;
    }
    if (name == NULL || colon == NULL || name_fits(colon + 1, len - verbs - 1, *name))
        *bits |= granted;
    return true;
}

bool rights_valid(const char *text, size_t len)
{
    uint32_t bits = 0;

    return len > 0 && one_right(text, len, NULL, &bits);
}

uint32_t rights_on(const struct principal *p, struct rv_slice name)
{
    uint32_t bits = RIGHT_BIT(RV_RIGHT_NONE);
    const char *at = NULL;

    if (p == NULL || p->role[0] == '\0')
        return 0;
    if (strcmp(p->role, "admin") == 0)
        return UINT32_MAX;
    if (strcmp(p->role, "worker") == 0)
        bits |= RIGHT_BIT(RV_RIGHT_WORK);
    if (p->rights[0] == '\0' && strcmp(p->role, "client") == 0)
        return bits | verb_bits("all", 3);
    for (at = p->rights; *at != '\0';) {
        const char *space = strchr(at, ' ');
        size_t len = space == NULL ? strlen(at) : (size_t)(space - at);

        one_right(at, len, &name, &bits);
        at += len + (space != NULL);
    }
    return bits;
}
