# SPDX-License-Identifier: BSD-2-Clause
# The bare-metal guest with lwIP. lwIP itself is Debian's source package, unpacked below build/.

LWIP := $(GUESTS)/lwip
LWIP_SOURCE := $(LWIP)/source/src
LWIP_PARTS := core/def core/inet_chksum core/init core/ip core/mem core/memp core/netif core/pbuf \
	core/stats core/tcp core/tcp_in core/tcp_out core/timeouts core/udp core/ipv4/dhcp \
	core/ipv4/etharp core/ipv4/icmp core/ipv4/ip4 core/ipv4/ip4_addr core/ipv4/ip4_frag \
	netif/ethernet apps/lwiperf/lwiperf
LWIP_OBJECTS := $(patsubst %,$(LWIP)/%.o,$(wildcard guests/lwip/*.c guests/lwip/*.S)) \
	$(LWIP_PARTS:%=$(LWIP)/objects/%.o)
LWIP_CFLAGS := -std=c11 -O2 -g -I. -Iguests/lwip/port -isystem $(LWIP_SOURCE)/include -ffreestanding \
	-fno-pie -mno-red-zone -mgeneral-regs-only -fno-stack-protector -fcf-protection=none \
	-fno-asynchronous-unwind-tables -fno-strict-aliasing \
	-ffunction-sections -MMD -MP

$(LWIP)/unpacked: guests/lwip/get_lwip.sh guests/get_source.sh
	$(call say,LWIP,$(LWIP)/source)
	$(Q)$< $(KERNEL_CACHE) $(LWIP)/source
	$(Q)touch $@

$(LWIP)/%.c.o: %.c $(LWIP)/unpacked
	$(call say,CC,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(WARNINGS) $(LWIP_CFLAGS) -c -o $@ $<

$(LWIP)/%.S.o: %.S
	$(call say,AS,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(LWIP_CFLAGS) -c -o $@ $<

# lwIP's own sources, without this project's warnings.
$(LWIP)/objects/%.o: $(LWIP)/unpacked
	$(call say,CC,lwip/$*.c)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(LWIP_CFLAGS) -c -o $@ $(LWIP_SOURCE)/$*.c

$(GUESTS)/lwip.elf64: $(LWIP_OBJECTS) guests/lwip/guest.lds
	$(call say,LINK,$@)
	$(Q)ld -nostdlib -static -no-pie --gc-sections -z noexecstack -z max-page-size=4096 --no-warn-rwx-segments \
		--build-id=none -T guests/lwip/guest.lds -o $@ $(LWIP_OBJECTS)

$(GUESTS)/lwip.elf: $(GUESTS)/lwip.elf64
	$(Q)objcopy -O elf32-i386 --strip-debug $< $@

GUEST_FILES += $(GUESTS)/lwip.elf
guests: $(GUESTS)/lwip.elf

-include $(shell find $(LWIP) -name '*.d' 2>/dev/null)

.SECONDARY: $(LWIP)/unpacked
