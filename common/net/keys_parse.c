#include "common/net/keys.h"

#include <sodium.h>
#include <stdio.h>

/* ---- pieces of text ---- */

static bool blank(uint8_t c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

static struct rv_slice trim(struct rv_slice text)
{
    while (text.len > 0 && blank(text.data[0]))
        text = rv_slice(text.data + 1, text.len - 1);
    while (text.len > 0 && blank(text.data[text.len - 1]))
        text.len--;
    return text;
}

/* Take what is before the next end character off the front of *text; all of it if there is none. */
static struct rv_slice take(struct rv_slice *text, char end)
{
    const uint8_t *at = text->len == 0 ? NULL : memchr(text->data, end, text->len);
    struct rv_slice front = *text;

    if (at == NULL) {
        text->len = 0;
        return front;
    }
    front.len = (size_t)(at - text->data);
    *text = rv_slice(at + 1, text->len - front.len - 1);
    return front;
}

/* A '#' after a blank starts a comment. Inside a value it may be part of a key. */
static struct rv_slice strip_comment(struct rv_slice value)
{
    for (size_t i = 0; i < value.len; i++)
        if (value.data[i] == '#' && (i == 0 || blank(value.data[i - 1])))
            return trim(rv_slice(value.data, i));
    return value;
}

static bool printable(struct rv_slice text)
{
    for (size_t i = 0; i < text.len; i++)
        if (text.data[i] <= ' ' || text.data[i] > '~')
            return false;
    return text.len > 0;
}

static bool letters(struct rv_slice text)
{
    for (size_t i = 0; i < text.len; i++)
        if (text.data[i] < 'a' || text.data[i] > 'z')
            return false;
    return text.len > 0;
}

static void copy(char *out, struct rv_slice text)
{
    memcpy(out, text.data, text.len);
    out[text.len] = '\0';
}

/* ---- the words; each returns what is wrong with its value, NULL if nothing ---- */

#define NOT_A_KEY "is not a key, which has 40 characters of Z85"
#define TWICE     "stands here for the second time"

static const char *read_key(char out[RV_KEY_TEXT], struct rv_slice value)
{
    uint8_t key[32];
    bool valid = value.len == RV_KEY_TEXT - 1 && printable(value);

    if (!valid)
        return NOT_A_KEY;
    copy(out, value);
    valid = rv_keys_decode(key, out);
    sodium_memzero(key, sizeof key);
    return valid ? NULL : NOT_A_KEY;
}

static const char *on_name(struct rv_keyfile *k, struct rv_slice value)
{
    if (k->name[0] != '\0')
        return TWICE;
    if (value.len > RV_NAME_MAX || !printable(value))
        return "has 1 to 64 characters without blanks";
    copy(k->name, value);
    return NULL;
}

/* Whether a second one may stand here is known at the end. */
static const char *on_public(struct rv_keyfile *k, struct rv_slice value)
{
    if (k->other_key[0] != '\0')
        return TWICE;
    return read_key(k->public_key[0] != '\0' ? k->other_key : k->public_key, value);
}

static const char *on_secret(struct rv_keyfile *k, struct rv_slice value)
{
    return k->secret_key[0] != '\0' ? TWICE : read_key(k->secret_key, value);
}

static const char *on_authkey(struct rv_keyfile *k, struct rv_slice value)
{
    return k->authkey[0] != '\0' ? TWICE : read_key(k->authkey, value);
}

static const char *on_server(struct rv_keyfile *k, struct rv_slice value)
{
    if (k->servers_len == RV_KEYS_SERVERS)
        return "can be given 8 times";
    return read_key(k->servers[k->servers_len++], value);
}

static const char *on_role(struct rv_keyfile *k, struct rv_slice value)
{
    static const char *const roles[] = {"client", "worker", "admin"};

    if (k->role[0] != '\0')
        return TWICE;
    for (size_t i = 0; i < rv_countof(roles); i++)
        if (rv_slice_equal(value, rv_slice_str(roles[i]))) {
            copy(k->role, value);
            return NULL;
        }
    return "is client, worker or admin";
}

static const char *on_rights(struct rv_keyfile *k, struct rv_slice value)
{
    if (k->rights_len == RV_KEYS_RIGHTS)
        return "can be given 16 times";
    if (value.len >= sizeof k->rights[0] || !printable(value))
        return "have 1 to 127 characters without blanks";
    copy(k->rights[k->rights_len++], value);
    return NULL;
}

static const char *on_quota(struct rv_keyfile *k, struct rv_slice value)
{
    if (k->quotas_len == RV_KEYS_QUOTAS)
        return "can be given 8 times";
    if (value.len >= sizeof k->quotas[0] || !printable(value))
        return "has 1 to 31 characters without blanks";
    copy(k->quotas[k->quotas_len++], value);
    return NULL;
}

/* So many digits at *at, which moves behind them and the end character, if there is one. */
static bool read_digits(struct rv_slice *at, size_t digits, char end, int *out)
{
    *out = 0;
    if (at->len < digits + (end != '\0'))
        return false;
    for (size_t i = 0; i < digits; i++) {
        if (at->data[i] < '0' || at->data[i] > '9')
            return false;
        *out = *out * 10 + at->data[i] - '0';
    }
    if (end != '\0' && at->data[digits] != end)
        return false;
    *at = rv_slice(at->data + digits + (end != '\0'), at->len - digits - (end != '\0'));
    return true;
}

/* Days since 1970 of a date of the Gregorian calendar: years begin in March, so that the leap day is
 * the last one. */
static int64_t days_of(int year, int month, int day)
{
    int64_t y = year - (month <= 2);
    int64_t era = y / 400;
    int64_t of_era = y - era * 400;
    int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;

    return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

static int month_days(int year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

    return days[month - 1] + (month == 2 && leap);
}

static bool read_instant(struct rv_slice at, int64_t *out)
{
    int year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0;
    bool clock = at.len > 10;

    if (!read_digits(&at, 4, '-', &year) || !read_digits(&at, 2, '-', &month) ||
        !read_digits(&at, 2, clock ? 'T' : '\0', &day) || year < 1970 || month < 1 || month > 12 ||
        day < 1 || day > month_days(year, month))
        return false;
    if (clock && (!read_digits(&at, 2, ':', &hour) || !read_digits(&at, 2, ':', &minute) ||
                  !read_digits(&at, 2, 'Z', &second) || hour > 23 || minute > 59 || second > 59))
        return false;
    *out = ((days_of(year, month, day) * 24 + hour) * 60 + minute) * 60 + second;
    return at.len == 0 && *out > 0;
}

static const char *on_expires(struct rv_keyfile *k, struct rv_slice value)
{
    if (k->expires != 0)
        return TWICE;
    return read_instant(value, &k->expires)
               ? NULL
               : "is a day or an instant in UTC, as 2027-01-31 or 2027-01-31T12:00:00Z";
}

static const struct {
    const char *word;
    const char *(*read)(struct rv_keyfile *k, struct rv_slice value);
} words[] = {
    {"name", on_name},       {"public", on_public},   {"secret", on_secret},
    {"authkey", on_authkey}, {"server", on_server},   {"role", on_role},
    {"rights", on_rights},   {"expires", on_expires}, {"quota", on_quota},
};

/* ---- lines ---- */

/* What can't be a word is not repeated in the message: it may be a secret gone astray. */
static bool read_line(struct rv_keyfile *k, struct rv_slice line, unsigned number, char *why)
{
    struct rv_slice value = line;
    struct rv_slice word = trim(take(&value, '='));
    const char *wrong = NULL;

    if (word.len == 0 ? value.len == 0 : word.data[0] == '#')
        return true;
    if (!letters(word) || word.len > 20 || line.len == 0 ||
        memchr(line.data, '=', line.len) == NULL) {
        snprintf(why, RV_KEYS_WHY, "line %u: not a line of the form word = value", number);
        return false;
    }
    for (size_t i = 0; i < rv_countof(words); i++) {
        if (!rv_slice_equal(word, rv_slice_str(words[i].word)))
            continue;
        wrong = words[i].read(k, strip_comment(trim(value)));
        if (wrong != NULL)
            snprintf(why, RV_KEYS_WHY, "line %u: %s %s", number, words[i].word, wrong);
        return wrong == NULL;
    }
    snprintf(why, RV_KEYS_WHY, "line %u: unknown word '%.*s'", number, (int)word.len,
             (const char *)word.data);
    return false;
}

bool rv_keys_parse(struct rv_keyfile *out, struct rv_slice text, char *why)
{
    bool valid = true;

    memset(out, 0, sizeof *out);
    for (unsigned number = 1; valid && text.len > 0; number++)
        valid = read_line(out, take(&text, '\n'), number, why);
    if (valid && out->authkey[0] != '\0') {
        valid = out->public_key[0] == '\0' && out->secret_key[0] == '\0' && out->servers_len == 0;
        if (valid)
            rv_keys_derive(out);
        else
            snprintf(why, RV_KEYS_WHY, "an authkey has no line public, secret or server");
    }
    if (valid && out->public_key[0] == '\0') {
        snprintf(why, RV_KEYS_WHY, "it has no line public = KEY");
        valid = false;
    }
    if (valid && out->other_key[0] != '\0' && out->secret_key[0] != '\0') {
        snprintf(why, RV_KEYS_WHY, "a secret key has one public key");
        valid = false;
    }
    if (!valid)
        rv_keys_wipe(out);
    return valid;
}
