/* Dicts: normal use, misuse, contention, deaths. */

#include "tests/conform/conform.h"

#include "common/base/rng.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LONG = 20000, KEYS = 40, STEPS = 400 };

/* What it has, or -1. Takes the value. */
static int64_t number_in(reeve_value *v)
{
    int64_t i = -1;

    (void)reeve_get_int(v, &i);
    reeve_value_free(&v);
    return i;
}

static int64_t get(reeve_dict *d, const reeve_builder *key)
{
    reeve_value *v = NULL;

    OK(reeve_dict_get(d, key, &v));
    return number_in(v);
}

static uint64_t len_of(reeve_dict *d)
{
    uint64_t len = 0;

    OK(reeve_dict_len(d, &len, NULL));
    return len;
}

/* row: T13 */
TEST(dict_has_what_was_set_and_no_more)
{
    struct stage s;
    reeve_dict *d = NULL;
    reeve_dict *same = NULL;
    reeve_value *v = NULL;
    reeve_value *key = NULL;
    uint64_t bytes = 0;
    uint64_t len = 0;
    bool there = true;
    bool created = false;

    stage_begin(&s);
    OK(reeve_dict_open(&d, s.ctx, stage_name(&s, 0), NULL));
    OK(reeve_dict_open(&same, s.ctx, stage_name(&s, 0), NULL));
    CHECK(strcmp(reeve_dict_name(d), s.names[0]) == 0);
    FAILS(REEVE_EKEY, reeve_dict_get(d, make("s", "a"), &v));
    FAILS(REEVE_EKEY, reeve_dict_pop(d, make("s", "a"), &v));
    FAILS(REEVE_EKEY, reeve_dict_del(d, make("s", "a")));
    FAILS(REEVE_EKEY, reeve_dict_popitem(d, &key, &v));
    CHECK(key == NULL && v == NULL);
    OK(reeve_dict_contains(d, make("s", "a"), &there));
    CHECK(!there && len_of(d) == 0);

    OK(reeve_dict_set(d, make("s", "a"), integer(1)));
    OK(reeve_dict_set(d, make("(in)", INT64_C(7)), integer(2)));
    OK(reeve_dict_set(same, make("s", "a"), integer(3)));
    CHECK(get(d, make("s", "a")) == 3);
    CHECK(get(same, make("(in)", INT64_C(7))) == 2);
    OK(reeve_dict_contains(d, make("s", "a"), &there));
    CHECK(there);
    OK(reeve_dict_len(d, &len, &bytes));
    CHECK(len == 2 && bytes == 7);

    OK(reeve_dict_setdefault(d, make("s", "a"), integer(9), &v, &created));
    CHECK(!created && number_in(v) == 3);
    OK(reeve_dict_setdefault(d, make("s", "b"), integer(9), &v, &created));
    CHECK(created && number_in(v) == 9);
    OK(reeve_dict_popitem(d, &key, &v));
    CHECK(number_in(v) == 9);
    reeve_value_free(&key);
    OK(reeve_dict_pop(d, make("s", "a"), &v));
    CHECK(number_in(v) == 3);
    OK(reeve_dict_del(d, make("(in)", INT64_C(7))));
    CHECK(len_of(d) == 0);

    OK(reeve_dict_set(d, integer(5), integer(1)));
    OK(reeve_dict_clear(d));
    CHECK(len_of(same) == 0);
    reeve_dict_close(&same);
    reeve_dict_close(&d);
    stage_end(&s);
}

