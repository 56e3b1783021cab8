#include "proxy/core/work.h"

#include <stdio.h>

enum {
    RETRY_MS = 10,
    JUDGE_MS = 250,   /* an iteration that gets through half of what is ahead in it wants more */
    RESULT_COST = 64, /* what the manager counts for a result besides its bytes, */
    RECORD_COST = 64, /* and for its circumstances */
    CALL_HEAD = 300,  /* of a message of items, besides them */
    SPENT_MAX = 64,
    LOOK_MS = 1000, /* so old is what is known of the job's agents at most */
};

static const struct rv_port_ops work_ops;

/* ---- errands ---- */

static struct rv_errand *errand_new(const char *function, uint64_t cap)
{
    struct rv_errand *e = calloc(1, sizeof *e);

    if (e == NULL)
        return NULL;
    e->function = strdup(function);
    if (e->function == NULL || !rv_yield_init(&e->out, cap)) {
        free(e->function);
        free(e);
        return NULL;
    }
    return e;
}

static void errand_free(struct rv_errand *e)
{
    rv_packs_free(&e->in);
    rv_yield_free(&e->out);
    free(e->arrived);
    free(e->function);
    free(e->why);
    free(e);
}

struct rv_errand *rv_errand_map(const char *function, const struct rv_packs *packs)
{
    struct rv_errand *e = errand_new(function, packs->count);

    if (e == NULL)
        return NULL;
    e->total = packs->count;
    if (rv_packs_share(&e->in, packs))
        return e;
    errand_free(e);
    return NULL;
}

struct rv_errand *rv_errand_iterate(const char *function, bool ordered, uint64_t ahead)
{
    struct rv_errand *e = errand_new(function, 0);

    if (e == NULL)
        return NULL;
    e->total = UINT64_MAX;
    e->ordered = ordered;
    e->ahead_max = ahead == 0 ? RV_AHEAD_MAX : ahead;
    e->ahead = e->ahead_max < RV_AHEAD_FIRST ? e->ahead_max : RV_AHEAD_FIRST;
    return e;
}

struct rv_errand *rv_errand_watch(bool ordered)
{
    struct rv_errand *e = errand_new("", 0);

    if (e == NULL)
        return NULL;
    e->total = UINT64_MAX;
    e->watches = true;
    e->ordered = ordered;
    e->ahead = e->ahead_max = 1; /* its results are handed out one by one */
    return e;
}

static void not_due(struct rv_work *work, struct rv_errand *e)
{
    if (e->due)
        DL_DELETE2(work->due, e, prev_due, next_due);
    e->due = false;
}

static void make_due(struct rv_work *work, struct rv_errand *e)
{
    if (!e->due)
        DL_APPEND2(work->due, e, prev_due, next_due);
    e->due = true;
}

static void finish(struct rv_errand *e)
{
    struct rv_work *work = e->work;

    not_due(work, e);
    DL_DELETE(work->errands, e);
    if (e->watches)
        work->stretches_head = work->stretches_len = 0; /* what comes now is nobody's */
    e->work = NULL;
    if (e->left)
        errand_free(e);
    else if (e->over != NULL)
        e->over(e);
}

static void finish_if_over(struct rv_errand *e)
{
    if (e->work != NULL && e->out.done == e->total)
        finish(e);
}

void rv_errand_begin(struct rv_work *work, struct rv_errand *e, rv_ns now)
{
    rv_assert(work->error == REEVE_OK && e->work == NULL);
    e->work = work;
    e->weighed_at = now;
    DL_APPEND(work->errands, e);
    if (rv_packs_first(&e->in) != NULL)
        make_due(work, e);
    finish_if_over(e);
    rv_work_feed(work, now);
}

