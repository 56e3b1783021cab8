/* reads.c -- questions: they change nothing, and are neither numbered nor logged. */

#include "server/core/carry.h"
#include "server/core/crew.h"
#include "server/core/dead.h"
#include "server/core/box.h"
#include "server/core/queue.h"
#include "server/core/session.h"
#include "server/core/sync.h"

static void add_row(struct rv_buf *rows, size_t start)
{
    rv_set_number(rows->data + start, rows->len - start - 4, 4);
}

/* A page is bounded in rows and in bytes, so that it fits a frame whatever the names are. */
static bool page_full(const struct rv_object_list_result *page, const struct rv_buf *rows)
{
    return page->count == RV_LIMIT_LIST_ROWS || rows->len > RV_LIMIT_BATCH_BYTES / 2;
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
    if (!mgr->names_sorted)
        HASH_SRT(by_name, mgr->names, by_name_order);
    mgr->names_sorted = true;
    HASH_ITER (by_name, mgr->names, o, next) {
        struct rv_object_row row;
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
        if (page_full(&result, &rows))
            break;
        row = (struct rv_object_row){.object = o->id,
                                     .name = name,
                                     .kind = o->kind,
                                     .refs = o->refs,
                                     .ttl_ms = o->ttl_ms == UINT32_MAX ? 0 : o->ttl_ms,
                                     .durable = o->durable};
        o->ops->row(o, &row);
        rv_write_number(&rows, 0, 4);
        rv_object_row_encode(&rows, &row);
        add_row(&rows, start);
        result.count++;
    }
    result.rows = rv_buf_slice(&rows);
    rv_buf_clear(&mgr->scratch);
    rv_object_list_result_encode(&mgr->scratch, &result);
    mgr_answer(mgr, s, msg->id, REEVE_OK, NULL, rv_buf_slice(&mgr->scratch));
    rv_buf_free(&rows);
}

static uint32_t held_by(const struct session *s)
{
    const struct ref *ref = NULL;
    uint32_t held = 0;

    for (ref = s->refs; ref != NULL; ref = ref->hh.next)
        if (ref->consumer != NULL)
            held += ref->consumer->unfinished_len + ref->consumer->ahead;
        else
            held += lock_held(ref);
    return held;
}

