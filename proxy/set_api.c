/* set_api.c -- the public face of set. */

#include "proxy/box_api.h"

#include <reeve/ref.h>
#include <reeve/set.h>

enum { COPY_TRIES = 8 };

struct reeve_set {
    struct rv_sync sync; /* first: as every handle of a container */
};

static const struct rv_box_conf conf = {.kind = RV_KIND_SET, .word = "set"};

/* ---- opening ---- */

reeve_err reeve_set_open(reeve_set **out, reeve_context *ctx, const char *name,
                         const reeve_container_options *options)
{
    return rv_box_open(out, sizeof **out, ctx, name, &conf, options);
}

reeve_err reeve_set_from(reeve_set **out, reeve_context *ctx, reeve_ref ref)
{
    return rv_box_from(out, sizeof **out, ctx, ref, &conf);
}

reeve_ref reeve_set_ref(const reeve_set *set)
{
    return rv_handle_ref(set);
}

void reeve_set_close(reeve_set **set)
{
    rv_handle_close(set);
}

const char *reeve_set_name(const reeve_set *set)
{
    return set->sync.name;
}

/* ---- members ---- */

static reeve_err member(const struct rv_sync *s, const char *verb, const reeve_builder *value,
                        struct rv_slice *out)
{
    reeve_err err = rv_box_bytes(s, verb, "member", value, RV_LIMIT_KEY_BYTES, out);

    return err == REEVE_OK && out->len == 0
               ? rv_fail(REEVE_EINVAL, "cannot %s %s: no value", verb, s->label)
               : err;
}

/* The count that an answer brought. Frees got. */
static reeve_err count_of(const struct rv_sync *s, const char *verb, struct rv_got *got,
                          uint64_t *count)
{
    struct rv_set_add_result result = {0};
    reeve_err err = REEVE_OK;

    if (!rv_set_add_result_decode(&result, rv_buf_slice(&got->result)))
        err = rv_box_malformed(s, verb);
    *count = result.count;
    rv_got_free(got);
    return err;
}

reeve_err reeve_set_add(reeve_set *set, const reeve_builder *value, bool *added)
{
    static const char verb[] = "add to";
    struct rv_load load = {0};
    struct rv_buf buf = {0};
    struct rv_got got;
    uint64_t count = 0;
    reeve_err err = member(&set->sync, verb, value, &load.bytes);

    if (err != REEVE_OK)
        return err;
    rv_set_add_args_encode(&buf, &(struct rv_set_add_args){0});
    err = rv_box_call(&set->sync, RV_OP_set_add, &buf, &load, 1, verb, &got);
    if (err == REEVE_OK)
        err = count_of(&set->sync, verb, &got, &count);
    if (added != NULL)
        *added = count > 0;
    return err;
}

static reeve_err discard(reeve_set *set, const reeve_builder *value, bool strict, bool *there)
{
    static const char verb[] = "remove from";
    struct rv_load load = {0};
    struct rv_buf buf = {0};
    struct rv_got got;
    uint64_t count = 0;
    reeve_err err = member(&set->sync, verb, value, &load.bytes);

    if (err != REEVE_OK)
        return err;
    rv_set_discard_args_encode(&buf, &(struct rv_set_discard_args){.strict = strict});
    err = rv_box_call(&set->sync, RV_OP_set_discard, &buf, &load, 1, verb, &got);
    if (err == REEVE_OK)
        err = count_of(&set->sync, verb, &got, &count);
    if (there != NULL)
        *there = count > 0;
    return err;
}

reeve_err reeve_set_discard(reeve_set *set, const reeve_builder *value, bool *there)
{
    return discard(set, value, false, there);
}

reeve_err reeve_set_remove(reeve_set *set, const reeve_builder *value)
{
    return discard(set, value, true, NULL);
}

