#include "server/core/carry.h"
#include "server/core/quota.h"
#include "server/core/save.h"
#include "server/core/crc.h"
#include "server/core/crew.h"
#include "server/core/object.h"
#include "server/core/session.h"

/* ---- bytes ---- */

static void give(struct saver *out)
{
    out->hash = rv_crc32c(out->hash, out->buf.data, out->buf.len);
    out->len += out->buf.len;
    if (out->block != NULL)
        out->block(out->arg, rv_buf_slice(&out->buf));
    rv_buf_clear(&out->buf);
}

static void maybe_give(struct saver *out)
{
    rv_assert(!out->buf.bad);
    if (out->buf.len >= SAVE_BLOCK)
        give(out);
}

void save_number(struct saver *out, uint64_t x, size_t width)
{
    rv_write_number(&out->buf, x, width);
    maybe_give(out);
}

void save_bytes(struct saver *out, struct rv_slice bytes)
{
    rv_write_number(&out->buf, bytes.len, 4);
    rv_buf_add(&out->buf, bytes.data, bytes.len);
    maybe_give(out);
}

struct rv_slice load_bytes(struct rv_reader *r)
{
    size_t len = (size_t)rv_read_number(r, 4);
    const uint8_t *data = rv_read(r, len);

    return rv_slice(data, data == NULL ? 0 : len);
}

void save_text(struct saver *out, const char *text)
{
    save_bytes(out, rv_slice_str(text));
}

char *load_text(struct rv_reader *r)
{
    return mgr_text(load_bytes(r));
}

/* A count of things of at least one byte each: never more than there are bytes. */
static uint64_t load_count(struct rv_reader *r)
{
    uint64_t count = rv_read_number(r, 8);

    if (count > r->left)
        r->bad = true;
    return r->bad ? 0 : count;
}

/* ---- timers: the instant, and the rank among those of the same instant ---- */

void save_timer(struct saver *out, const struct rv_timer *t)
{
    bool set = t->pos != 0 && !(RV_MUTANT(TIMER_UNSAVED) && t->kind == TIMER_CALL);

    save_number(out, set, 1);
    save_number(out, set ? (uint64_t)t->at : 0, 8);
    save_number(out, set ? t->order : 0, 8);
}

void load_timer(struct mgr *mgr, struct rv_reader *r, struct rv_timer *t)
{
    bool set = rv_read_number(r, 1) != 0;
    rv_ns at = (rv_ns)rv_read_number(r, 8);
    uint64_t order = rv_read_number(r, 8);

    if (!set || r->bad)
        return;
    mgr->heap.order = order;
    rv_heap_set(&mgr->heap, t, at);
}

/* ---- streams ---- */

static void save_stream(struct saver *out, const struct rv_stream *s)
{
    save_number(out, s->first, 8);
    save_number(out, s->next, 8);
    for (uint64_t n = s->first; n < s->next; n++) {
        struct rv_slice bodies[RV_LIMIT_BODIES];
        size_t bodies_len = 0;

        save_bytes(out, rv_stream_message(s, n, bodies, &bodies_len));
        save_number(out, bodies_len, 1);
        for (size_t i = 0; i < bodies_len; i++)
            save_bytes(out, bodies[i]);
    }
}

static struct rv_body *load_body(struct rv_reader *r)
{
    struct rv_slice bytes = load_bytes(r);
    struct rv_body *body = rv_body_new(bytes.len);

    rv_assert(body != NULL);
    if (bytes.len > 0)
        memcpy(body->data, bytes.data, bytes.len);
    return body;
}

static void load_message(struct rv_reader *r, struct rv_stream *s)
{
    struct rv_slice bytes = load_bytes(r);
    struct rv_body *bodies[RV_LIMIT_BODIES] = {0};
    size_t bodies_len = (size_t)rv_read_number(r, 1);
    struct rv_msg msg;

    if (bodies_len > RV_LIMIT_BODIES || bytes.len < 4 ||
        !rv_msg_decode(&msg, rv_slice(bytes.data + 4, bytes.len - 4)) ||
        !rv_msg_numbered(msg.type)) {
        r->bad = true;
        return;
    }
    for (size_t i = 0; i < bodies_len; i++)
        bodies[i] = load_body(r);
    rv_assert(rv_stream_add(s, &msg, bodies, bodies_len) != 0);
    for (size_t i = 0; i < bodies_len; i++)
        rv_body_drop(bodies[i]);
}

