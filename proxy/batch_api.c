/* batch_api.c -- calls that are gathered, and run together. */

#include "proxy/box_api.h"

#include "common/value/path.h"

#include <reeve/batch.h>

struct reeve_batch {
    reeve_context *ctx;
    struct rv_sync sync;   /* for messages: the batch has no object */
    struct rv_buf calls;   /* batch_call rows */
    uint32_t count;        /* of them */
    struct rv_buf bytes;   /* of the values, and behind each its references */
    struct rv_load *loads; /* where they stand, as offsets until the run */
    size_t loads_len;
    struct rv_buf labels;  /* of each call's object, for messages; each ends with a zero */
    reeve_value **results; /* of each call, after the run */
    reeve_err err;         /* sticks */
    char why[200];
    bool ran;
};

static char label[] = "batch";

reeve_batch *reeve_batch_new(reeve_context *ctx)
{
    reeve_batch *b = calloc(1, sizeof *b);

    if (b == NULL)
        return NULL;
    b->ctx = ctx;
    b->sync = (struct rv_sync){.ctx = ctx, .label = label};
    return b;
}

void reeve_batch_free(reeve_batch **batch)
{
    reeve_batch *b = batch == NULL ? NULL : *batch;

    if (b == NULL)
        return;
    *batch = NULL;
    for (uint32_t i = 0; b->results != NULL && i < b->count; i++)
        rv_value_free(&b->results[i]);
    free(b->results);
    free(b->loads);
    rv_buf_free(&b->calls);
    rv_buf_free(&b->bytes);
    rv_buf_free(&b->labels);
    free(b);
}

/* ---- adding ---- */

static reeve_err stick(reeve_batch *b, reeve_err err)
{
    if (b->err == REEVE_OK && err != REEVE_OK) {
        b->err = err;
        snprintf(b->why, sizeof b->why, "%s", reeve_errmsg());
    }
    return b->err;
}

/* May a call on this handle be added? */
static reeve_err begin(reeve_batch *b, const struct rv_sync *s)
{
    if (b == NULL)
        return rv_fail(REEVE_ENOMEM, "cannot add to a batch: out of memory");
    if (b->err != REEVE_OK)
        return b->err;
    if (b->ran)
        return stick(b, rv_fail(REEVE_EINVAL, "cannot add to a batch: it has run"));
    if (s->ctx != b->ctx)
        return stick(b, rv_fail(REEVE_EINVAL, "cannot add %s to a batch: it is of another context",
                                s->label));
    return REEVE_OK;
}

static void add_load(reeve_batch *b, const struct rv_load *load)
{
    struct rv_load *more = realloc(b->loads, (b->loads_len + 1) * sizeof *more);

    if (more == NULL) {
        b->bytes.bad = true;
        return;
    }
    b->loads = more;
    b->loads[b->loads_len++] = *load;
    rv_buf_add(&b->bytes, load->bytes.data, load->bytes.len);
    rv_buf_add(&b->bytes, load->refs.data, load->refs.len);
}

/* Frees args. */
static reeve_err add(reeve_batch *b, const struct rv_sync *s, uint16_t op, struct rv_buf *args,
                     const struct rv_load *loads, uint32_t len)
{
    size_t start = b->calls.len;

    rv_write_number(&b->calls, 0, 4);
    rv_batch_call_encode(
        &b->calls, &(struct rv_batch_call){
                       .op = op, .object = s->object, .values = len, .args = rv_buf_slice(args)});
    for (uint32_t i = 0; i < len; i++)
        add_load(b, &loads[i]);
    rv_buf_add(&b->labels, s->label, strlen(s->label) + 1);
    if (args->bad || b->calls.bad || b->bytes.bad || b->labels.bad) {
        rv_buf_free(args);
        return stick(b, rv_fail(REEVE_ENOMEM, "cannot add to a batch: out of memory"));
    }
    rv_set_number(b->calls.data + start, b->calls.len - start - 4, 4);
    b->count++;
    rv_buf_free(args);
    return REEVE_OK;
}

static reeve_err load_key(reeve_batch *b, const struct rv_sync *s, const reeve_builder *key,
                          struct rv_slice *out)
{
    reeve_err err = begin(b, s);

    if (err != REEVE_OK)
        return err;
    err = rv_box_bytes(s, "use", "key", key, RV_LIMIT_KEY_BYTES, out);
    if (err == REEVE_OK && out->len == 0)
        err = rv_fail(REEVE_EINVAL, "cannot use %s: no key", s->label);
    return stick(b, err);
}

