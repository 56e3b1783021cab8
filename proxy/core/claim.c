#include "proxy/core/claim.h"

static const struct rv_port_ops claims_ops;

static bool counted(const struct rv_claims *c)
{
    return c->kind == RV_KIND_SEMAPHORE || c->kind == RV_KIND_BOUNDED_SEMAPHORE;
}

static bool recursive(const struct rv_claims *c)
{
    return c->kind == RV_KIND_RLOCK || c->kind == RV_KIND_CONDITION;
}

/* ---- what is held ---- */

static struct rv_claim *find(const struct rv_claims *c, uint64_t thread)
{
    struct rv_claim *claim = NULL;

    DL_SEARCH_SCALAR(c->held, claim, thread, thread);
    return claim;
}

struct rv_claim *rv_claims_of(const struct rv_claims *c, uint64_t thread)
{
    struct rv_claim *claim = find(c, thread);

    return claim != NULL && !claim->asleep ? claim : NULL;
}

static void drop(struct rv_claims *c, struct rv_claim *claim)
{
    DL_DELETE(c->held, claim);
    free(claim);
}

static bool add(struct rv_claims *c, uint64_t thread, uint64_t fence)
{
    struct rv_claim *claim = find(c, thread);

    if (claim == NULL) {
        claim = calloc(1, sizeof *claim);
        if (claim == NULL)
            return false;
        claim->thread = thread;
        DL_APPEND(c->held, claim);
    }
    claim->count++;
    claim->fence = fence;
    return true;
}

static reeve_err link_error(const struct rv_claims *c)
{
    return c->link->state == RV_LINK_DEAD ? c->link->error : REEVE_ENOMEM;
}

/* ---- messages without an answer ---- */

static bool say_let_go(struct rv_claims *c, uint64_t thread, uint64_t fence)
{
    struct rv_buf args = {0};
    bool said = false;

    rv_lock_let_go_args_encode(&args, &(struct rv_lock_let_go_args){thread, fence, 0});
    said =
        !args.bad && rv_link_say(c->link, RV_OP_lock_let_go, c->port.object, rv_buf_slice(&args));
    rv_buf_free(&args);
    return said;
}

static bool say_kept(struct rv_claims *c, uint64_t thread, uint64_t fence)
{
    struct rv_buf args = {0};
    bool said = false;

    rv_lock_kept_args_encode(&args, &(struct rv_lock_kept_args){thread, fence, 0});
    said = !args.bad && rv_link_say(c->link, RV_OP_lock_kept, c->port.object, rv_buf_slice(&args));
    rv_buf_free(&args);
    return said;
}

bool rv_claims_guard(struct rv_claims *c, uint64_t fence)
{
    struct rv_buf args = {0};
    bool said = false;

    rv_lock_guard_args_encode(&args, &(struct rv_lock_guard_args){fence, 0});
    said = !args.bad && rv_link_say(c->link, RV_OP_lock_guard, c->port.object, rv_buf_slice(&args));
    rv_buf_free(&args);
    return said;
}

/* ---- leases ---- */

/* An idle lease may be what others wait for. A release that is late is not worth it: it leaves soon. */
static void set_asked(struct rv_claims *c, bool asked)
{
    c->link->asked_back += (size_t)asked - (size_t)c->asked;
    c->asked = asked;
}

/* The lease ends: it goes back, or to the thread that uses it. Without memory it stays, and the next
 * release tries again. */
void rv_claims_settle(struct rv_claims *c)
{
    if (!c->lease)
        return;
    if (c->held == NULL ? say_let_go(c, 0, c->lease_fence)
                        : say_kept(c, c->held->thread, c->lease_fence))
        c->lease = RV_MUTANT(LEASE_KEPT);
}

/* A release that was late is so no longer. */
static void hurry(struct rv_claims *c)
{
    c->port.tick_at = RV_NEVER;
    c->link->urgent = c->link->out.next - 1;
}

static void on_push(struct rv_port *port, rv_ns now, const struct rv_push *push,
                    const struct rv_slice *bodies, size_t bodies_len, size_t *frames)
{
    struct rv_claims *c = (struct rv_claims *)port;
    struct rv_lock_recall_args args;
    struct rv_claim *claim = NULL;

    (void)now;
    (void)bodies;
    (void)bodies_len;
    (void)frames;
    if (push->op != RV_OP_lock_recall || !rv_lock_recall_args_decode(&args, push->args))
        return;
    set_asked(c, false);
    DL_SEARCH_SCALAR(c->held, claim, fence, args.fence);
    if (args.revoked != 0) {
        if (claim != NULL && --claim->count == 0)
            drop(c, claim);
    } else if (claim == NULL) {
        hurry(c);
    } else if (claim->late) {
        claim->late = !say_kept(c, claim->thread, args.fence);
    }
    if (!c->lease || c->lease_fence != args.fence)
        return; /* it was given back meanwhile */
    if (args.revoked != 0)
        c->lease = false;
    else
        rv_claims_settle(c);
}

