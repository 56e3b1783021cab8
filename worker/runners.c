/* runners.c -- slots, and the runners in them. */

#include "common/net/net.h"
#include "common/proc/proc.h"
#include "worker/elf_check.h"
#include "worker/runners_state.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <reeve/task.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    GO_MS = 2000,         /* an idle runner that was asked to go is killed then */
    BUDGET = 1024 * 1024, /* of one runner, before others are heard */
    NUMBER_BITS = 32,
};

void runners_line(struct runners *r, int level, const char *format, ...)
{
    char line[1024];
    va_list args;

    if (r->conf.sink.line == NULL)
        return;
    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    r->conf.sink.line(r->conf.sink.arg, level, line);
}

bool runners_poll(struct runners *r, int fd, enum runners_fd kind, uint32_t number, uint32_t events,
                  int op)
{
    struct epoll_event event = {.events = events,
                                .data.u64 = RUNNERS_EVENT | (uint64_t)kind << NUMBER_BITS | number};

    return epoll_ctl(r->conf.epoll_fd, op, fd, &event) == 0;
}

struct runner_slot *slot_of_serial(struct runners *r, uint64_t serial)
{
    for (uint32_t i = 0; i < r->conf.slots; i++)
        if (r->slots[i].state != RUNNER_EMPTY && r->slots[i].serial == serial)
            return &r->slots[i];
    return NULL;
}

/* ---- the life of a runner ---- */

static void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

static void clear(struct runner_slot *s)
{
    close_fd(&s->fd);
    close_fd(&s->output);
    close_fd(&s->pidfd);
    if (s->page != NULL)
        munmap(s->page, RV_TASK_MAP_BYTES);
    rv_buf_free(&s->in);
    rv_buf_free(&s->out);
    rv_buf_free(&s->held);
    rv_buf_free(&s->printed);
    rv_body_drop(s->body);
    *s = (struct runner_slot){.number = s->number,
                              .fd = -1,
                              .output = -1,
                              .pidfd = -1,
                              .kill_at = RV_NEVER,
                              .report_at = RV_NEVER};
}

void slot_forked(struct runners *r, rv_ns now, struct runner_slot *s, pid_t pid, int pidfd)
{
    struct rv_buf frame = {0};
    static const uint8_t head[RV_TASK_HEAD];

    (void)now;
    s->pid = pid;
    s->pidfd = pidfd;
    s->state = RUNNER_STARTING;
    if (s->stopping) {
        (void)rv_pidfd_kill(s->pidfd, SIGKILL);
        return;
    }
    rv_buf_add(&frame, head, sizeof head);
    rv_task_init_encode(&frame, &(struct rv_task_init){.name = s->zygote->env->initializer,
                                                       .arg = s->zygote->env->initarg});
    rv_assert(!frame.bad);
    rv_task_close(frame.data, frame.len, RV_TASK_init);
    slot_send(r, s, &(struct rv_slice){frame.data, frame.len}, 1);
    rv_buf_free(&frame);
}

/* "SIGSEGV in square+0x41 (address 0x0)", from what its handler left in the page. */
static void crash_text(const struct runner_slot *s, int signal, char *out, size_t len)
{
    struct rv_task_page *page = s->page;
    char path[RV_TASK_PATH_BYTES];
    char name[128];
    char function[200];
    uint64_t plus = 0;
    size_t used = 0;

    rv_signal_name(signal, name, sizeof name);
    used = (size_t)snprintf(out, len, "%s", name);
    if (page->signal != (uint32_t)signal || signal == SIGABRT || used >= len)
        return; /* abort() is called by what has told why */
    memcpy(path, page->path, sizeof path);
    path[sizeof path - 1] = '\0';
    if (path[0] != '\0' && elf_symbol(path, page->offset, function, sizeof function, &plus))
        used += (size_t)snprintf(out + used, len - used, " in %s+0x%llx", function,
                                 (unsigned long long)plus);
    else if (path[0] != '\0')
        used += (size_t)snprintf(out + used, len - used, " in %s+0x%llx", strrchr(path, '/') + 1,
                                 (unsigned long long)page->offset);
    else
        used +=
            (size_t)snprintf(out + used, len - used, " at 0x%llx", (unsigned long long)page->pc);
    if (used < len)
        (void)snprintf(out + used, len - used, " (address 0x%llx)",
                       (unsigned long long)page->address);
}

