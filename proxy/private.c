#include "proxy/private.h"

#include "common/net/net.h"
#include "common/proc/proc.h"
#include "proxy/context.h"

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    AGENT_MS = 10000, /* from its start until it takes work */
    GONE_MS = 5000,   /* that the end waits for the others to be gone */
    FD_READY = 3,     /* as they have them */
    FD_LIFELINE = 4,
    FD_TRACE = 5,
    FOLDER_MAX = 80, /* a socket's path has at most 107 bytes */
};

struct rv_private {
    char folder[FOLDER_MAX];
    char url[FOLDER_MAX + 32];
    int lifeline[2];       /* ours, theirs */
    int trace[2];          /* a pipe: ours to read, which ends with the last of them; theirs */
    pthread_mutex_t mutex; /* of those that start agents */
    uint32_t slots;
    unsigned agents;
};

/* ---- where the programs are ---- */

static bool runnable(const char *path)
{
    struct stat st;

    return access(path, X_OK) == 0 && stat(path, &st) == 0 && S_ISREG(st.st_mode);
}

static bool try_folder(char out[PATH_MAX], const char *folder, size_t len, const char *below,
                       const char *program)
{
    int n = snprintf(out, PATH_MAX, "%.*s%s/%s", (int)len, folder, below, program);

    return n > 0 && n < PATH_MAX && runnable(out);
}

/* Beside the library; of a program that has it inside, beside that. */
static bool try_beside(char out[PATH_MAX], const char *program)
{
    Dl_info info;
    char path[PATH_MAX];
    const char *slash = NULL;
    ssize_t len = 0;

    if (dladdr((const void *)(uintptr_t)rv_private_start, &info) != 0 && info.dli_fname != NULL &&
        (slash = strrchr(info.dli_fname, '/')) != NULL &&
        (try_folder(out, info.dli_fname, (size_t)(slash - info.dli_fname), "", program) ||
         try_folder(out, info.dli_fname, (size_t)(slash - info.dli_fname), "/../bin", program)))
        return true;
    len = readlink("/proc/self/exe", path, sizeof path - 1);
    if (len <= 0)
        return false;
    path[len] = '\0';
    slash = strrchr(path, '/');
    return slash != NULL && try_folder(out, path, (size_t)(slash - path), "", program);
}

static bool try_path(char out[PATH_MAX], const char *program)
{
    const char *at = getenv("PATH");

    while (at != NULL && *at != '\0') {
        size_t len = strcspn(at, ":");

        if (len > 0 && try_folder(out, at, len, "", program))
            return true;
        at += len;
        at += *at == ':';
    }
    return false;
}

reeve_err rv_private_find(char *out, const char *program)
{
    const char *bindir = getenv("REEVE_BINDIR");

    if (bindir != NULL && *bindir != '\0') {
        if (try_folder(out, bindir, strlen(bindir), "", program))
            return REEVE_OK;
        return rv_fail(REEVE_ESYS, "cannot start a private manager: no %s in REEVE_BINDIR, %.200s",
                       program, bindir);
    }
    if (try_beside(out, program) ||
        try_folder(out, REEVE_PREFIX, strlen(REEVE_PREFIX), "/bin", program) ||
        try_path(out, program))
        return REEVE_OK;
    return rv_fail(REEVE_ESYS,
                   "cannot start a private manager: no %s beside libreeve, in %s/bin or in PATH; "
                   "set REEVE_BINDIR to its folder, or REEVE_URL to a manager",
                   program, REEVE_PREFIX);
}

/* ---- the folder ---- */

static bool make_folder(struct rv_private *p, const char *under)
{
    int n = under == NULL || under[0] != '/'
                ? -1
                : snprintf(p->folder, sizeof p->folder, "%s/reeve-XXXXXX", under);

    return n > 0 && n < FOLDER_MAX && mkdtemp(p->folder) != NULL;
}

static reeve_err begin_folder(struct rv_private *p)
{
    if (!make_folder(p, getenv("XDG_RUNTIME_DIR")) && !make_folder(p, getenv("TMPDIR")) &&
        !make_folder(p, "/tmp")) {
        p->folder[0] = '\0';
        return rv_fail(REEVE_ESYS, "cannot start a private manager: no folder under /tmp: %s",
                       strerror(errno));
    }
    snprintf(p->url, sizeof p->url, "ipc://%s/reeve.sock", p->folder);
    return REEVE_OK;
}

/* The manager does this too; whoever is first. */
static void remove_folder(const char *folder)
{
    DIR *dir = folder[0] == '\0' ? NULL : opendir(folder);
    const struct dirent *entry = NULL;

    if (dir == NULL)
        return;
    while ((entry = readdir(dir)) != NULL)
        (void)unlinkat(dirfd(dir), entry->d_name, 0);
    closedir(dir);
    (void)rmdir(folder);
}