reeve_err reeve_set_pop(reeve_set *set, reeve_value **out)
{
    static const char verb[] = "pop from";
    struct rv_set_pop_result result = {0};
    struct rv_buf answer = {0};
    reeve_err err = rv_sync_call(&set->sync, RV_OP_set_pop, &(struct rv_buf){0}, verb, &answer);

    *out = NULL;
    if (err == REEVE_OK && !rv_set_pop_result_decode(&result, rv_buf_slice(&answer)))
        err = rv_box_malformed(&set->sync, verb);
    else if (err == REEVE_OK)
        err = rv_box_parse(&set->sync, verb, result.value, out);
    rv_buf_free(&answer);
    return err;
}

static reeve_err there_of(const struct rv_sync *s, const char *verb, struct rv_buf *answer,
                          bool *out)
{
    struct rv_set_contains_result result = {0};
    reeve_err err = REEVE_OK;

    if (!rv_set_contains_result_decode(&result, rv_buf_slice(answer)))
        err = rv_box_malformed(s, verb);
    *out = result.there != 0;
    rv_buf_free(answer);
    return err;
}

reeve_err reeve_set_contains(reeve_set *set, const reeve_builder *value, bool *there)
{
    static const char verb[] = "look in";
    struct rv_set_contains_args args = {0};
    struct rv_buf buf = {0};
    struct rv_buf answer = {0};
    reeve_err err = member(&set->sync, verb, value, &args.value);

    *there = false;
    if (err != REEVE_OK)
        return err;
    rv_set_contains_args_encode(&buf, &args);
    err = rv_sync_read(&set->sync, RV_OP_set_contains, &buf, verb, &answer);
    return err != REEVE_OK ? err : there_of(&set->sync, verb, &answer, there);
}

reeve_err reeve_set_clear(reeve_set *set)
{
    return rv_sync_call(&set->sync, RV_OP_set_clear, &(struct rv_buf){0}, "clear", NULL);
}

reeve_err reeve_set_len(reeve_set *set, uint64_t *len, uint64_t *bytes)
{
    return rv_box_len(&set->sync, RV_OP_set_len, len, bytes, NULL);
}

reeve_err reeve_set_wait(reeve_set *set, uint64_t *version, uint32_t timeout_ms)
{
    return rv_box_wait(&set->sync, RV_OP_set_wait, rv_slice(NULL, 0), version, timeout_ms);
}

/* ---- against others ---- */

static reeve_err same_context(const reeve_set *set, const reeve_set *other, const char *verb)
{
    return other->sync.ctx == set->sync.ctx
               ? REEVE_OK
               : rv_fail(REEVE_EINVAL, "cannot %s %s: the other set is of another context", verb,
                         set->sync.label);
}

static reeve_err update(reeve_set *set, reeve_combine how, uint64_t other,
                        const struct rv_load *loads, size_t len, size_t *used)
{
    struct rv_buf buf = {0};

    rv_set_update_args_encode(&buf,
                              &(struct rv_set_update_args){.how = (uint8_t)how, .other = other});
    return rv_box_call_some(&set->sync, RV_OP_set_update, &buf, loads, len, used,
                            how == REEVE_UNION || len == 0 ? 1 : len, "update", NULL);
}

reeve_err reeve_set_update(reeve_set *set, reeve_combine how, reeve_set *other)
{
    size_t used = 0;
    reeve_err err = same_context(set, other, "update");

    return err != REEVE_OK ? err : update(set, how, other->sync.object, NULL, 0, &used);
}

reeve_err reeve_set_update_values(reeve_set *set, reeve_combine how, const reeve_builder *values)
{
    struct rv_buf room = {0};
    struct rv_load *loads = NULL;
    size_t len = 0;
    size_t done = 0;
    reeve_err err = rv_box_parts(&set->sync, "update", values, REEVE_ARRAY, &loads, &len, &room);

    do {
        size_t used = 0;

        if (err == REEVE_OK)
            err = update(set, how, 0, loads + done, len - done, &used);
        done += used;
    } while (err == REEVE_OK && done < len);
    free(loads);
    rv_buf_free(&room);
    return err;
}

