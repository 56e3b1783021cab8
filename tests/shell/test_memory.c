/* The library lives in other people's processes: when memory is short, a call says so by name, and
 * nothing crashes, hangs or leaks. Each story is told again and again, and each time the next
 * allocation fails, until there is none left that could. */

#include "tests/shell/lab.h"
#include "tests/shell/nomem.h"

#include <reeve/batch.h>
#include <reeve/list.h>
#include <reeve/namespace.h>
#include <reeve/set.h>
#include <reeve/shared.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { WAIT_MS = 10000, LARGE = 400 * 1024, LAST = 100000 };

static struct lab lab;
static struct manager manager;

/* Go on with a story, or end it with what the call says. */
#define TRY(call)                                                                                  \
    do {                                                                                           \
        err = (call);                                                                              \
        if (err != REEVE_OK) {                                                                     \
            where = #call;                                                                         \
            goto out;                                                                              \
        }                                                                                          \
    } while (0)

static const char *where; /* the call that failed */

static reeve_err open_it(reeve_context **ctx)
{
    return reeve_open(ctx, &(reeve_options){.url = manager.url, .key = lab.key_path});
}

/* What was there before, and after each way to fail. The second time round is the first one that counts: some
 * things are made once in a process. */
static void tell_again_and_again(reeve_err (*story)(void))
{
    long before = 0;
    bool failed = true;
    unsigned long n = 1;
    reeve_err err = REEVE_OK;

    OK(story());
    OK(story());
    before = nomem_live();
    for (; failed && n < LAST; n++) {
        nomem_arm(n);
        where = "";
        err = story();
        failed = nomem_disarm();
        if (err != REEVE_OK && (err != REEVE_ENOMEM || !failed)) {
            fprintf(stderr, "allocation %lu: %s: %s: %s\n", n, where, reeve_strerror(err),
                    reeve_errmsg());
            nomem_tell();
            CHECK(err == REEVE_ENOMEM);
        }
        if (nomem_live() != before) {
            fprintf(stderr, "allocation %lu (%s): %ld are left\n", n, where, nomem_live() - before);
            nomem_tell();
            CHECK(nomem_live() == before);
        }
    }
    fprintf(stderr, "  %lu allocations failed, one at a time\n", n - 2);
    OK(err);
}

static void play(reeve_err (*story)(void))
{
    lab_begin(&lab);
    manager_start_ipc(&manager, &lab);
    tell_again_and_again(story);
    manager_kill(&manager);
    lab_end(&lab);
}

/* ---- values ---- */

static reeve_err values(void)
{
    reeve_builder *b = reeve_builder_new();
    reeve_value *v = NULL;
    char *json = NULL;
    reeve_err err = REEVE_ENOMEM;
    char text[2000] = "";

    if (b == NULL)
        return err;
    memset(text, 'x', sizeof text - 1);
    TRY(reeve_pack(b, "(i(sb)s)", (int64_t)42, "text", true, text));
    TRY(reeve_builder_check(b));
out:
    free(json);
    reeve_value_free(&v);
    reeve_builder_free(&b);
    return err;
}

TEST(memory_that_is_short_for_values_is_told)
{
    play(values);
}

/* ---- queues ---- */

static reeve_err get_all(reeve_queue *q, size_t len)
{
    reeve_value *got[16] = {NULL};
    reeve_err err = REEVE_OK;

    while (err == REEVE_OK && len > 0) {
        size_t n = 0;

        err = reeve_queue_get_many(got, 16, &n, q, WAIT_MS);
        for (size_t i = 0; i < n; i++) {
            char *json = err == REEVE_OK ? reeve_value_json(got[i]) : NULL;

            if (err == REEVE_OK && json == NULL)
                err = REEVE_ENOMEM;
            free(json);
            if (err == REEVE_OK)
                err = reeve_queue_task_done(q, got[i]);
            reeve_value_free(&got[i]);
        }
        len -= n < len ? n : len;
    }
    return err;
}

static reeve_err queues(void)
{
    static char large[LARGE];
    reeve_context *ctx = NULL;
    reeve_queue *q = NULL;
    reeve_queue *same = NULL;
    reeve_builder *b = NULL;
    reeve_value *v = NULL;
    const reeve_queue_options options = {.joinable = true, .deliveries = 2, .maxsize = 1000};
    size_t size = 0;
    bool empty = false;
    reeve_err err = REEVE_OK;

    TRY(open_it(&ctx));
    TRY(reeve_queue_open(&q, ctx, "memory", &options));
    TRY(reeve_queue_open(&same, ctx, "memory", &options));
    TRY((b = reeve_builder_new()) == NULL ? REEVE_ENOMEM : REEVE_OK);
    TRY(reeve_pack(b, "(is)", (int64_t)1, "two"));
    TRY(reeve_queue_put(q, b, WAIT_MS));
    TRY(reeve_queue_put_str(q, "text", WAIT_MS));
    TRY(reeve_queue_put_bytes(q, large, sizeof large, WAIT_MS));
    TRY(reeve_queue_put_async(q, b, WAIT_MS));
    TRY(reeve_queue_put_many(q, (const reeve_builder *[]){b, b, b}, 3, WAIT_MS, NULL));
    TRY(reeve_queue_flush(q, WAIT_MS));
    TRY(reeve_queue_size(q, &size));
    TRY(reeve_queue_get(&v, same, WAIT_MS));
    TRY(reeve_queue_task_done(same, v));
    TRY(get_all(q, 6));
    TRY(reeve_queue_join(q, WAIT_MS));
    TRY(reeve_queue_empty(q, &empty));
    CHECK(size == 7 && empty);
out:
    reeve_value_free(&v);
    reeve_builder_free(&b);
    reeve_queue_close(&same);
    reeve_queue_close(&q);
    (void)reeve_close(&ctx);
    return err;
}

