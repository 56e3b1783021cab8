/* A saved state is the disk's word, not ours: whatever has become of it is refused or loaded, and harms
 * nobody. Its checksum is looked at before; this is what stands behind that. */

#include "server/core/save.h"
#include "common/wire/digest.h"
#include "tests/lib/sim_raw.h"

enum { TRIES = 2000 };

static void add_block(void *arg, struct rv_slice bytes)
{
    rv_buf_add(arg, bytes.data, bytes.len);
}

/* There with the address sanitizer alone. */
void __lsan_disable(void) __attribute__((weak));
void __lsan_enable(void) __attribute__((weak));

/* A manager that could not load is not even to be freed. */
static bool loads(struct sim *s, struct rv_slice state)
{
    bool loaded = false;

    if (__lsan_disable != NULL)
        __lsan_disable();
    loaded = mgr_load(sim_server_mgr(s), state);
    if (__lsan_enable != NULL)
        __lsan_enable();
    return loaded;
}

/* Locks that are held and waited for, a condition with a sleeper and one who died asleep, barriers in all their
 * phases, permits with guards. */
static void meet(struct sim *s)
{
    struct rv_lock_acquire_result got = {0};
    struct rv_request *call = NULL;
    uint64_t lock = 0;
    uint64_t condition = 0;
    uint64_t event = 0;
    uint64_t filling = 0;
    uint64_t releasing = 0;

    for (int c = 1; c <= 3; c++) {
        lock = raw_open(
            s, c,
            &(struct rv_object_open_args){.kind = RV_KIND_RLOCK, .name = rv_slice_str("lock")});
        condition = raw_open(s, c,
                             &(struct rv_object_open_args){.kind = RV_KIND_CONDITION,
                                                           .name = rv_slice_str("condition")});
        event = raw_open(
            s, c,
            &(struct rv_object_open_args){.kind = RV_KIND_EVENT, .name = rv_slice_str("event")});
        filling =
            raw_open(s, c,
                     &(struct rv_object_open_args){
                         .kind = RV_KIND_BARRIER, .name = rv_slice_str("filling"), .maxsize = 5});
        releasing =
            raw_open(s, c,
                     &(struct rv_object_open_args){
                         .kind = RV_KIND_BARRIER, .name = rv_slice_str("releasing"), .maxsize = 2});
    }
    for (uint64_t c = 1; c <= 3; c++) {
        RAW(s, (int)c, REEVE_OK, lock_acquire, condition, .thread = c);
        RAW_BEGIN(call, s, (int)c, UINT32_MAX, condition_wait, condition, .thread = c);
        raw_leave(call);
        RAW_BEGIN(call, s, (int)c, UINT32_MAX, barrier_wait, filling, .thread = 10 + c);
        raw_leave(call);
    }
    RAW_FOR(s, 1, &got, lock_acquire, lock, .thread = 4);
    RAW(s, 1, REEVE_OK, lock_acquire, lock, .thread = 4);
    RAW_BEGIN(call, s, 2, UINT32_MAX, lock_acquire, lock, .thread = 4);
    raw_leave(call);
    RAW_SAID(s, 1, 0, lock_guard, lock, .fence = got.fence);
    RAW_BEGIN(call, s, 1, UINT32_MAX, event_wait, event, .thread = 5);
    raw_leave(call);
    RAW_BEGIN(call, s, 2, UINT32_MAX, barrier_wait, releasing, .thread = 6);
    raw_leave(call);
    RAW(s, 1, REEVE_OK, barrier_wait, releasing, .thread = 6, .action = 1);
    RAW_BEGIN(call, s, 3, UINT32_MAX, barrier_wait, releasing, .thread = 6);
    raw_leave(call);
    sim_run(s, 10);
    (void)raw_open(s, 1, &(struct rv_object_open_args){.kind = RV_KIND_SEMAPHORE, .maxsize = 9});
}

