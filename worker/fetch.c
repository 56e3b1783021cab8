#include "worker/fetch.h"

#include <errno.h>
#include <stdio.h>
#include <sys/types.h>
#include <unistd.h>

enum { PIECES_AHEAD = 16, WHY_MAX = 400 };

/* A file on its way. */
struct fetch {
    struct fetches *all;
    uint8_t digest[RV_LIMIT_DIGEST_BYTES];
    uint64_t size;
    uint64_t asked; /* bytes that were asked for, from the beginning */
    uint64_t got;   /* bytes that came; pieces come in any order, each once */
    unsigned flying;
    bool begun, over;
    int fd;
    char temporary[600];
    char path[600];
    char why[WHY_MAX]; /* over: empty when it went well */
    struct fetch *prev, *next;
};

/* Who waits for it. */
struct wish {
    uint64_t id;
    struct fetch *fetch;
    struct wish *prev, *next;
};

/* A piece that was asked for. It outlives its fetch when that ends early. */
struct piece {
    struct fetch *fetch; /* NULL: nobody wants it */
    uint64_t offset;
    uint32_t len;
    struct rv_request *call;
    struct piece *prev, *next;
};

struct fetches {
    struct rv_link *link;
    const struct cache *cache;
    fetch_done *done;
    void *arg;
    struct fetch *list;
    struct wish *wishes;
    struct piece *pieces;
};

static struct rv_slice digest_of(const struct fetch *f)
{
    return rv_slice(f->digest, sizeof f->digest);
}

static void fail(struct fetch *f, const char *format, const char *what)
{
    if (!f->over)
        snprintf(f->why, sizeof f->why, format, what);
    f->over = true;
    cache_abandon(f->fd, f->temporary);
    f->fd = -1;
}

static bool write_at(int fd, struct rv_slice bytes, uint64_t offset)
{
    while (bytes.len > 0) {
        ssize_t len = pwrite(fd, bytes.data, bytes.len, (off_t)offset);

        if (len < 0 && errno == EINTR)
            continue;
        if (len <= 0)
            return false;
        bytes = rv_slice(bytes.data + len, bytes.len - (size_t)len);
        offset += (uint64_t)len;
    }
    return true;
}

static void finish(struct fetch *f)
{
    f->over = true;
    (void)cache_commit(f->all->cache, f->fd, f->temporary, digest_of(f), f->path, sizeof f->path,
                       f->why, sizeof f->why);
    f->fd = -1;
}

static void on_piece(struct rv_link *link, struct rv_request *call, rv_ns now,
                     const struct rv_outcome *outcome)
{
    struct piece *p = call->arg;
    struct fetch *f = p->fetch;
    struct fetches *all = f == NULL ? NULL : f->all;
    struct rv_blob_read_result result;
    char words[200];

    (void)link;
    (void)now;
    if (f == NULL) {
        free(p);
        return;
    }
    DL_DELETE(all->pieces, p);
    f->flying--;
    if (f->over) {
        /* The others of it are on their way, for nothing. */
    } else if (outcome->error != REEVE_OK) {
        snprintf(words, sizeof words, "%.*s",
                 (int)(outcome->text.len < 150 ? outcome->text.len : 150),
                 outcome->text.len == 0 ? "the manager does not give it"
                                        : (const char *)outcome->text.data);
        fail(f, "the program cannot be fetched: %s", words);
    } else if (!rv_blob_read_result_decode(&result, outcome->result) || result.size != f->size ||
               result.data.len != p->len) {
        fail(f, "the program cannot be fetched: %s", "the manager has another one of that name");
    } else if (!write_at(f->fd, result.data, p->offset)) {
        fail(f, "the program cannot be kept: %s", strerror(errno));
    } else {
        f->got += p->len;
        if (f->got == f->size)
            finish(f);
    }
    free(p);
}

