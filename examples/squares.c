/* squares.c -- the smallest pool: a function over a thousand items, on whatever hosts there are.
 *
 *     ./squares                                     on this host; nothing else needs to run
 *     REEVE_URL=tcp://manager:7300 ./squares        on all hosts that serve that manager
 */

#include <inttypes.h>
#include <reeve.h>
#include <stdio.h>

/* One item in, one result out. Runs in a process of its own, on any host. */
static reeve_err square(reeve_task *task, const reeve_value *in, reeve_builder *out)
{
    int64_t x = 0;

    if (!reeve_get_int(in, &x))
        return reeve_task_fail(task, "square wants an integer");
    return reeve_put_int(out, x * x);
}
REEVE_FUNCTION(square); /* by this name it is found there */

static void show(reeve_results *results)
{
    int64_t sum = 0;
    int64_t x = 0;

    for (size_t i = 0; i < reeve_results_len(results); i++)
        if (reeve_get_int(reeve_results_value(results, i), &x))
            sum += x;
    printf("the sum of %zu squares is %" PRId64 "\n", reeve_results_len(results), sum);
}

int main(int argc, char **argv)
{
    reeve_main(&argc, &argv); /* first line: where items run, it never returns */

    reeve_context *ctx = NULL;
    reeve_pool *pool = NULL;
    reeve_results *results = NULL;
    reeve_items *items = reeve_items_new(); /* an error in adding sticks until the map */
    reeve_err err = reeve_open(&ctx, NULL);

    for (int64_t i = 0; i < 1000; i++)
        reeve_items_add_int(items, i);
    if (err == REEVE_OK)
        err = reeve_pool_open(&pool, ctx, NULL);
    if (err == REEVE_OK) /* EITEM: some items failed, and results has the others */
        err = reeve_pool_map(&results, pool, REEVE_FN(square), items, NULL);
    if (err == REEVE_OK)
        show(results);
    else
        fprintf(stderr, "squares: %s\n", reeve_errmsg());

    reeve_results_free(&results);
    reeve_pool_close(&pool);
    reeve_items_free(&items);
    reeve_close(&ctx);
    return err != REEVE_OK;
}
