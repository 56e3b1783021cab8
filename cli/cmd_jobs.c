/* cmd_jobs.c -- reeve jobs, cancel and logs. */

#include "cli/cli.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CALL_MS = 5000 };

static const char *text_of(const reeve_value *map, const char *key, int *len)
{
    const char *text = "";
    size_t size = 0;

    (void)reeve_get_str(reeve_value_find(map, key), &text, &size);
    *len = (int)(size < 200 ? size : 200);
    return text;
}

static void show_job(const reeve_value *job)
{
    bool ended = false;
    uint64_t total = 0;
    char age[CLI_TEXT];
    int name_len = 0;
    int key_len = 0;
    int text_len = 0;
    const char *name = text_of(job, "name", &name_len);
    const char *key = text_of(job, "key", &key_len);
    const char *text = text_of(job, "text", &text_len);

    (void)reeve_get_bool(reeve_value_find(job, "ended"), &ended);
    printf("job %-6" PRIu64 "  %.*s%sof %.*s  %" PRIu64, cli_number(job, "job"), name_len, name,
           name_len > 0 ? "  " : "", key_len, key, cli_number(job, "done"));
    if (reeve_get_uint(reeve_value_find(job, "total"), &total))
        printf(" of %" PRIu64 " done", total);
    else
        printf(" of %" PRIu64 " so far done", cli_number(job, "given"));
    printf("   running %" PRIu64 "   failed %" PRIu64 "   tried again %" PRIu64 "   agents %" PRIu64
           "   %s%s%.*s\n",
           cli_number(job, "running"), cli_number(job, "failed"), cli_number(job, "retried"),
           cli_number(job, "agents"), cli_span(age, cli_number(job, "age_ms")),
           ended ? text_len > 0 ? "   ended: " : "   ended" : "", text_len, text);
}

int run_jobs(const struct cli_args *args)
{
    reeve_context *ctx = NULL;
    reeve_value *jobs = NULL;
    int code = cli_open(&ctx, args);
    reeve_err err = REEVE_OK;

    if (code != EXIT_DONE)
        return code;
    err = reeve_jobs(&jobs, ctx, cli_timeout(args, CALL_MS));
    if (err != REEVE_OK)
        code = cli_fail_call(err);
    else if (args->json)
        code = cli_print_json(jobs, "\n");
    else
        for (size_t i = 0; i < reeve_value_len(jobs); i++)
            show_job(reeve_value_at(jobs, i));
    reeve_value_free(&jobs);
    return cli_close(&ctx, code);
}

/* A number, or a name. */
static uint64_t job_number(const char *word)
{
    char *end = NULL;
    unsigned long long x = 0;

    errno = 0;
    x = strtoull(word, &end, 10);
    return errno == 0 && end != word && *end == '\0' ? x : 0;
}

static int fail_job(reeve_err err, const char *verb, const char *job)
{
    if (err != REEVE_ENOENT)
        return cli_fail_call(err);
    return cli_fail(EXIT_NOTHING, "cannot %s job %s: no such job; reeve jobs lists them", verb,
                    job);
}

int run_cancel(const struct cli_args *args)
{
    reeve_context *ctx = NULL;
    int code = cli_open(&ctx, args);

    for (int i = 0; code == EXIT_DONE && i < args->words_len; i++) {
        uint64_t job = job_number(args->words[i]);
        reeve_err err = reeve_job_cancel(ctx, job, job == 0 ? args->words[i] : NULL, NULL,
                                         cli_timeout(args, CALL_MS));

        if (err != REEVE_OK)
            code = fail_job(err, "cancel", args->words[i]);
    }
    return cli_close(&ctx, code);
}

static void show_log(const reeve_value *log)
{
    int agent_len = 0;
    int text_len = 0;
    int status_len = 0;
    const void *output = NULL;
    size_t output_len = 0;
    const char *agent = text_of(log, "agent", &agent_len);
    const char *text = text_of(log, "text", &text_len);
    const char *status = text_of(log, "status", &status_len);

    printf("item %" PRIu64 "  %.*s  run %" PRIu64 "  on %.*s pid %" PRIu64 "%s%.*s\n",
           cli_number(log, "item"), status_len, status, cli_number(log, "runs"), agent_len, agent,
           cli_number(log, "pid"), text_len > 0 ? "  " : "", text_len, text);
    if (reeve_get_bytes(reeve_value_find(log, "output"), &output, &output_len) && output_len > 0) {
        fwrite(output, 1, output_len, stdout);
        if (((const char *)output)[output_len - 1] != '\n')
            putchar('\n');
    }
}

int run_logs(const struct cli_args *args)
{
    reeve_context *ctx = NULL;
    reeve_value *logs = NULL;
    uint64_t job = job_number(args->words[0]);
    int code = cli_open(&ctx, args);
    reeve_err err = REEVE_OK;

    if (code != EXIT_DONE)
        return code;
    err = reeve_job_logs(&logs, ctx, job, job == 0 ? args->words[0] : NULL,
                         cli_timeout(args, CALL_MS));
    if (err != REEVE_OK)
        code = fail_job(err, "show", args->words[0]);
    else if (args->json)
        code = cli_print_json(logs, "\n");
    else
        for (size_t i = 0; i < reeve_value_len(logs); i++)
            show_log(reeve_value_at(logs, i));
    reeve_value_free(&logs);
    return cli_close(&ctx, code);
}
