/* The client's half of a job: what leaves, what comes back, and that each index has one result. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "proxy/core/work.h"

int test_work(void);

/* ---- a manager that says what the test wants ---- */

enum { JOB = 7, PATIENCE_MS = 1000, FRAMES_MAX = 16 };

/* A call that the client made. */
struct heard {
    uint64_t number;
    uint16_t op;
    struct rv_buf args;
};

struct stage {
    rv_ns now;
    struct rv_link link;
    struct rv_ledger *ledger;
    struct rv_work work;
    uint64_t said;     /* number of the manager's last message */
    uint64_t heard_to; /* number of the client's last one */
    struct heard calls[512];
    size_t calls_len;
    uint64_t read_id; /* of the last read */
    uint64_t credit;  /* what the last job_take said */
    unsigned over;    /* errands that told their end */
};

static void say(struct stage *s, const struct rv_msg *msg, const struct rv_slice *bodies,
                size_t bodies_len)
{
    struct rv_buf frame = {0};
    uint8_t head[RV_FRAME_HEADER];
    bool numbered = rv_msg_numbered(msg->type);

    rv_frame_encode(head, &(struct rv_frame){.bodies = (uint8_t)bodies_len,
                                             .first = numbered ? s->said + 1 : 0,
                                             .ack = s->heard_to});
    rv_buf_add(&frame, head, sizeof head);
    rv_msg_encode(&frame, msg);
    s->said += numbered;
    rv_link_receive(&s->link, s->now, rv_buf_slice(&frame), bodies, bodies_len);
    rv_buf_free(&frame);
}

static void push(struct stage *s, uint16_t op, const struct rv_buf *args,
                 const struct rv_slice *bodies, size_t bodies_len)
{
    say(s,
        &(struct rv_msg){.type = RV_MSG_push,
                         .push = {.op = op, .object = JOB, .args = rv_buf_slice(args)}},
        bodies, bodies_len);
}

static void hear_call(struct stage *s, const struct rv_call *call)
{
    struct rv_job_take_args take;

    if (call->op == RV_OP_job_take) {
        assert_true(rv_job_take_args_decode(&take, call->args));
        s->credit = take.bytes;
        return;
    }
    assert_true(s->calls_len < rv_countof(s->calls));
    s->calls[s->calls_len] = (struct heard){.number = s->heard_to, .op = call->op};
    rv_buf_add(&s->calls[s->calls_len++].args, call->args.data, call->args.len);
}

/* Take all that leaves. */
static void listen_to(struct stage *s)
{
    struct rv_link_frame out;
    struct rv_frame frame;
    struct rv_msg msg;
    bool version = false;

    while (rv_link_transmit(&s->link, s->now, &out)) {
        struct rv_reader r;

        assert_true(rv_frame_decode(&frame, out.control, &version));
        for (r = rv_reader(frame.messages); rv_frame_next(&r, &msg);) {
            if (rv_msg_numbered(msg.type))
                s->heard_to++;
            if (msg.type == RV_MSG_call)
                hear_call(s, &msg.call);
            if (msg.type == RV_MSG_read)
                s->read_id = msg.read.id;
        }
        rv_link_sent(&s->link, s->now, true);
    }
}

static void stage_begin(struct stage *s)
{
    struct rv_link_conf conf = {.endpoints = {"tcp://m:7300"},
                                .endpoints_len = 1,
                                .seed = 1,
                                .host_name = "h",
                                .program = "p"};
    struct rv_msg welcome = {.type = RV_MSG_welcome,
                             .welcome = {.major = 1, .store = {{1}}, .term = 1, .resume_ms = 5000}};

    memset(s, 0, sizeof *s);
    s->now = RV_SEC;
    rv_link_init(&s->link, &conf, s->now);
    rv_link_connecting(&s->link, s->now);
    rv_link_connected(&s->link, s->now);
    listen_to(s);
    say(s, &welcome, NULL, 0);
    assert_int_equal(s->link.state, RV_LINK_READY);
    s->ledger = rv_ledger_new();
    assert_non_null(s->ledger);
    assert_int_equal(rv_work_init(&s->work, &s->link, s->ledger, JOB, PATIENCE_MS), REEVE_OK);
}

static void stage_end(struct stage *s)
{
    rv_work_fini(&s->work, REEVE_ECANCELED, "the test is over");
    rv_ledger_leave(&s->ledger);
    rv_link_fini(&s->link);
    for (size_t i = 0; i < s->calls_len; i++)
        rv_buf_free(&s->calls[i].args);
}

/* The puts that were heard and not answered, answered. */
static void answer(struct stage *s, reeve_err error, const char *text)
{
    listen_to(s);
    for (size_t i = 0; i < s->calls_len; i++)
        say(s,
            &(struct rv_msg){.type = RV_MSG_reply,
                             .reply = {.call = s->calls[i].number,
                                       .error = (uint32_t)error,
                                       .text = rv_slice_str(text)}},
            NULL, 0);
    for (size_t i = 0; i < s->calls_len; i++)
        rv_buf_free(&s->calls[i].args);
    s->calls_len = 0;
}

