#include "server/core/carry.h"
#include "server/core/job.h"
#include "server/core/crew.h"
#include "server/core/object.h"
#include "server/core/quota.h"
#include "server/core/session.h"

#include <stdio.h>

enum {
    FUNCTIONS_MAX = 256,  /* names of functions in one job */
    ARENA_BYTES = 65536,  /* of packed items that come in small puts */
    ARENA_FIRST = 2048,   /* the first of them */
    LOGS_MAX = 512,       /* things kept that items printed */
    LOGS_BYTES = 4 << 20, /* ... and their bytes */
    HOSTS_BYTES = 256,
    REST_PARTS = 8, /* what was with a dead agent is dealt in so many parts */
};

/* What a result counts besides its bytes. */
static const size_t RESULT_COST = 64;

/* ---- slices ---- */

size_t slice_skip(const struct slice *s, uint32_t items)
{
    size_t at = s->at;

    if (s->large)
        return items == 0 ? at : at + s->len;
    if (items == s->count)
        return s->at + s->len;
    for (uint32_t i = 0; i < items; i++)
        at += rv_item_size(s->body->data + at);
    return at;
}

void slice_drop(struct slice *s)
{
    rv_body_drop(s->body);
    s->body = NULL;
}

/* The first n items; they leave s. */
static struct slice split(struct slice *s, uint32_t n)
{
    struct slice head = *s;
    size_t at = slice_skip(s, n);

    rv_body_keep(head.body);
    head.count = n;
    head.len = at - s->at;
    s->first += n;
    s->count -= n;
    s->len -= head.len;
    s->at = at;
    return head;
}

/* ---- spans ---- */

static void add_span(struct job *job, struct span **list, const struct slice *slice, bool front,
                     const struct rv_id *avoid)
{
    struct span *span = rv_alloc(sizeof *span);

    span->slice = *slice;
    if (avoid != NULL)
        span->avoid = *avoid;
    if (front)
        DL_PREPEND(*list, span);
    else
        DL_APPEND(*list, span);
    job->waiting += slice->count;
    job->bytes_in += slice->len;
}

static void free_span(struct job *job, struct span **list, struct span *span)
{
    DL_DELETE(*list, span);
    job->waiting -= span->slice.count;
    job->bytes_in -= span->slice.len;
    slice_drop(&span->slice);
    free(span);
}

bool job_has_items(const struct job *job)
{
    return job->pending != NULL || job->again != NULL || job->alone != NULL;
}

/* What was dealt twice may be done by now. */
static void skip_done(struct job *job, struct span **list, struct span *span)
{
    while (span->slice.count > 0 && bits_test(&job->done, span->slice.first)) {
        struct slice gone = split(&span->slice, 1);

        job->waiting -= gone.count;
        job->bytes_in -= gone.len;
        slice_drop(&gone);
    }
    if (span->slice.count == 0)
        free_span(job, list, span);
}

static struct span *first_span(struct job *job, struct span **list)
{
    struct span *span = *list;

    while (span != NULL) {
        skip_done(job, list, span);
        if (*list == span)
            return span;
        span = *list;
    }
    return NULL;
}

/* As many as fit a message, at most want. */
static uint32_t fitting(const struct slice *s, uint32_t want)
{
    uint32_t n = 0;
    size_t at = s->at;

    if (s->count < want)
        want = s->count;
    if (want == s->count && s->len <= RV_LIMIT_CHUNK_BYTES)
        return want;
    while (n < want) {
        at += rv_item_size(s->body->data + at);
        if (n > 0 && at - s->at > RV_LIMIT_CHUNK_BYTES)
            break;
        n++;
    }
    return n;
}

/* n items of the head of a span. */
static void take_head(struct job *job, struct span **list, struct span *span, uint32_t n,
                      struct slice *out)
{
    *out = split(&span->slice, n);
    job->waiting -= out->count;
    job->bytes_in -= out->len;
    if (span->slice.count == 0)
        free_span(job, list, span);
}

bool job_take_alone(struct job *job, struct slice *out)
{
    struct span *span = first_span(job, &job->alone);

    if (span == NULL)
        return false;
    take_head(job, &job->alone, span, 1, out);
    return true;
}

bool job_take_slice(struct job *job, const struct rv_id *host, bool others, uint32_t want,
                    uint32_t least, struct slice *out)
{
    struct span *span = NULL;
    struct span *next = NULL;
    struct span **list = &job->again;
    uint32_t n = 0;

    DL_FOREACH_SAFE (job->again, span, next) {
        bool done = bits_test(&job->done, span->slice.first);

        if (done)
            free_span(job, list, span);
        else if (!others || rv_id_zero(&span->avoid) || !rv_id_equal(&span->avoid, host))
            break;
    }
    if (span == NULL) {
        list = &job->pending;
        span = first_span(job, list);
    }
    if (span == NULL)
        return false;
    want = span->slice.chunk > 0 ? span->slice.chunk : want;
    want = want < least && !span->slice.searched ? least : want;
    n = span->slice.large ? 1 : fitting(&span->slice, want);
    take_head(job, list, span, n, out);
    return true;
}

/* ---- is it among those with work? ---- */

static bool has_work(const struct job *job)
{
    size_t limit = job->detached ? RV_LIMIT_JOB_KEPT_BYTES : RV_LIMIT_JOB_BYTES;

    return !job->completed && job_has_items(job) && job->bytes_out <= limit &&
           (job->processes == 0 || job->chunks_len < job->processes);
}

void job_refresh(struct mgr *mgr, struct job *job)
{
    bool ready = has_work(job);

    if (ready && !job->ready)
        DL_APPEND2(mgr->ready, job, prev_ready, next_ready);
    if (!ready && job->ready)
        DL_DELETE2(mgr->ready, job, prev_ready, next_ready);
    job->ready = ready;
    mgr->lonely -= job->lonely;
    job->lonely = ready && job->alone != NULL;
    mgr->lonely += job->lonely;
}

/* ---- told ---- */

void told_free(struct told *told)
{
    if (told == NULL)
        return;
    free(told->agent);
    free(told->host);
    free(told->text);
    rv_body_drop(told->output);
    rv_body_drop(told->item);
    free(told);
}

size_t job_told_bytes(const struct told *told)
{
    return told == NULL ? 0
                        : strlen(told->text) + (told->output == NULL ? 0 : told->output->len) +
                              (told->item == NULL ? 0 : told->item->len) + RESULT_COST;
}

static struct told *told_copy(const struct told *told)
{
    struct told *copy = rv_alloc(sizeof *copy);

    *copy = *told;
    copy->agent = mgr_text(rv_slice_str(told->agent));
    copy->host = mgr_text(rv_slice_str(told->host));
    copy->text = mgr_text(rv_slice_str(told->text));
    copy->output = told->output == NULL ? NULL : rv_body_keep(told->output);
    copy->item = NULL;
    return copy;
}

static struct rv_slice body_slice(const struct rv_body *body)
{
    return body == NULL ? rv_slice(NULL, 0) : rv_slice(body->data, body->len);
}

static struct rv_body *body_of(struct rv_slice bytes)
{
    struct rv_body *body = rv_body_new(bytes.len);

    rv_assert(body != NULL);
    if (bytes.len > 0)
        memcpy(body->data, bytes.data, bytes.len);
    return body;
}

/* ---- results on their way ---- */

size_t job_result_bytes(const struct result *r)
{
    return RESULT_COST + (r->values == NULL ? 0 : r->values->len) + job_told_bytes(r->told);
}

static void free_result(struct mgr *mgr, struct job *job, struct result *r)
{
    DL_DELETE(job->results, r);
    job->bytes_out -= job_result_bytes(r);
    carry_drop(mgr, &r->carried);
    rv_body_drop(r->values);
    told_free(r->told);
    free(r);
}

/* The one large value of a result, as an item of the message that is being made. */
static void write_large(struct mgr *mgr, struct session *s, const struct result *r,
                        struct rv_body **frame)
{
    struct rv_body *body = r->values;
    uint8_t refs[CARRY_BYTES];
    struct rv_item item = {
        .place = RV_BODY, .len = (uint32_t)body->len, .refs = carry_wire(r->carried, refs)};

    *frame = NULL;
    if (body->len <= RV_LIMIT_ITEM_INLINE_BYTES) {
        item.place = RV_INLINE;
        item.bytes = rv_slice(body->data, body->len);
    } else if (body->len > RV_LIMIT_BODY_BYTES) {
        item.place = RV_FRAGMENTS;
        item.body = ++s->bodies;
        rv_assert(rv_stream_add_fragments(&s->out, item.body, body));
    } else {
        *frame = body;
    }
    rv_item_write(&mgr->items, &item);
}

