/* durable_load.c -- what a manager promises, used by many threads until the standard input ends;
 * then everything is counted.
 *
 *     durable_load        REEVE_URL and REEVE_KEY say whose; each byte that it reads is answered
 *                         by a line when some more items have gone through
 *     durable_load alone  only one thread, which changes two containers that survive the end of the process: nobody
 *                         else's call has the log written for it
 *
 * Producers put numbers into a bounded joinable queue, one call for each; consumers take them and
 * say that they are done; others hold a lock in turn; keepers count in containers, some of which survive
 * the loss of power and some the end of the process, and move what is in one account to another. No call
 * may fail, whatever happens to the manager: sessions are resumed. Exit code 0: each number that was
 * put was had once, in its order, and each change of a container is there, once and whole.
 */

#include <reeve.h>
#include <reeve/batch.h>
#include <reeve/list.h>
#include <reeve/set.h>
#include <reeve/shared.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    PRODUCERS = 2,
    CONSUMERS = 2,
    LOCKERS = 2,
    KEEPERS = 2,
    MOST = 1 << 20,
    WAIT_MS = 60000,
    SOME = 50
};

static reeve_context *ctx;
static reeve_queue *queue;
static reeve_lock *lock;
static reeve_dict *book;    /* sync: accounts, what was counted, and a reference of each keeper */
static reeve_list *rows;    /* os */
static reeve_set *moves;    /* sync */
static reeve_shared *total; /* os */
static long kept[KEEPERS];  /* rounds of each that were acknowledged */
static atomic_bool over;    /* no more is put */
static atomic_bool drained; /* all is done */
static atomic_uchar seen[PRODUCERS][MOST];
static long put[PRODUCERS];
static atomic_long got, again, locked, broken, errors;
static atomic_int inside;

static bool ok(reeve_err err, const char *what)
{
    if (err == REEVE_OK)
        return true;
    fprintf(stderr, "%s: %s\n", what, reeve_errmsg());
    errors++;
    return false;
}

static void *produce(void *arg)
{
    long who = (long)arg;
    char text[64];

    for (long i = 0; i < MOST && !over; i++) {
        snprintf(text, sizeof text, "%ld %ld", who, i);
        if (!ok(reeve_queue_put_str(queue, text, WAIT_MS), "put"))
            break;
        put[who] = i + 1;
    }
    return NULL;
}

static void take(const reeve_value *item)
{
    const char *text = NULL;
    size_t len = 0;
    long who = 0;
    long i = 0;

    char line[64] = "";

    if (reeve_get_str(item, &text, &len) && len < sizeof line)
        memcpy(line, text, len);
    if (sscanf(line, "%ld %ld", &who, &i) != 2 || who < 0 || who >= PRODUCERS || i < 0 ||
        i >= MOST) {
        fprintf(stderr, "an item that nobody put: %s\n", line);
        errors++;
        return;
    }
    got++;
    again += reeve_value_deliveries(item) > 0;
    seen[who][i]++;
}

static void *consume(void *arg)
{
    (void)arg;
    while (!drained) {
        reeve_value *item = NULL;
        reeve_err err = reeve_queue_get(&item, queue, 200);

        if (err == REEVE_EEMPTY || err == REEVE_ETIME) /* ETIME: it is being started again */
            continue;
        if (!ok(err, "get"))
            break;
        take(item);
        ok(reeve_queue_task_done(queue, item), "task_done");
        reeve_value_free(&item);
    }
    return NULL;
}

static void *hold(void *arg)
{
    (void)arg;
    while (!over) {
        if (!ok(reeve_lock_acquire(lock, WAIT_MS), "acquire"))
            break;
        broken += inside++ != 0;
        locked++;
        inside--;
        if (!ok(reeve_lock_release(lock), "release"))
            break;
        usleep(500);
    }
    return NULL;
}

/* ---- containers ---- */

static bool pair(reeve_builder *b, long who, long i)
{
    reeve_builder_reset(b);
    return ok(reeve_pack(b, "(ii)", (int64_t)who, (int64_t)i), "pack");
}

static bool number(reeve_builder *b, long i)
{
    reeve_builder_reset(b);
    return ok(reeve_put_int(b, i), "pack");
}

/* From one account to the other, and into the list of moves: all of it or nothing. */
static bool move(reeve_builder *key, reeve_builder *amount, long who, long i)
{
    reeve_batch *b = reeve_batch_new(ctx);
    bool well = number(key, who) && number(amount, i % 7) &&
                ok(reeve_batch_dict_add(b, book, key, amount), "add") && number(key, who + 1) &&
                number(amount, -(i % 7)) && ok(reeve_batch_dict_add(b, book, key, amount), "add") &&
                pair(key, who, i) && ok(reeve_batch_set_add(b, moves, key), "move") &&
                ok(reeve_batch_run(b, NULL), "batch");

    reeve_batch_free(&b);
    return well;
}

