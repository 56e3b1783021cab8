/* main.c -- reeve-server from start to end, top to bottom. */

#include "common/proc/notify.h"
#include "server/audit.h"
#include "server/log_tool.h"
#include "server/options.h"
#include "server/shell.h"

#include <dirent.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

enum { EXIT_OPERATOR = 100, EXIT_AGAIN = 111 };

static _Noreturn void fatal(int code, const char *why)
{
    fprintf(stderr, "reeve-server: fatal: %s\n", why);
    exit(code);
}

static uint32_t number(const char *text, uint32_t max, const char *word)
{
    uint32_t x = 0;
    char why[256];

    if (rv_conf_number(text, max, &x))
        return x;
    snprintf(why, sizeof why, "--%s must be a number up to %u, not %.100s", word, max, text);
    fatal(EXIT_OPERATOR, why);
}

static int level_of(const char *text)
{
    static const char *const levels[] = {"error", "warn", "info", "debug"};

    for (size_t i = 0; i < rv_countof(levels); i++)
        if (strcmp(text, levels[i]) == 0)
            return (int)i;
    fatal(EXIT_OPERATOR, "--log-level must be error, warn, info or debug");
}

static bool all_local(const struct options *o)
{
    for (size_t i = 0; i < o->binds_len; i++)
        if (strncmp(o->binds[i], "ipc://", 6) != 0)
            return false;
    return true;
}

/* The manager's own key: from the folder, or a throw-away one when only this host's users
 * can reach it, who find it beside the socket. */
static void own_key(struct rv_keyfile *key, const struct options *o)
{
    char path[512];
    char why[1024];

    if (o->authkey != NULL) {
        if (rv_keys_read(key, o->authkey, true, why) != REEVE_OK)
            fatal(EXIT_OPERATOR, why);
        if (key->authkey[0] == '\0')
            fatal(EXIT_OPERATOR, "--authkey wants a file made by: reeve keygen --authkey NAME");
        return;
    }
    snprintf(path, sizeof path, "%s/manager.key", o->keys);
    if (all_local(o) && access(path, F_OK) != 0) {
        rv_keys_generate(key);
        return;
    }
    if (access(path, F_OK) != 0) {
        snprintf(why, sizeof why, "cannot read %s: no such key; run: reeve keygen --dir %s manager",
                 path, o->keys);
        fatal(EXIT_OPERATOR, why);
    }
    if (rv_keys_read(key, path, true, why) != REEVE_OK)
        fatal(EXIT_OPERATOR, why);
}

/* Another key of the manager, while one takes the other's place; NULL: none. */
static struct rv_keyfile *second_key(const struct options *o)
{
    struct rv_keyfile *key = NULL;
    char why[RV_KEYS_WHY];

    if ((o->second_bind == NULL) != (o->second_key == NULL))
        fatal(EXIT_OPERATOR, "--second-bind and --second-key need each other");
    if (o->second_key == NULL)
        return NULL;
    key = rv_secret_new(sizeof *key);
    if (key == NULL)
        fatal(EXIT_AGAIN, "out of memory for the key");
    if (rv_keys_read(key, o->second_key, true, why) != REEVE_OK)
        fatal(EXIT_OPERATOR, why);
    if (key->authkey[0] != '\0')
        rv_keys_as_manager(key);
    return key;
}

/* As many connections as the system lets us have. */
static void raise_limits(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
    prctl(PR_SET_DUMPABLE, 0);
    /* Frames of 256 KiB come and go all the time: mapping and faulting them in anew for each
     * costs a tenth of the processor when large items flow. */
    mallopt(M_MMAP_THRESHOLD, 4 << 20);
    mallopt(M_TRIM_THRESHOLD, 32 << 20);
}

static void tell_ready(const struct rv_net *net, const struct options *o, const char *public_key,
                       const struct rv_keyfile *second)
{
    size_t len = o->binds_len + (second != NULL);
    char line[512];
    char print[20];

    for (size_t i = 0; i < len; i++) {
        rv_keys_fingerprint(print, i < o->binds_len ? public_key : second->public_key);
        snprintf(line, sizeof line, "server.ready endpoint=%s key=%s", rv_net_endpoint(net, i),
                 print);
        shell_line(NULL, RV_INFO, line);
    }
    if (o->ready_fd != NULL) {
        int fd = (int)number(o->ready_fd, 1 << 20, "ready-fd");

        for (size_t i = 0; i < len; i++)
            dprintf(fd, "%s\n", rv_net_endpoint(net, i));
        close(fd);
    }
    rv_notify("READY=1");
}

