/* sim_net.c -- connections: two ordered pipes of frames each, and what may happen to them. */

#include "tests/lib/sim.h"

#include <stdlib.h>

enum {
    PIPE_BYTES = 1 << 20, /* a connection that holds more takes no frame; not in stories */
    SLOW_FRAMES = 4,      /* of a slow reader: so many frames */
};

/* ---- frames ---- */

void sim_frames_add(struct sim_frames *f, struct sim_frame *frame)
{
    frame->next = NULL;
    if (f->tail != NULL)
        f->tail->next = frame;
    else
        f->head = frame;
    f->tail = frame;
    f->len++;
    f->bytes += frame->bytes;
}

struct sim_frame *sim_frames_take(struct sim_frames *f)
{
    struct sim_frame *frame = f->head;

    if (frame == NULL)
        return NULL;
    f->head = frame->next;
    if (f->head == NULL)
        f->tail = NULL;
    f->len--;
    f->bytes -= frame->bytes;
    return frame;
}

void sim_frames_free(struct sim_frames *f)
{
    struct sim_frame *frame = NULL;

    while ((frame = sim_frames_take(f)) != NULL)
        free(frame);
}

/* By arrival; behind those of the same instant. */
static void insert(struct sim_frames *f, struct sim_frame *frame)
{
    struct sim_frame **at = &f->head;

    if (f->tail == NULL || f->tail->at <= frame->at) {
        sim_frames_add(f, frame);
        return;
    }
    while ((*at)->at <= frame->at)
        at = &(*at)->next;
    frame->next = *at;
    *at = frame;
    f->len++;
    f->bytes += frame->bytes;
}

static struct sim_frame *copy(struct rv_slice control, const struct rv_slice *bodies,
                              size_t bodies_len)
{
    struct sim_frame *frame = NULL;
    size_t bytes = control.len;
    uint8_t *at = NULL;

    for (size_t i = 0; i < bodies_len; i++)
        bytes += bodies[i].len;
    frame = malloc(sizeof *frame + bytes);
    rv_assert(frame != NULL);
    *frame = (struct sim_frame){.bytes = bytes, .bodies_len = bodies_len};
    at = frame->data;
    if (control.len > 0)
        memcpy(at, control.data, control.len);
    frame->control = rv_slice(at, control.len);
    at += control.len;
    for (size_t i = 0; i < bodies_len; i++) {
        memcpy(at, bodies[i].data, bodies[i].len);
        frame->bodies[i] = rv_slice(at, bodies[i].len);
        at += bodies[i].len;
    }
    return frame;
}

/* ---- connections ---- */

struct sim_conn *sim_conn_of(struct sim *s, uint64_t peer)
{
    struct sim_conn *conn = NULL;

    DL_FOREACH (s->conns, conn) {
        if (conn->peer == peer)
            return conn;
    }
    return NULL;
}

static void free_conn(struct sim *s, struct sim_conn *conn)
{
    sim_never(s, &conn->up.event);
    sim_never(s, &conn->down.event);
    sim_never(s, &conn->setup);
    sim_frames_free(&conn->up.frames);
    sim_frames_free(&conn->down.frames);
    DL_DELETE(s->conns, conn);
    free(conn);
}

void sim_net_free(struct sim *s)
{
    while (s->conns != NULL)
        free_conn(s, s->conns);
}

static struct sim_weather *weather_of(struct sim *s, const struct sim_conn *conn)
{
    return &s->clients[conn->number].weather;
}

static bool partitioned(struct sim *s, const struct sim_conn *conn)
{
    return weather_of(s, conn)->partition_until > s->now;
}

static bool lost(struct sim *s, const struct sim_pipe *pipe)
{
    return partitioned(s, pipe->conn) || pipe->mute_until > s->now ||
           (!pipe->to_server && pipe->conn->host_lost);
}

/* Both sides have closed it, and nothing is under way. */
static void maybe_free(struct sim *s, struct sim_conn *conn)
{
    if (conn->client_open || conn->server_open || conn->up.frames.len > 0 ||
        conn->down.frames.len > 0 || conn->setup.timer.pos != 0)
        return;
    for (const struct sim_frame *f = s->server.inbox.head; f != NULL; f = f->next)
        if (f->conn == conn)
            return;
    for (const struct sim_frame *f = s->server.ends.head; f != NULL; f = f->next)
        if (f->conn == conn)
            return;
    if (conn->client != NULL && conn->client->conn == conn)
        return;
    free_conn(s, conn);
}

