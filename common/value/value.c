#include "common/value/value.h"

#include <stdlib.h>

#include <msgpack/pack.h>

#include "common/base/buf.h"

/* ---- text ---- */

size_t rv_utf8_len(struct rv_slice text)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    const uint8_t *p = text.data;
    uint32_t point = 0;
    size_t len = 0;

    if (text.len == 0 || p[0] < 0x80)
        return text.len == 0 ? 0 : 1;
    len = p[0] >= 0xf0 ? 4 : p[0] >= 0xe0 ? 3 : 2;
    if (p[0] < 0xc2 || p[0] > 0xf4 || text.len < len)
        return 0;
    point = p[0] & 0x7fu >> len;
    for (size_t i = 1; i < len; i++) {
        if ((p[i] & 0xc0) != 0x80)
            return 0;
        point = point << 6 | (p[i] & 0x3fu);
    }
    /* One spelling a character, no halves of UTF-16, nothing beyond Unicode. */
    if (point < least[len] || (point >= 0xd800 && point <= 0xdfff) || point > 0x10ffff)
        return 0;
    return len;
}

bool rv_utf8_valid(struct rv_slice text)
{
    while (text.len > 0) {
        uint64_t eight = 0;
        size_t len = 0;

        if (text.len >= sizeof eight) {
            memcpy(&eight, text.data, sizeof eight);
            if ((eight & UINT64_C(0x8080808080808080)) == 0)
                len = sizeof eight;
        }
        if (len == 0)
            len = rv_utf8_len(text);
        if (len == 0)
            return false;
        text = rv_slice(text.data + len, text.len - len);
    }
    return true;
}

/* ---- nesting ---- */

/* How many values each open container still waits for. left[0] is 1 until the root came. */
struct nest {
    unsigned depth;
    uint64_t left[RV_VALUE_DEPTH_MAX + 1];
};

static void nest_init(struct nest *n)
{
    n->depth = 0;
    n->left[0] = 1;
}

static bool nest_complete(const struct nest *n)
{
    return n->depth == 0 && n->left[0] == 0;
}

/* Count o in; false when no value is due here, or it would be too deep. */
static bool nest_enter(struct nest *n, const msgpack_object *o)
{
    if (n->left[n->depth] == 0 || (rv_object_nests(o) && n->depth == RV_VALUE_DEPTH_MAX))
        return false;
    n->left[n->depth]--;
    if (rv_object_nests(o))
        n->left[++n->depth] = rv_object_kids(o);
    while (n->depth > 0 && n->left[n->depth] == 0)
        n->depth--;
    return true;
}

/* ---- bytes to values ---- */

/* A root. The nodes below it come after it, and after them the bytes, which text points into. */
struct reeve_value {
    msgpack_object object; /* first: a root is a node too */
    struct rv_slice bytes;
    struct rv_value_origin origin;
    msgpack_object kids[];
};

/* A map is read as the nodes key, value, key, value, ... */
_Static_assert(sizeof(msgpack_object_kv) == 2 * sizeof(msgpack_object), "pairs are two nodes");

/* The heads 0xc0 to 0xdf, four a line: what comes, and how many bytes its number or length has.
 * A signed spelling is NEGATIVE until its sign is known; EXT with a width may be a reference, and else
 * stands for all that is refused. */
/* clang-format off */
#define HEAD(kind, width) {MSGPACK_OBJECT_##kind, width}
#define PLUS(width)       HEAD(POSITIVE_INTEGER, width)
#define SIGN(width)       HEAD(NEGATIVE_INTEGER, width)
static const struct {
    uint8_t kind;
    uint8_t width;
} heads[] = {
    HEAD(NIL, 0), HEAD(EXT, 0), HEAD(BOOLEAN, 0), HEAD(BOOLEAN, 0),
    HEAD(BIN, 1), HEAD(BIN, 2), HEAD(BIN, 4), HEAD(EXT, 1),
    HEAD(EXT, 0), HEAD(EXT, 0), HEAD(FLOAT32, 4), HEAD(FLOAT64, 8),
    PLUS(1), PLUS(2), PLUS(4), PLUS(8),
    SIGN(1), SIGN(2), SIGN(4), SIGN(8),
    HEAD(EXT, 0), HEAD(EXT, 0), HEAD(EXT, 0), HEAD(EXT, 0),
    HEAD(EXT, 0), HEAD(STR, 1), HEAD(STR, 2), HEAD(STR, 4),
    HEAD(ARRAY, 2), HEAD(ARRAY, 4), HEAD(MAP, 2), HEAD(MAP, 4),
};
/* clang-format on */
_Static_assert(rv_countof(heads) == 32, "one row a head");