/* A new list of one row takes the place of the keeper's last one, which nothing keeps then. */
static bool refer(reeve_builder *key, reeve_builder *value, long who, long i)
{
    static const reeve_container_options sync = {.durable = REEVE_DURABLE_SYNC};
    reeve_list *page = NULL;
    bool well = ok(reeve_list_open(&page, ctx, NULL, &sync), "page") && number(value, i) &&
                ok(reeve_list_append(page, value), "append") && pair(key, who, 0);

    reeve_builder_reset(value);
    well = well && ok(reeve_put_ref(value, reeve_list_ref(page)), "refer") &&
           ok(reeve_dict_set(book, key, value), "set");
    reeve_list_close(&page);
    return well;
}

static void *keep(void *arg)
{
    long who = (long)arg;
    reeve_builder *key = reeve_builder_new();
    reeve_builder *value = reeve_builder_new();
    bool well = true;

    for (long i = 0; well && !over; i++) {
        well = pair(value, who, i) && ok(reeve_list_append(rows, value), "append") &&
               ok(reeve_shared_add_int(total, 1, NULL), "total") && move(key, value, who, i) &&
               refer(key, value, who, i);
        kept[who] += well;
        usleep(1000);
    }
    reeve_builder_free(&key);
    reeve_builder_free(&value);
    return NULL;
}

static void *keep_alone(void *arg)
{
    reeve_builder *value = reeve_builder_new();
    bool well = true;

    (void)arg;
    while (well && !over) {
        well = pair(value, 0, kept[0]) && ok(reeve_list_append(rows, value), "append") &&
               ok(reeve_shared_add_int(total, 1, NULL), "total");
        kept[0] += well;
        got = kept[0];
    }
    reeve_builder_free(&value);
    return NULL;
}

static bool equal(const char *what, int64_t got_it, int64_t wanted)
{
    if (got_it == wanted)
        return true;
    fprintf(stderr, "%s: %lld, and not %lld\n", what, (long long)got_it, (long long)wanted);
    return false;
}

/* Each keeper's rows, one after the other. */
static bool rows_are_whole(long all)
{
    static const reeve_slice everything = {REEVE_UNSET, REEVE_UNSET, REEVE_UNSET};
    long next[KEEPERS] = {0};
    reeve_value *v = NULL;
    bool whole = ok(reeve_list_slice(rows, everything, &v), "rows") &&
                 equal("rows", (int64_t)reeve_value_len(v), all);

    for (size_t i = 0; whole && i < reeve_value_len(v); i++) {
        int64_t who = 0;
        int64_t at = 0;

        whole = reeve_get_int(reeve_value_at(reeve_value_at(v, i), 0), &who) &&
                reeve_get_int(reeve_value_at(reeve_value_at(v, i), 1), &at) &&
                equal("the next row of a keeper", at, next[who]++);
    }
    reeve_value_free(&v);
    return whole;
}

static bool accounts_are_even(reeve_builder *key)
{
    int64_t sum = 0;

    for (long i = 0; i <= KEEPERS; i++) {
        int64_t x = 0;

        if (!number(key, i) || !ok(reeve_dict_add_int(book, key, 0, &x), "account"))
            return false;
        sum += x;
    }
    return equal("the sum of the accounts", sum, 0);
}

/* The last list that each keeper has put into the book. */
static bool pages_are_there(reeve_builder *key)
{
    for (long who = 0; who < KEEPERS; who++) {
        reeve_list *page = NULL;
        reeve_value *v = NULL;
        reeve_value *row = NULL;
        reeve_ref ref;
        int64_t x = -1;
        bool there = pair(key, who, 0) && ok(reeve_dict_get(book, key, &v), "page") &&
                     reeve_get_ref(v, &ref) && ok(reeve_list_from(&page, ctx, ref), "page") &&
                     ok(reeve_list_get(page, 0, &row), "page") && reeve_get_int(row, &x) &&
                     equal("the row of the last page", x, kept[who] - 1);

        reeve_value_free(&v);
        reeve_value_free(&row);
        reeve_list_close(&page);
        if (!there)
            return false;
    }
    return true;
}

static bool containers_are_whole(void)
{
    reeve_builder *key = reeve_builder_new();
    long all = 0;
    uint64_t len = 0;
    int64_t sum = 0;
    bool whole = true;

    for (int i = 0; i < KEEPERS; i++)
        all += kept[i];
    whole = all > 0 && ok(reeve_shared_get_int(total, &sum), "total") && equal("total", sum, all) &&
            ok(reeve_set_len(moves, &len, NULL), "moves") && equal("moves", (int64_t)len, all) &&
            rows_are_whole(all) && accounts_are_even(key) && pages_are_there(key);
    reeve_builder_free(&key);
    printf("rounds of containers %ld, %s, ", all, whole ? "whole" : "damaged");
    return whole;
}

