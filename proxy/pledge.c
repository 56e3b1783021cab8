#include "proxy/pledge.h"

#include "common/value/value.h"
#include "proxy/context.h"
#include "proxy/runner.h"

#include <stdio.h>
#include <stdlib.h>

enum { PLEDGE_MS = 30000 };

static const char verb[] = "pledge";
static const char what[] = "what a result refers to";

/* ---- one context ---- */

static reeve_err check(const reeve_context *ctx, struct rv_slice objects, uint32_t store)
{
    if (store != rv_ref(ctx, 0, 0).store)
        return rv_fail(REEVE_EINVAL, "cannot %s %s: it is an object of another manager", verb,
                       what);
    if (objects.len > RV_LIMIT_ITEM_REFS * 8)
        return rv_fail(REEVE_ELIMIT, "cannot %s %s: more than %d objects", verb, what,
                       RV_LIMIT_ITEM_REFS);
    return REEVE_OK;
}

static reeve_err ask(reeve_context *ctx, const struct reeve_task *task, struct rv_slice objects)
{
    struct rv_buf args = {0};
    struct rv_buf result = {0};
    struct rv_request *call = NULL;
    reeve_err err = REEVE_OK;

    rv_job_pledge_args_encode(
        &args,
        &(struct rv_job_pledge_args){.index = task->index, .run = task->run, .objects = objects});
    if (!args.bad)
        call = rv_link_call(&ctx->link, RV_OP_job_pledge, task->job, PLEDGE_MS, rv_buf_slice(&args),
                            NULL, 0);
    err = rv_finish(ctx, call, PLEDGE_MS, verb, what, &result);
    rv_buf_free(&args);
    rv_buf_free(&result);
    return err;
}

static reeve_err pledge(reeve_context *ctx, const struct reeve_task *task, struct rv_slice objects,
                        uint32_t store)
{
    reeve_err err = rv_enter(ctx, verb, what);

    if (err != REEVE_OK)
        return err;
    err = check(ctx, objects, store);
    if (err == REEVE_OK)
        err = ask(ctx, task, objects);
    rv_leave(ctx);
    return err;
}

/* ---- when the function has returned ---- */

struct attempt {
    const struct reeve_task *task;
    struct rv_slice objects;
    uint32_t store;
    reeve_err err; /* of the last one that could be asked */
    char *why;
    size_t why_len;
};

static bool with(void *arg, reeve_context *ctx)
{
    struct attempt *t = arg;

    if (rv_ref(ctx, 0, 0).store != t->store)
        return false;
    t->err = pledge(ctx, t->task, t->objects, t->store);
    snprintf(t->why, t->why_len, "%s", t->err == REEVE_OK ? "" : reeve_errmsg());
    return t->err == REEVE_OK;
}

/* What came with the item is kept by the job, and needs no session that holds it. */
static void with_own(struct attempt *t)
{
    reeve_context *ctx = NULL;

    if (!rv_is_runner() || getenv(RV_ENV_RELAY) == NULL)
        return;
    t->err = reeve_open(&ctx, NULL);
    if (t->err == REEVE_OK)
        t->err = pledge(ctx, t->task, t->objects, t->store);
    snprintf(t->why, t->why_len, "%s", t->err == REEVE_OK ? "" : reeve_errmsg());
    (void)reeve_close(&ctx);
}

reeve_err rv_pledge(struct reeve_task *task, struct rv_slice objects, uint32_t store, char *why,
                    size_t why_len)
{
    struct attempt t = {task, objects, store, REEVE_ENOENT, why, why_len};

    if (rv_slice_equal(rv_buf_slice(&task->pledged), objects))
        return REEVE_OK;
    snprintf(why, why_len, "cannot %s %s: its process has no session with the manager", verb, what);
    if (!rv_any_open(with, &t))
        with_own(&t);
    return t.err;
}

/* ---- by the function ---- */

reeve_err reeve_task_pledge(reeve_task *task, reeve_context *ctx, const reeve_builder *out)
{
    struct rv_slice bytes;
    struct rv_slice objects;
    uint32_t store = 0;
    reeve_err err = rv_builder_item(out, &bytes, &objects, &store);

    if (err != REEVE_OK)
        return rv_fail(err, "cannot %s %s: it is not one whole value (%s)", verb, what,
                       reeve_strerror(err));
    if (task == NULL || ctx == NULL)
        return rv_fail(REEVE_EINVAL, "cannot %s %s: outside a task", verb, what);
    if (objects.len == 0)
        return REEVE_OK;
    err = pledge(ctx, task, objects, store);
    if (err != REEVE_OK)
        return err;
    rv_buf_clear(&task->pledged);
    rv_buf_add(&task->pledged, objects.data, objects.len); /* without memory it is said twice */
    if (task->pledged.bad) {
        task->pledged.bad = false;
        rv_buf_clear(&task->pledged);
    }
    return REEVE_OK;
}
