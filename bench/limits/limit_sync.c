/* P14: the disk alone. Batches of --flight records of 64 bytes are appended to a file, each with one
 * write and one fdatasync. */

#include "bench/measure.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    const size_t flight = (size_t)bench_option(argc, argv, "flight", 1);
    const size_t batches = (size_t)bench_option(argc, argv, "puts", 2000) / flight;
    const char *folder = getenv("TMPDIR");
    uint8_t *batch = calloc(flight, BENCH_ITEM);
    char path[PATH_MAX];
    off_t at = 0;
    int64_t begin = 0;
    int fd = -1;

    snprintf(path, sizeof path, "%s/limit_sync", folder == NULL ? "/tmp" : folder);
    fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
    if (fd < 0)
        bench_die("unable to make %s: %s", path, strerror(errno));
    begin = bench_now();
    for (size_t i = 0; i < batches; i++) {
        for (size_t j = 0; j < flight; j++)
            bench_number(batch + j * BENCH_ITEM, i * flight + j);
        if (pwrite(fd, batch, flight * BENCH_ITEM, at) != (ssize_t)(flight * BENCH_ITEM) ||
            fdatasync(fd) != 0)
            bench_die("unable to write %s: %s", path, strerror(errno));
        at += (off_t)(flight * BENCH_ITEM);
    }
    bench_figure("puts_per_s", (double)(batches * flight) * 1e9 / (double)(bench_now() - begin));
    close(fd);
    unlink(path);
    free(batch);
    return 0;
}
