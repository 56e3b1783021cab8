/* Results that refer to objects: whoever dies in between, they live as long as somebody may read them. */

#define HASH_NONFATAL_OOM 1 /* headers of both roles meet here */
#include "server/core/state.h"
#include "tests/lib/check.h"
#include "tests/lib/sim_hand.h"

#include <stdio.h>

enum { CLIENT = 1, AGENT = 2, TASK = 3, OTHER = 4, RESULTS = 64 };

/* Who reads a job's results, and keeps what they refer to. */
struct reader {
    struct rv_port port; /* first */
    struct sim_client *client;
    size_t len;
    struct {
        uint64_t index, ref; /* 0: it refers to nothing */
        uint8_t status;
        char text[100];
    } got[RESULTS];
    size_t plain; /* values that came packed */
};

struct bench {
    struct sim s;
    struct sim_hand h;
    struct reader r;
    uint64_t job;
};

static void hear(struct rv_port *port, rv_ns now, const struct rv_push *push,
                 const struct rv_slice *bodies, size_t bodies_len, size_t *frames)
{
    struct reader *r = (struct reader *)port;
    struct rv_job_results_args values;
    struct rv_job_result_args one;
    struct rv_reader items;
    struct rv_item item = {0};

    (void)now;
    (void)bodies;
    (void)bodies_len;
    (void)frames;
    if (push->op == RV_OP_job_results && rv_job_results_args_decode(&values, push->args))
        r->plain += values.items.count;
    if (push->op != RV_OP_job_result || !rv_job_result_args_decode(&one, push->args))
        return;
    CHECK(r->len < RESULTS);
    items = rv_reader(one.items.bytes);
    if (one.items.count > 0)
        rv_item_read(&items, &item);
    r->got[r->len].index = one.index;
    r->got[r->len].status = one.status;
    r->got[r->len].ref = item.refs.len == 0 ? 0 : rv_item_ref(item.refs, 0);
    snprintf(r->got[r->len++].text, sizeof r->got[0].text, "%.*s", (int)one.text.len,
             one.text.len == 0 ? "" : (const char *)one.text.data);
}

static void nothing(struct rv_port *port)
{
    (void)port;
}

static void no_tick(struct rv_port *port, rv_ns now)
{
    (void)port;
    (void)now;
}

static const struct rv_port_ops reader_ops = {.push = hear, .tick = no_tick, .dead = nothing};

/* ---- jobs and tasks ---- */

/* Results come right behind the answer. */
static void opened(struct rv_link *link, struct rv_request *call, rv_ns now,
                   const struct rv_outcome *outcome)
{
    struct reader *r = call->arg;
    struct rv_job_open_result result;

    (void)now;
    CHECK(outcome->error == REEVE_OK && rv_job_open_result_decode(&result, outcome->result));
    r->port.object = result.job;
    CHECK(rv_link_add_port(link, &r->port));
}

static void read_results(struct bench *b, struct reader *r, int client, const char *name,
                         uint64_t items)
{
    struct rv_buf args = {0};
    struct rv_request *call = NULL;

    *r = (struct reader){.port = {.ops = &reader_ops, .tick_at = RV_NEVER},
                         .client = &b->s.clients[client]};
    rv_job_open_args_encode(&args, &(struct rv_job_open_args){.name = rv_slice_str(name),
                                                              .create = 1,
                                                              .kind = RV_CODE_COMMAND,
                                                              .total = items,
                                                              .chunk = 1});
    call = rv_link_call(&r->client->link, RV_OP_job_open, 0, 1000, rv_buf_slice(&args), NULL, 0);
    rv_buf_free(&args);
    CHECK(call != NULL);
    call->hook = opened;
    call->arg = r;
    call->abandoned = true;
    sim_client_pump(&b->s, r->client);
    while (r->port.object == 0)
        CHECK(sim_step(&b->s));
    b->job = r->port.object;
}

