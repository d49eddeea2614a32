/* SPDX-License-Identifier: BSD-2-Clause */
/* The console device (VIRTIO 1.2, "Console Device") with one port: for Linux, hvc0. */
#ifndef POSTERN_VIRTIO_CONSOLE_H
#define POSTERN_VIRTIO_CONSOLE_H

#include "virtio/device.h"

/* What one write of the guest's may have; the rest of it is dropped. */
#define VIRTIO_CONSOLE_BYTES KIB(64)

struct virtio_console {
    struct virtio_device device;
    /* Takes `size` bytes that the guest prints; they are the guest's memory. */
    void (*print)(void *context, const uint8_t *bytes, uint32_t size);
    void *context;
};

/* `features` is VIRTIO_FEATURES, and VIRTIO_F_RING_PACKED if that is to be offered. */
void virtio_console_init(struct virtio_console *console, const struct virtio_owner *owner,
                         uint64_t features,
                         void (*print)(void *context, const uint8_t *bytes, uint32_t size),
                         void *context);

/* Types `size` bytes. Returns how many the guest had buffers for; all of them, if it has no driver
 * that could ever read them. */
uint32_t virtio_console_type(struct virtio_console *console, const void *bytes, uint32_t size);

#endif
