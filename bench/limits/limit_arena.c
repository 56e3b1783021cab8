/* P13: memory of queued 64-byte items that lie one behind the other in large blocks. */

#include "bench/limits/arena.h"
#include "bench/measure.h"

#include <unistd.h>

int main(int argc, char **argv)
{
    const size_t items = (size_t)bench_option(argc, argv, "items", 1000000);
    const double before = bench_resident(getpid());
    struct arena queue = {0};
    uint8_t item[BENCH_ITEM] = {0};

    for (size_t i = 0; i < items; i++) {
        bench_number(item, i);
        arena_push(&queue, item, sizeof item);
    }
    bench_figure("item_bytes", (bench_resident(getpid()) - before) / (double)items);
    for (size_t i = 0; i < items; i++) {
        uint8_t out[ARENA_ITEM];
        if (arena_pop(&queue, out) != 4 + BENCH_ITEM)
            bench_die("item %zu is gone", i);
        bench_check_number(out + 4, i);
    }
    return 0;
}
