#include "common/net/conf.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { WHY = 512 };

static char *trimmed(char *text)
{
    char *end = text + strlen(text);

    while (isspace((unsigned char)*text))
        text++;
    while (end > text && isspace((unsigned char)end[-1]))
        *--end = '\0';
    return text;
}

static bool add_line(struct rv_conf *conf, const char *word, const char *value)
{
    struct rv_conf_line *lines =
        realloc(conf->lines, (conf->lines_len + 1) * sizeof(struct rv_conf_line));
    struct rv_conf_line *line = NULL;

    if (lines == NULL)
        return false;
    conf->lines = lines;
    line = &lines[conf->lines_len++];
    line->word = strdup(word);
    line->value = strdup(value);
    return line->word != NULL && line->value != NULL;
}

static reeve_err read_file(struct rv_conf *conf, const char *path, char *why)
{
    FILE *file = fopen(path, "re");
    char *text = NULL;
    size_t cap = 0;
    int number = 0;
    reeve_err err = REEVE_OK;

    if (file == NULL) {
        snprintf(why, WHY, "cannot read config file %.300s: %s", path, strerror(errno));
        return REEVE_ESYS;
    }
    while (err == REEVE_OK && getline(&text, &cap, file) >= 0) {
        char *hash = strchr(text, '#');
        char *equals = NULL;

        number++;
        if (hash != NULL)
            *hash = '\0';
        equals = strchr(text, '=');
        if (equals == NULL && trimmed(text)[0] == '\0')
            continue;
        if (equals == NULL) {
            snprintf(why, WHY, "cannot read config file %.300s: line %d is not `word = value`",
                     path, number);
            err = REEVE_EINVAL;
            break;
        }
        *equals = '\0';
        if (!add_line(conf, trimmed(text), trimmed(equals + 1))) {
            snprintf(why, WHY, "cannot read config file %.300s: out of memory", path);
            err = REEVE_ENOMEM;
        }
    }
    free(text);
    fclose(file);
    return err;
}

static int is_conf(const struct dirent *entry)
{
    size_t len = strlen(entry->d_name);

    return entry->d_name[0] != '.' && len > 5 && strcmp(entry->d_name + len - 5, ".conf") == 0;
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name); /* in no locale's order */
}

reeve_err rv_conf_add_folder(struct rv_conf *conf, const char *folder, char *why)
{
    struct dirent **entries = NULL;
    int len = scandir(folder, &entries, is_conf, by_name);
    reeve_err err = REEVE_OK;

    for (int i = 0; i < len; i++) {
        char path[512];
        int size = snprintf(path, sizeof path, "%s/%s", folder, entries[i]->d_name);

        if (err == REEVE_OK && size < (int)sizeof path && access(path, R_OK) == 0)
            err = read_file(conf, path, why);
        free(entries[i]);
    }
    free(entries);
    return err;
}

reeve_err rv_conf_load(struct rv_conf *out, const char *path, char *why)
{
    char place[512];
    const char *home = getenv("HOME");
    reeve_err err = REEVE_OK;

    *out = (struct rv_conf){0};
    if (path == NULL)
        path = getenv("REEVE_CONFIG");
    if (path == NULL && home != NULL) {
        snprintf(place, sizeof place, "%s/.config/reeve/reeve.conf", home);
        if (access(place, R_OK) == 0)
            path = place;
    }
    if (path != NULL && strcmp(path, "/dev/null") == 0)
        return REEVE_OK;
    /* What is read later wins. */
    err = rv_conf_add_folder(out, "/etc/reeve", why);
    if (err == REEVE_OK && path != NULL) {
        out->path = strdup(path);
        err = read_file(out, path, why);
    }
    if (err != REEVE_OK)
        rv_conf_free(out);
    return err;
}

void rv_conf_free(struct rv_conf *conf)
{
    for (size_t i = 0; i < conf->lines_len; i++) {
        free(conf->lines[i].word);
        free(conf->lines[i].value);
    }
    free(conf->lines);
    free(conf->path);
    *conf = (struct rv_conf){0};
}

/* connect-timeout-ms is REEVE_CONNECT_TIMEOUT_MS in the environment. */
static const char *from_environment(const char *word)
{
    char name[64] = "REEVE_";
    size_t at = strlen(name);

    for (; *word != '\0' && at + 1 < sizeof name; word++)
        name[at++] = (char)(*word == '-' ? '_' : toupper((unsigned char)*word));
    name[at] = '\0';
    return getenv(name);
}

const char *rv_conf_find(const struct rv_conf *conf, const char *word, const char *flag,
                         const char *fallback)
{
    const char *value = flag != NULL ? flag : from_environment(word);

    for (size_t i = conf->lines_len; value == NULL && i-- > 0;)
        if (strcmp(conf->lines[i].word, word) == 0)
            value = conf->lines[i].value;
    return value != NULL && value[0] != '\0' ? value : fallback;
}

bool rv_conf_number(const char *text, uint32_t max, uint32_t *out)
{
    char *end = NULL;
    unsigned long long x = 0;

    errno = 0;
    x = strtoull(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || text[0] == '-' || x > max)
        return false;
    *out = (uint32_t)x;
    return true;
}

void rv_conf_user_endpoint(char *out, size_t len)
{
    const char *runtime = getenv("XDG_RUNTIME_DIR");

    if (runtime != NULL && runtime[0] == '/')
        snprintf(out, len, "ipc://%s/reeve/reeve.sock", runtime);
    else
        snprintf(out, len, "ipc:///tmp/reeve-%u/reeve.sock", (unsigned)getuid());
}
