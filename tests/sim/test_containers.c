/* Dicts, lists, sets and arrays: what each call is answered, the model of tests/lib/box_model.c knows as well,
 * and complains. Here is what the clients see, and what is left behind. */

#define HASH_NONFATAL_OOM 1 /* headers of both roles meet here */
#include "server/core/box.h"
#include "tests/lib/check.h"
#include "tests/lib/sim_box.h"

enum { D, L, S, A, V, BOXES };

static const struct model_box all[BOXES] = {
    [D] = {.name = "d", .kind = RV_KIND_DICT},
    [L] = {.name = "l", .kind = RV_KIND_LIST},
    [S] = {.name = "s", .kind = RV_KIND_SET},
    [A] = {.name = "a", .kind = RV_KIND_ARRAY, .typecode = 'i', .first_len = 3},
    [V] = {.name = "v", .kind = RV_KIND_VALUE, .typecode = 'i', .first_len = 1},
};

static void open_all(struct sim *s, int clients)
{
    for (int i = 0; i < BOXES; i++) {
        sim_box(s, &all[i]);
        for (int c = 1; c <= clients; c++)
            CHECK(sim_box_open(s, c, i, RV_DURABLE_SYNC) == REEVE_OK);
    }
}

static void start(struct sim *s, int clients)
{
    sim_start(s, clients);
    open_all(s, clients);
}

static struct model_act act(uint16_t op, int box)
{
    return (struct model_act){.op = op, .box = (uint8_t)box};
}

static struct model_act on_key(uint16_t op, int64_t key)
{
    struct model_act a = act(op, D);

    a.key = model_int(key);
    return a;
}

static struct model_act with(struct model_act a, int64_t value)
{
    a.values[a.len++] = model_int(value);
    return a;
}

static struct model_act set(int64_t key, int64_t value)
{
    return with(with(act(RV_OP_dict_set, D), key), value);
}

static struct model_act amount(int64_t key, int64_t more)
{
    struct model_act a = with(on_key(RV_OP_dict_edit, key), more);

    a.how = RV_EDIT_ADD;
    return a;
}

static struct model_act append(int64_t value)
{
    struct model_act a = with(act(RV_OP_list_insert, L), value);

    a.at = INT64_MAX;
    return a;
}

static struct model_act wait_past(uint16_t op, int box, uint64_t seen)
{
    struct model_act a = act(op, box);

    a.seen = seen;
    return a;
}

static struct model_act wait_key(int64_t key, uint64_t seen)
{
    struct model_act a = on_key(RV_OP_dict_wait, key);

    a.seen = seen;
    a.keyed = true;
    return a;
}

static void restart(struct sim *s)
{
    sim_run(s, 10);
    sim_server_power(s);
    sim_server_restart(s);
    sim_run(s, 20000);
    sim_mark(s);
}

static const struct box *box_at(const struct sim *s, int box)
{
    return (const struct box *)sim_box_object(s, box);
}

TEST(dict_is_one_for_all)
{
    struct sim s;

    start(&s, 2);
    sim_box_call(&s, 1, set(1, 10));
    sim_expect(&s, "[    2] dict_set.ok client=1 n=1\n");
    sim_box_call(&s, 2, on_key(RV_OP_dict_get, 1));
    sim_expect(&s, "[    4] dict_get.ok client=2 version=1 values=10\n");
    sim_box_call(&s, 2, with(on_key(RV_OP_dict_setdefault, 1), 11));
    sim_expect(&s, "[    6] dict_setdefault.ok client=2 n=0 version=1 values=10\n");
    sim_box_call(&s, 2, on_key(RV_OP_dict_pop, 1));
    sim_expect(&s, "[    8] dict_pop.ok client=2 version=1 values=10\n");
    sim_box_call(&s, 1, on_key(RV_OP_dict_get, 1));
    sim_expect(&s, "[   10] dict_get.fail client=1 error=EKEY\n");
    sim_stop(&s);
}