static msgpack_object integer(uint64_t x, unsigned width)
{
    unsigned above = 64 - 8 * width;
    int64_t i = (int64_t)(x << above) >> above;

    if (i >= 0)
        return (msgpack_object){.type = MSGPACK_OBJECT_POSITIVE_INTEGER, .via.u64 = (uint64_t)i};
    return (msgpack_object){.type = MSGPACK_OBJECT_NEGATIVE_INTEGER, .via.i64 = i};
}

static double float32(uint32_t x)
{
    float f = 0;

    memcpy(&f, &x, sizeof f);
    return (double)f;
}

/* Take len bytes off rest; NULL when it has fewer. */
static const uint8_t *drop(struct rv_slice *rest, uint64_t len)
{
    const uint8_t *p = rest->data;

    if (len > rest->len)
        return NULL;
    *rest = rv_slice(p + len, rest->len - (size_t)len);
    return p;
}

/* ---- references ---- */

void rv_value_ref_write(uint8_t out[static RV_VALUE_REF_BYTES], reeve_ref ref)
{
    out[0] = (uint8_t)ref.kind;
    for (int i = 0; i < 8; i++)
        out[1 + i] = (uint8_t)(ref.object >> (56 - 8 * i));
    for (int i = 0; i < 4; i++)
        out[9 + i] = (uint8_t)(ref.store >> (24 - 8 * i));
}

bool rv_value_ref_read(reeve_ref *out, const msgpack_object *o)
{
    const uint8_t *p = (const uint8_t *)o->via.ext.ptr;

    if (o->type != MSGPACK_OBJECT_EXT)
        return false;
    *out = (reeve_ref){.kind = p[0]};
    for (int i = 0; i < 8; i++)
        out->object = out->object << 8 | p[1 + i];
    for (int i = 0; i < 4; i++)
        out->store = out->store << 8 | p[9 + i];
    return true;
}

/* Its head has been taken. Object zero is nobody's. */
static bool take_ref(struct rv_slice *rest, msgpack_object *o, uint64_t len)
{
    const uint8_t *type = drop(rest, 1);
    const uint8_t *at = type == NULL ? NULL : drop(rest, RV_VALUE_REF_BYTES);
    reeve_ref ref;

    if (at == NULL || len != RV_VALUE_REF_BYTES || *type != RV_VALUE_REF_TYPE)
        return false;
    o->via.ext.type = RV_VALUE_REF_TYPE;
    o->via.ext.size = RV_VALUE_REF_BYTES;
    o->via.ext.ptr = (const char *)at;
    return rv_value_ref_read(&ref, o) && ref.object != 0;
}

