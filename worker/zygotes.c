/* zygotes.c -- starts programs, and asks them for runners. */

#include "common/proc/proc.h"
#include "common/value/value.h"
#include "worker/runners_state.h"

#include <reeve/value.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    UP_MS = 10000,       /* from the start to reeve_main() */
    HUNG_MS = 1000,      /* from closing its socket to its end */
    SAID_BYTES = 2048,   /* of what it printed before, the last ones */
    ZYGOTE_AT = 3,       /* its socket's number there */
    STRINGS_MAX = 65536, /* arguments or variables */
};

/* ---- what a program is started with ---- */

/* Texts that end with NULL; each is ours to free. */
struct strings {
    char **list;
    size_t len, cap;
};

static void strings_add(struct strings *s, const char *text, size_t len)
{
    if (s->len + 2 > s->cap) {
        s->cap = s->cap == 0 ? 64 : 2 * s->cap;
        s->list = rv_realloc(s->list, s->cap * sizeof(char *));
    }
    s->list[s->len] = rv_alloc(len + 1);
    memcpy(s->list[s->len++], text, len);
    s->list[s->len] = NULL;
}

static void strings_free(struct strings *s)
{
    for (size_t i = 0; i < s->len; i++)
        free(s->list[i]);
    free(s->list);
    *s = (struct strings){0};
}

static size_t name_len(const char *variable)
{
    return strcspn(variable, "=");
}

/* Set NAME=VALUE, instead of an older one of that name. */
static void set_variable(struct strings *s, const char *text, size_t len)
{
    size_t name = strcspn(text, "=");

    for (size_t i = 0; i < s->len; i++) {
        if (name_len(s->list[i]) == name && memcmp(s->list[i], text, name) == 0) {
            free(s->list[i]);
            s->list[i] = s->list[--s->len];
            s->list[s->len] = NULL;
            break;
        }
    }
    strings_add(s, text, len);
}

static void set_named(struct strings *s, const char *name, const char *value)
{
    struct rv_buf text = {0};

    rv_buf_add(&text, name, strlen(name));
    rv_buf_add(&text, "=", 1);
    rv_buf_add(&text, value, strlen(value) + 1);
    rv_assert(!text.bad);
    set_variable(s, (const char *)text.data, text.len - 1);
    rv_buf_free(&text);
}

/* A value of the job as texts: an array of them, or a map of names to texts. False when it is
 * something else, or holds a NUL. */
static bool add_value(struct strings *s, struct rv_slice bytes, bool variables)
{
    reeve_value *v = NULL;
    bool well = true;

    if (bytes.len == 0)
        return true;
    if (rv_value_parse(&v, bytes) != REEVE_OK)
        return false;
    for (size_t i = 0; well && i < reeve_value_len(v) && i < STRINGS_MAX; i++) {
        const reeve_value *name = NULL;
        const reeve_value *item = reeve_value_at(v, i);
        const char *text = NULL;
        const char *key = NULL;
        size_t len = 0;
        size_t key_len = 0;
        struct rv_buf both = {0};

        if (item == NULL && reeve_value_pair(v, i, &name, &item)) {
            well = reeve_get_str(name, &key, &key_len);
            rv_buf_add(&both, key, key_len);
            rv_buf_add(&both, "=", 1);
        }
        well = well && reeve_get_str(item, &text, &len) && memchr(text, 0, len) == NULL;
        if (well)
            rv_buf_add(&both, text, len);
        rv_buf_add(&both, "", 1);
        rv_assert(!both.bad);
        if (well && variables)
            set_variable(s, (const char *)both.data, both.len - 1);
        else if (well)
            strings_add(s, (const char *)both.data, both.len - 1);
        rv_buf_free(&both);
    }
    rv_value_free(&v);
    return well;
}

