/* manager_object.c -- a manager as an object of the program: manager.h. */

#include "common/base/base.h"
#include "common/net/net.h"
#include "common/proc/proc.h"
#include "proxy/context.h"
#include "proxy/private.h"

#include <reeve/manager.h>
#include <reeve/value.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    SHUTDOWN_MS = 1000,
    REAP_MS = 10000, /* from SIGKILL on; longer takes only what the kernel holds */
    FD_READY = 3,
    FD_LIFELINE = 4,
};

struct reeve_manager {
    reeve_manager_state state;
    char *address; /* as asked for, then the real one */
    char *keys, *key, *data;
    uint32_t shutdown_ms;
    reeve_context *ctx;
    char folder[80]; /* of a socket of its own, and of its log; empty: none */
    int process;     /* its pidfd; -1: not started here, or reaped */
    pid_t owner;     /* who started it: no child of ours ends it */
    int lifeline;    /* it ends when this does */
    bool known;      /* the address is that of a socket that listens */
    char end[64];    /* how it ended; empty: not known */
};

/* ---- life ---- */

static bool copy(char **out, const char *text)
{
    if (text != NULL)
        *out = strdup(text);
    return text == NULL || *out != NULL;
}

reeve_err reeve_manager_new(reeve_manager **out, const reeve_manager_options *options)
{
    static const reeve_manager_options none = {0};
    const reeve_manager_options *o = options == NULL ? &none : options;
    reeve_manager *m = NULL;

    *out = NULL;
    for (size_t i = 0; i < rv_countof(o->reserved); i++)
        if (o->reserved[i] != 0)
            return rv_fail(REEVE_EINVAL, "cannot make a manager: reserved options must be zero");
    m = calloc(1, sizeof *m);
    if (m == NULL)
        return rv_fail(REEVE_ENOMEM, "cannot make a manager: out of memory");
    m->process = m->lifeline = -1;
    m->shutdown_ms = o->shutdown_timeout_ms == 0 ? SHUTDOWN_MS : o->shutdown_timeout_ms;
    if (!copy(&m->address, o->address) || !copy(&m->keys, o->keys) || !copy(&m->key, o->key) ||
        !copy(&m->data, o->data)) {
        (void)reeve_manager_free(&m);
        return rv_fail(REEVE_ENOMEM, "cannot make a manager: out of memory");
    }
    *out = m;
    return REEVE_OK;
}

static void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

/* The manager removes it too; whoever is first. */
static void remove_folder(reeve_manager *m)
{
    DIR *dir = m->folder[0] == '\0' ? NULL : opendir(m->folder);
    const struct dirent *entry = NULL;

    while (dir != NULL && (entry = readdir(dir)) != NULL)
        (void)unlinkat(dirfd(dir), entry->d_name, 0);
    if (dir != NULL) {
        closedir(dir);
        (void)rmdir(m->folder);
    }
    m->folder[0] = '\0';
}

/* ---- the process ---- */

/* Reap it if it has ended; true when it has. */
static bool has_ended(reeve_manager *m, int timeout_ms)
{
    struct pollfd at = {.fd = m->process, .events = POLLIN};
    rv_ns deadline = timeout_ms < 0 ? RV_NEVER : rv_after_ms(rv_clock_now(), (uint32_t)timeout_ms);
    int got = 0;
    int status = 0;

    if (m->process < 0)
        return true;
    do {
        rv_ns left = deadline == RV_NEVER ? 60 * RV_SEC : deadline - rv_clock_now();

        if (left > 60 * RV_SEC)
            left = 60 * RV_SEC;
        got = poll(&at, 1, left <= 0 ? 0 : (int)(left / RV_MS + 1));
    } while (got <= 0 && (deadline == RV_NEVER || rv_clock_now() < deadline));
    if (got <= 0)
        return false;
    status = rv_pidfd_reap(m->process);
    if (status < 0) /* the program around us has reaped it */
        snprintf(m->end, sizeof m->end, "unknown");
    else
        rv_proc_status_text(status, m->end, sizeof m->end);
    close_fd(&m->process);
    close_fd(&m->lifeline);
    return true;
}

static void kill_it(reeve_manager *m)
{
    if (m->process >= 0 && !has_ended(m, 0)) {
        (void)rv_pidfd_kill(m->process, SIGKILL);
        (void)has_ended(m, REAP_MS);
    }
    close_fd(&m->process);
    close_fd(&m->lifeline);
}

