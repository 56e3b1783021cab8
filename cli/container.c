/* container.c -- what the commands of containers have in common. */

#include "cli/container.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

enum { OPEN_MS = 5000, PART_BYTES = 1024 * 1024 };

/* ---- ends ---- */

static bool is_not_there(reeve_err err)
{
    return err == REEVE_EKEY || err == REEVE_EATTR || err == REEVE_EINDEX;
}

/* What was there has become a value that has no places. */
static bool is_no_place(const struct container *c, reeve_err err)
{
    return c->place != NULL && err == REEVE_ETYPE;
}

/* What to do about it is in the words of the library. */
static bool is_told_whole(reeve_err err)
{
    return err == REEVE_ETYPE || err == REEVE_EVALUE || err == REEVE_ETOOBIG;
}

/* Behind "cannot VERB TYPE NAME: ". */
static const char *reason(const struct container *c)
{
    const char *text = reeve_errmsg();
    const char *name = strstr(text, c->args->words[0]);
    const char *colon = name == NULL ? NULL : strstr(name + strlen(c->args->words[0]), ": ");

    return colon == NULL ? text : colon + 2;
}

int container_end(struct container *c, reeve_err err, const char *what)
{
    c->err = err;
    if (err == REEVE_OK)
        return EXIT_DONE;
    if (c->args->follow && (is_not_there(err) || is_no_place(c, err) || err == REEVE_ECHANGED ||
                            err == REEVE_ECANCELED))
        return EXIT_NOTHING; /* wait for it, or end */
    if (what == NULL && !is_told_whole(err))
        return cli_fail_call(err);
    if (what == NULL)
        return cli_fail(cli_exit_of(err), "%s", reeve_errmsg());
    if (is_not_there(err) || is_told_whole(err))
        return cli_fail(cli_exit_of(err), "cannot %s %s of %s %s: %s", c->verb->word, what,
                        c->type->word, c->args->words[0],
                        is_not_there(err) ? reeve_strerror(err) : reason(c));
    return cli_fail_call(err);
}

int container_end_pop(struct container *c, reeve_err err)
{
    if (!is_not_there(err))
        return container_end(c, err, NULL);
    return cli_fail(EXIT_NOTHING, "cannot %s %s %s: it is empty", c->verb->word, c->type->word,
                    c->args->words[0]);
}

const reeve_builder *container_place(struct container *c)
{
    if (c->place != NULL)
        return c->place;
    reeve_builder_reset(c->other);
    (void)reeve_put_array(c->other, 0);
    return c->other;
}

const char *container_where(struct container *c, const char *word)
{
    if (c->place == NULL)
        return word;
    snprintf(c->where, sizeof c->where, "%.60s at %.60s", word, c->args->at);
    return c->where;
}

int container_end_many(struct container *c, reeve_err err, const char *word, const char *kind)
{
    if (err != REEVE_ETYPE)
        return container_end(c, err, NULL);
    return cli_fail(EXIT_CHANGE, "cannot %s %s: it is not a JSON %s", c->verb->word, word, kind);
}

/* ---- words ---- */

/* 20 digits and more would become a float that is another number. */
static bool is_long_integer(const char *word)
{
    char *end = NULL;

    if (word[strspn(word, "-0123456789")] != '\0')
        return false;
    errno = 0;
    if (*word == '-')
        (void)strtoll(word, &end, 10);
    else
        (void)strtoull(word, &end, 10);
    return errno == ERANGE;
}

static bool put_text(struct container *c, reeve_builder *out, const char *word)
{
    reeve_builder_reset(out);
    if (reeve_put_str(out, word) == REEVE_OK)
        return true;
    (void)cli_fail(EXIT_CHANGE, "cannot %s %s: it is not UTF-8", c->verb->word, word);
    return false;
}

bool container_key(struct container *c, reeve_builder *out, const char *word)
{
    char why[CLI_WHY];

    reeve_builder_reset(out);
    if (!c->args->text && !is_long_integer(word) && cli_put_json(out, word, strlen(word), why))
        return true;
    return put_text(c, out, word);
}

