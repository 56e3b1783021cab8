#include "server/core/blob.h"

static struct blob *find(const struct mgr *mgr, struct rv_slice digest)
{
    struct blob *b = NULL;

    if (digest.len == RV_LIMIT_DIGEST_BYTES)
        HASH_FIND(hh, mgr->blobs, digest.data, RV_LIMIT_DIGEST_BYTES, b);
    return b;
}

static void free_blob(struct mgr *mgr, struct blob *b)
{
    HASH_DELETE(hh, mgr->blobs, b);
    mgr->blobs_bytes -= b->size;
    free(b->data);
    free(b);
}

/* Drop what nobody uses, the oldest first, until so many bytes fit. */
static bool make_room(struct mgr *mgr, uint64_t size)
{
    while (mgr->blobs_bytes + size > RV_LIMIT_BLOBS_BYTES) {
        struct blob *b = NULL;
        struct blob *next = NULL;
        struct blob *oldest = NULL;

        HASH_ITER (hh, mgr->blobs, b, next) {
            if (b->jobs == 0 && (oldest == NULL || b->used < oldest->used))
                oldest = b;
        }
        if (oldest == NULL)
            return false;
        free_blob(mgr, oldest);
    }
    return true;
}

static void begin(struct blob *b)
{
    b->have = 0;
    rv_digest_init(&b->sum);
}

static struct blob *new_blob(struct mgr *mgr, const struct rv_blob_open_args *args)
{
    struct blob *b = rv_alloc(sizeof *b);

    memcpy(b->digest, args->digest.data, sizeof b->digest);
    b->size = args->size;
    b->data = rv_alloc((size_t)args->size);
    begin(b);
    mgr->blobs_bytes += b->size;
    HASH_ADD(hh, mgr->blobs, digest, sizeof b->digest, b);
    return b;
}

void blob_on_open(struct mgr *mgr, const struct incoming *in)
{
    struct rv_blob_open_args args;
    struct blob *b = NULL;

    rv_assert(rv_blob_open_args_decode(&args, in->msg->args));
    if (args.digest.len != RV_LIMIT_DIGEST_BYTES || args.size == 0) {
        mgr_reply_text(mgr, in->session, in->number, REEVE_EINVAL, "not a digest and a size");
        return;
    }
    b = find(mgr, args.digest);
    if (args.size > RV_LIMIT_BLOB_BYTES) {
        mgr_reply_text(mgr, in->session, in->number, REEVE_ETOOBIG,
                       "a program has at most 256 MiB");
        return;
    }
    if (b != NULL && b->size != args.size) {
        mgr_reply_text(mgr, in->session, in->number, REEVE_EINVAL,
                       "the digest belongs to bytes of another size");
        return;
    }
    if (b == NULL && !make_room(mgr, args.size)) {
        mgr_reply_text(mgr, in->session, in->number, REEVE_ELIMIT,
                       "the manager keeps its maximum of programs");
        return;
    }
    if (b == NULL)
        b = new_blob(mgr, &args);
    b->used = ++mgr->blob_uses;
    rv_buf_clear(&mgr->scratch);
    rv_blob_open_result_encode(&mgr->scratch, &(struct rv_blob_open_result){.have = b->have});
    mgr_reply(mgr, in->session, in->number, REEVE_OK, NULL, rv_buf_slice(&mgr->scratch), NULL, 0);
}

/* Two clients may send the same program at once: each piece counts once, in order. */
void blob_on_put(struct mgr *mgr, const struct incoming *in)
{
    struct rv_blob_put_args args;
    struct blob *b = NULL;
    uint64_t skip = 0;
    struct rv_slice more;
    uint8_t sum[RV_LIMIT_DIGEST_BYTES];

    rv_assert(rv_blob_put_args_decode(&args, in->msg->args));
    b = find(mgr, args.digest);
    if (b == NULL || args.offset > b->have || args.data.len > b->size - args.offset) {
        mgr->refused++;
        return;
    }
    skip = b->have - args.offset;
    if (b->whole || skip >= args.data.len)
        return;
    more = rv_slice(args.data.data + skip, args.data.len - (size_t)skip);
    memcpy(b->data + b->have, more.data, more.len);
    b->have += more.len;
    rv_digest_add(&b->sum, more);
    if (b->have < b->size)
        return;
    rv_digest_end(&b->sum, sum);
    b->whole = memcmp(sum, b->digest, sizeof sum) == 0;
    if (!b->whole) {
        mgr->refused++;
        begin(b);
        return;
    }
    mgr_say(mgr, RV_INFO, "program.stored digest=%02x%02x%02x%02x bytes=%llu", b->digest[0],
            b->digest[1], b->digest[2], b->digest[3], (unsigned long long)b->size);
}

void blob_on_read(struct mgr *mgr, struct session *s, const struct rv_read *msg)
{
    struct rv_blob_read_args args;
    const struct blob *b = NULL;
    uint64_t len = 0;

    rv_assert(rv_blob_read_args_decode(&args, msg->args));
    b = find(mgr, args.digest);
    if (b == NULL || !b->whole || args.offset > b->size) {
        mgr_answer(mgr, s, msg->id, REEVE_ENOENT, "no such program", rv_slice(NULL, 0));
        return;
    }
    len = args.len < RV_LIMIT_BLOB_PIECE_BYTES ? args.len : RV_LIMIT_BLOB_PIECE_BYTES;
    if (len > b->size - args.offset)
        len = b->size - args.offset;
    rv_buf_clear(&mgr->scratch);
    rv_blob_read_result_encode(
        &mgr->scratch,
        &(struct rv_blob_read_result){b->size, rv_slice(b->data + args.offset, (size_t)len), 0});
    mgr_answer(mgr, s, msg->id, REEVE_OK, NULL, rv_buf_slice(&mgr->scratch));
}

struct blob *blob_keep(struct mgr *mgr, struct rv_slice digest)
{
    struct blob *b = find(mgr, digest);

    if (b == NULL || !b->whole)
        return NULL;
    b->jobs++;
    b->used = ++mgr->blob_uses;
    return b;
}

void blob_drop(struct mgr *mgr, struct blob *b)
{
    (void)mgr;
    if (b != NULL)
        b->jobs--;
}

bool blob_load(struct mgr *mgr, struct rv_slice digest, uint64_t size, uint64_t used,
               struct rv_slice data)
{
    struct rv_blob_open_args args = {.digest = digest, .size = size};
    struct blob *b = NULL;

    if (digest.len != RV_LIMIT_DIGEST_BYTES || size == 0 || size > RV_LIMIT_BLOB_BYTES ||
        data.len > size || find(mgr, digest) != NULL)
        return false;
    b = new_blob(mgr, &args);
    b->used = used;
    if (data.len > 0)
        memcpy(b->data, data.data, data.len);
    b->have = data.len;
    b->whole = b->have == size;
    rv_digest_add(&b->sum, data);
    return true;
}

struct blob *blob_held(struct mgr *mgr, struct rv_slice digest)
{
    struct blob *b = find(mgr, digest);

    if (b == NULL || !b->whole)
        return NULL;
    b->jobs++;
    return b;
}

void blobs_free(struct mgr *mgr)
{
    while (mgr->blobs != NULL)
        free_blob(mgr, mgr->blobs);
}