/* ---- starting ---- */

static const char *fits_start(const reeve_manager *m)
{
    switch (m->state) {
    case REEVE_MANAGER_INITIAL:
        return NULL;
    case REEVE_MANAGER_STARTED:
        return "it has been started";
    case REEVE_MANAGER_SHUTDOWN:
        break;
    }
    return "it has shut down";
}

static reeve_err make_folder(reeve_manager *m)
{
    const char *under = getenv("XDG_RUNTIME_DIR");

    if (under == NULL || under[0] != '/' ||
        snprintf(m->folder, sizeof m->folder, "%s/reeve-XXXXXX", under) >= (int)sizeof m->folder ||
        mkdtemp(m->folder) == NULL) {
        snprintf(m->folder, sizeof m->folder, "/tmp/reeve-XXXXXX");
        if (mkdtemp(m->folder) == NULL) {
            m->folder[0] = '\0';
            return rv_fail(REEVE_ESYS, "cannot start a manager: no folder under /tmp: %s",
                           strerror(errno));
        }
    }
    return REEVE_OK;
}

struct launch {
    char path[PATH_MAX];
    char bind[160];
    const char *argv[20];
    size_t argc;
};

static void add_flag(struct launch *l, const char *flag, const char *text)
{
    if (text == NULL)
        return;
    l->argv[l->argc++] = flag;
    l->argv[l->argc++] = text;
}

static reeve_err prepare(struct launch *l, const reeve_manager *m)
{
    if (rv_private_find(l->path, "reeve-server") != REEVE_OK)
        return rv_fail(REEVE_ESYS,
                       "cannot start a manager: no reeve-server in REEVE_BINDIR, beside libreeve, "
                       "in %s/bin or in PATH",
                       REEVE_PREFIX);
    if (m->address != NULL)
        snprintf(l->bind, sizeof l->bind, "%s", m->address);
    else
        snprintf(l->bind, sizeof l->bind, "ipc://%s/reeve.sock", m->folder);
    l->argv[l->argc++] = "reeve-server";
    add_flag(l, "--bind", l->bind);
    add_flag(l, "--keys", m->keys == NULL && m->folder[0] != '\0' ? m->folder : m->keys);
    add_flag(l, "--data", m->data);
    add_flag(l, "--config", "/dev/null");
    return REEVE_OK;
}

/* The last line that it logged, for people. */
static void last_words(const reeve_manager *m, char *out, size_t len)
{
    char path[128];
    char text[2048];
    const char *line = NULL;
    FILE *file = NULL;

    out[0] = '\0';
    snprintf(path, sizeof path, "%s/manager.log", m->folder);
    file = fopen(path, "re");
    while (file != NULL && fgets(text, sizeof text, file) != NULL) {
        line = text;
        snprintf(out, len, ": %.*s", (int)strcspn(line, "\n"), line);
    }
    if (file != NULL)
        fclose(file);
}

/* It says where it listens when it does, a line each. */
static reeve_err read_address(reeve_manager *m, int fd, rv_ns deadline, char *line, size_t len)
{
    size_t have = 0;

    for (;;) {
        struct pollfd at = {.fd = fd, .events = POLLIN};
        rv_ns left = deadline == RV_NEVER ? RV_SEC : deadline - rv_clock_now();
        ssize_t got = 0;

        if (left <= 0)
            return rv_fail(REEVE_ETIME, "cannot start a manager: it is not ready in time");
        if (poll(&at, 1, left > 60 * RV_SEC ? 60000 : (int)(left / RV_MS + 1)) <= 0)
            continue;
        got = read(fd, line + have, len - 1 - have);
        if (got < 0 && errno == EINTR)
            continue;
        if (got > 0) {
            have += (size_t)got;
            line[have] = '\0';
            if (memchr(line, '\n', have) != NULL || have == len - 1) {
                line[strcspn(line, "\n")] = '\0';
                return REEVE_OK;
            }
            continue;
        }
        (void)has_ended(m, REAP_MS);
        last_words(m, line, len);
        return rv_fail(REEVE_ESYS, "cannot start a manager: it ended at once with %s%.300s", m->end,
                       line);
    }
}

