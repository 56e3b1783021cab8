/* Containers that are asked what no client of ours asks: each such call is refused by its error, and
 * nothing of it has been. */

#include "tests/lib/sim_raw.h"

#include "common/value/path.h"

#include <stdio.h>

enum { RIGHTS_CLIENT = 2 };

/* Values, as bytes. */
#define BYTES(text) rv_slice(text, sizeof(text) - 1)
#define ONE         BYTES("\x01")
#define NO_VALUE    BYTES("\xc1") /* which MessagePack never uses */
#define NAN_VALUE   BYTES("\xcb\x7f\xf8\0\0\0\0\0\0")
#define TEXT        BYTES("\xa1x")

/* ---- what a container is ---- */

struct shape {
    uint64_t len, bytes, version;
};

/* As one of any type says; a value and an array are lists. */
static struct shape shape_of(struct sim *s, uint64_t box, uint16_t op)
{
    struct rv_buf none = {0};
    struct rv_buf result = {0};
    struct rv_dict_len_result got = {0}; /* that of each type is the same */

    CHECK(sim_ask(s, 1, op, box, &none, &result) == REEVE_OK);
    CHECK(rv_dict_len_result_decode(&got, rv_buf_slice(&result)));
    rv_buf_free(&result);
    return (struct shape){got.len, got.bytes, got.version};
}

static bool same(struct shape a, struct shape b)
{
    return a.len == b.len && a.bytes == b.bytes && a.version == b.version;
}

/* The only value of the answer of list_get or dict_get. */
static bool value_is(struct rv_items values, struct rv_slice wanted)
{
    struct rv_reader r = rv_reader(values.bytes);
    struct rv_item item;

    CHECK(values.count == 1);
    rv_item_read(&r, &item);
    return rv_slice_equal(item.bytes, wanted);
}

static struct rv_slice value_at(struct sim *s, uint64_t list, int64_t at, struct rv_buf *result)
{
    struct rv_buf args = {0};
    struct rv_list_get_result got = {0};
    struct rv_reader r;
    struct rv_item item;

    rv_list_get_args_encode(&args, &(struct rv_list_get_args){.at = at});
    CHECK(sim_ask(s, 1, RV_OP_list_get, list, &args, result) == REEVE_OK);
    CHECK(rv_list_get_result_decode(&got, rv_buf_slice(result)) && got.values.count == 1);
    r = rv_reader(got.values.bytes);
    rv_item_read(&r, &item);
    return item.bytes;
}

static bool holds(struct sim *s, uint64_t list, int64_t at, struct rv_slice wanted)
{
    struct rv_buf result = {0};
    bool so = rv_slice_equal(value_at(s, list, at, &result), wanted);

    rv_buf_free(&result);
    return so;
}

static struct rv_items one(struct rv_slice value)
{
    return raw_slices(&value, 1);
}

static struct rv_items two(struct rv_slice first, struct rv_slice second)
{
    struct rv_slice both[] = {first, second};

    return raw_slices(both, 2);
}

static void start(struct sim *s)
{
    sim_start(s, 2);
    sim_principal(s, "admin", "");
}

static uint64_t box(struct sim *s, uint8_t kind, const char *name)
{
    return raw_open(s, 1, &(struct rv_object_open_args){.kind = kind, .name = rv_slice_str(name)});
}

/* ---- typecodes ---- */

static const struct {
    uint8_t code;
    struct rv_slice zero; /* with which it begins */
} zeros[] = {
    {'b', {(const uint8_t *)"\0", 1}},
    {'B', {(const uint8_t *)"\0", 1}},
    {'h', {(const uint8_t *)"\0", 1}},
    {'H', {(const uint8_t *)"\0", 1}},
    {'i', {(const uint8_t *)"\0", 1}},
    {'I', {(const uint8_t *)"\0", 1}},
    {'l', {(const uint8_t *)"\0", 1}},
    {'L', {(const uint8_t *)"\0", 1}},
    {'q', {(const uint8_t *)"\0", 1}},
    {'Q', {(const uint8_t *)"\0", 1}},
    {'f', {(const uint8_t *)"\xcb\0\0\0\0\0\0\0\0", 9}},
    {'d', {(const uint8_t *)"\xcb\0\0\0\0\0\0\0\0", 9}},
    {'?', {(const uint8_t *)"\xc2", 1}},
    {'c', {(const uint8_t *)"\xc4\x01\0", 3}},
    {'u', {(const uint8_t *)"\xa1\0", 2}},
    {'w', {(const uint8_t *)"\xa1\0", 2}},
    {0, {(const uint8_t *)"\xc0", 1}},
};

TEST(value_begins_with_the_zero_of_its_typecode)
{
    struct sim s;

    start(&s);
    for (size_t i = 0; i < rv_countof(zeros); i++) {
        uint64_t v = raw_open(
            &s, 1, &(struct rv_object_open_args){.kind = RV_KIND_VALUE, .typecode = zeros[i].code});

        CHECK(holds(&s, v, 0, zeros[i].zero));
        CHECK(shape_of(&s, v, RV_OP_list_len).bytes == zeros[i].zero.len);
    }
    RAW(&s, 1, REEVE_EINVAL, object_open, 0, .create = 1, .kind = RV_KIND_VALUE, .typecode = 'x');
    sim_stop(&s);
}

#define ROW(code, error, value, kept)                                                              \
    {                                                                                              \
        code, error, {(const uint8_t *)(value), sizeof(value) - 1},                                \
        {                                                                                          \
            (const uint8_t *)(kept), sizeof(kept) - 1                                              \
        }                                                                                          \
    }
#define TAKEN(code, value)          ROW(code, REEVE_OK, value, value)
#define MADE(code, value, kept)     ROW(code, REEVE_OK, value, kept)
#define REFUSED(code, error, value) ROW(code, error, value, "")

static const struct {
    uint8_t code;
    reeve_err error;
    struct rv_slice value;
    struct rv_slice kept; /* as it is spelt then */
} fits[] = {
    TAKEN('b', "\x7f"),
    TAKEN('b', "\xd0\x80"),
    REFUSED('b', REEVE_EVALUE, "\xcc\x80"),
    REFUSED('b', REEVE_EVALUE, "\xd1\xff\x7f"),
    TAKEN('B', "\xcc\xff"),
    REFUSED('B', REEVE_EVALUE, "\xcd\x01\0"),
    REFUSED('B', REEVE_EVALUE, "\xff"),
    REFUSED('h', REEVE_EVALUE, "\xcd\x80\0"),
    REFUSED('I', REEVE_EVALUE, "\xcf\0\0\0\x01\0\0\0\0"),
    TAKEN('Q', "\xcf\xff\xff\xff\xff\xff\xff\xff\xff"),
    REFUSED('q', REEVE_EVALUE, "\xcf\xff\xff\xff\xff\xff\xff\xff\xff"),
    MADE('i', "\xcd\0\x05", "\x05"), /* the shortest */
    REFUSED('i', REEVE_ETYPE, "\xc2"),
    REFUSED('i', REEVE_ETYPE, "\x91\x01"),
    REFUSED('i', REEVE_ETYPE, "\xcb\x3f\xf0\0\0\0\0\0\0"),
    MADE('d', "\x01", "\xcb\x3f\xf0\0\0\0\0\0\0"),
    MADE('d', "\xff", "\xcb\xbf\xf0\0\0\0\0\0\0"),
    TAKEN('d', "\xcb\x48\x0f\0\0\0\0\0\0"),
    REFUSED('d', REEVE_ETYPE, "\xa1x"),
    REFUSED('f', REEVE_ETYPE, "\xc0"),
    REFUSED('f', REEVE_EVALUE, "\xcb\x48\x0f\0\0\0\0\0\0"), /* about 1e39 */
    REFUSED('f', REEVE_EVALUE, "\xcb\xc8\x0f\0\0\0\0\0\0"),
    TAKEN('f', "\xcb\x7f\xf0\0\0\0\0\0\0"), /* infinity is one of its values */
    MADE('f', "\xcb\x3f\xb9\x99\x99\x99\x99\x99\x9a", "\xcb\x3f\xb9\x99\x99\xa0\0\0\0"),
    TAKEN('?', "\xc3"),
    REFUSED('?', REEVE_ETYPE, "\x01"),
    TAKEN('c', "\xc4\x01x"),
    REFUSED('c', REEVE_ETYPE, "\xc4\x02xy"),
    REFUSED('c', REEVE_ETYPE, "\xc4\0"),
    REFUSED('c', REEVE_ETYPE, "\xa1x"),
    TAKEN('u', "\xa1x"),
    TAKEN('w', "\xa2\xc3\xa9"), /* one of two bytes */
    REFUSED('u', REEVE_ETYPE, "\xa2xy"),
    REFUSED('u', REEVE_ETYPE, "\xa0"),
    REFUSED('w', REEVE_ETYPE, "\xc4\x01x"),
};