/* A folder that was made for this manager alone, with files and no folders in it. */
static void remove_folder(const char *path)
{
    DIR *dir = opendir(path);
    const struct dirent *entry = NULL;

    if (dir == NULL)
        return;
    while ((entry = readdir(dir)) != NULL)
        (void)unlinkat(dirfd(dir), entry->d_name, 0);
    closedir(dir);
    (void)rmdir(path);
}

/* Signals are read from a descriptor; every thread that libzmq starts inherits the mask. */
static void block_signals(void)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    sigprocmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
}

/* What the options say to the shell. */
static struct shell_conf shell_conf_of(const struct options *o)
{
    struct shell_conf conf = {.data = o->data, .repair = o->repair != NULL, .lifeline_fd = -1};

    if (conf.repair && strcmp(o->repair, "truncate") != 0)
        fatal(EXIT_OPERATOR, "--repair can only be truncate");
    if (conf.repair && conf.data == NULL)
        fatal(EXIT_OPERATOR, "--repair wants --data: the folder of the log that is damaged");
    if (o->lifeline_fd != NULL) {
        rv_notify_never();
        conf.lifeline_fd = (int)number(o->lifeline_fd, 1 << 20, "lifeline-fd");
    }
    return conf;
}

static struct rv_net *open_net(const struct options *o, const struct rv_keyfile *key,
                               const struct rv_keyfile *second, const struct principals *principals)
{
    size_t keys_len = 0;
    struct rv_net_key *keys = principals_keys(principals, &keys_len);
    struct rv_net *net = NULL;
    char why[1024];
    reeve_err err = rv_net_open(&net,
                                &(struct rv_net_conf){
                                    .binds = o->binds,
                                    .binds_len = o->binds_len,
                                    .public_key = key->public_key,
                                    .secret_key = key->secret_key,
                                    .second_bind = o->second_bind,
                                    .second_secret_key = second == NULL ? NULL : second->secret_key,
                                    .io_threads = number(o->io_threads, 16, "io-threads"),
                                    .keys = keys,
                                    .keys_len = keys_len,
                                    .ipc_same_uid = true,
                                    .ipc_principal = PRINCIPAL_LOCAL,
                                    .sink = {.line = shell_line},
                                },
                                why);

    free(keys);
    if (err != REEVE_OK)
        fatal(err == REEVE_EINVAL || err == REEVE_EPERM ? EXIT_OPERATOR : EXIT_AGAIN, why);
    if (rv_net_selftest(net, why) != REEVE_OK)
        fatal(EXIT_OPERATOR, why);
    return net;
}

int main(int argc, char **argv)
{
    struct options o;
    struct rv_keyfile *key = NULL;
    struct rv_keyfile *second = NULL;
    struct principals principals = {0};
    struct keyring *keyring = NULL;
    struct rv_net *net = NULL;
    struct shell *shell = NULL;
    struct shell_conf conf;
    char why[1024];

    options_parse(&o, argc, argv);
    shell_log_level(level_of(o.log_level));
    if (o.log != NULL)
        return log_tool(o.log, o.data, o.to);
    conf = shell_conf_of(&o);
    raise_limits();
    if (o.audit != NULL && !audit_open(o.audit, why))
        fatal(EXIT_OPERATOR, why);
    block_signals();

    key = rv_secret_new(sizeof *key);
    if (key == NULL)
        fatal(EXIT_AGAIN, "out of memory for the key");
    own_key(key, &o);
    second = second_key(&o);
    keyring = keyring_new(o.keys);
    if (key->authkey[0] != '\0') {
        keyring_admit_always(keyring, key);
        rv_keys_as_manager(key);
    }
    if (keyring_read(keyring, &principals, why) != REEVE_OK)
        fatal(EXIT_OPERATOR, why);
    shell = shell_new(&conf, why);
    if (shell == NULL)
        fatal(EXIT_OPERATOR, why);
    shell_recognise(shell, &principals);
    net = open_net(&o, key, second, &principals);

    shell_serve(shell, net);
    shell_admit(shell, &principals);
    shell_follow(shell, keyring);
    tell_ready(net, &o, key->public_key, second);
    rv_secret_free(key);
    rv_secret_free(second);
    if (o.data == NULL)
        shell_line(
            NULL, RV_INFO,
            "server.durable level=none why=\"no data directory: what it holds ends with it\"");
    shell_run(shell);

    shell_line(NULL, RV_INFO, "server.stop");
    shell_free(&shell);
    rv_net_close(&net);
    if (o.temporary != NULL)
        remove_folder(o.temporary);
    principals_free(&principals);
    keyring_free(&keyring);
    audit_close();
    rv_conf_free(&o.conf);
    return 0;
}
