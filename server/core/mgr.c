#include "server/core/queue.h"

#include <stdarg.h>
#include <stdio.h>

/* ---- saying what happened ---- */

void mgr_say(struct mgr *mgr, int level, const char *format, ...)
{
    char line[1024];
    va_list args;

    if (mgr->conf.sink.line == NULL)
        return;
    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    mgr->conf.sink.line(mgr->conf.sink.arg, level, line);
}

static char *text_of(struct rv_slice text)
{
    char *copy = rv_alloc(text.len + 1);

    if (text.len > 0)
        memcpy(copy, text.data, text.len);
    return copy;
}

/* ---- effects ---- */

static void note_output(struct mgr *mgr, struct session *s)
{
    if (s->output)
        return;
    s->output = true;
    outbox_add(mgr->out, (struct effect){.type = EFFECT_OUTPUT, .session = s->serial});
}

void mgr_reply(struct mgr *mgr, struct session *s, uint64_t number, reeve_err error,
               const char *text, struct rv_slice result, struct rv_body *const *bodies,
               size_t bodies_len)
{
    struct rv_msg msg = {.type = RV_MSG_reply,
                         .reply = {.call = number,
                                   .error = (uint32_t)error,
                                   .text = rv_slice_str(text),
                                   .result = result}};

    rv_assert(rv_stream_add(&s->out, &msg, bodies, bodies_len) != 0);
    note_output(mgr, s);
}

void mgr_push(struct mgr *mgr, struct session *s, uint16_t op, uint64_t object,
              struct rv_slice args, struct rv_body *const *bodies, size_t bodies_len)
{
    struct rv_msg msg = {.type = RV_MSG_push, .push = {.op = op, .object = object, .args = args}};

    rv_assert(rv_stream_add(&s->out, &msg, bodies, bodies_len) != 0);
    note_output(mgr, s);
}

static void answer(struct mgr *mgr, struct session *s, uint64_t id, reeve_err error,
                   const char *text, struct rv_slice result)
{
    struct rv_msg msg = {
        .type = RV_MSG_answer,
        .answer = {
            .id = id, .error = (uint32_t)error, .text = rv_slice_str(text), .result = result}};
    size_t at = mgr->out->bytes.len;

    rv_msg_encode(&mgr->out->bytes, &msg);
    outbox_add(mgr->out, (struct effect){.type = EFFECT_ANSWER,
                                         .session = s->serial,
                                         .at = at,
                                         .len = mgr->out->bytes.len - at});
}

static void refuse(struct mgr *mgr, uint64_t peer, reeve_err error, const char *text)
{
    size_t at = mgr->out->bytes.len;

    mgr->refused++;
    rv_buf_add(&mgr->out->bytes, text, strlen(text));
    outbox_add(mgr->out, (struct effect){.type = EFFECT_REFUSE,
                                         .peer = peer,
                                         .error = error,
                                         .at = at,
                                         .len = mgr->out->bytes.len - at});
}

/* ---- parked calls ---- */

struct call *mgr_park(struct mgr *mgr, struct session *s, const struct rv_call *msg,
                      uint64_t number, struct object *object, struct call **list)
{
    struct call *call = NULL;

    if (HASH_COUNT(s->calls) >= RV_LIMIT_PARKED)
        return NULL;
    call = rv_alloc(sizeof *call);
    call->session = s;
    call->number = number;
    call->op = msg->op;
    call->object = object;
    call->list = list;
    call->timer.kind = TIMER_CALL;
    if (!RV_MUTANT(TIMEOUT_IGNORED))
        rv_heap_set(&mgr->heap, &call->timer, rv_after_ms(mgr->now, msg->timeout_ms));
    DL_APPEND(*list, call);
    HASH_ADD(hh, s->calls, number, sizeof call->number, call);
    /* Whoever waits here is not using what it was granted elsewhere. */
    if (s->ahead > 0) {
        struct ref *ref = NULL;
        struct ref *next = NULL;

        HASH_ITER (hh, s->refs, ref, next) {
            if (ref->object != object && ref->object->kind == RV_KIND_QUEUE)
                queue_recall_idle(mgr, ref);
        }
    }
    return call;
}

void mgr_unpark(struct mgr *mgr, struct call *call)
{
    rv_heap_cancel(&mgr->heap, &call->timer);
    DL_DELETE(*call->list, call);
    HASH_DELETE(hh, call->session->calls, call);
    queue_drop_items(mgr, &call->items);
    call->session->parked_bytes -= call->bytes;
    free(call);
}

/* ---- principals ---- */

const struct principal *mgr_principal(const struct mgr *mgr, uint32_t id)
{
    return id < mgr->principals_len ? mgr->principals[id] : NULL;
}

bool mgr_knows(const struct mgr *mgr, uint32_t principal)
{
    return mgr_principal(mgr, principal) != NULL;
}

static void free_principal(struct principal *p)
{
    if (p == NULL)
        return;
    free(p->name);
    free(p->role);
    free(p->rights);
    free(p);
}

