#include "server/options.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static void help(void)
{
    printf("reeve-server: the manager of reeve. It holds queues and serves authenticated clients.\n"
           "\n"
           "usage: reeve-server [OPTION]...\n\n");
#define OPTION_HELP(field, word, argument, fallback, text)                                         \
    printf("  --%-11s %-8s %s\n", word, argument, text);
    SERVER_OPTIONS(OPTION_HELP)
#undef OPTION_HELP
    printf(
        "  --help, --version\n"
        "\n"
        "An option may also stand in the environment (REEVE_IO_THREADS) or in the config file\n"
        "(io-threads = 2); a flag wins over both. Without --data, what it holds is in memory only\n"
        "and ends with the process.\n"
        "\n"
        "exit: 0 ended as asked, 100 something must be changed first, 111 try again, 112 the\n"
        "log's disk failed\n");
}

static _Noreturn void mistake(const char *text, const char *what)
{
    fprintf(stderr, "reeve-server: fatal: %s%s; see reeve-server --help\n", text, what);
    exit(100);
}

static void split_binds(struct options *out)
{
    char *list = strdup(out->bind);

    /* The list lives as long as the process. */
    for (char *at = list; at != NULL && out->binds_len < BINDS_MAX;) {
        char *comma = strchr(at, ',');

        if (comma != NULL)
            *comma++ = '\0';
        out->binds[out->binds_len++] = at;
        at = comma;
    }
}

void options_parse(struct options *out, int argc, char **argv)
{
    static const struct option words[] = {
#define OPTION_WORD(field, word, argument, fallback, text) {word, required_argument, NULL, 1},
        SERVER_OPTIONS(OPTION_WORD)
#undef OPTION_WORD
            {"help", no_argument, NULL, 'h'},
        {"version", no_argument, NULL, 'v'},
        {NULL, 0, NULL, 0},
    };
    const char **const fields[] = {
#define OPTION_POINTER(field, word, argument, fallback, text) &out->field,
        SERVER_OPTIONS(OPTION_POINTER)
#undef OPTION_POINTER
    };
    const char *home = getenv("HOME");
    char why[512];
    int at = 0;
    int c = 0;

    *out = (struct options){0};
    opterr = 0;
    while ((c = getopt_long(argc, argv, "h", words, &at)) != -1) {
        if (c == 'h') {
            help();
            exit(0);
        }
        if (c == 'v') {
            printf("reeve-server %s\n", REEVE_VERSION);
            exit(0);
        }
        if (c != 1)
            mistake("no such option or no value for it: ", argv[optind - 1]);
        if (fields[at] == &out->bind) {
            if (out->binds_len == BINDS_MAX)
                mistake("too many of ", "--bind");
            out->binds[out->binds_len++] = optarg;
        }
        *fields[at] = optarg;
    }
    if (optind < argc)
        mistake("not an option: ", argv[optind]);
    if (rv_conf_load(&out->conf, out->config, why) != REEVE_OK)
        mistake(why, "");
#define OPTION_FIND(field, word, argument, fallback, text)                                         \
    out->field = rv_conf_find(&out->conf, word, out->field, fallback);
    SERVER_OPTIONS(OPTION_FIND)
#undef OPTION_FIND
    if (out->binds_len == 0 && out->bind != NULL)
        split_binds(out);
    if (out->binds_len == 0) {
        rv_conf_user_endpoint(out->default_bind, sizeof out->default_bind);
        out->binds[out->binds_len++] = out->default_bind;
    }
    if (out->keys == NULL) {
        if (geteuid() == 0 || home == NULL)
            snprintf(out->default_keys, sizeof out->default_keys, "/etc/reeve");
        else
            snprintf(out->default_keys, sizeof out->default_keys, "%s/.config/reeve", home);
        out->keys = out->default_keys;
    }
}
