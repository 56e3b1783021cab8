# make torture    the long figures: TORTURE_SEEDS histories of two virtual minutes and more
# make mutants    every deliberate defect of common/base/mutant.h must be seen by the simulator, or
#                 by the tests of the log
MUTANTS_BUILD ?= build-mutants
MUTANTS_SEEDS ?= 1 30

mutants:
	$(MAKE) BUILD=$(MUTANTS_BUILD) CFLAGS='$(CFLAGS) -DRV_MUTANTS' $(MUTANTS_BUILD)/run-sim $(MUTANTS_BUILD)/run-log
	@survived=0; \
	for mutant in $$($(MUTANTS_BUILD)/run-sim --mutants); do \
	    $(MUTANTS_BUILD)/run-sim --mutant $$mutant --seeds $(MUTANTS_SEEDS) || continue; \
	    if LOG_MUTANT=$$mutant $(MUTANTS_BUILD)/run-log >$(MUTANTS_BUILD)/log.out 2>&1; then survived=1; \
	    else echo "$$mutant: caught by the tests of the log:" $$(grep -m 1 ^FAIL $(MUTANTS_BUILD)/log.out); fi; \
	done; \
	exit $$survived

TORTURE_SEEDS ?= 1 10000
torture: $(BUILD)/run-sim
	$(BUILD)/run-sim --seeds $(TORTURE_SEEDS)

.PHONY: mutants torture
