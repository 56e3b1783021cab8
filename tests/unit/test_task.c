/* What agents read of the items of a chunk without looking inside, and what they tell of a task's words. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/wire/item.h"
#include "common/wire/task.h"

int test_task(void);

static void bodies_of_items_are_counted(void **state)
{
    struct rv_buf b = {0};
    struct rv_items items = {.count = 3};
    size_t bytes = 1;

    (void)state;
    rv_item_write(&b, &(struct rv_item){.place = RV_INLINE, .len = 3, .bytes = rv_slice("abc", 3)});
    rv_item_write(&b, &(struct rv_item){.place = RV_BODY, .len = 70000});
    rv_item_write(&b, &(struct rv_item){.place = RV_BODY, .len = 70001});
    items.bytes = rv_buf_slice(&b);
    assert_true(rv_task_bodies(&items, &bytes));
    assert_int_equal(bytes, 140001);
    items.count = 2; /* something behind them */
    assert_false(rv_task_bodies(&items, &bytes));
    items.count = 4; /* fewer than it says */
    assert_false(rv_task_bodies(&items, &bytes));
    rv_buf_free(&b);
}

static void one_text(const char *given, const char *kept)
{
    char text[64];
    size_t len = strlen(given);

    memcpy(text, given, len);
    len = rv_task_text(text, len);
    assert_int_equal(len, strlen(kept));
    assert_memory_equal(text, kept, len);
}

static void text_of_a_task_is_one_line(void **state)
{
    (void)state;
    one_text("no such file", "no such file");
    one_text("two\nlines\n", "two lines");
    one_text("a\ttab and \x7f, \x1b[1m", "a tab and  ,  [1m");
    one_text(" \n ", "");
    one_text("", "");
}

/* Cut between characters. */
static void long_text_of_a_task_is_cut(void **state)
{
    enum { MAX = 4 * RV_LIMIT_NAME_BYTES };
    static char text[MAX + 8];

    (void)state;
    memset(text, 'a', sizeof text);
    assert_int_equal(rv_task_text(text, sizeof text), MAX);
    memcpy(text + MAX - 2, "\xe2\x82\xac", 3);
    assert_int_equal(rv_task_text(text, sizeof text), MAX - 2);
    memset(text, 0x80, sizeof text); /* no text at all */
    assert_int_equal(rv_task_text(text, sizeof text), 0);
}

int test_task(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bodies_of_items_are_counted),
        cmocka_unit_test(text_of_a_task_is_one_line),
        cmocka_unit_test(long_text_of_a_task_is_cut),
    };

    return cmocka_run_group_tests_name("task", tests, NULL, NULL);
}
