#include "server/core/crew.h"
#include "server/core/object.h"
#include "server/core/session.h"

#include <stdio.h>

enum {
    TARGET_NS = 50000000,   /* what a chunk of measured items should take */
    WAITING_NS = 200000000, /* a second chunk waits at a slot if all of them take less */
    AHEAD_NS = 10000000,    /* work that a slot has ahead, so that it never waits for the network */
    UNKNOWN_NS = 1000000000, /* what an item is expected to take before one was measured */
    TRIM_NS = 20000000,      /* what is left of a chunk is worth giving back in part */
    TRIM_MS = 5,             /* between two looks for such chunks in a job */
    TINY_NS = 100000,        /* to deal an item costs about what it takes, if that is shorter, */
    GROUP_NS = 1000000,      /* so of such items as many are dealt together as take this long */
    TEXT_MAX = 400,
    SLOTS_MAX = 65536, /* of an agent */
};

/* ---- who takes more ---- */

static bool wants_more(const struct member *m)
{
    uint64_t slots = m->slots;

    rv_assert(!m->object.removed); /* it has no name by which it could be */
    if (m->away || m->draining)
        return false;
    if (m->chunks != NULL && m->chunks->slice.alone && !RV_MUTANT(SUSPECT_IN_COMPANY))
        return false;
    return m->chunks_len < slots || (m->chunks_len < 2 * slots && m->load < slots * WAITING_NS) ||
           (m->chunks_len < slots * RV_LIMIT_CHUNKS_AHEAD && m->load < slots * AHEAD_NS);
}

void crew_refresh(struct mgr *mgr, struct member *m)
{
    bool hungry = wants_more(m);

    if (hungry && !m->hungry)
        DL_APPEND2(mgr->hungry, m, prev_hungry, next_hungry);
    if (!hungry && m->hungry)
        DL_DELETE2(mgr->hungry, m, prev_hungry, next_hungry);
    m->hungry = hungry;
}

static struct known *known_to(struct member *m, uint64_t job)
{
    struct known *k = NULL;

    HASH_FIND(hh, m->known, &job, sizeof job, k);
    return k;
}

static bool has_word(const char *words, const char *word, size_t len)
{
    for (const char *at = words; *at != '\0';) {
        size_t n = strcspn(at, " ");

        if (n == len && memcmp(at, word, len) == 0)
            return true;
        at += n;
        at += strspn(at, " ");
    }
    return false;
}

/* Has the agent every label that the job asks for? Its own name is one, too. */
static bool labelled(const struct member *m, const struct job *job)
{
    for (const char *at = job->labels; *at != '\0';) {
        size_t n = strcspn(at, " ");

        if (!has_word(m->labels, at, n) && !(strlen(m->name) == n && memcmp(m->name, at, n) == 0))
            return false;
        at += n;
        at += strspn(at, " ");
    }
    return true;
}

static bool suits(struct member *m, const struct job *job)
{
    const struct known *k = known_to(m, job->object.id);

    return (k == NULL || !k->cannot) && labelled(m, job);
}

uint32_t crew_able(const struct mgr *mgr, const struct job *job, uint32_t *slots)
{
    struct member *m = NULL;
    uint32_t able = 0;

    *slots = 0;
    DL_FOREACH (mgr->members, m) {
        if (m->away || m->draining || !suits(m, job))
            continue;
        able++;
        *slots += m->slots;
    }
    return able;
}

/* Could somebody on another host run it? */
static bool other_host(const struct mgr *mgr, const struct job *job, const struct rv_id *host)
{
    struct member *m = NULL;

    DL_FOREACH (mgr->members, m) {
        if (!m->away && !m->draining && !rv_id_equal(&m->host, host) && suits(m, job))
            return true;
    }
    return false;
}

/* ---- how much ---- */

static uint32_t clamp(uint64_t n)
{
    return n < 1 ? 1 : n > RV_LIMIT_CHUNK_ITEMS ? RV_LIMIT_CHUNK_ITEMS : (uint32_t)n;
}

/* Who takes more has at least one. */
static uint64_t some_slots(const struct mgr *mgr)
{
    rv_assert(mgr->slots > 0);
    return mgr->slots;
}

/* Items that are dealt together because they are tiny, whatever chunk the job asks for. */
static uint32_t group_size(const struct mgr *mgr, const struct job *job)
{
    uint64_t slots = some_slots(mgr);
    uint64_t n = 1;

    if (job->item_ns == 0 || job->item_ns >= TINY_NS || job->detail)
        return 1;
    n = GROUP_NS / job->item_ns;
    return clamp(n > job->waiting / (2 * slots) ? job->waiting / (2 * slots) : n);
}

/* As CPython's pool until something was measured: a quarter of every slot's share. Then what
 * takes a while; near the end less, so that all end together. */
