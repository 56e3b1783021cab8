/* The line that says how far a map is: what stands in it, and what a narrow one does without. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "cli/bar.h"

int test_bar(void);

static const struct {
    struct bar bar;
    size_t room;
    const char *line;
} cases[] = {
    /* all there is to say */
    {{.done = 341, .total = 1000, .failed = 2, .again = 4, .agents = 3, .seconds = 6.5},
     119,
     "##########--------------------  341/1000  52/s  eta 12s  3 agents  2 failed  4 again"},

    /* one agent; nothing failed, nothing ran again */
    {{.done = 5, .total = 10, .agents = 1, .seconds = 1},
     119,
     "###############---------------  5/10  5/s  eta 1.0 s  1 agent"},

    /* nobody has said yet who could run it; then, that nobody can */
    {{.total = 10, .seconds = 1}, 119, "------------------------------  0/10  0/s"},
    {{.total = 10, .seconds = 3}, 119, "------------------------------  0/10  0/s  no agent"},

    /* lines still come */
    {{.done = 7, .again = 1, .agents = 2, .seconds = 1}, 119, "7 done  7/s  2 agents  1 again"},

    /* at its end */
    {{.done = 10, .total = 10, .agents = 1, .seconds = 2},
     119,
     "##############################  10/10  5/s  1 agent"},

    /* narrower, down to what failed, and to nothing but how far it is */
    {{.done = 341, .total = 1000, .failed = 2, .again = 4, .agents = 3, .seconds = 6.5},
     79,
     "########-----------------  341/1000  52/s  eta 12s  3 agents  2 failed  4 again"},
    {{.done = 341, .total = 1000, .failed = 2, .again = 4, .agents = 3, .seconds = 6.5},
     46,
     "341/1000  eta 12s  3 agents  2 failed  4 again"},
    {{.done = 341, .total = 1000, .failed = 2, .again = 4, .agents = 3, .seconds = 6.5},
     20,
     "341/1000  2 failed"},
    {{.done = 341, .total = 1000, .failed = 2, .again = 4, .agents = 3, .seconds = 6.5},
     10,
     "341/1000"},
    {{.done = 341, .total = 1000, .seconds = 6.5}, 4, "341/"},
    {{.done = 341, .total = 1000, .seconds = 6.5}, 0, ""},
};

static void lines_are_as_they_should(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char out[BAR_TEXT];

        assert_string_equal(bar_line(out, &cases[i].bar, cases[i].room), cases[i].line);
    }
}

/* However wide, however large: never more than the room, and never beyond what it writes into. */
static void line_fits_its_room(void **state)
{
    const struct bar huge = {.done = UINT64_MAX - 1,
                             .failed = UINT64_MAX,
                             .total = UINT64_MAX,
                             .again = UINT64_MAX,
                             .agents = UINT32_MAX,
                             .seconds = 1e-9};

    (void)state;
    for (size_t room = 0; room < 2 * BAR_TEXT; room++) {
        char out[BAR_TEXT];

        assert_true(strlen(bar_line(out, &huge, room)) <= room);
    }
}

int test_bar(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_are_as_they_should),
        cmocka_unit_test(line_fits_its_room),
    };

    return cmocka_run_group_tests_name("bar", tests, NULL, NULL);
}
