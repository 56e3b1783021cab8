# make coverage   which branches of the cores the tests take; writes docs/COVERAGE.md
#
# The cores are what is pure: they decide, and every way through them can be told. Built by clang in
# build-coverage/; counters live in a file that is mapped, so that a process that is killed has counted, too.
COVERAGE_BUILD ?= build-coverage
COVERAGE_SEEDS ?= 1 40
COVERAGE_TESTS := run-unit run-sim run-log run-threads run-slow run-memory run-agents run-pool
coverage_flags := -O1 -g -fprofile-instr-generate -fcoverage-mapping -mllvm -runtime-counter-relocation

coverage:
	$(MAKE) BUILD=$(COVERAGE_BUILD) CC=clang CFLAGS='$(coverage_flags)' LDFLAGS='-fprofile-instr-generate' \
	    programs $(COVERAGE_TESTS:%=$(COVERAGE_BUILD)/%)
	rm -rf $(COVERAGE_BUILD)/profiles
	mkdir -p $(COVERAGE_BUILD)/profiles
	for test in $(COVERAGE_TESTS); do \
	    arguments=; [ $$test != run-sim ] || arguments='--seeds $(COVERAGE_SEEDS)'; \
	    for a in "" "$$arguments"; do \
	        [ -n "$$a" ] || [ -z "$$arguments" ] || a=; \
	        LLVM_PROFILE_FILE=$(COVERAGE_BUILD)/profiles/$$test-%p%c.profraw \
	            $(COVERAGE_BUILD)/$$test $$a >$(COVERAGE_BUILD)/$$test.out 2>&1 || exit 1; \
	        [ -n "$$arguments" ] || break; \
	    done; \
	done
	/usr/bin/python3 tests/coverage.py $(COVERAGE_BUILD) $(COVERAGE_TESTS)

.PHONY: coverage