/* The item that it was in; none when it had answered it, or was kept from beginning it. */
static uint64_t blamed(const struct runner_slot *s)
{
    uint64_t started = atomic_load(&s->page->started);

    if (s->state != RUNNER_BUSY || started < s->next || started >= s->end || started >= s->limit)
        return RV_TASK_NONE;
    return started;
}

static void tell_end(struct runners *r, rv_ns now, uint32_t slot, uint64_t started, bool init,
                     const struct agent_told *told)
{
    if (r->agent != NULL)
        agent_on_ended(r->agent, now, slot, started, init, told);
}

void slot_ended(struct runners *r, rv_ns now, struct runner_slot *s, int status)
{
    struct agent_told told = {.status = RV_RAN_CRASHED};
    bool unready = s->state == RUNNER_STARTING && !s->stopping;
    bool init = unready && !WIFSIGNALED(status); /* a signal can come from anywhere */
    struct rv_buf output = {0};
    char how[700];
    char text[800];
    uint64_t started = RV_TASK_NONE;
    bool told_why = false;

    (void)slot_hear(r, now, s, SIZE_MAX);
    told_why = s->broken || (unready && s->why[0] != '\0');
    if (s->broken)
        snprintf(s->why, sizeof s->why, "the runner was killed: it wrote into its own socket");
    slot_recover(r, now, s);
    slot_drain(s);
    started = blamed(s);
    rv_buf_add(&output, slot_output(s).data, slot_output(s).len);
    if (WIFSIGNALED(status)) {
        crash_text(s, WTERMSIG(status), how, sizeof how);
        told.code = -WTERMSIG(status);
    } else {
        rv_proc_status_text(status, how, sizeof how);
        told.status = RV_RAN_EXITED;
        told.code = WEXITSTATUS(status);
    }
    if (told_why)
        snprintf(text, sizeof text, "%s", s->why);
    else
        snprintf(text, sizeof text, "%s%s", unready ? "a runner ended before it was ready: " : "",
                 how);
    if (unready && told_why) {
        init = true;
        told.status = RV_RAN_NEVER;
    }
    told.text = rv_slice_str(text);
    told.output = rv_buf_slice(&output);
    runners_line(r, s->stopping ? RV_DEBUG : RV_INFO, "runner.end slot=%u pid=%d how=\"%s\"",
                 s->number, (int)s->pid, text);
    clear(s);
    tell_end(r, now, s->number, started, init, &told);
    rv_buf_free(&output);
}

void slot_failed(struct runners *r, rv_ns now, struct runner_slot *s, const char *why)
{
    char words[sizeof s->why];

    snprintf(words, sizeof words, "%s", why);
    memcpy(s->why, words, sizeof words);
    runners_line(r, RV_WARN, "runner.failed slot=%u why=\"%s\"", s->number, s->why);
    s->report_at = now;
}

/* ---- effects ---- */

static struct zygote *zygote_of(struct runners *r, uint64_t env)
{
    for (size_t i = 0; i < r->zygotes_len; i++)
        if (r->zygotes[i] != NULL && r->zygotes[i]->env->id == env)
            return r->zygotes[i];
    return NULL;
}

void runners_load(struct runners *r, rv_ns now, const struct agent_env *env, const char *path,
                  bool own_libs)
{
    struct zygote *z = rv_alloc(sizeof *z);
    size_t at = 0;

    while (at < r->zygotes_len && r->zygotes[at] != NULL)
        at++;
    if (at == r->zygotes_len) {
        r->zygotes = rv_realloc(r->zygotes, (at + 1) * sizeof(struct zygote *));
        r->zygotes_len++;
    }
    r->zygotes[at] = z;
    *z = (struct zygote){.env = env,
                         .number = (uint32_t)at,
                         .state = ZYGOTE_GONE,
                         .own_libs = own_libs,
                         .fd = -1,
                         .output = -1,
                         .deadline = RV_NEVER};
    if (env->kind == RV_CODE_MODULE)
        z->module = strdup(path);
    else if (path != NULL)
        z->path = strdup(path);
    zygote_want(r, now, z);
}

void runners_cannot(struct runners *r, uint64_t env, const char *why, bool again)
{
    struct cannot *c = rv_alloc(sizeof *c);

    *c = (struct cannot){.env = env, .why = strdup(why), .again = again, .next = r->cannots};
    rv_assert(c->why != NULL);
    r->cannots = c;
}

