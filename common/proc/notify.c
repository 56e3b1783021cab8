#include "common/proc/notify.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

void rv_notify(const char *state)
{
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    size_t len = path == NULL ? 0 : strlen(path);
    int fd = -1;

    if (len == 0 || len >= sizeof to.sun_path)
        return;
    memcpy(to.sun_path, path, len);
    if (to.sun_path[0] == '@') /* it has no file */
        to.sun_path[0] = '\0';
    fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return;
    (void)sendto(fd, state, strlen(state), MSG_NOSIGNAL, (const struct sockaddr *)&to,
                 (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len));
    close(fd);
}

void rv_notify_never(void)
{
    unsetenv("NOTIFY_SOCKET");
    unsetenv("WATCHDOG_USEC");
    unsetenv("WATCHDOG_PID");
}

void rv_watchdog_begin(struct rv_watchdog *dog, rv_ns now)
{
    const char *usec = getenv("WATCHDOG_USEC");
    const char *pid = getenv("WATCHDOG_PID");
    long long us = usec == NULL ? 0 : atoll(usec);

    *dog = (struct rv_watchdog){.next = RV_NEVER};
    if (us <= 0 || us > RV_NEVER / RV_MS || (pid != NULL && atoll(pid) != (long long)getpid()))
        return;
    dog->period = us * (RV_MS / 1000) / 2;
    dog->next = now;
}

void rv_watchdog_round(struct rv_watchdog *dog, rv_ns now)
{
    if (now < dog->next)
        return;
    rv_notify("WATCHDOG=1");
    dog->next = now + dog->period;
}