/* ---- starting ---- */

/* What is said to us is not said to them. They may find each other, and so may what they start. */
static char **make_environment(const struct rv_private *p, char *url, size_t url_len)
{
    size_t len = 0;
    size_t to = 0;
    char **out = NULL;

    while (environ[len] != NULL)
        len++;
    out = malloc((len + 2) * sizeof(char *));
    if (out == NULL)
        return NULL;
    for (size_t i = 0; i < len; i++)
        if (strncmp(environ[i], "REEVE_", 6) != 0 || strncmp(environ[i], "REEVE_BINDIR=", 13) == 0)
            out[to++] = environ[i];
    snprintf(url, url_len, "REEVE_URL=%s", p->url);
    out[to++] = url;
    out[to] = NULL;
    return out;
}

/* The last line that it logged, for people. */
static void last_words(const char *log, char *out, size_t len)
{
    char text[2048];
    int fd = open(log, O_RDONLY | O_CLOEXEC);
    off_t end = fd < 0 ? 0 : lseek(fd, 0, SEEK_END);
    off_t from = end > (off_t)sizeof text - 1 ? end - (off_t)sizeof text + 1 : 0;
    ssize_t got = fd < 0 ? 0 : pread(fd, text, sizeof text - 1, from);
    const char *line = NULL;

    if (fd >= 0)
        close(fd);
    while (got > 0 && text[got - 1] == '\n')
        got--;
    text[got > 0 ? got : 0] = '\0';
    line = strrchr(text, '\n');
    snprintf(out, len, "%.250s", line == NULL ? text : line + 1);
}

/* It says a line when it is ready. */
static reeve_err wait_ready(int fd, const char *program, const char *log, uint32_t timeout_ms)
{
    rv_ns deadline = rv_after_ms(rv_clock_now(), timeout_ms);
    char words[300];

    for (;;) {
        struct pollfd at = {.fd = fd, .events = POLLIN};
        rv_ns left = deadline == RV_NEVER ? RV_SEC : deadline - rv_clock_now();
        char byte = 0;
        ssize_t got = 0;

        if (left <= 0)
            return rv_fail(REEVE_ETIME,
                           "cannot start a private manager: %s is not ready after %u ms", program,
                           timeout_ms);
        if (poll(&at, 1, left > 60 * RV_SEC ? 60000 : (int)(left / RV_MS + 1)) <= 0)
            continue;
        got = read(fd, &byte, 1);
        if (got > 0 && byte == '\n')
            return REEVE_OK;
        if (got > 0 || (got < 0 && errno == EINTR))
            continue;
        last_words(log, words, sizeof words);
        return rv_fail(REEVE_ESYS, "cannot start a private manager: %s ended at once: %s", program,
                       words);
    }
}

/* Start one of ours and wait until it is ready. */
static reeve_err start(const struct rv_private *p, const char *program, char *const *argv,
                       const char *log, uint32_t timeout_ms)
{
    char path[PATH_MAX];
    char url[sizeof p->url + 16];
    char **env = NULL;
    int ready[2] = {-1, -1};
    int log_fd = -1;
    reeve_err err = rv_private_find(path, program);

    if (err != REEVE_OK)
        return err;
    env = make_environment(p, url, sizeof url);
    log_fd = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (env == NULL) {
        err = rv_fail(REEVE_ENOMEM, "cannot start a private manager: out of memory");
    } else if (log_fd < 0 || pipe2(ready, O_CLOEXEC) != 0) {
        err = rv_fail(REEVE_ESYS, "cannot start a private manager: %s", strerror(errno));
    } else {
        const struct rv_proc_fd fds[] = {{log_fd, 2},
                                         {ready[1], FD_READY},
                                         {p->lifeline[1], FD_LIFELINE},
                                         {p->trace[1], FD_TRACE}};
        const struct rv_proc_conf conf = {
            .path = path, .argv = argv, .envp = env, .fds = fds, .fds_len = rv_countof(fds)};

        if (!rv_proc_daemon(&conf))
            err = rv_fail(REEVE_ESYS, "cannot start %s: %s", path, strerror(errno));
        close(ready[1]);
        ready[1] = -1;
    }
    if (err == REEVE_OK)
        err = wait_ready(ready[0], program, log, timeout_ms);
    for (size_t i = 0; i < 2; i++)
        if (ready[i] >= 0)
            close(ready[i]);
    if (log_fd >= 0)
        close(log_fd);
    free(env);
    return err;
}

