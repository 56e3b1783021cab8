/* Jobs and agents whose other side says what no client or agent of ours does: each such message is
 * answered or counted, and what goes well goes on. */

#include "tests/lib/check.h"
#include "tests/lib/sim_hand.h"

#include <stdio.h>

enum { CLIENT = 1, AGENT = 2 };

static uint64_t refused(struct sim *s)
{
    struct rv_buf none = {0};
    struct rv_buf result = {0};
    struct rv_status_result status;

    CHECK(sim_ask(s, CLIENT, RV_OP_status, 0, &none, &result) == REEVE_OK);
    CHECK(rv_status_result_decode(&status, rv_buf_slice(&result)));
    rv_buf_free(&result);
    return status.refused;
}

/* ---- jobs ---- */

static const struct rv_job_open_args command = {
    .create = 1, .kind = RV_CODE_COMMAND, .total = UINT64_MAX};

static reeve_err open_job(struct sim *s, const struct rv_job_open_args *open, uint64_t *job)
{
    struct rv_buf args = {0};
    struct rv_buf result = {0};
    struct rv_job_open_result opened = {0};
    reeve_err err = REEVE_OK;

    rv_job_open_args_encode(&args, open);
    err = sim_ask(s, CLIENT, RV_OP_job_open, 0, &args, &result);
    CHECK(err != REEVE_OK || rv_job_open_result_decode(&opened, rv_buf_slice(&result)));
    rv_buf_free(&result);
    if (job != NULL)
        *job = opened.job;
    return err;
}

static reeve_err put(struct sim *s, uint64_t job, uint64_t first, uint32_t count,
                     const char *function)
{
    struct rv_buf items = {0};
    struct rv_buf args = {0};
    reeve_err err = REEVE_OK;

    for (uint32_t i = 0; i < count; i++)
        rv_item_write(&items, &(struct rv_item){.len = 1, .bytes = rv_slice("\x01", 1)});
    rv_job_put_args_encode(&args,
                           &(struct rv_job_put_args){.first = first,
                                                     .function = rv_slice_str(function),
                                                     .items = {count, rv_buf_slice(&items)}});
    err = hand_ask(s, CLIENT, RV_OP_job_put, job, &args);
    rv_buf_free(&items);
    return err;
}

static void say_total(struct sim *s, uint64_t job, uint64_t total)
{
    struct rv_buf args = {0};

    rv_job_end_args_encode(&args, &(struct rv_job_end_args){total, 0});
    hand_say(s, CLIENT, RV_OP_job_end, job, &args);
}

static reeve_err cancel(struct sim *s, uint64_t job)
{
    struct rv_buf args = {0};

    rv_job_cancel_args_encode(&args, &(struct rv_job_cancel_args){.job = job});
    return hand_ask(s, CLIENT, RV_OP_job_cancel, 0, &args);
}

static void start(struct sim *s)
{
    sim_start(s, 2);
    sim_principal(s, "admin", "");
}

TEST(job_that_cannot_be_is_not_opened)
{
    static char longest[RV_LIMIT_NAME_BYTES + 2];
    struct sim s;
    struct rv_job_open_args open = command;
    uint64_t job = 0;
    uint64_t again = 0;

    memset(longest, 'x', sizeof longest - 1);
    start(&s);
    sim_open(&s, CLIENT, "queue", NULL);
#define REFUSED(error, field, value)                                                               \
    open = command;                                                                                \
    open.field = (value);                                                                          \
    CHECK(open_job(&s, &open, NULL) == (error))
    REFUSED(REEVE_ELIMIT, name, rv_slice_str(longest));
    REFUSED(REEVE_ETYPE, name, rv_slice_str("queue"));
    REFUSED(REEVE_EINVAL, kind, RV_CODE_COMMAND + 1);
    REFUSED(REEVE_EINVAL, create, 3);
    REFUSED(REEVE_EINVAL, durable, RV_DURABLE_SYNC + 1);
    REFUSED(REEVE_ENOENT, create, 0);
    REFUSED(REEVE_ENOENT, kind, RV_CODE_PROGRAM);
#undef REFUSED
    open = command;
    open.name = rv_slice_str("work");
    open.durable = RV_DURABLE_OS;
    CHECK(open_job(&s, &open, &job) == REEVE_OK);
    open.durable = RV_DURABLE_SYNC;
    CHECK(open_job(&s, &open, NULL) == REEVE_EEXIST);
    open.durable = RV_DURABLE_DEFAULT;
    CHECK(open_job(&s, &open, &again) == REEVE_OK);
    CHECK(again == job);
    open.create = 2;
    CHECK(open_job(&s, &open, NULL) == REEVE_EEXIST);
    sim_quota(&s, "objects:2");
    CHECK(open_job(&s, &command, NULL) == REEVE_EQUOTA);
    sim_quota(&s, "");
    sim_principal(&s, "client", "put,get");
    CHECK(open_job(&s, &command, NULL) == REEVE_EPERM);
    sim_stop(&s);
}

