/* A client's link and a manager that says what none of ours says: it connects again, or ends in words. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/lib/stage.h"

int test_link(void);

static struct rv_request *ask(struct stage *s)
{
    struct rv_request *call = rv_link_read(&s->link, RV_OP_ping, 0, rv_slice(NULL, 0));

    assert_non_null(call);
    return call;
}

static void hear_frame(struct stage *s, uint8_t bodies, uint64_t first, uint64_t ack,
                       struct rv_slice messages)
{
    struct rv_buf frame = {0};
    uint8_t head[RV_FRAME_HEADER];

    rv_frame_encode(head, &(struct rv_frame){.bodies = bodies, .first = first, .ack = ack});
    rv_buf_add(&frame, head, sizeof head);
    rv_buf_add(&frame, messages.data, messages.len);
    rv_link_receive(&s->link, s->now, rv_buf_slice(&frame), NULL, 0);
    rv_buf_free(&frame);
}

static void refuse(struct stage *s, reeve_err error, const char *why)
{
    stage_say(s,
              &(struct rv_msg){.type = RV_MSG_refuse,
                               .refuse = {.error = (uint32_t)error, .text = rv_slice_str(why)}},
              NULL, 0);
}

/* It hangs up, and is there again. */
static void connect_again(struct stage *s)
{
    assert_int_equal(s->link.state, RV_LINK_IDLE);
    assert_int_equal(rv_link_want(&s->link, s->now), RV_WANT_CLOSE);
    rv_link_closed(&s->link);
    s->now = s->link.retry_at;
    assert_int_equal(rv_link_want(&s->link, s->now), RV_WANT_CONNECT);
    rv_link_connecting(&s->link, s->now);
    rv_link_connected(&s->link, s->now);
    (void)stage_hear(s);
}

static void frame_that_is_none_ends_the_connection_alone(void **state)
{
    static const struct {
        uint8_t bodies;
        uint64_t first, ack;
        struct rv_slice messages;
    } odd[] = {
        {1, 0, 0, {(const uint8_t *)"", 0}},               /* whose bodies did not come */
        {0, 2, 0, {(const uint8_t *)"", 0}},               /* one is missing */
        {0, 0, 9, {(const uint8_t *)"", 0}},               /* we never said that */
        {0, 0, 0, {(const uint8_t *)"\0\0", 2}},           /* no whole message */
        {0, 0, 0, {(const uint8_t *)"\0\0\0\x01\x63", 5}}, /* one that nobody knows */
        {0, 0, 0, {(const uint8_t *)"\0\0\0\x09\x04\0\0\0\0\0\0\0\x05", 13}}, /* a beat too far */
        {0, 1, 0, {(const uint8_t *)"\0\0\0\x01\x13", 5}}, /* what only clients say: goodbye */
    };

    (void)state;
    for (size_t i = 0; i < rv_countof(odd); i++) {
        struct stage s;
        struct rv_request *call = NULL;

        stage_begin(&s);
        call = ask(&s);
        (void)stage_hear(&s);
        hear_frame(&s, odd[i].bodies, odd[i].first, odd[i].ack, odd[i].messages);
        assert_int_equal(s.link.state, RV_LINK_IDLE);
        assert_false(call->done); /* it is asked again */
        connect_again(&s);
        stage_end(&s);
        rv_request_free(&s.link, call);
    }
}

static void other_version_is_the_end(void **state)
{
    static const uint8_t head[RV_FRAME_HEADER] = {RV_FRAME_MAGIC, RV_WIRE_MAJOR + 1};
    struct stage s;

    (void)state;
    stage_begin(&s);
    rv_link_receive(&s.link, s.now, rv_slice(head, sizeof head), NULL, 0);
    assert_int_equal(s.link.state, RV_LINK_DEAD);
    assert_int_equal(s.link.error, REEVE_EVERSION);
    rv_link_receive(&s.link, s.now, rv_slice(head, sizeof head), NULL, 0); /* nobody listens */
    rv_link_die(&s.link, s.now, REEVE_ELOST, "once more");
    assert_int_equal(s.link.error, REEVE_EVERSION);
    stage_end(&s);
}

