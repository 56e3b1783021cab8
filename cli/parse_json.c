/* parse_json.c -- JSON text to a value. What reeve prints as JSON becomes the same value again:
 * {"bytes": "<base64>"} is bytes, {"pairs": [[key, item], ...]} a map whose keys need not be texts, a
 * number with a point or an exponent a float. */

#include "cli/container.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DEPTH_MAX = 64 };

static const char DIGITS[] = "0123456789";

struct json {
    const char *at, *end;
    const char *start;
    reeve_builder *out;
    unsigned depth;
    bool plain;        /* the outermost map is one, whatever its keys are */
    const char *wrong; /* the first thing that is; NULL while all is well */
    const char *wrong_at;
};

static bool fail(struct json *j, const char *wrong)
{
    if (j->wrong == NULL) {
        j->wrong = wrong;
        j->wrong_at = j->at;
    }
    return false;
}

static void skip_blanks(struct json *j)
{
    while (j->at < j->end && strchr(" \t\r\n", *j->at) != NULL && *j->at != '\0')
        j->at++;
}

static bool next_is(struct json *j, char c)
{
    skip_blanks(j);
    return j->at < j->end && *j->at == c;
}

static bool take(struct json *j, char c)
{
    if (!next_is(j, c))
        return false;
    j->at++;
    return true;
}

/* ---- texts ---- */

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

/* The four digits after \u. */
static bool take_hex(struct json *j, unsigned *out)
{
    *out = 0;
    if (j->end - j->at < 4)
        return fail(j, "a \\u wants four hexadecimal digits");
    for (int i = 0; i < 4; i++) {
        int digit = hex_digit(*j->at);

        if (digit < 0)
            return fail(j, "a \\u wants four hexadecimal digits");
        *out = *out << 4 | (unsigned)digit;
        j->at++;
    }
    return true;
}

static size_t put_utf8(char *out, unsigned code)
{
    if (code < 0x80) {
        out[0] = (char)code;
        return 1;
    }
    if (code < 0x800) {
        out[0] = (char)(0xc0 | code >> 6);
        out[1] = (char)(0x80 | (code & 0x3f));
        return 2;
    }
    if (code < 0x10000) {
        out[0] = (char)(0xe0 | code >> 12);
        out[1] = (char)(0x80 | (code >> 6 & 0x3f));
        out[2] = (char)(0x80 | (code & 0x3f));
        return 3;
    }
    out[0] = (char)(0xf0 | code >> 18);
    out[1] = (char)(0x80 | (code >> 12 & 0x3f));
    out[2] = (char)(0x80 | (code >> 6 & 0x3f));
    out[3] = (char)(0x80 | (code & 0x3f));
    return 4;
}

/* A code point, of one \u or of two that belong together. */
static bool take_code(struct json *j, unsigned *code)
{
    unsigned low = 0;

    if (!take_hex(j, code))
        return false;
    if (*code < 0xd800 || *code > 0xdfff)
        return true;
    if (*code > 0xdbff || j->end - j->at < 6 || j->at[0] != '\\' || j->at[1] != 'u')
        return fail(j, "half a surrogate pair");
    j->at += 2;
    if (!take_hex(j, &low))
        return false;
    if (low < 0xdc00 || low > 0xdfff)
        return fail(j, "half a surrogate pair");
    *code = 0x10000 + ((*code - 0xd800) << 10) + (low - 0xdc00);
    return true;
}

static bool take_escape(struct json *j, char *out, size_t *len)
{
    static const char letters[] = "\"\\/bfnrt";
    static const char meanings[] = "\"\\/\b\f\n\r\t";
    const char *found = NULL;
    unsigned code = 0;

    if (j->at == j->end)
        return fail(j, "a text that does not end");
    if (*j->at == 'u') {
        j->at++;
        if (!take_code(j, &code))
            return false;
        *len += put_utf8(out + *len, code);
        return true;
    }
    found = *j->at == '\0' ? NULL : strchr(letters, *j->at);
    if (found == NULL)
        return fail(j, "an unknown escape in a text");
    out[(*len)++] = meanings[found - letters];
    j->at++;
    return true;
}

