/* P11: a long map over items of skewed length on unequal agents, in the simulator: how near its
 * time comes to what nobody can do better, which is what --limit 1 prints. Nobody knows which items
 * are long, so the last to end is at worst a longest item on a slowest host: a map that is short
 * beside that says little about the dealing. As the manager deals, or
 * with --fixed 1 in chunks that do not change, four a slot, as CPython's pool has them. The time is
 * virtual: it is exact, and the same in each run. */

#include "bench/measure.h"
#include "tests/lib/sim.h"

#include <stdlib.h>

enum { SLOTS = 4, MAP_CLIENT = 1, SHORTEST_US = 20000, SKEW_MAX = 100 };

static uint64_t skew; /* the longest item, in times of the shortest */

/* Evenly spread and always the same. */
static uint64_t mixed(uint64_t x)
{
    x += UINT64_C(0x9e3779b97f4a7c15);
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

/* Pareto, with exponent 1, cut. */
static rv_ns work_of(uint64_t index)
{
    uint64_t part = 1 + mixed(index) % 1000;
    uint64_t times = 1000 / part;

    return SHORTEST_US * 1000 * (rv_ns)(times > skew ? skew : times);
}

/* Hosts are one to four times as fast as the slowest. */
static rv_ns speed_of(int agent)
{
    return 1 + agent % 4;
}

static rv_ns takes(struct sim *s, const struct sim_client *agent, uint64_t index)
{
    (void)s;
    return work_of(index) / speed_of(agent->number);
}

/* The virtual time that the map takes. */
static rv_ns play(struct sim *s, int agents, long items, uint32_t chunk)
{
    rv_ns begin = 0;

    sim_start(s, MAP_CLIENT);
    s->unchecked = true;
    s->play.takes = takes;
    for (int a = 2; a < 2 + agents; a++)
        sim_agent_start(s, a, SLOTS);
    begin = s->now;
    sim_map(s, MAP_CLIENT, &(struct sim_map){.items = (uint64_t)items, .chunk = chunk});
    while (s->maps == 0)
        if (!sim_step(s))
            bench_die("nothing happens any more");
    begin = s->now - begin;
    sim_stop(s);
    return begin;
}

int main(int argc, char **argv)
{
    const long agents = bench_option(argc, argv, "agents", 100);
    const long items = bench_option(argc, argv, "items", 200000);
    const long fixed = bench_option(argc, argv, "fixed", 0);
    const uint32_t each = fixed != 0 ? (uint32_t)(items / (4 * SLOTS * agents)) + 1 : 0;
    const bool limit = bench_option(argc, argv, "limit", 0) != 0;
    struct sim *s = calloc(1, sizeof *s);
    rv_ns work = 0;
    rv_ns speed = 0;
    double bound = 0;

    skew = (uint64_t)bench_option(argc, argv, "skew", SKEW_MAX);
    if (s == NULL || agents < 1 || agents >= SIM_CLIENTS)
        bench_die("--agents is 1 to %d", SIM_CLIENTS - 1);
    for (int a = 2; a < 2 + agents; a++)
        speed += SLOTS * speed_of(a);
    for (long i = 0; i < items; i++)
        work += work_of((uint64_t)i);
    bound = (double)work / (double)speed;
    if (limit)
        bench_figure("makespan_s", bound / 1e9);
    else
        bench_figure("makespan_s", (double)play(s, (int)agents, items, each) / 1e9);
    free(s);
    return 0;
}
