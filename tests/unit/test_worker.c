/* What an agent makes of its host and of programs: processors, ELF files, the cache. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/wire/digest.h"
#include "worker/cache.h"
#include "worker/capacity.h"
#include "worker/elf_check.h"

int test_worker(void);

static char dir[64];

static int make_dir(void **state)
{
    (void)state;
    snprintf(dir, sizeof dir, "/tmp/reeve-unit-XXXXXX");
    return mkdtemp(dir) == NULL;
}

static int remove_dir(void **state)
{
    char command[128];

    (void)state;
    snprintf(command, sizeof command, "rm -rf %s", dir);
    return system(command);
}

/* A file below dir, with the folders that it needs. */
static void put_file(const char *name, const void *bytes, size_t len)
{
    char path[256];
    FILE *f = NULL;

    snprintf(path, sizeof path, "%s/%s", dir, name);
    for (char *at = path + strlen(dir) + 1; *at != '\0'; at++) {
        if (*at != '/')
            continue;
        *at = '\0';
        mkdir(path, 0700);
        *at = '/';
    }
    f = fopen(path, "we");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, len, f), len);
    fclose(f);
}

static void put_text(const char *name, const char *text)
{
    put_file(name, text, strlen(text));
}

/* ---- processors ---- */

static void quota_of_the_group_and_of_those_above_it_counts(void **state)
{
    (void)state;
    put_text("proc/self/cgroup", "0::/a/b\n");
    put_text("sys/fs/cgroup/a/b/cpu.max", "400000 100000\n");
    assert_int_equal(capacity_cgroup(dir), 4);
    put_text("sys/fs/cgroup/a/cpu.max", "250000 100000\n");
    assert_int_equal(capacity_cgroup(dir), 3); /* two and a half, rounded up */
    put_text("sys/fs/cgroup/a/b/cpu.max", "max 100000\n");
    put_text("sys/fs/cgroup/a/cpu.max", "max 100000\n");
    assert_int_equal(capacity_cgroup(dir), 0);
    put_text("sys/fs/cgroup/cpu.max", "50000 100000\n"); /* in a container */
    assert_int_equal(capacity_cgroup(dir), 1);
}

static void quota_of_the_first_version_counts(void **state)
{
    (void)state;
    put_text("proc/self/cgroup", "5:cpuset:/x\n4:cpu,cpuacct:/a\n");
    put_text("sys/fs/cgroup/cpu/a/cpu.cfs_quota_us", "200000\n");
    put_text("sys/fs/cgroup/cpu/a/cpu.cfs_period_us", "100000\n");
    assert_int_equal(capacity_cgroup(dir), 2);
    put_text("sys/fs/cgroup/cpu/a/cpu.cfs_quota_us", "-1\n");
    assert_int_equal(capacity_cgroup(dir), 0);
}

static void no_group_is_no_limit(void **state)
{
    (void)state;
    assert_int_equal(capacity_cgroup(dir), 0);
    put_text("proc/self/cgroup", "nonsense\n::\n0::\n");
    assert_int_equal(capacity_cgroup(dir), 0);
    assert_true(capacity_slots() >= 1);
}

static void batch_system_says_a_number(void **state)
{
    (void)state;
    assert_int_equal(capacity_slurm("8"), 8);
    assert_int_equal(capacity_slurm(NULL), 0);
    assert_int_equal(capacity_slurm(""), 0);
    assert_int_equal(capacity_slurm("8(x2)"), 0);
}

/* ---- ELF ---- */

static uint8_t *own_program(size_t *len)
{
    int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    struct stat st;
    uint8_t *bytes = NULL;

    assert_true(fd >= 0 && fstat(fd, &st) == 0);
    *len = (size_t)st.st_size;
    bytes = malloc(*len);
    assert_non_null(bytes);
    assert_int_equal(read(fd, bytes, *len), *len);
    close(fd);
    return bytes;
}

/* What is said of a file with these bytes; "" when it can run. */
static const char *said_of(const uint8_t *bytes, size_t len, enum elf_kind kind,
                           const struct elf_host *host)
{
    static char why[600];
    char path[128];
    bool own = false;
    int fd = -1;

    put_file("program", bytes, len);
    snprintf(path, sizeof path, "%s/program", dir);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    if (elf_check(fd, kind, host, &own, why, sizeof why))
        why[0] = '\0';
    close(fd);
    return why;
}

static const struct elf_host here = {.root = "", .libc = "99.0"};

static void assert_says(const char *said, const char *words)
{
    if (strstr(said, words) == NULL)
        fail_msg("said \"%s\", wanted \"%s\"", said, words);
}

