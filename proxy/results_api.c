/* results_api.c -- values stay packed until somebody asks. */

#include "proxy/results.h"

#include "common/value/value.h"

#include <pthread.h>
#include <stdio.h>

enum {
    NODES = 1024,
    RUN = 64, /* who asks for one value asks for the next ones, too */
};

/* Scalars that were asked for. */
struct nodes {
    struct nodes *next;
    size_t len;
    msgpack_object at[NODES];
};

/* A value that was asked for, or NULL. */
struct asked {
    _Atomic(const reeve_value *) value;
};

struct reeve_results {
    atomic_uint refs;
    struct rv_yield out;
    uint64_t total;
    reeve_err error;
    char *why;

    /* The application and a callback may ask at the same time: what is there is read without
     * the mutex. */
    pthread_mutex_t mutex;
    _Atomic(struct asked *) values; /* of all items; NULL: none was asked for */
    struct nodes *nodes;
    reeve_value **trees; /* arrays and maps that were asked for; ours to free */
    size_t trees_len, trees_cap;
};

reeve_results *rv_results_new(struct rv_errand *e)
{
    reeve_results *r = calloc(1, sizeof *r);

    if (r == NULL)
        return NULL;
    atomic_init(&r->refs, 1);
    pthread_mutex_init(&r->mutex, NULL);
    r->out = e->out;
    r->total = e->total;
    r->error = e->error;
    r->why = e->why;
    e->out = (struct rv_yield){0};
    e->why = NULL;
    return r;
}

reeve_results *reeve_results_keep(reeve_results *r)
{
    atomic_fetch_add(&r->refs, 1);
    return r;
}

void reeve_results_free(reeve_results **results)
{
    reeve_results *r = results == NULL ? NULL : *results;

    if (r == NULL)
        return;
    *results = NULL;
    if (atomic_fetch_sub(&r->refs, 1) != 1)
        return;
    for (size_t i = 0; i < r->trees_len; i++)
        rv_value_free(&r->trees[i]);
    while (r->nodes != NULL) {
        struct nodes *next = r->nodes->next;

        free(r->nodes);
        r->nodes = next;
    }
    free(r->trees);
    free(atomic_load(&r->values));
    free(r->why);
    rv_yield_free(&r->out);
    pthread_mutex_destroy(&r->mutex);
    free(r);
}

size_t reeve_results_len(const reeve_results *r)
{
    return r == NULL ? 0 : (size_t)r->total;
}

/* What never came has failed too. */
size_t reeve_results_failed(const reeve_results *r)
{
    return r == NULL ? 0 : (size_t)(r->out.failed + (r->total - r->out.done));
}

reeve_err rv_results_error(const reeve_results *r, const char **why)
{
    *why = r->why != NULL ? r->why : reeve_strerror(r->error);
    return r->error;
}

/* ---- values ---- */

bool rv_results_bytes(const reeve_results *r, size_t i, struct rv_slice *bytes)
{
    struct rv_result result;

    if (i >= r->total || !rv_yield_at(&r->out, i, &result) || !result.has_value)
        return false;
    *bytes = result.value;
    return true;
}

struct rv_lien *rv_results_lien(const reeve_results *r, size_t i)
{
    struct rv_result result;

    if (i >= r->total || !rv_yield_at(&r->out, i, &result) || result.record == NULL ||
        result.record->lien == NULL)
        return NULL;
    return rv_lien_keep(result.record->lien);
}

static const reeve_value *keep_scalar(reeve_results *r, const msgpack_object *o)
{
    struct nodes *nodes = r->nodes;

    if (nodes == NULL || nodes->len == NODES) {
        nodes = malloc(sizeof *nodes);
        if (nodes == NULL)
            return NULL;
        nodes->len = 0;
        nodes->next = r->nodes;
        r->nodes = nodes;
    }
    nodes->at[nodes->len] = *o;
    return (const reeve_value *)&nodes->at[nodes->len++];
}

static const reeve_value *keep_tree(reeve_results *r, struct rv_slice bytes)
{
    size_t cap = r->trees_cap == 0 ? 16 : r->trees_cap * 2;
    reeve_value **trees = r->trees;

    if (r->trees_len == r->trees_cap) {
        trees = realloc(r->trees, cap * sizeof(reeve_value *));
        if (trees == NULL)
            return NULL;
        r->trees = trees;
        r->trees_cap = cap;
    }
    if (rv_value_parse(&trees[r->trees_len], bytes) != REEVE_OK)
        return NULL;
    return trees[r->trees_len++];
}

