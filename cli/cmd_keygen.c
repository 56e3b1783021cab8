/* cmd_keygen.c -- reeve keygen: key files, and whom they trust. */

#include "cli/cli.h"
#include "common/net/keys.h"
#include "common/wire/ops.def"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#define MANAGER "manager"

enum { PASSPHRASE_MIN = 12, PASSPHRASE_MAX = 1026 };

struct plan {
    const char *name;
    bool manager;
    char dir[PATH_MAX / 2];
    char own[PATH_MAX];    /* the secret key file */
    char public[PATH_MAX]; /* the public one */
};

/* ---- folders ---- */

/* ~/.config/reeve, and /etc/reeve for the manager of the system: where reeve-server looks. */
static bool default_dir(char *out, size_t size, bool manager)
{
    const char *home = getenv("HOME");
    int len = 0;

    if (manager && (geteuid() == 0 || home == NULL))
        len = snprintf(out, size, "/etc/reeve");
    else if (home != NULL && home[0] != '\0')
        len = snprintf(out, size, "%s/.config/reeve", home);
    return len > 0 && (size_t)len < size;
}

/* Make the folder and those above it. */
static int make_dir(const char *path, mode_t mode)
{
    char part[PATH_MAX];
    size_t len = strlen(path);

    if (len >= sizeof part)
        return cli_fail(EXIT_CHANGE, "cannot make folder %.80s...: the path is too long", path);
    for (size_t i = 1; i <= len; i++) {
        if (path[i] != '/' && path[i] != '\0')
            continue;
        memcpy(part, path, i);
        part[i] = '\0';
        if (mkdir(part, path[i] == '\0' ? mode : 0755) != 0 && errno != EEXIST)
            return cli_fail(EXIT_CHANGE, "cannot make folder %s: %s; name another one by --dir",
                            part, strerror(errno));
    }
    return EXIT_DONE;
}

static bool exists(const char *path)
{
    struct stat st;

    return lstat(path, &st) == 0;
}

/* ---- the plan ---- */

/* The name becomes a file name. */
static int check_name(const struct cli_args *args)
{
    const char *name = args->words[0];
    size_t len = strlen(name);

    for (size_t i = 0; i < len; i++)
        if (name[i] <= ' ' || name[i] > '~' || name[i] == '/')
            return cli_fail_usage(args,
                                  "cannot make a key for '%s': a name is of ASCII without "
                                  "blanks and slashes",
                                  name);
    if (len == 0 || len > RV_NAME_MAX || name[0] == '.')
        return cli_fail_usage(args,
                              "cannot make a key for '%.80s': a name has 1 to %d characters "
                              "and begins with no dot",
                              name, RV_NAME_MAX);
    return EXIT_DONE;
}

static int make_plan(struct plan *plan, const struct cli_args *args)
{
    int code = check_name(args);
    const char *file = NULL;

    if (code != EXIT_DONE)
        return code;
    plan->name = args->words[0];
    plan->manager = args->server || strcmp(plan->name, MANAGER) == 0;
    if (plan->manager &&
        (args->role != NULL || args->rights.len > 0 || args->quota.len > 0 || args->trust != NULL))
        return cli_fail_usage(args, "cannot make the manager's key: --role, --rights, --quota and "
                                    "--trust are for its clients");
    if (args->dir != NULL && strlen(args->dir) >= sizeof plan->dir)
        return cli_fail_usage(args, "cannot use --dir: the path is too long");
    if (args->dir != NULL)
        snprintf(plan->dir, sizeof plan->dir, "%s", args->dir[0] == '\0' ? "." : args->dir);
    else if (!default_dir(plan->dir, sizeof plan->dir, plan->manager))
        return cli_fail(EXIT_CHANGE, "cannot choose a folder for the key: $HOME is not set; name "
                                     "one by --dir");
    file = plan->manager ? MANAGER : plan->name;
    snprintf(plan->own, sizeof plan->own, "%s/%s.key", plan->dir, file);
    snprintf(plan->public, sizeof plan->public, "%s/%s.pub", plan->dir, file);
    return EXIT_DONE;
}

