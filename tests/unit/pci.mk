# SPDX-License-Identifier: BSD-2-Clause
UNIT_pci := machine/pci.c machine/pci_msix.c machine/pci_image.c
