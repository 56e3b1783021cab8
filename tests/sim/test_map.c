/* A map: each index is answered exactly once, whoever dies. */

#include "tests/lib/check.h"
#include "tests/lib/sim.h"

#include <stdio.h>

/* Client 1 maps, clients 2 .. are agents with so many slots each. */
static void start(struct sim *s, int agents, uint32_t slots)
{
    sim_start(s, 1);
    for (int a = 0; a < agents; a++)
        sim_agent_start(s, 2 + a, slots);
}

/* Step until the story's next line is that of the map's end. */
static void run_until_over(struct sim *s)
{
    rv_ns until = s->now + 100 * RV_SEC;

    while (s->maps == 0 && s->now < until)
        CHECK(sim_step(s));
    CHECK(s->maps == 1);
}

static bool said(const struct sim *s, const char *text)
{
    size_t len = strlen(text);

    for (size_t i = 0; i + len <= s->story.len; i++)
        if (memcmp(s->story.data + i, text, len) == 0)
            return true;
    return false;
}

/* 1000 items of 10 ms in two slots: nobody waits for the network. */
TEST(map_answers_each_item_once)
{
    struct sim s;

    start(&s, 1, 2);
    sim_map(&s, 1, &(struct sim_map){.items = 1000});
    sim_expect(&s, "[    1] job.open job=2 name=\"\" function=f key=sim by=1\n"
                   "[ 5014] job.done job=2 items=1000 failed=0 retried=0\n"
                   "[ 5015] map.done client=1 items=1000 failed=0\n");
    sim_stop(&s);
}

TEST(map_of_nothing_is_done_at_once)
{
    struct sim s;

    start(&s, 0, 0);
    sim_map(&s, 1, &(struct sim_map){.items = 0});
    sim_expect(&s, "[    1] job.open job=1 name=\"\" function=f key=sim by=1\n"
                   "[    1] job.done job=1 items=0 failed=0 retried=0\n"
                   "[    2] map.done client=1 items=0 failed=0\n");
    sim_stop(&s);
}

TEST(map_waits_for_its_first_agent)
{
    struct sim s;

    start(&s, 0, 0);
    sim_map(&s, 1, &(struct sim_map){.items = 4});
    sim_run(&s, 1000);
    sim_agent_start(&s, 2, 4);
    run_until_over(&s);
    CHECK(said(&s, "map.done client=1 items=4 failed=0"));
    sim_stop(&s);
}

/* How many items will come is not known: chunks grow by what was measured. */
TEST(stream_of_items_ends_when_it_is_said)
{
    struct sim s;

    start(&s, 2, 2);
    sim_map(&s, 1, &(struct sim_map){.items = 2000, .stream = true});
    run_until_over(&s);
    CHECK(said(&s, "map.done client=1 items=2000 failed=0"));
    CHECK(s.now - s.origin < 5300 * RV_MS);
    sim_stop(&s);
}

/* ---- agents that die ---- */

TEST(chunks_of_a_dead_agent_are_dealt_again)
{
    struct sim s;

    start(&s, 2, 2);
    sim_map(&s, 1, &(struct sim_map){.items = 400});
    sim_run(&s, 300);
    sim_client_kill(&s, 2, SIM_DEATH_GONE);
    run_until_over(&s);
    CHECK(said(&s, "agent.gone agent=1 name=a2"));
    CHECK(said(&s, "map.done client=1 items=400 failed=0"));
    sim_stop(&s);
}

/* What it had begun is begun a second time, what it had not is not. */
TEST(items_that_a_dead_agent_had_begun_know_that_they_run_again)
{
    struct sim s;

    start(&s, 1, 2);
    s.play.tell = true;
    sim_map(&s, 1, &(struct sim_map){.items = 20, .chunk = 1});
    sim_run(&s, 15);
    sim_client_kill(&s, 2, SIM_DEATH_GONE);
    sim_agent_start(&s, 3, 2);
    run_until_over(&s);
    CHECK(said(&s, "map.done client=1 items=20 failed=0"));
    CHECK(said(&s, "item.begin agent=3 item=0 run=2"));
    CHECK(said(&s, "item.begin agent=3 item=1 run=2"));
    CHECK(said(&s, "item.begin agent=3 item=2 run=1"));
    sim_stop(&s);
}

