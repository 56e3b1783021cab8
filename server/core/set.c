/* set.c -- members, alone and against those of another set. */

#include "server/core/set.h"

#include "common/value/value.h"
#include "server/core/pairs.h"
#include "server/core/session.h"

static struct pairs *set_of(const struct box_call *c)
{
    return (struct pairs *)c->box;
}

/* The other members of a call: of another set that the session may read, or those that came. They are a set of
 * their own then, which no object is. */
struct other {
    const struct pairs *set; /* theirs, or &own */
    struct pairs own;
};

static void own_member(struct other *other, struct rv_slice spelt)
{
    struct pair *p = pairs_find(&other->own, spelt);

    if (p != NULL)
        return;
    p = rv_alloc(sizeof *p + spelt.len);
    p->key_len = (uint32_t)spelt.len;
    memcpy(p->key, spelt.data, spelt.len);
    HASH_ADD_KEYPTR(hh, other->own.table, p->key, p->key_len, p);
    DL_APPEND(other->own.order, p);
}

static void other_free(struct other *other)
{
    struct pair *p = NULL;

    HASH_CLEAR(hh, other->own.table);
    while (other->own.order != NULL) {
        p = other->own.order;
        other->own.order = p->next;
        free(p);
    }
}

static reeve_err other_set(struct box_call *c, uint64_t object, struct other *out)
{
    const struct ref *ref = session_ref(c->session, object);

    if (ref == NULL || ref->object->removed) {
        c->text = "the session does not have the other set";
        return ref == NULL ? REEVE_ENOENT : REEVE_EGONE;
    }
    if (ref->object->kind != RV_KIND_SET) {
        c->text = "the other one is no set";
        return REEVE_ETYPE;
    }
    if (!(ref->rights & RIGHT_BIT(RV_RIGHT_GET))) {
        c->text = "the key has no right get on the other set";
        return REEVE_EPERM;
    }
    out->set = (const struct pairs *)ref->object;
    return REEVE_OK;
}

/* Whatever comes of it, other_free. */
static reeve_err other_values(struct mgr *mgr, struct box_call *c, struct other *out)
{
    reeve_err err = REEVE_OK;

    out->set = &out->own;
    for (uint32_t i = 0; err == REEVE_OK && i < c->values_len; i++) {
        err = box_spell(mgr, cell_bytes(&c->values[i]), &c->text);
        if (err == REEVE_OK)
            own_member(out, rv_buf_slice(&mgr->key));
    }
    return err;
}

static reeve_err other_of(struct mgr *mgr, struct box_call *c, uint64_t object, struct other *out)
{
    *out = (struct other){0};
    return object != 0 ? other_set(c, object, out) : other_values(mgr, c, out);
}

static bool has(const struct pairs *set, const struct pair *p)
{
    return pairs_find(set, pair_key(p)) != NULL;
}

/* ---- changes ---- */

static reeve_err add(struct mgr *mgr, struct box_call *c, struct pairs *d, struct rv_slice spelt)
{
    if (pairs_find(d, spelt) != NULL)
        return REEVE_OK;
    return pairs_add(mgr, c, d, spelt, (struct cell){0}, NULL);
}

static void encode_count(struct mgr *mgr, uint64_t count)
{
    rv_set_add_result_encode(&mgr->scratch, &(struct rv_set_add_result){count, 0});
}

static reeve_err no_references(struct box_call *c)
{
    for (uint32_t i = 0; i < c->values_len; i++)
        if (c->values[i].refs != NULL) {
            c->text = "a reference is no member of a set";
            return REEVE_EINVAL;
        }
    return REEVE_OK;
}

static reeve_err on_add(struct mgr *mgr, struct box_call *c)
{
    struct pairs *d = set_of(c);
    uint64_t before = pairs_len(d);
    reeve_err err = no_references(c);

    for (uint32_t i = 0; err == REEVE_OK && i < c->values_len; i++) {
        err = box_spell(mgr, cell_bytes(&c->values[i]), &c->text);
        if (err == REEVE_OK)
            err = add(mgr, c, d, rv_buf_slice(&mgr->key));
    }
    encode_count(mgr, pairs_len(d) - before);
    return err;
}

static reeve_err on_discard(struct mgr *mgr, struct box_call *c)
{
    struct pairs *d = set_of(c);
    struct rv_set_discard_args args;
    uint64_t before = pairs_len(d);
    reeve_err err = REEVE_OK;

    rv_assert(rv_set_discard_args_decode(&args, c->args));
    for (uint32_t i = 0; err == REEVE_OK && i < c->values_len; i++) {
        struct pair *p = NULL;

        err = box_spell(mgr, cell_bytes(&c->values[i]), &c->text);
        if (err == REEVE_OK)
            p = pairs_find(d, rv_buf_slice(&mgr->key));
        if (p != NULL && RV_MUTANT(SET_KEEPS)) {
            continue;
        } else if (p != NULL) {
            pairs_drop(mgr, d, p);
        } else if (err == REEVE_OK && args.strict) {
            c->text = "there is no such member";
            err = REEVE_EKEY;
        }
    }
    encode_count(mgr, before - pairs_len(d));
    return err;
}

