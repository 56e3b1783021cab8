/* Items that nobody finishes. multiprocessing's JoinableQueue loses what a dead consumer had. */

#include "tests/conform/conform.h"

#include <string.h>
#include <unistd.h>

enum { LONG = 30000 };

static const reeve_queue_options twice = {.joinable = true, .deliveries = 2};

/* Has the item, and waits to be killed. */
static void hold_it(reeve_context *ctx, struct stage *s, int fd)
{
    reeve_queue *q = NULL;
    reeve_value *item = NULL;

    OK(reeve_queue_open(&q, ctx, s->names[0], &twice));
    OK(reeve_queue_get(&item, q, LONG));
    OK(reeve_ping(ctx, LONG)); /* the manager knows that it has been handed out */
    lab_tell(fd);
    for (;;)
        pause();
}

static bool says(const reeve_value *map, const char *key, const char *want)
{
    const char *text = NULL;
    size_t len = 0;

    return reeve_get_str(reeve_value_find(map, key), &text, &len) && len == strlen(want) &&
           memcmp(text, want, len) == 0;
}

static bool counts(const reeve_value *map, const char *key, uint64_t want)
{
    uint64_t x = 0;

    return reeve_get_uint(reeve_value_find(map, key), &x) && x == want;
}

/* row: Q15 Q16 */
TEST(item_that_kills_its_consumers_is_put_aside_with_its_history)
{
    struct stage s;
    struct party p;
    reeve_queue *q = NULL;
    reeve_value *letters = NULL;
    const reeve_value *letter = NULL;
    const reeve_value *past = NULL;
    reeve_value *item = NULL;
    uint64_t moved = 0;

    stage_begin(&s);
    OK(reeve_queue_open(&q, s.ctx, stage_name(&s, 0), &twice));
    OK(reeve_queue_put_str(q, "poison", LONG));
    for (int i = 0; i < 2; i++) {
        party_begin(&p, &s, hold_it);
        CHECK(party_hears(&p));
        party_kill(&p);
    }
    /* Nobody has to wait for it any more, and nobody gets it. */
    OK(reeve_queue_join(q, LONG));
    CHECK(reeve_queue_get(&item, q, 0) == REEVE_EEMPTY);

    OK(reeve_dead_list(&letters, s.ctx, s.names[0], 0, 1000, LONG));
    CHECK(reeve_value_len(letters) == 1);
    letter = reeve_value_at(letters, 0);
    past = reeve_value_find(letter, "past");
    CHECK(says(letter, "item", "poison") && says(letter, "origin", s.names[0]));
    CHECK(counts(letter, "deliveries", 2) && reeve_value_len(past) == 2);
    for (size_t i = 0; i < 2; i++)
        CHECK(says(reeve_value_at(past, i), "how", "lost") ||
              says(reeve_value_at(past, i), "how", "expired"));

    OK(reeve_dead_requeue(s.ctx, s.names[0], 0, &moved, LONG));
    CHECK(moved == 1);
    OK(reeve_queue_get(&item, q, LONG));
    CHECK(reeve_value_deliveries(item) == 0);
    OK(reeve_queue_task_done(q, item));
    OK(reeve_queue_join(q, LONG));
    reeve_value_free(&item);
    reeve_value_free(&letters);
    reeve_queue_close(&q);
    stage_end(&s);
}
