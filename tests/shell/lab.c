#include "tests/shell/lab.h"

#include "common/net/net.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

enum { LOG_FLAGS = O_WRONLY | O_CREAT | O_APPEND };

/* ---- words ---- */

void lab_expect(const char *file, int line, const char *text, reeve_err got, reeve_err wanted)
{
    if (got == wanted)
        return;
    fprintf(stderr, "%s:%d: %s: wanted \"%s\", got \"%s\": %s\n", file, line, text,
            reeve_strerror(wanted), reeve_strerror(got), got == REEVE_OK ? "" : reeve_errmsg());
    check_failed(file, line, text);
}

void lab_says(const char *file, int line, const char *words)
{
    if (strstr(reeve_errmsg(), words) != NULL)
        return;
    fprintf(stderr, "%s:%d: wanted \"%s\" in: %s\n", file, line, words, reeve_errmsg());
    check_failed(file, line, words);
}

/* ---- the folder ---- */

static void key_path(const struct lab *lab, const char *folder, const char *name, const char *kind,
                     char *path, size_t len)
{
    snprintf(path, len, "%s/%s%s.%s", lab->dir, folder, name, kind);
}

static void write_key(const struct rv_keyfile *key, const char *path, bool secret)
{
    char why[RV_KEYS_WHY];

    if (rv_keys_write(key, path, secret, why) == REEVE_OK)
        return;
    fprintf(stderr, "%s\n", why);
    CHECK(!"a key file was written");
}

static void admit(const struct lab *lab, const struct rv_keyfile *own, const char *role,
                  const char *rights)
{
    struct rv_keyfile shown = {0};
    char path[160];

    snprintf(shown.name, sizeof shown.name, "%s", own->name);
    snprintf(shown.public_key, sizeof shown.public_key, "%s", own->public_key);
    snprintf(shown.role, sizeof shown.role, "%s", role);
    if (rights != NULL)
        snprintf(shown.rights[shown.rights_len++], sizeof shown.rights[0], "%s", rights);
    key_path(lab, "authorized.d/", own->name, "pub", path, sizeof path);
    write_key(&shown, path, false);
}

void lab_client(const struct lab *lab, const char *name, const char *const *servers,
                size_t servers_len, const char *role, const char *rights, char *path,
                size_t path_len)
{
    struct rv_keyfile key = {0};

    rv_keys_generate(&key);
    snprintf(key.name, sizeof key.name, "%s", name);
    for (size_t i = 0; i < servers_len; i++)
        snprintf(key.servers[key.servers_len++], RV_KEY_TEXT, "%s", servers[i]);
    key_path(lab, "", name, "key", path, path_len);
    write_key(&key, path, true);
    if (role != NULL)
        admit(lab, &key, role, rights);
}

static void forget_environment(void)
{
    static const char *const words[] = {
        "REEVE_URL",       "REEVE_KEY",       "REEVE_PROGRAM", "REEVE_CONNECT_TIMEOUT_MS",
        "REEVE_RESUME_MS", "REEVE_LINGER_MS", "REEVE_CONFIG",  "XDG_RUNTIME_DIR"};

    for (size_t i = 0; i < rv_countof(words); i++)
        unsetenv(words[i]);
}

void lab_begin(struct lab *lab)
{
    char path[160];
    const char *server = NULL;

    *lab = (struct lab){.dir = "/tmp/reeve-lab-XXXXXX"};
    CHECK(mkdtemp(lab->dir) != NULL);
    forget_environment();
    CHECK(setenv("HOME", lab->dir, 1) == 0);
    CHECK(setenv("XDG_RUNTIME_DIR", lab->dir, 1) == 0);
    snprintf(path, sizeof path, "%s/authorized.d", lab->dir);
    CHECK(mkdir(path, 0755) == 0);
    rv_keys_generate(&lab->manager);
    snprintf(lab->manager.name, sizeof lab->manager.name, "manager");
    key_path(lab, "", "manager", "key", path, sizeof path);
    write_key(&lab->manager, path, true);
    server = lab->manager.public_key;
    lab_client(lab, "client", &server, 1, "admin", NULL, lab->key_path, sizeof lab->key_path);
    CHECK(rv_keys_read(&lab->client, lab->key_path, true, (char[RV_KEYS_WHY]){0}) == REEVE_OK);
}

