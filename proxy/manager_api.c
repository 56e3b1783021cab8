/* manager_api.c -- questions and orders to the manager itself. */

#include "common/value/value.h"
#include "proxy/context.h"

#include <reeve/value.h>

/* A read of the manager: *result is the caller's to free on REEVE_OK. */
static reeve_err ask(reeve_context *ctx, uint16_t op, const struct rv_buf *args,
                     uint32_t timeout_ms, const char *verb, struct rv_buf *result)
{
    reeve_err err = rv_enter(ctx, verb, "the manager");

    *result = (struct rv_buf){0};
    if (err != REEVE_OK)
        return err;
    err = rv_finish(ctx, args->bad ? NULL : rv_link_read(&ctx->link, op, 0, rv_buf_slice(args)),
                    timeout_ms, verb, "the manager", result);
    rv_leave(ctx);
    if (err != REEVE_OK)
        rv_buf_free(result);
    return err;
}

reeve_err reeve_ping(reeve_context *ctx, uint32_t timeout_ms)
{
    struct rv_buf none = {0};
    struct rv_buf result;
    reeve_err err = ask(ctx, RV_OP_ping, &none, timeout_ms, "reach", &result);

    rv_buf_free(&result);
    return err;
}

/* ---- fields to values ---- */

static void put_key(reeve_builder *b, const char *key)
{
    (void)reeve_put_str(b, key);
}

static void put_slice(reeve_builder *b, const char *key, struct rv_slice text)
{
    put_key(b, key);
    if (rv_utf8_valid(text))
        (void)reeve_put_strn(b, (const char *)text.data, text.len);
    else
        (void)reeve_put_bytes(b, text.data, text.len);
}

static void put_number(reeve_builder *b, const char *key, uint64_t x)
{
    put_key(b, key);
    (void)reeve_put_uint(b, x);
}

static void put_truth(reeve_builder *b, const char *key, bool x)
{
    put_key(b, key);
    (void)reeve_put_bool(b, x);
}

static reeve_err to_value(reeve_value **out, reeve_builder *b)
{
    struct rv_slice bytes;
    reeve_err err = rv_builder_bytes(b, &bytes);

    if (err == REEVE_OK)
        err = rv_value_parse(out, bytes);
    return err == REEVE_OK ? err : rv_fail(err, "cannot make a value of the manager's answer");
}

static reeve_err malformed(void)
{
    return rv_fail(REEVE_EPROTO, "cannot read the manager's answer: malformed");
}

reeve_err reeve_status(reeve_value **out, reeve_context *ctx, uint32_t timeout_ms)
{
    struct rv_buf none = {0};
    struct rv_buf result;
    struct rv_status_result st;
    reeve_builder *b = NULL;
    char store[33];
    reeve_err err = REEVE_OK;

    *out = NULL;
    err = ask(ctx, RV_OP_status, &none, timeout_ms, "ask", &result);
    if (err != REEVE_OK)
        return err;
    if (!rv_status_result_decode(&st, rv_buf_slice(&result))) {
        rv_buf_free(&result);
        return malformed();
    }
    for (size_t i = 0; i < sizeof st.store.bytes; i++) {
        static const char hex[] = "0123456789abcdef";

        store[2 * i] = hex[st.store.bytes[i] >> 4];
        store[2 * i + 1] = hex[st.store.bytes[i] & 15];
    }
    b = reeve_builder_new();
    (void)reeve_put_map(b, 25);
    put_slice(b, "server", st.server);
    put_slice(b, "store", rv_slice(store, 32));
    put_number(b, "term", st.term);
    put_number(b, "uptime_ms", st.uptime_ms);
    put_slice(b, "durable", st.durable);
    put_number(b, "sessions", st.sessions);
    put_number(b, "attached", st.attached);
    put_number(b, "objects", st.objects);
    put_number(b, "queued", st.queued);
    put_number(b, "queued_bytes", st.queued_bytes);
    put_number(b, "commands", st.commands);
    put_number(b, "puts", st.puts);
    put_number(b, "gets", st.gets);
    put_number(b, "redelivered", st.redelivered);
    put_number(b, "refused", st.refused);
    put_number(b, "full", st.full);
    put_number(b, "log_records", st.log_records);
    put_number(b, "log_groups", st.log_groups);
    put_number(b, "log_flushes", st.log_flushes);
    put_number(b, "log_latency_ns", st.log_latency_ns);
    put_number(b, "log_bytes", st.log_bytes);
    put_number(b, "snapshots", st.snapshots);
    put_number(b, "snapshot_index", st.snapshot_index);
    put_number(b, "snapshot_bytes", st.snapshot_bytes);
    put_number(b, "dead", st.dead);
    err = to_value(out, b);
    reeve_builder_free(&b);
    rv_buf_free(&result);
    return err;
}

