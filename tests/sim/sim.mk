# make torture    the long figures: TORTURE_SEEDS histories of two virtual minutes and more
# make mutants    every deliberate defect of common/base/mutant.h must be seen by the simulator, or
#                 by the tests of the log. MUTANTS_SEEDS='A B': with these histories; empty: with
#                 histories only when no story sees it
MUTANTS_BUILD ?= build-mutants
MUTANTS_SEEDS ?= 1 30
MUTANTS_JOBS  ?= $(shell nproc 2>/dev/null || echo 2)

mutants:
	$(MAKE) BUILD=$(MUTANTS_BUILD) CFLAGS='$(CFLAGS) -DRV_MUTANTS' $(MUTANTS_BUILD)/run-sim $(MUTANTS_BUILD)/run-log
	@sh tests/sim/mutant.sh $(MUTANTS_BUILD) NONE 1 2
	@$(MUTANTS_BUILD)/run-sim --mutants | \
	    xargs -P $(MUTANTS_JOBS) -I NAME sh tests/sim/mutant.sh $(MUTANTS_BUILD) NAME $(MUTANTS_SEEDS)

TORTURE_SEEDS ?= 1 10000
torture: $(BUILD)/run-sim
	$(BUILD)/run-sim --seeds $(TORTURE_SEEDS)

.PHONY: mutants torture