/* A manager that comes back has gone through its log, and through a snapshot. */
TEST(containers_come_back_with_their_manager)
{
    struct sim s;

    start(&s, 2);
    for (int64_t key = 3; key > 0; key--) {
        sim_box_call(&s, 1, set(key, key + 10));
        sim_box_call(&s, 1, append(key));
        sim_box_call(&s, 1, with(act(RV_OP_set_add, S), key));
        sim_box_call(&s, 1, with(act(RV_OP_list_set, A), key));
        sim_box_call(&s, 1, with(act(RV_OP_list_set, V), key));
    }
    restart(&s);
    sim_box_call(&s, 2, act(RV_OP_dict_popitem, D));
    sim_expect(&s, "[    2] dict_popitem.ok client=2 key=1 values=11\n");
    sim_box_call(&s, 2, act(RV_OP_list_page, L));
    sim_expect(&s, "[    4] list_page.ok client=2 version=3 values=3,2,1\n");
    sim_box_call(&s, 2, act(RV_OP_set_page, S));
    sim_expect(&s, "[    6] set_page.ok client=2 version=3 values=3,2,1\n");
    sim_box_call(&s, 2, act(RV_OP_list_page, A));
    sim_expect(&s, "[    8] list_page.ok client=2 version=3 values=1,0,0\n");
    sim_box_call(&s, 2, act(RV_OP_list_page, V));
    sim_expect(&s, "[   10] list_page.ok client=2 version=3 values=1\n");
    sim_stop(&s);
}

TEST(wait_for_a_change_ends_with_it)
{
    struct sim s;

    start(&s, 2);
    sim_box_call(&s, 1, wait_past(RV_OP_list_wait, L, 0));
    sim_box_call(&s, 1, wait_past(RV_OP_set_wait, S, 0));
    sim_box_call(&s, 1, wait_key(1, 0));
    sim_expect_silence(&s, 100);
    sim_box_call(&s, 2, set(2, 1)); /* another key */
    sim_expect(&s, "[  102] dict_set.ok client=2 n=1\n");
    sim_box_call(&s, 2, set(1, 1));
    sim_box_call(&s, 2, append(1));
    sim_box_call(&s, 2, with(act(RV_OP_set_add, S), 1));
    sim_expect(&s, "[  104] dict_set.ok client=2 n=1\n"
                   "[  104] list_insert.ok client=2 n=1\n"
                   "[  104] set_add.ok client=2 n=1\n"
                   "[  104] list_wait.ok client=1 version=1\n"
                   "[  104] set_wait.ok client=1 version=1\n"
                   "[  104] dict_wait.ok client=1 version=2\n");
    sim_box_call(&s, 1, wait_key(1, 1)); /* it came already */
    sim_expect(&s, "[  106] dict_wait.ok client=1 version=2\n");
    sim_box_call_for(&s, 1, wait_key(1, 2), 50);
    sim_expect(&s, "[  158] dict_wait.fail client=1 error=ETIME\n");
    sim_box_call(&s, 1, wait_key(1, 2));
    sim_box_call(&s, 2, on_key(RV_OP_dict_del, 1)); /* 0: there is none */
    sim_expect(&s, "[  160] dict_wait.ok client=1 version=0\n"
                   "[  160] dict_del.ok client=2\n");
    sim_stop(&s);
}

TEST(wait_for_a_change_goes_on_behind_a_restart)
{
    struct sim s;

    start(&s, 2);
    sim_box_call(&s, 1, set(1, 1));
    sim_box_call(&s, 1, wait_key(1, 1));
    sim_box_call(&s, 2, wait_past(RV_OP_list_wait, L, 0));
    restart(&s);
    sim_box_call(&s, 2, set(2, 1)); /* what it has seen is remembered: this is no change for it */
    sim_expect(&s, "[    2] dict_set.ok client=2 n=1\n");
    sim_expect_silence(&s, 100);
    sim_box_call(&s, 2, set(1, 2));
    sim_box_call(&s, 1, append(1));
    sim_expect(&s, "[  104] list_wait.ok client=2 version=1\n"
                   "[  104] dict_set.ok client=2 n=0\n"
                   "[  104] dict_wait.ok client=1 version=3\n"
                   "[  104] list_insert.ok client=1 n=1\n");
    sim_stop(&s);
}