static reeve_err combine(reeve_set **out, reeve_set *set, reeve_combine how, uint64_t other,
                         const struct rv_load *loads, size_t len)
{
    static const char verb[] = "combine";
    struct rv_set_combine_result made = {0};
    struct rv_buf buf = {0};
    struct rv_got got;
    reeve_err err = REEVE_OK;

    rv_set_combine_args_encode(&buf,
                               &(struct rv_set_combine_args){.how = (uint8_t)how, .other = other});
    err = rv_box_call(&set->sync, RV_OP_set_combine, &buf, loads, len, verb, &got);
    if (err != REEVE_OK)
        return err;
    if (!rv_set_combine_result_decode(&made, rv_buf_slice(&got.result)) || made.object == 0)
        err = rv_box_malformed(&set->sync, verb);
    rv_got_free(&got);
    return err != REEVE_OK ? err
                           : rv_box_adopt(out, sizeof **out, set->sync.ctx, made.object, &conf);
}

reeve_err reeve_set_combine(reeve_set **out, reeve_set *set, reeve_combine how, reeve_set *other)
{
    reeve_err err = same_context(set, other, "combine");

    *out = NULL;
    return err != REEVE_OK ? err : combine(out, set, how, other->sync.object, NULL, 0);
}

reeve_err reeve_set_combine_values(reeve_set **out, reeve_set *set, reeve_combine how,
                                   const reeve_builder *values)
{
    struct rv_buf room = {0};
    struct rv_load *loads = NULL;
    size_t len = 0;
    reeve_err err = rv_box_parts(&set->sync, "combine", values, REEVE_ARRAY, &loads, &len, &room);

    *out = NULL;
    if (err == REEVE_OK)
        err = combine(out, set, how, 0, loads, len);
    free(loads);
    rv_buf_free(&room);
    return err;
}

static reeve_err compare(reeve_set *set, const struct rv_set_compare_args *args, bool *so)
{
    static const char verb[] = "compare";
    struct rv_buf buf = {0};
    struct rv_buf answer = {0};
    reeve_err err = REEVE_OK;

    rv_set_compare_args_encode(&buf, args);
    err = rv_sync_read(&set->sync, RV_OP_set_compare, &buf, verb, &answer);
    return err != REEVE_OK ? err : there_of(&set->sync, verb, &answer, so);
}

reeve_err reeve_set_compare(reeve_set *set, reeve_compare what, reeve_set *other, bool *so)
{
    reeve_err err = same_context(set, other, "compare");

    *so = false;
    return err != REEVE_OK ? err
                           : compare(set,
                                     &(struct rv_set_compare_args){.what = (uint8_t)what,
                                                                   .other = other->sync.object},
                                     so);
}

reeve_err reeve_set_compare_values(reeve_set *set, reeve_compare what, const reeve_builder *values,
                                   bool *so)
{
    struct rv_set_compare_args args = {.what = (uint8_t)what};
    reeve_err err = rv_box_bytes(&set->sync, "compare", "array of values", values,
                                 RV_LIMIT_BATCH_BYTES - RV_LIMIT_KEY_BYTES, &args.values);

    *so = false;
    return err != REEVE_OK ? err : compare(set, &args, so);
}

/* ---- one after the other ---- */

struct reeve_set_iter {
    const struct rv_sync *sync;
    struct rv_got page;
    uint64_t changes;
    bool more;
    struct rv_buf after;
    reeve_value *value;
};

reeve_err reeve_set_iter_open(reeve_set_iter **out, reeve_set *set)
{
    reeve_set_iter *it = calloc(1, sizeof *it);

    *out = it;
    if (it == NULL)
        return rv_fail(REEVE_ENOMEM, "cannot read %s: out of memory", set->sync.label);
    it->sync = &set->sync;
    it->more = true;
    return REEVE_OK;
}

