#include "server/keyring.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

enum { SETTLE_MS = 100 };

struct keyring {
    const char *keys;
    int fd; /* epoll of the others */
    int changes;
    int folder;               /* watch of authorized.d; -1: it is not there */
    int settled;              /* timer: the last change is some time ago */
    int expiry;               /* timer of the wall clock: the first key expires */
    struct rv_keyfile always; /* admitted besides; without a public key: nobody */
};

static void add_fd(const struct keyring *k, int fd)
{
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};

    rv_assert(fd >= 0 && epoll_ctl(k->fd, EPOLL_CTL_ADD, fd, &event) == 0);
}

/* The folder may be made, removed or replaced at any time. */
static void watch_folder(struct keyring *k)
{
    char path[PATH_MAX];

    snprintf(path, sizeof path, "%s/authorized.d", k->keys);
    k->folder = inotify_add_watch(k->changes, path,
                                  IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE |
                                      IN_ATTRIB | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR);
}

struct keyring *keyring_new(const char *keys)
{
    struct keyring *k = rv_alloc(sizeof *k);

    *k = (struct keyring){
        .keys = keys,
        .fd = epoll_create1(EPOLL_CLOEXEC),
        .changes = inotify_init1(IN_NONBLOCK | IN_CLOEXEC),
        .settled = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC),
        .expiry = timerfd_create(CLOCK_REALTIME, TFD_NONBLOCK | TFD_CLOEXEC),
    };
    rv_assert(k->fd >= 0);
    add_fd(k, k->settled);
    add_fd(k, k->expiry);
    if (k->changes < 0) /* the user has its maximum of them */
        return k;
    add_fd(k, k->changes);
    (void)inotify_add_watch(k->changes, keys, IN_CREATE | IN_MOVED_TO | IN_ONLYDIR);
    watch_folder(k);
    return k;
}

void keyring_free(struct keyring **keyring)
{
    struct keyring *k = *keyring;

    if (k == NULL)
        return;
    if (k->changes >= 0)
        close(k->changes);
    close(k->settled);
    close(k->expiry);
    close(k->fd);
    free(k);
    *keyring = NULL;
}

void keyring_admit_always(struct keyring *k, const struct rv_keyfile *file)
{
    k->always = (struct rv_keyfile){.role = "admin"};
    snprintf(k->always.name, sizeof k->always.name, "%s",
             file->name[0] != '\0' ? file->name : "authkey");
    snprintf(k->always.public_key, sizeof k->always.public_key, "%s", file->public_key);
}

int keyring_fd(const struct keyring *k)
{
    return k->fd;
}

/* What the events say does not matter: the files do. */
static bool changed(struct keyring *k)
{
    char events[4096] __attribute__((aligned(__alignof__(struct inotify_event))));
    bool any = false;

    while (k->changes >= 0 && read(k->changes, events, sizeof events) > 0)
        any = true;
    if (any)
        watch_folder(k);
    return any;
}

/* A timer has fired; the one of the wall clock also when that was set. */
static bool fired(int fd)
{
    uint64_t times = 0;

    return read(fd, &times, sizeof times) == (ssize_t)sizeof times || errno == ECANCELED;
}

bool keyring_due(struct keyring *k)
{
    bool settled = fired(k->settled);
    bool expired = fired(k->expiry);

    if (changed(k)) {
        const struct itimerspec soon = {.it_value.tv_nsec = SETTLE_MS * RV_MS};

        timerfd_settime(k->settled, 0, &soon, NULL);
        settled = false;
    }
    return settled || expired;
}

reeve_err keyring_read(struct keyring *k, struct principals *out, char *why)
{
    struct itimerspec next = {.it_value.tv_sec = 0};
    reeve_err err = principals_read(out, k->keys, (int64_t)time(NULL), why);

    if (err != REEVE_OK)
        return err;
    if (k->always.public_key[0] != '\0')
        principals_add(out, &k->always);
    next.it_value.tv_sec = (time_t)out->next_expires;
    timerfd_settime(k->expiry, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &next, NULL);
    return REEVE_OK;
}
