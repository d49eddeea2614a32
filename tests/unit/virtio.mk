# SPDX-License-Identifier: BSD-2-Clause
VIRTQ_SOURCES := virtio/queue.c virtio/split.c virtio/packed.c
UNIT_virtq := $(VIRTQ_SOURCES)
UNIT_virtq_order :=
VIRTIO_SOURCES := virtio/device.c virtio/pci.c $(VIRTQ_SOURCES)
UNIT_virtio_pci := $(VIRTIO_SOURCES)
UNIT_virtio_rng := virtio/rng.c $(VIRTIO_SOURCES)
UNIT_virtio_console := virtio/console.c $(VIRTIO_SOURCES)
UNIT_virtio_net := virtio/net.c virtio/net_control.c $(VIRTIO_SOURCES)
UNIT_virtio_blk := virtio/blk.c virtio/disk.c $(VIRTIO_SOURCES)
UNIT_virtio_image := virtio/image.c virtio/rng.c virtio/net.c virtio/net_control.c $(VIRTIO_SOURCES)
UNIT_disk_runs := virtio/disk_runs.c virtio/disk.c lib/word_runs.c
