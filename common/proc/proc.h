#ifndef RV_PROC_H
#define RV_PROC_H

/*
 * proc.h -- start processes, know when they end, and end them with all that they started.
 *
 * A process is named by a pidfd wherever somebody else may reap it: a pid alone may have been
 * given to another process meanwhile. A parent that has not reaped its child may use the pid.
 */

#include "common/base/base.h"

#include <sys/types.h>

/* A descriptor of ours and the number that the child shall have it under. */
struct rv_proc_fd {
    int ours;
    int theirs;
};

enum { RV_PROC_FDS = 8 };

struct rv_proc_conf {
    const char *path;   /* of the program; with search, a name that PATH is looked through for */
    char *const *argv;  /* ends with NULL */
    char *const *envp;  /* NULL: our own environment */
    const char *folder; /* NULL: ours */
    const struct rv_proc_fd *fds; /* all others are closed; 0, 1, 2 that are not named: /dev/null */
    size_t fds_len;
    bool search;
    bool session;      /* in a session of its own */
    bool group;        /* in a process group of its own */
    bool dies_with_us; /* SIGKILL when the thread that started it ends */
    bool no_new_privs;
};

/* Start it. Returns its pid; 0 with errno when it could not be started, which includes every
 * failure up to and including the exec. Signals are as at a program's start, none blocked.
 * Blocks until the exec. Not for threads that may be cancelled. */
pid_t rv_proc_start(const struct rv_proc_conf *conf);

/* The same, with first(arg) in the child before the exec, in a fork of all of us. Other than 0 is the
 * child's exit code; 127 when it could not be started. Without first: rv_proc_start(). */
pid_t rv_proc_start_after(const struct rv_proc_conf *conf, int (*first)(void *arg), void *arg);

/* This process becomes it, with the same pid. Returns only when that failed, false with errno. Signals
 * are as at a program's start even then, and descriptors may be closed. */
bool rv_proc_exec(const struct rv_proc_conf *conf);

/* As rv_proc_start() for a process that shall be nobody's child: neither wait() nor SIGCHLD tells of it, here or
 * in whatever program we are part of. It is in a session of its own. False with errno. */
bool rv_proc_daemon(const struct rv_proc_conf *conf);

/* Our own copy of what a child needs to begin: signals as at a program's start, umask 022, no core
 * files, no new privileges, SIGKILL when the parent ends. False with errno, also when the parent
 * (whose pid is given) has ended already. */
bool rv_proc_settle(pid_t parent);

/* fork(): 0 in the child. For zygotes, whose children run on in the same program. */
pid_t rv_proc_fork(void);

int rv_pidfd_open(pid_t pid);           /* close-on-exec; -1 with errno */
bool rv_pidfd_kill(int fd, int signal); /* false when it is gone */

/* Wait for a child that is known by its pidfd, and reap it: its wait status; -1 when it is no
 * child of ours. */
int rv_pidfd_reap(int fd);

/* A child that has ended and is not reaped: its pid; 0 when there is none. */
pid_t rv_proc_ended(void);

/* Kill the group of an unreaped child that leads it, then reap it: its wait status. The pid
 * cannot have been given to anybody else before. */
int rv_proc_reap_group(pid_t pid);

/* Children that we got because their parents ended and that belong to no group of `groups`: kill
 * them. For a subreaper. */
void rv_proc_kill_orphans(const pid_t *groups, size_t len);

/* "exit code 3", or "SIGKILL". */
void rv_proc_status_text(int status, char *out, size_t len);

/* "SIGSEGV"; "signal 70" when it has no name. */
void rv_signal_name(int signal, char *out, size_t len);

#endif
