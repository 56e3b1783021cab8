#include "server/disk_dir.h"

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

enum {
    LARGE_PAGE = 2 << 20,
    AHEAD_MAX = 1 << 30, /* of a file that is read ahead */
    NAME = 64,
};

/* A file that a thread reads. */
struct ahead {
    pthread_t thread;
    bool running;
    bool whole; /* in bytes; all below belong to the thread while it runs */
    char name[NAME];
    struct rv_buf bytes;
};

struct disk_dir {
    struct disk disk; /* first */
    int fd;
    struct ahead ahead;
};

static int dir_of(struct disk *d)
{
    return ((const struct disk_dir *)d)->fd;
}

static int result(int value)
{
    return value < 0 ? -errno : value;
}

static int dir_list(struct disk *d, void (*each)(void *arg, const char *name), void *arg)
{
    int fd = openat(dir_of(d), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    const struct dirent *entry = NULL;
    int err = 0;

    if (dir == NULL) {
        err = -errno;
        if (fd >= 0)
            close(fd);
        return err;
    }
    for (errno = 0; (entry = readdir(dir)) != NULL; errno = 0)
        if (entry->d_name[0] != '.')
            each(arg, entry->d_name);
    err = -errno;
    closedir(dir);
    return err;
}

static int dir_open(struct disk *d, const char *name, enum disk_open how)
{
    static const int flags[] = {
        [DISK_READ] = O_RDONLY, [DISK_WRITE] = O_RDWR, [DISK_CREATE] = O_RDWR | O_CREAT};

    return result(openat(dir_of(d), name, flags[how] | O_CLOEXEC, 0600));
}

static void dir_close(struct disk *d, int file)
{
    (void)d;
    close(file);
}

static int64_t dir_size(struct disk *d, int file)
{
    struct stat st;

    (void)d;
    return fstat(file, &st) == 0 ? st.st_size : -errno;
}

/* Whole segments and states: in large pages, or the kernel's work for small ones costs more than the
 * copy. */
static void in_large_pages(void *to, size_t len)
{
    uintptr_t from = ((uintptr_t)to + LARGE_PAGE - 1) & ~(uintptr_t)(LARGE_PAGE - 1);
    uintptr_t end = ((uintptr_t)to + len) & ~(uintptr_t)(LARGE_PAGE - 1);

    if (len >= 2 * LARGE_PAGE)
        (void)madvise((void *)from, end - from, MADV_HUGEPAGE);
}

static int64_t dir_read(struct disk *d, int file, void *to, size_t len, uint64_t at)
{
    ssize_t n = 0;

    in_large_pages(to, len);
    n = pread(file, to, len, (off_t)at);

    (void)d;
    return n < 0 ? -errno : n;
}

static int64_t dir_write(struct disk *d, int file, const void *from, size_t len, uint64_t at)
{
    ssize_t n = pwrite(file, from, len, (off_t)at);

    (void)d;
    return n < 0 ? -errno : n;
}

static int dir_sync(struct disk *d, int file)
{
    (void)d;
    return result(fdatasync(file));
}

static int dir_truncate(struct disk *d, int file, uint64_t len)
{
    (void)d;
    return result(ftruncate(file, (off_t)len));
}

static int dir_rename(struct disk *d, const char *from, const char *to)
{
    return result(renameat(dir_of(d), from, dir_of(d), to));
}

static int dir_unlink(struct disk *d, const char *name)
{
    return result(unlinkat(dir_of(d), name, 0));
}

static int dir_sync_dir(struct disk *d)
{
    return result(fsync(dir_of(d)));
}

static int64_t dir_space(struct disk *d)
{
    struct statvfs st;

    if (fstatvfs(dir_of(d), &st) != 0)
        return -errno;
    return (int64_t)st.f_bavail * (int64_t)st.f_frsize;
}

/* ---- a file that is read beside ---- */

static void *read_ahead(void *arg)
{
    struct disk_dir *dir = arg;
    struct ahead *a = &dir->ahead;
    int file = dir_open(&dir->disk, a->name, DISK_READ);
    int64_t size = file < 0 ? file : dir_size(&dir->disk, file);
    uint8_t *room = size <= 0 || size > AHEAD_MAX ? NULL : rv_buf_room(&a->bytes, (size_t)size);

    if (room != NULL && disk_read_all(&dir->disk, file, room, (size_t)size, 0) == size) {
        a->bytes.len = (size_t)size;
        a->whole = true;
    }
    if (file >= 0)
        close(file);
    return NULL;
}

static void end_ahead(struct ahead *a)
{
    if (a->running)
        rv_assert(pthread_join(a->thread, NULL) == 0);
    a->running = false;
}

static void dir_ahead(struct disk *d, const char *name)
{
    struct disk_dir *dir = (struct disk_dir *)d;
    struct ahead *a = &dir->ahead;

    end_ahead(a);
    a->whole = false;
    if (name == NULL) {
        rv_buf_free(&a->bytes);
        return;
    }
    rv_buf_clear(&a->bytes);
    snprintf(a->name, sizeof a->name, "%s", name);
    a->running = pthread_create(&a->thread, NULL, read_ahead, dir) == 0;
}

static bool dir_take(struct disk *d, const char *name, struct rv_buf *out)
{
    struct ahead *a = &((struct disk_dir *)d)->ahead;
    struct rv_buf other = *out;

    end_ahead(a);
    if (!a->whole || strcmp(a->name, name) != 0)
        return false;
    a->whole = false;
    *out = a->bytes;
    a->bytes = other;
    return true;
}

void disk_dir_read_ahead(struct disk *d)
{
    d->ahead = dir_ahead;
    d->take = dir_take;
}

int disk_dir_open(struct disk **out, const char *path, bool create, bool lock)
{
    struct disk_dir *dir = NULL;
    int fd = -1;
    int err = 0;

    if (create && mkdir(path, 0700) != 0 && errno != EEXIST)
        return -errno;
    fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    if (lock && flock(fd, LOCK_EX | LOCK_NB) != 0) {
        err = -errno;
        close(fd);
        return err;
    }
    dir = rv_alloc(sizeof *dir);
    dir->fd = fd;
    dir->disk = (struct disk){
        .list = dir_list,
        .open = dir_open,
        .close = dir_close,
        .size = dir_size,
        .read = dir_read,
        .write = dir_write,
        .sync = dir_sync,
        .truncate = dir_truncate,
        .rename = dir_rename,
        .unlink = dir_unlink,
        .sync_dir = dir_sync_dir,
        .space = dir_space,
    };
    *out = &dir->disk;
    return 0;
}

void disk_dir_close(struct disk **d)
{
    if (*d == NULL)
        return;
    dir_ahead(*d, NULL);
    close(dir_of(*d));
    free(*d);
    *d = NULL;
}
