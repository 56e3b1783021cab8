#include "common/wire/stream.h"

#include <stdlib.h>

void rv_stream_init(struct rv_stream *s)
{
    *s = (struct rv_stream){.first = 1, .next = 1};
}

void rv_stream_fini(struct rv_stream *s)
{
    for (size_t i = s->bodies_head; i < s->bodies_len; i++)
        rv_body_drop(s->bodies[i].body);
    rv_buf_free(&s->bytes);
    free(s->entries);
    free(s->bodies);
    rv_stream_init(s);
}

/* Make room for more elements behind *len, moving the kept ones over the spent ones first. */
static bool make_room(void **array, size_t size, size_t *head, size_t *len, size_t *cap,
                      size_t more)
{
    char *data = *array;

    if (*len + more <= *cap)
        return true;
    if (*head > 0 && *head >= *len / 2) {
        memmove(data, data + *head * size, (*len - *head) * size);
        *len -= *head;
        *head = 0;
    }
    if (*len + more > *cap) {
        size_t want = *cap == 0 ? 8 : *cap * 2;

        while (want < *len + more)
            want *= 2;
        data = realloc(data, want * size);
        if (data == NULL)
            return false;
        *array = data;
        *cap = want;
    }
    return true;
}

static bool room_for_entry(struct rv_stream *s)
{
    void *array = s->entries;
    bool ok = make_room(&array, sizeof *s->entries, &s->entries_head, &s->entries_len,
                        &s->entries_cap, 1);

    s->entries = array;
    return ok;
}

static bool room_for_bodies(struct rv_stream *s, size_t more)
{
    void *array = s->bodies;
    size_t head = s->bodies_head;
    bool ok =
        make_room(&array, sizeof *s->bodies, &s->bodies_head, &s->bodies_len, &s->bodies_cap, more);

    s->bodies = array;
    if (s->bodies_head != head)
        s->bodies_base += head;
    return ok;
}

/* Spent bytes are given back by moving the rest when they are the larger part. */
static void compact(struct rv_stream *s)
{
    if (s->head == s->bytes.len) {
        s->base += s->head;
        s->head = 0;
        rv_buf_clear(&s->bytes);
        if (s->bytes.cap > RV_LIMIT_BATCH_BYTES)
            rv_buf_free(&s->bytes);
    } else if (s->head > 4096 && s->head > s->bytes.len - s->head) {
        rv_buf_drop(&s->bytes, s->head);
        s->base += s->head;
        s->head = 0;
    }
}

static uint64_t add_parts(struct rv_stream *s, const struct rv_msg *msg,
                          const struct rv_stream_part *bodies, size_t bodies_len)
{
    size_t before = s->bytes.len;

    rv_assert(rv_msg_numbered(msg->type));
    if (!room_for_entry(s) || (bodies_len > 0 && !room_for_bodies(s, bodies_len)))
        return 0;
    rv_msg_encode(&s->bytes, msg);
    if (s->bytes.bad) {
        s->bytes.len = before;
        s->bytes.bad = false;
        return 0;
    }
    for (size_t i = 0; i < bodies_len; i++) {
        (void)rv_body_keep(bodies[i].body);
        s->bodies[s->bodies_len++] = bodies[i];
        s->bodies_bytes += bodies[i].len;
    }
    s->entries[s->entries_len++] = (struct rv_stream_entry){
        .end = s->base + s->bytes.len,
        .bodies_end = s->bodies_base + s->bodies_len,
    };
    return s->next++;
}

uint64_t rv_stream_add(struct rv_stream *s, const struct rv_msg *msg, struct rv_body *const *bodies,
                       size_t bodies_len)
{
    struct rv_stream_part parts[RV_LIMIT_BODIES];

    rv_assert(bodies_len <= RV_LIMIT_BODIES);
    for (size_t i = 0; i < bodies_len; i++)
        parts[i] = (struct rv_stream_part){bodies[i], 0, bodies[i]->len};
    return add_parts(s, msg, parts, bodies_len);
}

uint8_t *rv_stream_grow_last(struct rv_stream *s, size_t more)
{
    uint8_t *room = rv_buf_room(&s->bytes, more);

    rv_assert(s->next > s->first);
    if (room == NULL) {
        s->bytes.bad = false;
        return NULL;
    }
    s->bytes.len += more;
    s->entries[s->entries_len - 1].end += more;
    return room;
}

/* Where message number begins, and where its bodies do. */
static struct rv_stream_entry start_of(const struct rv_stream *s, uint64_t number)
{
    if (number == s->first)
        return (struct rv_stream_entry){s->base + s->head, s->bodies_base + s->bodies_head};
    return s->entries[s->entries_head + (size_t)(number - s->first) - 1];
}

