/* What survives which end of the manager, and what a full disk does. */

#define HASH_NONFATAL_OOM 1 /* headers of both roles meet here */

#include "server/core/session.h"
#include "tests/lib/check.h"
#include "tests/lib/sim.h"
#include "tests/lib/sim_box.h"
#include "tests/lib/sim_sync.h"

#include <stdio.h>

/* Both ends of the manager: only its process, and the power. */
TEST(sync_queue_survives_the_loss_of_power)
{
    struct sim s;

    sim_start(&s, 2);
    CHECK(sim_open(&s, 1, "jobs", &(struct sim_options){.durable = RV_DURABLE_SYNC}) == REEVE_OK);
    CHECK(sim_open(&s, 2, "jobs", NULL) == REEVE_OK);
    sim_put_wait(&s, 1, "a", 1000);
    sim_expect(&s, "[    2] put.ok client=1 item=a\n");
    sim_server_power(&s);
    sim_server_restart(&s);
    sim_run(&s, 20000);
    sim_mark(&s);
    sim_get(&s, 2, 1000);
    sim_expect(&s, "[    2] get.ok client=2 item=a\n");
    sim_stop(&s);
}

TEST(os_queue_survives_the_end_of_the_process)
{
    struct sim s;

    sim_start(&s, 2);
    CHECK(sim_open(&s, 1, "jobs", &(struct sim_options){.durable = RV_DURABLE_OS}) == REEVE_OK);
    CHECK(sim_open(&s, 2, "jobs", NULL) == REEVE_OK);
    sim_put_wait(&s, 1, "a", 1000);
    sim_expect(&s, "[    2] put.ok client=1 item=a\n");
    sim_server_crash(&s, false);
    sim_server_restart(&s);
    sim_run(&s, 5000);
    sim_mark(&s);
    sim_get(&s, 2, 1000);
    sim_expect(&s, "[    2] get.ok client=2 item=a\n");
    sim_stop(&s);
}

/* A frame of fragments alone is acknowledged before the call that uses them has come: if it were not
 * on the disk by then, the end of the manager in between would end the session. */
TEST(fragments_ask_for_the_disk_before_their_call_does)
{
    struct sim s;
    struct rv_buf frame = {0};
    struct rv_msg fragment = {.type = RV_MSG_fragment};
    struct rv_slice body = rv_slice_str("half of it");
    uint8_t header[RV_FRAME_HEADER];
    struct command cmd;

    sim_start(&s, 1);
    CHECK(sim_open(&s, 1, "jobs", NULL) == REEVE_OK);
    sim_run(&s, 100);
    fragment.fragment = (struct rv_fragment){.body = 9, .total = 20};
    rv_frame_encode(header, &(struct rv_frame){.bodies = 1, .first = s.clients[1].link.out.next});
    rv_buf_add(&frame, header, sizeof header);
    rv_msg_encode(&frame, &fragment);
    CHECK(gate_receive(s.server.gate, s.now,
                       &(struct gate_message){.peer = s.clients[1].conn->peer,
                                              .principal = 1,
                                              .control = rv_buf_slice(&frame),
                                              .bodies = &body,
                                              .bodies_len = 1},
                       &cmd));
    CHECK(cmd.durable == RV_DURABLE_SYNC);
    rv_buf_free(&frame);
    sim_stop(&s);
}

/* What a disk loses is chance: does the manager know less than its client now? */
static bool loses_power(struct sim *s, uint64_t seed)
{
    sim_start(s, 2);
    CHECK(sim_open(s, 1, "jobs", &(struct sim_options){.durable = RV_DURABLE_OS}) == REEVE_OK);
    CHECK(sim_open(s, 2, "other", NULL) == REEVE_OK);
    for (int i = 0; i < 4; i++)
        sim_put_wait(s, 1, "a", 1000);
    sim_run(s, 100);
    CHECK(s->server.flushed < s->server.index);
    s->rng.state = seed;
    sim_server_power(s);
    sim_server_restart(s);
    return session_out(mgr_session(s->server.mgr, 1))->next <= s->clients[1].link.received;
}

