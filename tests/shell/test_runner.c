/* A runner over its socket, without an agent: what comes out for what goes in. And the macros of
 * task.h. */

#include "common/net/net.h"
#include "proxy/runner.h"
#include "tests/shell/lab.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- functions ---- */

static reeve_err runner_square(reeve_task *task, const reeve_value *in, reeve_builder *out)
{
    int64_t x = 0;

    if (!reeve_get_int(in, &x))
        return reeve_task_fail(task, "square wants\nan integer");
    return reeve_put_int(out, x * x);
}
REEVE_FUNCTION(runner_square);

static reeve_err runner_odd(reeve_task *task, const reeve_value *in, reeve_builder *out)
{
    static uint8_t large[RV_LIMIT_ITEM_BYTES + 100];
    int64_t x = 0;

    (void)reeve_get_int(in, &x);
    switch (x) {
    case 1:
        (void)reeve_put_str(out, "half of it");
        return reeve_task_fail_code(task, 7, "seven");
    case 2:
        return REEVE_OK; /* nothing is nil */
    case 3:
        return reeve_put_array(out, 2); /* and nothing in it */
    case 4:
        return reeve_put_bytes(out, large, 100000);
    case 5:
        return reeve_put_bytes(out, large, sizeof large);
    case 6:
        return REEVE_ENOENT;
    case 7:
        return reeve_put_uint(out, reeve_task_index(task) * 100 + reeve_task_run(task));
    case 8:
        raise(SIGSEGV);
        return REEVE_OK;
    default:
        return reeve_put_value(out, in);
    }
}
REEVE_FUNCTION(runner_odd);

static reeve_err runner_prepare(const reeve_value *arg)
{
    bool well = false;

    if (!reeve_get_bool(arg, &well))
        return REEVE_ETYPE;
    return well ? REEVE_OK : reeve_task_fail(NULL, "told to fail by %s", "its argument");
}
REEVE_INITIALIZER(runner_prepare);

/* ---- the other side ---- */

struct bench {
    pid_t pid;
    int fd;
    struct rv_task_page *page;
    struct rv_buf in;
    size_t used;
};

static void bench_begin(struct bench *b)
{
    int fds[2];

    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, fds) == 0);
    *b = (struct bench){.fd = fds[0]};
    b->page =
        mmap(NULL, RV_TASK_MAP_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(b->page != MAP_FAILED);
    b->page->started = b->page->limit = RV_TASK_NONE;
    b->pid = fork();
    CHECK(b->pid >= 0);
    if (b->pid == 0) {
        close(fds[0]);
        rv_crash_watch(b->page);
        _exit(rv_runner_run(&(struct rv_runner_conf){fds[1], b->page, -1}) ? 0 : 1);
    }
    close(fds[1]);
}

static int bench_end(struct bench *b)
{
    int status = 0;

    close(b->fd);
    CHECK(waitpid(b->pid, &status, 0) == b->pid);
    munmap(b->page, RV_TASK_MAP_BYTES);
    rv_buf_free(&b->in);
    return status;
}

static void give_bytes(struct bench *b, const void *bytes, size_t len)
{
    const uint8_t *at = bytes;

    while (len > 0) {
        ssize_t sent = send(b->fd, at, len, MSG_NOSIGNAL);

        CHECK(sent > 0);
        at += sent;
        len -= (size_t)sent;
    }
}

static void give_frame(struct bench *b, struct rv_buf *frame, enum rv_task_type type)
{
    rv_task_close(frame->data, frame->len, type);
    give_bytes(b, frame->data, frame->len);
    rv_buf_free(frame);
}

static struct rv_buf frame_begin(void)
{
    struct rv_buf frame = {0};

    rv_buf_add(&frame, "     ", RV_TASK_HEAD);
    return frame;
}

static void give_init(struct bench *b, const char *name, const char *arg)
{
    struct rv_buf frame = frame_begin();

    rv_task_init_encode(
        &frame, &(struct rv_task_init){.name = rv_slice_str(name), .arg = rv_slice_str(arg)});
    give_frame(b, &frame, RV_TASK_init);
}