static reeve_err load_value(reeve_batch *b, const struct rv_sync *s, const reeve_builder *value,
                            struct rv_load *out)
{
    reeve_err err = begin(b, s);

    return err != REEVE_OK ? err : stick(b, rv_box_load(s, "use", "value", value, out));
}

/* ---- dicts ---- */

/* A handle of a container begins with its rv_sync. */
#define SYNC(handle) ((const struct rv_sync *)(const void *)(handle))

static reeve_err set_pair(reeve_batch *b, const struct rv_sync *s, struct rv_slice key,
                          const reeve_builder *value)
{
    struct rv_load loads[2] = {{.bytes = key}};
    struct rv_buf args = {0};
    reeve_err err = load_value(b, s, value, &loads[1]);

    if (err != REEVE_OK)
        return err;
    rv_dict_set_args_encode(&args, &(struct rv_dict_set_args){0});
    return add(b, s, RV_OP_dict_set, &args, loads, 2);
}

reeve_err reeve_batch_dict_set(reeve_batch *batch, reeve_dict *dict, const reeve_builder *key,
                               const reeve_builder *value)
{
    struct rv_slice bytes;
    reeve_err err = load_key(batch, SYNC(dict), key, &bytes);

    return err != REEVE_OK ? err : set_pair(batch, SYNC(dict), bytes, value);
}

static reeve_err drop_pair(reeve_batch *b, const struct rv_sync *s, uint16_t op,
                           const reeve_builder *key)
{
    struct rv_dict_del_args args = {0};
    struct rv_buf buf = {0};
    reeve_err err = load_key(b, s, key, &args.key);

    if (err != REEVE_OK)
        return err;
    rv_dict_del_args_encode(&buf, &args);
    return add(b, s, op, &buf, NULL, 0);
}

reeve_err reeve_batch_dict_del(reeve_batch *batch, reeve_dict *dict, const reeve_builder *key)
{
    return drop_pair(batch, SYNC(dict), RV_OP_dict_del, key);
}

reeve_err reeve_batch_dict_pop(reeve_batch *batch, reeve_dict *dict, const reeve_builder *key)
{
    return drop_pair(batch, SYNC(dict), RV_OP_dict_pop, key);
}

reeve_err reeve_batch_dict_add(reeve_batch *batch, reeve_dict *dict, const reeve_builder *key,
                               const reeve_builder *amount)
{
    struct rv_dict_edit_args args = {.verb = RV_EDIT_ADD};
    struct rv_buf buf = {0};
    struct rv_load load;
    reeve_err err = load_key(batch, SYNC(dict), key, &args.key);

    if (err == REEVE_OK)
        err = load_value(batch, SYNC(dict), amount, &load);
    if (err != REEVE_OK)
        return err;
    rv_dict_edit_args_encode(&buf, &args);
    return add(batch, SYNC(dict), RV_OP_dict_edit, &buf, &load, 1);
}

reeve_err reeve_batch_dict_expect(reeve_batch *batch, reeve_dict *dict, const reeve_builder *key,
                                  const reeve_builder *expected)
{
    struct rv_dict_cas_args args = {.flags = RV_CAS_MUST | RV_CAS_ONLY};
    struct rv_buf buf = {0};
    struct rv_load load;
    reeve_err err = load_key(batch, SYNC(dict), key, &args.key);

    if (err == REEVE_OK && expected != NULL)
        err = load_value(batch, SYNC(dict), expected, &load);
    if (err != REEVE_OK)
        return err;
    if (expected == NULL)
        args.flags |= RV_CAS_ABSENT;
    rv_dict_cas_args_encode(&buf, &args);
    return add(batch, SYNC(dict), RV_OP_dict_cas, &buf, &load, expected != NULL);
}

reeve_err reeve_batch_namespace_set(reeve_batch *batch, reeve_namespace *ns, const char *name,
                                    const reeve_builder *value)
{
    uint8_t key[RV_LIMIT_KEY_BYTES];
    size_t len = strlen(name);
    size_t head = 0;
    reeve_err err = begin(batch, SYNC(ns));

    if (err != REEVE_OK)
        return err;
    if (len == 0 || len > sizeof key - RV_VALUE_HEAD_MAX || !rv_utf8_valid(rv_slice(name, len)))
        return stick(batch, rv_fail(REEVE_EINVAL, "cannot use %s: no name of an attribute",
                                    SYNC(ns)->label));
    head = rv_value_head(key, true, len);
    memcpy(key + head, name, len);
    return set_pair(batch, SYNC(ns), rv_slice(key, head + len), value);
}

