/* References between programs: objects in items of queues. */

#include "tests/shell/lab.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LONG = 30000 };

struct stage {
    struct lab lab;
    struct manager m;
    reeve_context *ctx, *other;
    reeve_queue *here, *there; /* the same queue, in two sessions */
};

static void stage_begin(struct stage *s)
{
    lab_begin(&s->lab);
    manager_start_ipc(&s->m, &s->lab);
    s->ctx = lab_open(&s->lab, s->m.url);
    s->other = lab_open(&s->lab, s->m.url);
    s->here = lab_queue(s->ctx, "requests", NULL);
    s->there = lab_queue(s->other, "requests", NULL);
}

static void stage_end(struct stage *s)
{
    reeve_queue_close(&s->here);
    reeve_queue_close(&s->there);
    OK(reeve_close(&s->ctx));
    OK(reeve_close(&s->other));
    manager_kill(&s->m);
    lab_end(&s->lab);
}

static reeve_err put_ref(reeve_queue *q, reeve_ref ref)
{
    reeve_builder *b = reeve_builder_new();
    reeve_err err = REEVE_OK;

    OK(reeve_put_array(b, 1));
    (void)reeve_put_ref(b, ref); /* its error sticks */
    err = reeve_queue_put(q, b, LONG);
    reeve_builder_free(&b);
    return err;
}

/* The item is the caller's; it keeps what ref names. */
static reeve_value *get_ref(reeve_queue *q, reeve_ref *ref)
{
    reeve_value *v = NULL;

    OK(reeve_queue_get(&v, q, LONG));
    CHECK(reeve_get_ref(reeve_value_at(v, 0), ref));
    return v;
}

static uint64_t objects(const struct stage *s)
{
    OK(reeve_ping(s->other, LONG)); /* what it has let go is told before */
    OK(reeve_flush(s->ctx, LONG));
    return lab_status(s->ctx, "objects");
}

/* row: R11 R13 */
TEST(queue_without_a_name_goes_to_another_session_in_an_item)
{
    struct stage s;
    reeve_queue *answers = NULL;
    reeve_queue *theirs = NULL;
    reeve_value *v = NULL;
    reeve_value *answer = NULL;
    reeve_ref ref;
    const char *text = NULL;
    size_t len = 0;

    stage_begin(&s);
    answers = lab_queue(s.ctx, NULL, NULL);
    OK(put_ref(s.here, reeve_queue_ref(answers)));
    v = get_ref(s.there, &ref);
    CHECK(strcmp(reeve_ref_type(ref), "Queue") == 0);
    CHECK(reeve_value_type(reeve_value_at(v, 0)) == REEVE_REF);
    OK(reeve_queue_from(&theirs, s.other, ref));
    reeve_value_free(&v);
    OK(reeve_queue_put_str(theirs, "done", LONG));
    reeve_queue_close(&theirs);
    OK(reeve_queue_get(&answer, answers, LONG));
    CHECK(reeve_get_str(answer, &text, &len) && len == 4 && memcmp(text, "done", 4) == 0);
    reeve_value_free(&answer);
    reeve_queue_close(&answers);
    EVENTUALLY(LONG, objects(&s) == 1);
    stage_end(&s);
}

/* multiprocessing fails with KeyError here. */
/* row: R11 R08 */
TEST(sender_may_close_before_the_item_is_taken)
{
    struct stage s;
    reeve_queue *q = NULL;
    reeve_value *v = NULL;
    reeve_ref ref;
    int64_t x = 0;

    stage_begin(&s);
    q = lab_queue(s.ctx, NULL, NULL);
    OK(lab_put_int(q, 42, LONG));
    OK(put_ref(s.here, reeve_queue_ref(q)));
    reeve_queue_close(&q);
    CHECK(objects(&s) == 2);
    v = get_ref(s.there, &ref);
    OK(reeve_queue_from(&q, s.other, ref));
    OK(lab_get_int(&x, q, LONG));
    CHECK(x == 42);
    /* The value keeps it without a handle, and then nothing does. */
    reeve_queue_close(&q);
    CHECK(objects(&s) == 2);
    OK(reeve_queue_from(&q, s.other, ref));
    reeve_queue_close(&q);
    reeve_value_free(&v);
    EVENTUALLY(LONG, objects(&s) == 1);
    FAILS(REEVE_ENOENT, reeve_queue_from(&q, s.other, ref));
    CHECK(q == NULL);
    stage_end(&s);
}

