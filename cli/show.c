#include "cli/show.h"
#include "cli/bar.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum {
    BAR_MS = 200, /* between two drawings of the bar */
    COLUMNS = 80, /* of a terminal that does not say */
};

int show_open(struct show *s, const struct cli_args *args)
{
    *s = (struct show){.tag = args->tag, .bar = args->bar && isatty(STDERR_FILENO)};
    clock_gettime(CLOCK_MONOTONIC, &s->began);
    return joblog_open(&s->log, args->joblog, args->resume);
}

void show_close(struct show *s)
{
    joblog_close(&s->log);
}

/* ---- the bar: on a terminal only ---- */

static double seconds_since(const struct timespec *then)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)(now.tv_sec - then->tv_sec) + (double)(now.tv_nsec - then->tv_nsec) / 1e9;
}

/* It makes room for what is printed, and is drawn anew behind that. */
void show_clear(struct show *s)
{
    if (s->bar)
        fputs("\r\033[K", stderr);
    s->drawn_at = -1;
}

static size_t columns(void)
{
    struct winsize size = {0};

    return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : COLUMNS;
}

void show_bar(struct show *s, const reeve_progress *now)
{
    double t = seconds_since(&s->began);
    struct bar bar = {.done = s->done,
                      .total = s->total,
                      .failed = s->failed,
                      .again = now->retried > s->again ? now->retried : s->again,
                      .agents = now->agents,
                      .seconds = t};
    char line[BAR_TEXT];

    if (!s->bar || t - s->drawn_at < BAR_MS / 1000.0)
        return;
    show_clear(s);
    s->drawn_at = t;
    /* The last column stays free: a terminal may go to the next line behind it. */
    fputs(bar_line(line, &bar, columns() - 1), stderr);
    fflush(stderr);
}

/* ---- what was printed ---- */

static void tag_lines(FILE *to, const char *tag, const char *bytes, size_t len)
{
    while (len > 0) {
        const char *end = memchr(bytes, '\n', len);
        size_t n = end == NULL ? len : (size_t)(end - bytes) + 1;

        fprintf(to, "%s\t", tag);
        fwrite(bytes, 1, n, to);
        bytes += n;
        len -= n;
    }
}

void show_stream(struct show *s, const char *line, const reeve_value *value, const char *key,
                 FILE *to)
{
    const void *bytes = NULL;
    size_t len = 0;

    if (!reeve_get_bytes(reeve_value_find(value, key), &bytes, &len) || len == 0)
        return;
    show_clear(s);
    if (s->tag)
        tag_lines(to, line, bytes, len);
    else
        fwrite(bytes, 1, len, to);
    if ((fflush(to) != 0 || ferror(to)) && to == stdout && s->write_error == 0)
        s->write_error = errno;
}

void show_command(struct show *s, const struct shown *c)
{
    show_stream(s, c->line, c->value, "out", stdout);
    show_stream(s, c->line, c->value, "err", stderr);
    s->broken = ferror(stdout);
    if (c->record == NULL)
        return;
    joblog_add(&s->log, c->line, c->number, c->command, c->record, c->value);
    s->again += c->record->runs > 1 ? c->record->runs - 1 : 0;
    if (c->itself && c->value != NULL && s->first[0] == '\0')
        snprintf(s->first, sizeof s->first, "item %" PRIu64 " (%.100s): %.60s", c->number, c->line,
                 c->record->message);
    if (!c->itself || c->value != NULL)
        return;
    show_clear(s);
    (void)cli_fail(EXIT_FAILED, "item %" PRIu64 " (%s): %s", c->number, c->line,
                   c->record->message);
}

int show_end(struct show *s)
{
    show_clear(s);
    if (s->failed == 0)
        return EXIT_DONE;
    if (s->first[0] == '\0')
        return EXIT_FAILED;
    return cli_fail(EXIT_FAILED, "%" PRIu64 " of %" PRIu64 " commands failed, the first %s%s",
                    s->failed, s->done, s->first,
                    s->log.file == NULL ? "; --joblog FILE lists all" : "");
}

int show_fail(struct show *s)
{
    clearerr(stdout);
    if (s->write_error == EPIPE)
        return EXIT_SIGNAL + SIGPIPE;
    return cli_fail(EXIT_AGAIN, "cannot write to standard output: %s", strerror(s->write_error));
}