static void on_principal(struct mgr *mgr, const struct command *cmd)
{
    struct rv_principal_row row;
    struct principal *p = NULL;

    rv_assert(rv_principal_row_decode(&row, cmd->bytes));
    if (row.id >= mgr->principals_len) {
        size_t len = (size_t)row.id + 1;

        mgr->principals = rv_realloc(mgr->principals, len * sizeof(struct principal *));
        while (mgr->principals_len < len)
            mgr->principals[mgr->principals_len++] = NULL;
    }
    free_principal(mgr->principals[row.id]);
    mgr->principals[row.id] = NULL;
    if (row.role.len == 0)
        return;
    p = rv_alloc(sizeof *p);
    *p = (struct principal){row.id, text_of(row.name), text_of(row.role), text_of(row.rights)};
    mgr->principals[row.id] = p;
}

static const char *name_of(const struct mgr *mgr, uint32_t principal)
{
    const struct principal *p = mgr_principal(mgr, principal);

    return p == NULL ? "?" : p->name;
}

/* ---- objects ---- */

static struct object *find_name(const struct mgr *mgr, struct rv_slice name)
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

static void free_object(struct mgr *mgr, struct object *o)
{
    rv_assert(o->refs == 0);
    mgr_say(mgr, RV_INFO, "object.free object=%llu", (unsigned long long)o->id);
    rv_heap_cancel(&mgr->heap, &o->timer);
    unname(mgr, o);
    HASH_DELETE(by_id, mgr->objects, o);
    queue_free(mgr, (struct queue *)o);
}

/* Nobody holds it any more: an anonymous object goes at once, a named one when its ttl is over. */
static void maybe_free(struct mgr *mgr, struct object *o)
{
    if (o->refs > 0)
        return;
    if (o->name == NULL)
        free_object(mgr, o);
    else
        rv_heap_set(&mgr->heap, &o->timer, rv_after_ms(mgr->now, o->ttl_ms));
}

static void unref(struct mgr *mgr, struct session *s, struct ref *ref, bool died)
{
    struct object *o = ref->object;
    struct call *call = NULL;
    struct call *next = NULL;

    /* Another thread of the session may still wait here. */
    HASH_ITER (hh, s->calls, call, next) {
        if (call->object == o)
            queue_end_call(mgr, call, REEVE_ECLOSED);
    }
    queue_drop_consumer(mgr, ref, died);
    if (o->kind == RV_KIND_QUEUE && !o->removed)
        queue_serve(mgr, (struct queue *)o);
    HASH_DELETE(hh, s->refs, ref);
    free(ref);
    if (!RV_MUTANT(REFCOUNT_OFF) || o->refs > 1)
        o->refs--;
    maybe_free(mgr, o);
}

static struct ref *find_ref(const struct session *s, uint64_t object)
{
    struct ref *ref = NULL;

    HASH_FIND(hh, s->refs, &object, sizeof object, ref);
    return ref;
}

static void reply_text(struct mgr *mgr, struct session *s, uint64_t number, reeve_err error,
                       const char *text)
{
    mgr_reply(mgr, s, number, error, text, rv_slice(NULL, 0), NULL, 0);
}

static bool options_fit(const struct rv_object_open_args *args, const struct queue *q)
{
    return args->kind == q->object.kind && args->order == q->order &&
           (args->joinable != 0) == q->joinable && args->maxsize == q->maxsize;
}

static struct object *create_object(struct mgr *mgr, const struct rv_object_open_args *args)
{
    struct object *o = &queue_new(mgr, args)->object;

    o->id = ++mgr->last_object;
    o->kind = args->kind;
    o->ttl_ms = args->ttl_ms == 0 ? UINT32_MAX : args->ttl_ms;
    o->timer.kind = TIMER_OBJECT;
    HASH_ADD(by_id, mgr->objects, id, sizeof o->id, o);
    if (args->name.len > 0) {
        o->name = text_of(args->name);
        HASH_ADD_KEYPTR(by_name, mgr->names, o->name, args->name.len, o);
    }
    return o;
}

