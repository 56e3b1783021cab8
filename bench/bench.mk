# make bench         ours against the limit programs, as ratios: figures at the end, and $(BUILD)/bench.json
# make bench-smoke   one tiny run of each, to see that they work
# make bench-long    10000 connections, more runs
# make bench-peers   with CPython's multiprocessing and Redis, as far as they are installed

BENCH_OWN    := $(patsubst bench/%.c,$(BUILD)/bench/%,$(wildcard bench/bench_*.c))
BENCH_LIMITS := $(patsubst bench/limits/%.c,$(BUILD)/bench/%,$(wildcard bench/limits/limit_*.c))
BENCH_FLAGS   = $(FLAGS) -D_GNU_SOURCE -Werror
BENCH_RUN     = /usr/bin/python3 bench/run.py --build $(BUILD)

bench: bench-programs
	$(BENCH_RUN)

bench-smoke: bench-programs
	$(BENCH_RUN) --smoke

bench-long: bench-programs
	$(BENCH_RUN) --long

bench-peers: bench-programs
	$(BENCH_RUN) --peers

bench-programs: bench-limits $(BENCH_OWN) $(BUILD)/reeve-server $(BUILD)/reeve-worker $(BUILD)/reeve
bench-limits: $(BENCH_LIMITS)

$(BENCH_LIMITS): $(BUILD)/bench/%: $(BUILD)/bench/limits/%.o $(BUILD)/bench/measure.o \
    $(patsubst bench/%.c,$(BUILD)/bench/%.o,$(filter-out bench/limits/limit_%,$(wildcard bench/limits/*.c)))
	$(CC) $(FLAGS) $(CFLAGS) $(LDFLAGS) -o $@ $^ -lzmq -lpthread

$(filter-out %_makespan,$(BENCH_OWN)): $(BUILD)/bench/%: $(BUILD)/bench/%.o $(BUILD)/bench/measure.o $(BUILD)/bench/harness.o \
    $(BUILD)/libreeve.so
	$(CC) $(FLAGS) $(CFLAGS) $(LDFLAGS) -Wl,-rpath,'$$ORIGIN/..' -o $@ $^ -lpthread

# The simulator for many agents.
BENCH_SIM := $(patsubst tests/lib/%.c,$(BUILD)/bench/sim/%.o,$(wildcard tests/lib/*.c))
$(BUILD)/bench/sim/%.o: tests/lib/%.c
	@mkdir -p $(@D)
	$(CC) $(FLAGS) -D_POSIX_C_SOURCE=200809L -DRV_SIM_CLIENTS=1002 $(CFLAGS) -c -o $@ $<
$(BUILD)/bench/bench_makespan.o: BENCH_FLAGS += -DRV_SIM_CLIENTS=1002
$(BUILD)/bench/bench_makespan: $(BUILD)/bench/bench_makespan.o $(BUILD)/bench/measure.o $(BENCH_SIM) \
    $(CORES) $(VALUE) $(WIRE) $(BASE)
	$(CC) $(FLAGS) $(CFLAGS) $(LDFLAGS) -o $@ $^ -lcmocka -lsodium -lpthread

$(BUILD)/bench/%.o: bench/%.c
	@mkdir -p $(@D)
	$(CC) $(BENCH_FLAGS) $(CFLAGS) -c -o $@ $<

.PHONY: bench bench-smoke bench-long bench-peers bench-programs bench-limits
.SECONDARY:
