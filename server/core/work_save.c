/* work_save.c -- jobs, agents and programs in a snapshot. Which bytes slices share is not kept. */

#include "server/core/carry.h"
#include "server/core/crew.h"
#include "server/core/session.h"

/* ---- pieces ---- */

static void save_body(struct saver *out, const struct rv_body *body)
{
    save_number(out, body != NULL, 1);
    if (body != NULL)
        save_bytes(out, rv_slice(body->data, body->len));
}

static struct rv_body *load_body(struct rv_reader *in)
{
    struct rv_body *body = NULL;
    struct rv_slice bytes;

    if (rv_read_number(in, 1) == 0)
        return NULL;
    bytes = load_bytes(in);
    body = rv_body_new(bytes.len);
    rv_assert(body != NULL);
    if (bytes.len > 0)
        memcpy(body->data, bytes.data, bytes.len);
    return body;
}

static void save_id(struct saver *out, const struct rv_id *id)
{
    save_bytes(out, rv_slice(id->bytes, sizeof id->bytes));
}

static struct rv_id load_id(struct rv_reader *in)
{
    struct rv_slice bytes = load_bytes(in);
    struct rv_id id = {{0}};

    if (bytes.len == sizeof id.bytes)
        memcpy(id.bytes, bytes.data, sizeof id.bytes);
    else
        in->bad = true;
    return id;
}

/* The job's own function is number 0. */
static uint32_t function_number(const struct job *job, const char *function)
{
    for (uint32_t i = 0; i < job->functions_len; i++)
        if (job->functions[i] == function)
            return i + 1;
    return 0;
}

static void save_slice(struct saver *out, const struct job *job, const struct slice *s)
{
    save_number(out, s->first, 8);
    save_number(out, s->count, 4);
    save_number(out, s->run, 4);
    save_number(out, s->chunk, 4);
    save_number(out, function_number(job, s->function), 4);
    save_number(out, s->large, 1);
    save_number(out, s->searched, 1);
    save_number(out, s->alone, 1);
    save_bytes(out, rv_slice(s->body->data + s->at, s->len));
}

static struct slice load_slice(struct rv_reader *in, const struct job *job)
{
    struct slice s = {.first = rv_read_number(in, 8)};
    struct rv_slice bytes;
    uint64_t function = 0;

    s.count = (uint32_t)rv_read_number(in, 4);
    s.run = (uint32_t)rv_read_number(in, 4);
    s.chunk = (uint32_t)rv_read_number(in, 4);
    function = rv_read_number(in, 4);
    s.large = rv_read_number(in, 1) != 0;
    s.searched = rv_read_number(in, 1) != 0;
    s.alone = rv_read_number(in, 1) != 0;
    bytes = load_bytes(in);
    if (function > job->functions_len)
        in->bad = true;
    else
        s.function = function == 0 ? job->function : job->functions[function - 1];
    s.len = bytes.len;
    s.body = rv_body_new(bytes.len);
    rv_assert(s.body != NULL);
    if (bytes.len > 0)
        memcpy(s.body->data, bytes.data, bytes.len);
    return s;
}

static void save_spans(struct saver *out, const struct job *job, const struct span *list)
{
    const struct span *span = NULL;
    uint64_t count = 0;

    DL_COUNT(list, span, count);
    save_number(out, count, 8);
    DL_FOREACH (list, span) {
        save_slice(out, job, &span->slice);
        save_id(out, &span->avoid);
    }
}

static void load_spans(struct rv_reader *in, struct job *job, struct span **list)
{
    for (uint64_t count = rv_read_number(in, 8); count > 0 && !in->bad; count--) {
        struct span *span = rv_alloc(sizeof *span);

        span->slice = load_slice(in, job);
        span->avoid = load_id(in);
        DL_APPEND(*list, span);
        job->waiting += span->slice.count;
        job->bytes_in += span->slice.len;
    }
}

static void save_told(struct saver *out, const struct told *t)
{
    save_number(out, t != NULL, 1);
    if (t == NULL)
        return;
    save_number(out, t->status, 1);
    save_number(out, t->runs, 4);
    save_text(out, t->agent);
    save_text(out, t->host);
    save_number(out, t->pid, 4);
    save_number(out, t->ns, 8);
    save_number(out, (uint64_t)t->code, 8);
    save_text(out, t->text);
    save_body(out, t->output);
    save_body(out, t->item);
}