/* Items of a story that broke off are there for the next one. */
static reeve_err queues_from_the_start(void)
{
    reeve_context *ctx = NULL;
    unsigned long n = nomem_left();
    reeve_err err = REEVE_OK;

    (void)nomem_disarm();
    OK(open_it(&ctx));
    err = reeve_remove(ctx, "memory", WAIT_MS);
    CHECK(err == REEVE_OK || err == REEVE_ENOENT);
    OK(reeve_close(&ctx));
    nomem_arm(n);
    err = queues();
    return err;
}

TEST(memory_that_is_short_for_queues_is_told)
{
    play(queues_from_the_start);
}

/* Who is given an item can use what it refers to. */
static reeve_err references(void)
{
    static const bool joinable[] = {false, true};
    reeve_context *ctx = NULL;
    reeve_queue *q = NULL;
    reeve_queue *inner = NULL;
    reeve_builder *b = NULL;
    reeve_value *v = NULL;
    reeve_ref ref;
    reeve_err err = REEVE_OK;

    TRY(open_it(&ctx));
    TRY((b = reeve_builder_new()) == NULL ? REEVE_ENOMEM : REEVE_OK);
    for (int i = 0; i < 2; i++) {
        TRY(reeve_queue_open(&q, ctx, NULL, &(reeve_queue_options){.joinable = joinable[i]}));
        TRY(reeve_queue_open(&inner, ctx, NULL, NULL));
        reeve_builder_reset(b);
        TRY(reeve_put_ref(b, reeve_queue_ref(inner)));
        TRY(reeve_queue_put(q, b, WAIT_MS));
        reeve_queue_close(&inner);
        TRY(reeve_queue_get(&v, q, WAIT_MS));
        CHECK(reeve_get_ref(v, &ref));
        TRY(reeve_queue_from(&inner, ctx, ref));
        if (joinable[i])
            TRY(reeve_queue_task_done(q, v));
        reeve_value_free(&v);
        reeve_queue_close(&inner);
        reeve_queue_close(&q);
    }
out:
    reeve_value_free(&v);
    reeve_builder_free(&b);
    reeve_queue_close(&inner);
    reeve_queue_close(&q);
    (void)reeve_close(&ctx);
    return err;
}

TEST(memory_that_is_short_for_references_is_told)
{
    play(references);
}

/* ---- dead letters ---- */

/* What a story that broke off has left at the manager is in nobody's way. */
static const char *new_name(void)
{
    static char name[32];
    static unsigned n;

    snprintf(name, sizeof name, "short-%u", n++);
    return name;
}

static reeve_err letters(void)
{
    const char *name = new_name();
    const reeve_queue_options options = {.joinable = true, .deliveries = 1};
    reeve_context *ctx = NULL;
    reeve_context *other = NULL;
    reeve_queue *q = NULL;
    reeve_queue *careless = NULL;
    reeve_value *item = NULL;
    reeve_value *dead = NULL;
    uint64_t moved = 0;
    reeve_err err = REEVE_OK;

    TRY(open_it(&ctx));
    TRY(reeve_queue_open(&q, ctx, name, &options));
    TRY(open_it(&other));
    TRY(reeve_queue_open(&careless, other, name, &options));
    TRY(reeve_queue_put_str(q, "letter", WAIT_MS));
    TRY(reeve_queue_get(&item, careless, WAIT_MS));
    TRY(reeve_ping(other, WAIT_MS));
    reeve_queue_close(&careless); /* it is not done */
    TRY(reeve_close(&other));
    TRY(reeve_dead_list(&dead, ctx, name, 0, 100, WAIT_MS));
    CHECK(reeve_value_len(dead) == 1);
    TRY(reeve_dead_requeue(ctx, name, 0, &moved, WAIT_MS));
    CHECK(moved == 1);
    reeve_value_free(&item);
    TRY(reeve_queue_get(&item, q, WAIT_MS));
    TRY(reeve_queue_task_done(q, item));
    TRY(reeve_queue_join(q, WAIT_MS));
out:
    reeve_value_free(&dead);
    reeve_value_free(&item);
    reeve_queue_close(&careless);
    reeve_queue_close(&q);
    (void)reeve_close(&other);
    (void)reeve_close(&ctx);
    return err;
}

