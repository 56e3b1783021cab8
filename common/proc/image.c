#include "common/proc/image.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PIPE_FD = 3 };

/* The sockets of the original must end with it: nothing may be left open here. */
static void close_others(int fd)
{
    if (fd != PIPE_FD && dup2(fd, PIPE_FD) != PIPE_FD)
        _exit(1);
#ifdef SYS_close_range
    if (syscall(SYS_close_range, PIPE_FD + 1, ~0U, 0) == 0)
        return;
#endif
    for (long i = sysconf(_SC_OPEN_MAX); i-- > PIPE_FD + 1;)
        close((int)i);
}

pid_t rv_image_start(int *fd)
{
    int ends[2];
    pid_t original = getpid();
    pid_t image = 0;

    if (pipe2(ends, O_CLOEXEC) != 0)
        return -1;
    image = fork();
    if (image == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != original)
            _exit(1);
        close_others(ends[1]);
        *fd = PIPE_FD;
        return 0;
    }
    close(ends[1]);
    if (image < 0)
        close(ends[0]);
    *fd = image < 0 ? -1 : ends[0];
    return image;
}

int rv_image_end(pid_t image)
{
    int status = 0;

    while (waitpid(image, &status, 0) < 0)
        if (errno != EINTR)
            return -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}
