/* zygote.c -- the shipped program, stopped in reeve_main(): forks runners and reaps them. */

#include "common/proc/proc.h"
#include "proxy/runner.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

/* A runner that lives. Its group has its pid. */
struct child {
    pid_t pid;
    uint64_t serial;
};

struct zygote {
    int fd;
    int signal_fd;
    struct child *children;
    size_t len, cap;
};

static bool is_runner;

bool rv_is_runner(void)
{
    return is_runner;
}

int rv_zygote_fd(void)
{
    const char *text = is_runner ? NULL : getenv(RV_ENV_ZYGOTE);
    char *end = NULL;
    long fd = text == NULL ? -1 : strtol(text, &end, 10);

    return text != NULL && end != text && *end == '\0' && fd >= 0 && fd < 1 << 20 ? (int)fd : -1;
}

/* ---- messages ---- */

static bool say(int fd, const struct rv_zygote_msg *msg, int passed)
{
    struct iovec iov = {.iov_base = (void *)(uintptr_t)msg, .iov_len = sizeof *msg};
    union {
        struct cmsghdr head;
        char room[CMSG_SPACE(sizeof(int))];
    } control = {.head = {.cmsg_len = CMSG_LEN(sizeof(int)),
                          .cmsg_level = SOL_SOCKET,
                          .cmsg_type = SCM_RIGHTS}};
    struct msghdr out = {.msg_iov = &iov, .msg_iovlen = 1};

    if (passed >= 0) {
        memcpy(CMSG_DATA(&control.head), &passed, sizeof passed);
        out.msg_control = &control;
        out.msg_controllen = sizeof control;
    }
    while (sendmsg(fd, &out, MSG_NOSIGNAL) < 0)
        if (errno != EINTR)
            return false;
    return true;
}

static struct rv_zygote_msg message(enum rv_zygote_type type)
{
    return (struct rv_zygote_msg){.version = RV_TASK_VERSION, .type = type};
}

void rv_zygote_refuse(int fd, const char *why)
{
    struct rv_zygote_msg msg = message(RV_ZYGOTE_REFUSE);

    snprintf(msg.text, sizeof msg.text, "%s", why);
    (void)say(fd, &msg, -1);
    _exit(1);
}

/* A message and its descriptors; false when the agent has gone. */
static bool hear(int fd, struct rv_zygote_msg *msg, int fds[RV_ZYGOTE_FDS], size_t *fds_len)
{
    struct iovec iov = {.iov_base = msg, .iov_len = sizeof *msg};
    union {
        struct cmsghdr head;
        char room[CMSG_SPACE(RV_ZYGOTE_FDS * sizeof(int))];
    } control;
    struct msghdr in = {.msg_iov = &iov,
                        .msg_iovlen = 1,
                        .msg_control = &control,
                        .msg_controllen = sizeof control};
    ssize_t len = 0;

    *fds_len = 0;
    while ((len = recvmsg(fd, &in, MSG_CMSG_CLOEXEC)) < 0)
        if (errno != EINTR)
            return false;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(&in); c != NULL; c = CMSG_NXTHDR(&in, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
            continue;
        *fds_len = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        memcpy(fds, CMSG_DATA(c), *fds_len * sizeof(int));
    }
    return len == (ssize_t)sizeof *msg && msg->version == RV_TASK_VERSION;
}

/* ---- a runner begins ---- */

static bool null_input(void)
{
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);

    if (null < 0)
        return false;
    if (null != 0) {
        (void)dup2(null, 0);
        close(null);
    }
    return true;
}

static _Noreturn void runner(const struct zygote *z, pid_t parent, const int fds[RV_ZYGOTE_FDS],
                             uint64_t memory)
{
    struct rv_runner_conf conf = {.fd = fds[0], .output = 1};
    struct rlimit limit = {memory, memory};

    is_runner = true;
    unsetenv(RV_ENV_ZYGOTE);
    close(z->fd);
    close(z->signal_fd);
    if (setpgid(0, 0) != 0 || !rv_proc_settle(parent) || !null_input() || dup2(fds[2], 1) < 0 ||
        dup2(fds[2], 2) < 0)
        _exit(127);
    conf.page = mmap(NULL, RV_TASK_MAP_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fds[1], 0);
    if (conf.page == MAP_FAILED || (memory != 0 && setrlimit(RLIMIT_AS, &limit) != 0))
        _exit(127);
    close(fds[1]);
    close(fds[2]);
    rv_crash_watch(conf.page);
    exit(rv_runner_run(&conf) ? 0 : 1);
}

