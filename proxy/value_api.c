/* value_api.c -- the public face of common/value: builders, getters, and the letters of
 * reeve_pack and reeve_unpack. */

#include <reeve/ref.h>
#include <reeve/value.h>

#include "common/value/value.h"

/* ---- building ---- */

reeve_builder *reeve_builder_new(void)
{
    return rv_builder_new();
}

void reeve_builder_free(reeve_builder **builder)
{
    if (builder != NULL)
        rv_builder_free(builder);
}

void reeve_builder_reset(reeve_builder *builder)
{
    if (builder != NULL)
        rv_builder_reset(builder);
}

reeve_err reeve_builder_check(const reeve_builder *builder)
{
    return rv_builder_check(builder);
}

reeve_err reeve_builder_fail(reeve_builder *builder, reeve_err err)
{
    return rv_builder_fail(builder, err);
}

reeve_err reeve_put_nil(reeve_builder *builder)
{
    return rv_builder_put(builder, &(msgpack_object){.type = MSGPACK_OBJECT_NIL});
}

reeve_err reeve_put_bool(reeve_builder *builder, bool x)
{
    msgpack_object o = {.type = MSGPACK_OBJECT_BOOLEAN, .via.boolean = x};

    return rv_builder_put(builder, &o);
}

reeve_err reeve_put_int(reeve_builder *builder, int64_t x)
{
    msgpack_object o = {.type = MSGPACK_OBJECT_NEGATIVE_INTEGER, .via.i64 = x};

    return x >= 0 ? reeve_put_uint(builder, (uint64_t)x) : rv_builder_put(builder, &o);
}

reeve_err reeve_put_uint(reeve_builder *builder, uint64_t x)
{
    msgpack_object o = {.type = MSGPACK_OBJECT_POSITIVE_INTEGER, .via.u64 = x};

    return rv_builder_put(builder, &o);
}

reeve_err reeve_put_float(reeve_builder *builder, double x)
{
    msgpack_object o = {.type = MSGPACK_OBJECT_FLOAT64, .via.f64 = x};

    return rv_builder_put(builder, &o);
}

reeve_err reeve_put_str(reeve_builder *builder, const char *text)
{
    if (text == NULL)
        return rv_builder_fail(builder, REEVE_EINVAL);
    return reeve_put_strn(builder, text, strlen(text));
}

reeve_err reeve_put_strn(reeve_builder *builder, const char *text, size_t len)
{
    msgpack_object o = {.type = MSGPACK_OBJECT_STR, .via.str = {(uint32_t)len, text}};

    if (len > UINT32_MAX)
        return rv_builder_fail(builder, REEVE_ETOOBIG);
    if ((text == NULL && len > 0) || !rv_utf8_valid(rv_slice(text, len)))
        return rv_builder_fail(builder, REEVE_EINVAL);
    return rv_builder_put(builder, &o);
}

reeve_err reeve_put_bytes(reeve_builder *builder, const void *data, size_t len)
{
    msgpack_object o = {.type = MSGPACK_OBJECT_BIN, .via.bin = {(uint32_t)len, data}};

    if (len > UINT32_MAX)
        return rv_builder_fail(builder, REEVE_ETOOBIG);
    if (data == NULL && len > 0)
        return rv_builder_fail(builder, REEVE_EINVAL);
    return rv_builder_put(builder, &o);
}

reeve_err reeve_put_array(reeve_builder *builder, size_t len)
{
    msgpack_object o = {.type = MSGPACK_OBJECT_ARRAY, .via.array.size = (uint32_t)len};

    if (len > UINT32_MAX)
        return rv_builder_fail(builder, REEVE_ETOOBIG);
    return rv_builder_put(builder, &o);
}

reeve_err reeve_put_map(reeve_builder *builder, size_t len)
{
    msgpack_object o = {.type = MSGPACK_OBJECT_MAP, .via.map.size = (uint32_t)len};

    if (len > UINT32_MAX)
        return rv_builder_fail(builder, REEVE_ETOOBIG);
    return rv_builder_put(builder, &o);
}

reeve_err reeve_put_ref(reeve_builder *builder, reeve_ref ref)
{
    uint8_t bytes[RV_VALUE_REF_BYTES];
    msgpack_object o = {.type = MSGPACK_OBJECT_EXT,
                        .via.ext = {RV_VALUE_REF_TYPE, sizeof bytes, (const char *)bytes}};

    if (ref.object == 0)
        return rv_builder_fail(builder, REEVE_EINVAL);
    rv_value_ref_write(bytes, ref);
    return rv_builder_put(builder, &o);
}

reeve_err reeve_put_value(reeve_builder *builder, const reeve_value *value)
{
    if (value == NULL)
        return rv_builder_fail(builder, REEVE_EINVAL);
    return rv_builder_copy(builder, rv_value_object(value));
}

/* ---- the letters ---- */

/* The items from here to the bracket that closes here, or to the end. */
static size_t items_len(const char *letters)
{
    size_t len = 0;
    unsigned depth = 0;

    for (const char *p = letters; *p != '\0'; p++) {
        if (*p == ')' || *p == '}') {
            if (depth-- == 0)
                break;
        } else {
            len += depth == 0;
            depth += *p == '(' || *p == '{';
        }
    }
    return len;
}

