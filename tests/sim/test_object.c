/* How long objects live, and who may use them. */

#include "tests/lib/check.h"
#include "tests/lib/sim_raw.h"
#include "tests/lib/sim_sync.h"

#include <stdio.h>

TEST(anonymous_object_goes_with_its_last_reference)
{
    struct sim s;

    sim_start(&s, 1);
    CHECK(sim_open(&s, 1, "", NULL) == REEVE_OK);
    sim_put(&s, 1, "a");
    sim_run(&s, 10);
    CHECK(mgr_objects(s.server.mgr) == 1);
    sim_mark(&s);
    sim_queue_close(&s, 1, 0);
    sim_expect(&s, "[    1] object.free object=1\n");
    CHECK(mgr_objects(s.server.mgr) == 0);
    sim_stop(&s);
}

/* Nothing follows it that it could ride with. */
TEST(close_that_is_in_no_hurry_leaves_by_itself)
{
    struct sim s;

    sim_start(&s, 1);
    CHECK(sim_sync_open(&s, 1, "", RV_KIND_EVENT, 0) == REEVE_OK);
    sim_mark(&s);
    sim_sync_close(&s, 1, "");
    sim_expect(&s, "[    6] object.free object=1\n");
    sim_stop(&s);
}

TEST(named_object_outlives_its_sessions_until_its_ttl)
{
    struct sim s;

    sim_start(&s, 2);
    CHECK(sim_open(&s, 1, "jobs", &(struct sim_options){.ttl_ms = 2000}) == REEVE_OK);
    sim_put(&s, 1, "a");
    sim_run(&s, 10);
    sim_mark(&s);
    sim_client_goodbye(&s, 1);
    sim_expect(&s, "[    1] session.end session=1 reason=\"goodbye\"\n"
                   "[    2] link.left client=1 heard=1\n");
    sim_run(&s, 1500);
    CHECK(sim_open(&s, 2, "jobs", &(struct sim_options){.create = SIM_MUST_EXIST}) == REEVE_OK);
    sim_get(&s, 2, 0);
    sim_expect(&s, "[    2] get.ok client=2 item=a\n");
    sim_queue_close(&s, 2, 0);
    sim_expect(&s, "[ 2003] object.free object=1\n");
    CHECK(sim_open(&s, 2, "jobs", &(struct sim_options){.create = SIM_MUST_EXIST}) == REEVE_ENOENT);
    sim_stop(&s);
}

/* Nobody holds it, and its time has not come. */
TEST(object_that_is_removed_while_its_ttl_runs_is_gone)
{
    struct sim s;

    sim_start(&s, 2);
    CHECK(sim_open(&s, 1, "jobs", &(struct sim_options){.ttl_ms = 20000}) == REEVE_OK);
    sim_queue_close(&s, 1, 0);
    sim_run(&s, 10);
    CHECK(mgr_objects(s.server.mgr) == 1);
    sim_remove(&s, 2, "jobs");
    sim_run(&s, 10);
    CHECK(mgr_objects(s.server.mgr) == 0);
    sim_stop(&s);
}

TEST(named_object_without_a_ttl_stays)
{
    struct sim s;

    sim_start(&s, 2);
    CHECK(sim_open(&s, 1, "jobs", NULL) == REEVE_OK);
    sim_put(&s, 1, "a");
    sim_run(&s, 10);
    sim_client_goodbye(&s, 1);
    sim_run(&s, 60000);
    CHECK(mgr_objects(s.server.mgr) == 1);
    CHECK(sim_open(&s, 2, "jobs", NULL) == REEVE_OK);
    sim_get(&s, 2, 0);
    sim_expect(&s, "[    2] get.ok client=2 item=a\n");
    sim_stop(&s);
}

