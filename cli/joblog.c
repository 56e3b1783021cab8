#include "cli/joblog.h"
#include "cli/cli.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static bool remember(struct joblog *log, uint64_t number)
{
    uint64_t bytes = number / 8 + 1;

    if (number > UINT32_MAX)
        return false;
    if (bytes > log->well_len) {
        uint64_t len = bytes * 2;
        uint8_t *well = realloc(log->well, (size_t)len);

        if (well == NULL)
            return false;
        memset(well + log->well_len, 0, (size_t)(len - log->well_len));
        log->well = well;
        log->well_len = len;
    }
    log->well[number / 8] |= (uint8_t)(1u << number % 8);
    return true;
}

/* A line of another making, or one that was being written, is passed over. */
static void read_log(struct joblog *log, FILE *file)
{
    char *text = NULL;
    size_t size = 0;

    while (getline(&text, &size, file) > 0) {
        unsigned long long seq = 0;
        int exit_code = 0;
        int signal_number = 0;

        if (strchr(text, '\n') != NULL &&
            sscanf(text, "%llu\t%*[^\t]\t%*f\t%*f\t%*d\t%*d\t%d\t%d\t", &seq, &exit_code,
                   &signal_number) == 3 &&
            exit_code == 0 && signal_number == 0)
            (void)remember(log, seq);
    }
    free(text);
}

/* A line that was being written when its writer died must not swallow ours. */
static void end_torn_line(FILE *file)
{
    if (fseek(file, -1, SEEK_END) == 0 && fgetc(file) != '\n') {
        fseek(file, 0, SEEK_END);
        fputc('\n', file);
    }
    fseek(file, 0, SEEK_END);
}

int joblog_open(struct joblog *log, const char *path, bool resume)
{
    FILE *old = NULL;

    *log = (struct joblog){NULL, NULL, 0};
    if (path == NULL)
        return EXIT_DONE;
    old = resume ? fopen(path, "r") : NULL;
    if (resume && old == NULL && errno != ENOENT)
        return cli_fail(EXIT_CHANGE, "cannot read %s: %s", path, strerror(errno));
    if (old != NULL) {
        read_log(log, old);
        fclose(old);
    }
    log->file = fopen(path, old != NULL ? "a+" : "w");
    if (log->file == NULL)
        return cli_fail(EXIT_CHANGE, "cannot write %s: %s", path, strerror(errno));
    setvbuf(log->file, NULL, _IOLBF, 0);
    if (old != NULL)
        end_torn_line(log->file);
    if (old == NULL)
        fputs("Seq\tHost\tStarttime\tJobRuntime\tSend\tReceive\tExitval\tSignal\tCommand\n",
              log->file);
    return EXIT_DONE;
}

void joblog_close(struct joblog *log)
{
    if (log->file != NULL)
        fclose(log->file);
    free(log->well);
    *log = (struct joblog){NULL, NULL, 0};
}

bool joblog_has(const struct joblog *log, uint64_t number)
{
    return number / 8 < log->well_len && (log->well[number / 8] >> number % 8 & 1) != 0;
}

void joblog_add(struct joblog *log, const char *line, uint64_t number, const char *command,
                const reeve_record *record, const reeve_value *value)
{
    struct timespec now;
    const void *bytes = NULL;
    size_t received = 0;
    int64_t code = record->err == REEVE_OK ? 0 : 1;
    double runtime = (double)record->ns / 1e9;

    if (log->file == NULL)
        return;
    clock_gettime(CLOCK_REALTIME, &now);
    (void)reeve_get_bytes(reeve_value_find(value, "out"), &bytes, &received);
    (void)reeve_get_int(reeve_value_find(value, "code"), &code);
    fprintf(log->file, "%" PRIu64 "\t%s\t%.3f\t%.3f\t%zu\t%zu\t%d\t%d\t%s\n", number,
            record->host[0] == '\0' ? "-" : record->host,
            (double)now.tv_sec + (double)now.tv_nsec / 1e9 - runtime, runtime, strlen(line),
            received, code < 0 ? 0 : (int)code, code < 0 ? (int)-code : record->signal, command);
}