bool container_value(struct container *c, reeve_builder *out, const char *word)
{
    char why[CLI_WHY];

    if (!c->args->json)
        return container_key(c, out, word);
    reeve_builder_reset(out);
    if (cli_put_json(out, word, strlen(word), why))
        return true;
    (void)cli_fail(EXIT_CHANGE, "cannot %s %s: %s; without --json it is a text", c->verb->word,
                   word, why);
    return false;
}

bool container_number(struct container *c, reeve_builder *out, const char *word)
{
    char why[CLI_WHY];

    reeve_builder_reset(out);
    if ((*word == '-' || (*word >= '0' && *word <= '9')) &&
        cli_put_json(out, word, strlen(word), why))
        return true;
    (void)cli_fail_usage(c->args, "cannot %s %s: it is not a number", c->verb->word, word);
    return false;
}

static bool read_integer(int64_t *out, const char *text, char **end)
{
    errno = 0;
    *out = strtoll(text, end, 10);
    return *end != text && errno == 0 && text[strspn(text, " \t\n+")] == text[0];
}

bool container_index(struct container *c, int64_t *out, const char *word)
{
    char *end = NULL;

    if (read_integer(out, word, &end) && *end == '\0')
        return true;
    (void)cli_fail_usage(c->args, "cannot %s %s: it is not an index, as 0 or -1", c->verb->word,
                         word);
    return false;
}

bool container_slice(struct container *c, reeve_slice *out, const char *word)
{
    int64_t parts[3] = {REEVE_UNSET, REEVE_UNSET, REEVE_UNSET};
    const char *at = word;
    int len = 0;

    for (;;) {
        char *end = NULL;

        if (*at == ':' || *at == '\0')
            end = (char *)(uintptr_t)at;
        else if (!read_integer(&parts[len], at, &end))
            break;
        at = end;
        len++;
        if (*at != ':' || len == 3)
            break;
        at++;
    }
    if (*at == '\0' && len > 1) {
        *out = (reeve_slice){parts[0], parts[1], parts[2]};
        return true;
    }
    (void)cli_fail_usage(c->args, "cannot %s %s: it is not a slice, as 0:10, -3: or ::2",
                         c->verb->word, word);
    return false;
}

/* --at: JSON, an array of steps or one alone; what is no JSON is a key. */
static bool read_place(struct container *c)
{
    const char *word = c->args->at;
    char why[CLI_WHY];

    if (word == NULL)
        return true;
    c->place = reeve_builder_new();
    if (*word == '[') {
        if (cli_put_json(c->place, word, strlen(word), why))
            return true;
        (void)cli_fail_usage(c->args, "cannot take --at %s: %s", word, why);
        return false;
    }
    if (reeve_put_array(c->place, 1) == REEVE_OK && !is_long_integer(word) &&
        cli_put_json(c->place, word, strlen(word), why))
        return true;
    reeve_builder_reset(c->place);
    if (reeve_put_array(c->place, 1) == REEVE_OK && reeve_put_str(c->place, word) == REEVE_OK)
        return true;
    (void)cli_fail_usage(c->args, "cannot take --at %s: it is not UTF-8", word);
    return false;
}

/* 4096, 64K, 10M, 1G; 0: it is none of these. */
static uint64_t read_bytes(const char *word)
{
    static const char units[] = "KMG";
    const char *unit = NULL;
    uint64_t bytes = 0;
    char *end = NULL;

    errno = 0;
    bytes = strtoull(word, &end, 10);
    if (*word < '0' || *word > '9' || errno != 0)
        return 0;
    unit = *end == '\0' ? NULL : strchr(units, *end);
    if (*end != '\0' && (unit == NULL || end[1] != '\0'))
        return 0;
    for (const char *at = units; unit != NULL && at <= unit; at++)
        bytes = bytes > UINT64_MAX / 1024 ? 0 : bytes * 1024;
    return bytes;
}

/* ---- values ---- */

bool container_write_json(FILE *to, const reeve_value *value, const char *end)
{
    char *json = reeve_value_json(value);

    if (json != NULL)
        fprintf(to, "%s%s", json, end);
    free(json);
    return json != NULL;
}

bool container_write(struct container *c, const reeve_value *value, const char *end)
{
    const char *text = NULL;
    size_t len = 0;

    if (c->args->json || !reeve_get_str(value, &text, &len))
        return container_write_json(c->out, value, end);
    fwrite(text, 1, len, c->out);
    fputs(end, c->out);
    return true;
}

