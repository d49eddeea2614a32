# SPDX-License-Identifier: BSD-2-Clause
# The tools of the host.

HOST_CFLAGS := $(WARNINGS) -O2 -g -I.
HVCTL_SOURCES := $(wildcard tools/hvctl/*.c) $(wildcard core/config*.c) core/monitor.c \
	core/monitor_text.c lib/hdlc.c lib/table.c \
	lib/format.c lib/status.c lib/string.c lib/word_runs.c arch/x86/vmx_caps.c
HVCTL_OBJECTS := $(HVCTL_SOURCES:%.c=$(BUILD)/host/%.o)

$(BUILD)/hvctl: $(HVCTL_OBJECTS)
	$(call say,LINK,$@)
	$(Q)$(CC) $(HOST_CFLAGS) -o $@ $^ -lncursesw -lz -lnettle -ledit

$(BUILD)/host/%.o: %.c
	$(call say,CC,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(HOST_CFLAGS) -MMD -MP -c -o $@ $<
-include $(shell find $(BUILD)/host -name '*.d' 2>/dev/null)

# The manual page is made of the table of verbs.
$(BUILD)/hvctl.1: $(BUILD)/hvctl
	$(call say,GEN,$@)
	$(Q)$< manual > $@.tmp && mv $@.tmp $@

# For programs of the host.
LIBHVCTL_MAP := tools/libhvctl/libhvctl.map
LIBHVCTL_SOURCES := tools/libhvctl/libhvctl.c tools/hvctl/client.c tools/hvctl/line.c lib/hdlc.c

$(BUILD)/libhvctl.so: $(LIBHVCTL_SOURCES:%.c=$(BUILD)/pic/%.o) $(LIBHVCTL_MAP)
	$(call say,LINK,$@)
	$(Q)$(CC) -shared -Wl,-soname,libhvctl.so -Wl,--version-script=$(LIBHVCTL_MAP) -o $@ \
		$(filter %.o,$^)

$(BUILD)/pic/%.o: %.c
	$(call say,CC,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(HOST_CFLAGS) -fPIC -MMD -MP -c -o $@ $<
-include $(shell find $(BUILD)/pic -name '*.d' 2>/dev/null)

hvctl: $(BUILD)/hvctl $(BUILD)/hvctl.1 $(BUILD)/libhvctl.so ## build the host's tool, its manual page and libhvctl

all: hvctl

.PHONY: hvctl

# The monitor with nothing behind it, to try hvctl on. Its disk is a real one.
FAKE_DISK := virtio/disk.c virtio/disk_runs.c lib/word_runs.c lib/word_hash.c
MONITOR_SERVER_SOURCES := tests/hvctl/server.c tests/hvctl/fake_core.c tests/hvctl/fake_vm.c $(FAKE_DISK) lib/trace_ring.c core/monitor.c \
	core/monitor_text.c lib/hdlc.c lib/table.c lib/format.c lib/status.c lib/string.c

$(BUILD)/monitor-server: $(MONITOR_SERVER_SOURCES:%.c=$(BUILD)/unit/%.o)
	$(call say,LINK,$@)
	$(Q)$(CC) $(UNIT_CFLAGS) -o $@ $^

hvctl-test: hvctl $(BUILD)/monitor-server ## try hvctl on a monitor without a machine
	$(Q)BUILD=$(BUILD) $(PYTEST) -q tests/hvctl

.PHONY: hvctl-test