/* Brackets in pairs and not too deep, keys with their values, and no letter but the known. */
static bool letters_valid(const char *format, const char *known)
{
    char closes[RV_VALUE_DEPTH_MAX];
    unsigned depth = 0;

    if (format == NULL)
        return false;
    for (const char *p = format; *p != '\0'; p++) {
        if (*p == '(' || *p == '{') {
            if (depth == RV_VALUE_DEPTH_MAX || (*p == '{' && items_len(p + 1) % 2 != 0))
                return false;
            closes[depth++] = *p == '(' ? ')' : '}';
        } else if (*p == ')' || *p == '}') {
            if (depth == 0 || closes[--depth] != *p)
                return false;
        } else if (strchr(known, *p) == NULL) {
            return false;
        }
    }
    return depth == 0;
}

reeve_err reeve_pack(reeve_builder *builder, const char *format, ...)
{
    reeve_err err = REEVE_OK;
    va_list args;

    va_start(args, format);
    err = reeve_vpack(builder, format, args);
    va_end(args);
    return err;
}

reeve_err reeve_vpack(reeve_builder *builder, const char *format, va_list args)
{
    reeve_err err = rv_builder_fail(builder, REEVE_OK); /* what sticks already */

    if (!letters_valid(format, "nbiufsyv"))
        return rv_builder_fail(builder, REEVE_EINVAL);
    for (const char *p = format; err == REEVE_OK && *p != '\0'; p++) {
        const void *data = NULL;

        switch (*p) {
        case 'n':
            err = reeve_put_nil(builder);
            break;
        case 'b':
            err = reeve_put_bool(builder, va_arg(args, int) != 0);
            break;
        case 'i':
            err = reeve_put_int(builder, va_arg(args, int64_t));
            break;
        case 'u':
            err = reeve_put_uint(builder, va_arg(args, uint64_t));
            break;
        case 'f':
            err = reeve_put_float(builder, va_arg(args, double));
            break;
        case 's':
            err = reeve_put_str(builder, va_arg(args, const char *));
            break;
        case 'y':
            data = va_arg(args, const void *);
            err = reeve_put_bytes(builder, data, va_arg(args, size_t));
            break;
        case 'v':
            err = reeve_put_value(builder, va_arg(args, const reeve_value *));
            break;
        case '(':
            err = reeve_put_array(builder, items_len(p + 1));
            break;
        case '{':
            err = reeve_put_map(builder, items_len(p + 1) / 2);
            break;
        }
    }
    return err;
}

/* ---- reading ---- */

static const reeve_value *value_of(const msgpack_object *o)
{
    return (const reeve_value *)o;
}

void reeve_value_free(reeve_value **value)
{
    if (value != NULL)
        rv_value_free(value);
}

reeve_type reeve_value_type(const reeve_value *value)
{
    static const reeve_type types[] = {
        [MSGPACK_OBJECT_NIL] = REEVE_NIL,
        [MSGPACK_OBJECT_BOOLEAN] = REEVE_BOOL,
        [MSGPACK_OBJECT_POSITIVE_INTEGER] = REEVE_INT,
        [MSGPACK_OBJECT_NEGATIVE_INTEGER] = REEVE_INT,
        [MSGPACK_OBJECT_FLOAT64] = REEVE_FLOAT,
        [MSGPACK_OBJECT_STR] = REEVE_STR,
        [MSGPACK_OBJECT_BIN] = REEVE_BYTES,
        [MSGPACK_OBJECT_ARRAY] = REEVE_ARRAY,
        [MSGPACK_OBJECT_MAP] = REEVE_MAP,
        [MSGPACK_OBJECT_EXT] = REEVE_REF,
    };

    return types[rv_value_object(value)->type];
}

bool reeve_get_ref(const reeve_value *value, reeve_ref *ref)
{
    return rv_value_ref_read(ref, rv_value_object(value));
}

bool reeve_get_bool(const reeve_value *value, bool *x)
{
    const msgpack_object *o = rv_value_object(value);

    if (o->type != MSGPACK_OBJECT_BOOLEAN)
        return false;
    *x = o->via.boolean;
    return true;
}

bool reeve_get_int(const reeve_value *value, int64_t *x)
{
    const msgpack_object *o = rv_value_object(value);
    bool positive = o->type == MSGPACK_OBJECT_POSITIVE_INTEGER && o->via.u64 <= INT64_MAX;

    if (!positive && o->type != MSGPACK_OBJECT_NEGATIVE_INTEGER)
        return false;
    *x = positive ? (int64_t)o->via.u64 : o->via.i64;
    return true;
}

bool reeve_get_uint(const reeve_value *value, uint64_t *x)
{
    const msgpack_object *o = rv_value_object(value);

    if (o->type != MSGPACK_OBJECT_POSITIVE_INTEGER)
        return false;
    *x = o->via.u64;
    return true;
}

