# SPDX-License-Identifier: BSD-2-Clause
# A guest with a root file system of Debian 12 on its disk, in an image of its own: what it downloads and its size
# are too much for each build.

DEBIAN := $(BUILD)/guests/debian
DEBIAN_IMAGE := $(BUILD)/postern-debian.img
DEBIAN_DIRECT_IMAGE := $(BUILD)/postern-debian-direct.img
DEBIAN_CONFIG := guests/debian/debian.conf

debian-deps: deps
	$(Q)tools/setup/install.sh guests/debian/packages.txt

$(DEBIAN)/debian.img: $(wildcard guests/debian/*.sh) $(GUESTS)/bin/tsc
	$(call say,DEBIAN,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(filter %/make_root.sh,$^) $@ $(GUESTS)/bin/tsc

$(DEBIAN)/grub.cfg: tools/image/make_menu.sh $(DEBIAN_CONFIG) guests/debian/direct.cfg
	$(Q)mkdir -p $(@D)
	$(Q)$< $(DEBIAN_CONFIG) > $@
	$(Q)cat guests/debian/direct.cfg >> $@

DEBIAN_FILES := $(DEBIAN)/debian.img $(DEBIAN_CONFIG) $(GUESTS)/vmlinuz-cloud $(GUESTS)/initrd-cloud.img

$(DEBIAN_IMAGE): tools/image/make_image.sh $(BUILD)/grub.efi $(BUILD)/postern.efi $(DEBIAN)/grub.cfg $(DEBIAN_FILES)
	$(call say,IMAGE,$@)
	$(Q)$< $@ $(BUILD)/grub.efi $(BUILD)/postern.efi $(DEBIAN)/grub.cfg $(DEBIAN_FILES)

# For the bare machine, where no driver of the kernel finds a disk. An archive, since the names in those that GRUB 2.06
# makes of files lack the NUL that kernels ask for.
$(DEBIAN)/disk.cpio: $(DEBIAN)/debian.img
	$(call say,CPIO,$@)
	$(Q)cd $(@D) && echo $(<F) | cpio --quiet -o -H newc > $(@F)

DEBIAN_DIRECT_FILES := $(DEBIAN)/disk.cpio $(GUESTS)/vmlinuz-cloud $(GUESTS)/initrd-cloud.img

$(DEBIAN_DIRECT_IMAGE): tools/image/make_image.sh $(BUILD)/grub.efi $(BUILD)/postern.efi $(DEBIAN)/grub.cfg $(DEBIAN_DIRECT_FILES)
	$(call say,IMAGE,$@)
	$(Q)$< $@ $(BUILD)/grub.efi $(BUILD)/postern.efi $(DEBIAN)/grub.cfg $(DEBIAN_DIRECT_FILES)

debian-root: debian-deps ## build a root file system of Debian 12, for a disk
	$(Q)$(MAKE) $(DEBIAN)/debian.img

debian: debian-deps ## start a guest with that, and one that is its DHCP server, and join hvctl
	$(Q)$(MAKE) $(if $(Q),-s) $(DEBIAN_IMAGE) hvctl
	$(Q)tools/run/session.py $(BUILD) $(DEBIAN_CONFIG) --image $(DEBIAN_IMAGE) --wait 900 --platform $(PLATFORM) $(RUN_OPTIONS)

debian-test: debian-deps ## test it: some minutes in an emulator, and no part of `make test`
	$(Q)$(MAKE) $(DEBIAN_IMAGE) hvctl
	$(Q)BUILD=$(BUILD) PLATFORM=$(PLATFORM) $(PYTEST) -v -rs -p no:cacheprovider tests/boot/test_debian.py

debian-bench: debian-deps ## measure its boot, with and without the hypervisor
	$(Q)$(MAKE) $(DEBIAN_IMAGE) $(DEBIAN_DIRECT_IMAGE) hvctl
	$(Q)BUILD=$(BUILD) $(PYTHON) tests/bench/bench.py debian

.PHONY: debian debian-bench debian-deps debian-root debian-test
