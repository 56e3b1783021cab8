/* Rows T12, T14 to T17, and what goes beyond them: each container in short, batches, changes to wait for,
 * references and large values. */

#include "tests/conform/conform.h"

#include <reeve/batch.h>
#include <reeve/dict.h>
#include <reeve/list.h>
#include <reeve/namespace.h>
#include <reeve/set.h>
#include <reeve/shared.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LONG = 20000 };

static const reeve_slice ALL = {REEVE_UNSET, REEVE_UNSET, REEVE_UNSET};

/* As JSON; the caller owns it. Takes the value. */
static char *json(reeve_value *v)
{
    char *text = reeve_value_json(v);

    reeve_value_free(&v);
    return text;
}

#define IS(v, text)                                                                                \
    do {                                                                                           \
        char *json_ = json(v);                                                                     \
                                                                                                   \
        if (strcmp(json_, text) != 0)                                                              \
            check_failed_at(__FILE__, __LINE__, json_, text);                                      \
        free(json_);                                                                               \
    } while (0)

static void check_failed_at(const char *file, int line, const char *got, const char *want)
{
    fprintf(stderr, "%s:%d: %s, not %s\n", file, line, got, want);
    CHECK(strcmp(got, want) == 0);
}

static reeve_value *all_of(reeve_list *l)
{
    reeve_value *v = NULL;

    OK(reeve_list_slice(l, ALL, &v));
    return v;
}

static reeve_list *list_of(struct stage *s, const char *letters, ...)
{
    reeve_builder *b = reeve_builder_new();
    reeve_list *l = NULL;
    va_list args;

    va_start(args, letters);
    OK(reeve_vpack(b, letters, args));
    va_end(args);
    OK(reeve_list_open(&l, s->ctx, NULL, NULL));
    OK(reeve_list_extend(l, b));
    reeve_builder_free(&b);
    return l;
}

/* row: T12 */
TEST(list_has_the_methods_of_a_list)
{
    const int64_t one = 1;
    struct stage s;
    reeve_list *l = NULL;
    reeve_value *v = NULL;
    uint64_t n = 0;
    uint64_t bytes = 0;

    stage_begin(&s);
    l = list_of(&s, "(iii)", one, INT64_C(2), INT64_C(3));
    IS(all_of(l), "[1, 2, 3]");
    OK(reeve_list_append(l, make("s", "x")));
    OK(reeve_list_insert(l, 0, integer(0)));
    OK(reeve_list_insert(l, -100, integer(-1)));
    OK(reeve_list_insert(l, 100, make("n")));
    IS(all_of(l), "[-1, 0, 1, 2, 3, \"x\", null]");
    OK(reeve_list_get(l, -1, &v));
    IS(v, "null");
    FAILS(REEVE_EINDEX, reeve_list_get(l, 7, &v));
    CHECK(v == NULL);
    FAILS(REEVE_EINDEX, reeve_list_get(l, -8, &v));
    FAILS(REEVE_EINDEX, reeve_list_set(l, 7, integer(1)));
    FAILS(REEVE_EINDEX, reeve_list_del(l, -8));
    OK(reeve_list_set(l, -1, integer(9)));
    OK(reeve_list_del(l, 0));
    OK(reeve_list_pop(l, -2, &v));
    IS(v, "\"x\"");
    IS(all_of(l), "[0, 1, 2, 3, 9]");
    OK(reeve_list_len(l, &n, &bytes));
    CHECK(n == 5 && bytes == 5);

    OK(reeve_list_append(l, make("f", 1.0)));
    OK(reeve_list_count(l, integer(1), &n));
    CHECK(n == 2);
    OK(reeve_list_index(l, make("f", 1.0), REEVE_UNSET, REEVE_UNSET, &n));
    CHECK(n == 1);
    OK(reeve_list_index(l, integer(1), 2, REEVE_UNSET, &n));
    CHECK(n == 5);
    FAILS(REEVE_EVALUE, reeve_list_index(l, integer(1), 2, -1, &n));
    OK(reeve_list_remove(l, make("f", 1.0)));
    FAILS(REEVE_EVALUE, reeve_list_remove(l, make("s", "1")));
    IS(all_of(l), "[0, 2, 3, 9, 1.0]");
    OK(reeve_list_reverse(l));
    IS(all_of(l), "[1.0, 9, 3, 2, 0]");
    OK(reeve_list_sort(l, false));
    IS(all_of(l), "[0, 1.0, 2, 3, 9]");
    OK(reeve_list_repeat(l, 2));
    IS(all_of(l), "[0, 1.0, 2, 3, 9, 0, 1.0, 2, 3, 9]");
    OK(reeve_list_clear(l));
    IS(all_of(l), "[]");
    FAILS(REEVE_EINDEX, reeve_list_pop(l, -1, &v));
    reeve_list_close(&l);
    stage_end(&s);
}

