/* list.c -- values in a row. */

#include "server/core/list.h"

#include "common/value/key.h"
#include "common/value/order.h"
#include "common/value/path.h"
#include "common/value/value.h"
#include "server/core/box.h"
#include "server/core/typecode.h"

struct list {
    struct box box; /* first: a list is a box */
    uint8_t typecode;
    struct cell *room; /* cells head .. head + len - 1 are the list */
    size_t head, len, cap;
};

static struct list *list_of(const struct box_call *c)
{
    return (struct list *)c->box;
}

/* NULL: it never had any. */
static struct cell *cell_at(const struct list *l, size_t i)
{
    return l->room == NULL ? NULL : l->room + l->head + i;
}

static bool fixed(const struct list *l)
{
    return l->box.object.kind != RV_KIND_LIST;
}

/* ---- the row ---- */

/* Is the side before `at` the shorter one? */
static bool at_front(const struct list *l, size_t at)
{
    return l->len > 0 && at <= (l->len - 1) / 2;
}

/* New room, of which most of what is free lies at that end. */
static void move_house(struct list *l, bool front, size_t more)
{
    size_t cap = (l->len + more) * 2 + 8;
    size_t free_cells = cap - l->len;
    size_t other_end = (free_cells - more) / 4;
    struct cell *room = rv_alloc(cap * sizeof *room);
    size_t head = front ? free_cells - other_end : other_end;

    if (l->len > 0)
        memcpy(room + head, l->room + l->head, l->len * sizeof *room);
    free(l->room);
    l->room = room;
    l->head = head;
    l->cap = cap;
}

static void open_gap(struct list *l, size_t at, size_t more)
{
    bool front = at_front(l, at);

    if ((front ? l->head : l->cap - l->head - l->len) < more)
        move_house(l, front, more);
    if (front) {
        memmove(l->room + l->head - more, l->room + l->head, at * sizeof *l->room);
        l->head -= more;
    } else if (at < l->len) {
        memmove(cell_at(l, at + more), cell_at(l, at), (l->len - at) * sizeof *l->room);
    }
    l->len += more;
}

static void close_gap(struct list *l, size_t at, size_t less)
{
    size_t behind = l->len - at - less;

    if (at < behind) {
        memmove(l->room + l->head + less, l->room + l->head, at * sizeof *l->room);
        l->head += less;
    } else if (behind > 0) {
        memmove(cell_at(l, at), cell_at(l, at + less), behind * sizeof *l->room);
    }
    l->len -= less;
    if (l->cap > 64 && l->len < l->cap / 8)
        move_house(l, false, 0);
}

static uint64_t bytes_of(const struct cell *cells, size_t len)
{
    uint64_t bytes = 0;

    for (size_t i = 0; i < len; i++)
        bytes += cell_bytes(&cells[i]).len;
    return bytes;
}

/* ---- changes ---- */

struct list_undo {
    struct undo undo;
    size_t at, came; /* so many took the place of those below */
    size_t went;
    struct cell *cells;
};

/* cells[0 .. came - 1] in the place of the `went` ones at `at`, which go to old. */
static void exchange(struct mgr *mgr, struct list *l, size_t at, size_t went, struct cell *old,
                     const struct cell *cells, size_t came)
{
    uint64_t less = 0;

    if (went > 0)
        memcpy(old, cell_at(l, at), went * sizeof *old);
    less = bytes_of(old, went);
    if (came > went)
        open_gap(l, at + went, came - went);
    else if (came < went)
        close_gap(l, at + came, went - came);
    if (came > 0)
        memcpy(cell_at(l, at), cells, came * sizeof *cells);
    box_count(mgr, &l->box, bytes_of(cells, came), 0);
    box_count(mgr, &l->box, 0, less);
}

static void back_exchanged(struct mgr *mgr, struct undo *undo)
{
    struct list_undo *u = (struct list_undo *)undo;
    struct cell *came = rv_alloc((u->came + 1) * sizeof *came);

    exchange(mgr, (struct list *)undo->box, u->at, u->came, came, u->cells, u->went);
    for (size_t i = 0; i < u->came; i++)
        cell_drop(mgr, &came[i]);
    free(came);
    free(u->cells);
}