static struct rv_job_put_args put_at(struct stage *s, size_t i)
{
    struct rv_job_put_args args = {0};

    listen_to(s);
    assert_true(i < s->calls_len);
    assert_int_equal(s->calls[i].op, RV_OP_job_put);
    assert_true(rv_job_put_args_decode(&args, rv_buf_slice(&s->calls[i].args)));
    return args;
}

static void add_item(struct rv_buf *items, const void *bytes, size_t len)
{
    rv_item_write(items, &(struct rv_item){.len = (uint32_t)len, .bytes = rv_slice(bytes, len)});
}

/* Results of job indexes first .. first + count - 1: two bytes, the lower half of each index. */
static void results(struct stage *s, uint64_t first, uint32_t count)
{
    struct rv_buf items = {0};
    struct rv_buf args = {0};

    for (uint64_t i = first; i < first + count; i++) {
        uint8_t bytes[2] = {(uint8_t)(i >> 8), (uint8_t)i};

        add_item(&items, bytes, sizeof bytes);
    }
    rv_job_results_args_encode(&args, &(struct rv_job_results_args){
                                          .first = first, .items = {count, rv_buf_slice(&items)}});
    push(s, RV_OP_job_results, &args, NULL, 0);
    rv_buf_free(&items);
    rv_buf_free(&args);
}

static void failure(struct stage *s, uint64_t index, uint8_t status, const char *text)
{
    struct rv_buf args = {0};

    rv_job_result_args_encode(&args, &(struct rv_job_result_args){.index = index,
                                                                  .status = status,
                                                                  .runs = 2,
                                                                  .agent = rv_slice_str("a"),
                                                                  .host = rv_slice_str("host"),
                                                                  .pid = 99,
                                                                  .code = -11,
                                                                  .text = rv_slice_str(text)});
    push(s, RV_OP_job_result, &args, NULL, 0);
    rv_buf_free(&args);
}

static void total(struct stage *s, uint64_t items)
{
    struct rv_buf args = {0};

    rv_job_total_args_encode(&args, &(struct rv_job_total_args){items, 0});
    push(s, RV_OP_job_total, &args, NULL, 0);
    rv_buf_free(&args);
}

static void ended(struct stage *s, reeve_err error, const char *text)
{
    struct rv_buf args = {0};

    rv_job_ended_args_encode(
        &args, &(struct rv_job_ended_args){.error = (uint32_t)error, .text = rv_slice_str(text)});
    push(s, RV_OP_job_ended, &args, NULL, 0);
    rv_buf_free(&args);
}

/* ---- what the application does ---- */

static void count_over(struct rv_errand *e)
{
    struct stage *s = e->arg;

    s->over++;
}

static struct rv_errand *begin(struct stage *s, struct rv_errand *e)
{
    assert_non_null(e);
    e->over = count_over;
    e->arg = s;
    rv_errand_begin(&s->work, e, s->now);
    return e;
}

static struct rv_errand *map(struct stage *s, const char *function, size_t count)
{
    struct rv_packs packs = {0};
    struct rv_errand *e = NULL;

    for (size_t i = 0; i < count; i++)
        assert_int_equal(
            rv_packs_add(&packs, rv_slice("x", 1), rv_slice(NULL, 0), rv_slice(NULL, 0)), REEVE_OK);
    e = rv_errand_map(function, &packs);
    rv_packs_free(&packs);
    return begin(s, e);
}

static unsigned value_of(const struct rv_result *result)
{
    assert_true(result->has_value);
    assert_int_equal(result->value.len, 2);
    return (unsigned)result->value.data[0] << 8 | result->value.data[1];
}

static unsigned value_at(const struct rv_errand *e, uint64_t index)
{
    struct rv_result result;

    assert_true(rv_yield_at(&e->out, index, &result));
    return value_of(&result);
}

/* The source of an iteration, as far as it is asked. */
static unsigned fill(struct stage *s, struct rv_errand *e)
{
    unsigned count = 0;

    while (rv_errand_hungry(e)) {
        assert_int_equal(rv_errand_add(e, rv_slice("x", 1), rv_slice(NULL, 0)), REEVE_OK);
        count++;
    }
    rv_work_feed(&s->work, s->now);
    return count;
}

/* ---- maps ---- */

static void a_map_goes_and_comes(void **state)
{
    struct stage s;
    struct rv_errand *e = NULL;
    struct rv_job_put_args put;

    (void)state;
    stage_begin(&s);
    e = map(&s, "square", 3);
    put = put_at(&s, 0);
    assert_int_equal(s.calls_len, 1);
    assert_int_equal(put.first, 0);
    assert_int_equal(put.items.count, 3);
    assert_true(rv_slice_equal(put.function, rv_slice_str("square")));
    answer(&s, REEVE_OK, NULL);
    results(&s, 1, 2);
    assert_non_null(e->work);
    results(&s, 0, 1);
    assert_null(e->work);
    assert_int_equal(s.over, 1);
    assert_int_equal(e->error, REEVE_OK);
    for (uint64_t i = 0; i < 3; i++)
        assert_int_equal(value_at(e, i), i);
    assert_int_equal(rv_work_open(&s.work), 0);
    rv_errand_leave(e);
    stage_end(&s);
}

