# run-log    the log on a disk in memory: crashes, losses of power, errors, changed bytes; then with
#            its thread on a real one
#
#     make check-log, as a part of make check; make torture takes LOG_TORTURE times as many states
#     after a loss of power: a million
LOG_TORTURE ?= 10
$(BUILD)/run-log: $(call objects,tests/log/*.c tests/lib/check.c tests/lib/disk_mem.c) \
    $(call objects,server/log_file.c server/disk_dir.c server/pages.c) $(SERVER) $(NET) $(PROC) $(VALUE) $(WIRE) $(BASE)
	$(CC) $(FLAGS) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LIBS)

check-log: $(BUILD)/run-log
	$(BUILD)/run-log
check: check-log
check-programs: $(BUILD)/run-log
tests: $(BUILD)/run-log
torture-log: $(BUILD)/run-log
	LOG_TORTURE=$(LOG_TORTURE) CHECK_SECONDS=3600 $(BUILD)/run-log loss_of_power
torture: torture-log

.PHONY: check-log torture-log