static uint32_t chunk_size(const struct mgr *mgr, const struct job *job)
{
    uint64_t slots = some_slots(mgr);
    bool known = job->total != UINT64_MAX;
    uint64_t left = known ? job->total - job->put + job->waiting : job->waiting;
    uint64_t n = 1;

    if (job->chunk > 0)
        return clamp(job->chunk);
    if (job->item_ns == 0 && !known)
        return 1;
    if (job->item_ns == 0)
        return clamp((job->total + 4 * slots - 1) / (4 * slots));
    n = TARGET_NS / job->item_ns;
    if (n > left / (2 * slots) + 1)
        n = left / (2 * slots) + 1;
    return clamp(n);
}

/* ---- dealing ---- */

static void introduce(struct mgr *mgr, struct member *m, const struct job *job)
{
    struct known *k = NULL;
    struct rv_slice none = rv_slice(NULL, 0);

    if (known_to(m, job->object.id) != NULL)
        return;
    k = rv_alloc(sizeof *k);
    k->job = job->object.id;
    HASH_ADD(hh, m->known, job, sizeof k->job, k);
    rv_buf_clear(&mgr->scratch);
    rv_agent_job_args_encode(
        &mgr->scratch,
        &(struct rv_agent_job_args){
            .job = job->object.id,
            .kind = job->kind,
            .digest = job->blob == NULL ? none : rv_slice(job->blob->digest, RV_LIMIT_DIGEST_BYTES),
            .size = job->blob == NULL ? 0 : job->blob->size,
            .initializer = rv_slice_str(job->initializer),
            .initarg = rv_slice(job->initarg->data, job->initarg->len),
            .arguments = rv_slice(job->arguments->data, job->arguments->len),
            .environment = rv_slice(job->environment->data, job->environment->len),
            .folder = rv_slice_str(job->folder),
            .timeout_ms = job->timeout_ms,
            .memory = job->memory,
            .maxtasks = job->maxtasks,
            .detail = job->detail,
        });
    mgr_push(mgr, m->session, RV_OP_agent_job, m->object.id, rv_buf_slice(&mgr->scratch), NULL, 0);
}

static void push_chunk(struct mgr *mgr, const struct chunk *c)
{
    const struct slice *s = &c->slice;
    struct member *m = c->member;
    struct rv_items items = {.count = s->count, .bytes = rv_slice(s->body->data + s->at, s->len)};
    struct rv_body *frame = NULL;

    if (s->large) {
        struct rv_item item = {.place = RV_BODY, .len = (uint32_t)s->body->len};

        if (s->body->len > RV_LIMIT_BODY_BYTES) {
            item.place = RV_FRAGMENTS;
            item.body = ++m->session->bodies;
            rv_assert(rv_stream_add_fragments(&m->session->out, item.body, s->body));
        } else {
            frame = s->body;
        }
        rv_buf_clear(&mgr->items);
        rv_item_write(&mgr->items, &item);
        items.bytes = rv_buf_slice(&mgr->items);
    }
    rv_buf_clear(&mgr->scratch);
    rv_agent_chunk_args_encode(&mgr->scratch, &(struct rv_agent_chunk_args){
                                                  .chunk = c->id,
                                                  .job = c->job->object.id,
                                                  .first = s->first,
                                                  .run = s->run,
                                                  .function = s->function == c->job->function
                                                                  ? rv_slice_str(c->job->function)
                                                                  : rv_slice_str(s->function),
                                                  .items = items,
                                              });
    mgr_push(mgr, m->session, RV_OP_agent_chunk, m->object.id, rv_buf_slice(&mgr->scratch), &frame,
             frame != NULL);
}

void crew_bind_chunk(struct chunk *c)
{
    struct member *m = c->member;
    struct job *job = c->job;

    HASH_ADD(hh, m->by_id, id, sizeof c->id, c);
    DL_APPEND2(m->chunks, c, prev, next_of_member);
    DL_APPEND2(job->chunks, c, older, newer);
    m->chunks_len++;
    m->load += c->cost;
    job->chunks_len++;
    job->running += c->slice.first + c->slice.count - c->next;
    job->bytes_in += c->slice.len;
}

/* A suspect if there is one and nobody can be lost with it; else what comes next. */
static bool take_slice(const struct mgr *mgr, struct job *job, const struct member *m,
                       struct slice *out)
{
    bool others = job->again != NULL && other_host(mgr, job, &m->host);

    if ((m->chunks_len == 0 || RV_MUTANT(SUSPECT_IN_COMPANY)) && job_take_alone(job, out))
        return true;
    return job_take_slice(job, &m->host, others, chunk_size(mgr, job), group_size(mgr, job), out);
}

