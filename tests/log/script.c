#include "tests/log/script.h"

#include "common/value/path.h"
#include "tests/lib/check.h"

#include <stdio.h>
#include <stdlib.h>

enum { SESSIONS = 3, QUEUES = 3, GROUP = 3, SNAPSHOT_EVERY = 45 };

/* Objects in the order in which they are opened: behind the queues. */
enum { DICT = QUEUES + 1, LIST, SET, ARRAY, BOXES = ARRAY - QUEUES };

struct step {
    struct command cmd;
    struct rv_slice body;
    uint8_t *bytes;
};

static struct step steps[SCRIPT_COMMANDS];
static size_t steps_len;
static uint32_t hashes[SCRIPT_COMMANDS + 2]; /* by index of the record; 1 is the restart */
static uint64_t lens[SCRIPT_COMMANDS + 2];

static const struct rv_id store = {{'s', 'c', 'r', 'i', 'p', 't'}};

/* ---- making ---- */

static uint64_t numbers[SESSIONS + 1]; /* last message of each session */
static struct rv_rng rng = {7};
static rv_ns now = 1000 * RV_SEC;

static uint64_t below(uint64_t limit)
{
    return rv_rng_below(&rng, limit);
}

static void keep(const struct command *cmd, const struct rv_buf *bytes, struct rv_slice body)
{
    struct step *s = &steps[steps_len++];

    now += (rv_ns)below(20) * RV_MS;
    s->cmd = *cmd;
    s->cmd.logged = true;
    s->cmd.at = now;
    if (bytes != NULL) {
        s->bytes = rv_alloc(bytes->len);
        memcpy(s->bytes, bytes->data, bytes->len);
        s->cmd.bytes = rv_slice(s->bytes, bytes->len);
    }
    if (body.len > 0) {
        s->body = body;
        s->cmd.bodies = &s->body;
        s->cmd.bodies_len = 1;
    }
}

static void add_hello(int session, uint32_t attempt)
{
    struct rv_buf b = {0};
    struct rv_buf bare = {0};
    struct rv_msg msg = {.type = RV_MSG_hello,
                         .hello = {.major = 1,
                                   .session = {{1, (uint8_t)session}},
                                   .attempt = attempt,
                                   .established = attempt > 1,
                                   .store = store,
                                   .resume_ms = 5000,
                                   .host_name = rv_slice_str("host"),
                                   .program = rv_slice_str("script")}};

    rv_msg_encode(&b, &msg);
    rv_buf_add(&bare, b.data + 4, b.len - 4);
    keep(&(struct command){.type = COMMAND_OPEN, .principal = 1, .peer = (uint64_t)session}, &bare,
         rv_slice(NULL, 0));
    rv_buf_free(&b);
    rv_buf_free(&bare);
}

static void add_messages(int session, const struct rv_buf *messages, uint64_t count,
                         struct rv_slice body)
{
    keep(&(struct command){.type = COMMAND_MESSAGES,
                           .session = (uint64_t)session,
                           .first = numbers[session] + 1,
                           .ack = numbers[session] / 4},
         messages, body);
    numbers[session] += count;
}

static void add_call(int session, uint16_t op, uint64_t object, uint32_t timeout_ms,
                     const struct rv_buf *args, struct rv_slice body)
{
    struct rv_buf b = {0};

    rv_msg_encode(&b, &(struct rv_msg){.type = RV_MSG_call,
                                       .call = {.op = op,
                                                .object = object,
                                                .timeout_ms = timeout_ms,
                                                .args = rv_buf_slice(args)}});
    add_messages(session, &b, 1, body);
    rv_buf_free(&b);
}