TEST(wait_for_a_change_falls_with_its_session)
{
    struct sim s;

    start(&s, 2);
    sim_box_call(&s, 1, wait_key(1, 0));
    sim_box_call(&s, 1, wait_past(RV_OP_set_wait, S, 0));
    sim_run(&s, 10);
    CHECK(box_at(&s, D)->waiters != NULL && box_at(&s, S)->waiters != NULL);
    sim_client_kill(&s, 1, SIM_DEATH_GONE);
    sim_run(&s, 10);
    CHECK(box_at(&s, D)->waiters == NULL && box_at(&s, S)->waiters == NULL);
    sim_mark(&s);
    sim_box_call(&s, 2, set(1, 1));
    sim_expect(&s, "[    2] dict_set.ok client=2 n=1\n");
    sim_stop(&s);
}

TEST(wait_for_a_change_can_be_given_up)
{
    struct sim s;
    struct sim_op *op = NULL;

    start(&s, 1);
    op = sim_box_call(&s, 1, wait_past(RV_OP_list_wait, A, 0));
    sim_run(&s, 10);
    op->cancel_at = s.now + 10 * RV_MS;
    sim_client_pump(&s, &s.clients[1]);
    sim_run(&s, 20);
    CHECK(box_at(&s, A)->waiters == NULL);
    sim_stop(&s);
}

TEST(who_waits_for_what_is_removed_hears_that_it_is_gone)
{
    struct sim s;

    start(&s, 2);
    sim_box_call(&s, 1, set(1, 1));
    sim_box_call(&s, 1, wait_past(RV_OP_dict_wait, D, 1));
    sim_box_call(&s, 1, wait_past(RV_OP_list_wait, L, 0));
    sim_run(&s, 10);
    sim_mark(&s);
    sim_remove(&s, 2, "d");
    sim_remove(&s, 2, "l");
    sim_expect(&s, "[    1] object.remove object=1 name=\"d\" by=2\n"
                   "[    1] object.remove object=2 name=\"l\" by=2\n"
                   "[    2] dict_wait.fail client=1 error=EGONE\n"
                   "[    2] list_wait.fail client=1 error=EGONE\n"
                   "[    2] remove.ok client=2\n"
                   "[    2] remove.ok client=2\n");
    sim_box_call(&s, 1, on_key(RV_OP_dict_get, 1));
    sim_expect(&s, "[    4] dict_get.fail client=1 error=EGONE\n");
    sim_stop(&s);
}

/* ---- batches ---- */

TEST(batch_is_one_change)
{
    struct sim s;
    struct model_act acts[] = {set(1, 5), amount(1, -2), amount(2, 2), append(7),
                               on_key(RV_OP_dict_pop, 2)};

    start(&s, 2);
    sim_box_call(&s, 2, wait_past(RV_OP_dict_wait, D, 0));
    sim_run(&s, 10);
    sim_mark(&s);
    sim_box_batch(&s, 1, acts, 5);
    sim_expect(&s, "[    2] batch.ok client=1 done=5; n=1; version=2 values=3; version=3 values=2;"
                   " n=1; version=3 values=2\n"
                   "[    2] dict_wait.ok client=2 version=4\n"); /* as it is when all is done */
    sim_stop(&s);
}

