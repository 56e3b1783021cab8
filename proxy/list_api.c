/* list_api.c -- the public faces of list, Value and Array. */

#include "proxy/box_api.h"

#include "common/value/path.h"

#include <reeve/list.h>
#include <reeve/ref.h>
#include <reeve/shared.h>

enum { COPY_TRIES = 8, PATH_BYTES = 65536 };

struct reeve_list {
    struct rv_sync sync; /* first: as every handle of a container */
};
struct reeve_shared {
    struct rv_sync sync;
};
struct reeve_array {
    struct rv_sync sync;
};

/* ---- opening ---- */

static const struct rv_box_conf list_conf = {.kind = RV_KIND_LIST, .word = "list"};

reeve_err reeve_list_open(reeve_list **out, reeve_context *ctx, const char *name,
                          const reeve_container_options *options)
{
    return rv_box_open(out, sizeof **out, ctx, name, &list_conf, options);
}

reeve_err reeve_list_from(reeve_list **out, reeve_context *ctx, reeve_ref ref)
{
    return rv_box_from(out, sizeof **out, ctx, ref, &list_conf);
}

reeve_ref reeve_list_ref(const reeve_list *list)
{
    return rv_handle_ref(list);
}

void reeve_list_close(reeve_list **list)
{
    rv_handle_close(list);
}

const char *reeve_list_name(const reeve_list *list)
{
    return list->sync.name;
}

static struct rv_box_conf shared_conf(char typecode)
{
    return (struct rv_box_conf){
        .kind = RV_KIND_VALUE, .word = "value", .typecode = (uint8_t)typecode};
}

reeve_err reeve_shared_open(reeve_shared **out, reeve_context *ctx, const char *name, char typecode,
                            const reeve_container_options *options)
{
    struct rv_box_conf conf = shared_conf(typecode);

    return rv_box_open(out, sizeof **out, ctx, name, &conf, options);
}

reeve_err reeve_shared_from(reeve_shared **out, reeve_context *ctx, reeve_ref ref)
{
    struct rv_box_conf conf = shared_conf(0);

    return rv_box_from(out, sizeof **out, ctx, ref, &conf);
}

reeve_ref reeve_shared_ref(const reeve_shared *shared)
{
    return rv_handle_ref(shared);
}

void reeve_shared_close(reeve_shared **shared)
{
    rv_handle_close(shared);
}

const char *reeve_shared_name(const reeve_shared *shared)
{
    return shared->sync.name;
}

static struct rv_box_conf array_conf(char typecode, uint32_t length)
{
    return (struct rv_box_conf){
        .kind = RV_KIND_ARRAY, .word = "array", .typecode = (uint8_t)typecode, .number = length};
}

reeve_err reeve_array_open(reeve_array **out, reeve_context *ctx, const char *name, char typecode,
                           uint32_t length, const reeve_container_options *options)
{
    struct rv_box_conf conf = array_conf(typecode, length);

    return rv_box_open(out, sizeof **out, ctx, name, &conf, options);
}

reeve_err reeve_array_from(reeve_array **out, reeve_context *ctx, reeve_ref ref)
{
    struct rv_box_conf conf = array_conf(0, 0);

    return rv_box_from(out, sizeof **out, ctx, ref, &conf);
}

reeve_ref reeve_array_ref(const reeve_array *array)
{
    return rv_handle_ref(array);
}

void reeve_array_close(reeve_array **array)
{
    rv_handle_close(array);
}

const char *reeve_array_name(const reeve_array *array)
{
    return array->sync.name;
}

uint32_t reeve_array_len(const reeve_array *array)
{
    return array->sync.number;
}

/* ---- calls that all three have ---- */

static reeve_err get_place(const struct rv_sync *s, int64_t at, const reeve_builder *path,
                           reeve_value **out, uint64_t *version)
{
    static const char verb[] = "get from";
    struct rv_list_get_args args = {.at = at};
    struct rv_buf buf = {0};
    reeve_err err = rv_box_bytes(s, verb, "path", path, PATH_BYTES, &args.path);

    *out = NULL;
    if (err != REEVE_OK)
        return err;
    rv_list_get_args_encode(&buf, &args);
    return rv_box_get(s, RV_OP_list_get, RV_OP_list_fetch, &buf, verb, out, version);
}

