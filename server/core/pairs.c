#include "server/core/pairs.h"

#include "server/core/quota.h"

struct pair *pairs_find(const struct pairs *d, struct rv_slice key)
{
    struct pair *p = NULL;

    HASH_FIND(hh, d->table, key.data, key.len, p);
    return p;
}

uint64_t pairs_len(const struct pairs *d)
{
    return HASH_COUNT(d->table);
}

static struct pair *pair_new(struct rv_slice key, struct cell value)
{
    struct pair *p = rv_alloc(sizeof *p + key.len);

    p->value = value;
    p->key_len = (uint32_t)key.len;
    memcpy(p->key, key.data, key.len);
    return p;
}

/* next: before which it comes; NULL: at the end. */
static void link_in(struct pairs *d, struct pair *p, struct pair *next)
{
    HASH_ADD_KEYPTR(hh, d->table, p->key, p->key_len, p);
    if (next == NULL)
        DL_APPEND(d->order, p);
    else
        DL_PREPEND_ELEM(d->order, next, p);
}

static void link_out(struct pairs *d, struct pair *p)
{
    HASH_DELETE(hh, d->table, p);
    DL_DELETE(d->order, p);
}

static uint64_t size_of(const struct pair *p)
{
    return p->key_len + (uint64_t)cell_bytes(&p->value).len;
}

static void pair_free(struct mgr *mgr, struct pair *p)
{
    cell_drop(mgr, &p->value);
    free(p);
}

/* ---- changes ---- */

struct pair_undo {
    struct undo undo;
    struct pair *pair;
    struct pair *next;  /* of one that went */
    struct cell value;  /* before */
    uint64_t version;   /* before, of the pair */
    uint64_t changes;   /* before */
    struct pair *table; /* of all that went */
};

static struct pairs *pairs_of(const struct undo *u)
{
    return (struct pairs *)u->box;
}

static void back_added(struct mgr *mgr, struct undo *undo)
{
    struct pair_undo *u = (struct pair_undo *)undo;
    struct pairs *d = pairs_of(undo);

    box_count(mgr, &d->box, 0, size_of(u->pair));
    if (RV_MUTANT(UNDO_COUNTED))
        quota_add(mgr, d->box.object.owner, RV_QUOTA_BYTES, size_of(u->pair));
    d->changes = u->changes;
    link_out(d, u->pair);
    pair_free(mgr, u->pair);
}

reeve_err pairs_add(struct mgr *mgr, struct box_call *c, struct pairs *d, struct rv_slice key,
                    struct cell value, struct pair **out)
{
    uint64_t more = key.len + cell_bytes(&value).len;
    reeve_err err = box_allows(mgr, &d->box, more, &c->text);
    struct pair_undo *u = NULL;

    if (err != REEVE_OK) {
        cell_drop(mgr, &value);
        return err;
    }
    u = rv_alloc(sizeof *u);
    u->changes = d->changes++;
    u->pair = pair_new(key, value);
    box_made(mgr, sizeof *u->pair + key.len);
    link_in(d, u->pair, NULL);
    box_count(mgr, &d->box, more, 0);
    box_changed(mgr, &d->box, &u->undo, back_added, NULL);
    u->pair->version = d->box.version;
    if (out != NULL)
        *out = u->pair;
    return REEVE_OK;
}

static void back_changed(struct mgr *mgr, struct undo *undo)
{
    struct pair_undo *u = (struct pair_undo *)undo;

    box_count(mgr, undo->box, cell_bytes(&u->value).len, cell_bytes(&u->pair->value).len);
    cell_drop(mgr, &u->pair->value);
    u->pair->value = u->value;
    u->pair->version = u->version;
}

static void done_changed(struct mgr *mgr, struct undo *undo)
{
    cell_drop(mgr, &((struct pair_undo *)undo)->value);
}

reeve_err pairs_change(struct mgr *mgr, struct box_call *c, struct pair *p, struct cell value)
{
    uint64_t now = cell_bytes(&value).len;
    uint64_t was = cell_bytes(&p->value).len;
    reeve_err err = box_allows(mgr, c->box, now > was ? now - was : 0, &c->text);
    struct pair_undo *u = NULL;

    if (err != REEVE_OK) {
        cell_drop(mgr, &value);
        return err;
    }
    u = rv_alloc(sizeof *u);
    u->pair = p;
    u->value = p->value;
    u->version = p->version;
    p->value = value;
    box_count(mgr, c->box, now, was);
    box_changed(mgr, c->box, &u->undo, back_changed, done_changed);
    p->version = c->box->version;
    return REEVE_OK;
}

static void back_dropped(struct mgr *mgr, struct undo *undo)
{
    struct pair_undo *u = (struct pair_undo *)undo;
    struct pairs *d = pairs_of(undo);

    link_in(d, u->pair, RV_MUTANT(UNDO_TO_TAIL) ? NULL : u->next);
    d->changes = u->changes;
    box_count(mgr, &d->box, size_of(u->pair), 0);
}

static void done_dropped(struct mgr *mgr, struct undo *undo)
{
    pair_free(mgr, ((struct pair_undo *)undo)->pair);
}

void pairs_drop(struct mgr *mgr, struct pairs *d, struct pair *p)
{
    struct pair_undo *u = rv_alloc(sizeof *u);

    u->pair = p;
    u->next = p->next;
    u->changes = d->changes++;
    link_out(d, p);
    box_count(mgr, &d->box, 0, size_of(p));
    box_changed(mgr, &d->box, &u->undo, back_dropped, done_dropped);
}

