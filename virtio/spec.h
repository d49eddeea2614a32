/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Numbers of the Virtual I/O Device (VIRTIO) specification 1.2 that all devices share: feature bits
 * ("Reserved Feature Bits"), the device status ("Device Status Field"), and what a virtqueue looks
 * like in memory ("Split Virtqueues", "Packed Virtqueues"), and behind PCI. All of it is
 * little-endian, as x86 is.
 */
#ifndef POSTERN_VIRTIO_SPEC_H
#define POSTERN_VIRTIO_SPEC_H

#include "lib/bits.h"

#define VIRTIO_F_INDIRECT_DESC BIT(28)
#define VIRTIO_F_EVENT_IDX     BIT(29)
#define VIRTIO_F_VERSION_1     BIT(32)
#define VIRTIO_F_RING_PACKED   BIT(34)
#define VIRTIO_F_RING_RESET    BIT(40)

#define VIRTIO_ACKNOWLEDGE     0x01u
#define VIRTIO_DRIVER          0x02u
#define VIRTIO_DRIVER_OK       0x04u
#define VIRTIO_FEATURES_OK     0x08u
#define VIRTIO_NEEDS_RESET     0x40u
#define VIRTIO_FAILED          0x80u

/* A descriptor: 64 bits of address, 32 of length, then two of 16 whose order differs. */
#define VIRTQ_DESC_SIZE     16u
#define VIRTQ_DESC_NEXT     0x0001u
#define VIRTQ_DESC_WRITE    0x0002u
#define VIRTQ_DESC_INDIRECT 0x0004u
/* Packed: these two and the ring's wrap counter say whose the descriptor is. */
#define VIRTQ_DESC_AVAIL 0x0080u
#define VIRTQ_DESC_USED  0x8000u

/* Split: the driver's and the device's area begin with 16 bits of flags and 16 of an index. */
#define VIRTQ_AVAIL_NO_INTERRUPT 0x0001u
#define VIRTQ_USED_NO_NOTIFY     0x0001u

/* Packed: an event suppression structure is 16 bits of offset and wrap counter, 16 of flags. */
#define VIRTQ_EVENT_ENABLE  0u
#define VIRTQ_EVENT_DISABLE 1u
#define VIRTQ_EVENT_DESC    2u
#define VIRTQ_EVENT_WRAP    0x8000u

/* PCI: offsets in the common configuration (VIRTIO 1.2, "Common configuration structure layout").
 */
#define VIRTIO_COMMON_DEVICE_FEATURE_SELECT 0x00u
#define VIRTIO_COMMON_DEVICE_FEATURE        0x04u
#define VIRTIO_COMMON_DRIVER_FEATURE_SELECT 0x08u
#define VIRTIO_COMMON_DRIVER_FEATURE        0x0cu
#define VIRTIO_COMMON_CONFIG_VECTOR         0x10u
#define VIRTIO_COMMON_QUEUES                0x12u
#define VIRTIO_COMMON_STATUS                0x14u
#define VIRTIO_COMMON_CONFIG_GENERATION     0x15u
#define VIRTIO_COMMON_QUEUE_SELECT          0x16u
#define VIRTIO_COMMON_QUEUE_SIZE            0x18u
#define VIRTIO_COMMON_QUEUE_VECTOR          0x1au
#define VIRTIO_COMMON_QUEUE_ENABLE          0x1cu
#define VIRTIO_COMMON_QUEUE_NOTIFY_OFF      0x1eu
#define VIRTIO_COMMON_QUEUE_DESCRIPTORS     0x20u
#define VIRTIO_COMMON_QUEUE_DRIVER          0x28u
#define VIRTIO_COMMON_QUEUE_DEVICE          0x30u
#define VIRTIO_COMMON_QUEUE_NOTIFY_DATA     0x38u
#define VIRTIO_COMMON_QUEUE_RESET           0x3au
#define VIRTIO_COMMON_SIZE                  0x40u

#endif
