#include "proxy/ship.h"

#include "common/wire/digest.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

enum { STALL_MS = 30000, IN_FLIGHT = 4 };

struct shipment {
    reeve_context *ctx;
    const char *label; /* for people */
    int fd;
    uint64_t at, size;
    uint8_t digest[RV_LIMIT_DIGEST_BYTES];
    uint8_t piece[RV_LIMIT_BLOB_PIECE_BYTES];
    uint64_t numbers[IN_FLIGHT]; /* of the last messages with pieces */
    uint64_t waits_for;          /* one of them */
};

/* ---- the file ---- */

static reeve_err unreadable(const struct shipment *s, int number)
{
    return rv_fail(REEVE_ESYS, "cannot read %s: %s", s->label,
                   number == 0 ? "it became shorter meanwhile" : strerror(number));
}

/* The next piece at s->at; its length, or 0 with *err set. */
static size_t read_piece(struct shipment *s, reeve_err *err)
{
    uint64_t left = s->size - s->at;
    size_t want = left < sizeof s->piece ? (size_t)left : sizeof s->piece;
    size_t got = 0;

    while (got < want) {
        ssize_t n = pread(s->fd, s->piece + got, want - got, (off_t)(s->at + got));

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            *err = unreadable(s, n == 0 ? 0 : errno);
            return 0;
        }
        got += (size_t)n;
    }
    return got;
}

static reeve_err sum(struct shipment *s)
{
    struct rv_digest digest;
    reeve_err err = REEVE_OK;

    rv_digest_init(&digest);
    for (s->at = 0; err == REEVE_OK && s->at < s->size;) {
        size_t len = read_piece(s, &err);

        rv_digest_add(&digest, rv_slice(s->piece, len));
        s->at += len;
    }
    rv_digest_end(&digest, s->digest);
    s->at = 0;
    return err;
}

static rv_ns changed_at(const struct stat *st)
{
    return st->st_mtim.tv_sec * RV_SEC + st->st_mtim.tv_nsec;
}

static struct rv_shipped *find(const reeve_context *ctx, const struct stat *st)
{
    struct rv_shipped *f = ctx->shipped;

    while (f != NULL && (f->device != st->st_dev || f->inode != st->st_ino ||
                         f->size != (uint64_t)st->st_size || f->changed != changed_at(st)))
        f = f->next;
    return f;
}

static reeve_err remember(reeve_context *ctx, const struct stat *st, const struct shipment *s)
{
    struct rv_shipped *f = find(ctx, st);

    if (f != NULL)
        return REEVE_OK;
    f = malloc(sizeof *f);
    if (f == NULL)
        return rv_fail(REEVE_ENOMEM, "cannot send %s: out of memory", s->label);
    *f = (struct rv_shipped){.device = st->st_dev,
                             .inode = st->st_ino,
                             .size = (uint64_t)st->st_size,
                             .changed = changed_at(st),
                             .next = ctx->shipped};
    memcpy(f->digest, s->digest, sizeof f->digest);
    ctx->shipped = f;
    return REEVE_OK;
}

void rv_shipped_free(struct rv_shipped *shipped)
{
    while (shipped != NULL) {
        struct rv_shipped *next = shipped->next;

        free(shipped);
        shipped = next;
    }
}

/* ---- the way to the manager; the context is entered ---- */

static reeve_err ask(struct shipment *s)
{
    struct rv_buf args = {0};
    struct rv_buf result = {0};
    struct rv_blob_open_result opened;
    reeve_err err = REEVE_OK;

    rv_blob_open_args_encode(
        &args, &(struct rv_blob_open_args){.digest = rv_slice(s->digest, sizeof s->digest),
                                           .size = s->size});
    err = rv_finish(s->ctx,
                    args.bad ? NULL
                             : rv_link_call(&s->ctx->link, RV_OP_blob_open, 0, STALL_MS,
                                            rv_buf_slice(&args), NULL, 0),
                    STALL_MS, "send", s->label, &result);
    if (err == REEVE_OK &&
        (!rv_blob_open_result_decode(&opened, rv_buf_slice(&result)) || opened.have > s->size))
        err = rv_fail(REEVE_EPROTO, "cannot send %s: malformed answer", s->label);
    if (err == REEVE_OK)
        s->at = opened.have;
    rv_buf_free(&args);
    rv_buf_free(&result);
    return err;
}

static bool has_arrived(void *arg)
{
    const struct shipment *s = arg;
    const struct rv_link *link = &s->ctx->link;

    return link->out.first > s->waits_for || link->state == RV_LINK_DEAD;
}

