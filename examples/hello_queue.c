/* hello_queue.c -- put one item into a queue, take it out again.
 *
 *     cc hello_queue.c $(pkg-config --cflags --libs reeve) -o hello_queue && ./hello_queue
 */

#include <reeve.h>

#include <stdio.h>

int main(void)
{
    reeve_context *ctx = NULL;
    reeve_queue *jobs = NULL;
    reeve_value *item = NULL;
    const char *text = "";
    size_t len = 0;
    reeve_err err = reeve_open(&ctx, NULL); /* $REEVE_URL, $REEVE_KEY; else your own manager */

    if (err == REEVE_OK)
        err = reeve_queue_open(&jobs, ctx, "hello", NULL);
    if (err == REEVE_OK)
        err = reeve_queue_put_str(jobs, "hello, world", REEVE_FOREVER);
    if (err == REEVE_OK)
        err = reeve_queue_get(&item, jobs, 1000 /* ms */);
    if (err == REEVE_OK && reeve_get_str(item, &text, &len))
        printf("%.*s\n", (int)len, text);
    if (err != REEVE_OK)
        fprintf(stderr, "hello_queue: %s\n", reeve_errmsg());

    reeve_value_free(&item); /* NULL is fine everywhere */
    reeve_queue_close(&jobs);
    reeve_close(&ctx);
    return err != REEVE_OK;
}
