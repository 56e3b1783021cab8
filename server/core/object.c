#include "server/core/carry.h"
#include "server/core/crew.h"
#include "server/core/dead.h"
#include "server/core/box.h"
#include "server/core/dict.h"
#include "server/core/list.h"
#include "server/core/set.h"
#include "server/core/queue.h"
#include "server/core/quota.h"
#include "server/core/session.h"
#include "server/core/sync.h"

#include <stdio.h>

struct object *object_named(const struct mgr *mgr, struct rv_slice name)
{
    struct object *o = NULL;

    HASH_FIND(by_name, mgr->names, name.data, name.len, o);
    return o;
}

static void unname(struct mgr *mgr, struct object *o)
{
    if (o->name != NULL)
        HASH_DELETE(by_name, mgr->names, o);
    free(o->name);
    o->name = NULL;
}

void object_free(struct mgr *mgr, struct object *o)
{
    rv_assert(o->refs == 0);
    mgr_say(mgr, RV_INFO, "object.free object=%llu", (unsigned long long)o->id);
    rv_heap_cancel(&mgr->heap, &o->timer);
    unname(mgr, o);
    HASH_DELETE(by_id, mgr->objects, o);
    quota_drop(mgr, o->owner, RV_QUOTA_OBJECTS, o->owner != 0);
    o->ops->free(mgr, o);
}

/* Nobody holds it any more: an anonymous object goes at once, a named one when its ttl is over. */
void object_maybe_free(struct mgr *mgr, struct object *o)
{
    if (o->refs > 0 || o->nested > 0)
        return;
    if (o->name == NULL)
        object_free(mgr, o);
    else if (o->timer.pos == 0)
        rv_heap_set(&mgr->heap, &o->timer, rv_after_ms(mgr->now, o->ttl_ms));
}

static struct call *call_on(const struct session *s, const struct object *o)
{
    struct call *call = s->calls;

    while (call != NULL && call->object != o)
        call = call->hh.next;
    return call;
}

/* What it has of the object by its handles goes back. */
static void let_go(struct mgr *mgr, struct session *s, struct ref *ref, bool died)
{
    struct object *o = ref->object;
    struct call *call = NULL;

    /* Other threads of the session may still wait here. The end of one may be the end of the next. */
    while ((call = call_on(s, o)) != NULL)
        o->ops->end_call(mgr, call, REEVE_ECLOSED);
    o->ops->drop_ref(mgr, ref, died);
}

void object_unref(struct mgr *mgr, struct session *s, struct ref *ref, bool died)
{
    struct object *o = ref->object;

    let_go(mgr, s, ref, died);
    HASH_DELETE(hh, s->refs, ref);
    free(ref);
    if (!RV_MUTANT(REFCOUNT_OFF) || o->refs > 1)
        o->refs--;
    object_maybe_free(mgr, o);
}

/* The types, by number. */
const struct object_ops *object_ops_of(uint8_t kind)
{
    switch ((enum rv_kind)kind) {
    case RV_KIND_QUEUE:
        return &queue_ops;
    case RV_KIND_LOCK:
    case RV_KIND_RLOCK:
    case RV_KIND_SEMAPHORE:
    case RV_KIND_BOUNDED_SEMAPHORE:
        return &lock_ops;
    case RV_KIND_CONDITION:
        return &condition_ops;
    case RV_KIND_EVENT:
        return &event_ops;
    case RV_KIND_BARRIER:
        return &barrier_ops;
    case RV_KIND_DICT:
    case RV_KIND_NAMESPACE:
        return &dict_ops;
    case RV_KIND_SET:
        return &set_ops;
    case RV_KIND_LIST:
    case RV_KIND_VALUE:
    case RV_KIND_ARRAY:
        return &list_ops;
    case RV_KIND_JOB:
        return &job_ops;
    case RV_KIND_AGENT:
        return &member_ops;
    default:
        break;
    }
    return NULL;
}

