# make coverage   which branches of the cores the tests take; writes docs/COVERAGE.md
#
# The cores are what is pure: they decide, and every way through them can be told. Built by clang in
# build-coverage/; the counters are in a file that is mapped, so that a process that is killed has counted, too.
COVERAGE_BUILD ?= build-coverage
COVERAGE_SEEDS ?= 1 100
COVERAGE_E2E := cli dead detach keys lock restart worker map_cli containers deadlock
coverage_flags := -O1 -g -fprofile-instr-generate -fcoverage-mapping -mllvm -runtime-counter-relocation
coverage_tests := run-unit run-sim run-log run-threads run-slow run-api run-gone run-memory run-agents run-pool
coverage_fuzz := $(patsubst tests/fuzz/fuzz_%.c,%,$(wildcard tests/fuzz/fuzz_*.c))
count = LLVM_PROFILE_FILE=$(CURDIR)/$(COVERAGE_BUILD)/profiles/%p-%m%c.profraw

# The fuzzers, for what is in tests/fuzz/corpus.
$(BUILD)/replay-%: $(BUILD)/tests/fuzz/fuzz_%.o $(BUILD)/tests/fuzz/replay.o $(CORES) $(NET) $(VALUE) $(WIRE) $(BASE) $(call objects,proxy/value_*.c)
	$(CC) $(FLAGS) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LIBS)

coverage:
	$(MAKE) BUILD=$(COVERAGE_BUILD) CC=clang CFLAGS='$(coverage_flags)' LDFLAGS='-fprofile-instr-generate' \
	    all $(coverage_tests:%=$(COVERAGE_BUILD)/%) $(coverage_fuzz:%=$(COVERAGE_BUILD)/replay-%) \
	    $(COVERAGE_BUILD)/conform-manager $(COVERAGE_BUILD)/run-conform
	rm -rf $(COVERAGE_BUILD)/profiles
	mkdir -p $(COVERAGE_BUILD)/profiles
	$(count) $(COVERAGE_BUILD)/run-sim --seeds $(COVERAGE_SEEDS) >$(COVERAGE_BUILD)/seeds.out
	$(foreach name,$(coverage_fuzz),$(count) $(COVERAGE_BUILD)/replay-$(name) tests/fuzz/corpus/$(name)/* &&) true
	for test in $(coverage_tests); do \
	    $(count) $(COVERAGE_BUILD)/$$test >$(COVERAGE_BUILD)/$$test.out 2>&1 || { cat $(COVERAGE_BUILD)/$$test.out; exit 1; }; \
	done
	$(count) $(COVERAGE_BUILD)/conform-manager --seed 1 $(COVERAGE_BUILD)/run-conform >$(COVERAGE_BUILD)/conform.out
	for test in $(COVERAGE_E2E); do \
	    $(count) BUILD=$(CURDIR)/$(COVERAGE_BUILD) tests/e2e/test_$$test.sh >$(COVERAGE_BUILD)/e2e-$$test.out 2>&1 || \
	        echo "$$test: $$(tail -n 1 $(COVERAGE_BUILD)/e2e-$$test.out)"; \
	done
	/usr/bin/python3 tests/coverage.py $(COVERAGE_BUILD) $(coverage_tests) $(coverage_fuzz:%=replay-%) conform-manager

.PHONY: coverage
.PRECIOUS: $(BUILD)/tests/fuzz/%.o