/* The value of a typecode takes what Python's array of that letter would, and nothing else. */
TEST(typecode_takes_what_fits_it)
{
    struct sim s;

    start(&s);
    for (size_t i = 0; i < rv_countof(fits); i++) {
        uint64_t v = raw_open(
            &s, 1, &(struct rv_object_open_args){.kind = RV_KIND_VALUE, .typecode = fits[i].code});
        struct shape before = shape_of(&s, v, RV_OP_list_len);

        RAW(&s, 1, fits[i].error, list_set, v, .values = one(fits[i].value));
        if (fits[i].error == REEVE_OK)
            CHECK(holds(&s, v, 0, fits[i].kept));
        else
            CHECK(same(before, shape_of(&s, v, RV_OP_list_len)));
        RAW(&s, 1, fits[i].error, list_splice, v, .values = one(fits[i].value));
        RAW(&s, 1, REEVE_ETYPE, list_splice, v, .values = two(fits[i].value, fits[i].value));
    }
    sim_stop(&s);
}

/* What it becomes must fit, too. */
TEST(array_stays_of_its_type_when_it_is_edited)
{
    struct sim s;
    uint64_t v = 0;
    struct shape before;

    start(&s);
    v = raw_open(&s, 1, &(struct rv_object_open_args){.kind = RV_KIND_VALUE, .typecode = 'b'});
    RAW(&s, 1, REEVE_OK, list_edit, v, .verb = RV_EDIT_ADD, .values = one(BYTES("\x7f")));
    before = shape_of(&s, v, RV_OP_list_len);
    RAW(&s, 1, REEVE_EVALUE, list_edit, v, .verb = RV_EDIT_ADD, .values = one(ONE));
    RAW(&s, 1, REEVE_ETYPE, list_edit, v, .verb = RV_EDIT_SET, .values = one(TEXT));
    RAW(&s, 1, REEVE_ETYPE, list_cas, v, .values = two(BYTES("\x7f"), TEXT));
    CHECK(same(before, shape_of(&s, v, RV_OP_list_len)) && holds(&s, v, 0, BYTES("\x7f")));
    RAW(&s, 1, REEVE_OK, list_cas, v, .values = two(BYTES("\x7f"), BYTES("\xcd\0\x05")));
    CHECK(holds(&s, v, 0, BYTES("\x05")));
    sim_stop(&s);
}

/* ---- refusals ---- */

TEST(container_that_cannot_be_is_not_opened)
{
    static const struct rv_object_open_args odd[] = {
        {.kind = RV_KIND_DICT, .maxsize = 1},
        {.kind = RV_KIND_DICT, .typecode = 'i'},
        {.kind = RV_KIND_SET, .maxsize = 1},
        {.kind = RV_KIND_LIST, .maxsize = 1},
        {.kind = RV_KIND_LIST, .typecode = 'i'},
        {.kind = RV_KIND_ARRAY, .maxsize = 1},
        {.kind = RV_KIND_ARRAY, .maxsize = RV_LIMIT_LIST_VALUES + 1, .typecode = 'i'},
        {.kind = RV_KIND_ARRAY, .maxsize = 1, .typecode = 'x'},
        {.kind = RV_KIND_VALUE, .maxsize = 1},
    };
    struct sim s;
    struct rv_buf args = {0};

    start(&s);
    for (size_t i = 0; i < rv_countof(odd); i++) {
        struct rv_object_open_args open = odd[i];

        open.create = 1;
        rv_object_open_args_encode(&args, &open);
        CHECK(sim_ask(&s, 1, RV_OP_object_open, 0, &args, NULL) == REEVE_EINVAL);
    }
    CHECK(mgr_objects(s.server.mgr) == 0);
    raw_open(&s, 1,
             &(struct rv_object_open_args){.kind = RV_KIND_ARRAY,
                                           .name = rv_slice_str("a"),
                                           .maxsize = 2,
                                           .typecode = 'i',
                                           .bytes = 100});
#define OTHER(error, ...)                                                                          \
    RAW(&s, 1, error, object_open, 0, .create = 1, .name = rv_slice_str("a"),                      \
        .kind = RV_KIND_ARRAY, __VA_ARGS__)
    OTHER(REEVE_OK, .maxsize = 0); /* what is not said is as it is */
    OTHER(REEVE_OK, .maxsize = 2, .typecode = 'i', .bytes = 100);
    OTHER(REEVE_EEXIST, .maxsize = 3);
    OTHER(REEVE_EEXIST, .typecode = 'h');
    OTHER(REEVE_EEXIST, .bytes = 101);
    OTHER(REEVE_EEXIST, .durable = RV_DURABLE_OS);
#undef OTHER
    RAW(&s, 1, REEVE_ETYPE, object_open, 0, .create = 1, .name = rv_slice_str("a"),
        .kind = RV_KIND_LIST);
    CHECK(mgr_objects(s.server.mgr) == 1);
    sim_stop(&s);
}

/* An array of an array of ... : the deepest value, and one level more. */
static struct rv_slice nested(uint8_t *room, size_t depth)
{
    memset(room, 0x91, depth);
    room[depth] = 0xc0;
    return rv_slice(room, depth + 1);
}