TEST(items_that_are_not_the_next_ones_are_refused)
{
    struct sim s;
    struct rv_job_open_args open = command;
    struct rv_buf args = {0};
    uint64_t job = 0;
    uint64_t before = 0;

    start(&s);
    CHECK(open_job(&s, &open, &job) == REEVE_OK);
    CHECK(put(&s, job, 0, 3, "f") == REEVE_OK);
    CHECK(put(&s, job, 2, 1, "f") == REEVE_EINVAL); /* it is there */
    CHECK(put(&s, job, 4, 1, "f") == REEVE_EINVAL); /* it leaves a gap */
    before = refused(&s);
    say_total(&s, job, 4); /* they are not all here */
    CHECK(refused(&s) == before + 1);
    CHECK(put(&s, job, 3, 1, "g") == REEVE_OK);
    say_total(&s, job, 4);
    say_total(&s, job, 4); /* once more is nothing new */
    CHECK(refused(&s) == before + 1);
    CHECK(put(&s, job, 4, 1, "f") == REEVE_EINVAL);
    say_total(&s, job, 5);
    CHECK(refused(&s) == before + 2);
    rv_job_take_args_encode(&args, &(struct rv_job_take_args){UINT64_MAX, 0});
    hand_say(&s, CLIENT, RV_OP_job_take, job, &args); /* more than was ever sent */
    CHECK(cancel(&s, job + 99) == REEVE_ENOENT);
    CHECK(cancel(&s, job) == REEVE_OK);
    CHECK(cancel(&s, job) == REEVE_OK);
    CHECK(put(&s, job, 4, 1, "f") == REEVE_ECANCELED);
    sim_stop(&s);
}

TEST(item_whose_bytes_did_not_come_ends_its_job)
{
    struct sim s;
    struct rv_buf items = {0};
    struct rv_buf args = {0};
    uint64_t job = 0;

    start(&s);
    CHECK(open_job(&s, &command, &job) == REEVE_OK);
    rv_item_write(&items, &(struct rv_item){
                              .place = RV_FRAGMENTS, .body = 7, .len = RV_LIMIT_BODY_BYTES + 1});
    rv_job_put_args_encode(&args, &(struct rv_job_put_args){.items = {1, rv_buf_slice(&items)}});
    CHECK(hand_ask(&s, CLIENT, RV_OP_job_put, job, &args) == REEVE_EPROTO);
    CHECK(put(&s, job, 0, 1, "f") == REEVE_EPROTO);
    rv_buf_free(&items);
    sim_stop(&s);
}

TEST(job_has_so_many_functions)
{
    struct sim s;
    char name[16];
    uint64_t job = 0;
    uint64_t n = 0;

    start(&s);
    CHECK(open_job(&s, &command, &job) == REEVE_OK);
    for (reeve_err err = REEVE_OK; err == REEVE_OK; n += err == REEVE_OK) {
        snprintf(name, sizeof name, "f%llu", (unsigned long long)n);
        err = put(&s, job, n, 1, name);
        CHECK(err == REEVE_OK || err == REEVE_ELIMIT);
    }
    CHECK(n == 256);
    CHECK(put(&s, job, n, 1, "f0") == REEVE_OK);
    CHECK(put(&s, job, n + 1, 1, "") == REEVE_OK);
    sim_stop(&s);
}

static uint32_t rows(struct sim *s, uint16_t op, struct rv_buf *args, reeve_err wanted)
{
    struct rv_buf result = {0};
    struct rv_object_list_result list = {0};

    CHECK(sim_ask(s, CLIENT, op, 0, args, &result) == wanted);
    CHECK(wanted != REEVE_OK || rv_object_list_result_decode(&list, rv_buf_slice(&result)));
    rv_buf_free(&result);
    return list.count;
}

