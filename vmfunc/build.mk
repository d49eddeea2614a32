# SPDX-License-Identifier: BSD-2-Clause
# The gate: two flat images of vmfunc/gate/, which the hypervisor carries and guests run.

GATE := $(BUILD)/gate
# A crossing may be given up at any instruction, and a caller's registers are then what they are: so
# the code uses none that a caller wants back. It runs on any stack, of a kernel too, with an event
# at any time: no red zone, no alignment beyond the kernel's.
GATE_CFLAGS := $(WARNINGS) -Os -I. -ffreestanding -fpic -fvisibility=hidden -mgeneral-regs-only \
	$(addprefix -ffixed-,rbx rbp r12 r13 r14 r15) -fomit-frame-pointer -mno-red-zone \
	-mpreferred-stack-boundary=3 -fno-jump-tables -fno-stack-protector \
	-fno-asynchronous-unwind-tables -fcf-protection=none -fno-strict-aliasing \
	-ffile-prefix-map=$(CURDIR)=.
GATE_BURST_CFLAGS = $(filter-out -Os -mgeneral-regs-only -mpreferred-stack-boundary=%,$(GATE_CFLAGS)) \
	-O2 -msse2 -mno-avx -mno-80387 -mincoming-stack-boundary=3 -fno-tree-vectorize \
	--param=logical-op-non-short-circuit=0
GATE_IMAGES := $(GATE)/gate-native.bin $(GATE)/gate-fallback.bin

$(GATE)/entry-fallback.o: GATE_CFLAGS += -DGATE_FALLBACK

$(GATE)/entry-%.o: vmfunc/gate/entry.S
	$(call say,AS,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(GATE_CFLAGS) -MMD -MP -c -o $@ $<

$(GATE)/body.o: vmfunc/gate/body.c
	$(call say,CC,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(GATE_CFLAGS) -MMD -MP -c -o $@ $<

# For callers that have vector registers. They are none that a caller wants back either.
$(GATE)/burst.o: vmfunc/gate/burst.c
	$(call say,CC,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(GATE_BURST_CFLAGS) -MMD -MP -c -o $@ $<

$(GATE)/gate.lds: vmfunc/gate/gate.lds
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) -E -P -xassembler-with-cpp -I. -MMD -MP -MT $@ -o $@ $<

$(GATE)/gate-%.elf: $(GATE)/gate.lds $(GATE)/entry-%.o $(GATE)/body.o $(GATE)/burst.o
	$(call say,LINK,$@)
	$(Q)ld -pie --no-dynamic-linker --no-undefined -z noexecstack --build-id=none -T $^ -o $@

$(GATE)/gate-%.bin: $(GATE)/gate-%.elf
	$(Q)objcopy -j .text -O binary $< $@

$(BUILD)/hv/vmfunc/gate_image.S.o $(BUILD)/unit/vmfunc/gate_image.S.o: $(GATE_IMAGES)
$(BUILD)/hv/vmfunc/gate_image.S.o: HV_CFLAGS += -Wa,-I$(GATE)
$(BUILD)/unit/vmfunc/gate_image.S.o: UNIT_CFLAGS += -Wa,-I$(GATE)

-include $(wildcard $(GATE)/*.d)
