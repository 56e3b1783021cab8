/* Who may do what: rights as they stand in key files, and what they grant. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "server/core/quota.h"
#include "server/core/rights.h"

int test_rights(void);

enum {
    NONE = RIGHT_BIT(RV_RIGHT_NONE),
    OPEN = RIGHT_BIT(RV_RIGHT_OPEN),
    PUT = RIGHT_BIT(RV_RIGHT_PUT),
    GET = RIGHT_BIT(RV_RIGHT_GET),
    RM = RIGHT_BIT(RV_RIGHT_RM),
    LIST = RIGHT_BIT(RV_RIGHT_LIST),
    RUN = RIGHT_BIT(RV_RIGHT_RUN),
    ADMIN = RIGHT_BIT(RV_RIGHT_ADMIN),
    LOCK = RIGHT_BIT(RV_RIGHT_LOCK),
    OBJECTS = OPEN | PUT | GET | RM | LIST | LOCK,
    EVERYTHING = NONE | OBJECTS | RUN | ADMIN
};

/* What a key with this role and these rights may do with an object of this name. */
static const struct {
    const char *role;
    const char *rights;
    const char *name;
    unsigned may;
} cases[] = {
    /* a client without a line may use all objects, and no more */
    {"client", "", "jobs", NONE | OBJECTS},
    {"client", "", "", NONE | OBJECTS},

    /* an administrator needs no lines, a worker has none */
    {"admin", "", "jobs", EVERYTHING},
    {"admin", "put:other", "jobs", EVERYTHING},
    {"worker", "", "jobs", NONE},

    /* a role that is not known has only what its lines say */
    {"guest", "", "jobs", NONE},
    {"guest", "get", "jobs", NONE | GET},

    /* no role: a key that was taken away */
    {"", "", "jobs", 0},
    {"", "put,get", "jobs", 0},

    /* verbs without a name hold for all names */
    {"client", "put", "jobs", NONE | PUT},
    {"client", "put,get", "jobs", NONE | PUT | GET},
    {"client", "open,put,get,rm,list,lock", "jobs", NONE | OBJECTS},
    {"client", "lock:nightly", "nightly", NONE | LOCK},
    {"client", "all", "jobs", NONE | OBJECTS},
    {"client", "run", "jobs", NONE | RUN},
    {"client", "admin", "jobs", NONE | ADMIN},

    /* a name holds for that name alone */
    {"client", "put:jobs", "jobs", NONE | PUT},
    {"client", "put:jobs", "job", NONE},
    {"client", "put:jobs", "jobs2", NONE},
    {"client", "put:jobs", "", NONE},

    /* a final star stands for any rest, also for none */
    {"client", "put:jobs/*", "jobs/a", NONE | PUT},
    {"client", "put:jobs/*", "jobs/", NONE | PUT},
    {"client", "put:jobs/*", "jobs/a/b", NONE | PUT},
    {"client", "put:jobs/*", "jobs", NONE},
    {"client", "put:jobs/*", "other", NONE},
    {"client", "put:*", "anything", NONE | PUT},
    {"client", "put:*", "", NONE | PUT},
    {"client", "put:a*b", "a*b", NONE | PUT},
    {"client", "put:a*b", "axb", NONE},

    /* an empty name is the objects without a name */
    {"client", "put:", "", NONE | PUT},
    {"client", "put:", "jobs", NONE},

    /* a colon in a name is a part of it */
    {"client", "put:a:b", "a:b", NONE | PUT},

    /* several lines add up */
    {"client", "put:a get:b", "a", NONE | PUT},
    {"client", "put:a get:b", "b", NONE | GET},
    {"client", "put:a* get:ab", "ab", NONE | PUT | GET},
    {"client", "list put:a", "z", NONE | LIST},
    {"worker", "get:jobs", "jobs", NONE | GET},

    /* what is malformed grants nothing and takes nothing away */
    {"client", "fly", "jobs", NONE},
    {"client", "put,fly", "jobs", NONE},
    {"client", "put,", "jobs", NONE},
    {"client", "fly get", "jobs", NONE | GET},
    {"client", "none", "jobs", NONE},
};

