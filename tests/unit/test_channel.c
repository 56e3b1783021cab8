/* The client's half of a queue: puts and items on their way, whatever the manager says. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "proxy/core/channel.h"
#include "tests/lib/stage.h"

int test_channel(void);

enum { QUEUE = 7, OTHER = 8 };

static void begin(struct stage *s, struct rv_channel *ch)
{
    stage_begin(s);
    assert_int_equal(rv_channel_init(ch, &s->link, QUEUE, 0, true, true), REEVE_OK);
}

static void end(struct stage *s, struct rv_channel *ch)
{
    rv_channel_fini(ch);
    rv_channel_fini(ch); /* twice is fine */
    stage_end(s);
}

static reeve_err put(struct stage *s, struct rv_channel *ch, const void *bytes, size_t len)
{
    return rv_channel_put(ch, s->now, rv_slice(bytes, len), 0);
}

static struct rv_items items_of(struct rv_buf *room, uint32_t count)
{
    rv_buf_clear(room);
    for (uint32_t i = 0; i < count; i++)
        rv_item_write(room, &(struct rv_item){.len = 1, .bytes = rv_slice("x", 1)});
    return (struct rv_items){count, rv_buf_slice(room)};
}

/* ---- puts ---- */

static void message_takes_so_many_items(void **state)
{
    struct stage s;
    struct rv_channel ch;
    struct rv_queue_put_args args;

    (void)state;
    begin(&s, &ch);
    for (int i = 0; i < RV_LIMIT_PUT_ITEMS + 1; i++)
        assert_int_equal(put(&s, &ch, "x", 1), REEVE_OK);
    assert_int_equal(stage_hear(&s), 2);
    assert_true(rv_queue_put_args_decode(&args, rv_buf_slice(&s.args)));
    assert_int_equal(args.items.count, 1); /* the last one is in the second */
    assert_int_equal(ch.puts_in_flight, RV_LIMIT_PUT_ITEMS + 1);
    end(&s, &ch);
}

/* What is larger than the window goes when nothing else is on its way. */
static void window_takes_one_large_item(void **state)
{
    struct stage s;
    struct rv_channel ch;
    size_t len = RV_LIMIT_WINDOW_BYTES + 1;
    uint8_t *bytes = calloc(1, RV_LIMIT_ITEM_BYTES + 1);

    (void)state;
    begin(&s, &ch);
    assert_non_null(bytes);
    assert_int_equal(put(&s, &ch, bytes, RV_LIMIT_ITEM_BYTES + 1), REEVE_ETOOBIG);
    assert_int_equal(rv_channel_put_async(&ch, rv_slice(bytes, RV_LIMIT_ITEM_BYTES + 1),
                                          rv_slice(NULL, 0), 0, 1000),
                     REEVE_ETOOBIG);
    assert_int_equal(ch.puts_in_flight, 0);
    assert_int_equal(put(&s, &ch, bytes, len), REEVE_OK);
    assert_int_equal(put(&s, &ch, "x", 1), REEVE_ELIMIT);
    assert_int_equal(rv_channel_put_async(&ch, rv_slice("x", 1), rv_slice(NULL, 0), 0, 1000),
                     REEVE_ELIMIT);
    free(bytes);
    end(&s, &ch);
}

static void call_takes_so_many_items(void **state)
{
    static struct rv_slice items[RV_LIMIT_PUT_ITEMS + 1];
    struct stage s;
    struct rv_channel ch;
    struct rv_request *call = NULL;
    size_t used = 0;

    (void)state;
    begin(&s, &ch);
    for (size_t i = 0; i < rv_countof(items); i++)
        items[i] = rv_slice("x", 1);
    call = rv_channel_put_call(&ch, items, NULL, rv_countof(items), 0, 1000, &used);
    assert_non_null(call);
    assert_int_equal(used, RV_LIMIT_PUT_ITEMS);
    rv_link_abandon(&s.link, call);
    end(&s, &ch);
}

