/* Containers among processes: what they leave behind, and what people complain about in those of Python's
 * multiprocessing. The numbers are those of the list of complaints. */

#include "tests/shell/lab.h"

#include <reeve/batch.h>
#include <reeve/list.h>
#include <reeve/namespace.h>
#include <reeve/set.h>
#include <reeve/shared.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LONG = 30000 };

struct hall {
    struct lab lab;
    char guest[256]; /* another key file */
    struct manager m;
    reeve_context *ctx, *other;
    reeve_dict *here, *there; /* the same dict, in two sessions */
};

static void hall_begin_at(struct hall *h, const char *bind)
{
    const char *server = NULL;

    lab_begin(&h->lab);
    server = h->lab.manager.public_key;
    lab_client(&h->lab, "guest", &server, 1, "client", NULL, h->guest, sizeof h->guest);
    if (bind == NULL)
        manager_start_ipc(&h->m, &h->lab);
    else
        manager_start(&h->m, &h->lab, bind);
    h->ctx = lab_open(&h->lab, h->m.url);
    h->other = lab_open(&h->lab, h->m.url);
    OK(reeve_dict_open(&h->here, h->ctx, "hall", NULL));
    OK(reeve_dict_open(&h->there, h->other, "hall", NULL));
}

static void hall_begin(struct hall *h)
{
    hall_begin_at(h, NULL);
}

static void hall_end(struct hall *h)
{
    reeve_dict_close(&h->here);
    reeve_dict_close(&h->there);
    OK(reeve_close(&h->ctx));
    OK(reeve_close(&h->other));
    manager_kill(&h->m);
    lab_end(&h->lab);
}

static uint64_t objects(const struct hall *h)
{
    OK(reeve_ping(h->other, LONG)); /* what it has let go is told before */
    OK(reeve_flush(h->ctx, LONG));
    return lab_status(h->ctx, "objects");
}

/* A builder with what the letters say; it is the next of some that this thread uses in turn. */
static reeve_builder *make(const char *letters, ...)
{
    static __thread reeve_builder *made[4];
    static __thread unsigned next;
    reeve_builder **b = &made[next++ % 4];
    va_list args;

    if (*b == NULL)
        *b = reeve_builder_new();
    reeve_builder_reset(*b);
    va_start(args, letters);
    OK(reeve_vpack(*b, letters, args));
    va_end(args);
    return *b;
}

static reeve_builder *integer(uint64_t i)
{
    return make("i", (int64_t)i);
}

static reeve_builder *to(reeve_ref ref)
{
    reeve_builder *b = make("n");

    reeve_builder_reset(b);
    OK(reeve_put_ref(b, ref));
    return b;
}

/* What the key has refers to this; the value is the caller's, and keeps it. */
static reeve_value *get_ref(reeve_dict *d, const reeve_builder *key, reeve_ref *ref)
{
    reeve_value *v = NULL;

    OK(reeve_dict_get(d, key, &v));
    CHECK(reeve_get_ref(v, ref));
    return v;
}

static int64_t get_int(reeve_dict *d, const reeve_builder *key)
{
    reeve_value *v = NULL;
    int64_t x = 0;

    OK(reeve_dict_get(d, key, &v));
    CHECK(reeve_get_int(v, &x));
    reeve_value_free(&v);
    return x;
}

/* ---- nothing is left ---- */

static void make_one(reeve_context *ctx, unsigned kind)
{
    reeve_dict *d = NULL;
    reeve_list *l = NULL;
    reeve_set *set = NULL;
    reeve_shared *v = NULL;
    reeve_array *a = NULL;
    reeve_namespace *ns = NULL;

    switch (kind % 6) {
    case 0:
        OK(reeve_dict_open(&d, ctx, NULL, NULL));
        OK(reeve_dict_set(d, integer(1), integer(2)));
        reeve_dict_close(&d);
        break;
    case 1:
        OK(reeve_list_open(&l, ctx, NULL, NULL));
        OK(reeve_list_append(l, integer(1)));
        reeve_list_close(&l);
        break;
    case 2:
        OK(reeve_set_open(&set, ctx, NULL, NULL));
        OK(reeve_set_add(set, integer(1), NULL));
        reeve_set_close(&set);
        break;
    case 3:
        OK(reeve_shared_open(&v, ctx, NULL, 'q', NULL));
        OK(reeve_shared_set_int(v, 7));
        reeve_shared_close(&v);
        break;
    case 4:
        OK(reeve_array_open(&a, ctx, NULL, 'd', 100, NULL));
        OK(reeve_array_set(a, -1, integer(1)));
        reeve_array_close(&a);
        break;
    default:
        OK(reeve_namespace_open(&ns, ctx, NULL, NULL));
        OK(reeve_namespace_set(ns, "x", integer(1)));
        reeve_namespace_close(&ns);
        break;
    }
}