static void drop_zygote(struct runners *r, rv_ns now, struct zygote *z)
{
    z->loaded = true; /* nobody is told any more */
    if (z->state != ZYGOTE_GONE)
        zygote_end(r, now, z, "it is not needed any more", false);
    r->zygotes[z->number] = NULL;
    rv_buf_free(&z->said);
    free(z->path);
    free(z->module);
    free(z);
}

void runners_unload(struct runners *r, uint64_t env)
{
    struct zygote *z = zygote_of(r, env);

    if (z != NULL)
        drop_zygote(r, rv_clock_now(), z);
}

void runners_start(struct runners *r, rv_ns now, uint32_t slot, const struct agent_env *env)
{
    struct runner_slot *s = &r->slots[slot];
    struct zygote *z = zygote_of(r, env->id);

    rv_assert(s->state == RUNNER_EMPTY && z != NULL);
    s->state = RUNNER_WAITING;
    s->serial = ++r->last_serial;
    s->zygote = z;
    zygote_want(r, now, z);
    if (z->state == ZYGOTE_UP && !zygote_ask(r, z, s))
        slot_failed(r, now, s, s->why);
}

void runners_give(struct runners *r, uint32_t slot, const struct agent_work *work)
{
    struct runner_slot *s = &r->slots[slot];
    struct rv_buf frame = {0};
    static const uint8_t head[RV_TASK_HEAD];
    struct rv_slice *parts = rv_alloc((work->bodies_len + 2) * sizeof *parts);

    rv_assert(s->state == RUNNER_IDLE);
    s->state = RUNNER_BUSY;
    s->job = work->job;
    s->next = work->first;
    s->end = work->first + work->count;
    s->limit = RV_TASK_NONE;
    atomic_store(&s->page->started, RV_TASK_NONE);
    atomic_store(&s->page->limit, RV_TASK_NONE);
    rv_buf_add(&frame, head, sizeof head);
    rv_task_run_encode(&frame, &(struct rv_task_run){.job = work->job,
                                                     .chunk = work->chunk,
                                                     .first = work->first,
                                                     .count = work->count,
                                                     .run = work->run,
                                                     .detail = work->detail,
                                                     .function = work->function});
    rv_assert(!frame.bad);
    /* The items are the last field; they are sent from where they are. */
    rv_set_number(frame.data + frame.len - 4, work->items.bytes.len, 4);
    rv_task_close(frame.data, frame.len + work->items.bytes.len, RV_TASK_run);
    parts[0] = rv_buf_slice(&frame);
    parts[1] = work->items.bytes;
    for (size_t i = 0; i < work->bodies_len; i++)
        parts[i + 2] = rv_slice(work->bodies[i]->data, work->bodies[i]->len);
    slot_send(r, s, parts, work->bodies_len + 2);
    rv_buf_free(&frame);
    free(parts);
}

void runners_trim(struct runners *r, rv_ns now, uint32_t slot, uint64_t end)
{
    struct runner_slot *s = &r->slots[slot];
    uint64_t started = 0;

    if (s->state != RUNNER_BUSY || r->agent == NULL || end >= s->limit)
        return;
    s->limit = end;
    atomic_store(&s->page->limit, end);
    /* Either it sees the limit before it begins the item, or we see that it has begun. */
    started = atomic_load(&s->page->started);
    if (started == RV_TASK_NONE || started < end)
        agent_on_trimmed(r->agent, now, slot, end);
    else
        s->limit = started + 1;
}

void runners_look(struct runners *r, rv_ns now, uint32_t slot)
{
    struct runner_slot *s = &r->slots[slot];
    uint64_t started = RV_TASK_NONE;
    rv_ns at = now;

    if (r->agent == NULL || s->page == NULL)
        return;
    started = atomic_load(&s->page->started);
    at = atomic_load(&s->page->started_at);
    if (s->state != RUNNER_BUSY || started < s->next || started >= s->end)
        started = RV_TASK_NONE;
    agent_on_begun(r->agent, now, slot, started, at < now ? at : now);
}

void runners_stop(struct runners *r, rv_ns now, uint32_t slot)
{
    struct runner_slot *s = &r->slots[slot];

    (void)r;
    if (s->state == RUNNER_EMPTY || s->stopping)
        return;
    s->stopping = true;
    if (s->state == RUNNER_WAITING && !s->asked) {
        s->report_at = now;
    } else if (s->state == RUNNER_IDLE) {
        /* It leaves by exit(), so that what it has open is flushed. */
        (void)shutdown(s->fd, SHUT_WR);
        s->kill_at = rv_after_ms(now, GO_MS);
    } else if (s->pidfd >= 0) {
        (void)rv_pidfd_kill(s->pidfd, SIGKILL); /* its zygote ends the group */
    }
}