void rv_errand_leave(struct rv_errand *e)
{
    if (e == NULL)
        return;
    if (e->work == NULL) {
        errand_free(e);
        return;
    }
    e->left = true;
    if (e->ahead == 0)
        return;
    if (e->watches) {
        finish(e);
        return;
    }
    not_due(e->work, e);
    rv_packs_free(&e->in);
    e->total = e->put;
    finish_if_over(e);
}

/* ---- iterations ---- */

static uint64_t added(const struct rv_errand *e)
{
    return e->put + e->in.count;
}

/* So many items ahead that what they bring is expected to fit. */
static uint64_t affordable(const struct rv_errand *e)
{
    uint64_t each = e->out.done == 0 ? 1 : e->bytes / e->out.done + 1;
    uint64_t fits = RV_AHEAD_BYTES / each;

    fits = fits < RV_AHEAD_MIN ? RV_AHEAD_MIN : fits;
    return fits < e->ahead ? fits : e->ahead;
}

bool rv_errand_hungry(const struct rv_errand *e)
{
    return e->work != NULL && !e->watches && e->total == UINT64_MAX &&
           e->in_bytes < RV_WORK_PUT_BYTES && added(e) - e->given < affordable(e) &&
           added(e) - e->out.base < RV_LIMIT_JOB_ITEMS;
}

/* Room in the ring for one more index. */
static bool grow_arrived(struct rv_errand *e)
{
    uint64_t cap = e->arrived_cap == 0 ? 16 : e->arrived_cap * 2;
    uint64_t *arrived = NULL;

    arrived = malloc((size_t)cap * sizeof *arrived);
    if (arrived == NULL)
        return false;
    for (uint64_t i = 0; i < e->arrived_len; i++)
        arrived[i] = e->arrived[(e->arrived_first + i) & (e->arrived_cap - 1)];
    free(e->arrived);
    e->arrived = arrived;
    e->arrived_first = 0;
    e->arrived_cap = cap;
    return true;
}

/* Room for the result of one more item, so that its coming can't fail for want of a slot. */
static bool make_room(struct rv_errand *e)
{
    if (!rv_yield_grow(&e->out, added(e) - e->out.base + 1))
        return false;
    return e->ordered || added(e) - e->given < e->arrived_cap || grow_arrived(e);
}

/* Who watches makes room when results come. */
static bool expect(struct rv_errand *e, uint64_t first, uint32_t count)
{
    uint64_t end = first + count;

    if (!e->watches || end <= e->out.base)
        return true;
    if (end - e->out.base > RV_LIMIT_JOB_ITEMS || !rv_yield_grow(&e->out, end - e->out.base))
        return false;
    while (!e->ordered && e->arrived_cap < e->arrived_len + count)
        if (!grow_arrived(e))
            return false;
    e->out.end = e->out.end < end ? end : e->out.end;
    e->work->next = e->work->next < end ? end : e->work->next;
    return true;
}

reeve_err rv_errand_add(struct rv_errand *e, struct rv_slice item, struct rv_slice refs)
{
    reeve_err err =
        make_room(e) ? rv_packs_add(&e->in, item, rv_slice(NULL, 0), refs) : REEVE_ENOMEM;

    rv_assert(e->total == UINT64_MAX);
    if (err != REEVE_OK)
        return err;
    e->in_bytes += item.len;
    if (e->work != NULL)
        make_due(e->work, e);
    return REEVE_OK;
}

void rv_errand_end(struct rv_errand *e)
{
    if (e->total != UINT64_MAX)
        return;
    e->total = added(e);
    finish_if_over(e);
}

bool rv_errand_next(struct rv_errand *e, struct rv_result *out)
{
    if (e->ordered)
        return rv_yield_at(&e->out, e->out.base, out);
    return e->arrived_len > 0 && rv_yield_at(&e->out, e->arrived[e->arrived_first], out);
}