/* Nothing of it has been: order, versions, bytes, references, and nobody hears of a change. */
TEST(batch_that_fails_has_not_been)
{
    struct sim s;
    struct model_act acts[] = {on_key(RV_OP_dict_del, 2), set(4, 1), on_key(RV_OP_dict_del, 9)};
    uint64_t bytes = 0;

    start(&s, 2);
    for (int64_t key = 1; key <= 3; key++)
        sim_box_call(&s, 1, set(key, key));
    sim_run(&s, 10);
    bytes = box_at(&s, D)->bytes;
    sim_box_call(&s, 2, wait_past(RV_OP_dict_wait, D, 3));
    sim_run(&s, 10);
    sim_mark(&s);
    sim_box_batch(&s, 1, acts, 3);
    sim_expect(&s, "[    2] batch.fail client=1 done=2 error=EKEY\n");
    sim_expect_silence(&s, 100);
    CHECK(box_at(&s, D)->bytes == bytes && box_at(&s, D)->waiters != NULL);
    sim_box_call(&s, 1, act(RV_OP_dict_page, D));
    sim_expect(&s, "[  104] dict_page.ok client=1 version=3 values=1,1,2,2,3,3\n");
    acts[0] = act(RV_OP_dict_clear, D);
    acts[1] = append(1);
    acts[2] = on_key(RV_OP_dict_pop, 1); /* it is not there any more */
    sim_box_batch(&s, 1, acts, 3);
    sim_expect(&s, "[  106] batch.fail client=1 done=2 error=EKEY\n");
    sim_box_call(&s, 1, act(RV_OP_dict_popitem, D));
    sim_expect(&s, "[  108] dict_popitem.ok client=1 key=3 values=3\n"
                   "[  108] dict_wait.ok client=2 version=4\n");
    sim_box_call(&s, 1, act(RV_OP_list_len, L));
    sim_expect(&s, "[  110] list_len.ok client=1 n=0 version=0 values=0\n");
    sim_stop(&s);
}

/* Every way in which a list changes is undone. */
TEST(batch_that_fails_leaves_a_list_as_it_was)
{
    static const uint16_t ops[] = {RV_OP_list_sort, RV_OP_list_reverse, RV_OP_list_pop,
                                   RV_OP_list_repeat, RV_OP_list_clear};
    struct sim s;
    struct model_act acts[8];

    start(&s, 1);
    for (int64_t i = 0; i < 5; i++)
        sim_box_call(&s, 1, append(i * 3 % 5));
    sim_run(&s, 10);
    sim_mark(&s);
    acts[0] = act(RV_OP_list_splice, L);
    acts[0].how = RV_BOUND_STEP;
    acts[0].step = 2;
    for (size_t i = 0; i < rv_countof(ops); i++) {
        acts[1 + i] = act(ops[i], L);
        acts[1 + i].at = ops[i] == RV_OP_list_repeat ? 3 : 0;
    }
    acts[6] = append(1);
    acts[7] = with(act(RV_OP_list_set, A), 1);
    acts[7].at = 3; /* an index that is not there */
    sim_box_batch(&s, 1, acts, 8);
    sim_expect(&s, "[    2] batch.fail client=1 done=7 error=EINDEX\n");
    sim_box_call(&s, 1, act(RV_OP_list_page, L));
    sim_expect(&s, "[    4] list_page.ok client=1 version=5 values=0,3,1,4,2\n");
    sim_stop(&s);
}

TEST(compare_and_set_is_one_step)
{
    struct sim s;
    struct model_act cas = with(with(on_key(RV_OP_dict_cas, 1), 1), 2);

    start(&s, 2);
    sim_box_call(&s, 1, set(1, 1));
    sim_run(&s, 10);
    sim_mark(&s);
    sim_box_call(&s, 1, cas);
    sim_box_call(&s, 2, cas);
    sim_expect(&s, "[    2] dict_cas.ok client=1 n=1 version=2\n"
                   "[    2] dict_cas.ok client=2 n=0 version=2 values=2\n");
    sim_stop(&s);
}

/* ---- lists, sets, arrays ---- */

