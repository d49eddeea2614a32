/* SPDX-License-Identifier: BSD-2-Clause */
#include "virtio/rng.h"

#define RNG_ID         4u
#define RNG_QUEUE_SIZE 8u

static uint32_t handle(struct virtio_device *device, uint32_t queue,
                       const struct virtq_chain *chain)
{
    struct virtio_rng *rng = (struct virtio_rng *)device;
    struct virtq_cursor out = virtq_writable(chain);
    uint32_t written = 0;
    uint64_t bits = 0;

    (void)queue;
    while (written < VIRTIO_RNG_BYTES) {
        if (!rng->random(&bits)) {
            virtio_fail(device, "the CPU gives no random numbers");
            return 0;
        }
        uint32_t part = virtq_copy_to(&out, &bits, sizeof(bits));
        written += part;
        if (part < sizeof(bits)) {
            break;
        }
    }
    return written;
}

void virtio_rng_init(struct virtio_rng *rng, const struct virtio_owner *owner, uint64_t features,
                     bool (*random)(uint64_t *bits))
{
    static const struct virtio_model model = {.name = "rng", .id = RNG_ID, .handle = handle};

    rng->random = random;
    virtio_init(&rng->device, &model, owner, features, 1, RNG_QUEUE_SIZE);
}