static struct told *load_told(struct rv_reader *in)
{
    struct told *t = NULL;

    if (rv_read_number(in, 1) == 0)
        return NULL;
    t = rv_alloc(sizeof *t);
    t->status = (uint8_t)rv_read_number(in, 1);
    t->runs = (uint32_t)rv_read_number(in, 4);
    t->agent = load_text(in);
    t->host = load_text(in);
    t->pid = (uint32_t)rv_read_number(in, 4);
    t->ns = rv_read_number(in, 8);
    t->code = (int64_t)rv_read_number(in, 8);
    t->text = load_text(in);
    t->output = load_body(in);
    t->item = load_body(in);
    return t;
}

/* ---- a job ---- */

static void save_results(struct saver *out, const struct job *job)
{
    const struct result *r = NULL;
    uint64_t count = 0;

    DL_COUNT(job->results, r, count);
    save_number(out, count, 8);
    DL_FOREACH (job->results, r) {
        save_number(out, r->first, 8);
        save_number(out, r->count, 4);
        save_number(out, r->large, 1);
        save_body(out, r->values);
        save_told(out, r->told);
        carry_save(out, r->carried);
    }
}

static void load_results(struct rv_reader *in, struct job *job)
{
    for (uint64_t count = rv_read_number(in, 8); count > 0 && !in->bad; count--) {
        struct result *r = rv_alloc(sizeof *r);

        r->first = rv_read_number(in, 8);
        r->count = (uint32_t)rv_read_number(in, 4);
        r->large = rv_read_number(in, 1) != 0;
        r->values = load_body(in);
        r->told = load_told(in);
        r->carried = carry_load(&job->object, in);
        DL_APPEND(job->results, r);
        job->bytes_out += job_result_bytes(r);
    }
}

/* Where a reader stands: so many results lie before its next one. */
static void save_readers(struct saver *out, const struct job *job)
{
    const struct reader *reader = NULL;
    uint64_t count = 0;

    DL_COUNT(job->readers, reader, count);
    save_number(out, count, 8);
    DL_FOREACH (job->readers, reader) {
        const struct result *r = job->results;
        uint64_t before = 0;

        for (; r != reader->next_result; r = r->next)
            before++;
        save_number(out, reader->session->serial, 8);
        save_number(out, before, 8);
        save_number(out, reader->sent, 8);
        save_number(out, reader->taken, 8);
        save_number(out, reader->ended, 1);
        save_number(out, reader->counted, 1);
    }
}

static void load_readers(const struct mgr *mgr, struct rv_reader *in, struct job *job)
{
    for (uint64_t count = rv_read_number(in, 8); count > 0 && !in->bad; count--) {
        struct session *s = load_session(mgr, in);
        struct ref *ref = s == NULL ? NULL : session_ref(s, job->object.id);
        uint64_t before = rv_read_number(in, 8);
        struct reader *reader = NULL;

        if (ref == NULL || ref->reader != NULL) {
            in->bad = true;
            return;
        }
        reader = ref->reader = rv_alloc(sizeof *reader);
        reader->session = s;
        reader->job = job;
        for (reader->next_result = job->results; before > 0 && reader->next_result != NULL;
             before--)
            reader->next_result = reader->next_result->next;
        reader->sent = rv_read_number(in, 8);
        reader->taken = rv_read_number(in, 8);
        reader->ended = rv_read_number(in, 1) != 0;
        reader->counted = rv_read_number(in, 1) != 0;
        DL_APPEND(job->readers, reader);
    }
}

static void save_hosts(struct saver *out, const char *hosts)
{
    save_number(out, hosts != NULL, 1);
    save_text(out, hosts);
}

static char *load_hosts(struct rv_reader *in)
{
    bool some = rv_read_number(in, 1) != 0;
    char *hosts = load_text(in);

    if (some)
        return hosts;
    free(hosts);
    return NULL;
}

static void save_refs(struct saver *out, const struct job *job)
{
    const struct job_refs *refs = NULL;
    const struct pledge *p = NULL;

    save_number(out, HASH_COUNT(job->refs), 8);
    for (refs = job->refs; refs != NULL; refs = refs->hh.next) {
        save_number(out, refs->index, 8);
        carry_save(out, refs->carried);
        save_number(out, refs->pledges_len, 1);
        DL_FOREACH (refs->pledges, p) {
            save_number(out, p->run, 4);
            carry_save(out, p->carried);
        }
    }
}

