# SPDX-License-Identifier: BSD-2-Clause
# The soak: millions of packets beside an end that does everything wrong. Once as it is, and once,
# shorter, under ASan and UBSan.

SOAK := $(BUILD)/soak
SOAK_SOURCES := $(wildcard tests/soak/*.c)
SOAK_NEEDS := $(SOAK_SOURCES) $(wildcard tests/soak/*.h tests/unit/ring_*.h abi/ring*.h abi/gate_ring*.h)
SOAK_CFLAGS := $(WARNINGS) -g -I.
# SOAK_OPTIONS= may hold --packets NUMBER and --seed NUMBER.
SOAK_OPTIONS ?=

$(SOAK)/soak: $(SOAK_NEEDS)
	$(call say,CC,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(SOAK_CFLAGS) -O2 -o $@ $(SOAK_SOURCES)

$(SOAK)/soak-sanitized: $(SOAK_NEEDS)
	$(call say,CC,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(SOAK_CFLAGS) -O1 -fsanitize=address,undefined -fno-sanitize-recover=all -o $@ \
		$(SOAK_SOURCES)

soak-programs: $(SOAK)/soak $(SOAK)/soak-sanitized

soak: $(SOAK)/soak ## send 10 million packets beside an end that does everything wrong
	$(Q)$(SOAK)/soak $(SOAK_OPTIONS)

.PHONY: soak soak-programs