/* Nobody knows that it is dead but by its silence: after 100 ms others begin what it had. */
TEST(chunks_of_an_agent_that_is_away_are_dealt_twice_and_answered_once)
{
    struct sim s;

    start(&s, 2, 1);
    sim_map(&s, 1, &(struct sim_map){.items = 20, .chunk = 1});
    sim_run(&s, 30);
    sim_reset(&s, 2);
    sim_run(&s, 5);
    sim_partition(&s, 2, 3000);
    sim_run(&s, 900);
    CHECK(s.maps == 1);
    CHECK(said(&s, "map.done client=1 items=20 failed=0"));
    sim_run(&s, 5000); /* it comes back with results that nobody wants */
    sim_stop(&s);
}

TEST(agent_that_reconnects_at_once_goes_on)
{
    struct sim s;

    start(&s, 1, 2);
    sim_map(&s, 1, &(struct sim_map){.items = 200});
    sim_run(&s, 300);
    sim_reset(&s, 2);
    run_until_over(&s);
    CHECK(said(&s, "map.done client=1 items=200 failed=0"));
    CHECK(s.now - s.origin < 1100 * RV_MS);
    sim_stop(&s);
}

TEST(restarted_manager_goes_on_with_its_jobs)
{
    struct sim s;

    start(&s, 2, 2);
    sim_map(&s, 1, &(struct sim_map){.items = 400});
    sim_run(&s, 300);
    sim_server_crash(&s, false);
    sim_run(&s, 500);
    sim_server_restart(&s);
    run_until_over(&s);
    CHECK(said(&s, "map.done client=1 items=400 failed=0"));
    sim_stop(&s);
}

TEST(newer_life_of_an_agent_ends_the_older_one)
{
    struct sim s;

    start(&s, 1, 1);
    sim_map(&s, 1, &(struct sim_map){.items = 50});
    sim_run(&s, 100);
    sim_client_kill(&s, 2, SIM_DEATH_SILENT);
    sim_agent_start(&s, 2, 1);
    CHECK(said(&s, "session.end session=2 reason=\"expired\""));
    run_until_over(&s);
    CHECK(said(&s, "map.done client=1 items=50 failed=0"));
    sim_stop(&s);
}

TEST(drained_agent_hands_back_what_it_has_not_begun)
{
    struct sim s;

    start(&s, 2, 1);
    sim_map(&s, 1, &(struct sim_map){.items = 100, .chunk = 5});
    sim_run(&s, 100);
    sim_agent_drain(&s, 2);
    run_until_over(&s);
    CHECK(said(&s, "agent.leave agent=2"));
    CHECK(said(&s, "map.done client=1 items=100 failed=0"));
    sim_stop(&s);
}

/* ---- items that fail ---- */

static enum sim_fate third_crashes(struct sim *s, uint64_t index, uint32_t run)
{
    (void)s;
    (void)run;
    return index == 3 ? SIM_CRASHES : SIM_RUNS;
}

static enum sim_fate third_crashes_once(struct sim *s, uint64_t index, uint32_t run)
{
    (void)s;
    return index == 3 && run == 1 ? SIM_CRASHES : SIM_RUNS;
}

static enum sim_fate third_fails(struct sim *s, uint64_t index, uint32_t run)
{
    (void)s;
    return index == 3 && run < 3 ? SIM_FAILS : SIM_RUNS;
}

static enum sim_fate third_hangs(struct sim *s, uint64_t index, uint32_t run)
{
    (void)s;
    (void)run;
    return index == 3 ? SIM_HANGS : SIM_RUNS;
}