static bool alone_is_whole(void)
{
    int64_t sum = 0;
    bool whole = kept[0] > 0 && ok(reeve_shared_get_int(total, &sum), "total") &&
                 equal("total", sum, kept[0]) && rows_are_whole(kept[0]);

    printf("rounds alone %ld, %s, errors %ld\n", kept[0], whole ? "whole" : "damaged",
           (long)errors);
    return whole;
}

static bool open_containers(void)
{
    static const reeve_container_options sync = {.durable = REEVE_DURABLE_SYNC};
    static const reeve_container_options os = {.durable = REEVE_DURABLE_OS};

    return ok(reeve_dict_open(&book, ctx, "book", &sync), "book") &&
           ok(reeve_list_open(&rows, ctx, "rows", &os), "rows") &&
           ok(reeve_set_open(&moves, ctx, "moves", &sync), "moves") &&
           ok(reeve_shared_open(&total, ctx, "total", 'q', &os), "total");
}

static void close_containers(void)
{
    reeve_dict_close(&book);
    reeve_list_close(&rows);
    reeve_set_close(&moves);
    reeve_shared_close(&total);
}

/* ---- the whole ---- */

static long lost(void)
{
    long missing = 0;

    for (int p = 0; p < PRODUCERS; p++)
        for (long i = 0; i < put[p]; i++)
            missing += seen[p][i] == 0;
    return missing;
}

static long doubled(void)
{
    long twice = 0;

    for (int p = 0; p < PRODUCERS; p++)
        for (long i = 0; i < MOST; i++)
            twice += seen[p][i] > 1;
    return twice;
}

/* Until some more items have gone through, or a call has failed. */
static void go_on(void)
{
    long until = got + SOME;

    while (got < until && errors == 0)
        usleep(1000);
}

static void answer_bytes(void)
{
    char byte = 0;

    printf("begun\n");
    fflush(stdout);
    while (read(STDIN_FILENO, &byte, 1) > 0) {
        go_on();
        printf("on\n");
        fflush(stdout);
    }
    over = true;
}

static int run_alone(void)
{
    pthread_t thread;
    bool whole = false;

    if (!ok(reeve_open(&ctx, NULL), "open") || !open_containers())
        return 2;
    pthread_create(&thread, NULL, keep_alone, NULL);
    answer_bytes();
    pthread_join(thread, NULL);
    whole = alone_is_whole();
    close_containers();
    reeve_close(&ctx);
    return !whole || errors != 0;
}

int main(int argc, char **argv)
{
    static const reeve_queue_options options = {.maxsize = 64, .joinable = true};
    pthread_t threads[PRODUCERS + CONSUMERS + LOCKERS + KEEPERS];
    size_t begun = 0;
    bool whole = false;

    if (argc > 1)
        return strcmp(argv[1], "alone") == 0 ? run_alone() : 2;
    if (!ok(reeve_open(&ctx, NULL), "open") ||
        !ok(reeve_queue_open(&queue, ctx, "work", &options), "queue") ||
        !ok(reeve_lock_open(&lock, ctx, "turn", NULL), "lock") || !open_containers())
        return 2;
    for (long i = 0; i < PRODUCERS; i++)
        pthread_create(&threads[begun++], NULL, produce, (void *)i);
    for (int i = 0; i < LOCKERS; i++)
        pthread_create(&threads[begun++], NULL, hold, NULL);
    for (long i = 0; i < KEEPERS; i++)
        pthread_create(&threads[begun++], NULL, keep, (void *)i);
    for (int i = 0; i < CONSUMERS; i++)
        pthread_create(&threads[begun++], NULL, consume, NULL);
    answer_bytes();
    for (size_t i = 0; i < PRODUCERS + LOCKERS + KEEPERS; i++)
        pthread_join(threads[i], NULL);
    ok(reeve_queue_join(queue, WAIT_MS), "join");
    drained = true;
    for (size_t i = PRODUCERS + LOCKERS + KEEPERS; i < begun; i++)
        pthread_join(threads[i], NULL);
    whole = containers_are_whole();
    printf("put %ld got %ld locked %ld again %ld lost %ld doubled %ld broken %ld errors %ld\n",
           put[0] + put[1], (long)got, (long)locked, (long)again, lost(), doubled(), (long)broken,
           (long)errors);
    close_containers();
    reeve_lock_close(&lock);
    reeve_queue_close(&queue);
    reeve_close(&ctx);
    return !whole || lost() != 0 || doubled() != 0 || broken != 0 || errors != 0;
}