TEST(memory_that_is_short_for_dead_letters_is_told)
{
    play(letters);
}

/* ---- locks and their kin ---- */

static reeve_err locks(void)
{
    reeve_context *ctx = NULL;
    reeve_lock *lock = NULL;
    reeve_semaphore *semaphore = NULL;
    reeve_condition *condition = NULL;
    reeve_event *event = NULL;
    reeve_barrier *barrier = NULL;
    uint32_t index = 0;
    reeve_err err = REEVE_OK;

    TRY(open_it(&ctx));
    TRY(reeve_lock_open(&lock, ctx, NULL, &(reeve_lock_options){.recursive = true}));
    TRY(reeve_lock_acquire(lock, WAIT_MS));
    TRY(reeve_lock_acquire(lock, WAIT_MS));
    TRY(reeve_lock_release(lock));
    TRY(reeve_lock_release(lock));
    TRY(reeve_semaphore_open(&semaphore, ctx, NULL, 2, NULL));
    TRY(reeve_semaphore_acquire(semaphore, WAIT_MS));
    TRY(reeve_semaphore_release(semaphore));
    TRY(reeve_condition_open(&condition, ctx, NULL, NULL));
    TRY(reeve_condition_acquire(condition, WAIT_MS));
    TRY(reeve_condition_notify_all(condition, NULL));
    TRY(reeve_condition_release(condition));
    TRY(reeve_event_open(&event, ctx, NULL, NULL));
    TRY(reeve_event_set(event));
    TRY(reeve_event_wait(event, WAIT_MS));
    TRY(reeve_barrier_open(&barrier, ctx, NULL, 1, NULL));
    TRY(reeve_barrier_wait(barrier, WAIT_MS, &index));
out:
    reeve_barrier_close(&barrier);
    reeve_event_close(&event);
    reeve_condition_close(&condition);
    reeve_semaphore_close(&semaphore);
    reeve_lock_close(&lock);
    (void)reeve_close(&ctx);
    return err;
}

TEST(memory_that_is_short_for_locks_is_told)
{
    play(locks);
}

/* ---- containers ---- */

/* The builder has what the letters say, and nothing else. */
static reeve_err says(reeve_builder *b, const char *letters, ...)
{
    va_list args;
    reeve_err err = REEVE_OK;

    reeve_builder_reset(b);
    va_start(args, letters);
    err = reeve_vpack(b, letters, args);
    va_end(args);
    return err;
}

static reeve_err iterate(reeve_dict *d, size_t wanted)
{
    reeve_dict_iter *it = NULL;
    const reeve_value *key = NULL;
    const reeve_value *value = NULL;
    size_t got = 0;
    reeve_err err = reeve_dict_items(&it, d);

    while (err == REEVE_OK) {
        err = reeve_dict_next(it, &key, &value);
        if (err == REEVE_OK && key == NULL)
            break;
        got += err == REEVE_OK;
    }
    reeve_dict_iter_close(&it);
    CHECK(err != REEVE_OK || got == wanted);
    return err;
}

/* Builders that a story has, and values that it was given. */
struct props {
    reeve_builder *key, *value, *path;
    reeve_value *v[12];
};

static reeve_err props_begin(struct props *p)
{
    p->key = reeve_builder_new();
    p->value = reeve_builder_new();
    p->path = reeve_builder_new();
    return p->key == NULL || p->value == NULL || p->path == NULL ? REEVE_ENOMEM : REEVE_OK;
}

static void props_end(struct props *p)
{
    reeve_builder_free(&p->key);
    reeve_builder_free(&p->value);
    reeve_builder_free(&p->path);
    for (size_t i = 0; i < sizeof p->v / sizeof p->v[0]; i++)
        reeve_value_free(&p->v[i]);
}