uint8_t *rv_stream_last(struct rv_stream *s, size_t *len)
{
    struct rv_stream_entry start;

    rv_assert(s->next > s->first);
    start = start_of(s, s->next - 1);
    *len = (size_t)(s->base + s->bytes.len - start.end);
    return s->bytes.data + (start.end - s->base);
}

bool rv_stream_ack(struct rv_stream *s, uint64_t upto)
{
    struct rv_stream_entry start;

    if (upto >= s->next)
        return false;
    if (upto < s->first)
        return true;
    start = start_of(s, upto + 1);
    while (s->bodies_base + s->bodies_head < start.bodies_end) {
        const struct rv_stream_part *part = &s->bodies[s->bodies_head++];

        s->bodies_bytes -= part->len;
        rv_body_drop(part->body);
    }
    s->entries_head += (size_t)(upto + 1 - s->first);
    s->head = (size_t)(start.end - s->base);
    s->first = upto + 1;
    if (s->entries_head == s->entries_len)
        s->entries_head = s->entries_len = 0;
    compact(s);
    return true;
}

void rv_stream_trim(struct rv_stream *s)
{
    if (s->first != s->next)
        return;
    rv_buf_free(&s->bytes);
    free(s->entries);
    free(s->bodies);
    s->base += s->head;
    s->head = 0;
    s->entries = NULL;
    s->entries_head = s->entries_len = s->entries_cap = 0;
    s->bodies_base += s->bodies_head;
    s->bodies = NULL;
    s->bodies_head = s->bodies_len = s->bodies_cap = 0;
}

size_t rv_stream_bytes(const struct rv_stream *s)
{
    return s->bytes.len - s->head + s->bodies_bytes;
}

size_t rv_stream_bytes_from(const struct rv_stream *s, uint64_t from)
{
    struct rv_stream_entry start = start_of(s, from);
    size_t bytes = (size_t)(s->base + s->bytes.len - start.end);

    for (uint64_t i = start.bodies_end; i < s->bodies_base + s->bodies_len; i++)
        bytes += s->bodies[i - s->bodies_base].len;
    return bytes;
}

struct rv_slice rv_stream_message(const struct rv_stream *s, uint64_t number,
                                  struct rv_slice bodies[static RV_LIMIT_BODIES],
                                  size_t *bodies_len)
{
    struct rv_stream_entry start = start_of(s, number);
    struct rv_stream_entry end = start_of(s, number + 1);

    *bodies_len = (size_t)(end.bodies_end - start.bodies_end);
    for (size_t i = 0; i < *bodies_len; i++) {
        const struct rv_stream_part *part = &s->bodies[start.bodies_end - s->bodies_base + i];

        bodies[i] = rv_slice(part->body->data + part->at, part->len);
    }
    return rv_slice(s->bytes.data + (start.end - s->base), (size_t)(end.end - start.end));
}

uint64_t rv_stream_frame(const struct rv_stream *s, uint64_t from, uint64_t ack,
                         struct rv_slice extra, struct rv_buf *out, struct rv_slice *bodies,
                         size_t *bodies_len)
{
    struct rv_stream_entry start = start_of(s, from);
    struct rv_stream_entry end = start;
    uint64_t behind = from;
    size_t used = 0;
    size_t bodies_bytes = 0;

    *bodies_len = 0;
    for (; behind < s->next; behind++) {
        const struct rv_stream_entry *e =
            &s->entries[s->entries_head + (size_t)(behind - s->first)];
        size_t len = (size_t)(e->end - end.end);
        size_t count = (size_t)(e->bodies_end - end.bodies_end);

        if (behind > from &&
            (used + len > RV_LIMIT_BATCH_BYTES || *bodies_len + count > RV_LIMIT_BODIES ||
             (count > 0 && bodies_bytes >= RV_LIMIT_BODY_BYTES)))
            break;
        for (size_t i = 0; i < count; i++) {
            const struct rv_stream_part *part = &s->bodies[end.bodies_end - s->bodies_base + i];

            bodies[(*bodies_len)++] = rv_slice(part->body->data + part->at, part->len);
            bodies_bytes += part->len;
        }
        used += len;
        end = *e;
    }

    uint8_t *header = rv_buf_room(out, RV_FRAME_HEADER + extra.len + used);

    if (header == NULL)
        return from;
    rv_frame_encode(header, &(struct rv_frame){.bodies = (uint8_t)*bodies_len,
                                               .first = behind > from ? from : 0,
                                               .ack = ack});
    out->len += RV_FRAME_HEADER;
    rv_buf_add(out, extra.data, extra.len);
    if (used > 0)
        rv_buf_add(out, s->bytes.data + (start.end - s->base), used);
    return behind;
}

/* ---- assembly ---- */

struct rv_assembly_part *rv_assembly_part_new(uint64_t number, size_t len, struct rv_slice got)
{
    struct rv_assembly_part *part = rv_alloc(sizeof *part);

