/* Programs that the manager keeps: what no client of ours says is refused, and old ones make room. */

#include "common/wire/digest.h"
#include "common/wire/msg.h"
#include "tests/lib/check.h"
#include "tests/lib/sim.h"

enum { PROGRAM = 300, LARGE = RV_LIMIT_BLOB_BYTES };

static uint8_t digest[RV_LIMIT_DIGEST_BYTES];
static uint8_t program[PROGRAM];

static void start(struct sim *s)
{
    struct rv_digest sum;

    for (size_t i = 0; i < sizeof program; i++)
        program[i] = (uint8_t)i;
    rv_digest_init(&sum);
    rv_digest_add(&sum, rv_slice(program, sizeof program));
    rv_digest_end(&sum, digest);
    sim_start(s, 1);
    sim_principal(s, "admin", "");
}

static reeve_err open_blob(struct sim *s, struct rv_slice name, uint64_t size, uint64_t *have)
{
    struct rv_buf args = {0};
    struct rv_buf result = {0};
    struct rv_blob_open_result opened = {0};
    reeve_err err = REEVE_OK;

    rv_blob_open_args_encode(&args, &(struct rv_blob_open_args){.digest = name, .size = size});
    err = sim_ask(s, 1, RV_OP_blob_open, 0, &args, &result);
    if (err == REEVE_OK)
        CHECK(rv_blob_open_result_decode(&opened, rv_buf_slice(&result)));
    if (have != NULL)
        *have = opened.have;
    rv_buf_free(&result);
    return err;
}

static void put_blob(struct sim *s, struct rv_slice name, uint64_t offset, struct rv_slice data)
{
    struct sim_client *c = &s->clients[1];
    struct rv_buf args = {0};

    rv_blob_put_args_encode(
        &args, &(struct rv_blob_put_args){.digest = name, .offset = offset, .data = data});
    CHECK(rv_link_say(&c->link, RV_OP_blob_put, 0, rv_buf_slice(&args)));
    rv_buf_free(&args);
    sim_client_pump(s, c);
}

static reeve_err read_blob(struct sim *s, struct rv_slice name, uint64_t offset, uint32_t len,
                           size_t *got)
{
    struct rv_buf args = {0};
    struct rv_buf result = {0};
    struct rv_blob_read_result piece = {0};
    reeve_err err = REEVE_OK;

    rv_blob_read_args_encode(
        &args, &(struct rv_blob_read_args){.digest = name, .offset = offset, .len = len});
    err = sim_ask(s, 1, RV_OP_blob_read, 0, &args, &result);
    if (err == REEVE_OK)
        CHECK(rv_blob_read_result_decode(&piece, rv_buf_slice(&result)));
    *got = piece.data.len;
    rv_buf_free(&result);
    return err;
}

static struct rv_slice named(uint8_t last)
{
    static uint8_t name[RV_LIMIT_DIGEST_BYTES];

    name[sizeof name - 1] = last;
    return rv_slice(name, sizeof name);
}

TEST(program_without_a_good_name_or_size_is_refused)
{
    struct sim s;
    const struct rv_slice good = rv_slice(digest, sizeof digest);

    start(&s);
    CHECK(open_blob(&s, rv_slice(digest, 3), PROGRAM, NULL) == REEVE_EINVAL);
    CHECK(open_blob(&s, good, 0, NULL) == REEVE_EINVAL);
    CHECK(open_blob(&s, good, (uint64_t)LARGE + 1, NULL) == REEVE_ETOOBIG);
    CHECK(open_blob(&s, good, PROGRAM, NULL) == REEVE_OK);
    CHECK(open_blob(&s, good, PROGRAM + 1, NULL) == REEVE_EINVAL);
    sim_stop(&s);
}