/* Its value refers to objects 5 and 6. With a body it lies there. */
static void referring(struct stage *s, uint64_t index, const char *bytes, size_t len,
                      struct rv_slice body)
{
    static const uint8_t refs[16] = {[7] = 5, [15] = 6};
    struct rv_buf items = {0};
    struct rv_buf args = {0};

    rv_item_write(&items, &(struct rv_item){.place = body.len > 0 ? RV_BODY : RV_INLINE,
                                            .len = (uint32_t)(body.len > 0 ? body.len : len),
                                            .bytes = rv_slice(bytes, len),
                                            .refs = rv_slice(refs, sizeof refs)});
    rv_job_result_args_encode(
        &args, &(struct rv_job_result_args){.index = index, .items = {1, rv_buf_slice(&items)}});
    push(s, RV_OP_job_result, &args, &body, body.len > 0);
    rv_buf_free(&items);
    rv_buf_free(&args);
}

/* References that were let go since this was asked last. */
static unsigned let_go(struct stage *s)
{
    unsigned count = 0;

    rv_ledger_settle(s->ledger, &s->link);
    listen_to(s);
    for (size_t i = 0; i < s->calls_len; i++) {
        count += s->calls[i].op == RV_OP_object_release;
        rv_buf_free(&s->calls[i].args);
    }
    s->calls_len = 0;
    return count;
}

static void a_value_keeps_what_it_refers_to_until_it_is_forgotten(void **state)
{
    static const uint8_t large[100000] = {[99999] = 9};
    struct stage s;
    struct rv_errand *e = NULL;
    struct rv_lien *lien = NULL;
    struct rv_result result;

    (void)state;
    stage_begin(&s);
    e = map(&s, "square", 3);
    listen_to(&s);
    referring(&s, 0, "sixteen or more..", 17, rv_slice(NULL, 0));
    referring(&s, 1, NULL, 0, rv_slice(large, sizeof large));
    assert_int_equal(let_go(&s), 0);
    referring(&s, 1, "it came a second time", 21, rv_slice(NULL, 0));
    assert_int_equal(let_go(&s), 2);
    referring(&s, 77, "nobody waits for this", 21, rv_slice(NULL, 0));
    assert_int_equal(let_go(&s), 2);
    assert_true(rv_yield_at(&e->out, 1, &result));
    assert_true(rv_slice_equal(result.value, rv_slice(large, sizeof large)));
    assert_true(rv_yield_at(&e->out, 0, &result));
    assert_true(rv_slice_equal(result.value, rv_slice_str("sixteen or more..")));
    lien = rv_lien_keep(result.record->lien);
    results(&s, 2, 1);
    assert_int_equal(s.over, 1);
    rv_errand_leave(e);
    assert_int_equal(let_go(&s), 2); /* of the large one; the other has somebody else, too */
    rv_lien_drop(lien);
    assert_int_equal(let_go(&s), 2);
    stage_end(&s);
}

/* Nobody could say who has what they refer to. */
static void values_that_come_together_refer_to_nothing(void **state)
{
    static const uint8_t ref[8] = {[7] = 5};
    struct stage s;
    struct rv_errand *e = NULL;
    struct rv_buf items = {0};
    struct rv_buf args = {0};

    (void)state;
    stage_begin(&s);
    e = map(&s, "square", 2);
    rv_item_write(&items, &(struct rv_item){.len = 8,
                                            .bytes = rv_slice("a value.", 8),
                                            .refs = rv_slice(ref, sizeof ref)});
    rv_job_results_args_encode(&args,
                               &(struct rv_job_results_args){.items = {1, rv_buf_slice(&items)}});
    push(&s, RV_OP_job_results, &args, NULL, 0);
    assert_int_equal(s.link.state, RV_LINK_DEAD);
    assert_int_equal(e->out.done, 0);
    rv_errand_leave(e);
    rv_buf_free(&items);
    rv_buf_free(&args);
    stage_end(&s);
}

static void an_empty_map_is_over_at_once(void **state)
{
    struct stage s;
    struct rv_errand *e = NULL;

    (void)state;
    stage_begin(&s);
    e = map(&s, "square", 0);
    assert_null(e->work);
    listen_to(&s);
    assert_int_equal(s.calls_len, 0);
    rv_errand_leave(e);
    stage_end(&s);
}