TEST(other_options_are_EEXIST)
{
    struct sim s;

    sim_start(&s, 2);
    CHECK(sim_open(&s, 1, "jobs", &(struct sim_options){.maxsize = 5}) == REEVE_OK);
    CHECK(sim_open(&s, 2, "jobs", &(struct sim_options){.maxsize = 6}) == REEVE_EEXIST);
    CHECK(sim_open(&s, 2, "jobs", &(struct sim_options){.maxsize = 5, .joinable = true}) ==
          REEVE_EEXIST);
    CHECK(sim_open(&s, 2, "jobs", &(struct sim_options){.maxsize = 5, .order = RV_ORDER_LIFO}) ==
          REEVE_EEXIST);
    CHECK(sim_open(&s, 2, "jobs",
                   &(struct sim_options){.maxsize = 5, .create = SIM_MUST_NOT_EXIST}) ==
          REEVE_EEXIST);
    CHECK(sim_open(&s, 2, "jobs", &(struct sim_options){.maxsize = 5}) == REEVE_OK);
    CHECK(sim_open(&s, 2, "none", &(struct sim_options){.create = SIM_MUST_EXIST}) == REEVE_ENOENT);
    sim_stop(&s);
}

TEST(rights_are_judged_by_name_prefix)
{
    struct sim s;

    sim_start(&s, 1);
    sim_principal(&s, "client", "open,put:jobs/* get:done");
    sim_run(&s, 10);
    CHECK(sim_open(&s, 1, "jobs/red", NULL) == REEVE_OK);
    CHECK(sim_open(&s, 1, "job", NULL) == REEVE_EPERM);
    CHECK(sim_open(&s, 1, "", NULL) == REEVE_EPERM);
    sim_remove(&s, 1, "jobs/red");
    sim_expect(&s, "[    2] remove.fail client=1 error=EPERM\n");
    sim_stop(&s);
}

/* Who may only put hears so when it gets, and the other way round. */
TEST(right_to_put_is_not_the_right_to_get)
{
    struct sim s;

    sim_start(&s, 2);
    CHECK(sim_open(&s, 1, "jobs", NULL) == REEVE_OK);
    sim_principal(&s, "client", "put:jobs");
    sim_run(&s, 10);
    CHECK(sim_open(&s, 2, "jobs", NULL) == REEVE_OK);
    sim_get(&s, 2, 0);
    sim_expect(&s, "[    2] get.fail client=2 error=EPERM\n");
    sim_put_wait(&s, 2, "a", 0);
    sim_expect(&s, "[    4] put.ok client=2 item=a\n");
    sim_stop(&s);
}

TEST(what_a_revoked_key_says_later_is_refused)
{
    struct sim s;

    sim_start(&s, 2);
    CHECK(sim_open(&s, 1, "jobs", NULL) == REEVE_OK);
    sim_client_kill(&s, 2, SIM_DEATH_GONE);
    sim_principal(&s, "", "");
    sim_put(&s, 1, "a"); /* it is on its way when the session ends */
    sim_run(&s, 10);
    sim_mark(&s);
    sim_client_start(&s, 2);
    sim_expect(&s, "[    3] peer.refuse peer=3 why=\"the key is not admitted any more\"\n"
                   "[    4] link.dead client=2 error=EAUTH\n");
    sim_principal(&s, "admin", "");
    sim_client_end(&s, &s.clients[2]);
    sim_client_start(&s, 2);
    sim_run(&s, 10);
    CHECK(sim_open(&s, 2, "jobs", NULL) == REEVE_OK);
    sim_get(&s, 2, 0);
    sim_expect(&s, "[    2] get.fail client=2 error=EEMPTY\n");
    CHECK(mgr_sessions(s.server.mgr) == 1);
    sim_stop(&s);
}

/* A handle is let go as often as it was had, and a reference likewise. */
TEST(what_is_not_held_cannot_be_let_go)
{
    struct sim s;
    uint64_t event = 0;

    sim_start(&s, 2);
    RAW_SAID(&s, 1, 1, object_close, 99, .end_ = 0);
    RAW_SAID(&s, 1, 1, object_release, 99, .end_ = 0);
    event = raw_open(
        &s, 1, &(struct rv_object_open_args){.kind = RV_KIND_EVENT, .name = rv_slice_str("event")});
    RAW_SAID(&s, 1, 1, object_release, event, .end_ = 0); /* it came in no item */
    RAW_SAID(&s, 2, 1, object_close, event, .end_ = 0);
    RAW(&s, 2, REEVE_ENOENT, object_ref, 0, .object = event);
    RAW(&s, 1, REEVE_OK, object_ref, 0, .object = event);
    RAW_SAID(&s, 1, 0, object_close, event, .end_ = 0);
    RAW_SAID(&s, 1, 0, object_close, event, .end_ = 0);
    RAW_SAID(&s, 1, 1, object_close, event, .end_ = 0);
    CHECK(mgr_objects(s.server.mgr) == 1);
    RAW(&s, 1, REEVE_ENOENT, object_remove, 0, .name = rv_slice_str("none"));
    sim_stop(&s);
}

