/* event.c -- a flag, and who waits for it. */

#include "server/core/sync.h"

struct event {
    struct object object; /* first: an event is an object */
    bool set;
    struct call *waiters;
};

/* Everybody goes on. A set that nobody needs changes nothing. */
static void on_set(struct mgr *mgr, struct event *e)
{
    e->set = true;
    while (e->waiters != NULL) {
        lock_end_call(mgr, e->waiters, REEVE_OK);
        if (RV_MUTANT(EVENT_ONE))
            return;
    }
}

static void on_wait(struct mgr *mgr, struct event *e, const struct incoming *in)
{
    struct rv_event_wait_args args;
    struct call *call = NULL;

    rv_assert(rv_event_wait_args_decode(&args, in->msg->args));
    if (e->set || in->msg->timeout_ms == 0) {
        mgr_reply_text(mgr, in->session, in->number, e->set ? REEVE_OK : REEVE_ETIME, NULL);
        return;
    }
    call = mgr_park_or_refuse(mgr, in, &e->object, &e->waiters);
    if (call != NULL)
        call->thread = args.thread;
}

static void on_call(struct mgr *mgr, struct object *o, struct ref *ref, const struct incoming *in)
{
    struct event *e = (struct event *)o;

    (void)ref;
    switch ((enum rv_op)in->msg->op) {
    case RV_OP_event_wait:
        on_wait(mgr, e, in);
        return;
    case RV_OP_event_set:
        on_set(mgr, e);
        break;
    case RV_OP_event_clear:
        e->set = false;
        break;
    default:
        sync_refuse(mgr, in);
        return;
    }
    mgr_reply_text(mgr, in->session, in->number, REEVE_OK, NULL);
}

static void timeout(struct mgr *mgr, struct call *call)
{
    lock_end_call(mgr, call, REEVE_ETIME);
}

static void drop_ref(struct mgr *mgr, struct ref *ref, bool died)
{
    (void)mgr;
    (void)ref;
    (void)died;
}

static void removed(struct mgr *mgr, struct object *o)
{
    struct event *e = (struct event *)o;

    while (e->waiters != NULL)
        lock_end_call(mgr, e->waiters, REEVE_EGONE);
}

static const char *refuse_open(const struct rv_object_open_args *args)
{
    return args->maxsize == 0 ? NULL : "an event has no number";
}

static struct object *create(struct mgr *mgr, const struct rv_object_open_args *args)
{
    struct event *e = rv_alloc(sizeof *e);

    (void)mgr;
    (void)args;
    return &e->object;
}

static bool fits(const struct object *o, const struct rv_object_open_args *args)
{
    (void)o;
    return args->maxsize == 0;
}

static void free_event(struct mgr *mgr, struct object *o)
{
    struct event *e = (struct event *)o;

    (void)mgr;
    rv_assert(e->waiters == NULL);
    free(e);
}

void event_state(const struct object *o, struct rv_sync_state_result *out)
{
    const struct event *e = (const struct event *)o;
    const struct call *call = NULL;

    out->value = e->set;
    DL_COUNT(e->waiters, call, out->waiting);
}

static void row(const struct object *o, struct rv_object_row *out)
{
    struct rv_sync_state_result state = {0};

    event_state(o, &state);
    out->size = state.value;
    out->getters = state.waiting;
}

static void check(const struct object *o)
{
    const struct event *e = (const struct event *)o;

    rv_assert(!e->set || e->waiters == NULL); /* nobody waits for what has happened */
}

/* ---- in a snapshot ---- */

static struct object *create_empty(void)
{
    struct event *e = rv_alloc(sizeof *e);

    return &e->object;
}

static void save(const struct object *o, struct saver *out)
{
    const struct event *e = (const struct event *)o;

    save_number(out, e->set, 1);
    save_calls(out, o, e->waiters);
}

static void load(struct mgr *mgr, struct object *o, struct rv_reader *in)
{
    struct event *e = (struct event *)o;

    e->set = rv_read_number(in, 1) != 0;
    load_calls(mgr, in, o, &e->waiters);
}

const struct object_ops event_ops = {
    .family = 2,
    .fits = fits,
    .refuse = refuse_open,
    .create = create,
    .call = on_call,
    .end_call = lock_end_call,
    .timeout = timeout,
    .drop_ref = drop_ref,
    .removed = removed,
    .free = free_event,
    .row = row,
    .check = check,
    .create_empty = create_empty,
    .save = save,
    .load = load,
    .save_call = sync_save_call,
    .load_call = sync_load_call,
};
