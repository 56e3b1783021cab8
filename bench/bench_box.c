/* P6 and what a container costs by its length, everything on one processor.
 *   --what 0   create a dict without a name and drop it, both calls together
 *   --what 1   calls of containers of --elements values: each should cost the same, however many those are
 *   --what 2   reeve_list_count, which looks at all of them */

#include "bench/harness.h"

#include <stdio.h>
#include <stdlib.h>

enum { CHUNK = 1000 };

static size_t calls;
static int64_t elements;
static int64_t *samples;

static void create_and_drop(void)
{
    reeve_context *ctx = harness_open();

    for (size_t i = 0; i < calls / 10 + calls; i++) {
        const int64_t begin = bench_now();
        reeve_dict *d = NULL;

        harness_check(reeve_dict_open(&d, ctx, NULL, NULL), "open");
        reeve_dict_close(&d);
        if (i >= calls / 10)
            samples[i - calls / 10] = bench_now() - begin;
    }
    bench_latency("", samples, calls);
    harness_check(reeve_close(&ctx), "close");
}

/* ---- by length ---- */

static reeve_dict *dict;
static reeve_list *list;
static reeve_set *set;
static reeve_builder *key, *value;

static void fill(reeve_context *ctx)
{
    reeve_builder *map = reeve_builder_new();
    reeve_builder *array = reeve_builder_new();

    harness_check(reeve_dict_open(&dict, ctx, "dict", NULL), "open");
    harness_check(reeve_list_open(&list, ctx, "list", NULL), "open");
    harness_check(reeve_set_open(&set, ctx, "set", NULL), "open");
    for (int64_t i = 0; i < elements; i += CHUNK) {
        const int64_t len = elements - i < CHUNK ? elements - i : CHUNK;

        reeve_builder_reset(map);
        reeve_builder_reset(array);
        (void)reeve_put_map(map, (size_t)len);
        (void)reeve_put_array(array, (size_t)len);
        for (int64_t k = i; k < i + len; k++) {
            (void)reeve_pack(map, "ii", k, k);
            (void)reeve_put_int(array, k);
        }
        harness_check(reeve_dict_update(dict, map), "update");
        harness_check(reeve_list_extend(list, array), "extend");
        harness_check(reeve_set_update_values(set, REEVE_UNION, array), "update");
    }
    reeve_builder_free(&map);
    reeve_builder_free(&array);
}

static void int_is(reeve_builder *b, int64_t x)
{
    reeve_builder_reset(b);
    harness_check(reeve_put_int(b, x), "build");
}

static void get_key(int64_t i)
{
    reeve_value *v = NULL;

    int_is(key, i);
    harness_check(reeve_dict_get(dict, key, &v), "get");
    reeve_value_free(&v);
}

static void set_key(int64_t i)
{
    int_is(key, i);
    int_is(value, i + 1);
    harness_check(reeve_dict_set(dict, key, value), "set");
}

static void get_index(int64_t i)
{
    reeve_value *v = NULL;

    harness_check(reeve_list_get(list, i, &v), "get");
    reeve_value_free(&v);
}

static void count_value(int64_t i)
{
    uint64_t count = 0;

    int_is(value, i);
    harness_check(reeve_list_count(list, value, &count), "count");
}

static void append_and_pop(int64_t i)
{
    reeve_value *v = NULL;

    int_is(value, i);
    harness_check(reeve_list_append(list, value), "append");
    harness_check(reeve_list_pop(list, -1, &v), "pop");
    reeve_value_free(&v);
}

static void rotate(int64_t i)
{
    reeve_value *v = NULL;

    (void)i;
    harness_check(reeve_list_pop(list, 0, &v), "pop");
    reeve_builder_reset(value);
    harness_check(reeve_put_value(value, v), "build");
    reeve_value_free(&v);
    harness_check(reeve_list_append(list, value), "append");
}

static void add_and_discard(int64_t i)
{
    int_is(value, elements + i);
    harness_check(reeve_set_add(set, value, NULL), "add");
    harness_check(reeve_set_discard(set, value, NULL), "discard");
}

static void measure(const char *name, void (*body)(int64_t i))
{
    char figure[64];

    for (size_t i = 0; i < calls / 10 + calls; i++) {
        const int64_t at = (int64_t)(i * 7919) % elements;
        const int64_t begin = bench_now();

        body(at);
        if (i >= calls / 10)
            samples[i - calls / 10] = bench_now() - begin;
    }
    snprintf(figure, sizeof figure, "%s_", name);
    bench_latency(figure, samples, calls);
}

static void by_length(bool count)
{
    reeve_context *ctx = harness_open();

    key = reeve_builder_new();
    value = reeve_builder_new();
    fill(ctx);
    if (count) {
        measure("list_count", count_value);
    } else {
        measure("dict_get", get_key);
        measure("dict_set", set_key);
        measure("list_get", get_index);
        measure("list_ends", append_and_pop);
        measure("list_rotate", rotate);
        measure("set_add", add_and_discard);
    }
    reeve_builder_free(&key);
    reeve_builder_free(&value);
    reeve_set_close(&set);
    reeve_list_close(&list);
    reeve_dict_close(&dict);
    harness_check(reeve_close(&ctx), "close");
}

static void body(void *arg)
{
    samples = calloc(calls, sizeof *samples);
    bench_pin(0); /* the manager comes from this process */
    harness_start();
    if (*(const long *)arg == 0)
        create_and_drop();
    else
        by_length(*(const long *)arg == 2);
    harness_stop();
    free(samples);
}

int main(int argc, char **argv)
{
    long what = bench_option(argc, argv, "what", 0);

    calls = (size_t)bench_option(argc, argv, "calls", 10000);
    elements = bench_option(argc, argv, "elements", 10);
    if (what < 0 || what > 2 || calls == 0 || elements <= 0)
        bench_die("--what 0, 1 or 2, --calls and --elements 1 or more");
    bench_join(bench_fork(body, &what));
    return 0;
}
