/* random_box.c -- each client has threads that change containers, look at them and wait for changes; the book
 * (tests/lib/sim_box.c) knows what each must be answered. */

#include "tests/sim/random_box.h"
#include "tests/sim/random.h"
#include "tests/lib/sim_box.h"

enum {
    THREADS = 2,
    KEYS = 6,
    LIST_LEN = 24, /* above it is made shorter */
    LONG_UNTIL_S = 85,
    LATE_S = 106,
    END_S = 112,
    PAUSE_MS = 1800,
    LOOK_MS = 5,     /* until who wants to see something looks */
    LONG_MS = 20000, /* some wait so long for a key */
    QUESTION_MS = 3000,
    BATCH = 5,
    USED = 4, /* containers of a history */
};

enum box { DICT, LEDGER, LIST, SET, OTHER, ARRAY, SHARED, BOXES };

static const struct model_box boxes[BOXES] = {
    [DICT] = {.name = "box.dict", .kind = RV_KIND_DICT},
    [LEDGER] = {.name = "box.ledger", .kind = RV_KIND_DICT},
    [LIST] = {.name = "box.list", .kind = RV_KIND_LIST},
    [SET] = {.name = "box.set", .kind = RV_KIND_SET},
    [OTHER] = {.name = "box.other", .kind = RV_KIND_SET},
    [ARRAY] = {.name = "box.array", .kind = RV_KIND_ARRAY, .typecode = 'i', .first_len = 5},
    [SHARED] = {.name = "box.shared", .kind = RV_KIND_VALUE, .typecode = 'i', .first_len = 1},
};

struct thread {
    struct sim_op *op;
    rv_ns next_at;
    int late;       /* boxes that it has touched at the end */
    unsigned looks; /* boxes that it will look at first, each a bit */
    uint64_t term;  /* of the manager, as it knows */
};

static struct thread threads[SIM_CLIENTS + 1][THREADS];
static bool opening[SIM_CLIENTS + 1][BOXES];
static enum rv_durable durable[BOXES];
static unsigned used; /* boxes, each a bit */

static bool is_used(int box)
{
    return used >> box & 1;
}

static bool one_in(struct sim *s, uint64_t n)
{
    return sim_below(s, n) == 0;
}

static rv_ns some_ms(struct sim *s, uint64_t max)
{
    return (rv_ns)sim_below(s, max * 1000 + 1) * 1000;
}

static bool after(const struct sim *s, int seconds)
{
    return s->now >= (rv_ns)seconds * RV_SEC;
}

void random_box_begin(struct sim *s)
{
    for (int i = 0; i < BOXES; i++) {
        struct model_box box = boxes[i];

        if (i < ARRAY && i != LEDGER && one_in(s, 3))
            box.most = 16 + sim_below(s, i == DICT ? 400 : 60);
        rv_assert(sim_box(s, &box) == i);
        durable[i] = random_level(s);
    }
    used = 0;
    for (int left = USED; left > 0;) {
        int box = (int)sim_below(s, BOXES);

        left -= !is_used(box);
        used |= 1U << box;
    }
    for (int c = 0; c <= SIM_CLIENTS; c++)
        random_box_forget(c);
}

void random_box_forget(int client)
{
    memset(threads[client], 0, sizeof threads[client]);
    memset(opening[client], 0, sizeof opening[client]);
}

static void opened(struct sim *s, struct sim_op *op)
{
    memset(opening[op->client->number], 0, sizeof opening[0]);
    if (op->error != REEVE_OK && op->client->link.state != RV_LINK_DEAD)
        sim_broken(s, "an open of a container ended with %s", sim_error_name(op->error));
}

static bool ensure_open(struct sim *s, struct sim_client *c)
{
    for (int i = 0; i < BOXES; i++)
        if (is_used(i) && !sim_box_is_open(s, c->number, i)) {
            if (!opening[c->number][i]) {
                struct sim_op *op = sim_box_op_open(s, c->number, i, durable[i]);

                op->ended = opened;
                opening[c->number][i] = true;
                sim_op_begin(s, op);
            }
            return false;
        }
    return true;
}

/* ---- calls ---- */

static struct model_val number(struct sim *s)
{
    struct model_val v = model_int((int64_t)sim_below(s, 12) - 3);

    if (one_in(s, 5))
        v.form = MODEL_REAL;
    if (one_in(s, 12))
        v.n *= 100000;
    return v;
}