/* row: T13 */
TEST(dict_keys_are_equal_by_value)
{
    struct stage s;
    reeve_dict *d = NULL;
    reeve_value *v = NULL;
    reeve_value *key = NULL;
    int64_t i = 0;

    stage_begin(&s);
    OK(reeve_dict_open(&d, s.ctx, NULL, NULL));
    OK(reeve_dict_set(d, make("f", 1.0), integer(1)));
    OK(reeve_dict_set(d, make("i", INT64_C(1)), integer(2)));
    CHECK(len_of(d) == 1 && get(d, make("f", 1.0)) == 2);
    OK(reeve_dict_popitem(d, &key, &v));
    CHECK(reeve_get_int(key, &i) && i == 1);
    reeve_value_free(&key);
    reeve_value_free(&v);
    OK(reeve_dict_set(d, make("b", 1), integer(1)));
    OK(reeve_dict_set(d, make("s", "1"), integer(2)));
    OK(reeve_dict_set(d, make("y", "1", (size_t)1), integer(3)));
    OK(reeve_dict_set(d, make("f", -0.0), integer(4)));
    CHECK(len_of(d) == 4 && get(d, integer(0)) == 4);
    OK(reeve_dict_set(d, make("{sisi}", "a", INT64_C(1), "b", INT64_C(2)), integer(5)));
    CHECK(get(d, make("{sisi}", "b", INT64_C(2), "a", INT64_C(1))) == 5);
    FAILS(REEVE_EINVAL, reeve_dict_set(d, make("f", (double)NAN), integer(1)));
    FAILS(REEVE_EINVAL, reeve_dict_get(d, make("{infn}", INT64_C(1), 1.0), &v));
    CHECK(len_of(d) == 5);
    reeve_dict_close(&d);
    stage_end(&s);
}

TEST(dict_refuses_what_is_too_large_or_not_whole)
{
    static char text[70000];
    struct stage s;
    reeve_dict *d = NULL;
    reeve_builder *b = reeve_builder_new();
    reeve_queue *q = NULL;

    stage_begin(&s);
    memset(text, 'x', sizeof text);
    OK(reeve_dict_open(&d, s.ctx, stage_name(&s, 0), NULL));
    FAILS(REEVE_ETYPE, reeve_queue_open(&q, s.ctx, s.names[0], NULL));
    FAILS(REEVE_EINVAL, reeve_dict_set(d, b, integer(1)));
    OK(reeve_put_strn(b, text, 1021));
    OK(reeve_dict_set(d, b, integer(1)));
    reeve_builder_reset(b);
    OK(reeve_put_strn(b, text, 1022));
    FAILS(REEVE_ETOOBIG, reeve_dict_set(d, b, integer(1)));
    reeve_builder_reset(b);
    reeve_builder_free(&b);
    reeve_dict_close(&d);
    stage_end(&s);
}

/* row: R18 */
TEST(dict_is_read_in_the_order_in_which_keys_came)
{
    enum { PAIRS = 4801, PAGE = 2048 };
    struct stage s;
    reeve_dict *d = NULL;
    reeve_dict_iter *it = NULL;
    reeve_builder *map = reeve_builder_new();
    const reeve_value *key = NULL;
    const reeve_value *value = NULL;
    int64_t i = 0;
    int64_t n = 0;

    stage_begin(&s);
    OK(reeve_dict_open(&d, s.ctx, stage_name(&s, 0), NULL));
    OK(reeve_dict_items(&it, d));
    OK(reeve_dict_next(it, &key, &value));
    CHECK(key == NULL && value == NULL);
    reeve_dict_iter_close(&it);
    OK(reeve_put_map(map, PAIRS));
    for (i = 0; i < PAIRS; i++)
        OK(reeve_pack(map, "ii", i * 7919 % PAIRS, i));
    OK(reeve_dict_update(d, map));
    reeve_builder_free(&map);
    OK(reeve_dict_set(d, integer(0), integer(0))); /* again, and at its place */
    OK(reeve_dict_items(&it, d));
    for (n = 0;; n++) {
        OK(reeve_dict_next(it, &key, &value));
        if (key == NULL)
            break;
        CHECK(reeve_get_int(key, &i) && i == n * 7919 % PAIRS);
        CHECK(reeve_get_int(value, &i) && i == n);
    }
    CHECK(n == PAIRS);
    OK(reeve_dict_next(it, &key, &value));
    CHECK(key == NULL);
    reeve_dict_iter_close(&it);

    /* A new value is no other size; a key that goes and another that comes are a change. */
    OK(reeve_dict_items(&it, d));
    OK(reeve_dict_next(it, &key, &value));
    OK(reeve_dict_set(d, integer(0), integer(0)));
    for (n = 1; n < PAGE + 100; n++)
        OK(reeve_dict_next(it, &key, &value));
    OK(reeve_dict_del(d, integer(1)));
    OK(reeve_dict_set(d, integer(PAIRS), integer(0)));
    while (n++ < 2 * PAGE)
        OK(reeve_dict_next(it, &key, &value));
    FAILS(REEVE_ECHANGED, reeve_dict_next(it, &key, &value));
    CHECK(key == NULL && value == NULL);
    reeve_dict_iter_close(&it);
    reeve_dict_close(&d);
    stage_end(&s);
}