/* How long the text is that begins here, with its escapes. */
static size_t raw_len(const struct json *j)
{
    const char *at = j->at;

    while (at < j->end && *at != '"')
        at += *at == '\\' && at + 1 < j->end ? 2 : 1;
    return (size_t)(at - j->at);
}

/* The text without quotes and escapes; *out is the caller's. An escape never gets longer. */
static bool take_text(struct json *j, char **out, size_t *len)
{
    *len = 0;
    *out = NULL;
    if (!take(j, '"'))
        return fail(j, "a text in double quotes was expected");
    *out = malloc(raw_len(j) + 1);
    if (*out == NULL)
        return fail(j, "out of memory");
    while (j->at < j->end && *j->at != '"') {
        char c = *j->at;

        if ((unsigned char)c < 0x20)
            return fail(j, "a control character in a text; write it as \\n, \\t or \\u00XX");
        j->at++;
        if (c != '\\')
            (*out)[(*len)++] = c;
        else if (!take_escape(j, *out, len))
            return false;
    }
    if (j->at == j->end)
        return fail(j, "a text that does not end");
    j->at++;
    return true;
}

static bool put_text(struct json *j)
{
    char *text = NULL;
    size_t len = 0;
    bool good = take_text(j, &text, &len);

    if (good && reeve_put_strn(j->out, text, len) != REEVE_OK)
        good = fail(j, "a text that is not UTF-8");
    free(text);
    return good;
}

/* ---- numbers and words ---- */

/* JSON has no 007, 1. or .5; what looks like these is a text of somebody's. */
static bool is_number(const char *text)
{
    const char *c = text + (*text == '-');
    size_t digits = strspn(c, DIGITS);

    if (digits == 0 || (*c == '0' && digits > 1))
        return false;
    c += digits;
    if (*c == '.') {
        digits = strspn(++c, DIGITS);
        if (digits == 0)
            return false;
        c += digits;
    }
    if (*c == 'e' || *c == 'E') {
        c += c[1] == '+' || c[1] == '-' ? 2 : 1;
        digits = strspn(c, DIGITS);
        if (digits == 0)
            return false;
        c += digits;
    }
    return *c == '\0';
}

static bool put_number(struct json *j)
{
    char text[64];
    size_t len = 0;
    bool integer = true;
    double x = 0;

    for (; j->at + len < j->end && len < sizeof text - 1; len++) {
        char c = j->at[len];

        if (c == '\0' || strchr("+-0123456789.eE", c) == NULL)
            break;
        integer = integer && strchr(".eE", c) == NULL;
        text[len] = c;
    }
    text[len] = '\0';
    if (!is_number(text))
        return fail(j, "a malformed number");
    if (integer && len <= 19) { /* any of so few characters fits */
        reeve_put_int(j->out, strtoll(text, NULL, 10));
    } else if (integer && len <= 20 && text[0] != '-' &&
               strcmp(text, "18446744073709551615") <= 0) {
        reeve_put_uint(j->out, strtoull(text, NULL, 10));
    } else {
        x = strtod(text, NULL);
        if (!isfinite(x))
            return fail(j, "a number that is too large");
        reeve_put_float(j->out, x);
    }
    j->at += len;
    return true;
}

static bool take_word(struct json *j, const char *word)
{
    size_t len = strlen(word);

    if ((size_t)(j->end - j->at) < len || memcmp(j->at, word, len) != 0)
        return false;
    j->at += len;
    return true;
}

/* ---- bytes ---- */

static int base64_digit(char c)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *found = c == '\0' ? NULL : strchr(digits, c);

    return found == NULL ? -1 : (int)(found - digits);
}

