/* A few bytes of one client that ask for very much: what each costs the manager, and so all others, is bounded. */

#define HASH_NONFATAL_OOM 1 /* headers of both roles meet here */
#include "server/core/box.h"
#include "tests/lib/check.h"
#include "tests/lib/sim_box.h"

static uint64_t open_object(struct sim *s, int client, const struct rv_object_open_args *open)
{
    struct rv_buf args = {0};
    struct rv_buf result = {0};
    struct rv_object_open_result opened = {0};

    rv_object_open_args_encode(&args, open);
    CHECK(sim_ask(s, client, RV_OP_object_open, 0, &args, &result) == REEVE_OK);
    CHECK(rv_object_open_result_decode(&opened, rv_buf_slice(&result)));
    rv_buf_free(&result);
    return opened.object;
}

/* ---- queues ---- */

enum { ROUND = RV_LIMIT_PUT_ITEMS, ROUNDS = 64 };

static const struct rv_object_open_args joinable = {
    .name = {(const uint8_t *)"q", 1}, .create = 1, .kind = RV_KIND_QUEUE, .joinable = 1};

/* All are the book's item 0. */
static void put(struct sim *s, uint64_t queue, uint32_t count)
{
    struct rv_buf items = {0};
    struct rv_buf args = {0};

    for (uint32_t i = 0; i < count; i++)
        rv_item_write(&items, &(struct rv_item){.len = 8, .bytes = {(const uint8_t[8]){0}, 8}});
    rv_queue_put_args_encode(&args,
                             &(struct rv_queue_put_args){.items = {count, rv_buf_slice(&items)}});
    rv_buf_free(&items);
    CHECK(sim_ask(s, 1, RV_OP_queue_put, queue, &args, NULL) == REEVE_OK);
}

/* It has them in its hands. */
static void take(struct sim *s, int client, uint64_t queue, uint64_t *seen, uint32_t count)
{
    struct rv_buf args = {0};
    struct rv_buf result = {0};
    struct rv_queue_get_result got;

    rv_queue_get_args_encode(&args, &(struct rv_queue_get_args){count, *seen, 0, 0});
    CHECK(sim_ask(s, client, RV_OP_queue_get, queue, &args, &result) == REEVE_OK);
    CHECK(rv_queue_get_result_decode(&got, rv_buf_slice(&result)) && got.items.count == count);
    rv_buf_free(&result);
    *seen += count;
    rv_queue_take_args_encode(&args, &(struct rv_queue_take_args){*seen, 0, 0});
    CHECK(rv_link_say(&s->clients[client].link, RV_OP_queue_take, queue, rv_buf_slice(&args)));
    rv_buf_free(&args);
}

static uint64_t size_of(struct sim *s, uint64_t queue)
{
    struct rv_buf none = {0};
    struct rv_buf result = {0};
    struct rv_queue_size_result size = {0};

    CHECK(sim_ask(s, 1, RV_OP_queue_size, queue, &none, &result) == REEVE_OK);
    CHECK(rv_queue_size_result_decode(&size, rv_buf_slice(&result)));
    rv_buf_free(&result);
    return size.size;
}

/* Items of two consumers, by turns, come back one consumer after the other: the place of each is near
 * that of the one before it, however many there are. */
TEST(many_items_of_two_consumers_that_go_are_soon_back)
{
    struct sim s;
    uint64_t q = 0;
    uint64_t seen[2] = {0};

    sim_start(&s, 3);
    CHECK(sim_open(&s, 1, "other", NULL) == REEVE_OK);
    sim_put(&s, 1, "a");
    for (int c = 1; c <= 3; c++)
        q = open_object(&s, c, &joinable);
    for (int i = 0; i < ROUNDS; i++)
        put(&s, q, ROUND);
    for (int i = 0; i < ROUNDS; i++)
        take(&s, 2 + i % 2, q, &seen[i % 2], ROUND);
    sim_run(&s, 10);
    CHECK(size_of(&s, q) == 0);
    for (int c = 2; c <= 3; c++) {
        CHECK(rv_link_say(&s.clients[c].link, RV_OP_object_close, q, rv_slice(NULL, 0)));
        sim_client_pump(&s, &s.clients[c]);
        sim_run(&s, 10);
    }
    CHECK(size_of(&s, q) == (uint64_t)ROUND * ROUNDS);
    sim_stop(&s);
}