/* It may be a connection's mistake; five times it is ours. */
static void manager_that_refuses_again_and_again_is_believed(void **state)
{
    struct stage s;

    (void)state;
    stage_begin(&s);
    for (int i = 1; i < 5; i++) {
        refuse(&s, REEVE_EPROTO, "malformed message");
        connect_again(&s);
    }
    refuse(&s, REEVE_EPROTO, "malformed message");
    assert_int_equal(s.link.state, RV_LINK_DEAD);
    assert_int_equal(s.link.error, REEVE_EPROTO);
    assert_string_equal(s.link.why, "malformed message");
    assert_null(rv_link_read(&s.link, RV_OP_ping, 0, rv_slice(NULL, 0)));
    assert_false(rv_link_say(&s.link, RV_OP_object_close, 1, rv_slice(NULL, 0)));
    rv_link_goodbye(&s.link);
    rv_link_ended(&s.link, s.now, RV_END_LOST);
    rv_link_tick(&s.link, s.now);
    assert_int_equal(rv_link_deadline(&s.link), RV_NEVER);
    stage_end(&s);
}

/* More questions than a frame may have go in two. */
static void frame_has_so_many_questions(void **state)
{
    static struct rv_request *calls[RV_LIMIT_READS + 1];
    struct stage s;
    struct rv_link_frame out;

    (void)state;
    stage_begin(&s);
    for (size_t i = 0; i < rv_countof(calls); i++)
        calls[i] = ask(&s);
    assert_true(rv_link_transmit(&s.link, s.now, &out));
    assert_int_equal(s.link.sending_reads, RV_LIMIT_READS);
    rv_link_sent(&s.link, s.now, true);
    assert_true(rv_link_transmit(&s.link, s.now, &out));
    assert_int_equal(s.link.sending_reads, 1);
    rv_link_sent(&s.link, s.now, true);
    assert_false(rv_link_transmit(&s.link, s.now, &out));
    stage_end(&s);
    for (size_t i = 0; i < rv_countof(calls); i++) {
        assert_true(calls[i]->done && calls[i]->error == REEVE_ECLOSED);
        rv_request_free(&s.link, calls[i]);
    }
}

/* So many messages may be on their way without an acknowledgement; the rest waits for it. */
static void window_has_so_many_messages(void **state)
{
    struct stage s;

    (void)state;
    stage_begin(&s);
    for (int i = 0; i < RV_LIMIT_WINDOW_MESSAGES; i++)
        assert_true(rv_link_say(&s.link, RV_OP_object_close, 1, rv_slice(NULL, 0)));
    assert_false(rv_link_room(&s.link, 1));
    assert_true(rv_link_say(&s.link, RV_OP_object_close, 1, rv_slice(NULL, 0)));
    assert_true(stage_hear(&s) >= RV_LIMIT_WINDOW_MESSAGES);
    assert_false(rv_link_ready(&s.link));
    assert_true(rv_link_say(&s.link, RV_OP_object_close, 1, rv_slice(NULL, 0)));
    assert_int_equal(stage_hear(&s), 0);
    hear_frame(&s, 0, 0, 100, rv_slice(NULL, 0));
    assert_true(stage_hear(&s) > 0);
    stage_end(&s);
}

int test_link(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(frame_that_is_none_ends_the_connection_alone),
        cmocka_unit_test(other_version_is_the_end),
        cmocka_unit_test(manager_that_refuses_again_and_again_is_believed),
        cmocka_unit_test(frame_has_so_many_questions),
        cmocka_unit_test(window_has_so_many_messages),
    };

    return cmocka_run_group_tests_name("link", tests, NULL, NULL);
}
