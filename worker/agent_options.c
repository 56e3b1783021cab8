#include "worker/agent_options.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static void help(void)
{
    printf("reeve-worker: the agent of a host. It fetches programs, runs their functions over the\n"
           "items of jobs, and brings the results.\n"
           "\n"
           "usage: reeve-worker [OPTION]...\n\n");
#define OPTION_HELP(field, word, argument, fallback, text)                                         \
    printf("  --%-13s %-8s %s\n", word, argument, text);
    AGENT_OPTIONS(OPTION_HELP)
#undef OPTION_HELP
    printf("  --help, --version\n"
           "\n"
           "An option may also stand in the environment (REEVE_SLOTS) or in the config file\n"
           "(slots = 2); a flag wins over both.\n"
           "\n"
           "SIGTERM and SIGINT: no more work, see --drain; a second one: at once.\n"
           "exit: 0 drained, or idle for long; 75 the manager is lost, try again; 78 something\n"
           "must be changed first; 111 the system refused, try again\n");
}

static _Noreturn void mistake(const char *text, const char *what)
{
    fprintf(stderr, "reeve-worker: fatal: %s%s; see reeve-worker --help\n", text, what);
    exit(EXIT_CONFIG);
}

uint64_t agent_options_number(const char *text, uint64_t max, const char *word)
{
    char *end = NULL;
    unsigned long long x = 0;
    char why[256];

    errno = 0;
    x = strtoull(text, &end, 10);
    if (errno == 0 && end != text && *end == '\0' && text[0] != '-' && x <= max)
        return x;
    snprintf(why, sizeof why, "--%s must be a number up to %llu, not %.100s", word,
             (unsigned long long)max, text);
    mistake(why, "");
}

static void add_labels(struct agent_options *out, const char *words)
{
    size_t len = strlen(out->labels);

    for (const char *at = words; *at != '\0';) {
        size_t word = strcspn(at, ", ");

        if (word > 0 && len + word + 2 > sizeof out->labels)
            mistake("too many of ", "--label");
        if (word > 0)
            len += (size_t)snprintf(out->labels + len, sizeof out->labels - len, "%s%.*s",
                                    len > 0 ? " " : "", (int)word, at);
        at += word;
        at += strspn(at, ", ");
    }
}

static void fill_in(struct agent_options *out)
{
    const char *home = getenv("HOME");
    const char *caches = getenv("XDG_CACHE_HOME");

    if (out->manager == NULL)
        out->manager = rv_conf_find(&out->conf, "url", NULL, NULL);
    if (out->manager == NULL) {
        rv_conf_user_endpoint(out->default_url, sizeof out->default_url);
        out->manager = out->default_url;
    }
    if (out->name == NULL) {
        if (gethostname(out->default_name, sizeof out->default_name - 1) != 0)
            snprintf(out->default_name, sizeof out->default_name, "unknown");
        out->name = out->default_name;
    }
    if (out->cache == NULL) {
        if (caches != NULL && caches[0] == '/')
            snprintf(out->default_cache, sizeof out->default_cache, "%s/reeve", caches);
        else if (geteuid() == 0 || home == NULL)
            snprintf(out->default_cache, sizeof out->default_cache, "/var/cache/reeve");
        else
            snprintf(out->default_cache, sizeof out->default_cache, "%s/.cache/reeve", home);
        out->cache = out->default_cache;
    }
}

void agent_options_parse(struct agent_options *out, int argc, char **argv)
{
    static const struct option words[] = {
#define OPTION_WORD(field, word, argument, fallback, text) {word, required_argument, NULL, 1},
        AGENT_OPTIONS(OPTION_WORD)
#undef OPTION_WORD
            {"help", no_argument, NULL, 'h'},
        {"version", no_argument, NULL, 'v'},
        {NULL, 0, NULL, 0},
    };
    const char **const fields[] = {
#define OPTION_POINTER(field, word, argument, fallback, text) &out->field,
        AGENT_OPTIONS(OPTION_POINTER)
#undef OPTION_POINTER
    };
    char why[512];
    int at = 0;
    int c = 0;

    *out = (struct agent_options){0};
    opterr = 0;
    while ((c = getopt_long(argc, argv, "h", words, &at)) != -1) {
        if (c == 'h') {
            help();
            exit(0);
        }
        if (c == 'v') {
            printf("reeve-worker %s\n", REEVE_VERSION);
            exit(0);
        }
        if (c != 1)
            mistake("no such option or no value for it: ", argv[optind - 1]);
        if (fields[at] == &out->label)
            add_labels(out, optarg);
        *fields[at] = optarg;
    }
    if (optind < argc)
        mistake("not an option: ", argv[optind]);
    if (rv_conf_load(&out->conf, out->config, why) != REEVE_OK)
        mistake(why, "");
#define OPTION_FIND(field, word, argument, fallback, text)                                         \
    out->field = rv_conf_find(&out->conf, word, out->field, fallback);
    AGENT_OPTIONS(OPTION_FIND)
#undef OPTION_FIND
    if (out->labels[0] == '\0' && out->label != NULL)
        add_labels(out, out->label);
    fill_in(out);
}