/* Ours, without our key and all else that is for us alone. */
static bool make_environment(const struct runners *r, const struct zygote *z, struct strings *out)
{
    static const char *const kept[] = {"REEVE_BINDIR", "REEVE_CONFIG", "REEVE_PROGRAM"};
    char libs[8192];
    const char *path = NULL;

    for (char **v = environ; *v != NULL; v++) {
        bool ours = strncmp(*v, "REEVE_", 6) == 0 || strncmp(*v, "NOTIFY_SOCKET=", 14) == 0;

        for (size_t i = 0; i < rv_countof(kept); i++)
            ours = ours &&
                   !(name_len(*v) == strlen(kept[i]) && memcmp(*v, kept[i], strlen(kept[i])) == 0);
        if (!ours)
            strings_add(out, *v, strlen(*v));
    }
    if (!add_value(out, z->env->environment, true))
        return false;
    if (z->own_libs && r->own_libs[0] != '\0') {
        path = getenv("LD_LIBRARY_PATH");
        snprintf(libs, sizeof libs, "%s%s%s", r->own_libs, path == NULL ? "" : ":",
                 path == NULL ? "" : path);
        set_named(out, "LD_LIBRARY_PATH", libs);
    }
    set_named(out, "REEVE_URL", r->conf.url);
    set_named(out, RV_ENV_AGENT, r->conf.agent);
    set_named(out, RV_ENV_ZYGOTE, "3");
    if (r->relay != NULL)
        set_named(out, RV_ENV_RELAY, r->relay);
    if (z->module != NULL)
        set_named(out, RV_ENV_MODULE, z->module);
    return true;
}

/* ---- its start ---- */

/* Of what the system is short now, it may have more in a while. */
static bool is_shortage(int error)
{
    return error == EAGAIN || error == ENOMEM || error == EMFILE || error == ENFILE;
}

/* Without a process, why tells what is wrong; *again as in agent_on_loaded. */
static bool start_process(struct runners *r, struct zygote *z, int sockets[2], int pipes[2],
                          char *why, size_t why_len, bool *again)
{
    struct rv_proc_fd fds[] = {{sockets[1], ZYGOTE_AT}, {pipes[1], 1}, {pipes[1], 2}};
    struct strings argv = {0};
    struct strings envp = {0};
    char folder[4096];
    struct rv_proc_conf conf = {.path = z->path == NULL ? r->own_path : z->path,
                                .fds = fds,
                                .fds_len = rv_countof(fds),
                                .session = true,
                                .dies_with_us = true,
                                .no_new_privs = true};
    bool well = false;

    snprintf(folder, sizeof folder, "%.*s", (int)z->env->folder.len,
             z->env->folder.len == 0 ? "" : (const char *)z->env->folder.data);
    conf.folder = folder[0] == '\0' ? NULL : folder;
    strings_add(&argv, conf.path, strlen(conf.path));
    if (!add_value(&argv, z->env->arguments, false)) {
        snprintf(why, why_len, "the job's arguments are not an array of texts");
    } else if (!make_environment(r, z, &envp)) {
        snprintf(why, why_len, "the job's environment is neither NAME=VALUE texts nor a map");
    } else if (conf.folder != NULL && access(folder, X_OK) != 0) {
        snprintf(why, why_len, "the working folder %.200s: %s", folder, strerror(errno));
    } else {
        conf.argv = argv.list;
        conf.envp = envp.list;
        z->pid = rv_proc_start(&conf);
        well = z->pid > 0;
        *again = !well && is_shortage(errno);
        if (!well)
            snprintf(why, why_len, "the program cannot be started: %s%s", strerror(errno),
                     errno == EACCES ? " (may programs run from the cache folder?)" : "");
    }
    strings_free(&argv);
    strings_free(&envp);
    return well;
}

void zygote_want(struct runners *r, rv_ns now, struct zygote *z)
{
    int sockets[2] = {-1, -1};
    int pipes[2] = {-1, -1};
    char why[400] = "";
    bool well = false;
    bool again = false;

    if (z->state != ZYGOTE_GONE)
        return;
    z->refused[0] = '\0';
    z->hung = false;
    rv_buf_clear(&z->said);
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets) != 0 ||
        pipe2(pipes, O_CLOEXEC) != 0) {
        again = is_shortage(errno);
        snprintf(why, sizeof why, "the program cannot be started: %s", strerror(errno));
    } else {
        well = start_process(r, z, sockets, pipes, why, sizeof why, &again);
    }
    for (int i = 0; i < 2; i++) {
        if (sockets[i] >= 0 && (i == 1 || !well))
            close(sockets[i]);
        if (pipes[i] >= 0 && (i == 1 || !well))
            close(pipes[i]);
    }
    if (!well) {
        zygote_end(r, now, z, why, again);
        return;
    }
    z->state = ZYGOTE_STARTING;
    z->fd = sockets[0];
    z->output = pipes[0];
    z->deadline = rv_after_ms(now, UP_MS);
    (void)fcntl(z->fd, F_SETFL, O_NONBLOCK);
    (void)fcntl(z->output, F_SETFL, O_NONBLOCK);
    (void)runners_poll(r, z->fd, FD_ZYGOTE, z->number, EPOLLIN, EPOLL_CTL_ADD);
    (void)runners_poll(r, z->output, FD_ZYGOTE_OUTPUT, z->number, EPOLLIN, EPOLL_CTL_ADD);
    runners_line(r, RV_DEBUG, "zygote.start env=%llu pid=%d", (unsigned long long)z->env->id,
                 (int)z->pid);
}