/* Any member: the one that came last. */
static reeve_err on_pop(struct mgr *mgr, struct box_call *c)
{
    struct pairs *d = set_of(c);
    struct pair *p = d->order == NULL ? NULL : d->order->prev;

    if (p == NULL) {
        c->text = "the set is empty";
        return REEVE_EKEY;
    }
    rv_set_pop_result_encode(&mgr->scratch, &(struct rv_set_pop_result){.value = pair_key(p)});
    pairs_drop(mgr, d, p);
    return REEVE_OK;
}

/* Those that are in the other set, or those that are not, go. */
static void drop_where(struct mgr *mgr, struct pairs *d, const struct pairs *other, bool there)
{
    struct pair *p = NULL;
    struct pair *next = NULL;

    for (p = d->order; p != NULL; p = next) {
        next = p->next;
        if (has(other, p) == there)
            pairs_drop(mgr, d, p);
    }
}

static reeve_err add_all(struct mgr *mgr, struct box_call *c, struct pairs *d,
                         const struct pairs *other)
{
    const struct pair *p = NULL;
    reeve_err err = REEVE_OK;

    for (p = other->order; err == REEVE_OK && p != NULL; p = p->next)
        err = add(mgr, c, d, pair_key(p));
    return err;
}

/* d may be the other one: then all it has is in both. */
static reeve_err combine(struct mgr *mgr, struct box_call *c, struct pairs *d, uint8_t how,
                         const struct pairs *other)
{
    const struct pair *p = NULL;
    reeve_err err = REEVE_OK;

    switch ((enum rv_combine)how) {
    case RV_UNION:
        return d == other ? REEVE_OK : add_all(mgr, c, d, other);
    case RV_INTERSECTION:
        if (d != other)
            drop_where(mgr, d, other, false);
        return REEVE_OK;
    case RV_DIFFERENCE:
        if (d == other)
            pairs_clear(mgr, d);
        else
            drop_where(mgr, d, other, true);
        return REEVE_OK;
    case RV_SYMMETRIC:
        if (d == other)
            pairs_clear(mgr, d);
        for (p = d == other ? NULL : other->order; err == REEVE_OK && p != NULL; p = p->next) {
            struct pair *mine = pairs_find(d, pair_key(p));

            if (mine != NULL)
                pairs_drop(mgr, d, mine);
            else
                err = pairs_add(mgr, c, d, pair_key(p), (struct cell){0}, NULL);
        }
        return err;
    }
    c->text = "no such combination of sets";
    return REEVE_EINVAL;
}

static reeve_err on_update(struct mgr *mgr, struct box_call *c)
{
    struct rv_set_update_args args;
    struct other other;
    reeve_err err = REEVE_OK;

    rv_assert(rv_set_update_args_decode(&args, c->args));
    err = other_of(mgr, c, args.other, &other);
    if (err == REEVE_OK)
        err = no_references(c);
    if (err == REEVE_OK)
        err = combine(mgr, c, set_of(c), args.how, other.set);
    other_free(&other);
    encode_count(mgr, pairs_len(set_of(c)));
    return err;
}

/* A new set without a name, which the session holds. */
static reeve_err on_combine(struct mgr *mgr, struct box_call *c)
{
    const struct pairs *d = set_of(c);
    struct rv_set_combine_args args;
    struct object *made = NULL;
    struct other other;
    reeve_err err = REEVE_OK;

    rv_assert(rv_set_combine_args_decode(&args, c->args));
    err = other_of(mgr, c, args.other, &other);
    if (err == REEVE_OK)
        err = no_references(c);
    if (err == REEVE_OK)
        err = object_make(
            mgr, c->session,
            &(struct rv_object_open_args){.kind = RV_KIND_SET, .durable = d->box.object.durable},
            &made, &c->text);
    if (err == REEVE_OK)
        err = add_all(mgr, c, (struct pairs *)made, d);
    if (err == REEVE_OK)
        err = combine(mgr, c, (struct pairs *)made, args.how, other.set);
    other_free(&other);
    if (err == REEVE_OK)
        rv_set_combine_result_encode(
            &mgr->scratch,
            &(struct rv_set_combine_result){.object = made->id,
                                            .created = 1,
                                            .kind = RV_KIND_SET,
                                            .durable = mgr_reaches(mgr, made->durable)});
    else if (made != NULL)
        box_forget(mgr, c->session, made);
    return err;
}

static reeve_err apply(struct mgr *mgr, struct box_call *c)
{
    switch ((enum rv_op)c->op) {
    case RV_OP_set_add:
        return on_add(mgr, c);
    case RV_OP_set_discard:
        return on_discard(mgr, c);
    case RV_OP_set_pop:
        return on_pop(mgr, c);
    case RV_OP_set_clear:
        pairs_clear(mgr, set_of(c));
        return REEVE_OK;
    case RV_OP_set_update:
        return on_update(mgr, c);
    case RV_OP_set_combine:
        return on_combine(mgr, c);
    default:
        return REEVE_ETYPE;
    }
}