static struct model_val key(struct sim *s)
{
    struct model_val v = model_int((int64_t)sim_below(s, KEYS));

    if (one_in(s, 8))
        v.form = MODEL_REAL; /* the same key */
    return v;
}

/* A number, or bytes that may refer to something. */
static struct model_val value(struct sim *s, const struct sim_client *c)
{
    const struct sim_queue *private = &c->queues[SIM_QUEUES - 1];
    struct model_val v = number(s);

    if (!one_in(s, 5))
        return v;
    v = (struct model_val){
        .form = MODEL_BYTES, .n = (int64_t)sim_below(s, 9), .len = 1 + (uint32_t)sim_below(s, 120)};
    if (one_in(s, 12))
        v.len = one_in(s, 4) ? 66000 + (uint32_t)sim_below(s, 250000) : 3000;
    if (private->opened && one_in(s, 3))
        v.refers = private->channel.port.object;
    v.again = (uint8_t)(v.refers == 0 ? 0 : v.n % 4);
    return v;
}

static const struct model_val *value_at(const struct model_box *b, struct model_val k)
{
    for (size_t i = 0; i < b->len; i++)
        if (b->at[i].key.n == k.n)
            return &b->at[i].value;
    return NULL;
}

static void set_cas(struct sim *s, struct model_act *a, const struct model_val *there,
                    struct model_val new)
{
    static const uint8_t hows[] = {0,
                                   0,
                                   RV_CAS_MUST,
                                   RV_CAS_ONLY,
                                   RV_CAS_MUST | RV_CAS_ONLY,
                                   RV_CAS_ABSENT,
                                   RV_CAS_ABSENT | RV_CAS_ONLY,
                                   RV_CAS_DELETE};

    a->how = hows[sim_below(s, a->op == RV_OP_dict_cas ? rv_countof(hows) : 5)];
    if (!(a->how & RV_CAS_ABSENT))
        a->values[a->len++] = there != NULL && !one_in(s, 3) ? *there : number(s);
    if (!(a->how & (RV_CAS_DELETE | RV_CAS_ONLY)))
        a->values[a->len++] = new;
    a->values[0].refers = a->how & RV_CAS_ABSENT ? a->values[0].refers : 0;
}

static void on_dict(struct sim *s, const struct sim_client *c, struct model_act *a)
{
    static const uint16_t ops[] = {RV_OP_dict_set,   RV_OP_dict_set,     RV_OP_dict_setdefault,
                                   RV_OP_dict_del,   RV_OP_dict_pop,     RV_OP_dict_popitem,
                                   RV_OP_dict_fetch, RV_OP_dict_edit,    RV_OP_dict_edit,
                                   RV_OP_dict_cas,   RV_OP_dict_cas,     RV_OP_dict_clear,
                                   RV_OP_dict_get,   RV_OP_dict_page,    RV_OP_dict_len,
                                   RV_OP_dict_wait,  RV_OP_dict_contains};

    a->op = ops[sim_below(s, rv_countof(ops))];
    if (a->op == RV_OP_dict_clear && !one_in(s, 4))
        a->op = RV_OP_dict_edit;
    a->key = key(s);
    a->keyed = one_in(s, 2);
    if (a->op == RV_OP_dict_fetch)
        a->part = (uint8_t)sim_below(s, 6);
    if (a->op == RV_OP_dict_set)
        a->len = 2 * (1 + (uint32_t)sim_below(s, 3));
    for (uint32_t i = 0; i < a->len; i++)
        a->values[i] = i % 2 == 0 ? key(s) : value(s, c);
    if (a->op == RV_OP_dict_setdefault)
        a->values[a->len++] = value(s, c);
    if (a->op == RV_OP_dict_edit) {
        a->how = one_in(s, 3) ? RV_EDIT_SET : RV_EDIT_ADD;
        a->values[a->len++] = a->how == RV_EDIT_SET ? value(s, c) : number(s);
    }
    if (a->op == RV_OP_dict_cas)
        set_cas(s, a, value_at(sim_box_model(s, a->box), a->key), value(s, c));
}

static void on_ledger(struct sim *s, struct model_act *a)
{
    static const uint16_t ops[] = {RV_OP_dict_edit, RV_OP_dict_edit, RV_OP_dict_edit,
                                   RV_OP_dict_get,  RV_OP_dict_page, RV_OP_dict_wait};

    a->op = ops[sim_below(s, rv_countof(ops))];
    a->key = key(s);
    a->keyed = one_in(s, 2);
    if (a->op == RV_OP_dict_edit) {
        a->how = RV_EDIT_ADD;
        a->values[a->len++] = number(s);
    }
}