static reeve_err fetch_page(reeve_set_iter *it)
{
    struct rv_set_page_result page = {0};
    struct rv_buf args = {0};
    reeve_err err = REEVE_OK;

    rv_set_page_args_encode(&args, &(struct rv_set_page_args){.changes = it->changes,
                                                              .after = rv_buf_slice(&it->after)});
    rv_got_free(&it->page);
    err = rv_box_read(it->sync, RV_OP_set_page, &args, "read", &it->page);
    if (err == REEVE_OK && (!rv_set_page_result_decode(&page, rv_buf_slice(&it->page.result)) ||
                            (page.more && page.values.count == 0)))
        err = rv_box_malformed(it->sync, "read");
    it->changes = page.changes;
    it->more = page.more != 0;
    return err;
}

reeve_err reeve_set_next(reeve_set_iter *iter, const reeve_value **value)
{
    struct rv_slice bytes;
    reeve_err err = REEVE_OK;

    *value = NULL;
    rv_value_free(&iter->value);
    if (iter->page.count == 0 && iter->more)
        err = fetch_page(iter);
    if (err != REEVE_OK || iter->page.count == 0)
        return err;
    err = rv_got_next(iter->sync, "read", &iter->page, &iter->value, NULL);
    if (err != REEVE_OK)
        return err;
    bytes = rv_value_bytes(iter->value);
    rv_buf_clear(&iter->after);
    rv_buf_add(&iter->after, bytes.data, bytes.len);
    if (iter->after.bad)
        return rv_fail(REEVE_ENOMEM, "cannot read %s: out of memory", iter->sync->label);
    *value = iter->value;
    return REEVE_OK;
}

void reeve_set_iter_close(reeve_set_iter **iter)
{
    reeve_set_iter *it = iter == NULL ? NULL : *iter;

    if (it == NULL)
        return;
    *iter = NULL;
    rv_value_free(&it->value);
    rv_got_free(&it->page);
    rv_buf_free(&it->after);
    free(it);
}

/* ---- all of it ---- */

static reeve_err as_array(reeve_set *set, uint64_t len, reeve_value **out, bool *again)
{
    reeve_builder *b = reeve_builder_new();
    reeve_set_iter *it = NULL;
    const reeve_value *value = NULL;
    struct rv_slice bytes;
    uint64_t count = 0;
    reeve_err err = reeve_set_iter_open(&it, set);

    (void)reeve_put_array(b, (size_t)len);
    for (; err == REEVE_OK && count <= len; count++) {
        err = reeve_set_next(it, &value);
        if (err != REEVE_OK || value == NULL)
            break;
        if (count < len)
            (void)reeve_put_value(b, value);
    }
    reeve_set_iter_close(&it);
    *again = err == REEVE_ECHANGED || (err == REEVE_OK && count != len);
    if (err == REEVE_OK && !*again) {
        err = rv_builder_bytes(b, &bytes);
        if (err == REEVE_OK)
            err = rv_value_parse(out, bytes);
        if (err != REEVE_OK)
            err = rv_fail(err, "cannot copy %s: %s", set->sync.label, reeve_strerror(err));
    }
    rv_builder_free(&b);
    return *again ? REEVE_OK : err;
}

reeve_err reeve_set_copy(reeve_set *set, reeve_value **out)
{
    bool again = true;
    reeve_err err = REEVE_OK;

    *out = NULL;
    for (int i = 0; err == REEVE_OK && again && i < COPY_TRIES; i++) {
        uint64_t len = 0;

        err = reeve_set_len(set, &len, NULL);
        if (err == REEVE_OK)
            err = as_array(set, len, out, &again);
    }
    return err == REEVE_OK && again
               ? rv_fail(REEVE_ECHANGED, "cannot copy %s: members came and went", set->sync.label)
               : err;
}