static reeve_err set_load(const struct rv_sync *s, int64_t at, const struct rv_load *load)
{
    struct rv_buf buf = {0};

    rv_list_set_args_encode(&buf, &(struct rv_list_set_args){.at = at});
    return rv_box_call(s, RV_OP_list_set, &buf, load, 1, "set", NULL);
}

static reeve_err set_value(const struct rv_sync *s, int64_t at, const reeve_builder *value)
{
    struct rv_load load;
    reeve_err err = rv_box_load(s, "set", "value", value, &load);

    return err != REEVE_OK ? err : set_load(s, at, &load);
}

/* operand NULL: there is none. */
static reeve_err edit_load(const struct rv_sync *s, uint8_t edit_verb, int64_t at,
                           struct rv_slice path, const struct rv_load *operand, reeve_value **sum)
{
    static const char verb[] = "change";
    struct rv_buf buf = {0};
    struct rv_got got;
    reeve_err err = REEVE_OK;

    if (sum != NULL)
        *sum = NULL;
    rv_list_edit_args_encode(
        &buf, &(struct rv_list_edit_args){.verb = edit_verb, .at = at, .path = path});
    err = rv_box_call(s, RV_OP_list_edit, &buf, operand, operand != NULL, verb, &got);
    if (err != REEVE_OK)
        return err;
    if (sum != NULL)
        err = rv_got_next(s, verb, &got, sum, NULL);
    rv_got_free(&got);
    return err;
}

static reeve_err edit(const struct rv_sync *s, uint8_t edit_verb, int64_t at,
                      const reeve_builder *path, const reeve_builder *value, reeve_value **sum)
{
    static const char verb[] = "change";
    struct rv_slice path_bytes;
    struct rv_load load;
    reeve_err err = rv_box_bytes(s, verb, "path", path, PATH_BYTES, &path_bytes);

    if (sum != NULL)
        *sum = NULL;
    if (err == REEVE_OK && edit_verb != RV_EDIT_DELETE)
        err = rv_box_load(s, verb, "value", value, &load);
    return err != REEVE_OK ? err
                           : edit_load(s, edit_verb, at, path_bytes,
                                       edit_verb == RV_EDIT_DELETE ? NULL : &load, sum);
}

static reeve_err cas(const struct rv_sync *s, int64_t at, const reeve_builder *expected,
                     const reeve_builder *value, bool *done, reeve_value **now)
{
    static const char verb[] = "compare and set";
    struct rv_list_cas_result result = {0};
    struct rv_load loads[2];
    struct rv_buf buf = {0};
    struct rv_got got;
    reeve_err err = rv_box_load(s, verb, "expected value", expected, &loads[0]);

    *done = false;
    if (now != NULL)
        *now = NULL;
    if (err == REEVE_OK)
        err = rv_box_load(s, verb, "value", value, &loads[1]);
    if (err != REEVE_OK)
        return err;
    rv_list_cas_args_encode(&buf, &(struct rv_list_cas_args){.at = at});
    err = rv_box_call(s, RV_OP_list_cas, &buf, loads, 2, verb, &got);
    if (err != REEVE_OK)
        return err;
    if (!rv_list_cas_result_decode(&result, rv_buf_slice(&got.result)))
        err = rv_box_malformed(s, verb);
    *done = err == REEVE_OK && result.done != 0;
    if (err == REEVE_OK && now != NULL && got.count > 0)
        err = rv_got_next(s, verb, &got, now, NULL);
    rv_got_free(&got);
    return err;
}

/* Python's start:stop:step on the wire. */
struct bounds {
    uint8_t given;
    int64_t start, stop, step;
};

static struct bounds bounds_of(reeve_slice slice)
{
    return (struct bounds){
        .given = (uint8_t)((slice.start != REEVE_UNSET ? RV_BOUND_START : 0) |
                           (slice.stop != REEVE_UNSET ? RV_BOUND_STOP : 0) |
                           (slice.step != REEVE_UNSET ? RV_BOUND_STEP : 0)),
        .start = slice.start,
        .stop = slice.stop,
        .step = slice.step,
    };
}