static void read_sessions(struct mgr *mgr, struct session *s, const struct rv_read *msg)
{
    struct rv_session_list_args args;
    struct rv_object_list_result result = {0};
    struct rv_buf rows = {0};
    const struct session *other = NULL;

    rv_assert(rv_session_list_args_decode(&args, msg->args));
    for (other = mgr->sessions; other != NULL && !page_full(&result, &rows);
         other = other->by_serial.next) {
        size_t start = rows.len;

        if (other->serial <= args.after)
            continue;
        rv_write_number(&rows, 0, 4);
        rv_session_row_encode(
            &rows, &(struct rv_session_row){
                       .session = other->serial,
                       .principal = rv_slice_str(mgr_principal_name(mgr, other->principal)),
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
    mgr_answer(mgr, s, msg->id, REEVE_OK, NULL, rv_buf_slice(&mgr->scratch));
    rv_buf_free(&rows);
}

struct lost {
    uint64_t *ids; /* in the order of the objects */
    size_t len, cap, next;
};

static void note_lost(void *arg, const struct object *o)
{
    struct lost *l = arg;

    if (l->len == l->cap) {
        l->cap = l->cap == 0 ? 16 : l->cap * 2;
        l->ids = rv_realloc(l->ids, l->cap * sizeof *l->ids);
    }
    l->ids[l->len++] = o->id;
}

/* All objects, also those without a name, of which everybody with the right on no name sees. */
static void read_debug(struct mgr *mgr, struct session *s, const struct rv_read *msg)
{
    struct rv_object_debug_args args;
    struct rv_object_list_result result = {0};
    struct rv_buf rows = {0};
    const struct object *o = NULL;
    struct lost lost = {0};

    rv_assert(rv_object_debug_args_decode(&args, msg->args));
    carry_lost(mgr, note_lost, &lost);
    for (o = mgr->objects; o != NULL && !page_full(&result, &rows); o = o->by_id.next) {
        size_t start = rows.len;
        bool is_lost = lost.next < lost.len && lost.ids[lost.next] == o->id;

        lost.next += is_lost;
        if (o->id <= args.after ||
            !(rights_on(mgr_principal(mgr, s->principal), rv_slice_str(o->name)) &
              RIGHT_BIT(RV_RIGHT_LIST)))
            continue;
        rv_write_number(&rows, 0, 4);
        rv_debug_row_encode(&rows, &(struct rv_debug_row){.object = o->id,
                                                          .name = rv_slice_str(o->name),
                                                          .kind = o->kind,
                                                          .refs = o->refs,
                                                          .nested = o->nested,
                                                          .lost = is_lost});
        add_row(&rows, start);
        result.count++;
    }
    result.rows = rv_buf_slice(&rows);
    rv_buf_clear(&mgr->scratch);
    rv_object_list_result_encode(&mgr->scratch, &result);
    mgr_answer(mgr, s, msg->id, REEVE_OK, NULL, rv_buf_slice(&mgr->scratch));
    rv_buf_free(&rows);
    free(lost.ids);
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
        .dead = mgr->dead,
        .durable = rv_slice_str(mgr->conf.durable),
        .server = rv_slice_str(mgr->conf.server),
        .full = mgr->full,
        .log_records = mgr->log.records,
        .log_groups = mgr->log.groups,
        .log_flushes = mgr->log.flushes,
        .log_latency_ns = (uint64_t)mgr->log.latency,
        .log_bytes = mgr->log.bytes,
        .snapshots = mgr->log.snapshots,
        .snapshot_index = mgr->log.snapshot_index,
        .snapshot_bytes = mgr->log.snapshot_bytes,
    };
    const struct session *other = NULL;
    const struct object *o = NULL;

    for (other = mgr->sessions; other != NULL; other = other->by_serial.next)
        st.attached += other->attached;
    for (o = mgr->objects; o != NULL; o = o->by_id.next) {
        struct rv_object_row row = {0};

        if (o->kind != RV_KIND_QUEUE)
            continue;
        o->ops->row(o, &row);
        st.queued += row.size;
        st.queued_bytes += row.bytes;
    }
    rv_buf_clear(&mgr->scratch);
    rv_status_result_encode(&mgr->scratch, &st);
    mgr_answer(mgr, s, msg->id, REEVE_OK, NULL, rv_buf_slice(&mgr->scratch));
}

static void read_size(struct mgr *mgr, struct session *s, const struct rv_read *msg)
{
    const struct ref *ref = session_ref(s, msg->object);
    struct rv_queue_size_result size;

    if (ref == NULL || ref->object->removed || ref->object->kind != RV_KIND_QUEUE) {
        mgr_answer(mgr, s, msg->id,
                   ref == NULL            ? REEVE_ENOENT
                   : ref->object->removed ? REEVE_EGONE
                                          : REEVE_ETYPE,
                   NULL, rv_slice(NULL, 0));
        return;
    }
    queue_size((const struct queue *)ref->object, &size);
    rv_buf_clear(&mgr->scratch);
    rv_queue_size_result_encode(&mgr->scratch, &size);
    mgr_answer(mgr, s, msg->id, REEVE_OK, NULL, rv_buf_slice(&mgr->scratch));
}

void mgr_on_read(struct mgr *mgr, struct session *s, const struct rv_read *msg)
{
    const struct rv_op_info *op = rv_op_info(msg->op);

    if (op->right == RV_RIGHT_LIST && msg->op == RV_OP_session_list &&
        !(rights_on(mgr_principal(mgr, s->principal), rv_slice(NULL, 0)) &
          RIGHT_BIT(RV_RIGHT_LIST))) {
        mgr_answer(mgr, s, msg->id, REEVE_EPERM, NULL, rv_slice(NULL, 0));
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
    case RV_OP_sync_state:
        sync_on_state(mgr, s, msg);
        break;
    case RV_OP_dead_list:
        dead_on_list(mgr, s, msg);
        break;
    case RV_OP_object_debug:
        read_debug(mgr, s, msg);
        break;
    case RV_OP_dict_get:
    case RV_OP_dict_contains:
    case RV_OP_dict_len:
    case RV_OP_dict_page:
    case RV_OP_list_get:
    case RV_OP_list_page:
    case RV_OP_list_find:
    case RV_OP_list_len:
    case RV_OP_set_contains:
    case RV_OP_set_len:
    case RV_OP_set_page:
    case RV_OP_set_compare:
        box_on_read(mgr, s, msg);
        break;
    case RV_OP_why:
        why_on_read(mgr, s, msg);
        break;
    case RV_OP_blob_read:
        if (rights_on(mgr_principal(mgr, s->principal), rv_slice(NULL, 0)) &
            RIGHT_BIT(RV_RIGHT_WORK))
            blob_on_read(mgr, s, msg);
        else
            mgr_answer(mgr, s, msg->id, REEVE_EPERM, NULL, rv_slice(NULL, 0));
        break;
    case RV_OP_job_stat:
        job_read_stat(mgr, s, msg);
        break;
    case RV_OP_job_list:
        job_read_list(mgr, s, msg);
        break;
    case RV_OP_job_log:
        job_read_log(mgr, s, msg);
        break;
    case RV_OP_agent_list:
        crew_read_list(mgr, s, msg);
        break;
    default:
        mgr_answer(mgr, s, msg->id, REEVE_OK, NULL, rv_slice(NULL, 0));
    }
}
