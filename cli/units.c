/* units.c -- numbers as people read them. */

#include "cli/cli.h"

#include <stdio.h>

const char *cli_bytes(char out[CLI_TEXT], uint64_t bytes)
{
    static const char *const units[] = {"B", "kB", "MB", "GB", "TB", "PB"};
    double x = (double)bytes;
    size_t unit = 0;

    for (; x >= 999.5 && unit + 1 < sizeof units / sizeof units[0]; unit++)
        x /= 1000;
    snprintf(out, CLI_TEXT, unit == 0 || x >= 99.95 ? "%.0f %s" : "%.1f %s", x, units[unit]);
    return out;
}

const char *cli_span(char out[CLI_TEXT], uint64_t ms)
{
    unsigned long long s = ms / 1000;

    if (ms < 10000)
        snprintf(out, CLI_TEXT, "%.1f s", (double)ms / 1000);
    else if (s < 60)
        snprintf(out, CLI_TEXT, "%llus", s);
    else if (s < 3600)
        snprintf(out, CLI_TEXT, "%llum %llus", s / 60, s % 60);
    else if (s < 86400)
        snprintf(out, CLI_TEXT, "%lluh %llum", s / 3600, s / 60 % 60);
    else
        snprintf(out, CLI_TEXT, "%llud %lluh", s / 86400, s / 3600 % 24);
    return out;
}
