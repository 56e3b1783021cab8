#include "worker/elf_check.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    HEADERS_MAX = 512,            /* program and section headers */
    TABLE_MAX = 64 * 1024 * 1024, /* a table of strings or symbols */
    CACHE_MAX = 16 * 1024 * 1024, /* the loader's cache */
    NEEDS_MAX = 512,
};

#if defined(__x86_64__)
#define OWN_MACHINE EM_X86_64
#elif defined(__aarch64__)
#define OWN_MACHINE EM_AARCH64
#elif defined(__riscv)
#define OWN_MACHINE EM_RISCV
#elif defined(__powerpc64__)
#define OWN_MACHINE EM_PPC64
#else
#define OWN_MACHINE EM_NONE
#endif

static const char *machine_name(unsigned machine)
{
    switch (machine) {
    case EM_386:
        return "i386";
    case EM_X86_64:
        return "x86_64";
    case EM_ARM:
        return "arm";
    case EM_AARCH64:
        return "aarch64";
    case EM_RISCV:
        return "riscv";
    case EM_PPC64:
        return "ppc64";
    case EM_S390:
        return "s390";
    default:
        return "another machine";
    }
}

struct elf {
    int fd;
    Elf64_Ehdr head;
    Elf64_Phdr parts[HEADERS_MAX];
    size_t parts_len;
};

static bool read_at(int fd, void *out, size_t len, uint64_t offset)
{
    uint8_t *at = out;

    if (offset > INT64_MAX - len)
        return false;
    while (len > 0) {
        ssize_t got = pread(fd, at, len, (off_t)offset);

        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return false;
        at += got;
        offset += (uint64_t)got;
        len -= (size_t)got;
    }
    return true;
}

/* A table of the file, in memory that the caller frees; NULL when it is not there. One byte more
 * than it has ends it: texts in it have an end. */
static char *table(int fd, uint64_t offset, uint64_t len)
{
    char *bytes = NULL;

    if (len == 0 || len > TABLE_MAX)
        return NULL;
    bytes = malloc((size_t)len + 1);
    if (bytes == NULL || !read_at(fd, bytes, (size_t)len, offset)) {
        free(bytes);
        return NULL;
    }
    bytes[len] = '\0';
    return bytes;
}

static bool elf_open(struct elf *e, int fd, char *why, size_t len)
{
    const uint16_t one = 1;
    uint8_t order = *(const uint8_t *)&one == 1 ? ELFDATA2LSB : ELFDATA2MSB;

    e->fd = fd;
    e->parts_len = 0;
    if (!read_at(fd, &e->head, sizeof e->head, 0) ||
        memcmp(e->head.e_ident, ELFMAG, SELFMAG) != 0) {
        snprintf(why, len, "it is no program (not an ELF file)");
        return false;
    }
    /* The machine stands at one place in both classes; its order is that of the file. */
    if (e->head.e_ident[EI_DATA] != order || e->head.e_ident[EI_CLASS] != ELFCLASS64 ||
        e->head.e_machine != OWN_MACHINE) {
        snprintf(why, len, "it was built for %s, %d bits; this host is %s, 64 bits",
                 e->head.e_ident[EI_DATA] == order ? machine_name(e->head.e_machine)
                                                   : "a machine of the other byte order",
                 e->head.e_ident[EI_CLASS] == ELFCLASS64 ? 64 : 32, machine_name(OWN_MACHINE));
        return false;
    }
    if (e->head.e_phentsize != sizeof(Elf64_Phdr) || e->head.e_phnum > HEADERS_MAX ||
        !read_at(fd, e->parts, e->head.e_phnum * sizeof(Elf64_Phdr), e->head.e_phoff)) {
        snprintf(why, len, "its program headers are malformed");
        return false;
    }
    e->parts_len = e->head.e_phnum;
    return true;
}

static const Elf64_Phdr *part(const struct elf *e, unsigned type)
{
    for (size_t i = 0; i < e->parts_len; i++)
        if (e->parts[i].p_type == type)
            return &e->parts[i];
    return NULL;
}