static bool deal_one(struct mgr *mgr, struct job *job, struct member *m)
{
    struct chunk *c = NULL;
    struct slice slice;

    if (!take_slice(mgr, job, m, &slice)) {
        job_refresh(mgr, job);
        return false;
    }
    introduce(mgr, m, job);
    c = rv_alloc(sizeof *c);
    c->id = ++mgr->last_chunk;
    c->job = job;
    c->member = m;
    c->slice = slice;
    c->next = slice.first;
    c->cost = slice.count * (job->item_ns == 0 ? UNKNOWN_NS : job->item_ns);
    c->dealt_at = mgr->now;
    crew_bind_chunk(c);
    push_chunk(mgr, c);
    job_refresh(mgr, job);
    crew_refresh(mgr, m);
    return true;
}

/* To the back of its list. */
static void job_turn(struct mgr *mgr, struct job *job)
{
    if (!job->ready || job->next_ready == NULL)
        return;
    DL_DELETE2(mgr->ready, job, prev_ready, next_ready);
    DL_APPEND2(mgr->ready, job, prev_ready, next_ready);
}

static void member_turn(struct mgr *mgr, struct member *m)
{
    if (!m->hungry || m->next_hungry == NULL)
        return;
    DL_DELETE2(mgr->hungry, m, prev_hungry, next_hungry);
    DL_APPEND2(mgr->hungry, m, prev_hungry, next_hungry);
}

/* While suspects wait, one agent gets nothing but them: else all would be busy for ever. */
static const struct member *kept_free(const struct mgr *mgr)
{
    struct job *job = NULL;
    struct member *m = NULL;

    if (mgr->lonely == 0)
        return NULL;
    DL_FOREACH2(mgr->ready, job, next_ready)
    {
        if (job->lonely)
            break;
    }
    DL_FOREACH (mgr->members, m) {
        if (!m->away && !m->draining && job != NULL && suits(m, job))
            return m;
    }
    return NULL;
}

static bool may_have(const struct member *m, const struct job *job, const struct member *kept)
{
    return m != kept || (m->chunks_len == 0 && job->lonely) || RV_MUTANT(SUSPECT_IN_COMPANY);
}

/* One chunk of the first job that somebody hungry can run. Those without any chunk come first. */
static bool deal_some(struct mgr *mgr)
{
    struct job *job = NULL;
    struct job *next_job = NULL;
    const struct member *kept = kept_free(mgr);

    for (job = mgr->ready; job != NULL; job = next_job) {
        struct member *m = NULL;
        struct member *next = NULL;
        uint32_t before = 0;

        next_job = job->next_ready;
        for (m = mgr->hungry; m != NULL; m = next) {
            next = m->next_hungry;
            if (!suits(m, job) || !may_have(m, job, kept))
                continue;
            before = m->chunks_len;
            if (!deal_one(mgr, job, m) && !job->ready)
                break;
            if (m->chunks_len == before)
                continue; /* not for this host */
            member_turn(mgr, m);
            job_turn(mgr, job);
            return true;
        }
    }
    return false;
}

/* ---- giving back: nobody waits while others have much left ---- */

static uint64_t left_of(const struct chunk *c)
{
    return c->slice.first + c->slice.count - c->next;
}

static void ask_back(struct mgr *mgr, struct chunk *c, uint64_t end)
{
    c->asked = true;
    rv_buf_clear(&mgr->scratch);
    rv_agent_trim_args_encode(&mgr->scratch, &(struct rv_agent_trim_args){c->id, end, 0});
    mgr_push(mgr, c->member->session, RV_OP_agent_trim, c->member->object.id,
             rv_buf_slice(&mgr->scratch), NULL, 0);
}

/* When an idle slot may have a piece of it, at the latest: it has much left, or takes longer than it should,
 * because one of its items, or of those before it, is long. */
static rv_ns worth_at(const struct job *job, const struct chunk *c)
{
    uint64_t cost = left_of(c) * (job->item_ns == 0 ? UNKNOWN_NS : job->item_ns);
    rv_ns least = c->dealt_at + RV_LIMIT_RESULT_MS * RV_MS;
    rv_ns late = c->dealt_at + (rv_ns)(2 * c->cost + TRIM_NS + 1);

    return cost >= TRIM_NS || late < least ? least : late;
}

static void look_at(struct mgr *mgr, rv_ns when)
{
    mgr->look_at = when < mgr->look_at ? when : mgr->look_at;
}

/* The chunk of the job that has most left, or waits behind others: where the idle slot is, too. Of a job that
 * may not have more chunks at once, only one of the latter, as a whole, makes another one. */