static void set_mine(reeve_context *ctx, struct stage *s, int fd)
{
    reeve_dict *d = NULL;
    reeve_value *v = NULL;
    bool created = false;

    OK(reeve_dict_open(&d, ctx, s->names[0], NULL));
    OK(reeve_dict_setdefault(d, make("s", "who"), integer((int64_t)getpid()), &v, &created));
    CHECK(created == (number_in(v) == (int64_t)getpid()));
    OK(reeve_dict_set(d, integer((int64_t)getpid()), make("b", (int)created)));
    lab_tell(fd);
    lab_tell(fd);
    reeve_dict_close(&d);
}

/* Of all who set a default one did; what a process set stays when it is killed. */
TEST(dict_is_the_same_for_all_and_outlives_them)
{
    struct stage s;
    struct party others[3];
    reeve_dict *d = NULL;
    reeve_value *v = NULL;
    int winners = 0;

    stage_begin(&s);
    OK(reeve_dict_open(&d, s.ctx, stage_name(&s, 0), NULL));
    for (int i = 0; i < 3; i++)
        party_begin(&others[i], &s, set_mine);
    for (int i = 0; i < 3; i++)
        CHECK(party_hears(&others[i]));
    for (int i = 0; i < 3; i++) {
        bool won = false;

        OK(reeve_dict_get(d, integer((int64_t)others[i].pid), &v));
        CHECK(reeve_get_bool(v, &won));
        reeve_value_free(&v);
        winners += won;
    }
    CHECK(winners == 1);
    party_kill(&others[0]);
    for (int i = 1; i < 3; i++) {
        CHECK(party_hears(&others[i]));
        party_end(&others[i]);
    }
    CHECK(len_of(d) == 4);
    reeve_dict_close(&d);
    stage_end(&s);
}

/* Any calls, and the same on an array beside it. row: T13 */
TEST(dict_does_what_a_dict_does)
{
    struct stage s;
    struct rv_rng rng = {4711};
    reeve_dict *d = NULL;
    reeve_value *v = NULL;
    reeve_value *key = NULL;
    int64_t values[KEYS];
    int order[KEYS];
    int len = 0;

    stage_begin(&s);
    OK(reeve_dict_open(&d, s.ctx, stage_name(&s, 0), NULL));
    for (int i = 0; i < KEYS; i++)
        values[i] = -1;
    for (int step = 0; step < STEPS; step++) {
        int k = (int)rv_rng_below(&rng, KEYS);
        int at = 0;
        int64_t was = values[k];
        uint64_t what = rv_rng_below(&rng, 8);

        while (at < len && order[at] != k)
            at++;
        if (what < 4) {
            OK(reeve_dict_set(d, integer(k), integer(step)));
            if (was < 0)
                order[len++] = k;
            values[k] = step;
        } else if (what == 4 && len > 0) {
            int64_t last = -1;

            OK(reeve_dict_popitem(d, &key, &v));
            CHECK(reeve_get_int(key, &last) && last == order[--len]);
            CHECK(number_in(v) == values[last]);
            reeve_value_free(&key);
            values[last] = -1;
        } else if (was < 0) {
            FAILS(REEVE_EKEY, reeve_dict_pop(d, integer(k), &v));
        } else if (what == 5) {
            CHECK(get(d, integer(k)) == was);
        } else {
            OK(reeve_dict_pop(d, integer(k), &v));
            CHECK(number_in(v) == was);
            memmove(order + at, order + at + 1, (size_t)(len - at - 1) * sizeof order[0]);
            len--;
            values[k] = -1;
        }
        CHECK(len_of(d) == (uint64_t)len);
    }
    reeve_dict_close(&d);
    stage_end(&s);
}
