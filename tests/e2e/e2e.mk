# The programs of the end-to-end tests: durable_load; map_job; the same linked with a library that no agent has;
# and such a module.
E2E := $(addprefix $(BUILD)/tests/e2e/,durable_load map_job map_linked map_module.so)

HONEST := $(BUILD)/tests/hostile/honest

all: $(E2E) $(HONEST)

$(HONEST): tests/hostile/honest.c $(BUILD)/libreeve.so
	@mkdir -p $(@D)
	$(CC) $(FLAGS) -D_GNU_SOURCE $(CFLAGS) $(LDFLAGS) -Wl,-rpath,'$$ORIGIN/../..' -o $@ $< $(BUILD)/libreeve.so -lpthread

$(BUILD)/tests/e2e/durable_load: tests/e2e/durable_load.c $(BUILD)/libreeve.so
	@mkdir -p $(@D)
	$(CC) $(FLAGS) -D_GNU_SOURCE $(CFLAGS) $(LDFLAGS) -Wl,-rpath,'$$ORIGIN/../..' -o $@ $< $(BUILD)/libreeve.so -lpthread

$(BUILD)/tests/e2e/map_job: tests/e2e/map_job.c $(BUILD)/libreeve.so
	@mkdir -p $(@D)
	$(CC) $(FLAGS) -D_GNU_SOURCE $(CFLAGS) $(LDFLAGS) -Wl,-rpath,'$$ORIGIN/../..' -o $@ $< $(BUILD)/libreeve.so

$(BUILD)/tests/e2e/lost/libmap_lost.so:
	@mkdir -p $(@D)
	echo 'int map_lost(void); int map_lost(void) { return 1; }' | $(CC) $(CFLAGS) -shared -fPIC -Wl,-soname,libmap_lost.so -o $@ -x c -

$(BUILD)/tests/e2e/map_linked: tests/e2e/map_job.c $(BUILD)/tests/e2e/lost/libmap_lost.so $(BUILD)/libreeve.so
	$(CC) $(FLAGS) -D_GNU_SOURCE $(CFLAGS) $(LDFLAGS) -Wl,-rpath,'$$ORIGIN/../..' -Wl,--no-as-needed -o $@ $(filter %.c %.so,$^)

$(BUILD)/tests/e2e/map_module.so: tests/e2e/map_job.c $(BUILD)/tests/e2e/lost/libmap_lost.so $(BUILD)/libreeve.so
	$(CC) $(FLAGS) -D_GNU_SOURCE $(CFLAGS) $(LDFLAGS) -shared -Wl,--no-as-needed -o $@ $(filter %.c %.so,$^)

# Where there is a docker engine; elsewhere it says so.
docker-test: programs
	BUILD=$(BUILD) tests/e2e/test_docker.sh || [ $$? = 77 ]

.PHONY: docker-test
