/* queue_wordcount.c -- count the words of many files with as many processes, on one host or many.
 *
 *     queue_wordcount produce DIR       cuts the files below DIR into blocks; DIR -: reads names
 *     queue_wordcount consume           counts the words of blocks; run as many as you like
 *     queue_wordcount collect           adds the counts up and prints them, the most frequent first
 *
 *     produce --> "wordcount/blocks" --> consume, consume, ... --> "wordcount/results" --> collect
 *                  joinable, bounded
 *
 * Any of the consumers may be killed at any time. A block is said to be done after its result was
 * put, so a killed consumer's block comes back and is counted by another; a result may so come
 * twice, and counts once, because it has the number of its block.
 *
 * A word is letters A to Z and a to z, as in: LC_ALL=C tr -cs A-Za-z '\n' | sort | uniq -c
 */

#include <reeve.h>

#include <ftw.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <uthash.h>

enum {
    BLOCK_BYTES = 128 * 1024, /* a block is cut at the last word's end before this */
    BLOCKS_QUEUED = 64,       /* the producer waits when so many are not taken yet */
};

static const char blocks_name[] = "wordcount/blocks";
static const char results_name[] = "wordcount/results";

static int fail(void)
{
    fprintf(stderr, "queue_wordcount: %s\n", reeve_errmsg());
    return 1;
}