/* A list goes into the dict, with one in it; the other session takes both out again. */
static void nest_one(struct hall *h, uint64_t i)
{
    reeve_list *outer = NULL;
    reeve_list *inner = NULL;
    reeve_value *v = NULL;
    reeve_ref ref;

    OK(reeve_list_open(&outer, h->ctx, NULL, NULL));
    OK(reeve_list_open(&inner, h->ctx, NULL, NULL));
    OK(reeve_list_append(outer, to(reeve_list_ref(inner))));
    OK(reeve_dict_set(h->here, integer(i % 7), to(reeve_list_ref(outer))));
    reeve_list_close(&inner);
    reeve_list_close(&outer);
    v = get_ref(h->there, integer(i % 7), &ref);
    OK(reeve_list_from(&outer, h->other, ref));
    reeve_value_free(&v);
    OK(reeve_list_pop(outer, 0, &v));
    CHECK(reeve_get_ref(v, &ref));
    OK(reeve_list_from(&inner, h->other, ref));
    reeve_value_free(&v);
    OK(reeve_list_append(inner, integer(i)));
    reeve_list_close(&inner);
    reeve_list_close(&outer);
    if (i % 2 == 0)
        OK(reeve_dict_del(h->there, integer(i % 7))); /* else the next one takes its place */
}

/* REFS_CREATED=1000000 REFS_NESTED=100000 for the long run. */
/* row: R08 R14 M16 */
TEST(containers_leave_nothing_behind)
{
    uint64_t created = lab_rounds("REFS_CREATED", 3000);
    uint64_t nested = lab_rounds("REFS_NESTED", 500);
    struct hall h;
    uint64_t before = 0;
    uint64_t after = 0;

    hall_begin(&h);
    for (uint64_t i = 0; i < created / 10; i++)
        make_one(h.ctx, (unsigned)i);
    for (uint64_t i = 0; i < nested / 10; i++)
        nest_one(&h, i);
    before = lab_resident(h.m.pid);
    for (uint64_t i = 0; i < created; i++)
        make_one(h.ctx, (unsigned)i);
    for (uint64_t i = 0; i < nested; i++)
        nest_one(&h, i);
    OK(reeve_dict_clear(h.here));
    after = lab_resident(h.m.pid);
    EVENTUALLY(LONG, objects(&h) == 1);
    printf("  %llu created, %llu nested: %llu KiB before, %llu after\n",
           (unsigned long long)created, (unsigned long long)nested, (unsigned long long)before,
           (unsigned long long)after);
#ifndef __SANITIZE_ADDRESS__ /* it keeps what was freed */
    CHECK(after < before + 1024 + (created + nested) / 1000);
#endif
    hall_end(&h);
}

static unsigned lost(reeve_context *ctx)
{
    reeve_value *v = NULL;
    unsigned count = 0;

    OK(reeve_flush(ctx, LONG));
    OK(reeve_debug_info(&v, ctx, LONG));
    for (size_t i = 0; i < reeve_value_len(v); i++) {
        bool yes = false;

        CHECK(reeve_get_bool(reeve_value_find(reeve_value_at(v, i), "lost"), &yes));
        count += yes;
    }
    reeve_value_free(&v);
    return count;
}

/* A list and a Value that have only each other are lost, and told; a name, or a handle, finds them; who removes the
 * name takes the cycle apart. */
