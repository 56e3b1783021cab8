/* References: objects that live in items. */

#define HASH_NONFATAL_OOM 1 /* headers of both roles meet here */
#include "server/core/carry.h"
#include "tests/lib/check.h"
#include "tests/lib/sim.h"

static void begin(struct sim *s)
{
    sim_start(s, 2);
    CHECK(sim_open(s, 1, "requests", NULL) == REEVE_OK);
    CHECK(sim_open(s, 2, "requests", NULL) == REEVE_OK);
    CHECK(sim_open(s, 1, "", NULL) == REEVE_OK); /* handle 1, object 2 */
    sim_run(s, 10);
    sim_mark(s);
}

static void expect_objects(struct sim *s, size_t want)
{
    sim_run(s, 50);
    CHECK(mgr_objects(s->server.mgr) == want);
}

TEST(object_lives_in_an_item_when_its_sender_has_closed_it)
{
    struct sim s;

    begin(&s);
    sim_put_ref(&s, 1, 0, "a", 1);
    sim_queue_close(&s, 1, 1);
    expect_objects(&s, 2);
    sim_get(&s, 2, 1000);
    sim_run(&s, 50);
    CHECK(s.clients[2].liens_len == 1 && s.clients[2].liens[0] == 2);
    expect_objects(&s, 2);
    sim_unlien(&s, 2, 0);
    expect_objects(&s, 1);
    sim_stop(&s);
}

TEST(references_of_a_session_fall_with_it)
{
    struct sim s;

    begin(&s);
    sim_put_ref(&s, 1, 0, "a", 1);
    sim_queue_close(&s, 1, 1);
    sim_get(&s, 2, 1000);
    expect_objects(&s, 2);
    sim_client_kill(&s, 2, SIM_DEATH_GONE);
    expect_objects(&s, 1);
    sim_stop(&s);
}

TEST(item_that_comes_back_brings_its_reference)
{
    struct sim s;

    sim_start(&s, 3);
    for (int c = 1; c <= 3; c++)
        CHECK(sim_open(&s, c, "requests", &(struct sim_options){.joinable = true}) == REEVE_OK);
    CHECK(sim_open(&s, 1, "", NULL) == REEVE_OK);
    sim_put_ref(&s, 1, 0, "a", 1);
    sim_queue_close(&s, 1, 1);
    sim_get(&s, 2, 1000);
    expect_objects(&s, 2);
    sim_client_kill(&s, 2, SIM_DEATH_GONE);
    expect_objects(&s, 2);
    sim_get(&s, 3, 1000);
    sim_run(&s, 50);
    CHECK(s.clients[3].liens_len == 1);
    sim_done(&s, 3, "a");
    expect_objects(&s, 2); /* the item is done; who had it still has the reference */
    sim_unlien(&s, 3, 0);
    expect_objects(&s, 1);
    sim_stop(&s);
}

TEST(put_that_waits_for_room_keeps_what_it_refers_to)
{
    struct sim s;
    struct sim_op *op = NULL;

    sim_start(&s, 2);
    for (int c = 1; c <= 2; c++)
        CHECK(sim_open(&s, c, "narrow", &(struct sim_options){.maxsize = 1}) == REEVE_OK);
    CHECK(sim_open(&s, 1, "", NULL) == REEVE_OK);
    sim_put_wait(&s, 1, "first", 1000);
    sim_run(&s, 10);
    op = sim_op_new(&s, 1, SIM_OP_PUT, 0, 500);
    op->items[0] = sim_book_item(&s, "a", s.clients[1].queues[0].book, SIM_THREADS, 16);
    op->items_len = 1;
    op->call = true;
    sim_refer(&s, op->items[0], &s.clients[1], 1);
    sim_op_begin(&s, op);
    sim_run(&s, 10);
    sim_queue_close(&s, 1, 1);
    expect_objects(&s, 2);
    sim_run(&s, 1000); /* its time is over */
    expect_objects(&s, 1);
    sim_stop(&s);
}

TEST(nobody_gives_away_what_he_does_not_have)
{
    struct sim s;

    begin(&s);
    CHECK(sim_open(&s, 2, "", NULL) == REEVE_OK); /* object 3; it has no reference to 2 */
    sim_mark(&s);
    s.clients[2].queues[1].channel.port.object = 2;
    sim_put_ref(&s, 2, 0, "a", 1);
    s.clients[2].queues[1].channel.port.object = 3;
    sim_run(&s, 20);
    sim_put(&s, 2, "b"); /* the refusal of an earlier put */
    sim_expect(&s, "[   20] put.fail client=2 item=b error=ENOENT\n");
    sim_stop(&s);
}

