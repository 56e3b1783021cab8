/* box_model.c -- containers as Python has them, without any haste. */

#include "tests/lib/box_model.h"
#include "common/value/value.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { REF_BYTES = 3 + RV_VALUE_REF_BYTES };

/* ---- values as bytes ---- */

/* An array of the bytes, and what they refer to. */
static void encode_referring(struct rv_buf *b, struct model_val v)
{
    uint8_t array = (uint8_t)(0x92 + v.again);
    uint8_t ref[REF_BYTES] = {0xc7, RV_VALUE_REF_BYTES, RV_VALUE_REF_TYPE};

    rv_value_ref_write(ref + 3, (reeve_ref){.kind = RV_KIND_QUEUE, .object = v.refers});
    v.refers = 0;
    rv_buf_add(b, &array, 1);
    model_encode(b, v);
    for (int i = 0; i <= v.again; i++)
        rv_buf_add(b, ref, sizeof ref);
    rv_assert(!b->bad);
}

void model_encode(struct rv_buf *b, struct model_val v)
{
    uint8_t head[9] = {0};
    uint64_t u = (uint64_t)v.n;
    size_t len = 0;

    if (v.refers != 0) {
        encode_referring(b, v);
        return;
    }
    if (v.form == MODEL_REAL) {
        double x = (double)v.n;

        memcpy(&u, &x, 8);
        head[0] = 0xcb;
        len = 8;
    } else if (v.form == MODEL_BYTES) {
        u = v.len;
        len = v.len < 256 ? 1 : v.len < 65536 ? 2 : 4;
        head[0] = len == 1 ? 0xc4 : len == 2 ? 0xc5 : 0xc6;
    } else if (v.n >= -32 && v.n < 128) {
        head[0] = (uint8_t)v.n;
    } else if (v.n >= 0) {
        len = u < 256 ? 1 : u < 65536 ? 2 : u <= UINT32_MAX ? 4 : 8;
        head[0] = len == 1 ? 0xcc : len == 2 ? 0xcd : len == 4 ? 0xce : 0xcf;
    } else {
        len = v.n >= INT8_MIN ? 1 : v.n >= INT16_MIN ? 2 : v.n >= INT32_MIN ? 4 : 8;
        head[0] = len == 1 ? 0xd0 : len == 2 ? 0xd1 : len == 4 ? 0xd2 : 0xd3;
    }
    for (size_t i = 0; i < len; i++)
        head[1 + i] = (uint8_t)(u >> 8 * (len - 1 - i));
    rv_buf_add(b, head, 1 + len);
    for (uint32_t i = 0; i < v.len && v.form == MODEL_BYTES; i++) {
        uint8_t byte = (uint8_t)(v.n + i * 31);

        rv_buf_add(b, &byte, 1);
    }
    rv_assert(!b->bad);
}

size_t model_encoded(struct model_val v)
{
    struct rv_buf b = {0};
    size_t len = 0;

    if (v.form == MODEL_BYTES && v.refers == 0)
        return v.len + (v.len < 256 ? 2u : v.len < 65536 ? 3u : 5u);
    model_encode(&b, v);
    len = b.len;
    rv_buf_free(&b);
    return len;
}

/* What no call of ours has ever put somewhere is a text of its own: NONE with a length. */
struct model_val model_decode(struct rv_slice bytes)
{
    const uint8_t *d = bytes.data;
    struct model_val v = {.form = MODEL_NONE, .len = (uint32_t)bytes.len};
    struct rv_buf again = {0};
    uint64_t u = 0;