static void on_open(struct mgr *mgr, struct session *s, uint64_t number, const struct rv_call *msg)
{
    struct rv_object_open_args args;
    struct object *o = NULL;
    struct queue *q = NULL;
    struct ref *ref = NULL;
    uint32_t rights = 0;
    bool created = false;

    rv_assert(rv_object_open_args_decode(&args, msg->args));
    rights = rights_on(mgr_principal(mgr, s->principal), args.name);
    if (args.name.len > RV_LIMIT_NAME_BYTES) {
        reply_text(mgr, s, number, REEVE_ELIMIT, "a name has at most 255 bytes");
        return;
    }
    if (args.create > 2 ||
        (args.create != 0 && (args.kind != RV_KIND_QUEUE || args.order > RV_ORDER_PRIORITY))) {
        reply_text(mgr, s, number, REEVE_EINVAL, "no such type of object");
        return;
    }
    if (args.name.len > 0)
        o = find_name(mgr, args.name);
    if (o == NULL && args.create == 0) {
        reply_text(mgr, s, number, REEVE_ENOENT, NULL);
        return;
    }
    if (o != NULL && args.create == 2) {
        reply_text(mgr, s, number, REEVE_EEXIST, "the name is taken");
        return;
    }
    if (o == NULL ? !(rights & RIGHT_BIT(RV_RIGHT_OPEN))
                  : (rights & ~RIGHT_BIT(RV_RIGHT_NONE)) == 0) {
        char text[256];

        snprintf(text, sizeof text, "key %s has no right %s on this name",
                 name_of(mgr, s->principal), o == NULL ? "open" : "of any kind");
        reply_text(mgr, s, number, REEVE_EPERM, text);
        return;
    }
    if (o != NULL && args.create == 1 && !options_fit(&args, (struct queue *)o)) {
        reply_text(mgr, s, number, o->kind == args.kind ? REEVE_EEXIST : REEVE_ETYPE, NULL);
        return;
    }
    if (o == NULL) {
        if (HASH_CNT(by_id, mgr->objects) >= RV_LIMIT_OBJECTS) {
            reply_text(mgr, s, number, REEVE_ELIMIT, "the manager holds its maximum of objects");
            return;
        }
        o = create_object(mgr, &args);
        created = true;
        mgr_say(mgr, RV_INFO, "object.create object=%llu name=\"%s\" maxsize=%u by=%llu",
                (unsigned long long)o->id, o->name == NULL ? "" : o->name, args.maxsize,
                (unsigned long long)s->serial);
    }
    ref = find_ref(s, o->id);
    if (ref == NULL) {
        ref = rv_alloc(sizeof *ref);
        ref->object_id = o->id;
        ref->object = o;
        o->refs++;
        rv_heap_cancel(&mgr->heap, &o->timer);
        HASH_ADD(hh, s->refs, object_id, sizeof ref->object_id, ref);
    }
    ref->count++;
    ref->rights = rights | (created ? RIGHT_BIT(RV_RIGHT_PUT) | RIGHT_BIT(RV_RIGHT_GET) : 0);
    q = (struct queue *)o;
    rv_buf_clear(&mgr->scratch);
    rv_object_open_result_encode(&mgr->scratch,
                                 &(struct rv_object_open_result){.object = o->id,
                                                                 .created = created,
                                                                 .kind = o->kind,
                                                                 .order = q->order,
                                                                 .joinable = q->joinable,
                                                                 .maxsize = q->maxsize});
    mgr_reply(mgr, s, number, REEVE_OK, NULL, rv_buf_slice(&mgr->scratch), NULL, 0);
}

static void on_close(struct mgr *mgr, struct session *s, uint64_t object)
{
    struct ref *ref = find_ref(s, object);

    if (ref == NULL) {
        mgr->refused++;
        return;
    }
    if (--ref->count == 0)
        unref(mgr, s, ref, false);
}

static void on_remove(struct mgr *mgr, struct session *s, uint64_t number,
                      const struct rv_call *msg)
{
    struct rv_object_remove_args args;
    struct object *o = NULL;

    rv_assert(rv_object_remove_args_decode(&args, msg->args));
    o = find_name(mgr, args.name);
    if (o == NULL) {
        reply_text(mgr, s, number, REEVE_ENOENT, NULL);
        return;
    }
    if (!(rights_on(mgr_principal(mgr, s->principal), args.name) & RIGHT_BIT(RV_RIGHT_RM))) {
        reply_text(mgr, s, number, REEVE_EPERM, "the key has no right rm on this name");
        return;
    }
    mgr_say(mgr, RV_INFO, "object.remove object=%llu name=\"%s\" by=%llu",
            (unsigned long long)o->id, o->name, (unsigned long long)s->serial);
    o->removed = true;
    queue_remove(mgr, (struct queue *)o);
    unname(mgr, o);
    reply_text(mgr, s, number, REEVE_OK, NULL);
    maybe_free(mgr, o);
}

/* ---- reads ---- */

static void add_row(struct rv_buf *rows, size_t start)
{
    rv_set_number(rows->data + start, rows->len - start - 4, 4);
}

static int by_name_order(struct object *a, struct object *b)
{
    return strcmp(a->name, b->name);
}