static void set_slice(struct sim *s, struct model_act *a, int64_t len)
{
    a->how = (uint8_t)sim_below(s, 8);
    a->at = (int64_t)sim_below(s, (uint64_t)(2 * len + 5)) - len - 2;
    a->stop = (int64_t)sim_below(s, (uint64_t)(2 * len + 5)) - len - 2;
    a->step = (int64_t)sim_below(s, 7) - 3;
    if (a->step == 0)
        a->step = 1;
}

static void on_list(struct sim *s, struct model_act *a)
{
    static const uint16_t ops[] = {
        RV_OP_list_insert,  RV_OP_list_insert, RV_OP_list_insert, RV_OP_list_set,
        RV_OP_list_del,     RV_OP_list_pop,    RV_OP_list_splice, RV_OP_list_splice,
        RV_OP_list_reverse, RV_OP_list_sort,   RV_OP_list_sort,   RV_OP_list_repeat,
        RV_OP_list_remove,  RV_OP_list_edit,   RV_OP_list_edit,   RV_OP_list_cas,
        RV_OP_list_get,     RV_OP_list_fetch,  RV_OP_list_page,   RV_OP_list_find,
        RV_OP_list_len,     RV_OP_list_wait,   RV_OP_list_clear};
    const struct model_box *b = sim_box_model(s, a->box);
    int64_t len = (int64_t)b->len;

    a->op = ops[sim_below(s, rv_countof(ops))];
    if (a->op == RV_OP_list_clear && !one_in(s, 4))
        a->op = RV_OP_list_insert;
    if (len > LIST_LEN && (a->op == RV_OP_list_insert || a->op == RV_OP_list_repeat))
        a->op = one_in(s, 3) ? RV_OP_list_clear : RV_OP_list_pop;
    a->at = (int64_t)sim_below(s, (uint64_t)len + 4) - (one_in(s, 4) ? len + 2 : 1);
    a->key = number(s);
    if (a->op == RV_OP_list_repeat)
        a->at = (int64_t)sim_below(s, 4);
    if (a->op == RV_OP_list_splice)
        set_slice(s, a, len);
    if (a->op == RV_OP_list_insert || a->op == RV_OP_list_splice)
        a->len = (uint32_t)sim_below(s, 4);
    if (a->op == RV_OP_list_set || a->op == RV_OP_list_edit)
        a->len = 1;
    for (uint32_t i = 0; i < a->len; i++)
        a->values[i] = number(s);
    if (a->op == RV_OP_list_edit)
        a->how = one_in(s, 4) ? RV_EDIT_SET : RV_EDIT_ADD;
    if (a->op == RV_OP_list_sort)
        a->how = one_in(s, 2);
    if (a->op == RV_OP_list_cas)
        set_cas(s, a, a->at >= 0 && a->at < len ? &b->at[a->at].value : NULL, number(s));
    if (a->op == RV_OP_list_set && b->typecode != 0 && one_in(s, 4))
        a->values[0] = (struct model_val){.form = MODEL_BYTES, .len = 3};
}

static void on_set(struct sim *s, struct model_act *a)
{
    static const uint16_t ops[] = {
        RV_OP_set_add,    RV_OP_set_add,    RV_OP_set_add,   RV_OP_set_discard,  RV_OP_set_pop,
        RV_OP_set_update, RV_OP_set_update, RV_OP_set_clear, RV_OP_set_contains, RV_OP_set_compare,
        RV_OP_set_page,   RV_OP_set_len,    RV_OP_set_wait};

    a->op = ops[sim_below(s, rv_countof(ops))];
    if (a->op == RV_OP_set_clear && !one_in(s, 4))
        a->op = RV_OP_set_add;
    a->key = number(s);
    a->keyed = one_in(s, 2);
    a->other = one_in(s, 2) ? 1 + SET : one_in(s, 2) ? 1 + OTHER : 0;
    if (a->other != 0 && !is_used(a->other - 1))
        a->other = 0;
    if (a->op != RV_OP_set_update && a->op != RV_OP_set_compare)
        a->other = 0;
    if (a->other == 0)
        a->len = 1 + (uint32_t)sim_below(s, 4);
    for (uint32_t i = 0; i < a->len; i++)
        a->values[i] = number(s);
    if (a->op == RV_OP_set_update)
        a->how = (uint8_t)sim_below(s, RV_SYMMETRIC + 1);
    if (a->op == RV_OP_set_compare)
        a->how = (uint8_t)sim_below(s, RV_PROPER_SUPERSET + 1);
    if (a->op == RV_OP_set_discard)
        a->how = one_in(s, 3);
}

