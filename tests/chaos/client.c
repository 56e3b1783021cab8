/* client.c -- one process that chaos happens to. It uses a queue or a lock, and writes down what it
 * asked for and what it was told, a line each, which stays when the process is killed.
 *
 *     client put WHO [QUEUE]     puts "WHO 0", "WHO 1" ... until SIGTERM; into QUEUE not so fast
 *     client get WHO [QUEUE]     takes items and says that they are done, until SIGTERM
 *     client lock WHO            holds the lock in turn, until SIGTERM
 *     client dict WHO            sets one key of a dict and reads it, until SIGTERM
 *
 * Lines: a letter, the time in nanoseconds (one clock for all processes of a host), and what of.
 *
 *     p i   a put begins         P i   it was told OK     N i   refused: it is not there
 *     g     a get begins         G item deliveries         d item   task_done begins   D item  OK
 *     a     an acquire begins    A fence died              r fence  release begins     R fence  OK
 *     s i   a set begins         S i   it was told OK     X i   refused: it is not there
 *     v     a read begins        V value                  V     there is none yet
 *     E     a call failed: what, and why; the process ends with it
 */

#include <reeve.h>

#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { WAIT_MS = 60000, GET_MS = 300, FULL_PAUSE_US = 20000, HOLD_US = 1000, MARGIN = 8 };
enum { LINE_PAUSE_US = 4000, DICT_PAUSE_US = 3000 };

static volatile sig_atomic_t over;

static void on_term(int signal)
{
    (void)signal;
    over = 1;
}

/* Whole lines, at once: whoever is killed leaves no half of one. */
static void note(const char *format, ...) __attribute__((format(printf, 1, 2)));

static void note(const char *format, ...)
{
    char line[512];
    struct timespec t;
    int len = 0;
    va_list args;

    clock_gettime(CLOCK_MONOTONIC, &t);
    len = snprintf(line, sizeof line, "%c %lld%s", format[0],
                   (long long)t.tv_sec * 1000000000LL + t.tv_nsec, format[1] == '\0' ? "" : " ");
    va_start(args, format);
    if (format[1] != '\0')
        len += vsnprintf(line + len, sizeof line - (size_t)len - MARGIN, format + 2, args);
    va_end(args);
    if (len > (int)sizeof line - MARGIN)
        len = (int)sizeof line - MARGIN;
    line[len++] = '\n';
    if (write(STDOUT_FILENO, line, (size_t)len) != len)
        _exit(4);
}

static void need(reeve_err err, const char *what)
{
    if (err == REEVE_OK)
        return;
    note("E %s %d %s", what, (int)err, reeve_errmsg());
    _exit(3);
}

static void put_all(reeve_queue *queue, const char *who, unsigned pause_us)
{
    char text[128];

    for (long i = 0; !over; i++) {
        reeve_err err = REEVE_ENOSPC;

        snprintf(text, sizeof text, "%s %ld", who, i);
        while (err == REEVE_ENOSPC) {
            note("p %ld", i);
            err = reeve_queue_put_str(queue, text, WAIT_MS);
            if (err != REEVE_ENOSPC)
                break;
            note("N %ld", i);
            if (over)
                return;
            usleep(FULL_PAUSE_US);
        }
        need(err, "put");
        note("P %ld", i);
        usleep(pause_us);
    }
}

static void get_all(reeve_queue *queue)
{
    while (!over) {
        reeve_value *item = NULL;
        const char *text = NULL;
        size_t len = 0;
        size_t size = 0;
        reeve_err err = REEVE_OK;

        note("g");
        err = reeve_queue_get(&item, queue, GET_MS);
        if (err == REEVE_EEMPTY || err == REEVE_ETIME)
            continue;
        need(err, "get");
        if (!reeve_get_str(item, &text, &len))
            need(REEVE_ETYPE, "item");
        note("G %.*s %u", (int)len, text, (unsigned)reeve_value_deliveries(item));
        note("d %.*s", (int)len, text);
        /* task_done does not wait; once a later call is answered, the manager has it. */
        need(reeve_queue_task_done(queue, item), "task_done");
        need(reeve_queue_size(queue, &size), "size");
        note("D %.*s", (int)len, text);
        reeve_value_free(&item);
    }
}

static void hold_all(reeve_lock *lock)
{
    while (!over) {
        uint64_t fence = 0;
        reeve_err err = REEVE_OK;

        note("a");
        err = reeve_lock_acquire(lock, WAIT_MS);
        if (err != REEVE_OWNER_DIED)
            need(err, "acquire");
        need(reeve_lock_fence(lock, &fence), "fence");
        note("A %llu %d", (unsigned long long)fence, err == REEVE_OWNER_DIED);
        usleep(HOLD_US);
        note("r %llu", (unsigned long long)fence);
        need(reeve_lock_release(lock), "release");
        note("R %llu", (unsigned long long)fence);
        usleep(HOLD_US);
    }
}

/* Each value is set once, so that a read tells which set it saw. */
static void set_all(reeve_dict *dict, const char *who)
{
    char text[128];
    reeve_builder *key = reeve_builder_new();
    reeve_builder *value = reeve_builder_new();

    need(reeve_put_str(key, "key"), "key");
    for (long i = 0; !over; i++) {
        reeve_value *seen = NULL;
        size_t len = 0;
        const char *got = NULL;
        reeve_err err = REEVE_OK;

        snprintf(text, sizeof text, "%s/%ld", who, i);
        reeve_builder_reset(value);
        need(reeve_put_str(value, text), "value");
        note("s %s", text);
        err = reeve_dict_set(dict, key, value);
        if (err != REEVE_ENOSPC)
            need(err, "set");
        note(err == REEVE_OK ? "S %s" : "X %s", text);
        note("v");
        err = reeve_dict_get(dict, key, &seen);
        if (err != REEVE_EKEY)
            need(err, "read");
        if (err == REEVE_OK && !reeve_get_str(seen, &got, &len))
            need(REEVE_ETYPE, "value");
        if (err == REEVE_OK)
            note("V %.*s", (int)len, got);
        else
            note("V");
        reeve_value_free(&seen);
        usleep(DICT_PAUSE_US);
    }
    reeve_builder_free(&key);
    reeve_builder_free(&value);
}

int main(int argc, char **argv)
{
    static const reeve_queue_options options = {.maxsize = 100, .joinable = true};
    const struct sigaction term = {.sa_handler = on_term, .sa_flags = SA_RESTART};
    reeve_context *ctx = NULL;
    reeve_queue *queue = NULL;
    reeve_lock *lock = NULL;
    reeve_dict *dict = NULL;
    char role = argc >= 3 ? argv[1][0] : '\0';
    const char *name = argc >= 4 ? argv[3] : "work";

    if (role != 'p' && role != 'g' && role != 'l' && role != 'd')
        return 2;
    sigaction(SIGTERM, &term, NULL);
    need(reeve_open(&ctx, NULL), "open");
    if (role == 'l')
        need(reeve_lock_open(&lock, ctx, "turn", NULL), "lock");
    else if (role == 'd')
        need(reeve_dict_open(&dict, ctx, "shared", NULL), "dict");
    else
        need(reeve_queue_open(&queue, ctx, name, &options), "queue");
    if (role == 'p')
        put_all(queue, argv[2], argc >= 4 ? LINE_PAUSE_US : 0);
    else if (role == 'd')
        set_all(dict, argv[2]);
    else if (role == 'g')
        get_all(queue);
    else
        hold_all(lock);
    reeve_queue_close(&queue);
    reeve_lock_close(&lock);
    reeve_dict_close(&dict);
    need(reeve_close(&ctx), "close");
    return 0;
}