/* Power takes back what was not asked to survive that. A session that knows more than the manager
 * hears that it is over, at once; others go on. */
TEST(session_that_power_took_back_is_told)
{
    struct sim s;
    uint64_t seed = 1;

    for (; !loses_power(&s, seed); seed++)
        sim_stop(&s);
    sim_run(&s, 3000);
    CHECK(s.clients[1].link.state == RV_LINK_DEAD);
    CHECK(s.clients[1].link.error == REEVE_EEXPIRED);
    CHECK(s.clients[2].link.state == RV_LINK_READY);
    sim_stop(&s);
}

TEST(queue_is_made_as_durable_as_it_is_opened)
{
    struct sim s;

    sim_start(&s, 2);
    CHECK(sim_open(&s, 1, "jobs", &(struct sim_options){.durable = RV_DURABLE_OS}) == REEVE_OK);
    CHECK(sim_open(&s, 2, "jobs", &(struct sim_options){.durable = RV_DURABLE_SYNC}) ==
          REEVE_EEXIST);
    CHECK(sim_open(&s, 2, "jobs", NULL) == REEVE_OK);
    sim_stop(&s);
}

/* A full disk refuses what makes the manager hold more; what takes out goes on, and service
 * returns by itself. */
TEST(full_disk_refuses_puts_and_lets_gets_go_on)
{
    struct sim s;

    sim_start(&s, 2);
    CHECK(sim_open(&s, 1, "jobs", NULL) == REEVE_OK);
    CHECK(sim_open(&s, 2, "jobs", NULL) == REEVE_OK);
    sim_put_wait(&s, 1, "a", 1000);
    sim_run(&s, 100);
    sim_server_space(&s, true);
    sim_run(&s, 100);
    sim_mark(&s);
    sim_put_wait(&s, 1, "b", 1000);
    sim_expect(&s, "[    2] put.fail client=1 item=b error=ENOSPC\n");
    sim_get(&s, 2, 1000);
    sim_expect(&s, "[    4] get.ok client=2 item=a\n");
    sim_server_space(&s, false);
    sim_run(&s, 100);
    sim_mark(&s);
    sim_put_wait(&s, 1, "c", 1000);
    sim_expect(&s, "[    2] put.ok client=1 item=c\n");
    sim_stop(&s);
}

/* LITTLE_ROOM is enough for a large item and its segments, and leaves less than the floor. */
enum { LARGE = 16 << 20, LITTLE_ROOM = 17 << 20, MUCH_ROOM = 256 << 20 };

static uint64_t log_bytes(const struct sim *s)
{
    struct journal_stat stat;

    journal_stat(s->server.journal, &stat);
    return stat.bytes;
}

/* The bodies of a refused put come before it is known that it is one. They must not be in the log,
 * or who tries for ever fills what is left for those who take out. */
