# make            build everything into build/
# make check      unit, wire and simulation tests, then the lints (at most 3 minutes)
# make programs   reeve-server, reeve and the library only
# make fuzz       every fuzzer for SECONDS=60 seconds (tests/fuzz/fuzz.mk)
# make bench      speed, as ratios to limit programs measured in the same run (bench/bench.mk)
# make manuals    manual pages and bash completion, into build/man and build/completion
# make deb        Debian packages, into build-deb/deb
# make install    into DESTDIR$(PREFIX)
# make SAN=address | SAN=thread ...   the same with a sanitizer, in build-address/ ...
CC     ?= cc
CFLAGS ?= -O2 -g
PREFIX ?= /usr/local
BUILD  ?= build$(if $(SAN),-$(SAN))
SONAME := libreeve.so.0
VERSION := 0.1.0
DATE    := 2026-11-26# of the manual pages
comma  := ,

# What reeve needs; CFLAGS stays free for whoever builds it.
FLAGS   = -std=c11 -I. -Iinclude -MMD -MP -fPIC -fvisibility=hidden
FLAGS  += -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes
FLAGS  += $(if $(findstring clang,$(CC)),-Wno-string-conversion) # rv_assert(!"text") is meant
FLAGS  += -DREEVE_VERSION='"$(VERSION)"' -DREEVE_PREFIX='"$(PREFIX)"'
FLAGS  += $(if $(filter address,$(SAN)),-fsanitize=address$(comma)undefined -fno-sanitize-recover=all)
FLAGS  += $(if $(filter thread,$(SAN)),-fsanitize=thread)
FLAGS  += $(if $(filter fuzzer,$(SAN)),-fsanitize=address$(comma)undefined$(comma)fuzzer-no-link -fno-sanitize-recover=all)
# Cores see the C library of 2008, shells see Linux.
PURE   := common/base/% common/wire/% common/value/% server/core/% worker/core/% proxy/core/% tests/sim/%
world   = $(if $(filter $(PURE),$(1)),-D_POSIX_C_SOURCE=200809L,-D_GNU_SOURCE)