/* ---- questions ---- */

static reeve_err read_contains(struct mgr *mgr, struct box_call *c)
{
    struct rv_set_contains_args args;
    reeve_err err = REEVE_OK;
    bool there = false;

    rv_assert(rv_set_contains_args_decode(&args, c->args));
    err = box_spell(mgr, args.value, &c->text);
    if (err == REEVE_OK)
        there = pairs_find(set_of(c), rv_buf_slice(&mgr->key)) != NULL;
    rv_set_contains_result_encode(&mgr->scratch, &(struct rv_set_contains_result){there, 0});
    return err;
}

static reeve_err read_page(struct mgr *mgr, struct box_call *c)
{
    const struct pairs *d = set_of(c);
    struct rv_set_page_args args;
    const struct pair *p = NULL;
    reeve_err err = REEVE_OK;

    rv_assert(rv_set_page_args_decode(&args, c->args));
    err = pairs_begin(d, args.after, args.changes, &p);
    for (; err == REEVE_OK && p != NULL && !box_page_full(c); p = p->next)
        rv_assert(box_answer_bytes(mgr, c, pair_key(p), NULL));
    rv_set_page_result_encode(
        &mgr->scratch, &(struct rv_set_page_result){.changes = d->changes, .more = p != NULL});
    return err;
}

/* The other members of a question are an array. */
static reeve_err other_array(struct mgr *mgr, struct box_call *c, struct rv_slice values,
                             struct other *out)
{
    reeve_value *v = NULL;
    reeve_err err = rv_value_parse(&v, values);

    out->set = &out->own;
    rv_assert(err != REEVE_ENOMEM);
    if (err != REEVE_OK || rv_value_object(v)->type != MSGPACK_OBJECT_ARRAY) {
        c->text = "the other members are an array";
        err = REEVE_EINVAL;
    }
    for (uint32_t i = 0; err == REEVE_OK && i < rv_value_object(v)->via.array.size; i++) {
        err = box_spell_value(mgr, &rv_value_object(v)->via.array.ptr[i], &c->text);
        if (err == REEVE_OK)
            own_member(out, rv_buf_slice(&mgr->key));
    }
    rv_value_free(&v);
    return err;
}

static bool all_in(const struct pairs *d, const struct pairs *other, bool in)
{
    const struct pair *p = NULL;

    for (p = d->order; p != NULL; p = p->next)
        if (has(other, p) != in)
            return false;
    return true;
}

static bool compare(const struct pairs *d, const struct pairs *other, enum rv_compare what)
{
    bool same_len = pairs_len(d) == pairs_len(other);

    switch (what) {
    case RV_SUBSET:
        return all_in(d, other, true);
    case RV_SUPERSET:
        return all_in(other, d, true);
    case RV_DISJOINT:
        return all_in(d, other, false);
    case RV_SAME:
        return same_len && all_in(d, other, true);
    case RV_PROPER_SUBSET:
        return !same_len && all_in(d, other, true);
    case RV_PROPER_SUPERSET:
        return !same_len && all_in(other, d, true);
    }
    return false;
}

static reeve_err read_compare(struct mgr *mgr, struct box_call *c)
{
    const struct pairs *d = set_of(c);
    struct rv_set_compare_args args;
    struct other other = {0};
    bool so = false;
    reeve_err err = REEVE_OK;

    rv_assert(rv_set_compare_args_decode(&args, c->args));
    err = args.other != 0 ? other_set(c, args.other, &other)
                          : other_array(mgr, c, args.values, &other);
    if (err == REEVE_OK && args.what > RV_PROPER_SUPERSET) {
        c->text = "no such comparison of sets";
        err = REEVE_EINVAL;
    }
    if (err == REEVE_OK) {
        so = compare(d, other.set, (enum rv_compare)args.what);
    }
    other_free(&other);
    rv_set_compare_result_encode(&mgr->scratch, &(struct rv_set_compare_result){so, 0});
    return err;
}

static reeve_err read(struct mgr *mgr, struct box_call *c)
{
    const struct pairs *d = set_of(c);

    switch ((enum rv_op)c->op) {
    case RV_OP_set_contains:
        return read_contains(mgr, c);
    case RV_OP_set_page:
        return read_page(mgr, c);
    case RV_OP_set_compare:
        return read_compare(mgr, c);
    case RV_OP_set_len:
        rv_set_len_result_encode(&mgr->scratch, &(struct rv_set_len_result){
                                                    pairs_len(d), d->box.bytes, d->box.version, 0});
        return REEVE_OK;
    default:
        return REEVE_ETYPE;
    }
}

static const struct box_ops box_ops = {.apply = apply, .read = read, .wait = RV_OP_set_wait};

const struct object_ops set_ops = {PAIRS_OPS, .family = 7, .box = &box_ops};