static void deliver_to_server(struct sim *s, struct sim_conn *conn, struct sim_frame *frame)
{
    bool end = frame->end;

    frame->conn = conn;
    if (!s->server.up || !conn->server_open) {
        free(frame);
        if (!end && conn->client_open)
            sim_send_end(s, conn, false, false); /* nobody there: the system answers */
        return;
    }
    if (end) {
        conn->server_open = false;
        sim_frames_add(&s->server.ends, frame);
    } else {
        sim_frames_add(&s->server.inbox, frame);
    }
    if (!s->server.stopped)
        sim_at(s, &s->server.wake, s->now);
}

static void deliver_to_client(struct sim *s, struct sim_conn *conn, struct sim_frame *frame)
{
    struct sim_client *c = conn->client;
    bool end = frame->end;

    if (c == NULL || c->conn != conn || !conn->client_open) {
        free(frame);
        if (!end && conn->server_open && !conn->host_lost)
            sim_send_end(s, conn, true, false);
        return;
    }
    sim_frames_add(&c->inbox, frame);
    if (!c->stopped)
        sim_at(s, &c->wake, s->now);
}

static void arrive(struct sim *s, void *arg)
{
    struct sim_pipe *pipe = arg;
    struct sim_conn *conn = pipe->conn;

    while (pipe->frames.head != NULL && pipe->frames.head->at <= s->now) {
        struct sim_frame *frame = sim_frames_take(&pipe->frames);

        if (lost(s, pipe))
            free(frame);
        else if (pipe->to_server)
            deliver_to_server(s, conn, frame);
        else
            deliver_to_client(s, conn, frame);
    }
    if (pipe->frames.head != NULL)
        sim_at(s, &pipe->event, pipe->frames.head->at);
    else
        maybe_free(s, conn);
}

static void send_frame(struct sim *s, struct sim_pipe *pipe, struct sim_frame *frame, rv_ns at)
{
    frame->at = at;
    insert(&pipe->frames, frame);
    sim_at(s, &pipe->event, pipe->frames.head->at);
}

static bool chance(struct sim *s, uint32_t of_1000)
{
    return of_1000 > 0 && sim_below(s, 1000) < of_1000;
}

static bool full(struct sim *s, const struct sim_conn *conn, const struct sim_pipe *pipe)
{
    size_t bytes = pipe->frames.bytes;
    size_t len = pipe->frames.len;

    if (pipe->to_server) {
        bytes += s->server.stopped ? s->server.inbox.bytes : 0;
    } else if (conn->client != NULL && conn->client->conn == conn) {
        bytes += conn->client->inbox.bytes;
        len += conn->client->inbox.len;
        if (conn->client->slow_until > s->now && len >= SLOW_FRAMES)
            return true;
    }
    return s->random && bytes > PIPE_BYTES;
}

bool sim_send(struct sim *s, struct sim_conn *conn, bool to_server, struct rv_slice control,
              const struct rv_slice *bodies, size_t bodies_len)
{
    struct sim_pipe *pipe = to_server ? &conn->up : &conn->down;
    const struct sim_weather *w = weather_of(s, conn);
    bool noisy = w->noise_until > s->now;
    rv_ns at = s->now + sim_delay(s);

    if (full(s, conn, pipe)) {
        s->counts[SIM_BUSY]++;
        return false;
    }
    s->frames++;
    if (lost(s, pipe))
        return true;
    if (noisy && chance(s, w->drop)) {
        s->counts[SIM_DROP]++;
        return true;
    }
    if (at < pipe->last_at)
        at = pipe->last_at;
    if (noisy && chance(s, w->repeat)) {
        s->counts[SIM_REPEAT]++;
        send_frame(s, pipe, copy(control, bodies, bodies_len), at);
    }
    if (noisy && chance(s, w->reorder)) {
        s->counts[SIM_REORDER]++;
        send_frame(s, pipe, copy(control, bodies, bodies_len),
                   at + 3 * RV_MS); /* those behind pass */
        return true;
    }
    pipe->last_at = at;
    send_frame(s, pipe, copy(control, bodies, bodies_len), at);
    return true;
}

void sim_send_end(struct sim *s, struct sim_conn *conn, bool to_server, bool gone)
{
    struct sim_pipe *pipe = to_server ? &conn->up : &conn->down;
    struct sim_frame *frame = NULL;
    rv_ns at = s->now + sim_delay(s);

    if (lost(s, pipe))
        return;
    frame = copy(rv_slice(NULL, 0), NULL, 0);
    frame->end = true;
    frame->gone = gone;
    if (at < pipe->last_at)
        at = pipe->last_at;
    pipe->last_at = at;
    send_frame(s, pipe, frame, at);
}

