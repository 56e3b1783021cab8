/* raw_log.c -- the plainest log: a group is what is there when the one before is on the disk. */

#include "bench/limits/raw.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { GROUP_BYTES = 1 << 20, GROUP_MESSAGES = 1024, RECORD = 4 + RAW_ID };

void raw_log_open(struct raw_log *log)
{
    const char *folder = getenv("TMPDIR");
    char path[PATH_MAX];

    *log = (struct raw_log){0};
    snprintf(path, sizeof path, "%s/raw_log", folder == NULL ? "/tmp" : folder);
    log->fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
    if (log->fd < 0)
        bench_die("unable to make %s: %s", path, strerror(errno));
    unlink(path);
}

/* Add one message of two frames, length and name before it. False: there is none now. */
static bool take(struct raw_log *log, void *router, zmq_msg_t *frame, int flags)
{
    const uint32_t no_len = 0;
    uint32_t len = 0;
    uint8_t *to = NULL;
    int n = 0;

    if (log->cap - log->len < RECORD) {
        log->cap = log->cap == 0 ? 2 * GROUP_BYTES : 2 * log->cap;
        log->bytes = realloc(log->bytes, log->cap);
        if (log->bytes == NULL)
            bench_die("no memory");
    }
    to = log->bytes + log->len;
    memcpy(to, &no_len, sizeof no_len);
    n = zmq_recv(router, to + sizeof len, RAW_ID, flags);
    if (n < 0 && errno == EAGAIN)
        return false;
    if (n != RAW_ID || zmq_msg_recv(frame, router, 0) < 0)
        bench_die("unable to receive: %s", zmq_strerror(errno));
    len = (uint32_t)zmq_msg_size(frame);
    while (log->cap - log->len < RECORD + len) {
        log->cap *= 2;
        log->bytes = realloc(log->bytes, log->cap);
        if (log->bytes == NULL)
            bench_die("no memory");
    }
    memcpy(log->bytes + log->len, &len, sizeof len);
    memcpy(log->bytes + log->len + RECORD, zmq_msg_data(frame), len);
    log->len += RECORD + len;
    return true;
}

void raw_log_gather(struct raw_log *log, void *router)
{
    zmq_msg_t frame;

    zmq_msg_init(&frame);
    log->len = log->next = 0;
    take(log, router, &frame, 0);
    for (int n = 1; n < GROUP_MESSAGES && log->len < GROUP_BYTES; n++)
        if (!take(log, router, &frame, ZMQ_DONTWAIT))
            break;
    zmq_msg_close(&frame);
    if (pwrite(log->fd, log->bytes, log->len, (off_t)log->at) != (ssize_t)log->len ||
        fdatasync(log->fd) != 0)
        bench_die("unable to write: %s", strerror(errno));
    log->at += (int64_t)log->len;
}

bool raw_log_next(struct raw_log *log, const uint8_t **id, const uint8_t **bytes, size_t *len)
{
    const uint8_t *record = log->bytes + log->next;
    uint32_t n = 0;

    if (log->next == log->len)
        return false;
    memcpy(&n, record, sizeof n);
    *id = record + sizeof n;
    *bytes = record + RECORD;
    *len = n;
    log->next += RECORD + n;
    return true;
}
