/* box.c -- the life of a call on a container, and of a batch of them. */

#include "server/core/box.h"

#include "common/value/key.h"
#include "common/value/path.h"
#include "common/value/value.h"
#include "server/core/carry.h"
#include "server/core/quota.h"
#include "server/core/session.h"
#include "server/core/sync.h"
#include "server/core/typecode.h"

#include <stdio.h>

bool box_kind(uint8_t kind)
{
    return kind >= RV_KIND_DICT && kind <= RV_KIND_NAMESPACE;
}

uint64_t box_first_bytes(const struct rv_object_open_args *args)
{
    uint64_t len = args->kind == RV_KIND_VALUE   ? 1
                   : args->kind == RV_KIND_ARRAY ? args->maxsize
                                                 : 0;

    return len == 0 ? 0 : len * typecode_zero(args->typecode).len;
}

/* ---- cells ---- */

struct rv_slice cell_bytes(const struct cell *cell)
{
    return cell->body == NULL ? rv_slice(NULL, 0) : rv_slice(cell->body->data, cell->body->len);
}

/* An object that a value may refer to. */
struct referred {
    uint64_t object;
    bool there;
};

static int by_object(const void *left, const void *right)
{
    const struct referred *a = left;
    const struct referred *b = right;

    return (a->object > b->object) - (a->object < b->object);
}

static size_t add_referred(struct referred *all, size_t len, const struct carried *refs, bool there)
{
    for (uint32_t i = 0; refs != NULL && i < refs->len; i++)
        all[len++] = (struct referred){refs->to[i], there};
    return len;
}

static void find_referred(struct referred *all, size_t len, struct rv_slice bytes)
{
    msgpack_object o;
    reeve_ref ref;

    while (rv_value_take(&bytes, &o)) {
        struct referred *found = NULL;

        if (rv_value_ref_read(&ref, &o))
            found =
                bsearch(&(struct referred){.object = ref.object}, all, len, sizeof *all, by_object);
        if (found != NULL)
            found->there = true;
    }
}

/* The objects among those of first and second, which may be NULL, that a value of these bytes refers to,
 * as on the wire, each once: so they take less room than the bytes do. `whole`: it has all of them. */
static struct rv_slice refs_in(struct rv_slice bytes, bool whole, const struct carried *first,
                               const struct carried *second, struct rv_buf *out)
{
    struct referred all[2 * RV_LIMIT_ITEM_REFS];
    size_t len = add_referred(all, add_referred(all, 0, first, whole), second, whole);
    size_t distinct = 0;

    rv_buf_clear(out);
    if (len > 1)
        qsort(all, len, sizeof *all, by_object);
    for (size_t i = 0; i < len; i++)
        if (distinct == 0 || all[distinct - 1].object != all[i].object)
            all[distinct++] = all[i];
    if (distinct > 0 && !whole)
        find_referred(all, distinct, bytes);
    for (size_t i = 0; i < distinct; i++)
        if (all[i].there)
            rv_write_number(out, all[i].object, 8);
    rv_assert(!out->bad);
    return rv_buf_slice(out);
}

struct cell cell_new(struct rv_slice bytes)
{
    struct cell cell = {.body = rv_body_new(bytes.len)};

    rv_assert(cell.body != NULL); /* a step that fails here and not in a replay would be another */
    memcpy(cell.body->data, bytes.data, bytes.len);
    return cell;
}

struct cell cell_again(struct mgr *mgr, struct box *holder, const struct cell *cell)
{
    uint8_t refs[CARRY_BYTES];

    return (struct cell){.body = rv_body_keep(cell->body),
                         .refs = carry(mgr, &holder->object, carry_wire(cell->refs, refs))};
}

void cell_drop(struct mgr *mgr, struct cell *cell)
{
    rv_body_drop(cell->body);
    carry_drop(mgr, &cell->refs);
    *cell = (struct cell){0};
}

void cell_save(struct saver *out, const struct cell *cell)
{
    save_bytes(out, cell_bytes(cell));
    carry_save(out, cell->refs);
}

bool cell_load(struct box *holder, struct rv_reader *in, struct cell *cell)
{
    struct rv_slice bytes = load_bytes(in);

    *cell = (struct cell){0};
    if (in->bad || !rv_value_valid(bytes))
        in->bad = true;
    else
        *cell = cell_new(bytes);
    if (!in->bad)
        cell->refs = carry_load(&holder->object, in);
    return !in->bad;
}

