#ifndef CHECK_H
#define CHECK_H

/*
 * check.h -- a test is a story with one moral, and its name is the moral.
 *
 *     TEST(item_of_a_dead_consumer_returns_to_the_head)
 *     {
 *         CHECK(1 + 1 == 2);
 *     }
 *
 * A test registers itself. Each runs in its own process with some seconds of processor time, so
 * that a failed assertion of the code under test ends one test and not the run.
 */

#include <stdbool.h>
#include <stdint.h>

struct check_test {
    const char *name;
    const char *file;
    void (*run)(void);
    struct check_test *next;
};

void check_register(struct check_test *test);

#define TEST(test_name)                                                                            \
    static void test_name(void);                                                                   \
    static struct check_test test_name##_entry = {#test_name, __FILE__, test_name, 0};             \
    __attribute__((constructor)) static void test_name##_register(void)                            \
    {                                                                                              \
        check_register(&test_name##_entry);                                                        \
    }                                                                                              \
    static void test_name(void)

/* End this test when truth does not hold. */
#define CHECK(truth) ((truth) ? (void)0 : check_failed(__FILE__, __LINE__, #truth))

_Noreturn void check_failed(const char *file, int line, const char *truth);

/* Run fn(arg) in a process of its own for at most so many seconds of processor time, and ten times
 * as long by the clock; its last words on stderr go to out (which may be NULL: they are shown, and
 * what ended it). True when it returned. */
bool check_survives(void (*fn)(void *arg), void *arg, unsigned seconds, char *out, int out_len);

/* Run the tests whose name contains part (NULL: all). Returns how many failed. */
int check_run(const char *part);

/* The same without a word; the name of the first that fails, or NULL. */
const char *check_first_failure(void);

#endif
