/* say.c -- what the tool says: one sentence an error, numbers with units. */

#include "cli/cli.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What a code means for whoever called the tool, and what to do when the message has no advice. */
static const struct {
    int code;
    const char *advice;
} meanings[] = {
    [REEVE_ENOMEM] = {EXIT_AGAIN, NULL},
    [REEVE_EINVAL] = {EXIT_CHANGE, NULL},
    [REEVE_EPROTO] = {EXIT_CHANGE, "is a reeve manager of this version there?"},
    [REEVE_ELIMIT] = {EXIT_CHANGE, NULL},
    [REEVE_ENOENT] = {EXIT_NOTHING, "reeve ls shows what is there"},
    [REEVE_ETIME] = {EXIT_AGAIN, "try again, or give it more time by --timeout"},
    [REEVE_ELOST] = {EXIT_AGAIN, "is it running, and reachable? then try again"},
    [REEVE_ESTALE] = {EXIT_AGAIN, "what it held is gone; run this again"},
    [REEVE_EEXPIRED] = {EXIT_AGAIN, "try again"},
    [REEVE_EPERM] = {EXIT_CHANGE, "the manager's authorized.d/ says what a key may do"},
    [REEVE_EAUTH] = {EXIT_CHANGE, "see reeve keygen --help"},
    [REEVE_EEXIST] = {EXIT_CHANGE, "reeve ls shows its options; leave yours out, or reeve rm it"},
    [REEVE_ETYPE] = {EXIT_CHANGE, "reeve ls shows what it is"},
    [REEVE_EFULL] = {EXIT_AGAIN, "wait longer by --timeout, or take items out"},
    [REEVE_EEMPTY] = {EXIT_NOTHING, "wait longer by --timeout"},
    [REEVE_ESHUTDOWN] = {EXIT_CHANGE, "reeve rm removes the queue, then it can be made again"},
    [REEVE_EFORK] = {EXIT_CHANGE, NULL},
    [REEVE_ECLOSED] = {EXIT_CHANGE, NULL},
    [REEVE_ETOOBIG] = {EXIT_CHANGE, "split it, or put a path"},
    [REEVE_EVERSION] = {EXIT_CHANGE, "upgrade the manager first, then its clients"},
    [REEVE_ETOOMANY] = {EXIT_CHANGE, NULL},
    [REEVE_ESYS] = {EXIT_CHANGE, NULL},
    [REEVE_ECANCELED] = {EXIT_AGAIN, NULL},
    [REEVE_OWNER_DIED] = {EXIT_AGAIN, NULL},
    [REEVE_ENOTOWNER] = {EXIT_CHANGE, NULL},
    [REEVE_ERELEASED] = {EXIT_CHANGE, NULL},
    [REEVE_EBROKEN] = {EXIT_CHANGE, "reeve barrier NAME N --reset makes it as new"},
    [REEVE_EFENCED] = {EXIT_AGAIN, NULL},
    [REEVE_EDEADLOCK] = {EXIT_AGAIN, NULL},
    [REEVE_ENOSPC] = {EXIT_AGAIN, "make room on its disk, or take items out"},
    [REEVE_EITEM] = {EXIT_FAILED, NULL},
    [REEVE_ENOAGENT] = {EXIT_AGAIN, "reeve status shows the agents; start one: reeve worker"},
    [REEVE_ENOTRUNNING] = {EXIT_CHANGE, NULL},
    [REEVE_EQUOTA] = {EXIT_AGAIN, "bounds are --max-bytes of an object, and the key's quotas in "
                                  "the manager's authorized.d/"},
    [REEVE_ECHANGED] = {EXIT_AGAIN, NULL},
    [REEVE_EKEY] = {EXIT_NOTHING, NULL},
    [REEVE_EINDEX] = {EXIT_NOTHING, NULL},
    [REEVE_EATTR] = {EXIT_NOTHING, NULL},
    [REEVE_EVALUE] = {EXIT_CHANGE, NULL},
    [REEVE_EGONE] = {EXIT_NOTHING, "somebody removed it; try again to make it anew"},
};

enum { MEANINGS_LEN = sizeof meanings / sizeof meanings[0] };

int cli_exit_of(reeve_err err)
{
    bool told = (size_t)err < MEANINGS_LEN && meanings[err].code != EXIT_DONE;

    return told || err == REEVE_OK ? meanings[err].code : EXIT_CHANGE;
}

int cli_fail(int code, const char *format, ...)
{
    va_list ap;

    fflush(stdout);
    fputs("reeve: ", stderr);
    va_start(ap, format);
    vfprintf(stderr, format, ap);
    va_end(ap);
    fputc('\n', stderr);
    return code;
}

int cli_fail_usage(const struct cli_args *args, const char *format, ...)
{
    bool command = args->command < CLI_COMMANDS_LEN;
    char text[512];
    va_list ap;

    va_start(ap, format);
    vsnprintf(text, sizeof text, format, ap);
    va_end(ap);
    return cli_fail(EXIT_USAGE, "%s; see reeve %s%s--help", text, cli_command_name(args->command),
                    command ? " " : "");
}

int cli_fail_call(reeve_err err)
{
    const char *text = reeve_errmsg();
    const char *advice = (size_t)err < MEANINGS_LEN ? meanings[err].advice : NULL;

    if (text[0] == '\0')
        text = reeve_strerror(err);
    if (advice == NULL || strstr(text, "; ") != NULL)
        return cli_fail(cli_exit_of(err), "%s", text);
    return cli_fail(cli_exit_of(err), "%s; %s", text, advice);
}

uint64_t cli_number(const reeve_value *map, const char *key)
{
    uint64_t x = 0;

    (void)reeve_get_uint(reeve_value_find(map, key), &x);
    return x;
}

const char *cli_name(char out[CLI_NAME], const reeve_value *map, const char *key)
{
    const char *text = "";
    size_t len = 0;

    (void)reeve_get_str(reeve_value_find(map, key), &text, &len);
    len = len < CLI_NAME - 1 ? len : CLI_NAME - 1;
    memcpy(out, text, len);
    out[len] = '\0';
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)out[i] < ' ' || out[i] == 0x7f)
            out[i] = '?';
    return out;
}

int cli_print_json(const reeve_value *value, const char *end)
{
    char *text = reeve_value_json(value);

    if (text == NULL)
        return cli_fail(EXIT_AGAIN, "cannot print JSON: out of memory");
    printf("%s%s", text, end);
    free(text);
    return EXIT_DONE;
}

bool cli_print_key(FILE *to, const reeve_value *key)
{
    char *text = reeve_value_json(key);
    bool plain = reeve_value_type(key) == REEVE_STR;

    if (text == NULL)
        return false;
    fputs(plain ? text : "\"", to);
    for (const char *c = text; !plain && *c != '\0'; c++)
        fprintf(to, "%s%c", *c == '"' || *c == '\\' ? "\\" : "", *c);
    fputs(plain ? ": " : "\": ", to);
    free(text);
    return true;
}