static void push_values(struct mgr *mgr, struct reader *reader, uint64_t first,
                        const struct rv_items *items, struct rv_body *frame)
{
    rv_buf_clear(&mgr->scratch);
    rv_job_results_args_encode(&mgr->scratch,
                               &(struct rv_job_results_args){.first = first, .items = *items});
    mgr_push(mgr, reader->session, RV_OP_job_results, reader->job->object.id,
             rv_buf_slice(&mgr->scratch), &frame, frame != NULL);
}

static void push_told(struct mgr *mgr, struct reader *reader, const struct result *r,
                      const struct rv_items *items, struct rv_body *frame)
{
    const struct told *t = r->told;

    rv_buf_clear(&mgr->scratch);
    rv_job_result_args_encode(&mgr->scratch,
                              &(struct rv_job_result_args){.index = r->first,
                                                           .status = t->status,
                                                           .runs = t->runs,
                                                           .agent = rv_slice_str(t->agent),
                                                           .host = rv_slice_str(t->host),
                                                           .pid = t->pid,
                                                           .ns = t->ns,
                                                           .code = t->code,
                                                           .text = rv_slice_str(t->text),
                                                           .output = body_slice(t->output),
                                                           .item = body_slice(t->item),
                                                           .items = *items});
    mgr_push(mgr, reader->session, RV_OP_job_result, reader->job->object.id,
             rv_buf_slice(&mgr->scratch), &frame, frame != NULL);
}

static void push_result(struct mgr *mgr, struct reader *reader, const struct result *r)
{
    struct rv_items items = {.count = r->values == NULL ? 0 : r->count};
    struct rv_body *frame = NULL;

    rv_buf_clear(&mgr->items);
    if (r->values != NULL && r->large)
        write_large(mgr, reader->session, r, &frame);
    items.bytes = r->large ? rv_buf_slice(&mgr->items) : body_slice(r->values);
    if (r->told != NULL)
        push_told(mgr, reader, r, &items, frame);
    else
        push_values(mgr, reader, r->first, &items, frame);
    carry_give(mgr, reader->session, r->carried);
}

static bool credit(const struct reader *reader)
{
    return reader->sent - reader->taken < RV_LIMIT_JOB_RESULT_BYTES;
}

static void tell_ended(struct mgr *mgr, struct reader *reader)
{
    const struct job *job = reader->job;

    if (reader->ended || reader->next_result != NULL || !job->ended)
        return;
    reader->ended = true;
    rv_buf_clear(&mgr->scratch);
    rv_job_ended_args_encode(
        &mgr->scratch,
        &(struct rv_job_ended_args){.error = (uint32_t)job->error, .text = rv_slice_str(job->why)});
    mgr_push(mgr, reader->session, RV_OP_job_ended, job->object.id, rv_buf_slice(&mgr->scratch),
             NULL, 0);
}

static void tell_total(struct mgr *mgr, struct reader *reader)
{
    if (reader->counted || reader->job->total == UINT64_MAX)
        return;
    reader->counted = true;
    rv_buf_clear(&mgr->scratch);
    rv_job_total_args_encode(&mgr->scratch, &(struct rv_job_total_args){reader->job->total, 0});
    mgr_push(mgr, reader->session, RV_OP_job_total, reader->job->object.id,
             rv_buf_slice(&mgr->scratch), NULL, 0);
}

static void send_results(struct mgr *mgr, struct reader *reader)
{
    struct job *job = reader->job;

    while (reader->next_result != NULL && credit(reader)) {
        struct result *r = reader->next_result;

        push_result(mgr, reader, r);
        reader->sent += job_result_bytes(r);
        reader->next_result = r->next;
        if (!job->detached || RV_MUTANT(LEFT_TAKEN))
            free_result(mgr, job, r);
    }
    tell_ended(mgr, reader);
}

static void keep_result(struct mgr *mgr, struct job *job, struct result *r)
{
    struct reader *reader = NULL;

    DL_APPEND(job->results, r);
    job->bytes_out += job_result_bytes(r);
    DL_FOREACH (job->readers, reader) {
        if (reader->next_result == NULL)
            reader->next_result = r;
    }
    for (reader = job->readers; reader != NULL;) {
        struct reader *next = reader->next;

        send_results(mgr, reader);
        reader = next;
    }
}

/* Values of items that are done now. Those of a job that has one reader, who can take them, go
 * straight on. */
static void give_values(struct mgr *mgr, struct job *job, uint64_t first,
                        const struct rv_items *items)
{
    struct reader *reader = job->readers;
    struct result *r = NULL;

    if (!job->detached && reader != NULL && job->results == NULL && credit(reader)) {
        push_values(mgr, reader, first, items, NULL);
        reader->sent += RESULT_COST + items->bytes.len;
        return;
    }
    r = rv_alloc(sizeof *r);
    r->first = first;
    r->count = items->count;
    r->values = body_of(items->bytes);
    keep_result(mgr, job, r);
}

/* ---- blame ---- */

static struct blame *find_blame(const struct job *job, uint64_t index)
{
    struct blame *b = NULL;

    HASH_FIND(hh, job->blames, &index, sizeof index, b);
    return b;
}

static void forget_blame(struct job *job, struct blame *b)
{
    if (b == NULL)
        return;
    HASH_DELETE(hh, job->blames, b);
    free(b->hosts);
    free(b->lost_hosts);
    free(b);
}

/* ---- items that are done ---- */

bool job_complete(const struct job *job)
{
    return job->ended || (job->total != UINT64_MAX && job->done_len == job->total);
}

static void serve_putters(struct mgr *mgr, struct job *job);

/* Of a detached job that is over the results are kept for so long after its last reader. */
static void keep_for_a_while(struct mgr *mgr, struct job *job)
{
    if (!job->detached)
        return;
    job->object.ttl_ms = RV_LIMIT_JOB_KEEP_MS;
    if (job->object.refs == 0)
        rv_heap_set(&mgr->heap, &job->object.timer, rv_after_ms(mgr->now, job->object.ttl_ms));
}

/* Nothing of it is to be run any more. */
static void drop_work(struct mgr *mgr, struct job *job)
{
    while (job->pending != NULL)
        free_span(job, &job->pending, job->pending);
    while (job->again != NULL)
        free_span(job, &job->again, job->again);
    while (job->alone != NULL)
        free_span(job, &job->alone, job->alone);
    mgr->slots_freed |= job->chunks != NULL;
    while (job->chunks != NULL)
        crew_drop_chunk(mgr, job->chunks);
}

/* All is answered: agents may forget it. */
static void maybe_complete(struct mgr *mgr, struct job *job)
{
    if (!job_complete(job) || job->completed)
        return;
    job->completed = true;
    mgr_say(mgr, RV_INFO, "job.done job=%llu items=%llu failed=%llu retried=%llu",
            (unsigned long long)job->object.id, (unsigned long long)job->done_len,
            (unsigned long long)job->failed, (unsigned long long)job->retried);
    drop_work(mgr, job);
    crew_forget_job(mgr, job);
    job_refresh(mgr, job);
    keep_for_a_while(mgr, job);
}

static void drop_pledge(struct mgr *mgr, struct job_refs *refs, struct pledge *p)
{
    DL_DELETE(refs->pledges, p);
    refs->pledges_len--;
    carry_drop(mgr, &p->carried);
    free(p);
}

static void forget_refs(struct mgr *mgr, struct job *job, struct job_refs *refs)
{
    HASH_DELETE(hh, job->refs, refs);
    carry_drop(mgr, &refs->carried);
    while (refs->pledges != NULL)
        drop_pledge(mgr, refs, refs->pledges);
    free(refs);
}

static struct job_refs *find_refs(const struct job *job, uint64_t index)
{
    struct job_refs *refs = NULL;

    if (job->refs != NULL) /* the common case */
        HASH_FIND(hh, job->refs, &index, sizeof index, refs);
    return refs;
}

static struct job_refs *refs_of(struct job *job, uint64_t index)
{
    struct job_refs *refs = find_refs(job, index);

    if (refs != NULL)
        return refs;
    refs = rv_alloc(sizeof *refs);
    refs->index = index;
    HASH_ADD(hh, job->refs, index, sizeof refs->index, refs);
    return refs;
}