static void puts_stay_within_their_window(void **state)
{
    struct stage s;
    struct rv_errand *e = NULL;
    uint64_t put = 0;
    enum { ITEMS = 64 * RV_LIMIT_PUT_ITEMS };

    (void)state;
    stage_begin(&s);
    e = map(&s, "", ITEMS);
    listen_to(&s);
    assert_int_equal(s.calls_len, RV_WORK_PUTS);
    while (s.calls_len > 0) {
        for (size_t i = 0; i < s.calls_len; i++) {
            struct rv_job_put_args args = put_at(&s, i);

            assert_int_equal(args.first, put);
            put += args.items.count;
        }
        answer(&s, REEVE_OK, NULL);
        listen_to(&s);
        assert_true(s.calls_len <= RV_WORK_PUTS);
    }
    assert_int_equal(put, ITEMS);
    rv_errand_leave(e);
    stage_end(&s);
}

static void errands_take_turns_and_get_their_own(void **state)
{
    struct stage s;
    struct rv_errand *a = NULL;
    struct rv_errand *b = NULL;
    enum { BIG = 40 * RV_LIMIT_PUT_ITEMS, AT = RV_WORK_PUTS * RV_LIMIT_PUT_ITEMS };

    (void)state;
    stage_begin(&s);
    a = map(&s, "big", BIG);
    b = map(&s, "small", 2);
    answer(&s, REEVE_OK, NULL);
    listen_to(&s);
    /* The first window was the big one's; then they take turns. */
    assert_int_equal(a->put + b->put, s.work.next);
    assert_int_equal(b->put, 2);
    results(&s, AT - 1, 4);
    results(&s, AT + RV_LIMIT_PUT_ITEMS - 1, 4);
    assert_null(b->work);
    assert_non_null(a->work);
    assert_int_equal(a->out.done + b->out.done, 8);
    rv_errand_leave(a);
    rv_errand_leave(b);
    stage_end(&s);
}

static void a_second_result_is_dropped(void **state)
{
    struct stage s;
    struct rv_errand *e = NULL;

    (void)state;
    stage_begin(&s);
    e = map(&s, "", 4);
    results(&s, 0, 2);
    results(&s, 0, 3);
    failure(&s, 1, RV_RAN_CRASHED, "late");
    assert_int_equal(e->out.done, 3);
    assert_int_equal(s.work.doubles, 3);
    assert_int_equal(e->out.failed, 0);
    results(&s, 0, 4);
    results(&s, 3, 1);
    results(&s, 100, 1);
    assert_null(e->work);
    assert_int_equal(s.work.done, 4);
    rv_errand_leave(e);
    stage_end(&s);
}

static void a_failure_has_its_circumstances(void **state)
{
    struct stage s;
    struct rv_errand *e = NULL;
    struct rv_result result;

    (void)state;
    stage_begin(&s);
    e = map(&s, "", 2);
    failure(&s, 1, RV_RAN_CRASHED, "ended by signal 11");
    results(&s, 0, 1);
    assert_null(e->work);
    assert_int_equal(e->out.failed, 1);
    assert_true(rv_yield_at(&e->out, 1, &result));
    assert_false(result.has_value);
    assert_non_null(result.record);
    assert_int_equal(result.record->code, -11);
    assert_int_equal(result.record->runs, 2);
    assert_string_equal(result.record->text, "ended by signal 11");
    assert_string_equal(result.record->host, "host");
    rv_errand_leave(e);
    stage_end(&s);
}

static void a_large_item_and_a_large_result_ride_beside(void **state)
{
    struct stage s;
    static uint8_t bytes[100000];
    struct rv_packs packs = {0};
    struct rv_errand *e = NULL;
    struct rv_buf items = {0};
    struct rv_buf args = {0};
    struct rv_slice body = rv_slice(bytes, sizeof bytes);
    struct rv_result result;

    (void)state;
    memset(bytes, 'b', sizeof bytes);
    stage_begin(&s);
    assert_int_equal(rv_packs_add(&packs, body, rv_slice(NULL, 0), rv_slice(NULL, 0)), REEVE_OK);
    assert_int_equal(rv_packs_add(&packs, rv_slice("x", 1), rv_slice(NULL, 0), rv_slice(NULL, 0)),
                     REEVE_OK);
    e = begin(&s, rv_errand_map("", &packs));
    rv_packs_free(&packs);
    assert_int_equal(put_at(&s, 0).items.count, 1);
    assert_int_equal(put_at(&s, 1).first, 1);
    rv_item_write(&items, &(struct rv_item){.place = RV_BODY, .len = sizeof bytes});
    rv_job_results_args_encode(
        &args, &(struct rv_job_results_args){.first = 0, .items = {1, rv_buf_slice(&items)}});
    push(&s, RV_OP_job_results, &args, &body, 1);
    assert_true(rv_yield_at(&e->out, 0, &result));
    assert_true(rv_slice_equal(result.value, body));
    assert_int_equal(s.work.used, 64 + sizeof bytes);
    rv_buf_free(&items);
    rv_buf_free(&args);
    rv_errand_leave(e);
    stage_end(&s);
}