/* Each refers to this object; 0: to none. */
static void put_items(struct bench *b, uint64_t count, uint64_t object)
{
    struct rv_buf items = {0};
    struct rv_buf args = {0};
    uint8_t ref[8];

    rv_set_number(ref, object, 8);
    for (uint64_t i = 0; i < count; i++)
        rv_item_write(&items, &(struct rv_item){.len = 8,
                                                .bytes = rv_slice("an item.", 8),
                                                .refs = rv_slice(ref, object == 0 ? 0 : 8)});
    rv_job_put_args_encode(
        &args, &(struct rv_job_put_args){.items = {(uint32_t)count, rv_buf_slice(&items)}});
    CHECK(hand_ask(&b->s, CLIENT, RV_OP_job_put, b->job, &args) == REEVE_OK);
    rv_buf_free(&items);
    sim_run(&b->s, 10);
}

static void begin(struct bench *b, const char *name, uint64_t items)
{
    memset(b, 0, sizeof *b);
    sim_start(&b->s, 2);
    sim_principal(&b->s, "admin", "");
    hand_lend(&b->s, &b->h, AGENT, 4);
    read_results(b, &b->r, CLIENT, name, items);
    put_items(b, items, 0);
}

static void end(struct bench *b)
{
    if (b->s.clients[CLIENT].alive)
        rv_link_drop_port(&b->r.client->link, &b->r.port);
    hand_take_back(&b->h);
    sim_stop(&b->s);
}

/* A session of a task of the job. */
static void task(struct bench *b, int client, uint64_t job)
{
    struct rv_buf args = {0};
    struct rv_id id = {{0}};

    rv_set_number(id.bytes, b->s.last_id + 1, 8); /* that of the client which starts next */
    rv_agent_session_args_encode(&args, &(struct rv_agent_session_args){job, id, 0});
    CHECK(hand_ask(&b->s, AGENT, RV_OP_agent_session, b->h.port.object, &args) == REEVE_OK);
    sim_client_start(&b->s, client);
    while (b->s.clients[client].link.state != RV_LINK_READY)
        CHECK(sim_step(&b->s));
}

/* An object without a name, made by the client. */
static uint64_t make(struct bench *b, int client)
{
    CHECK(sim_open(&b->s, client, "", NULL) == REEVE_OK);
    for (int i = SIM_QUEUES; i-- > 0;)
        if (b->s.clients[client].queues[i].opened)
            return b->s.clients[client].queues[i].channel.port.object;
    return 0;
}

static bool lives(const struct bench *b, uint64_t id)
{
    const struct object *o = NULL;

    HASH_FIND(by_id, b->s.server.mgr->objects, &id, sizeof id, o);
    return o != NULL;
}

static reeve_err pledge_run(struct bench *b, int client, uint64_t index, uint32_t run,
                            uint64_t object)
{
    struct rv_buf args = {0};
    uint8_t objects[8];

    rv_set_number(objects, object, 8);
    rv_job_pledge_args_encode(
        &args, &(struct rv_job_pledge_args){
                   .index = index, .run = run, .objects = rv_slice(objects, sizeof objects)});
    return hand_ask(&b->s, client, RV_OP_job_pledge, b->job, &args);
}

static reeve_err pledge(struct bench *b, int client, uint64_t index, uint64_t object)
{
    return pledge_run(b, client, index, 1, object);
}

/* The agent says how the item of its i-th chunk has ended. */
static void result(struct bench *b, size_t i, enum rv_ran status, uint64_t object)
{
    struct rv_buf value = {0};
    uint8_t ref[8];

    CHECK(i < b->h.len);
    rv_set_number(ref, object, 8);
    rv_item_write(&value, &(struct rv_item){.len = 8,
                                            .bytes = rv_slice("a value.", 8),
                                            .refs = rv_slice(ref, object == 0 ? 0 : 8)});
    hand_item(&b->s, &b->h,
              &(struct rv_agent_item_args){
                  .chunk = b->h.heard[i].chunk,
                  .index = b->h.heard[i].first,
                  .status = (uint8_t)status,
                  .text = rv_slice_str(status == RV_RAN_OK ? "" : "SIGSEGV"),
                  .items = {status == RV_RAN_OK,
                            status == RV_RAN_OK ? rv_buf_slice(&value) : rv_slice(NULL, 0)}});
    rv_buf_free(&value);
    sim_run(&b->s, 10);
}

static void let_go(struct bench *b, int client, uint64_t object)
{
    struct rv_buf none = {0};

    hand_say(&b->s, client, RV_OP_object_release, object, &none);
}