static void load_pledges(struct rv_reader *in, struct job *job, struct job_refs *refs)
{
    for (uint64_t n = rv_read_number(in, 1); n > 0 && !in->bad; n--) {
        struct pledge *p = rv_alloc(sizeof *p);

        p->run = (uint32_t)rv_read_number(in, 4);
        p->carried = carry_load(&job->object, in);
        DL_APPEND(refs->pledges, p);
        refs->pledges_len++;
    }
}

static void load_refs(struct rv_reader *in, struct job *job)
{
    for (uint64_t n = rv_read_number(in, 8); n > 0 && !in->bad; n--) {
        struct job_refs *refs = rv_alloc(sizeof *refs);

        refs->index = rv_read_number(in, 8);
        refs->carried = carry_load(&job->object, in);
        load_pledges(in, job, refs);
        HASH_ADD(hh, job->refs, index, sizeof refs->index, refs);
    }
}

static void save_blames(struct saver *out, const struct job *job)
{
    const struct blame *b = NULL;

    save_number(out, HASH_COUNT(job->blames), 8);
    for (b = job->blames; b != NULL; b = b->hh.next) {
        save_number(out, b->index, 8);
        save_number(out, b->runs, 4);
        save_number(out, b->crashes, 4);
        save_number(out, b->lost, 4);
        save_number(out, b->lost_alone, 4);
        save_hosts(out, b->hosts);
        save_hosts(out, b->lost_hosts);
    }
}

static void load_blames(struct rv_reader *in, struct job *job)
{
    for (uint64_t count = rv_read_number(in, 8); count > 0 && !in->bad; count--) {
        struct blame *b = rv_alloc(sizeof *b);

        b->index = rv_read_number(in, 8);
        b->runs = (uint32_t)rv_read_number(in, 4);
        b->crashes = (uint32_t)rv_read_number(in, 4);
        b->lost = (uint32_t)rv_read_number(in, 4);
        b->lost_alone = (uint32_t)rv_read_number(in, 4);
        b->hosts = load_hosts(in);
        b->lost_hosts = load_hosts(in);
        HASH_ADD(hh, job->blames, index, sizeof b->index, b);
    }
}

static void save_logs(struct saver *out, const struct job *job)
{
    const struct job_log *log = NULL;

    save_number(out, job->logs_last, 8);
    save_number(out, job->logs_len, 8);
    DL_FOREACH (job->logs, log) {
        save_number(out, log->number, 8);
        save_number(out, log->index, 8);
        save_told(out, log->told);
    }
}

static void load_logs(struct rv_reader *in, struct job *job)
{
    job->logs_last = rv_read_number(in, 8);
    for (uint64_t count = rv_read_number(in, 8); count > 0 && !in->bad; count--) {
        struct job_log *log = rv_alloc(sizeof *log);

        log->number = rv_read_number(in, 8);
        log->index = rv_read_number(in, 8);
        log->told = load_told(in);
        if (log->told == NULL) {
            in->bad = true;
            free(log);
            return;
        }
        DL_APPEND(job->logs, log);
        job->logs_len++;
        job->logs_bytes += job_told_bytes(log->told);
    }
}

static void save_bits(struct saver *out, const struct bits *b)
{
    save_number(out, b->base, 8);
    save_number(out, b->end, 8);
    for (uint64_t at = b->base; at < b->end; at += 64)
        save_number(out, bits_word(b, at), 8);
}

static void load_bits(struct rv_reader *in, struct bits *b)
{
    uint64_t end = 0;

    b->base = b->end = rv_read_number(in, 8);
    end = rv_read_number(in, 8);
    if (b->base % 64 != 0 || end < b->base || end - b->base > 8 * (uint64_t)in->left) {
        in->bad = true;
        return;
    }
    for (uint64_t at = b->base; at < end; at += 64) {
        uint64_t word = rv_read_number(in, 8);

        for (uint64_t i = at; i < at + 64 && i < end; i++)
            if (word >> (i - at) & 1)
                (void)bits_set(b, i);
    }
    b->end = b->end < end ? end : b->end;
}

struct object *job_create_empty(void)
{
    struct job *job = rv_alloc(sizeof *job);

    return &job->object;
}

