/* SPDX-License-Identifier: BSD-2-Clause */
/* MSI-X: a function's table of vectors, and those that wait. */
#include "machine/pci_parts.h"

#define MSIX_ENTRY   16u
#define ENTRY_MASKED 1u

static bool vector_open(const struct pci_function *function, unsigned vector)
{
    uint32_t control = pci_get(function->config, CFG_MSIX + 2, 2);

    return (control & (MSIX_ENABLE | MSIX_MASK_ALL)) == MSIX_ENABLE &&
           !function->msix[vector].masked;
}

static struct msi_message message_of(const struct pci_function *function, unsigned vector)
{
    return (struct msi_message){function->msix[vector].address, function->msix[vector].data};
}

void pci_msix_send_pending(struct pci_function *function)
{
    for (unsigned vector = 0; vector < function->msix_vectors; vector++) {
        if (function->msix[vector].pending && vector_open(function, vector)) {
            struct msi_message message = message_of(function, vector);
            function->msix[vector].pending = false;
            function->ops->interrupt(function, vector, &message);
        }
    }
}

bool pci_msix_fire(struct pci_function *function, unsigned vector, struct msi_message *message)
{
    uint32_t control = pci_get(function->config, CFG_MSIX + 2, 2);

    if (vector >= function->msix_vectors || (control & MSIX_ENABLE) == 0) {
        return false;
    }
    if (!vector_open(function, vector)) {
        function->msix[vector].pending = true;
        return false;
    }
    *message = message_of(function, vector);
    return true;
}

uint64_t pci_msix_pending(const struct pci_function *function)
{
    uint64_t bits = 0;

    for (unsigned vector = 0; vector < function->msix_vectors; vector++) {
        bits |= function->msix[vector].pending ? BIT(vector) : 0;
    }
    return bits;
}

static uint32_t msix_read32(const struct pci_function *function, uint32_t offset)
{
    unsigned vector = offset / MSIX_ENTRY;

    if (vector >= function->msix_vectors) {
        return 0;
    }
    switch (offset % MSIX_ENTRY) {
    case 0:
        return (uint32_t)function->msix[vector].address;
    case 4:
        return (uint32_t)(function->msix[vector].address >> 32);
    case 8:
        return function->msix[vector].data;
    default:
        return function->msix[vector].masked ? ENTRY_MASKED : 0;
    }
}

static void msix_write32(struct pci_function *function, uint32_t offset, uint32_t value)
{
    unsigned vector = offset / MSIX_ENTRY;

    if (vector >= function->msix_vectors) {
        return;
    }
    uint64_t *address = &function->msix[vector].address;
    switch (offset % MSIX_ENTRY) {
    case 0:
        *address = (*address & ~0xffffffffull) | (value & ~3u);
        break;
    case 4:
        *address = (uint64_t)value << 32 | (uint32_t)*address;
        break;
    case 8:
        function->msix[vector].data = value;
        break;
    default:
        function->msix[vector].masked = (value & ENTRY_MASKED) != 0;
        pci_msix_send_pending(function);
        break;
    }
}

uint64_t pci_msix_read(const struct pci_function *function, uint32_t offset, unsigned size)
{
    if (size == 8 && offset % 8 == 0) {
        return (uint64_t)msix_read32(function, offset + 4) << 32 | msix_read32(function, offset);
    }
    return size == 4 && offset % 4 == 0 ? msix_read32(function, offset) : ~0ull;
}

void pci_msix_write(struct pci_function *function, uint32_t offset, unsigned size, uint64_t value)
{
    if (size == 8 && offset % 8 == 0) {
        msix_write32(function, offset, (uint32_t)value);
        msix_write32(function, offset + 4, (uint32_t)(value >> 32));
    } else if (size == 4 && offset % 4 == 0) {
        msix_write32(function, offset, (uint32_t)value);
    }
}

struct msi_decoded msi_decode(const struct msi_message *message)
{
    return (struct msi_decoded){
        .destination = (uint32_t)(message->address >> 12 & 0xff),
        .logical = (message->address & BIT(2)) != 0,
        .mode = (uint8_t)(message->data >> 8 & 7),
        .vector = (uint8_t)message->data,
    };
}
