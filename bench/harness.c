#include "bench/harness.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { READY_MS = 10000, END_MS = 3000, AGENTS_MAX = 8 };

static struct {
    char programs[PATH_MAX / 4]; /* where reeve and reeve-server are */
    char dir[PATH_MAX / 4];      /* ours, temporary */
    char url[64];
    char key[PATH_MAX];
    pid_t server, owner;
    pid_t agents[AGENTS_MAX];
    uint32_t slots;
    size_t agents_len;
    bool durable;
} harness;

static void pause_ms(long ms)
{
    nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000}, NULL);
}

static void find_programs(void)
{
    char *slash = NULL;
    const ssize_t len = readlink("/proc/self/exe", harness.programs, sizeof harness.programs - 1);

    if (len < 0)
        bench_die("unable to find the programs: %s", strerror(errno));
    for (int up = 0; up < 2; up++) {
        slash = strrchr(harness.programs, '/');
        if (slash == NULL)
            bench_die("unable to find the programs from %s", harness.programs);
        *slash = '\0';
    }
}

static void make_dir(void)
{
    const char *tmp = getenv("TMPDIR");

    snprintf(harness.dir, sizeof harness.dir, "%s/reeve-bench-XXXXXX", tmp == NULL ? "/tmp" : tmp);
    if (mkdtemp(harness.dir) == NULL)
        bench_die("unable to make %s: %s", harness.dir, strerror(errno));
}

/* A port that was free a moment ago. */
static int free_port(void)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof a;
    const int fd = socket(AF_INET, SOCK_STREAM, 0);

    if (fd < 0 || bind(fd, (struct sockaddr *)&a, len) != 0 ||
        getsockname(fd, (struct sockaddr *)&a, &len) != 0)
        bench_die("unable to find a free port: %s", strerror(errno));
    close(fd);
    return ntohs(a.sin_port);
}

/* Start a line of the shell in our folder, with what it prints in log. */
static pid_t start(const char *line)
{
    const pid_t parent = getpid();
    const pid_t pid = fork();

    if (pid < 0)
        bench_die("unable to fork: %s", strerror(errno));
    if (pid > 0)
        return pid;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent || chdir(harness.dir) != 0)
        _exit(1);
    const int log = open("log", O_WRONLY | O_CREAT | O_APPEND, 0600);
    dup2(log, STDOUT_FILENO);
    dup2(log, STDERR_FILENO);
    execl("/bin/sh", "sh", "-c", line, (char *)NULL);
    _exit(127);
}

static FILE *open_log(void)
{
    char path[sizeof harness.dir + 8];

    snprintf(path, sizeof path, "%s/log", harness.dir);
    return fopen(path, "r");
}

static void show_log(void)
{
    char line[1024];
    FILE *f = open_log();

    for (int i = 0; f != NULL && i < 20 && fgets(line, sizeof line, f) != NULL; i++)
        fputs(line, stderr);
    if (f != NULL)
        fclose(f);
}

static bool log_has(const char *text)
{
    char line[1024];
    bool found = false;
    FILE *f = open_log();

    while (f != NULL && !found && fgets(line, sizeof line, f) != NULL)
        found = strstr(line, text) != NULL;
    if (f != NULL)
        fclose(f);
    return found;
}

static void make_keys(void)
{
    char line[PATH_MAX];
    int status = 0;

    snprintf(line, sizeof line,
             "set -e; r=%s/reeve\n"
             "$r keygen --dir manager manager\n"
             "$r keygen --dir alice --trust manager/manager.pub --rights all,run alice\n"
             "$r keygen --dir agent --trust manager/manager.pub --role worker agent\n"
             "mkdir -p manager/authorized.d\n"
             "cp alice/alice.pub agent/agent.pub manager/authorized.d/",
             harness.programs);
    if (waitpid(start(line), &status, 0) < 0 || status != 0) {
        show_log();
        bench_die("unable to make keys with %s/reeve", harness.programs);
    }
    snprintf(harness.key, sizeof harness.key, "%s/alice/alice.key", harness.dir);
}

static void start_server(void)
{
    char line[PATH_MAX];
    const int64_t until = bench_now() + READY_MS * INT64_C(1000000);

    snprintf(harness.url, sizeof harness.url, "tcp://127.0.0.1:%d", free_port());
    snprintf(line, sizeof line, "exec %s/reeve-server --keys manager --bind %s%s", harness.programs,
             harness.url, harness.durable ? " --data data" : "");
    harness.server = start(line);
    while (!log_has("endpoint=")) {
        if (waitpid(harness.server, NULL, WNOHANG) != 0 || bench_now() > until) {
            show_log();
            bench_die("%s/reeve-server does not serve %s", harness.programs, harness.url);
        }
        pause_ms(5);
    }
}

void harness_durable(void)
{
    harness.durable = true;
}

void harness_start(void)
{
    find_programs();
    make_dir();
    harness.owner = getpid();
    atexit(harness_stop);
    /* Nobody's settings but ours. */
    setenv("REEVE_CONFIG", "/dev/null", 1);
    make_keys();
    start_server();
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
    (void)st;
    (void)type;
    (void)at;
    return remove(path);
}

static void start_agent(size_t i)
{
    char line[PATH_MAX];

    snprintf(line, sizeof line,
             "exec %s/reeve-worker --key agent/agent.key --manager %s --name a%zu "
             "--cache %s/cache --slots %u",
             harness.programs, harness.url, i, harness.dir, harness.slots);
    harness.agents[i] = start(line);
}

static void end_agent(size_t i)
{
    kill(harness.agents[i], SIGKILL); /* its tasks die with it */
    waitpid(harness.agents[i], NULL, 0);
}

void harness_agent(uint32_t slots)
{
    if (harness.agents_len == AGENTS_MAX)
        bench_die("at most %d agents", AGENTS_MAX);
    harness.slots = slots;
    start_agent(harness.agents_len++);
}

void harness_agent_restart(size_t i)
{
    i %= harness.agents_len;
    end_agent(i);
    start_agent(i);
}

void harness_stop(void)
{
    if (harness.owner != getpid())
        return;
    while (harness.agents_len > 0)
        end_agent(--harness.agents_len);
    if (harness.server > 0) {
        const int64_t until = bench_now() + END_MS * INT64_C(1000000);
        kill(harness.server, SIGTERM);
        while (waitpid(harness.server, NULL, WNOHANG) == 0)
            if (bench_now() > until)
                kill(harness.server, SIGKILL);
            else
                pause_ms(2);
    }
    nftw(harness.dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    harness.owner = 0;
}

pid_t harness_server(void)
{
    return harness.server;
}

reeve_context *harness_open(void)
{
    const reeve_options options = {
        .url = harness.url, .key = harness.key, .connect_timeout_ms = HARNESS_WAIT_MS};
    reeve_context *ctx = NULL;

    harness_check(reeve_open(&ctx, &options), "open a context");
    return ctx;
}

reeve_queue *harness_queue(reeve_context *ctx)
{
    reeve_queue *queue = NULL;

    harness_check(reeve_queue_open(&queue, ctx, "bench", NULL), "open a queue");
    return queue;
}

void harness_check(reeve_err err, const char *what)
{
    if (err != REEVE_OK)
        bench_die("unable to %s: %s", what, reeve_errmsg());
}
