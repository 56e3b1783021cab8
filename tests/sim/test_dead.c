/* Items that come back too often, and items that wait before they come again. */

#include "tests/lib/check.h"
#include "tests/lib/sim.h"

#include <stdio.h>

static void start(struct sim *s, int clients, const struct sim_options *options)
{
    sim_start(s, clients);
    for (int c = 1; c <= clients; c++)
        CHECK(sim_open(s, c, "jobs", options) == REEVE_OK);
}

/* The client takes the item and dies with it. */
static void die_with_it(struct sim *s, int client)
{
    sim_get(s, client, UINT32_MAX);
    sim_run(s, 5);
    sim_client_kill(s, client, SIM_DEATH_GONE);
    sim_run(s, 5);
}

TEST(item_that_kills_its_consumers_becomes_a_dead_letter)
{
    struct sim s;

    start(&s, 3, &(struct sim_options){.joinable = true, .deliveries = 2});
    CHECK(sim_open(&s, 1, "jobs.dead", &(struct sim_options){.create = SIM_MUST_EXIST}) ==
          REEVE_ENOENT);
    sim_put(&s, 1, "a");
    die_with_it(&s, 2);
    sim_expect(&s, "[    2] get.ok client=2 item=a\n"
                   "[    5] client.crash client=2\n"
                   "[    6] session.end session=2 reason=\"lost\"\n");
    die_with_it(&s, 3);
    sim_expect(&s, "[   12] get.ok client=3 item=a deliveries=1\n"
                   "[   15] client.crash client=3\n"
                   "[   16] session.end session=3 reason=\"lost\"\n"
                   "[   16] object.create object=2 name=\"jobs.dead\" maxsize=0 by=0\n"
                   "[   16] item.dead number=1 object=1 deliveries=2 to=2\n");
    /* Nobody waits for it any more. */
    sim_join(&s, 1, 100);
    sim_expect(&s, "[   22] join.ok client=1\n");
    sim_get(&s, 1, 0);
    sim_expect(&s, "[   24] get.fail client=1 error=EEMPTY\n");
    sim_stop(&s);
}

TEST(dead_letter_is_an_item_like_others_for_who_asks_for_it)
{
    struct sim s;

    start(&s, 2, &(struct sim_options){.joinable = true, .deliveries = 1});
    sim_put(&s, 1, "a");
    die_with_it(&s, 2);
    CHECK(sim_open(&s, 1, "jobs.dead", NULL) == REEVE_OK);
    sim_get_on(&s, 1, 1, 100);
    sim_expect(&s, "[    2] get.ok client=1 item=a deliveries=1\n");
    sim_stop(&s);
}

TEST(requeued_letter_begins_anew)
{
    struct sim s;

    start(&s, 3, &(struct sim_options){.joinable = true, .deliveries = 1});
    sim_put(&s, 1, "a");
    die_with_it(&s, 2);
    sim_mark(&s);
    sim_requeue(&s, 1, "jobs");
    sim_expect(&s, "[    1] item.requeue number=1 object=1\n"
                   "[    2] requeue.ok client=1 moved=1 left=0\n");
    sim_get(&s, 3, 100);
    sim_expect(&s, "[    4] get.ok client=3 item=a\n");
    sim_done(&s, 3, "a");
    sim_join(&s, 1, 100);
    sim_expect(&s, "[    6] join.ok client=1\n");
    sim_stop(&s);
}

TEST(closed_handle_counts_as_a_delivery_and_goodbye_does)
{
    struct sim s;

    start(&s, 2, &(struct sim_options){.joinable = true, .deliveries = 2});
    sim_put(&s, 1, "a");
    sim_get(&s, 2, UINT32_MAX);
    sim_run(&s, 5);
    sim_queue_close(&s, 2, 0);
    sim_run(&s, 5);
    CHECK(sim_open(&s, 2, "jobs", NULL) == REEVE_EEXIST);
    CHECK(sim_open(&s, 2, "jobs", &(struct sim_options){.joinable = true}) == REEVE_OK);
    sim_get_on(&s, 2, 0, UINT32_MAX);
    sim_expect(&s, "[    2] get.ok client=2 item=a deliveries=1\n");
    sim_client_goodbye(&s, 2);
    sim_expect(&s, "[    3] object.create object=2 name=\"jobs.dead\" maxsize=0 by=0\n"
                   "[    3] item.dead number=1 object=1 deliveries=2 to=2\n"
                   "[    3] session.end session=2 reason=\"goodbye\"\n");
    sim_stop(&s);
}