/* Its items may refer to objects until they are done. What their sender does not hold is not there
 * for the task either. */
static void keep_refs(struct mgr *mgr, struct job *job, const struct session *s, uint64_t index,
                      struct rv_slice refs)
{
    if (refs.len > 0 && carry_allowed(s, refs))
        refs_of(job, index)->carried = carry(mgr, &job->object, refs);
}

static void drop_refs(struct mgr *mgr, struct job *job, uint64_t index)
{
    struct job_refs *refs = find_refs(job, index);

    if (refs == NULL || (refs->pledges != NULL && RV_MUTANT(PLEDGE_KEPT)))
        return;
    forget_refs(mgr, job, refs);
}

static void drop_all_refs(struct mgr *mgr, struct job *job)
{
    struct job_refs *refs = NULL;
    struct job_refs *next = NULL;

    HASH_ITER (hh, job->refs, refs, next) {
        forget_refs(mgr, job, refs);
    }
}

/* What was pledged with these very objects, or NULL. The caller has it from now on. */
static struct carried *take_pledge(struct mgr *mgr, const struct job *job, uint64_t index,
                                   struct rv_slice objects)
{
    struct job_refs *refs = find_refs(job, index);
    struct carried *carried = NULL;
    struct pledge *p = NULL;
    uint8_t room[CARRY_BYTES];

    if (refs == NULL || objects.len == 0)
        return NULL;
    DL_FOREACH (refs->pledges, p) {
        if (rv_slice_equal(carry_wire(p->carried, room), objects))
            break;
    }
    if (p == NULL)
        return NULL;
    carried = p->carried;
    p->carried = NULL;
    drop_pledge(mgr, refs, p);
    return carried;
}

static void count_done(struct mgr *mgr, struct job *job, uint64_t first, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        rv_assert(bits_set(&job->done, first + i));
        drop_refs(mgr, job, first + i);
        if (job->blames != NULL)
            forget_blame(job, find_blame(job, first + i));
    }
    job->done_len += count;
}

/* Values that came packed; those of items that are done already are dropped. */
static void take_packed(struct mgr *mgr, struct job *job, uint64_t first, struct rv_items items)
{
    const uint8_t *at = items.bytes.data;
    const uint8_t *end = at + items.bytes.len;

    while (items.count > 0) {
        uint32_t fresh =
            RV_MUTANT(RESULT_TWICE) ? items.count : bits_clear_run(&job->done, first, items.count);
        const uint8_t *to = at;

        if (fresh == 0) {
            at += rv_item_size(at);
            first++;
            items.count--;
            job->redone++;
            continue;
        }
        if (fresh == items.count)
            to = end;
        else
            for (uint32_t i = 0; i < fresh; i++)
                to += rv_item_size(to);
        if (!RV_MUTANT(RESULT_TWICE))
            count_done(mgr, job, first, fresh);
        else
            for (uint32_t i = 0; i < fresh; i++)
                job->done_len += bits_set(&job->done, first + i);
        give_values(mgr, job, first, &(struct rv_items){fresh, rv_slice(at, (size_t)(to - at))});
        at = to;
        first += fresh;
        items.count -= fresh;
    }
}

static void take_one(struct mgr *mgr, struct job *job, uint64_t index, struct rv_body *value,
                     struct carried *carried, struct told *told)
{
    struct result *r = NULL;

    if (!bits_set(&job->done, index)) {
        job->redone++;
        rv_body_drop(value);
        carry_drop(mgr, &carried);
        told_free(told);
        return;
    }
    job->done_len++;
    drop_refs(mgr, job, index);
    r = rv_alloc(sizeof *r);
    *r = (struct result){.first = index,
                         .count = 1,
                         .values = value,
                         .large = true,
                         .told = told,
                         .carried = carried};
    keep_result(mgr, job, r);
}

void job_measure(struct job *job, uint64_t ns, uint32_t count)
{
    uint64_t each = 0;

    rv_assert(count > 0);
    each = ns / count;
    if (each == 0)
        each = 1;
    job->item_ns = job->item_ns == 0 ? each : (job->item_ns * 7 + each) / 8;
}

/* Nobody ever takes away what a detached job has: without this it would stand still. */
static void end_if_too_large(struct mgr *mgr, struct job *job)
{
    if (job->detached && !job_complete(job) && job->bytes_out > RV_LIMIT_JOB_KEPT_BYTES)
        job_end(mgr, job, REEVE_ELIMIT, "its results are more than the manager keeps of a job");
}

/* The member goes on to the next item of its chunk; what it was expected to cost shrinks. */
static void advance(struct mgr *mgr, struct chunk *c, uint32_t count)
{
    struct job *job = c->job;
    uint64_t left = c->slice.first + c->slice.count - c->next;
    uint64_t part = 0;

    rv_assert(count <= left && left > 0);
    part = c->cost / left * count;
    c->next += count;
    c->cost -= part;
    c->member->load -= part;
    c->member->done += count;
    job->running -= count;
    if (c->next == c->slice.first + c->slice.count)
        crew_drop_chunk(mgr, c);
    else
        crew_refresh(mgr, c->member);
    maybe_complete(mgr, job);
    end_if_too_large(mgr, job);
    serve_putters(mgr, job);
    job_refresh(mgr, job);
}

/* ---- items that failed ---- */

static const char unpledged[] = "its value refers to objects that its task did not pledge";

/* How the run of an item in that chunk ended. */
static struct told *tell(const struct chunk *c, enum rv_ran status, const char *text)
{
    struct told *told = rv_alloc(sizeof *told);

    *told = (struct told){.status = (uint8_t)status,
                          .runs = c->slice.run,
                          .agent = mgr_text(rv_slice_str(c->member->name)),
                          .host = mgr_text(rv_slice_str(c->member->session->host_name)),
                          .text = mgr_text(rv_slice_str(text))};
    return told;
}

static struct blame *blame_of(struct job *job, uint64_t index)
{
    struct blame *b = find_blame(job, index);

    if (b != NULL)
        return b;
    b = rv_alloc(sizeof *b);
    b->index = index;
    HASH_ADD(hh, job->blames, index, sizeof b->index, b);
    return b;
}

static void add_host(char **hosts, const char *host)
{
    char text[HOSTS_BYTES];

    snprintf(text, sizeof text, "%.120s%s%.120s", *hosts == NULL ? "" : *hosts,
             *hosts == NULL ? "" : ", ", host);
    free(*hosts);
    *hosts = mgr_text(rv_slice_str(text));
}

static bool ended_its_runner(uint8_t status)
{
    return status == RV_RAN_CRASHED || status == RV_RAN_EXITED;
}

/* One more run has failed. Is there another one? */
static bool try_again(struct job *job, struct blame *b, const struct told *told)
{
    b->runs++;
    if (ended_its_runner(told->status)) {
        b->crashes++;
        add_host(&b->hosts, told->host);
        return b->crashes < job->runs_max || RV_MUTANT(BLAME_FORGOTTEN);
    }
    return told->status != RV_RAN_NEVER && b->runs <= job->retries;
}

/* A copy of the item itself, as its value. */
static struct rv_body *copy_item(const struct slice *s, uint64_t index)
{
    size_t at = slice_skip(s, (uint32_t)(index - s->first));
    struct rv_reader r = rv_reader(rv_slice(s->body->data + at, s->at + s->len - at));
    struct rv_item item;

    if (s->large)
        return rv_body_keep(s->body);
    rv_item_read(&r, &item);
    return body_of(item.bytes);
}

/* The text of an item that is given up after several runs names where they were. */
static void add_evidence(struct told *told, const struct blame *b)
{
    char text[1000];

    told->runs = b->runs;
    if (b->crashes < 2)
        return;
    snprintf(text, sizeof text, "%.600s; it ended its process %u times, on %.200s", told->text,
             b->crashes, b->hosts);
    free(told->text);
    told->text = mgr_text(rv_slice_str(text));
}

static void log_it(struct job *job, uint64_t index, const struct told *told)
{
    struct job_log *log = NULL;

    if (told->output == NULL && told->status == RV_RAN_OK)
        return;
    log = rv_alloc(sizeof *log);
    *log = (struct job_log){.number = ++job->logs_last, .index = index, .told = told_copy(told)};
    DL_APPEND(job->logs, log);
    job->logs_len++;
    job->logs_bytes += job_told_bytes(told);
    while (job->logs_len > LOGS_MAX || job->logs_bytes > LOGS_BYTES) {
        log = job->logs;
        DL_DELETE(job->logs, log);
        job->logs_len--;
        job->logs_bytes -= job_told_bytes(log->told);
        told_free(log->told);
        free(log);
    }
}

