/* sync_save.c -- locks, semaphores and conditions in a snapshot; the calls that wait for any of
 * their kin. */

#include "server/core/session.h"
#include "server/core/sync.h"

/* ---- calls ---- */

void sync_save_call(const struct call *call, struct saver *out)
{
    save_number(out, (uint64_t)call->since, 8);
    save_number(out, call->thread, 8);
    save_number(out, call->lock, 8);
    save_number(out, call->levels, 4);
    save_number(out, call->flags, 1);
    save_number(out, call->notified, 1);
    save_number(out, call->impatient, 1);
}

void sync_load_call(struct mgr *mgr, struct call *call, struct rv_reader *in)
{
    (void)mgr;
    call->since = (rv_ns)rv_read_number(in, 8);
    call->thread = rv_read_number(in, 8);
    call->lock = rv_read_number(in, 8);
    call->levels = (uint32_t)rv_read_number(in, 4);
    call->flags = (uint8_t)rv_read_number(in, 1);
    call->notified = rv_read_number(in, 1) != 0;
    call->impatient = rv_read_number(in, 1) != 0;
}

/* ---- holds ---- */

static void save_hold(const struct hold *h, struct saver *out)
{
    save_number(out, h->session->serial, 8);
    save_number(out, h->thread, 8);
    save_number(out, h->fence, 8);
    save_number(out, h->count, 4);
    save_number(out, h->call, 8);
    save_number(out, h->levels, 4);
    save_number(out, h->died, 1);
    save_number(out, h->leased, 1);
    save_number(out, h->late, 1);
    save_number(out, h->recalled, 1);
    save_number(out, (uint64_t)h->since, 8);
}

static void load_hold(struct mgr *mgr, struct lock *l, struct rv_reader *in)
{
    struct session *s = load_session(mgr, in);
    struct ref *ref = s == NULL ? NULL : session_ref(s, l->object.id);
    struct hold *h = NULL;

    if (ref == NULL) {
        in->bad = true;
        return;
    }
    h = rv_alloc(sizeof *h);
    h->session = s;
    h->ref = ref;
    h->thread = rv_read_number(in, 8);
    h->fence = rv_read_number(in, 8);
    h->count = (uint32_t)rv_read_number(in, 4);
    h->call = rv_read_number(in, 8);
    h->levels = (uint32_t)rv_read_number(in, 4);
    h->died = rv_read_number(in, 1) != 0;
    h->leased = rv_read_number(in, 1) != 0;
    h->late = rv_read_number(in, 1) != 0;
    h->recalled = rv_read_number(in, 1) != 0;
    h->since = (rv_ns)rv_read_number(in, 8);
    DL_APPEND(l->holds, h);
    DL_APPEND2(ref->holds, h, ref_prev, ref_next);
}

/* ---- guards: calls of other objects, which the sessions have already ---- */

static void save_guarded(const struct lock *l, struct saver *out)
{
    const struct call *call = NULL;
    uint64_t count = 0;

    DL_COUNT2(l->guarded, call, count, guard_next);
    save_number(out, count, 8);
    DL_FOREACH2(l->guarded, call, guard_next)
    {
        save_number(out, call->session->serial, 8);
        save_number(out, call->number, 8);
        save_number(out, call->guard_fence, 8);
    }
}

static void load_guarded(struct mgr *mgr, struct lock *l, struct rv_reader *in)
{
    uint64_t count = rv_read_number(in, 8);

    for (; count > 0 && !in->bad; count--) {
        struct session *s = load_session(mgr, in);
        uint64_t number = rv_read_number(in, 8);
        struct call *call = NULL;

        if (s != NULL)
            HASH_FIND(hh, s->calls, &number, sizeof number, call);
        if (call == NULL || call->guard != NULL) {
            in->bad = true;
            return;
        }
        call->guard = l;
        call->guard_fence = rv_read_number(in, 8);
        DL_APPEND2(l->guarded, call, guard_prev, guard_next);
    }
}

/* ---- locks ---- */

static void save_who(struct saver *out, const char *who)
{
    save_number(out, who != NULL, 1);
    save_bytes(out, rv_slice_str(who));
}

static char *load_who(struct rv_reader *in)
{
    bool there = rv_read_number(in, 1) != 0;
    struct rv_slice text = load_bytes(in);

    return there ? mgr_text(text) : NULL;
}

struct object *lock_create_empty(void)
{
    struct lock *l = rv_alloc(sizeof *l);

    return &l->object;
}

void lock_save(const struct object *o, struct saver *out)
{
    const struct lock *l = (const struct lock *)o;
    const struct hold *h = NULL;
    uint64_t holds = 0;

    save_number(out, l->initial, 4);
    save_number(out, l->value, 4);
    save_number(out, l->total, 8);
    save_number(out, l->abandoned, 1);
    save_who(out, l->dead);
    DL_COUNT(l->holds, h, holds);
    save_number(out, holds, 8);
    DL_FOREACH (l->holds, h) {
        save_hold(h, out);
    }
    save_calls(out, o, l->waiters);
    save_calls(out, o, l->releasers);
    save_guarded(l, out);
}

void lock_load(struct mgr *mgr, struct object *o, struct rv_reader *in)
{
    struct lock *l = (struct lock *)o;
    uint64_t holds = 0;

    lock_init(l, o->kind, (uint32_t)rv_read_number(in, 4));
    l->value = (uint32_t)rv_read_number(in, 4);
    l->total = rv_read_number(in, 8);
    l->abandoned = rv_read_number(in, 1) != 0;
    l->dead = load_who(in);
    for (holds = rv_read_number(in, 8); holds > 0 && !in->bad; holds--)
        load_hold(mgr, l, in);
    load_calls(mgr, in, o, &l->waiters);
    load_calls(mgr, in, o, &l->releasers);
    load_guarded(mgr, l, in);
}

/* ---- conditions ---- */

struct object *condition_create_empty(void)
{
    struct condition *c = rv_alloc(sizeof *c);

    return &c->lock.object;
}

void condition_save(const struct object *o, struct saver *out)
{
    const struct condition *c = (const struct condition *)o;

    lock_save(o, out);
    save_number(out, c->lock_id, 8);
    save_who(out, c->dead);
    save_number(out, (uint64_t)c->died_at, 8);
    save_calls(out, o, c->sleepers);
}

void condition_load(struct mgr *mgr, struct object *o, struct rv_reader *in)
{
    struct condition *c = (struct condition *)o;

    lock_load(mgr, o, in);
    c->lock_id = rv_read_number(in, 8);
    c->dead = load_who(in);
    c->died_at = (rv_ns)rv_read_number(in, 8);
    load_calls(mgr, in, o, &c->sleepers);
}