/* ---- listings: page after page, until an empty one comes ---- */

static const char *kind_of(uint8_t kind)
{
    static const char *const kinds[] = {
        [RV_KIND_QUEUE] = "Queue",
        [RV_KIND_LOCK] = "Lock",
        [RV_KIND_RLOCK] = "RLock",
        [RV_KIND_SEMAPHORE] = "Semaphore",
        [RV_KIND_BOUNDED_SEMAPHORE] = "BoundedSemaphore",
        [RV_KIND_CONDITION] = "Condition",
        [RV_KIND_EVENT] = "Event",
        [RV_KIND_BARRIER] = "Barrier",
        [RV_KIND_DICT] = "dict",
        [RV_KIND_SET] = "set",
        [RV_KIND_LIST] = "list",
        [RV_KIND_VALUE] = "Value",
        [RV_KIND_ARRAY] = "Array",
        [RV_KIND_NAMESPACE] = "Namespace",
        [RV_KIND_JOB] = "Job",
    };

    return kind < rv_countof(kinds) && kinds[kind] != NULL ? kinds[kind] : "?";
}

static const char *type_of(const struct rv_object_row *row)
{
    static const char *const orders[] = {"Queue", "LifoQueue", "PriorityQueue"};

    if (row->kind != RV_KIND_QUEUE)
        return kind_of(row->kind);
    if (row->order >= rv_countof(orders))
        return "?";
    return row->order == RV_ORDER_FIFO && row->joinable ? "JoinableQueue" : orders[row->order];
}

static void put_object(reeve_builder *b, const struct rv_object_row *row)
{
    static const char *const orders[] = {"fifo", "lifo", "priority"};
    static const char *const levels[] = {
        [RV_DURABLE_NONE] = "none", [RV_DURABLE_OS] = "os", [RV_DURABLE_SYNC] = "sync"};
    uint8_t level = row->durable == RV_DURABLE_DEFAULT ? RV_DURABLE_SYNC : row->durable;

    (void)reeve_put_map(b, 20);
    put_number(b, "object", row->object);
    put_slice(b, "name", row->name);
    put_slice(b, "type", rv_slice_str(type_of(row)));
    put_slice(b, "order", rv_slice_str(row->order < 3 ? orders[row->order] : "?"));
    put_truth(b, "joinable", row->joinable != 0);
    put_number(b, "maxsize", row->maxsize);
    put_number(b, "size", row->size);
    put_number(b, "bytes", row->bytes);
    put_number(b, "unfinished", row->unfinished);
    put_number(b, "getters", row->getters);
    put_number(b, "putters", row->putters);
    put_number(b, "refs", row->refs);
    put_truth(b, "shutdown", row->shutdown != 0);
    put_number(b, "later", row->later);
    put_number(b, "deliveries", row->deliveries);
    put_slice(b, "dead", row->dead);
    put_slice(b, "typecode", rv_slice(&row->typecode, row->typecode == 0 ? 0 : 1));
    put_number(b, "ttl_ms", row->ttl_ms);
    put_slice(b, "durable", rv_slice_str(level < rv_countof(levels) ? levels[level] : "?"));
    put_number(b, "max_bytes", row->most);
}