void rv_errand_took(struct rv_errand *e, uint64_t index)
{
    rv_yield_take(&e->out, index);
    e->given++;
    if (e->ordered)
        return;
    rv_assert(e->arrived_len > 0 && e->arrived[e->arrived_first] == index);
    e->arrived_first = (e->arrived_first + 1) & (e->arrived_cap - 1);
    e->arrived_len--;
}

static void use_up(struct rv_work *work, rv_ns now, uint64_t bytes);

void rv_errand_claim(struct rv_errand *e, rv_ns now)
{
    uint64_t bytes = e->unclaimed;

    if (e->work == NULL ||
        (!e->ordered && (e->out.bytes >= RV_WATCH_BYTES || e->out.here >= RV_WATCH_ITEMS)))
        return;
    e->unclaimed = 0;
    use_up(e->work, now, bytes);
}

void rv_errand_starve(struct rv_errand *e, rv_ns now)
{
    bool full = added(e) - e->given >= e->ahead;

    if (full && e->given - e->weighed >= e->ahead / 2 && e->ahead < e->ahead_max &&
        now - e->weighed_at < JUDGE_MS * RV_MS)
        e->ahead = e->ahead * 2 < e->ahead_max ? e->ahead * 2 : e->ahead_max;
    else if (now - e->weighed_at < JUDGE_MS * RV_MS)
        return;
    e->weighed = e->given;
    e->weighed_at = now;
}

/* ---- the job ---- */

static void schedule(struct rv_work *work)
{
    rv_ns lost = RV_NEVER;

    if (rv_work_open(work) > 0 && work->asking == NULL && work->error == REEVE_OK)
        lost = rv_after_ms(work->stirred_at, work->patience_ms);
    work->port.tick_at = lost < work->retry_at ? lost : work->retry_at;
}

static void try_again(struct rv_work *work, rv_ns now)
{
    work->retry_at = rv_after_ms(now, RETRY_MS);
    schedule(work);
}

reeve_err rv_work_init(struct rv_work *work, struct rv_link *link, struct rv_ledger *ledger,
                       uint64_t object, uint32_t patience_ms)
{
    *work = (struct rv_work){
        .port = {.object = object, .ops = &work_ops, .tick_at = RV_NEVER},
        .link = link,
        .ledger = ledger,
        .patience_ms = patience_ms,
        .retry_at = RV_NEVER,
    };
    if (rv_link_add_port(link, &work->port))
        return REEVE_OK;
    work->link = NULL;
    return REEVE_ENOMEM;
}

void rv_work_end(struct rv_work *work, reeve_err error, const char *why)
{
    if (work->error != REEVE_OK)
        return;
    work->error = error;
    snprintf(work->why, sizeof work->why, "%s", why);
    work->stretches_len = work->stretches_head = work->spent = 0;
    work->retry_at = work->port.tick_at = RV_NEVER;
    while (work->errands != NULL) {
        struct rv_errand *e = work->errands;

        e->error = error;
        e->why = strdup(work->why); /* without memory, the code's words must do */
        finish(e);
    }
}

void rv_work_fini(struct rv_work *work, reeve_err error, const char *why)
{
    struct rv_request *call = NULL;
    struct rv_request *next = NULL;

    if (work->link == NULL)
        return;
    rv_work_end(work, error, why);
    HASH_ITER (hh, work->link->calls, call, next) {
        if (call->arg == work)
            call->arg = NULL;
    }
    if (work->asking != NULL)
        work->asking->arg = NULL;
    (void)rv_link_say(work->link, RV_OP_object_close, work->port.object, rv_slice(NULL, 0));
    rv_link_drop_port(work->link, &work->port);
    free(work->stretches);
    work->stretches = NULL;
    work->link = NULL;
}

uint64_t rv_work_open(const struct rv_work *work)
{
    return work->next - work->done;
}

static void end_with(struct rv_work *work, reeve_err error, struct rv_slice text)
{
    char why[sizeof work->why];

    if (text.len == 0)
        snprintf(why, sizeof why, "the manager refused it");
    else
        snprintf(why, sizeof why, "%.*s", (int)(text.len < 250 ? text.len : 250),
                 (const char *)text.data);
    rv_work_end(work, error, why);
}

