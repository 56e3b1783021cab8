# make fuzz               every fuzzer for SECONDS (60) seconds, on what lies in tests/fuzz/corpus
# make fuzz-value         one of them
# make fuzz-merge         take from build-fuzzer/corpus what reaches new code into tests/fuzz/corpus
#
# A fuzzer is tests/fuzz/fuzz_NAME.c with LLVMFuzzerTestOneInput(); it links the pure sources, and
# fuzz_keys common/net too. New inputs gather in build-fuzzer/corpus/NAME, a crash in
# build-fuzzer/NAME-crash-...; run build-fuzzer/fuzz_NAME FILE to see it again.
SECONDS ?= 60
fuzz_names := $(patsubst tests/fuzz/fuzz_%.c,%,$(wildcard tests/fuzz/fuzz_*.c))
fuzz_corpus = $(wildcard tests/fuzz/corpus/$(1))

ifneq ($(filter fuzzer,$(SAN)),)

$(BUILD)/libfuzzed.a: $(CORES) $(VALUE) $(WIRE) $(BASE) $(call objects,proxy/value_*.c)
	@rm -f $@
	$(AR) rcs $@ $^

$(BUILD)/libfuzzed-net.a: $(NET)
	@rm -f $@
	$(AR) rcs $@ $^

$(BUILD)/fuzz_keys: $(BUILD)/libfuzzed-net.a
$(BUILD)/fuzz_%: $(BUILD)/tests/fuzz/fuzz_%.o $(BUILD)/libfuzzed.a
	$(CC) $(FLAGS) $(CFLAGS) $(LDFLAGS) -fsanitize=fuzzer -o $@ $(filter %.o,$^) \
	    $(filter %-net.a,$^) $(BUILD)/libfuzzed.a $(LIBS)

# What it says is kept; the last line tells how much was tried.
$(fuzz_names:%=run-%): run-%: $(BUILD)/fuzz_%
	@mkdir -p $(BUILD)/corpus/$*
	@$< -max_total_time=$(SECONDS) -timeout=30 -rss_limit_mb=1024 -verbosity=0 -print_funcs=0 -print_final_stats=1 \
	    -artifact_prefix=$(BUILD)/$*- $(BUILD)/corpus/$* $(call fuzz_corpus,$*) >$(BUILD)/$*.log 2>&1 || \
	    { cat $(BUILD)/$*.log; exit 1; }
	@echo "fuzz_$*: $$(sed -n 's/^stat::number_of_executed_units: *//p' $(BUILD)/$*.log) executions," \
	    "$(words $(wildcard tests/fuzz/corpus/$*/*)) inputs to begin with"

$(fuzz_names:%=merge-%): merge-%: $(BUILD)/fuzz_%
	@mkdir -p $(BUILD)/corpus/$* tests/fuzz/corpus/$*
	$< -merge=1 -use_counters=0 -verbosity=0 tests/fuzz/corpus/$* $(BUILD)/corpus/$*

.PRECIOUS: $(BUILD)/tests/fuzz/%.o $(BUILD)/fuzz_%

else

fuzz:
	$(MAKE) SAN=fuzzer CC=clang BUILD=build-fuzzer SECONDS=$(SECONDS) $(fuzz_names:%=run-%)
	@sed -n 's/^stat::number_of_executed_units: *//p' $(fuzz_names:%=build-fuzzer/%.log) | \
	    awk '{ n += $$1 } END { print "fuzzers: " n " executions" }'
fuzz-merge:
	$(MAKE) SAN=fuzzer CC=clang BUILD=build-fuzzer $(fuzz_names:%=merge-%)
$(fuzz_names:%=fuzz-%): fuzz-%:
	$(MAKE) SAN=fuzzer CC=clang BUILD=build-fuzzer SECONDS=$(SECONDS) run-$*

endif
.PHONY: fuzz fuzz-merge $(fuzz_names:%=fuzz-%) $(fuzz_names:%=run-%) $(fuzz_names:%=merge-%)