static reeve_err start_manager(const struct rv_private *p, uint32_t timeout_ms)
{
    char log[FOLDER_MAX + 32];
    const char *const argv[] = {"reeve-server",
                                "--bind",
                                p->url,
                                "--keys",
                                p->folder,
                                "--temporary",
                                p->folder,
                                "--ready-fd",
                                "3",
                                "--lifeline-fd",
                                "4",
                                "--config",
                                "/dev/null",
                                "--log-level",
                                "warn",
                                NULL};

    snprintf(log, sizeof log, "%s/manager.log", p->folder);
    return start(p, argv[0], (char *const *)(uintptr_t)argv, log, timeout_ms);
}

reeve_err rv_private_start(struct rv_private **out, uint32_t timeout_ms)
{
    struct rv_private *p = calloc(1, sizeof *p);
    reeve_err err = REEVE_OK;

    *out = NULL;
    if (p == NULL)
        return rv_fail(REEVE_ENOMEM, "cannot start a private manager: out of memory");
    pthread_mutex_init(&p->mutex, NULL);
    p->lifeline[0] = p->lifeline[1] = p->trace[0] = p->trace[1] = -1;
    err = begin_folder(p);
    if (err == REEVE_OK && (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, p->lifeline) != 0 ||
                            pipe2(p->trace, O_CLOEXEC) != 0))
        err = rv_fail(REEVE_ESYS, "cannot start a private manager: %s", strerror(errno));
    if (err == REEVE_OK)
        err = start_manager(p, timeout_ms);
    if (err != REEVE_OK) {
        rv_private_end(&p);
        return err;
    }
    *out = p;
    return REEVE_OK;
}

const char *rv_private_url(const struct rv_private *p)
{
    return p->url;
}

static uint32_t processors(void)
{
    cpu_set_t set;

    return sched_getaffinity(0, sizeof set, &set) == 0 ? (uint32_t)CPU_COUNT(&set) : 1;
}

static reeve_err start_agent(struct rv_private *p, uint32_t slots)
{
    char log[FOLDER_MAX + 64];
    char name[32] = "local";
    char number[16];
    const char *const argv[] = {"reeve-worker",
                                "--manager",
                                p->url,
                                "--name",
                                name,
                                "--slots",
                                number,
                                "--ready-fd",
                                "3",
                                "--lifeline-fd",
                                "4",
                                "--config",
                                "/dev/null",
                                "--log-level",
                                "warn",
                                NULL};
    reeve_err err = REEVE_OK;

    if (p->agents > 0)
        snprintf(name, sizeof name, "local-%u", p->agents + 1);
    snprintf(number, sizeof number, "%u", slots - p->slots);
    snprintf(log, sizeof log, "%s/%s.log", p->folder, name);
    err = start(p, argv[0], (char *const *)(uintptr_t)argv, log, AGENT_MS);
    if (err != REEVE_OK)
        return err;
    p->agents++;
    p->slots = slots;
    return REEVE_OK;
}

reeve_err rv_private_agent(struct rv_private *p, uint32_t *slots)
{
    reeve_err err = REEVE_OK;

    if (*slots == 0)
        *slots = processors();
    pthread_mutex_lock(&p->mutex);
    if (p->slots < *slots)
        err = start_agent(p, *slots);
    pthread_mutex_unlock(&p->mutex);
    return err;
}

/* ---- the end ---- */

static void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

/* The pipe ends when nobody has its other end: all of them are gone. */
static void wait_gone(int trace)
{
    struct pollfd at = {.fd = trace, .events = POLLIN};
    rv_ns deadline = rv_after_ms(rv_clock_now(), GONE_MS);

    while (trace >= 0 && poll(&at, 1, (int)((deadline - rv_clock_now()) / RV_MS)) < 0 &&
           errno == EINTR && rv_clock_now() < deadline) {
    }
}

void rv_private_end(struct rv_private **out)
{
    struct rv_private *p = *out;

    if (p == NULL)
        return;
    *out = NULL;
    close_fd(&p->lifeline[0]);
    close_fd(&p->lifeline[1]);
    close_fd(&p->trace[1]);
    wait_gone(p->trace[0]);
    close_fd(&p->trace[0]);
    remove_folder(p->folder);
    pthread_mutex_destroy(&p->mutex);
    free(p);
}

void rv_private_forget(struct rv_private **out)
{
    struct rv_private *p = *out;

    if (p == NULL)
        return;
    *out = NULL;
    for (size_t i = 0; i < 2; i++) {
        close_fd(&p->lifeline[i]);
        close_fd(&p->trace[i]);
    }
    free(p);
}