static reeve_err dicts(void)
{
    static char large[LARGE];
    struct props p = {0};
    reeve_context *ctx = NULL;
    reeve_dict *d = NULL;
    reeve_namespace *ns = NULL;
    uint64_t version = 0;
    uint64_t len = 0;
    int64_t sum = 0;
    bool yes = false;
    reeve_err err = REEVE_OK;

    TRY(open_it(&ctx));
    TRY(props_begin(&p));
    TRY(reeve_dict_open(&d, ctx, NULL, NULL));
    TRY(says(p.key, "s", "key"));
    TRY(says(p.value, "{s(i)si}", "a", INT64_C(1), "b", INT64_C(2)));
    TRY(reeve_dict_set(d, p.key, p.value));
    TRY(reeve_dict_update(d, p.value));
    TRY(says(p.path, "(si)", "a", INT64_C(0)));
    TRY(reeve_dict_get_at(d, p.key, p.path, &p.v[0]));
    TRY(says(p.value, "i", INT64_C(5)));
    TRY(reeve_dict_add_at(d, p.key, p.path, p.value, &p.v[1]));
    TRY(says(p.path, "(s)", "a"));
    TRY(reeve_dict_append_at(d, p.key, p.path, p.value));
    TRY(reeve_dict_set_at(d, p.key, p.path, p.value));
    TRY(reeve_dict_del_at(d, p.key, p.path));
    version = 0;
    TRY(reeve_dict_wait(d, p.key, &version, WAIT_MS));
    TRY(reeve_dict_get_version(d, p.key, &p.v[2], &version));
    TRY(reeve_dict_setdefault(d, p.value, p.value, &p.v[3], &yes));
    TRY(reeve_dict_cas(d, p.value, p.key, p.value, &yes, &p.v[4]));
    TRY(reeve_dict_add_int(d, p.value, 7, &sum));
    TRY(reeve_dict_contains(d, p.key, &yes));
    CHECK(yes && sum == 12);
    TRY(says(p.key, "y", large, sizeof large));
    TRY(reeve_dict_set(d, p.value, p.key));
    TRY(reeve_dict_get(d, p.value, &p.v[5]));
    TRY(iterate(d, 4));
    TRY(reeve_dict_copy(d, &p.v[6]));
    TRY(reeve_dict_pop(d, p.value, &p.v[7]));
    TRY(reeve_dict_popitem(d, &p.v[8], &p.v[9]));
    TRY(reeve_dict_len(d, &len, NULL));
    CHECK(len == 2);
    TRY(says(p.key, "s", "key"));
    TRY(reeve_dict_del(d, p.key));
    TRY(reeve_dict_clear(d));
    TRY(reeve_namespace_open(&ns, ctx, NULL, NULL));
    TRY(reeve_namespace_set(ns, "name", p.value));
    TRY(reeve_namespace_add_int(ns, "name", 1, &sum));
    TRY(reeve_namespace_get(ns, "name", &p.v[10]));
    TRY(reeve_namespace_copy(ns, &p.v[11]));
    TRY(reeve_namespace_del(ns, "name"));
out:
    props_end(&p);
    reeve_namespace_close(&ns);
    reeve_dict_close(&d);
    (void)reeve_close(&ctx);
    return err;
}

TEST(memory_that_is_short_for_dicts_is_told)
{
    play(dicts);
}

static reeve_err read_row(reeve_list *l, size_t wanted)
{
    reeve_list_iter *it = NULL;
    const reeve_value *value = NULL;
    size_t got = 0;
    reeve_err err = reeve_list_iter_open(&it, l, true);

    while (err == REEVE_OK) {
        err = reeve_list_next(it, &value);
        if (err == REEVE_OK && value == NULL)
            break;
        got += err == REEVE_OK;
    }
    reeve_list_iter_close(&it);
    CHECK(err != REEVE_OK || got == wanted);
    return err;
}

static reeve_err rows(void)
{
    static const reeve_slice first = {0, 1, REEVE_UNSET};
    static char large[LARGE];
    struct props p = {0};
    reeve_context *ctx = NULL;
    reeve_list *l = NULL;
    reeve_list *inner = NULL;
    reeve_shared *shared = NULL;
    reeve_array *a = NULL;
    reeve_ref ref;
    uint64_t version = 0;
    uint64_t n = 0;
    int64_t sum = 0;
    bool yes = false;
    reeve_err err = REEVE_OK;

    TRY(open_it(&ctx));
    TRY(props_begin(&p));
    TRY(reeve_list_open(&l, ctx, NULL, NULL));
    TRY(says(p.value, "(iis)", INT64_C(3), INT64_C(1), "text"));
    TRY(reeve_list_extend(l, p.value));
    TRY(reeve_list_insert(l, 0, p.value));
    TRY(says(p.path, "(i)", INT64_C(0)));
    TRY(reeve_list_get_at(l, 0, p.path, &p.v[0]));
    TRY(says(p.key, "i", INT64_C(3)));
    TRY(reeve_list_add_at(l, 0, p.path, p.key, &p.v[1]));
    TRY(reeve_list_append_at(l, 0, NULL, p.key));
    TRY(reeve_list_set_slice(l, first, p.value));
    TRY(reeve_list_slice(l, first, &p.v[2]));
    TRY(reeve_list_index(l, p.key, REEVE_UNSET, REEVE_UNSET, &n));
    TRY(reeve_list_count(l, p.key, &n));
    TRY(reeve_list_remove(l, p.key));
    TRY(reeve_list_sort(l, true));
    TRY(reeve_list_reverse(l));
    TRY(reeve_list_repeat(l, 2));
    TRY(says(p.value, "y", large, sizeof large));
    TRY(reeve_list_append(l, p.value));
    TRY(read_row(l, 11));
    TRY(reeve_list_set(l, 0, p.key));
    TRY(reeve_list_cas(l, 0, p.value, p.key, &yes, &p.v[3]));
    TRY(reeve_list_add(l, 0, p.key, &p.v[4]));
    TRY(reeve_list_pop(l, -1, &p.v[5]));
    TRY(reeve_list_del_slice(l, first));
    TRY(reeve_list_wait(l, &version, WAIT_MS));
    TRY(reeve_list_open(&inner, ctx, NULL, NULL));
    reeve_builder_reset(p.value);
    TRY(reeve_put_ref(p.value, reeve_list_ref(inner)));
    TRY(reeve_list_append(l, p.value));
    reeve_list_close(&inner);
    TRY(reeve_list_get(l, -1, &p.v[6]));
    CHECK(reeve_get_ref(p.v[6], &ref));
    TRY(reeve_list_from(&inner, ctx, ref));
    TRY(read_row(l, 10));
    TRY(reeve_list_clear(l));
    TRY(reeve_shared_open(&shared, ctx, NULL, 'q', NULL));
    TRY(reeve_shared_set_int(shared, 1));
    TRY(reeve_shared_add_int(shared, 2, &sum));
    TRY(reeve_shared_get(shared, &p.v[7], NULL));
    TRY(reeve_array_open(&a, ctx, NULL, 'd', 100, NULL));
    TRY(reeve_array_set(a, -1, p.key));
    TRY(reeve_array_add(a, -1, p.key, &p.v[8]));
    TRY(reeve_array_slice(a, first, &p.v[9]));
out:
    props_end(&p);
    reeve_array_close(&a);
    reeve_shared_close(&shared);
    reeve_list_close(&inner);
    reeve_list_close(&l);
    (void)reeve_close(&ctx);
    return err;
}