objects = $(patsubst %.c,$(BUILD)/%.o,$(wildcard $(1)))
BASE    := $(call objects,common/base/*.c)
WIRE    := $(call objects,common/wire/*.c)
VALUE   := $(call objects,common/value/*.c)
NET     := $(call objects,common/net/*.c)
PROC    := $(call objects,common/proc/*.c)
SERVER  := $(call objects,server/core/*.c)
CLIENT  := $(call objects,proxy/core/*.c)
AGENT   := $(call objects,worker/core/*.c)
LIBRARY := $(call objects,proxy/*.c) $(CLIENT) $(NET) $(PROC) $(VALUE) $(WIRE) $(BASE)
CORES   := $(SERVER) $(AGENT) $(CLIENT)
PURE_OBJECTS := $(CORES) $(VALUE) $(WIRE) $(BASE)
UNIT    := $(filter-out $(BUILD)/tests/lib/sim%,$(call objects,tests/lib/*.c)) \
    $(call objects,tests/unit/*.c tests/wire/*.c proxy/value_*.c) \
    $(call objects,$(addprefix worker/,cache.c capacity.c elf_check.c) $(addprefix cli/,bar.c units.c))
SIM     := $(call objects,tests/lib/*.c tests/sim/*.c)
LIBS     = -lzmq -lsodium -lpthread

PROGRAMS := $(BUILD)/reeve-server $(BUILD)/reeve-worker $(BUILD)/reeve
TESTS    := $(BUILD)/run-unit $(BUILD)/run-sim

all: programs examples tests

programs: $(PROGRAMS) $(BUILD)/libreeve.so $(BUILD)/libreeve.a $(BUILD)/reeve.pc
tests: $(TESTS)
# Without libpng there are all but the one that draws.
EXAMPLES := $(patsubst examples/%.c,$(BUILD)/examples/%,$(wildcard examples/*.c))
EXAMPLES := $(if $(shell pkg-config --exists libpng && echo yes),$(EXAMPLES),$(filter-out %/mandelbrot,$(EXAMPLES)))
examples: $(EXAMPLES)
$(BUILD)/examples/mandelbrot: EXAMPLE_LIBS = -lpng -lm

# One object with everything local but reeve_*, so that a static link leaks no name of ours.
$(BUILD)/libreeve.o: $(LIBRARY)
	$(LD) -r -o $@.all $^
	objcopy --wildcard --keep-global-symbol='reeve_*' $@.all $@
	rm -f $@.all

$(BUILD)/libreeve.a: $(BUILD)/libreeve.o
	rm -f $@
	$(AR) rcs $@ $^

$(BUILD)/$(SONAME): $(LIBRARY)
	$(CC) $(FLAGS) $(CFLAGS) $(LDFLAGS) -shared -Wl,-soname,$(SONAME) -o $@ $^ $(LIBS)

$(BUILD)/libreeve.so: $(BUILD)/$(SONAME)
	ln -sf $(SONAME) $@

$(BUILD)/reeve-server: $(call objects,server/*.c) $(SERVER) $(NET) $(PROC) $(VALUE) $(WIRE) $(BASE)
	$(CC) $(FLAGS) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LIBS)

$(BUILD)/reeve-worker: $(call objects,worker/*.c) $(AGENT) $(NET) $(PROC) $(VALUE) $(WIRE) $(BASE) $(BUILD)/libreeve.so
	$(CC) $(FLAGS) $(CFLAGS) $(LDFLAGS) -Wl,-rpath,'$$ORIGIN:$$ORIGIN/../lib' -o $@ $^ $(LIBS)

$(BUILD)/reeve: $(call objects,cli/*.c) $(NET) $(PROC) $(BASE) $(BUILD)/libreeve.so
	$(CC) $(FLAGS) $(CFLAGS) $(LDFLAGS) -Wl,-rpath,'$$ORIGIN:$$ORIGIN/../lib' -o $@ $^ $(LIBS)

$(BUILD)/examples/%: examples/%.c $(BUILD)/libreeve.so
	@mkdir -p $(@D)
	$(CC) $(FLAGS) -D_GNU_SOURCE $(CFLAGS) $(LDFLAGS) -Wl,-rpath,'$$ORIGIN/..' -o $@ $< $(BUILD)/libreeve.so $(EXAMPLE_LIBS)

$(BUILD)/reeve.pc: Makefile
	@mkdir -p $(@D)
	printf '%s\n' 'prefix=$(PREFIX)' 'libdir=$${prefix}/lib' 'includedir=$${prefix}/include' '' \
	    'Name: reeve' 'Description: multiprocessing for C programs, carried across a network' \
	    'Version: $(VERSION)' 'Libs: -L$${libdir} -lreeve' 'Libs.private: $(LIBS)' \
	    'Cflags: -I$${includedir}' >$@

$(BUILD)/run-unit: $(UNIT) $(CORES) $(NET) $(VALUE) $(WIRE) $(BASE)
	$(CC) $(FLAGS) $(CFLAGS) $(LDFLAGS) -o $@ $^ -lcmocka -lmsgpackc $(LIBS)

$(BUILD)/run-sim: $(SIM) $(CORES) $(VALUE) $(WIRE) $(BASE)
	$(CC) $(FLAGS) $(CFLAGS) $(LDFLAGS) -o $@ $^ -lcmocka -lsodium

$(BUILD)/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(FLAGS) $(call world,$<) $(CFLAGS) -c -o $@ $<

# Manual pages and the completion of bash, out of --help and the public headers.
manuals: $(BUILD)/man/libreeve.3
$(BUILD)/man/libreeve.3: $(PROGRAMS) $(wildcard include/reeve/*.h docs/man/*)
	sh docs/man/make.sh $(BUILD) $(VERSION) $(DATE)

# What the tests run, besides `all`.
check-programs: tests

check: all manuals
	$(BUILD)/run-unit
	$(BUILD)/run-sim
	sh tests/lint/layers.sh
	sh tests/lint/pure.sh $(PURE_OBJECTS)
	sh tests/lint/exports.sh $(BUILD)
	sh tests/lint/headers.sh
	sh tests/lint/parity.sh
	sh tests/lint/words.sh
	sh tests/lint/man.sh $(BUILD)

# For the lint, when it is called by hand.
pure-objects: $(PURE_OBJECTS)
	@echo $^

install: programs manuals
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/lib/pkgconfig $(DESTDIR)$(PREFIX)/include/reeve
	install $(PROGRAMS) $(DESTDIR)$(PREFIX)/bin
	install -m 644 $(BUILD)/libreeve.a $(DESTDIR)$(PREFIX)/lib
	install $(BUILD)/$(SONAME) $(DESTDIR)$(PREFIX)/lib
	ln -sf $(SONAME) $(DESTDIR)$(PREFIX)/lib/libreeve.so
	sed 's|^prefix=.*|prefix=$(PREFIX)|' $(BUILD)/reeve.pc >$(BUILD)/install.pc
	install -m 644 $(BUILD)/install.pc $(DESTDIR)$(PREFIX)/lib/pkgconfig/reeve.pc
	install -m 644 include/reeve.h $(DESTDIR)$(PREFIX)/include
	install -m 644 include/reeve/*.h $(DESTDIR)$(PREFIX)/include/reeve
	install -D -m 644 -t $(DESTDIR)$(PREFIX)/share/man/man1 $(BUILD)/man/*.1
	install -D -m 644 -t $(DESTDIR)$(PREFIX)/share/man/man3 $(BUILD)/man/*.3
	install -D -m 644 -t $(DESTDIR)$(PREFIX)/share/man/man8 $(BUILD)/man/*.8
	install -D -m 644 -t $(DESTDIR)$(PREFIX)/share/bash-completion/completions $(BUILD)/completion/*

clean:
	rm -rf build build-*

.PHONY: pure-objects all programs tests examples manuals check-programs check install clean
-include tests/fuzz/fuzz.mk tests/sim/sim.mk tests/log/log.mk tests/conform/conform.mk
-include tests/shell/shell.mk tests/e2e/e2e.mk tests/chaos/chaos.mk tests/coverage.mk bench/bench.mk packaging/deb/deb.mk
-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)