/* Where an address is in the file; false when it is not in it. */
static bool offset_of(const struct elf *e, uint64_t address, uint64_t *offset)
{
    for (size_t i = 0; i < e->parts_len; i++) {
        const Elf64_Phdr *p = &e->parts[i];

        if (p->p_type == PT_LOAD && address >= p->p_vaddr && address - p->p_vaddr < p->p_filesz) {
            *offset = address - p->p_vaddr + p->p_offset;
            return true;
        }
    }
    return false;
}

/* ---- libraries ---- */

static bool file_at(const char *root, const char *dir, size_t dir_len, const char *name)
{
    char path[2048];

    snprintf(path, sizeof path, "%s%.*s/%s", root, (int)dir_len, dir, name);
    return access(path, R_OK) == 0;
}

static bool in_list(const char *root, const char *list, const char *name)
{
    for (const char *at = list; at != NULL && *at != '\0';) {
        size_t len = strcspn(at, ":");

        if (len > 0 && memchr(at, '$', len) == NULL && file_at(root, at, len, name))
            return true;
        at += len;
        at += *at == ':';
    }
    return false;
}

/* The loader's cache has a name as a text of its own or as the tail of a path. */
static bool in_cache(const char *root, const char *name)
{
    char path[1024];
    struct stat st;
    char *bytes = NULL;
    size_t name_len = strlen(name) + 1;
    bool found = false;
    int fd = -1;

    snprintf(path, sizeof path, "%s/etc/ld.so.cache", root);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd >= 0 && fstat(fd, &st) == 0 && st.st_size > 0 && st.st_size <= CACHE_MAX)
        bytes = table(fd, 0, (uint64_t)st.st_size);
    for (const char *at = bytes; bytes != NULL && !found;) {
        at = memmem(at, (size_t)(bytes + st.st_size - at), name, name_len);
        if (at == NULL)
            break;
        found = at > bytes && (at[-1] == '/' || at[-1] == '\0');
        at++;
    }
    if (fd >= 0)
        close(fd);
    free(bytes);
    return found;
}

static bool library_here(const struct elf_host *host, const char *run_path, const char *name,
                         bool *own)
{
    static const char *const usual = "/lib:/usr/lib:/lib64:/usr/lib64:/usr/local/lib:"
#if defined(__x86_64__)
                                     "/lib/x86_64-linux-gnu:/usr/lib/x86_64-linux-gnu";
#elif defined(__aarch64__)
                                     "/lib/aarch64-linux-gnu:/usr/lib/aarch64-linux-gnu";
#else
                                     "";
#endif

    if (strchr(name, '/') != NULL)
        return file_at(host->root, "", 0, name + (name[0] == '/'));
    if (in_list(host->root, host->library_dirs, name) || in_list(host->root, run_path, name) ||
        in_cache(host->root, name) || in_list(host->root, usual, name))
        return true;
    if (strncmp(name, "libreeve.so", 11) != 0 || host->own_dir == NULL ||
        !file_at("", host->own_dir, strlen(host->own_dir), name))
        return false;
    *own = true;
    return true;
}

/* ---- versions ---- */

/* "2.36" as 2036; 0 when it is no such text. */
static unsigned version_of(const char *text)
{
    unsigned major = 0;
    unsigned minor = 0;

    return sscanf(text, "%u.%u", &major, &minor) == 2 && major < 1000 && minor < 1000
               ? major * 1000 + minor
               : 0;
}

struct dynamic {
    char *strings;
    uint64_t strings_len;
    uint64_t needed[NEEDS_MAX]; /* offsets of names */
    size_t needed_len;
    uint64_t run_path; /* 0: none */
    uint64_t versions; /* address of the needs; 0: none */
    uint64_t versions_len;
};

static const char *string_at(const struct dynamic *d, uint64_t at)
{
    return at < d->strings_len ? d->strings + at : "";
}

