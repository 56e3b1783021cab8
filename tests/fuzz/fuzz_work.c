/* A manager says anything at all of a job, and each index has at most one result.
 *
 * The input is a script: errands begin, are left, take items; and between them results, failures,
 * ends and answers come, of indexes that were put or never were. */

#include <stdlib.h>

#include "proxy/core/work.h"
#include "tests/fuzz/fuzz.h"

enum { STEPS_MAX = 300, ERRANDS = 4, JOB = 7 };

struct world {
    struct input in;
    rv_ns now;
    struct rv_link link;
    struct rv_ledger *ledger;
    struct rv_work work;
    struct rv_errand *errands[ERRANDS];
    uint64_t number; /* of the manager's last message */
    bool watched;    /* the job's items come from others */
};

static const uint8_t body[RV_LIMIT_BODY_BYTES];

/* ---- what a manager may say ---- */

static void receive(struct world *w, const struct rv_msg *msg, const struct rv_slice *bodies,
                    size_t bodies_len)
{
    struct rv_buf frame = {0};
    bool numbered = rv_msg_numbered(msg->type);

    (void)rv_buf_room(&frame, RV_FRAME_HEADER);
    rv_frame_encode(frame.data, &(struct rv_frame){.bodies = (uint8_t)bodies_len,
                                                   .first = numbered ? ++w->number : 0,
                                                   .ack = w->link.sent_high});
    frame.len = RV_FRAME_HEADER;
    rv_msg_encode(&frame, msg);
    rv_link_receive(&w->link, w->now, rv_buf_slice(&frame), bodies, bodies_len);
    rv_buf_free(&frame);
}

static struct rv_items some_items(struct world *w, struct rv_buf *buf, uint32_t most)
{
    static const uint32_t sizes[] = {0, 1, 9, 300, 70000, 300000};
    static const uint8_t objects[16] = {[7] = 5, [15] = 6};
    struct rv_items items = {.count = pick(&w->in, most + 1)};

    for (uint32_t i = 0; i < items.count; i++) {
        uint32_t size = sizes[pick(&w->in, 6)];
        struct rv_item item = {.len = size,
                               .place = size > RV_LIMIT_BODY_BYTES          ? RV_FRAGMENTS
                                        : size > RV_LIMIT_ITEM_INLINE_BYTES ? RV_BODY
                                                                            : RV_INLINE,
                               .deliveries = pick(&w->in, 32) == 0,
                               .body = pick(&w->in, 3),
                               .bytes = rv_slice(body, size),
                               .refs = rv_slice(objects, size >= 16 ? pick(&w->in, 3) * 8 : 0)};

        rv_item_write(buf, &item);
    }
    items.bytes = rv_buf_slice(buf);
    return items;
}

static uint64_t some_index(struct world *w)
{
    uint64_t x = pick(&w->in, 64);

    return x < 60 ? x : take_number(&w->in, 8);
}

static void push(struct world *w, uint16_t op, const struct rv_buf *args)
{
    struct rv_slice bodies[4];
    size_t bodies_len = pick(&w->in, 3);
    struct rv_msg msg = {.type = RV_MSG_push,
                         .push = {.op = op, .object = JOB, .args = rv_buf_slice(args)}};

    for (size_t i = 0; i < bodies_len; i++)
        bodies[i] = rv_slice(body, 70000);
    receive(w, &msg, bodies, bodies_len);
}

static void say_result(struct world *w)
{
    struct rv_buf items = {0};
    struct rv_buf args = {0};

    switch (pick(&w->in, 16)) {
    case 0:
        rv_job_ended_args_encode(&args, &(struct rv_job_ended_args){.error = pick(&w->in, 80),
                                                                    .text = rv_slice(body, 3)});
        push(w, RV_OP_job_ended, &args);
        break;
    case 4:
        rv_job_total_args_encode(&args, &(struct rv_job_total_args){some_index(w), 0});
        push(w, RV_OP_job_total, &args);
        break;
    case 1:
    case 2:
    case 3:
        rv_job_result_args_encode(&args,
                                  &(struct rv_job_result_args){.index = some_index(w),
                                                               .status = (uint8_t)pick(&w->in, 9),
                                                               .text = rv_slice(body, 3),
                                                               .item = rv_slice(body, 2),
                                                               .items = some_items(w, &items, 2)});
        push(w, RV_OP_job_result, &args);
        break;
    default:
        rv_job_results_args_encode(
            &args, &(struct rv_job_results_args){.first = some_index(w),
                                                 .items = some_items(w, &items, 9)});
        push(w, RV_OP_job_results, &args);
    }
    rv_buf_free(&items);
    rv_buf_free(&args);
}

/* A call is answered, well or not. */
static void say_reply(struct world *w)
{
    struct rv_msg msg = {.type = RV_MSG_reply,
                         .reply = {.call = 1 + pick(&w->in, 32), .error = pick(&w->in, 20) / 19}};

    receive(w, &msg, NULL, 0);
}