void job_save(const struct object *o, struct saver *out)
{
    const struct job *job = (const struct job *)o;

    save_number(out, job->principal, 4);
    save_text(out, job->owner);
    save_number(out, job->detached, 1);
    save_number(out, (uint64_t)job->opened_at, 8);
    save_number(out, job->kind, 1);
    save_bytes(out, job->blob == NULL ? rv_slice(NULL, 0)
                                      : rv_slice(job->blob->digest, sizeof job->blob->digest));
    save_text(out, job->function);
    save_text(out, job->initializer);
    save_text(out, job->folder);
    save_text(out, job->labels);
    save_body(out, job->initarg);
    save_body(out, job->arguments);
    save_body(out, job->environment);
    save_number(out, job->chunk, 4);
    save_number(out, job->retries, 4);
    save_number(out, job->runs_max, 4);
    save_number(out, job->timeout_ms, 4);
    save_number(out, job->maxtasks, 4);
    save_number(out, job->processes, 4);
    save_number(out, job->memory, 8);
    save_number(out, job->detail, 1);
    save_number(out, job->functions_len, 4);
    for (uint32_t i = 0; i < job->functions_len; i++)
        save_text(out, job->functions[i]);
    save_number(out, job->total, 8);
    save_number(out, job->put, 8);
    save_spans(out, job, job->pending);
    save_spans(out, job, job->again);
    save_spans(out, job, job->alone);
    save_bits(out, &job->done);
    save_number(out, job->done_len, 8);
    save_number(out, job->failed, 8);
    save_number(out, job->retried, 8);
    save_number(out, job->redone, 8);
    save_blames(out, job);
    save_refs(out, job);
    save_results(out, job);
    save_readers(out, job);
    save_calls(out, o, job->putters);
    save_logs(out, job);
    save_number(out, job->item_ns, 8);
    save_number(out, (uint64_t)job->trimmed_at, 8);
    save_number(out, job->completed, 1);
    save_number(out, job->ended, 1);
    save_number(out, (uint64_t)job->error, 4);
    save_text(out, job->why == NULL ? "" : job->why);
}

void job_load(struct mgr *mgr, struct object *o, struct rv_reader *in)
{
    struct job *job = (struct job *)o;
    struct rv_slice digest;

    job->principal = (uint32_t)rv_read_number(in, 4);
    job->owner = load_text(in);
    job->detached = rv_read_number(in, 1) != 0;
    job->opened_at = (rv_ns)rv_read_number(in, 8);
    job->kind = (uint8_t)rv_read_number(in, 1);
    digest = load_bytes(in);
    job->blob = digest.len == 0 ? NULL : blob_held(mgr, digest);
    if (digest.len > 0 && job->blob == NULL)
        in->bad = true;
    job->function = load_text(in);
    job->initializer = load_text(in);
    job->folder = load_text(in);
    job->labels = load_text(in);
    job->initarg = load_body(in);
    job->arguments = load_body(in);
    job->environment = load_body(in);
    job->chunk = (uint32_t)rv_read_number(in, 4);
    job->retries = (uint32_t)rv_read_number(in, 4);
    job->runs_max = (uint32_t)rv_read_number(in, 4);
    job->timeout_ms = (uint32_t)rv_read_number(in, 4);
    job->maxtasks = (uint32_t)rv_read_number(in, 4);
    job->processes = (uint32_t)rv_read_number(in, 4);
    job->memory = rv_read_number(in, 8);
    job->detail = rv_read_number(in, 1) != 0;
    for (uint64_t n = rv_read_number(in, 4); n > 0 && !in->bad; n--) {
        job->functions = rv_realloc(job->functions, (job->functions_len + 1) * sizeof(char *));
        job->functions[job->functions_len++] = load_text(in);
    }
    job->total = rv_read_number(in, 8);
    job->put = rv_read_number(in, 8);
    load_spans(in, job, &job->pending);
    load_spans(in, job, &job->again);
    load_spans(in, job, &job->alone);
    load_bits(in, &job->done);
    job->done_len = rv_read_number(in, 8);
    job->failed = rv_read_number(in, 8);
    job->retried = rv_read_number(in, 8);
    job->redone = rv_read_number(in, 8);
    load_blames(in, job);
    load_refs(in, job);
    load_results(in, job);
    load_readers(mgr, in, job);
    load_calls(mgr, in, o, &job->putters);
    load_logs(in, job);
    job->item_ns = rv_read_number(in, 8);
    job->trimmed_at = (rv_ns)rv_read_number(in, 8);
    job->completed = rv_read_number(in, 1) != 0;
    job->ended = rv_read_number(in, 1) != 0;
    job->error = (reeve_err)rv_read_number(in, 4);
    job->why = load_text(in);
    if (!job->ended) {
        free(job->why);
        job->why = NULL;
    }
    DL_APPEND(mgr->jobs, job);
}