static uint32_t stat_of(struct sim *s, uint64_t job, reeve_err wanted)
{
    struct rv_buf args = {0};

    rv_job_stat_args_encode(&args, &(struct rv_job_stat_args){.job = job});
    return rows(s, RV_OP_job_stat, &args, wanted);
}

static uint32_t log_of(struct sim *s, uint64_t job, uint64_t after, reeve_err wanted)
{
    struct rv_buf args = {0};

    rv_job_log_args_encode(&args, &(struct rv_job_log_args){.job = job, .after = after});
    return rows(s, RV_OP_job_log, &args, wanted);
}

static uint32_t list_after(struct sim *s, uint16_t op, uint64_t after)
{
    struct rv_buf args = {0};

    rv_job_list_args_encode(&args, &(struct rv_job_list_args){after, 0});
    return rows(s, op, &args, REEVE_OK);
}

static enum sim_fate odd_ones_fail(struct sim *s, uint64_t index, uint32_t run)
{
    (void)s;
    (void)run;
    return index % 2 == 1 ? SIM_FAILS : SIM_RUNS;
}

TEST(questions_about_jobs_are_answered_from_where_one_likes)
{
    struct sim s;
    uint64_t first = 0;
    uint64_t second = 0;

    start(&s);
    s.play.fate = odd_ones_fail;
    CHECK(open_job(&s, &command, &first) == REEVE_OK);
    CHECK(open_job(&s, &command, &second) == REEVE_OK);
    CHECK(list_after(&s, RV_OP_job_list, 0) == 2);
    CHECK(list_after(&s, RV_OP_job_list, first) == 1);
    CHECK(list_after(&s, RV_OP_job_list, second) == 0);
    CHECK(stat_of(&s, first, REEVE_OK) == 1);
    CHECK(stat_of(&s, second + 99, REEVE_ENOENT) == 0);
    CHECK(log_of(&s, second + 99, 0, REEVE_ENOENT) == 0);
    CHECK(log_of(&s, first, 0, REEVE_OK) == 0);
    sim_agent_start(&s, 3, 2);
    CHECK(put(&s, first, 0, 6, "f") == REEVE_OK);
    sim_run(&s, 1000);
    CHECK(log_of(&s, first, 0, REEVE_OK) == 3);
    CHECK(log_of(&s, first, 1, REEVE_OK) == 2);
    CHECK(log_of(&s, first, 99, REEVE_OK) == 0);
    CHECK(list_after(&s, RV_OP_agent_list, 0) == 1);
    sim_stop(&s);
}

/* A question is answered with one page; whoever wants more asks from its end. */
TEST(long_lists_of_jobs_are_answered_in_pages)
{
    enum { JOBS = RV_LIMIT_LIST_ROWS + 1 };
    static char longest[RV_LIMIT_NAME_BYTES + 1];

    memset(longest, 'x', sizeof longest - 1);
    for (int how = 0; how < 2; how++) {
        struct sim s;
        struct rv_job_open_args open = command;
        uint64_t first = 0;
        uint64_t job = 0;
        uint32_t page = 0;

        start(&s);
        s.unchecked = true;
        open.function = how == 0 ? rv_slice_str("f") : rv_slice_str(longest);
        for (int i = 0; i < JOBS; i++)
            CHECK(open_job(&s, &open, i == 0 ? &first : &job) == REEVE_OK);
        page = list_after(&s, RV_OP_job_list, 0);
        CHECK(how == 0 ? page == RV_LIMIT_LIST_ROWS : page > 100 && page < RV_LIMIT_LIST_ROWS);
        CHECK(list_after(&s, RV_OP_job_list, job - 1) == 1);
        CHECK(list_after(&s, RV_OP_job_list, first + page - 1) > 0);
        sim_stop(&s);
    }
}

/* What is no job is no job of that number. */
TEST(object_that_is_no_job_is_asked_as_one_in_vain)
{
    struct sim s;
    struct rv_buf args = {0};
    uint64_t queue = 0;

    start(&s);
    rv_object_open_args_encode(&args, &(struct rv_object_open_args){.name = rv_slice_str("q"),
                                                                    .create = 1,
                                                                    .kind = RV_KIND_QUEUE});
    CHECK(hand_ask(&s, CLIENT, RV_OP_object_open, 0, &args) == REEVE_OK);
    queue = 1;
    CHECK(stat_of(&s, queue, REEVE_ENOENT) == 0);
    CHECK(log_of(&s, queue, 0, REEVE_ENOENT) == 0);
    CHECK(cancel(&s, queue) == REEVE_ENOENT);
    CHECK(put(&s, queue, 0, 1, "f") == REEVE_ETYPE);
    sim_stop(&s);
}