/* ---- stretches ---- */

static void squeeze(struct rv_work *work)
{
    size_t to = 0;

    for (size_t i = work->stretches_head; i < work->stretches_len; i++)
        if (work->stretches[i].left > 0)
            work->stretches[to++] = work->stretches[i];
    work->stretches_head = 0;
    work->stretches_len = to;
    work->spent = 0;
}

static bool reserve_stretch(struct rv_work *work)
{
    size_t cap = work->stretches_cap == 0 ? 16 : work->stretches_cap * 2;
    struct rv_stretch *stretches = NULL;

    if (work->stretches_len < work->stretches_cap)
        return true;
    if (work->stretches_head + work->spent > work->stretches_len / 2) {
        squeeze(work);
        return true;
    }
    stretches = realloc(work->stretches, cap * sizeof *stretches);
    if (stretches == NULL)
        return false;
    work->stretches = stretches;
    work->stretches_cap = cap;
    return true;
}

/* The next count indexes are the errand's; there is room. */
static void stretch(struct rv_work *work, struct rv_errand *e, uint32_t count)
{
    struct rv_stretch *last = work->stretches_len == work->stretches_head
                                  ? NULL
                                  : &work->stretches[work->stretches_len - 1];

    if (last != NULL && last->errand == e && last->from + last->count == e->put) {
        last->count += count;
        last->left += count;
    } else {
        work->stretches[work->stretches_len++] =
            (struct rv_stretch){work->next, count, e->put, count, e};
    }
    work->next += count;
    e->put += count;
    e->out.end = e->put;
}

void rv_errand_follow(struct rv_work *work, struct rv_errand *e, uint64_t put, uint64_t total,
                      rv_ns now)
{
    rv_assert(work->error == REEVE_OK && work->stretches_len == 0 && e->watches);
    e->work = work;
    DL_APPEND(work->errands, e); /* it hears of the end, too */
    if (!reserve_stretch(work)) {
        rv_work_end(work, REEVE_ENOMEM, "out of memory");
        return;
    }
    work->stretches[work->stretches_len++] = (struct rv_stretch){0, UINT64_MAX, 0, UINT64_MAX, e};
    work->next = put;
    work->stirred_at = now;
    e->total = total;
    finish_if_over(e);
    schedule(work);
}

/* The one that an index is in; or NULL. */
static struct rv_stretch *find_stretch(const struct rv_work *work, uint64_t index)
{
    size_t low = work->stretches_head;
    size_t high = work->stretches_len;

    while (low < high) {
        size_t mid = low + (high - low) / 2;
        struct rv_stretch *s = &work->stretches[mid];

        if (index < s->first)
            high = mid;
        else if (index - s->first >= s->count)
            low = mid + 1;
        else
            return s->errand == NULL ? NULL : s;
    }
    return NULL;
}

/* So many of its results have come. */
static void spend(struct rv_work *work, struct rv_stretch *s, uint64_t fresh)
{
    rv_assert(s->left >= fresh);
    s->left -= fresh;
    work->done += fresh;
    if (s->left > 0)
        return;
    s->errand = NULL;
    work->spent++;
    while (work->stretches_head < work->stretches_len &&
           work->stretches[work->stretches_head].left == 0) {
        work->stretches_head++;
        work->spent--;
    }
    if (work->stretches_head == work->stretches_len)
        work->stretches_head = work->stretches_len = 0;
}

/* ---- items go ---- */

static void put_answered(struct rv_link *link, struct rv_request *call, rv_ns now,
                         const struct rv_outcome *outcome)
{
    struct rv_work *work = call->arg;

    (void)link;
    if (work == NULL)
        return;
    work->puts--;
    work->put_bytes -= call->count;
    if (outcome->error != REEVE_OK)
        end_with(work, outcome->error, outcome->text);
    else
        rv_work_feed(work, now);
}

