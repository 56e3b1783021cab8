/* Queues that are told or asked what no client of ours says, and dead letters in odd places. */

#include "tests/lib/sim_raw.h"

#include <stdio.h>

enum { LONG = UINT32_MAX, PUTTER = 1, GETTER = 2 };

/* All items of these stories are the book's item 0, of so many bytes; it counts nothing of them. */
static void start(struct sim *s, int clients)
{
    sim_start(s, clients);
    sim_principal(s, "admin", "");
    CHECK(sim_open(s, 1, "of the book", NULL) == REEVE_OK);
    sim_put(s, 1, "a");
    sim_run(s, 10);
}

static struct rv_object_open_args queue(const char *name, uint32_t deliveries, const char *dead)
{
    return (struct rv_object_open_args){.kind = RV_KIND_QUEUE,
                                        .name = rv_slice_str(name),
                                        .joinable = deliveries > 0,
                                        .deliveries = deliveries,
                                        .dead = rv_slice_str(dead)};
}

static uint64_t opened(struct sim *s, int client, struct rv_object_open_args args)
{
    return raw_open(s, client, &args);
}

/* An item behind the others, of that priority. */
static void put(struct sim *s, uint64_t q, uint32_t len, int64_t priority)
{
    static const uint8_t bytes[RV_LIMIT_ITEM_INLINE_BYTES];
    struct rv_buf items = {0};

    rv_item_write(
        &items, &(struct rv_item){.len = len, .priority = priority, .bytes = rv_slice(bytes, len)});
    RAW(s, PUTTER, REEVE_OK, queue_put, q, .items = {1, rv_buf_slice(&items)});
    rv_buf_free(&items);
}

static void put_many(struct sim *s, uint64_t q, uint32_t count, uint32_t len)
{
    for (uint32_t i = 0; i < count; i++)
        put(s, q, len, 0);
}

/* Get so many, and have them in hand. Returns the number of the first delivery. */
static uint64_t take(struct sim *s, int client, uint64_t q, uint64_t seen, uint32_t count)
{
    struct rv_queue_get_result got = {0};

    for (uint32_t done = 0; done < count; done += got.items.count) {
        RAW_FOR(s, client, &got, queue_get, q, .max = count - done, .seen = seen + done);
        CHECK(got.items.count > 0);
    }
    RAW_SAID(s, client, 0, queue_take, q, .taken = seen + count);
    return seen + 1;
}

static struct rv_queue_size_result size_of(struct sim *s, uint64_t q)
{
    struct rv_buf none = {0};
    struct rv_buf result = {0};
    struct rv_queue_size_result size = {0};

    CHECK(sim_ask(s, 1, RV_OP_queue_size, q, &none, &result) == REEVE_OK);
    CHECK(rv_queue_size_result_decode(&size, rv_buf_slice(&result)));
    rv_buf_free(&result);
    return size;
}

/* Of dead letters. */
struct letters {
    uint32_t count;
    uint64_t first, last;
    uint32_t deliveries, past, bytes; /* of the first */
    uint64_t age_ms;
};

static struct letters letters_of(struct sim *s, const char *name, uint32_t bytes)
{
    struct rv_buf args = {0};
    struct rv_buf result = {0};
    struct rv_object_list_result list = {0};
    struct letters l = {0};
    struct rv_reader r;
    struct rv_slice row;

    rv_dead_list_args_encode(
        &args, &(struct rv_dead_list_args){.name = rv_slice_str(name), .bytes = bytes});
    CHECK(sim_ask(s, 1, RV_OP_dead_list, 0, &args, &result) == REEVE_OK);
    CHECK(rv_object_list_result_decode(&list, rv_buf_slice(&result)));
    for (r = rv_reader(list.rows); rv_row_next(&r, &row); l.count++) {
        struct rv_dead_row dead;
        struct rv_reader past;
        struct rv_slice one;

        CHECK(rv_dead_row_decode(&dead, row));
        l.last = dead.number;
        if (l.count > 0)
            continue;
        l.first = dead.number;
        l.deliveries = dead.deliveries;
        l.bytes = (uint32_t)dead.bytes.len;
        l.age_ms = dead.age_ms;
        for (past = rv_reader(dead.past); rv_row_next(&past, &one);)
            l.past++;
    }
    rv_buf_free(&result);
    return l;
}