/* row: T12, R04 */
TEST(list_slices_are_pythons)
{
    struct stage s;
    reeve_list *l = NULL;
    reeve_value *v = NULL;

    stage_begin(&s);
    l = list_of(&s, "(iiiiii)", INT64_C(0), INT64_C(1), INT64_C(2), INT64_C(3), INT64_C(4),
                INT64_C(5));
    OK(reeve_list_slice(l, (reeve_slice){-2, REEVE_UNSET, REEVE_UNSET}, &v));
    IS(v, "[4, 5]");
    OK(reeve_list_slice(l, (reeve_slice){REEVE_UNSET, REEVE_UNSET, -2}, &v));
    IS(v, "[5, 3, 1]");
    OK(reeve_list_slice(l, (reeve_slice){4, 1, -1}, &v));
    IS(v, "[4, 3, 2]");
    OK(reeve_list_slice(l, (reeve_slice){4, 1, 1}, &v));
    IS(v, "[]");
    OK(reeve_list_slice(l, (reeve_slice){-100, 100, 3}, &v));
    IS(v, "[0, 3]");
    FAILS(REEVE_EVALUE, reeve_list_slice(l, (reeve_slice){0, 1, 0}, &v));
    OK(reeve_list_set_slice(l, (reeve_slice){1, 3, REEVE_UNSET}, make("(sss)", "a", "b", "c")));
    IS(all_of(l), "[0, \"a\", \"b\", \"c\", 3, 4, 5]");
    OK(reeve_list_set_slice(l, (reeve_slice){REEVE_UNSET, REEVE_UNSET, 3},
                            make("(iii)", INT64_C(7), INT64_C(8), INT64_C(9))));
    IS(all_of(l), "[7, \"a\", \"b\", 8, 3, 4, 9]");
    FAILS(REEVE_EVALUE, reeve_list_set_slice(l, (reeve_slice){REEVE_UNSET, REEVE_UNSET, 3},
                                             make("(i)", INT64_C(7))));
    IS(all_of(l), "[7, \"a\", \"b\", 8, 3, 4, 9]");
    OK(reeve_list_del_slice(l, (reeve_slice){REEVE_UNSET, REEVE_UNSET, -2}));
    IS(all_of(l), "[\"a\", 8, 4]");
    OK(reeve_list_set_slice(l, (reeve_slice){2, 1, REEVE_UNSET}, make("(s)", "in")));
    IS(all_of(l), "[\"a\", 8, \"in\", 4]");
    OK(reeve_list_del_slice(l, (reeve_slice){1, 100, REEVE_UNSET}));
    IS(all_of(l), "[\"a\"]");
    reeve_list_close(&l);
    stage_end(&s);
}