TEST(pieces_of_a_program_count_once_and_in_order)
{
    struct sim s;
    const struct rv_slice good = rv_slice(digest, sizeof digest);
    uint64_t have = 0;
    size_t got = 0;

    start(&s);
    put_blob(&s, good, 0, rv_slice(program, 10)); /* nobody has opened it */
    CHECK(open_blob(&s, good, PROGRAM, &have) == REEVE_OK && have == 0);
    CHECK(read_blob(&s, good, 0, 10, &got) == REEVE_ENOENT);
    put_blob(&s, good, 5, rv_slice(program + 5, 10)); /* behind what is there */
    put_blob(&s, good, 0, rv_slice(program, 100));
    put_blob(&s, good, 0, rv_slice(program, 50));        /* again */
    put_blob(&s, good, 90, rv_slice(program + 90, 110)); /* half of it is new */
    put_blob(&s, good, 200, rv_slice(program, 101));     /* more than there can be */
    CHECK(open_blob(&s, good, PROGRAM, &have) == REEVE_OK && have == 200);
    put_blob(&s, good, 200, rv_slice(program + 200, 100));
    put_blob(&s, good, 200, rv_slice(program + 200, 100));
    CHECK(open_blob(&s, good, PROGRAM, &have) == REEVE_OK && have == PROGRAM);
    CHECK(read_blob(&s, good, PROGRAM - 10, 100, &got) == REEVE_OK && got == 10);
    CHECK(read_blob(&s, good, PROGRAM + 1, 1, &got) == REEVE_ENOENT);
    CHECK(read_blob(&s, named(1), 0, 1, &got) == REEVE_ENOENT);
    sim_stop(&s);
}

TEST(program_with_other_bytes_than_its_name_begins_again)
{
    struct sim s;
    const struct rv_slice good = rv_slice(digest, sizeof digest);
    uint64_t have = 0;

    start(&s);
    CHECK(open_blob(&s, good, PROGRAM, NULL) == REEVE_OK);
    put_blob(&s, good, 0, rv_slice(program, 200));
    put_blob(&s, good, 200, rv_slice(program, 100));
    CHECK(open_blob(&s, good, PROGRAM, &have) == REEVE_OK && have == 0);
    sim_stop(&s);
}

/* As long as a job needs it, a program stays; else the one that was asked for longest ago goes. */
TEST(old_programs_make_room_for_new_ones)
{
    enum { FIT = RV_LIMIT_BLOBS_BYTES / RV_LIMIT_BLOB_BYTES };
    struct sim s;
    uint64_t have = 0;

    start(&s);
    for (uint8_t i = 1; i <= FIT; i++)
        CHECK(open_blob(&s, named(i), LARGE, NULL) == REEVE_OK);
    put_blob(&s, named(1), 0, rv_slice(program, 100));
    put_blob(&s, named(2), 0, rv_slice(program, 100));
    CHECK(open_blob(&s, named(1), LARGE, &have) == REEVE_OK && have == 100);
    CHECK(open_blob(&s, named(FIT + 1), LARGE, NULL) == REEVE_OK); /* in the place of 2 */
    CHECK(open_blob(&s, named(1), LARGE, &have) == REEVE_OK && have == 100);
    CHECK(open_blob(&s, named(2), LARGE, &have) == REEVE_OK && have == 0);
    sim_stop(&s);
}

/* Whoever may not run programs may not send any, and whose job needs one finds it whole or not at all. */
TEST(program_is_sent_by_those_who_may_run_it)
{
    struct sim s;
    const struct rv_slice good = rv_slice(digest, sizeof digest);
    struct rv_buf args = {0};
    uint64_t have = 0;

    start(&s);
    CHECK(open_blob(&s, good, PROGRAM, NULL) == REEVE_OK);
    put_blob(&s, good, 0, rv_slice(program, 200));
    sim_run(&s, 10);
    sim_principal(&s, "client", "open,put");
    sim_run(&s, 10);
    put_blob(&s, good, 200, rv_slice(program + 200, 100));
    CHECK(open_blob(&s, good, PROGRAM, NULL) == REEVE_EPERM);
    sim_principal(&s, "admin", "");
    sim_run(&s, 10);
    CHECK(open_blob(&s, good, PROGRAM, &have) == REEVE_OK && have == 200);
    rv_job_open_args_encode(
        &args, &(struct rv_job_open_args){.create = 1, .kind = RV_CODE_PROGRAM, .digest = good});
    CHECK(sim_ask(&s, 1, RV_OP_job_open, 0, &args, NULL) == REEVE_ENOENT);
    put_blob(&s, good, 200, rv_slice(program + 200, 100));
    rv_job_open_args_encode(
        &args, &(struct rv_job_open_args){.create = 1, .kind = RV_CODE_PROGRAM, .digest = good});
    CHECK(sim_ask(&s, 1, RV_OP_job_open, 0, &args, NULL) == REEVE_OK);
    for (uint8_t i = 1; i <= RV_LIMIT_BLOBS_BYTES / RV_LIMIT_BLOB_BYTES; i++)
        CHECK(open_blob(&s, named(i), LARGE, NULL) == REEVE_OK);
    CHECK(open_blob(&s, good, PROGRAM, &have) == REEVE_OK && have == PROGRAM); /* a job needs it */
    sim_stop(&s);
}