/* Agents die for reasons of their own: who allows its items one run only may lose some, too. */
uint32_t job_losses_max(const struct job *job)
{
    return job->runs_max > RV_LIMIT_RUNS ? job->runs_max : RV_LIMIT_RUNS;
}

static bool suspected(const struct job *job, const struct blame *b)
{
    return b != NULL && b->lost >= job_losses_max(job);
}

/* One item, which had begun, is to be begun again. */
static void add_begun(struct job *job, struct slice *one, struct span **list,
                      const struct rv_id *avoid)
{
    one->alone = suspected(job, find_blame(job, one->first));
    if (one->alone)
        add_span(job, &job->alone, one, false, NULL);
    else
        add_span(job, list, one, list == &job->pending, avoid);
}

static void run_again(struct mgr *mgr, struct chunk *c, uint64_t index, const struct blame *b)
{
    struct job *job = c->job;
    struct slice rest = c->slice;
    struct slice head = {0};
    struct slice one = {0};

    rv_body_keep(rest.body);
    head = split(&rest, (uint32_t)(index - c->slice.first));
    one = split(&rest, 1);
    slice_drop(&head);
    slice_drop(&rest);
    one.run = (one.run > b->runs ? one.run : b->runs) + 1;
    job->retried++;
    if (!bits_test(&job->done, index))
        add_begun(job, &one, &job->again, &c->member->host);
    else
        slice_drop(&one);
    (void)mgr;
}

/* Nothing but bytes: a value has neither priority nor deliveries, and mostly refers to nothing. */
static bool is_bare(const struct rv_item *item)
{
    return item->priority == 0 && item->deliveries == 0 && item->refs.len == 0;
}

/* Why there is no value: the quota of its agent's key has dropped bytes of it, or the agent is wrong. */
static const char *why_no_value(struct mgr *mgr, struct session *s)
{
    bool overdrawn = s->overdrawn;

    s->overdrawn = false;
    mgr->refused++;
    return overdrawn ? quota_text(mgr, s->principal, RV_QUOTA_FLIGHT) : "its agent sent no value";
}

static void refuse_told(struct told *told, const char *text)
{
    told->status = RV_RAN_FAILED;
    free(told->text);
    told->text = mgr_text(rv_slice_str(text));
}

/* The item has run, and what it made cannot be had. */
static void refuse_value(struct mgr *mgr, const struct chunk *c, uint64_t index, const char *text)
{
    struct job *job = c->job;
    struct told *told = tell(c, RV_RAN_FAILED, text);

    if (job->detached)
        told->item = copy_item(&c->slice, index);
    log_it(job, index, told);
    job->failed += !bits_test(&job->done, index);
    forget_blame(job, find_blame(job, index));
    take_one(mgr, job, index, NULL, NULL, told);
}

void job_results(struct mgr *mgr, struct chunk *c, uint64_t first, const struct rv_items *items,
                 const struct incoming *in)
{
    struct job *job = c->job;
    struct rv_reader r = rv_reader(items->bytes);
    struct rv_items packed = {.bytes = rv_slice(r.data, 0)};
    uint64_t packed_first = first;

    for (uint32_t i = 0; i < items->count; i++) {
        struct rv_slice before = rv_slice(r.data, r.left);
        struct rv_body *body = NULL;
        struct rv_item item;

        rv_item_read(&r, &item);
        if (item.place == RV_INLINE && is_bare(&item)) {
            packed.count++;
            continue;
        }
        packed.bytes.len = (size_t)(before.data - packed.bytes.data);
        take_packed(mgr, job, packed_first, packed);
        if (item.place != RV_INLINE && !rv_item_receive(&item, &in->session->assembly, in->bodies,
                                                        in->bodies_len, in->frames, &body))
            *in->frames += item.place == RV_BODY;
        if (body != NULL && is_bare(&item)) {
            forget_blame(job, find_blame(job, first + i));
            take_one(mgr, job, first + i, body, NULL, NULL);
        } else {
            rv_body_drop(body); /* values that come together refer to nothing */
            refuse_value(mgr, c, first + i,
                         item.refs.len > 0 ? unpledged : why_no_value(mgr, in->session));
        }
        packed = (struct rv_items){.bytes = rv_slice(r.data, 0)};
        packed_first = first + i + 1;
    }
    packed.bytes.len = (size_t)(r.data - packed.bytes.data);
    take_packed(mgr, job, packed_first, packed);
    advance(mgr, c, items->count);
}

void job_result(struct mgr *mgr, struct chunk *c, struct told *told, const struct rv_items *items,
                const struct incoming *in)
{
    struct job *job = c->job;
    uint64_t index = c->next;
    struct blame *b = NULL;
    struct rv_body *value = NULL;
    struct carried *carried = NULL;

    if (items->count == 1) {
        struct rv_reader r = rv_reader(items->bytes);
        struct rv_item item;

        rv_item_read(&r, &item);
        if (!rv_item_receive(&item, &in->session->assembly, in->bodies, in->bodies_len, in->frames,
                             &value))
            *in->frames += item.place == RV_BODY;
        if (item.place == RV_INLINE)
            value = body_of(item.bytes);
        carried = take_pledge(mgr, job, index, item.refs);
        if (item.refs.len > 0 && carried == NULL && !RV_MUTANT(PLEDGE_UNASKED)) {
            refuse_told(told, unpledged);
            rv_body_drop(value);
            value = NULL;
        } else if (value == NULL) {
            refuse_told(told, why_no_value(mgr, in->session));
        }
    }
    b = find_blame(job, index);
    told->runs = b == NULL || b->runs < c->slice.run ? c->slice.run : b->runs + 1;
    log_it(job, index, told);
    if (told->ns > 0)
        job_measure(job, told->ns, 1);
    if (told->status != RV_RAN_OK && !bits_test(&job->done, index)) {
        b = blame_of(job, index);
        c->member->crashed += ended_its_runner(told->status);
        if (try_again(job, b, told)) {
            mgr_say(mgr, RV_INFO, "item.again job=%llu item=%llu agent=%llu run=%u why=\"%.200s\"",
                    (unsigned long long)job->object.id, (unsigned long long)index,
                    (unsigned long long)c->member->object.id, b->runs, told->text);
            run_again(mgr, c, index, b);
            carry_drop(mgr, &carried);
            rv_body_drop(value);
            told_free(told);
            advance(mgr, c, 1);
            return;
        }
        mgr_say(mgr, RV_WARN, "item.failed job=%llu item=%llu agent=%llu runs=%u why=\"%.200s\"",
                (unsigned long long)job->object.id, (unsigned long long)index,
                (unsigned long long)c->member->object.id, b->runs, told->text);
        add_evidence(told, b);
        if (job->detached && value == NULL)
            told->item = copy_item(&c->slice, index); /* who attaches did not give it */
        job->failed++;
    }
    forget_blame(job, b);
    take_one(mgr, job, index, value, carried, told);
    advance(mgr, c, 1);
}

/* ---- items whose agents died ---- */

/* It waits among others, as its run was lost before it was known that its agent had died. */
static void set_apart(struct job *job, uint64_t index)
{
    struct span **lists[] = {&job->pending, &job->again};

    for (size_t i = 0; i < rv_countof(lists); i++) {
        struct span *span = NULL;

        DL_FOREACH (*lists[i], span) {
            if (span->slice.first != index || span->slice.count != 1)
                continue;
            DL_DELETE(*lists[i], span);
            span->slice.alone = true;
            DL_APPEND(job->alone, span);
            return;
        }
    }
}

static void set_aside(struct mgr *mgr, struct chunk *c, struct blame *b)
{
    struct job *job = c->job;
    const struct member *m = c->member;
    struct told *told = NULL;
    char text[HOSTS_BYTES + 100];

    snprintf(text, sizeof text, "its host was lost each time it ran: %u times, on %s", b->lost,
             b->lost_hosts);
    mgr_say(mgr, RV_WARN, "item.failed job=%llu item=%llu agent=%llu runs=%u why=\"%s\"",
            (unsigned long long)job->object.id, (unsigned long long)c->next,
            (unsigned long long)m->object.id, c->slice.run, text);
    told = tell(c, RV_RAN_CRASHED, text);
    if (job->detached)
        told->item = copy_item(&c->slice, c->next);
    log_it(job, c->next, told);
    job->failed++;
    forget_blame(job, b);
    take_one(mgr, job, c->next, NULL, NULL, told);
    advance(mgr, c, 1);
}

