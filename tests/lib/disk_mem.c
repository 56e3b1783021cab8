#include "tests/lib/disk_mem.h"

#include <stdio.h>
#include <stdlib.h>

enum { SECTOR = 512, PAGE = 4096 };

static struct disk_mem *mem_of(struct disk *d)
{
    return (struct disk_mem *)d;
}

/* ---- names ---- */

static struct disk_mem_name *find_name(const struct disk_mem_names *names, const char *text)
{
    for (size_t i = 0; i < names->len; i++)
        if (strcmp(names->at[i].text, text) == 0)
            return &names->at[i];
    return NULL;
}

static void set_name(struct disk_mem_names *names, const char *text, int file)
{
    struct disk_mem_name *name = find_name(names, text);

    if (name == NULL) {
        if (names->len == names->cap) {
            names->cap = names->cap == 0 ? 16 : names->cap * 2;
            names->at = rv_realloc(names->at, names->cap * sizeof *names->at);
        }
        name = &names->at[names->len++];
        snprintf(name->text, sizeof name->text, "%s", text);
    }
    name->file = file;
}

static void drop_name(struct disk_mem_names *names, const char *text)
{
    struct disk_mem_name *name = find_name(names, text);

    if (name != NULL)
        *name = names->at[--names->len];
}

static void apply_change(struct disk_mem_names *names, const struct disk_mem_change *c)
{
    if (c->from[0] != '\0')
        drop_name(names, c->from);
    if (c->to[0] != '\0')
        set_name(names, c->to, c->file);
}

static void copy_names(struct disk_mem_names *to, const struct disk_mem_names *from)
{
    if (to->cap < from->len) {
        to->cap = from->cap;
        to->at = rv_realloc(to->at, to->cap * sizeof *to->at);
    }
    if (from->len > 0)
        memcpy(to->at, from->at, from->len * sizeof *to->at);
    to->len = from->len;
}

static void change(struct disk_mem *d, const char *from, const char *to, int file)
{
    struct disk_mem_change *c = NULL;

    if (d->changes_len == d->changes_cap) {
        d->changes_cap = d->changes_cap == 0 ? 16 : d->changes_cap * 2;
        d->changes = rv_realloc(d->changes, d->changes_cap * sizeof *d->changes);
    }
    c = &d->changes[d->changes_len++];
    *c = (struct disk_mem_change){.file = file};
    snprintf(c->from, sizeof c->from, "%s", from);
    snprintf(c->to, sizeof c->to, "%s", to);
    apply_change(&d->names, c);
}

/* ---- bytes ---- */

static void resize(struct disk_mem_bytes *b, size_t want)
{
    if (want > b->cap) {
        b->cap = want > 2 * b->cap ? want : 2 * b->cap;
        b->data = rv_realloc(b->data, b->cap);
    }
    if (want > b->len)
        memset(b->data + b->len, 0, want - b->len);
    b->len = want;
}

static void put_bytes(struct disk_mem_bytes *b, uint64_t at, const uint8_t *from, size_t count)
{
    if (count == 0)
        return;
    if (at + count > b->len)
        resize(b, (size_t)at + count);
    memcpy(b->data + at, from, count);
}

static void copy_bytes(struct disk_mem_bytes *to, const struct disk_mem_bytes *from)
{
    if (from->len > to->cap) {
        free(to->data);
        to->data = rv_alloc(from->len);
        to->cap = from->len;
    }
    if (from->len > 0)
        memcpy(to->data, from->data, from->len);
    to->len = from->len;
}

static void note_write(struct disk_mem_file *f, uint64_t at, const void *from, size_t len)
{
    struct disk_mem_write *w = NULL;

    if (f->writes_len == f->writes_cap) {
        f->writes_cap = f->writes_cap == 0 ? 8 : f->writes_cap * 2;
        f->writes = rv_realloc(f->writes, f->writes_cap * sizeof *f->writes);
    }
    w = &f->writes[f->writes_len++];
    *w = (struct disk_mem_write){.at = at, .len = len};
    if (len != SIZE_MAX) {
        w->data = rv_alloc(len + 1);
        memcpy(w->data, from, len);
    }
}

static void forget_writes(struct disk_mem_file *f)
{
    for (size_t i = 0; i < f->writes_len; i++)
        free(f->writes[i].data);
    f->writes_len = 0;
}

