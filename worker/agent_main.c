/* agent_main.c -- reeve-worker from start to end: an agent; or, started by one, the zygote of
 * commands and modules. */

#include "common/net/target.h"
#include "common/proc/notify.h"
#include "common/wire/task.h"
#include "worker/agent_options.h"
#include "worker/capacity.h"
#include "worker/loop.h"

#include <reeve/task.h>

#include <dlfcn.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

static _Noreturn void fatal(int code, const char *why)
{
    fprintf(stderr, "reeve-worker: fatal: %s\n", why);
    exit(code);
}

static int level_of(const char *text)
{
    static const char *const levels[] = {"error", "warn", "info", "debug"};

    for (size_t i = 0; i < rv_countof(levels); i++)
        if (strcmp(text, levels[i]) == 0)
            return (int)i;
    fatal(EXIT_CONFIG, "--log-level must be error, warn, info or debug");
}

/* ---- the zygote of a module ---- */

static _Noreturn void refuse(const char *why)
{
    struct rv_zygote_msg msg = {.version = RV_TASK_VERSION, .type = RV_ZYGOTE_REFUSE};

    snprintf(msg.text, sizeof msg.text, "%s", why);
    (void)send(atoi(getenv(RV_ENV_ZYGOTE)), &msg, sizeof msg, MSG_NOSIGNAL);
    exit(1);
}

/* Its constructors register its functions. It stays loaded for the life of the process. */
static void load_module(const char *path)
{
    char why[RV_ZYGOTE_TEXT];

    if (dlopen(path, RTLD_NOW | RTLD_LOCAL) != NULL)
        return;
    snprintf(why, sizeof why, "the module cannot be loaded: %s", dlerror());
    refuse(why);
}

/* ---- the agent ---- */

static uint32_t milliseconds(const char *text, const char *word)
{
    return (uint32_t)(agent_options_number(text, 4000000, word) * 1000);
}

static int descriptor(const char *text, const char *word)
{
    return text == NULL ? -1 : (int)agent_options_number(text, 1 << 20, word);
}

static void prepare_process(void)
{
    struct rlimit limit;
    sigset_t set;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
    /* Signals are read from a descriptor; every thread that libzmq starts inherits the mask. */
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGCHLD);
    sigprocmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
    /* What runners leave behind comes to us when their zygote has gone. */
    prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
    /* Our key is not for tasks, which are processes of the same user. */
    prctl(PR_SET_DUMPABLE, 0);
}

static void load_key(struct rv_keyfile *key, const char *path)
{
    char why[RV_KEYS_WHY];

    if (path == NULL)
        rv_keys_generate(key); /* for ipc, where the manager admits our uid */
    else if (rv_keys_read(key, path, true, why) != REEVE_OK)
        fatal(EXIT_CONFIG, why);
}

int main(int argc, char **argv)
{
    struct agent_options o;
    struct rv_keyfile *key = NULL;
    struct rv_targets targets = {0};
    struct loop_conf conf = {0};
    char why[600];
    int code = 0;

    if (getenv(RV_ENV_ZYGOTE) != NULL && getenv(RV_ENV_MODULE) != NULL)
        load_module(getenv(RV_ENV_MODULE));
    reeve_main(&argc, &argv);

    agent_options_parse(&o, argc, argv);
    loop_log_level(level_of(o.log_level));
    if (o.lifeline_fd != NULL)
        rv_notify_never();
    prepare_process();
    key = rv_secret_new(sizeof *key);
    if (key == NULL)
        fatal(EXIT_AGAIN, "out of memory for the key");
    load_key(key, o.key);
    if (rv_targets_parse(&targets, o.manager, o.key == NULL ? NULL : key, why) != REEVE_OK)
        fatal(EXIT_CONFIG, why);
    conf = (struct loop_conf){
        .targets = &targets,
        .key = key,
        .url = o.manager,
        .name = o.name,
        .labels = o.labels,
        .cache_dir = o.cache,
        .cache_bytes = agent_options_number(o.cache_bytes, UINT64_MAX, "cache-bytes"),
        .slots = strcmp(o.slots, "auto") == 0
                     ? capacity_slots()
                     : (uint32_t)agent_options_number(o.slots, 65536, "slots"),
        .drain_ms = milliseconds(o.drain, "drain"),
        .idle_exit_ms = milliseconds(o.idle_exit, "idle-exit"),
        .lost_exit_ms = milliseconds(o.lost_exit, "lost-exit"),
        .lifeline_fd = descriptor(o.lifeline_fd, "lifeline-fd"),
        .ready_fd = descriptor(o.ready_fd, "ready-fd"),
    };
    if (conf.slots == 0)
        fatal(EXIT_CONFIG, "--slots must be at least 1");
    code = loop_run(&conf);
    rv_targets_free(&targets);
    rv_secret_free(key);
    rv_conf_free(&o.conf);
    return code;
}
