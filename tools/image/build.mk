# SPDX-License-Identifier: BSD-2-Clause
# The disk image, for the emulators and for a USB stick.

CONFIGS := $(sort $(wildcard guests/examples/*.conf))
IMAGE := $(BUILD)/postern.img

image: $(IMAGE) ## build the disk image

$(BUILD)/grub.efi: tools/image/make_grub.sh tools/image/early.cfg
	$(call say,GRUB,$@)
	$(Q)mkdir -p $(@D)
	$(Q)tools/image/make_grub.sh $@

$(IMAGE): tools/image/make_image.sh tools/image/make_menu.sh $(BUILD)/grub.efi $(BUILD)/postern.efi \
		$(BUILD)/hvctl $(GUEST_FILES) $(CONFIGS)
	$(call say,IMAGE,$@)
	$(Q)$(BUILD)/hvctl image build --output $@ --boot $(BUILD) $(GUEST_FILES) $(CONFIGS)

usb: image ## build the image and say how to write it to a USB stick
	@printf 'Write it to a stick; everything on the stick is lost. Find its name with lsblk:\n  %s\n' \
		'sudo dd if=$(IMAGE) of=/dev/sdX bs=4M conv=fsync status=progress'

.PHONY: image usb
