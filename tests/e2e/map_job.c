/* map_job.c -- one map, as the end-to-end tests want it: the functions that tasks run, and the
 * client that gives them.
 *
 *     map_job FUNCTION ITEMS [WORD=NUMBER]... [module=FILE]
 *     map_job endless RESULTS [WATCH_PID]...
 *
 * Items are the numbers from 0. What comes is checked against what this process computes itself.
 * Variables JOB_... go to the tasks:
 *     JOB_RUNS     file: each run of an item appends a line "INDEX RUN"
 *     JOB_NAP_MS   how long `nap` takes; JOB_SPIN_US: how long `spin` computes
 *     JOB_LEFT     argument of the `sleep` that `forks` leaves behind
 *     JOB_NO_MAIN  no call of reeve_main: `ends` returns from main, `lives` stays, and any other
 *                  word makes it a client that does the same again; MAP_CLIENT says who is one
 */

#include <reeve.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
    BAD = 13, /* the item that does it */
    MIB = 1024 * 1024,
    FORWARDED = 16,
    RECORDS = 8,
};

static int64_t clock_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static long setting(const char *name, long otherwise)
{
    const char *text = getenv(name);

    return text == NULL ? otherwise : atol(text);
}

static int64_t value_of(int64_t x)
{
    return x * x;
}

/* ---- functions ---- */

static void note_run(const reeve_task *task)
{
    char line[64];
    const char *path = getenv("JOB_RUNS");
    int fd = path == NULL ? -1 : open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666);
    int len = snprintf(line, sizeof line, "%llu %u\n", (unsigned long long)reeve_task_index(task),
                       reeve_task_run(task));

    if (fd < 0)
        return;
    if (write(fd, line, (size_t)len) != len)
        abort();
    close(fd);
}

static reeve_err answer(reeve_task *task, const reeve_value *in, reeve_builder *out)
{
    int64_t x = 0;

    if (!reeve_get_int(in, &x))
        return reeve_task_fail(task, "a number is wanted");
    return reeve_put_int(out, value_of(x));
}

static bool is_bad(const reeve_value *in)
{
    int64_t x = 0;

    return reeve_get_int(in, &x) && x == BAD;
}

static reeve_err square(reeve_task *task, const reeve_value *in, reeve_builder *out)
{
    return answer(task, in, out);
}
REEVE_FUNCTION(square);

static reeve_err nap(reeve_task *task, const reeve_value *in, reeve_builder *out)
{
    long ms = setting("JOB_NAP_MS", 10);
    struct timespec left = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};

    note_run(task);
    while (nanosleep(&left, &left) != 0 && errno == EINTR)
        continue;
    return answer(task, in, out);
}
REEVE_FUNCTION(nap);

static reeve_err spin(reeve_task *task, const reeve_value *in, reeve_builder *out)
{
    int64_t end = clock_ns() + setting("JOB_SPIN_US", 50) * 1000;

    note_run(task);
    while (clock_ns() < end)
        continue;
    return answer(task, in, out);
}
REEVE_FUNCTION(spin);

static int *volatile nowhere;

static reeve_err crash(reeve_task *task, const reeve_value *in, reeve_builder *out)
{
    if (is_bad(in))
        *nowhere = 1;
    return answer(task, in, out);
}
REEVE_FUNCTION(crash);

/* Its parent is the program's zygote, whose parent is the agent. */
static reeve_err host(reeve_task *task, const reeve_value *in, reeve_builder *out)
{
    char path[64];
    int agent = 0;
    FILE *f = NULL;

    if (!is_bad(in))
        return answer(task, in, out);
    snprintf(path, sizeof path, "/proc/%d/stat", (int)getppid());
    f = fopen(path, "r");
    if (f == NULL || fscanf(f, "%*d %*s %*c %d", &agent) != 1 || agent <= 1)
        abort();
    fclose(f);
    note_run(task);
    (void)kill(agent, SIGKILL);
    for (;;)
        pause();
}
REEVE_FUNCTION(host);

static reeve_err hang(reeve_task *task, const reeve_value *in, reeve_builder *out)
{
    while (is_bad(in))
        pause();
    return answer(task, in, out);
}
REEVE_FUNCTION(hang);

static reeve_err toobig(reeve_task *task, const reeve_value *in, reeve_builder *out)
{
    char *bytes = is_bad(in) ? calloc(1, 17 * MIB) : NULL;
    reeve_err err = REEVE_OK;

    if (bytes == NULL)
        return answer(task, in, out);
    err = reeve_put_bytes(out, bytes, 17 * MIB);
    free(bytes);
    return err;
}
REEVE_FUNCTION(toobig);

