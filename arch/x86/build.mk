# SPDX-License-Identifier: BSD-2-Clause
# The hypervisor: one PE/COFF application, made with gnu-efi.

HV_CFLAGS := $(WARNINGS) -O2 -g -I. -ffreestanding -fpic -fvisibility=hidden -mno-red-zone \
	-mgeneral-regs-only -fno-stack-protector -fno-asynchronous-unwind-tables \
	-fcf-protection=none -fno-strict-aliasing -ffile-prefix-map=$(CURDIR)=.
# gnu-efi's headers are not written for these warnings.
HV_EFI_CFLAGS := -isystem /usr/include/efi -isystem /usr/include/efi/x86_64 \
	-DGNU_EFI_USE_MS_ABI -fshort-wchar

HV_SOURCES := $(wildcard lib/*.c ept/*.c vmfunc/*.c vmfunc/*.S virtio/*.c net/*.c machine/*.c machine/*.S core/*.c \
	arch/x86/*.c arch/x86/*.S arch/x86/uefi/*.c)
HV_OBJECTS := $(patsubst %,$(BUILD)/hv/%.o,$(HV_SOURCES)) $(HV_EXTRA_OBJECTS)

$(BUILD)/hv/arch/x86/uefi/%.o: HV_CFLAGS += $(HV_EFI_CFLAGS)

$(BUILD)/hv/%.c.o: %.c
	$(call say,CC,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(HV_CFLAGS) -MMD -MP -c -o $@ $<

$(BUILD)/hv/%.S.o: %.S
	$(call say,AS,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(HV_CFLAGS) -MMD -MP -c -o $@ $<

# ACPI's compiler says much on success too.
$(BUILD)/dsdt.aml: machine/dsdt.asl
	$(call say,IASL,$<)
	$(Q)mkdir -p $(@D)
	$(Q)iasl -vw 2089 -p $(BUILD)/dsdt $< > $(BUILD)/dsdt.log || { cat $(BUILD)/dsdt.log; exit 1; }

$(BUILD)/hv/machine/dsdt.S.o $(BUILD)/unit/machine/dsdt.S.o: $(BUILD)/dsdt.aml
$(BUILD)/hv/machine/dsdt.S.o: HV_CFLAGS += -Wa,-I$(BUILD)

# The screen's font, of the package console-setup-linux.
FONT := /usr/share/consolefonts/Lat15-Terminus16.psf.gz

$(BUILD)/font.psf: $(FONT)
	$(call say,FONT,$<)
	$(Q)mkdir -p $(@D)
	$(Q)gunzip -c $< > $@

$(BUILD)/hv/arch/x86/font.S.o: $(BUILD)/font.psf
$(BUILD)/hv/arch/x86/font.S.o: HV_CFLAGS += -Wa,-I$(BUILD)

$(BUILD)/postern.elf: $(HV_OBJECTS) arch/x86/postern.lds
	$(call say,LINK,$@)
	$(Q)ld -nostdlib -znocombreloc -shared -Bsymbolic --no-undefined -z noexecstack \
		--build-id=none -T arch/x86/postern.lds -o $@ \
		/usr/lib/crt0-efi-x86_64.o $(HV_OBJECTS) -L /usr/lib -lgnuefi

$(BUILD)/postern.efi: $(BUILD)/postern.elf
	$(call say,EFI,$@)
	$(Q)objcopy -j .text -j .reloc -j .rodata -j .data -j .dynamic -j .rela \
		--target efi-app-x86_64 --subsystem=10 $< $@

all: $(BUILD)/postern.efi

-include $(shell find $(BUILD)/hv -name '*.d' 2>/dev/null)