static void used_results_are_told_before_the_manager_stops(void **state)
{
    struct stage s;
    struct rv_errand *e = NULL;
    uint64_t sent = 0;
    enum { EACH = 64 + 4096 * 6 };

    (void)state;
    stage_begin(&s);
    e = map(&s, "", 400 * RV_LIMIT_PUT_ITEMS);
    while (e->put < e->total)
        answer(&s, REEVE_OK, NULL);
    for (uint64_t i = 0; i < 400; i++) {
        assert_true(sent - s.credit < RV_LIMIT_JOB_RESULT_BYTES);
        results(&s, i * RV_LIMIT_PUT_ITEMS, RV_LIMIT_PUT_ITEMS);
        sent += EACH;
        listen_to(&s);
        assert_true(s.credit <= sent);
    }
    assert_null(e->work);
    assert_true(s.credit > 0);
    rv_errand_leave(e);
    stage_end(&s);
}

static void an_errand_that_was_left_goes_on_and_is_freed(void **state)
{
    struct stage s;

    (void)state;
    stage_begin(&s);
    rv_errand_leave(map(&s, "", 3));
    assert_int_equal(put_at(&s, 0).items.count, 3);
    results(&s, 0, 3);
    assert_null(s.work.errands);
    assert_int_equal(s.over, 0);
    assert_int_equal(rv_work_open(&s.work), 0);
    stage_end(&s);
}

/* ---- iterations ---- */

static void an_iteration_reads_ahead_so_far(void **state)
{
    struct stage s;
    struct rv_errand *e = NULL;
    struct rv_result result;

    (void)state;
    stage_begin(&s);
    e = begin(&s, rv_errand_iterate("", true, 20));
    assert_int_equal(fill(&s, e), 20);
    assert_int_equal(fill(&s, e), 0);
    results(&s, 1, 19);
    assert_false(rv_errand_next(e, &result));
    results(&s, 0, 1);
    for (uint64_t i = 0; i < 20; i++) {
        assert_true(rv_errand_next(e, &result));
        assert_int_equal(result.index, i);
        assert_int_equal(value_of(&result), i);
        rv_errand_took(e, i);
        assert_int_equal(fill(&s, e), 1);
    }
    assert_false(rv_errand_next(e, &result));
    assert_int_equal(e->out.bytes, 0);
    rv_errand_leave(e);
    stage_end(&s);
}

static void an_endless_iteration_keeps_little(void **state)
{
    struct stage s;
    struct rv_errand *e = NULL;
    struct rv_result result;
    uint64_t back = 0;

    (void)state;
    stage_begin(&s);
    e = begin(&s, rv_errand_iterate("", false, 64));
    for (unsigned round = 0; round < 1000; round++) {
        (void)fill(&s, e);
        answer(&s, REEVE_OK, NULL);
        for (; back < s.work.next; back++)
            results(&s, s.work.next - 1 - (back % 64), 1);
        back = s.work.next;
        while (rv_errand_next(e, &result)) {
            assert_int_equal(value_of(&result), result.index & 0xffff);
            rv_errand_took(e, result.index);
        }
    }
    assert_true(e->given >= 64000);
    assert_true(e->out.cap <= 128 && e->out.lots_len <= 128 && e->arrived_cap <= 128);
    assert_true(s.work.stretches_cap <= 16);
    rv_errand_leave(e);
    stage_end(&s);
}

static void unordered_results_come_as_they_came(void **state)
{
    struct stage s;
    struct rv_errand *e = NULL;
    struct rv_result result;
    static const uint64_t order[] = {2, 0, 3, 1};

    (void)state;
    stage_begin(&s);
    e = begin(&s, rv_errand_iterate("", false, 0));
    for (int i = 0; i < 4; i++)
        assert_int_equal(rv_errand_add(e, rv_slice("x", 1), rv_slice(NULL, 0)), REEVE_OK);
    rv_errand_end(e);
    rv_work_feed(&s.work, s.now);
    for (size_t i = 0; i < 4; i++)
        results(&s, order[i], 1);
    assert_null(e->work);
    for (size_t i = 0; i < 4; i++) {
        assert_true(rv_errand_next(e, &result));
        assert_int_equal(result.index, order[i]);
        rv_errand_took(e, result.index);
    }
    assert_false(rv_errand_next(e, &result));
    rv_errand_leave(e);
    stage_end(&s);
}

static void large_results_narrow_what_is_ahead(void **state)
{
    struct stage s;
    struct rv_errand *e = NULL;

    (void)state;
    stage_begin(&s);
    e = begin(&s, rv_errand_iterate("", true, 0));
    assert_int_equal(fill(&s, e), RV_AHEAD_FIRST);
    results(&s, 0, 1);
    e->bytes = 8 << 20; /* as if it had been so large */
    e->given = RV_AHEAD_FIRST - RV_AHEAD_MIN;
    assert_false(rv_errand_hungry(e));
    e->given++;
    assert_true(rv_errand_hungry(e));
    rv_errand_leave(e);
    stage_end(&s);
}