void object_add(struct mgr *mgr, struct object *o, const struct object_ops *ops, uint8_t kind,
                struct rv_slice name, uint32_t ttl_ms)
{
    o->ops = ops;
    o->id = ++mgr->last_object;
    o->kind = kind;
    o->ttl_ms = ttl_ms;
    o->timer.kind = TIMER_OBJECT;
    HASH_ADD(by_id, mgr->objects, id, sizeof o->id, o);
    if (name.len > 0) {
        o->name = mgr_text(name);
        HASH_ADD_KEYPTR(by_name, mgr->names, o->name, name.len, o);
        mgr->names_sorted = false;
    }
}

void object_own(struct mgr *mgr, struct object *o, uint32_t principal)
{
    o->owner = principal;
    quota_add(mgr, principal, RV_QUOTA_OBJECTS, 1);
    if (box_kind(o->kind))
        quota_add(mgr, principal, RV_QUOTA_BYTES, box_bytes(o));
}

static struct object *create_object(struct mgr *mgr, const struct rv_object_open_args *args)
{
    const struct object_ops *ops = object_ops_of(args->kind);
    struct object *o = ops->create(mgr, args);

    object_add(mgr, o, ops, args->kind, args->name, args->ttl_ms == 0 ? UINT32_MAX : args->ttl_ms);
    return o;
}

struct ref *object_row(struct mgr *mgr, struct session *s, struct object *o)
{
    struct ref *ref = session_ref(s, o->id);

    if (ref == NULL) {
        ref = rv_alloc(sizeof *ref);
        ref->object_id = o->id;
        ref->object = o;
        o->refs++;
        rv_heap_cancel(&mgr->heap, &o->timer);
        HASH_ADD(hh, s->refs, object_id, sizeof ref->object_id, ref);
    }
    return ref;
}

struct ref *object_hold(struct mgr *mgr, struct session *s, struct object *o)
{
    struct ref *ref = object_row(mgr, s, o);

    ref->count++;
    return ref;
}

void object_judge(struct ref *ref, const struct principal *p)
{
    const struct object *o = ref->object;

    if (o->kind == RV_KIND_JOB || o->kind == RV_KIND_AGENT)
        return;
    ref->rights =
        rights_on(p, rv_slice_str(o->name)) |
        (ref->creator || (ref->given && o->name == NULL)
             ? RIGHT_BIT(RV_RIGHT_PUT) | RIGHT_BIT(RV_RIGHT_GET) | RIGHT_BIT(RV_RIGHT_LOCK)
             : 0);
}

static void opened(struct mgr *mgr, struct session *s, uint64_t number, const struct object *o,
                   bool created)
{
    struct rv_object_row row = {0};

    o->ops->row(o, &row);
    rv_buf_clear(&mgr->scratch);
    rv_object_open_result_encode(
        &mgr->scratch, &(struct rv_object_open_result){.object = o->id,
                                                       .created = created,
                                                       .kind = o->kind,
                                                       .order = row.order,
                                                       .joinable = row.joinable,
                                                       .maxsize = row.maxsize,
                                                       .typecode = row.typecode,
                                                       .durable = mgr_reaches(mgr, o->durable)});
    mgr_reply(mgr, s, number, REEVE_OK, NULL, rv_buf_slice(&mgr->scratch), NULL, 0);
}

/* A task may use what the items of its job refer to. */
static struct ref *row_of_task(struct mgr *mgr, struct session *s, uint64_t object)
{
    struct object *job = NULL;
    struct object *o = NULL;
    struct ref *ref = NULL;

    HASH_FIND(by_id, mgr->objects, &s->job, sizeof s->job, job);
    HASH_FIND(by_id, mgr->objects, &object, sizeof object, o);
    if (job == NULL || o == NULL || o->removed || o->nested == 0 || !carry_has(job, object))
        return NULL;
    ref = object_row(mgr, s, o);
    ref->given = true;
    object_judge(ref, mgr_principal(mgr, s->principal));
    return ref;
}

