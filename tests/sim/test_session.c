/* What survives a lost connection, and when a session ends. */

#include "tests/lib/check.h"
#include "tests/lib/sim.h"

static void start(struct sim *s, int clients)
{
    sim_start(s, clients);
    for (int c = 1; c <= clients; c++)
        CHECK(sim_open(s, c, "jobs", &(struct sim_options){.no_prefetch = true}) == REEVE_OK);
}

/* The put reaches the manager, its reply is lost with the connection, and it is said again. */
TEST(call_is_applied_once_after_a_reset)
{
    struct sim s;

    start(&s, 2);
    sim_mute(&s, 1, false, 2);
    sim_put_wait(&s, 1, "a", 1000);
    sim_run(&s, 1);
    sim_reset(&s, 1);
    sim_expect(&s, "[    2] link.lost client=1\n"
                   "[    2] session.detach session=1 resume_ms=5000\n"
                   "[   24] session.resume session=1 attempt=2\n"
                   "[   25] link.ready client=1 attempt=2\n"
                   "[   25] put.ok client=1 item=a\n");
    sim_size(&s, 2);
    sim_expect(&s, "[   27] size.ok client=2 size=1 unfinished=0\n");
    sim_stop(&s);
}

TEST(frame_that_comes_twice_is_applied_once)
{
    struct sim s;

    start(&s, 2);
    sim_noise(&s, 1, 10, 0, 1000 /* repeated */, 0);
    sim_put_wait(&s, 1, "a", 1000);
    sim_expect(&s, "[    2] put.ok client=1 item=a\n");
    sim_size(&s, 2);
    sim_expect(&s, "[    4] size.ok client=2 size=1 unfinished=0\n");
    sim_stop(&s);
}

/* The get was answered while nobody listened. */
TEST(reply_is_resent_after_a_resume)
{
    struct sim s;

    start(&s, 2);
    sim_get(&s, 2, 10000);
    sim_run(&s, 100);
    sim_mute(&s, 2, false, 3000);
    sim_put(&s, 1, "a");
    sim_run(&s, 1000);
    sim_reset(&s, 2);
    sim_expect(&s, "[ 1101] link.lost client=2\n"
                   "[ 1101] session.detach session=2 resume_ms=5000\n"
                   "[ 1123] session.resume session=2 attempt=2\n"
                   "[ 1124] link.ready client=2 attempt=2\n"
                   "[ 1124] get.ok client=2 item=a\n");
    sim_stop(&s);
}

/* A hello that was under way for long arrives after its successor. */
TEST(older_attempt_cannot_take_the_session_back)
{
    struct sim s;
    struct rv_buf frame = {0};
    struct rv_msg hello = {.type = RV_MSG_hello};
    uint8_t header[RV_FRAME_HEADER];
    struct command cmd;

    start(&s, 2);
    sim_reset(&s, 1);
    sim_run(&s, 100);
    sim_mark(&s);
    CHECK(s.clients[1].link.attempt == 2);
    hello.hello = (struct rv_hello){.major = RV_WIRE_MAJOR,
                                    .session = s.clients[1].link.conf.session,
                                    .attempt = 1,
                                    .received = s.clients[1].link.received};
    rv_frame_encode(header, &(struct rv_frame){0});
    rv_buf_add(&frame, header, sizeof header);
    rv_msg_encode(&frame, &hello);
    CHECK(gate_receive(
        s.server.gate, s.now,
        &(struct gate_message){.peer = 99, .principal = 1, .control = rv_buf_slice(&frame)}, &cmd));
    rv_log_add(&s.server.log, &cmd);
    sim_server_wake(&s);
    sim_run(&s, 10);
    CHECK(gate_session(s.server.gate, 99) == 0);
    CHECK(session_attempt(mgr_session(s.server.mgr, 1)) == 2);
    sim_put_wait(&s, 1, "a", 1000);
    sim_expect(&s, "[   12] put.ok client=1 item=a\n");
    rv_buf_free(&frame);
    sim_stop(&s);
}