static bool is_letter(char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

static reeve_err open_blocks(reeve_queue **out, reeve_context *ctx)
{
    /* Blocks are large: each is asked for when its consumer is ready for it. */
    const reeve_queue_options options = {
        .joinable = true, .maxsize = BLOCKS_QUEUED, .no_prefetch = true};

    return reeve_queue_open(out, ctx, blocks_name, &options);
}

/* ---- counting ---- */

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

/* ---- produce ---- */

/* nftw() gives its callback no argument of ours. */
static struct producer {
    reeve_queue *blocks;
    reeve_builder *item;
    char buffer[BLOCK_BYTES];
    size_t len;
    int64_t blocks_len; /* and the number of the next one */
    reeve_err err;
} producer;

static void put_block(size_t len)
{
    struct producer *p = &producer;

    reeve_builder_reset(p->item);
    reeve_pack(p->item, "{sisy}", "n", p->blocks_len, "text", p->buffer, len);
    if (p->err == REEVE_OK)
        p->err = reeve_queue_put(p->blocks, p->item, REEVE_FOREVER);
    p->blocks_len++;
    memmove(p->buffer, p->buffer + len, p->len - len);
    p->len -= len;
}

/* How much of a full buffer can go without cutting a word. A word of a whole block is cut. */
static size_t whole_words(const char *text, size_t len)
{
    size_t end = len;

    while (end > 0 && is_letter(text[end - 1]))
        end--;
    return end == 0 ? len : end;
}

static void produce_file(const char *path)
{
    struct producer *p = &producer;
    FILE *file = fopen(path, "r");
    size_t got = 0;

    if (file == NULL) {
        perror(path);
        return;
    }
    do {
        got = fread(p->buffer + p->len, 1, BLOCK_BYTES - p->len, file);
        p->len += got;
        if (p->len == BLOCK_BYTES)
            put_block(whole_words(p->buffer, p->len));
    } while (got > 0 && p->err == REEVE_OK);
    fclose(file);
    p->buffer[p->len++] = '\n'; /* the next file's first word is another word */
    if (p->len == BLOCK_BYTES)
        put_block(p->len);
}

static int visit(const char *path, const struct stat *st, int type, struct FTW *where)
{
    (void)where;
    if (type == FTW_F && S_ISREG(st->st_mode))
        produce_file(path);
    return producer.err != REEVE_OK;
}

static void produce_named(FILE *names)
{
    char *path = NULL;
    size_t size = 0;
    ssize_t len = 0;

    while (producer.err == REEVE_OK && (len = getline(&path, &size, names)) > 0) {
        path[strcspn(path, "\n")] = '\0';
        produce_file(path);
    }
    free(path);
}

/* Tell the collector how many blocks there are; when all are counted, let the consumers go. */
static reeve_err announce(reeve_context *ctx, int64_t blocks)
{
    reeve_queue *results = NULL;
    reeve_err err = reeve_queue_open(&results, ctx, results_name, NULL);

    if (err == REEVE_OK) {
        reeve_builder_reset(producer.item);
        reeve_pack(producer.item, "{si}", "blocks", blocks);
        err = reeve_queue_put(results, producer.item, REEVE_FOREVER);
    }
    reeve_queue_close(&results);
    if (err == REEVE_OK)
        err = reeve_queue_join(producer.blocks, REEVE_FOREVER);
    if (err == REEVE_OK)
        err = reeve_queue_shutdown(producer.blocks, false, REEVE_FOREVER);
    return err;
}

static int produce(reeve_context *ctx, const char *dir)
{
    enum { OPEN_FOLDERS = 32 };
    struct producer *p = &producer;

    p->item = reeve_builder_new();
    p->err = open_blocks(&p->blocks, ctx);
    if (p->err == REEVE_OK && strcmp(dir, "-") == 0)
        produce_named(stdin);
    else if (p->err == REEVE_OK)
        nftw(dir, visit, OPEN_FOLDERS, FTW_PHYS);
    if (p->err == REEVE_OK && p->len > 0)
        put_block(p->len);
    if (p->err == REEVE_OK)
        p->err = announce(ctx, p->blocks_len);
    reeve_queue_close(&p->blocks);
    reeve_builder_free(&p->item);
    return p->err == REEVE_OK ? 0 : fail();
}

/* ---- consume ---- */

static reeve_err put_counts(reeve_queue *results, reeve_builder *out, const reeve_value *block,
                            const char *text, size_t len)
{
    struct word *words = NULL;
    int64_t n = -1;

    reeve_get_int(reeve_value_find(block, "n"), &n);
    count_text(&words, text, len);
    reeve_builder_reset(out);
    reeve_put_map(out, 4);
    reeve_pack(out, "s", "n");
    reeve_put_int(out, n);
    reeve_put_str(out, "bytes");
    reeve_put_uint(out, len);
    reeve_put_str(out, "again");
    reeve_put_uint(out, reeve_value_deliveries(block));
    reeve_put_str(out, "counts");
    reeve_put_map(out, HASH_COUNT(words));
    for (const struct word *w = words; w != NULL; w = w->hh.next) {
        reeve_put_strn(out, w->text, w->hh.keylen);
        reeve_put_int(out, w->count);
    }
    free_words(&words);
    return reeve_queue_put(results, out, REEVE_FOREVER);
}

static reeve_err consume_block(reeve_queue *blocks, reeve_queue *results, reeve_builder *out)
{
    reeve_value *block = NULL;
    const void *text = NULL;
    size_t len = 0;
    reeve_err err = reeve_queue_get(&block, blocks, REEVE_FOREVER);

    if (err != REEVE_OK)
        return err;
    if (reeve_get_bytes(reeve_value_find(block, "text"), &text, &len))
        err = put_counts(results, out, block, text, len);
    if (err == REEVE_OK)
        err = reeve_queue_task_done(blocks, block); /* the result is on its way before this is */
    reeve_value_free(&block);
    return err;
}

static int consume(reeve_context *ctx)
{
    reeve_queue *blocks = NULL;
    reeve_queue *results = NULL;
    reeve_builder *out = reeve_builder_new();
    reeve_err err = open_blocks(&blocks, ctx);

    if (err == REEVE_OK)
        err = reeve_queue_open(&results, ctx, results_name, NULL);
    while (err == REEVE_OK)
        err = consume_block(blocks, results, out);
    reeve_queue_close(&results);
    reeve_queue_close(&blocks);
    reeve_builder_free(&out);
    return err == REEVE_ESHUTDOWN ? 0 : fail(); /* all blocks are done */
}

/* ---- collect ---- */

struct total {
    struct word *words;
    bool *seen; /* by number of block */
    size_t seen_len;
    int64_t blocks, expected; /* expected: -1 until the producer has said it */
    int64_t bytes;
    int64_t again, twice; /* blocks that were given out again; results that came twice */
};

/* True the first time. */
static bool first_time(struct total *t, int64_t n)
{
    size_t at = (size_t)n;

    if (at >= t->seen_len) {
        size_t len = 2 * at + 64;
        bool *grown = realloc(t->seen, len * sizeof *grown);

        if (grown == NULL)
            abort();
        memset(grown + t->seen_len, 0, (len - t->seen_len) * sizeof *grown);
        t->seen = grown;
        t->seen_len = len;
    }
    if (t->seen[at])
        return false;
    t->seen[at] = true;
    return true;
}

static void add_counts(struct total *t, const reeve_value *counts)
{
    const reeve_value *key = NULL;
    const reeve_value *item = NULL;

    for (size_t i = 0; reeve_value_pair(counts, i, &key, &item); i++) {
        const char *text = NULL;
        size_t len = 0;
        int64_t count = 0;

        if (reeve_get_str(key, &text, &len) && reeve_get_int(item, &count))
            add_word(&t->words, text, len, count);
    }
}

static void add_result(struct total *t, const reeve_value *result)
{
    int64_t n = -1;
    int64_t bytes = 0;
    int64_t again = 0;

    if (reeve_get_int(reeve_value_find(result, "blocks"), &t->expected))
        return;
    if (!reeve_get_int(reeve_value_find(result, "n"), &n) || n < 0)
        return;
    reeve_get_int(reeve_value_find(result, "again"), &again);
    if (!first_time(t, n)) {
        t->twice++;
        return;
    }
    reeve_get_int(reeve_value_find(result, "bytes"), &bytes);
    add_counts(t, reeve_value_find(result, "counts"));
    t->bytes += bytes;
    t->again += again > 0;
    t->blocks++;
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

static void print_words(struct total *t)
{
    HASH_SORT(t->words, by_count);
    for (const struct word *w = t->words; w != NULL; w = w->hh.next)
        printf("%" PRId64 " %.*s\n", w->count, (int)w->hh.keylen, w->text);
}

static void say(const struct total *t)
{
    fprintf(stderr, "blocks %" PRId64 " bytes %" PRId64 " again %" PRId64 " twice %" PRId64 "\n",
            t->blocks, t->bytes, t->again, t->twice);
}

static int collect(reeve_context *ctx)
{
    struct total t = {.expected = -1};
    reeve_queue *results = NULL;
    reeve_err err = reeve_queue_open(&results, ctx, results_name, NULL);

    while (err == REEVE_OK && t.blocks != t.expected) {
        reeve_value *result = NULL;

        err = reeve_queue_get(&result, results, REEVE_FOREVER);
        if (err == REEVE_OK)
            add_result(&t, result);
        reeve_value_free(&result);
        say(&t);
    }
    reeve_queue_close(&results);
    if (err == REEVE_OK)
        print_words(&t);
    free_words(&t.words);
    free(t.seen);
    return err == REEVE_OK ? 0 : fail();
}

/* ---- */

int main(int argc, char **argv)
{
    const char *role = argc > 1 ? argv[1] : "";
    reeve_context *ctx = NULL;
    int code = 2;

    if (!(strcmp(role, "produce") == 0 && argc == 3) &&
        !((strcmp(role, "consume") == 0 || strcmp(role, "collect") == 0) && argc == 2)) {
        fprintf(stderr, "usage: queue_wordcount produce DIR | consume | collect\n");
        return code;
    }
    if (reeve_open(&ctx, NULL) != REEVE_OK) /* $REEVE_URL, $REEVE_KEY */
        return fail();
    if (role[0] == 'p')
        code = produce(ctx, argv[2]);
    else
        code = strcmp(role, "consume") == 0 ? consume(ctx) : collect(ctx);
    if (reeve_close(&ctx) != REEVE_OK)
        code = fail();
    return code;
}