TEST(item_that_came_back_waits_twice_as_long_each_time)
{
    struct sim s;

    start(&s, 4, &(struct sim_options){.joinable = true, .retry_ms = 1000, .retry_max_ms = 1500});
    sim_put(&s, 1, "a");
    die_with_it(&s, 2);
    sim_expect(&s, "[    2] get.ok client=2 item=a\n"
                   "[    5] client.crash client=2\n"
                   "[    6] session.end session=2 reason=\"lost\"\n");
    sim_get(&s, 3, 500);
    sim_expect(&s, "[  512] get.fail client=3 error=EEMPTY\n");
    sim_get(&s, 3, UINT32_MAX);
    sim_expect(&s, "[ 1007] get.ok client=3 item=a deliveries=1\n");
    sim_client_kill(&s, 3, SIM_DEATH_GONE);
    sim_expect(&s, "[ 1007] client.crash client=3\n"
                   "[ 1008] session.end session=3 reason=\"lost\"\n");
    /* Twice a second is more than the longest pause. */
    sim_get(&s, 4, UINT32_MAX);
    sim_expect(&s, "[ 2509] get.ok client=4 item=a deliveries=2\n");
    sim_stop(&s);
}

TEST(shutdown_does_not_wait_for_what_waits)
{
    struct sim s;

    start(&s, 3, &(struct sim_options){.joinable = true, .retry_ms = 60000});
    sim_put(&s, 1, "a");
    die_with_it(&s, 2);
    sim_mark(&s);
    sim_get(&s, 3, UINT32_MAX);
    sim_shutdown(&s, 1, false);
    sim_expect(&s, "[    1] queue.shutdown object=1 immediate=0 by=1\n"
                   "[    2] get.ok client=3 item=a deliveries=1\n"
                   "[    2] shutdown.ok client=1\n");
    sim_stop(&s);
}

TEST(dead_letters_and_pauses_survive_a_crash_of_the_manager)
{
    struct sim s;

    start(&s, 3, &(struct sim_options){.joinable = true, .deliveries = 2, .retry_ms = 1000});
    sim_put(&s, 1, "a");
    die_with_it(&s, 2);
    sim_server_crash(&s, false);
    sim_server_restart(&s);
    sim_run(&s, 200);
    sim_mark(&s);
    sim_get(&s, 3, UINT32_MAX);
    sim_expect(&s, "[  797] get.ok client=3 item=a deliveries=1\n");
    sim_client_kill(&s, 3, SIM_DEATH_GONE);
    sim_run(&s, 5);
    sim_server_crash(&s, false);
    sim_server_restart(&s);
    sim_run(&s, 200);
    sim_mark(&s);
    sim_requeue(&s, 1, "jobs.dead");
    sim_expect(&s, "[    1] item.requeue number=1 object=1\n"
                   "[    2] requeue.ok client=1 moved=1 left=0\n");
    sim_stop(&s);
}

TEST(dead_letter_needs_a_place_that_takes_it)
{
    struct sim s;

    sim_start(&s, 2);
    CHECK(sim_open(&s, 1, "small", &(struct sim_options){.maxsize = 1}) == REEVE_OK);
    CHECK(sim_open(&s, 1, "jobs", &(struct sim_options){.deliveries = 1}) == REEVE_EINVAL);
    CHECK(sim_open(&s, 1, "jobs",
                   &(struct sim_options){.joinable = true, .deliveries = 1, .dead = "small"}) ==
          REEVE_EINVAL);
    CHECK(sim_open(&s, 1, "jobs",
                   &(struct sim_options){.joinable = true, .deliveries = 1, .dead = "jobs"}) ==
          REEVE_EINVAL);
    /* And a key that may put there. */
    sim_principal(&s, "client", "open,put,get:jobs");
    CHECK(sim_open(&s, 1, "jobs", &(struct sim_options){.joinable = true, .deliveries = 1}) ==
          REEVE_EINVAL);
    sim_principal(&s, "client", "open,put,get:jobs*");
    CHECK(sim_open(&s, 1, "jobs", &(struct sim_options){.joinable = true, .deliveries = 1}) ==
          REEVE_OK);
    sim_stop(&s);
}

/* ---- asked by hand ---- */

static reeve_err requeue(struct sim *s, int client, const char *name, uint64_t number,
                         struct rv_dead_requeue_result *out)
{
    struct rv_buf args = {0};
    struct rv_buf result = {0};
    reeve_err err = REEVE_OK;

    rv_dead_requeue_args_encode(
        &args, &(struct rv_dead_requeue_args){.name = rv_slice_str(name), .number = number});
    err = sim_ask(s, client, RV_OP_dead_requeue, 0, &args, &result);
    *out = (struct rv_dead_requeue_result){0};
    if (result.len > 0)
        CHECK(rv_dead_requeue_result_decode(out, rv_buf_slice(&result)));
    rv_buf_free(&result);
    return err;
}

/* How many letters one answer shows behind that number, of which bytes are asked for; the last one. */
static reeve_err list(struct sim *s, int client, const char *name, uint64_t after, uint32_t bytes,
                      uint32_t *count, uint64_t *last)
{
    struct rv_buf args = {0};
    struct rv_buf result = {0};
    struct rv_object_list_result page = {0};
    struct rv_reader r;
    reeve_err err = REEVE_OK;

    rv_dead_list_args_encode(
        &args,
        &(struct rv_dead_list_args){.name = rv_slice_str(name), .after = after, .bytes = bytes});
    err = sim_ask(s, client, RV_OP_dead_list, 0, &args, &result);
    if (result.len > 0)
        CHECK(rv_object_list_result_decode(&page, rv_buf_slice(&result)));
    r = rv_reader(page.rows);
    *count = page.count;
    for (uint32_t i = 0; i < page.count; i++) {
        struct rv_slice bytes_of;
        struct rv_dead_row row;

        CHECK(rv_row_next(&r, &bytes_of) && rv_dead_row_decode(&row, bytes_of));
        CHECK(row.number > *last && row.bytes.len <= bytes);
        *last = row.number;
    }
    rv_buf_free(&result);
    return err;
}