/* A MiB in lines of 64, then the last words; and it fails, so that they come with its record. */
static reeve_err noisy(reeve_task *task, const reeve_value *in, reeve_builder *out)
{
    if (!is_bad(in))
        return answer(task, in, out);
    for (int i = 0; i < MIB / 64; i++)
        printf("%063d\n", i);
    fprintf(stderr, "the last words\n");
    return reeve_task_fail(task, "as it was asked to");
}
REEVE_FUNCTION(noisy);

/* A child in another session, whose own child has lost its parent. */
static reeve_err forks(reeve_task *task, const reeve_value *in, reeve_builder *out)
{
    const char *seconds = getenv("JOB_LEFT");

    for (int i = 0; is_bad(in) && seconds != NULL && i < 2; i++) {
        if (fork() != 0)
            continue;
        if (i == 1) {
            setsid();
            if (fork() != 0)
                _exit(0);
        }
        execlp("sleep", "sleep", seconds, (char *)NULL);
        _exit(127);
    }
    return answer(task, in, out);
}
REEVE_FUNCTION(forks);

/* Each item keeps 4 MiB for ever. */
static reeve_err leak(reeve_task *task, const reeve_value *in, reeve_builder *out)
{
    volatile char *bytes = malloc(4 * MIB);

    note_run(task);
    if (bytes == NULL)
        abort();
    for (int i = 0; i < 4 * MIB; i += 4096)
        bytes[i] = 1;
    return answer(task, in, out);
}
REEVE_FUNCTION(leak);

static reeve_err refuse(const reeve_value *arg)
{
    (void)arg;
    return reeve_task_fail(NULL, "there is no licence here");
}
REEVE_INITIALIZER(refuse);

/* ---- the client ---- */

static const struct {
    const char *name;
    const reeve_fn *fn;
} functions[] = {
    {"square", REEVE_FN(square)}, {"nap", REEVE_FN(nap)},     {"spin", REEVE_FN(spin)},
    {"crash", REEVE_FN(crash)},   {"hang", REEVE_FN(hang)},   {"toobig", REEVE_FN(toobig)},
    {"noisy", REEVE_FN(noisy)},   {"forks", REEVE_FN(forks)}, {"leak", REEVE_FN(leak)},
    {"host", REEVE_FN(host)},
};

static const reeve_fn *function_of(const char *name)
{
    for (size_t i = 0; i < sizeof functions / sizeof functions[0]; i++)
        if (strcmp(functions[i].name, name) == 0)
            return functions[i].fn;
    fprintf(stderr, "map_job: no function %s\n", name);
    exit(2);
}

static int failed(const char *what)
{
    printf("error=%s: %s\n", what, reeve_errmsg());
    return 1;
}

static void environment(const char *list[FORWARDED], bool everything)
{
    size_t n = 0;

    for (char **v = environ; *v != NULL && n < FORWARDED - 1; v++)
        if (strncmp(*v, "JOB_", 4) == 0)
            list[n++] = *v;
        else if (everything && strncmp(*v, "REEVE_KEY=", 10) == 0)
            list[n++] = *v;
    list[n] = NULL;
}

static bool is_word(const char *text, const char *word, uint64_t *number)
{
    size_t len = strlen(word);

    if (strncmp(text, word, len) != 0 || text[len] != '=')
        return false;
    *number = strtoull(text + len + 1, NULL, 10);
    return true;
}

static void read_options(reeve_pool_options *o, int argc, char **argv)
{
    for (int i = 3; i < argc; i++) {
        uint64_t n = 0;

        if (is_word(argv[i], "chunk", &n))
            o->chunksize = (uint32_t)n;
        else if (is_word(argv[i], "timeout", &n))
            o->timeout_ms = (uint32_t)n;
        else if (is_word(argv[i], "memory", &n))
            o->memory_bytes = n * MIB;
        else if (is_word(argv[i], "maxtasks", &n))
            o->maxtasksperchild = (uint32_t)n;
        else if (is_word(argv[i], "init", &n))
            o->initializer = n == 0 ? NULL : REEVE_INIT(refuse);
        else if (strncmp(argv[i], "module=", 7) == 0)
            o->module = argv[i] + 7;
        else
            exit(2);
    }
}

static void print_records(const reeve_results *results)
{
    size_t printed = 0;

    for (size_t i = 0; i < reeve_results_len(results) && printed < RECORDS; i++) {
        reeve_record r;

        if (reeve_results_record(results, i, &r) != REEVE_OK || r.err == REEVE_OK)
            continue;
        printf("record index=%zu status=%d signal=%d runs=%u output=%zu host=%s message=%s\n", i,
               (int)r.status, r.signal, r.runs, r.output_len, r.host, r.message);
        if (r.output_len > 0)
            printf("output ends: %s", r.output + (r.output_len < 40 ? 0 : r.output_len - 40));
        printed++;
    }
}

