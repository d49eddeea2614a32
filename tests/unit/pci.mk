UNIT_pci := machine/pci.c
