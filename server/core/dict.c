/* dict.c -- pairs of a key and a value. */

#include "server/core/dict.h"

#include "common/value/key.h"
#include "common/value/value.h"
#include "server/core/object.h"
#include "server/core/quota.h"
#include "server/core/save.h"
#include "server/core/session.h"

struct pair {
    UT_hash_handle hh; /* in its dict, by key */
    uint8_t *value;
    uint32_t value_len;
    uint32_t key_len;
    uint8_t key[];
};

struct dict {
    struct object object; /* first: a dict is an object */
    struct pair *pairs;
    uint64_t bytes;
    uint64_t changes; /* keys that came and went */
};

static struct rv_slice key_of(const struct pair *p)
{
    return rv_slice(p->key, p->key_len);
}

static struct rv_slice value_of(const struct pair *p)
{
    return rv_slice(p->value, p->value_len);
}

static struct pair *find(const struct dict *d, struct rv_slice key)
{
    struct pair *p = NULL;

    HASH_FIND(hh, d->pairs, key.data, key.len, p);
    return p;
}

/* ---- changes ---- */

static void count_in(struct mgr *mgr, struct dict *d, uint64_t bytes)
{
    d->bytes += bytes;
    quota_add(mgr, d->object.owner, RV_QUOTA_BYTES, bytes);
}

static void count_out(struct mgr *mgr, struct dict *d, uint64_t bytes)
{
    d->bytes -= bytes;
    quota_drop(mgr, d->object.owner, RV_QUOTA_BYTES, bytes);
}

static uint8_t *copy_of(struct rv_slice bytes)
{
    uint8_t *copy = rv_alloc(bytes.len);

    memcpy(copy, bytes.data, bytes.len);
    return copy;
}

static void add(struct dict *d, struct rv_slice key, struct rv_slice value)
{
    struct pair *p = rv_alloc(sizeof *p + key.len);

    p->value = copy_of(value);
    p->value_len = (uint32_t)value.len;
    p->key_len = (uint32_t)key.len;
    memcpy(p->key, key.data, key.len);
    HASH_ADD_KEYPTR(hh, d->pairs, p->key, p->key_len, p);
}

static void change(struct mgr *mgr, struct dict *d, struct pair *p, struct rv_slice value)
{
    count_out(mgr, d, p->value_len);
    free(p->value);
    p->value = copy_of(value);
    p->value_len = (uint32_t)value.len;
    count_in(mgr, d, p->value_len);
}

static void drop(struct mgr *mgr, struct dict *d, struct pair *p)
{
    count_out(mgr, d, (uint64_t)p->key_len + p->value_len);
    d->changes++;
    HASH_DELETE(hh, d->pairs, p);
    free(p->value);
    free(p);
}

static void drop_all(struct mgr *mgr, struct dict *d)
{
    while (d->pairs != NULL)
        drop(mgr, d, d->pairs);
}

/* ---- calls ---- */

/* The spelling of a key, into mgr->items. On an error *text may say more than its own words. */
static reeve_err spell(struct mgr *mgr, struct rv_slice bytes, const char **text)
{
    reeve_value *v = NULL;
    reeve_err err = REEVE_EINVAL;

    rv_buf_clear(&mgr->items);
    if (bytes.len > RV_LIMIT_DICT_KEY_BYTES) {
        *text = "a key of a dict has at most 1024 bytes";
        return REEVE_ETOOBIG;
    }
    err = rv_value_parse(&v, bytes);
    if (err == REEVE_OK)
        err = rv_value_key(&mgr->items, rv_value_object(v));
    rv_value_free(&v);
    rv_assert(err !=
              REEVE_ENOMEM); /* a step that fails here and not in a replay would be another */
    *text = err == REEVE_EPROTO   ? "the key is not one value"
            : err == REEVE_EINVAL ? "no NaN, and no map that has a key twice, is a key"
                                  : NULL;
    if (err == REEVE_OK && mgr->items.len > RV_LIMIT_DICT_KEY_BYTES) {
        *text = "a key of a dict has at most 1024 bytes";
        return REEVE_ETOOBIG;
    }
    return err == REEVE_EPROTO ? REEVE_EINVAL : err;
}

