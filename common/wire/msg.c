#include "common/wire/msg.h"

/* ---- one reader and one writer for each kind of field ---- */

#define NUMBER_KIND(kind, width)                                                                   \
    static void read_##kind(struct rv_reader *r, rv_f_##kind *out)                                 \
    {                                                                                              \
        *out = (rv_f_##kind)rv_read_number(r, width);                                              \
    }                                                                                              \
    static void write_##kind(struct rv_buf *b, const rv_f_##kind *x)                               \
    {                                                                                              \
        rv_write_number(b, (uint64_t)*x, width);                                                   \
    }
NUMBER_KIND(u8, 1)
NUMBER_KIND(u16, 2)
NUMBER_KIND(u32, 4)
NUMBER_KIND(u64, 8)
NUMBER_KIND(i64, 8)
#undef NUMBER_KIND

static void read_id(struct rv_reader *r, rv_f_id *out)
{
    const uint8_t *at = rv_read(r, sizeof out->bytes);

    *out = (struct rv_id){{0}};
    if (at != NULL)
        memcpy(out->bytes, at, sizeof out->bytes);
}

static void write_id(struct rv_buf *b, const rv_f_id *x)
{
    rv_buf_add(b, x->bytes, sizeof x->bytes);
}

static void read_blob(struct rv_reader *r, rv_f_blob *out)
{
    size_t len = (size_t)rv_read_number(r, 4);
    const uint8_t *at = rv_read(r, len);

    *out = rv_slice(at, at == NULL ? 0 : len);
}

static void write_blob(struct rv_buf *b, const rv_f_blob *x)
{
    rv_write_number(b, x->len, 4);
    rv_buf_add(b, x->data, x->len);
}

/* Text is a name or a sentence: bounded, and without control characters, so that it may
 * stand in a log line. */
static void read_str(struct rv_reader *r, rv_f_str *out)
{
    read_blob(r, out);
    if (out->len > 4 * RV_LIMIT_NAME_BYTES)
        r->bad = true;
    for (size_t i = 0; i < out->len; i++)
        if (out->data[i] < 0x20 || out->data[i] == 0x7f)
            r->bad = true;
}

static void write_str(struct rv_buf *b, const rv_f_str *x)
{
    write_blob(b, x);
}

static void read_items(struct rv_reader *r, rv_f_items *out)
{
    size_t bodies = 0;

    out->count = (uint32_t)rv_read_number(r, 4);
    read_blob(r, &out->bytes);
    if (!r->bad && !rv_items_check(out, &bodies))
        r->bad = true;
    if (r->bad)
        *out = (struct rv_items){0};
}

static void write_items(struct rv_buf *b, const rv_f_items *x)
{
    rv_write_number(b, x->count, 4);
    write_blob(b, &x->bytes);
}

#define READ_FIELD(kind, name)  read_##kind(&r, &out->name);
#define WRITE_FIELD(kind, name) write_##kind(out, &in->name);

#define CODEC(prefix, FIELDS)                                                                      \
    void rv_##prefix##_encode(struct rv_buf *out, const struct rv_##prefix *in)                    \
    {                                                                                              \
        (void)out;                                                                                 \
        (void)in;                                                                                  \
        FIELDS(WRITE_FIELD)                                                                        \
    }                                                                                              \
    bool rv_##prefix##_decode(struct rv_##prefix *out, struct rv_slice bytes)                      \
    {                                                                                              \
        struct rv_reader r = rv_reader(bytes);                                                     \
                                                                                                   \
        memset(out, 0, sizeof *out);                                                               \
        FIELDS(READ_FIELD)                                                                         \
        return !r.bad && r.left == 0;                                                              \
    }

/* ---- messages ---- */

#define MSG_CODEC(name, number, numbered, FIELDS) static CODEC_STATIC(name, FIELDS)
#define CODEC_STATIC(prefix, FIELDS)                                                               \
    void prefix##_write(struct rv_buf *out, const struct rv_##prefix *in)                          \
    {                                                                                              \
        (void)out;                                                                                 \
        (void)in;                                                                                  \
        FIELDS(WRITE_FIELD)                                                                        \
    }                                                                                              \
    static bool prefix##_read(struct rv_##prefix *out, struct rv_slice bytes)                      \
    {                                                                                              \
        struct rv_reader r = rv_reader(bytes);                                                     \
                                                                                                   \
        FIELDS(READ_FIELD)                                                                         \
        out->end_ = 0;                                                                             \
        return !r.bad && r.left == 0;                                                              \
    }
RV_MESSAGES(MSG_CODEC)
#undef MSG_CODEC

void rv_msg_encode(struct rv_buf *out, const struct rv_msg *msg)
{
    size_t start = out->len;

    rv_write_number(out, 0, 4);
    rv_write_number(out, (uint64_t)msg->type, 1);
    switch (msg->type) {
#define MSG_CASE(name, number, numbered, FIELDS)                                                   \
    case RV_MSG_##name:                                                                            \
        name##_write(out, &msg->name);                                                             \
        break;
        RV_MESSAGES(MSG_CASE)
#undef MSG_CASE
    }
    if (!out->bad)
        rv_set_number(out->data + start, out->len - start - 4, 4);
}

bool rv_msg_decode(struct rv_msg *out, struct rv_slice bytes)
{
    struct rv_slice fields;

    if (bytes.len == 0)
        return false;
    fields = rv_slice(bytes.data + 1, bytes.len - 1);
    out->type = (enum rv_msg_type)bytes.data[0];
    switch (out->type) {
#define MSG_CASE(name, number, numbered, FIELDS)                                                   \
    case RV_MSG_##name:                                                                            \
        return name##_read(&out->name, fields);
        RV_MESSAGES(MSG_CASE)
#undef MSG_CASE
    }
    return false;
}

bool rv_msg_numbered(enum rv_msg_type type)
{
    switch (type) {
#define MSG_CASE(name, number, numbered, FIELDS)                                                   \
    case RV_MSG_##name:                                                                            \
        return numbered;
        RV_MESSAGES(MSG_CASE)
#undef MSG_CASE
    }
    return false;
}

const char *rv_msg_name(enum rv_msg_type type)
{
    switch (type) {
#define MSG_CASE(name, number, numbered, FIELDS)                                                   \
    case RV_MSG_##name:                                                                            \
        return #name;
        RV_MESSAGES(MSG_CASE)
#undef MSG_CASE
    }
    return "?";
}

/* ---- operations ---- */

#define OP_CODEC(name, number, flags, right, ARGS, RESULT)                                         \
    CODEC(name##_args, ARGS)                                                                       \
    CODEC(name##_result, RESULT)
RV_OPS(OP_CODEC)
#undef OP_CODEC

static const struct rv_op_info ops[] = {
#define OP_ROW(name, number, flags, right, ARGS, RESULT)                                           \
    {number, RV_OP_##flags, RV_RIGHT_##right, #name},
    RV_OPS(OP_ROW)
#undef OP_ROW
};

const struct rv_op_info *rv_op_at(size_t i)
{
    return i < rv_countof(ops) ? &ops[i] : NULL;
}

const struct rv_op_info *rv_op_info(uint16_t op)
{
    switch ((enum rv_op)op) {
#define OP_CASE(name, number, flags, right, ARGS, RESULT)                                          \
    case RV_OP_##name: {                                                                           \
        static const struct rv_op_info info = {number, RV_OP_##flags, RV_RIGHT_##right, #name};    \
                                                                                                   \
        return &info;                                                                              \
    }
        RV_OPS(OP_CASE)
#undef OP_CASE
    }
    return NULL;
}

/* Fields that are not items use no body frame. */
#define BODIES_u8(x)
#define BODIES_u16(x)
#define BODIES_u32(x)
#define BODIES_u64(x)
#define BODIES_i64(x)
#define BODIES_id(x)
#define BODIES_str(x)
#define BODIES_blob(x)
#define BODIES_items(x)          (void)rv_items_check(&(x), bodies);
#define BODIES_FIELD(kind, name) BODIES_##kind(args_.name)

bool rv_op_args_check(uint16_t op, struct rv_slice args, size_t *bodies)
{
    *bodies = 0;
    switch ((enum rv_op)op) {
#define OP_CASE(name, number, flags, right, ARGS, RESULT)                                          \
    case RV_OP_##name: {                                                                           \
        struct rv_##name##_args args_;                                                             \
                                                                                                   \
        if (!rv_##name##_args_decode(&args_, args))                                                \
            return false;                                                                          \
        ARGS(BODIES_FIELD)                                                                         \
        return true;                                                                               \
    }
        RV_OPS(OP_CASE)
#undef OP_CASE
    }
    return false;
}

#define ITEMS_u8(x)
#define ITEMS_u16(x)
#define ITEMS_u32(x)
#define ITEMS_u64(x)
#define ITEMS_i64(x)
#define ITEMS_id(x)
#define ITEMS_str(x)
#define ITEMS_blob(x)
#define ITEMS_items(x)          *out = (x), found = true;
#define ITEMS_FIELD(kind, name) ITEMS_##kind(args_.name)

bool rv_op_items(uint16_t op, struct rv_slice args, struct rv_items *out)
{
    bool found = false;

    *out = (struct rv_items){0};
    switch ((enum rv_op)op) {
#define OP_CASE(name, number, flags, right, ARGS, RESULT)                                          \
    case RV_OP_##name: {                                                                           \
        struct rv_##name##_args args_;                                                             \
                                                                                                   \
        if (!rv_##name##_args_decode(&args_, args))                                                \
            return false;                                                                          \
        ARGS(ITEMS_FIELD)                                                                          \
        break;                                                                                     \
    }
        RV_OPS(OP_CASE)
#undef OP_CASE
    }
    return found;
}

bool rv_op_result_items(uint16_t op, struct rv_slice result, struct rv_items *out)
{
    bool found = false;

    *out = (struct rv_items){0};
    switch ((enum rv_op)op) {
#define OP_CASE(name, number, flags, right, ARGS, RESULT)                                          \
    case RV_OP_##name: {                                                                           \
        struct rv_##name##_result args_;                                                           \
                                                                                                   \
        if (!rv_##name##_result_decode(&args_, result))                                            \
            return false;                                                                          \
        RESULT(ITEMS_FIELD)                                                                        \
        break;                                                                                     \
    }
        RV_OPS(OP_CASE)
#undef OP_CASE
    }
    return found;
}

/* ---- between an agent and its runners ---- */

#define TASK_CODEC(name, number, FIELDS) CODEC(task_##name, FIELDS)
RV_TASK_FRAMES(TASK_CODEC)
#undef TASK_CODEC

/* ---- rows ---- */

#define ROW_CODEC(name, FIELDS) CODEC(name, FIELDS)
RV_ROWS(ROW_CODEC)
#undef ROW_CODEC

bool rv_row_next(struct rv_reader *r, struct rv_slice *row)
{
    if (r->left == 0)
        return false;
    read_blob(r, row);
    return !r->bad;
}

/* ---- frames ---- */

void rv_frame_encode(uint8_t out[static RV_FRAME_HEADER], const struct rv_frame *frame)
{
    out[0] = RV_FRAME_MAGIC;
    out[1] = RV_WIRE_MAJOR;
    out[2] = frame->bodies;
    out[3] = 0;
    rv_set_number(out + 4, frame->first, 8);
    rv_set_number(out + 12, frame->ack, 8);
}

bool rv_frame_decode(struct rv_frame *out, struct rv_slice bytes, bool *version)
{
    *version = true;
    if (bytes.len < RV_FRAME_HEADER || bytes.data[0] != RV_FRAME_MAGIC || bytes.data[3] != 0)
        return false;
    *version = bytes.data[1] == RV_WIRE_MAJOR;
    if (!*version || bytes.data[2] > RV_LIMIT_BODIES)
        return false;
    *out = (struct rv_frame){
        .bodies = bytes.data[2],
        .first = rv_get_number(bytes.data + 4, 8),
        .ack = rv_get_number(bytes.data + 12, 8),
        .messages = rv_slice(bytes.data + RV_FRAME_HEADER, bytes.len - RV_FRAME_HEADER),
    };
    return true;
}

bool rv_frame_next(struct rv_reader *r, struct rv_msg *out)
{
    struct rv_slice bytes;

    if (r->left == 0 || r->bad)
        return false;
    read_blob(r, &bytes);
    if (!r->bad && !rv_msg_decode(out, bytes))
        r->bad = true;
    return !r->bad;
}
