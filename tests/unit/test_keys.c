#include "common/net/keys.h"

#include <fcntl.h>
#include <stdarg.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static void public_file_has_two_keys_and_a_last_day(void **state)
{
    struct rv_keyfile k;
    struct rv_keyfile other;
    char text[512];
    char why[RV_KEYS_WHY];

    (void)state;
    rv_keys_generate(&k);
    rv_keys_generate(&other);
    snprintf(text, sizeof text, "public = %s\npublic = %s\nexpires = 2028-02-29T23:59:59Z\n",
             k.public_key, other.public_key);
    assert_true(rv_keys_parse(&k, rv_slice_str(text), why));
    assert_string_equal(k.other_key, other.public_key);
    assert_int_equal(k.expires, 1835481599);
    snprintf(text, sizeof text, "public = %s\nexpires = 1970-01-02\n", other.public_key);
    assert_true(rv_keys_parse(&k, rv_slice_str(text), why));
    assert_int_equal(k.expires, 86400);
    snprintf(text, sizeof text, "public = %s\npublic = %s\nsecret = %s\n", k.public_key,
             other.public_key, other.secret_key);
    assert_false(rv_keys_parse(&k, rv_slice_str(text), why));
    assert_string_equal(why, "a secret key has one public key");
}

static void days_that_do_not_exist_are_refused(void **state)
{
    static const char *const wrong[] = {"2027-02-29",
                                        "2027-13-01",
                                        "2027-00-01",
                                        "2027-01-00",
                                        "1970-01-01",
                                        "2027-1-1",
                                        "tomorrow",
                                        "2027-01-31T24:00:00Z",
                                        "2027-01-31T12:00:00",
                                        "2027-01-31 12:00:00Z"};
    struct rv_keyfile k;
    struct rv_keyfile made;
    char text[256];
    char why[RV_KEYS_WHY];

    (void)state;
    rv_keys_generate(&made);
    for (size_t i = 0; i < rv_countof(wrong); i++) {
        snprintf(text, sizeof text, "public = %s\nexpires = %s\n", made.public_key, wrong[i]);
        assert_false(rv_keys_parse(&k, rv_slice_str(text), why));
        assert_non_null(strstr(why, "line 2: expires is a day"));
    }
}

int test_keys(void);

static char directory[64];
static char path[96];
static char why[RV_KEYS_WHY];

static int make_directory(void **state)
{
    (void)state;
    snprintf(directory, sizeof directory, "/tmp/reeve-keys-XXXXXX");
    assert_non_null(mkdtemp(directory));
    snprintf(path, sizeof path, "%s/worker1.key", directory);
    return 0;
}

static int remove_directory(void **state)
{
    (void)state;
    unlink(path);
    return rmdir(directory); /* fails when a temporary file was left behind */
}

static struct rv_keyfile worker(void)
{
    struct rv_keyfile k = {.name = "worker1", .servers_len = 0};

    rv_keys_generate(&k);
    return k;
}

static struct rv_keyfile worker_with_file(void)
{
    struct rv_keyfile k = worker();

    assert_int_equal(rv_keys_write(&k, path, true, why), REEVE_OK);
    return k;
}

static void write_text(const char *text, mode_t mode)
{
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    fputs(text, file);
    fclose(file);
    assert_int_equal(chmod(path, mode), 0);
}

static void assert_says(const char *words)
{
    if (strstr(why, words) == NULL)
        fail_msg("expected \"%s\" in: %s", words, why);
}

static bool parses(const char *text)
{
    struct rv_keyfile k;

    return rv_keys_parse(&k, rv_slice_str(text), why);
}

/* ---- keys ---- */

static void keys_survive_their_text(void **state)
{
    struct rv_keyfile k = worker();
    uint8_t key[32];
    char text[RV_KEY_TEXT];

    (void)state;
    assert_true(rv_keys_decode(key, k.public_key));
    rv_keys_encode(text, key);
    assert_string_equal(text, k.public_key);
    assert_string_not_equal(k.public_key, k.secret_key);
}