void lab_file(const struct lab *lab, const char *name, const char *text, char *path, size_t len)
{
    FILE *file = NULL;

    snprintf(path, len, "%s/%s", lab->dir, name);
    file = fopen(path, "we");
    CHECK(file != NULL);
    CHECK(fputs(text, file) >= 0);
    CHECK(fclose(file) == 0);
}

static int remove_one(const char *path, const struct stat *st, int what, struct FTW *where)
{
    (void)st;
    (void)what;
    (void)where;
    return remove(path) != 0 && errno != ENOENT; /* what ends just now takes its own files */
}

int __lsan_do_recoverable_leak_check(void) __attribute__((weak));

void lab_end(struct lab *lab)
{
    CHECK(nftw(lab->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS) == 0);
    if (__lsan_do_recoverable_leak_check != NULL)
        CHECK(__lsan_do_recoverable_leak_check() == 0);
}

/* ---- a real manager ---- */

/* The program that was built with this one. */
static void program_path(char *path, size_t len, const char *name)
{
    ssize_t got = readlink("/proc/self/exe", path, len - 1);
    char *slash = NULL;

    CHECK(got > 0);
    path[got] = '\0';
    slash = strrchr(path, '/');
    snprintf(slash + 1, len - (size_t)(slash + 1 - path), "%s", name);
}

static void read_url(struct manager *m, int fd)
{
    size_t len = 0;
    ssize_t got = 0;

    while (len < sizeof m->url - 1 && (got = read(fd, m->url + len, sizeof m->url - 1 - len)) > 0)
        len += (size_t)got;
    m->url[len] = '\0';
    m->url[strcspn(m->url, "\n")] = '\0';
    CHECK(m->url[0] != '\0');
}

/* It ends with this process, however that ends: the write end of lifeline closes then. */
/* data: a folder for its log, or NULL. */
static void start_manager(struct manager *m, const struct lab *lab, const char *bind,
                          const char *data)
{
    char path[512];
    char log[128];
    int ready[2];
    int lifeline[2];
    posix_spawn_file_actions_t actions;
    const char *const argv[] = {"reeve-server",
                                "--bind",
                                bind,
                                "--keys",
                                lab->dir,
                                "--ready-fd",
                                "9",
                                "--lifeline-fd",
                                "8",
                                data == NULL ? NULL : "--data",
                                data,
                                NULL};

    program_path(path, sizeof path, "reeve-server");
    snprintf(log, sizeof log, "%s/manager.log", lab->dir);
    CHECK(pipe2(ready, O_CLOEXEC) == 0);
    CHECK(pipe2(lifeline, O_CLOEXEC) == 0);
    CHECK(posix_spawn_file_actions_init(&actions) == 0);
    CHECK(posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, log, LOG_FLAGS, 0644) == 0);
    CHECK(posix_spawn_file_actions_adddup2(&actions, ready[1], 9) == 0);
    CHECK(posix_spawn_file_actions_adddup2(&actions, lifeline[0], 8) == 0);
    CHECK(posix_spawn(&m->pid, path, &actions, NULL, (char *const *)(uintptr_t)argv, environ) == 0);
    posix_spawn_file_actions_destroy(&actions);
    close(ready[1]);
    close(lifeline[0]);
    m->lifeline = lifeline[1];
    read_url(m, ready[0]);
    close(ready[0]);
}

void manager_start(struct manager *m, const struct lab *lab, const char *bind)
{
    start_manager(m, lab, bind, NULL);
}

void manager_start_ipc(struct manager *m, const struct lab *lab)
{
    char bind[128];

    snprintf(bind, sizeof bind, "ipc://%s/run/reeve.sock", lab->dir);
    manager_start(m, lab, bind);
}

void manager_start_log(struct manager *m, const struct lab *lab)
{
    char bind[128];
    char data[128];

    snprintf(bind, sizeof bind, "ipc://%s/run/reeve.sock", lab->dir);
    snprintf(data, sizeof data, "%s/data", lab->dir);
    start_manager(m, lab, bind, data);
}

void manager_kill(struct manager *m)
{
    lab_kill(m->pid);
    close(m->lifeline);
    m->pid = 0;
}

int manager_wait(struct manager *m)
{
    int code = lab_exit_code(m->pid);

    close(m->lifeline);
    return code;
}

/* ---- an agent ---- */

