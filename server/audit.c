#include "server/audit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { LINES_A_SECOND = 1000 };

static const char *path;
static int fd = -1;
static time_t second;
static unsigned lines, left_out;

static int open_file(void)
{
    return open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NOFOLLOW, 0600);
}

bool audit_open(const char *name, char *why)
{
    path = name;
    fd = open_file();
    if (fd < 0)
        snprintf(why, 512, "cannot write the audit to %.300s: %s", name, strerror(errno));
    return fd >= 0;
}

void audit_reopen(void)
{
    int again = path == NULL ? -1 : open_file();

    if (again < 0)
        return;
    close(fd);
    fd = again;
}

void audit_close(void)
{
    if (fd >= 0)
        close(fd);
    fd = -1;
    path = NULL;
}

static bool begins(const char *text, const char *with)
{
    return strncmp(text, with, strlen(with)) == 0;
}

/* Of what the log has, too. */
static bool wanted(const char *text)
{
    static const char *const nouns[] = {"session.",      "principal.",    "keys.",    "peer.",
                                        "object.create", "object.remove", "job.open", "item.dead",
                                        "item.requeue",  "server.",       "manager.", "net."};

    for (size_t i = 0; i < rv_countof(nouns); i++)
        if (begins(text, nouns[i]))
            return true;
    return false;
}

static void put(const char *stamp, const char *text)
{
    char line[1280];
    int len = snprintf(line, sizeof line, "%s %s\n", stamp, text);

    if (len >= (int)sizeof line) {
        len = (int)sizeof line;
        line[len - 1] = '\n';
    }
    /* A disk that is full loses lines of the audit, and not the manager. */
    if (write(fd, line, (size_t)len) != (ssize_t)len)
        left_out++;
}

void audit_line(const char *stamp, int level, const char *text)
{
    time_t now = time(NULL);
    char told[64];

    if (fd < 0 || (level != RV_AUDIT && !wanted(text)))
        return;
    if (now != second) {
        snprintf(told, sizeof told, "audit.flood left_out=%u", left_out);
        second = now;
        lines = 0;
        if (left_out > 0) {
            left_out = 0;
            put(stamp, told);
        }
    }
    if (lines++ < LINES_A_SECOND)
        put(stamp, text);
    else
        left_out++;
}
