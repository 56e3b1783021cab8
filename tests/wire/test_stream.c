/* One direction of a session keeps what was not acknowledged, in order, and can send it again from
 * any point; the other end puts fragments together and nothing else. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/base/rng.h"
#include "common/wire/stream.h"

int test_stream(void);

/* ---- helpers ---- */

/* A message that tells its number, of any length. */
static uint64_t add(struct rv_stream *s, size_t len, struct rv_body *const *bodies,
                    size_t bodies_len)
{
    static uint8_t bytes[RV_LIMIT_BATCH_BYTES + 1];
    uint64_t number = s->next;
    struct rv_msg msg = {.type = RV_MSG_call,
                         .call = {.op = 1, .object = number, .args = rv_slice(bytes, len)}};

    assert_int_equal(rv_stream_add(s, &msg, bodies, bodies_len), number);
    return number;
}

static struct rv_body *body_of(size_t len, uint8_t byte)
{
    struct rv_body *body = rv_body_new(len);

    assert_non_null(body);
    memset(body->data, byte, len);
    return body;
}

/* What a frame of the stream holds. */
struct shot {
    uint64_t behind; /* number behind the last message */
    uint64_t first;
    uint64_t count;
    size_t extra; /* unnumbered messages before the others */
    size_t bytes; /* of the control frame */
    struct rv_slice bodies[RV_LIMIT_BODIES];
    size_t bodies_len;
};

static struct shot shoot(const struct rv_stream *s, uint64_t from, struct rv_slice extra)
{
    struct shot shot = {0};
    struct rv_buf out = {0};
    struct rv_frame frame;
    struct rv_reader r;
    struct rv_msg msg;
    bool version = false;

    shot.behind = rv_stream_frame(s, from, 77, extra, &out, shot.bodies, &shot.bodies_len);
    assert_true(rv_frame_decode(&frame, rv_buf_slice(&out), &version));
    assert_int_equal(frame.ack, 77);
    assert_int_equal(frame.bodies, shot.bodies_len);
    shot.first = frame.first;
    shot.bytes = out.len;
    r = rv_reader(frame.messages);
    while (rv_frame_next(&r, &msg)) {
        if (!rv_msg_numbered(msg.type)) {
            assert_int_equal(shot.count, 0); /* they go first */
            shot.extra++;
            continue;
        }
        if (msg.type == RV_MSG_call)
            assert_int_equal(msg.call.object, frame.first + shot.count);
        shot.count++;
    }
    assert_false(r.bad);
    assert_int_equal(shot.behind, from + shot.count);
    assert_int_equal(shot.first, shot.count > 0 ? from : 0);
    rv_buf_free(&out);
    return shot;
}

static const struct rv_slice no_extra = {NULL, 0};

/* ---- numbers, acknowledgements, frames ---- */

static void messages_are_numbered_from_one(void **state)
{
    struct rv_stream s;

    (void)state;
    rv_stream_init(&s);
    assert_int_equal(rv_stream_bytes(&s), 0);
    assert_int_equal(add(&s, 3, NULL, 0), 1);
    assert_int_equal(add(&s, 0, NULL, 0), 2);
    assert_int_equal(s.first, 1);
    assert_int_equal(s.next, 3);
    assert_int_equal(rv_stream_bytes(&s), rv_stream_bytes_from(&s, 1));
    assert_int_equal(rv_stream_bytes_from(&s, 3), 0);
    assert_int_equal(rv_stream_bytes_from(&s, 1) - rv_stream_bytes_from(&s, 2),
                     3 + rv_stream_bytes_from(&s, 2));
    rv_stream_fini(&s);
}

