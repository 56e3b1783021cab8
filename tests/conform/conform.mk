# make conform    what the rows of multiprocessing promise: one program, build/run-conform, against the
#                 cores in a simulated network (conform-manager), and against a manager of its own;
#                 tests/e2e/test_conform.sh runs it against one in another namespace
CONFORM_SEED ?= 1
conform_objects := $(call objects,$(filter-out %/sim_manager.c,$(wildcard tests/conform/*.c)) tests/lib/check.c tests/shell/lab.c)

$(BUILD)/run-conform: $(conform_objects) $(LIBRARY)
	$(CC) $(FLAGS) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LIBS)

$(BUILD)/conform-manager: $(call objects,tests/conform/sim_manager.c) $(SERVER) $(NET) $(PROC) $(VALUE) $(WIRE) $(BASE)
	$(CC) $(FLAGS) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LIBS)

conform: $(BUILD)/run-conform $(BUILD)/conform-manager $(BUILD)/reeve-server
	$(BUILD)/conform-manager --seed $(CONFORM_SEED) $(BUILD)/run-conform
	$(BUILD)/run-conform
check: conform
check-programs: $(BUILD)/run-conform $(BUILD)/conform-manager

# The cores in the weather of more seeds; they wait most of the time, and do that side by side with -j.
CONFORM_SEEDS ?= 2 3 4 5 6 7
conform-seeds: $(CONFORM_SEEDS:%=conform-seed-%)
$(CONFORM_SEEDS:%=conform-seed-%): conform-seed-%: $(BUILD)/run-conform $(BUILD)/conform-manager
	$(BUILD)/conform-manager --seed $* $(BUILD)/run-conform

# Holders and waiters that are killed: so many.
TORTURE_KILLS ?= 1000
torture-kills: $(BUILD)/run-conform $(BUILD)/conform-manager $(BUILD)/reeve-server
	CONFORM_KILLS=$(TORTURE_KILLS) CHECK_SECONDS=3600 $(BUILD)/run-conform kills_of_holders
	CONFORM_KILLS=$(TORTURE_KILLS) CHECK_SECONDS=3600 $(BUILD)/conform-manager --seed $(CONFORM_SEED) $(BUILD)/run-conform kills_of_holders
torture: torture-kills

.PHONY: conform conform-seeds torture-kills $(CONFORM_SEEDS:%=conform-seed-%)