static void answer(struct mgr *mgr, const struct incoming *in)
{
    mgr_reply(mgr, in->session, in->number, REEVE_OK, NULL, rv_buf_slice(&mgr->scratch), NULL, 0);
}

static const char no_key[] = "there is no such key";

/* May the dict have this value for the key, of which it has p already? */
static reeve_err refuse_value(struct mgr *mgr, const struct dict *d, const struct pair *p,
                              struct rv_slice key, struct rv_slice value, const char **text)
{
    uint64_t more = p == NULL                  ? key.len + value.len
                    : value.len > p->value_len ? value.len - p->value_len
                                               : 0;

    if (value.len > RV_LIMIT_DICT_VALUE_BYTES) {
        *text = "a value of a dict has at most 64 KiB";
        return REEVE_ETOOBIG;
    }
    if (!rv_value_valid(value)) {
        *text = "the value is not one value";
        return REEVE_EINVAL;
    }
    if (more > 0 && !quota_allows(mgr, d->object.owner, RV_QUOTA_BYTES, more)) {
        *text = quota_text(mgr, d->object.owner, RV_QUOTA_BYTES);
        return REEVE_EQUOTA;
    }
    return REEVE_OK;
}

/* dict_set, and dict_setdefault, which leaves a key that is there as it is. */
static void on_set(struct mgr *mgr, struct dict *d, const struct incoming *in)
{
    bool keep = in->msg->op == RV_OP_dict_setdefault;
    struct rv_dict_set_args args;
    const char *text = NULL;
    struct pair *p = NULL;
    struct rv_slice key;
    reeve_err err = REEVE_OK;

    rv_assert(rv_dict_set_args_decode(&args, in->msg->args));
    err = spell(mgr, args.key, &text);
    key = rv_buf_slice(&mgr->items);
    if (err == REEVE_OK) {
        p = find(d, key);
        if (p == NULL || !keep)
            err = refuse_value(mgr, d, p, key, args.value, &text);
    }
    if (err != REEVE_OK) {
        if (err == REEVE_EQUOTA)
            mgr_refused(mgr, in->session, in->msg, err);
        mgr_reply_text(mgr, in->session, in->number, err, text);
        return;
    }
    rv_buf_clear(&mgr->scratch);
    if (keep)
        rv_dict_setdefault_result_encode(
            &mgr->scratch,
            &(struct rv_dict_setdefault_result){.created = p == NULL,
                                                .value = p == NULL ? args.value : value_of(p)});
    if (p == NULL) {
        add(d, key, args.value);
        d->changes++;
        count_in(mgr, d, key.len + args.value.len);
    } else if (!keep) {
        change(mgr, d, p, args.value);
    }
    answer(mgr, in);
}

/* dict_del, and dict_pop, which says what it was. */
static void on_drop(struct mgr *mgr, struct dict *d, const struct incoming *in)
{
    struct rv_dict_del_args args;
    const char *text = NULL;
    struct pair *p = NULL;
    reeve_err err = REEVE_OK;

    rv_assert(rv_dict_del_args_decode(&args, in->msg->args));
    err = spell(mgr, args.key, &text);
    if (err == REEVE_OK) {
        p = find(d, rv_buf_slice(&mgr->items));
        if (p == NULL) {
            err = REEVE_ENOENT;
            text = no_key;
        }
    }
    if (err != REEVE_OK) {
        mgr_reply_text(mgr, in->session, in->number, err, text);
        return;
    }
    rv_buf_clear(&mgr->scratch);
    if (in->msg->op == RV_OP_dict_pop)
        rv_dict_pop_result_encode(&mgr->scratch, &(struct rv_dict_pop_result){value_of(p), 0});
    if (!RV_MUTANT(DICT_KEEPS))
        drop(mgr, d, p);
    answer(mgr, in);
}

/* The pair whose key came last. */
static void on_popitem(struct mgr *mgr, struct dict *d, const struct incoming *in)
{
    struct pair *p = NULL;

    if (d->pairs == NULL) {
        mgr_reply_text(mgr, in->session, in->number, REEVE_ENOENT, "the dict is empty");
        return;
    }
    p = ELMT_FROM_HH(d->pairs->hh.tbl, d->pairs->hh.tbl->tail);
    rv_buf_clear(&mgr->scratch);
    rv_dict_popitem_result_encode(
        &mgr->scratch, &(struct rv_dict_popitem_result){.key = key_of(p), .value = value_of(p)});
    drop(mgr, d, p);
    answer(mgr, in);
}