TEST(full_disk_is_not_filled_by_those_who_try_for_ever)
{
    struct sim s;
    uint64_t before = 0;

    sim_start(&s, 3);
    for (int c = 1; c <= 3; c++)
        CHECK(sim_open(&s, c, "jobs", NULL) == REEVE_OK);
    sim_put_wait(&s, 1, "b", 1000);
    sim_run(&s, 100);
    sim_server_room(&s, LITTLE_ROOM);
    sim_put_large_wait(&s, 1, "a", LARGE, 1000);
    sim_run(&s, 100);
    CHECK(s.server.full);
    before = log_bytes(&s);
    for (int i = 0; i < 8; i++) {
        sim_mark(&s);
        sim_put_large_wait(&s, 1, "large", LARGE, 1000);
        sim_expect(&s, "[    2] put.fail client=1 item=large error=ENOSPC\n");
        sim_put_large_wait(&s, 3, "body", 200000, 1000);
        sim_expect(&s, "[    4] put.fail client=3 item=body error=ENOSPC\n");
        sim_put_large_wait(&s, 3, "inline", 60000, 1000);
        sim_expect(&s, "[    6] put.fail client=3 item=inline error=ENOSPC\n");
    }
    CHECK(log_bytes(&s) - before < LARGE / 100);
    sim_mark(&s);
    sim_get(&s, 2, 1000);
    sim_expect(&s, "[    2] get.ok client=2 item=b\n");
    sim_server_crash(&s, false);
    sim_server_restart(&s);
    sim_run(&s, 3000);
    sim_mark(&s);
    sim_put_large_wait(&s, 1, "c", LARGE, 1000);
    sim_expect(&s, "[    2] put.fail client=1 item=c error=ENOSPC\n");
    sim_server_room(&s, MUCH_ROOM);
    sim_run(&s, 100);
    sim_mark(&s);
    sim_put_large_wait(&s, 1, "d", LARGE, 1000);
    sim_expect(&s, "[    2] put.ok client=1 item=d\n");
    sim_get(&s, 2, 1000);
    sim_expect(&s, "[    6] get.ok client=2 item=a\n");
    sim_get(&s, 2, 1000);
    sim_expect(&s, "[   10] get.ok client=2 item=d\n");
    sim_stop(&s);
}

/* Some of the bodies of a put come while the disk is full, the others before or after that. */
static void fills_amid_a_put(bool full_first)
{
    struct sim s;
    uint64_t id = 0;
    const struct session *session = NULL;

    sim_start(&s, 2);
    CHECK(sim_open(&s, 1, "jobs", NULL) == REEVE_OK);
    CHECK(sim_open(&s, 2, "jobs", NULL) == REEVE_OK);
    sim_server_space(&s, full_first);
    sim_run(&s, 100);
    id = gate_session(s.server.gate, s.clients[1].conn->peer);
    session = mgr_session(s.server.mgr, id);
    sim_mark(&s);
    s.delay_max = 10 * RV_MS; /* the pieces come one by one */
    sim_put_large_wait(&s, 1, "a", LARGE, 1000);
    while (!session->stripped && session->assembly.bytes == 0)
        CHECK(sim_step(&s));
    sim_server_space(&s, !full_first);
    s.delay_max = RV_MS;
    sim_expect(&s, "[   10] put.fail client=1 item=a error=ENOSPC\n");
    CHECK(session->assembly.bytes == 0);
    sim_server_space(&s, false);
    sim_run(&s, 100);
    sim_server_crash(&s, false);
    sim_server_restart(&s);
    sim_run(&s, 3000);
    sim_mark(&s);
    sim_put_large_wait(&s, 1, "a", LARGE, 1000);
    sim_expect(&s, "[    2] put.ok client=1 item=a\n");
    sim_get(&s, 2, 1000);
    sim_expect(&s, "[    6] get.ok client=2 item=a\n");
    sim_stop(&s);
}

TEST(put_that_begins_before_the_disk_is_full_is_refused_whole)
{
    fills_amid_a_put(false);
}

TEST(put_that_ends_when_there_is_room_again_is_refused_whole)
{
    fills_amid_a_put(true);
}

/* The disk may have been cleared while nobody looked. */
TEST(restart_forgets_that_the_disk_was_full)
{
    struct sim s;

    sim_start(&s, 1);
    CHECK(sim_open(&s, 1, "jobs", NULL) == REEVE_OK);
    sim_server_space(&s, true);
    sim_run(&s, 100);
    sim_server_crash(&s, false);
    sim_server_restart(&s);
    sim_run(&s, 3000);
    sim_mark(&s);
    sim_put_wait(&s, 1, "a", 1000);
    sim_expect(&s, "[    2] put.ok client=1 item=a\n");
    sim_stop(&s);
}

