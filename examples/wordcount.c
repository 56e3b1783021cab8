/* wordcount.c -- count the words of many files with the processors of many hosts.
 *
 *     wordcount DIR         of all files below DIR; DIR -: names are read from stdin, one a line
 *     wordcount --report FILE DIR
 *                           writes to FILE, perhaps a fifo, how far it is
 *
 *     files --> blocks of text --> count(), in runners on any host --> counts of words --> total
 *
 * This program reads the files and sends their text, so hosts need not share any storage. Any
 * runner and any agent may be killed at any time: their blocks are counted by others, and each
 * block counts once.
 *
 * A word is letters A to Z and a to z, as in: LC_ALL=C tr -cs A-Za-z '\n' | sort | uniq -c
 */

#include <reeve.h>

#include <ftw.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include <uthash.h>

enum {
    BLOCK_BYTES = 512 * 1024, /* a block is cut at the last word's end before this */
    BLOCKS_AHEAD = 96,        /* are on their way at a time, at most */
};

static bool is_letter(char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

/* For arrays that grow by one: a size that is a power of two is full. */
static void *grown(void *array, size_t len, size_t size)
{
    if ((len & (len - 1)) == 0)
        array = realloc(array, (len == 0 ? 1 : 2 * len) * size);
    if (array == NULL)
        abort();
    return array;
}

/* ---- words and their counts ---- */

struct word {
    UT_hash_handle hh;
    int64_t count;
    char text[]; /* of hh.keylen characters */
};

static void add_word(struct word **words, const char *text, size_t len, int64_t count)
{
    struct word *w = NULL;

    HASH_FIND(hh, *words, text, len, w);
    if (w == NULL) {
        w = calloc(1, sizeof *w + len);
        if (w == NULL)
            abort();
        memcpy(w->text, text, len);
        HASH_ADD_KEYPTR(hh, *words, w->text, len, w);
    }
    w->count += count;
}

static void count_text(struct word **words, const char *text, size_t len)
{
    for (size_t at = 0; at < len;) {
        size_t start = at;

        while (at < len && is_letter(text[at]))
            at++;
        if (at > start)
            add_word(words, text + start, at - start, 1);
        else
            at++;
    }
}

static void free_words(struct word **words)
{
    struct word *w = NULL;
    struct word *next = NULL;

    HASH_ITER (hh, *words, w, next) {
        HASH_DEL(*words, w);
        free(w);
    }
}

static int by_count(struct word *a, struct word *b)
{
    size_t len = a->hh.keylen < b->hh.keylen ? a->hh.keylen : b->hh.keylen;
    int order = memcmp(a->text, b->text, len);

    if (a->count != b->count)
        return a->count > b->count ? -1 : 1;
    if (order == 0)
        return a->hh.keylen < b->hh.keylen ? -1 : 1;
    return order;
}

static void print_words(struct word **words)
{
    HASH_SORT(*words, by_count);
    for (const struct word *w = *words; w != NULL; w = w->hh.next)
        printf("%" PRId64 " %.*s\n", w->count, (int)w->hh.keylen, w->text);
}

/* ---- what runs on the hosts: a block in, its words and their counts out ---- */

static reeve_err count(reeve_task *task, const reeve_value *in, reeve_builder *out)
{
    struct word *words = NULL;
    const void *text = NULL;
    size_t len = 0;

    if (!reeve_get_bytes(in, &text, &len))
        return reeve_task_fail(task, "count wants bytes");
    count_text(&words, text, len);
    reeve_put_map(out, HASH_COUNT(words));
    for (const struct word *w = words; w != NULL; w = w->hh.next) {
        reeve_put_strn(out, w->text, w->hh.keylen);
        reeve_put_int(out, w->count);
    }
    free_words(&words);
    return reeve_builder_check(out);
}
REEVE_FUNCTION(count);

/* ---- the files ---- */

/* nftw() gives its callback no argument of ours. */
static struct files {
    char **paths;
    size_t len;
    uint64_t bytes;
} files;

static void add_file(const char *path, uint64_t bytes)
{
    files.paths = grown(files.paths, files.len, sizeof *files.paths);
    files.paths[files.len] = strdup(path);
    if (files.paths[files.len] == NULL)
        abort();
    files.len++;
    files.bytes += bytes;
}

static int visit(const char *path, const struct stat *st, int type, struct FTW *where)
{
    (void)where;
    if (type == FTW_F && S_ISREG(st->st_mode))
        add_file(path, (uint64_t)st->st_size);
    return 0;
}

static void find_files(const char *dir)
{
    enum { OPEN_FOLDERS = 32 };
    char *path = NULL;
    size_t size = 0;
    struct stat st;

    if (strcmp(dir, "-") != 0) {
        if (nftw(dir, visit, OPEN_FOLDERS, FTW_PHYS) != 0)
            perror(dir);
        return;
    }
    while (getline(&path, &size, stdin) > 0) {
        path[strcspn(path, "\n")] = '\0';
        if (stat(path, &st) == 0)
            add_file(path, (uint64_t)st.st_size);
        else
            perror(path);
    }
    free(path);
}

static void free_files(void)
{
    for (size_t i = 0; i < files.len; i++)
        free(files.paths[i]);
    free(files.paths);
}

/* ---- the blocks: what the pool asks for, one after the other ---- */

struct block {
    uint32_t bytes;
    uint32_t files; /* that end in it */
};

struct reader {
    FILE *file;
    size_t opened; /* files so far */
    char buffer[BLOCK_BYTES];
    size_t len;
    uint32_t ended;       /* files that end in the buffer */
    struct block *blocks; /* that were given */
    size_t blocks_len;
};

/* How much of a full buffer can go without cutting a word. A word of a whole block is cut. */
static size_t whole_words(const char *text, size_t len)
{
    size_t end = len;

    while (end > 0 && is_letter(text[end - 1]))
        end--;
    return end == 0 ? len : end;
}

/* Opens the next file that can be read. False when there is none. */
static bool open_next(struct reader *r)
{
    while (r->file == NULL && r->opened < files.len) {
        const char *path = files.paths[r->opened++];

        r->file = fopen(path, "r");
        if (r->file == NULL)
            perror(path);
    }
    return r->file != NULL;
}

static void fill(struct reader *r)
{
    while (r->len < BLOCK_BYTES && open_next(r)) {
        size_t room = BLOCK_BYTES - r->len;
        size_t got = fread(r->buffer + r->len, 1, room, r->file);

        r->len += got;
        if (got < room) {
            r->buffer[r->len++] = '\n'; /* the next file's first word is another word */
            r->ended++;
            fclose(r->file);
            r->file = NULL;
        }
    }
}

static bool next_block(void *arg, reeve_builder *item)
{
    struct reader *r = arg;
    size_t len = 0;

    fill(r);
    if (r->len == 0)
        return false;
    len = r->len == BLOCK_BYTES ? whole_words(r->buffer, r->len) : r->len;
    reeve_put_bytes(item, r->buffer, len);
    r->blocks = grown(r->blocks, r->blocks_len, sizeof *r->blocks);
    r->blocks[r->blocks_len++] = (struct block){(uint32_t)len, r->ended};
    r->ended = 0;
    memmove(r->buffer, r->buffer + len, r->len - len);
    r->len -= len;
    return true;
}

/* ---- how far it is ---- */

struct runner {
    char agent[64];
    uint32_t pid;
    double seen;
};

struct progress {
    FILE *report; /* NULL: none is wanted */
    bool bar;
    double begin, drawn;
    uint64_t blocks, bytes, files;
    uint64_t again; /* runs that were not the first of their block */
    int percent;
    struct runner *runners; /* that counted a block lately */
    size_t runners_len;
};

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void see_runner(struct progress *p, const reeve_record *record)
{
    struct runner *r = p->runners;

    while (r < p->runners + p->runners_len &&
           (r->pid != record->pid || strcmp(r->agent, record->agent) != 0))
        r++;
    if (r == p->runners + p->runners_len) {
        p->runners = grown(p->runners, p->runners_len, sizeof *p->runners);
        r = &p->runners[p->runners_len++];
        snprintf(r->agent, sizeof r->agent, "%s", record->agent);
        r->pid = record->pid;
    }
    r->seen = now();
}

/* Those that have not been heard of for two seconds are forgotten. */
static size_t count_runners(struct progress *p, size_t *agents)
{
    size_t kept = 0;

    *agents = 0;
    for (size_t i = 0; i < p->runners_len; i++)
        if (p->runners[i].seen >= now() - 2)
            p->runners[kept++] = p->runners[i];
    while (p->runners_len > kept)
        p->runners_len--;
    for (size_t i = 0; i < kept; i++) {
        size_t before = 0;

        while (strcmp(p->runners[before].agent, p->runners[i].agent) != 0)
            before++;
        *agents += before == i;
    }
    return kept;
}

static void draw(struct progress *p)
{
    enum { BAR = 24 };
    static const char full[] = "########################";
    static const char empty[] = "------------------------";
    struct winsize window = {.ws_col = 80};
    double seconds = now() - p->begin;
    double left = seconds * (double)(files.bytes - p->bytes) / (double)(p->bytes + 1);
    int done = p->percent * BAR / 100;
    size_t agents = 0;
    size_t runners = count_runners(p, &agents);
    char line[256];

    if (!p->bar || (p->percent < 100 && now() - p->drawn < 0.1))
        return;
    p->drawn = now();
    ioctl(STDERR_FILENO, TIOCGWINSZ, &window);
    snprintf(line, sizeof line,
             "words  %.*s%.*s %3d%%  %" PRIu64 "/%zu files  %.0f MB/s  eta %d:%02d   %zu agent%s, "
             "%zu runner%s   %" PRIu64 " retried",
             done, full, BAR - done, empty, p->percent, p->files, files.len,
             (double)p->bytes / 1e6 / (seconds + 0.001), (int)left / 60, (int)left % 60, agents,
             agents == 1 ? "" : "s", runners, runners == 1 ? "" : "s", p->again);
    fprintf(stderr, "\r%.*s\033[K", window.ws_col > 1 ? window.ws_col - 1 : 79, line);
}

static void show(struct progress *p, const struct block *block, const reeve_record *record)
{
    p->blocks++;
    p->bytes += block->bytes;
    p->files += block->files;
    if (p->bytes > files.bytes)
        p->bytes = files.bytes; /* the ends of files were counted too */
    p->again += record->runs > 1 ? record->runs - 1 : 0;
    p->percent = files.bytes == 0 ? 100 : (int)(p->bytes * 100 / files.bytes);
    see_runner(p, record);
    draw(p);
    if (p->report != NULL) {
        fprintf(p->report, "blocks %" PRIu64 " percent %d again %" PRIu64 "\n", p->blocks,
                p->percent, p->again);
        fflush(p->report);
    }
}

/* ---- the job ---- */

static void add_counts(struct word **words, const reeve_value *counts)
{
    const reeve_value *key = NULL;
    const reeve_value *item = NULL;

    for (size_t i = 0; reeve_value_pair(counts, i, &key, &item); i++) {
        const char *text = NULL;
        size_t len = 0;
        int64_t n = 0;

        if (reeve_get_str(key, &text, &len) && reeve_get_int(item, &n))
            add_word(words, text, len, n);
    }
}

static reeve_err count_all(struct word **words, reeve_pool *pool, struct reader *reader,
                           struct progress *p)
{
    const reeve_map_options options = {.ahead = BLOCKS_AHEAD};
    reeve_iter *iter = NULL;
    reeve_value *counts = NULL;
    reeve_record record;
    uint64_t index = 0;
    reeve_err err =
        reeve_pool_imap_unordered(&iter, pool, REEVE_FN(count), next_block, reader, &options);

    while (err == REEVE_OK) {
        err = reeve_iter_next(&counts, iter, REEVE_FOREVER);
        if (err != REEVE_OK || counts == NULL)
            break; /* NULL: that was the last one */
        add_counts(words, counts);
        err = reeve_iter_record(iter, &index, &record);
        if (err == REEVE_OK)
            show(p, &reader->blocks[index], &record);
        reeve_value_free(&counts);
    }
    reeve_iter_free(&iter);
    return err;
}

static reeve_err run_job(struct word **words, struct reader *reader, struct progress *p)
{
    const reeve_pool_options options = {.detail = true}; /* records say who ran what, how often */
    reeve_context *ctx = NULL;
    reeve_pool *pool = NULL;
    reeve_err err = reeve_open(&ctx, NULL); /* $REEVE_URL, $REEVE_KEY */

    if (err == REEVE_OK)
        err = reeve_pool_open(&pool, ctx, &options);
    if (err == REEVE_OK)
        err = count_all(words, pool, reader, p);
    if (p->bar)
        fprintf(stderr, "\r\033[K");
    if (err != REEVE_OK)
        fprintf(stderr, "wordcount: %s\n", reeve_errmsg());
    reeve_pool_close(&pool);
    reeve_close(&ctx);
    return err;
}

int main(int argc, char **argv)
{
    static struct reader reader;
    struct word *words = NULL;
    struct progress progress = {0};
    reeve_err err = REEVE_OK;

    reeve_main(&argc, &argv); /* a runner never returns from here */
    if (argc == 4 && strcmp(argv[1], "--report") == 0) {
        progress.report = fopen(argv[2], "w");
        if (progress.report == NULL) {
            perror(argv[2]);
            return 2;
        }
    } else if (argc != 2) {
        fprintf(stderr, "usage: wordcount [--report FILE] DIR|-\n");
        return 2;
    }
    find_files(argv[argc - 1]);
    progress.bar = isatty(STDERR_FILENO);
    progress.begin = now();
    err = run_job(&words, &reader, &progress);
    if (err == REEVE_OK)
        print_words(&words);
    if (progress.report != NULL)
        fclose(progress.report);
    free(progress.runners);
    free(reader.blocks);
    free_words(&words);
    free_files();
    return err != REEVE_OK;
}
