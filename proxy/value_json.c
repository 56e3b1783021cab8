/* value_json.c -- values as JSON, for people and scripts.
 *
 * What JSON lacks: bytes are {"bytes": "<base64>"}; a reference is {"object": 7}; NaN and the infinities are null; keys that are
 * numbers, booleans or nil are quoted; a map with any other key is {"pairs": [[key, item], ...]};
 * what is not UTF-8 becomes U+FFFD. */

#include <reeve/value.h>

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/base/buf.h"
#include "common/value/value.h"

static void put_text(struct rv_buf *out, const char *text)
{
    rv_buf_add(out, text, strlen(text));
}

static void put_string(struct rv_buf *out, struct rv_slice text)
{
    put_text(out, "\"");
    while (text.len > 0) {
        size_t len = rv_utf8_len(text);
        uint8_t c = text.data[0];
        char code[8];

        if (len == 0) {
            put_text(out, "\xef\xbf\xbd");
            len = 1;
        } else if (c == '"' || c == '\\') {
            snprintf(code, sizeof code, "\\%c", c);
            put_text(out, code);
        } else if (c < 0x20) {
            snprintf(code, sizeof code, c == '\n' ? "\\n" : c == '\t' ? "\\t" : "\\u%04x", c);
            put_text(out, code);
        } else {
            rv_buf_add(out, text.data, len);
        }
        text = rv_slice(text.data + len, text.len - len);
    }
    put_text(out, "\"");
}

static void put_base64(struct rv_buf *out, struct rv_slice bytes)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

    for (size_t i = 0; i < bytes.len; i += 3) {
        const uint8_t *p = bytes.data + i;
        size_t left = bytes.len - i;
        uint32_t x = (uint32_t)p[0] << 16 | (left > 1 ? p[1] : 0u) << 8 | (left > 2 ? p[2] : 0u);
        char four[] = {digits[x >> 18], digits[x >> 12 & 63], left > 1 ? digits[x >> 6 & 63] : '=',
                       left > 2 ? digits[x & 63] : '='};

        rv_buf_add(out, four, sizeof four);
    }
}

/* The shortest of the three precisions that reads back as the same number, and always with a point
 * or an exponent, so that it stays a float. The locale may have another point, of any length. */
static void put_float(struct rv_buf *out, double x)
{
    char text[64];
    bool integral = true;

    if (!isfinite(x)) {
        put_text(out, "null");
        return;
    }
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, x);
        if (strtod(text, NULL) == x)
            break;
    }
    for (const char *p = text; *p != '\0'; p++) {
        bool plain = strchr("+-0123456789e", *p) != NULL;

        if (plain)
            rv_buf_add(out, p, 1);
        else if (integral)
            put_text(out, ".");
        integral = integral && plain && *p != 'e';
    }
    if (integral)
        put_text(out, ".0");
}

static bool is_text(const msgpack_object *o)
{
    return o->type == MSGPACK_OBJECT_STR;
}

/* Keys that would nest are not quoted: quotes within quotes double with each level. */
static bool keys_plain(const msgpack_object_map *map)
{
    for (uint32_t i = 0; i < map->size; i++) {
        if (rv_object_nests(&map->ptr[i].key) || map->ptr[i].key.type == MSGPACK_OBJECT_BIN)
            return false;
    }
    return true;
}

static void put_object(struct rv_buf *out, const msgpack_object *o);

static void put_map(struct rv_buf *out, const msgpack_object_map *map)
{
    bool plain = keys_plain(map);

    put_text(out, plain ? "{" : "{\"pairs\": [");
    for (uint32_t i = 0; i < map->size && !out->bad; i++) {
        const msgpack_object_kv *pair = &map->ptr[i];
        const char *quote = plain && !is_text(&pair->key) ? "\"" : "";

        put_text(out, i == 0 ? "" : ", ");
        put_text(out, plain ? quote : "[");
        put_object(out, &pair->key);
        put_text(out, plain ? quote : "");
        put_text(out, plain ? ": " : ", ");
        put_object(out, &pair->val);
        put_text(out, plain ? "" : "]");
    }
    put_text(out, plain ? "}" : "]}");
}

/* A parsed value is never deeper than the stack allows. */
static void put_object(struct rv_buf *out, const msgpack_object *o)
{
    char number[64];
    reeve_ref ref;

    switch (o->type) {
    case MSGPACK_OBJECT_BOOLEAN:
        put_text(out, o->via.boolean ? "true" : "false");
        break;
    case MSGPACK_OBJECT_POSITIVE_INTEGER:
        snprintf(number, sizeof number, "%" PRIu64, o->via.u64);
        put_text(out, number);
        break;
    case MSGPACK_OBJECT_NEGATIVE_INTEGER:
        snprintf(number, sizeof number, "%" PRId64, o->via.i64);
        put_text(out, number);
        break;
    case MSGPACK_OBJECT_FLOAT64:
        put_float(out, o->via.f64);
        break;
    case MSGPACK_OBJECT_STR:
        put_string(out, rv_slice(o->via.str.ptr, o->via.str.size));
        break;
    case MSGPACK_OBJECT_BIN:
        put_text(out, "{\"bytes\": \"");
        put_base64(out, rv_slice(o->via.bin.ptr, o->via.bin.size));
        put_text(out, "\"}");
        break;
    case MSGPACK_OBJECT_ARRAY:
        put_text(out, "[");
        for (uint32_t i = 0; i < o->via.array.size && !out->bad; i++) {
            put_text(out, i == 0 ? "" : ", ");
            put_object(out, &o->via.array.ptr[i]);
        }
        put_text(out, "]");
        break;
    case MSGPACK_OBJECT_MAP:
        put_map(out, &o->via.map);
        break;
    case MSGPACK_OBJECT_EXT:
        snprintf(number, sizeof number, "{\"object\": %" PRIu64 "}",
                 rv_value_ref_read(&ref, o) ? ref.object : 0);
        put_text(out, number);
        break;
    default:
        put_text(out, "null");
    }
}

char *reeve_value_json(const reeve_value *value)
{
    struct rv_buf out = {0};

    put_object(&out, rv_value_object(value));
    rv_buf_add(&out, "", 1);
    if (out.bad)
        rv_buf_free(&out);
    return (char *)out.data;
}