/* ---- an agent ---- */

struct object *member_create_empty(void)
{
    struct member *m = rv_alloc(sizeof *m);

    return &m->object;
}

void member_save(const struct object *o, struct saver *out)
{
    const struct member *m = (const struct member *)o;
    const struct known *k = NULL;

    save_number(out, m->session->serial, 8);
    save_text(out, m->name);
    save_text(out, m->labels);
    save_text(out, m->machine);
    save_id(out, &m->host);
    save_number(out, m->incarnation, 8);
    save_number(out, m->slots, 4);
    save_number(out, m->draining, 1);
    save_number(out, m->away, 1);
    save_number(out, HASH_COUNT(m->known), 8);
    for (k = m->known; k != NULL; k = k->hh.next) {
        save_number(out, k->job, 8);
        save_number(out, k->cannot, 1);
    }
    save_timer(out, &m->timer);
    save_number(out, m->done, 8);
    save_number(out, m->crashed, 8);
}

void member_load(struct mgr *mgr, struct object *o, struct rv_reader *in)
{
    struct member *m = (struct member *)o;

    m->session = load_session(mgr, in);
    m->name = load_text(in);
    m->labels = load_text(in);
    m->machine = load_text(in);
    m->host = load_id(in);
    m->incarnation = rv_read_number(in, 8);
    m->slots = (uint32_t)rv_read_number(in, 4);
    m->draining = rv_read_number(in, 1) != 0;
    m->away = rv_read_number(in, 1) != 0;
    for (uint64_t n = rv_read_number(in, 8); n > 0 && !in->bad; n--) {
        struct known *k = rv_alloc(sizeof *k);

        k->job = rv_read_number(in, 8);
        k->cannot = rv_read_number(in, 1) != 0;
        HASH_ADD(hh, m->known, job, sizeof k->job, k);
    }
    m->timer.kind = TIMER_MEMBER;
    load_timer(mgr, in, &m->timer);
    m->done = rv_read_number(in, 8);
    m->crashed = rv_read_number(in, 8);
    if (m->session == NULL || m->session->member != NULL) {
        in->bad = true;
        return;
    }
    m->session->member = m;
    mgr->slots += m->away ? 0 : m->slots;
    DL_APPEND(mgr->members, m);
}

/* ---- programs: before the objects ---- */

void work_save_blobs(const struct mgr *mgr, struct saver *out)
{
    const struct blob *b = NULL;

    save_number(out, mgr->blob_uses, 8);
    save_number(out, HASH_COUNT(mgr->blobs), 8);
    for (b = mgr->blobs; b != NULL; b = b->hh.next) {
        save_bytes(out, rv_slice(b->digest, sizeof b->digest));
        save_number(out, b->size, 8);
        save_number(out, b->used, 8);
        save_bytes(out, rv_slice(b->data, (size_t)b->have));
    }
}

void work_load_blobs(struct mgr *mgr, struct rv_reader *in)
{
    mgr->blob_uses = rv_read_number(in, 8);
    for (uint64_t n = rv_read_number(in, 8); n > 0 && !in->bad; n--) {
        struct rv_slice digest = load_bytes(in);
        uint64_t size = rv_read_number(in, 8);
        uint64_t used = rv_read_number(in, 8);
        struct rv_slice data = load_bytes(in);

        if (!blob_load(mgr, digest, size, used, data))
            in->bad = true;
    }
}

/* ---- what ties jobs and agents: behind the objects ---- */

static int by_id(const void *a, const void *b)
{
    const struct chunk *x = *(const struct chunk *const *)a;
    const struct chunk *y = *(const struct chunk *const *)b;

    return x->id < y->id ? -1 : x->id > y->id;
}

static void save_chunk(struct saver *out, const struct chunk *c)
{
    save_number(out, c->id, 8);
    save_number(out, c->job->object.id, 8);
    save_number(out, c->member->object.id, 8);
    save_slice(out, c->job, &c->slice);
    save_number(out, c->next, 8);
    save_number(out, c->cost, 8);
    save_number(out, (uint64_t)c->dealt_at, 8);
    save_number(out, c->doubled, 1);
    save_number(out, c->asked, 1);
}