static void a_left_iteration_puts_no_more(void **state)
{
    struct stage s;
    struct rv_errand *e = NULL;

    (void)state;
    stage_begin(&s);
    e = begin(&s, rv_errand_iterate("", true, 0));
    (void)fill(&s, e);
    assert_int_equal(e->put, RV_AHEAD_FIRST);
    results(&s, 0, 10);
    rv_errand_leave(e);
    assert_non_null(s.work.errands);
    results(&s, 10, RV_AHEAD_FIRST - 10);
    assert_null(s.work.errands);
    stage_end(&s);
}

/* ---- ends ---- */

static void an_ended_job_fails_what_is_open_in_its_words(void **state)
{
    struct stage s;
    struct rv_errand *e = NULL;

    (void)state;
    stage_begin(&s);
    e = map(&s, "", 3);
    results(&s, 1, 1);
    ended(&s, REEVE_ENOAGENT, "no agent can run it: libc is too old");
    assert_null(e->work);
    assert_int_equal(e->error, REEVE_ENOAGENT);
    assert_string_equal(e->why, "no agent can run it: libc is too old");
    assert_int_equal(value_at(e, 1), 1);
    results(&s, 0, 3); /* too late */
    assert_int_equal(e->out.done, 1);
    rv_errand_leave(e);
    stage_end(&s);
}

static void a_refused_put_ends_the_job(void **state)
{
    struct stage s;
    struct rv_errand *e = NULL;

    (void)state;
    stage_begin(&s);
    e = map(&s, "", 3);
    answer(&s, REEVE_EPERM, "no right to run");
    assert_null(e->work);
    assert_int_equal(e->error, REEVE_EPERM);
    assert_string_equal(e->why, "no right to run");
    rv_errand_leave(e);
    stage_end(&s);
}

static void a_dead_link_ends_all_errands(void **state)
{
    struct stage s;
    struct rv_errand *a = NULL;
    struct rv_errand *b = NULL;

    (void)state;
    stage_begin(&s);
    a = map(&s, "", 3);
    b = begin(&s, rv_errand_iterate("", true, 0));
    rv_link_die(&s.link, s.now, REEVE_ELOST, "the manager is gone");
    assert_int_equal(a->error, REEVE_ELOST);
    assert_string_equal(b->why, "the manager is gone");
    assert_int_equal(s.over, 2);
    rv_errand_leave(a);
    rv_errand_leave(b);
    stage_end(&s);
}

/* The listing that job_stat answers with: a job that so many agents can run. */
static void answer_stat(struct stage *s, uint32_t agents)
{
    struct rv_buf row = {0};
    struct rv_buf rows = {0};
    struct rv_buf result = {0};

    rv_job_row_encode(&row, &(struct rv_job_row){.job = JOB, .agents = agents});
    rv_write_number(&rows, row.len, 4);
    rv_buf_add(&rows, row.data, row.len);
    rv_object_list_result_encode(
        &result, &(struct rv_object_list_result){.count = 1, .rows = rv_buf_slice(&rows)});
    say(s,
        &(struct rv_msg){.type = RV_MSG_answer,
                         .answer = {.id = s->read_id, .result = rv_buf_slice(&result)}},
        NULL, 0);
    rv_buf_free(&row);
    rv_buf_free(&rows);
    rv_buf_free(&result);
}

static void without_an_agent_it_ends_in_time(void **state)
{
    struct stage s;
    struct rv_errand *e = NULL;

    (void)state;
    stage_begin(&s);
    e = map(&s, "", 3);
    answer(&s, REEVE_OK, NULL);
    assert_int_equal(s.work.port.tick_at, s.now + PATIENCE_MS * RV_MS);
    s.now += PATIENCE_MS * RV_MS;
    rv_link_tick(&s.link, s.now);
    listen_to(&s);
    answer_stat(&s, 1); /* there is one: it takes long */
    assert_non_null(e->work);
    s.now += PATIENCE_MS * RV_MS;
    rv_link_tick(&s.link, s.now);
    listen_to(&s);
    answer_stat(&s, 0);
    assert_null(e->work);
    assert_int_equal(e->error, REEVE_ENOAGENT);
    rv_errand_leave(e);
    stage_end(&s);
}

static void a_result_renews_the_patience(void **state)
{
    struct stage s;
    struct rv_errand *e = NULL;

    (void)state;
    stage_begin(&s);
    e = map(&s, "", 3);
    answer(&s, REEVE_OK, NULL);
    s.now += 900 * RV_MS;
    results(&s, 0, 1);
    assert_int_equal(s.work.port.tick_at, s.now + PATIENCE_MS * RV_MS);
    results(&s, 1, 2);
    assert_true(s.work.port.tick_at == RV_NEVER);
    rv_errand_leave(e);
    stage_end(&s);
}

