# make check-shell    the library's tests: over a fake transport, and against a real manager
# make tsan           the first ones under the thread sanitizer, in build-thread/
#
# run-threads, run-slow   proxy/ on tests/shell/fake_conn.c instead of common/net
# run-api, run-gone       the library as it is, with build/reeve-server
# run-pool                the same with build/reeve-worker, too; it is the program that is shipped
# run-agents              maps: a manager, an agent, and the program shipped to it
# run-memory              every allocation of the library fails once
# run-tasks               runners, and the agent's processes, without a manager
shell_lab  := $(call objects,tests/lib/check.c tests/shell/lab.c tests/shell/main.c)
shell_fake := $(call objects,tests/shell/fake_conn.c $(addprefix common/net/,conf.c keys.c keys_parse.c net_util.c target.c)) \
    $(call objects,proxy/*.c) $(CORES) $(PROC) $(VALUE) $(WIRE) $(BASE)

$(BUILD)/run-threads: $(call objects,$(addprefix tests/shell/test_,threads.c losses.c host.c calls.c) tests/shell/fake_agent.c) $(shell_lab) $(shell_fake)
	$(CC) $(FLAGS) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LIBS)

$(BUILD)/run-slow: $(call objects,tests/shell/test_slow.c) $(shell_lab) $(shell_fake)
	$(CC) $(FLAGS) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LIBS)

$(BUILD)/run-api: $(call objects,$(addprefix tests/shell/test_,api.c manager.c refs.c boxes.c values.c pains.c)) $(shell_lab) $(LIBRARY)
	$(CC) $(FLAGS) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LIBS)

$(BUILD)/run-gone: $(call objects,tests/shell/test_gone.c) $(shell_lab) $(LIBRARY)
	$(CC) $(FLAGS) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LIBS)

$(BUILD)/run-pool: $(call objects,$(addprefix tests/shell/test_,pool.c class.c jobs.c pledges.c)) $(shell_lab) $(LIBRARY)
	$(CC) $(FLAGS) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LIBS)

$(BUILD)/run-tasks: $(call objects,$(addprefix tests/shell/test_,runner.c runners.c)) $(shell_lab) \
    $(call objects,$(addprefix worker/,elf_check.c runner_io.c runners.c zygotes.c)) $(LIBRARY)
	$(CC) $(FLAGS) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LIBS)

nomem := -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc,--wrap=free,--wrap=strdup,--wrap=strndup
$(BUILD)/run-memory: $(call objects,$(addprefix tests/shell/,test_memory.c nomem.c)) $(shell_lab) $(LIBRARY)
	$(CC) $(FLAGS) $(CFLAGS) $(LDFLAGS) $(nomem) -o $@ $^ $(LIBS)

$(BUILD)/run-agents: $(call objects,tests/shell/test_agents.c) $(shell_lab) $(LIBRARY)
	$(CC) $(FLAGS) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LIBS)

# They mostly wait, and do that side by side.
shell_names := threads slow api gone tasks agents pool memory
shell_tests := $(shell_names:%=$(BUILD)/run-%)
check-shell: $(shell_tests) $(BUILD)/reeve-server $(BUILD)/reeve-worker
	@rm -f $(shell_tests:%=%.failed)
	for test in $(shell_tests); do \
	    { $$test || echo "$$test ended with $$?" >$$test.failed; } >$$test.out 2>&1 & \
	done; wait; \
	cat $(shell_tests:%=%.out); ! cat $(shell_tests:%=%.failed) 2>/dev/null
check: check-shell
check-programs: $(shell_tests)

# A million objects made and let go, a hundred thousand put into items and taken out.
torture-refs: $(BUILD)/run-api $(BUILD)/reeve-server
	CHECK_SECONDS=3600 REFS_CREATED=1000000 REFS_NESTED=100000 $(BUILD)/run-api objects_and_references
	CHECK_SECONDS=3600 REFS_CREATED=1000000 REFS_NESTED=100000 $(BUILD)/run-api containers_leave_nothing_behind
torture: torture-refs

tsan:
	$(MAKE) SAN=thread BUILD=build-thread build-thread/run-threads build-thread/run-slow
	build-thread/run-slow >build-thread/run-slow.out 2>&1 & slow=$$!; ok=0; build-thread/run-threads || ok=1; \
	    wait $$slow || ok=1; cat build-thread/run-slow.out; exit $$ok

.PHONY: check-shell torture-refs tsan
