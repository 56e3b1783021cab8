#include "server/core/carry.h"
#include "server/core/session.h"

static struct object *object_of(const struct mgr *mgr, uint64_t id)
{
    struct object *o = NULL;

    HASH_FIND(by_id, mgr->objects, &id, sizeof id, o);
    return o;
}

bool carry_allowed(const struct session *s, struct rv_slice refs)
{
    for (size_t i = 0; i < refs.len / 8; i++) {
        const struct ref *ref = session_ref(s, rv_item_ref(refs, i));

        if (ref == NULL || ref->object->kind == RV_KIND_JOB || ref->object->kind == RV_KIND_AGENT)
            return false;
    }
    return true;
}

static struct carried *carried_new(struct object *holder, uint32_t len)
{
    struct carried *c = rv_alloc(sizeof *c + len * sizeof c->to[0]);

    c->holder = holder;
    c->len = len;
    DL_APPEND(holder->carries, c);
    return c;
}

struct carried *carry(struct mgr *mgr, struct object *holder, struct rv_slice refs)
{
    struct carried *c = refs.len == 0 ? NULL : carried_new(holder, (uint32_t)(refs.len / 8));

    for (size_t i = 0; i < refs.len / 8; i++) {
        struct object *o = object_of(mgr, rv_item_ref(refs, i));

        rv_assert(o != NULL);
        c->to[i] = o->id;
        o->nested += !RV_MUTANT(REF_UNCOUNTED);
        rv_heap_cancel(&mgr->heap, &o->timer);
    }
    return c;
}

bool carried_has(const struct carried *c, uint64_t object)
{
    for (uint32_t i = 0; c != NULL && i < c->len; i++)
        if (c->to[i] == object)
            return true;
    return false;
}

bool carry_has(const struct object *holder, uint64_t object)
{
    const struct carried *c = NULL;

    DL_FOREACH (holder->carries, c) {
        if (carried_has(c, object))
            return true;
    }
    return false;
}

void carry_move(struct carried *c, struct object *holder)
{
    if (c == NULL)
        return;
    DL_DELETE(c->holder->carries, c);
    c->holder = holder;
    DL_APPEND(holder->carries, c);
}

static void give(struct mgr *mgr, struct session *s, uint64_t object)
{
    struct object *o = object_of(mgr, object);
    struct ref *ref = NULL;

    if (o == NULL || RV_MUTANT(REF_NOT_GIVEN))
        return;
    ref = object_row(mgr, s, o);
    ref->liens++;
    ref->given = true;
    object_judge(ref, mgr_principal(mgr, s->principal));
}

void carry_give(struct mgr *mgr, struct session *s, const struct carried *c)
{
    for (uint32_t i = 0; c != NULL && i < c->len; i++)
        give(mgr, s, c->to[i]);
}

void carry_give_refs(struct mgr *mgr, struct session *s, struct rv_slice refs)
{
    for (size_t i = 0; i < refs.len / 8; i++)
        give(mgr, s, rv_item_ref(refs, i));
}

void carry_drop(struct mgr *mgr, struct carried **carried)
{
    struct carried *c = *carried;

    if (c == NULL)
        return;
    *carried = NULL;
    DL_DELETE(c->holder->carries, c);
    for (uint32_t i = 0; i < c->len; i++) {
        struct object *o = object_of(mgr, c->to[i]);

        if (o == NULL) /* everything ends, in whatever order */
            continue;
        rv_assert(o->nested > 0 || RV_MUTANT(REF_UNCOUNTED));
        if (!RV_MUTANT(REF_LEAKED) && !RV_MUTANT(REF_UNCOUNTED))
            o->nested--;
        carry_loosen(mgr, o);
    }
    free(c);
}

struct rv_slice carry_wire(const struct carried *c, uint8_t out[static CARRY_BYTES])
{
    size_t len = c == NULL ? 0 : c->len;

    rv_assert(len * 8 <= CARRY_BYTES);
    for (size_t i = 0; i < len; i++)
        rv_set_number(out + i * 8, c->to[i], 8);
    return rv_slice(out, len * 8);
}

/* ---- what lost its last reference ---- */

void carry_loosen(struct mgr *mgr, const struct object *o)
{
    if (o->refs > 0 || o->nested > 0)
        return;
    if (mgr->loose_len == mgr->loose_cap) {
        mgr->loose_cap = mgr->loose_cap == 0 ? 16 : mgr->loose_cap * 2;
        mgr->loose = rv_realloc(mgr->loose, mgr->loose_cap * sizeof *mgr->loose);
    }
    mgr->loose[mgr->loose_len++] = o->id;
}