static void what_is_not_z85_is_no_key(void **state)
{
    uint8_t key[32];

    (void)state;
    assert_false(rv_keys_decode(key, NULL));
    assert_false(rv_keys_decode(key, ""));
    assert_false(rv_keys_decode(key, "0123456789012345678901234567890123456789x"));
    assert_false(rv_keys_decode(key, "0123456789012345678901234567890123456 89"));
    assert_false(rv_keys_decode(key, "012345678901234567890123456789012345678\xff"));
    assert_false(rv_keys_decode(key, "########################################"));
}

static void fingerprints_tell_keys_apart(void **state)
{
    struct rv_keyfile a = worker();
    struct rv_keyfile b = worker();
    char x[20];
    char y[20];

    (void)state;
    rv_keys_fingerprint(x, a.public_key);
    rv_keys_fingerprint(y, b.public_key);
    assert_int_equal(strlen(x), 19);
    assert_int_equal(x[4], '-');
    assert_string_not_equal(x, y);
    rv_keys_fingerprint(x, "no key");
    assert_string_equal(x, "");
}

static void wiping_leaves_nothing(void **state)
{
    static const struct rv_keyfile nothing;
    struct rv_keyfile k = worker();

    (void)state;
    rv_keys_wipe(&k);
    assert_memory_equal(&k, &nothing, sizeof k);
}

/* ---- text ---- */

#define KEY  "rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7"
#define HASH "r#:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7"

static void a_public_line_has_role_and_rights(void **state)
{
    struct rv_keyfile k;

    (void)state;
    assert_true(rv_keys_parse(&k,
                              rv_slice_str("# who may come in\r\n\n  name=worker1\r\n"
                                           "public = " KEY " # since May\nrole = worker\n"
                                           "rights = put,get:jobs/*\nrights = run"),
                              why));
    assert_string_equal(k.name, "worker1");
    assert_string_equal(k.public_key, KEY);
    assert_string_equal(k.secret_key, "");
    assert_string_equal(k.role, "worker");
    assert_int_equal(k.rights_len, 2);
    assert_string_equal(k.rights[0], "put,get:jobs/*");
    assert_string_equal(k.rights[1], "run");
}

static void a_key_may_hold_the_sign_of_comments(void **state)
{
    (void)state;
    assert_true(parses("public = " HASH "\n"));
    assert_true(parses("public = " HASH " # mine\n"));
    assert_false(parses("public = # " KEY "\n"));
}

static void a_bad_line_is_named_by_its_number(void **state)
{
    (void)state;
    assert_false(parses("name = a\n\npubic = " KEY "\n"));
    assert_string_equal(why, "line 3: unknown word 'pubic'");
    assert_false(parses("public = " KEY "\n" KEY "\n"));
    assert_string_equal(why, "line 2: not a line of the form word = value");
    assert_false(parses("name\n"));
    assert_string_equal(why, "line 1: not a line of the form word = value");
    assert_false(parses("= x\n"));
    assert_string_equal(why, "line 1: not a line of the form word = value");
    assert_false(parses("name = a\nname = b\n"));
    assert_string_equal(why, "line 2: name stands here for the second time");
    assert_false(parses("name = a b\n"));
    assert_string_equal(why, "line 1: name has 1 to 64 characters without blanks");
    assert_false(parses("secret = abc\n"));
    assert_string_equal(why, "line 1: secret is not a key, which has 40 characters of Z85");
    assert_false(parses("role = king\n"));
    assert_string_equal(why, "line 1: role is client, worker or admin");
    assert_false(parses("name = a\n"));
    assert_string_equal(why, "it has no line public = KEY");
    assert_false(parses(""));
}

