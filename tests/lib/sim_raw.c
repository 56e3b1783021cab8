#include "tests/lib/sim_raw.h"

uint64_t raw_open(struct sim *s, int client, const struct rv_object_open_args *open)
{
    struct rv_object_open_args args = *open;
    struct rv_object_open_result opened = {0};
    struct rv_buf bytes = {0};
    struct rv_buf result = {0};

    if (args.create == 0)
        args.create = 1;
    rv_object_open_args_encode(&bytes, &args);
    CHECK(sim_ask(s, client, RV_OP_object_open, 0, &bytes, &result) == REEVE_OK);
    CHECK(rv_object_open_result_decode(&opened, rv_buf_slice(&result)));
    rv_buf_free(&result);
    return opened.object;
}

struct rv_request *raw_begin(struct sim *s, int client, uint16_t op, uint64_t object,
                             uint32_t timeout_ms, struct rv_buf *args)
{
    struct sim_client *c = &s->clients[client];
    struct rv_request *call =
        rv_link_call(&c->link, op, object, timeout_ms, rv_buf_slice(args), NULL, 0);

    CHECK(call != NULL);
    rv_buf_free(args);
    sim_client_pump(s, c);
    return call;
}

reeve_err raw_end(struct sim *s, int client, struct rv_request *call)
{
    reeve_err err = REEVE_OK;

    while (!call->done)
        CHECK(sim_step(s));
    err = call->error;
    rv_request_free(&s->clients[client].link, call);
    return err;
}

void raw_say(struct sim *s, int client, uint16_t op, uint64_t object, struct rv_buf *args)
{
    struct rv_buf none = {0};

    CHECK(rv_link_say(&s->clients[client].link, op, object, rv_buf_slice(args)));
    rv_buf_free(args);
    CHECK(sim_ask(s, client, RV_OP_ping, 0, &none, NULL) == REEVE_OK);
}

uint64_t raw_refused(struct sim *s)
{
    struct rv_buf none = {0};
    struct rv_buf result = {0};
    struct rv_status_result status = {0};

    CHECK(sim_ask(s, 1, RV_OP_status, 0, &none, &result) == REEVE_OK);
    CHECK(rv_status_result_decode(&status, rv_buf_slice(&result)));
    rv_buf_free(&result);
    return status.refused;
}

void raw_leave(struct rv_request *call)
{
    call->abandoned = true;
}

static struct rv_buf *next_list(void)
{
    static struct rv_buf lists[4];
    static unsigned turn;
    struct rv_buf *list = &lists[turn++ % rv_countof(lists)];

    rv_buf_clear(list);
    return list;
}

struct rv_items raw_slices(const struct rv_slice *items, uint32_t count)
{
    struct rv_buf *list = next_list();

    for (uint32_t i = 0; i < count; i++)
        rv_item_write(list, &(struct rv_item){.len = (uint32_t)items[i].len, .bytes = items[i]});
    return (struct rv_items){count, rv_buf_slice(list)};
}

struct rv_items raw_items(const char *bytes, uint32_t count)
{
    struct rv_slice items[64];

    CHECK(count <= rv_countof(items));
    for (uint32_t i = 0; i < count; i++)
        items[i] = rv_slice(bytes + i, 1);
    return raw_slices(items, count);
}

void raw_restart(struct sim *s)
{
    sim_run(s, 10);
    sim_server_power(s);
    sim_server_restart(s);
    sim_run(s, 20000);
    sim_mark(s);
}
