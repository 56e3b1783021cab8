#include "cli/show.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum {
    BAR_MS = 200, /* between two drawings of the bar */
    BAR_WIDTH = 30,
    BAR_LEAST = 8,
    COLUMNS = 80,       /* of a terminal that does not say */
    PATIENCE_MS = 2000, /* before it is said that there is no agent */
    PARTS = 6,
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

/* What the bar says, in the order of the line. */
struct parts {
    char at[PARTS][64]; /* empty: nothing to say */
};

enum part { PART_COUNT, PART_RATE, PART_ETA, PART_AGENTS, PART_FAILED, PART_AGAIN };

/* Those that a narrow line does without, the first one first. */
static const enum part dispensable[] = {PART_RATE, PART_ETA, PART_AGAIN, PART_AGENTS};

static void count_agents(char *out, size_t size, double t, const reeve_progress *now)
{
    if (now->agents > 0)
        snprintf(out, size, "%u agent%s", now->agents, now->agents == 1 ? "" : "s");
    else if (t > PATIENCE_MS / 1000.0)
        snprintf(out, size, "no agent");
}

static void say_parts(struct parts *p, const struct show *s, const reeve_progress *now, double t)
{
    double rate = t > 0 ? (double)s->done / t : 0;
    uint64_t again = now->retried > s->again ? now->retried : s->again;
    char eta[CLI_TEXT] = "";

    *p = (struct parts){0};
    if (s->total == 0)
        snprintf(p->at[PART_COUNT], sizeof p->at[0], "%" PRIu64 " done", s->done);
    else
        snprintf(p->at[PART_COUNT], sizeof p->at[0], "%" PRIu64 "/%" PRIu64, s->done, s->total);
    snprintf(p->at[PART_RATE], sizeof p->at[0], "%.0f/s", rate);
    if (s->total > 0 && rate > 0)
        snprintf(p->at[PART_ETA], sizeof p->at[0], "eta %s",
                 cli_span(eta, (uint64_t)((double)(s->total - s->done) / rate * 1000)));
    count_agents(p->at[PART_AGENTS], sizeof p->at[0], t, now);
    if (s->failed > 0)
        snprintf(p->at[PART_FAILED], sizeof p->at[0], "%" PRIu64 " failed", s->failed);
    if (again > 0)
        snprintf(p->at[PART_AGAIN], sizeof p->at[0], "%" PRIu64 " again", again);
}

static size_t length(const struct parts *p)
{
    size_t len = 0;

    for (size_t i = 0; i < PARTS; i++)
        len += p->at[i][0] == '\0' ? 0 : strlen(p->at[i]) + 2;
    return len - 2;
}

/* The last column stays free: a terminal may go to the next line behind it. */
static void print_parts(struct parts *p, const struct show *s, size_t room)
{
    size_t width = 0;
    const char *between = "";

    for (size_t i = 0; i < sizeof dispensable / sizeof dispensable[0] && length(p) > room; i++)
        p->at[dispensable[i]][0] = '\0';
    if (s->total > 0 && length(p) + 2 + BAR_LEAST <= room)
        width = room - length(p) - 2 < BAR_WIDTH ? room - length(p) - 2 : BAR_WIDTH;
    for (size_t i = 0; i < width; i++)
        fputc(i < (size_t)((double)width * (double)s->done / (double)s->total) ? '#' : '-', stderr);
    between = width > 0 ? "  " : "";
    for (size_t i = 0; i < PARTS; i++) {
        if (p->at[i][0] == '\0')
            continue;
        fprintf(stderr, "%s%.*s", between, (int)room, p->at[i]);
        between = "  ";
    }
    fflush(stderr);
}

void show_bar(struct show *s, const reeve_progress *now)
{
    double t = seconds_since(&s->began);
    struct parts parts;

    if (!s->bar || t - s->drawn_at < BAR_MS / 1000.0)
        return;
    show_clear(s);
    s->drawn_at = t;
    say_parts(&parts, s, now, t);
    print_parts(&parts, s, columns() - 1);
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
    if (!c->itself || c->value != NULL)
        return;
    show_clear(s);
    (void)cli_fail(EXIT_FAILED, "item %" PRIu64 " (%s): %s", c->number, c->line,
                   c->record->message);
}

int show_fail(struct show *s)
{
    clearerr(stdout);
    if (s->write_error == EPIPE)
        return EXIT_SIGNAL + SIGPIPE;
    return cli_fail(EXIT_AGAIN, "cannot write to standard output: %s", strerror(s->write_error));
}