struct cell box_take(struct box_call *c, uint32_t i)
{
    struct cell cell = c->values[i];

    c->values[i] = (struct cell){0};
    return cell;
}

/* ---- changes ---- */

static void wake(struct mgr *mgr, struct box *box);

void box_changed(struct mgr *mgr, struct box *box, struct undo *u,
                 void (*back)(struct mgr *mgr, struct undo *u),
                 void (*done)(struct mgr *mgr, struct undo *u))
{
    *u = (struct undo){mgr->undos, box, box->version, back, done};
    mgr->undos = u;
    box_made(mgr, sizeof *u);
    box->version++;
    if (RV_MUTANT(CHANGE_EARLY))
        wake(mgr, box);
}

void box_made(struct mgr *mgr, size_t bytes)
{
    mgr->made += bytes;
}

reeve_err box_allows(struct mgr *mgr, const struct box *box, uint64_t more, const char **text)
{
    if (box->most > 0 && more > 0 && (more > box->most || box->bytes > box->most - more)) {
        *text = "the object has the bytes that it may have";
        return REEVE_EQUOTA;
    }
    if (more > 0 && !quota_allows(mgr, box->object.owner, RV_QUOTA_BYTES, more)) {
        *text = quota_text(mgr, box->object.owner, RV_QUOTA_BYTES);
        return REEVE_EQUOTA;
    }
    return REEVE_OK;
}

void box_count(struct mgr *mgr, struct box *box, uint64_t more, uint64_t less)
{
    box->bytes += more;
    quota_add(mgr, box->object.owner, RV_QUOTA_BYTES, more);
    box->bytes -= less;
    quota_drop(mgr, box->object.owner, RV_QUOTA_BYTES, less);
}

static void take_back(struct mgr *mgr)
{
    while (mgr->undos != NULL) {
        struct undo *u = mgr->undos;

        mgr->undos = u->next;
        u->box->version = u->version;
        u->back(mgr, u);
        free(u);
    }
}

void box_forget(struct mgr *mgr, struct session *s, const struct object *made)
{
    take_back(mgr);
    object_unref(mgr, s, session_ref(s, made->id), false);
}

static void settle(struct mgr *mgr)
{
    struct undo *u = mgr->undos;

    mgr->undos = NULL;
    while (u != NULL) {
        struct undo *next = u->next;

        if (u->done != NULL)
            u->done(mgr, u);
        if (next == NULL || next->box != u->box) /* once for many changes of one */
            wake(mgr, u->box);
        free(u);
        u = next;
    }
}

/* ---- what is answered ---- */

static bool small(struct rv_slice bytes)
{
    return bytes.len <= RV_LIMIT_ITEM_INLINE_BYTES;
}

static bool add_answer(struct mgr *mgr, struct box_call *c, const struct box_value *v)
{
    size_t in_message = small(v->bytes) ? v->bytes.len : 0;
    size_t bodies = !small(v->bytes) && v->bytes.len <= RV_LIMIT_BODY_BYTES;

    if (c->in == NULL && (v->refs != NULL || !small(v->bytes)))
        in_message = bodies = 0; /* its place stays empty */
    if (c->answer_len == RV_LIMIT_PUT_ITEMS || c->bodies + bodies > RV_LIMIT_BODIES ||
        c->answer_bytes + in_message > RV_LIMIT_BATCH_BYTES / 4 * 3 ||
        c->answer_all + v->bytes.len > RV_LIMIT_UNTAKEN_BYTES)
        return false;
    if (c->answer_len == mgr->answer_cap) {
        mgr->answer_cap = mgr->answer_cap == 0 ? 16 : mgr->answer_cap * 2;
        mgr->answer = rv_realloc(mgr->answer, mgr->answer_cap * sizeof *mgr->answer);
    }
    mgr->answer[c->answer_len++] = *v;
    c->answer_bytes += in_message;
    c->answer_all += v->bytes.len;
    c->bodies += bodies;
    return true;
}

bool box_answer(struct mgr *mgr, struct box_call *c, const struct cell *cell)
{
    return add_answer(mgr, c, &(struct box_value){cell_bytes(cell), cell->body, cell->refs});
}

bool box_answer_bytes(struct mgr *mgr, struct box_call *c, struct rv_slice bytes,
                      const struct carried *refs)
{
    return add_answer(mgr, c, &(struct box_value){bytes, NULL, refs});
}