/* Three runs, on both hosts; the others go on. */
TEST(item_that_crashes_is_set_aside_after_three_runs)
{
    struct sim s;

    start(&s, 2, 1);
    s.play.fate = third_crashes;
    sim_map(&s, 1, &(struct sim_map){.items = 100});
    run_until_over(&s);
    CHECK(s.crashes == 3);
    CHECK(said(&s, "item.again job=3 item=3 agent=1 run=1 why=\"SIGSEGV\""));
    CHECK(said(&s, "item.again job=3 item=3 agent=2 run=2 why=\"SIGSEGV\""));
    CHECK(said(&s, "item.failed job=3 item=3 agent=1 runs=3 why=\"SIGSEGV\""));
    CHECK(said(&s, "status=2 runs=3 text=\"SIGSEGV; it ended its process 3 times, on sim, sim"));
    CHECK(said(&s, "map.done client=1 items=100 failed=1"));
    sim_stop(&s);
}

TEST(item_that_crashes_once_costs_only_itself)
{
    struct sim s;

    start(&s, 1, 1);
    s.play.fate = third_crashes_once;
    s.play.tell = true;
    sim_map(&s, 1, &(struct sim_map){.items = 6, .chunk = 6});
    run_until_over(&s);
    CHECK(said(&s, "item.begin agent=2 item=2 run=1"));
    CHECK(said(&s, "item.begin agent=2 item=3 run=2"));
    CHECK(!said(&s, "item.begin agent=2 item=2 run=2"));
    CHECK(!said(&s, "item.begin agent=2 item=4 run=2"));
    CHECK(said(&s, "map.done client=1 items=6 failed=0"));
    sim_stop(&s);
}

/* Agent 2 is fast, 3 is slow. */
static rv_ns second_is_fast(struct sim *s, const struct sim_client *agent, uint64_t index)
{
    (void)s;
    (void)index;
    return (agent->number == 2 ? 1 : 100) * RV_MS;
}

/* Item 3 ended a runner of the fast agent, so it waits for the slow one, which has its hands full. What else that
 * has is worth giving back all the same: 50 items of 100 ms would take it 5 s. */
TEST(idle_agent_is_given_work_while_an_item_waits_for_another_host)
{
    struct sim s;

    start(&s, 2, 1);
    s.play.fate = third_crashes_once;
    s.play.takes = second_is_fast;
    sim_map(&s, 1, &(struct sim_map){.items = 100, .chunk = 50});
    run_until_over(&s);
    CHECK(said(&s, "item.again job=3 item=3 agent=1 run=1 why=\"SIGSEGV\""));
    CHECK(said(&s, "map.done client=1 items=100 failed=0"));
    CHECK(s.now - s.origin < 1000 * RV_MS);
    sim_stop(&s);
}

/* What only two of three agents may run is given back to the one of them that is idle, though the third, which has
 * been idle for longer, may not have it. */
TEST(who_may_not_run_a_job_does_not_keep_others_from_its_work)
{
    struct sim s;

    sim_start(&s, 1);
    sim_agent_start(&s, 4, 1);
    s.clients[2].labels = s.clients[3].labels = "big";
    sim_agent_start(&s, 2, 1);
    sim_agent_start(&s, 3, 1);
    s.play.takes = second_is_fast;
    sim_map(&s, 1, &(struct sim_map){.items = 100, .chunk = 50, .labels = "big"});
    run_until_over(&s);
    CHECK(said(&s, "map.done client=1 items=100 failed=0"));
    CHECK(s.now - s.origin < 1000 * RV_MS);
    sim_stop(&s);
}

TEST(failed_item_is_tried_as_often_as_asked)
{
    struct sim s;

    start(&s, 1, 1);
    s.play.fate = third_fails;
    sim_map(&s, 1, &(struct sim_map){.items = 6, .retries = 2});
    run_until_over(&s);
    CHECK(said(&s, "map.done client=1 items=6 failed=0"));
    sim_stop(&s);
}