static uint8_t reached_by_put(enum rv_durable durable, bool memory)
{
    struct sim s;
    uint8_t reached = 0;

    if (memory)
        sim_start_memory(&s, 1);
    else
        sim_start(&s, 1);
    CHECK(sim_open(&s, 1, "jobs", &(struct sim_options){.durable = durable}) == REEVE_OK);
    CHECK(s.clients[1].reached == (memory ? RV_DURABLE_NONE : RV_DURABLE_SYNC));
    sim_put_wait(&s, 1, "a", 1000);
    sim_run(&s, 1000);
    reached = s.clients[1].reached;
    sim_stop(&s);
    return reached;
}

TEST(each_answer_says_what_it_has_survived)
{
    CHECK(reached_by_put(RV_DURABLE_DEFAULT, false) == RV_DURABLE_SYNC);
    CHECK(reached_by_put(RV_DURABLE_SYNC, false) == RV_DURABLE_SYNC);
    CHECK(reached_by_put(RV_DURABLE_OS, false) == RV_DURABLE_OS);
    CHECK(reached_by_put(RV_DURABLE_NONE, false) == RV_DURABLE_NONE);
    CHECK(reached_by_put(RV_DURABLE_SYNC, true) == RV_DURABLE_NONE);
}

/* Whoever waits is answered by what another did: that, and nothing less, has survived. */
TEST(answer_of_one_who_waited_says_what_it_has_survived)
{
    struct sim s;

    sim_start(&s, 2);
    CHECK(sim_open(&s, 1, "jobs", &(struct sim_options){.durable = RV_DURABLE_OS}) == REEVE_OK);
    CHECK(sim_open(&s, 2, "jobs", NULL) == REEVE_OK);
    sim_get(&s, 2, 5000);
    sim_run(&s, 100);
    sim_put_wait(&s, 1, "a", 1000);
    sim_run(&s, 100);
    CHECK(s.clients[2].reached == RV_DURABLE_OS);
    sim_stop(&s);
}

/* row: S02 */
TEST(lock_has_a_level_too)
{
    struct sim s;

    sim_start(&s, 2);
    CHECK(sim_sync_open_durable(&s, 1, "a", RV_KIND_LOCK, 0, RV_DURABLE_OS) == REEVE_OK);
    CHECK(s.clients[1].reached == RV_DURABLE_SYNC); /* the open itself */
    CHECK(sim_sync_open_durable(&s, 2, "a", RV_KIND_LOCK, 0, RV_DURABLE_SYNC) == REEVE_EEXIST);
    CHECK(sim_sync_open(&s, 2, "a", RV_KIND_LOCK, 0) == REEVE_OK);
    sim_acquire(&s, 1, 1, "a", UINT32_MAX);
    sim_expect(&s, "[    2] acquire.ok client=1 name=a fence=1\n");
    CHECK(s.clients[1].reached == RV_DURABLE_OS);
    sim_server_crash(&s, false);
    sim_server_restart(&s);
    sim_run(&s, 5000);
    sim_mark(&s);
    sim_acquire(&s, 2, 1, "a", UINT32_MAX); /* it is held still */
    sim_expect_silence(&s, 1000);
    sim_release(&s, 1, 1, "a");
    sim_expect(&s, "[ 1002] acquire.ok client=2 name=a fence=4294967297\n");
    sim_stop(&s);
}