static size_t count_wrong(reeve_results *results)
{
    size_t wrong = 0;

    for (size_t i = 0; i < reeve_results_len(results); i++) {
        const reeve_value *v = reeve_results_value(results, i);
        int64_t x = 0;

        wrong += v != NULL && (!reeve_get_int(v, &x) || x != value_of((int64_t)i));
    }
    return wrong;
}

static int map(reeve_pool *pool, const reeve_fn *fn, int64_t n)
{
    reeve_items *items = reeve_items_new();
    reeve_results *results = NULL;
    int64_t begin = clock_ns();
    reeve_err err = REEVE_OK;

    for (int64_t i = 0; i < n; i++)
        reeve_items_add_int(items, i);
    err = reeve_pool_map(&results, pool, fn, items, NULL);
    reeve_items_free(&items);
    if (err != REEVE_OK)
        (void)failed("map");
    printf("items=%zu failed=%zu wrong=%zu\n", reeve_results_len(results),
           reeve_results_failed(results), count_wrong(results));
    print_records(results);
    fprintf(stderr, "ms=%lld\n", (long long)((clock_ns() - begin) / 1000000));
    reeve_results_free(&results);
    return err != REEVE_OK;
}

/* ---- an endless input ---- */

static bool count_up(void *arg, reeve_builder *item)
{
    int64_t *next = arg;

    return reeve_put_int(item, (*next)++) == REEVE_OK;
}

static long resident_kib(const char *pid)
{
    char path[64];
    char line[256];
    long kib = 0;
    FILE *f = NULL;

    snprintf(path, sizeof path, "/proc/%s/status", pid);
    f = fopen(path, "r");
    while (f != NULL && kib == 0 && fgets(line, sizeof line, f) != NULL)
        if (strncmp(line, "VmRSS:", 6) == 0)
            kib = atol(line + 6);
    if (f != NULL)
        fclose(f);
    return kib;
}

static int endless(reeve_pool *pool, int64_t n, int argc, char **argv)
{
    reeve_iter *iter = NULL;
    reeve_err err = REEVE_OK;
    int64_t next = 0;
    int64_t wrong = 0;
    long before[8] = {0};
    int watched = argc - 3 < 7 ? argc - 3 : 7;

    err = reeve_pool_imap(&iter, pool, REEVE_FN(square), count_up, &next, NULL);
    for (int64_t i = 0; i < n && err == REEVE_OK; i++) {
        reeve_value *v = NULL;
        int64_t x = 0;

        err = reeve_iter_next(&v, iter, 30000);
        wrong += err != REEVE_OK || !reeve_get_int(v, &x) || x != value_of(i);
        reeve_value_free(&v);
        for (int w = 0; i == n / 2 && w <= watched; w++)
            before[w] = resident_kib(w == 0 ? "self" : argv[2 + w]);
    }
    if (err != REEVE_OK)
        return failed("imap");
    printf("items=%lld wrong=%lld\n", (long long)n, (long long)wrong);
    for (int w = 0; w <= watched; w++) {
        long now = resident_kib(w == 0 ? "self" : argv[2 + w]);

        printf("%s rss=%ld grown=%ld\n", w == 0 ? "client" : argv[2 + w], now, now - before[w]);
    }
    reeve_pool_terminate(pool);
    reeve_iter_free(&iter);
    err = reeve_pool_join(pool, 10000);
    return err == REEVE_OK ? 0 : failed("join");
}

int main(int argc, char **argv)
{
    const char *variables[FORWARDED];
    reeve_pool_options options = {.environment = variables};
    reeve_context *ctx = NULL;
    reeve_pool *pool = NULL;
    const char *without = getenv("JOB_NO_MAIN");
    const bool is_task = getenv("MAP_CLIENT") == NULL;
    int code = 0;

    if (without == NULL)
        reeve_main(&argc, &argv);
    else if (strcmp(without, "ends") == 0 && is_task)
        return 3;
    while (without != NULL && strcmp(without, "lives") == 0 && is_task)
        pause();
    if (argc < 3) {
        fprintf(stderr, "usage: map_job FUNCTION ITEMS [OPTION]...\n");
        return 2;
    }
    environment(variables, without != NULL);
    if (without != NULL)
        options.arguments = (const char *const *)argv + 1;
    if (strcmp(argv[1], "endless") != 0)
        read_options(&options, argc, argv);
    if (reeve_open(&ctx, NULL) != REEVE_OK)
        return failed("open");
    if (reeve_pool_open(&pool, ctx, &options) != REEVE_OK)
        code = failed("pool");
    else if (strcmp(argv[1], "endless") == 0)
        code = endless(pool, atoll(argv[2]), argc, argv);
    else
        code = map(pool, options.module != NULL ? REEVE_NAMED("square") : function_of(argv[1]),
                   atoll(argv[2]));
    reeve_pool_close(&pool);
    reeve_close(&ctx);
    return code;
}