TEST(silent_session_ends_after_14_seconds)
{
    struct sim s;

    start(&s, 2);
    sim_put(&s, 1, "a");
    sim_get(&s, 2, 1000);
    sim_expect(&s, "[    2] get.ok client=2 item=a\n");
    sim_run(&s, 100); /* it is told, and the last that is heard */
    sim_mark(&s);
    sim_client_kill(&s, 2, SIM_DEATH_SILENT);
    sim_expect(&s, "[    0] client.crash client=2\n"
                   "[13906] peer.silent peer=2\n"
                   "[13906] session.end session=2 reason=\"lost\"\n");
    sim_stop(&s);
}

TEST(process_gone_on_this_host_ends_its_session_at_once)
{
    struct sim s;

    start(&s, 2);
    sim_client_kill(&s, 2, SIM_DEATH_GONE);
    sim_expect(&s, "[    0] client.crash client=2\n"
                   "[    1] session.end session=2 reason=\"lost\"\n");
    sim_stop(&s);
}

TEST(idle_session_lives_by_its_beats)
{
    struct sim s;

    start(&s, 2);
    sim_expect_silence(&s, 120000);
    CHECK(mgr_sessions(s.server.mgr) == 2);
    sim_stop(&s);
}

TEST(detached_session_resumes_within_5_seconds)
{
    struct sim s;

    start(&s, 2);
    sim_reset(&s, 2);
    sim_partition(&s, 2, 4000);
    sim_run(&s, 1);
    sim_put(&s, 1, "a");
    sim_run(&s, 10000);
    sim_mark(&s);
    CHECK(mgr_sessions(s.server.mgr) == 2);
    CHECK(s.clients[2].link.state == RV_LINK_READY && s.clients[2].link.session == 2);
    sim_get(&s, 2, 1000);
    sim_expect(&s, "[    2] get.ok client=2 item=a\n");
    sim_stop(&s);
}

/* The process was stopped for longer than its session is kept. */
TEST(expired_session_says_EEXPIRED)
{
    struct sim s;

    start(&s, 2);
    sim_get(&s, 2, UINT32_MAX);
    sim_run(&s, 10);
    sim_client_stop(&s, 2);
    sim_run(&s, 10);
    sim_reset(&s, 2);
    sim_expect(&s, "[   10] client.stop client=2\n"
                   "[   21] session.detach session=2 resume_ms=5000\n"
                   "[ 5021] session.end session=2 reason=\"expired\"\n");
    sim_client_continue(&s, 2);
    sim_expect(&s, "[ 5021] client.continue client=2\n"
                   "[ 5021] link.lost client=2\n"
                   "[ 5044] get.fail client=2 error=EEXPIRED\n"
                   "[ 5044] link.dead client=2 error=EEXPIRED\n");
    sim_stop(&s);
}

TEST(replaced_store_says_ESTALE)
{
    struct sim s;

    sim_start_memory(&s, 1);
    CHECK(sim_open(&s, 1, "jobs", NULL) == REEVE_OK);
    sim_get(&s, 1, UINT32_MAX);
    sim_run(&s, 10);
    sim_server_crash(&s, false);
    sim_server_restart(&s);
    sim_expect(&s, "[   10] server.crash\n"
                   "[   10] server.start term=1\n"
                   "[   11] link.lost client=1\n"
                   "[   34] get.fail client=1 error=ESTALE\n"
                   "[   34] link.dead client=1 error=ESTALE\n");
    sim_stop(&s);
}

TEST(goodbye_leaves_nothing_behind)
{
    struct sim s;

    sim_start(&s, 2);
    CHECK(sim_open(&s, 1, "", NULL) == REEVE_OK);
    CHECK(sim_open(&s, 2, "", NULL) == REEVE_OK);
    sim_put(&s, 1, "a");
    sim_get(&s, 2, UINT32_MAX);
    sim_run(&s, 100);
    sim_client_goodbye(&s, 1);
    sim_client_goodbye(&s, 2);
    sim_run(&s, 2000);
    CHECK(mgr_sessions(s.server.mgr) == 0);
    CHECK(mgr_objects(s.server.mgr) == 0);
    CHECK(mgr_deadline(s.server.mgr) == RV_NEVER);
    CHECK(gate_deadline(s.server.gate) == RV_NEVER);
    sim_stop(&s);
}

