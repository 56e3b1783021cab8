#!/bin/sh
# Functions in a shared library: shipped by its bytes, loaded by the agent's own program.
. tests/e2e/lib.sh

cc=${CC:-cc}
command -v "$cc" >/dev/null || { echo "skipped: no compiler ($cc)"; exit 77; }
[ -x "$BUILD/reeve-worker" ] || { echo "skipped: reeve-worker is not built"; exit 77; }

cat >"$tmp/cubes.c" <<'END'
#include <reeve.h>

static reeve_err cube(reeve_task *task, const reeve_value *in, reeve_builder *out)
{
    int64_t x = 0;

    if (!reeve_get_int(in, &x))
        return reeve_task_fail(task, "cube wants an integer");
    return reeve_put_int(out, x * x * x);
}
REEVE_FUNCTION(cube);
END

# row: M10
cat >"$tmp/sum.c" <<'END'
#include <reeve.h>
#include <stdlib.h>

static reeve_err make(void **self, reeve_task *task, const reeve_value *args)
{
    (void)task;
    (void)args;
    *self = calloc(1, sizeof(int64_t));
    return *self == NULL ? REEVE_ENOMEM : REEVE_OK;
}

static reeve_err add(void *self, reeve_task *task, const reeve_value *args, reeve_builder *out)
{
    int64_t *sum = self;
    int64_t x = 0;

    if (!reeve_get_int(args, &x))
        return reeve_task_fail(task, "add wants an integer");
    *sum += x;
    return reeve_put_int(out, *sum);
}

static const reeve_method methods[] = {{"add", add}, {NULL, NULL}};
static const reeve_class sum = {.construct = make, .destroy = free, .methods = methods};
REEVE_CLASS(sum);
END

cat >"$tmp/use.c" <<'END'
#include <reeve.h>
#include <stdio.h>

int main(int argc, char **argv)
{
    reeve_context *ctx = NULL;
    reeve_pool *pool = NULL;
    reeve_instance *sum = NULL;
    reeve_value *v = NULL;
    reeve_builder *item = reeve_builder_new();
    reeve_pool_options options = {.module = argv[1], .runs_max = 1};
    int64_t x = 0;
    reeve_err err = reeve_open(&ctx, NULL);

    (void)argc;
    (void)reeve_put_int(item, 21);
    if (err == REEVE_OK)
        err = reeve_pool_open(&pool, ctx, &options);
    if (err == REEVE_OK)
        err = reeve_instance_new(&sum, pool, REEVE_NAMED("sum"), NULL, NULL);
    for (int i = 0; i < 2 && err == REEVE_OK; i++) {
        reeve_value_free(&v);
        err = reeve_instance_call(&v, sum, "add", item, 10000);
    }
    if (err == REEVE_OK && reeve_get_int(v, &x))
        printf("%d\n", (int)x);
    else
        printf("%s\n", reeve_errmsg());
    reeve_value_free(&v);
    reeve_builder_free(&item);
    if (reeve_instance_free(&sum) != REEVE_OK)
        printf("%s\n", reeve_errmsg());
    reeve_pool_close(&pool);
    (void)reeve_close(&ctx);
    return err != REEVE_OK;
}
END

cat >"$tmp/map.c" <<'END'
#include <reeve.h>
#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv)
{
    reeve_context *ctx = NULL;
    reeve_pool *pool = NULL;
    reeve_value *cube = NULL;
    reeve_builder *item = reeve_builder_new();
    reeve_pool_options options = {.module = argv[1], .start_timeout_ms = 5000};
    int64_t x = 0;
    reeve_err err = reeve_open(&ctx, NULL);

    (void)argc;
    (void)reeve_put_int(item, 5);
    if (err == REEVE_OK)
        err = reeve_pool_open(&pool, ctx, &options);
    if (err == REEVE_OK)
        err = reeve_pool_apply(&cube, pool, REEVE_NAMED(argv[2]), item, 10000);
    if (err == REEVE_OK && reeve_get_int(cube, &x))
        printf("%d\n", (int)x);
    else
        printf("%s\n", reeve_errmsg());
    reeve_value_free(&cube);
    reeve_builder_free(&item);
    reeve_pool_close(&pool);
    (void)reeve_close(&ctx);
    return err != REEVE_OK;
}
END

check 'the module is built' "$cc" -Iinclude -shared -fPIC -o "$tmp/cubes.so" "$tmp/cubes.c"
check 'the program is built' "$cc" -Iinclude -o "$tmp/map" "$tmp/map.c" -L"$BUILD" -lreeve \
    -Wl,-rpath,"$BUILD"
check 'a module with a class is built' "$cc" -Iinclude -shared -fPIC -o "$tmp/sum.so" "$tmp/sum.c"
check 'who uses it is built' "$cc" -Iinclude -o "$tmp/use" "$tmp/use.c" -L"$BUILD" -lreeve \
    -Wl,-rpath,"$BUILD"
printf 'int broken(void);\nint broken_too(void);\nint broken_too(void) { return broken(); }\n' >"$tmp/broken.c"
check 'a broken module is built' "$cc" -shared -fPIC -o "$tmp/broken.so" "$tmp/broken.c"

background "$BUILD/reeve-server" --bind "ipc://$tmp/run/reeve/reeve.sock"
export REEVE_URL="ipc://$tmp/run/reeve/reeve.sock"
wait_until [ -S "$tmp/run/reeve/reeve.sock" ]
background "$BUILD/reeve-worker" --slots 1 --cache "$tmp/cache"
agent=$started

map() { timeout 30 "$tmp/map" "$@"; }
equal 'its function runs' "$(map "$tmp/cubes.so" cube)" 125
check 'one that it has not is named' sh -c "'$tmp/map' '$tmp/cubes.so' square | grep -q 'no function square'"
check 'what it lacks is named' sh -c "'$tmp/map' '$tmp/broken.so' cube | grep -q 'undefined symbol: broken'"
equal 'its class has an instance' "$(timeout 30 "$tmp/use" "$tmp/sum.so")" 42
stop "$agent"
equal 'the agent ends well' "$code" 0

finish