    rv_assert(got.len <= len);
    part->body = rv_body_new(len);
    rv_assert(part->body != NULL);
    part->number = number;
    part->got = got.len;
    if (got.len > 0)
        memcpy(part->body->data, got.data, got.len);
    return part;
}

void rv_assembly_fini(struct rv_assembly *a)
{
    while (a->parts != NULL) {
        struct rv_assembly_part *part = a->parts;

        a->parts = part->next;
        rv_body_drop(part->body);
        free(part);
    }
    a->bytes = 0;
}

static struct rv_assembly_part **find_part(struct rv_assembly *a, uint64_t number)
{
    struct rv_assembly_part **at = &a->parts;

    while (*at != NULL && (*at)->number != number)
        at = &(*at)->next;
    return at;
}

static struct rv_assembly_part *begin_part(struct rv_assembly *a, const struct rv_fragment *f)
{
    struct rv_assembly_part *part = NULL;

    if (f->total <= RV_LIMIT_BODY_BYTES || f->total > RV_LIMIT_ITEM_BYTES ||
        f->total > RV_LIMIT_ASSEMBLY_BYTES - a->bytes)
        return NULL;
    part = calloc(1, sizeof *part);
    if (part != NULL)
        part->body = rv_body_new(f->total);
    a->no_memory = part == NULL || part->body == NULL;
    if (a->no_memory) {
        free(part);
        return NULL;
    }
    part->number = f->body;
    part->next = a->parts;
    a->parts = part;
    a->bytes += f->total;
    return part;
}

bool rv_assembly_add(struct rv_assembly *a, const struct rv_fragment *fragment,
                     struct rv_slice bytes)
{
    struct rv_assembly_part *part = *find_part(a, fragment->body);

    if (part == NULL && fragment->offset == 0)
        part = begin_part(a, fragment);
    if (part == NULL || fragment->total != part->body->len || fragment->offset != part->got ||
        bytes.len == 0 || bytes.len > RV_LIMIT_BODY_BYTES ||
        bytes.len > part->body->len - part->got)
        return false;
    memcpy(part->body->data + part->got, bytes.data, bytes.len);
    part->got += bytes.len;
    return true;
}

static bool is_whole(const struct rv_assembly_part *part, size_t len)
{
    return part != NULL && part->got == part->body->len && part->body->len == len;
}

bool rv_assembly_has(const struct rv_assembly *a, uint64_t body, size_t len)
{
    const struct rv_assembly_part *part = a->parts;

    while (part != NULL && part->number != body)
        part = part->next;
    return is_whole(part, len);
}

void rv_assembly_drop(struct rv_assembly *a, uint64_t body)
{
    struct rv_assembly_part **at = find_part(a, body);
    struct rv_assembly_part *part = *at;

    if (part == NULL)
        return;
    *at = part->next;
    a->bytes -= part->body->len;
    rv_body_drop(part->body);
    free(part);
}

struct rv_body *rv_assembly_take(struct rv_assembly *a, uint64_t body, size_t len)
{
    struct rv_assembly_part **at = find_part(a, body);
    struct rv_assembly_part *part = *at;
    struct rv_body *whole = NULL;

    if (!is_whole(part, len))
        return NULL;
    whole = part->body;
    *at = part->next;
    a->bytes -= len;
    free(part);
    return whole;
}

bool rv_stream_add_fragments(struct rv_stream *s, uint64_t number, struct rv_body *body)
{
    for (size_t at = 0; at < body->len; at += RV_LIMIT_BODY_BYTES) {
        size_t left = body->len - at;
        struct rv_stream_part part = {
            body, at, left < RV_LIMIT_BODY_BYTES ? left : (size_t)RV_LIMIT_BODY_BYTES};
        struct rv_msg msg = {
            .type = RV_MSG_fragment,
            .fragment = {.body = number, .offset = (uint32_t)at, .total = (uint32_t)body->len}};

        if (add_parts(s, &msg, &part, 1) == 0)
            return false;
    }
    return true;
}

bool rv_item_receive(struct rv_item *item, struct rv_assembly *a, const struct rv_slice *bodies,
                     size_t bodies_len, size_t *frames, struct rv_body **out)
{
    *out = NULL;
    switch (item->place) {
    case RV_INLINE:
        return true;
    case RV_BODY:
        if (*frames >= bodies_len || bodies[*frames].len != item->len)
            return false;
        *out = rv_body_new(item->len);
        if (*out == NULL)
            return false;
        memcpy((*out)->data, bodies[*frames].data, item->len);
        (*frames)++;
        return true;
    case RV_FRAGMENTS:
        *out = rv_assembly_take(a, item->body, item->len);
        return *out != NULL;
    }
    return false;
}