/* The key that --trust means: a file, or the key itself. */
static int read_trust(char key[RV_KEY_TEXT], const char *text)
{
    struct rv_keyfile k;
    char why[RV_KEYS_WHY];
    uint8_t binary[32];
    reeve_err err = REEVE_OK;

    if (!exists(text) && rv_keys_decode(binary, text)) {
        memcpy(key, text, RV_KEY_TEXT);
        return EXIT_DONE;
    }
    err = rv_keys_read(&k, text, false, why);
    if (err == REEVE_ENOENT)
        return cli_fail(EXIT_CHANGE,
                        "%s; --trust wants the manager's manager.pub, or the key of "
                        "40 characters in it",
                        why);
    if (err != REEVE_OK)
        return cli_fail(EXIT_CHANGE, "%s", why);
    memcpy(key, k.public_key, RV_KEY_TEXT);
    rv_keys_wipe(&k);
    return EXIT_DONE;
}

/* ---- what was made, and what to do with it ---- */

static void say_made(const char *path, const char *what)
{
    printf("made  %-40s  %s\n", path, what);
}

static void say_public(const char *path, const char *role, const char *key)
{
    char fingerprint[20];
    char what[64];

    rv_keys_fingerprint(fingerprint, key);
    snprintf(what, sizeof what, "public, role %s, fingerprint %s", role, fingerprint);
    say_made(path, what);
}

static void say_trusted(const char *path, const char *key)
{
    char fingerprint[20];

    rv_keys_fingerprint(fingerprint, key);
    printf("trust %-40s  the manager with fingerprint %s\n", path, fingerprint);
}

static void say_next_client(const struct plan *plan, bool trusts, bool worker)
{
    printf("\ncopy %s.pub into authorized.d/ of the manager, which sees it at once\n", plan->name);
    if (!trusts)
        printf("copy manager.pub here and run: reeve keygen --trust manager.pub %s\n", plan->name);
    if (worker)
        printf("then: reeve-worker --manager tcp://HOST:7300 --key %s\n", plan->own);
    else
        printf("then: reeve status --url tcp://HOST:7300 --key %s\n", plan->own);
}

static void say_next_manager(const struct plan *plan)
{
    printf(
        "\ncopy manager.pub to every client and run there: reeve keygen --trust manager.pub NAME\n"
        "copy NAME.pub of every client into %s/authorized.d/\n"
        "then: reeve-server --keys %s --bind 'tcp://*:7300'\n",
        plan->dir, plan->dir);
}

/* ---- making ---- */

static int write_manager(const struct plan *plan, const struct rv_keyfile *k)
{
    char admitted[PATH_MAX];
    char why[RV_KEYS_WHY];
    int code = EXIT_DONE;

    snprintf(admitted, sizeof admitted, "%s/authorized.d", plan->dir);
    code = make_dir(admitted, 0755);
    if (code != EXIT_DONE)
        return code;
    if (rv_keys_write(k, plan->own, true, why) != REEVE_OK ||
        rv_keys_publish(plan->public, k->name, k->public_key, why) != REEVE_OK)
        return cli_fail(EXIT_CHANGE, "%s", why);
    strncat(admitted, "/", sizeof admitted - strlen(admitted) - 1);
    say_made(plan->own, "secret, stays here");
    say_public(plan->public, MANAGER, k->public_key);
    say_made(admitted, "for the public files of those who may come in");
    say_next_manager(plan);
    return EXIT_DONE;
}

/* The own file has no role and no rights: what counts is what the manager has. */
static int write_client(const struct plan *plan, const struct rv_keyfile *k)
{
    struct rv_keyfile own = *k;
    char why[RV_KEYS_WHY];
    reeve_err err = REEVE_OK;

    own.role[0] = '\0';
    own.rights_len = own.quotas_len = 0;
    err = rv_keys_write(&own, plan->own, true, why);
    rv_keys_wipe(&own);
    if (err != REEVE_OK)
        return cli_fail(EXIT_CHANGE, "%s", why);
    if (rv_keys_write(k, plan->public, false, why) != REEVE_OK) {
        unlink(plan->own); /* made just now; half a pair would be in the way */
        return cli_fail(EXIT_CHANGE, "%s", why);
    }
    say_made(plan->own, "secret, stays here");
    say_public(plan->public, k->role, k->public_key);
    if (k->servers_len > 0)
        say_trusted(plan->own, k->servers[0]);
    say_next_client(plan, k->servers_len > 0, strcmp(k->role, "worker") == 0);
    return EXIT_DONE;
}