/* row: T14 */
TEST(set_has_the_methods_of_a_set)
{
    struct stage s;
    reeve_set *a = NULL;
    reeve_set *b = NULL;
    reeve_set *c = NULL;
    reeve_value *v = NULL;
    bool so = false;
    uint64_t n = 0;

    stage_begin(&s);
    OK(reeve_set_open(&a, s.ctx, stage_name(&s, 0), NULL));
    OK(reeve_set_open(&b, s.ctx, stage_name(&s, 1), NULL));
    OK(reeve_set_update_values(a, REEVE_UNION, make("(iii)", INT64_C(1), INT64_C(2), INT64_C(3))));
    OK(reeve_set_update_values(b, REEVE_UNION, make("(iii)", INT64_C(3), INT64_C(4), INT64_C(5))));
    OK(reeve_set_add(a, make("f", 1.0), &so));
    CHECK(!so);
    OK(reeve_set_contains(a, make("f", 2.0), &so));
    CHECK(so);
    OK(reeve_set_combine(&c, a, REEVE_UNION, b));
    OK(reeve_set_copy(c, &v));
    IS(v, "[1, 2, 3, 4, 5]");
    OK(reeve_set_compare(c, REEVE_SUPERSET, a, &so));
    CHECK(so);
    OK(reeve_set_compare(c, REEVE_PROPER_SUBSET, a, &so));
    CHECK(!so);
    OK(reeve_set_compare_values(c, REEVE_DISJOINT, make("(s)", "1"), &so));
    CHECK(so);
    OK(reeve_set_update(c, REEVE_SYMMETRIC_DIFFERENCE, b));
    OK(reeve_set_compare_values(c, REEVE_SAME, make("(ii)", INT64_C(2), INT64_C(1)), &so));
    CHECK(so);
    reeve_set_close(&c);
    OK(reeve_set_combine(&c, a, REEVE_INTERSECTION, b));
    OK(reeve_set_copy(c, &v));
    IS(v, "[3]");
    OK(reeve_set_update(c, REEVE_DIFFERENCE, c));
    OK(reeve_set_len(c, &n, NULL));
    CHECK(n == 0);
    FAILS(REEVE_EKEY, reeve_set_pop(c, &v));
    reeve_set_close(&c);
    OK(reeve_set_discard(a, integer(9), &so));
    CHECK(!so);
    FAILS(REEVE_EKEY, reeve_set_remove(a, integer(9)));
    OK(reeve_set_remove(a, integer(1)));
    OK(reeve_set_pop(a, &v));
    IS(v, "3");
    OK(reeve_set_clear(b));
    OK(reeve_set_compare(b, REEVE_PROPER_SUBSET, a, &so));
    CHECK(so);
    reeve_set_close(&b);
    reeve_set_close(&a);
    stage_end(&s);
}

/* row: T15, T16 */
TEST(values_and_arrays_keep_their_type)
{
    struct stage s;
    reeve_shared *any = NULL;
    reeve_shared *byte = NULL;
    reeve_array *a = NULL;
    reeve_array *same = NULL;
    reeve_value *v = NULL;
    int64_t x = 0;
    bool done = false;

    stage_begin(&s);
    OK(reeve_shared_open(&any, s.ctx, stage_name(&s, 0), 0, NULL));
    OK(reeve_shared_get(any, &v, NULL));
    IS(v, "null");
    OK(reeve_shared_set(any, make("(s)", "any")));
    OK(reeve_shared_get(any, &v, NULL));
    IS(v, "[\"any\"]");
    OK(reeve_shared_open(&byte, s.ctx, stage_name(&s, 1), 'B', NULL));
    OK(reeve_shared_get_int(byte, &x));
    CHECK(x == 0);
    OK(reeve_shared_add_int(byte, 255, &x));
    CHECK(x == 255);
    FAILS(REEVE_EVALUE, reeve_shared_add_int(byte, 1, &x));
    FAILS(REEVE_EVALUE, reeve_shared_set_int(byte, -1));
    FAILS(REEVE_ETYPE, reeve_shared_set(byte, make("f", 1.0)));
    OK(reeve_shared_cas(byte, integer(1), integer(2), &done, &v));
    CHECK(!done);
    IS(v, "255");
    OK(reeve_shared_cas(byte, integer(255), integer(2), &done, NULL));
    CHECK(done);

    OK(reeve_array_open(&a, s.ctx, stage_name(&s, 2), 'd', 4, NULL));
    FAILS(REEVE_EEXIST, reeve_array_open(&same, s.ctx, s.names[2], 'f', 4, NULL));
    FAILS(REEVE_EEXIST, reeve_array_open(&same, s.ctx, s.names[2], 'd', 5, NULL));
    OK(reeve_array_open(&same, s.ctx, s.names[2], 'd', 0, NULL));
    CHECK(reeve_array_len(same) == 4);
    OK(reeve_array_set(a, -1, integer(7)));
    FAILS(REEVE_ETYPE, reeve_array_set(a, 0, make("s", "7")));
    FAILS(REEVE_EINDEX, reeve_array_set(a, 4, integer(7)));
    OK(reeve_array_set_slice(a, (reeve_slice){0, 2, REEVE_UNSET}, make("(ff)", 0.5, 1.5)));
    FAILS(REEVE_ETYPE,
          reeve_array_set_slice(a, (reeve_slice){0, 2, REEVE_UNSET}, make("(f)", 0.5)));
    OK(reeve_array_slice(same, ALL, &v));
    IS(v, "[0.5, 1.5, 0.0, 7.0]");
    FAILS(REEVE_EINVAL, reeve_shared_open(&byte, s.ctx, NULL, 'x', NULL));
    reeve_array_close(&same);
    reeve_array_close(&a);
    reeve_shared_close(&any);
    stage_end(&s);
}

