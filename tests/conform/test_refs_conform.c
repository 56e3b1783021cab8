/* References. In multiprocessing a proxy on its way keeps nothing, and what a dead process had stays. */

#include "tests/conform/conform.h"

#include <string.h>
#include <unistd.h>

enum { LONG = 30000 };

static void put_ref(reeve_queue *q, reeve_ref ref)
{
    reeve_builder *b = reeve_builder_new();

    OK(reeve_put_map(b, 1));
    OK(reeve_put_str(b, "answer to"));
    OK(reeve_put_ref(b, ref));
    OK(reeve_queue_put(q, b, LONG));
    OK(reeve_queue_flush(q, LONG));
    reeve_builder_free(&b);
}

static reeve_value *get_ref(reeve_queue *q, reeve_ref *ref)
{
    reeve_value *v = NULL;

    OK(reeve_queue_get(&v, q, LONG));
    CHECK(reeve_get_ref(reeve_value_find(v, "answer to"), ref));
    return v;
}

/* Is the object there? */
static bool lives(reeve_context *ctx, reeve_ref ref)
{
    reeve_value *rows = NULL;
    bool found = false;

    OK(reeve_debug_info(&rows, ctx, LONG));
    for (size_t i = 0; i < reeve_value_len(rows) && !found; i++) {
        uint64_t object = 0;

        CHECK(reeve_get_uint(reeve_value_find(reeve_value_at(rows, i), "object"), &object));
        found = object == ref.object;
    }
    reeve_value_free(&rows);
    return found;
}

static void answer_one(reeve_context *ctx, struct stage *s, int fd)
{
    reeve_queue *requests = NULL;
    reeve_queue *answers = NULL;
    reeve_value *v = NULL;
    reeve_ref ref;

    OK(reeve_queue_open(&requests, ctx, s->names[0], NULL));
    v = get_ref(requests, &ref);
    OK(reeve_queue_from(&answers, ctx, ref));
    reeve_value_free(&v);
    OK(reeve_queue_put_str(answers, "here", LONG));
    reeve_queue_close(&answers);
    reeve_queue_close(&requests);
    lab_tell(fd);
}

/* row: R11 R13 */
TEST(who_gets_a_reference_uses_an_object_without_a_name)
{
    struct stage s;
    struct party p;
    reeve_queue *requests = NULL;
    reeve_queue *answers = NULL;
    reeve_value *v = NULL;
    reeve_ref ref;

    stage_begin(&s);
    OK(reeve_queue_open(&requests, s.ctx, stage_name(&s, 0), NULL));
    OK(reeve_queue_open(&answers, s.ctx, NULL, NULL));
    ref = reeve_queue_ref(answers);
    put_ref(requests, ref);
    party_begin(&p, &s, answer_one);
    OK(reeve_queue_get(&v, answers, LONG));
    reeve_value_free(&v);
    party_end(&p);
    CHECK(lives(s.ctx, ref));
    reeve_queue_close(&answers);
    EVENTUALLY(LONG, !lives(s.ctx, ref));
    reeve_queue_close(&requests);
    OK(reeve_remove(s.ctx, s.names[0], LONG));
    stage_end(&s);
}

static void take_and_stay(reeve_context *ctx, struct stage *s, int fd)
{
    reeve_queue *requests = NULL;
    reeve_value *v = NULL;
    reeve_ref ref;

    OK(reeve_queue_open(&requests, ctx, s->names[0], NULL));
    v = get_ref(requests, &ref);
    OK(reeve_ping(ctx, LONG)); /* the manager knows that it has it */
    lab_tell(fd);
    for (;;)
        pause();
    reeve_value_free(&v);
}

/* row: R08 R11 R14 M29 */
TEST(object_lives_by_its_item_and_then_by_who_took_that)
{
    struct stage s;
    struct party p;
    reeve_queue *requests = NULL;
    reeve_queue *outer = NULL;
    reeve_queue *inner = NULL;
    reeve_ref outer_ref;
    reeve_ref inner_ref;

    stage_begin(&s);
    OK(reeve_queue_open(&requests, s.ctx, stage_name(&s, 0), NULL));
    OK(reeve_queue_open(&outer, s.ctx, NULL, NULL));
    OK(reeve_queue_open(&inner, s.ctx, NULL, NULL));
    outer_ref = reeve_queue_ref(outer);
    inner_ref = reeve_queue_ref(inner);
    put_ref(outer, inner_ref);
    put_ref(requests, outer_ref);
    reeve_queue_close(&outer);
    reeve_queue_close(&inner);
    CHECK(lives(s.ctx, outer_ref) && lives(s.ctx, inner_ref));
    party_begin(&p, &s, take_and_stay);
    CHECK(party_hears(&p));
    CHECK(lives(s.ctx, outer_ref) && lives(s.ctx, inner_ref));
    party_kill(&p);
    EVENTUALLY(LONG, !lives(s.ctx, outer_ref) && !lives(s.ctx, inner_ref));
    reeve_queue_close(&requests);
    OK(reeve_remove(s.ctx, s.names[0], LONG));
    stage_end(&s);
}

