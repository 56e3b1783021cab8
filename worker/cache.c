#include "worker/cache.h"

#include "common/wire/digest.h"
#include "common/wire/limits.def"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { HEX_LEN = 2 * RV_LIMIT_DIGEST_BYTES, FILES_MAX = 4096 };

static void make_folders(const char *dir)
{
    char path[512];

    snprintf(path, sizeof path, "%s", dir);
    for (char *at = path + 1; *at != '\0'; at++) {
        if (*at != '/')
            continue;
        *at = '\0';
        (void)mkdir(path, 0755);
        *at = '/';
    }
    (void)mkdir(path, 0700);
}

bool cache_open(struct cache *c, const char *dir, uint64_t max_bytes, char *why, size_t why_len)
{
    struct stat st;

    c->max_bytes = max_bytes;
    if ((size_t)snprintf(c->dir, sizeof c->dir, "%s", dir) >= sizeof c->dir || dir[0] != '/') {
        snprintf(why, why_len, "the cache folder %.200s is no absolute path", dir);
        return false;
    }
    make_folders(dir);
    if (lstat(dir, &st) != 0) {
        snprintf(why, why_len, "cannot make the cache folder %.300s: %s", dir, strerror(errno));
        return false;
    }
    /* Whoever can write there could put another program in the place of one. */
    if (!S_ISDIR(st.st_mode) || st.st_uid != geteuid() || (st.st_mode & 077) != 0) {
        snprintf(why, why_len,
                 "the cache folder %.300s must be a folder of ours that is closed to others; run: "
                 "chmod 700 it, or name another with --cache",
                 dir);
        return false;
    }
    return true;
}

static void path_of(const struct cache *c, struct rv_slice digest, char *path, size_t len)
{
    char hex[HEX_LEN + 1];

    for (size_t i = 0; i < digest.len && i < RV_LIMIT_DIGEST_BYTES; i++)
        snprintf(hex + 2 * i, 3, "%02x", digest.data[i]);
    snprintf(path, len, "%s/%s", c->dir, hex);
}

/* Does the file have this digest? Its size goes to *size. */
static bool has_digest(int fd, struct rv_slice digest, uint64_t *size)
{
    uint8_t bytes[65536];
    uint8_t sum[RV_LIMIT_DIGEST_BYTES];
    struct rv_digest d;
    ssize_t len = 0;

    *size = 0;
    rv_digest_init(&d);
    while ((len = pread(fd, bytes, sizeof bytes, (off_t)*size)) > 0) {
        rv_digest_add(&d, rv_slice(bytes, (size_t)len));
        *size += (uint64_t)len;
    }
    rv_digest_end(&d, sum);
    return len == 0 && rv_slice_equal(digest, rv_slice(sum, sizeof sum));
}

bool cache_find(const struct cache *c, struct rv_slice digest, uint64_t size, char *path,
                size_t path_len)
{
    uint64_t found = 0;
    bool well = false;
    int fd = -1;

    path_of(c, digest, path, path_len);
    fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return false;
    well = has_digest(fd, digest, &found) && found == size;
    if (well)
        (void)futimens(fd, NULL);
    else
        (void)unlink(path);
    close(fd);
    return well;
}

int cache_begin(const struct cache *c, char *temporary, size_t len)
{
    snprintf(temporary, len, "%s/new-XXXXXX", c->dir);
    return mkostemp(temporary, O_CLOEXEC);
}

void cache_abandon(int fd, const char *temporary)
{
    if (fd < 0)
        return;
    (void)unlink(temporary);
    close(fd);
}

/* ---- what is too much goes ---- */

struct file {
    char name[HEX_LEN + 1];
    struct timespec used;
    uint64_t size;
};

static int by_use(const void *a, const void *b)
{
    const struct file *x = a;
    const struct file *y = b;

    if (x->used.tv_sec != y->used.tv_sec)
        return x->used.tv_sec < y->used.tv_sec ? -1 : 1;
    return (x->used.tv_nsec > y->used.tv_nsec) - (x->used.tv_nsec < y->used.tv_nsec);
}

/* A file that somebody began and never finished: nothing takes a day. */
static bool left_over(const char *name, const struct stat *st)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return strncmp(name, "new-", 4) == 0 && now.tv_sec - st->st_mtim.tv_sec > 24 * 3600;
}

static void evict(const struct cache *c, const char *kept)
{
    struct file *files = rv_alloc(FILES_MAX * sizeof *files);
    DIR *dir = opendir(c->dir);
    const struct dirent *entry = NULL;
    uint64_t total = 0;
    size_t len = 0;

    while (dir != NULL && len < FILES_MAX && (entry = readdir(dir)) != NULL) {
        struct stat st;

        if (fstatat(dirfd(dir), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0 ||
            !S_ISREG(st.st_mode))
            continue;
        if (left_over(entry->d_name, &st))
            (void)unlinkat(dirfd(dir), entry->d_name, 0);
        if (strlen(entry->d_name) != HEX_LEN)
            continue;
        files[len] = (struct file){.used = st.st_mtim, .size = (uint64_t)st.st_size};
        memcpy(files[len++].name, entry->d_name, HEX_LEN + 1);
        total += (uint64_t)st.st_size;
    }
    qsort(files, len, sizeof *files, by_use);
    for (size_t i = 0; i < len && total > c->max_bytes; i++) {
        if (strcmp(files[i].name, kept) == 0)
            continue;
        if (unlinkat(dirfd(dir), files[i].name, 0) == 0)
            total -= files[i].size;
    }
    if (dir != NULL)
        closedir(dir);
    free(files);
}

bool cache_commit(const struct cache *c, int fd, const char *temporary, struct rv_slice digest,
                  char *path, size_t path_len, char *why, size_t why_len)
{
    uint64_t size = 0;
    bool well = has_digest(fd, digest, &size);

    path_of(c, digest, path, path_len);
    if (!well)
        snprintf(why, why_len, "the program that came has other bytes than its digest says");
    if (well && (fchmod(fd, 0500) != 0 || rename(temporary, path) != 0)) {
        snprintf(why, why_len, "the program cannot be kept in %.200s: %s", c->dir, strerror(errno));
        well = false;
    }
    if (!well)
        (void)unlink(temporary);
    close(fd); /* before anybody executes it */
    if (well)
        evict(c, strrchr(path, '/') + 1);
    return well;
}