static void make_safe(struct disk_mem_file *f)
{
    for (size_t i = 0; i < f->writes_len; i++) {
        const struct disk_mem_write *w = &f->writes[i];

        if (w->len == SIZE_MAX)
            resize(&f->safe, (size_t)w->at);
        else
            put_bytes(&f->safe, w->at, w->data, w->len);
    }
    forget_writes(f);
}

static void free_file(struct disk_mem_file *f)
{
    forget_writes(f);
    free(f->writes);
    free(f->now.data);
    free(f->safe.data);
    *f = (struct disk_mem_file){0};
}

static bool named(const struct disk_mem_names *names, int file)
{
    for (size_t i = 0; i < names->len; i++)
        if (names->at[i].file == file)
            return true;
    return false;
}

/* ---- faults ---- */

/* A call begins that changes something. 0: it happens; else what it answers instead. */
static int begin(struct disk_mem *d, bool *within)
{
    *within = false;
    if (d->dead)
        return -EIO;
    if (d->before != NULL)
        d->before(d->arg);
    d->ops++;
    if (d->ops == d->kill_at) {
        d->dead = d->kill != DISK_MEM_AFTER;
        *within = d->kill == DISK_MEM_WITHIN;
        return *within || d->kill == DISK_MEM_AFTER ? 0 : -EIO;
    }
    if (d->ops == d->fail_at && d->fail_with != DISK_MEM_SHORT)
        return -d->fail_with;
    return 0;
}

/* And ends. */
static int64_t end(struct disk_mem *d, int64_t result)
{
    if (d->kill_at != 0 && d->ops >= d->kill_at)
        d->dead = true;
    return d->dead ? -EIO : result;
}

/* ---- the calls ---- */

static int mem_list(struct disk *disk, void (*each)(void *arg, const char *name), void *arg)
{
    const struct disk_mem *d = mem_of(disk);

    if (d->dead)
        return -EIO;
    for (size_t i = 0; i < d->names.len; i++)
        each(arg, d->names.at[i].text);
    return 0;
}

/* Nobody has it open, and it has no name, now or after a loss of power. */
static bool gone(const struct disk_mem *d, size_t file)
{
    return d->files[file].opened == 0 && !named(&d->names, (int)file) &&
           !named(&d->safe_names, (int)file) && d->changes_len == 0;
}

static int new_file(struct disk_mem *d)
{
    for (size_t i = 0; i < d->files_len; i++)
        if (gone(d, i)) {
            free_file(&d->files[i]);
            return (int)i;
        }
    if (d->files_len == d->files_cap) {
        d->files_cap = d->files_cap == 0 ? 16 : d->files_cap * 2;
        d->files = rv_realloc(d->files, d->files_cap * sizeof *d->files);
    }
    d->files[d->files_len] = (struct disk_mem_file){0};
    return (int)d->files_len++;
}

static int mem_open(struct disk *disk, const char *name, enum disk_open how)
{
    struct disk_mem *d = mem_of(disk);
    const struct disk_mem_name *found = find_name(&d->names, name);
    bool within = false;
    int file = found == NULL ? -1 : found->file;
    int err = begin(d, &within);

    if (err != 0)
        return err;
    if (found == NULL && how != DISK_CREATE)
        return -ENOENT;
    if (found == NULL) {
        file = new_file(d);
        if (!within)
            change(d, "", name, file);
    }
    if (end(d, 0) != 0)
        return -EIO;
    d->files[file].opened++;
    return file;
}

static void mem_close(struct disk *disk, int file)
{
    struct disk_mem *d = mem_of(disk);

    if (d->files[file].opened > 0)
        d->files[file].opened--;
}

static int64_t mem_size(struct disk *disk, int file)
{
    const struct disk_mem *d = mem_of(disk);

    return d->dead ? -EIO : (int64_t)d->files[file].now.len;
}

static int64_t mem_read(struct disk *disk, int file, void *to, size_t len, uint64_t at)
{
    struct disk_mem *d = mem_of(disk);
    const struct disk_mem_file *f = &d->files[file];
    bool within = false;
    int err = begin(d, &within);
    size_t left = at >= f->now.len ? 0 : f->now.len - (size_t)at;

    if (err != 0)
        return err;
    if (len > left)
        len = left;
    if (d->ops == d->fail_at && d->fail_with == DISK_MEM_SHORT && len > 1)
        len /= 2;
    if (len > 0)
        memcpy(to, f->now.data + at, len);
    return end(d, (int64_t)len);
}