    if (bytes.len == 0)
        return v;
    if (d[0] >= 0x92 && d[0] < 0xa0 && bytes.len > 1u + (d[0] - 0x91u) * REF_BYTES) {
        size_t len = bytes.len - 1 - (d[0] - 0x91u) * REF_BYTES;

        v = model_decode(rv_slice(d + 1, len));
        v.refers = rv_get_number(d + 1 + len + 3 + 1, 8);
        v.again = (uint8_t)(d[0] - 0x92);
        return v;
    }
    for (size_t i = 1; i < bytes.len && i < 9; i++)
        u = u << 8 | d[i];
    if (d[0] < 0x80 || d[0] >= 0xe0) {
        v = model_int((int8_t)d[0]);
    } else if (d[0] >= 0xcc && d[0] <= 0xcf) {
        v = model_int((int64_t)u);
    } else if (d[0] >= 0xd0 && d[0] <= 0xd3) {
        unsigned shift = 64 - 8u * (1u << (d[0] - 0xd0));

        v = model_int((int64_t)(u << shift) >> shift);
    } else if (d[0] == 0xcb) {
        double x = 0;

        memcpy(&x, &u, 8);
        v = (struct model_val){.form = MODEL_REAL, .n = (int64_t)x};
    } else if (d[0] >= 0xc4 && d[0] <= 0xc6) {
        size_t head = 1 + ((size_t)1 << (d[0] - 0xc4));

        if (bytes.len < head)
            return v;
        v = (struct model_val){.form = MODEL_BYTES,
                               .len = (uint32_t)(bytes.len - head),
                               .n = bytes.len > head ? d[head] : 0};
    }
    model_encode(&again, v);
    if (!rv_slice_equal(rv_buf_slice(&again), bytes))
        v = (struct model_val){.form = MODEL_NONE, .len = (uint32_t)bytes.len};
    rv_buf_free(&again);
    return v;
}

static bool equal(struct model_val a, struct model_val b)
{
    if ((a.form == MODEL_BYTES) != (b.form == MODEL_BYTES))
        return false;
    if (a.form == MODEL_BYTES)
        return a.len == b.len && a.refers == b.refers && (a.refers == 0 || a.again == b.again) &&
               (a.len == 0 || (uint8_t)a.n == (uint8_t)b.n);
    return a.n == b.n;
}

/* ---- answers ---- */

void model_answer_add(struct model_answer *a, struct model_val v)
{
    if (a->len == a->cap) {
        a->cap = a->cap == 0 ? 8 : a->cap * 2;
        a->values = rv_realloc(a->values, a->cap * sizeof *a->values);
    }
    a->values[a->len++] = v;
}

void model_answer_free(struct model_answer *a)
{
    free(a->values);
    *a = (struct model_answer){0};
}