TEST(memory_that_is_short_for_lists_is_told)
{
    play(rows);
}

static reeve_err sets(void)
{
    struct props p = {0};
    reeve_context *ctx = NULL;
    reeve_set *one = NULL;
    reeve_set *other = NULL;
    reeve_set *made = NULL;
    reeve_set_iter *it = NULL;
    const reeve_value *member = NULL;
    bool yes = false;
    reeve_err err = REEVE_OK;

    TRY(open_it(&ctx));
    TRY(props_begin(&p));
    TRY(reeve_set_open(&one, ctx, NULL, NULL));
    TRY(reeve_set_open(&other, ctx, NULL, NULL));
    TRY(says(p.value, "(iis)", INT64_C(3), INT64_C(1), "text"));
    TRY(reeve_set_update_values(one, REEVE_UNION, p.value));
    TRY(says(p.key, "s", "text"));
    TRY(reeve_set_add(other, p.key, NULL));
    TRY(reeve_set_combine(&made, one, REEVE_SYMMETRIC_DIFFERENCE, other));
    TRY(reeve_set_compare(other, REEVE_SUBSET, one, &yes));
    CHECK(yes);
    TRY(reeve_set_compare_values(one, REEVE_SAME, p.value, &yes));
    CHECK(yes);
    TRY(reeve_set_update(one, REEVE_DIFFERENCE, other));
    TRY(reeve_set_contains(one, p.key, &yes));
    CHECK(!yes);
    TRY(reeve_set_iter_open(&it, one));
    TRY(reeve_set_next(it, &member));
    TRY(reeve_set_copy(one, &p.v[0]));
    TRY(reeve_set_pop(one, &p.v[1]));
    TRY(reeve_set_discard(other, p.key, &yes));
    TRY(reeve_set_clear(made));
out:
    props_end(&p);
    reeve_set_iter_close(&it);
    reeve_set_close(&made);
    reeve_set_close(&other);
    reeve_set_close(&one);
    (void)reeve_close(&ctx);
    return err;
}

TEST(memory_that_is_short_for_sets_is_told)
{
    play(sets);
}

static reeve_err batches(void)
{
    static char large[LARGE];
    struct props p = {0};
    reeve_context *ctx = NULL;
    reeve_dict *d = NULL;
    reeve_list *l = NULL;
    reeve_batch *b = NULL;
    size_t failed = 0;
    int64_t x = 0;
    reeve_err err = REEVE_OK;

    TRY(open_it(&ctx));
    TRY(props_begin(&p));
    TRY(reeve_dict_open(&d, ctx, NULL, NULL));
    TRY(reeve_list_open(&l, ctx, NULL, NULL));
    TRY(says(p.key, "s", "key"));
    TRY(says(p.value, "i", INT64_C(5)));
    TRY(says(p.path, "y", large, sizeof large));
    TRY((b = reeve_batch_new(ctx)) == NULL ? REEVE_ENOMEM : REEVE_OK);
    TRY(reeve_batch_dict_expect(b, d, p.key, NULL));
    TRY(reeve_batch_dict_set(b, d, p.key, p.value));
    TRY(reeve_batch_dict_add(b, d, p.key, p.value));
    TRY(reeve_batch_list_append(b, l, p.path));
    TRY(reeve_batch_list_append(b, l, p.value));
    TRY(reeve_batch_list_pop(b, l, 0));
    TRY(reeve_batch_run(b, &failed));
    CHECK(reeve_get_int(reeve_batch_result(b, 2), &x) && x == 10);
    CHECK(reeve_value_type(reeve_batch_result(b, 5)) == REEVE_BYTES);
out:
    reeve_batch_free(&b);
    props_end(&p);
    reeve_list_close(&l);
    reeve_dict_close(&d);
    (void)reeve_close(&ctx);
    return err;
}

TEST(memory_that_is_short_for_batches_is_told)
{
    play(batches);
}