bool box_page_full(const struct box_call *c)
{
    return c->answer_bytes >= RV_LIMIT_PAGE_BYTES || c->answer_len + 2 > RV_LIMIT_PUT_ITEMS ||
           c->bodies + 2 > RV_LIMIT_BODIES;
}

/* One value into mgr->items; the session has its references from now on. */
static void write_value(struct mgr *mgr, struct session *s, const struct box_value *v,
                        struct rv_body **bodies, size_t *bodies_len)
{
    struct rv_buf found = {0};
    struct rv_item item = {.len = (uint32_t)v->bytes.len,
                           .bytes = v->bytes,
                           .refs = refs_in(v->bytes, v->body != NULL, v->refs, NULL, &found)};
    struct rv_body *body = NULL;

    carry_give_refs(mgr, s, item.refs);
    if (!small(v->bytes)) {
        body = v->body != NULL ? rv_body_keep(v->body) : cell_new(v->bytes).body;
        item.place = v->bytes.len <= RV_LIMIT_BODY_BYTES ? RV_BODY : RV_FRAGMENTS;
    }
    if (item.place == RV_FRAGMENTS) {
        item.body = ++s->bodies;
        rv_assert(rv_stream_add_fragments(&s->out, item.body, body));
        rv_body_drop(body);
    } else if (item.place == RV_BODY) {
        bodies[(*bodies_len)++] = body;
    }
    rv_item_write(&mgr->items, &item);
    rv_buf_free(&found);
}

/* The result in mgr->scratch was encoded without values, which come last in it. */
static void end_result(struct mgr *mgr, uint32_t count)
{
    size_t at = mgr->scratch.len - 8;

    rv_set_number(mgr->scratch.data + at, count, 4);
    rv_set_number(mgr->scratch.data + at + 4, mgr->items.len, 4);
    rv_buf_add(&mgr->scratch, mgr->items.data, mgr->items.len);
    rv_assert(!mgr->scratch.bad);
}

static bool has_values(uint16_t op, struct rv_slice result)
{
    struct rv_items items;

    return rv_op_result_items(op, result, &items);
}

static void reply(struct mgr *mgr, struct box_call *c, uint16_t op, reeve_err err)
{
    struct rv_body *bodies[RV_LIMIT_BODIES];
    size_t bodies_len = 0;

    rv_buf_clear(&mgr->items);
    for (uint32_t i = 0; i < c->answer_len; i++)
        write_value(mgr, c->session, &mgr->answer[i], bodies, &bodies_len);
    if (has_values(op, rv_buf_slice(&mgr->scratch)))
        end_result(mgr, c->answer_len);
    mgr_reply(mgr, c->session, c->in->number, err, c->text, rv_buf_slice(&mgr->scratch), bodies,
              bodies_len);
    for (size_t i = 0; i < bodies_len; i++)
        rv_body_drop(bodies[i]);
}

/* ---- values that come ---- */

struct arrivals {
    uint32_t len;
    struct cell *cells;    /* without their references: nobody holds them yet */
    struct rv_slice *refs; /* those, borrowed from the message */
};

static void free_arrivals(struct mgr *mgr, struct arrivals *a)
{
    for (uint32_t i = 0; i < a->len; i++)
        cell_drop(mgr, &a->cells[i]);
    free(a->cells);
    free(a->refs);
}

/* Takes all of them off the frame, whatever is the matter with one. */
static reeve_err receive(struct mgr *mgr, const struct incoming *in, struct arrivals *a,
                         const char **text)
{
    struct session *s = in->session;
    struct rv_items items;
    struct rv_reader r;
    bool whole = true;
    bool valid = true;
    bool held = true;

    *a = (struct arrivals){0};
    if (!rv_op_items(in->msg->op, in->msg->args, &items) || items.count == 0)
        return REEVE_OK;
    a->cells = rv_alloc(items.count * sizeof *a->cells);
    a->refs = rv_alloc(items.count * sizeof *a->refs);
    r = rv_reader(items.bytes);
    for (; a->len < items.count; a->len++) {
        struct cell *cell = &a->cells[a->len];
        struct rv_item item;

        rv_item_read(&r, &item);
        if (!rv_item_receive(&item, &s->assembly, in->bodies, in->bodies_len, in->frames,
                             &cell->body)) {
            whole = false;
            *in->frames += item.place == RV_BODY;
            continue;
        }
        if (cell->body == NULL && item.bytes.len > 0)
            *cell = cell_new(item.bytes);
        a->refs[a->len] = item.refs;
        valid = valid && rv_value_valid(cell_bytes(cell));
        held = held && carry_allowed(s, item.refs);
    }
    if (!whole) {
        bool overdrawn = s->overdrawn;

        mgr->refused++;
        s->overdrawn = false;
        *text = overdrawn ? quota_text(mgr, s->principal, RV_QUOTA_FLIGHT)
                          : "a value's bytes did not arrive";
        return overdrawn ? REEVE_EQUOTA : REEVE_EPROTO;
    }
    if (!valid) {
        *text = "what came is not one whole value";
        return REEVE_EINVAL;
    }
    *text = held ? NULL : "a value refers to an object that its sender does not hold";
    return held ? REEVE_OK : REEVE_ENOENT;
}