/* So many of the queue's items are delivered once, and not finished. */
static void fail(struct sim *s, const struct rv_object_open_args *args, uint32_t count)
{
    uint64_t q = opened(s, GETTER, *args);

    (void)take(s, GETTER, q, 0, count);
    RAW_SAID(s, GETTER, 0, object_close, q, .end_ = 0);
}

static struct rv_dead_requeue_result requeue(struct sim *s, const char *name, uint64_t number,
                                             reeve_err error)
{
    struct rv_buf args = {0};
    struct rv_buf result = {0};
    struct rv_dead_requeue_result got = {0};

    rv_dead_requeue_args_encode(
        &args, &(struct rv_dead_requeue_args){.name = rv_slice_str(name), .number = number});
    CHECK(sim_ask(s, 1, RV_OP_dead_requeue, 0, &args, &result) == error);
    CHECK(result.len == 0 || rv_dead_requeue_result_decode(&got, rv_buf_slice(&result)));
    rv_buf_free(&result);
    return got;
}

/* ---- what a queue is ---- */

TEST(queue_that_cannot_be_is_not_opened)
{
    static char longest[RV_LIMIT_NAME_BYTES + 1];
    static char too_long[RV_LIMIT_NAME_BYTES + 2];
    struct sim s;
    size_t objects = 0;

    start(&s, 1);
    memset(longest, 'x', sizeof longest - 1);
    memset(too_long, 'x', sizeof too_long - 1);
    (void)opened(&s, 1,
                 (struct rv_object_open_args){.kind = RV_KIND_LOCK, .name = rv_slice_str("lock")});
    (void)opened(&s, 1,
                 (struct rv_object_open_args){
                     .kind = RV_KIND_QUEUE, .name = rv_slice_str("bounded"), .maxsize = 1});
    (void)opened(&s, 1, queue("over", 0, ""));
    RAW(&s, 1, REEVE_OK, queue_shutdown, opened(&s, 1, queue("over", 0, "")), .immediate = 0);
    objects = mgr_objects(s.server.mgr);
#define ODD(error, ...)                                                                            \
    RAW(&s, 1, error, object_open, 0, .create = 1, .kind = RV_KIND_QUEUE, __VA_ARGS__)
    ODD(REEVE_EINVAL, .order = RV_ORDER_PRIORITY + 1);
    ODD(REEVE_EINVAL, .durable = RV_DURABLE_SYNC + 1);
    ODD(REEVE_EINVAL, .name = rv_slice_str("q"), .dead = rv_slice_str("d"));
    ODD(REEVE_EINVAL, .name = rv_slice_str("q"), .deliveries = 1);
    ODD(REEVE_EINVAL, .joinable = 1, .deliveries = 1);
    ODD(REEVE_EINVAL, .name = rv_slice_str(longest), .joinable = 1, .deliveries = 1);
    ODD(REEVE_EINVAL, .name = rv_slice_str("q"), .joinable = 1, .deliveries = 1,
        .dead = rv_slice_str("q"));
    ODD(REEVE_EINVAL, .joinable = 1, .deliveries = 1, .dead = rv_slice_str("lock"));
    ODD(REEVE_EINVAL, .joinable = 1, .deliveries = 1, .dead = rv_slice_str("bounded"));
    ODD(REEVE_EINVAL, .joinable = 1, .deliveries = 1, .dead = rv_slice_str("over"));
    RAW(&s, 1, REEVE_EINVAL, object_open, 0, .create = 1, .kind = 0);
    RAW(&s, 1, REEVE_EINVAL, object_open, 0, .create = 1, .kind = 200);
    RAW(&s, 1, REEVE_EINVAL, object_open, 0, .create = 1, .kind = RV_KIND_JOB);
    RAW(&s, 1, REEVE_EINVAL, object_open, 0, .create = 3, .kind = RV_KIND_QUEUE);
    CHECK(mgr_objects(s.server.mgr) == objects);
    ODD(REEVE_OK, .joinable = 1, .deliveries = 1, .dead = rv_slice_str("d"));
    ODD(REEVE_ELIMIT, .name = rv_slice_str(too_long));
#undef ODD
    sim_stop(&s);
}