void job_lost(struct mgr *mgr, struct chunk *c, bool alone)
{
    struct job *job = c->job;
    struct blame *b = NULL;

    if (job->ended || bits_test(&job->done, c->next))
        return;
    b = blame_of(job, c->next);
    b->lost++;
    b->lost_alone += alone;
    add_host(&b->lost_hosts, c->member->session->host_name);
    if (b->lost_alone >= job_losses_max(job) && !RV_MUTANT(HOST_FORGOTTEN)) {
        set_aside(mgr, c, b);
    } else if (suspected(job, b)) {
        set_apart(job, c->next);
        job_refresh(mgr, job);
    }
}

void job_requeue(struct mgr *mgr, const struct chunk *c, uint64_t at, bool begun)
{
    struct job *job = c->job;
    struct slice rest = c->slice;
    struct slice head = {0};
    struct slice one = {0};

    (void)mgr;
    rv_body_keep(rest.body);
    head = split(&rest, (uint32_t)(at - c->slice.first));
    slice_drop(&head);
    if (rest.count == 0 || job->ended || RV_MUTANT(LEASE_FORGOTTEN)) {
        slice_drop(&rest);
        return;
    }
    if (!begun) {
        add_span(job, &job->pending, &rest, true, NULL);
        return;
    }
    one = split(&rest, 1);
    one.run++;
    if (rest.count > 0) {
        /* Results come in batches: perhaps it had begun one of these. Smaller chunks find it soon. */
        uint32_t part = (rest.count + REST_PARTS - 1) / REST_PARTS;

        rest.chunk = rest.chunk == 0 || rest.chunk > part ? part : rest.chunk;
        rest.searched = true;
        add_span(job, &job->pending, &rest, true, NULL);
    } else {
        slice_drop(&rest);
    }
    add_begun(job, &one, &job->pending, NULL);
}

/* ---- putting ---- */

static const char *intern(struct job *job, struct rv_slice name)
{
    if (name.len == 0)
        return job->function;
    for (uint32_t i = 0; i < job->functions_len; i++)
        if (rv_slice_equal(rv_slice_str(job->functions[i]), name))
            return job->functions[i];
    if (job->functions_len == FUNCTIONS_MAX)
        return NULL;
    job->functions = rv_realloc(job->functions, (job->functions_len + 1) * sizeof(char *));
    job->functions[job->functions_len] = mgr_text(name);
    return job->functions[job->functions_len++];
}

/* Bytes for more records behind those of s, which may share theirs or have no room left. */
static void make_room(struct slice *s, size_t more)
{
    struct rv_body *body = s->body;
    size_t room = 2 * (s->len + more);

    if (s->at + s->len == body->len && body->cap - body->len >= more)
        return;
    body = rv_body_new(room);
    rv_assert(body != NULL);
    memcpy(body->data, s->body->data + s->at, s->len);
    body->len = s->len;
    rv_body_drop(s->body);
    s->body = body;
    s->at = 0;
}

/* Small puts that follow each other become one span, so that chunks can be larger than puts. */
static bool append(struct job *job, const struct slice *more, struct rv_slice records)
{
    struct span *tail = job->pending == NULL ? NULL : job->pending->prev;
    struct slice *s = tail == NULL ? NULL : &tail->slice;

    if (s == NULL || s->large || s->run != 1 || s->function != more->function ||
        s->chunk != more->chunk || s->first + s->count != more->first ||
        s->len + records.len > ARENA_BYTES)
        return false;
    make_room(s, records.len);
    memcpy(s->body->data + s->body->len, records.data, records.len);
    s->body->len += records.len;
    s->len += records.len;
    s->count += more->count;
    job->waiting += more->count;
    job->bytes_in += records.len;
    return true;
}

/* The next items of a put, packed: so many as slice says, which has no bytes yet. */
static void add_packed(struct job *job, struct slice slice, struct rv_slice records)
{
    struct rv_body *body = NULL;
    size_t room = job->pending == NULL ? ARENA_FIRST : ARENA_BYTES;

    slice.first = job->put;
    job->put += slice.count;
    if (slice.count == 0 || append(job, &slice, records))
        return;
    body = rv_body_new(records.len > room ? records.len : room);
    rv_assert(body != NULL);
    memcpy(body->data, records.data, records.len);
    body->len = records.len;
    slice.body = body;
    slice.len = records.len;
    add_span(job, &job->pending, &slice, false, NULL);
}

static bool add_items(struct mgr *mgr, struct job *job, const struct rv_job_put_args *args,
                      const char *function, const struct incoming *in)
{
    struct rv_reader r = rv_reader(args->items.bytes);
    struct rv_slice packed = rv_slice(r.data, 0);
    struct slice slice = {.run = 1, .function = function};
    bool whole = true;

    slice.chunk = args->chunk < RV_LIMIT_CHUNK_ITEMS ? args->chunk : RV_LIMIT_CHUNK_ITEMS;
    for (uint32_t i = 0; i < args->items.count; i++) {
        const uint8_t *before = r.data;
        struct rv_body *body = NULL;
        struct rv_item item;
        struct slice large = slice;

        rv_item_read(&r, &item);
        keep_refs(mgr, job, in->session, job->put + slice.count, item.refs);
        if (item.place == RV_INLINE) {
            slice.count++;
            continue;
        }
        packed.len = (size_t)(before - packed.data);
        add_packed(job, slice, packed);
        packed = rv_slice(r.data, 0);
        slice.count = 0;
        if (!rv_item_receive(&item, &in->session->assembly, in->bodies, in->bodies_len, in->frames,
                             &body)) {
            *in->frames += item.place == RV_BODY;
            whole = false;
            body = rv_body_new(0);
        }
        large.first = job->put++;
        large.count = 1;
        large.large = true;
        large.body = body;
        large.len = body->len;
        add_span(job, &job->pending, &large, false, NULL);
    }
    packed.len = (size_t)(r.data - packed.data);
    add_packed(job, slice, packed);
    return whole;
}

static bool window_open(const struct job *job)
{
    size_t limit = job->detached ? RV_LIMIT_JOB_KEPT_BYTES : RV_LIMIT_JOB_BYTES;

    return job->bytes_in + job->bytes_out <= limit &&
           job->put - job->done.base <= RV_LIMIT_JOB_ITEMS;
}

/* The items of a put are taken at once; its answer waits for room, and with it the client. */
static void on_put(struct mgr *mgr, struct job *job, const struct incoming *in)
{
    struct rv_job_put_args args;
    const char *function = NULL;
    struct session *s = in->session;

    rv_assert(rv_job_put_args_decode(&args, in->msg->args));
    if (!job->ended)
        function = intern(job, args.function);
    if (job->ended || function == NULL || args.first != job->put ||
        args.items.count > job->total - job->put || HASH_COUNT(s->calls) >= RV_LIMIT_PARKED) {
        mgr_skip_items(s, in);
        mgr_reply_text(mgr, s, in->number,
                       job->ended         ? job->error
                       : function == NULL ? REEVE_ELIMIT
                                          : REEVE_EINVAL,
                       job->ended         ? job->why
                       : function == NULL ? "a job has at most 256 functions"
                                          : "the items are not those that come next");
        return;
    }
    if (!add_items(mgr, job, &args, function, in)) {
        job_end(mgr, job, REEVE_EPROTO, "an item's bytes did not arrive");
        mgr_reply_text(mgr, s, in->number, job->error, job->why);
        return;
    }
    if (window_open(job))
        mgr_reply_text(mgr, s, in->number, REEVE_OK, NULL);
    else
        mgr_park_or_refuse(mgr, in, &job->object, &job->putters);
    job_refresh(mgr, job);
    crew_deal(mgr);
}

static void answer_putter(struct mgr *mgr, struct call *call, reeve_err error, const char *text)
{
    struct session *s = call->session;
    uint64_t number = call->number;

    mgr_unpark(mgr, call);
    mgr_reply_text(mgr, s, number, error, text);
}

static void serve_putters(struct mgr *mgr, struct job *job)
{
    while (job->putters != NULL && window_open(job))
        answer_putter(mgr, job->putters, REEVE_OK, NULL);
}