/* ---- what the manager tells ---- */

static reeve_err listings(void)
{
    reeve_context *ctx = NULL;
    reeve_queue *q = NULL;
    reeve_builder *b = NULL;
    reeve_value *v[7] = {NULL};
    reeve_err err = REEVE_OK;

    TRY(open_it(&ctx));
    TRY(reeve_ping(ctx, WAIT_MS));
    TRY(reeve_status(&v[0], ctx, WAIT_MS));
    TRY(reeve_objects(&v[1], ctx, NULL, WAIT_MS));
    TRY(reeve_sessions(&v[2], ctx, WAIT_MS));
    TRY(reeve_jobs(&v[3], ctx, WAIT_MS));
    TRY(reeve_agents(&v[4], ctx, WAIT_MS));
    TRY(reeve_queue_open(&q, ctx, "seen", &(reeve_queue_options){.order = REEVE_PRIORITY}));
    TRY((b = reeve_builder_new()) == NULL ? REEVE_ENOMEM : REEVE_OK);
    TRY(reeve_put_str(b, "item"));
    TRY(reeve_queue_put_priority(q, b, 3, WAIT_MS));
    TRY(reeve_objects(&v[5], ctx, "se", WAIT_MS));
    TRY(reeve_why(&v[6], ctx, "seen", 0, WAIT_MS));
    TRY(reeve_flush(ctx, WAIT_MS));
out:
    reeve_builder_free(&b);
    reeve_queue_close(&q);
    for (size_t i = 0; i < 7; i++)
        reeve_value_free(&v[i]);
    (void)reeve_close(&ctx);
    return err;
}

TEST(memory_that_is_short_for_listings_is_told)
{
    play(listings);
}

/* ---- pools ---- */

static reeve_err twice(reeve_task *task, const reeve_value *in, reeve_builder *out)
{
    int64_t x = 0;

    if (!reeve_get_int(in, &x))
        return reeve_task_fail(task, "no integer");
    return reeve_put_int(out, 2 * x);
}
REEVE_FUNCTION(twice);

static reeve_err first(reeve_task *task, const reeve_value *in, reeve_builder *out)
{
    (void)task;
    return reeve_put_value(out, reeve_value_at(in, 0));
}
REEVE_FUNCTION(first);

static bool next(void *arg, reeve_builder *item)
{
    int64_t *x = arg;

    return *x < 20 && reeve_put_int(item, (*x)++) == REEVE_OK;
}

static reeve_err pools(void)
{
    reeve_context *ctx = NULL;
    reeve_pool *pool = NULL;
    reeve_items *items = NULL;
    reeve_results *results = NULL;
    reeve_async *async = NULL;
    reeve_iter *iter = NULL;
    reeve_builder *b = NULL;
    reeve_value *v = NULL;
    int64_t x = 0;
    reeve_err err = REEVE_OK;

    TRY(open_it(&ctx));
    TRY(reeve_pool_open(&pool, ctx, NULL));
    TRY((items = reeve_items_new()) == NULL ? REEVE_ENOMEM : REEVE_OK);
    for (int64_t i = 0; i < 50; i++)
        TRY(reeve_items_add_int(items, i));
    TRY(reeve_pool_map(&results, pool, REEVE_FN(twice), items, NULL));
    TRY(reeve_results_value(results, 7) == NULL ? REEVE_ENOMEM : REEVE_OK);
    TRY(reeve_pool_map_async(&async, pool, REEVE_FN(twice), items, NULL));
    TRY(reeve_async_wait(async, WAIT_MS));
    TRY((b = reeve_builder_new()) == NULL ? REEVE_ENOMEM : REEVE_OK);
    TRY(reeve_put_int(b, 4));
    TRY(reeve_pool_apply(&v, pool, REEVE_FN(twice), b, WAIT_MS));
    TRY(reeve_pool_imap(&iter, pool, REEVE_FN(twice), next, &x, NULL));
    for (int i = 0; i < 20; i++) {
        reeve_value_free(&v);
        TRY(reeve_iter_next(&v, iter, WAIT_MS));
    }
    reeve_iter_free(&iter);
    reeve_items_free(&items);
    reeve_results_free(&results);
    TRY((items = reeve_items_new()) == NULL ? REEVE_ENOMEM : REEVE_OK);
    reeve_builder_reset(b);
    TRY(reeve_pack(b, "(i)", (int64_t)5));
    TRY(reeve_items_add(items, b));
    TRY(reeve_pool_starmap(&results, pool, REEVE_FN(first), items, NULL));
    TRY(reeve_results_value(results, 0) == NULL ? REEVE_ENOMEM : REEVE_OK);
    x = 0;
    TRY(reeve_pool_imap_unordered(&iter, pool, REEVE_FN(twice), next, &x, NULL));
    reeve_value_free(&v);
    TRY(reeve_iter_next(&v, iter, WAIT_MS));
out:
    reeve_value_free(&v);
    reeve_builder_free(&b);
    reeve_iter_free(&iter);
    reeve_async_free(&async);
    reeve_results_free(&results);
    reeve_items_free(&items);
    reeve_pool_close(&pool);
    (void)reeve_close(&ctx);
    return err;
}