/* What is said of an existing one must be as it is; what is not said may be anything. */
TEST(open_of_an_existing_queue_says_what_it_is)
{
    struct sim s;

    start(&s, 1);
#define OPEN(error, ...)                                                                           \
    RAW(&s, 1, error, object_open, 0, .create = 1, .kind = RV_KIND_QUEUE,                          \
        .name = rv_slice_str("q"), .joinable = 1, __VA_ARGS__)
    OPEN(REEVE_OK, .deliveries = 3, .dead = rv_slice_str("d"), .retry_ms = 50, .retry_max_ms = 10);
    OPEN(REEVE_OK, .deliveries = 0);
    OPEN(REEVE_OK, .deliveries = 3, .dead = rv_slice_str("d"), .retry_ms = 50, .retry_max_ms = 50);
    OPEN(REEVE_EEXIST, .deliveries = 4);
    OPEN(REEVE_EEXIST, .dead = rv_slice_str("e"));
    OPEN(REEVE_EEXIST, .retry_ms = 51);
    OPEN(REEVE_EEXIST, .retry_max_ms = 10); /* the longest pause is not below the first */
#undef OPEN
    RAW(&s, 1, REEVE_OK, object_open, 0, .create = 1, .kind = RV_KIND_QUEUE,
        .name = rv_slice_str("plain"));
    RAW(&s, 1, REEVE_EEXIST, object_open, 0, .create = 1, .kind = RV_KIND_QUEUE,
        .name = rv_slice_str("plain"), .dead = rv_slice_str("d"));
    sim_stop(&s);
}

/* ---- what is said of its items ---- */

TEST(queue_hears_of_items_that_it_delivered)
{
    struct sim s;
    uint64_t q = 0;
    uint64_t first = 0;

    start(&s, 2);
    q = opened(&s, PUTTER, queue("q", 5, "d"));
    CHECK(opened(&s, GETTER, queue("q", 5, "d")) == q);
    put_many(&s, q, 7, 8);
    RAW_SAID(&s, GETTER, 1, queue_take, q, .taken = 0); /* it has got nothing yet */
    RAW_SAID(&s, GETTER, 1, queue_return, q, .taken = 0);
    RAW_SAID(&s, GETTER, 1, queue_task_done, q, .delivery = 1);
    first = take(&s, GETTER, q, 0, 7);
    RAW_SAID(&s, GETTER, 1, queue_take, q, .taken = first + 7);
    RAW_SAID(&s, GETTER, 1, queue_return, q, .taken = first + 7);
    RAW_SAID(&s, GETTER, 1, queue_return, q, .upto = first + 7);
    RAW_SAID(&s, GETTER, 0, queue_return, q, .recall = 99); /* there was none: nothing is changed */
    RAW(&s, GETTER, REEVE_OK, queue_done, q, .delivery = first + 5);
    RAW(&s, GETTER, REEVE_ETOOMANY, queue_done, q, .delivery = first + 5);
    RAW(&s, GETTER, REEVE_OK, queue_done, q, .delivery = first + 1);
    RAW(&s, GETTER, REEVE_ETOOMANY, queue_done, q, .delivery = first + 1);
    RAW(&s, GETTER, REEVE_ETOOMANY, queue_done, q, .delivery = 0);
    CHECK(size_of(&s, q).unfinished == 5 && size_of(&s, q).size == 0);
    RAW(&s, PUTTER, REEVE_ETYPE, queue_join, opened(&s, PUTTER, queue("plain", 0, "")), .end_ = 0);
    RAW(&s, PUTTER, REEVE_ETYPE, lock_release, q, .thread = 1);
    sim_stop(&s);
}

