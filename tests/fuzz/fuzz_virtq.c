/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Virtqueues with any bytes in them. The input is a layout and a size, then steps: bytes written
 * into the guest's memory, chains taken, used, the other side told. What a chain names is within
 * memory and in order, and nothing else of memory is written but the device's parts of the ring.
 */
#include "tests/fuzz/fuzz.h"

#include "lib/bits.h"
#include "virtio/queue.h"
#include "virtio/spec.h"

#define RAM         0x3000u
#define DESCRIPTORS 0x000u
#define DRIVER      0x400u
#define DEVICE      0x600u
#define TAKEN_MAX   64u

static uint8_t *ram;

static void *map(void *context, uint64_t gpa, uint64_t size, bool writable)
{
    (void)context;
    (void)writable;
    return range_within(gpa, size, 0, RAM) ? ram + gpa : NULL;
}

static void check_chain(const struct virtq_chain *chain, uint16_t size)
{
    uint64_t sums[2] = {0, 0};

    FUZZ_CHECK(chain->count > 0 && chain->count <= VIRTQ_PIECES_MAX);
    FUZZ_CHECK(chain->readable <= chain->count && chain->slots <= size);
    for (uint32_t i = 0; i < chain->count; i++) {
        const struct virtq_piece *piece = &chain->pieces[i];
        FUZZ_CHECK(piece->size > 0 && piece->bytes >= ram);
        FUZZ_CHECK(range_within((uint64_t)(piece->bytes - ram), piece->size, 0, RAM));
        sums[i >= chain->readable] += piece->size;
    }
    FUZZ_CHECK(sums[0] == chain->readable_size && sums[1] == chain->writable_size);
}

static void poke(struct fuzz_input *input)
{
    size_t size = fuzz_byte(input);
    uint32_t at = (uint32_t)fuzz_number(input, 2) % RAM;
    const uint8_t *bytes = fuzz_bytes(input, &size);

    size = size < RAM - at ? size : RAM - at;
    memcpy(ram + at, bytes, size);
}

static void step(struct fuzz_input *input, struct virtq *queue)
{
    static struct virtq_chain taken[TAKEN_MAX];
    static uint32_t count;
    uint8_t kind = fuzz_byte(input);

    switch (kind % 8) {
    case 0:
        poke(input);
        break;
    case 1:
        if (count == TAKEN_MAX || count == queue->size) {
            break;
        }
        if (virtq_pop(queue, &taken[count]) == VIRTQ_CHAIN) {
            check_chain(&taken[count++], queue->size);
        }
        break;
    case 2:
        if (count > 0) {
            virtq_push(queue, &taken[--count], kind);
        }
        break;
    case 3:
        (void)!virtq_must_interrupt(queue);
        break;
    case 4:
        (void)!virtq_arm(queue);
        break;
    default:
        break;
    }
    count = input->left == 0 ? 0 : count;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input input = {data, size};
    uint8_t flags = fuzz_byte(&input);
    const struct virtq_memory memory = {.map = map};
    const struct virtq_setup setup = {.memory = &memory,
                                      .size = 1u + fuzz_byte(&input) % 32,
                                      .descriptors = DESCRIPTORS,
                                      .driver = DRIVER,
                                      .device = DEVICE,
                                      .features = ((flags & 1) != 0 ? VIRTIO_F_RING_PACKED : 0) |
                                                  ((flags & 2) != 0 ? VIRTIO_F_INDIRECT_DESC : 0) |
                                                  ((flags & 4) != 0 ? VIRTIO_F_EVENT_IDX : 0)};
    struct virtq queue;

    ram = calloc(1, RAM);
    FUZZ_CHECK(ram != NULL);
    if (virtq_init(&queue, &setup) == STATUS_OK) {
        do {
            step(&input, &queue);
        } while (input.left > 0);
    } else {
        FUZZ_CHECK(queue.fault != VIRTQ_FAULT_NONE);
    }
    free(ram);
    return 0;
}