/* ---- events ---- */

static void on_socket(struct runners *r, rv_ns now, struct runner_slot *s)
{
    bool open = true;

    if (s->fd < 0)
        return;
    if (s->out.len > 0)
        slot_flush(r, s);
    open = slot_hear(r, now, s, BUDGET);
    if (s->broken && s->pidfd >= 0)
        (void)rv_pidfd_kill(s->pidfd, SIGKILL);
    /* It has hung up: it ends, or it is made to. */
    if ((!open || s->broken) && s->fd >= 0) {
        (void)epoll_ctl(r->conf.epoll_fd, EPOLL_CTL_DEL, s->fd, NULL);
        if (s->kill_at == RV_NEVER)
            s->kill_at = rv_after_ms(now, GO_MS);
    }
}

static void on_output(struct runners *r, struct runner_slot *s)
{
    struct pollfd fd = {.fd = s->output, .events = POLLIN};

    if (s->output < 0)
        return;
    slot_drain(s);
    /* All ends of it are closed: the event would come for ever. */
    if (poll(&fd, 1, 0) == 1 && (fd.revents & POLLIN) == 0)
        (void)epoll_ctl(r->conf.epoll_fd, EPOLL_CTL_DEL, s->output, NULL);
}

void runners_event(struct runners *r, rv_ns now, uint64_t data)
{
    enum runners_fd kind = (enum runners_fd)((data & ~RUNNERS_EVENT) >> NUMBER_BITS);
    uint32_t number = (uint32_t)data;
    struct zygote *z = NULL;

    if (kind == FD_ZYGOTE || kind == FD_ZYGOTE_OUTPUT)
        z = number < r->zygotes_len ? r->zygotes[number] : NULL;
    else if (number >= r->conf.slots)
        return;
    switch (kind) {
    case FD_SOCKET:
        on_socket(r, now, &r->slots[number]);
        break;
    case FD_OUTPUT:
        on_output(r, &r->slots[number]);
        break;
    case FD_ZYGOTE:
        if (z != NULL)
            zygote_hear(r, now, z);
        break;
    case FD_ZYGOTE_OUTPUT:
        if (z != NULL)
            zygote_hear_output(z);
        break;
    }
}

static struct zygote *zygote_of_pid(const struct runners *r, pid_t pid)
{
    for (size_t i = 0; i < r->zygotes_len; i++)
        if (r->zygotes[i] != NULL && r->zygotes[i]->pid == pid)
            return r->zygotes[i];
    return NULL;
}

void runners_children(struct runners *r, rv_ns now)
{
    pid_t pid = 0;

    while ((pid = rv_proc_ended()) > 0) {
        struct zygote *z = zygote_of_pid(r, pid);

        if (z != NULL)
            zygote_hear(r, now, z); /* its last words first */
        if (z != NULL && z->pid == pid)
            zygote_end(r, now, z, NULL, false);
        else if (z == NULL)
            (void)rv_proc_reap_group(pid); /* what a task had left behind, and as process 1 */
    }
}

static void tell_start_failed(struct runners *r, rv_ns now, struct runner_slot *s)
{
    char text[sizeof s->why];
    struct agent_told told = {.status = RV_RAN_NEVER};

    memcpy(text, s->why, sizeof text);
    told.text = rv_slice_str(text);
    clear(s);
    tell_end(r, now, s->number, RV_TASK_NONE, false, &told);
}

void runners_tick(struct runners *r, rv_ns now)
{
    struct cannot *cannots = r->cannots;

    r->cannots = NULL;
    while (cannots != NULL) {
        struct cannot *next = cannots->next;

        if (r->agent != NULL)
            agent_on_loaded(r->agent, now, cannots->env, cannots->why, cannots->again);
        free(cannots->why);
        free(cannots);
        cannots = next;
    }
    for (uint32_t i = 0; i < r->conf.slots; i++) {
        struct runner_slot *s = &r->slots[i];

        if (s->report_at <= now && s->state != RUNNER_EMPTY)
            tell_start_failed(r, now, s);
        if (s->kill_at <= now && s->pidfd >= 0) {
            if (s->state == RUNNER_STARTING && !s->stopping && s->why[0] == '\0')
                snprintf(s->why, sizeof s->why,
                         "the runner was killed: it closed its own socket before it was ready");
            (void)rv_pidfd_kill(s->pidfd, SIGKILL);
            s->kill_at = RV_NEVER;
        }
    }
    for (size_t i = 0; i < r->zygotes_len; i++)
        if (r->zygotes[i] != NULL)
            zygote_late(r, now, r->zygotes[i]);
}