/* However much is asked for, an answer has its bounds. */
TEST(get_of_very_much_is_bounded)
{
    enum { ITEMS = RV_LIMIT_PUT_ITEMS + 100 };
    static const uint8_t bytes[8];
    struct sim s;
    struct rv_buf items = {0};
    struct rv_queue_get_result got = {0};
    uint64_t q = 0;

    start(&s, 2);
    s.unchecked = true;
    q = opened(&s, PUTTER, queue("q", 0, ""));
    CHECK(opened(&s, GETTER, queue("q", 0, "")) == q);
    for (int half = 0; half < 2; half++) {
        rv_buf_clear(&items);
        for (int i = 0; i < ITEMS / 2; i++)
            rv_item_write(&items, &(struct rv_item){.len = 8, .bytes = rv_slice(bytes, 8)});
        RAW(&s, PUTTER, REEVE_OK, queue_put, q, .items = {ITEMS / 2, rv_buf_slice(&items)});
    }
    RAW_FOR(&s, GETTER, &got, queue_get, q, .max = UINT32_MAX, .credit = UINT32_MAX);
    CHECK(got.first == 1 && got.items.count == RV_LIMIT_PUT_ITEMS);
    RAW_FOR(&s, GETTER, &got, queue_get, q, .max = 0, .seen = got.items.count);
    CHECK(got.items.count == 1);
    rv_buf_free(&items);
    sim_stop(&s);
}

/* Eight megabytes that nobody has asked for yet are the most. */
TEST(grant_of_large_items_is_bounded)
{
    enum { INLINE = 60000, MANY = 200 };
    struct sim s;
    struct rv_queue_get_result got = {0};
    uint64_t q = 0;
    uint64_t size = 0;

    start(&s, 2);
    q = opened(&s, PUTTER, queue("q", 0, ""));
    CHECK(opened(&s, GETTER, queue("q", 0, "")) == q);
    put_many(&s, q, MANY, INLINE);
    RAW_FOR(&s, GETTER, &got, queue_get, q, .max = 1, .credit = 10);
    CHECK(got.items.count >= 1 && got.items.count < 10); /* as much as a message holds */
    RAW_SAID(&s, GETTER, 0, queue_take, q, .taken = 1, .credit = UINT32_MAX);
    sim_run(&s, 1000);
    size = size_of(&s, q).size;
    CHECK(size == MANY - 1);
    RAW_FOR(&s, GETTER, &got, queue_get, q, .max = 1,
            .seen = 0); /* what is on its way it is told */
    CHECK(got.items.count == 0);
    CHECK((got.first - 1) * INLINE > RV_LIMIT_CREDIT_BYTES - 2 * INLINE);
    CHECK((got.first - 1) * INLINE < RV_LIMIT_CREDIT_BYTES + 3 * INLINE);
    sim_stop(&s);
}

/* ---- dead letters ---- */

TEST(past_of_an_item_is_remembered_so_far)
{
    struct sim s;
    struct rv_object_open_args args = queue("q", RV_LIMIT_PAST_ROWS + 2, "");
    struct letters l;

    start(&s, 2);
    put(&s, opened(&s, PUTTER, args), 100, 0);
    for (int i = 0; i < RV_LIMIT_PAST_ROWS + 1; i++)
        fail(&s, &args, 1);
    CHECK(size_of(&s, opened(&s, PUTTER, args)).size == 1);
    fail(&s, &args, 1);
    l = letters_of(&s, "q", 16);
    CHECK(l.count == 1 && l.deliveries == RV_LIMIT_PAST_ROWS + 2 && l.past == RV_LIMIT_PAST_ROWS);
    CHECK(l.bytes == 16);
    l = letters_of(&s, "q", UINT32_MAX);
    CHECK(l.bytes == 100);
    sim_stop(&s);
}