void object_on_ref(struct mgr *mgr, struct session *s, uint64_t number, const struct rv_call *msg)
{
    struct rv_object_ref_args args;
    struct ref *ref = NULL;

    rv_assert(rv_object_ref_args_decode(&args, msg->args));
    ref = session_ref(s, args.object);
    if (ref == NULL)
        ref = row_of_task(mgr, s, args.object);
    if (ref == NULL || ref->object->kind == RV_KIND_JOB || ref->object->kind == RV_KIND_AGENT) {
        mgr_reply_text(mgr, s, number, REEVE_ENOENT, "this session has no reference to it");
        return;
    }
    if (ref->object->removed) {
        mgr_reply_text(mgr, s, number, REEVE_EGONE, NULL);
        return;
    }
    ref->count++;
    opened(mgr, s, number, ref->object, false);
}

/* May the session have one more object? */
static reeve_err refuse_more(struct mgr *mgr, const struct session *s,
                             const struct rv_object_open_args *args, const char **text)
{
    uint64_t bytes = box_first_bytes(args);

    if (HASH_CNT(by_id, mgr->objects) >= RV_LIMIT_OBJECTS) {
        *text = "the manager holds its maximum of objects";
        return REEVE_ELIMIT;
    }
    if (!quota_allows(mgr, s->principal, RV_QUOTA_OBJECTS, 1)) {
        *text = quota_text(mgr, s->principal, RV_QUOTA_OBJECTS);
        return REEVE_EQUOTA;
    }
    if (bytes > 0 && !quota_allows(mgr, s->principal, RV_QUOTA_BYTES, bytes)) {
        *text = quota_text(mgr, s->principal, RV_QUOTA_BYTES);
        return REEVE_EQUOTA;
    }
    return REEVE_OK;
}

reeve_err object_make(struct mgr *mgr, struct session *s, const struct rv_object_open_args *args,
                      struct object **out, const char **text)
{
    reeve_err err = refuse_more(mgr, s, args, text);
    struct ref *ref = NULL;

    *out = NULL;
    if (!(rights_on(mgr_principal(mgr, s->principal), args->name) & RIGHT_BIT(RV_RIGHT_OPEN))) {
        *text = "the key may not open objects without a name";
        return REEVE_EPERM;
    }
    if (err != REEVE_OK)
        return err;
    *out = create_object(mgr, args);
    object_own(mgr, *out, s->principal);
    (*out)->durable = args->durable;
    ref = object_hold(mgr, s, *out);
    ref->creator = true;
    object_judge(ref, mgr_principal(mgr, s->principal));
    return REEVE_OK;
}

