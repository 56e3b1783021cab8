/* sim_job.c -- who maps: puts items, counts what comes back. Each index must come exactly once. */

#include "tests/lib/sim.h"

#include <stdio.h>
#include <stdlib.h>

enum { PUT_ITEMS = 100, PUTS = 4 };

struct sim_job {
    struct rv_port port; /* first */
    struct sim_client *client;
    struct sim_map map;
    bool opened, ended, told, cancelled, removing, removed;
    char name[32];
    uint64_t put, done, failed;
    uint64_t bytes, taken;
    uint32_t puts;
    uint8_t *came; /* of each index: how often */
    reeve_err error;
    char text[300];
};

static struct sim_job *job_of(struct rv_port *port)
{
    return (struct sim_job *)port;
}

static void came(struct sim *s, struct sim_job *job, uint64_t index, bool ok, uint64_t value)
{
    if (index >= job->map.items)
        sim_broken(s, "client %d: a result of item %llu, which was never put", job->client->number,
                   (unsigned long long)index);
    if (job->came[index]++ > 0)
        sim_broken(s, "client %d: item %llu was answered twice", job->client->number,
                   (unsigned long long)index);
    if (ok && value != index)
        sim_broken(s, "client %d: item %llu has the value of item %llu", job->client->number,
                   (unsigned long long)index, (unsigned long long)value);
    job->done++;
    job->failed += !ok;
}

static void on_values(struct sim *s, struct sim_job *job, const struct rv_job_results_args *args)
{
    struct rv_reader r = rv_reader(args->items.bytes);

    for (uint32_t i = 0; i < args->items.count; i++) {
        struct rv_item item;

        rv_item_read(&r, &item);
        came(s, job, args->first + i, true, rv_get_number(item.bytes.data, 8));
    }
    job->bytes += 64 + args->items.bytes.len;
}

static void count(struct sim *s, const struct sim_job *job, uint64_t total)
{
    if (total != job->map.items)
        sim_broken(s, "client %d: the job has %llu items instead of %llu", job->client->number,
                   (unsigned long long)total, (unsigned long long)job->map.items);
}