static void give_run(struct bench *b, const char *function, uint64_t first, uint32_t count,
                     bool detail, const struct rv_buf *items)
{
    struct rv_buf frame = frame_begin();

    rv_task_run_encode(&frame, &(struct rv_task_run){.chunk = 1,
                                                     .first = first,
                                                     .count = count,
                                                     .run = 2,
                                                     .detail = detail,
                                                     .function = rv_slice_str(function),
                                                     .items = rv_buf_slice(items)});
    give_frame(b, &frame, RV_TASK_run);
}

static void add_bytes(struct rv_buf *items, const void *bytes, size_t len)
{
    rv_item_write(items, &(struct rv_item){.place = rv_task_place(len),
                                           .len = (uint32_t)len,
                                           .bytes = rv_slice(bytes, len)});
}

/* A small integer is its own encoding. */
static void add_small(struct rv_buf *items, uint8_t x)
{
    add_bytes(items, &x, 1);
}

/* The next bytes from the runner; the test ends when it has hung up. */
static struct rv_slice hear(struct bench *b, size_t len)
{
    rv_buf_drop(&b->in, b->used);
    while (b->in.len < len) {
        uint8_t *room = rv_buf_room(&b->in, 65536);
        ssize_t got = recv(b->fd, room, 65536, 0);

        CHECK(got > 0);
        b->in.len += (size_t)got;
    }
    b->used = len;
    return rv_slice(b->in.data, len);
}

/* A frame of this type; the fields are lent until the next. */
static struct rv_slice hear_frame(struct bench *b, enum rv_task_type type)
{
    struct rv_slice head = hear(b, RV_TASK_HEAD);
    size_t len = (size_t)rv_get_number(head.data, 4);

    CHECK(head.data[4] == type);
    return hear(b, len);
}

static struct rv_task_done hear_done(struct bench *b, uint64_t first, uint32_t count)
{
    struct rv_task_done done;

    CHECK(rv_task_done_decode(&done, hear_frame(b, RV_TASK_done)));
    CHECK(done.first == first && done.items.count == count);
    return done;
}

static struct rv_task_item hear_item(struct bench *b, uint64_t index, enum rv_ran status,
                                     const char *text)
{
    struct rv_task_item item;

    CHECK(rv_task_item_decode(&item, hear_frame(b, RV_TASK_item)));
    CHECK(item.index == index && item.status == status && !item.waits);
    CHECK(rv_slice_equal(item.text, rv_slice_str(text)));
    return item;
}

static void hear_end(struct bench *b, uint64_t end)
{
    struct rv_task_end e;

    CHECK(rv_task_end_decode(&e, hear_frame(b, RV_TASK_end)));
    CHECK(e.end == end);
}

static void bench_ready(struct bench *b)
{
    bench_begin(b);
    give_init(b, "", "");
    CHECK(hear_frame(b, RV_TASK_ready).len == 0);
}

static void check_bytes(struct rv_slice got, const char *wanted, size_t len)
{
    CHECK(rv_slice_equal(got, rv_slice(wanted, len)));
}

/* ---- stories ---- */

/* row: P31 */
TEST(function_is_named_by_a_constant_that_the_compiler_checks)
{
    const reeve_fn *fn = REEVE_FN(runner_square);
    const reeve_init *init = REEVE_INIT(runner_prepare);

    CHECK(strcmp(fn->name, "runner_square") == 0 && fn->function == runner_square);
    CHECK(strcmp(init->name, "runner_prepare") == 0 && init->function == runner_prepare);
    CHECK(rv_task_function(rv_slice_str("runner_square")) == fn);
    CHECK(rv_task_function(rv_slice_str("runner_squar")) == NULL);
    CHECK(rv_task_initializer(rv_slice_str("runner_prepare")) == init);
    CHECK(rv_task_initializer(rv_slice_str("runner_square")) == NULL);
    CHECK(rv_task_twice() == NULL);
}

TEST(values_of_a_chunk_come_together_and_then_its_end)
{
    struct bench b;
    struct rv_buf items = {0};

    bench_ready(&b);
    add_small(&items, 2);
    add_small(&items, 3);
    add_small(&items, 4);
    give_run(&b, "runner_square", 10, 3, false, &items);
    /* each is a length and one byte */
    check_bytes(hear_done(&b, 10, 3).items.bytes, "\0\0\0\1\4\0\0\0\1\11\0\0\0\1\20", 15);
    hear_end(&b, 13);
    CHECK(b.page->started >= 13); /* in none */
    rv_buf_free(&items);
    CHECK(bench_end(&b) == 0);
}

