# make conform    what the rows of multiprocessing promise: one program, build/run-conform, against the
#                 cores in a simulated network (conform-manager), and against a manager of its own;
#                 tests/e2e/test_conform.sh runs it against one in another namespace
CONFORM_SEED ?= 1
conform_objects := $(call objects,$(filter-out %/sim_manager.c,$(wildcard tests/conform/*.c)) tests/lib/check.c tests/shell/lab.c)

$(BUILD)/run-conform: $(conform_objects) $(LIBRARY)
	$(CC) $(FLAGS) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LIBS)

$(BUILD)/conform-manager: $(call objects,tests/conform/sim_manager.c) $(SERVER) $(NET) $(PROC) $(WIRE) $(BASE)
	$(CC) $(FLAGS) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LIBS)

conform: $(BUILD)/run-conform $(BUILD)/conform-manager $(BUILD)/reeve-server
	$(BUILD)/conform-manager --seed $(CONFORM_SEED) $(BUILD)/run-conform
	$(BUILD)/run-conform
check: conform

.PHONY: conform