/* What its total says is all there may be. */
TEST(job_takes_no_more_items_than_it_said)
{
    struct sim s;
    struct rv_job_open_args open = command;
    struct rv_buf args = {0};
    uint64_t job = 0;
    uint64_t before = 0;

    start(&s);
    open.total = 3;
    CHECK(open_job(&s, &open, &job) == REEVE_OK);
    CHECK(put(&s, job, 0, 4, "f") == REEVE_EINVAL);
    CHECK(put(&s, job, 0, 2, "f") == REEVE_OK);
    before = refused(&s);
    say_total(&s, job, 2); /* another total than it said */
    CHECK(refused(&s) == before + 1);
    rv_object_ref_args_encode(&args, &(struct rv_object_ref_args){job, 0});
    CHECK(hand_ask(&s, CLIENT, RV_OP_object_ref, 0, &args) ==
          REEVE_ENOENT); /* it is no reference */
    rv_job_take_args_encode(&args, &(struct rv_job_take_args){1, 0});
    hand_say(&s, AGENT, RV_OP_job_take, job, &args); /* of a job that it has not opened */
    CHECK(refused(&s) == before + 2);
    sim_stop(&s);
}

/* Of what items print, the last ones are kept. */
TEST(log_of_a_job_keeps_the_last_words)
{
    static uint8_t output[RV_LIMIT_OUTPUT_BYTES];
    enum { ITEMS = 600, MOST = 512 };

    for (int how = 0; how < 2; how++) {
        struct sim s;
        struct sim_hand h;
        struct rv_job_open_args open = command;
        struct rv_buf value = {0};
        uint64_t job = 0;
        uint32_t kept = 0;

        start(&s);
        s.unchecked = true;
        hand_lend(&s, &h, AGENT, 1);
        open.chunk = ITEMS;
        CHECK(open_job(&s, &open, &job) == REEVE_OK);
        CHECK(put(&s, job, 0, ITEMS, "f") == REEVE_OK);
        sim_run(&s, 10);
        CHECK(h.len == 1 && h.heard[0].count == ITEMS);
        rv_item_write(&value, &(struct rv_item){.len = 1, .bytes = rv_slice("\x01", 1)});
        for (uint64_t i = 0; i < ITEMS; i++)
            hand_item(&s, &h,
                      &(struct rv_agent_item_args){
                          .chunk = h.heard[0].chunk,
                          .index = i,
                          .output = rv_slice(output, how == 0 ? 1 : sizeof output),
                          .items = {1, rv_buf_slice(&value)}});
        for (uint64_t after = 0, more = 1; more > 0; after = ITEMS - MOST + kept) {
            more = log_of(&s, job, after, REEVE_OK);
            kept += (uint32_t)more;
            if (how == 1)
                break;
        }
        CHECK(how == 0 ? kept == MOST : kept > 0 && kept < 5); /* of large ones few fit a page */
        rv_buf_free(&value);
        hand_take_back(&h);
        sim_stop(&s);
    }
}

/* ---- agents ---- */

TEST(agent_that_cannot_be_is_not_opened)
{
    static char longest[RV_LIMIT_NAME_BYTES + 2];
    struct sim s;
    struct sim_hand h;
    uint64_t agent = 0;

    memset(longest, 'x', sizeof longest - 1);
    start(&s);
    CHECK(hand_open(&s, AGENT, longest, 1, &agent) == REEVE_EINVAL);
    CHECK(hand_open(&s, AGENT, "hand", 65537, &agent) == REEVE_EINVAL);
    hand_lend(&s, &h, AGENT, 1);
    CHECK(hand_open(&s, AGENT, "other", 1, &agent) == REEVE_EINVAL); /* a session is one agent */
    hand_take_back(&h);
    sim_stop(&s);
}

