#include "common/proc/proc.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef P_PIDFD
#define P_PIDFD 3
#endif

enum { FD_ROOM = 64 };

/* ---- starting ---- */

/* Between vfork() and exec the child has the parent's memory: it calls the kernel and changes
 * nothing but this. */
struct child {
    const struct rv_proc_conf *conf;
    pid_t parent;
    volatile int *error;
};

static void default_signals(void)
{
    struct sigaction plain = {.sa_handler = SIG_DFL};
    sigset_t none;

    for (int i = 1; i < NSIG; i++)
        (void)sigaction(i, &plain, NULL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

/* Numbers that the child wants may be ours for something else: move all out of the way first. */
static bool place_fds(const struct rv_proc_conf *conf)
{
    int moved[RV_PROC_FDS];
    int last = 2;
    int null = -1;

    for (size_t i = 0; i < conf->fds_len; i++) {
        moved[i] = fcntl(conf->fds[i].ours, F_DUPFD_CLOEXEC, FD_ROOM);
        if (moved[i] < 0)
            return false;
    }
    null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null < 0)
        return false;
    for (int fd = 0; fd <= 2; fd++)
        if (null != fd && dup2(null, fd) < 0)
            return false;
    for (size_t i = 0; i < conf->fds_len; i++) {
        if (dup2(moved[i], conf->fds[i].theirs) < 0)
            return false;
        if (conf->fds[i].theirs > last)
            last = conf->fds[i].theirs;
    }
    /* What stands between the wanted ones is closed by its own flag, or by this. */
    for (int fd = 3; fd < last; fd++) {
        bool wanted = false;

        for (size_t i = 0; i < conf->fds_len; i++)
            wanted = wanted || conf->fds[i].theirs == fd;
        if (!wanted)
            close(fd);
    }
    if (syscall(SYS_close_range, (unsigned)last + 1, ~0U, 0) != 0) {
        for (int fd = last + 1; fd < 1024; fd++)
            close(fd);
    }
    return true;
}

static bool prepare(const struct child *c)
{
    const struct rv_proc_conf *conf = c->conf;

    if (conf->session && setsid() < 0)
        return false;
    if (conf->group && setpgid(0, 0) != 0)
        return false;
    if (conf->folder != NULL && chdir(conf->folder) != 0)
        return false;
    if (conf->no_new_privs && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return false;
    if (conf->dies_with_us) {
        if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0)
            return false;
        if (getppid() != c->parent) {
            errno = ESRCH;
            return false;
        }
    }
    return place_fds(conf);
}

static void replace(const struct child *c)
{
    const struct rv_proc_conf *conf = c->conf;
    char *const *envp = conf->envp == NULL ? environ : conf->envp;

    default_signals();
    if (!prepare(c))
        return;
    if (conf->search)
        execvpe(conf->path, conf->argv, envp);
    else
        execve(conf->path, conf->argv, envp);
}

bool rv_proc_exec(const struct rv_proc_conf *conf)
{
    replace(&(struct child){.conf = conf, .parent = getppid()});
    return false;
}

/* Does not return. A function of its own: in the frame of rv_proc_start(), where both live, its
 * locals may be laid over what the parent still needs. */
__attribute__((noinline)) static _Noreturn void become(const struct child *c)
{
    replace(c);
    *c->error = errno;
    _exit(127);
}

pid_t rv_proc_start(const struct rv_proc_conf *conf)
{
    volatile int told = 0; /* written by the child */
    struct child c = {.conf = conf, .parent = getpid(), .error = &told};
    sigset_t all;
    sigset_t old;
    pid_t pid = 0;
    int error = 0;

    rv_assert(conf->fds_len <= RV_PROC_FDS);
    /* A handler of ours that ran in the child would run in our memory. */
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, &old);
    pid = vfork();
    if (pid == 0)
        become(&c);
    error = pid < 0 ? errno : told;
    sigprocmask(SIG_SETMASK, &old, NULL);
    if (pid > 0 && error != 0) {
        while (waitpid(pid, NULL, 0) < 0 && errno == EINTR) {
        }
    }
    errno = error;
    return pid > 0 && error == 0 ? pid : 0;
}

pid_t rv_proc_start_after(const struct rv_proc_conf *conf, int (*first)(void *arg), void *arg)
{
    pid_t pid = 0;

    rv_assert(conf->fds_len <= RV_PROC_FDS);
    if (first == NULL)
        return rv_proc_start(conf);
    pid = fork();
    if (pid == 0) {
        int code = first(arg);

        if (code == 0)
            (void)rv_proc_exec(conf);
        _exit(code == 0 ? 127 : code);
    }
    return pid < 0 ? 0 : pid;
}

enum { STACK_BYTES = 65536 };

