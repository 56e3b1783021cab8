#include "cli/bar.h"
#include "cli/cli.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum {
    WIDTH = 30,
    WIDTH_LEAST = 8,
    PATIENCE_S = 2, /* before it is said that there is no agent */
};

enum part { PART_COUNT, PART_RATE, PART_ETA, PART_AGENTS, PART_FAILED, PART_AGAIN, PARTS };

/* What it says, in the order of the line. */
struct parts {
    char at[PARTS][64]; /* empty: nothing to say */
};

/* Those that a narrow line does without, the first one first. */
static const enum part dispensable[] = {PART_RATE, PART_ETA, PART_AGAIN, PART_AGENTS, PART_FAILED};

static void say_agents(char *out, size_t size, const struct bar *bar)
{
    if (bar->agents > 0)
        snprintf(out, size, "%" PRIu32 " agent%s", bar->agents, bar->agents == 1 ? "" : "s");
    else if (bar->seconds > PATIENCE_S)
        snprintf(out, size, "no agent");
}

static void say_parts(struct parts *p, const struct bar *bar)
{
    double rate = bar->seconds > 0 ? (double)bar->done / bar->seconds : 0;
    char eta[CLI_TEXT] = "";
    size_t size = sizeof p->at[0];

    *p = (struct parts){0};
    if (bar->total == 0)
        snprintf(p->at[PART_COUNT], size, "%" PRIu64 " done", bar->done);
    else
        snprintf(p->at[PART_COUNT], size, "%" PRIu64 "/%" PRIu64, bar->done, bar->total);
    snprintf(p->at[PART_RATE], size, "%.0f/s", rate);
    if (bar->total > bar->done && rate > 0)
        snprintf(p->at[PART_ETA], size, "eta %s",
                 cli_span(eta, (uint64_t)((double)(bar->total - bar->done) / rate * 1000)));
    say_agents(p->at[PART_AGENTS], size, bar);
    if (bar->failed > 0)
        snprintf(p->at[PART_FAILED], size, "%" PRIu64 " failed", bar->failed);
    if (bar->again > 0)
        snprintf(p->at[PART_AGAIN], size, "%" PRIu64 " again", bar->again);
}

static size_t length(const struct parts *p)
{
    size_t len = 0;

    for (size_t i = 0; i < PARTS; i++)
        len += p->at[i][0] == '\0' ? 0 : strlen(p->at[i]) + 2;
    return len - 2;
}

/* The bar itself, as wide as there is room beside what is said. */
static size_t draw(char *out, const struct bar *bar, size_t said, size_t room)
{
    size_t width = 0;
    uint64_t done = bar->done < bar->total ? bar->done : bar->total;

    if (bar->total == 0 || said + 2 + WIDTH_LEAST > room)
        return 0;
    width = room - said - 2 < WIDTH ? room - said - 2 : WIDTH;
    for (size_t i = 0; i < width; i++)
        out[i] = i < (size_t)((double)width * (double)done / (double)bar->total) ? '#' : '-';
    return width;
}

const char *bar_line(char out[BAR_TEXT], const struct bar *bar, size_t room)
{
    struct parts p;
    size_t len = 0;

    if (room >= BAR_TEXT)
        room = BAR_TEXT - 1;
    say_parts(&p, bar);
    for (size_t i = 0; i < sizeof dispensable / sizeof dispensable[0] && length(&p) > room; i++)
        p.at[dispensable[i]][0] = '\0';
    len = draw(out, bar, length(&p), room);
    out[len] = '\0';
    for (size_t i = 0; i < PARTS; i++)
        if (p.at[i][0] != '\0')
            len +=
                (size_t)snprintf(out + len, BAR_TEXT - len, "%s%s", len == 0 ? "" : "  ", p.at[i]);
    out[len < room ? len : room] = '\0';
    return out;
}
