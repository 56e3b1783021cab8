#include "tests/shell/fake_agent.h"

#include "proxy/context.h"

#include <stdlib.h>

enum { OPEN_MS = 5000 };

struct fake_agent {
    struct rv_port port; /* first */
    reeve_context *ctx;
};

static void say(const struct fake_agent *agent, uint16_t op, struct rv_buf *args)
{
    rv_assert(rv_link_say(&agent->ctx->link, op, agent->port.object, rv_buf_slice(args)));
    rv_buf_free(args);
}

static void echo(const struct fake_agent *agent, const struct rv_agent_chunk_args *chunk)
{
    struct rv_buf args = {0};

    rv_agent_done_args_encode(&args, &(struct rv_agent_done_args){.chunk = chunk->chunk,
                                                                  .first = chunk->first,
                                                                  .ns = 1000,
                                                                  .items = chunk->items});
    say(agent, RV_OP_agent_done, &args);
}

static void fail(const struct fake_agent *agent, const struct rv_agent_chunk_args *chunk)
{
    for (uint32_t i = 0; i < chunk->items.count; i++) {
        struct rv_buf args = {0};

        rv_agent_item_args_encode(&args,
                                  &(struct rv_agent_item_args){.chunk = chunk->chunk,
                                                               .index = chunk->first + i,
                                                               .status = RV_RAN_FAILED,
                                                               .pid = 1,
                                                               .text = rv_slice_str("it fails")});
        say(agent, RV_OP_agent_item, &args);
    }
}

static void on_push(struct rv_port *port, rv_ns now, const struct rv_push *push,
                    const struct rv_slice *bodies, size_t bodies_len, size_t *frames)
{
    const struct fake_agent *agent = (const struct fake_agent *)port;
    struct rv_agent_chunk_args chunk;

    (void)now;
    (void)bodies;
    (void)bodies_len;
    (void)frames;
    if (push->op != RV_OP_agent_chunk || !rv_agent_chunk_args_decode(&chunk, push->args))
        return;
    if (rv_slice_equal(chunk.function, rv_slice_str("echo")))
        echo(agent, &chunk);
    else if (rv_slice_equal(chunk.function, rv_slice_str("fail")))
        fail(agent, &chunk);
}

static void on_tick(struct rv_port *port, rv_ns now)
{
    (void)port;
    (void)now;
}

static void on_dead(struct rv_port *port)
{
    (void)port;
}

static const struct rv_port_ops ops = {.push = on_push, .tick = on_tick, .dead = on_dead};

struct fake_agent *fake_agent_start(reeve_context *ctx, unsigned slots)
{
    struct fake_agent *agent = rv_alloc(sizeof *agent);
    struct rv_agent_open_result opened;
    struct rv_buf args = {0};
    struct rv_buf result = {0};

    rv_agent_open_args_encode(
        &args, &(struct rv_agent_open_args){
                   .name = rv_slice_str("fake"), .host = {{1}}, .incarnation = 1, .slots = slots});
    rv_assert(rv_enter(ctx, "open", "an agent") == REEVE_OK);
    rv_assert(rv_finish(ctx,
                        rv_link_call(&ctx->link, RV_OP_agent_open, 0, OPEN_MS, rv_buf_slice(&args),
                                     NULL, 0),
                        OPEN_MS, "open", "an agent", &result) == REEVE_OK);
    rv_assert(rv_agent_open_result_decode(&opened, rv_buf_slice(&result)));
    *agent = (struct fake_agent){.port = {.object = opened.agent, .ops = &ops, .tick_at = RV_NEVER},
                                 .ctx = ctx};
    rv_assert(rv_link_add_port(&ctx->link, &agent->port));
    rv_leave(ctx);
    rv_buf_free(&args);
    rv_buf_free(&result);
    return agent;
}

void fake_agent_stop(struct fake_agent **out)
{
    struct fake_agent *agent = *out;

    *out = NULL;
    rv_assert(rv_enter(agent->ctx, "close", "an agent") == REEVE_OK);
    rv_link_drop_port(&agent->ctx->link, &agent->port);
    rv_leave(agent->ctx);
    free(agent);
}