/* ---- calls ---- */

/* Does the answer tell what was there, so that it takes the right to read? */
static bool tells(uint16_t op)
{
    switch ((enum rv_op)op) {
    case RV_OP_dict_setdefault:
    case RV_OP_dict_pop:
    case RV_OP_dict_popitem:
    case RV_OP_dict_edit:
    case RV_OP_dict_cas:
    case RV_OP_list_pop:
    case RV_OP_list_edit:
    case RV_OP_list_cas:
    case RV_OP_set_pop:
        return true;
    default:
        return false;
    }
}

/* One call: its values are the box's from now on, or go. */
static reeve_err apply(struct mgr *mgr, struct box_call *c, struct arrivals *a, uint32_t first)
{
    reeve_err err = REEVE_OK;

    if (tells(c->op) && !(c->ref->rights & RIGHT_BIT(RV_RIGHT_GET))) {
        c->text = "the answer tells a value, and the key has no right get on this name";
        return REEVE_EPERM;
    }
    c->values = c->values_len == 0 ? NULL : a->cells + first;
    for (uint32_t i = 0; i < c->values_len; i++)
        c->values[i].refs = carry(mgr, &c->box->object, a->refs[first + i]);
    err = c->box->object.ops->box->apply(mgr, c);
    for (uint32_t i = 0; i < c->values_len; i++)
        cell_drop(mgr, &c->values[i]);
    return err;
}

/* The end of a call, or of a batch: for good, or as if it had not been. */
static void finish(struct mgr *mgr, struct box_call *c, uint16_t op, reeve_err err)
{
    if (err == REEVE_EPERM || err == REEVE_EQUOTA)
        mgr_refused(mgr, c->session, c->in->msg, err);
    if (err != REEVE_OK && !RV_MUTANT(BATCH_HALF)) {
        c->answer_len = 0;
        take_back(mgr);
    }
    if (err == REEVE_OK)
        reply(mgr, c, op, err);
    else
        mgr_reply(mgr, c->session, c->in->number, err, c->text, rv_buf_slice(&mgr->scratch), NULL,
                  0);
    settle(mgr);
}

static void on_wait(struct mgr *mgr, struct box *box, const struct incoming *in);

/* A few bytes ask for many: who does not take them gets no more. */
static bool leaves_answers(struct mgr *mgr, const struct incoming *in)
{
    if (rv_stream_bytes(&in->session->out) <= RV_LIMIT_UNTAKEN_BYTES)
        return false;
    mgr_skip_items(in->session, in);
    mgr_refused(mgr, in->session, in->msg, REEVE_ELIMIT);
    mgr_reply_text(mgr, in->session, in->number, REEVE_ELIMIT,
                   "the session has not taken what it was answered");
    return true;
}

void box_on_call(struct mgr *mgr, struct object *o, struct ref *ref, const struct incoming *in)
{
    struct box_call c = {.in = in,
                         .session = in->session,
                         .box = (struct box *)o,
                         .ref = ref,
                         .op = in->msg->op,
                         .args = in->msg->args};
    struct arrivals a;
    reeve_err err = REEVE_OK;

    if (RV_MUTANT(BOX_SAID_SAFE))
        mgr->reached = mgr_reaches(mgr, o->durable);
    if (c.op == o->ops->box->wait) {
        on_wait(mgr, c.box, in);
        return;
    }
    if (leaves_answers(mgr, in))
        return;
    err = receive(mgr, in, &a, &c.text);
    c.values_len = a.len;
    rv_buf_clear(&mgr->scratch);
    if (err == REEVE_OK)
        err = apply(mgr, &c, &a, 0);
    if (err != REEVE_OK)
        rv_buf_clear(&mgr->scratch);
    finish(mgr, &c, c.op, err);
    free_arrivals(mgr, &a);
}