static void done_exchanged(struct mgr *mgr, struct undo *undo)
{
    struct list_undo *u = (struct list_undo *)undo;

    for (size_t i = 0; i < u->went; i++)
        cell_drop(mgr, &u->cells[i]);
    free(u->cells);
}

static void drop_cells(struct mgr *mgr, struct cell *cells, size_t len)
{
    for (size_t i = 0; i < len; i++)
        cell_drop(mgr, &cells[i]);
}

/* Takes the cells over, also on an error: EQUOTA, ELIMIT. */
static reeve_err splice(struct mgr *mgr, struct box_call *c, size_t at, size_t went,
                        struct cell *cells, size_t came)
{
    struct list *l = list_of(c);
    uint64_t more = bytes_of(cells, came);
    uint64_t less = went == 0 ? 0 : bytes_of(cell_at(l, at), went);
    struct list_undo *u = NULL;
    reeve_err err = box_allows(mgr, &l->box, more > less ? more - less : 0, &c->text);

    if (err == REEVE_OK && l->len - went + came > RV_LIMIT_LIST_VALUES) {
        c->text = "a list has at most 16777216 values";
        err = REEVE_ELIMIT;
    }
    if (err != REEVE_OK) {
        drop_cells(mgr, cells, came);
        return err;
    }
    u = rv_alloc(sizeof *u);
    u->at = at;
    u->came = came;
    u->went = went;
    u->cells = went == 0 ? NULL : rv_alloc(went * sizeof *u->cells);
    box_made(mgr, came * sizeof *cells);
    exchange(mgr, l, at, went, u->cells, cells, came);
    box_changed(mgr, &l->box, &u->undo, back_exchanged, done_exchanged);
    return REEVE_OK;
}

/* The same cells in another order. */
static void back_ordered(struct mgr *mgr, struct undo *undo)
{
    struct list_undo *u = (struct list_undo *)undo;
    struct list *l = (struct list *)undo->box;

    (void)mgr;
    if (u->went > 0)
        memcpy(cell_at(l, 0), u->cells, u->went * sizeof *u->cells);
    free(u->cells);
}

static void done_ordered(struct mgr *mgr, struct undo *undo)
{
    (void)mgr;
    free(((struct list_undo *)undo)->cells);
}

/* Before the cells are put in another order, which changes nothing else. */
static void will_order(struct mgr *mgr, struct list *l)
{
    struct list_undo *u = rv_alloc(sizeof *u);

    u->went = l->len;
    box_made(mgr, l->len * sizeof *u->cells);
    u->cells = rv_alloc((l->len + 1) * sizeof *u->cells);
    if (l->len > 0)
        memcpy(u->cells, cell_at(l, 0), l->len * sizeof *u->cells);
    box_changed(mgr, &l->box, &u->undo, back_ordered, done_ordered);
}

/* ---- places ---- */

static reeve_err no_index(struct box_call *c)
{
    c->text = "there is no such index";
    return REEVE_EINDEX;
}

/* An index that must be there; a negative one counts from the end. */
static reeve_err find_index(struct box_call *c, int64_t at, size_t *out)
{
    const struct list *l = list_of(c);

    if (at < 0)
        at += (int64_t)l->len;
    if (at < 0 || (uint64_t)at >= l->len)
        return no_index(c);
    *out = (size_t)at;
    return REEVE_OK;
}

/* A bound of a slice, moved into lowest .. highest. */
static int64_t clamp(int64_t at, size_t len, int64_t lowest, int64_t highest)
{
    if (at < 0)
        at = at < -(int64_t)len ? lowest : at + (int64_t)len;
    return at < lowest ? lowest : at > highest ? highest : at;
}

/* As Python's slice.indices(len), and how many there are. */
struct span {
    int64_t start, step;
    size_t count;
};