static void put_debug(reeve_builder *b, const struct rv_debug_row *row)
{
    (void)reeve_put_map(b, 6);
    put_number(b, "object", row->object);
    put_slice(b, "name", row->name);
    put_slice(b, "type", rv_slice_str(kind_of(row->kind)));
    put_number(b, "refs", row->refs);
    put_number(b, "nested", row->nested);
    put_truth(b, "lost", row->lost != 0);
}

static void put_session(reeve_builder *b, const struct rv_session_row *row)
{
    (void)reeve_put_map(b, 9);
    put_number(b, "session", row->session);
    put_slice(b, "key", row->principal);
    put_slice(b, "host", row->host_name);
    put_slice(b, "program", row->program);
    put_number(b, "pid", row->pid);
    put_truth(b, "attached", row->attached != 0);
    put_number(b, "waiting", row->parked);
    put_number(b, "held", row->held);
    put_number(b, "calls", row->calls);
}

/* Rows of all pages, each with its u32 length; *count of them. */
static reeve_err collect(reeve_context *ctx, bool objects, const char *prefix, uint32_t timeout_ms,
                         struct rv_buf *rows, size_t *count)
{
    struct rv_buf last = {0};
    uint64_t last_session = 0;
    reeve_err err = REEVE_OK;
    bool more = true;

    while (err == REEVE_OK && more) {
        struct rv_buf args = {0};
        struct rv_buf result;
        struct rv_object_list_result page;
        struct rv_reader r;
        struct rv_slice bytes;

        if (objects)
            rv_object_list_args_encode(
                &args, &(struct rv_object_list_args){rv_slice_str(prefix), rv_buf_slice(&last), 0});
        else
            rv_session_list_args_encode(&args, &(struct rv_session_list_args){last_session, 0});
        err = ask(ctx, objects ? RV_OP_object_list : RV_OP_session_list, &args, timeout_ms, "list",
                  &result);
        rv_buf_free(&args);
        if (err != REEVE_OK)
            break;
        if (!rv_object_list_result_decode(&page, rv_buf_slice(&result))) {
            rv_buf_free(&result);
            err = malformed();
            break;
        }
        more = page.count > 0; /* a page may be full by its bytes, too */
        *count += page.count;
        rv_buf_add(rows, page.rows.data, page.rows.len);
        for (r = rv_reader(page.rows); rv_row_next(&r, &bytes);) {
            struct rv_object_row object;
            struct rv_session_row session;

            if (objects && rv_object_row_decode(&object, bytes)) {
                rv_buf_clear(&last);
                rv_buf_add(&last, object.name.data, object.name.len);
            } else if (!objects && rv_session_row_decode(&session, bytes)) {
                last_session = session.session;
            }
        }
        rv_buf_free(&result);
        if (rows->bad || last.bad)
            err = rv_fail(REEVE_ENOMEM, "cannot list the manager: out of memory");
    }
    rv_buf_free(&last);
    return err;
}

static reeve_err list(reeve_value **out, reeve_context *ctx, bool objects, const char *prefix,
                      uint32_t timeout_ms)
{
    struct rv_buf rows = {0};
    struct rv_reader r;
    struct rv_slice bytes;
    size_t count = 0;
    reeve_builder *b = NULL;
    reeve_err err = REEVE_OK;

    *out = NULL;
    err = collect(ctx, objects, prefix, timeout_ms, &rows, &count);
    if (err == REEVE_OK) {
        b = reeve_builder_new();
        (void)reeve_put_array(b, count);
        for (r = rv_reader(rv_buf_slice(&rows)); rv_row_next(&r, &bytes);) {
            struct rv_object_row object;
            struct rv_session_row session;

            if (objects && rv_object_row_decode(&object, bytes))
                put_object(b, &object);
            else if (!objects && rv_session_row_decode(&session, bytes))
                put_session(b, &session);
        }
        err = to_value(out, b);
        reeve_builder_free(&b);
    }
    rv_buf_free(&rows);
    return err;
}

reeve_err reeve_objects(reeve_value **out, reeve_context *ctx, const char *prefix,
                        uint32_t timeout_ms)
{
    return list(out, ctx, true, prefix, timeout_ms);
}