static void what_was_never_sent_is_not_acknowledged(void **state)
{
    struct rv_stream s;

    (void)state;
    rv_stream_init(&s);
    assert_true(rv_stream_ack(&s, 0));
    assert_false(rv_stream_ack(&s, 1));
    for (int i = 0; i < 5; i++)
        add(&s, 10, NULL, 0);
    assert_false(rv_stream_ack(&s, 6));
    assert_false(rv_stream_ack(&s, UINT64_MAX));
    assert_true(rv_stream_ack(&s, 3));
    assert_true(rv_stream_ack(&s, 3)); /* again */
    assert_true(rv_stream_ack(&s, 1)); /* an old one */
    assert_int_equal(s.first, 4);
    assert_int_equal(rv_stream_bytes(&s), rv_stream_bytes_from(&s, 4));
    assert_true(rv_stream_ack(&s, 5));
    assert_int_equal(rv_stream_bytes(&s), 0);
    assert_int_equal(add(&s, 1, NULL, 0), 6);
    rv_stream_fini(&s);
}

static void it_is_sent_again_from_any_point(void **state)
{
    struct rv_stream s;

    (void)state;
    rv_stream_init(&s);
    for (uint64_t i = 1; i <= 20; i++)
        add(&s, (size_t)i, NULL, 0);
    assert_true(rv_stream_ack(&s, 4));
    for (uint64_t from = 5; from <= 21; from++) {
        struct shot shot = shoot(&s, from, no_extra);

        assert_int_equal(shot.count, 21 - from);
        assert_int_equal(shot.bytes, RV_FRAME_HEADER + rv_stream_bytes_from(&s, from));
    }
    rv_stream_fini(&s);
}

static void unnumbered_messages_go_first(void **state)
{
    struct rv_stream s;
    struct rv_buf extra = {0};
    struct shot shot;

    (void)state;
    rv_stream_init(&s);
    rv_msg_encode(&extra, &(struct rv_msg){.type = RV_MSG_beat, .beat = {.sent = 9}});
    shot = shoot(&s, 1, rv_buf_slice(&extra));
    assert_int_equal(shot.extra, 1);
    assert_int_equal(shot.count, 0);
    add(&s, 5, NULL, 0);
    shot = shoot(&s, 1, rv_buf_slice(&extra));
    assert_int_equal(shot.extra, 1);
    assert_int_equal(shot.count, 1);
    rv_buf_free(&extra);
    rv_stream_fini(&s);
}

static void an_empty_frame_only_acknowledges(void **state)
{
    struct rv_stream s;
    struct shot shot;

    (void)state;
    rv_stream_init(&s);
    shot = shoot(&s, 1, no_extra);
    assert_int_equal(shot.bytes, RV_FRAME_HEADER);
    assert_int_equal(shot.first, 0);
    rv_stream_fini(&s);
}

/* ---- how much a frame holds ---- */

static void a_frame_is_a_batch(void **state)
{
    struct rv_stream s;
    struct shot shot;
    size_t each = 0;

    (void)state;
    rv_stream_init(&s);
    for (int i = 0; i < 3000; i++)
        add(&s, 200, NULL, 0);
    each = rv_stream_bytes_from(&s, 3000);
    shot = shoot(&s, 1, no_extra);
    assert_int_equal(shot.count, RV_LIMIT_BATCH_BYTES / each);
    /* All of them arrive in frames that follow each other. */
    for (uint64_t from = 1; from < s.next; from = shot.behind) {
        shot = shoot(&s, from, no_extra);
        assert_true(shot.count > 0);
        assert_true(shot.bytes <= RV_FRAME_HEADER + RV_LIMIT_BATCH_BYTES);
    }
    rv_stream_fini(&s);
}

static void a_message_larger_than_a_batch_goes_alone(void **state)
{
    struct rv_stream s;

    (void)state;
    rv_stream_init(&s);
    add(&s, RV_LIMIT_BATCH_BYTES + 1, NULL, 0);
    add(&s, 1, NULL, 0);
    add(&s, RV_LIMIT_BATCH_BYTES + 1, NULL, 0);
    assert_int_equal(shoot(&s, 1, no_extra).count, 1);
    assert_int_equal(shoot(&s, 2, no_extra).count, 1);
    assert_int_equal(shoot(&s, 3, no_extra).count, 1);
    rv_stream_fini(&s);
}