static void a_ninth_server_is_too_many(void **state)
{
    (void)state;
#define SERVER "server = " KEY "\n"
    assert_true(
        parses("public = " KEY "\n" SERVER SERVER SERVER SERVER SERVER SERVER SERVER SERVER));
    assert_false(parses(SERVER SERVER SERVER SERVER SERVER SERVER SERVER SERVER SERVER));
    assert_string_equal(why, "line 9: server can be given 8 times");
}

/* ---- files ---- */

static void an_own_key_survives_its_file(void **state)
{
    struct rv_keyfile k = worker();
    struct rv_keyfile again;
    struct stat st;

    (void)state;
    snprintf(k.servers[k.servers_len++], RV_KEY_TEXT, "%s", KEY);
    assert_int_equal(rv_keys_write(&k, path, true, why), REEVE_OK);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_int_equal(rv_keys_read(&again, path, true, why), REEVE_OK);
    assert_memory_equal(&k, &again, sizeof k);
}

static void a_public_file_holds_no_secret(void **state)
{
    struct rv_keyfile k = worker();
    struct rv_keyfile again;
    struct stat st;

    (void)state;
    assert_int_equal(rv_keys_write(&k, path, false, why), REEVE_OK);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0644);
    assert_int_equal(rv_keys_read(&again, path, false, why), REEVE_OK);
    assert_string_equal(again.public_key, k.public_key);
    assert_string_equal(again.secret_key, "");
    assert_int_equal(rv_keys_read(&again, path, true, why), REEVE_EAUTH);
    assert_int_equal(chmod(path, 0600), 0);
    assert_int_equal(rv_keys_read(&again, path, true, why), REEVE_EINVAL);
    assert_says("it has no line secret = KEY");
}

static void a_key_is_not_overwritten(void **state)
{
    struct rv_keyfile k = worker_with_file();
    struct rv_keyfile other = worker();
    struct rv_keyfile again;

    (void)state;
    assert_int_equal(rv_keys_write(&other, path, true, why), REEVE_EEXIST);
    assert_says(path);
    assert_int_equal(rv_keys_read(&again, path, true, why), REEVE_OK);
    assert_string_equal(again.secret_key, k.secret_key);
}

static void what_could_not_be_read_is_not_written(void **state)
{
    struct rv_keyfile k = worker();

    (void)state;
    snprintf(k.name, sizeof k.name, "a\nrole = admin");
    assert_int_equal(rv_keys_write(&k, path, true, why), REEVE_EINVAL);
    assert_int_not_equal(access(path, F_OK), 0);
}

static void a_loose_mode_is_refused_with_its_cure(void **state)
{
    struct rv_keyfile k = worker_with_file();
    char cure[192];

    (void)state;
    assert_int_equal(chmod(path, 0644), 0);
    assert_int_equal(rv_keys_read(&k, path, true, why), REEVE_EAUTH);
    snprintf(cure, sizeof cure, "mode 0644 lets others read it; run: chmod 600 %s", path);
    assert_says(cure);
    assert_string_equal(k.secret_key, "");
    /* It holds a secret, whatever it is read for. */
    assert_int_equal(rv_keys_read(&k, path, false, why), REEVE_EAUTH);
    write_text("public = " KEY "\n", 0666);
    assert_int_equal(rv_keys_read(&k, path, false, why), REEVE_EAUTH);
    assert_says("lets others change it");
}

static void a_symbolic_link_is_refused(void **state)
{
    struct rv_keyfile k = worker_with_file();
    char name[128];

    (void)state;
    snprintf(name, sizeof name, "%s/link", directory);
    assert_int_equal(symlink(path, name), 0);
    assert_int_equal(rv_keys_read(&k, name, true, why), REEVE_EAUTH);
    assert_says("symbolic link");
    unlink(name);
}