static void load_stream(struct rv_reader *r, struct rv_stream *s)
{
    uint64_t next = 0;

    rv_stream_init(s);
    s->first = s->next = rv_read_number(r, 8);
    next = rv_read_number(r, 8);
    if (next < s->first || next - s->first > r->left)
        r->bad = true;
    while (s->next < next && !r->bad)
        load_message(r, s);
}

static void save_assembly(struct saver *out, const struct rv_assembly *a)
{
    const struct rv_assembly_part *part = NULL;
    uint64_t count = 0;

    for (part = a->parts; part != NULL; part = part->next)
        count++;
    save_number(out, count, 8);
    for (part = a->parts; part != NULL; part = part->next) {
        save_number(out, part->number, 8);
        save_number(out, part->body->len, 4);
        save_bytes(out, rv_slice(part->body->data, part->got));
    }
}

static void load_assembly(struct rv_reader *r, struct rv_assembly *a)
{
    uint64_t count = load_count(r);
    struct rv_assembly_part **end = &a->parts;

    for (; count > 0 && !r->bad; count--) {
        uint64_t number = rv_read_number(r, 8);
        size_t len = (size_t)rv_read_number(r, 4);
        struct rv_slice got = load_bytes(r);

        if (got.len > len || len > RV_LIMIT_ITEM_BYTES) {
            r->bad = true;
            return;
        }
        *end = rv_assembly_part_new(number, len, got);
        a->bytes += len;
        end = &(*end)->next;
    }
}

/* ---- sessions ---- */

/* Why bytes of items were dropped. */
enum { OVERDRAWN = 1, STRIPPED = 2 };

static void save_refs(struct saver *out, const struct session *s)
{
    const struct ref *ref = NULL;

    save_number(out, HASH_COUNT(s->refs), 8);
    for (ref = s->refs; ref != NULL; ref = ref->hh.next) {
        save_number(out, ref->object_id, 8);
        save_number(out, ref->count, 4);
        save_number(out, ref->liens, 4);
        save_number(out, ref->rights, 4);
        save_number(out, ref->creator, 1);
        save_number(out, ref->given, 1);
    }
}

static void load_refs(struct rv_reader *r, struct session *s)
{
    uint64_t count = load_count(r);

    for (; count > 0 && !r->bad; count--) {
        struct ref *ref = rv_alloc(sizeof *ref);

        ref->object_id = rv_read_number(r, 8);
        ref->count = (uint32_t)rv_read_number(r, 4);
        ref->liens = (uint32_t)rv_read_number(r, 4);
        ref->rights = (uint32_t)rv_read_number(r, 4);
        ref->creator = rv_read_number(r, 1) != 0;
        ref->given = rv_read_number(r, 1) != 0;
        HASH_ADD(hh, s->refs, object_id, sizeof ref->object_id, ref);
    }
}

/* What every parked call has; in which list of its object it stands is saved there. */
static void save_parked(struct saver *out, const struct session *s)
{
    const struct call *call = NULL;

    save_number(out, HASH_COUNT(s->calls), 8);
    for (call = s->calls; call != NULL; call = call->hh.next) {
        save_number(out, call->number, 8);
        save_number(out, call->op, 2);
        save_timer(out, &call->timer);
    }
}