/* What guards something else by its fence must not see one twice, though nothing of this was to last. */
TEST(fence_is_above_those_that_power_took_back)
{
    struct sim s;

    sim_start(&s, 2);
    CHECK(sim_sync_open_durable(&s, 1, "a", RV_KIND_LOCK, 0, RV_DURABLE_NONE) == REEVE_OK);
    sim_acquire(&s, 1, 1, "a", UINT32_MAX);
    sim_expect(&s, "[    2] acquire.ok client=1 name=a fence=1\n");
    sim_release(&s, 1, 1, "a");
    sim_run(&s, 10);
    sim_server_power(&s);
    sim_server_restart(&s);
    sim_run(&s, 5000);
    CHECK(sim_sync_open(&s, 2, "a", RV_KIND_LOCK, 0) == REEVE_OK);
    sim_mark(&s);
    sim_acquire(&s, 2, 1, "a", UINT32_MAX);
    sim_expect(&s, "[    2] acquire.ok client=2 name=a fence=4294967297\n");
    sim_stop(&s);
}

/* ---- containers ---- */

enum { D, L, S, A, V, BOXES };

static const struct model_box boxes[BOXES] = {
    [D] = {.name = "d", .kind = RV_KIND_DICT},
    [L] = {.name = "l", .kind = RV_KIND_LIST},
    [S] = {.name = "s", .kind = RV_KIND_SET},
    [A] = {.name = "a", .kind = RV_KIND_ARRAY, .typecode = 'i', .first_len = 3},
    [V] = {.name = "v", .kind = RV_KIND_VALUE, .typecode = 'i', .first_len = 1},
};

/* A change of it, and a call that tells what came of it. */
static const struct {
    struct model_act change, look;
    const char *seen;
} changes[BOXES] = {
    [D] = {{.op = RV_OP_dict_set, .box = D, .len = 2, .values = {{.n = 1}, {.n = 7}}},
           {.op = RV_OP_dict_get, .box = D, .key = {.n = 1}},
           "dict_get.ok client=1 version=1 values=7\n"},
    [L] = {{.op = RV_OP_list_insert, .box = L, .at = INT64_MAX, .len = 1, .values = {{.n = 7}}},
           {.op = RV_OP_list_page, .box = L},
           "list_page.ok client=1 version=1 values=7\n"},
    [S] = {{.op = RV_OP_set_add, .box = S, .len = 1, .values = {{.n = 7}}},
           {.op = RV_OP_set_page, .box = S},
           "set_page.ok client=1 version=1 values=7\n"},
    [A] = {{.op = RV_OP_list_set, .box = A, .len = 1, .values = {{.n = 7}}},
           {.op = RV_OP_list_page, .box = A},
           "list_page.ok client=1 version=1 values=7,0,0\n"},
    [V] = {{.op = RV_OP_list_set, .box = V, .len = 1, .values = {{.n = 7}}},
           {.op = RV_OP_list_page, .box = V},
           "list_page.ok client=1 version=1 values=7\n"},
};

static void begin_boxes(struct sim *s, enum rv_durable durable)
{
    for (int i = 0; i < BOXES; i++) {
        sim_box(s, &boxes[i]);
        CHECK(sim_box_open(s, 1, i, durable) == REEVE_OK);
    }
}

/* Run until there is an answer, and not longer: what comes later may ask for the disk, too. */
static void await_answer(struct sim *s)
{
    uint64_t before = 0;
    uint64_t answered = 0;
    uint64_t told = 0;

    sim_box_counts(s, &before, &told);
    do {
        CHECK(sim_step(s));
        sim_box_counts(s, &answered, &told);
    } while (answered == before);
}

static uint8_t reached_by_change(int box, enum rv_durable durable, bool memory)
{
    struct sim s;
    uint8_t reached = 0;

    if (memory)
        sim_start_memory(&s, 1);
    else
        sim_start(&s, 1);
    begin_boxes(&s, durable);
    sim_box_call(&s, 1, changes[box].change);
    await_answer(&s);
    reached = s.clients[1].reached;
    sim_stop(&s);
    return reached;
}