/* The items of its chunk run all the same, and each is answered once. */
TEST(results_that_cannot_be_are_refused)
{
    static uint8_t output[RV_LIMIT_OUTPUT_BYTES + 1];
    struct sim s;
    struct sim_hand h;
    struct rv_job_open_args open = command;
    struct rv_buf value = {0};
    struct rv_agent_item_args it;
    uint64_t job = 0;
    uint64_t before = 0;
    uint64_t c = 0;

    start(&s);
    hand_lend(&s, &h, AGENT, 1);
    open.chunk = 4;
    CHECK(open_job(&s, &open, &job) == REEVE_OK);
    CHECK(put(&s, job, 0, 4, "f") == REEVE_OK);
    sim_run(&s, 10);
    CHECK(h.len >= 1 && h.heard[0].job == job && h.heard[0].first == 0 && h.heard[0].count == 4);
    c = h.heard[0].chunk;
    rv_item_write(&value, &(struct rv_item){.len = 1, .bytes = rv_slice("\x01", 1)});
    before = refused(&s);

    hand_done(&s, &h, c + 99, 0, 1); /* it may be over: nothing is wrong */
    hand_back(&s, &h, c + 99, 0);
    CHECK(refused(&s) == before);
    hand_done(&s, &h, c, 1, 1);
    hand_done(&s, &h, c, 0, 0);
    hand_done(&s, &h, c, 0, 5);
    hand_back(&s, &h, c, 5);
    CHECK(refused(&s) == before + 4);

#define REFUSED(field, what)                                                                       \
    it = (struct rv_agent_item_args){                                                              \
        .chunk = c, .status = RV_RAN_OK, .items = {1, rv_buf_slice(&value)}};                      \
    it.field = (what);                                                                             \
    hand_item(&s, &h, &it);                                                                        \
    CHECK(refused(&s) == ++before + 4)
    REFUSED(index, 1);
    REFUSED(status, RV_RAN_NEVER + 1);
    REFUSED(output, rv_slice(output, sizeof output));
    REFUSED(items, (struct rv_items){0});
#undef REFUSED
    hand_item(&s, &h,
              &(struct rv_agent_item_args){
                  .chunk = c, .status = RV_RAN_OK, .items = {1, rv_buf_slice(&value)}});
    hand_back(&s, &h, c, 0); /* that one is done */
    CHECK(refused(&s) == before + 5);
    hand_done(&s, &h, c, 1, 1);
    hand_back(&s, &h, c, 3); /* keeps one, gives one back ... */
    sim_run(&s, 10);
    hand_done(&s, &h, c, 2, 1);
    sim_run(&s, 10);
    CHECK(h.len >= 2 && h.heard[h.len - 1].first == 3); /* ... and has it again */
    hand_done(&s, &h, h.heard[h.len - 1].chunk, 3, 1);
    say_total(&s, job, 4);
    CHECK(refused(&s) == before + 5);
    CHECK(put(&s, job, 4, 1, "f") == REEVE_EINVAL);
    rv_buf_free(&value);
    hand_take_back(&h);
    sim_stop(&s);
}

/* An agent speaks for what runs on it, and for nothing else. */
TEST(agent_has_no_say_about_jobs_that_it_does_not_run)
{
    struct sim s;
    struct sim_hand h;
    struct rv_buf args = {0};
    uint64_t job = 0;
    uint64_t other = 0;
    uint64_t before = 0;
    struct rv_id session = {{1}};

    start(&s);
    hand_lend(&s, &h, AGENT, 1);
    CHECK(open_job(&s, &command, &job) == REEVE_OK);
    CHECK(open_job(&s, &command, &other) == REEVE_OK);
    CHECK(put(&s, job, 0, 1, "f") == REEVE_OK);
    sim_run(&s, 10);
    before = refused(&s);
#define SESSION(of, id, wanted)                                                                    \
    rv_agent_session_args_encode(&args, &(struct rv_agent_session_args){(of), (id), 0});           \
    CHECK(hand_ask(&s, AGENT, RV_OP_agent_session, h.port.object, &args) == (wanted))
    SESSION(other, session, REEVE_EPERM);
    SESSION(other + 99, session, REEVE_EPERM);
    SESSION(job, (struct rv_id){{0}}, REEVE_EPERM);
    SESSION(job, session, REEVE_OK);
    SESSION(job, session, REEVE_EPERM); /* it has been said */
    CHECK(cancel(&s, job) == REEVE_OK);
    session.bytes[0]++;
    SESSION(job, session, REEVE_EPERM);
#undef SESSION
    rv_agent_cannot_args_encode(&args, &(struct rv_agent_cannot_args){.job = other + 99});
    hand_say(&s, AGENT, RV_OP_agent_cannot, h.port.object, &args);
    rv_agent_cannot_args_encode(&args, &(struct rv_agent_cannot_args){.job = other});
    hand_say(&s, AGENT, RV_OP_agent_cannot, h.port.object, &args);
    CHECK(put(&s, other, 0, 1, "f") == REEVE_OK);
    CHECK(refused(&s) == before);
    rv_agent_state_args_encode(&args, &(struct rv_agent_state_args){65537, 0, 0});
    hand_say(&s, AGENT, RV_OP_agent_state, h.port.object, &args);
    CHECK(refused(&s) == before + 1);
    hand_take_back(&h);
    sim_stop(&s);
}

