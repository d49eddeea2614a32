# SPDX-License-Identifier: BSD-2-Clause
# The driver for DPDK, built outside of DPDK's tree against Debian's, and a guest with testpmd.

DPDK := $(GUESTS)/dpdk
PMD := $(DPDK)/librte_net_postern.so
PMD_OBJECTS := $(patsubst guests/dpdk/%.c,$(DPDK)/%.o,$(wildcard guests/dpdk/*.c))
# DPDK's headers are not held to this project's warnings; its own API for drivers is internal.
PMD_CFLAGS = $(WARNINGS) -std=gnu11 -O2 -g -I. -fPIC -DALLOW_INTERNAL_API \
	$(patsubst -I%,-isystem %,$(shell pkg-config --cflags libdpdk)) -idirafter $(DPDK)/include \
	-ffile-prefix-map=$(CURDIR)=. -MMD -MP

pmd: $(PMD) ## build the poll-mode driver for DPDK

$(DPDK)/include: guests/dpdk/get_headers.sh guests/get_source.sh \
		$(wildcard /usr/include/dpdk)
	$(call say,DPDK,$@)
	$(Q)$< $(KERNEL_CACHE) $@

$(DPDK)/%.o: guests/dpdk/%.c $(DPDK)/include
	$(call say,CC,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(PMD_CFLAGS) -c -o $@ $<

$(PMD): $(PMD_OBJECTS) $(LIBPOSTERN)
	$(call say,LINK,$@)
	$(Q)$(CC) -shared -s -Wl,--build-id=none -Wl,--no-undefined -Wl,--exclude-libs,ALL -o $@ $^ \
		-lrte_ethdev -lrte_bus_vdev -lrte_mempool -lrte_mbuf -lrte_kvargs -lrte_eal

$(GUESTS)/initrd-dpdk.img: $(GUESTS)/cloud/modules $(PROGRAMS) $(GUESTS)/bin/packets $(PMD) \
		guests/dpdk/make_tree.sh $(wildcard guests/initramfs/*)
	$(call say,INITRD,$@)
	$(Q)guests/dpdk/make_tree.sh $(DPDK)/tree $(PMD)
	$(Q)guests/initramfs/build.sh $@ $(GUESTS)/bin -t $(DPDK)/tree \
		$$(ls -r $(<D)/src/guests/linux/*.ko) $(<D)/debian/uio.ko $(<D)/debian/uio_pci_generic.ko

GUEST_FILES += $(GUESTS)/initrd-dpdk.img
guests: $(GUESTS)/initrd-dpdk.img

-include $(wildcard $(DPDK)/*.d)

.PHONY: pmd