static void a_frame_has_sixteen_bodies(void **state)
{
    struct rv_stream s;
    struct rv_body *small = body_of(10, 1);
    struct rv_body *several[RV_LIMIT_BODIES];
    struct shot shot;

    (void)state;
    rv_stream_init(&s);
    for (int i = 0; i < RV_LIMIT_BODIES + 4; i++)
        add(&s, 1, &small, 1);
    shot = shoot(&s, 1, no_extra);
    assert_int_equal(shot.count, RV_LIMIT_BODIES);
    assert_int_equal(shot.bodies_len, RV_LIMIT_BODIES);
    shot = shoot(&s, RV_LIMIT_BODIES + 1, no_extra);
    assert_int_equal(shot.bodies_len, 4);
    /* A message is not torn from its bodies. */
    for (size_t i = 0; i < RV_LIMIT_BODIES; i++)
        several[i] = small;
    add(&s, 1, several, 13);
    shot = shoot(&s, RV_LIMIT_BODIES + 1, no_extra);
    assert_int_equal(shot.count, 4);
    add(&s, 1, several, RV_LIMIT_BODIES);
    shot = shoot(&s, s.next - 1, no_extra);
    assert_int_equal(shot.bodies_len, RV_LIMIT_BODIES);
    rv_body_drop(small);
    rv_stream_fini(&s);
}

static void a_frame_has_one_large_body(void **state)
{
    struct rv_stream s;
    struct rv_body *large = body_of(RV_LIMIT_BODY_BYTES, 1);
    struct shot shot;

    (void)state;
    rv_stream_init(&s);
    add(&s, 1, &large, 1);
    add(&s, 1, NULL, 0);
    add(&s, 1, &large, 1);
    shot = shoot(&s, 1, no_extra);
    assert_int_equal(shot.count, 2); /* what has no body still fits */
    assert_int_equal(shot.bodies_len, 1);
    rv_body_drop(large);
    rv_stream_fini(&s);
}

static void bodies_live_as_long_as_their_message(void **state)
{
    struct rv_stream s;
    struct rv_body *bodies[2] = {body_of(100, 7), body_of(50, 8)};
    struct shot shot;

    (void)state;
    rv_stream_init(&s);
    add(&s, 1, bodies, 2);
    add(&s, 1, NULL, 0);
    add(&s, 1, bodies, 1);
    assert_int_equal(bodies[0]->refs, 3);
    assert_int_equal(bodies[1]->refs, 2);
    rv_body_drop(bodies[1]); /* the stream's now */
    shot = shoot(&s, 1, no_extra);
    assert_int_equal(shot.bodies_len, 3);
    assert_int_equal(shot.bodies[0].len, 100);
    assert_int_equal(shot.bodies[1].len, 50);
    assert_int_equal(shot.bodies[1].data[49], 8);
    assert_int_equal(shot.bodies[2].data[99], 7);
    assert_int_equal(rv_stream_bytes(&s), rv_stream_bytes_from(&s, 1));
    /* Messages 1 and 2 are of one size, but for the bodies. */
    assert_int_equal(rv_stream_bytes_from(&s, 1) - rv_stream_bytes_from(&s, 2),
                     rv_stream_bytes_from(&s, 2) - rv_stream_bytes_from(&s, 3) + 150);
    assert_true(rv_stream_ack(&s, 2));
    assert_int_equal(bodies[0]->refs, 2);
    assert_int_equal(shoot(&s, 3, no_extra).bodies_len, 1);
    assert_true(rv_stream_ack(&s, 3));
    assert_int_equal(bodies[0]->refs, 1);
    rv_body_drop(bodies[0]);
    rv_stream_fini(&s);
}

/* ---- the last message grows ---- */