/* A batch in the name of a void fence is refused as one call is. */
TEST(batch_is_guarded_as_a_call_is)
{
    struct sim s;
    uint64_t lock = 0;

    sim_start(&s, 1);
    lock = raw_open(&s, 1, &(struct rv_object_open_args){.kind = RV_KIND_LOCK});
    RAW_SAID(&s, 1, 0, lock_guard, lock, .fence = 1);
    RAW(&s, 1, REEVE_EFENCED, batch, 0, .count = 0);
    RAW(&s, 1, REEVE_OK, batch, 0, .count = 0);
    sim_stop(&s);
}

/* Calls without an answer are beyond the quota of calls done all the same: nobody would hear of a refusal. */
TEST(quota_of_calls_lets_pass_what_has_no_answer)
{
    struct sim s;
    uint64_t lock = 0;
    struct rv_lock_acquire_result got = {0};
    struct rv_buf args = {0};
    size_t refusals = 0;

    sim_start(&s, 1);
    lock = raw_open(&s, 1, &(struct rv_object_open_args){.kind = RV_KIND_LOCK});
    RAW_FOR(&s, 1, &got, lock_acquire, lock, .thread = 1);
    sim_quota(&s, "calls:2");
    sim_run(&s, 10);
    for (int i = 0; i < 4; i++) {
        rv_object_ref_args_encode(&args, &(struct rv_object_ref_args){.object = lock});
        refusals += sim_ask(&s, 1, RV_OP_object_ref, 0, &args, NULL) == REEVE_EQUOTA;
    }
    CHECK(refusals > 0);
    RAW_SAID(&s, 1, 0, lock_let_go, lock, .thread = 1, .fence = got.fence);
    sim_run(&s, 2000);
    RAW(&s, 1, REEVE_OK, lock_acquire, lock, .thread = 2);
    sim_stop(&s);
}

/* A listing goes as far as a page does. */
TEST(long_lists_of_objects_are_answered_in_pages)
{
    enum { OBJECTS = 520 };
    static char name[RV_LIMIT_NAME_BYTES + 1];

    for (int how = 0; how < 2; how++) {
        struct sim s;
        struct rv_object_list_result list = {0};
        int width = how == 0 ? 4 : RV_LIMIT_NAME_BYTES;
        uint64_t last = 0;

        sim_start(&s, 1);
        sim_principal(&s, "admin", "");
        s.unchecked = true;
        for (int i = 0; i < OBJECTS; i++) {
            snprintf(name, sizeof name, "%0*d", width, i);
            last = raw_open(
                &s, 1,
                &(struct rv_object_open_args){.kind = RV_KIND_EVENT, .name = rv_slice_str(name)});
        }
        CHECK(last == OBJECTS);
        RAW_FOR(&s, 1, &list, object_list, 0, .prefix = rv_slice_str("0"));
        CHECK(how == 0 ? list.count == RV_LIMIT_LIST_ROWS
                       : list.count > 100 && list.count < RV_LIMIT_LIST_ROWS);
        RAW_FOR(&s, 1, &list, object_list, 0, .after = rv_slice_str(name));
        CHECK(list.count == 0);
        RAW_FOR(&s, 1, &list, object_list, 0, .after = rv_slice(name, (size_t)width - 1));
        CHECK(list.count == 1 + OBJECTS % 10 || list.count > 0);
        RAW(&s, 1, REEVE_OK, object_debug, 0, .after = 0);
        sim_stop(&s);
    }
}
