/* runner.c -- takes items, calls functions, gives values. A tiny item costs no system call, no
 * allocation and no look at the exact clock. */

#include "proxy/runner.h"
#include "proxy/pledge.h"
#include "proxy/task_state.h"

#include <errno.h>
#include <linux/futex.h>
#include <stdio.h>
#include <stdio_ext.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum {
    INPUT_BYTES = 256 * 1024,
    BODY_KEPT_BYTES = 1024 * 1024, /* a larger item's memory is given back */
    TINY_NS = 2000,                /* the pipe is looked at after each item that takes longer */
    TINY_LOOKS = 32,               /* ... of tiny ones, after so many */
    CAREFUL_ITEMS = 4096,          /* after one that printed, and at first, after each */
};

/* What came and is not used yet: data[at] to data[len]. */
struct input {
    int fd;
    uint8_t *data;
    size_t at, len, cap;
};

struct runner {
    struct input in;
    int output;
    struct rv_task_page *page;
    uint8_t *area;
    size_t open_end;  /* behind the last item of the open frame */
    rv_ns batch_at;   /* when the oldest frame in the area was begun, coarsely */
    rv_ns counted_at; /* until then the running time is in frames; exact */
    rv_ns now;        /* coarse: at the beginning of the item */
    uint64_t drained; /* output that is known of */
    unsigned look, look_each, careful;
    bool last; /* the item is the last of its chunk */
    bool gone; /* the agent has hung up */
    struct rv_value_room room;
    reeve_builder *out;
    uint8_t *body;
    size_t body_cap;
    struct rv_buf frame;
    struct reeve_task task;
};

static rv_ns exact_clock(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (rv_ns)t.tv_sec * RV_SEC + t.tv_nsec;
}

/* A tick behind at most, and much cheaper where the clock is a system call. */
static rv_ns coarse_clock(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC_COARSE, &t);
    return (rv_ns)t.tv_sec * RV_SEC + t.tv_nsec;
}

/* ---- the socket ---- */

static size_t receive(struct input *in, void *to, size_t room)
{
    ssize_t len = 0;

    while ((len = recv(in->fd, to, room, 0)) < 0)
        if (errno != EINTR)
            return 0;
    return (size_t)len;
}

/* The next len bytes, side by side; NULL when the agent has gone. What was taken before is moved
 * over. */
static const uint8_t *need(struct input *in, size_t len)
{
    uint8_t *data = NULL;

    if (in->at > 0 && in->at == in->len)
        in->at = in->len = 0;
    if (in->at + len > in->cap) {
        memmove(in->data, in->data + in->at, in->len - in->at);
        in->len -= in->at;
        in->at = 0;
    }
    if (len > in->cap) {
        data = realloc(in->data, len);
        if (data == NULL)
            return NULL;
        in->data = data;
        in->cap = len;
    }
    while (in->len - in->at < len) {
        size_t got = receive(in, in->data + in->len, in->cap - in->len);

        if (got == 0)
            return NULL;
        in->len += got;
    }
    return in->data + in->at;
}

/* Copy the next len bytes out, moving nothing: the frame that they belong to stays. */
static bool take(struct input *in, uint8_t *to, size_t len)
{
    size_t have = in->len - in->at < len ? in->len - in->at : len;

    memcpy(to, in->data + in->at, have);
    in->at += have;
    while (have < len) {
        size_t got = receive(in, to + have, len - have);

        if (got == 0)
            return false;
        have += got;
    }
    return true;
}

static void send_all(struct runner *r, const uint8_t *bytes, size_t len)
{
    while (len > 0 && !r->gone) {
        ssize_t sent = send(r->in.fd, bytes, len, MSG_NOSIGNAL);

        if (sent < 0 && errno == EINTR)
            continue;
        if (sent <= 0) {
            r->gone = true;
            return;
        }
        bytes += sent;
        len -= (size_t)sent;
    }
}

/* ---- the area ---- */

static size_t area_len(const struct runner *r)
{
    return r->page->open_count > 0 ? r->open_end : r->page->closed;
}