static void the_last_message_grows(void **state)
{
    struct rv_stream s;
    struct rv_reader r;
    struct rv_msg msg;
    uint8_t *last = NULL;
    size_t len = 0;
    size_t before = 0;

    (void)state;
    rv_stream_init(&s);
    add(&s, 0, NULL, 0);
    add(&s, 0, NULL, 0);
    before = rv_stream_bytes(&s);
    for (int i = 0; i < 1000; i++) {
        uint8_t *room = rv_stream_grow_last(&s, 1);

        assert_non_null(room);
        *room = (uint8_t)i;
    }
    assert_int_equal(rv_stream_bytes(&s), before + 1000);
    last = rv_stream_last(&s, &len);
    assert_int_equal(len, rv_stream_bytes_from(&s, 2));
    /* Who grows a message mends its lengths: its own, and here that of the arguments. */
    rv_set_number(last, len - 4, 4);
    rv_set_number(last + len - 1004, 1000, 4);
    r = rv_reader(rv_slice(last, len));
    assert_true(rv_frame_next(&r, &msg));
    assert_int_equal(msg.call.object, 2);
    assert_int_equal(msg.call.args.len, 1000);
    assert_int_equal(msg.call.args.data[999], 999 % 256);
    assert_int_equal(shoot(&s, 1, no_extra).count, 2);
    assert_int_equal(add(&s, 5, NULL, 0), 3);
    assert_int_equal(shoot(&s, 1, no_extra).count, 3);
    rv_stream_fini(&s);
}

/* ---- a long life, against a model ---- */

enum { LONG = 100000, WINDOW = 600 };

struct model {
    uint64_t first, next;
    size_t lens[WINDOW];   /* of message i at i % WINDOW */
    size_t bodies[WINDOW]; /* how many */
    size_t sent;           /* references to the one body that they all use */
};

static void assert_like(const struct rv_stream *s, const struct model *m,
                        const struct rv_body *body)
{
    size_t bytes = 0;

    assert_true(s->first == m->first && s->next == m->next);
    for (uint64_t i = m->first; i < m->next; i++)
        bytes += m->lens[i % WINDOW] + m->bodies[i % WINDOW] * body->len;
    assert_int_equal(rv_stream_bytes(s), bytes);
    assert_int_equal(body->refs, 1 + m->sent);
}

static void a_long_life_is_like_the_model(void **state)
{
    struct rv_rng rng = {.state = 4711};
    struct rv_body *body = body_of(9, 3);
    struct rv_body *bodies[3] = {body, body, body};
    struct model m = {.first = 1, .next = 1};
    struct rv_stream s;
    size_t most = 0;

    (void)state;
    rv_stream_init(&s);
    while (m.next <= LONG) {
        uint64_t kept = m.next - m.first;
        uint64_t what = rv_rng_below(&rng, 100);

        if (what < 70 && kept < WINDOW) {
            size_t before = rv_stream_bytes(&s);
            size_t with = rv_rng_below(&rng, 4) == 0 ? (size_t)rv_rng_below(&rng, 4) : 0;

            add(&s, (size_t)rv_rng_below(&rng, 300), bodies, with);
            m.bodies[m.next % WINDOW] = with;
            m.lens[m.next % WINDOW] = rv_stream_bytes(&s) - before - with * body->len;
            m.sent += with;
            m.next++;
        } else if (what < 71) {
            rv_stream_trim(&s);
        } else if (what < 90 && kept > 0) {
            uint64_t upto = m.first + rv_rng_below(&rng, kept);

            for (; m.first <= upto; m.first++)
                m.sent -= m.bodies[m.first % WINDOW];
            assert_true(rv_stream_ack(&s, upto));
        } else {
            uint64_t from = m.first + rv_rng_below(&rng, kept + 1);
            struct shot shot = shoot(&s, from, no_extra);
            size_t with = 0;

            for (uint64_t i = from; i < shot.behind; i++)
                with += m.bodies[i % WINDOW];
            assert_int_equal(shot.bodies_len, with);
            assert_like(&s, &m, body);
        }
        most = s.bytes.cap > most ? s.bytes.cap : most;
    }
    /* Spent bytes were given back all the time. */
    assert_true(most <= 4 * WINDOW * 400);
    assert_true(rv_stream_ack(&s, m.next - 1));
    assert_int_equal(body->refs, 1);
    assert_int_equal(rv_stream_bytes(&s), 0);
    rv_body_drop(body);
    rv_stream_fini(&s);
}

