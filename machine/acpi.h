/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A guest's ACPI tables: hardware-reduced, with local APICs, the I/O APIC, the PCI root, serial
 * port and clock (ACPI specification 6.4, "ACPI Software Programming Model").
 */
#ifndef POSTERN_MACHINE_ACPI_H
#define POSTERN_MACHINE_ACPI_H

#include "lib/status.h"

/* Writes the tables into `memory` of `size` bytes, which the guest sees at `gpa`; the RSDP comes
 * first. `vcpus` have the APIC ids 0, 1, ... STATUS_NO_MEMORY if they do not fit. */
status_t acpi_build(uint8_t *memory, size_t size, uint32_t gpa, uint32_t vcpus) MUST_CHECK;

#endif