/* row: T17 */
TEST(namespace_has_attributes)
{
    struct stage s;
    reeve_namespace *ns = NULL;
    reeve_dict_iter *it = NULL;
    const reeve_value *key = NULL;
    const reeve_value *item = NULL;
    const char *text = NULL;
    size_t len = 0;
    reeve_value *v = NULL;
    int64_t sum = 0;

    stage_begin(&s);
    OK(reeve_namespace_open(&ns, s.ctx, stage_name(&s, 0), NULL));
    FAILS(REEVE_EATTR, reeve_namespace_get(ns, "limit", &v));
    FAILS(REEVE_EATTR, reeve_namespace_del(ns, "limit"));
    OK(reeve_namespace_set(ns, "limit", integer(7)));
    OK(reeve_namespace_set(ns, "_private", make("s", "no")));
    OK(reeve_namespace_add_int(ns, "limit", 3, &sum));
    CHECK(sum == 10);
    OK(reeve_namespace_copy(ns, &v));
    IS(v, "{\"limit\": 10, \"_private\": \"no\"}");
    OK(reeve_namespace_del(ns, "_private"));
    FAILS(REEVE_EINVAL, reeve_namespace_set(ns, "", integer(7)));
    OK(reeve_namespace_update(ns, make("{sisi}", "limit", (int64_t)1, "most", (int64_t)2)));
    FAILS(REEVE_ETYPE,
          reeve_namespace_update(ns, make("{siii}", "x", (int64_t)1, (int64_t)2, (int64_t)3)));
    FAILS(REEVE_ETYPE, reeve_namespace_update(ns, make("(i)", (int64_t)1)));
    OK(reeve_namespace_items(&it, ns));
    OK(reeve_dict_next(it, &key, &item));
    CHECK(reeve_get_str(key, &text, &len) && len == 5 && memcmp(text, "limit", 5) == 0);
    CHECK(reeve_get_int(item, &sum) && sum == 1);
    OK(reeve_dict_next(it, &key, &item));
    CHECK(reeve_get_int(item, &sum) && sum == 2);
    OK(reeve_dict_next(it, &key, &item));
    CHECK(key == NULL && item == NULL);
    reeve_dict_iter_close(&it);
    reeve_namespace_close(&ns);
    stage_end(&s);
}

TEST(place_in_a_value_is_changed_alone)
{
    struct stage s;
    reeve_dict *d = NULL;
    reeve_value *v = NULL;
    int64_t sum = 0;
    bool done = true;

    stage_begin(&s);
    OK(reeve_dict_open(&d, s.ctx, NULL, NULL));
    OK(reeve_dict_set(d, make("s", "k"), make("{s(ii)s{}}", "a", INT64_C(1), INT64_C(2), "b")));
    OK(reeve_dict_set_at(d, make("s", "k"), make("(si)", "a", INT64_C(-1)), integer(5)));
    OK(reeve_dict_append_at(d, make("s", "k"), make("(s)", "a"), integer(6)));
    OK(reeve_dict_set_at(d, make("s", "k"), make("(ss)", "b", "new"), make("n")));
    OK(reeve_dict_add_at(d, make("s", "k"), make("(si)", "a", INT64_C(0)), integer(9), &v));
    IS(v, "10");
    OK(reeve_dict_del_at(d, make("s", "k"), make("(si)", "a", INT64_C(1))));
    OK(reeve_dict_get(d, make("s", "k"), &v));
    IS(v, "{\"a\": [10, 6], \"b\": {\"new\": null}}");
    OK(reeve_dict_get_at(d, make("s", "k"), make("(si)", "a", INT64_C(-1)), &v));
    IS(v, "6");
    FAILS(REEVE_EKEY, reeve_dict_get_at(d, make("s", "k"), make("(s)", "c"), &v));
    FAILS(REEVE_ETYPE, reeve_dict_append_at(d, make("s", "k"), make("(s)", "b"), integer(6)));
    FAILS(REEVE_EKEY, reeve_dict_append_at(d, make("s", "x"), NULL, integer(6)));
    OK(reeve_dict_add_int(d, make("s", "n"), 2, &sum));
    OK(reeve_dict_add_int(d, make("s", "n"), 3, &sum));
    CHECK(sum == 5);
    FAILS(REEVE_ETYPE, reeve_dict_add_int(d, make("s", "k"), 3, &sum));
    OK(reeve_dict_cas(d, make("s", "n"), NULL, integer(1), &done, &v));
    CHECK(!done);
    IS(v, "5");
    OK(reeve_dict_cas(d, make("s", "n"), make("f", 5.0), NULL, &done, &v));
    CHECK(done && v == NULL);
    FAILS(REEVE_EKEY, reeve_dict_get(d, make("s", "n"), &v));
    reeve_dict_close(&d);
    stage_end(&s);
}