/* Asked in the same breath in which it dies. */
TEST(letter_may_have_no_age)
{
    struct sim s;
    struct rv_object_open_args args = queue("q", 1, "");
    uint64_t q = 0;

    start(&s, 2);
    q = opened(&s, PUTTER, args);
    put(&s, q, 8, 0);
    (void)take(&s, PUTTER, q, 0, 1);
    CHECK(rv_link_say(&s.clients[PUTTER].link, RV_OP_object_close, q, rv_slice(NULL, 0)));
    CHECK(letters_of(&s, "q.dead", 8).age_ms == 0);
    sim_run(&s, 50);
    CHECK(letters_of(&s, "q.dead", 8).age_ms >= 50);
    sim_stop(&s);
}

TEST(letters_are_listed_and_moved_page_by_page)
{
    struct sim s;
    struct rv_object_open_args args = queue("q", 1, "");
    struct letters l;
    uint64_t q = 0;

    start(&s, 2);
    s.unchecked = true;
    q = opened(&s, PUTTER, args);
    put_many(&s, q, RV_LIMIT_DEAD_ROWS + 1, 8);
    fail(&s, &args, RV_LIMIT_DEAD_ROWS + 1);
    l = letters_of(&s, "q", 0);
    CHECK(l.count == RV_LIMIT_DEAD_ROWS && l.first == 1 && l.last == RV_LIMIT_DEAD_ROWS);
    CHECK(requeue(&s, "q", 0, REEVE_OK).moved == RV_LIMIT_DEAD_ROWS);
    CHECK(requeue(&s, "q", 999, REEVE_ENOENT).moved == 0);
    CHECK(requeue(&s, "none", 0, REEVE_ENOENT).moved == 0);
    CHECK(requeue(&s, "q", 0, REEVE_OK).moved == 1);
    CHECK(size_of(&s, q).size == RV_LIMIT_DEAD_ROWS + 1);
    put_many(&s, q, 6, 60000);
    fail(&s, &args, RV_LIMIT_DEAD_ROWS + 7);
    CHECK(requeue(&s, "q", 0, REEVE_OK).moved == RV_LIMIT_DEAD_ROWS);
    l = letters_of(&s, "q", UINT32_MAX); /* so many as fit */
    CHECK(l.count >= 3 && l.count < 7);
    sim_stop(&s);
}

/* Whatever order the queue has in which they lie: they are told, and go, in that of their deaths. */
TEST(letters_are_told_in_the_order_of_their_deaths)
{
    static const uint8_t orders[] = {RV_ORDER_FIFO, RV_ORDER_LIFO, RV_ORDER_PRIORITY};

    for (size_t i = 0; i < rv_countof(orders); i++) {
        struct sim s;
        struct rv_object_open_args args = queue("q", 1, "d");
        struct rv_object_open_args dead = queue("d", 0, "");
        struct letters l;
        uint64_t q = 0;
        uint64_t d = 0;

        start(&s, 2);
        dead.order = orders[i];
        d = opened(&s, PUTTER, dead);
        q = opened(&s, PUTTER, args);
        put(&s, d, 8, 3); /* what is no dead letter may lie between them */
        for (int64_t k = 9; k > 0; k--)
            put(&s, q, 8, orders[i] == RV_ORDER_PRIORITY ? k * 5 % 9 : 0);
        fail(&s, &args, 9);
        put(&s, d, 8, 3);
        l = letters_of(&s, "d", 0);
        CHECK(l.count == 9 && l.first == 1 && l.last == 9);
        CHECK(requeue(&s, "d", 5, REEVE_OK).moved == 1);
        CHECK(requeue(&s, "d", 5, REEVE_ENOENT).moved == 0);
        CHECK(requeue(&s, "d", 9, REEVE_OK).moved == 1);
        l = letters_of(&s, "d", 0);
        CHECK(l.count == 7 && l.first == 1 && l.last == 8);
        CHECK(requeue(&s, "d", 0, REEVE_OK).moved == 7);
        CHECK(size_of(&s, d).size == 2 && size_of(&s, q).size == 9);
        sim_stop(&s);
    }
}