static reeve_err read_page(const struct rv_sync *s, const struct bounds *b, uint64_t skip,
                           struct rv_got *got, struct rv_list_page_result *page)
{
    struct rv_buf buf = {0};
    reeve_err err = REEVE_OK;

    rv_list_page_args_encode(
        &buf,
        &(struct rv_list_page_args){
            .bounds = b->given, .start = b->start, .stop = b->stop, .step = b->step, .skip = skip});
    err = rv_box_read(s, RV_OP_list_page, &buf, "read", got);
    if (err == REEVE_OK && (!rv_list_page_result_decode(page, rv_buf_slice(&got->result)) ||
                            (page->left > 0 && page->values.count == 0))) {
        rv_got_free(got);
        err = rv_box_malformed(s, "read");
    }
    return err;
}

/* Where value `i` of the slice is in a list of that length: as Python's slice.indices. */
static int64_t place_in(const struct bounds *b, uint64_t len, uint64_t i)
{
    int64_t step = b->given & RV_BOUND_STEP ? b->step : 1;
    int64_t n = (int64_t)len;
    int64_t lowest = step < 0 ? -1 : 0;
    int64_t highest = step < 0 ? n - 1 : n;
    int64_t start = step < 0 ? highest : lowest;

    if (b->given & RV_BOUND_START) {
        start = b->start < 0 ? (b->start < -n ? lowest : b->start + n) : b->start;
        start = start < lowest ? lowest : start > highest ? highest : start;
    }
    return start + (int64_t)i * step;
}

/* All values of a slice behind their number. *again: it changed on the way. */
static reeve_err add_slice(const struct rv_sync *s, const struct bounds *b, reeve_builder *to,
                           bool *again)
{
    struct rv_list_page_result page = {.left = 1};
    uint64_t version = 0;
    uint64_t skip = 0;
    uint64_t len = 0;
    reeve_err err = rv_box_len(s, RV_OP_list_len, &len, NULL, &version);

    *again = false;
    while (err == REEVE_OK && !*again && page.left > 0) {
        struct rv_got got;

        err = read_page(s, b, skip, &got, &page);
        if (err != REEVE_OK)
            break;
        *again = page.version != version;
        if (skip == 0)
            (void)reeve_put_array(to, (size_t)(page.values.count + page.left));
        while (err == REEVE_OK && !*again && got.count > 0) {
            reeve_value *v = NULL;
            bool empty = false;

            err = rv_got_next(s, "read", &got, &v, &empty);
            if (err == REEVE_OK && empty)
                err = get_place(s, place_in(b, len, skip), NULL, &v, &version);
            *again = err == REEVE_EINDEX || version != page.version;
            if (err == REEVE_OK)
                err = reeve_put_value(to, v);
            rv_value_free(&v);
            skip++;
        }
        rv_got_free(&got);
    }
    return *again ? REEVE_OK : err;
}

static reeve_err copy_slice(const struct rv_sync *s, reeve_slice slice, reeve_value **out)
{
    struct bounds b = bounds_of(slice);
    reeve_builder *to = reeve_builder_new();
    bool again = true;
    reeve_err err = to == NULL ? REEVE_ENOMEM : REEVE_OK;

    *out = NULL;
    for (int i = 0; err == REEVE_OK && again && i < COPY_TRIES; i++) {
        rv_builder_reset(to);
        err = add_slice(s, &b, to, &again);
    }
    if (err == REEVE_OK && again)
        err = rv_fail(REEVE_ECHANGED, "cannot copy %s: it changed all the time", s->label);
    else if (err == REEVE_OK) {
        struct rv_slice bytes;
        struct rv_slice refs;
        uint32_t store = 0;

        err = rv_builder_item(to, &bytes, &refs, &store);
        if (err == REEVE_OK && refs.len > 0)
            err = rv_fail(REEVE_ETYPE,
                          "cannot copy %s: a value has references; read them one by one", s->label);
        else if (err == REEVE_OK)
            err = rv_value_parse(out, bytes);
        if (err == REEVE_ENOMEM)
            err = rv_fail(err, "cannot copy %s: out of memory", s->label);
    } else if (err == REEVE_ENOMEM) {
        err = rv_fail(err, "cannot copy %s: out of memory", s->label);
    }
    rv_builder_free(&to);
    return err;
}