static void read_objects(struct mgr *mgr, struct session *s, const struct rv_read *msg)
{
    struct rv_object_list_args args;
    struct rv_object_list_result result = {0};
    struct rv_buf rows = {0};
    struct object *o = NULL;
    struct object *next = NULL;

    rv_assert(rv_object_list_args_decode(&args, msg->args));
    HASH_SRT(by_name, mgr->names, by_name_order);
    HASH_ITER (by_name, mgr->names, o, next) {
        const struct queue *q = (const struct queue *)o;
        struct rv_queue_size_result size;
        size_t start = rows.len;
        struct rv_slice name = rv_slice_str(o->name);
        size_t common = name.len < args.after.len ? name.len : args.after.len;
        int order = common == 0 ? 0 : memcmp(name.data, args.after.data, common);

        if (order < 0 || (order == 0 && name.len <= args.after.len && args.after.len > 0))
            continue;
        if (name.len < args.prefix.len ||
            (args.prefix.len > 0 && memcmp(name.data, args.prefix.data, args.prefix.len) != 0))
            continue;
        if (!(rights_on(mgr_principal(mgr, s->principal), name) & RIGHT_BIT(RV_RIGHT_LIST)))
            continue;
        if (result.count == RV_LIMIT_LIST_ROWS)
            break;
        queue_size(q, &size);
        rv_write_number(&rows, 0, 4);
        rv_object_row_encode(&rows, &(struct rv_object_row){.object = o->id,
                                                            .name = name,
                                                            .kind = o->kind,
                                                            .order = q->order,
                                                            .joinable = q->joinable,
                                                            .maxsize = q->maxsize,
                                                            .size = size.size,
                                                            .bytes = q->bytes,
                                                            .unfinished = size.unfinished,
                                                            .getters = size.getters,
                                                            .putters = size.putters,
                                                            .refs = o->refs,
                                                            .shutdown = size.shutdown});
        add_row(&rows, start);
        result.count++;
    }
    result.rows = rv_buf_slice(&rows);
    rv_buf_clear(&mgr->scratch);
    rv_object_list_result_encode(&mgr->scratch, &result);
    answer(mgr, s, msg->id, REEVE_OK, NULL, rv_buf_slice(&mgr->scratch));
    rv_buf_free(&rows);
}

static uint32_t held_by(const struct session *s)
{
    const struct ref *ref = NULL;
    uint32_t held = 0;

    for (ref = s->refs; ref != NULL; ref = ref->hh.next)
        if (ref->consumer != NULL)
            held += ref->consumer->unfinished_len + ref->consumer->ahead;
    return held;
}

static void read_sessions(struct mgr *mgr, struct session *s, const struct rv_read *msg)
{
    struct rv_session_list_args args;
    struct rv_object_list_result result = {0};
    struct rv_buf rows = {0};
    const struct session *other = NULL;

    rv_assert(rv_session_list_args_decode(&args, msg->args));
    for (other = mgr->sessions; other != NULL && result.count < RV_LIMIT_LIST_ROWS;
         other = other->by_serial.next) {
        size_t start = rows.len;

        if (other->serial <= args.after)
            continue;
        rv_write_number(&rows, 0, 4);
        rv_session_row_encode(&rows, &(struct rv_session_row){
                                         .session = other->serial,
                                         .principal = rv_slice_str(name_of(mgr, other->principal)),
                                         .host_name = rv_slice_str(other->host_name),
                                         .program = rv_slice_str(other->program),
                                         .pid = other->pid,
                                         .attached = other->attached,
                                         .parked = HASH_COUNT(other->calls),
                                         .held = held_by(other),
                                         .calls = other->calls_total});
        add_row(&rows, start);
        result.count++;
    }
    result.rows = rv_buf_slice(&rows);
    rv_buf_clear(&mgr->scratch);
    rv_object_list_result_encode(&mgr->scratch, &result);
    answer(mgr, s, msg->id, REEVE_OK, NULL, rv_buf_slice(&mgr->scratch));
    rv_buf_free(&rows);
}

static void read_status(struct mgr *mgr, struct session *s, const struct rv_read *msg)
{
    struct rv_status_result st = {
        .store = mgr->conf.store,
        .term = mgr->conf.term,
        .uptime_ms = (uint64_t)((mgr->now - mgr->conf.started_at) / RV_MS),
        .sessions = HASH_CNT(by_serial, mgr->sessions),
        .objects = HASH_CNT(by_id, mgr->objects),
        .commands = mgr->commands,
        .puts = mgr->puts,
        .gets = mgr->gets,
        .redelivered = mgr->redelivered,
        .refused = mgr->refused,
        .durable = rv_slice_str(mgr->conf.durable),
        .server = rv_slice_str(mgr->conf.server),
    };
    const struct session *other = NULL;
    const struct object *o = NULL;

    for (other = mgr->sessions; other != NULL; other = other->by_serial.next)
        st.attached += other->attached;
    for (o = mgr->objects; o != NULL; o = o->by_id.next) {
        const struct queue *q = (const struct queue *)o;

        st.queued += q->ready + q->ahead;
        st.queued_bytes += q->bytes;
    }
    rv_buf_clear(&mgr->scratch);
    rv_status_result_encode(&mgr->scratch, &st);
    answer(mgr, s, msg->id, REEVE_OK, NULL, rv_buf_slice(&mgr->scratch));
}