/* One of the verbs of a right; `all` is everything about objects. */
static bool is_verb(const char *text, size_t len)
{
    static const char *const verbs[] = {"all",
#define WORD(name, word) word,
                                        RV_RIGHTS(WORD)
#undef WORD
    };

    for (size_t i = 0; i < rv_countof(verbs); i++)
        if (strlen(verbs[i]) == len && memcmp(verbs[i], text, len) == 0)
            return true;
    return false;
}

/* VERB,VERB or VERB,VERB:NAME */
static bool is_right(const char *text)
{
    for (const char *at = text;; at++) {
        size_t len = strcspn(at, ",:");

        if (!is_verb(at, len))
            return false;
        at += len;
        if (*at != ',')
            return strlen(text) < sizeof(((struct rv_keyfile *)NULL)->rights[0]);
    }
}

/* WORD:NUMBER, and perhaps a unit. */
static bool is_quota(const char *text)
{
    static const char *const words[] = {
#define WORD(name, word) word,
        RV_QUOTAS(WORD)
#undef WORD
    };
    const char *colon = strchr(text, ':');
    size_t digits = colon == NULL ? 0 : strspn(colon + 1, "0123456789");
    const char *unit = digits == 0 ? "?" : colon + 1 + digits;

    for (size_t i = 0; i < rv_countof(words); i++)
        if (colon != NULL && strlen(words[i]) == (size_t)(colon - text) &&
            memcmp(words[i], text, (size_t)(colon - text)) == 0)
            return digits < 13 &&
                   (*unit == '\0' || (strchr("KMG", *unit) != NULL && unit[1] == '\0'));
    return false;
}

static int fill_client(struct rv_keyfile *k, const struct cli_args *args)
{
    const char *role = args->role == NULL ? "client" : args->role;

    if (strcmp(role, "client") != 0 && strcmp(role, "worker") != 0 && strcmp(role, "admin") != 0)
        return cli_fail_usage(args, "cannot take --role %s: it is client, worker or admin", role);
    snprintf(k->role, sizeof k->role, "%s", role);
    for (size_t i = 0; i < args->rights.len; i++) {
        if (!is_right(args->rights.at[i]))
            return cli_fail_usage(args,
                                  "cannot take --rights %.140s: it reads VERB,VERB:NAME, as "
                                  "put,get:jobs/*, with at most 127 characters",
                                  args->rights.at[i]);
        snprintf(k->rights[k->rights_len++], sizeof k->rights[0], "%s", args->rights.at[i]);
    }
    for (size_t i = 0; i < args->quota.len; i++) {
        if (!is_quota(args->quota.at[i]) || k->quotas_len == RV_KEYS_QUOTAS)
            return cli_fail_usage(args,
                                  "cannot take --quota %.60s: it reads WORD:NUMBER, as bytes:1G; "
                                  "at most %d of them",
                                  args->quota.at[i], RV_KEYS_QUOTAS);
        snprintf(k->quotas[k->quotas_len++], sizeof k->quotas[0], "%s", args->quota.at[i]);
    }
    if (args->trust == NULL)
        return EXIT_DONE;
    k->servers_len = 1;
    return read_trust(k->servers[0], args->trust);
}

static int make_keys(const struct plan *plan, const struct cli_args *args)
{
    struct rv_keyfile k = {.servers_len = 0};
    int code = plan->manager ? EXIT_DONE : fill_client(&k, args);

    if (code == EXIT_DONE && (exists(plan->own) || exists(plan->public)))
        code = cli_fail(EXIT_CHANGE,
                        "cannot make %s: it exists, and a key is not replaced; choose "
                        "another name or folder, or move it away first",
                        exists(plan->own) ? plan->own : plan->public);
    if (code == EXIT_DONE)
        code = make_dir(plan->dir, plan->manager ? 0755 : 0700);
    if (code != EXIT_DONE)
        return code;
    snprintf(k.name, sizeof k.name, "%s", plan->name);
    rv_keys_generate(&k);
    code = plan->manager ? write_manager(plan, &k) : write_client(plan, &k);
    rv_keys_wipe(&k);
    return code;
}