static void what_is_no_file_is_refused(void **state)
{
    struct rv_keyfile k;

    (void)state;
    assert_int_equal(rv_keys_read(&k, path, true, why), REEVE_ENOENT);
    assert_says(path);
    assert_int_equal(rv_keys_read(&k, directory, true, why), REEVE_EAUTH);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_int_equal(rv_keys_read(&k, path, true, why), REEVE_EAUTH);
    assert_says("not a regular file");
}

static void a_huge_file_is_refused(void **state)
{
    struct rv_keyfile k;

    (void)state;
    write_text("", 0600);
    assert_int_equal(truncate(path, RV_KEYS_MAX + 1), 0);
    assert_int_equal(rv_keys_read(&k, path, true, why), REEVE_EINVAL);
    assert_says("longer than 64 kB");
}

static void keys_of_two_pairs_are_refused(void **state)
{
    struct rv_keyfile k = worker();
    struct rv_keyfile other = worker();

    (void)state;
    memcpy(k.secret_key, other.secret_key, sizeof k.secret_key);
    assert_int_equal(rv_keys_write(&k, path, true, why), REEVE_OK);
    assert_int_equal(rv_keys_read(&k, path, true, why), REEVE_EINVAL);
    assert_says("do not belong together");
}

static void trusting_adds_one_line_and_keeps_the_rest(void **state)
{
    struct rv_keyfile k = worker();
    struct rv_keyfile again;
    struct stat st;
    char text[512];
    char whole[1024];
    FILE *file = NULL;

    (void)state;
    snprintf(text, sizeof text, "# mine\npublic = %s\nsecret = %s", k.public_key, k.secret_key);
    write_text(text, 0600);
    assert_int_equal(rv_keys_trust(path, KEY, why), REEVE_OK);
    assert_int_equal(rv_keys_trust(path, KEY, why), REEVE_OK); /* once is enough */
    assert_int_equal(rv_keys_read(&again, path, true, why), REEVE_OK);
    assert_int_equal(again.servers_len, 1);
    assert_string_equal(again.servers[0], KEY);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);

    file = fopen(path, "r");
    assert_non_null(file);
    whole[fread(whole, 1, sizeof whole - 1, file)] = '\0';
    fclose(file);
    assert_memory_equal(whole, text, strlen(text));
    assert_string_equal(whole + strlen(text), "\nserver = " KEY "\n");
}

static void trust_has_limits(void **state)
{
    struct rv_keyfile k;

    (void)state;
    worker_with_file();
    assert_int_equal(rv_keys_trust(path, "no key", why), REEVE_EINVAL);
    for (int i = 0; i < RV_KEYS_SERVERS; i++) {
        rv_keys_generate(&k);
        assert_int_equal(rv_keys_trust(path, k.public_key, why), REEVE_OK);
    }
    rv_keys_generate(&k);
    assert_int_equal(rv_keys_trust(path, k.public_key, why), REEVE_ELIMIT);
    assert_says("8 managers");
}

static void a_shown_key_may_be_replaced(void **state)
{
    struct rv_keyfile k = worker();
    struct rv_keyfile again;

    (void)state;
    assert_int_equal(rv_keys_publish(path, "manager", KEY, why), REEVE_OK);
    assert_int_equal(rv_keys_publish(path, "manager", k.public_key, why), REEVE_OK);
    assert_int_equal(rv_keys_read(&again, path, false, why), REEVE_OK);
    assert_string_equal(again.public_key, k.public_key);
}

/* ---- an authkey ---- */

static void both_sides_make_the_same_keys_of_an_authkey(void **state)
{
    struct rv_keyfile client = {.name = "cluster"};
    struct rv_keyfile manager;
    struct rv_keyfile other = {.servers_len = 0};

    (void)state;
    rv_keys_new_authkey(&client);
    rv_keys_new_authkey(&other);
    assert_string_not_equal(client.authkey, other.authkey);
    assert_int_equal(rv_keys_write(&client, path, true, why), REEVE_OK);
    assert_int_equal(rv_keys_read(&manager, path, true, why), REEVE_OK);
    assert_memory_equal(&client, &manager, sizeof client);
    rv_keys_as_manager(&manager);
    assert_string_equal(client.servers[0], manager.public_key);
    assert_string_not_equal(client.public_key, manager.public_key);
    assert_string_not_equal(client.secret_key, client.authkey);
}

