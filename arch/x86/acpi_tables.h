/* SPDX-License-Identifier: BSD-2-Clause */
/* The firmware's ACPI tables: as much as is needed to list processors and find the I/O APIC.
 * (ACPI specification, "Root System Description Pointer", "Multiple APIC Description Table"). */
#ifndef POSTERN_ARCH_X86_ACPI_TABLES_H
#define POSTERN_ARCH_X86_ACPI_TABLES_H

#include "arch/x86/boot_info.h"
#include "lib/status.h"

/* Reads the MADT that the RSDP at address `rsdp` leads to: info->cpus of the enabled processors,
 * ioapic_base (of the I/O APIC with the lowest GSI) and uart_gsi. Tables with wrong lengths or
 * checksums are refused; entries that run over the table's end are not read. STATUS_NOT_FOUND when
 * there is no usable MADT or it lists no processor. */
status_t acpi_read_madt(uint64_t rsdp, struct boot_info *info) MUST_CHECK;

/* Days from 1970-01-01 to a date of the Gregorian calendar, from 1970 on; month and day from 1. */
uint64_t days_since_1970(unsigned year, unsigned month, unsigned day);

#endif