static void read_size(struct mgr *mgr, struct session *s, const struct rv_read *msg)
{
    const struct ref *ref = find_ref(s, msg->object);
    struct rv_queue_size_result size;

    if (ref == NULL || ref->object->removed) {
        answer(mgr, s, msg->id, ref == NULL ? REEVE_ENOENT : REEVE_EGONE, NULL, rv_slice(NULL, 0));
        return;
    }
    queue_size((const struct queue *)ref->object, &size);
    rv_buf_clear(&mgr->scratch);
    rv_queue_size_result_encode(&mgr->scratch, &size);
    answer(mgr, s, msg->id, REEVE_OK, NULL, rv_buf_slice(&mgr->scratch));
}

static void on_read(struct mgr *mgr, struct session *s, const struct rv_read *msg)
{
    const struct rv_op_info *op = rv_op_info(msg->op);

    if (op->right == RV_RIGHT_LIST && msg->op == RV_OP_session_list &&
        !(rights_on(mgr_principal(mgr, s->principal), rv_slice(NULL, 0)) &
          RIGHT_BIT(RV_RIGHT_LIST))) {
        answer(mgr, s, msg->id, REEVE_EPERM, NULL, rv_slice(NULL, 0));
        return;
    }
    switch ((enum rv_op)msg->op) {
    case RV_OP_object_list:
        read_objects(mgr, s, msg);
        break;
    case RV_OP_session_list:
        read_sessions(mgr, s, msg);
        break;
    case RV_OP_status:
        read_status(mgr, s, msg);
        break;
    case RV_OP_queue_size:
        read_size(mgr, s, msg);
        break;
    default:
        answer(mgr, s, msg->id, REEVE_OK, NULL, rv_slice(NULL, 0));
    }
}

/* ---- calls ---- */

static void on_shutdown(struct mgr *mgr, struct session *s, uint64_t number)
{
    if (!(rights_on(mgr_principal(mgr, s->principal), rv_slice(NULL, 0)) &
          RIGHT_BIT(RV_RIGHT_ADMIN))) {
        reply_text(mgr, s, number, REEVE_EPERM,
                   "only a key with the role admin may end the manager");
        return;
    }
    mgr_say(mgr, RV_INFO, "manager.stop by=%llu", (unsigned long long)s->serial);
    reply_text(mgr, s, number, REEVE_OK, NULL);
    outbox_add(mgr->out, (struct effect){.type = EFFECT_STOP});
}

/* Why the session may not do this to the object; OK when it may. */
static reeve_err may(const struct ref *ref, const struct rv_op_info *op)
{
    if (ref == NULL)
        return REEVE_ENOENT;
    if (ref->object->removed)
        return REEVE_EGONE;
    return ref->rights & RIGHT_BIT(op->right) ? REEVE_OK : REEVE_EPERM;
}

/* The body frames of a refused put are skipped, so that those behind it find theirs. */
static size_t bodies_of(const struct rv_call *msg)
{
    size_t bodies = 0;

    rv_assert(rv_op_args_check(msg->op, msg->args, &bodies));
    return bodies;
}

static void on_call(struct mgr *mgr, struct session *s, uint64_t number, const struct rv_call *msg,
                    const struct command *cmd, size_t *frames)
{
    const struct rv_op_info *op = rv_op_info(msg->op);
    struct ref *ref = NULL;
    struct queue *q = NULL;
    reeve_err err = REEVE_OK;

    s->calls_total++;
    switch ((enum rv_op)msg->op) {
    case RV_OP_object_open:
        on_open(mgr, s, number, msg);
        return;
    case RV_OP_object_close:
        on_close(mgr, s, msg->object);
        return;
    case RV_OP_object_remove:
        on_remove(mgr, s, number, msg);
        return;
    case RV_OP_shutdown:
        on_shutdown(mgr, s, number);
        return;
    default:
        break;
    }
    ref = find_ref(s, msg->object);
    err = may(ref, op);
    if (err != REEVE_OK) {
        if (msg->op == RV_OP_queue_put)
            queue_skip_put(s, msg, cmd->bodies, cmd->bodies_len, frames);
        if (op->flags & RV_OP_ONEWAY)
            mgr->refused++;
        else
            reply_text(mgr, s, number, err, NULL);
        return;
    }
    q = (struct queue *)ref->object;
    switch ((enum rv_op)msg->op) {
    case RV_OP_queue_put:
        queue_on_put(mgr, s, number, msg, q, cmd->bodies, cmd->bodies_len, frames);
        break;
    case RV_OP_queue_get:
        queue_on_get(mgr, s, number, msg, q, ref);
        break;
    case RV_OP_queue_take:
        queue_on_take(mgr, q, ref, msg->args);
        break;
    case RV_OP_queue_return:
        queue_on_return(mgr, q, ref, msg->args);
        break;
    case RV_OP_queue_task_done:
        queue_on_task_done(mgr, q, ref, msg->args);
        break;
    case RV_OP_queue_join:
        queue_on_join(mgr, s, number, msg, q);
        break;
    case RV_OP_queue_shutdown:
        queue_on_shutdown(mgr, s, number, msg, q);
        break;
    default:
        rv_assert_failed(__FILE__, __LINE__, "an operation of ops.def without a handler");
    }
}