/* Tasks may end before their sessions come, again and again: of what an agent has announced the oldest is forgotten,
 * and could be announced again. */
TEST(sessions_that_are_announced_and_never_come_are_forgotten)
{
    struct sim s;
    struct sim_hand h;
    struct rv_buf args = {0};
    uint64_t job = 0;

    start(&s);
    hand_lend(&s, &h, AGENT, 1);
    CHECK(open_job(&s, &command, &job) == REEVE_OK);
    CHECK(put(&s, job, 0, 1, "f") == REEVE_OK);
    sim_run(&s, 10);
    for (uint32_t i = 0; i <= RV_LIMIT_TICKETS + 1; i++) {
        uint32_t number = i <= RV_LIMIT_TICKETS ? i : 0;
        struct rv_id session = {{1, (uint8_t)number, (uint8_t)(number >> 8)}};

        rv_agent_session_args_encode(&args, &(struct rv_agent_session_args){job, session, 0});
        CHECK(hand_ask(&s, AGENT, RV_OP_agent_session, h.port.object, &args) == REEVE_OK);
    }
    hand_take_back(&h);
    sim_stop(&s);
}

/* The only one that is there says no, without a word or with too many. */
TEST(job_that_no_agent_can_run_ends_in_the_agents_words)
{
    static char longest[400];
    const char *const words[] = {"", longest};

    memset(longest, 'x', sizeof longest - 1);
    for (size_t i = 0; i < rv_countof(words); i++) {
        struct sim s;
        struct sim_hand h;
        struct rv_buf args = {0};
        uint64_t job = 0;

        start(&s);
        hand_lend(&s, &h, AGENT, 1);
        CHECK(open_job(&s, &command, &job) == REEVE_OK);
        CHECK(put(&s, job, 0, 2, "f") == REEVE_OK);
        sim_run(&s, 10);
        rv_agent_cannot_args_encode(
            &args, &(struct rv_agent_cannot_args){.job = job, .text = rv_slice_str(words[i])});
        hand_say(&s, AGENT, RV_OP_agent_cannot, h.port.object, &args);
        CHECK(put(&s, job, 2, 1, "f") == REEVE_ENOAGENT);
        hand_take_back(&h);
        sim_stop(&s);
    }
}

/* ---- values that do not come ---- */

/* The other side of the job: which of its items have come, and how. */
struct ear {
    struct rv_port port;
    struct rv_link *link;
    uint64_t values, failures; /* bits of indexes */
    char text[128];            /* of the last failure */
};

static void hear_result(struct rv_port *port, rv_ns now, const struct rv_push *push,
                        const struct rv_slice *bodies, size_t bodies_len, size_t *frames)
{
    struct ear *e = (struct ear *)port;
    struct rv_job_results_args values;
    struct rv_job_result_args one;
    struct rv_reader r;

    (void)now;
    if (push->op == RV_OP_job_results) {
        CHECK(rv_job_results_args_decode(&values, push->args));
        for (uint64_t i = 0; i < values.items.count; i++) {
            CHECK((e->values >> (values.first + i) & 1) == 0);
            e->values |= UINT64_C(1) << (values.first + i);
        }
        r = rv_reader(values.items.bytes);
        rv_items_skip(e->link, &r, values.items.count, bodies, bodies_len, frames);
    } else if (push->op == RV_OP_job_result) {
        CHECK(rv_job_result_args_decode(&one, push->args) && one.items.count == 0);
        CHECK(one.status == RV_RAN_FAILED && (e->failures >> one.index & 1) == 0);
        e->failures |= UINT64_C(1) << one.index;
        snprintf(e->text, sizeof e->text, "%.*s", (int)one.text.len, (const char *)one.text.data);
    }
}

