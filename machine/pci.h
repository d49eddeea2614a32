/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A virtual PCI bus: configuration mechanism 1, a host bridge at 00:00.0, and functions with memory
 * BARs and MSI-X (PCI Local Bus Specification 3.0, "Configuration Space", "MSI-X Capability"). The
 * caller holds the VM's lock.
 */
#ifndef POSTERN_MACHINE_PCI_H
#define POSTERN_MACHINE_PCI_H

#include "lib/status.h"

#define PCI_FUNCTIONS    32u
#define PCI_BARS         6u
#define PCI_CONFIG_SIZE  256u
#define PCI_MSIX_VECTORS 16u

struct msi_message {
    uint64_t address;
    uint32_t data;
};

struct msi_decoded {
    uint32_t destination;
    bool logical;
    uint8_t mode;
    uint8_t vector;
};

struct pci_function;

struct pci_function_ops {
    /* The BAR's decoded address has changed: 0 means that it decodes nothing. */
    void (*bar_moved)(struct pci_function *function, unsigned bar, uint64_t old, uint64_t now);
    /* An interrupt is due: a pending one was unmasked. */
    void (*interrupt)(struct pci_function *function, unsigned vector,
                      const struct msi_message *message);
};

struct pci_bar {
    uint64_t size;    /* a power of two; 0: there is none */
    uint64_t initial; /* the address after reset */
    uint64_t decoded; /* what it decodes now; 0: nothing */
    bool wide;        /* 64 bits: the next BAR is its upper half */
    bool prefetchable;
};

struct pci_function {
    const struct pci_function_ops *ops;
    void *context; /* the owner's */
    uint8_t config[PCI_CONFIG_SIZE];
    struct pci_bar bars[PCI_BARS];
    unsigned msix_vectors;
    struct {
        uint64_t address;
        uint32_t data;
        bool masked, pending;
    } msix[PCI_MSIX_VECTORS];
};

struct pci_bus {
    uint32_t address;                              /* CONFIG_ADDRESS */
    struct pci_function *functions[PCI_FUNCTIONS]; /* by device number; function 0 only */
    struct pci_function bridge;
};

/* An empty bus with its host bridge. */
void pci_init(struct pci_bus *bus);

/* Puts a type 0 function's identity into its configuration space. */
void pci_function_init(struct pci_function *function, const struct pci_function_ops *ops,
                       void *context, uint16_t vendor, uint16_t device, uint32_t class_code);
/* A memory BAR of `size` bytes that decodes `address` after reset. */
void pci_add_bar(struct pci_function *function, unsigned bar, uint64_t size, uint64_t address,
                 bool wide, bool prefetchable);
/* An MSI-X capability, table and pending bits in `bar`. */
void pci_add_msix(struct pci_function *function, unsigned vectors, unsigned bar,
                  uint32_t table_offset, uint32_t pending_offset);
/* Puts the function on the bus at the next free device number. */
status_t pci_attach(struct pci_bus *bus, struct pci_function *function) MUST_CHECK;

/* The state after reset: BARs at their initial addresses and decoding nothing. */
void pci_reset(struct pci_bus *bus);

/* An access of 1, 2 or 4 bytes to ports 0xcf8 to 0xcff. */
uint32_t pci_io_read(struct pci_bus *bus, uint16_t port, unsigned size);
void pci_io_write(struct pci_bus *bus, uint16_t port, unsigned size, uint32_t value);

/* The function and BAR that decode `gpa`. */
bool pci_find_bar(struct pci_bus *bus, uint64_t gpa, struct pci_function **function, unsigned *bar,
                  uint64_t *offset);

/* Accesses of 4 or 8 bytes to the MSI-X table and the pending bits, by their own offsets. */
uint64_t pci_msix_read(const struct pci_function *function, uint32_t offset, unsigned size);
void pci_msix_write(struct pci_function *function, uint32_t offset, unsigned size, uint64_t value);
uint64_t pci_msix_pending(const struct pci_function *function);

/* Fires vector `vector`: true and the message to deliver, or false and it stays pending while it is
 * masked; it is lost while MSI-X is off. */
bool pci_msix_fire(struct pci_function *function, unsigned vector, struct msi_message *message);

/* The x86 meaning of a message (SDM "Message Signalled Interrupts"). */
struct msi_decoded msi_decode(const struct msi_message *message);

#endif