TEST(sort_keeps_the_order_of_equal_values)
{
    struct sim s;
    struct model_act a = append(1);

    start(&s, 1);
    a = with(with(with(a, 2), 1), 2);
    a.values[2].form = a.values[3].form = MODEL_REAL;
    sim_box_call(&s, 1, a);
    sim_box_call(&s, 1, act(RV_OP_list_sort, L));
    sim_box_call(&s, 1, act(RV_OP_list_page, L));
    sim_expect(&s, "[    2] list_insert.ok client=1 n=4\n"
                   "[    2] list_sort.ok client=1\n"
                   "[    2] list_page.ok client=1 version=2 values=1,1.0,2,2.0\n");
    a = act(RV_OP_list_sort, L);
    a.how = 1;
    sim_box_call(&s, 1, a);
    sim_box_call(&s, 1, act(RV_OP_list_page, L));
    sim_expect(&s, "[    4] list_sort.ok client=1\n"
                   "[    4] list_page.ok client=1 version=3 values=2,2.0,1,1.0\n");
    sim_stop(&s);
}

TEST(set_has_a_member_once_and_lets_go_of_it)
{
    struct sim s;
    struct model_act add = with(with(with(act(RV_OP_set_add, S), 1), 1), 2);

    start(&s, 1);
    add.values[1].form = MODEL_REAL; /* equal */
    sim_box_call(&s, 1, add);
    sim_expect(&s, "[    2] set_add.ok client=1 n=2\n");
    sim_box_call(&s, 1, with(with(act(RV_OP_set_discard, S), 1), 7));
    sim_expect(&s, "[    4] set_discard.ok client=1 n=1\n");
    sim_box_call(&s, 1, act(RV_OP_set_page, S));
    sim_expect(&s, "[    6] set_page.ok client=1 version=3 values=2\n");
    sim_stop(&s);
}

TEST(array_takes_what_its_typecode_says)
{
    struct sim s;

    start(&s, 1);
    sim_box_call(&s, 1, with(act(RV_OP_list_set, A), (int64_t)INT32_MAX + 1));
    sim_expect(&s, "[    2] list_set.fail client=1 error=EVALUE\n");
    sim_box_call(&s, 1, with(act(RV_OP_list_set, A), INT32_MIN));
    sim_expect(&s, "[    4] list_set.ok client=1\n");
    sim_box_call(&s, 1, append(0));
    sim_box_call(&s, 1, with(act(RV_OP_list_insert, A), 1));
    sim_expect(&s, "[    6] list_insert.ok client=1 n=1\n"
                   "[    6] list_insert.fail client=1 error=ETYPE\n");
    sim_stop(&s);
}

/* In the message, in a frame behind it, in fragments before it. */
TEST(values_of_every_size_come_back)
{
    static const uint32_t lens[] = {60000, 66000, 262000, 262200, 700000};
    struct sim s;

    start(&s, 2);
    for (size_t i = 0; i < rv_countof(lens); i++) {
        struct model_act a = set((int64_t)i, 0);

        a.values[1] = (struct model_val){.form = MODEL_BYTES, .n = 7, .len = lens[i]};
        sim_box_call(&s, 1, a);
    }
    restart(&s);
    for (size_t i = 0; i < rv_countof(lens); i++)
        sim_box_call(&s, 2, on_key(RV_OP_dict_fetch, (int64_t)i));
    sim_expect(&s, "[    2] dict_fetch.ok client=2 version=1 values=7*60000\n"
                   "[    2] dict_fetch.ok client=2 version=2 values=7*66000\n"
                   "[    2] dict_fetch.ok client=2 version=3 values=7*262000\n"
                   "[    2] dict_fetch.ok client=2 version=4 values=7*262200\n"
                   "[    2] dict_fetch.ok client=2 version=5 values=7*700000\n");
    sim_box_call(&s, 2, on_key(RV_OP_dict_get, 1)); /* a question brings small ones only */
    sim_expect(&s, "[    4] dict_get.ok client=2 version=2 values=-\n");
    sim_stop(&s);
}

/* ---- what may be refused ---- */

