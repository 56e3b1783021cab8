/* path.c -- one place inside an encoded value. */

#include "common/value/path.h"

#include "common/value/key.h"
#include "common/value/value.h"

/* What a path leads to. All slices are of the value, but for key. */
struct place {
    struct rv_slice found; /* empty when the key is missing: where its pair would stand */
    struct rv_slice pair;  /* what goes when it is deleted: found and, in a map, its key */
    const uint8_t *in;   /* the head of the array or map that it is in; NULL for the whole value */
    struct rv_slice key; /* of the last step, when that is missing; else empty */
};

/* The memory of one search. */
struct search {
    struct rv_buf step; /* the spelling of a step */
    struct rv_buf key;  /* and of a key that it is compared with */
    struct rv_value_room room;
    const char *text;
};

static reeve_err fail(const char **text, reeve_err err, const char *why)
{
    *text = why;
    return err;
}

/* ---- walking over bytes that are valid ---- */

static msgpack_object take(struct rv_slice *rest)
{
    msgpack_object o;
    bool ok = rv_value_take(rest, &o);

    rv_assert(ok);
    return o;
}

/* With everything in it. */
static struct rv_slice take_whole(struct rv_slice *rest)
{
    const uint8_t *start = rest->data;

    for (uint64_t left = 1; left > 0; left--) {
        msgpack_object o = take(rest);

        left += rv_object_kids(&o);
    }
    return rv_slice(start, (size_t)(rest->data - start));
}

static struct rv_slice joined(struct rv_slice first, struct rv_slice second)
{
    return rv_slice(first.data, first.len + second.len);
}

/* ---- finding ---- */

static reeve_err spell(struct search *s, struct rv_buf *out, struct rv_slice bytes)
{
    const reeve_value *v = NULL;
    msgpack_object scalar;
    reeve_err err = REEVE_OK;

    rv_buf_clear(out);
    if (rv_value_scalar(&scalar, bytes))
        return rv_value_key(out, &scalar);
    err = rv_value_parse_in(&v, &s->room, bytes);
    return err == REEVE_OK ? rv_value_key(out, rv_value_object(v)) : err;
}

/* Rest begins with the pairs of a map. */
static reeve_err find_key(struct search *s, struct place *at, struct rv_slice rest, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        struct rv_slice key = take_whole(&rest);
        reeve_err err = spell(s, &s->key, key);

        at->found = take_whole(&rest);
        at->pair = joined(key, at->found);
        if (err == REEVE_ENOMEM)
            return err;
        /* A key without a spelling equals none. */
        if (err == REEVE_OK && rv_slice_equal(rv_buf_slice(&s->key), rv_buf_slice(&s->step)))
            return REEVE_OK;
    }
    at->found = rv_slice(rest.data, 0);
    at->pair = at->found;
    return fail(&s->text, REEVE_ENOENT, "there is no such key");
}

/* Rest begins with the items of an array. */
static reeve_err find_index(struct search *s, struct place *at, struct rv_slice rest,
                            uint32_t count)
{
    msgpack_object index;
    uint64_t i = 0;

    if (!rv_value_scalar(&index, rv_buf_slice(&s->step)) ||
        (index.type != MSGPACK_OBJECT_POSITIVE_INTEGER &&
         index.type != MSGPACK_OBJECT_NEGATIVE_INTEGER))
        return fail(&s->text, REEVE_ETYPE, "an index of an array is an integer");
    i = index.via.u64;
    if (index.type == MSGPACK_OBJECT_NEGATIVE_INTEGER)
        i += count; /* which stays a great number when it is before the first */
    if (i >= count)
        return fail(&s->text, REEVE_ENOENT, "there is no such index");
    do
        at->found = take_whole(&rest);
    while (i-- > 0);
    at->pair = at->found;
    return REEVE_OK;
}

/* One step in, from what has been found. */
static reeve_err step_in(struct search *s, struct place *at, struct rv_slice step)
{
    struct rv_slice rest = at->found;
    msgpack_object o = take(&rest);
    reeve_err err = spell(s, &s->step, step);

    if (err == REEVE_EINVAL)
        s->text = "no NaN, and no map that has a key twice, is a key";
    if (err != REEVE_OK)
        return err;
    if (!rv_object_nests(&o))
        return fail(&s->text, REEVE_ETYPE, "a step goes into what is neither an array nor a map");
    at->in = at->found.data;
    if (o.type == MSGPACK_OBJECT_MAP)
        return find_key(s, at, rest, o.via.map.size);
    return find_index(s, at, rest, o.via.array.size);
}