TEST(container_is_as_durable_as_it_is_opened)
{
    for (int i = 0; i < BOXES; i++) {
        CHECK(reached_by_change(i, RV_DURABLE_DEFAULT, false) == RV_DURABLE_SYNC);
        CHECK(reached_by_change(i, RV_DURABLE_SYNC, false) == RV_DURABLE_SYNC);
        CHECK(reached_by_change(i, RV_DURABLE_OS, false) == RV_DURABLE_OS);
        CHECK(reached_by_change(i, RV_DURABLE_NONE, false) == RV_DURABLE_NONE);
        CHECK(reached_by_change(i, RV_DURABLE_SYNC, true) == RV_DURABLE_NONE);
    }
}

/* The manager ends as soon as the answer is there; what a disk loses with the power is chance. */
static void survive(int box, enum rv_durable durable, uint64_t seed)
{
    char line[128];
    struct sim s;

    sim_start(&s, 1);
    begin_boxes(&s, durable);
    sim_box_call(&s, 1, changes[box].change);
    await_answer(&s);
    s.rng.state = seed;
    if (durable == RV_DURABLE_SYNC)
        sim_server_power(&s);
    else
        sim_server_crash(&s, false);
    sim_server_restart(&s);
    sim_run(&s, 20000);
    sim_mark(&s);
    sim_box_call(&s, 1, changes[box].look);
    snprintf(line, sizeof line, "[    2] %s", changes[box].seen);
    sim_expect(&s, line);
    sim_stop(&s);
}

enum { SEEDS = 8 };

TEST(answered_change_of_a_sync_container_survives_the_loss_of_power)
{
    for (int i = 0; i < BOXES; i++)
        for (uint64_t seed = 1; seed <= SEEDS; seed++)
            survive(i, RV_DURABLE_SYNC, seed);
}

TEST(answered_change_of_an_os_container_survives_the_end_of_the_process)
{
    for (int i = 0; i < BOXES; i++)
        survive(i, RV_DURABLE_OS, 1);
}

/* A batch has no object of its own: it is safe whatever its containers are. */
TEST(batch_survives_the_loss_of_power_whatever_is_in_it)
{
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        const struct model_act both[] = {changes[D].change, changes[L].change};
        struct sim s;

        sim_start(&s, 1);
        begin_boxes(&s, RV_DURABLE_NONE);
        sim_box_batch(&s, 1, both, 2);
        await_answer(&s);
        CHECK(s.clients[1].reached == RV_DURABLE_SYNC);
        s.rng.state = seed;
        sim_server_power(&s);
        sim_server_restart(&s);
        sim_run(&s, 20000);
        sim_mark(&s);
        sim_box_call(&s, 1, changes[D].look);
        sim_expect(&s, "[    2] dict_get.ok client=1 version=1 values=7\n");
        sim_box_call(&s, 1, changes[L].look);
        sim_expect(&s, "[    4] list_page.ok client=1 version=1 values=7\n");
        sim_stop(&s);
    }
}

/* Flushes while a map of so many items runs. */
static uint64_t flushes_of_a_map(enum rv_durable durable)
{
    struct sim s;
    uint64_t before = 0;
    rv_ns until = 0;

    sim_start(&s, 1);
    sim_agent_start(&s, 2, 2);
    sim_run(&s, 1000);
    before = s.server.flushes;
    sim_map(&s, 1, &(struct sim_map){.items = 500, .durable = durable});
    until = s.now + 100 * RV_SEC;
    while (s.maps == 0 && s.now < until)
        CHECK(sim_step(&s));
    CHECK(s.maps == 1);
    before = s.server.flushes - before;
    sim_stop(&s);
    return before;
}

/* What agents say of its items counts for the job, not for them. */
TEST(map_that_need_not_survive_waits_for_no_disk)
{
    uint64_t most = flushes_of_a_map(RV_DURABLE_SYNC);

    CHECK(flushes_of_a_map(RV_DURABLE_DEFAULT) == most);
    CHECK(most > 20);
    CHECK(flushes_of_a_map(RV_DURABLE_NONE) < most / 10);
    CHECK(flushes_of_a_map(RV_DURABLE_OS) < most / 10);
}