static void play_with_an_agent(reeve_err (*story)(void))
{
    struct worker worker;

    lab_begin(&lab);
    manager_start_ipc(&manager, &lab);
    worker_start(&worker, &lab, manager.url, "1", NULL);
    tell_again_and_again(story);
    (void)worker_end(&worker);
    manager_kill(&manager);
    lab_end(&lab);
}

TEST(memory_that_is_short_for_pools_is_told)
{
    play_with_an_agent(pools);
}

/* ---- results that refer to objects ---- */

static reeve_err refer(reeve_task *task, const reeve_value *in, reeve_builder *out)
{
    reeve_context *ctx = NULL;
    reeve_queue *q = NULL;
    reeve_err err = reeve_open(&ctx, NULL);

    (void)in;
    if (err == REEVE_OK)
        err = reeve_queue_open(&q, ctx, NULL, NULL);
    if (err == REEVE_OK)
        err = reeve_put_ref(out, reeve_queue_ref(q));
    if (err == REEVE_OK)
        err = reeve_task_pledge(task, ctx, out);
    if (err != REEVE_OK)
        (void)reeve_task_fail(task, "%s", reeve_errmsg());
    reeve_queue_close(&q);
    (void)reeve_close(&ctx);
    return err;
}
REEVE_FUNCTION(refer);

static reeve_err referring(void)
{
    reeve_context *ctx = NULL;
    reeve_pool *pool = NULL;
    reeve_items *items = NULL;
    reeve_results *results = NULL;
    reeve_iter *iter = NULL;
    reeve_queue *q = NULL;
    reeve_value *v = NULL;
    reeve_ref ref = {0};
    int64_t x = 18;
    reeve_err err = REEVE_OK;

    TRY(open_it(&ctx));
    TRY(reeve_pool_open(&pool, ctx, NULL));
    TRY((items = reeve_items_new()) == NULL ? REEVE_ENOMEM : REEVE_OK);
    for (int64_t i = 0; i < 3; i++)
        TRY(reeve_items_add_int(items, i));
    TRY(reeve_pool_map(&results, pool, REEVE_FN(refer), items, NULL));
    TRY(reeve_results_value(results, 2) == NULL ? REEVE_ENOMEM : REEVE_OK);
    CHECK(reeve_get_ref(reeve_results_value(results, 2), &ref));
    TRY(reeve_queue_from(&q, ctx, ref));
    TRY(reeve_pool_apply(&v, pool, REEVE_FN(refer), NULL, WAIT_MS));
    TRY(reeve_pool_imap(&iter, pool, REEVE_FN(refer), next, &x, NULL));
    for (int i = 0; i < 2; i++) {
        reeve_value_free(&v);
        TRY(reeve_iter_next(&v, iter, WAIT_MS));
    }
out:
    reeve_value_free(&v);
    reeve_queue_close(&q);
    reeve_iter_free(&iter);
    reeve_results_free(&results);
    reeve_items_free(&items);
    reeve_pool_close(&pool);
    (void)reeve_close(&ctx);
    return err;
}

TEST(memory_that_is_short_for_results_that_refer_is_told)
{
    play_with_an_agent(referring);
}

/* ---- callbacks ---- */

struct told {
    unsigned begun; /* calls that were begun with the callback */
    unsigned told;
    unsigned in_vain; /* there was no memory for its results */
    size_t results;
    reeve_results *kept;
};

static void tell(void *arg, reeve_err err, reeve_results *results)
{
    struct told *t = arg;

    t->told++;
    t->in_vain += err == REEVE_ENOMEM;
    t->results += err == REEVE_OK ? reeve_results_len(results) : 0;
    CHECK(err == REEVE_OK || err == REEVE_ENOMEM);
    if (t->kept == NULL && results != NULL)
        t->kept = reeve_results_keep(results);
}