static void add_open(int session, int queue)
{
    static const struct {
        const char *name;
        uint8_t order, joinable;
        uint32_t maxsize, deliveries, retry_ms;
    } queues[] = {{"plain", RV_ORDER_FIFO, 0, 0, 0, 0},
                  {"first", RV_ORDER_PRIORITY, 1, 0, 2, 40},
                  {"small", RV_ORDER_LIFO, 1, 3, 1, 0}};
    struct rv_buf args = {0};

    rv_object_open_args_encode(
        &args, &(struct rv_object_open_args){.name = rv_slice_str(queues[queue].name),
                                             .create = 1,
                                             .kind = RV_KIND_QUEUE,
                                             .order = queues[queue].order,
                                             .joinable = queues[queue].joinable,
                                             .maxsize = queues[queue].maxsize,
                                             .deliveries = queues[queue].deliveries,
                                             .retry_ms = queues[queue].retry_ms,
                                             .ttl_ms = 60000});
    add_call(session, RV_OP_object_open, 0, 0, &args, rv_slice(NULL, 0));
    rv_buf_free(&args);
}

static void add_put(int session, uint64_t object)
{
    static const uint8_t large[300] = {'x'};
    struct rv_buf items = {0};
    struct rv_buf args = {0};
    uint32_t count = 1 + (uint32_t)below(4);
    bool long_one = below(6) == 0;
    char text[32];

    for (uint32_t i = 0; i < count; i++) {
        snprintf(text, sizeof text, "item %zu.%u", steps_len, i);
        rv_item_write(&items, &(struct rv_item){.len = (uint32_t)strlen(text),
                                                .priority = object == 2 ? (int64_t)below(9) : 0,
                                                .bytes = rv_slice_str(text)});
    }
    if (long_one)
        rv_item_write(
            &items, &(struct rv_item){.len = sizeof large, .bytes = rv_slice(large, sizeof large)});
    rv_queue_put_args_encode(
        &args, &(struct rv_queue_put_args){.items = {count + long_one, rv_buf_slice(&items)}});
    add_call(session, RV_OP_queue_put, object, below(2) == 0 ? 400 : 0, &args, rv_slice(NULL, 0));
    rv_buf_free(&items);
    rv_buf_free(&args);
}

static void add_get(int session, uint64_t object)
{
    struct rv_buf args = {0};

    rv_queue_get_args_encode(&args, &(struct rv_queue_get_args){.max = 1 + (uint32_t)below(2),
                                                                .seen = below(40) + 10,
                                                                .credit = (uint32_t)below(4)});
    add_call(session, RV_OP_queue_get, object, (uint32_t)below(2) * 300, &args, rv_slice(NULL, 0));
    rv_buf_free(&args);
}

static void add_take(int session, uint64_t object)
{
    struct rv_buf args = {0};

    rv_queue_take_args_encode(&args, &(struct rv_queue_take_args){.taken = below(6), .credit = 2});
    add_call(session, RV_OP_queue_take, object, 0, &args, rv_slice(NULL, 0));
    rv_buf_free(&args);
}

static void add_done(int session, uint64_t object)
{
    struct rv_buf args = {0};

    rv_queue_task_done_args_encode(&args,
                                   &(struct rv_queue_task_done_args){.delivery = below(6) + 1});
    add_call(session, RV_OP_queue_task_done, object, 0, &args, rv_slice(NULL, 0));
    rv_buf_free(&args);
}

static void add_fragment(int session)
{
    static const uint8_t piece[200] = {'f'};
    struct rv_buf b = {0};

    rv_msg_encode(&b, &(struct rv_msg){.type = RV_MSG_fragment,
                                       .fragment = {.body = steps_len, .total = 300000}});
    add_messages(session, &b, 1, rv_slice(piece, sizeof piece));
    rv_buf_free(&b);
}

static void add_cancel(int session, uint64_t object)
{
    struct rv_buf b = {0};

    rv_msg_encode(
        &b, &(struct rv_msg){.type = RV_MSG_cancel,
                             .cancel = {.call = numbers[session] - below(4), .object = object}});
    add_messages(session, &b, 1, rv_slice(NULL, 0));
    rv_buf_free(&b);
}

/* ---- containers ---- */