void object_on_open(struct mgr *mgr, struct session *s, uint64_t number, const struct rv_call *msg)
{
    struct rv_object_open_args args;
    struct object *o = NULL;
    struct ref *ref = NULL;
    uint32_t rights = 0;
    bool created = false;

    rv_assert(rv_object_open_args_decode(&args, msg->args));
    rights = rights_on(mgr_principal(mgr, s->principal), args.name);
    if (args.name.len > RV_LIMIT_NAME_BYTES) {
        mgr_reply_text(mgr, s, number, REEVE_ELIMIT, "a name has at most 255 bytes");
        return;
    }
    if (args.create > 2 ||
        (args.create != 0 &&
         (object_ops_of(args.kind) == NULL || object_ops_of(args.kind)->create == NULL ||
          args.order > RV_ORDER_PRIORITY || args.durable > RV_DURABLE_SYNC))) {
        mgr_reply_text(mgr, s, number, REEVE_EINVAL, "no such type of object");
        return;
    }
    if (args.name.len > 0)
        o = object_named(mgr, args.name);
    if (o == NULL && args.create == 0) {
        mgr_reply_text(mgr, s, number, REEVE_ENOENT, NULL);
        return;
    }
    if (o != NULL && args.create == 2) {
        mgr_reply_text(mgr, s, number, REEVE_EEXIST, "the name is taken");
        return;
    }
    if (o == NULL ? !(rights & RIGHT_BIT(RV_RIGHT_OPEN))
                  : (rights & ~RIGHT_BIT(RV_RIGHT_NONE)) == 0) {
        char text[256];

        snprintf(text, sizeof text, "key %s has no right %s on this name",
                 mgr_principal_name(mgr, s->principal), o == NULL ? "open" : "of any kind");
        mgr_refused(mgr, s, msg, REEVE_EPERM);
        mgr_reply_text(mgr, s, number, REEVE_EPERM, text);
        return;
    }
    if (o != NULL && args.create == 1 &&
        (o->kind != args.kind || !o->ops->fits(o, &args) ||
         (args.durable != RV_DURABLE_DEFAULT && args.durable != o->durable))) {
        mgr_reply_text(mgr, s, number, o->kind == args.kind ? REEVE_EEXIST : REEVE_ETYPE, NULL);
        return;
    }
    if (o == NULL && object_ops_of(args.kind)->refuse != NULL &&
        object_ops_of(args.kind)->refuse(&args) != NULL) {
        mgr_reply_text(mgr, s, number, REEVE_EINVAL, object_ops_of(args.kind)->refuse(&args));
        return;
    }
    if (o == NULL && dead_refuse(mgr, s, &args) != NULL) {
        mgr_reply_text(mgr, s, number, REEVE_EINVAL, dead_refuse(mgr, s, &args));
        return;
    }
    if (o == NULL) {
        const char *text = NULL;
        reeve_err err = refuse_more(mgr, s, &args, &text);

        if (err != REEVE_OK) {
            if (err == REEVE_EQUOTA)
                mgr_refused(mgr, s, msg, err);
            mgr_reply_text(mgr, s, number, err, text);
            return;
        }
        o = create_object(mgr, &args);
        object_own(mgr, o, s->principal);
        o->durable = args.durable == RV_DURABLE_DEFAULT ? RV_DURABLE_SYNC : args.durable;
        created = true;
        mgr_say(mgr, RV_INFO, "object.create object=%llu name=\"%s\" maxsize=%u by=%llu",
                (unsigned long long)o->id, o->name == NULL ? "" : o->name, args.maxsize,
                (unsigned long long)s->serial);
    }
    ref = object_hold(mgr, s, o);
    ref->creator = ref->creator || created;
    object_judge(ref, mgr_principal(mgr, s->principal));
    opened(mgr, s, number, o, created);
}

void object_on_close(struct mgr *mgr, struct session *s, uint64_t object)
{
    struct ref *ref = session_ref(s, object);

    if (ref == NULL || ref->count == 0) {
        mgr->refused++;
        return;
    }
    if (--ref->count > 0)
        return;
    if (ref->liens > 0)
        let_go(mgr, s, ref, false);
    else
        object_unref(mgr, s, ref, false);
}

void object_on_release(struct mgr *mgr, struct session *s, uint64_t object)
{
    struct ref *ref = session_ref(s, object);

    if (ref == NULL || ref->liens == 0) {
        mgr->refused++;
        return;
    }
    if (--ref->liens == 0 && ref->count == 0)
        object_unref(mgr, s, ref, false);
}

void object_on_remove(struct mgr *mgr, struct session *s, uint64_t number,
                      const struct rv_call *msg)
{
    struct rv_object_remove_args args;
    struct object *o = NULL;

    rv_assert(rv_object_remove_args_decode(&args, msg->args));
    o = object_named(mgr, args.name);
    if (o == NULL) {
        mgr_reply_text(mgr, s, number, REEVE_ENOENT, NULL);
        return;
    }
    if (!(rights_on(mgr_principal(mgr, s->principal), args.name) & RIGHT_BIT(RV_RIGHT_RM))) {
        mgr_refused(mgr, s, msg, REEVE_EPERM);
        mgr_reply_text(mgr, s, number, REEVE_EPERM, "the key has no right rm on this name");
        return;
    }
    mgr_say(mgr, RV_INFO, "object.remove object=%llu name=\"%s\" by=%llu",
            (unsigned long long)o->id, o->name, (unsigned long long)s->serial);
    o->removed = true;
    o->ops->removed(mgr, o);
    unname(mgr, o);
    mgr_reply_text(mgr, s, number, REEVE_OK, NULL);
    object_maybe_free(mgr, o);
}