static void free_all(struct mgr *mgr, struct pair *table, struct pair *order)
{
    HASH_CLEAR(hh, table);
    while (order != NULL) {
        struct pair *p = order;

        order = p->next;
        pair_free(mgr, p);
    }
}

static void back_cleared(struct mgr *mgr, struct undo *undo)
{
    struct pair_undo *u = (struct pair_undo *)undo;
    struct pairs *d = pairs_of(undo);
    struct pair *p = NULL;

    d->table = u->table;
    d->order = u->pair;
    d->changes = u->changes;
    for (p = d->order; p != NULL; p = p->next)
        box_count(mgr, &d->box, size_of(p), 0);
}

static void done_cleared(struct mgr *mgr, struct undo *undo)
{
    struct pair_undo *u = (struct pair_undo *)undo;

    free_all(mgr, u->table, u->pair);
}

void pairs_clear(struct mgr *mgr, struct pairs *d)
{
    struct pair_undo *u = NULL;

    if (d->order == NULL)
        return;
    u = rv_alloc(sizeof *u);
    u->table = d->table;
    u->pair = d->order;
    u->changes = d->changes;
    d->changes += pairs_len(d);
    d->table = d->order = NULL;
    box_count(mgr, &d->box, 0, d->box.bytes);
    box_changed(mgr, &d->box, &u->undo, back_cleared, done_cleared);
}

/* ---- pages ---- */

/* The key behind which to go on is there as long as no key came or went. */
reeve_err pairs_begin(const struct pairs *d, struct rv_slice after, uint64_t changes,
                      const struct pair **p)
{
    *p = d->order;
    if (after.len == 0)
        return REEVE_OK;
    *p = pairs_find(d, after);
    if (*p == NULL || changes != d->changes)
        return REEVE_ECHANGED;
    *p = (*p)->next;
    return REEVE_OK;
}

/* ---- as an object ---- */

const char *pairs_refuse(const struct rv_object_open_args *args)
{
    return args->maxsize != 0    ? "it has no number"
           : args->typecode != 0 ? "only arrays and values have a typecode"
                                 : NULL;
}

struct object *pairs_create_empty(void)
{
    struct pairs *d = rv_alloc(sizeof *d);

    return &d->box.object;
}

struct object *pairs_create(struct mgr *mgr, const struct rv_object_open_args *args)
{
    struct object *o = pairs_create_empty();

    (void)mgr;
    box_init((struct box *)o, args);
    return o;
}

static void drop_all(struct mgr *mgr, struct pairs *d)
{
    free_all(mgr, d->table, d->order);
    d->table = d->order = NULL;
    box_count(mgr, &d->box, 0, d->box.bytes);
}

void pairs_removed(struct mgr *mgr, struct object *o)
{
    box_removed(mgr, (struct box *)o);
    drop_all(mgr, (struct pairs *)o);
}

void pairs_free(struct mgr *mgr, struct object *o)
{
    drop_all(mgr, (struct pairs *)o);
    free(o);
}

void pairs_row(const struct object *o, struct rv_object_row *out)
{
    const struct pairs *d = (const struct pairs *)o;

    box_row(&d->box, out);
    out->size = pairs_len(d);
}

void pairs_check(const struct object *o)
{
    const struct pairs *d = (const struct pairs *)o;
    const struct pair *p = NULL;
    uint64_t bytes = 0;
    uint64_t len = 0;

    for (p = d->order; p != NULL; p = p->next) {
        bytes += size_of(p);
        len++;
        rv_assert(pairs_find(d, pair_key(p)) == p && p->version <= d->box.version);
    }
    rv_assert(bytes == d->box.bytes && len == pairs_len(d));
    rv_assert(!o->removed || d->order == NULL);
}

/* ---- in a snapshot ---- */

void pairs_save(const struct object *o, struct saver *out)
{
    const struct pairs *d = (const struct pairs *)o;
    const struct pair *p = NULL;

    box_save(&d->box, out);
    save_number(out, d->changes, 8);
    if (RV_MUTANT(DICT_UNSAVED)) {
        save_number(out, 0, 8);
        return;
    }
    save_number(out, pairs_len(d), 8);
    for (p = d->order; p != NULL; p = p->next) {
        save_bytes(out, pair_key(p));
        save_number(out, p->version, 8);
        save_number(out, p->value.body != NULL, 1);
        if (p->value.body != NULL)
            cell_save(out, &p->value);
    }
}

/* What it counts for its owner is counted when all is loaded. */
void pairs_load(struct mgr *mgr, struct object *o, struct rv_reader *in)
{
    struct pairs *d = (struct pairs *)o;
    uint64_t count = 0;

    box_load(mgr, &d->box, in);
    d->changes = rv_read_number(in, 8);
    for (count = rv_read_number(in, 8); count > 0 && !in->bad; count--) {
        struct rv_slice key = load_bytes(in);
        uint64_t version = rv_read_number(in, 8);
        bool has = rv_read_number(in, 1) != 0;
        struct cell value = {0};
        struct pair *p = NULL;

        if (in->bad || key.len == 0 || has != (o->kind != RV_KIND_SET) ||
            pairs_find(d, key) != NULL || (has && !cell_load(&d->box, in, &value))) {
            in->bad = true;
            return;
        }
        p = pair_new(key, value);
        p->version = version;
        link_in(d, p, NULL);
        d->box.bytes += size_of(p);
    }
}