static int print_end(bool good)
{
    return good ? EXIT_DONE : cli_fail(EXIT_AGAIN, "cannot print a value: out of memory");
}

int container_print(struct container *c, reeve_value **value)
{
    bool good = container_write(c, *value, "\n");

    reeve_value_free(value);
    return print_end(good);
}

int container_print_json(struct container *c, reeve_value **value)
{
    bool good = container_write_json(c->out, *value, "\n");

    reeve_value_free(value);
    return print_end(good);
}

int container_print_each(struct container *c, reeve_value **array)
{
    bool good = true;

    for (size_t i = 0; good && i < reeve_value_len(*array); i++)
        good = container_write(c, reeve_value_at(*array, i), "\n");
    reeve_value_free(array);
    return print_end(good);
}

int container_print_number(struct container *c, uint64_t number)
{
    fprintf(c->out, "%" PRIu64 "\n", number);
    return EXIT_DONE;
}

int container_print_truth(struct container *c, bool so)
{
    fputs(so ? "true\n" : "false\n", c->out);
    return so ? EXIT_DONE : EXIT_NOTHING;
}

int container_cas(struct container *c, reeve_err err, bool done, reeve_value **now,
                  const char *what)
{
    if (err != REEVE_OK || done) {
        reeve_value_free(now);
        return container_end(c, err, what);
    }
    if (*now == NULL)
        return container_end(c, REEVE_EKEY, what);
    (void)container_print(c, now);
    return EXIT_NOTHING;
}

/* ---- standard input ---- */

static int fail_input(void)
{
    return cli_fail(EXIT_AGAIN, "cannot read standard input: %s", strerror(errno));
}

static int each_line(struct container *c, int (*take)(struct container *c, const char *word))
{
    char *line = NULL;
    size_t size = 0;
    int code = EXIT_DONE;

    for (uint64_t number = 1; code == EXIT_DONE; number++) {
        ssize_t len = getline(&line, &size, stdin);

        if (len < 0)
            break;
        if (line[len - 1] == '\n')
            line[--len] = '\0';
        if (strlen(line) != (size_t)len)
            code = cli_fail(EXIT_CHANGE, "cannot %s line %" PRIu64 ": it has a NUL in it",
                            c->verb->word, number);
        else
            code = take(c, line);
        if (code != EXIT_DONE && number > 1)
            (void)cli_fail(code, "the lines before line %" PRIu64 " were taken", number);
    }
    if (code == EXIT_DONE && ferror(stdin))
        code = fail_input();
    free(line);
    return code;
}

int container_each(struct container *c, int (*take)(struct container *c, const char *word))
{
    int code = EXIT_DONE;

    if (c->words_len == 0)
        return each_line(c, take);
    for (int i = 0; code == EXIT_DONE && i < c->words_len; i++)
        code = take(c, c->words[i]);
    return code;
}

/* All of standard input; *text is the caller's, also after a failure. */
static int read_input(char **text, size_t *len)
{
    FILE *to = open_memstream(text, len);
    char room[65536];
    size_t got = 0;
    bool good = to != NULL;

    while (good && (got = fread(room, 1, sizeof room, stdin)) > 0)
        good = fwrite(room, 1, got, to) == got;
    if (to != NULL)
        good = fclose(to) == 0 && good;
    if (ferror(stdin))
        return fail_input();
    return good ? EXIT_DONE : cli_fail(EXIT_AGAIN, "cannot load: out of memory");
}

static int fail_load(const char *why)
{
    return cli_fail(EXIT_CHANGE, "cannot load standard input: %s", why);
}

/* All of standard input, that it is JSON, and where its bracket is; *text is the caller's. */
static int read_json(reeve_builder *out, char open, char **text, size_t *len, const char **at)
{
    char why[CLI_WHY];
    int code = read_input(text, len);

    if (code != EXIT_DONE)
        return code;
    *at = *text + strspn(*text, " \t\r\n");
    reeve_builder_reset(out);
    if (!(open == '{' ? cli_put_json_map : cli_put_json)(out, *text, *len, why))
        return fail_load(why);
    if (**at != open)
        return fail_load(open == '{' ? "it is not a JSON object" : "it is not a JSON array");
    return EXIT_DONE;
}