TEST(dict_refuses_what_is_no_key_or_no_value)
{
    static uint8_t longest[RV_LIMIT_KEY_BYTES + 4];
    struct sim s;
    uint64_t d = 0;
    struct shape before;
    struct rv_slice key = {0};

    start(&s);
    d = box(&s, RV_KIND_DICT, "d");
    RAW(&s, 1, REEVE_OK, dict_set, d, .pairs = two(ONE, TEXT));
    before = shape_of(&s, d, RV_OP_dict_len);
    RAW(&s, 1, REEVE_EINVAL, dict_set, d, .pairs = one(ONE));
    RAW(&s, 1, REEVE_EINVAL, dict_set, d, .pairs = two(NO_VALUE, ONE));
    RAW(&s, 1, REEVE_EINVAL, dict_set, d, .pairs = two(ONE, NO_VALUE));
    RAW(&s, 1, REEVE_EINVAL, dict_set, d, .pairs = two(ONE, BYTES("")));
    RAW(&s, 1, REEVE_EINVAL, dict_set, d, .pairs = two(NAN_VALUE, ONE));
    RAW(&s, 1, REEVE_EINVAL, dict_set, d, .pairs = two(BYTES("\x82\x01\x01\x01\x02"), ONE));
    RAW(&s, 1, REEVE_EINVAL, dict_setdefault, d, .key = ONE);
    RAW(&s, 1, REEVE_EINVAL, dict_setdefault, d, .key = NO_VALUE, .values = one(ONE));
    RAW(&s, 1, REEVE_EINVAL, dict_setdefault, d, .key = ONE, .values = two(ONE, ONE));
    RAW(&s, 1, REEVE_EINVAL, dict_edit, d, .key = ONE, .verb = RV_EDIT_ADD + 1, .values = one(ONE));
    RAW(&s, 1, REEVE_EINVAL, dict_edit, d, .key = ONE, .verb = RV_EDIT_SET);
    RAW(&s, 1, REEVE_EINVAL, dict_edit, d, .key = ONE, .verb = RV_EDIT_DELETE, .values = one(ONE));
    RAW(&s, 1, REEVE_EINVAL, dict_edit, d, .key = NO_VALUE, .verb = RV_EDIT_SET,
        .values = one(ONE));
    RAW(&s, 1, REEVE_ETYPE, dict_edit, d, .key = ONE, .verb = RV_EDIT_ADD, .values = one(ONE));
    RAW(&s, 1, REEVE_EKEY, dict_edit, d, .key = BYTES("\x02"), .verb = RV_EDIT_APPEND,
        .values = one(ONE));
    RAW(&s, 1, REEVE_EKEY, dict_edit, d, .key = BYTES("\x02"), .verb = RV_EDIT_SET,
        .path = BYTES("\x91\x01"), .values = one(ONE));
    RAW(&s, 1, REEVE_EINVAL, dict_cas, d, .key = ONE, .values = one(ONE));
    RAW(&s, 1, REEVE_EINVAL, dict_cas, d, .key = NO_VALUE, .values = two(ONE, ONE));
    RAW(&s, 1, REEVE_EINVAL, dict_cas, d, .key = ONE, .flags = RV_CAS_ABSENT | RV_CAS_ONLY,
        .values = one(ONE));
    RAW(&s, 1, REEVE_EVALUE, dict_cas, d, .key = ONE, .flags = RV_CAS_MUST,
        .values = two(ONE, ONE));
    RAW(&s, 1, REEVE_EKEY, dict_del, d, .key = BYTES("\x02"));
    RAW(&s, 1, REEVE_EINVAL, dict_pop, d, .key = NO_VALUE);
    RAW(&s, 1, REEVE_EINVAL, dict_get, d, .key = NO_VALUE);
    RAW(&s, 1, REEVE_EINVAL, dict_contains, d, .key = NO_VALUE);
    RAW(&s, 1, REEVE_ETYPE, dict_get, d, .key = ONE, .path = BYTES("\x91\x01"));
    RAW(&s, 1, REEVE_EINVAL, dict_fetch, d, .key = ONE, .path = ONE);
    RAW(&s, 1, REEVE_EINVAL, dict_wait, d, .key = NO_VALUE);
    RAW(&s, 1, REEVE_ECHANGED, dict_page, d, .after = BYTES("\x09"));
    RAW(&s, 1, REEVE_ECHANGED, dict_page, d, .after = ONE, .changes = 99);
    for (size_t len = RV_LIMIT_KEY_BYTES; len <= RV_LIMIT_KEY_BYTES + 1; len++) {
        reeve_err err = len > RV_LIMIT_KEY_BYTES ? REEVE_ETOOBIG : REEVE_EKEY;

        longest[0] = 0xc5; /* bin 16 */
        rv_set_number(longest + 1, 0, 2);
        longest[1] = (uint8_t)((len - 3) >> 8);
        longest[2] = (uint8_t)(len - 3);
        key = rv_slice(longest, len);
        RAW(&s, 1, err, dict_get, d, .key = key);
    }
    CHECK(same(before, shape_of(&s, d, RV_OP_dict_len)));
    sim_stop(&s);
}

/* A float takes more bytes in the spelling of equal keys than in its own; so a key may grow. */
TEST(key_is_measured_as_it_is_spelt)
{
    static uint8_t key[5 * 150 + 3];
    struct sim s;
    uint64_t d = 0;

    start(&s);
    d = box(&s, RV_KIND_DICT, "d");
    key[0] = 0xdc; /* array 16 of float 32, each 0.1 or near it: spelt as float 64 */
    key[1] = 0;
    key[2] = 150;
    for (size_t i = 0; i < 150; i++)
        memcpy(key + 3 + 5 * i, "\xca\x3d\xcc\xcc\xcd", 5);
    RAW(&s, 1, REEVE_ETOOBIG, dict_get, d, .key = rv_slice(key, sizeof key));
    RAW(&s, 1, REEVE_ETOOBIG, dict_set, d, .pairs = two(rv_slice(key, sizeof key), ONE));
    CHECK(shape_of(&s, d, RV_OP_dict_len).len == 0);
    sim_stop(&s);
}

TEST(value_may_be_so_deep)
{
    uint8_t room[128];
    struct sim s;
    uint64_t l = 0;

    start(&s);
    l = box(&s, RV_KIND_LIST, "l");
    RAW(&s, 1, REEVE_OK, list_insert, l, .values = one(nested(room, 64)));
    RAW(&s, 1, REEVE_EINVAL, list_insert, l, .values = one(nested(room, 65)));
    RAW(&s, 1, REEVE_ETOOBIG, list_edit, l, .verb = RV_EDIT_SET, .path = BYTES("\x91\0"),
        .values = one(nested(room, 64)));
    CHECK(shape_of(&s, l, RV_OP_list_len).version == 1);
    sim_stop(&s);
}

TEST(namespace_has_attributes)
{
    struct sim s;
    uint64_t n = 0;

    start(&s);
    n = box(&s, RV_KIND_NAMESPACE, "n");
    RAW(&s, 1, REEVE_OK, dict_set, n, .pairs = two(TEXT, ONE));
    RAW(&s, 1, REEVE_OK, dict_set, n, .pairs = two(BYTES("\xd9\x03xyz"), ONE));
    RAW(&s, 1, REEVE_OK, dict_set, n,
        .pairs = two(BYTES("\xd9\x28"
                           "0123456789012345678901234567890123456789"),
                     ONE));
    RAW(&s, 1, REEVE_ETYPE, dict_set, n, .pairs = two(ONE, ONE));
    RAW(&s, 1, REEVE_ETYPE, dict_get, n, .key = BYTES("\xc4\x01x"));
    RAW(&s, 1, REEVE_ETYPE, dict_contains, n, .key = BYTES("\xc0"));
    RAW(&s, 1, REEVE_EATTR, dict_get, n, .key = BYTES("\xa1y"));
    RAW(&s, 1, REEVE_EATTR, dict_del, n, .key = BYTES("\xa1y"));
    CHECK(shape_of(&s, n, RV_OP_dict_len).len == 3);
    sim_stop(&s);
}