/* row: M16 M24 R14 */
TEST(cycles_through_containers_are_told)
{
    struct hall h;
    reeve_list *l = NULL;
    reeve_shared *v = NULL;
    reeve_ref list;

    hall_begin(&h);
    OK(reeve_list_open(&l, h.ctx, NULL, NULL));
    OK(reeve_shared_open(&v, h.ctx, NULL, 0, NULL));
    OK(reeve_list_append(l, to(reeve_shared_ref(v))));
    OK(reeve_shared_set(v, to(reeve_list_ref(l))));
    OK(reeve_dict_set(h.here, integer(1), to(reeve_list_ref(l))));
    list = reeve_list_ref(l);
    reeve_list_close(&l);
    reeve_shared_close(&v);
    CHECK(lost(h.ctx) == 0); /* the dict has a name */
    OK(reeve_list_open(&l, h.ctx, "way in", NULL));
    OK(reeve_list_append(l, to(reeve_list_ref(l)))); /* a cycle of one */
    reeve_list_close(&l);
    CHECK(lost(h.ctx) == 0);
    OK(reeve_remove(h.ctx, "way in", LONG));
    EVENTUALLY(LONG, objects(&h) == 3);
    OK(reeve_dict_del(h.here, integer(1)));
    CHECK(lost(h.ctx) == 2 && objects(&h) == 3);
    FAILS(REEVE_ENOENT, reeve_list_from(&l, h.ctx, list));
    hall_end(&h);
}

/* ---- 13: manager objects are slow ---- */

TEST(pain_13_many_values_are_few_messages)
{
    enum { PAIRS = 20000 };
    struct hall h;
    reeve_builder *all = reeve_builder_new();
    reeve_dict_iter *it = NULL;
    const reeve_value *key = NULL;
    const reeve_value *value = NULL;
    uint64_t before = 0;
    uint64_t calls = 0;
    uint32_t got = 0;

    hall_begin(&h);
    OK(reeve_put_map(all, PAIRS));
    for (int64_t i = 0; i < 2 * PAIRS; i++)
        OK(reeve_put_int(all, i / 2));
    before = lab_status(h.ctx, "commands");
    OK(reeve_dict_update(h.here, all));
    calls = lab_status(h.ctx, "commands") - before;
    CHECK(calls > 0 && calls < 30);
    OK(reeve_dict_items(&it, h.there));
    for (OK(reeve_dict_next(it, &key, &value)); key != NULL; OK(reeve_dict_next(it, &key, &value)))
        got++;
    CHECK(got == PAIRS);
    reeve_dict_iter_close(&it);
    CHECK(lab_status(h.ctx, "commands") - before < calls + 30); /* and questions are no commands */
    reeve_builder_free(&all);
    hall_end(&h);
}

/* ---- 14: some sizes take 40 ms ---- */

/* The best of some rounds, so that a busy machine does not matter: the stall there is one of every call. */
TEST(pain_14_no_size_stalls_over_tcp)
{
    static const size_t sizes[] = {100, 5000, 17000, 30000, 50000, 64000, 70000, 250000, 300000};
    enum { ROUNDS = 7, STALL_MS = 30 };
    struct hall h;
    char *bytes = calloc(1, 300000);
    reeve_builder *b = reeve_builder_new();

    hall_begin_at(&h, "tcp://127.0.0.1:0");
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        int64_t best = INT64_MAX;

        reeve_builder_reset(b);
        OK(reeve_put_bytes(b, bytes, sizes[i]));
        for (int round = 0; round < ROUNDS; round++) {
            int64_t at = lab_ms();
            reeve_value *v = NULL;

            OK(reeve_dict_set(h.here, integer(1), b));
            OK(reeve_dict_get(h.here, integer(1), &v));
            reeve_value_free(&v);
            best = lab_ms() - at < best ? lab_ms() - at : best;
        }
        if (best >= STALL_MS)
            fprintf(stderr, "%zu bytes took %lld ms\n", sizes[i], (long long)best);
        CHECK(best < STALL_MS);
    }
    reeve_builder_free(&b);
    free(bytes);
    hall_end(&h);
}

/* ---- 15: a connection for each thread ---- */

enum { STORM = 32, EACH = 50 };

static void *add_some(void *arg)
{
    struct hall *h = arg;

    for (int i = 0; i < EACH; i++)
        OK(reeve_dict_add_int(h->here, integer(1), 1, NULL));
    for (int i = 0; i < EACH; i++)
        OK(reeve_dict_add_int(h->there, integer(1), 1, NULL));
    return NULL;
}

static void *come_and_go(void *arg)
{
    struct hall *h = arg;
    reeve_context *ctx = lab_open(&h->lab, h->m.url);
    reeve_dict *d = NULL;

    OK(reeve_dict_open(&d, ctx, "hall", NULL));
    OK(reeve_dict_add_int(d, integer(2), 1, NULL));
    reeve_dict_close(&d);
    OK(reeve_close(&ctx));
    return NULL;
}