bool rv_value_take(struct rv_slice *rest, msgpack_object *o)
{
    const uint8_t *p = drop(rest, 1);
    uint8_t kind = MSGPACK_OBJECT_POSITIVE_INTEGER;
    uint8_t head = 0;
    uint8_t width = 1;
    uint64_t x = 0; /* the number, or the length */

    if (p == NULL)
        return false;
    head = *p;
    if (head < 0x80) {
        x = head;
    } else if (head < 0x90) {
        kind = MSGPACK_OBJECT_MAP;
        x = head & 0x0f;
    } else if (head < 0xa0) {
        kind = MSGPACK_OBJECT_ARRAY;
        x = head & 0x0f;
    } else if (head < 0xc0) {
        kind = MSGPACK_OBJECT_STR;
        x = head & 0x1f;
    } else if (head >= 0xe0) {
        kind = MSGPACK_OBJECT_NEGATIVE_INTEGER;
        x = head;
    } else {
        kind = heads[head - 0xc0].kind;
        width = heads[head - 0xc0].width;
        p = drop(rest, width);
        if (p == NULL)
            return false;
        for (unsigned i = 0; i < width; i++)
            x = x << 8 | p[i];
    }

    *o = (msgpack_object){.type = kind};
    switch (kind) {
    case MSGPACK_OBJECT_NIL:
        return true;
    case MSGPACK_OBJECT_BOOLEAN:
        o->via.boolean = head & 1;
        return true;
    case MSGPACK_OBJECT_POSITIVE_INTEGER:
        o->via.u64 = x;
        return true;
    case MSGPACK_OBJECT_NEGATIVE_INTEGER:
        *o = integer(x, width);
        return true;
    case MSGPACK_OBJECT_FLOAT32:
        o->type = MSGPACK_OBJECT_FLOAT64;
        o->via.f64 = float32((uint32_t)x);
        return true;
    case MSGPACK_OBJECT_FLOAT64:
        memcpy(&o->via.f64, &x, sizeof x);
        return true;
    case MSGPACK_OBJECT_STR:
        o->via.str = (msgpack_object_str){(uint32_t)x, (const char *)drop(rest, x)};
        return o->via.str.ptr != NULL;
    case MSGPACK_OBJECT_BIN:
        o->via.bin = (msgpack_object_bin){(uint32_t)x, (const char *)drop(rest, x)};
        return o->via.bin.ptr != NULL;
    case MSGPACK_OBJECT_ARRAY:
        o->via.array.size = (uint32_t)x;
        return true;
    case MSGPACK_OBJECT_MAP:
        o->via.map.size = (uint32_t)x;
        return true;
    case MSGPACK_OBJECT_EXT:
        return width == 1 && take_ref(rest, o, x);
    default:
        return false;
    }
}

/* Walk the one value in rest and count the nodes below its root. With a root to write to, build
 * the tree as well, in exactly so many kids: those of one container lie side by side. */
static bool walk(struct rv_slice rest, size_t *kids_len, msgpack_object *root, msgpack_object *kids)
{
    msgpack_object *next[RV_VALUE_DEPTH_MAX + 1]; /* where each open container's next node goes */
    struct nest nest;
    size_t total = rest.len;

    nest_init(&nest);
    next[0] = root;
    *kids_len = 0;
    while (!nest_complete(&nest)) {
        unsigned depth = nest.depth;
        uint64_t o_kids = 0;
        msgpack_object o;

        if (!rv_value_take(&rest, &o))
            return false;
        /* A value has at least one byte, so a count above the bytes left is a lie. */
        o_kids = rv_object_kids(&o);
        if (o_kids > rest.len || *kids_len + o_kids > total || !nest_enter(&nest, &o))
            return false;
        if (root != NULL) {
            msgpack_object *first = kids + *kids_len;

            if (o.type == MSGPACK_OBJECT_ARRAY)
                o.via.array.ptr = first;
            if (o.type == MSGPACK_OBJECT_MAP)
                o.via.map.ptr = (msgpack_object_kv *)first;
            if (nest.depth > depth)
                next[nest.depth] = first;
            *next[depth]++ = o;
        }
        *kids_len += (size_t)o_kids;
    }
    return rest.len == 0;
}

bool rv_value_valid(struct rv_slice bytes)
{
    size_t kids_len = 0;

    return walk(bytes, &kids_len, NULL, NULL);
}

bool rv_value_scalar(msgpack_object *out, struct rv_slice bytes)
{
    return rv_value_take(&bytes, out) && bytes.len == 0 && !rv_object_nests(out);
}

/* Point a text, or a reference, in the bytes at from into those at to. */
static void move_text(msgpack_object *o, const uint8_t *from, const uint8_t *to)
{
    if (o->type == MSGPACK_OBJECT_STR)
        o->via.str.ptr = (const char *)to + ((const uint8_t *)o->via.str.ptr - from);
    if (o->type == MSGPACK_OBJECT_BIN)
        o->via.bin.ptr = (const char *)to + ((const uint8_t *)o->via.bin.ptr - from);
    if (o->type == MSGPACK_OBJECT_EXT)
        o->via.ext.ptr = (const char *)to + ((const uint8_t *)o->via.ext.ptr - from);
}