/* ---- lists, arrays and values ---- */

static reeve_err put_at(reeve_batch *b, const struct rv_sync *s, uint16_t op, int64_t at,
                        const reeve_builder *value)
{
    struct rv_buf buf = {0};
    struct rv_load load;
    reeve_err err = load_value(b, s, value, &load);

    if (err != REEVE_OK)
        return err;
    rv_list_set_args_encode(&buf, &(struct rv_list_set_args){.at = at});
    return add(b, s, op, &buf, &load, 1);
}

static reeve_err add_at(reeve_batch *b, const struct rv_sync *s, int64_t at,
                        const reeve_builder *amount)
{
    struct rv_buf buf = {0};
    struct rv_load load;
    reeve_err err = load_value(b, s, amount, &load);

    if (err != REEVE_OK)
        return err;
    rv_list_edit_args_encode(&buf, &(struct rv_list_edit_args){.verb = RV_EDIT_ADD, .at = at});
    return add(b, s, RV_OP_list_edit, &buf, &load, 1);
}

static reeve_err expect_at(reeve_batch *b, const struct rv_sync *s, int64_t at,
                           const reeve_builder *expected)
{
    struct rv_buf buf = {0};
    struct rv_load load;
    reeve_err err = load_value(b, s, expected, &load);

    if (err != REEVE_OK)
        return err;
    rv_list_cas_args_encode(
        &buf, &(struct rv_list_cas_args){.flags = RV_CAS_MUST | RV_CAS_ONLY, .at = at});
    return add(b, s, RV_OP_list_cas, &buf, &load, 1);
}

reeve_err reeve_batch_list_append(reeve_batch *batch, reeve_list *list, const reeve_builder *value)
{
    return put_at(batch, SYNC(list), RV_OP_list_insert, INT64_MAX, value);
}

reeve_err reeve_batch_list_set(reeve_batch *batch, reeve_list *list, int64_t at,
                               const reeve_builder *value)
{
    return put_at(batch, SYNC(list), RV_OP_list_set, at, value);
}

reeve_err reeve_batch_list_pop(reeve_batch *batch, reeve_list *list, int64_t at)
{
    struct rv_buf buf = {0};
    reeve_err err = begin(batch, SYNC(list));

    if (err != REEVE_OK)
        return err;
    rv_list_pop_args_encode(&buf, &(struct rv_list_pop_args){.at = at});
    return add(batch, SYNC(list), RV_OP_list_pop, &buf, NULL, 0);
}

reeve_err reeve_batch_list_add(reeve_batch *batch, reeve_list *list, int64_t at,
                               const reeve_builder *amount)
{
    return add_at(batch, SYNC(list), at, amount);
}

reeve_err reeve_batch_list_expect(reeve_batch *batch, reeve_list *list, int64_t at,
                                  const reeve_builder *expected)
{
    return expect_at(batch, SYNC(list), at, expected);
}

reeve_err reeve_batch_shared_set(reeve_batch *batch, reeve_shared *shared,
                                 const reeve_builder *value)
{
    return put_at(batch, SYNC(shared), RV_OP_list_set, 0, value);
}

reeve_err reeve_batch_shared_add(reeve_batch *batch, reeve_shared *shared,
                                 const reeve_builder *amount)
{
    return add_at(batch, SYNC(shared), 0, amount);
}

reeve_err reeve_batch_shared_expect(reeve_batch *batch, reeve_shared *shared,
                                    const reeve_builder *expected)
{
    return expect_at(batch, SYNC(shared), 0, expected);
}

reeve_err reeve_batch_array_set(reeve_batch *batch, reeve_array *array, int64_t at,
                                const reeve_builder *value)
{
    return put_at(batch, SYNC(array), RV_OP_list_set, at, value);
}

/* ---- sets ---- */

static reeve_err member(reeve_batch *b, const struct rv_sync *s, uint16_t op, struct rv_buf *args,
                        const reeve_builder *value)
{
    struct rv_load load = {0};
    reeve_err err = load_key(b, s, value, &load.bytes);

    if (err != REEVE_OK) {
        rv_buf_free(args);
        return err;
    }
    return add(b, s, op, args, &load, 1);
}