/* The newest version of glibc that the file names, as 2036. */
static unsigned newest_libc(const struct elf *e, const struct dynamic *d)
{
    unsigned newest = 0;
    uint64_t at = 0;

    if (d->versions == 0 || !offset_of(e, d->versions, &at))
        return 0;
    for (uint64_t i = 0; i < d->versions_len && i < NEEDS_MAX; i++) {
        Elf64_Verneed need;
        uint64_t aux_at = 0;

        if (!read_at(e->fd, &need, sizeof need, at))
            return newest;
        aux_at = at + need.vn_aux;
        for (unsigned k = 0; k < need.vn_cnt && k < NEEDS_MAX; k++) {
            Elf64_Vernaux aux;
            const char *name = NULL;

            if (!read_at(e->fd, &aux, sizeof aux, aux_at))
                return newest;
            name = string_at(d, aux.vna_name);
            if (strncmp(name, "GLIBC_", 6) == 0 && version_of(name + 6) > newest)
                newest = version_of(name + 6);
            if (aux.vna_next == 0)
                break;
            aux_at += aux.vna_next;
        }
        if (need.vn_next == 0)
            break;
        at += need.vn_next;
    }
    return newest;
}

static bool read_dynamic(const struct elf *e, const Elf64_Phdr *p, struct dynamic *d)
{
    uint64_t strings = 0;
    uint64_t offset = 0;

    for (uint64_t at = 0; at + sizeof(Elf64_Dyn) <= p->p_filesz; at += sizeof(Elf64_Dyn)) {
        Elf64_Dyn entry;

        if (!read_at(e->fd, &entry, sizeof entry, p->p_offset + at))
            return false;
        if (entry.d_tag == DT_NULL)
            break;
        if (entry.d_tag == DT_NEEDED && d->needed_len < NEEDS_MAX)
            d->needed[d->needed_len++] = entry.d_un.d_val;
        else if (entry.d_tag == DT_STRTAB)
            strings = entry.d_un.d_ptr;
        else if (entry.d_tag == DT_STRSZ)
            d->strings_len = entry.d_un.d_val;
        else if (entry.d_tag == DT_RUNPATH || entry.d_tag == DT_RPATH)
            d->run_path = entry.d_un.d_val;
        else if (entry.d_tag == DT_VERNEED)
            d->versions = entry.d_un.d_ptr;
        else if (entry.d_tag == DT_VERNEEDNUM)
            d->versions_len = entry.d_un.d_val;
    }
    if (!offset_of(e, strings, &offset))
        return d->needed_len == 0;
    d->strings = table(e->fd, offset, d->strings_len);
    return d->strings != NULL;
}

static bool check_dynamic(const struct elf *e, const struct dynamic *d, const struct elf_host *host,
                          bool *own, char *why, size_t len)
{
    unsigned newest = newest_libc(e, d);
    const char *run_path = d->run_path == 0 ? NULL : string_at(d, d->run_path);
    size_t used = 0;

    if (newest > version_of(host->libc)) {
        snprintf(why, len, "it needs glibc %u.%u, and this host has %s", newest / 1000,
                 newest % 1000, host->libc);
        return false;
    }
    for (size_t i = 0; i < d->needed_len; i++) {
        const char *name = string_at(d, d->needed[i]);

        if (library_here(host, run_path, name, own))
            continue;
        if (used < len)
            used += (size_t)snprintf(
                why + used, len - used, "%s%.200s",
                used == 0 ? "it needs libraries that are not on this host: " : ", ", name);
    }
    return used == 0;
}