rv_ns runners_deadline(const struct runners *r)
{
    rv_ns next = r->cannots != NULL ? 0 : RV_NEVER;

    for (uint32_t i = 0; i < r->conf.slots; i++) {
        if (r->slots[i].report_at < next)
            next = r->slots[i].report_at;
        if (r->slots[i].kill_at < next)
            next = r->slots[i].kill_at;
    }
    for (size_t i = 0; i < r->zygotes_len; i++)
        if (r->zygotes[i] != NULL && r->zygotes[i]->deadline < next)
            next = r->zygotes[i]->deadline;
    return next;
}

bool runners_at_work(const struct runners *r)
{
    bool any = false;

    for (uint32_t i = 0; i < r->conf.slots; i++)
        any = any || (r->slots[i].state != RUNNER_EMPTY && r->slots[i].state != RUNNER_IDLE);
    for (size_t i = 0; i < r->zygotes_len; i++)
        any = any || (r->zygotes[i] != NULL && r->zygotes[i]->state == ZYGOTE_STARTING);
    return any;
}

uint64_t runners_job_of(const struct runners *r, uint32_t pid)
{
    pid_t group = getpgid((pid_t)pid);

    for (uint32_t i = 0; group > 0 && i < r->conf.slots; i++) {
        const struct runner_slot *s = &r->slots[i];

        if (s->state != RUNNER_EMPTY && s->pid == group)
            return s->job != 0 || r->agent == NULL ? s->job
                                                   : agent_job_of(r->agent, s->zygote->env->id);
    }
    return 0;
}

/* ---- life ---- */

/* Where our own libreeve is; nothing when it is linked into us. */
static void find_own(struct runners *r)
{
    Dl_info info = {0};
    ssize_t len = readlink("/proc/self/exe", r->own_path, sizeof r->own_path - 1);
    char *real = NULL;
    char *slash = NULL;

    r->own_path[len < 0 ? 0 : len] = '\0';
    if (dladdr((const void *)(uintptr_t)reeve_register, &info) == 0 || info.dli_fname == NULL)
        return;
    real = realpath(info.dli_fname, NULL);
    slash = real == NULL ? NULL : strrchr(real, '/');
    if (slash != NULL && strcmp(real, r->own_path) != 0)
        snprintf(r->own_libs, sizeof r->own_libs, "%.*s", (int)(slash - real), real);
    free(real);
}

void runners_relay(struct runners *r, const char *url)
{
    r->relay = url;
}

const char *runners_own_libs(const struct runners *r)
{
    return r->own_libs[0] == '\0' ? NULL : r->own_libs;
}

struct runners *runners_new(const struct runners_conf *conf)
{
    struct runners *r = rv_alloc(sizeof *r);

    r->conf = *conf;
    r->slots = rv_alloc(conf->slots * sizeof *r->slots);
    for (uint32_t i = 0; i < conf->slots; i++) {
        r->slots[i] = (struct runner_slot){.number = i, .fd = -1, .output = -1, .pidfd = -1};
        clear(&r->slots[i]);
    }
    find_own(r);
    return r;
}

void runners_serve(struct runners *r, struct agent *agent)
{
    r->agent = agent;
    if (agent != NULL)
        return;
    for (uint32_t i = 0; i < r->conf.slots; i++)
        r->slots[i].stopping = true;
    for (size_t i = 0; i < r->zygotes_len; i++)
        if (r->zygotes[i] != NULL)
            drop_zygote(r, rv_clock_now(), r->zygotes[i]);
    for (uint32_t i = 0; i < r->conf.slots; i++)
        clear(&r->slots[i]);
    runners_tick(r, 0); /* what was to be told is told to nobody */
}

void runners_free(struct runners **runners)
{
    struct runners *r = *runners;

    if (r == NULL)
        return;
    runners_serve(r, NULL);
    free(r->zygotes);
    free(r->slots);
    free(r);
    *runners = NULL;
}
