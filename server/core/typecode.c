#include "server/core/typecode.h"

#include "common/value/value.h"

#include <float.h>

struct range {
    uint8_t code;
    int64_t least;
    uint64_t most;
};

static const struct range ranges[] = {
    {'b', INT8_MIN, INT8_MAX},   {'B', 0, UINT8_MAX},         {'h', INT16_MIN, INT16_MAX},
    {'H', 0, UINT16_MAX},        {'i', INT32_MIN, INT32_MAX}, {'I', 0, UINT32_MAX},
    {'l', INT64_MIN, INT64_MAX}, {'L', 0, UINT64_MAX},        {'q', INT64_MIN, INT64_MAX},
    {'Q', 0, UINT64_MAX},
};

static const struct range *range_of(uint8_t code)
{
    for (size_t i = 0; i < rv_countof(ranges); i++)
        if (ranges[i].code == code)
            return &ranges[i];
    return NULL;
}

static bool has_float(uint8_t code)
{
    return code == 'f' || code == 'd';
}

static bool has_character(uint8_t code)
{
    return code == 'u' || code == 'w';
}

bool typecode_known(uint8_t code)
{
    return range_of(code) != NULL || has_float(code) || has_character(code) || code == '?' ||
           code == 'c';
}

struct rv_slice typecode_zero(uint8_t code)
{
    static const uint8_t integer[] = {0x00};
    static const uint8_t number[] = {0xcb, 0, 0, 0, 0, 0, 0, 0, 0};
    static const uint8_t no[] = {0xc2};
    static const uint8_t byte[] = {0xc4, 1, 0};
    static const uint8_t character[] = {0xa1, 0};
    static const uint8_t nil[] = {0xc0};

    if (range_of(code) != NULL)
        return rv_slice(integer, sizeof integer);
    if (has_float(code))
        return rv_slice(number, sizeof number);
    if (has_character(code))
        return rv_slice(character, sizeof character);
    if (code == '?')
        return rv_slice(no, sizeof no);
    if (code == 'c')
        return rv_slice(byte, sizeof byte);
    return rv_slice(nil, sizeof nil);
}

static reeve_err wrong_type(const char **text)
{
    *text = "the value is not of the type that the typecode says";
    return REEVE_ETYPE;
}

static reeve_err out_of_range(const char **text)
{
    *text = "the value is out of the range of the typecode";
    return REEVE_EVALUE;
}

static reeve_err fit_integer(const struct range *range, const msgpack_object *o, const char **text)
{
    if (o->type == MSGPACK_OBJECT_POSITIVE_INTEGER)
        return o->via.u64 <= range->most ? REEVE_OK : out_of_range(text);
    if (o->type == MSGPACK_OBJECT_NEGATIVE_INTEGER)
        return o->via.i64 >= range->least ? REEVE_OK : out_of_range(text);
    return wrong_type(text);
}

static reeve_err fit_float(uint8_t code, msgpack_object *o, const char **text)
{
    double x = o->via.f64;

    if (o->type == MSGPACK_OBJECT_POSITIVE_INTEGER)
        x = (double)o->via.u64;
    else if (o->type == MSGPACK_OBJECT_NEGATIVE_INTEGER)
        x = (double)o->via.i64;
    else if (o->type != MSGPACK_OBJECT_FLOAT64)
        return wrong_type(text);
    if (code == 'f' && x - x == 0 && (x > (double)FLT_MAX || x < -(double)FLT_MAX))
        return out_of_range(text);
    o->type = MSGPACK_OBJECT_FLOAT64;
    o->via.f64 = code == 'f' ? (double)(float)x : x;
    return REEVE_OK;
}

static void write_number(struct rv_buf *out, const msgpack_object *o)
{
    uint8_t bytes[RV_VALUE_NUMBER_MAX];

    rv_buf_add(out, bytes, rv_value_number(bytes, o));
}

reeve_err typecode_fit(uint8_t code, struct rv_slice value, struct rv_buf *out, const char **text)
{
    const struct range *range = range_of(code);
    msgpack_object o;
    reeve_err err = REEVE_OK;

    if (!rv_value_scalar(&o, value))
        return wrong_type(text);
    if (range != NULL || has_float(code)) {
        err = range != NULL ? fit_integer(range, &o, text) : fit_float(code, &o, text);
        if (err == REEVE_OK)
            write_number(out, &o);
        return err;
    }
    if (code == '?'   ? o.type != MSGPACK_OBJECT_BOOLEAN
        : code == 'c' ? o.type != MSGPACK_OBJECT_BIN || o.via.bin.size != 1
                      : o.type != MSGPACK_OBJECT_STR || o.via.str.size == 0 ||
                            rv_utf8_len(rv_slice(o.via.str.ptr, o.via.str.size)) != o.via.str.size)
        return wrong_type(text);
    rv_buf_add(out, value.data, value.len);
    return REEVE_OK;
}
