#ifndef SHOW_H
#define SHOW_H

/*
 * show.h -- what commands printed, whole and never mixed; the joblog; and when
 * the bar is drawn.
 */

#include "cli/cli.h"
#include "cli/joblog.h"

#include <time.h>

struct show {
    bool tag;
    struct joblog log;
    uint64_t done, failed; /* commands */
    uint64_t again;        /* runs of them that were not the first */
    uint64_t total;        /* 0: not known */
    char first[200];       /* the first that failed and has told nothing of it yet; "": none */
    bool broken;           /* standard output takes no more, */
    int write_error;       /* because of this */

    bool bar;
    struct timespec began;
    double drawn_at;
};

/* One command that has ended. */
struct shown {
    const char *line; /* its input */
    const char *command;
    uint64_t number;            /* of the line, from 1 */
    const reeve_record *record; /* NULL: it was not begun */
    const reeve_value *value;   /* what it printed and its code; NULL: none */
    bool itself;                /* it is its own end that is told, and not that of the map */
};

/* Open the joblog that the options name. An exit code. */
int show_open(struct show *s, const struct cli_args *args);
void show_close(struct show *s);

/* What it printed, behind its line with --tag; and into the joblog. */
void show_command(struct show *s, const struct shown *c);
void show_stream(struct show *s, const char *line, const reeve_value *value, const char *key,
                 FILE *to);

/* How many failed, and which was the first, unless each has told that itself. An exit code. */
int show_end(struct show *s);

/* Draw the bar if there is one and it is time to; and take it away to print something else. */
void show_bar(struct show *s, const reeve_progress *now);
void show_clear(struct show *s);

/* Standard output failed. A reader that left is no news, as for any filter. An exit code. */
int show_fail(struct show *s);

#endif