static void on_end(struct mgr *mgr, struct job *job, struct ref *ref, const struct incoming *in)
{
    struct rv_job_end_args args;
    struct reader *reader = NULL;

    rv_assert(rv_job_end_args_decode(&args, in->msg->args));
    if (args.total != job->put || (job->total != UINT64_MAX && job->total != args.total)) {
        mgr->refused++;
        return;
    }
    job->total = args.total;
    if (ref->reader != NULL)
        ref->reader->counted = true;
    DL_FOREACH (job->readers, reader) {
        tell_total(mgr, reader);
    }
    maybe_complete(mgr, job);
    job_refresh(mgr, job);
    crew_deal(mgr);
}

static void on_take(struct mgr *mgr, struct job *job, struct ref *ref, const struct incoming *in)
{
    struct rv_job_take_args args;

    rv_assert(rv_job_take_args_decode(&args, in->msg->args));
    if (ref->reader == NULL) {
        mgr->refused++;
        return;
    }
    /* It counts in its own way what came: more than was sent opens the window, and no more. */
    if (args.bytes > ref->reader->taken)
        ref->reader->taken = args.bytes < ref->reader->sent ? args.bytes : ref->reader->sent;
    send_results(mgr, ref->reader);
    serve_putters(mgr, job);
    job_refresh(mgr, job);
    crew_deal(mgr);
}

static void on_call(struct mgr *mgr, struct object *o, struct ref *ref, const struct incoming *in)
{
    struct job *job = (struct job *)o;

    switch ((enum rv_op)in->msg->op) {
    case RV_OP_job_put:
        on_put(mgr, job, in);
        break;
    case RV_OP_job_end:
        on_end(mgr, job, ref, in);
        break;
    case RV_OP_job_take:
        on_take(mgr, job, ref, in);
        break;
    default:
        mgr_skip_items(in->session, in);
        mgr->refused++;
    }
}

/* ---- pledges ---- */

/* Its session holds each of them, or it came with the item. */
static bool may_pledge(const struct session *s, const struct job *job, uint64_t index,
                       struct rv_slice objects)
{
    const struct job_refs *refs = find_refs(job, index);
    const struct carried *came = refs == NULL ? NULL : refs->carried;

    for (size_t at = 0; at < objects.len; at += 8) {
        struct rv_slice one = rv_slice(objects.data + at, 8);

        if (!carry_allowed(s, one) && !carried_has(came, rv_item_ref(one, 0)))
            return false;
    }
    return true;
}

/* Room for one more of this run: an earlier run is the first to lose its own. */
static bool make_place(struct mgr *mgr, const struct job *job, uint64_t index, uint32_t run)
{
    struct job_refs *refs = find_refs(job, index);
    struct pledge *p = NULL;

    if (refs == NULL || refs->pledges_len < RV_LIMIT_PLEDGES)
        return true;
    DL_FOREACH (refs->pledges, p) {
        if (p->run < run)
            break;
    }
    if (p == NULL)
        return false;
    drop_pledge(mgr, refs, p);
    return true;
}

static reeve_err check_pledge(const struct session *s, const struct job *job,
                              const struct rv_job_pledge_args *args, const char **why)
{
    *why = "only a task can pledge what its result refers to";
    if (job == NULL || s->job != job->object.id)
        return REEVE_EPERM;
    *why = job->why;
    if (job->ended)
        return job->error;
    *why = "nobody waits for the result of this item";
    if (args->index >= job->put || bits_test(&job->done, args->index))
        return REEVE_EGONE;
    *why = "a result refers to 1 to 255 objects";
    if (args->objects.len == 0 || args->objects.len % 8 != 0 || args->objects.len > CARRY_BYTES)
        return REEVE_EINVAL;
    *why = "this session does not hold what the result refers to";
    return may_pledge(s, job, args->index, args->objects) ? REEVE_OK : REEVE_ENOENT;
}

void job_on_pledge(struct mgr *mgr, const struct incoming *in)
{
    struct rv_job_pledge_args args;
    struct job *job = job_find(mgr, in->msg->object, rv_slice(NULL, 0));
    struct job_refs *refs = NULL;
    struct pledge *p = NULL;
    const char *why = NULL;
    reeve_err err = REEVE_OK;

    rv_assert(rv_job_pledge_args_decode(&args, in->msg->args));
    err = check_pledge(in->session, job, &args, &why);
    if (err == REEVE_OK && !make_place(mgr, job, args.index, args.run)) {
        err = REEVE_ELIMIT;
        why = "an item has at most 16 pledges";
    }
    if (err != REEVE_OK) {
        mgr_reply_text(mgr, in->session, in->number, err, why);
        return;
    }
    refs = refs_of(job, args.index);
    p = rv_alloc(sizeof *p);
    p->run = args.run;
    p->carried = carry(mgr, &job->object, args.objects);
    DL_APPEND(refs->pledges, p);
    refs->pledges_len++;
    mgr_reply_text(mgr, in->session, in->number, REEVE_OK, NULL);
}

/* ---- ending ---- */

void job_end(struct mgr *mgr, struct job *job, reeve_err error, const char *why)
{
    struct reader *reader = NULL;

    if (job->ended)
        return;
    mgr_say(mgr, RV_INFO, "job.end job=%llu done=%llu of=%llu why=\"%.200s\"",
            (unsigned long long)job->object.id, (unsigned long long)job->done_len,
            (unsigned long long)job->put, why);
    job->ended = true;
    job->error = error;
    job->completed = true;
    job->why = mgr_text(rv_slice_str(why));
    drop_work(mgr, job);
    drop_all_refs(mgr, job);
    crew_forget_job(mgr, job);
    while (job->putters != NULL)
        answer_putter(mgr, job->putters, error, why);
    DL_FOREACH (job->readers, reader) {
        tell_ended(mgr, reader);
    }
    job_refresh(mgr, job);
    keep_for_a_while(mgr, job);
}

static void on_end_call(struct mgr *mgr, struct call *call, reeve_err error)
{
    answer_putter(mgr, call, error, NULL);
}

/* Its items were taken long ago. */
static void on_timeout(struct mgr *mgr, struct call *call)
{
    answer_putter(mgr, call, REEVE_OK, NULL);
}

static void on_drop_ref(struct mgr *mgr, struct ref *ref, bool died)
{
    struct job *job = (struct job *)ref->object;

    (void)died;
    if (ref->reader == NULL)
        return;
    DL_DELETE(job->readers, ref->reader);
    free(ref->reader);
    ref->reader = NULL;
    /* Nobody else would give the rest of its items, and who reads it would wait for ever. */
    if (job->detached && job->put < job->total && (ref->creator || job->readers == NULL))
        job_end(mgr, job, REEVE_ECANCELED,
                "the session that gave it its items ended before all had come");
    else if (job->readers == NULL && (!job->detached || RV_MUTANT(LEFT_ENDED)))
        job_end(mgr, job, REEVE_ECANCELED, "the session that it belonged to has ended");
}

static void on_removed(struct mgr *mgr, struct object *o)
{
    job_end(mgr, (struct job *)o, REEVE_EGONE, "it was removed");
}

static void on_free(struct mgr *mgr, struct object *o)
{
    struct job *job = (struct job *)o;
    struct blame *b = NULL;
    struct blame *next = NULL;

    if (!job_complete(job))
        job_end(mgr, job, REEVE_ECANCELED, "nobody holds it");
    rv_heap_cancel(&mgr->heap, &job->object.timer); /* its end has set it again */
    drop_work(mgr, job);
    job->ended = true;
    job_refresh(mgr, job);
    rv_assert(job->readers == NULL && job->putters == NULL && job->bytes_in == 0);
    drop_all_refs(mgr, job);
    while (job->results != NULL)
        free_result(mgr, job, job->results);
    HASH_ITER (hh, job->blames, b, next) {
        forget_blame(job, b);
    }
    while (job->logs != NULL) {
        struct job_log *log = job->logs;

        DL_DELETE(job->logs, log);
        told_free(log->told);
        free(log);
    }
    for (uint32_t i = 0; i < job->functions_len; i++)
        free(job->functions[i]);
    free(job->functions);
    bits_free(&job->done);
    blob_drop(mgr, job->blob);
    rv_body_drop(job->initarg);
    rv_body_drop(job->arguments);
    rv_body_drop(job->environment);
    free(job->owner);
    free(job->function);
    free(job->initializer);
    free(job->folder);
    free(job->labels);
    free(job->why);
    DL_DELETE(mgr->jobs, job);
    free(job);
}

/* ---- opening ---- */

