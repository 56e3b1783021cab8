/* dead_api.c -- dead letters: looking at them, and sending them back. */

#include "common/value/value.h"
#include "proxy/context.h"

#include <reeve/queue.h>

static reeve_err malformed(void)
{
    return rv_fail(REEVE_EPROTO, "cannot read the manager's answer: malformed");
}

static void put_text(reeve_builder *b, const char *key, struct rv_slice text)
{
    (void)reeve_put_str(b, key);
    if (rv_utf8_valid(text))
        (void)reeve_put_strn(b, (const char *)text.data, text.len);
    else
        (void)reeve_put_bytes(b, text.data, text.len);
}

static void put_number(reeve_builder *b, const char *key, uint64_t x)
{
    (void)reeve_put_str(b, key);
    (void)reeve_put_uint(b, x);
}

static void put_past(reeve_builder *b, const struct rv_past_row *row)
{
    static const char *const hows[] = {[RV_LEFT_CLOSED] = "closed",
                                       [RV_LEFT_GOODBYE] = "goodbye",
                                       [RV_LEFT_LOST] = "lost",
                                       [RV_LEFT_EXPIRED] = "expired",
                                       [RV_LEFT_REVOKED] = "revoked"};

    (void)reeve_put_map(b, 6);
    put_text(b, "key", row->principal);
    put_text(b, "host", row->host_name);
    put_text(b, "program", row->program);
    put_number(b, "pid", row->pid);
    put_number(b, "age_ms", row->age_ms);
    put_text(b, "how", rv_slice_str(row->how < rv_countof(hows) ? hows[row->how] : "?"));
}

/* All of them that are well-formed: how many there are must be said first. */
static void put_pasts(reeve_builder *b, struct rv_slice rows)
{
    struct rv_reader r = rv_reader(rows);
    struct rv_slice bytes;
    struct rv_past_row row;
    size_t count = 0;

    while (rv_row_next(&r, &bytes))
        count += rv_past_row_decode(&row, bytes);
    (void)reeve_put_array(b, count);
    for (r = rv_reader(rows); rv_row_next(&r, &bytes);)
        if (rv_past_row_decode(&row, bytes))
            put_past(b, &row);
}

/* What any program of ours puts is a value; another's bytes are shown as bytes. */
static void put_item(reeve_builder *b, const struct rv_dead_row *row)
{
    reeve_value *value = NULL;

    (void)reeve_put_str(b, "item");
    if (row->bytes.len < row->len)
        (void)reeve_put_nil(b);
    else if (rv_value_parse(&value, row->bytes) == REEVE_OK)
        (void)reeve_put_value(b, value);
    else
        (void)reeve_put_bytes(b, row->bytes.data, row->bytes.len);
    rv_value_free(&value);
}

static void put_letter(reeve_builder *b, const struct rv_dead_row *row)
{
    (void)reeve_put_map(b, 8);
    put_number(b, "number", row->number);
    put_text(b, "queue", row->queue);
    put_text(b, "origin", row->origin);
    put_number(b, "deliveries", row->deliveries);
    put_number(b, "bytes", row->len);
    put_number(b, "age_ms", row->age_ms);
    put_item(b, row);
    (void)reeve_put_str(b, "past");
    put_pasts(b, row->past);
}

static reeve_err to_value(reeve_value **out, const struct rv_object_list_result *page)
{
    reeve_builder *b = reeve_builder_new();
    struct rv_reader r = rv_reader(page->rows);
    struct rv_slice bytes;
    reeve_err err = REEVE_OK;

    (void)reeve_put_array(b, page->count);
    while (rv_row_next(&r, &bytes)) {
        struct rv_dead_row row;

        if (rv_dead_row_decode(&row, bytes))
            put_letter(b, &row);
    }
    err = rv_builder_bytes(b, &bytes);
    if (err == REEVE_OK)
        err = rv_value_parse(out, bytes);
    reeve_builder_free(&b);
    return err == REEVE_OK ? err : rv_fail(err, "cannot make a value of the manager's answer");
}

reeve_err reeve_dead_list(reeve_value **out, reeve_context *ctx, const char *name, uint64_t after,
                          uint32_t item_bytes, uint32_t timeout_ms)
{
    struct rv_buf args = {0};
    struct rv_buf result = {0};
    struct rv_object_list_result page;
    reeve_err err = REEVE_OK;

    *out = NULL;
    err = rv_enter(ctx, "list the dead letters of", name);
    if (err != REEVE_OK)
        return err;
    rv_dead_list_args_encode(&args,
                             &(struct rv_dead_list_args){rv_slice_str(name), after, item_bytes, 0});
    err = rv_finish(
        ctx, args.bad ? NULL : rv_link_read(&ctx->link, RV_OP_dead_list, 0, rv_buf_slice(&args)),
        timeout_ms, "list the dead letters of", name, &result);
    rv_leave(ctx);
    if (err == REEVE_OK)
        err = rv_object_list_result_decode(&page, rv_buf_slice(&result)) ? to_value(out, &page)
                                                                         : malformed();
    rv_buf_free(&args);
    rv_buf_free(&result);
    return err;
}

/* One call of those that it takes. */
static reeve_err requeue_some(reeve_context *ctx, const char *name, uint64_t number, uint64_t after,
                              uint32_t timeout_ms, struct rv_dead_requeue_result *out)
{
    static const char verb[] = "requeue the dead letters of";
    struct rv_buf args = {0};
    struct rv_buf result = {0};
    reeve_err err = rv_enter(ctx, verb, name);

    *out = (struct rv_dead_requeue_result){0};
    if (err != REEVE_OK)
        return err;
    rv_dead_requeue_args_encode(
        &args, &(struct rv_dead_requeue_args){rv_slice_str(name), number, after, 0});
    err = rv_finish(ctx,
                    args.bad ? NULL
                             : rv_link_call(&ctx->link, RV_OP_dead_requeue, 0, timeout_ms,
                                            rv_buf_slice(&args), NULL, 0),
                    timeout_ms, verb, name, &result);
    rv_leave(ctx);
    if (!rv_dead_requeue_result_decode(out, rv_buf_slice(&result)) && err == REEVE_OK)
        err = malformed();
    rv_buf_free(&args);
    rv_buf_free(&result);
    return err;
}

reeve_err reeve_dead_requeue(reeve_context *ctx, const char *name, uint64_t number, uint64_t *moved,
                             uint32_t timeout_ms)
{
    struct rv_dead_requeue_result some = {0};
    uint64_t sum = 0;
    reeve_err first = REEVE_OK;

    do {
        reeve_err err = requeue_some(ctx, name, number, some.last, timeout_ms, &some);

        sum += some.moved;
        first = first == REEVE_OK ? err : first;
    } while (number == 0 && some.moved + some.left > 0);
    if (moved != NULL)
        *moved = sum;
    return first;
}
