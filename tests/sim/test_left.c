/* A job with a name is the manager's: its client may go, and anybody of its key may come for it. */

#include "tests/lib/check.h"
#include "tests/lib/sim.h"

/* Clients 1 and 2 map, client 3 is an agent with two slots. */
static void start(struct sim *s)
{
    sim_start(s, 2);
    sim_agent_start(s, 3, 2);
}

static bool said(const struct sim *s, const char *text)
{
    size_t len = strlen(text);

    for (size_t i = 0; i + len <= s->story.len; i++)
        if (memcmp(s->story.data + i, text, len) == 0)
            return true;
    return false;
}

static void run_until(struct sim *s, const char *text)
{
    rv_ns until = s->now + 100 * RV_SEC;

    while (!said(s, text) && s->now < until)
        CHECK(sim_step(s));
    CHECK(said(s, text));
}

static const struct sim_map given = {.items = 400, .name = "night", .stream = true, .leave = true};
static const struct sim_map attached = {.items = 400, .name = "night", .attach = true};

TEST(job_that_was_left_runs_on_and_is_read_by_who_comes)
{
    struct sim s;

    start(&s);
    sim_map(&s, 1, &given);
    run_until(&s, "map.left client=1 items=400");
    sim_client_goodbye(&s, 1);
    sim_run(&s, 500);
    sim_map(&s, 2, &attached);
    run_until(&s, "map.done client=2 items=400 failed=0");
    sim_map(&s, 2, &attached); /* and once more, when it is over */
    s.maps = 0;
    while (s.maps == 0)
        CHECK(sim_step(&s));
    sim_stop(&s);
}

TEST(two_readers_of_a_job_each_have_all_of_it)
{
    struct sim s;

    start(&s);
    sim_map(&s, 1, &given);
    run_until(&s, "map.left client=1 items=400");
    sim_map(&s, 1, &attached);
    sim_run(&s, 700);
    sim_map(&s, 2, &attached);
    run_until(&s, "map.done client=1 items=400 failed=0");
    run_until(&s, "map.done client=2 items=400 failed=0");
    sim_stop(&s);
}

TEST(reader_that_dies_ends_no_job_that_was_left)
{
    struct sim s;

    start(&s);
    sim_map(&s, 1, &given);
    run_until(&s, "map.left client=1 items=400");
    sim_client_kill(&s, 1, SIM_DEATH_GONE);
    sim_map(&s, 2, &attached);
    sim_run(&s, 300);
    sim_client_kill(&s, 2, SIM_DEATH_GONE);
    sim_client_start(&s, 1);
    sim_run(&s, 100);
    sim_map(&s, 1, &attached);
    run_until(&s, "map.done client=1 items=400 failed=0");
    sim_stop(&s);
}

TEST(client_that_dies_before_it_gave_everything_leaves_nothing)
{
    struct sim s;

    start(&s);
    sim_map(&s, 1, &(struct sim_map){.items = 400, .name = "night", .stream = true});
    sim_run(&s, 1);
    sim_client_kill(&s, 1, SIM_DEATH_GONE);
    run_until(&s, "why=\"the session that gave it its items ended before all had come\"");
    sim_map(&s, 2, &attached);
    run_until(&s, "map.fail client=2 error=ECANCELED");
    sim_stop(&s);
}

TEST(reader_of_a_job_whose_giver_dies_is_told)
{
    struct sim s;

    start(&s);
    s.delay_min = s.delay_max = 20 * RV_MS;
    sim_map(&s, 1,
            &(struct sim_map){.items = 2000, .name = "night", .stream = true, .leave = true});
    sim_run(&s, 50);
    sim_map(&s, 2, &(struct sim_map){.items = 2000, .name = "night", .attach = true});
    sim_run(&s, 60);
    CHECK(!said(&s, "map.left"));
    sim_client_kill(&s, 1, SIM_DEATH_GONE);
    run_until(&s, "why=\"the session that gave it its items ended before all had come\"");
    run_until(&s, "map.fail client=2 error=ECANCELED");
    sim_stop(&s);
}

TEST(job_that_was_left_outlives_its_manager)
{
    struct sim s;

    start(&s);
    sim_map(&s, 1, &given);
    run_until(&s, "map.left client=1 items=400");
    sim_server_crash(&s, false);
    sim_run(&s, 500);
    sim_server_restart(&s);
    sim_map(&s, 2, &attached);
    run_until(&s, "map.done client=2 items=400 failed=0");
    sim_server_crash(&s, false);
    sim_server_restart(&s);
    sim_map(&s, 1, &attached);
    run_until(&s, "map.done client=1 items=400 failed=0");
    sim_stop(&s);
}

/* Who came while it was given does not know yet how many there will be. */
TEST(reader_that_was_early_hears_when_all_items_are_there)
{
    struct sim s;

    start(&s);
    s.delay_min = s.delay_max = 20 * RV_MS;
    sim_map(&s, 1,
            &(struct sim_map){.items = 2000, .name = "night", .stream = true, .leave = true});
    sim_run(&s, 50);
    sim_map(&s, 2, &(struct sim_map){.items = 2000, .name = "night", .attach = true});
    sim_run(&s, 60);
    CHECK(!said(&s, "map.left"));
    run_until(&s, "map.left client=1 items=2000");
    run_until(&s, "item.total client=2 items=2000");
    run_until(&s, "map.done client=2 items=2000 failed=0");
    sim_stop(&s);
}

TEST(job_of_an_unknown_name_is_ENOENT)
{
    struct sim s;

    start(&s);
    sim_map(&s, 2, &attached);
    run_until(&s, "map.fail client=2 error=ENOENT");
    sim_stop(&s);
}

static enum sim_fate third_crashes(struct sim *s, uint64_t index, uint32_t run)
{
    (void)s;
    (void)run;
    return index == 3 ? SIM_CRASHES : SIM_RUNS;
}

/* Who comes did not give the items: of one that has no value the item comes with the result. */
TEST(item_that_failed_is_shown_to_who_did_not_give_it)
{
    struct sim s;

    start(&s);
    s.play.fate = third_crashes;
    sim_map(&s, 1, &given);
    run_until(&s, "map.left client=1 items=400");
    sim_map(&s, 2, &attached);
    run_until(&s, "item.result client=2 item=3 status=2 runs=3");
    CHECK(said(&s, "item.given client=2 item=3 is=3"));
    run_until(&s, "map.done client=2 items=400 failed=1");
    sim_stop(&s);
}

/* Seven days after its end, or after who looked at it last has gone, nobody wants it any more. */
TEST(results_that_were_left_are_kept_for_seven_days)
{
    struct sim s;

    start(&s);
    s.unchecked = true;
    sim_map(&s, 1, &given);
    run_until(&s, "map.left client=1 items=400");
    run_until(&s, "job.done job=2 items=400 failed=0");
    sim_run(&s, 6 * 24 * 3600 * 1000);
    CHECK(!said(&s, "object.free object=2"));
    sim_run(&s, 24 * 3600 * 1000 + 3000);
    CHECK(said(&s, "object.free object=2"));
    sim_stop(&s);
}

TEST(job_that_was_left_and_cancelled_is_forgotten_after_seven_days_too)
{
    struct sim s;

    start(&s);
    s.unchecked = true;
    sim_map(&s, 1, &given);
    run_until(&s, "map.left client=1 items=400");
    sim_cancel_named(&s, 2, "night");
    run_until(&s, "job.end job=2");
    sim_run(&s, 7 * 24 * 3600 * 1000 + 3000);
    CHECK(said(&s, "object.free object=2"));
    sim_stop(&s);
}