static void say_answer(struct world *w)
{
    struct rv_buf row = {0};
    struct rv_buf rows = {0};
    struct rv_buf result = {0};
    struct rv_msg msg = {.type = RV_MSG_answer, .answer = {.id = 1 + pick(&w->in, 4)}};

    rv_job_row_encode(&row, &(struct rv_job_row){.job = JOB, .agents = pick(&w->in, 2)});
    rv_write_number(&rows, row.len + pick(&w->in, 2), 4);
    rv_buf_add(&rows, row.data, row.len);
    rv_object_list_result_encode(
        &result, &(struct rv_object_list_result){.count = 1, .rows = rv_buf_slice(&rows)});
    msg.answer.result = rv_buf_slice(&result);
    receive(w, &msg, NULL, 0);
    rv_buf_free(&row);
    rv_buf_free(&rows);
    rv_buf_free(&result);
}

/* ---- what the application does ---- */

static void begin(struct world *w, struct rv_errand **e)
{
    struct rv_packs packs = {0};
    uint32_t count = pick(&w->in, 20);

    if (*e != NULL || w->work.error != REEVE_OK || w->watched)
        return;
    if (pick(&w->in, 2) == 0) {
        *e = rv_errand_iterate("", pick(&w->in, 2) == 0, pick(&w->in, 20));
    } else {
        for (uint32_t i = 0; i < count; i++) {
            size_t len = pick(&w->in, 4) == 0 ? 70000 : 5;

            (void)rv_packs_add(&packs, rv_slice(body, len), rv_slice(NULL, 0),
                               rv_slice(body, len > 5 ? 8 : 0));
        }
        *e = rv_errand_map("", &packs);
        rv_packs_free(&packs);
    }
    if (*e != NULL)
        rv_errand_begin(&w->work, *e, w->now);
}

static void iterate(struct world *w, struct rv_errand *e)
{
    struct rv_result result;

    if (e == NULL || e->ahead == 0)
        return;
    for (uint32_t i = pick(&w->in, 30); i > 0 && rv_errand_hungry(e); i--)
        (void)rv_errand_add(e, rv_slice(body, 5), rv_slice(NULL, 0));
    if (pick(&w->in, 8) == 0)
        rv_errand_end(e);
    if (e->work != NULL)
        rv_work_feed(&w->work, w->now);
    while (rv_errand_next(e, &result)) {
        rv_assert(e->watches || result.index < e->put);
        rv_errand_took(e, result.index);
        if (e->watches)
            rv_errand_claim(e, w->now);
    }
    rv_errand_starve(e, w->now);
    rv_assert(e->given <= e->out.done && (e->watches || e->out.done <= e->put));
}

static void transmit(struct world *w)
{
    struct rv_link_frame frame;

    rv_link_tick(&w->link, w->now);
    for (int i = 0; i < 64 && rv_link_transmit(&w->link, w->now, &frame); i++)
        rv_link_sent(&w->link, w->now, true);
}

static void act(struct world *w)
{
    struct rv_errand **e = &w->errands[pick(&w->in, ERRANDS)];

    switch (pick(&w->in, 8)) {
    case 0:
    case 1:
        begin(w, e);
        break;
    case 2:
        rv_errand_leave(*e);
        *e = NULL;
        break;
    case 3:
        w->now += (rv_ns)take_number(&w->in, 2) * RV_MS / 8;
        break;
    default:
        iterate(w, *e);
    }
}

/* Counted another way. */
static void check(const struct world *w)
{
    const struct rv_errand *e = NULL;
    uint64_t open = 0;

    if (w->work.error != REEVE_OK || w->watched)
        return;
    DL_FOREACH (w->work.errands, e) {
        open += e->put - e->out.done;
    }
    rv_assert(open == rv_work_open(&w->work));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct world w = {.in = {.data = data, .left = len}, .now = RV_SEC};
    struct rv_link_conf conf = {.session = {{1}},
                                .host_name = "h",
                                .program = "p",
                                .endpoints = {"tcp://127.0.0.1:1"},
                                .endpoints_len = 1,
                                .seed = 1};
    struct rv_msg welcome = {.type = RV_MSG_welcome,
                             .welcome = {.major = 1, .store = {{1}}, .term = 1, .resume_ms = 5000}};

    rv_link_init(&w.link, &conf, w.now);
    rv_link_connecting(&w.link, w.now);
    rv_link_connected(&w.link, w.now);
    transmit(&w);
    receive(&w, &welcome, NULL, 0);
    w.ledger = rv_ledger_new();
    if (w.ledger == NULL || rv_work_init(&w.work, &w.link, w.ledger, JOB, 500) != REEVE_OK)
        return 0;
    w.watched = pick(&w.in, 4) == 0;
    if (w.watched && (w.errands[0] = rv_errand_watch(pick(&w.in, 2) == 0)) != NULL)
        rv_errand_follow(&w.work, w.errands[0], pick(&w.in, 64),
                         pick(&w.in, 2) == 0 ? UINT64_MAX : some_index(&w), w.now);
    for (int i = 0; i < STEPS_MAX && w.in.left > 0; i++) {
        switch (pick(&w.in, 8)) {
        case 0:
            say_reply(&w);
            break;
        case 1:
            say_answer(&w);
            break;
        case 2:
        case 3:
        case 4:
            say_result(&w);
            break;
        default:
            act(&w);
        }
        transmit(&w);
        check(&w);
    }
    for (size_t i = 0; i < ERRANDS; i++)
        rv_errand_leave(w.errands[i]);
    rv_work_fini(&w.work, REEVE_ECANCELED, "over");
    rv_ledger_settle(w.ledger, &w.link);
    rv_ledger_leave(&w.ledger);
    rv_link_fini(&w.link);
    return 0;
}
