# SPDX-License-Identifier: BSD-2-Clause
UNIT_snapshot_image := core/snapshot_image.c
UNIT_snapshot_clone := core/snapshot_clone.c
UNIT_snapshot_disk := core/snapshot_disk.c core/snapshot_image.c virtio/disk.c virtio/disk_runs.c lib/word_runs.c
UNIT_vcpu_image := core/vcpu_image_check.c machine/lapic.c machine/lapic_image.c machine/posted_interrupt.c machine/msr_policy.c \
	machine/xapic.c
UNIT_port_image := core/port_image.c
UNIT_view_image := core/view_image.c core/snapshot_image.c
UNIT_snapshot_file := tools/hvctl/snapshot_file.c tools/hvctl/snapshot_file_read.c lib/word_runs.c
UNIT_LIBS_snapshot_file := -lz -lnettle
UNIT_device_images := machine/uart16550.c machine/rtc.c machine/ioapic.c machine/pci.c machine/pci_msix.c machine/pci_image.c
