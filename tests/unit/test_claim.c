/* The client's half of a lock: what its threads hold, whatever the manager says. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "proxy/core/claim.h"
#include "tests/lib/stage.h"

int test_claim(void);

enum { LOCK = 7, CONDITION = 8, FENCE = 100 };

static void begin(struct stage *s, struct rv_claims *c, uint8_t kind, bool leases)
{
    stage_begin(s);
    assert_int_equal(rv_claims_init(c, &s->link, LOCK, kind, leases), REEVE_OK);
}

static void end(struct stage *s, struct rv_claims *c)
{
    rv_claims_fini(c);
    stage_end(s);
}

/* The manager gives it to the thread. */
static void grant(struct stage *s, struct rv_claims *c, uint64_t thread, uint64_t fence,
                  uint8_t how)
{
    struct rv_request *call = rv_claims_acquire(c, thread, 1000, false);
    struct rv_buf result = {0};

    assert_non_null(call);
    rv_lock_acquire_result_encode(&result,
                                  &(struct rv_lock_acquire_result){.fence = fence, .leased = how});
    stage_reply(s, call->number, REEVE_OK, NULL, rv_buf_slice(&result));
    assert_true(call->done && call->error == REEVE_OK);
    rv_request_free(&s->link, call);
    rv_buf_free(&result);
}

static void recall(struct stage *s, uint64_t fence, bool revoked)
{
    struct rv_buf args = {0};

    rv_lock_recall_args_encode(&args, &(struct rv_lock_recall_args){fence, revoked, 0});
    stage_push(s, RV_OP_lock_recall, LOCK, rv_buf_slice(&args));
    rv_buf_free(&args);
}

static void what_the_manager_says_amiss_changes_nothing(void **state)
{
    struct stage s;
    struct rv_claims c;

    (void)state;
    begin(&s, &c, RV_KIND_LOCK, true);
    grant(&s, &c, 1, FENCE, RV_GRANT_LEASE);
    stage_push(&s, RV_OP_queue_recall, LOCK, rv_slice("\0\0\0\0\0\0\0\x01", 8));
    stage_push(&s, RV_OP_lock_recall, LOCK, rv_slice("\x01", 1));
    recall(&s, FENCE + 1, false);
    recall(&s, FENCE + 1, true);
    assert_non_null(rv_claims_of(&c, 1));
    assert_true(c.lease && c.lease_fence == FENCE);
    recall(&s, FENCE, true); /* and this is meant */
    assert_null(rv_claims_of(&c, 1));
    assert_false(c.lease);
    end(&s, &c);
}

/* A permit of two that a thread has is taken away by another's release. */
static void revoked_permit_is_one_of_those_of_its_thread(void **state)
{
    struct stage s;
    struct rv_claims c;

    (void)state;
    begin(&s, &c, RV_KIND_SEMAPHORE, false);
    grant(&s, &c, 1, FENCE, RV_GRANT_PLAIN);
    grant(&s, &c, 1, FENCE + 1, RV_GRANT_PLAIN);
    assert_int_equal(rv_claims_of(&c, 1)->count, 2);
    recall(&s, FENCE + 1, true);
    assert_int_equal(rv_claims_of(&c, 1)->count, 1);
    recall(&s, FENCE + 1, true);
    assert_null(rv_claims_of(&c, 1));
    end(&s, &c);
}

static void answer_that_is_none_is_EPROTO(void **state)
{
    struct stage s;
    struct rv_claims c;
    struct rv_request *call = NULL;

    (void)state;
    begin(&s, &c, RV_KIND_LOCK, false);
    call = rv_claims_acquire(&c, 1, 1000, true);
    stage_reply(&s, call->number, REEVE_OK, NULL, rv_slice("\x01", 1));
    assert_true(call->done);
    assert_int_equal(call->error, REEVE_EPROTO);
    assert_null(rv_claims_of(&c, 1));
    rv_request_free(&s.link, call);
    end(&s, &c);
}

static void thread_has_so_many_levels(void **state)
{
    struct stage s;
    struct rv_claims c;

    (void)state;
    begin(&s, &c, RV_KIND_RLOCK, false);
    grant(&s, &c, 1, FENCE, RV_GRANT_PLAIN);
    for (int i = 1; i < RV_LIMIT_LEVELS; i++)
        assert_int_equal(rv_claims_acquire_here(&c, 1), REEVE_OK);
    assert_int_equal(rv_claims_acquire_here(&c, 1), REEVE_ELIMIT);
    assert_int_equal(rv_claims_of(&c, 1)->count, RV_LIMIT_LEVELS);
    end(&s, &c);
}

/* What is held when the link is dead can be had and given back by nobody. */
static void dead_link_says_why(void **state)
{
    struct stage s;
    struct rv_claims c;
    bool owner = false;

    (void)state;
    begin(&s, &c, RV_KIND_LOCK, true);
    grant(&s, &c, 1, FENCE, RV_GRANT_LEASE);
    rv_link_die(&s.link, s.now, REEVE_ESTALE, "another store");
    assert_int_equal(rv_claims_release(&c, s.now, 1), REEVE_ESTALE);
    assert_int_equal(rv_claims_acquire_here(&c, 2), REEVE_ETIME);
    assert_null(rv_claims_acquire(&c, 2, 0, false));
    assert_null(rv_claims_ask_release(&c, 2));
    assert_null(rv_claims_sleep(&c, CONDITION, 1, 0, &owner));
    assert_true(owner);
    assert_non_null(rv_claims_of(&c, 1)); /* it does not sleep */
    assert_false(rv_claims_guard(&c, FENCE));
    end(&s, &c);
}