static reeve_err find_span(struct box_call *c, uint8_t bounds, int64_t start, int64_t stop,
                           int64_t step, struct span *out)
{
    size_t len = list_of(c)->len;
    int64_t highest = (int64_t)len;
    int64_t lowest = 0;

    if (!(bounds & RV_BOUND_STEP))
        step = 1;
    if (step == 0) {
        c->text = "the step of a slice is not 0";
        return REEVE_EVALUE;
    }
    if (step < -INT64_MAX)
        step = -INT64_MAX;
    if (step < 0)
        lowest = -1, highest = (int64_t)len - 1;
    start = bounds & RV_BOUND_START ? clamp(start, len, lowest, highest)
            : step < 0              ? highest
                                    : lowest;
    stop = bounds & RV_BOUND_STOP ? clamp(stop, len, lowest, highest) : step < 0 ? lowest : highest;
    *out = (struct span){.start = start, .step = step};
    if (step > 0 && start < stop)
        out->count = (size_t)((stop - start - 1) / step + 1);
    else if (step < 0 && start > stop)
        out->count = (size_t)((start - stop - 1) / -step + 1);
    return REEVE_OK;
}

static size_t span_at(const struct span *s, size_t i)
{
    return (size_t)(s->start + (int64_t)i * s->step);
}

/* ---- values that go in ---- */

/* May the values of the call be in it? What an array takes it takes in its own type. */
static reeve_err check_values(struct box_call *c, uint32_t first)
{
    const struct list *l = list_of(c);
    reeve_err err = REEVE_OK;

    if (l->typecode == 0 || RV_MUTANT(ARRAY_ANY))
        return REEVE_OK;
    for (uint32_t i = first; err == REEVE_OK && i < c->values_len; i++) {
        struct rv_buf made = {0};

        err = typecode_fit(l->typecode, cell_bytes(&c->values[i]), &made, &c->text);
        if (err == REEVE_OK && !rv_slice_equal(rv_buf_slice(&made), cell_bytes(&c->values[i]))) {
            rv_body_drop(c->values[i].body); /* it has no references: it is a number */
            c->values[i].body = cell_new(rv_buf_slice(&made)).body;
        }
        rv_buf_free(&made);
    }
    return err;
}

static reeve_err is_fixed(struct box_call *c)
{
    c->text = c->box->object.kind == RV_KIND_ARRAY ? "the length of an array is fixed"
                                                   : "a value has no length";
    return REEVE_ETYPE;
}

/* All values of the call at `at` in the place of so many. */
static reeve_err put_values(struct mgr *mgr, struct box_call *c, size_t at, size_t went)
{
    reeve_err err = splice(mgr, c, at, went, c->values, c->values_len);

    for (uint32_t i = 0; i < c->values_len; i++)
        c->values[i] = (struct cell){0}; /* not the call's any more */
    return err;
}

static void encode_count(struct mgr *mgr, uint64_t count)
{
    rv_list_insert_result_encode(&mgr->scratch, &(struct rv_list_insert_result){count, 0});
}

static reeve_err on_insert(struct mgr *mgr, struct box_call *c)
{
    struct list *l = list_of(c);
    struct rv_list_insert_args args;
    reeve_err err = REEVE_OK;

    rv_assert(rv_list_insert_args_decode(&args, c->args));
    if (fixed(l))
        return is_fixed(c);
    err = put_values(mgr, c, (size_t)clamp(args.at, l->len, 0, (int64_t)l->len), 0);
    encode_count(mgr, l->len);
    return err;
}

static reeve_err on_set(struct mgr *mgr, struct box_call *c)
{
    struct rv_list_set_args args;
    size_t at = 0;
    reeve_err err = REEVE_OK;

    rv_assert(rv_list_set_args_decode(&args, c->args));
    if (c->values_len != 1)
        return REEVE_EINVAL;
    err = find_index(c, args.at, &at);
    if (err == REEVE_OK)
        err = check_values(c, 0);
    return err == REEVE_OK ? put_values(mgr, c, at, 1) : err;
}