static int64_t mem_write(struct disk *disk, int file, const void *from, size_t len, uint64_t at)
{
    struct disk_mem *d = mem_of(disk);
    struct disk_mem_file *f = &d->files[file];
    bool within = false;
    int err = begin(d, &within);

    if (err != 0)
        return err;
    if (within || (d->ops == d->fail_at && d->fail_with == DISK_MEM_SHORT && len > 1))
        len /= 2;
    if (at + len > f->now.len) {
        uint64_t more = at + len - f->now.len;

        if (more > d->room)
            return end(d, -ENOSPC);
        if (d->room != UINT64_MAX)
            d->room -= more;
    }
    put_bytes(&f->now, at, from, len);
    note_write(f, at, from, len);
    return end(d, (int64_t)len);
}

static int mem_sync(struct disk *disk, int file)
{
    struct disk_mem *d = mem_of(disk);
    bool within = false;
    int err = begin(d, &within);

    if (err != 0)
        return err;
    if (!within)
        make_safe(&d->files[file]);
    return (int)end(d, 0);
}

static int mem_truncate(struct disk *disk, int file, uint64_t len)
{
    struct disk_mem *d = mem_of(disk);
    struct disk_mem_file *f = &d->files[file];
    bool within = false;
    int err = begin(d, &within);

    if (err != 0)
        return err;
    if (!within && f->now.len != len) {
        resize(&f->now, (size_t)len);
        note_write(f, len, NULL, SIZE_MAX);
    }
    return (int)end(d, 0);
}

static int mem_rename(struct disk *disk, const char *from, const char *to)
{
    struct disk_mem *d = mem_of(disk);
    const struct disk_mem_name *name = find_name(&d->names, from);
    bool within = false;
    int err = begin(d, &within);

    if (err != 0)
        return err;
    if (name == NULL)
        return -ENOENT;
    if (!within)
        change(d, from, to, name->file);
    return (int)end(d, 0);
}

static int mem_unlink(struct disk *disk, const char *name)
{
    struct disk_mem *d = mem_of(disk);
    const struct disk_mem_name *found = find_name(&d->names, name);
    bool within = false;
    int err = 0;

    if (d->dead)
        return -EIO;
    if (found == NULL)
        return -ENOENT;
    err = begin(d, &within);
    if (err != 0)
        return err;
    if (!within) {
        if (d->room != UINT64_MAX)
            d->room += d->files[found->file].now.len;
        change(d, name, "", -1);
    }
    return (int)end(d, 0);
}

static int mem_sync_dir(struct disk *disk)
{
    struct disk_mem *d = mem_of(disk);
    bool within = false;
    int err = begin(d, &within);

    if (err != 0)
        return err;
    if (!within) {
        for (size_t i = 0; i < d->changes_len; i++)
            apply_change(&d->safe_names, &d->changes[i]);
        d->changes_len = 0;
        for (size_t i = 0; i < d->files_len; i++)
            if (gone(d, i))
                free_file(&d->files[i]);
    }
    return (int)end(d, 0);
}

static int64_t mem_space(struct disk *disk)
{
    const struct disk_mem *d = mem_of(disk);

    return d->room == UINT64_MAX ? INT64_MAX : (int64_t)d->room;
}

/* ---- life ---- */

void disk_mem_init(struct disk_mem *d)
{
    *d = (struct disk_mem){.disk =
                               {
                                   .list = mem_list,
                                   .open = mem_open,
                                   .close = mem_close,
                                   .size = mem_size,
                                   .read = mem_read,
                                   .write = mem_write,
                                   .sync = mem_sync,
                                   .truncate = mem_truncate,
                                   .rename = mem_rename,
                                   .unlink = mem_unlink,
                                   .sync_dir = mem_sync_dir,
                                   .space = mem_space,
                               },
                           .room = UINT64_MAX};
}

void disk_mem_free(struct disk_mem *d)
{
    for (size_t i = 0; i < d->files_len; i++)
        free_file(&d->files[i]);
    free(d->files);
    free(d->names.at);
    free(d->safe_names.at);
    free(d->changes);
    disk_mem_init(d);
}