/* The scalars among some items from i on. */
static void find_scalars(reeve_results *r, struct asked *values, size_t i)
{
    size_t end = r->total - i > RUN ? i + RUN : (size_t)r->total;
    struct rv_result result;
    msgpack_object o;

    for (; i < end; i++)
        if (atomic_load_explicit(&values[i].value, memory_order_relaxed) == NULL &&
            rv_yield_at(&r->out, i, &result) && result.has_value &&
            rv_value_scalar(&o, result.value))
            atomic_store_explicit(&values[i].value, keep_scalar(r, &o), memory_order_release);
}

static const reeve_value *find_value(reeve_results *r, size_t i)
{
    struct asked *values = atomic_load(&r->values);
    struct rv_result result;

    if (values == NULL) {
        values = calloc((size_t)r->total, sizeof *values);
        atomic_store(&r->values, values);
    }
    if (values == NULL)
        return NULL;
    find_scalars(r, values, i);
    if (atomic_load(&values[i].value) == NULL && rv_yield_at(&r->out, i, &result) &&
        result.has_value)
        atomic_store(&values[i].value, keep_tree(r, result.value));
    return atomic_load(&values[i].value);
}

const reeve_value *reeve_results_value(reeve_results *r, size_t i)
{
    const struct asked *values = NULL;
    const reeve_value *value = NULL;

    if (r == NULL || i >= r->total)
        return NULL;
    values = atomic_load_explicit(&r->values, memory_order_acquire);
    if (values != NULL)
        value = atomic_load_explicit(&values[i].value, memory_order_acquire);
    if (value != NULL)
        return value;
    pthread_mutex_lock(&r->mutex);
    value = find_value(r, i);
    pthread_mutex_unlock(&r->mutex);
    return value;
}

/* ---- records ---- */

void rv_record_show(const struct rv_record *record, reeve_record *out)
{
    *out = (reeve_record){.message = "", .host = "", .agent = "", .output = ""};
    if (record == NULL)
        return;
    out->err = record->error;
    out->status = record->status <= REEVE_RAN_NEVER ? (reeve_ran)record->status : REEVE_RAN_FAILED;
    out->message = record->text;
    out->host = record->host;
    out->agent = record->agent;
    out->pid = record->pid;
    out->exit_code = record->code > 0 ? (int)record->code : 0;
    out->signal = record->code < 0 ? (int)-record->code : 0;
    out->runs = record->runs;
    out->ns = record->ns;
    out->output = (const char *)record->output;
    out->output_len = record->output_len;
}

reeve_err reeve_results_record(const reeve_results *r, size_t i, reeve_record *out)
{
    struct rv_result result;

    rv_record_show(NULL, out);
    if (r == NULL || i >= r->total)
        return REEVE_EINVAL;
    if (rv_yield_at(&r->out, i, &result)) {
        rv_record_show(result.record, out);
        return REEVE_OK;
    }
    out->err = r->error;
    out->status = REEVE_RAN_NEVER;
    (void)rv_results_error(r, &out->message);
    return REEVE_OK;
}

bool rv_results_first_failed(const reeve_results *r, size_t *i)
{
    struct rv_result result;

    if (r->out.failed == 0)
        return false;
    for (*i = 0; *i < r->total; ++*i)
        if (rv_yield_at(&r->out, *i, &result) && result.record != NULL &&
            result.record->error != REEVE_OK)
            return true;
    return false;
}

void rv_record_words(const reeve_record *record, char *out, size_t len)
{
    static const char *const words[] = {
        [REEVE_RAN_OK] = "done",
        [REEVE_RAN_FAILED] = "the function failed",
        [REEVE_RAN_CRASHED] = "its process ended by a signal",
        [REEVE_RAN_EXITED] = "its process left by exit()",
        [REEVE_RAN_TIMEOUT] = "it took longer than it might",
        [REEVE_RAN_TOOBIG] = "its value is too large",
        [REEVE_RAN_NEVER] = "it could not be begun",
    };
    const char *text = record->message[0] != '\0' ? record->message : words[record->status];
    size_t at = (size_t)snprintf(out, len, "%s", text);

    if (at < len && record->host[0] != '\0')
        at += (size_t)snprintf(out + at, len - at, " (on %s", record->host);
    if (at < len && record->host[0] != '\0' && record->pid != 0)
        at += (size_t)snprintf(out + at, len - at, ", process %u", record->pid);
    if (at < len && record->host[0] != '\0')
        (void)snprintf(out + at, len - at, ", run %u)", record->runs);
}
