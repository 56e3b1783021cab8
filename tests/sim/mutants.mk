# make mutants    every deliberate defect of common/base/mutant.h must be seen by the simulator
MUTANT_SEEDS ?= 1 30

mutants:
	$(MAKE) BUILD=build-mutants CFLAGS='$(CFLAGS) -DRV_MUTANTS' build-mutants/run-sim
	@failed=0; \
	for mutant in $$(build-mutants/run-sim --mutants); do \
	    build-mutants/run-sim --mutant $$mutant --seeds $(MUTANT_SEEDS) && failed=1; \
	done; \
	exit $$failed

.PHONY: mutants
