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
