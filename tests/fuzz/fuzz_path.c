/* One change at a place of a value, all out of any bytes: it is refused and nothing written, or what
 * is written is a value that has at that place what the verb says. What can be undone makes the same
 * value again. */

#include <float.h>

#include "common/value/order.h"
#include "common/value/path.h"
#include "common/value/value.h"
#include "tests/fuzz/fuzz.h"

/* It holds every 64-bit integer. */
_Static_assert(LDBL_MANT_DIG >= 64, "exact for integers");

static void add(struct rv_buf *out, struct rv_slice bytes)
{
    rv_buf_add(out, bytes.data, bytes.len);
}

static void image(struct rv_buf *out, struct rv_slice bytes)
{
    reeve_value *v = NULL;

    rv_assert(rv_value_parse(&v, bytes) == REEVE_OK);
    rv_assert(rv_value_image(out, rv_value_object(v)) == REEVE_OK);
    rv_value_free(&v);
}

static bool same(struct rv_slice a, struct rv_slice b)
{
    struct rv_buf left = {0};
    struct rv_buf right = {0};
    bool equal = false;

    image(&left, a);
    image(&right, b);
    equal = rv_slice_equal(rv_buf_slice(&left), rv_buf_slice(&right));
    rv_buf_free(&left);
    rv_buf_free(&right);
    return equal;
}

/* How many items or pairs the value has. */
static uint32_t count_of(struct rv_slice bytes)
{
    msgpack_object o;

    rv_assert(rv_value_take(&bytes, &o) && rv_object_nests(&o));
    return o.type == MSGPACK_OBJECT_MAP ? o.via.map.size : o.via.array.size;
}

/* ---- the path ---- */

struct steps {
    struct rv_buf bytes[2]; /* of all, and of all but the last */
    uint8_t count;
};

static void add_step(struct steps *s, struct rv_slice step)
{
    rv_buf_clear(&s->bytes[1]);
    add(&s->bytes[1], rv_buf_slice(&s->bytes[0]));
    add(&s->bytes[0], step);
    s->count++;
}

static struct rv_buf path_of(const struct steps *s, bool but_last)
{
    struct rv_buf out = {0};
    uint8_t head[] = {0xdc, 0, (uint8_t)(s->count - but_last)};

    rv_buf_add(&out, head, sizeof head);
    add(&out, rv_buf_slice(&s->bytes[but_last]));
    return out;
}

/* A step that is there, most often: the bytes of a key, or an index. */
static const msgpack_object *add_known_step(struct steps *s, struct input *in,
                                            const msgpack_object *at)
{
    reeve_builder *b = rv_builder_new();
    const msgpack_object *next = NULL;
    msgpack_object index = {.type = MSGPACK_OBJECT_POSITIVE_INTEGER};
    struct rv_slice bytes;
    struct rv_slice refs;
    uint32_t store = 0;

    if (at->type == MSGPACK_OBJECT_MAP && at->via.map.size > 0) {
        const msgpack_object_kv *pair = &at->via.map.ptr[pick(in, at->via.map.size)];

        (void)rv_builder_copy(b, &pair->key);
        next = &pair->val;
    } else if (at->type == MSGPACK_OBJECT_ARRAY && at->via.array.size > 0) {
        index.via.u64 = pick(in, at->via.array.size);
        next = &at->via.array.ptr[index.via.u64];
        if (pick(in, 2) == 1) {
            index.type = MSGPACK_OBJECT_NEGATIVE_INTEGER;
            index.via.u64 -= at->via.array.size;
        }
        (void)rv_builder_put(b, &index);
    }
    /* Two references of several managers have no item. */
    if (next != NULL && rv_builder_item(b, &bytes, &refs, &store) == REEVE_OK)
        add_step(s, bytes);
    else
        next = NULL;
    rv_builder_free(&b);
    return next;
}

static void take_steps(struct steps *s, struct input *in, const msgpack_object *at)
{
    unsigned len = pick(in, 6);
    unsigned any = pick(in, 4);

    for (unsigned i = 0; at != NULL && i < len; i++)
        at = add_known_step(s, in, at);
    for (unsigned i = 0; any == 3 && i < pick(in, 3); i++) {
        struct rv_slice step = take_bytes(in, pick(in, 10));

        if (rv_value_valid(step))
            add_step(s, step);
    }
}

/* ---- what holds after each verb ---- */

struct before {
    struct rv_slice value, operand;
    struct rv_buf path;   /* the whole */
    struct rv_buf parent; /* but for its last step; when steps is not zero */
    struct rv_slice found;
    reeve_err found_err;
    uint8_t steps; /* zero when the path is any bytes, too */
};

static struct rv_slice get(struct rv_slice value, const struct rv_buf *path)
{
    struct rv_slice found;
    const char *text = NULL;

    rv_assert(rv_path_get(&found, value, rv_buf_slice(path), &text) == REEVE_OK && text == NULL);
    rv_assert(rv_value_valid(found));
    return found;
}

static struct rv_buf edited(struct rv_slice value, const struct rv_buf *path, enum rv_edit verb,
                            struct rv_slice operand)
{
    struct rv_buf out = {0};
    const char *text = NULL;

    rv_assert(rv_path_edit(&out, value, rv_buf_slice(path), verb, operand, &text) == REEVE_OK);
    return out;
}