void disk_mem_copy(struct disk_mem *to, const struct disk_mem *from)
{
    disk_mem_init(to);
    to->room = from->room;
    copy_names(&to->names, &from->names);
    copy_names(&to->safe_names, &from->safe_names);
    to->changes = rv_alloc((from->changes_len + 1) * sizeof *to->changes);
    if (from->changes_len > 0)
        memcpy(to->changes, from->changes, from->changes_len * sizeof *to->changes);
    to->changes_len = from->changes_len;
    to->changes_cap = from->changes_len + 1;
    to->files = rv_alloc((from->files_len + 1) * sizeof *to->files);
    to->files_len = from->files_len;
    to->files_cap = from->files_len + 1;
    for (size_t i = 0; i < from->files_len; i++) {
        const struct disk_mem_file *f = &from->files[i];

        to->files[i] = (struct disk_mem_file){0};
        copy_bytes(&to->files[i].now, &f->now);
        copy_bytes(&to->files[i].safe, &f->safe);
        for (size_t w = 0; w < f->writes_len; w++)
            note_write(&to->files[i], f->writes[w].at, f->writes[w].data, f->writes[w].len);
    }
}

void disk_mem_reopen(struct disk_mem *d)
{
    for (size_t i = 0; i < d->files_len; i++)
        d->files[i].opened = 0;
    d->ops = d->kill_at = d->fail_at = 0;
    d->dead = false;
    d->before = NULL;
}

/* ---- loss of power ---- */

/* How much of what was not synced is found: nothing, all, a beginning, or any pieces. */
enum luck { NOTHING, ALL, BEGINNING, PIECES, LUCKS };

/* A write reaches the disk in pieces of a sector or a page, and a sector may be torn. */
static void land_write(struct disk_mem_file *f, const struct disk_mem_write *w, enum luck luck,
                       struct rv_rng *rng)
{
    uint64_t unit = rv_rng_below(rng, 2) == 0 ? SECTOR : PAGE;
    size_t some = (size_t)rv_rng_below(rng, w->len + 1);

    for (size_t at = 0; at < w->len;) {
        size_t len = (size_t)(unit - (w->at + at) % unit);

        if (len > w->len - at)
            len = w->len - at;
        if (luck == BEGINNING && at + len > some)
            len = at < some ? some - at : 0;
        if (len == 0)
            return;
        if (luck != PIECES || rv_rng_below(rng, 2) == 0)
            put_bytes(&f->now, w->at + at, w->data + at, len);
        else if (rv_rng_below(rng, 4) == 0)
            put_bytes(&f->now, w->at + at, w->data + at, (size_t)rv_rng_below(rng, len + 1));
        at += len;
    }
}

static void lose_some(struct disk_mem_file *f, struct rv_rng *rng)
{
    enum luck luck = rng == NULL ? NOTHING : (enum luck)rv_rng_below(rng, LUCKS);
    size_t upto = luck == BEGINNING ? (size_t)rv_rng_below(rng, f->writes_len + 1) : f->writes_len;

    if (f->writes_len == 0)
        return;
    copy_bytes(&f->now, &f->safe);
    for (size_t i = 0; i < upto && luck != NOTHING; i++) {
        const struct disk_mem_write *w = &f->writes[i];

        if (w->len != SIZE_MAX)
            land_write(f, w, luck == BEGINNING && i + 1 < upto ? ALL : luck, rng);
        else if (luck == ALL || rv_rng_below(rng, 2) == 0)
            resize(&f->now, (size_t)w->at);
    }
    forget_writes(f);
    copy_bytes(&f->safe, &f->now);
}

void disk_mem_power(struct disk_mem *d, struct rv_rng *rng)
{
    size_t upto = rng == NULL ? 0 : (size_t)rv_rng_below(rng, d->changes_len + 1);

    for (size_t i = 0; i < upto; i++)
        apply_change(&d->safe_names, &d->changes[i]);
    d->changes_len = 0;
    copy_names(&d->names, &d->safe_names);
    for (size_t i = 0; i < d->files_len; i++)
        lose_some(&d->files[i], rng);
    disk_mem_reopen(d);
}

struct disk_mem_file *disk_mem_find(struct disk_mem *d, const char *name)
{
    const struct disk_mem_name *found = find_name(&d->names, name);

    return found == NULL ? NULL : &d->files[found->file];
}