/* ---- acquire ---- */

reeve_err rv_claims_acquire_here(struct rv_claims *c, uint64_t thread)
{
    struct rv_claim *claim = rv_claims_of(c, thread);

    if (recursive(c) && claim != NULL) {
        if (claim->count == RV_LIMIT_LEVELS)
            return REEVE_ELIMIT;
        claim->count++;
        return REEVE_OK;
    }
    if (!c->lease || c->held != NULL || c->link->state == RV_LINK_DEAD)
        return REEVE_ETIME;
    return add(c, thread, c->lease_fence) ? REEVE_OK : REEVE_ENOMEM;
}

static bool succeeded(const struct rv_outcome *outcome)
{
    return outcome->error == REEVE_OK || outcome->error == REEVE_OWNER_DIED;
}

/* It is the thread's from here on, so that a recall behind this answer finds it so. */
static void acquired(struct rv_link *link, struct rv_request *call, rv_ns now,
                     const struct rv_outcome *outcome)
{
    struct rv_claims *c = call->arg;
    struct rv_lock_acquire_result got;

    (void)link;
    (void)now;
    if (call->abandoned || !succeeded(outcome))
        return; /* the cancel that is on its way undoes it */
    if (!rv_lock_acquire_result_decode(&got, outcome->result)) {
        call->error = REEVE_EPROTO;
        return;
    }
    if (!add(c, call->thread, got.fence)) {
        (void)say_let_go(c, call->thread, got.fence);
        call->error = REEVE_ENOMEM;
        return;
    }
    set_asked(c, got.leased == RV_GRANT_LEASE);
    if (got.leased == RV_GRANT_LATE)
        find(c, call->thread)->late = true;
    if (got.leased == RV_GRANT_LEASE) {
        c->lease = true;
        c->lease_fence = got.fence;
    }
}

struct rv_request *rv_claims_acquire(struct rv_claims *c, uint64_t thread, uint32_t timeout_ms,
                                     bool no_cycle)
{
    struct rv_buf args = {0};
    struct rv_request *call = NULL;

    rv_lock_acquire_args_encode(&args,
                                &(struct rv_lock_acquire_args){
                                    .thread = thread,
                                    .flags = (uint8_t)((c->leases ? RV_LOCK_LEASE : RV_LOCK_LATE) |
                                                       (no_cycle ? RV_LOCK_NO_CYCLE : 0))});
    if (!args.bad)
        call = rv_link_call(c->link, RV_OP_lock_acquire, c->port.object, timeout_ms,
                            rv_buf_slice(&args), NULL, 0);
    if (call != NULL) {
        call->hook = acquired;
        call->arg = c;
        call->thread = thread;
    }
    rv_buf_free(&args);
    return call;
}

/* ---- release ---- */

/* Nobody is known to wait for it. */
static bool say_late(struct rv_claims *c, rv_ns now, const struct rv_claim *claim)
{
    uint64_t urgent = c->link->urgent;

    if (!say_let_go(c, claim->thread, claim->fence))
        return false;
    c->link->urgent = urgent;
    c->port.tick_at = rv_after_ms(now, RV_LIMIT_TAKE_MS);
    return true;
}

reeve_err rv_claims_release(struct rv_claims *c, rv_ns now, uint64_t thread)
{
    struct rv_claim *claim = rv_claims_of(c, thread);

    if (claim == NULL && !recursive(c))
        DL_SEARCH_SCALAR(c->held, claim, asleep, false);
    if (claim == NULL)
        return REEVE_ENOENT;
    if (recursive(c) && claim->count > 1 && !RV_MUTANT(RLOCK_FLAT)) {
        claim->count--;
        return REEVE_OK;
    }
    if (c->link->state == RV_LINK_DEAD ||
        (!c->lease &&
         !(claim->late ? say_late(c, now, claim) : say_let_go(c, claim->thread, claim->fence))))
        return link_error(c);
    if (--claim->count == 0)
        drop(c, claim);
    return REEVE_OK;
}

struct rv_request *rv_claims_ask_release(struct rv_claims *c, uint64_t thread)
{
    struct rv_buf args = {0};
    struct rv_request *call = NULL;