static void trim_largest(struct mgr *mgr, struct job *job, bool full)
{
    struct chunk *c = NULL;
    struct chunk *best = NULL;
    uint64_t most = 0;
    bool behind = false;

    for (c = job->chunks; c != NULL; c = c->newer) {
        struct member *m = c->member;
        uint64_t cost = left_of(c) * (job->item_ns == 0 ? UNKNOWN_NS : job->item_ns);
        bool waits = m->chunks_len > m->slots && m->chunks->prev == c && c->next == c->slice.first;
        rv_ns when = worth_at(job, c);

        cost = cost < TRIM_NS ? TRIM_NS : cost;
        if (m->away || c->asked || c->doubled || ((full || left_of(c) < 2) && !waits) ||
            cost < most)
            continue;
        if (when > mgr->now) {
            look_at(mgr, when);
            continue;
        }
        best = c;
        most = cost;
        behind = waits;
    }
    if (best != NULL)
        ask_back(mgr, best, behind ? best->next : best->next + (left_of(best) + 1) / 2);
}

/* Who has an idle slot and would be dealt what comes back; NULL: nobody. */
static struct member *idle_for(const struct mgr *mgr, const struct job *job)
{
    const struct member *kept = kept_free(mgr);
    struct member *m = NULL;

    DL_FOREACH2(mgr->hungry, m, next_hungry)
    {
        if (m->chunks_len < m->slots && m != kept && (job == NULL || suits(m, job)))
            return m;
    }
    return NULL;
}

/* Of jobs that have nothing for who is idle: no items, or only such as wait for another host. */
static void trim(struct mgr *mgr)
{
    struct job *job = NULL;

    mgr->look_at = RV_NEVER;
    if (idle_for(mgr, NULL) == NULL)
        return;
    DL_FOREACH (mgr->jobs, job) {
        bool full = job->processes != 0 && job->chunks_len >= job->processes;
        rv_ns next = job->trimmed_at + TRIM_MS * RV_MS;

        if (job->chunks == NULL || (job_has_items(job) && !job->ready && !full) ||
            idle_for(mgr, job) == NULL)
            continue;
        if (next > mgr->now) {
            look_at(mgr, next);
            continue;
        }
        job->trimmed_at = mgr->now;
        trim_largest(mgr, job, full);
    }
}

void crew_deal(struct mgr *mgr)
{
    if (mgr->hungry == NULL) {
        mgr->look_at = RV_NEVER;
        return;
    }
    while (mgr->ready != NULL && deal_some(mgr))
        continue;
    trim(mgr);
}

/* ---- chunks that end ---- */

void crew_drop_chunk(struct mgr *mgr, struct chunk *c)
{
    struct member *m = c->member;
    struct job *job = c->job;

    HASH_DELETE(hh, m->by_id, c);
    DL_DELETE2(m->chunks, c, prev, next_of_member);
    DL_DELETE2(job->chunks, c, older, newer);
    m->chunks_len--;
    m->load -= c->cost;
    job->chunks_len--;
    job->running -= left_of(c);
    job->bytes_in -= c->slice.len;
    slice_drop(&c->slice);
    free(c);
    crew_refresh(mgr, m);
    job_refresh(mgr, job);
}

static void give_up_chunk(struct mgr *mgr, struct chunk *c, bool begun)
{
    struct job *job = c->job;

    if (!c->doubled)
        job_requeue(mgr, c, c->next, begun);
    crew_drop_chunk(mgr, c);
    job_refresh(mgr, job);
}

void crew_forget_job(struct mgr *mgr, const struct job *job)
{
    struct member *m = NULL;

    DL_FOREACH (mgr->members, m) {
        struct known *k = known_to(m, job->object.id);

        if (k == NULL)
            continue;
        HASH_DELETE(hh, m->known, k);
        free(k);
        rv_buf_clear(&mgr->scratch);
        rv_agent_gone_args_encode(&mgr->scratch, &(struct rv_agent_gone_args){job->object.id, 0});
        mgr_push(mgr, m->session, RV_OP_agent_gone, m->object.id, rv_buf_slice(&mgr->scratch), NULL,
                 0);
    }
}

/* ---- what agents say ---- */

static struct chunk *chunk_of(struct member *m, uint64_t id)
{
    struct chunk *c = NULL;

    HASH_FIND(hh, m->by_id, &id, sizeof id, c);
    return c;
}

const struct object *crew_job_of(const struct object *agent, struct rv_slice args)
{
    struct rv_reader r = rv_reader(args);
    const struct chunk *c = NULL;

    if (agent->kind == RV_KIND_AGENT)
        c = chunk_of((struct member *)(uintptr_t)agent,
                     rv_read_number(&r, 8)); /* all have it first */
    return c == NULL ? NULL : &c->job->object;
}

/* Late results of a job that is over are no mistake: they are dropped. */
static void skip(struct mgr *mgr, const struct incoming *in, const struct chunk *c)
{
    mgr_skip_items(in->session, in);
    mgr->refused += c != NULL;
}