/* The running time since it was asked for last; tiny items are found out by it. */
static uint64_t count_time(struct runner *r, uint32_t items)
{
    rv_ns now = exact_clock();
    rv_ns ns = now > r->counted_at ? now - r->counted_at : 0;

    r->counted_at = now;
    r->look_each = items > 0 && ns / (rv_ns)items < TINY_NS ? TINY_LOOKS : 1;
    return (uint64_t)ns;
}

static void close_open(struct runner *r)
{
    uint8_t *frame = r->area + r->page->closed;
    uint32_t count = r->page->open_count;

    if (count == 0)
        return;
    rv_task_close(frame, r->open_end - r->page->closed, RV_TASK_done);
    rv_set_number(frame + RV_TASK_HEAD, r->page->open_first, 8);
    rv_set_number(frame + RV_TASK_HEAD + 8, count_time(r, count), 8);
    rv_set_number(frame + RV_TASK_HEAD + 16, count, 4);
    rv_set_number(frame + RV_TASK_HEAD + 20, r->open_end - r->page->closed - RV_TASK_DONE_HEAD, 4);
    r->page->closed = (uint32_t)r->open_end;
    r->page->open_count = 0;
}

/* The area stays as it is until all has been sent: what the agent finds twice it takes once. */
static void flush(struct runner *r)
{
    close_open(r);
    if (r->page->closed > 0)
        send_all(r, r->area, r->page->closed);
    r->page->closed = 0;
}

static void flush_if_due(struct runner *r)
{
    if (area_len(r) >= RV_LIMIT_RESULT_BATCH_BYTES || r->page->open_count == RV_LIMIT_PUT_ITEMS ||
        r->now - r->batch_at >= RV_LIMIT_RESULT_MS * RV_MS)
        flush(r);
}

static void begin_batch(struct runner *r)
{
    if (area_len(r) == 0)
        r->batch_at = r->now;
}

/* A finished frame, built aside. */
static void add_frame(struct runner *r, enum rv_task_type type)
{
    struct rv_buf *b = &r->frame;

    if (b->bad) {
        r->gone = true; /* no memory for a frame: the agent sees us end */
        return;
    }
    rv_task_close(b->data, b->len, type);
    close_open(r);
    if (b->len > RV_TASK_AREA_BYTES - r->page->closed)
        flush(r);
    begin_batch(r);
    memcpy(r->area + r->page->closed, b->data, b->len);
    r->page->closed += (uint32_t)b->len;
}

static struct rv_buf *new_frame(struct runner *r)
{
    static const uint8_t head[RV_TASK_HEAD];

    rv_buf_clear(&r->frame);
    r->frame.bad = false;
    rv_buf_add(&r->frame, head, sizeof head);
    return &r->frame;
}

/* ---- results ---- */

/* A value that is sent from where it is: the frame, then its bytes. */
static void send_large(struct runner *r, enum rv_task_type type, struct rv_slice value)
{
    add_frame(r, type);
    flush(r);
    send_all(r, value.data, value.len);
}

/* As an item: whole, or only the head of one that follows. */
static void write_value(struct rv_buf *b, struct rv_slice value, struct rv_slice refs)
{
    rv_item_write(b, &(struct rv_item){.place = rv_task_place(value.len),
                                       .len = (uint32_t)value.len,
                                       .bytes = value,
                                       .refs = refs});
}

static void add_large(struct runner *r, uint64_t index, struct rv_slice value)
{
    struct rv_buf items = {0};
    struct rv_task_done done = {.first = index};

    close_open(r);
    done.ns = count_time(r, 1);
    write_value(&items, value, rv_slice(NULL, 0));
    done.items = (struct rv_items){1, rv_buf_slice(&items)};
    rv_task_done_encode(new_frame(r), &done);
    rv_buf_free(&items);
    send_large(r, RV_TASK_done, value);
}