reeve_err reeve_sessions(reeve_value **out, reeve_context *ctx, uint32_t timeout_ms)
{
    return list(out, ctx, false, NULL, timeout_ms);
}

/* ---- who holds, who waits ---- */

static void put_why(reeve_builder *b, const struct rv_why_row *row)
{
    static const char *const roles[] = {[RV_ROLE_HOLDS] = "holds",
                                        [RV_ROLE_WAITS] = "waits",
                                        [RV_ROLE_SLEEPS] = "sleeps",
                                        [RV_ROLE_DIED] = "died"};

    (void)reeve_put_map(b, 14);
    put_number(b, "object", row->object);
    put_slice(b, "name", row->name);
    put_slice(b, "type", rv_slice_str(kind_of(row->kind)));
    put_slice(b, "role", rv_slice_str(row->role < rv_countof(roles) ? roles[row->role] : "?"));
    put_number(b, "session", row->session);
    put_number(b, "thread", row->thread);
    put_slice(b, "key", row->principal);
    put_slice(b, "host", row->host_name);
    put_slice(b, "program", row->program);
    put_number(b, "pid", row->pid);
    put_number(b, "since_ms", row->since_ms);
    put_number(b, "count", row->count);
    put_number(b, "fence", row->fence);
    put_number(b, "cycle", row->cycle);
}

reeve_err reeve_why(reeve_value **out, reeve_context *ctx, const char *name, uint64_t session,
                    uint32_t timeout_ms)
{
    struct rv_buf args = {0};
    struct rv_buf result;
    struct rv_object_list_result page;
    struct rv_reader r;
    struct rv_slice bytes;
    reeve_builder *b = NULL;
    reeve_err err = REEVE_OK;

    *out = NULL;
    rv_why_args_encode(&args, &(struct rv_why_args){rv_slice_str(name), session, 0});
    err = ask(ctx, RV_OP_why, &args, timeout_ms, "ask", &result);
    rv_buf_free(&args);
    if (err != REEVE_OK)
        return err;
    if (!rv_object_list_result_decode(&page, rv_buf_slice(&result))) {
        rv_buf_free(&result);
        return malformed();
    }
    b = reeve_builder_new();
    (void)reeve_put_array(b, page.count);
    for (r = rv_reader(page.rows); rv_row_next(&r, &bytes);) {
        struct rv_why_row row;

        if (rv_why_row_decode(&row, bytes))
            put_why(b, &row);
    }
    err = to_value(out, b);
    reeve_builder_free(&b);
    rv_buf_free(&result);
    return err;
}

/* ---- jobs and agents ---- */

static void put_job(reeve_builder *b, const struct rv_job_row *row)
{
    (void)reeve_put_map(b, 17);
    put_number(b, "job", row->job);
    put_slice(b, "name", row->name);
    put_slice(b, "function", row->function);
    put_slice(b, "key", row->owner);
    put_truth(b, "ended", row->ended != 0);
    put_key(b, "total");
    if (row->total == UINT64_MAX)
        (void)reeve_put_nil(b);
    else
        (void)reeve_put_uint(b, row->total);
    put_number(b, "given", row->put);
    put_number(b, "done", row->done);
    put_number(b, "failed", row->failed);
    put_number(b, "running", row->running);
    put_number(b, "retried", row->retried);
    put_number(b, "again", row->again);
    put_number(b, "agents", row->agents);
    put_number(b, "slots", row->slots);
    put_number(b, "age_ms", row->age_ms);
    put_number(b, "bytes", row->bytes);
    put_slice(b, "text", row->text);
}

static void put_agent(reeve_builder *b, const struct rv_agent_row *row)
{
    (void)reeve_put_map(b, 12);
    put_number(b, "agent", row->agent);
    put_slice(b, "name", row->name);
    put_slice(b, "host", row->host);
    put_slice(b, "labels", row->labels);
    put_number(b, "pid", row->pid);
    put_number(b, "slots", row->slots);
    put_number(b, "busy", row->busy);
    put_number(b, "chunks", row->chunks);
    put_number(b, "done", row->done);
    put_number(b, "crashed", row->crashed);
    put_truth(b, "attached", row->attached != 0);
    put_truth(b, "draining", row->draining != 0);
}