/* Containers of all kinds, with who waits for them, and letters that died in one. */
static void fill(struct sim *s)
{
    struct rv_request *call = NULL;
    uint64_t dict = raw_open(s, 1, &(struct rv_object_open_args){.kind = RV_KIND_DICT});
    uint64_t set = raw_open(s, 1, &(struct rv_object_open_args){.kind = RV_KIND_SET});
    uint64_t list = raw_open(s, 1, &(struct rv_object_open_args){.kind = RV_KIND_LIST});
    struct rv_object_open_args dying = {
        .kind = RV_KIND_QUEUE, .name = rv_slice_str("dying"), .joinable = 1, .deliveries = 1};
    uint64_t queue = raw_open(s, 1, &dying);

    (void)raw_open(
        s, 1, &(struct rv_object_open_args){.kind = RV_KIND_ARRAY, .maxsize = 3, .typecode = 'i'});
    RAW(s, 1, REEVE_OK, dict_set, dict, .pairs = raw_items("\x01\x02\x03\x04", 4));
    RAW(s, 1, REEVE_OK, set_add, set, .values = raw_items("\x01\x02\x03", 3));
    RAW(s, 1, REEVE_OK, list_insert, list, .values = raw_items("\x01\x02\x03", 3));
    RAW_BEGIN(call, s, 1, UINT32_MAX, dict_wait, dict, .key = rv_slice_str("\x09"), .seen = 0);
    raw_leave(call);
    RAW_BEGIN(call, s, 1, UINT32_MAX, list_wait, list, .seen = 1);
    raw_leave(call);
    RAW(s, 1, REEVE_OK, queue_put, queue,
        .items = raw_slices(&(struct rv_slice){(const uint8_t[8]){0}, 8}, 1));
    RAW(s, 1, REEVE_OK, queue_get, queue, .max = 1);
    RAW_SAID(s, 1, 0, queue_take, queue, .taken = 1);
    RAW_SAID(s, 1, 0, object_close, queue, .end_ = 0);
}

/* Programs, whole and half, and a job of one. */
static void ship(struct sim *s)
{
    static uint8_t program[300];
    uint8_t digest[RV_LIMIT_DIGEST_BYTES];
    struct rv_digest sum;

    rv_digest_init(&sum);
    rv_digest_add(&sum, rv_slice(program, sizeof program));
    rv_digest_end(&sum, digest);
    for (size_t i = 0; i < 2; i++, digest[0]++) {
        RAW(s, 1, REEVE_OK, blob_open, 0, .digest = rv_slice(digest, sizeof digest),
            .size = sizeof program);
        RAW_SAID(s, 1, 0, blob_put, 0, .digest = rv_slice(digest, sizeof digest),
                 .data = rv_slice(program, i == 0 ? sizeof program : 100));
        RAW(s, 1, i == 0 ? REEVE_OK : REEVE_ENOENT, job_open, 0, .create = 1,
            .kind = RV_CODE_PROGRAM, .digest = rv_slice(digest, sizeof digest),
            .total = UINT64_MAX);
    }
}

/* Queues with items and waiters, a map with all that belongs to one, and work that was left. */
static void busy(struct sim *s)
{
    sim_start(s, 3);
    sim_agent_start(s, 4, 2);
    CHECK(sim_open(s, 1, "jobs", NULL) == REEVE_OK);
    CHECK(sim_open(s, 2, "jobs", NULL) == REEVE_OK);
    for (int i = 0; i < 20; i++)
        sim_put_wait(s, 1, "item", 1000);
    sim_principal(s, "admin", "");
    sim_run(s, 10);
    fill(s);
    meet(s);
    ship(s);
    sim_map(s, 2, &(struct sim_map){.items = 400, .name = "night", .stream = true, .leave = true});
    sim_map(s, 3, &(struct sim_map){.items = 300});
    sim_run(s, 40);
}

static void save(struct sim *s, struct rv_buf *state)
{
    struct saver saver = {.block = add_block, .arg = state};

    busy(s);
    CHECK(mgr_can_save(s->server.mgr));
    mgr_save(s->server.mgr, &saver);
    CHECK(loads(s, rv_buf_slice(state)));
}

TEST(saved_state_that_is_cut_off_is_refused)
{
    struct sim s;
    struct rv_buf state = {0};

    save(&s, &state);
    for (size_t len = 0; len < state.len; len += 1 + state.len / TRIES)
        CHECK(!loads(&s, rv_slice(state.data, len)));
    rv_buf_free(&state);
    sim_stop(&s);
}

TEST(saved_state_that_was_changed_harms_nobody)
{
    static const uint8_t bits[] = {0x01, 0x80, 0xff};
    struct sim s;
    struct rv_buf state = {0};

    save(&s, &state);
    for (size_t at = 0; at < state.len; at += 1 + state.len / TRIES)
        for (size_t i = 0; i < rv_countof(bits); i++) {
            state.data[at] ^= bits[i];
            (void)loads(&s, rv_buf_slice(&state));
            state.data[at] ^= bits[i];
        }
    rv_buf_free(&state);
    sim_stop(&s);
}