static void on_done(struct mgr *mgr, struct member *m, const struct incoming *in)
{
    struct rv_agent_done_args args;
    struct chunk *c = NULL;

    rv_assert(rv_agent_done_args_decode(&args, in->msg->args));
    c = chunk_of(m, args.chunk);
    if (c == NULL || args.first != c->next || args.items.count == 0 ||
        args.items.count > left_of(c)) {
        skip(mgr, in, c);
        return;
    }
    job_measure(c->job, args.ns, args.items.count);
    job_results(mgr, c, args.first, &args.items, in);
    crew_deal(mgr);
}

static void on_item(struct mgr *mgr, struct member *m, const struct incoming *in)
{
    struct rv_agent_item_args args;
    struct chunk *c = NULL;
    struct told *told = NULL;

    rv_assert(rv_agent_item_args_decode(&args, in->msg->args));
    c = chunk_of(m, args.chunk);
    if (c == NULL || args.index != c->next || args.items.count > 1 || args.status > RV_RAN_NEVER ||
        args.output.len > RV_LIMIT_OUTPUT_BYTES ||
        (args.status == RV_RAN_OK && args.items.count == 0)) {
        skip(mgr, in, c);
        return;
    }
    told = rv_alloc(sizeof *told);
    *told = (struct told){.status = args.status,
                          .agent = mgr_text(rv_slice_str(m->name)),
                          .host = mgr_text(rv_slice_str(m->session->host_name)),
                          .pid = args.pid,
                          .ns = args.ns,
                          .code = args.code,
                          .text = mgr_text(args.text)};
    if (args.output.len > 0) {
        told->output = rv_body_new(args.output.len);
        rv_assert(told->output != NULL);
        memcpy(told->output->data, args.output.data, args.output.len);
    }
    job_result(mgr, c, told, &args.items, in);
    crew_deal(mgr);
}

static void on_back(struct mgr *mgr, struct member *m, const struct incoming *in)
{
    struct rv_agent_back_args args;
    struct chunk *c = NULL;
    struct slice rest;
    uint64_t end = 0;

    rv_assert(rv_agent_back_args_decode(&args, in->msg->args));
    c = chunk_of(m, args.chunk);
    if (c == NULL)
        return;
    end = c->slice.first + c->slice.count;
    if (args.from < c->next || args.from > end) {
        mgr->refused++;
        return;
    }
    c->asked = false;
    if (!c->doubled)
        job_requeue(mgr, c, args.from, false);
    if (args.from == c->next) {
        crew_drop_chunk(mgr, c);
        crew_deal(mgr);
        return;
    }
    rest = c->slice;
    c->slice.len = slice_skip(&rest, (uint32_t)(args.from - rest.first)) - rest.at;
    c->slice.count = (uint32_t)(args.from - rest.first);
    c->job->bytes_in -= rest.len - c->slice.len;
    c->job->running -= end - args.from;
    job_refresh(mgr, c->job);
    crew_deal(mgr);
}

/* Everybody who is here has said no: it would wait for ever. */
static void end_hopeless(struct mgr *mgr, struct job *job, const char *why)
{
    uint32_t slots = 0;

    if (!job->ended && crew_able(mgr, job, &slots) == 0)
        job_end(mgr, job, REEVE_ENOAGENT, why);
}

static void on_cannot(struct mgr *mgr, struct member *m, const struct incoming *in)
{
    struct rv_agent_cannot_args args;
    struct known *k = NULL;
    struct job *job = NULL;
    struct chunk *c = NULL;
    struct chunk *next = NULL;
    char why[TEXT_MAX];

    rv_assert(rv_agent_cannot_args_decode(&args, in->msg->args));
    k = known_to(m, args.job);
    job = job_find(mgr, args.job, rv_slice(NULL, 0));
    if (k == NULL || job == NULL)
        return;
    k->cannot = true;
    snprintf(why, sizeof why, "agent %.60s on %.60s: %.*s", m->name, m->session->host_name,
             (int)(args.text.len < 250 ? args.text.len : 250),
             args.text.len == 0 ? "" : (const char *)args.text.data);
    mgr_say(mgr, RV_WARN, "job.refused job=%llu agent=%llu why=\"%s\"",
            (unsigned long long)args.job, (unsigned long long)m->object.id, why);
    for (c = m->chunks; c != NULL; c = next) {
        next = c->next_of_member;
        if (c->job == job)
            give_up_chunk(mgr, c, false);
    }
    end_hopeless(mgr, job, why);
    crew_deal(mgr);
}

static void on_state(struct mgr *mgr, struct member *m, const struct incoming *in)
{
    struct rv_agent_state_args args;

    rv_assert(rv_agent_state_args_decode(&args, in->msg->args));
    if (args.slots > SLOTS_MAX) {
        mgr->refused++;
        return;
    }
    mgr->slots += args.slots - m->slots;
    m->slots = args.slots;
    m->draining = args.draining != 0;
    mgr_say(mgr, RV_INFO, "agent.state agent=%llu slots=%u draining=%u",
            (unsigned long long)m->object.id, m->slots, args.draining);
    crew_refresh(mgr, m);
    crew_deal(mgr);
}

