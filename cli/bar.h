#ifndef BAR_H
#define BAR_H

/*
 * bar.h -- one line that says how far a map is.
 *
 *     ##########--------------------  341/1000  52/s  eta 12s  3 agents  2 failed  4 again
 */

#include <stddef.h>
#include <stdint.h>

enum { BAR_TEXT = 512 };

struct bar {
    uint64_t done, failed;
    uint64_t total; /* 0: not known, and no bar is drawn */
    uint64_t again; /* runs that were not the first of their item */
    uint32_t agents;
    double seconds; /* since it began */
};

/* Into out, which is returned: at most room characters. In a narrow line there is less of it. */
const char *bar_line(char out[BAR_TEXT], const struct bar *bar, size_t room);

#endif