/* The common case: behind the last one in the open frame. */
static void add_value(struct runner *r, uint64_t index, struct rv_slice value)
{
    uint8_t *at = NULL;

    if (value.len > RV_LIMIT_ITEM_INLINE_BYTES) {
        add_large(r, index, value);
        return;
    }
    if (r->page->open_count == 0) {
        begin_batch(r);
        r->page->open_first = index;
        r->open_end = r->page->closed + RV_TASK_DONE_HEAD;
    }
    at = r->area + r->open_end;
    rv_set_number(at, value.len, 4); /* the head of an inline item is its length */
    memcpy(at + 4, value.data, value.len);
    r->open_end += 4 + value.len;
    /* Last: an item that is counted is whole. */
    atomic_store_explicit(&r->page->open_count, r->page->open_count + 1, memory_order_release);
    flush_if_due(r);
}

struct outcome {
    enum rv_ran status;
    struct rv_slice text;
    struct rv_slice value; /* len 0: none */
    struct rv_slice refs;  /* objects that it refers to, which are pledged */
};

static void add_item(struct runner *r, const struct outcome *o, bool waits)
{
    struct rv_buf items = {0};
    struct rv_task_item item = {
        .index = r->task.index,
        .status = (uint8_t)o->status,
        .waits = waits,
        .code = r->task.code,
        .text = o->text,
    };

    close_open(r);
    item.ns = count_time(r, 1);
    if (o->value.len > 0) {
        write_value(&items, o->value, o->refs);
        item.items = (struct rv_items){1, rv_buf_slice(&items)};
    }
    rv_task_item_encode(new_frame(r), &item);
    rv_buf_free(&items);
    if (o->value.len > RV_LIMIT_ITEM_INLINE_BYTES)
        send_large(r, RV_TASK_item, o->value);
    else
        add_frame(r, RV_TASK_item);
    flush_if_due(r);
}

/* ---- output ---- */

static bool pipe_holds_something(const struct runner *r)
{
    int bytes = 0;

    return ioctl(r->output, FIONREAD, &bytes) == 0 && bytes > 0;
}

static bool agent_has_read(const struct runner *r)
{
    return atomic_load_explicit(&r->page->drained, memory_order_acquire) != r->drained;
}

/* Has the item printed? Text of stdio is found at once, and so is what the agent has read
 * already. What lies in the pipe costs a system call: after a tiny item it is looked for now
 * and then, and may then be told with a later one of the same batch. */
static bool printed(struct runner *r)
{
    bool found = false;

    if (r->output < 0)
        return false;
    if (__fpending(stdout) > 0) {
        fflush(stdout);
        found = true;
    }
    found = found || agent_has_read(r);
    if (!found && r->careful == 0 && !r->last && ++r->look < r->look_each)
        return false;
    r->look = 0;
    /* In this order: what is no more in the pipe was counted before it was taken out. */
    found = found || pipe_holds_something(r) || agent_has_read(r);
    if (found)
        r->careful = CAREFUL_ITEMS;
    else if (r->careful > 0)
        r->careful--;
    return found;
}

/* The agent reads the pipe until it is empty, so that what it found belongs to this item. */
static void wait_for_agent(struct runner *r, uint32_t went)
{
    flush(r);
    while (!r->gone && atomic_load(&r->page->went) == went)
        syscall(SYS_futex, &r->page->went, FUTEX_WAIT, went, NULL, NULL, 0);
    r->drained = atomic_load(&r->page->drained);
    r->counted_at = exact_clock();
}

/* ---- items ---- */

static struct rv_slice text_of(const struct runner *r, const char *otherwise)
{
    if (r->task.text_len > 0)
        return rv_slice(r->task.text, r->task.text_len);
    return rv_slice_str(otherwise);
}

/* What nobody keeps cannot be referred to. */
static void keep_refs(struct runner *r, struct outcome *o, uint32_t store)
{
    char why[300];

    if (o->refs.len == 0 || o->value.len > RV_LIMIT_ITEM_BYTES ||
        rv_pledge(&r->task, o->refs, store, why, sizeof why) == REEVE_OK)
        return;
    if (r->task.text_len == 0)
        (void)reeve_task_fail(&r->task, "%s", why);
    *o = (struct outcome){.status = RV_RAN_FAILED, .text = text_of(r, "")};
}

