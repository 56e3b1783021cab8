#ifndef AGENT_OPTIONS_H
#define AGENT_OPTIONS_H

/* agent_options.h -- what reeve-worker can be told, once: flags, environment, file, --help. */

#include "common/net/conf.h"

/* OPTION(field, word, argument, fallback, what it does). The first one is also REEVE_URL. */
#define AGENT_OPTIONS(OPTION)                                                                      \
    OPTION(manager, "manager", "URL", NULL,                                                        \
           "endpoints of the manager, separated by commas; default:\n"                             \
           "                         $REEVE_URL, else this user's own socket")                     \
    OPTION(key, "key", "FILE", NULL, "key file; not needed on the user's own socket")              \
    OPTION(name, "name", "NAME", NULL, "name in listings; default: the host's")                    \
    OPTION(slots, "slots", "N", "auto",                                                            \
           "items at a time; default auto: the processors that this\n"                             \
           "                         process may use")                                             \
    OPTION(label, "label", "WORD", NULL, "for jobs that ask for it; repeatable")                   \
    OPTION(cache, "cache", "DIR", NULL,                                                            \
           "folder of programs; default: $XDG_CACHE_HOME/reeve, else\n"                            \
           "                         ~/.cache/reeve, for root /var/cache/reeve")                   \
    OPTION(cache_bytes, "cache-bytes", "N", "1073741824",                                          \
           "programs that are kept there, together; default 1 GiB")                                \
    OPTION(drain, "drain", "S", "30",                                                              \
           "on SIGTERM running items may take so many seconds more;\n"                             \
           "                         then they are handed back; default 30")                       \
    OPTION(idle_exit, "idle-exit", "S", "0", "end after so long without work; default 0: never")   \
    OPTION(lost_exit, "lost-exit", "S", "120",                                                     \
           "end after so long without the manager; default 120, 0: never")                         \
    OPTION(log_level, "log-level", "LEVEL", "info", "error, warn, info or debug; default info")    \
    OPTION(ready_fd, "ready-fd", "N", NULL, "write a line to this descriptor when it takes work")  \
    OPTION(lifeline_fd, "lifeline-fd", "N", NULL, "end when this descriptor reads its end")        \
    OPTION(config, "config", "FILE", NULL,                                                         \
           "config file; default: ~/.config/reeve/reeve.conf; what it does\n"                      \
           "                         not say, /etc/reeve/*.conf do")

struct agent_options {
#define OPTION_FIELD(field, word, argument, fallback, text) const char *field;
    AGENT_OPTIONS(OPTION_FIELD)
#undef OPTION_FIELD
    char labels[1024]; /* all of them, separated by spaces */
    char default_url[256];
    char default_name[256];
    char default_cache[512];
    struct rv_conf conf;
};

enum { EXIT_LOST = 75, EXIT_CONFIG = 78, EXIT_OPERATOR = 100, EXIT_AGAIN = 111 };

/* Fill out from the command line and what stands behind it. Ends the process for --help,
 * --version and mistakes (exit 78, with a sentence). */
void agent_options_parse(struct agent_options *out, int argc, char **argv);

/* A number of an option, or the end of the process. */
uint64_t agent_options_number(const char *text, uint64_t max, const char *word);

#endif