/* Other messages go between the pieces: only a few of these are on their way. */
static reeve_err wait_turn(struct shipment *s)
{
    if (rv_wait(s->ctx, has_arrived, s, rv_after_ms(rv_clock_now(), STALL_MS)))
        return REEVE_OK;
    return rv_fail(REEVE_ETIME, "cannot send %s: manager %s has taken nothing for %d s", s->label,
                   rv_endpoint(s->ctx), STALL_MS / 1000);
}

static reeve_err send_piece(struct shipment *s, size_t len)
{
    struct rv_link *link = &s->ctx->link;
    struct rv_buf args = {0};
    bool said = false;

    rv_blob_put_args_encode(
        &args, &(struct rv_blob_put_args){.digest = rv_slice(s->digest, sizeof s->digest),
                                          .offset = s->at,
                                          .data = rv_slice(s->piece, len)});
    said = !args.bad && rv_link_say(link, RV_OP_blob_put, 0, rv_buf_slice(&args));
    rv_buf_free(&args);
    if (said)
        return REEVE_OK;
    if (link->state == RV_LINK_DEAD)
        return rv_fail(link->error, "cannot send %s: %s", s->label, link->why);
    return rv_fail(REEVE_ENOMEM, "cannot send %s: out of memory", s->label);
}

static reeve_err send_pieces(struct shipment *s)
{
    reeve_err err = REEVE_OK;

    for (size_t i = 0; err == REEVE_OK && s->at < s->size; i++) {
        size_t len = read_piece(s, &err);

        s->waits_for = s->numbers[i % IN_FLIGHT];
        if (err == REEVE_OK)
            err = wait_turn(s);
        if (err == REEVE_OK)
            err = send_piece(s, len);
        s->numbers[i % IN_FLIGHT] = s->ctx->link.out.next - 1;
        s->at += len;
        if (err == REEVE_OK)
            rv_drive(s->ctx);
    }
    return err;
}

static reeve_err ship(struct shipment *s, const struct stat *st)
{
    reeve_err err = sum(s);

    if (err != REEVE_OK)
        return err;
    err = rv_enter(s->ctx, "send", s->label);
    if (err != REEVE_OK)
        return err;
    err = ask(s);
    if (err == REEVE_OK)
        err = send_pieces(s);
    if (err == REEVE_OK)
        err = remember(s->ctx, st, s);
    rv_leave(s->ctx);
    return err;
}

static bool known(reeve_context *ctx, const struct stat *st, uint8_t *digest, reeve_err *err)
{
    const struct rv_shipped *f = NULL;

    *err = rv_enter(ctx, "send", "a program");
    if (*err != REEVE_OK)
        return true;
    f = find(ctx, st);
    if (f != NULL)
        memcpy(digest, f->digest, sizeof f->digest);
    rv_leave(ctx);
    return f != NULL;
}

static reeve_err ship_open(struct shipment *s, bool again)
{
    struct stat st;
    reeve_err err = REEVE_OK;

    if (s->fd < 0 || fstat(s->fd, &st) != 0)
        return unreadable(s, errno);
    if (!S_ISREG(st.st_mode))
        return rv_fail(REEVE_EINVAL, "cannot send %s: it is not a regular file", s->label);
    if (st.st_size > RV_LIMIT_BLOB_BYTES)
        return rv_fail(REEVE_ETOOBIG, "cannot send %s: it has more than %d MiB; strip(1) it",
                       s->label, RV_LIMIT_BLOB_BYTES >> 20);
    s->size = (uint64_t)st.st_size;
    if (!again && known(s->ctx, &st, s->digest, &err))
        return err;
    return ship(s, &st);
}

reeve_err rv_ship(reeve_context *ctx, const char *path, bool again,
                  uint8_t digest[static RV_LIMIT_DIGEST_BYTES])
{
    struct shipment *s = calloc(1, sizeof *s);
    reeve_err err = REEVE_OK;

    if (s == NULL)
        return rv_fail(REEVE_ENOMEM, "cannot send the program: out of memory");
    s->ctx = ctx;
    s->label = path == NULL ? "this program" : path;
    s->fd = open(path == NULL ? "/proc/self/exe" : path, O_RDONLY | O_CLOEXEC);
    err = ship_open(s, again);
    memcpy(digest, s->digest, sizeof s->digest);
    if (s->fd >= 0)
        close(s->fd);
    free(s);
    return err;
}
