/* Rows Q01 to Q17, T01 and T02: normal use, misuse, contention, deaths, timeouts. */

#include "tests/conform/conform.h"

#include <pthread.h>
#include <string.h>

enum { LONG = 20000, SHORT = 100, MANY = 200 };

static int64_t next_int(reeve_queue *queue)
{
    int64_t x = -1;

    OK(lab_get_int(&x, queue, LONG));
    return x;
}

static void put_many(reeve_context *ctx, struct stage *s, int fd)
{
    reeve_queue *queue = lab_queue(ctx, s->names[0], NULL);

    for (int i = 0; i < MANY; i++)
        OK(lab_put_int(queue, i, LONG));
    lab_tell(fd);
    reeve_queue_close(&queue);
}

/* row: Q01 Q02 Q04 Q12 T01 */
TEST(queue_keeps_each_item_and_a_producers_order)
{
    struct stage s;
    struct party other;
    reeve_queue *queue = NULL;

    stage_begin(&s);
    queue = lab_queue(s.ctx, stage_name(&s, 0), NULL);
    party_begin(&other, &s, put_many);
    for (int i = 0; i < MANY; i++)
        CHECK(next_int(queue) == i);
    CHECK(party_hears(&other));
    party_end(&other);
    FAILS(REEVE_EEMPTY, reeve_queue_get(&(reeve_value *){NULL}, queue, 0));
    reeve_queue_close(&queue);
    stage_end(&s);
}

static void take_one(reeve_context *ctx, struct stage *s, int fd)
{
    reeve_queue *queue = lab_queue(ctx, s->names[0], &(reeve_queue_options){.maxsize = 2});

    lab_tell(fd);
    CHECK(next_int(queue) == 0);
    lab_tell(fd);
    reeve_queue_close(&queue);
}

/* row: Q02 Q05 Q06 Q07 */
TEST(bounded_queue_holds_its_bound_and_waits_for_room)
{
    struct stage s;
    struct party other;
    reeve_queue *queue = NULL;
    size_t size = 9;
    bool full = false;
    bool empty = false;

    stage_begin(&s);
    queue = lab_queue(s.ctx, stage_name(&s, 0), &(reeve_queue_options){.maxsize = 2});
    OK(reeve_queue_empty(queue, &empty));
    CHECK(empty);
    OK(lab_put_int(queue, 0, 0));
    OK(lab_put_int(queue, 1, 0));
    OK(reeve_queue_size(queue, &size));
    OK(reeve_queue_full(queue, &full));
    CHECK(size == 2 && full);
    FAILS(REEVE_EFULL, lab_put_int(queue, 2, 0));
    FAILS(REEVE_EFULL, lab_put_int(queue, 2, SHORT));
    party_begin(&other, &s, take_one);
    CHECK(party_hears(&other));
    OK(lab_put_int(queue, 2, LONG)); /* the other makes room */
    CHECK(party_hears(&other));
    party_end(&other);
    CHECK(next_int(queue) == 1 && next_int(queue) == 2);
    reeve_queue_close(&queue);
    stage_end(&s);
}

static void wait_and_die(reeve_context *ctx, struct stage *s, int fd)
{
    reeve_queue *queue = lab_queue(ctx, s->names[0], NULL);

    lab_tell(fd);
    (void)next_int(queue);
}

/* row: Q04 Q05 Q13 */
TEST(get_waits_for_its_time_and_the_dead_take_nothing)
{
    struct stage s;
    struct party other;
    struct party dead;
    reeve_queue *queue = NULL;
    int64_t began = 0;

    stage_begin(&s);
    queue = lab_queue(s.ctx, stage_name(&s, 0), NULL);
    FAILS(REEVE_EEMPTY, reeve_queue_get(&(reeve_value *){NULL}, queue, 0));
    began = lab_ms();
    FAILS(REEVE_EEMPTY, reeve_queue_get(&(reeve_value *){NULL}, queue, SHORT));
    CHECK(lab_ms() - began >= SHORT);
    party_begin(&dead, &s, wait_and_die); /* it is first in the row */
    CHECK(party_hears(&dead));
    EVENTUALLY(LONG, lab_listed(s.ctx, s.names[0], "getters") == 1);
    party_kill(&dead);
    EVENTUALLY(LONG, lab_listed(s.ctx, s.names[0], "getters") == 0);
    party_begin(&other, &s, put_many);
    for (int i = 0; i < MANY; i++)
        CHECK(next_int(queue) == i);
    party_end(&other);
    reeve_queue_close(&queue);
    stage_end(&s);
}