/* values NULL: the slice is deleted. */
static reeve_err set_slice(const struct rv_sync *s, reeve_slice slice, const reeve_builder *values)
{
    static const char verb[] = "set a slice of";
    struct bounds b = bounds_of(slice);
    struct rv_buf room = {0};
    struct rv_buf buf = {0};
    struct rv_load *loads = NULL;
    size_t len = 0;
    reeve_err err = REEVE_OK;

    if (values != NULL)
        err = rv_box_parts(s, verb, values, REEVE_ARRAY, &loads, &len, &room);
    if (err == REEVE_OK) {
        rv_list_splice_args_encode(
            &buf, &(struct rv_list_splice_args){
                      .bounds = b.given, .start = b.start, .stop = b.stop, .step = b.step});
        err = rv_box_call(s, RV_OP_list_splice, &buf, loads, len, verb, NULL);
    }
    free(loads);
    rv_buf_free(&room);
    return err;
}

/* ---- list ---- */

static reeve_err insert(reeve_list *list, int64_t at, const struct rv_load *loads, size_t len,
                        const char *verb, size_t *used)
{
    struct rv_buf buf = {0};

    rv_list_insert_args_encode(&buf, &(struct rv_list_insert_args){.at = at});
    return rv_box_call_some(&list->sync, RV_OP_list_insert, &buf, loads, len, used, 1, verb, NULL);
}

reeve_err reeve_list_insert(reeve_list *list, int64_t at, const reeve_builder *value)
{
    struct rv_load load;
    size_t used = 0;
    reeve_err err = rv_box_load(&list->sync, "insert into", "value", value, &load);

    return err != REEVE_OK ? err : insert(list, at, &load, 1, "insert into", &used);
}

reeve_err reeve_list_append(reeve_list *list, const reeve_builder *value)
{
    return reeve_list_insert(list, INT64_MAX, value);
}

reeve_err reeve_list_extend(reeve_list *list, const reeve_builder *values)
{
    static const char verb[] = "extend";
    struct rv_buf room = {0};
    struct rv_load *loads = NULL;
    size_t len = 0;
    size_t done = 0;
    reeve_err err = rv_box_parts(&list->sync, verb, values, REEVE_ARRAY, &loads, &len, &room);

    while (err == REEVE_OK && done < len) {
        size_t used = 0;

        err = insert(list, INT64_MAX, loads + done, len - done, verb, &used);
        done += used;
    }
    free(loads);
    rv_buf_free(&room);
    return err;
}

reeve_err reeve_list_get(reeve_list *list, int64_t at, reeve_value **out)
{
    return get_place(&list->sync, at, NULL, out, NULL);
}

reeve_err reeve_list_set(reeve_list *list, int64_t at, const reeve_builder *value)
{
    return set_value(&list->sync, at, value);
}

reeve_err reeve_list_del(reeve_list *list, int64_t at)
{
    struct rv_buf buf = {0};

    rv_list_del_args_encode(&buf, &(struct rv_list_del_args){.at = at});
    return rv_sync_call(&list->sync, RV_OP_list_del, &buf, "delete from", NULL);
}

reeve_err reeve_list_pop(reeve_list *list, int64_t at, reeve_value **out)
{
    static const char verb[] = "pop from";
    struct rv_buf buf = {0};
    struct rv_got got;
    reeve_err err = REEVE_OK;

    *out = NULL;
    rv_list_pop_args_encode(&buf, &(struct rv_list_pop_args){.at = at});
    err = rv_box_call(&list->sync, RV_OP_list_pop, &buf, NULL, 0, verb, &got);
    if (err != REEVE_OK)
        return err;
    err = rv_got_next(&list->sync, verb, &got, out, NULL);
    rv_got_free(&got);
    return err;
}

/* What a question asks for, which is in its message: at most so large. */
static reeve_err operand(const struct rv_sync *s, const char *verb, const reeve_builder *value,
                         struct rv_slice *out)
{
    reeve_err err =
        rv_box_bytes(s, verb, "value", value, RV_LIMIT_BATCH_BYTES - RV_LIMIT_KEY_BYTES, out);