TEST(list_refuses_places_and_values_that_are_none)
{
    struct sim s;
    uint64_t l = 0;
    uint64_t a = 0;
    uint64_t v = 0;
    struct shape before[3];

    start(&s);
    l = box(&s, RV_KIND_LIST, "l");
    a = raw_open(
        &s, 1, &(struct rv_object_open_args){.kind = RV_KIND_ARRAY, .maxsize = 3, .typecode = 'i'});
    v = raw_open(&s, 1, &(struct rv_object_open_args){.kind = RV_KIND_VALUE, .typecode = 'i'});
    RAW(&s, 1, REEVE_OK, list_insert, l, .values = two(ONE, TEXT));
    before[0] = shape_of(&s, l, RV_OP_list_len);
    before[1] = shape_of(&s, a, RV_OP_list_len);
    before[2] = shape_of(&s, v, RV_OP_list_len);
    RAW(&s, 1, REEVE_EINVAL, list_set, l, .at = 0);
    RAW(&s, 1, REEVE_EINVAL, list_set, l, .at = 0, .values = two(ONE, ONE));
    RAW(&s, 1, REEVE_EINDEX, list_set, l, .at = 2, .values = one(ONE));
    RAW(&s, 1, REEVE_EINDEX, list_set, l, .at = -3, .values = one(ONE));
    RAW(&s, 1, REEVE_EINDEX, list_del, l, .at = 2);
    RAW(&s, 1, REEVE_EINDEX, list_pop, l, .at = INT64_MIN);
    RAW(&s, 1, REEVE_EINDEX, list_get, l, .at = INT64_MAX);
    RAW(&s, 1, REEVE_EINDEX, list_edit, l, .at = 2, .values = one(ONE));
    RAW(&s, 1, REEVE_EINDEX, list_cas, l, .at = 2, .values = two(ONE, ONE));
    RAW(&s, 1, REEVE_EINVAL, list_cas, l, .flags = RV_CAS_ABSENT, .values = one(ONE));
    RAW(&s, 1, REEVE_EINVAL, list_cas, l, .flags = RV_CAS_DELETE, .values = one(ONE));
    RAW(&s, 1, REEVE_EINVAL, list_cas, l, .values = one(ONE));
    RAW(&s, 1, REEVE_EVALUE, list_cas, l, .flags = RV_CAS_MUST, .values = two(TEXT, ONE));
    RAW(&s, 1, REEVE_EVALUE, list_splice, l, .bounds = RV_BOUND_STEP, .step = 0);
    RAW(&s, 1, REEVE_EVALUE, list_splice, l, .bounds = RV_BOUND_STEP, .step = -1,
        .values = one(ONE));
    RAW(&s, 1, REEVE_EVALUE, list_page, l, .bounds = RV_BOUND_STEP, .step = 0);
    RAW(&s, 1, REEVE_EINVAL, list_remove, l, .value = NO_VALUE);
    RAW(&s, 1, REEVE_EVALUE, list_remove, l, .value = BYTES("\x02"));
    RAW(&s, 1, REEVE_EINVAL, list_find, l, .value = BYTES(""), .stop = INT64_MAX);
    RAW(&s, 1, REEVE_EVALUE, list_find, l, .value = TEXT, .stop = 1);
    RAW(&s, 1, REEVE_EINVAL, list_wait, l, .key = ONE); /* a list has no keys */
    RAW(&s, 1, REEVE_EINVAL, list_insert, l, .values = one(NO_VALUE));
    RAW(&s, 1, REEVE_ELIMIT, list_repeat, l, .times = INT64_MAX);
    RAW(&s, 1, REEVE_ELIMIT, list_repeat, l, .times = RV_LIMIT_REPEAT_VALUES);
    for (int i = 0; i < 2; i++) {
        uint64_t fixed = i == 0 ? a : v;

        RAW(&s, 1, REEVE_ETYPE, list_insert, fixed, .values = one(ONE));
        RAW(&s, 1, REEVE_ETYPE, list_del, fixed, .at = 0);
        RAW(&s, 1, REEVE_ETYPE, list_pop, fixed, .at = 0);
        RAW(&s, 1, REEVE_ETYPE, list_remove, fixed, .value = BYTES("\0"));
        RAW(&s, 1, REEVE_ETYPE, list_repeat, fixed, .times = 2);
        RAW(&s, 1, REEVE_ETYPE, list_clear, fixed, .end_ = 0);
        RAW(&s, 1, REEVE_ETYPE, list_splice, fixed, .bounds = 0);
    }
    CHECK(same(before[0], shape_of(&s, l, RV_OP_list_len)));
    CHECK(same(before[1], shape_of(&s, a, RV_OP_list_len)));
    CHECK(same(before[2], shape_of(&s, v, RV_OP_list_len)));
    /* And the least that one can ask for. */
    RAW(&s, 1, REEVE_OK, list_splice, l, .bounds = RV_BOUND_STEP, .step = INT64_MIN,
        .values = one(ONE));
    CHECK(holds(&s, l, 1, ONE));
    RAW(&s, 1, REEVE_OK, list_repeat, l, .times = 1);
    RAW(&s, 1, REEVE_OK, list_repeat, l, .times = -5);
    RAW(&s, 1, REEVE_OK, list_repeat, l, .times = 3); /* of nothing */
    CHECK(shape_of(&s, l, RV_OP_list_len).len == 0);
    sim_stop(&s);
}

TEST(set_refuses_others_that_are_no_sets)
{
    static const struct rv_slice bad[] = {{(const uint8_t *)"\xc1", 1}};
    struct sim s;
    uint64_t set = 0;
    uint64_t other = 0;
    uint64_t list = 0;
    uint64_t mine = 0; /* of the other client */
    struct shape before;
    size_t objects = 0;

    start(&s);
    set = box(&s, RV_KIND_SET, "s");
    other = box(&s, RV_KIND_SET, "other");
    list = box(&s, RV_KIND_LIST, "l");
    mine = raw_open(&s, 2, &(struct rv_object_open_args){.kind = RV_KIND_SET});
    RAW(&s, 1, REEVE_OK, set_add, set, .values = two(ONE, TEXT));
    before = shape_of(&s, set, RV_OP_set_len);
    objects = mgr_objects(s.server.mgr);
    RAW(&s, 1, REEVE_EINVAL, set_add, set, .values = two(BYTES("\x05"), NAN_VALUE));
    RAW(&s, 1, REEVE_EINVAL, set_add, set, .values = raw_slices(bad, 1));
    RAW(&s, 1, REEVE_EINVAL, set_discard, set, .values = one(NAN_VALUE));
    RAW(&s, 1, REEVE_EKEY, set_discard, set, .strict = 1, .values = two(ONE, BYTES("\x05")));
    RAW(&s, 1, REEVE_EINVAL, set_contains, set, .value = NAN_VALUE);
    RAW(&s, 1, REEVE_ECHANGED, set_page, set, .after = BYTES("\x05"));
    RAW(&s, 1, REEVE_EINVAL, set_wait, set, .key = ONE); /* nobody waits for one member */
    for (int ask = 0; ask < 3; ask++) {
        const struct {
            uint64_t other;
            reeve_err error;
        } odd[] = {{list, REEVE_ETYPE}, {mine, REEVE_ENOENT}, {9999, REEVE_ENOENT}};

        for (size_t i = 0; i < rv_countof(odd); i++)
            if (ask == 0)
                RAW(&s, 1, odd[i].error, set_update, set, .other = odd[i].other);
            else if (ask == 1)
                RAW(&s, 1, odd[i].error, set_combine, set, .other = odd[i].other);
            else
                RAW(&s, 1, odd[i].error, set_compare, set, .other = odd[i].other);
    }
    RAW(&s, 1, REEVE_EINVAL, set_update, set, .how = RV_SYMMETRIC + 1, .other = other);
    RAW(&s, 1, REEVE_EINVAL, set_combine, set, .how = RV_SYMMETRIC + 1, .other = other);
    RAW(&s, 1, REEVE_EINVAL, set_update, set, .values = one(NAN_VALUE));
    RAW(&s, 1, REEVE_EINVAL, set_combine, set, .values = one(NAN_VALUE));
    RAW(&s, 1, REEVE_EINVAL, set_compare, set, .what = RV_PROPER_SUPERSET + 1, .other = other);
    RAW(&s, 1, REEVE_EINVAL, set_compare, set, .values = ONE);
    RAW(&s, 1, REEVE_EINVAL, set_compare, set, .values = NO_VALUE);
    RAW(&s, 1, REEVE_EINVAL, set_compare, set, .values = BYTES("\x92\x01\xcb\x7f\xf8\0\0\0\0\0\0"));
    CHECK(same(before, shape_of(&s, set, RV_OP_set_len)));
    CHECK(mgr_objects(s.server.mgr) == objects);
    sim_remove(&s, 2, "other");
    sim_run(&s, 10);
    RAW(&s, 1, REEVE_EGONE, set_update, set, .other = other);
    RAW(&s, 1, REEVE_EGONE, set_combine, set, .other = other);
    RAW(&s, 1, REEVE_EGONE, set_compare, set, .other = other);
    CHECK(same(before, shape_of(&s, set, RV_OP_set_len)));
    sim_stop(&s);
}