static void add_open_box(int session, uint64_t object)
{
    static const struct rv_object_open_args boxes[BOXES] = {
        {.kind = RV_KIND_DICT, .bytes = 400},
        {.kind = RV_KIND_LIST},
        {.kind = RV_KIND_SET},
        {.kind = RV_KIND_ARRAY, .maxsize = 4, .typecode = 'i'},
    };
    static const char *const names[BOXES] = {"dict", "list", "set", "array"};
    struct rv_object_open_args box = boxes[object - DICT];
    struct rv_buf args = {0};

    box.create = 1;
    box.name = rv_slice_str(names[object - DICT]);
    box.ttl_ms = 60000;
    rv_object_open_args_encode(&args, &box);
    add_call(session, RV_OP_object_open, 0, 0, &args, rv_slice(NULL, 0));
    rv_buf_free(&args);
}

/* Small numbers, each of them one byte; now and then one refers to a queue. */
static void add_value(struct rv_buf *items, uint64_t limit, bool refers)
{
    uint8_t bytes[17] = {(uint8_t)below(limit)};
    uint8_t ref[8] = {0};
    struct rv_item item = {.len = 1, .bytes = rv_slice(bytes, 1)};

    if (refers && below(4) == 0) {
        static const uint8_t head[] = {0x91, 0xc7, 0x0d, 0x01, RV_KIND_QUEUE};

        memset(bytes, 0, sizeof bytes);
        memcpy(bytes, head, sizeof head);
        rv_set_number(ref, 1 + below(QUEUES), 8);
        memcpy(bytes + sizeof head, ref, 8);
        item.len = sizeof bytes;
        item.bytes = rv_slice(bytes, sizeof bytes);
        item.refs = rv_slice(ref, 8);
    }
    rv_item_write(items, &item);
}

/* The arguments of some change without its values; how many those are. */
static uint16_t some_change(uint64_t object, struct rv_buf *args, uint32_t *count)
{
    uint8_t key = (uint8_t)below(6);
    struct rv_slice bytes = rv_slice(&key, 1);
    uint64_t how = below(5);

    *count = 1;
    if (object == DICT && how == 0) {
        *count = 0;
        rv_dict_pop_args_encode(args, &(struct rv_dict_pop_args){.key = bytes});
        return RV_OP_dict_pop;
    }
    if (object == DICT && how == 1) {
        rv_dict_edit_args_encode(args,
                                 &(struct rv_dict_edit_args){.verb = RV_EDIT_ADD, .key = bytes});
        return RV_OP_dict_edit;
    }
    if (object == DICT) {
        *count = 2;
        rv_dict_set_args_encode(args, &(struct rv_dict_set_args){0});
        return RV_OP_dict_set;
    }
    if (object == LIST && how == 0) {
        *count = 0;
        rv_list_pop_args_encode(args, &(struct rv_list_pop_args){.at = -1});
        return RV_OP_list_pop;
    }
    if (object == LIST && how == 1) {
        *count = 0;
        rv_list_sort_args_encode(args, &(struct rv_list_sort_args){.reverse = key & 1});
        return RV_OP_list_sort;
    }
    if (object == LIST) {
        *count = 2;
        rv_list_insert_args_encode(args, &(struct rv_list_insert_args){.at = key});
        return RV_OP_list_insert;
    }
    if (object == SET && how == 0) {
        rv_set_discard_args_encode(args, &(struct rv_set_discard_args){0});
        return RV_OP_set_discard;
    }
    if (object == SET) {
        rv_set_add_args_encode(args, &(struct rv_set_add_args){0});
        return RV_OP_set_add;
    }
    rv_list_set_args_encode(args, &(struct rv_list_set_args){.at = (int64_t)below(5)});
    return RV_OP_list_set;
}

static void add_values(struct rv_buf *args, uint64_t object, uint32_t count)
{
    size_t start = args->len;

    for (uint32_t i = 0; i < count; i++)
        add_value(args, 6, (object == DICT && count == 2 && i == 1) || object == LIST);
    if (count == 0)
        return;
    rv_set_number(args->data + start - 8, count, 4);
    rv_set_number(args->data + start - 4, args->len - start, 4);
}

static void add_change(int session)
{
    uint64_t object = DICT + below(BOXES);
    struct rv_buf args = {0};
    uint32_t count = 0;
    uint16_t op = some_change(object, &args, &count);

    add_values(&args, object, count);
    add_call(session, op, object, 0, &args, rv_slice(NULL, 0));
    rv_buf_free(&args);
}