static void own_program_can_run(void **state)
{
    size_t len = 0;
    uint8_t *bytes = own_program(&len);

    (void)state;
    assert_string_equal(said_of(bytes, len, ELF_PROGRAM, &here), "");
    free(bytes);
}

static void other_machine_and_class_are_named(void **state)
{
    size_t len = 0;
    uint8_t *bytes = own_program(&len);

    (void)state;
    bytes[18] = 243; /* riscv */
    bytes[19] = 0;
    assert_says(said_of(bytes, len, ELF_PROGRAM, &here), "it was built for riscv, 64 bits; ");
    bytes[4] = 1;
    assert_says(said_of(bytes, len, ELF_PROGRAM, &here), "32 bits; this host is");
    bytes[5] = 3 - bytes[5];
    assert_says(said_of(bytes, len, ELF_PROGRAM, &here), "the other byte order");
    bytes[0] = '#';
    assert_says(said_of(bytes, len, ELF_PROGRAM, &here), "not an ELF file");
    assert_says(said_of(bytes, 3, ELF_PROGRAM, &here), "not an ELF file");
    free(bytes);
}

static void missing_library_is_named(void **state)
{
    size_t len = 0;
    uint8_t *bytes = own_program(&len);
    uint8_t *at = memmem(bytes, len, "libcmocka.so", 12);

    (void)state;
    assert_non_null(at);
    at[3] = 'X';
    assert_says(said_of(bytes, len, ELF_PROGRAM, &here),
                "it needs libraries that are not on this host: libXmocka.so");
    free(bytes);
}

static void newer_glibc_and_missing_loader_are_named(void **state)
{
    size_t len = 0;
    uint8_t *bytes = own_program(&len);
    struct elf_host old = {.root = "", .libc = "2.3"};
    struct elf_host bare = {.root = dir, .libc = "99.0"};

    (void)state;
    assert_says(said_of(bytes, len, ELF_PROGRAM, &old), "it needs glibc 2.");
    assert_says(said_of(bytes, len, ELF_PROGRAM, &old), ", and this host has 2.3");
    assert_says(said_of(bytes, len, ELF_PROGRAM, &bare), "it needs the loader /");
    free(bytes);
}

/* Whatever stands in it, the check comes to an end and reads only the file. */
static void nonsense_in_a_file_is_found_out(void **state)
{
    size_t len = 0;
    uint8_t *bytes = own_program(&len);
    uint8_t *copy = malloc(len);

    (void)state;
    for (size_t at = 16; at < 2000; at += 7) {
        memcpy(copy, bytes, len);
        copy[at] = (uint8_t)~copy[at];
        copy[at + 1] = 0xff;
        (void)said_of(copy, len, ELF_PROGRAM, &here);
    }
    for (size_t cut = 0; cut < 2000; cut += 61)
        assert_true(said_of(bytes, cut, ELF_PROGRAM, &here)[0] != '\0');
    free(copy);
    free(bytes);
}

/* An offset of the file that a function of this program has: in the middle of its bytes. */
static void function_of_an_offset_is_found(void **state)
{
    FILE *maps = fopen("/proc/self/maps", "re");
    uintptr_t at = (uintptr_t)capacity_slurm + 1;
    uint64_t offset = 0;
    char line[512];
    char name[128] = "";
    uint64_t plus = 0;

    (void)state;
    while (fgets(line, sizeof line, maps) != NULL) {
        unsigned long start = 0;
        unsigned long stop = 0;
        unsigned long from = 0;

        if (sscanf(line, "%lx-%lx %*s %lx", &start, &stop, &from) == 3 && at >= start && at < stop)
            offset = at - start + from;
    }
    fclose(maps);
    assert_true(elf_symbol("/proc/self/exe", offset, name, sizeof name, &plus));
    assert_string_equal(name, "capacity_slurm");
    assert_int_equal(plus, 1);
    assert_false(elf_symbol("/proc/self/exe", UINT64_MAX - 5, name, sizeof name, &plus));
    assert_false(elf_symbol("/dev/zero", 0, name, sizeof name, &plus));
    assert_false(elf_symbol("/no/such/file", 0, name, sizeof name, &plus));
}

/* ---- the cache ---- */

static struct rv_slice digest_of(uint8_t out[32], const void *bytes, size_t len)
{
    struct rv_digest d;

    rv_digest_init(&d);
    rv_digest_add(&d, rv_slice(bytes, len));
    rv_digest_end(&d, out);
    return rv_slice(out, 32);
}