/* Hosts agree on it without a word, so it is for ever. */
static void a_passphrase_is_the_same_key_everywhere(void **state)
{
    struct rv_keyfile k = {.servers_len = 0};

    (void)state;
    if (!rv_keys_from_passphrase(&k, rv_slice_str("correct horse battery")))
        skip(); /* 256 MiB are not there */
    assert_string_equal(k.authkey, "(lCV.E?t*t5aFk@L.lm+2b:8:W[h/DJPm]Bd:oyD");
    assert_string_equal(k.public_key, "]VNrvqom!UMNr!:-+wABB..wM>uS)xL&zK4}bmPt");
    assert_string_equal(k.servers[0], "JtmsJO//ogLm2CxqeuJBBxMBrEu/AX{3^Yr{istD");
}

static void an_authkey_is_alone_and_secret(void **state)
{
    struct rv_keyfile k;

    (void)state;
    assert_false(rv_keys_parse(&k, rv_slice_str("authkey = " KEY "\nserver = " KEY "\n"), why));
    assert_non_null(strstr(why, "an authkey has no line public, secret or server"));
    assert_false(rv_keys_parse(&k, rv_slice_str("authkey = " KEY "\nauthkey = " KEY "\n"), why));
    assert_false(rv_keys_parse(&k, rv_slice_str("authkey = short\n"), why));
    write_text("authkey = " KEY "\n", 0644);
    assert_int_equal(rv_keys_read(&k, path, true, why), REEVE_EAUTH);
    assert_int_equal(rv_keys_read(&k, path, false, why), REEVE_EAUTH);
    assert_int_equal(chmod(path, 0600), 0);
    assert_int_equal(rv_keys_trust(path, HASH, why), REEVE_EINVAL);
}

#define WITH_FILES(test) cmocka_unit_test_setup_teardown(test, make_directory, remove_directory)

int test_keys(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(public_file_has_two_keys_and_a_last_day),
        cmocka_unit_test(days_that_do_not_exist_are_refused),
        cmocka_unit_test(keys_survive_their_text),
        cmocka_unit_test(what_is_not_z85_is_no_key),
        cmocka_unit_test(fingerprints_tell_keys_apart),
        cmocka_unit_test(wiping_leaves_nothing),
        cmocka_unit_test(a_public_line_has_role_and_rights),
        cmocka_unit_test(a_key_may_hold_the_sign_of_comments),
        cmocka_unit_test(a_bad_line_is_named_by_its_number),
        cmocka_unit_test(a_ninth_server_is_too_many),
        WITH_FILES(an_own_key_survives_its_file),
        WITH_FILES(a_public_file_holds_no_secret),
        WITH_FILES(a_key_is_not_overwritten),
        WITH_FILES(what_could_not_be_read_is_not_written),
        WITH_FILES(a_loose_mode_is_refused_with_its_cure),
        WITH_FILES(a_symbolic_link_is_refused),
        WITH_FILES(what_is_no_file_is_refused),
        WITH_FILES(a_huge_file_is_refused),
        WITH_FILES(keys_of_two_pairs_are_refused),
        WITH_FILES(trusting_adds_one_line_and_keeps_the_rest),
        WITH_FILES(trust_has_limits),
        WITH_FILES(a_shown_key_may_be_replaced),
        WITH_FILES(both_sides_make_the_same_keys_of_an_authkey),
        cmocka_unit_test(a_passphrase_is_the_same_key_everywhere),
        WITH_FILES(an_authkey_is_alone_and_secret),
    };

    return cmocka_run_group_tests_name("keys", tests, NULL, NULL);
}
