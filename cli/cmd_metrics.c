/* cmd_metrics.c -- reeve metrics: how the manager is, in the text that Prometheus reads. The manager
 * itself opens no port for it: this is a client with a key, as any other. */

#include "cli/cli.h"

#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#if __has_include(<microhttpd.h>)
#include <microhttpd.h>
#define HAVE_HTTP
#endif

enum { CALL_MS = 5000, CONNECTIONS = 16, IDLE_S = 10, LABEL_MAX = 512 };

struct metric {
    const char *name;
    const char *type;
    const char *key; /* in the map that tells it */
    double scale;
    const char *help;
};

static const struct metric of_manager[] = {
    {"uptime_seconds", "gauge", "uptime_ms", 1e-3, "Since the manager began its term."},
    {"term", "gauge", "term", 1, "How often its store was opened."},
    {"sessions", "gauge", "sessions", 1, "Sessions, attached or not."},
    {"sessions_attached", "gauge", "attached", 1, "Sessions that have a connection."},
    {"objects", "gauge", "objects", 1, "Objects that it holds."},
    {"queued_items", "gauge", "queued", 1, "Items in all queues."},
    {"queued_bytes", "gauge", "queued_bytes", 1, "Bytes of these."},
    {"commands_total", "counter", "commands", 1, "Commands that changed its state."},
    {"puts_total", "counter", "puts", 1, "Items put into queues."},
    {"gets_total", "counter", "gets", 1, "Items taken from queues."},
    {"redelivered_total", "counter", "redelivered", 1, "Items that came back."},
    {"dead_letters_total", "counter", "dead", 1, "Items that came back too often."},
    {"refused_total", "counter", "refused", 1, "Calls that were refused."},
    {"log_commits_total", "counter", "log_records", 1, "Commands committed to the log."},
    {"log_groups_total", "counter", "log_groups", 1, "Groups that these were written in."},
    {"log_flushes_total", "counter", "log_flushes", 1, "Groups that were flushed to the disk."},
    {"log_latency_seconds", "gauge", "log_latency_ns", 1e-9, "A group's time to be committed."},
    {"log_bytes", "gauge", "log_bytes", 1, "Bytes of the log since the last snapshot."},
    {"snapshots_total", "counter", "snapshots", 1, "Snapshots made."},
    {"snapshot_index", "gauge", "snapshot_index", 1, "The last command in the last snapshot."},
    {"snapshot_bytes", "gauge", "snapshot_bytes", 1, "Size of the last snapshot."},
    {"disk_full", "gauge", "full", 1, "1 while the disk has too little room and puts are refused."},
};

static const struct metric of_queue[] = {
    {"queue_items", "gauge", "size", 1, "Items in a queue."},
    {"queue_bytes", "gauge", "bytes", 1, "Bytes of these."},
    {"queue_unfinished", "gauge", "unfinished", 1, "Items that were put and not yet done."},
    {"queue_getters", "gauge", "getters", 1, "Gets that wait for an item."},
    {"queue_putters", "gauge", "putters", 1, "Puts that wait for room."},
};

static const struct metric of_agent[] = {
    {"agent_slots", "gauge", "slots", 1, "Tasks that an agent takes at a time."},
    {"agent_busy", "gauge", "busy", 1, "Tasks that it has."},
    {"agent_items_total", "counter", "done", 1, "Items that it has done."},
    {"agent_crashes_total", "counter", "crashed", 1, "Runners of it that crashed."},
};

static const struct metric of_job[] = {
    {"job_given", "gauge", "given", 1, "Items of a job that have come."},
    {"job_done", "gauge", "done", 1, "Items of it that are answered."},
    {"job_failed", "gauge", "failed", 1, "Of these, the failed ones."},
    {"job_running", "gauge", "running", 1, "Items of it that are at agents."},
    {"job_retried", "gauge", "retried", 1, "Items of it that were tried again."},
    {"job_agents", "gauge", "agents", 1, "Agents that work on it."},
};