/* row: R02 R03 */
TEST(pain_15_threads_share_a_connection_and_a_storm_is_served)
{
    struct hall h;
    pthread_t threads[STORM];
    unsigned fds = 0;

    hall_begin(&h);
    fds = lab_fds();
    for (int i = 0; i < STORM; i++)
        threads[i] = lab_thread(add_some, &h);
    CHECK(lab_fds() <= fds + 1); /* the count opens one */
    CHECK(lab_status(h.ctx, "sessions") == 2);
    for (int i = 0; i < STORM; i++)
        lab_join(threads[i]);
    CHECK(get_int(h.here, integer(1)) == 2 * EACH * STORM);
    for (int i = 0; i < STORM; i++)
        threads[i] = lab_thread(come_and_go, &h);
    for (int i = 0; i < STORM; i++)
        lab_join(threads[i]);
    CHECK(get_int(h.here, integer(2)) == STORM);
    hall_end(&h);
}

/* ---- 16: a reference in flight points to nothing ---- */

static void give_and_wait(void *arg, int fd)
{
    struct hall *h = arg;
    reeve_context *ctx = NULL;
    reeve_dict *d = NULL;
    reeve_list *l = NULL;

    OK(reeve_open(&ctx, &(reeve_options){.url = h->m.url, .key = h->lab.key_path}));
    OK(reeve_dict_open(&d, ctx, "hall", NULL));
    OK(reeve_list_open(&l, ctx, NULL, NULL));
    OK(reeve_list_append(l, make("s", "from the dead")));
    OK(reeve_dict_set(d, make("s", "list"), to(reeve_list_ref(l))));
    lab_tell(fd);
    for (;;)
        pause();
}

static void expect_text(reeve_list *l, const char *wanted)
{
    reeve_value *v = NULL;
    const char *text = NULL;
    size_t len = 0;

    OK(reeve_list_get(l, 0, &v));
    CHECK(reeve_get_str(v, &text, &len) && len == strlen(wanted) && memcmp(text, wanted, len) == 0);
    reeve_value_free(&v);
}

/* row: R11 M29 */
TEST(pain_16_what_a_container_refers_to_outlives_who_gave_it)
{
    struct hall h;
    reeve_list *l = NULL;
    reeve_value *v = NULL;
    reeve_ref ref;
    reeve_ref late;
    int fd = -1;
    pid_t pid = 0;

    hall_begin(&h);
    pid = lab_process(give_and_wait, &h, &fd);
    CHECK(lab_hear(fd));
    lab_kill(pid);
    close(fd);
    EVENTUALLY(LONG, lab_status(h.ctx, "sessions") == 2);
    v = get_ref(h.here, make("s", "list"), &ref);
    OK(reeve_dict_clear(h.there));
    OK(reeve_list_from(&l, h.ctx, ref)); /* the value that came out has it */
    reeve_value_free(&v);
    expect_text(l, "from the dead");
    reeve_list_close(&l);
    OK(reeve_flush(h.ctx, LONG));
    for (int i = 0; i < 100; i++) { /* its number is nobody else's, ever */
        OK(reeve_list_open(&l, h.ctx, NULL, NULL));
        late = reeve_list_ref(l);
        CHECK(!reeve_ref_equal(ref, late));
        reeve_list_close(&l);
    }
    FAILS(REEVE_ENOENT, reeve_list_from(&l, h.ctx, ref));
    hall_end(&h);
}

/* ---- 17: nested proxies leak ---- */

TEST(pain_17_a_chain_of_containers_goes_as_one)
{
    enum { DEEP = 2000 };
    struct hall h;
    reeve_list *outer = NULL;
    reeve_list *inner = NULL;

    hall_begin(&h);
    OK(reeve_list_open(&inner, h.ctx, NULL, NULL));
    for (int i = 0; i < DEEP; i++) {
        OK(reeve_list_open(&outer, h.ctx, NULL, NULL));
        OK(reeve_list_append(outer, to(reeve_list_ref(inner))));
        reeve_list_close(&inner);
        inner = outer;
    }
    OK(reeve_dict_set(h.here, integer(1), to(reeve_list_ref(outer))));
    reeve_list_close(&outer);
    CHECK(objects(&h) == DEEP + 2);
    OK(reeve_dict_del(h.there, integer(1)));
    CHECK(objects(&h) == 1);
    hall_end(&h);
}