static void open_cache(struct cache *c, uint64_t max_bytes)
{
    char path[128];
    char why[600] = "";

    snprintf(path, sizeof path, "%s/a/cache", dir);
    assert_true(cache_open(c, path, max_bytes, why, sizeof why));
}

/* Put bytes in as if they had this digest. */
static bool keep(const struct cache *c, const char *bytes, struct rv_slice digest, char *path)
{
    char temporary[600];
    char why[300];
    int fd = cache_begin(c, temporary, sizeof temporary);
    bool kept = false;

    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, strlen(bytes)), strlen(bytes));
    kept = cache_commit(c, fd, temporary, digest, path, 600, why, sizeof why);
    assert_int_equal(access(temporary, F_OK), -1);
    return kept;
}

static void kept_file_is_found_until_it_changes(void **state)
{
    struct cache c;
    uint8_t sum[32];
    struct rv_slice digest = digest_of(sum, "hello", 5);
    char path[600];
    struct stat st;

    (void)state;
    open_cache(&c, 1000);
    assert_true(stat(c.dir, &st) == 0 && (st.st_mode & 0777) == 0700);
    assert_false(cache_find(&c, digest, 5, path, sizeof path));
    assert_true(keep(&c, "hello", digest, path));
    assert_true(cache_find(&c, digest, 5, path, sizeof path));
    assert_true(stat(path, &st) == 0 && (st.st_mode & 0777) == 0500);
    assert_true(chmod(path, 0700) == 0 && truncate(path, 3) == 0);
    assert_false(cache_find(&c, digest, 5, path, sizeof path));
    assert_int_equal(access(path, F_OK), -1);
}

static void file_with_other_bytes_is_not_kept(void **state)
{
    struct cache c;
    uint8_t sum[32];
    char path[600];

    (void)state;
    open_cache(&c, 1000);
    assert_false(keep(&c, "hullo", digest_of(sum, "hello", 5), path));
    assert_int_equal(access(path, F_OK), -1);
}

static void file_that_was_used_longest_ago_goes_first(void **state)
{
    struct cache c;
    uint8_t sums[3][32];
    struct rv_slice one = digest_of(sums[0], "one", 3);
    struct rv_slice two = digest_of(sums[1], "two", 3);
    struct rv_slice three = digest_of(sums[2], "three", 5);
    struct timespec long_ago[2] = {{1000, 0}, {1000, 0}};
    char path[600];

    (void)state;
    open_cache(&c, 8);
    assert_true(keep(&c, "one", one, path));
    assert_true(keep(&c, "two", two, path));
    assert_int_equal(utimensat(AT_FDCWD, path, long_ago, 0), 0);
    assert_true(keep(&c, "three", three, path)); /* 11 bytes are too many */
    assert_true(cache_find(&c, one, 3, path, sizeof path));
    assert_false(cache_find(&c, two, 3, path, sizeof path));
    assert_true(cache_find(&c, three, 5, path, sizeof path));
}

static void folder_that_is_open_to_others_is_refused(void **state)
{
    struct cache c;
    char why[600] = "";

    (void)state;
    assert_int_equal(chmod(dir, 0755), 0);
    assert_false(cache_open(&c, dir, 1000, why, sizeof why));
    assert_says(why, "closed to others");
    assert_false(cache_open(&c, "relative", 1000, why, sizeof why));
    assert_says(why, "absolute");
}

int test_worker(void)
{
    const struct CMUnitTest tests[] = {
#define IN_DIR(name) cmocka_unit_test_setup_teardown(name, make_dir, remove_dir)
        IN_DIR(quota_of_the_group_and_of_those_above_it_counts),
        IN_DIR(quota_of_the_first_version_counts),
        IN_DIR(no_group_is_no_limit),
        IN_DIR(batch_system_says_a_number),
        IN_DIR(own_program_can_run),
        IN_DIR(other_machine_and_class_are_named),
        IN_DIR(missing_library_is_named),
        IN_DIR(newer_glibc_and_missing_loader_are_named),
        IN_DIR(nonsense_in_a_file_is_found_out),
        IN_DIR(function_of_an_offset_is_found),
        IN_DIR(kept_file_is_found_until_it_changes),
        IN_DIR(file_with_other_bytes_is_not_kept),
        IN_DIR(file_that_was_used_longest_ago_goes_first),
        IN_DIR(folder_that_is_open_to_others_is_refused),
#undef IN_DIR
    };

    return cmocka_run_group_tests_name("worker", tests, NULL, NULL);
}