/* In whatever order they are done: the newest first, and then those that are left. */
TEST(items_may_be_done_in_any_order)
{
    static const uint64_t order[] = {7, 1, 6, 3, 5, 2, 4};
    struct sim s;
    uint64_t q = 0;
    uint64_t seen = 0;

    sim_start(&s, 1);
    CHECK(sim_open(&s, 1, "other", NULL) == REEVE_OK);
    sim_put(&s, 1, "a");
    q = open_object(&s, 1, &joinable);
    put(&s, q, 7);
    take(&s, 1, q, &seen, 7);
    for (size_t i = 0; i < rv_countof(order); i++)
        for (int again = 0; again < 2; again++) {
            struct rv_buf args = {0};

            rv_queue_done_args_encode(&args, &(struct rv_queue_done_args){.delivery = order[i]});
            CHECK(sim_ask(&s, 1, RV_OP_queue_done, q, &args, NULL) ==
                  (again ? REEVE_ETOOMANY : REEVE_OK));
        }
    sim_stop(&s);
}

/* ---- batches ---- */

static void add_call(struct rv_buf *calls, uint16_t op, uint64_t object, struct rv_slice args)
{
    size_t start = calls->len;

    rv_write_number(calls, 0, 4);
    rv_batch_call_encode(calls, &(struct rv_batch_call){.op = op, .object = object, .args = args});
    rv_set_number(calls->data + start, calls->len - start - 4, 4);
}

/* What a batch makes is kept until its end, so that it can be taken back: a list of a million values, again and
 * again, would be all of the manager's memory. */
TEST(batch_that_makes_too_much_is_refused_and_has_not_been)
{
    struct sim s;
    struct rv_buf times = {0};
    struct rv_buf rest = {0};
    struct rv_buf calls = {0};
    struct rv_buf args = {0};
    struct rv_buf result = {0};
    struct rv_batch_result done = {0};
    struct model_act one = {.op = RV_OP_list_insert, .len = 1};
    int l = 0;

    sim_start(&s, 1);
    l = sim_box(&s, &(struct model_box){.name = "l", .kind = RV_KIND_LIST});
    CHECK(sim_box_open(&s, 1, l, RV_DURABLE_SYNC) == REEVE_OK);
    one.box = (uint8_t)l;
    sim_box_call(&s, 1, one);
    sim_run(&s, 10);
    rv_list_repeat_args_encode(&times,
                               &(struct rv_list_repeat_args){.times = RV_LIMIT_REPEAT_VALUES});
    rv_list_splice_args_encode(&rest,
                               &(struct rv_list_splice_args){.bounds = RV_BOUND_START, .start = 1});
    for (int i = 0; i < 100; i++) {
        uint64_t object = sim_box_object(&s, l)->id;

        add_call(&calls, RV_OP_list_repeat, object, rv_buf_slice(&times));
        add_call(&calls, RV_OP_list_reverse, object, rv_slice(NULL, 0));
        add_call(&calls, RV_OP_list_splice, object, rv_buf_slice(&rest));
    }
    rv_batch_args_encode(&args,
                         &(struct rv_batch_args){.count = 300, .calls = rv_buf_slice(&calls)});
    CHECK(sim_ask(&s, 1, RV_OP_batch, 0, &args, &result) == REEVE_ELIMIT);
    CHECK(rv_batch_result_decode(&done, rv_buf_slice(&result)));
    CHECK(done.done > 3 && done.done < 60);
    sim_mark(&s);
    sim_box_call(&s, 1, (struct model_act){.op = RV_OP_list_page, .box = (uint8_t)l});
    sim_expect(&s, "[    2] list_page.ok client=1 version=1 values=0\n");
    rv_buf_free(&times);
    rv_buf_free(&rest);
    rv_buf_free(&calls);
    rv_buf_free(&result);
    sim_stop(&s);
}

