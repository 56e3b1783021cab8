#include "server/log_dump.h"

#include <stdio.h>
#include <time.h>

enum {
    TEXT_MAX = 60, /* bytes of a name that are shown */
    RUNS_MAX = 12, /* different messages of a frame that are shown */
};

/* Also the control characters of the second hundred, which have two bytes in UTF-8. */
static bool is_control(struct rv_slice text, size_t i)
{
    uint8_t c = text.data[i];

    return c < 0x20 || c == 0x7f ||
           (c == 0xc2 && i + 1 < text.len && text.data[i + 1] >= 0x80 && text.data[i + 1] < 0xa0);
}

static void print_text(struct rv_slice text)
{
    putchar('"');
    for (size_t i = 0; i < text.len && i < TEXT_MAX; i++) {
        bool hide = is_control(text, i) || text.data[i] == '"';

        putchar(hide ? '?' : text.data[i]);
        i += hide && text.data[i] == 0xc2;
    }
    printf(text.len > TEXT_MAX ? "...\"" : "\"");
}

static void print_time(rv_ns at)
{
    time_t seconds = (time_t)(at / RV_SEC);
    char stamp[32] = "";
    struct tm tm;

    if (gmtime_r(&seconds, &tm) != NULL)
        strftime(stamp, sizeof stamp, "%Y-%m-%dT%H:%M:%S", &tm);
    printf("  %s.%03dZ", stamp, (int)(at % RV_SEC / RV_MS));
}

/* ---- messages ---- */

/* What an operation that has no object yet is about. */
static struct rv_slice name_of(const struct rv_call *call)
{
    struct rv_object_open_args open;
    struct rv_object_remove_args remove;
    struct rv_dead_requeue_args requeue;
    struct rv_job_open_args job;

    if (call->op == RV_OP_object_open && rv_object_open_args_decode(&open, call->args))
        return open.name;
    if (call->op == RV_OP_object_remove && rv_object_remove_args_decode(&remove, call->args))
        return remove.name;
    if (call->op == RV_OP_dead_requeue && rv_dead_requeue_args_decode(&requeue, call->args))
        return requeue.name;
    if (call->op == RV_OP_job_open && rv_job_open_args_decode(&job, call->args))
        return job.name;
    return rv_slice(NULL, 0);
}

static void print_call(const struct rv_call *call)
{
    const struct rv_op_info *op = rv_op_info(call->op);
    struct rv_slice name = name_of(call);

    if (op == NULL)
        printf("operation %u", call->op);
    else
        printf("%s", op->name);
    if (call->object != 0)
        printf(" %llu", (unsigned long long)call->object);
    if (name.len > 0) {
        putchar(' ');
        print_text(name);
    }
}

static void print_message(const struct rv_msg *msg)
{
    if (msg->type == RV_MSG_call)
        print_call(&msg->call);
    else if (msg->type == RV_MSG_cancel)
        printf("cancel of call %llu", (unsigned long long)msg->cancel.call);
    else
        printf("%s", rv_msg_name(msg->type));
}

static bool alike(const struct rv_msg *a, const struct rv_msg *b)
{
    if (a->type != b->type || a->type == RV_MSG_cancel)
        return false;
    return a->type != RV_MSG_call ||
           (a->call.op == b->call.op && a->call.object == b->call.object &&
            rv_slice_equal(name_of(&a->call), name_of(&b->call)));
}

/* The next one that counts. */
static bool next_numbered(struct rv_reader *r, struct rv_msg *out)
{
    while (rv_frame_next(r, out))
        if (rv_msg_numbered(out->type))
            return true;
    return false;
}

/* One after the other; of those that are alike, how many. */
static void print_messages(struct rv_slice bytes)
{
    struct rv_reader r = rv_reader(bytes);
    struct rv_msg last = {0};
    struct rv_msg msg;
    size_t runs = 0;
    size_t count = 0;
    bool more = next_numbered(&r, &msg);

    while (more) {
        last = msg;
        count = 0;
        do {
            count++;
            more = next_numbered(&r, &msg);
        } while (more && alike(&last, &msg));
        if (++runs > RUNS_MAX)
            break;
        printf(runs == 1 ? ": " : ", ");
        print_message(&last);
        if (count > 1)
            printf(" x%zu", count);
    }
    if (runs > RUNS_MAX)
        printf(", ...");
}