static void no_tick(struct rv_port *port, rv_ns now)
{
    (void)port;
    (void)now;
}

static void nothing(struct rv_port *port)
{
    (void)port;
}

static const struct rv_port_ops ear_ops = {.push = hear_result, .tick = no_tick, .dead = nothing};

static void listen_to(struct sim *s, struct ear *e, uint64_t job)
{
    *e = (struct ear){.port = {.object = job, .ops = &ear_ops, .tick_at = RV_NEVER},
                      .link = &s->clients[CLIENT].link};
    CHECK(rv_link_add_port(e->link, &e->port));
}

/* An agent that sends pieces of a value, or more than a value: the item fails, and its job goes on. */
TEST(item_whose_value_does_not_come_fails)
{
    static const uint8_t eight[8] = "\xa7valueX";
    const struct rv_item odd[] = {
        {.len = 8, .bytes = {eight, 8}},
        {.place = RV_FRAGMENTS, .body = 7, .len = RV_LIMIT_BODY_BYTES + 1},
        {.len = 8, .bytes = {eight, 8}, .refs = {(const uint8_t *)"\0\0\0\0\0\0\0\x01", 8}},
        {.len = 8, .bytes = {eight, 8}, .priority = 1},
        {.len = 8, .bytes = {eight, 8}, .deliveries = 1},
        {.len = 8, .bytes = {eight, 8}},
    };
    struct sim s;
    struct sim_hand h;
    struct ear e;
    struct rv_job_open_args open = command;
    struct rv_buf items = {0};
    struct rv_buf args = {0};
    uint64_t job = 0;
    uint64_t before = 0;

    start(&s);
    hand_lend(&s, &h, AGENT, 1);
    open.chunk = 8;
    CHECK(open_job(&s, &open, &job) == REEVE_OK);
    listen_to(&s, &e, job);
    CHECK(put(&s, job, 0, 8, "f") == REEVE_OK);
    sim_run(&s, 10);
    CHECK(h.len == 1 && h.heard[0].count == 8);
    for (size_t i = 0; i < rv_countof(odd); i++)
        rv_item_write(&items, &odd[i]);
    before = refused(&s);
    rv_agent_done_args_encode(
        &args, &(struct rv_agent_done_args){.chunk = h.heard[0].chunk,
                                            .ns = 1,
                                            .items = {rv_countof(odd), rv_buf_slice(&items)}});
    hand_say(&s, AGENT, RV_OP_agent_done, h.port.object, &args);
    CHECK(refused(&s) == before + 3);
    for (uint64_t index = 6; index < 8; index++) {
        rv_buf_clear(&items);
        rv_item_write(&items, &odd[index == 6 ? 1 : 2]);
        hand_item(&s, &h,
                  &(struct rv_agent_item_args){.chunk = h.heard[0].chunk,
                                               .index = index,
                                               .status = RV_RAN_OK,
                                               .items = {1, rv_buf_slice(&items)}});
    }
    sim_run(&s, 10);
    CHECK(e.values == 0x21 && e.failures == 0xde);
    CHECK(strcmp(e.text, "its value refers to objects that its task did not pledge") == 0);
    say_total(&s, job, 8);
    CHECK(put(&s, job, 8, 1, "f") == REEVE_EINVAL); /* it is complete */
    rv_buf_free(&items);
    hand_take_back(&h);
    rv_link_drop_port(e.link, &e.port);
    sim_stop(&s);
}

