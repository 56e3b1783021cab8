#ifndef OPTIONS_H
#define OPTIONS_H

/* options.h -- what reeve-server can be told, once: flags, environment, file, --help. */

#include "common/net/conf.h"

/* OPTION(field, word, argument, fallback, what it does) */
#define SERVER_OPTIONS(OPTION)                                                                     \
    OPTION(bind, "bind", "ENDPOINT", NULL,                                                         \
           "where to listen, repeatable: tcp://ADDRESS:PORT, ipc://PATH;\n"                        \
           "                       default: this user's own socket")                               \
    OPTION(keys, "keys", "DIR", NULL,                                                              \
           "folder with manager.key and authorized.d/; default: /etc/reeve for\n"                  \
           "                       root, else ~/.config/reeve; not needed for ipc alone")          \
    OPTION(authkey, "authkey", "FILE", NULL,                                                       \
           "one secret for both sides (reeve keygen --authkey): the manager's key,\n"              \
           "                       and a key that may do everything is admitted")                  \
    OPTION(second_bind, "second-bind", "ENDPOINT", NULL,                                           \
           "listen there, too, with the key of --second-key: while clients learn\n"                \
           "                       a new key of the manager, the old one is served there")         \
    OPTION(second_key, "second-key", "FILE", NULL, "the other key file of the manager")            \
    OPTION(data, "data", "DIR", NULL,                                                              \
           "folder of the log: what was acknowledged is there after any end of\n"                  \
           "                       the process; default: none, it is in memory only")              \
    OPTION(audit, "audit", "FILE", NULL,                                                           \
           "append a line for each session, refusal, key and object; SIGHUP opens it\n"            \
           "                       again, and reads the keys again")                               \
    OPTION(                                                                                        \
        repair, "repair", "truncate", NULL,                                                        \
        "cut a damaged log at the damage; what is behind it goes into files cut*,\n"               \
        "                       which no manager reads. One whose files log.* are gone begins\n"   \
        "                       again without them")                                               \
    OPTION(log, "log", "WHAT", NULL,                                                               \
           "only look at the folder --data, and end: verify, stat, dump; or copy it\n"             \
           "                       to the folder --to: backup, restore")                           \
    OPTION(to, "to", "DIR", NULL, "where --log backup and restore write")                          \
    OPTION(io_threads, "io-threads", "N", "1", "threads for encryption and sockets; default 1")    \
    OPTION(log_level, "log-level", "LEVEL", "info", "error, warn, info or debug; default info")    \
    OPTION(ready_fd, "ready-fd", "N", NULL, "write each bound endpoint to this descriptor")        \
    OPTION(lifeline_fd, "lifeline-fd", "N", NULL, "end when this descriptor reads its end")        \
    OPTION(temporary, "temporary", "DIR", NULL, "remove this folder at the end")                   \
    OPTION(config, "config", "FILE", NULL,                                                         \
           "config file; default: ~/.config/reeve/reeve.conf; what it does\n"                      \
           "                       not say, /etc/reeve/*.conf do")

enum { BINDS_MAX = 8 };

struct options {
#define OPTION_FIELD(field, word, argument, fallback, text) const char *field;
    SERVER_OPTIONS(OPTION_FIELD)
#undef OPTION_FIELD
    const char *binds[BINDS_MAX];
    size_t binds_len;
    char default_bind[256];
    char default_keys[256];
    struct rv_conf conf;
};

/* Fill out from the command line and what stands behind it. Ends the process for --help,
 * --version and mistakes (exit 100, with a sentence). */
void options_parse(struct options *out, int argc, char **argv);

#endif