/* ENOENT with a key in the place: all but the last step are there, and this key could be added. */
static reeve_err walk_path(struct search *s, struct place *at, struct rv_slice path)
{
    msgpack_object steps = take(&path);
    reeve_err err = REEVE_OK;

    if (steps.type != MSGPACK_OBJECT_ARRAY)
        return fail(&s->text, REEVE_EINVAL, "the path is not an array");
    for (uint32_t i = 0; err == REEVE_OK && i < steps.via.array.size; i++) {
        struct rv_slice step = take_whole(&path);

        err = step_in(s, at, step);
        if (err == REEVE_ENOENT && at->found.len == 0 && path.len == 0)
            at->key = step;
    }
    return err;
}

static reeve_err find(struct place *at, struct rv_slice value, struct rv_slice path,
                      const char **text)
{
    struct search s = {0};
    reeve_err err = REEVE_OK;

    *at = (struct place){.found = value, .pair = value};
    *text = NULL;
    if (!rv_value_valid(value))
        return fail(text, REEVE_EINVAL, "the value is malformed");
    if (!rv_value_valid(path))
        return fail(text, REEVE_EINVAL, "the path is malformed");
    err = walk_path(&s, at, path);
    *text = s.text;
    rv_buf_free(&s.step);
    rv_buf_free(&s.key);
    rv_value_room_free(&s.room);
    return err;
}

reeve_err rv_path_get(struct rv_slice *found, struct rv_slice value, struct rv_slice path,
                      const char **text)
{
    struct place at;
    reeve_err err = find(&at, value, path, text);

    *found = err == REEVE_OK ? at.found : rv_slice(NULL, 0);
    return err;
}

/* ---- changing ---- */

static void add_between(struct rv_buf *out, const uint8_t *from, const uint8_t *to)
{
    rv_buf_add(out, from, (size_t)(to - from));
}

/* The value with other bytes in the place of old, a slice of it. */
static void replace(struct rv_buf *out, struct rv_slice value, struct rv_slice old,
                    struct rv_slice key, struct rv_slice item)
{
    add_between(out, value.data, old.data);
    rv_buf_add(out, key.data, key.len);
    rv_buf_add(out, item.data, item.len);
    add_between(out, old.data + old.len, value.data + value.len);
}

/* The same, in the array or map whose head is at in, and which has one more or one less afterwards.
 * The heads outside of it count what they did. */
static void replace_in(struct rv_buf *out, struct rv_slice value, const uint8_t *in, bool more,
                       struct rv_slice old, struct rv_slice key, struct rv_slice item)
{
    struct rv_slice rest = rv_slice(in, (size_t)(value.data + value.len - in));
    msgpack_object o = take(&rest);
    uint8_t head[RV_VALUE_NUMBER_MAX];
    uint32_t *count = o.type == MSGPACK_OBJECT_MAP ? &o.via.map.size : &o.via.array.size;

    *count += more ? 1 : UINT32_MAX; /* that is minus one */
    add_between(out, value.data, in);
    rv_buf_add(out, head, rv_value_number(head, &o));
    replace(out, rest, old, key, item);
}

/* What a verb works with; the path has been found. */
struct edit {
    struct rv_buf *out;
    struct rv_slice value;
    struct place at;
    struct rv_slice operand;
    const char **text;
};

static const struct rv_slice nothing;

static reeve_err edit_set(const struct edit *e)
{
    if (e->at.key.len > 0)
        replace_in(e->out, e->value, e->at.in, true, e->at.found, e->at.key, e->operand);
    else
        replace(e->out, e->value, e->at.found, nothing, e->operand);
    return REEVE_OK;
}

static reeve_err edit_append(const struct edit *e)
{
    struct rv_slice found = e->at.found;
    struct rv_slice rest = found;

    if (take(&rest).type != MSGPACK_OBJECT_ARRAY)
        return fail(e->text, REEVE_ETYPE, "only an array can be appended to");
    replace_in(e->out, e->value, found.data, true, rv_slice(found.data + found.len, 0), nothing,
               e->operand);
    return REEVE_OK;
}

static reeve_err edit_delete(const struct edit *e)
{
    if (e->at.in == NULL)
        return fail(e->text, REEVE_EINVAL, "the whole value cannot be deleted");
    replace_in(e->out, e->value, e->at.in, false, e->at.pair, nothing, nothing);
    return REEVE_OK;
}

static bool number(msgpack_object *o, struct rv_slice bytes)
{
    return rv_value_scalar(o, bytes) &&
           (o->type == MSGPACK_OBJECT_POSITIVE_INTEGER ||
            o->type == MSGPACK_OBJECT_NEGATIVE_INTEGER || o->type == MSGPACK_OBJECT_FLOAT64);
}