/* ---- batches ---- */

/* May this operation be one of a batch? It must be able to be taken back. */
static bool may_be_in_batch(uint16_t op)
{
    const struct rv_op_info *info = rv_op_info(op);

    return info != NULL && (info->flags & RV_OP_WRITE) && !(info->flags & RV_OP_BLOCK) &&
           op >= RV_OP_dict_set && op != RV_OP_set_combine;
}

/* The next call of a batch. Its values are in the batch's. */
static reeve_err next_call(const struct session *s, struct rv_reader *calls, uint32_t values_left,
                           struct box_call *c)
{
    struct rv_slice row;
    struct rv_batch_call call;
    struct rv_items items;
    size_t bodies = 0;

    if (!rv_row_next(calls, &row) || !rv_batch_call_decode(&call, row) ||
        !may_be_in_batch(call.op) || !rv_op_args_check(call.op, call.args, &bodies) ||
        call.values > values_left ||
        (rv_op_items(call.op, call.args, &items) ? items.count > 0 : call.values > 0)) {
        c->text = "a malformed batch";
        return REEVE_EPROTO;
    }
    c->op = call.op;
    c->args = call.args;
    c->values_len = call.values;
    c->ref = session_ref(s, call.object);
    if (c->ref == NULL)
        return REEVE_ENOENT;
    c->box = (struct box *)c->ref->object;
    return mgr_may(c->ref, rv_op_info(call.op));
}

static void add_result(struct rv_buf *results, struct rv_slice result, uint32_t values)
{
    size_t start = results->len;

    rv_write_number(results, 0, 4);
    rv_batch_answer_encode(results, &(struct rv_batch_answer){.values = values, .result = result});
    rv_set_number(results->data + start, results->len - start - 4, 4);
}

/* All of its calls, up to the first that fails. */
static reeve_err run_batch(struct mgr *mgr, struct box_call *c, const struct rv_batch_args *args,
                           struct arrivals *a, struct rv_buf *results, uint32_t *done)
{
    struct rv_reader calls = rv_reader(args->calls);
    uint32_t used = 0;
    reeve_err err = REEVE_OK;

    if (args->count > RV_LIMIT_BATCH_CALLS) {
        c->text = "a batch has at most 1024 calls";
        return REEVE_ELIMIT;
    }
    mgr->made = 0;
    for (*done = 0; err == REEVE_OK && *done < args->count; *done += err == REEVE_OK) {
        uint32_t before = c->answer_len;

        if (mgr->made > RV_LIMIT_BATCH_MADE_BYTES) {
            c->text = "the calls of the batch make too much before its end";
            return REEVE_ELIMIT;
        }
        rv_buf_clear(&mgr->scratch);
        err = next_call(c->session, &calls, a->len - used, c);
        if (err == REEVE_OK)
            err = apply(mgr, c, a, used);
        used += c->values_len;
        add_result(results, rv_buf_slice(&mgr->scratch), c->answer_len - before);
    }
    if (err == REEVE_OK && (calls.left > 0 || used < a->len)) {
        c->text = "a malformed batch";
        err = REEVE_EPROTO;
    }
    return err;
}

void box_on_batch(struct mgr *mgr, const struct incoming *in)
{
    struct box_call c = {.in = in, .session = in->session};
    struct rv_buf results = {0};
    struct rv_batch_args args;
    struct arrivals a;
    uint32_t done = 0;
    reeve_err err = REEVE_OK;

    if (leaves_answers(mgr, in))
        return;
    rv_assert(rv_batch_args_decode(&args, in->msg->args));
    err = receive(mgr, in, &a, &c.text);
    if (err == REEVE_OK)
        err = run_batch(mgr, &c, &args, &a, &results, &done);
    if (err == REEVE_OK && results.len > RV_LIMIT_BATCH_BYTES / 4) {
        c.text = "the answers of the batch are too large";
        err = REEVE_ETOOBIG;
    }
    if (err != REEVE_OK)
        rv_buf_clear(&results);
    rv_buf_clear(&mgr->scratch);
    rv_batch_result_encode(
        &mgr->scratch, &(struct rv_batch_result){.done = done, .results = rv_buf_slice(&results)});
    finish(mgr, &c, RV_OP_batch, err);
    rv_buf_free(&results);
    free_arrivals(mgr, &a);
}

