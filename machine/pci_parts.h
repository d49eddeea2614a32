/* SPDX-License-Identifier: BSD-2-Clause */
/* What the files of the PCI functions share: their configuration space. */
#ifndef POSTERN_MACHINE_PCI_PARTS_H
#define POSTERN_MACHINE_PCI_PARTS_H

#include "lib/bits.h"
#include "lib/string.h"
#include "machine/pci.h"

#define CFG_VENDOR       0x00u
#define CFG_COMMAND      0x04u
#define CFG_STATUS       0x06u
#define CFG_CLASS        0x08u
#define CFG_CACHE_LINE   0x0cu
#define CFG_BAR0         0x10u
#define CFG_SUBSYSTEM    0x2cu
#define CFG_CAPABILITIES 0x34u
#define CFG_INT_LINE     0x3cu
#define CFG_MSIX         0x40u
#define COMMAND_IO       0x0001u
#define COMMAND_MEMORY   0x0002u
#define COMMAND_WRITABLE 0x0406u /* memory, bus master, interrupt disable; of some: I/O */
#define STATUS_CAP_LIST  0x0010u
#define BAR_IO           0x1u
#define BAR_WIDE         0x4u
#define BAR_PREFETCH     0x8u
#define CAP_MSIX         0x11u
#define MSIX_ENABLE      0x8000u
#define MSIX_MASK_ALL    0x4000u

static inline uint32_t pci_get(const uint8_t *config, unsigned offset, unsigned size)
{
    uint32_t value = 0;

    memcpy(&value, config + offset, size);
    return value;
}

static inline void pci_put(uint8_t *config, unsigned offset, unsigned size, uint32_t value)
{
    memcpy(config + offset, &value, size);
}

/* Sets a BAR's register or registers to an address. */
void pci_put_bar(struct pci_function *function, unsigned bar, uint64_t value);

/* Bits of the command register that the guest may set. */
uint32_t pci_writable_command(const struct pci_function *function);

/* Has the BARs decode where, and if, the registers now say. */
void pci_update_decoding(struct pci_function *function);

/* After a mask was lifted: what waited is sent. */
void pci_msix_send_pending(struct pci_function *function);

#endif