/* ---- 18 and 19: proxies of other processes, and of other keys ---- */

static void fill(void *arg, int fd)
{
    struct hall *h = arg;
    reeve_context *ctx = NULL;
    reeve_dict *d = NULL;
    reeve_dict *own = NULL;

    OK(reeve_open(&ctx, &(reeve_options){.url = h->m.url, .key = h->lab.key_path}));
    OK(reeve_dict_open(&d, ctx, "hall", NULL));
    OK(reeve_dict_open(&own, ctx, NULL, NULL));
    for (uint64_t i = 0; i < 500; i++)
        OK(reeve_dict_set(own, integer(i), integer(i)));
    OK(reeve_dict_set(d, integer(1), to(reeve_dict_ref(own))));
    reeve_dict_close(&own);
    reeve_dict_close(&d);
    OK(reeve_close(&ctx));
    lab_tell(fd);
}

/* Its maker has ended; who iterates has never heard of it. */
/* row: R13 R18 */
TEST(pain_18_what_another_process_made_is_iterated_here)
{
    struct hall h;
    reeve_dict *d = NULL;
    reeve_dict_iter *it = NULL;
    const reeve_value *key = NULL;
    const reeve_value *value = NULL;
    reeve_value *v = NULL;
    reeve_ref ref;
    uint64_t got = 0;
    int fd = -1;
    pid_t pid = 0;

    hall_begin(&h);
    pid = lab_process(fill, &h, &fd);
    CHECK(lab_hear(fd));
    close(fd);
    CHECK(lab_exit_code(pid) == 0);
    v = get_ref(h.here, integer(1), &ref);
    CHECK(strcmp(reeve_ref_type(ref), "dict") == 0);
    OK(reeve_dict_from(&d, h.ctx, ref));
    reeve_value_free(&v);
    OK(reeve_dict_items(&it, d));
    for (OK(reeve_dict_next(it, &key, &value)); key != NULL; OK(reeve_dict_next(it, &key, &value)))
        got++;
    CHECK(got == 500);
    reeve_dict_iter_close(&it);
    reeve_dict_close(&d);
    hall_end(&h);
}

/* row: R12 R14 */
TEST(pain_19_a_nested_proxy_needs_no_key_of_its_own)
{
    struct hall h;
    reeve_context *guest = NULL;
    reeve_dict *d = NULL;
    reeve_list *l = NULL;
    reeve_value *v = NULL;
    reeve_ref ref;

    hall_begin_at(&h, "tcp://127.0.0.1:0"); /* by ipc, nobody needs a key */
    OK(reeve_list_open(&l, h.ctx, NULL, NULL));
    OK(reeve_list_append(l, make("s", "of another key")));
    OK(reeve_dict_set(h.here, integer(1), to(reeve_list_ref(l))));
    reeve_list_close(&l);
    OK(reeve_open(&guest, &(reeve_options){.url = h.m.url, .key = h.guest}));
    OK(reeve_dict_open(&d, guest, "hall", NULL));
    v = get_ref(d, integer(1), &ref);
    OK(reeve_list_from(&l, guest, ref));
    reeve_value_free(&v);
    expect_text(l, "of another key");
    OK(reeve_list_append(l, to(reeve_dict_ref(d)))); /* and the other way round */
    reeve_list_close(&l);
    reeve_dict_close(&d);
    OK(reeve_close(&guest));
    hall_end(&h);
}

/* ---- 21: a client never recovers ---- */

/* A manager without a log forgets, and says so at once, in waits, too; the process goes on with a new context. */
TEST(pain_21_a_new_manager_makes_containers_stale_not_silent)
{
    struct hall h;
    reeve_list *l = NULL;
    uint64_t version = 0;
    int64_t at = 0;

    hall_begin(&h);
    OK(reeve_list_open(&l, h.ctx, NULL, NULL));
    OK(reeve_list_append(l, integer(1)));
    FAILS(REEVE_OK, reeve_list_wait(l, &version, 0)); /* it has one */
    manager_kill(&h.m);
    at = lab_ms();
    manager_start_ipc(&h.m, &h.lab);
    FAILS(REEVE_ESTALE, reeve_list_wait(l, &version, REEVE_FOREVER));
    FAILS(REEVE_ESTALE, reeve_dict_set(h.there, integer(1), integer(1)));
    CHECK(lab_ms() - at < 5000);
    reeve_list_close(&l);
    reeve_dict_close(&h.here);
    reeve_dict_close(&h.there);
    FAILS(REEVE_ESTALE, reeve_close(&h.ctx));
    FAILS(REEVE_ESTALE, reeve_close(&h.other));
    h.ctx = lab_open(&h.lab, h.m.url);
    OK(reeve_dict_open(&h.here, h.ctx, "hall", NULL));
    OK(reeve_dict_set(h.here, integer(1), integer(1)));
    reeve_dict_close(&h.here);
    OK(reeve_close(&h.ctx));
    manager_kill(&h.m);
    lab_end(&h.lab);
}