static void put_log(reeve_builder *b, const struct rv_log_row *row)
{
    static const char *const ends[] = {"ok",      "failed", "crashed", "exited",
                                       "timeout", "toobig", "never"};

    (void)reeve_put_map(b, 8);
    put_number(b, "item", row->index);
    put_slice(b, "status", rv_slice_str(row->status < rv_countof(ends) ? ends[row->status] : "?"));
    put_number(b, "runs", row->runs);
    put_slice(b, "agent", row->agent);
    put_number(b, "pid", row->pid);
    put_key(b, "code");
    (void)reeve_put_int(b, row->code);
    put_slice(b, "text", row->text);
    put_key(b, "output");
    (void)reeve_put_bytes(b, row->output.data, row->output.len);
}

/* One row into the builder; its number, by which the next page is asked for. */
static uint64_t put_row(reeve_builder *b, uint16_t op, struct rv_slice bytes)
{
    struct rv_job_row job;
    struct rv_agent_row agent;
    struct rv_log_row log;
    struct rv_debug_row debug;

    if (op == RV_OP_object_debug && rv_debug_row_decode(&debug, bytes)) {
        put_debug(b, &debug);
        return debug.object;
    }
    if (op == RV_OP_job_list && rv_job_row_decode(&job, bytes)) {
        put_job(b, &job);
        return job.job;
    }
    if (op == RV_OP_agent_list && rv_agent_row_decode(&agent, bytes)) {
        put_agent(b, &agent);
        return agent.agent;
    }
    if (op == RV_OP_job_log && rv_log_row_decode(&log, bytes)) {
        put_log(b, &log);
        return log.number;
    }
    (void)reeve_put_nil(b);
    return UINT64_MAX;
}

static void page_args(struct rv_buf *args, uint16_t op, uint64_t job, const char *name,
                      uint64_t after)
{
    if (op == RV_OP_job_log)
        rv_job_log_args_encode(args, &(struct rv_job_log_args){job, rv_slice_str(name), after, 0});
    else
        rv_job_list_args_encode(args, &(struct rv_job_list_args){after, 0});
}

static void add_row_bytes(struct rv_buf *bytes, struct rv_slice one)
{
    rv_write_number(bytes, one.len, 4);
    rv_buf_add(bytes, one.data, one.len);
}

/* The encodings of so many values become one array: its head, then they. */
static reeve_err rows_to_array(reeve_value **out, reeve_builder *b, struct rv_slice bytes,
                               size_t count)
{
    reeve_err err = reeve_put_array(b, count);
    struct rv_reader r = rv_reader(bytes);

    for (size_t i = 0; i < count && err == REEVE_OK; i++) {
        reeve_value *row = NULL;
        size_t len = (size_t)rv_read_number(&r, 4);
        const uint8_t *at = rv_read(&r, len);

        err = rv_value_parse(&row, rv_slice(at, at == NULL ? 0 : len));
        if (err == REEVE_OK)
            err = reeve_put_value(b, row);
        rv_value_free(&row);
    }
    if (err != REEVE_OK)
        return rv_fail(err, "cannot make a value of the manager's answer");
    return to_value(out, b);
}