/* Most values are one node, which needs no walk. */
reeve_err rv_value_parse(reeve_value **out, struct rv_slice bytes)
{
    struct reeve_value *v = NULL;
    msgpack_object scalar;
    size_t kids_len = 0;
    bool alone = rv_value_scalar(&scalar, bytes);
    bool built = alone;

    *out = NULL;
    if (!alone && !walk(bytes, &kids_len, NULL, NULL))
        return REEVE_EPROTO;
    if (kids_len > (SIZE_MAX - sizeof *v - bytes.len) / sizeof v->kids[0])
        return REEVE_ENOMEM;
    v = malloc(sizeof *v + kids_len * sizeof v->kids[0] + bytes.len);
    if (v == NULL)
        return REEVE_ENOMEM;
    v->bytes = rv_slice(memcpy(v->kids + kids_len, bytes.data, bytes.len), bytes.len);
    v->origin = (struct rv_value_origin){0};
    if (alone) {
        v->object = scalar;
        move_text(&v->object, bytes.data, v->bytes.data);
    } else {
        built = walk(v->bytes, &kids_len, &v->object, v->kids);
    }
    rv_assert(built);
    *out = v;
    return REEVE_OK;
}

/* A value of len bytes has fewer than len nodes below its root: each takes a byte. So up to here
 * there is room for whatever comes; of what is longer the nodes are counted first. */
enum { ROOM_KIDS = 1024 };

static bool make_room(struct rv_value_room *room, size_t kids)
{
    struct reeve_value *v = room->value;

    if (v != NULL && kids <= room->kids)
        return true;
    kids = kids < ROOM_KIDS ? ROOM_KIDS : kids;
    if (kids > (SIZE_MAX - sizeof *v) / sizeof v->kids[0])
        return false;
    v = malloc(sizeof *v + kids * sizeof v->kids[0]);
    if (v == NULL)
        return false;
    free(room->value);
    room->value = v;
    room->kids = kids;
    return true;
}

reeve_err rv_value_parse_in(const reeve_value **out, struct rv_value_room *room,
                            struct rv_slice bytes)
{
    struct reeve_value *v = NULL;
    size_t kids_len = bytes.len;

    *out = NULL;
    if (bytes.len > ROOM_KIDS && !walk(bytes, &kids_len, NULL, NULL))
        return REEVE_EPROTO;
    if (!make_room(room, kids_len))
        return REEVE_ENOMEM;
    v = room->value;
    if (!rv_value_scalar(&v->object, bytes) && !walk(bytes, &kids_len, &v->object, v->kids))
        return REEVE_EPROTO;
    v->bytes = bytes;
    v->origin = (struct rv_value_origin){0};
    *out = v;
    return REEVE_OK;
}

void rv_value_room_free(struct rv_value_room *room)
{
    free(room->value);
    *room = (struct rv_value_room){0};
}

void rv_value_free(reeve_value **root)
{
    if (*root != NULL && (*root)->origin.freed != NULL)
        (*root)->origin.freed((*root)->origin.lien);
    free(*root);
    *root = NULL;
}

struct rv_slice rv_value_bytes(const reeve_value *root)
{
    return root->bytes;
}

static void add_number(struct rv_buf *out, uint64_t x)
{
    uint8_t bytes[8];

    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(x >> (56 - 8 * i));
    rv_buf_add(out, bytes, sizeof bytes);
}

void rv_value_refs(const msgpack_object *o, struct rv_buf *out)
{
    reeve_ref ref;

    if (rv_value_ref_read(&ref, o))
        add_number(out, ref.object);
    for (uint32_t i = 0; o->type == MSGPACK_OBJECT_ARRAY && i < o->via.array.size; i++)
        rv_value_refs(&o->via.array.ptr[i], out);
    for (uint32_t i = 0; o->type == MSGPACK_OBJECT_MAP && i < o->via.map.size; i++) {
        rv_value_refs(&o->via.map.ptr[i].key, out);
        rv_value_refs(&o->via.map.ptr[i].val, out);
    }
}