/* Three changes, one of which may fail. */
static void add_batch(int session)
{
    struct rv_buf args = {0};
    struct rv_buf calls = {0};
    struct rv_buf items = {0};
    uint32_t values = 0;

    for (int i = 0; i < 3; i++) {
        uint64_t object = DICT + below(BOXES);
        size_t start = calls.len;
        uint32_t count = 0;
        uint16_t op = 0;

        rv_buf_clear(&args);
        op = some_change(object, &args, &count);
        rv_write_number(&calls, 0, 4);
        rv_batch_call_encode(
            &calls, &(struct rv_batch_call){
                        .op = op, .object = object, .values = count, .args = rv_buf_slice(&args)});
        rv_set_number(calls.data + start, calls.len - start - 4, 4);
        for (uint32_t k = 0; k < count; k++)
            add_value(&items, 6, false);
        values += count;
    }
    rv_buf_clear(&args);
    rv_batch_args_encode(&args, &(struct rv_batch_args){.count = 3,
                                                        .calls = rv_buf_slice(&calls),
                                                        .values = {values, rv_buf_slice(&items)}});
    add_call(session, RV_OP_batch, 0, 0, &args, rv_slice(NULL, 0));
    rv_buf_free(&args);
    rv_buf_free(&calls);
    rv_buf_free(&items);
}

/* What it has seen is told at once, or waited past. */
static void add_wait(int session)
{
    uint8_t key = (uint8_t)below(6);
    struct rv_buf args = {0};

    rv_dict_wait_args_encode(&args,
                             &(struct rv_dict_wait_args){.seen = below(3) == 0 ? below(30) : 0,
                                                         .key = rv_slice(&key, 1)});
    add_call(session, RV_OP_dict_wait, DICT, 300, &args, rv_slice(NULL, 0));
    rv_buf_free(&args);
}

static void add_any(void)
{
    static uint32_t attempts = 1;
    int session = 1 + (int)below(SESSIONS);
    uint64_t object = 1 + below(QUEUES);

    switch (below(24)) {
    case 17:
    case 18:
    case 19:
    case 20:
        add_change(session);
        break;
    case 21:
    case 22:
        add_batch(session);
        break;
    case 23:
        add_wait(session);
        break;
    case 16: {
        struct rv_buf none = {0};

        add_call(session, RV_OP_object_close, object, 0, &none, rv_slice(NULL, 0));
        add_open(session, (int)object - 1);
        break;
    }
    case 0:
        add_take(session, object);
        break;
    case 1:
        add_done(session, object);
        break;
    case 2:
        add_cancel(session, object);
        break;
    case 3:
        add_fragment(session);
        break;
    case 4:
        keep(&(struct command){.type = COMMAND_EXPIRE}, NULL, rv_slice(NULL, 0));
        break;
    case 5:
        keep(&(struct command){.type = COMMAND_DETACH,
                               .session = (uint64_t)session,
                               .attempt = attempts},
             NULL, rv_slice(NULL, 0));
        add_hello(session, ++attempts);
        break;
    case 6:
        keep(&(struct command){.type = COMMAND_PAUSE, .first = RV_MS}, NULL, rv_slice(NULL, 0));
        break;
    case 7:
    case 8:
    case 9:
    case 10:
        add_get(session, object);
        break;
    default:
        add_put(session, object);
    }
}

static void add_principal(void)
{
    struct rv_buf row = {0};

    rv_principal_row_encode(&row, &(struct rv_principal_row){.id = 1,
                                                             .name = rv_slice_str("script"),
                                                             .role = rv_slice_str("admin")});
    keep(&(struct command){.type = COMMAND_PRINCIPAL}, &row, rv_slice(NULL, 0));
    rv_buf_free(&row);
}

static struct mgr *new_mgr(void)
{
    return mgr_new(&(struct mgr_conf){.store = store, .server = "script", .durable = "sync"});
}