static void setup(struct sim *s, void *arg)
{
    struct sim_conn *conn = arg;
    struct sim_client *c = conn->client;

    if (c == NULL || c->conn != conn || !conn->client_open) {
        conn->server_open = false;
        maybe_free(s, conn);
        return;
    }
    if (!conn->answered) {
        if (partitioned(s, conn))
            return; /* the client gives up by itself */
        if (!s->server.up) {
            sim_send_end(s, conn, false, false);
            return;
        }
        if (s->server.stopped) {
            sim_at(s, &conn->setup, s->now + 5 * RV_MS);
            return;
        }
        conn->answered = true;
        conn->server_open = true;
        sim_at(s, &conn->setup, s->now + sim_delay(s));
        return;
    }
    if (c->stopped) {
        sim_at(s, &conn->setup, s->now + 5 * RV_MS);
        return;
    }
    if (!conn->server_open || partitioned(s, conn))
        return;
    rv_link_connected(&c->link, s->now);
    sim_client_pump(s, c);
}

void sim_connect(struct sim *s, struct sim_client *c)
{
    struct sim_conn *conn = rv_alloc(sizeof *conn);

    conn->peer = ++s->last_peer;
    conn->client = c;
    conn->number = c->number;
    conn->client_open = true;
    conn->up = (struct sim_pipe){.event = {.fire = arrive}, .conn = conn, .to_server = true};
    conn->down = (struct sim_pipe){.event = {.fire = arrive}, .conn = conn};
    conn->up.event.arg = &conn->up;
    conn->down.event.arg = &conn->down;
    conn->setup = (struct sim_event){.fire = setup, .arg = conn};
    DL_APPEND(s->conns, conn);
    c->conn = conn;
    sim_at(s, &conn->setup, s->now + sim_delay(s));
}

void sim_disconnect(struct sim *s, struct sim_client *c)
{
    struct sim_conn *conn = c->conn;

    if (conn == NULL)
        return;
    c->conn = NULL;
    sim_frames_free(&c->inbox);
    if (conn->client_open && conn->server_open)
        sim_send_end(s, conn, true, false);
    conn->client_open = false;
    maybe_free(s, conn);
}

/* ---- faults ---- */

static struct sim_conn *live_conn(struct sim *s, int client)
{
    return s->clients[client].conn;
}

void sim_reset(struct sim *s, int client)
{
    struct sim_conn *conn = live_conn(s, client);

    if (conn == NULL || !conn->answered)
        return;
    sim_frames_free(&conn->up.frames);
    sim_frames_free(&conn->down.frames);
    conn->up.mute_until = conn->down.mute_until = 0;
    conn->up.last_at = s->now + (s->random ? (rv_ns)sim_below(s, 50) * RV_MS : 0);
    conn->down.last_at = s->now + (s->random ? (rv_ns)sim_below(s, 50) * RV_MS : 0);
    if (conn->client_open)
        sim_send_end(s, conn, false, false);
    if (conn->server_open)
        sim_send_end(s, conn, true, false);
    /* What either says before it has learned is lost too. */
    conn->up.mute_until = conn->up.last_at - 1;
    conn->down.mute_until = conn->down.last_at - 1;
    s->counts[SIM_RESET]++;
}

void sim_mute(struct sim *s, int client, bool to_server, uint32_t ms)
{
    struct sim_conn *conn = live_conn(s, client);

    if (conn == NULL)
        return;
    (to_server ? &conn->up : &conn->down)->mute_until = s->now + (rv_ns)ms * RV_MS;
    s->counts[SIM_ONE_WAY]++;
}

void sim_partition(struct sim *s, int client, uint32_t ms)
{
    s->clients[client].weather.partition_until = s->now + (rv_ns)ms * RV_MS;
    s->counts[SIM_PARTITION]++;
}

void sim_noise(struct sim *s, int client, uint32_t ms, uint32_t drop, uint32_t repeat,
               uint32_t reorder)
{
    struct sim_weather *w = &s->clients[client].weather;

    w->noise_until = s->now + (rv_ns)ms * RV_MS;
    w->drop = drop;
    w->repeat = repeat;
    w->reorder = reorder;
}