static bool waits(uint16_t op)
{
    return op == RV_OP_dict_wait || op == RV_OP_list_wait || op == RV_OP_set_wait;
}

static struct model_act some_act(struct sim *s, const struct sim_client *c)
{
    struct model_act a = {.box = (uint8_t)sim_below(s, BOXES)};

    while (!is_used(a.box))
        a.box = (uint8_t)sim_below(s, BOXES);
    if (a.box == DICT)
        on_dict(s, c, &a);
    else if (a.box == LEDGER)
        on_ledger(s, &a);
    else if (a.box == SET || a.box == OTHER)
        on_set(s, &a);
    else
        on_list(s, &a);
    if (waits(a.op)) {
        a.keyed = a.keyed && (a.op == RV_OP_dict_wait || one_in(s, 20));
        a.seen = model_version(sim_box_model(s, a.box), &a) + (one_in(s, 6) ? 1 : 0);
    }
    return a;
}

/* ---- turns ---- */

/* The containers of calls whose traces only the order of what is in them shows: a sort, and what was undone. */
static unsigned worth_a_look(const struct sim_op *op)
{
    size_t len = 0;
    const struct model_act *acts = sim_box_acts(op, &len);
    unsigned looks = 0;

    for (size_t i = 0; i < len; i++)
        if (acts[i].op == RV_OP_list_sort || (len > 1 && op->error != REEVE_OK))
            looks |= 1U << acts[i].box;
    return looks;
}

static void ended(struct sim *s, struct sim_op *op)
{
    struct thread *t = op->arg;

    t->op = NULL;
    t->looks |= worth_a_look(op);
    t->next_at = s->now + some_ms(s, after(s, LATE_S) ? 4 : t->looks != 0 ? LOOK_MS : PAUSE_MS);
    if (op->client->idle_until > t->next_at)
        op->client->idle_until = t->next_at;
    if (op->deadline_at != RV_NEVER && op->ended_at > op->deadline_at + RV_LIMIT_GRACE_MS * RV_MS &&
        op->client->continued_at != op->ended_at)
        sim_broken(s, "client %d: a wait for a change ended %lld ms after its deadline",
                   op->client->number, (long long)((op->ended_at - op->deadline_at) / RV_MS));
}

static void begin(struct sim *s, struct thread *t, struct sim_op *op)
{
    op->ended = ended;
    op->arg = t;
    t->op = op;
    sim_op_begin(s, op);
}

/* May be one of a batch: it takes part in the undoing. */
static bool in_batch(uint16_t op)
{
    const struct rv_op_info *info = rv_op_info(op);

    return (info->flags & RV_OP_WRITE) && !(info->flags & RV_OP_BLOCK);
}

static size_t bodies_of(const struct model_act *a)
{
    size_t bodies = 0;

    for (uint32_t i = 0; i < a->len; i++)
        bodies += a->values[i].form == MODEL_BYTES && a->values[i].len > 60000;
    return bodies;
}

/* Some amount from one key to another, and perhaps more that may fail. */
static void batch(struct sim *s, struct sim_client *c, struct thread *t)
{
    struct model_act acts[BATCH];
    size_t len = is_used(LEDGER) ? 2 : 0;
    int64_t amount = 1 + (int64_t)sim_below(s, 5);

    for (size_t i = 0; i < len; i++)
        acts[i] = (struct model_act){.op = RV_OP_dict_edit,
                                     .box = LEDGER,
                                     .how = RV_EDIT_ADD,
                                     .key = model_int((int64_t)sim_below(s, KEYS)),
                                     .values = {model_int(i == 0 ? amount : -amount)},
                                     .len = 1};
    while (len < BATCH && (len == 0 || !one_in(s, 3))) {
        struct model_act a = some_act(s, c);

        if (in_batch(a.op) && bodies_of(&a) == 0)
            acts[len++] = a;
    }
    begin(s, t, sim_box_op(s, c->number, acts, len, true, UINT32_MAX));
}