static void finish(struct runner *r, struct outcome *o, bool alone)
{
    bool waits = false;
    uint32_t went = 0;

    if (o->value.len > RV_LIMIT_ITEM_BYTES) {
        (void)reeve_task_fail_code(&r->task, 0, "the value has %zu bytes, and %d may have",
                                   o->value.len, RV_LIMIT_ITEM_BYTES);
        *o = (struct outcome){.status = RV_RAN_TOOBIG, .text = text_of(r, "")};
    }
    waits = printed(r);
    if (!alone && !waits && o->status == RV_RAN_OK && o->refs.len == 0) {
        add_value(r, r->task.index, o->value);
        return;
    }
    went = atomic_load(&r->page->went);
    add_item(r, o, waits);
    if (waits)
        wait_for_agent(r, went);
}

static void run_item(struct runner *r, const reeve_fn *fn, struct rv_slice bytes, bool alone)
{
    const reeve_value *in = NULL;
    struct outcome o = {.status = RV_RAN_OK};
    uint32_t store = 0;
    reeve_err whole = REEVE_OK;
    reeve_err err = rv_value_parse_in(&in, &r->room, bytes);

    rv_builder_reset(r->out);
    r->task.text_len = 0;
    r->task.code = 0;
    rv_buf_clear(&r->task.pledged);
    if (err != REEVE_OK) {
        o = (struct outcome){.status = RV_RAN_FAILED,
                             .text = rv_slice_str(err == REEVE_EPROTO ? "the item is not a value"
                                                                      : "out of memory")};
        finish(r, &o, true);
        return;
    }
    err = fn->function(&r->task, in, r->out);
    if (rv_builder_empty(r->out) && err == REEVE_OK)
        (void)rv_builder_put(r->out, rv_value_object(NULL));
    whole = rv_builder_item(r->out, &o.value, &o.refs, &store); /* a failure keeps its value */
    err = err == REEVE_OK ? whole : err;
    if (err == REEVE_EINVAL && r->task.text_len == 0)
        (void)reeve_task_fail(&r->task, "the function put no single whole value");
    if (err != REEVE_OK)
        o.status = RV_RAN_FAILED;
    if (err != REEVE_OK)
        o.text = text_of(r, reeve_strerror(err));
    keep_refs(r, &o, store);
    finish(r, &o, alone);
}

/* Bytes of an item that follows the frame; NULL when the agent has gone or there is no memory. */
static const uint8_t *take_body(struct runner *r, size_t len)
{
    if (len > r->body_cap || r->body_cap > BODY_KEPT_BYTES) {
        free(r->body);
        r->body = malloc(len);
        r->body_cap = r->body == NULL ? 0 : len;
    }
    return r->body != NULL && take(&r->in, r->body, len) ? r->body : NULL;
}

static void skip_bodies(struct runner *r, struct rv_reader *items)
{
    struct rv_item item;

    while (!r->gone && items->left > 0) {
        rv_item_read(items, &item);
        if (items->bad || (item.place != RV_INLINE && take_body(r, item.len) == NULL))
            r->gone = true;
    }
}

static void end_chunk(struct runner *r, uint64_t end)
{
    rv_task_end_encode(new_frame(r), &(struct rv_task_end){.end = end});
    add_frame(r, RV_TASK_end);
    flush(r);
}

static void run_chunk(struct runner *r, const struct rv_task_run *run)
{
    const reeve_fn *fn = rv_task_function(run->function);
    struct rv_reader items = rv_reader(run->items);
    uint64_t index = run->first;
    struct rv_item item;

    r->task.job = run->job;
    r->task.run = run->run;
    r->counted_at = exact_clock();
    for (; index < run->first + run->count && !r->gone; index++) {
        atomic_store(&r->page->started, index);
        if (atomic_load(&r->page->limit) <= index)
            break;
        r->now = coarse_clock();
        atomic_store_explicit(&r->page->started_at, r->now, memory_order_relaxed);
        r->task.index = index;
        r->last = index + 1 == run->first + run->count;
        rv_item_read(&items, &item);
        if (item.place != RV_INLINE)
            item.bytes = rv_slice(take_body(r, item.len), item.len);
        if (items.bad || item.bytes.data == NULL) {
            r->gone = true;
        } else if (fn == NULL) {
            struct outcome o = {.status = RV_RAN_NEVER};

            (void)reeve_task_fail(&r->task, "the program has no function %.*s",
                                  (int)run->function.len, (const char *)run->function.data);
            o.text = text_of(r, "");
            finish(r, &o, true);
        } else {
            run_item(r, fn, item.bytes, run->detail);
        }
    }
    atomic_store(&r->page->started, RV_TASK_NONE);
    skip_bodies(r, &items);
    if (!r->gone)
        end_chunk(r, index);
}

