#include "tests/lib/sim_hand.h"

#include "tests/lib/check.h"

/* ---- saying anything ---- */

reeve_err hand_ask(struct sim *s, int client, uint16_t op, uint64_t object, struct rv_buf *args)
{
    return sim_ask(s, client, op, object, args, NULL);
}

void hand_say(struct sim *s, int client, uint16_t op, uint64_t object, struct rv_buf *args)
{
    struct rv_buf none = {0};

    CHECK(rv_link_say(&s->clients[client].link, op, object, rv_buf_slice(args)));
    rv_buf_free(args);
    CHECK(hand_ask(s, client, RV_OP_ping, 0, &none) == REEVE_OK);
}

/* ---- an agent ---- */

static void hear(struct rv_port *port, rv_ns now, const struct rv_push *push,
                 const struct rv_slice *bodies, size_t bodies_len, size_t *frames)
{
    struct sim_hand *h = (struct sim_hand *)port;
    struct rv_agent_chunk_args args;
    struct rv_reader r;

    (void)now;
    if (push->op != RV_OP_agent_chunk)
        return;
    CHECK(rv_agent_chunk_args_decode(&args, push->args) && h->len < HAND_HEARD);
    h->heard[h->len].chunk = args.chunk;
    h->heard[h->len].job = args.job;
    h->heard[h->len].first = args.first;
    h->heard[h->len++].count = args.items.count;
    r = rv_reader(args.items.bytes);
    rv_items_skip(h->link, &r, args.items.count, bodies, bodies_len, frames);
}

static void nothing(struct rv_port *port)
{
    (void)port;
}

static void no_tick(struct rv_port *port, rv_ns now)
{
    (void)port;
    (void)now;
}

static const struct rv_port_ops hand_ops = {.push = hear, .tick = no_tick, .dead = nothing};

reeve_err hand_open(struct sim *s, int client, const char *name, uint32_t slots, uint64_t *agent)
{
    struct rv_buf args = {0};
    struct rv_buf result = {0};
    struct rv_agent_open_result opened = {0};
    reeve_err err = REEVE_OK;

    rv_agent_open_args_encode(
        &args, &(struct rv_agent_open_args){
                   .name = rv_slice_str(name), .host = {{9}}, .incarnation = 1, .slots = slots});
    err = sim_ask(s, client, RV_OP_agent_open, 0, &args, &result);
    CHECK(err != REEVE_OK || rv_agent_open_result_decode(&opened, rv_buf_slice(&result)));
    rv_buf_free(&result);
    *agent = opened.agent;
    return err;
}

void hand_lend(struct sim *s, struct sim_hand *h, int client, uint32_t slots)
{
    uint64_t agent = 0;

    CHECK(hand_open(s, client, "hand", slots, &agent) == REEVE_OK);
    *h = (struct sim_hand){.port = {.object = agent, .ops = &hand_ops, .tick_at = RV_NEVER},
                           .link = &s->clients[client].link,
                           .client = client};
    CHECK(rv_link_add_port(h->link, &h->port));
}

void hand_take_back(struct sim_hand *h)
{
    rv_link_drop_port(h->link, &h->port);
}

void hand_done(struct sim *s, const struct sim_hand *h, uint64_t chunk, uint64_t first,
               uint32_t count)
{
    struct rv_buf items = {0};
    struct rv_buf args = {0};

    for (uint32_t i = 0; i < count; i++)
        rv_item_write(&items, &(struct rv_item){.len = 1, .bytes = rv_slice("\x01", 1)});
    rv_agent_done_args_encode(
        &args,
        &(struct rv_agent_done_args){
            .chunk = chunk, .first = first, .ns = 1, .items = {count, rv_buf_slice(&items)}});
    hand_say(s, h->client, RV_OP_agent_done, h->port.object, &args);
    rv_buf_free(&items);
}

void hand_item(struct sim *s, const struct sim_hand *h, const struct rv_agent_item_args *it)
{
    struct rv_buf args = {0};

    rv_agent_item_args_encode(&args, it);
    hand_say(s, h->client, RV_OP_agent_item, h->port.object, &args);
}

void hand_back(struct sim *s, const struct sim_hand *h, uint64_t chunk, uint64_t from)
{
    struct rv_buf args = {0};

    rv_agent_back_args_encode(&args, &(struct rv_agent_back_args){chunk, from, 0});
    hand_say(s, h->client, RV_OP_agent_back, h->port.object, &args);
}