static void load_parked(struct mgr *mgr, struct rv_reader *r, struct session *s)
{
    uint64_t count = load_count(r);

    for (; count > 0 && !r->bad; count--) {
        struct call *call = rv_alloc(sizeof *call);

        call->session = s;
        call->number = rv_read_number(r, 8);
        call->op = (uint16_t)rv_read_number(r, 2);
        call->timer.kind = TIMER_CALL;
        load_timer(mgr, r, &call->timer);
        if (RV_MUTANT(TIMER_UNSAVED))
            rv_heap_cancel(&mgr->heap, &call->timer);
        HASH_ADD(hh, s->calls, number, sizeof call->number, call);
    }
}

static void save_session(struct saver *out, const struct session *s)
{
    save_number(out, s->serial, 8);
    save_bytes(out, rv_slice(s->id.bytes, sizeof s->id.bytes));
    save_number(out, s->principal, 4);
    save_number(out, s->carrier, 4);
    save_number(out, s->job, 8);
    save_number(out, s->guard_lock, 8);
    save_number(out, s->guard_fence, 8);
    save_number(out, s->attempt, 4);
    save_number(out, s->attached, 1);
    save_number(out, s->local, 1);
    save_number(out, s->resume_ms, 4);
    save_text(out, s->host_name);
    save_text(out, s->program);
    save_number(out, s->pid, 4);
    save_number(out, s->applied, 8);
    save_number(out, s->calls_total, 8);
    save_number(out, s->bodies, 8);
    save_number(out, s->parked_bytes, 8);
    save_number(out, s->ahead, 4);
    save_number(out, (s->overdrawn ? OVERDRAWN : 0) | (s->stripped ? STRIPPED : 0), 1);
    save_timer(out, &s->timer);
    save_stream(out, &s->out);
    save_assembly(out, &s->assembly);
    save_refs(out, s);
    save_parked(out, s);
}

static void load_one_session(struct mgr *mgr, struct rv_reader *r)
{
    struct session *s = rv_alloc(sizeof *s);
    struct rv_slice id;
    uint64_t dropped = 0;

    s->serial = rv_read_number(r, 8);
    id = load_bytes(r);
    if (id.len == sizeof s->id.bytes)
        memcpy(s->id.bytes, id.data, sizeof s->id.bytes);
    else
        r->bad = true;
    s->principal = (uint32_t)rv_read_number(r, 4);
    s->carrier = (uint32_t)rv_read_number(r, 4);
    s->job = rv_read_number(r, 8);
    s->guard_lock = rv_read_number(r, 8);
    s->guard_fence = rv_read_number(r, 8);
    s->attempt = (uint32_t)rv_read_number(r, 4);
    s->attached = rv_read_number(r, 1) != 0;
    s->local = rv_read_number(r, 1) != 0;
    s->resume_ms = (uint32_t)rv_read_number(r, 4);
    s->host_name = load_text(r);
    s->program = load_text(r);
    s->pid = (uint32_t)rv_read_number(r, 4);
    s->applied = rv_read_number(r, 8);
    s->calls_total = rv_read_number(r, 8);
    s->bodies = rv_read_number(r, 8);
    s->parked_bytes = (size_t)rv_read_number(r, 8);
    s->ahead = (uint32_t)rv_read_number(r, 4);
    dropped = rv_read_number(r, 1);
    s->overdrawn = (dropped & OVERDRAWN) != 0;
    s->stripped = (dropped & STRIPPED) != 0;
    s->timer.kind = TIMER_SESSION;
    load_timer(mgr, r, &s->timer);
    load_stream(r, &s->out);
    load_assembly(r, &s->assembly);
    load_refs(r, s);
    load_parked(mgr, r, s);
    HASH_ADD(by_serial, mgr->sessions, serial, sizeof s->serial, s);
    HASH_ADD(by_id, mgr->sessions_by_id, id, sizeof s->id, s);
}

struct session *load_session(const struct mgr *mgr, struct rv_reader *r)
{
    struct session *s = mgr_session(mgr, rv_read_number(r, 8));

    if (s == NULL)
        r->bad = true;
    return s;
}

/* ---- objects ---- */