/* list_del, and list_pop, which says what it was. */
static reeve_err on_drop(struct mgr *mgr, struct box_call *c)
{
    struct list *l = list_of(c);
    struct rv_list_del_args args;
    size_t at = 0;
    reeve_err err = REEVE_OK;

    rv_assert(rv_list_del_args_decode(&args, c->args));
    if (fixed(l))
        return is_fixed(c);
    err = find_index(c, args.at, &at);
    if (err != REEVE_OK)
        return err;
    if (c->op == RV_OP_list_pop) {
        rv_list_pop_result_encode(&mgr->scratch,
                                  &(struct rv_list_pop_result){.version = l->box.version + 1});
        if (!box_answer(mgr, c, cell_at(l, at))) {
            c->text = "the answer is too large";
            return REEVE_ETOOBIG;
        }
    }
    return splice(mgr, c, at, 1, NULL, 0);
}

/* Cells of the span change places so that those that go are the last ones; the rest keeps its order. */
static void move_to_end(struct list *l, const struct span *s)
{
    struct cell *go = rv_alloc(s->count * sizeof *go);
    size_t lowest = s->step > 0 ? span_at(s, 0) : span_at(s, s->count - 1);
    size_t stride = (size_t)(s->step > 0 ? s->step : -s->step);
    size_t to = lowest;
    size_t gone = 0;

    for (size_t i = lowest; i < l->len; i++)
        if (gone < s->count && i == lowest + gone * stride)
            go[gone++] = *cell_at(l, i);
        else
            *cell_at(l, to++) = *cell_at(l, i);
    memcpy(cell_at(l, to), go, s->count * sizeof *go);
    free(go);
}

static reeve_err on_splice(struct mgr *mgr, struct box_call *c)
{
    struct list *l = list_of(c);
    struct rv_list_splice_args args;
    struct span s;
    reeve_err err = REEVE_OK;

    rv_assert(rv_list_splice_args_decode(&args, c->args));
    err = find_span(c, args.bounds, args.start, args.stop, args.step, &s);
    if (err == REEVE_OK && fixed(l) && c->values_len != s.count)
        err = is_fixed(c);
    if (err == REEVE_OK)
        err = check_values(c, 0);
    if (err == REEVE_OK && s.step == 1) {
        err = put_values(mgr, c, (size_t)s.start, s.count);
    } else if (err == REEVE_OK && c->values_len == 0 && s.count > 0) {
        will_order(mgr, l);
        move_to_end(l, &s);
        err = splice(mgr, c, l->len - s.count, s.count, NULL, 0);
    } else if (err == REEVE_OK && c->values_len != s.count) {
        c->text = "a slice with steps takes as many values as it has";
        err = REEVE_EVALUE;
    } else {
        for (size_t i = 0; err == REEVE_OK && i < s.count; i++) {
            struct cell cell = box_take(c, (uint32_t)i);

            err = splice(mgr, c, span_at(&s, i), 1, &cell, 1);
        }
    }
    encode_count(mgr, l->len);
    return err;
}

/* Nothing when it is no value. */
static reeve_err seek(struct box_call *c, struct rv_slice value, struct rv_sought *out)
{
    reeve_err err = rv_sought_init(out, value);

    rv_assert(err != REEVE_ENOMEM);
    if (err == REEVE_OK)
        return err;
    rv_sought_free(out);
    c->text = "what came is not one whole value";
    return REEVE_EINVAL;
}

static bool equals(struct rv_sought *value, const struct cell *cell)
{
    bool equal = false;

    rv_assert(rv_sought_equals(value, cell_bytes(cell), &equal) == REEVE_OK);
    return equal;
}

/* The first that equals it from start on, below stop; len: none. */
static size_t search(const struct list *l, struct rv_sought *value, size_t start, size_t stop)
{
    for (; start < stop; start++)
        if (equals(value, cell_at(l, start)))
            return start;
    return l->len;
}

static reeve_err no_value(struct box_call *c)
{
    c->text = "there is no such value in it";
    return REEVE_EVALUE;
}