/* row: L10 */
/* row: L14 */
TEST(failure_costs_one_item_and_tells_its_words)
{
    struct bench b;
    struct rv_buf items = {0};
    struct rv_task_item item;

    bench_ready(&b);
    for (uint8_t i = 0; i <= 7; i++)
        if (i != 4)
            add_small(&items, i);
    give_run(&b, "runner_odd", 0, 7, false, &items);
    (void)hear_done(&b, 0, 1);
    item = hear_item(&b, 1, RV_RAN_FAILED, "seven");
    CHECK(item.code == 7 && item.items.count == 1); /* the value is kept */
    check_bytes(hear_done(&b, 2, 1).items.bytes, "\0\0\0\1\xc0", 5);
    (void)hear_item(&b, 3, RV_RAN_FAILED, "the function put no single whole value");
    (void)hear_item(&b, 4, RV_RAN_TOOBIG, "the value has 16777321 bytes, and 16777216 may have");
    (void)hear_item(&b, 5, RV_RAN_FAILED, "no such object");
    check_bytes(hear_done(&b, 6, 1).items.bytes, "\0\0\0\3\xcd\2\x5a", 7); /* index 6, run 2 */
    hear_end(&b, 7);
    rv_buf_free(&items);
    CHECK(bench_end(&b) == 0);
}

TEST(text_of_a_failure_is_one_line)
{
    struct bench b;
    struct rv_buf items = {0};

    bench_ready(&b);
    add_bytes(&items, "\xa1x", 2);
    add_bytes(&items, "\xc1", 1);
    give_run(&b, "runner_square", 0, 2, false, &items);
    (void)hear_item(&b, 0, RV_RAN_FAILED, "square wants an integer");
    (void)hear_item(&b, 1, RV_RAN_FAILED, "the item is not a value");
    hear_end(&b, 2);
    rv_buf_free(&items);
    CHECK(bench_end(&b) == 0);
}

TEST(unknown_function_is_named)
{
    struct bench b;
    struct rv_buf items = {0};

    bench_ready(&b);
    add_small(&items, 1);
    give_run(&b, "cube", 5, 1, false, &items);
    (void)hear_item(&b, 5, RV_RAN_NEVER, "the program has no function cube");
    hear_end(&b, 6);
    rv_buf_free(&items);
    CHECK(bench_end(&b) == 0);
}

TEST(large_items_and_values_follow_their_frames)
{
    enum { LARGE = 300000 };
    struct bench b;
    struct rv_buf items = {0};
    uint8_t *large = calloc(1, LARGE);
    struct rv_task_done done;

    large[0] = 0xc6; /* plain bytes, a length of four bytes */
    rv_set_number(large + 1, LARGE - 5, 4);
    large[LARGE - 1] = 42;
    bench_ready(&b);
    add_small(&items, 9);
    add_bytes(&items, large, LARGE);
    add_small(&items, 4);
    give_run(&b, "runner_odd", 0, 3, false, &items);
    give_bytes(&b, large, LARGE);
    (void)hear_done(&b, 0, 1);
    done = hear_done(&b, 1, 1);
    CHECK(done.items.bytes.len == 12 && done.items.bytes.data[0] >> 4 == RV_FRAGMENTS);
    check_bytes(hear(&b, LARGE), (const char *)large, LARGE);
    done = hear_done(&b, 2, 1);
    CHECK(done.items.bytes.len == 4 && done.items.bytes.data[0] >> 4 == RV_BODY);
    (void)hear(&b, 100005);
    hear_end(&b, 3);
    free(large);
    rv_buf_free(&items);
    CHECK(bench_end(&b) == 0);
}

TEST(item_behind_the_limit_is_not_begun)
{
    struct bench b;
    struct rv_buf items = {0};

    bench_ready(&b);
    for (uint8_t i = 0; i < 5; i++)
        add_small(&items, i);
    atomic_store(&b.page->limit, 22);
    give_run(&b, "runner_square", 20, 5, false, &items);
    (void)hear_done(&b, 20, 2);
    hear_end(&b, 22);
    rv_buf_free(&items);
    CHECK(bench_end(&b) == 0);
}