    rv_claims_settle(c); /* the manager must not take the thread of the lease for the owner */
    rv_lock_release_args_encode(&args, &(struct rv_lock_release_args){thread, 0});
    if (!args.bad)
        call = rv_link_call(c->link, RV_OP_lock_release, c->port.object, UINT32_MAX,
                            rv_buf_slice(&args), NULL, 0);
    rv_buf_free(&args);
    return call;
}

void rv_claims_abandon(struct rv_claims *c, uint64_t thread)
{
    struct rv_claim *claim = find(c, thread);
    struct rv_buf args = {0};

    if (claim == NULL)
        return;
    rv_claims_settle(c);
    rv_lock_abandon_args_encode(&args, &(struct rv_lock_abandon_args){thread, 0});
    if (!args.bad)
        (void)rv_link_say(c->link, RV_OP_lock_abandon, c->port.object, rv_buf_slice(&args));
    rv_buf_free(&args);
    drop(c, claim);
}

/* ---- conditions ---- */

static void awoke(struct rv_link *link, struct rv_request *call, rv_ns now,
                  const struct rv_outcome *outcome)
{
    struct rv_claims *c = call->arg;
    struct rv_claim *claim = NULL;
    struct rv_condition_wait_result got;

    (void)link;
    (void)now;
    rv_buf_add(&call->result, outcome->result.data, outcome->result.len);
    if (call->abandoned)
        return;
    claim = find(c, call->thread);
    if (claim == NULL)
        return;
    if (succeeded(outcome) && rv_condition_wait_result_decode(&got, outcome->result)) {
        claim->fence = got.fence;
        claim->asleep = claim->late = false;
    } else if (outcome->error == REEVE_ELIMIT || outcome->error == REEVE_EINVAL ||
               outcome->error == REEVE_EQUOTA || outcome->error == REEVE_EPERM) {
        claim->asleep = false; /* it never slept */
    } else {
        drop(c, claim);
    }
}

struct rv_request *rv_claims_sleep(struct rv_claims *c, uint64_t condition, uint64_t thread,
                                   uint32_t timeout_ms, bool *owner)
{
    struct rv_claim *claim = rv_claims_of(c, thread);
    struct rv_buf args = {0};
    struct rv_request *call = NULL;

    *owner = claim != NULL;
    if (claim == NULL)
        return NULL;
    rv_claims_settle(c);
    if (!c->lease)
        rv_condition_wait_args_encode(
            &args, &(struct rv_condition_wait_args){
                       .thread = thread, .lock = condition == c->port.object ? 0 : c->port.object});
    if (args.len > 0 && !args.bad)
        call = rv_link_call(c->link, RV_OP_condition_wait, condition, timeout_ms,
                            rv_buf_slice(&args), NULL, 0);
    if (call != NULL) {
        claim->asleep = true;
        call->hook = awoke;
        call->arg = c;
        call->thread = thread;
    }
    rv_buf_free(&args);
    return call;
}

/* ---- life ---- */

reeve_err rv_claims_init(struct rv_claims *c, struct rv_link *link, uint64_t object, uint8_t kind,
                         bool leases)
{
    *c = (struct rv_claims){
        .port = {.object = object, .ops = &claims_ops, .tick_at = RV_NEVER},
        .link = link,
        .kind = kind,
        .leases = leases,
    };
    rv_assert(!leases || !counted(c));
    return rv_link_add_port(link, &c->port) ? REEVE_OK : REEVE_ENOMEM;
}

void rv_claims_fini(struct rv_claims *c)
{
    if (c->held == NULL)
        rv_claims_settle(c);
    (void)rv_link_say(c->link, RV_OP_object_close, c->port.object, rv_slice(NULL, 0));
    rv_link_drop_port(c->link, &c->port);
    set_asked(c, false);
    while (c->held != NULL)
        drop(c, c->held);
}

static void on_tick(struct rv_port *port, rv_ns now)
{
    (void)now;
    hurry((struct rv_claims *)port);
}

static void on_dead(struct rv_port *port)
{
    ((struct rv_claims *)port)->lease = false;
    set_asked((struct rv_claims *)port, false);
}

static const struct rv_port_ops claims_ops = {.push = on_push, .tick = on_tick, .dead = on_dead};

struct rv_claims *rv_claims_find(const struct rv_link *link, uint64_t object)
{
    struct rv_port *port = rv_link_port(link, object);

    return port != NULL && port->ops == &claims_ops ? (struct rv_claims *)port : NULL;
}