TEST(failed_item_is_not_tried_again_unless_asked)
{
    struct sim s;

    start(&s, 1, 1);
    s.play.fate = third_fails;
    sim_map(&s, 1, &(struct sim_map){.items = 6});
    run_until_over(&s);
    CHECK(said(&s, "item.result client=1 item=3 status=1 runs=1 text=\"no\""));
    CHECK(said(&s, "map.done client=1 items=6 failed=1"));
    sim_stop(&s);
}

static rv_ns takes_a_second(struct sim *s, const struct sim_client *agent, uint64_t index)
{
    (void)s;
    (void)agent;
    (void)index;
    return RV_SEC;
}

static int times(const struct sim *s, const char *text)
{
    size_t len = strlen(text);
    int n = 0;

    for (size_t i = 0; i + len <= s->story.len; i++)
        n += memcmp(s->story.data + i, text, len) == 0;
    return n;
}

/* Step until item 0 of the chunk begins for the n-th time; its runner is killed. */
static void kill_in_first_item(struct sim *s, int n)
{
    while (times(s, "item.begin agent=2 item=0 ") < n)
        CHECK(sim_step(s));
    sim_runner_kill(s, 2, 0);
}

/* Item 3 ends its runner, which takes along that items 0 to 2 are done. They run once more, and their
 * runner is killed by a stranger meanwhile: that item 3 has had a run is not forgotten. */
TEST(each_item_that_ended_its_runner_is_told_of)
{
    struct sim s;

    start(&s, 1, 1);
    s.play.tell = s.play.keeps = true;
    s.play.fate = third_crashes;
    sim_map(&s, 1, &(struct sim_map){.items = 8, .chunk = 8, .runs_max = 2});
    kill_in_first_item(&s, 2);
    run_until_over(&s);
    CHECK(times(&s, "item.begin agent=2 item=3 ") == 2);
    CHECK(times(&s, "item.again job=2 item=0 ") == 1);
    CHECK(times(&s, "item.again job=2 item=3 ") == 1);
    CHECK(said(&s,
               "item.result client=1 item=3 status=2 runs=2 text=\"SIGSEGV; it ended its process "
               "2 times, on sim, sim\""));
    CHECK(said(&s, "map.done client=1 items=8 failed=1"));
    sim_stop(&s);
}

static enum sim_fate sixth_crashes(struct sim *s, uint64_t index, uint32_t run)
{
    (void)s;
    (void)run;
    return index == 6 ? SIM_CRASHES : SIM_RUNS;
}

/* The same, and its items are wanted elsewhere: what is known of item 6 stays with it. */
TEST(item_that_ended_its_runner_is_not_given_back_untold)
{
    struct sim s;

    start(&s, 1, 1);
    s.play.tell = s.play.keeps = true;
    s.play.fate = sixth_crashes;
    s.play.takes = takes_a_second;
    sim_map(&s, 1, &(struct sim_map){.items = 8, .chunk = 8, .runs_max = 2});
    while (times(&s, "item.begin agent=2 item=0 ") < 2)
        CHECK(sim_step(&s));
    sim_agent_start(&s, 3, 1);
    run_until_over(&s);
    CHECK(times(&s, "item=6 run=") == 2);
    CHECK(said(&s, "item.result client=1 item=6 status=2 runs=2"));
    CHECK(said(&s, "item.begin agent=3 "));
    CHECK(said(&s, "map.done client=1 items=8 failed=1"));
    sim_stop(&s);
}

TEST(item_that_hangs_ends_at_its_timeout)
{
    struct sim s;

    start(&s, 1, 1);
    s.play.fate = third_hangs;
    sim_map(&s, 1, &(struct sim_map){.items = 6, .timeout_ms = 500});
    run_until_over(&s);
    CHECK(said(&s, "item.result client=1 item=3 status=4 runs=1 text=\"it took longer"));
    CHECK(said(&s, "map.done client=1 items=6 failed=1"));
    CHECK(s.now - s.origin < 700 * RV_MS);
    sim_stop(&s);
}