    return err == REEVE_OK && out->len == 0
               ? rv_fail(REEVE_EINVAL, "cannot %s %s: no value", verb, s->label)
               : err;
}

reeve_err reeve_list_remove(reeve_list *list, const reeve_builder *value)
{
    struct rv_list_remove_args args = {0};
    struct rv_buf buf = {0};
    reeve_err err = operand(&list->sync, "remove from", value, &args.value);

    if (err != REEVE_OK)
        return err;
    rv_list_remove_args_encode(&buf, &args);
    return rv_sync_call(&list->sync, RV_OP_list_remove, &buf, "remove from", NULL);
}

static reeve_err find(reeve_list *list, uint8_t what, const reeve_builder *value, int64_t start,
                      int64_t stop, uint64_t *out)
{
    static const char verb[] = "look in";
    struct rv_list_find_args args = {.what = what,
                                     .start = start == REEVE_UNSET ? 0 : start,
                                     .stop = stop == REEVE_UNSET ? INT64_MAX : stop};
    struct rv_list_find_result result = {0};
    struct rv_buf buf = {0};
    struct rv_buf answer = {0};
    reeve_err err = operand(&list->sync, verb, value, &args.value);

    *out = 0;
    if (err != REEVE_OK)
        return err;
    rv_list_find_args_encode(&buf, &args);
    err = rv_sync_read(&list->sync, RV_OP_list_find, &buf, verb, &answer);
    if (err == REEVE_OK && !rv_list_find_result_decode(&result, rv_buf_slice(&answer)))
        err = rv_box_malformed(&list->sync, verb);
    rv_buf_free(&answer);
    *out = result.count;
    return err;
}

reeve_err reeve_list_index(reeve_list *list, const reeve_builder *value, int64_t start,
                           int64_t stop, uint64_t *index)
{
    return find(list, RV_FIND_INDEX, value, start, stop, index);
}

reeve_err reeve_list_count(reeve_list *list, const reeve_builder *value, uint64_t *count)
{
    return find(list, RV_FIND_COUNT, value, REEVE_UNSET, REEVE_UNSET, count);
}

reeve_err reeve_list_reverse(reeve_list *list)
{
    return rv_sync_call(&list->sync, RV_OP_list_reverse, &(struct rv_buf){0}, "reverse", NULL);
}

reeve_err reeve_list_sort(reeve_list *list, bool reverse)
{
    struct rv_buf buf = {0};

    rv_list_sort_args_encode(&buf, &(struct rv_list_sort_args){.reverse = reverse});
    return rv_sync_call(&list->sync, RV_OP_list_sort, &buf, "sort", NULL);
}

reeve_err reeve_list_repeat(reeve_list *list, int64_t times)
{
    struct rv_buf buf = {0};

    rv_list_repeat_args_encode(&buf, &(struct rv_list_repeat_args){.times = times});
    return rv_sync_call(&list->sync, RV_OP_list_repeat, &buf, "repeat", NULL);
}

reeve_err reeve_list_clear(reeve_list *list)
{
    return rv_sync_call(&list->sync, RV_OP_list_clear, &(struct rv_buf){0}, "clear", NULL);
}

reeve_err reeve_list_len(reeve_list *list, uint64_t *len, uint64_t *bytes)
{
    return rv_box_len(&list->sync, RV_OP_list_len, len, bytes, NULL);
}

reeve_err reeve_list_slice(reeve_list *list, reeve_slice slice, reeve_value **out)
{
    return copy_slice(&list->sync, slice, out);
}

reeve_err reeve_list_set_slice(reeve_list *list, reeve_slice slice, const reeve_builder *values)
{
    if (values == NULL)
        return rv_fail(REEVE_EINVAL, "cannot set a slice of %s: no values", list->sync.label);
    return set_slice(&list->sync, slice, values);
}

reeve_err reeve_list_del_slice(reeve_list *list, reeve_slice slice)
{
    return set_slice(&list->sync, slice, NULL);
}

reeve_err reeve_list_add(reeve_list *list, int64_t at, const reeve_builder *amount,
                         reeve_value **sum)
{
    return edit(&list->sync, RV_EDIT_ADD, at, NULL, amount, sum);
}