/* The words of a refusal are kept as far as there is room, by the handle or, when that is closed, by the link. */
static void refusal_of_a_put_is_told_later(void **state)
{
    char longest[400];
    char why[160];

    (void)state;
    memset(longest, 'x', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    for (int closed = 0; closed < 2; closed++) {
        struct stage s;
        struct rv_channel ch;
        uint64_t call = 0;

        begin(&s, &ch);
        assert_int_equal(put(&s, &ch, "x", 1), REEVE_OK);
        call = ch.open;
        (void)stage_hear(&s);
        if (closed)
            rv_channel_fini(&ch);
        stage_reply(&s, call, REEVE_ESHUTDOWN, longest, rv_slice(NULL, 0));
        if (closed) {
            assert_int_equal(s.link.failed, REEVE_ESHUTDOWN);
            assert_int_equal(strlen(s.link.failed_why), 150);
        } else {
            assert_int_equal(put(&s, &ch, "x", 1), REEVE_ESHUTDOWN);
            assert_int_equal(
                rv_channel_put_async(&ch, rv_slice("x", 1), rv_slice(NULL, 0), 0, 1000),
                REEVE_ESHUTDOWN);
            assert_int_equal(rv_channel_failure(&ch, why, sizeof why), REEVE_ESHUTDOWN);
            assert_int_equal(strlen(why), 150);
            assert_int_equal(rv_channel_failure(&ch, why, sizeof why), REEVE_OK);
        }
        end(&s, &ch);
    }
}

/* ---- gets ---- */

static void answer_that_is_none_is_EPROTO(void **state)
{
    struct stage s;
    struct rv_channel ch;
    struct rv_request *call = NULL;
    struct rv_handed handed;

    (void)state;
    begin(&s, &ch);
    call = rv_channel_get_call(&ch, s.now, 1, 1000);
    stage_reply(&s, call->number, REEVE_OK, NULL, rv_slice("\x01", 1));
    assert_true(call->done);
    assert_int_equal(call->error, REEVE_EPROTO);
    assert_false(rv_channel_pop(&ch, s.now, &handed));
    rv_request_free(&s.link, call);
    end(&s, &ch);
}

/* The cancel on its way takes back what the answer brings; of a closed handle, the close does. */
static void items_that_nobody_waits_for_are_skipped(void **state)
{
    (void)state;
    for (int closed = 0; closed < 2; closed++) {
        struct stage s;
        struct rv_channel ch;
        struct rv_request *call = NULL;
        struct rv_buf room = {0};
        struct rv_buf result = {0};

        begin(&s, &ch);
        call = rv_channel_get_call(&ch, s.now, 1, 1000);
        if (closed)
            rv_channel_fini(&ch);
        else
            rv_link_abandon(&s.link, call);
        rv_queue_get_result_encode(
            &result, &(struct rv_queue_get_result){.first = 1, .items = items_of(&room, 2)});
        stage_reply(&s, call->number, REEVE_OK, NULL, rv_buf_slice(&result));
        assert_int_equal(s.link.state, RV_LINK_READY);
        if (closed)
            rv_request_free(&s.link, call);
        else
            assert_int_equal(ch.buffered, 0);
        rv_buf_free(&room);
        rv_buf_free(&result);
        end(&s, &ch);
    }
}

static void grant_that_is_none_brings_nothing(void **state)
{
    struct stage s;
    struct rv_channel ch;
    struct rv_buf room = {0};
    struct rv_buf args = {0};

    (void)state;
    begin(&s, &ch);
    rv_queue_grant_args_encode(&args, &(struct rv_queue_grant_args){.first = 1});
    stage_push(&s, RV_OP_queue_grant, QUEUE, rv_buf_slice(&args));
    stage_push(&s, RV_OP_queue_grant, QUEUE, rv_slice("\x01", 1));
    stage_push(&s, RV_OP_queue_recall, QUEUE, rv_slice("\x01", 1));
    stage_push(&s, RV_OP_lock_recall, QUEUE, rv_slice("\x01", 1));
    assert_int_equal(stage_hear(&s), 0); /* nor is anything given back */
    assert_int_equal(ch.buffered, 0);
    assert_int_equal(ch.seen, 0);
    rv_buf_clear(&args);
    rv_queue_grant_args_encode(
        &args, &(struct rv_queue_grant_args){.first = 1, .items = items_of(&room, 2)});
    stage_push(&s, RV_OP_queue_grant, QUEUE, rv_buf_slice(&args));
    assert_int_equal(ch.buffered, 2);
    rv_buf_free(&room);
    rv_buf_free(&args);
    end(&s, &ch);
}

static void dead_link_says_why(void **state)
{
    struct stage s;
    struct rv_channel ch;

    (void)state;
    begin(&s, &ch);
    rv_link_die(&s.link, s.now, REEVE_ESTALE, "another store");
    assert_int_equal(put(&s, &ch, "x", 1), REEVE_ESTALE);
    assert_int_equal(rv_channel_task_done(&ch, 1), REEVE_ESTALE);
    assert_null(rv_channel_done_call(&ch, 1));
    assert_null(rv_channel_get_call(&ch, s.now, 1, 0));
    end(&s, &ch);
}

/* What was not handed out cannot be done: the manager would not know of it. */
static void item_that_was_not_had_is_not_done(void **state)
{
    struct stage s;
    struct rv_channel ch;

    (void)state;
    begin(&s, &ch);
    assert_int_equal(rv_channel_task_done(&ch, 1), REEVE_ENOMEM);
    assert_null(rv_channel_done_call(&ch, 1));
    assert_int_equal(stage_hear(&s), 0);
    end(&s, &ch);
}

static void nothing_to_hear(struct rv_port *port, rv_ns now, const struct rv_push *push,
                            const struct rv_slice *bodies, size_t bodies_len, size_t *frames)
{
    (void)port;
    (void)now;
    (void)push;
    (void)bodies;
    (void)bodies_len;
    (void)frames;
}

static void channels_are_found_among_other_ports(void **state)
{
    static const struct rv_port_ops other_ops = {.push = nothing_to_hear};
    struct rv_port other = {.object = OTHER, .ops = &other_ops, .tick_at = RV_NEVER};
    struct stage s;
    struct rv_channel ch;
    struct rv_channel second;

    (void)state;
    begin(&s, &ch);
    assert_true(rv_link_add_port(&s.link, &other));
    assert_int_equal(rv_channel_init(&second, &s.link, OTHER + 1, 0, false, false), REEVE_OK);
    assert_ptr_equal(rv_channel_of(&s.link, QUEUE), &ch);
    assert_null(rv_channel_of(&s.link, OTHER));
    assert_null(rv_channel_of(&s.link, 99));
    assert_ptr_equal(rv_channel_next(&s.link, NULL), &ch);
    assert_ptr_equal(rv_channel_next(&s.link, &ch), &second);
    assert_null(rv_channel_next(&s.link, &second));
    rv_link_drop_port(&s.link, &other);
    rv_channel_fini(&second);
    end(&s, &ch);
}

int test_channel(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(message_takes_so_many_items),
        cmocka_unit_test(window_takes_one_large_item),
        cmocka_unit_test(call_takes_so_many_items),
        cmocka_unit_test(refusal_of_a_put_is_told_later),
        cmocka_unit_test(answer_that_is_none_is_EPROTO),
        cmocka_unit_test(items_that_nobody_waits_for_are_skipped),
        cmocka_unit_test(grant_that_is_none_brings_nothing),
        cmocka_unit_test(dead_link_says_why),
        cmocka_unit_test(item_that_was_not_had_is_not_done),
        cmocka_unit_test(channels_are_found_among_other_ports),
    };

    return cmocka_run_group_tests_name("channel", tests, NULL, NULL);
}