static void on_cancel(struct mgr *mgr, struct session *s, const struct rv_cancel *msg)
{
    struct call *call = NULL;
    struct ref *ref = NULL;

    HASH_FIND(hh, s->calls, &msg->call, sizeof msg->call, call);
    if (call != NULL) {
        struct object *o = call->object;

        queue_end_call(mgr, call, REEVE_ECANCELED);
        queue_serve(mgr, (struct queue *)o);
        return;
    }
    ref = find_ref(s, msg->object);
    if (ref != NULL && ref->object->kind == RV_KIND_QUEUE)
        queue_on_cancel(mgr, (struct queue *)ref->object, ref, msg->call);
}

/* ---- sessions ---- */

struct session *mgr_session(const struct mgr *mgr, uint64_t serial)
{
    struct session *s = NULL;

    HASH_FIND(by_serial, mgr->sessions, &serial, sizeof serial, s);
    return s;
}

uint64_t session_applied(const struct session *s)
{
    return s->applied;
}

uint32_t session_attempt(const struct session *s)
{
    return s->attempt;
}

struct rv_stream *session_out(struct session *s)
{
    return &s->out;
}

/* What the session had goes to the others: its waits end, what it held goes back in order. */
static void end_session(struct mgr *mgr, struct session *s, reeve_err reason)
{
    bool died = reason != REEVE_OK;

    mgr_say(mgr, RV_INFO, "session.end session=%llu reason=\"%s\"", (unsigned long long)s->serial,
            reason == REEVE_OK      ? "goodbye"
            : reason == REEVE_ELOST ? "lost"
                                    : "expired");
    while (s->calls != NULL)
        mgr_unpark(mgr, s->calls);
    while (s->refs != NULL)
        unref(mgr, s, s->refs, died);
    outbox_add(mgr->out, (struct effect){.type = EFFECT_ENDED,
                                         .session = s->serial,
                                         .error = reason == REEVE_OK ? REEVE_OK : REEVE_EEXPIRED});
    rv_heap_cancel(&mgr->heap, &s->timer);
    HASH_DELETE(by_serial, mgr->sessions, s);
    HASH_DELETE(by_id, mgr->sessions_by_id, s);
    rv_stream_fini(&s->out);
    rv_assembly_fini(&s->assembly);
    free(s->host_name);
    free(s->program);
    free(s);
}

static struct session *new_session(struct mgr *mgr, const struct rv_hello *hello,
                                   const struct command *cmd)
{
    struct session *s = rv_alloc(sizeof *s);

    s->serial = ++mgr->last_session;
    s->id = hello->session;
    s->principal = cmd->principal;
    s->local = cmd->local;
    s->host_name = text_of(hello->host_name);
    s->program = text_of(hello->program);
    s->pid = hello->pid;
    s->timer.kind = TIMER_SESSION;
    s->resume_ms = hello->resume_ms == 0 ? (uint32_t)RV_LIMIT_RESUME_MS : hello->resume_ms;
    if (s->resume_ms > RV_LIMIT_RESUME_MAX_MS)
        s->resume_ms = RV_LIMIT_RESUME_MAX_MS;
    rv_stream_init(&s->out);
    HASH_ADD(by_serial, mgr->sessions, serial, sizeof s->serial, s);
    HASH_ADD(by_id, mgr->sessions_by_id, id, sizeof s->id, s);
    return s;
}

/* Is there a reason not to let this hello have the session? */
static bool refused(struct mgr *mgr, const struct rv_hello *hello, const struct session *s,
                    const struct command *cmd)
{
    if (hello->established && !rv_id_equal(&hello->store, &mgr->conf.store)) {
        refuse(mgr, cmd->peer, REEVE_ESTALE, "this manager has another store");
        return true;
    }
    if (s == NULL && hello->established) {
        refuse(mgr, cmd->peer, REEVE_EEXPIRED, "the session was away for too long");
        return true;
    }
    if (s == NULL && HASH_CNT(by_serial, mgr->sessions) >= RV_LIMIT_SESSIONS) {
        refuse(mgr, cmd->peer, REEVE_ELIMIT, "the manager has its maximum of sessions");
        return true;
    }
    if (rv_id_zero(&hello->session)) {
        refuse(mgr, cmd->peer, REEVE_EPROTO, "a hello without a session id");
        return true;
    }
    if (hello->received >= (s == NULL ? 1 : s->out.next) ||
        (s != NULL && hello->received + 1 < s->out.first)) {
        refuse(mgr, cmd->peer, REEVE_EPROTO,
               "the hello acknowledges what was never sent, or takes back");
        return true;
    }
    if (s == NULL)
        return false;
    if (s->principal != cmd->principal) {
        refuse(mgr, cmd->peer, REEVE_EPERM, "the session belongs to another key");
        return true;
    }
    if (hello->attempt <= s->attempt && !RV_MUTANT(OLD_ATTEMPT)) {
        refuse(mgr, cmd->peer, REEVE_EPROTO, "a newer connection has this session");
        return true;
    }
    return false;
}

