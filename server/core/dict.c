/* dict.c -- pairs of a key and a value. */

#include "server/core/dict.h"

#include "common/value/path.h"
#include "server/core/pairs.h"

static struct pairs *dict_of(const struct box_call *c)
{
    return (struct pairs *)c->box;
}

static reeve_err no_key(struct box_call *c)
{
    bool attribute = c->box->object.kind == RV_KIND_NAMESPACE;

    c->text = attribute ? "there is no such attribute" : "there is no such key";
    return attribute ? REEVE_EATTR : REEVE_EKEY;
}

/* MessagePack text begins so: fixstr, str 8, str 16, str 32. */
static bool is_text(struct rv_slice value)
{
    return value.len > 0 && ((value.data[0] >= 0xa0 && value.data[0] <= 0xbf) ||
                             (value.data[0] >= 0xd9 && value.data[0] <= 0xdb));
}

/* The pair of a key, which is in mgr->key then; *p is NULL when there is none. */
static reeve_err look(struct mgr *mgr, struct box_call *c, struct rv_slice key, struct pair **p)
{
    reeve_err err = box_spell(mgr, key, &c->text);

    *p = NULL;
    if (err != REEVE_OK)
        return err;
    if (c->box->object.kind == RV_KIND_NAMESPACE && !is_text(rv_buf_slice(&mgr->key))) {
        c->text = "the name of an attribute is a text";
        return REEVE_ETYPE;
    }
    *p = pairs_find(dict_of(c), rv_buf_slice(&mgr->key));
    return REEVE_OK;
}

/* The same for a key that must be there. */
static reeve_err need(struct mgr *mgr, struct box_call *c, struct rv_slice key, struct pair **p)
{
    reeve_err err = look(mgr, c, key, p);

    return err == REEVE_OK && *p == NULL ? no_key(c) : err;
}

/* The value for the key in mgr->key, of which there is p already, or not. */
static reeve_err set(struct mgr *mgr, struct box_call *c, struct pair **p, struct cell value)
{
    return *p == NULL ? pairs_add(mgr, c, dict_of(c), rv_buf_slice(&mgr->key), value, p)
                      : pairs_change(mgr, c, *p, value);
}

static reeve_err too_large(struct box_call *c)
{
    c->text = "the answer is too large";
    return REEVE_ETOOBIG;
}

/* ---- calls ---- */

/* Pairs, of which a later one of the same key counts. */
static reeve_err on_set(struct mgr *mgr, struct box_call *c)
{
    uint64_t came = 0;
    reeve_err err = REEVE_OK;

    if (c->values_len % 2 != 0) {
        c->text = "a key without a value";
        return REEVE_EINVAL;
    }
    for (uint32_t i = 0; err == REEVE_OK && i < c->values_len; i += 2) {
        struct pair *p = NULL;

        if (c->values[i].refs != NULL) {
            c->text = "a reference is no key";
            return REEVE_EINVAL;
        }
        err = look(mgr, c, cell_bytes(&c->values[i]), &p);
        came += err == REEVE_OK && p == NULL;
        if (err == REEVE_OK)
            err = set(mgr, c, &p, box_take(c, i + 1));
    }
    rv_dict_set_result_encode(&mgr->scratch, &(struct rv_dict_set_result){came, 0});
    return err;
}

static reeve_err on_setdefault(struct mgr *mgr, struct box_call *c)
{
    struct rv_dict_setdefault_args args;
    struct rv_dict_setdefault_result result = {0};
    struct pair *p = NULL;
    reeve_err err = REEVE_OK;

    rv_assert(rv_dict_setdefault_args_decode(&args, c->args));
    if (c->values_len != 1)
        return REEVE_EINVAL;
    err = look(mgr, c, args.key, &p);
    result.created = err == REEVE_OK && p == NULL;
    if (result.created)
        err = set(mgr, c, &p, box_take(c, 0));
    if (err != REEVE_OK)
        return err;
    result.version = p->version;
    rv_dict_setdefault_result_encode(&mgr->scratch, &result);
    return box_answer(mgr, c, &p->value) ? REEVE_OK : too_large(c);
}

static void encode_version(struct mgr *mgr, uint64_t version)
{
    rv_dict_get_result_encode(&mgr->scratch, &(struct rv_dict_get_result){.version = version});
}

/* dict_del, and dict_pop, which says what it was. */
static reeve_err on_drop(struct mgr *mgr, struct box_call *c)
{
    struct rv_dict_del_args args;
    struct pair *p = NULL;
    reeve_err err = REEVE_OK;

    rv_assert(rv_dict_del_args_decode(&args, c->args));
    err = need(mgr, c, args.key, &p);
    if (err != REEVE_OK)
        return err;
    if (c->op == RV_OP_dict_pop) {
        encode_version(mgr, p->version);
        if (!box_answer(mgr, c, &p->value))
            return too_large(c);
    }
    if (!RV_MUTANT(DICT_KEEPS))
        pairs_drop(mgr, dict_of(c), p);
    return REEVE_OK;
}

/* The pair whose key came last. */
static reeve_err on_popitem(struct mgr *mgr, struct box_call *c)
{
    struct pairs *d = dict_of(c);
    struct pair *p = d->order == NULL ? NULL : d->order->prev;

    if (p == NULL) {
        c->text = "the dict is empty";
        return REEVE_EKEY;
    }
    rv_dict_popitem_result_encode(&mgr->scratch,
                                  &(struct rv_dict_popitem_result){.key = pair_key(p)});
    if (!box_answer(mgr, c, &p->value))
        return too_large(c);
    pairs_drop(mgr, d, p);
    return REEVE_OK;
}