/* One line from a person, unseen, or from a pipe. */
static int read_passphrase(char *out, size_t size)
{
    struct termios shown;
    bool terminal = tcgetattr(STDIN_FILENO, &shown) == 0;
    struct termios hidden = shown;
    size_t len = 0;
    bool got = false;

    hidden.c_lflag &= ~(tcflag_t)ECHO;
    if (terminal) {
        fputs("passphrase: ", stderr);
        tcsetattr(STDIN_FILENO, TCSAFLUSH, &hidden);
    }
    /* Byte by byte: stdio would keep a copy. */
    while (len + 1 < size && read(STDIN_FILENO, out + len, 1) == 1 && out[len] != '\n')
        len++;
    out[len] = '\0';
    got = len >= PASSPHRASE_MIN && len + 1 < size;
    if (terminal) {
        tcsetattr(STDIN_FILENO, TCSAFLUSH, &shown);
        fputc('\n', stderr);
    }
    return got ? EXIT_DONE
               : cli_fail(EXIT_USAGE, "cannot take the passphrase: it has %d to %zu bytes",
                          PASSPHRASE_MIN, size - 2);
}

static int fill_authkey(struct rv_keyfile *k, bool passphrase)
{
    char *words = NULL;
    int code = EXIT_DONE;

    if (!passphrase) {
        rv_keys_new_authkey(k);
        return EXIT_DONE;
    }
    words = rv_secret_new(PASSPHRASE_MAX);
    if (words == NULL)
        return cli_fail(EXIT_AGAIN, "cannot read the passphrase: out of memory");
    code = read_passphrase(words, PASSPHRASE_MAX);
    if (code == EXIT_DONE && !rv_keys_from_passphrase(k, rv_slice_str(words)))
        code = cli_fail(EXIT_AGAIN, "cannot make a key of the passphrase: that takes 256 MiB");
    rv_secret_free(words);
    return code;
}

static int make_authkey(const struct plan *plan, const struct cli_args *args)
{
    struct rv_keyfile k = {.servers_len = 0};
    char why[RV_KEYS_WHY];
    char print[20];
    int code = EXIT_DONE;

    if (args->server || args->role != NULL || args->rights.len > 0 || args->quota.len > 0 ||
        args->trust != NULL)
        return cli_fail_usage(args, "cannot make an authkey with --server, --role, --rights, "
                                    "--quota or --trust: who has it may do everything");
    if (exists(plan->own))
        return cli_fail(EXIT_CHANGE, "cannot make %s: it exists, and a key is not replaced",
                        plan->own);
    code = make_dir(plan->dir, 0700);
    if (code == EXIT_DONE)
        code = fill_authkey(&k, args->passphrase);
    if (code != EXIT_DONE)
        return code;
    snprintf(k.name, sizeof k.name, "%s", plan->name);
    if (rv_keys_write(&k, plan->own, true, why) != REEVE_OK)
        code = cli_fail(EXIT_CHANGE, "%s", why);
    rv_keys_fingerprint(print, k.servers[0]);
    rv_keys_wipe(&k);
    if (code != EXIT_DONE)
        return code;
    say_made(plan->own, "secret, for every host and nobody else");
    printf("\nthe manager's fingerprint is %s\n"
           "then: reeve-server --authkey %s --bind 'tcp://*:7300'\n"
           "and:  reeve status --url tcp://HOST:7300 --key %s\n",
           print, plan->own, plan->own);
    return EXIT_DONE;
}

static int add_trust(const struct plan *plan, const struct cli_args *args)
{
    char key[RV_KEY_TEXT];
    char why[RV_KEYS_WHY];
    int code = EXIT_DONE;

    if (args->role != NULL || args->rights.len > 0)
        return cli_fail_usage(args,
                              "cannot change %s: role and rights stand in the manager's "
                              "authorized.d/%s.pub",
                              plan->own, plan->name);
    code = read_trust(key, args->trust);
    if (code != EXIT_DONE)
        return code;
    if (rv_keys_trust(plan->own, key, why) != REEVE_OK)
        return cli_fail(EXIT_CHANGE, "%s", why);
    say_trusted(plan->own, key);
    return EXIT_DONE;
}

int run_keygen(const struct cli_args *args)
{
    struct plan plan;
    int code = make_plan(&plan, args);

    if (code != EXIT_DONE)
        return code;
    if (args->authkey)
        return make_authkey(&plan, args);
    if (args->passphrase)
        return cli_fail_usage(args, "cannot take a passphrase: it is for --authkey");
    if (args->trust != NULL && exists(plan.own))
        return add_trust(&plan, args);
    return make_keys(&plan, args);
}