static void an_idle_stream_gives_its_memory_back(void **state)
{
    struct rv_body *body = body_of(9, 3);
    struct rv_stream s;

    (void)state;
    rv_stream_init(&s);
    for (uint64_t last = 50; last <= 150; last += 50) {
        while (s.next <= last)
            add(&s, 100, &body, 1);
        rv_stream_trim(&s); /* not yet */
        assert_int_equal(shoot(&s, s.first, no_extra).bodies_len, RV_LIMIT_BODIES);
        assert_true(rv_stream_ack(&s, last));
        rv_stream_trim(&s);
        assert_null(s.bytes.data);
        assert_null(s.entries);
        assert_null(s.bodies);
        assert_int_equal(rv_stream_bytes(&s), 0);
        assert_int_equal(shoot(&s, s.next, no_extra).bytes, RV_FRAME_HEADER);
        assert_int_equal(body->refs, 1);
    }
    assert_int_equal(s.next, 151);
    rv_stream_fini(&s);
    rv_body_drop(body);
}

static void a_stream_ends_with_all_that_it_keeps(void **state)
{
    struct rv_body *body = body_of(9, 3);
    struct rv_stream s;

    (void)state;
    rv_stream_init(&s);
    for (int i = 0; i < 100; i++)
        add(&s, 100, &body, 1);
    assert_true(rv_stream_ack(&s, 30));
    rv_stream_fini(&s);
    assert_int_equal(body->refs, 1);
    rv_body_drop(body);
}

/* ---- fragments ---- */

/* All fragments in the stream go to the other end. */
static void deliver(const struct rv_stream *s, struct rv_assembly *a)
{
    struct shot shot;

    for (uint64_t from = s->first; from < s->next; from = shot.behind) {
        struct rv_buf out = {0};
        struct rv_frame frame;
        struct rv_reader r;
        struct rv_msg msg;
        bool version = false;
        size_t used = 0;

        shot.behind = rv_stream_frame(s, from, 0, no_extra, &out, shot.bodies, &shot.bodies_len);
        assert_true(rv_frame_decode(&frame, rv_buf_slice(&out), &version));
        r = rv_reader(frame.messages);
        while (rv_frame_next(&r, &msg)) {
            assert_int_equal(msg.type, RV_MSG_fragment);
            assert_true(rv_assembly_add(a, &msg.fragment, shot.bodies[used++]));
        }
        assert_int_equal(used, shot.bodies_len);
        rv_buf_free(&out);
    }
}

static void a_large_body_arrives_in_fragments(void **state)
{
    static const size_t lens[] = {RV_LIMIT_BODY_BYTES + 1, 3 * RV_LIMIT_BODY_BYTES,
                                  3 * RV_LIMIT_BODY_BYTES + 17, RV_LIMIT_ITEM_BYTES};

    (void)state;
    for (size_t i = 0; i < rv_countof(lens); i++) {
        struct rv_body *body = rv_body_new(lens[i]);
        struct rv_body *got = NULL;
        struct rv_assembly a = {0};
        struct rv_stream s;

        for (size_t at = 0; at < lens[i]; at++)
            body->data[at] = (uint8_t)(at * 31 >> 5);
        rv_stream_init(&s);
        assert_true(rv_stream_add_fragments(&s, 5, body));
        deliver(&s, &a);
        assert_int_equal(a.bytes, lens[i]);
        assert_null(rv_assembly_take(&a, 4, lens[i]));
        assert_null(rv_assembly_take(&a, 5, lens[i] - 1));
        got = rv_assembly_take(&a, 5, lens[i]);
        assert_non_null(got);
        assert_int_equal(got->len, lens[i]);
        assert_memory_equal(got->data, body->data, lens[i]);
        assert_int_equal(a.bytes, 0);
        assert_null(rv_assembly_take(&a, 5, lens[i])); /* only once */
        rv_body_drop(got);
        rv_body_drop(body);
        rv_assembly_fini(&a);
        rv_stream_fini(&s);
    }
}

static uint8_t payload[RV_LIMIT_BODY_BYTES + 1];

