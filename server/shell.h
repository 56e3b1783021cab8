#ifndef SHELL_H
#define SHELL_H

/*
 * shell.h -- the loop of the manager: wait, make commands, log, and on commit step and transmit.
 */

#include "common/net/net.h"
#include "server/keyring.h"

struct shell;

struct shell_conf {
    const char *data; /* folder of the log; NULL: in memory only */
    bool repair;      /* cut the log at damage */
    int lifeline_fd;  /* -1: none */
};

/* Read the log, if there is one. NULL: why (of SHELL_WHY bytes) has a sentence. */
enum { SHELL_WHY = 1024 };
struct shell *shell_new(const struct shell_conf *conf, char *why);
void shell_free(struct shell **shell);

/* Give those whom the log knows the ids that they have there: sessions belong to ids. */
void shell_recognise(const struct shell *shell, struct principals *principals);

/* Serve over this net, which is borrowed. */
void shell_serve(struct shell *shell, struct rv_net *net);

/* Whom to admit from now on, with which rights. Who is not among them any more is cut, and its
 * sessions end. */
void shell_admit(struct shell *shell, const struct principals *principals);

/* Read the keys again when they change, and at SIGHUP: all of them, or none. Borrowed. */
void shell_follow(struct shell *shell, struct keyring *keyring);

/* Serve until a signal, the lifeline or an administrator says stop. */
void shell_run(struct shell *shell);

/* A line `TIME level server TEXT` on stderr, unless its level is above the one set (RV_INFO). arg
 * is not used: the function serves as a sink. */
void shell_line(void *arg, int level, const char *text);
void shell_log_level(int level);

#endif