/* A large item goes beside the message: in a frame, or in fragments before it. */
static struct rv_body *make_body(struct rv_link *link, struct rv_slice bytes, struct rv_item *item)
{
    struct rv_body *body = rv_body_new(bytes.len);

    if (body == NULL)
        return NULL;
    memcpy(body->data, bytes.data, bytes.len);
    *item = (struct rv_item){.place = RV_BODY, .len = (uint32_t)bytes.len};
    if (bytes.len <= RV_LIMIT_BODY_BYTES)
        return body;
    item->place = RV_FRAGMENTS;
    item->body = ++link->last_body;
    if (rv_stream_add_fragments(&link->out, item->body, body))
        return body;
    rv_body_drop(body);
    return NULL;
}

static struct rv_request *send_put(struct rv_work *work, const struct rv_errand *e,
                                   const struct rv_items *items, struct rv_body *body)
{
    struct rv_buf args = {0};
    struct rv_request *call = NULL;

    rv_job_put_args_encode(&args, &(struct rv_job_put_args){.first = work->next,
                                                            .function = rv_slice_str(e->function),
                                                            .chunk = e->chunk,
                                                            .items = *items});
    if (!args.bad)
        call = rv_link_call(work->link, RV_OP_job_put, work->port.object, UINT32_MAX,
                            rv_buf_slice(&args), &body, body != NULL);
    rv_buf_free(&args);
    return call;
}

static struct rv_request *send_pack(struct rv_work *work, const struct rv_errand *e,
                                    const struct rv_pack *pack)
{
    struct rv_items items = {pack->count, rv_buf_slice(&pack->bytes)};
    struct rv_item item;
    struct rv_buf head = {0};
    struct rv_body *body = NULL;
    struct rv_request *call = NULL;

    if (!pack->large)
        return send_put(work, e, &items, NULL);
    body = make_body(work->link, items.bytes, &item);
    if (body == NULL)
        return NULL;
    item.refs = rv_buf_slice(&pack->objects);
    rv_item_write(&head, &item);
    items.bytes = rv_buf_slice(&head);
    if (!head.bad)
        call = send_put(work, e, &items, item.place == RV_BODY ? body : NULL);
    rv_buf_free(&head);
    rv_body_drop(body);
    return call;
}

/* The first pack of an errand. False without memory. */
static bool put_first(struct rv_work *work, struct rv_errand *e, rv_ns now)
{
    const struct rv_pack *pack = rv_packs_first(&e->in);
    struct rv_request *call = reserve_stretch(work) ? send_pack(work, e, pack) : NULL;

    if (call == NULL)
        return false;
    call->hook = put_answered;
    call->arg = work;
    call->count = (uint32_t)pack->bytes.len;
    call->abandoned = true; /* freed with its answer */
    work->puts++;
    work->put_bytes += pack->bytes.len;
    if (rv_work_open(work) == 0)
        work->stirred_at = now;
    stretch(work, e, pack->count);
    e->in_bytes -= pack->bytes.len < e->in_bytes ? pack->bytes.len : e->in_bytes;
    rv_packs_pop(&e->in);
    if (rv_packs_first(&e->in) == NULL)
        e->in_bytes = 0;
    return true;
}

static bool may_put(const struct rv_work *work)
{
    return work->puts < RV_WORK_PUTS && work->put_bytes < RV_WORK_PUT_BYTES;
}

static bool has_room(const struct rv_link *link, size_t bytes)
{
    return rv_link_room(link, bytes + CALL_HEAD) || link->out.first == link->out.next;
}