/* ---- stories ---- */

TEST(result_keeps_what_it_refers_to_until_its_reader_lets_go)
{
    struct bench b;
    uint64_t id = 0;

    begin(&b, "", 1);
    task(&b, TASK, b.job);
    id = make(&b, TASK);
    CHECK(pledge(&b, TASK, 0, id) == REEVE_OK);
    sim_queue_close(&b.s, TASK, 0);
    sim_client_goodbye(&b.s, TASK); /* the function has returned */
    sim_run(&b.s, 50);
    CHECK(lives(&b, id));
    result(&b, 0, RV_RAN_OK, id);
    CHECK(b.r.len == 1 && b.r.got[0].status == RV_RAN_OK && b.r.got[0].ref == id);
    CHECK(lives(&b, id));
    let_go(&b, CLIENT, id);
    CHECK(!lives(&b, id));
    end(&b);
}

/* Its reader closes the job while the result is on its way: who takes the message off the wire lets go. */
TEST(result_that_nobody_waits_for_keeps_nothing)
{
    struct bench b;
    struct rv_buf none = {0};
    uint64_t id = 0;

    begin(&b, "", 1);
    task(&b, TASK, b.job);
    id = make(&b, TASK);
    CHECK(pledge(&b, TASK, 0, id) == REEVE_OK);
    sim_client_kill(&b.s, TASK, SIM_DEATH_GONE);
    rv_link_drop_port(&b.r.client->link, &b.r.port);
    result(&b, 0, RV_RAN_OK, id);
    CHECK(hand_ask(&b.s, CLIENT, RV_OP_ping, 0, &none) == REEVE_OK);
    sim_run(&b.s, 20);
    CHECK(!lives(&b, id));
    CHECK(rv_link_add_port(&b.r.client->link, &b.r.port));
    end(&b);
}

TEST(what_a_runner_that_died_had_pledged_falls_with_its_item)
{
    struct bench b;
    uint64_t id = 0;

    begin(&b, "", 2);
    task(&b, TASK, b.job);
    id = make(&b, TASK);
    CHECK(pledge(&b, TASK, 0, id) == REEVE_OK);
    sim_client_kill(&b.s, TASK, SIM_DEATH_GONE);
    result(&b, 0, RV_RAN_CRASHED, 0);
    CHECK(b.h.len == 3 && b.h.heard[2].first == 0); /* it runs again */
    CHECK(lives(&b, id));
    result(&b, 2, RV_RAN_OK, 0); /* and this time refers to nothing */
    CHECK(!lives(&b, id));
    CHECK(b.r.len == 1 && b.r.got[0].ref == 0);
    end(&b);
}

TEST(result_that_refers_to_what_was_not_pledged_has_failed)
{
    struct bench b;
    uint64_t id = 0;
    uint64_t other = 0;

    begin(&b, "", 2);
    task(&b, TASK, b.job);
    id = make(&b, TASK);
    other = make(&b, TASK);
    result(&b, 0, RV_RAN_OK, id);
    CHECK(pledge(&b, TASK, 1, other) == REEVE_OK);
    result(&b, 1, RV_RAN_OK, id); /* something else was */
    CHECK(b.r.len == 2);
    for (size_t i = 0; i < 2; i++) {
        CHECK(b.r.got[i].status == RV_RAN_FAILED && b.r.got[i].ref == 0);
        CHECK(strstr(b.r.got[i].text, "did not pledge") != NULL);
    }
    sim_client_kill(&b.s, TASK, SIM_DEATH_GONE);
    sim_run(&b.s, 10000);
    CHECK(!lives(&b, id) && !lives(&b, other));
    end(&b);
}