static void take_and_die(reeve_context *ctx, struct stage *s, int fd)
{
    reeve_queue *queue = lab_queue(ctx, s->names[0], &(reeve_queue_options){.joinable = true});

    CHECK(next_int(queue) == 0);
    lab_tell(fd);
    for (;;)
        lab_nap();
}

/* row: Q13 Q14 Q15 Q16 */
TEST(item_of_a_killed_worker_comes_back_and_join_waits_for_it)
{
    struct stage s;
    struct party other;
    reeve_queue *queue = NULL;
    reeve_value *item = NULL;
    int64_t x = -1;

    stage_begin(&s);
    queue = lab_queue(s.ctx, stage_name(&s, 0), &(reeve_queue_options){.joinable = true});
    OK(reeve_queue_join(queue, 0)); /* nothing was put */
    OK(lab_put_int(queue, 0, LONG));
    FAILS(REEVE_ETIME, reeve_queue_join(queue, SHORT));
    party_begin(&other, &s, take_and_die);
    CHECK(party_hears(&other));
    party_kill(&other);
    OK(reeve_queue_get(&item, queue, LONG));
    CHECK(reeve_get_int(item, &x) && x == 0 && reeve_value_deliveries(item) == 1);
    FAILS(REEVE_ETIME, reeve_queue_join(queue, SHORT));
    OK(reeve_queue_task_done(queue, item));
    FAILS(REEVE_ETOOMANY, reeve_queue_task_done(queue, item));
    FAILS(REEVE_ETOOMANY, reeve_queue_task_done(queue, NULL));
    OK(reeve_queue_join(queue, LONG));
    reeve_value_free(&item);
    reeve_queue_close(&queue);
    stage_end(&s);
}

/* row: Q11 */
TEST(queue_that_is_not_joinable_has_no_join)
{
    struct stage s;
    reeve_queue *queue = NULL;

    stage_begin(&s);
    queue = lab_queue(s.ctx, stage_name(&s, 0), NULL);
    FAILS(REEVE_ETYPE, reeve_queue_join(queue, LONG));
    FAILS(REEVE_ETYPE, reeve_queue_task_done(queue, NULL));
    reeve_queue_close(&queue);
    stage_end(&s);
}

static void wait_for_the_end(reeve_context *ctx, struct stage *s, int fd)
{
    reeve_queue *queue = lab_queue(ctx, s->names[0], NULL);

    lab_tell(fd);
    FAILS(REEVE_ESHUTDOWN, reeve_queue_get(&(reeve_value *){NULL}, queue, LONG));
    lab_tell(fd);
    reeve_queue_close(&queue);
}

/* row: Q11 T02 */
TEST(shutdown_wakes_who_waits_and_lets_the_rest_be_taken)
{
    struct stage s;
    struct party others[2];
    reeve_queue *queue = NULL;

    stage_begin(&s);
    queue = lab_queue(s.ctx, stage_name(&s, 0), NULL);
    for (int i = 0; i < 2; i++) {
        party_begin(&others[i], &s, wait_for_the_end);
        CHECK(party_hears(&others[i]));
    }
    EVENTUALLY(LONG, lab_listed(s.ctx, s.names[0], "getters") == 2);
    OK(reeve_queue_shutdown(queue, false, LONG));
    for (int i = 0; i < 2; i++) {
        CHECK(party_hears(&others[i]));
        party_end(&others[i]);
    }
    reeve_queue_close(&queue);
    queue = lab_queue(s.ctx, stage_name(&s, 1), NULL);
    OK(lab_put_int(queue, 1, LONG));
    OK(lab_put_int(queue, 2, LONG));
    OK(reeve_queue_shutdown(queue, false, LONG));
    OK(lab_put_int(queue, 3, LONG)); /* unbounded: refused later, and told then */
    FAILS(REEVE_ESHUTDOWN, reeve_queue_flush(queue, LONG));
    CHECK(next_int(queue) == 1);
    OK(reeve_queue_shutdown(queue, true, LONG));
    FAILS(REEVE_ESHUTDOWN, reeve_queue_get(&(reeve_value *){NULL}, queue, LONG));
    reeve_queue_close(&queue);
    stage_end(&s);
}

