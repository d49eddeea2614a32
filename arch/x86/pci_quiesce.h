/* SPDX-License-Identifier: BSD-2-Clause */
/* Ending what the firmware's devices may still be doing. */
#ifndef POSTERN_ARCH_X86_PCI_QUIESCE_H
#define POSTERN_ARCH_X86_PCI_QUIESCE_H

/* Takes bus mastering from every PCI function but the host bridges: a network card or a USB
 * controller that the firmware drove must not write into memory that is a guest's now. Once, when
 * boot services have ended; configuration mechanism 1 (PCI Local Bus Specification 3.0,
 * "Configuration Mechanism"). Returns how many functions had it. */
unsigned pci_quiesce(void);

#endif