static void *add_one(void *arg)
{
    struct hall *h = arg;

    OK(reeve_dict_add_int(h->here, integer(1), 1, NULL));
    return NULL;
}

/* What was called meanwhile takes effect once, and no handle is the worse for it. */
TEST(pain_21_a_manager_that_stood_still_is_found_again)
{
    struct hall h;
    pthread_t thread;

    hall_begin(&h);
    OK(reeve_dict_set(h.here, integer(1), integer(1)));
    CHECK(kill(h.m.pid, SIGSTOP) == 0);
    thread = lab_thread(add_one, &h);
    FAILS(REEVE_ETIME, reeve_ping(h.ctx, 50));
    CHECK(kill(h.m.pid, SIGCONT) == 0);
    lab_join(thread);
    CHECK(get_int(h.there, integer(1)) == 2);
    hall_end(&h);
}

/* ---- 22: errors without a trace ---- */

/* row: R07 */
TEST(pain_22_an_error_says_what_of_which_object_and_why)
{
    struct hall h;
    reeve_value *v = NULL;
    reeve_list *l = NULL;
    reeve_batch *b = NULL;
    size_t failed = 0;

    hall_begin(&h);
    FAILS(REEVE_EKEY, reeve_dict_get(h.here, make("s", "none"), &v));
    SAYS("hall");
    SAYS("there is no such key");
    OK(reeve_list_open(&l, h.ctx, "rows", NULL));
    FAILS(REEVE_EINDEX, reeve_list_set(l, 7, integer(1)));
    SAYS("rows");
    SAYS("there is no such index");
    b = reeve_batch_new(h.ctx);
    OK(reeve_batch_list_append(b, l, integer(1)));
    OK(reeve_batch_dict_del(b, h.here, make("s", "none")));
    FAILS(REEVE_EKEY, reeve_batch_run(b, &failed));
    SAYS("there is no such key (call 1, of ");
    SAYS("hall");
    CHECK(failed == 1);
    reeve_batch_free(&b);
    reeve_list_close(&l);
    hall_end(&h);
}

/* ---- 23: nested plain values do not propagate, += is not atomic ---- */

static void *add_inside(void *arg)
{
    struct hall *h = arg;

    for (int i = 0; i < EACH; i++) {
        OK(reeve_dict_add_at(i % 2 == 0 ? h->here : h->there, make("s", "job"), make("(s)", "done"),
                             integer(1), NULL));
        OK(reeve_dict_append_at(h->here, make("s", "job"), make("(s)", "log"), integer(1)));
    }
    return NULL;
}

/* row: R15 */
TEST(pain_23_changes_inside_a_value_are_everybodys_and_none_is_lost)
{
    enum { THREADS = 8 };
    struct hall h;
    pthread_t threads[THREADS];
    reeve_value *v = NULL;
    int64_t x = 0;
    bool done = false;

    hall_begin(&h);
    OK(reeve_dict_set(h.here, make("s", "job"), make("{sis()}", "done", INT64_C(0), "log")));
    for (int i = 0; i < THREADS; i++)
        threads[i] = lab_thread(add_inside, &h);
    for (int i = 0; i < THREADS; i++)
        lab_join(threads[i]);
    OK(reeve_dict_get(h.there, make("s", "job"), &v));
    CHECK(reeve_get_int(reeve_value_find(v, "done"), &x) && x == EACH * THREADS);
    CHECK(reeve_value_len(reeve_value_find(v, "log")) == EACH * THREADS);
    reeve_value_free(&v);
    OK(reeve_dict_set(h.here, integer(1), integer(1)));
    OK(reeve_dict_cas(h.here, integer(1), integer(2), integer(3), &done, NULL));
    CHECK(!done);
    hall_end(&h);
}