/* In a heap, what takes the place of one that leaves from the middle may have to rise. */
TEST(letter_leaves_the_middle_of_a_heap)
{
    /* Rows of the heap: 0 | 50 1 | 51 52 2 3 | 53: when 51 or 52 goes, 53 stays; when one under 50 goes and the
     * last is under 1, that rises. */
    static const int64_t priorities[] = {0, 50, 1, 51, 52, 2, 3, 53, 54, 55, 56, 4, 5};
    struct sim s;
    struct rv_object_open_args args = queue("q", 1, "d");
    struct rv_object_open_args dead = queue("d", 0, "");
    struct rv_queue_get_result got = {0};
    uint64_t d = 0;
    uint64_t q = 0;
    uint64_t seen = 0;
    int64_t before = INT64_MIN;

    start(&s, 2);
    dead.order = RV_ORDER_PRIORITY;
    d = opened(&s, PUTTER, dead);
    q = opened(&s, PUTTER, args);
    for (size_t i = 0; i < rv_countof(priorities); i++)
        put(&s, q, 8, priorities[i]);
    fail(&s, &args, rv_countof(priorities));
    CHECK(requeue(&s, "d", 9, REEVE_OK).moved == 1); /* 54 goes, 5 comes there */
    CHECK(size_of(&s, d).size == rv_countof(priorities) - 1);
    for (size_t i = 1; i < rv_countof(priorities); i++, seen++) {
        struct rv_buf args_bytes = {0};
        struct rv_buf result = {0};
        struct rv_reader r;
        struct rv_item item;

        rv_queue_get_args_encode(&args_bytes, &(struct rv_queue_get_args){.max = 1, .seen = seen});
        CHECK(sim_ask(&s, PUTTER, RV_OP_queue_get, d, &args_bytes, &result) == REEVE_OK);
        CHECK(rv_queue_get_result_decode(&got, rv_buf_slice(&result)) && got.items.count == 1);
        r = rv_reader(got.items.bytes);
        rv_item_read(&r, &item);
        CHECK(item.priority >= before && item.priority != 54);
        before = item.priority;
        rv_buf_free(&result);
    }
    sim_stop(&s);
}

/* A letter goes back to a queue that takes it, and otherwise it stays. */
TEST(letter_whose_queue_does_not_take_it_stays)
{
    enum { GONE, OVER, FULL, RIGHTS, HOWS };
    static const reeve_err errors[HOWS] = {[GONE] = REEVE_ENOENT,
                                           [OVER] = REEVE_ESHUTDOWN,
                                           [FULL] = REEVE_EFULL,
                                           [RIGHTS] = REEVE_EPERM};

    for (int how = 0; how < HOWS; how++) {
        struct sim s;
        struct rv_object_open_args args = queue("q", 1, "d");
        struct rv_dead_requeue_result got;
        uint64_t q = 0;

        start(&s, 2);
        args.maxsize = 2;
        q = opened(&s, PUTTER, args);
        put_many(&s, q, 2, 8);
        fail(&s, &args, 2);
        if (how == GONE)
            sim_remove(&s, GETTER, "q");
        else if (how == OVER)
            RAW(&s, GETTER, REEVE_OK, queue_shutdown, opened(&s, GETTER, args), .immediate = 0);
        else if (how == FULL)
            put_many(&s, q, 2, 8);
        else
            sim_principal(&s, "client", "get,list,open:d");
        sim_run(&s, 10);
        got = requeue(&s, "d", 0, errors[how]);
        CHECK(got.moved == 0 && got.left == 2 && got.last == 2);
        CHECK(letters_of(&s, "d", 0).count == 2);
        sim_stop(&s);
    }
}