static bool ask(struct fetch *f)
{
    struct fetches *all = f->all;
    struct rv_buf args = {0};
    struct piece *p = rv_alloc(sizeof *p);
    uint64_t left = f->size - f->asked;

    *p = (struct piece){.fetch = f,
                        .offset = f->asked,
                        .len = left < RV_LIMIT_BLOB_PIECE_BYTES ? (uint32_t)left
                                                                : RV_LIMIT_BLOB_PIECE_BYTES};
    rv_blob_read_args_encode(
        &args,
        &(struct rv_blob_read_args){.digest = digest_of(f), .offset = p->offset, .len = p->len});
    p->call = rv_link_read(all->link, RV_OP_blob_read, 0, rv_buf_slice(&args));
    rv_buf_free(&args);
    if (p->call == NULL) {
        free(p);
        return false;
    }
    p->call->hook = on_piece;
    p->call->arg = p;
    p->call->abandoned = true; /* the link frees it */
    DL_APPEND(all->pieces, p);
    f->asked += p->len;
    f->flying++;
    return true;
}

static void begin(struct fetch *f)
{
    f->begun = true;
    if (cache_find(f->all->cache, digest_of(f), f->size, f->path, sizeof f->path)) {
        f->over = true;
        return;
    }
    if (f->size == 0 || f->size > RV_LIMIT_BLOB_BYTES) {
        fail(f, "the program cannot be fetched: %s", "it is empty, or too large");
        return;
    }
    f->fd = cache_begin(f->all->cache, f->temporary, sizeof f->temporary);
    if (f->fd < 0)
        fail(f, "the program cannot be kept: %s", strerror(errno));
}

static void free_fetch(struct fetch *f)
{
    struct piece *p = NULL;
    struct piece *next = NULL;

    DL_FOREACH_SAFE (f->all->pieces, p, next) {
        if (p->fetch != f)
            continue;
        DL_DELETE(f->all->pieces, p);
        p->fetch = NULL; /* its answer frees it */
    }
    cache_abandon(f->fd, f->temporary);
    DL_DELETE(f->all->list, f);
    free(f);
}

static void tell(struct fetches *all, struct fetch *f)
{
    struct wish *w = NULL;
    struct wish *next = NULL;

    DL_FOREACH_SAFE (all->wishes, w, next) {
        uint64_t id = w->id;

        if (w->fetch != f)
            continue;
        DL_DELETE(all->wishes, w);
        free(w);
        all->done(all->arg, id, f->why[0] == '\0' ? f->path : NULL,
                  f->why[0] == '\0' ? NULL : f->why);
    }
}

void fetches_step(struct fetches *all)
{
    struct fetch *f = NULL;
    struct fetch *next = NULL;

    DL_FOREACH_SAFE (all->list, f, next) {
        if (!f->begun)
            begin(f);
        while (!f->over && f->asked < f->size && f->flying < PIECES_AHEAD && ask(f)) {
        }
        if (!f->over)
            continue;
        tell(all, f);
        free_fetch(f);
    }
}

void fetch_begin(struct fetches *all, uint64_t id, struct rv_slice digest, uint64_t size)
{
    struct wish *w = rv_alloc(sizeof *w);
    struct fetch *f = NULL;

    DL_FOREACH (all->list, f) {
        if (rv_slice_equal(digest_of(f), digest) && f->size == size)
            break;
    }
    if (f == NULL) {
        f = rv_alloc(sizeof *f);
        *f = (struct fetch){.all = all, .size = size, .fd = -1};
        if (digest.len == sizeof f->digest)
            memcpy(f->digest, digest.data, digest.len);
        else
            fail(f, "the program cannot be fetched: %s", "its digest has another length");
        f->begun = f->over;
        DL_APPEND(all->list, f);
    }
    *w = (struct wish){.id = id, .fetch = f};
    DL_APPEND(all->wishes, w);
}

void fetch_cancel(struct fetches *all, uint64_t id)
{
    struct wish *w = NULL;
    struct wish *next = NULL;

    DL_FOREACH_SAFE (all->wishes, w, next) {
        if (w->id == id) {
            DL_DELETE(all->wishes, w);
            free(w);
        }
    }
}

struct fetches *fetches_new(struct rv_link *link, const struct cache *cache, fetch_done *done,
                            void *arg)
{
    struct fetches *all = rv_alloc(sizeof *all);

    *all = (struct fetches){.link = link, .cache = cache, .done = done, .arg = arg};
    return all;
}

void fetches_free(struct fetches **fetches)
{
    struct fetches *all = *fetches;

    if (all == NULL)
        return;
    while (all->wishes != NULL) {
        struct wish *w = all->wishes;

        DL_DELETE(all->wishes, w);
        free(w);
    }
    while (all->list != NULL)
        free_fetch(all->list);
    free(all);
    *fetches = NULL;
}