/* ---- questions ---- */

/* Values without references that fit go along, the others leave their place empty. */
static void end_read(struct mgr *mgr, const struct box_call *c)
{
    rv_buf_clear(&mgr->items);
    for (uint32_t i = 0; i < c->answer_len; i++) {
        const struct box_value *v = &mgr->answer[i];
        bool plain = v->refs == NULL && small(v->bytes);

        rv_item_write(&mgr->items,
                      &(struct rv_item){.len = plain ? (uint32_t)v->bytes.len : 0,
                                        .bytes = plain ? v->bytes : rv_slice(NULL, 0)});
    }
    if (has_values(c->op, rv_buf_slice(&mgr->scratch)))
        end_result(mgr, c->answer_len);
}

void box_on_read(struct mgr *mgr, struct session *s, const struct rv_read *msg)
{
    struct ref *ref = session_ref(s, msg->object);
    struct box_call c = {.session = s, .ref = ref, .op = msg->op, .args = msg->args};
    reeve_err err = mgr_may(ref, rv_op_info(msg->op));

    rv_buf_clear(&mgr->scratch);
    if (err == REEVE_OK) {
        c.box = (struct box *)ref->object;
        err = ref->object->ops->box->read(mgr, &c);
    }
    if (err == REEVE_OK)
        end_read(mgr, &c);
    mgr_answer(mgr, s, msg->id, err, c.text,
               err == REEVE_OK ? rv_buf_slice(&mgr->scratch) : rv_slice(NULL, 0));
}

/* ---- who waits for a change ---- */

static uint64_t version_of(struct mgr *mgr, const struct box *box, struct rv_slice key)
{
    return key.len == 0 ? box->version : box->object.ops->box->version(mgr, box, key);
}

static struct rv_slice key_of(const struct call *call)
{
    return call->key == NULL ? rv_slice(NULL, 0) : rv_slice(call->key->data, call->key->len);
}

static void answer_wait(struct mgr *mgr, struct session *s, uint64_t number, uint64_t version)
{
    rv_buf_clear(&mgr->scratch);
    rv_dict_wait_result_encode(&mgr->scratch, &(struct rv_dict_wait_result){version, 0});
    mgr_reply(mgr, s, number, REEVE_OK, NULL, rv_buf_slice(&mgr->scratch), NULL, 0);
}

static void wake(struct mgr *mgr, struct box *box)
{
    struct call *call = NULL;
    struct call *next = NULL;

    DL_FOREACH_SAFE (box->waiters, call, next) {
        uint64_t version = version_of(mgr, box, key_of(call));
        struct session *s = call->session;
        uint64_t number = call->number;

        if (version == call->seen || RV_MUTANT(CHANGE_UNTOLD))
            continue;
        mgr_unpark(mgr, call);
        answer_wait(mgr, s, number, version);
    }
}

static void on_wait(struct mgr *mgr, struct box *box, const struct incoming *in)
{
    struct rv_dict_wait_args args;
    struct rv_slice key = {0};
    const char *text = NULL;
    struct call *call = NULL;
    uint64_t version = 0;
    reeve_err err = REEVE_OK;

    rv_assert(rv_dict_wait_args_decode(&args, in->msg->args));
    if (args.key.len > 0) {
        err =
            box->object.ops->box->version == NULL ? REEVE_EINVAL : box_spell(mgr, args.key, &text);
        if (err == REEVE_OK)
            key = rv_buf_slice(&mgr->key);
    }
    if (err != REEVE_OK) {
        mgr_reply_text(mgr, in->session, in->number, err, text);
        return;
    }
    version = version_of(mgr, box, key);
    if (version != args.seen) {
        answer_wait(mgr, in->session, in->number, version);
        return;
    }
    if (in->msg->timeout_ms == 0) {
        mgr_reply_text(mgr, in->session, in->number, REEVE_ETIME, NULL);
        return;
    }
    call = mgr_park_or_refuse(mgr, in, &box->object, &box->waiters);
    if (call == NULL)
        return;
    call->seen = args.seen;
    if (key.len > 0)
        call->key = cell_new(key).body;
}