TEST(call_that_tells_a_value_takes_the_right_to_read)
{
    struct sim s;
    struct model_act acts[2];
    struct sim_op *op = NULL;

    start(&s, 2);
    sim_box_call(&s, 1, set(1, 1));
    sim_run(&s, 10);
    sim_principal(&s, "client", "open,put:d");
    sim_run(&s, 10);
    sim_mark(&s);
    /* client 1 made the dict, and may read */
    op = sim_box_op(&s, 2, (struct model_act[]){on_key(RV_OP_dict_pop, 1)}, 1, false, UINT32_MAX);
    sim_box_op_refused(op, REEVE_EPERM, 0);
    sim_op_begin(&s, op);
    sim_box_call(&s, 2, set(2, 2));
    acts[0] = set(3, 3);
    acts[1] = act(RV_OP_dict_popitem, D);
    op = sim_box_op(&s, 2, acts, 2, true, UINT32_MAX);
    sim_box_op_refused(op, REEVE_EPERM, 1);
    sim_op_begin(&s, op);
    sim_expect(&s, "[    2] dict_pop.fail client=2 error=EPERM\n"
                   "[    2] dict_set.ok client=2 n=1\n"
                   "[    2] batch.fail client=2 done=1 error=EPERM\n");
    sim_box_call(&s, 1, act(RV_OP_dict_page, D));
    sim_expect(&s, "[    4] dict_page.ok client=1 version=2 values=1,1,2,2\n");
    sim_stop(&s);
}

TEST(object_has_the_bytes_that_it_may_have)
{
    struct sim s;
    struct model_act acts[3];
    int d = 0;

    sim_start(&s, 1);
    d = sim_box(&s, &(struct model_box){.name = "small", .kind = RV_KIND_DICT, .most = 6});
    CHECK(sim_box_open(&s, 1, d, RV_DURABLE_DEFAULT) == REEVE_OK);
    sim_box_call(&s, 1, set(1, 1));
    sim_box_call(&s, 1, set(2, 300)); /* three bytes */
    sim_box_call(&s, 1, set(2, 1000));
    sim_box_call(&s, 1, set(3, 1));
    sim_expect(&s, "[    2] dict_set.ok client=1 n=1\n"
                   "[    2] dict_set.ok client=1 n=1\n"
                   "[    2] dict_set.ok client=1 n=0\n"
                   "[    2] dict_set.fail client=1 error=EQUOTA\n");
    acts[0] = on_key(RV_OP_dict_del, 2);
    acts[1] = set(3, 1);
    acts[2] = set(4, 300);
    sim_box_batch(&s, 1, acts, 3);
    sim_expect(&s, "[    4] batch.fail client=1 done=2 error=EQUOTA\n");
    sim_box_batch(&s, 1, acts, 2);
    sim_box_call(&s, 1, act(RV_OP_dict_page, d));
    sim_expect(&s, "[    6] batch.ok client=1 done=2;; n=1\n"
                   "[    6] dict_page.ok client=1 version=4 values=1,1,3,1\n");
    sim_stop(&s);
}

/* The quota of the key that made it; what is undone counts no more. */
TEST(containers_count_for_the_quota_of_their_key)
{
    struct sim s;
    struct model_act acts[3];
    struct sim_op *op = NULL;

    start(&s, 1);
    sim_quota(&s, "bytes:20"); /* four are zeros of the array and the value */
    sim_run(&s, 10);
    sim_mark(&s);
    sim_box_call(&s, 1, set(1, 1000)); /* four more */
    acts[0] = set(2, 1000);
    acts[1] = append(100000);
    acts[2] = append(100000);
    op = sim_box_op(&s, 1, acts, 3, true, UINT32_MAX);
    sim_box_op_refused(op, REEVE_EQUOTA, 2);
    sim_op_begin(&s, op);
    sim_expect(&s, "[    2] dict_set.ok client=1 n=1\n"
                   "[    2] batch.fail client=1 done=2 error=EQUOTA\n");
    /* Twelve are left: all of them, and not one more. */
    acts[0].values[0] = model_int(200);
    acts[0].values[1] = model_int(200);
    acts[1] = act(RV_OP_list_insert, L);
    for (int i = 0; i < 8; i++)
        acts[1] = with(acts[1], 1);
    sim_box_batch(&s, 1, acts, 2);
    op = sim_box_op(&s, 1, (struct model_act[]){append(1)}, 1, false, UINT32_MAX);
    sim_box_op_refused(op, REEVE_EQUOTA, 0);
    sim_op_begin(&s, op);
    sim_expect(&s, "[    4] batch.ok client=1 done=2; n=1; n=8\n"
                   "[    4] list_insert.fail client=1 error=EQUOTA\n");
    sim_box_call(&s, 1, act(RV_OP_dict_clear, D)); /* gives eight back */
    sim_box_call(&s, 1, append(1));
    sim_expect(&s, "[    6] dict_clear.ok client=1\n"
                   "[    6] list_insert.ok client=1 n=9\n");
    sim_stop(&s);
}