static void add_reader(struct job *job, struct session *s, struct ref *ref)
{
    struct reader *reader = NULL;

    if (ref->reader != NULL)
        return;
    reader = rv_alloc(sizeof *reader);
    reader->session = s;
    reader->job = job;
    reader->next_result = job->results;
    reader->counted = job->total != UINT64_MAX; /* the answer to its open says it */
    ref->reader = reader;
    DL_APPEND(job->readers, reader);
}

static struct job *new_job(struct mgr *mgr, struct session *s, const struct rv_job_open_args *args,
                           struct blob *blob)
{
    struct job *job = rv_alloc(sizeof *job);

    job->principal = s->principal;
    job->owner = mgr_text(rv_slice_str(mgr_principal_name(mgr, s->principal)));
    job->detached = args->name.len > 0;
    job->opened_at = mgr->now;
    job->kind = args->kind;
    job->blob = blob;
    job->function = mgr_text(args->function);
    job->initializer = mgr_text(args->initializer);
    job->folder = mgr_text(args->folder);
    job->labels = mgr_text(args->labels);
    job->initarg = body_of(args->initarg);
    job->arguments = body_of(args->arguments);
    job->environment = body_of(args->environment);
    job->chunk = args->chunk;
    job->retries = args->retries;
    job->runs_max = args->runs_max == 0 ? RV_LIMIT_RUNS : args->runs_max;
    job->timeout_ms = args->timeout_ms;
    job->memory = args->memory;
    job->maxtasks = args->maxtasks;
    job->processes = args->processes;
    job->detail = args->detail != 0;
    job->total = args->total;
    object_add(mgr, &job->object, &job_ops, RV_KIND_JOB, args->name, UINT32_MAX);
    job->object.durable = args->durable == RV_DURABLE_DEFAULT ? RV_DURABLE_SYNC : args->durable;
    DL_APPEND(mgr->jobs, job);
    return job;
}

static bool may_run(const struct mgr *mgr, const struct session *s, struct rv_slice name)
{
    return (rights_on(mgr_principal(mgr, s->principal), name) & RIGHT_BIT(RV_RIGHT_RUN)) != 0;
}

/* Sessions of its key, and of an admin's. */
static bool is_owner(const struct mgr *mgr, const struct session *s, const struct job *job)
{
    return job->principal == s->principal ||
           (rights_on(mgr_principal(mgr, s->principal), rv_slice(NULL, 0)) &
            RIGHT_BIT(RV_RIGHT_ADMIN)) != 0;
}

/* Why this open cannot be; OK when it can. */
static reeve_err check_open(struct mgr *mgr, const struct incoming *in,
                            const struct rv_job_open_args *args, const struct object *o,
                            char why[static 256])
{
    why[0] = '\0';
    if (!may_run(mgr, in->session, args->name)) {
        snprintf(why, 256, "key %.100s has no right run: it is a login on the workers",
                 mgr_principal_name(mgr, in->session->principal));
        return REEVE_EPERM;
    }
    if (args->name.len > RV_LIMIT_NAME_BYTES) {
        snprintf(why, 256, "a name has at most 255 bytes");
        return REEVE_ELIMIT;
    }
    if (o != NULL && o->kind != RV_KIND_JOB)
        return REEVE_ETYPE;
    if (o != NULL && !is_owner(mgr, in->session, (const struct job *)o)) {
        snprintf(why, 256, "the job belongs to another key");
        return REEVE_EPERM;
    }
    if (o != NULL && args->create == 2) {
        snprintf(why, 256, "there is a job of this name");
        return REEVE_EEXIST;
    }
    if (o == NULL && args->create == 0) {
        snprintf(why, 256, "there is no job of this name");
        return REEVE_ENOENT;
    }
    if (o != NULL && args->durable != RV_DURABLE_DEFAULT && args->durable != o->durable) {
        snprintf(why, 256, "the job of this name survives something else");
        return REEVE_EEXIST;
    }
    if (o == NULL && args->durable > RV_DURABLE_SYNC) {
        snprintf(why, 256, "no such level of durability");
        return REEVE_EINVAL;
    }
    if (o == NULL && (args->kind > RV_CODE_COMMAND || args->create > 2)) {
        snprintf(why, 256, "no such kind of code");
        return REEVE_EINVAL;
    }
    if (o == NULL && HASH_CNT(by_id, mgr->objects) >= RV_LIMIT_OBJECTS) {
        snprintf(why, 256, "the manager holds its maximum of objects");
        return REEVE_ELIMIT;
    }
    if (o == NULL && !quota_allows(mgr, in->session->principal, RV_QUOTA_OBJECTS, 1)) {
        snprintf(why, 256, "%s", quota_text(mgr, in->session->principal, RV_QUOTA_OBJECTS));
        return REEVE_EQUOTA;
    }
    return REEVE_OK;
}

void job_on_open(struct mgr *mgr, const struct incoming *in)
{
    struct rv_job_open_args args;
    struct object *o = NULL;
    struct job *job = NULL;
    struct blob *blob = NULL;
    struct ref *ref = NULL;
    char why[256];
    reeve_err err = REEVE_OK;
    bool created = false;

    rv_assert(rv_job_open_args_decode(&args, in->msg->args));
    if (args.name.len > 0)
        o = object_named(mgr, args.name);
    err = check_open(mgr, in, &args, o, why);
    if (err == REEVE_OK && o == NULL && args.kind != RV_CODE_COMMAND) {
        blob = blob_keep(mgr, args.digest);
        if (blob == NULL) {
            err = REEVE_ENOENT;
            snprintf(why, sizeof why, "the manager has no such program");
        }
    }
    if (err != REEVE_OK) {
        if (err == REEVE_EPERM || err == REEVE_EQUOTA)
            mgr_refused(mgr, in->session, in->msg, err);
        mgr_reply_text(mgr, in->session, in->number, err, why[0] == '\0' ? NULL : why);
        return;
    }
    job = (struct job *)o;
    if (job == NULL) {
        created = true;
        job = new_job(mgr, in->session, &args, blob);
        object_own(mgr, &job->object, in->session->principal);
        mgr_say(mgr, RV_INFO, "job.open job=%llu name=\"%.100s\" function=%.100s key=%s by=%llu",
                (unsigned long long)job->object.id,
                job->object.name == NULL ? "" : job->object.name, job->function, job->owner,
                (unsigned long long)in->session->serial);
    }
    ref = object_hold(mgr, in->session, &job->object);
    ref->creator = ref->creator || created;
    ref->rights =
        rights_on(mgr_principal(mgr, in->session->principal), args.name) | RIGHT_BIT(RV_RIGHT_RUN);
    add_reader(job, in->session, ref);
    rv_buf_clear(&mgr->scratch);
    rv_job_open_result_encode(&mgr->scratch, &(struct rv_job_open_result){
                                                 .job = job->object.id,
                                                 .created = created,
                                                 .put = job->put,
                                                 .total = job->total,
                                                 .durable = mgr_reaches(mgr, job->object.durable)});
    mgr_reply(mgr, in->session, in->number, REEVE_OK, NULL, rv_buf_slice(&mgr->scratch), NULL, 0);
    send_results(mgr, ref->reader);
    if (created)
        maybe_complete(mgr, job);
}

struct job *job_find(const struct mgr *mgr, uint64_t id, struct rv_slice name)
{
    struct object *o = NULL;

    if (name.len > 0)
        o = object_named(mgr, name);
    else
        HASH_FIND(by_id, mgr->objects, &id, sizeof id, o);
    return o != NULL && o->kind == RV_KIND_JOB ? (struct job *)o : NULL;
}

void job_on_cancel(struct mgr *mgr, const struct incoming *in)
{
    struct rv_job_cancel_args args;
    struct session *s = in->session;
    struct job *job = NULL;
    char why[256];

    rv_assert(rv_job_cancel_args_decode(&args, in->msg->args));
    job = job_find(mgr, args.job, args.name);
    if (job == NULL) {
        mgr_reply_text(mgr, s, in->number, REEVE_ENOENT, "no such job");
        return;
    }
    if (!is_owner(mgr, s, job)) {
        mgr_reply_text(mgr, s, in->number, REEVE_EPERM, "the job belongs to another key");
        return;
    }
    snprintf(why, sizeof why, "cancelled%s%.*s", args.why.len > 0 ? ": " : "", (int)args.why.len,
             args.why.len == 0 ? "" : (const char *)args.why.data);
    if (!job_complete(job))
        job_end(mgr, job, REEVE_ECANCELED, why);
    mgr_reply_text(mgr, s, in->number, REEVE_OK, NULL);
}