/* In place. */
static bool decode_base64(char *text, size_t *len)
{
    size_t out = 0;
    unsigned bits = 0;
    unsigned value = 0;
    size_t end = *len;

    if (end % 4 != 0)
        return false;
    for (int i = 0; i < 2 && end > 0 && text[end - 1] == '='; i++)
        end--;
    for (size_t i = 0; i < end; i++) {
        int digit = base64_digit(text[i]);

        if (digit < 0)
            return false;
        value = value << 6 | (unsigned)digit;
        bits += 6;
        if (bits >= 8) {
            bits -= 8;
            text[out++] = (char)(value >> bits & 0xff);
        }
    }
    *len = out;
    return true;
}

/* After {: is this {"bytes": "..."}? */
static bool is_bytes(struct json j)
{
    char *text = NULL;
    size_t len = 0;
    bool so = false;

    if (next_is(&j, '"') && take_word(&j, "\"bytes\"") && take(&j, ':') && next_is(&j, '"')) {
        so = take_text(&j, &text, &len) && next_is(&j, '}');
        free(text);
    }
    return so;
}

static bool put_bytes(struct json *j)
{
    char *text = NULL;
    size_t len = 0;
    bool good = next_is(j, '"') && take_word(j, "\"bytes\"") && take(j, ':') &&
                take_text(j, &text, &len) && take(j, '}');

    if (good && !decode_base64(text, &len))
        good = fail(j, "bytes that are not base64");
    if (good)
        reeve_put_bytes(j->out, text, len);
    free(text);
    return good;
}

/* ---- containers ---- */

/* Go to the bracket that closes what was opened before p->at, and count elements on the way: commas
 * of this level. The builder wants to know before, and what is malformed is found in the real pass. */
static size_t skip_elements(struct json *p)
{
    unsigned depth = 0;
    size_t len = 1;
    bool text = false;

    if (next_is(p, ']') || next_is(p, '}'))
        return 0;
    for (; p->at < p->end; p->at++) {
        char c = *p->at;

        if (text && c == '\\' && p->at + 1 < p->end)
            p->at++;
        else if (c == '"')
            text = !text;
        else if (!text && (c == '[' || c == '{'))
            depth++;
        else if (!text && (c == ']' || c == '}') && depth-- == 0)
            break;
        else if (!text && c == ',' && depth == 0)
            len++;
    }
    return len;
}

static size_t count_elements(const struct json *j)
{
    struct json p = *j;

    return skip_elements(&p);
}

static bool put_any(struct json *j);

static bool begin_pairs(struct json *j)
{
    return next_is(j, '"') && take_word(j, "\"pairs\"") && take(j, ':') && take(j, '[');
}

/* After {: is this {"pairs": [[..., ...], ...]}? */
static bool is_pairs(struct json j)
{
    if (!begin_pairs(&j) || !next_is(&j, '['))
        return false;
    while (take(&j, '[')) {
        if (skip_elements(&j) != 2 || !take(&j, ']'))
            return false;
        if (!take(&j, ','))
            break;
    }
    return take(&j, ']') && next_is(&j, '}');
}

static bool put_pair(struct json *j)
{
    return take(j, '[') && put_any(j) && (take(j, ',') || fail(j, "a comma was expected")) &&
           put_any(j) && (take(j, ']') || fail(j, "a ] was expected"));
}

static bool put_pairs(struct json *j)
{
    size_t len = 0;

    (void)begin_pairs(j);
    len = count_elements(j);
    reeve_put_map(j->out, len);
    for (size_t i = 0; i < len; i++)
        if ((i > 0 && !take(j, ',')) || !put_pair(j))
            return false;
    return take(j, ']') && take(j, '}');
}

static bool put_key(struct json *j)
{
    return put_text(j) && (take(j, ':') || fail(j, "a colon was expected"));
}

static bool put_elements(struct json *j, size_t len, bool map)
{
    for (size_t i = 0; i < len; i++) {
        if (i > 0 && !take(j, ','))
            return fail(j, "a comma was expected");
        skip_blanks(j);
        if ((map && !put_key(j)) || !put_any(j))
            return false;
    }
    return take(j, map ? '}' : ']') || fail(j, map ? "a } was expected" : "a ] was expected");
}