/* Whatever else fails: each call that was begun is told of, once. */
static reeve_err callbacks(void)
{
    struct told told = {0};
    const reeve_map_options with = {.callback = tell, .arg = &told};
    reeve_context *ctx = NULL;
    reeve_pool *pool = NULL;
    reeve_items *items = NULL;
    reeve_async *async[3] = {NULL};
    reeve_results *results = NULL;
    reeve_builder *b = NULL;
    reeve_value *v = NULL;
    bool well = false;
    bool joined = false;
    reeve_err err = REEVE_OK;

    TRY(open_it(&ctx));
    TRY(reeve_pool_open(&pool, ctx, NULL));
    TRY((items = reeve_items_new()) == NULL ? REEVE_ENOMEM : REEVE_OK);
    for (int64_t i = 0; i < 5; i++)
        TRY(reeve_items_add_int(items, i));
    TRY(reeve_pool_map_async(&async[0], pool, REEVE_FN(twice), items, &with));
    told.begun++;
    TRY((b = reeve_builder_new()) == NULL ? REEVE_ENOMEM : REEVE_OK);
    TRY(reeve_put_int(b, 4));
    TRY(reeve_pool_apply_async(&async[1], pool, REEVE_FN(twice), b, &with));
    told.begun++;
    TRY(reeve_async_get(&results, async[0], WAIT_MS));
    TRY(reeve_async_successful(async[0], &well));
    TRY(reeve_async_get_value(&v, async[1], WAIT_MS));
    reeve_items_free(&items);
    reeve_builder_reset(b);
    TRY(reeve_pack(b, "(i)", (int64_t)5));
    TRY((items = reeve_items_new()) == NULL ? REEVE_ENOMEM : REEVE_OK);
    TRY(reeve_items_add(items, b));
    TRY(reeve_pool_starmap_async(&async[2], pool, REEVE_FN(first), items, &with));
    told.begun++;
    reeve_async_free(&async[2]);
    CHECK(well);
out:
    if (pool != NULL) {
        const reeve_err end = reeve_pool_end(pool);
        const reeve_err join = end == REEVE_OK ? reeve_pool_join(pool, WAIT_MS) : end;

        joined = join == REEVE_OK;
        err = err == REEVE_OK ? join : err;
        where = err == join ? "the join" : where;
        CHECK(join != REEVE_ETIME);
    }
    CHECK(told.told <= told.begun);
    CHECK(!joined || told.told == told.begun);
    CHECK(err != REEVE_OK || told.results == 7 || told.in_vain > 0);
    reeve_value_free(&v);
    reeve_builder_free(&b);
    for (size_t i = 0; i < 3; i++)
        reeve_async_free(&async[i]);
    reeve_results_free(&results);
    reeve_items_free(&items);
    reeve_pool_close(&pool);
    reeve_results_free(&told.kept);
    (void)reeve_close(&ctx);
    return err;
}

TEST(memory_that_is_short_for_callbacks_is_told)
{
    play_with_an_agent(callbacks);
}

/* ---- work that outlives its program ---- */

static reeve_err grumble(reeve_task *task, const reeve_value *in, reeve_builder *out)
{
    int64_t x = 0;

    if (reeve_get_int(in, &x) && x == 1)
        return reeve_task_fail(task, "not this one");
    return reeve_put_int(out, x);
}
REEVE_FUNCTION(grumble);

static reeve_err read_attached(reeve_iter *iter)
{
    for (uint64_t n = 0;; n++) {
        reeve_value *v = NULL;
        reeve_record record;
        uint64_t index = 0;
        int64_t x = 0;
        reeve_err err = reeve_iter_next(&v, iter, WAIT_MS);

        if (err == REEVE_OK && v == NULL) {
            CHECK(n == 3);
            return REEVE_OK;
        }
        if (err == REEVE_EITEM) {
            const reeve_value *item = reeve_iter_item(iter);

            OK(reeve_iter_record(iter, &index, &record));
            if (item == NULL)
                return REEVE_ENOMEM;
            CHECK(index == 1 && reeve_get_int(item, &x) && x == 1);
            CHECK(strcmp(record.message, "not this one") == 0);
        } else if (err != REEVE_OK) {
            reeve_value_free(&v);
            return err;
        }
        reeve_value_free(&v);
    }
}

static reeve_err jobs(void)
{
    const char *name = new_name();
    reeve_context *ctx = NULL;
    reeve_pool *pool = NULL;
    reeve_items *items = NULL;
    reeve_async *async = NULL;
    reeve_iter *iter = NULL;
    reeve_value *logs = NULL;
    reeve_progress progress;
    reeve_err err = REEVE_OK;

    TRY(open_it(&ctx));
    TRY(reeve_pool_open(&pool, ctx, &(reeve_pool_options){.name = name, .detail = true}));
    TRY((items = reeve_items_new()) == NULL ? REEVE_ENOMEM : REEVE_OK);
    for (int64_t i = 0; i < 3; i++)
        TRY(reeve_items_add_int(items, i));
    TRY(reeve_pool_map_async(&async, pool, REEVE_FN(grumble), items, NULL));
    TRY(reeve_pool_detach(pool, WAIT_MS));
    TRY(reeve_iter_attach(&iter, ctx, name, true));
    TRY(read_attached(iter));
    TRY(reeve_iter_progress(iter, &progress));
    reeve_iter_free(&iter);
    TRY(reeve_iter_attach(&iter, ctx, name, false));
    TRY(read_attached(iter));
    TRY(reeve_job_logs(&logs, ctx, 0, name, WAIT_MS));
    CHECK(reeve_value_len(logs) >= 1);
    TRY(reeve_job_cancel(ctx, 0, name, "it was enough", WAIT_MS));
    TRY(reeve_remove(ctx, name, WAIT_MS));
out:
    reeve_value_free(&logs);
    reeve_iter_free(&iter);
    reeve_async_free(&async);
    reeve_items_free(&items);
    reeve_pool_close(&pool);
    (void)reeve_close(&ctx);
    return err;
}

TEST(memory_that_is_short_for_detached_work_is_told)
{
    play_with_an_agent(jobs);
}