static bool fragment(struct rv_assembly *a, uint64_t body, uint32_t offset, uint32_t total,
                     size_t len)
{
    struct rv_fragment f = {.body = body, .offset = offset, .total = total};

    return rv_assembly_add(a, &f, rv_slice(payload, len));
}

static void fragments_come_in_order_or_not_at_all(void **state)
{
    enum { TOTAL = 600000, PART = 200000 };
    struct rv_assembly a = {0};
    struct rv_body *body = NULL;

    (void)state;
    assert_false(fragment(&a, 1, PART, TOTAL, PART)); /* no beginning */
    assert_true(fragment(&a, 1, 0, TOTAL, PART));
    assert_false(fragment(&a, 1, 0, TOTAL, PART));              /* begun already */
    assert_false(fragment(&a, 1, PART + 1, TOTAL, PART));       /* a gap */
    assert_false(fragment(&a, 1, PART, TOTAL + 1, PART));       /* another total */
    assert_false(fragment(&a, 1, PART, TOTAL, 0));              /* nothing */
    assert_false(fragment(&a, 1, PART, TOTAL, sizeof payload)); /* too large */
    assert_false(fragment(&a, 2, PART, TOTAL, PART));           /* another body */
    assert_true(fragment(&a, 1, PART, TOTAL, PART));
    assert_null(rv_assembly_take(&a, 1, TOTAL));              /* incomplete */
    assert_false(fragment(&a, 1, 2 * PART, TOTAL, PART + 1)); /* more than announced */
    assert_true(fragment(&a, 1, 2 * PART, TOTAL, PART));
    assert_false(fragment(&a, 1, 3 * PART, TOTAL, 1)); /* complete */
    body = rv_assembly_take(&a, 1, TOTAL);
    assert_non_null(body);
    rv_body_drop(body);
    rv_assembly_fini(&a);
}

static void bodies_are_assembled_side_by_side(void **state)
{
    enum { TOTAL = 300000, PART = 150000 };
    struct rv_assembly a = {0};

    (void)state;
    for (uint64_t body = 1; body <= 5; body++)
        assert_true(fragment(&a, body, 0, TOTAL, PART));
    for (uint64_t body = 5; body >= 1; body--)
        assert_true(fragment(&a, body, PART, TOTAL, PART));
    for (uint64_t body = 2; body <= 5; body += 2) {
        struct rv_body *whole = rv_assembly_take(&a, body, TOTAL);

        assert_non_null(whole);
        rv_body_drop(whole);
    }
    assert_int_equal(a.bytes, 3 * TOTAL);
    rv_assembly_fini(&a); /* the rest goes with it */
    assert_int_equal(a.bytes, 0);
}

static void fragments_have_limits(void **state)
{
    struct rv_assembly a = {0};
    struct rv_body *body = NULL;

    (void)state;
    assert_false(fragment(&a, 1, 0, RV_LIMIT_BODY_BYTES, 10)); /* would fit into a body frame */
    assert_false(fragment(&a, 1, 0, 0, 10));
    assert_false(fragment(&a, 1, 0, RV_LIMIT_ITEM_BYTES + 1, 10));
    assert_false(fragment(&a, 1, 0, UINT32_MAX, 10));
    assert_true(fragment(&a, 1, 0, RV_LIMIT_ITEM_BYTES, 10));
    assert_true(fragment(&a, 2, 0, RV_LIMIT_ITEM_BYTES, 10));
    assert_int_equal(a.bytes, RV_LIMIT_ASSEMBLY_BYTES);
    assert_false(fragment(&a, 3, 0, RV_LIMIT_BODY_BYTES + 1, 10)); /* no more for this session */
    assert_true(fragment(&a, 2, 10, RV_LIMIT_ITEM_BYTES, 10));     /* but those begun go on */
    for (uint32_t at = 10; at < RV_LIMIT_ITEM_BYTES; at += RV_LIMIT_BODY_BYTES)
        assert_true(fragment(&a, 1, at, RV_LIMIT_ITEM_BYTES,
                             RV_LIMIT_ITEM_BYTES - at < RV_LIMIT_BODY_BYTES
                                 ? RV_LIMIT_ITEM_BYTES - at
                                 : RV_LIMIT_BODY_BYTES));
    body = rv_assembly_take(&a, 1, RV_LIMIT_ITEM_BYTES);
    assert_non_null(body);
    rv_body_drop(body);
    assert_true(fragment(&a, 3, 0, RV_LIMIT_BODY_BYTES + 1, 10));
    rv_assembly_fini(&a);
}