/* row: Q03 Q08 Q09 */
TEST(what_was_put_is_sent_before_the_end)
{
    struct stage s;
    reeve_queue *queue = NULL;
    reeve_builder *half = reeve_builder_new();

    stage_begin(&s);
    queue = lab_queue(s.ctx, stage_name(&s, 0), NULL);
    FAILS(REEVE_EINVAL, reeve_queue_put(queue, half, LONG)); /* no value: it fails here */
    FAILS(REEVE_EINVAL, reeve_queue_put_str(queue, "\xff", LONG));
    OK(lab_put_int(queue, 5, LONG));
    reeve_queue_close(&queue);
    reeve_queue_close(&queue); /* twice is fine */
    queue = lab_queue(s.ctx, s.names[0], NULL);
    CHECK(next_int(queue) == 5);
    OK(reeve_queue_flush(queue, LONG));
    reeve_queue_close(&queue);
    reeve_builder_free(&half);
    stage_end(&s);
}

/* row: Q01 Q17 */
TEST(order_and_bound_belong_to_the_queue)
{
    struct stage s;
    reeve_queue *queue = NULL;
    reeve_queue *other = NULL;
    reeve_builder *item = reeve_builder_new();

    stage_begin(&s);
    queue = lab_queue(s.ctx, stage_name(&s, 0), &(reeve_queue_options){.order = REEVE_LIFO});
    for (int i = 0; i < 3; i++)
        OK(lab_put_int(queue, i, LONG));
    OK(reeve_queue_flush(queue, LONG));
    for (int i = 2; i >= 0; i--)
        CHECK(next_int(queue) == i);
    FAILS(REEVE_EEXIST, reeve_queue_open(&other, s.ctx, s.names[0], NULL));
    reeve_queue_close(&queue);
    queue = lab_queue(s.ctx, stage_name(&s, 1), &(reeve_queue_options){.order = REEVE_PRIORITY});
    for (int i = 0; i < 4; i++) {
        reeve_builder_reset(item);
        OK(reeve_put_int(item, i));
        OK(reeve_queue_put_priority(queue, item, i % 2 == 0 ? 5 : -5, LONG));
    }
    OK(reeve_queue_flush(queue, LONG));
    CHECK(next_int(queue) == 1 && next_int(queue) == 3);
    CHECK(next_int(queue) == 0 && next_int(queue) == 2);
    reeve_queue_close(&queue);
    reeve_builder_free(&item);
    stage_end(&s);
}

static void compete(reeve_context *ctx, struct stage *s, int fd)
{
    reeve_queue *queue = lab_queue(ctx, s->names[0], NULL);
    reeve_queue *sums = lab_queue(ctx, s->names[1], NULL);
    int64_t sum = 0;
    int64_t x = 0;
    reeve_err err = REEVE_OK;

    lab_tell(fd);
    while ((err = lab_get_int(&x, queue, LONG)) == REEVE_OK)
        sum += x;
    CHECK(err == REEVE_ESHUTDOWN);
    OK(lab_put_int(sums, sum, LONG));
    reeve_queue_close(&queue);
    reeve_queue_close(&sums);
}

/* row: Q04 Q12 */
TEST(consumers_that_compete_get_each_item_once)
{
    struct stage s;
    struct party others[3];
    reeve_queue *queue = NULL;
    reeve_queue *sums = NULL;
    int64_t sum = 0;

    stage_begin(&s);
    queue = lab_queue(s.ctx, stage_name(&s, 0), NULL);
    sums = lab_queue(s.ctx, stage_name(&s, 1), NULL);
    for (int i = 0; i < 3; i++) {
        party_begin(&others[i], &s, compete);
        CHECK(party_hears(&others[i]));
    }
    for (int i = 1; i <= MANY; i++)
        OK(lab_put_int(queue, i, LONG));
    OK(reeve_queue_flush(queue, LONG));
    OK(reeve_queue_shutdown(queue, false, LONG));
    for (int i = 0; i < 3; i++)
        sum += next_int(sums);
    CHECK(sum == MANY * (MANY + 1) / 2);
    for (int i = 0; i < 3; i++)
        party_end(&others[i]);
    reeve_queue_close(&queue);
    reeve_queue_close(&sums);
    stage_end(&s);
}