static void on_call(struct mgr *mgr, struct object *o, struct ref *ref, const struct incoming *in)
{
    struct dict *d = (struct dict *)o;
    bool tells = in->msg->op == RV_OP_dict_pop || in->msg->op == RV_OP_dict_popitem ||
                 in->msg->op == RV_OP_dict_setdefault;

    if (tells && !(ref->rights & RIGHT_BIT(RV_RIGHT_GET))) {
        mgr_refused(mgr, in->session, in->msg, REEVE_EPERM);
        mgr_reply_text(mgr, in->session, in->number, REEVE_EPERM,
                       "the answer tells a value, and the key has no right get on this name");
        return;
    }
    switch ((enum rv_op)in->msg->op) {
    case RV_OP_dict_set:
    case RV_OP_dict_setdefault:
        on_set(mgr, d, in);
        return;
    case RV_OP_dict_del:
    case RV_OP_dict_pop:
        on_drop(mgr, d, in);
        return;
    case RV_OP_dict_popitem:
        on_popitem(mgr, d, in);
        return;
    case RV_OP_dict_clear:
        drop_all(mgr, d);
        mgr_reply_text(mgr, in->session, in->number, REEVE_OK, NULL);
        return;
    default:
        mgr_reply_text(mgr, in->session, in->number, REEVE_ETYPE, NULL);
    }
}

/* ---- reads ---- */

static reeve_err read_key(struct mgr *mgr, const struct dict *d, const struct rv_read *msg,
                          const char **text)
{
    bool asks = msg->op == RV_OP_dict_contains;
    struct rv_dict_get_args args;
    const struct pair *p = NULL;
    reeve_err err = REEVE_OK;

    rv_assert(rv_dict_get_args_decode(&args, msg->args));
    err = spell(mgr, args.key, text);
    if (err != REEVE_OK)
        return err;
    p = find(d, rv_buf_slice(&mgr->items));
    if (asks)
        rv_dict_contains_result_encode(&mgr->scratch,
                                       &(struct rv_dict_contains_result){p != NULL, 0});
    if (asks || p != NULL) {
        if (!asks)
            rv_dict_get_result_encode(&mgr->scratch, &(struct rv_dict_get_result){value_of(p), 0});
        return REEVE_OK;
    }
    *text = no_key;
    return REEVE_ENOENT;
}

static void add_pair(struct rv_buf *rows, const struct pair *p)
{
    size_t start = rows->len;

    rv_write_number(rows, 0, 4);
    rv_dict_row_encode(rows, &(struct rv_dict_row){.key = key_of(p), .value = value_of(p)});
    rv_set_number(rows->data + start, rows->len - start - 4, 4);
}

/* The key behind which to go on is there as long as no key came or went. */
static reeve_err read_page(struct mgr *mgr, const struct dict *d, const struct rv_read *msg)
{
    struct rv_dict_page_args args;
    struct rv_dict_page_result page = {.changes = d->changes};
    const struct pair *p = d->pairs;
    struct rv_buf rows = {0};

    rv_assert(rv_dict_page_args_decode(&args, msg->args));
    if (args.after.len > 0) {
        p = find(d, args.after);
        if (p == NULL || args.changes != d->changes)
            return REEVE_ECHANGED;
        p = p->hh.next;
    }
    for (; p != NULL && page.count < RV_LIMIT_LIST_ROWS && rows.len < RV_LIMIT_DICT_PAGE_BYTES;
         p = p->hh.next) {
        add_pair(&rows, p);
        page.count++;
    }
    page.more = p != NULL;
    page.rows = rv_buf_slice(&rows);
    rv_dict_page_result_encode(&mgr->scratch, &page);
    rv_buf_free(&rows);
    return REEVE_OK;
}