void save_calls(struct saver *out, const struct object *o, const struct call *list)
{
    const struct call *call = NULL;
    uint64_t count = 0;

    DL_COUNT(list, call, count);
    save_number(out, count, 8);
    DL_FOREACH (list, call) {
        save_number(out, call->session->serial, 8);
        save_number(out, call->number, 8);
        if (o->ops->save_call != NULL)
            o->ops->save_call(call, out);
    }
}

void load_calls(struct mgr *mgr, struct rv_reader *r, struct object *o, struct call **list)
{
    uint64_t count = load_count(r);

    for (; count > 0 && !r->bad; count--) {
        struct session *s = load_session(mgr, r);
        uint64_t number = rv_read_number(r, 8);
        struct call *call = NULL;

        if (s != NULL)
            HASH_FIND(hh, s->calls, &number, sizeof number, call);
        if (call == NULL || call->list != NULL) {
            r->bad = true;
            return;
        }
        call->object = o;
        call->list = list;
        DL_APPEND(*list, call);
        if (o->ops->load_call != NULL)
            o->ops->load_call(mgr, call, r);
    }
}

static void save_object(struct saver *out, const struct object *o)
{
    rv_assert(o->ops->save != NULL && o->ops->load != NULL);
    save_number(out, o->kind, 1);
    save_number(out, o->id, 8);
    save_number(out, o->removed, 1);
    save_number(out, o->durable, 1);
    save_number(out, o->owner, 4);
    save_number(out, o->name != NULL, 1);
    save_text(out, o->name);
    save_number(out, o->ttl_ms, 4);
    save_timer(out, &o->timer);
    o->ops->save(o, out);
}

static void load_object(struct mgr *mgr, struct rv_reader *r)
{
    struct object head = {.kind = (uint8_t)rv_read_number(r, 1)};
    struct object *o = NULL;
    struct rv_slice name;
    bool named = false;

    head.ops = object_ops_of(head.kind);
    head.id = rv_read_number(r, 8);
    head.removed = rv_read_number(r, 1) != 0;
    head.durable = (uint8_t)rv_read_number(r, 1);
    head.owner = (uint32_t)rv_read_number(r, 4);
    named = rv_read_number(r, 1) != 0;
    name = load_bytes(r);
    head.ttl_ms = (uint32_t)rv_read_number(r, 4);
    if (r->bad || head.ops == NULL || head.ops->load == NULL) {
        r->bad = true;
        return;
    }
    o = head.ops->create_empty();
    *o = head;
    o->timer.kind = TIMER_OBJECT;
    load_timer(mgr, r, &o->timer);
    HASH_ADD(by_id, mgr->objects, id, sizeof o->id, o);
    if (named) {
        o->name = mgr_text(name);
        HASH_ADD_KEYPTR(by_name, mgr->names, o->name, name.len, o);
    }
    o->ops->load(mgr, o, r);
}

/* Every hold has its object now, and every parked call its list. */
static void bind(struct mgr *mgr, struct rv_reader *r)
{
    struct session *s = NULL;
    struct ref *ref = NULL;
    const struct call *call = NULL;

    for (s = mgr->sessions; s != NULL; s = s->by_serial.next) {
        for (ref = s->refs; ref != NULL; ref = ref->hh.next) {
            HASH_FIND(by_id, mgr->objects, &ref->object_id, sizeof ref->object_id, ref->object);
            if (ref->object == NULL)
                r->bad = true;
            else
                ref->object->refs++;
        }
        for (call = s->calls; call != NULL; call = call->hh.next)
            if (call->list == NULL)
                r->bad = true;
    }
    if (!r->bad && !carry_bind(mgr))
        r->bad = true;
}

/* ---- all of it ---- */

static void save_principals(struct saver *out, const struct mgr *mgr)
{
    save_number(out, mgr->principals_len, 8);
    for (size_t i = 0; i < mgr->principals_len; i++) {
        const struct principal *p = mgr->principals[i];

        save_number(out, p != NULL, 1);
        save_text(out, p == NULL ? NULL : p->name);
        save_text(out, p == NULL ? NULL : p->role);
        save_text(out, p == NULL ? NULL : p->rights);
        save_text(out, p == NULL ? NULL : p->quotas);
        save_number(out, p == NULL ? 0 : (uint64_t)p->calls_at, 8);
    }
}

