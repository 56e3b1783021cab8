/* runner_io.c -- the socket and the pipe of a runner. What comes out of them is somebody's
 * program speaking: it is checked before the core hears it. */

#include "worker/runners_state.h"

#include <errno.h>
#include <linux/futex.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum { READ_BYTES = 256 * 1024, DRAIN_BYTES = 64 * 1024, PARTS_MAX = 64 };

/* ---- to the runner ---- */

static void want_room(struct runners *r, struct runner_slot *s, bool wanted)
{
    (void)runners_poll(r, s->fd, FD_SOCKET, s->number, EPOLLIN | (wanted ? EPOLLOUT : 0),
                       EPOLL_CTL_MOD);
}

void slot_send(struct runners *r, struct runner_slot *s, const struct rv_slice *parts, size_t len)
{
    struct iovec iov[PARTS_MAX];
    struct msghdr msg = {.msg_iov = iov};
    ssize_t sent = 0;
    bool waited = s->out.len > 0;

    while (!waited && msg.msg_iovlen < len && msg.msg_iovlen < PARTS_MAX) {
        struct rv_slice part = parts[msg.msg_iovlen];

        iov[msg.msg_iovlen++] =
            (struct iovec){.iov_base = (void *)(uintptr_t)part.data, .iov_len = part.len};
    }
    if (!waited)
        sent = sendmsg(s->fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
    /* A runner that is gone is noticed by its end. */
    sent = sent < 0 ? 0 : sent;
    for (size_t i = 0; i < len; i++) {
        size_t skip = (size_t)sent < parts[i].len ? (size_t)sent : parts[i].len;

        sent -= (ssize_t)skip;
        rv_buf_add(&s->out, parts[i].data + skip, parts[i].len - skip);
    }
    rv_assert(!s->out.bad);
    if (!waited && s->out.len > 0)
        want_room(r, s, true);
}

void slot_flush(struct runners *r, struct runner_slot *s)
{
    while (s->out.len > 0) {
        ssize_t sent = send(s->fd, s->out.data, s->out.len, MSG_DONTWAIT | MSG_NOSIGNAL);

        if (sent < 0 && errno == EINTR)
            continue;
        if (sent < 0 && errno != EAGAIN)
            rv_buf_clear(&s->out);
        if (sent <= 0)
            break;
        rv_buf_drop(&s->out, (size_t)sent);
    }
    if (s->out.len == 0)
        want_room(r, s, false);
}

/* ---- the pipe ---- */

static void keep_printed(struct runner_slot *s, const uint8_t *bytes, size_t len)
{
    rv_buf_add(&s->printed, bytes, len);
    rv_assert(!s->printed.bad);
    if (s->printed.len > 2 * RV_LIMIT_OUTPUT_BYTES)
        rv_buf_drop(&s->printed, s->printed.len - RV_LIMIT_OUTPUT_BYTES);
}

/* So much as lies there now: whoever prints on and on does not hold us. It is counted before it is
 * taken, so that a runner which finds the pipe empty sees that it was not. */
void slot_drain(struct runner_slot *s)
{
    uint8_t bytes[DRAIN_BYTES];
    int left = 0;

    if (s->output < 0 || ioctl(s->output, FIONREAD, &left) != 0 || left <= 0)
        return;
    atomic_fetch_add(&s->page->drained, (uint64_t)left);
    while (left > 0) {
        size_t room = (size_t)left < sizeof bytes ? (size_t)left : sizeof bytes;
        ssize_t len = read(s->output, bytes, room);

        if (len <= 0)
            return;
        keep_printed(s, bytes, (size_t)len);
        left -= (int)len;
    }
}

struct rv_slice slot_output(const struct runner_slot *s)
{
    size_t skip =
        s->printed.len > RV_LIMIT_OUTPUT_BYTES ? s->printed.len - RV_LIMIT_OUTPUT_BYTES : 0;

    return rv_slice(s->printed.data + skip, s->printed.len - skip);
}

void slot_forget_output(struct runner_slot *s)
{
    rv_buf_clear(&s->printed);
}

static void let_go_on(struct runner_slot *s)
{
    atomic_fetch_add(&s->page->went, 1);
    syscall(SYS_futex, &s->page->went, FUTEX_WAKE, 1, NULL, NULL, 0);
}

/* ---- frames ---- */

static void broken(struct runner_slot *s)
{
    s->broken = true;
    rv_buf_clear(&s->in);
    rv_body_drop(s->body);
    s->body = NULL;
}

/* Frames that were in the area when the runner ended may have been heard already. */
static bool old(const struct runner_slot *s, uint64_t index, bool again)
{
    return again && index < s->next;
}

static void on_done(struct runners *r, rv_ns now, struct runner_slot *s, struct rv_slice fields,
                    struct rv_body *body, bool again)
{
    struct rv_task_done done;

    if (!rv_task_done_decode(&done, fields) || s->state != RUNNER_BUSY) {
        broken(s);
        return;
    }
    if (old(s, done.first, again))
        return;
    if (done.first != s->next || done.items.count == 0 || done.items.count > s->end - s->next) {
        broken(s);
        return;
    }
    s->next += done.items.count;
    agent_on_done(r->agent, now, s->number, done.first, done.ns, &done.items, &body, body != NULL);
}

static void on_item(struct runners *r, rv_ns now, struct runner_slot *s, struct rv_slice fields,
                    struct rv_body *body, bool again)
{
    struct rv_task_item item;
    struct agent_told told;

    if (!rv_task_item_decode(&item, fields) || s->state != RUNNER_BUSY) {
        broken(s);
        return;
    }
    if (old(s, item.index, again))
        return;
    if (item.index != s->next || item.index >= s->end || item.items.count > 1 ||
        item.status > RV_RAN_NEVER) {
        broken(s);
        return;
    }
    /* Else what lies in the pipe was printed by a later item. */
    if (item.waits)
        slot_drain(s);
    told = (struct agent_told){
        .index = item.index,
        .status = item.status,
        .ns = item.ns,
        .code = item.code,
        .text = item.text,
        .output = item.waits ? slot_output(s) : rv_slice(NULL, 0),
        .items = item.items,
        .body = body,
    };
    s->next++;
    agent_on_item(r->agent, now, s->number, &told);
    if (item.waits) {
        slot_forget_output(s);
        let_go_on(s);
    }
}

static void on_end(struct runners *r, rv_ns now, struct runner_slot *s, struct rv_slice fields)
{
    struct rv_task_end end;

    if (!rv_task_end_decode(&end, fields) || s->state != RUNNER_BUSY || end.end != s->next) {
        broken(s);
        return;
    }
    s->state = RUNNER_IDLE;
    agent_on_end(r->agent, now, s->number, end.end);
}

static void on_ready(struct runners *r, rv_ns now, struct runner_slot *s)
{
    if (s->state != RUNNER_STARTING) {
        broken(s);
        return;
    }
    s->state = RUNNER_IDLE;
    slot_drain(s);
    slot_forget_output(s); /* what the initializer printed belongs to no item */
    agent_on_ready(r->agent, now, s->number, (uint32_t)s->pid);
}

static void on_refuse(struct runner_slot *s, struct rv_slice fields)
{
    struct rv_task_refuse refuse;

    if (!rv_task_refuse_decode(&refuse, fields) || s->state != RUNNER_STARTING) {
        broken(s);
        return;
    }
    snprintf(s->why, sizeof s->why, "%.*s", (int)refuse.text.len, (const char *)refuse.text.data);
}

static void on_frame(struct runners *r, rv_ns now, struct runner_slot *s, uint8_t type,
                     struct rv_slice fields, struct rv_body *body, bool again)
{
    if (r->agent == NULL)
        return;
    switch ((enum rv_task_type)type) {
    case RV_TASK_ready:
        on_ready(r, now, s);
        break;
    case RV_TASK_refuse:
        on_refuse(s, fields);
        break;
    case RV_TASK_done:
        on_done(r, now, s, fields, body, again);
        break;
    case RV_TASK_item:
        on_item(r, now, s, fields, body, again);
        break;
    case RV_TASK_end:
        on_end(r, now, s, fields);
        break;
    default:
        broken(s);
        break;
    }
}

/* Of a frame that is whole, the length of the one body that follows it; 0: none. */
static bool body_of(uint8_t type, struct rv_slice fields, size_t *len)
{
    struct rv_task_done done;
    struct rv_task_item item;
    struct rv_items items = {0};

    *len = 0;
    if (type == RV_TASK_done && rv_task_done_decode(&done, fields))
        items = done.items;
    else if (type == RV_TASK_item && rv_task_item_decode(&item, fields))
        items = item.items;
    /* The common case, without a look at each item. */
    if (items.count != 1)
        return true;
    return rv_task_bodies(&items, len) && *len <= RV_LIMIT_ITEM_BYTES;
}

/* Take the next whole frame off the bytes; false when there is none. */
static bool split(struct runner_slot *s, const uint8_t *bytes, size_t len, uint8_t *type,
                  struct rv_slice *fields)
{
    size_t want = 0;

    if (len < RV_TASK_HEAD)
        return false;
    want = (size_t)rv_get_number(bytes, 4);
    *type = bytes[4];
    if (want > RV_TASK_FRAME_MAX) {
        broken(s);
        return false;
    }
    if (len < RV_TASK_HEAD + want)
        return false;
    *fields = rv_slice(bytes + RV_TASK_HEAD, want);
    return true;
}

/* The frame's body comes next: keep the frame until it is whole. */
static void await_body(struct runner_slot *s, const uint8_t *frame, size_t frame_len, size_t len)
{
    rv_buf_clear(&s->held);
    rv_buf_add(&s->held, frame, frame_len);
    s->body = rv_body_new(len);
    rv_assert(!s->held.bad && s->body != NULL);
    s->body_at = 0;
}

static void body_whole(struct runners *r, rv_ns now, struct runner_slot *s)
{
    struct rv_body *body = s->body;
    struct rv_slice held = rv_buf_slice(&s->held);

    if (body == NULL || s->body_at < body->len)
        return;
    s->body = NULL;
    on_frame(r, now, s, held.data[4], rv_slice(held.data + RV_TASK_HEAD, held.len - RV_TASK_HEAD),
             body, false);
    rv_body_drop(body);
}

/* Use what lies in s->in. A frame that makes the core give more work changes only s->out. */
static void use_input(struct runners *r, rv_ns now, struct runner_slot *s)
{
    size_t at = 0;
    uint8_t type = 0;
    struct rv_slice fields;

    while (!s->broken && s->in.len > at) {
        size_t body = 0;

        if (s->body != NULL) {
            size_t len = s->body->len - s->body_at;

            len = len < s->in.len - at ? len : s->in.len - at;
            memcpy(s->body->data + s->body_at, s->in.data + at, len);
            s->body_at += len;
            at += len;
            body_whole(r, now, s);
            continue;
        }
        if (!split(s, s->in.data + at, s->in.len - at, &type, &fields))
            break;
        if (!body_of(type, fields, &body))
            broken(s);
        else if (body > 0)
            await_body(s, s->in.data + at, RV_TASK_HEAD + fields.len, body);
        else
            on_frame(r, now, s, type, fields, NULL, false);
        at += RV_TASK_HEAD + fields.len;
    }
    if (!s->broken)
        rv_buf_drop(&s->in, at);
}

/* Straight into the body that is coming, else into s->in. */
static ssize_t receive(struct runner_slot *s)
{
    ssize_t len = 0;
    uint8_t *room = NULL;

    if (s->body != NULL && s->in.len == 0) {
        len = recv(s->fd, s->body->data + s->body_at, s->body->len - s->body_at, MSG_DONTWAIT);
        s->body_at += len > 0 ? (size_t)len : 0;
        return len;
    }
    room = rv_buf_room(&s->in, READ_BYTES);
    rv_assert(room != NULL);
    len = recv(s->fd, room, READ_BYTES, MSG_DONTWAIT);
    s->in.len += len > 0 ? (size_t)len : 0;
    return len;
}

bool slot_hear(struct runners *r, rv_ns now, struct runner_slot *s, size_t budget)
{
    uint64_t serial = s->serial;
    bool all = budget == SIZE_MAX;

    while (!s->broken && s->serial == serial && s->fd >= 0 && budget > 0) {
        ssize_t len = receive(s);

        if (len < 0 && errno == EINTR)
            continue;
        if (len < 0 && errno == EAGAIN)
            return true;
        if (len <= 0)
            return false;
        if (!all)
            budget -= (size_t)len < budget ? (size_t)len : budget;
        if (s->body != NULL && s->in.len == 0)
            body_whole(r, now, s);
        use_input(r, now, s);
        if (len < READ_BYTES && !all)
            return true; /* the descriptor tells of more */
    }
    return true;
}

/* ---- after its end ---- */

/* Bytes of so many whole items, from bytes that end anywhere. */
static size_t whole_items(const uint8_t *bytes, size_t len, uint32_t *count)
{
    struct rv_reader r = rv_reader(rv_slice(bytes, len));
    uint32_t n = 0;
    size_t used = 0;

    while (n < *count) {
        struct rv_item item;

        rv_item_read(&r, &item);
        if (r.bad || item.place != RV_INLINE)
            break;
        used = len - r.left;
        n++;
    }
    *count = n;
    return used;
}

/* Nobody writes the area any more, but what stands in it is still somebody's. */
void slot_recover(struct runners *r, rv_ns now, struct runner_slot *s)
{
    const uint8_t *area = rv_task_area(s->page);
    uint32_t closed = s->page->closed;
    uint32_t count = s->page->open_count;
    uint64_t first = s->page->open_first;
    uint8_t type = 0;
    struct rv_slice fields;
    size_t at = 0;

    if (closed > RV_TASK_AREA_BYTES || count > RV_LIMIT_PUT_ITEMS || r->agent == NULL)
        return;
    s->broken = false;
    while (!s->broken && s->state == RUNNER_BUSY &&
           split(s, area + at, closed - at, &type, &fields)) {
        size_t body = 0;

        at += RV_TASK_HEAD + fields.len;
        if (!body_of(type, fields, &body) || body > 0)
            return;
        if (type == RV_TASK_done || type == RV_TASK_item)
            on_frame(r, now, s, type, fields, NULL, true);
    }
    if (count > 0 && !s->broken && s->state == RUNNER_BUSY && first == s->next &&
        closed + RV_TASK_DONE_HEAD <= RV_TASK_AREA_BYTES) {
        const uint8_t *items = area + closed + RV_TASK_DONE_HEAD;
        size_t len = whole_items(items, RV_TASK_AREA_BYTES - closed - RV_TASK_DONE_HEAD, &count);

        if (count == 0 || count > s->end - s->next)
            return;
        s->next += count;
        agent_on_done(r->agent, now, s->number, first, 0,
                      &(struct rv_items){count, rv_slice(items, len)}, NULL, 0);
    }
}