static void step(struct mgr *mgr, const struct command *cmd)
{
    struct outbox out = {0};

    mgr_step(mgr, cmd, &out);
    outbox_free(&out);
}

static uint32_t hash_of(const struct mgr *mgr, uint64_t *len)
{
    struct saver saver = {0};

    mgr_save(mgr, &saver);
    *len = saver.len;
    return saver.hash;
}

static const struct command restart = {
    .type = COMMAND_RESTART, .logged = true, .at = 1000 * RV_SEC, .first = 1};

void script_make(void)
{
    struct mgr *mgr = NULL;

    if (steps_len > 0)
        return;
    add_principal();
    for (int s = 1; s <= SESSIONS; s++)
        add_hello(s, 1);
    for (int s = 1; s <= SESSIONS; s++)
        for (int q = 0; q < QUEUES; q++)
            add_open(s, q);
    for (int s = 1; s <= SESSIONS; s++)
        for (uint64_t o = DICT; o < DICT + BOXES; o++)
            add_open_box(s, o);
    while (steps_len + 1 < SCRIPT_COMMANDS)
        add_any();
    mgr = new_mgr();
    step(mgr, &restart);
    hashes[1] = hash_of(mgr, &lens[1]);
    for (size_t i = 0; i < steps_len; i++) {
        step(mgr, &steps[i].cmd);
        mgr_check(mgr);
        hashes[i + 2] = hash_of(mgr, &lens[i + 2]);
    }
    mgr_free(&mgr);
}

uint64_t script_end(void)
{
    return steps_len + 1;
}

/* ---- playing ---- */

static void close_run(struct script_run *run)
{
    journal_close(&run->journal);
    mgr_free(&run->mgr);
    rv_buf_free(&run->group);
}

static int append(struct script_run *run, bool sync)
{
    size_t done = 0;
    int err = journal_append(run->journal, &run->group, &done, sync);

    /* A full disk is waited for; here it has room at once. */
    for (int tries = 0; err == -ENOSPC && tries < 3; tries++) {
        run->full++;
        err = journal_append(run->journal, &run->group, &done, sync);
    }
    rv_buf_clear(&run->group);
    return err;
}

static bool open_run(struct script_run *run)
{
    struct journal_conf conf = {
        .disk = &run->disk->disk, .segment_bytes = SCRIPT_SEGMENT, .new_store = store};
    char why[JOURNAL_WHY];

    if (!journal_open(&run->journal, &conf, why) ||
        !journal_replay(run->journal, &(struct journal_replay){0}, why))
        return false;
    run->mgr = new_mgr();
    record_add(&run->group, 1, 1, &restart);
    run->error = append(run, true);
    if (run->error != 0)
        return false;
    step(run->mgr, &restart);
    run->written = run->flushed = 1;
    return true;
}

static int take_snapshot(struct script_run *run)
{
    struct journal_stat stat;
    struct snapshot s = {.store = store, .at = mgr_now(run->mgr)};
    int err = append(run, true);

    journal_stat(run->journal, &stat);
    s.index = stat.index;
    s.epoch = stat.epoch;
    s.flush = stat.flush;
    if (err == 0)
        err = journal_snapshot(&run->disk->disk, run->mgr, &s);
    if (err == 0)
        err = journal_adopt(&run->disk->disk, &s);
    if (err == 0)
        err = journal_snapshotted(run->journal, &s, stat.bytes);
    return err;
}

static bool is_sync(const struct script_run *run, size_t i)
{
    return run->level == SCRIPT_SYNC || (run->level == SCRIPT_MIXED && i % 5 < 2);
}