static reeve_err launch(reeve_manager *m, int (*initializer)(void *arg), void *arg, rv_ns deadline)
{
    struct launch l = {0};
    char log[128];
    char line[512] = "";
    int ready[2] = {-1, -1};
    int life[2] = {-1, -1};
    int log_fd = -1;
    pid_t pid = 0;
    reeve_err err = make_folder(m);

    if (err == REEVE_OK)
        err = prepare(&l, m);
    if (err != REEVE_OK)
        return err;
    add_flag(&l, "--ready-fd", "3");
    add_flag(&l, "--lifeline-fd", "4");
    add_flag(&l, "--log-level", "warn");
    if (m->address == NULL)
        add_flag(&l, "--temporary", m->folder);
    snprintf(log, sizeof log, "%s/manager.log", m->folder);
    log_fd = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (log_fd >= 0 && pipe2(ready, O_CLOEXEC) == 0 &&
        socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, life) == 0) {
        const struct rv_proc_fd fds[] = {{log_fd, 2}, {ready[1], FD_READY}, {life[1], FD_LIFELINE}};
        const struct rv_proc_conf conf = {.path = l.path,
                                          .argv = (char *const *)(uintptr_t)l.argv,
                                          .fds = fds,
                                          .fds_len = rv_countof(fds),
                                          .session = true};

        pid = rv_proc_start_after(&conf, initializer, arg);
    }
    if (pid == 0)
        err = rv_fail(REEVE_ESYS, "cannot start a manager: %s", strerror(errno));
    if (pid > 0)
        m->process = rv_pidfd_open(pid);
    m->owner = getpid();
    m->lifeline = life[0];
    close_fd(&life[1]);
    close_fd(&ready[1]);
    close_fd(&log_fd);
    if (err == REEVE_OK && m->process < 0)
        err = rv_fail(REEVE_ESYS, "cannot follow the manager's process: %s", strerror(errno));
    if (err == REEVE_OK)
        err = read_address(m, ready[0], deadline, line, sizeof line);
    close_fd(&ready[0]);
    if (err == REEVE_OK) {
        char *address = strdup(line);

        if (address == NULL)
            return rv_fail(REEVE_ENOMEM, "cannot start a manager: out of memory");
        free(m->address);
        m->address = address;
    }
    return err;
}

static reeve_err open_session(reeve_manager *m, rv_ns deadline)
{
    rv_ns left = deadline == RV_NEVER ? 0 : deadline - rv_clock_now();
    reeve_err err =
        reeve_open(&m->ctx, &(reeve_options){.url = m->address,
                                             .key = m->key,
                                             .connect_timeout_ms =
                                                 left <= RV_MS ? 1 : (uint32_t)(left / RV_MS)});

    if (err == REEVE_OK)
        m->known = true;
    return err;
}

reeve_err reeve_manager_start(reeve_manager *m, int (*initializer)(void *arg), void *arg,
                              uint32_t timeout_ms)
{
    rv_ns deadline = rv_after_ms(rv_clock_now(), timeout_ms);
    const char *why = fits_start(m);
    char *asked = NULL;
    reeve_err err = REEVE_OK;

    if (why != NULL)
        return rv_fail(REEVE_EINVAL, "cannot start the manager: %s", why);
    if (!copy(&asked, m->address))
        return rv_fail(REEVE_ENOMEM, "cannot start a manager: out of memory");
    err = launch(m, initializer, arg, deadline);
    if (err == REEVE_OK)
        err = open_session(m, deadline);
    if (err != REEVE_OK) {
        kill_it(m);
        remove_folder(m);
        free(m->address);
        m->address = asked;
        m->end[0] = '\0';
        return err;
    }
    free(asked);
    m->state = REEVE_MANAGER_STARTED;
    return REEVE_OK;
}

reeve_err reeve_manager_connect(reeve_manager *m, uint32_t timeout_ms)
{
    const char *why = fits_start(m);
    reeve_err err = REEVE_OK;

    if (why == NULL && m->address == NULL)
        why = "it has no address";
    if (why != NULL)
        return rv_fail(REEVE_EINVAL, "cannot connect to the manager: %s", why);
    err = open_session(m, rv_after_ms(rv_clock_now(), timeout_ms));
    if (err == REEVE_OK)
        m->state = REEVE_MANAGER_STARTED;
    return err;
}