/* ---- the text ---- */

/* As a label's value: a name may hold anything. */
static const char *quoted(char out[LABEL_MAX], const reeve_value *map, const char *key)
{
    const char *text = "";
    size_t len = 0;
    size_t at = 0;

    (void)reeve_get_str(reeve_value_find(map, key), &text, &len);
    for (size_t i = 0; i < len && at + 3 < LABEL_MAX; i++) {
        unsigned char c = (unsigned char)text[i];

        if (c == '\\' || c == '"')
            out[at++] = '\\';
        out[at++] = c < ' ' || c == 0x7f ? '?' : (char)c;
    }
    out[at] = '\0';
    return out;
}

static void show_head(FILE *to, const struct metric *m)
{
    fprintf(to, "# HELP reeve_%s %s\n# TYPE reeve_%s %s\n", m->name, m->help, m->name, m->type);
}

static void show_figure(FILE *to, const struct metric *m, const reeve_value *map)
{
    uint64_t n = cli_number(map, m->key);

    if (m->scale < 1)
        fprintf(to, " %.9g\n", (double)n * m->scale);
    else
        fprintf(to, " %" PRIu64 "\n", n);
}

static bool is_queue(const reeve_value *object)
{
    const char *text = "";
    size_t len = 0;

    return reeve_get_str(reeve_value_find(object, "type"), &text, &len) && len >= 5 &&
           memcmp(text + len - 5, "Queue", 5) == 0;
}

/* Prometheus wants all lines of one name together. */
static void show_rows(FILE *to, const struct metric *metrics, size_t metrics_len, const char *label,
                      const char *key, const reeve_value *rows, bool queues)
{
    char text[LABEL_MAX];

    for (size_t m = 0; m < metrics_len; m++) {
        show_head(to, &metrics[m]);
        for (size_t i = 0; i < reeve_value_len(rows); i++) {
            const reeve_value *row = reeve_value_at(rows, i);

            if (queues && !is_queue(row))
                continue;
            fprintf(to, "reeve_%s{%s=\"%s\"", metrics[m].name, label, quoted(text, row, key));
            if (strcmp(label, "job") == 0)
                fprintf(to, ",number=\"%" PRIu64 "\"", cli_number(row, "job"));
            fputc('}', to);
            show_figure(to, &metrics[m], row);
        }
    }
}

#define SHOW_ROWS(to, metrics, label, key, rows, queues)                                           \
    show_rows(to, metrics, sizeof(metrics) / sizeof((metrics)[0]), label, key, rows, queues)

static void show_up(FILE *to, bool up)
{
    fprintf(to,
            "# HELP reeve_up Whether the manager answers.\n# TYPE reeve_up gauge\nreeve_up %d\n",
            up);
}

/* What the key may not see is left out. */
static reeve_err show(FILE *to, reeve_context *ctx, uint32_t timeout_ms)
{
    reeve_value *manager = NULL;
    reeve_value *objects = NULL;
    reeve_value *agents = NULL;
    reeve_value *jobs = NULL;
    reeve_err err = reeve_status(&manager, ctx, timeout_ms);

    show_up(to, err == REEVE_OK);
    for (size_t i = 0; err == REEVE_OK && i < sizeof of_manager / sizeof of_manager[0]; i++) {
        show_head(to, &of_manager[i]);
        fprintf(to, "reeve_%s", of_manager[i].name);
        show_figure(to, &of_manager[i], manager);
    }
    if (err == REEVE_OK && reeve_objects(&objects, ctx, "", timeout_ms) == REEVE_OK)
        SHOW_ROWS(to, of_queue, "queue", "name", objects, true);
    if (err == REEVE_OK && reeve_agents(&agents, ctx, timeout_ms) == REEVE_OK)
        SHOW_ROWS(to, of_agent, "agent", "name", agents, false);
    if (err == REEVE_OK && reeve_jobs(&jobs, ctx, timeout_ms) == REEVE_OK)
        SHOW_ROWS(to, of_job, "job", "name", jobs, false);
    reeve_value_free(&jobs);
    reeve_value_free(&agents);
    reeve_value_free(&objects);
    reeve_value_free(&manager);
    return err;
}