static reeve_err on_remove(struct mgr *mgr, struct box_call *c)
{
    struct list *l = list_of(c);
    struct rv_list_remove_args args;
    struct rv_sought value;
    size_t at = 0;
    reeve_err err = REEVE_OK;

    rv_assert(rv_list_remove_args_decode(&args, c->args));
    if (fixed(l))
        return is_fixed(c);
    err = seek(c, args.value, &value);
    if (err != REEVE_OK)
        return err;
    at = search(l, &value, 0, l->len);
    rv_sought_free(&value);
    return at == l->len ? no_value(c) : splice(mgr, c, at, 1, NULL, 0);
}

static reeve_err on_reverse(struct mgr *mgr, struct box_call *c)
{
    struct list *l = list_of(c);

    will_order(mgr, l);
    for (size_t i = 0; i < l->len / 2; i++) {
        struct cell cell = *cell_at(l, i);

        *cell_at(l, i) = *cell_at(l, l->len - 1 - i);
        *cell_at(l, l->len - 1 - i) = cell;
    }
    return REEVE_OK;
}

/* ---- sorting ---- */

struct sorted {
    struct rv_slice image;
    size_t at; /* before */
    struct cell cell;
};

static int by_image(const void *left, const void *right)
{
    const struct sorted *a = left;
    const struct sorted *b = right;
    int order = rv_image_compare(a->image, b->image);

    if (order != 0)
        return order;
    if (RV_MUTANT(LIST_UNSTABLE))
        return (b->at > a->at) - (b->at < a->at);
    return (a->at > b->at) - (a->at < b->at);
}

static int by_image_reversed(const void *left, const void *right)
{
    const struct sorted *a = left;
    const struct sorted *b = right;
    int order = rv_image_compare(b->image, a->image);

    return order != 0 ? order : (a->at > b->at) - (a->at < b->at);
}

/* Equal values keep their order, whichever way. */
static reeve_err on_sort(struct mgr *mgr, struct box_call *c)
{
    struct list *l = list_of(c);
    struct rv_list_sort_args args;
    struct sorted *all = rv_alloc((l->len + 1) * sizeof *all);
    struct rv_value_room room = {0};
    struct rv_buf images = {0};
    const uint8_t *at = NULL;

    rv_assert(rv_list_sort_args_decode(&args, c->args));
    for (size_t i = 0; i < l->len; i++) {
        const reeve_value *v = NULL;
        size_t start = images.len;

        rv_assert(rv_value_parse_in(&v, &room, cell_bytes(cell_at(l, i))) == REEVE_OK);
        rv_assert(rv_value_image(&images, rv_value_object(v)) == REEVE_OK);
        all[i] = (struct sorted){.image.len = images.len - start, .at = i, .cell = *cell_at(l, i)};
    }
    at = images.data;
    for (size_t i = 0; i < l->len; i++) {
        all[i].image.data = at;
        at += all[i].image.len;
    }
    qsort(all, l->len, sizeof *all, args.reverse ? by_image_reversed : by_image);
    will_order(mgr, l);
    for (size_t i = 0; i < l->len; i++)
        *cell_at(l, i) = all[i].cell;
    rv_value_room_free(&room);
    rv_buf_free(&images);
    free(all);
    return REEVE_OK;
}

/* ---- more calls ---- */

static reeve_err on_repeat(struct mgr *mgr, struct box_call *c)
{
    struct list *l = list_of(c);
    struct rv_list_repeat_args args;
    size_t len = l->len;
    uint64_t more = 0;
    struct cell *cells = NULL;
    reeve_err err = REEVE_OK;

    rv_assert(rv_list_repeat_args_decode(&args, c->args));
    if (fixed(l))
        return is_fixed(c);
    if (args.times <= 0)
        err = splice(mgr, c, 0, len, NULL, 0);
    if (args.times > 1 && len > 0) {
        if ((uint64_t)(args.times - 1) > RV_LIMIT_REPEAT_VALUES / len) {
            c->text = "one repetition adds at most 1048576 values";
            return REEVE_ELIMIT;
        }
        more = (uint64_t)(args.times - 1) * len;
        err = box_allows(mgr, &l->box, (uint64_t)(args.times - 1) * l->box.bytes, &c->text);
    }
    if (err == REEVE_OK && more > 0) {
        cells = rv_alloc(more * sizeof *cells);
        for (size_t i = 0; i < more; i++)
            cells[i] = cell_again(mgr, &l->box, cell_at(l, i % len));
        err = splice(mgr, c, len, 0, cells, more);
        free(cells);
    }
    encode_count(mgr, l->len);
    return err;
}

