/* A saved state is the disk's word, not ours: whatever has become of it is refused or loaded, and harms
 * nobody. Its checksum is looked at before; this is what stands behind that. */

#include "server/core/save.h"
#include "tests/lib/check.h"
#include "tests/lib/sim.h"

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

/* Queues with items and waiters, a map with all that belongs to one, and work that was left. */
static void busy(struct sim *s)
{
    sim_start(s, 3);
    sim_agent_start(s, 4, 2);
    CHECK(sim_open(s, 1, "jobs", NULL) == REEVE_OK);
    CHECK(sim_open(s, 2, "jobs", NULL) == REEVE_OK);
    for (int i = 0; i < 20; i++)
        sim_put_wait(s, 1, "item", 1000);
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