/* ---- life ---- */

/* Take the next frame; its bytes stay until the next one is taken. */
static bool next_frame(struct runner *r, enum rv_task_type *type, struct rv_slice *fields)
{
    const uint8_t *head = need(&r->in, RV_TASK_HEAD);
    size_t len = 0;

    if (head == NULL)
        return false;
    len = (size_t)rv_get_number(head, 4);
    *type = (enum rv_task_type)head[4];
    if (len > RV_TASK_FRAME_MAX)
        return false;
    head = need(&r->in, RV_TASK_HEAD + len);
    if (head == NULL)
        return false;
    *fields = rv_slice(head + RV_TASK_HEAD, len);
    r->in.at += RV_TASK_HEAD + len;
    return true;
}

static bool refuse(struct runner *r, struct rv_slice text)
{
    rv_task_refuse_encode(new_frame(r), &(struct rv_task_refuse){.text = text});
    add_frame(r, RV_TASK_refuse);
    flush(r);
    return false;
}

static bool initialize(struct runner *r, const struct rv_task_init *init)
{
    const reeve_init *fn = NULL;
    const reeve_value *arg = NULL;
    reeve_err err = REEVE_OK;

    if (init->name.len == 0)
        return true;
    fn = rv_task_initializer(init->name);
    if (fn == NULL) {
        (void)reeve_task_fail(NULL, "the program has no initializer %.*s", (int)init->name.len,
                              (const char *)init->name.data);
        return refuse(r, rv_task_words());
    }
    if (init->arg.len > 0)
        err = rv_value_parse_in(&arg, &r->room, init->arg);
    if (err != REEVE_OK)
        return refuse(r, rv_slice_str("the initializer's argument is not a value"));
    err = fn->function(arg);
    if (err == REEVE_OK)
        return true;
    return refuse(r, rv_task_words().len > 0 ? rv_task_words() : rv_slice_str(reeve_strerror(err)));
}

static bool begin(struct runner *r)
{
    enum rv_task_type type = RV_TASK_init;
    struct rv_slice fields;
    struct rv_task_init init;

    if (!next_frame(r, &type, &fields) || type != RV_TASK_init ||
        !rv_task_init_decode(&init, fields) || !initialize(r, &init))
        return false;
    (void)new_frame(r);
    add_frame(r, RV_TASK_ready);
    flush(r);
    return true;
}

static bool serve(struct runner *r)
{
    enum rv_task_type type = RV_TASK_run;
    struct rv_slice fields;
    struct rv_task_run run;

    if (!begin(r))
        return false;
    while (!r->gone && next_frame(r, &type, &fields)) {
        if (type != RV_TASK_run || !rv_task_run_decode(&run, fields))
            return false;
        run_chunk(r, &run);
    }
    return true;
}

bool rv_runner_run(const struct rv_runner_conf *conf)
{
    struct runner *r = calloc(1, sizeof *r);
    bool well = false;

    if (r == NULL)
        return false;
    *r = (struct runner){
        .in = {.fd = conf->fd, .data = malloc(INPUT_BYTES), .cap = INPUT_BYTES},
        .output = conf->output,
        .page = conf->page,
        .area = rv_task_area(conf->page),
        .look_each = 1,
        .careful = CAREFUL_ITEMS,
        .out = rv_builder_new(),
    };
    if (conf->output >= 0)
        setvbuf(stdout, NULL, _IOLBF, 0); /* what was printed is seen when the task is killed */
    if (r->in.data != NULL && r->out != NULL)
        well = serve(r);
    rv_builder_free(&r->out);
    rv_value_room_free(&r->room);
    rv_buf_free(&r->frame);
    rv_buf_free(&r->task.pledged);
    free(r->in.data);
    free(r->body);
    free(r);
    return well;
}