/* Each container is changed, so that nobody waits any more. */
static void touch(struct sim *s, struct sim_client *c, struct thread *t)
{
    static const struct model_act acts[] = {
        {.op = RV_OP_dict_clear, .box = DICT},
        {.op = RV_OP_dict_set, .box = DICT, .values = {{.n = 1}, {.n = 1}}, .len = 2},
        {.op = RV_OP_dict_edit, .box = LEDGER, .how = RV_EDIT_ADD, .values = {{.n = 1}}, .len = 1},
        {.op = RV_OP_list_reverse, .box = LIST},
        {.op = RV_OP_list_reverse, .box = ARRAY},
        {.op = RV_OP_list_reverse, .box = SHARED},
        {.op = RV_OP_set_clear, .box = SET},
        {.op = RV_OP_set_add, .box = SET, .values = {{.n = 1}}, .len = 1},
        {.op = RV_OP_set_clear, .box = OTHER},
        {.op = RV_OP_set_add, .box = OTHER, .values = {{.n = 1}}, .len = 1},
        {.op = RV_OP_dict_page, .box = LEDGER},
        {.op = RV_OP_list_page, .box = LIST},
        {.op = RV_OP_list_page, .box = ARRAY},
    };

    while (t->late < (int)rv_countof(acts) && !is_used(acts[t->late].box))
        t->late++;
    if (t->late < (int)rv_countof(acts))
        begin(s, t, sim_box_op(s, c->number, &acts[t->late++], 1, false, UINT32_MAX));
}

/* All that is in one of the containers that it wants to see. */
static void look(struct sim *s, struct sim_client *c, struct thread *t)
{
    struct model_act a = {.box = 0};

    while (!(t->looks >> a.box & 1))
        a.box++;
    t->looks &= ~(1U << a.box);
    a.op = a.box == DICT || a.box == LEDGER ? RV_OP_dict_page
           : a.box == SET || a.box == OTHER ? RV_OP_set_page
                                            : RV_OP_list_page;
    begin(s, t, sim_box_op(s, c->number, &a, 1, false, QUESTION_MS));
}

/* How long a call may take. A frame that is dropped may have been a question, which nobody says again. */
static uint32_t patience(struct sim *s, const struct model_act *a)
{
    static const uint32_t timeouts[] = {0, 20, 200, 1500, LONG_MS};
    bool keyed = a->keyed && a->op == RV_OP_dict_wait;

    if (!(rv_op_info(a->op)->flags & RV_OP_WRITE) && !waits(a->op))
        return QUESTION_MS;
    if (!waits(a->op) || (!keyed && one_in(s, 3)))
        return UINT32_MAX;
    return timeouts[sim_below(s, rv_countof(timeouts) - (!keyed || after(s, LONG_UNTIL_S)))];
}

static void turn(struct sim *s, struct sim_client *c, struct thread *t)
{
    struct model_act a;

    t->next_at = s->now + some_ms(s, after(s, LATE_S) ? 100 : PAUSE_MS);
    if (!ensure_open(s, c))
        return;
    if (after(s, LATE_S)) {
        if (!after(s, END_S))
            touch(s, c, t);
        return;
    }
    if (t->term != s->server.term) { /* what it had is from a log, or a snapshot */
        t->looks |= t->term == 0 ? 0 : used;
        t->term = s->server.term;
    }
    if (t->looks != 0) {
        look(s, c, t);
        return;
    }
    if (one_in(s, 4)) {
        batch(s, c, t);
        return;
    }
    a = some_act(s, c);
    begin(s, t, sim_box_op(s, c->number, &a, 1, false, patience(s, &a)));
    if (waits(a.op) && one_in(s, 5))
        t->op->cancel_at = s->now + some_ms(s, 500);
}

rv_ns random_box_turn(struct sim *s, struct sim_client *c)
{
    rv_ns next = s->now + RV_SEC;

    for (int i = 0; i < THREADS; i++) {
        struct thread *t = &threads[c->number][i];

        if (t->op == NULL && t->next_at <= s->now)
            turn(s, c, t);
        if (t->op == NULL && t->next_at < next)
            next = t->next_at;
    }
    return next;
}

void random_box_finish(struct sim *s, int clients)
{
    for (int c = 1; c <= clients; c++)
        for (int i = 0; i < THREADS; i++) {
            const struct sim_op *op = threads[c][i].op;

            if (op != NULL)
                sim_broken(s, "client %d: a call on a container waits since %lld ms", c,
                           (long long)((op->begun_at - s->origin) / RV_MS));
        }
}