void rv_work_feed(struct rv_work *work, rv_ns now)
{
    work->retry_at = RV_NEVER;
    while (work->error == REEVE_OK && work->due != NULL && may_put(work)) {
        struct rv_errand *e = work->due;

        if (!has_room(work->link, rv_packs_first(&e->in)->bytes.len) || !put_first(work, e, now)) {
            try_again(work, now);
            return;
        }
        /* The next one has its turn. */
        not_due(work, e);
        if (rv_packs_first(&e->in) != NULL)
            make_due(work, e);
    }
    schedule(work);
}

/* ---- results come ---- */

static void arrive(void *arg, uint64_t index)
{
    struct rv_errand *e = arg;
    struct rv_result result;

    if (rv_yield_at(&e->out, index, &result))
        e->bytes += result.value.len;
    if (e->left) {
        rv_yield_take(&e->out, index);
        return;
    }
    if (e->ahead > 0 && !e->ordered)
        e->arrived[(e->arrived_first + e->arrived_len++) & (e->arrived_cap - 1)] = index;
}

/* What the application's memory holds now need not be held for it by the manager. */
static void use_up(struct rv_work *work, rv_ns now, uint64_t bytes)
{
    struct rv_buf args = {0};

    work->used += bytes;
    if (work->used - work->told <= RV_LIMIT_JOB_RESULT_BYTES / 4)
        return;
    rv_job_take_args_encode(&args, &(struct rv_job_take_args){.bytes = work->used});
    if (!args.bad &&
        rv_link_say(work->link, RV_OP_job_take, work->port.object, rv_buf_slice(&args)))
        work->told = work->used;
    else
        try_again(work, now);
    rv_buf_free(&args);
}

/* The first n of the items; *rest has the others. */
static bool split(struct rv_items *rest, uint32_t n, struct rv_items *first)
{
    struct rv_reader r = rv_reader(rest->bytes);
    struct rv_item item;

    for (uint32_t i = 0; i < n; i++)
        rv_item_read(&r, &item);
    if (r.bad)
        return false;
    *first = (struct rv_items){n, rv_slice(rest->bytes.data, rest->bytes.len - r.left)};
    *rest = (struct rv_items){rest->count - n, rv_slice(r.data, r.left)};
    return true;
}

/* What the manager counted for values that came packed, or for one large one. */
static uint64_t cost_of(const struct rv_items *items)
{
    struct rv_reader r = rv_reader(items->bytes);
    struct rv_item item = {0};

    if (items->count == 1)
        rv_item_read(&r, &item);
    return RESULT_COST + (item.place == RV_INLINE ? items->bytes.len : item.len);
}

static void skip(struct rv_work *work, const struct rv_items *items, const struct rv_freight *f)
{
    struct rv_reader r = rv_reader(items->bytes);

    rv_items_skip(work->link, &r, items->count, f->bodies, f->bodies_len, f->frames);
    work->doubles += items->count;
}

/* Those of one stretch, or one that nobody waits for. */
static bool take_part(struct rv_work *work, uint64_t first, struct rv_items *items,
                      const struct rv_freight *freight, uint32_t *taken)
{
    struct rv_stretch *s = find_stretch(work, first);
    struct rv_errand *e = s == NULL ? NULL : s->errand;
    uint64_t there = s == NULL ? 1 : s->first + s->count - first;
    struct rv_items part = *items;
    uint64_t before = 0;
    bool plain = e != NULL && e->ahead == 0 && !e->left;
    bool ok = true;

    *taken = items->count < there ? items->count : (uint32_t)there;
    if (*taken < items->count && !split(items, *taken, &part))
        return false;
    if (e == NULL) {
        skip(work, &part, freight);
        return true;
    }
    before = e->out.done;
    if (!expect(e, first, *taken))
        return false;
    ok = rv_yield_add(&e->out, s->from + (first - s->first), &part, freight, plain ? NULL : arrive,
                      e);
    work->doubles += *taken - (e->out.done - before);
    spend(work, s, e->out.done - before);
    finish_if_over(e);
    return ok;
}