static void drop_ticket(struct mgr *mgr, struct ticket *t)
{
    HASH_DELETE(hh, mgr->tickets, t);
    free(t);
}

/* Tasks may end before their sessions come: of those that an agent has announced, the oldest go. */
static void make_room(struct mgr *mgr, const struct member *m)
{
    struct ticket *t = NULL;
    struct ticket *oldest = NULL;
    uint32_t count = 0;

    for (t = mgr->tickets; t != NULL; t = t->hh.next)
        if (t->member == m->object.id) {
            oldest = oldest == NULL ? t : oldest;
            count++;
        }
    if (count >= RV_LIMIT_TICKETS)
        drop_ticket(mgr, oldest);
}

/* A task may speak for the owner of its job, over its agent's connection. */
static void on_session(struct mgr *mgr, struct member *m, const struct incoming *in)
{
    struct rv_agent_session_args args;
    const struct job *job = NULL;
    struct ticket *t = NULL;

    rv_assert(rv_agent_session_args_decode(&args, in->msg->args));
    job = job_find(mgr, args.job, rv_slice(NULL, 0));
    HASH_FIND(hh, mgr->tickets, &args.session, sizeof args.session, t);
    if (job == NULL || job->ended || known_to(m, args.job) == NULL || t != NULL ||
        rv_id_zero(&args.session)) {
        mgr_reply_text(mgr, in->session, in->number, REEVE_EPERM,
                       "this agent runs no task of that job");
        return;
    }
    make_room(mgr, m);
    t = rv_alloc(sizeof *t);
    t->session = args.session;
    t->member = m->object.id;
    t->principal = job->principal;
    t->job = job->object.id;
    HASH_ADD(hh, mgr->tickets, session, sizeof t->session, t);
    mgr_reply_text(mgr, in->session, in->number, REEVE_OK, NULL);
}

bool crew_use_ticket(struct mgr *mgr, const struct rv_id *session, uint32_t carrier,
                     uint32_t *principal, uint64_t *job)
{
    struct ticket *t = NULL;
    struct member *m = NULL;

    HASH_FIND(hh, mgr->tickets, session, sizeof *session, t);
    if (t == NULL)
        return false;
    DL_FOREACH (mgr->members, m) {
        if (m->object.id == t->member && m->session->carrier == carrier)
            break;
    }
    if (m == NULL)
        return false;
    *principal = t->principal;
    *job = t->job;
    drop_ticket(mgr, t);
    return true;
}

void crew_void_ticket(struct mgr *mgr, const struct rv_id *session)
{
    struct ticket *t = NULL;

    HASH_FIND(hh, mgr->tickets, session, sizeof *session, t);
    if (t != NULL)
        drop_ticket(mgr, t);
}

static void on_call(struct mgr *mgr, struct object *o, struct ref *ref, const struct incoming *in)
{
    struct member *m = (struct member *)o;

    (void)ref;
    switch ((enum rv_op)in->msg->op) {
    case RV_OP_agent_done:
        on_done(mgr, m, in);
        break;
    case RV_OP_agent_item:
        on_item(mgr, m, in);
        break;
    case RV_OP_agent_back:
        on_back(mgr, m, in);
        break;
    case RV_OP_agent_cannot:
        on_cannot(mgr, m, in);
        break;
    case RV_OP_agent_state:
        on_state(mgr, m, in);
        break;
    case RV_OP_agent_session:
        on_session(mgr, m, in);
        break;
    default:
        mgr_skip_items(in->session, in);
        mgr->refused++;
    }
}

/* ---- here, away, gone ---- */

void crew_on_detach(struct mgr *mgr, struct member *m)
{
    m->away = true;
    mgr->slots -= m->slots;
    crew_refresh(mgr, m);
    rv_heap_set(&mgr->heap, &m->timer, rv_after_ms(mgr->now, RV_LIMIT_DOUBLE_MS));
}

void crew_on_resume(struct mgr *mgr, struct member *m)
{
    rv_heap_cancel(&mgr->heap, &m->timer);
    if (!m->away)
        return;
    m->away = false;
    mgr->slots += m->slots;
    crew_refresh(mgr, m);
    crew_deal(mgr);
}

