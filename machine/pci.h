/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A virtual PCI bus: configuration mechanism 1, a host bridge at 00:00.0, and functions with BARs
 * of memory and I/O ports and with MSI-X (PCI Local Bus Specification 3.0, "Configuration Space",
 * "MSI-X Capability"). The caller holds the VM's lock.
 */
#ifndef POSTERN_MACHINE_PCI_H
#define POSTERN_MACHINE_PCI_H

#include "lib/status.h"

#define PCI_FUNCTIONS    32u
#define PCI_BARS         6u
#define PCI_CONFIG_SIZE  256u
#define PCI_MSIX_VECTORS 18u

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
    /* The BAR's decoded address has changed: 0 means that it decodes nothing. May be NULL. */
    void (*bar_moved)(struct pci_function *function, unsigned bar, uint64_t old, uint64_t now);
    /* An interrupt is due: a pending one was unmasked. */
    void (*interrupt)(struct pci_function *function, unsigned vector,
                      const struct msi_message *message);
    /* An access of 1, 2, 4 or 8 bytes to a BAR. The caller does not hold the VM's lock. A write
     * that returns false is to be made again: the guest executes its instruction once more. */
    uint64_t (*read)(struct pci_function *function, unsigned bar, uint64_t offset, unsigned size);
    bool (*write)(struct pci_function *function, unsigned bar, uint64_t offset, unsigned size,
                  uint64_t value);
    /* The whole register at `offset` of the owner's own ones in configuration space; NULL where
     * there are none. A write that returns false is to be made again. */
    uint32_t (*read_own)(struct pci_function *function, unsigned offset);
    bool (*write_own)(struct pci_function *function, unsigned offset, uint32_t value);
};

struct pci_bar {
    uint64_t size;    /* a power of two; 0: there is none */
    uint64_t initial; /* the address after reset */
    uint64_t decoded; /* what it decodes now; 0: nothing */
    bool io;          /* ports, not memory */
    bool wide;        /* 64 bits: the next BAR is its upper half */
    bool prefetchable;
};

struct pci_function {
    const struct pci_function_ops *ops;
    void *context; /* the owner's */
    uint8_t config[PCI_CONFIG_SIZE];
    uint8_t last_link;        /* where the offset of the next capability goes */
    uint8_t capabilities_end; /* where its bytes go */
    uint8_t own, own_size;    /* the owner's own registers in `config`, bytes */
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
    unsigned end;                                  /* no function from this number on */
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
/* A BAR of `size` ports that decodes `port` after reset. */
void pci_add_io_bar(struct pci_function *function, unsigned bar, uint32_t size, uint16_t port);
/* A capability of `size` bytes at the end of the list; its link to the next is set here. Returns
 * its offset. There must be room: PCI_CONFIG_SIZE. */
unsigned pci_add_capability(struct pci_function *function, const uint8_t *bytes, unsigned size);
/* An MSI-X capability, table and pending bits in `bar`. It comes before other capabilities. */
void pci_add_msix(struct pci_function *function, unsigned vectors, unsigned bar,
                  uint32_t table_offset, uint32_t pending_offset);
/* Whether a device number is free. */
bool pci_has_room(const struct pci_bus *bus);
/* Puts the function on the bus at the first free device number. STATUS_NO_MEMORY if there is none.
 */
status_t pci_attach(struct pci_bus *bus, struct pci_function *function) MUST_CHECK;
/* Takes it off the bus: its BARs decode nothing any more, of which its owner is told. The others
 * stay at their numbers. No guest runs that has the bus. */
void pci_detach(struct pci_bus *bus, struct pci_function *function);
/* The address that a memory BAR of the function decodes after the next reset. */
void pci_set_initial(struct pci_function *function, unsigned bar, uint64_t address);

/* The state after reset: BARs at their initial addresses and decoding nothing. */
void pci_reset(struct pci_bus *bus);

/* An access of 1, 2 or 4 bytes to ports 0xcf8 to 0xcff. A write that returns false is to be made
 * again. */
uint32_t pci_io_read(struct pci_bus *bus, uint16_t port, unsigned size);
bool pci_io_write(struct pci_bus *bus, uint16_t port, unsigned size, uint32_t value) MUST_CHECK;

/* The function and BAR that decode `gpa`, or all `size` ports from `port` on. */
bool pci_find_bar(struct pci_bus *bus, uint64_t gpa, struct pci_function **function, unsigned *bar,
                  uint64_t *offset);
bool pci_find_port(struct pci_bus *bus, uint16_t port, unsigned size,
                   struct pci_function **function, unsigned *bar, uint64_t *offset);

/* Accesses of 4 or 8 bytes to the MSI-X table and the pending bits, by their own offsets. */
uint64_t pci_msix_read(const struct pci_function *function, uint32_t offset, unsigned size);
void pci_msix_write(struct pci_function *function, uint32_t offset, unsigned size, uint64_t value);
uint64_t pci_msix_pending(const struct pci_function *function);

/* Fires vector `vector`: true and the message to deliver, or false and it stays pending while it is
 * masked; it is lost while MSI-X is off. */
bool pci_msix_fire(struct pci_function *function, unsigned vector, struct msi_message *message);

/* The x86 meaning of a message (SDM "Message Signalled Interrupts"). */
struct msi_decoded msi_decode(const struct msi_message *message);

/* What a snapshot has of a function. */
#define PCI_IMAGE_VERSION 1u
#define PCI_OWN_MAX       16u

struct pci_function_image {
    uint32_t identity; /* device and vendor, as they stand in configuration space */
    uint16_t command, msix_control;
    uint32_t bars[PCI_BARS];
    uint8_t cache_line, interrupt_line, own_size, zero;
    uint32_t msix_vectors;
    uint8_t own[PCI_OWN_MAX]; /* the owner's own registers */
    struct {
        uint64_t address;
        uint32_t data;
        uint8_t masked, pending, zero[2]; /* 0 or 1 */
    } msix[PCI_MSIX_VECTORS];
};

void pci_function_save(const struct pci_function *function, struct pci_function_image *image);

/* Whether the image is one of this function in another, or the same, life. */
bool pci_function_fits(const struct pci_function *function,
                       const struct pci_function_image *image) MUST_CHECK;

/* Takes the state over from an image that fits, after a reset of the bus: as if the guest had
 * written the registers anew. Fires nothing. */
void pci_function_load(struct pci_function *function, const struct pci_function_image *image);

#endif