struct lost {
    size_t len;
    uint64_t first;
};

static void note_lost(void *arg, const struct object *o)
{
    struct lost *l = arg;

    if (l->len++ == 0)
        l->first = o->id;
}

TEST(cycle_of_references_is_found)
{
    struct sim s;
    struct lost lost = {0};

    begin(&s);
    sim_put_ref(&s, 1, 1, "self", 1); /* the queue is in itself */
    sim_run(&s, 20);
    carry_lost(s.server.mgr, note_lost, &lost);
    CHECK(lost.len == 0); /* its handle still finds it */
    sim_queue_close(&s, 1, 1);
    expect_objects(&s, 2);
    carry_lost(s.server.mgr, note_lost, &lost);
    CHECK(lost.len == 1 && lost.first == 2);
    sim_stop(&s);
}

TEST(references_survive_a_crash_of_the_manager)
{
    struct sim s;

    begin(&s);
    sim_put_ref(&s, 1, 0, "a", 1);
    sim_queue_close(&s, 1, 1);
    expect_objects(&s, 2);
    sim_server_crash(&s, false);
    sim_server_restart(&s);
    sim_run(&s, 500);
    expect_objects(&s, 2);
    sim_get(&s, 2, 1000);
    sim_run(&s, 50);
    CHECK(s.clients[2].liens_len == 1);
    sim_server_crash(&s, false);
    sim_server_restart(&s);
    sim_run(&s, 500);
    expect_objects(&s, 2);
    sim_unlien(&s, 2, 0);
    expect_objects(&s, 1);
    sim_stop(&s);
}

/* Each round makes an object, nests it, takes it out and lets it go. */
TEST(objects_and_references_leave_nothing)
{
    enum { ROUNDS = 300 };
    struct sim s;

    begin(&s);
    sim_queue_close(&s, 1, 1);
    for (int i = 0; i < ROUNDS; i++) {
        CHECK(sim_open(&s, 1, "", NULL) == REEVE_OK);
        sim_put_ref(&s, 1, 0, "a", 1);
        sim_queue_close(&s, 1, 1);
        sim_get(&s, 2, 1000);
        sim_run(&s, 10);
        sim_unlien(&s, 2, 0);
        sim_run(&s, 5);
        CHECK(mgr_objects(s.server.mgr) == 1);
    }
    sim_stop(&s);
}

/* Handle 1 is what the items of a map refer to. */
static void begin_map(struct sim *s, uint32_t items)
{
    sim_start(s, 1);
    sim_agent_start(s, 2, 1);
    CHECK(sim_open(s, 1, "requests", NULL) == REEVE_OK);
    CHECK(sim_open(s, 1, "", NULL) == REEVE_OK);
    sim_mark(s);
    sim_map(s, 1, &(struct sim_map){.items = items, .refers = 1});
    sim_run(s, 20);
    sim_queue_close(s, 1, 1);
    sim_run(s, 20);
}

static bool lives(const struct sim *s, uint64_t id)
{
    const struct object *o = NULL;

    HASH_FIND(by_id, s->server.mgr->objects, &id, sizeof id, o);
    return o != NULL;
}

TEST(items_of_a_map_keep_what_they_refer_to_until_they_are_done)
{
    struct sim s;
    uint64_t id = 0;

    begin_map(&s, 50);
    id = s.server.mgr->last_object - 1; /* the job came after it */
    CHECK(lives(&s, id));
    sim_server_crash(&s, false);
    sim_server_restart(&s);
    sim_run(&s, 100);
    CHECK(lives(&s, id));
    sim_run(&s, 2000); /* 50 items of 10 ms */
    CHECK(s.maps == 1);
    CHECK(!lives(&s, id));
    sim_stop(&s);
}

TEST(references_of_a_map_fall_with_its_client)
{
    struct sim s;
    uint64_t id = 0;

    begin_map(&s, 5000);
    id = s.server.mgr->last_object - 1;
    CHECK(lives(&s, id));
    sim_client_kill(&s, 1, SIM_DEATH_GONE);
    sim_run(&s, 10000); /* until its session is given up */
    CHECK(!lives(&s, id));
    sim_stop(&s);
}