/* Some elements or members, with what makes a whole of them. */
static int take_part(struct container *c, reeve_builder *out, const char *const around[2],
                     const char *part, size_t len, int (*take)(struct container *c))
{
    bool map = around[0][0] == '{' && around[0][1] == '\0';
    char why[CLI_WHY] = "out of memory";
    char *text = NULL;
    size_t size = 0;
    FILE *to = open_memstream(&text, &size);
    bool good = to != NULL;

    if (good) {
        fputs(around[0], to);
        fwrite(part, 1, len, to);
        fputs(around[1], to);
        good = fclose(to) == 0;
    }
    reeve_builder_reset(out);
    good = good && (map ? cli_put_json_map : cli_put_json)(out, text, size, why);
    free(text);
    return good ? take(c) : fail_load(why);
}

int container_load(struct container *c, reeve_builder *out, char open,
                   int (*take)(struct container *c))
{
    static const char *const arounds[][2] = {{"[", "]"}, {"{", "}"}, {"{\"pairs\": [", "]}"}};
    const char *const *around = arounds[open == '{'];
    char *text = NULL;
    const char *at = NULL;
    const char *element = NULL;
    const char *part = NULL;
    size_t len = 0;
    size_t size = 0;
    int code = read_json(out, open, &text, &len, &at);

    if (code == EXIT_DONE && open == '{' && cli_json_pairs(&at, text + len))
        around = arounds[2];
    while (code == EXIT_DONE && cli_next_element(&at, text + len, &element, &size)) {
        part = part == NULL ? element : part;
        if ((size_t)(element + size - part) < PART_BYTES)
            continue;
        code = take_part(c, out, around, part, (size_t)(element + size - part), take);
        part = NULL;
    }
    if (code == EXIT_DONE && part != NULL)
        code = take_part(c, out, around, part, (size_t)(element + size - part), take);
    free(text);
    return code;
}

int container_load_each(struct container *c, reeve_builder *out, int (*take)(struct container *c))
{
    static const char *const alone[2] = {"", ""};
    char *text = NULL;
    const char *at = NULL;
    const char *element = NULL;
    size_t len = 0;
    size_t size = 0;
    int code = read_json(out, '[', &text, &len, &at);

    while (code == EXIT_DONE && cli_next_element(&at, text + len, &element, &size))
        code = take_part(c, out, alone, element, size, take);
    free(text);
    return code;
}

/* ---- opening ---- */

/* As a queue: whatever options it has, unless some are given; then those. */
static reeve_err open_it(struct container *c)
{
    const struct cli_args *args = c->args;
    bool asked = args->durable != NULL || args->ttl.given || args->typecode != NULL ||
                 args->length.given || args->max_bytes != NULL;
    reeve_container_options options = {
        .create = asked ? REEVE_CREATE_OR_GET : REEVE_GET_ONLY,
        .ttl_ms = args->ttl.value,
        .timeout_ms = args->follow ? OPEN_MS : cli_timeout(args, OPEN_MS),
        .durable = cli_durable(args),
        .max_bytes = args->max_bytes == NULL ? 0 : read_bytes(args->max_bytes),
    };
    reeve_err err = c->type->open(c, &options);

    if (err != REEVE_ENOENT || asked || !(args->create || args->follow || c->verb->how == WRITES))
        return err;
    options.create = REEVE_CREATE_OR_GET;
    return c->type->open(c, &options);
}

/* ---- running ---- */

/* Run the verb, whose output is *text, the caller's. An exit code. */
static int run_verb(struct container *c, char **text, size_t *len)
{
    int code = EXIT_DONE;

    *text = NULL;
    *len = 0;
    c->out = open_memstream(text, len);
    c->exact = false;
    c->err = REEVE_OK;
    code = c->out == NULL ? EXIT_AGAIN : c->verb->run(c);
    if (c->out == NULL || fclose(c->out) != 0)
        code = cli_fail(EXIT_AGAIN, "cannot print: out of memory");
    return code;
}

