/* SPDX-License-Identifier: BSD-2-Clause */
#include "virtio/console.h"

#include "lib/bits.h"

#define CONSOLE_ID         3u
#define CONSOLE_QUEUE_SIZE 64u
#define CONSOLE_QUEUES     2u
#define INPUT_QUEUE        0u
#define FEATURE_EMERGENCY  BIT(2)
#define CONFIG_EMERGENCY   8u /* a character that is written there is printed at once */
#define CONFIG_MAX_PORTS   4u
#define CHAINS_AT_ONCE     16u

static uint32_t handle(struct virtio_device *device, uint32_t queue,
                       const struct virtq_chain *chain)
{
    struct virtio_console *console = (struct virtio_console *)device;
    struct virtq_cursor in = virtq_readable(chain);
    uint32_t left = VIRTIO_CONSOLE_BYTES;
    uint8_t *bytes = NULL;

    (void)queue;
    for (uint32_t part; (part = virtq_take(&in, left, &bytes)) != 0; left -= part) {
        console->print(console->context, bytes, part);
    }
    return 0;
}

static bool waits(const struct virtio_device *device, uint32_t queue)
{
    (void)device;
    return queue == INPUT_QUEUE;
}

/* Works before the driver has set anything up. */
static void write_config(struct virtio_device *device, uint32_t offset, uint32_t size,
                         uint64_t value)
{
    struct virtio_console *console = (struct virtio_console *)device;
    uint8_t byte = (uint8_t)value;

    if (offset == CONFIG_EMERGENCY && size == sizeof(uint32_t)) {
        console->print(console->context, &byte, 1);
    }
}

void virtio_console_init(struct virtio_console *console, const struct virtio_owner *owner,
                         uint64_t features,
                         void (*print)(void *context, const uint8_t *bytes, uint32_t size),
                         void *context)
{
    static const struct virtio_model model = {.name = "console",
                                              .id = CONSOLE_ID,
                                              .waits = waits,
                                              .handle = handle,
                                              .write_config = write_config};

    console->print = print;
    console->context = context;
    virtio_init(&console->device, &model, owner, features | FEATURE_EMERGENCY, CONSOLE_QUEUES,
                CONSOLE_QUEUE_SIZE);
    console->device.config[CONFIG_MAX_PORTS] = 1;
}

uint32_t virtio_console_type(struct virtio_console *console, const void *bytes, uint32_t size)
{
    struct virtio_device *device = &console->device;
    uint32_t taken = 0;

    if (virtio_queue(device, INPUT_QUEUE) == NULL) {
        return size;
    }
    for (unsigned i = 0; i < CHAINS_AT_ONCE && taken < size; i++) {
        const struct virtq_chain *chain = virtio_take(device, INPUT_QUEUE);
        if (chain == NULL) {
            break;
        }
        struct virtq_cursor out = virtq_writable(chain);
        uint32_t part = virtq_copy_to(&out, (const uint8_t *)bytes + taken, size - taken);
        virtio_give(device, INPUT_QUEUE, part);
        taken += part;
    }
    return taken;
}