/* A frame is dropped and nothing closes: the beat, or the next frame, shows the gap. */
TEST(gap_on_a_living_connection_makes_a_new_one)
{
    struct sim s;

    start(&s, 2);
    sim_mute(&s, 1, true, 1);
    sim_put_wait(&s, 1, "a", 1000);
    sim_run(&s, 10);
    sim_put_wait(&s, 1, "b", 1000);
    sim_expect(&s, "[   11] peer.refuse peer=1 why=\"messages are missing on this connection\"\n"
                   "[   11] session.detach session=1 resume_ms=5000\n"
                   "[   12] link.lost client=1\n"
                   "[   34] session.resume session=1 attempt=2\n"
                   "[   35] link.ready client=1 attempt=2\n"
                   "[   37] put.ok client=1 item=a\n"
                   "[   37] put.ok client=1 item=b\n");
    sim_stop(&s);
}

TEST(beat_shows_a_gap_when_nothing_else_is_said)
{
    struct sim s;

    start(&s, 2);
    sim_mute(&s, 1, true, 1);
    sim_put_wait(&s, 1, "a", 5000);
    sim_run(&s, 4000);
    sim_expect(&s, "[ 3001] peer.refuse peer=1 why=\"messages are missing on this connection\"\n"
                   "[ 3001] session.detach session=1 resume_ms=5000\n"
                   "[ 3002] link.lost client=1\n"
                   "[ 3024] session.resume session=1 attempt=2\n"
                   "[ 3025] link.ready client=1 attempt=2\n"
                   "[ 3027] put.ok client=1 item=a\n");
    sim_stop(&s);
}

/* The manager gives a connection up, and the client is no more: its session must not stay. */
TEST(session_of_a_refused_connection_ends)
{
    struct sim s;

    start(&s, 2);
    sim_mute(&s, 2, true, 1);
    sim_put_wait(&s, 2, "a", 1000);
    sim_run(&s, 10);
    sim_put_wait(&s, 2, "b", 1000);
    sim_run(&s, 1);
    sim_client_kill(&s, 2, SIM_DEATH_SILENT);
    sim_expect(&s, "[   11] peer.refuse peer=2 why=\"messages are missing on this connection\"\n"
                   "[   11] session.detach session=2 resume_ms=5000\n"
                   "[   11] client.crash client=2\n"
                   "[ 5011] session.end session=2 reason=\"expired\"\n");
    sim_stop(&s);
}

/* The hello is committed when its connection is gone already. */
TEST(session_whose_connection_went_before_its_commit_ends)
{
    struct sim s;

    sim_start(&s, 1);
    s.commit_max = 50 * RV_MS;
    sim_client_start(&s, 2);
    sim_run(&s, 5);
    sim_client_kill(&s, 2, SIM_DEATH_LOST);
    sim_expect(&s, "[    5] client.crash client=2\n"
                   "[   53] session.open session=2 key=sim host=sim pid=2\n"
                   "[  103] session.detach session=2 resume_ms=5000\n"
                   "[ 5103] session.end session=2 reason=\"expired\"\n");
    sim_stop(&s);
}

/* It was never welcomed; the same hello comes twice, and the connection is begun again. */
TEST(hello_that_comes_twice_is_survived)
{
    struct sim s;

    sim_start(&s, 1);
    sim_noise(&s, 2, 10, 0, 1000, 0);
    sim_client_start(&s, 2);
    sim_run(&s, 1000);
    CHECK(s.clients[2].link.state == RV_LINK_READY);
    CHECK(s.clients[2].link.attempt == 1); /* it did not even cost the connection */
    CHECK(mgr_sessions(s.server.mgr) == 2);
    sim_stop(&s);
}
