/* SPDX-License-Identifier: BSD-2-Clause */
/* The entropy device (VIRTIO 1.2, "Entropy Device"): random bytes for the guest's own generator. */
#ifndef POSTERN_VIRTIO_RNG_H
#define POSTERN_VIRTIO_RNG_H

#include "virtio/device.h"

/* The most bytes that a request gets at once; drivers ask again. */
#define VIRTIO_RNG_BYTES 256u

struct virtio_rng {
    struct virtio_device device;
    /* Gives 64 random bits; false if there are none, so that the device fails. */
    bool (*random)(uint64_t *bits);
};

/* `features` is VIRTIO_FEATURES, and VIRTIO_F_RING_PACKED if that is to be offered. */
void virtio_rng_init(struct virtio_rng *rng, const struct virtio_owner *owner, uint64_t features,
                     bool (*random)(uint64_t *bits));

#endif
