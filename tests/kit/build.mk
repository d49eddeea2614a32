# SPDX-License-Identifier: BSD-2-Clause
# Guests of the kit: each is a folder of C files, linked with the kit into a multiboot kernel.
# tests/claims becomes build/kit/claims.elf.

KIT := $(BUILD)/kit
KIT_GUESTS := attack claims crossings latency life neighbours network snapshot victim views
# Parts of the product, and of other tests, that a guest runs itself.
KIT_network := net/fdb.c net/switch.c lib/token_bucket.c
KIT_neighbours := tests/soak/misbehave.c
KIT_CFLAGS := $(WARNINGS) -O2 -g -I. -ffreestanding -fpie -fvisibility=hidden -mno-red-zone \
	-mgeneral-regs-only -fno-stack-protector -fno-asynchronous-unwind-tables \
	-fcf-protection=none -fno-strict-aliasing -fno-omit-frame-pointer \
	-fno-toplevel-reorder
KIT_SOURCES := $(wildcard tests/kit/*.c tests/kit/*.S) lib/format.c lib/string.c lib/string_base.c
KIT_OBJECTS := $(KIT_SOURCES:%=$(KIT)/%.o)

$(KIT)/%.c.o: %.c
	$(call say,CC,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(KIT_CFLAGS) -MMD -MP -c -o $@ $<

$(KIT)/%.S.o: %.S
	$(call say,AS,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(KIT_CFLAGS) -MMD -MP -c -o $@ $<

# $(1): the guest's name. GRUB's protocol wants ELF32.
define kit_rule
$(KIT)/$(1).elf64: $$(patsubst %,$(KIT)/%.o,$$(wildcard tests/$(1)/*.c) $$(KIT_$(1))) $(KIT_OBJECTS) tests/kit/kit.lds
	$$(call say,LINK,$$@)
	$$(Q)ld -nostdlib -static -no-pie -z noexecstack -z max-page-size=4096 --no-warn-rwx-segments \
		--build-id=none -T tests/kit/kit.lds -o $$@ $$(filter %.o,$$^)

$(KIT)/$(1).elf: $(KIT)/$(1).elf64
	$$(Q)objcopy -O elf32-i386 --strip-debug $$< $$@
endef
$(foreach guest,$(KIT_GUESTS),$(eval $(call kit_rule,$(guest))))

kit: $(KIT_GUESTS:%=$(KIT)/%.elf) ## build the bare-metal guests of the tests

-include $(shell find $(KIT) -name '*.d' 2>/dev/null)

.PHONY: kit