static bool put_container(struct json *j, bool map)
{
    size_t len = 0;
    bool good = false;
    bool plain = j->plain && j->depth == 0;

    j->at++;
    if (map && !plain && is_bytes(*j))
        return put_bytes(j);
    if (j->depth == DEPTH_MAX)
        return fail(j, "more than 64 levels of nesting");
    j->depth++;
    if (map && !plain && is_pairs(*j)) {
        good = put_pairs(j);
    } else {
        len = count_elements(j);
        if (map)
            reeve_put_map(j->out, len);
        else
            reeve_put_array(j->out, len);
        good = put_elements(j, len, map);
    }
    j->depth--;
    return good;
}

static bool put_any(struct json *j)
{
    skip_blanks(j);
    if (j->at == j->end)
        return fail(j, "a value was expected");
    if (*j->at == '{' || *j->at == '[')
        return put_container(j, *j->at == '{');
    if (*j->at == '"')
        return put_text(j);
    if (take_word(j, "null"))
        return reeve_put_nil(j->out) == REEVE_OK;
    if (take_word(j, "true"))
        return reeve_put_bool(j->out, true) == REEVE_OK;
    if (take_word(j, "false"))
        return reeve_put_bool(j->out, false) == REEVE_OK;
    if (hex_digit(*j->at) >= 0 || *j->at == '-')
        return put_number(j);
    return fail(j, "a value was expected");
}

static bool put_all(reeve_builder *builder, const char *text, size_t len, bool plain,
                    char why[CLI_WHY])
{
    struct json j = {.at = text, .end = text + len, .start = text, .out = builder, .plain = plain};
    bool good = put_any(&j);

    skip_blanks(&j);
    if (good && j.at != j.end)
        good = fail(&j, "something follows the value");
    if (good && reeve_builder_check(builder) != REEVE_OK)
        good = fail(&j, reeve_strerror(reeve_builder_check(builder)));
    if (!good)
        snprintf(why, CLI_WHY, "not JSON at character %zu: %s",
                 (size_t)((j.wrong == NULL ? j.at : j.wrong_at) - j.start) + 1,
                 j.wrong == NULL ? "a value was expected" : j.wrong);
    return good;
}

bool cli_put_json(reeve_builder *builder, const char *text, size_t len, char why[CLI_WHY])
{
    return put_all(builder, text, len, false, why);
}

bool cli_put_json_map(reeve_builder *builder, const char *text, size_t len, char why[CLI_WHY])
{
    return put_all(builder, text, len, true, why);
}

bool cli_json_pairs(const char **text, const char *end)
{
    struct json j = {.at = *text, .end = end};

    if (!take(&j, '{') || !is_pairs(j))
        return false;
    (void)begin_pairs(&j);
    *text = j.at - 1;
    return true;
}

bool cli_next_element(const char **text, const char *end, const char **element, size_t *len)
{
    struct json p = {.at = *text, .end = end};
    unsigned depth = 0;
    bool quoted = false;

    skip_blanks(&p);
    if (p.at == p.end || *p.at == ']' || *p.at == '}')
        return false;
    p.at++; /* the bracket, or a comma */
    skip_blanks(&p);
    *element = p.at;
    for (; p.at < p.end; p.at++) {
        char c = *p.at;

        if (quoted && c == '\\' && p.at + 1 < p.end)
            p.at++;
        else if (c == '"')
            quoted = !quoted;
        else if (!quoted && depth == 0 && (c == ',' || c == ']' || c == '}'))
            break;
        else if (!quoted && (c == '[' || c == '{'))
            depth++;
        else if (!quoted && (c == ']' || c == '}'))
            depth--;
    }
    *text = p.at;
    *len = (size_t)(p.at - *element);
    return *len > 0;
}