static void print_frame(const struct command *cmd)
{
    static const char *const levels[] = {
        [RV_DURABLE_NONE] = "  durable none", [RV_DURABLE_OS] = "  durable os"};

    printf("  session %llu", (unsigned long long)cmd->session);
    if (cmd->durable < rv_countof(levels) && levels[cmd->durable] != NULL)
        printf("%s", levels[cmd->durable]);
    if (cmd->first == 0) {
        printf("  acknowledges %llu", (unsigned long long)cmd->ack);
        return;
    }
    if (cmd->bodies_len > 0)
        printf("  bodies %zu", cmd->bodies_len);
    if (cmd->stripped)
        printf("  refused: no room");
    printf("  from message %llu", (unsigned long long)cmd->first);
    print_messages(cmd->bytes);
}

/* ---- the others ---- */

static const char *sentence(reeve_err err)
{
    switch (err) {
#define ERROR_CASE(name, code, text)                                                               \
    case code:                                                                                     \
        return text;
        REEVE_ERRORS(ERROR_CASE)
#undef ERROR_CASE
    }
    return "?";
}

static void print_open(const struct command *cmd)
{
    struct rv_msg msg;

    printf("  principal %u", cmd->principal);
    if (!rv_msg_decode(&msg, cmd->bytes) || msg.type != RV_MSG_hello)
        return;
    printf(msg.hello.established ? "  comes back  host " : "  host ");
    print_text(msg.hello.host_name);
    printf(cmd->local ? " (this one)  pid %u  program " : "  pid %u  program ", msg.hello.pid);
    print_text(msg.hello.program);
}

static void print_principal(const struct command *cmd)
{
    struct rv_principal_row row;

    if (!rv_principal_row_decode(&row, cmd->bytes))
        return;
    printf("  principal %u", row.id);
    if (row.role.len == 0) {
        printf("  removed");
        return;
    }
    printf("  key ");
    print_text(row.name);
    printf("  role ");
    print_text(row.role);
}

static void print_command(const struct command *cmd)
{
    switch (cmd->type) {
    case COMMAND_OPEN:
        print_open(cmd);
        break;
    case COMMAND_DETACH:
        printf("  session %llu  attempt %u", (unsigned long long)cmd->session, cmd->attempt);
        break;
    case COMMAND_END:
        printf("  session %llu  because: %s", (unsigned long long)cmd->session,
               sentence(cmd->reason));
        break;
    case COMMAND_MESSAGES:
        print_frame(cmd);
        break;
    case COMMAND_EXPIRE:
        printf("  a deadline has come");
        break;
    case COMMAND_PRINCIPAL:
        print_principal(cmd);
        break;
    case COMMAND_RESTART:
        printf("  term %llu", (unsigned long long)cmd->first);
        break;
    case COMMAND_PAUSE:
        printf("  it slept for %llu ms", (unsigned long long)cmd->first / RV_MS);
        break;
    case COMMAND_SPACE:
        printf(cmd->first != 0 ? "  the disk is full" : "  the disk has room again");
        break;
    }
}

void log_dump(const struct record *rec, const struct command *cmd)
{
    printf("%10llu", (unsigned long long)rec->index);
    print_time(cmd->at);
    printf("  life %llu  flush %llu%s  %6zu bytes  %s", (unsigned long long)rec->epoch,
           (unsigned long long)rec->flush, rec->flags & RECORD_LAST ? "." : " ", rec->size,
           command_name(cmd->type));
    print_command(cmd);
    putchar('\n');
}

void log_dump_seal(uint64_t index)
{
    printf("%10llu  ended in order\n", (unsigned long long)index);
}