static void change_after(reeve_context *ctx, struct stage *s, int fd)
{
    reeve_dict *d = NULL;

    OK(reeve_dict_open(&d, ctx, s->names[0], NULL));
    lab_tell(fd);
    OK(reeve_dict_set(d, make("s", "other"), integer(1)));
    OK(reeve_dict_set(d, make("s", "key"), integer(2)));
    reeve_dict_close(&d);
}

TEST(change_of_a_key_is_waited_for)
{
    struct stage s;
    struct party other;
    reeve_dict *d = NULL;
    reeve_value *v = NULL;
    uint64_t version = 0;
    uint64_t now = 0;

    stage_begin(&s);
    OK(reeve_dict_open(&d, s.ctx, stage_name(&s, 0), NULL));
    FAILS(REEVE_ETIME, reeve_dict_wait(d, make("s", "key"), &version, 0));
    FAILS(REEVE_ETIME, reeve_dict_wait(d, make("s", "key"), &version, 20));
    party_begin(&other, &s, change_after);
    CHECK(party_hears(&other));
    OK(reeve_dict_wait(d, make("s", "key"), &version, LONG));
    OK(reeve_dict_get_version(d, make("s", "key"), &v, &now));
    IS(v, "2");
    CHECK(version != 0 && version == now);
    party_end(&other);
    OK(reeve_dict_del(d, make("s", "key")));
    OK(reeve_dict_wait(d, make("s", "key"), &version, LONG));
    CHECK(version == 0);
    reeve_dict_close(&d);
    stage_end(&s);
}

TEST(batch_takes_effect_as_a_whole_or_not_at_all)
{
    struct stage s;
    reeve_dict *d = NULL;
    reeve_list *l = NULL;
    reeve_set *set = NULL;
    reeve_batch *b = NULL;
    reeve_value *v = NULL;
    size_t failed = 99;
    int64_t sum = 0;

    stage_begin(&s);
    OK(reeve_dict_open(&d, s.ctx, stage_name(&s, 0), NULL));
    OK(reeve_set_open(&set, s.ctx, stage_name(&s, 1), NULL));
    l = list_of(&s, "(ii)", INT64_C(1), INT64_C(2));
    OK(reeve_dict_set(d, make("s", "alice"), integer(50)));
    OK(reeve_dict_set(d, make("s", "bob"), integer(1)));

    b = reeve_batch_new(s.ctx);
    OK(reeve_batch_dict_expect(b, d, make("s", "alice"), integer(50)));
    OK(reeve_batch_dict_add(b, d, make("s", "alice"), integer(-10)));
    OK(reeve_batch_dict_add(b, d, make("s", "bob"), integer(10)));
    OK(reeve_batch_list_append(b, l, make("s", "paid")));
    OK(reeve_batch_list_pop(b, l, 0));
    OK(reeve_batch_set_add(b, set, make("s", "bob")));
    OK(reeve_batch_run(b, &failed));
    CHECK(reeve_get_int(reeve_batch_result(b, 1), &sum) && sum == 40);
    CHECK(reeve_get_int(reeve_batch_result(b, 4), &sum) && sum == 1);
    CHECK(reeve_batch_result(b, 0) == NULL && reeve_batch_result(b, 99) == NULL);
    FAILS(REEVE_EINVAL, reeve_batch_run(b, NULL));
    reeve_batch_free(&b);
    IS(all_of(l), "[2, \"paid\"]");

    /* The last call is refused: nothing is left of those before it, the order of keys included. */
    b = reeve_batch_new(s.ctx);
    (void)reeve_batch_dict_pop(b, d, make("s", "alice"));
    (void)reeve_batch_dict_set(b, d, make("s", "carol"), integer(1));
    (void)reeve_batch_dict_add(b, d, make("s", "bob"), integer(1));
    (void)reeve_batch_list_set(b, l, 0, make("s", "gone"));
    (void)reeve_batch_list_append(b, l, make("s", "gone"));
    (void)reeve_batch_set_remove(b, set, make("s", "bob"));
    (void)reeve_batch_set_remove(b, set, make("s", "nobody"));
    FAILS(REEVE_EKEY, reeve_batch_run(b, &failed));
    CHECK(failed == 6);
    reeve_batch_free(&b);
    OK(reeve_dict_copy(d, &v));
    IS(v, "{\"alice\": 40, \"bob\": 11}");
    IS(all_of(l), "[2, \"paid\"]");
    OK(reeve_set_copy(set, &v));
    IS(v, "[\"bob\"]");
    reeve_set_close(&set);
    reeve_list_close(&l);
    reeve_dict_close(&d);
    stage_end(&s);
}