/* A set and itself, and what an array of members says. */
TEST(set_may_be_its_own_other)
{
    static const struct {
        uint8_t how;
        uint64_t len;
    } own[] = {{RV_UNION, 2}, {RV_INTERSECTION, 2}, {RV_SYMMETRIC, 0}, {RV_DIFFERENCE, 0}};
    static const struct {
        uint8_t what;
        bool same, less, more, others; /* than {1, "x"} */
    } facts[] = {
        {RV_SUBSET, true, false, true, false},
        {RV_SUPERSET, true, true, false, false},
        {RV_DISJOINT, false, false, false, true},
        {RV_SAME, true, false, false, false},
        {RV_PROPER_SUBSET, false, false, true, false},
        {RV_PROPER_SUPERSET, false, true, false, false},
    };
    struct sim s;
    struct rv_set_compare_result got;
    uint64_t set = 0;

    start(&s);
    set = box(&s, RV_KIND_SET, "s");
    for (size_t i = 0; i < rv_countof(own); i++) {
        RAW(&s, 1, REEVE_OK, set_add, set, .values = two(ONE, TEXT));
        RAW(&s, 1, REEVE_OK, set_update, set, .how = own[i].how, .other = set);
        CHECK(shape_of(&s, set, RV_OP_set_len).len == own[i].len);
    }
    RAW(&s, 1, REEVE_OK, set_add, set, .values = two(ONE, TEXT));
    RAW(&s, 1, REEVE_OK, set_discard, set, .values = two(BYTES("\x07"), BYTES("\x08")));
    for (size_t i = 0; i < rv_countof(facts); i++) {
#define FACT(array, so)                                                                            \
    RAW_FOR(&s, 1, &got, set_compare, set, .what = facts[i].what, .values = BYTES(array));         \
    CHECK((got.there != 0) == (so))
        FACT("\x93\x01\x01\xa1x", facts[i].same); /* one of them twice */
        FACT("\x91\x01", facts[i].less);
        FACT("\x93\x01\x02\xa1x", facts[i].more);
        FACT("\x91\x02", facts[i].others);
#undef FACT
    }
    CHECK(shape_of(&s, set, RV_OP_set_len).len == 2);
    sim_stop(&s);
}

/* Whoever may put only is not told what was there; whoever may get only changes nothing. */
TEST(answer_that_tells_takes_the_right_to_get)
{
    struct sim s;
    uint64_t d = 0;
    uint64_t l = 0;
    uint64_t set = 0;
    uint64_t other = 0;

    start(&s);
    d = box(&s, RV_KIND_DICT, "d");
    l = box(&s, RV_KIND_LIST, "l");
    set = box(&s, RV_KIND_SET, "s");
    RAW(&s, 1, REEVE_OK, dict_set, d, .pairs = two(ONE, ONE));
    RAW(&s, 1, REEVE_OK, list_insert, l, .values = one(ONE));
    RAW(&s, 1, REEVE_OK, set_add, set, .values = one(ONE));
    sim_principal(&s, "client", "open,put");
    sim_run(&s, 10);
    for (int i = 0; i < 3; i++)
        CHECK(raw_open(&s, RIGHTS_CLIENT,
                       &(struct rv_object_open_args){.kind = i == 0   ? RV_KIND_DICT
                                                             : i == 1 ? RV_KIND_LIST
                                                                      : RV_KIND_SET,
                                                     .name = rv_slice_str(i == 0   ? "d"
                                                                          : i == 1 ? "l"
                                                                                   : "s")}) ==
              (i == 0   ? d
               : i == 1 ? l
                        : set));
    other = raw_open(&s, RIGHTS_CLIENT, &(struct rv_object_open_args){.kind = RV_KIND_SET});
    RAW(&s, RIGHTS_CLIENT, REEVE_EPERM, dict_pop, d, .key = ONE);
    RAW(&s, RIGHTS_CLIENT, REEVE_EPERM, dict_popitem, d, .end_ = 0);
    RAW(&s, RIGHTS_CLIENT, REEVE_EPERM, dict_setdefault, d, .key = ONE, .values = one(ONE));
    RAW(&s, RIGHTS_CLIENT, REEVE_EPERM, dict_edit, d, .key = ONE, .values = one(ONE));
    RAW(&s, RIGHTS_CLIENT, REEVE_EPERM, dict_cas, d, .key = ONE, .values = two(ONE, ONE));
    RAW(&s, RIGHTS_CLIENT, REEVE_EPERM, list_pop, l, .at = 0);
    RAW(&s, RIGHTS_CLIENT, REEVE_EPERM, list_edit, l, .at = 0, .values = one(ONE));
    RAW(&s, RIGHTS_CLIENT, REEVE_EPERM, list_cas, l, .at = 0, .values = two(ONE, ONE));
    RAW(&s, RIGHTS_CLIENT, REEVE_EPERM, set_pop, set, .end_ = 0);
    RAW(&s, RIGHTS_CLIENT, REEVE_EPERM, dict_get, d, .key = ONE);
    RAW(&s, RIGHTS_CLIENT, REEVE_EPERM, set_compare, other, .other = set);
    RAW(&s, RIGHTS_CLIENT, REEVE_EPERM, set_update, other, .other = set);
    RAW(&s, RIGHTS_CLIENT, REEVE_OK, dict_del, d, .key = ONE);
    CHECK(shape_of(&s, d, RV_OP_dict_len).len == 0);
    CHECK(shape_of(&s, l, RV_OP_list_len).version == 1);
    CHECK(shape_of(&s, set, RV_OP_set_len).version == 1);
    sim_stop(&s);
}

TEST(empty_containers_give_nothing)
{
    struct sim s;
    uint64_t d = 0;
    uint64_t l = 0;
    uint64_t set = 0;

    start(&s);
    d = box(&s, RV_KIND_DICT, "d");
    l = box(&s, RV_KIND_LIST, "l");
    set = box(&s, RV_KIND_SET, "s");
    RAW(&s, 1, REEVE_EKEY, dict_popitem, d, .end_ = 0);
    RAW(&s, 1, REEVE_EKEY, set_pop, set, .end_ = 0);
    RAW(&s, 1, REEVE_EINDEX, list_pop, l, .at = -1);
    RAW(&s, 1, REEVE_OK, dict_clear, d, .end_ = 0);
    RAW(&s, 1, REEVE_OK, set_clear, set, .end_ = 0);
    RAW(&s, 1, REEVE_OK, list_clear, l, .end_ = 0);
    RAW(&s, 1, REEVE_OK, list_sort, l, .reverse = 1);
    RAW(&s, 1, REEVE_OK, list_reverse, l, .end_ = 0);
    RAW(&s, 1, REEVE_OK, list_insert, l, .values = {0});
    RAW(&s, 1, REEVE_OK, dict_set, d, .pairs = {0});
    CHECK(shape_of(&s, d, RV_OP_dict_len).version == 0);
    CHECK(shape_of(&s, set, RV_OP_set_len).version == 0);
    CHECK(shape_of(&s, l, RV_OP_list_len).len == 0);
    sim_stop(&s);
}