static int write_text(const char *text, size_t len)
{
    if (fwrite(text, 1, len, stdout) == len && fflush(stdout) == 0)
        return EXIT_DONE;
    if (errno == EPIPE)
        return EXIT_SIGNAL + SIGPIPE; /* no words about it */
    return cli_fail(EXIT_AGAIN, "cannot write to standard output: %s", strerror(errno));
}

static int run_once(struct container *c)
{
    char *text = NULL;
    size_t len = 0;
    int code = run_verb(c, &text, &len);
    int written = write_text(text, len);

    free(text);
    return code == EXIT_DONE ? written : code;
}

/* ---- --follow ---- */

struct follow {
    struct container *c;
    atomic_bool stopped; /* by Ctrl-C, or a reader that left */
    int done[2];         /* a pipe that ends with the thread */
    int code;
};

/* What was printed last is not printed again, unless the verb knows that it is a new one. */
static int print_news(struct container *c, char **last, size_t *last_len, uint32_t *times)
{
    char *text = NULL;
    size_t len = 0;
    int code = run_verb(c, &text, &len);
    bool there = c->err == REEVE_OK;
    bool same = *last != NULL && len == *last_len && memcmp(text, *last, len) == 0;

    if (there && (code == EXIT_DONE || code == EXIT_NOTHING) && (c->exact || !same)) {
        code = write_text(text, len);
        ++*times;
    } else if (code == EXIT_NOTHING) {
        code = EXIT_DONE; /* it is not there, or the answer is no */
    }
    free(*last);
    *last = there ? text : NULL;
    *last_len = len;
    if (!there)
        free(text);
    return code;
}

static bool has_enough(const struct follow *f, uint32_t times)
{
    const struct cli_args *args = f->c->args;

    return f->code != EXIT_DONE || atomic_load(&f->stopped) ||
           (args->count.given && times >= args->count.value);
}

static void *follow_it(void *arg)
{
    struct follow *f = arg;
    struct container *c = f->c;
    char *last = NULL;
    size_t last_len = 0;
    uint32_t times = 0;

    for (;;) {
        reeve_err err = REEVE_OK;

        f->code = print_news(c, &last, &last_len, &times);
        if (has_enough(f, times))
            break;
        err = c->type->wait(c, cli_timeout(c->args, REEVE_FOREVER));
        if (err != REEVE_OK && !atomic_load(&f->stopped))
            f->code = cli_fail_call(err);
        if (err != REEVE_OK)
            break;
    }
    free(last);
    close(f->done[1]);
    return NULL;
}

/* The wait ends, or the call; the next Ctrl-C ends the process as it is. */
static void stop(struct follow *f, const sigset_t *signals)
{
    enum { AGAIN_MS = 50 };
    struct pollfd done = {.fd = f->done[0]};

    pthread_sigmask(SIG_UNBLOCK, signals, NULL);
    atomic_store(&f->stopped, true);
    do
        reeve_interrupt(f->c->ctx);
    while (poll(&done, 1, AGAIN_MS) == 0);
}

/* A wait for a change is one call, as long as it takes; so it is another thread that looks for Ctrl-C and
 * for a reader that left. An exit code. */
static int watch(struct follow *f, const sigset_t *signals, int fd)
{
    struct pollfd fds[] = {{.fd = f->done[0]}, {.fd = STDOUT_FILENO}, {.fd = fd, .events = POLLIN}};
    struct signalfd_siginfo which;

    while (fds[0].revents == 0) {
        if (poll(fds, 3, -1) < 0 && errno != EINTR)
            return EXIT_DONE;
        if (fds[1].revents == 0 && fds[2].revents == 0)
            continue;
        if (fds[2].revents != 0)
            (void)!read(fd, &which, sizeof which);
        stop(f, signals);
        return fds[2].revents != 0 ? EXIT_DONE : EXIT_SIGNAL + SIGPIPE;
    }
    return EXIT_DONE;
}

static int run_follow(struct container *c)
{
    struct follow f = {.c = c};
    pthread_t thread;
    sigset_t set;
    int signals = -1;
    int code = EXIT_DONE;

    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
    signals = signalfd(-1, &set, SFD_CLOEXEC);
    if (signals < 0 || pipe(f.done) != 0)
        return cli_fail(EXIT_AGAIN, "cannot follow: %s", strerror(errno));
    if (pthread_create(&thread, NULL, follow_it, &f) != 0)
        return cli_fail(EXIT_AGAIN, "cannot follow: no thread");
    code = watch(&f, &set, signals);
    pthread_join(thread, NULL);
    close(f.done[0]);
    close(signals);
    return f.code == EXIT_DONE ? code : f.code;
}