static bool take_values(struct rv_work *work, uint64_t first, struct rv_items items,
                        const struct rv_freight *freight)
{
    while (items.count > 0) {
        uint32_t taken = 0;
        uint32_t count = items.count;

        if (work->error != REEVE_OK || !take_part(work, first, &items, freight, &taken))
            return work->error != REEVE_OK;
        if (taken == count)
            break;
        first += taken;
    }
    return true;
}

static reeve_err error_of(uint8_t status)
{
    switch (status) {
    case RV_RAN_OK:
        return REEVE_OK;
    case RV_RAN_TIMEOUT:
        return REEVE_ETIME;
    case RV_RAN_TOOBIG:
        return REEVE_ETOOBIG;
    default:
        return REEVE_EITEM;
    }
}

/* What a value that came alone refers to: the session was handed it. */
static struct rv_slice refs_of(const struct rv_items *items)
{
    struct rv_reader r = rv_reader(items->bytes);
    struct rv_item item = {0};

    if (items->count == 1)
        rv_item_read(&r, &item);
    return item.refs;
}

static bool take_record(struct rv_work *work, const struct rv_job_result_args *in,
                        const struct rv_freight *freight)
{
    struct rv_stretch *s = find_stretch(work, in->index);
    struct rv_errand *e = s == NULL ? NULL : s->errand;
    struct rv_slice refs = refs_of(&in->items);
    struct rv_record *record = NULL;
    struct rv_lien *lien = NULL;
    uint64_t before = 0;
    bool ok = true;

    if (e != NULL && !expect(e, in->index, 1))
        return false;
    if (e == NULL) {
        skip(work, &in->items, freight);
        rv_ledger_release(work->link, refs);
        return true;
    }
    if (refs.len > 0 && (lien = rv_lien_new(work->ledger, refs)) == NULL)
        return false;
    record = rv_record_new(&(struct rv_record){.status = in->status,
                                               .error = error_of(in->status),
                                               .runs = in->runs,
                                               .pid = in->pid,
                                               .ns = in->ns,
                                               .code = in->code},
                           in->agent, in->host, in->text, in->output, in->item);
    if (record == NULL) {
        rv_lien_drop(lien);
        return false;
    }
    record->lien = lien;
    before = e->out.done;
    ok = rv_yield_tell(&e->out, s->from + (in->index - s->first), record, &in->items, freight,
                       arrive, e);
    work->failed += e->out.done > before && in->status != RV_RAN_OK;
    work->doubles += e->out.done == before;
    spend(work, s, e->out.done - before);
    finish_if_over(e);
    return ok;
}

/* Bytes of results are here. Who watches has the manager wait while it is slow to use them. */
static void received(struct rv_work *work, rv_ns now, uint64_t bytes)
{
    struct rv_errand *e = work->errands;

    if (e == NULL || !e->watches) {
        use_up(work, now, bytes);
        return;
    }
    e->unclaimed += bytes;
    rv_errand_claim(e, now);
}

static void count(struct rv_work *work, uint64_t total)
{
    struct rv_errand *e = work->errands;

    if (e == NULL || !e->watches || e->total != UINT64_MAX)
        return;
    e->total = total;
    work->next = total;
    finish_if_over(e);
}