static bool room_for_child(struct zygote *z)
{
    struct child *children = NULL;

    if (z->len < z->cap)
        return true;
    children = realloc(z->children, (z->cap + 16) * sizeof *children);
    if (children == NULL)
        return false;
    z->children = children;
    z->cap += 16;
    return true;
}

static void start(struct zygote *z, const struct rv_zygote_msg *order, const int *fds)
{
    struct rv_zygote_msg msg = message(RV_ZYGOTE_FORKED);
    pid_t us = getpid();
    pid_t pid = -1;
    int pidfd = -1;

    msg.serial = order->serial;
    if (room_for_child(z))
        pid = rv_proc_fork();
    if (pid == 0)
        runner(z, us, fds, order->memory);
    if (pid < 0) {
        snprintf(msg.text, sizeof msg.text, "cannot fork a runner: %s", strerror(errno));
    } else {
        (void)setpgid(pid, pid); /* whoever comes first */
        pidfd = rv_pidfd_open(pid);
        msg.pid = pid;
        z->children[z->len++] = (struct child){.pid = pid, .serial = order->serial};
    }
    (void)say(z->fd, &msg, pidfd);
    if (pidfd >= 0)
        close(pidfd);
}

static void order(struct zygote *z)
{
    struct rv_zygote_msg msg;
    int fds[RV_ZYGOTE_FDS] = {-1, -1, -1};
    size_t len = 0;
    bool heard = hear(z->fd, &msg, fds, &len);

    if (heard && msg.type == RV_ZYGOTE_FORK && len == RV_ZYGOTE_FDS)
        start(z, &msg, fds);
    for (size_t i = 0; i < len; i++)
        close(fds[i]);
    if (!heard)
        _exit(0); /* our runners go with us */
}

/* ---- a runner ends ---- */

static void kill_orphans(const struct zygote *z)
{
    pid_t *groups = calloc(z->len + 1, sizeof *groups);

    if (groups == NULL)
        return;
    groups[z->len] = getpgrp();
    for (size_t i = 0; i < z->len; i++)
        groups[i] = z->children[i].pid;
    rv_proc_kill_orphans(groups, z->len + 1);
    free(groups);
}

static void ended(struct zygote *z, pid_t pid)
{
    struct rv_zygote_msg msg = message(RV_ZYGOTE_ENDED);
    size_t i = 0;

    while (i < z->len && z->children[i].pid != pid)
        i++;
    msg.pid = pid;
    msg.status = rv_proc_reap_group(pid);
    if (i == z->len)
        return; /* what a task has left behind */
    msg.serial = z->children[i].serial;
    z->children[i] = z->children[--z->len];
    kill_orphans(z);
    (void)say(z->fd, &msg, -1);
}

static void children(struct zygote *z)
{
    struct signalfd_siginfo info;
    pid_t pid = 0;

    while (read(z->signal_fd, &info, sizeof info) == sizeof info) {
    }
    while ((pid = rv_proc_ended()) > 0)
        ended(z, pid);
}

void rv_zygote_run(int fd)
{
    struct zygote z = {.fd = fd};
    struct rv_zygote_msg hello = message(RV_ZYGOTE_HELLO);
    const char *twice = rv_task_twice();
    sigset_t set;
    char why[300];

    if (twice != NULL) {
        snprintf(why, sizeof why, "the program registers two functions of the name %.200s", twice);
        rv_zygote_refuse(fd, why);
    }
    (void)fcntl(fd, F_SETFD, FD_CLOEXEC);
    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    sigprocmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
    z.signal_fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    if (z.signal_fd < 0 || prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0)
        rv_zygote_refuse(fd, "the system gives a zygote no signalfd or no subreaper");
    if (!say(fd, &hello, -1))
        _exit(0);
    for (;;) {
        struct pollfd fds[2] = {{.fd = fd, .events = POLLIN},
                                {.fd = z.signal_fd, .events = POLLIN}};

        if (poll(fds, 2, -1) < 0)
            continue;
        if (fds[1].revents != 0)
            children(&z);
        if (fds[0].revents != 0)
            order(&z);
    }
}