void worker_start(struct worker *w, const struct lab *lab, const char *url, const char *slots,
                  const char *const *flags)
{
    enum { FLAGS = 32 };
    static unsigned count;
    char path[512];
    char name[32];
    char cache[128];
    char byte = 0;
    int ready[2];
    int lifeline[2];
    size_t len = 0;
    posix_spawn_file_actions_t actions;
    const char *const fixed[] = {
        "reeve-worker", "--manager", url,          "--slots", slots,           "--name", name,
        "--cache",      cache,       "--ready-fd", "9",       "--lifeline-fd", "8"};
    const char *argv[FLAGS] = {NULL};

    program_path(path, sizeof path, "reeve-worker");
    snprintf(name, sizeof name, "agent%u", ++count);
    snprintf(cache, sizeof cache, "%s/cache", lab->dir);
    snprintf(w->log, sizeof w->log, "%s/%s.log", lab->dir, name);
    for (; len < sizeof fixed / sizeof fixed[0]; len++)
        argv[len] = fixed[len];
    for (; flags != NULL && *flags != NULL && len + 1 < FLAGS; flags++)
        argv[len++] = *flags;
    CHECK(pipe2(ready, O_CLOEXEC) == 0);
    CHECK(pipe2(lifeline, O_CLOEXEC) == 0);
    CHECK(posix_spawn_file_actions_init(&actions) == 0);
    CHECK(posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, w->log, LOG_FLAGS, 0644) == 0);
    CHECK(posix_spawn_file_actions_adddup2(&actions, ready[1], 9) == 0);
    CHECK(posix_spawn_file_actions_adddup2(&actions, lifeline[0], 8) == 0);
    CHECK(posix_spawn(&w->pid, path, &actions, NULL, (char *const *)(uintptr_t)argv, environ) == 0);
    posix_spawn_file_actions_destroy(&actions);
    close(ready[1]);
    close(lifeline[0]);
    w->lifeline = lifeline[1];
    CHECK(read(ready[0], &byte, 1) == 1);
    close(ready[0]);
}

int worker_end(struct worker *w)
{
    int code = 0;

    CHECK(kill(w->pid, SIGTERM) == 0);
    code = lab_exit_code(w->pid);
    close(w->lifeline);
    return code;
}

bool worker_says(const struct worker *w, const char *words)
{
    static char text[65536];
    FILE *f = fopen(w->log, "re");
    size_t len = f == NULL ? 0 : fread(text, 1, sizeof text - 1, f);

    if (f != NULL)
        fclose(f);
    text[len] = '\0';
    return strstr(text, words) != NULL;
}

/* ---- processes and threads ---- */

pid_t lab_process(void (*fn)(void *arg, int fd), void *arg, int *from)
{
    int fds[2];
    pid_t pid = 0;

    CHECK(pipe2(fds, O_CLOEXEC) == 0);
    fflush(NULL);
    pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        close(fds[0]);
        alarm(30);
        fn(arg, fds[1]);
        fflush(NULL);
        _exit(0);
    }
    close(fds[1]);
    *from = fds[0];
    return pid;
}

void lab_kill(pid_t pid)
{
    CHECK(kill(pid, SIGKILL) == 0);
    CHECK(waitpid(pid, NULL, 0) == pid);
}