bool elf_check(int fd, enum elf_kind kind, const struct elf_host *host, bool *own, char *why,
               size_t why_len)
{
    struct elf *e = rv_alloc(sizeof *e);
    struct dynamic *d = rv_alloc(sizeof *d);
    const Elf64_Phdr *p = NULL;
    char loader[256] = "";
    bool well = false;

    *own = false;
    if (!elf_open(e, fd, why, why_len))
        goto out;
    if ((kind == ELF_MODULE && e->head.e_type != ET_DYN) ||
        (e->head.e_type != ET_DYN && e->head.e_type != ET_EXEC)) {
        snprintf(why, why_len, "it is no %s",
                 kind == ELF_MODULE ? "shared library" : "program that can be started");
        goto out;
    }
    p = part(e, PT_INTERP);
    if (kind == ELF_PROGRAM && p == NULL && e->head.e_type == ET_DYN && e->head.e_entry == 0) {
        snprintf(why, why_len, "it is a shared library, not a program");
        goto out;
    }
    if (kind == ELF_PROGRAM && p != NULL) {
        if (p->p_filesz == 0 || p->p_filesz >= sizeof loader ||
            !read_at(fd, loader, (size_t)p->p_filesz, p->p_offset) ||
            !file_at(host->root, "", 0, loader + (loader[0] == '/'))) {
            snprintf(why, why_len, "it needs the loader %.200s, which is not on this host", loader);
            goto out;
        }
    }
    p = part(e, PT_DYNAMIC);
    if (p != NULL && !read_dynamic(e, p, d)) {
        snprintf(why, why_len, "its dynamic section is malformed");
        goto out;
    }
    well = p == NULL || check_dynamic(e, d, host, own, why, why_len);
out:
    free(d->strings);
    free(d);
    free(e);
    return well;
}

/* ---- names of functions ---- */

/* The function that an address is in, from one table of symbols. */
static bool look_in(int fd, const Elf64_Shdr *symbols, const Elf64_Shdr *strings, uint64_t address,
                    char *name, size_t name_len, uint64_t *plus)
{
    char *bytes = table(fd, symbols->sh_offset, symbols->sh_size);
    char *texts = table(fd, strings->sh_offset, strings->sh_size);
    bool found = false;

    for (uint64_t at = 0;
         bytes != NULL && texts != NULL && !found && at + sizeof(Elf64_Sym) <= symbols->sh_size;
         at += sizeof(Elf64_Sym)) {
        Elf64_Sym s;

        memcpy(&s, bytes + at, sizeof s);
        if (ELF64_ST_TYPE(s.st_info) != STT_FUNC || s.st_name >= strings->sh_size ||
            address < s.st_value || address - s.st_value >= s.st_size)
            continue;
        snprintf(name, name_len, "%s", texts + s.st_name);
        *plus = address - s.st_value;
        found = true;
    }
    free(bytes);
    free(texts);
    return found;
}

static bool look(const struct elf *e, uint64_t address, char *name, size_t name_len, uint64_t *plus)
{
    static const uint32_t tables[] = {SHT_SYMTAB, SHT_DYNSYM};
    Elf64_Shdr sections[HEADERS_MAX];
    size_t len = e->head.e_shnum;

    if (e->head.e_shentsize != sizeof *sections || len > HEADERS_MAX ||
        !read_at(e->fd, sections, len * sizeof *sections, e->head.e_shoff))
        return false;
    for (size_t t = 0; t < rv_countof(tables); t++)
        for (size_t i = 0; i < len; i++)
            if (sections[i].sh_type == tables[t] && sections[i].sh_link < len &&
                look_in(e->fd, &sections[i], &sections[sections[i].sh_link], address, name,
                        name_len, plus))
                return true;
    return false;
}

bool elf_symbol(const char *path, uint64_t offset, char *name, size_t name_len, uint64_t *plus)
{
    struct elf *e = NULL;
    struct stat st;
    char why[256];
    bool found = false;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

    if (fd < 0)
        return false;
    e = rv_alloc(sizeof *e);
    if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && elf_open(e, fd, why, sizeof why)) {
        for (size_t i = 0; i < e->parts_len && !found; i++) {
            const Elf64_Phdr *p = &e->parts[i];

            if (p->p_type == PT_LOAD && offset >= p->p_offset && offset - p->p_offset < p->p_filesz)
                found = look(e, offset - p->p_offset + p->p_vaddr, name, name_len, plus);
        }
    }
    free(e);
    close(fd);
    return found;
}