static void on_hello(struct mgr *mgr, const struct command *cmd)
{
    struct rv_msg msg;
    struct rv_msg welcome = {.type = RV_MSG_welcome};
    struct session *s = NULL;
    size_t at = mgr->out->bytes.len;
    bool acked = false;

    rv_assert(rv_msg_decode(&msg, cmd->bytes) && msg.type == RV_MSG_hello);
    HASH_FIND(by_id, mgr->sessions_by_id, &msg.hello.session, sizeof(struct rv_id), s);
    if (refused(mgr, &msg.hello, s, cmd))
        return;
    if (s == NULL) {
        s = new_session(mgr, &msg.hello, cmd);
        mgr_say(mgr, RV_INFO, "session.open session=%llu key=%s host=%s pid=%u",
                (unsigned long long)s->serial, name_of(mgr, s->principal), s->host_name, s->pid);
    } else {
        mgr_say(mgr, RV_INFO, "session.resume session=%llu attempt=%u",
                (unsigned long long)s->serial, msg.hello.attempt);
    }
    s->attempt = msg.hello.attempt;
    s->attached = true;
    rv_heap_cancel(&mgr->heap, &s->timer);
    acked = rv_stream_ack(&s->out, msg.hello.received);
    rv_assert(acked || RV_MUTANT(OLD_ATTEMPT));
    welcome.welcome = (struct rv_welcome){
        .major = RV_WIRE_MAJOR,
        .minor = RV_WIRE_MINOR,
        .store = mgr->conf.store,
        .term = mgr->conf.term,
        .received = s->applied,
        .resume_ms = s->resume_ms,
        .session = s->serial,
        .server = rv_slice_str(mgr->conf.server),
    };
    rv_msg_encode(&mgr->out->bytes, &welcome);
    outbox_add(mgr->out, (struct effect){.type = EFFECT_WELCOME,
                                         .session = s->serial,
                                         .peer = cmd->peer,
                                         .at = at,
                                         .len = mgr->out->bytes.len - at});
}

static void on_detach(struct mgr *mgr, const struct command *cmd)
{
    struct session *s = mgr_session(mgr, cmd->session);

    if (s == NULL || !s->attached || s->attempt != cmd->attempt)
        return;
    s->attached = false;
    mgr_say(mgr, RV_INFO, "session.detach session=%llu resume_ms=%u", (unsigned long long)s->serial,
            s->resume_ms);
    rv_heap_set(&mgr->heap, &s->timer, rv_after_ms(mgr->now, s->resume_ms));
}

/* A new life of the same store: every client has to come back, and has its full time for it. */
static void on_restart(struct mgr *mgr, const struct command *cmd)
{
    struct session *s = NULL;

    mgr->conf.term = cmd->first;
    for (s = mgr->sessions; s != NULL; s = s->by_serial.next) {
        s->attached = false;
        rv_heap_set(&mgr->heap, &s->timer, rv_after_ms(mgr->now, s->resume_ms));
    }
}

/* Nobody could come back while we slept. */
static void on_pause(struct mgr *mgr, rv_ns pause)
{
    struct session *s = NULL;

    for (s = mgr->sessions; s != NULL; s = s->by_serial.next)
        if (!s->attached)
            rv_heap_set(&mgr->heap, &s->timer, s->timer.at + pause);
}

static void on_messages(struct mgr *mgr, const struct command *cmd)
{
    struct session *s = mgr_session(mgr, cmd->session);
    struct rv_reader r = rv_reader(cmd->bytes);
    struct rv_msg msg;
    uint64_t number = cmd->first;
    size_t frames = 0;

    if (s == NULL)
        return;
    if (!rv_stream_ack(&s->out, cmd->ack))
        mgr->refused++;
    while (rv_frame_next(&r, &msg)) {
        bool again = false;

        if (msg.type == RV_MSG_read) {
            on_read(mgr, s, &msg.read);
            continue;
        }
        if (!rv_msg_numbered(msg.type))
            continue;
        again = number <= s->applied;
        if (again && !RV_MUTANT(NO_DEDUPE)) {
            /* Applied before: its reply is kept, or was acknowledged. */
            frames += msg.type == RV_MSG_fragment ? 1 : 0;
            frames += msg.type == RV_MSG_call ? bodies_of(&msg.call) : 0;
            number++;
            continue;
        }
        rv_assert(again || number == s->applied + 1); /* the gate lets no gap through */
        if (!again)
            s->applied = number;
        switch (msg.type) {
        case RV_MSG_call:
            on_call(mgr, s, number, &msg.call, cmd, &frames);
            break;
        case RV_MSG_cancel:
            on_cancel(mgr, s, &msg.cancel);
            break;
        case RV_MSG_fragment:
            if (!rv_assembly_add(&s->assembly, &msg.fragment, cmd->bodies[frames]))
                mgr->refused++;
            frames++;
            break;
        case RV_MSG_goodbye:
            end_session(mgr, s, REEVE_OK);
            return;
        default:
            rv_assert_failed(__FILE__, __LINE__, "a message that the gate must refuse");
        }
        number++;
    }
}