TEST(dead_letters_are_for_those_who_may_get_them)
{
    struct sim s;
    struct rv_dead_requeue_result moved;
    uint32_t count = 0;
    uint64_t last = 0;

    start(&s, 2, &(struct sim_options){.joinable = true, .deliveries = 1});
    sim_put(&s, 1, "a");
    die_with_it(&s, 2);
    CHECK(list(&s, 1, "nobody", 0, 9, &count, &last) == REEVE_ENOENT);
    CHECK(requeue(&s, 1, "nobody", 0, &moved) == REEVE_ENOENT);
    CHECK(requeue(&s, 1, "jobs", 2, &moved) == REEVE_ENOENT && moved.moved + moved.left == 0);
    sim_principal(&s, "client", "open,put:* get:jobs");
    CHECK(list(&s, 1, "jobs", 0, 9, &count, &last) == REEVE_EPERM);
    CHECK(requeue(&s, 1, "jobs", 0, &moved) == REEVE_EPERM);
    /* Who may take the letters, but not put them back. */
    sim_principal(&s, "client", "open,get:*");
    CHECK(requeue(&s, 1, "jobs", 0, &moved) == REEVE_EPERM && moved.left == 1);
    sim_principal(&s, "admin", "");
    CHECK(list(&s, 1, "jobs", 0, 9, &count, &last) == REEVE_OK && count == 1 && last == 1);
    CHECK(requeue(&s, 1, "jobs", 1, &moved) == REEVE_OK && moved.moved == 1);
    CHECK(requeue(&s, 1, "jobs", 1, &moved) == REEVE_ENOENT);
    sim_stop(&s);
}

TEST(letter_of_a_queue_that_is_gone_stays)
{
    struct sim s;
    struct rv_dead_requeue_result moved;
    struct rv_buf args = {0};
    struct rv_buf result = {0};

    start(&s, 2, &(struct sim_options){.joinable = true, .deliveries = 1});
    sim_put(&s, 1, "a");
    die_with_it(&s, 2);
    rv_object_remove_args_encode(&args,
                                 &(struct rv_object_remove_args){.name = rv_slice_str("jobs")});
    CHECK(sim_ask(&s, 1, RV_OP_object_remove, 0, &args, &result) == REEVE_OK);
    rv_buf_free(&result);
    CHECK(sim_open(&s, 1, "jobs", &(struct sim_options){.create = SIM_MUST_EXIST}) == REEVE_ENOENT);
    CHECK(requeue(&s, 1, "jobs.dead", 0, &moved) == REEVE_ENOENT);
    CHECK(moved.moved == 0 && moved.left == 1);
    sim_stop(&s);
}

/* More than fit into one answer, in queues of each order. */
static void many(enum rv_order order)
{
    enum { LETTERS = RV_LIMIT_DEAD_ROWS + 5 };
    struct sim s;
    struct rv_dead_requeue_result moved;
    uint32_t count = 0;
    uint32_t all = 0;
    uint64_t last = 0;

    sim_start(&s, 2);
    CHECK(sim_open(&s, 2, "d", &(struct sim_options){.order = order}) == REEVE_OK);
    for (int c = 1; c <= 2; c++)
        CHECK(sim_open(&s, c, "jobs",
                       &(struct sim_options){.joinable = true, .deliveries = 1, .dead = "d"}) ==
              REEVE_OK);
    for (int i = 0; i < LETTERS; i++) {
        char text[16];

        snprintf(text, sizeof text, "%d", i);
        sim_put(&s, 1, text);
        sim_run(&s, 2);
    }
    for (int i = 0; i < LETTERS; i++)
        sim_get_on(&s, 2, 1, UINT32_MAX);
    sim_run(&s, 50);
    sim_client_kill(&s, 2, SIM_DEATH_GONE);
    sim_run(&s, 50);
    do {
        CHECK(list(&s, 1, "d", last, 2, &count, &last) == REEVE_OK);
        CHECK(count <= RV_LIMIT_DEAD_ROWS);
        all += count;
    } while (count > 0);
    CHECK(all == LETTERS);
    CHECK(requeue(&s, 1, "d", 0, &moved) == REEVE_OK && moved.moved == RV_LIMIT_DEAD_ROWS);
    CHECK(requeue(&s, 1, "jobs", 0, &moved) == REEVE_OK);
    CHECK(moved.moved == LETTERS - RV_LIMIT_DEAD_ROWS && moved.left == 0);
    sim_stop(&s);
}

TEST(many_dead_letters_are_shown_and_moved_in_pages)
{
    many(RV_ORDER_FIFO);
    many(RV_ORDER_LIFO);
    many(RV_ORDER_PRIORITY);
}