/* ---- packs ---- */

/* ---- a job that others gave its items ---- */

static struct rv_errand *watch(struct stage *s, bool ordered, uint64_t put, uint64_t total)
{
    struct rv_errand *e = rv_errand_watch(ordered);

    assert_non_null(e);
    rv_errand_follow(&s->work, e, put, total, s->now);
    return e;
}

static uint64_t next_index(struct rv_errand *e, rv_ns now)
{
    struct rv_result result;

    if (!rv_errand_next(e, &result))
        return UINT64_MAX;
    rv_errand_took(e, result.index);
    rv_errand_claim(e, now);
    return result.index;
}

static void who_watches_has_all_results_as_they_come(void **state)
{
    struct stage s;
    struct rv_errand *e = NULL;

    (void)state;
    stage_begin(&s);
    e = watch(&s, false, 5, 6);
    assert_false(rv_errand_hungry(e));
    results(&s, 4, 1);
    results(&s, 0, 2);
    assert_int_equal(next_index(e, s.now), 4);
    assert_int_equal(next_index(e, s.now), 0);
    results(&s, 0, 3); /* two of them a second time */
    assert_int_equal(next_index(e, s.now), 1);
    assert_int_equal(next_index(e, s.now), 2);
    assert_int_equal(next_index(e, s.now), UINT64_MAX);
    failure(&s, 3, RV_RAN_FAILED, "no");
    assert_non_null(e->work);
    results(&s, 5, 1);
    assert_null(e->work); /* over */
    assert_int_equal(next_index(e, s.now), 3);
    assert_int_equal(next_index(e, s.now), 5);
    assert_int_equal(e->out.failed, 1);
    rv_errand_leave(e);
    stage_end(&s);
}

static void who_watches_in_order_waits_for_the_first(void **state)
{
    struct stage s;
    struct rv_errand *e = NULL;

    (void)state;
    stage_begin(&s);
    e = watch(&s, true, 0, UINT64_MAX);
    results(&s, 1, 2000);
    assert_int_equal(next_index(e, s.now), UINT64_MAX);
    results(&s, 0, 1);
    for (uint64_t i = 0; i < 2001; i++)
        assert_int_equal(next_index(e, s.now), i);
    assert_non_null(e->work);
    total(&s, 2001);
    assert_null(e->work);
    rv_errand_leave(e);
    stage_end(&s);
}

/* What it has not handed out counts against the manager's window. */
static void slow_watcher_stops_the_manager(void **state)
{
    struct stage s;
    struct rv_errand *e = NULL;

    (void)state;
    stage_begin(&s);
    e = watch(&s, false, 0, UINT64_MAX);
    for (uint64_t i = 0; i < 40 * RV_WATCH_ITEMS; i += 1000)
        results(&s, i, 1000);
    assert_true(s.work.used < 2 * RV_WATCH_ITEMS * 7);
    while (next_index(e, s.now) != UINT64_MAX)
        continue;
    results(&s, 40 * RV_WATCH_ITEMS + 1000, 1000);
    assert_true(s.work.used > 40 * RV_WATCH_ITEMS * 6);
    rv_errand_leave(e);
    rv_work_fini(&s.work, REEVE_ECANCELED, "left");
    stage_end(&s);
}

static void end_of_the_job_ends_who_watches(void **state)
{
    struct stage s;
    struct rv_errand *e = NULL;

    (void)state;
    stage_begin(&s);
    e = watch(&s, false, 10, 10);
    results(&s, 0, 1);
    ended(&s, REEVE_ECANCELED, "enough");
    assert_null(e->work);
    assert_int_equal(e->error, REEVE_ECANCELED);
    assert_int_equal(next_index(e, s.now), 0);
    rv_errand_leave(e);
    e = NULL;
    stage_end(&s);
}

static void a_list_that_was_given_away_can_grow(void **state)
{
    struct rv_packs a = {0};
    struct rv_packs b = {0};

    (void)state;
    assert_int_equal(rv_packs_add(&a, rv_slice("1", 1), rv_slice(NULL, 0), rv_slice(NULL, 0)),
                     REEVE_OK);
    assert_true(rv_packs_share(&b, &a));
    assert_int_equal(rv_packs_add(&a, rv_slice("2", 1), rv_slice(NULL, 0), rv_slice(NULL, 0)),
                     REEVE_OK);
    assert_int_equal(b.count, 1);
    assert_int_equal(rv_packs_first(&b)->count, 1);
    assert_int_equal(a.count, 2);
    rv_packs_free(&a);
    assert_int_equal(rv_packs_first(&b)->count, 1);
    rv_packs_pop(&b);
    assert_null(rv_packs_first(&b));
    rv_packs_free(&b);
}

static void too_large_an_item_is_refused(void **state)
{
    struct rv_packs a = {0};

    (void)state;
    assert_int_equal(
        rv_packs_add(&a, rv_slice(NULL, RV_LIMIT_ITEM_BYTES), rv_slice("x", 1), rv_slice(NULL, 0)),
        REEVE_ETOOBIG);
    assert_int_equal(a.count, 0);
    rv_packs_free(&a);
}