/* ---- over HTTP ---- */

#ifdef HAVE_HTTP
/* Loaded when it is wanted: with what it needs in turn it would double the time that each command of
 * the tool takes to start. */
#define HTTP_LIBRARY "libmicrohttpd.so.12"
#define HTTP_FUNCTIONS(F)                                                                          \
    F(MHD_start_daemon)                                                                            \
    F(MHD_stop_daemon)                                                                             \
    F(MHD_get_daemon_info)                                                                         \
    F(MHD_create_response_from_buffer)                                                             \
    F(MHD_add_response_header)                                                                     \
    F(MHD_queue_response)                                                                          \
    F(MHD_destroy_response)

static struct {
#define FIELD(name) __typeof__(name) *name;
    HTTP_FUNCTIONS(FIELD)
#undef FIELD
} http;

static bool load_http(void)
{
    void *library = dlopen(HTTP_LIBRARY, RTLD_NOW | RTLD_LOCAL);

    if (library == NULL)
        return false;
#define LOAD(name)                                                                                 \
    *(void **)&http.name = dlsym(library, #name);                                                  \
    if (http.name == NULL)                                                                         \
        return false;
    HTTP_FUNCTIONS(LOAD)
#undef LOAD
    return true;
}

struct serving {
    reeve_context *ctx;
    uint32_t timeout_ms;
};

static enum MHD_Result send_text(struct MHD_Connection *connection, unsigned status, char *text,
                                 size_t len)
{
    struct MHD_Response *response =
        http.MHD_create_response_from_buffer(len, text, MHD_RESPMEM_MUST_FREE);
    enum MHD_Result sent = MHD_NO;

    if (response == NULL) {
        free(text);
        return MHD_NO;
    }
    (void)http.MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE,
                                       "text/plain; version=0.0.4; charset=utf-8");
    if (status == MHD_HTTP_METHOD_NOT_ALLOWED)
        (void)http.MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
    sent = http.MHD_queue_response(connection, status, response);
    http.MHD_destroy_response(response);
    return sent;
}

static enum MHD_Result on_request(void *arg, struct MHD_Connection *connection, const char *path,
                                  const char *method, const char *version, const char *upload,
                                  size_t *upload_size, void **state)
{
    const struct serving *serving = arg;
    unsigned status = MHD_HTTP_OK;
    char *text = NULL;
    size_t len = 0;
    FILE *to = open_memstream(&text, &len);

    (void)version;
    (void)upload;
    (void)state;
    *upload_size = 0;
    if (to == NULL)
        return MHD_NO;
    if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0) {
        status = MHD_HTTP_METHOD_NOT_ALLOWED;
        fputs("only GET\n", to);
    } else if (strcmp(path, "/metrics") != 0) {
        status = MHD_HTTP_NOT_FOUND;
        fputs("the metrics are at /metrics\n", to);
    } else {
        (void)show(to, serving->ctx, serving->timeout_ms);
    }
    if (fclose(to) != 0) {
        free(text);
        return MHD_NO;
    }
    return send_text(connection, status, text, len);
}

#define HERE "127.0.0.1"