void script_play(struct script_run *run)
{
    size_t taken = 0;

    if (!open_run(run)) {
        run->error = run->error == 0 ? -EIO : run->error;
        close_run(run);
        return;
    }
    for (size_t i = 0; i < steps_len && run->error == 0; i++) {
        bool sync = is_sync(run, i);
        size_t group = run->level == SCRIPT_NONE ? 4 * GROUP : 1 + i % GROUP;

        record_add(&run->group, i + 2, 1, &steps[i].cmd);
        step(run->mgr, &steps[i].cmd);
        if (i % group != 0 && i + 1 < steps_len)
            continue;
        run->error = append(run, sync);
        if (run->error != 0)
            break;
        run->written = i + 2;
        run->flushed = sync ? i + 2 : run->flushed;
        (void)journal_prepare(run->journal);
        /* A snapshot that fails is tried again later, unless the process has died. */
        if (run->snapshots && i / SNAPSHOT_EVERY > taken) {
            taken++;
            run->taken += take_snapshot(run) == 0;
        }
        run->error = run->disk->dead ? -EIO : 0;
    }
    if (run->error == 0)
        run->error = journal_seal(run->journal);
    if (run->error == 0)
        run->flushed = run->written;
    close_run(run);
}

/* ---- finding ---- */

static bool on_load(void *arg, const struct snapshot *s, struct rv_slice state)
{
    (void)s;
    return mgr_load(arg, state);
}

static bool on_command(void *arg, const struct record *rec, const struct command *cmd)
{
    (void)rec;
    step(arg, cmd);
    return true;
}

static void on_line(void *arg, int level, const char *text)
{
    struct script_found *found = arg;

    (void)level;
    found->bad_snapshot = found->bad_snapshot || strncmp(text, "snapshot.bad", 12) == 0;
}

static struct mgr *find(struct disk_mem *disk, bool read_only, struct script_found *out,
                        struct journal **j)
{
    struct mgr *mgr = new_mgr();
    struct journal_conf conf = {.disk = &disk->disk,
                                .segment_bytes = SCRIPT_SEGMENT,
                                .read_only = read_only,
                                .new_store = store,
                                .sink = {on_line, out}};
    struct journal_stat stat;

    *out = (struct script_found){0};
    out->ok = journal_open(j, &conf, out->why) &&
              journal_replay(
                  *j, &(struct journal_replay){.arg = mgr, .load = on_load, .command = on_command},
                  out->why);
    if (!out->ok)
        return mgr;
    mgr_check(mgr);
    journal_stat(*j, &stat);
    out->index = stat.index;
    if (stat.sealed)
        out->index--;
    out->cut = stat.cut;
    out->hash = hash_of(mgr, &out->len);
    return mgr;
}

/* Three more commands, the first of which says that the manager was opened again. */
static int go_on(struct journal *j, struct mgr *mgr)
{
    struct rv_buf group = {0};
    struct journal_stat stat;
    int err = 0;

    journal_stat(j, &stat);
    for (uint64_t i = 1; i <= 3 && err == 0; i++) {
        struct command cmd = restart;
        size_t done = 0;

        cmd.at = mgr_now(mgr);
        rv_buf_clear(&group);
        record_add(&group, stat.index + i, stat.epoch, &cmd);
        step(mgr, &cmd);
        err = journal_append(j, &group, &done, true);
    }
    rv_buf_free(&group);
    return err;
}

void script_recover(struct disk_mem *disk, bool read_only, struct script_found *out)
{
    struct journal *j = NULL;
    struct mgr *mgr = find(disk, read_only, out, &j);
    struct script_found again;
    uint64_t len = 0;
    uint32_t hash = 0;

    if (out->ok && !read_only) {
        CHECK(go_on(j, mgr) == 0);
        hash = hash_of(mgr, &len);
        journal_close(&j);
        mgr_free(&mgr);
        disk_mem_reopen(disk);
        mgr = find(disk, true, &again, &j);
        CHECK(again.ok && again.cut == 0);
        CHECK(again.hash == hash && again.len == len);
    }
    journal_close(&j);
    mgr_free(&mgr); /* also of a log that was refused: what was read before is whole */
}

bool script_knows(const struct script_found *found)
{
    struct mgr *mgr = NULL;
    uint64_t len = 0;
    bool empty = false;

    if (found->index == 0) {
        mgr = new_mgr();
        empty = hash_of(mgr, &len) == found->hash;
        mgr_free(&mgr);
        return empty;
    }
    return found->index <= script_end() && hashes[found->index] == found->hash &&
           lens[found->index] == found->len;
}