static void encode_version(struct mgr *mgr, const struct list *l)
{
    rv_list_get_result_encode(&mgr->scratch,
                              &(struct rv_list_get_result){.version = l->box.version});
}

static reeve_err on_get(struct mgr *mgr, struct box_call *c)
{
    struct list *l = list_of(c);
    struct rv_list_get_args args;
    size_t at = 0;
    reeve_err err = REEVE_OK;

    rv_assert(rv_list_get_args_decode(&args, c->args));
    err = find_index(c, args.at, &at);
    if (err != REEVE_OK)
        return err;
    encode_version(mgr, l);
    return box_answer_path(mgr, c, cell_at(l, at), args.path);
}

static reeve_err on_edit(struct mgr *mgr, struct box_call *c)
{
    struct list *l = list_of(c);
    struct rv_list_edit_args args;
    struct cell made = {0};
    struct rv_buf fits = {0};
    size_t at = 0;
    reeve_err err = REEVE_OK;

    rv_assert(rv_list_edit_args_decode(&args, c->args));
    err = find_index(c, args.at, &at);
    if (err == REEVE_OK)
        err = box_edited(mgr, c, cell_at(l, at), args.verb, args.path, &made);
    if (err == REEVE_OK && l->typecode != 0) {
        err = typecode_fit(l->typecode, cell_bytes(&made), &fits, &c->text);
        cell_drop(mgr, &made);
        if (err == REEVE_OK)
            made = cell_new(rv_buf_slice(&fits));
        rv_buf_free(&fits);
    }
    if (err == REEVE_OK)
        err = splice(mgr, c, at, 1, &made, 1);
    if (err != REEVE_OK)
        return err;
    encode_version(mgr, l);
    return args.verb == RV_EDIT_ADD ? box_answer_path(mgr, c, cell_at(l, at), args.path) : REEVE_OK;
}

static reeve_err on_cas(struct mgr *mgr, struct box_call *c)
{
    struct list *l = list_of(c);
    struct rv_list_cas_args args;
    struct rv_list_cas_result result = {0};
    size_t at = 0;
    reeve_err err = REEVE_OK;

    rv_assert(rv_list_cas_args_decode(&args, c->args));
    if (args.flags & (RV_CAS_ABSENT | RV_CAS_DELETE)) {
        c->text = "a place in a list has a value";
        return REEVE_EINVAL;
    }
    err = find_index(c, args.at, &at);
    if (err == REEVE_OK && c->values_len == 2)
        err = check_values(c, 1);
    if (err == REEVE_OK)
        err = box_cas(mgr, c, args.flags, cell_at(l, at), &result.done);
    if (err == REEVE_OK && result.done && !(args.flags & RV_CAS_ONLY)) {
        struct cell cell = box_take(c, 1);

        err = splice(mgr, c, at, 1, &cell, 1);
    }
    result.version = l->box.version;
    rv_list_cas_result_encode(&mgr->scratch, &result);
    return err;
}

static reeve_err apply(struct mgr *mgr, struct box_call *c)
{
    struct list *l = list_of(c);

    switch ((enum rv_op)c->op) {
    case RV_OP_list_insert:
        return on_insert(mgr, c);
    case RV_OP_list_set:
        return on_set(mgr, c);
    case RV_OP_list_del:
    case RV_OP_list_pop:
        return on_drop(mgr, c);
    case RV_OP_list_splice:
        return on_splice(mgr, c);
    case RV_OP_list_remove:
        return on_remove(mgr, c);
    case RV_OP_list_reverse:
        return on_reverse(mgr, c);
    case RV_OP_list_sort:
        return on_sort(mgr, c);
    case RV_OP_list_repeat:
        return on_repeat(mgr, c);
    case RV_OP_list_clear:
        return fixed(l) ? is_fixed(c) : splice(mgr, c, 0, l->len, NULL, 0);
    case RV_OP_list_fetch:
        return on_get(mgr, c);
    case RV_OP_list_edit:
        return on_edit(mgr, c);
    case RV_OP_list_cas:
        return on_cas(mgr, c);
    default:
        return REEVE_ETYPE;
    }
}