bool reeve_get_float(const reeve_value *value, double *x)
{
    const msgpack_object *o = rv_value_object(value);
    double f = 0;
    bool exact = false;

    if (o->type == MSGPACK_OBJECT_FLOAT64) {
        f = o->via.f64;
        exact = true;
    } else if (o->type == MSGPACK_OBJECT_NEGATIVE_INTEGER) {
        f = (double)o->via.i64; /* at least -2^63, so the way back is defined */
        exact = (int64_t)f == o->via.i64;
    } else if (o->type == MSGPACK_OBJECT_POSITIVE_INTEGER) {
        f = (double)o->via.u64;
        exact = f < 0x1p64 && (uint64_t)f == o->via.u64;
    }
    if (exact)
        *x = f;
    return exact;
}

bool reeve_get_str(const reeve_value *value, const char **text, size_t *len)
{
    const msgpack_object *o = rv_value_object(value);

    if (o->type != MSGPACK_OBJECT_STR)
        return false;
    *text = o->via.str.ptr;
    *len = o->via.str.size;
    return true;
}

bool reeve_get_bytes(const reeve_value *value, const void **data, size_t *len)
{
    const msgpack_object *o = rv_value_object(value);

    if (o->type != MSGPACK_OBJECT_BIN)
        return false;
    *data = o->via.bin.ptr;
    *len = o->via.bin.size;
    return true;
}

size_t reeve_value_len(const reeve_value *value)
{
    const msgpack_object *o = rv_value_object(value);

    if (o->type == MSGPACK_OBJECT_ARRAY)
        return o->via.array.size;
    return o->type == MSGPACK_OBJECT_MAP ? o->via.map.size : 0;
}

const reeve_value *reeve_value_at(const reeve_value *value, size_t i)
{
    const msgpack_object *o = rv_value_object(value);

    if (o->type != MSGPACK_OBJECT_ARRAY || i >= o->via.array.size)
        return NULL;
    return value_of(&o->via.array.ptr[i]);
}

bool reeve_value_pair(const reeve_value *value, size_t i, const reeve_value **key,
                      const reeve_value **item)
{
    const msgpack_object *o = rv_value_object(value);

    if (o->type != MSGPACK_OBJECT_MAP || i >= o->via.map.size)
        return false;
    *key = value_of(&o->via.map.ptr[i].key);
    *item = value_of(&o->via.map.ptr[i].val);
    return true;
}

const reeve_value *reeve_value_find(const reeve_value *value, const char *key)
{
    struct rv_slice wanted = rv_slice_str(key);
    const reeve_value *found = NULL;
    const reeve_value *item = NULL;

    for (size_t i = 0; key != NULL && reeve_value_pair(value, i, &found, &item); i++) {
        const char *text = NULL;
        size_t len = 0;

        if (reeve_get_str(found, &text, &len) && rv_slice_equal(rv_slice(text, len), wanted))
            return item;
    }
    return NULL;
}

static bool unpack_one(const msgpack_object *o, const char *letter, va_list *args)
{
    const reeve_value *v = value_of(o);
    const char **text = NULL;
    const void **data = NULL;

    switch (*letter) {
    case 'n':
        return o->type == MSGPACK_OBJECT_NIL;
    case 'b':
        return reeve_get_bool(v, va_arg(*args, bool *));
    case 'i':
        return reeve_get_int(v, va_arg(*args, int64_t *));
    case 'u':
        return reeve_get_uint(v, va_arg(*args, uint64_t *));
    case 'f':
        return reeve_get_float(v, va_arg(*args, double *));
    case 's':
        text = va_arg(*args, const char **);
        return reeve_get_str(v, text, va_arg(*args, size_t *));
    case 'y':
        data = va_arg(*args, const void **);
        return reeve_get_bytes(v, data, va_arg(*args, size_t *));
    case 'v':
        *va_arg(*args, const reeve_value **) = v;
        return true;
    case '(':
        return o->type == MSGPACK_OBJECT_ARRAY && o->via.array.size == items_len(letter + 1);
    case '{':
        return o->type == MSGPACK_OBJECT_MAP && o->via.map.size == items_len(letter + 1) / 2;
    default: /* '*' */
        return true;
    }
}

/* The counts fit the letters, so the closing brackets alone say when a container ends. */
reeve_err reeve_unpack(const reeve_value *value, const char *format, ...)
{
    const msgpack_object *next[RV_VALUE_DEPTH_MAX + 1] = {rv_value_object(value)};
    unsigned depth = 0;
    bool fits = value != NULL;
    va_list args;

    if (!letters_valid(format, "nbiufsyv*") || items_len(format) != 1)
        return REEVE_EINVAL;
    va_start(args, format);
    for (const char *p = format; fits && *p != '\0'; p++) {
        const msgpack_object *o = NULL;

        if (*p == ')' || *p == '}') {
            depth--;
            continue;
        }
        o = next[depth]++;
        fits = unpack_one(o, p, &args);
        if (fits && *p == '(')
            next[++depth] = o->via.array.ptr;
        if (fits && *p == '{')
            next[++depth] = (const msgpack_object *)o->via.map.ptr;
    }
    va_end(args);
    return fits ? REEVE_OK : REEVE_ETYPE;
}