reeve_err reeve_batch_set_add(reeve_batch *batch, reeve_set *set, const reeve_builder *value)
{
    struct rv_buf buf = {0};

    rv_set_add_args_encode(&buf, &(struct rv_set_add_args){0});
    return member(batch, SYNC(set), RV_OP_set_add, &buf, value);
}

reeve_err reeve_batch_set_remove(reeve_batch *batch, reeve_set *set, const reeve_builder *value)
{
    struct rv_buf buf = {0};

    rv_set_discard_args_encode(&buf, &(struct rv_set_discard_args){.strict = 1});
    return member(batch, SYNC(set), RV_OP_set_discard, &buf, value);
}

/* ---- the run ---- */

/* The bytes do not move any more: where each value is. */
static void place_loads(reeve_batch *b)
{
    const uint8_t *at = b->bytes.data;

    for (size_t i = 0; i < b->loads_len; i++) {
        b->loads[i].bytes.data = at;
        b->loads[i].refs.data = at + b->loads[i].bytes.len;
        at += b->loads[i].bytes.len + b->loads[i].refs.len;
    }
}

static reeve_err take_results(reeve_batch *b, struct rv_got *got)
{
    struct rv_batch_result result;
    struct rv_reader r;
    reeve_err err = REEVE_OK;

    if (!rv_batch_result_decode(&result, rv_buf_slice(&got->result)) || result.done != b->count)
        return rv_box_malformed(&b->sync, "run");
    b->results = calloc((size_t)b->count + 1, sizeof(reeve_value *));
    if (b->results == NULL)
        return rv_fail(REEVE_ENOMEM, "cannot run a batch: out of memory");
    r = rv_reader(result.results);
    for (uint32_t i = 0; err == REEVE_OK && i < b->count; i++) {
        struct rv_slice row;
        struct rv_batch_answer answer;

        if (!rv_row_next(&r, &row) || !rv_batch_answer_decode(&answer, row) || answer.values > 1)
            return rv_box_malformed(&b->sync, "run");
        if (answer.values == 1)
            err = rv_got_next(&b->sync, "run", got, &b->results[i], NULL);
    }
    return err;
}

/* The index of the call that failed, which came beside the error. */
static size_t failed_at(const struct rv_got *got, size_t count)
{
    struct rv_batch_result result;

    return rv_batch_result_decode(&result, rv_buf_slice(&got->result)) ? result.done : count;
}

/* Which of its calls it was, and of what: the words of the error have only the batch. */
static reeve_err name_failed(const struct reeve_batch *b, size_t failed, reeve_err err)
{
    const char *label_of = (const char *)b->labels.data;
    char words[sizeof b->why];

    if (failed >= b->count)
        return err;
    for (size_t i = 0; i < failed; i++)
        label_of += strlen(label_of) + 1;
    snprintf(words, sizeof words, "%s", reeve_errmsg());
    return rv_fail(err, "%s (call %zu, of %s)", words, failed, label_of);
}

reeve_err reeve_batch_run(reeve_batch *batch, size_t *failed)
{
    struct rv_buf args = {0};
    struct rv_got got = {0};
    size_t at = 0;
    reeve_err err = REEVE_OK;

    if (failed != NULL)
        *failed = batch == NULL ? 0 : batch->count;
    if (batch == NULL)
        return rv_fail(REEVE_ENOMEM, "cannot run a batch: out of memory");
    if (batch->err != REEVE_OK)
        return rv_fail(batch->err, "cannot run a batch: %s", batch->why);
    if (batch->ran)
        return rv_fail(REEVE_EINVAL, "cannot run a batch: it has run");
    batch->ran = true;
    place_loads(batch);
    rv_batch_args_encode(&args, &(struct rv_batch_args){.count = batch->count,
                                                        .calls = rv_buf_slice(&batch->calls)});
    err =
        rv_box_call(&batch->sync, RV_OP_batch, &args, batch->loads, batch->loads_len, "run", &got);
    if (err == REEVE_OK) {
        err = take_results(batch, &got);
    } else {
        at = failed_at(&got, batch->count);
        err = name_failed(batch, at, err);
        if (failed != NULL)
            *failed = at;
    }
    rv_got_free(&got);
    return err;
}

const reeve_value *reeve_batch_result(const reeve_batch *batch, size_t index)
{
    return batch == NULL || batch->results == NULL || index >= batch->count ? NULL
                                                                            : batch->results[index];
}