void dict_on_read(struct mgr *mgr, struct session *s, const struct rv_read *msg)
{
    const struct ref *ref = session_ref(s, msg->object);
    const struct dict *d = ref == NULL ? NULL : (const struct dict *)ref->object;
    const char *text = NULL;
    reeve_err err = ref == NULL                             ? REEVE_ENOENT
                    : ref->object->removed                  ? REEVE_EGONE
                    : ref->object->kind != RV_KIND_DICT     ? REEVE_ETYPE
                    : ref->rights & RIGHT_BIT(RV_RIGHT_GET) ? REEVE_OK
                                                            : REEVE_EPERM;

    rv_buf_clear(&mgr->scratch);
    if (err == REEVE_OK && msg->op == RV_OP_dict_len)
        rv_dict_len_result_encode(&mgr->scratch,
                                  &(struct rv_dict_len_result){HASH_COUNT(d->pairs), d->bytes, 0});
    else if (err == REEVE_OK && msg->op == RV_OP_dict_page)
        err = read_page(mgr, d, msg);
    else if (err == REEVE_OK)
        err = read_key(mgr, d, msg, &text);
    mgr_answer(mgr, s, msg->id, err, text,
               err == REEVE_OK ? rv_buf_slice(&mgr->scratch) : rv_slice(NULL, 0));
}

/* ---- as an object ---- */

uint64_t dict_bytes(const struct object *o)
{
    return ((const struct dict *)o)->bytes;
}

static void drop_ref(struct mgr *mgr, struct ref *ref, bool died)
{
    (void)mgr;
    (void)ref;
    (void)died;
}

static void removed(struct mgr *mgr, struct object *o)
{
    drop_all(mgr, (struct dict *)o);
}

static const char *refuse_open(const struct rv_object_open_args *args)
{
    return args->maxsize == 0 ? NULL : "a dict has no number";
}

static struct object *create_empty(void)
{
    struct dict *d = rv_alloc(sizeof *d);

    return &d->object;
}

static struct object *create(struct mgr *mgr, const struct rv_object_open_args *args)
{
    (void)mgr;
    (void)args;
    return create_empty();
}

static bool fits(const struct object *o, const struct rv_object_open_args *args)
{
    (void)o;
    return args->maxsize == 0;
}

static void free_dict(struct mgr *mgr, struct object *o)
{
    drop_all(mgr, (struct dict *)o);
    free(o);
}

static void row(const struct object *o, struct rv_object_row *out)
{
    const struct dict *d = (const struct dict *)o;

    out->size = HASH_COUNT(d->pairs);
    out->bytes = d->bytes;
}

static void check(const struct object *o)
{
    const struct dict *d = (const struct dict *)o;
    const struct pair *p = NULL;
    uint64_t bytes = 0;

    for (p = d->pairs; p != NULL; p = p->hh.next)
        bytes += (uint64_t)p->key_len + p->value_len;
    rv_assert(bytes == d->bytes);
    rv_assert(!o->removed || d->pairs == NULL);
}

/* ---- in a snapshot ---- */

static void save(const struct object *o, struct saver *out)
{
    const struct dict *d = (const struct dict *)o;
    const struct pair *p = NULL;

    save_number(out, d->changes, 8);
    if (RV_MUTANT(DICT_UNSAVED)) {
        save_number(out, 0, 8);
        return;
    }
    save_number(out, HASH_COUNT(d->pairs), 8);
    for (p = d->pairs; p != NULL; p = p->hh.next) {
        save_bytes(out, key_of(p));
        save_bytes(out, value_of(p));
    }
}

/* What it counts for its owner is counted when all is loaded. */
static void load(struct mgr *mgr, struct object *o, struct rv_reader *in)
{
    struct dict *d = (struct dict *)o;
    uint64_t count = 0;

    (void)mgr;
    d->changes = rv_read_number(in, 8);
    for (count = rv_read_number(in, 8); count > 0 && !in->bad; count--) {
        struct rv_slice key = load_bytes(in);
        struct rv_slice value = load_bytes(in);

        if (in->bad || key.len == 0 || value.len == 0 || find(d, key) != NULL) {
            in->bad = true;
            return;
        }
        add(d, key, value);
        d->bytes += key.len + value.len;
    }
}

const struct object_ops dict_ops = {
    .family = 5,
    .fits = fits,
    .refuse = refuse_open,
    .create = create,
    .call = on_call,
    .drop_ref = drop_ref,
    .removed = removed,
    .free = free_dict,
    .row = row,
    .check = check,
    .create_empty = create_empty,
    .save = save,
    .load = load,
};