/* ---- as much as it may be ---- */

TEST(container_holds_the_bytes_that_it_may)
{
    struct sim s;
    uint64_t d = 0;
    uint64_t l = 0;
    uint64_t set = 0;
    uint64_t other = 0;
    struct shape before[3];

    start(&s);
    d = raw_open(&s, 1, &(struct rv_object_open_args){.kind = RV_KIND_DICT, .bytes = 4});
    l = raw_open(&s, 1, &(struct rv_object_open_args){.kind = RV_KIND_LIST, .bytes = 4});
    set = raw_open(&s, 1, &(struct rv_object_open_args){.kind = RV_KIND_SET, .bytes = 2});
    other = raw_open(&s, 1, &(struct rv_object_open_args){.kind = RV_KIND_SET});
    RAW(&s, 1, REEVE_OK, dict_set, d, .pairs = two(ONE, ONE));
    RAW(&s, 1, REEVE_OK, list_insert, l, .values = two(ONE, TEXT));
    RAW(&s, 1, REEVE_OK, set_add, set, .values = two(ONE, BYTES("\x02")));
    RAW(&s, 1, REEVE_OK, set_add, other, .values = two(BYTES("\x02"), BYTES("\x03")));
    before[0] = shape_of(&s, d, RV_OP_dict_len);
    before[1] = shape_of(&s, l, RV_OP_list_len);
    before[2] = shape_of(&s, set, RV_OP_set_len);
    RAW(&s, 1, REEVE_EQUOTA, dict_set, d, .pairs = two(ONE, BYTES("\xa3xyz")));
    RAW(&s, 1, REEVE_EQUOTA, dict_set, d, .pairs = two(TEXT, ONE));
    RAW(&s, 1, REEVE_EQUOTA, dict_setdefault, d, .key = TEXT, .values = one(ONE));
    RAW(&s, 1, REEVE_EQUOTA, dict_cas, d, .key = TEXT, .flags = RV_CAS_ABSENT, .values = one(ONE));
    RAW(&s, 1, REEVE_EQUOTA, list_insert, l, .values = two(ONE, ONE));
    RAW(&s, 1, REEVE_EQUOTA, list_set, l, .at = 0, .values = one(BYTES("\xa2yz")));
    RAW(&s, 1, REEVE_EQUOTA, list_repeat, l, .times = 2);
    RAW(&s, 1, REEVE_EQUOTA, list_splice, l, .bounds = RV_BOUND_STEP, .step = 1,
        .values = two(TEXT, BYTES("\xa2yz")));
    RAW(&s, 1, REEVE_EQUOTA, list_splice, l, .bounds = RV_BOUND_STEP, .step = -1,
        .values = two(BYTES("\xa2yz"), TEXT));
    RAW(&s, 1, REEVE_EQUOTA, set_add, set, .values = one(BYTES("\x03")));
    RAW(&s, 1, REEVE_EQUOTA, set_update, set, .how = RV_UNION, .other = other);
    CHECK(same(before[0], shape_of(&s, d, RV_OP_dict_len)));
    CHECK(same(before[1], shape_of(&s, l, RV_OP_list_len)));
    CHECK(same(before[2], shape_of(&s, set, RV_OP_set_len)));
    RAW(&s, 1, REEVE_OK, dict_set, d, .pairs = two(ONE, BYTES("\xa2yz")));
    RAW(&s, 1, REEVE_OK, dict_set, d, .pairs = two(ONE, ONE)); /* and smaller again */
    RAW(&s, 1, REEVE_OK, set_update, set, .how = RV_SYMMETRIC, .other = other);
    sim_stop(&s);
}

TEST(owner_pays_for_what_its_containers_hold)
{
    struct sim s;
    uint64_t set = 0;
    uint64_t other = 0;
    size_t objects = 0;

    start(&s);
    set = box(&s, RV_KIND_SET, "s");
    other = box(&s, RV_KIND_SET, "t");
    RAW(&s, 1, REEVE_OK, set_add, set, .values = two(ONE, BYTES("\x02")));
    RAW(&s, 1, REEVE_OK, set_add, other, .values = two(ONE, BYTES("\x03")));
    objects = mgr_objects(s.server.mgr);
    sim_quota(&s, "bytes:5 objects:3");
    sim_run(&s, 10);
    RAW(&s, 1, REEVE_EQUOTA, set_combine, set, .how = RV_SYMMETRIC, .other = other);
    CHECK(mgr_objects(s.server.mgr) == objects); /* the set that was made is gone again */
    RAW(&s, 1, REEVE_EQUOTA, object_open, 0, .create = 1, .kind = RV_KIND_ARRAY, .maxsize = 2,
        .typecode = 'i');
    RAW(&s, 1, REEVE_OK, object_open, 0, .create = 1, .kind = RV_KIND_VALUE, .typecode = 'i');
    RAW(&s, 1, REEVE_EQUOTA, set_combine, set, .how = RV_SYMMETRIC, .other = other);
    sim_quota(&s, "");
    sim_principal(&s, "client", "put,get");
    sim_run(&s, 10);
    RAW(&s, 1, REEVE_EPERM, set_combine, set, .other = other); /* an object that it may not make */
    CHECK(mgr_objects(s.server.mgr) == objects + 1);
    sim_stop(&s);
}

/* ---- batches ---- */

static void add_call(struct rv_buf *calls, uint16_t op, uint64_t object, uint32_t values,
                     struct rv_slice args)
{
    size_t start = calls->len;

    rv_write_number(calls, 0, 4);
    rv_batch_call_encode(
        calls, &(struct rv_batch_call){.op = op, .object = object, .values = values, .args = args});
    rv_set_number(calls->data + start, calls->len - start - 4, 4);
}

static reeve_err batch(struct sim *s, uint32_t count, const struct rv_buf *calls,
                       struct rv_items values)
{
    struct rv_buf args = {0};

    rv_batch_args_encode(
        &args,
        &(struct rv_batch_args){.count = count, .calls = rv_buf_slice(calls), .values = values});
    return sim_ask(s, 1, RV_OP_batch, 0, &args, NULL);
}