reeve_err reeve_manager_serve_forever(reeve_manager *m)
{
    static const struct rv_proc_fd same[] = {{0, 0}, {1, 1}, {2, 2}};
    struct launch l = {0};
    const char *why = fits_start(m);
    reeve_err err = REEVE_OK;

    if (why == NULL && m->address == NULL)
        why = "it has no address";
    if (why != NULL)
        return rv_fail(REEVE_EINVAL, "cannot serve: %s", why);
    err = prepare(&l, m);
    if (err != REEVE_OK)
        return err;
    (void)rv_proc_exec(&(struct rv_proc_conf){.path = l.path,
                                              .argv = (char *const *)(uintptr_t)l.argv,
                                              .fds = same,
                                              .fds_len = rv_countof(same)});
    return rv_fail(REEVE_ESYS, "cannot become %s: %s", l.path, strerror(errno));
}

/* ---- the end ---- */

reeve_err reeve_manager_shutdown(reeve_manager *m)
{
    if (m->state == REEVE_MANAGER_SHUTDOWN)
        return REEVE_OK;
    if (m->state == REEVE_MANAGER_INITIAL)
        return rv_fail(REEVE_EINVAL, "cannot shut down the manager: it has not been started");
    if (m->lifeline < 0 && m->end[0] == '\0')
        return rv_fail(REEVE_EINVAL, "cannot shut down the manager: it was not started here");
    if (m->owner != getpid())
        return rv_fail(REEVE_EFORK, "cannot shut down the manager: it is the parent's");
    m->state = REEVE_MANAGER_SHUTDOWN;
    if (!has_ended(m, 0)) {
        (void)!reeve_shutdown(m->ctx, m->shutdown_ms);
        if (!has_ended(m, (int)m->shutdown_ms)) {
            (void)rv_pidfd_kill(m->process, SIGTERM);
            if (!has_ended(m, (int)m->shutdown_ms))
                kill_it(m);
        }
    }
    remove_folder(m);
    return REEVE_OK;
}

reeve_err reeve_manager_join(reeve_manager *m, uint32_t timeout_ms)
{
    if (m->process < 0 && m->end[0] == '\0')
        return rv_fail(REEVE_EINVAL, "cannot join the manager: it was not started here");
    if (!has_ended(m, timeout_ms > INT_MAX ? -1 : (int)timeout_ms))
        return rv_fail(REEVE_ETIME, "cannot join the manager: it is still there after %u ms",
                       timeout_ms);
    m->state = REEVE_MANAGER_SHUTDOWN;
    return REEVE_OK;
}

reeve_err reeve_manager_free(reeve_manager **out)
{
    reeve_manager *m = *out;
    reeve_err err = REEVE_OK;

    if (m == NULL)
        return REEVE_OK;
    *out = NULL;
    if (m->process >= 0 && m->owner == getpid())
        (void)reeve_manager_shutdown(m);
    else
        m->folder[0] = '\0';
    err = reeve_close(&m->ctx);
    if (m->state == REEVE_MANAGER_SHUTDOWN)
        err = REEVE_OK; /* there is nobody to say goodbye to */
    close_fd(&m->process);
    close_fd(&m->lifeline);
    remove_folder(m);
    free(m->address);
    free(m->keys);
    free(m->key);
    free(m->data);
    free(m);
    return err;
}

/* ---- what is asked ---- */

const char *reeve_manager_end(const reeve_manager *m)
{
    return m->end[0] == '\0' ? NULL : m->end;
}

reeve_manager_state reeve_manager_state_of(const reeve_manager *m)
{
    return m->state;
}

const char *reeve_manager_address(const reeve_manager *m)
{
    return m->known ? m->address : NULL;
}

reeve_err reeve_manager_context(reeve_context **out, const reeve_manager *m)
{
    *out = NULL;
    if (m->state != REEVE_MANAGER_STARTED)
        return rv_fail(REEVE_EINVAL, "cannot use the manager: %s",
                       m->state == REEVE_MANAGER_INITIAL ? "it has not been started"
                                                         : "it has shut down");
    *out = m->ctx;
    return REEVE_OK;
}

reeve_err reeve_manager_number_of_objects(uint64_t *out, const reeve_manager *m,
                                          uint32_t timeout_ms)
{
    reeve_context *ctx = NULL;
    reeve_value *v = NULL;
    reeve_err err = reeve_manager_context(&ctx, m);

    *out = 0;
    if (err == REEVE_OK)
        err = reeve_status(&v, ctx, timeout_ms);
    if (err == REEVE_OK && !reeve_get_uint(reeve_value_find(v, "objects"), out))
        err = rv_fail(REEVE_EPROTO, "cannot read the manager's answer: malformed");
    reeve_value_free(&v);
    return err;
}