/* Values that travel together refer to nothing. One that does has failed, and its neighbours have not. */
TEST(value_that_refers_to_something_does_not_travel_with_others)
{
    struct bench b;
    struct rv_buf items = {0};
    struct rv_buf args = {0};
    uint8_t ref[8];

    memset(&b, 0, sizeof b);
    sim_start(&b.s, 2);
    sim_principal(&b.s, "admin", "");
    hand_lend(&b.s, &b.h, AGENT, 1);
    CHECK(sim_open(&b.s, CLIENT, "", NULL) == REEVE_OK);
    rv_set_number(ref, b.s.clients[CLIENT].queues[0].channel.port.object, 8);
    read_results(&b, &b.r, CLIENT, "", 3);
    for (int i = 0; i < 3; i++)
        rv_item_write(&items, &(struct rv_item){.len = 8, .bytes = rv_slice("an item.", 8)});
    rv_job_put_args_encode(
        &args, &(struct rv_job_put_args){.chunk = 3, .items = {3, rv_buf_slice(&items)}});
    CHECK(hand_ask(&b.s, CLIENT, RV_OP_job_put, b.job, &args) == REEVE_OK);
    sim_run(&b.s, 10);
    CHECK(b.h.len == 1 && b.h.heard[0].count == 3);
    rv_buf_clear(&items);
    for (int i = 0; i < 3; i++)
        rv_item_write(&items, &(struct rv_item){.len = 8,
                                                .bytes = rv_slice("a value.", 8),
                                                .refs = rv_slice(ref, i == 1 ? 8 : 0)});
    rv_agent_done_args_encode(
        &args, &(struct rv_agent_done_args){
                   .chunk = b.h.heard[0].chunk, .ns = 1, .items = {3, rv_buf_slice(&items)}});
    hand_say(&b.s, AGENT, RV_OP_agent_done, b.h.port.object, &args);
    rv_buf_free(&items);
    sim_run(&b.s, 10);
    CHECK(b.r.plain == 2 && b.r.len == 1);
    CHECK(b.r.got[0].index == 1 && b.r.got[0].status == RV_RAN_FAILED && b.r.got[0].ref == 0);
    end(&b);
}

/* An agent was away, and its items were dealt a second time. */
TEST(two_runs_of_an_item_pledge_and_the_first_result_counts)
{
    struct bench b;
    uint64_t first = 0;
    uint64_t second = 0;

    begin(&b, "", 1);
    task(&b, TASK, b.job);
    task(&b, OTHER, b.job);
    first = make(&b, TASK);
    second = make(&b, OTHER);
    CHECK(pledge_run(&b, TASK, 0, 1, first) == REEVE_OK);
    CHECK(pledge_run(&b, OTHER, 0, 2, second) == REEVE_OK);
    sim_client_kill(&b.s, TASK, SIM_DEATH_GONE);
    sim_client_kill(&b.s, OTHER, SIM_DEATH_GONE);
    sim_run(&b.s, 10000);
    CHECK(lives(&b, first) && lives(&b, second));
    result(&b, 0, RV_RAN_OK, second);
    CHECK(b.r.len == 1 && b.r.got[0].ref == second);
    CHECK(!lives(&b, first) && lives(&b, second));
    end(&b);
}

TEST(pledges_of_a_cancelled_job_fall)
{
    struct bench b;
    struct rv_buf args = {0};
    uint64_t id = 0;

    begin(&b, "", 1);
    task(&b, TASK, b.job);
    id = make(&b, TASK);
    CHECK(pledge(&b, TASK, 0, id) == REEVE_OK);
    sim_queue_close(&b.s, TASK, 0);
    sim_run(&b.s, 20);
    CHECK(lives(&b, id));
    rv_job_cancel_args_encode(&args, &(struct rv_job_cancel_args){.job = b.job});
    CHECK(hand_ask(&b.s, CLIENT, RV_OP_job_cancel, 0, &args) == REEVE_OK);
    CHECK(!lives(&b, id));
    CHECK(pledge(&b, TASK, 0, id) == REEVE_ECANCELED);
    end(&b);
}

TEST(what_a_result_refers_to_falls_with_the_session_that_read_it)
{
    struct bench b;
    uint64_t id = 0;

    begin(&b, "", 1);
    task(&b, TASK, b.job);
    id = make(&b, TASK);
    CHECK(pledge(&b, TASK, 0, id) == REEVE_OK);
    sim_client_goodbye(&b.s, TASK);
    result(&b, 0, RV_RAN_OK, id);
    CHECK(b.r.len == 1 && lives(&b, id));
    rv_link_drop_port(&b.r.client->link, &b.r.port);
    sim_client_kill(&b.s, CLIENT, SIM_DEATH_GONE);
    sim_run(&b.s, 10000);
    CHECK(!lives(&b, id));
    end(&b);
}