static void load_principals(struct mgr *mgr, struct rv_reader *r)
{
    uint64_t count = load_count(r);

    mgr->principals = rv_realloc(mgr->principals, ((size_t)count + 1) * sizeof(struct principal *));
    while (mgr->principals_len < count && !r->bad) {
        bool there = rv_read_number(r, 1) != 0;
        struct principal *p = rv_alloc(sizeof *p);

        p->id = (uint32_t)mgr->principals_len;
        p->name = load_text(r);
        p->role = load_text(r);
        p->rights = load_text(r);
        p->quotas = load_text(r);
        p->calls_at = (rv_ns)rv_read_number(r, 8);
        quotas_read(p->quota, p->quotas);
        if (!there)
            principal_free(&p);
        mgr->principals[mgr->principals_len++] = p;
    }
}

bool mgr_can_save(const struct mgr *mgr)
{
    const struct object *o = NULL;

    for (o = mgr->objects; o != NULL; o = o->by_id.next)
        if (o->ops->save == NULL)
            return false;
    return true;
}

void mgr_save(const struct mgr *mgr, struct saver *out)
{
    const struct session *s = NULL;
    const struct object *o = NULL;

    save_number(out, mgr->conf.term, 8);
    save_number(out, mgr->full, 1);
    save_number(out, mgr->last_session, 8);
    save_number(out, mgr->last_object, 8);
    save_number(out, mgr->commands, 8);
    save_number(out, mgr->puts, 8);
    save_number(out, mgr->gets, 8);
    save_number(out, mgr->redelivered, 8);
    save_number(out, mgr->refused, 8);
    save_number(out, mgr->last_fence, 8);
    save_number(out, mgr->last_chunk, 8);
    save_number(out, mgr->last_dead, 8);
    save_number(out, mgr->dead, 8);
    save_principals(out, mgr);
    save_number(out, HASH_CNT(by_serial, mgr->sessions), 8);
    for (s = mgr->sessions; s != NULL; s = s->by_serial.next)
        save_session(out, s);
    work_save_blobs(mgr, out);
    save_number(out, HASH_CNT(by_id, mgr->objects), 8);
    for (o = mgr->objects; o != NULL; o = o->by_id.next)
        save_object(out, o);
    work_save(mgr, out);
    save_number(out, mgr->heap.order, 8);
    give(out);
    rv_buf_free(&out->buf);
}

bool mgr_load(struct mgr *mgr, struct rv_slice state)
{
    struct rv_reader r = rv_reader(state);
    uint64_t count = 0;

    mgr->conf.term = rv_read_number(&r, 8);
    mgr->full = rv_read_number(&r, 1) != 0;
    mgr->last_session = rv_read_number(&r, 8);
    mgr->last_object = rv_read_number(&r, 8);
    mgr->commands = rv_read_number(&r, 8);
    mgr->puts = rv_read_number(&r, 8);
    mgr->gets = rv_read_number(&r, 8);
    mgr->redelivered = rv_read_number(&r, 8);
    mgr->refused = rv_read_number(&r, 8);
    mgr->last_fence = rv_read_number(&r, 8);
    mgr->last_chunk = rv_read_number(&r, 8);
    mgr->last_dead = rv_read_number(&r, 8);
    mgr->dead = rv_read_number(&r, 8);
    load_principals(mgr, &r);
    for (count = load_count(&r); count > 0 && !r.bad; count--)
        load_one_session(mgr, &r);
    work_load_blobs(mgr, &r);
    for (count = load_count(&r); count > 0 && !r.bad; count--)
        load_object(mgr, &r);
    work_load(mgr, &r);
    bind(mgr, &r);
    for (uint32_t id = 0; id < mgr->principals_len && !r.bad; id++)
        quota_recount(mgr, id);
    mgr->heap.order = rv_read_number(&r, 8);
    return !r.bad && r.left == 0;
}