static void on_push(struct rv_port *port, rv_ns now, const struct rv_push *push,
                    const struct rv_slice *bodies, size_t bodies_len, size_t *frames)
{
    struct sim_job *job = job_of(port);
    struct sim *s = job->client->sim;
    struct rv_job_results_args values;
    struct rv_job_result_args one;
    struct rv_job_ended_args end;
    struct rv_job_total_args total;

    (void)now;
    (void)bodies;
    (void)bodies_len;
    (void)frames;
    if (push->op == RV_OP_job_results && rv_job_results_args_decode(&values, push->args)) {
        on_values(s, job, &values);
    } else if (push->op == RV_OP_job_result && rv_job_result_args_decode(&one, push->args)) {
        came(s, job, one.index, one.status == RV_RAN_OK, one.status == RV_RAN_OK ? one.index : 0);
        if (!s->random)
            sim_say(s, "item.result client=%d item=%llu status=%u runs=%u text=\"%.*s\"",
                    job->client->number, (unsigned long long)one.index, one.status, one.runs,
                    (int)one.text.len, one.text.len == 0 ? "" : (const char *)one.text.data);
        if (!s->random && one.item.len == 8)
            sim_say(s, "item.given client=%d item=%llu is=%llu", job->client->number,
                    (unsigned long long)one.index,
                    (unsigned long long)rv_get_number(one.item.data, 8));
    } else if (push->op == RV_OP_job_ended && rv_job_ended_args_decode(&end, push->args)) {
        job->ended = true;
        job->error = (reeve_err)end.error;
        snprintf(job->text, sizeof job->text, "%.*s", (int)end.text.len,
                 end.text.len == 0 ? "" : (const char *)end.text.data);
    } else if (push->op == RV_OP_job_total && rv_job_total_args_decode(&total, push->args)) {
        count(s, job, total.total);
        if (!s->random)
            sim_say(s, "item.total client=%d items=%llu", job->client->number,
                    (unsigned long long)total.total);
    } else {
        sim_broken(s, "client %d: an unknown push", job->client->number);
    }
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

static const struct rv_port_ops port_ops = {.push = on_push, .tick = on_tick, .dead = on_dead};

static void opened(struct rv_link *link, struct rv_request *call, rv_ns now,
                   const struct rv_outcome *outcome)
{
    struct sim_job *job = call->arg;
    struct rv_job_open_result result;

    (void)now;
    if (outcome->error != REEVE_OK) {
        job->ended = true;
        job->error = outcome->error;
        return;
    }
    rv_assert(rv_job_open_result_decode(&result, outcome->result));
    job->port.object = result.job;
    job->opened = true;
    job->put = job->map.attach ? job->map.items : result.put;
    if (job->map.attach && result.total != UINT64_MAX)
        count(job->client->sim, job, result.total);
    rv_assert(rv_link_add_port(link, &job->port));
}

static void put_done(struct rv_link *link, struct rv_request *call, rv_ns now,
                     const struct rv_outcome *outcome)
{
    struct sim_job *job = call->arg;

    (void)link;
    (void)now;
    job->puts--;
    if (outcome->error == REEVE_ENOSPC && !job->ended) {
        job->ended = true;
        job->error = outcome->error;
    }
    if (outcome->error != REEVE_OK && !job->ended && outcome->error != REEVE_ECANCELED &&
        outcome->error != REEVE_ENOAGENT && job->client->link.state != RV_LINK_DEAD)
        sim_broken(job->client->sim, "client %d: a put of items was refused: %s",
                   job->client->number, sim_error_name(outcome->error));
}

static void put_some(struct sim_job *job)
{
    struct rv_link *link = &job->client->link;
    struct rv_buf items = {0};
    struct rv_buf args = {0};
    struct rv_request *call = NULL;
    uint32_t count = 0;

    for (; job->put + count < job->map.items && count < PUT_ITEMS; count++) {
        const struct rv_channel *named = &job->client->queues[job->map.refers].channel;
        uint8_t bytes[8];
        uint8_t ref[8];

        rv_set_number(bytes, job->put + count, 8);
        rv_set_number(ref, named->port.object, 8);
        rv_item_write(&items,
                      &(struct rv_item){.len = 8,
                                        .bytes = rv_slice(bytes, 8),
                                        .refs = rv_slice(ref, job->map.refers > 0 ? 8 : 0)});
    }
    rv_job_put_args_encode(&args,
                           &(struct rv_job_put_args){.first = job->put,
                                                     .chunk = job->map.put_chunk,
                                                     .items = {count, rv_buf_slice(&items)}});
    call = rv_link_call(link, RV_OP_job_put, job->port.object, UINT32_MAX, rv_buf_slice(&args),
                        NULL, 0);
    if (call != NULL) {
        call->hook = put_done;
        call->arg = job;
        call->abandoned = true;
        job->put += count;
        job->puts++;
    }
    rv_buf_free(&items);
    rv_buf_free(&args);
}

static void say_end(struct sim_job *job)
{
    struct rv_buf args = {0};

    rv_job_end_args_encode(&args, &(struct rv_job_end_args){job->put, 0});
    (void)rv_link_say(&job->client->link, RV_OP_job_end, job->port.object, rv_buf_slice(&args));
    rv_buf_free(&args);
}

static void take(struct sim_job *job)
{
    struct rv_buf args = {0};

    rv_job_take_args_encode(&args, &(struct rv_job_take_args){job->bytes, 0});
    (void)rv_link_say(&job->client->link, RV_OP_job_take, job->port.object, rv_buf_slice(&args));
    rv_buf_free(&args);
    job->taken = job->bytes;
}

static void leave(struct sim *s, struct sim_client *c)
{
    sim_say(s, "map.left client=%d items=%llu", c->number, (unsigned long long)c->job->put);
    (void)rv_link_say(&c->link, RV_OP_object_close, c->job->port.object, rv_slice(NULL, 0));
    sim_job_end(s, c);
}

static void was_removed(struct rv_link *link, struct rv_request *call, rv_ns now,
                        const struct rv_outcome *outcome)
{
    struct sim_job *job = call->arg;

    (void)link;
    (void)now;
    job->removed = outcome->error == REEVE_OK || outcome->error == REEVE_ENOENT;
}

static void remove_name(struct sim_job *job)
{
    struct rv_buf args = {0};
    struct rv_request *call = NULL;

    rv_object_remove_args_encode(&args,
                                 &(struct rv_object_remove_args){rv_slice_str(job->name), 0});
    call = rv_link_call(&job->client->link, RV_OP_object_remove, 0, UINT32_MAX, rv_buf_slice(&args),
                        NULL, 0);
    rv_buf_free(&args);
    if (call == NULL)
        return;
    call->hook = was_removed;
    call->arg = job;
    call->abandoned = true;
    job->removing = true;
}

static void over(struct sim *s, struct sim_client *c)
{
    struct sim_job *job = c->job;

    if (job->ended)
        sim_say(s, "map.fail client=%d error=%s done=%llu text=\"%s\"", c->number,
                sim_error_name(job->error), (unsigned long long)job->done, job->text);
    else
        sim_say(s, "map.done client=%d items=%llu failed=%llu", c->number,
                (unsigned long long)job->done, (unsigned long long)job->failed);
    s->maps++;
    s->mapped += job->done;
    s->removed += job->map.remove;
    if (job->opened)
        (void)rv_link_say(&c->link, RV_OP_object_close, job->port.object, rv_slice(NULL, 0));
    sim_job_end(s, c);
}

void sim_job_progress(struct sim *s, struct sim_client *c)
{
    struct sim_job *job = c->job;

    if (c->link.state == RV_LINK_DEAD)
        return;
    while (job->opened && !job->ended && job->put < job->map.items && job->puts < PUTS)
        put_some(job);
    if (job->opened && !job->ended && job->map.stream && !job->map.attach &&
        job->put == job->map.items && !job->told) {
        job->told = true;
        say_end(job);
    }
    if (job->bytes - job->taken > 2000)
        take(job);
    if (job->map.leave && job->opened && !job->ended && job->put == job->map.items &&
        job->puts == 0)
        leave(s, c);
    else if (!job->ended && !(job->opened && job->done == job->map.items))
        return;
    else if (!job->map.remove || job->removed)
        over(s, c);
    else if (!job->removing)
        remove_name(job);
}

void sim_job_begin(struct sim *s, struct sim_client *c, const struct sim_map *map)
{
    struct sim_job *job = rv_alloc(sizeof *job);
    struct rv_buf args = {0};
    struct rv_request *call = NULL;

    rv_assert(c->job == NULL);
    job->port = (struct rv_port){.ops = &port_ops, .tick_at = RV_NEVER};
    job->client = c;
    job->map = *map;
    snprintf(job->name, sizeof job->name, "%s", map->name == NULL ? "" : map->name);
    job->came = rv_alloc((size_t)map->items + 1);
    c->job = job;
    rv_job_open_args_encode(&args, &(struct rv_job_open_args){
                                       .name = rv_slice_str(map->name),
                                       .create = map->attach ? 0 : 1,
                                       .kind = RV_CODE_COMMAND,
                                       .function = rv_slice_str("f"),
                                       .labels = rv_slice_str(map->labels),
                                       .total = map->stream ? UINT64_MAX : map->items,
                                       .chunk = map->chunk,
                                       .retries = map->retries,
                                       .runs_max = map->runs_max,
                                       .timeout_ms = map->timeout_ms,
                                       .processes = map->processes,
                                       .durable = (uint8_t)map->durable,
                                   });
    call = rv_link_call(&c->link, RV_OP_job_open, 0, UINT32_MAX, rv_buf_slice(&args), NULL, 0);
    rv_buf_free(&args);
    rv_assert(call != NULL);
    call->hook = opened;
    call->arg = job;
    call->abandoned = true;
    if (c->alive && !c->stopped)
        sim_at(s, &c->wake, s->now);
}

/* The job goes; calls that still wait must not find it. */
void sim_job_end(struct sim *s, struct sim_client *c)
{
    struct sim_job *job = c->job;
    struct rv_request *call = NULL;
    struct rv_request *next = NULL;

    (void)s;
    if (job == NULL)
        return;
    HASH_ITER (hh, c->link.calls, call, next) {
        if (call->arg == job) {
            call->hook = NULL;
            call->arg = NULL;
        }
    }
    if (job->opened)
        rv_link_drop_port(&c->link, &job->port);
    free(job->came);
    free(job);
    c->job = NULL;
}

void sim_map(struct sim *s, int client, const struct sim_map *map)
{
    sim_job_begin(s, &s->clients[client], map);
}

static void cancel(struct sim *s, int client, uint64_t job, const char *name)
{
    struct sim_client *c = &s->clients[client];
    struct rv_buf args = {0};
    struct rv_request *call = NULL;

    rv_job_cancel_args_encode(&args, &(struct rv_job_cancel_args){.job = job,
                                                                  .name = rv_slice_str(name),
                                                                  .why = rv_slice_str("enough")});
    call = rv_link_call(&c->link, RV_OP_job_cancel, 0, 1000, rv_buf_slice(&args), NULL, 0);
    rv_assert(call != NULL);
    call->abandoned = true;
    rv_buf_free(&args);
    sim_at(s, &c->wake, s->now);
}

void sim_cancel(struct sim *s, int client)
{
    cancel(s, client, s->clients[client].job->port.object, NULL);
}

void sim_cancel_named(struct sim *s, int client, const char *name)
{
    cancel(s, client, 0, name);
}