TEST(full_disk_refuses_what_grows_and_lets_out)
{
    struct sim s;
    struct model_act acts[2] = {act(RV_OP_dict_clear, D), set(1, 1)};

    start(&s, 2);
    sim_box_call(&s, 1, set(1, 1));
    sim_box_call(&s, 2, wait_past(RV_OP_dict_wait, D, 1));
    sim_run(&s, 10);
    sim_server_space(&s, true);
    sim_run(&s, 10);
    sim_mark(&s);
    sim_box_call(&s, 1, set(2, 2));
    sim_box_batch(&s, 1, acts, 2);
    sim_box_call(&s, 1, on_key(RV_OP_dict_pop, 1));
    sim_expect(&s, "[    2] dict_set.fail client=1 error=ENOSPC\n"
                   "[    2] batch.fail client=1 done=0 error=ENOSPC\n"
                   "[    2] dict_pop.ok client=1 version=1 values=1\n"
                   "[    2] dict_wait.ok client=2 version=2\n");
    sim_server_space(&s, false);
    sim_run(&s, 10);
    sim_mark(&s);
    sim_box_call(&s, 1, set(2, 2));
    sim_expect(&s, "[    2] dict_set.ok client=1 n=1\n");
    sim_stop(&s);
}

/* ---- references in values ---- */

static struct model_act set_ref(int64_t key, uint64_t object)
{
    struct model_act a = set(key, 0);

    a.values[1] = (struct model_val){.form = MODEL_BYTES, .n = 1, .len = 20, .refers = object};
    return a;
}

static void expect_objects(struct sim *s, size_t want)
{
    sim_run(s, 50);
    CHECK(mgr_objects(s->server.mgr) == want);
}

TEST(object_lives_in_a_value_when_nobody_else_has_it)
{
    struct sim s;
    uint64_t queue = 0;

    start(&s, 2);
    CHECK(sim_open(&s, 1, "", NULL) == REEVE_OK);
    queue = s.clients[1].queues[0].channel.port.object;
    sim_box_call(&s, 1, set_ref(1, queue));
    sim_run(&s, 10);
    sim_queue_close(&s, 1, 0);
    expect_objects(&s, BOXES + 1);
    restart(&s);
    expect_objects(&s, BOXES + 1);
    sim_box_call(&s, 2, on_key(RV_OP_dict_fetch, 1));
    sim_run(&s, 10);
    CHECK(s.clients[2].liens_len == 1 && s.clients[2].liens[0] == queue);
    sim_box_call(&s, 1, set(1, 0)); /* another value: client 2 has it alone */
    expect_objects(&s, BOXES + 1);
    sim_unlien(&s, 2, 0);
    expect_objects(&s, BOXES);
    sim_stop(&s);
}