static void on_push(struct rv_port *port, rv_ns now, const struct rv_push *push,
                    const struct rv_slice *bodies, size_t bodies_len, size_t *frames)
{
    struct rv_work *work = (struct rv_work *)port;
    struct rv_freight freight = {&work->link->assembly, bodies, bodies_len, frames};
    struct rv_job_results_args values;
    struct rv_job_result_args one;
    struct rv_job_ended_args ended;
    struct rv_job_total_args total;
    bool ok = true;

    if (push->op == RV_OP_job_results && rv_job_results_args_decode(&values, push->args)) {
        ok = take_values(work, values.first, values.items, &freight);
        received(work, now, cost_of(&values.items));
    } else if (push->op == RV_OP_job_result && rv_job_result_args_decode(&one, push->args)) {
        ok = take_record(work, &one, &freight);
        received(work, now,
                 cost_of(&one.items) + RECORD_COST + one.text.len + one.output.len + one.item.len);
    } else if (push->op == RV_OP_job_total && rv_job_total_args_decode(&total, push->args)) {
        count(work, total.total);
    } else if (push->op == RV_OP_job_ended && rv_job_ended_args_decode(&ended, push->args)) {
        end_with(work, ended.error != 0 ? rv_error_said(ended.error) : REEVE_EPROTO, ended.text);
    }
    if (!ok) {
        rv_link_die(work->link, now, REEVE_ENOMEM, "no memory for results that came");
        return;
    }
    work->stirred_at = now;
    schedule(work);
}

/* ---- nothing comes ---- */

/* There is nobody who could do it: say so, instead of waiting for ever. */
static void asked(struct rv_link *link, struct rv_request *call, rv_ns now,
                  const struct rv_outcome *outcome)
{
    struct rv_work *work = call->arg;
    struct rv_object_list_result rows;
    struct rv_reader r;
    struct rv_slice bytes;
    struct rv_job_row row = {.agents = 1};
    char why[sizeof work->why];

    if (work == NULL)
        return;
    work->asking = NULL;
    if (outcome->error == REEVE_OK && rv_object_list_result_decode(&rows, outcome->result)) {
        r = rv_reader(rows.rows);
        if (rv_row_next(&r, &bytes) && rv_job_row_decode(&row, bytes)) {
            work->agents = row.agents;
            work->slots = row.slots;
            work->retried = row.retried;
        } else {
            row.agents = 1;
        }
    }
    if (row.agents == 0 && rv_after_ms(work->stirred_at, work->patience_ms) <= now) {
        snprintf(why, sizeof why,
                 "no agent can run it: manager %.150s has had none for %.1f s; start one with "
                 "reeve-worker",
                 link->conf.endpoints[link->endpoint], (double)(now - work->stirred_at) / 1e9);
        rv_work_end(work, REEVE_ENOAGENT, why);
        return;
    }
    if (rv_after_ms(work->stirred_at, work->patience_ms) <= now)
        work->stirred_at = now;
    schedule(work);
}

static void ask(struct rv_work *work, rv_ns now)
{
    struct rv_buf args = {0};

    work->asked_at = now;
    rv_job_stat_args_encode(&args, &(struct rv_job_stat_args){.job = work->port.object});
    if (!args.bad)
        work->asking = rv_link_read(work->link, RV_OP_job_stat, 0, rv_buf_slice(&args));
    rv_buf_free(&args);
    if (work->asking == NULL) {
        try_again(work, now);
        return;
    }
    work->asking->hook = asked;
    work->asking->arg = work;
    work->asking->abandoned = true; /* freed with its answer */
    schedule(work);
}

void rv_work_look(struct rv_work *work, rv_ns now)
{
    if (work->error == REEVE_OK && work->asking == NULL &&
        rv_after_ms(work->asked_at, LOOK_MS) <= now)
        ask(work, now);
}

static void on_tick(struct rv_port *port, rv_ns now)
{
    struct rv_work *work = (struct rv_work *)port;

    if (work->retry_at <= now) {
        work->retry_at = RV_NEVER;
        use_up(work, now, 0);
        if (work->retry_at == RV_NEVER)
            rv_work_feed(work, now);
    }
    schedule(work);
    if (work->port.tick_at <= now)
        ask(work, now);
}

static void on_dead(struct rv_port *port)
{
    struct rv_work *work = (struct rv_work *)port;

    rv_work_end(work, work->link->error, work->link->why);
}

static const struct rv_port_ops work_ops = {.push = on_push, .tick = on_tick, .dead = on_dead};