/* ---- answers ---- */

/* A client asks for a large value as often as it likes and takes in nothing. */
TEST(answers_that_nobody_takes_are_bounded)
{
    struct sim s;
    struct sim_client *c = NULL;
    struct model_act big = {.op = RV_OP_dict_set, .len = 2};
    struct rv_buf args = {0};
    int d = 0;
    size_t waits = 0;

    sim_start(&s, 1);
    c = &s.clients[1];
    d = sim_box(&s, &(struct model_box){.name = "d", .kind = RV_KIND_DICT});
    CHECK(sim_box_open(&s, 1, d, RV_DURABLE_SYNC) == REEVE_OK);
    big.box = (uint8_t)d;
    big.values[0] = model_int(1);
    big.values[1] = (struct model_val){.form = MODEL_BYTES, .n = 7, .len = 16000000};
    sim_box_call(&s, 1, big);
    sim_run(&s, 1000);
    rv_dict_fetch_args_encode(&args, &(struct rv_dict_fetch_args){.key = {(uint8_t[]){1}, 1}});
    for (int i = 0; i < 200; i++) {
        struct rv_request *call = rv_link_call(&c->link, RV_OP_dict_fetch, c->boxes[d], 10000,
                                               rv_buf_slice(&args), NULL, 0);

        CHECK(call != NULL);
        call->abandoned = true; /* nobody looks at it: it goes with its client */
    }
    rv_buf_free(&args);
    sim_client_pump(&s, c);
    sim_client_stop(&s, 1);
    sim_run(&s, 10);
    waits = rv_stream_bytes(session_out(mgr_session(s.server.mgr, c->link.session)));
    CHECK(waits > RV_LIMIT_UNTAKEN_BYTES);
    CHECK(waits < (size_t)RV_LIMIT_UNTAKEN_BYTES + RV_LIMIT_ITEM_BYTES + 100000);
    sim_stop(&s);
}

/* ---- semaphores ---- */

/* Who holds permits is remembered by thread: a client may say that it has as many threads as it likes. */
TEST(threads_that_hold_permits_are_bounded)
{
    struct sim s;
    struct rv_buf args = {0};
    struct rv_request *calls[RV_LIMIT_HOLDERS + 1];
    struct rv_link *link = NULL;
    uint64_t semaphore = 0;

    sim_start(&s, 1);
    link = &s.clients[1].link;
    semaphore =
        open_object(&s, 1,
                    &(struct rv_object_open_args){
                        .create = 1, .kind = RV_KIND_SEMAPHORE, .maxsize = RV_LIMIT_PERMITS});
    for (uint64_t i = 0; i <= RV_LIMIT_HOLDERS; i++) {
        rv_buf_clear(&args);
        rv_lock_acquire_args_encode(&args, &(struct rv_lock_acquire_args){i + 1, 0, 0});
        calls[i] =
            rv_link_call(link, RV_OP_lock_acquire, semaphore, 10000, rv_buf_slice(&args), NULL, 0);
        CHECK(calls[i] != NULL);
    }
    rv_buf_free(&args);
    sim_client_pump(&s, &s.clients[1]);
    sim_run(&s, 100);
    for (uint64_t i = 0; i <= RV_LIMIT_HOLDERS; i++) {
        CHECK(calls[i]->done);
        CHECK(calls[i]->error == (i < RV_LIMIT_HOLDERS ? REEVE_OK : REEVE_ELIMIT));
        rv_request_free(link, calls[i]);
    }
    /* One that has permits already gets more of them. */
    rv_lock_acquire_args_encode(&args, &(struct rv_lock_acquire_args){1, 0, 0});
    CHECK(sim_ask(&s, 1, RV_OP_lock_acquire, semaphore, &args, NULL) == REEVE_OK);
    sim_stop(&s);
}