/* In the order in which they were dealt, which is that of every list in which they stand. */
static void save_chunks(const struct mgr *mgr, struct saver *out)
{
    const struct job *job = NULL;
    struct chunk *c = NULL;
    struct chunk **all = NULL;
    size_t len = 0;

    DL_FOREACH (mgr->jobs, job) {
        len += job->chunks_len;
    }
    all = rv_alloc((len + 1) * sizeof(struct chunk *));
    len = 0;
    DL_FOREACH (mgr->jobs, job) {
        for (c = job->chunks; c != NULL; c = c->newer)
            all[len++] = c;
    }
    qsort(all, len, sizeof(struct chunk *), by_id);
    save_number(out, len, 8);
    for (size_t i = 0; i < len; i++)
        save_chunk(out, all[i]);
    free(all);
}

static struct object *object_of(const struct mgr *mgr, struct rv_reader *in, uint8_t kind)
{
    uint64_t id = rv_read_number(in, 8);
    struct object *o = NULL;

    HASH_FIND(by_id, mgr->objects, &id, sizeof id, o);
    if (o != NULL && o->kind == kind)
        return o;
    in->bad = true;
    return NULL;
}

static void load_chunk(struct mgr *mgr, struct rv_reader *in)
{
    struct chunk *c = rv_alloc(sizeof *c);

    c->id = rv_read_number(in, 8);
    c->job = (struct job *)object_of(mgr, in, RV_KIND_JOB);
    c->member = (struct member *)object_of(mgr, in, RV_KIND_AGENT);
    if (in->bad) {
        free(c);
        return;
    }
    c->slice = load_slice(in, c->job);
    c->next = rv_read_number(in, 8);
    c->cost = rv_read_number(in, 8);
    c->dealt_at = (rv_ns)rv_read_number(in, 8);
    c->doubled = rv_read_number(in, 1) != 0;
    c->asked = rv_read_number(in, 1) != 0;
    crew_bind_chunk(c);
}

static void save_lists(const struct mgr *mgr, struct saver *out)
{
    const struct job *job = NULL;
    const struct member *m = NULL;
    const struct ticket *t = NULL;
    uint64_t ready = 0;
    uint64_t hungry = 0;

    for (job = mgr->ready; job != NULL; job = job->next_ready)
        ready++;
    for (m = mgr->hungry; m != NULL; m = m->next_hungry)
        hungry++;
    save_number(out, ready, 8);
    for (job = mgr->ready; job != NULL; job = job->next_ready)
        save_number(out, job->object.id, 8);
    save_number(out, hungry, 8);
    for (m = mgr->hungry; m != NULL; m = m->next_hungry)
        save_number(out, m->object.id, 8);
    save_number(out, HASH_COUNT(mgr->tickets), 8);
    for (t = mgr->tickets; t != NULL; t = t->hh.next) {
        save_id(out, &t->session);
        save_number(out, t->member, 8);
        save_number(out, t->principal, 4);
        save_number(out, t->job, 8);
    }
}

void work_save(const struct mgr *mgr, struct saver *out)
{
    save_chunks(mgr, out);
    save_lists(mgr, out);
}

void work_load(struct mgr *mgr, struct rv_reader *in)
{
    for (uint64_t n = rv_read_number(in, 8); n > 0 && !in->bad; n--)
        load_chunk(mgr, in);
    for (uint64_t n = rv_read_number(in, 8); n > 0 && !in->bad; n--) {
        struct job *job = (struct job *)object_of(mgr, in, RV_KIND_JOB);

        if (job == NULL || job->ready)
            continue;
        job->ready = true;
        DL_APPEND2(mgr->ready, job, prev_ready, next_ready);
    }
    for (uint64_t n = rv_read_number(in, 8); n > 0 && !in->bad; n--) {
        struct member *m = (struct member *)object_of(mgr, in, RV_KIND_AGENT);

        if (m == NULL || m->hungry)
            continue;
        m->hungry = true;
        DL_APPEND2(mgr->hungry, m, prev_hungry, next_hungry);
    }
    for (uint64_t n = rv_read_number(in, 8); n > 0 && !in->bad; n--) {
        struct ticket *t = rv_alloc(sizeof *t);

        t->session = load_id(in);
        t->member = rv_read_number(in, 8);
        t->principal = (uint32_t)rv_read_number(in, 4);
        t->job = rv_read_number(in, 8);
        HASH_ADD(hh, mgr->tickets, session, sizeof t->session, t);
    }
}
