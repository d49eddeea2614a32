# SPDX-License-Identifier: BSD-2-Clause
# The tools of the host.

HOST_CFLAGS := $(WARNINGS) -O2 -g -I.
HVCTL_SOURCES := $(wildcard tools/hvctl/*.c) lib/hdlc.c lib/table.c
HVCTL_OBJECTS := $(HVCTL_SOURCES:%.c=$(BUILD)/host/%.o)

$(BUILD)/hvctl: $(HVCTL_OBJECTS)
	$(call say,LINK,$@)
	$(Q)$(CC) $(HOST_CFLAGS) -o $@ $^

$(BUILD)/host/%.o: %.c
	$(call say,CC,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(HOST_CFLAGS) -MMD -MP -c -o $@ $<
-include $(shell find $(BUILD)/host -name '*.d' 2>/dev/null)

hvctl: $(BUILD)/hvctl ## build the host's tool

all: $(BUILD)/hvctl

.PHONY: hvctl

# The monitor with nothing behind it, to try hvctl on.
MONITOR_SERVER_SOURCES := tests/hvctl/server.c tests/hvctl/fake_core.c core/monitor.c \
	core/monitor_text.c lib/hdlc.c lib/table.c lib/format.c lib/status.c lib/string.c

$(BUILD)/monitor-server: $(MONITOR_SERVER_SOURCES:%.c=$(BUILD)/unit/%.o)
	$(call say,LINK,$@)
	$(Q)$(CC) $(UNIT_CFLAGS) -o $@ $^

hvctl-test: $(BUILD)/hvctl $(BUILD)/monitor-server ## try hvctl on a monitor without a machine
	$(Q)BUILD=$(BUILD) pytest-3 -q tests/hvctl

.PHONY: hvctl-test