/* Who made the queue pays for what comes back to it. */
TEST(letter_goes_back_within_the_quota_of_its_owner)
{
    struct sim s;
    struct rv_object_open_args args = queue("q", 1, "");
    uint64_t q = 0;

    start(&s, 2);
    q = opened(&s, PUTTER, args);
    put_many(&s, q, 2, 1000);
    fail(&s, &args, 2);
    sim_quota(&s, "bytes:1K objects:1"); /* less than there is: nothing is taken away */
    sim_run(&s, 10);
    RAW(&s, PUTTER, REEVE_EQUOTA, object_open, 0, .create = 1, .kind = RV_KIND_QUEUE);
    CHECK(letters_of(&s, "q", 0).count == 2);
    CHECK(requeue(&s, "q", 0, REEVE_OK).moved ==
          2); /* the same key: it holds no more than before */
    sim_stop(&s);
}

/* A dead-letter queue that was shut down, or whose name another object has by now, takes nothing. */
TEST(item_that_has_nowhere_to_die_stays)
{
    for (int how = 0; how < 2; how++) {
        struct sim s;
        struct rv_object_open_args args = queue("q", 1, "d");
        uint64_t q = 0;

        start(&s, 2);
        q = opened(&s, PUTTER, args);
        put(&s, q, 8, 0);
        if (how == 0)
            RAW(&s, GETTER, REEVE_OK, queue_shutdown, opened(&s, GETTER, queue("d", 0, "")),
                .immediate = 0);
        else
            (void)opened(
                &s, GETTER,
                (struct rv_object_open_args){.kind = RV_KIND_EVENT, .name = rv_slice_str("d")});
        fail(&s, &args, 1);
        CHECK(size_of(&s, q).size == 1 && size_of(&s, q).unfinished == 1);
        RAW(&s, PUTTER, REEVE_ENOENT, dead_list, 0, .name = rv_slice_str("none"));
        sim_stop(&s);
    }
}

/* The pause grows with each failure up to the longest; who failed less often is back before. */
TEST(pauses_have_an_order_and_an_end)
{
    struct sim s;
    struct rv_object_open_args args = {.kind = RV_KIND_QUEUE,
                                       .name = rv_slice_str("q"),
                                       .joinable = 1,
                                       .retry_ms = 100,
                                       .retry_max_ms = 300};
    uint64_t q = 0;

    start(&s, 2);
    q = opened(&s, PUTTER, args);
    put(&s, q, 8, 0);
    for (int i = 0; i < 3; i++) {
        fail(&s, &args, 1);
        CHECK(size_of(&s, q).size == 0);
        sim_run(&s, i == 0 ? 120 : i == 1 ? 220 : 0);
    }
    put(&s, q, 8, 0);
    fail(&s, &args, 1); /* this one after 100 ms, the older one after 300 */
    sim_run(&s, 150);
    CHECK(size_of(&s, q).size == 1);
    sim_run(&s, 170);
    CHECK(size_of(&s, q).size == 2);
    sim_stop(&s);
}

/* ---- as much as a session may have under way ---- */

TEST(put_above_the_quota_of_what_is_in_flight_is_refused)
{
    struct sim s;
    uint64_t q = 0;

    start(&s, 1);
    CHECK(sim_open(&s, PUTTER, "q", NULL) == REEVE_OK);
    q = opened(&s, PUTTER, queue("q", 0, ""));
    sim_quota(&s, "in-flight:100K");
    sim_run(&s, 10);
    sim_mark(&s);
    sim_put_large_wait(&s, PUTTER, "x", 300000, 1000); /* it comes in pieces */
    sim_run(&s, 100);
    CHECK(strstr((const char *)s.story.data, "error=EQUOTA") != NULL);
    sim_put_large_wait(&s, PUTTER, "y", 70000, 1000); /* in one piece it never lies about */
    sim_run(&s, 100);
    CHECK(size_of(&s, q).size <= 2);
    sim_stop(&s);
}
