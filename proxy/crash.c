/* crash.c -- what a deadly signal leaves behind: which, where, and in which file that was.
 *
 * The handler calls the kernel and writes into the shared page, nothing else: no lock, no
 * allocation, no dladdr(), which would wait for the loader's lock when the crash was in it. The
 * name of the function is found by the agent, which reads the file's symbols: the static ones too.
 */

#include "proxy/runner.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

enum { STACK_BYTES = 64 * 1024, LINE_BYTES = 1024 };

static struct rv_task_page *evidence;

static uintptr_t pc_of(const void *context)
{
    const ucontext_t *u = context;

#if defined(__x86_64__)
    return (uintptr_t)u->uc_mcontext.gregs[REG_RIP];
#elif defined(__aarch64__)
    return (uintptr_t)u->uc_mcontext.pc;
#else
    (void)u;
    return 0;
#endif
}

/* ---- /proc/self/maps: "START-END PERMS OFFSET DEV INODE   PATH" ---- */

static uint64_t hex(const char **at)
{
    uint64_t x = 0;

    for (;; (*at)++) {
        char c = **at;

        if (c >= '0' && c <= '9')
            x = x << 4 | (uint64_t)(c - '0');
        else if (c >= 'a' && c <= 'f')
            x = x << 4 | (uint64_t)(c - 'a' + 10);
        else
            return x;
    }
}

static void note_file(const char *line, uint64_t pc)
{
    const char *at = line;
    uint64_t start = hex(&at);
    uint64_t end = *at == '-' ? (at++, hex(&at)) : 0;
    uint64_t offset = 0;

    if (pc < start || pc >= end)
        return;
    while (*at == ' ')
        at++;
    while (*at != ' ' && *at != '\0') /* its permissions */
        at++;
    while (*at == ' ')
        at++;
    offset = hex(&at);
    while (*at != '/' && *at != '\0')
        at++;
    evidence->offset = pc - start + offset;
    for (size_t i = 0; i < RV_TASK_PATH_BYTES - 1 && *at != '\0'; i++)
        evidence->path[i] = *at++;
}

static void find_file(uint64_t pc)
{
    char line[LINE_BYTES];
    char piece[LINE_BYTES];
    size_t len = 0;
    ssize_t got = 0;
    int fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);

    while (fd >= 0 && (got = read(fd, piece, sizeof piece)) > 0) {
        for (ssize_t i = 0; i < got; i++) {
            if (piece[i] != '\n') {
                if (len < sizeof line - 1)
                    line[len++] = piece[i];
                continue;
            }
            line[len] = '\0';
            note_file(line, pc);
            len = 0;
        }
    }
    if (fd >= 0)
        close(fd);
}

/* What the task has printed and stdio still holds. Its bounds may be nonsense by now. */
static void rescue_output(void)
{
#ifdef __GLIBC__
    const char *from = stdout->_IO_write_base;
    const char *to = stdout->_IO_write_ptr;

    if (from != NULL && to > from && to - from <= RV_LIMIT_OUTPUT_BYTES)
        (void)!write(1, from, (size_t)(to - from));
#endif
}

static void on_crash(int signal, siginfo_t *info, void *context)
{
    /* A thread of the task that crashes meanwhile does not write over the first one. */
    if (evidence->signal == 0) {
        evidence->pc = pc_of(context);
        evidence->address = (uint64_t)(uintptr_t)info->si_addr;
        evidence->signal = (uint32_t)signal;
        find_file(evidence->pc);
        rescue_output();
    }
    /* The handler is gone (SA_RESETHAND): the same signal now ends the process. */
    syscall(SYS_tgkill, getpid(), syscall(SYS_gettid), signal);
}

void rv_crash_watch(struct rv_task_page *page)
{
    static const int deadly[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};
    stack_t stack = {.ss_size = STACK_BYTES};
    struct sigaction action = {.sa_sigaction = on_crash,
                               .sa_flags = SA_SIGINFO | SA_ONSTACK | (int)SA_RESETHAND};

    evidence = page;
    /* A stack of its own, for a task that has used up its stack. */
    stack.ss_sp =
        mmap(NULL, STACK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (stack.ss_sp == MAP_FAILED || sigaltstack(&stack, NULL) != 0)
        return;
    sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < rv_countof(deadly); i++)
        (void)sigaction(deadly[i], &action, NULL);
}