/* "127.0.0.1:9730", "[::1]:9730" or ":9730", which is this host's own processes. */
static bool parse_address(struct sockaddr_storage *out, const char *text)
{
    struct sockaddr_in *v4 = (struct sockaddr_in *)out;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)out;
    const char *colon = strrchr(text, ':');
    char host[INET6_ADDRSTRLEN + 2] = HERE;
    char *end = NULL;
    unsigned long port = 0;

    memset(out, 0, sizeof *out);
    if (colon == NULL || (size_t)(colon - text) >= sizeof host || colon[1] < '0' || colon[1] > '9')
        return false;
    port = strtoul(colon + 1, &end, 10);
    if (*end != '\0' || port > UINT16_MAX)
        return false;
    if (colon != text)
        snprintf(host, sizeof host, "%.*s", (int)(colon - text), text);
    if (host[0] == '[' && host[strlen(host) - 1] == ']') {
        host[strlen(host) - 1] = '\0';
        v6->sin6_family = AF_INET6;
        v6->sin6_port = htons((uint16_t)port);
        return inet_pton(AF_INET6, host + 1, &v6->sin6_addr) == 1;
    }
    v4->sin_family = AF_INET;
    v4->sin_port = htons((uint16_t)port);
    return inet_pton(AF_INET, host, &v4->sin_addr) == 1;
}

static int serve(const struct cli_args *args, reeve_context *ctx)
{
    struct serving serving = {ctx, cli_timeout(args, CALL_MS)};
    struct sockaddr_storage address;
    struct MHD_Daemon *daemon = NULL;
    const union MHD_DaemonInfo *info = NULL;
    sigset_t ends;
    int number = 0;

    if (!parse_address(&address, args->listen))
        return cli_fail_usage(
            args, "cannot listen on %s: it must be ADDRESS:PORT, as 127.0.0.1:9730", args->listen);
    if (!load_http())
        return cli_fail(EXIT_CHANGE, "cannot listen: " HTTP_LIBRARY " is not here; on Debian: "
                                     "apt-get install libmicrohttpd12");
    sigemptyset(&ends);
    sigaddset(&ends, SIGINT);
    sigaddset(&ends, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &ends, NULL); /* the daemon's thread inherits that */
    signal(SIGPIPE, SIG_IGN);
    daemon = http.MHD_start_daemon(
        MHD_USE_INTERNAL_POLLING_THREAD | (address.ss_family == AF_INET6 ? MHD_USE_IPv6 : 0), 0,
        NULL, NULL, on_request, &serving, MHD_OPTION_SOCK_ADDR, (struct sockaddr *)&address,
        MHD_OPTION_CONNECTION_LIMIT, (unsigned)CONNECTIONS, MHD_OPTION_CONNECTION_TIMEOUT,
        (unsigned)IDLE_S, MHD_OPTION_END);
    if (daemon == NULL)
        return cli_fail(EXIT_AGAIN, "cannot listen on %s: %s", args->listen, strerror(errno));
    info = http.MHD_get_daemon_info(daemon, MHD_DAEMON_INFO_BIND_PORT);
    fprintf(stderr, "reeve: the metrics are at http://%.*s:%u/metrics\n",
            args->listen[0] == ':' ? (int)strlen(HERE)
                                   : (int)(strrchr(args->listen, ':') - args->listen),
            args->listen[0] == ':' ? HERE : args->listen, info == NULL ? 0u : (unsigned)info->port);
    (void)sigwait(&ends, &number);
    http.MHD_stop_daemon(daemon);
    return EXIT_DONE;
}

#else
static int serve(const struct cli_args *args, reeve_context *ctx)
{
    (void)args;
    (void)ctx;
    return cli_fail(EXIT_CHANGE, "cannot listen: this reeve was built without libmicrohttpd");
}
#endif

static int print(const struct cli_args *args, reeve_context *ctx)
{
    reeve_err err = show(stdout, ctx, cli_timeout(args, CALL_MS));

    return err == REEVE_OK ? EXIT_DONE : cli_fail_call(err);
}

int run_metrics(const struct cli_args *args)
{
    reeve_context *ctx = NULL;
    int code = cli_open(&ctx, args);

    if (code == EXIT_DONE)
        code = args->listen == NULL ? print(args, ctx) : serve(args, ctx);
    return cli_close(&ctx, code);
}