/* row: R15 */
TEST(what_is_no_reference_is_a_copy)
{
    struct stage s;
    reeve_queue *q = NULL;
    reeve_builder *b = reeve_builder_new();
    reeve_value *first = NULL;
    reeve_value *second = NULL;
    int64_t x = 0;

    stage_begin(&s);
    OK(reeve_queue_open(&q, s.ctx, NULL, NULL));
    OK(reeve_pack(b, "(i)", INT64_C(1)));
    OK(reeve_queue_put(q, b, LONG));
    reeve_builder_reset(b);
    OK(reeve_pack(b, "(i)", INT64_C(2))); /* what was put is not this */
    OK(reeve_queue_get(&first, q, LONG));
    reeve_builder_reset(b);
    OK(reeve_put_value(b, first));
    OK(reeve_queue_put(q, b, LONG));
    OK(reeve_queue_get(&second, q, LONG));
    reeve_value_free(&first);
    CHECK(reeve_get_int(reeve_value_at(second, 0), &x) && x == 1);
    reeve_value_free(&second);
    reeve_builder_free(&b);
    reeve_queue_close(&q);
    stage_end(&s);
}

/* So many times the queue, in an array. */
static reeve_builder *times(reeve_ref ref, uint32_t count)
{
    reeve_builder *b = reeve_builder_new();

    OK(reeve_put_array(b, count));
    for (uint32_t i = 0; i < count; i++)
        OK(reeve_put_ref(b, ref));
    return b;
}

/* row: R11 */
TEST(value_that_refers_to_an_object_several_times_is_cut)
{
    enum { TIMES = 5 };
    struct stage s;
    reeve_queue *q = NULL;
    reeve_dict *d = NULL;
    reeve_list *l = NULL;
    reeve_builder *b = NULL;
    reeve_value *v = NULL;
    reeve_ref ref;
    reeve_ref got;

    stage_begin(&s);
    OK(reeve_queue_open(&q, s.ctx, NULL, NULL));
    OK(reeve_dict_open(&d, s.ctx, NULL, NULL));
    OK(reeve_list_open(&l, s.ctx, NULL, NULL));
    ref = reeve_queue_ref(q);
    b = times(ref, TIMES);
    OK(reeve_dict_set(d, integer(1), b));
    OK(reeve_list_append(l, b));
    reeve_builder_free(&b);
    OK(reeve_dict_get_at(d, integer(1), make("(i)", INT64_C(0)), &v));
    CHECK(reeve_get_ref(v, &got) && got.object == ref.object);
    reeve_value_free(&v);
    OK(reeve_list_get_at(l, 0, make("(i)", INT64_C(-1)), &v));
    CHECK(reeve_get_ref(v, &got) && got.object == ref.object);
    reeve_value_free(&v);
    for (int i = 1; i < TIMES; i++) {
        OK(reeve_dict_del_at(d, integer(1), make("(i)", INT64_C(0))));
        OK(reeve_list_del_at(l, 0, make("(i)", INT64_C(0))));
    }
    OK(reeve_dict_get(d, integer(1), &v));
    CHECK(reeve_value_len(v) == 1 && reeve_get_ref(reeve_value_at(v, 0), &got));
    reeve_value_free(&v);
    OK(reeve_list_get(l, 0, &v));
    CHECK(reeve_value_len(v) == 1 && reeve_get_ref(reeve_value_at(v, 0), &got));
    reeve_value_free(&v);
    reeve_queue_close(&q);
    CHECK(lives(s.ctx, ref));
    OK(reeve_dict_del_at(d, integer(1), make("(i)", INT64_C(0))));
    CHECK(lives(s.ctx, ref));
    OK(reeve_list_del_at(l, 0, make("(i)", INT64_C(0))));
    EVENTUALLY(LONG, !lives(s.ctx, ref)); /* what was handed out was handed back, too */
    reeve_list_close(&l);
    reeve_dict_close(&d);
    stage_end(&s);
}

/* One that came with a change and could not be counted would be gone one day, and the value refer to nothing. */
TEST(value_does_not_grow_beyond_the_references_that_are_counted)
{
    enum { MOST = 255 };
    struct stage s;
    reeve_event *events[MOST + 1] = {NULL};
    reeve_dict *d = NULL;
    reeve_builder *b = reeve_builder_new();
    reeve_value *v = NULL;

    stage_begin(&s);
    OK(reeve_dict_open(&d, s.ctx, NULL, NULL));
    for (int i = 0; i <= MOST; i++)
        OK(reeve_event_open(&events[i], s.ctx, NULL, NULL));
    OK(reeve_put_array(b, MOST));
    for (int i = 0; i < MOST; i++)
        OK(reeve_put_ref(b, reeve_event_ref(events[i])));
    OK(reeve_dict_set(d, integer(1), b));
    reeve_builder_reset(b);
    OK(reeve_put_ref(b, reeve_event_ref(events[MOST])));
    FAILS(REEVE_ETOOBIG, reeve_dict_append_at(d, integer(1), NULL, b));
    OK(reeve_dict_del_at(d, integer(1), make("(i)", INT64_C(7))));
    OK(reeve_dict_append_at(d, integer(1), NULL, b));
    OK(reeve_dict_get(d, integer(1), &v));
    CHECK(reeve_value_len(v) == MOST);
    reeve_value_free(&v);
    for (int i = 0; i <= MOST; i++)
        reeve_event_close(&events[i]);
    reeve_builder_free(&b);
    reeve_dict_close(&d);
    stage_end(&s);
}