TEST(runner_killed_by_a_stranger_costs_its_item_one_run)
{
    struct sim s;

    start(&s, 1, 1);
    sim_map(&s, 1, &(struct sim_map){.items = 30});
    sim_run(&s, 155);
    sim_runner_kill(&s, 2, 0);
    run_until_over(&s);
    CHECK(said(&s, "why=\"SIGKILL\""));
    CHECK(said(&s, "map.done client=1 items=30 failed=0"));
    sim_stop(&s);
}

/* ---- items that take their agents along ---- */

/* Agents that died start again, as a service manager does it, until so many maps are over. */
static int run_with_new_lives(struct sim *s, int agents, uint32_t slots, uint32_t maps)
{
    rv_ns until = s->now + 200 * RV_SEC;
    int deaths = 0;

    while (s->maps < maps && s->now < until) {
        CHECK(sim_step(s));
        for (int a = 2; a < 2 + agents; a++) {
            if (s->clients[a].alive)
                continue;
            deaths++;
            sim_agent_start(s, a, slots);
        }
    }
    CHECK(s->maps == maps);
    return deaths;
}

static enum sim_fate third_kills(struct sim *s, uint64_t index, uint32_t run)
{
    (void)s;
    (void)run;
    return index == 3 ? SIM_KILLS : SIM_RUNS;
}

static enum sim_fate fiftieth_kills(struct sim *s, uint64_t index, uint32_t run)
{
    (void)s;
    (void)run;
    return index == 50 ? SIM_KILLS : SIM_RUNS;
}

static rv_ns neighbours_are_slow(struct sim *s, const struct sim_client *agent, uint64_t index)
{
    (void)s;
    (void)agent;
    return index == 3 ? 10 * RV_MS : 200 * RV_MS;
}

static rv_ns takes_no_time(struct sim *s, const struct sim_client *agent, uint64_t index)
{
    (void)s;
    (void)agent;
    (void)index;
    return RV_MS / 10;
}

TEST(item_that_takes_its_agent_along_is_set_aside_after_three_runs)
{
    struct sim s;

    start(&s, 2, 1);
    s.play.fate = third_kills;
    sim_map(&s, 1, &(struct sim_map){.items = 20, .chunk = 1});
    CHECK(run_with_new_lives(&s, 2, 1, 1) == 3);
    CHECK(said(&s, "item.result client=1 item=3 status=2 runs=3 text=\"its host was lost each time "
                   "it ran: 3 times, on sim, sim, sim\""));
    CHECK(said(&s, "map.done client=1 items=20 failed=1"));
    sim_stop(&s);
}

/* All four slots are lost three times; then the suspects run alone, and one only is guilty. */
TEST(neighbours_of_an_item_that_takes_its_agent_along_are_not_blamed)
{
    struct sim s;

    start(&s, 1, 4);
    s.play.fate = third_kills;
    s.play.takes = neighbours_are_slow;
    sim_map(&s, 1, &(struct sim_map){.items = 30, .chunk = 1});
    CHECK(run_with_new_lives(&s, 1, 4, 1) == 6);
    CHECK(said(&s, "item.failed job=2 item=3"));
    CHECK(said(&s, "map.done client=1 items=30 failed=1"));
    sim_stop(&s);
}

/* The other map has work for all slots, for longer than the suspect takes. */
TEST(suspect_gets_an_agent_for_itself_while_others_are_busy)
{
    struct sim s;

    sim_start(&s, 1);
    sim_agent_start(&s, 2, 2);
    sim_agent_start(&s, 3, 2);
    sim_client_start(&s, 4);
    while (s.clients[4].link.state != RV_LINK_READY)
        CHECK(sim_step(&s));
    s.play.fate = third_kills;
    sim_map(&s, 1, &(struct sim_map){.items = 4, .chunk = 1});
    sim_map(&s, 4, &(struct sim_map){.items = 2000, .chunk = 1});
    (void)run_with_new_lives(&s, 2, 2, 1);
    CHECK(said(&s, "map.done client=1 items=4 failed=1"));
    (void)run_with_new_lives(&s, 2, 2, 2);
    CHECK(said(&s, "map.done client=4 items=2000 failed=1"));
    sim_stop(&s);
}