static void rights_grant_what_the_table_says(void **state)
{
    (void)state;
    for (size_t i = 0; i < rv_countof(cases); i++) {
        struct principal p = {.id = 1,
                              .name = (char *)"k",
                              .role = (char *)cases[i].role,
                              .rights = (char *)cases[i].rights};
        unsigned may = rights_on(&p, rv_slice_str(cases[i].name)) & EVERYTHING;

        if (may != cases[i].may)
            print_error("role '%s', rights '%s', name '%s'\n", cases[i].role, cases[i].rights,
                        cases[i].name);
        assert_int_equal(may, cases[i].may);
    }
}

static void nobody_may_nothing(void **state)
{
    (void)state;
    assert_int_equal(rights_on(NULL, rv_slice_str("jobs")), 0);
}

/* Names come from the wire: they have a length, no end, and may hold any byte. */
static void names_need_no_end(void **state)
{
    struct principal p = {
        .id = 1, .name = (char *)"k", .role = (char *)"client", .rights = (char *)"put:job"};
    static const char longer[] = {'j', 'o', 'b', 's'};
    static const char nul[] = {'j', 'o', 'b', '\0'};

    (void)state;
    assert_true(rights_on(&p, rv_slice(longer, 3)) & PUT);
    assert_false(rights_on(&p, rv_slice(longer, 4)) & PUT);
    assert_false(rights_on(&p, rv_slice(nul, 4)) & PUT);
}

static void a_well_formed_right_is_told_from_others(void **state)
{
    static const char *const good[] = {"put",   "put,get", "all",   "put:jobs", "put,get:jobs/*",
                                       "put:*", "put:",    "admin", "run:",     "put:a:b"};
    static const char *const bad[] = {"",      ",",    "put,",  ",put",     "put,,get", "Put",
                                      "putt",  "none", ":jobs", "pu:jobs",  "put get",  "*",
                                      "put ,", " put", "fly",   "put,fly:x"};

    (void)state;
    for (size_t i = 0; i < rv_countof(good); i++)
        if (!rights_valid(good[i], strlen(good[i])))
            fail_msg("refused: '%s'", good[i]);
    for (size_t i = 0; i < rv_countof(bad); i++)
        if (rights_valid(bad[i], strlen(bad[i])))
            fail_msg("taken: '%s'", bad[i]);
}

/* ---- quotas ---- */

static void a_well_formed_quota_is_told_from_others(void **state)
{
    static const struct {
        const char *text;
        bool valid;
    } table[] = {
        {"objects:1", true},
        {"objects:100 bytes:1K", true},
        {"bytes:2M in-flight:1G sessions:3 waiters:4 calls:5", true},
        {"bytes:999999999999", true},
        {"", false},
        {"objects", false},
        {"objects:", false},
        {"objects:0", false},
        {"objects:K", false},
        {"objects:1 ", true},
        {"objects:1  bytes:1", false},
        {"objects:-1", false},
        {"objects:1x", false},
        {"objects:x1", false},
        {"objects:1KK", false},
        {"bytes:1000000000000", false},
        {"things:1", false},
        {"object:1", false},
        {"objects:1 bytes", false},
        {":1", false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        assert_int_equal(quotas_valid(table[i].text, strlen(table[i].text)), table[i].valid);
}

static void a_quota_has_its_unit(void **state)
{
    uint64_t quotas[RV_QUOTAS_LEN];

    (void)state;
    quotas_read(quotas, "objects:7 bytes:2K in-flight:3M calls:1G");
    assert_int_equal(quotas[RV_QUOTA_OBJECTS], 7);
    assert_int_equal(quotas[RV_QUOTA_BYTES], 2 << 10);
    assert_int_equal(quotas[RV_QUOTA_FLIGHT], 3 << 20);
    assert_int_equal(quotas[RV_QUOTA_CALLS], 1 << 30);
    assert_int_equal(quotas[RV_QUOTA_SESSIONS], 0); /* no bound */
}

int test_rights(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(rights_grant_what_the_table_says),
        cmocka_unit_test(nobody_may_nothing),
        cmocka_unit_test(names_need_no_end),
        cmocka_unit_test(a_well_formed_right_is_told_from_others),
        cmocka_unit_test(a_well_formed_quota_is_told_from_others),
        cmocka_unit_test(a_quota_has_its_unit),
    };

    return cmocka_run_group_tests_name("rights", tests, NULL, NULL);
}