/* What a batch put in and took out refers as before, whether it took effect or not. */
TEST(references_of_a_batch_that_fails_are_given_back)
{
    struct sim s;
    uint64_t in = 0;
    uint64_t out = 0;
    struct model_act acts[3];

    start(&s, 1);
    CHECK(sim_open(&s, 1, "", NULL) == REEVE_OK);
    CHECK(sim_open(&s, 1, "", NULL) == REEVE_OK);
    out = s.clients[1].queues[0].channel.port.object;
    in = s.clients[1].queues[1].channel.port.object;
    sim_box_call(&s, 1, set_ref(1, out));
    acts[0] = set_ref(2, in);
    acts[1] = set_ref(1, in);
    acts[2] = on_key(RV_OP_dict_del, 9);
    sim_box_batch(&s, 1, acts, 3);
    sim_run(&s, 10);
    sim_queue_close(&s, 1, 0);
    sim_queue_close(&s, 1, 1);
    expect_objects(&s, BOXES + 1);
    sim_box_call(&s, 1, on_key(RV_OP_dict_pop, 1)); /* the first one is there still */
    sim_run(&s, 10);
    CHECK(s.clients[1].liens_len == 1 && s.clients[1].liens[0] == out);
    sim_unlien(&s, 1, 0);
    expect_objects(&s, BOXES);
    sim_stop(&s);
}

/* The bytes, and five times the object. */
static struct model_val five_times(uint64_t object)
{
    return (struct model_val){.form = MODEL_BYTES, .n = 1, .len = 1, .refers = object, .again = 4};
}

/* What is cut out of a value, or left of it, hands over each object in it once. */
TEST(value_that_refers_to_an_object_several_times_is_cut)
{
    struct sim s;
    struct model_act acts[2] = {set(1, 0), append(0)};
    const struct model_act cut[2] = {
        {.op = RV_OP_dict_edit, .box = D, .key = model_int(1), .how = RV_EDIT_DELETE, .part = 2},
        {.op = RV_OP_list_edit, .box = L, .how = RV_EDIT_DELETE, .part = 3}};
    const struct model_act whole[2] = {on_key(RV_OP_dict_fetch, 1), act(RV_OP_list_fetch, L)};
    uint64_t queue = 0;

    start(&s, 2);
    CHECK(sim_open(&s, 1, "", NULL) == REEVE_OK);
    queue = s.clients[1].queues[0].channel.port.object;
    acts[0].values[1] = acts[1].values[0] = five_times(queue);
    for (int i = 0; i < 2; i++) {
        struct model_act part = whole[i];

        sim_box_call(&s, 1, acts[i]);
        sim_run(&s, 10);
        part.part = 4;
        sim_box_call(&s, 2, part);
        sim_run(&s, 10);
        CHECK(s.clients[2].liens_len == 1);
        sim_unlien(&s, 2, 0);
        for (int k = 0; k < 4; k++)
            sim_box_call(&s, 1, cut[i]);
        sim_box_call(&s, 2, whole[i]);
        sim_run(&s, 10);
        CHECK(s.clients[2].liens_len == 1);
        sim_unlien(&s, 2, 0);
    }
    sim_queue_close(&s, 1, 0);
    expect_objects(&s, BOXES + 1); /* both still refer to it */
    restart(&s);
    sim_box_call(&s, 1, on_key(RV_OP_dict_del, 1));
    expect_objects(&s, BOXES + 1);
    sim_box_call(&s, 1, act(RV_OP_list_clear, L));
    expect_objects(&s, BOXES);
    sim_stop(&s);
}

TEST(references_fall_with_the_name_of_what_they_are_in)
{
    struct sim s;

    start(&s, 1);
    CHECK(sim_open(&s, 1, "", NULL) == REEVE_OK);
    sim_box_call(&s, 1, set_ref(1, s.clients[1].queues[0].channel.port.object));
    sim_run(&s, 10);
    sim_queue_close(&s, 1, 0);
    expect_objects(&s, BOXES + 1);
    sim_remove(&s, 1, "d");
    sim_run(&s, 10);
    sim_box_close(&s, 1, D);
    expect_objects(&s, BOXES - 1);
    sim_stop(&s);
}