/* What a key may have in flight bounds the values of its agents, too; it is said where the value is missed. */
TEST(value_above_the_quota_of_its_agent_is_said_to_be_so)
{
    static const uint8_t piece[RV_LIMIT_BODY_BYTES];
    struct sim s;
    struct sim_hand h;
    struct ear e;
    struct rv_body *body = rv_body_new(RV_LIMIT_BODY_BYTES + 1);
    struct rv_buf items = {0};
    struct rv_buf args = {0};
    uint64_t job = 0;

    start(&s);
    hand_lend(&s, &h, AGENT, 1);
    CHECK(open_job(&s, &command, &job) == REEVE_OK);
    listen_to(&s, &e, job);
    CHECK(put(&s, job, 0, 1, "f") == REEVE_OK);
    sim_run(&s, 10);
    CHECK(h.len == 1 && body != NULL);
    sim_quota(&s, "in-flight:100K");
    sim_run(&s, 10);
    memcpy(body->data, piece, sizeof piece);
    body->data[sizeof piece] = 0;
    CHECK(rv_stream_add_fragments(&h.link->out, 9, body));
    rv_body_drop(body);
    rv_item_write(&items, &(struct rv_item){
                              .place = RV_FRAGMENTS, .body = 9, .len = RV_LIMIT_BODY_BYTES + 1});
    rv_agent_done_args_encode(&args,
                              &(struct rv_agent_done_args){.chunk = h.heard[0].chunk,
                                                           .items = {1, rv_buf_slice(&items)}});
    hand_say(&s, AGENT, RV_OP_agent_done, h.port.object, &args);
    sim_run(&s, 50);
    CHECK(e.failures == 1 && strstr(e.text, "quota of in-flight") != NULL);
    rv_buf_free(&items);
    hand_take_back(&h);
    rv_link_drop_port(e.link, &e.port);
    sim_stop(&s);
}

/* One item of a whole body frame; its answer may take its time. */
static struct rv_request *put_large(struct sim *s, uint64_t job, uint64_t first,
                                    struct rv_body *body)
{
    struct sim_client *c = &s->clients[CLIENT];
    struct rv_buf items = {0};
    struct rv_buf args = {0};
    struct rv_request *call = NULL;

    rv_item_write(&items, &(struct rv_item){.place = RV_BODY, .len = (uint32_t)body->len});
    rv_job_put_args_encode(&args, &(struct rv_job_put_args){.first = first,
                                                            .function = rv_slice_str("f"),
                                                            .items = {1, rv_buf_slice(&items)}});
    call = rv_link_call(&c->link, RV_OP_job_put, job, UINT32_MAX, rv_buf_slice(&args), &body, 1);
    CHECK(call != NULL);
    rv_buf_free(&items);
    rv_buf_free(&args);
    sim_client_pump(s, c);
    sim_run(s, 50);
    return call;
}

static reeve_err answer_of(struct sim *s, struct rv_request *call)
{
    reeve_err err = call->error;

    CHECK(call->done);
    rv_request_free(&s->clients[CLIENT].link, call);
    return err;
}

/* Who gives a job more than it may hold waits, until agents have done some of it, or to its end. */
TEST(items_beyond_the_window_of_a_job_wait_for_room_or_for_its_end)
{
    enum { CANCEL, AGENTS, CRASH, LEAVE, HOWS };
    struct rv_body *body = rv_body_new(RV_LIMIT_BODY_BYTES);

    CHECK(body != NULL);
    memset(body->data, 0, body->len);
    body->data[0] = 0xc6; /* a value: so many bytes */
    rv_set_number(body->data + 1, body->len - 5, 4);
    for (int how = 0; how < HOWS; how++) {
        struct sim s;
        struct rv_request *call = NULL;
        uint64_t job = 0;
        uint64_t count = 0;

        start(&s);
        CHECK(open_job(&s, &command, &job) == REEVE_OK);
        for (call = put_large(&s, job, 0, body); call->done;
             call = put_large(&s, job, ++count, body))
            CHECK(answer_of(&s, call) == REEVE_OK);
        CHECK(count >= RV_LIMIT_JOB_BYTES / RV_LIMIT_BODY_BYTES - 2);
        CHECK(count <= RV_LIMIT_JOB_BYTES / RV_LIMIT_BODY_BYTES);
        if (how == CRASH) {
            sim_server_crash(&s, false);
            sim_server_restart(&s);
        }
        if (how == CANCEL)
            CHECK(cancel(&s, job) == REEVE_OK);
        if (how == AGENTS || how == CRASH)
            sim_agent_start(&s, 3, 2);
        if (how == LEAVE) {
            call->abandoned = true; /* nobody looks at it: it goes with its client */
            sim_client_kill(&s, CLIENT, SIM_DEATH_GONE); /* with its session its job ends */
            sim_run(&s, 60000);
            sim_stop(&s);
            continue;
        }
        sim_run(&s, 10000);
        CHECK(answer_of(&s, call) == (how == CANCEL ? REEVE_ECANCELED : REEVE_OK));
        if (how != CANCEL)
            say_total(&s, job, count + 1);
        sim_run(&s, 10000);
        sim_stop(&s);
    }
    rv_body_drop(body);
}