/* ---- items find their bytes ---- */

static void items_find_their_bytes(void **state)
{
    enum { TOTAL = RV_LIMIT_BODY_BYTES + 5 };
    struct rv_item in_line = {.place = RV_INLINE, .len = 2, .bytes = {(const uint8_t *)"hi", 2}};
    struct rv_item in_body = {.place = RV_BODY, .len = 70000};
    struct rv_item in_parts = {.place = RV_FRAGMENTS, .len = TOTAL, .body = 1};
    struct rv_slice bodies[2] = {{payload, 70000}, {payload, 69999}};
    struct rv_assembly a = {0};
    struct rv_body *body = NULL;
    size_t frames = 0;

    (void)state;
    memset(payload, 5, sizeof payload);
    assert_true(rv_item_receive(&in_line, &a, bodies, 2, &frames, &body));
    assert_null(body);
    assert_int_equal(frames, 0);
    assert_true(rv_item_receive(&in_body, &a, bodies, 2, &frames, &body));
    assert_int_equal(frames, 1);
    assert_int_equal(body->len, 70000);
    assert_int_equal(body->data[69999], 5);
    rv_body_drop(body);
    assert_false(rv_item_receive(&in_body, &a, bodies, 2, &frames, &body)); /* another length */
    assert_null(body);
    frames = 2;
    assert_false(rv_item_receive(&in_body, &a, bodies, 2, &frames, &body));  /* no frame left */
    assert_false(rv_item_receive(&in_parts, &a, bodies, 2, &frames, &body)); /* never sent */
    assert_true(fragment(&a, 1, 0, TOTAL, RV_LIMIT_BODY_BYTES));
    assert_false(rv_item_receive(&in_parts, &a, bodies, 2, &frames, &body)); /* incomplete */
    assert_true(fragment(&a, 1, RV_LIMIT_BODY_BYTES, TOTAL, 5));
    in_parts.len++;
    assert_false(rv_item_receive(&in_parts, &a, bodies, 2, &frames, &body)); /* another length */
    in_parts.len--;
    assert_true(rv_item_receive(&in_parts, &a, bodies, 2, &frames, &body));
    assert_int_equal(body->len, TOTAL);
    rv_body_drop(body);
    rv_assembly_fini(&a);
}

int test_stream(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_are_numbered_from_one),
        cmocka_unit_test(what_was_never_sent_is_not_acknowledged),
        cmocka_unit_test(it_is_sent_again_from_any_point),
        cmocka_unit_test(unnumbered_messages_go_first),
        cmocka_unit_test(an_empty_frame_only_acknowledges),
        cmocka_unit_test(a_frame_is_a_batch),
        cmocka_unit_test(a_message_larger_than_a_batch_goes_alone),
        cmocka_unit_test(a_frame_has_sixteen_bodies),
        cmocka_unit_test(a_frame_has_one_large_body),
        cmocka_unit_test(bodies_live_as_long_as_their_message),
        cmocka_unit_test(the_last_message_grows),
        cmocka_unit_test(a_long_life_is_like_the_model),
        cmocka_unit_test(an_idle_stream_gives_its_memory_back),
        cmocka_unit_test(a_stream_ends_with_all_that_it_keeps),
        cmocka_unit_test(a_large_body_arrives_in_fragments),
        cmocka_unit_test(fragments_come_in_order_or_not_at_all),
        cmocka_unit_test(bodies_are_assembled_side_by_side),
        cmocka_unit_test(fragments_have_limits),
        cmocka_unit_test(items_find_their_bytes),
    };

    return cmocka_run_group_tests_name("stream", tests, NULL, NULL);
}
