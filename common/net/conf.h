#ifndef RV_CONF_H
#define RV_CONF_H

/*
 * conf.h -- options: flag, else environment, else file, else default, spelt the same way.
 *
 *     --connect-timeout-ms 100      REEVE_CONNECT_TIMEOUT_MS=100      connect-timeout-ms = 100
 *
 * A file has lines of `word = value`; `#` starts a comment. The file is the one given, else
 * $REEVE_CONFIG, else ~/.config/reeve/reeve.conf, if there. What it does not say, the files of
 * /etc/reeve that end with .conf do, of which the last by name wins. With /dev/null as the file
 * none of them is read.
 */

#include "common/base/base.h"
#include <reeve/error.h>

struct rv_conf_line {
    char *word;
    char *value;
};

struct rv_conf {
    char *path; /* of the file that won; NULL: none */
    struct rv_conf_line *lines;
    size_t lines_len;
};

/* path NULL: the first of the usual places that exists. why has at least 512 bytes. */
reeve_err rv_conf_load(struct rv_conf *out, const char *path, char *why);

/* Add the *.conf of a folder that we may read, by name. Without the folder there are none. */
reeve_err rv_conf_add_folder(struct rv_conf *conf, const char *folder, char *why);
void rv_conf_free(struct rv_conf *conf);

/* The value of a word by the order above: flag (may be NULL), environment, file, fallback (may
 * be NULL). Borrowed from where it was found. */
const char *rv_conf_find(const struct rv_conf *conf, const char *word, const char *flag,
                         const char *fallback);

/* A number of the given unit with a bound; false when it is not one. */
bool rv_conf_number(const char *text, uint32_t max, uint32_t *out);

/* The endpoint of this user's own manager: ipc://$XDG_RUNTIME_DIR/reeve/reeve.sock, else
 * ipc:///tmp/reeve-UID/reeve.sock. */
void rv_conf_user_endpoint(char *out, size_t len);

#endif