/* All rows of all pages as an array. */
static reeve_err list_rows(reeve_value **out, reeve_context *ctx, uint16_t op, uint64_t job,
                           const char *name, uint32_t timeout_ms)
{
    reeve_builder *rows = reeve_builder_new();
    reeve_builder *b = reeve_builder_new();
    struct rv_buf bytes = {0};
    uint64_t after = 0;
    size_t count = 0;
    bool more = true;
    reeve_err err = REEVE_OK;

    *out = NULL;
    while (err == REEVE_OK && more) {
        struct rv_buf args = {0};
        struct rv_buf result;
        struct rv_object_list_result page = {0};
        struct rv_reader r;
        struct rv_slice row;

        page_args(&args, op, job, name, after);
        err = ask(ctx, op, &args, timeout_ms, "list", &result);
        rv_buf_free(&args);
        if (err == REEVE_OK && !rv_object_list_result_decode(&page, rv_buf_slice(&result)))
            err = malformed();
        more = page.count > 0;
        for (r = rv_reader(page.rows); err == REEVE_OK && rv_row_next(&r, &row); count++) {
            struct rv_slice one;

            reeve_builder_reset(rows);
            after = put_row(rows, op, row);
            err = rv_builder_bytes(rows, &one);
            if (err == REEVE_OK)
                add_row_bytes(&bytes, one);
        }
        rv_buf_free(&result);
    }
    if (err == REEVE_OK && bytes.bad)
        err = rv_fail(REEVE_ENOMEM, "cannot list the manager: out of memory");
    if (err == REEVE_OK)
        err = rows_to_array(out, b, rv_buf_slice(&bytes), count);
    reeve_builder_free(&rows);
    reeve_builder_free(&b);
    rv_buf_free(&bytes);
    return err;
}

reeve_err reeve_jobs(reeve_value **out, reeve_context *ctx, uint32_t timeout_ms)
{
    return list_rows(out, ctx, RV_OP_job_list, 0, NULL, timeout_ms);
}

reeve_err reeve_debug_info(reeve_value **out, reeve_context *ctx, uint32_t timeout_ms)
{
    return list_rows(out, ctx, RV_OP_object_debug, 0, NULL, timeout_ms);
}

reeve_err reeve_agents(reeve_value **out, reeve_context *ctx, uint32_t timeout_ms)
{
    return list_rows(out, ctx, RV_OP_agent_list, 0, NULL, timeout_ms);
}

reeve_err reeve_job_logs(reeve_value **out, reeve_context *ctx, uint64_t job, const char *name,
                         uint32_t timeout_ms)
{
    return list_rows(out, ctx, RV_OP_job_log, job, name, timeout_ms);
}

/* ---- orders ---- */

reeve_err reeve_job_cancel(reeve_context *ctx, uint64_t job, const char *name, const char *why,
                           uint32_t timeout_ms)
{
    struct rv_buf args = {0};
    reeve_err err = rv_enter(ctx, "cancel", "the job");

    if (err != REEVE_OK)
        return err;
    rv_job_cancel_args_encode(
        &args, &(struct rv_job_cancel_args){job, rv_slice_str(name), rv_slice_str(why), 0});
    err = rv_finish(ctx,
                    args.bad ? NULL
                             : rv_link_call(&ctx->link, RV_OP_job_cancel, 0, timeout_ms,
                                            rv_buf_slice(&args), NULL, 0),
                    timeout_ms, "cancel", "the job", NULL);
    rv_leave(ctx);
    rv_buf_free(&args);
    return err;
}

reeve_err reeve_remove(reeve_context *ctx, const char *name, uint32_t timeout_ms)
{
    struct rv_buf args = {0};
    reeve_err err = rv_enter(ctx, "remove", name);

    if (err != REEVE_OK)
        return err;
    rv_object_remove_args_encode(&args, &(struct rv_object_remove_args){rv_slice_str(name), 0});
    err = rv_finish(ctx,
                    args.bad ? NULL
                             : rv_link_call(&ctx->link, RV_OP_object_remove, 0, timeout_ms,
                                            rv_buf_slice(&args), NULL, 0),
                    timeout_ms, "remove", name, NULL);
    rv_leave(ctx);
    rv_buf_free(&args);
    return err;
}

reeve_err reeve_shutdown(reeve_context *ctx, uint32_t timeout_ms)
{
    reeve_err err = rv_enter(ctx, "end", "the manager");

    if (err != REEVE_OK)
        return err;
    err = rv_finish(
        ctx, rv_link_call(&ctx->link, RV_OP_shutdown, 0, timeout_ms, rv_slice(NULL, 0), NULL, 0),
        timeout_ms, "end", "the manager", NULL);
    rv_leave(ctx);
    return err;
}