/* row: R14 */
TEST(references_nest)
{
    struct stage s;
    reeve_queue *outer = NULL;
    reeve_queue *inner = NULL;
    reeve_value *v = NULL;
    reeve_value *w = NULL;
    reeve_ref ref;
    int64_t x = 0;

    stage_begin(&s);
    outer = lab_queue(s.ctx, NULL, NULL);
    inner = lab_queue(s.ctx, NULL, NULL);
    OK(lab_put_int(inner, 7, LONG));
    OK(put_ref(outer, reeve_queue_ref(inner)));
    OK(put_ref(s.here, reeve_queue_ref(outer)));
    reeve_queue_close(&outer);
    reeve_queue_close(&inner);
    CHECK(objects(&s) == 3);
    v = get_ref(s.there, &ref);
    OK(reeve_queue_from(&outer, s.other, ref));
    reeve_value_free(&v);
    w = get_ref(outer, &ref);
    OK(reeve_queue_from(&inner, s.other, ref));
    reeve_value_free(&w);
    OK(lab_get_int(&x, inner, LONG));
    CHECK(x == 7);
    reeve_queue_close(&outer);
    reeve_queue_close(&inner);
    EVENTUALLY(LONG, objects(&s) == 1);
    stage_end(&s);
}

/* row: R13 R05 R06 */
TEST(each_kind_of_object_can_be_referred_to)
{
    struct stage s;
    reeve_lock *lock = NULL;
    reeve_semaphore *semaphore = NULL;
    reeve_condition *condition = NULL;
    reeve_event *event = NULL;
    reeve_barrier *barrier = NULL;
    reeve_ref refs[5];
    static const char *const types[] = {"RLock", "Semaphore", "Condition", "Event", "Barrier"};
    reeve_value *kept[5];
    reeve_queue *q = NULL;
    bool yes = false;

    stage_begin(&s);
    OK(reeve_lock_open(&lock, s.ctx, NULL, &(reeve_lock_options){.recursive = true}));
    OK(reeve_semaphore_open(&semaphore, s.ctx, NULL, 2, NULL));
    OK(reeve_condition_open(&condition, s.ctx, NULL, NULL));
    OK(reeve_event_open(&event, s.ctx, NULL, NULL));
    OK(reeve_barrier_open(&barrier, s.ctx, NULL, 1, NULL));
    OK(reeve_event_set(event));
    OK(put_ref(s.here, reeve_lock_ref(lock)));
    OK(put_ref(s.here, reeve_semaphore_ref(semaphore)));
    OK(put_ref(s.here, reeve_condition_ref(condition)));
    OK(put_ref(s.here, reeve_event_ref(event)));
    OK(put_ref(s.here, reeve_barrier_ref(barrier)));
    reeve_lock_close(&lock);
    reeve_semaphore_close(&semaphore);
    reeve_condition_close(&condition);
    reeve_event_close(&event);
    reeve_barrier_close(&barrier);
    for (size_t i = 0; i < 5; i++) {
        kept[i] = get_ref(s.there, &refs[i]);
        CHECK(strcmp(reeve_ref_type(refs[i]), types[i]) == 0);
        FAILS(REEVE_ETYPE, reeve_queue_from(&q, s.other, refs[i]));
        SAYS(types[i]);
        CHECK(reeve_ref_equal(refs[i], refs[0]) == (i == 0));
    }
    OK(reeve_lock_from(&lock, s.other, refs[0]));
    OK(reeve_semaphore_from(&semaphore, s.other, refs[1]));
    OK(reeve_condition_from(&condition, s.other, refs[2]));
    OK(reeve_event_from(&event, s.other, refs[3]));
    OK(reeve_barrier_from(&barrier, s.other, refs[4]));
    for (size_t i = 0; i < 5; i++)
        reeve_value_free(&kept[i]);
    OK(reeve_lock_acquire(lock, LONG));
    OK(reeve_lock_acquire(lock, LONG));
    OK(reeve_lock_release(lock));
    OK(reeve_lock_release(lock));
    OK(reeve_semaphore_acquire(semaphore, LONG));
    OK(reeve_semaphore_release(semaphore));
    OK(reeve_condition_acquire(condition, LONG));
    OK(reeve_condition_release(condition));
    OK(reeve_event_is_set(event, &yes));
    CHECK(yes);
    reeve_lock_close(&lock);
    reeve_semaphore_close(&semaphore);
    reeve_condition_close(&condition);
    reeve_event_close(&event);
    reeve_barrier_close(&barrier);
    EVENTUALLY(LONG, objects(&s) == 1);
    stage_end(&s);
}

/* row: R08 M22 */
TEST(references_of_a_closed_session_are_gone)
{
    struct stage s;
    reeve_queue *q = NULL;
    reeve_value *v = NULL;
    reeve_ref ref;

    stage_begin(&s);
    q = lab_queue(s.ctx, NULL, NULL);
    OK(put_ref(s.here, reeve_queue_ref(q)));
    reeve_queue_close(&q);
    v = get_ref(s.there, &ref);
    CHECK(objects(&s) == 2);
    reeve_queue_close(&s.there);
    OK(reeve_close(&s.other));
    EVENTUALLY(LONG, lab_status(s.ctx, "objects") == 1);
    reeve_value_free(&v); /* after its context */
    stage_end(&s);
}