/* ---- questions ---- */

static reeve_err read_page(struct mgr *mgr, struct box_call *c)
{
    const struct list *l = list_of(c);
    struct rv_list_page_args args;
    struct span s;
    size_t i = 0;
    reeve_err err = REEVE_OK;

    rv_assert(rv_list_page_args_decode(&args, c->args));
    err = find_span(c, args.bounds, args.start, args.stop, args.step, &s);
    if (err != REEVE_OK)
        return err;
    for (i = args.skip < s.count ? (size_t)args.skip : s.count; i < s.count && !box_page_full(c);
         i++)
        rv_assert(box_answer(mgr, c, cell_at(l, span_at(&s, i))));
    rv_list_page_result_encode(&mgr->scratch, &(struct rv_list_page_result){
                                                  .version = l->box.version, .left = s.count - i});
    return REEVE_OK;
}

static reeve_err read_find(struct mgr *mgr, struct box_call *c)
{
    const struct list *l = list_of(c);
    struct rv_list_find_args args;
    struct rv_sought value;
    size_t start = 0;
    size_t stop = 0;
    uint64_t count = 0;
    reeve_err err = REEVE_OK;

    rv_assert(rv_list_find_args_decode(&args, c->args));
    err = seek(c, args.value, &value);
    if (err != REEVE_OK)
        return err;
    start = (size_t)clamp(args.start, l->len, 0, (int64_t)l->len);
    stop = (size_t)clamp(args.stop, l->len, 0, (int64_t)l->len);
    if (args.what == RV_FIND_INDEX) {
        count = search(l, &value, start, stop);
        err = count == l->len ? no_value(c) : REEVE_OK;
    } else {
        for (; start < stop; start++)
            count += equals(&value, cell_at(l, start));
    }
    rv_sought_free(&value);
    if (err != REEVE_OK)
        return err;
    encode_count(mgr, count);
    return REEVE_OK;
}

static reeve_err read(struct mgr *mgr, struct box_call *c)
{
    const struct list *l = list_of(c);

    switch ((enum rv_op)c->op) {
    case RV_OP_list_get:
        return on_get(mgr, c);
    case RV_OP_list_page:
        return read_page(mgr, c);
    case RV_OP_list_find:
        return read_find(mgr, c);
    case RV_OP_list_len:
        rv_list_len_result_encode(
            &mgr->scratch, &(struct rv_list_len_result){l->len, l->box.bytes, l->box.version, 0});
        return REEVE_OK;
    default:
        return REEVE_ETYPE;
    }
}

static const struct box_ops box_ops = {.apply = apply, .read = read, .wait = RV_OP_list_wait};

/* ---- as an object ---- */

static const char *refuse(const struct rv_object_open_args *args)
{
    if (args->kind == RV_KIND_LIST)
        return args->maxsize != 0    ? "a list has no length to begin with"
               : args->typecode != 0 ? "only arrays and values have a typecode"
                                     : NULL;
    if (args->typecode != 0 && !typecode_known(args->typecode))
        return "there is no such typecode";
    if (args->kind == RV_KIND_ARRAY && args->typecode == 0)
        return "an array has a typecode";
    if (args->kind == RV_KIND_VALUE && args->maxsize != 0)
        return "a value has no length";
    return args->maxsize > RV_LIMIT_LIST_VALUES ? "an array has at most 16777216 values" : NULL;
}

static struct object *create_empty(void)
{
    struct list *l = rv_alloc(sizeof *l);

    return &l->box.object;
}