/* ---- what went wrong, in the manager's code ---- */

enum { BEYOND = 100 }; /* so many numbers after the last code of the list */

static uint32_t last_code(void)
{
    static const uint32_t codes[] = {
#define CODE(name, number, text) number,
        REEVE_ERRORS(CODE)
#undef CODE
    };
    uint32_t last = 0;

    for (size_t i = 0; i < rv_countof(codes); i++)
        last = codes[i] > last ? codes[i] : last;
    return last;
}

/* Its code, or what stands for one that we do not know. */
static reeve_err heard_as(uint32_t number)
{
#define SAME(name, code, text)                                                                     \
    if (number == code)                                                                            \
        return REEVE_##name;
    REEVE_ERRORS(SAME)
#undef SAME
    return REEVE_EPROTO;
}

static void answered(struct stage *s, uint32_t number)
{
    struct rv_request *call =
        rv_link_call(&s->link, RV_OP_queue_join, JOB, 0, rv_slice(NULL, 0), NULL, 0);
    struct rv_request *read = rv_link_read(&s->link, RV_OP_queue_size, JOB, rv_slice(NULL, 0));

    listen_to(s);
    say(s, &(struct rv_msg){.type = RV_MSG_reply, .reply = {.call = call->number, .error = number}},
        NULL, 0);
    say(s, &(struct rv_msg){.type = RV_MSG_answer, .answer = {.id = read->number, .error = number}},
        NULL, 0);
    assert_true(call->done && read->done);
    assert_int_equal(call->error, heard_as(number));
    assert_int_equal(read->error, heard_as(number));
    rv_request_free(&s->link, call);
    rv_request_free(&s->link, read);
}

static void every_error_arrives_as_it_was_said(void **state)
{
    (void)state;
    assert_int_equal(heard_as(last_code()), last_code());
    for (uint32_t number = 1; number <= last_code() + BEYOND; number++) {
        struct stage s;
        struct rv_errand *e = NULL;

        stage_begin(&s);
        answered(&s, number);
        e = map(&s, "", 1);
        ended(&s, (reeve_err)number, "so it is");
        assert_int_equal(e->error, heard_as(number));
        rv_errand_leave(e);
        if (number != REEVE_ELOST && heard_as(number) != REEVE_EPROTO) { /* those are tried again */
            say(&s,
                &(struct rv_msg){.type = RV_MSG_refuse,
                                 .refuse = {.error = number, .text = rv_slice_str("so it is")}},
                NULL, 0);
            assert_int_equal(s.link.state, RV_LINK_DEAD);
            assert_int_equal(s.link.error, heard_as(number));
            assert_string_equal(s.link.why, "so it is");
        }
        stage_end(&s);
    }
}

int test_work(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_map_goes_and_comes),
        cmocka_unit_test(an_empty_map_is_over_at_once),
        cmocka_unit_test(a_value_keeps_what_it_refers_to_until_it_is_forgotten),
        cmocka_unit_test(values_that_come_together_refer_to_nothing),
        cmocka_unit_test(puts_stay_within_their_window),
        cmocka_unit_test(errands_take_turns_and_get_their_own),
        cmocka_unit_test(a_second_result_is_dropped),
        cmocka_unit_test(a_failure_has_its_circumstances),
        cmocka_unit_test(a_large_item_and_a_large_result_ride_beside),
        cmocka_unit_test(used_results_are_told_before_the_manager_stops),
        cmocka_unit_test(an_errand_that_was_left_goes_on_and_is_freed),
        cmocka_unit_test(an_iteration_reads_ahead_so_far),
        cmocka_unit_test(an_endless_iteration_keeps_little),
        cmocka_unit_test(unordered_results_come_as_they_came),
        cmocka_unit_test(large_results_narrow_what_is_ahead),
        cmocka_unit_test(a_left_iteration_puts_no_more),
        cmocka_unit_test(an_ended_job_fails_what_is_open_in_its_words),
        cmocka_unit_test(a_refused_put_ends_the_job),
        cmocka_unit_test(a_dead_link_ends_all_errands),
        cmocka_unit_test(without_an_agent_it_ends_in_time),
        cmocka_unit_test(a_result_renews_the_patience),
        cmocka_unit_test(who_watches_has_all_results_as_they_come),
        cmocka_unit_test(who_watches_in_order_waits_for_the_first),
        cmocka_unit_test(slow_watcher_stops_the_manager),
        cmocka_unit_test(end_of_the_job_ends_who_watches),
        cmocka_unit_test(a_list_that_was_given_away_can_grow),
        cmocka_unit_test(too_large_an_item_is_refused),
        cmocka_unit_test(every_error_arrives_as_it_was_said),
    };

    return cmocka_run_group_tests_name("work", tests, NULL, NULL);
}
