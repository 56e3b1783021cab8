/* command.c -- the function reeve.command: an item is a command, its value what it printed. */

#include "common/base/buf.h"
#include "common/proc/proc.h"
#include "common/wire/limits.def"

#include <reeve/task.h>
#include <reeve/value.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    WORDS_MAX = 65536, /* arguments, or variables */
    HEADS_BYTES = 256, /* of the value, around what was printed */
    NOT_STARTED = 127, /* as a shell says it */
    CAPTURED_MAX = RV_LIMIT_ITEM_BYTES - HEADS_BYTES,
};

/* Texts with their ends, in one allocation each; the list ends with NULL. */
struct words {
    char **list;
    size_t len;
    size_t owned; /* the first ones are not ours */
};

/* What a command prints, and what it is told. */
struct streams {
    int in, out, err;
    struct rv_slice input;
    struct rv_slice note;     /* goes into the value */
    struct rv_buf printed[2]; /* out, err */
    uint64_t cut;
};

static void words_free(struct words *w)
{
    for (size_t i = w->owned; i < w->len; i++)
        free(w->list[i]);
    free(w->list);
}

static char *joined(const char *a, size_t a_len, const char *between, const char *b, size_t b_len)
{
    size_t mid = strlen(between);
    char *text = rv_alloc(a_len + mid + b_len + 1);

    memcpy(text, a, a_len);
    memcpy(text + a_len, between, mid);
    memcpy(text + a_len + mid, b, b_len);
    return text;
}

static bool add_text(struct words *w, const reeve_value *v)
{
    const char *text = NULL;
    const void *bytes = NULL;
    size_t len = 0;

    if (reeve_get_bytes(v, &bytes, &len))
        text = bytes;
    else if (!reeve_get_str(v, &text, &len))
        return false;
    if (memchr(text, 0, len) != NULL)
        return false;
    w->list[w->len++] = joined(text, len, "", "", 0);
    return true;
}

static bool read_argv(struct words *w, const reeve_value *v)
{
    size_t len = reeve_value_len(v);
    bool well = reeve_value_type(v) == REEVE_ARRAY && len > 0 && len <= WORDS_MAX;

    w->list = rv_alloc((len + 1) * sizeof(char *));
    for (size_t i = 0; well && i < len; i++)
        well = add_text(w, reeve_value_at(v, i));
    return well;
}

/* Our own variables, with those of the item behind them: of two of one name exec's reader takes
 * the first, so ours that are set anew are left out. */
static bool read_env(struct words *w, const reeve_value *v)
{
    size_t len = reeve_value_len(v);
    size_t ours = 0;

    if (reeve_value_type(v) != REEVE_MAP || len > WORDS_MAX)
        return false;
    while (environ[ours] != NULL)
        ours++;
    w->list = rv_alloc((ours + len + 1) * sizeof(char *));
    for (size_t i = 0; i < ours; i++) {
        char name[256];

        snprintf(name, sizeof name, "%.*s", (int)strcspn(environ[i], "="), environ[i]);
        if (reeve_value_find(v, name) == NULL)
            w->list[w->len++] = environ[i];
    }
    w->owned = w->len;
    for (size_t i = 0; i < len; i++) {
        const reeve_value *key = NULL;
        const reeve_value *item = NULL;
        const char *name = NULL;
        const char *text = NULL;
        size_t name_len = 0;
        size_t text_len = 0;

        if (!reeve_value_pair(v, i, &key, &item) || !reeve_get_str(key, &name, &name_len) ||
            !reeve_get_str(item, &text, &text_len) || memchr(name, 0, name_len) != NULL ||
            memchr(text, 0, text_len) != NULL)
            return false;
        w->list[w->len++] = joined(name, name_len, "=", text, text_len);
    }
    return true;
}

static bool read_input(struct rv_slice *out, const reeve_value *v)
{
    const char *text = NULL;
    const void *data = NULL;
    size_t len = 0;

    if (v == NULL)
        return true;
    if (reeve_get_str(v, &text, &len))
        *out = rv_slice(text, len);
    else if (reeve_get_bytes(v, &data, &len))
        *out = rv_slice(data, len);
    else
        return false;
    return true;
}

/* ---- its output ---- */

static void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

/* Read what is there; what is more than fits is dropped and counted. */
static void read_from(struct streams *s, int *fd, size_t which)
{
    size_t kept = s->printed[0].len + s->printed[1].len;
    uint8_t bytes[65536];
    ssize_t len = 0;

    while ((len = read(*fd, bytes, sizeof bytes)) > 0) {
        size_t most = CAPTURED_MAX - s->note.len;
        size_t fits = most > kept ? most - kept : 0;

        fits = fits < (size_t)len ? fits : (size_t)len;
        rv_buf_add(&s->printed[which], bytes, fits);
        kept += fits;
        s->cut += (size_t)len - fits;
        if ((size_t)len < sizeof bytes)
            break;
    }
    if (len == 0 || (len < 0 && errno != EAGAIN && errno != EINTR))
        close_fd(fd);
}

static void write_to(struct streams *s)
{
    ssize_t len = write(s->in, s->input.data, s->input.len);

    if (len > 0)
        s->input = rv_slice(s->input.data + len, s->input.len - (size_t)len);
    if (s->input.len == 0 || (len < 0 && errno != EAGAIN && errno != EINTR))
        close_fd(&s->in);
}

/* Until both outputs are closed, or the process has ended: one that it left behind may hold them
 * open for ever. */
