/* The agent between a manager and runners that do what the test wants: what it starts, gives, stops
 * and says, also when things come late, twice or not at all. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "worker/core/agent.h"

int test_agent(void);

enum { AGENT = 3, SLOTS = 2, TOLD = 8192, BESIDE = RV_LIMIT_ITEM_INLINE_BYTES + 1 };

/* The manager, the shell, and what they have been told, a line for each thing. */
struct stage {
    rv_ns now;
    struct rv_link link;
    struct agent *agent;
    uint64_t said, heard_to, open;
    uint64_t env; /* of the last load */
    char told[TOLD];
    size_t len;
};

static void note(struct stage *s, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void note(struct stage *s, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    s->len += (size_t)vsnprintf(s->told + s->len, TOLD - s->len, format, args);
    va_end(args);
    assert_true(s->len < TOLD);
}

/* ---- the shell ---- */

static void effect(void *arg, const struct agent_effect *e)
{
    struct stage *s = arg;

    switch (e->type) {
    case AGENT_LOAD:
        s->env = e->env->id;
        note(s, "load %llu\n", (unsigned long long)e->env->id);
        break;
    case AGENT_UNLOAD:
        note(s, "unload %llu\n", (unsigned long long)e->env->id);
        break;
    case AGENT_START:
        note(s, "start %u env=%llu\n", e->slot, (unsigned long long)e->env->id);
        break;
    case AGENT_GIVE:
        note(s, "give %u chunk=%llu first=%llu count=%u bodies=%zu\n", e->slot,
             (unsigned long long)e->work->chunk, (unsigned long long)e->work->first, e->work->count,
             e->work->bodies_len);
        break;
    case AGENT_TRIM:
        note(s, "trim %u end=%llu\n", e->slot, (unsigned long long)e->end);
        break;
    case AGENT_LOOK:
        note(s, "look %u\n", e->slot);
        break;
    case AGENT_STOP:
        note(s, "stop %u\n", e->slot);
        break;
    case AGENT_LEAVE:
        note(s, "leave\n");
        break;
    }
}

/* ---- the manager ---- */

static void say_bodies(struct stage *s, const struct rv_msg *msg, const struct rv_slice *bodies,
                       size_t bodies_len)
{
    struct rv_buf frame = {0};
    uint8_t head[RV_FRAME_HEADER];
    bool numbered = rv_msg_numbered(msg->type);

    rv_frame_encode(head, &(struct rv_frame){.bodies = (uint8_t)bodies_len,
                                             .first = numbered ? s->said + 1 : 0,
                                             .ack = s->heard_to});
    rv_buf_add(&frame, head, sizeof head);
    rv_msg_encode(&frame, msg);
    s->said += numbered;
    rv_link_receive(&s->link, s->now, rv_buf_slice(&frame), bodies, bodies_len);
    rv_buf_free(&frame);
}

static void say(struct stage *s, const struct rv_msg *msg)
{
    say_bodies(s, msg, NULL, 0);
}

static void note_refs(struct stage *s, const struct rv_items *items)
{
    struct rv_reader r = rv_reader(items->bytes);
    struct rv_item item = {0};

    if (items->count == 1)
        rv_item_read(&r, &item);
    for (size_t i = 0; i < item.refs.len / 8; i++)
        note(s, "%s%llu", i == 0 ? "refs " : " ", (unsigned long long)rv_item_ref(item.refs, i));
    note(s, "%s", item.refs.len > 0 ? "\n" : "");
}

static void hear_call(struct stage *s, const struct rv_call *call, struct rv_reader *r)
{
    struct rv_agent_done_args done;
    struct rv_agent_item_args item;
    struct rv_agent_back_args back;
    struct rv_agent_cannot_args cannot;
    struct rv_agent_state_args state;

    (void)r;
    switch (call->op) {
    case RV_OP_agent_open:
        s->open = s->heard_to;
        break;
    case RV_OP_agent_done:
        assert_true(rv_agent_done_args_decode(&done, call->args));
        note(s, "done %llu first=%llu count=%u\n", (unsigned long long)done.chunk,
             (unsigned long long)done.first, done.items.count);
        break;
    case RV_OP_agent_item:
        assert_true(rv_agent_item_args_decode(&item, call->args));
        note(s, "item %llu index=%llu status=%u values=%u output=%zu text=%.*s\n",
             (unsigned long long)item.chunk, (unsigned long long)item.index, item.status,
             item.items.count, item.output.len, (int)item.text.len, (const char *)item.text.data);
        note_refs(s, &item.items);
        break;
    case RV_OP_agent_back:
        assert_true(rv_agent_back_args_decode(&back, call->args));
        note(s, "back %llu from=%llu\n", (unsigned long long)back.chunk,
             (unsigned long long)back.from);
        break;
    case RV_OP_agent_cannot:
        assert_true(rv_agent_cannot_args_decode(&cannot, call->args));
        note(s, "cannot %llu text=%.*s\n", (unsigned long long)cannot.job, (int)cannot.text.len,
             (const char *)cannot.text.data);
        break;
    case RV_OP_agent_state:
        assert_true(rv_agent_state_args_decode(&state, call->args));
        note(s, "state draining=%u\n", state.draining);
        break;
    default:
        fail();
    }
}

/* The agent acts, and all that it says is heard. */
static void go(struct stage *s)
{
    struct rv_link_frame out;
    struct rv_frame frame;
    struct rv_msg msg;
    bool version = false;

    agent_step(s->agent, s->now);
    while (rv_link_transmit(&s->link, s->now, &out)) {
        struct rv_reader r;

        assert_true(rv_frame_decode(&frame, out.control, &version));
        for (r = rv_reader(frame.messages); rv_frame_next(&r, &msg);) {
            s->heard_to += rv_msg_numbered(msg.type);
            if (msg.type == RV_MSG_call)
                hear_call(s, &msg.call, &r);
        }
        rv_link_sent(&s->link, s->now, true);
    }
    if (s->link.state == RV_LINK_READY)
        say(s, &(struct rv_msg){.type = RV_MSG_beat, .beat = {.sent = s->said}});
}

/* What was told since the last time, and nothing else. */
static void expect(struct stage *s, const char *lines)
{
    go(s);
    assert_string_equal(s->told, lines);
    s->len = 0;
    s->told[0] = '\0';
}

static void push_bodies(struct stage *s, uint16_t op, struct rv_buf *args,
                        const struct rv_slice *bodies, size_t bodies_len)
{
    say_bodies(s,
               &(struct rv_msg){.type = RV_MSG_push,
                                .push = {.op = op, .object = AGENT, .args = rv_buf_slice(args)}},
               bodies, bodies_len);
    rv_buf_free(args);
}

static void push(struct stage *s, uint16_t op, struct rv_buf *args)
{
    push_bodies(s, op, args, NULL, 0);
}

static void job_like(struct stage *s, const struct rv_agent_job_args *job)
{
    struct rv_buf args = {0};

    rv_agent_job_args_encode(&args, job);
    push(s, RV_OP_agent_job, &args);
}

static void job(struct stage *s, uint64_t id)
{
    job_like(s, &(struct rv_agent_job_args){.job = id, .kind = RV_CODE_COMMAND});
}

static void add_items(struct rv_buf *b, size_t count)
{
    while (count-- > 0)
        rv_item_write(b, &(struct rv_item){.len = 1, .bytes = rv_slice("x", 1)});
}

static void chunk(struct stage *s, uint64_t id, uint64_t job, uint64_t first, uint32_t count)
{
    struct rv_buf items = {0};
    struct rv_buf args = {0};

    add_items(&items, count);
    rv_agent_chunk_args_encode(
        &args, &(struct rv_agent_chunk_args){.chunk = id,
                                             .job = job,
                                             .first = first,
                                             .run = 1,
                                             .function = rv_slice_str("f"),
                                             .items = {count, rv_buf_slice(&items)}});
    push(s, RV_OP_agent_chunk, &args);
    rv_buf_free(&items);
}

static void trim(struct stage *s, uint64_t id, uint64_t end)
{
    struct rv_buf args = {0};

    rv_agent_trim_args_encode(&args, &(struct rv_agent_trim_args){id, end, 0});
    push(s, RV_OP_agent_trim, &args);
}

static void gone(struct stage *s, uint64_t id)
{
    struct rv_buf args = {0};

    rv_agent_gone_args_encode(&args, &(struct rv_agent_gone_args){id, 0});
    push(s, RV_OP_agent_gone, &args);
}

/* ---- runners ---- */

static void values(struct stage *s, uint32_t slot, uint64_t first, uint32_t count)
{
    struct rv_buf items = {0};

    add_items(&items, count);
    agent_on_done(s->agent, s->now, slot, first, 100,
                  &(struct rv_items){count, rv_buf_slice(&items)}, NULL, 0);
    rv_buf_free(&items);
}

static void item(struct stage *s, uint32_t slot, uint64_t index, const char *text)
{
    agent_on_item(
        s->agent, s->now, slot,
        &(struct agent_told){.index = index, .status = RV_RAN_FAILED, .text = rv_slice_str(text)});
}

static void ended(struct stage *s, uint32_t slot, uint64_t started, bool init, const char *text)
{
    agent_on_ended(s->agent, s->now, slot, started, init,
                   &(struct agent_told){.status = RV_RAN_CRASHED, .text = rv_slice_str(text)});
}

/* ---- the stage ---- */

static void introduce(struct stage *s, uint32_t slots)
{
    struct rv_link_conf conf = {.endpoints = {"tcp://m:7300"},
                                .endpoints_len = 1,
                                .seed = 1,
                                .host_name = "h",
                                .program = "p"};
    struct agent_conf agent = {.name = "a", .labels = "", .machine = "m", .slots = slots};
    struct rv_msg welcome = {.type = RV_MSG_welcome,
                             .welcome = {.major = 1, .store = {{1}}, .term = 1, .resume_ms = 5000}};

    memset(s, 0, sizeof *s);
    s->now = RV_SEC;
    rv_link_init(&s->link, &conf, s->now);
    s->agent = agent_new(&agent, &s->link, effect, s);
    agent_step(s->agent, s->now); /* there is no manager yet */
    rv_link_connecting(&s->link, s->now);
    rv_link_connected(&s->link, s->now);
    go(s);
    say(s, &welcome);
    assert_int_equal(s->link.state, RV_LINK_READY);
    go(s);
    assert_true(s->open > 0);
}

static void answer_open(struct stage *s, reeve_err error, const char *text, bool whole)
{
    struct rv_buf result = {0};

    if (whole)
        rv_agent_open_result_encode(&result, &(struct rv_agent_open_result){AGENT, 0});
    say(s, &(struct rv_msg){.type = RV_MSG_reply,
                            .reply = {.call = s->open,
                                      .error = (uint32_t)error,
                                      .text = rv_slice_str(text),
                                      .result = rv_buf_slice(&result)}});
    rv_buf_free(&result);
}

static void begin(struct stage *s)
{
    introduce(s, SLOTS);
    answer_open(s, REEVE_OK, "", true);
    expect(s, "");
}

/* With job 1 of env 1, whose runner waits in slot 0. */
static void begin_ready(struct stage *s, const struct rv_agent_job_args *like)
{
    struct rv_agent_job_args args = *like;

    begin(s);
    args.job = 1;
    job_like(s, &args);
    agent_on_loaded(s->agent, s->now, 1, NULL, false);
    chunk(s, 100, 1, 0, 1);
    expect(s, "load 1\nstart 0 env=1\n");
    agent_on_ready(s->agent, s->now, 0, 77);
    expect(s, "give 0 chunk=100 first=0 count=1 bodies=0\n");
    values(s, 0, 0, 1);
    agent_on_end(s->agent, s->now, 0, 1);
    expect(s, "done 100 first=0 count=1\n");
}

static const struct rv_agent_job_args plain = {.kind = RV_CODE_COMMAND};

static void end(struct stage *s)
{
    agent_free(&s->agent);
    agent_free(&s->agent);
    rv_link_fini(&s->link);
}

/* ---- opening ---- */

static void a_manager_that_has_no_place_for_it_is_left(void **state)
{
    static const struct {
        reeve_err error;
        const char *text;
        reeve_err end;
    } cases[] = {
        {REEVE_EPERM, "no role worker", REEVE_EPERM},
        {REEVE_EPERM, "", REEVE_EPERM},
        {REEVE_OK, "", REEVE_EPROTO}, /* and no number */
    };
    char longest[401] = "";

    (void)state;
    for (size_t i = 0; i < rv_countof(cases); i++) {
        struct stage s;

        introduce(&s, SLOTS);
        answer_open(&s, cases[i].error, cases[i].text, false);
        assert_int_equal(s.link.state, RV_LINK_DEAD);
        assert_int_equal(s.link.error, cases[i].end);
        assert_string_equal(s.link.why, cases[i].text);
        end(&s);
    }
    {
        struct stage s;

        memset(longest, 'x', sizeof longest - 1);
        introduce(&s, SLOTS);
        answer_open(&s, REEVE_EPERM, longest, false);
        assert_int_equal(strlen(s.link.why), 250);
        end(&s);
    }
}

static void a_link_that_is_dead_is_not_asked(void **state)
{
    struct stage s;
    struct rv_link_conf conf = {.endpoints = {"tcp://m:7300"}, .endpoints_len = 1};
    struct agent_conf agent = {.name = "a", .labels = "", .machine = "m", .slots = 0};

    (void)state;
    memset(&s, 0, sizeof s);
    rv_link_init(&s.link, &conf, 0);
    s.agent = agent_new(&agent, &s.link, effect, &s);
    rv_link_die(&s.link, 0, REEVE_EAUTH, "no");
    agent_drain(s.agent, s.now, true);
    assert_string_equal(s.told, "leave\n");
    agent_drain(s.agent, s.now, true);
    assert_string_equal(s.told, "leave\n");
    assert_int_equal(agent_deadline(s.agent), RV_NEVER);
    end(&s);
}

/* ---- jobs and what they need ---- */

static void jobs_share_runners_only_if_they_agree_in_all(void **state)
{
    static const struct rv_agent_job_args first = {
        .job = 1, .kind = RV_CODE_PROGRAM, .digest = {(const uint8_t *)"d", 1}, .size = 9};
    struct stage s;
    struct rv_agent_job_args other = first;

    (void)state;
    begin(&s);
    job_like(&s, &first);
    expect(&s, "load 1\n");
    job_like(&s, &first); /* it is known */
    other.job = 2;
    other.timeout_ms = 5;
    other.detail = 1;
    job_like(&s, &other);
    expect(&s, "");
#define ANOTHER(field, value, line)                                                                \
    other = first;                                                                                 \
    other.job = s.said + 10;                                                                       \
    other.field = (value);                                                                         \
    job_like(&s, &other);                                                                          \
    expect(&s, line)
    ANOTHER(kind, RV_CODE_MODULE, "load 2\n");
    ANOTHER(memory, 5, "load 3\n");
    ANOTHER(size, 10, "load 4\n");
    ANOTHER(digest, rv_slice_str("e"), "load 5\n");
    ANOTHER(initializer, rv_slice_str("i"), "load 6\n");
    ANOTHER(initarg, rv_slice_str("1"), "load 7\n");
    ANOTHER(arguments, rv_slice_str("1"), "load 8\n");
    ANOTHER(environment, rv_slice_str("A=1"), "load 9\n");
    ANOTHER(folder, rv_slice_str("/"), "load 10\n");
#undef ANOTHER
    assert_int_equal(agent_job_of(s.agent, 1), 1);
    assert_int_equal(agent_job_of(s.agent, 99), 0);
    end(&s);
}

static void what_cannot_run_is_said_once_for_each_job(void **state)
{
    struct stage s;

    (void)state;
    begin(&s);
    job(&s, 1);
    job(&s, 2);
    job_like(&s, &(struct rv_agent_job_args){.job = 3, .kind = RV_CODE_COMMAND, .size = 1});
    chunk(&s, 10, 1, 0, 3);
    chunk(&s, 11, 3, 0, 3);
    expect(&s, "load 1\nload 2\n");
    agent_on_loaded(s.agent, s.now, 1, "its libc is\tolder\n\x01\xff", false);
    expect(&s, "cannot 1 text=its libc is older ??\ncannot 2 text=its libc is older ??\n");
    agent_on_loaded(s.agent, s.now, 1, NULL, false); /* it is too late */
    agent_on_loaded(s.agent, s.now, 99, NULL, false);
    chunk(&s, 12, 1, 3, 3); /* the manager has not heard it yet */
    expect(&s, "");
    job(&s, 4); /* who comes later has it tried again */
    expect(&s, "load 3\n");
    gone(&s, 4);
    gone(&s, 4);
    agent_on_loaded(s.agent, s.now, 3, "no", false);
    expect(&s, "");
    end(&s);
}

static void chunks_of_nobody_come_back(void **state)
{
    struct stage s;
    struct rv_buf items = {0};
    struct rv_buf args = {0};

    (void)state;
    begin(&s);
    chunk(&s, 10, 9, 5, 3);
    expect(&s, "back 10 from=5\n");
    /* Its second item should have come in pieces, and has not. */
    job(&s, 1);
    rv_item_write(&items, &(struct rv_item){.len = 1, .bytes = rv_slice("x", 1)});
    rv_item_write(&items, &(struct rv_item){.place = RV_FRAGMENTS, .body = 99, .len = 300 * 1024});
    rv_agent_chunk_args_encode(
        &args,
        &(struct rv_agent_chunk_args){
            .chunk = 11, .job = 1, .first = 0, .run = 1, .items = {2, rv_buf_slice(&items)}});
    push(&s, RV_OP_agent_chunk, &args);
    rv_buf_free(&items);
    expect(&s, "load 1\nback 11 from=0\n");
    /* Pushes that are not for an agent, or malformed, are nothing. */
    rv_buf_add(&args, "x", 1);
    push(&s, RV_OP_agent_gone, &args);
    rv_buf_add(&args, "x", 1);
    push(&s, RV_OP_agent_trim, &args);
    push(&s, RV_OP_queue_shutdown, &args);
    end(&s);
}

/* Bodies ride beside, and go with the items that are done. */
static void large_items_are_given_with_their_bytes(void **state)
{
    struct stage s;
    struct rv_buf items = {0};
    struct rv_buf args = {0};
    static const uint8_t bytes[BESIDE];
    const struct rv_slice bodies[] = {rv_slice(bytes, BESIDE), rv_slice(bytes, BESIDE)};

    (void)state;
    begin_ready(&s, &plain);
    rv_item_write(&items, &(struct rv_item){.place = RV_BODY, .len = BESIDE});
    rv_item_write(&items, &(struct rv_item){.len = 1, .bytes = rv_slice("x", 1)});
    rv_item_write(&items, &(struct rv_item){.place = RV_BODY, .len = BESIDE});
    rv_agent_chunk_args_encode(
        &args,
        &(struct rv_agent_chunk_args){
            .chunk = 11, .job = 1, .first = 0, .run = 1, .items = {3, rv_buf_slice(&items)}});
    push_bodies(&s, RV_OP_agent_chunk, &args, bodies, 2);
    rv_buf_free(&items);
    expect(&s, "give 0 chunk=11 first=0 count=3 bodies=2\n");
    values(&s, 0, 0, 1);
    ended(&s, 0, 1, false, "crash");
    expect(&s, "start 0 env=1\ndone 11 first=0 count=1\n"
               "item 11 index=1 status=2 values=0 output=0 text=crash\n");
    agent_on_ready(s.agent, s.now, 0, 78);
    expect(&s, "give 0 chunk=11 first=2 count=1 bodies=1\n");
    end(&s);
}

/* ---- runners ---- */

static void runners_that_never_begin_end_the_job_here(void **state)
{
    struct stage s;

    (void)state;
    begin(&s);
    job(&s, 1);
    agent_on_loaded(s.agent, s.now, 1, NULL, false);
    chunk(&s, 10, 1, 0, 1);
    expect(&s, "load 1\nstart 0 env=1\n");
    for (uint32_t tries = 1; tries < 3; tries++) {
        ended(&s, 0, UINT64_MAX, false, "");
        expect(&s, "");
        assert_int_equal(agent_deadline(s.agent), rv_after_ms(s.now, 500 * tries));
        s.now = agent_deadline(s.agent) - 1;
        expect(&s, "");
        s.now++;
        expect(&s, "start 0 env=1\n");
    }
    ended(&s, 0, UINT64_MAX, false, "");
    ended(&s, 0, UINT64_MAX, false, ""); /* of an empty slot */
    expect(&s, "cannot 1 text=its runners end before they begin (tried 3 times)\n");
    assert_int_equal(agent_deadline(s.agent), RV_NEVER);
    end(&s);

    begin(&s);
    job(&s, 1);
    agent_on_loaded(s.agent, s.now, 1, NULL, false);
    chunk(&s, 10, 1, 0, 1);
    expect(&s, "load 1\nstart 0 env=1\n");
    ended(&s, 0, UINT64_MAX, true, "its initializer failed");
    expect(&s, "cannot 1 text=its initializer failed\n");
    end(&s);
}

/* They end with what they come from: that is one try, however many there were. */
static void runners_that_end_together_are_one_try(void **state)
{
    struct stage s;

    (void)state;
    begin(&s);
    job(&s, 1);
    agent_on_loaded(s.agent, s.now, 1, NULL, false);
    chunk(&s, 10, 1, 0, 1);
    chunk(&s, 11, 1, 1, 1);
    expect(&s, "load 1\nstart 0 env=1\nstart 1 env=1\n");
    for (int i = 0; i < 2; i++) {
        ended(&s, 0, UINT64_MAX, false, "killed");
        ended(&s, 1, UINT64_MAX, false, "killed");
        s.now = agent_deadline(s.agent);
        expect(&s, "start 0 env=1\nstart 1 env=1\n");
    }
    /* One that was ready is the beginning of another row. */
    agent_on_ready(s.agent, s.now, 1, 77);
    expect(&s, "give 1 chunk=10 first=0 count=1 bodies=0\n");
    ended(&s, 0, UINT64_MAX, false, "killed");
    expect(&s, "");
    assert_int_equal(agent_deadline(s.agent), rv_after_ms(s.now, 500));
    end(&s);
}

static void a_program_that_a_signal_ends_is_loaded_again(void **state)
{
    struct stage s;

    (void)state;
    begin(&s);
    job(&s, 1);
    chunk(&s, 10, 1, 0, 1);
    expect(&s, "load 1\n");
    agent_on_loaded(s.agent, s.now, 1, "SIGKILL ended it", true);
    agent_on_loaded(s.agent, s.now, 1, NULL, false); /* it is not being loaded */
    expect(&s, "");
    job(&s, 2); /* waits with the other */
    expect(&s, "");
    s.now = agent_deadline(s.agent);
    expect(&s, "unload 1\nload 1\n");
    agent_on_loaded(s.agent, s.now, 1, NULL, false);
    expect(&s, "start 0 env=1\n");
    ended(&s, 0, UINT64_MAX, false, "SIGSEGV"); /* a program that is up is not yet a success */
    s.now = agent_deadline(s.agent);
    expect(&s, "start 0 env=1\n");
    ended(&s, 0, UINT64_MAX, false, "SIGSEGV");
    expect(&s, "cannot 1 text=SIGSEGV (tried 3 times)\ncannot 2 text=SIGSEGV (tried 3 times)\n");

    /* Nobody needs it any more: it is not tried for ever. */
    job(&s, 3);
    expect(&s, "load 2\n");
    agent_on_loaded(s.agent, s.now, 2, "SIGKILL ended it", true);
    gone(&s, 3);
    s.now = agent_deadline(s.agent);
    expect(&s, "unload 2\nload 2\n");
    agent_on_loaded(s.agent, s.now, 2, "SIGKILL ended it", true);
    s.now = agent_deadline(s.agent);
    expect(&s, "unload 2\nload 2\n");
    agent_on_loaded(s.agent, s.now, 2, "SIGKILL ended it", true);
    expect(&s, "");
    s.now += 10 * RV_SEC;
    gone(&s, 1);
    gone(&s, 2);
    expect(&s, "unload 2\n");
    end(&s);
}

/* Two runners start; the program of one turns out to be no good, and the other ends, too. */
static void who_starts_for_an_env_that_failed_is_not_asked(void **state)
{
    struct stage s;
    char longest[400] = "";

    (void)state;
    memset(longest, 'x', sizeof longest - 1);
    begin(&s);
    job(&s, 1);
    agent_on_loaded(s.agent, s.now, 1, NULL, false);
    chunk(&s, 10, 1, 0, 1);
    chunk(&s, 11, 1, 1, 1);
    expect(&s, "load 1\nstart 0 env=1\nstart 1 env=1\n");
    ended(&s, 0, UINT64_MAX, true, longest);
    longest[250] = '\0';
    go(&s);
    assert_string_equal(s.told + strlen("cannot 1 text="), strcat(longest, "\n"));
    s.len = 0;
    s.told[0] = '\0';
    ended(&s, 1, UINT64_MAX, true, "again");
    expect(&s, "");
    end(&s);
}

static void a_runner_of_another_env_makes_room(void **state)
{
    struct stage s;
    const struct rv_agent_job_args other = {.job = 2, .kind = RV_CODE_COMMAND, .size = 1};

    (void)state;
    begin_ready(&s, &plain);
    job_like(&s, &other);
    agent_on_loaded(s.agent, s.now, 2, NULL, false);
    chunk(&s, 20, 2, 0, 1);
    chunk(&s, 21, 2, 1, 1);
    chunk(&s, 22, 2, 2, 1);
    expect(&s, "load 2\nstart 1 env=2\nstop 0\n");
    agent_on_ready(s.agent, s.now, 1, 78);
    expect(&s, "give 1 chunk=20 first=0 count=1 bodies=0\n");
    chunk(&s, 10, 1, 0, 1); /* its runner is being stopped */
    expect(&s, "");
    ended(&s, 0, UINT64_MAX, false, "");
    expect(&s, "start 0 env=1\n");
    end(&s);
}

static void a_process_has_so_many_items(void **state)
{
    struct stage s;

    (void)state;
    begin_ready(&s, &(struct rv_agent_job_args){.kind = RV_CODE_COMMAND, .maxtasks = 3});
    chunk(&s, 10, 1, 0, 4);
    expect(&s, "give 0 chunk=10 first=0 count=2 bodies=0\n");
    values(&s, 0, 0, 2);
    agent_on_end(s.agent, s.now, 0, 2);
    expect(&s, "stop 0\nstart 1 env=1\ndone 10 first=0 count=2\n");
    ended(&s, 0, UINT64_MAX, false, "");
    agent_on_ready(s.agent, s.now, 1, 78);
    expect(&s, "give 1 chunk=10 first=2 count=2 bodies=0\n");
    end(&s);
}

/* ---- results ---- */

static void values_wait_for_company_and_no_longer(void **state)
{
    struct stage s;

    (void)state;
    begin_ready(&s, &plain);
    chunk(&s, 10, 1, 0, 4000);
    expect(&s, "give 0 chunk=10 first=0 count=4000 bodies=0\n");
    assert_int_equal(agent_busy(s.agent), 1);
    assert_int_equal(agent_ahead(s.agent), 0);
    values(&s, 0, 0, 2);
    values(&s, 0, 2, 1);
    expect(&s, "");
    s.now = agent_deadline(s.agent);
    expect(&s, "done 10 first=0 count=3\n");
    values(&s, 0, 3, RV_LIMIT_CHUNK_ITEMS / 2); /* that is company enough */
    go(&s);
    assert_true(s.len > 0);
    s.len = 0;
    values(&s, 0, 1, 1);        /* of an index that is past */
    values(&s, 0, 3999 + 9, 1); /* and one that is none of it */
    values(&s, 0, 3 + RV_LIMIT_CHUNK_ITEMS / 2, 4000);
    item(&s, 0, 1, "past");
    s.told[0] = '\0';
    expect(&s, "");
    end(&s);
}

static void large_values_go_beside_the_small_ones(void **state)
{
    struct stage s;
    struct rv_buf items = {0};
    struct rv_body *bodies[] = {rv_body_new(100 * 1024), rv_body_new(RV_LIMIT_BODY_BYTES + 1)};
    static const uint8_t refs[16] = {[7] = 5, [15] = 6};
    struct agent_told told = {.index = 4, .status = RV_RAN_FAILED, .body = bodies[0]};

    (void)state;
    begin_ready(&s, &plain);
    memset(bodies[0]->data, 0, bodies[0]->len);
    memset(bodies[1]->data, 0, bodies[1]->len);
    chunk(&s, 10, 1, 0, 6);
    expect(&s, "give 0 chunk=10 first=0 count=6 bodies=0\n");
    add_items(&items, 2);
    rv_item_write(&items, &(struct rv_item){.place = RV_BODY, .len = 100 * 1024});
    rv_item_write(&items, &(struct rv_item){
                              .place = RV_FRAGMENTS, .body = 1, .len = RV_LIMIT_BODY_BYTES + 1});
    agent_on_done(s.agent, s.now, 0, 0, 400, &(struct rv_items){4, rv_buf_slice(&items)}, bodies,
                  2);
    expect(&s, "done 10 first=0 count=2\ndone 10 first=2 count=1\ndone 10 first=3 count=1\n");
    agent_on_item(s.agent, s.now, 0, &told);
    expect(&s, "item 10 index=4 status=1 values=1 output=0 text=\n");
    rv_buf_clear(&items); /* and what it refers to goes with it */
    rv_item_write(&items, &(struct rv_item){.place = RV_BODY,
                                            .len = 100 * 1024,
                                            .refs = rv_slice(refs, sizeof refs)});
    told = (struct agent_told){.index = 5, .items = {1, rv_buf_slice(&items)}, .body = bodies[0]};
    agent_on_item(s.agent, s.now, 0, &told);
    expect(&s, "item 10 index=5 status=0 values=1 output=0 text=\nrefs 5 6\n");
    rv_buf_free(&items);
    rv_body_drop(bodies[0]);
    rv_body_drop(bodies[1]);
    end(&s);
}

/* What a program prints and says may be anything. */
static void texts_and_outputs_are_made_fit(void **state)
{
    struct stage s;
    static char longest[5000];
    static uint8_t output[RV_LIMIT_OUTPUT_BYTES + 10];
    struct agent_told told = {.status = RV_RAN_FAILED};
    const char *text = NULL;
    char fit[40];

    (void)state;
    begin_ready(&s, &plain);
    chunk(&s, 10, 1, 0, 2);
    expect(&s, "give 0 chunk=10 first=0 count=2 bodies=0\n");
    item(&s, 0, 0, "a\nb\tc\x1b[31m\x7f\xc3\xa9");
    expect(&s, "item 10 index=0 status=1 values=0 output=0 text=a b c?[31m???\n");
    memset(longest, 'x', sizeof longest - 1);
    told.index = 1;
    told.text = rv_slice_str(longest);
    told.output = rv_slice(output, sizeof output);
    agent_on_item(s.agent, s.now, 0, &told);
    go(&s);
    text = strstr(s.told, "text=");
    assert_non_null(text);
    assert_int_equal(strlen(text), strlen("text=\n") + 899);
    snprintf(fit, sizeof fit, "output=%d ", (int)RV_LIMIT_OUTPUT_BYTES);
    assert_non_null(strstr(s.told, fit));
    end(&s);
}

/* ---- ends of runners ---- */

static void the_item_that_ended_its_runner_is_named(void **state)
{
    struct stage s;

    (void)state;
    begin_ready(&s, &plain);
    chunk(&s, 10, 1, 0, 5);
    expect(&s, "give 0 chunk=10 first=0 count=5 bodies=0\n");
    values(&s, 0, 0, 1);
    /* It was in item 2, and of item 1 nothing was heard: that one runs once more, alone. */
    ended(&s, 0, 2, false, "signal 11");
    expect(&s, "start 0 env=1\ndone 10 first=0 count=1\n");
    agent_on_ready(s.agent, s.now, 0, 78);
    expect(&s, "give 0 chunk=10 first=1 count=1 bodies=0\n");
    values(&s, 0, 1, 1);
    agent_on_end(s.agent, s.now, 0, 2);
    expect(&s, "give 0 chunk=10 first=3 count=2 bodies=0\n"
               "done 10 first=1 count=1\n"
               "item 10 index=2 status=2 values=0 output=0 text=signal 11\n");
    /* What is said to have been begun is past, or not in it at all. */
    ended(&s, 0, 0, false, "again");
    expect(&s, "start 0 env=1\nitem 10 index=3 status=2 values=0 output=0 text=again\n");
    agent_on_ready(s.agent, s.now, 0, 79);
    expect(&s, "give 0 chunk=10 first=4 count=1 bodies=0\n");
    ended(&s, 0, 7, false, "beyond");
    expect(&s, "start 0 env=1\n");
    end(&s);
}

/* Runners end before they come to the item that ended the first one: each is told of in its turn. */
static void each_item_that_ended_a_runner_is_told_of(void **state)
{
    struct stage s;

    (void)state;
    begin_ready(&s, &plain);
    chunk(&s, 10, 1, 0, 6);
    expect(&s, "give 0 chunk=10 first=0 count=6 bodies=0\n");
    ended(&s, 0, 4, false, "four");
    agent_on_ready(s.agent, s.now, 0, 78);
    expect(&s, "start 0 env=1\ngive 0 chunk=10 first=0 count=4 bodies=0\n");
    ended(&s, 0, 3, false, "three");
    agent_on_ready(s.agent, s.now, 0, 79);
    expect(&s, "start 0 env=1\ngive 0 chunk=10 first=0 count=3 bodies=0\n");
    ended(&s, 0, 4, false, "not given to it");
    agent_on_ready(s.agent, s.now, 0, 80);
    expect(&s, "start 0 env=1\ngive 0 chunk=10 first=0 count=3 bodies=0\n");
    ended(&s, 0, 0, false, "zero");
    agent_on_ready(s.agent, s.now, 0, 81);
    expect(&s, "start 0 env=1\ngive 0 chunk=10 first=1 count=2 bodies=0\n"
               "item 10 index=0 status=2 values=0 output=0 text=zero\n");
    values(&s, 0, 1, 2);
    agent_on_end(s.agent, s.now, 0, 3);
    expect(&s, "give 0 chunk=10 first=5 count=1 bodies=0\n"
               "done 10 first=1 count=2\n"
               "item 10 index=3 status=2 values=0 output=0 text=three\n"
               "item 10 index=4 status=2 values=0 output=0 text=four\n");
    end(&s);
}

static void an_item_that_ended_a_runner_is_not_given_back(void **state)
{
    struct stage s;

    (void)state;
    begin_ready(&s, &plain);
    chunk(&s, 10, 1, 0, 6);
    expect(&s, "give 0 chunk=10 first=0 count=6 bodies=0\n");
    ended(&s, 0, 4, false, "four");
    trim(&s, 10, 5); /* while it waits */
    expect(&s, "start 0 env=1\nback 10 from=5\n");
    agent_on_ready(s.agent, s.now, 0, 78);
    expect(&s, "give 0 chunk=10 first=0 count=4 bodies=0\n");
    trim(&s, 10, 2);
    expect(&s, "trim 0 end=2\n");
    agent_on_trimmed(s.agent, s.now, 0, 2);
    values(&s, 0, 0, 2);
    agent_on_end(s.agent, s.now, 0, 2);
    expect(&s, "give 0 chunk=10 first=2 count=2 bodies=0\ndone 10 first=0 count=2\n");
    values(&s, 0, 2, 2);
    agent_on_end(s.agent, s.now, 0, 4);
    expect(&s, "done 10 first=2 count=2\n"
               "item 10 index=4 status=2 values=0 output=0 text=four\n");
    end(&s);
}

static void a_runner_that_ends_between_items_is_forgiven_twice(void **state)
{
    struct stage s;

    (void)state;
    begin_ready(&s, &plain);
    chunk(&s, 10, 1, 0, 2);
    expect(&s, "give 0 chunk=10 first=0 count=2 bodies=0\n");
    for (uint32_t i = 0; i < 2; i++) {
        ended(&s, 0, UINT64_MAX, false, "killed");
        agent_on_ready(s.agent, s.now, 0, 80 + i);
        expect(&s, "start 0 env=1\ngive 0 chunk=10 first=0 count=2 bodies=0\n");
    }
    ended(&s, 0, UINT64_MAX, false, "killed");
    expect(&s, "start 0 env=1\nitem 10 index=0 status=2 values=0 output=0 text=killed\n");
    end(&s);
}

static void an_item_that_takes_too_long_is_killed(void **state)
{
    struct stage s;
    enum { MS = 500 };

    (void)state;
    begin_ready(&s, &(struct rv_agent_job_args){.kind = RV_CODE_COMMAND, .timeout_ms = MS});
    agent_on_begun(s.agent, s.now, 0, 0, s.now); /* it is in none of ours */
    chunk(&s, 10, 1, 0, 2);
    expect(&s, "give 0 chunk=10 first=0 count=2 bodies=0\n");
    assert_int_equal(agent_deadline(s.agent), rv_after_ms(s.now, MS));
    s.now = agent_deadline(s.agent);
    expect(&s, "look 0\n");
    agent_on_begun(s.agent, s.now, 0, UINT64_MAX, 0); /* between two: its time begins now */
    assert_int_equal(agent_deadline(s.agent), rv_after_ms(s.now, MS));
    s.now = agent_deadline(s.agent);
    expect(&s, "look 0\n");
    agent_on_begun(s.agent, s.now, 0, 0, s.now - 100 * RV_MS);
    s.now = agent_deadline(s.agent);
    expect(&s, "look 0\n");
    agent_on_begun(s.agent, s.now, 0, 0, s.now - MS * RV_MS);
    trim(&s, 10, 1); /* too late for that */
    expect(&s, "stop 0\n");
    assert_int_equal(agent_deadline(s.agent), RV_NEVER);
    ended(&s, 0, 0, false, "signal 9");
    expect(&s, "start 0 env=1\nitem 10 index=0 status=4 values=0 output=0 "
               "text=it took longer than it might, and was killed\n");
    end(&s);
}

/* ---- less than was given ---- */

static void a_chunk_is_trimmed_wherever_it_is(void **state)
{
    struct stage s;

    (void)state;
    begin_ready(&s, &plain);
    chunk(&s, 10, 1, 0, 6);
    expect(&s, "give 0 chunk=10 first=0 count=6 bodies=0\n");
    chunk(&s, 11, 1, 6, 4);
    job_like(&s, &(struct rv_agent_job_args){.job = 2, .kind = RV_CODE_COMMAND, .size = 1});
    chunk(&s, 12, 2, 0, 4); /* waits for its program */
    expect(&s, "load 2\nstart 1 env=1\n");
    trim(&s, 99, 1);
    trim(&s, 10, 6);
    trim(&s, 12, 3);
    expect(&s, "back 12 from=3\n");
    trim(&s, 12, 0);
    expect(&s, "back 12 from=0\n");
    trim(&s, 12, 0); /* it is no more */
    values(&s, 0, 0, 2);
    trim(&s, 10, 3);
    expect(&s, "trim 0 end=3\n");
    agent_on_trimmed(s.agent, s.now, 0, 2); /* that many are done: no news */
    agent_on_trimmed(s.agent, s.now, 1, 2); /* has no chunk */
    expect(&s, "");
    agent_on_trimmed(s.agent, s.now, 0, 4);
    expect(&s, "done 10 first=0 count=2\nback 10 from=4\n");
    agent_on_trimmed(s.agent, s.now, 0, 5); /* more than is left */
    values(&s, 0, 2, 2);
    agent_on_end(s.agent, s.now, 0, 4);
    agent_on_end(s.agent, s.now, 1, 4); /* it is not busy */
    expect(&s, "give 0 chunk=11 first=6 count=4 bodies=0\ndone 10 first=2 count=2\n");
    /* One that stops early by itself gives back what it did not begin. */
    values(&s, 0, 6, 1);
    agent_on_end(s.agent, s.now, 0, 7);
    expect(&s, "done 11 first=6 count=1\nback 11 from=7\n");
    end(&s);
}

static void what_is_over_at_the_manager_ends_here(void **state)
{
    struct stage s;

    (void)state;
    begin_ready(&s, &plain);
    job(&s, 2);
    chunk(&s, 10, 1, 0, 2);
    chunk(&s, 11, 1, 2, 2);
    chunk(&s, 20, 2, 0, 2);
    expect(&s, "give 0 chunk=10 first=0 count=2 bodies=0\nstart 1 env=1\n");
    values(&s, 0, 0, 1);
    gone(&s, 1);
    expect(&s, "stop 0\n");
    values(&s, 0, 1, 1); /* in vain */
    item(&s, 0, 1, "in vain");
    agent_on_trimmed(s.agent, s.now, 0, 1);
    agent_on_end(s.agent, s.now, 0, 2);
    expect(&s, "");
    agent_on_ready(s.agent, s.now, 0, 9); /* it does not start */
    ended(&s, 0, 1, false, "stopped");
    agent_on_ready(s.agent, s.now, 1, 78);
    expect(&s, "give 1 chunk=20 first=0 count=2 bodies=0\n");
    end(&s);
}

/* ---- leaving ---- */

static void an_agent_that_drains_gives_back_what_it_has_not_begun(void **state)
{
    struct stage s;

    (void)state;
    begin_ready(&s, &plain);
    chunk(&s, 10, 1, 0, 2);
    expect(&s, "give 0 chunk=10 first=0 count=2 bodies=0\n");
    chunk(&s, 11, 1, 2, 2);
    expect(&s, "start 1 env=1\n");
    assert_int_equal(agent_ahead(s.agent), 1);
    agent_drain(s.agent, s.now, false);
    expect(&s, "state draining=1\nback 11 from=2\n");
    chunk(&s, 12, 1, 4, 2);
    expect(&s, "back 12 from=4\n");
    values(&s, 0, 0, 1);
    ended(&s, 0, 1, false, "crash");
    expect(&s, "done 10 first=0 count=1\nitem 10 index=1 status=2 values=0 output=0 text=crash\n");
    expect(&s, "leave\n");
    end(&s);
}

static void an_agent_that_ends_now_stops_what_runs(void **state)
{
    struct stage s;

    (void)state;
    begin_ready(&s, &plain);
    chunk(&s, 10, 1, 0, 3);
    expect(&s, "give 0 chunk=10 first=0 count=3 bodies=0\n");
    agent_drain(s.agent, s.now, true);
    agent_drain(s.agent, s.now, true);
    expect(&s, "stop 0\nstate draining=1\n");
    ended(&s, 0, 0, false, "stopped"); /* nobody is to blame */
    expect(&s, "back 10 from=0\n");
    expect(&s, "leave\n");
    end(&s);
}

/* ---- what nobody needs ---- */

static void an_env_that_no_job_needs_ends_after_a_while(void **state)
{
    struct stage s;
    rv_ns idle = 0;

    (void)state;
    begin_ready(&s, &plain);
    job_like(&s, &(struct rv_agent_job_args){.job = 2, .kind = RV_CODE_COMMAND, .size = 1});
    expect(&s, "load 2\n");
    gone(&s, 1);
    gone(&s, 2); /* its program is still on its way */
    expect(&s, "");
    idle = agent_deadline(s.agent);
    assert_int_equal(idle, rv_after_ms(s.now, 10000));
    s.now = idle - 1;
    expect(&s, "");
    s.now = idle;
    expect(&s, "stop 0\n");
    assert_int_equal(agent_deadline(s.agent), RV_NEVER);
    expect(&s, "");
    ended(&s, 0, UINT64_MAX, false, "");
    assert_int_equal(agent_deadline(s.agent), rv_after_ms(s.now, 10000));
    agent_on_loaded(s.agent, s.now, 2, NULL, false);
    expect(&s, "unload 2\n"); /* it has waited long enough */
    s.now = agent_deadline(s.agent);
    expect(&s, "unload 1\n");
    assert_int_equal(agent_deadline(s.agent), RV_NEVER);
    end(&s);
}

/* What the manager says amiss begins and ends nothing. */
static void pushes_that_are_none_change_nothing(void **state)
{
    static const uint16_t ops[] = {RV_OP_agent_job, RV_OP_agent_chunk, RV_OP_agent_trim,
                                   RV_OP_agent_gone, RV_OP_queue_recall};
    struct stage s;

    (void)state;
    begin(&s);
    for (size_t i = 0; i < rv_countof(ops); i++) {
        struct rv_buf args = {0};

        rv_buf_add(&args, "\x01", 1);
        push(&s, ops[i], &args);
        expect(&s, "");
    }
    end(&s);
}

int test_agent(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(pushes_that_are_none_change_nothing),
        cmocka_unit_test(a_manager_that_has_no_place_for_it_is_left),
        cmocka_unit_test(a_link_that_is_dead_is_not_asked),
        cmocka_unit_test(jobs_share_runners_only_if_they_agree_in_all),
        cmocka_unit_test(what_cannot_run_is_said_once_for_each_job),
        cmocka_unit_test(chunks_of_nobody_come_back),
        cmocka_unit_test(large_items_are_given_with_their_bytes),
        cmocka_unit_test(runners_that_never_begin_end_the_job_here),
        cmocka_unit_test(runners_that_end_together_are_one_try),
        cmocka_unit_test(a_program_that_a_signal_ends_is_loaded_again),
        cmocka_unit_test(who_starts_for_an_env_that_failed_is_not_asked),
        cmocka_unit_test(a_runner_of_another_env_makes_room),
        cmocka_unit_test(a_process_has_so_many_items),
        cmocka_unit_test(values_wait_for_company_and_no_longer),
        cmocka_unit_test(large_values_go_beside_the_small_ones),
        cmocka_unit_test(texts_and_outputs_are_made_fit),
        cmocka_unit_test(the_item_that_ended_its_runner_is_named),
        cmocka_unit_test(each_item_that_ended_a_runner_is_told_of),
        cmocka_unit_test(an_item_that_ended_a_runner_is_not_given_back),
        cmocka_unit_test(a_runner_that_ends_between_items_is_forgiven_twice),
        cmocka_unit_test(an_item_that_takes_too_long_is_killed),
        cmocka_unit_test(a_chunk_is_trimmed_wherever_it_is),
        cmocka_unit_test(what_is_over_at_the_manager_ends_here),
        cmocka_unit_test(an_agent_that_drains_gives_back_what_it_has_not_begun),
        cmocka_unit_test(an_agent_that_ends_now_stops_what_runs),
        cmocka_unit_test(an_env_that_no_job_needs_ends_after_a_while),
    };

    return cmocka_run_group_tests_name("agent", tests, NULL, NULL);
}