TEST(malformed_batch_has_not_been)
{
    struct sim s;
    struct rv_buf good = {0};
    struct rv_buf calls = {0};
    struct rv_buf args = {0};
    struct rv_buf full = {0};
    uint64_t l = 0;
    uint64_t q = 0;
    struct shape before;

    start(&s);
    l = box(&s, RV_KIND_LIST, "l");
    q = raw_open(&s, 1, &(struct rv_object_open_args){.kind = RV_KIND_QUEUE});
    before = shape_of(&s, l, RV_OP_list_len);
    rv_list_insert_args_encode(&args, &(struct rv_list_insert_args){0});
    rv_list_insert_args_encode(&full, &(struct rv_list_insert_args){.values = one(ONE)});
    add_call(&good, RV_OP_list_insert, l, 1, rv_buf_slice(&args));
#define ODD(error, op, object, values, bytes)                                                      \
    rv_buf_clear(&calls);                                                                          \
    rv_buf_add(&calls, good.data, good.len);                                                       \
    add_call(&calls, op, object, values, bytes);                                                   \
    CHECK(batch(&s, 2, &calls, two(ONE, ONE)) == (error))
    ODD(REEVE_EPROTO, 9999, l, 1, rv_buf_slice(&args));                  /* no operation */
    ODD(REEVE_EPROTO, RV_OP_list_get, l, 0, rv_buf_slice(&args));        /* a question */
    ODD(REEVE_EPROTO, RV_OP_list_wait, l, 0, rv_buf_slice(&args));       /* it may wait */
    ODD(REEVE_EPROTO, RV_OP_queue_task_done, q, 0, rv_buf_slice(&args)); /* of no container */
    ODD(REEVE_EPROTO, RV_OP_set_combine, l, 0, rv_buf_slice(&args));     /* it makes an object */
    ODD(REEVE_EPROTO, RV_OP_list_insert, l, 1, ONE);                     /* no arguments */
    ODD(REEVE_EPROTO, RV_OP_list_insert, l, 2, rv_buf_slice(&args));     /* more than came */
    ODD(REEVE_EPROTO, RV_OP_list_insert, l, 1, rv_buf_slice(&full));     /* values in the call */
    ODD(REEVE_EPROTO, RV_OP_list_clear, l, 1, rv_slice(NULL, 0));        /* it takes none */
    ODD(REEVE_EPROTO, RV_OP_list_insert, l, 0, rv_buf_slice(&args));     /* and one is left */
    ODD(REEVE_ENOENT, RV_OP_list_insert, 9999, 1, rv_buf_slice(&args));
    ODD(REEVE_ETYPE, RV_OP_list_insert, q, 1, rv_buf_slice(&args));
#undef ODD
    CHECK(batch(&s, 1, &good, two(ONE, ONE)) == REEVE_EPROTO);
    CHECK(batch(&s, 2, &good, one(ONE)) == REEVE_EPROTO); /* fewer than it says */
    CHECK(batch(&s, 0, &good, (struct rv_items){0}) == REEVE_EPROTO);
    CHECK(batch(&s, RV_LIMIT_BATCH_CALLS + 1, &good, one(ONE)) == REEVE_ELIMIT);
    CHECK(batch(&s, 1, &good, one(NO_VALUE)) == REEVE_EINVAL);
    good.data[0] ^= 1;
    CHECK(batch(&s, 1, &good, one(ONE)) == REEVE_EPROTO);
    good.data[0] ^= 1;
    CHECK(same(before, shape_of(&s, l, RV_OP_list_len)));
    CHECK(batch(&s, 0, &(struct rv_buf){0}, (struct rv_items){0}) == REEVE_OK);
    CHECK(batch(&s, 1, &good, one(ONE)) == REEVE_OK);
    CHECK(shape_of(&s, l, RV_OP_list_len).len == 1);
    rv_buf_free(&good);
    rv_buf_free(&calls);
    rv_buf_free(&args);
    rv_buf_free(&full);
    sim_stop(&s);
}

/* ---- references ---- */

/* A value that is, or has, a reference to the object, with the list of it. */
static struct rv_items referring(struct rv_buf *room, struct rv_slice bytes, const uint64_t *to,
                                 size_t len)
{
    uint8_t refs[8 * 4];

    for (size_t i = 0; i < len; i++)
        rv_set_number(refs + 8 * i, to[i], 8);
    rv_buf_clear(room);
    rv_item_write(room, &(struct rv_item){.len = (uint32_t)bytes.len,
                                          .bytes = bytes,
                                          .refs = rv_slice(refs, 8 * len)});
    return (struct rv_items){1, rv_buf_slice(room)};
}

TEST(reference_is_no_key_and_no_member)
{
    static const uint8_t text[8] = "\xa7xxxxxx";
    struct sim s;
    struct rv_buf room = {0};
    struct rv_buf pair = {0};
    uint64_t d = 0;
    uint64_t set = 0;
    uint64_t mine = 0;
    struct rv_slice bytes = rv_slice(text, 8);
    struct shape before[2];

    start(&s);
    d = box(&s, RV_KIND_DICT, "d");
    set = box(&s, RV_KIND_SET, "s");
    mine = raw_open(&s, 2, &(struct rv_object_open_args){.kind = RV_KIND_SET});
    before[0] = shape_of(&s, d, RV_OP_dict_len);
    before[1] = shape_of(&s, set, RV_OP_set_len);
    RAW(&s, 1, REEVE_EINVAL, set_add, set, .values = referring(&room, bytes, &d, 1));
    RAW(&s, 1, REEVE_EINVAL, set_update, set, .values = referring(&room, bytes, &d, 1));
    RAW(&s, 1, REEVE_EINVAL, set_combine, set, .values = referring(&room, bytes, &d, 1));
    RAW(&s, 1, REEVE_ENOENT, set_add, set, .values = referring(&room, bytes, &mine, 1));
    (void)referring(&pair, bytes, &d, 1);
    rv_item_write(&pair, &(struct rv_item){.len = 1, .bytes = ONE});
    RAW(&s, 1, REEVE_EINVAL, dict_set, d, .pairs = {2, rv_buf_slice(&pair)});
    CHECK(same(before[0], shape_of(&s, d, RV_OP_dict_len)));
    CHECK(same(before[1], shape_of(&s, set, RV_OP_set_len)));
    rv_buf_free(&room);
    rv_buf_free(&pair);
    sim_stop(&s);
}

/* What a value refers to stays while it is there, and as long only. */
TEST(value_keeps_what_it_refers_to)
{
    static const uint8_t text[16] = "\xaf";
    struct sim s;
    struct rv_buf room = {0};
    struct rv_list_get_result got = {0};
    struct rv_buf args = {0};
    struct rv_buf result = {0};
    uint64_t l = 0;
    uint64_t to[2] = {0};

    start(&s);
    l = box(&s, RV_KIND_LIST, "l");
    for (int i = 0; i < 2; i++)
        to[i] = raw_open(&s, 1, &(struct rv_object_open_args){.kind = RV_KIND_EVENT});
    RAW(&s, 1, REEVE_OK, list_insert, l, .values = referring(&room, rv_slice(text, 16), to, 2));
    for (int i = 0; i < 2; i++)
        RAW_SAID(&s, 1, 0, object_close, to[i], .end_ = 0);
    CHECK(mgr_objects(s.server.mgr) == 3);
    /* A question brings no references, so its place stays empty. */
    rv_list_get_args_encode(&args, &(struct rv_list_get_args){0});
    CHECK(sim_ask(&s, 1, RV_OP_list_get, l, &args, &result) == REEVE_OK);
    CHECK(rv_list_get_result_decode(&got, rv_buf_slice(&result)));
    CHECK(value_is(got.values, rv_slice(NULL, 0)));
    rv_buf_free(&result);
    /* An edit keeps none that the new value does not have. */
    RAW(&s, 1, REEVE_OK, list_edit, l, .verb = RV_EDIT_SET, .values = one(ONE));
    CHECK(mgr_objects(s.server.mgr) == 1);
    rv_buf_free(&room);
    sim_stop(&s);
}

/* ---- answers that are too large, and values that do not come ---- */