struct rv_value_origin *rv_value_origin(reeve_value *root)
{
    return &root->origin;
}

const msgpack_object *rv_value_object(const reeve_value *value)
{
    static const msgpack_object nil = {.type = MSGPACK_OBJECT_NIL};

    return value == NULL ? &nil : (const msgpack_object *)value;
}

/* ---- values to bytes ---- */

struct reeve_builder {
    struct rv_buf buf;
    struct nest nest;
    reeve_err err;      /* the first one, until reset */
    struct rv_buf refs; /* the objects that were put, as an item has them */
    uint32_t store;     /* of their manager */
};

reeve_builder *rv_builder_new(void)
{
    reeve_builder *b = calloc(1, sizeof *b);

    if (b != NULL)
        nest_init(&b->nest);
    return b;
}

void rv_builder_free(reeve_builder **b)
{
    if (*b != NULL)
        rv_buf_free(&(*b)->buf);
    if (*b != NULL)
        rv_buf_free(&(*b)->refs);
    free(*b);
    *b = NULL;
}

void rv_builder_reset(reeve_builder *b)
{
    rv_buf_clear(&b->buf);
    b->buf.bad = false;
    rv_buf_clear(&b->refs);
    b->refs.bad = false;
    b->err = REEVE_OK;
    nest_init(&b->nest);
}

bool rv_builder_empty(const reeve_builder *b)
{
    return b->buf.len == 0 && b->err == REEVE_OK;
}

reeve_err rv_builder_fail(reeve_builder *b, reeve_err err)
{
    if (b == NULL)
        return REEVE_ENOMEM;
    if (b->err == REEVE_OK)
        b->err = err;
    return b->err;
}

static int append(void *buf, const char *bytes, size_t len)
{
    rv_buf_add(buf, bytes, len);
    return 0;
}

/* There is room, so the packer cannot fail. */
static void write_object(void *to, msgpack_packer_write add, const msgpack_object *o)
{
    msgpack_packer pk;

    msgpack_packer_init(&pk, to, add);
    switch (o->type) {
    case MSGPACK_OBJECT_NIL:
        msgpack_pack_nil(&pk);
        break;
    case MSGPACK_OBJECT_BOOLEAN:
        o->via.boolean ? msgpack_pack_true(&pk) : msgpack_pack_false(&pk);
        break;
    case MSGPACK_OBJECT_POSITIVE_INTEGER:
        msgpack_pack_uint64(&pk, o->via.u64);
        break;
    case MSGPACK_OBJECT_NEGATIVE_INTEGER:
        msgpack_pack_int64(&pk, o->via.i64);
        break;
    case MSGPACK_OBJECT_FLOAT64:
        msgpack_pack_double(&pk, o->via.f64);
        break;
    case MSGPACK_OBJECT_STR:
        msgpack_pack_str_with_body(&pk, o->via.str.ptr, o->via.str.size);
        break;
    case MSGPACK_OBJECT_BIN:
        msgpack_pack_bin_with_body(&pk, o->via.bin.ptr, o->via.bin.size);
        break;
    case MSGPACK_OBJECT_ARRAY:
        msgpack_pack_array(&pk, o->via.array.size);
        break;
    case MSGPACK_OBJECT_MAP:
        msgpack_pack_map(&pk, o->via.map.size);
        break;
    case MSGPACK_OBJECT_EXT:
        msgpack_pack_ext_with_body(&pk, o->via.ext.ptr, o->via.ext.size, o->via.ext.type);
        break;
    default:
        rv_assert(false); /* rv_value_take() makes no other, and the proxy neither */
    }
}

/* Objects of two managers in one value have no manager that could carry it. */
static reeve_err note_ref(reeve_builder *b, const msgpack_object *o)
{
    reeve_ref ref;

    if (!rv_value_ref_read(&ref, o) || (b->refs.len > 0 && b->store != ref.store))
        return REEVE_EINVAL;
    rv_buf_add(&b->refs, o->via.ext.ptr + 1, 8);
    b->store = ref.store;
    return b->refs.bad ? REEVE_ENOMEM : REEVE_OK;
}