static void carry(struct streams *s, int pidfd)
{
    bool ended = false;

    while (!ended && (s->out >= 0 || s->err >= 0)) {
        struct pollfd fds[4] = {{.fd = s->out, .events = POLLIN},
                                {.fd = s->err, .events = POLLIN},
                                {.fd = s->in, .events = POLLOUT},
                                {.fd = pidfd, .events = POLLIN}};

        if (poll(fds, 4, -1) < 0)
            continue;
        ended = fds[3].revents != 0;
        if (s->out >= 0 && (fds[0].revents != 0 || ended))
            read_from(s, &s->out, 0);
        if (s->err >= 0 && (fds[1].revents != 0 || ended))
            read_from(s, &s->err, 1);
        if (s->in >= 0 && fds[2].revents != 0)
            write_to(s);
    }
}

/* ---- the run ---- */

static bool make_pipe(int *ours, int *theirs, bool we_read)
{
    int ends[2];

    if (pipe2(ends, O_CLOEXEC) != 0)
        return false;
    *ours = ends[we_read ? 0 : 1];
    *theirs = ends[we_read ? 1 : 0];
    return fcntl(*ours, F_SETFL, O_NONBLOCK) == 0;
}

/* Its status of waitpid; -1 with errno when it could not be started. */
static int run(char *const *argv, char *const *envp, struct streams *s)
{
    int theirs[3] = {-1, -1, -1};
    struct rv_proc_fd fds[3];
    struct rv_proc_conf conf = {.path = argv[0],
                                .argv = argv,
                                .envp = envp,
                                .fds = fds,
                                .search = true,
                                .dies_with_us = true};
    pid_t pid = 0;
    int pidfd = -1;
    int status = -1;
    int error = 0;

    signal(SIGPIPE, SIG_IGN); /* a command need not read its input; it has the default itself */
    if (make_pipe(&s->out, &theirs[1], true) && make_pipe(&s->err, &theirs[2], true) &&
        (s->input.len == 0 || make_pipe(&s->in, &theirs[0], false))) {
        for (int i = 0; i < 3; i++)
            if (theirs[i] >= 0)
                fds[conf.fds_len++] = (struct rv_proc_fd){theirs[i], i};
        pid = rv_proc_start(&conf);
    }
    error = errno;
    for (int i = 0; i < 3; i++)
        close_fd(&theirs[i]);
    if (pid > 0) {
        pidfd = rv_pidfd_open(pid);
        carry(s, pidfd);
        while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
        }
        close_fd(&pidfd);
    }
    close_fd(&s->in);
    close_fd(&s->out);
    close_fd(&s->err);
    errno = error;
    return pid > 0 ? status : -1;
}

static reeve_err put_result(reeve_builder *out, const struct streams *s, int64_t code)
{
    const struct rv_buf *p = s->printed;

    (void)reeve_put_map(out, 3 + (size_t)(s->cut > 0) + (size_t)(s->note.len > 0));
    (void)reeve_put_str(out, "out");
    (void)reeve_put_bytes(out, p[0].len == 0 ? (const uint8_t *)"" : p[0].data, p[0].len);
    (void)reeve_put_str(out, "err");
    (void)reeve_put_bytes(out, p[1].len == 0 ? (const uint8_t *)"" : p[1].data, p[1].len);
    (void)reeve_put_str(out, "code");
    (void)reeve_put_int(out, code);
    if (s->cut > 0) {
        (void)reeve_put_str(out, "cut");
        (void)reeve_put_uint(out, s->cut);
    }
    if (s->note.len > 0) {
        (void)reeve_put_str(out, "note");
        (void)reeve_put_bytes(out, s->note.data, s->note.len);
    }
    return reeve_builder_check(out);
}

static reeve_err told(reeve_task *task, reeve_builder *out, const struct streams *s, int status,
                      const char *name)
{
    char text[64];
    int64_t code = 0;

    if (status < 0)
        return reeve_task_fail_code(task, NOT_STARTED, "cannot start %s: %s", name,
                                    strerror(errno));
    code = WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
    if (put_result(out, s, code) != REEVE_OK)
        return reeve_task_fail(task, "no memory for what it printed");
    if (code == 0)
        return REEVE_OK;
    rv_proc_status_text(status, text, sizeof text);
    return reeve_task_fail_code(task, code, "%s", text);
}

/* An array of texts or bytes, or {argv: [...], stdin: text, env: {...}, note: bytes}: the value is {out,
 * err, code}, with `cut`, so many bytes, when it printed more than a value can hold, and with the
 * note as it came. */
static reeve_err command(reeve_task *task, const reeve_value *in, reeve_builder *out)
{
    bool map = reeve_value_type(in) == REEVE_MAP;
    const reeve_value *env = map ? reeve_value_find(in, "env") : NULL;
    struct words argv = {0};
    struct words envp = {0};
    struct streams s = {.in = -1, .out = -1, .err = -1};
    reeve_err err = REEVE_OK;

    if (!read_argv(&argv, map ? reeve_value_find(in, "argv") : in) ||
        !read_input(&s.input, map ? reeve_value_find(in, "stdin") : NULL) ||
        !read_input(&s.note, map ? reeve_value_find(in, "note") : NULL) ||
        (env != NULL && !read_env(&envp, env)))
        err = reeve_task_fail(
            task,
            "a command is an array of texts or bytes, or a map of argv (such an array), stdin "
            "and note (text or bytes) and env (a map of texts)");
    else
        err = told(task, out, &s, run(argv.list, envp.list, &s), argv.list[0]);
    words_free(&argv);
    words_free(&envp);
    rv_buf_free(&s.printed[0]);
    rv_buf_free(&s.printed[1]);
    return err;
}

static const reeve_fn fn_command = {"reeve.command", command};

__attribute__((constructor)) static void register_command(void)
{
    static reeve_registered entry = {.fn = &fn_command};

    reeve_register(&entry);
}
