#include "tests/lib/check.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    TEST_SECONDS = 20, /* of processor time; $CHECK_SECONDS: another number of them */
    WAIT_FACTOR = 10,  /* so many times that by the clock, for a test that waits for ever */
};

static struct check_test *tests;

/* Sorted by file and name, so that a run reads like the folder. */
void check_register(struct check_test *test)
{
    struct check_test **at = &tests;

    while (*at != NULL) {
        int order = strcmp((*at)->file, test->file);

        if (order > 0)
            break;
        at = &(*at)->next;
    }
    test->next = *at;
    *at = test;
}

void check_failed(const char *file, int line, const char *truth)
{
    fprintf(stderr, "%s:%d: check failed: %s\n", file, line, truth);
    fflush(NULL);
    _exit(1);
}

static void keep_last_words(int fd, char *out, int out_len)
{
    int len = 0;
    char part[512];
    ssize_t got = 0;

    while ((got = read(fd, part, sizeof part)) > 0)
        for (ssize_t i = 0; i < got && len < out_len - 1; i++)
            out[len++] = part[i];
    out[len] = '\0';
}

/* By the clock alone, a test that works would fail where many share the processors. */
static void limit(unsigned seconds)
{
    const struct itimerval work = {.it_value = {.tv_sec = (time_t)seconds}};

    setitimer(ITIMER_PROF, &work, NULL);
    alarm(seconds * WAIT_FACTOR);
}

/* Why the process ended that should have returned; NULL when it has said so itself. */
static const char *words_of(int status)
{
    static char text[64];

    if (WIFEXITED(status))
        return NULL;
    if (WTERMSIG(status) == SIGPROF)
        return "it had used up its processor time";
    if (WTERMSIG(status) == SIGALRM)
        return "it waited for ever";
    snprintf(text, sizeof text, "signal %d", WTERMSIG(status));
    return text;
}

bool check_survives(void (*fn)(void *arg), void *arg, unsigned seconds, char *out, int out_len)
{
    int fds[2] = {-1, -1};
    int status = 0;
    pid_t pid = 0;
    const char *why = NULL;

    fflush(NULL);
    if (out != NULL && pipe(fds) != 0)
        return false;
    pid = fork();
    if (pid == 0) {
        if (out != NULL) {
            dup2(fds[1], STDERR_FILENO);
            close(fds[0]);
            close(fds[1]);
        }
        limit(seconds);
        fn(arg);
        exit(0); /* not _exit: a leak checker looks then */
    }
    if (out != NULL) {
        close(fds[1]);
        keep_last_words(fds[0], out, out_len);
        close(fds[0]);
    }
    if (pid <= 0 || waitpid(pid, &status, 0) != pid)
        return false;
    why = words_of(status);
    if (why != NULL && out == NULL)
        fprintf(stderr, "ended: %s\n", why);
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static unsigned test_seconds(void)
{
    const char *text = getenv("CHECK_SECONDS");

    return text == NULL ? (unsigned)TEST_SECONDS : (unsigned)strtoul(text, NULL, 10);
}

static void run_one(void *arg)
{
    const struct check_test *test = arg;

    test->run();
}

int check_run(const char *part)
{
    struct check_test *test = NULL;
    int passed = 0;
    int failed = 0;

    for (test = tests; test != NULL; test = test->next) {
        if (part != NULL && strstr(test->name, part) == NULL)
            continue;
        if (check_survives(run_one, test, test_seconds(), NULL, 0)) {
            printf("PASS %s\n", test->name);
            passed++;
        } else {
            printf("FAIL %s   (again: %s)\n", test->name, test->name);
            failed++;
        }
    }
    printf("[  PASSED  ] %d test(s).\n", passed);
    if (failed > 0)
        printf("[  FAILED  ] %d test(s).\n", failed);
    if (part != NULL && passed + failed == 0) {
        printf("no test has %s in its name\n", part);
        failed = 1;
    }
    fflush(stdout);
    return failed;
}

const char *check_first_failure(void)
{
    struct check_test *test = NULL;
    char words[256];

    for (test = tests; test != NULL; test = test->next)
        if (!check_survives(run_one, test, test_seconds(), words, sizeof words))
            return test->name;
    return NULL;
}