reeve_err rv_builder_put(reeve_builder *b, const msgpack_object *o)
{
    uint64_t size = 9 + RV_VALUE_REF_BYTES; /* the longest head, or a reference */
    reeve_err err = REEVE_OK;

    if (b == NULL || b->err != REEVE_OK)
        return rv_builder_fail(b, REEVE_ENOMEM);
    if (o->type == MSGPACK_OBJECT_STR)
        size += o->via.str.size;
    if (o->type == MSGPACK_OBJECT_BIN)
        size += o->via.bin.size;
    if (size + b->buf.len > UINT32_MAX)
        return rv_builder_fail(b, REEVE_ETOOBIG);
    if (rv_buf_room(&b->buf, (size_t)size) == NULL)
        return rv_builder_fail(b, REEVE_ENOMEM);
    if (!nest_enter(&b->nest, o))
        return rv_builder_fail(b, REEVE_EINVAL);
    if (o->type == MSGPACK_OBJECT_EXT)
        err = note_ref(b, o);
    if (err != REEVE_OK)
        return rv_builder_fail(b, err);
    write_object(&b->buf, append, o);
    return REEVE_OK;
}

/* Recursion ends where the builder or the parser says "too deep". */
reeve_err rv_builder_copy(reeve_builder *b, const msgpack_object *o)
{
    reeve_err err = rv_builder_put(b, o);
    const msgpack_object *kids = o->type == MSGPACK_OBJECT_ARRAY ? o->via.array.ptr
                                 : o->type == MSGPACK_OBJECT_MAP ? (msgpack_object *)o->via.map.ptr
                                                                 : NULL;

    for (uint64_t i = 0; err == REEVE_OK && i < rv_object_kids(o); i++)
        err = rv_builder_copy(b, &kids[i]);
    return err;
}

reeve_err rv_builder_check(const reeve_builder *b)
{
    if (b == NULL)
        return REEVE_ENOMEM;
    if (b->err != REEVE_OK)
        return b->err;
    return nest_complete(&b->nest) ? REEVE_OK : REEVE_EINVAL;
}

reeve_err rv_builder_item(const reeve_builder *b, struct rv_slice *out, struct rv_slice *refs,
                          uint32_t *store)
{
    reeve_err err = rv_builder_check(b);

    *out = err == REEVE_OK ? rv_buf_slice(&b->buf) : rv_slice(NULL, 0);
    *refs = err == REEVE_OK ? rv_buf_slice(&b->refs) : rv_slice(NULL, 0);
    *store = b == NULL ? 0 : b->store;
    return err;
}

reeve_err rv_builder_bytes(const reeve_builder *b, struct rv_slice *out)
{
    struct rv_slice refs;
    uint32_t store = 0;
    reeve_err err = rv_builder_item(b, out, &refs, &store);

    if (err == REEVE_OK && refs.len > 0) {
        *out = rv_slice(NULL, 0);
        err = REEVE_EINVAL;
    }
    return err;
}

struct head {
    uint8_t *at;
    size_t len, max;
};

static int add_to_head(void *arg, const char *bytes, size_t len)
{
    struct head *head = arg;

    rv_assert(head->len + len <= head->max);
    memcpy(head->at + head->len, bytes, len);
    head->len += len;
    return 0;
}

size_t rv_value_head(uint8_t out[static RV_VALUE_HEAD_MAX], bool text, size_t len)
{
    struct head head = {out, 0, RV_VALUE_HEAD_MAX};
    msgpack_packer packer;

    msgpack_packer_init(&packer, &head, add_to_head);
    if (text)
        msgpack_pack_str(&packer, len);
    else
        msgpack_pack_bin(&packer, len);
    return head.len;
}

size_t rv_value_number(uint8_t out[static RV_VALUE_NUMBER_MAX], const msgpack_object *o)
{
    struct head head = {out, 0, RV_VALUE_NUMBER_MAX};

    write_object(&head, add_to_head, o);
    return head.len;
}
