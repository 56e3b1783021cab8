#include "common/net/conf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

static void write_text(const char *folder, const char *name, const char *text)
{
    char path[256];
    FILE *file = NULL;

    snprintf(path, sizeof path, "%s/%s", folder, name);
    file = fopen(path, "we");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static void remove_text(const char *folder, const char *name)
{
    char path[256];

    snprintf(path, sizeof path, "%s/%s", folder, name);
    assert_int_equal(unlink(path), 0);
}

static void files_of_a_folder_are_read_by_name(void **state)
{
    char folder[] = "/tmp/reeve-conf-XXXXXX";
    struct rv_conf conf = {0};
    char why[512];

    (void)state;
    assert_non_null(mkdtemp(folder));
    write_text(folder, "20-site.conf", "slots = 2 # two\nname = site\n");
    write_text(folder, "10-base.conf", "slots = 1\ndrain = 7\n");
    write_text(folder, "30.conf.old", "slots = 3\n");
    write_text(folder, ".conf", "slots = 4\n");
    assert_int_equal(rv_conf_add_folder(&conf, folder, why), REEVE_OK);
    assert_string_equal(rv_conf_find(&conf, "slots", NULL, "auto"), "2");
    assert_string_equal(rv_conf_find(&conf, "name", NULL, NULL), "site");
    assert_string_equal(rv_conf_find(&conf, "drain", NULL, "30"), "7");
    assert_string_equal(rv_conf_find(&conf, "cache", NULL, "none"), "none");

    /* A flag wins over the environment, that over files. */
    assert_int_equal(setenv("REEVE_DRAIN", "8", 1), 0);
    assert_string_equal(rv_conf_find(&conf, "drain", NULL, "30"), "8");
    assert_string_equal(rv_conf_find(&conf, "drain", "9", "30"), "9");
    assert_int_equal(unsetenv("REEVE_DRAIN"), 0);
    rv_conf_free(&conf);

    write_text(folder, "40.conf", "this is no option\n");
    assert_int_equal(rv_conf_add_folder(&conf, folder, why), REEVE_EINVAL);
    assert_non_null(strstr(why, "40.conf: line 1"));
    rv_conf_free(&conf);
    remove_text(folder, "40.conf");
    remove_text(folder, "20-site.conf");
    remove_text(folder, "10-base.conf");
    remove_text(folder, "30.conf.old");
    remove_text(folder, ".conf");
    assert_int_equal(rmdir(folder), 0);
    assert_int_equal(rv_conf_add_folder(&conf, folder, why), REEVE_OK);
    assert_int_equal(conf.lines_len, 0);
}

static void given_file_wins_over_what_was_read_before(void **state)
{
    char folder[] = "/tmp/reeve-conf-XXXXXX";
    char path[64];
    struct rv_conf conf = {0};
    char why[512];

    (void)state;
    assert_non_null(mkdtemp(folder));
    write_text(folder, "own", "slots = 5\nslots = 6\n");
    snprintf(path, sizeof path, "%s/own", folder);
    assert_int_equal(rv_conf_load(&conf, path, why), REEVE_OK);
    assert_string_equal(conf.path, path);
    assert_string_equal(rv_conf_find(&conf, "slots", NULL, "auto"), "6");
    rv_conf_free(&conf);
    assert_int_equal(rv_conf_load(&conf, "/dev/null", why), REEVE_OK);
    assert_int_equal(conf.lines_len, 0);
    rv_conf_free(&conf);
    assert_int_equal(rv_conf_load(&conf, "/nowhere/at/all", why), REEVE_ESYS);
    remove_text(folder, "own");
    assert_int_equal(rmdir(folder), 0);
}

int test_conf(void);

int test_conf(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(files_of_a_folder_are_read_by_name),
        cmocka_unit_test(given_file_wins_over_what_was_read_before),
    };

    return cmocka_run_group_tests_name("conf", tests, NULL, NULL);
}
