# SPDX-License-Identifier: BSD-2-Clause
UNIT_acpi := machine/acpi.c arch/x86/acpi_tables.c
