/* why.c -- who holds, who waits for whom, and cycles of such. */

#include "server/core/session.h"
#include "server/core/sync.h"

#include <stdio.h>

const char *why_who(char out[WHO_TEXT], const struct session *s, uint64_t thread)
{
    int len = snprintf(out, WHO_TEXT, "session %llu (%.100s on %.100s, pid %u",
                       (unsigned long long)s->serial, s->program, s->host_name, s->pid);

    if (thread != 0)
        len += snprintf(out + len, WHO_TEXT - (size_t)len, ", thread %llu",
                        (unsigned long long)thread);
    snprintf(out + len, WHO_TEXT - (size_t)len, ")");
    return out;
}

static bool is_lock(const struct object *o)
{
    return o->kind >= RV_KIND_LOCK && o->kind <= RV_KIND_CONDITION;
}

static struct lock *awaited(const struct call *call)
{
    struct lock *l = is_lock(call->object) ? (struct lock *)call->object : NULL;

    return l != NULL && call->list == &l->waiters ? l : NULL;
}

/* ---- cycles ---- */

/* The call for a lock in which the owner of this one waits. A semaphore has no owner, and the thread
 * that uses a lease is not known. */
static struct call *next_in_chain(const struct call *call)
{
    const struct lock *l = awaited(call);
    const struct hold *h = l == NULL || l->counted ? NULL : l->holds;
    struct call *other = NULL;

    if (h == NULL || h->leased || h->thread == 0)
        return NULL;
    for (other = h->session->calls; other != NULL; other = other->hh.next)
        if (other->thread == h->thread && awaited(other) != NULL)
            return other;
    return NULL;
}

/* The calls of the cycle that this one is in; 0: it is in none. */
static size_t find_cycle(struct call *call, struct call *cycle[RV_LIMIT_CYCLE])
{
    struct call *at = call;
    size_t len = 0;

    while (at != NULL && len < RV_LIMIT_CYCLE && !RV_MUTANT(CYCLE_UNSEEN)) {
        cycle[len++] = at;
        at = next_in_chain(at);
        if (at == call)
            return len;
    }
    return 0;
}

static const char *name_of(const struct object *o)
{
    return o->name == NULL ? "(no name)" : o->name;
}

/* "session 3 (...) waits for a, held by session 4 (...), which waits for b, held by ..." */
static void describe(struct call *const *cycle, size_t len, char *out, size_t size)
{
    size_t at = 0;
    char who[WHO_TEXT];

    for (size_t i = 0; i <= len && at < size; i++) {
        const struct call *call = cycle[i % len];
        int added = snprintf(out + at, size - at, "%s%s", i == 0 ? "" : ", held by ",
                             why_who(who, call->session, call->thread));

        at += (size_t)added;
        if (i < len && at < size)
            at += (size_t)snprintf(out + at, size - at, "%s waits for %s", i == 0 ? "" : ", which",
                                   name_of(call->object));
    }
}

void why_look(struct mgr *mgr, struct call *call)
{
    struct call *cycle[RV_LIMIT_CYCLE];
    char text[1000];
    size_t len = find_cycle(call, cycle);

    if (len == 0)
        return;
    describe(cycle, len, text, sizeof text);
    mgr_say(mgr, RV_WARN, "lock.cycle calls=%zu why=\"%.900s\"", len, text);
    for (size_t i = 0; i < len; i++) {
        struct session *s = cycle[i]->session;
        uint64_t number = cycle[i]->number;

        if (!(cycle[i]->flags & RV_LOCK_NO_CYCLE))
            continue;
        mgr_unpark(mgr, cycle[i]);
        mgr_reply_text(mgr, s, number, REEVE_EDEADLOCK, text);
    }
}

/* ---- questions ---- */

void sync_on_state(struct mgr *mgr, struct session *s, const struct rv_read *msg)
{
    const struct ref *ref = session_ref(s, msg->object);
    struct rv_sync_state_result state = {0};
    const struct lock *l = NULL;
    const struct hold *h = NULL;
    const struct call *call = NULL;

    if (ref == NULL || ref->object->removed || ref->object->ops->family != rv_op_family(msg->op)) {
        mgr_answer(mgr, s, msg->id,
                   ref == NULL            ? REEVE_ENOENT
                   : ref->object->removed ? REEVE_EGONE
                                          : REEVE_ETYPE,
                   NULL, rv_slice(NULL, 0));
        return;
    }
    state.kind = ref->object->kind;
    if (state.kind == RV_KIND_EVENT) {
        event_state(ref->object, &state);
    } else if (state.kind == RV_KIND_BARRIER) {
        barrier_state(ref->object, &state);
    } else {
        l = (const struct lock *)ref->object;
        state.locked = l->value == 0;
        state.value = l->value;
        state.most = l->initial;
        state.fence = l->counted || l->holds == NULL ? 0 : l->holds->fence;
        DL_COUNT(l->holds, h, state.holders);
        DL_COUNT(l->waiters, call, state.waiting);
    }
    rv_buf_clear(&mgr->scratch);
    rv_sync_state_result_encode(&mgr->scratch, &state);
    mgr_answer(mgr, s, msg->id, REEVE_OK, NULL, rv_buf_slice(&mgr->scratch));
}

/* A page of the answer. It is the first and the last: who wants to know more asks of a session. */
struct page {
    const struct mgr *mgr;
    struct rv_buf rows;
    uint32_t count;
};

static void add_row(struct page *p, const struct object *o, const struct session *s,
                    struct rv_why_row row, rv_ns since)
{
    size_t start = p->rows.len;