TEST(reference_to_what_is_not_held_is_refused)
{
    struct stage s;
    struct manager elsewhere;
    reeve_context *far = NULL;
    reeve_queue *q = NULL;
    reeve_queue *bounded = NULL;
    reeve_builder *b = reeve_builder_new();
    reeve_ref ref;
    reeve_ref gone;
    char bind[160];

    stage_begin(&s);
    snprintf(bind, sizeof bind, "ipc://%s/other.sock", s.lab.dir);
    manager_start(&elsewhere, &s.lab, bind);
    far = lab_open(&s.lab, elsewhere.url);
    q = lab_queue(far, NULL, NULL);
    ref = reeve_queue_ref(q);
    FAILS(REEVE_EINVAL, put_ref(s.here, ref));
    SAYS("another manager");
    FAILS(REEVE_EINVAL, put_ref(s.here, reeve_queue_ref(NULL)));
    OK(put_ref(q, ref));
    FAILS(REEVE_ESTALE, reeve_queue_from(&bounded, s.ctx, ref));
    reeve_queue_close(&q);
    OK(reeve_put_array(b, 2));
    OK(reeve_put_ref(b, ref));
    FAILS(REEVE_EINVAL, reeve_put_ref(b, reeve_queue_ref(s.here)));
    reeve_builder_free(&b);
    OK(reeve_close(&far));
    manager_kill(&elsewhere);

    q = lab_queue(s.ctx, NULL, NULL);
    gone = reeve_queue_ref(q);
    reeve_queue_close(&q);
    bounded = lab_queue(s.ctx, "bounded", &(reeve_queue_options){.maxsize = 1});
    FAILS(REEVE_ENOENT, put_ref(bounded, gone));
    SAYS("does not hold");
    OK(put_ref(s.here, gone));
    FAILS(REEVE_ENOENT, reeve_queue_flush(s.here, LONG));
    reeve_queue_close(&bounded);
    stage_end(&s);
}

static bool truth(const reeve_value *map, const char *key)
{
    bool yes = false;

    CHECK(reeve_get_bool(reeve_value_find(map, key), &yes));
    return yes;
}

/* row: M16 M24 */
TEST(cycle_is_shown_by_debug_info)
{
    struct stage s;
    reeve_queue *q = NULL;
    reeve_value *v = NULL;
    uint64_t n = 0;

    stage_begin(&s);
    q = lab_queue(s.ctx, NULL, NULL);
    OK(put_ref(q, reeve_queue_ref(q)));
    OK(reeve_flush(s.ctx, LONG));
    OK(reeve_debug_info(&v, s.ctx, LONG));
    CHECK(reeve_value_len(v) == 2);
    CHECK(!truth(reeve_value_at(v, 0), "lost") && !truth(reeve_value_at(v, 1), "lost"));
    CHECK(reeve_get_uint(reeve_value_find(reeve_value_at(v, 1), "nested"), &n) && n == 1);
    reeve_value_free(&v);
    reeve_queue_close(&q);
    OK(reeve_flush(s.ctx, LONG));
    OK(reeve_debug_info(&v, s.ctx, LONG));
    CHECK(reeve_value_len(v) == 2);
    CHECK(!truth(reeve_value_at(v, 0), "lost") && truth(reeve_value_at(v, 1), "lost"));
    reeve_value_free(&v);
    stage_end(&s);
}

/* REFS_CREATED=1000000 REFS_NESTED=100000 for the long run. */
/* row: R08 R14 */
TEST(objects_and_references_leave_nothing_behind)
{
    uint64_t created = lab_rounds("REFS_CREATED", 3000);
    uint64_t nested = lab_rounds("REFS_NESTED", 1000);
    struct stage s;
    uint64_t before = 0;
    uint64_t after = 0;

    stage_begin(&s);
    for (uint64_t i = 0; i < created + created / 10; i++) {
        reeve_queue *q = lab_queue(s.ctx, NULL, NULL);

        reeve_queue_close(&q);
        if (i == created / 10)
            before = lab_resident(s.m.pid);
    }
    for (uint64_t i = 0; i < nested + nested / 10; i++) {
        reeve_queue *q = lab_queue(s.ctx, NULL, NULL);
        reeve_value *v = NULL;
        reeve_ref ref;

        OK(put_ref(s.here, reeve_queue_ref(q)));
        reeve_queue_close(&q);
        v = get_ref(s.there, &ref);
        OK(reeve_queue_from(&q, s.other, ref));
        reeve_value_free(&v);
        reeve_queue_close(&q);
    }
    after = lab_resident(s.m.pid);
    EVENTUALLY(LONG, objects(&s) == 1);
    printf("  %llu created, %llu nested: %llu KiB before, %llu after\n",
           (unsigned long long)created, (unsigned long long)nested, (unsigned long long)before,
           (unsigned long long)after);
#ifndef __SANITIZE_ADDRESS__ /* it keeps what was freed */
    CHECK(after < before + 1024 + (created + nested) / 1000);
#endif
    stage_end(&s);
}