static void on_expire(struct mgr *mgr)
{
    struct rv_timer *t = NULL;

    while ((t = rv_heap_pop(&mgr->heap, mgr->now)) != NULL) {
        switch ((enum timer_kind)t->kind) {
        case TIMER_CALL:
            queue_on_timeout(mgr, owner_of(struct call, timer, t));
            break;
        case TIMER_SESSION:
            end_session(mgr, owner_of(struct session, timer, t), REEVE_EEXPIRED);
            break;
        case TIMER_OBJECT:
            free_object(mgr, owner_of(struct object, timer, t));
            break;
        }
    }
}

/* ---- the step ---- */

void mgr_step(struct mgr *mgr, const struct command *cmd, struct outbox *out)
{
    size_t first = out->len;

    mgr->out = out;
    if (cmd->at > mgr->now)
        mgr->now = cmd->at;
    mgr->commands += cmd->logged;
    switch (cmd->type) {
    case COMMAND_OPEN:
        on_hello(mgr, cmd);
        break;
    case COMMAND_DETACH:
        on_detach(mgr, cmd);
        break;
    case COMMAND_END: {
        struct session *s = mgr_session(mgr, cmd->session);

        /* Silence of one connection does not end a session that has a newer one. */
        if (s != NULL && (cmd->attempt == 0 || cmd->attempt == s->attempt))
            end_session(mgr, s, cmd->reason);
        break;
    }
    case COMMAND_MESSAGES:
        on_messages(mgr, cmd);
        break;
    case COMMAND_EXPIRE:
        on_expire(mgr);
        break;
    case COMMAND_PRINCIPAL:
        on_principal(mgr, cmd);
        break;
    case COMMAND_RESTART:
        on_restart(mgr, cmd);
        break;
    case COMMAND_PAUSE:
        on_pause(mgr, (rv_ns)cmd->first);
        break;
    }
    for (size_t i = first; i < out->len; i++)
        if (out->effects[i].type == EFFECT_OUTPUT) {
            struct session *s = mgr_session(mgr, out->effects[i].session);

            if (s != NULL)
                s->output = false;
        }
    mgr->out = NULL;
}

rv_ns mgr_deadline(const struct mgr *mgr)
{
    return rv_heap_next(&mgr->heap);
}

/* ---- life, and what must be true ---- */

struct mgr *mgr_new(const struct mgr_conf *conf)
{
    struct mgr *mgr = rv_alloc(sizeof *mgr);

    mgr->conf = *conf;
    mgr->now = conf->started_at;
    return mgr;
}

void mgr_free(struct mgr **m)
{
    struct mgr *mgr = *m;
    struct outbox out = {0};

    if (mgr == NULL)
        return;
    mgr->out = &out;
    mgr->conf.sink = (struct rv_sink){0};
    while (mgr->sessions != NULL)
        end_session(mgr, mgr->sessions, REEVE_OK);
    while (mgr->objects != NULL)
        free_object(mgr, mgr->objects);
    outbox_free(&out);
    for (size_t i = 0; i < mgr->principals_len; i++)
        free_principal(mgr->principals[i]);
    free(mgr->principals);
    rv_heap_free(&mgr->heap);
    rv_buf_free(&mgr->scratch);
    rv_buf_free(&mgr->items);
    while (mgr->spare != NULL) {
        struct item *item = mgr->spare;

        mgr->spare = item->next;
        free(item);
    }
    free(mgr);
    *m = NULL;
}

void mgr_check(const struct mgr *mgr)
{
    const struct object *o = NULL;
    const struct session *s = NULL;
    const struct ref *ref = NULL;

    for (o = mgr->objects; o != NULL; o = o->by_id.next) {
        uint32_t refs = 0;

        queue_check((const struct queue *)o);
        for (s = mgr->sessions; s != NULL; s = s->by_serial.next) {
            HASH_FIND(hh, s->refs, &o->id, sizeof o->id, ref);
            refs += ref != NULL;
        }
        /* A referenced object lives, an unreferenced one is gone. */
        rv_assert(o->refs == refs);
        rv_assert(o->refs > 0 || o->name != NULL);
    }
    for (s = mgr->sessions; s != NULL; s = s->by_serial.next) {
        uint32_t ahead = 0;

        rv_assert(s->attached == (s->timer.pos == 0));
        for (ref = s->refs; ref != NULL; ref = ref->hh.next) {
            rv_assert(ref->count > 0);
            ahead += ref->consumer == NULL ? 0 : ref->consumer->ahead;
        }
        rv_assert(ahead == s->ahead);
    }
}

size_t mgr_objects(const struct mgr *mgr)
{
    return HASH_CNT(by_id, mgr->objects);
}

size_t mgr_sessions(const struct mgr *mgr)
{
    return HASH_CNT(by_serial, mgr->sessions);
}