void box_end_call(struct mgr *mgr, struct call *call, reeve_err error)
{
    struct session *s = call->session;
    uint64_t number = call->number;

    mgr_unpark(mgr, call);
    mgr_reply_text(mgr, s, number, error, NULL);
}

void box_timeout(struct mgr *mgr, struct call *call)
{
    box_end_call(mgr, call, REEVE_ETIME);
}

void box_unparked(struct mgr *mgr, struct call *call)
{
    (void)mgr;
    rv_body_drop(call->key);
}

/* ---- values ---- */

reeve_err box_spell_value(struct mgr *mgr, const msgpack_object *o, const char **text)
{
    reeve_err err = REEVE_OK;

    rv_buf_clear(&mgr->key);
    err = rv_value_key(&mgr->key, o);
    rv_assert(err != REEVE_ENOMEM);
    if (err == REEVE_OK && mgr->key.len > RV_LIMIT_KEY_BYTES)
        err = REEVE_ETOOBIG;
    *text = err == REEVE_EINVAL    ? "no NaN, and no map that has a key twice, is a key"
            : err == REEVE_ETOOBIG ? "a key has at most 1024 bytes"
                                   : NULL;
    return err;
}

reeve_err box_spell(struct mgr *mgr, struct rv_slice bytes, const char **text)
{
    reeve_value *v = NULL;
    reeve_err err = REEVE_ETOOBIG;

    *text = "a key has at most 1024 bytes";
    if (bytes.len > RV_LIMIT_KEY_BYTES)
        return err;
    err = rv_value_parse(&v, bytes);
    rv_assert(err != REEVE_ENOMEM);
    *text = "the key is not one value";
    err = err == REEVE_OK ? box_spell_value(mgr, rv_value_object(v), text) : REEVE_EINVAL;
    rv_value_free(&v);
    return err;
}

bool box_equal(struct rv_slice a, struct rv_slice b)
{
    reeve_value *left = NULL;
    reeve_value *right = NULL;
    bool equal = false;

    rv_assert(rv_value_parse(&left, a) == REEVE_OK && rv_value_parse(&right, b) == REEVE_OK);
    rv_assert(rv_value_equal(rv_value_object(left), rv_value_object(right), &equal) == REEVE_OK);
    rv_value_free(&left);
    rv_value_free(&right);
    return equal;
}

/* ENOENT is of objects; in a value it is a key or an index. */
static reeve_err path_error(reeve_err err)
{
    rv_assert(err != REEVE_ENOMEM);
    return err == REEVE_ENOENT ? REEVE_EKEY : err;
}

static const uint8_t no_path[] = {0x90}; /* an empty array */

bool box_no_path(struct rv_slice path)
{
    return path.len == 0 || rv_slice_equal(path, rv_slice(no_path, sizeof no_path));
}

reeve_err box_answer_path(struct mgr *mgr, struct box_call *c, const struct cell *cell,
                          struct rv_slice path)
{
    struct rv_slice found;
    reeve_err err = REEVE_OK;

    if (!box_no_path(path))
        err = rv_path_get(&found, cell_bytes(cell), path, &c->text);
    if (err != REEVE_OK)
        return path_error(err);
    if (box_no_path(path) ? box_answer(mgr, c, cell) : box_answer_bytes(mgr, c, found, cell->refs))
        return REEVE_OK;
    c->text = "the answer is too large";
    return REEVE_ETOOBIG;
}

/* A value of these bytes. It has those references of the old one that are still in it, and those that came. */
static reeve_err carry_over(struct mgr *mgr, struct box_call *c, const struct cell *old,
                            struct rv_slice bytes, struct cell *out)
{
    struct rv_buf found = {0};
    struct rv_slice refs = refs_in(bytes, false, old == NULL ? NULL : old->refs,
                                   c->values_len == 0 ? NULL : c->values[0].refs, &found);
    bool fit = refs.len <= CARRY_BYTES;

    if (fit) {
        box_made(mgr, bytes.len);
        *out = cell_new(bytes);
        out->refs = carry(mgr, &c->box->object, refs);
    } else {
        c->text = "a value refers to at most 255 objects";
    }
    rv_buf_free(&found);
    return fit ? REEVE_OK : REEVE_ETOOBIG;
}

