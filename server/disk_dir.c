#include "server/disk_dir.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

enum { LARGE_PAGE = 2 << 20 };

struct disk_dir {
    struct disk disk; /* first */
    int fd;
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
    close(dir_of(*d));
    free(*d);
    *d = NULL;
}