int lab_exit_code(pid_t pid)
{
    int status = 0;

    CHECK(waitpid(pid, &status, 0) == pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

void lab_tell(int fd)
{
    CHECK(write(fd, "!", 1) == 1);
}

bool lab_hear(int fd)
{
    char byte = 0;
    ssize_t got = 0;

    do
        got = read(fd, &byte, 1);
    while (got < 0 && errno == EINTR);
    return got == 1;
}

pthread_t lab_thread(void *(*fn)(void *arg), void *arg)
{
    pthread_t thread;

    CHECK(pthread_create(&thread, NULL, fn, arg) == 0);
    return thread;
}

void lab_join(pthread_t thread)
{
    CHECK(pthread_join(thread, NULL) == 0);
}

/* ---- contexts ---- */

reeve_context *lab_open(const struct lab *lab, const char *url)
{
    reeve_context *ctx = NULL;

    OK(reeve_open(&ctx, &(reeve_options){.url = url, .key = lab->key_path}));
    return ctx;
}

reeve_queue *lab_queue(reeve_context *ctx, const char *name, const reeve_queue_options *options)
{
    reeve_queue *q = NULL;

    OK(reeve_queue_open(&q, ctx, name, options));
    return q;
}

reeve_err lab_put_int(reeve_queue *q, int64_t x, uint32_t timeout_ms)
{
    reeve_builder *b = reeve_builder_new();
    reeve_err err = reeve_put_int(b, x);

    CHECK(err == REEVE_OK);
    err = reeve_queue_put(q, b, timeout_ms);
    reeve_builder_free(&b);
    return err;
}

reeve_err lab_get_int(int64_t *x, reeve_queue *q, uint32_t timeout_ms)
{
    reeve_value *v = NULL;
    reeve_err err = reeve_queue_get(&v, q, timeout_ms);

    CHECK((v != NULL) == (err == REEVE_OK));
    if (v != NULL)
        CHECK(reeve_get_int(v, x));
    reeve_value_free(&v);
    return err;
}

static uint64_t number_at(const reeve_value *map, const char *word)
{
    const reeve_value *v = reeve_value_find(map, word);
    uint64_t x = 0;
    bool truth = false;

    if (reeve_get_bool(v, &truth))
        return truth;
    CHECK(reeve_get_uint(v, &x));
    return x;
}

uint64_t lab_status(reeve_context *ctx, const char *word)
{
    reeve_value *v = NULL;
    uint64_t x = 0;

    OK(reeve_status(&v, ctx, 5000));
    x = number_at(v, word);
    reeve_value_free(&v);
    return x;
}

static bool text_is(const reeve_value *v, const char *wanted)
{
    const char *text = NULL;
    size_t len = 0;

    return reeve_get_str(v, &text, &len) && len == strlen(wanted) && memcmp(text, wanted, len) == 0;
}

/* The number in the first row whose field is the wanted text; UINT64_MAX without one. */
static uint64_t in_row(const reeve_value *rows, const char *field, const char *wanted,
                       const char *word)
{
    for (size_t i = 0; i < reeve_value_len(rows); i++) {
        const reeve_value *row = reeve_value_at(rows, i);

        if (text_is(reeve_value_find(row, field), wanted))
            return number_at(row, word);
    }
    return UINT64_MAX;
}

uint64_t lab_sessions(reeve_context *ctx, const char *program, const char *word)
{
    reeve_value *rows = NULL;
    uint64_t x = 0;

    OK(reeve_sessions(&rows, ctx, 5000));
    x = in_row(rows, "program", program, word);
    reeve_value_free(&rows);
    return x;
}

uint64_t lab_listed(reeve_context *ctx, const char *name, const char *word)
{
    reeve_value *rows = NULL;
    uint64_t x = 0;

    OK(reeve_objects(&rows, ctx, name, 5000));
    x = in_row(rows, "name", name, word);
    reeve_value_free(&rows);
    return x;
}

/* ---- clocks and counters ---- */

int64_t lab_ms(void)
{
    return rv_clock_now() / RV_MS;
}

static int64_t ms_of(struct timeval t)
{
    return (int64_t)t.tv_sec * 1000 + t.tv_usec / 1000;
}

int64_t lab_cpu_ms(void)
{
    struct rusage used;

    CHECK(getrusage(RUSAGE_SELF, &used) == 0);
    return ms_of(used.ru_utime) + ms_of(used.ru_stime);
}

int64_t lab_wakes(void)
{
    struct rusage used;

    CHECK(getrusage(RUSAGE_SELF, &used) == 0);
    return used.ru_nvcsw;
}

static unsigned entries(const char *path)
{
    DIR *dir = opendir(path);
    unsigned count = 0;

    CHECK(dir != NULL);
    while (readdir(dir) != NULL)
        count++;
    closedir(dir);
    return count - 2; /* . and .. */
}

unsigned lab_fds(void)
{
    return entries("/proc/self/fd");
}

unsigned lab_threads(void)
{
    return entries("/proc/self/task");
}

void lab_nap(void)
{
    (void)usleep(1000);
}

uint64_t lab_resident(pid_t pid)
{
    char path[64];
    char line[256];
    unsigned long long kib = 0;
    FILE *file = NULL;

    snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
    file = fopen(path, "re");
    CHECK(file != NULL);
    while (fgets(line, sizeof line, file) != NULL)
        if (sscanf(line, "VmRSS: %llu", &kib) == 1)
            break;
    CHECK(fclose(file) == 0);
    return kib;
}

uint64_t lab_rounds(const char *word, uint64_t otherwise)
{
    const char *text = getenv(word);

    return text == NULL ? otherwise : strtoull(text, NULL, 10);
}