/* ---- questions ---- */

static void add_row(struct mgr *mgr, struct rv_buf *rows, const struct job *job)
{
    size_t start = rows->len;
    struct rv_job_row row = {
        .job = job->object.id,
        .name = rv_slice_str(job->object.name),
        .function = rv_slice_str(job->function),
        .owner = rv_slice_str(job->owner),
        .ended = job_complete(job),
        .total = job->total,
        .put = job->put,
        .done = job->done_len,
        .failed = job->failed,
        .running = job->running,
        .retried = job->retried,
        .again = job->redone,
        .age_ms = (uint64_t)((mgr->now - job->opened_at) / RV_MS),
        .bytes = job->bytes_in + job->bytes_out,
        .text = rv_slice_str(job->why),
    };

    row.agents = crew_able(mgr, job, &row.slots);
    rv_write_number(rows, 0, 4);
    rv_job_row_encode(rows, &row);
    rv_set_number(rows->data + start, rows->len - start - 4, 4);
}

static void answer_rows(struct mgr *mgr, struct session *s, uint64_t id, uint32_t count,
                        struct rv_buf *rows)
{
    rv_buf_clear(&mgr->scratch);
    rv_object_list_result_encode(&mgr->scratch,
                                 &(struct rv_object_list_result){count, rv_buf_slice(rows), 0});
    mgr_answer(mgr, s, id, REEVE_OK, NULL, rv_buf_slice(&mgr->scratch));
    rv_buf_free(rows);
}

/* Its owner's sessions may ask, and whoever may list. */
static bool may_ask(const struct mgr *mgr, const struct session *s, const struct job *job)
{
    return job->principal == s->principal ||
           (rights_on(mgr_principal(mgr, s->principal), rv_slice_str(job->object.name)) &
            RIGHT_BIT(RV_RIGHT_LIST)) != 0;
}

static struct job *asked(struct mgr *mgr, struct session *s, uint64_t id, uint64_t job_id,
                         struct rv_slice name)
{
    struct job *job = job_find(mgr, job_id, name);

    if (job != NULL && may_ask(mgr, s, job))
        return job;
    mgr_answer(mgr, s, id, job == NULL ? REEVE_ENOENT : REEVE_EPERM,
               job == NULL ? "no such job" : NULL, rv_slice(NULL, 0));
    return NULL;
}

void job_read_stat(struct mgr *mgr, struct session *s, const struct rv_read *msg)
{
    struct rv_job_stat_args args;
    struct rv_buf rows = {0};
    const struct job *job = NULL;

    rv_assert(rv_job_stat_args_decode(&args, msg->args));
    job = asked(mgr, s, msg->id, args.job, args.name);
    if (job == NULL)
        return;
    add_row(mgr, &rows, job);
    answer_rows(mgr, s, msg->id, 1, &rows);
}

void job_read_list(struct mgr *mgr, struct session *s, const struct rv_read *msg)
{
    struct rv_job_list_args args;
    struct rv_buf rows = {0};
    const struct job *job = NULL;
    uint32_t count = 0;

    rv_assert(rv_job_list_args_decode(&args, msg->args));
    DL_FOREACH (mgr->jobs, job) {
        if (job->object.id <= args.after || !may_ask(mgr, s, job))
            continue;
        if (count == RV_LIMIT_LIST_ROWS || rows.len > RV_LIMIT_BATCH_BYTES / 2)
            break;
        add_row(mgr, &rows, job);
        count++;
    }
    answer_rows(mgr, s, msg->id, count, &rows);
}

void job_read_log(struct mgr *mgr, struct session *s, const struct rv_read *msg)
{
    struct rv_job_log_args args;
    struct rv_buf rows = {0};
    const struct job *job = NULL;
    const struct job_log *log = NULL;
    uint32_t count = 0;

    rv_assert(rv_job_log_args_decode(&args, msg->args));
    job = asked(mgr, s, msg->id, args.job, args.name);
    if (job == NULL)
        return;
    DL_FOREACH (job->logs, log) {
        size_t start = rows.len;
        const struct told *t = log->told;

        if (log->number <= args.after)
            continue;
        if (rows.len > RV_LIMIT_BATCH_BYTES / 2)
            break;
        rv_write_number(&rows, 0, 4);
        rv_log_row_encode(&rows, &(struct rv_log_row){.number = log->number,
                                                      .index = log->index,
                                                      .status = t->status,
                                                      .runs = t->runs,
                                                      .agent = rv_slice_str(t->agent),
                                                      .pid = t->pid,
                                                      .code = t->code,
                                                      .text = rv_slice_str(t->text),
                                                      .output = body_slice(t->output)});
        rv_set_number(rows.data + start, rows.len - start - 4, 4);
        count++;
    }
    answer_rows(mgr, s, msg->id, count, &rows);
}

static void row(const struct object *o, struct rv_object_row *out)
{
    const struct job *job = (const struct job *)o;

    out->size = job->waiting;
    out->bytes = job->bytes_in + job->bytes_out;
    out->unfinished = job->put - job->done_len;
    out->shutdown = job_complete(job);
}

/* ---- what must be true ---- */

static void mark_places(uint8_t *somewhere, uint64_t base, uint64_t first, uint64_t end)
{
    for (uint64_t i = first < base ? base : first; i < end; i++)
        somewhere[i - base] = 1;
}

/* Every item is done, or waits, or runs. */
static void check_places(const struct job *job)
{
    uint64_t base = job->done.base;
    uint64_t done = base;
    uint8_t *somewhere = rv_alloc((size_t)(job->put - base) + 1);
    const struct span *span = NULL;
    const struct chunk *c = NULL;

    DL_FOREACH (job->pending, span) {
        mark_places(somewhere, base, span->slice.first, span->slice.first + span->slice.count);
    }
    DL_FOREACH (job->again, span) {
        mark_places(somewhere, base, span->slice.first, span->slice.first + span->slice.count);
    }
    DL_FOREACH (job->alone, span) {
        mark_places(somewhere, base, span->slice.first, span->slice.first + span->slice.count);
    }
    for (c = job->chunks; c != NULL; c = c->newer)
        mark_places(somewhere, base, c->next, c->slice.first + c->slice.count);
    for (uint64_t i = base; i < job->put; i++) {
        bool is_done = bits_test(&job->done, i);

        done += is_done;
        rv_assert(is_done || job->ended || somewhere[i - base] || RV_MUTANT(LEASE_FORGOTTEN));
    }
    rv_assert(done == job->done_len);
    free(somewhere);
}

static void check(const struct object *o)
{
    const struct job *job = (const struct job *)o;
    const struct span *span = NULL;
    const struct chunk *c = NULL;
    const struct result *r = NULL;
    const struct job_refs *refs = NULL;
    uint64_t waiting = 0;
    uint64_t running = 0;
    size_t bytes = 0;
    size_t out = 0;

    DL_FOREACH (job->pending, span) {
        waiting += span->slice.count;
        bytes += span->slice.len;
    }
    DL_FOREACH (job->again, span) {
        waiting += span->slice.count;
        bytes += span->slice.len;
    }
    DL_FOREACH (job->alone, span) {
        waiting += span->slice.count;
        bytes += span->slice.len;
        rv_assert(span->slice.count == 1 && span->slice.alone);
    }
    for (c = job->chunks; c != NULL; c = c->newer) {
        bytes += c->slice.len;
        running += c->slice.first + c->slice.count - c->next;
        rv_assert(c->next >= c->slice.first && c->next < c->slice.first + c->slice.count);
    }
    DL_FOREACH (job->results, r) {
        out += job_result_bytes(r);
    }
    rv_assert(waiting == job->waiting && running == job->running);
    rv_assert(bytes == job->bytes_in && out == job->bytes_out);
    rv_assert(job->ready == has_work(job));
    rv_assert(job->done.end <= job->put);
    for (refs = job->refs; refs != NULL; refs = refs->hh.next) {
        rv_assert(refs->pledges_len <= RV_LIMIT_PLEDGES);
        rv_assert(!bits_test(&job->done, refs->index) || RV_MUTANT(PLEDGE_KEPT));
    }
    check_places(job);
}

const struct object_ops job_ops = {
    .family = 3,
    .call = on_call,
    .end_call = on_end_call,
    .timeout = on_timeout,
    .drop_ref = on_drop_ref,
    .removed = on_removed,
    .free = on_free,
    .row = row,
    .check = check,
    .create_empty = job_create_empty,
    .save = job_save,
    .load = job_load,
};
