# make conform    what the rows of multiprocessing promise, against a manager of its own;
#                 tests/e2e/test_conform.sh runs the same program against one in another namespace
conform_objects := $(call objects,tests/conform/*.c tests/lib/check.c tests/shell/lab.c)

$(BUILD)/run-conform: $(conform_objects) $(LIBRARY)
	$(CC) $(FLAGS) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LIBS)

conform: $(BUILD)/run-conform $(BUILD)/reeve-server
	$(BUILD)/run-conform
check: conform

.PHONY: conform