static struct object *create(struct mgr *mgr, const struct rv_object_open_args *args)
{
    struct object *o = create_empty();
    struct list *l = (struct list *)o;
    size_t len = args->kind == RV_KIND_VALUE ? 1 : args->maxsize;
    struct cell zero = {0};

    (void)mgr;
    box_init(&l->box, args);
    l->typecode = args->typecode;
    if (len == 0)
        return o;
    zero = cell_new(typecode_zero(args->typecode));
    move_house(l, false, len);
    for (size_t i = 0; i < len; i++)
        l->room[l->head + i] = (struct cell){.body = rv_body_keep(zero.body)};
    l->len = len;
    l->box.bytes = len * zero.body->len; /* counted for its owner when it has one */
    rv_body_drop(zero.body);
    return o;
}

static bool fits(const struct object *o, const struct rv_object_open_args *args)
{
    const struct list *l = (const struct list *)o;

    return box_fits(o, args) && (args->typecode == 0 || args->typecode == l->typecode) &&
           (o->kind != RV_KIND_ARRAY || args->maxsize == 0 || args->maxsize == l->len);
}

static void drop_all(struct mgr *mgr, struct list *l)
{
    drop_cells(mgr, cell_at(l, 0), l->len);
    free(l->room);
    l->room = NULL;
    l->head = l->len = l->cap = 0;
    box_count(mgr, &l->box, 0, l->box.bytes);
}

static void removed(struct mgr *mgr, struct object *o)
{
    box_removed(mgr, (struct box *)o);
    drop_all(mgr, (struct list *)o);
}

static void free_list(struct mgr *mgr, struct object *o)
{
    drop_all(mgr, (struct list *)o);
    free(o);
}

static void row(const struct object *o, struct rv_object_row *out)
{
    const struct list *l = (const struct list *)o;

    box_row(&l->box, out);
    out->size = l->len;
    out->typecode = l->typecode;
    if (o->kind == RV_KIND_ARRAY)
        out->maxsize = (uint32_t)l->len;
}

static void check(const struct object *o)
{
    const struct list *l = (const struct list *)o;

    rv_assert(l->head + l->len <= l->cap);
    rv_assert(bytes_of(cell_at(l, 0), l->len) == l->box.bytes);
    for (size_t i = 0; i < l->len && !RV_MUTANT(ARRAY_ANY); i++) {
        struct rv_buf made = {0};
        const char *text = NULL;

        if (l->typecode != 0)
            rv_assert(typecode_fit(l->typecode, cell_bytes(cell_at(l, i)), &made, &text) ==
                      REEVE_OK);
        rv_buf_free(&made);
    }
}

/* ---- in a snapshot ---- */

static void save(const struct object *o, struct saver *out)
{
    const struct list *l = (const struct list *)o;
    size_t len = l->len - (RV_MUTANT(LIST_UNSAVED) && l->len > 0 && !fixed(l));

    box_save(&l->box, out);
    save_number(out, l->typecode, 1);
    save_number(out, len, 8);
    for (size_t i = 0; i < len; i++)
        cell_save(out, cell_at(l, i));
}

static void load(struct mgr *mgr, struct object *o, struct rv_reader *in)
{
    struct list *l = (struct list *)o;
    uint64_t count = 0;

    box_load(mgr, &l->box, in);
    l->typecode = (uint8_t)rv_read_number(in, 1);
    count = rv_read_number(in, 8);
    if (in->bad || count > in->left) { /* each takes more than one byte */
        in->bad = true;
        return;
    }
    move_house(l, false, (size_t)count);
    for (; count > 0; count--) {
        if (!cell_load(&l->box, in, l->room + l->head + l->len))
            return;
        l->box.bytes += cell_bytes(cell_at(l, l->len)).len;
        l->len++;
    }
}

const struct object_ops list_ops = {
    BOX_OPS,
    .family = 6,
    .box = &box_ops,
    .fits = fits,
    .refuse = refuse,
    .create = create,
    .removed = removed,
    .free = free_list,
    .row = row,
    .check = check,
    .create_empty = create_empty,
    .save = save,
    .load = load,
};