void carry_settle(struct mgr *mgr)
{
    while (mgr->loose_len > 0) {
        struct object *o = object_of(mgr, mgr->loose[--mgr->loose_len]);

        if (o != NULL)
            object_maybe_free(mgr, o);
    }
}

/* ---- cycles ---- */

struct reach {
    uint64_t id;
    const struct object *object;
    struct reach *todo;
    UT_hash_handle hh;
};

static void reach(struct reach **seen, struct reach **todo, const struct object *o)
{
    struct reach *r = NULL;

    HASH_FIND(hh, *seen, &o->id, sizeof o->id, r);
    if (r != NULL)
        return;
    r = rv_alloc(sizeof *r);
    *r = (struct reach){.id = o->id, .object = o, .todo = *todo};
    *todo = r;
    HASH_ADD(hh, *seen, id, sizeof r->id, r);
}

void carry_lost(const struct mgr *mgr, void (*lost)(void *arg, const struct object *o), void *arg)
{
    const struct object *o = NULL;
    const struct carried *c = NULL;
    struct reach *seen = NULL;
    struct reach *todo = NULL;
    struct reach *r = NULL;
    struct reach *next = NULL;
    bool any = false;

    for (o = mgr->objects; o != NULL && !any; o = o->by_id.next)
        any = o->refs == 0 && o->name == NULL;
    if (!any) /* the common case */
        return;
    for (o = mgr->objects; o != NULL; o = o->by_id.next)
        if (o->refs > 0 || o->name != NULL)
            reach(&seen, &todo, o);
    while (todo != NULL) {
        r = todo;
        todo = r->todo;
        DL_FOREACH (r->object->carries, c) {
            for (uint32_t i = 0; i < c->len; i++)
                reach(&seen, &todo, object_of(mgr, c->to[i]));
        }
    }
    for (o = mgr->objects; o != NULL; o = o->by_id.next) {
        HASH_FIND(hh, seen, &o->id, sizeof o->id, r);
        if (r == NULL)
            lost(arg, o);
    }
    HASH_ITER (hh, seen, r, next) {
        HASH_DELETE(hh, seen, r);
        free(r);
    }
}

/* ---- snapshots ---- */

void carry_save(struct saver *out, const struct carried *c)
{
    uint32_t len = c == NULL || RV_MUTANT(REF_UNSAVED) ? 0 : c->len;

    save_number(out, len, 1);
    for (uint32_t i = 0; i < len; i++)
        save_number(out, c->to[i], 8);
}

struct carried *carry_load(struct object *holder, struct rv_reader *in)
{
    uint32_t len = (uint32_t)rv_read_number(in, 1);
    struct carried *c = len == 0 ? NULL : carried_new(holder, len);

    for (uint32_t i = 0; i < len; i++)
        c->to[i] = rv_read_number(in, 8);
    return c;
}

bool carry_bind(struct mgr *mgr)
{
    const struct object *holder = NULL;
    const struct carried *c = NULL;

    for (holder = mgr->objects; holder != NULL; holder = holder->by_id.next) {
        DL_FOREACH (holder->carries, c) {
            for (uint32_t i = 0; i < c->len; i++) {
                struct object *o = object_of(mgr, c->to[i]);

                if (o == NULL)
                    return false;
                o->nested++;
            }
        }
    }
    return true;
}

/* ---- what must be true ---- */

void carry_check(const struct mgr *mgr)
{
    struct object *o = NULL;
    const struct carried *c = NULL;

    rv_assert(mgr->loose_len == 0);
    for (o = mgr->objects; o != NULL; o = o->by_id.next)
        o->counted = 0;
    for (o = mgr->objects; o != NULL; o = o->by_id.next) {
        DL_FOREACH (o->carries, c) {
            rv_assert(c->holder == o && c->len > 0);
            for (uint32_t i = 0; i < c->len; i++) {
                struct object *to = object_of(mgr, c->to[i]);

                rv_assert(to != NULL); /* a referenced object lives */
                to->counted++;
            }
        }
    }
    for (o = mgr->objects; o != NULL; o = o->by_id.next)
        rv_assert(o->nested == o->counted);
}
