/* cmd_attach.c -- reeve attach: what the commands of a map print that reeve map --detach began. */

#include "cli/note.h"
#include "cli/show.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LOOK_MS = 100 }; /* so often it is looked whether somebody pressed Ctrl-C */

struct attach {
    const char *name;
    struct show show;
    reeve_iter *iter;
    reeve_value *value; /* of the item that ended last */
};

static void draw(struct attach *a)
{
    reeve_progress now;

    if (!a->show.bar || reeve_iter_progress(a->iter, &now) != REEVE_OK)
        return;
    a->show.total = now.given;
    show_bar(&a->show, &now);
}

/* A job of another kind: its values, a line each. */
static void show_value(struct attach *a)
{
    show_clear(&a->show);
    (void)cli_print_json(a->value, "\n");
    a->show.broken = fflush(stdout) != 0 || ferror(stdout);
}

static void show_one(struct attach *a, bool ok)
{
    reeve_record record;
    struct note note;
    struct shown shown = {.record = &record, .value = a->value, .itself = !ok};
    uint64_t index = 0;

    if (reeve_iter_record(a->iter, &index, &record) != REEVE_OK)
        return;
    note_read(&note, a->value != NULL ? a->value : reeve_iter_item(a->iter), index);
    a->show.done++;
    a->show.failed += !ok;
    if (joblog_has(&a->show.log, note.number))
        return;
    shown.number = note.number;
    shown.line = note.line;
    shown.command = note.command;
    if (a->value != NULL && reeve_value_find(a->value, "code") == NULL)
        show_value(a);
    else
        show_command(&a->show, &shown);
}

/* What somebody cancelled is over; a cancelled call may be tried again, but not this. */
static int fail(reeve_err err)
{
    if (err != REEVE_ECANCELED)
        return cli_fail_call(err);
    return cli_fail(EXIT_FAILED, "%s; what had not ended by then was not run", reeve_errmsg());
}

/* Until all is there, somebody presses Ctrl-C, or it ends otherwise. An exit code. */
static int follow(struct attach *a)
{
    while (cli_stopped() == 0 && !a->show.broken) {
        reeve_err err = reeve_iter_next(&a->value, a->iter, LOOK_MS);

        if (err == REEVE_OK && a->value == NULL)
            return show_end(&a->show);
        if (err == REEVE_OK || err == REEVE_EITEM)
            show_one(a, err == REEVE_OK);
        reeve_value_free(&a->value);
        draw(a);
        if (err != REEVE_OK && err != REEVE_EITEM && err != REEVE_ETIME) {
            show_clear(&a->show);
            return fail(err);
        }
    }
    show_clear(&a->show);
    if (cli_stopped() == 0)
        return show_fail(&a->show);
    return cli_fail(EXIT_SIGNAL + cli_stopped(), "%s goes on; reeve attach %s shows it again",
                    a->name, a->name);
}

int run_attach(const struct cli_args *args)
{
    struct attach a = {.name = args->words[0]};
    reeve_context *ctx = NULL;
    reeve_err err = REEVE_OK;
    int code = EXIT_DONE;

    if (args->resume && args->joblog == NULL)
        return cli_fail_usage(args, "cannot attach: --resume wants --joblog FILE beside it");
    code = cli_open(&ctx, args);
    if (code != EXIT_DONE)
        return code;
    err = reeve_iter_attach(&a.iter, ctx, a.name, args->keep_order);
    if (err != REEVE_OK)
        return cli_close(&ctx, fail(err));
    cli_catch_signals();
    code = show_open(&a.show, args);
    if (code == EXIT_DONE)
        code = follow(&a);
    show_clear(&a.show);
    show_close(&a.show);
    reeve_iter_free(&a.iter);
    return cli_close(&ctx, code);
}