reeve_err box_edited(struct mgr *mgr, struct box_call *c, const struct cell *cell, uint8_t verb,
                     struct rv_slice path, struct cell *out)
{
    struct rv_slice operand = c->values_len == 0 ? rv_slice(NULL, 0) : cell_bytes(&c->values[0]);
    struct rv_buf bytes = {0};
    reeve_err err = REEVE_OK;

    if (verb > RV_EDIT_ADD || c->values_len != (verb != RV_EDIT_DELETE)) {
        c->text = "no such change of a value";
        return REEVE_EINVAL;
    }
    if (path.len == 0)
        path = rv_slice(no_path, sizeof no_path);
    if (cell == NULL) /* the whole value is not there: adding begins with nothing */
        rv_buf_add(&bytes, operand.data, operand.len);
    else
        err = rv_path_edit(&bytes, cell_bytes(cell), path, (enum rv_edit)verb, operand, &c->text);
    if (err == REEVE_OK && bytes.len > RV_LIMIT_ITEM_BYTES) {
        c->text = "a value has at most 16 MiB";
        err = REEVE_ETOOBIG;
    }
    rv_assert(!bytes.bad);
    if (err == REEVE_OK)
        err = carry_over(mgr, c, cell, rv_buf_slice(&bytes), out);
    rv_buf_free(&bytes);
    return path_error(err);
}

reeve_err box_cas(struct mgr *mgr, struct box_call *c, uint8_t flags, const struct cell *cell,
                  uint8_t *done)
{
    uint32_t expected = flags & RV_CAS_ABSENT ? 0 : 1;
    bool sets = !(flags & (RV_CAS_DELETE | RV_CAS_ONLY));

    if (c->values_len != expected + sets) {
        c->text = "too few values to compare and set, or too many";
        return REEVE_EINVAL;
    }
    *done = expected == 0 ? cell == NULL
                          : cell != NULL && box_equal(cell_bytes(cell), cell_bytes(&c->values[0]));
    if (RV_MUTANT(CAS_BLIND))
        *done = 1;
    if (*done)
        return REEVE_OK;
    if (flags & RV_CAS_MUST) {
        c->text = "it has another value than was expected";
        return REEVE_EVALUE;
    }
    if (cell == NULL || box_answer(mgr, c, cell))
        return REEVE_OK;
    c->text = "the answer is too large";
    return REEVE_ETOOBIG;
}

/* ---- as an object ---- */

void box_init(struct box *box, const struct rv_object_open_args *args)
{
    box->most = args->bytes;
}

bool box_fits(const struct object *o, const struct rv_object_open_args *args)
{
    const struct box *box = (const struct box *)o;

    return args->bytes == 0 || args->bytes == box->most;
}

void box_row(const struct box *box, struct rv_object_row *out)
{
    const struct call *call = NULL;

    out->bytes = box->bytes;
    out->most = box->most;
    DL_COUNT(box->waiters, call, out->getters);
}

void box_drop_ref(struct mgr *mgr, struct ref *ref, bool died)
{
    (void)mgr;
    (void)ref;
    (void)died;
}

void box_removed(struct mgr *mgr, struct box *box)
{
    while (box->waiters != NULL)
        box_end_call(mgr, box->waiters, REEVE_EGONE);
}

uint64_t box_bytes(const struct object *o)
{
    return ((const struct box *)o)->bytes;
}

/* ---- in a snapshot ---- */

void box_save(const struct box *box, struct saver *out)
{
    save_number(out, box->most, 8);
    save_number(out, RV_MUTANT(VERSION_UNSAVED) ? 0 : box->version, 8);
    save_calls(out, &box->object, box->waiters);
}

void box_load(struct mgr *mgr, struct box *box, struct rv_reader *in)
{
    box->most = rv_read_number(in, 8);
    box->version = rv_read_number(in, 8);
    load_calls(mgr, in, &box->object, &box->waiters);
}

void box_save_call(const struct call *call, struct saver *out)
{
    save_number(out, (uint64_t)call->since, 8);
    save_number(out, RV_MUTANT(SEEN_UNSAVED) ? 0 : call->seen, 8);
    save_bytes(out, key_of(call));
}

void box_load_call(struct mgr *mgr, struct call *call, struct rv_reader *in)
{
    struct rv_slice key;

    (void)mgr;
    call->since = (rv_ns)rv_read_number(in, 8);
    call->seen = rv_read_number(in, 8);
    key = load_bytes(in);
    if (key.len > 0 && !in->bad)
        call->key = cell_new(key).body;
}