/* It has been away for so long that others begin anew what it has; the first result counts. */
void crew_on_timer(struct mgr *mgr, struct member *m)
{
    struct chunk *c = NULL;
    struct chunk *next = NULL;
    uint32_t place = 0;

    for (c = m->chunks; c != NULL; c = next, place++) {
        next = c->next_of_member;
        /* Who may be what kills agents does not get the next one before this one is known as dead. */
        if (c->doubled || c->slice.alone || c->slice.run >= job_losses_max(c->job))
            continue;
        c->doubled = true;
        job_requeue(mgr, c, c->next, place < m->slots); /* the oldest chunks are in its slots */
        job_refresh(mgr, c->job);
    }
    crew_deal(mgr);
}

/* The oldest chunks are in its slots. When it died, the items that had begun were lost with it. */
static void give_up_all(struct mgr *mgr, struct member *m, bool died)
{
    bool alone = m->chunks_len == 1 || m->slots == 1;

    for (uint32_t place = 0; m->chunks != NULL; place++) {
        struct chunk *c = m->chunks;
        uint64_t id = c->id;
        uint64_t at = c->next;
        bool begun = place < m->slots;

        if (begun && died)
            job_lost(mgr, c, alone);
        c = chunk_of(m, id);
        if (c != NULL)
            give_up_chunk(mgr, c, begun && c->next == at);
    }
}

static void leave(struct mgr *mgr, struct member *m, bool died)
{
    struct ticket *t = NULL;
    struct ticket *next = NULL;
    struct known *k = NULL;
    struct known *next_k = NULL;

    give_up_all(mgr, m, died);
    HASH_ITER (hh, m->known, k, next_k) {
        HASH_DELETE(hh, m->known, k);
        free(k);
    }
    HASH_ITER (hh, mgr->tickets, t, next) {
        if (t->member == m->object.id)
            drop_ticket(mgr, t);
    }
    if (!m->away)
        mgr->slots -= m->slots;
    m->away = true;
    crew_refresh(mgr, m);
    rv_heap_cancel(&mgr->heap, &m->timer);
    DL_DELETE(mgr->members, m);
    m->session->member = NULL;
    mgr_say(mgr, RV_INFO, "agent.gone agent=%llu name=%.100s", (unsigned long long)m->object.id,
            m->name);
}

static void on_drop_ref(struct mgr *mgr, struct ref *ref, bool died)
{
    leave(mgr, (struct member *)ref->object, died);
    crew_deal(mgr);
}

static void on_free(struct mgr *mgr, struct object *o)
{
    struct member *m = (struct member *)o;

    (void)mgr;
    free(m->name);
    free(m->labels);
    free(m->machine);
    free(m);
}

static void on_removed(struct mgr *mgr, struct object *o)
{
    (void)mgr;
    (void)o;
}

static void on_end_call(struct mgr *mgr, struct call *call, reeve_err error)
{
    (void)mgr;
    (void)call;
    (void)error;
    rv_assert(!"a call waits on an agent");
}

static void on_timeout(struct mgr *mgr, struct call *call)
{
    on_end_call(mgr, call, REEVE_ETIME);
}

/* Another life of the same agent is over, whether it knows or not. False: this one is the older. */
static bool replace_older(struct mgr *mgr, const struct rv_agent_open_args *args)
{
    struct member *m = NULL;
    struct member *next = NULL;

    DL_FOREACH_SAFE (mgr->members, m, next) {
        if (!rv_id_equal(&m->host, &args->host) ||
            !rv_slice_equal(rv_slice_str(m->name), args->name))
            continue;
        if (m->incarnation >= args->incarnation)
            return false;
        session_end(mgr, m->session, REEVE_EEXPIRED);
    }
    return true;
}

static uint32_t agents_of(const struct mgr *mgr)
{
    const struct member *m = NULL;
    uint32_t count = 0;

    DL_COUNT(mgr->members, m, count);
    return count;
}

