# chaos            a thousand faults at real processes, about two minutes
# torture-chaos    CHAOS_FAULTS=20000 of them, as a part of make torture
CHAOS_CLIENT := $(BUILD)/tests/chaos/client
CHAOS_FAULTS ?= 20000

all: $(CHAOS_CLIENT)

$(CHAOS_CLIENT): tests/chaos/client.c $(BUILD)/libreeve.so
	@mkdir -p $(@D)
	$(CC) $(FLAGS) -D_GNU_SOURCE $(CFLAGS) $(LDFLAGS) -Wl,-rpath,'$$ORIGIN/../..' -o $@ $< $(BUILD)/libreeve.so

chaos: programs $(CHAOS_CLIENT)
	BUILD=$(BUILD) /usr/bin/python3 tests/chaos/chaos.py

torture-chaos: programs $(CHAOS_CLIENT)
	BUILD=$(BUILD) /usr/bin/python3 tests/chaos/chaos.py --faults $(CHAOS_FAULTS)
torture: torture-chaos

.PHONY: chaos torture-chaos