/* A batch whose answers have more bytes than a message takes has not been, whichever call tells a value. */
TEST(batch_with_too_large_an_answer_has_not_been)
{
    enum { LARGE = 60000, CALLS = 4 };
    static const uint16_t ops[] = {RV_OP_dict_pop, RV_OP_dict_popitem, RV_OP_dict_setdefault,
                                   RV_OP_dict_cas, RV_OP_list_pop,     RV_OP_list_cas};
    static uint8_t large[LARGE + 3] = {0xc5, LARGE >> 8, LARGE & 0xff};
    struct sim s;
    uint64_t d = 0;
    uint64_t l = 0;
    struct shape before[2];

    start(&s);
    d = box(&s, RV_KIND_DICT, "d");
    l = box(&s, RV_KIND_LIST, "l");
    for (uint8_t key = 0; key < CALLS; key++) {
        RAW(&s, 1, REEVE_OK, dict_set, d,
            .pairs = two(rv_slice(&key, 1), rv_slice(large, sizeof large)));
        RAW(&s, 1, REEVE_OK, list_insert, l, .at = INT64_MAX,
            .values = one(rv_slice(large, sizeof large)));
    }
    before[0] = shape_of(&s, d, RV_OP_dict_len);
    before[1] = shape_of(&s, l, RV_OP_list_len);
    for (size_t i = 0; i < rv_countof(ops); i++) {
        struct rv_buf calls = {0};
        struct rv_buf args = {0};
        struct rv_slice values[2 * CALLS];
        uint32_t len = 0;

        for (uint8_t key = 0; key < CALLS; key++) {
            struct rv_slice k = rv_slice(&key, 1);
            uint32_t each = 0;

            rv_buf_clear(&args);
            switch (ops[i]) {
            case RV_OP_dict_pop:
                rv_dict_pop_args_encode(&args, &(struct rv_dict_pop_args){.key = k});
                break;
            case RV_OP_dict_setdefault:
                rv_dict_setdefault_args_encode(&args, &(struct rv_dict_setdefault_args){.key = k});
                each = 1;
                break;
            case RV_OP_dict_cas:
                rv_dict_cas_args_encode(&args, &(struct rv_dict_cas_args){.key = k});
                each = 2;
                break;
            case RV_OP_list_pop:
                rv_list_pop_args_encode(&args, &(struct rv_list_pop_args){.at = 0});
                break;
            case RV_OP_list_cas:
                rv_list_cas_args_encode(&args, &(struct rv_list_cas_args){.at = key});
                each = 2;
                break;
            default:
                break;
            }
            for (uint32_t n = 0; n < each; n++)
                values[len++] = ONE;
            add_call(&calls, ops[i], ops[i] >= RV_OP_list_insert ? l : d, each,
                     rv_buf_slice(&args));
        }
        CHECK(batch(&s, CALLS, &calls, raw_slices(values, len)) == REEVE_ETOOBIG);
        CHECK(same(before[0], shape_of(&s, d, RV_OP_dict_len)));
        CHECK(same(before[1], shape_of(&s, l, RV_OP_list_len)));
        rv_buf_free(&calls);
        rv_buf_free(&args);
    }
    sim_stop(&s);
}

/* What one call after the other tells adds up, too. */
TEST(batch_with_too_many_words_of_answers_has_not_been)
{
    enum { MEMBERS = 900 };
    struct sim s;
    struct rv_buf calls = {0};
    uint64_t set = 0;
    struct shape before;

    start(&s);
    set = box(&s, RV_KIND_SET, "s");
    for (uint32_t i = 0; i < MEMBERS; i++) {
        uint8_t member[102] = {0xc4, 100};

        rv_set_number(member + 2, i, 4);
        RAW(&s, 1, REEVE_OK, set_add, set, .values = one(rv_slice(member, sizeof member)));
        add_call(&calls, RV_OP_set_pop, set, 0, rv_slice(NULL, 0));
    }
    before = shape_of(&s, set, RV_OP_set_len);
    CHECK(batch(&s, MEMBERS, &calls, (struct rv_items){0}) == REEVE_ETOOBIG);
    CHECK(same(before, shape_of(&s, set, RV_OP_set_len)));
    rv_buf_free(&calls);
    sim_stop(&s);
}

/* So many values, however small, are a page. */
TEST(page_has_so_many_values)
{
    enum { MANY = RV_LIMIT_PUT_ITEMS + 10 };
    struct sim s;
    struct rv_list_page_result page = {0};
    struct rv_set_page_result members = {0};
    uint64_t l = 0;
    uint64_t set = 0;

    start(&s);
    l = box(&s, RV_KIND_LIST, "l");
    set = box(&s, RV_KIND_SET, "s");
    RAW(&s, 1, REEVE_OK, list_insert, l, .values = one(ONE));
    RAW(&s, 1, REEVE_OK, list_repeat, l, .times = MANY);
    RAW_FOR(&s, 1, &page, list_page, l, .bounds = 0);
    CHECK(page.values.count + page.left == MANY && page.values.count > RV_LIMIT_PUT_ITEMS - 10 &&
          page.values.count <= RV_LIMIT_PUT_ITEMS);
    for (uint32_t i = 0; i < 700; i++) {
        uint8_t member[102] = {0xc4, 100};

        rv_set_number(member + 2, i, 4);
        RAW(&s, 1, REEVE_OK, set_add, set, .values = one(rv_slice(member, sizeof member)));
    }
    RAW_FOR(&s, 1, &members, set_page, set, .changes = 0);
    CHECK(members.more && members.values.count > 500 && members.values.count < 700);
    sim_stop(&s);
}

/* The first fragment of it was dropped, because the key has its quota in flight; or nobody sent any. */
TEST(value_whose_bytes_do_not_come_is_not_set)
{
    for (int quota = 0; quota < 2; quota++) {
        struct sim s;
        struct rv_body *body = rv_body_new(RV_LIMIT_BODY_BYTES + 1);
        struct rv_buf items = {0};
        uint64_t l = 0;

        start(&s);
        l = box(&s, RV_KIND_LIST, "l");
        CHECK(body != NULL);
        memset(body->data, 0xc0, body->len);
        if (quota) {
            sim_quota(&s, "in-flight:100K");
            sim_run(&s, 10);
            CHECK(rv_stream_add_fragments(&s.clients[1].link.out, 9, body));
        }
        rv_body_drop(body);
        rv_item_write(
            &items,
            &(struct rv_item){.place = RV_FRAGMENTS, .body = 9, .len = RV_LIMIT_BODY_BYTES + 1});
        RAW(&s, 1, quota ? REEVE_EQUOTA : REEVE_EPROTO, list_insert, l,
            .values = {1, rv_buf_slice(&items)});
        RAW(&s, 1, REEVE_OK, list_insert, l, .values = one(ONE));
        CHECK(shape_of(&s, l, RV_OP_list_len).len == 1);
        rv_buf_free(&items);
        sim_stop(&s);
    }
}

/* What has a NaN in it, or a key twice, equals nothing, wherever it is looked for. */
TEST(value_without_a_spelling_is_not_found)
{
    static const struct rv_slice values[] = {
        {(const uint8_t *)"\x91\xcb\x7f\xf8\0\0\0\0\0\0", 10}, /* [NaN] */
        {(const uint8_t *)"\x82\x01\x01\x01\x02", 5},          /* {1: 1, 1: 2} */
        {(const uint8_t *)"\x91\x01", 2},
        {(const uint8_t *)"\xc7\x0d\x01\x01\0\0\0\0\0\0\0\x05\0\0\0\x01", 16}, /* a reference */
        {(const uint8_t *)"\xc7\x0d\x01\x01\0\0\0\0\0\0\0\x06\0\0\0\x01", 16},
        {(const uint8_t *)"\xa1x", 2},
        {(const uint8_t *)"\xa1y", 2},
        {(const uint8_t *)"\xa2xy", 3},
        {(const uint8_t *)"\xc4\x01x", 3},
        {(const uint8_t *)"\xc3", 1},
    };
    struct sim s;
    struct rv_list_find_result got = {0};
    uint64_t l = 0;

    start(&s);
    l = box(&s, RV_KIND_LIST, "l");
    RAW(&s, 1, REEVE_OK, list_insert, l, .values = raw_slices(values, rv_countof(values)));
    for (size_t i = 0; i < rv_countof(values); i++) {
        if (i < 2) {
            RAW(&s, 1, REEVE_EVALUE, list_find, l, .value = values[i], .stop = INT64_MAX);
        } else {
            RAW_FOR(&s, 1, &got, list_find, l, .value = values[i], .stop = INT64_MAX);
            CHECK(got.count == i);
        }
        RAW_FOR(&s, 1, &got, list_find, l, .what = RV_FIND_COUNT, .value = values[i],
                .stop = INT64_MAX);
        CHECK(got.count == (i >= 2));
    }
    sim_stop(&s);
}