/* ---- sleeping ---- */

static struct rv_request *sleeping(struct stage *s, struct rv_claims *c)
{
    struct rv_request *call = NULL;
    bool owner = false;

    begin(s, c, RV_KIND_RLOCK, false);
    grant(s, c, 1, FENCE, RV_GRANT_PLAIN);
    call = rv_claims_sleep(c, CONDITION, 1, 1000, &owner);
    assert_non_null(call);
    assert_true(owner);
    assert_null(rv_claims_of(c, 1));
    assert_int_equal(rv_claims_release(c, s->now, 1), REEVE_ENOENT);
    assert_null(rv_claims_sleep(c, CONDITION, 1, 0, &owner));
    assert_false(owner);
    return call;
}

static void sleeper_has_its_lock_again_as_it_is_told(void **state)
{
    static const struct {
        reeve_err error;
        bool result, has;
        uint64_t fence;
    } ends[] = {
        {REEVE_OK, true, true, FENCE + 1},  {REEVE_OWNER_DIED, true, true, FENCE + 1},
        {REEVE_OK, false, false, 0}, /* an answer that is none */
        {REEVE_ELIMIT, false, true, FENCE}, {REEVE_EINVAL, false, true, FENCE},
        {REEVE_EGONE, false, false, 0},
    };

    (void)state;
    for (size_t i = 0; i < rv_countof(ends); i++) {
        struct stage s;
        struct rv_claims c;
        struct rv_request *call = sleeping(&s, &c);
        struct rv_buf result = {0};

        rv_condition_wait_result_encode(
            &result, &(struct rv_condition_wait_result){.fence = FENCE + 1, .notified = 1});
        stage_reply(&s, call->number, ends[i].error, NULL,
                    ends[i].result ? rv_buf_slice(&result) : rv_slice(NULL, 0));
        assert_true(call->done);
        assert_int_equal(rv_claims_of(&c, 1) != NULL, ends[i].has);
        assert_true(!ends[i].has || rv_claims_of(&c, 1)->fence == ends[i].fence);
        rv_request_free(&s.link, call);
        rv_buf_free(&result);
        end(&s, &c);
    }
}

static void sleeper_that_nobody_waits_for_wakes_for_nobody(void **state)
{
    struct stage s;
    struct rv_claims c;
    struct rv_request *call = NULL;

    (void)state;
    for (int how = 0; how < 2; how++) {
        call = sleeping(&s, &c);
        if (how == 0)
            rv_link_abandon(&s.link, call); /* freed with its answer */
        else
            rv_claims_abandon(&c, 1); /* the thread has ended in its sleep */
        stage_reply(&s, call->number, REEVE_ECANCELED, NULL, rv_slice(NULL, 0));
        assert_null(rv_claims_of(&c, 1));
        if (how == 1)
            rv_request_free(&s.link, call);
        rv_claims_abandon(&c, 9); /* it has nothing */
        end(&s, &c);
    }
}

static void nothing_to_hear(struct rv_port *port, rv_ns now, const struct rv_push *push,
                            const struct rv_slice *bodies, size_t bodies_len, size_t *frames)
{
    (void)port;
    (void)now;
    (void)push;
    (void)bodies;
    (void)bodies_len;
    (void)frames;
}

static void claims_are_found_by_their_object(void **state)
{
    static const struct rv_port_ops other_ops = {.push = nothing_to_hear};
    struct rv_port other = {.object = CONDITION, .ops = &other_ops, .tick_at = RV_NEVER};
    struct stage s;
    struct rv_claims c;

    (void)state;
    begin(&s, &c, RV_KIND_LOCK, false);
    assert_true(rv_link_add_port(&s.link, &other));
    assert_ptr_equal(rv_claims_find(&s.link, LOCK), &c);
    assert_null(rv_claims_find(&s.link, CONDITION));
    assert_null(rv_claims_find(&s.link, 99));
    rv_link_drop_port(&s.link, &other);
    end(&s, &c);
}

int test_claim(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_the_manager_says_amiss_changes_nothing),
        cmocka_unit_test(revoked_permit_is_one_of_those_of_its_thread),
        cmocka_unit_test(answer_that_is_none_is_EPROTO),
        cmocka_unit_test(thread_has_so_many_levels),
        cmocka_unit_test(dead_link_says_why),
        cmocka_unit_test(sleeper_has_its_lock_again_as_it_is_told),
        cmocka_unit_test(sleeper_that_nobody_waits_for_wakes_for_nobody),
        cmocka_unit_test(claims_are_found_by_their_object),
    };

    return cmocka_run_group_tests_name("claim", tests, NULL, NULL);
}