/* Results come in batches, so the first unanswered item is not the one that had begun. */
TEST(item_in_a_large_chunk_that_takes_its_agent_along_is_found)
{
    struct sim s;

    start(&s, 2, 1);
    s.play.fate = fiftieth_kills;
    s.play.takes = takes_no_time;
    sim_map(&s, 1, &(struct sim_map){.items = 100, .chunk = 100});
    CHECK(run_with_new_lives(&s, 2, 1, 1) <= 6);
    CHECK(said(&s, "item.failed job=3 item=50"));
    CHECK(said(&s, "map.done client=1 items=100 failed=1"));
    sim_stop(&s);
}

/* ---- jobs that cannot be ---- */

TEST(program_that_no_agent_can_run_is_an_error_that_says_why)
{
    struct sim s;

    start(&s, 2, 1);
    s.play.cannot = "libfoo.so.1 is missing";
    sim_map(&s, 1, &(struct sim_map){.items = 10});
    run_until_over(&s);
    CHECK(said(&s, "map.fail client=1 error=ENOAGENT done=0 text=\"agent a"));
    CHECK(said(&s, "on sim: libfoo.so.1 is missing\""));
    sim_stop(&s);
}

TEST(initializer_that_fails_ends_the_job_and_not_the_machine)
{
    struct sim s;

    start(&s, 1, 2);
    s.play.bad_initializer = true;
    sim_map(&s, 1, &(struct sim_map){.items = 10});
    run_until_over(&s);
    CHECK(said(&s, "map.fail client=1 error=ENOAGENT done=0 text=\"agent a2 on sim: the "
                   "initializer failed: no\""));
    sim_stop(&s);
}

/* Somebody kills the program as it starts, then a runner of it, and then all that starts. */
TEST(program_that_is_killed_before_it_is_ready_is_started_again)
{
    struct sim s;

    start(&s, 1, 4);
    s.play.early = 1;
    s.play.unready = 1;
    sim_map(&s, 1, &(struct sim_map){.items = 100});
    run_until_over(&s);
    CHECK(said(&s, "map.done client=1 items=100 failed=0"));
    CHECK(s.play.early == 0 && s.play.unready == 0);
    sim_stop(&s);
}

/* All runners that start end with the program that they come from; it is one end. */
TEST(runners_that_end_together_are_one_try)
{
    struct sim s;

    start(&s, 1, 4);
    sim_map(&s, 1, &(struct sim_map){.items = 100, .chunk = 1});
    for (int i = 0; i < 2; i++) {
        while (sim_starting(&s, 2) < 4)
            CHECK(sim_step(&s));
        sim_zygote_kill(&s, 2);
    }
    run_until_over(&s);
    CHECK(said(&s, "map.done client=1 items=100 failed=0"));
    sim_stop(&s);
}

/* It is told by whom, and soon. */
TEST(program_that_always_ends_by_a_signal_is_given_up)
{
    struct sim s;

    start(&s, 1, 4);
    s.play.early = UINT32_MAX;
    sim_map(&s, 1, &(struct sim_map){.items = 10});
    run_until_over(&s);
    CHECK(said(&s,
               "map.fail client=1 error=ENOAGENT done=0 text=\"agent a2 on sim: SIGSEGV ended it "
               "(tried 3 times)\""));
    CHECK(s.now - s.origin < 3 * RV_SEC);
    sim_stop(&s);

    start(&s, 1, 4);
    s.play.unready = UINT32_MAX;
    sim_map(&s, 1, &(struct sim_map){.items = 10});
    run_until_over(&s);
    CHECK(said(&s, "map.fail client=1 error=ENOAGENT done=0 text=\"agent a2 on sim: SIGSEGV in "
                   "prepare (tried 3 times)\""));
    CHECK(s.now - s.origin < 3 * RV_SEC);
    sim_stop(&s);
}