TEST(result_in_detail_goes_alone)
{
    struct bench b;
    struct rv_buf items = {0};

    bench_ready(&b);
    add_small(&items, 1);
    add_small(&items, 2);
    give_run(&b, "runner_square", 0, 2, true, &items);
    CHECK(hear_item(&b, 0, RV_RAN_OK, "").items.count == 1);
    CHECK(hear_item(&b, 1, RV_RAN_OK, "").items.count == 1);
    hear_end(&b, 2);
    rv_buf_free(&items);
    CHECK(bench_end(&b) == 0);
}

/* row: L21 */
TEST(initializer_runs_before_the_runner_is_ready)
{
    struct bench b;

    bench_begin(&b);
    give_init(&b, "runner_prepare", "\xc3");
    CHECK(hear_frame(&b, RV_TASK_ready).len == 0);
    CHECK(bench_end(&b) == 0);
}

/* row: L21 */
TEST(initializer_that_fails_is_told_with_its_words)
{
    static const struct {
        const char *name, *arg, *text;
    } cases[] = {
        {"runner_prepare", "\xc2", "told to fail by its argument"},
        {"runner_prepare", "\x07", "object or value of another type"},
        {"runner_square", "", "the program has no initializer runner_square"},
    };

    for (size_t i = 0; i < rv_countof(cases); i++) {
        struct bench b;
        struct rv_task_refuse refuse;

        bench_begin(&b);
        give_init(&b, cases[i].name, cases[i].arg);
        CHECK(rv_task_refuse_decode(&refuse, hear_frame(&b, RV_TASK_refuse)));
        CHECK(rv_slice_equal(refuse.text, rv_slice_str(cases[i].text)));
        CHECK(WEXITSTATUS(bench_end(&b)) == 1);
    }
}

/* Sanitizers have handlers of their own for deadly signals; ours is installed over them. */
TEST(crash_leaves_its_evidence_and_the_results_before_it)
{
    struct bench b;
    struct rv_buf items = {0};
    char byte = 0;
    int status = 0;

    bench_ready(&b);
    add_small(&items, 9);
    add_small(&items, 8);
    give_run(&b, "runner_odd", 0, 2, false, &items);
    CHECK(recv(b.fd, &byte, 1, 0) == 0); /* nothing was sent */
    CHECK(b.page->started == 1);
    CHECK(b.page->open_count == 1 && b.page->open_first == 0);
    CHECK(memcmp(rv_task_area(b.page) + RV_TASK_DONE_HEAD, "\0\0\0\1\x09", 5) == 0);
    CHECK(b.page->signal == SIGSEGV && b.page->pc != 0);
    rv_buf_free(&items);
    status = bench_end(&b);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
}

/* Not a promise of so many, but a system call or an allocation for each item shows. */
TEST(many_tiny_items_come_in_order)
{
    enum { CHUNKS = 100, ITEMS = 4096 };
    struct bench b;
    struct rv_buf items = {0};
    rv_ns before = 0;
    double rate = 0;

    bench_ready(&b);
    for (int i = 0; i < ITEMS; i++)
        add_small(&items, (uint8_t)(i & 7));
    before = rv_clock_now();
    for (uint64_t i = 0; i < CHUNKS; i++) {
        give_run(&b, "runner_square", i * ITEMS, ITEMS, false, &items);
        /* On a slow machine they come in several frames. */
        for (uint64_t next = i * ITEMS; next < (i + 1) * ITEMS;) {
            struct rv_task_done done;

            CHECK(rv_task_done_decode(&done, hear_frame(&b, RV_TASK_done)));
            CHECK(done.first == next && done.items.count > 0);
            next += done.items.count;
        }
        hear_end(&b, (i + 1) * ITEMS);
    }
    rate = (double)CHUNKS * ITEMS / ((double)(rv_clock_now() - before) / 1e9);
    if (getenv("TASK_RATE") != NULL)
        fprintf(stderr, "%.2f M items/s\n", rate / 1e6);
    rv_buf_free(&items);
    CHECK(bench_end(&b) == 0);
}