/* The one in between: it starts the other, and ends. On a stack that no sanitizer knows. */
__attribute__((no_sanitize_address)) static int start_other(void *arg)
{
    struct child *c = arg;
    pid_t pid = 0;

    (void)setsid();
    pid = vfork();
    if (pid == 0)
        become(c);
    if (pid < 0)
        *c->error = errno;
    _exit(0);
}

bool rv_proc_daemon(const struct rv_proc_conf *conf)
{
    volatile int told = 0; /* written by the other */
    struct child c = {.conf = conf, .parent = getpid(), .error = &told};
    int error = 0;
    sigset_t all;
    sigset_t old;
    pid_t pid = 0;
    char *stack = mmap(NULL, STACK_BYTES, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);

    rv_assert(conf->fds_len <= RV_PROC_FDS && !conf->dies_with_us);
    if (stack == MAP_FAILED)
        return false;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, &old);
    /* No signal for its end: the program around us may reap what it does not know. */
    pid = clone(start_other, stack + STACK_BYTES, CLONE_VM | CLONE_VFORK, &c);
    error = pid < 0 ? errno : told;
    sigprocmask(SIG_SETMASK, &old, NULL);
    while (pid > 0 && waitpid(pid, NULL, (int)__WCLONE) < 0 && errno == EINTR) {
    }
    munmap(stack, STACK_BYTES);
    errno = error;
    return error == 0;
}

bool rv_proc_settle(pid_t parent)
{
    struct rlimit none = {0, 0};

    default_signals();
    umask(022);
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
        setrlimit(RLIMIT_CORE, &none) != 0)
        return false;
    /* The signal comes only for a death after it was asked for. */
    if (getppid() != parent) {
        errno = ESRCH;
        return false;
    }
    return true;
}

pid_t rv_proc_fork(void)
{
    return fork();
}

/* ---- ends ---- */

int rv_pidfd_open(pid_t pid)
{
    return (int)syscall(SYS_pidfd_open, pid, 0);
}

bool rv_pidfd_kill(int fd, int signal)
{
    return syscall(SYS_pidfd_send_signal, fd, signal, NULL, 0) == 0;
}

/* What waitpid() would have said. */
static int status_of(const siginfo_t *info)
{
    if (info->si_code == CLD_EXITED)
        return (info->si_status & 0xff) << 8;
    return (info->si_status & 0x7f) | (info->si_code == CLD_DUMPED ? 0x80 : 0);
}

int rv_pidfd_reap(int fd)
{
    siginfo_t info = {0};

    while (waitid((idtype_t)P_PIDFD, (id_t)fd, &info, WEXITED) != 0)
        if (errno != EINTR)
            return -1;
    return status_of(&info);
}

pid_t rv_proc_ended(void)
{
    siginfo_t info = {0};

    if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) != 0)
        return 0;
    return info.si_pid;
}

int rv_proc_reap_group(pid_t pid)
{
    int status = 0;

    (void)kill(-pid, SIGKILL); /* its number is taken until it is reaped, as pid and as group */
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            return -1;
    return status;
}

/* Parent and group of a process; false when there is no such process any more. */
static bool kin_of(const char *pid, pid_t *parent, pid_t *group)
{
    char path[64];
    char text[512];
    char *end = NULL;
    int fd = -1;
    ssize_t len = 0;

    snprintf(path, sizeof path, "/proc/%.20s/stat", pid);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    len = read(fd, text, sizeof text - 1);
    close(fd);
    if (len <= 0)
        return false;
    text[len] = '\0';
    end = strrchr(text, ')'); /* its name may hold anything */
    return end != NULL && sscanf(end + 1, " %*c %d %d", parent, group) == 2;
}

void rv_proc_kill_orphans(const pid_t *groups, size_t len)
{
    DIR *all = opendir("/proc");
    const struct dirent *entry = NULL;
    pid_t us = getpid();

    while (all != NULL && (entry = readdir(all)) != NULL) {
        pid_t parent = 0;
        pid_t group = 0;
        bool ours = false;

        if (entry->d_name[0] < '1' || entry->d_name[0] > '9' ||
            !kin_of(entry->d_name, &parent, &group) || parent != us)
            continue;
        for (size_t i = 0; i < len; i++)
            ours = ours || groups[i] == group;
        /* A child of ours that we have not reaped: the number is still its own. */
        if (!ours)
            kill((pid_t)atoi(entry->d_name), SIGKILL);
    }
    if (all != NULL)
        closedir(all);
}

/* ---- words ---- */

void rv_signal_name(int signal, char *out, size_t len)
{
    const char *name = sigabbrev_np(signal);

    if (name == NULL)
        snprintf(out, len, "signal %d", signal);
    else
        snprintf(out, len, "SIG%s", name);
}

void rv_proc_status_text(int status, char *out, size_t len)
{
    if (WIFSIGNALED(status))
        rv_signal_name(WTERMSIG(status), out, len);
    else
        snprintf(out, len, "exit code %d", WEXITSTATUS(status));
}