    if (p->count == RV_LIMIT_LIST_ROWS || p->rows.len > RV_LIMIT_BATCH_BYTES / 2)
        return;
    row.object = o->id;
    row.name = rv_slice_str(o->name);
    row.kind = o->kind;
    row.since_ms = (uint64_t)((p->mgr->now - since) / RV_MS);
    if (s != NULL) {
        row.session = s->serial;
        row.principal = rv_slice_str(mgr_principal_name(p->mgr, s->principal));
        row.host_name = rv_slice_str(s->host_name);
        row.program = rv_slice_str(s->program);
        row.pid = s->pid;
    }
    rv_write_number(&p->rows, 0, 4);
    rv_why_row_encode(&p->rows, &row);
    rv_set_number(p->rows.data + start, p->rows.len - start - 4, 4);
    p->count++;
}

static void add_call(struct page *p, const struct call *call, uint32_t cycle)
{
    bool sleeps = call->op == RV_OP_condition_wait && awaited(call) == NULL;

    add_row(p, call->object, call->session,
            (struct rv_why_row){.role = sleeps ? RV_ROLE_SLEEPS : RV_ROLE_WAITS,
                                .thread = call->thread,
                                .count = 1,
                                .cycle = cycle},
            call->since);
}

static void add_hold(struct page *p, const struct object *o, const struct hold *h)
{
    add_row(p, o, h->session,
            (struct rv_why_row){.role = RV_ROLE_HOLDS,
                                .thread = h->leased ? 0 : h->thread,
                                .count = h->count,
                                .fence = h->fence},
            h->since);
}

static void add_cycle(struct page *p, struct call *call)
{
    struct call *cycle[RV_LIMIT_CYCLE];
    size_t len = find_cycle(call, cycle);

    for (size_t i = 0; i < len; i++)
        add_call(p, cycle[i], (uint32_t)i + 1);
}

static void about_object(struct page *p, const struct object *o)
{
    const struct session *s = NULL;
    struct call *call = NULL;
    struct call *stuck = NULL;

    if (is_lock(o)) {
        const struct hold *h = NULL;

        DL_FOREACH (((const struct lock *)o)->holds, h) {
            add_hold(p, o, h);
        }
        /* In the order in which they will be served. */
        DL_FOREACH (((const struct lock *)o)->waiters, call) {
            add_call(p, call, 0);
            stuck = call;
        }
    }
    for (s = p->mgr->sessions; s != NULL; s = s->by_serial.next)
        for (call = s->calls; call != NULL; call = call->hh.next)
            if (call->object == o && awaited(call) == NULL)
                add_call(p, call, 0);
    if (o->kind == RV_KIND_CONDITION && ((const struct condition *)o)->dead != NULL)
        add_row(p, o, NULL,
                (struct rv_why_row){.role = RV_ROLE_DIED,
                                    .program = rv_slice_str(((const struct condition *)o)->dead)},
                ((const struct condition *)o)->died_at);
    for (int steps = 0; stuck != NULL && steps < RV_LIMIT_CYCLE; steps++) {
        struct call *cycle[RV_LIMIT_CYCLE];

        if (find_cycle(stuck, cycle) > 0) {
            add_cycle(p, stuck);
            break;
        }
        stuck = next_in_chain(stuck);
    }
}

static void about_session(struct page *p, const struct session *s)
{
    const struct ref *ref = NULL;
    const struct hold *h = NULL;
    struct call *call = NULL;
    struct call *stuck = NULL;

    for (ref = s->refs; ref != NULL; ref = ref->hh.next)
        for (h = ref->holds; h != NULL; h = h->ref_next)
            add_hold(p, ref->object, h);
    for (call = s->calls; call != NULL; call = call->hh.next) {
        const struct lock *l = awaited(call);
        struct call *cycle[RV_LIMIT_CYCLE];

        add_call(p, call, 0);
        if (l == NULL)
            continue;
        DL_FOREACH (l->holds, h) {
            add_hold(p, call->object, h);
        }
        stuck = stuck != NULL || find_cycle(call, cycle) == 0 ? stuck : call;
    }
    if (stuck != NULL)
        add_cycle(p, stuck);
}

void why_on_read(struct mgr *mgr, struct session *s, const struct rv_read *msg)
{
    struct rv_why_args args;
    struct page p = {.mgr = mgr};
    const struct session *other = NULL;
    struct object *o = NULL;
    uint32_t rights = 0;

    rv_assert(rv_why_args_decode(&args, msg->args));
    rights = rights_on(mgr_principal(mgr, s->principal), args.name);
    if (args.name.len > 0)
        HASH_FIND(by_name, mgr->names, args.name.data, args.name.len, o);
    else
        other = mgr_session(mgr, args.session);
    if (!(rights & RIGHT_BIT(RV_RIGHT_LIST)) || (o == NULL && other == NULL)) {
        mgr_answer(mgr, s, msg->id, rights & RIGHT_BIT(RV_RIGHT_LIST) ? REEVE_ENOENT : REEVE_EPERM,
                   NULL, rv_slice(NULL, 0));
        return;
    }
    if (o != NULL)
        about_object(&p, o);
    else
        about_session(&p, other);
    rv_buf_clear(&mgr->scratch);
    rv_object_list_result_encode(
        &mgr->scratch, &(struct rv_object_list_result){p.count, rv_buf_slice(&p.rows), 0});
    mgr_answer(mgr, s, msg->id, REEVE_OK, NULL, rv_buf_slice(&mgr->scratch));
    rv_buf_free(&p.rows);
}