static void check_set(const struct before *b, struct rv_slice after)
{
    struct rv_buf back = {0};

    rv_assert(rv_slice_equal(get(after, &b->path), b->operand));
    if (b->found_err == REEVE_OK) {
        back = edited(after, &b->path, RV_EDIT_SET, b->found);
        rv_assert(rv_slice_equal(rv_buf_slice(&back), b->value));
    } else {
        rv_assert(b->found_err == REEVE_ENOENT);
        back = edited(after, &b->path, RV_EDIT_DELETE, rv_slice(NULL, 0));
        rv_assert(same(rv_buf_slice(&back), b->value));
    }
    rv_buf_free(&back);
}

static void check_append(const struct before *b, struct rv_slice after)
{
    struct rv_slice longer = get(after, &b->path);
    static const uint8_t last[] = {0x91, 0xff};
    struct rv_slice found;
    struct rv_buf less = {0};
    struct rv_buf back = {0};
    const char *text = NULL;

    rv_assert(b->found_err == REEVE_OK && count_of(longer) == count_of(b->found) + 1);
    rv_assert(rv_path_get(&found, longer, rv_slice(last, sizeof last), &text) == REEVE_OK);
    rv_assert(rv_slice_equal(found, b->operand));
    rv_assert(rv_path_edit(&less, longer, rv_slice(last, sizeof last), RV_EDIT_DELETE,
                           rv_slice(NULL, 0), &text) == REEVE_OK);
    back = edited(after, &b->path, RV_EDIT_SET, rv_buf_slice(&less));
    rv_assert(same(rv_buf_slice(&back), b->value));
    rv_buf_free(&less);
    rv_buf_free(&back);
}

static void check_delete(const struct before *b, struct rv_slice after)
{
    rv_assert(b->found_err == REEVE_OK && after.len < b->value.len);
    if (b->steps > 0)
        rv_assert(count_of(get(after, &b->parent)) + 1 == count_of(get(b->value, &b->parent)));
}

static bool number(long double *x, struct rv_slice bytes)
{
    msgpack_object o;

    rv_assert(rv_value_scalar(&o, bytes));
    *x = o.type == MSGPACK_OBJECT_FLOAT64            ? (long double)o.via.f64
         : o.type == MSGPACK_OBJECT_NEGATIVE_INTEGER ? (long double)o.via.i64
                                                     : (long double)o.via.u64;
    rv_assert(o.type == MSGPACK_OBJECT_FLOAT64 || o.type == MSGPACK_OBJECT_POSITIVE_INTEGER ||
              o.type == MSGPACK_OBJECT_NEGATIVE_INTEGER);
    return o.type == MSGPACK_OBJECT_FLOAT64;
}

static void check_add(const struct before *b, struct rv_slice after)
{
    long double x = 0;
    long double y = 0;
    long double sum = 0;
    bool any_float = number(&y, b->operand);

    if (b->found_err == REEVE_OK)
        any_float = number(&x, b->found) || any_float;
    rv_assert(number(&sum, get(after, &b->path)) == any_float);
    if (any_float) {
        double want = (double)x + (double)y;

        rv_assert((double)sum == want || (sum != sum && want != want));
    } else {
        rv_assert(sum - x == y && sum - y == x);
    }
}

static void (*const checks[])(const struct before *b, struct rv_slice after) = {
    [RV_EDIT_SET] = check_set,
    [RV_EDIT_APPEND] = check_append,
    [RV_EDIT_DELETE] = check_delete,
    [RV_EDIT_ADD] = check_add,
};

static void check_edit(struct before *b, enum rv_edit verb)
{
    struct rv_buf out = {0};
    const char *text = NULL;
    reeve_err err = REEVE_OK;

    b->found_err = rv_path_get(&b->found, b->value, rv_buf_slice(&b->path), &text);
    rv_assert((b->found_err == REEVE_OK) == (text == NULL));
    err = rv_path_edit(&out, b->value, rv_buf_slice(&b->path), verb, b->operand, &text);
    rv_assert((err == REEVE_OK) == (text == NULL));
    rv_assert(err == REEVE_OK || err == REEVE_EINVAL || err == REEVE_ETYPE || err == REEVE_ENOENT ||
              err == REEVE_ETOOBIG);
    if (err == REEVE_OK) {
        rv_assert(rv_value_valid(rv_buf_slice(&out)));
        checks[verb](b, rv_buf_slice(&out));
    } else {
        rv_assert(out.len == 0);
    }
    rv_buf_free(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct input in = {.data = data, .left = len > 300 ? 300 : len};
    enum rv_edit verb = (enum rv_edit)pick(&in, rv_countof(checks));
    struct before b = {.operand = take_bytes(&in, pick(&in, 12))};
    struct steps steps = {0};
    reeve_value *v = NULL;

    b.value = take_bytes(&in, pick(&in, 200));
    if (rv_value_parse(&v, b.value) == REEVE_OK)
        take_steps(&steps, &in, rv_value_object(v));
    if (pick(&in, 16) == 15) {
        add(&b.path, take_bytes(&in, in.left)); /* any bytes */
    } else {
        b.path = path_of(&steps, false);
        b.steps = steps.count;
    }
    if (b.steps > 0)
        b.parent = path_of(&steps, true);
    check_edit(&b, verb);
    for (size_t i = 0; i < rv_countof(steps.bytes); i++)
        rv_buf_free(&steps.bytes[i]);
    rv_buf_free(&b.path);
    rv_buf_free(&b.parent);
    rv_value_free(&v);
    return 0;
}