/* With the pledge, then with the result. */
TEST(pledges_and_what_took_them_over_survive_a_crash_of_the_manager)
{
    struct bench b;
    struct reader late;
    uint64_t id = 0;

    begin(&b, "left", 2);
    task(&b, TASK, b.job);
    id = make(&b, TASK);
    CHECK(pledge(&b, TASK, 0, id) == REEVE_OK);
    sim_client_goodbye(&b.s, TASK);
    sim_run(&b.s, 20);
    sim_server_crash(&b.s, false);
    sim_server_restart(&b.s);
    sim_run(&b.s, 500);
    CHECK(lives(&b, id));
    result(&b, 0, RV_RAN_OK, id);
    CHECK(b.r.len == 1 && b.r.got[0].ref == id);
    let_go(&b, CLIENT, id);
    CHECK(lives(&b, id)); /* the result is kept for others */
    sim_server_crash(&b.s, false);
    sim_server_restart(&b.s);
    sim_run(&b.s, 500);
    CHECK(lives(&b, id));
    sim_client_start(&b.s, OTHER);
    while (b.s.clients[OTHER].link.state != RV_LINK_READY)
        CHECK(sim_step(&b.s));
    read_results(&b, &late, OTHER, "left", 2);
    sim_run(&b.s, 20);
    CHECK(late.len == 1 && late.got[0].ref == id);
    rv_link_drop_port(&late.client->link, &late.port);
    end(&b);
}

/* Each has what it was sent, for as long as it likes. */
TEST(each_reader_of_work_that_was_left_is_given_what_results_refer_to)
{
    struct bench b;
    struct reader late;
    struct rv_buf args = {0};
    uint64_t id = 0;

    begin(&b, "left", 1);
    task(&b, TASK, b.job);
    id = make(&b, TASK);
    CHECK(pledge(&b, TASK, 0, id) == REEVE_OK);
    sim_client_goodbye(&b.s, TASK);
    result(&b, 0, RV_RAN_OK, id);
    sim_client_start(&b.s, OTHER);
    while (b.s.clients[OTHER].link.state != RV_LINK_READY)
        CHECK(sim_step(&b.s));
    read_results(&b, &late, OTHER, "left", 1);
    sim_run(&b.s, 20);
    CHECK(b.r.len == 1 && late.len == 1 && late.got[0].ref == id);
    let_go(&b, CLIENT, id);
    rv_object_remove_args_encode(&args, &(struct rv_object_remove_args){rv_slice_str("left"), 0});
    CHECK(hand_ask(&b.s, CLIENT, RV_OP_object_remove, 0, &args) == REEVE_OK);
    for (int c = CLIENT; c <= OTHER; c += OTHER - CLIENT)
        hand_say(&b.s, c, RV_OP_object_close, b.job, &args);
    CHECK(!lives(&b, b.job) && lives(&b, id)); /* the second still has it */
    let_go(&b, OTHER, id);
    CHECK(!lives(&b, id));
    rv_link_drop_port(&late.client->link, &late.port);
    end(&b);
}

/* A task needs no session that holds what its item refers to. */
TEST(what_came_with_an_item_may_go_with_its_result)
{
    struct bench b;
    uint64_t id = 0;

    memset(&b, 0, sizeof b);
    sim_start(&b.s, 2);
    sim_principal(&b.s, "admin", "");
    hand_lend(&b.s, &b.h, AGENT, 1);
    CHECK(sim_open(&b.s, CLIENT, "", NULL) == REEVE_OK);
    id = b.s.clients[CLIENT].queues[0].channel.port.object;
    read_results(&b, &b.r, CLIENT, "", 1);
    put_items(&b, 1, id);
    sim_queue_close(&b.s, CLIENT, 0);
    task(&b, TASK, b.job);
    CHECK(pledge(&b, TASK, 0, id) == REEVE_OK);
    result(&b, 0, RV_RAN_OK, id);
    CHECK(b.r.len == 1 && b.r.got[0].ref == id && lives(&b, id));
    let_go(&b, CLIENT, id);
    CHECK(!lives(&b, id));
    end(&b);
}