TEST(job_goes_to_agents_with_its_labels_only)
{
    struct sim s;

    start(&s, 1, 1);
    s.clients[3].labels = "gpu big";
    sim_agent_start(&s, 3, 1);
    s.play.tell = true;
    sim_map(&s, 1, &(struct sim_map){.items = 10, .labels = "gpu"});
    run_until_over(&s);
    CHECK(said(&s, "item.begin agent=3"));
    CHECK(!said(&s, "item.begin agent=2"));
    sim_stop(&s);
}

TEST(cancelled_map_stops_everywhere)
{
    struct sim s;

    start(&s, 2, 2);
    sim_map(&s, 1, &(struct sim_map){.items = 1000});
    sim_run(&s, 200);
    sim_cancel(&s, 1);
    run_until_over(&s);
    CHECK(said(&s, "map.fail client=1 error=ECANCELED"));
    CHECK(said(&s, "text=\"cancelled: enough\""));
    sim_run(&s, 20);
    CHECK(sim_busy(&s, 2) == 0 && sim_busy(&s, 3) == 0);
    sim_stop(&s);
}

TEST(map_of_a_dead_client_is_over)
{
    struct sim s;

    start(&s, 1, 2);
    sim_map(&s, 1, &(struct sim_map){.items = 1000});
    sim_run(&s, 200);
    sim_client_kill(&s, 1, SIM_DEATH_GONE);
    sim_run(&s, 100);
    CHECK(said(&s, "job.end job=2"));
    CHECK(sim_busy(&s, 2) == 0);
    sim_stop(&s);
}

static rv_ns each_takes_a_second(struct sim *s, const struct sim_client *agent, uint64_t index)
{
    (void)s;
    (void)agent;
    (void)index;
    return RV_SEC;
}

/* The agent is full of a map whose client dies. Another client's map has nobody else to wait for. */
TEST(map_of_a_dead_client_leaves_its_slots_to_others)
{
    struct sim s;

    sim_start(&s, 2);
    sim_agent_start(&s, 3, 1);
    s.play.takes = each_takes_a_second;
    sim_map(&s, 1, &(struct sim_map){.items = 20, .chunk = 1});
    sim_run(&s, 1500);
    sim_map(&s, 2, &(struct sim_map){.items = 1, .chunk = 1});
    sim_run(&s, 20);
    sim_client_kill(&s, 1, SIM_DEATH_GONE);
    run_until_over(&s);
    CHECK(said(&s, "map.done client=2 items=1 failed=0"));
    sim_stop(&s);
}

/* ---- nobody waits while others have much left ---- */

static rv_ns first_half_is_slow(struct sim *s, const struct sim_client *agent, uint64_t index)
{
    (void)s;
    (void)agent;
    return index < 20 ? 100 * RV_MS : RV_MS;
}

static rv_ns second_agent_is_slow(struct sim *s, const struct sim_client *agent, uint64_t index)
{
    (void)s;
    (void)index;
    return agent->number == 2 ? 100 * RV_MS : 5 * RV_MS;
}

TEST(tail_of_a_map_is_shared)
{
    struct sim s;

    start(&s, 2, 2);
    s.play.takes = first_half_is_slow;
    sim_map(&s, 1, &(struct sim_map){.items = 160});
    run_until_over(&s);
    CHECK(said(&s, "map.done client=1 items=160 failed=0"));
    /* 2 s of work in four slots; the first chunk alone would take 1 s. */
    CHECK(s.now - s.origin < 800 * RV_MS);
    sim_stop(&s);
}

TEST(slow_agent_does_not_hold_up_the_end)
{
    struct sim s;

    start(&s, 2, 2);
    s.play.takes = second_agent_is_slow;
    sim_map(&s, 1, &(struct sim_map){.items = 400});
    run_until_over(&s);
    CHECK(s.now - s.origin < 1300 * RV_MS);
    sim_stop(&s);
}

