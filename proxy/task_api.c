/* task_api.c -- registered functions, what a task may ask, and the first line of main(). */

#include "proxy/context.h"
#include "proxy/runner.h"
#include "proxy/task_state.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* Constructors fill it, before there is a second thread; a module that is loaded later has its
 * own turn in dlopen(), which takes one at a time. */
static reeve_registered *registered;

/* What an initializer said, which has no task. */
static struct reeve_task nobody;

void reeve_register(reeve_registered *entry)
{
    entry->next = registered;
    registered = entry;
}

static bool named(const char *name, struct rv_slice wanted)
{
    return strlen(name) == wanted.len && memcmp(name, wanted.data, wanted.len) == 0;
}

const reeve_fn *rv_task_function(struct rv_slice name)
{
    for (const reeve_registered *e = registered; e != NULL; e = e->next)
        if (e->fn != NULL && named(e->fn->name, name))
            return e->fn;
    return NULL;
}

const reeve_init *rv_task_initializer(struct rv_slice name)
{
    for (const reeve_registered *e = registered; e != NULL; e = e->next)
        if (e->init != NULL && named(e->init->name, name))
            return e->init;
    return NULL;
}

const char *rv_task_twice(void)
{
    for (const reeve_registered *e = registered; e != NULL; e = e->next)
        for (const reeve_registered *other = e->next; other != NULL; other = other->next)
            if (e->fn != NULL && other->fn != NULL && strcmp(e->fn->name, other->fn->name) == 0)
                return e->fn->name;
    return NULL;
}

/* ---- tasks ---- */

static reeve_err fail(reeve_task *task, int64_t code, const char *format, va_list args)
{
    int len = 0;

    if (task == NULL)
        task = &nobody;
    len = vsnprintf(task->text, sizeof task->text, format, args);
    if (len >= (int)sizeof task->text)
        len = (int)sizeof task->text - 1;
    task->text_len = len < 0 ? 0 : rv_task_text(task->text, (size_t)len);
    task->code = code;
    return REEVE_EITEM;
}

reeve_err reeve_task_fail(reeve_task *task, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    (void)fail(task, 0, format, args);
    va_end(args);
    return REEVE_EITEM;
}

reeve_err reeve_task_fail_code(reeve_task *task, int64_t code, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    (void)fail(task, code, format, args);
    va_end(args);
    return REEVE_EITEM;
}

struct rv_slice rv_task_words(void)
{
    return rv_slice(nobody.text, nobody.text_len);
}

uint64_t reeve_task_index(const reeve_task *task)
{
    return task->index;
}

uint32_t reeve_task_run(const reeve_task *task)
{
    return task->run;
}

const char *reeve_task_agent(const reeve_task *task)
{
    const char *name = getenv(RV_ENV_AGENT);

    (void)task;
    return name == NULL ? "" : name;
}

const char *reeve_task_host(const reeve_task *task)
{
    static char name[256];

    (void)task;
    if (name[0] == '\0' && gethostname(name, sizeof name - 1) != 0)
        snprintf(name, sizeof name, "unknown");
    return name;
}

/* ---- the first line of main ---- */

void reeve_main(int *argc, char ***argv)
{
    static atomic_flag begun = ATOMIC_FLAG_INIT;
    int fd = rv_zygote_fd();

    (void)argc;
    (void)argv;
    if (!atomic_flag_test_and_set(&begun))
        (void)atexit(rv_flush_all);
    if (fd >= 0)
        rv_zygote_run(fd);
}