/* As integers of 128 bits, of which a negative one has the upper half -1, and another one 0. */
static bool add_integers(msgpack_object *sum, const msgpack_object *a, const msgpack_object *b)
{
    uint64_t low = a->via.u64 + b->via.u64;
    int high = low < b->via.u64 ? 1 : 0;

    high -= a->type == MSGPACK_OBJECT_NEGATIVE_INTEGER;
    high -= b->type == MSGPACK_OBJECT_NEGATIVE_INTEGER;
    *sum = (msgpack_object){.type = MSGPACK_OBJECT_POSITIVE_INTEGER, .via.u64 = low};
    if (high == -1)
        sum->type = MSGPACK_OBJECT_NEGATIVE_INTEGER;
    return high == 0 || (high == -1 && low > INT64_MAX);
}

static double to_float(const msgpack_object *o)
{
    if (o->type == MSGPACK_OBJECT_FLOAT64)
        return o->via.f64;
    return o->type == MSGPACK_OBJECT_NEGATIVE_INTEGER ? (double)o->via.i64 : (double)o->via.u64;
}

static bool add_numbers(msgpack_object *sum, const msgpack_object *a, const msgpack_object *b)
{
    if (a->type != MSGPACK_OBJECT_FLOAT64 && b->type != MSGPACK_OBJECT_FLOAT64)
        return add_integers(sum, a, b);
    *sum = (msgpack_object){.type = MSGPACK_OBJECT_FLOAT64, .via.f64 = to_float(a) + to_float(b)};
    return true;
}

static reeve_err edit_add(const struct edit *e)
{
    uint8_t bytes[RV_VALUE_NUMBER_MAX];
    msgpack_object a;
    msgpack_object b;
    msgpack_object sum;

    if (!number(&b, e->operand))
        return fail(e->text, REEVE_ETYPE, "only a number can be added");
    if (e->at.key.len > 0)
        return edit_set(e);
    if (!number(&a, e->at.found))
        return fail(e->text, REEVE_ETYPE, "only to a number can be added");
    if (!add_numbers(&sum, &a, &b))
        return fail(e->text, REEVE_EVALUE, "the sum is out of range");
    replace(e->out, e->value, e->at.found, nothing, rv_slice(bytes, rv_value_number(bytes, &sum)));
    return REEVE_OK;
}

static const struct {
    reeve_err (*edit)(const struct edit *e);
    bool adds; /* the pair, when the last key is missing */
    bool operand;
} verbs[] = {
    [RV_EDIT_SET] = {edit_set, true, true},
    [RV_EDIT_APPEND] = {edit_append, false, true},
    [RV_EDIT_DELETE] = {edit_delete, false, false},
    [RV_EDIT_ADD] = {edit_add, true, true},
};

/* Only an operand with something in it can make the value too deep. */
static reeve_err check_result(const struct edit *e, bool operand, size_t start)
{
    msgpack_object scalar;

    if (e->out->bad)
        return REEVE_ENOMEM;
    if (!operand || rv_value_scalar(&scalar, e->operand) ||
        rv_value_valid(rv_slice(e->out->data + start, e->out->len - start)))
        return REEVE_OK;
    return fail(e->text, REEVE_ETOOBIG, "the value would be nested too deep");
}

reeve_err rv_path_edit(struct rv_buf *out, struct rv_slice value, struct rv_slice path,
                       enum rv_edit verb, struct rv_slice operand, const char **text)
{
    struct edit e = {.out = out, .value = value, .operand = operand, .text = text};
    size_t start = out->len;
    reeve_err err = REEVE_OK;

    if ((size_t)verb >= rv_countof(verbs))
        return fail(text, REEVE_EINVAL, "there is no such verb");
    if (verbs[verb].operand && !rv_value_valid(operand))
        return fail(text, REEVE_EINVAL, "the operand is malformed");
    err = find(&e.at, value, path, text);
    if (e.at.key.len > 0 && verbs[verb].adds) {
        err = REEVE_OK;
        *text = NULL;
    }
    if (err == REEVE_OK && (uint64_t)value.len + path.len + operand.len > UINT32_MAX)
        err = fail(text, REEVE_ETOOBIG, "the value would be larger than 4 GiB");
    if (err == REEVE_OK)
        err = verbs[verb].edit(&e);
    if (err == REEVE_OK)
        err = check_result(&e, verbs[verb].operand, start);
    if (err != REEVE_OK)
        out->len = start;
    return err;
}