static void add(struct rv_buf *b, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void add(struct rv_buf *b, const char *format, ...)
{
    char text[128];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    rv_buf_add(b, text, strlen(text));
}

static void add_val(struct rv_buf *b, struct model_val v)
{
    if (v.form == MODEL_NONE)
        add(b, v.len == 0 ? "-" : "?%u", v.len);
    else if (v.form == MODEL_BYTES)
        add(b, "%u*%u", (unsigned)(uint8_t)v.n, v.len);
    else
        add(b, v.form == MODEL_REAL ? "%lld.0" : "%lld", (long long)v.n);
    if (v.refers != 0)
        add(b, v.again == 0 ? "->%llu" : "->%llu*%d", (unsigned long long)v.refers, 1 + v.again);
}

void model_answer_text(struct rv_buf *b, const struct model_answer *a)
{
    if (a->has_n)
        add(b, " n=%llu", (unsigned long long)a->n);
    if (a->has_version)
        add(b, " version=%llu", (unsigned long long)a->version);
    if (a->has_key) {
        add(b, " key=");
        add_val(b, a->key);
    }
    for (size_t i = 0; i < a->len; i++) {
        add(b, i == 0 ? " values=" : ",");
        add_val(b, a->values[i]);
    }
}

static void say_n(struct model_answer *a, uint64_t n)
{
    a->has_n = true;
    a->n = n;
}

static void say_version(struct model_answer *a, uint64_t version)
{
    a->has_version = true;
    a->version = version;
}

/* A question brings no large value, and none that refers. */
static void say_read(struct model_answer *a, struct model_val v)
{
    if (v.refers != 0 || model_encoded(v) > RV_LIMIT_ITEM_INLINE_BYTES)
        v = (struct model_val){.form = MODEL_NONE};
    model_answer_add(a, v);
}

/* What is at the act's place in it. */
static reeve_err say_part(struct model_answer *a, const struct model_act *act, struct model_val v)
{
    if (act->part == 0) {
        model_answer_add(a, v);
        return REEVE_OK;
    }
    if (v.refers == 0)
        return REEVE_ETYPE;
    if (act->part > 2 + v.again)
        return REEVE_EKEY;
    if (act->part > 1)
        v = (struct model_val){.form = MODEL_NONE, .len = REF_BYTES, .refers = v.refers};
    else
        v.refers = v.again = 0;
    model_answer_add(a, v);
    return REEVE_OK;
}

/* ---- a box ---- */

static bool has_keys(const struct model_box *b)
{
    return b->kind == RV_KIND_DICT || b->kind == RV_KIND_SET || b->kind == RV_KIND_NAMESPACE;
}

static void insert(struct model_box *b, size_t at, struct model_pair p)
{
    if (b->len == b->cap) {
        b->cap = b->cap == 0 ? 16 : b->cap * 2;
        b->at = rv_realloc(b->at, b->cap * sizeof *b->at);
    }
    memmove(b->at + at + 1, b->at + at, (b->len - at) * sizeof *b->at);
    b->at[at] = p;
    b->len++;
}

static void erase(struct model_box *b, size_t at)
{
    memmove(b->at + at, b->at + at + 1, (b->len - at - 1) * sizeof *b->at);
    b->len--;
}

void model_clear(struct model_box *b)
{
    b->len = 0;
    b->version = b->changes = 0;
    for (uint32_t i = 0; i < b->first_len; i++)
        insert(b, i, (struct model_pair){0});
}

void model_free(struct model_box *b)
{
    free(b->at);
    b->at = NULL;
    b->len = b->cap = 0;
}

void model_copy(struct model_box *to, const struct model_box *from)
{
    *to = *from;
    to->at = NULL;
    to->len = to->cap = 0;
    for (size_t i = 0; i < from->len; i++)
        insert(to, i, from->at[i]);
}

static uint64_t bytes_of(const struct model_box *b)
{
    uint64_t bytes = 0;

    for (size_t i = 0; i < b->len; i++)
        bytes += (has_keys(b) ? model_encoded(b->at[i].key) : 0) +
                 (b->kind == RV_KIND_SET ? 0 : model_encoded(b->at[i].value));
    return bytes;
}

static size_t find_key(const struct model_box *b, struct model_val key)
{
    size_t i = 0;

    while (i < b->len && !equal(b->at[i].key, key))
        i++;
    return i;
}

/* It became larger than it may be, by this change. */
static bool above(const struct model_box *b, uint64_t before)
{
    uint64_t now = bytes_of(b);

    return b->most > 0 && now > before && now > b->most;
}

uint64_t model_version(const struct model_box *b, const struct model_act *act)
{
    size_t i = 0;

    if (!act->keyed)
        return b->version;
    i = find_key(b, act->key);
    return i == b->len ? 0 : b->at[i].version;
}

/* ---- dicts and sets ---- */

/* Equal keys are spelt alike. */
static struct model_val spelt(struct model_val key)
{
    if (key.form == MODEL_REAL)
        key.form = MODEL_INT;
    return key;
}

static reeve_err put(struct model_box *b, struct model_val key, struct model_val value)
{
    uint64_t before = bytes_of(b);
    size_t i = find_key(b, key);

    if (i == b->len) {
        insert(b, i, (struct model_pair){.key = spelt(key)});
        b->changes++;
    }
    b->at[i].value = value;
    b->at[i].version = ++b->version;
    return above(b, before) ? REEVE_EQUOTA : REEVE_OK;
}

static void drop(struct model_box *b, size_t i)
{
    erase(b, i);
    b->changes++;
    b->version++;
}

static void clear_keys(struct model_box *b)
{
    b->version += b->len > 0;
    b->changes += b->len;
    b->len = 0;
}

static reeve_err sum(struct model_val *v, struct model_val more)
{
    if (v->form == MODEL_BYTES || more.form == MODEL_BYTES)
        return REEVE_ETYPE;
    v->n += more.n;
    v->refers = 0;
    if (more.form == MODEL_REAL)
        v->form = MODEL_REAL;
    return REEVE_OK;
}

/* There is one reference more than this one. */
static struct model_val without_part(struct model_val v, const struct model_act *act)
{
    rv_assert(v.again > 0 && act->part > 1 && act->part <= 2 + v.again);
    v.again--;
    return v;
}

static reeve_err edit_key(struct model_box *b, const struct model_act *act, struct model_answer *a)
{
    size_t i = find_key(b, act->key);
    struct model_val v = act->values[0];
    reeve_err err = REEVE_OK;

    if (act->how == RV_EDIT_ADD && i < b->len) {
        v = b->at[i].value;
        err = sum(&v, act->values[0]);
    } else if (act->how == RV_EDIT_DELETE) {
        v = without_part(b->at[i].value, act);
    }
    if (err == REEVE_OK)
        err = put(b, act->key, v);
    if (err != REEVE_OK)
        return err;
    say_version(a, b->version);
    if (act->how == RV_EDIT_ADD)
        model_answer_add(a, v);
    return REEVE_OK;
}

/* Is it what was expected? Else what is there is said. */
static bool compared(const struct model_act *act, const struct model_val *there,
                     struct model_answer *a)
{
    bool so =
        act->how & RV_CAS_ABSENT ? there == NULL : there != NULL && equal(*there, act->values[0]);

    say_n(a, so);
    if (!so && there != NULL && !(act->how & RV_CAS_MUST))
        model_answer_add(a, *there);
    return so;
}

static reeve_err cas_key(struct model_box *b, const struct model_act *act, struct model_answer *a)
{
    size_t i = find_key(b, act->key);
    bool so = compared(act, i == b->len ? NULL : &b->at[i].value, a);
    reeve_err err = REEVE_OK;

    if (!so && (act->how & RV_CAS_MUST))
        return REEVE_EVALUE;
    say_version(a, 0);
    if (so && (act->how & RV_CAS_DELETE)) {
        if (i < b->len)
            drop(b, i);
    } else if (so && !(act->how & RV_CAS_ONLY)) {
        err = put(b, act->key, act->values[act->len - 1]);
        a->version = b->version;
    } else if (i < b->len) {
        a->version = b->at[i].version;
    }
    return err;
}

static reeve_err on_dict(struct model_box *b, const struct model_act *act, struct model_answer *a)
{
    size_t i = find_key(b, act->key);
    bool there = i < b->len;
    reeve_err err = REEVE_OK;
    size_t before = b->len;

    switch ((enum rv_op)act->op) {
    case RV_OP_dict_set:
        for (uint32_t k = 0; err == REEVE_OK && k < act->len; k += 2)
            err = put(b, act->values[k], act->values[k + 1]);
        say_n(a, b->len - before);
        return err;
    case RV_OP_dict_setdefault:
        if (!there)
            err = put(b, act->key, act->values[0]);
        say_n(a, !there);
        say_version(a, b->at[i].version);
        model_answer_add(a, b->at[i].value);
        return err;
    case RV_OP_dict_del:
    case RV_OP_dict_pop:
        if (!there)
            return REEVE_EKEY;
        if (act->op == RV_OP_dict_pop) {
            say_version(a, b->at[i].version);
            model_answer_add(a, b->at[i].value);
        }
        drop(b, i);
        return REEVE_OK;
    case RV_OP_dict_popitem:
        if (b->len == 0)
            return REEVE_EKEY;
        a->has_key = true;
        a->key = b->at[b->len - 1].key;
        model_answer_add(a, b->at[b->len - 1].value);
        drop(b, b->len - 1);
        return REEVE_OK;
    case RV_OP_dict_clear:
        clear_keys(b);
        return REEVE_OK;
    case RV_OP_dict_get:
    case RV_OP_dict_fetch:
        if (!there)
            return REEVE_EKEY;
        say_version(a, b->at[i].version);
        if (act->op == RV_OP_dict_fetch)
            return say_part(a, act, b->at[i].value);
        say_read(a, b->at[i].value);
        return REEVE_OK;
    case RV_OP_dict_contains:
        say_n(a, there);
        return REEVE_OK;
    case RV_OP_dict_page:
        for (i = 0; i < b->len; i++) {
            model_answer_add(a, b->at[i].key);
            say_read(a, b->at[i].value);
        }
        say_version(a, b->changes);
        return REEVE_OK;
    case RV_OP_dict_edit:
        return edit_key(b, act, a);
    default:
        rv_assert(act->op == RV_OP_dict_cas);
        return cas_key(b, act, a);
    }
}

static bool among(const struct model_val *from, size_t len, struct model_val v)
{
    for (size_t i = 0; i < len; i++)
        if (equal(from[i], v))
            return true;
    return false;
}

/* The other members; the caller frees them. */
static struct model_val *others(const struct model_box *boxes, const struct model_act *act,
                                size_t *len)
{
    const struct model_box *other = act->other == 0 ? NULL : &boxes[act->other - 1];
    struct model_val *all =
        rv_alloc((MODEL_VALUES + (other == NULL ? 0 : other->len)) * sizeof *all);

    *len = 0;
    for (size_t i = 0; i < (other == NULL ? act->len : other->len); i++) {
        struct model_val v = other == NULL ? spelt(act->values[i]) : other->at[i].key;

        if (!among(all, *len, v))
            all[(*len)++] = v;
    }
    return all;
}

static reeve_err combine(struct model_box *boxes, const struct model_act *act,
                         struct model_answer *a)
{
    struct model_box *b = &boxes[act->box];
    size_t len = 0;
    struct model_val *all = others(boxes, act, &len);
    bool itself = act->other == act->box + 1;
    reeve_err err = REEVE_OK;

    if (itself && (act->how == RV_DIFFERENCE || act->how == RV_SYMMETRIC))
        clear_keys(b);
    for (size_t i = 0; !itself && i < b->len && act->how != RV_UNION && act->how != RV_SYMMETRIC;)
        if (among(all, len, b->at[i].key) == (act->how == RV_DIFFERENCE))
            drop(b, i);
        else
            i++;
    for (size_t k = 0; !itself && err == REEVE_OK && k < len; k++) {
        size_t i = find_key(b, all[k]);

        if (i == b->len && (act->how == RV_UNION || act->how == RV_SYMMETRIC))
            err = put(b, all[k], (struct model_val){0});
        else if (i < b->len && act->how == RV_SYMMETRIC)
            drop(b, i);
    }
    free(all);
    say_n(a, b->len);
    return err;
}

static bool holds(const struct model_box *boxes, const struct model_act *act)
{
    const struct model_box *b = &boxes[act->box];
    size_t len = 0;
    size_t common = 0;
    struct model_val *all = others(boxes, act, &len);

    for (size_t i = 0; i < b->len; i++)
        common += among(all, len, b->at[i].key);
    free(all);
    switch ((enum rv_compare)act->how) {
    case RV_SUBSET:
        return common == b->len;
    case RV_SUPERSET:
        return common == len;
    case RV_DISJOINT:
        return common == 0;
    case RV_SAME:
        return common == len && common == b->len;
    case RV_PROPER_SUBSET:
        return common == b->len && common < len;
    case RV_PROPER_SUPERSET:
        return common == len && common < b->len;
    }
    return false;
}

static reeve_err on_set(struct model_box *boxes, const struct model_act *act,
                        struct model_answer *a)
{
    struct model_box *b = &boxes[act->box];
    size_t before = b->len;
    reeve_err err = REEVE_OK;

    switch ((enum rv_op)act->op) {
    case RV_OP_set_add:
        for (uint32_t k = 0; err == REEVE_OK && k < act->len; k++)
            if (find_key(b, act->values[k]) == b->len)
                err = put(b, act->values[k], (struct model_val){0});
        say_n(a, b->len - before);
        return err;
    case RV_OP_set_discard:
        for (uint32_t k = 0; k < act->len; k++) {
            size_t i = find_key(b, act->values[k]);

            if (i < b->len)
                drop(b, i);
            else if (act->how)
                return REEVE_EKEY;
        }
        say_n(a, before - b->len);
        return REEVE_OK;
    case RV_OP_set_pop:
        if (b->len == 0)
            return REEVE_EKEY;
        a->has_key = true;
        a->key = b->at[b->len - 1].key;
        drop(b, b->len - 1);
        return REEVE_OK;
    case RV_OP_set_clear:
        clear_keys(b);
        return REEVE_OK;
    case RV_OP_set_update:
        return combine(boxes, act, a);
    case RV_OP_set_contains:
        say_n(a, find_key(b, act->key) < b->len);
        return REEVE_OK;
    case RV_OP_set_page:
        for (size_t i = 0; i < b->len; i++)
            model_answer_add(a, b->at[i].key);
        say_version(a, b->changes);
        return REEVE_OK;
    default:
        rv_assert(act->op == RV_OP_set_compare);
        say_n(a, holds(boxes, act));
        return REEVE_OK;
    }
}

/* ---- lists and arrays ---- */

static reeve_err fits(const struct model_box *b, struct model_val v)
{
    if (b->typecode == 0)
        return REEVE_OK;
    rv_assert(b->typecode == 'i');
    if (v.form != MODEL_INT)
        return REEVE_ETYPE;
    return v.n < INT32_MIN || v.n > INT32_MAX ? REEVE_EVALUE : REEVE_OK;
}

static bool find_at(const struct model_box *b, int64_t at, size_t *out)
{
    *out = (size_t)(at < 0 ? at + (int64_t)b->len : at);
    return at < (int64_t)b->len && at >= -(int64_t)b->len;
}

static reeve_err set_at(struct model_box *b, size_t i, struct model_val v)
{
    uint64_t before = bytes_of(b);
    reeve_err err = fits(b, v);

    if (err != REEVE_OK)
        return err;
    b->at[i].value = v;
    b->version++;
    return above(b, before) ? REEVE_EQUOTA : REEVE_OK;
}

/* The places of a slice, in its order, as Python says it. */
static size_t slice(const struct model_box *b, const struct model_act *act, size_t *places)
{
    int64_t len = (int64_t)b->len;
    int64_t step = act->how & RV_BOUND_STEP ? act->step : 1;
    int64_t start = step < 0 ? len - 1 : 0;
    int64_t stop = step < 0 ? -1 : len;
    size_t count = 0;

    if (act->how & RV_BOUND_START) {
        start = act->at < 0 ? act->at + len : act->at;
        if (start < 0)
            start = step < 0 ? -1 : 0;
        if (start >= len)
            start = step < 0 ? len - 1 : len;
    }
    if (act->how & RV_BOUND_STOP) {
        stop = act->stop < 0 ? act->stop + len : act->stop;
        if (stop < 0)
            stop = step < 0 ? -1 : 0;
        if (stop >= len)
            stop = step < 0 ? len - 1 : len;
    }
    for (int64_t i = start; step > 0 ? i < stop : i > stop; i += step)
        places[count++] = (size_t)i;
    return count;
}

static reeve_err splice_places(struct model_box *b, const struct model_act *act,
                               const size_t *places, size_t count)
{
    uint64_t before = bytes_of(b);
    bool stepped = (act->how & RV_BOUND_STEP) && act->step != 1;
    size_t at = 0;
    reeve_err err = REEVE_OK;

    if (!stepped) {
        at = count > 0                        ? places[0]
             : !(act->how & RV_BOUND_START)   ? 0
             : act->at >= (int64_t)b->len     ? b->len
             : act->at >= 0                   ? (size_t)act->at
             : act->at + (int64_t)b->len >= 0 ? (size_t)(act->at + (int64_t)b->len)
                                              : 0;
        for (size_t i = 0; i < count; i++)
            erase(b, at);
        for (uint32_t i = 0; i < act->len; i++)
            insert(b, at + i, (struct model_pair){.value = act->values[i]});
        b->version++;
        return above(b, before) ? REEVE_EQUOTA : REEVE_OK;
    }
    if (act->len == 0 && count > 0) {
        for (size_t i = 0; i < count; i++)
            erase(b, places[act->step < 0 ? i : count - 1 - i]);
        b->version += 2; /* the order changes, then the end goes */
        return REEVE_OK;
    }
    if (act->len != count)
        return REEVE_EVALUE;
    for (size_t i = 0; err == REEVE_OK && i < count; i++)
        err = set_at(b, places[i], act->values[i]);
    return err;
}

static reeve_err splice(struct model_box *b, const struct model_act *act, struct model_answer *a)
{
    size_t *places = rv_alloc((b->len + 1) * sizeof *places);
    size_t count = slice(b, act, places);
    reeve_err err = REEVE_OK;

    if (b->kind != RV_KIND_LIST && act->len != count)
        err = REEVE_ETYPE;
    for (uint32_t i = 0; err == REEVE_OK && i < act->len; i++)
        err = fits(b, act->values[i]);
    if (err == REEVE_OK)
        err = splice_places(b, act, places, count);
    free(places);
    say_n(a, b->len);
    return err;
}

static void sort(struct model_box *b, bool reverse)
{
    for (size_t i = 1; i < b->len; i++)
        for (size_t k = i; k > 0; k--) {
            struct model_pair p = b->at[k];

            if (reverse ? b->at[k - 1].value.n >= p.value.n : b->at[k - 1].value.n <= p.value.n)
                break;
            b->at[k] = b->at[k - 1];
            b->at[k - 1] = p;
        }
}

static size_t search(const struct model_box *b, struct model_val v)
{
    size_t i = 0;

    while (i < b->len && !equal(b->at[i].value, v))
        i++;
    return i;
}

/* Those that change how long it is; none of a fixed length. */
static reeve_err change_len(struct model_box *b, const struct model_act *act,
                            struct model_answer *a)
{
    uint64_t before = bytes_of(b);
    size_t len = b->len;
    size_t i = 0;

    if (b->kind != RV_KIND_LIST)
        return REEVE_ETYPE;
    switch ((enum rv_op)act->op) {
    case RV_OP_list_insert:
        i = act->at >= (int64_t)len      ? len
            : act->at >= 0               ? (size_t)act->at
            : act->at + (int64_t)len > 0 ? (size_t)(act->at + (int64_t)len)
                                         : 0;
        for (uint32_t k = 0; k < act->len; k++)
            insert(b, i + k, (struct model_pair){.value = act->values[k]});
        say_n(a, b->len);
        break;
    case RV_OP_list_del:
    case RV_OP_list_pop:
        if (!find_at(b, act->at, &i))
            return REEVE_EINDEX;
        if (act->op == RV_OP_list_pop) {
            say_version(a, b->version + 1);
            model_answer_add(a, b->at[i].value);
        }
        erase(b, i);
        break;
    case RV_OP_list_remove:
        i = search(b, act->key);
        if (i == len)
            return REEVE_EVALUE;
        erase(b, i);
        break;
    case RV_OP_list_repeat:
        for (int64_t k = 1; k < act->at; k++)
            for (i = 0; i < len; i++)
                insert(b, b->len, b->at[i]);
        say_n(a, act->at <= 0 ? 0 : b->len);
        if (act->at == 1 || (act->at > 1 && len == 0))
            return REEVE_OK;
        if (act->at <= 0)
            b->len = 0;
        break;
    default:
        rv_assert(act->op == RV_OP_list_clear);
        b->len = 0;
    }
    b->version++;
    return above(b, before) ? REEVE_EQUOTA : REEVE_OK;
}

static reeve_err edit_at(struct model_box *b, const struct model_act *act, struct model_answer *a)
{
    struct model_val v = act->values[0];
    size_t i = 0;
    reeve_err err = REEVE_OK;

    if (!find_at(b, act->at, &i))
        return REEVE_EINDEX;
    if (act->how == RV_EDIT_ADD) {
        v = b->at[i].value;
        err = sum(&v, act->values[0]);
    } else if (act->how == RV_EDIT_DELETE) {
        v = without_part(b->at[i].value, act);
    }
    if (err == REEVE_OK)
        err = set_at(b, i, v);
    if (err != REEVE_OK)
        return err;
    say_version(a, b->version);
    if (act->how == RV_EDIT_ADD)
        model_answer_add(a, v);
    return REEVE_OK;
}

static reeve_err cas_at(struct model_box *b, const struct model_act *act, struct model_answer *a)
{
    size_t i = 0;
    reeve_err err = REEVE_OK;

    if (!find_at(b, act->at, &i))
        return REEVE_EINDEX;
    if (act->len == 2)
        err = fits(b, act->values[1]);
    if (err != REEVE_OK)
        return err;
    if (compared(act, &b->at[i].value, a)) {
        if (!(act->how & RV_CAS_ONLY))
            err = set_at(b, i, act->values[1]);
    } else if (act->how & RV_CAS_MUST) {
        return REEVE_EVALUE;
    }
    say_version(a, b->version);
    return err;
}

static reeve_err on_list(struct model_box *b, const struct model_act *act, struct model_answer *a)
{
    size_t i = 0;

    switch ((enum rv_op)act->op) {
    case RV_OP_list_set:
        return find_at(b, act->at, &i) ? set_at(b, i, act->values[0]) : REEVE_EINDEX;
    case RV_OP_list_splice:
        return splice(b, act, a);
    case RV_OP_list_reverse:
        for (; i < b->len / 2; i++) {
            struct model_pair p = b->at[i];

            b->at[i] = b->at[b->len - 1 - i];
            b->at[b->len - 1 - i] = p;
        }
        b->version++;
        return REEVE_OK;
    case RV_OP_list_sort:
        sort(b, act->how != 0);
        b->version++;
        return REEVE_OK;
    case RV_OP_list_get:
    case RV_OP_list_fetch:
        if (!find_at(b, act->at, &i))
            return REEVE_EINDEX;
        say_version(a, b->version);
        if (act->op == RV_OP_list_fetch)
            return say_part(a, act, b->at[i].value);
        say_read(a, b->at[i].value);
        return REEVE_OK;
    case RV_OP_list_page:
        say_version(a, b->version);
        for (; i < b->len; i++)
            say_read(a, b->at[i].value);
        return REEVE_OK;
    case RV_OP_list_find:
        say_n(a, search(b, act->key));
        return a->n == b->len ? REEVE_EVALUE : REEVE_OK;
    case RV_OP_list_edit:
        return edit_at(b, act, a);
    case RV_OP_list_cas:
        return cas_at(b, act, a);
    default:
        return change_len(b, act, a);
    }
}

/* ---- calls ---- */

static reeve_err apply(struct model_box *boxes, const struct model_act *act, struct model_answer *a)
{
    struct model_box *b = &boxes[act->box];

    if (act->op == RV_OP_dict_len || act->op == RV_OP_list_len || act->op == RV_OP_set_len) {
        say_n(a, b->len);
        say_version(a, b->version);
        model_answer_add(a, model_int((int64_t)bytes_of(b)));
        return REEVE_OK;
    }
    if (b->kind == RV_KIND_SET)
        return on_set(boxes, act, a);
    return has_keys(b) ? on_dict(b, act, a) : on_list(b, act, a);
}

size_t model_apply(struct model_box *boxes, const struct model_act *acts, size_t len,
                   struct model_answer *answers)
{
    struct model_box before[MODEL_BOXES];
    reeve_err err = REEVE_OK;
    size_t done = 0;

    memset(before, 0, sizeof before);
    for (size_t i = 0; i < len; i++)
        if (before[acts[i].box].kind == 0)
            model_copy(&before[acts[i].box], &boxes[acts[i].box]);
    for (; done < len; done++) {
        err = apply(boxes, &acts[done], &answers[done]);
        if (err == REEVE_OK)
            continue;
        model_answer_free(&answers[done]);
        answers[done].error = err;
        break;
    }
    for (size_t i = 0; i < MODEL_BOXES; i++)
        if (before[i].kind != 0 && err != REEVE_OK) {
            model_free(&boxes[i]);
            boxes[i] = before[i];
        } else if (before[i].kind != 0) {
            model_free(&before[i]);
        }
    return done;
}
