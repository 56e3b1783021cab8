#include "common/net/net_ipc.h"

#include "common/net/keys.h"
#include "common/net/net_util.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

/* "/run/reeve/socket" is in "/run/reeve", "socket" in ".", "/socket" in "/". */
static void directory_of(char out[PATH_MAX], const char *path)
{
    const char *slash = strrchr(path, '/');

    if (slash == NULL)
        snprintf(out, PATH_MAX, ".");
    else
        snprintf(out, PATH_MAX, "%.*s", slash == path ? 1 : (int)(slash - path), path);
}

static reeve_err check_directory(const char *directory, char *why)
{
    struct stat st;
    int fd = -1;

    if (mkdir(directory, 0700) != 0 && errno != EEXIST)
        return rv_zmq_why(why, "make directory", directory);
    fd = open(directory, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return rv_zmq_why(why, "open directory", directory);
    if (fstat(fd, &st) != 0) {
        close(fd);
        return rv_zmq_why(why, "look at directory", directory);
    }
    close(fd);
    if (st.st_uid != geteuid())
        return rv_why(why, RV_NET_WHY, REEVE_EPERM,
                      "unable to use directory %.120s: it belongs to uid %u, not to us", directory,
                      (unsigned)st.st_uid);
    if ((st.st_mode & 077) != 0)
        return rv_why(
            why, RV_NET_WHY, REEVE_EPERM,
            "unable to use directory %.80s: mode %04o lets others in; run: chmod 700 %.80s",
            directory, (unsigned)(st.st_mode & 07777), directory);
    return REEVE_OK;
}

reeve_err rv_ipc_prepare(int *lock_fd, const char *path, char *why)
{
    char directory[PATH_MAX];
    char lock[PATH_MAX];
    reeve_err err = REEVE_OK;
    int fd = -1;

    *lock_fd = -1;
    if (path[0] == '\0' || path[0] == '@' || path[0] == '*')
        return rv_why(why, RV_NET_WHY, REEVE_EINVAL,
                      "unable to bind ipc://%.100s: a local socket needs the path of a file", path);
    if (strlen(path) >= sizeof((struct sockaddr_un *)NULL)->sun_path)
        return rv_why(why, RV_NET_WHY, REEVE_EINVAL,
                      "unable to bind ipc://%.100s...: the path is longer than %zu bytes", path,
                      sizeof((struct sockaddr_un *)NULL)->sun_path - 1);
    directory_of(directory, path);
    err = check_directory(directory, why);
    if (err != REEVE_OK)
        return err;

    snprintf(lock, sizeof lock, "%s.lock", path);
    fd = open(lock, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return rv_zmq_why(why, "open lock file", lock);
    /* Binding to a path that is in use succeeds and takes it away from its owner without a word,
     * so the lock decides, and it is held for as long as the socket is. */
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        err = errno == EWOULDBLOCK
                  ? rv_why(why, RV_NET_WHY, REEVE_ESYS,
                           "unable to bind ipc://%.100s: another manager holds %.110s", path, lock)
                  : rv_zmq_why(why, "lock", lock);
        close(fd);
        return err;
    }
    *lock_fd = fd;
    return REEVE_OK;
}

reeve_err rv_ipc_publish(const char *path, const char *public_key, char *why)
{
    char directory[PATH_MAX];
    char file[PATH_MAX + 16];
    char reason[RV_KEYS_WHY];
    reeve_err err = REEVE_OK;

    directory_of(directory, path);
    snprintf(file, sizeof file, "%s/server.pub", directory);
    err = rv_keys_publish(file, "manager", public_key, reason);
    if (err != REEVE_OK)
        rv_why(why, RV_NET_WHY, err, "%.255s", reason);
    return err;
}