reeve_err reeve_list_cas(reeve_list *list, int64_t at, const reeve_builder *expected,
                         const reeve_builder *value, bool *done, reeve_value **now)
{
    return cas(&list->sync, at, expected, value, done, now);
}

reeve_err reeve_list_wait(reeve_list *list, uint64_t *version, uint32_t timeout_ms)
{
    return rv_box_wait(&list->sync, RV_OP_list_wait, rv_slice(NULL, 0), version, timeout_ms);
}

reeve_err reeve_list_get_at(reeve_list *list, int64_t at, const reeve_builder *path,
                            reeve_value **out)
{
    return get_place(&list->sync, at, path, out, NULL);
}

reeve_err reeve_list_set_at(reeve_list *list, int64_t at, const reeve_builder *path,
                            const reeve_builder *value)
{
    return edit(&list->sync, RV_EDIT_SET, at, path, value, NULL);
}

reeve_err reeve_list_append_at(reeve_list *list, int64_t at, const reeve_builder *path,
                               const reeve_builder *value)
{
    return edit(&list->sync, RV_EDIT_APPEND, at, path, value, NULL);
}

reeve_err reeve_list_del_at(reeve_list *list, int64_t at, const reeve_builder *path)
{
    return edit(&list->sync, RV_EDIT_DELETE, at, path, NULL, NULL);
}

reeve_err reeve_list_add_at(reeve_list *list, int64_t at, const reeve_builder *path,
                            const reeve_builder *amount, reeve_value **sum)
{
    return edit(&list->sync, RV_EDIT_ADD, at, path, amount, sum);
}

/* ---- one after the other ---- */

struct reeve_list_iter {
    const struct rv_sync *sync;
    struct rv_got page;
    bool reversed, begun, ended;
    int64_t at; /* of the next value */
    reeve_value *value;
};

reeve_err reeve_list_iter_open(reeve_list_iter **out, reeve_list *list, bool reversed)
{
    reeve_list_iter *it = calloc(1, sizeof *it);

    *out = it;
    if (it == NULL)
        return rv_fail(REEVE_ENOMEM, "cannot read %s: out of memory", list->sync.label);
    it->sync = &list->sync;
    it->reversed = reversed;
    return REEVE_OK;
}

static reeve_err next_page(reeve_list_iter *it)
{
    struct rv_list_page_result page;
    struct bounds b = {.given = RV_BOUND_START, .start = it->at, .step = 1};
    reeve_err err = REEVE_OK;

    if (it->reversed && !it->begun) { /* it begins at what is the last one now */
        uint64_t len = 0;

        err = rv_box_len(it->sync, RV_OP_list_len, &len, NULL, NULL);
        it->at = (int64_t)len - 1;
    }
    it->begun = true;
    if (err != REEVE_OK)
        return err;
    it->ended = it->at < 0;
    if (it->ended)
        return REEVE_OK;
    if (it->reversed)
        b = (struct bounds){.given = RV_BOUND_START | RV_BOUND_STEP, .start = it->at, .step = -1};
    rv_got_free(&it->page);
    err = read_page(it->sync, &b, 0, &it->page, &page);
    it->ended = err == REEVE_OK && page.values.count == 0;
    return err;
}

/* One that did not fit the page; the list may have become shorter by now. */
static reeve_err fetch_value(reeve_list_iter *it)
{
    reeve_err err = get_place(it->sync, it->at, NULL, &it->value, NULL);

    it->ended = err == REEVE_EINDEX;
    return it->ended ? REEVE_OK : err;
}

reeve_err reeve_list_next(reeve_list_iter *iter, const reeve_value **value)
{
    bool empty = false;
    reeve_err err = REEVE_OK;

    *value = NULL;
    rv_value_free(&iter->value);
    if (iter->page.count == 0 && !iter->ended)
        err = next_page(iter);
    if (err != REEVE_OK || iter->ended)
        return err;
    err = rv_got_next(iter->sync, "read", &iter->page, &iter->value, &empty);
    if (err == REEVE_OK && empty)
        err = fetch_value(iter);
    iter->at += iter->reversed ? -1 : 1;
    if (err == REEVE_OK)
        *value = iter->value;
    return err;
}