void crew_on_open(struct mgr *mgr, const struct incoming *in)
{
    struct rv_agent_open_args args;
    struct session *s = in->session;
    struct member *m = NULL;
    struct ref *ref = NULL;
    const char *no = NULL;
    reeve_err err = REEVE_OK;

    rv_assert(rv_agent_open_args_decode(&args, in->msg->args));
    if (!(rights_on(mgr_principal(mgr, s->principal), rv_slice(NULL, 0)) &
          RIGHT_BIT(RV_RIGHT_WORK)))
        err = REEVE_EPERM, no = "only a key with the role worker (or admin) runs tasks";
    else if (args.name.len > RV_LIMIT_NAME_BYTES || s->member != NULL || args.slots > SLOTS_MAX)
        err = REEVE_EINVAL, no = "a name, at most 65536 slots, and one agent a session";
    else if (!replace_older(mgr, &args))
        err = REEVE_EEXPIRED, no = "a newer agent of this name runs on this host";
    else if (HASH_CNT(by_id, mgr->objects) >= RV_LIMIT_OBJECTS)
        err = REEVE_ELIMIT, no = "the manager holds its maximum of objects";
    else if (agents_of(mgr) >= RV_LIMIT_AGENTS)
        err = REEVE_ELIMIT, no = "the manager has its maximum of agents";
    if (err != REEVE_OK) {
        mgr_reply_text(mgr, s, in->number, err, no);
        return;
    }
    m = rv_alloc(sizeof *m);
    m->session = s;
    m->name = mgr_text(args.name);
    m->labels = mgr_text(args.labels);
    m->machine = mgr_text(args.machine);
    m->host = args.host;
    m->incarnation = args.incarnation;
    m->slots = args.slots;
    m->timer.kind = TIMER_MEMBER;
    object_add(mgr, &m->object, &member_ops, RV_KIND_AGENT, rv_slice(NULL, 0), UINT32_MAX);
    DL_APPEND(mgr->members, m);
    s->member = m;
    mgr->slots += m->slots;
    ref = object_hold(mgr, s, &m->object);
    ref->creator = true;
    ref->rights = RIGHT_BIT(RV_RIGHT_WORK);
    mgr_say(mgr, RV_INFO, "agent.open agent=%llu name=%.100s host=%s slots=%u session=%llu",
            (unsigned long long)m->object.id, m->name, s->host_name, m->slots,
            (unsigned long long)s->serial);
    rv_buf_clear(&mgr->scratch);
    rv_agent_open_result_encode(&mgr->scratch, &(struct rv_agent_open_result){m->object.id, 0});
    mgr_reply(mgr, s, in->number, REEVE_OK, NULL, rv_buf_slice(&mgr->scratch), NULL, 0);
    crew_refresh(mgr, m);
    crew_deal(mgr);
}

/* ---- questions ---- */

void crew_read_list(struct mgr *mgr, struct session *s, const struct rv_read *msg)
{
    struct rv_agent_list_args args;
    struct rv_buf rows = {0};
    const struct member *m = NULL;
    uint32_t count = 0;

    rv_assert(rv_agent_list_args_decode(&args, msg->args));
    DL_FOREACH (mgr->members, m) {
        size_t start = rows.len;

        if (m->object.id <= args.after)
            continue;
        if (count == RV_LIMIT_LIST_ROWS || rows.len > RV_LIMIT_BATCH_BYTES / 2)
            break;
        rv_write_number(&rows, 0, 4);
        rv_agent_row_encode(&rows, &(struct rv_agent_row){
                                       .agent = m->object.id,
                                       .name = rv_slice_str(m->name),
                                       .host = rv_slice_str(m->session->host_name),
                                       .slots = m->slots,
                                       .busy = m->chunks_len < m->slots ? m->chunks_len : m->slots,
                                       .chunks = m->chunks_len,
                                       .done = m->done,
                                       .crashed = m->crashed,
                                       .attached = !m->away,
                                       .draining = m->draining,
                                       .labels = rv_slice_str(m->labels),
                                       .pid = m->session->pid,
                                   });
        rv_set_number(rows.data + start, rows.len - start - 4, 4);
        count++;
    }
    rv_buf_clear(&mgr->scratch);
    rv_object_list_result_encode(&mgr->scratch,
                                 &(struct rv_object_list_result){count, rv_buf_slice(&rows), 0});
    mgr_answer(mgr, s, msg->id, REEVE_OK, NULL, rv_buf_slice(&mgr->scratch));
    rv_buf_free(&rows);
}

static void row(const struct object *o, struct rv_object_row *out)
{
    const struct member *m = (const struct member *)o;

    out->maxsize = m->slots;
    out->size = m->chunks_len;
}

/* ---- what must be true ---- */

static void check(const struct object *o)
{
    const struct member *m = (const struct member *)o;
    const struct chunk *c = NULL;
    uint32_t len = 0;
    uint64_t load = 0;

    for (c = m->chunks; c != NULL; c = c->next_of_member) {
        len++;
        load += c->cost;
        rv_assert(c->member == m);
    }
    rv_assert(len == m->chunks_len && len == HASH_COUNT(m->by_id) && load == m->load);
    rv_assert(m->hungry == wants_more(m));
}

void crew_check(const struct mgr *mgr)
{
    const struct member *m = NULL;
    uint32_t slots = 0;

    DL_FOREACH (mgr->members, m) {
        slots += m->away ? 0 : m->slots;
        rv_assert(m->session->member == m);
        rv_assert(m->away == !m->session->attached);
    }
    rv_assert(slots == mgr->slots);
}

const struct object_ops member_ops = {
    .family = 4,
    .call = on_call,
    .end_call = on_end_call,
    .timeout = on_timeout,
    .drop_ref = on_drop_ref,
    .removed = on_removed,
    .free = on_free,
    .row = row,
    .check = check,
    .create_empty = member_create_empty,
    .save = member_save,
    .load = member_load,
};