/* ---- asking for runners ---- */

static bool say(struct zygote *z, const struct rv_zygote_msg *msg, const int fds[RV_ZYGOTE_FDS])
{
    struct iovec iov = {.iov_base = (void *)(uintptr_t)msg, .iov_len = sizeof *msg};
    union {
        struct cmsghdr head;
        char room[CMSG_SPACE(RV_ZYGOTE_FDS * sizeof(int))];
    } control = {.head = {.cmsg_len = CMSG_LEN(RV_ZYGOTE_FDS * sizeof(int)),
                          .cmsg_level = SOL_SOCKET,
                          .cmsg_type = SCM_RIGHTS}};
    struct msghdr out = {.msg_iov = &iov,
                         .msg_iovlen = 1,
                         .msg_control = &control,
                         .msg_controllen = sizeof control};

    memcpy(CMSG_DATA(&control.head), fds, RV_ZYGOTE_FDS * sizeof(int));
    return sendmsg(z->fd, &out, MSG_NOSIGNAL) == (ssize_t)sizeof *msg;
}

/* Memory that both see and that nobody can make smaller under us. */
static int make_page(struct rv_task_page **page)
{
    int fd = memfd_create("reeve-runner", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    void *map = MAP_FAILED;

    if (fd >= 0 && ftruncate(fd, RV_TASK_MAP_BYTES) == 0 &&
        fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) == 0)
        map = mmap(NULL, RV_TASK_MAP_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (map == MAP_FAILED) {
        if (fd >= 0)
            close(fd);
        return -1;
    }
    *page = map;
    atomic_store(&(*page)->started, RV_TASK_NONE);
    atomic_store(&(*page)->limit, RV_TASK_NONE);
    return fd;
}

bool zygote_ask(struct runners *r, struct zygote *z, struct runner_slot *s)
{
    struct rv_zygote_msg msg = {.version = RV_TASK_VERSION,
                                .type = RV_ZYGOTE_FORK,
                                .serial = s->serial,
                                .memory = z->env->memory};
    const int bytes = 1024 * 1024;
    int sockets[2] = {-1, -1};
    int pipes[2] = {-1, -1};
    int page = make_page(&s->page);
    bool well = page >= 0 && socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets) == 0 &&
                pipe2(pipes, O_CLOEXEC) == 0;

    if (well) {
        for (int i = 0; i < 2; i++)
            (void)setsockopt(sockets[i], SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
        (void)fcntl(pipes[0], F_SETFL, O_NONBLOCK); /* of our end alone */
        well = say(z, &msg, (const int[RV_ZYGOTE_FDS]){sockets[1], page, pipes[1]});
    }
    if (!well)
        snprintf(s->why, sizeof s->why, "a runner cannot be started: %s", strerror(errno));
    s->fd = sockets[0];
    s->output = pipes[0];
    if (page >= 0)
        close(page);
    if (sockets[1] >= 0)
        close(sockets[1]);
    if (pipes[1] >= 0)
        close(pipes[1]);
    if (!well)
        return false;
    s->asked = true;
    (void)runners_poll(r, s->fd, FD_SOCKET, s->number, EPOLLIN, EPOLL_CTL_ADD);
    (void)runners_poll(r, s->output, FD_OUTPUT, s->number, EPOLLIN, EPOLL_CTL_ADD);
    return true;
}

/* ---- what it says ---- */

static void up(struct runners *r, rv_ns now, struct zygote *z)
{
    if (z->state != ZYGOTE_STARTING)
        return;
    z->state = ZYGOTE_UP;
    z->deadline = RV_NEVER;
    if (!z->loaded) {
        z->loaded = true;
        runners_line(r, RV_INFO, "zygote.up env=%llu pid=%d", (unsigned long long)z->env->id,
                     (int)z->pid);
        if (r->agent != NULL)
            agent_on_loaded(r->agent, now, z->env->id, NULL, false);
    }
    for (uint32_t i = 0; i < r->conf.slots; i++) {
        struct runner_slot *s = &r->slots[i];

        if (s->state == RUNNER_WAITING && s->zygote == z && !s->asked && !zygote_ask(r, z, s))
            slot_failed(r, now, s, s->why);
    }
}

static void on_message(struct runners *r, rv_ns now, struct zygote *z,
                       const struct rv_zygote_msg *msg, int pidfd)
{
    struct runner_slot *s = NULL;

    switch ((enum rv_zygote_type)msg->type) {
    case RV_ZYGOTE_HELLO:
        up(r, now, z);
        break;
    case RV_ZYGOTE_REFUSE:
        snprintf(z->refused, sizeof z->refused, "%.*s", RV_ZYGOTE_TEXT - 1, msg->text);
        break;
    case RV_ZYGOTE_FORKED:
        s = slot_of_serial(r, msg->serial);
        if (s != NULL && s->zygote == z && msg->pid > 0 && pidfd >= 0) {
            slot_forked(r, now, s, msg->pid, pidfd);
            return;
        }
        if (s != NULL && s->zygote == z)
            slot_failed(r, now, s, msg->text);
        break;
    case RV_ZYGOTE_ENDED:
        s = slot_of_serial(r, msg->serial);
        if (s != NULL && s->zygote == z)
            slot_ended(r, now, s, msg->status);
        break;
    case RV_ZYGOTE_FORK:
        break;
    }
    if (pidfd >= 0)
        close(pidfd);
}

/* One message; 0: none now, -1: it has hung up. */
static int hear(struct zygote *z, struct rv_zygote_msg *msg, int *pidfd)
{
    struct iovec iov = {.iov_base = msg, .iov_len = sizeof *msg};
    union {
        struct cmsghdr head;
        char room[CMSG_SPACE(sizeof(int))];
    } control;
    struct msghdr in = {.msg_iov = &iov,
                        .msg_iovlen = 1,
                        .msg_control = &control,
                        .msg_controllen = sizeof control};
    ssize_t len = recvmsg(z->fd, &in, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

    *pidfd = -1;
    if (len < 0 && (errno == EAGAIN || errno == EINTR))
        return 0;
    for (struct cmsghdr *c = len < 0 ? NULL : CMSG_FIRSTHDR(&in); c != NULL;
         c = CMSG_NXTHDR(&in, c))
        if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS)
            memcpy(pidfd, CMSG_DATA(c), sizeof *pidfd);
    if (len == 0)
        return -1;
    if (len != (ssize_t)sizeof *msg || msg->version != RV_TASK_VERSION) {
        snprintf(z->refused, sizeof z->refused,
                 "the program's libreeve is of another version than this host's agent");
        return -1;
    }
    msg->text[RV_ZYGOTE_TEXT - 1] = '\0';
    return 1;
}

/* Why it went before it was up, from what it said last. */
static void reason(const struct zygote *z, int status, char *out, size_t len)
{
    char how[64];
    char line[256] = "";
    size_t end = z->said.len;
    size_t start = 0;

    rv_proc_status_text(status, how, sizeof how);
    while (end > 0 && (z->said.data[end - 1] == '\n' || z->said.data[end - 1] == ' '))
        end--;
    start = end;
    while (start > 0 && z->said.data[start - 1] != '\n' && end - start < sizeof line - 1)
        start--;
    if (end > start)
        memcpy(line, z->said.data + start, end - start);
    line[rv_task_text(line, end - start)] = '\0';
    if (z->refused[0] != '\0')
        snprintf(out, len, "%s", z->refused);
    else if (WIFEXITED(status) && WEXITSTATUS(status) == 127 && line[0] != '\0')
        snprintf(out, len, "the program cannot be started: %s", line);
    else if (WIFSIGNALED(status))
        snprintf(out, len, "%s ended the program before it was in reeve_main()%s%s", how,
                 line[0] == '\0' ? "" : ": ", line);
    else
        snprintf(out, len,
                 "the program ended before reeve_main(), which must be the first line of main() "
                 "(%s)%s%s",
                 how, line[0] == '\0' ? "" : ": ", line);
}

void zygote_hear(struct runners *r, rv_ns now, struct zygote *z)
{
    struct rv_zygote_msg msg;
    int pidfd = -1;
    int got = 0;

    while (z->state != ZYGOTE_GONE && (got = hear(z, &msg, &pidfd)) > 0)
        on_message(r, now, z, &msg, pidfd);
    if (got < 0 && pidfd >= 0)
        close(pidfd);
    /* Its end comes in a moment, with its exit code. */
    if (got < 0 && z->state != ZYGOTE_GONE && !z->hung) {
        z->hung = true;
        (void)epoll_ctl(r->conf.epoll_fd, EPOLL_CTL_DEL, z->fd, NULL);
        z->deadline = rv_after_ms(now, HUNG_MS);
    }
}

void zygote_hear_output(struct zygote *z)
{
    uint8_t bytes[4096];
    ssize_t len = 0;

    if (z->state == ZYGOTE_GONE)
        return;
    len = read(z->output, bytes, sizeof bytes);
    if (len > 0 && z->state == ZYGOTE_STARTING) {
        rv_buf_add(&z->said, bytes, (size_t)len);
        if (z->said.len > 2 * SAID_BYTES)
            rv_buf_drop(&z->said, z->said.len - SAID_BYTES);
    }
    if (len == 0) { /* it has closed it: its own business */
        close(z->output);
        z->output = -1;
    }
}

void zygote_late(struct runners *r, rv_ns now, struct zygote *z)
{
    char why[256];

    if (now < z->deadline)
        return;
    snprintf(why, sizeof why,
             "the program never calls reeve_main(), which must be the first line of main(); it was "
             "given %d s",
             UP_MS / 1000);
    zygote_end(r, now, z,
               z->hung ? "the program closed the descriptor that its agent gave it" : why, false);
}

/* ---- its end ---- */

/* Its runners have become our children by now, and die with it: each is waited for by its
 * descriptor, which cannot name another process. */
static void end_runners(struct runners *r, rv_ns now, struct zygote *z, int how)
{
    char name[64];
    char why[128];

    rv_proc_status_text(how, name, sizeof name);
    snprintf(why, sizeof why, "the process that runners come from ended (%s)", name);
    for (uint32_t i = 0; i < r->conf.slots; i++) {
        struct runner_slot *s = &r->slots[i];
        int status = 0;

        if (s->state == RUNNER_EMPTY || s->zygote != z || !s->asked)
            continue;
        if (s->pidfd < 0) {
            slot_failed(r, now, s, why);
            continue;
        }
        (void)rv_pidfd_kill(s->pidfd, SIGKILL);
        (void)kill(-s->pid, SIGKILL); /* its number is taken until it is reaped */
        status = rv_pidfd_reap(s->pidfd);
        slot_ended(r, now, s, status < 0 ? SIGKILL : status);
    }
}

void zygote_end(struct runners *r, rv_ns now, struct zygote *z, const char *why, bool again)
{
    bool starting = z->state == ZYGOTE_STARTING || (z->state == ZYGOTE_GONE && why != NULL);
    char words[600] = "";
    int status = 0;

    if (z->pid > 0) {
        zygote_hear_output(z);
        status = rv_proc_reap_group(z->pid);
    }
    /* A signal is rarely the program's doing: somebody ended it, or memory was short. */
    again = again || (why == NULL && z->refused[0] == '\0' && WIFSIGNALED(status));
    if (why == NULL)
        reason(z, status, words, sizeof words);
    else
        snprintf(words, sizeof words, "%s", why);
    if (z->fd >= 0)
        close(z->fd);
    if (z->output >= 0)
        close(z->output);
    z->fd = z->output = -1;
    z->pid = 0;
    z->state = ZYGOTE_GONE;
    z->deadline = RV_NEVER;
    end_runners(r, now, z, status);
    runners_line(r, starting ? RV_WARN : RV_DEBUG, "zygote.end env=%llu why=\"%s\"",
                 (unsigned long long)z->env->id, words);
    for (uint32_t i = 0; starting && i < r->conf.slots; i++) {
        struct runner_slot *s = &r->slots[i];

        if (s->state == RUNNER_WAITING && s->zygote == z)
            slot_failed(r, now, s, words);
    }
    if (starting && !z->loaded)
        runners_cannot(r, z->env->id, words, again);
}
