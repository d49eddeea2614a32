# SPDX-License-Identifier: BSD-2-Clause
# Fuzzers: clang's libFuzzer with the address and undefined-behaviour sanitizers. One is
# tests/fuzz/fuzz_NAME.c; FUZZ_NAME lists the product's sources that it links.

FUZZ_SECONDS ?= 60
FUZZ_CC := clang-14
FUZZ_CFLAGS := $(WARNINGS) -O1 -g -I. -DPOSTERN_HOST -fno-omit-frame-pointer \
	-fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all

FUZZ_ring :=
FUZZ_config := $(UNIT_config)
FUZZ_hdlc := lib/hdlc.c
FUZZ_monitor := core/monitor.c core/monitor_text.c lib/hdlc.c lib/table.c tests/hvctl/fake_core.c tests/hvctl/fake_vm.c $(FAKE_DISK) lib/trace_ring.c
FUZZ_multiboot := machine/multiboot.c machine/guest_kernel.c machine/linux_boot.c
FUZZ_linux_boot := $(FUZZ_multiboot)
FUZZ_mmio_insn := machine/mmio_insn.c
FUZZ_trace := tools/hvctl/trace_file.c tools/hvctl/trace_export.c tools/hvctl/cells.c \
	tools/hvctl/client.c lib/hdlc.c
FUZZ_snapshot := core/snapshot_image.c core/port_image.c core/view_image.c virtio/disk.c virtio/disk_runs.c lib/word_runs.c $(UNIT_vcpu_image)
FUZZ_switch := net/switch.c net/fdb.c lib/token_bucket.c
FUZZ_virtq := $(VIRTQ_SOURCES)
FUZZ_virtio := $(wildcard virtio/*.c) net/offload.c lib/word_runs.c

FUZZERS := $(patsubst tests/fuzz/fuzz_%.c,$(BUILD)/fuzz/fuzz_%,$(wildcard tests/fuzz/fuzz_*.c))

$(BUILD)/fuzz/%.o: %.c
	$(call say,FUZZ CC,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(FUZZ_CC) $(FUZZ_CFLAGS) -MMD -MP -c -o $@ $<
-include $(shell find $(BUILD)/fuzz -name '*.d' 2>/dev/null)

# $(1): the fuzzer's name.
define fuzz_rule
$(BUILD)/fuzz/fuzz_$(1): $$(patsubst %.c,$(BUILD)/fuzz/%.o,tests/fuzz/fuzz_$(1).c $$(FUZZ_$(1)) $$(UNIT_LIB))
	$$(call say,LINK,$$@)
	$$(Q)$$(FUZZ_CC) $$(FUZZ_CFLAGS) -o $$@ $$^
endef
$(foreach path,$(FUZZERS),$(eval $(call fuzz_rule,$(path:$(BUILD)/fuzz/fuzz_%=%))))

fuzzers: $(FUZZERS)

fuzz: fuzzers ## run each fuzzer for FUZZ_SECONDS (60); keeps what it learns in build/fuzz
	$(Q)BUILD=$(BUILD) tests/fuzz/run.py --seconds $(FUZZ_SECONDS)

# Of each virtio device. `make test` has 5000.
FUZZ_OPERATIONS ?= 1000000
FUZZ_SEED ?= 21

fuzz-guest: image hvctl kit ## have a guest write random values to its virtio devices, a million to each
	$(Q)BUILD=$(BUILD) $(PYTHON) tests/fuzz/guest.py --operations $(FUZZ_OPERATIONS) --seed $(FUZZ_SEED)

.PHONY: fuzz fuzzers fuzz-guest