TEST(pledge_that_cannot_be_is_refused)
{
    struct bench b;
    uint8_t objects[8 * (RV_LIMIT_ITEM_REFS + 1)];
    struct rv_buf args = {0};
    uint64_t id = 0;
    uint64_t others = 0;
    uint64_t job = 0;

    begin(&b, "", 2);
    job = b.job;
    task(&b, TASK, job);
    id = make(&b, TASK);
    others = make(&b, CLIENT);
    CHECK(pledge(&b, CLIENT, 0, others) == REEVE_EPERM); /* it is no task */
    CHECK(pledge(&b, AGENT, 0, others) == REEVE_EPERM);
    CHECK(pledge(&b, TASK, 0, others) == REEVE_ENOENT); /* it does not hold that */
    CHECK(pledge(&b, TASK, 0, b.job) == REEVE_ENOENT);
    CHECK(pledge(&b, TASK, 2, id) == REEVE_EGONE); /* there is no such item */
    b.job = others;
    CHECK(pledge(&b, TASK, 0, id) == REEVE_EPERM); /* it is no task of that */
    b.job = job + 99;
    CHECK(pledge(&b, TASK, 0, id) == REEVE_EPERM);
    b.job = job;
    for (size_t i = 0; i <= RV_LIMIT_ITEM_REFS; i++)
        rv_set_number(objects + 8 * i, id, 8);
#define PLEDGE(len, wanted)                                                                        \
    rv_job_pledge_args_encode(&args,                                                               \
                              &(struct rv_job_pledge_args){.objects = rv_slice(objects, (len))});  \
    CHECK(hand_ask(&b.s, TASK, RV_OP_job_pledge, b.job, &args) == (wanted))
    PLEDGE(0, REEVE_EINVAL);
    PLEDGE(9, REEVE_EINVAL);
    PLEDGE(sizeof objects, REEVE_EINVAL);
    PLEDGE(sizeof objects - 8, REEVE_OK);
#undef PLEDGE
    result(&b, 0, RV_RAN_OK, 0);
    CHECK(pledge(&b, TASK, 0, id) == REEVE_EGONE); /* nobody waits for it any more */
    sim_client_kill(&b.s, TASK, SIM_DEATH_GONE);
    sim_run(&b.s, 10000);
    CHECK(!lives(&b, id));
    end(&b);
}

TEST(item_has_so_many_pledges)
{
    struct bench b;
    uint64_t id = 0;

    begin(&b, "", 1);
    task(&b, TASK, b.job);
    id = make(&b, TASK);
    for (int i = 0; i < RV_LIMIT_PLEDGES; i++)
        CHECK(pledge_run(&b, TASK, 0, 2, id) == REEVE_OK);
    CHECK(pledge_run(&b, TASK, 0, 2, id) == REEVE_ELIMIT);
    CHECK(pledge_run(&b, TASK, 0, 1, id) == REEVE_ELIMIT);
    for (uint32_t run = 3; run < 60; run++) /* an item that is tried for ever */
        CHECK(pledge_run(&b, TASK, 0, run, id) == REEVE_OK);
    sim_client_kill(&b.s, TASK, SIM_DEATH_GONE);
    sim_run(&b.s, 10000);
    result(&b, 0, RV_RAN_OK, id);
    CHECK(b.r.len == 1 && b.r.got[0].ref == id);
    let_go(&b, CLIENT, id);
    CHECK(!lives(&b, id));
    end(&b);
}

TEST(results_that_refer_to_objects_leave_nothing)
{
    enum { ITEMS = 50 };
    struct bench b;
    size_t before = 0;

    begin(&b, "", ITEMS);
    task(&b, TASK, b.job);
    before = mgr_objects(b.s.server.mgr);
    for (size_t i = 0; i < ITEMS; i++) {
        uint64_t id = make(&b, TASK);

        CHECK(pledge(&b, TASK, b.h.heard[i].first, id) == REEVE_OK);
        sim_queue_close(&b.s, TASK, 0);
        result(&b, i, RV_RAN_OK, id);
        CHECK(b.r.len == i + 1 && b.r.got[i].ref == id);
        let_go(&b, CLIENT, id);
        CHECK(mgr_objects(b.s.server.mgr) == before);
    }
    end(&b);
}