/* ---- the command ---- */

static const struct verb *find_verb(const struct container_type *type, const char *word)
{
    const struct verb *v = type->verbs;

    if (word == NULL)
        return v;
    for (v++; v->run != NULL; v++)
        if (strcmp(v->word, word) == 0)
            return v;
    return NULL;
}

static bool goes_to_place(const struct verb *verb)
{
    static const char *const words[] = {"get", "set", "add", "del", "append-at"};

    for (size_t i = 0; verb->word != NULL && i < sizeof words / sizeof words[0]; i++)
        if (strcmp(verb->word, words[i]) == 0)
            return true;
    return false;
}

static int check(struct container *c)
{
    const char *word = c->args->words_len > 1 ? c->args->words[1] : NULL;

    c->verb = find_verb(c->type, word);
    if (c->verb == NULL)
        return cli_fail_usage(c->args, "cannot %s a %s: there is no such verb", word,
                              c->type->word);
    c->words = c->args->words + (word == NULL ? 1 : 2);
    c->words_len = c->args->words_len - (word == NULL ? 1 : 2);
    if (c->words_len < c->verb->fewest)
        return cli_fail_usage(c->args, "cannot %s: it wants %s", c->verb->word, c->verb->wants);
    if (c->words_len > c->verb->most)
        return cli_fail_usage(c->args, "cannot %s %s: there is a word too many", c->verb->word,
                              c->words[c->words_len - 1]);
    if (c->args->follow && c->verb->how != READS)
        return cli_fail_usage(c->args, "cannot %s with --follow: it is for verbs that read",
                              c->verb->word);
    if (c->args->count.given && !c->args->follow)
        return cli_fail_usage(c->args, "cannot take --count: it goes with --follow");
    if (c->args->at != NULL && !goes_to_place(c->verb))
        return cli_fail_usage(c->args, "cannot take --at: it goes with get, set, add, del and "
                                       "append-at");
    if (c->args->max_bytes != NULL && read_bytes(c->args->max_bytes) == 0)
        return cli_fail_usage(c->args,
                              "cannot take --max-bytes %s: it is a number of bytes, as "
                              "4096, 64K, 10M or 1G",
                              c->args->max_bytes);
    if (c->args->typecode != NULL && strlen(c->args->typecode) != 1)
        return cli_fail_usage(c->args, "cannot take --typecode %s: it is one letter",
                              c->args->typecode);
    if (c->type->sized && (c->args->typecode != NULL) != c->args->length.given)
        return cli_fail_usage(c->args, "cannot make an %s: it wants --typecode and --length",
                              c->type->word);
    return EXIT_DONE;
}

static int fail_open(const struct container *c, reeve_err err)
{
    if (err == REEVE_EINVAL && c->type->sized && c->args->typecode == NULL)
        return cli_fail(EXIT_CHANGE, "cannot make %s %s: it wants --typecode and --length",
                        c->type->word, c->args->words[0]);
    return cli_fail_call(err);
}

int container_run(const struct cli_args *args, const struct container_type *type)
{
    struct container c = {.type = type, .args = args};
    int code = check(&c);
    reeve_err err = REEVE_OK;

    if (code == EXIT_DONE && !read_place(&c))
        code = EXIT_USAGE;
    if (code == EXIT_DONE)
        code = cli_open(&c.ctx, args);
    if (code != EXIT_DONE) {
        reeve_builder_free(&c.place);
        return code;
    }
    c.key = reeve_builder_new();
    c.value = reeve_builder_new();
    c.other = reeve_builder_new();
    err = open_it(&c);
    if (err != REEVE_OK)
        code = fail_open(&c, err);
    else
        code = args->follow ? run_follow(&c) : run_once(&c);
    type->close(&c);
    reeve_builder_free(&c.key);
    reeve_builder_free(&c.value);
    reeve_builder_free(&c.other);
    reeve_builder_free(&c.place);
    return cli_close(&c.ctx, code);
}