void reeve_list_iter_close(reeve_list_iter **iter)
{
    reeve_list_iter *it = iter == NULL ? NULL : *iter;

    if (it == NULL)
        return;
    *iter = NULL;
    rv_value_free(&it->value);
    rv_got_free(&it->page);
    free(it);
}

/* ---- Value ---- */

reeve_err reeve_shared_get(reeve_shared *shared, reeve_value **out, uint64_t *version)
{
    return get_place(&shared->sync, 0, NULL, out, version);
}

reeve_err reeve_shared_set(reeve_shared *shared, const reeve_builder *value)
{
    return set_value(&shared->sync, 0, value);
}

reeve_err reeve_shared_get_int(reeve_shared *shared, int64_t *out)
{
    reeve_value *v = NULL;
    reeve_err err = reeve_shared_get(shared, &v, NULL);

    *out = 0;
    return err != REEVE_OK ? err : rv_box_as_int(&shared->sync, "get from", &v, out);
}

reeve_err reeve_shared_set_int(reeve_shared *shared, int64_t x)
{
    uint8_t room[RV_VALUE_NUMBER_MAX];
    struct rv_load load = rv_box_int(x, room);

    return set_load(&shared->sync, 0, &load);
}

reeve_err reeve_shared_add(reeve_shared *shared, const reeve_builder *amount, reeve_value **sum)
{
    return edit(&shared->sync, RV_EDIT_ADD, 0, NULL, amount, sum);
}

reeve_err reeve_shared_add_int(reeve_shared *shared, int64_t amount, int64_t *sum)
{
    uint8_t room[RV_VALUE_NUMBER_MAX];
    struct rv_load load = rv_box_int(amount, room);
    reeve_value *v = NULL;
    int64_t ignored = 0;
    reeve_err err = edit_load(&shared->sync, RV_EDIT_ADD, 0, rv_slice(NULL, 0), &load, &v);

    return err != REEVE_OK
               ? err
               : rv_box_as_int(&shared->sync, "add to", &v, sum == NULL ? &ignored : sum);
}

reeve_err reeve_shared_cas(reeve_shared *shared, const reeve_builder *expected,
                           const reeve_builder *value, bool *done, reeve_value **now)
{
    return cas(&shared->sync, 0, expected, value, done, now);
}

reeve_err reeve_shared_wait(reeve_shared *shared, uint64_t *version, uint32_t timeout_ms)
{
    return rv_box_wait(&shared->sync, RV_OP_list_wait, rv_slice(NULL, 0), version, timeout_ms);
}

/* ---- Array ---- */

reeve_err reeve_array_get(reeve_array *array, int64_t at, reeve_value **out)
{
    return get_place(&array->sync, at, NULL, out, NULL);
}

reeve_err reeve_array_set(reeve_array *array, int64_t at, const reeve_builder *value)
{
    return set_value(&array->sync, at, value);
}

reeve_err reeve_array_slice(reeve_array *array, reeve_slice slice, reeve_value **out)
{
    return copy_slice(&array->sync, slice, out);
}

reeve_err reeve_array_set_slice(reeve_array *array, reeve_slice slice, const reeve_builder *values)
{
    if (values == NULL)
        return rv_fail(REEVE_EINVAL, "cannot set a slice of %s: no values", array->sync.label);
    return set_slice(&array->sync, slice, values);
}

reeve_err reeve_array_add(reeve_array *array, int64_t at, const reeve_builder *amount,
                          reeve_value **sum)
{
    return edit(&array->sync, RV_EDIT_ADD, at, NULL, amount, sum);
}

reeve_err reeve_array_cas(reeve_array *array, int64_t at, const reeve_builder *expected,
                          const reeve_builder *value, bool *done, reeve_value **now)
{
    return cas(&array->sync, at, expected, value, done, now);
}

reeve_err reeve_array_wait(reeve_array *array, uint64_t *version, uint32_t timeout_ms)
{
    return rv_box_wait(&array->sync, RV_OP_list_wait, rv_slice(NULL, 0), version, timeout_ms);
}