static reeve_err on_edit(struct mgr *mgr, struct box_call *c)
{
    struct rv_dict_edit_args args;
    struct cell made = {0};
    struct pair *p = NULL;
    reeve_err err = REEVE_OK;

    rv_assert(rv_dict_edit_args_decode(&args, c->args));
    err = look(mgr, c, args.key, &p);
    /* A key that is not there can be set, and counts from nothing; all else is changed. */
    if (err == REEVE_OK && p == NULL &&
        (!box_no_path(args.path) || (args.verb != RV_EDIT_SET && args.verb != RV_EDIT_ADD)))
        err = no_key(c);
    if (err == REEVE_OK)
        err = box_edited(mgr, c, p == NULL ? NULL : &p->value, args.verb, args.path, &made);
    if (err == REEVE_OK)
        err = set(mgr, c, &p, made);
    if (err != REEVE_OK)
        return err;
    encode_version(mgr, p->version);
    return args.verb == RV_EDIT_ADD ? box_answer_path(mgr, c, &p->value, args.path) : REEVE_OK;
}

static reeve_err on_cas(struct mgr *mgr, struct box_call *c)
{
    struct rv_dict_cas_args args;
    struct rv_dict_cas_result result = {0};
    struct pair *p = NULL;
    reeve_err err = REEVE_OK;

    rv_assert(rv_dict_cas_args_decode(&args, c->args));
    err = look(mgr, c, args.key, &p);
    if (err == REEVE_OK)
        err = box_cas(mgr, c, args.flags, p == NULL ? NULL : &p->value, &result.done);
    if (err != REEVE_OK)
        return err;
    if (result.done && (args.flags & RV_CAS_DELETE)) {
        if (p != NULL)
            pairs_drop(mgr, dict_of(c), p);
    } else if (result.done && !(args.flags & RV_CAS_ONLY)) {
        err = set(mgr, c, &p, box_take(c, c->values_len - 1));
        result.version = err == REEVE_OK ? p->version : 0;
    } else if (p != NULL) {
        result.version = p->version;
    }
    rv_dict_cas_result_encode(&mgr->scratch, &result);
    return err;
}

static reeve_err on_get(struct mgr *mgr, struct box_call *c)
{
    struct rv_dict_get_args args;
    struct pair *p = NULL;
    reeve_err err = REEVE_OK;

    rv_assert(rv_dict_get_args_decode(&args, c->args));
    err = need(mgr, c, args.key, &p);
    if (err != REEVE_OK)
        return err;
    encode_version(mgr, p->version);
    return box_answer_path(mgr, c, &p->value, args.path);
}

static reeve_err apply(struct mgr *mgr, struct box_call *c)
{
    switch ((enum rv_op)c->op) {
    case RV_OP_dict_set:
        return on_set(mgr, c);
    case RV_OP_dict_setdefault:
        return on_setdefault(mgr, c);
    case RV_OP_dict_del:
    case RV_OP_dict_pop:
        return on_drop(mgr, c);
    case RV_OP_dict_popitem:
        return on_popitem(mgr, c);
    case RV_OP_dict_clear:
        pairs_clear(mgr, dict_of(c));
        return REEVE_OK;
    case RV_OP_dict_fetch:
        return on_get(mgr, c);
    case RV_OP_dict_edit:
        return on_edit(mgr, c);
    case RV_OP_dict_cas:
        return on_cas(mgr, c);
    default:
        return REEVE_ETYPE;
    }
}

/* ---- questions ---- */

static reeve_err read_page(struct mgr *mgr, struct box_call *c)
{
    const struct pairs *d = dict_of(c);
    struct rv_dict_page_args args;
    const struct pair *p = NULL;
    reeve_err err = REEVE_OK;

    rv_assert(rv_dict_page_args_decode(&args, c->args));
    err = pairs_begin(d, args.after, args.changes, &p);
    for (; err == REEVE_OK && p != NULL && !box_page_full(c); p = p->next) {
        rv_assert(box_answer_bytes(mgr, c, pair_key(p), NULL));
        rv_assert(box_answer(mgr, c, &p->value));
    }
    rv_dict_page_result_encode(
        &mgr->scratch, &(struct rv_dict_page_result){.changes = d->changes, .more = p != NULL});
    return err;
}

static reeve_err read_contains(struct mgr *mgr, struct box_call *c)
{
    struct rv_dict_contains_args args;
    struct pair *p = NULL;
    reeve_err err = REEVE_OK;

    rv_assert(rv_dict_contains_args_decode(&args, c->args));
    err = look(mgr, c, args.key, &p);
    rv_dict_contains_result_encode(&mgr->scratch, &(struct rv_dict_contains_result){p != NULL, 0});
    return err;
}

static reeve_err read(struct mgr *mgr, struct box_call *c)
{
    const struct pairs *d = dict_of(c);

    switch ((enum rv_op)c->op) {
    case RV_OP_dict_get:
        return on_get(mgr, c);
    case RV_OP_dict_contains:
        return read_contains(mgr, c);
    case RV_OP_dict_page:
        return read_page(mgr, c);
    case RV_OP_dict_len:
        rv_dict_len_result_encode(
            &mgr->scratch,
            &(struct rv_dict_len_result){pairs_len(d), d->box.bytes, d->box.version, 0});
        return REEVE_OK;
    default:
        return REEVE_ETYPE;
    }
}

static uint64_t version(struct mgr *mgr, const struct box *box, struct rv_slice key)
{
    const struct pair *p = pairs_find((const struct pairs *)box, key);

    (void)mgr;
    return p == NULL ? 0 : p->version;
}

static const struct box_ops box_ops = {
    .apply = apply, .read = read, .version = version, .wait = RV_OP_dict_wait};

const struct object_ops dict_ops = {PAIRS_OPS, .family = 5, .box = &box_ops};