/* What is put together with a size is dealt by it, whatever the job says. */
TEST(chunks_are_as_large_as_their_put_says)
{
    struct sim s;

    start(&s, 2, 1);
    s.play.tell = true;
    sim_map(&s, 1, &(struct sim_map){.items = 6, .chunk = 1, .put_chunk = 3});
    run_until_over(&s);
    CHECK(said(&s, "item.begin agent=2 item=2 run=1"));
    CHECK(said(&s, "item.begin agent=3 item=5 run=1"));
    CHECK(!said(&s, "item.begin agent=2 item=4"));
    sim_stop(&s);
}

/* Ten long ones in a row among many tiny ones. */
static rv_ns ten_are_long(struct sim *s, const struct sim_client *agent, uint64_t index)
{
    (void)s;
    (void)agent;
    return index >= 3000 && index < 3010 ? RV_SEC : RV_MS / 100;
}

/* Tiny items cost less than dealing them one by one. What was dealt together is parted again when one
 * of them turns out to be long: both slots are busy to the end, and no third of the time is lost. */
TEST(tiny_items_are_dealt_together_and_a_long_one_holds_nobody_up)
{
    struct sim s;

    start(&s, 1, 2);
    s.play.takes = ten_are_long;
    sim_map(&s, 1, &(struct sim_map){.items = 10000, .chunk = 1});
    run_until_over(&s);
    CHECK(sim_chunks(&s) < 2000);
    CHECK(s.now - s.origin < 6500 * RV_MS);
    sim_stop(&s);
}

TEST(pool_of_so_many_processes_uses_no_more)
{
    struct sim s;

    start(&s, 2, 4);
    sim_map(&s, 1, &(struct sim_map){.items = 100, .chunk = 1, .processes = 2});
    sim_run(&s, 100);
    CHECK(sim_busy(&s, 2) + sim_busy(&s, 3) <= 2);
    run_until_over(&s);
    sim_stop(&s);
}

/* Agents learn to expect tiny ones. */
static rv_ns last_four_are_long(struct sim *s, const struct sim_client *agent, uint64_t index)
{
    (void)s;
    (void)agent;
    return index < 36 ? RV_MS : 3 * RV_SEC;
}

/* One agent had both that may run at once, though it runs one at a time; the next one to come takes one of them. */
TEST(pool_of_so_many_processes_does_not_wait_behind_one_while_another_is_idle)
{
    struct sim s;

    start(&s, 1, 1);
    s.play.takes = last_four_are_long;
    sim_map(&s, 1, &(struct sim_map){.items = 40, .chunk = 1, .processes = 2});
    sim_run(&s, 300);
    sim_agent_start(&s, 3, 1);
    run_until_over(&s);
    CHECK(said(&s, "map.done client=1 items=40 failed=0"));
    CHECK(s.now - s.origin < 8 * RV_SEC); /* 12 s of work for two */
    sim_stop(&s);
}

static rv_ns every_other_of_the_last_is_long(struct sim *s, const struct sim_client *agent,
                                             uint64_t index)
{
    (void)s;
    (void)agent;
    return index < 80 || index % 2 == 1 ? RV_MS : 3 * RV_SEC;
}

/* Nobody could know that the one before it is long, and nothing happens while it is. */
TEST(item_behind_a_long_one_goes_to_who_has_become_idle_before_that_was_known)
{
    struct sim s;

    start(&s, 2, 1);
    s.play.takes = every_other_of_the_last_is_long;
    sim_map(&s, 1, &(struct sim_map){.items = 84, .chunk = 1});
    run_until_over(&s);
    CHECK(said(&s, "map.done client=1 items=84 failed=0"));
    CHECK(s.now - s.origin < 4 * RV_SEC); /* 6 s of work for two */
    sim_stop(&s);
}