/* row: R14 */
TEST(container_keeps_what_it_refers_to)
{
    struct stage s;
    reeve_list *l = NULL;
    reeve_dict *d = NULL;
    reeve_queue *q = NULL;
    reeve_builder *b = reeve_builder_new();
    reeve_value *v = NULL;
    reeve_ref ref;
    char *text = NULL;

    stage_begin(&s);
    OK(reeve_list_open(&l, s.ctx, NULL, NULL));
    OK(reeve_dict_open(&d, s.ctx, stage_name(&s, 0), NULL));
    OK(reeve_queue_open(&q, s.ctx, NULL, NULL));
    OK(reeve_queue_put_str(q, "hello", LONG));
    OK(reeve_put_array(b, 2));
    OK(reeve_put_int(b, 1));
    OK(reeve_put_ref(b, reeve_queue_ref(q)));
    OK(reeve_list_append(l, b));
    reeve_queue_close(&q);
    reeve_builder_reset(b);
    OK(reeve_put_ref(b, reeve_list_ref(l)));
    OK(reeve_dict_set(d, make("s", "list"), b));
    FAILS(REEVE_EINVAL, reeve_dict_set(d, b, b));
    reeve_list_close(&l);

    OK(reeve_dict_get(d, make("s", "list"), &v));
    CHECK(reeve_get_ref(v, &ref));
    OK(reeve_list_from(&l, s.ctx, ref));
    reeve_value_free(&v);
    OK(reeve_dict_clear(d));
    OK(reeve_list_get_at(l, 0, make("(i)", INT64_C(1)), &v));
    CHECK(reeve_get_ref(v, &ref));
    OK(reeve_queue_from(&q, s.ctx, ref));
    reeve_value_free(&v);
    OK(reeve_list_pop(l, 0, &v));
    reeve_value_free(&v);
    OK(reeve_queue_get(&v, q, LONG));
    text = json(v);
    CHECK(strcmp(text, "\"hello\"") == 0);
    free(text);
    reeve_queue_close(&q);
    reeve_list_close(&l);
    reeve_dict_close(&d);
    reeve_builder_free(&b);
    stage_end(&s);
}

/* Beside others in the same page, alone, and out again. */
TEST(values_of_every_size_come_back_whole)
{
    static const size_t sizes[] = {1, 65530, 65540, 262100, 262200, 3000000, 16777200};
    struct stage s;
    reeve_list *l = NULL;
    reeve_list_iter *it = NULL;
    reeve_builder *b = reeve_builder_new();
    const reeve_value *item = NULL;
    reeve_value *v = NULL;
    char *text = malloc(16777200);
    const char *got = NULL;
    size_t len = 0;

    stage_begin(&s);
    memset(text, 'x', 16777200);
    OK(reeve_list_open(&l, s.ctx, stage_name(&s, 0), NULL));
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        reeve_builder_reset(b);
        OK(reeve_put_strn(b, text, sizes[i]));
        OK(reeve_list_append(l, b));
    }
    OK(reeve_list_iter_open(&it, l, false));
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        OK(reeve_list_next(it, &item));
        CHECK(item != NULL && reeve_get_str(item, &got, &len) && len == sizes[i]);
        CHECK(got[len - 1] == 'x');
    }
    OK(reeve_list_next(it, &item));
    CHECK(item == NULL);
    reeve_list_iter_close(&it);
    OK(reeve_list_pop(l, 5, &v));
    CHECK(reeve_get_str(v, &got, &len) && len == sizes[5]);
    reeve_value_free(&v);
    reeve_builder_reset(b);
    OK(reeve_put_array(b, 2));
    OK(reeve_put_strn(b, text, 16777200));
    OK(reeve_put_strn(b, text, 100));
    FAILS(REEVE_ETOOBIG, reeve_list_append(l, b));
    reeve_builder_free(&b);
    reeve_list_close(&l);
    free(text);
    stage_end(&s);
}
